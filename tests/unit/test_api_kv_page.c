/* Listings in pages: limit, start-after, and the header that leads from one to the next. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "api/api_kv.h"
#include "base/heap.h"
#include "base/prng.h"
#include "support/run.h"
#include "unit/api_harness.h"

static void put_all(const char *const *keys)
{
    char target[256];
    for (; *keys != NULL; keys++) {
        (void)snprintf(target, sizeof(target), "/v1/kv/%s", *keys);
        expect("PUT", target, "v", 200, "true");
    }
}

static const char *const some[] = {"a", "b/1", "b/2", "b/3", "c", NULL};

/* A page, and what it says of the next one; NULL: nothing. */
static void expect_page(const char *target, const char *body, const char *next)
{
    expect("GET", target, "", 200, body);
    const char *value = header("X-Raftkv-Continue-After");
    if (next == NULL) {
        ck_assert_msg(value == NULL, "%s goes on after %s", target, value);
    } else {
        ck_assert_msg(value != NULL, "%s does not go on", target);
        ck_assert_str_eq(value, next);
    }
}

START_TEST(page_ends_after_so_many_keys_and_says_where_to_go_on)
{
    put_all(some);
    expect_page("/v1/kv/?keys&limit=2", "[\"a\",\"b/1\"]", "b%2F1");
    expect_page("/v1/kv/?keys&limit=2&start-after=b%2F1", "[\"b/2\",\"b/3\"]", "b%2F3");
    expect_page("/v1/kv/?keys&limit=2&start-after=b%2F3", "[\"c\"]", NULL);
}
END_TEST

/* A full page that is the last says so: nobody asks for an empty one. */
START_TEST(page_that_takes_the_rest_exactly_is_the_last)
{
    put_all(some);
    expect_page("/v1/kv/?keys&limit=5", "[\"a\",\"b/1\",\"b/2\",\"b/3\",\"c\"]", NULL);
    expect_page("/v1/kv/b/?keys&limit=3", "[\"b/1\",\"b/2\",\"b/3\"]", NULL);
}
END_TEST

START_TEST(entries_come_in_pages_too)
{
    put_all(some);
    const struct answer *answer = get("/v1/kv/b?recurse&limit=1&start-after=b/1");
    ck_assert_ptr_nonnull(strstr(answer->body, "\"Key\":\"b/2\""));
    ck_assert_ptr_null(strstr(answer->body, "\"Key\":\"b/3\""));
    ck_assert_str_eq(header("X-Raftkv-Continue-After"), "b%2F2");
}
END_TEST

START_TEST(groups_count_as_one_and_are_not_listed_again)
{
    put_all(some);
    expect_page("/v1/kv/?keys&separator=/&limit=2", "[\"a\",\"b/\"]", "b%2F");
    expect_page("/v1/kv/?keys&separator=/&limit=2&start-after=b%2F", "[\"c\"]", NULL);
    expect_page("/v1/kv/?keys&separator=/&start-after=b%2F1", "[\"c\"]", NULL);
    expect_page("/v1/kv/?keys&separator=/&start-after=b", "[\"b/\",\"c\"]", NULL);
}
END_TEST

/* The last group of the order has no successor. */
START_TEST(group_at_the_end_of_the_order_ends_the_listing)
{
    put_all((const char *const[]){"a", "%FF%FF1", "%FF%FF2", NULL});
    expect_page("/v1/kv/?keys&separator=%FF%FF&limit=1", "[\"a\"]", "a");
    expect_page("/v1/kv/?keys&separator=%FF%FF&limit=1&start-after=a",
                "[\"\xef\xbf\xbd\xef\xbf\xbd\"]", NULL);
    expect_page("/v1/kv/?keys&separator=%FF%FF&start-after=%FF%FF", "[]", NULL);
}
END_TEST

START_TEST(start_need_not_be_a_key_nor_below_the_prefix)
{
    put_all(some);
    expect_page("/v1/kv/?keys&start-after=b/15", "[\"b/2\",\"b/3\",\"c\"]", NULL);
    expect_page("/v1/kv/b/?keys&start-after=a", "[\"b/1\",\"b/2\",\"b/3\"]", NULL);
    expect_page("/v1/kv/b/?keys&start-after=", "[\"b/1\",\"b/2\",\"b/3\"]", NULL);
    expect_page("/v1/kv/b/?keys&start-after=c", "[]", NULL);
    expect_page("/v1/kv/b/?recurse&start-after=zz", "[]", NULL);
}
END_TEST

/* Nothing below the prefix is a 404, as without pages; nothing after the start is not. */
START_TEST(prefix_without_keys_is_missing_still)
{
    put_all(some);
    expect("GET", "/v1/kv/none?keys&limit=1", "", 404, "");
    expect("GET", "/v1/kv/none?recurse&start-after=a", "", 404, "");
}
END_TEST

/* 1.7: what a client waits with is the index of all that it lists, whatever the page. */
START_TEST(index_is_that_of_the_whole_listing)
{
    put_all(some);
    const uint64_t index = harness.index;
    (void)get("/v1/kv/?keys&limit=1");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), index);
    (void)get("/v1/kv/?keys&start-after=zz");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), index);
    (void)get("/v1/kv/?keys&limit=1&index=3");
    ck_assert_uint_eq(harness.answer.after, 3);
}
END_TEST

static const struct {
    const char *target;
    const char *text;
} refused[] = {
    {"/v1/kv/?keys&limit", "Invalid limit \"\", must be between [1=10000]"},
    {"/v1/kv/?keys&limit=0", "Invalid limit \"0\", must be between [1=10000]"},
    {"/v1/kv/?recurse&limit=-1", "Invalid limit \"-1\", must be between [1=10000]"},
    {"/v1/kv/?keys&limit=x", "Invalid limit \"x\", must be between [1=10000]"},
    {"/v1/kv/?keys&limit=10001", "Invalid limit \"10001\", must be between [1=10000]"},
    {"/v1/kv/?keys&limit=18446744073709551616",
     "Invalid limit \"18446744073709551616\", must be between [1=10000]"},
    {"/v1/kv/?keys&start-after=%00", "Control bytes are not allowed in keys and parameters"},
};

START_TEST(bad_limit_is_refused)
{
    expect("GET", refused[_i].target, "", 400, refused[_i].text);
}
END_TEST

/* Of one key there are no pages: what is not asked for is not looked at. */
START_TEST(read_of_one_key_knows_no_pages)
{
    put_all(some);
    expect("GET", "/v1/kv/a?raw&limit=x&start-after=b", "", 200, "v");
}
END_TEST

/* The largest key there is, every byte of it escaped. */
START_TEST(longest_key_fits_the_header)
{
    static char target[3 * RK_KEY_SIZE_MAX + 64];
    static char next[3 * RK_KEY_SIZE_MAX + 1];
    for (uint32_t i = 0; i < RK_KEY_SIZE_MAX; i++) {
        memcpy(next + (size_t)3 * i, "%C3", 4);
    }
    (void)snprintf(target, sizeof(target), "/v1/kv/%s", next);
    put(target, "v");
    put("/v1/kv/%FF", "v");
    (void)get("/v1/kv/?keys&limit=1");
    ck_assert_str_eq(header("X-Raftkv-Continue-After"), next);
    (void)snprintf(target, sizeof(target), "/v1/kv/?keys&start-after=%s", next);
    expect("GET", target, "", 200, "[\"\xef\xbf\xbd\"]");
}
END_TEST

/* Both would not fit the memory of the connection, which was closed without an answer then. */
START_TEST(page_after_a_long_key_that_ends_with_another_is_refused)
{
    static char target[3 * RK_KEY_SIZE_MAX + 64];
    static char first[3 * RK_KEY_SIZE_MAX + 1];

    for (uint32_t i = 0; i < RK_KEY_SIZE_MAX - 1; i++) {
        memcpy(first + (size_t)3 * i, "%C3", 4);
    }
    (void)snprintf(target, sizeof(target), "/v1/kv/%s", first);
    put(target, "v");
    (void)snprintf(target, sizeof(target), "/v1/kv/%s%%C3", first);
    put(target, "v");
    put("/v1/kv/%FF", "v");
    (void)snprintf(target, sizeof(target), "/v1/kv/?keys&limit=1&start-after=%s", first);
    expect("GET", target, "", 400,
           "the page ends with too long a key to be named beside this request: ask with another "
           "limit or prefix");
    (void)snprintf(target, sizeof(target), "/v1/kv/?recurse&limit=2&start-after=%s", first);
    ck_assert_uint_eq(get(target)->status, 200);
}
END_TEST

/* All pages together are the listing, element by element, streamed or not. */
static uint32_t pages_walk(const char *query, uint32_t limit, char *ret, size_t ret_size)
{
    char target[256];
    char after[128] = "";
    size_t size = 0;
    uint32_t pages = 0;
    do {
        (void)snprintf(target, sizeof(target), "/v1/kv/%s&limit=%u%s%s", query, limit,
                       after[0] != '\0' ? "&start-after=" : "", after);
        const struct answer *answer = get(target);
        ck_assert_uint_eq(answer->status, 200);
        ck_assert_uint_lt(size + answer->body_size, ret_size);
        if (size > 0) {
            ret[size - 1] = ',';
        }
        memcpy(ret + size, answer->body + (size > 0 ? 1 : 0), answer->body_size);
        size += answer->body_size - (size > 0 ? 1 : 0);
        const char *next = header("X-Raftkv-Continue-After");
        (void)snprintf(after, sizeof(after), "%s", next == NULL ? "" : next);
        pages++;
    } while (after[0] != '\0');
    ret[size] = '\0';
    return pages;
}

static const char *const walked[] = {"?keys", "?keys&separator=/", "?recurse",
                                     "k/?keys&separator=/"};

START_TEST(pages_together_are_the_listing)
{
    static char whole[1 << 20];
    struct rk_prng prng;
    rk_prng_seed(&prng, 7);
    for (uint32_t i = 0; i < 3000; i++) {
        char target[64];
        (void)snprintf(target, sizeof(target), "/v1/kv/k/%u/%u", (unsigned)rk_prng_below(&prng, 90),
                       (unsigned)rk_prng_below(&prng, 50));
        put(target, "value");
    }
    (void)pages_walk(walked[_i], 17, whole, sizeof(whole));
    char target[64];
    (void)snprintf(target, sizeof(target), "/v1/kv/%s", walked[_i]);
    ck_assert_str_eq(get(target)->body, whole);
    (void)pages_walk(walked[_i], 2000, whole, sizeof(whole));
    ck_assert_str_eq(get(target)->body, whole);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("kv_page");
    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, page_ends_after_so_many_keys_and_says_where_to_go_on);
    tcase_add_test(tcase, page_that_takes_the_rest_exactly_is_the_last);
    tcase_add_test(tcase, entries_come_in_pages_too);
    tcase_add_test(tcase, groups_count_as_one_and_are_not_listed_again);
    tcase_add_test(tcase, group_at_the_end_of_the_order_ends_the_listing);
    tcase_add_test(tcase, start_need_not_be_a_key_nor_below_the_prefix);
    tcase_add_test(tcase, prefix_without_keys_is_missing_still);
    tcase_add_test(tcase, index_is_that_of_the_whole_listing);
    tcase_add_loop_test(tcase, bad_limit_is_refused, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, read_of_one_key_knows_no_pages);
    tcase_add_test(tcase, longest_key_fits_the_header);
    tcase_add_test(tcase, page_after_a_long_key_that_ends_with_another_is_refused);
    tcase_add_loop_test(tcase, pages_together_are_the_listing, 0,
                        sizeof(walked) / sizeof(walked[0]));
    return run_suite("api_kv_page", tcase);
}
