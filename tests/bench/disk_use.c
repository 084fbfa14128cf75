/* disk_use -- is the disk that a node takes flat, however long it is written to? A week at 1,000 writes a
 * second, fast-forwarded: the disk's and the worker's own jobs, without the wait between them. Prints what
 * is on the disk, day by day; status 1 when a later day needs more than the first one, or the WAL is
 * not bounded.
 *
 *   TMPDIR=/the/disk tests/bench/disk_use [CYCLES [ENTRIES]]    default 6048 of 1000: a hundredth of a week
 *                                                               at the default snapshot-entries
 *
 * A cycle is what lies between two snapshots: ENTRIES puts to KEYS keys, in transactions of BATCH; now and
 * then entries are read for a peer that lags. Then a snapshot, noted down, the one before it forgotten,
 * and the log cut but for a tenth. */
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/frame.h"
#include "server/disk_work.h"
#include "server/snap_work.h"
#include "statemachine/command.h"
#include "storage/log_store_sqlite.h"

enum {
    CYCLES = 6048,
    ENTRIES = 1000,
    DAYS = 7,
    KEYS = 2000,
    VALUE_SIZE = 256,
    BATCH = 50,
    READ_EVERY = 8, /* transactions */
    SLICE = 256,
    PATH_SIZE = 4096,
    WAL_SIZE_MAX = 8 << 20, /* four times what a checkpoint waits for */
};

struct used {
    uint64_t database;
    uint64_t wal;
    uint64_t snapshots;
};

struct bench {
    char dir[PATH_SIZE];
    struct disk_work disk;
    struct snap_work snaps;
    struct sm *sm;
    struct membership membership;
    raft_index noted; /* of the snapshot before; 0: none */
    uint64_t write_number;
    uint64_t random;
    struct used most; /* of the day */
};

/* ---- what is on the disk ---- */

static uint64_t size_of(const struct bench *bench, const char *name)
{
    char path[2 * PATH_SIZE];
    struct stat status;

    (void)snprintf(path, sizeof(path), "%s/%s", bench->dir, name);
    return stat(path, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}

static uint64_t size_of_snapshots(const struct bench *bench)
{
    char path[2 * PATH_SIZE];
    uint64_t size = 0;

    (void)snprintf(path, sizeof(path), "%s/snapshots", bench->dir);
    DIR *entries = opendir(path);
    RK_ASSERT(entries != NULL);
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (entry->d_name[0] != '.') {
            char name[PATH_SIZE];
            (void)snprintf(name, sizeof(name), "snapshots/%s", entry->d_name);
            size += size_of(bench, name);
        }
    }
    RK_ASSERT(closedir(entries) == 0);
    return size;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void measure(struct bench *bench)
{
    bench->most.database = greater(bench->most.database, size_of(bench, "raft.db"));
    bench->most.wal = greater(bench->most.wal, size_of(bench, "raft.db-wal"));
    bench->most.snapshots = greater(bench->most.snapshots, size_of_snapshots(bench));
}

/* ---- jobs ---- */

static void run_disk(struct bench *bench, struct disk_job *job)
{
    const uint32_t run = disk_work_run(&bench->disk, &job, 1);

    RK_ASSERT(run == 1 && job->status == RK_OK);
    disk_work_maintain(&bench->disk);
    disk_work_flush(&bench->disk, false);
    RK_ASSERT(bench->disk.failed == RK_OK);
}

/* The frame of a put, not sealed. Sizes differ, so that rows do not fit where others were. */
static void encode(struct bench *bench, raft_index index, struct rk_buf *frame)
{
    static const uint8_t value[VALUE_SIZE] = {1};
    char key[32];

    bench->random = bench->random * 6364136223846793005U + 1442695040888963407U;
    const uint32_t size = VALUE_SIZE / 2 + (uint32_t)(bench->random >> 40) % (VALUE_SIZE / 2);
    const int key_size = snprintf(key, sizeof(key), "key/%08u", (unsigned)(index % KEYS));
    const struct sm_command command = {
        .type = SM_COMMAND_KV_PUT,
        .put = {.key = {(const uint8_t *)key, (uint32_t)key_size}, .value = {value, size}},
    };
    rk_buf_init(frame, RK_FRAME_SIZE_MAX);
    const size_t begin = rk_frame_begin(frame, RAFT_ENTRY_COMMAND);
    sm_command_encode(&command, frame);
    rk_frame_end(frame, begin);
}

static void apply(struct bench *bench, struct rk_bytes bytes)
{
    struct rk_frame frame;
    uint32_t size = 0;
    struct sm_result result = {0};
    const enum rk_status status = rk_frame_read(bytes, &frame, &size);
    const struct sm_place place = {.term = 1, .index = frame.index, .time_ms = frame.index};

    RK_ASSERT(status == RK_OK);
    RK_ASSERT(sm_apply(bench->sm, &place, frame.body, &result) == RK_OK);
    sm_result_done(&result);
}

static void write_batch(struct bench *bench)
{
    const struct log_bounds *bounds = &bench->disk.store->bounds;
    const raft_index first = bounds->last.index + 1;
    struct disk_job *job = disk_job_new(DISK_WRITE);
    struct raft_entry entries[BATCH];
    struct rk_buf frames[BATCH];
    uint64_t chain = bounds->last_chain;

    for (uint32_t i = 0; i < BATCH; i++) {
        encode(bench, first + i, &frames[i]);
        chain = rk_frame_seal(
            frames[i].data, (uint32_t)frames[i].size,
            &(struct rk_frame_place){.term = 1, .index = first + i, .chain_previous = chain});
        entries[i] = (struct raft_entry){.id = {.term = 1, .index = first + i},
                                         .type = RAFT_ENTRY_COMMAND,
                                         .frame = rk_buf_bytes(&frames[i])};
        apply(bench, rk_buf_bytes(&frames[i]));
    }
    job->write_number = ++bench->write_number;
    job->write = (struct raft_write){.has_hard_state = first == 1,
                                     .hard_state = {.term = 1, .vote = 1},
                                     .entries = entries,
                                     .entries_count = BATCH};
    run_disk(bench, job);
    disk_job_free(job);
    for (uint32_t i = 0; i < BATCH; i++) {
        rk_buf_done(&frames[i]);
    }
    const struct sm_root root = sm_publish(bench->sm);
    while (sm_reclaim(bench->sm, root.version, 100000)) {
    }
}

/* For a peer that is behind by what is kept. */
static void read_for_a_peer(struct bench *bench)
{
    const struct log_bounds *bounds = &bench->disk.store->bounds;
    struct disk_job *job = disk_job_new(DISK_READ);

    job->first = bounds->base.index + 1;
    job->last = bounds->last.index;
    job->bytes_max = 64 * 1024;
    run_disk(bench, job);
    disk_job_free(job);
}

static void take(struct bench *bench, struct snap_info *ret)
{
    struct snap_job *job = snap_job_new(SNAP_TAKE);

    job->root = sm_publish(bench->sm);
    job->info = (struct snap_info){.ref = {.id = bench->disk.store->bounds.last},
                                   .chain = bench->disk.store->bounds.last_chain,
                                   .config_index = 1,
                                   .membership = bench->membership};
    const bool is_done = snap_work_run(&bench->snaps, job);
    RK_ASSERT(!is_done);
    while (bench->snaps.taking != NULL) {
        (void)snap_work_slice(&bench->snaps);
    }
    RK_ASSERT(job->status == RK_OK);
    *ret = job->info;
    snap_job_free(job);
}

static void note(struct bench *bench, const struct snap_info *info)
{
    struct disk_job *job = disk_job_new(DISK_SNAPSHOT);

    membership_encode(&bench->membership, &job->frames);
    job->noted = (struct log_snapshot){.id = info->ref.id,
                                       .chain = info->chain,
                                       .config_index = 1,
                                       .size = info->ref.size,
                                       .digest = info->ref.digest};
    job->forgotten[0] = bench->noted;
    job->forgotten_count = bench->noted > 0;
    run_disk(bench, job);
    disk_job_free(job);
    bench->noted = info->ref.id.index;
}

static void retain(struct bench *bench, const struct snap_info *info)
{
    struct snap_job *job = snap_job_new(SNAP_RETAIN);

    job->ids[0] = info->ref.id;
    job->ids_count = 1;
    const bool is_done = snap_work_run(&bench->snaps, job);
    RK_ASSERT(is_done && job->status == RK_OK);
    snap_job_free(job);
}

static void compact(struct bench *bench, raft_index base)
{
    bool is_more = true;

    while (is_more) {
        struct disk_job *job = disk_job_new(DISK_COMPACT);
        job->last = base;
        job->entries_max = SLICE;
        run_disk(bench, job);
        is_more = job->is_more;
        disk_job_free(job);
    }
}

static void cycle(struct bench *bench, uint32_t entries)
{
    struct snap_info info;

    for (uint32_t i = 0; i < entries / BATCH; i++) {
        write_batch(bench);
        if (i % READ_EVERY == 0) {
            read_for_a_peer(bench);
        }
    }
    measure(bench);
    take(bench, &info);
    measure(bench);
    note(bench, &info);
    retain(bench, &info);
    compact(bench, info.ref.id.index - entries / 10);
    measure(bench);
}

/* ---- days ---- */

static void open_all(struct bench *bench)
{
    char path[2 * PATH_SIZE];
    char message[512] = "";
    bool is_new = false;
    const struct log_store_sqlite_options options = {
        .path = path, .node_name = "n1", .incarnation = 1};

    (void)snprintf(path, sizeof(path), "%s/raft.db", bench->dir);
    enum rk_status status =
        log_store_sqlite_open(&options, &bench->disk.store, message, sizeof(message));
    if (status == RK_OK) {
        (void)snprintf(path, sizeof(path), "%s/high-water", bench->dir);
        status = high_water_open(path, 1, &bench->disk.water, &is_new, message, sizeof(message));
    }
    if (status == RK_OK) {
        (void)snprintf(path, sizeof(path), "%s/snapshots", bench->dir);
        status = snap_store_file_open(path, &bench->snaps.store, message, sizeof(message));
    }
    if (status != RK_OK) {
        (void)fprintf(stderr, "disk_use: %s\n", message);
        exit(EXIT_FAILURE);
    }
    bench->sm = sm_new();
    bench->membership = (struct membership){.cluster = {1, 2},
                                            .election_timeout_ms = 400,
                                            .members_count = 1,
                                            .members = {{.id = 1,
                                                         .incarnation = 1,
                                                         .is_voter = true,
                                                         .name = "n1",
                                                         .peer_address = "127.0.0.1:8300"}}};
}

static uint64_t sum(const struct used *used)
{
    return used->database + used->wal + used->snapshots;
}

/* Prints each day; true: the disk is flat. */
static bool run_week(struct bench *bench, uint32_t cycles, uint32_t entries)
{
    bool is_flat = true;
    uint64_t first = 0;

    printf("%4s %12s %12s %12s %12s %12s\n", "day", "entries", "raft.db", "WAL", "snapshots",
           "all");
    for (uint32_t day = 1; day <= DAYS; day++) {
        bench->most = (struct used){0};
        for (uint32_t i = 0; i < cycles / DAYS; i++) {
            cycle(bench, entries);
        }
        const struct used *most = &bench->most;
        printf("%4u %12llu %12llu %12llu %12llu %12llu\n", day,
               (unsigned long long)bench->disk.store->bounds.last.index,
               (unsigned long long)most->database, (unsigned long long)most->wal,
               (unsigned long long)most->snapshots, (unsigned long long)sum(most));
        (void)fflush(stdout);
        first = day == 1 ? sum(most) : first;
        is_flat = is_flat && sum(most) <= first + first / 20 && most->wal <= WAL_SIZE_MAX;
    }
    return is_flat;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

int main(int argc, char **argv)
{
    const uint32_t cycles = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : CYCLES;
    const uint32_t entries = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : ENTRIES;
    const char *parent = getenv("TMPDIR");
    static struct bench bench;

    if (cycles < DAYS || entries < 10 * BATCH) {
        (void)fprintf(stderr, "disk_use: at least %d cycles of %d entries\n", DAYS, 10 * BATCH);
        return 2;
    }
    (void)snprintf(bench.dir, sizeof(bench.dir), "%s/raftkv-bench-XXXXXX",
                   parent == NULL ? "/tmp" : parent);
    if (mkdtemp(bench.dir) == NULL) {
        perror(bench.dir);
        return EXIT_FAILURE;
    }
    open_all(&bench);
    const bool is_flat = run_week(&bench, cycles, entries);
    sm_free(bench.sm);
    snap_store_close(bench.snaps.store);
    high_water_close(bench.disk.water);
    log_store_close(bench.disk.store);
    (void)nftw(bench.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    printf("%s\n", is_flat ? "flat" : "not flat");
    return is_flat ? EXIT_SUCCESS : EXIT_FAILURE;
}
