/* doors_snap.c -- the snapshot worker of a host: jobs take their time, one after the other, and a
 * snapshot is taken in slices between them, as by server/snap_thread.c. A crash comes between any two
 * operations on a file. What is done is production code (server/snap_work.c, storage/snap_store_file.c)
 * over the modelled directory of simfs.h. */
#include <errno.h>

#include "base/assert.h"
#include "base/heap.h"
#include "sim/node/simfs.h"
#include "sim/node/world.h"

enum { OPERATIONS_MAX = 12 }; /* on files, that a job comes to, but for large ones */

struct snap_thread {
    struct snap_work work;
    struct host *host;
    struct rk_queue *jobs;
    struct rk_queue *results;
    bool is_working;
};

struct snap_thread *snap_thread_start(struct snap_store *store)
{
    struct snap_thread *snaps = rk_heap_zalloc(1, sizeof(*snaps));

    snaps->work.store = store;
    snaps->host = sim_world->current;
    snaps->host->snaps = snaps;
    snaps->jobs = rk_queue_new(SNAP_JOBS_MAX, sizeof(struct snap_job *));
    snaps->results = rk_queue_new(SNAP_JOBS_MAX, sizeof(struct snap_job *));
    return snaps;
}

struct rk_queue *snap_results(struct snap_thread *snaps)
{
    return snaps->results;
}

/* A piece is as short as it likes to be: a snapshot here is small, and shall need several. */
static void cut_piece(struct world *world, struct snap_job *job)
{
    const uint32_t most = world->knobs.piece_size;

    if (job->type == SNAP_PIECE && job->status == RK_OK && job->bytes.size > most) {
        job->bytes.size = most;
    }
}

/* One job, or one slice; NULL: it is not over. */
static struct snap_job *work(struct snap_thread *snaps)
{
    struct snap_job *job = NULL;

    if (rk_queue_pop(snaps->jobs, &job, 1) == 1) {
        return snap_work_run(&snaps->work, job) ? job : NULL;
    }
    return snaps->work.taking != NULL ? snap_work_slice(&snaps->work) : NULL;
}

static void count(struct world *world, const struct snap_job *job)
{
    struct nodesim_counts *counts = world->counts;

    counts->snapshots_taken += job->type == SNAP_TAKE && job->status == RK_OK;
    counts->snapshots_refused += job->type == SNAP_TAKE && job->status == RK_FULL;
    counts->snapshot_pieces += job->type == SNAP_RECEIVE && job->status == RK_OK;
    counts->snapshots_received += job->type == SNAP_BUILD && job->status == RK_OK;
}

static void begin(struct snap_thread *snaps);

static void on_done(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct snap_thread *snaps = context;

    if (!world->is_healing && tape_chance(&world->tape, TAPE_DISK, world->knobs.snap_crash)) {
        host_crash(host, "in a job on a snapshot");
        fault_start_later(host, 800);
        return;
    }
    const struct place before = host_enter(host);
    struct snap_job *job = work(snaps);

    (void)number;
    snaps->is_working = false;
    if (job != NULL) {
        cut_piece(world, job);
        count(world, job);
        const enum rk_status status = rk_queue_push(snaps->results, &job, 1);
        RK_ASSERT(status == RK_OK);
        host_wake(host, 0);
    }
    if (rk_queue_count(snaps->jobs) > 0 || snaps->work.taking != NULL) {
        begin(snaps);
    }
    host_leave(before);
}

static void begin(struct snap_thread *snaps)
{
    struct world *world = sim_world;

    snaps->is_working = true;
    const uint64_t us = tape_around(&world->tape, TAPE_DISK, 4 * world->knobs.disk_us) + 20;
    world_at(world, world->now_us + us, on_done, snaps->host, snaps, 0);
}

void snap_submit(struct snap_thread *snaps, struct snap_job *job)
{
    const enum rk_status status = rk_queue_push(snaps->jobs, &job, 1);

    RK_ASSERT(status == RK_OK);
    if (!snaps->is_working) {
        begin(snaps);
    }
}

/* The machine goes down in the middle of what is under way. */
void sim_snap_crash(struct snap_thread *snaps)
{
    struct host *host = snaps->host;

    if (snaps->is_working) {
        const uint32_t at = 1 + tape_draw(&host->world->tape, TAPE_DISK, OPERATIONS_MAX);
        simfs_arm(host->files, at, EIO, true);
        (void)work(snaps);
        host->world->counts->torn_snapshots += simfs_has_failed(host->files);
    }
    host->snaps = NULL;
}

void snap_thread_stop(struct snap_thread *snaps)
{
    struct snap_job *job = NULL;

    if (snaps == NULL) {
        return;
    }
    while (rk_queue_count(snaps->jobs) > 0) {
        job = work(snaps);
        if (job != NULL) {
            snap_job_free(job);
        }
    }
    while (rk_queue_pop(snaps->results, &job, 1) == 1) {
        snap_job_free(job);
    }
    job = snap_work_stop(&snaps->work);
    if (job != NULL) {
        snap_job_free(job);
    }
    snap_store_close(snaps->work.store);
    snaps->host->snaps = NULL;
    rk_queue_free(snaps->jobs);
    rk_queue_free(snaps->results);
    rk_heap_free(snaps);
}
