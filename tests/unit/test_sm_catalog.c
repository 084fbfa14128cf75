/* The cluster's own nodes in the state machine: what the leader says of them, and whose sessions end
 * with them. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "statemachine/sm.h"
#include "statemachine/watch.h"
#include "support/run.h"
#include "support/sm_commands.h"

static struct sm *sm;
static struct rk_buf buf;
static raft_index last_index;

static void setup(void)
{
    sm = sm_new();
    last_index = 10;
    sm_now_ms = 1000;
    rk_buf_init(&buf, 4096);
}

static void teardown(void)
{
    sm_free(sm);
    rk_buf_done(&buf);
}

static raft_index set(const char *name, enum sm_check_status status, raft_node_id id)
{
    const struct sm_command command = {.type = SM_COMMAND_NODE_SET,
                                       .node = {.term = 1,
                                                .name = bytes_of(name),
                                                .status = status,
                                                .id = id,
                                                .address = bytes_of("127.0.0.1:8300")}};

    (void)sm_do(sm, ++last_index, &command);
    return last_index;
}

static raft_index clear(const char *name, bool is_gone)
{
    const struct sm_command command = {
        .type = SM_COMMAND_NODE_CLEAR,
        .node = {.term = 1, .name = bytes_of(name), .is_gone = is_gone}};

    (void)sm_do(sm, ++last_index, &command);
    return last_index;
}

static enum sm_reason create(uint8_t session, const char *node, bool has_check)
{
    const struct sm_command command = {.type = SM_COMMAND_SESSION_CREATE,
                                       .session = {.id = {.bytes = {session}},
                                                   .record = {.behavior = SESSION_RELEASE,
                                                              .lock_delay_ns = 5000000000,
                                                              .node = bytes_of(node),
                                                              .checks_count = has_check,
                                                              .checks = {bytes_of("serfHealth")}}}};

    return sm_do(sm, ++last_index, &command).reason;
}

static struct sm_result acquire(const char *key, uint8_t session)
{
    return sm_do(sm, ++last_index,
                 &(struct sm_command){.type = SM_COMMAND_KV_OP,
                                      .op = {.verb = SM_KV_LOCK,
                                             .key = bytes_of(key),
                                             .has_session = true,
                                             .session = {.bytes = {session}}}});
}

static bool session_exists(uint8_t session)
{
    const struct sm_root root = sm_publish(sm);
    const struct session_id id = {.bytes = {session}};
    struct sm_session found;

    return sm_session_get(&root, &id, &found);
}

static bool node_get(const char *name, struct sm_node *ret)
{
    const struct sm_root root = sm_publish(sm);

    return sm_node_get(&root, bytes_of(name), ret);
}

/* --- the commands, as bytes --- */

static struct sm_command node_set_command(void)
{
    return (struct sm_command){.type = SM_COMMAND_NODE_SET,
                               .node = {.term = 7,
                                        .name = bytes_of("n1"),
                                        .status = SM_CHECK_CRITICAL,
                                        .id = 9,
                                        .address = bytes_of("h:1")}};
}

static struct sm_command node_clear_command(void)
{
    return (struct sm_command){.type = SM_COMMAND_NODE_CLEAR,
                               .node = {.term = 7, .name = bytes_of("n1"), .is_gone = true}};
}

static struct sm_command node_command(int nth)
{
    return nth == 0 ? node_set_command() : node_clear_command();
}

static void check_golden(int nth, const char *expected)
{
    const struct sm_command command = node_command(nth);
    char hex[128] = "";

    sm_command_encode(&command, &buf);
    for (uint32_t i = 0; i < buf.size; i++) {
        (void)snprintf(hex + 2 * (size_t)i, 3, "%02x", buf.data[i]);
    }
    ck_assert_str_eq(hex, expected);
}

static bool is_text(struct rk_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

START_TEST(node_set_is_encoded_as_in_version_1)
{
    struct sm_command command;

    check_golden(0, "1401000003020300070000000000000009000000000000006e31683a31");
    ck_assert_int_eq(sm_command_decode(rk_buf_bytes(&buf), &command), RK_OK);
    ck_assert_int_eq(command.node.status, SM_CHECK_CRITICAL);
    ck_assert_uint_eq(command.node.term, 7);
    ck_assert_uint_eq(command.node.id, 9);
    ck_assert(is_text(command.node.name, "n1"));
    ck_assert(is_text(command.node.address, "h:1"));
}
END_TEST

START_TEST(node_clear_is_encoded_as_in_version_1)
{
    struct sm_command command;

    check_golden(1, "150100000102000007000000000000006e31");
    ck_assert_int_eq(sm_command_decode(rk_buf_bytes(&buf), &command), RK_OK);
    ck_assert(command.node.is_gone);
    ck_assert(is_text(command.node.name, "n1"));
}
END_TEST

/* Cut anywhere, copied so that a sanitizer sees a read behind the end; or with a byte too many. */
START_TEST(node_command_of_wrong_size_is_corrupt)
{
    struct sm_command command = node_command(_i);

    sm_command_encode(&command, &buf);
    for (uint32_t size = 0; size < buf.size; size++) {
        uint8_t *cut = rk_heap_alloc(size);
        memcpy(cut, buf.data, size);
        ck_assert_int_eq(sm_command_decode((struct rk_bytes){.data = cut, .size = size}, &command),
                         RK_CORRUPT);
        rk_heap_free(cut);
    }
    rk_buf_append_byte(&buf, 0);
    ck_assert_int_eq(sm_command_decode(rk_buf_bytes(&buf), &command), RK_CORRUPT);
}
END_TEST

START_TEST(node_command_with_a_status_that_is_none_is_corrupt)
{
    struct sm_command command = node_command(_i);

    sm_command_encode(&command, &buf);
    buf.data[4] = 2;
    ck_assert_int_eq(sm_command_decode(rk_buf_bytes(&buf), &command), RK_CORRUPT);
}
END_TEST

/* It is the leader's alone to say. */
START_TEST(node_command_is_not_one_that_is_done_once)
{
    struct sm_command command = node_command(_i);
    struct rk_buf inner;

    rk_buf_init(&inner, 256);
    sm_command_encode(&command, &inner);
    command = (struct sm_command){
        .type = SM_COMMAND_ONCE,
        .once = {.token = bytes_of("t"), .window_ms = 1, .command = rk_buf_bytes(&inner)}};
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(sm_command_decode(rk_buf_bytes(&buf), &command), RK_CORRUPT);
    rk_buf_done(&inner);
}
END_TEST

/* --- nodes --- */

START_TEST(node_is_there_as_the_leader_said)
{
    struct sm_node node;
    const raft_index index = set("n1", SM_CHECK_PASSING, 7);

    ck_assert(node_get("n1", &node));
    ck_assert_uint_eq(node.id, 7);
    ck_assert_int_eq(node.status, SM_CHECK_PASSING);
    ck_assert_uint_eq(node.create_index, index);
    ck_assert_uint_eq(node.modify_index, index);
    ck_assert_uint_eq(node.check_modify_index, index);
    ck_assert_uint_eq(node.address.size, strlen("127.0.0.1:8300"));
    ck_assert(!node_get("n2", &node));
    ck_assert(!node_get("", &node));
}
END_TEST

START_TEST(nodes_come_in_the_order_of_their_names)
{
    struct sm_node node = {.name = bytes_of("")};
    (void)set("n2", SM_CHECK_PASSING, 2);
    (void)set("n1", SM_CHECK_PASSING, 1);
    const struct sm_root root = sm_publish(sm);

    ck_assert(sm_node_next(&root, node.name, &node));
    ck_assert_uint_eq(node.id, 1);
    ck_assert(sm_node_next(&root, node.name, &node));
    ck_assert_uint_eq(node.id, 2);
    ck_assert(!sm_node_next(&root, node.name, &node));
}
END_TEST

/* A status is no change of the node: who waits for nodes sleeps on. */
START_TEST(status_and_node_have_indexes_of_their_own)
{
    struct sm_node node;
    const raft_index first = set("n1", SM_CHECK_PASSING, 7);
    const raft_index second = set("n1", SM_CHECK_CRITICAL, 7);
    struct sm_root root = sm_publish(sm);

    ck_assert_uint_eq(sm_nodes_index(&root), first);
    ck_assert_uint_eq(sm_checks_index(&root), second);
    ck_assert(node_get("n1", &node));
    ck_assert_uint_eq(node.modify_index, first);
    ck_assert_uint_eq(node.check_modify_index, second);
    ck_assert_uint_eq(sm_catalog_index(&root), second);
    const raft_index third = set("n1", SM_CHECK_CRITICAL, 8);
    root = sm_publish(sm);
    ck_assert_uint_eq(sm_nodes_index(&root), third);
    ck_assert_uint_eq(sm_checks_index(&root), second);
}
END_TEST

START_TEST(what_is_so_already_changes_no_index)
{
    const raft_index first = set("n1", SM_CHECK_PASSING, 7);

    (void)set("n1", SM_CHECK_PASSING, 7);
    const struct sm_root root = sm_publish(sm);
    ck_assert_uint_eq(sm_catalog_index(&root), first);
}
END_TEST

/* Pitfall 123: it says what the leader of that term saw. */
START_TEST(word_of_another_term_says_nothing)
{
    struct sm_node node;
    struct sm_command command = {
        .type = SM_COMMAND_NODE_SET,
        .node = {.term = 2, .name = bytes_of("n1"), .status = SM_CHECK_PASSING, .id = 7}};

    (void)sm_do(sm, ++last_index, &command);
    ck_assert(!node_get("n1", &node));
    (void)set("n1", SM_CHECK_CRITICAL, 7);
    ck_assert_int_eq(create(1, "n2", true), SM_DONE);
    command = (struct sm_command){.type = SM_COMMAND_NODE_CLEAR,
                                  .node = {.term = 2, .name = bytes_of("n2")}};
    (void)sm_do(sm, ++last_index, &command);
    ck_assert(session_exists(1));
}
END_TEST

START_TEST(session_on_a_critical_check_is_refused_and_one_without_is_not)
{
    (void)set("n1", SM_CHECK_CRITICAL, 7);
    ck_assert_int_eq(create(1, "n1", true), SM_CHECK_IS_CRITICAL);
    ck_assert_int_eq(create(2, "n1", false), SM_DONE);
    (void)set("n1", SM_CHECK_PASSING, 7);
    ck_assert_int_eq(create(1, "n1", true), SM_DONE);
}
END_TEST

/* Contract 2.4: one entry lets the keys go, and delays them. */
START_TEST(clearing_ends_who_is_tied_with_locks_and_delay)
{
    struct sm_kv_entry entry;
    (void)set("n1", SM_CHECK_PASSING, 7);
    (void)set("n2", SM_CHECK_PASSING, 8);
    ck_assert_int_eq(create(1, "n1", true), SM_DONE);
    ck_assert_int_eq(create(2, "n1", false), SM_DONE);
    ck_assert_int_eq(create(3, "n2", true), SM_DONE);
    ck_assert(acquire("k", 1).accepted);
    (void)set("n1", SM_CHECK_CRITICAL, 7);
    ck_assert_uint_eq(sm_tied_count(sm, bytes_of("n1")), 1);
    const raft_index index = clear("n1", false);

    const struct sm_root root = sm_publish(sm);
    ck_assert(!session_exists(1));
    ck_assert(session_exists(2));
    ck_assert(session_exists(3));
    ck_assert(sm_kv_get(&root, bytes_of("k"), &entry));
    ck_assert(!entry.is_locked);
    ck_assert_uint_eq(entry.modify_index, index);
    ck_assert_int_eq(acquire("k", 3).reason, SM_LOCK_DELAYED);
    ck_assert_uint_eq(sm_tied_count(sm, bytes_of("n1")), 0);
}
END_TEST

START_TEST(history_says_that_a_check_was_the_cause)
{
    struct sm_event_cursor cursor;
    struct sm_event event;
    (void)set("n1", SM_CHECK_PASSING, 7);
    (void)create(1, "n1", true);
    (void)acquire("k", 1);
    (void)set("n1", SM_CHECK_CRITICAL, 7);
    const raft_index index = clear("n1", false);
    const struct sm_root root = sm_publish(sm);

    ck_assert(sm_events_seek(
        &cursor, &root,
        (struct sm_event_place){.index = index - 1, .sequence = SM_EVENT_SEQUENCE_LAST}));
    ck_assert(sm_events_next(&cursor, &event));
    ck_assert_int_eq(event.cause, SM_CAUSE_CHECK);
}
END_TEST

/* The leader is wrong, or late: the check has become well again. */
START_TEST(clearing_a_passing_node_ends_nobody)
{
    (void)set("n1", SM_CHECK_PASSING, 7);
    ck_assert_int_eq(create(1, "n1", true), SM_DONE);
    (void)clear("n1", true);
    ck_assert(session_exists(1));
}
END_TEST

/* Not more than one entry may end: the rest by the next one, and only then the node goes. */
START_TEST(node_goes_when_nobody_is_tied_any_more)
{
    struct sm_node node;
    (void)set("n1", SM_CHECK_PASSING, 7);
    for (uint32_t i = 0; i < SM_EXPIRE_ITEMS_MAX + 1; i++) {
        const struct sm_command command = {
            .type = SM_COMMAND_SESSION_CREATE,
            .session = {.id = {.bytes = {(uint8_t)i, (uint8_t)(i >> 8), 1}},
                        .record = {.node = bytes_of("n1"),
                                   .checks_count = 1,
                                   .checks = {bytes_of("serfHealth")}}}};
        (void)sm_do(sm, ++last_index, &command);
    }
    (void)set("n1", SM_CHECK_CRITICAL, 7);
    (void)clear("n1", true);
    ck_assert_uint_eq(sm_tied_count(sm, bytes_of("n1")), 1);
    ck_assert(node_get("n1", &node));
    const raft_index index = clear("n1", true);
    const struct sm_root root = sm_publish(sm);
    ck_assert_uint_eq(sm_tied_count(sm, bytes_of("n1")), 0);
    ck_assert(!node_get("n1", &node));
    ck_assert_uint_eq(sm_nodes_index(&root), index);
    ck_assert_uint_eq(sm_checks_index(&root), index);
}
END_TEST

START_TEST(nodes_that_sessions_are_tied_to_are_named_once_each)
{
    struct rk_bytes name = {.data = NULL, .size = 0};
    (void)create(1, "n1", true);
    (void)create(2, "n1", true);
    (void)create(3, "n10", true);
    (void)create(4, "n2", false);

    ck_assert(sm_tied_next(sm, name, &name));
    ck_assert_uint_eq(name.size, 2);
    ck_assert(sm_tied_next(sm, name, &name));
    ck_assert_uint_eq(name.size, 3);
    ck_assert(!sm_tied_next(sm, name, &name));
    ck_assert_uint_eq(sm_tied_count(sm, bytes_of("n1")), 2);
}
END_TEST

/* Who waits for checks is woken by a status, who waits for nodes is not. */
START_TEST(waiters_wake_for_their_own_part)
{
    struct sm_watch_set *waits = sm_watch_set_new();
    uint32_t budget = 100;
    struct sm_watcher nodes = {.group = NULL};
    struct sm_watcher checks = {.group = NULL};
    const struct sm_topic of_nodes = {.kind = SM_TOPIC_NODES};
    const struct sm_topic of_checks = {.kind = SM_TOPIC_CHECKS};
    const raft_index index = set("n1", SM_CHECK_PASSING, 7);
    struct sm_root root = sm_publish(sm);

    sm_watch_advance(waits, &root);
    ck_assert(sm_watch_add(waits, &of_nodes, index, &nodes));
    ck_assert(sm_watch_add(waits, &of_checks, index, &checks));
    (void)set("n1", SM_CHECK_CRITICAL, 7);
    root = sm_publish(sm);
    sm_watch_advance(waits, &root);
    ck_assert_ptr_eq(sm_watch_next(waits, &budget), &checks);
    ck_assert_ptr_null(sm_watch_next(waits, &budget));
    sm_watch_remove(waits, &nodes);
    sm_watch_set_free(waits);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("sm_catalog");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, node_set_is_encoded_as_in_version_1);
    tcase_add_test(tcase, node_clear_is_encoded_as_in_version_1);
    tcase_add_loop_test(tcase, node_command_of_wrong_size_is_corrupt, 0, 2);
    tcase_add_loop_test(tcase, node_command_with_a_status_that_is_none_is_corrupt, 0, 2);
    tcase_add_loop_test(tcase, node_command_is_not_one_that_is_done_once, 0, 2);
    tcase_add_test(tcase, node_is_there_as_the_leader_said);
    tcase_add_test(tcase, nodes_come_in_the_order_of_their_names);
    tcase_add_test(tcase, status_and_node_have_indexes_of_their_own);
    tcase_add_test(tcase, what_is_so_already_changes_no_index);
    tcase_add_test(tcase, word_of_another_term_says_nothing);
    tcase_add_test(tcase, session_on_a_critical_check_is_refused_and_one_without_is_not);
    tcase_add_test(tcase, clearing_ends_who_is_tied_with_locks_and_delay);
    tcase_add_test(tcase, history_says_that_a_check_was_the_cause);
    tcase_add_test(tcase, clearing_a_passing_node_ends_nobody);
    tcase_add_test(tcase, node_goes_when_nobody_is_tied_any_more);
    tcase_add_test(tcase, nodes_that_sessions_are_tied_to_are_named_once_each);
    tcase_add_test(tcase, waiters_wake_for_their_own_part);
    return run_suite("sm_catalog", tcase);
}
