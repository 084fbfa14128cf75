/* Elections: one test per sentence of the dissertation's Figure 3.1 and sections 3.4, 3.6.1, 4.2.3,
 * 6.2 and 9.6, and per pitfall about terms and votes (named by its number). Node 1 is real. */
#include "support/raft_puppet.h"
#include "support/run.h"

static const struct raft_entry_id nothing = {0};

static void set_up(void)
{
    puppet_start(3);
}

static void await_deadline(void)
{
    cluster_await_deadline(cluster, 1);
}

/* Node 1 has campaigned: candidate in term 1, its own vote not yet durable. */
static void become_candidate(void)
{
    await_deadline();
    grant(2);
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
}

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
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
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
    tcase_add_test(tcase, a_leader_without_a_quorum_steps_down);
    tcase_add_test(tcase, a_leader_that_one_of_two_answers_stays);
    tcase_add_test(tcase, pitfall_20_answers_of_an_old_term_do_not_keep_a_leader);
    tcase_add_test(tcase, pitfall_22_a_stopped_node_does_not_campaign_at_once);
    tcase_add_test(tcase, pitfall_22_a_stopped_leader_asks_before_it_gives_up);
    tcase_add_test(tcase, pitfall_17_a_node_that_is_member_of_nothing_neither_stands_nor_votes);
    tcase_add_test(tcase, pitfall_18_a_learner_votes_when_it_is_asked);
    tcase_add_test(tcase, pitfall_36_no_campaign_with_an_unpersisted_suffix);
    tcase_add_test(tcase, pitfall_56_a_leader_with_a_stalled_disk_steps_down);
    tcase_add_test(tcase, misdirected_messages_are_dropped);
    tcase_add_test(tcase, roles_have_names);
    return run_suite("raft_election", tcase);
}
