#include "server/disk_thread.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"

enum { BATCH_MAX = 256, IDLE_WAIT_MS = 1000 };

struct disk_thread {
    struct disk_work work;
    struct rk_queue *jobs;
    struct rk_queue *results;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic uint64_t busy_since_ms;
};

static void give_back(struct disk_thread *disk, struct disk_job *const *jobs, uint32_t count)
{
    const enum rk_status status = rk_queue_push(disk->results, jobs, count);

    RK_ASSERT(status == RK_OK); /* as large as what can be under way */
}

/* Does the jobs in order; what is done comes back before the next is begun. */
static void run_batch(struct disk_thread *disk, struct disk_job *const *jobs, uint32_t count)
{
    uint32_t done = 0;

    while (done < count) {
        const uint32_t run = disk_work_run(&disk->work, jobs + done, count - done);
        give_back(disk, jobs + done, run);
        done += run;
    }
}

static uint32_t wait_ms(const struct disk_thread *disk)
{
    const uint64_t now_ms = rk_monotonic_ms();
    const uint64_t due_ms = disk_work_deadline_ms(&disk->work);

    if (due_ms <= now_ms) {
        return 0;
    }
    return due_ms - now_ms < IDLE_WAIT_MS ? (uint32_t)(due_ms - now_ms) : IDLE_WAIT_MS;
}

static void *disk_main(void *context)
{
    struct disk_thread *disk = context;
    struct disk_job *jobs[BATCH_MAX];

    while (true) {
        const uint32_t count = rk_queue_pop_wait(disk->jobs, jobs, BATCH_MAX, wait_ms(disk));
        if (count > 0) {
            const uint64_t now_us = rk_monotonic_us();
            rk_meter_wake(disk->work.meter, now_us);
            atomic_store(&disk->busy_since_ms, now_us / 1000);
            run_batch(disk, jobs, count);
            disk_work_maintain(&disk->work);
            atomic_store(&disk->busy_since_ms, 0);
            rk_meter_rest(disk->work.meter, rk_monotonic_us());
        }
        disk_work_flush(&disk->work, false);
        if (atomic_load(&disk->stopping) && rk_queue_count(disk->jobs) == 0) {
            return NULL;
        }
    }
}

struct disk_thread *disk_thread_start(struct log_store *store, struct high_water *water,
                                      struct data_dir *dir, struct rk_meter *meter)
{
    struct disk_thread *disk = rk_heap_zalloc(1, sizeof(*disk));

    disk->work = (struct disk_work){.store = store, .water = water, .dir = dir, .meter = meter};
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
    disk_work_flush(&disk->work, true);
    high_water_close(disk->work.water);
    log_store_close(disk->work.store);
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
