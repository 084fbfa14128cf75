/* Exchanges of an HTTP server that are held for a moment, without libmicrohttpd knowing that they wait.
 * What holds of them and of suspended ones alike is in test_http_suspend.c. */
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "server/http_shards.h"
#include "support/run.h"
#include "unit/http_session.h"

static bool wants_a_turn(void)
{
    const uint64_t now_ms = rk_monotonic_ms();

    return http_server_deadline_ms(fixture.server, now_ms) <= now_ms;
}

static bool has_no_deadline(struct fixture *f)
{
    return http_server_deadline_ms(f->server, rk_monotonic_ms()) == UINT64_MAX;
}

/* Further than anything is held, nearer than what any connection here may be silent for. */
static bool has_a_far_deadline(struct fixture *f)
{
    const uint64_t now_ms = rk_monotonic_ms();

    return http_server_deadline_ms(f->server, now_ms) > now_ms + 500;
}

/* The server hears of it at once, whatever it was about to read or write. */
static void reset_by_client(void)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    ck_assert_int_eq(setsockopt(client->socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
                     0);
    hang_up();
    for (int i = 0; i < 3; i++) {
        fixture_turn(&fixture);
    }
}

START_TEST(one_turn_answers_what_was_completed)
{
    hold_one();
    (void)complete_suspended(&fixture);
    fixture_turn(&fixture);
    ck_assert(raw_has(client, "PUT /later 2 hi.\n"));
}
END_TEST

START_TEST(held_exchange_keeps_no_loop_turning)
{
    hold_one();
    ck_assert(!wants_a_turn());
    ck_assert(!has_no_deadline(&fixture));
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
}
END_TEST

START_TEST(what_is_held_for_long_is_suspended_after_all)
{
    hold_one();
    await_true(&fixture, has_no_deadline);
    ck_assert(is_suspended(&fixture));
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
}
END_TEST

/* libmicrohttpd closes such a connection, and its memory goes, while the request is on its way. */
START_TEST(client_that_resets_while_held_is_noticed_when_completed)
{
    hold_one();
    reset_by_client();
    ck_assert_uint_eq(fixture.ends_count, 0);
    ck_assert(has_a_connection(&fixture));
    (void)complete_suspended(&fixture);
    await_true(&fixture, has_no_connection);
    ck_assert_uint_eq(fixture.ends_count, 1);
}
END_TEST

START_TEST(held_exchange_of_a_client_that_reset_may_be_held_again)
{
    hold_one();
    reset_by_client();
    fixture.suspends_again = true;
    (void)complete_suspended(&fixture);
    fixture_turn(&fixture);
    ck_assert_uint_eq(fixture.ends_count, 0);
    (void)complete_suspended(&fixture);
    await_true(&fixture, has_no_connection);
}
END_TEST

START_TEST(client_that_closes_while_held_is_answered_and_noticed)
{
    hold_one();
    ck_assert_int_eq(shutdown(client->socket, SHUT_WR), 0);
    fixture_turn(&fixture);
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
    await_true(&fixture, has_no_connection);
}
END_TEST

START_TEST(abandoning_ends_what_is_held_for_a_client_that_reset)
{
    hold_one();
    reset_by_client();
    http_server_abandon(fixture.server);
    ck_assert(has_no_connection(&fixture));
    ck_assert_uint_eq(fixture.ends_count, 1);
}
END_TEST

/* libmicrohttpd says at all times that it has something to do, so the server must know by itself. */
static void await_without_a_pause(struct raw_client *other, const char *text)
{
    while (!raw_has(other, text)) {
        ck_assert(wants_a_turn());
        fixture_turn(&fixture);
    }
}

static struct raw_client *ask_beside_the_held(const char *request)
{
    struct raw_client *other = raw_open(&fixture);

    fixture_turn(&fixture);
    raw_text(other, request);
    while (fixture.requests_count < 2) {
        fixture_turn(&fixture);
    }
    return other;
}

static void end_both(struct raw_client *other)
{
    raw_close(other);
    fixture.mode = FIXTURE_ECHO;
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
}

START_TEST(stream_beside_a_held_exchange_goes_on_at_once)
{
    hold_one();
    fixture.mode = FIXTURE_STREAM;
    struct raw_client *other = ask_beside_the_held("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_uint_eq(fixture.streams_closed_count, 0);
    await_without_a_pause(other, "\r\n0\r\n");
    end_both(other);
}
END_TEST

START_TEST(pipelined_request_beside_a_held_exchange_is_answered_at_once)
{
    hold_one();
    struct raw_client *other = ask_beside_the_held("GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
                                                   "GET /two HTTP/1.1\r\nHost: x\r\n\r\n");
    await_without_a_pause(other, "GET /two");
    end_both(other);
}
END_TEST

/* More than one of libmicrohttpd's daemons holds. */
START_TEST(what_is_held_for_long_beside_many_connections_is_suspended)
{
    struct raw_client *others[HTTP_SHARD_CONNECTIONS_MAX];

    fixture.options.connections_max = 2 * HTTP_SHARD_CONNECTIONS_MAX;
    fixture_open(&fixture);
    for (int i = 0; i < HTTP_SHARD_CONNECTIONS_MAX; i++) {
        others[i] = raw_open(&fixture);
        fixture_turn(&fixture);
    }
    fixture.mode = FIXTURE_HOLD;
    client = raw_open(&fixture);
    raw_text(client, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    await_true(&fixture, is_suspended);
    await_true(&fixture, has_a_far_deadline);
    ck_assert(is_suspended(&fixture));
    fixture.mode = FIXTURE_ECHO;
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "GET /later 0");
    for (int i = 0; i < HTTP_SHARD_CONNECTIONS_MAX; i++) {
        raw_close(others[i]);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_hold");

    tcase_add_checked_fixture(tcase, session_init, session_end);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, one_turn_answers_what_was_completed);
    tcase_add_test(tcase, held_exchange_keeps_no_loop_turning);
    tcase_add_test(tcase, what_is_held_for_long_is_suspended_after_all);
    tcase_add_test(tcase, client_that_resets_while_held_is_noticed_when_completed);
    tcase_add_test(tcase, held_exchange_of_a_client_that_reset_may_be_held_again);
    tcase_add_test(tcase, client_that_closes_while_held_is_answered_and_noticed);
    tcase_add_test(tcase, abandoning_ends_what_is_held_for_a_client_that_reset);
    tcase_add_test(tcase, stream_beside_a_held_exchange_goes_on_at_once);
    tcase_add_test(tcase, pipelined_request_beside_a_held_exchange_is_answered_at_once);
    tcase_add_test(tcase, what_is_held_for_long_beside_many_connections_is_suspended);
    return run_suite("http_hold", tcase);
}
