/* Leadership transfer (dissertation 3.10) and changes of the configuration (chapter 4): one test per
 * sentence, and per pitfall about members (named by its number). Node 1 leads. */
#include "support/raft_puppet.h"
#include "support/run.h"

static struct cluster_node *node(void)
{
    return cluster_node(cluster, 1);
}

/* Voters 1 2 3, the no-op committed by 2 and 3, nothing in flight. */
static void set_up(void)
{
    puppet_start(3);
    puppet_lead();
    accept(2, 1);
    accept(3, 1);
    clear_flight();
}

static const struct raft_config with_learner = {
    .voters = {1, 2, 3}, .voters_count = 3, .learners = {4}, .learners_count = 1};
static const struct raft_config without_self_joint = {
    .voters = {2, 3}, .voters_count = 2, .old_voters = {1, 2, 3}, .old_voters_count = 3};
static const struct raft_config without_self = {.voters = {2, 3}, .voters_count = 2};
static const struct raft_config four_joint = {
    .voters = {1, 2, 3, 4}, .voters_count = 4, .old_voters = {1, 2, 3}, .old_voters_count = 3};

/* ---- 3.10: leadership transfer ---- */

/* "The prior leader stops accepting new client requests." */
START_TEST(a_transfer_stops_proposals)
{
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 2), RK_OK);
    ck_assert_int_eq(cluster_propose(cluster, 1, 6), RK_BUSY);
    ck_assert_uint_eq(view().last.index, 2);
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
}
END_TEST

/* "The prior leader fully updates the target server's log", then "sends a TimeoutNow request". */
START_TEST(timeout_now_leaves_once_the_target_has_everything)
{
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 2), RK_OK);
    ck_assert_ptr_null(sent(RAFT_TIMEOUT_NOW, 2));
    accept(3, 2);
    ck_assert_ptr_null(sent(RAFT_TIMEOUT_NOW, 2));
    accept(2, 2);
    ck_assert_ptr_nonnull(sent(RAFT_TIMEOUT_NOW, 2));
    ck_assert_uint_eq(sent(RAFT_TIMEOUT_NOW, 2)->term, 1);
}
END_TEST

/* "If leadership transfer does not complete after about an election timeout, the prior leader aborts
 * the transfer and resumes accepting client requests." */
START_TEST(a_transfer_is_given_up_after_an_election_timeout)
{
    ck_assert_int_eq(cluster_transfer(cluster, 1, 2), RK_OK);
    const uint64_t begin_ms = cluster->now_ms;
    while (cluster->now_ms < begin_ms + 1000) {
        ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_BUSY);
        cluster_await_deadline(cluster, 1);
        confirm(2);
    }
    ck_assert_uint_eq(cluster->now_ms, begin_ms + 1000);
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
}
END_TEST

/* "The target server ... starts a new election, skipping the pre-vote", marked for what it is. */
START_TEST(the_target_campaigns_at_once_with_the_transfer_flag)
{
    puppet_stop();
    puppet_start(3);
    say_heartbeat(2, 1, 0);
    cluster_persist(cluster, 1);
    say_timeout_now(2, 1);
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
    ck_assert_uint_eq(view().hard_state.term, 2);
    ck_assert_ptr_null(sent(RAFT_VOTE_REQUEST, 2)); /* its own vote is not durable yet */
    cluster_persist(cluster, 1);
    ck_assert(sent(RAFT_VOTE_REQUEST, 2)->vote_request.transfer);
    ck_assert(!sent(RAFT_VOTE_REQUEST, 2)->vote_request.pre_vote);
}
END_TEST

/* Pitfall 12: the flag does not outlive its campaign. */
START_TEST(pitfall_12_the_next_campaign_is_an_ordinary_one)
{
    puppet_stop();
    puppet_start(3);
    say_heartbeat(2, 1, 0);
    cluster_persist(cluster, 1);
    say_timeout_now(2, 1);
    cluster_persist(cluster, 1);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    ck_assert(sent(RAFT_VOTE_REQUEST, 2)->vote_request.pre_vote);
    ck_assert(!sent(RAFT_VOTE_REQUEST, 2)->vote_request.transfer);
}
END_TEST

START_TEST(timeout_now_of_another_term_or_another_node_is_ignored)
{
    puppet_stop();
    puppet_start(3);
    say_heartbeat(2, 3, 0);
    cluster_persist(cluster, 1);
    say_timeout_now(2, 2);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    say_timeout_now(3, 3);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    say_timeout_now(3, 4); /* a newer term, but its sender is not known to lead it */
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
}
END_TEST

START_TEST(only_a_voter_other_than_oneself_can_take_over)
{
    ck_assert_int_eq(cluster_transfer(cluster, 1, 1), RK_INVALID);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 9), RK_INVALID);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 4), RK_INVALID);
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
}
END_TEST

START_TEST(one_transfer_at_a_time)
{
    ck_assert_int_eq(cluster_transfer(cluster, 1, 2), RK_OK);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 2), RK_OK);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 3), RK_BUSY);
}
END_TEST

START_TEST(the_best_follower_is_the_furthest_that_answers)
{
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    accept(3, 2);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 0), RK_OK);
    ck_assert_ptr_nonnull(sent(RAFT_TIMEOUT_NOW, 3));
}
END_TEST

START_TEST(there_is_no_best_follower_when_nobody_answers)
{
    cluster->now_ms += 999;
    cluster_fire(cluster, 1);
    cluster->now_ms += 1;
    ck_assert_int_eq(cluster_transfer(cluster, 1, 0), RK_INVALID);
}
END_TEST

/* ---- 4.1: configurations ---- */

/* "A server always uses the latest configuration in its log, regardless of whether the entry is
 * committed." */
START_TEST(a_configuration_is_in_force_when_it_is_appended)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    ck_assert_uint_eq(view().config_index, 2);
    ck_assert(!view().is_config_committed);
    ck_assert_uint_eq(view().config->learners_count, 1);
    ck_assert_ptr_nonnull(sent(RAFT_APPEND_REQUEST, 4)); /* 4.2.1: learners are replicated to */
    accept(2, 2);
    accept(3, 2);
    ck_assert(view().is_config_committed);
}
END_TEST

/* Pitfall 77 (4.1): one change at a time. */
START_TEST(pitfall_77_a_second_configuration_waits_for_the_first)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_BUSY);
    cluster_persist(cluster, 1);
    accept(2, 2);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
}
END_TEST

/* Pitfall 77: nor does a new leader overlook the one it inherited. */
START_TEST(pitfall_77_an_inherited_configuration_is_one_under_way)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    cluster_persist(cluster, 1);
    say_heartbeat(2, 2, 0);
    cluster_persist(cluster, 1);
    cluster->now_ms += 1000;
    clear_flight();
    puppet_lead();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_BUSY);
    accept(2, 3);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
}
END_TEST

/* Pitfall 76: no configuration before the term's no-op is committed. */
START_TEST(pitfall_76_a_configuration_waits_for_the_terms_noop)
{
    puppet_stop();
    puppet_start(3);
    puppet_lead();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_BUSY);
    ck_assert_uint_eq(view().last.index, 1);
    accept(2, 1);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
}
END_TEST

START_TEST(two_configurations_in_a_batch_are_refused_whole)
{
    struct raft_entry entries[3] = {
        {.type = RAFT_ENTRY_COMMAND},
        {.type = RAFT_ENTRY_CONFIG, .config = &with_learner},
        {.type = RAFT_ENTRY_CONFIG, .config = &with_learner},
    };
    struct raft_event event = {.type = RAFT_EVENT_PROPOSED, .proposed = {entries, 3}};
    ck_assert_int_eq(cluster_step(cluster, 1, event), RK_BUSY);
    ck_assert_uint_eq(view().last.index, 1);
    event.proposed.entries_count = 2;
    ck_assert_int_eq(cluster_step(cluster, 1, event), RK_OK);
    ck_assert_uint_eq(view().config_index, 3);
}
END_TEST

/* Pitfalls 81, 90: voters change only through a joint configuration, and never to nobody. */
START_TEST(pitfall_81_a_direct_change_of_voters_is_invalid)
{
    const struct raft_config nobody = {0};
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &without_self), RK_INVALID);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &nobody), RK_INVALID);
    ck_assert_uint_eq(view().last.index, 1);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &without_self_joint), RK_OK);
}
END_TEST

/* Pitfall 78: the follower's configuration goes with its entry. */
START_TEST(pitfall_78_a_truncated_configuration_is_taken_back)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    say_append(2, 2, (struct raft_entry_id){.term = 1, .index = 1}, (const raft_term[]){2}, 1);
    ck_assert_uint_eq(view().config_index, 0);
    ck_assert_uint_eq(view().config->learners_count, 0);
    ck_assert_uint_eq(view().config->voters_count, 3);
}
END_TEST

/* 4.3: "Agreement requires separate majorities from both the old and new configurations." */
START_TEST(a_joint_configuration_commits_by_both_halves)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &four_joint), RK_OK);
    cluster_persist(cluster, 1);
    accept(2, 2); /* two of the old three, two of the new four */
    ck_assert_uint_eq(view().commit_index, 1);
    accept(4, 2);
    ck_assert_uint_eq(view().commit_index, 2);
}
END_TEST

/* Pitfall 79: elections count both halves too. */
START_TEST(pitfall_79_a_joint_configuration_elects_by_both_halves)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &four_joint), RK_OK);
    cluster_persist(cluster, 1);
    say_heartbeat(2, 2, 0);
    cluster_persist(cluster, 1);
    cluster->now_ms += 1000;
    clear_flight();
    cluster_await_deadline(cluster, 1);
    grant(4); /* two of the new four, one of the old three */
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
    grant(2);
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
}
END_TEST

/* 4.2.1: a learner's acknowledgements do not commit. */
START_TEST(learners_do_not_count)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    cluster_persist(cluster, 1);
    accept(4, 2);
    ck_assert_uint_eq(view().commit_index, 1);
}
END_TEST

/* 4.2.2 and pitfall 84: "a leader that is removed steps down once C_new is committed" and "does not
 * include itself in majorities" until then. */
START_TEST(pitfall_84_a_removed_leader_does_not_count_itself_and_then_steps_down)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &without_self_joint), RK_OK);
    cluster_persist(cluster, 1);
    accept(2, 2); /* 1 and 2 of the old half, only 2 of the new */
    ck_assert_uint_eq(view().commit_index, 1);
    accept(3, 2);
    ck_assert_uint_eq(view().commit_index, 2);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &without_self), RK_OK);
    cluster_persist(cluster, 1);
    accept(2, 3);
    ck_assert_uint_eq(view().commit_index, 2);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    accept(3, 3);
    ck_assert_uint_eq(view().commit_index, 3);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    for (uint32_t i = 0; i < 5; i++) {
        cluster_await_deadline(cluster, 1);
        ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    }
}
END_TEST

/* 4.2.2: "A server that is not part of its own latest configuration should still start new
 * elections, as it might still be needed until the C_new entry is committed (as in Figure 4.6)", and
 * "it does not count its own vote in elections". Found by the simulator, seed 430. */
START_TEST(a_server_that_alone_holds_its_removal_may_still_win)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &without_self_joint), RK_OK);
    cluster_persist(cluster, 1);
    accept(2, 2);
    accept(3, 2);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &without_self), RK_OK);
    cluster_persist(cluster, 1);
    cluster_crash(cluster, 1);
    cluster_start(cluster, 1);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
    grant(2);
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE); /* one of two: its own does not count */
    grant(3);
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
    cluster_persist(cluster, 1);
    clear_flight();
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
}
END_TEST

/* Pitfall 85 (4.1): who sends is not asked of the own, perhaps old, configuration. */
START_TEST(pitfall_85_messages_from_outside_the_configuration_are_processed)
{
    puppet_stop();
    puppet_start(3);
    say_append(7, 1, (struct raft_entry_id){0}, (const raft_term[]){1}, 1);
    ck_assert(answer()->append_response.accepted);
    ck_assert_uint_eq(view().leader, 7);
    cluster_persist(cluster, 1);
    cluster->now_ms += 1000;
    say_vote(8, 2, (struct raft_entry_id){.term = 1, .index = 1});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* Pitfall 88: one voter goes the same way as many. */
START_TEST(pitfall_88_a_single_voter_commits_only_what_is_durable)
{
    puppet_stop();
    puppet_start(1);
    puppet_log((const raft_term[]){1, 1, 1}, 3);
    cluster_await_deadline(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
    cluster_persist_one(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    ck_assert_uint_eq(view().commit_index, 0);
    ck_assert_uint_eq(node()->writes_count, 1);
    cluster_persist(cluster, 1);
    ck_assert_uint_eq(view().commit_index, 4);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("membership");
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
    tcase_add_test(tcase, a_transfer_stops_proposals);
    tcase_add_test(tcase, timeout_now_leaves_once_the_target_has_everything);
    tcase_add_test(tcase, a_transfer_is_given_up_after_an_election_timeout);
    tcase_add_test(tcase, the_target_campaigns_at_once_with_the_transfer_flag);
    tcase_add_test(tcase, pitfall_12_the_next_campaign_is_an_ordinary_one);
    tcase_add_test(tcase, timeout_now_of_another_term_or_another_node_is_ignored);
    tcase_add_test(tcase, only_a_voter_other_than_oneself_can_take_over);
    tcase_add_test(tcase, one_transfer_at_a_time);
    tcase_add_test(tcase, the_best_follower_is_the_furthest_that_answers);
    tcase_add_test(tcase, there_is_no_best_follower_when_nobody_answers);
    tcase_add_test(tcase, a_configuration_is_in_force_when_it_is_appended);
    tcase_add_test(tcase, pitfall_77_a_second_configuration_waits_for_the_first);
    tcase_add_test(tcase, pitfall_77_an_inherited_configuration_is_one_under_way);
    tcase_add_test(tcase, pitfall_76_a_configuration_waits_for_the_terms_noop);
    tcase_add_test(tcase, two_configurations_in_a_batch_are_refused_whole);
    tcase_add_test(tcase, pitfall_81_a_direct_change_of_voters_is_invalid);
    tcase_add_test(tcase, pitfall_78_a_truncated_configuration_is_taken_back);
    tcase_add_test(tcase, a_joint_configuration_commits_by_both_halves);
    tcase_add_test(tcase, pitfall_79_a_joint_configuration_elects_by_both_halves);
    tcase_add_test(tcase, learners_do_not_count);
    tcase_add_test(tcase, pitfall_84_a_removed_leader_does_not_count_itself_and_then_steps_down);
    tcase_add_test(tcase, a_server_that_alone_holds_its_removal_may_still_win);
    tcase_add_test(tcase, pitfall_85_messages_from_outside_the_configuration_are_processed);
    tcase_add_test(tcase, pitfall_88_a_single_voter_commits_only_what_is_durable);
    return run_suite("raft_membership", tcase);
}
