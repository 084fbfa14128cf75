/* doors_snap.c -- the snapshot worker of a host: every job is done where it is submitted. Hosts take
 * no snapshots yet (their options are far from it), so there is nothing here that a crash could tear. */
#include "base/assert.h"
#include "base/heap.h"
#include "sim/node/world.h"

struct snap_thread {
    struct snap_work work;
    struct host *host;
    struct rk_queue *results;
};

struct snap_thread *snap_thread_start(struct snap_store *store)
{
    struct snap_thread *snaps = rk_heap_zalloc(1, sizeof(*snaps));

    snaps->work.store = store;
    snaps->host = sim_world->current;
    snaps->results = rk_queue_new(SNAP_JOBS_MAX, sizeof(struct snap_job *));
    return snaps;
}

void snap_submit(struct snap_thread *snaps, struct snap_job *job)
{
    struct snap_job *done = snap_work_run(&snaps->work, job) ? job : NULL;

    while (done == NULL) {
        done = snap_work_slice(&snaps->work);
    }
    const enum rk_status status = rk_queue_push(snaps->results, &done, 1);
    RK_ASSERT(status == RK_OK);
    host_wake(snaps->host, 0);
}

struct rk_queue *snap_results(struct snap_thread *snaps)
{
    return snaps->results;
}

void snap_thread_stop(struct snap_thread *snaps)
{
    struct snap_job *job = NULL;

    if (snaps == NULL) {
        return;
    }
    while (rk_queue_pop(snaps->results, &job, 1) == 1) {
        snap_job_free(job);
    }
    rk_queue_free(snaps->results);
    snap_store_close(snaps->work.store);
    rk_heap_free(snaps);
}
