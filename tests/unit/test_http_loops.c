#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/queue.h"
#include "server/http_loops.h"
#include "support/run.h"

enum { DEADLINE_MS = 10000, LOOPS_COUNT = 3, ANSWER_SIZE = 4096 };

/* A loop's own context: counted by its thread alone, read after the threads have ended. */
struct loop_context {
    uint32_t requests_count;
    uint32_t ends_count;
};

static struct http_loops *loops;
static struct http_loops_options options;
static struct loop_context contexts[LOOPS_COUNT];
static void *context_pointers[LOOPS_COUNT];
static struct rk_queue *held; /* of struct http_exchange *: suspended */

static void answer(struct http_exchange *exchange)
{
    struct http_response response;

    http_response_init(&response, 64);
    rk_buf_append_text(&response.body, http_exchange_request(exchange)->target);
    http_exchange_respond(exchange, &response);
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    ((struct loop_context *)context)->requests_count++;
    if (strncmp(request->target, "/later", 6) == 0) {
        http_exchange_suspend(exchange);
        ck_assert_int_eq(rk_queue_push(held, &exchange, 1), RK_OK);
    } else {
        answer(exchange);
    }
}

static void on_complete(void *context, struct http_exchange *exchange, void *completion)
{
    (void)context;
    (void)completion;
    answer(exchange);
}

static void on_end(void *context, struct http_exchange *exchange)
{
    (void)exchange;
    ((struct loop_context *)context)->ends_count++;
}

static void open_loops(void)
{
    char error[HTTP_LISTENER_ERROR_SIZE] = "";
    struct http_listener *listener = NULL;

    const enum rk_status opened = http_listener_open("127.0.0.1:0", &listener, error);
    ck_assert_msg(opened == RK_OK, "%s", error);
    loops = http_loops_new(&options, &listener);
    ck_assert_ptr_nonnull(loops);
    ck_assert_ptr_null(listener);
    ck_assert_int_eq(http_loops_start(loops), RK_OK);
}

static void setup(void)
{
    for (int i = 0; i < LOOPS_COUNT; i++) {
        contexts[i] = (struct loop_context){.requests_count = 0};
        context_pointers[i] = &contexts[i];
    }
    options = (struct http_loops_options){.server = {.on_request = on_request,
                                                     .on_complete = on_complete,
                                                     .on_end = on_end,
                                                     .connections_max = 300,
                                                     .body_size_max = 1000,
                                                     .body_size_swallowed = 1000},
                                          .contexts = context_pointers,
                                          .loops_count = LOOPS_COUNT};
    held = rk_queue_new(512, sizeof(struct http_exchange *));
}

static void teardown(void)
{
    http_loops_free(loops);
    loops = NULL;
    rk_queue_free(held);
    for (int i = 0; i < LOOPS_COUNT; i++) {
        ck_assert_uint_eq(contexts[i].ends_count, contexts[i].requests_count);
    }
}

/* Whether the port took the connection; *ret is then its socket. */
static bool dialled(int *ret)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(http_loops_port(loops)),
                                        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const struct timeval patience = {.tv_sec = DEADLINE_MS / 1000};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        ck_assert_int_eq(close(fd), 0);
        return false;
    }
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    *ret = fd;
    return true;
}

static int dial(void)
{
    int fd = -1;

    ck_assert(dialled(&fd));
    return fd;
}

static void ask(int fd, const char *target)
{
    char request[128];

    const int size =
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    ck_assert_int_eq(send(fd, request, (size_t)size, MSG_NOSIGNAL), size);
}

/* Waits for an answer that ends with `text`. */
static void expect(int fd, const char *text)
{
    char in[ANSWER_SIZE] = "";
    size_t size = 0;

    while (strstr(in, text) == NULL) {
        const ssize_t got = recv(fd, in + size, sizeof in - 1 - size, 0);
        ck_assert_msg(got > 0, "no \"%s\" in: %s", text, in);
        size += (size_t)got;
        in[size] = '\0';
    }
}

/* Waits until the server has closed. */
static void expect_closed(int fd)
{
    char in[ANSWER_SIZE];
    ssize_t got = 1;

    while (got > 0) {
        got = recv(fd, in, sizeof in, 0);
    }
    ck_assert_int_eq(got, 0);
    ck_assert_int_eq(close(fd), 0);
}

static struct http_exchange *take_held(void)
{
    struct http_exchange *exchange = NULL;

    ck_assert_uint_eq(rk_queue_pop_wait(held, &exchange, 1, DEADLINE_MS), 1);
    return exchange;
}

static void complete(struct http_exchange *exchange)
{
    http_server_complete(http_exchange_server(exchange), exchange, NULL);
}

static uint32_t requests_of_all(void)
{
    uint32_t sum = 0;

    for (int i = 0; i < LOOPS_COUNT; i++) {
        sum += contexts[i].requests_count;
    }
    return sum;
}

static void stop(void)
{
    ck_assert_int_eq(http_loops_stop(loops, DEADLINE_MS), RK_OK);
}

START_TEST(request_is_served)
{
    open_loops();
    const int fd = dial();
    ask(fd, "/hello");
    expect(fd, "/hello");
    stop();
    expect_closed(fd);
    ck_assert_uint_eq(requests_of_all(), 1);
}
END_TEST

enum { CLIENTS_COUNT = 150 };

START_TEST(connections_are_spread_evenly)
{
    int fds[CLIENTS_COUNT];

    open_loops();
    for (int i = 0; i < CLIENTS_COUNT; i++) {
        fds[i] = dial();
        ask(fds[i], "/spread");
    }
    for (int i = 0; i < CLIENTS_COUNT; i++) {
        expect(fds[i], "/spread");
    }
    stop();
    for (int i = 0; i < CLIENTS_COUNT; i++) {
        ck_assert_int_eq(close(fds[i]), 0);
    }
    for (int i = 0; i < LOOPS_COUNT; i++) {
        ck_assert_uint_eq(contexts[i].requests_count, CLIENTS_COUNT / LOOPS_COUNT);
    }
}
END_TEST

START_TEST(suspended_requests_are_completed_by_another_thread)
{
    enum { HELD_COUNT = 30 };
    int fds[HELD_COUNT];

    open_loops();
    for (int i = 0; i < HELD_COUNT; i++) {
        fds[i] = dial();
        ask(fds[i], "/later/x");
    }
    for (int i = 0; i < HELD_COUNT; i++) {
        complete(take_held());
    }
    for (int i = 0; i < HELD_COUNT; i++) {
        expect(fds[i], "/later/x");
        ck_assert_int_eq(close(fds[i]), 0);
    }
    stop();
}
END_TEST

/* The other threads' part: many completions at once while requests come in. */
static void *complete_all(void *context)
{
    uint32_t left = *(const uint32_t *)context;

    while (left > 0) {
        struct http_exchange *batch[16];
        const uint32_t count = rk_queue_pop_wait(held, batch, 16, DEADLINE_MS);
        ck_assert_uint_gt(count, 0);
        for (uint32_t i = 0; i < count; i++) {
            complete(batch[i]);
        }
        left -= count;
    }
    return NULL;
}

START_TEST(requests_and_completions_run_at_the_same_time)
{
    enum { FDS_COUNT = 20, ROUNDS_COUNT = 50 };
    uint32_t total = FDS_COUNT * ROUNDS_COUNT;
    int fds[FDS_COUNT];
    pthread_t thread;

    open_loops();
    ck_assert_int_eq(pthread_create(&thread, NULL, complete_all, &total), 0);
    for (int i = 0; i < FDS_COUNT; i++) {
        fds[i] = dial();
    }
    for (int round = 0; round < ROUNDS_COUNT; round++) {
        for (int i = 0; i < FDS_COUNT; i++) {
            ask(fds[i], "/later/y");
        }
        for (int i = 0; i < FDS_COUNT; i++) {
            expect(fds[i], "/later/y");
        }
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    stop();
    for (int i = 0; i < FDS_COUNT; i++) {
        ck_assert_int_eq(close(fds[i]), 0);
    }
    ck_assert_uint_eq(requests_of_all(), total);
}
END_TEST

/* max-connections holds for all loops together. */
START_TEST(connection_past_the_limit_is_told_so_and_closed)
{
    int fds[4];

    options.server.connections_max = 4;
    open_loops();
    for (int i = 0; i < 4; i++) {
        fds[i] = dial();
        ask(fds[i], "/in");
        expect(fds[i], "/in");
    }
    const int one_more = dial();
    expect(one_more, "429 Too Many Requests");
    expect_closed(one_more);
    const struct http_server_counts counts = http_loops_counts(loops);
    ck_assert_uint_eq(counts.refused, 1);
    stop();
    for (int i = 0; i < 4; i++) {
        expect_closed(fds[i]);
    }
}
END_TEST

/* The port is free at once, while what is in flight is still worked on. */
START_TEST(draining_closes_the_listener_and_answers_what_is_in_flight)
{
    int refused = -1;
    open_loops();
    const int fd = dial();
    ask(fd, "/later/z");
    struct http_exchange *exchange = take_held();

    http_loops_drain(loops);
    const uint64_t deadline_ms = rk_monotonic_ms() + DEADLINE_MS;
    while (dialled(&refused)) {
        ck_assert_uint_lt(rk_monotonic_ms(), deadline_ms);
        ck_assert_int_eq(close(refused), 0);
    }
    complete(exchange);
    expect(fd, "Connection: close");
    expect_closed(fd);
    stop();
}
END_TEST

START_TEST(stop_cuts_off_what_nobody_completes)
{
    open_loops();
    const int fd = dial();
    ask(fd, "/later/never");
    (void)take_held();
    ck_assert_int_eq(http_loops_stop(loops, 20), RK_BUSY);
    http_loops_free(loops);
    loops = NULL;
    expect_closed(fd);
}
END_TEST

START_TEST(stop_closes_idle_connections_at_once)
{
    open_loops();
    const int fd = dial();
    ask(fd, "/idle");
    expect(fd, "/idle");
    const uint64_t before_ms = rk_monotonic_ms();
    stop();
    ck_assert_uint_lt(rk_monotonic_ms() - before_ms, DEADLINE_MS / 2);
    expect_closed(fd);
}
END_TEST

/* Health sees a stuck loop by its last turn, so one that is idle must turn all the same. */
START_TEST(idle_loop_turns_all_the_same)
{
    open_loops();
    const uint64_t started_ms = rk_monotonic_ms();
    for (uint32_t i = 0; i < http_loops_count(loops); i++) {
        while (http_loops_turned_at_ms(loops, i) <= started_ms) {
            ck_assert_uint_lt(rk_monotonic_ms(), started_ms + DEADLINE_MS);
            (void)poll(NULL, 0, 10);
        }
    }
    stop();
}
END_TEST

START_TEST(loops_that_never_started_can_be_freed)
{
    char error[HTTP_LISTENER_ERROR_SIZE];
    struct http_listener *listener = NULL;

    ck_assert_int_eq(http_listener_open("127.0.0.1:0", &listener, error), RK_OK);
    loops = http_loops_new(&options, &listener);
    ck_assert_ptr_nonnull(http_loops_server(loops, LOOPS_COUNT - 1));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_loops");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, request_is_served);
    tcase_add_test(tcase, connections_are_spread_evenly);
    tcase_add_test(tcase, suspended_requests_are_completed_by_another_thread);
    tcase_add_test(tcase, requests_and_completions_run_at_the_same_time);
    tcase_add_test(tcase, connection_past_the_limit_is_told_so_and_closed);
    tcase_add_test(tcase, draining_closes_the_listener_and_answers_what_is_in_flight);
    tcase_add_test(tcase, stop_cuts_off_what_nobody_completes);
    tcase_add_test(tcase, stop_closes_idle_connections_at_once);
    tcase_add_test(tcase, idle_loop_turns_all_the_same);
    tcase_add_test(tcase, loops_that_never_started_can_be_freed);
    return run_suite("http_loops", tcase);
}
