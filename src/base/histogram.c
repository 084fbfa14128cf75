#include "base/histogram.h"

#include <stdbool.h>

#include "base/assert.h"

enum { WHOLE = 10000 };

/* The least number of a bucket, and how many share it. */
static uint64_t bucket_least(uint32_t bucket, uint64_t *ret_width)
{
    const uint32_t row = bucket / RK_HISTOGRAM_STEPS;
    const uint32_t shift = row > 0 ? row - 1 : 0;
    const uint64_t step = bucket % RK_HISTOGRAM_STEPS + (row > 0 ? RK_HISTOGRAM_STEPS : 0);

    *ret_width = UINT64_C(1) << shift;
    return step << shift;
}

static uint64_t bucket_middle(uint32_t bucket)
{
    uint64_t width = 0;
    const uint64_t least = bucket_least(bucket, &width);

    return least + width / 2;
}

void rk_histogram_collect(const struct rk_histogram *histogram, struct rk_histogram_values *values)
{
    const uint64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);

    for (uint32_t i = 0; i < RK_HISTOGRAM_BUCKETS; i++) {
        const uint64_t count = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        values->buckets[i] += count;
        values->count += count;
    }
    values->sum += atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    values->max = max > values->max ? max : values->max;
}

/* Of what is left: the end of the last bucket that has any. */
static uint64_t greatest_left(const struct rk_histogram_values *values)
{
    for (uint32_t i = RK_HISTOGRAM_BUCKETS; i > 0; i--) {
        if (values->buckets[i - 1] > 0) {
            uint64_t width = 0;
            const uint64_t least = bucket_least(i - 1, &width);
            const bool is_open = i == RK_HISTOGRAM_BUCKETS;
            return is_open || least + width - 1 > values->max ? values->max : least + width - 1;
        }
    }
    return 0;
}

void rk_histogram_since(struct rk_histogram_values *values,
                        const struct rk_histogram_values *earlier)
{
    for (uint32_t i = 0; i < RK_HISTOGRAM_BUCKETS; i++) {
        RK_ASSERT(values->buckets[i] >= earlier->buckets[i]);
        values->buckets[i] -= earlier->buckets[i];
    }
    RK_ASSERT(values->sum >= earlier->sum);
    values->count -= earlier->count;
    values->sum -= earlier->sum;
    values->max = greatest_left(values);
}

uint64_t rk_histogram_percentile(const struct rk_histogram_values *values,
                                 uint32_t per_ten_thousand)
{
    RK_ASSERT(per_ten_thousand > 0 && per_ten_thousand <= WHOLE);
    /* How many are at or below it, rounded up: in parts, so that nothing overflows. */
    const uint64_t wanted = values->count / WHOLE * per_ten_thousand +
                            (values->count % WHOLE * per_ten_thousand + WHOLE - 1) / WHOLE;
    uint64_t seen = 0;

    for (uint32_t i = 0; i < RK_HISTOGRAM_BUCKETS; i++) {
        seen += values->buckets[i];
        if (seen >= wanted && seen > 0) {
            const uint64_t middle = bucket_middle(i);
            return middle < values->max ? middle : values->max;
        }
    }
    return 0;
}
