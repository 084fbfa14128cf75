/* command_restore.h -- the encoding of the parts of a restore: for command.c alone. */
#ifndef RK_STATEMACHINE_COMMAND_RESTORE_H
#define RK_STATEMACHINE_COMMAND_RESTORE_H

#include "statemachine/command.h"

void sm_restore_command_encode(const struct sm_command *command, struct rk_buf *buf);

/* Bytes in *ret are lent. Errors: RK_CORRUPT; *ret is then untouched. */
RK_MUST_USE enum rk_status sm_restore_command_decode(struct rk_bytes bytes, struct sm_command *ret);

#endif
