/* What only the store on disk has: it opens again, it is damaged, its disk fails, loses power or
 * the process is killed. The common contract is in test_log_store.c. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/prng.h"
#include "storage/log_store.h"
#include "storage/log_store_sqlite.h"
#include "storage_support.h"
#include "storage_vfs.h"

static char dir[MADE_PATH_SIZE];
static char db_path[2 * MADE_PATH_SIZE];
static char wal_path[2 * MADE_PATH_SIZE];
static char message[512];
static struct made *made;
static struct log_store *store;
static uint64_t checkpoint_bytes;

static void setup(void)
{
    test_dir_make(dir);
    (void)snprintf(db_path, sizeof(db_path), "%s/raft.db", dir);
    (void)snprintf(wal_path, sizeof(wal_path), "%s/raft.db-wal", dir);
    message[0] = '\0';
    made = made_new();
    store = NULL;
    checkpoint_bytes = 0;
    test_vfs_install();
}

static void teardown(void)
{
    log_store_close(store);
    made_free(made);
    test_vfs_done();
    test_dir_remove(dir);
}

static enum rk_status open_as(const char *node_name, uint64_t incarnation)
{
    const struct log_store_sqlite_options options = {.path = db_path,
                                                     .node_name = node_name,
                                                     .incarnation = incarnation,
                                                     .checkpoint_bytes = checkpoint_bytes};
    return log_store_sqlite_open(&options, &store, message, sizeof(message));
}

static void must_open(void)
{
    const enum rk_status status = open_as("n1", 7);
    ck_assert_msg(status == RK_OK, "%s: %s", rk_status_text(status), message);
}

static void close_store(void)
{
    log_store_close(store);
    store = NULL;
}

static enum rk_status append_one(raft_index index, raft_term term, uint32_t size)
{
    const struct raft_entry entry = made_entry(made, index, term, size);
    const struct raft_write write = {.entries = &entry, .entries_count = 1};
    const struct raft_write *const writes[] = {&write};
    return log_store_write(store, writes, 1);
}

static enum rk_status vote(raft_term term, raft_node_id node)
{
    const struct raft_write write = {.has_hard_state = true,
                                     .hard_state = {.term = term, .vote = node}};
    const struct raft_write *const writes[] = {&write};
    return log_store_write(store, writes, 1);
}

static void must_append(raft_index first, raft_index last, raft_term term)
{
    for (raft_index index = first; index <= last; index++) {
        ck_assert_int_eq(append_one(index, term, 50), RK_OK);
    }
}

static enum rk_status see_nothing(void *context, const struct raft_entry *entry)
{
    (void)context;
    (void)entry;
    return RK_OK;
}

static enum rk_status scan(raft_index *bad_index)
{
    return log_store_scan(store, see_nothing, NULL, bad_index);
}

static void must_scan(void)
{
    raft_index bad_index = 0;
    ck_assert_int_eq(scan(&bad_index), RK_OK);
}

/* Runs SQL on the closed database, as a damaged disk or another program would. */
static void execute(const char *sql)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(
        sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix"),
        SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static uint64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* ---- opening ---- */

START_TEST(reopen_gives_what_was_acknowledged)
{
    must_open();
    must_append(1, 20, 1);
    ck_assert_int_eq(vote(5, 3), RK_OK);
    must_append(21, 30, 5);
    const struct log_bounds bounds = store->bounds;
    close_store();

    ck_assert_int_eq(open_as("n1", 99), RK_OK);

    ck_assert_mem_eq(&store->bounds, &bounds, sizeof(bounds));
    ck_assert_uint_eq(store->hard_state.term, 5);
    ck_assert_uint_eq(store->hard_state.vote, 3);
    ck_assert_str_eq(store->identity.node_name, "n1");
    ck_assert_uint_eq(store->identity.incarnation, 7); /* that of the directory's making */
    must_scan();
    must_append(31, 31, 5);
}
END_TEST

/* Ids and terms are whole 64-bit numbers, whatever SQLite's sign. */
START_TEST(large_terms_and_incarnations_come_back)
{
    ck_assert_int_eq(open_as("n1", UINT64_MAX), RK_OK);
    ck_assert_int_eq(vote(UINT64_MAX - 1, UINT64_MAX - 2), RK_OK);
    close_store();
    must_open();
    ck_assert_uint_eq(store->hard_state.term, UINT64_MAX - 1);
    ck_assert_uint_eq(store->hard_state.vote, UINT64_MAX - 2);
    ck_assert_uint_eq(store->identity.incarnation, UINT64_MAX);
}
END_TEST

START_TEST(files_are_for_the_owner_alone)
{
    struct stat status;
    (void)umask(0);
    must_open();
    must_append(1, 1, 1);
    ck_assert_int_eq(stat(db_path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(stat(wal_path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_ne(stat(test_dir_path(dir, "raft.db-shm"), &status), 0);
}
END_TEST

START_TEST(another_nodes_database_is_refused)
{
    must_open();
    close_store();
    ck_assert_int_eq(open_as("n2", 8), RK_CONFLICT);
    ck_assert_ptr_null(store);
    ck_assert_ptr_nonnull(strstr(message, "belongs to node n1, this is node n2"));
    ck_assert_ptr_nonnull(strstr(message, db_path));
}
END_TEST

START_TEST(second_connection_is_refused)
{
    must_open();
    must_append(1, 1, 1);
    struct log_store *first = store;
    ck_assert_int_eq(open_as("n1", 7), RK_IO);
    ck_assert_ptr_eq(store, first);
    ck_assert_ptr_nonnull(strstr(message, "locked"));
    must_append(2, 2, 1);
}
END_TEST

START_TEST(file_that_is_no_database_is_corrupt)
{
    FILE *file = fopen(db_path, "w");
    for (int i = 0; i < 3000; i++) {
        (void)fputs("no database ", file);
    }
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(open_as("n1", 7), RK_CORRUPT);
    ck_assert_ptr_nonnull(strstr(message, "not a database"));
}
END_TEST

START_TEST(database_of_another_program_is_corrupt)
{
    execute("CREATE TABLE log(idx)");
    ck_assert_int_eq(open_as("n1", 7), RK_CORRUPT);
    ck_assert_ptr_nonnull(strstr(message, "not a RaftKV log"));
}
END_TEST

START_TEST(empty_file_is_corrupt)
{
    ck_assert_int_eq(close(open(db_path, O_CREAT | O_WRONLY, 0600)), 0);
    ck_assert_int_eq(open_as("n1", 7), RK_CORRUPT);
}
END_TEST

START_TEST(newer_format_is_refused)
{
    must_open();
    close_store();
    execute("PRAGMA user_version = 2");
    ck_assert_int_eq(open_as("n1", 7), RK_CORRUPT);
    ck_assert_ptr_nonnull(strstr(message, "format version 2, this program reads 1"));
}
END_TEST

/* SQLite would replay the old WAL into the new database. */
START_TEST(missing_database_beside_its_wal_is_corrupt)
{
    must_open();
    must_append(1, 3, 1);
    close_store();
    ck_assert_int_eq(unlink(db_path), 0);
    ck_assert_int_eq(open_as("n1", 7), RK_CORRUPT);
    ck_assert_ptr_nonnull(strstr(message, "WAL"));
    ck_assert_int_ne(access(db_path, F_OK), 0);
}
END_TEST

START_TEST(directory_that_is_not_there_is_an_error)
{
    (void)snprintf(db_path, sizeof(db_path), "%s/none/raft.db", dir);
    ck_assert_int_eq(open_as("n1", 7), RK_IO);
    ck_assert_ptr_nonnull(strstr(message, "cannot create"));
}
END_TEST

START_TEST(version_is_a_version)
{
    ck_assert_int_eq(strncmp(log_store_sqlite_version(), "3.", 2), 0);
}
END_TEST

/* ---- damage ---- */

START_TEST(damaged_identity_or_vote_is_corrupt_at_open)
{
    static const char *const damages[] = {
        "UPDATE hard_state SET term = 1", /* correctness 51: never taken for 0 */
        "UPDATE hard_state SET vote = 0",
        "UPDATE hard_state SET checksum = 0",
        "DELETE FROM hard_state",
        "UPDATE meta SET value = 'n3' WHERE key = 'node_name'",
        "UPDATE meta SET value = '0000000000000008' WHERE key = 'incarnation'",
        "UPDATE meta SET value = '0000000000000001' WHERE key = 'base'",
        "DELETE FROM meta",
        "DELETE FROM log WHERE idx = 1",
        "UPDATE log SET frame = x'00' WHERE idx = 9",
        "UPDATE log SET frame = NULL WHERE idx = 9",
        "UPDATE log SET idx = 10 WHERE idx = 9",
    };
    must_open();
    must_append(1, 9, 1);
    ck_assert_int_eq(vote(4, 2), RK_OK);
    close_store();
    /* NOT NULL is for us; a bit on the disk does not ask. */
    execute("PRAGMA writable_schema = ON;"
            "UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '')");
    ck_assert_uint_lt((size_t)_i, sizeof(damages) / sizeof(damages[0]));
    execute(damages[_i]);

    ck_assert_int_eq(open_as("n1", 7), RK_CORRUPT);
    ck_assert_ptr_null(store);
    ck_assert_str_ne(message, "");
}
END_TEST

START_TEST(missing_row_is_corrupt_and_named)
{
    must_open();
    must_append(1, 9, 1);
    close_store();
    execute("DELETE FROM log WHERE idx = 5");
    must_open();

    raft_index bad_index = 0;
    ck_assert_int_eq(scan(&bad_index), RK_CORRUPT);
    ck_assert_uint_eq(bad_index, 5);

    struct rk_buf buf;
    raft_index last = 0;
    rk_buf_init(&buf, 4096);
    ck_assert_int_eq(log_store_read(store, 4, 9, 4096, &buf, &last), RK_CORRUPT);
    rk_buf_reset(&buf);
    ck_assert_int_eq(log_store_read(store, 5, 5, 4096, &buf, &last), RK_CORRUPT);
    rk_buf_done(&buf);
}
END_TEST

/* A row that could stand there, of a log that is equal up to it: only the chain can tell, at the
 * entry behind it, the first that does not follow. */
START_TEST(row_of_another_history_is_corrupt_and_named)
{
    must_open();
    must_append(1, 4, 1);
    ck_assert_int_eq(append_one(5, 1, 60), RK_OK);
    must_append(6, 9, 1);
    close_store();
    char other_path[2 * MADE_PATH_SIZE];
    char sql[3 * MADE_PATH_SIZE];
    (void)snprintf(other_path, sizeof(other_path), "%s/other.db", dir);
    ck_assert_int_eq(rename(db_path, other_path), 0);
    (void)snprintf(sql, sizeof(sql), "%s-wal", other_path);
    ck_assert_int_eq(rename(wal_path, sql), 0);
    must_open();
    must_append(1, 9, 1);
    close_store();
    (void)snprintf(sql, sizeof(sql),
                   "ATTACH '%s' AS other; UPDATE log SET frame ="
                   " (SELECT frame FROM other.log AS o WHERE o.idx = 5) WHERE idx = 5",
                   other_path);
    execute(sql);
    must_open();

    raft_index bad_index = 0;
    ck_assert_int_eq(scan(&bad_index), RK_CORRUPT);
    ck_assert_uint_eq(bad_index, 6);
}
END_TEST

/* A cut continues what stands before it, so that must be whole. */
START_TEST(cut_behind_a_damaged_row_is_corrupt)
{
    must_open();
    must_append(1, 9, 1);
    close_store();
    execute("UPDATE log SET frame = zeroblob(90) WHERE idx = 5");
    must_open();
    const struct raft_write write = {.truncate_from = 6};
    const struct raft_write *const writes[] = {&write};
    ck_assert_int_eq(log_store_write(store, writes, 1), RK_CORRUPT);
    ck_assert_int_eq(vote(9, 1), RK_IO);
}
END_TEST

static void flip_bit(const char *path, uint64_t offset, uint32_t bit)
{
    uint8_t byte = 0;
    const int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= (uint8_t)(1U << bit);
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
    ck_assert_int_eq(close(fd), 0);
}

/* Where in the database the frame of `entry` lies. */
static uint64_t find_frame(struct rk_bytes frame)
{
    const uint64_t size = size_of(db_path);
    uint8_t *bytes = malloc(size);
    FILE *file = fopen(db_path, "r");
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    const uint8_t *found = memmem(bytes, size, frame.data, frame.size);
    ck_assert_ptr_nonnull(found);
    const uint64_t offset = (uint64_t)(found - bytes);
    free(bytes);
    return offset;
}

/* Every byte of one entry, one bit each. */
START_TEST(flipped_bit_of_an_entry_is_found_and_named)
{
    struct raft_entry third = {0};
    must_open();
    for (raft_index index = 1; index <= 5; index++) {
        const struct raft_entry entry = made_entry(made, index, 1, 40);
        const struct raft_write write = {.entries = &entry, .entries_count = 1};
        const struct raft_write *const writes[] = {&write};
        ck_assert_int_eq(log_store_write(store, writes, 1), RK_OK);
        third = index == 3 ? entry : third;
    }
    close_store();
    must_open(); /* folds the WAL in */
    close_store();
    const uint64_t offset = find_frame(third.frame);

    for (uint32_t i = 0; i < third.frame.size; i++) {
        raft_index bad_index = 0;
        flip_bit(db_path, offset + i, i % 8);
        must_open();
        ck_assert_int_eq(scan(&bad_index), RK_CORRUPT);
        ck_assert_uint_eq(bad_index, 3);
        close_store();
        flip_bit(db_path, offset + i, i % 8);
    }
    must_open();
    must_scan();
}
END_TEST

/* A flipped bit anywhere in the file: refused, named, or without effect; at worst the log is
 * shorter than it was, which the high-water mark tells, but never other than it was. */
START_TEST(flipped_bit_anywhere_never_changes_an_entry)
{
    struct rk_prng prng;
    rk_prng_seed(&prng, (uint64_t)_i + 1);
    must_open();
    must_append(1, 60, 1);
    ck_assert_int_eq(vote(4, 2), RK_OK);
    close_store();
    must_open();
    const uint64_t last_chain = store->bounds.last_chain;
    close_store();
    for (int round = 0; round < 40; round++) {
        raft_index bad_index = 0;
        const uint64_t offset = rk_prng_below(&prng, size_of(db_path));
        const uint32_t bit = (uint32_t)rk_prng_below(&prng, 8);
        flip_bit(db_path, offset, bit);
        const enum rk_status status = open_as("n1", 7);
        if (status == RK_OK && scan(&bad_index) == RK_OK) {
            ck_assert_uint_le(store->bounds.last.index, 60);
            if (store->bounds.last.index == 60) {
                ck_assert_uint_eq(store->bounds.last_chain, last_chain);
            }
            ck_assert_uint_eq(store->hard_state.term, 4);
            ck_assert_uint_eq(store->hard_state.vote, 2);
        }
        close_store();
        flip_bit(db_path, offset, bit);
        ck_assert_int_eq(truncate(wal_path, 0) == 0 || access(wal_path, F_OK) != 0, 1);
    }
    must_open();
    must_scan();
}
END_TEST

/* Correctness F1: SQLite ends its WAL at the first bad frame and says nothing. This test states
 * the fact for which the high-water mark exists; what is left is a whole, shorter log. */
START_TEST(flipped_bit_in_the_wal_shortens_the_log)
{
    must_open();
    must_append(1, 40, 1);
    close_store();
    flip_bit(wal_path, size_of(wal_path) / 2, 3);
    must_open();
    ck_assert_uint_lt(store->bounds.last.index, 40);
    ck_assert_uint_gt(store->bounds.last.index, 0);
    must_scan();
}
END_TEST

/* ---- checkpoints ---- */

START_TEST(maintain_keeps_the_wal_at_its_size)
{
    checkpoint_bytes = 64 * 1024;
    must_open();
    for (raft_index index = 1; index <= 400; index++) {
        ck_assert_int_eq(append_one(index, 1, 300), RK_OK);
        ck_assert_int_eq(log_store_maintain(store), RK_OK);
    }
    ck_assert_uint_le(size_of(wal_path), 80 * 1024);
    ck_assert_uint_gt(size_of(db_path), 100 * 1024);
    must_scan();
    close_store();
    must_open();
    ck_assert_uint_eq(store->bounds.last.index, 400);
    must_scan();
}
END_TEST

START_TEST(maintain_cuts_a_wal_that_a_burst_left_large)
{
    checkpoint_bytes = 16 * 1024;
    must_open();
    ck_assert_int_eq(append_one(1, 1, 300 * 1024), RK_OK);
    ck_assert_uint_gt(size_of(wal_path), 300 * 1024);
    ck_assert_int_eq(log_store_maintain(store), RK_OK);
    ck_assert_uint_eq(size_of(wal_path), 0);
    must_append(2, 3, 1);
    must_scan();
}
END_TEST

/* One transaction, one sync, however many writes (design: group commit). */
START_TEST(batch_of_writes_is_one_sync)
{
    struct raft_entry entries[8];
    struct raft_write writes[8];
    const struct raft_write *pointers[8];
    must_open();
    must_append(1, 1, 1); /* the first commit syncs the WAL's header too */
    for (uint32_t i = 0; i < 8; i++) {
        entries[i] = made_entry(made, 2 + i, 2, 50);
        writes[i] = (struct raft_write){.has_hard_state = true,
                                        .hard_state = {.term = 2, .vote = 1},
                                        .entries = &entries[i],
                                        .entries_count = 1};
        pointers[i] = &writes[i];
    }
    test_vfs_fail_at(0, SQLITE_OK, false);
    ck_assert_int_eq(log_store_write(store, pointers, 8), RK_OK);
    ck_assert_uint_eq(test_vfs_syncs(), 1);
}
END_TEST

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

static void add_opening(TCase *tcase)
{
    tcase_add_test(tcase, reopen_gives_what_was_acknowledged);
    tcase_add_test(tcase, large_terms_and_incarnations_come_back);
    tcase_add_test(tcase, files_are_for_the_owner_alone);
    tcase_add_test(tcase, another_nodes_database_is_refused);
    tcase_add_test(tcase, second_connection_is_refused);
    tcase_add_test(tcase, file_that_is_no_database_is_corrupt);
    tcase_add_test(tcase, database_of_another_program_is_corrupt);
    tcase_add_test(tcase, empty_file_is_corrupt);
    tcase_add_test(tcase, newer_format_is_refused);
    tcase_add_test(tcase, missing_database_beside_its_wal_is_corrupt);
    tcase_add_test(tcase, directory_that_is_not_there_is_an_error);
    tcase_add_test(tcase, version_is_a_version);
}

static void add_damage(TCase *tcase)
{
    tcase_add_loop_test(tcase, damaged_identity_or_vote_is_corrupt_at_open, 0, 12);
    tcase_add_test(tcase, missing_row_is_corrupt_and_named);
    tcase_add_test(tcase, row_of_another_history_is_corrupt_and_named);
    tcase_add_test(tcase, cut_behind_a_damaged_row_is_corrupt);
    tcase_add_test(tcase, flipped_bit_of_an_entry_is_found_and_named);
    tcase_add_loop_test(tcase, flipped_bit_anywhere_never_changes_an_entry, 0, 4);
    tcase_add_test(tcase, flipped_bit_in_the_wal_shortens_the_log);
}

static void add_faults(TCase *tcase)
{
    tcase_add_test(tcase, maintain_keeps_the_wal_at_its_size);
    tcase_add_test(tcase, maintain_cuts_a_wal_that_a_burst_left_large);
    tcase_add_test(tcase, batch_of_writes_is_one_sync);
    tcase_add_loop_test(tcase, failed_operation_loses_nothing_that_was_acknowledged, 0, 3);
    tcase_add_test(tcase, full_disk_is_said_as_such);
    tcase_add_loop_test(tcase, power_loss_loses_nothing_that_was_acknowledged, 0, 4);
    tcase_add_loop_test(tcase, power_loss_while_it_is_made_leaves_none, 0, 3);
    tcase_add_test(tcase, killed_process_loses_nothing_that_was_acknowledged);
}

int main(void)
{
    TCase *tcase = tcase_create("log_store_sqlite");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    add_opening(tcase);
    add_damage(tcase);
    add_faults(tcase);
    return run_suite_in_dir("log_store_sqlite", tcase);
}
