/* The database, format version 2:
 *
 *   application_id 0x524b4c47 ("RKLG"), user_version 2
 *   log(idx INTEGER PRIMARY KEY, frame BLOB)        frame: base/frame.h, checked by itself
 *   hard_state(id = 1, term, vote, checksum)        checksum: CRC-32C of term and vote as two
 *                                                   little-endian u64
 *   meta(key PRIMARY KEY, value, checksum)          checksum: CRC-32C of "key=value"
 *     node_name    as it is
 *     incarnation  16 hexadecimal digits
 *     base         index, term and chain of the log's base, 16 hexadecimal digits each
 *   snapshot(idx INTEGER PRIMARY KEY, term, chain, config_index, config BLOB, size, digest, checksum)
 *                                                   checksum: log_db_snapshot.c
 *
 * SQLite has no page checksums, so every row carries its own.
 *
 * A new database is made whole under another name and renamed: raft.db is there with all its rows,
 * or it is not there.
 */
#include "storage/log_db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "storage/log_vfs.h"

enum { APPLICATION_ID = 0x524b4c47, FORMAT_VERSION = 2, PATH_SIZE_MAX = 4096 };

enum rk_status log_db_status(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return RK_OK;
    case SQLITE_FULL:
        return RK_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return RK_CORRUPT;
    default:
        return RK_IO;
    }
}

enum rk_status log_db_refuse(const struct complaint *complaint, sqlite3 *db, const char *doing)
{
    const enum rk_status status = log_db_status(sqlite3_extended_errcode(db));
    return complaint_refuse(complaint, status == RK_OK ? RK_IO : status, "%s: %s", doing,
                            sqlite3_errmsg(db));
}

void log_db_bind_u64(sqlite3_stmt *statement, int position, uint64_t value)
{
    const int code = sqlite3_bind_int64(statement, position, (sqlite3_int64)value);
    RK_ASSERT(code == SQLITE_OK); /* fails only on a busy statement or a wrong position */
}

uint32_t log_db_hard_state_checksum(const struct raft_hard_state *hard_state)
{
    uint8_t bytes[16];
    for (uint32_t i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(hard_state->term >> (8 * i));
        bytes[8 + i] = (uint8_t)(hard_state->vote >> (8 * i));
    }
    return rk_crc32c(0, bytes, sizeof(bytes));
}

uint32_t log_db_meta_checksum(const char *key, const char *value)
{
    uint32_t crc = rk_crc32c(0, key, strlen(key));
    crc = rk_crc32c(crc, "=", 1);
    return rk_crc32c(crc, value, strlen(value));
}

void log_db_format_base(struct raft_entry_id base, uint64_t chain, char text[LOG_DB_BASE_SIZE])
{
    (void)snprintf(text, LOG_DB_BASE_SIZE, "%016" PRIx64 " %016" PRIx64 " %016" PRIx64, base.index,
                   base.term, chain);
}

enum rk_status log_db_query(const struct complaint *complaint, sqlite3 *db, const char *sql,
                            char *ret, size_t ret_size)
{
    sqlite3_stmt *statement = NULL;

    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    const enum rk_status status = code == SQLITE_ROW ? RK_OK : log_db_refuse(complaint, db, sql);
    if (code == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(statement, 0);
        (void)snprintf(ret, ret_size, "%s", text == NULL ? "" : (const char *)text);
    }
    (void)sqlite3_finalize(statement); /* it repeats the error of the step */
    return status;
}

static enum rk_status expect_text(const struct complaint *complaint, sqlite3 *db, const char *sql,
                                  const char *expected)
{
    char text[32];
    const enum rk_status status = log_db_query(complaint, db, sql, text, sizeof(text));

    if (status == RK_OK && strcmp(text, expected) != 0) {
        return complaint_refuse(complaint, RK_IO, "%s gave %s, not %s", sql, text, expected);
    }
    return status;
}

/* ---- making a new database ---- */

static bool join_path(char *path, const char *name, const char *suffix)
{
    const int length = snprintf(path, PATH_SIZE_MAX, "%s%s", name, suffix);
    return length > 0 && length < PATH_SIZE_MAX;
}

static enum rk_status set_meta(const struct complaint *complaint, sqlite3 *db, const char *key,
                               const char *value)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, "INSERT INTO meta(key, value, checksum) VALUES(?1, ?2, ?3)", -1,
                           &statement, NULL) != SQLITE_OK) {
        return log_db_refuse(complaint, db, "cannot write the identity");
    }
    int code = sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    RK_ASSERT(code == SQLITE_OK);
    code = sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
    RK_ASSERT(code == SQLITE_OK);
    log_db_bind_u64(statement, 3, log_db_meta_checksum(key, value));
    code = sqlite3_step(statement);
    (void)sqlite3_finalize(statement); /* it repeats the error of the step */
    return code == SQLITE_DONE ? RK_OK : log_db_refuse(complaint, db, "cannot write the identity");
}

static enum rk_status fill_database(const struct complaint *complaint, sqlite3 *db,
                                    const struct log_store_sqlite_options *options)
{
    const struct raft_hard_state none = {0};
    char text[1024];

    (void)snprintf(text, sizeof(text),
                   "PRAGMA page_size = %d; PRAGMA auto_vacuum = INCREMENTAL;"
                   "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL;"
                   "BEGIN IMMEDIATE;"
                   "PRAGMA application_id = %d; PRAGMA user_version = %d;"
                   "CREATE TABLE log(idx INTEGER PRIMARY KEY, frame BLOB NOT NULL);"
                   "CREATE TABLE hard_state(id INTEGER PRIMARY KEY, term, vote, checksum);"
                   "CREATE TABLE meta(key TEXT PRIMARY KEY, value, checksum) WITHOUT ROWID;"
                   "CREATE TABLE snapshot(idx INTEGER PRIMARY KEY, term, chain, config_index,"
                   " config BLOB NOT NULL, size, digest, checksum);"
                   "INSERT INTO hard_state VALUES(1, 0, 0, %" PRIu32 ");",
                   LOG_DB_PAGE_SIZE, APPLICATION_ID, FORMAT_VERSION,
                   log_db_hard_state_checksum(&none));
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        return log_db_refuse(complaint, db, "cannot create the tables");
    }
    enum rk_status status = set_meta(complaint, db, "node_name", options->node_name);
    if (status == RK_OK) {
        (void)snprintf(text, sizeof(text), "%016" PRIx64, options->incarnation);
        status = set_meta(complaint, db, "incarnation", text);
    }
    if (status == RK_OK) {
        log_db_format_base((struct raft_entry_id){0}, 0, text);
        status = set_meta(complaint, db, "base", text);
    }
    if (status == RK_OK && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        status = log_db_refuse(complaint, db, "cannot commit the new tables");
    }
    return status;
}

enum rk_status log_db_connect(const struct complaint *complaint, const char *path, sqlite3 **ret)
{
    sqlite3 *db = NULL;
    const int code = sqlite3_open_v2(
        path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
        log_vfs_name());

    if (db == NULL) {
        return complaint_refuse(complaint, RK_IO, "out of memory");
    }
    if (code != SQLITE_OK) {
        const enum rk_status status = log_db_refuse(complaint, db, "cannot open");
        const int close_code = sqlite3_close(db);
        RK_ASSERT(close_code == SQLITE_OK);
        return status;
    }
    *ret = db;
    return RK_OK;
}

static enum rk_status make_file(const struct complaint *complaint, const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return complaint_refuse_errno(complaint, "cannot remove what was left of a creation");
    }
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) != 0) {
        return complaint_refuse_errno(complaint, "cannot create");
    }
    return RK_OK;
}

static enum rk_status fill_file(const struct complaint *complaint, const char *path,
                                const struct log_store_sqlite_options *options)
{
    sqlite3 *db = NULL;

    enum rk_status status = make_file(complaint, path);
    if (status == RK_OK) {
        status = log_db_connect(complaint, path, &db);
    }
    if (status != RK_OK) {
        return status;
    }
    status = fill_database(complaint, db, options);
    const int code = sqlite3_close(db);
    if (status == RK_OK && code != SQLITE_OK) {
        status = complaint_refuse(complaint, RK_IO, "cannot close the new database");
    }
    return status;
}

enum rk_status log_db_create(const struct complaint *complaint,
                             const struct log_store_sqlite_options *options)
{
    char wal[PATH_SIZE_MAX];
    char temporary[PATH_SIZE_MAX];

    if (!join_path(wal, options->path, "-wal") || !join_path(temporary, options->path, ".tmp")) {
        return complaint_refuse(complaint, RK_IO, "the path is too long");
    }
    /* SQLite would replay it into the new database. */
    if (access(wal, F_OK) == 0) {
        return complaint_refuse(complaint, RK_CORRUPT, "missing, although its WAL is there");
    }
    const enum rk_status status = fill_file(complaint, temporary, options);
    if (status != RK_OK) {
        return status;
    }
    if (rename(temporary, options->path) != 0 || !files_sync_directory_of(options->path)) {
        return complaint_refuse_errno(complaint, "cannot rename the new database");
    }
    return RK_OK;
}

/* ---- opening ---- */

/* EXCLUSIVE comes before WAL, so that the WAL's index lives in this process and no -shm file is
 * made that another process could map. A log is written at its end and hardly ever read: of the pages
 * in SQLite's cache only the last few serve again, so half a mebibyte of them does what two do. */
static enum rk_status apply_settings(const struct complaint *complaint, sqlite3 *db)
{
    enum rk_status status =
        expect_text(complaint, db, "PRAGMA locking_mode = EXCLUSIVE", "exclusive");
    if (status == RK_OK) {
        status = expect_text(complaint, db, "PRAGMA journal_mode = WAL", "wal");
    }
    if (status == RK_OK && sqlite3_exec(db,
                                        "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
                                        "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
                                        "PRAGMA cache_size = -512;",
                                        NULL, NULL, NULL) != SQLITE_OK) {
        status = log_db_refuse(complaint, db, "cannot set up");
    }
    if (status == RK_OK) {
        status = expect_text(complaint, db, "PRAGMA wal_autocheckpoint = 0", "0");
    }
    if (status == RK_OK) {
        status = expect_text(complaint, db, "PRAGMA synchronous", "2");
    }
    return status;
}

static enum rk_status fold_wal_in(const struct complaint *complaint, sqlite3 *db)
{
    const int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK ? RK_OK : log_db_refuse(complaint, db, "cannot checkpoint the WAL");
}

static enum rk_status check_format(const struct complaint *complaint, sqlite3 *db)
{
    char text[32];
    char expected[32];

    enum rk_status status =
        log_db_query(complaint, db, "PRAGMA application_id", text, sizeof(text));
    (void)snprintf(expected, sizeof(expected), "%d", APPLICATION_ID);
    if (status == RK_OK && strcmp(text, expected) != 0) {
        return complaint_refuse(complaint, RK_CORRUPT, "not a RaftKV log (application id %s)",
                                text);
    }
    if (status == RK_OK) {
        status = log_db_query(complaint, db, "PRAGMA user_version", text, sizeof(text));
    }
    (void)snprintf(expected, sizeof(expected), "%d", FORMAT_VERSION);
    if (status == RK_OK && strcmp(text, expected) != 0) {
        return complaint_refuse(complaint, RK_CORRUPT, "format version %s, this program reads %s",
                                text, expected);
    }
    return status;
}

enum rk_status log_db_get_meta(const struct complaint *complaint, sqlite3 *db, const char *key,
                               char *ret, size_t ret_size)
{
    char sql[96];
    char checksum[32] = "";
    char expected[32];

    (void)snprintf(sql, sizeof(sql), "SELECT value FROM meta WHERE key = '%s'", key);
    enum rk_status status = log_db_query(complaint, db, sql, ret, ret_size);
    if (status == RK_OK) {
        (void)snprintf(sql, sizeof(sql), "SELECT checksum FROM meta WHERE key = '%s'", key);
        status = log_db_query(complaint, db, sql, checksum, sizeof(checksum));
    }
    if (status != RK_OK) {
        return complaint_refuse(complaint, status == RK_IO ? RK_CORRUPT : status, "no readable %s",
                                key);
    }
    (void)snprintf(expected, sizeof(expected), "%" PRIu32, log_db_meta_checksum(key, ret));
    if (strcmp(checksum, expected) != 0) {
        return complaint_refuse(complaint, RK_CORRUPT, "the stored %s fails its check", key);
    }
    return RK_OK;
}

enum rk_status log_db_setup(const struct complaint *complaint, sqlite3 *db)
{
    enum rk_status status = apply_settings(complaint, db);
    if (status == RK_OK) {
        status = fold_wal_in(complaint, db);
    }
    if (status == RK_OK) {
        status = check_format(complaint, db);
    }
    return status;
}
