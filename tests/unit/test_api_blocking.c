/* What a read asks to wait for, and for how long (contract 1.5 to 1.7). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/run.h"
#include "unit/api_harness.h"

static const uint64_t second_us = 1000000;

static uint64_t wait_us(const char *target)
{
    (void)get(target);
    ck_assert_int_eq(harness.answer.topic_kind, SM_TOPIC_KEY);
    return harness.answer.wait_us;
}

START_TEST(read_with_an_index_waits_for_its_key)
{
    (void)get("/v1/kv/k?index=007&wait=20ms");
    ck_assert_int_eq(harness.answer.topic_kind, SM_TOPIC_KEY);
    ck_assert_uint_eq(harness.answer.after, 7);
    ck_assert_uint_eq(harness.answer.wait_us, 20000);
}
END_TEST

START_TEST(listing_with_an_index_waits_for_its_prefix)
{
    (void)get("/v1/kv/k?recurse&index=1");
    ck_assert_int_eq(harness.answer.topic_kind, SM_TOPIC_PREFIX);
    (void)get("/v1/kv/?keys&index=18446744073709551615");
    ck_assert_int_eq(harness.answer.topic_kind, SM_TOPIC_PREFIX);
    ck_assert_uint_eq(harness.answer.after, UINT64_MAX);
}
END_TEST

/* Absent, empty and 0; consul-template's first request has wait alone. */
START_TEST(read_without_an_index_does_not_wait)
{
    (void)get("/v1/kv/k?wait=60000ms");
    ck_assert_int_eq(harness.answer.topic_kind, SM_TOPIC_NONE);
    (void)get("/v1/kv/k?index=&wait=1s");
    ck_assert_int_eq(harness.answer.topic_kind, SM_TOPIC_NONE);
    (void)get("/v1/kv/k?index=0&wait=1s");
    ck_assert_int_eq(harness.answer.topic_kind, SM_TOPIC_NONE);
}
END_TEST

START_TEST(wait_is_five_minutes_unless_said_and_ten_at_most)
{
    ck_assert_uint_eq(wait_us("/v1/kv/k?index=1"), 300 * second_us);
    ck_assert_uint_eq(wait_us("/v1/kv/k?index=1&wait="), 300 * second_us);
    ck_assert_uint_eq(wait_us("/v1/kv/k?index=1&wait=0"), 300 * second_us);
    ck_assert_uint_eq(wait_us("/v1/kv/k?index=1&wait=-5s"), 300 * second_us);
    ck_assert_uint_eq(wait_us("/v1/kv/k?index=1&wait=10000s"), 600 * second_us);
    ck_assert_uint_eq(wait_us("/v1/kv/k?index=1&wait=2.5s"), 2500000);
    ck_assert_uint_eq(wait_us("/v1/kv/k?index=1&wait=1ns"), 1);
}
END_TEST

START_TEST(write_never_waits)
{
    put("/v1/kv/k?index=5&wait=1s", "x");
    ck_assert_int_eq(harness.answer.topic_kind, SM_TOPIC_NONE);
    expect("DELETE", "/v1/kv/k?index=5&wait=1s", "", 200, "true");
}
END_TEST

/* Case 28. */
START_TEST(what_cannot_be_waited_for_is_refused)
{
    static const char *const indexes[] = {"abc",  "-1",  "%2B5",
                                          "%205", "0x1", "18446744073709551616"};

    for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
        char target[64];
        (void)snprintf(target, sizeof(target), "/v1/kv/k?index=%s", indexes[i]);
        expect("GET", target, "", 400, "Invalid index");
    }
    expect("GET", "/v1/kv/k?index=1&wait=10", "", 400, "Invalid wait time");
    expect("GET", "/v1/kv/k?wait=1d", "", 400, "Invalid wait time");
}
END_TEST

/* The identity of a read, to be freed. */
static struct rk_buf identity_of(const char *target)
{
    const struct http_request request = {
        .method = HTTP_GET, .method_name = "GET", .target = target};
    struct http_response response;
    struct api_call call;
    struct rk_buf identity;

    ck_assert_int_eq(api_begin(&call, &harness.options, &request, &harness.node, &response),
                     API_READ);
    rk_buf_init(&identity, RK_TARGET_SIZE_MAX);
    api_append_identity(&call, &identity);
    api_end(&call);
    http_response_done(&response);
    return identity;
}

static bool are_the_same_question(const char *target, const char *other)
{
    struct rk_buf first = identity_of(target);
    struct rk_buf second = identity_of(other);
    const bool are_equal =
        first.size == second.size && memcmp(first.data, second.data, first.size) == 0;

    rk_buf_done(&first);
    rk_buf_done(&second);
    return are_equal;
}

START_TEST(question_is_the_same_however_long_it_waits)
{
    ck_assert(are_the_same_question("/v1/kv/a%2Fb?index=1&wait=5s", "/v1/kv/a/b?wait=1s&index=9"));
    ck_assert(are_the_same_question("/v1/kv/k", "/v1/kv/k?unknown=1"));
}
END_TEST

START_TEST(question_differs_by_what_shows_in_the_answer)
{
    ck_assert(!are_the_same_question("/v1/kv/a", "/v1/kv/b"));
    ck_assert(!are_the_same_question("/v1/kv/a", "/v1/kv/a?recurse"));
    ck_assert(!are_the_same_question("/v1/kv/a?raw", "/v1/kv/a?pretty"));
    ck_assert(!are_the_same_question("/v1/kv/a?keys", "/v1/kv/a?keys&separator=/"));
    ck_assert(!are_the_same_question("/v1/kv/a?keys&separator=x", "/v1/kv/a?keys&separator=/"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_blocking");

    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, read_with_an_index_waits_for_its_key);
    tcase_add_test(tcase, listing_with_an_index_waits_for_its_prefix);
    tcase_add_test(tcase, read_without_an_index_does_not_wait);
    tcase_add_test(tcase, wait_is_five_minutes_unless_said_and_ten_at_most);
    tcase_add_test(tcase, write_never_waits);
    tcase_add_test(tcase, what_cannot_be_waited_for_is_refused);
    tcase_add_test(tcase, question_is_the_same_however_long_it_waits);
    tcase_add_test(tcase, question_differs_by_what_shows_in_the_answer);
    return run_suite("api_blocking", tcase);
}
