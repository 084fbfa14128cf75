/* Replicas compare the digests of their states, and the one that differs is told, and believes it. */
#include "node_fixture.h"

#include <string.h>

#include "support/run.h"
#include "support/sm_commands.h"

enum { INDEX = NODE_CHECK_EVERY, OTHER = 1 };

/* Leads, and holds a digest at INDEX. */
static void lead(void)
{
    fixture_lead();
    fixture.node->last_applied = INDEX;
    node_check_applied(fixture.node, INDEX);
    node_check_turn(fixture.node);
    fixture_wait(fixture.options.heartbeat_interval_ms);
}

static uint64_t own_digest(void)
{
    return sm_digest_now(fixture.node->sm);
}

/* Answers the newest heartbeat, and says that its digest at `index` is so. */
static void answer(const char *name, raft_index index, uint64_t digest)
{
    const struct raft_message heartbeat = {
        .type = RAFT_HEARTBEAT_RESPONSE,
        .term = 1,
        .heartbeat_response = {.last = 1},
    };

    fixture.others_check.index = index;
    fixture.others_check.digest = digest;
    fixture_reply("/raft/append", name, &heartbeat);
}

/* What the newest heartbeat asks and says. */
static struct wire_check asked(const char *name)
{
    static struct wire_message message;
    const char *reason = NULL;
    const struct fixture_post *post = fixture_post_to("/raft/append", name);

    ck_assert_ptr_nonnull(post);
    ck_assert_int_eq(
        wire_decode_message(rk_buf_bytes(&post->body), "/raft/append", true, &message, &reason),
        RK_OK);
    ck_assert_int_eq(message.message.type, RAFT_HEARTBEAT_REQUEST);
    return message.envelope.check;
}

static void judge_next(void)
{
    node_check_turn(fixture.node);
    fixture_wait(fixture.options.heartbeat_interval_ms);
}

START_TEST(the_leader_asks_at_an_entry_that_all_come_by)
{
    lead();
    ck_assert_uint_eq(asked("n2").index, INDEX);
    ck_assert_uint_eq(asked("n3").index, INDEX);
    ck_assert_uint_eq(asked("n3").differs, 0);
}
END_TEST

START_TEST(equal_states_accuse_nobody_and_end_the_round)
{
    lead();
    answer("n2", INDEX, own_digest());
    answer("n3", INDEX, own_digest());
    judge_next();
    ck_assert_uint_eq(asked("n2").index, 0);
    ck_assert_uint_eq(asked("n2").differs, 0);
    ck_assert_uint_eq(asked("n3").differs, 0);
}
END_TEST

START_TEST(one_that_differs_is_named_and_told)
{
    struct node_view view;

    lead();
    answer("n2", INDEX, own_digest());
    answer("n3", INDEX, own_digest() + OTHER);
    judge_next();
    ck_assert_uint_eq(asked("n2").differs, 0);
    ck_assert_uint_eq(asked("n3").differs, INDEX);
    node_view_update(fixture.node);
    node_view_copy(fixture.node, &view);
    for (uint32_t i = 0; i < view.members_count; i++) {
        ck_assert_uint_eq(view.members[i].differs,
                          strcmp(view.members[i].name, "n3") == 0 ? INDEX : 0);
    }
}
END_TEST

/* It knows, and says so itself; it is told no more, and what it holds is not counted. */
START_TEST(one_that_knows_that_it_differs_is_left_alone)
{
    lead();
    fixture.others_check.differs = INDEX;
    answer("n3", INDEX, own_digest() + OTHER);
    fixture.others_check.differs = 0;
    answer("n2", INDEX, own_digest());
    judge_next();
    ck_assert_uint_eq(asked("n3").differs, 0);
    ck_assert_uint_eq(fixture_peer("n3")->differs, INDEX);
}
END_TEST

START_TEST(a_leader_that_is_the_odd_one_ends_itself)
{
    lead();
    fixture.is_end_expected = true;
    fixture.end_status = RK_DIFFERS;
    answer("n2", INDEX, own_digest() + OTHER);
    answer("n3", INDEX, own_digest() + OTHER);
    judge_next();
}
END_TEST

START_TEST(without_a_quorum_nobody_is_accused)
{
    lead();
    answer("n2", INDEX, own_digest() + OTHER);
    fixture.node->now_ms += 2 * (uint64_t)fixture.options.election_timeout_ms;
    node_check_turn(fixture.node); /* n3 does not answer */
    ck_assert_uint_eq(fixture_peer("n2")->found_to_differ, 0);
    ck_assert_uint_eq(fixture_peer("n3")->found_to_differ, 0);
}
END_TEST

START_TEST(what_one_side_does_not_have_is_no_difference)
{
    lead();
    answer("n2", INDEX, own_digest());
    answer("n3", 0, 0);
    fixture.node->now_ms += 2 * (uint64_t)fixture.options.election_timeout_ms;
    node_check_turn(fixture.node);
    ck_assert_uint_eq(fixture.node->check.judged, INDEX);
    ck_assert_uint_eq(fixture_peer("n3")->found_to_differ, 0);
}
END_TEST

/* After a snapshot came in there is nothing left of the former state to be asked about. */
START_TEST(a_state_that_was_replaced_is_not_judged_by_the_former)
{
    struct wire_check said;

    lead();
    fixture.node->check.differs = INDEX;
    node_check_replaced(fixture.node);
    node_check_answer(fixture.node, INDEX, &said);
    ck_assert_uint_eq(said.index, 0);
    ck_assert_uint_eq(said.differs, 0);
}
END_TEST

START_TEST(the_digest_is_told_at_the_entry_that_was_asked_for)
{
    struct wire_check said;

    lead();
    node_check_answer(fixture.node, INDEX, &said);
    ck_assert_uint_eq(said.index, INDEX);
    ck_assert_uint_eq(said.digest, own_digest());
    node_check_answer(fixture.node, (raft_index)INDEX * (NODE_CHECK_MARKS + 1), &said);
    ck_assert_uint_eq(said.index, 0);
}
END_TEST

/* -- the one that is told -- */

static struct http_exchange exchange;

/* n2 leads term 5, and says this with its heartbeat. */
static void heartbeat(raft_index differs, bool is_repair)
{
    const struct raft_message message = {.type = RAFT_HEARTBEAT_REQUEST, .term = 5};

    fixture.others_check = (struct wire_check){.differs = differs, .is_repair = is_repair};
    fixture_receive(&exchange, "n2", &message);
}

START_TEST(a_follower_believes_its_leader)
{
    fixture_form();
    fixture.node->last_applied = INDEX;
    fixture.is_end_expected = true;
    fixture.end_status = RK_DIFFERS;
    heartbeat(INDEX, false);
}
END_TEST

START_TEST(nobody_but_its_leader_is_believed)
{
    const struct raft_message message = {.type = RAFT_HEARTBEAT_REQUEST, .term = 4};

    fixture_form();
    heartbeat(0, false);
    fixture_persist(); /* the answer waits for the term */
    fixture_exchange_done(&exchange);
    fixture.node->last_applied = INDEX;
    fixture.others_check = (struct wire_check){.differs = INDEX};
    fixture_receive(&exchange, "n3", &message);
    fixture_exchange_done(&exchange);
}
END_TEST

START_TEST(repair_is_for_those_that_differ)
{
    fixture_form();
    heartbeat(0, true);
    fixture_exchange_done(&exchange);
}
END_TEST

START_TEST(one_that_differs_begins_anew_at_its_leaders_word)
{
    fixture_form();
    fixture.node->check.differs = INDEX;
    heartbeat(0, true);
    fixture_exchange_done(&exchange);
    fixture.now_ms += NODE_REPAIR_MS; /* the answer to who asked is on its way by now */
    fixture.is_end_expected = true;
    fixture.end_status = RK_DIFFERS;
    heartbeat(0, true);
}
END_TEST

START_TEST(one_that_differs_gives_no_vote)
{
    const struct raft_message vote = {
        .type = RAFT_VOTE_REQUEST,
        .term = 5,
        .vote_request = {.campaign = 1},
    };

    fixture_form();
    fixture.node->check.differs = INDEX;
    fixture_receive(&exchange, "n2", &vote);
    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_uint_eq(exchange.status, 403);
    fixture_exchange_done(&exchange);
}
END_TEST

START_TEST(one_that_differs_asks_for_no_vote)
{
    fixture_form();
    fixture.node->check.differs = INDEX;
    fixture_wait(3 * fixture.options.election_timeout_ms);
    ck_assert_ptr_null(fixture_post_to("/raft/vote", "n2"));
    ck_assert_ptr_null(fixture_post_to("/raft/vote", "n3"));
}
END_TEST

/* A bit of the value of the only key. */
static void flip_in_memory(void)
{
    const struct omap_cut start = {.side = OMAP_BEFORE};
    const struct sm_root root = sm_view(fixture.node->sm);
    struct omap_entry entry;

    omap_item_read(omap_first_after(root.kv, start).item, &entry);
    ((uint8_t *)(uintptr_t)entry.value.data)[0] ^= 1;
}

/* The worker takes the one snapshot, into a store in memory. */
static void take_snapshot(void)
{
    struct snap_work work = {.store = snap_store_mem_new()};

    fixture.options.snapshot_entries = 1;
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(fixture.snap_jobs_count, 1);
    fixture.snap_jobs_count = 0;
    struct snap_job *job = fixture.snap_jobs[0];
    ck_assert(!snap_work_run(&work, job));
    while (snap_work_slice(&work) == NULL) {
    }
    snap_store_close(work.store);
    ck_assert_int_eq(rk_queue_push(fixture.snap_results, &job, 1), RK_OK);
    ck_assert_int_eq(job->status, RK_DIFFERS);
    ck_assert_uint_eq(job->offset, 2);
    node_snapshot_turn(fixture.node);
}

/* Nobody could build a state of it, and the log that could would be cut away. */
START_TEST(no_snapshot_is_taken_of_memory_that_has_changed)
{
    const struct sm_command_put put = {.key = bytes_of("k"), .value = bytes_of("v")};

    fixture_lead();
    node_apply(fixture.node);
    (void)sm_do_put(fixture.node->sm, 2, &put);
    flip_in_memory();
    fixture.is_end_expected = true;
    fixture.end_status = RK_DIFFERS;
    take_snapshot();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_check");

    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, the_leader_asks_at_an_entry_that_all_come_by);
    tcase_add_test(tcase, equal_states_accuse_nobody_and_end_the_round);
    tcase_add_test(tcase, one_that_differs_is_named_and_told);
    tcase_add_test(tcase, one_that_knows_that_it_differs_is_left_alone);
    tcase_add_exit_test(tcase, a_leader_that_is_the_odd_one_ends_itself, FIXTURE_ENDED);
    tcase_add_test(tcase, without_a_quorum_nobody_is_accused);
    tcase_add_test(tcase, what_one_side_does_not_have_is_no_difference);
    tcase_add_test(tcase, a_state_that_was_replaced_is_not_judged_by_the_former);
    tcase_add_test(tcase, the_digest_is_told_at_the_entry_that_was_asked_for);
    tcase_add_exit_test(tcase, a_follower_believes_its_leader, FIXTURE_ENDED);
    tcase_add_test(tcase, nobody_but_its_leader_is_believed);
    tcase_add_test(tcase, repair_is_for_those_that_differ);
    tcase_add_exit_test(tcase, one_that_differs_begins_anew_at_its_leaders_word, FIXTURE_ENDED);
    tcase_add_test(tcase, one_that_differs_gives_no_vote);
    tcase_add_test(tcase, one_that_differs_asks_for_no_vote);
    tcase_add_exit_test(tcase, no_snapshot_is_taken_of_memory_that_has_changed, FIXTURE_ENDED);
    return run_suite("node_check", tcase);
}
