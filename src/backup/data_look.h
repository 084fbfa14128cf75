/* data_look.h -- the directory of a node that does not run, as JSON: log, hard state, mark, snapshots.
 *
 * Nothing in it changes: what has to be opened to be read, the database with its WAL, is copied to a
 * directory of its own first. A node's LOCK keeps this out, as this keeps the node out meanwhile.
 *
 * Thread: the main one.
 */
#ifndef RK_BACKUP_DATA_LOOK_H
#define RK_BACKUP_DATA_LOOK_H

#include <stddef.h>
#include <stdio.h>

#include "base/status.h"

enum { DATA_LOOK_VALUE_SIZE = 256 }; /* of a value, so much is shown */

/* Writes one JSON object to `out`. What is damaged is said in it, where it is. Errors: RK_BUSY (a node
 * has it), RK_INVALID (no data directory), RK_CORRUPT (not to be opened at all), RK_IO, RK_FULL (of the
 * copy); `message` then says why, and nothing was written. */
RK_MUST_USE enum rk_status data_look(const char *data_dir, FILE *out, char *message,
                                     size_t message_size);

#endif
