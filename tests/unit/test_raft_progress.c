/* What a leader learns of one peer from answers in any order. */
#include <signal.h>

#include "raft/progress.h"
#include "support/run.h"

static struct progress progress;

/* A peer that is probed at next_index 10. */
static void set_up(void)
{
    progress_init(&progress, 2);
    progress_reset(&progress, 10, 100);
}

/* Its probe up to 12 was accepted: replicating, next 13. */
static void start_pipeline(void)
{
    const uint64_t sequence = progress_sent(&progress, 12, 100);
    ck_assert(progress_accepted(&progress, sequence, 12, 110));
    ck_assert_int_eq(progress.state, PROGRESS_REPLICATE);
}

START_TEST(one_probe_is_under_way_at_a_time)
{
    ck_assert(progress_may_send(&progress, 4));
    (void)progress_sent(&progress, 12, 100);
    ck_assert(!progress_may_send(&progress, 4));
    ck_assert_uint_eq(progress.next_index, 10);
}
END_TEST

START_TEST(an_accepted_probe_starts_the_pipeline)
{
    start_pipeline();
    ck_assert_uint_eq(progress.match_index, 12);
    ck_assert_uint_eq(progress.next_index, 13);
}
END_TEST

START_TEST(the_window_bounds_what_is_under_way)
{
    start_pipeline();
    for (raft_index last = 13; last <= 16; last++) {
        ck_assert(progress_may_send(&progress, 4));
        (void)progress_sent(&progress, last, 120);
    }
    ck_assert(!progress_may_send(&progress, 4));
    ck_assert(progress_accepted(&progress, 3, 14, 130));
    ck_assert_uint_eq(progress.inflight_count, 2);
    ck_assert(progress_may_send(&progress, 4));
}
END_TEST

/* The transport may carry one append as several requests: each answer moves match_index, the slot
 * is free when the last entry is there. */
START_TEST(a_slot_is_freed_by_index)
{
    start_pipeline();
    const uint64_t sequence = progress_sent(&progress, 20, 120);
    ck_assert(progress_accepted(&progress, sequence, 15, 121));
    ck_assert_uint_eq(progress.inflight_count, 1);
    ck_assert(progress_accepted(&progress, sequence, 20, 122));
    ck_assert_uint_eq(progress.inflight_count, 0);
}
END_TEST

START_TEST(a_probe_answered_in_part_goes_on_as_pipeline)
{
    const uint64_t sequence = progress_sent(&progress, 30, 100);
    ck_assert(progress_accepted(&progress, sequence, 15, 110));
    ck_assert_int_eq(progress.state, PROGRESS_REPLICATE);
    ck_assert_uint_eq(progress.next_index, 31);
    ck_assert_uint_eq(progress.inflight_count, 1);
}
END_TEST

/* Pitfall 33: the same answer twice counts once. */
START_TEST(pitfall_33_a_repeated_answer_changes_nothing)
{
    start_pipeline();
    const uint64_t sequence = progress_sent(&progress, 13, 120);
    ck_assert(progress_accepted(&progress, sequence, 13, 130));
    ck_assert(!progress_accepted(&progress, sequence, 13, 140));
    ck_assert(!progress_accepted(&progress, sequence, 11, 150));
    ck_assert_uint_eq(progress.match_index, 13);
}
END_TEST

START_TEST(a_refused_probe_goes_where_the_hint_points)
{
    const uint64_t sequence = progress_sent(&progress, 12, 100);
    progress_refused(&progress, sequence, 9, 4);
    ck_assert_uint_eq(progress.next_index, 4);
    ck_assert(progress_may_send(&progress, 4));
}
END_TEST

/* Two probes may ask for the same place; the answer to the one that was given up says nothing about
 * the one under way. */
START_TEST(pitfall_30_a_refusal_of_an_earlier_probe_does_not_answer_the_next)
{
    const uint64_t first = progress_sent(&progress, 12, 100);
    progress_expire(&progress, 200, 50);
    const uint64_t second = progress_sent(&progress, 12, 200);
    progress_refused(&progress, first, 9, 4);
    ck_assert_uint_eq(progress.next_index, 10);
    ck_assert(!progress_may_send(&progress, 4));
    progress_refused(&progress, second, 9, 4);
    ck_assert_uint_eq(progress.next_index, 4);
}
END_TEST

/* Pitfall 30: a refusal that was overtaken by an acceptance, in either state. */
START_TEST(pitfall_30_a_stale_refusal_never_lowers_next_to_match)
{
    const uint64_t first = progress_sent(&progress, 12, 100);
    ck_assert(progress_accepted(&progress, first, 12, 110));
    progress_refused(&progress, first, 9, 1);
    ck_assert_int_eq(progress.state, PROGRESS_REPLICATE);
    ck_assert_uint_eq(progress.next_index, 13);

    progress_probe(&progress);
    (void)progress_sent(&progress, 14, 120);
    progress_refused(&progress, first, 9, 1);
    ck_assert_uint_eq(progress.next_index, 13);
    ck_assert(!progress_may_send(&progress, 4));
}
END_TEST

START_TEST(even_the_probe_under_way_is_not_refused_below_match)
{
    start_pipeline();
    progress_probe(&progress);
    const uint64_t sequence = progress_sent(&progress, 14, 120);
    progress_refused(&progress, sequence, 12, 3);
    ck_assert_uint_eq(progress.next_index, 13);
    ck_assert(!progress_may_send(&progress, 4)); /* the clock sends it again, not the refusal */
    progress_expire(&progress, 1000, 500);
    ck_assert(progress_may_send(&progress, 4));
}
END_TEST

/* Pitfall 41: an append that overtook another is refused; the pipeline starts again behind what is
 * known to match, once. */
START_TEST(pitfall_41_a_gap_goes_back_to_match_and_no_further)
{
    start_pipeline();
    (void)progress_sent(&progress, 13, 120);
    const uint64_t second = progress_sent(&progress, 14, 120);
    const uint64_t third = progress_sent(&progress, 15, 120);
    progress_refused(&progress, second, 13, 5);
    ck_assert_int_eq(progress.state, PROGRESS_PROBE);
    ck_assert_uint_eq(progress.next_index, 13);
    (void)progress_sent(&progress, 15, 130);
    progress_refused(&progress, third, 14, 5);
    ck_assert_uint_eq(progress.next_index, 13);
    ck_assert(!progress_may_send(&progress, 4));
}
END_TEST

/* Pitfall 40: all that was under way is lost without a word. */
START_TEST(pitfall_40_a_silent_pipeline_is_probed_again)
{
    start_pipeline();
    for (raft_index last = 13; last <= 16; last++) {
        (void)progress_sent(&progress, last, 120);
    }
    progress_expire(&progress, 619, 500);
    ck_assert_int_eq(progress.state, PROGRESS_REPLICATE);
    progress_expire(&progress, 620, 500);
    ck_assert_int_eq(progress.state, PROGRESS_PROBE);
    ck_assert_uint_eq(progress.next_index, 13);
    ck_assert(progress_may_send(&progress, 4));
}
END_TEST

START_TEST(an_idle_pipeline_does_not_expire)
{
    start_pipeline();
    progress_expire(&progress, 100000, 500);
    ck_assert_int_eq(progress.state, PROGRESS_REPLICATE);
}
END_TEST

START_TEST(an_unreachable_peer_is_left_alone_until_it_answers)
{
    start_pipeline();
    (void)progress_sent(&progress, 13, 120);
    progress_unreachable(&progress);
    ck_assert(!progress_may_send(&progress, 4));
    ck_assert_uint_eq(progress.next_index, 13);
    progress.is_paused = false;
    ck_assert(progress_may_send(&progress, 4));
}
END_TEST

/* A peer that lost entries no longer counts for them, and answers from before say nothing. */
START_TEST(a_loss_takes_match_back_and_old_answers_with_it)
{
    start_pipeline();
    const uint64_t sequence = progress_sent(&progress, 20, 120);
    progress_lost(&progress, 3, 200);
    ck_assert_uint_eq(progress.match_index, 0);
    ck_assert_uint_eq(progress.next_index, 4);
    ck_assert(!progress_accepted(&progress, sequence, 20, 210));
    ck_assert_uint_eq(progress.match_index, 0);
}
END_TEST

START_TEST(sending_past_the_window_aborts)
{
    start_pipeline();
    for (raft_index last = 13; last <= 13 + RAFT_INFLIGHT_MAX; last++) {
        (void)progress_sent(&progress, last, 120);
    }
}
END_TEST

/* At 12 of 20, which are in a snapshot: offered at 5000. */
static uint64_t offer_snapshot(void)
{
    start_pipeline();
    return progress_snapshot(&progress, 20, 5000);
}

START_TEST(nothing_is_sent_while_a_snapshot_is_under_way)
{
    (void)offer_snapshot();
    ck_assert_int_eq(progress.state, PROGRESS_SNAPSHOT);
    ck_assert(!progress_may_send(&progress, 4));
    progress_unreachable(&progress);
    ck_assert_int_eq(progress.state, PROGRESS_SNAPSHOT);
}
END_TEST

/* Pitfall 40: a snapshot is given four times as long as an append, from its last sign of life. */
START_TEST(pitfall_40_a_silent_snapshot_is_given_up)
{
    (void)offer_snapshot();
    progress_expire(&progress, 5399, 100);
    ck_assert_int_eq(progress.state, PROGRESS_SNAPSHOT);
    progress_snapshot_moved(&progress, 5399);
    progress_expire(&progress, 5798, 100);
    ck_assert_int_eq(progress.state, PROGRESS_SNAPSHOT);
    progress_expire(&progress, 5799, 100);
    ck_assert_int_eq(progress.state, PROGRESS_PROBE);
    ck_assert_uint_eq(progress.next_index, 13);
}
END_TEST

START_TEST(a_late_acknowledgement_short_of_the_snapshot_changes_nothing_else)
{
    const uint64_t sequence = offer_snapshot();
    ck_assert(progress_accepted(&progress, sequence - 1, 15, 5010));
    ck_assert_int_eq(progress.state, PROGRESS_SNAPSHOT);
    ck_assert(progress_accepted(&progress, sequence, 20, 5020));
    ck_assert_int_eq(progress.state, PROGRESS_PROBE);
    ck_assert_uint_eq(progress.next_index, 21);
}
END_TEST

START_TEST(a_late_refusal_does_not_end_a_snapshot)
{
    start_pipeline();
    const uint64_t sequence = progress_sent(&progress, 14, 120);
    (void)progress_snapshot(&progress, 20, 5000);
    progress_refused(&progress, sequence, 13, 5);
    ck_assert_int_eq(progress.state, PROGRESS_SNAPSHOT);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("progress");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, one_probe_is_under_way_at_a_time);
    tcase_add_test(tcase, an_accepted_probe_starts_the_pipeline);
    tcase_add_test(tcase, the_window_bounds_what_is_under_way);
    tcase_add_test(tcase, a_slot_is_freed_by_index);
    tcase_add_test(tcase, a_probe_answered_in_part_goes_on_as_pipeline);
    tcase_add_test(tcase, pitfall_33_a_repeated_answer_changes_nothing);
    tcase_add_test(tcase, a_refused_probe_goes_where_the_hint_points);
    tcase_add_test(tcase, pitfall_30_a_stale_refusal_never_lowers_next_to_match);
    tcase_add_test(tcase, pitfall_30_a_refusal_of_an_earlier_probe_does_not_answer_the_next);
    tcase_add_test(tcase, even_the_probe_under_way_is_not_refused_below_match);
    tcase_add_test(tcase, pitfall_41_a_gap_goes_back_to_match_and_no_further);
    tcase_add_test(tcase, pitfall_40_a_silent_pipeline_is_probed_again);
    tcase_add_test(tcase, an_idle_pipeline_does_not_expire);
    tcase_add_test(tcase, an_unreachable_peer_is_left_alone_until_it_answers);
    tcase_add_test(tcase, a_loss_takes_match_back_and_old_answers_with_it);
    tcase_add_test_raise_signal(tcase, sending_past_the_window_aborts, SIGABRT);
    tcase_add_test(tcase, nothing_is_sent_while_a_snapshot_is_under_way);
    tcase_add_test(tcase, pitfall_40_a_silent_snapshot_is_given_up);
    tcase_add_test(tcase, a_late_acknowledgement_short_of_the_snapshot_changes_nothing_else);
    tcase_add_test(tcase, a_late_refusal_does_not_end_a_snapshot);
    return run_suite("raft_progress", tcase);
}
