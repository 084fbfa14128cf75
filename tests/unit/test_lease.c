/* When an HTTP loop may answer a read under a lease (dissertation 6.4.1). The clock is the test's;
 * what happens "between" happens while the reader looks at it, where a pause hurts most. */
#include "base/clock.h"
#include "server/lease.h"
#include "support/run.h"

static struct lease lease;
static uint64_t clock_ms;
static void (*on_clock)(void);

uint64_t rk_boottime_ms(void)
{
    if (on_clock != NULL) {
        on_clock();
    }
    return clock_ms;
}

/* The leader has committed 10 and holds a lease until 2000; it is 1000. */
static void set_up(void)
{
    clock_ms = 1000;
    on_clock = NULL;
    lease_publish(&lease, 2000, 10);
}

START_TEST(a_read_of_all_that_is_committed_is_answered)
{
    ck_assert(lease_holds(&lease, 10));
    ck_assert(lease_holds(&lease, 11));
}
END_TEST

/* A follower may have told its client of 10 before this node has applied it. */
START_TEST(a_read_of_less_than_is_committed_is_not_answered)
{
    ck_assert(!lease_holds(&lease, 9));
}
END_TEST

START_TEST(a_lease_ends_by_the_clock)
{
    clock_ms = 1999;
    ck_assert(lease_holds(&lease, 10));
    clock_ms = 2000;
    ck_assert(!lease_holds(&lease, 10));
}
END_TEST

START_TEST(without_a_lease_nothing_is_answered)
{
    lease_publish(&lease, 0, 10);
    clock_ms = 0;
    ck_assert(!lease_holds(&lease, 10));
}
END_TEST

static void sleep_long(void)
{
    clock_ms += 60000;
}

/* Pitfall 107: the machine sleeps between the look at the lease and the look at the clock. */
START_TEST(pitfall_107_a_pause_between_is_seen)
{
    on_clock = sleep_long;
    ck_assert(!lease_holds(&lease, 10));
}
END_TEST

static void renew_late(void)
{
    lease_publish(&lease, 70000, 20);
    clock_ms = 60000;
}

/* The process stood still and came back with a new lease: the old look does not profit from it. */
START_TEST(pitfall_107_a_lease_renewed_after_a_pause_is_another_one)
{
    on_clock = renew_late;
    ck_assert(!lease_holds(&lease, 10));
}
END_TEST

/* Cut to whole milliseconds, sending may seem a millisecond later than it was, and drift is rounded
 * against the leader: the lease is short enough for every timeout and drift that options allow. */
START_TEST(a_lease_is_shorter_than_any_promise)
{
    ck_assert_uint_eq(lease_length_ms(400, 1), 395);
    ck_assert_uint_eq(lease_length_ms(400, 0), 399);
    for (uint32_t timeout_ms = 20; timeout_ms <= 1000; timeout_ms++) {
        for (uint32_t percent = 0; percent <= 50; percent++) {
            const uint32_t length_ms = lease_length_ms(timeout_ms, percent);
            ck_assert_uint_gt(length_ms, 0);
            ck_assert_uint_le((uint64_t)(length_ms + 1) * 100,
                              (uint64_t)timeout_ms * (100 - percent));
        }
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("lease");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, a_read_of_all_that_is_committed_is_answered);
    tcase_add_test(tcase, a_read_of_less_than_is_committed_is_not_answered);
    tcase_add_test(tcase, a_lease_ends_by_the_clock);
    tcase_add_test(tcase, without_a_lease_nothing_is_answered);
    tcase_add_test(tcase, pitfall_107_a_pause_between_is_seen);
    tcase_add_test(tcase, pitfall_107_a_lease_renewed_after_a_pause_is_another_one);
    tcase_add_test(tcase, a_lease_is_shorter_than_any_promise);
    return run_suite("lease", tcase);
}
