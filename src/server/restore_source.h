/* restore_source.h -- the backup that somebody sent, as what a restore works through: checked whole
 * first, then record after record.
 *
 * Thread: one at a time: the snapshot worker's, while a job has it.
 */
#ifndef RK_SERVER_RESTORE_SOURCE_H
#define RK_SERVER_RESTORE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "backup/backup_file.h"
#include "base/buf.h"
#include "base/status.h"
#include "storage/spool.h"

struct restore_source {
    struct spool *spool;
    uint64_t unpacked_max;
    struct backup_summary summary; /* once it is checked */
    const char *why;               /* static text: what is wrong with it; NULL: nothing was found */
    struct backup_reader *reader;
};

/* Takes the spool over. */
struct restore_source *restore_source_new(struct spool *spool, uint64_t unpacked_max);
void restore_source_free(struct restore_source *source); /* NULL is allowed */

/* Reads all of it and builds the state, once, to throw it away: what enters the log has been seen
 * whole. Errors: RK_INVALID, RK_CORRUPT, RK_TOO_LARGE (source->why), RK_IO. */
RK_MUST_USE enum rk_status restore_source_check(struct restore_source *source);

enum { RESTORE_PIECE_SIZE = 512 * 1024, RESTORE_PIECE_SIZE_MAX = 2 << 20 };

/* Appends the next records, each as u8 type, u32 size, body; at least one, about RESTORE_PIECE_SIZE
 * bytes, unless there is none any more. Errors: as above; after a check that went well, only of the disk. */
RK_MUST_USE enum rk_status restore_source_read(struct restore_source *source,
                                               struct rk_buf *records);

/* Takes one off the front of what was read; false: there are no more. */
bool restore_record_next(struct rk_bytes *rest, uint8_t *ret_type, struct rk_bytes *ret_body);

#endif
