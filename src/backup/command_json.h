/* command_json.h -- a command of the log, for somebody to read.
 *
 * Thread: any; no state.
 */
#ifndef RK_BACKUP_COMMAND_JSON_H
#define RK_BACKUP_COMMAND_JSON_H

#include "base/bytes.h"
#include "base/json_write.h"

/* Appends one object: what the command is, with all that is short of it. */
void command_json(struct rk_bytes body, struct rk_json *json);

#endif
