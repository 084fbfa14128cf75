#include "server/burst.h"

enum { BURST_US_MIN = 100 * 1000, QUIET_PART = 8 };

bool burst_is_over(struct burst *burst, uint64_t cpu_us)
{
    const uint64_t used_us = cpu_us - burst->cpu_us;

    burst->cpu_us = cpu_us;
    if (used_us > burst->greatest_us) {
        burst->greatest_us = used_us;
    }
    if (burst->greatest_us < BURST_US_MIN || used_us > burst->greatest_us / QUIET_PART) {
        return false;
    }
    burst->greatest_us = 0;
    return true;
}
