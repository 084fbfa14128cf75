/* shim.h -- the file between the runner and the preloaded shim of one node. The runner fills the
 * setting that is not in use, then switches; little-endian, as this machine. */
#ifndef RK_TESTS_FAULTS_SHIM_H
#define RK_TESTS_FAULTS_SHIM_H

#include <stdatomic.h>
#include <stdint.h>

struct shim_setting {
    int64_t wall_us;      /* CLOCK_REALTIME is ahead by that */
    int64_t steady_us;    /* CLOCK_MONOTONIC and CLOCK_BOOTTIME were ahead by that ... */
    int64_t since_us;     /* ... at this time of the true CLOCK_MONOTONIC, */
    int64_t rate_ppm;     /* and gain this much on the true ones since */
    int64_t sync_wait_us; /* what each fsync and fdatasync takes longer, as long as it says so */
};

struct shim_control {
    _Atomic uint64_t used; /* which of the two settings holds: 0 or 1 */
    struct shim_setting settings[2];
};

#endif
