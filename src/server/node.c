/* node.c -- the node's thread: what wakes it, and how it ends. */
#include "server/node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/http_listener.h"
#include "server/node_internal.h"

enum {
    EVENTS_MAX = 8,
    EXIT_STORAGE = 3,
    EXIT_DAMAGE = 4,
    ARGUMENTS_SIZE_MAX = 64 << 10,
    ARGUMENTS_MAX = 1024,
};

/* This program again, in the same process, as it was called. What is open now is not inherited. */
static void start_again(void)
{
    static char text[ARGUMENTS_SIZE_MAX];
    static char *arguments[ARGUMENTS_MAX + 1];
    uint32_t count = 0;

    const int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    for (ssize_t at = 0; at < size && count < ARGUMENTS_MAX; at += (ssize_t)strlen(&text[at]) + 1) {
        arguments[count] = &text[at];
        count++;
    }
    if (size > 0 && size < (ssize_t)sizeof(text) - 1 &&
        close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0) {
        (void)execv("/proc/self/exe", arguments);
    }
}

_Noreturn void node_end(struct node *node, enum rk_status status, const char *event,
                        raft_index index)
{
    rk_log(RK_LOG_ERROR, "node", event, RK_TEXT("node", node->options->node_id),
           RK_TEXT("status", rk_status_text(status)), RK_U64("index", index), RK_END);
    switch ((int)status) {
    case RK_DIFFERS:
        start_again();
        _exit(EXIT_DAMAGE); /* whoever starts it again finds the note */
    case RK_CORRUPT:
        _exit(EXIT_DAMAGE);
    case RK_IO:
    case RK_FULL:
        _exit(EXIT_STORAGE);
    default:
        _exit(EXIT_FAILURE);
    }
}

static int wait_ms(struct node *node)
{
    const uint64_t deadline_ms = node_deadline_ms(node);
    const uint64_t now_us = rk_monotonic_us();
    const uint64_t now_ms = now_us / 1000;

    rk_meter_wake(node->meter, node->turned_us);
    rk_meter_rest(node->meter, now_us);
    return deadline_ms <= now_ms ? 0 : (int)(deadline_ms - now_ms);
}

static void note_ready(struct node *node, int fd)
{
    node->is_peer_waiting = node->is_peer_waiting || fd == http_listener_fd(node->peer_listener);
    node->is_server_ready = node->is_server_ready || fd == http_server_fd(node->peer_server);
    node->is_link_ready = node->is_link_ready || fd == link_fd(node->link);
}

static void *node_main(void *context)
{
    struct node *node = context;
    struct epoll_event events[EVENTS_MAX];

    do {
        const int count = epoll_wait(node->epoll, events, EVENTS_MAX, wait_ms(node));
        RK_ASSERT(count >= 0 || errno == EINTR);
        for (int i = 0; i < count; i++) {
            note_ready(node, events[i].data.fd);
        }
        node_turn(node);
#ifdef RK_TEST_HOOKS
        node_hook_turn(node);
#endif
    } while (!node_stop_turn(node));
    return NULL;
}

static void watch(struct node *node, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

    const int failed = epoll_ctl(node->epoll, EPOLL_CTL_ADD, fd, &event);
    RK_ASSERT(failed == 0);
}

static void node_watch_all(struct node *node)
{
    node->epoll = epoll_create1(EPOLL_CLOEXEC);
    RK_ASSERT(node->epoll >= 0);
    watch(node, rk_queue_fd(node->mailbox));
    watch(node, rk_queue_fd(disk_results(node->disk)));
    watch(node, rk_queue_fd(snap_results(node->snap_thread)));
    watch(node, http_listener_fd(node->peer_listener));
    watch(node, http_server_fd(node->peer_server));
    watch(node, link_fd(node->link));
}

enum rk_status node_start(const struct node_start_options *start, struct node **ret, char *message,
                          size_t message_size)
{
    struct node *node = NULL;
    const enum rk_status status = node_open(start, &node, message, message_size);

    if (status != RK_OK) {
        return status;
    }
    node_watch_all(node);
    const int failed = pthread_create(&node->thread, NULL, node_main, node);
    RK_ASSERT(failed == 0);
    (void)pthread_setname_np(node->thread, "rk-node");
    *ret = node;
    return RK_OK;
}

void node_stop(struct node *node, uint32_t timeout_ms)
{
    atomic_store(&node->stop_by_ms, rk_monotonic_ms() + timeout_ms);
    const int failed = pthread_join(node->thread, NULL);
    RK_ASSERT(failed == 0);
    (void)close(node->epoll);
    node_refuse_mailbox(node);
}
