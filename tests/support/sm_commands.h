/* sm_commands.h -- applies commands to a state machine the way the node does: encoded. */
#ifndef RK_TESTS_SUPPORT_SM_COMMANDS_H
#define RK_TESTS_SUPPORT_SM_COMMANDS_H

#include <check.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "statemachine/command.h"
#include "statemachine/sm.h"
#include "support/quick.h"

static inline struct rk_bytes bytes_of(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

/* Cluster time of what is applied next. */
static uint64_t sm_now_ms;

/* The result without its body. */
static inline struct sm_result sm_do(struct sm *sm, raft_index index,
                                     const struct sm_command *command)
{
    struct rk_buf buf;
    struct sm_result result;
    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
    sm_command_encode(command, &buf);
    quick_assert(sm_apply(sm, &(struct sm_place){.term = 1, .index = index, .time_ms = sm_now_ms},
                          rk_buf_bytes(&buf), &result) == RK_OK);
    rk_buf_done(&buf);
    sm_result_done(&result);
    quick_assert(result.index == index || command->type == SM_COMMAND_ONCE);
    return result;
}

static inline struct sm_result sm_do_put(struct sm *sm, raft_index index,
                                         const struct sm_command_put *put)
{
    return sm_do(sm, index, &(struct sm_command){.type = SM_COMMAND_KV_PUT, .put = *put});
}

static inline struct sm_result sm_do_delete(struct sm *sm, raft_index index,
                                            const struct sm_command_delete *delete)
{
    return sm_do(sm, index, &(struct sm_command){.type = SM_COMMAND_KV_DELETE, .delete = *delete});
}

static inline struct sm_result sm_do_delete_prefix(struct sm *sm, raft_index index,
                                                   struct rk_bytes prefix)
{
    return sm_do(sm, index,
                 &(struct sm_command){.type = SM_COMMAND_KV_DELETE_PREFIX,
                                      .delete_prefix = {.prefix = prefix}});
}

#endif
