#include "server/burst.h"

#include "support/run.h"

static struct burst burst;
static uint64_t cpu_us;

static void setup(void)
{
    burst = (struct burst){0};
    cpu_us = 0;
}

static bool after_work_of_ms(uint64_t ms)
{
    cpu_us += ms * 1000;
    return burst_is_over(&burst, cpu_us);
}

START_TEST(a_burst_is_over_when_an_eighth_of_its_work_is_left)
{
    ck_assert(!after_work_of_ms(800));
    ck_assert(!after_work_of_ms(101));
    ck_assert(after_work_of_ms(100));
}
END_TEST

START_TEST(a_burst_is_over_once)
{
    ck_assert(!after_work_of_ms(800));
    ck_assert(after_work_of_ms(10));
    ck_assert(!after_work_of_ms(0));
    ck_assert(!after_work_of_ms(800));
    ck_assert(after_work_of_ms(10));
}
END_TEST

START_TEST(what_a_node_does_all_the_time_is_no_burst)
{
    ck_assert(!after_work_of_ms(99));
    ck_assert(!after_work_of_ms(0));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("burst");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, a_burst_is_over_when_an_eighth_of_its_work_is_left);
    tcase_add_test(tcase, a_burst_is_over_once);
    tcase_add_test(tcase, what_a_node_does_all_the_time_is_no_burst);
    return run_suite("burst", tcase);
}
