/* disk_work.c -- jobs done, in order, on whatever thread asks: the disk's, or the simulator's. */
#include "server/disk_work.h"

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
 * reported, so that a vote is in both when its answer leaves. */
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
    return high_water_advance(work->water, bounds->last, bounds->last_chain, rk_monotonic_ms());
}

static void run_writes(struct disk_work *work, struct disk_job *const *jobs, uint32_t count)
{
    const struct raft_write *writes[DISK_WORK_MAX];

    for (uint32_t i = 0; i < count; i++) {
        writes[i] = &jobs[i]->write;
    }
    if (work->failed == RK_OK) {
        work->failed = log_store_write(work->store, writes, count);
    }
    if (work->failed == RK_OK) {
        work->failed = note_high_water(work);
    }
    for (uint32_t i = 0; i < count; i++) {
        jobs[i]->status = work->failed;
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

static void run_other(struct disk_work *work, struct disk_job *job)
{
    if (work->failed != RK_OK) {
        job->status = work->failed;
        return;
    }
    if (job->type == DISK_SPACE) {
        job->status = run_space(work, job);
        return;
    }
    job->status = log_store_read(work->store, job->first, job->last, job->bytes_max, &job->frames,
                                 &job->read_last);
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
