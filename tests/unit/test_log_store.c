/* The contract of storage/log_store.h, held against every implementation: each test runs once per
 * constructor (_i in the loop tests). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/limits.h"
#include "storage/log_store.h"
#include "storage/log_store_mem.h"
#include "storage/log_store_sqlite.h"
#include "storage_support.h"

enum { KIND_MEM, KIND_SQLITE, KIND_COUNT };

static char dir[MADE_PATH_SIZE];
static struct made *made;
static struct log_store *store;

static struct log_store *open_kind(int kind)
{
    if (kind == KIND_MEM) {
        const struct log_store_mem_options options = {.node_name = "n1", .incarnation = 7};
        return log_store_mem_new(&options);
    }
    char path[2 * MADE_PATH_SIZE];
    char message[512] = "";
    struct log_store *opened = NULL;
    (void)snprintf(path, sizeof(path), "%s/raft.db", dir);
    const struct log_store_sqlite_options options = {
        .path = path, .node_name = "n1", .incarnation = 7};
    const enum rk_status status =
        log_store_sqlite_open(&options, &opened, message, sizeof(message));
    ck_assert_msg(status == RK_OK, "%s: %s", rk_status_text(status), message);
    return opened;
}

static void setup(void)
{
    test_dir_make(dir);
    made = made_new();
    store = NULL;
}

static void teardown(void)
{
    log_store_close(store);
    made_free(made);
    test_dir_remove(dir);
}

static enum rk_status write_one(const struct raft_write *write)
{
    return log_store_write(store, &write, 1);
}

static enum rk_status append_one(raft_index index, raft_term term, uint32_t size)
{
    const struct raft_entry entry = made_entry(made, index, term, size);
    return write_one(&(struct raft_write){.entries = &entry, .entries_count = 1});
}

/* Opens and leaves the log 1^1 2^1 3^2. */
static void open_with_three(int kind)
{
    const struct raft_entry entries[] = {made_entry(made, 1, 1, 10), made_entry(made, 2, 1, 20),
                                         made_entry(made, 3, 2, 30)};

    store = open_kind(kind);
    ck_assert_int_eq(write_one(&(struct raft_write){.entries = entries, .entries_count = 3}),
                     RK_OK);
}

/* What a scan saw, as text: "1^1 2^1 3^2". */
struct seen {
    char text[4096];
    size_t size;
    raft_index fail_at;
};

static enum rk_status see(void *context, const struct raft_entry *entry)
{
    struct seen *seen = context;

    if (entry->id.index == seen->fail_at) {
        return RK_BUSY;
    }
    ck_assert_int_eq(entry->type, RAFT_ENTRY_COMMAND);
    ck_assert_ptr_null(entry->config);
    const int size =
        snprintf(seen->text + seen->size, sizeof(seen->text) - seen->size, "%s%llu^%llu",
                 seen->size == 0 ? "" : " ", (unsigned long long)entry->id.index,
                 (unsigned long long)entry->id.term);
    seen->size += (size_t)size;
    ck_assert_uint_lt(seen->size, sizeof(seen->text));
    return RK_OK;
}

static void expect_log(const char *text)
{
    struct seen seen = {0};
    raft_index bad_index = 0;

    ck_assert_int_eq(log_store_scan(store, see, &seen, &bad_index), RK_OK);
    ck_assert_str_eq(seen.text, text);
    ck_assert_uint_eq(bad_index, 0);
}

START_TEST(new_store_is_empty)
{
    store = open_kind(_i);
    ck_assert_uint_eq(store->bounds.base.index, 0);
    ck_assert_uint_eq(store->bounds.last.index, 0);
    ck_assert_uint_eq(store->bounds.last.term, 0);
    ck_assert_uint_eq(store->bounds.last_chain, 0);
    ck_assert_uint_eq(store->hard_state.term, 0);
    ck_assert_uint_eq(store->hard_state.vote, 0);
    ck_assert_str_eq(store->identity.node_name, "n1");
    ck_assert_uint_eq(store->identity.incarnation, 7);
    expect_log("");
}
END_TEST

START_TEST(write_appends_and_moves_the_bounds)
{
    open_with_three(_i);
    ck_assert_uint_eq(store->bounds.last.index, 3);
    ck_assert_uint_eq(store->bounds.last.term, 2);
    ck_assert_uint_ne(store->bounds.last_chain, 0);
    expect_log("1^1 2^1 3^2");
}
END_TEST

/* Dissertation 3.5: a follower drops its conflicting suffix and takes the leader's entries in
 * one write, so that no crash can leave it with neither. */
START_TEST(write_replaces_a_conflicting_suffix)
{
    open_with_three(_i);
    const struct raft_entry newer = made_entry(made, 2, 4, 5);

    ck_assert_int_eq(
        write_one(&(struct raft_write){.truncate_from = 2, .entries = &newer, .entries_count = 1}),
        RK_OK);

    ck_assert_uint_eq(store->bounds.last.index, 2);
    expect_log("1^1 2^4");
}
END_TEST

/* The term and chain of the new last entry come from the row before the cut. */
START_TEST(truncation_alone_steps_back_to_the_entry_before)
{
    store = open_kind(_i);
    ck_assert_int_eq(append_one(1, 1, 10), RK_OK);
    const struct log_bounds at_one = store->bounds;
    ck_assert_int_eq(append_one(2, 5, 10), RK_OK);

    ck_assert_int_eq(write_one(&(struct raft_write){.truncate_from = 2}), RK_OK);

    ck_assert_mem_eq(&store->bounds, &at_one, sizeof(at_one));
    ck_assert_int_eq(append_one(2, 1, 10), RK_OK);
    expect_log("1^1 2^1");
}
END_TEST

START_TEST(truncation_down_to_the_base_empties_the_log)
{
    open_with_three(_i);
    ck_assert_int_eq(write_one(&(struct raft_write){.truncate_from = 1}), RK_OK);
    ck_assert_uint_eq(store->bounds.last.index, 0);
    ck_assert_uint_eq(store->bounds.last_chain, 0);
    expect_log("");
}
END_TEST

/* Group commit: what waits is one transaction, also when a later write cuts what an earlier one
 * of the same batch appended. */
START_TEST(writes_of_one_call_apply_in_order)
{
    open_with_three(_i);
    const struct raft_entry a[] = {made_entry(made, 4, 2, 8), made_entry(made, 5, 2, 8)};
    const struct raft_entry b[] = {made_entry(made, 5, 3, 8), made_entry(made, 6, 3, 8)};
    const struct raft_write first = {.entries = a, .entries_count = 2};
    const struct raft_write second = {.has_hard_state = true, .hard_state = {.term = 3, .vote = 9}};
    const struct raft_write third = {.truncate_from = 5, .entries = b, .entries_count = 2};
    const struct raft_write *const writes[] = {&first, &second, &third};

    ck_assert_int_eq(log_store_write(store, writes, 3), RK_OK);

    expect_log("1^1 2^1 3^2 4^2 5^3 6^3");
    ck_assert_uint_eq(store->hard_state.term, 3);
    ck_assert_uint_eq(store->hard_state.vote, 9);
}
END_TEST

/* The row before the cut may itself have been written by an earlier write of the batch, or have
 * survived an earlier cut of it. */
START_TEST(cuts_of_one_call_find_what_they_continue)
{
    open_with_three(_i);
    const struct raft_entry a[] = {made_entry(made, 2, 4, 8), made_entry(made, 3, 4, 8)};
    const struct raft_write first = {.truncate_from = 2, .entries = a, .entries_count = 2};
    const struct raft_write second = {.truncate_from = 3};
    const struct raft_entry b[] = {made_entry(made, 2, 6, 8)};
    const struct raft_write third = {.truncate_from = 2, .entries = b, .entries_count = 1};
    const struct raft_write *const writes[] = {&first, &second, &third};

    ck_assert_int_eq(log_store_write(store, writes, 3), RK_OK);

    expect_log("1^1 2^6");
}
END_TEST

static enum rk_status count_entry(void *context, const struct raft_entry *entry)
{
    uint64_t *count = context;

    (*count)++;
    ck_assert_uint_eq(entry->id.index, *count);
    return RK_OK;
}

/* Whatever is inserted together with whatever: no row is missing, none is another's. */
START_TEST(batches_of_any_number_of_entries_are_whole)
{
    enum { COUNT_MAX = 140 };
    struct raft_entry entries[COUNT_MAX];
    raft_index last = 0;
    raft_index bad_index = 0;
    uint64_t seen = 0;

    store = open_kind(_i);
    for (uint32_t count = 2; count <= COUNT_MAX; count += count < 24 ? 1 : 13) {
        for (uint32_t i = 0; i < count; i++) {
            entries[i] = made_entry(made, last + 1 + i, 1, i);
        }
        const struct raft_write first = {.entries = entries, .entries_count = count / 2};
        const struct raft_write second = {.entries = entries + count / 2,
                                          .entries_count = count - count / 2};
        const struct raft_write *const writes[] = {&first, &second};
        ck_assert_int_eq(log_store_write(store, writes, 2), RK_OK);
        last += count;
    }
    ck_assert_int_eq(log_store_scan(store, count_entry, &seen, &bad_index), RK_OK);
    ck_assert_uint_eq(seen, last);
}
END_TEST

START_TEST(hard_state_without_entries_is_kept)
{
    store = open_kind(_i);
    const struct raft_write write = {.has_hard_state = true, .hard_state = {.term = 4, .vote = 2}};
    ck_assert_int_eq(write_one(&write), RK_OK);
    ck_assert_uint_eq(store->hard_state.term, 4);
    ck_assert_uint_eq(store->hard_state.vote, 2);
    ck_assert_uint_eq(store->bounds.last.index, 0);
}
END_TEST

START_TEST(read_gives_the_frames_as_they_were_written)
{
    open_with_three(_i);
    const struct raft_entry four = made_entry(made, 4, 2, 40);
    ck_assert_int_eq(write_one(&(struct raft_write){.entries = &four, .entries_count = 1}), RK_OK);
    struct rk_buf buf;
    raft_index last = 0;
    rk_buf_init(&buf, 4096);

    ck_assert_int_eq(log_store_read(store, 4, 4, 4096, &buf, &last), RK_OK);

    ck_assert_uint_eq(last, 4);
    ck_assert_uint_eq(buf.size, four.frame.size);
    ck_assert_mem_eq(buf.data, four.frame.data, buf.size);
    rk_buf_done(&buf);
}
END_TEST

/* "stopping after the first one that makes at least bytes_max bytes", counted from what the
 * buffer held before. */
START_TEST(read_stops_at_the_bytes_asked_for)
{
    open_with_three(_i);
    struct rk_buf buf;
    raft_index last = 0;
    rk_buf_init(&buf, 4096);
    rk_buf_append(&buf, "before", 6);

    ck_assert_int_eq(log_store_read(store, 1, 3, 0, &buf, &last), RK_OK);
    ck_assert_uint_eq(last, 1);
    const size_t one = buf.size - 6;
    ck_assert_int_eq(log_store_read(store, 1, 3, one + 1, &buf, &last), RK_OK);
    ck_assert_uint_eq(last, 2);
    ck_assert_int_eq(log_store_read(store, 1, 3, 4096, &buf, &last), RK_OK);
    ck_assert_uint_eq(last, 3);
    rk_buf_done(&buf);
}
END_TEST

START_TEST(read_past_the_end_is_not_found)
{
    open_with_three(_i);
    struct rk_buf buf;
    raft_index last = 77;
    rk_buf_init(&buf, 4096);
    ck_assert_int_eq(log_store_read(store, 3, 4, 4096, &buf, &last), RK_NOT_FOUND);
    ck_assert_uint_eq(last, 77);
    rk_buf_done(&buf);
}
END_TEST

START_TEST(read_into_a_full_buffer_is_too_large)
{
    open_with_three(_i);
    struct rk_buf buf;
    raft_index last = 77;
    rk_buf_init(&buf, 60);
    ck_assert_int_eq(log_store_read(store, 1, 3, 4096, &buf, &last), RK_TOO_LARGE);
    ck_assert_uint_eq(last, 77);
    rk_buf_done(&buf);
}
END_TEST

START_TEST(largest_entry_is_written_read_and_scanned)
{
    store = open_kind(_i);
    struct rk_buf buf;
    raft_index last = 0;
    rk_buf_init(&buf, RK_FRAME_SIZE_MAX);
    ck_assert_int_eq(append_one(1, 1, 1), RK_OK);
    ck_assert_int_eq(append_one(2, 1, RK_COMMAND_SIZE_MAX), RK_OK);
    ck_assert_int_eq(append_one(3, 1, RK_COMMAND_SIZE_MAX), RK_OK);
    ck_assert_int_eq(log_store_read(store, 2, 2, 0, &buf, &last), RK_OK);
    expect_log("1^1 2^1 3^1");
    rk_buf_done(&buf);
}
END_TEST

START_TEST(scan_ends_with_what_the_visitor_says)
{
    open_with_three(_i);
    struct seen seen = {.fail_at = 3};
    raft_index bad_index = 0;
    ck_assert_int_eq(log_store_scan(store, see, &seen, &bad_index), RK_BUSY);
    ck_assert_str_eq(seen.text, "1^1 2^1");
}
END_TEST

static enum rk_status find_bad(void *context, const struct raft_entry *entry)
{
    return entry->id.index == *(const raft_index *)context ? RK_CORRUPT : RK_OK;
}

/* A payload that the node cannot decode is as bad as one whose CRC fails: it is named too. */
START_TEST(scan_names_the_entry_that_the_visitor_finds_corrupt)
{
    open_with_three(_i);
    raft_index bad = 2;
    raft_index bad_index = 0;
    ck_assert_int_eq(log_store_scan(store, find_bad, &bad, &bad_index), RK_CORRUPT);
    ck_assert_uint_eq(bad_index, 2);
}
END_TEST

START_TEST(maintain_without_need_changes_nothing)
{
    open_with_three(_i);
    ck_assert_int_eq(log_store_maintain(store), RK_OK);
    expect_log("1^1 2^1 3^2");
}
END_TEST

START_TEST(close_takes_null)
{
    log_store_close(NULL);
}
END_TEST

/* The negative space: what the caller must never do stops the process. */
START_TEST(write_with_a_gap_aborts)
{
    open_with_three(_i);
    (void)made_entry(made, 4, 2, 8);
    const enum rk_status status = append_one(5, 2, 8);
    ck_abort_msg("a gap was accepted: %s", rk_status_text(status));
}
END_TEST

START_TEST(write_with_a_falling_term_aborts)
{
    open_with_three(_i);
    const enum rk_status status = append_one(4, 1, 8);
    ck_abort_msg("a falling term was accepted: %s", rk_status_text(status));
}
END_TEST

START_TEST(write_with_a_foreign_chain_aborts)
{
    open_with_three(_i);
    struct made *other = made_new();
    for (raft_index index = 1; index <= 3; index++) {
        (void)made_entry(other, index, 1, 8);
    }
    const struct raft_entry entry = made_entry(other, 4, 2, 8);
    const enum rk_status status =
        write_one(&(struct raft_write){.entries = &entry, .entries_count = 1});
    ck_abort_msg("a foreign chain was accepted: %s", rk_status_text(status));
}
END_TEST

START_TEST(write_of_a_damaged_frame_aborts)
{
    open_with_three(_i);
    const struct raft_entry entry = made_entry(made, 4, 2, 8);
    uint8_t damaged[128];
    memcpy(damaged, entry.frame.data, entry.frame.size);
    damaged[entry.frame.size - 6] ^= 1;
    const struct raft_entry bad = {entry.id, entry.type, NULL, {damaged, entry.frame.size}};
    const enum rk_status status =
        write_one(&(struct raft_write){.entries = &bad, .entries_count = 1});
    ck_abort_msg("a damaged frame was accepted: %s", rk_status_text(status));
}
END_TEST

START_TEST(write_of_a_frame_that_says_another_id_aborts)
{
    open_with_three(_i);
    struct raft_entry entry = made_entry(made, 4, 2, 8);
    entry.id.term = 3;
    const enum rk_status status =
        write_one(&(struct raft_write){.entries = &entry, .entries_count = 1});
    ck_abort_msg("a frame of another term was accepted: %s", rk_status_text(status));
}
END_TEST

START_TEST(truncation_past_the_end_aborts)
{
    open_with_three(_i);
    const enum rk_status status = write_one(&(struct raft_write){.truncate_from = 4});
    ck_abort_msg("a cut past the end was accepted: %s", rk_status_text(status));
}
END_TEST

static void write_hard_state(raft_term term, raft_node_id vote)
{
    const struct raft_write write = {.has_hard_state = true,
                                     .hard_state = {.term = term, .vote = vote}};
    ck_assert_int_eq(write_one(&write), RK_OK);
}

START_TEST(falling_term_of_the_hard_state_aborts)
{
    store = open_kind(_i);
    write_hard_state(3, 0);
    write_hard_state(2, 0);
}
END_TEST

/* Correctness 3, 4: one vote in a term. */
START_TEST(second_vote_in_a_term_aborts)
{
    store = open_kind(_i);
    write_hard_state(3, 0);
    write_hard_state(3, 8);
    write_hard_state(3, 9);
}
END_TEST

START_TEST(too_many_entries_in_one_write_abort)
{
    struct raft_entry entries[RAFT_WRITE_ENTRIES_MAX + 1];
    store = open_kind(_i);
    for (uint32_t i = 0; i <= RAFT_WRITE_ENTRIES_MAX; i++) {
        entries[i] = made_entry(made, i + 1, 1, 4);
    }
    const enum rk_status status = write_one(
        &(struct raft_write){.entries = entries, .entries_count = RAFT_WRITE_ENTRIES_MAX + 1});
    ck_abort_msg("too many entries were accepted: %s", rk_status_text(status));
}
END_TEST

/* Fails the n-th write for every n (_i is n): what was acknowledged is there, what was refused
 * left no trace, and after it everything is refused (correctness F2). */
START_TEST(failed_write_leaves_the_log_as_it_was)
{
    const struct log_store_mem_options options = {
        .node_name = "n1", .incarnation = 7, .write_fault_at = (uint32_t)_i};
    store = log_store_mem_new(&options);
    raft_index acknowledged = 0;
    enum rk_status status = RK_OK;

    for (raft_index index = 1; index <= 4 && status == RK_OK; index++) {
        status = append_one(index, 1, 8);
        acknowledged += status == RK_OK;
    }

    ck_assert_int_eq(status, RK_IO);
    ck_assert_uint_eq(acknowledged, (raft_index)_i - 1);
    ck_assert_uint_eq(store->bounds.last.index, acknowledged);
}
END_TEST

START_TEST(after_a_failure_everything_is_refused)
{
    const struct log_store_mem_options options = {
        .node_name = "n1", .incarnation = 7, .write_fault_at = 2};
    store = log_store_mem_new(&options);
    struct seen seen = {0};
    struct rk_buf buf;
    raft_index index = 0;
    rk_buf_init(&buf, 4096);

    ck_assert_int_eq(append_one(1, 1, 8), RK_OK);
    ck_assert_int_eq(append_one(2, 1, 8), RK_IO);
    ck_assert_int_eq(append_one(2, 1, 8), RK_IO);
    ck_assert_int_eq(log_store_read(store, 1, 1, 1, &buf, &index), RK_IO);
    ck_assert_int_eq(log_store_scan(store, see, &seen, &index), RK_IO);
    ck_assert_int_eq(log_store_maintain(store), RK_IO);
    rk_buf_done(&buf);
}
END_TEST

START_TEST(memory_store_is_full_at_its_ceiling)
{
    const struct log_store_mem_options options = {
        .node_name = "n1", .incarnation = 7, .bytes_max = 200};
    store = log_store_mem_new(&options);
    ck_assert_int_eq(append_one(1, 1, 100), RK_OK);
    ck_assert_int_eq(append_one(2, 1, 100), RK_FULL);
    ck_assert_uint_eq(store->bounds.last.index, 1);
}
END_TEST

static void add_positive(TCase *tcase)
{
    tcase_add_loop_test(tcase, new_store_is_empty, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, write_appends_and_moves_the_bounds, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, write_replaces_a_conflicting_suffix, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, truncation_alone_steps_back_to_the_entry_before, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, truncation_down_to_the_base_empties_the_log, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, writes_of_one_call_apply_in_order, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, cuts_of_one_call_find_what_they_continue, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, batches_of_any_number_of_entries_are_whole, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, hard_state_without_entries_is_kept, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, read_gives_the_frames_as_they_were_written, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, read_stops_at_the_bytes_asked_for, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, read_past_the_end_is_not_found, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, read_into_a_full_buffer_is_too_large, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, largest_entry_is_written_read_and_scanned, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, scan_ends_with_what_the_visitor_says, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, scan_names_the_entry_that_the_visitor_finds_corrupt, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, maintain_without_need_changes_nothing, 0, KIND_COUNT);
    tcase_add_test(tcase, close_takes_null);
}

static void add_negative(TCase *tcase)
{
    tcase_add_loop_test_raise_signal(tcase, write_with_a_gap_aborts, SIGABRT, 0, KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, write_with_a_falling_term_aborts, SIGABRT, 0,
                                     KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, write_with_a_foreign_chain_aborts, SIGABRT, 0,
                                     KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, write_of_a_damaged_frame_aborts, SIGABRT, 0,
                                     KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, write_of_a_frame_that_says_another_id_aborts, SIGABRT,
                                     0, KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, truncation_past_the_end_aborts, SIGABRT, 0, KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, falling_term_of_the_hard_state_aborts, SIGABRT, 0,
                                     KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, second_vote_in_a_term_aborts, SIGABRT, 0, KIND_COUNT);
    tcase_add_loop_test_raise_signal(tcase, too_many_entries_in_one_write_abort, SIGABRT, 0,
                                     KIND_COUNT);
}

static void add_faults(TCase *tcase)
{
    tcase_add_loop_test(tcase, failed_write_leaves_the_log_as_it_was, 1, 5);
    tcase_add_test(tcase, after_a_failure_everything_is_refused);
    tcase_add_test(tcase, memory_store_is_full_at_its_ceiling);
}

int main(void)
{
    TCase *tcase = tcase_create("log_store");
    tcase_add_checked_fixture(tcase, setup, teardown);
    add_positive(tcase);
    add_negative(tcase);
    add_faults(tcase);
    return run_suite_in_dir("log_store", tcase);
}
