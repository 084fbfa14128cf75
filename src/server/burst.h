/* burst.h -- when a burst of work is over, so that memory that it left free goes back to the system.
 *
 * Judged by the process's own processor time, looked at once a second: the heap's locks are held for
 * milliseconds while it gives pages back, so that is done when there is little else to do.
 *
 * Thread: the owner's.
 */
#ifndef RK_SERVER_BURST_H
#define RK_SERVER_BURST_H

#include <stdbool.h>
#include <stdint.h>

struct burst {
    uint64_t cpu_us;      /* of the process at the last look */
    uint64_t greatest_us; /* between two looks, since the last burst was over */
};

/* `cpu_us`: what the process has used so far (rising); looks are equally far apart. True: there was a
 * burst, at least a tenth of a second of work between two looks, and it is over: less than an eighth
 * of that. It is told once. */
bool burst_is_over(struct burst *burst, uint64_t cpu_us);

#endif
