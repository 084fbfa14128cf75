/* Who keeps the lead and who may stand for it: one test per sentence of the dissertation's section
 * 6.2 (CheckQuorum) and 4.2.1, and per pitfall about them (named by its number). Node 1 is real. */
#include "support/run.h"
#include "unit/raft_election.h"

/* ---- 6.2: CheckQuorum ---- */

/* "A leader steps down if an election timeout elapses without a successful round of heartbeats to a
 * majority of its cluster." */
START_TEST(a_leader_without_a_quorum_steps_down)
{
    puppet_lead();
    for (uint32_t i = 0; i < 9; i++) {
        await_deadline();
        ck_assert_int_eq(view().role, RAFT_LEADER);
    }
    await_deadline();
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    ck_assert_uint_eq(view().leader, 0);
    ck_assert_uint_eq(view().hard_state.term, 1);
}
END_TEST

START_TEST(a_leader_that_one_of_two_answers_stays)
{
    puppet_lead();
    for (uint32_t i = 0; i < 50; i++) {
        clear_flight();
        await_deadline();
        confirm(2);
        ck_assert_int_eq(view().role, RAFT_LEADER);
        ck_assert_uint_eq(view().leader_contact_ms, cluster->now_ms);
    }
}
END_TEST

/* Pitfall 20: only answers of this term are signs of life. */
START_TEST(pitfall_20_answers_of_an_old_term_do_not_keep_a_leader)
{
    puppet_lead();
    for (uint32_t i = 0; i < 10; i++) {
        await_deadline();
        cluster_inject(cluster,
                       &(struct raft_message){.type = RAFT_HEARTBEAT_RESPONSE, .from = 2, .to = 1});
    }
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
}
END_TEST

/* Pitfall 22: called far too late, the node was stopped; it waits once more, for what may be
 * unread. Called a little late, it campaigns. */
START_TEST(pitfall_22_a_stopped_node_does_not_campaign_at_once)
{
    cluster->now_ms = cluster_node(cluster, 1)->deadline_ms + 501;
    cluster_fire(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    ck_assert_uint_ge(cluster_node(cluster, 1)->deadline_ms, cluster->now_ms + 1000);
    cluster->now_ms = cluster_node(cluster, 1)->deadline_ms + 500;
    cluster_fire(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
}
END_TEST

START_TEST(pitfall_22_a_stopped_leader_asks_before_it_gives_up)
{
    puppet_lead();
    cluster->now_ms += 5000;
    clear_flight();
    cluster_fire(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    ck_assert_ptr_nonnull(sent(RAFT_HEARTBEAT_REQUEST, 2));
}
END_TEST

/* ---- who may stand ---- */

/* Pitfall 17 (4.2.1): learners and members of nothing never campaign; pitfall 18: but they vote,
 * if they know any configuration at all. */
START_TEST(pitfall_17_a_node_that_is_member_of_nothing_neither_stands_nor_votes)
{
    puppet_stop();
    cluster = cluster_new(&(struct cluster_options){
        .nodes_count = 0, .spares_count = 1, .is_network_manual = true, .is_disk_manual = true});
    for (uint32_t i = 0; i < 5; i++) {
        await_deadline();
        ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    }
    say_vote(2, 3, (struct raft_entry_id){.term = 2, .index = 2});
    ck_assert(!answer()->vote_response.granted);
    say_append(2, 3, nothing, (const raft_term[]){1, 3}, 2);
    ck_assert(answer()->append_response.accepted);
    ck_assert_uint_eq(view().last.index, 2);
}
END_TEST

START_TEST(pitfall_18_a_learner_votes_when_it_is_asked)
{
    const struct raft_config config = {
        .voters = {2, 3}, .voters_count = 2, .learners = {1}, .learners_count = 1};
    const struct raft_entry entry = {
        .id = {.term = 1, .index = 1}, .type = RAFT_ENTRY_CONFIG, .config = &config};
    cluster_inject(cluster, &(struct raft_message){.type = RAFT_APPEND_REQUEST,
                                                   .from = 2,
                                                   .to = 1,
                                                   .term = 1,
                                                   .append_request = {.entries_last = 1,
                                                                      .entries = &entry,
                                                                      .entries_count = 1,
                                                                      .sequence = 1}});
    ck_assert_uint_eq(view().config_index, 1);
    for (uint32_t i = 0; i < 5; i++) {
        await_deadline();
        ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    }
    say_vote(3, 2, (struct raft_entry_id){.term = 1, .index = 1});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* Pitfall 36: what it would win with could still be lost. */
START_TEST(pitfall_36_no_campaign_with_an_unpersisted_suffix)
{
    say_append(2, 1, nothing, (const raft_term[]){1}, 1);
    await_deadline();
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    say_timeout_now(2, 1);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    cluster_persist(cluster, 1);
    await_deadline();
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
}
END_TEST

/* Pitfall 56 (F9): a leader whose disk hangs steps down though everybody answers, and does not
 * stand until the disk has caught up. */
START_TEST(pitfall_56_a_leader_with_a_stalled_disk_steps_down)
{
    puppet_lead();
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    for (uint32_t i = 0; i < 20; i++) {
        await_deadline();
        ck_assert_int_eq(view().role, RAFT_LEADER);
        confirm(2);
        confirm(3);
    }
    await_deadline();
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    ck_assert(view().is_storage_stalled);
    for (uint32_t i = 0; i < 20; i++) {
        await_deadline();
        ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    }
    cluster_persist(cluster, 1);
    await_deadline();
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("standing");
    tcase_add_checked_fixture(tcase, election_start, puppet_stop);
    tcase_add_test(tcase, a_leader_without_a_quorum_steps_down);
    tcase_add_test(tcase, a_leader_that_one_of_two_answers_stays);
    tcase_add_test(tcase, pitfall_20_answers_of_an_old_term_do_not_keep_a_leader);
    tcase_add_test(tcase, pitfall_22_a_stopped_node_does_not_campaign_at_once);
    tcase_add_test(tcase, pitfall_22_a_stopped_leader_asks_before_it_gives_up);
    tcase_add_test(tcase, pitfall_17_a_node_that_is_member_of_nothing_neither_stands_nor_votes);
    tcase_add_test(tcase, pitfall_18_a_learner_votes_when_it_is_asked);
    tcase_add_test(tcase, pitfall_36_no_campaign_with_an_unpersisted_suffix);
    tcase_add_test(tcase, pitfall_56_a_leader_with_a_stalled_disk_steps_down);
    return run_suite("raft_standing", tcase);
}
