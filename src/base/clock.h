/* clock.h -- what differs between two runs: time and chance. The pure folders may not include it. */
#ifndef RK_BASE_CLOCK_H
#define RK_BASE_CLOCK_H

#include <stdint.h>

uint64_t rk_monotonic_ms(void); /* CLOCK_MONOTONIC: timers and elections */
uint64_t rk_monotonic_us(void);
uint64_t rk_boottime_ms(void); /* CLOCK_BOOTTIME: goes on in suspend; leases */
uint64_t rk_wall_ms(void);     /* CLOCK_REALTIME, since 1970: to show to people, never to decide */
uint64_t rk_random_u64(void);  /* getrandom(); never 0 */

#endif
