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

#include "base/buf.h"
#include "base/queue.h"
#include "base/status.h"
#include "raft/types.h"
#include "server/block.h"
#include "storage/data_dir.h"
#include "storage/high_water.h"
#include "storage/log_store.h"

enum { DISK_JOBS_MAX = 16384 };

enum disk_job_type { DISK_WRITE = 1, DISK_READ, DISK_SPACE };

struct disk_job {
    enum disk_job_type type;
    enum rk_status status; /* set when it comes back */
    uint64_t cookie;       /* the submitter's */

    /* DISK_WRITE: done when durable. The job holds the blocks that its entries point into. */
    uint64_t write_number;
    struct raft_write write;
    struct raft_entry *entries; /* write.entries points here */
    struct block **blocks;
    uint32_t blocks_count;

    /* DISK_READ: frames of first .. last, at least one, at most about bytes_max bytes. */
    raft_index first;
    raft_index last;
    size_t bytes_max;
    struct rk_buf frames;
    raft_index read_last;

    /* DISK_SPACE: room on the file system. */
    struct data_dir_space space;
};

struct disk_thread;

/* Takes `store` and `water` over; `dir` is borrowed. dir and water are NULL with a memory store. A
 * write is reported done when its term and vote are in the high-water mark too; its last entry
 * follows there within HIGH_WATER_LAG_MS. */
struct disk_thread *disk_thread_start(struct log_store *store, struct high_water *water,
                                      struct data_dir *dir);

/* Finishes what was submitted, joins, closes the store. NULL is allowed. */
void disk_thread_stop(struct disk_thread *disk);

/* Hands a job over. Never more than DISK_JOBS_MAX are under way (asserted: the node bounds what
 * it has in flight). */
void disk_submit(struct disk_thread *disk, struct disk_job *job);

/* The queue that finished jobs (struct disk_job *) come back by. */
struct rk_queue *disk_results(struct disk_thread *disk);

/* rk_monotonic_ms() at which the operation now running began; 0: idle. From any thread. */
uint64_t disk_busy_since_ms(const struct disk_thread *disk);

struct disk_job *disk_job_new(enum disk_job_type type);
void disk_job_free(struct disk_job *job); /* releases its blocks; on the node thread */

#endif
