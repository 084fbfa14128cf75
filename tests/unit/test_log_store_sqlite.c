/* What only the store on disk has: it opens again, and its WAL is kept at its size. The common
 * contract is in test_log_store.c. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/log_store_sqlite.h"
#include "store_fixture.h"

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
    execute("PRAGMA user_version = 3");
    ck_assert_int_eq(open_as("n1", 7), RK_CORRUPT);
    ck_assert_ptr_nonnull(strstr(message, "format version 3, this program reads 2"));
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
START_TEST(batch_of_writes_is_one_write_and_one_sync)
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
    ck_assert_uint_eq(test_vfs_operations(), 2); /* and one write, whatever number of pages */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("log_store_sqlite");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, store_begin, store_end);
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
    tcase_add_test(tcase, maintain_keeps_the_wal_at_its_size);
    tcase_add_test(tcase, maintain_cuts_a_wal_that_a_burst_left_large);
    tcase_add_test(tcase, batch_of_writes_is_one_write_and_one_sync);
    return run_suite_in_dir("log_store_sqlite", tcase);
}
