/* Listings below a prefix: recurse, keys, separators, and the stream that large ones become. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "api/api_kv.h"
#include "base/heap.h"
#include "base/json_write.h"
#include "base/prng.h"
#include "support/run.h"
#include "unit/api_harness.h"

static void put_all(const char *const *keys)
{
    char target[256];
    for (; *keys != NULL; keys++) {
        snprintf(target, sizeof(target), "/v1/kv/%s", *keys);
        expect("PUT", target, "v", 200, "true");
    }
}

START_TEST(case_08_an_empty_store)
{
    expect("GET", "/v1/kv/?recurse", "", 404, "");
    ck_assert_uint_ge(header_u64("X-Consul-Index"), 1);
    ck_assert_ptr_nonnull(header("X-Consul-Knownleader"));
    expect("GET", "/v1/kv/?keys", "", 200, "[]");
    expect("GET", "/v1/kv?keys&pretty", "", 200, "[]\n");
    expect("GET", "/v1/kv/p?keys", "", 404, "");
    ck_assert_uint_ge(header_u64("X-Consul-Index"), 1);
}
END_TEST

START_TEST(case_09_keys_are_sorted_and_keep_their_slashes)
{
    put_all((const char *const[]){"a%2Fz%2F3", "a%2Fx%2F1", "a%2Fy%2F2", NULL});
    expect("GET", "/v1/kv/a?keys=true", "", 200, "[\"a/x/1\",\"a/y/2\",\"a/z/3\"]");
    ck_assert_str_eq(header("Content-Type"), "application/json");
}
END_TEST

START_TEST(case_10_keys_with_an_escaped_separator)
{
    put_all((const char *const[]){"a/x/1", "a/y/2", "a/z/3", NULL});
    expect("GET", "/v1/kv/a%2F?keys=true&separator=%2F", "", 200, "[\"a/x/\",\"a/y/\",\"a/z/\"]");
}
END_TEST

START_TEST(case_11_groups_and_plain_keys_in_byte_order)
{
    put_all((const char *const[]){"bar", "base/foo", "base/base/foo", NULL});
    expect("GET", "/v1/kv/base/?keys=True&separator=%2F", "", 200, "[\"base/base/\",\"base/foo\"]");
}
END_TEST

START_TEST(case_12_recurse_lists_the_folder_key_first)
{
    put("/v1/kv/foo/", "");
    put_all((const char *const[]){"foo/bar1", "foo/bar2", "foo/bar3", NULL});
    const char *body = get("/v1/kv/foo/?recurse=1")->body;
    const char *folder = strstr(body, "\"Key\":\"foo/\",\"Flags\":0,\"Value\":null");
    ck_assert_ptr_nonnull(folder);
    const char *first = strstr(folder, "\"Key\":\"foo/bar1\"");
    ck_assert_ptr_nonnull(first);
    const char *second = strstr(first, "\"Key\":\"foo/bar2\"");
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_nonnull(strstr(second, "\"Key\":\"foo/bar3\""));
}
END_TEST

static const char *const contract_store[] = {"a/x/1",         "a/y/2", "a/z/3", "base/foo",
                                             "base/base/foo", "bar",   "hello", NULL};

/* Contract 2.1, the table of examples, and what stands around it. */
static const struct {
    const char *query;
    const char *keys;
} separator_table[] = {
    {"a?keys", "[\"a/x/1\",\"a/y/2\",\"a/z/3\"]"},
    {"a/?keys&separator=/", "[\"a/x/\",\"a/y/\",\"a/z/\"]"},
    {"base/?keys&separator=/", "[\"base/base/\",\"base/foo\"]"},
    {"?keys&separator=/", "[\"a/\",\"bar\",\"base/\",\"hello\"]"},
    {"a?keys&separator=/", "[\"a/\"]"},
    {"a?keys&seperator=/", "[\"a/\"]"},
    {"a/?keys&seperator=x&separator=/", "[\"a/x/\",\"a/y/\",\"a/z/\"]"},
    {"a?keys&separator=", "[\"a/x/1\",\"a/y/2\",\"a/z/3\"]"},
    {"a?keys&separator=&seperator=/", "[\"a/\"]"},
    {"?keys&separator=se/", "[\"a/x/1\",\"a/y/2\",\"a/z/3\",\"bar\",\"base/\",\"hello\"]"},
    {"hello?keys&separator=hello", "[\"hello\"]"},
    {"hell?keys&separator=o", "[\"hello\"]"},
    {"b?keys&recurse&raw&separator=a", "[\"ba\"]"},
};

START_TEST(separators_group_as_the_contract_shows)
{
    char target[128];
    put_all(contract_store);
    snprintf(target, sizeof(target), "/v1/kv/%s", separator_table[_i].query);
    expect("GET", target, "", 200, separator_table[_i].keys);
}
END_TEST

/* The key behind a group has no last byte to raise: the carry, and the very end of the order. */
START_TEST(groups_that_end_in_0xff_are_left_behind)
{
    put_all((const char *const[]){"a%FF%FF1", "a%FF%FF2", "b%FF", "%FF%FF", "%FF%FF%FF", NULL});
    expect("GET", "/v1/kv/?keys&separator=%FF%FF", "", 200,
           "[\"a\xef\xbf\xbd\xef\xbf\xbd\",\"b\xef\xbf\xbd\",\"\xef\xbf\xbd\xef\xbf\xbd\"]");
}
END_TEST

START_TEST(prefixes_match_bytes_not_folders)
{
    put_all((const char *const[]){"foo", "foobar", "fop", NULL});
    expect("GET", "/v1/kv/foo?keys", "", 200, "[\"foo\",\"foobar\"]");
}
END_TEST

/* 1.7: the greatest modify index below the prefix, deletions counted; others do not touch it. */
START_TEST(case_27_the_index_of_a_prefix_is_its_own)
{
    put("/v1/kv/a/1", "x");
    put("/v1/kv/a/2", "x");
    const uint64_t index = header_u64("X-Consul-Index");
    put("/v1/kv/b/1", "x");
    get("/v1/kv/a/?recurse");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), index);
    del("/v1/kv/a/2");
    get("/v1/kv/a/?keys&separator=/");
    ck_assert_uint_gt(header_u64("X-Consul-Index"), index + 1);
}
END_TEST

/* A random store below p/: keys over a few awkward bytes, values of all sizes. */
static void fill_randomly(struct rk_prng *prng, uint32_t count)
{
    static const char *const bytes[] = {"a", "b", "/", "%3C", "%FF", "%C3%A7"};
    uint8_t *value = rk_heap_zalloc(1, 9000);

    for (uint32_t i = 0; i < count; i++) {
        char target[256] = "/v1/kv/p/";
        const uint64_t length = 1 + rk_prng_below(prng, 12);
        for (uint64_t j = 0; j < length; j++) {
            const size_t used = strlen(target);
            snprintf(target + used, sizeof(target) - used, "%s", bytes[rk_prng_below(prng, 6)]);
        }
        const uint32_t size = (uint32_t)rk_prng_below(prng, i % 16 == 0 ? 9000 : 40);
        memset(value, (int)(i & 0xff), size);
        send_bytes("PUT", target, (struct rk_bytes){.data = value, .size = size});
        ck_assert_uint_eq(harness.answer.status, 200);
    }
    rk_heap_free(value);
}

/* The listing in one piece, by the plainest means. */
static void render_whole(struct rk_buf *whole, bool keys_only, bool pretty)
{
    const struct sm_root root = sm_publish(harness.sm);
    const struct rk_bytes prefix = {.data = (const uint8_t *)"p/", .size = 2};
    struct sm_kv_cursor cursor;
    struct sm_kv_entry entry;
    struct rk_json json;

    rk_json_init(&json, whole, pretty);
    rk_json_array_begin(&json);
    sm_kv_cursor_init(&cursor, &root, prefix);
    while (sm_kv_cursor_next(&cursor, &entry)) {
        if (keys_only) {
            rk_json_bytes(&json, entry.key);
        } else {
            kv_entry_render(&json, &entry);
        }
    }
    rk_json_array_end(&json);
    rk_buf_append_byte(whole, '\0');
    ck_assert_int_eq(rk_buf_status(whole), RK_OK);
}

static void check_listing(const char *target, bool keys_only, bool pretty)
{
    struct rk_buf whole;

    rk_buf_init(&whole, 64 << 20);
    render_whole(&whole, keys_only, pretty);
    const struct answer *answer = get(target);
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_uint_eq(answer->body_size, whole.size - 1);
    ck_assert_mem_eq(answer->body, whole.data, whole.size);
    if (answer->streamed) {
        ck_assert_uint_gt(answer->body_size, KV_LIST_SLICE_SIZE);
    } else {
        ck_assert_uint_le(answer->body_size, KV_LIST_SLICE_SIZE + strlen("\n]\n"));
    }
    rk_buf_done(&whole);
}

/* Whatever the store and however small the pieces asked for, the stream is the whole. */
START_TEST(a_stream_equals_the_listing_in_one_piece)
{
    struct rk_prng prng;
    rk_prng_seed(&prng, (uint64_t)_i + 1);
    fill_randomly(&prng, 20u << _i);
    harness.stream_step = 1 + rk_prng_below(&prng, 5000);
    check_listing("/v1/kv/p/?recurse", false, false);
    check_listing("/v1/kv/p/?recurse&pretty", false, true);
    check_listing("/v1/kv/p/?keys", true, false);
    check_listing("/v1/kv/p/?keys&pretty", true, true);
}
END_TEST

static void put_large(const char *target, uint32_t size)
{
    uint8_t *zeros = rk_heap_zalloc(1, size);
    send_bytes("PUT", target, (struct rk_bytes){.data = zeros, .size = size});
    ck_assert_uint_eq(harness.answer.status, 200);
    rk_heap_free(zeros);
}

START_TEST(only_a_listing_above_a_slice_is_streamed)
{
    put("/v1/kv/s", "x");
    get("/v1/kv/?recurse");
    ck_assert(!harness.answer.streamed);
    put_large("/v1/kv/a", KV_LIST_SLICE_SIZE);
    get("/v1/kv/?recurse");
    ck_assert(harness.answer.streamed);
    ck_assert_str_eq(header("Content-Type"), "application/json");
    ck_assert_ptr_nonnull(header("X-Consul-Index"));
    get("/v1/kv/?keys");
    ck_assert(!harness.answer.streamed);
}
END_TEST

/* A client that goes away in mid-answer: what the stream holds is freed (the sanitizer looks). */
START_TEST(a_stream_may_be_closed_half_way)
{
    const struct http_request request = {
        .method = HTTP_GET, .method_name = "GET", .target = "/v1/kv/?recurse"};
    struct http_response response;
    struct api_call call;
    bool streams = false;
    uint8_t some[100];

    put_large("/v1/kv/a", KV_LIST_SLICE_SIZE);
    put_large("/v1/kv/b", KV_LIST_SLICE_SIZE);
    const struct sm_root root = sm_publish(harness.sm);
    ck_assert_int_eq(api_begin(&call, &harness.options, &request, &harness.node, &response),
                     API_READ);
    api_finish_read(&call, &root, &harness.node, &response, &streams);
    ck_assert(streams);
    api_end(&call);
    ck_assert_uint_eq(response.stream->read(response.stream, some, sizeof(some)), sizeof(some));
    http_response_done(&response);
}
END_TEST

/* What is written while a listing is under way is not in it: the stream reads its own root. */
START_TEST(a_stream_goes_on_reading_the_root_it_began_with)
{
    const struct http_request request = {
        .method = HTTP_GET, .method_name = "GET", .target = "/v1/kv/?keys"};
    struct http_response response;
    struct api_call call;
    bool streams = false;
    size_t total = 0;
    char target[600];

    memset(target, 'k', sizeof(target));
    memcpy(target, "/v1/kv/", 7);
    for (int i = 0; i < 300; i++) {
        snprintf(target + 500, 16, "%03d", i);
        put(target, "v");
    }
    struct sm_root root = sm_publish(harness.sm);
    ck_assert_int_eq(api_begin(&call, &harness.options, &request, &harness.node, &response),
                     API_READ);
    api_finish_read(&call, &root, &harness.node, &response, &streams);
    ck_assert(streams);
    api_end(&call);
    memset(&root, 0, sizeof(root)); /* the caller's copy is the caller's */
    del("/v1/kv/?recurse");
    uint8_t some[4096];
    for (size_t n = 1; n > 0; total += n) {
        n = response.stream->read(response.stream, some, sizeof(some));
    }
    ck_assert_uint_eq(total, 300 * (496 + 3) + 1);
    http_response_done(&response);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("kv_list");
    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, case_08_an_empty_store);
    tcase_add_test(tcase, case_09_keys_are_sorted_and_keep_their_slashes);
    tcase_add_test(tcase, case_10_keys_with_an_escaped_separator);
    tcase_add_test(tcase, case_11_groups_and_plain_keys_in_byte_order);
    tcase_add_test(tcase, case_12_recurse_lists_the_folder_key_first);
    tcase_add_loop_test(tcase, separators_group_as_the_contract_shows, 0,
                        sizeof(separator_table) / sizeof(separator_table[0]));
    tcase_add_test(tcase, groups_that_end_in_0xff_are_left_behind);
    tcase_add_test(tcase, prefixes_match_bytes_not_folders);
    tcase_add_test(tcase, case_27_the_index_of_a_prefix_is_its_own);
    tcase_add_loop_test(tcase, a_stream_equals_the_listing_in_one_piece, 0, 7);
    tcase_add_test(tcase, only_a_listing_above_a_slice_is_streamed);
    tcase_add_test(tcase, a_stream_may_be_closed_half_way);
    tcase_add_test(tcase, a_stream_goes_on_reading_the_root_it_began_with);
    return run_suite("api_kv_list", tcase);
}
