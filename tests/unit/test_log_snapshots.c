/* What the log store knows of snapshots, and the log that they replace: held against every
 * implementation (_i in the loop tests), then what only the one on disk has. */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/frame.h"
#include "storage/log_store_mem.h"
#include "store_fixture.h"

enum { KIND_MEM, KIND_SQLITE, KIND_COUNT, OPERATIONS_MAX = 1000 };

static const uint8_t config_bytes[] = {'c', 'o', 'n', 'f'};

static const struct rk_bytes config = {config_bytes, sizeof(config_bytes)};

static void open_kind(int kind)
{
    if (kind == KIND_SQLITE) {
        must_open();
        return;
    }
    const struct log_store_mem_options options = {.node_name = "n1", .incarnation = 7};
    store = log_store_mem_new(&options);
}

/* A snapshot at `index`, as if an entry of `term` stood there: what is made after it goes on from
 * its chain. */
static struct log_snapshot snapshot_at(raft_index index, raft_term term)
{
    const struct raft_entry entry = made_entry(made, index, term, 16);
    struct rk_frame frame = {0};
    uint32_t size = 0;

    ck_assert_int_eq(rk_frame_read(entry.frame, &frame, &size), RK_OK);
    return (struct log_snapshot){
        .id = {.term = term, .index = index},
        .chain = frame.chain,
        .config_index = 1,
        .config = config,
        .size = 1000 + index,
        .digest = UINT64_MAX - index,
    };
}

static enum rk_status add_snapshot(raft_index index, raft_term term)
{
    const struct log_snapshot snapshot = snapshot_at(index, term);
    return log_store_add_snapshot(store, &snapshot);
}

static enum rk_status install(raft_index index, raft_term term)
{
    const struct raft_snapshot snapshot = {.id = {.term = term, .index = index}};
    const struct raft_write write = {.snapshot = &snapshot};
    const struct raft_write *const writes[] = {&write};
    return log_store_write(store, writes, 1);
}

/* Up to `index`, in slices of `entries_max`; returns how many it took. */
static uint32_t compact(raft_index index, uint32_t entries_max)
{
    bool is_more = true;
    uint32_t count = 0;

    while (is_more) {
        ck_assert_int_eq(log_store_compact(store, index, entries_max, &is_more), RK_OK);
        count++;
    }
    return count;
}

START_TEST(a_new_store_has_no_snapshot)
{
    open_kind(_i);
    ck_assert_uint_eq(store->snapshots_count, 0);
}
END_TEST

START_TEST(compaction_moves_the_base_slice_by_slice)
{
    open_kind(_i);
    must_append(1, 100, 3);
    const uint64_t last_chain = store->bounds.last_chain;
    const struct log_snapshot snapshot = {.id = {3, 90}, .chain = 1, .config = config};
    ck_assert_int_eq(log_store_add_snapshot(store, &snapshot), RK_OK);

    ck_assert_uint_eq(compact(80, 30), 3);

    ck_assert_uint_eq(store->bounds.base.index, 80);
    ck_assert_uint_eq(store->bounds.base.term, 3);
    ck_assert_uint_eq(store->bounds.last.index, 100);
    ck_assert_uint_eq(store->bounds.last_chain, last_chain);
    must_scan();
    must_append(101, 102, 3);
}
END_TEST

START_TEST(compacted_entries_are_said_to_be_so)
{
    struct rk_buf buf;
    raft_index last = 0;

    open_kind(_i);
    must_append(1, 10, 1);
    ck_assert_int_eq(add_snapshot(11, 1), RK_OK);
    (void)compact(5, 100);
    rk_buf_init(&buf, 1 << 20);
    ck_assert_int_eq(log_store_read(store, 5, 10, 1 << 20, &buf, &last), RK_COMPACTED);
    ck_assert_int_eq(log_store_read(store, 6, 10, 1 << 20, &buf, &last), RK_OK);
    ck_assert_uint_eq(last, 10);
    rk_buf_done(&buf);
}
END_TEST

START_TEST(a_log_compacted_whole_goes_on_after_its_base)
{
    open_kind(_i);
    must_append(1, 10, 2);
    const uint64_t chain = store->bounds.last_chain;
    const struct log_snapshot snapshot = {.id = {2, 10}, .chain = chain, .config = config};
    ck_assert_int_eq(log_store_add_snapshot(store, &snapshot), RK_OK);
    (void)compact(10, 100);
    ck_assert_uint_eq(store->bounds.base_chain, chain);
    must_scan();
    must_append(11, 12, 2);
    must_scan();
}
END_TEST

/* Pitfall 59: the log is all there is of an entry until a snapshot stands for it. */
START_TEST(what_no_snapshot_stands_for_is_not_deleted)
{
    bool is_more = false;

    open_kind(_i);
    must_append(1, 10, 1);
    const struct log_snapshot snapshot = {.id = {1, 4}, .chain = 1, .config = config};
    ck_assert_int_eq(log_store_add_snapshot(store, &snapshot), RK_OK);
    ck_assert_int_eq(log_store_compact(store, 5, 100, &is_more), RK_OK); /* aborts */
}
END_TEST

/* Pitfall 62: an entry at the snapshot's place that differs must not survive it, nor any other. */
START_TEST(a_snapshot_replaces_the_whole_log)
{
    open_kind(_i);
    must_append(1, 20, 1);
    const struct log_snapshot snapshot = snapshot_at(10, 5);
    ck_assert_int_eq(log_store_add_snapshot(store, &snapshot), RK_OK);

    ck_assert_int_eq(install(10, 5), RK_OK);

    ck_assert_uint_eq(store->bounds.base.index, 10);
    ck_assert_uint_eq(store->bounds.base.term, 5);
    ck_assert_uint_eq(store->bounds.last.index, 10);
    ck_assert_uint_eq(store->bounds.last_chain, snapshot.chain);
    must_append(11, 12, 5);
    must_scan();
}
END_TEST

START_TEST(a_snapshot_may_be_far_ahead_of_the_log)
{
    open_kind(_i);
    must_append(1, 2, 1);
    ck_assert_int_eq(add_snapshot(1000, 4), RK_OK);
    ck_assert_int_eq(install(1000, 4), RK_OK);
    must_append(1001, 1003, 4);
    must_scan();
}
END_TEST

/* Group commit: entries that follow the snapshot, and cuts down to it, in the same transaction. */
START_TEST(writes_after_a_snapshot_in_one_call_go_on_from_it)
{
    open_kind(_i);
    must_append(1, 3, 1);
    const struct log_snapshot snapshot = snapshot_at(50, 2);
    ck_assert_int_eq(log_store_add_snapshot(store, &snapshot), RK_OK);
    const struct raft_snapshot installed = {.id = snapshot.id};
    const struct raft_entry first[] = {made_entry(made, 51, 2, 8), made_entry(made, 52, 2, 8)};
    const struct raft_entry second = made_entry(made, 51, 3, 8);
    const struct raft_write a = {.snapshot = &installed, .entries = first, .entries_count = 2};
    const struct raft_write b = {.truncate_from = 51, .entries = &second, .entries_count = 1};
    const struct raft_write *const writes[] = {&a, &b};

    ck_assert_int_eq(log_store_write(store, writes, 2), RK_OK);

    ck_assert_uint_eq(store->bounds.base.index, 50);
    ck_assert_uint_eq(store->bounds.last.index, 51);
    ck_assert_uint_eq(store->bounds.last.term, 3);
    must_scan();
}
END_TEST

START_TEST(a_snapshot_that_was_not_noted_is_not_installed)
{
    open_kind(_i);
    must_append(1, 2, 1);
    ck_assert_int_eq(install(2, 1), RK_OK); /* aborts */
}
END_TEST

START_TEST(a_forgotten_log_begins_at_its_first_entry_again)
{
    open_kind(_i);
    must_append(1, 9, 1);
    ck_assert_int_eq(vote(3, 2), RK_OK);
    ck_assert_int_eq(add_snapshot(6, 1), RK_OK);
    bool is_more = false;
    ck_assert_int_eq(log_store_compact(store, 6, 100, &is_more), RK_OK);

    ck_assert_int_eq(log_store_forget(store), RK_OK);
    if (_i == KIND_SQLITE) {
        close_store();
        must_open();
    }
    ck_assert_uint_eq(store->bounds.base.index, 0);
    ck_assert_uint_eq(store->bounds.last.index, 0);
    ck_assert_uint_eq(store->bounds.last.term, 0);
    ck_assert_uint_eq(store->hard_state.term, 3);
    ck_assert_uint_eq(store->hard_state.vote, 2);
    ck_assert_uint_eq(store->snapshots_count, 1);
    must_scan();
    must_append(1, 2, 1);
    must_scan();
}
END_TEST

START_TEST(a_removed_snapshot_is_gone)
{
    open_kind(_i);
    ck_assert_int_eq(add_snapshot(5, 1), RK_OK);
    ck_assert_int_eq(add_snapshot(9, 1), RK_OK);
    ck_assert_int_eq(log_store_remove_snapshot(store, 5), RK_OK);
    ck_assert_int_eq(log_store_remove_snapshot(store, 6), RK_OK); /* there is none */
    ck_assert_uint_eq(store->snapshots_count, 1);
    ck_assert_uint_eq(store->snapshots[0].id.index, 9);
}
END_TEST

/* ---- on disk ---- */

static void expect_snapshot(const struct log_snapshot *found, const struct log_snapshot *expected)
{
    ck_assert_uint_eq(found->id.index, expected->id.index);
    ck_assert_uint_eq(found->id.term, expected->id.term);
    ck_assert_uint_eq(found->chain, expected->chain);
    ck_assert_uint_eq(found->config_index, expected->config_index);
    ck_assert_uint_eq(found->size, expected->size);
    ck_assert_uint_eq(found->digest, expected->digest);
    ck_assert_uint_eq(found->config.size, sizeof(config_bytes));
    ck_assert_mem_eq(found->config.data, config_bytes, sizeof(config_bytes));
}

START_TEST(snapshots_and_base_come_back)
{
    must_open();
    must_append(1, 30, 1);
    const struct log_snapshot older = snapshot_at(31, 1);
    const struct log_snapshot newer = snapshot_at(40, 6);
    ck_assert_int_eq(log_store_add_snapshot(store, &older), RK_OK);
    ck_assert_int_eq(log_store_add_snapshot(store, &newer), RK_OK);
    (void)compact(20, 7);
    const struct log_bounds bounds = store->bounds;
    close_store();

    must_open();

    ck_assert_mem_eq(&store->bounds, &bounds, sizeof(bounds));
    ck_assert_uint_eq(store->snapshots_count, 2);
    expect_snapshot(&store->snapshots[0], &older);
    expect_snapshot(&store->snapshots[1], &newer);
    must_scan();
}
END_TEST

static const char *const damages[] = {
    "UPDATE snapshot SET term = term + 1",         "UPDATE snapshot SET chain = chain + 1",
    "UPDATE snapshot SET config_index = 0",        "UPDATE snapshot SET config = x'63'",
    "UPDATE snapshot SET size = size + 1",         "UPDATE snapshot SET digest = 0",
    "UPDATE snapshot SET checksum = checksum + 1", "UPDATE snapshot SET idx = idx + 1",
};

START_TEST(a_damaged_row_is_refused)
{
    must_open();
    ck_assert_int_eq(add_snapshot(5, 1), RK_OK);
    close_store();
    execute(damages[_i]);
    ck_assert_int_eq(open_as("n1", 7), RK_CORRUPT);
    ck_assert_ptr_nonnull(strstr(message, "a stored snapshot fails its check"));
}
END_TEST

/* What a run of the scenario below has said to be done. */
struct progress {
    uint32_t steps;
};

enum { STEPS_COUNT = 5 };

static enum rk_status do_step(uint32_t step)
{
    bool is_more = false;

    switch (step) {
    case 0:
        return add_snapshot(8, 1);
    case 1:
        return log_store_compact(store, 6, 4, &is_more);
    case 2:
        return log_store_compact(store, 6, 4, &is_more);
    case 3:
        return add_snapshot(60, 3);
    default:
        return install(60, 3);
    }
}

static const raft_index base_after[STEPS_COUNT + 1] = {0, 0, 4, 6, 6, 60};
static const raft_index last_after[STEPS_COUNT + 1] = {10, 10, 10, 10, 10, 60};
static const uint32_t snapshots_after[STEPS_COUNT + 1] = {0, 1, 1, 1, 2, 2};

static bool is_after(uint32_t steps)
{
    return store->bounds.base.index == base_after[steps] &&
           store->bounds.last.index == last_after[steps] &&
           store->snapshots_count == snapshots_after[steps];
}

static const int fault_codes[] = {SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_FULL};

/* Fails the n-th operation of the disk, for every n: the next open finds each step whole or not
 * begun, and none undone that was said to be done (pitfall 48). */
START_TEST(failed_operation_leaves_each_step_whole_or_not_begun)
{
    for (uint32_t number = 1; number < OPERATIONS_MAX; number++) {
        uint32_t steps = 0;
        must_open();
        must_append(1, 10, 1);
        test_vfs_fail_at(number, fault_codes[_i], false);
        while (steps < STEPS_COUNT && do_step(steps) == RK_OK) {
            steps++;
        }
        const bool was_hit = test_vfs_operations() >= number;
        if (was_hit) {
            ck_assert_uint_lt(steps, STEPS_COUNT);
            ck_assert_int_eq(add_snapshot(99, 9), RK_IO); /* nothing is tried again */
        }
        close_store();
        test_vfs_done();
        must_open();
        must_scan();
        ck_assert(is_after(steps) || (was_hit && is_after(steps + 1)));
        close_store();
        ck_assert_int_eq(unlink(db_path), 0);
        (void)unlink(wal_path);
        if (!was_hit) {
            ck_assert_uint_gt(number, 5); /* the scenario has reached the disk */
            return;
        }
    }
}
END_TEST

START_TEST(power_loss_leaves_each_step_that_was_done)
{
    for (uint32_t steps = 0; steps <= STEPS_COUNT; steps++) {
        must_open();
        must_append(1, 10, 1);
        for (uint32_t step = 0; step < steps; step++) {
            ck_assert_int_eq(do_step(step), RK_OK);
        }
        close_store();
        test_vfs_lose_power((uint64_t)_i);
        must_open();
        ck_assert(is_after(steps));
        must_scan();
        close_store();
        ck_assert_int_eq(unlink(db_path), 0);
        (void)unlink(wal_path);
    }
}
END_TEST

/* At steady state the file stays as it is: what compaction frees is used again. */
START_TEST(a_log_in_its_rhythm_keeps_its_file)
{
    uint64_t size = 0;

    must_open();
    for (raft_index round = 0; round < 8; round++) {
        const raft_index last = 200 * (round + 1);
        for (raft_index i = last - 199; i <= last; i++) {
            ck_assert_int_eq(append_one(i, 1, 4000), RK_OK);
        }
        const struct log_snapshot snapshot = {.id = {1, last}, .chain = 1, .config = config};
        ck_assert_int_eq(log_store_add_snapshot(store, &snapshot), RK_OK);
        if (round > 0) {
            ck_assert_int_eq(log_store_remove_snapshot(store, last - 200), RK_OK);
        }
        (void)compact(last - 20, 50);
        ck_assert_int_eq(log_store_maintain(store), RK_OK);
        size = round == 2 ? size_of(db_path) : size;
    }
    close_store();
    must_open(); /* folds the WAL in */
    ck_assert_uint_le(size_of(db_path), size + size / 4);
    ck_assert_uint_gt(size, 0);
}
END_TEST

/* After a burst of large values the room goes back to the file system. */
START_TEST(room_of_a_burst_is_given_back)
{
    must_open();
    for (raft_index i = 1; i <= 60; i++) {
        ck_assert_int_eq(append_one(i, 1, 1000 * 1000), RK_OK);
    }
    const struct log_snapshot burst = {.id = {1, 60}, .chain = 1, .config = config};
    ck_assert_int_eq(log_store_add_snapshot(store, &burst), RK_OK);
    (void)compact(60, 10);
    must_append(61, 70, 1);
    const struct log_snapshot usual = {.id = {1, 70}, .chain = 1, .config = config};
    ck_assert_int_eq(log_store_add_snapshot(store, &usual), RK_OK);
    (void)compact(70, 10);
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_int_eq(log_store_maintain(store), RK_OK);
    }
    close_store();
    must_open();
    ck_assert_uint_lt(size_of(db_path), 20 << 20);
    must_scan();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("log_snapshots");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, store_begin, store_end);
    tcase_add_loop_test(tcase, a_new_store_has_no_snapshot, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, compaction_moves_the_base_slice_by_slice, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, compacted_entries_are_said_to_be_so, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, a_log_compacted_whole_goes_on_after_its_base, 0, KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, what_no_snapshot_stands_for_is_not_deleted, SIGABRT, 0,
                                     KIND_COUNT);
    tcase_add_loop_test(tcase, a_snapshot_replaces_the_whole_log, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, a_snapshot_may_be_far_ahead_of_the_log, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, writes_after_a_snapshot_in_one_call_go_on_from_it, 0, KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, a_snapshot_that_was_not_noted_is_not_installed, SIGABRT,
                                     0, KIND_COUNT);
    tcase_add_loop_test(tcase, a_forgotten_log_begins_at_its_first_entry_again, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, a_removed_snapshot_is_gone, 0, KIND_COUNT);
    tcase_add_test(tcase, snapshots_and_base_come_back);
    tcase_add_loop_test(tcase, a_damaged_row_is_refused, 0,
                        (int)(sizeof(damages) / sizeof(damages[0])));
    tcase_add_loop_test(tcase, failed_operation_leaves_each_step_whole_or_not_begun, 0, 3);
    tcase_add_loop_test(tcase, power_loss_leaves_each_step_that_was_done, 0, 4);
    tcase_add_test(tcase, a_log_in_its_rhythm_keeps_its_file);
    tcase_add_test(tcase, room_of_a_burst_is_given_back);
    return run_suite_in_dir("log_snapshots", tcase);
}
