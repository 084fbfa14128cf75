/* Leases (dissertation 6.4.1): until when node 1, the leader, may answer reads without asking. The
 * election timeout is 1000 ms, a lease lasts 900 ms. Pitfalls by their numbers. */
#include <signal.h>

#include "support/raft_puppet.h"
#include "support/run.h"

static const struct cluster_options options = {.nodes_count = 3,
                                               .seed = 3,
                                               .lease_ms = 900,
                                               .is_network_manual = true,
                                               .is_disk_manual = true};

/* Node 1 leads voters 1 2 3, its no-op is committed; no round has been answered. */
static void set_up(void)
{
    cluster = cluster_new(&options);
    puppet_lead();
    accept(3, 1);
    clear_flight();
}

/* The clock of leases; the first step of a cluster is at 1. */
static uint64_t boot_ms(void)
{
    return cluster->now_ms + cluster->asleep_ms + 1;
}

/* A round leaves now; when. */
static uint64_t begin_round(void)
{
    clear_flight();
    cluster_await_deadline(cluster, 1);
    ck_assert_ptr_nonnull(sent(RAFT_HEARTBEAT_REQUEST, 2));
    return boot_ms();
}

/* Pitfall 103: two quick steps, and then an answer that was long under way. */
START_TEST(pitfall_103_a_lease_counts_from_when_the_round_was_sent)
{
    const uint64_t sent_ms = begin_round();
    cluster->now_ms += 80;
    confirm(3);
    ck_assert_uint_eq(view().lease_end_ms, sent_ms + 900);
}
END_TEST

START_TEST(without_an_answer_there_is_no_lease)
{
    (void)begin_round();
    ck_assert_uint_eq(view().lease_end_ms, 0);
}
END_TEST

/* Of five, the leader and two more: the older of the two rounds is what a quorum has promised. */
START_TEST(the_quorums_oldest_round_counts)
{
    cluster_free(cluster);
    struct cluster_options five = options;
    five.nodes_count = 5;
    cluster = cluster_new(&five);
    cluster_await_deadline(cluster, 1);
    for (raft_node_id id = 2; id <= 3; id++) {
        grant(id);
    }
    cluster_persist(cluster, 1);
    for (raft_node_id id = 2; id <= 3; id++) {
        grant(id);
    }
    ck_assert_int_eq(view().role, RAFT_LEADER);
    cluster_persist(cluster, 1);
    accept(2, 1);
    accept(3, 1);
    const uint64_t first_ms = begin_round();
    confirm(2);
    ck_assert_uint_eq(view().lease_end_ms, 0);
    confirm(3);
    ck_assert_uint_eq(view().lease_end_ms, first_ms + 900);
    const uint64_t second_ms = begin_round();
    confirm(4);
    ck_assert_uint_eq(view().lease_end_ms, first_ms + 900);
    confirm(5);
    ck_assert_uint_eq(view().lease_end_ms, second_ms + 900);
}
END_TEST

/* The end does not move by itself: the clock does. */
START_TEST(a_lease_ends_without_further_answers)
{
    const uint64_t sent_ms = begin_round();
    confirm(3);
    for (uint32_t i = 0; i < 5; i++) {
        (void)begin_round();
        ck_assert_uint_eq(view().lease_end_ms, sent_ms + 900);
    }
}
END_TEST

/* Pitfall 107: what the machine slept counts, although the clock of elections did not move. */
START_TEST(pitfall_107_a_lease_counts_by_the_clock_that_goes_on_in_sleep)
{
    cluster->asleep_ms = 5000;
    const uint64_t sent_ms = begin_round();
    confirm(3);
    ck_assert_uint_eq(sent_ms, cluster->now_ms + 5001);
    ck_assert_uint_eq(view().lease_end_ms, sent_ms + 900);
}
END_TEST

/* An answer to a round too long ago to know when it left. */
START_TEST(a_round_long_forgotten_gives_no_lease)
{
    (void)begin_round();
    const struct raft_message old = *sent(RAFT_HEARTBEAT_REQUEST, 3);
    for (uint32_t i = 0; i < 70; i++) {
        (void)begin_round();
        cluster_inject(cluster, &(struct raft_message){.type = RAFT_APPEND_RESPONSE,
                                                       .from = 3,
                                                       .to = 1,
                                                       .term = 1,
                                                       .append_response = {.sequence = 0}});
    }
    ck_assert_int_eq(view().role, RAFT_LEADER);
    cluster_inject(cluster,
                   &(struct raft_message){
                       .type = RAFT_HEARTBEAT_RESPONSE,
                       .from = 3,
                       .to = 1,
                       .term = 1,
                       .heartbeat_response = {.round = old.heartbeat_request.round, .last = 1}});
    ck_assert_uint_eq(view().lease_end_ms, 0);
}
END_TEST

/* Pitfall 96 for leases: what is committed here may be behind the cluster until then. */
START_TEST(pitfall_96_there_is_no_lease_before_the_term_has_committed)
{
    cluster_free(cluster);
    cluster = cluster_new(&options);
    puppet_lead();
    confirm(3);
    ck_assert_uint_eq(view().lease_end_ms, 0);
    accept(3, 1);
    ck_assert_uint_gt(view().lease_end_ms, boot_ms());
}
END_TEST

/* Pitfall 104: the successor may be elected at once, so the lease ends first. */
START_TEST(pitfall_104_a_transfer_ends_the_lease_before_timeout_now_leaves)
{
    (void)begin_round();
    confirm(3);
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 3), RK_OK);
    ck_assert_ptr_null(sent(RAFT_TIMEOUT_NOW, 3));
    ck_assert_uint_eq(view().lease_end_ms, 0);
}
END_TEST

/* One that was told to stand may do so at any time later: its request for votes carries the flag
 * that breaks promises. */
START_TEST(pitfall_104_after_timeout_now_the_term_has_no_lease_any_more)
{
    (void)begin_round();
    confirm(3);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 3), RK_OK);
    ck_assert_ptr_nonnull(sent(RAFT_TIMEOUT_NOW, 3));
    for (uint32_t i = 0; i < 30; i++) {
        (void)begin_round();
        confirm(2);
        confirm(3);
    }
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    ck_assert_uint_eq(view().lease_end_ms, 0);
}
END_TEST

/* The next term is another one: nobody was told to stand in it. */
START_TEST(a_term_after_a_transfer_has_leases_again)
{
    ck_assert_int_eq(cluster_transfer(cluster, 1, 3), RK_OK);
    ck_assert_ptr_nonnull(sent(RAFT_TIMEOUT_NOW, 3));
    say_heartbeat(2, 2, 0);
    cluster_persist(cluster, 1);
    clear_flight();
    puppet_lead();
    accept(3, view().last.index);
    const uint64_t sent_ms = begin_round();
    confirm(3);
    ck_assert_uint_eq(view().lease_end_ms, sent_ms + 900);
}
END_TEST

/* Nobody was told to stand: the promises hold. */
START_TEST(a_transfer_given_up_before_timeout_now_keeps_the_promises)
{
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 2), RK_OK);
    for (uint32_t i = 0; i < 9; i++) {
        (void)begin_round();
        confirm(3);
        ck_assert_uint_eq(view().lease_end_ms, 0);
    }
    (void)begin_round();
    (void)begin_round();
    const uint64_t sent_ms = begin_round();
    confirm(3);
    ck_assert_int_eq(cluster_propose(cluster, 1, 6), RK_OK);
    ck_assert_uint_eq(view().lease_end_ms, sent_ms + 900);
}
END_TEST

static const struct raft_config joint = {
    .voters = {1, 4, 5}, .voters_count = 3, .old_voters = {1, 2, 3}, .old_voters_count = 3};

/* Pitfall 106: rounds acknowledged before are not those of the new configuration's quorums. */
START_TEST(pitfall_106_a_configuration_ends_the_lease)
{
    (void)begin_round();
    confirm(3);
    ck_assert_uint_ne(view().lease_end_ms, 0);
    const struct raft_config with_learner = {
        .voters = {1, 2, 3}, .voters_count = 3, .learners = {4}, .learners_count = 1};
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    ck_assert_uint_eq(view().lease_end_ms, 0);
    const uint64_t sent_ms = begin_round();
    confirm(3);
    ck_assert_uint_eq(view().lease_end_ms, sent_ms + 900);
}
END_TEST

/* Pitfall 79 for leases. */
START_TEST(pitfall_106_a_joint_configuration_needs_both_halves)
{
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &joint), RK_OK);
    const uint64_t sent_ms = begin_round();
    confirm(3);
    ck_assert_uint_eq(view().lease_end_ms, 0);
    confirm(4);
    ck_assert_uint_eq(view().lease_end_ms, sent_ms + 900);
}
END_TEST

START_TEST(learners_promise_nothing)
{
    const struct raft_config with_learner = {
        .voters = {1, 2, 3}, .voters_count = 3, .learners = {4}, .learners_count = 1};
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    (void)begin_round();
    confirm(4);
    ck_assert_uint_eq(view().lease_end_ms, 0);
}
END_TEST

/* Node 3 is to decide alone. It has the entry that says so, and would begin a new term at once if it
 * restarted now, while node 1 still leads: its answer is no promise (4.2.2, pitfalls 105, 109). */
START_TEST(a_leader_that_has_removed_itself_has_no_lease)
{
    const struct raft_config to_3 = {
        .voters = {3}, .voters_count = 1, .old_voters = {1, 2, 3}, .old_voters_count = 3};
    const struct raft_config only_3 = {.voters = {3}, .voters_count = 1};
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &to_3), RK_OK);
    cluster_persist(cluster, 1);
    accept(3, 2);
    ck_assert_uint_eq(view().commit_index, 2);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &only_3), RK_OK);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    confirm(3);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    ck_assert_uint_eq(view().lease_end_ms, 0);
}
END_TEST

START_TEST(a_leader_that_steps_down_has_no_lease)
{
    (void)begin_round();
    confirm(3);
    say_heartbeat(2, 2, 0);
    ck_assert_uint_eq(view().lease_end_ms, 0);
}
END_TEST

START_TEST(one_who_decides_alone_has_a_lease_of_its_own)
{
    cluster_free(cluster);
    struct cluster_options one = options;
    one.nodes_count = 1;
    cluster = cluster_new(&one);
    cluster_persist(cluster, 1);
    cluster_persist(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    cluster_await_deadline(cluster, 1);
    ck_assert_uint_eq(view().lease_end_ms, boot_ms() + 900);
}
END_TEST

/* The other side of the promise. Node 1 acknowledged a round of 2, then hears of a newer term from
 * one that knows nothing of it: the promise stands. */
START_TEST(a_newer_term_does_not_free_a_voter_of_its_promise)
{
    cluster_free(cluster);
    cluster = cluster_new(&options);
    say_heartbeat(2, 3, 0);
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_APPEND_RESPONSE, .from = 3, .to = 1, .term = 7});
    cluster_persist(cluster, 1);
    ck_assert_uint_eq(view().hard_state.term, 7);
    cluster->now_ms += 999;
    say_vote(3, 8, (struct raft_entry_id){0, 0});
    ck_assert(!answer()->vote_response.granted);
    cluster->now_ms += 1;
    say_vote(3, 8, (struct raft_entry_id){0, 0});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* Pitfall 105: a restart does not free it either. */
START_TEST(pitfall_105_a_restart_does_not_free_a_voter_of_its_promise)
{
    cluster_free(cluster);
    cluster = cluster_new(&options);
    say_heartbeat(2, 3, 0);
    cluster_persist(cluster, 1);
    cluster_crash(cluster, 1);
    cluster_start(cluster, 1);
    cluster->now_ms += 999;
    say_vote(3, 4, (struct raft_entry_id){0, 0});
    ck_assert(!answer()->vote_response.granted);
    cluster->now_ms += 1;
    say_vote(3, 4, (struct raft_entry_id){0, 0});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* Nobody may lean on promises that voters do not make. */
START_TEST(leases_without_check_quorum_abort)
{
    struct cluster_options bad = options;
    bad.no_check_quorum = true;
    cluster_free(cluster_new(&bad));
}
END_TEST

START_TEST(a_lease_as_long_as_the_promise_aborts)
{
    struct cluster_options bad = options;
    bad.lease_ms = 1000;
    cluster_free(cluster_new(&bad));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("lease");
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
    tcase_add_test(tcase, pitfall_103_a_lease_counts_from_when_the_round_was_sent);
    tcase_add_test(tcase, without_an_answer_there_is_no_lease);
    tcase_add_test(tcase, the_quorums_oldest_round_counts);
    tcase_add_test(tcase, a_lease_ends_without_further_answers);
    tcase_add_test(tcase, pitfall_107_a_lease_counts_by_the_clock_that_goes_on_in_sleep);
    tcase_add_test(tcase, a_round_long_forgotten_gives_no_lease);
    tcase_add_test(tcase, pitfall_96_there_is_no_lease_before_the_term_has_committed);
    tcase_add_test(tcase, pitfall_104_a_transfer_ends_the_lease_before_timeout_now_leaves);
    tcase_add_test(tcase, pitfall_104_after_timeout_now_the_term_has_no_lease_any_more);
    tcase_add_test(tcase, a_term_after_a_transfer_has_leases_again);
    tcase_add_test(tcase, a_transfer_given_up_before_timeout_now_keeps_the_promises);
    tcase_add_test(tcase, pitfall_106_a_configuration_ends_the_lease);
    tcase_add_test(tcase, pitfall_106_a_joint_configuration_needs_both_halves);
    tcase_add_test(tcase, learners_promise_nothing);
    tcase_add_test(tcase, a_leader_that_has_removed_itself_has_no_lease);
    tcase_add_test(tcase, a_leader_that_steps_down_has_no_lease);
    tcase_add_test(tcase, one_who_decides_alone_has_a_lease_of_its_own);
    tcase_add_test(tcase, a_newer_term_does_not_free_a_voter_of_its_promise);
    tcase_add_test(tcase, pitfall_105_a_restart_does_not_free_a_voter_of_its_promise);
    tcase_add_test_raise_signal(tcase, leases_without_check_quorum_abort, SIGABRT);
    tcase_add_test_raise_signal(tcase, a_lease_as_long_as_the_promise_aborts, SIGABRT);
    return run_suite("raft_lease", tcase);
}
