/* The store on disk when the disk fails, power is lost or the process is killed. */
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/prng.h"
#include "store_fixture.h"

/* ---- a disk that fails ---- */

/* What was acknowledged in a run of the scenario below, and the state after the write that
 * failed, which may have come through whole or not at all. */
struct acknowledged {
    raft_index last;
    uint64_t last_chain;
    struct raft_hard_state hard_state;
    raft_index last_if_more;
    uint64_t last_chain_if_more;
    bool is_complete;
};

enum { STEPS_COUNT = 8, OPERATIONS_MAX = 1000 };

static raft_index step_to(uint32_t step)
{
    return step < 5 ? step + 1 : step - 1; /* step 5 cuts entry 4 and 5 */
}

static enum rk_status do_step(uint32_t step, struct raft_entry *entry)
{
    struct raft_write write = {.entries = entry, .entries_count = 1};
    const struct raft_write *const writes[] = {&write};

    write.truncate_from = step == 5 ? 4 : 0;
    write.has_hard_state = step == 2 || step == 5;
    write.hard_state = (struct raft_hard_state){.term = step, .vote = step == 5 ? 3 : 0};
    const enum rk_status status = log_store_write(store, writes, 1);
    return status == RK_OK && step == 6 ? log_store_maintain(store) : status;
}

/* Eight writes: plain appends, a cut with a vote, a checkpoint behind step 6. Ends at the first
 * failure. */
static struct acknowledged run_steps(void)
{
    struct acknowledged done = {0};

    for (uint32_t step = 0; step < STEPS_COUNT; step++) {
        struct raft_entry entry = made_entry(made, step_to(step), step < 5 ? 1 : 5, 1500);
        struct rk_frame frame = {0};
        uint32_t size = 0;
        ck_assert_int_eq(rk_frame_read(entry.frame, &frame, &size), RK_OK);
        done.last_if_more = entry.id.index;
        done.last_chain_if_more = frame.chain;
        const enum rk_status status = do_step(step, &entry);
        if (store->bounds.last_chain == frame.chain) {
            done.last = store->bounds.last.index;
            done.last_chain = store->bounds.last_chain;
            done.hard_state = store->hard_state;
        }
        if (status != RK_OK) {
            return done;
        }
    }
    done.is_complete = true;
    return done;
}

static void expect_acknowledged(const struct acknowledged *done)
{
    const struct log_bounds *bounds = &store->bounds;

    must_scan();
    if (bounds->last_chain == done->last_chain) {
        ck_assert_uint_eq(bounds->last.index, done->last);
        ck_assert_uint_eq(store->hard_state.term, done->hard_state.term);
        ck_assert_uint_eq(store->hard_state.vote, done->hard_state.vote);
    } else {
        ck_assert_uint_eq(bounds->last_chain, done->last_chain_if_more);
        ck_assert_uint_eq(bounds->last.index, done->last_if_more);
        ck_assert_uint_ge(store->hard_state.term, done->hard_state.term);
    }
}

static const int fault_codes[] = {SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_FULL};

/* Fails the n-th operation of the disk, for every n, once and never again: the store refuses all
 * that follows, and the next open shows what was acknowledged, whole (correctness F2, 48). */
START_TEST(failed_operation_loses_nothing_that_was_acknowledged)
{
    checkpoint_bytes = 8 * 1024;
    for (uint32_t number = 1; number < OPERATIONS_MAX; number++) {
        must_open();
        test_vfs_fail_at(number, fault_codes[_i], false);
        const struct acknowledged done = run_steps();
        const bool was_hit = test_vfs_operations() >= number;
        if (was_hit) {
            ck_assert(!done.is_complete);
            ck_assert_int_eq(vote(77, 7), RK_IO);
        }
        close_store();
        test_vfs_done();
        must_open();
        expect_acknowledged(&done);
        close_store();
        ck_assert_int_eq(unlink(db_path), 0);
        (void)unlink(wal_path);
        if (!was_hit) {
            ck_assert_uint_gt(number, 20); /* the scenario has reached the disk */
            return;
        }
    }
}
END_TEST

START_TEST(full_disk_is_said_as_such)
{
    must_open();
    must_append(1, 3, 1);
    test_vfs_fail_at(1, SQLITE_FULL, true);
    ck_assert_int_eq(append_one(4, 1, 50), RK_FULL);
    ck_assert_uint_eq(store->bounds.last.index, 3);
    test_vfs_fail_at(0, SQLITE_OK, false);
    ck_assert_int_eq(append_one(4, 1, 50), RK_IO);
}
END_TEST

/* Power fails at the n-th operation, for every n; what no sync followed is gone, or, by the seed,
 * survives in part (correctness F4, 46, 47, 60). */
START_TEST(power_loss_loses_nothing_that_was_acknowledged)
{
    checkpoint_bytes = 8 * 1024;
    for (uint32_t number = 1; number < OPERATIONS_MAX; number++) {
        must_open();
        test_vfs_fail_at(number, SQLITE_IOERR_WRITE, true);
        const struct acknowledged done = run_steps();
        const bool was_hit = test_vfs_operations() >= number;
        close_store();
        test_vfs_lose_power((uint64_t)_i * 1000 + (_i > 0 ? number : 0));
        must_open();
        expect_acknowledged(&done);
        close_store();
        ck_assert_int_eq(unlink(db_path), 0);
        (void)unlink(wal_path);
        if (!was_hit) {
            return;
        }
    }
}
END_TEST

/* A database is made whole or not at all. */
START_TEST(power_loss_while_it_is_made_leaves_none)
{
    for (uint32_t number = 1; number < OPERATIONS_MAX; number++) {
        test_vfs_fail_at(number, fault_codes[_i], true);
        const enum rk_status status = open_as("n1", 7);
        const uint32_t operations = test_vfs_operations();
        const bool was_hit = operations >= number;
        close_store();
        test_vfs_lose_power(number);
        if (status != RK_OK) {
            ck_assert_str_ne(message, "");
        } else if (was_hit) {
            ck_assert_uint_eq(number, operations); /* SQLite does not mind when it cannot cut a
                                                      WAL that is empty */
        }
        must_open();
        must_append(1, 1, 1);
        close_store();
        ck_assert_int_eq(unlink(db_path), 0);
        (void)unlink(wal_path);
        if (!was_hit) {
            ck_assert_uint_gt(number, 5);
            return;
        }
    }
}
END_TEST

/* ---- kill -9 ---- */

/* Uses none of Check's macros: the child would write into the pipe of its parent's results. */
static void append_and_report(int fd)
{
    checkpoint_bytes = 32 * 1024;
    if (open_as("n1", 7) != RK_OK) {
        _exit(1);
    }
    raft_index index = store->bounds.last.index;

    while (index < MADE_INDEX_MAX) {
        index++;
        if (append_one(index, 1, 200) != RK_OK ||
            write(fd, &index, sizeof(index)) != (ssize_t)sizeof(index)) {
            _exit(1);
        }
        if (log_store_maintain(store) != RK_OK) {
            _exit(1);
        }
    }
    while (true) {
        (void)pause(); /* it ends by the signal and not otherwise */
    }
}

/* Forks a child that appends until it is killed after `count` reports; returns the last index that
 * it reported. */
static raft_index kill_after(uint32_t count)
{
    int ends[2];
    raft_index acknowledged = 0;
    raft_index index = 0;
    int status = 0;

    ck_assert_int_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        append_and_report(ends[1]);
    }
    ck_assert_int_eq(close(ends[1]), 0);
    for (uint32_t i = 0; read(ends[0], &index, sizeof(index)) == (ssize_t)sizeof(index); i++) {
        acknowledged = index;
        if (i == count) {
            ck_assert_int_eq(kill(child, SIGKILL), 0);
        }
    }
    ck_assert_int_eq(close(ends[0]), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    return acknowledged;
}

START_TEST(killed_process_loses_nothing_that_was_acknowledged)
{
    struct rk_prng prng;
    rk_prng_seed(&prng, 42);
    for (uint32_t round = 0; round < 30; round++) {
        const raft_index acknowledged = kill_after((uint32_t)rk_prng_below(&prng, 25));
        must_open();
        ck_assert_uint_ge(store->bounds.last.index, acknowledged);
        ck_assert_uint_le(store->bounds.last.index, acknowledged + 1);
        must_scan();
        close_store();
        ck_assert_int_eq(unlink(db_path), 0);
        (void)unlink(wal_path);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("log_store_faults");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, store_begin, store_end);
    tcase_add_loop_test(tcase, failed_operation_loses_nothing_that_was_acknowledged, 0, 3);
    tcase_add_test(tcase, full_disk_is_said_as_such);
    tcase_add_loop_test(tcase, power_loss_loses_nothing_that_was_acknowledged, 0, 4);
    tcase_add_loop_test(tcase, power_loss_while_it_is_made_leaves_none, 0, 3);
    tcase_add_test(tcase, killed_process_loses_nothing_that_was_acknowledged);
    return run_suite_in_dir("log_store_faults", tcase);
}
