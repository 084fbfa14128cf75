#include "statemachine/cluster_time.h"
#include "support/run.h"

START_TEST(clock_stands_at_zero_until_the_first_stamp)
{
    struct cluster_time time = {0};
    ck_assert_uint_eq(cluster_time_ms(&time, 90000), 0);
    cluster_time_note(&time, 0, 90000);
    ck_assert_uint_eq(cluster_time_ms(&time, 90000), 0);
    ck_assert_uint_eq(cluster_time_ms(&time, 90007), 7);
}
END_TEST

/* Pitfall 126: what passes between the last entry and the change of leaders counts. */
START_TEST(pitfall_126_clock_goes_on_from_the_last_stamp)
{
    struct cluster_time time = {0};
    cluster_time_note(&time, 5000, 100);
    ck_assert_uint_eq(cluster_time_ms(&time, 8100), 13000);
}
END_TEST

/* Pitfall 126: a leader that was down for a while counts behind the others, and one whose oscillator is
 * slower falls behind them. What it gives a time to live would end too early under a next leader that had
 * counted on by itself. */
START_TEST(pitfall_126_clock_follows_a_leader_that_counts_behind)
{
    struct cluster_time time = {0};
    cluster_time_note(&time, 5000, 100);
    cluster_time_note(&time, 5010, 1100);
    ck_assert_uint_eq(cluster_time_ms(&time, 1100), 5010);
    cluster_time_note(&time, 5100, 1150);
    ck_assert_uint_eq(cluster_time_ms(&time, 1151), 5101);
}
END_TEST

START_TEST(clock_does_not_overflow)
{
    struct cluster_time time = {0};
    cluster_time_note(&time, UINT64_MAX - 3, 100);
    ck_assert_uint_eq(cluster_time_ms(&time, 200), UINT64_MAX);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("cluster_time");

    tcase_add_test(tcase, clock_stands_at_zero_until_the_first_stamp);
    tcase_add_test(tcase, pitfall_126_clock_goes_on_from_the_last_stamp);
    tcase_add_test(tcase, pitfall_126_clock_follows_a_leader_that_counts_behind);
    tcase_add_test(tcase, clock_does_not_overflow);
    return run_suite("cluster_time", tcase);
}
