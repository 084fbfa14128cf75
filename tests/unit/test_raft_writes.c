/* What completions of writes say about the log, with truncations between. */
#include <signal.h>

#include "raft/writes.h"
#include "support/run.h"

static struct writes writes;

static void hand_out(raft_index last_index, uint64_t now_ms)
{
    writes.newest++;
    writes_add(&writes, last_index, now_ms);
}

static void set_up(void)
{
    writes_init(&writes, 5);
}

START_TEST(each_completion_makes_its_entries_durable)
{
    hand_out(7, 10);
    hand_out(9, 20);
    ck_assert_uint_eq(writes.durable_index, 5);
    writes_persisted(&writes, 1);
    ck_assert_uint_eq(writes.durable_index, 7);
    ck_assert(writes_pending(&writes));
    ck_assert_uint_eq(writes_age_ms(&writes, 50), 30);
    writes_persisted(&writes, 2);
    ck_assert_uint_eq(writes.durable_index, 9);
    ck_assert(!writes_pending(&writes));
    ck_assert_uint_eq(writes_age_ms(&writes, 50), 0);
}
END_TEST

START_TEST(one_completion_covers_all_before_it_and_old_ones_change_nothing)
{
    hand_out(7, 10);
    hand_out(9, 20);
    writes_persisted(&writes, 2);
    writes_persisted(&writes, 1);
    writes_persisted(&writes, 2);
    ck_assert_uint_eq(writes.durable_index, 9);
    ck_assert_uint_eq(writes.persisted, 2);
}
END_TEST

/* Pitfall 35: 6 and 7 are written, cut away and written anew; the first completion is about
 * entries that are gone. */
START_TEST(pitfall_35_a_completion_before_a_truncation_says_nothing_about_what_follows)
{
    hand_out(7, 10);
    writes_truncate(&writes, 6);
    hand_out(7, 20);
    writes_persisted(&writes, 1);
    ck_assert_uint_eq(writes.durable_index, 5);
    writes_persisted(&writes, 2);
    ck_assert_uint_eq(writes.durable_index, 7);
}
END_TEST

START_TEST(truncation_takes_back_what_was_durable)
{
    writes_truncate(&writes, 4);
    hand_out(6, 10);
    ck_assert_uint_eq(writes.durable_index, 3);
    writes_persisted(&writes, 1);
    ck_assert_uint_eq(writes.durable_index, 6);
}
END_TEST

/* Past the ring's size, single completions are counted late, the last one in full. */
START_TEST(a_full_ring_joins_its_newest_writes)
{
    const uint64_t count = WRITES_SLOTS_MAX + 10;
    for (uint64_t i = 1; i <= count; i++) {
        hand_out(5 + i, i);
    }
    writes_persisted(&writes, count - 1);
    ck_assert_uint_eq(writes.durable_index, 5 + WRITES_SLOTS_MAX - 1);
    ck_assert_uint_eq(writes_age_ms(&writes, 100), 100 - WRITES_SLOTS_MAX);
    writes_persisted(&writes, count);
    ck_assert_uint_eq(writes.durable_index, 5 + count);
    ck_assert(!writes_pending(&writes));
}
END_TEST

START_TEST(completing_a_write_that_was_not_handed_out_aborts)
{
    hand_out(7, 10);
    writes_persisted(&writes, 2);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("writes");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, each_completion_makes_its_entries_durable);
    tcase_add_test(tcase, one_completion_covers_all_before_it_and_old_ones_change_nothing);
    tcase_add_test(tcase,
                   pitfall_35_a_completion_before_a_truncation_says_nothing_about_what_follows);
    tcase_add_test(tcase, truncation_takes_back_what_was_durable);
    tcase_add_test(tcase, a_full_ring_joins_its_newest_writes);
    tcase_add_test_raise_signal(tcase, completing_a_write_that_was_not_handed_out_aborts, SIGABRT);
    return run_suite("raft_writes", tcase);
}
