/* Where snapshots are kept: the contract, held against both implementations (_i in the loop tests);
 * then the directory, when the disk fails at every step and when the process dies at every step. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/snap_store.h"
#include "storage_support.h"
#include "support/quick.h"

enum { KIND_MEM, KIND_FILE, KIND_COUNT, STEPS_MAX = 200, EXIT_CRASH = 9, RECORD_SIZE = 100 };

/* ---- a disk that fails: the n-th call of those that the store makes ---- */

static uint32_t calls_count;
static uint32_t fail_at;      /* 0: never */
static int fail_with;         /* errno; 0: the process ends there */
static bool has_unsynced;     /* since the last write */
static bool renamed_unsynced; /* a name was given to such */

static bool call_fails(void)
{
    calls_count++;
    if (calls_count != fail_at) {
        return false;
    }
    if (fail_with == 0) {
        _exit(EXIT_CRASH);
    }
    errno = fail_with;
    return true;
}

static void fail_from_now(uint32_t at, int with)
{
    calls_count = 0;
    fail_at = at;
    fail_with = with;
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    if (fd > 2 && call_fails()) {
        /* Half of it has come through: a torn write. */
        const ssize_t half = __real_write(fd, data, size / 2);
        errno = fail_with;
        return half < 0 ? half : -1;
    }
    has_unsynced = has_unsynced || fd > 2;
    return __real_write(fd, data, size);
}

ssize_t __real_pread(int fd, void *to, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *to, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *to, size_t size, off_t offset)
{
    return call_fails() ? -1 : __real_pread(fd, to, size, offset);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    return call_fails() ? -1 : __real_fdatasync(fd);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    if (call_fails()) {
        return -1;
    }
    has_unsynced = false;
    return __real_fsync(fd);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    renamed_unsynced = renamed_unsynced || has_unsynced;
    return call_fails() ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

int __real_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...)
{
    va_list arguments;

    va_start(arguments, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return call_fails() ? -1 : __real_openat(fd, name, flags, mode);
}

int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags)
{
    return call_fails() ? -1 : __real_unlinkat(fd, name, flags);
}

/* ---- the store under test ---- */

static char dir[MADE_PATH_SIZE];
static char path[2 * MADE_PATH_SIZE];
static char message[512];
static struct snap_store *store;

static void must_open(void)
{
    const enum rk_status status = snap_store_file_open(path, &store, message, sizeof(message));
    ck_assert_msg(status == RK_OK, "%s", message);
}

static void close_store(void)
{
    snap_store_close(store);
    store = NULL;
}

static void open_kind(int kind)
{
    if (kind == KIND_MEM) {
        store = snap_store_mem_new();
    } else {
        must_open();
    }
}

static void setup(void)
{
    fail_from_now(0, 0);
    test_dir_make(dir);
    (void)snprintf(path, sizeof(path), "%s/snapshots", dir);
    store = NULL;
}

static void teardown(void)
{
    fail_from_now(0, 0);
    close_store();
    test_dir_remove(dir);
}

/* The whole bytes of a snapshot of `records` records. */
static struct snap_ref make_bytes(struct raft_entry_id id, uint32_t records, struct rk_buf *buf)
{
    const struct snap_head head = {.id = id, .config = {(const uint8_t *)"c", 1}};
    uint8_t body[RECORD_SIZE] = {0};
    struct snap_sum sum;

    rk_buf_init(buf, 1 << 20);
    snap_file_begin(&head, &sum, buf);
    for (uint32_t i = 0; i < records; i++) {
        const size_t offset = snap_frame_begin(buf);
        body[0] = (uint8_t)i;
        rk_buf_append(buf, body, sizeof(body));
        snap_frame_end(buf, offset, 1, &sum);
    }
    snap_file_end(&sum, buf);
    quick_assert(!buf->overflowed);
    return (struct snap_ref){.id = id, .size = buf->size, .digest = sum.digest};
}

/* In two pieces, so that there is a step between. */
static enum rk_status append_in_two(enum snap_part part, const struct rk_buf *buf)
{
    const uint32_t half = (uint32_t)(buf->size / 2);
    const struct rk_bytes first = {buf->data, half};
    const struct rk_bytes second = {buf->data + half, (uint32_t)buf->size - half};

    const enum rk_status status = snap_store_append(store, part, first);
    return status == RK_OK ? snap_store_append(store, part, second) : status;
}

static enum rk_status take(struct raft_entry_id id, uint32_t records, struct snap_ref *ret)
{
    struct rk_buf buf;

    *ret = make_bytes(id, records, &buf);
    enum rk_status status = snap_store_take(store);
    if (status == RK_OK) {
        status = append_in_two(SNAP_TAKEN, &buf);
    }
    if (status == RK_OK) {
        status = snap_store_publish(store, SNAP_TAKEN, id);
    } else {
        snap_store_drop(store, SNAP_TAKEN);
    }
    rk_buf_done(&buf);
    return status;
}

static bool is_whole(struct raft_entry_id id)
{
    struct snap_ref ref;
    return snap_store_load(store, id, NULL, NULL, &ref) == RK_OK;
}

static const struct raft_entry_id first_id = {.term = 1, .index = 10};
static const struct raft_entry_id second_id = {.term = 2, .index = 20};

START_TEST(what_was_taken_is_read_back)
{
    struct snap_ref taken;
    struct snap_ref found = {0};

    open_kind(_i);
    ck_assert_int_eq(take(first_id, 5, &taken), RK_OK);
    ck_assert_int_eq(snap_store_load(store, first_id, NULL, NULL, &found), RK_OK);
    ck_assert_mem_eq(&found, &taken, sizeof(taken));
}
END_TEST

static enum rk_status count_records(void *context, const struct snap_head *head, uint8_t type,
                                    struct rk_bytes body)
{
    uint32_t *count = context;

    ck_assert_uint_eq(head->id.index, first_id.index);
    ck_assert_uint_eq(type, 1);
    ck_assert_uint_eq(body.data[0], *count);
    (*count)++;
    return *count == 100 ? RK_TOO_LARGE : RK_OK;
}

START_TEST(records_are_visited_in_order)
{
    struct snap_ref ref;
    uint32_t count = 0;

    open_kind(_i);
    ck_assert_int_eq(take(first_id, 7, &ref), RK_OK);
    ck_assert_int_eq(snap_store_load(store, first_id, count_records, &count, &ref), RK_OK);
    ck_assert_uint_eq(count, 7);
}
END_TEST

START_TEST(a_visitor_may_end_it)
{
    struct snap_ref ref;
    uint32_t count = 0;

    open_kind(_i);
    ck_assert_int_eq(take(first_id, 120, &ref), RK_OK);
    ck_assert_int_eq(snap_store_load(store, first_id, count_records, &count, &ref), RK_TOO_LARGE);
    ck_assert_uint_eq(count, 100);
}
END_TEST

START_TEST(one_that_is_not_there_is_said_so)
{
    struct snap_ref ref;

    open_kind(_i);
    ck_assert_int_eq(snap_store_load(store, first_id, NULL, NULL, &ref), RK_NOT_FOUND);
}
END_TEST

START_TEST(pieces_are_read_from_any_offset)
{
    struct rk_buf bytes;
    struct snap_ref ref;
    uint8_t piece[64];
    size_t size = 0;

    open_kind(_i);
    ck_assert_int_eq(take(first_id, 3, &ref), RK_OK);
    (void)make_bytes(first_id, 3, &bytes);
    ck_assert_int_eq(snap_store_read(store, first_id, 33, piece, sizeof(piece), &size), RK_OK);
    ck_assert_uint_eq(size, sizeof(piece));
    ck_assert_mem_eq(piece, bytes.data + 33, size);
    ck_assert_int_eq(snap_store_read(store, first_id, ref.size - 10, piece, sizeof(piece), &size),
                     RK_OK);
    ck_assert_uint_eq(size, 10);
    ck_assert_int_eq(snap_store_read(store, first_id, ref.size + 10, piece, sizeof(piece), &size),
                     RK_OK);
    ck_assert_uint_eq(size, 0);
    rk_buf_done(&bytes);
}
END_TEST

START_TEST(a_part_that_is_dropped_leaves_nothing)
{
    struct snap_ref ref;

    open_kind(_i);
    ck_assert_int_eq(snap_store_take(store), RK_OK);
    snap_store_drop(store, SNAP_TAKEN);
    snap_store_drop(store, SNAP_TAKEN); /* twice is once */
    ck_assert_int_eq(take(first_id, 1, &ref), RK_OK);
    ck_assert(is_whole(first_id));
}
END_TEST

START_TEST(only_what_is_retained_stays)
{
    struct snap_ref ref;

    open_kind(_i);
    ck_assert_int_eq(take(first_id, 1, &ref), RK_OK);
    ck_assert_int_eq(take(second_id, 1, &ref), RK_OK);
    ck_assert_int_eq(snap_store_retain(store, &second_id, 1), RK_OK);
    ck_assert(!is_whole(first_id));
    ck_assert(is_whole(second_id));
}
END_TEST

/* Pitfall 69: the same snapshot twice is no error. */
START_TEST(a_snapshot_may_be_published_again)
{
    struct snap_ref ref;

    open_kind(_i);
    ck_assert_int_eq(take(first_id, 1, &ref), RK_OK);
    ck_assert_int_eq(take(first_id, 1, &ref), RK_OK);
    ck_assert(is_whole(first_id));
}
END_TEST

/* Bytes of another snapshot under this one's name, as whole as they may be. */
START_TEST(another_snapshots_bytes_are_refused)
{
    struct snap_ref ref;
    struct rk_buf buf;

    open_kind(_i);
    (void)make_bytes(second_id, 1, &buf);
    ck_assert_int_eq(snap_store_take(store), RK_OK);
    ck_assert_int_eq(append_in_two(SNAP_TAKEN, &buf), RK_OK);
    ck_assert_int_eq(snap_store_publish(store, SNAP_TAKEN, first_id), RK_OK);
    ck_assert_int_eq(snap_store_load(store, first_id, NULL, NULL, &ref), RK_CORRUPT);
    rk_buf_done(&buf);
}
END_TEST

START_TEST(one_is_received_while_another_is_taken)
{
    struct rk_buf received;
    struct snap_ref ref;
    uint64_t size = 1;

    open_kind(_i);
    const struct snap_ref what = make_bytes(second_id, 4, &received);
    ck_assert_int_eq(snap_store_receive(store, &what, &size), RK_OK);
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(append_in_two(SNAP_RECEIVED, &received), RK_OK);
    ck_assert_int_eq(take(first_id, 2, &ref), RK_OK);
    ck_assert_int_eq(snap_store_publish(store, SNAP_RECEIVED, second_id), RK_OK);
    ck_assert(is_whole(first_id));
    ck_assert(is_whole(second_id));
    rk_buf_done(&received);
}
END_TEST

/* ---- the directory ---- */

static uint64_t begin_receiving(const struct snap_ref *what)
{
    uint64_t size = UINT64_MAX;

    ck_assert_int_eq(snap_store_receive(store, what, &size), RK_OK);
    return size;
}

START_TEST(receiving_goes_on_after_a_restart)
{
    struct rk_buf bytes;
    struct snap_ref found;

    must_open();
    const struct snap_ref what = make_bytes(first_id, 4, &bytes);
    ck_assert_uint_eq(begin_receiving(&what), 0);
    ck_assert_int_eq(snap_store_append(store, SNAP_RECEIVED, (struct rk_bytes){bytes.data, 100}),
                     RK_OK);
    close_store();

    must_open();
    ck_assert_int_eq(snap_store_retain(store, NULL, 0), RK_OK);
    ck_assert_uint_eq(begin_receiving(&what), 100);
    const struct rk_bytes rest = {bytes.data + 100, (uint32_t)bytes.size - 100};
    ck_assert_int_eq(snap_store_append(store, SNAP_RECEIVED, rest), RK_OK);
    ck_assert_int_eq(snap_store_publish(store, SNAP_RECEIVED, first_id), RK_OK);
    ck_assert_int_eq(snap_store_load(store, first_id, NULL, NULL, &found), RK_OK);
    ck_assert_uint_eq(found.digest, what.digest);
    rk_buf_done(&bytes);
}
END_TEST

/* Pitfall 48: a sync that failed may succeed the next time, without the bytes; also after a restart. */
START_TEST(what_could_not_be_synced_is_not_gone_on_with)
{
    struct rk_buf bytes;

    must_open();
    const struct snap_ref what = make_bytes(first_id, 4, &bytes);
    (void)begin_receiving(&what);
    ck_assert_int_eq(snap_store_append(store, SNAP_RECEIVED, rk_buf_bytes(&bytes)), RK_OK);
    fail_from_now(1, ENOSPC);
    ck_assert_int_eq(snap_store_publish(store, SNAP_RECEIVED, first_id), RK_FULL);
    fail_from_now(0, 0);
    ck_assert_uint_eq(begin_receiving(&what), 0);
    rk_buf_done(&bytes);
}
END_TEST

/* Pitfall 70: chunks of two snapshots are never mixed, though they have one index. */
START_TEST(what_was_received_of_another_is_dropped)
{
    struct rk_buf bytes;

    must_open();
    struct snap_ref what = make_bytes(first_id, 4, &bytes);
    (void)begin_receiving(&what);
    ck_assert_int_eq(snap_store_append(store, SNAP_RECEIVED, (struct rk_bytes){bytes.data, 100}),
                     RK_OK);
    close_store();
    must_open();
    what.digest++;
    ck_assert_uint_eq(begin_receiving(&what), 0);
    rk_buf_done(&bytes);
}
END_TEST

START_TEST(a_part_older_than_the_newest_snapshot_goes)
{
    struct rk_buf bytes;
    struct snap_ref ref;

    must_open();
    const struct snap_ref what = make_bytes(first_id, 4, &bytes);
    (void)begin_receiving(&what);
    ck_assert_int_eq(snap_store_append(store, SNAP_RECEIVED, (struct rk_bytes){bytes.data, 100}),
                     RK_OK);
    close_store();
    must_open();
    ck_assert_int_eq(take(second_id, 1, &ref), RK_OK);
    ck_assert_int_eq(snap_store_retain(store, &second_id, 1), RK_OK);
    ck_assert_uint_eq(begin_receiving(&what), 0);
    rk_buf_done(&bytes);
}
END_TEST

/* Else a power cut could leave the name without the bytes. */
START_TEST(pitfall_59_snapshot_is_durable_before_it_has_its_name)
{
    struct snap_ref ref;

    must_open();
    has_unsynced = false;
    renamed_unsynced = false;
    ck_assert_int_eq(take(first_id, 3, &ref), RK_OK);
    ck_assert(!renamed_unsynced);
    ck_assert(!has_unsynced);
}
END_TEST

START_TEST(files_are_for_the_owner_alone)
{
    struct stat status;
    struct snap_ref ref;

    (void)umask(0);
    must_open();
    ck_assert_int_eq(take(first_id, 1, &ref), RK_OK);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0700);
    ck_assert_int_eq(
        stat(test_dir_path(path, "snap-0000000000000001-000000000000000a.rks"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
}
END_TEST

START_TEST(what_a_killed_process_was_taking_is_removed)
{
    struct stat status;

    must_open();
    ck_assert_int_eq(snap_store_take(store), RK_OK);
    close_store();
    ck_assert_int_eq(stat(test_dir_path(path, "taken.tmp"), &status), 0);
    must_open();
    ck_assert_int_ne(stat(test_dir_path(path, "taken.tmp"), &status), 0);
}
END_TEST

START_TEST(a_path_that_is_no_directory_is_refused)
{
    const int fd = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(snap_store_file_open(path, &store, message, sizeof(message)), RK_IO);
    ck_assert_ptr_nonnull(strstr(message, path));
}
END_TEST

/* Takes a second snapshot beside a first, and drops the first. What was acknowledged. */
static uint32_t run_steps(void)
{
    struct snap_ref ref;

    if (take(second_id, 3, &ref) != RK_OK) {
        return 0;
    }
    if (snap_store_load(store, second_id, NULL, NULL, &ref) != RK_OK) {
        return 1;
    }
    return snap_store_retain(store, &second_id, 1) == RK_OK ? 3 : 2;
}

static void begin_with_first(void)
{
    struct snap_ref ref;

    must_open();
    ck_assert_int_eq(take(first_id, 3, &ref), RK_OK);
}

/* A snapshot that was read back is there, and until then the first one is. */
static void expect_after(uint32_t steps)
{
    ck_assert(steps >= 2 ? is_whole(second_id) : is_whole(first_id));
    ck_assert(steps < 3 || !is_whole(first_id));
}

/* Fails the n-th call, for every n; with half of a write come through. */
START_TEST(each_failure_leaves_a_whole_snapshot)
{
    const int with = _i == 0 ? EIO : ENOSPC;

    for (uint32_t number = 1; number < STEPS_MAX; number++) {
        begin_with_first();
        fail_from_now(number, with);
        const uint32_t steps = run_steps();
        const bool was_hit = calls_count >= number;
        fail_from_now(0, 0);
        ck_assert(was_hit != (steps == 3));
        close_store();
        must_open();
        expect_after(steps);
        close_store();
        test_dir_remove(path);
        if (!was_hit) {
            ck_assert_uint_gt(number, 10); /* the scenario has reached the disk */
            return;
        }
    }
    ck_abort_msg("it never came through");
}
END_TEST

/* The process ends before the n-th call, for every n. Returns whether it got so far. */
static bool crash_at(uint32_t number)
{
    int status = 0;

    const pid_t child = fork();
    if (child == 0) {
        fail_from_now(number, 0);
        _exit(run_steps() == 3 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_ne(WEXITSTATUS(status), 1);
    return WEXITSTATUS(status) == EXIT_CRASH;
}

START_TEST(a_crash_at_each_step_leaves_a_whole_snapshot)
{
    for (uint32_t number = 1; number < STEPS_MAX; number++) {
        begin_with_first();
        const bool was_hit = crash_at(number);
        close_store();
        must_open();
        ck_assert(is_whole(second_id) || is_whole(first_id));
        ck_assert_int_ne(access(test_dir_path(path, "taken.tmp"), F_OK), 0);
        close_store();
        test_dir_remove(path);
        if (!was_hit) {
            return;
        }
    }
    ck_abort_msg("it never came through");
}
END_TEST

/* Each byte of the file on disk. */
START_TEST(each_flipped_byte_is_found)
{
    struct snap_ref ref;

    must_open();
    ck_assert_int_eq(take(first_id, 3, &ref), RK_OK);
    const int fd = open(test_dir_path(path, "snap-0000000000000001-000000000000000a.rks"), O_RDWR);
    ck_assert_int_ge(fd, 0);
    for (off_t at = 0; at < (off_t)ref.size; at++) {
        uint8_t byte = 0;
        quick_assert(pread(fd, &byte, 1, at) == 1);
        byte ^= 0x40;
        quick_assert(pwrite(fd, &byte, 1, at) == 1);
        quick_assert(!is_whole(first_id));
        byte ^= 0x40;
        quick_assert(pwrite(fd, &byte, 1, at) == 1);
    }
    ck_assert(is_whole(first_id));
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("snap_store");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, what_was_taken_is_read_back, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, records_are_visited_in_order, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, a_visitor_may_end_it, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, one_that_is_not_there_is_said_so, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, pieces_are_read_from_any_offset, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, a_part_that_is_dropped_leaves_nothing, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, only_what_is_retained_stays, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, a_snapshot_may_be_published_again, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, another_snapshots_bytes_are_refused, 0, KIND_COUNT);
    tcase_add_loop_test(tcase, one_is_received_while_another_is_taken, 0, KIND_COUNT);
    tcase_add_test(tcase, receiving_goes_on_after_a_restart);
    tcase_add_test(tcase, what_was_received_of_another_is_dropped);
    tcase_add_test(tcase, what_could_not_be_synced_is_not_gone_on_with);
    tcase_add_test(tcase, a_part_older_than_the_newest_snapshot_goes);
    tcase_add_test(tcase, pitfall_59_snapshot_is_durable_before_it_has_its_name);
    tcase_add_test(tcase, files_are_for_the_owner_alone);
    tcase_add_test(tcase, what_a_killed_process_was_taking_is_removed);
    tcase_add_test(tcase, a_path_that_is_no_directory_is_refused);
    tcase_add_loop_test(tcase, each_failure_leaves_a_whole_snapshot, 0, 2);
    tcase_add_test(tcase, a_crash_at_each_step_leaves_a_whole_snapshot);
    tcase_add_test(tcase, each_flipped_byte_is_found);
    return run_suite_in_dir("snap_store", tcase);
}
