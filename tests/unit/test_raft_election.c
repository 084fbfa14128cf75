/* Elections: one test per sentence of the dissertation's Figure 3.1 and sections 3.4 and 3.6.1, and
 * per pitfall about terms and votes (named by its number). Node 1 is real. */
#include "support/run.h"
#include "unit/raft_election.h"

/* ---- Figure 3.1, all servers ---- */

/* "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to
 * follower." */
START_TEST(a_newer_term_makes_a_follower_of_every_role)
{
    say_heartbeat(2, 4, 0);
    ck_assert_uint_eq(view().hard_state.term, 4);
    puppet_stop();
    puppet_start(3);
    become_candidate();
    say_heartbeat(2, 4, 0);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    puppet_stop();
    puppet_start(3);
    puppet_lead();
    say_heartbeat(2, 4, 0);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    ck_assert_uint_eq(view().leader, 2);
}
END_TEST

START_TEST(a_response_of_a_newer_term_deposes_a_leader)
{
    puppet_lead();
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_APPEND_RESPONSE, .from = 2, .to = 1, .term = 9});
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    ck_assert_uint_eq(view().hard_state.term, 9);
    ck_assert_uint_eq(view().leader, 0);
}
END_TEST

/* ---- Figure 3.1, RequestVote receiver; 3.4, 3.6.1 ---- */

/* "Reply false if term < currentTerm": at once, with the own term (pitfall 8). */
START_TEST(a_vote_in_an_old_term_is_refused_with_the_own_term)
{
    say_heartbeat(2, 4, 0);
    cluster_persist(cluster, 1);
    say_vote(3, 3, (struct raft_entry_id){.term = 3, .index = 9});
    ck_assert_int_eq(answer()->type, RAFT_VOTE_RESPONSE);
    ck_assert(!answer()->vote_response.granted);
    ck_assert_uint_eq(answer()->term, 4);
    ck_assert_uint_eq(answer()->after_write, 0);
}
END_TEST

START_TEST(one_vote_is_given_in_a_term_and_repeated_to_the_same_candidate)
{
    say_vote(2, 1, nothing);
    ck_assert(answer()->vote_response.granted);
    say_vote(3, 1, nothing);
    ck_assert(!answer()->vote_response.granted);
    say_vote(2, 1, nothing);
    ck_assert(answer()->vote_response.granted);
    ck_assert_uint_eq(view().hard_state.vote, 2);
}
END_TEST

START_TEST(an_answer_carries_the_request_and_the_campaign_it_answers)
{
    say_vote(2, 1, nothing);
    ck_assert_uint_eq(answers_count(), 1);
    ck_assert_uint_eq(answer()->to, 2);
    ck_assert_uint_eq(answer()->request, 77);
    ck_assert_uint_eq(answer()->vote_response.campaign, 5);
    ck_assert_uint_eq(answer()->vote_response.request_term, 1);
}
END_TEST

/* Pitfall 1 (3.8): the vote is on disk before the answer leaves. */
START_TEST(pitfall_1_a_vote_waits_for_its_write)
{
    say_vote(2, 1, nothing);
    ck_assert_uint_eq(answer()->after_write, cluster_node(cluster, 1)->out->write_number);
    ck_assert_int_eq(cluster_find(cluster, RAFT_VOTE_RESPONSE, 1, 2), -1);
    say_vote(2, 1, nothing); /* nor does the repetition */
    ck_assert_int_eq(cluster_find(cluster, RAFT_VOTE_RESPONSE, 1, 2), -1);
    cluster_persist(cluster, 1);
    ck_assert_int_ne(cluster_find(cluster, RAFT_VOTE_RESPONSE, 1, 2), -1);
    ck_assert_uint_eq(cluster_node(cluster, 1)->disk_state.vote, 2);
}
END_TEST

/* Pitfall 2: a candidate with a majority of answers still waits for its own vote's write. */
START_TEST(pitfall_2_the_own_vote_counts_once_it_is_durable)
{
    become_candidate();
    ck_assert_int_eq(cluster_find(cluster, RAFT_VOTE_REQUEST, 1, 2),
                     cluster_find(cluster, RAFT_VOTE_REQUEST, 0, 2));
    cluster_inject(cluster,
                   &(struct raft_message){
                       .type = RAFT_VOTE_RESPONSE,
                       .from = 2,
                       .to = 1,
                       .term = 1,
                       .vote_response = {
                           .granted = true,
                           .request_term = 1,
                           .campaign = cluster_node(cluster, 1)->held[0].vote_request.campaign}});
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
    cluster_persist(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_LEADER);
}
END_TEST

/* Pitfall 3: term and vote travel in one write, and a newer term has no vote. */
START_TEST(pitfall_3_a_new_term_clears_the_vote_in_the_same_write)
{
    say_vote(2, 1, nothing);
    say_heartbeat(3, 2, 0);
    const struct raft_write *write = &cluster_node(cluster, 1)->out->write;
    ck_assert(write->has_hard_state);
    ck_assert_uint_eq(write->hard_state.term, 2);
    ck_assert_uint_eq(write->hard_state.vote, 0);
}
END_TEST

/* Pitfall 4: learning of a newer term is no vote. */
START_TEST(pitfall_4_a_refused_candidate_does_not_count_as_voted_for)
{
    puppet_log((const raft_term[]){1, 1, 2}, 3);
    say_vote(2, 5, (struct raft_entry_id){.term = 1, .index = 9});
    ck_assert(!answer()->vote_response.granted);
    ck_assert_uint_eq(view().hard_state.term, 5);
    ck_assert_uint_eq(view().hard_state.vote, 0);
    say_vote(3, 5, (struct raft_entry_id){.term = 2, .index = 3});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* Pitfall 5 (3.6.1): the later last term wins; in the same, the longer log. Loop over candidates
 * against a log that ends with 3^2. */
static const struct {
    raft_term term;
    raft_index index;
    bool is_up_to_date;
} candidates[] = {{2, 3, true},  {2, 4, true},  {3, 1, true},
                  {2, 2, false}, {1, 9, false}, {0, 0, false}};

START_TEST(pitfall_5_votes_go_to_logs_that_are_up_to_date)
{
    const struct raft_entry_id last = {.term = candidates[_i].term, .index = candidates[_i].index};
    puppet_log((const raft_term[]){1, 1, 2}, 3);
    say_pre_vote(2, 3, last);
    ck_assert_int_eq(answer()->vote_response.granted, candidates[_i].is_up_to_date);
    say_vote(2, 3, last);
    ck_assert_int_eq(answer()->vote_response.granted, candidates[_i].is_up_to_date);
}
END_TEST

/* ---- Figure 3.1, followers and candidates ---- */

/* "If election timeout elapses without receiving AppendEntries RPC from current leader or granting
 * vote to candidate: convert to candidate." */
START_TEST(followers_campaign_when_they_hear_nothing)
{
    await_deadline();
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
    ck_assert_ptr_nonnull(sent(RAFT_VOTE_REQUEST, 2));
    ck_assert_ptr_nonnull(sent(RAFT_VOTE_REQUEST, 3));
}
END_TEST

START_TEST(heartbeats_and_granted_votes_put_the_election_off)
{
    const uint64_t before_ms = cluster_node(cluster, 1)->deadline_ms;
    cluster->now_ms = 900;
    say_heartbeat(2, 1, 0);
    const uint64_t after_ms = cluster_node(cluster, 1)->deadline_ms;
    ck_assert_uint_eq(after_ms, before_ms + 900);
    cluster->now_ms = 1900; /* stickiness is over */
    say_vote(3, 2, nothing);
    ck_assert(answer()->vote_response.granted);
    ck_assert_uint_eq(cluster_node(cluster, 1)->deadline_ms, before_ms + 1900);
}
END_TEST

START_TEST(refused_votes_do_not_put_the_election_off)
{
    puppet_log((const raft_term[]){2}, 1);
    const uint64_t before_ms = cluster_node(cluster, 1)->deadline_ms;
    say_vote(3, 2, nothing);
    ck_assert(!answer()->vote_response.granted);
    ck_assert_uint_eq(cluster_node(cluster, 1)->deadline_ms, before_ms);
}
END_TEST

/* "On conversion to candidate: increment currentTerm, vote for self, reset election timer, send
 * RequestVote RPCs": the requests leave with the vote on disk. */
START_TEST(a_candidate_raises_its_term_votes_for_itself_and_asks)
{
    become_candidate();
    ck_assert_uint_eq(view().hard_state.term, 1);
    ck_assert_uint_eq(view().hard_state.vote, 1);
    clear_flight();
    cluster_persist(cluster, 1);
    const struct raft_message *request = sent(RAFT_VOTE_REQUEST, 2);
    ck_assert_ptr_nonnull(request);
    ck_assert(!request->vote_request.pre_vote);
    ck_assert_uint_eq(request->term, 1);
}
END_TEST

/* "If votes received from majority of servers: become leader", and 3.4: it then asserts itself. */
START_TEST(a_majority_makes_a_leader_that_speaks_at_once)
{
    become_candidate();
    clear_flight();
    cluster_persist(cluster, 1);
    grant(3);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    ck_assert_uint_eq(view().leader, 1);
    ck_assert_ptr_nonnull(sent(RAFT_HEARTBEAT_REQUEST, 2));
    ck_assert_ptr_nonnull(sent(RAFT_APPEND_REQUEST, 2));
}
END_TEST

/* "If AppendEntries RPC received from new leader: convert to follower." */
START_TEST(a_candidate_yields_to_a_leader_of_its_term)
{
    become_candidate();
    say_append(2, 1, nothing, NULL, 0);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    ck_assert_uint_eq(view().leader, 2);
    ck_assert_uint_eq(view().hard_state.vote, 1);
}
END_TEST

START_TEST(a_leader_does_not_obey_a_second_leader_of_its_term)
{
    puppet_lead();
    say_append(2, 1, nothing, (const raft_term[]){1}, 1);
    ck_assert(!answer()->append_response.accepted);
    say_heartbeat(2, 1, 0);
    ck_assert_uint_eq(answer()->heartbeat_response.round, 0);
    ck_assert_int_eq(view().role, RAFT_LEADER);
}
END_TEST

/* 3.4: timeouts are random in [T, 2T); pitfall 15: drawn anew for every campaign. */
START_TEST(pitfall_15_every_campaign_draws_its_timeout_anew)
{
    uint64_t seen_ms = 0;
    uint32_t different = 0;
    for (uint32_t i = 0; i < 20; i++) {
        await_deadline();
        const uint64_t timeout_ms = cluster_node(cluster, 1)->deadline_ms - cluster->now_ms;
        ck_assert_uint_ge(timeout_ms, 1000);
        ck_assert_uint_lt(timeout_ms, 2000);
        different += timeout_ms != seen_ms;
        seen_ms = timeout_ms;
    }
    ck_assert_uint_gt(different, 15);
}
END_TEST

START_TEST(nodes_draw_differently)
{
    ck_assert_uint_ne(cluster_node(cluster, 1)->deadline_ms, cluster_node(cluster, 2)->deadline_ms);
}
END_TEST

/* A message to somebody else, or from oneself, is nothing. */
START_TEST(misdirected_messages_are_dropped)
{
    struct raft_message message = {.type = RAFT_HEARTBEAT_REQUEST, .from = 2, .to = 3, .term = 9};
    struct raft_event event = {.type = RAFT_EVENT_RECEIVED, .message = &message};
    (void)cluster_step(cluster, 1, event);
    message.to = 1;
    message.from = 1;
    (void)cluster_step(cluster, 1, event);
    ck_assert_uint_eq(view().hard_state.term, 0);
    ck_assert_uint_eq(answers_count(), 0);
}
END_TEST

START_TEST(roles_have_names)
{
    ck_assert_str_eq(raft_role_name(RAFT_FOLLOWER), "follower");
    ck_assert_str_eq(raft_role_name(RAFT_PRE_CANDIDATE), "pre_candidate");
    ck_assert_str_eq(raft_role_name(RAFT_CANDIDATE), "candidate");
    ck_assert_str_eq(raft_role_name(RAFT_LEADER), "leader");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("election");
    tcase_add_checked_fixture(tcase, election_start, puppet_stop);
    tcase_add_test(tcase, a_newer_term_makes_a_follower_of_every_role);
    tcase_add_test(tcase, a_response_of_a_newer_term_deposes_a_leader);
    tcase_add_test(tcase, a_vote_in_an_old_term_is_refused_with_the_own_term);
    tcase_add_test(tcase, one_vote_is_given_in_a_term_and_repeated_to_the_same_candidate);
    tcase_add_test(tcase, an_answer_carries_the_request_and_the_campaign_it_answers);
    tcase_add_test(tcase, pitfall_1_a_vote_waits_for_its_write);
    tcase_add_test(tcase, pitfall_2_the_own_vote_counts_once_it_is_durable);
    tcase_add_test(tcase, pitfall_3_a_new_term_clears_the_vote_in_the_same_write);
    tcase_add_test(tcase, pitfall_4_a_refused_candidate_does_not_count_as_voted_for);
    tcase_add_loop_test(tcase, pitfall_5_votes_go_to_logs_that_are_up_to_date, 0, 6);
    tcase_add_test(tcase, followers_campaign_when_they_hear_nothing);
    tcase_add_test(tcase, heartbeats_and_granted_votes_put_the_election_off);
    tcase_add_test(tcase, refused_votes_do_not_put_the_election_off);
    tcase_add_test(tcase, a_candidate_raises_its_term_votes_for_itself_and_asks);
    tcase_add_test(tcase, a_majority_makes_a_leader_that_speaks_at_once);
    tcase_add_test(tcase, a_candidate_yields_to_a_leader_of_its_term);
    tcase_add_test(tcase, a_leader_does_not_obey_a_second_leader_of_its_term);
    tcase_add_test(tcase, pitfall_15_every_campaign_draws_its_timeout_anew);
    tcase_add_test(tcase, nodes_draw_differently);
    tcase_add_test(tcase, misdirected_messages_are_dropped);
    tcase_add_test(tcase, roles_have_names);
    return run_suite("raft_election", tcase);
}
