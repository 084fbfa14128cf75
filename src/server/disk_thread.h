/* disk_thread.h -- the thread that owns the log store: writes, reads for peers that lag behind the
 * tail, checkpoints between batches.
 *
 * Jobs are done in the order they were submitted, but all writes that wait become one transaction
 * with one fsync (group commit). A finished job comes back through the results queue. The first
 * storage error ends it: no job after that is done, every one comes back with the error.
 *
 * Thread: submit and results on the node thread.
 */
#ifndef RK_SERVER_DISK_THREAD_H
#define RK_SERVER_DISK_THREAD_H

#include <stdbool.h>

#include "base/queue.h"
#include "server/disk_work.h"

enum { DISK_JOBS_MAX = 16384 };

struct disk_thread;

/* Takes `store` and `water` over; `dir` and `meter` are borrowed. dir and water are NULL with a memory store. A
 * write is reported done when its term and vote are in the high-water mark too; its last entry
 * follows there within HIGH_WATER_LAG_MS. */
struct disk_thread *disk_thread_start(struct log_store *store, struct high_water *water,
                                      struct data_dir *dir, struct rk_meter *meter);

/* Finishes what was submitted, joins, closes the store. NULL is allowed. */
void disk_thread_stop(struct disk_thread *disk);

/* Hands a job over. Never more than DISK_JOBS_MAX are under way (asserted: the node bounds what
 * it has in flight). */
void disk_submit(struct disk_thread *disk, struct disk_job *job);

/* The queue that finished jobs (struct disk_job *) come back by. */
struct rk_queue *disk_results(struct disk_thread *disk);

/* rk_monotonic_ms() at which the operation now running began; 0: idle. From any thread. */
uint64_t disk_busy_since_ms(const struct disk_thread *disk);

#endif
