/* Exchanges of an HTTP server that are suspended and answered later. Section numbers are those of
 * the parser seam (pitfall F6). */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "support/run.h"
#include "unit/http_session.h"

/* ---- suspended and held exchanges alike ---- */

static void (*const wait_one[])(void) = {suspend_one, hold_one};
enum { WAYS_TO_WAIT = sizeof(wait_one) / sizeof(wait_one[0]) };

START_TEST(waiting_exchange_is_answered_from_another_thread)
{
    pthread_t thread;

    wait_one[_i]();
    ck_assert_int_eq(pthread_create(&thread, NULL, complete_suspended, &fixture), 0);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(http_server_counts(fixture.server).suspended, 0);

    raw_text(client, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /next 0");
}
END_TEST

START_TEST(exchange_may_wait_twice)
{
    wait_one[_i]();
    fixture.suspends_again = true;
    (void)complete_suspended(&fixture);
    fixture_turn(&fixture);
    ck_assert(!fixture.suspends_again);
    ck_assert(is_suspended(&fixture));
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
}
END_TEST

START_TEST(pipelined_request_waits_for_the_waiting_one)
{
    wait_one[_i]();
    raw_text(client, "GET /behind HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_turn(&fixture);
    ck_assert_uint_eq(fixture.requests_count, 1);
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "GET /behind 0");
    ck_assert(strstr(client->in, "PUT /later") < strstr(client->in, "GET /behind"));
}
END_TEST

START_TEST(abandoning_closes_what_waits)
{
    wait_one[_i]();
    http_server_abandon(fixture.server);
    await_closed(&fixture, client);
    ck_assert_uint_eq(client->in_size, 0);
    ck_assert_uint_eq(fixture.ends_count, 1);
}
END_TEST

/* ---- suspended exchanges ---- */

/* What on_request kept back is not forgotten, in a turn or at the end. */
START_TEST(no_turn_ends_without_its_end_being_told)
{
    suspend_one();
    ck_assert_uint_eq(fixture.requests_run_count, 1);
    struct raw_client *other = raw_open(&fixture);
    fixture_turn(&fixture);
    raw_text(other, "GET /at-the-end HTTP/1.1\r\nHost: x\r\n\r\n");
    http_server_abandon(fixture.server);
    ck_assert_uint_eq(fixture.requests_run_count, fixture.requests_count);
    raw_close(other);
}
END_TEST

/* 4.1: long polls outlive every deadline of a slow peer. */
START_TEST(suspended_exchange_is_not_reaped)
{
    fixture.options.header_timeout_ms = 30;
    fixture.options.body_timeout_ms = 30;
    fixture.options.idle_timeout_ms = 30;
    fixture.options.write_timeout_ms = 30;
    suspend_one();
    struct raw_client *other = raw_open(&fixture);
    await_closed(&fixture, other);
    raw_close(other);
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
}
END_TEST

START_TEST(client_that_went_while_suspended_is_noticed_when_completed)
{
    suspend_one();
    hang_up();
    fixture_turn(&fixture);
    ck_assert_uint_eq(fixture.ends_count, 0);
    (void)complete_suspended(&fixture);
    await_true(&fixture, has_no_connection);
    ck_assert_uint_eq(fixture.ends_count, 1);
}
END_TEST

static bool has_heard_a_hangup(struct fixture *f)
{
    return f->hangups_count > 0;
}

/* Else who gives up a long wait would hold its place to the end of it (pitfall 138). */
START_TEST(client_that_goes_while_it_is_watched_is_heard_of_once)
{
    suspend_one();
    http_exchange_watch_hangup(fixture.suspended);
    fixture_turn(&fixture);
    ck_assert_uint_eq(fixture.hangups_count, 0);
    hang_up();
    await_true(&fixture, has_heard_a_hangup);
    fixture_turn(&fixture);
    ck_assert_uint_eq(fixture.hangups_count, 1);
    (void)complete_suspended(&fixture);
    await_true(&fixture, has_no_connection);
}
END_TEST

START_TEST(completed_exchange_is_watched_no_longer)
{
    suspend_one();
    http_exchange_watch_hangup(fixture.suspended);
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
    hang_up();
    await_true(&fixture, has_no_connection);
    ck_assert_uint_eq(fixture.hangups_count, 0);
}
END_TEST

/* ---- paused streams ---- */

static void pause_one(void)
{
    fixture.mode = FIXTURE_PAUSE;
    open_all();
    raw_text(client, "GET /halves HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "one.");
    await_true(&fixture, is_suspended);
}

START_TEST(paused_stream_goes_on_when_it_is_completed)
{
    pause_one();
    ck_assert(!raw_has(client, "two."));
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "two.");
    await_text(&fixture, client, "\r\n0\r\n");
    ck_assert_uint_eq(fixture.streams_closed_count, 1);
}
END_TEST

START_TEST(paused_stream_is_not_reaped)
{
    fixture.options.write_timeout_ms = 30;
    fixture.options.header_timeout_ms = 90;
    pause_one();
    struct raw_client *other = raw_open(&fixture);
    await_closed(&fixture, other);
    raw_close(other);
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "two.");
}
END_TEST

START_TEST(client_that_goes_while_its_stream_pauses_is_heard_of)
{
    pause_one();
    hang_up();
    await_true(&fixture, has_heard_a_hangup);
    (void)complete_suspended(&fixture);
    await_true(&fixture, has_no_connection);
    ck_assert_uint_eq(fixture.streams_closed_count, 1);
}
END_TEST

START_TEST(abandoning_ends_a_paused_stream)
{
    pause_one();
    http_server_abandon(fixture.server);
    await_true(&fixture, has_no_connection);
    ck_assert_uint_eq(fixture.ends_count, 1);
    ck_assert_uint_eq(fixture.streams_closed_count, 1);
}
END_TEST

START_TEST(abandoning_answers_what_was_completed)
{
    suspend_one();
    (void)complete_suspended(&fixture);
    http_server_abandon(fixture.server);
    ck_assert_uint_eq(http_server_counts(fixture.server).suspended, 0);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
}
END_TEST

/* A node that has stopped still hands over what had come in, and it is suspended for a moment. */
START_TEST(abandoning_closes_what_comes_in_meanwhile)
{
    suspend_one();
    fixture.mode = FIXTURE_SUSPEND;
    struct raw_client *other = raw_open(&fixture);
    fixture_turn(&fixture);
    raw_text(other, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    http_server_abandon(fixture.server);
    ck_assert_uint_eq(fixture.requests_count, 2);
    ck_assert_uint_eq(http_server_counts(fixture.server).suspended, 0);
    await_closed(&fixture, other);
    ck_assert_uint_eq(fixture.ends_count, 2);
    raw_close(other);
}
END_TEST

/* The negative space: an exchange must be answered once. */
START_TEST(completing_what_is_not_suspended_aborts)
{
    suspend_one();
    (void)complete_suspended(&fixture);
    (void)complete_suspended(&fixture);
    fixture_turn(&fixture);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_suspend");

    tcase_add_checked_fixture(tcase, session_init, session_end);
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, waiting_exchange_is_answered_from_another_thread, 0, WAYS_TO_WAIT);
    tcase_add_test(tcase, no_turn_ends_without_its_end_being_told);
    tcase_add_loop_test(tcase, exchange_may_wait_twice, 0, WAYS_TO_WAIT);
    tcase_add_test(tcase, suspended_exchange_is_not_reaped);
    tcase_add_loop_test(tcase, pipelined_request_waits_for_the_waiting_one, 0, WAYS_TO_WAIT);
    tcase_add_test(tcase, client_that_went_while_suspended_is_noticed_when_completed);
    tcase_add_test(tcase, client_that_goes_while_it_is_watched_is_heard_of_once);
    tcase_add_test(tcase, completed_exchange_is_watched_no_longer);
    tcase_add_test(tcase, paused_stream_goes_on_when_it_is_completed);
    tcase_add_test(tcase, paused_stream_is_not_reaped);
    tcase_add_test(tcase, client_that_goes_while_its_stream_pauses_is_heard_of);
    tcase_add_test(tcase, abandoning_ends_a_paused_stream);
    tcase_add_loop_test(tcase, abandoning_closes_what_waits, 0, WAYS_TO_WAIT);
    tcase_add_test(tcase, abandoning_answers_what_was_completed);
    tcase_add_test(tcase, abandoning_closes_what_comes_in_meanwhile);
    tcase_add_test_raise_signal(tcase, completing_what_is_not_suspended_aborts, SIGABRT);
    return run_suite("http_suspend", tcase);
}
