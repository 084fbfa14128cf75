#include "server/disk_thread.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/limits.h"

enum {
    BATCH_MAX = 256,
    IDLE_WAIT_MS = 1000,
    READ_SIZE_MAX = RK_APPEND_BYTES_TARGET + 2 * RK_FRAME_SIZE_MAX,
};

struct disk_thread {
    struct log_store *store;
    struct high_water *water;
    struct data_dir *dir;
    struct rk_queue *jobs;
    struct rk_queue *results;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic uint64_t busy_since_ms;
    enum rk_status failed; /* the first storage error; sticky */
};

struct disk_job *disk_job_new(enum disk_job_type type)
{
    struct disk_job *job = rk_heap_zalloc(1, sizeof(*job));

    job->type = type;
    rk_buf_init(&job->frames, READ_SIZE_MAX);
    return job;
}

void disk_job_free(struct disk_job *job)
{
    for (uint32_t i = 0; i < job->blocks_count; i++) {
        block_unref(job->blocks[i]);
    }
    rk_heap_free(job->blocks);
    rk_heap_free(job->entries);
    rk_buf_done(&job->frames);
    rk_heap_free(job);
}

/* After the store, so that the mark never promises more than the log holds; before the jobs are
 * reported, so that a vote is in both when its answer leaves. */
static enum rk_status note_high_water(struct disk_thread *disk)
{
    const struct log_bounds *bounds = &disk->store->bounds;

    if (disk->water == NULL) {
        return RK_OK;
    }
    const enum rk_status status = high_water_vote(disk->water, &disk->store->hard_state);
    if (status != RK_OK) {
        return status;
    }
    return high_water_advance(disk->water, bounds->last, bounds->last_chain, rk_monotonic_ms());
}

static void run_writes(struct disk_thread *disk, struct disk_job *const *jobs, uint32_t count)
{
    const struct raft_write *writes[BATCH_MAX];

    for (uint32_t i = 0; i < count; i++) {
        writes[i] = &jobs[i]->write;
    }
    if (disk->failed == RK_OK) {
        disk->failed = log_store_write(disk->store, writes, count);
    }
    if (disk->failed == RK_OK) {
        disk->failed = note_high_water(disk);
    }
    for (uint32_t i = 0; i < count; i++) {
        jobs[i]->status = disk->failed;
    }
}

static enum rk_status run_space(struct disk_thread *disk, struct disk_job *job)
{
    if (disk->dir == NULL) {
        job->space = (struct data_dir_space){.free_bytes = UINT64_MAX};
        return RK_OK;
    }
    return data_dir_space(disk->dir, &job->space);
}

static void run_other(struct disk_thread *disk, struct disk_job *job)
{
    if (disk->failed != RK_OK) {
        job->status = disk->failed;
        return;
    }
    if (job->type == DISK_SPACE) {
        job->status = run_space(disk, job);
        return;
    }
    job->status = log_store_read(disk->store, job->first, job->last, job->bytes_max, &job->frames,
                                 &job->read_last);
}

static void give_back(struct disk_thread *disk, struct disk_job *const *jobs, uint32_t count)
{
    const enum rk_status status = rk_queue_push(disk->results, jobs, count);

    RK_ASSERT(status == RK_OK); /* as large as what can be under way */
}

/* Does the jobs in order, taking runs of writes together. */
static void run_batch(struct disk_thread *disk, struct disk_job *const *jobs, uint32_t count)
{
    uint32_t done = 0;

    while (done < count) {
        uint32_t run = 0;
        while (done + run < count && jobs[done + run]->type == DISK_WRITE) {
            run++;
        }
        if (run > 0) {
            run_writes(disk, jobs + done, run);
        } else {
            run = 1;
            run_other(disk, jobs[done]);
        }
        give_back(disk, jobs + done, run);
        done += run;
    }
}

static void maintain(struct disk_thread *disk)
{
    if (disk->failed == RK_OK) {
        disk->failed = log_store_maintain(disk->store);
    }
}

static uint64_t flush_due_ms(const struct disk_thread *disk)
{
    return disk->water == NULL || disk->failed != RK_OK ? UINT64_MAX
                                                        : high_water_deadline_ms(disk->water);
}

static uint32_t wait_ms(const struct disk_thread *disk)
{
    const uint64_t now_ms = rk_monotonic_ms();
    const uint64_t due_ms = flush_due_ms(disk);

    if (due_ms <= now_ms) {
        return 0;
    }
    return due_ms - now_ms < IDLE_WAIT_MS ? (uint32_t)(due_ms - now_ms) : IDLE_WAIT_MS;
}

static void flush_high_water(struct disk_thread *disk, bool is_last)
{
    const uint64_t now_ms = rk_monotonic_ms();
    const uint64_t due_ms = flush_due_ms(disk);

    if (due_ms <= now_ms || (is_last && due_ms != UINT64_MAX)) {
        disk->failed = high_water_flush(disk->water, now_ms);
    }
}

static void *disk_main(void *context)
{
    struct disk_thread *disk = context;
    struct disk_job *jobs[BATCH_MAX];

    while (true) {
        const uint32_t count = rk_queue_pop_wait(disk->jobs, jobs, BATCH_MAX, wait_ms(disk));
        if (count > 0) {
            atomic_store(&disk->busy_since_ms, rk_monotonic_ms());
            run_batch(disk, jobs, count);
            maintain(disk);
            atomic_store(&disk->busy_since_ms, 0);
        }
        flush_high_water(disk, false);
        if (atomic_load(&disk->stopping) && rk_queue_count(disk->jobs) == 0) {
            return NULL;
        }
    }
}

struct disk_thread *disk_thread_start(struct log_store *store, struct high_water *water,
                                      struct data_dir *dir)
{
    struct disk_thread *disk = rk_heap_zalloc(1, sizeof(*disk));

    disk->store = store;
    disk->water = water;
    disk->dir = dir;
    disk->jobs = rk_queue_new(DISK_JOBS_MAX, sizeof(struct disk_job *));
    disk->results = rk_queue_new(DISK_JOBS_MAX, sizeof(struct disk_job *));
    const int failed = pthread_create(&disk->thread, NULL, disk_main, disk);
    RK_ASSERT(failed == 0);
    (void)pthread_setname_np(disk->thread, "rk-disk");
    return disk;
}

void disk_thread_stop(struct disk_thread *disk)
{
    if (disk == NULL) {
        return;
    }
    atomic_store(&disk->stopping, true);
    /* A job that changes nothing wakes the thread, which ends once the queue is empty. */
    disk_submit(disk, disk_job_new(DISK_SPACE));
    const int failed = pthread_join(disk->thread, NULL);
    RK_ASSERT(failed == 0);

    struct disk_job *job = NULL;
    while (rk_queue_pop(disk->results, &job, 1) == 1) {
        disk_job_free(job);
    }
    rk_queue_free(disk->jobs);
    rk_queue_free(disk->results);
    flush_high_water(disk, true);
    high_water_close(disk->water);
    log_store_close(disk->store);
    rk_heap_free(disk);
}

void disk_submit(struct disk_thread *disk, struct disk_job *job)
{
    if (job->type == DISK_WRITE) {
        RK_ASSERT(job->write_number != 0);
    }
    const enum rk_status status = rk_queue_push(disk->jobs, &job, 1);
    RK_ASSERT(status == RK_OK);
}

struct rk_queue *disk_results(struct disk_thread *disk)
{
    return disk->results;
}

uint64_t disk_busy_since_ms(const struct disk_thread *disk)
{
    return atomic_load(&disk->busy_since_ms);
}
