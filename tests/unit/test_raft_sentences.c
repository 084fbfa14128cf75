/* Sentences of the dissertation that the other files do not hold: Figure 3.1 and the sections 3.10,
 * 4.1 to 4.3 and 9.6. docs/raft.md lists where each sentence is held. Node 1 is real. */
#include "support/raft_puppet.h"
#include "support/run.h"

static const struct raft_entry_id nothing = {0};

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

/* ---- Figure 3.1 ---- */

/* Followers: "respond to RPCs from candidates and leaders", each once, whatever becomes of it. */
START_TEST(every_request_gets_one_answer)
{
    const struct raft_snapshot snapshot = {.id = {.term = 1, .index = 1},
                                           .config = {.voters = {1, 2, 3}, .voters_count = 3}};
    say_vote(2, 3, nothing);
    ck_assert_uint_eq(answers_count(), 1);
    say_vote(3, 2, nothing);
    ck_assert_uint_eq(answers_count(), 1);
    say_pre_vote(3, 4, nothing);
    ck_assert_uint_eq(answers_count(), 1);
    say_append(2, 3, nothing, (const raft_term[]){1, 3}, 2);
    ck_assert_uint_eq(answers_count(), 1);
    say_append(2, 3, (struct raft_entry_id){3, 9}, NULL, 0);
    ck_assert_uint_eq(answers_count(), 1);
    say_heartbeat(2, 3, 1);
    ck_assert_uint_eq(answers_count(), 1);
    say_snapshot(2, 3, &snapshot, 1);
    ck_assert_uint_eq(answers_count(), 1);
}
END_TEST

/* Candidates: "if election timeout elapses: start new election". Without Pre-Vote that is a new term
 * at once. */
START_TEST(a_candidate_whose_time_is_over_begins_another_election)
{
    puppet_stop();
    cluster = cluster_new(&(struct cluster_options){.nodes_count = 3,
                                                    .seed = 3,
                                                    .no_pre_vote = true,
                                                    .is_network_manual = true,
                                                    .is_disk_manual = true});
    for (raft_term term = 1; term <= 3; term++) {
        cluster_await_deadline(cluster, 1);
        cluster_persist(cluster, 1);
        ck_assert_int_eq(view().role, RAFT_CANDIDATE);
        ck_assert_uint_eq(view().hard_state.term, term);
        ck_assert_uint_eq(view().hard_state.vote, 1);
        ck_assert_uint_eq(sent(RAFT_VOTE_REQUEST, 2)->term, term);
    }
}
END_TEST

/* Leaders: heartbeats are "repeated during idle periods to prevent election timeouts". */
START_TEST(an_idle_leader_repeats_its_heartbeats)
{
    lead();
    for (uint32_t i = 0; i < 5; i++) {
        const uint64_t before_ms = cluster->now_ms;
        cluster_await_deadline(cluster, 1);
        ck_assert_uint_le(cluster->now_ms - before_ms, 100);
        ck_assert_ptr_nonnull(sent(RAFT_HEARTBEAT_REQUEST, 2));
        ck_assert_ptr_nonnull(sent(RAFT_HEARTBEAT_REQUEST, 3));
        confirm(2);
        clear_flight();
    }
}
END_TEST

/* "nextIndex: initialized to leader last log index + 1; matchIndex: initialized to 0". The term's
 * no-op is the entry at that place. */
START_TEST(a_leader_begins_behind_its_log_and_assumes_nothing)
{
    struct raft_peer_view peer;
    puppet_log((const raft_term[]){1, 1, 2}, 3);
    puppet_lead();
    ck_assert_int_eq(raft_peer_view(cluster_node(cluster, 1)->raft, 2, &peer), RK_OK);
    ck_assert_uint_eq(peer.match_index, 0);
    ck_assert_uint_eq(peer.next_index, 4);
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 2)->append_request.previous.index, 3);
}
END_TEST

/* "If last log index >= nextIndex for a follower: send entries starting at nextIndex", and no others. */
START_TEST(nothing_is_sent_to_who_has_everything)
{
    lead();
    cluster_await_deadline(cluster, 1);
    confirm(2);
    ck_assert_ptr_null(sent(RAFT_APPEND_REQUEST, 2));
    ck_assert_int_eq(cluster_propose(cluster, 1, 7), RK_OK);
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 2)->append_request.previous.index, 1);
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 2)->append_request.entries_last, 2);
}
END_TEST

/* ---- 3.10 ---- */

/* "Its next message to the prior leader will include its new term number, causing the prior leader to
 * step down": even the request for a vote, for all that the leader is one. */
START_TEST(the_successors_request_deposes_the_leader)
{
    lead();
    ck_assert_int_eq(cluster_transfer(cluster, 1, 2), RK_OK);
    cluster_inject(cluster,
                   &(struct raft_message){.type = RAFT_VOTE_REQUEST,
                                          .from = 2,
                                          .to = 1,
                                          .term = 2,
                                          .vote_request = {.transfer = true, .last = view().last}});
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    ck_assert_uint_eq(view().hard_state.term, 2);
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* ---- 4.1 ---- */

static void say_config(const struct raft_config *config)
{
    struct raft_entry entry = {
        .id = {.term = 1, .index = 1}, .type = RAFT_ENTRY_CONFIG, .config = config};
    cluster_inject(cluster, &(struct raft_message){.type = RAFT_APPEND_REQUEST,
                                                   .from = 2,
                                                   .to = 1,
                                                   .term = 1,
                                                   .append_request = {.entries_last = 1,
                                                                      .entries = &entry,
                                                                      .entries_count = 1,
                                                                      .sequence = 1}});
    cluster_persist(cluster, 1);
}

static const struct raft_config joint = {
    .voters = {1, 4, 5}, .voters_count = 3, .old_voters = {1, 2, 3}, .old_voters_count = 3};

/* "A server always uses the latest configuration in its log, regardless of whether the entry is
 * committed": a follower too, when it stands. */
START_TEST(a_follower_stands_by_a_configuration_that_is_not_committed)
{
    say_config(&joint);
    ck_assert(!view().is_config_committed);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    for (raft_node_id id = 2; id <= 5; id++) {
        ck_assert_ptr_nonnull(sent(RAFT_VOTE_REQUEST, id));
    }
}
END_TEST

/* ---- 4.2.1 ---- */

/* A new server's log is empty: one hint finds that out, however long the leader's is. */
START_TEST(an_empty_log_is_found_out_with_one_probe)
{
    const struct raft_config with_learner = {
        .voters = {1, 2, 3}, .voters_count = 3, .learners = {4}, .learners_count = 1};
    raft_term terms[50];
    for (uint32_t i = 0; i < 50; i++) {
        terms[i] = 1 + i / 10;
    }
    puppet_log(terms, 50);
    puppet_lead();
    accept(2, 51);
    clear_flight();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    ck_assert_uint_ge(sent(RAFT_APPEND_REQUEST, 4)->append_request.previous.index, 51);
    refuse(4, nothing);
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 4)->append_request.previous.index, 0);
}
END_TEST

/* ---- 4.2.3 ---- */

/* "If a server receives a RequestVote request within the minimum election timeout of hearing from a
 * current leader, it does not update its term or grant its vote": for a pre-vote the same (9.6). */
START_TEST(a_pre_vote_is_refused_while_a_leader_is_heard)
{
    say_heartbeat(2, 1, 0);
    cluster_persist(cluster, 1);
    cluster->now_ms += 999;
    say_pre_vote(3, 2, nothing);
    ck_assert(!answer()->vote_response.granted);
    cluster->now_ms += 1;
    say_pre_vote(3, 2, nothing);
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* ---- 4.3 ---- */

/* "Log entries are replicated to all servers in both configurations." */
START_TEST(entries_go_to_both_halves)
{
    lead();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &joint), RK_OK);
    for (raft_node_id id = 2; id <= 5; id++) {
        ck_assert_ptr_nonnull(sent(RAFT_APPEND_REQUEST, id));
    }
}
END_TEST

/* "Any server from either configuration may serve as leader": one of the old half alone, too. */
START_TEST(a_server_of_the_old_half_may_lead)
{
    const struct raft_config without_1 = {
        .voters = {4, 5, 6}, .voters_count = 3, .old_voters = {1, 2, 3}, .old_voters_count = 3};
    say_config(&without_1);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    for (uint32_t phase = 0; phase < 2; phase++) {
        grant(2);
        grant(4);
        grant(5);
        cluster_persist(cluster, 1);
    }
    ck_assert_int_eq(view().role, RAFT_LEADER);
}
END_TEST

/* "Joint consensus allows the cluster to continue servicing client requests throughout the
 * configuration change." */
START_TEST(requests_are_taken_throughout_a_change)
{
    const struct raft_config after = {.voters = {1, 4, 5}, .voters_count = 3};
    lead();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &joint), RK_OK);
    ck_assert_int_eq(cluster_propose(cluster, 1, 7), RK_OK);
    cluster_persist(cluster, 1);
    accept(2, 3);
    ck_assert_uint_eq(view().commit_index, 1);
    accept(4, 3);
    ck_assert_uint_eq(view().commit_index, 3);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &after), RK_OK);
    ck_assert_int_eq(cluster_propose(cluster, 1, 8), RK_OK);
    ck_assert_uint_eq(view().last.index, 5);
}
END_TEST

/* "When the new configuration has been committed under the rules of C_new, the old configuration is
 * irrelevant": its majority is not asked any more. */
START_TEST(what_leaves_a_joint_configuration_commits_by_the_new_majority)
{
    const struct raft_config after = {.voters = {1, 4, 5}, .voters_count = 3};
    lead();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &joint), RK_OK);
    cluster_persist(cluster, 1);
    accept(2, 2);
    accept(4, 2);
    ck_assert_uint_eq(view().commit_index, 2);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &after), RK_OK);
    ck_assert_ptr_nonnull(sent(RAFT_APPEND_REQUEST, 4));
    cluster_persist(cluster, 1);
    accept(4, 3);
    ck_assert_uint_eq(view().commit_index, 3);
}
END_TEST

/* ---- 9.6 ---- */

/* "If it first learns from a majority": one of four others is none. */
START_TEST(pre_votes_of_a_minority_raise_no_term)
{
    puppet_stop();
    puppet_start(5);
    cluster_await_deadline(cluster, 1);
    grant(2);
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
    ck_assert_uint_eq(view().hard_state.term, 0);
    grant(4);
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
    ck_assert_uint_eq(view().hard_state.term, 1);
}
END_TEST

/* "If the candidate's log is sufficiently up-to-date." */
START_TEST(a_pre_vote_is_refused_to_a_log_that_is_behind)
{
    puppet_log((const raft_term[]){1, 2}, 2);
    say_pre_vote(3, 9, (struct raft_entry_id){.term = 1, .index = 5});
    ck_assert(!answer()->vote_response.granted);
    say_pre_vote(3, 9, (struct raft_entry_id){.term = 2, .index = 1});
    ck_assert(!answer()->vote_response.granted);
    say_pre_vote(3, 9, (struct raft_entry_id){.term = 2, .index = 2});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("sentences");
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
    tcase_add_test(tcase, every_request_gets_one_answer);
    tcase_add_test(tcase, a_candidate_whose_time_is_over_begins_another_election);
    tcase_add_test(tcase, an_idle_leader_repeats_its_heartbeats);
    tcase_add_test(tcase, a_leader_begins_behind_its_log_and_assumes_nothing);
    tcase_add_test(tcase, nothing_is_sent_to_who_has_everything);
    tcase_add_test(tcase, the_successors_request_deposes_the_leader);
    tcase_add_test(tcase, a_follower_stands_by_a_configuration_that_is_not_committed);
    tcase_add_test(tcase, an_empty_log_is_found_out_with_one_probe);
    tcase_add_test(tcase, a_pre_vote_is_refused_while_a_leader_is_heard);
    tcase_add_test(tcase, entries_go_to_both_halves);
    tcase_add_test(tcase, a_server_of_the_old_half_may_lead);
    tcase_add_test(tcase, requests_are_taken_throughout_a_change);
    tcase_add_test(tcase, what_leaves_a_joint_configuration_commits_by_the_new_majority);
    tcase_add_test(tcase, pre_votes_of_a_minority_raise_no_term);
    tcase_add_test(tcase, a_pre_vote_is_refused_to_a_log_that_is_behind);
    return run_suite("raft_sentences", tcase);
}
