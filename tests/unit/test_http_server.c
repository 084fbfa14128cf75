/* Section numbers are those of the parser seam (pitfall F6): each row of its table is a test. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/limits.h"
#include "server/http_shards.h"
#include "support/run.h"
#include "unit/http_fixture.h"

static struct fixture fixture;
static struct raw_client *client;

static void open_all(void)
{
    fixture_open(&fixture);
    client = raw_open(&fixture);
}

static void setup(void)
{
    fixture_init(&fixture);
}

static void hang_up(void)
{
    raw_close(client);
    client = NULL;
}

static void teardown(void)
{
    if (client != NULL) {
        hang_up();
    }
    fixture_close(&fixture);
}

static void add_refusal_header(enum http_method method, struct http_response *response)
{
    http_response_header_u64(response, "X-Refused", method == HTTP_PUT);
}

static bool is_suspended(struct fixture *f)
{
    return http_server_counts(f->server).suspended == 1;
}

static bool has_no_connection(struct fixture *f)
{
    return http_server_counts(f->server).connections == 0;
}

static bool has_a_connection(struct fixture *f)
{
    return http_server_counts(f->server).connections == 1;
}

static bool has_reaped_one(struct fixture *f)
{
    return http_server_counts(f->server).reaped == 1;
}

/* A head that the seam refuses: it says `status`, closes, and no handler hears of it. */
static void assert_refused(const char *request, size_t size, const char *status)
{
    open_all();
    raw_send(client, request, size);
    await_text(&fixture, client, status);
    ck_assert_msg(raw_has(client, "Connection: close\r\n"), "%s", client->in);
    await_closed(&fixture, client);
    ck_assert(!raw_has(client, "200 OK"));
    ck_assert_uint_eq(fixture.requests_count, 0);
}

#define REFUSED(request, status) assert_refused((request), sizeof(request) - 1, (status))

/* `text` repeated `count` times; the caller frees it. */
static char *repeated(const char *text, size_t count)
{
    const size_t size = strlen(text);
    char *whole = rk_heap_alloc(size * count + 1);

    for (size_t i = 0; i < count; i++) {
        memcpy(whole + i * size, text, size + 1);
    }
    return whole;
}

static void send_repeated(const char *text, size_t count)
{
    char *whole = repeated(text, count);

    raw_text(client, whole);
    rk_heap_free(whole);
}

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

/* ---- 4.1: what is refused ---- */

START_TEST(length_and_coding_together_are_refused)
{
    REFUSED("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP/1.1 400 ");
    ck_assert_uint_eq(http_server_counts(fixture.server).refused, 1);
}
END_TEST

START_TEST(length_and_coding_together_on_a_get_are_refused)
{
    REFUSED("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP/1.1 400 ");
}
END_TEST

START_TEST(two_equal_lengths_are_refused)
{
    REFUSED("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 400 ");
}
END_TEST

START_TEST(two_different_lengths_are_refused)
{
    REFUSED("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\ncontent-length: 39\r\n\r\n"
            "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP/1.1 400 ");
}
END_TEST

static const char *const other_codings[] = {"xchunked", "gzip, chunked", "chunked, identity",
                                            "chunked\r\nTransfer-Encoding: chunked", "identity"};

START_TEST(coding_other_than_chunked_is_not_implemented)
{
    char request[256];

    const int size =
        snprintf(request, sizeof request,
                 "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: %s\r\n\r\n", other_codings[_i]);
    assert_refused(request, (size_t)size, "HTTP/1.1 501 ");
}
END_TEST

static const char *const odd_lengths[] = {"+4",  "4x",  "-1", "18446744073709551620",
                                          "0x4", "4,4", "4 4"};

START_TEST(length_that_is_not_a_number_is_refused)
{
    char request[256];

    const int size =
        snprintf(request, sizeof request,
                 "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\nbody", odd_lengths[_i]);
    assert_refused(request, (size_t)size, "HTTP/1.1 4");
}
END_TEST

START_TEST(chunk_size_past_64_bits_ends_the_connection)
{
    open_all();
    raw_text(client, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "10000000000000001\r\na\r\n0\r\n\r\n");
    await_closed(&fixture, client);
    ck_assert_uint_eq(fixture.requests_count, 0);
}
END_TEST

START_TEST(http_1_0_with_a_coding_is_refused)
{
    REFUSED("PUT / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 400 ");
}
END_TEST

START_TEST(request_without_a_host_is_refused)
{
    REFUSED("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");
}
END_TEST

START_TEST(two_hosts_are_refused)
{
    REFUSED("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ");
}
END_TEST

START_TEST(control_character_in_a_field_is_refused)
{
    REFUSED("GET / HTTP/1.1\r\nHost: x\r\nX-Consul-Token: a\001b\r\n\r\n", "HTTP/1.1 400 ");
}
END_TEST

/* libmicrohttpd takes it for a field of no meaning, and the body for another request. */
START_TEST(field_name_with_a_blank_is_refused)
{
    REFUSED("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            "HTTP/1.1 400 ");
}
END_TEST

START_TEST(refusal_has_the_headers_of_the_side)
{
    fixture.options.on_refusal = add_refusal_header;
    REFUSED("PUT /a%00b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "X-Refused: 1\r\n");
}
END_TEST

START_TEST(nul_in_the_target_is_refused)
{
    REFUSED("GET /v1/kv/a\0b HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ");
}
END_TEST

START_TEST(escaped_nul_in_the_target_is_refused)
{
    REFUSED("PUT /v1/kv/a%00b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv", "HTTP/1.1 400 ");
}
END_TEST

static const char *const odd_targets[] = {"*",        "v1/kv/a",    "/a\tb", "/a\177",
                                          "ftp://h/", "https://h/", "?x"};

START_TEST(target_that_is_no_path_is_refused)
{
    char request[128];

    const int size =
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", odd_targets[_i]);
    assert_refused(request, (size_t)size, "HTTP/1.1 400 ");
}
END_TEST

/* libmicrohttpd hangs up without a word here. */
static const char *const blank_targets[] = {"/a b", "/a HTTP/1.1 b"};

START_TEST(target_with_a_blank_ends_the_connection)
{
    char request[128];

    open_all();
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n",
                   blank_targets[_i]);
    raw_text(client, request);
    await_closed(&fixture, client);
    ck_assert_uint_eq(fixture.requests_count, 0);
}
END_TEST

START_TEST(absolute_form_is_refused_on_the_peer_side)
{
    fixture.options.origin_form_only = true;
    REFUSED("GET http://evil/raft/append HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ");
}
END_TEST

START_TEST(header_of_40_kilobytes_is_refused)
{
    open_all();
    raw_text(client, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ");
    send_repeated("0123456789", 4096);
    await_text(&fixture, client, "HTTP/1.1 431 ");
    await_closed(&fixture, client);
    ck_assert_uint_eq(fixture.requests_count, 0);
}
END_TEST

START_TEST(as_many_fields_as_allowed_are_taken)
{
    open_all();
    raw_text(client, "GET /many HTTP/1.1\r\nHost: x\r\n");
    send_repeated("X-F: v\r\n", RK_HEADERS_MAX - 1);
    raw_text(client, "\r\n");
    await_text(&fixture, client, "GET /many 0");
}
END_TEST

START_TEST(one_field_too_many_is_refused)
{
    open_all();
    raw_text(client, "GET / HTTP/1.1\r\nHost: x\r\n");
    send_repeated("X-F: v\r\n", RK_HEADERS_MAX);
    raw_text(client, "\r\n");
    await_text(&fixture, client, "HTTP/1.1 431 ");
    await_closed(&fixture, client);
}
END_TEST

static void send_target_of(size_t size)
{
    raw_text(client, "GET /");
    send_repeated("a", size - 1);
    raw_text(client, " HTTP/1.1\r\nHost: x\r\n");
    send_repeated("X-Field: 0123456789012345678901234567890123456789\r\n", 20);
    raw_text(client, "\r\n");
}

/* Contract 1.11: a fully escaped key of 4 KiB fits. */
START_TEST(longest_target_is_taken)
{
    open_all();
    send_target_of(RK_TARGET_SIZE_MAX);
    await_text(&fixture, client, "aaa 0 .\n");
    ck_assert_uint_ge(client->in_size, RK_TARGET_SIZE_MAX);
}
END_TEST

START_TEST(target_of_one_byte_more_is_refused)
{
    open_all();
    send_target_of(RK_TARGET_SIZE_MAX + 1);
    await_text(&fixture, client, "HTTP/1.1 414 ");
    await_closed(&fixture, client);
    ck_assert_uint_eq(fixture.requests_count, 0);
}
END_TEST

/* ---- bodies: limits and ends ---- */

static void send_put_of(size_t size)
{
    char head[128];

    (void)snprintf(head, sizeof head, "PUT /big HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                   size);
    raw_text(client, head);
}

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

/* ---- suspended exchanges ---- */

static void suspend_one(void)
{
    fixture.mode = FIXTURE_SUSPEND;
    open_all();
    raw_text(client, "PUT /later HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    await_true(&fixture, is_suspended);
    fixture.mode = FIXTURE_ECHO;
}

static void *complete_suspended(void *context)
{
    struct fixture *f = context;

    http_server_complete(f->server, f->suspended, NULL);
    return NULL;
}

START_TEST(suspended_exchange_is_answered_from_another_thread)
{
    pthread_t thread;

    suspend_one();
    ck_assert_int_eq(pthread_create(&thread, NULL, complete_suspended, &fixture), 0);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(http_server_counts(fixture.server).suspended, 0);

    raw_text(client, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /next 0");
}
END_TEST

START_TEST(exchange_may_be_suspended_twice)
{
    suspend_one();
    fixture.suspends_again = true;
    (void)complete_suspended(&fixture);
    fixture_turn(&fixture);
    ck_assert(!fixture.suspends_again);
    ck_assert(is_suspended(&fixture));
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "PUT /later 2 hi.\n");
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

START_TEST(pipelined_request_waits_for_the_suspended_one)
{
    suspend_one();
    raw_text(client, "GET /behind HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_turn(&fixture);
    ck_assert_uint_eq(fixture.requests_count, 1);
    (void)complete_suspended(&fixture);
    await_text(&fixture, client, "GET /behind 0");
    ck_assert(strstr(client->in, "PUT /later") < strstr(client->in, "GET /behind"));
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

START_TEST(abandoning_closes_what_is_suspended)
{
    suspend_one();
    http_server_abandon(fixture.server);
    await_closed(&fixture, client);
    ck_assert_uint_eq(client->in_size, 0);
    ck_assert_uint_eq(fixture.ends_count, 1);
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

/* The negative space: an exchange must be answered once. */
START_TEST(completing_what_is_not_suspended_aborts)
{
    suspend_one();
    (void)complete_suspended(&fixture);
    (void)complete_suspended(&fixture);
    fixture_turn(&fixture);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static void add_served(TCase *tcase)
{
    tcase_add_test(tcase, get_is_answered_and_the_connection_kept);
    tcase_add_test(tcase, target_reaches_the_handler_as_it_came);
    tcase_add_test(tcase, pipelined_requests_are_answered_in_order);
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
}

static void add_refused(TCase *tcase)
{
    tcase_add_test(tcase, length_and_coding_together_are_refused);
    tcase_add_test(tcase, length_and_coding_together_on_a_get_are_refused);
    tcase_add_test(tcase, two_equal_lengths_are_refused);
    tcase_add_test(tcase, two_different_lengths_are_refused);
    tcase_add_loop_test(tcase, coding_other_than_chunked_is_not_implemented, 0,
                        COUNT(other_codings));
    tcase_add_loop_test(tcase, length_that_is_not_a_number_is_refused, 0, COUNT(odd_lengths));
    tcase_add_test(tcase, chunk_size_past_64_bits_ends_the_connection);
    tcase_add_test(tcase, http_1_0_with_a_coding_is_refused);
    tcase_add_test(tcase, request_without_a_host_is_refused);
    tcase_add_test(tcase, two_hosts_are_refused);
    tcase_add_test(tcase, control_character_in_a_field_is_refused);
    tcase_add_test(tcase, field_name_with_a_blank_is_refused);
    tcase_add_test(tcase, refusal_has_the_headers_of_the_side);
    tcase_add_test(tcase, nul_in_the_target_is_refused);
    tcase_add_test(tcase, escaped_nul_in_the_target_is_refused);
    tcase_add_loop_test(tcase, target_that_is_no_path_is_refused, 0, COUNT(odd_targets));
    tcase_add_loop_test(tcase, target_with_a_blank_ends_the_connection, 0, COUNT(blank_targets));
    tcase_add_test(tcase, absolute_form_is_refused_on_the_peer_side);
    tcase_add_test(tcase, header_of_40_kilobytes_is_refused);
    tcase_add_test(tcase, as_many_fields_as_allowed_are_taken);
    tcase_add_test(tcase, one_field_too_many_is_refused);
    tcase_add_test(tcase, longest_target_is_taken);
    tcase_add_test(tcase, target_of_one_byte_more_is_refused);
}

static void add_bodies(TCase *tcase)
{
    tcase_add_test(tcase, body_of_exactly_the_limit_is_taken);
    tcase_add_test(tcase, body_of_one_byte_more_is_refused_and_the_connection_kept);
    tcase_add_test(tcase, body_past_what_is_swallowed_is_refused_unread);
    tcase_add_test(tcase, expectation_of_too_much_is_refused_at_once);
    tcase_add_test(tcase, chunked_body_of_exactly_the_limit_is_taken);
    tcase_add_test(tcase, chunked_body_of_one_byte_more_is_refused);
    tcase_add_test(tcase, chunked_body_past_what_is_swallowed_is_cut_off);
    tcase_add_loop_test(tcase, request_that_is_cut_off_reaches_no_handler, 0, COUNT(cut_off));
}

static void add_slow(TCase *tcase)
{
    tcase_add_test(tcase, slow_request_line_is_reaped);
    tcase_add_test(tcase, slow_header_is_reaped);
    tcase_add_test(tcase, slow_header_of_a_second_request_is_reaped);
    tcase_add_test(tcase, slow_request_line_of_a_second_request_is_reaped_as_idle);
    tcase_add_test(tcase, slow_body_is_reaped);
    tcase_add_test(tcase, silent_connection_is_reaped);
    tcase_add_test(tcase, idle_connection_is_reaped);
    tcase_add_test(tcase, answer_that_nobody_takes_is_cut_off);
    tcase_add_test(tcase, stream_of_a_client_that_went_is_closed);
}

static void add_suspended(TCase *tcase)
{
    tcase_add_test(tcase, suspended_exchange_is_answered_from_another_thread);
    tcase_add_test(tcase, exchange_may_be_suspended_twice);
    tcase_add_test(tcase, suspended_exchange_is_not_reaped);
    tcase_add_test(tcase, pipelined_request_waits_for_the_suspended_one);
    tcase_add_test(tcase, client_that_went_while_suspended_is_noticed_when_completed);
    tcase_add_test(tcase, abandoning_closes_what_is_suspended);
    tcase_add_test(tcase, connection_past_the_limit_is_closed);
    tcase_add_test(tcase, many_connections_are_all_answered);
    tcase_add_test(tcase, completions_reach_every_daemon);
    tcase_add_test(tcase, draining_closes_what_is_idle);
    tcase_add_test(tcase, draining_answers_what_is_in_flight_and_closes);
    tcase_add_test(tcase, draining_lets_an_answer_under_way_end_and_closes);
    tcase_add_test_raise_signal(tcase, completing_what_is_not_suspended_aborts, SIGABRT);
}

int main(void)
{
    TCase *tcase = tcase_create("http_server");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    add_served(tcase);
    add_refused(tcase);
    add_bodies(tcase);
    add_slow(tcase);
    add_suspended(tcase);
    return run_suite("http_server", tcase);
}
