/* store.c -- what a host's directory holds: a log in memory or in SQLite, and in some runs the
 * high-water mark beside it. It outlives the process. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "sim/node/world.h"
#include "storage/log_store_mem.h"
#include "storage/log_store_sqlite.h"
#include "storage_vfs.h"

enum { PATH_SIZE = 160 };

static const char *directory_of(const struct host *host, char *path)
{
    (void)snprintf(path, PATH_SIZE, "%s/n%u/", host->world->directory, host->number + 1);
    return path;
}

static const char *file_of(const struct host *host, const char *name, char *path)
{
    (void)snprintf(path, PATH_SIZE, "%s/n%u/%s", host->world->directory, host->number + 1, name);
    return path;
}

/* A store in memory is not taken from its host when its node closes it. */
static void close_nothing(struct log_store *store)
{
    RK_ASSERT(store->ops != NULL);
}

static struct log_store_ops lasting_ops;

static void make_in_memory(struct host *host)
{
    const struct log_store_mem_options options = {
        .node_name = host->options.node_id,
        .incarnation = host->incarnation,
    };

    host->store = log_store_mem_new(&options);
    lasting_ops = *host->store->ops;
    lasting_ops.close = close_nothing;
    host->store->ops = &lasting_ops;
}

void store_make(struct host *host)
{
    struct sim_heap *before = sim_heap_use(&host->disk_heap);

    host->incarnation = rk_random_u64();
    host->files = simfs_new();
    host->kept_count = 0;
    if (!host->world->knobs.has_sqlite) {
        make_in_memory(host);
    }
    if (host->world->directory[0] != '\0') {
        char path[PATH_SIZE];
        const int failed = mkdir(directory_of(host, path), 0700);
        RK_ASSERT(failed == 0);
    }
    (void)sim_heap_use(before);
}

void store_destroy(struct host *host)
{
    char path[PATH_SIZE];

    sim_heap_drop(&host->disk_heap);
    simfs_free(host->files);
    host->store = NULL;
    host->files = NULL;
    if (host->world->directory[0] == '\0') {
        return;
    }
    if (host->world->knobs.has_sqlite) {
        test_vfs_lose_power_below(directory_of(host, path), 0);
    }
    static const char *const names[] = {"raft.db", "raft.db-wal", "high-water"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)unlink(file_of(host, names[i], path));
    }
    (void)rmdir(directory_of(host, path));
}

static void open_sqlite(struct host *host)
{
    char path[PATH_SIZE];
    char message[256] = "";
    const struct log_store_sqlite_options options = {
        .path = file_of(host, "raft.db", path),
        .node_name = host->options.node_id,
        .incarnation = host->incarnation,
    };
    const enum rk_status status =
        log_store_sqlite_open(&options, &host->store, message, sizeof(message));

    if (status != RK_OK) {
        world_fail("O3", "n%u cannot open its log: %s", host->number + 1, message);
    }
}

void store_open(struct host *host, struct high_water **ret_water)
{
    char path[PATH_SIZE];
    char message[256] = "";
    bool is_new = false;

    if (host->world->knobs.has_sqlite) {
        struct sim_heap *before = sim_heap_use(&host->disk_heap);
        open_sqlite(host);
        (void)sim_heap_use(before);
    }
    *ret_water = NULL;
    if (!host->world->knobs.has_water) {
        return;
    }
    const enum rk_status status =
        high_water_open(file_of(host, "high-water", path), host->incarnation, ret_water, &is_new,
                        message, sizeof(message));
    if (status != RK_OK) {
        world_fail("O3", "n%u cannot open its high-water mark: %s", host->number + 1, message);
    }
}

struct snap_store *store_snapshots(struct host *host)
{
    struct snap_store *snaps = NULL;
    char path[PATH_SIZE];
    char message[256] = "";

    (void)snprintf(path, sizeof(path), SIMFS_ROOT "/n%u", host->number + 1);
    const enum rk_status status = snap_store_file_open(path, &snaps, message, sizeof(message));
    if (status != RK_OK) {
        world_fail("start", "n%u cannot open its snapshots: %s", host->number + 1, message);
    }
    return snaps;
}

/* A node that does not start closes its log; one in memory then forgets what was noted down. */
void store_keep(struct host *host)
{
    struct sim_heap *before = sim_heap_use(&host->disk_heap);
    const struct log_store *store = host->store;

    for (uint32_t i = 0; i < host->kept_count; i++) {
        rk_heap_free((void *)(uintptr_t)host->kept[i].config.data);
    }
    host->kept_count = host->world->knobs.has_sqlite ? 0 : store->snapshots_count;
    for (uint32_t i = 0; i < host->kept_count; i++) {
        host->kept[i] = store->snapshots[i];
        const struct rk_bytes config = host->kept[i].config;
        host->kept[i].config.data = memcpy(rk_heap_alloc(config.size), config.data, config.size);
    }
    (void)sim_heap_use(before);
}

void store_restore(struct host *host)
{
    struct sim_heap *before = sim_heap_use(&host->disk_heap);

    for (uint32_t i = 0; i < host->kept_count; i++) {
        log_snapshots_push(host->store, &host->kept[i]);
    }
    (void)sim_heap_use(before);
}

void store_close(struct host *host)
{
    if (host->world->knobs.has_sqlite && host->store != NULL) {
        log_store_close(host->store);
        host->store = NULL;
    }
}

void store_power_lost(struct host *host)
{
    char path[PATH_SIZE];

    simfs_power_lost(host->files);
    if (host->world->knobs.has_sqlite) {
        const uint64_t seed = tape_draw(&host->world->tape, TAPE_DISK, UINT32_MAX);
        test_vfs_lose_power_below(directory_of(host, path), seed);
    }
}

/* Only what the mark knows of is noticed; the rest is the window that high_water.h admits. */
bool store_cut_short(struct host *host)
{
    struct log_store *store = host->store;
    struct high_water *water = NULL;
    struct world *world = host->world;

    if (!world->knobs.has_water || world->knobs.has_sqlite ||
        store->bounds.last.index < store->bounds.base.index + 2) {
        return false;
    }
    const struct place before = host_enter(host);
    store_open(host, &water);
    const struct high_water_mark mark = *high_water_mark(water);
    high_water_close(water);
    (void)sim_heap_use(&host->disk_heap);
    const bool is_noticed =
        mark.last.index == store->bounds.last.index && mark.last.term == store->bounds.last.term;
    if (is_noticed) {
        const raft_index lost =
            tape_log_between(&world->tape, TAPE_DISK, 1,
                             (uint32_t)(store->bounds.last.index - store->bounds.base.index - 1));
        const struct raft_write write = {.truncate_from = store->bounds.last.index + 1 - lost};
        const struct raft_write *const writes[] = {&write};
        const enum rk_status status = log_store_write(store, writes, 1);
        RK_ASSERT(status == RK_OK);
        /* And with them, perhaps, the vote that stood there. */
        const bool has_vote = tape_draw(&world->tape, TAPE_DISK, 2) == 0;
        if (!has_vote) {
            store->hard_state = (struct raft_hard_state){.term = store->bounds.last.term};
        }
        world_tell(world, host, "loses the last %llu entries of its log%s",
                   (unsigned long long)lost, has_vote ? "" : ", and its vote");
    }
    host_leave(before);
    return is_noticed;
}
