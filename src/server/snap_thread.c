#include "server/snap_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"

enum {
    IDLE_WAIT_MS = 10 * 1000,
    SLICE_EVERY_MS = 20, /* some 50 MiB/s: a snapshot as fast as the disk takes it holds the log's
                            own writes up for seconds */
    PAUSE_MS_MAX = 1000, /* after a disk that hung */
    NICENESS = 10,       /* building a state of a million keys takes a core for seconds */
};

struct snap_thread {
    struct snap_work work;
    struct rk_queue *jobs;
    struct rk_queue *results;
    uint64_t slice_due_ms; /* of what is being taken; not before */
    pthread_t thread;
    _Atomic bool stopping;
};

static void give_back(struct snap_thread *snaps, struct snap_job *job)
{
    const enum rk_status status = rk_queue_push(snaps->results, &job, 1);

    RK_ASSERT(status == RK_OK); /* as large as what can be under way */
}

static uint32_t wait_ms(const struct snap_thread *snaps)
{
    if (snaps->work.taking == NULL) {
        return IDLE_WAIT_MS;
    }
    const uint64_t now_ms = rk_monotonic_ms();
    return snaps->slice_due_ms > now_ms ? (uint32_t)(snaps->slice_due_ms - now_ms) : 0;
}

/* Where the disk is busy a slice takes long, and the pause is as long; a longer one would keep what the
 * root holds in memory for longer, and leave more of the log to be applied at the next start. */
static uint64_t next_slice_ms(uint64_t began_ms, uint64_t ended_ms)
{
    const uint64_t took_ms = ended_ms - began_ms;
    const uint64_t paused_ms = ended_ms + (took_ms < PAUSE_MS_MAX ? took_ms : PAUSE_MS_MAX);

    return paused_ms > began_ms + SLICE_EVERY_MS ? paused_ms : began_ms + SLICE_EVERY_MS;
}

/* One job, or one slice. */
static void work_on(struct snap_thread *snaps)
{
    struct snap_job *job = NULL;

    if (rk_queue_pop_wait(snaps->jobs, &job, 1, wait_ms(snaps)) == 1) {
        if (snap_work_run(&snaps->work, job)) {
            give_back(snaps, job);
        }
        return;
    }
    if (snaps->work.taking == NULL) {
        return;
    }
    const uint64_t began_ms = rk_monotonic_ms();
    job = snap_work_slice(&snaps->work);
    snaps->slice_due_ms = next_slice_ms(began_ms, rk_monotonic_ms());
    if (job != NULL) {
        give_back(snaps, job);
    }
}

static void *snap_main(void *context)
{
    struct snap_thread *snaps = context;

    const id_t self = (id_t)gettid();
    if (getpriority(PRIO_PROCESS, self) < NICENESS) {    /* the node may be nicer than that */
        (void)setpriority(PRIO_PROCESS, self, NICENESS); /* of this thread; else it does without */
    }
    while (!atomic_load(&snaps->stopping) || rk_queue_count(snaps->jobs) > 0) {
        work_on(snaps);
    }
    return NULL;
}

struct snap_thread *snap_thread_start(struct snap_store *store)
{
    struct snap_thread *snaps = rk_heap_zalloc(1, sizeof(*snaps));

    snaps->work.store = store;
    snaps->jobs = rk_queue_new(SNAP_JOBS_MAX, sizeof(struct snap_job *));
    snaps->results = rk_queue_new(SNAP_JOBS_MAX, sizeof(struct snap_job *));
    const int failed = pthread_create(&snaps->thread, NULL, snap_main, snaps);
    RK_ASSERT(failed == 0);
    (void)pthread_setname_np(snaps->thread, "rk-snap");
    return snaps;
}

void snap_thread_stop(struct snap_thread *snaps)
{
    if (snaps == NULL) {
        return;
    }
    struct snap_job *job = snap_job_new(SNAP_FREE); /* frees nothing, and wakes the thread */
    atomic_store(&snaps->stopping, true);
    snap_submit(snaps, job);
    const int failed = pthread_join(snaps->thread, NULL);
    RK_ASSERT(failed == 0);
    while (rk_queue_pop(snaps->results, &job, 1) == 1) {
        snap_job_free(job);
    }
    job = snap_work_stop(&snaps->work);
    if (job != NULL) {
        snap_job_free(job);
    }
    rk_queue_free(snaps->jobs);
    rk_queue_free(snaps->results);
    snap_store_close(snaps->work.store);
    rk_heap_free(snaps);
}

void snap_submit(struct snap_thread *snaps, struct snap_job *job)
{
    const enum rk_status status = rk_queue_push(snaps->jobs, &job, 1);

    RK_ASSERT(status == RK_OK);
}

struct rk_queue *snap_results(struct snap_thread *snaps)
{
    return snaps->results;
}
