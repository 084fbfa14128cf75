/* Answers that are sent again: what is kept, and that nothing of the former answer is left in it. */
#include "server/http_answer_pool.h"

#include <check.h>
#include <microhttpd.h>
#include <string.h>

#include "base/http.h"
#include "server/http_answer.h"
#include "support/run.h"

enum { KEPT_MAX = 256 };

static struct http_answer_pool pool;
static struct http_response response;

static void setup(void)
{
    http_answer_pool_init(&pool);
    http_response_init(&response, 4096);
}

static void teardown(void)
{
    http_answer_pool_done(&pool);
    ck_assert_uint_eq(pool.spares_count, 0);
}

/* With the `index` and a `body`. */
static void respond(uint64_t index, const char *body)
{
    http_response_init(&response, 4096);
    http_response_header_static(&response, "Vary", "Accept-Encoding");
    http_response_header_u64(&response, "X-Consul-Index", index);
    rk_buf_append_text(&response.body, body);
}

static struct http_answer *make(void)
{
    return http_answer_pool_make(&pool, &response, false);
}

static struct http_answer *make_of(uint64_t index, const char *body)
{
    respond(index, body);
    return make();
}

static void assert_value(const struct http_answer *answer, const char *name, const char *value)
{
    ck_assert_str_eq(MHD_get_response_header(answer->mhd, name), value);
}

START_TEST(sent_answer_is_used_for_one_of_the_same_shape_with_its_own_values)
{
    struct http_answer *first = make_of(99, "true");
    http_answer_pool_put_back(&pool, first);
    respond(100, "null");
    response.status = 404;
    struct http_answer *second = make();

    ck_assert_ptr_eq(second, first);
    ck_assert_uint_eq(second->status, 404);
    assert_value(second, "X-Consul-Index", "100");
    assert_value(second, "Vary", "Accept-Encoding");
    ck_assert_int_eq(MHD_get_response_headers(second->mhd, NULL, NULL), 2);
    http_answer_pool_put_back(&pool, second);
}
END_TEST

/* Another address with the same text, and another text at the same address. */
START_TEST(values_are_compared_as_texts)
{
    static char value[] = "1";

    http_response_header_static(&response, "A", value);
    struct http_answer *first = make();
    http_answer_pool_put_back(&pool, first);
    http_response_init(&response, 4096);
    http_response_header_u64(&response, "A", 1);
    ck_assert_ptr_eq(make(), first);
    assert_value(first, "A", "1");
    http_answer_pool_put_back(&pool, first);
    http_response_init(&response, 4096);
    http_response_header_u64(&response, "A", 2);
    ck_assert_ptr_eq(make(), first);
    assert_value(first, "A", "2");
    http_answer_pool_put_back(&pool, first);
}
END_TEST

START_TEST(answer_that_is_not_sent_yet_is_not_used_again)
{
    struct http_answer *first = make_of(1, "true");
    struct http_answer *second = make_of(2, "true");

    ck_assert_ptr_ne(second, first);
    assert_value(first, "X-Consul-Index", "1");
    http_answer_pool_put_back(&pool, first);
    http_answer_pool_put_back(&pool, second);
}
END_TEST

START_TEST(answer_of_another_shape_is_another_one)
{
    struct http_answer *first = make_of(1, "true");
    http_answer_pool_put_back(&pool, first);

    struct http_answer *longer = make_of(1, "false");
    ck_assert_ptr_ne(longer, first);
    respond(1, "true");
    http_response_header_static(&response, "X-More", "1");
    struct http_answer *wider = make();
    ck_assert_ptr_ne(wider, first);
    respond(1, "true");
    response.headers[1].name = "X-Other";
    struct http_answer *other = make();
    ck_assert_ptr_ne(other, first);
    assert_value(other, "X-Other", "1");
    http_answer_pool_put_back(&pool, longer);
    http_answer_pool_put_back(&pool, wider);
    http_answer_pool_put_back(&pool, other);
}
END_TEST

START_TEST(value_that_is_no_field_is_left_out_and_can_be_replaced)
{
    http_response_header(&response, "A", "1\r\nB: 2");
    struct http_answer *answer = make();
    ck_assert_ptr_null(MHD_get_response_header(answer->mhd, "A"));
    http_answer_pool_put_back(&pool, answer);
    http_response_init(&response, 4096);
    http_response_header(&response, "A", "3");
    ck_assert_ptr_eq(make(), answer);
    assert_value(answer, "A", "3");
    http_answer_pool_put_back(&pool, answer);
}
END_TEST

static size_t nothing_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    (void)stream;
    (void)data;
    (void)size;
    return 0;
}

static void nothing_closed(struct http_stream *stream)
{
    (void)stream;
}

START_TEST(what_is_large_or_goes_on_or_ends_the_connection_is_not_kept)
{
    static struct http_stream stream = {.read = nothing_read, .close = nothing_closed};
    struct rk_buf value;

    switch (_i) {
    case 0:
        memset(rk_buf_extend(&response.body, 2049), 'x', 2049);
        break;
    case 1:
        response.stream = &stream;
        break;
    case 2:
        http_response_header(&response, "A", "a text of one more than twenty");
        break;
    case 3:
        rk_buf_init(&value, 64);
        http_response_header_long(&response, "A", &value);
        break;
    case 4:
        response.is_bulk = true;
        break;
    default: /* it ends the connection */
        break;
    }
    struct http_answer *answer = http_answer_pool_make(&pool, &response, _i == 5);
    ck_assert(!answer->is_pooled);
    http_answer_pool_put_back(&pool, answer);
    ck_assert_uint_eq(pool.spares_count, 0);
}
END_TEST

/* What is asked for now drives out what was asked for once. */
START_TEST(of_too_many_an_older_one_goes)
{
    struct http_answer *answers[KEPT_MAX];

    for (int i = 0; i < KEPT_MAX; i++) {
        answers[i] = make_of(1, "true");
    }
    for (int i = 0; i < KEPT_MAX; i++) {
        http_answer_pool_put_back(&pool, answers[i]);
    }
    struct http_answer *other = make_of(1, "false");
    http_answer_pool_put_back(&pool, other);
    ck_assert_uint_eq(pool.spares_count, KEPT_MAX);
    ck_assert_ptr_eq(make_of(2, "false"), other);
    http_answer_pool_put_back(&pool, other);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("http_answer_pool");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, sent_answer_is_used_for_one_of_the_same_shape_with_its_own_values);
    tcase_add_test(tests, values_are_compared_as_texts);
    tcase_add_test(tests, answer_that_is_not_sent_yet_is_not_used_again);
    tcase_add_test(tests, answer_of_another_shape_is_another_one);
    tcase_add_test(tests, value_that_is_no_field_is_left_out_and_can_be_replaced);
    tcase_add_loop_test(tests, what_is_large_or_goes_on_or_ends_the_connection_is_not_kept, 0, 6);
    tcase_add_test(tests, of_too_many_an_older_one_goes);
    return run_suite("http_answer_pool", tests);
}
