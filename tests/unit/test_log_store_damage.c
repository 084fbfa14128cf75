/* The store on disk when its file is not what was written. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"
#include "store_fixture.h"

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
    };
    must_open();
    must_append(1, 9, 1);
    ck_assert_int_eq(vote(4, 2), RK_OK);
    close_store();
    ck_assert_uint_lt((size_t)_i, sizeof(damages) / sizeof(damages[0]));
    execute(damages[_i]);

    ck_assert_int_eq(open_as("n1", 7), RK_CORRUPT);
    ck_assert_ptr_null(store);
    ck_assert_str_ne(message, "");
}
END_TEST

/* Damage at the ends of the log: it opens, the scan names the entry, and the log can be ended before
 * it. Nobody believes an index that so many rows do not reach. */
START_TEST(damaged_row_at_an_end_is_named_by_the_scan)
{
    static const struct {
        const char *sql;
        raft_index bad;
    } damages[] = {
        {"DELETE FROM log WHERE idx = 1", 1},
        {"UPDATE log SET frame = x'00' WHERE idx = 9", 9},
        {"UPDATE log SET frame = NULL WHERE idx = 9", 9},
        {"UPDATE log SET idx = 10 WHERE idx = 9", 9},
        {"UPDATE log SET idx = 4611686018427387904 WHERE idx = 9", 9},
        {"UPDATE log SET frame = x'00' WHERE idx > 4", 5},
    };
    must_open();
    must_append(1, 9, 1);
    ck_assert_int_eq(vote(4, 2), RK_OK);
    close_store();
    /* NOT NULL is for us; a bit on the disk does not ask. */
    execute("PRAGMA writable_schema = ON;"
            "UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '')");
    ck_assert_uint_lt((size_t)_i, sizeof(damages) / sizeof(damages[0]));
    execute(damages[_i].sql);

    raft_index bad_index = 0;
    must_open();
    ck_assert_uint_eq(store->bounds.last.index, 9);
    ck_assert_int_eq(scan(&bad_index), RK_CORRUPT);
    ck_assert_uint_eq(bad_index, damages[_i].bad);
    const struct raft_write write = {.truncate_from = bad_index};
    const struct raft_write *const writes[] = {&write};
    ck_assert_int_eq(log_store_write(store, writes, 1), RK_OK);
    close_store();
    must_open();
    must_scan();
    ck_assert_uint_eq(store->bounds.last.index, bad_index - 1);
    must_append(bad_index, 12, 4);
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

int main(void)
{
    TCase *tcase = tcase_create("log_store_damage");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, store_begin, store_end);
    tcase_add_loop_test(tcase, damaged_identity_or_vote_is_corrupt_at_open, 0, 8);
    tcase_add_loop_test(tcase, damaged_row_at_an_end_is_named_by_the_scan, 0, 6);
    tcase_add_test(tcase, missing_row_is_corrupt_and_named);
    tcase_add_test(tcase, row_of_another_history_is_corrupt_and_named);
    tcase_add_test(tcase, cut_behind_a_damaged_row_is_corrupt);
    tcase_add_test(tcase, flipped_bit_of_an_entry_is_found_and_named);
    tcase_add_loop_test(tcase, flipped_bit_anywhere_never_changes_an_entry, 0, 4);
    tcase_add_test(tcase, flipped_bit_in_the_wal_shortens_the_log);
    return run_suite_in_dir("log_store_damage", tcase);
}
