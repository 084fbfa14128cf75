/* What loops measure of themselves, and how far back a reading goes. */
#include <signal.h>
#include <string.h>

#include "base/meter.h"
#include "support/run.h"

enum { START_US = 5000, HTTP_LOOPS = 2 };

static struct rk_meters *meters;
static struct rk_meters_values values;

static void set_up(void)
{
    meters = rk_meters_new(HTTP_LOOPS, START_US);
}

static void tear_down(void)
{
    rk_meters_free(meters);
}

static void read_at(uint64_t us, bool recent)
{
    rk_meters_read(meters, START_US + us, recent, &values);
}

START_TEST(every_measure_is_named_once_and_says_what_it_is)
{
    for (uint32_t i = 0; i < RK_MEASURES; i++) {
        ck_assert_msg(rk_measures[i].name != NULL, "%u has no name", i);
        ck_assert_ptr_nonnull(rk_measures[i].per);
        ck_assert_ptr_nonnull(rk_measures[i].text);
        for (uint32_t j = 0; j < i; j++) {
            ck_assert_str_ne(rk_measures[i].name, rk_measures[j].name);
        }
    }
}
END_TEST

START_TEST(loops_of_one_role_are_read_together)
{
    for (uint32_t i = 0; i < HTTP_LOOPS; i++) {
        rk_meter_add(rk_meter_of(meters, RK_METER_HTTP, i), RK_MEASURE_ANSWER, 10 + i, 1);
    }
    rk_meter_add(rk_meter_of(meters, RK_METER_NODE, 0), RK_MEASURE_COMMIT, 7, 3);
    read_at(1, false);
    ck_assert_uint_eq(values.measures[RK_MEASURE_ANSWER].count, 2);
    ck_assert_uint_eq(values.measures[RK_MEASURE_ANSWER].max, 11);
    ck_assert_uint_eq(values.measures[RK_MEASURE_COMMIT].sum, 21);
    ck_assert_uint_eq(values.measures[RK_MEASURE_MAILBOX].count, 0);
}
END_TEST

START_TEST(measure_of_another_role_aborts)
{
    rk_meter_add(rk_meter_of(meters, RK_METER_DISK, 0), RK_MEASURE_COMMIT, 1, 1);
}
END_TEST

START_TEST(time_before_its_beginning_counts_as_none)
{
    struct rk_meter *meter = rk_meter_of(meters, RK_METER_NODE, 0);

    rk_meter_since(meter, RK_MEASURE_COMMIT, 8, 7, 1);
    rk_meter_since(NULL, RK_MEASURE_COMMIT, 7, 8, 1);
    read_at(1, false);
    ck_assert_uint_eq(values.measures[RK_MEASURE_COMMIT].count, 1);
    ck_assert_uint_eq(values.measures[RK_MEASURE_COMMIT].sum, 0);
}
END_TEST

START_TEST(loop_is_busy_from_waking_to_resting)
{
    struct rk_meter *meter = rk_meter_of(meters, RK_METER_DISK, 0);

    rk_meter_rest(meter, START_US + 10); /* it has not turned yet */
    rk_meter_wake(meter, START_US + 100);
    rk_meter_rest(meter, START_US + 130);
    rk_meter_wake(meter, START_US + 200);
    rk_meter_rest(meter, START_US + 205);
    read_at(350, false);
    ck_assert_uint_eq(values.busy_us[RK_METER_DISK], 35);
    ck_assert_uint_eq(values.span_us, 350);
}
END_TEST

/* What came before the last keeping but one is forgotten; the younger is in it until then. */
START_TEST(recent_reaches_back_one_to_two_spans)
{
    struct rk_meter *meter = rk_meter_of(meters, RK_METER_NODE, 0);

    rk_meter_add(meter, RK_MEASURE_COMMIT, 1, 1);
    rk_meters_keep(meters, START_US + RK_METER_KEEP_US);
    rk_meter_add(meter, RK_MEASURE_COMMIT, 2, 1);
    read_at(RK_METER_KEEP_US + 1, true);
    ck_assert_uint_eq(values.measures[RK_MEASURE_COMMIT].sum, 3);
    rk_meters_keep(meters, START_US + 2 * RK_METER_KEEP_US - 1); /* not due */
    rk_meters_keep(meters, START_US + 2 * RK_METER_KEEP_US);
    rk_meter_add(meter, RK_MEASURE_COMMIT, 4, 1);
    read_at(UINT64_C(2) * RK_METER_KEEP_US + 1, true);
    ck_assert_uint_eq(values.measures[RK_MEASURE_COMMIT].sum, 6);
    ck_assert_uint_eq(values.span_us, RK_METER_KEEP_US + 1);
    read_at(UINT64_C(2) * RK_METER_KEEP_US + 1, false);
    ck_assert_uint_eq(values.measures[RK_MEASURE_COMMIT].sum, 7);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("meter");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, every_measure_is_named_once_and_says_what_it_is);
    tcase_add_test(tcase, loops_of_one_role_are_read_together);
    tcase_add_test_raise_signal(tcase, measure_of_another_role_aborts, SIGABRT);
    tcase_add_test(tcase, time_before_its_beginning_counts_as_none);
    tcase_add_test(tcase, loop_is_busy_from_waking_to_resting);
    tcase_add_test(tcase, recent_reaches_back_one_to_two_spans);
    return run_suite("meter", tcase);
}
