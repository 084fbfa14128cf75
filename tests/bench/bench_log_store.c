/* bench_log_store -- transactions a second of the SQLite log store on a real disk.
 *
 *   TMPDIR=/the/disk tests/bench/bench_log_store [SECONDS [CHECKPOINT_MIB]]
 *
 * One write of 1, 10, 100 entries of 300 bytes a transaction; maintain() after each, as the disk
 * thread does when nothing waits; and the CPU that it takes, the kernel's part with it. Before it:
 * fdatasync() of one overwritten page, the floor. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "storage/log_store_sqlite.h"

enum { FRAME_SIZE = 300, BATCH_MAX = 100, SAMPLES_MAX = 1000000, SYNCS_COUNT = 1000 };

static char dir[512];
static uint64_t samples_us[SAMPLES_MAX];

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *what, uint32_t count)
{
    if (count == 0) {
        return;
    }
    qsort(samples_us, count, sizeof(samples_us[0]), by_value);
    printf("  %s: count %u median %llu us, p99 %llu us, max %llu us\n", what, count,
           (unsigned long long)samples_us[count / 2],
           (unsigned long long)samples_us[(uint64_t)count * 99 / 100],
           (unsigned long long)samples_us[count - 1]);
}

static void bench_fdatasync(void)
{
    static const uint8_t page[4096] = {1};
    char path[600];

    (void)snprintf(path, sizeof(path), "%s/page", dir);
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    RK_ASSERT(fd >= 0);
    for (uint32_t i = 0; i < SYNCS_COUNT; i++) {
        const uint64_t start = rk_monotonic_us();
        RK_ASSERT(pwrite(fd, page, sizeof(page), 0) == (ssize_t)sizeof(page));
        RK_ASSERT(fdatasync(fd) == 0);
        samples_us[i] = rk_monotonic_us() - start;
    }
    print_samples("fdatasync of a page", SYNCS_COUNT);
    RK_ASSERT(close(fd) == 0 && unlink(path) == 0);
}

static struct log_store *open_store(const char *path, uint64_t checkpoint_bytes)
{
    const struct log_store_sqlite_options options = {
        .path = path,
        .node_name = "bench",
        .incarnation = 1,
        .checkpoint_bytes = checkpoint_bytes,
    };
    char message[512] = "";
    struct log_store *store = NULL;

    if (log_store_sqlite_open(&options, &store, message, sizeof(message)) != RK_OK) {
        (void)fprintf(stderr, "%s\n", message);
        exit(EXIT_FAILURE);
    }
    return store;
}

/* Seals the entries after the store's last one into `frames` again. */
static void seal_batch(const struct log_store *store, uint8_t *const *frames,
                       struct raft_entry *entries, uint32_t batch)
{
    uint64_t chain = store->bounds.last_chain;

    for (uint32_t i = 0; i < batch; i++) {
        const raft_index index = store->bounds.last.index + 1 + i;
        chain = rk_frame_seal(
            frames[i], FRAME_SIZE,
            &(struct rk_frame_place){.term = 1, .index = index, .chain_previous = chain});
        entries[i] = (struct raft_entry){.id = {.term = 1, .index = index},
                                         .type = RAFT_ENTRY_COMMAND,
                                         .frame = {frames[i], FRAME_SIZE}};
    }
}

/* Of this thread, the kernel's part with it: on a busy machine the one figure that repeats. */
static uint64_t cpu_us(void)
{
    struct timespec now;

    RK_ASSERT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

struct run {
    uint64_t write_cpu_us;
    uint64_t checkpoints_cpu_us;
    uint64_t checkpoints_us;
    uint64_t checkpoint_us_max;
    uint32_t checkpoints_count;
};

static void maintain(struct log_store *store, struct run *run)
{
    const uint64_t start = rk_monotonic_us();
    const uint64_t start_cpu = cpu_us();
    RK_ASSERT(log_store_maintain(store) == RK_OK);
    const uint64_t us = rk_monotonic_us() - start;
    run->checkpoints_cpu_us += cpu_us() - start_cpu;
    if (us < 20) { /* nothing was done: no checkpoint is that fast */
        return;
    }
    run->checkpoints_us += us;
    run->checkpoints_count++;
    run->checkpoint_us_max = us > run->checkpoint_us_max ? us : run->checkpoint_us_max;
}

static void bench_batch(uint32_t batch, uint64_t seconds, uint64_t checkpoint_bytes)
{
    struct raft_entry entries[BATCH_MAX];
    uint8_t *frames[BATCH_MAX];
    char path[600];
    struct run run = {0};
    uint32_t count = 0;

    for (uint32_t i = 0; i < BATCH_MAX; i++) {
        struct rk_buf buf;
        rk_buf_init(&buf, FRAME_SIZE);
        const size_t offset = rk_frame_begin(&buf, RAFT_ENTRY_COMMAND);
        while (buf.size < FRAME_SIZE - RK_FRAME_CHECK_SIZE) {
            rk_buf_append_byte(&buf, (uint8_t)(buf.size * 31));
        }
        rk_frame_end(&buf, offset);
        frames[i] = buf.data;
    }
    (void)snprintf(path, sizeof(path), "%s/raft-%u.db", dir, batch);
    struct log_store *store = open_store(path, checkpoint_bytes);
    const uint64_t begin = rk_monotonic_us();
    while (count < SAMPLES_MAX && rk_monotonic_us() - begin < seconds * 1000000) {
        seal_batch(store, frames, entries, batch);
        const struct raft_write write = {.entries = entries, .entries_count = batch};
        const struct raft_write *const writes[] = {&write};
        const uint64_t start = rk_monotonic_us();
        const uint64_t start_cpu = cpu_us();
        RK_ASSERT(log_store_write(store, writes, 1) == RK_OK);
        run.write_cpu_us += cpu_us() - start_cpu;
        samples_us[count] = rk_monotonic_us() - start;
        count++;
        maintain(store, &run);
    }
    const uint64_t us = rk_monotonic_us() - begin;
    printf("%u entries: %llu transactions/s, %llu entries/s\n", batch,
           (unsigned long long)(count * 1000000ULL / us),
           (unsigned long long)((uint64_t)batch * count * 1000000ULL / us));
    print_samples("transaction", count);
    if (count > 0) {
        printf("  CPU a transaction: %llu us, of checkpoints %llu us more\n",
               (unsigned long long)(run.write_cpu_us / count),
               (unsigned long long)(run.checkpoints_cpu_us / count));
    }
    if (run.checkpoints_count > 0) {
        printf("  checkpoint: count %u mean %llu us, max %llu us, %llu per mille of the time\n",
               run.checkpoints_count,
               (unsigned long long)(run.checkpoints_us / run.checkpoints_count),
               (unsigned long long)run.checkpoint_us_max,
               (unsigned long long)(run.checkpoints_us * 1000 / us));
    }
    log_store_close(store);
    for (uint32_t i = 0; i < BATCH_MAX; i++) {
        rk_heap_free(frames[i]);
    }
}

static void remove_all(void)
{
    static const char *const suffixes[] = {"", "-wal"};
    static const uint32_t batches[] = {1, 10, 100};
    char path[600];

    for (uint32_t i = 0; i < 6; i++) {
        (void)snprintf(path, sizeof(path), "%s/raft-%u.db%s", dir, batches[i / 2], suffixes[i % 2]);
        (void)remove(path);
    }
    (void)remove(dir);
}

int main(int argc, char **argv)
{
    const char *parent = getenv("TMPDIR");
    const uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 3;
    const uint64_t checkpoint_bytes = argc > 2 ? strtoull(argv[2], NULL, 10) << 20 : 0;

    (void)snprintf(dir, sizeof(dir), "%s/raftkv-bench-XXXXXX", parent == NULL ? "/tmp" : parent);
    RK_ASSERT(mkdtemp(dir) != NULL);
    printf("SQLite %s, %s\n", log_store_sqlite_version(), dir);
    bench_fdatasync();
    bench_batch(1, seconds, checkpoint_bytes);
    bench_batch(10, seconds, checkpoint_bytes);
    bench_batch(100, seconds, checkpoint_bytes);
    remove_all();
    return EXIT_SUCCESS;
}
