/* Idempotency-Key: done once, however often it comes, and the first answer each time. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "statemachine/command.h"
#include "statemachine/sm.h"
#include "support/run.h"
#include "unit/api_harness.h"

static struct http_field field = {.name = "idempotency-key", .value = "t1"};

static void token(const char *value)
{
    field.value = value;
    harness.headers = &field;
    harness.headers_count = value == NULL ? 0 : 1;
}

/* Pitfalls 115 and 118: recognised where it is applied, and answered as it was the first time. */
START_TEST(pitfall_118_repeated_write_changes_nothing_and_has_the_first_answer)
{
    token("t1");
    expect("PUT", "/v1/kv/n?cas=0", "1", 200, "true");
    const uint64_t index = header_u64("X-Consul-Index");
    expect("PUT", "/v1/kv/n?cas=0", "1", 200, "true");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), index);
    token("t2");
    expect("PUT", "/v1/kv/n?cas=0", "1", 200, "false");
    expect("PUT", "/v1/kv/n?cas=0", "1", 200, "false");
    token(NULL);
    (void)get("/v1/kv/n");
    ck_assert_uint_eq(member_u64("ModifyIndex"), index);
}
END_TEST

START_TEST(other_request_under_the_same_token_is_422)
{
    token("t1");
    expect("PUT", "/v1/kv/n", "1", 200, "true");
    expect("PUT", "/v1/kv/n", "2", 422, "Idempotency-Key was used for another request");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    expect("PUT", "/v1/kv/n?flags=1", "1", 422, "Idempotency-Key was used for another request");
    expect("DELETE", "/v1/kv/n", "1", 422, "Idempotency-Key was used for another request");
    token(NULL);
    ck_assert_str_eq(get("/v1/kv/n?raw")->body, "1");
}
END_TEST

START_TEST(repeated_delete_spares_a_key_that_was_made_anew)
{
    (void)put("/v1/kv/k", "old");
    token("t1");
    expect("DELETE", "/v1/kv/k", "", 200, "true");
    token(NULL);
    (void)put("/v1/kv/k", "new");
    token("t1");
    expect("DELETE", "/v1/kv/k", "", 200, "true");
    token(NULL);
    ck_assert_str_eq(get("/v1/kv/k?raw")->body, "new");
}
END_TEST

START_TEST(repeated_creation_answers_the_same_session)
{
    char first[128];
    token("t1");
    const struct answer *answer = put("/v1/session/create", "");
    ck_assert_uint_lt(answer->body_size, sizeof(first));
    memcpy(first, answer->body, answer->body_size + 1);
    expect("PUT", "/v1/session/create", "", 200, first);
    token("t2");
    ck_assert_str_ne(put("/v1/session/create", "")->body, first);
}
END_TEST

START_TEST(repeated_transaction_has_the_first_answer_done_or_not)
{
    static const char body[] = "[{\"KV\":{\"Verb\":\"cas\",\"Key\":\"k\",\"Index\":0}}]";
    char first[512];
    token("t1");
    const struct answer *answer = put("/v1/txn", body);
    ck_assert_uint_eq(answer->status, 200);
    memcpy(first, answer->body, answer->body_size + 1);
    expect("PUT", "/v1/txn", body, 200, first);
    token("t2");
    answer = put("/v1/txn", body);
    ck_assert_uint_eq(answer->status, 409);
    memcpy(first, answer->body, answer->body_size + 1);
    expect("PUT", "/v1/txn", body, 409, first);
}
END_TEST

START_TEST(repeated_acquire_has_the_first_fence)
{
    char target[128] = "/v1/kv/l?acquire=";
    const struct answer *answer = put("/v1/session/create", "");
    memcpy(target + strlen(target), answer->body + 7, 36);
    token("t1");
    expect("PUT", target, "x", 200, "true");
    const uint64_t fence = header_u64("X-Raftkv-Fence");
    expect("PUT", target, "x", 200, "true");
    ck_assert_uint_eq(header_u64("X-Raftkv-Fence"), fence);
}
END_TEST

START_TEST(token_is_forgotten_after_its_window)
{
    token("t1");
    expect("PUT", "/v1/kv/n?cas=0", "1", 200, "true");
    harness.time_ms += harness.options.idempotency_window_ms - 1;
    expect("PUT", "/v1/kv/n?cas=0", "1", 200, "true");
    harness.time_ms += 1;
    expect("PUT", "/v1/kv/n?cas=0", "1", 200, "false");
}
END_TEST

START_TEST(token_that_is_none_is_400)
{
    static const char text[] =
        "Idempotency-Key must be 1 to 128 printable characters without blanks";
    char longest[SM_TOKEN_SIZE_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[SM_TOKEN_SIZE_MAX + 1] = '\0';
    token(longest);
    expect("PUT", "/v1/kv/n", "1", 400, text);
    token(longest + 1);
    expect("PUT", "/v1/kv/n", "1", 200, "true");
    token("");
    expect("PUT", "/v1/kv/n", "1", 400, text);
    token("a b");
    expect("PUT", "/v1/kv/n", "1", 400, text);
}
END_TEST

/* Silence would be taken for a promise. */
START_TEST(token_where_it_means_nothing_is_refused)
{
    token("t1");
    expect("POST", "/v1/operator/raft/transfer-leader", "", 400,
           "Idempotency-Key is not supported here");
    ck_assert_uint_eq(get("/v1/kv/n")->status, 404);
}
END_TEST

START_TEST(too_many_tokens_are_refused_until_some_are_forgotten)
{
    char text[32];
    for (uint32_t i = 0; i < SM_TOKENS_MAX; i++) {
        (void)snprintf(text, sizeof(text), "t%u", i);
        token(text);
        ck_assert_uint_eq(put("/v1/kv/n", "1")->status, 200);
    }
    token("one-more");
    expect("PUT", "/v1/kv/n", "2", 429, "Too many Idempotency-Keys are remembered");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    token("t5");
    expect("PUT", "/v1/kv/n", "1", 200, "true");
    ck_assert_uint_eq(sm_next_deadline_ms(harness.sm),
                      harness.options.idempotency_window_ms + 1000);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_once");
    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, pitfall_118_repeated_write_changes_nothing_and_has_the_first_answer);
    tcase_add_test(tcase, other_request_under_the_same_token_is_422);
    tcase_add_test(tcase, repeated_delete_spares_a_key_that_was_made_anew);
    tcase_add_test(tcase, repeated_creation_answers_the_same_session);
    tcase_add_test(tcase, repeated_transaction_has_the_first_answer_done_or_not);
    tcase_add_test(tcase, repeated_acquire_has_the_first_fence);
    tcase_add_test(tcase, token_is_forgotten_after_its_window);
    tcase_add_test(tcase, token_that_is_none_is_400);
    tcase_add_test(tcase, token_where_it_means_nothing_is_refused);
    tcase_add_test(tcase, too_many_tokens_are_refused_until_some_are_forgotten);
    return run_suite("api_once", tcase);
}
