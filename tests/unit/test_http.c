#include <signal.h>
#include <string.h>

#include "base/http.h"
#include "support/run.h"

static struct http_response response;

/* What was there before must not matter: responses are made on stacks. */
static void setup(void)
{
    memset(&response, 0xff, sizeof(response));
    http_response_init(&response, 64);
}

static void teardown(void)
{
    http_response_done(&response);
}

static void assert_header(uint32_t place, const char *name, const char *value)
{
    ck_assert_uint_lt(place, response.headers_count);
    ck_assert_str_eq(response.headers[place].name, name);
    ck_assert_str_eq(response.headers[place].value, value);
}

START_TEST(request_headers_are_found_in_any_case)
{
    static const struct http_field headers[] = {
        {"Host", "a"}, {"X-Consul-Token", "first"}, {"x-consul-token", "second"}};
    const struct http_request request = {.headers = headers, .headers_count = 3};
    ck_assert_str_eq(http_request_header(&request, "X-CONSUL-TOKEN"), "first");
    ck_assert_str_eq(http_request_header(&request, "host"), "a");
    ck_assert_ptr_null(http_request_header(&request, "X-Consul"));
    ck_assert_ptr_null(http_request_header(&request, "X-Consul-Tokens"));
    ck_assert_ptr_null(http_request_header(&request, ""));
}
END_TEST

START_TEST(new_response_is_an_empty_200)
{
    ck_assert_uint_eq(response.status, 200);
    ck_assert_uint_eq(response.headers_count, 0);
    ck_assert_uint_eq(response.body.size, 0);
    ck_assert_ptr_null(response.stream);
    ck_assert(!response.close_connection);
    ck_assert(!response.is_bulk);
}
END_TEST

START_TEST(header_values_are_copied)
{
    char value[] = "abc";
    http_response_header(&response, "A", value);
    value[0] = 'x';
    http_response_header(&response, "B", value);
    http_response_header_u64(&response, "C", UINT64_MAX);
    http_response_header_static(&response, "D", "static");
    assert_header(0, "A", "abc");
    assert_header(1, "B", "xbc");
    assert_header(2, "C", "18446744073709551615");
    assert_header(3, "D", "static");
}
END_TEST

START_TEST(long_header_value_is_taken_over)
{
    struct rk_buf value;
    rk_buf_init(&value, 5001);
    for (uint32_t i = 0; i < 5000; i++) {
        rk_buf_append_byte(&value, 'x');
    }
    http_response_header_long(&response, "L", &value);
    ck_assert_ptr_null(value.data);
    ck_assert_str_eq(response.headers[0].name, "L");
    ck_assert_uint_eq(strlen(response.headers[0].value), 5000);
    ck_assert_uint_eq(response.arena_size, 0);
}
END_TEST

START_TEST(text_sets_status_type_and_body)
{
    http_response_text(&response, 404, "nothing here");
    ck_assert_uint_eq(response.status, 404);
    assert_header(0, "Content-Type", "text/plain; charset=utf-8");
    ck_assert_uint_eq(response.body.size, 12);
    ck_assert_mem_eq(response.body.data, "nothing here", 12);
}
END_TEST

/* A handler that fails half way leaves neither its type nor its bytes, nor an overflow. */
START_TEST(text_replaces_what_was_begun)
{
    http_response_header_static(&response, "Content-Type", "application/json");
    ck_assert_ptr_null(rk_buf_extend(&response.body, 65));
    http_response_text(&response, 500, "failed");
    ck_assert_uint_eq(response.headers_count, 1);
    assert_header(0, "Content-Type", "text/plain; charset=utf-8");
    ck_assert_int_eq(rk_buf_status(&response.body), RK_OK);
    ck_assert_uint_eq(response.body.size, 6);
}
END_TEST

static int closes_count;

static void count_close(struct http_stream *stream)
{
    ck_assert_ptr_nonnull(stream);
    closes_count++;
}

START_TEST(stream_is_closed_exactly_once)
{
    struct http_stream stream = {.close = count_close};
    closes_count = 0;
    response.stream = &stream;
    if (_i == 0) {
        http_response_text(&response, 500, "failed");
    }
    http_response_done(&response);
    http_response_done(&response);
    ck_assert_int_eq(closes_count, 1);
}
END_TEST

/* --- gathering --- */

enum { COUNTED_SIZE = 100 * 1000 };

/* Yields the bytes 0, 1, 2, ... 250, 0, ... in pieces of odd sizes. */
struct counted {
    struct http_stream stream; /* first */
    size_t sent;
};

static uint8_t counted_byte(size_t place)
{
    return (uint8_t)(place % 251);
}

static size_t counted_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    struct counted *counted = (struct counted *)(void *)stream;
    size_t filled = 0;

    while (filled < size && filled < 777 && counted->sent < COUNTED_SIZE) {
        data[filled++] = counted_byte(counted->sent++);
    }
    return filled;
}

static void check_counted(const uint8_t *data, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != counted_byte(from + i)) {
            ck_abort_msg("byte %zu is another", from + i);
        }
    }
}

START_TEST(gathered_stream_becomes_the_body)
{
    struct counted counted = {.stream = {.read = counted_read, .close = count_close}};

    closes_count = 0;
    response.stream = &counted.stream;
    http_response_gather(&response, COUNTED_SIZE);
    ck_assert_ptr_null(response.stream);
    ck_assert_int_eq(closes_count, 1);
    ck_assert_uint_eq(response.body.size, COUNTED_SIZE);
    check_counted(response.body.data, 0, COUNTED_SIZE);
}
END_TEST

START_TEST(stream_too_large_to_gather_goes_on_from_its_beginning)
{
    struct counted counted = {.stream = {.read = counted_read, .close = count_close}};
    uint8_t data[500];
    size_t sent = 0;
    size_t filled = 1;

    closes_count = 0;
    response.stream = &counted.stream;
    http_response_gather(&response, COUNTED_SIZE - 1);
    ck_assert_ptr_nonnull(response.stream);
    while (filled > 0) {
        filled = response.stream->read(response.stream, data, sizeof(data));
        check_counted(data, sent, filled);
        sent += filled;
    }
    ck_assert_uint_eq(sent, COUNTED_SIZE);
    http_response_done(&response);
    ck_assert_int_eq(closes_count, 1);
}
END_TEST

START_TEST(one_header_too_many_aborts)
{
    for (int i = 0; i <= HTTP_RESPONSE_HEADERS_MAX; i++) {
        http_response_header_static(&response, "A", "b");
    }
}
END_TEST

START_TEST(header_values_fill_the_arena_exactly)
{
    char value[HTTP_RESPONSE_ARENA_SIZE] = {0};
    memset(value, 'a', sizeof(value) - 1);
    http_response_header(&response, "A", value);
    ck_assert_uint_eq(response.arena_size, HTTP_RESPONSE_ARENA_SIZE);
    assert_header(0, "A", value);
}
END_TEST

START_TEST(header_values_past_the_arena_abort)
{
    char value[HTTP_RESPONSE_ARENA_SIZE + 1] = {0};
    memset(value, 'a', sizeof(value) - 1);
    http_response_header(&response, "A", value);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, request_headers_are_found_in_any_case);
    tcase_add_test(tcase, new_response_is_an_empty_200);
    tcase_add_test(tcase, header_values_are_copied);
    tcase_add_test(tcase, long_header_value_is_taken_over);
    tcase_add_test(tcase, text_sets_status_type_and_body);
    tcase_add_test(tcase, text_replaces_what_was_begun);
    tcase_add_loop_test(tcase, stream_is_closed_exactly_once, 0, 2);
    tcase_add_test(tcase, gathered_stream_becomes_the_body);
    tcase_add_test(tcase, stream_too_large_to_gather_goes_on_from_its_beginning);
    tcase_add_test_raise_signal(tcase, one_header_too_many_aborts, SIGABRT);
    tcase_add_test(tcase, header_values_fill_the_arena_exactly);
    tcase_add_test_raise_signal(tcase, header_values_past_the_arena_abort, SIGABRT);
    return run_suite("http", tcase);
}
