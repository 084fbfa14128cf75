/* Who is well: written down by the leader, from the membership and from whom it hears, and only when
 * it changes. */
#include "node_fixture.h"

#include <string.h>

#include "base/frame.h"
#include "statemachine/feature.h"
#include "support/run.h"

enum { HEALTH_MS = 15000 };

static struct rk_bytes bytes_of(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

static raft_index last_index(void)
{
    return fixture.node->view.last.index;
}

/* `name` has all that this node has, and says so. */
static void hear(const char *name)
{
    struct fixture_post *post = fixture_post_to("/raft/append", name);
    ck_assert_ptr_nonnull(post);
    fixture_reply(
        "/raft/append", name,
        &(struct raft_message){
            .type = RAFT_APPEND_RESPONSE,
            .term = 1,
            .append_response = {.accepted = true, .match = last_index(), .sequence = last_index()},
        });
}

/* What was proposed becomes durable here and at n2, and is applied. */
static void commit(void)
{
    fixture_persist();
    hear("n2");
    fixture_persist();
    ck_assert_uint_eq(fixture.node->last_applied, last_index());
}

static void turn(void)
{
    fixture.node->health.due_ms = 0;
    node_health_turn(fixture.node);
}

/* Time goes on in turns, and n2 is heard all the while. */
static void pass(uint64_t ms)
{
    for (; ms > 0; ms -= 100) {
        fixture_wait(100);
        if (fixture_post_to("/raft/append", "n2") != NULL) {
            hear("n2");
        }
        node_health_turn(fixture.node);
    }
}

static bool is_known(const char *name, enum sm_check_status *ret)
{
    const struct sm_root root = sm_view(fixture.node->sm);
    struct sm_node found;

    if (!sm_node_get(&root, bytes_of(name), &found)) {
        return false;
    }
    *ret = found.status;
    return true;
}

static enum sm_check_status status_of(const char *name)
{
    enum sm_check_status status = SM_CHECK_CRITICAL;

    ck_assert_msg(is_known(name, &status), "%s is not known", name);
    return status;
}

/* All that a leader writes down at first, once it may: everybody is there and can read it. */
static void lead(void)
{
    fixture.others_level = FEATURE_LEVEL_MAX;
    fixture_lead();
    hear("n3");
    turn(); /* raises the cluster's level */
    commit();
    turn();
    commit();
}

START_TEST(leader_writes_down_itself_and_whom_it_hears)
{
    lead();
    ck_assert_int_eq(status_of("n1"), SM_CHECK_PASSING);
    ck_assert_int_eq(status_of("n2"), SM_CHECK_PASSING);
    ck_assert_int_eq(status_of("n3"), SM_CHECK_PASSING);
}
END_TEST

/* Pitfall 141: n3 has not said that it can read this. */
START_TEST(nothing_is_written_before_all_can_read_it)
{
    fixture_lead();
    const raft_index before = last_index();
    pass(HEALTH_MS);
    ck_assert_uint_eq(last_index(), before);
}
END_TEST

START_TEST(what_does_not_change_is_not_written)
{
    lead();
    const raft_index before = last_index();
    pass(HEALTH_MS - 1000);
    ck_assert_uint_eq(last_index(), before);
    ck_assert_uint_gt(node_health_deadline_ms(fixture.node), fixture.node->now_ms);
}
END_TEST

START_TEST(silent_member_is_critical_after_the_timeout_and_not_before)
{
    lead();
    const raft_index before = last_index();
    pass(HEALTH_MS - 100);
    ck_assert_uint_eq(last_index(), before);
    pass(300);
    ck_assert_uint_eq(last_index(), before + 1);
    commit();
    ck_assert_int_eq(status_of("n3"), SM_CHECK_CRITICAL);
    ck_assert_int_eq(status_of("n2"), SM_CHECK_PASSING);
}
END_TEST

/* Pitfall 131. */
START_TEST(one_batch_is_under_way_at_a_time)
{
    lead();
    pass(HEALTH_MS + 200);
    const raft_index before = last_index();
    fixture_wait(NODE_HEALTH_MS);
    turn();
    ck_assert_uint_eq(last_index(), before);
    ck_assert_uint_eq(node_health_deadline_ms(fixture.node), UINT64_MAX);
}
END_TEST

START_TEST(who_does_not_lead_says_nothing)
{
    fixture_form();
    const raft_index before = last_index();
    turn();
    ck_assert_uint_eq(last_index(), before);
    ck_assert_uint_eq(node_health_deadline_ms(fixture.node), UINT64_MAX);
}
END_TEST

/* A process that was stopped, or a machine that slept, has heard nobody for its own fault. */
START_TEST(leader_that_stood_still_counts_from_then)
{
    lead();
    pass(HEALTH_MS - 1000);
    const raft_index before = last_index();
    fixture.now_ms += HEALTH_MS;
    fixture.node->now_ms = fixture.now_ms;
    turn();
    ck_assert_uint_eq(last_index(), before);
}
END_TEST

/* Applied behind the node's back. */
static void apply(const struct sm_command *command)
{
    static raft_index index = 100;
    const struct sm_place place = {.term = 1, .index = ++index};
    struct sm_result result;
    struct rk_buf buf;

    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
    sm_command_encode(command, &buf);
    ck_assert_int_eq(sm_apply(fixture.node->sm, &place, rk_buf_bytes(&buf), &result), RK_OK);
    ck_assert(result.accepted);
    sm_result_done(&result);
    rk_buf_done(&buf);
}

/* The last entry that was handed to the disk. */
static struct sm_command last_command(void)
{
    struct sm_command command = {.type = SM_COMMAND_KV_PUT};
    const struct disk_job *job = fixture.jobs[fixture.jobs_count - 1];
    struct rk_frame frame;
    uint32_t size = 0;

    ck_assert_uint_gt(job->write.entries_count, 0);
    ck_assert_int_eq(rk_frame_read(job->entries[job->write.entries_count - 1].frame, &frame, &size),
                     RK_OK);
    ck_assert_int_eq(sm_command_decode(frame.body, &command), RK_OK);
    return command;
}

static void make_session(const char *node)
{
    apply(&(struct sm_command){.type = SM_COMMAND_SESSION_CREATE,
                               .session = {.id = {.bytes = {7}},
                                           .record = {.node = bytes_of(node),
                                                      .checks_count = 1,
                                                      .checks = {bytes_of("serfHealth")}}}});
}

/* The table as a leader before has left it, and who is tied to it. */
static void leave(const char *name, enum sm_check_status status)
{
    apply(&(struct sm_command){.type = SM_COMMAND_NODE_SET,
                               .node = {.term = 1,
                                        .name = bytes_of(name),
                                        .status = status,
                                        .id = 77,
                                        .address = bytes_of("127.0.0.1:1")}});
}

START_TEST(sessions_of_a_critical_member_end_before_it_passes)
{
    lead();
    make_session("n2");
    leave("n2", SM_CHECK_CRITICAL);
    turn();
    const struct sm_command command = last_command();
    ck_assert_int_eq(command.type, SM_COMMAND_NODE_CLEAR);
    ck_assert_mem_eq(command.node.name.data, "n2", 2);
    ck_assert(!command.node.is_gone);
}
END_TEST

START_TEST(former_member_is_critical_first_and_then_forgotten)
{
    lead();
    leave("n9", SM_CHECK_PASSING);
    turn();
    struct sm_command command = last_command();
    ck_assert_int_eq(command.type, SM_COMMAND_NODE_SET);
    ck_assert_int_eq(command.node.status, SM_CHECK_CRITICAL);
    ck_assert_mem_eq(command.node.name.data, "n9", 2);
    fixture.node->health.index = 0; /* as if it was applied */
    leave("n9", SM_CHECK_CRITICAL);
    turn();
    command = last_command();
    ck_assert_int_eq(command.type, SM_COMMAND_NODE_CLEAR);
    ck_assert(command.node.is_gone);
}
END_TEST

/* From before there was such a table. */
START_TEST(sessions_of_nobody_are_ended)
{
    lead();
    make_session("n9");
    turn();
    const struct sm_command command = last_command();
    ck_assert_int_eq(command.type, SM_COMMAND_NODE_CLEAR);
    ck_assert_mem_eq(command.node.name.data, "n9", 2);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_health");

    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, leader_writes_down_itself_and_whom_it_hears);
    tcase_add_test(tcase, nothing_is_written_before_all_can_read_it);
    tcase_add_test(tcase, what_does_not_change_is_not_written);
    tcase_add_test(tcase, silent_member_is_critical_after_the_timeout_and_not_before);
    tcase_add_test(tcase, one_batch_is_under_way_at_a_time);
    tcase_add_test(tcase, who_does_not_lead_says_nothing);
    tcase_add_test(tcase, leader_that_stood_still_counts_from_then);
    tcase_add_test(tcase, sessions_of_a_critical_member_end_before_it_passes);
    tcase_add_test(tcase, former_member_is_critical_first_and_then_forgotten);
    tcase_add_test(tcase, sessions_of_nobody_are_ended);
    return run_suite("node_health", tcase);
}
