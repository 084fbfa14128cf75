#include "server/http_loops.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/queue.h"

enum {
    TURN_WAIT_MS_MAX = 1000,
    ACCEPTS_PER_TURN_MAX = 64,
    INBOX_CAPACITY = 1024,
};

enum loops_phase { LOOPS_SERVE, LOOPS_DRAIN, LOOPS_STOP };

/* What wakes a loop besides the listener; a negative number stands for no socket. */
enum { INBOX_WAKE = -1 };

struct loop {
    struct http_loops *loops;
    struct http_server *server;
    struct rk_queue *inbox; /* int: a socket, or INBOX_WAKE */
    struct rk_meter *meter;
    int epoll;
    pthread_t thread;
    bool is_running;
    bool is_draining;
    uint64_t stop_at_ms;
    uint32_t assigned_count;     /* sockets ever given to it; the accepting loop's own count */
    _Atomic uint32_t gone_count; /* of these, how many are closed */
    uint32_t taken_count;
    _Atomic uint64_t turned_at_ms;
    _Atomic uint32_t connections;
    _Atomic uint32_t suspended;
    _Atomic uint64_t requests;
    _Atomic uint64_t refused;
    _Atomic uint64_t reaped;
};

struct http_loops {
    struct http_loops_options options;
    struct http_listener *listener; /* the first loop's, once started */
    uint16_t port;
    _Atomic int phase;
    _Atomic uint64_t stop_at_ms;
    _Atomic bool was_cut_off;
    _Atomic uint64_t turned_away;
    uint32_t count;
    struct loop loops[];
};

/* ---- accepting: the first loop's ---- */

static uint32_t load_of(struct loop *loop)
{
    return loop->assigned_count - atomic_load(&loop->gone_count);
}

/* The one with the fewest connections; NULL when there may be no more. */
static struct loop *loop_for_next(struct http_loops *loops)
{
    struct loop *best = &loops->loops[0];
    uint32_t sum = 0;

    for (uint32_t i = 0; i < loops->count; i++) {
        sum += load_of(&loops->loops[i]);
        if (load_of(&loops->loops[i]) < load_of(best)) {
            best = &loops->loops[i];
        }
    }
    return sum < loops->options.server.connections_max ? best : NULL;
}

/* Says why, without a word of the request being read, and closes: nobody waits for a peer here. What
 * has come is taken first, because closing over it would reset the connection before the peer has
 * read the answer. */
static void turn_away(struct http_loops *loops, int socket)
{
    static const char answer[] = "HTTP/1.1 429 Too Many Requests\r\n"
                                 "Connection: close\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Retry-After: 1\r\n"
                                 "X-Raftkv-Outcome: not-done\r\n"
                                 "Content-Length: 51\r\n\r\n"
                                 "too many connections are open; retry with backoff\r\n";
    char request[4096];

    _Static_assert(sizeof("too many connections are open; retry with backoff\r\n") - 1 == 51,
                   "Content-Length is that of the text");
    const ssize_t received = recv(socket, request, sizeof(request), MSG_DONTWAIT);
    const ssize_t sent = send(socket, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    RK_MAYBE(received < 0 || sent < 0);
    atomic_fetch_add(&loops->turned_away, 1);
    (void)close(socket);
}

static void hand_out(struct http_loops *loops, int socket)
{
    struct loop *loop = loop_for_next(loops);

    if (loop == NULL || rk_queue_push(loop->inbox, &socket, 1) != RK_OK) {
        turn_away(loops, socket);
        return;
    }
    loop->assigned_count++;
}

static void accept_waiting(struct http_loops *loops)
{
    enum rk_status status = RK_OK;

    for (int i = 0; i < ACCEPTS_PER_TURN_MAX && status == RK_OK; i++) {
        int socket = -1;
        status = http_listener_accept(loops->listener, &socket);
        if (status == RK_OK) {
            hand_out(loops, socket);
        } else if (status == RK_BUSY) {
            atomic_fetch_add(&loops->turned_away, 1);
        }
    }
}

/* ---- a loop's turn ---- */

static void inbox_take(struct loop *loop)
{
    int sockets[ACCEPTS_PER_TURN_MAX];
    const uint32_t count = rk_queue_pop(loop->inbox, sockets, ACCEPTS_PER_TURN_MAX);

    for (uint32_t i = 0; i < count; i++) {
        if (sockets[i] != INBOX_WAKE) {
            loop->taken_count++;
            const enum rk_status status = http_server_add(loop->server, sockets[i]);
            RK_MAYBE(status != RK_OK); /* counted there */
        }
    }
}

static void publish(struct loop *loop)
{
    const struct http_server_counts counts = http_server_counts(loop->server);

    atomic_store(&loop->gone_count, loop->taken_count - counts.connections);
    atomic_store_explicit(&loop->connections, counts.connections, memory_order_relaxed);
    atomic_store_explicit(&loop->suspended, counts.suspended, memory_order_relaxed);
    atomic_store_explicit(&loop->requests, counts.requests, memory_order_relaxed);
    atomic_store_explicit(&loop->refused, counts.refused, memory_order_relaxed);
    atomic_store_explicit(&loop->reaped, counts.reaped, memory_order_relaxed);
}

static int wait_ms(struct loop *loop, uint64_t now_ms)
{
    uint64_t until_ms = http_server_deadline_ms(loop->server, now_ms);

    if (loop->stop_at_ms != 0 && loop->stop_at_ms < until_ms) {
        until_ms = loop->stop_at_ms;
    }
    if (until_ms <= now_ms) {
        return 0;
    }
    return until_ms - now_ms < TURN_WAIT_MS_MAX ? (int)(until_ms - now_ms) : TURN_WAIT_MS_MAX;
}

static bool is_accepting(const struct loop *loop)
{
    return loop == &loop->loops->loops[0] && loop->loops->listener != NULL;
}

static void loop_turn(struct loop *loop)
{
    struct epoll_event events[4];
    const uint64_t rests_us = rk_monotonic_us();
    rk_meter_rest(loop->meter, rests_us);
    const int count = epoll_wait(loop->epoll, events, 4, wait_ms(loop, rests_us / 1000));
    const uint64_t now_us = rk_monotonic_us();
    const uint64_t now_ms = now_us / 1000;
    bool may_accept = false;

    rk_meter_wake(loop->meter, now_us);

    atomic_store_explicit(&loop->turned_at_ms, now_ms, memory_order_relaxed);
    for (int i = 0; i < count; i++) {
        may_accept |= events[i].data.ptr == loop->loops;
    }
    if (may_accept && is_accepting(loop)) {
        accept_waiting(loop->loops);
    }
    inbox_take(loop);
    http_server_run(loop->server, now_ms);
    publish(loop);
}

static void loop_drain(struct loop *loop)
{
    if (is_accepting(loop)) {
        http_listener_close(loop->loops->listener);
        loop->loops->listener = NULL;
    }
    http_server_drain(loop->server);
    loop->is_draining = true;
}

/* Whether the thread is to end. */
static bool loop_obey(struct loop *loop)
{
    const int phase = atomic_load(&loop->loops->phase);

    if (phase != LOOPS_SERVE && !loop->is_draining) {
        loop_drain(loop);
    }
    if (phase != LOOPS_STOP) {
        return false;
    }
    loop->stop_at_ms = atomic_load(&loop->loops->stop_at_ms);
    return http_server_counts(loop->server).connections == 0 ||
           rk_monotonic_ms() >= loop->stop_at_ms;
}

static void *loop_main(void *context)
{
    struct loop *loop = context;

    while (!loop_obey(loop)) {
        loop_turn(loop);
    }
    if (http_server_counts(loop->server).connections > 0) {
        atomic_store(&loop->loops->was_cut_off, true);
        http_server_abandon(loop->server);
    }
    publish(loop);
    return NULL;
}

/* ---- the owner's side ---- */

static bool watch(struct loop *loop, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = tag}};

    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool loop_open(struct http_loops *loops, uint32_t index)
{
    struct loop *loop = &loops->loops[index];
    struct http_server_options server = loops->options.server;

    if (loops->options.contexts != NULL) {
        server.context = loops->options.contexts[index];
    }
    if (loops->options.meters != NULL) {
        loop->meter = rk_meter_of(loops->options.meters, RK_METER_HTTP, index);
    }
    loop->loops = loops;
    loop->inbox = rk_queue_new(INBOX_CAPACITY, sizeof(int));
    loop->server = http_server_new(&server);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    atomic_store(&loop->turned_at_ms, rk_monotonic_ms());
    return loop->server != NULL && loop->epoll >= 0 &&
           watch(loop, http_server_fd(loop->server), loop) &&
           watch(loop, rk_queue_fd(loop->inbox), loop) &&
           (index > 0 || watch(loop, http_listener_fd(loops->listener), loops));
}

struct http_loops *http_loops_new(const struct http_loops_options *options,
                                  struct http_listener **listener)
{
    const uint32_t count = options->loops_count;

    RK_ASSERT(count > 0 && count <= HTTP_LOOPS_MAX);
    struct http_loops *loops = rk_heap_zalloc(1, sizeof *loops + count * sizeof loops->loops[0]);
    loops->options = *options;
    loops->listener = *listener;
    *listener = NULL;
    loops->port = http_listener_port(loops->listener);
    for (uint32_t i = 0; i < count; i++) {
        loops->count++;
        if (!loop_open(loops, i)) {
            http_loops_free(loops);
            return NULL;
        }
    }
    return loops;
}

/* Signals are the main thread's. */
static bool loop_start(struct loop *loop)
{
    sigset_t all;
    sigset_t saved;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &saved);
    loop->is_running = pthread_create(&loop->thread, NULL, loop_main, loop) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (loop->is_running) {
        (void)pthread_setname_np(loop->thread, "rk-http");
    }
    return loop->is_running;
}

enum rk_status http_loops_start(struct http_loops *loops)
{
    for (uint32_t i = 0; i < loops->count; i++) {
        if (!loop_start(&loops->loops[i])) {
            const enum rk_status status = http_loops_stop(loops, 0);
            RK_MAYBE(status != RK_OK);
            return RK_BUSY;
        }
    }
    return RK_OK;
}

static void set_phase(struct http_loops *loops, enum loops_phase phase)
{
    const int wake = INBOX_WAKE;

    atomic_store(&loops->phase, (int)phase);
    for (uint32_t i = 0; i < loops->count; i++) {
        const enum rk_status status = rk_queue_push(loops->loops[i].inbox, &wake, 1);
        RK_MAYBE(status != RK_OK); /* a full inbox wakes its loop as well */
    }
}

void http_loops_drain(struct http_loops *loops)
{
    set_phase(loops, LOOPS_DRAIN);
}

enum rk_status http_loops_stop(struct http_loops *loops, uint32_t timeout_ms)
{
    atomic_store(&loops->stop_at_ms, rk_monotonic_ms() + timeout_ms);
    set_phase(loops, LOOPS_STOP);
    for (uint32_t i = 0; i < loops->count; i++) {
        struct loop *loop = &loops->loops[i];
        if (loop->is_running) {
            const int failed = pthread_join(loop->thread, NULL);
            RK_ASSERT(failed == 0);
            loop->is_running = false;
        }
    }
    return atomic_load(&loops->was_cut_off) ? RK_BUSY : RK_OK;
}

static void inbox_free(struct rk_queue *inbox)
{
    int socket = INBOX_WAKE;

    while (inbox != NULL && rk_queue_pop(inbox, &socket, 1) == 1) {
        if (socket != INBOX_WAKE) {
            (void)close(socket);
        }
    }
    rk_queue_free(inbox);
}

void http_loops_free(struct http_loops *loops)
{
    if (loops == NULL) {
        return;
    }
    for (uint32_t i = 0; i < loops->count; i++) {
        struct loop *loop = &loops->loops[i];
        RK_ASSERT(!loop->is_running);
        http_server_free(loop->server);
        inbox_free(loop->inbox);
        if (loop->epoll >= 0) {
            (void)close(loop->epoll);
        }
    }
    http_listener_close(loops->listener);
    rk_heap_free(loops);
}

uint32_t http_loops_count(const struct http_loops *loops)
{
    return loops->count;
}

struct http_server *http_loops_server(struct http_loops *loops, uint32_t loop)
{
    RK_ASSERT(loop < loops->count);
    return loops->loops[loop].server;
}

uint16_t http_loops_port(const struct http_loops *loops)
{
    return loops->port;
}

uint64_t http_loops_turned_at_ms(const struct http_loops *loops, uint32_t loop)
{
    RK_ASSERT(loop < loops->count);
    return atomic_load_explicit(&loops->loops[loop].turned_at_ms, memory_order_relaxed);
}

struct http_server_counts http_loops_counts(const struct http_loops *loops)
{
    struct http_server_counts sum = {.refused = atomic_load(&loops->turned_away)};

    for (uint32_t i = 0; i < loops->count; i++) {
        const struct loop *loop = &loops->loops[i];
        sum.connections += atomic_load_explicit(&loop->connections, memory_order_relaxed);
        sum.suspended += atomic_load_explicit(&loop->suspended, memory_order_relaxed);
        sum.requests += atomic_load_explicit(&loop->requests, memory_order_relaxed);
        sum.refused += atomic_load_explicit(&loop->refused, memory_order_relaxed);
        sum.reaped += atomic_load_explicit(&loop->reaped, memory_order_relaxed);
    }
    return sum;
}
