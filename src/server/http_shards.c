#include "server/http_shards.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/heap.h"

enum { EVENTS_PER_RUN_MAX = 64 };

struct http_shards {
    struct http_shards_options options;
    int epoll; /* over every daemon's own, and wake_fds */
    struct http_shard *awake;
    uint32_t count;
    uint32_t count_max;
    struct http_shard *shards[];
};

static bool watch_readable(struct http_shards *shards, int fd, struct http_shard *shard)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = shard}};

    return epoll_ctl(shards->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void shard_free(struct http_shard *shard)
{
    if (shard->daemon != NULL) {
        MHD_stop_daemon(shard->daemon);
    }
    rk_heap_free(shard);
}

/* Opens one more; NULL when the process has no descriptors left for it. */
static struct http_shard *shard_open(struct http_shards *shards)
{
    struct http_shard *shard = rk_heap_zalloc(1, sizeof *shard);

    RK_ASSERT(shards->count < shards->count_max);
    shard->owner = shards->options.owner;
    shard->shards = shards;
    /* One more than is let in, so that the limit that is met is ours. */
    shard->daemon = shards->options.start(shard, HTTP_SHARD_CONNECTIONS_MAX + 1);
    const union MHD_DaemonInfo *info =
        shard->daemon == NULL ? NULL : MHD_get_daemon_info(shard->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || !watch_readable(shards, info->epoll_fd, shard)) {
        shard_free(shard);
        return NULL;
    }
    shards->shards[shards->count++] = shard;
    return shard;
}

struct http_shards *http_shards_new(const struct http_shards_options *options)
{
    const uint32_t count_max =
        (options->connections_max + HTTP_SHARD_CONNECTIONS_MAX - 1) / HTTP_SHARD_CONNECTIONS_MAX;
    struct http_shards *shards =
        rk_heap_zalloc(1, sizeof *shards + count_max * sizeof shards->shards[0]);

    RK_ASSERT(options->connections_max > 0);
    shards->options = *options;
    shards->count_max = count_max;
    shards->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (shards->epoll < 0 || !watch_readable(shards, options->wake_fds[0], NULL) ||
        !watch_readable(shards, options->wake_fds[1], NULL) || shard_open(shards) == NULL) {
        http_shards_free(shards);
        return NULL;
    }
    return shards;
}

void http_shards_free(struct http_shards *shards)
{
    if (shards == NULL) {
        return;
    }
    for (uint32_t i = 0; i < shards->count; i++) {
        RK_ASSERT(shards->shards[i] != NULL);
        MHD_stop_daemon(shards->shards[i]->daemon);
        RK_ASSERT(shards->shards[i]->connections_count == 0);
        rk_heap_free(shards->shards[i]);
    }
    if (shards->epoll >= 0) {
        (void)close(shards->epoll);
    }
    rk_heap_free(shards);
}

int http_shards_fd(const struct http_shards *shards)
{
    return shards->epoll;
}

/* The first with room: the others stay empty and cost nothing. */
static struct http_shard *shard_with_room(struct http_shards *shards)
{
    for (uint32_t i = 0; i < shards->count; i++) {
        if (shards->shards[i]->connections_count < HTTP_SHARD_CONNECTIONS_MAX) {
            return shards->shards[i];
        }
    }
    return shards->count < shards->count_max ? shard_open(shards) : NULL;
}

enum rk_status http_shards_add(struct http_shards *shards, int socket)
{
    const struct sockaddr_in nobody = {.sin_family = AF_INET};
    struct http_shard *shard = shard_with_room(shards);

    if (shard == NULL) {
        (void)close(socket);
        return RK_BUSY;
    }
    http_shard_wake(shard);
    /* On failure libmicrohttpd closes the socket. */
    const enum MHD_Result added =
        MHD_add_connection(shard->daemon, socket, (const struct sockaddr *)&nobody, sizeof nobody);
    return added == MHD_YES ? RK_OK : RK_BUSY;
}

void http_shard_wake(struct http_shard *shard)
{
    if (!shard->is_awake) {
        shard->is_awake = true;
        shard->next_awake = shard->shards->awake;
        shard->shards->awake = shard;
    }
}

static void wake_the_ready(struct http_shards *shards)
{
    struct epoll_event events[EVENTS_PER_RUN_MAX];

    if (shards->count == 1) { /* it asks its own epoll anyway */
        http_shard_wake(shards->shards[0]);
        return;
    }
    const int count = epoll_wait(shards->epoll, events, EVENTS_PER_RUN_MAX, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr != NULL) {
            http_shard_wake(events[i].data.ptr);
        }
    }
}

bool http_shards_hold(const struct http_shards *shards)
{
    for (uint32_t i = 0; i < shards->count; i++) {
        if (shards->shards[i]->held_count > 0) {
            return true;
        }
    }
    return false;
}

void http_shards_wake_held(struct http_shards *shards)
{
    for (uint32_t i = 0; i < shards->count; i++) {
        if (shards->shards[i]->held_count > 0) {
            http_shard_wake(shards->shards[i]);
        }
    }
}

/* While a request is held libmicrohttpd always says that it has something to do. Then it has if
 * another request went on in this run and is not over, or if an answer is being made. (A head larger
 * than half of a connection's memory shows no sign: it waits for the next run of any cause.) */
static bool has_more_to_do(const struct http_shard *shard)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 1;

    if (MHD_get_timeout(shard->daemon, &wait_ms) != MHD_YES || wait_ms != 0) {
        return false;
    }
    return shard->held_count == 0 || shard->streams_count > 0 ||
           (shard->busy_count > 0 && shard->is_stirred);
}

static void shard_run(struct http_shard *shard)
{
    shard->is_stirred = false;
    const enum MHD_Result ran = MHD_run(shard->daemon);
    RK_ASSERT(ran == MHD_YES);
    if (has_more_to_do(shard)) {
        http_shard_wake(shard);
    }
}

void http_shards_run(struct http_shards *shards)
{
    wake_the_ready(shards);
    struct http_shard *shard = shards->awake;
    shards->awake = NULL;
    while (shard != NULL) {
        struct http_shard *next = shard->next_awake;
        shard->is_awake = false;
        shard_run(shard);
        shard = next;
    }
}

bool http_shards_are_awake(const struct http_shards *shards)
{
    return shards->awake != NULL;
}
