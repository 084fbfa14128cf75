/* disk_work.c -- jobs done, in order, on whatever thread asks: the disk's, or the simulator's. */
#include "server/disk_work.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/limits.h"

enum { READ_SIZE_MAX = RK_APPEND_BYTES_TARGET + 2 * RK_FRAME_SIZE_MAX };

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
 * reported, so that a vote is in both when its answer leaves. A log that has lost its end leaves the
 * mark where it was until it is refilled: the next start must know of the loss, too (pitfall 49). */
static enum rk_status note_high_water(struct disk_work *work)
{
    const struct log_bounds *bounds = &work->store->bounds;

    if (work->water == NULL) {
        return RK_OK;
    }
    const enum rk_status status = high_water_vote(work->water, &work->store->hard_state);
    if (status != RK_OK) {
        return status;
    }
    if (!high_water_is_reached(high_water_mark(work->water), bounds->last)) {
        return RK_OK;
    }
    return high_water_advance(work->water, bounds->last, bounds->last_chain, rk_monotonic_ms());
}

static void measure_begin(struct disk_work *work, struct disk_job *const *jobs, uint32_t count,
                          uint64_t now_us)
{
    uint64_t entries = 0;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct raft_write *write = &jobs[i]->write;
        rk_meter_since(work->meter, RK_MEASURE_DISK_WAIT, jobs[i]->submitted_us, now_us, 1);
        entries += write->entries_count;
        for (uint32_t j = 0; j < write->entries_count; j++) {
            bytes += write->entries[j].frame.size;
        }
    }
    rk_meter_add(work->meter, RK_MEASURE_WRITE_ENTRIES, entries, 1);
    rk_meter_add(work->meter, RK_MEASURE_WRITE_BYTES, bytes, 1);
}

static void measure_end(struct disk_work *work, uint64_t began_us, uint64_t now_us)
{
    if (work->failed == RK_OK) {
        rk_meter_since(work->meter, RK_MEASURE_DISK_WRITE, began_us, now_us, 1);
        rk_meter_add(work->meter, RK_MEASURE_DISK_SYNC, work->store->commit_us, 1);
    }
}

static void run_writes(struct disk_work *work, struct disk_job *const *jobs, uint32_t count)
{
    const struct raft_write *writes[DISK_WORK_MAX];
    const uint64_t began_us = rk_monotonic_us();

    for (uint32_t i = 0; i < count; i++) {
        writes[i] = &jobs[i]->write;
    }
    measure_begin(work, jobs, count, began_us);
    if (work->failed == RK_OK) {
        work->failed = log_store_write(work->store, writes, count);
    }
    if (work->failed == RK_OK) {
        work->failed = note_high_water(work);
    }
    const uint64_t done_us = rk_monotonic_us();
    measure_end(work, began_us, done_us);
    for (uint32_t i = 0; i < count; i++) {
        jobs[i]->status = work->failed;
        jobs[i]->done_us = done_us;
    }
}

static enum rk_status run_space(struct disk_work *work, struct disk_job *job)
{
    if (work->dir == NULL) {
        job->space = (struct data_dir_space){.free_bytes = UINT64_MAX};
        return RK_OK;
    }
    return data_dir_space(work->dir, &job->space);
}

static enum rk_status forget(struct disk_work *work, const struct disk_job *job, bool is_above)
{
    enum rk_status status = RK_OK;

    for (uint32_t i = 0; status == RK_OK && i < job->forgotten_count; i++) {
        if ((job->forgotten[i] >= job->noted.id.index) == is_above) {
            status = log_store_remove_snapshot(work->store, job->forgotten[i]);
        }
    }
    return status;
}

/* Where there is none, the oldest of those that go makes it: what the log needs to begin after is still
 * there when the process ends in between. */
static enum rk_status make_place(struct disk_work *work, const struct disk_job *job)
{
    if (work->store->snapshots_count < LOG_SNAPSHOTS_MAX) {
        return RK_OK;
    }
    RK_ASSERT(job->forgotten_count > 0); /* the node has looked */
    return log_store_remove_snapshot(work->store, job->forgotten[0]);
}

/* The new one is there before older ones go. */
static enum rk_status run_snapshot(struct disk_work *work, struct disk_job *job)
{
    job->noted.config = rk_buf_bytes(&job->frames);
    enum rk_status status = forget(work, job, true);
    if (status == RK_OK) {
        status = make_place(work, job);
    }
    if (status == RK_OK) {
        status = log_store_add_snapshot(work->store, &job->noted);
    }
    if (status == RK_OK) {
        status = forget(work, job, false);
    }
    return status;
}

static enum rk_status run_compact(struct disk_work *work, struct disk_job *job)
{
    const enum rk_status status =
        log_store_compact(work->store, job->last, job->entries_max, &job->is_more);

    job->base = work->store->bounds.base;
    job->base_chain = work->store->bounds.base_chain;
    return status;
}

static enum rk_status run_one(struct disk_work *work, struct disk_job *job)
{
    switch (job->type) {
    case DISK_SPACE:
        return run_space(work, job);
    case DISK_SNAPSHOT:
        return run_snapshot(work, job);
    case DISK_COMPACT:
        return run_compact(work, job);
    case DISK_READ:
    case DISK_WRITE:
        break;
    }
    return log_store_read(work->store, job->first, job->last, job->bytes_max, &job->frames,
                          &job->read_last);
}

/* What a failed write of any kind has begun ends all. */
static void run_other(struct disk_work *work, struct disk_job *job)
{
    const uint64_t began_us = rk_monotonic_us();

    if (work->failed == RK_OK) {
        job->status = run_one(work, job);
        job->took_us = rk_monotonic_us() - began_us;
        if (job->type == DISK_SNAPSHOT || job->type == DISK_COMPACT) {
            work->failed = job->status;
        }
        return;
    }
    job->status = work->failed;
}

uint32_t disk_work_run(struct disk_work *work, struct disk_job *const *jobs, uint32_t count)
{
    uint32_t run = 0;

    while (run < count && run < DISK_WORK_MAX && jobs[run]->type == DISK_WRITE) {
        run++;
    }
    if (run == 0) {
        run_other(work, jobs[0]);
        return 1;
    }
    run_writes(work, jobs, run);
    return run;
}

void disk_work_maintain(struct disk_work *work)
{
    if (work->failed == RK_OK) {
        work->failed = log_store_maintain(work->store);
    }
}

uint64_t disk_work_deadline_ms(const struct disk_work *work)
{
    return work->water == NULL || work->failed != RK_OK ? UINT64_MAX
                                                        : high_water_deadline_ms(work->water);
}

void disk_work_flush(struct disk_work *work, bool is_last)
{
    const uint64_t now_ms = rk_monotonic_ms();
    const uint64_t due_ms = disk_work_deadline_ms(work);

    if (due_ms <= now_ms || (is_last && due_ms != UINT64_MAX)) {
        work->failed = high_water_flush(work->water, now_ms);
    }
}
