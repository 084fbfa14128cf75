/* Status, members, health, and the routes that only refuse. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/run.h"
#include "unit/api_harness.h"

static void add_member(raft_node_id id, const char *name, const char *peer_address)
{
    struct node_view_member *member = &harness.node.members[harness.node.members_count++];
    member->id = id;
    snprintf(member->name, sizeof(member->name), "%s", name);
    snprintf(member->peer_address, sizeof(member->peer_address), "%s", peer_address);
}

START_TEST(case_62_the_leader_is_among_the_peers)
{
    add_member(9, "node2", "127.0.0.2:8300");
    expect("GET", "/v1/status/leader", "", 200, "\"127.0.0.1:8300\"");
    ck_assert_str_eq(header("Content-Type"), "application/json");
    expect("GET", "/v1/status/peers", "", 200, "[\"127.0.0.1:8300\",\"127.0.0.2:8300\"]");
}
END_TEST

/* §2.8: never 500 locally; test harnesses poll until it is not "". */
START_TEST(without_a_leader_the_status_is_an_empty_string)
{
    harness.node.has_leader = false;
    expect("GET", "/v1/status/leader", "", 200, "\"\"");
    ck_assert_ptr_nonnull(strstr(get("/v1/status/node")->body,
                                 "\"leader\":\"\",\"leader_id\":0,\"leader_peer_address\":\"\""));
}
END_TEST

START_TEST(status_of_another_datacenter_is_refused)
{
    expect("GET", "/v1/status/leader?dc=dc2", "", 500, "No path to datacenter");
    expect("GET", "/v1/status/peers?dc=dc1", "", 200, "[\"127.0.0.1:8300\"]");
}
END_TEST

START_TEST(status_node_is_this_nodes_view)
{
    struct node_view *node = &harness.node;
    node->commit_index = 41;
    node->last_applied = 40;
    node->last_index = 43;
    node->durable_index = 42;
    node->is_disk_nearly_full = true;
    expect("GET", "/v1/status/node", "", 200,
           "{\"node\":\"node1\",\"id\":7,\"cluster_id\":\"00112233445566778899aabbccddeeff\","
           "\"datacenter\":\"dc1\",\"version\":\"" PACKAGE_VERSION "\",\"role\":\"leader\","
           "\"term\":3,\"leader\":\"node1\",\"leader_id\":7,"
           "\"leader_peer_address\":\"127.0.0.1:8300\",\"leader_contact_age_ms\":0,"
           "\"commit_index\":41,\"last_applied\":40,\"last_index\":43,\"durable_index\":42,"
           "\"ready\":true,\"not_ready_reason\":\"\",\"alive\":true,\"not_alive_reason\":\"\","
           "\"disk_nearly_full\":true,\"differs_at\":0,\"feature_level\":0,"
           "\"feature_level_max\":0}");
}
END_TEST

/* Two loops' worth of one measure, and what it says of itself. */
START_TEST(stages_are_what_the_node_measured)
{
    struct rk_meter *meter = rk_meter_of(harness.node.meters, RK_METER_NODE, 0);
    rk_meter_add(meter, RK_MEASURE_COMMIT, 5, 3);
    rk_meter_add(meter, RK_MEASURE_APPEND_BYTES, 4, 1);
    const char *body = get("/v1/status/stages")->body;
    ck_assert_ptr_nonnull(strstr(body, "{\"node\":\"node1\",\"role\":\"leader\",\"since_start\":"));
    ck_assert_ptr_nonnull(strstr(body, "\"count\":3,\"sum\":15,\"mean\":5,\"p50\":5,\"p90\":5,"
                                       "\"p99\":5,\"p999\":5,\"max\":5}"));
    const char *sizes = strstr(body, "\"sizes\":{");
    ck_assert_ptr_nonnull(sizes);
    ck_assert_ptr_nonnull(strstr(sizes, "\"append_bytes\":{"));
    ck_assert_ptr_nonnull(strstr(sizes, "\"recent\":{\"span_ms\":"));
}
END_TEST

START_TEST(never_heard_of_a_leader_is_null)
{
    harness.node.leader_contact_age_ms = UINT64_MAX;
    ck_assert_ptr_nonnull(strstr(get("/v1/status/node")->body, "\"leader_contact_age_ms\":null"));
}
END_TEST

START_TEST(members_carry_their_role_and_progress)
{
    struct node_view_member *learner = &harness.node.members[1];
    add_member(9, "node2", "127.0.0.2:8300");
    add_member(11, "node3", "127.0.0.3:8300");
    learner->is_learner = true;
    learner->wants_vote = true;
    learner->replaces = 11;
    harness.node.last_index = 120310;
    learner->has_progress = true;
    learner->match_index = 5;
    learner->commit_index = 4;
    learner->last_applied = 3;
    learner->contact_age_ms = 12;
    expect("GET", "/v1/cluster/members", "", 200,
           "[{\"id\":7,\"name\":\"node1\",\"peer_address\":\"127.0.0.1:8300\","
           "\"client_address\":\"127.0.0.1:8500\",\"role\":\"voter\",\"seen\":true},"
           "{\"id\":9,\"name\":\"node2\",\"peer_address\":\"127.0.0.2:8300\","
           "\"client_address\":\"\",\"role\":\"learner\",\"seen\":false,"
           "\"wants_vote\":true,\"replaces\":11,\"match_index\":5,\"last_index\":120310,"
           "\"progress\":\"matching 5 of "
           "120,310\",\"commit_index\":4,\"last_applied\":3,\"contact_age_ms\":12},"
           "{\"id\":11,\"name\":\"node3\",\"peer_address\":\"127.0.0.3:8300\","
           "\"client_address\":\"\",\"role\":\"leaving\",\"seen\":false}]");
}
END_TEST

/* Diss. 4.2.1: after ten rounds nobody goes on waiting. */
START_TEST(learner_that_does_not_keep_up_is_said_so)
{
    struct node_view_member *learner = &harness.node.members[1];
    add_member(9, "node2", "127.0.0.2:8300");
    learner->is_learner = true;
    learner->has_progress = true;
    harness.node.last_index = 120310;
    learner->match_index = 5;
    learner->catch_up_rounds = 9;
    const char *text = get("/v1/cluster/members")->body;
    ck_assert_ptr_nonnull(strstr(text, "\"matching 5 of 120,310\",\"catch_up_rounds\":9"));
    learner->catch_up_rounds = 12;
    text = get("/v1/cluster/members")->body;
    ck_assert_ptr_nonnull(
        strstr(text, "\"matching 5 of 120,310, too slow for the writes in 12 rounds\""));
}
END_TEST

START_TEST(a_snapshot_on_its_way_is_progress_too)
{
    struct node_view_member *member = &harness.node.members[1];
    add_member(9, "node2", "127.0.0.2:8300");
    member->has_progress = true;
    member->snapshot_sent = 1048576;
    member->snapshot_size = 9501495;
    ck_assert_ptr_nonnull(strstr(get("/v1/cluster/members")->body,
                                 "\"snapshot_sent\":1048576,\"snapshot_size\":9501495,"
                                 "\"progress\":\"snapshot 1,048,576 of 9,501,495\""));
}
END_TEST

START_TEST(a_full_house_of_members_fits_the_answer)
{
    char address[RK_ADDRESS_SIZE_MAX + 1];
    memset(address, '<', RK_ADDRESS_SIZE_MAX); /* the longest escape there is */
    address[RK_ADDRESS_SIZE_MAX] = '\0';
    while (harness.node.members_count < RAFT_MEMBERS_MAX) {
        add_member(9, "n", address);
    }
    ck_assert_uint_eq(get("/v1/cluster/members?pretty")->status, 200);
    ck_assert_uint_eq(get("/v1/status/peers")->status, 200);
}
END_TEST

/* design.md 3: 503 here and nowhere else. */
START_TEST(health_and_readiness_give_their_reason)
{
    expect("GET", "/healthz", "", 200, "ok");
    expect("GET", "/readyz", "", 200, "ready");
    ck_assert_str_eq(header("Content-Type"), "text/plain; charset=utf-8");
    harness.node.is_alive = false;
    snprintf(harness.node.not_alive_reason, sizeof(harness.node.not_alive_reason), "%s",
             "disk loop stuck for 3000 ms");
    harness.node.is_ready = false;
    snprintf(harness.node.not_ready_reason, sizeof(harness.node.not_ready_reason), "%s",
             "no leader");
    expect("GET", "/healthz", "", 503, "disk loop stuck for 3000 ms");
    expect("GET", "/readyz", "", 503, "no leader");
    expect("HEAD", "/readyz", "", 405, "");
}
END_TEST

START_TEST(the_root_answers_something_short)
{
    expect("GET", "/", "", 200, "RaftKV " PACKAGE_VERSION "\n");
}
END_TEST

START_TEST(case_63_access_control_is_off)
{
    static const char *const methods[] = {"GET", "PUT", "POST", "DELETE"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        expect(methods[i], "/v1/acl/list", "", 401, "ACL support disabled");
        expect(methods[i], "/v1/acl/info/x?token=root", "", 401, "ACL support disabled");
    }
    expect("PUT", "/v1/agent/token/default", "{}", 401, "ACL support disabled");
    expect("PUT", "/v1/kv/k?token=root", "x", 200, "true");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("status");
    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, case_62_the_leader_is_among_the_peers);
    tcase_add_test(tcase, without_a_leader_the_status_is_an_empty_string);
    tcase_add_test(tcase, status_of_another_datacenter_is_refused);
    tcase_add_test(tcase, status_node_is_this_nodes_view);
    tcase_add_test(tcase, stages_are_what_the_node_measured);
    tcase_add_test(tcase, never_heard_of_a_leader_is_null);
    tcase_add_test(tcase, members_carry_their_role_and_progress);
    tcase_add_test(tcase, learner_that_does_not_keep_up_is_said_so);
    tcase_add_test(tcase, a_snapshot_on_its_way_is_progress_too);
    tcase_add_test(tcase, a_full_house_of_members_fits_the_answer);
    tcase_add_test(tcase, health_and_readiness_give_their_reason);
    tcase_add_test(tcase, the_root_answers_something_short);
    tcase_add_test(tcase, case_63_access_control_is_off);
    return run_suite("api_status", tcase);
}
