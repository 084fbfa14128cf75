/* Layout, integers little-endian, nothing behind the last byte; the first four bytes as in command.c:
 *
 *   begin                        record                    end
 *    4 u64 id                     4 u64 id                  4 u64 id
 *   12 u64 count of records      12 u64 number
 *   20 u64 digest                20 u32 type, 24 body
 */
#include "statemachine/command_restore.h"

#include "base/le.h"

enum {
    RESTORE_VERSION = 1,
    RESTORE_BEGIN_SIZE = 28,
    RESTORE_RECORD_FIXED_SIZE = 24,
    RESTORE_END_SIZE = 12,
};

void sm_restore_command_encode(const struct sm_command *command, struct rk_buf *buf)
{
    const struct sm_command_restore *restore = &command->restore;
    uint8_t fixed[RESTORE_BEGIN_SIZE] = {(uint8_t)command->type, RESTORE_VERSION};

    rk_le_put_u64(&fixed[4], restore->id);
    if (command->type == SM_COMMAND_RESTORE_END) {
        rk_buf_append(buf, fixed, RESTORE_END_SIZE);
        return;
    }
    rk_le_put_u64(&fixed[12], restore->number);
    if (command->type == SM_COMMAND_RESTORE_BEGIN) {
        rk_le_put_u64(&fixed[20], restore->digest);
        rk_buf_append(buf, fixed, RESTORE_BEGIN_SIZE);
        return;
    }
    rk_le_put_u32(&fixed[20], restore->record_type);
    rk_buf_append(buf, fixed, RESTORE_RECORD_FIXED_SIZE);
    rk_buf_append(buf, restore->body.data, restore->body.size);
}

enum rk_status sm_restore_command_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    const enum sm_command_type type = (enum sm_command_type)bytes.data[0];
    const bool is_record = type == SM_COMMAND_RESTORE_RECORD;
    struct sm_command_restore restore = {.id = 0};

    if (type == SM_COMMAND_RESTORE_END ? bytes.size != RESTORE_END_SIZE
        : is_record                    ? bytes.size < RESTORE_RECORD_FIXED_SIZE
                                       : bytes.size != RESTORE_BEGIN_SIZE) {
        return RK_CORRUPT;
    }
    restore.id = rk_le_u64(&bytes.data[4]);
    restore.number = type == SM_COMMAND_RESTORE_END ? 0 : rk_le_u64(&bytes.data[12]);
    restore.digest = type == SM_COMMAND_RESTORE_BEGIN ? rk_le_u64(&bytes.data[20]) : 0;
    if (restore.number > SM_RESTORE_RECORDS_MAX) {
        return RK_CORRUPT;
    }
    if (is_record) {
        const uint32_t record_type = rk_le_u32(&bytes.data[20]);
        if (record_type == 0 || record_type > SM_RESTORE_TYPE_MAX) {
            return RK_CORRUPT;
        }
        restore.record_type = (uint8_t)record_type;
        restore.body = (struct rk_bytes){.data = bytes.data + RESTORE_RECORD_FIXED_SIZE,
                                         .size = bytes.size - RESTORE_RECORD_FIXED_SIZE};
    }
    *ret = (struct sm_command){.type = type};
    ret->restore = restore;
    return RK_OK;
}
