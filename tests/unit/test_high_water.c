/* storage/high_water.h: what the log once held, kept outside the database (correctness F1, 48 to
 * 51). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/high_water.h"
#include "storage_support.h"

enum { FILE_SIZE_MAX = 16384, COPY_SIZE = 68, SECOND_COPY = 4096 };

/* The linker puts these in place of pwrite() and fdatasync() (--wrap): both count as operations
 * of the disk, and the one numbered `fail_at` fails with `fail_errno`. */
ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
static uint32_t operations;
static uint32_t syncs;
static uint32_t fail_at;
static int fail_errno;

static bool fails_now(void)
{
    operations++;
    if (operations == fail_at) {
        errno = fail_errno;
        return true;
    }
    return false;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return fails_now() ? -1 : __real_pwrite(fd, data, size, offset);
}

int __wrap_fdatasync(int fd)
{
    syncs++;
    return fails_now() ? -1 : __real_fdatasync(fd);
}

static void fail_operation(uint32_t number, int error)
{
    operations = 0;
    syncs = 0;
    fail_at = number;
    fail_errno = error;
}

static char dir[MADE_PATH_SIZE];
static char path[2 * MADE_PATH_SIZE];
static char message[512];
static struct high_water *water;
static bool is_new;

static void setup(void)
{
    test_dir_make(dir);
    (void)snprintf(path, sizeof(path), "%s/high-water", dir);
    message[0] = '\0';
    water = NULL;
    fail_operation(0, 0);
}

static void teardown(void)
{
    high_water_close(water);
    test_dir_remove(dir);
}

static enum rk_status open_as(uint64_t incarnation)
{
    return high_water_open(path, incarnation, &water, &is_new, message, sizeof(message));
}

static void must_open(void)
{
    const enum rk_status status = open_as(7);
    ck_assert_msg(status == RK_OK, "%s: %s", rk_status_text(status), message);
}

static void reopen(void)
{
    high_water_close(water);
    water = NULL;
    must_open();
}

static enum rk_status advance(raft_index index, uint64_t now_ms)
{
    const struct raft_entry_id last = {.term = 3, .index = index};
    return high_water_advance(water, last, 1000 + index, now_ms);
}

static enum rk_status vote(raft_term term, raft_node_id node)
{
    return high_water_vote(water, &(struct raft_hard_state){.term = term, .vote = node});
}

static void expect_last(raft_index index)
{
    const struct high_water_mark *mark = high_water_mark(water);
    ck_assert_uint_eq(mark->last.index, index);
    ck_assert_uint_eq(mark->last.term, index == 0 ? 0 : 3);
    ck_assert_uint_eq(mark->chain, index == 0 ? 0 : 1000 + index);
}

static void expect_vote(raft_term term, raft_node_id node)
{
    ck_assert_uint_eq(high_water_mark(water)->hard_state.term, term);
    ck_assert_uint_eq(high_water_mark(water)->hard_state.vote, node);
}

static size_t read_file(uint8_t bytes[FILE_SIZE_MAX])
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    const size_t size = fread(bytes, 1, FILE_SIZE_MAX, file);
    ck_assert_int_eq(fclose(file), 0);
    return size;
}

static void write_file(const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void damage_copy(size_t offset)
{
    uint8_t bytes[FILE_SIZE_MAX];
    const size_t size = read_file(bytes);
    bytes[offset] ^= 4;
    write_file(bytes, size);
}

START_TEST(new_mark_is_empty_and_says_so)
{
    struct stat status;
    must_open();
    ck_assert(is_new);
    expect_last(0);
    expect_vote(0, 0);
    ck_assert_uint_eq(high_water_deadline_ms(water), UINT64_MAX);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    reopen();
    ck_assert(!is_new);
    expect_last(0);
}
END_TEST

START_TEST(vote_is_durable_at_once_in_both_copies)
{
    must_open();
    ck_assert_int_eq(vote(5, 9), RK_OK);
    ck_assert_uint_eq(syncs, 2);
    reopen();
    expect_vote(5, 9);
    damage_copy(_i == 0 ? 50 : SECOND_COPY + 50);
    reopen();
    expect_vote(5, 9);
}
END_TEST

START_TEST(unchanged_vote_costs_nothing)
{
    must_open();
    ck_assert_int_eq(vote(5, 9), RK_OK);
    fail_operation(0, 0);
    ck_assert_int_eq(vote(5, 9), RK_OK);
    ck_assert_uint_eq(operations, 0);
}
END_TEST

START_TEST(vote_follows_a_term_without_one)
{
    must_open();
    ck_assert_int_eq(vote(5, 0), RK_OK);
    ck_assert_int_eq(vote(5, 9), RK_OK);
    ck_assert_int_eq(vote(6, 0), RK_OK);
    reopen();
    expect_vote(6, 0);
}
END_TEST

/* The window that the design states: what is written is at most HIGH_WATER_LAG_MS behind. */
START_TEST(last_entry_is_written_after_the_lag_and_not_before)
{
    must_open();
    ck_assert_int_eq(advance(1, 1000), RK_OK);
    ck_assert_uint_eq(high_water_deadline_ms(water), UINT64_MAX);
    ck_assert_int_eq(advance(2, 1001), RK_OK);
    ck_assert_int_eq(advance(3, 1199), RK_OK);
    ck_assert_uint_eq(high_water_deadline_ms(water), 1200);
    expect_last(3);
    reopen();
    expect_last(1);

    ck_assert_int_eq(advance(4, 2000), RK_OK);
    ck_assert_int_eq(advance(5, 2199), RK_OK);
    ck_assert_int_eq(advance(6, 2200), RK_OK);
    ck_assert_int_eq(advance(7, 2201), RK_OK);
    reopen();
    expect_last(6);
}
END_TEST

START_TEST(raised_mark_is_durable_at_once_in_both_copies)
{
    must_open();
    ck_assert_int_eq(advance(7, 1000), RK_OK);
    ck_assert_int_eq(high_water_raise(water, (struct raft_entry_id){3, 9}, 1009), RK_OK);
    damage_copy(_i == 0 ? 30 : SECOND_COPY + 30);
    reopen();
    expect_last(9);
    ck_assert_int_eq(high_water_raise(water, (struct raft_entry_id){3, 8}, 1008), RK_OK);
    expect_last(9);
}
END_TEST

START_TEST(flush_writes_what_waits)
{
    must_open();
    ck_assert_int_eq(advance(1, 1000), RK_OK);
    ck_assert_int_eq(advance(2, 1001), RK_OK);
    ck_assert_int_eq(high_water_flush(water, 1200), RK_OK);
    fail_operation(0, 0);
    ck_assert_int_eq(high_water_flush(water, 1201), RK_OK);
    ck_assert_uint_eq(operations, 0);
    reopen();
    expect_last(2);
}
END_TEST

/* A vote takes along what waits, and a mark takes along the vote. */
START_TEST(vote_and_mark_do_not_lose_each_other)
{
    must_open();
    ck_assert_int_eq(advance(1, 1000), RK_OK);
    ck_assert_int_eq(advance(2, 1001), RK_OK);
    ck_assert_int_eq(vote(5, 9), RK_OK);
    reopen();
    expect_last(2);
    ck_assert_int_eq(advance(3, 2000), RK_OK);
    ck_assert_int_eq(advance(4, 3000), RK_OK);
    reopen();
    expect_last(4);
    expect_vote(5, 9);
}
END_TEST

START_TEST(one_bad_copy_is_repaired)
{
    must_open();
    ck_assert_int_eq(vote(5, 9), RK_OK);
    ck_assert_int_eq(advance(4, 1000), RK_OK);
    damage_copy(_i == 0 ? 30 : SECOND_COPY + 30);
    reopen();
    expect_vote(5, 9);
    damage_copy(_i == 0 ? SECOND_COPY + 30 : 30);
    reopen();
    expect_vote(5, 9);
}
END_TEST

/* Correctness 51: never taken for "no vote". */
START_TEST(two_bad_copies_are_corrupt)
{
    must_open();
    ck_assert_int_eq(vote(5, 9), RK_OK);
    high_water_close(water);
    water = NULL;
    damage_copy(50);
    damage_copy(SECOND_COPY + 50);
    ck_assert_int_eq(open_as(7), RK_CORRUPT);
    ck_assert_ptr_null(water);
    ck_assert_ptr_nonnull(strstr(message, path));
}
END_TEST

START_TEST(short_or_empty_file_is_corrupt)
{
    must_open();
    high_water_close(water);
    water = NULL;
    ck_assert_int_eq(truncate(path, _i == 0 ? 0 : COPY_SIZE - 1), 0);
    ck_assert_int_eq(open_as(7), RK_CORRUPT);
}
END_TEST

START_TEST(every_flipped_bit_of_a_copy_is_seen)
{
    must_open();
    ck_assert_int_eq(vote(5, 9), RK_OK);
    high_water_close(water);
    water = NULL;
    uint8_t bytes[FILE_SIZE_MAX];
    const size_t size = read_file(bytes);
    for (uint32_t i = 0; i < COPY_SIZE * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1U << (i % 8));
        bytes[SECOND_COPY + i / 8] ^= (uint8_t)(1U << (i % 8));
        write_file(bytes, size);
        ck_assert_int_eq(open_as(7), RK_CORRUPT);
        bytes[i / 8] ^= (uint8_t)(1U << (i % 8));
        bytes[SECOND_COPY + i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    write_file(bytes, size);
    must_open();
}
END_TEST

START_TEST(another_directorys_mark_is_refused)
{
    must_open();
    high_water_close(water);
    water = NULL;
    ck_assert_int_eq(open_as(8), RK_CONFLICT);
    ck_assert_ptr_nonnull(strstr(message, "0000000000000007"));
}
END_TEST

/* A write that stops after any of its bytes leaves the mark before it or the new one. */
START_TEST(torn_write_leaves_one_whole_mark)
{
    uint8_t before[FILE_SIZE_MAX];
    uint8_t after[FILE_SIZE_MAX];
    uint8_t torn[FILE_SIZE_MAX];
    must_open();
    ck_assert_int_eq(vote(5, 9), RK_OK);
    ck_assert_int_eq(advance(1, 1000), RK_OK);
    const size_t size = read_file(before);
    ck_assert_int_eq(advance(2, 2000), RK_OK);
    ck_assert_uint_eq(read_file(after), size);
    const size_t offset = memcmp(before, after, SECOND_COPY) == 0 ? SECOND_COPY : 0;

    for (size_t count = 0; count <= COPY_SIZE; count++) {
        memcpy(torn, before, size);
        memcpy(torn + offset, after + offset, count);
        write_file(torn, size);
        reopen();
        const raft_index last = high_water_mark(water)->last.index;
        ck_assert(last == 1 || last == 2);
        ck_assert(count < COPY_SIZE || last == 2);
        expect_last(last);
        expect_vote(5, 9);
    }
}
END_TEST

/* Fails the n-th operation for every n: what was acknowledged is there, and after it nothing is
 * taken any more (correctness 48). */
START_TEST(failed_operation_is_not_tried_again)
{
    must_open();
    ck_assert_int_eq(vote(5, 9), RK_OK);
    fail_operation((uint32_t)_i, EIO);
    enum rk_status status = vote(6, 2);
    if (_i > 4) {
        ck_assert_int_eq(status, RK_OK);
        status = advance(1, 1000);
    }
    ck_assert_int_eq(status, RK_IO);
    fail_operation(0, 0);
    ck_assert_int_eq(vote(7, 1), RK_IO);
    ck_assert_int_eq(advance(2, 9000), RK_IO);
    ck_assert_int_eq(high_water_flush(water, 9999), RK_IO);
    ck_assert_uint_eq(operations, 0);
    reopen();
    const raft_term term = high_water_mark(water)->hard_state.term;
    ck_assert(term == 6 || (term == 5 && _i <= 4));
}
END_TEST

START_TEST(full_disk_is_said_as_such)
{
    must_open();
    fail_operation(1, ENOSPC);
    ck_assert_int_eq(vote(6, 2), RK_FULL);
    ck_assert_int_eq(vote(6, 2), RK_IO);
}
END_TEST

START_TEST(failed_creation_leaves_no_file)
{
    fail_operation((uint32_t)_i, ENOSPC);
    ck_assert_int_eq(open_as(7), RK_FULL);
    ck_assert_ptr_nonnull(strstr(message, "cannot write"));
    ck_assert_int_ne(access(path, F_OK), 0);
    fail_operation(0, 0);
    must_open();
    ck_assert(is_new);
}
END_TEST

START_TEST(falling_term_aborts)
{
    must_open();
    ck_assert_int_eq(vote(5, 9), RK_OK);
    const enum rk_status status = vote(4, 0);
    ck_abort_msg("accepted: %s", rk_status_text(status));
}
END_TEST

START_TEST(second_vote_in_a_term_aborts)
{
    must_open();
    ck_assert_int_eq(vote(5, 9), RK_OK);
    const enum rk_status status = vote(5, 8);
    ck_abort_msg("accepted: %s", rk_status_text(status));
}
END_TEST

START_TEST(log_reaches_its_mark_by_term_then_index)
{
    const struct high_water_mark mark = {.last = {.term = 3, .index = 100}};
    static const struct {
        struct raft_entry_id last;
        bool is_reached;
    } cases[] = {
        {{3, 100}, true}, {{3, 101}, true},  {{3, 99}, false},
        {{2, 99}, false}, {{4, 95}, true}, /* a newer leader cut the suffix: nothing is lost */
        {{0, 0}, false},  {{2, 100}, false}, {{2, 1000}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_int_eq(high_water_is_reached(&mark, cases[i].last), cases[i].is_reached);
    }
    ck_assert(high_water_is_reached(&(struct high_water_mark){0}, (struct raft_entry_id){0, 0}));
}
END_TEST

START_TEST(later_hard_state_wins)
{
    static const struct {
        struct raft_hard_state marked;
        struct raft_hard_state stored;
        struct raft_hard_state result;
    } cases[] = {
        {{5, 9}, {4, 2}, {5, 9}}, {{4, 2}, {5, 9}, {5, 9}}, {{5, 0}, {5, 9}, {5, 9}},
        {{5, 9}, {5, 0}, {5, 9}}, {{6, 0}, {5, 9}, {6, 0}}, {{5, 9}, {5, 9}, {5, 9}},
        {{0, 0}, {0, 0}, {0, 0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct high_water_mark mark = {.hard_state = cases[i].marked};
        struct raft_hard_state result = {0};
        ck_assert_int_eq(high_water_hard_state(&mark, &cases[i].stored, &result), RK_OK);
        ck_assert_uint_eq(result.term, cases[i].result.term);
        ck_assert_uint_eq(result.vote, cases[i].result.vote);
    }
}
END_TEST

START_TEST(two_votes_in_one_term_are_corrupt)
{
    const struct high_water_mark mark = {.hard_state = {5, 9}};
    const struct raft_hard_state stored = {5, 8};
    struct raft_hard_state result = {1, 1};
    ck_assert_int_eq(high_water_hard_state(&mark, &stored, &result), RK_CORRUPT);
    ck_assert_uint_eq(result.term, 1);
}
END_TEST

static void add_marks(TCase *tcase)
{
    tcase_add_test(tcase, new_mark_is_empty_and_says_so);
    tcase_add_loop_test(tcase, vote_is_durable_at_once_in_both_copies, 0, 2);
    tcase_add_test(tcase, unchanged_vote_costs_nothing);
    tcase_add_test(tcase, vote_follows_a_term_without_one);
    tcase_add_test(tcase, last_entry_is_written_after_the_lag_and_not_before);
    tcase_add_loop_test(tcase, raised_mark_is_durable_at_once_in_both_copies, 0, 2);
    tcase_add_test(tcase, flush_writes_what_waits);
    tcase_add_test(tcase, vote_and_mark_do_not_lose_each_other);
    tcase_add_test(tcase, log_reaches_its_mark_by_term_then_index);
    tcase_add_test(tcase, later_hard_state_wins);
    tcase_add_test(tcase, two_votes_in_one_term_are_corrupt);
}

static void add_faults(TCase *tcase)
{
    tcase_add_loop_test(tcase, one_bad_copy_is_repaired, 0, 2);
    tcase_add_test(tcase, two_bad_copies_are_corrupt);
    tcase_add_loop_test(tcase, short_or_empty_file_is_corrupt, 0, 2);
    tcase_add_test(tcase, every_flipped_bit_of_a_copy_is_seen);
    tcase_add_test(tcase, another_directorys_mark_is_refused);
    tcase_add_test(tcase, torn_write_leaves_one_whole_mark);
    tcase_add_loop_test(tcase, failed_operation_is_not_tried_again, 1, 7);
    tcase_add_test(tcase, full_disk_is_said_as_such);
    tcase_add_loop_test(tcase, failed_creation_leaves_no_file, 1, 4);
    tcase_add_test_raise_signal(tcase, falling_term_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, second_vote_in_a_term_aborts, SIGABRT);
}

int main(void)
{
    TCase *tcase = tcase_create("high_water");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    add_marks(tcase);
    add_faults(tcase);
    return run_suite_in_dir("high_water", tcase);
}
