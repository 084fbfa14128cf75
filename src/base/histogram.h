/* histogram.h -- how often a number came, by size: cheap enough for every request, exact enough to
 * say a percentile.
 *
 * Buckets are log-linear: below 8 one for each number, above that eight for each power of two. So a
 * percentile is off by at most a sixteenth of its size, whatever the numbers are, and a histogram
 * has one small size. Numbers are microseconds, counts or bytes; from 2^27 on (134 s, 128 MiB) all
 * share the last bucket. Sum and greatest number are exact.
 *
 * Thread: one writes, any may read at the same time. A reader sees each counter whole; a number that
 * is just being added may be in the buckets and not in the sum yet.
 */
#ifndef RK_BASE_HISTOGRAM_H
#define RK_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    RK_HISTOGRAM_STEPS = 8,      /* buckets of a power of two */
    RK_HISTOGRAM_STEPS_LOG2 = 3, /* 2^3 of them */
    RK_HISTOGRAM_BITS = 27,      /* what has more is counted as if it had these */
    RK_HISTOGRAM_BUCKETS = RK_HISTOGRAM_STEPS * (1 + RK_HISTOGRAM_BITS - RK_HISTOGRAM_STEPS_LOG2),
};

struct rk_histogram {
    _Atomic uint64_t buckets[RK_HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum;
    _Atomic uint64_t max;
};

/* What a reader has of one or several. */
struct rk_histogram_values {
    uint64_t buckets[RK_HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t sum;
    uint64_t max;
};

static inline uint32_t rk_histogram_bucket(uint64_t value)
{
    if (value < RK_HISTOGRAM_STEPS) {
        return (uint32_t)value;
    }
    if (value >> RK_HISTOGRAM_BITS != 0) {
        return RK_HISTOGRAM_BUCKETS - 1;
    }
    const uint32_t shift = 63 - RK_HISTOGRAM_STEPS_LOG2 - (uint32_t)__builtin_clzll(value);
    return shift * RK_HISTOGRAM_STEPS + (uint32_t)(value >> shift);
}

/* One writer: a load and a store, where an atomic addition would lock the bus. */
static inline void rk_histogram_raise(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* Counts `value` as having come `times` times. */
static inline void rk_histogram_add(struct rk_histogram *histogram, uint64_t value, uint64_t times)
{
    rk_histogram_raise(&histogram->buckets[rk_histogram_bucket(value)], times);
    rk_histogram_raise(&histogram->sum, value * times);
    if (value > atomic_load_explicit(&histogram->max, memory_order_relaxed)) {
        atomic_store_explicit(&histogram->max, value, memory_order_relaxed);
    }
}

/* Adds what has come so far to *values. */
void rk_histogram_collect(const struct rk_histogram *histogram, struct rk_histogram_values *values);

/* Leaves in *values what came after `earlier`, an older reading of the same. The greatest number is
 * then that of its bucket, unless it is the greatest of all. */
void rk_histogram_since(struct rk_histogram_values *values,
                        const struct rk_histogram_values *earlier);

/* The number that `per_ten_thousand` of all (1 .. 10,000) do not exceed: 9,900 for the 99th
 * percentile. It is the middle of a bucket, and never more than the greatest. 0: nothing came. */
uint64_t rk_histogram_percentile(const struct rk_histogram_values *values,
                                 uint32_t per_ten_thousand);

#endif
