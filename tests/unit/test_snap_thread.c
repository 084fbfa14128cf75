/* The pace of the thread that takes snapshots. Its clock is the test's: it stands still but for what a
 * slice takes, and what the thread waits. */
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "server/snap_thread.h"
#include "support/run.h"
#include "support/sm_commands.h"

enum { VALUE_SIZE = 60000, VALUES = 60, WAIT_MS = 10000, SLICE_MS_MIN = 20 };

uint64_t __wrap_rk_monotonic_ms(void);
uint32_t __wrap_rk_queue_pop_wait(struct rk_queue *queue, void *items, uint32_t max,
                                  uint32_t timeout_ms);
uint32_t __real_rk_queue_pop_wait(struct rk_queue *queue, void *items, uint32_t max,
                                  uint32_t timeout_ms);
enum rk_status __wrap_snap_store_append(struct snap_store *store, enum snap_part part,
                                        struct rk_bytes bytes);
enum rk_status __real_snap_store_append(struct snap_store *store, enum snap_part part,
                                        struct rk_bytes bytes);

static _Atomic uint64_t now_ms;
static _Atomic uint32_t looks;  /* at the clock */
static _Atomic uint32_t slices; /* appended, the head among them */
static _Atomic uint64_t waited_ms;
static _Atomic uint64_t slice_ms; /* what appending one takes */
static struct snap_thread *snaps;
static struct sm *sm;

uint64_t __wrap_rk_monotonic_ms(void)
{
    atomic_fetch_add(&looks, 1);
    return atomic_load(&now_ms);
}

/* A pause between slices is over at once, on this clock; without anything to take the thread sleeps. */
uint32_t __wrap_rk_queue_pop_wait(struct rk_queue *queue, void *items, uint32_t max,
                                  uint32_t timeout_ms)
{
    if (timeout_ms >= WAIT_MS) {
        return __real_rk_queue_pop_wait(queue, items, max, timeout_ms);
    }
    atomic_fetch_add(&now_ms, timeout_ms);
    atomic_fetch_add(&waited_ms, timeout_ms);
    return rk_queue_pop(queue, items, max);
}

enum rk_status __wrap_snap_store_append(struct snap_store *store, enum snap_part part,
                                        struct rk_bytes bytes)
{
    if (atomic_fetch_add(&slices, 1) > 0) { /* not for the head */
        atomic_fetch_add(&now_ms, atomic_load(&slice_ms));
    }
    return __real_snap_store_append(store, part, bytes);
}

static void put(raft_index index)
{
    static const uint8_t value[VALUE_SIZE];
    char key[16];

    (void)snprintf(key, sizeof(key), "k%u", (unsigned)index);
    const struct sm_command_put command = {.key = bytes_of(key), .value = {value, VALUE_SIZE}};
    (void)sm_do_put(sm, index, &command);
}

static void set_up(void)
{
    atomic_store(&now_ms, 1000);
    atomic_store(&looks, 0);
    atomic_store(&slices, 0);
    atomic_store(&waited_ms, 0);
    sm = sm_new();
    for (raft_index index = 1; index <= VALUES; index++) {
        put(index);
    }
    snaps = snap_thread_start(snap_store_mem_new());
}

static void tear_down(void)
{
    snap_thread_stop(snaps);
    sm_free(sm);
}

static void await_result(void)
{
    struct snap_job *job = NULL;

    ck_assert_uint_eq(__real_rk_queue_pop_wait(snap_results(snaps), &job, 1, WAIT_MS), 1);
    ck_assert_int_eq(job->status, RK_OK);
    snap_job_free(job);
}

/* A snapshot of some 3.5 MB is taken, each slice of which takes `took_ms`. Returns how many there were. */
static uint32_t take(uint64_t took_ms)
{
    struct snap_job *job = snap_job_new(SNAP_TAKE);

    atomic_store(&slice_ms, took_ms);
    job->root = sm_publish(sm);
    job->info = (struct snap_info){
        .ref = {.id = {.term = 1, .index = VALUES}},
        .membership = {.cluster = {1, 2},
                       .election_timeout_ms = 400,
                       .members_count = 1,
                       .members = {{.id = 7,
                                    .incarnation = 9,
                                    .is_voter = true,
                                    .name = "n1",
                                    .peer_address = "127.0.0.1:8300"}}},
    };
    snap_submit(snaps, job);
    await_result();
    const uint32_t count = atomic_load(&slices) - 1;
    ck_assert_uint_ge(count, 3);
    return count;
}

START_TEST(slices_leave_the_disk_to_the_writes)
{
    const uint32_t count = take(0);
    ck_assert_uint_eq(atomic_load(&waited_ms), (count - 1) * SLICE_MS_MIN);
}
END_TEST

/* Where the disk is busy a slice takes long, and is longer in the way of others. */
START_TEST(after_a_slow_slice_the_pause_is_as_long)
{
    const uint32_t count = take(30);
    ck_assert_uint_eq(atomic_load(&waited_ms), (count - 1) * 30);
}
END_TEST

START_TEST(after_a_disk_that_hung_the_pause_is_a_second)
{
    const uint32_t count = take(30000);
    ck_assert_uint_eq(atomic_load(&waited_ms), (count - 1) * 1000);
}
END_TEST

START_TEST(without_a_snapshot_to_take_nobody_looks_at_the_clock)
{
    for (uint32_t i = 0; i < 3; i++) {
        snap_submit(snaps, snap_job_new(SNAP_RETAIN));
        await_result();
    }
    ck_assert_uint_eq(atomic_load(&looks), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("snap_thread");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, slices_leave_the_disk_to_the_writes);
    tcase_add_test(tcase, after_a_slow_slice_the_pause_is_as_long);
    tcase_add_test(tcase, after_a_disk_that_hung_the_pause_is_a_second);
    tcase_add_test(tcase, without_a_snapshot_to_take_nobody_looks_at_the_clock);
    return run_suite("snap_thread", tcase);
}
