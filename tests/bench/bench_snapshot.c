/* bench_snapshot.c -- what a start costs with many keys: their state written as a snapshot, slice by
 * slice as the worker does it, and read back as a start does it.
 *
 *   bench_snapshot [KEYS [VALUE_SIZE]]      default 1000000 256; files under TMPDIR
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "server/snap_work.h"
#include "statemachine/command.h"

enum { KEY_SIZE = 32 };

static void put(struct sm *sm, raft_index index, const uint8_t *value, uint32_t value_size)
{
    char key[KEY_SIZE];
    struct rk_buf buf;
    struct sm_result result = {0};
    const int size = snprintf(key, sizeof(key), "bench/%010llu", (unsigned long long)index);
    const struct sm_command command = {
        .type = SM_COMMAND_KV_PUT,
        .put = {.key = {(const uint8_t *)key, (uint32_t)size}, .value = {value, value_size}},
    };
    const struct sm_place place = {.term = 1, .index = index, .time_ms = index};

    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
    sm_command_encode(&command, &buf);
    const enum rk_status status = sm_apply(sm, &place, rk_buf_bytes(&buf), &result);
    RK_ASSERT(status == RK_OK);
    rk_buf_done(&buf);
}

static struct sm *fill(uint64_t keys, uint32_t value_size)
{
    uint8_t *value = calloc(1, value_size + 1);
    struct sm *sm = sm_new();

    RK_ASSERT(value != NULL);
    for (raft_index index = 1; index <= keys; index++) {
        value[0] = (uint8_t)index;
        put(sm, index, value, value_size);
    }
    free(value);
    return sm;
}

/* Returns the longest slice, in microseconds. */
static uint64_t take(struct snap_work *work, struct snap_job *job)
{
    uint64_t longest_us = 0;

    const bool is_done = snap_work_run(work, job);
    RK_ASSERT(!is_done);
    while (work->taking != NULL) {
        const uint64_t began_us = rk_monotonic_us();
        (void)snap_work_slice(work);
        const uint64_t took_us = rk_monotonic_us() - began_us;
        longest_us = took_us > longest_us ? took_us : longest_us;
    }
    RK_ASSERT(job->status == RK_OK);
    return longest_us;
}

static long resident_max_kb(void)
{
    struct rusage usage;
    const int failed = getrusage(RUSAGE_SELF, &usage);

    RK_ASSERT(failed == 0);
    return usage.ru_maxrss;
}

static struct snap_job *taking(struct sm *sm, uint64_t keys)
{
    struct snap_job *job = snap_job_new(SNAP_TAKE);
    struct member member = {.id = 1, .incarnation = 1, .is_voter = true};

    (void)snprintf(member.name, sizeof(member.name), "n1");
    (void)snprintf(member.peer_address, sizeof(member.peer_address), "127.0.0.1:8300");
    job->root = sm_publish(sm);
    job->info.ref.id = (struct raft_entry_id){.term = 1, .index = keys};
    job->info.membership = (struct membership){
        .cluster = {1, 2}, .election_timeout_ms = 400, .members_count = 1, .members = {member}};
    return job;
}

static void load(struct snap_store *store, struct raft_entry_id id)
{
    struct snap_info info;
    struct sm *sm = NULL;
    const uint64_t began_us = rk_monotonic_us();
    const enum rk_status status = snap_load(store, id, &sm, &info);

    RK_ASSERT(status == RK_OK);
    printf("read back: %llu ms, at most %ld kB resident\n",
           (unsigned long long)((rk_monotonic_us() - began_us) / 1000), resident_max_kb());
    sm_free(sm);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static struct snap_store *must_open(const char *path)
{
    char message[512] = "";
    struct snap_store *store = NULL;

    if (snap_store_file_open(path, &store, message, sizeof(message)) != RK_OK) {
        (void)fprintf(stderr, "%s\n", message);
        exit(EXIT_FAILURE);
    }
    return store;
}

static void write_one(const char *path, uint64_t keys, uint32_t value_size)
{
    struct snap_work work = {.store = must_open(path)};
    struct sm *sm = fill(keys, value_size);
    struct snap_job *job = taking(sm, keys);
    const uint64_t began_us = rk_monotonic_us();
    const uint64_t longest_us = take(&work, job);

    printf("%llu keys of %u bytes: %llu bytes, taken in %llu ms, the longest slice %llu us\n",
           (unsigned long long)keys, value_size, (unsigned long long)job->info.ref.size,
           (unsigned long long)((rk_monotonic_us() - began_us) / 1000),
           (unsigned long long)longest_us);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    const uint64_t keys = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const uint32_t value_size = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 256;
    const char *parent = getenv("TMPDIR");
    char path[4096];
    int status = 0;

    (void)snprintf(path, sizeof(path), "%s/raftkv-bench-XXXXXX", parent == NULL ? "/tmp" : parent);
    RK_ASSERT(mkdtemp(path) != NULL);
    const pid_t child = fork(); /* what it takes up is not that of a start */
    if (child == 0) {
        write_one(path, keys, value_size);
        _exit(EXIT_SUCCESS);
    }
    RK_ASSERT(waitpid(child, &status, 0) == child && status == 0);
    struct snap_store *store = must_open(path);
    load(store, (struct raft_entry_id){.term = 1, .index = keys});
    snap_store_close(store);
    RK_ASSERT(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    return EXIT_SUCCESS;
}
