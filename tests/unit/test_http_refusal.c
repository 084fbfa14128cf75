/* Which heads an HTTP server refuses. Section numbers are those of the parser seam (pitfall F6):
 * each row of its table is a test. */
#include <stdio.h>

#include "base/limits.h"
#include "support/run.h"
#include "unit/http_session.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

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

static bool is_answered_or_closed(struct fixture *f)
{
    (void)f;
    return raw_has(client, "HTTP/1.1 ") || client->is_closed;
}

/* libmicrohttpd builds the head of an answer in what the request's has left of its memory, and hangs up
 * where that is too little. */
START_TEST(no_head_is_so_large_that_what_was_done_is_not_answered)
{
    fixture_open(&fixture);
    for (size_t size = 18 * 1024; size < 21 * 1024; size += 32) {
        client = raw_open(&fixture);
        raw_text(client, "GET /long HTTP/1.1\r\nHost: x\r\nX-Long: ");
        send_repeated("0123456789abcdef0123456789abcdef", size / 32);
        raw_text(client, "\r\n\r\n");
        await_true(&fixture, is_answered_or_closed);
        ck_assert_msg(raw_has(client, "HTTP/1.1 200 ") || raw_has(client, "HTTP/1.1 431 "),
                      "a field of %zu bytes: %s", size, client->in);
        hang_up();
    }
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

/* It is handed on whole: who takes it apart says what is too many. */
START_TEST(target_of_thousands_of_parameters_is_taken)
{
    open_all();
    raw_text(client, "GET /?");
    send_repeated("a&", 5000);
    raw_text(client, "z HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "a&z 0 .\n");
    ck_assert_uint_ge(client->in_size, 10003);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_refusal");

    tcase_add_checked_fixture(tcase, session_init, session_end);
    tcase_set_timeout(tcase, 30);
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
    tcase_add_test(tcase, no_head_is_so_large_that_what_was_done_is_not_answered);
    tcase_add_test(tcase, as_many_fields_as_allowed_are_taken);
    tcase_add_test(tcase, one_field_too_many_is_refused);
    tcase_add_test(tcase, longest_target_is_taken);
    tcase_add_test(tcase, target_of_one_byte_more_is_refused);
    tcase_add_test(tcase, target_of_thousands_of_parameters_is_taken);
    return run_suite("http_refusal", tcase);
}
