#include "store_fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "storage/log_store_sqlite.h"

char dir[MADE_PATH_SIZE];
char db_path[2 * MADE_PATH_SIZE];
char wal_path[2 * MADE_PATH_SIZE];
char message[512];
struct made *made;
struct log_store *store;
uint64_t checkpoint_bytes;

void store_begin(void)
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

void store_end(void)
{
    log_store_close(store);
    made_free(made);
    test_vfs_done();
    test_dir_remove(dir);
}

enum rk_status open_as(const char *node_name, uint64_t incarnation)
{
    const struct log_store_sqlite_options options = {.path = db_path,
                                                     .node_name = node_name,
                                                     .incarnation = incarnation,
                                                     .checkpoint_bytes = checkpoint_bytes};
    return log_store_sqlite_open(&options, &store, message, sizeof(message));
}

void must_open(void)
{
    const enum rk_status status = open_as("n1", 7);
    ck_assert_msg(status == RK_OK, "%s: %s", rk_status_text(status), message);
}

void close_store(void)
{
    log_store_close(store);
    store = NULL;
}

enum rk_status append_one(raft_index index, raft_term term, uint32_t size)
{
    const struct raft_entry entry = made_entry(made, index, term, size);
    const struct raft_write write = {.entries = &entry, .entries_count = 1};
    const struct raft_write *const writes[] = {&write};
    return log_store_write(store, writes, 1);
}

enum rk_status vote(raft_term term, raft_node_id node)
{
    const struct raft_write write = {.has_hard_state = true,
                                     .hard_state = {.term = term, .vote = node}};
    const struct raft_write *const writes[] = {&write};
    return log_store_write(store, writes, 1);
}

void must_append(raft_index first, raft_index last, raft_term term)
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

enum rk_status scan(raft_index *bad_index)
{
    return log_store_scan(store, see_nothing, NULL, bad_index);
}

void must_scan(void)
{
    raft_index bad_index = 0;
    ck_assert_int_eq(scan(&bad_index), RK_OK);
}

void execute(const char *sql)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(
        sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix"),
        SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

uint64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}
