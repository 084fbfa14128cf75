/* The database, format version 1:
 *
 *   application_id 0x524b4c47 ("RKLG"), user_version 1
 *   log(idx INTEGER PRIMARY KEY, frame BLOB)        frame: base/frame.h, checked by itself
 *   hard_state(id = 1, term, vote, checksum)        checksum: CRC-32C of term and vote as two
 *                                                   little-endian u64
 *   meta(key PRIMARY KEY, value, checksum)          checksum: CRC-32C of "key=value"
 *     node_name    as it is
 *     incarnation  16 hexadecimal digits
 *     base         index, term and chain of the log's base, 16 hexadecimal digits each
 *
 * SQLite has no page checksums, so every row carries its own.
 *
 * A new database is made whole under another name and renamed: raft.db is there with all its rows,
 * or it is not there.
 */
#include "storage/log_store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/limits.h"
#include "base/parse.h"
#include "storage/files.h"

enum {
    APPLICATION_ID = 0x524b4c47,
    FORMAT_VERSION = 1,
    PAGE_SIZE = 4096,
    WAL_FRAME_SIZE = PAGE_SIZE + 24,
    PATH_SIZE_MAX = 4096,
};

_Static_assert(RK_NODE_NAME_SIZE_MAX < sizeof(((struct log_identity *)0)->node_name),
               "a node name fits, with its NUL");

/* While a checkpoint runs no write is made durable, so it must be short rather than rare. Measured
 * on ext4 with 10 and 100 entries of 300 bytes a transaction, mean of a checkpoint: 1 MiB 1.3 and
 * 2.9 ms, 2 MiB 3 and 6 ms, 4 MiB 3.7 and 11 ms, 16 MiB 11 to 16 and 16 to 40 ms; its share of the
 * time is 4 to 6 and 15 to 18 % throughout. A WAL that has reached its size once is written over,
 * and then its fdatasync() has no new size to make durable: 230 us a transaction where a growing
 * WAL takes 430. Hence the WAL is cut only when a burst has left it large. Pages of 16 KiB gave
 * no more transactions than pages of 4 KiB, with twice the checkpoints. */
static const uint64_t checkpoint_bytes_default = 2 << 20;
static const uint64_t wal_large_factor = 16;

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_HARD_STATE,
    STATEMENT_TRUNCATE,
    STATEMENT_APPEND,
    STATEMENT_READ,
    STATEMENT_COUNT,
};

static const char *const statement_sql[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_HARD_STATE] =
        "UPDATE hard_state SET term = ?1, vote = ?2, checksum = ?3 WHERE id = 1",
    [STATEMENT_TRUNCATE] = "DELETE FROM log WHERE idx >= ?1",
    [STATEMENT_APPEND] = "INSERT INTO log(idx, frame) VALUES(?1, ?2)",
    [STATEMENT_READ] = "SELECT frame FROM log WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx",
};

struct log_store_sqlite {
    struct log_store base;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    uint64_t wal_bytes; /* in the WAL since it was last folded in */
    uint64_t checkpoint_bytes;
};

static struct log_store_sqlite *sqlite_of(struct log_store *store)
{
    return (struct log_store_sqlite *)store; /* base is the first member */
}

static enum rk_status status_of(int code)
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

static enum rk_status refuse_db(const struct complaint *complaint, sqlite3 *db, const char *doing)
{
    const enum rk_status status = status_of(sqlite3_extended_errcode(db));
    return complaint_refuse(complaint, status == RK_OK ? RK_IO : status, "%s: %s", doing,
                            sqlite3_errmsg(db));
}

/* Steps a statement that returns no row, and makes it ready for the next use. */
static int run(sqlite3_stmt *statement)
{
    const int code = sqlite3_step(statement);
    const int reset_code = sqlite3_reset(statement);

    RK_ASSERT(code != SQLITE_ROW);
    return code == SQLITE_DONE ? reset_code : code;
}

static void bind_u64(sqlite3_stmt *statement, int position, uint64_t value)
{
    const int code = sqlite3_bind_int64(statement, position, (sqlite3_int64)value);
    RK_ASSERT(code == SQLITE_OK); /* fails only on a busy statement or a wrong position */
}

static uint32_t hard_state_checksum(const struct raft_hard_state *hard_state)
{
    uint8_t bytes[16];
    for (uint32_t i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(hard_state->term >> (8 * i));
        bytes[8 + i] = (uint8_t)(hard_state->vote >> (8 * i));
    }
    return rk_crc32c(0, bytes, sizeof(bytes));
}

static uint32_t meta_checksum(const char *key, const char *value)
{
    uint32_t crc = rk_crc32c(0, key, strlen(key));
    crc = rk_crc32c(crc, "=", 1);
    return rk_crc32c(crc, value, strlen(value));
}

/* ---- writing ---- */

static int write_hard_state(struct log_store_sqlite *self, const struct raft_hard_state *hard_state)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_HARD_STATE];

    bind_u64(statement, 1, hard_state->term);
    bind_u64(statement, 2, hard_state->vote);
    bind_u64(statement, 3, hard_state_checksum(hard_state));
    return run(statement);
}

static int write_entry(struct log_store_sqlite *self, const struct raft_entry *entry)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_APPEND];

    bind_u64(statement, 1, entry->id.index);
    const int code =
        sqlite3_bind_blob64(statement, 2, entry->frame.data, entry->frame.size, SQLITE_STATIC);
    RK_ASSERT(code == SQLITE_OK);
    return run(statement);
}

static int write_one(struct log_store_sqlite *self, const struct raft_write *write)
{
    int code = SQLITE_OK;

    if (write->has_hard_state) {
        code = write_hard_state(self, &write->hard_state);
    }
    if (code == SQLITE_OK && write->truncate_from != 0) {
        bind_u64(self->statements[STATEMENT_TRUNCATE], 1, write->truncate_from);
        code = run(self->statements[STATEMENT_TRUNCATE]);
    }
    for (uint32_t i = 0; code == SQLITE_OK && i < write->entries_count; i++) {
        code = write_entry(self, &write->entries[i]);
    }
    return code;
}

/* No rollback after an error: the store is done for, and closing it drops what is not committed. */
static enum rk_status sqlite_write(struct log_store *store, const struct raft_write *const *writes,
                                   uint32_t writes_count)
{
    struct log_store_sqlite *self = sqlite_of(store);
    int code = run(self->statements[STATEMENT_BEGIN]);

    for (uint32_t i = 0; code == SQLITE_OK && i < writes_count; i++) {
        code = write_one(self, writes[i]);
    }
    if (code == SQLITE_OK) {
        code = run(self->statements[STATEMENT_COMMIT]);
    }
    return status_of(code);
}

/* ---- reading ---- */

static enum rk_status append_row(sqlite3_stmt *statement, struct rk_buf *buf)
{
    const int size = sqlite3_column_bytes(statement, 0);
    const void *data = sqlite3_column_blob(statement, 0);

    if (size == 0 || data == NULL) {
        return RK_CORRUPT;
    }
    rk_buf_append(buf, data, (size_t)size);
    return rk_buf_status(buf);
}

/* A row that is not there is corruption: the bounds promised it. */
static enum rk_status sqlite_read(struct log_store *store, raft_index first, raft_index last,
                                  size_t bytes_max, struct rk_buf *buf, raft_index *ret_last)
{
    sqlite3_stmt *statement = sqlite_of(store)->statements[STATEMENT_READ];
    const size_t start = buf->size;
    raft_index index = first - 1;
    enum rk_status status = RK_OK;

    bind_u64(statement, 1, first);
    bind_u64(statement, 2, last);
    do {
        const int code = sqlite3_step(statement);
        status = code == SQLITE_DONE ? RK_CORRUPT : status_of(code);
        if (status == RK_OK) {
            status = append_row(statement, buf);
            index++;
        }
    } while (status == RK_OK && index < last && buf->size - start < bytes_max);
    const int reset_code = sqlite3_reset(statement); /* repeats the error of the last step */
    if (status == RK_OK) {
        RK_ASSERT(reset_code == SQLITE_OK);
        *ret_last = index;
    }
    return status;
}

/* ---- checkpoints ---- */

static int on_commit(void *context, sqlite3 *db, const char *name, int wal_pages)
{
    struct log_store_sqlite *self = context;

    RK_ASSERT(db == self->db);
    RK_ASSERT(name != NULL && wal_pages >= 0);
    self->wal_bytes = (uint64_t)wal_pages * WAL_FRAME_SIZE;
    return SQLITE_OK;
}

static enum rk_status sqlite_maintain(struct log_store *store)
{
    struct log_store_sqlite *self = sqlite_of(store);
    int in_wal = 0;
    int folded_in = 0;

    if (self->wal_bytes < self->checkpoint_bytes) {
        return RK_OK;
    }
    const bool is_large = self->wal_bytes >= wal_large_factor * self->checkpoint_bytes;
    const int code = sqlite3_wal_checkpoint_v2(
        self->db, NULL, is_large ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &in_wal,
        &folded_in);
    if (code != SQLITE_OK) {
        return status_of(code);
    }
    RK_ASSERT(in_wal == folded_in); /* there is no reader that could hold a part back */
    self->wal_bytes = 0;
    return RK_OK;
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
        return refuse_db(complaint, db, "cannot write the identity");
    }
    int code = sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    RK_ASSERT(code == SQLITE_OK);
    code = sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
    RK_ASSERT(code == SQLITE_OK);
    bind_u64(statement, 3, meta_checksum(key, value));
    code = sqlite3_step(statement);
    const int final_code = sqlite3_finalize(statement);
    RK_MAYBE(final_code != code); /* it repeats the error of the step */
    return code == SQLITE_DONE ? RK_OK : refuse_db(complaint, db, "cannot write the identity");
}

static enum rk_status fill_database(const struct complaint *complaint, sqlite3 *db,
                                    const struct log_store_sqlite_options *options)
{
    const struct raft_hard_state none = {0};
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "PRAGMA page_size = %d; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL;"
                   "BEGIN IMMEDIATE;"
                   "PRAGMA application_id = %d; PRAGMA user_version = %d;"
                   "CREATE TABLE log(idx INTEGER PRIMARY KEY, frame BLOB NOT NULL);"
                   "CREATE TABLE hard_state(id INTEGER PRIMARY KEY, term, vote, checksum);"
                   "CREATE TABLE meta(key TEXT PRIMARY KEY, value, checksum) WITHOUT ROWID;"
                   "INSERT INTO hard_state VALUES(1, 0, 0, %" PRIu32 ");",
                   PAGE_SIZE, APPLICATION_ID, FORMAT_VERSION, hard_state_checksum(&none));
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        return refuse_db(complaint, db, "cannot create the tables");
    }
    enum rk_status status = set_meta(complaint, db, "node_name", options->node_name);
    if (status == RK_OK) {
        (void)snprintf(text, sizeof(text), "%016" PRIx64, options->incarnation);
        status = set_meta(complaint, db, "incarnation", text);
    }
    if (status == RK_OK) {
        (void)snprintf(text, sizeof(text), "%016x %016x %016x", 0, 0, 0);
        status = set_meta(complaint, db, "base", text);
    }
    if (status == RK_OK && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        status = refuse_db(complaint, db, "cannot commit the new tables");
    }
    return status;
}

/* The only connection: no mutex is needed, and no cache is shared. */
static enum rk_status connect_db(const struct complaint *complaint, const char *path, sqlite3 **ret)
{
    sqlite3 *db = NULL;
    const int code = sqlite3_open_v2(
        path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);

    if (db == NULL) {
        return complaint_refuse(complaint, RK_IO, "out of memory");
    }
    if (code != SQLITE_OK) {
        const enum rk_status status = refuse_db(complaint, db, "cannot open");
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
        return complaint_refuse(complaint, RK_IO, "cannot remove %s: %s", path, strerror(errno));
    }
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) != 0) {
        return complaint_refuse(complaint, files_status(errno), "cannot create: %s",
                                strerror(errno));
    }
    return RK_OK;
}

static enum rk_status fill_file(const struct complaint *complaint, const char *path,
                                const struct log_store_sqlite_options *options)
{
    sqlite3 *db = NULL;

    enum rk_status status = make_file(complaint, path);
    if (status == RK_OK) {
        status = connect_db(complaint, path, &db);
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

static enum rk_status create_database(const struct complaint *complaint,
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
        return complaint_refuse(complaint, RK_IO, "cannot rename the new database: %s",
                                strerror(errno));
    }
    return RK_OK;
}

/* ---- opening ---- */

/* Runs a query that returns one row and one column; its text goes to `ret`. */
static enum rk_status query_text(const struct complaint *complaint, sqlite3 *db, const char *sql,
                                 char *ret, size_t ret_size)
{
    sqlite3_stmt *statement = NULL;

    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    const enum rk_status status = code == SQLITE_ROW ? RK_OK : refuse_db(complaint, db, sql);
    if (code == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(statement, 0);
        (void)snprintf(ret, ret_size, "%s", text == NULL ? "" : (const char *)text);
    }
    const int final_code = sqlite3_finalize(statement);
    RK_MAYBE(final_code != SQLITE_OK); /* it repeats the error of the step */
    return status;
}

static enum rk_status expect_text(const struct complaint *complaint, sqlite3 *db, const char *sql,
                                  const char *expected)
{
    char text[32];
    const enum rk_status status = query_text(complaint, db, sql, text, sizeof(text));

    if (status == RK_OK && strcmp(text, expected) != 0) {
        return complaint_refuse(complaint, RK_IO, "%s gave %s, not %s", sql, text, expected);
    }
    return status;
}

/* EXCLUSIVE comes before WAL, so that the WAL's index lives in this process and no -shm file is
 * made that another process could map. */
static enum rk_status apply_settings(const struct complaint *complaint, sqlite3 *db)
{
    enum rk_status status =
        expect_text(complaint, db, "PRAGMA locking_mode = EXCLUSIVE", "exclusive");
    if (status == RK_OK) {
        status = expect_text(complaint, db, "PRAGMA journal_mode = WAL", "wal");
    }
    if (status == RK_OK && sqlite3_exec(db,
                                        "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
                                        "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;",
                                        NULL, NULL, NULL) != SQLITE_OK) {
        status = refuse_db(complaint, db, "cannot set up");
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
    return code == SQLITE_OK ? RK_OK : refuse_db(complaint, db, "cannot checkpoint the WAL");
}

static enum rk_status check_format(const struct complaint *complaint, sqlite3 *db)
{
    char text[32];
    char expected[32];

    enum rk_status status = query_text(complaint, db, "PRAGMA application_id", text, sizeof(text));
    (void)snprintf(expected, sizeof(expected), "%d", APPLICATION_ID);
    if (status == RK_OK && strcmp(text, expected) != 0) {
        return complaint_refuse(complaint, RK_CORRUPT, "not a RaftKV log (application id %s)",
                                text);
    }
    if (status == RK_OK) {
        status = query_text(complaint, db, "PRAGMA user_version", text, sizeof(text));
    }
    (void)snprintf(expected, sizeof(expected), "%d", FORMAT_VERSION);
    if (status == RK_OK && strcmp(text, expected) != 0) {
        return complaint_refuse(complaint, RK_CORRUPT, "format version %s, this program reads %s",
                                text, expected);
    }
    return status;
}

/* `key` is ours and needs no quoting. */
static enum rk_status get_meta(const struct complaint *complaint, sqlite3 *db, const char *key,
                               char *ret, size_t ret_size)
{
    char sql[96];
    char checksum[32] = "";
    char expected[32];

    (void)snprintf(sql, sizeof(sql), "SELECT value FROM meta WHERE key = '%s'", key);
    enum rk_status status = query_text(complaint, db, sql, ret, ret_size);
    if (status == RK_OK) {
        (void)snprintf(sql, sizeof(sql), "SELECT checksum FROM meta WHERE key = '%s'", key);
        status = query_text(complaint, db, sql, checksum, sizeof(checksum));
    }
    if (status != RK_OK) {
        return complaint_refuse(complaint, status == RK_IO ? RK_CORRUPT : status, "no readable %s",
                                key);
    }
    (void)snprintf(expected, sizeof(expected), "%" PRIu32, meta_checksum(key, ret));
    if (strcmp(checksum, expected) != 0) {
        return complaint_refuse(complaint, RK_CORRUPT, "the stored %s fails its check", key);
    }
    return RK_OK;
}

static enum rk_status load_identity(const struct complaint *complaint,
                                    struct log_store_sqlite *self, const char *node_name)
{
    struct log_identity *identity = &self->base.identity;
    char text[96];

    enum rk_status status = get_meta(complaint, self->db, "node_name", text, sizeof(text));
    if (status != RK_OK) {
        return status;
    }
    if (strcmp(text, node_name) != 0) {
        return complaint_refuse(complaint, RK_CONFLICT, "belongs to node %s, this is node %s", text,
                                node_name);
    }
    (void)snprintf(identity->node_name, sizeof(identity->node_name), "%s", node_name);
    status = get_meta(complaint, self->db, "incarnation", text, sizeof(text));
    if (status == RK_OK &&
        (rk_parse_hex64(text, &identity->incarnation) != RK_OK || identity->incarnation == 0)) {
        status = complaint_refuse(complaint, RK_CORRUPT, "the stored incarnation is not a number");
    }
    return status;
}

static enum rk_status load_base(const struct complaint *complaint, struct log_store_sqlite *self)
{
    struct log_bounds *bounds = &self->base.bounds;
    char text[96];

    const enum rk_status status = get_meta(complaint, self->db, "base", text, sizeof(text));
    if (status != RK_OK) {
        return status;
    }
    if (sscanf(text, "%16" SCNx64 " %16" SCNx64 " %16" SCNx64, &bounds->base.index,
               &bounds->base.term, &bounds->base_chain) != 3) {
        return complaint_refuse(complaint, RK_CORRUPT, "the stored base is not three numbers");
    }
    bounds->last = bounds->base;
    bounds->last_chain = bounds->base_chain;
    return RK_OK;
}

static enum rk_status load_hard_state(const struct complaint *complaint,
                                      struct log_store_sqlite *self)
{
    struct raft_hard_state hard_state = {0};
    sqlite3_stmt *statement = NULL;

    int code = sqlite3_prepare_v2(
        self->db, "SELECT term, vote, checksum FROM hard_state WHERE id = 1", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    bool is_whole = false;
    if (code == SQLITE_ROW) {
        hard_state.term = (uint64_t)sqlite3_column_int64(statement, 0);
        hard_state.vote = (uint64_t)sqlite3_column_int64(statement, 1);
        is_whole = sqlite3_column_int64(statement, 2) == hard_state_checksum(&hard_state);
    }
    const int final_code = sqlite3_finalize(statement);
    RK_MAYBE(final_code != SQLITE_OK);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return refuse_db(complaint, self->db, "cannot read term and vote");
    }
    /* Taken as 0 they would let this node vote twice in a term (correctness 51). */
    if (!is_whole) {
        return complaint_refuse(complaint, RK_CORRUPT, "the stored term and vote fail their check");
    }
    self->base.hard_state = hard_state;
    return RK_OK;
}

static enum rk_status prepare_all(const struct complaint *complaint, struct log_store_sqlite *self)
{
    for (uint32_t i = 0; i < STATEMENT_COUNT; i++) {
        if (sqlite3_prepare_v3(self->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &self->statements[i], NULL) != SQLITE_OK) {
            return refuse_db(complaint, self->db, "cannot prepare");
        }
    }
    return RK_OK;
}

/* Takes term and chain from the last entry's own frame; log_store_scan() verifies the way there. */
static enum rk_status load_last_entry(const struct complaint *complaint,
                                      struct log_store_sqlite *self, raft_index index)
{
    struct log_bounds *bounds = &self->base.bounds;
    struct rk_frame frame = {0};
    struct rk_buf buf;
    uint32_t size = 0;
    raft_index read_last = 0;

    rk_buf_init(&buf, RK_FRAME_SIZE_MAX);
    enum rk_status status = sqlite_read(&self->base, index, index, 0, &buf, &read_last);
    if (status == RK_OK) {
        status = rk_frame_read(rk_buf_bytes(&buf), &frame, &size);
    }
    if (status == RK_OK && (frame.index != index || frame.term < bounds->base.term)) {
        status = RK_CORRUPT;
    }
    rk_buf_done(&buf);
    if (status != RK_OK) {
        return complaint_refuse(complaint, status == RK_TOO_LARGE ? RK_CORRUPT : status,
                                "entry %" PRIu64 ", the last one: %s", index,
                                status == RK_IO ? sqlite3_errmsg(self->db) : "fails its check");
    }
    bounds->last = (struct raft_entry_id){frame.term, frame.index};
    bounds->last_chain = frame.chain;
    return RK_OK;
}

static enum rk_status load_bounds(const struct complaint *complaint, struct log_store_sqlite *self)
{
    raft_index first = 0;
    raft_index last = 0;
    char text[64];

    enum rk_status status = load_base(complaint, self);
    if (status == RK_OK) {
        status = query_text(complaint, self->db,
                            "SELECT coalesce(min(idx), 0) || ' ' || coalesce(max(idx), 0) FROM log",
                            text, sizeof(text));
    }
    if (status != RK_OK) {
        return status;
    }
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &first, &last) != 2) {
        return complaint_refuse(complaint, RK_CORRUPT, "the log's indexes are not numbers");
    }
    if (first == 0 && last == 0) {
        return RK_OK;
    }
    if (first != self->base.bounds.base.index + 1) {
        return complaint_refuse(complaint, RK_CORRUPT,
                                "the log begins at %" PRIu64 ", its base is %" PRIu64, first,
                                self->base.bounds.base.index);
    }
    return load_last_entry(complaint, self, last);
}

static enum rk_status load_all(const struct complaint *complaint, struct log_store_sqlite *self,
                               const char *node_name)
{
    enum rk_status status = apply_settings(complaint, self->db);
    if (status == RK_OK) {
        status = fold_wal_in(complaint, self->db);
    }
    if (status == RK_OK) {
        status = check_format(complaint, self->db);
    }
    if (status == RK_OK) {
        status = load_identity(complaint, self, node_name);
    }
    if (status == RK_OK) {
        status = prepare_all(complaint, self);
    }
    if (status == RK_OK) {
        status = load_hard_state(complaint, self);
    }
    if (status == RK_OK) {
        status = load_bounds(complaint, self);
    }
    return status;
}

/* Without a checkpoint: after a failure nothing may be written any more, and otherwise the next
 * open does it. */
static void sqlite_close(struct log_store *store)
{
    struct log_store_sqlite *self = sqlite_of(store);

    for (uint32_t i = 0; i < STATEMENT_COUNT; i++) {
        const int code = sqlite3_finalize(self->statements[i]);
        RK_MAYBE(code != SQLITE_OK); /* it repeats what the statement's last step said */
    }
    if (self->db != NULL) {
        const int code = sqlite3_close(self->db);
        RK_ASSERT(code == SQLITE_OK);
    }
    rk_heap_free(self);
}

static const struct log_store_ops sqlite_ops = {
    .write = sqlite_write,
    .read = sqlite_read,
    .maintain = sqlite_maintain,
    .close = sqlite_close,
};

enum rk_status log_store_sqlite_open(const struct log_store_sqlite_options *options,
                                     struct log_store **ret, char *message, size_t message_size)
{
    const struct complaint complaint = {options->path, message, message_size};
    enum rk_status status = RK_OK;

    RK_ASSERT(strlen(options->node_name) <= RK_NODE_NAME_SIZE_MAX);
    RK_ASSERT(options->incarnation != 0);
    if (access(options->path, F_OK) != 0) {
        status = create_database(&complaint, options);
        if (status != RK_OK) {
            return status;
        }
    }
    struct log_store_sqlite *self = rk_heap_zalloc(1, sizeof(*self));
    self->base.ops = &sqlite_ops;
    self->checkpoint_bytes =
        options->checkpoint_bytes == 0 ? checkpoint_bytes_default : options->checkpoint_bytes;
    status = connect_db(&complaint, options->path, &self->db);
    if (status == RK_OK) {
        int was_set = 0;
        const int code = sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &was_set);
        RK_ASSERT(code == SQLITE_OK && was_set == 1);
        status = load_all(&complaint, self, options->node_name);
    }
    if (status != RK_OK) {
        sqlite_close(&self->base);
        return status;
    }
    void *none = sqlite3_wal_hook(self->db, on_commit, self);
    RK_ASSERT(none == NULL); /* nobody else may checkpoint */
    *ret = &self->base;
    return RK_OK;
}

const char *log_store_sqlite_version(void)
{
    return sqlite3_libversion();
}
