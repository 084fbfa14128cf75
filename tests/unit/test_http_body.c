/* What an HTTP server does with a body that is too long or does not come whole, and with peers that
 * are slow or take nothing. */
#include "base/clock.h"
#include "support/run.h"
#include "unit/http_session.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- bodies: limits and ends ---- */

START_TEST(body_of_exactly_the_limit_is_taken)
{
    open_all();
    send_put_of(1000);
    send_repeated("b", 1000);
    await_text(&fixture, client, "PUT /big 1000 bbb");
}
END_TEST

START_TEST(body_of_one_byte_more_is_refused_and_the_connection_kept)
{
    open_all();
    send_put_of(1001);
    send_repeated("b", 1001);
    await_text(&fixture, client,
               "Request body too large, max size: 1000 bytes. "
               "Value exceeds 1000 byte limit");
    ck_assert(raw_has(client, "HTTP/1.1 413 "));
    ck_assert_uint_eq(fixture.requests_count, 0);
    raw_text(client, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /next 0");
}
END_TEST

START_TEST(body_past_what_is_swallowed_is_refused_unread)
{
    open_all();
    send_put_of(100001);
    await_text(&fixture, client, "Request body too large, max size: 1000 bytes");
    ck_assert(raw_has(client, "HTTP/1.1 413 "));
    ck_assert(raw_has(client, "Connection: close\r\n"));
    await_closed(&fixture, client);
}
END_TEST

START_TEST(expectation_of_too_much_is_refused_at_once)
{
    open_all();
    raw_text(client, "PUT /e HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n"
                     "Expect: 100-continue\r\n\r\n");
    await_text(&fixture, client, "HTTP/1.1 413 ");
    ck_assert(!raw_has(client, "100 Continue"));
    await_closed(&fixture, client);
}
END_TEST

#define CHUNKED      "PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNK_OF_100 "64\r\n" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "\r\n"
#define TEN          "0123456789"

START_TEST(chunked_body_of_exactly_the_limit_is_taken)
{
    open_all();
    raw_text(client, CHUNKED);
    send_repeated(CHUNK_OF_100, 10);
    raw_text(client, "0\r\n\r\n");
    await_text(&fixture, client, "PUT /c 1000 0123");
}
END_TEST

START_TEST(chunked_body_of_one_byte_more_is_refused)
{
    open_all();
    raw_text(client, CHUNKED);
    send_repeated(CHUNK_OF_100, 10);
    raw_text(client, "1\r\na\r\n0\r\n\r\n");
    await_text(&fixture, client, "HTTP/1.1 413 ");
    ck_assert_uint_eq(fixture.requests_count, 0);
    raw_text(client, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /next 0");
}
END_TEST

START_TEST(chunked_body_past_what_is_swallowed_is_cut_off)
{
    fixture.options.on_refusal = add_refusal_header;
    open_all();
    raw_text(client, CHUNKED);
    send_repeated(CHUNK_OF_100, 1001);
    await_text(&fixture, client, "Value exceeds 1000 byte limit");
    ck_assert(raw_has(client, "HTTP/1.1 413 Content Too Large\r\n"));
    ck_assert(raw_has(client, "X-Refused: 1\r\n"));
    ck_assert(raw_has(client, "Connection: close\r\n"));
    await_closed(&fixture, client);
    ck_assert_uint_eq(fixture.requests_count, 0);
    ck_assert_uint_eq(http_server_counts(fixture.server).refused, 1);
}
END_TEST

static const char *const cut_off[] = {
    "GET", "GET /a HTTP/1.1\r\nHo", "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", CHUNKED "5\r\nab"};

START_TEST(request_that_is_cut_off_reaches_no_handler)
{
    open_all();
    await_true(&fixture, has_a_connection);
    raw_text(client, cut_off[_i]);
    fixture_turn(&fixture);
    hang_up();
    await_true(&fixture, has_no_connection);
    ck_assert_uint_eq(fixture.requests_count, 0);
}
END_TEST

/* ---- slow peers ---- */

/* One byte a turn, for ever: an inactivity timeout would never end this. */
static void drip_until_closed(const char *byte)
{
    const uint64_t deadline_ms = rk_monotonic_ms() + FIXTURE_DEADLINE_MS;

    while (!client->is_closed) {
        ck_assert_uint_lt(rk_monotonic_ms(), deadline_ms);
        raw_text(client, byte);
        fixture_turn(&fixture);
        (void)raw_has(client, "HTTP/1.1");
    }
    ck_assert_uint_eq(http_server_counts(fixture.server).reaped, 1);
}

START_TEST(slow_request_line_is_reaped)
{
    fixture.options.header_timeout_ms = 100;
    open_all();
    raw_text(client, "GET /");
    drip_until_closed("a");
}
END_TEST

START_TEST(slow_header_is_reaped)
{
    fixture.options.header_timeout_ms = 100;
    open_all();
    raw_text(client, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    drip_until_closed("a");
}
END_TEST

/* A kept-alive connection has the header's time from its request line on. */
START_TEST(slow_header_of_a_second_request_is_reaped)
{
    fixture.options.header_timeout_ms = 100;
    open_all();
    raw_text(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET / 0");
    raw_text(client, "GET / HTTP/1.1\r\nX-Slow: ");
    drip_until_closed("a");
}
END_TEST

START_TEST(slow_request_line_of_a_second_request_is_reaped_as_idle)
{
    fixture.options.idle_timeout_ms = 100;
    open_all();
    raw_text(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET / 0");
    raw_text(client, "GET /");
    drip_until_closed("a");
}
END_TEST

START_TEST(slow_body_is_reaped)
{
    fixture.options.body_timeout_ms = 300;
    open_all();
    send_put_of(100000);
    drip_until_closed("a");
}
END_TEST

START_TEST(silent_connection_is_reaped)
{
    fixture.options.header_timeout_ms = 50;
    open_all();
    await_closed(&fixture, client);
    ck_assert(has_reaped_one(&fixture));
}
END_TEST

START_TEST(idle_connection_is_reaped)
{
    fixture.options.idle_timeout_ms = 50;
    open_all();
    raw_text(client, "GET /i HTTP/1.1\r\nHost: x\r\n\r\n");
    await_closed(&fixture, client);
    ck_assert(raw_has(client, "GET /i 0"));
    ck_assert(has_reaped_one(&fixture));
}
END_TEST

START_TEST(answer_that_nobody_takes_is_cut_off)
{
    fixture.options.write_timeout_ms = 100;
    fixture.mode = FIXTURE_LARGE;
    open_all();
    raw_text(client, "GET /l HTTP/1.1\r\nHost: x\r\n\r\n");
    await_true(&fixture, has_reaped_one);
    await_true(&fixture, has_no_connection);
}
END_TEST

START_TEST(stream_of_a_client_that_went_is_closed)
{
    fixture.mode = FIXTURE_STREAM;
    open_all();
    raw_text(client, "GET /s HTTP/1.1\r\nHost: x\r\n\r\n");
    await_true(&fixture, has_a_connection);
    hang_up();
    await_true(&fixture, has_no_connection);
    ck_assert_uint_eq(fixture.streams_closed_count, fixture.requests_count);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_body");

    tcase_add_checked_fixture(tcase, session_init, session_end);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, body_of_exactly_the_limit_is_taken);
    tcase_add_test(tcase, body_of_one_byte_more_is_refused_and_the_connection_kept);
    tcase_add_test(tcase, body_past_what_is_swallowed_is_refused_unread);
    tcase_add_test(tcase, expectation_of_too_much_is_refused_at_once);
    tcase_add_test(tcase, chunked_body_of_exactly_the_limit_is_taken);
    tcase_add_test(tcase, chunked_body_of_one_byte_more_is_refused);
    tcase_add_test(tcase, chunked_body_past_what_is_swallowed_is_cut_off);
    tcase_add_loop_test(tcase, request_that_is_cut_off_reaches_no_handler, 0, COUNT(cut_off));
    tcase_add_test(tcase, slow_request_line_is_reaped);
    tcase_add_test(tcase, slow_header_is_reaped);
    tcase_add_test(tcase, slow_header_of_a_second_request_is_reaped);
    tcase_add_test(tcase, slow_request_line_of_a_second_request_is_reaped_as_idle);
    tcase_add_test(tcase, slow_body_is_reaped);
    tcase_add_test(tcase, silent_connection_is_reaped);
    tcase_add_test(tcase, idle_connection_is_reaped);
    tcase_add_test(tcase, answer_that_nobody_takes_is_cut_off);
    tcase_add_test(tcase, stream_of_a_client_that_went_is_closed);
    return run_suite("http_body", tcase);
}
