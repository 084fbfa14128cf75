/* Requests to a peer over real sockets: what comes back, and what is known when nothing does. */
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "link_server.h"
#include "network/link.h"
#include "support/run.h"

enum {
    RESULTS_MAX = 512,
    REQUESTS_MAX = 100,
    ANSWER_SIZE_MAX = 200 * 1024,
    TEXT_MAX = 64,
    PATIENCE_MS = 20000,
    TIMEOUT_MS = 10000,
    SHORT_MS = 50,
};

struct result {
    struct link_result is;
    char text[TEXT_MAX]; /* the start of the body */
};

static struct link_server *server;
static struct link *link_;
static struct result results[RESULTS_MAX];
static uint32_t results_count;
static uint32_t posts_from_callback;

static void post_text(enum link_class class, const char *path, const char *text, uint64_t cookie)
{
    struct rk_buf body;

    rk_buf_init(&body, 1 << 20);
    rk_buf_append_text(&body, text);
    ck_assert_int_eq(
        link_post(link_, class, link_server_address(server), path, &body, TIMEOUT_MS, cookie),
        RK_OK);
    ck_assert_uint_eq(body.size, 0);
    rk_buf_done(&body);
}

static void on_result(void *context, const struct link_result *result)
{
    ck_assert_ptr_eq(context, &results);
    ck_assert_uint_lt(results_count, RESULTS_MAX);
    struct result *kept = &results[results_count++];
    const size_t size = result->body.size < TEXT_MAX - 1 ? result->body.size : TEXT_MAX - 1;
    kept->is = *result;
    if (size > 0) {
        memcpy(kept->text, result->body.data, size);
    }
    kept->text[size] = '\0';
    if (posts_from_callback > 0) {
        posts_from_callback--;
        post_text(LINK_BULK, "/echo", "again", result->cookie + 1);
    }
}

static void open_with(uint32_t requests_max)
{
    const struct link_options options = {.on_result = on_result,
                                         .context = &results,
                                         .connect_timeout_ms = 2000,
                                         .requests_max = requests_max,
                                         .answer_size_max = ANSWER_SIZE_MAX};

    link_free(link_);
    link_ = link_new(&options);
}

static void open_all(void)
{
    server = link_server_start();
    open_with(REQUESTS_MAX);
}

static void close_all(void)
{
    link_free(link_);
    link_server_stop(server);
}

/* What an owner's loop does, once. */
static void turn(uint64_t until_ms)
{
    const uint64_t now = rk_monotonic_ms();
    uint64_t at = link_deadline_ms(link_);
    struct pollfd watched = {.fd = link_fd(link_), .events = POLLIN};

    at = at < until_ms ? at : until_ms;
    (void)poll(&watched, 1, at <= now ? 0 : (int)(at - now));
    link_run(link_, rk_monotonic_ms());
}

static void run_until(uint32_t count)
{
    const uint64_t until_ms = rk_monotonic_ms() + PATIENCE_MS;

    while (results_count < count && rk_monotonic_ms() < until_ms) {
        turn(until_ms);
    }
    ck_assert_uint_eq(results_count, count);
}

static const struct result *ask(enum link_class class, const char *path, const char *text)
{
    post_text(class, path, text, 1);
    run_until(results_count + 1);
    return &results[results_count - 1];
}

/* Runs the loop until the server has seen so much. */
static void run_until_server(uint32_t (*counter)(struct link_server *), uint32_t count)
{
    const uint64_t until_ms = rk_monotonic_ms() + PATIENCE_MS;

    while (counter(server) < count && rk_monotonic_ms() < until_ms) {
        turn(rk_monotonic_ms() + 1);
    }
    ck_assert_uint_eq(counter(server), count);
}

START_TEST(a_post_comes_back_with_the_answer)
{
    post_text(LINK_BULK, "/echo", "hello", 4711);
    run_until(1);

    ck_assert_uint_eq(results[0].is.cookie, 4711);
    ck_assert_int_eq(results[0].is.status, RK_OK);
    ck_assert_uint_eq(results[0].is.http_status, 200);
    ck_assert_str_eq(results[0].text, "hello");
    ck_assert_uint_gt(results[0].is.round_trip_us, 0);
}
END_TEST

/* What costs bytes or a round trip is left out; what could lead elsewhere is, too. */
START_TEST(a_request_carries_nothing_that_is_not_needed)
{
    char expected[160];

    (void)ask(LINK_BULK, "/echo?name=n1", "hello");
    (void)snprintf(expected, sizeof(expected),
                   "POST /echo?name=n1 HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\n\r\n",
                   link_server_address(server));
    ck_assert_str_eq(link_server_last_head(server), expected);
}
END_TEST

START_TEST(without_a_body_it_is_a_get)
{
    (void)ask(LINK_CONTROL, "/echo", "a post before, on the same handle");
    ck_assert_int_eq(
        link_post(link_, LINK_CONTROL, link_server_address(server), "/who", NULL, TIMEOUT_MS, 2),
        RK_OK);
    run_until(2);
    ck_assert_int_eq(results[1].is.status, RK_OK);
    ck_assert_int_eq(strncmp(link_server_last_head(server), "GET /who HTTP/1.1\r\n", 19), 0);
    ck_assert_ptr_null(strstr(link_server_last_head(server), "Content-Length"));
    ck_assert_str_eq(ask(LINK_CONTROL, "/echo", "and a post after")->text, "and a post after");
}
END_TEST

START_TEST(an_empty_body_is_a_post_all_the_same)
{
    ck_assert_int_eq(ask(LINK_CONTROL, "/echo", "")->is.status, RK_OK);
    ck_assert_int_eq(strncmp(link_server_last_head(server), "POST /echo HTTP/1.1\r\n", 21), 0);
}
END_TEST

/* Past curl's upload buffer, in pieces, and back. */
START_TEST(a_large_body_goes_and_comes_whole)
{
    struct rk_buf body;
    rk_buf_init(&body, ANSWER_SIZE_MAX);
    for (uint32_t i = 0; i < ANSWER_SIZE_MAX; i++) {
        rk_buf_append_byte(&body, (uint8_t)('a' + i % 7));
    }
    ck_assert_int_eq(
        link_post(link_, LINK_BULK, link_server_address(server), "/echo", &body, TIMEOUT_MS, 1),
        RK_OK);
    run_until(1);
    ck_assert_int_eq(results[0].is.status, RK_OK);
    ck_assert_uint_eq(results[0].is.body.size, ANSWER_SIZE_MAX);
    rk_buf_done(&body);
}
END_TEST

START_TEST(any_status_is_an_answer)
{
    const struct result *result = ask(LINK_BULK, "/teapot", "");

    ck_assert_int_eq(result->is.status, RK_OK);
    ck_assert_uint_eq(result->is.http_status, 418);
    ck_assert_uint_eq(result->is.body.size, 0);
}
END_TEST

START_TEST(requests_in_a_row_share_a_connection)
{
    for (int i = 0; i < 50; i++) {
        ck_assert_str_eq(ask(LINK_BULK, "/who", "x")->text, "1");
    }
    ck_assert_uint_eq(link_server_connections(server), 1);
}
END_TEST

/* Pitfall 42: a heartbeat finds its own connection, whatever bulk has under way. */
START_TEST(the_classes_share_no_connection)
{
    ck_assert_str_eq(ask(LINK_BULK, "/who", "x")->text, "1");
    ck_assert_str_eq(ask(LINK_CONTROL, "/who", "x")->text, "2");
    ck_assert_str_eq(ask(LINK_BULK, "/who", "x")->text, "1");
    ck_assert_str_eq(ask(LINK_CONTROL, "/who", "x")->text, "2");
}
END_TEST

START_TEST(control_passes_a_bulk_class_that_is_full)
{
    for (uint32_t i = 0; i < REQUESTS_MAX - 1; i++) {
        post_text(LINK_BULK, "/hold", "x", i);
    }
    run_until_server(link_server_requests, 64);
    ck_assert_int_eq(ask(LINK_CONTROL, "/echo", "vote")->is.status, RK_OK);
    ck_assert_str_eq(results[0].text, "vote");
    ck_assert_uint_eq(link_server_connections(server), 65);

    link_server_release(server);
    run_until(REQUESTS_MAX);
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        ck_assert_int_eq(results[i].is.status, RK_OK);
    }
    ck_assert_uint_eq(link_server_connections(server), 65);
}
END_TEST

static void close_port(int fd)
{
    (void)close(fd);
}

/* A port that nobody listens on, and nobody else can take: bound, not listening. */
static int closed_port(char address[32])
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&name, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    (void)snprintf(address, 32, "127.0.0.1:%u", (unsigned)ntohs(name.sin_port));
    return fd;
}

static void post_to(const char *address, uint32_t timeout_ms)
{
    struct rk_buf body;

    rk_buf_init(&body, 100);
    rk_buf_append_text(&body, "x");
    ck_assert_int_eq(link_post(link_, LINK_BULK, address, "/echo", &body, timeout_ms, 1), RK_OK);
}

/* The peer cannot have acted on it: also with a handle that has sent something before. */
START_TEST(a_refused_connection_is_not_found)
{
    char address[32];
    const int fd = closed_port(address);

    ck_assert_int_eq(ask(LINK_BULK, "/echo", "x")->is.status, RK_OK);
    post_to(address, TIMEOUT_MS);
    run_until(2);
    ck_assert_int_eq(results[1].is.status, RK_NOT_FOUND);
    ck_assert_uint_eq(results[1].is.body.size, 0);
    close_port(fd);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_not_found)
{
    post_to("no.such.host.invalid:8300", TIMEOUT_MS);
    run_until(1);
    ck_assert_int_eq(results[0].is.status, RK_NOT_FOUND);
}
END_TEST

/* The resolver has descriptors of its own, whose numbers connections get after it. */
START_TEST(names_are_resolved_and_their_connections_kept)
{
    char address[TEXT_MAX];

    (void)snprintf(address, sizeof(address), "localhost%s",
                   strchr(link_server_address(server), ':'));
    for (int i = 0; i < 4; i++) {
        post_to("no.such.host.invalid:8300", TIMEOUT_MS);
        run_until(2 * (uint32_t)i + 1);
        ck_assert_int_eq(results[2 * i].is.status, RK_NOT_FOUND);
        post_to(address, TIMEOUT_MS);
        run_until(2 * (uint32_t)i + 2);
        ck_assert_int_eq(results[2 * i + 1].is.status, RK_OK);
    }
    ck_assert_uint_eq(link_server_connections(server), 1);
}
END_TEST

/* A connection that the peer closes while nothing is asked of it must not keep the loop awake. */
START_TEST(a_kept_connection_that_the_peer_closes_lets_the_loop_rest)
{
    const uint64_t until_ms = rk_monotonic_ms() + PATIENCE_MS;
    struct pollfd watched = {.fd = link_fd(link_), .events = POLLIN};

    ck_assert_int_eq(ask(LINK_BULK, "/last", "x")->is.status, RK_OK);
    run_until_server(link_server_closes, 1);
    bool rests = false;
    while (!rests && rk_monotonic_ms() < until_ms) {
        turn(rk_monotonic_ms() + 1);
        rests = poll(&watched, 1, 0) == 0;
    }
    ck_assert(rests);
    ck_assert_int_eq(ask(LINK_BULK, "/echo", "x")->is.status, RK_OK);
}
END_TEST

/* Two connections fill the queue of a socket that nobody accepts from; the next one gets no answer
 * at all, like one to a machine that is off. */
START_TEST(a_connection_that_does_not_come_about_in_time_is_not_found)
{
    const struct link_options options = {.on_result = on_result,
                                         .context = &results,
                                         .connect_timeout_ms = SHORT_MS,
                                         .requests_max = 8,
                                         .answer_size_max = 100};
    char address[32];
    const int fd = closed_port(address);

    ck_assert_int_eq(listen(fd, 0), 0);
    link_free(link_);
    link_ = link_new(&options);
    for (int i = 0; i < 8; i++) {
        post_to(address, 4 * SHORT_MS);
    }
    run_until(8);
    int not_found = 0;
    for (int i = 0; i < 8; i++) {
        ck_assert_int_ne(results[i].is.status, RK_OK);
        not_found += results[i].is.status == RK_NOT_FOUND;
    }
    ck_assert_int_ge(not_found, 6);
    close_port(fd);
}
END_TEST

START_TEST(an_answer_that_does_not_come_is_unknown)
{
    struct rk_buf body;

    rk_buf_init(&body, 100);
    rk_buf_append_text(&body, "x");
    ck_assert_int_eq(
        link_post(link_, LINK_BULK, link_server_address(server), "/hold", &body, SHORT_MS, 1),
        RK_OK);
    run_until(1);
    ck_assert_int_eq(results[0].is.status, RK_UNKNOWN);
    ck_assert_uint_ge(results[0].is.round_trip_us, SHORT_MS * 1000);
    ck_assert_uint_lt(results[0].is.round_trip_us, 1000 * (uint64_t)TIMEOUT_MS);
    ck_assert_uint_eq(link_server_requests(server), 1);
}
END_TEST

/* The first connection's timed-out exchange must not answer the next request. */
START_TEST(an_answer_that_comes_too_late_is_nobodys)
{
    struct rk_buf body;

    rk_buf_init(&body, 100);
    rk_buf_append_text(&body, "x");
    ck_assert_int_eq(
        link_post(link_, LINK_BULK, link_server_address(server), "/hold", &body, SHORT_MS, 1),
        RK_OK);
    run_until(1);
    link_server_release(server);
    ck_assert_str_eq(ask(LINK_BULK, "/echo", "mine")->text, "mine");
}
END_TEST

START_TEST(an_answer_cut_in_the_middle_is_unknown)
{
    ck_assert_int_eq(ask(LINK_BULK, "/half", "x")->is.status, RK_UNKNOWN);
    ck_assert_uint_eq(link_server_requests(server), 1);
}
END_TEST

/* It could be cut short and nobody would see it. */
START_TEST(an_answer_without_a_length_is_unknown)
{
    ck_assert_int_eq(ask(LINK_BULK, "/unsized", "x")->is.status, RK_UNKNOWN);
}
END_TEST

/* The answer's ceiling is the owner's; its headers have one too. */
START_TEST(an_answer_past_its_ceiling_is_unknown)
{
    struct rk_buf body;

    rk_buf_init(&body, ANSWER_SIZE_MAX + 1);
    ck_assert_ptr_nonnull(rk_buf_extend(&body, ANSWER_SIZE_MAX + 1));
    memset(body.data, 'a', body.size);
    ck_assert_int_eq(
        link_post(link_, LINK_BULK, link_server_address(server), "/echo", &body, TIMEOUT_MS, 1),
        RK_OK);
    run_until(1);
    ck_assert_int_eq(results[0].is.status, RK_UNKNOWN);
    ck_assert_int_eq(ask(LINK_BULK, "/headers", "x")->is.status, RK_UNKNOWN);
}
END_TEST

/* curl would send it again on a new connection; the peer may have acted on the first. */
START_TEST(a_request_that_was_sent_is_never_sent_again)
{
    ck_assert_int_eq(ask(LINK_BULK, "/echo", "x")->is.status, RK_OK);
    ck_assert_int_eq(ask(LINK_BULK, "/close", "x")->is.status, RK_UNKNOWN);

    ck_assert_uint_eq(link_server_requests(server), 2);
}
END_TEST

START_TEST(a_large_request_that_was_sent_is_never_sent_again)
{
    struct rk_buf body;

    ck_assert_int_eq(ask(LINK_BULK, "/echo", "x")->is.status, RK_OK);
    rk_buf_init(&body, ANSWER_SIZE_MAX);
    ck_assert_ptr_nonnull(rk_buf_extend(&body, ANSWER_SIZE_MAX));
    memset(body.data, 'a', body.size);
    ck_assert_int_eq(
        link_post(link_, LINK_BULK, link_server_address(server), "/close", &body, TIMEOUT_MS, 1),
        RK_OK);
    run_until(2);
    ck_assert_int_eq(results[1].is.status, RK_UNKNOWN);
    ck_assert_uint_eq(link_server_requests(server), 2);
}
END_TEST

/* Found dead before a byte was sent: a new connection, and nobody notices. */
START_TEST(a_connection_that_the_peer_closed_in_between_costs_nothing)
{
    ck_assert_int_eq(ask(LINK_BULK, "/last", "x")->is.status, RK_OK);
    run_until_server(link_server_closes, 1);
    ck_assert_int_eq(ask(LINK_BULK, "/echo", "x")->is.status, RK_OK);
    ck_assert_uint_eq(link_server_connections(server), 2);
    ck_assert_uint_eq(link_server_requests(server), 2);
}
END_TEST

START_TEST(past_the_bound_it_is_busy_and_the_body_is_gone_too)
{
    struct rk_buf body;

    open_with(2);
    post_text(LINK_BULK, "/hold", "x", 1);
    post_text(LINK_CONTROL, "/echo", "x", 2);
    rk_buf_init(&body, 100);
    rk_buf_append_text(&body, "x");
    ck_assert_int_eq(
        link_post(link_, LINK_BULK, link_server_address(server), "/echo", &body, TIMEOUT_MS, 3),
        RK_BUSY);
    ck_assert_uint_eq(body.size, 0);
    ck_assert_ptr_null(body.data);

    run_until(1);
    post_text(LINK_CONTROL, "/echo", "now there is room", 4);
    run_until(2);
    ck_assert_str_eq(results[1].text, "now there is room");
}
END_TEST

/* With room for one only, the callback's own request is no longer counted. */
START_TEST(a_callback_may_post)
{
    open_with(1);
    posts_from_callback = 20;
    post_text(LINK_BULK, "/echo", "first", 100);
    run_until(21);
    for (uint32_t i = 0; i < 21; i++) {
        ck_assert_uint_eq(results[i].is.cookie, 100 + i);
        ck_assert_str_eq(results[i].text, i == 0 ? "first" : "again");
    }
}
END_TEST

/* link_post() only starts: results come out of link_run(), and that wants to be called now. */
START_TEST(a_post_asks_for_a_turn_at_once)
{
    ck_assert_uint_eq(link_deadline_ms(link_), UINT64_MAX);
    post_text(LINK_BULK, "/echo", "x", 1);
    ck_assert_uint_le(link_deadline_ms(link_), rk_monotonic_ms());
    ck_assert_uint_eq(results_count, 0);
}
END_TEST

/* A connection that is kept must not cost the owner's loop anything. */
START_TEST(a_link_without_requests_rests)
{
    const uint64_t until_ms = rk_monotonic_ms() + PATIENCE_MS;

    (void)ask(LINK_BULK, "/echo", "x");
    (void)ask(LINK_CONTROL, "/echo", "x");
    while (link_deadline_ms(link_) != UINT64_MAX && rk_monotonic_ms() < until_ms) {
        turn(until_ms);
    }
    ck_assert_uint_eq(link_deadline_ms(link_), UINT64_MAX);
    struct pollfd watched = {.fd = link_fd(link_), .events = POLLIN};
    ck_assert_int_eq(poll(&watched, 1, 0), 0);
}
END_TEST

/* What is neither host:port nor a path. */
START_TEST(what_is_no_address_is_invalid)
{
    static const char *const pairs[][2] = {
        {"", "/echo"},      {"a:1/x", "/echo"}, {"u@a:1", "/echo"}, {"a:1?x", "/echo"},
        {"a:1#x", "/echo"}, {"a 1", "/echo"},   {"a\n:1", "/echo"}, {"a:1", "echo"},
        {"a:1", ""},        {"a:1", "/e o"},    {"a:1", "/e\r\nx"}, {"a:1", "/e#o"},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct rk_buf body;
        rk_buf_init(&body, 100);
        rk_buf_append_text(&body, "x");
        ck_assert_int_eq(
            link_post(link_, LINK_BULK, pairs[i][0], pairs[i][1], &body, TIMEOUT_MS, 1),
            RK_INVALID);
        ck_assert_ptr_null(body.data);
    }
}
END_TEST

START_TEST(freeing_gives_no_results)
{
    post_text(LINK_BULK, "/hold", "x", 1);
    post_text(LINK_CONTROL, "/hold", "x", 2);
    run_until_server(link_server_requests, 2);
    link_free(link_);
    link_ = NULL;
    ck_assert_uint_eq(results_count, 0);
}
END_TEST

static void add_faults(TCase *tcase)
{
    tcase_add_test(tcase, a_refused_connection_is_not_found);
    tcase_add_test(tcase, a_name_that_does_not_resolve_is_not_found);
    tcase_add_test(tcase, names_are_resolved_and_their_connections_kept);
    tcase_add_test(tcase, a_kept_connection_that_the_peer_closes_lets_the_loop_rest);
    tcase_add_test(tcase, a_connection_that_does_not_come_about_in_time_is_not_found);
    tcase_add_test(tcase, an_answer_that_does_not_come_is_unknown);
    tcase_add_test(tcase, an_answer_that_comes_too_late_is_nobodys);
    tcase_add_test(tcase, an_answer_cut_in_the_middle_is_unknown);
    tcase_add_test(tcase, an_answer_without_a_length_is_unknown);
    tcase_add_test(tcase, an_answer_past_its_ceiling_is_unknown);
    tcase_add_test(tcase, a_request_that_was_sent_is_never_sent_again);
    tcase_add_test(tcase, a_large_request_that_was_sent_is_never_sent_again);
    tcase_add_test(tcase, a_connection_that_the_peer_closed_in_between_costs_nothing);
    tcase_add_test(tcase, past_the_bound_it_is_busy_and_the_body_is_gone_too);
    tcase_add_test(tcase, what_is_no_address_is_invalid);
    tcase_add_test(tcase, freeing_gives_no_results);
}

int main(void)
{
    TCase *tcase = tcase_create("link");

    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_post_comes_back_with_the_answer);
    tcase_add_test(tcase, a_request_carries_nothing_that_is_not_needed);
    tcase_add_test(tcase, without_a_body_it_is_a_get);
    tcase_add_test(tcase, an_empty_body_is_a_post_all_the_same);
    tcase_add_test(tcase, a_large_body_goes_and_comes_whole);
    tcase_add_test(tcase, any_status_is_an_answer);
    tcase_add_test(tcase, requests_in_a_row_share_a_connection);
    tcase_add_test(tcase, the_classes_share_no_connection);
    tcase_add_test(tcase, control_passes_a_bulk_class_that_is_full);
    tcase_add_test(tcase, a_callback_may_post);
    tcase_add_test(tcase, a_post_asks_for_a_turn_at_once);
    tcase_add_test(tcase, a_link_without_requests_rests);
    add_faults(tcase);
    return run_suite("link", tcase);
}
