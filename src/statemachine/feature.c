#include "statemachine/feature.h"

#include "statemachine/command.h"

/* One line for each version of each type; a line once released stays as it is. */
static const struct encoding {
    uint8_t type;
    uint8_t version;
    uint8_t level;
} commands[] = {
    {SM_COMMAND_KV_PUT, 1, 1},
    {SM_COMMAND_KV_DELETE, 1, 1},
    {SM_COMMAND_KV_DELETE_PREFIX, 1, 1},
    {SM_COMMAND_KV_OP, 1, 1},
    {SM_COMMAND_SESSION_CREATE, 1, 1},
    {SM_COMMAND_SESSION_DESTROY, 1, 1},
    {SM_COMMAND_SESSION_RENEW, 1, 1},
    {SM_COMMAND_EXPIRE, 1, 1},
    {SM_COMMAND_TXN, 1, 1},
    {SM_COMMAND_ONCE, 1, 1},
    {SM_COMMAND_KV_PUT_TTL, 1, 2},
    {SM_COMMAND_EXPIRE_KEYS, 1, 2},
    {SM_COMMAND_RESTORE_BEGIN, 1, 2},
    {SM_COMMAND_RESTORE_RECORD, 1, 2},
    {SM_COMMAND_RESTORE_END, 1, 2},
    {SM_COMMAND_FEATURE_LEVEL, 1, 2},
    {SM_COMMAND_NODE_SET, 1, 2},
    {SM_COMMAND_NODE_CLEAR, 1, 2},
};

enum { CONFIG_VERSION_MAX = 2 };

static uint32_t level_of(uint8_t type, uint8_t version)
{
    for (uint32_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (commands[i].type == type && commands[i].version == version) {
            return commands[i].level;
        }
    }
    return 0;
}

/* The command inside has had its own check, and is none that holds another. */
static uint32_t level_of_once(struct rk_bytes command, uint32_t level)
{
    struct sm_command once;

    if (sm_command_decode(command, &once) != RK_OK) {
        return 0;
    }
    const uint32_t inside = level_of(once.once.command.data[0], once.once.command.data[1]);
    return inside > level ? inside : level;
}

uint32_t feature_level_of_command(struct rk_bytes command)
{
    if (command.size < 2) {
        return 0;
    }
    const uint32_t level = level_of(command.data[0], command.data[1]);
    return level != 0 && command.data[0] == SM_COMMAND_ONCE ? level_of_once(command, level) : level;
}

uint32_t feature_level_of_config(struct rk_bytes config)
{
    const uint8_t version = config.size > 0 ? config.data[0] : 0;

    return version >= 1 && version <= CONFIG_VERSION_MAX ? 1 : 0;
}
