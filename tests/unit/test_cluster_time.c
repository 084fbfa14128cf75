#include "statemachine/cluster_time.h"
#include "support/run.h"

START_TEST(clock_stands_at_zero_until_the_first_stamp)
{
    struct cluster_time time = {0};
    ck_assert_uint_eq(cluster_time_ms(&time, 90000), 0);
    cluster_time_note(&time, 1, 0, 90000);
    ck_assert_uint_eq(cluster_time_ms(&time, 90000), 0);
    ck_assert_uint_eq(cluster_time_ms(&time, 90007), 7);
}
END_TEST

/* Pitfall 126: what passes between the last entry and the change of leaders counts. */
START_TEST(pitfall_126_clock_goes_on_from_the_last_stamp)
{
    struct cluster_time time = {0};
    cluster_time_note(&time, 1, 5000, 100);
    ck_assert_uint_eq(cluster_time_ms(&time, 8100), 13000);
}
END_TEST

START_TEST(stamp_that_came_late_does_not_put_the_clock_back)
{
    struct cluster_time time = {0};
    cluster_time_note(&time, 1, 5000, 100);
    cluster_time_note(&time, 1, 5010, 150); /* stamped 10 ms later, seen 50 ms later */
    ck_assert_uint_eq(cluster_time_ms(&time, 150), 5050);
    cluster_time_note(&time, 1, 5100, 151);
    ck_assert_uint_eq(cluster_time_ms(&time, 151), 5100);
}
END_TEST

/* Pitfall 126: a leader that was down for a while counts behind the others. What it stamps with a time to
 * live would end too early under the next leader, if that had gone on as before. */
START_TEST(pitfall_126_clock_follows_a_new_leader_that_counts_behind)
{
    struct cluster_time time = {0};
    cluster_time_note(&time, 1, 5000, 100);
    cluster_time_note(&time, 2, 5010, 1100);
    ck_assert_uint_eq(cluster_time_ms(&time, 1100), 5010);
    cluster_time_note(&time, 2, 5020, 1150);
    ck_assert_uint_eq(cluster_time_ms(&time, 1150), 5060);
}
END_TEST

/* Two would-be first leaders begin to count at different times; the one that lost follows. */
START_TEST(clock_follows_the_leader_whose_entries_took_the_place)
{
    struct cluster_time time = {0};
    cluster_time_note(&time, 1, 0, 100);
    cluster_time_doubt(&time);
    ck_assert_uint_eq(cluster_time_ms(&time, 900), 800);
    cluster_time_note(&time, 1, 30, 900);
    ck_assert_uint_eq(cluster_time_ms(&time, 900), 30);
    cluster_time_note(&time, 1, 31, 950); /* in doubt only once */
    ck_assert_uint_eq(cluster_time_ms(&time, 950), 80);
}
END_TEST

START_TEST(clock_does_not_overflow)
{
    struct cluster_time time = {0};
    cluster_time_note(&time, 1, UINT64_MAX - 3, 100);
    ck_assert_uint_eq(cluster_time_ms(&time, 200), UINT64_MAX);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("cluster_time");

    tcase_add_test(tcase, clock_stands_at_zero_until_the_first_stamp);
    tcase_add_test(tcase, pitfall_126_clock_goes_on_from_the_last_stamp);
    tcase_add_test(tcase, stamp_that_came_late_does_not_put_the_clock_back);
    tcase_add_test(tcase, pitfall_126_clock_follows_a_new_leader_that_counts_behind);
    tcase_add_test(tcase, clock_follows_the_leader_whose_entries_took_the_place);
    tcase_add_test(tcase, clock_does_not_overflow);
    return run_suite("cluster_time", tcase);
}
