/* Back-off of a peer that fails. */
#include <signal.h>

#include "network/peer.h"
#include "support/run.h"

enum { BASE_MS = 50, MAX_MS = 1000, NOW_MS = 5000 };

static struct peer_health health;
static struct rk_prng prng;

static void set_up(void)
{
    peer_health_init(&health);
    rk_prng_seed(&prng, 7);
}

static void fail_times(uint32_t times)
{
    for (uint32_t i = 0; i < times; i++) {
        peer_health_failure(&health, NOW_MS, BASE_MS, MAX_MS, &prng);
    }
}

START_TEST(a_new_peer_may_be_tried_at_once)
{
    ck_assert(peer_health_may_send_bulk(&health, 0));
    ck_assert_uint_eq(health.failures, 0);
}
END_TEST

/* The n-th delay is drawn from the upper half of base * 2^(n-1), at most max: peers that failed
 * together do not come back together. _i is n; drawn often enough to meet both ends. */
START_TEST(the_nth_delay_is_in_the_upper_half_of_its_ceiling)
{
    const uint64_t doubled = (uint64_t)BASE_MS << (_i - 1);
    const uint64_t ceiling = doubled < MAX_MS ? doubled : MAX_MS;
    uint64_t least = UINT64_MAX;
    uint64_t greatest = 0;

    for (int i = 0; i < 20000; i++) {
        peer_health_init(&health);
        fail_times((uint32_t)_i);
        const uint64_t delay = health.retry_at_ms - NOW_MS;
        least = delay < least ? delay : least;
        greatest = delay > greatest ? delay : greatest;
    }
    ck_assert_uint_eq(least, ceiling / 2);
    ck_assert_uint_eq(greatest, ceiling);
}
END_TEST

START_TEST(nothing_in_bulk_is_sent_before_the_delay_is_over)
{
    fail_times(3);
    ck_assert_uint_eq(health.last_failure_ms, NOW_MS);
    ck_assert(!peer_health_may_send_bulk(&health, health.retry_at_ms - 1));
    ck_assert(peer_health_may_send_bulk(&health, health.retry_at_ms));
}
END_TEST

START_TEST(a_success_forgets_the_failures)
{
    fail_times(9);
    health.is_reported_down = true;
    peer_health_success(&health, NOW_MS + 1);
    ck_assert(peer_health_may_send_bulk(&health, NOW_MS + 1));
    ck_assert_uint_eq(health.failures, 0);
    ck_assert_uint_eq(health.last_success_ms, NOW_MS + 1);
    ck_assert(!health.is_reported_down);
    fail_times(1);
    ck_assert_uint_le(health.retry_at_ms, NOW_MS + BASE_MS);
}
END_TEST

START_TEST(a_count_at_its_end_stays_there)
{
    health.failures = UINT32_MAX;
    fail_times(2);
    ck_assert_uint_eq(health.failures, UINT32_MAX);
    ck_assert_uint_le(health.retry_at_ms, NOW_MS + MAX_MS);
}
END_TEST

START_TEST(a_ceiling_below_the_base_aborts)
{
    peer_health_failure(&health, NOW_MS, BASE_MS, BASE_MS - 1, &prng);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("peer");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, a_new_peer_may_be_tried_at_once);
    tcase_add_loop_test(tcase, the_nth_delay_is_in_the_upper_half_of_its_ceiling, 1, 12);
    tcase_add_test(tcase, nothing_in_bulk_is_sent_before_the_delay_is_over);
    tcase_add_test(tcase, a_success_forgets_the_failures);
    tcase_add_test(tcase, a_count_at_its_end_stays_there);
    tcase_add_test_raise_signal(tcase, a_ceiling_below_the_base_aborts, SIGABRT);
    return run_suite("peer", tcase);
}
