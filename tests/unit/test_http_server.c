/* What an HTTP server serves, how many at a time, and how it ends. Section numbers are those of the
 * parser seam (pitfall F6). */
#include <string.h>

#include "server/http_shards.h"
#include "support/run.h"
#include "unit/http_session.h"

/* ---- what is served ---- */

START_TEST(get_is_answered_and_the_connection_kept)
{
    open_all();
    raw_text(client, "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /a?b 0 .\n");
    ck_assert(raw_has(client, "HTTP/1.1 200 OK\r\n"));
    ck_assert(raw_has(client, "X-Test: yes\r\n"));
    ck_assert(!raw_has(client, "Connection: close"));

    raw_text(client, "PUT /second HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    await_text(&fixture, client, "PUT /second 5 hello.\n");
    ck_assert_uint_eq(fixture.requests_count, 2);
    ck_assert_uint_eq(http_server_counts(fixture.server).connections, 1);
}
END_TEST

/* Contract 1.11: what `+`, an escape or a dot segment means is decided by who knows the target. */
START_TEST(target_reaches_the_handler_as_it_came)
{
    open_all();
    raw_text(client, "GET /v1/kv//../%2e%2E%2fa+b?x=+%2B+y HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /v1/kv//../%2e%2E%2fa+b?x=+%2B+y 0 .\n");
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    open_all();
    raw_text(client, "PUT /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
                     "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /3 0");
    ck_assert(strstr(client->in, "PUT /1 3 one") < strstr(client->in, "GET /2 0"));
    ck_assert(strstr(client->in, "GET /2 0") < strstr(client->in, "GET /3 0"));
}
END_TEST

/* Answers of one shape are made of each other. */
START_TEST(answers_of_one_size_are_each_their_own)
{
    open_all();
    raw_text(client, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /c HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /c 0 .\n");
    ck_assert_uint_eq(raw_count(client, "GET /a 0 .\n"), 1);
    ck_assert_uint_eq(raw_count(client, "GET /b 0 .\n"), 1);
    ck_assert_uint_eq(raw_count(client, "X-Test: yes\r\n"), 3);
}
END_TEST

START_TEST(request_that_comes_byte_by_byte_is_served)
{
    static const char request[] = "PUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";

    open_all();
    for (size_t i = 0; i < sizeof request - 1; i++) {
        raw_send(client, &request[i], 1);
        fixture_turn(&fixture);
    }
    await_text(&fixture, client, "PUT /b 2 hi.\n");
}
END_TEST

/* Contract 1.1: every answer to HEAD has no body. */
START_TEST(head_has_the_length_and_no_body)
{
    open_all();
    raw_text(client, "HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "Content-Length: 12\r\n");
    raw_text(client, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /next 0");
    ck_assert(!raw_has(client, "HEAD /h 0"));
}
END_TEST

START_TEST(http_1_0_is_answered_and_closed)
{
    open_all();
    raw_text(client, "GET /old HTTP/1.0\r\n\r\n");
    await_text(&fixture, client, "GET /old 0");
    await_closed(&fixture, client);
}
END_TEST

START_TEST(unknown_method_reaches_the_handler_by_its_name)
{
    open_all();
    raw_text(client, "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "BREW /pot 0");
}
END_TEST

/* Contract 1.1: Patroni sends a length of 0 with every GET. */
START_TEST(get_with_length_zero_is_served)
{
    open_all();
    raw_text(client, "GET /p HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    await_text(&fixture, client, "GET /p 0 .\n");
}
END_TEST

START_TEST(get_with_a_body_is_served_and_the_connection_kept)
{
    open_all();
    raw_text(client, "GET /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    await_text(&fixture, client, "GET /p 2 hi.\n");
    raw_text(client, "GET /q HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /q 0 .\n");
}
END_TEST

START_TEST(chunked_body_is_put_together)
{
    open_all();
    raw_text(client, "PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
                     "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
    await_text(&fixture, client, "PUT /c 5 abcde.\n");
}
END_TEST

START_TEST(expectation_is_met_before_the_body)
{
    open_all();
    raw_text(client, "PUT /e HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                     "Expect: 100-continue\r\n\r\n");
    await_text(&fixture, client, "HTTP/1.1 100 Continue\r\n\r\n");
    raw_text(client, "hi");
    await_text(&fixture, client, "PUT /e 2 hi.\n");
}
END_TEST

START_TEST(absolute_form_is_taken_on_the_client_side)
{
    open_all();
    raw_text(client, "GET HTTP://h:1/v1/kv/a HTTP/1.1\r\nHost: h:1\r\n\r\n");
    await_text(&fixture, client, "GET HTTP://h:1/v1/kv/a 0");
}
END_TEST

START_TEST(handler_can_end_the_connection)
{
    fixture.mode = FIXTURE_CLOSE;
    open_all();
    raw_text(client, "GET /c HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /c 0 .\n");
    ck_assert(raw_has(client, "Connection: close\r\n"));
    await_closed(&fixture, client);
}
END_TEST

START_TEST(value_with_a_line_break_cannot_split_the_answer)
{
    fixture.mode = FIXTURE_BREAK_HEADER;
    open_all();
    raw_text(client, "GET /s HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /s 0 .\n");
    ck_assert(!raw_has(client, "X-Injected"));
}
END_TEST

START_TEST(stream_is_sent_whole_and_closed_once)
{
    fixture.mode = FIXTURE_STREAM;
    open_all();
    raw_text(client, "GET /s HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "\r\n0\r\n\r\n");
    ck_assert(raw_has(client, "Transfer-Encoding: chunked\r\n"));
    ck_assert_uint_ge(client->in_size, 100000);
    ck_assert_uint_eq(fixture.streams_closed_count, 1);
}
END_TEST

START_TEST(stream_to_http_1_0_ends_with_the_connection)
{
    fixture.mode = FIXTURE_STREAM;
    open_all();
    raw_text(client, "GET /s HTTP/1.0\r\n\r\n");
    await_closed(&fixture, client);
    ck_assert(!raw_has(client, "chunked"));
    ck_assert_uint_ge(client->in_size, 100000);
    ck_assert_uint_eq(fixture.streams_closed_count, 1);
}
END_TEST

/* ---- many, and the end ---- */

START_TEST(connection_past_the_limit_is_closed)
{
    fixture.options.connections_max = 1;
    open_all();
    await_true(&fixture, has_a_connection);
    struct raw_client *second = raw_open(&fixture);
    await_closed(&fixture, second);
    raw_close(second);

    raw_text(client, "GET /first HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /first 0");
    hang_up();
    await_true(&fixture, has_no_connection);
    client = raw_open(&fixture);
    raw_text(client, "GET /third HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /third 0");
}
END_TEST

enum { CLIENTS_COUNT = HTTP_SHARD_CONNECTIONS_MAX + 40 };

/* More than libmicrohttpd asks epoll for at a time (128), and more than one daemon holds. */
START_TEST(many_connections_are_all_answered)
{
    static struct raw_client *clients[CLIENTS_COUNT];

    fixture.options.connections_max = CLIENTS_COUNT;
    fixture_open(&fixture);
    for (int i = 0; i < CLIENTS_COUNT; i++) {
        clients[i] = raw_open(&fixture);
        raw_text(clients[i], "GET /m HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for (int i = 0; i < CLIENTS_COUNT; i++) {
        await_text(&fixture, clients[i], "GET /m 0");
    }
    for (int i = 0; i < CLIENTS_COUNT; i++) {
        raw_close(clients[i]);
    }
    await_true(&fixture, has_no_connection);
}
END_TEST

static bool are_all_suspended(struct fixture *f)
{
    return http_server_counts(f->server).suspended == CLIENTS_COUNT;
}

/* The first and the last, which live in different daemons, are completed in one turn. */
START_TEST(completions_reach_every_daemon)
{
    static struct raw_client *clients[CLIENTS_COUNT];
    struct http_completion both[2] = {{.completion = NULL}};

    fixture.options.connections_max = CLIENTS_COUNT;
    fixture.mode = FIXTURE_SUSPEND;
    fixture_open(&fixture);
    for (int i = 0; i < CLIENTS_COUNT; i++) {
        clients[i] = raw_open(&fixture);
        raw_text(clients[i], "GET /m HTTP/1.1\r\nHost: x\r\n\r\n");
        const uint32_t expected = (uint32_t)i + 1;
        while (fixture.requests_count < expected) {
            fixture_turn(&fixture);
        }
        both[i == 0 ? 0 : 1].exchange = fixture.suspended;
    }
    await_true(&fixture, are_all_suspended);
    fixture.mode = FIXTURE_ECHO;
    http_server_complete_many(fixture.server, both, 2);
    await_text(&fixture, clients[0], "GET /m 0");
    await_text(&fixture, clients[CLIENTS_COUNT - 1], "GET /m 0");
    ck_assert_uint_eq(http_server_counts(fixture.server).suspended, CLIENTS_COUNT - 2);
    http_server_abandon(fixture.server);
    for (int i = 0; i < CLIENTS_COUNT; i++) {
        raw_close(clients[i]);
    }
}
END_TEST

START_TEST(draining_closes_what_is_idle)
{
    open_all();
    raw_text(client, "GET /d HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /d 0");
    http_server_drain(fixture.server);
    await_closed(&fixture, client);
}
END_TEST

START_TEST(draining_answers_what_is_in_flight_and_closes)
{
    suspend_one();
    http_server_drain(fixture.server);
    fixture_turn(&fixture);
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
    ck_assert(raw_has(client, "Connection: close\r\n"));
    await_closed(&fixture, client);
}
END_TEST

START_TEST(draining_lets_an_answer_under_way_end_and_closes)
{
    fixture.mode = FIXTURE_LARGE;
    open_all();
    raw_text(client, "GET /l HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "lll");
    http_server_drain(fixture.server);
    await_closed(&fixture, client);
    ck_assert_uint_eq(http_server_counts(fixture.server).reaped, 0);
    ck_assert_uint_eq(fixture.ends_count, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_server");

    tcase_add_checked_fixture(tcase, session_init, session_end);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, get_is_answered_and_the_connection_kept);
    tcase_add_test(tcase, target_reaches_the_handler_as_it_came);
    tcase_add_test(tcase, pipelined_requests_are_answered_in_order);
    tcase_add_test(tcase, answers_of_one_size_are_each_their_own);
    tcase_add_test(tcase, request_that_comes_byte_by_byte_is_served);
    tcase_add_test(tcase, head_has_the_length_and_no_body);
    tcase_add_test(tcase, http_1_0_is_answered_and_closed);
    tcase_add_test(tcase, unknown_method_reaches_the_handler_by_its_name);
    tcase_add_test(tcase, get_with_length_zero_is_served);
    tcase_add_test(tcase, get_with_a_body_is_served_and_the_connection_kept);
    tcase_add_test(tcase, chunked_body_is_put_together);
    tcase_add_test(tcase, expectation_is_met_before_the_body);
    tcase_add_test(tcase, absolute_form_is_taken_on_the_client_side);
    tcase_add_test(tcase, handler_can_end_the_connection);
    tcase_add_test(tcase, value_with_a_line_break_cannot_split_the_answer);
    tcase_add_test(tcase, stream_is_sent_whole_and_closed_once);
    tcase_add_test(tcase, stream_to_http_1_0_ends_with_the_connection);
    tcase_add_test(tcase, connection_past_the_limit_is_closed);
    tcase_add_test(tcase, many_connections_are_all_answered);
    tcase_add_test(tcase, completions_reach_every_daemon);
    tcase_add_test(tcase, draining_closes_what_is_idle);
    tcase_add_test(tcase, draining_answers_what_is_in_flight_and_closes);
    tcase_add_test(tcase, draining_lets_an_answer_under_way_end_and_closes);
    return run_suite("http_server", tcase);
}
