#include "base/meter.h"

#include <string.h>

#include "base/heap.h"

static const struct {
    enum rk_measure_id first;
    enum rk_measure_id end;
} roles[] = {
    [RK_METER_NODE] = {0, RK_MEASURE_NODE_END},
    [RK_METER_DISK] = {RK_MEASURE_NODE_END, RK_MEASURE_DISK_END},
    [RK_METER_HTTP] = {RK_MEASURE_DISK_END, RK_MEASURES},
};

const struct rk_measure rk_measures[RK_MEASURES] = {
    [RK_MEASURE_MAILBOX] = {"mailbox", true, "request", "handed over to the node, not taken yet"},
    [RK_MEASURE_PROPOSE] = {"propose", true, "write of this leader's clients",
                            "taken, until disk and peers have it"},
    [RK_MEASURE_COMMIT] = {"commit", true, "write on the leader",
                           "with disk and peers, until a majority's disks have it"},
    [RK_MEASURE_APPLY] = {"apply", true, "write of this leader's clients",
                          "committed, until its answer goes back to the HTTP loop"},
    [RK_MEASURE_FORWARD] = {"forward", true, "write of this follower's clients",
                            "taken, until the leader's answer goes back to the HTTP loop"},
    [RK_MEASURE_READ_WAIT] = {"read_wait", true, "linearizable read",
                              "taken, until it is known to be fresh"},
    [RK_MEASURE_APPEND] = {"append", true, "append to one peer",
                           "sent, until the peer has it on disk and has said so"},
    [RK_MEASURE_DISK_RESULT] = {"disk_result", true, "transaction",
                                "durable, until the node takes note of it"},
    [RK_MEASURE_TURN_REQUESTS] = {"turn_requests", false, "turn of the node that took any",
                                  "requests taken"},
    [RK_MEASURE_BATCH_ENTRIES] = {"batch_entries", false, "proposal to the core", "entries"},
    [RK_MEASURE_PENDING_WRITES] = {"pending_writes", false, "proposal to the core",
                                   "writes that are not applied yet, with its own"},
    [RK_MEASURE_ROUND_READS] = {"round_reads", false, "question to the core or the leader",
                                "reads that share it"},
    [RK_MEASURE_APPEND_ENTRIES] = {"append_entries", false, "append to one peer", "entries"},
    [RK_MEASURE_APPEND_BYTES] = {"append_bytes", false, "append to one peer", "bytes"},
    [RK_MEASURE_DISK_WAIT] = {"disk_wait", true, "batch of writes",
                              "handed over to the disk, its transaction not begun yet"},
    [RK_MEASURE_DISK_WRITE] = {"disk_write", true, "transaction",
                               "begun, until it is durable: disk_sync is a part"},
    [RK_MEASURE_DISK_SYNC] = {"disk_sync", true, "transaction", "its commit, with the fsync"},
    [RK_MEASURE_WRITE_ENTRIES] = {"write_entries", false, "transaction", "entries"},
    [RK_MEASURE_WRITE_BYTES] = {"write_bytes", false, "transaction", "bytes of entries"},
    [RK_MEASURE_HTTP_IN] = {"http_in", true, "request that the node is asked for",
                            "its loop awake, until it is handed over to the node"},
    [RK_MEASURE_ANSWER] = {"answer", true, "answer of the node's",
                           "on its way back, until the loop has sent it"},
    [RK_MEASURE_WRITE] = {"write", true, "write that was done",
                          "all of it: loop awake, until sent"},
    [RK_MEASURE_READ] = {"read", true, "read that asked the node",
                         "all of it: loop awake, until sent"},
    [RK_MEASURE_READ_LOCAL] = {"read_local", true, "read that its loop answered alone",
                               "loop awake, until sent"},
};

static struct rk_meter *meter_new(enum rk_meter_role role)
{
    const uint32_t count = roles[role].end - roles[role].first;
    struct rk_meter *meter =
        rk_heap_zalloc(1, sizeof(*meter) + count * sizeof(meter->histograms[0]));

    meter->first = roles[role].first;
    meter->count = count;
    return meter;
}

struct rk_meters *rk_meters_new(uint32_t http_count, uint64_t now_us)
{
    RK_ASSERT(http_count <= RK_METER_HTTP_MAX);
    const uint32_t count = 2 + http_count;
    struct rk_meters *meters =
        rk_heap_zalloc(1, sizeof(*meters) + count * sizeof(meters->meters[0]));

    meters->started_us = now_us;
    meters->http_count = http_count;
    meters->keep_due_us = now_us + RK_METER_KEEP_US;
    const int failed = pthread_mutex_init(&meters->lock, NULL);
    RK_ASSERT(failed == 0);
    for (uint32_t i = 0; i < 2; i++) {
        meters->kept[i] = rk_heap_zalloc(1, sizeof(*meters->kept[i]));
    }
    for (uint32_t i = 0; i < count; i++) {
        meters->meters[i] = meter_new(i < RK_METER_HTTP ? (enum rk_meter_role)i : RK_METER_HTTP);
    }
    return meters;
}

void rk_meters_free(struct rk_meters *meters)
{
    if (meters == NULL) {
        return;
    }
    for (uint32_t i = 0; i < 2 + meters->http_count; i++) {
        rk_heap_free(meters->meters[i]);
    }
    rk_heap_free(meters->kept[0]);
    rk_heap_free(meters->kept[1]);
    const int failed = pthread_mutex_destroy(&meters->lock);
    RK_ASSERT(failed == 0);
    rk_heap_free(meters);
}

struct rk_meter *rk_meter_of(struct rk_meters *meters, enum rk_meter_role role, uint32_t loop)
{
    RK_ASSERT(role == RK_METER_HTTP ? loop < meters->http_count : loop == 0);
    return meters->meters[(uint32_t)role + loop];
}

static void collect(struct rk_meters *meters, uint64_t now_us, struct rk_meters_values *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->span_us = now_us > meters->started_us ? now_us - meters->started_us : 0;
    for (uint32_t i = 0; i < 2 + meters->http_count; i++) {
        const struct rk_meter *meter = meters->meters[i];
        for (uint32_t j = 0; j < meter->count; j++) {
            rk_histogram_collect(&meter->histograms[j], &ret->measures[meter->first + j]);
        }
        ret->busy_us[i] = atomic_load_explicit(&meter->busy_us, memory_order_relaxed);
    }
}

static void lock(struct rk_meters *meters)
{
    const int failed = pthread_mutex_lock(&meters->lock);
    RK_ASSERT(failed == 0);
}

static void unlock(struct rk_meters *meters)
{
    const int failed = pthread_mutex_unlock(&meters->lock);
    RK_ASSERT(failed == 0);
}

void rk_meters_keep(struct rk_meters *meters, uint64_t now_us)
{
    if (now_us < meters->keep_due_us) {
        return;
    }
    meters->keep_due_us = now_us + RK_METER_KEEP_US;
    lock(meters);
    struct rk_meters_values *oldest = meters->kept[0];
    meters->kept[0] = meters->kept[1];
    meters->kept[1] = oldest;
    collect(meters, now_us, oldest);
    unlock(meters);
}

static void subtract(struct rk_meters_values *values, const struct rk_meters_values *earlier)
{
    values->span_us -= earlier->span_us < values->span_us ? earlier->span_us : values->span_us;
    for (uint32_t i = 0; i < RK_MEASURES; i++) {
        rk_histogram_since(&values->measures[i], &earlier->measures[i]);
    }
    for (uint32_t i = 0; i < RK_METERS_MAX; i++) {
        values->busy_us[i] -= earlier->busy_us[i];
    }
}

void rk_meters_read(struct rk_meters *meters, uint64_t now_us, bool recent,
                    struct rk_meters_values *ret)
{
    lock(meters); /* what is kept is not newer than what is read then */
    collect(meters, now_us, ret);
    if (recent) {
        subtract(ret, meters->kept[0]);
    }
    unlock(meters);
}
