/* disk_work.h -- jobs for the disk, and how they are done: no thread and no queue here.
 *
 * All writes that wait become one transaction with one fsync (group commit), after which the
 * high-water mark follows. The first storage error ends it: no job after that is done, every one
 * comes back with the error (F2).
 *
 * Thread: that of the caller, one at a time: the disk thread.
 */
#ifndef RK_SERVER_DISK_WORK_H
#define RK_SERVER_DISK_WORK_H

#include "base/buf.h"
#include "base/meter.h"
#include "base/status.h"
#include "raft/types.h"
#include "server/block.h"
#include "storage/data_dir.h"
#include "storage/high_water.h"
#include "storage/log_store.h"

enum { DISK_WORK_MAX = 256 }; /* writes in one transaction */

enum disk_job_type { DISK_WRITE = 1, DISK_READ, DISK_SPACE, DISK_SNAPSHOT, DISK_COMPACT };

struct disk_job {
    enum disk_job_type type;
    enum rk_status status; /* set when it comes back */
    uint64_t cookie;       /* the submitter's */
    uint64_t submitted_us; /* DISK_WRITE; rk_monotonic_us() */
    uint64_t done_us;      /* the same: it became durable */

    /* DISK_WRITE: done when durable. The job holds the blocks that its entries point into. */
    uint64_t write_number;
    struct raft_write write;
    struct raft_snapshot installed; /* write.snapshot points here, or to nothing */
    struct raft_entry *entries;     /* write.entries points here */
    struct block **blocks;
    uint32_t blocks_count;

    uint64_t took_us; /* DISK_READ, DISK_COMPACT: the disk thread did nothing else for so long */

    /* DISK_READ: frames of first .. last, at least one, at most about bytes_max bytes. */
    raft_index first;
    raft_index last;
    size_t bytes_max;
    struct rk_buf frames;
    raft_index read_last;

    /* DISK_SPACE: room on the file system. */
    struct data_dir_space space;

    /* DISK_SNAPSHOT: notes `noted` down, its configuration in `frames`, and forgets those of
     * `forgotten`; those at and above its index first. */
    struct log_snapshot noted;
    raft_index forgotten[LOG_SNAPSHOTS_MAX];
    uint32_t forgotten_count;

    /* DISK_COMPACT: at most `entries_max` entries up to `last` go; `base` is then the log's. */
    uint32_t entries_max;
    bool is_more;
    struct raft_entry_id base;
    uint64_t base_chain;
};

struct disk_job *disk_job_new(enum disk_job_type type);
void disk_job_free(struct disk_job *job); /* releases its blocks; on the node thread */

/* What the jobs are done on; owned by whoever runs them. */
struct disk_work {
    struct log_store *store;
    struct high_water *water; /* NULL with a memory store; so is dir */
    struct data_dir *dir;
    enum rk_status failed;  /* the first storage error; sticky */
    struct rk_meter *meter; /* NULL: nobody measures */
};

/* Does the first of `jobs` and, when it is a write, the writes right behind it with it; returns how
 * many have their status now. A write is RK_OK when it is durable, its term and vote in the
 * high-water mark too. */
uint32_t disk_work_run(struct disk_work *work, struct disk_job *const *jobs, uint32_t count);

/* Between batches: the store's own upkeep. */
void disk_work_maintain(struct disk_work *work);

/* When the high-water mark wants to be flushed; UINT64_MAX: not at all. */
uint64_t disk_work_deadline_ms(const struct disk_work *work);
/* Flushes it when that is due, or, `is_last`, when anything waits. */
void disk_work_flush(struct disk_work *work, bool is_last);

#endif
