/* spool.h -- bytes that are too many to hold, until somebody works on them: a file without a name, gone
 * with the process whatever becomes of it.
 *
 * Thread: one at a time. Nothing is synced: what is here is nobody's only copy.
 */
#ifndef RK_STORAGE_SPOOL_H
#define RK_STORAGE_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct spool;

/* An empty one, in the file system of `directory`. Errors: RK_IO, RK_FULL; *ret is then untouched. */
RK_MUST_USE enum rk_status spool_open(const char *directory, struct spool **ret);
void spool_close(struct spool *spool); /* NULL is allowed */

/* Errors: RK_IO, RK_FULL. */
RK_MUST_USE enum rk_status spool_append(struct spool *spool, const uint8_t *data, size_t size);
uint64_t spool_size(const struct spool *spool);

/* A snap_read (snap_file.h); the context is the spool. */
enum rk_status spool_read(void *context, uint64_t offset, uint8_t *to, size_t size,
                          size_t *ret_size);

#endif
