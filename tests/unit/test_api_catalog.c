/* The contract's cases about nodes, services and checks that concern the servers themselves. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "statemachine/command.h"
#include "support/run.h"
#include "unit/api_harness.h"

static struct rk_bytes bytes_of(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

/* What a leader writes down. */
static void set(const char *name, enum sm_check_status status, const char *address)
{
    const struct sm_command command = {.type = SM_COMMAND_NODE_SET,
                                       .node = {.term = 1,
                                                .name = bytes_of(name),
                                                .status = status,
                                                .id = 7,
                                                .address = bytes_of(address)}};
    const struct sm_place place = {.term = 1, .index = ++harness.index};
    struct sm_result result;
    struct rk_buf buf;

    rk_buf_init(&buf, 4096);
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(sm_apply(harness.sm, &place, rk_buf_bytes(&buf), &result), RK_OK);
    sm_result_done(&result);
    rk_buf_done(&buf);
}

static void set_two(void)
{
    set("n2", SM_CHECK_CRITICAL, "10.0.0.2:8300");
    set("n1", SM_CHECK_PASSING, "10.0.0.1:8300");
}

static uint32_t count_of(const char *part)
{
    uint32_t count = 0;

    for (const char *at = strstr(harness.answer.body, part); at != NULL;
         at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

START_TEST(case_54_services_hold_consul_and_the_agent_has_nothing)
{
    set("node1", SM_CHECK_PASSING, "127.0.0.1:8300");
    expect("GET", "/v1/catalog/services", "", 200, "{\"consul\":[]}");
    expect("GET", "/v1/agent/services", "", 200, "{}");
    expect("GET", "/v1/agent/checks", "", 200, "{}");
    (void)get("/v1/health/state/any");
    ck_assert_uint_eq(count_of("\"ServiceID\":\"\""), 1);
    ck_assert_uint_eq(count_of("CheckID"), 1);
}
END_TEST

START_TEST(node_has_all_members_of_the_contract)
{
    char expected[512];

    set("n1", SM_CHECK_PASSING, "[::1]:8300");
    (void)snprintf(expected, sizeof(expected),
                   "[{\"ID\":\"7\",\"Node\":\"n1\",\"Address\":\"::1\",\"Datacenter\":\"dc1\","
                   "\"TaggedAddresses\":{\"lan\":\"::1\",\"wan\":\"::1\"},\"Meta\":{},"
                   "\"CreateIndex\":%llu,\"ModifyIndex\":%llu}]",
                   (unsigned long long)harness.index, (unsigned long long)harness.index);
    expect("GET", "/v1/catalog/nodes", "", 200, expected);
    ck_assert_uint_eq(header_u64("X-Consul-Index"), harness.index);
    ck_assert_str_eq(header("X-Consul-Knownleader"), "true");
    ck_assert_str_eq(header("X-Consul-Effective-Consistency"), "leader");
}
END_TEST

START_TEST(case_60_order_is_that_of_the_names)
{
    set_two();
    (void)get("/v1/catalog/nodes");
    ck_assert(strstr(harness.answer.body, "\"n1\"") < strstr(harness.answer.body, "\"n2\""));
    expect("GET", "/v1/catalog/node/n3", "", 200, "null");
    expect("GET", "/v1/catalog/node-services/n3", "", 200, "{\"Node\":null,\"Services\":[]}");
    (void)get("/v1/catalog/node/n1");
    ck_assert_uint_eq(count_of("\"Services\":{\"consul\":{\"ID\":\"consul\""), 1);
    ck_assert_uint_eq(count_of("\"Port\":8300"), 1);
    (void)get("/v1/catalog/node-services/n1");
    ck_assert_uint_eq(count_of("\"Services\":[{\"ID\":\"consul\""), 1);
}
END_TEST

/* Traefik pairs the two lists by position. */
START_TEST(case_61_catalog_and_health_list_the_same_instances_in_one_order)
{
    static const char *const lists[] = {"/v1/catalog/service/consul", "/v1/health/service/consul"};

    set_two();
    for (int i = 0; i < 2; i++) {
        (void)get(lists[i]);
        const char *first = strstr(harness.answer.body, "\"Node\":\"n1\"");
        const char *second = strstr(harness.answer.body, "\"Node\":\"n2\"");
        ck_assert_msg(first != NULL && second != NULL && first < second, "%s", harness.answer.body);
        ck_assert_uint_eq(header_u64("X-Consul-Index"), harness.index);
    }
}
END_TEST

START_TEST(instance_has_all_members_of_the_contract)
{
    static const char *const members[] = {
        "ID",
        "Node",
        "Address",
        "Datacenter",
        "TaggedAddresses",
        "NodeMeta",
        "ServiceKind",
        "ServiceID",
        "ServiceName",
        "ServiceTags",
        "ServiceAddress",
        "ServiceWeights",
        "ServiceMeta",
        "ServicePort",
        "ServiceSocketPath",
        "ServiceEnableTagOverride",
        "ServiceProxy",
        "ServiceConnect",
        "CreateIndex",
        "ModifyIndex",
    };

    set("n1", SM_CHECK_PASSING, "10.0.0.1:8300");
    (void)get("/v1/catalog/service/consul");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        char part[64];
        (void)snprintf(part, sizeof(part), "\"%s\":", members[i]);
        ck_assert_msg(count_of(part) == 1, "%s in %s", part, harness.answer.body);
    }
}
END_TEST

START_TEST(check_says_how_the_node_is)
{
    set_two();
    (void)get("/v1/health/node/n2");
    ck_assert_uint_eq(count_of("\"Node\":\"n2\",\"CheckID\":\"serfHealth\",\"Name\":\"Serf Health "
                               "Status\",\"Status\":\"critical\",\"Notes\":\"\",\"Output\":\"Agent "
                               "not live or unreachable\",\"ServiceID\":\"\""),
                      1);
    (void)get("/v1/health/node/n1");
    ck_assert_uint_eq(count_of("\"Status\":\"passing\",\"Notes\":\"\",\"Output\":\"Agent alive and "
                               "reachable\""),
                      1);
    expect("GET", "/v1/health/node/n3", "", 200, "[]");
}
END_TEST

START_TEST(state_lists_the_checks_that_are_in_it)
{
    set_two();
    (void)get("/v1/health/state/any");
    ck_assert_uint_eq(count_of("CheckID"), 2);
    (void)get("/v1/health/state/critical");
    ck_assert_uint_eq(count_of("CheckID"), 1);
    ck_assert_uint_eq(count_of("\"n2\""), 1);
    (void)get("/v1/health/state/passing");
    ck_assert_uint_eq(count_of("\"n1\""), 1);
    expect("GET", "/v1/health/state/warning", "", 200, "[]");
}
END_TEST

START_TEST(passing_leaves_out_nodes_that_are_critical)
{
    static const char *const on[] = {"passing", "passing=1", "passing=true"};

    set_two();
    for (int i = 0; i < 3; i++) {
        char target[64];
        (void)snprintf(target, sizeof(target), "/v1/health/service/consul?%s", on[i]);
        (void)get(target);
        ck_assert_uint_eq(count_of("\"CheckID\""), 1);
    }
    (void)get("/v1/health/service/consul?passing=0");
    ck_assert_uint_eq(count_of("\"CheckID\""), 2);
    expect("GET", "/v1/health/service/consul?passing=x", "", 400, "Invalid value for ?passing");
}
END_TEST

START_TEST(what_is_not_there_is_an_empty_list)
{
    static const char *const targets[] = {
        "/v1/catalog/service/web",         "/v1/health/service/web",
        "/v1/health/checks/consul",        "/v1/health/connect/consul",
        "/v1/health/ingress/consul",       "/v1/catalog/service/consul?tag=t",
        "/v1/catalog/nodes?node-meta=a:b", "/v1/health/service/consul?tag=t",
    };

    set_two();
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        expect("GET", targets[i], "", 200, "[]");
        ck_assert_uint_ge(header_u64("X-Consul-Index"), 1);
    }
}
END_TEST

START_TEST(name_that_is_missing_is_refused)
{
    expect("GET", "/v1/catalog/node/", "", 400, "Missing node name");
    expect("GET", "/v1/catalog/service/", "", 400, "Missing service name");
    expect("GET", "/v1/health/node/", "", 400, "Missing node name");
    expect("GET", "/v1/health/service/", "", 400, "Missing service name");
    expect("GET", "/v1/health/state/", "", 400, "Missing check state");
    expect("GET", "/v1/catalog/nodes?dc=dc2", "", 500, "No path to datacenter");
    expect("GET", "/v1/catalog/nodes?filter=Node%20is%20empty", "", 400, "filter is not supported");
}
END_TEST

/* Contract 1.7: each list waits for its own part. */
START_TEST(reads_wait_for_their_own_part)
{
    static const struct {
        const char *target;
        enum sm_topic_kind kind;
    } reads[] = {
        {"/v1/catalog/nodes?index=9", SM_TOPIC_NODES},
        {"/v1/catalog/services?index=9", SM_TOPIC_NODES},
        {"/v1/catalog/node/n1?index=9", SM_TOPIC_NODES},
        {"/v1/catalog/service/consul?index=9", SM_TOPIC_CATALOG},
        {"/v1/health/service/consul?index=9", SM_TOPIC_CATALOG},
        {"/v1/health/node/n1?index=9", SM_TOPIC_CHECKS},
        {"/v1/health/state/any?index=9", SM_TOPIC_CHECKS},
    };

    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        ck_assert_int_eq(get(reads[i].target)->topic_kind, reads[i].kind);
    }
}
END_TEST

START_TEST(session_on_a_critical_node_is_refused_with_the_reason)
{
    set("node1", SM_CHECK_CRITICAL, "127.0.0.1:8300");
    expect("PUT", "/v1/session/create", "", 500, "Check 'serfHealth' is in critical state");
    ck_assert_uint_eq(put("/v1/session/create", "{\"Checks\":[]}")->status, 200);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_catalog");

    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, case_54_services_hold_consul_and_the_agent_has_nothing);
    tcase_add_test(tcase, node_has_all_members_of_the_contract);
    tcase_add_test(tcase, case_60_order_is_that_of_the_names);
    tcase_add_test(tcase, case_61_catalog_and_health_list_the_same_instances_in_one_order);
    tcase_add_test(tcase, instance_has_all_members_of_the_contract);
    tcase_add_test(tcase, check_says_how_the_node_is);
    tcase_add_test(tcase, state_lists_the_checks_that_are_in_it);
    tcase_add_test(tcase, passing_leaves_out_nodes_that_are_critical);
    tcase_add_test(tcase, what_is_not_there_is_an_empty_list);
    tcase_add_test(tcase, name_that_is_missing_is_refused);
    tcase_add_test(tcase, reads_wait_for_their_own_part);
    tcase_add_test(tcase, session_on_a_critical_node_is_refused_with_the_reason);
    return run_suite("api_catalog", tcase);
}
