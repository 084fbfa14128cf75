/* Members and operator endpoints: what is asked of the leader, and how its answer reads. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/run.h"
#include "unit/api_harness.h"

#define MEMBERS "/v1/cluster/members"

static void ck_assert_contains(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text);
}

START_TEST(added_member_votes_later_unless_it_is_to_stay_a_learner)
{
    expect("POST", MEMBERS, "{\"name\":\"n4\",\"peer_address\":\"h:1\"}", 200,
           "{\"index\":0,\"members\":[{\"id\":0,\"name\":\"n4\",\"peer_address\":\"h:1\"}]}");
    ck_assert_int_eq(harness.asked.type, ADMIN_ADD);
    ck_assert_uint_eq(harness.asked.items_count, 1);
    ck_assert(!harness.asked.items[0].stays_learner);
    ck_assert(!harness.asked.has_cas);
    send_text("POST", MEMBERS "?cas=7",
              "{\"name\":\"n4\",\"peer_address\":\"[::1]:8300\",\"learner\":true}");
    ck_assert_uint_eq(harness.answer.status, 200);
    ck_assert(harness.asked.items[0].stays_learner);
    ck_assert(harness.asked.has_cas);
    ck_assert_uint_eq(harness.asked.cas, 7);
}
END_TEST

START_TEST(member_is_named_by_the_path)
{
    send_text("DELETE", MEMBERS "/n%34", "");
    ck_assert_int_eq(harness.asked.type, ADMIN_REMOVE);
    ck_assert_str_eq(harness.asked.items[0].who, "n4");
    send_text("PATCH", MEMBERS "/812236071938574", "{\"role\":\"voter\"}");
    ck_assert_int_eq(harness.asked.type, ADMIN_PROMOTE);
    ck_assert_str_eq(harness.asked.items[0].who, "812236071938574");
}
END_TEST

START_TEST(one_that_differs_is_repaired_by_name)
{
    send_text("POST", MEMBERS "/repair", "{\"name\": \"n3\"}");
    ck_assert_int_eq(harness.answer.action, API_ADMIN);
    ck_assert_int_eq(harness.asked.type, ADMIN_REPAIR);
    ck_assert_str_eq(harness.asked.items[0].who, "n3");
    harness.outcome = (struct admin_outcome){.refusal = ADMIN_DOES_NOT_DIFFER, .who = "n3"};
    send_text("POST", MEMBERS "/repair", "{\"name\": \"n3\"}");
    ck_assert_uint_eq(harness.answer.status, 409);
    ck_assert_contains(harness.answer.body, "nothing to repair");
    send_text("POST", MEMBERS "/repair", "{}");
    ck_assert_uint_eq(harness.answer.status, 400);
}
END_TEST

START_TEST(one_or_several_are_replaced)
{
    send_text("POST", MEMBERS "/replace",
              "{\"old\":\"n3\",\"name\":\"n3\",\"peer_address\":\"h:1\"}");
    ck_assert_int_eq(harness.asked.type, ADMIN_REPLACE);
    ck_assert_uint_eq(harness.asked.items_count, 1);
    send_text("POST", MEMBERS "/replace",
              "[{\"old\":\"n3\",\"name\":\"n5\",\"peer_address\":\"h:1\"},"
              "{\"old\":\"n4\",\"name\":\"n6\",\"peer_address\":\"h:2\"}]");
    ck_assert_uint_eq(harness.asked.items_count, 2);
    ck_assert_str_eq(harness.asked.items[1].who, "n4");
    ck_assert_str_eq(harness.asked.items[1].name, "n6");
    ck_assert_str_eq(harness.asked.items[1].peer_address, "h:2");
}
END_TEST

static const struct {
    const char *method;
    const char *target;
    const char *body;
    const char *text;
} bad[] = {
    {"POST", MEMBERS, "", "Request decode failed"},
    {"POST", MEMBERS, "[]", "must be a JSON object"},
    {"POST", MEMBERS, "{\"name\":\"n4\"}", "\"peer_address\" must be a text"},
    {"POST", MEMBERS, "{\"name\":4,\"peer_address\":\"h:1\"}", "\"name\" must be a text"},
    {"POST", MEMBERS, "{\"name\":\"a/b\",\"peer_address\":\"h:1\"}", "letters, digits"},
    {"POST", MEMBERS, "{\"name\":\"n4\",\"peer_address\":\"h\"}", "host:port"},
    {"POST", MEMBERS, "{\"name\":\"n4\",\"peer_address\":\":1\"}", "host:port"},
    {"POST", MEMBERS, "{\"name\":\"n4\",\"peer_address\":\"h:0\"}", "host:port"},
    {"POST", MEMBERS, "{\"name\":\"n4\",\"peer_address\":\"h:65536\"}", "host:port"},
    {"POST", MEMBERS, "{\"name\":\"n4\",\"peer_address\":\"h/x?y:1\"}", "host:port"},
    {"POST", MEMBERS, "{\"name\":\"n4\",\"peer_address\":\"h:1\",\"lerner\":true}",
     "unknown member"},
    {"POST", MEMBERS, "{\"name\":\"n4\",\"peer_address\":\"h:1\",\"learner\":1}", "true or false"},
    {"POST", MEMBERS, "{\"name\":\"a\",\"name\":\"b\"}", "decode failed"},
    {"POST", MEMBERS "?cas=x", "{\"name\":\"n4\",\"peer_address\":\"h:1\"}", "cas must be"},
    {"POST", MEMBERS "/replace", "[]", "1 to 9"},
    {"POST", MEMBERS "/replace", "{\"name\":\"n4\",\"peer_address\":\"h:1\"}", "\"old\" must be"},
    {"PATCH", MEMBERS "/n4", "{\"role\":\"leader\"}", "\"role\" must be"},
    {"DELETE", MEMBERS "/", "", "the path must end"},
    {"DELETE", "/v1/operator/raft/peer", "", "Must specify either ?id with the server's ID or"},
    {"DELETE", "/v1/operator/raft/peer?id=1&address=h:1", "", "Must specify only one of"},
};

START_TEST(malformed_change_is_refused_before_the_leader_sees_it)
{
    send_text(bad[_i].method, bad[_i].target, bad[_i].body);
    ck_assert_int_eq(harness.answer.action, API_RESPOND);
    ck_assert_uint_eq(harness.answer.status, 400);
    ck_assert_contains(harness.answer.body, bad[_i].text);
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
}
END_TEST

/* Also where the body is not looked at: another node would pass it on to the leader. */
START_TEST(body_past_64_kib_is_refused_with_413)
{
    static const char *const asked[][2] = {
        {"POST", MEMBERS},
        {"DELETE", MEMBERS "/n4"},
        {"GET", "/v1/operator/raft/configuration"},
        {"POST", "/v1/operator/raft/transfer-leader"},
        {"DELETE", "/v1/operator/raft/peer?id=1"},
    };
    static char body[64 * 1024 + 2];

    memset(body, ' ', sizeof(body) - 1);
    send_text(asked[_i][0], asked[_i][1], body);
    ck_assert_int_eq(harness.answer.action, API_RESPOND);
    ck_assert_uint_eq(harness.answer.status, 413);
}
END_TEST

/* 64 KiB hold brackets enough to end a stack, if they were followed. */
START_TEST(body_nested_too_deep_is_refused)
{
    static char body[64 * 1024 + 1];

    memset(body, '[', sizeof(body) - 1);
    send_text("POST", MEMBERS "/replace", body);
    ck_assert_uint_eq(harness.answer.status, 400);
    ck_assert_contains(harness.answer.body, "Request decode failed");
}
END_TEST

static const struct {
    struct admin_outcome outcome;
    uint32_t status;
    const char *text;
} refusals[] = {
    {{.refusal = ADMIN_IN_FLIGHT}, 409, "a change is already in flight"},
    {{.refusal = ADMIN_INDEX_DIFFERS, .numbers = {7}},
     409,
     "the configuration has another index: 7"},
    {{.refusal = ADMIN_UNKNOWN_NODE, .who = "n9"}, 404, "unknown node: \"n9\""},
    {{.refusal = ADMIN_NAME_TAKEN, .who = "n2"}, 409, "a member has this name already: \"n2\""},
    {{.refusal = ADMIN_ADDRESS_TAKEN, .who = "h:1"},
     409,
     "a member has this peer address already: \"h:1\""},
    {{.refusal = ADMIN_ALREADY_VOTER, .who = "n2"}, 409, "a voter already: \"n2\""},
    {{.refusal = ADMIN_STILL_ANSWERS, .who = "n2"},
     409,
     "the member still answers at this address; stop it and empty its data directory first: "
     "\"n2\""},
    {{.refusal = ADMIN_NOT_CAUGHT_UP, .who = "n4", .numbers = {81244, 120310}},
     409,
     "not caught up: \"n4\" is matching 81,244 of 120,310"},
    {{.refusal = ADMIN_LAST_VOTER}, 409, "last voter: nobody would be left to vote"},
    {{.refusal = ADMIN_TOO_MANY_VOTERS}, 409, "a cluster has at most 9 voters"},
    {{.refusal = ADMIN_TOO_MANY_LEARNERS}, 409, "a cluster has at most 9 learners"},
    {{.refusal = ADMIN_QUORUM_LOST, .numbers = {1, 2, 2}},
     409,
     "would lose quorum: of the 2 voters afterwards only 1 would answer, and 2 are needed"},
};

START_TEST(refusal_says_why)
{
    harness.outcome = refusals[_i].outcome;
    expect("DELETE", MEMBERS "/n4", "", refusals[_i].status, refusals[_i].text);
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
}
END_TEST

START_TEST(change_without_a_leader_is_not_done_and_one_whose_leader_went_is_unknown)
{
    harness.outcome.status = RK_NO_LEADER;
    expect("DELETE", MEMBERS "/n4", "", 500, "No cluster leader");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    harness.outcome.status = RK_UNKNOWN;
    ck_assert_uint_eq(send_text("DELETE", MEMBERS "/n4", "")->status, 500);
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "unknown");
}
END_TEST

/* Contract 2.8. */
START_TEST(operator_endpoints_answer_as_in_the_contract)
{
    struct node_view_member *self = &harness.node.members[0];
    harness.node.config_index = 1;
    harness.node.last_index = 10;
    self->is_voter = true;
    expect("GET", "/v1/operator/raft/configuration", "", 200,
           "{\"Servers\":[{\"ID\":\"7\",\"Node\":\"node1\",\"Address\":\"127.0.0.1:8300\","
           "\"Leader\":true,\"ProtocolVersion\":\"3\",\"Voter\":true,\"LastIndex\":10}],"
           "\"Index\":1}");
    ck_assert_int_eq(harness.answer.action, API_ADMIN);
    send_text("GET", "/v1/operator/raft/configuration?stale", "");
    ck_assert_int_eq(harness.answer.action, API_RESPOND);
    expect("POST", "/v1/operator/raft/transfer-leader?id=8", "", 200, "{\"Success\":true}");
    ck_assert_int_eq(harness.asked.type, ADMIN_TRANSFER);
    ck_assert_str_eq(harness.asked.items[0].who, "8");
    expect("DELETE", "/v1/operator/raft/peer?address=h:1", "", 200, "");
    ck_assert(harness.asked.items[0].is_address);
    harness.outcome.refusal = ADMIN_UNKNOWN_NODE;
    ck_assert_uint_eq(send_text("DELETE", "/v1/operator/raft/peer?id=8", "")->status, 500);
}
END_TEST

START_TEST(autopilot_says_429_when_a_member_does_not_answer)
{
    struct node_view_member *self = &harness.node.members[0];
    self->is_voter = true;
    self->is_alive = true;
    self->stable_since_ms = UINT64_C(1582934400000); /* a leap day */
    expect("GET", "/v1/operator/autopilot/health", "", 200,
           "{\"Healthy\":true,\"FailureTolerance\":0,\"Servers\":[{\"ID\":\"7\",\"Name\":\"node1\","
           "\"Address\":\"127.0.0.1:8300\",\"SerfStatus\":\"alive\","
           "\"Version\":\"" PACKAGE_VERSION "\",\"Leader\":true,\"Voter\":true,"
           "\"LastContact\":\"0s\",\"LastTerm\":3,\"LastIndex\":0,\"Healthy\":true,"
           "\"StableSince\":\"2020-02-29T00:00:00Z\"}]}");
    ck_assert_contains(get("/v1/operator/autopilot/state")->body,
                       "\"Status\":\"leader\",\"Meta\":null,\"NodeType\":\"voter\"}},"
                       "\"Leader\":\"7\",\"Voters\":[\"7\"]}");
    self->is_alive = false;
    ck_assert_uint_eq(get("/v1/operator/autopilot/health")->status, 429);
    ck_assert_uint_eq(get("/v1/operator/autopilot/state")->status, 429);
}
END_TEST

static const char autopilot_path[] = "/v1/operator/autopilot/configuration";

START_TEST(autopilot_configuration_is_what_holds)
{
    expect("GET", autopilot_path, "", 200,
           "{\"CleanupDeadServers\":false,\"LastContactThreshold\":\"400ms\",\"MaxTrailingLogs\":0,"
           "\"MinQuorum\":0,\"ServerStabilizationTime\":\"0s\",\"RedundancyZoneTag\":\"\","
           "\"DisableUpgradeMigration\":false,\"UpgradeVersionTag\":\"\",\"CreateIndex\":1,"
           "\"ModifyIndex\":1}");
    ck_assert_int_eq(harness.answer.action, API_RESPOND);
}
END_TEST

/* What a client reads it can write back, in each form that the original takes. */
static const struct {
    const char *body;
    const char *answer;
} autopilot_held[] = {
    {"{}", "true"},
    {"{\"cleanupdeadservers\":false,\"MinQuorum\":0,\"Other\":1,\"ModifyIndex\":9}", "true"},
    {"{\"LastContactThreshold\":\"0.4s\",\"ServerStabilizationTime\":\"0\"}", "true"},
    {"{\"LastContactThreshold\":400000000,\"RedundancyZoneTag\":\"\"}", "true"},
    {"{\"CleanupDeadServers\":null}", "true"},
};

START_TEST(autopilot_takes_what_holds_anyway)
{
    expect("PUT", autopilot_path, autopilot_held[_i].body, 200, autopilot_held[_i].answer);
    expect("PUT", "/v1/operator/autopilot/configuration?cas=1", autopilot_held[_i].body, 200,
           "true");
    expect("PUT", "/v1/operator/autopilot/configuration?cas=2", autopilot_held[_i].body, 200,
           "false");
}
END_TEST

static const struct {
    const char *body;
    const char *text;
} autopilot_refused[] = {
    {"", "Request decode failed: unexpected end of JSON input"},
    {"[]", "Request decode failed: not an object"},
    {"{\"CleanupDeadServers\":true}",
     "The autopilot configuration cannot be changed: \"CleanupDeadServers\":false"},
    {"{\"LastContactThreshold\":\"200ms\"}",
     "The autopilot configuration cannot be changed: \"LastContactThreshold\":\"400ms\""},
    {"{\"LastContactThreshold\":\"x\"}",
     "The autopilot configuration cannot be changed: \"LastContactThreshold\":\"400ms\""},
    {"{\"MinQuorum\":3}", "The autopilot configuration cannot be changed: \"MinQuorum\":0"},
    {"{\"UpgradeVersionTag\":\"v\"}",
     "The autopilot configuration cannot be changed: \"UpgradeVersionTag\":\"\""},
};

START_TEST(autopilot_refuses_what_would_be_a_change)
{
    expect("PUT", autopilot_path, autopilot_refused[_i].body, 400, autopilot_refused[_i].text);
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("members");

    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, added_member_votes_later_unless_it_is_to_stay_a_learner);
    tcase_add_test(tcase, member_is_named_by_the_path);
    tcase_add_test(tcase, one_that_differs_is_repaired_by_name);
    tcase_add_test(tcase, one_or_several_are_replaced);
    tcase_add_loop_test(tcase, malformed_change_is_refused_before_the_leader_sees_it, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_loop_test(tcase, body_past_64_kib_is_refused_with_413, 0, 5);
    tcase_add_test(tcase, body_nested_too_deep_is_refused);
    tcase_add_loop_test(tcase, refusal_says_why, 0, (int)(sizeof(refusals) / sizeof(refusals[0])));
    tcase_add_test(tcase, change_without_a_leader_is_not_done_and_one_whose_leader_went_is_unknown);
    tcase_add_test(tcase, operator_endpoints_answer_as_in_the_contract);
    tcase_add_test(tcase, autopilot_says_429_when_a_member_does_not_answer);
    tcase_add_test(tcase, autopilot_configuration_is_what_holds);
    tcase_add_loop_test(tcase, autopilot_takes_what_holds_anyway, 0,
                        (int)(sizeof(autopilot_held) / sizeof(autopilot_held[0])));
    tcase_add_loop_test(tcase, autopilot_refuses_what_would_be_a_change, 0,
                        (int)(sizeof(autopilot_refused) / sizeof(autopilot_refused[0])));
    return run_suite("api_members", tcase);
}
