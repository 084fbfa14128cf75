/* What Consul's clients look for before they start (contract 2.5, case 53). */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "support/run.h"
#include "unit/api_harness.h"

static json_t *answer;

static json_t *ask(const char *target)
{
    json_decref(answer);
    ck_assert_uint_eq(get(target)->status, 200);
    ck_assert_str_eq(header("Content-Type"), "application/json");
    answer = json_loads(harness.answer.body, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(answer);
    return answer;
}

static void setup(void)
{
    harness_open();
    harness.options.session_ttl_min_ms = 10000;
    harness.node.members[0].is_alive = true;
}

static void teardown(void)
{
    json_decref(answer);
    answer = NULL;
    harness_close();
}

static void add_member(raft_node_id id, const char *name, const char *peer_address, bool is_alive)
{
    struct node_view_member *member = &harness.node.members[harness.node.members_count++];

    member->id = id;
    member->is_alive = is_alive;
    member->is_voter = true;
    (void)snprintf(member->name, sizeof(member->name), "%s", name);
    (void)snprintf(member->peer_address, sizeof(member->peer_address), "%s", peer_address);
}

static const char *text_at(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

START_TEST(case_53_self_has_exactly_the_members_that_clients_compare)
{
    static const char *const names[] = {"Config", "Coord", "DebugConfig",
                                        "Member", "Meta",  "Stats"};
    const json_t *self = ask("/v1/agent/self");

    ck_assert_uint_eq(json_object_size(self), 6);
    for (size_t i = 0; i < 6; i++) {
        ck_assert_msg(json_object_get(self, names[i]) != NULL, "no %s", names[i]);
    }
    const json_t *config = json_object_get(self, "Config");
    ck_assert_str_eq(text_at(config, "Datacenter"), "dc1");
    ck_assert_str_eq(text_at(config, "NodeName"), "node1");
    ck_assert(json_is_true(json_object_get(config, "Server")));
    ck_assert_int_eq(json_integer_value(json_object_get(config, "SessionTTLMin")), 10000000000);
}
END_TEST

START_TEST(case_53_own_member_is_the_one_in_the_list_and_alive)
{
    add_member(9, "node2", "127.0.0.2:8300", true);
    json_t *self = json_incref(ask("/v1/agent/self"));
    const json_t *member = json_object_get(self, "Member");
    const json_t *members = ask("/v1/agent/members");

    ck_assert_uint_eq(json_array_size(members), 2);
    ck_assert(json_equal(member, json_array_get(members, 0)));
    ck_assert_int_eq(json_integer_value(json_object_get(member, "Status")), 1);
    ck_assert_str_eq(text_at(member, "Addr"), "127.0.0.1");
    ck_assert_int_eq(json_integer_value(json_object_get(member, "Port")), 8300);
    ck_assert_str_eq(text_at(json_object_get(member, "Tags"), "role"), "consul");
    json_decref(self);
}
END_TEST

START_TEST(case_53_leader_address_is_that_of_the_status)
{
    json_t *self = json_incref(ask("/v1/agent/self"));
    const json_t *consul = json_object_get(json_object_get(self, "Stats"), "consul");

    ck_assert_str_eq(text_at(consul, "leader_addr"), json_string_value(ask("/v1/status/leader")));
    ck_assert_str_eq(text_at(consul, "leader"), "true");
    json_decref(self);
}
END_TEST

/* Only the leader hears of everybody. */
START_TEST(member_that_does_not_answer_the_leader_has_failed)
{
    add_member(9, "node2", "[::1]:8300", false);
    const json_t *member = json_array_get(ask("/v1/agent/members"), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(member, "Status")), 4);
    ck_assert_str_eq(text_at(member, "Addr"), "::1");
    harness.node.leader = 9;
    member = json_array_get(ask("/v1/agent/members"), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(member, "Status")), 1);
}
END_TEST

START_TEST(wan_names_carry_the_datacenter)
{
    const json_t *member = json_array_get(ask("/v1/agent/members?wan=1"), 0);

    ck_assert_str_eq(text_at(member, "Name"), "node1.dc1");
}
END_TEST

START_TEST(node_of_no_cluster_yet_knows_itself)
{
    harness.node.members_count = 0;
    harness.node.has_leader = false;
    const json_t *self = ask("/v1/agent/self");
    ck_assert_str_eq(text_at(json_object_get(self, "Member"), "Name"), "node1");
}
END_TEST

START_TEST(version_and_datacenters_are_said)
{
    ck_assert_str_eq(text_at(ask("/v1/agent/version"), "HumanVersion"), PACKAGE_VERSION);
    expect("GET", "/v1/catalog/datacenters", "", 200, "[\"dc1\"]");
}
END_TEST

START_TEST(another_datacenter_is_refused)
{
    expect("GET", "/v1/agent/self?dc=dc2", "", 500, "No path to datacenter");
    expect("GET", "/v1/agent/members?dc=dc2", "", 500, "No path to datacenter");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_agent");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, case_53_self_has_exactly_the_members_that_clients_compare);
    tcase_add_test(tcase, case_53_own_member_is_the_one_in_the_list_and_alive);
    tcase_add_test(tcase, case_53_leader_address_is_that_of_the_status);
    tcase_add_test(tcase, member_that_does_not_answer_the_leader_has_failed);
    tcase_add_test(tcase, wan_names_carry_the_datacenter);
    tcase_add_test(tcase, node_of_no_cluster_yet_knows_itself);
    tcase_add_test(tcase, version_and_datacenters_are_said);
    tcase_add_test(tcase, another_datacenter_is_refused);
    return run_suite("api_agent", tcase);
}
