#include <signal.h>

#include "base/prng.h"
#include "support/run.h"

enum { ROUNDS = 100000 };

/* The published generators, stepped by an independent program: seed 0 and seed 42. */
START_TEST(numbers_of_a_seed_never_change)
{
    static const uint64_t seeds[] = {0, 42};
    static const uint64_t numbers[][4] = {
        {0x99ec5f36cb75f2b4U, 0xbf6e1f784956452aU, 0x1a5f849d4933e6e0U, 0x6aa594f1262d2d2cU},
        {0x15780b2e0c2ec716U, 0x6104d9866d113a7eU, 0xae17533239e499a1U, 0xecb8ad4703b360a1U},
    };
    struct rk_prng prng;
    rk_prng_seed(&prng, seeds[_i]);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(rk_prng_next(&prng), numbers[_i][i]);
    }
}
END_TEST

START_TEST(below_stays_below)
{
    static const uint64_t bounds[] = {1, 2, 3, 10, 1000, (uint64_t)1 << 63, UINT64_MAX};
    struct rk_prng prng;
    rk_prng_seed(&prng, 1);
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_lt(rk_prng_below(&prng, bounds[_i]), bounds[_i]);
    }
}
END_TEST

/* With a bound of three quarters of 2^64, plain remainders would come out below a third of the
 * bound half of the time. */
START_TEST(below_has_no_bias)
{
    const uint64_t bound = (uint64_t)3 << 62;
    struct rk_prng prng;
    rk_prng_seed(&prng, 3);
    int low_count = 0;
    for (int i = 0; i < ROUNDS; i++) {
        low_count += rk_prng_below(&prng, bound) < bound / 3;
    }
    ck_assert_int_gt(low_count, ROUNDS * 32 / 100);
    ck_assert_int_lt(low_count, ROUNDS * 35 / 100);
}
END_TEST

START_TEST(every_value_below_a_small_bound_comes)
{
    struct rk_prng prng;
    unsigned seen = 0;
    rk_prng_seed(&prng, 4);
    for (int i = 0; i < 200; i++) {
        seen |= 1U << rk_prng_below(&prng, 10);
    }
    ck_assert_uint_eq(seen, (1U << 10) - 1);
}
END_TEST

START_TEST(chance_is_per_mille)
{
    struct rk_prng prng;
    rk_prng_seed(&prng, 5);
    int never = 0;
    int seldom = 0;
    int always = 0;
    for (int i = 0; i < ROUNDS; i++) {
        never += rk_prng_chance(&prng, 0);
        seldom += rk_prng_chance(&prng, 10);
        always += rk_prng_chance(&prng, 1000);
    }
    ck_assert_int_eq(never, 0);
    ck_assert_int_eq(always, ROUNDS);
    ck_assert_int_gt(seldom, ROUNDS / 100 * 8 / 10);
    ck_assert_int_lt(seldom, ROUNDS / 100 * 12 / 10);
}
END_TEST

START_TEST(below_zero_aborts)
{
    struct rk_prng prng;
    rk_prng_seed(&prng, 6);
    ck_abort_msg("%lu is below zero", (unsigned long)rk_prng_below(&prng, 0));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("prng");
    tcase_add_loop_test(tcase, numbers_of_a_seed_never_change, 0, 2);
    tcase_add_loop_test(tcase, below_stays_below, 0, 7);
    tcase_add_test(tcase, below_has_no_bias);
    tcase_add_test(tcase, every_value_below_a_small_bound_comes);
    tcase_add_test(tcase, chance_is_per_mille);
    tcase_add_test_raise_signal(tcase, below_zero_aborts, SIGABRT);
    return run_suite("prng", tcase);
}
