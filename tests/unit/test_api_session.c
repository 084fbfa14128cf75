/* The contract's cases about sessions and locks, over the API. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "statemachine/command.h"
#include "support/run.h"
#include "support/sm_commands.h"
#include "unit/api_harness.h"

struct text {
    char text[256];
};

/* Creates a session with that body; its id. */
static struct text create(const char *body)
{
    struct text id;
    const struct answer *answer = put("/v1/session/create", body);

    ck_assert_msg(answer->status == 200, "%s: %u %s", body, answer->status, answer->body);
    ck_assert_int_eq(sscanf(answer->body, "{\"ID\":\"%36[0-9a-f-]\"}", id.text), 1);
    ck_assert_uint_eq(strlen(id.text), 36);
    return id;
}

static struct text target(const char *before, struct text id)
{
    struct text made;
    (void)snprintf(made.text, sizeof(made.text), "%.200s%.40s", before, id.text);
    return made;
}

static void expect_for(const char *method, const char *before, struct text id, uint32_t status,
                       const char *expected)
{
    expect(method, target(before, id).text, "x", status, expected);
}

static bool info_has(struct text id, const char *part)
{
    const struct answer *answer = get(target("/v1/session/info/", id).text);
    return answer->status == 200 && strstr(answer->body, part) != NULL;
}

START_TEST(case_34_session_of_no_body_has_the_defaults)
{
    const struct text id = create("");
    char expected[512];

    const struct answer *answer = get(target("/v1/session/info/", id).text);
    (void)snprintf(expected, sizeof(expected),
                   "[{\"ID\":\"%s\",\"Name\":\"\",\"Node\":\"node1\",\"LockDelay\":15000000000,"
                   "\"Behavior\":\"release\",\"TTL\":\"\",\"NodeChecks\":[\"serfHealth\"],"
                   "\"ServiceChecks\":null,\"CreateIndex\":2,\"ModifyIndex\":2}]",
                   id.text);
    ck_assert_str_eq(answer->body, expected);
    ck_assert_uint_eq(header_u64("X-Consul-Index"), 2);
    ck_assert_str_eq(header("X-Consul-Knownleader"), "true");
}
END_TEST

START_TEST(case_35_patronis_body_is_taken_as_it_is)
{
    const struct text id = create("{\"name\":\"batman-pg1\",\"checks\":[],\"lockdelay\":\"0.001s\","
                                  "\"behavior\":\"delete\",\"ttl\":\"15.0s\"}");
    ck_assert(info_has(id, "\"TTL\":\"15.0s\""));
    ck_assert(info_has(id, "\"LockDelay\":1000000,"));
    ck_assert(info_has(id, "\"NodeChecks\":[]"));
    ck_assert(info_has(id, "\"Behavior\":\"delete\""));
    ck_assert(info_has(id, "\"Name\":\"batman-pg1\""));
}
END_TEST

/* Consul's clients look at the beginning of these texts, and at 500. */
static const struct {
    const char *body;
    uint32_t status;
    const char *text;
} refusals[] = {
    {"{\"TTL\":\"5s\"}", 500, "Invalid Session TTL '5000000000', must be between [10s=24h0m0s]"},
    {"{\"TTL\":\"86401s\"}", 500,
     "Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]"},
    {"{\"TTL\":\"-1s\"}", 500, "Invalid Session TTL '-1000000000', must be between [10s=24h0m0s]"},
    {"{\"TTL\":\"10\"}", 500, "Session TTL '10' invalid: time: invalid duration \"10\""},
    {"{\"Behavior\":\"x\"}", 500, "Invalid Behavior setting 'x'"},
    {"{\"Node\":\"n2\"}", 500, "Missing node registration"},
    {"{\"Checks\":[\"serfHealth\",\"c2\"]}", 500, "Missing check 'c2' registration"},
    {"{\"NodeChecks\":[\"c3\"]}", 500, "Missing check 'c3' registration"},
    {"{\"ServiceChecks\":[{\"ID\":\"web\"}]}", 500, "Missing check 'web' registration"},
    {"{", 400, "Request decode failed: unexpected end of JSON input"},
    {"[]", 400, "Request decode failed: the body must be an object"},
    {"{\"Name\":5}", 400, "Request decode failed: Name must be a text"},
    {"{\"TTL\":5}", 400, "Request decode failed: TTL must be a text"},
    {"{\"LockDelay\":\"5\"}", 400, "Request decode failed: LockDelay is not a duration"},
    {"{\"LockDelay\":1.5}", 400, "Request decode failed: LockDelay must be an integer"},
    {"{\"LockDelay\":\"-5s\"}", 400, "Request decode failed: LockDelay is negative"},
    {"{\"Checks\":\"c\"}", 400, "Request decode failed: Checks must be an array"},
    {"{\"Exact\":1}", 400, "Request decode failed: Exact must be true or false"},
};

START_TEST(case_36_what_no_session_can_have_is_refused)
{
    expect("PUT", "/v1/session/create", refusals[_i].body, refusals[_i].status, refusals[_i].text);
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    expect("GET", "/v1/session/list", "", 200, "[]");
}
END_TEST

START_TEST(case_36_other_datacenter_is_refused)
{
    expect("PUT", "/v1/session/create?dc=dc2", "", 500, "No path to datacenter");
    expect("GET", "/v1/session/list?dc=dc2", "", 500, "No path to datacenter");
}
END_TEST

START_TEST(shortest_ttl_is_a_setting)
{
    harness.options.session_ttl_min_ms = 1500;
    (void)create("{\"TTL\":\"1500ms\"}");
    expect("PUT", "/v1/session/create", "{\"TTL\":\"1s\"}", 500,
           "Invalid Session TTL '1000000000', must be between [1.5s=24h0m0s]");
}
END_TEST

START_TEST(case_37_lock_delay_is_seconds_text_or_nanoseconds)
{
    ck_assert(info_has(create("{\"LockDelay\":5}"), "\"LockDelay\":5000000000,"));
    ck_assert(info_has(create("{\"LockDelay\":\"5s\"}"), "\"LockDelay\":5000000000,"));
    ck_assert(info_has(create("{\"LockDelay\":15000000000}"), "\"LockDelay\":15000000000,"));
    ck_assert(info_has(create("{\"LockDelay\":\"0s\"}"), "\"LockDelay\":0,"));
    ck_assert(info_has(create("{\"LockDelay\":\"5m\"}"), "\"LockDelay\":60000000000,"));
}
END_TEST

START_TEST(null_members_are_absent_and_unknown_ones_are_ignored)
{
    const struct text id =
        create("{\"Name\":null,\"TTL\":\"\",\"Node\":\"node1\",\"Behavior\":null,"
               "\"LockDelay\":null,\"ServiceChecks\":null,\"Other\":{}} trailing");
    ck_assert(info_has(id, "\"LockDelay\":15000000000,"));
    ck_assert(info_has(id, "\"NodeChecks\":[\"serfHealth\"]"));
    ck_assert(info_has(create("{\"Checks\":null}"), "\"NodeChecks\":[]"));
    ck_assert(info_has(create("{\"NodeChecks\":[]}"), "\"NodeChecks\":[]"));
    ck_assert(info_has(create("{\"ttl\":\"0s\"}"), "\"TTL\":\"0s\""));
}
END_TEST

START_TEST(case_38_unknown_session_is_an_empty_list_and_a_text)
{
    expect("GET", "/v1/session/info/111111111111111111111111111111111111", "", 200, "[]");
    ck_assert_uint_ge(header_u64("X-Consul-Index"), 1);
    expect("PUT", "/v1/session/renew/111111111111111111111111111111111111", "", 404,
           "Session id '111111111111111111111111111111111111' not found");
    expect("PUT", "/v1/session/destroy/111111111111111111111111111111111111", "", 200, "true");
    expect("PUT", "/v1/session/destroy/", "", 400, "Missing session");
    expect("PUT", "/v1/session/renew/", "", 400, "Missing session");
    expect("GET", "/v1/session/info/", "", 400, "Missing session");
}
END_TEST

START_TEST(case_39_renewal_answers_the_session)
{
    const struct text id = create("{\"Name\":\"me\"}");
    const struct answer *answer = put(target("/v1/session/renew/", id).text, "");
    ck_assert_uint_eq(answer->status, 200);
    struct text renewed;
    (void)snprintf(renewed.text, sizeof(renewed.text), "%.255s", answer->body);
    ck_assert_int_eq(strncmp(renewed.text, get(target("/v1/session/info/", id).text)->body, 255),
                     0);
}
END_TEST

START_TEST(case_40_unknown_node_has_no_sessions)
{
    (void)create("");
    expect("GET", "/v1/session/node/unknown", "", 200, "[]");
    expect("GET", "/v1/session/node/", "", 200, "[]");
    expect("GET", "/v1/session/node", "", 200, "[]");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), 2);
    ck_assert_ptr_nonnull(header("X-Consul-Lastcontact"));
    ck_assert_ptr_nonnull(strstr(get("/v1/session/node/node1")->body, "\"Node\":\"node1\""));
}
END_TEST

START_TEST(case_41_acquire_by_an_unknown_session_is_500)
{
    expect("PUT", "/v1/kv/k?acquire=11111111-1111-1111-1111-111111111111", "x", 500,
           "invalid session \"11111111-1111-1111-1111-111111111111\"");
    expect("PUT", "/v1/kv/k?acquire=nonsense", "x", 500, "invalid session \"nonsense\"");
    expect("PUT", "/v1/kv/k?acquire=", "x", 500, "missing session");
    expect("PUT", "/v1/kv/k?release", "x", 500, "missing session");
    expect("GET", "/v1/kv/k", "", 404, "");
}
END_TEST

START_TEST(case_42_acquire_and_release)
{
    const struct text s1 = create("");
    const struct text s2 = create("");
    struct text session;

    expect_for("PUT", "/v1/kv/k?acquire=", s1, 200, "true");
    const uint64_t fence = header_u64("X-Raftkv-Fence");
    (void)snprintf(session.text, sizeof(session.text), "\"Session\":\"%.36s\"", s1.text);
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/k")->body, session.text));
    ck_assert_uint_eq(member_u64("LockIndex"), 1);
    ck_assert_uint_eq(member_u64("ModifyIndex"), fence);
    expect_for("PUT", "/v1/kv/k?acquire=", s2, 200, "false");
    ck_assert_ptr_null(header("X-Raftkv-Fence"));
    expect_for("PUT", "/v1/kv/k?acquire=", s1, 200, "true");
    ck_assert_uint_eq(header_u64("X-Raftkv-Fence"), fence);
    expect("PUT", "/v1/kv/k?release=foo", "", 200, "false");
    expect_for("PUT", "/v1/kv/k?release=", s2, 200, "false");
    expect_for("PUT", "/v1/kv/k?release=", s1, 200, "true");
    ck_assert_ptr_null(strstr(get("/v1/kv/k")->body, "Session"));
    ck_assert_uint_eq(member_u64("LockIndex"), 1);
    expect_for("PUT", "/v1/kv/k?acquire=", s2, 200, "true");
    ck_assert_uint_gt(header_u64("X-Raftkv-Fence"), fence);
    (void)get("/v1/kv/k");
    ck_assert_uint_eq(member_u64("LockIndex"), 2);
}
END_TEST

START_TEST(case_43_plain_put_on_a_locked_key_keeps_the_lock)
{
    const struct text s1 = create("");
    expect_for("PUT", "/v1/kv/k?acquire=", s1, 200, "true");
    expect("PUT", "/v1/kv/k?flags=7", "theirs", 200, "true");
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/k")->body, s1.text));
    ck_assert_uint_eq(member_u64("LockIndex"), 1);
    ck_assert_uint_eq(member_u64("Flags"), 7);
}
END_TEST

START_TEST(case_44_lock_delay_after_destroy)
{
    const struct text s1 = create("{\"LockDelay\":\"5s\"}");
    const struct text s2 = create("");
    expect_for("PUT", "/v1/kv/k?acquire=", s1, 200, "true");
    (void)get("/v1/kv/k");
    const uint64_t before = member_u64("ModifyIndex");
    expect_for("PUT", "/v1/session/destroy/", s1, 200, "true");
    ck_assert_ptr_null(strstr(get("/v1/kv/k")->body, "Session"));
    ck_assert_uint_gt(member_u64("ModifyIndex"), before);
    harness.time_ms += 4999;
    expect_for("PUT", "/v1/kv/k?acquire=", s2, 200, "false");
    harness.time_ms += 1;
    expect_for("PUT", "/v1/kv/k?acquire=", s2, 200, "true");
}
END_TEST

START_TEST(case_45_keys_of_a_delete_session_go_with_it)
{
    const struct text id = create("{\"Behavior\":\"delete\"}");
    expect_for("PUT", "/v1/kv/k?acquire=", id, 200, "true");
    (void)get("/v1/kv/k");
    const uint64_t before = header_u64("X-Consul-Index");
    expect_for("PUT", "/v1/session/destroy/", id, 200, "true");
    expect("GET", "/v1/kv/k", "", 404, "");
    ck_assert_uint_gt(header_u64("X-Consul-Index"), before);
}
END_TEST

START_TEST(case_68_flags_of_a_semaphore_survive_a_lock)
{
    const struct text id = create("");
    struct text locked;
    (void)snprintf(locked.text, sizeof(locked.text),
                   "/v1/kv/s?flags=16210313421097356768&acquire=%.36s", id.text);
    expect("PUT", locked.text, "x", 200, "true");
    (void)get("/v1/kv/s");
    ck_assert_uint_eq(member_u64("Flags"), UINT64_C(16210313421097356768));
}
END_TEST

START_TEST(listing_is_whole_however_many_there_are)
{
    enum { COUNT = 700 };
    uint32_t found = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)create("");
    }
    const struct answer *answer = get("/v1/session/list");
    ck_assert(answer->streamed);
    for (const char *at = strstr(answer->body, "\"ID\":"); at != NULL;
         at = strstr(at + 1, "\"ID\":")) {
        found++;
    }
    ck_assert_uint_eq(found, COUNT);
    ck_assert_int_eq(answer->body[answer->body_size - 1], ']');
    expect("GET", "/v1/session/node/node2", "", 200, "[]");
}
END_TEST

START_TEST(exact_session_says_so)
{
    ck_assert(info_has(create("{\"TTL\":\"10s\",\"Exact\":true}"), "\"Exact\":true"));
    ck_assert(!info_has(create("{\"TTL\":\"10s\"}"), "Exact"));
    ck_assert_uint_eq(put("/v1/session/create?exact", "")->status, 200);
}
END_TEST

START_TEST(index_of_sessions_moves_with_them_alone)
{
    (void)create("");
    (void)get("/v1/session/list");
    const uint64_t before = header_u64("X-Consul-Index");
    (void)put("/v1/kv/k", "v");
    (void)get("/v1/session/list");
    ck_assert_uint_eq(header_u64("X-Consul-Index"), before);
    expect("PUT", target("/v1/session/renew/", (struct text){"x"}).text, "", 404,
           "Session id 'x' not found");
    (void)create("");
    (void)get("/v1/session/list");
    ck_assert_uint_gt(header_u64("X-Consul-Index"), before);
}
END_TEST

START_TEST(sessions_past_the_bound_are_refused_until_one_ends)
{
    const struct text id = create("");
    for (uint32_t i = 1; i < SM_SESSIONS_MAX; i++) {
        struct session_record record = {.node = {.data = (const uint8_t *)"n1", .size = 2}};
        (void)sm_do(
            harness.sm, ++harness.index,
            &(struct sm_command){.type = SM_COMMAND_SESSION_CREATE,
                                 .session = {.id = {.bytes = {(uint8_t)i, (uint8_t)(i >> 8), 1}},
                                             .record = record}});
    }
    expect("PUT", "/v1/session/create", "", 429, "Too many sessions");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    ck_assert_str_eq(header("Retry-After"), "1");
    expect_for("PUT", "/v1/session/destroy/", id, 200, "true");
    (void)create("");
}
END_TEST

START_TEST(locks_of_a_session_past_the_bound_are_refused_until_one_is_given_back)
{
    char key[128];
    const struct text id = create("");
    for (uint32_t i = 0; i < SM_SESSION_LOCKS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "/v1/kv/%u?acquire=%.40s", i, id.text);
        expect("PUT", key, "", 200, "true");
    }
    expect_for("PUT", "/v1/kv/more?acquire=", id, 500, "the session holds too many keys");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    expect_for("PUT", "/v1/kv/7?release=", id, 200, "true");
    expect_for("PUT", "/v1/kv/more?acquire=", id, 200, "true");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_session");
    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, case_34_session_of_no_body_has_the_defaults);
    tcase_add_test(tcase, case_35_patronis_body_is_taken_as_it_is);
    tcase_add_loop_test(tcase, case_36_what_no_session_can_have_is_refused, 0,
                        sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(tcase, case_36_other_datacenter_is_refused);
    tcase_add_test(tcase, shortest_ttl_is_a_setting);
    tcase_add_test(tcase, case_37_lock_delay_is_seconds_text_or_nanoseconds);
    tcase_add_test(tcase, null_members_are_absent_and_unknown_ones_are_ignored);
    tcase_add_test(tcase, case_38_unknown_session_is_an_empty_list_and_a_text);
    tcase_add_test(tcase, case_39_renewal_answers_the_session);
    tcase_add_test(tcase, case_40_unknown_node_has_no_sessions);
    tcase_add_test(tcase, case_41_acquire_by_an_unknown_session_is_500);
    tcase_add_test(tcase, case_42_acquire_and_release);
    tcase_add_test(tcase, case_43_plain_put_on_a_locked_key_keeps_the_lock);
    tcase_add_test(tcase, case_44_lock_delay_after_destroy);
    tcase_add_test(tcase, case_45_keys_of_a_delete_session_go_with_it);
    tcase_add_test(tcase, case_68_flags_of_a_semaphore_survive_a_lock);
    tcase_add_test(tcase, listing_is_whole_however_many_there_are);
    tcase_add_test(tcase, exact_session_says_so);
    tcase_add_test(tcase, index_of_sessions_moves_with_them_alone);
    tcase_add_test(tcase, sessions_past_the_bound_are_refused_until_one_ends);
    tcase_add_test(tcase, locks_of_a_session_past_the_bound_are_refused_until_one_is_given_back);
    return run_suite("api_session", tcase);
}
