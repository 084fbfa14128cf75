#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"

static uint64_t clock_us(clockid_t clock)
{
    struct timespec now;
    const int failed = clock_gettime(clock, &now);
    RK_ASSERT(failed == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t rk_monotonic_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t rk_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

uint64_t rk_boottime_ms(void)
{
    return clock_us(CLOCK_BOOTTIME) / 1000;
}

uint64_t rk_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

uint64_t rk_random_u64(void)
{
    uint64_t value = 0;
    while (value == 0) {
        /* Up to 256 bytes come whole; before the pool is ready a signal may interrupt. */
        const ssize_t got = getrandom(&value, sizeof(value), 0);
        RK_ASSERT(got == (ssize_t)sizeof(value) || (got < 0 && errno == EINTR));
    }
    return value;
}
