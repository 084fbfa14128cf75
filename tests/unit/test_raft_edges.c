/* Corners of the core that no story passes by, of leaders above all; what peers may get wrong is in
 * test_raft_input.c. Node 1 is real. */
#include "support/raft_puppet.h"
#include "support/run.h"

static void set_up(void)
{
    puppet_start(3);
}

/* Node 1 leads voters 1 2 3, its no-op committed, nothing in flight. */
static void lead(void)
{
    puppet_lead();
    accept(2, 1);
    accept(3, 1);
    clear_flight();
}

/* More than the leader has cannot be its log. */
START_TEST(an_acceptance_behind_the_own_log_is_dropped)
{
    lead();
    ck_assert_int_eq(cluster_propose(cluster, 1, 7), RK_OK);
    accept(2, 3);
    ck_assert_uint_eq(view().commit_index, 1);
}
END_TEST

START_TEST(a_lost_message_is_the_leaders_affair)
{
    const struct raft_event lost = {.type = RAFT_EVENT_UNREACHABLE, .peer = 2};
    ck_assert_int_eq(cluster_step(cluster, 1, lost), RK_OK);
    lead();
    const struct raft_event strange = {.type = RAFT_EVENT_UNREACHABLE, .peer = 9};
    ck_assert_int_eq(cluster_step(cluster, 1, strange), RK_OK);
    ck_assert_uint_eq(answers_count(), 0);
}
END_TEST

/* ---- bounds ---- */

/* A peer that comes back far behind gets so many appends in a step, not all there are. */
START_TEST(a_burst_is_bounded)
{
    puppet_stop();
    cluster = cluster_new(&(struct cluster_options){.nodes_count = 3,
                                                    .seed = 3,
                                                    .append_entries_max = 1,
                                                    .inflight_max = 64,
                                                    .is_network_manual = true,
                                                    .is_disk_manual = true});
    lead();
    for (uint64_t value = 0; value < 60; value++) {
        ck_assert_int_eq(cluster_propose(cluster, 1, value), RK_OK);
    }
    const struct raft_event lost = {.type = RAFT_EVENT_UNREACHABLE, .peer = 2};
    ck_assert_int_eq(cluster_step(cluster, 1, lost), RK_OK);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    confirm(2);
    accept(2, 2);
    ck_assert_uint_eq(answers_count(), 16);
}
END_TEST

/* ---- switched off (simulators do) ---- */

START_TEST(without_check_quorum_a_lonely_leader_stays_and_voters_vote)
{
    puppet_stop();
    cluster = cluster_new(&(struct cluster_options){.nodes_count = 3,
                                                    .seed = 3,
                                                    .no_check_quorum = true,
                                                    .is_network_manual = true,
                                                    .is_disk_manual = true});
    lead();
    for (uint32_t i = 0; i < 30; i++) {
        cluster_await_deadline(cluster, 1);
    }
    ck_assert_int_eq(view().role, RAFT_LEADER);
    say_heartbeat(2, 2, 0);
    cluster_persist(cluster, 1);
    say_vote(3, 3, (struct raft_entry_id){.term = 2, .index = 9});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* ---- transfers ---- */

/* 3.10: the furthest that may vote: a learner that has everything is no heir, and of two voters
 * that answer, the one that has more is. */
START_TEST(a_learner_is_no_heir)
{
    const struct raft_config with_learner = {
        .voters = {1, 2, 3}, .voters_count = 3, .learners = {4}, .learners_count = 1};
    lead();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    cluster_persist(cluster, 1);
    accept(3, 2);
    refuse(4, (struct raft_entry_id){0});
    accept(4, 2);
    ck_assert_int_eq(cluster_propose(cluster, 1, 7), RK_OK);
    accept(4, 3);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 0), RK_OK);
    cluster_persist(cluster, 1);
    accept(3, 3);
    ck_assert_ptr_nonnull(sent(RAFT_TIMEOUT_NOW, 3));
    ck_assert_ptr_null(sent(RAFT_TIMEOUT_NOW, 4));
}
END_TEST

/* An entry before it can commit while a configuration waits: the leader that the configuration does
 * not name stays until that is committed too. */
START_TEST(a_leader_stays_until_its_removal_is_committed)
{
    const struct raft_config without_1 = {
        .voters = {2, 3, 4}, .voters_count = 3, .old_voters = {1, 2, 3}, .old_voters_count = 3};
    const struct raft_config after = {.voters = {2, 3, 4}, .voters_count = 3};
    lead();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &without_1), RK_OK);
    cluster_persist(cluster, 1);
    accept(2, 2);
    accept(3, 2);
    ck_assert_uint_eq(view().commit_index, 2);
    ck_assert_int_eq(cluster_propose(cluster, 1, 7), RK_OK);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &after), RK_OK);
    accept(2, 3);
    accept(3, 3);
    ck_assert_uint_eq(view().commit_index, 3);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    accept(2, 4);
    accept(3, 4);
    ck_assert_uint_eq(view().commit_index, 4);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("edges");
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
    tcase_add_test(tcase, an_acceptance_behind_the_own_log_is_dropped);
    tcase_add_test(tcase, a_lost_message_is_the_leaders_affair);
    tcase_add_test(tcase, a_burst_is_bounded);
    tcase_add_test(tcase, without_check_quorum_a_lonely_leader_stays_and_voters_vote);
    tcase_add_test(tcase, a_learner_is_no_heir);
    tcase_add_test(tcase, a_leader_stays_until_its_removal_is_committed);
    return run_suite("raft_edges", tcase);
}
