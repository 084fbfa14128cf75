/* Linearizable reads (dissertation 6.4): one test per sentence, and per pitfall about reads (named
 * by its number). Node 1 leads; the others say what the test makes them say. */
#include "support/raft_puppet.h"
#include "support/run.h"

static struct cluster_node *node(void)
{
    return cluster_node(cluster, 1);
}

/* Node 1 leads; its no-op is committed if `is_committed`. No round is under way. */
static void lead(bool is_committed)
{
    puppet_start(3);
    puppet_lead();
    if (is_committed) {
        accept(2, 1);
    }
    clear_flight();
}

static void set_up(void)
{
    lead(true);
}

static struct raft_message round_to(raft_node_id to)
{
    const struct raft_message *message = sent(RAFT_HEARTBEAT_REQUEST, to);
    ck_assert_ptr_nonnull(message);
    return *message;
}

/* The peer's answer to that heartbeat, however late. */
static void answer_round(const struct raft_message *beat)
{
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_HEARTBEAT_RESPONSE,
                                .from = beat->to,
                                .to = 1,
                                .term = beat->term,
                                .heartbeat_response = {.round = beat->heartbeat_request.round,
                                                       .last = UINT32_MAX}});
}

/* "The leader needs to make sure it has not been superseded": a round of heartbeats at once. */
START_TEST(a_read_sends_a_round_of_heartbeats_at_once)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    ck_assert_uint_eq(node()->reads_count, 0);
    (void)round_to(2);
    (void)round_to(3);
    confirm(3);
    ck_assert_uint_eq(node()->reads_count, 1);
    ck_assert_uint_eq(node()->reads[0].number, 1);
    ck_assert_uint_eq(node()->reads[0].index, 1);
}
END_TEST

/* Pitfall 95: no answers, no read. */
START_TEST(pitfall_95_a_leader_that_nobody_answers_serves_no_read)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    for (uint32_t i = 0; i < 8; i++) {
        cluster_await_deadline(cluster, 1);
        ck_assert_uint_eq(node()->reads_count, 0);
    }
}
END_TEST

/* Pitfall 96: "If the leader has not yet marked an entry from its current term committed, it waits
 * until it has done so." */
START_TEST(pitfall_96_reads_wait_for_the_terms_noop)
{
    puppet_stop();
    lead(false);
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    ck_assert_ptr_null(sent(RAFT_HEARTBEAT_REQUEST, 2));
    cluster_await_deadline(cluster, 1);
    confirm(2);
    confirm(3);
    ck_assert_uint_eq(node()->reads_count, 0);
    clear_flight();
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_APPEND_RESPONSE,
                                .from = 2,
                                .to = 1,
                                .term = 1,
                                .append_response = {.accepted = true, .match = 1, .sequence = 1}});
    confirm(2);
    ck_assert_uint_eq(node()->reads_count, 1);
    ck_assert_uint_eq(node()->reads[0].index, 1);
}
END_TEST

/* Pitfall 97: an answer to an earlier round, delivered late, confirms nothing newer. */
START_TEST(pitfall_97_a_late_answer_confirms_no_later_read)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    const struct raft_message late = round_to(3);
    confirm(2);
    ck_assert_uint_eq(node()->reads_count, 1);
    ck_assert_int_eq(cluster_read(cluster, 1, 2), RK_OK);
    answer_round(&late);
    answer_round(&late);
    ck_assert_uint_eq(node()->reads_count, 1);
    confirm(3);
    ck_assert_uint_eq(node()->reads_count, 2);
}
END_TEST

/* Pitfall 98: the peers may have answered the round under way before the read came. */
START_TEST(pitfall_98_a_read_joins_the_next_round)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    const struct raft_message first = round_to(2);
    clear_flight();
    ck_assert_int_eq(cluster_read(cluster, 1, 2), RK_OK);
    ck_assert_ptr_null(sent(RAFT_HEARTBEAT_REQUEST, 2)); /* it waits */
    answer_round(&first);
    ck_assert_uint_eq(node()->reads_count, 1);
    ck_assert_uint_eq(round_to(2).heartbeat_request.round, first.heartbeat_request.round + 1);
    confirm(2);
    ck_assert_uint_eq(node()->reads_count, 2);
}
END_TEST

/* "The leader may amortize this cost": all that wait share a round. */
START_TEST(all_waiting_reads_share_the_next_round)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    const struct raft_message first = round_to(2);
    clear_flight();
    for (uint64_t number = 2; number <= 40; number++) {
        ck_assert_int_eq(cluster_read(cluster, 1, number), RK_OK);
    }
    answer_round(&first);
    ck_assert_uint_eq(cluster->flights_count, 2);
    confirm(3);
    ck_assert_uint_eq(node()->reads_count, 40);
}
END_TEST

/* Pitfall 100: the index is that of the moment the round began, not of the answer's. */
START_TEST(pitfall_100_the_read_index_is_taken_before_the_round)
{
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    cluster_persist(cluster, 1);
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    accept(2, 2);
    ck_assert_uint_eq(view().commit_index, 2);
    confirm(2);
    ck_assert_uint_eq(node()->reads[0].index, 1);
}
END_TEST

/* A round whose heartbeats were lost is repeated by the clock. */
START_TEST(a_lost_round_is_repeated_with_the_next_heartbeat)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    confirm(2);
    ck_assert_uint_eq(node()->reads_count, 1);
}
END_TEST

/* Pitfall 99: what was asked of a leader is not answered by a former one. */
START_TEST(pitfall_99_reads_end_with_leadership)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    const struct raft_message beat = round_to(2);
    say_heartbeat(3, 2, 0);
    answer_round(&beat);
    ck_assert_uint_eq(node()->reads_count, 0);
    ck_assert_int_eq(cluster_read(cluster, 1, 2), RK_NOT_LEADER);
    cluster_persist(cluster, 1);
    cluster->now_ms += 1000;
    clear_flight();
    puppet_lead();
    accept(2, 2);
    confirm(2);
    ck_assert_uint_eq(node()->reads_count, 0);
}
END_TEST

START_TEST(an_answer_of_an_old_term_confirms_nothing)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    struct raft_message beat = round_to(2);
    beat.term = 0;
    answer_round(&beat);
    ck_assert_uint_eq(node()->reads_count, 0);
}
END_TEST

START_TEST(a_round_that_never_was_confirms_nothing)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    struct raft_message beat = round_to(2);
    beat.heartbeat_request.round += 1000;
    answer_round(&beat);
    ck_assert_uint_eq(node()->reads_count, 0);
}
END_TEST

/* Reads are confirmed 64 at a time; the rest follow at once, by a deadline that is now. */
START_TEST(more_reads_than_fit_a_step_follow_in_order)
{
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    for (uint64_t number = 2; number <= 200; number++) {
        ck_assert_int_eq(cluster_read(cluster, 1, number), RK_OK);
    }
    confirm(2);
    confirm(2);
    ck_assert_uint_eq(node()->out->reads_count, RAFT_OUT_READS_MAX);
    while (node()->deadline_ms == cluster->now_ms) {
        cluster_fire(cluster, 1);
    }
    ck_assert_uint_eq(node()->reads_count, 200);
    for (uint64_t i = 0; i < 200; i++) {
        ck_assert_uint_eq(node()->reads[i].number, i + 1);
    }
}
END_TEST

START_TEST(too_many_waiting_reads_are_refused)
{
    enum rk_status status = RK_OK;
    uint64_t taken = 0;
    while (status == RK_OK && taken < 100000) {
        status = cluster_read(cluster, 1, taken + 1);
        taken += status == RK_OK;
    }
    ck_assert_int_eq(status, RK_BUSY);
    ck_assert_uint_eq(taken, 1024);
    confirm(2);
    ck_assert_int_eq(cluster_read(cluster, 1, taken + 1), RK_OK);
}
END_TEST

START_TEST(a_single_voter_confirms_its_reads_itself)
{
    puppet_stop();
    puppet_start(1);
    cluster_await_deadline(cluster, 1);
    cluster_settle(cluster);
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    ck_assert_uint_eq(node()->reads_count, 1);
    ck_assert_uint_eq(node()->reads[0].index, 1);
}
END_TEST

/* Pitfall 109: from {1} to {1, 2, 3}: alone in the old half is not alone. */
START_TEST(pitfall_109_a_joint_configuration_confirms_reads_in_both_halves)
{
    puppet_stop();
    puppet_start(1);
    cluster_await_deadline(cluster, 1);
    cluster_settle(cluster);
    const struct raft_config joint = {
        .voters = {1, 2, 3}, .voters_count = 3, .old_voters = {1}, .old_voters_count = 1};
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &joint), RK_OK);
    cluster_persist(cluster, 1);
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    ck_assert_uint_eq(node()->reads_count, 0);
    confirm(3);
    ck_assert_uint_eq(node()->reads_count, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("read");
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
    tcase_add_test(tcase, a_read_sends_a_round_of_heartbeats_at_once);
    tcase_add_test(tcase, pitfall_95_a_leader_that_nobody_answers_serves_no_read);
    tcase_add_test(tcase, pitfall_96_reads_wait_for_the_terms_noop);
    tcase_add_test(tcase, pitfall_97_a_late_answer_confirms_no_later_read);
    tcase_add_test(tcase, pitfall_98_a_read_joins_the_next_round);
    tcase_add_test(tcase, all_waiting_reads_share_the_next_round);
    tcase_add_test(tcase, pitfall_100_the_read_index_is_taken_before_the_round);
    tcase_add_test(tcase, a_lost_round_is_repeated_with_the_next_heartbeat);
    tcase_add_test(tcase, pitfall_99_reads_end_with_leadership);
    tcase_add_test(tcase, an_answer_of_an_old_term_confirms_nothing);
    tcase_add_test(tcase, a_round_that_never_was_confirms_nothing);
    tcase_add_test(tcase, more_reads_than_fit_a_step_follow_in_order);
    tcase_add_test(tcase, too_many_waiting_reads_are_refused);
    tcase_add_test(tcase, a_single_voter_confirms_its_reads_itself);
    tcase_add_test(tcase, pitfall_109_a_joint_configuration_confirms_reads_in_both_halves);
    return run_suite("raft_read", tcase);
}
