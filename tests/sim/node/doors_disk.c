/* doors_disk.c -- the disk of a host: jobs take their time, all writes that wait become one
 * transaction, and a crash leaves of what was under way all or nothing, or, where SQLite does the
 * writing, whatever its file system kept. What is done to the store is production code
 * (server/disk_work.c). */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "sim/node/world.h"
#include "storage_vfs.h"

struct disk_thread {
    struct disk_work work;
    struct host *host;
    struct rk_queue *results;
    struct disk_job **jobs;
    uint32_t jobs_count;
    uint32_t jobs_capacity;
    uint32_t under_way; /* the first of them */
    uint64_t busy_since_ms;
};

struct disk_thread *disk_thread_start(struct log_store *store, struct high_water *water,
                                      struct data_dir *dir, struct rk_meter *meter)
{
    struct disk_thread *disk = rk_heap_zalloc(1, sizeof(*disk));

    RK_ASSERT(dir == NULL);
    disk->work = (struct disk_work){.store = store, .water = water, .meter = meter};
    disk->host = sim_world->current;
    disk->host->disk = disk;
    disk->results = rk_queue_new(DISK_JOBS_MAX, sizeof(struct disk_job *));
    return disk;
}

struct rk_queue *disk_results(struct disk_thread *disk)
{
    return disk->results;
}

uint64_t disk_busy_since_ms(const struct disk_thread *disk)
{
    return disk->busy_since_ms;
}

/* -- what became durable -- */

void image_free(struct image *image)
{
    free(image->entries);
    *image = (struct image){0};
}

static void image_make(struct image *image)
{
    if (image->entries == NULL) {
        image->entries = calloc(LOG_MAX, sizeof(struct image_entry));
        RK_ASSERT(image->entries != NULL);
    }
}

void image_take_snapshot(struct image *image, raft_index index)
{
    const struct world *world = sim_world;

    if (index > world->committed_last) {
        world_fail("O3", "a snapshot is of entry %llu, which is not committed",
                   (unsigned long long)index);
    }
    image_make(image);
    for (raft_index i = 1; i <= index; i++) {
        image->entries[i] = (struct image_entry){.term = world->committed[i].term,
                                                 .chain = world->committed[i].chain};
    }
    image->base = index;
    image->last = index;
}

void image_append(struct image *image, const struct rk_frame *frame)
{
    RK_ASSERT(frame->index == image->last + 1 && frame->index < LOG_MAX);
    image_make(image);
    image->last = frame->index;
    image->entries[frame->index] = (struct image_entry){.term = frame->term, .chain = frame->chain};
}

static void image_write(struct image *image, const struct raft_write *write)
{
    if (write->has_hard_state) {
        image->hard_state = write->hard_state;
    }
    if (write->snapshot != NULL) {
        image_take_snapshot(image, write->snapshot->id.index);
        sim_world->counts->snapshots_installed++;
    }
    if (write->truncate_from != 0) {
        image->last = write->truncate_from - 1;
    }
    for (uint32_t i = 0; i < write->entries_count; i++) {
        struct rk_frame frame;
        uint32_t size = 0;
        const enum rk_status status = rk_frame_read(write->entries[i].frame, &frame, &size);
        RK_ASSERT(status == RK_OK);
        image_append(image, &frame);
    }
}

/* -- work -- */

static void finish_run(struct disk_thread *disk, struct disk_job *const *jobs, uint32_t count)
{
    struct host *host = disk->host;

    for (uint32_t i = 0; i < count; i++) {
        if (jobs[i]->type == DISK_WRITE && jobs[i]->status == RK_OK) {
            image_write(&host->durable, &jobs[i]->write);
        }
        if (jobs[i]->type == DISK_SPACE && host->is_disk_full) {
            jobs[i]->space = (struct data_dir_space){.soft_limit_bytes = 1, .is_nearly_full = true};
        }
    }
}

/* SQLite's files fail at the operation that was drawn, and stay dead; a store in memory at once. */
static void arm_failure(struct disk_thread *disk)
{
    struct host *host = disk->host;

    if (host->store_fails_at == 0) {
        return;
    }
    if (host->world->knobs.has_sqlite) {
        test_vfs_fail_at(host->store_fails_at, SQLITE_IOERR, host->stays_dead);
    } else if (disk->work.failed == RK_OK) {
        disk->work.failed = RK_IO;
    }
    host->world->counts->storage_errors++;
}

/* Pitfall 48: after an error of its disk a write is not tried again. */
static void check_failure(const struct disk_thread *disk, const struct disk_job *job)
{
    const struct host *host = disk->host;
    const bool has_failed = host->world->knobs.has_sqlite && host->store_fails_at != 0 &&
                            test_vfs_operations() >= host->store_fails_at;

    if (has_failed && job->type == DISK_WRITE && job->status == RK_OK) {
        world_fail("O3", "a write of n%u is said to be durable, and its disk has failed",
                   host->number + 1);
    }
}

/* All that is under way. What the store keeps outlives the process, what it read for it does not. */
static void run_jobs(struct disk_thread *disk)
{
    uint32_t done = 0;

    arm_failure(disk);
    while (done < disk->under_way) {
        const bool is_write = disk->jobs[done]->type != DISK_READ;
        struct sim_heap *before =
            sim_heap_use(is_write ? &disk->host->disk_heap : &disk->host->heap);
        const uint32_t run = disk_work_run(&disk->work, disk->jobs + done, disk->under_way - done);
        (void)sim_heap_use(before);
        check_failure(disk, disk->jobs[done]);
        finish_run(disk, disk->jobs + done, run);
        done += run;
    }
    if (disk->host->world->knobs.has_sqlite) {
        test_vfs_fail_at(0, SQLITE_OK, false);
    }
}

static void begin(struct disk_thread *disk);

static void on_done(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct disk_thread *disk = context;
    const struct place before = host_enter(host);

    (void)world;
    (void)number;
    run_jobs(disk);
    disk_work_maintain(&disk->work);
    disk_work_flush(&disk->work, false);
    const enum rk_status status = rk_queue_push(disk->results, disk->jobs, disk->under_way);
    RK_ASSERT(status == RK_OK);
    disk->jobs_count -= disk->under_way;
    memmove(disk->jobs, disk->jobs + disk->under_way, disk->jobs_count * sizeof(disk->jobs[0]));
    disk->under_way = 0;
    disk->busy_since_ms = 0;
    if (disk->jobs_count > 0) {
        begin(disk);
    }
    host_leave(before);
    host_wake(host, 0);
}

static uint64_t latency_us(struct world *world, struct host *host)
{
    uint64_t us = tape_around(&world->tape, TAPE_DISK, world->knobs.disk_us) + 20;

    if (!world->is_healing && tape_chance(&world->tape, TAPE_DISK, world->knobs.disk_stall)) {
        world->counts->disk_stalls++;
        us += (uint64_t)tape_log_between(&world->tape, TAPE_DISK, 20, 6000) * MS;
        world_tell(world, host, "its disk stalls for %llu ms", (unsigned long long)(us / MS));
    }
    if (world->now_us + us > world->stall_until_us) {
        world->stall_until_us = world->now_us + us;
    }
    return us;
}

static void begin(struct disk_thread *disk)
{
    struct world *world = sim_world;

    disk->under_way = disk->jobs_count < DISK_WORK_MAX ? disk->jobs_count : DISK_WORK_MAX;
    disk->busy_since_ms = rk_monotonic_ms();
    world_at(world, world->now_us + latency_us(world, disk->host), on_done, disk->host, disk, 0);
}

void disk_submit(struct disk_thread *disk, struct disk_job *job)
{
    if (job->type == DISK_WRITE) {
        oracle_appended(disk->host, job);
    }
    if (disk->jobs_count == disk->jobs_capacity) {
        disk->jobs_capacity = disk->jobs_capacity > 0 ? 2 * disk->jobs_capacity : 16;
        disk->jobs = rk_heap_realloc(disk->jobs, disk->jobs_capacity * sizeof(disk->jobs[0]));
    }
    disk->jobs[disk->jobs_count] = job;
    disk->jobs_count++;
    if (disk->under_way == 0) {
        begin(disk);
    }
}

void sim_disk_fail(struct host *host)
{
    if (host->store_fails_at == 0) {
        host->store_fails_at = 1 + tape_draw(&host->world->tape, TAPE_DISK, 40);
        host->stays_dead = tape_draw(&host->world->tape, TAPE_DISK, 2) == 0;
    }
    if (host->world->knobs.has_snapshots && tape_draw(&host->world->tape, TAPE_DISK, 2) == 0) {
        host->store_fails_at = 0; /* another place of the disk is bad */
        simfs_arm(host->files, 1 + tape_draw(&host->world->tape, TAPE_DISK, 40), EIO, false);
    }
}

/* -- the end -- */

/* What was under way may have come to the disk whole, or not at all; SQLite's files may be left
 * anywhere between. Of what had not begun there is nothing. */
void sim_disk_crash(struct disk_thread *disk)
{
    struct host *host = disk->host;
    struct world *world = host->world;

    host->open_truncation = UINT64_MAX;
    for (uint32_t i = 0; i < disk->jobs_count; i++) {
        const struct raft_write *write = &disk->jobs[i]->write;
        const raft_index from = write->snapshot != NULL ? 1 : write->truncate_from;
        if (from != 0 && from < host->open_truncation) {
            host->open_truncation = from;
        }
    }
    if (disk->under_way > 0 && disk->work.failed == RK_OK) {
        if (world->knobs.has_sqlite) {
            world->counts->torn_transactions++;
            host->store_fails_at = 1 + tape_draw(&world->tape, TAPE_DISK, 60);
            host->stays_dead = true;
            run_jobs(disk);
        } else if (tape_draw(&world->tape, TAPE_DISK, 2) == 1) {
            run_jobs(disk);
        }
    }
    high_water_close(disk->work.water);
    store_close(host);
    host->disk = NULL;
}

void disk_thread_stop(struct disk_thread *disk)
{
    struct disk_job *job = NULL;

    if (disk == NULL) {
        return;
    }
    disk->under_way = disk->jobs_count;
    run_jobs(disk);
    for (uint32_t i = 0; i < disk->jobs_count; i++) {
        disk_job_free(disk->jobs[i]);
    }
    while (rk_queue_pop(disk->results, &job, 1) == 1) {
        disk_job_free(job);
    }
    disk_work_flush(&disk->work, true);
    high_water_close(disk->work.water);
    store_close(disk->host);
    disk->host->disk = NULL;
    rk_queue_free(disk->results);
    rk_heap_free(disk->jobs);
    rk_heap_free(disk);
}
