/* The contract's cases about transactions, over the API. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/limits.h"
#include "support/run.h"
#include "unit/api_harness.h"

static void txn(const char *body, uint32_t status, const char *expected)
{
    expect("PUT", "/v1/txn", body, status, expected);
}

START_TEST(case_47_two_sets_by_nodes_client)
{
    txn("[{\"KV\":{\"Verb\":\"set\",\"Key\":\"key1\",\"Value\":\"dmFsdWUx\"}},"
        "{\"KV\":{\"Verb\":\"set\",\"Key\":\"key2\",\"Value\":\"dmFsdWUy\"}}]",
        200,
        "{\"Results\":[{\"KV\":{\"LockIndex\":0,\"Key\":\"key1\",\"Flags\":0,\"Value\":null,"
        "\"CreateIndex\":2,\"ModifyIndex\":2}},{\"KV\":{\"LockIndex\":0,\"Key\":\"key2\","
        "\"Flags\":0,\"Value\":null,\"CreateIndex\":2,\"ModifyIndex\":2}}],\"Errors\":null}");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), 2);
    ck_assert_str_eq(header("Content-Type"), "application/json");
    ck_assert_str_eq(get("/v1/kv/key1?raw")->body, "value1");
}
END_TEST

START_TEST(case_48_get_of_what_is_there_and_what_is_not)
{
    (void)put("/v1/kv/key1", "value1");
    const char *body = "[{\"KV\":{\"Verb\":\"get\",\"Key\":\"key1\",\"Value\":null,\"Flags\":0,"
                       "\"Index\":0,\"Session\":\"\"}}]";
    txn(body, 200,
        "{\"Results\":[{\"KV\":{\"LockIndex\":0,\"Key\":\"key1\",\"Flags\":0,"
        "\"Value\":\"dmFsdWUx\",\"CreateIndex\":2,\"ModifyIndex\":2}}],\"Errors\":null}");
    ck_assert_ptr_null(header("X-Consul-Index"));
    ck_assert_str_eq(header("X-Consul-Knownleader"), "true");
    ck_assert_str_eq(header("X-Consul-Lastcontact"), "0");
    txn("[{\"KV\":{\"Verb\":\"get\",\"Key\":\"none\"}}]", 409,
        "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"key \\\"none\\\" doesn't "
        "exist\"}]}");
    ck_assert_str_eq(header("Content-Type"), "application/json");
}
END_TEST

START_TEST(case_49_lock_and_get_of_a_missing_key)
{
    char body[512];
    char session[64];
    txn("[{\"KV\":{\"Verb\":\"lock\",\"Key\":\"l\",\"Value\":\"dGVzdA==\"}},"
        "{\"KV\":{\"Verb\":\"get\",\"Key\":\"l\"}}]",
        409,
        "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"missing session\"},"
        "{\"OpIndex\":1,\"What\":\"key \\\"l\\\" doesn't exist\"}]}");
    ck_assert_int_eq(sscanf(put("/v1/session/create", "")->body, "{\"ID\":\"%36s", session), 1);
    (void)snprintf(body, sizeof(body),
                   "[{\"KV\":{\"Verb\":\"lock\",\"Key\":\"l\",\"Value\":\"dGVzdA==\","
                   "\"Session\":\"%s\"}},{\"KV\":{\"Verb\":\"get\",\"Key\":\"l\"}}]",
                   session);
    const struct answer *answer = send_text("PUT", "/v1/txn", body);
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_ptr_nonnull(strstr(answer->body, "{\"LockIndex\":1,\"Key\":\"l\",\"Flags\":0,"
                                               "\"Value\":null,\"Session\":"));
    ck_assert_ptr_nonnull(strstr(answer->body, "{\"LockIndex\":1,\"Key\":\"l\",\"Flags\":0,"
                                               "\"Value\":\"dGVzdA==\",\"Session\":"));
}
END_TEST

START_TEST(case_50_stale_cas_undoes_the_rest)
{
    (void)put("/v1/kv/k", "v");
    txn("[{\"KV\":{\"Verb\":\"cas\",\"Key\":\"k\",\"Value\":\"eA==\",\"Index\":1}},"
        "{\"KV\":{\"Verb\":\"set\",\"Key\":\"other\",\"Value\":\"eA==\"}}]",
        409,
        "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"failed to set key \\\"k\\\", "
        "index is stale\"}]}");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    expect("GET", "/v1/kv/other", "", 404, "");
}
END_TEST

START_TEST(case_51_cas_answers_the_next_index)
{
    (void)put("/v1/kv/k", "v");
    (void)put("/v1/txn", "[{\"KV\":{\"Verb\":\"cas\",\"Key\":\"k\",\"Value\":\"eA==\",\"Index\":2,"
                         "\"Flags\":18446744073709551615}}]");
    const uint64_t index = member_u64("ModifyIndex");
    (void)get("/v1/kv/k");
    ck_assert_uint_eq(member_u64("ModifyIndex"), index);
    ck_assert_uint_eq(member_u64("Flags"), UINT64_MAX);
}
END_TEST

/* A body of `count` sets, to be freed. */
static char *many(uint32_t count)
{
    static const char op[] = ",{\"KV\":{\"Verb\":\"set\",\"Key\":\"k\",\"Value\":\"\"}}";
    char *body = rk_heap_alloc(count * sizeof(op) + 3);
    size_t size = 0;

    for (uint32_t i = 0; i < count; i++) {
        memcpy(body + size, op, sizeof(op));
        size += sizeof(op) - 1;
    }
    body[0] = '[';
    memcpy(body + size, "]", 2);
    return body;
}

START_TEST(case_52_number_of_operations_is_a_setting)
{
    char *body = many(128);
    harness.options.txn_ops_max = 128;
    ck_assert_uint_eq(put("/v1/txn", body)->status, 200);
    rk_heap_free(body);
    body = many(129);
    txn(body, 413, "Transaction contains too many operations (129 > 128)");
    rk_heap_free(body);
}
END_TEST

static const struct {
    const char *body;
    const char *text;
} faults[] = {
    {"", "Failed to parse body: unexpected end of JSON input"},
    {"{}", "Failed to parse body: it is no array"},
    {"[7]", "Failed to parse body: operation 0: it is no object"},
    {"[{}]", "Failed to parse body: operation 0: only KV operations are supported"},
    {"[{\"Node\":{\"Verb\":\"get\"}}]",
     "Failed to parse body: operation 0: only KV operations are supported"},
    {"[{\"KV\":{\"Verb\":\"get\"}}]", "Failed to parse body: operation 0: Key is missing"},
    {"[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\",\"Value\":\"!\"}}]",
     "Failed to parse body: operation 0: Value is not base64, or too large"},
    {"[{\"KV\":{\"Verb\":\"delete\",\"Key\":\"a\"}},{\"KV\":{\"Verb\":7}}]",
     "Failed to parse body: operation 1: Verb is not a text"},
    {"[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\",\"Flags\":-1}}]",
     "Failed to parse body: operation 0: Flags is not an unsigned integer"},
    {"[{\"KV\":{\"Verb\":\"cas\",\"Key\":\"a\",\"Index\":\"5\"}}]",
     "Failed to parse body: operation 0: Index is not an unsigned integer"},
    {"[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\\nb\"}}]",
     "Failed to parse body: operation 0: Key is too long, or has control bytes"},
    {"[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\",\"TTL\":\"30s\"}}]",
     "Failed to parse body: operation 0: TTL is not taken in a transaction"},
};

START_TEST(case_52_body_that_is_none_is_400)
{
    txn(faults[_i].body, 400, faults[_i].text);
}
END_TEST

START_TEST(unknown_verb_is_an_operation_that_failed)
{
    txn("[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\"}},{\"KV\":{\"Verb\":\"dance\",\"Key\":\"k\"}}]",
        409,
        "{\"Results\":null,\"Errors\":[{\"OpIndex\":1,\"What\":\"unknown KV verb "
        "\\\"dance\\\"\"}]}");
    expect("GET", "/v1/kv/a", "", 404, "");
}
END_TEST

/* Every text of contract 2.3, on its case. */
START_TEST(each_failure_has_its_text)
{
    (void)put("/v1/kv/k", "v");
    const struct answer *answer =
        put("/v1/txn", "[{\"KV\":{\"Verb\":\"lock\",\"Key\":\"k\",\"Session\":\"nobody\"}},"
                       "{\"KV\":{\"Verb\":\"unlock\",\"Key\":\"k\",\"Session\":\"nobody\"}},"
                       "{\"KV\":{\"Verb\":\"check-index\",\"Key\":\"k\",\"Index\":4}},"
                       "{\"KV\":{\"Verb\":\"check-index\",\"Key\":\"x\",\"Index\":4}},"
                       "{\"KV\":{\"Verb\":\"check-session\",\"Key\":\"k\",\"Session\":\"b\"}},"
                       "{\"KV\":{\"Verb\":\"check-session\",\"Key\":\"x\",\"Session\":\"b\"}},"
                       "{\"KV\":{\"Verb\":\"check-not-exists\",\"Key\":\"k\"}},"
                       "{\"KV\":{\"Verb\":\"delete-cas\",\"Key\":\"k\",\"Index\":9}}]");
    static const char *const whats[] = {
        "invalid session \\\"nobody\\\"",
        "failed to unlock key \\\"k\\\", lock isn't held, or is held by another session",
        "failed index check for key \\\"k\\\", current modify index 2 != 4",
        "failed to check index, key \\\"x\\\" doesn't exist",
        "failed session check for key \\\"k\\\", current session \\\"\\\" != \\\"b\\\"",
        "failed to check session, key \\\"x\\\" doesn't exist",
        "key \\\"k\\\" exists",
        "failed to delete key \\\"k\\\", index is stale",
    };
    ck_assert_uint_eq(answer->status, 409);
    for (uint32_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
        char expected[256];
        (void)snprintf(expected, sizeof(expected), "{\"OpIndex\":%u,\"What\":\"%s\"}", i, whats[i]);
        ck_assert_msg(strstr(answer->body, expected) != NULL, "%s in %s", expected, answer->body);
    }
}
END_TEST

START_TEST(holder_of_a_lock_is_told_from_others)
{
    char s1[64];
    char body[512];
    char url[128];
    ck_assert_int_eq(sscanf(put("/v1/session/create", "")->body, "{\"ID\":\"%36s", s1), 1);
    (void)snprintf(url, sizeof(url), "/v1/kv/k?acquire=%s", s1);
    ck_assert_str_eq(put(url, "v")->body, "true");
    (void)snprintf(body, sizeof(body),
                   "[{\"KV\":{\"Verb\":\"check-session\",\"Key\":\"k\",\"Session\":\"%s\"}},"
                   "{\"KV\":{\"Verb\":\"set\",\"Key\":\"data\",\"Value\":\"eA==\"}}]",
                   s1);
    ck_assert_uint_eq(put("/v1/txn", body)->status, 200);
    char other[64];
    ck_assert_int_eq(sscanf(put("/v1/session/create", "")->body, "{\"ID\":\"%36s", other), 1);
    (void)snprintf(body, sizeof(body),
                   "[{\"KV\":{\"Verb\":\"lock\",\"Key\":\"k\",\"Session\":\"%s\"}}]", other);
    txn(body, 409,
        "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"failed to lock key \\\"k\\\", "
        "lock is already held\"}]}");
}
END_TEST

START_TEST(deletes_yield_no_results)
{
    (void)put("/v1/kv/t/1", "v");
    txn("[{\"KV\":{\"Verb\":\"delete-tree\",\"Key\":\"t/\"}},"
        "{\"KV\":{\"Verb\":\"delete\",\"Key\":\"none\"}},"
        "{\"KV\":{\"Verb\":\"delete-cas\",\"Key\":\"none\",\"Index\":7}},"
        "{\"KV\":{\"Verb\":\"check-not-exists\",\"Key\":\"t/1\"}}]",
        200, "{\"Results\":[],\"Errors\":null}");
    txn("[]", 200, "{\"Results\":[],\"Errors\":null}");
}
END_TEST

START_TEST(get_or_empty_answers_zeros_for_a_missing_key)
{
    txn("[{\"KV\":{\"Verb\":\"get-or-empty\",\"Key\":\"none\"}},"
        "{\"KV\":{\"Verb\":\"get-tree\",\"Key\":\"none\"}}]",
        200,
        "{\"Results\":[{\"KV\":{\"LockIndex\":0,\"Key\":\"none\",\"Flags\":0,\"Value\":null,"
        "\"CreateIndex\":0,\"ModifyIndex\":0}}],\"Errors\":null}");
}
END_TEST

START_TEST(value_above_the_limit_is_413_with_its_key)
{
    harness.options.value_size_max = 4;
    txn("[{\"KV\":{\"Verb\":\"set\",\"Key\":\"k\",\"Value\":\"aGVsbG8=\"}}]", 413,
        "Value for key \"k\" is too large (5 > 4 bytes)");
}
END_TEST

START_TEST(body_above_what_one_entry_holds_is_413)
{
    const size_t value_size = RK_VALUE_SIZE_MAX / 3 * 4;
    struct rk_buf body;

    rk_buf_init(&body, 8 << 20);
    for (int i = 0; i < 3; i++) {
        rk_buf_append_text(&body, i == 0 ? "[" : ",");
        rk_buf_append_text(&body, "{\"KV\":{\"Verb\":\"set\",\"Key\":\"k\",\"Value\":\"");
        memset(rk_buf_extend(&body, value_size), 'A', value_size);
        rk_buf_append_text(&body, "\"}}");
    }
    rk_buf_append_text(&body, "]");
    const struct answer *answer = send_bytes("PUT", "/v1/txn", rk_buf_bytes(&body));
    ck_assert_uint_eq(answer->status, 413);
    ck_assert_ptr_nonnull(strstr(answer->body, "Request body too large, max size: "));
    rk_buf_done(&body);
}
END_TEST

START_TEST(read_only_transaction_is_a_read)
{
    (void)put("/v1/kv/k", "v");
    const struct answer *answer =
        put("/v1/txn?stale", "[{\"KV\":{\"Verb\":\"get\",\"Key\":\"k\"}}]");
    ck_assert_int_eq(answer->action, API_READ);
    ck_assert_int_eq(answer->consistency, API_STALE);
    answer = put("/v1/txn?stale", "[{\"KV\":{\"Verb\":\"get\",\"Key\":\"k\"}},"
                                  "{\"KV\":{\"Verb\":\"delete\",\"Key\":\"x\"}}]");
    ck_assert_int_eq(answer->action, API_PROPOSE);
}
END_TEST

/* As wide as an answer gets: everything of it fits, rendered at its worst. */
START_TEST(largest_answer_fits)
{
    struct rk_buf body;
    rk_buf_init(&body, 8 << 20);
    for (uint32_t i = 0; i < 160; i++) {
        char key[64];
        rk_buf_append_text(&body, i == 0 ? "[" : ",");
        rk_buf_append_text(&body, "{\"KV\":{\"Verb\":\"set\",\"Key\":\"");
        (void)snprintf(key, sizeof(key), "%04u", i);
        rk_buf_append_text(&body, key);
        memset(rk_buf_extend(&body, 4000), '<', 4000);
        rk_buf_append_text(&body, "\"}}");
    }
    rk_buf_append_text(&body, "]");
    const struct answer *answer = send_bytes("PUT", "/v1/txn?pretty", rk_buf_bytes(&body));
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_uint_gt(answer->body_size, 3 << 20);
    rk_buf_done(&body);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_txn");
    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, case_47_two_sets_by_nodes_client);
    tcase_add_test(tcase, case_48_get_of_what_is_there_and_what_is_not);
    tcase_add_test(tcase, case_49_lock_and_get_of_a_missing_key);
    tcase_add_test(tcase, case_50_stale_cas_undoes_the_rest);
    tcase_add_test(tcase, case_51_cas_answers_the_next_index);
    tcase_add_test(tcase, case_52_number_of_operations_is_a_setting);
    tcase_add_loop_test(tcase, case_52_body_that_is_none_is_400, 0,
                        sizeof(faults) / sizeof(faults[0]));
    tcase_add_test(tcase, unknown_verb_is_an_operation_that_failed);
    tcase_add_test(tcase, each_failure_has_its_text);
    tcase_add_test(tcase, holder_of_a_lock_is_told_from_others);
    tcase_add_test(tcase, deletes_yield_no_results);
    tcase_add_test(tcase, get_or_empty_answers_zeros_for_a_missing_key);
    tcase_add_test(tcase, value_above_the_limit_is_413_with_its_key);
    tcase_add_test(tcase, body_above_what_one_entry_holds_is_413);
    tcase_add_test(tcase, read_only_transaction_is_a_read);
    tcase_add_test(tcase, largest_answer_fits);
    return run_suite("api_txn", tcase);
}
