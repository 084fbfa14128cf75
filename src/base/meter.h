/* meter.h -- what a node measures of itself: how long each stage of a request takes, how large its
 * batches are, how busy its loops.
 *
 * Each loop has a meter of its own and is the only one to write it; anybody may read all of them,
 * while they run. A meter costs an addition for each number and takes the loop's clock readings as
 * they are, so it is always on.
 *
 * Which numbers there are is one table (rk_measures): what is shown, documented and scraped follows
 * from it.
 *
 * Thread: the writing functions are the loop's own; rk_meters_keep() is the node's; rk_meters_read() any.
 */
#ifndef RK_BASE_METER_H
#define RK_BASE_METER_H

#include <pthread.h>
#include <stdbool.h>

#include "base/assert.h"
#include "base/histogram.h"

enum rk_meter_role { RK_METER_NODE, RK_METER_DISK, RK_METER_HTTP };

/* Of a role they are neighbours; rk_measures says what each is. */
enum rk_measure_id {
    RK_MEASURE_MAILBOX,
    RK_MEASURE_PROPOSE,
    RK_MEASURE_COMMIT,
    RK_MEASURE_APPLY,
    RK_MEASURE_FORWARD,
    RK_MEASURE_READ_WAIT,
    RK_MEASURE_APPEND,
    RK_MEASURE_DISK_RESULT,
    RK_MEASURE_TURN_REQUESTS,
    RK_MEASURE_BATCH_ENTRIES,
    RK_MEASURE_PENDING_WRITES,
    RK_MEASURE_ROUND_READS,
    RK_MEASURE_APPEND_ENTRIES,
    RK_MEASURE_APPEND_BYTES,
    RK_MEASURE_NODE_END,

    RK_MEASURE_DISK_WAIT = RK_MEASURE_NODE_END,
    RK_MEASURE_DISK_WRITE,
    RK_MEASURE_DISK_SYNC,
    RK_MEASURE_WRITE_ENTRIES,
    RK_MEASURE_WRITE_BYTES,
    RK_MEASURE_DISK_END,

    RK_MEASURE_HTTP_IN = RK_MEASURE_DISK_END,
    RK_MEASURE_ANSWER,
    RK_MEASURE_WRITE,
    RK_MEASURE_READ,
    RK_MEASURE_READ_LOCAL,
    RK_MEASURES,
};

struct rk_measure {
    const char *name; /* in JSON, tables and metrics */
    bool is_time;     /* microseconds; else a size or a count */
    const char *per;  /* what is counted once */
    const char *text; /* what it is */
};

extern const struct rk_measure rk_measures[RK_MEASURES];

enum {
    RK_METER_HTTP_MAX = 64,
    RK_METERS_MAX = 2 + RK_METER_HTTP_MAX,
    RK_METER_KEEP_US = 30 * 1000 * 1000, /* "recent" reaches back once to twice as far */
};

/* One loop's. Each is memory of its own: no two loops write to one line of the cache. */
struct rk_meter {
    enum rk_measure_id first;
    uint32_t count;
    _Atomic uint64_t busy_us;         /* not waiting for something to do */
    uint64_t woke_us;                 /* when the turn began; 0: no turn yet */
    struct rk_histogram histograms[]; /* of first .. first + count - 1 */
};

/* A reading of all: loops of one role together, but for how busy each was. */
struct rk_meters_values {
    uint64_t span_us; /* it is of so long */
    struct rk_histogram_values measures[RK_MEASURES];
    uint64_t busy_us[RK_METERS_MAX];
};

struct rk_meters {
    uint64_t started_us;
    uint32_t http_count;
    uint64_t keep_due_us; /* the node's */
    pthread_mutex_t lock;
    struct rk_meters_values *kept[2]; /* under the lock: the older, the newer; since the start */
    struct rk_meter *meters[];        /* node, disk, HTTP loops */
};

struct rk_meters *rk_meters_new(uint32_t http_count, uint64_t now_us);
void rk_meters_free(struct rk_meters *meters); /* NULL is allowed */

/* Of the HTTP loop `loop`, or of the other roles (loop 0). Lent for the life of `meters`. */
struct rk_meter *rk_meter_of(struct rk_meters *meters, enum rk_meter_role role, uint32_t loop);

/* `value` came `times` times; `id` is of the meter's role (asserted). `meter` NULL: nobody measures. */
static inline void rk_meter_add(struct rk_meter *meter, enum rk_measure_id id, uint64_t value,
                                uint64_t times)
{
    if (meter != NULL) {
        RK_ASSERT(id - meter->first < meter->count); /* below `first` it wraps */
        rk_histogram_add(&meter->histograms[id - meter->first], value, times);
    }
}

/* A time that ends now; clocks of threads may differ by what the system rounds. */
static inline void rk_meter_since(struct rk_meter *meter, enum rk_measure_id id, uint64_t from_us,
                                  uint64_t now_us, uint64_t times)
{
    rk_meter_add(meter, id, now_us > from_us ? now_us - from_us : 0, times);
}

/* The loop has something to do; and goes to wait again. */
static inline void rk_meter_wake(struct rk_meter *meter, uint64_t now_us)
{
    if (meter != NULL) {
        meter->woke_us = now_us;
    }
}

static inline void rk_meter_rest(struct rk_meter *meter, uint64_t now_us)
{
    if (meter != NULL && meter->woke_us != 0 && now_us > meter->woke_us) {
        rk_histogram_raise(&meter->busy_us, now_us - meter->woke_us);
    }
}

/* Remembers, every RK_METER_KEEP_US, where the counters stand, for readings of what is recent. */
void rk_meters_keep(struct rk_meters *meters, uint64_t now_us);

/* Since the start, or, `recent`, the last 30 to 60 s; what is younger is as old as the start. */
void rk_meters_read(struct rk_meters *meters, uint64_t now_us, bool recent,
                    struct rk_meters_values *ret);

#endif
