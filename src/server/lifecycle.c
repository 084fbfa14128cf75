#include "server/lifecycle.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/burst.h"
#include "server/gateway.h"
#include "server/node.h"
#include "storage/data_dir.h"
#include "storage/high_water.h"
#include "storage/log_store_mem.h"
#include "storage/log_store_sqlite.h"
#include "storage/snap_store.h"

enum {
    NODE_STOP_MS = 3000, /* both together within the 5 s that a stop may take */
    LOOPS_STOP_MS = 1500,
    RESERVED_DESCRIPTORS = 256,
    TRIMMED_SIZE_MAX = 256 << 20, /* resident */
    MESSAGE_SIZE = 1024,
};

struct lifecycle {
    const struct options *options;
    struct data_dir *dir;
    struct log_store *store;
    struct high_water *water;
    struct snap_store *snaps;
    struct root_board *board;
    struct node *node;
    struct gateway *gateway;
    struct http_loops *loops;
    char message[MESSAGE_SIZE];
};

_Static_assert((int)MESSAGE_SIZE >= (int)HTTP_LISTENER_ERROR_SIZE, "a listener's error fits");

static enum rk_status open_high_water(struct lifecycle *life)
{
    bool is_new = false;
    const enum rk_status status =
        high_water_open(data_dir_path(life->dir, "high-water"), life->store->identity.incarnation,
                        &life->water, &is_new, life->message, sizeof(life->message));

    if (status == RK_OK && is_new && life->store->bounds.last.index > 0) {
        rk_log(RK_LOG_WARN, "node", "high_water_missing",
               RK_TEXT("meaning", "whether the log lost its end cannot be told"), RK_END);
    }
    return status;
}

static enum rk_status open_store(struct lifecycle *life)
{
    const struct options *options = life->options;

    if (options->log_store_memory) {
        const struct log_store_mem_options memory = {
            .node_name = options->node_id,
            .incarnation = rk_random_u64(),
        };
        life->store = log_store_mem_new(&memory);
        life->snaps = snap_store_mem_new();
        rk_log(RK_LOG_WARN, "node", "log_store_memory",
               RK_TEXT("meaning", "nothing survives the end of this process"), RK_END);
        return RK_OK;
    }
    enum rk_status status =
        data_dir_open(options->data_dir, &life->dir, life->message, sizeof(life->message));
    if (status != RK_OK) {
        return status;
    }
    const struct log_store_sqlite_options sqlite = {
        .path = data_dir_path(life->dir, "raft.db"),
        .node_name = options->node_id,
        .incarnation = rk_random_u64(),
    };
    status = log_store_sqlite_open(&sqlite, &life->store, life->message, sizeof(life->message));
    if (status == RK_FULL) {
        /* Folding the log in needs room: the ballast is there for this. */
        data_dir_drop_ballast(life->dir);
        status = log_store_sqlite_open(&sqlite, &life->store, life->message, sizeof(life->message));
    }
    if (status == RK_OK) {
        status = open_high_water(life);
    }
    if (status == RK_OK) {
        status = snap_store_file_open(data_dir_path(life->dir, "snapshots"), &life->snaps,
                                      life->message, sizeof(life->message));
    }
    return status;
}

static enum rk_status open_node(struct lifecycle *life)
{
    const struct node_start_options start = {
        .options = life->options,
        .store = life->store,
        .water = life->water,
        .snaps = life->snaps,
        .dir = life->dir,
        .board = life->board,
    };

    life->water = NULL;
    life->snaps = NULL;
    life->store = NULL; /* the node's, whatever comes of it */
    return node_start(&start, &life->node, life->message, sizeof(life->message));
}

/* Ports in use must be found before the data directory is touched: nothing is changed on disk by
 * a start that fails. */
static enum rk_status probe_listeners(struct lifecycle *life)
{
    const char *const addresses[] = {life->options->client_listen, life->options->peer_listen};

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct http_listener *listener = NULL;
        const enum rk_status status = http_listener_open(addresses[i], &listener, life->message);
        if (status != RK_OK) {
            return status;
        }
        http_listener_close(listener);
    }
    return RK_OK;
}

static enum rk_status start_all(struct lifecycle *life)
{
    enum rk_status status = probe_listeners(life);

    if (status == RK_OK) {
        status = open_store(life);
    }
    if (status == RK_OK) {
        life->board = root_board_new(life->options->http_threads * GATEWAY_SLOTS_PER_LOOP);
        status = open_node(life);
    }
    if (status == RK_OK) {
        life->gateway = gateway_new(life->options, life->node, life->board);
        status = gateway_open(life->gateway, &life->loops, life->message);
    }
    if (status == RK_OK) {
        status = http_loops_start(life->loops);
    }
    return status;
}

static void stop_all(struct lifecycle *life)
{
    if (life->loops != NULL) {
        http_loops_drain(life->loops);
    }
    if (life->node != NULL) {
        node_stop(life->node, NODE_STOP_MS);
    }
    if (life->loops != NULL && http_loops_stop(life->loops, LOOPS_STOP_MS) != RK_OK) {
        rk_log(RK_LOG_WARN, "node", "connections_cut_off", RK_END);
    }
    http_loops_free(life->loops);
    gateway_free(life->gateway);
    node_free(life->node);
    root_board_free(life->board);
    snap_store_close(life->snaps);
    high_water_close(life->water);
    log_store_close(life->store);
    data_dir_close(life->dir);
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "localhost:", 10) == 0 ||
           strncmp(address, "[::1]:", 6) == 0;
}

static void warn_exposed(const struct options *options)
{
    if (!is_loopback(options->client_listen)) {
        rk_log(RK_LOG_WARN, "node", "client_api_exposed",
               RK_TEXT("address", options->client_listen),
               RK_TEXT("meaning", "anybody who reaches it reads and writes every key"), RK_END);
    }
    if (!is_loopback(options->peer_listen)) {
        rk_log(RK_LOG_WARN, "node", "peer_api_exposed", RK_TEXT("address", options->peer_listen),
               RK_TEXT("meaning", "anybody who reaches it can act as a member"), RK_END);
    }
}

/* As many descriptors as the connections need, where the system lets us. */
static void raise_descriptors(const struct options *options)
{
    struct rlimit limit;
    const rlim_t wanted = (rlim_t)options->max_connections + RESERVED_DESCRIPTORS;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        rk_log(RK_LOG_WARN, "node", "few_descriptors", RK_U64("wanted", (uint64_t)wanted),
               RK_U64("allowed", (uint64_t)limit.rlim_cur), RK_END);
    }
}

/* Blocked before any thread starts, so that every thread inherits it and sigwaitinfo() gets them. */
static void block_signals(sigset_t *signals)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    const int unchanged = sigaction(SIGPIPE, &ignore, NULL); /* an error of the write instead */
    RK_ASSERT(unchanged == 0);
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGHUP);
    (void)sigaddset(signals, SIGUSR1);
#ifdef RK_TEST_HOOKS
    (void)sigaddset(signals, SIGALRM);
    (void)sigaddset(signals, SIGUSR2);
#endif
    const int failed = pthread_sigmask(SIG_BLOCK, signals, NULL);
    RK_ASSERT(failed == 0);
}

/* Giving back walks through the whole heap, and who allocates waits meanwhile: some 17 ms for each 100 MB. */
static bool is_heap_small(void)
{
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    const bool is_read = file != NULL && fscanf(file, "%*u %lu", &resident) == 1;

    if (file != NULL) {
        (void)fclose(file);
    }
    return is_read && resident * (unsigned long)sysconf(_SC_PAGESIZE) <= TRIMMED_SIZE_MAX;
}

/* What a burst of requests took and freed lies between what is in use, where the heap keeps it. Beside a
 * large state it is little. */
static void give_memory_back(struct burst *burst)
{
    struct timespec cpu = {0};

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0 &&
        burst_is_over(burst, (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000) &&
        is_heap_small()) {
        (void)malloc_trim(0);
    }
}

static void wait_for_stop(const struct lifecycle *life, const sigset_t *signals)
{
    const struct timespec second = {.tv_sec = 1};
    struct burst burst = {0};

    while (true) {
        const int number = sigtimedwait(signals, NULL, &second);
        if (number < 0) {
            give_memory_back(&burst);
        }
        if (number == SIGTERM || number == SIGINT) {
            rk_log(RK_LOG_INFO, "node", "stopping",
                   RK_TEXT("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"), RK_END);
            return;
        }
#ifdef RK_TEST_HOOKS
        if (number == SIGALRM || number == SIGUSR2) {
            node_hook(life->node, number);
        }
#endif
        if (number == SIGUSR1) {
            node_take_snapshot(life->node);
        }
        if (number == SIGHUP) {
            rk_log(RK_LOG_INFO, "node", "reload_has_nothing_to_change", RK_END);
        }
    }
}

static void log_started(const struct options *options)
{
    rk_log(RK_LOG_INFO, "node", "started", RK_TEXT("node", options->node_id),
           RK_TEXT("client", options->client_listen), RK_TEXT("peer", options->peer_listen),
           RK_TEXT("data_dir", options->data_dir), RK_TEXT("sqlite", log_store_sqlite_version()),
           RK_END);
}

/* Threads that come and go between a few sizes make glibc grow and trim its arenas many times a
 * second; a margin at the top stops that, and two arenas hold less idle memory than one a thread. */
static void tune_heap(void)
{
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_TOP_PAD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

int lifecycle_run(const struct options *options)
{
    struct lifecycle life = {.options = options};
    sigset_t signals;

    tune_heap();
    (void)umask(077);
    block_signals(&signals);
    rk_log_setup(options->log_level, options->log_format, options->node_id);
    raise_descriptors(options);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    if (start_all(&life) != RK_OK) {
        stop_all(&life);
        (void)fprintf(stderr, "raftkvd: %s\n", life.message);
        return EXIT_FAILURE;
    }
    warn_exposed(options);
    log_started(options);
    wait_for_stop(&life, &signals);
    stop_all(&life);
    curl_global_cleanup();
    rk_log(RK_LOG_INFO, "node", "stopped", RK_END);
    return EXIT_SUCCESS;
}
