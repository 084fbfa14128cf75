/* Counts by size: what a percentile may be off by, and what is exact. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/histogram.h"
#include "base/prng.h"
#include "support/run.h"

enum { NUMBERS_MAX = 10000, WRITES = 200000 };

static struct rk_histogram histogram;
static struct rk_histogram_values values;
static uint64_t numbers[NUMBERS_MAX];

static void set_up(void)
{
    memset(&histogram, 0, sizeof(histogram));
    memset(&values, 0, sizeof(values));
}

static int compare(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

static void expect_close(uint64_t got, uint64_t exact)
{
    const uint64_t off = got > exact ? got - exact : exact - got;

    ck_assert_msg(off <= exact / 16, "%lu for %lu", (unsigned long)got, (unsigned long)exact);
}

/* Numbers of every size up to 2^_i, against those of the sorted list. */
START_TEST(percentile_is_within_a_sixteenth_of_the_exact_one)
{
    static const uint32_t shares[] = {1, 100, 5000, 9000, 9900, 9990, 10000};
    struct rk_prng prng;

    rk_prng_seed(&prng, (uint64_t)_i);
    for (uint32_t i = 0; i < NUMBERS_MAX; i++) {
        numbers[i] = rk_prng_below(&prng, UINT64_C(1) << rk_prng_below(&prng, (uint64_t)_i + 1));
        rk_histogram_add(&histogram, numbers[i], 1);
    }
    qsort(numbers, NUMBERS_MAX, sizeof(numbers[0]), compare);
    rk_histogram_collect(&histogram, &values);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        const uint64_t exact = numbers[(uint64_t)NUMBERS_MAX * shares[i] / 10000 - 1];
        expect_close(rk_histogram_percentile(&values, shares[i]), exact);
    }
    ck_assert_uint_eq(values.count, NUMBERS_MAX);
    ck_assert_uint_eq(values.max, numbers[NUMBERS_MAX - 1]);
}
END_TEST

START_TEST(every_number_has_one_bucket_and_they_follow_each_other)
{
    uint32_t before = 0;

    for (uint64_t value = 0; value < 1 << 12; value++) {
        const uint32_t bucket = rk_histogram_bucket(value);
        ck_assert_uint_ge(bucket, before);
        ck_assert_uint_le(bucket, before + 1);
        before = bucket;
    }
    ck_assert_uint_eq(rk_histogram_bucket((UINT64_C(1) << RK_HISTOGRAM_BITS) - 1),
                      RK_HISTOGRAM_BUCKETS - 1);
}
END_TEST

START_TEST(what_is_too_large_for_a_bucket_of_its_own_is_counted_in_the_last)
{
    rk_histogram_add(&histogram, UINT64_C(1) << 40, 3);
    rk_histogram_collect(&histogram, &values);
    ck_assert_uint_eq(values.buckets[RK_HISTOGRAM_BUCKETS - 1], 3);
    ck_assert_uint_eq(values.sum, UINT64_C(3) << 40);
    ck_assert_uint_eq(values.max, UINT64_C(1) << 40);
}
END_TEST

START_TEST(nothing_has_percentile_zero)
{
    ck_assert_uint_eq(rk_histogram_percentile(&values, 9900), 0);
}
END_TEST

START_TEST(several_are_read_as_one)
{
    rk_histogram_add(&histogram, 1, 1);
    rk_histogram_collect(&histogram, &values);
    rk_histogram_collect(&histogram, &values);
    ck_assert_uint_eq(values.count, 2);
    ck_assert_uint_eq(values.sum, 2);
}
END_TEST

/* The greatest number of all came before: what is left shows its bucket's end. */
START_TEST(reading_since_another_has_only_what_came_after)
{
    struct rk_histogram_values earlier = {.count = 0};

    rk_histogram_add(&histogram, 100000, 1);
    rk_histogram_collect(&histogram, &earlier);
    rk_histogram_add(&histogram, 1000, 4);
    rk_histogram_collect(&histogram, &values);
    rk_histogram_since(&values, &earlier);
    ck_assert_uint_eq(values.count, 4);
    ck_assert_uint_eq(values.sum, 4000);
    expect_close(values.max, 1000);
    expect_close(rk_histogram_percentile(&values, 9990), 1000);
}
END_TEST

static void *write_all(void *context)
{
    (void)context;
    for (uint32_t i = 0; i < WRITES; i++) {
        rk_histogram_add(&histogram, i % 1000, 1);
    }
    return NULL;
}

START_TEST(reader_beside_the_writer_sees_whole_counters_that_only_grow)
{
    pthread_t writer;
    uint64_t before = 0;

    ck_assert_int_eq(pthread_create(&writer, NULL, write_all, NULL), 0);
    while (before < WRITES) {
        memset(&values, 0, sizeof(values));
        rk_histogram_collect(&histogram, &values);
        ck_assert_uint_ge(values.count, before);
        ck_assert_uint_le(values.count, WRITES);
        before = values.count;
    }
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("histogram");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_loop_test(tcase, percentile_is_within_a_sixteenth_of_the_exact_one, 1,
                        RK_HISTOGRAM_BITS + 1);
    tcase_add_test(tcase, every_number_has_one_bucket_and_they_follow_each_other);
    tcase_add_test(tcase, what_is_too_large_for_a_bucket_of_its_own_is_counted_in_the_last);
    tcase_add_test(tcase, nothing_has_percentile_zero);
    tcase_add_test(tcase, several_are_read_as_one);
    tcase_add_test(tcase, reading_since_another_has_only_what_came_after);
    tcase_add_test(tcase, reader_beside_the_writer_sees_whole_counters_that_only_grow);
    return run_suite("histogram", tcase);
}
