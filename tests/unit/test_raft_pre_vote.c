/* What keeps a term from rising for nothing: one test per sentence of the dissertation's sections 9.6
 * (Pre-Vote) and 4.2.3 (voters that hear a leader), and per pitfall about them (named by its
 * number). Node 1 is real. */
#include "support/run.h"
#include "unit/raft_election.h"

/* ---- 9.6 Pre-Vote ---- */

/* "A candidate would only increment its term if it first learns from a majority of the cluster that
 * they would be willing to grant the candidate their votes." */
START_TEST(pre_candidates_leave_their_term_alone)
{
    for (uint32_t i = 0; i < 5; i++) {
        await_deadline();
    }
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
    ck_assert_uint_eq(view().hard_state.term, 0);
    ck_assert_uint_eq(sent(RAFT_VOTE_REQUEST, 2)->term, 1);
    ck_assert_uint_eq(cluster_node(cluster, 1)->writes_count, 0);
}
END_TEST

/* Pitfall 7: the voter is in a lower term than it is asked about. */
START_TEST(pitfall_7_a_pre_vote_grant_echoes_the_term_asked_about)
{
    say_pre_vote(2, 7, nothing);
    ck_assert(answer()->vote_response.granted);
    ck_assert_uint_eq(answer()->vote_response.request_term, 7);
    ck_assert_uint_eq(view().hard_state.term, 0);
    await_deadline();
    clear_flight();
    await_deadline();
    grant(2); /* of a voter whose own term is 0 */
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
}
END_TEST

/* Pitfall 7, 8: a refusal raises the one who asked. */
START_TEST(pitfall_8_a_pre_vote_behind_the_times_is_told_the_term)
{
    say_heartbeat(2, 9, 0);
    cluster_persist(cluster, 1);
    cluster->now_ms += 1500;
    say_pre_vote(3, 4, (struct raft_entry_id){.term = 3, .index = 3});
    ck_assert(!answer()->vote_response.granted);
    ck_assert_uint_eq(answer()->term, 9);
    puppet_stop();
    puppet_start(3);
    await_deadline();
    cluster_inject(cluster,
                   &(struct raft_message){.type = RAFT_VOTE_RESPONSE,
                                          .from = 2,
                                          .to = 1,
                                          .term = 9,
                                          .vote_response = {.pre_vote = true, .request_term = 1}});
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    ck_assert_uint_eq(view().hard_state.term, 9);
}
END_TEST

/* Pitfall 8: a node whose term ran ahead answers the leader with it, and is not cut off for good. */
START_TEST(pitfall_8_requests_of_an_old_term_are_answered_with_the_own)
{
    say_vote(2, 9, nothing);
    cluster_persist(cluster, 1);
    say_heartbeat(3, 5, 0);
    ck_assert_int_eq(answer()->type, RAFT_HEARTBEAT_RESPONSE);
    ck_assert_uint_eq(answer()->term, 9);
    ck_assert_uint_eq(answer()->heartbeat_response.round, 0);
    say_append(3, 5, nothing, NULL, 0);
    ck_assert_int_eq(answer()->type, RAFT_APPEND_RESPONSE);
    ck_assert_uint_eq(answer()->term, 9);
    ck_assert(!answer()->append_response.accepted);
    ck_assert_uint_eq(view().leader, 0);
}
END_TEST

/* Pitfall 9: asking changes nothing, whether it is granted or refused. */
START_TEST(pitfall_9_a_pre_vote_changes_nothing_at_the_voter)
{
    const uint64_t deadline_ms = cluster_node(cluster, 1)->deadline_ms;
    cluster->now_ms = 500;
    say_pre_vote(2, 1, nothing);
    ck_assert(answer()->vote_response.granted);
    ck_assert_uint_eq(answer()->after_write, 0);
    say_pre_vote(3, 1, nothing); /* and to everybody who asks */
    ck_assert(answer()->vote_response.granted);
    ck_assert_uint_eq(cluster_node(cluster, 1)->deadline_ms, deadline_ms);
    ck_assert_uint_eq(view().hard_state.term, 0);
    ck_assert_uint_eq(view().leader_contact_ms, 0);
    ck_assert_uint_eq(cluster_node(cluster, 1)->writes_count, 0);
}
END_TEST

/* Pitfall 13: an election that came to nothing is followed by asking again. */
START_TEST(pitfall_13_a_lost_election_returns_to_pre_candidate)
{
    become_candidate();
    cluster_persist(cluster, 1);
    for (uint32_t i = 0; i < 5; i++) {
        await_deadline();
        ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
    }
    ck_assert_uint_eq(view().hard_state.term, 1);
}
END_TEST

/* Pitfall 16: answers to another try, another phase or another term. */
START_TEST(pitfall_16_answers_to_another_campaign_do_not_count)
{
    await_deadline();
    const struct raft_message old = *sent(RAFT_VOTE_REQUEST, 2);
    clear_flight();
    await_deadline();
    const uint64_t campaign = sent(RAFT_VOTE_REQUEST, 2)->vote_request.campaign;
    ck_assert_uint_ne(old.vote_request.campaign, campaign);
    struct raft_message grants[] = {
        {.vote_response = {true, true, 1, old.vote_request.campaign}}, /* an older try */
        {.vote_response = {false, true, 1, campaign}},                 /* the other phase */
        {.vote_response = {true, true, 2, campaign}},                  /* another term */
    };
    for (uint32_t i = 0; i < 3; i++) {
        grants[i].type = RAFT_VOTE_RESPONSE;
        grants[i].from = 2;
        grants[i].to = 1;
        cluster_inject(cluster, &grants[i]);
        ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
    }
    grant(2);
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(pitfall_16_a_repeated_grant_counts_once)
{
    puppet_stop();
    puppet_start(5);
    await_deadline();
    grant(2);
    grant(2);
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
    grant(4);
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
}
END_TEST

/* ---- 4.2.3: a voter that hears from a leader does not help to depose it ---- */

/* "If a server receives a RequestVote request within the minimum election timeout of hearing from a
 * current leader, it does not update its term or grant its vote." */
START_TEST(voters_that_hear_a_leader_ignore_newer_terms)
{
    say_heartbeat(2, 1, 0);
    cluster_persist(cluster, 1);
    cluster->now_ms += 999;
    say_vote(3, 8, (struct raft_entry_id){.term = 7, .index = 9});
    ck_assert(!answer()->vote_response.granted);
    ck_assert_uint_eq(view().hard_state.term, 1);
    ck_assert_uint_eq(view().leader, 2);
    say_pre_vote(3, 8, (struct raft_entry_id){.term = 7, .index = 9});
    ck_assert(!answer()->vote_response.granted);
    cluster->now_ms += 1;
    say_vote(3, 8, (struct raft_entry_id){.term = 7, .index = 9});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

START_TEST(a_leader_ignores_newer_terms_of_candidates)
{
    puppet_lead();
    say_vote(2, 8, (struct raft_entry_id){.term = 7, .index = 9});
    ck_assert(!answer()->vote_response.granted);
    ck_assert_int_eq(view().role, RAFT_LEADER);
}
END_TEST

/* Pitfall 10: the leader itself asks, so it leads no longer. */
START_TEST(pitfall_10_the_leader_that_stepped_down_may_ask)
{
    say_heartbeat(2, 1, 0);
    cluster_persist(cluster, 1);
    say_pre_vote(2, 2, nothing);
    ck_assert(answer()->vote_response.granted);
    say_vote(2, 2, nothing);
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* 4.2.3 with 3.10: an election that the leader asked for is not held off. */
START_TEST(pitfall_11_a_transfer_is_voted_for_in_spite_of_the_leader)
{
    say_heartbeat(2, 1, 0);
    cluster_persist(cluster, 1);
    cluster_inject(cluster, &(struct raft_message){.type = RAFT_VOTE_REQUEST,
                                                   .from = 3,
                                                   .to = 1,
                                                   .term = 2,
                                                   .vote_request = {.transfer = true}});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* Pitfall 105: it may have promised a leader not to vote, just before it was restarted. */
START_TEST(pitfall_105_a_restarted_voter_is_silent_for_one_timeout)
{
    cluster_set_log(cluster, 1, (const raft_term[]){1}, 1);
    cluster->now_ms += 999;
    say_vote(2, 5, (struct raft_entry_id){.term = 4, .index = 4});
    ck_assert(!answer()->vote_response.granted);
    ck_assert_uint_eq(view().hard_state.term, 1);
    say_pre_vote(2, 5, (struct raft_entry_id){.term = 4, .index = 4});
    ck_assert(!answer()->vote_response.granted);
    cluster->now_ms += 1;
    say_vote(2, 5, (struct raft_entry_id){.term = 4, .index = 4});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("pre_vote");
    tcase_add_checked_fixture(tcase, election_start, puppet_stop);
    tcase_add_test(tcase, pre_candidates_leave_their_term_alone);
    tcase_add_test(tcase, pitfall_7_a_pre_vote_grant_echoes_the_term_asked_about);
    tcase_add_test(tcase, pitfall_8_a_pre_vote_behind_the_times_is_told_the_term);
    tcase_add_test(tcase, pitfall_8_requests_of_an_old_term_are_answered_with_the_own);
    tcase_add_test(tcase, pitfall_9_a_pre_vote_changes_nothing_at_the_voter);
    tcase_add_test(tcase, pitfall_13_a_lost_election_returns_to_pre_candidate);
    tcase_add_test(tcase, pitfall_16_answers_to_another_campaign_do_not_count);
    tcase_add_test(tcase, pitfall_16_a_repeated_grant_counts_once);
    tcase_add_test(tcase, voters_that_hear_a_leader_ignore_newer_terms);
    tcase_add_test(tcase, a_leader_ignores_newer_terms_of_candidates);
    tcase_add_test(tcase, pitfall_10_the_leader_that_stepped_down_may_ask);
    tcase_add_test(tcase, pitfall_11_a_transfer_is_voted_for_in_spite_of_the_leader);
    tcase_add_test(tcase, pitfall_105_a_restarted_voter_is_silent_for_one_timeout);
    return run_suite("raft_pre_vote", tcase);
}
