/* /v1/kv/{key}, one entry: the contract's black-box cases by their numbers (contract 6), and what
 * is refused. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "support/run.h"
#include "unit/api_harness.h"

START_TEST(case_01_get_of_a_missing_key_is_an_empty_404_with_index_headers)
{
    expect("GET", "/v1/kv/none", "", 404, "");
    ck_assert_uint_ge(header_u64("X-Consul-Index"), 1);
    ck_assert_str_eq(header("X-Consul-Knownleader"), "true");
    ck_assert_str_eq(header("X-Consul-Lastcontact"), "0");
    ck_assert_ptr_null(header("Content-Type"));
}
END_TEST

START_TEST(case_02_put_answers_true)
{
    expect("PUT", "/v1/kv/hello", "world", 200, "true");
    ck_assert_str_eq(header("Content-Type"), "application/json");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), harness.index);
    ck_assert_ptr_null(header("X-Raftkv-Outcome"));
}
END_TEST

START_TEST(case_03_get_answers_one_entry_and_its_index)
{
    put("/v1/kv/hello", "world");
    expect("GET", "/v1/kv/hello", "", 200,
           "[{\"LockIndex\":0,\"Key\":\"hello\",\"Flags\":0,\"Value\":\"d29ybGQ=\","
           "\"CreateIndex\":2,\"ModifyIndex\":2}]");
    ck_assert_str_eq(header("Content-Type"), "application/json");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), member_u64("ModifyIndex"));
}
END_TEST

START_TEST(case_04_raw_answers_the_bytes_that_no_browser_may_run)
{
    put("/v1/kv/hello", "world");
    expect("GET", "/v1/kv/hello?raw=true", "", 200, "world");
    ck_assert_str_eq(header("Content-Type"), "text/plain");
    ck_assert_str_eq(header("X-Content-Type-Options"), "nosniff");
    ck_assert_str_eq(header("Content-Security-Policy"), "sandbox");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), 2);
}
END_TEST

START_TEST(case_05_an_empty_value_is_null)
{
    put("/v1/kv/one", "");
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/one")->body, "\"Value\":null"));
    expect("GET", "/v1/kv/one?raw", "", 200, "");
}
END_TEST

START_TEST(case_06_binary_values_come_back)
{
    const uint8_t bytes[] = {0xe8, 0x03, 0x00, 0x00};
    send_bytes("PUT", "/v1/kv/b", (struct rk_bytes){.data = bytes, .size = sizeof(bytes)});
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/b")->body, "\"Value\":\"6AMAAA==\""));
    const struct answer *raw = get("/v1/kv/b?raw");
    ck_assert_uint_eq(raw->body_size, sizeof(bytes));
    ck_assert_mem_eq(raw->body, bytes, sizeof(bytes));
}
END_TEST

START_TEST(case_07_an_empty_key_is_refused)
{
    expect("GET", "/v1/kv/", "", 400, "Missing key name");
    expect("GET", "/v1/kv", "", 400, "Missing key name");
    ck_assert_ptr_null(header("X-Raftkv-Outcome"));
    expect("PUT", "/v1/kv/", "x", 400, "Missing key name");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    expect("DELETE", "/v1/kv/", "", 400, "Missing key name");
}
END_TEST

START_TEST(case_13_cas_zero_only_creates)
{
    expect("PUT", "/v1/kv/foo?cas=50", "x", 200, "false");
    ck_assert_uint_ge(header_u64("X-Consul-Index"), 1);
    expect("PUT", "/v1/kv/foo?cas=0", "x", 200, "true");
    expect("PUT", "/v1/kv/foo?cas=0", "y", 200, "false");
    expect("GET", "/v1/kv/foo?raw", "", 200, "x");
}
END_TEST

static void put_cas(const char *key, uint64_t cas, const char *expected)
{
    char target[64];
    snprintf(target, sizeof(target), "/v1/kv/%s?cas=%llu", key, (unsigned long long)cas);
    expect("PUT", target, "new", 200, expected);
}

START_TEST(case_14_cas_holds_at_the_modify_index_alone)
{
    put("/v1/kv/foo", "x");
    const uint64_t index = header_u64("X-Consul-Index");
    put_cas("foo", index - 1, "false");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), index); /* what the next try needs */
    put_cas("foo", index, "true");
    ck_assert_uint_gt(header_u64("X-Consul-Index"), index);
    get("/v1/kv/foo");
    ck_assert_uint_gt(member_u64("ModifyIndex"), index);
    ck_assert_uint_eq(member_u64("CreateIndex"), index);
}
END_TEST

START_TEST(case_15_delete_with_cas)
{
    char target[64];
    put("/v1/kv/foo", "x");
    const uint64_t index = header_u64("X-Consul-Index");
    snprintf(target, sizeof(target), "/v1/kv/foo?cas=%llu", (unsigned long long)index - 1);
    expect("DELETE", target, "", 200, "false");
    expect("GET", "/v1/kv/foo?raw", "", 200, "x");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), index);
    snprintf(target, sizeof(target), "/v1/kv/foo?cas=%llu", (unsigned long long)index);
    expect("DELETE", target, "", 200, "true");
    expect("GET", "/v1/kv/foo", "", 404, "");
    ck_assert_uint_gt(header_u64("X-Consul-Index"), index);
}
END_TEST

START_TEST(case_16_delete_of_nothing_is_true)
{
    expect("DELETE", "/v1/kv/absent", "", 200, "true");
    ck_assert_str_eq(header("Content-Type"), "application/json");
    expect("DELETE", "/v1/kv/absent?cas=7", "", 200, "true");
    put("/v1/kv/present", "x");
    expect("DELETE", "/v1/kv/present?cas=0", "", 200, "false");
    expect("GET", "/v1/kv/present?raw", "", 200, "x");
}
END_TEST

START_TEST(case_17_delete_recurse_takes_the_prefix)
{
    put("/v1/kv/foo1", "1");
    put("/v1/kv/foo2", "2");
    put("/v1/kv/other", "3");
    expect("DELETE", "/v1/kv/foo?recurse=1", "", 200, "true");
    expect("GET", "/v1/kv/foo?recurse", "", 404, "");
    expect("DELETE", "/v1/kv/foo?recurse=1", "", 200, "true");
    expect("GET", "/v1/kv/other?raw", "", 200, "3");
    expect("DELETE", "/v1/kv/?recurse=1", "", 200, "true");
    expect("GET", "/v1/kv/?keys", "", 200, "[]");
}
END_TEST

START_TEST(case_18_flags_hold_64_bits_and_fall_back_to_zero)
{
    put("/v1/kv/k?flags=18446744073709551615", "x");
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/k")->body, "\"Flags\":18446744073709551615,"));
    put("/v1/kv/k", "x");
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/k")->body, "\"Flags\":0,"));
}
END_TEST

/* §1.9: yes, 500; clients have the texts of Go's strconv in their tests. */
START_TEST(case_19_bad_numbers_are_500_with_the_text_of_go)
{
    expect("PUT", "/v1/kv/k?flags=-1", "", 500,
           "strconv.ParseUint: parsing \"-1\": invalid syntax");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    expect("PUT", "/v1/kv/k?cas=x", "", 500, "strconv.ParseUint: parsing \"x\": invalid syntax");
    expect("PUT", "/v1/kv/k?cas=", "", 500, "strconv.ParseUint: parsing \"\": invalid syntax");
    expect("PUT", "/v1/kv/k?flags=18446744073709551616", "", 500,
           "strconv.ParseUint: parsing \"18446744073709551616\": value out of range");
    expect("DELETE", "/v1/kv/k?cas=%22%0a%c3", "", 500,
           "strconv.ParseUint: parsing \"\\\"\\x0a\\xc3\": invalid syntax");
    expect("GET", "/v1/kv/k", "", 404, "");
}
END_TEST

START_TEST(case_20_conflicting_flags_are_named_sorted_and_escaped)
{
    expect("PUT", "/v1/kv/k?cas=1&acquire=x", "", 400, "Conflicting flags: acquire=x&cas=1\n");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    expect("PUT", "/v1/kv/k?release=a+b%2Fc&flags=7&acquire", "", 400,
           "Conflicting flags: acquire=&flags=7&release=a+b%2Fc\n");
    expect("PUT", "/v1/kv/k?cas=2&cas=1&release=x", "", 400,
           "Conflicting flags: cas=2&cas=1&release=x\n");
    expect("DELETE", "/v1/kv/k?recurse&cas=1", "", 400, "Conflicting flags: cas=1&recurse=\n");
}
END_TEST

START_TEST(case_21_a_put_that_changes_nothing_keeps_the_index)
{
    put("/v1/kv/k", "same");
    const uint64_t index = header_u64("X-Consul-Index");
    put("/v1/kv/k", "same");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), index);
    get("/v1/kv/k");
    ck_assert_uint_eq(member_u64("ModifyIndex"), index);
    ck_assert_uint_eq(header_u64("X-Consul-Index"), index);
}
END_TEST

START_TEST(case_28_malformed_blocking_parameters)
{
    expect("GET", "/v1/kv/k?index=abc", "", 400, "Invalid index");
    expect("GET", "/v1/kv/k?index=-1", "", 400, "Invalid index");
    expect("GET", "/v1/kv/k?index=+5", "", 400, "Invalid index");
    expect("GET", "/v1/kv/k?index=18446744073709551616", "", 400, "Invalid index");
    expect("GET", "/v1/kv/k?wait=10", "", 400, "Invalid wait time");
    expect("GET", "/v1/kv/k?wait=1d&index=1", "", 400, "Invalid wait time");
    expect("GET", "/v1/kv/k?stale&consistent", "", 400,
           "Cannot specify ?stale with ?consistent, conflicting semantics.");
    expect("GET", "/v1/kv/k?cached&consistent", "", 400,
           "Cannot specify ?cached with ?consistent, conflicting semantics.");
    expect("GET", "/v1/kv/k?stale&max_stale=10", "", 400, "Invalid max_stale value \"10\"");
    expect("GET", "/v1/kv/k?max_stale=-5s", "", 400, "Invalid max_stale value \"-5s\"");
}
END_TEST

START_TEST(case_29_a_key_with_utf8_is_just_missing)
{
    expect("GET", "/v1/kv/qmslkjdfmqlskdjfmqlksjaz%C3%A7ueznbv", "", 404, "");
}
END_TEST

START_TEST(case_30_escapes_in_a_key_are_undone_once)
{
    put("/v1/kv/a%20b/c%25d%2Be%3Ff%23g", "x");
    ck_assert_ptr_nonnull(
        strstr(get("/v1/kv/a%20b/c%25d%2Be%3Ff%23g")->body, "\"Key\":\"a b/c%d+e?f#g\""));
}
END_TEST

static const struct answer *put_zeros(uint32_t size)
{
    uint8_t *zeros = rk_heap_zalloc(size, 1);
    const struct answer *answer =
        send_bytes("PUT", "/v1/kv/big", (struct rk_bytes){.data = zeros, .size = size});
    rk_heap_free(zeros);
    return answer;
}

START_TEST(case_31_a_value_of_524288_bytes_is_the_greatest)
{
    ck_assert_str_eq(put_zeros(524288)->body, "true");
    ck_assert_uint_eq(get("/v1/kv/big?raw")->body_size, 524288);
    ck_assert_uint_gt(get("/v1/kv/big")->body_size, 524288 / 3 * 4);
    const struct answer *answer = put_zeros(524289);
    ck_assert_uint_eq(answer->status, 413);
    ck_assert_str_eq(answer->body, "Request body(524289 bytes) too large, max size: 524288 bytes. "
                                   "Value exceeds 524288 byte limit");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
}
END_TEST

/* The greatest entry of all fits every buffer on its way. */
START_TEST(the_greatest_key_and_value_together_come_back)
{
    char target[3 * RK_KEY_SIZE_MAX + 64] = "/v1/kv/";
    uint8_t *zeros = rk_heap_zalloc(RK_VALUE_SIZE_MAX, 1);
    for (int i = 0; i < RK_KEY_SIZE_MAX; i++) {
        memcpy(target + 7 + 3 * i, "%3C", 4);
    }
    const struct rk_bytes value = {.data = zeros, .size = RK_VALUE_SIZE_MAX};
    ck_assert_str_eq(send_bytes("PUT", target, value)->body, "true");
    ck_assert_uint_gt(get(target)->body_size, 6 * RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX / 3 * 4);
    memcpy(target + strlen(target), "?recurse&pretty", sizeof("?recurse&pretty"));
    ck_assert_uint_gt(get(target)->body_size, 6 * RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX / 3 * 4);
    rk_heap_free(zeros);
}
END_TEST

/* §1.5: absent, empty and 0 answer at once; consul-template's first request has wait alone. */
START_TEST(a_read_that_need_not_wait_is_answered)
{
    put("/v1/kv/k", "x");
    expect("GET", "/v1/kv/k?raw&index=0&wait=60000ms", "", 200, "x");
    expect("GET", "/v1/kv/k?raw&index=&wait=", "", 200, "x");
    expect("GET", "/v1/kv/k?raw&stale=&wait=60000ms", "", 200, "x");
}
END_TEST

/* §1.8 */
START_TEST(consistency_follows_the_parameters)
{
    ck_assert_int_eq(get("/v1/kv/k")->consistency, API_DEFAULT);
    ck_assert_int_eq(get("/v1/kv/k?leader")->consistency, API_DEFAULT);
    ck_assert_int_eq(get("/v1/kv/k?consistent=1")->consistency, API_CONSISTENT);
    ck_assert_int_eq(get("/v1/kv/k?stale=false")->consistency, API_STALE);
    ck_assert_int_eq(get("/v1/kv/k?max_stale=5s")->consistency, API_STALE);
    ck_assert_int_eq(get("/v1/kv/k?cached")->consistency, API_DEFAULT);
    ck_assert_str_eq(header("X-Cache"), "MISS");
}
END_TEST

START_TEST(max_stale_is_a_bound_on_the_age_of_the_last_contact)
{
    harness.node.leader_contact_age_ms = 1500;
    ck_assert_int_eq(get("/v1/kv/k?stale&max_stale=1s")->consistency, API_DEFAULT);
    ck_assert_int_eq(get("/v1/kv/k?stale&max_stale=2s")->consistency, API_STALE);
    ck_assert_int_eq(get("/v1/kv/k?stale&max_stale=0s")->consistency, API_STALE);
    ck_assert_int_eq(get("/v1/kv/k?stale")->consistency, API_STALE);
    ck_assert_str_eq(header("X-Consul-Lastcontact"), "1500");
}
END_TEST

/* §1.2: clients multiply it by a million into an int64, and it may not be negative there. */
START_TEST(a_node_that_never_heard_of_a_leader_says_so_within_int64)
{
    harness.node.has_leader = false;
    harness.node.leader_contact_age_ms = UINT64_MAX;
    ck_assert_uint_eq(get("/v1/kv/k?stale")->status, 404);
    ck_assert_str_eq(header("X-Consul-Knownleader"), "false");
    ck_assert_uint_eq(header_u64("X-Consul-Lastcontact"), INT64_MAX / 1000000);
}
END_TEST

START_TEST(another_datacenter_or_namespace_is_refused)
{
    expect("GET", "/v1/kv/k?dc=dc2", "", 500, "No path to datacenter");
    expect("PUT", "/v1/kv/k?dc=dc2", "x", 500, "No path to datacenter");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    expect("PUT", "/v1/kv/k?dc=dc1&ns=default&partition=", "x", 200, "true");
    expect("GET", "/v1/kv/k?raw&dc=", "", 200, "x");
    expect("GET", "/v1/kv/k?ns=team", "", 400, "ns is not supported: only \"default\" exists");
    expect("GET", "/v1/kv/k?sameness-group=g", "", 400,
           "sameness-group is not supported: only \"default\" exists");
}
END_TEST

/* §1.5: unknown ones are ignored, the first of several values counts, `false` is on. */
START_TEST(parameters_are_lenient_as_the_contract_says)
{
    put("/v1/kv/k?nonsense=1&token=root", "x");
    ck_assert_uint_eq(harness.answer.status, 200);
    expect("GET", "/v1/kv/k?raw=false", "", 200, "x");
    put("/v1/kv/k?flags=1&flags=2", "x");
    get("/v1/kv/k");
    ck_assert_uint_eq(member_u64("Flags"), 1);
}
END_TEST

START_TEST(pretty_indents_and_ends_the_line)
{
    expect("PUT", "/v1/kv/k?pretty", "", 200, "true\n");
    expect("GET", "/v1/kv/k?pretty", "", 200,
           "[\n    {\n        \"LockIndex\": 0,\n        \"Key\": \"k\",\n        \"Flags\": 0,\n"
           "        \"Value\": null,\n        \"CreateIndex\": 2,\n        \"ModifyIndex\": 2\n"
           "    }\n]\n");
}
END_TEST

/* §1.2: every answer, errors included. */
/* What never reaches a route: the server before it refuses, and this adds what is ours. */
START_TEST(a_refusal_by_the_parser_has_the_common_headers)
{
    struct http_response put;
    struct http_response read;

    http_response_init(&put, 64);
    http_response_text(&put, 413, "too large");
    api_seal_refusal(HTTP_PUT, &put);
    ck_assert_str_eq(put.headers[1].name, "Vary");
    ck_assert_str_eq(put.headers[2].name, "X-Consul-Default-Acl-Policy");
    ck_assert_uint_eq(put.headers_count, 4);
    ck_assert_str_eq(put.headers[3].name, "X-Raftkv-Outcome");
    ck_assert_str_eq(put.headers[3].value, "not-done");
    http_response_done(&put);
    http_response_init(&read, 64);
    http_response_text(&read, 400, "bad");
    api_seal_refusal(HTTP_GET, &read);
    ck_assert_uint_eq(read.headers_count, 3);
    http_response_done(&read);
}
END_TEST

START_TEST(every_answer_has_the_common_headers)
{
    static const char *const targets[] = {"/v1/kv/k", "/v1/kv/", "/v1/nope", "/healthz", "*"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        get(targets[i]);
        ck_assert_str_eq(header("X-Consul-Default-Acl-Policy"), "allow");
        ck_assert_str_eq(header("Vary"), "Accept-Encoding");
    }
}
END_TEST

struct failure {
    enum rk_status status;
    uint32_t http;
    const char *text;
    const char *outcome;
};

/* design.md 3: only what was surely never appended may be sent again blindly. */
static const struct failure write_failures[] = {
    {RK_NO_LEADER, 500, "No cluster leader", "not-done"},
    {RK_NOT_LEADER, 500, "No cluster leader", "not-done"},
    {RK_BUSY, 429, "a queue is full; retry with backoff", "not-done"},
    {RK_FULL, 500, "the disk is nearly full", "not-done"},
    {RK_TOO_LARGE, 413, "a stated limit would be exceeded", "not-done"},
    {RK_UNKNOWN, 500, "outcome unknown: leadership was lost in flight", "unknown"},
    {RK_IO, 500, "storage failed", "unknown"},
    {RK_CORRUPT, 500, "stored or received bytes fail their check", "unknown"},
};

START_TEST(case_64_a_failed_write_says_what_became_of_it)
{
    const struct failure *failure = &write_failures[_i];
    harness.fail = failure->status;
    expect("PUT", "/v1/kv/k", "x", failure->http, failure->text);
    ck_assert_str_eq(header("X-Raftkv-Outcome"), failure->outcome);
    ck_assert_str_eq(header("Content-Type"), "text/plain; charset=utf-8");
    ck_assert_str_eq(header("X-Consul-Default-Acl-Policy"), "allow");
    if (failure->status == RK_BUSY) {
        ck_assert_str_eq(header("Retry-After"), "1");
    } else {
        ck_assert_ptr_null(header("Retry-After"));
    }
}
END_TEST

static const struct failure read_failures[] = {
    {RK_NO_LEADER, 500, "No cluster leader", NULL},
    {RK_NOT_LEADER, 500, "No cluster leader", NULL},
    {RK_UNKNOWN, 500, "No cluster leader", NULL},
    {RK_BUSY, 429, "a queue is full; retry with backoff", NULL},
};

START_TEST(case_64_a_failed_read_is_500_and_never_503)
{
    const struct failure *failure = &read_failures[_i];
    harness.fail = failure->status;
    expect("GET", "/v1/kv/k", "", failure->http, failure->text);
    ck_assert_ptr_null(header("X-Raftkv-Outcome"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("kv");
    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, case_01_get_of_a_missing_key_is_an_empty_404_with_index_headers);
    tcase_add_test(tcase, case_02_put_answers_true);
    tcase_add_test(tcase, case_03_get_answers_one_entry_and_its_index);
    tcase_add_test(tcase, case_04_raw_answers_the_bytes_that_no_browser_may_run);
    tcase_add_test(tcase, case_05_an_empty_value_is_null);
    tcase_add_test(tcase, case_06_binary_values_come_back);
    tcase_add_test(tcase, case_07_an_empty_key_is_refused);
    tcase_add_test(tcase, case_13_cas_zero_only_creates);
    tcase_add_test(tcase, case_14_cas_holds_at_the_modify_index_alone);
    tcase_add_test(tcase, case_15_delete_with_cas);
    tcase_add_test(tcase, case_16_delete_of_nothing_is_true);
    tcase_add_test(tcase, case_17_delete_recurse_takes_the_prefix);
    tcase_add_test(tcase, case_18_flags_hold_64_bits_and_fall_back_to_zero);
    tcase_add_test(tcase, case_19_bad_numbers_are_500_with_the_text_of_go);
    tcase_add_test(tcase, case_20_conflicting_flags_are_named_sorted_and_escaped);
    tcase_add_test(tcase, case_21_a_put_that_changes_nothing_keeps_the_index);
    tcase_add_test(tcase, case_28_malformed_blocking_parameters);
    tcase_add_test(tcase, case_29_a_key_with_utf8_is_just_missing);
    tcase_add_test(tcase, case_30_escapes_in_a_key_are_undone_once);
    tcase_add_test(tcase, case_31_a_value_of_524288_bytes_is_the_greatest);
    tcase_add_test(tcase, the_greatest_key_and_value_together_come_back);
    tcase_add_test(tcase, a_read_that_need_not_wait_is_answered);
    tcase_add_test(tcase, consistency_follows_the_parameters);
    tcase_add_test(tcase, max_stale_is_a_bound_on_the_age_of_the_last_contact);
    tcase_add_test(tcase, a_node_that_never_heard_of_a_leader_says_so_within_int64);
    tcase_add_test(tcase, another_datacenter_or_namespace_is_refused);
    tcase_add_test(tcase, parameters_are_lenient_as_the_contract_says);
    tcase_add_test(tcase, pretty_indents_and_ends_the_line);
    tcase_add_test(tcase, a_refusal_by_the_parser_has_the_common_headers);
    tcase_add_test(tcase, every_answer_has_the_common_headers);
    tcase_add_loop_test(tcase, case_64_a_failed_write_says_what_became_of_it, 0,
                        sizeof(write_failures) / sizeof(write_failures[0]));
    tcase_add_loop_test(tcase, case_64_a_failed_read_is_500_and_never_503, 0,
                        sizeof(read_failures) / sizeof(read_failures[0]));
    return run_suite("api_kv", tcase);
}
