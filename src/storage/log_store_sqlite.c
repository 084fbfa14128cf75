#include "storage/log_store_sqlite.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/limits.h"
#include "base/parse.h"
#include "storage/files.h"
#include "storage/log_db.h"

enum {
    WAL_FRAME_SIZE = LOG_DB_PAGE_SIZE + 24,
    SHRINK_PAGES_MIN = 4096, /* 16 MiB: less is not worth the writing */
    WAITING_MAX = 64,        /* entries that are inserted together */
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
    STATEMENT_APPEND_4,
    STATEMENT_APPEND_16,
    STATEMENT_READ,
    STATEMENT_RESET,
    STATEMENT_COMPACT,
    STATEMENT_BASE,
    STATEMENT_PAGES,
    STATEMENT_FREE_PAGES,
    STATEMENT_SHRINK,
    STATEMENT_COUNT,
};

/* Many rows at once find their place in the table once. OR FAIL, because SQLite would keep a copy of each page
 * that they change, to take back a statement that fails half done; here that ends the store. */
#define APPEND_MANY "INSERT OR FAIL INTO log(idx, frame) VALUES"

static const char *const statement_sql[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_HARD_STATE] =
        "UPDATE hard_state SET term = ?1, vote = ?2, checksum = ?3 WHERE id = 1",
    [STATEMENT_TRUNCATE] = "DELETE FROM log WHERE idx >= ?1",
    [STATEMENT_APPEND] = "INSERT INTO log(idx, frame) VALUES(?1, ?2)",
    [STATEMENT_APPEND_4] = APPEND_MANY "(?1, ?2), (?3, ?4), (?5, ?6), (?7, ?8)",
    [STATEMENT_APPEND_16] =
        APPEND_MANY "(?1, ?2), (?3, ?4), (?5, ?6), (?7, ?8), (?9, ?10), (?11, ?12), (?13, ?14),"
                    "(?15, ?16), (?17, ?18), (?19, ?20), (?21, ?22), (?23, ?24), (?25, ?26),"
                    "(?27, ?28), (?29, ?30), (?31, ?32)",
    [STATEMENT_READ] = "SELECT frame FROM log WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx",
    [STATEMENT_RESET] = "DELETE FROM log",
    [STATEMENT_COMPACT] = "DELETE FROM log WHERE idx <= ?1",
    [STATEMENT_BASE] = "UPDATE meta SET value = ?1, checksum = ?2 WHERE key = 'base'",
    [STATEMENT_PAGES] = "PRAGMA page_count",
    [STATEMENT_FREE_PAGES] = "PRAGMA freelist_count",
    [STATEMENT_SHRINK] = "PRAGMA incremental_vacuum(256)",
};

struct log_store_sqlite {
    struct log_store base;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    const struct raft_entry *waiting[WAITING_MAX]; /* borrowed, of the transaction under way */
    uint32_t waiting_count;
    uint64_t wal_bytes; /* in the WAL since it was last folded in */
    uint64_t checkpoint_bytes;
    uint64_t pages_needed; /* in use when compaction last began; 0: it has not */
};

static struct log_store_sqlite *sqlite_of(struct log_store *store)
{
    return (struct log_store_sqlite *)store; /* base is the first member */
}

/* Steps a statement that returns no row, and makes it ready for the next use. */
static int run(sqlite3_stmt *statement)
{
    const int code = sqlite3_step(statement);
    const int reset_code = sqlite3_reset(statement);

    RK_ASSERT(code != SQLITE_ROW);
    return code == SQLITE_DONE ? reset_code : code;
}

/* ---- writing ---- */

static int write_hard_state(struct log_store_sqlite *self, const struct raft_hard_state *hard_state)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_HARD_STATE];

    log_db_bind_u64(statement, 1, hard_state->term);
    log_db_bind_u64(statement, 2, hard_state->vote);
    log_db_bind_u64(statement, 3, log_db_hard_state_checksum(hard_state));
    return run(statement);
}

static void bind_entry(sqlite3_stmt *statement, int position, const struct raft_entry *entry)
{
    log_db_bind_u64(statement, position, entry->id.index);
    const int code = sqlite3_bind_blob64(statement, position + 1, entry->frame.data,
                                         entry->frame.size, SQLITE_STATIC);
    RK_ASSERT(code == SQLITE_OK);
}

static int write_rows(struct log_store_sqlite *self, enum statement append,
                      const struct raft_entry *const *entries, uint32_t count)
{
    sqlite3_stmt *statement = self->statements[append];

    for (uint32_t i = 0; i < count; i++) {
        bind_entry(statement, 1 + 2 * (int)i, entries[i]);
    }
    return run(statement);
}

static int write_waiting(struct log_store_sqlite *self)
{
    static const struct {
        enum statement append;
        uint32_t rows;
    } sizes[] = {{STATEMENT_APPEND_16, 16}, {STATEMENT_APPEND_4, 4}, {STATEMENT_APPEND, 1}};
    const uint32_t count = self->waiting_count;
    uint32_t done = 0;
    int code = SQLITE_OK;

    self->waiting_count = 0;
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (; code == SQLITE_OK && count - done >= sizes[i].rows; done += sizes[i].rows) {
            code = write_rows(self, sizes[i].append, self->waiting + done, sizes[i].rows);
        }
    }
    return code;
}

static int write_entry(struct log_store_sqlite *self, const struct raft_entry *entry)
{
    self->waiting[self->waiting_count] = entry;
    self->waiting_count++;
    return self->waiting_count == WAITING_MAX ? write_waiting(self) : SQLITE_OK;
}

/* Of the row that says where the log begins. */
static int write_base(struct log_store_sqlite *self, struct raft_entry_id base, uint64_t chain)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_BASE];
    char text[LOG_DB_BASE_SIZE];

    log_db_format_base(base, chain, text);
    const int code = sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
    RK_ASSERT(code == SQLITE_OK);
    log_db_bind_u64(statement, 2, log_db_meta_checksum("base", text));
    return run(statement);
}

/* The log gives way to a snapshot that is in the list: log_store.c has looked. */
static int write_snapshot(struct log_store_sqlite *self, const struct raft_snapshot *snapshot)
{
    const struct log_snapshot *noted = self->base.snapshots;

    while (noted->id.index != snapshot->id.index) {
        noted++;
    }
    const int code = run(self->statements[STATEMENT_RESET]);
    return code == SQLITE_OK ? write_base(self, noted->id, noted->chain) : code;
}

static int write_one(struct log_store_sqlite *self, const struct raft_write *write)
{
    int code = SQLITE_OK;

    if (write->snapshot != NULL || write->truncate_from != 0) {
        code = write_waiting(self);
    }
    if (code == SQLITE_OK && write->has_hard_state) {
        code = write_hard_state(self, &write->hard_state);
    }
    if (code == SQLITE_OK && write->snapshot != NULL) {
        code = write_snapshot(self, write->snapshot);
    }
    if (code == SQLITE_OK && write->truncate_from != 0) {
        log_db_bind_u64(self->statements[STATEMENT_TRUNCATE], 1, write->truncate_from);
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
        code = write_waiting(self);
    }
    if (code == SQLITE_OK) {
        const uint64_t began_us = rk_monotonic_us();
        code = run(self->statements[STATEMENT_COMMIT]);
        store->commit_us = rk_monotonic_us() - began_us;
    }
    return log_db_status(code);
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

    log_db_bind_u64(statement, 1, first);
    log_db_bind_u64(statement, 2, last);
    do {
        const int code = sqlite3_step(statement);
        status = code == SQLITE_DONE ? RK_CORRUPT : log_db_status(code);
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

/* ---- snapshots and what they replace ---- */

/* Steps a query that returns one number. */
static int query_number(sqlite3_stmt *statement, uint64_t *ret)
{
    const int code = sqlite3_step(statement);

    *ret = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    const int reset_code = sqlite3_reset(statement);
    return code == SQLITE_ROW ? reset_code : code;
}

static int count_pages(struct log_store_sqlite *self, uint64_t *ret_all, uint64_t *ret_used)
{
    uint64_t unused = 0;
    int code = query_number(self->statements[STATEMENT_PAGES], ret_all);

    if (code == SQLITE_OK) {
        code = query_number(self->statements[STATEMENT_FREE_PAGES], &unused);
    }
    *ret_used = *ret_all - unused;
    return code;
}

static enum rk_status sqlite_compact(struct log_store *store, struct raft_entry_id base,
                                     uint64_t base_chain, bool is_first)
{
    struct log_store_sqlite *self = sqlite_of(store);
    uint64_t pages = 0;
    int code = is_first ? count_pages(self, &pages, &self->pages_needed) : SQLITE_OK;

    if (code == SQLITE_OK) {
        code = run(self->statements[STATEMENT_BEGIN]);
    }
    if (code == SQLITE_OK) {
        log_db_bind_u64(self->statements[STATEMENT_COMPACT], 1, base.index);
        code = run(self->statements[STATEMENT_COMPACT]);
    }
    if (code == SQLITE_OK) {
        code = write_base(self, base, base_chain);
    }
    if (code == SQLITE_OK) {
        code = run(self->statements[STATEMENT_COMMIT]);
    }
    return log_db_status(code);
}

static enum rk_status sqlite_add_snapshot(struct log_store *store,
                                          const struct log_snapshot *snapshot)
{
    return log_db_status(log_db_add_snapshot(sqlite_of(store)->db, snapshot));
}

static enum rk_status sqlite_remove_snapshot(struct log_store *store, raft_index index)
{
    return log_db_status(log_db_remove_snapshot(sqlite_of(store)->db, index));
}

static enum rk_status sqlite_forget(struct log_store *store)
{
    struct log_store_sqlite *self = sqlite_of(store);
    int code = run(self->statements[STATEMENT_BEGIN]);

    if (code == SQLITE_OK) {
        code = run(self->statements[STATEMENT_RESET]);
    }
    if (code == SQLITE_OK) {
        code = write_base(self, (struct raft_entry_id){0}, 0);
    }
    if (code == SQLITE_OK) {
        code = run(self->statements[STATEMENT_COMMIT]);
    }
    return log_db_status(code);
}

/* What compaction leaves free is used again by the entries to come, so that a log in its usual
 * rhythm keeps its file. Only what exceeds twice the need of that rhythm, after a burst of
 * large values, goes back to the file system, 1 MiB at a time. */
static int shrink(struct log_store_sqlite *self)
{
    uint64_t pages = 0;
    uint64_t used = 0;

    if (self->pages_needed == 0) {
        return SQLITE_OK;
    }
    int code = count_pages(self, &pages, &used);
    if (code != SQLITE_OK || pages <= 2 * self->pages_needed + SHRINK_PAGES_MIN) {
        return code;
    }
    sqlite3_stmt *statement = self->statements[STATEMENT_SHRINK];
    do {
        code = sqlite3_step(statement); /* a row for each page, in some versions */
    } while (code == SQLITE_ROW);
    const int reset_code = sqlite3_reset(statement);
    return code == SQLITE_DONE ? reset_code : code;
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

    const int shrink_code = shrink(self);
    if (shrink_code != SQLITE_OK) {
        return log_db_status(shrink_code);
    }
    if (self->wal_bytes < self->checkpoint_bytes) {
        return RK_OK;
    }
    const bool is_large = self->wal_bytes >= wal_large_factor * self->checkpoint_bytes;
    const int code = sqlite3_wal_checkpoint_v2(
        self->db, NULL, is_large ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &in_wal,
        &folded_in);
    if (code != SQLITE_OK) {
        return log_db_status(code);
    }
    RK_ASSERT(in_wal == folded_in); /* there is no reader that could hold a part back */
    self->wal_bytes = 0;
    return RK_OK;
}

/* ---- opening ---- */

static enum rk_status load_identity(const struct complaint *complaint,
                                    struct log_store_sqlite *self, const char *node_name)
{
    struct log_identity *identity = &self->base.identity;
    char text[96];

    enum rk_status status = log_db_get_meta(complaint, self->db, "node_name", text, sizeof(text));
    if (status != RK_OK) {
        return status;
    }
    if (node_name != NULL && strcmp(text, node_name) != 0) {
        return complaint_refuse(complaint, RK_CONFLICT, "belongs to node %s, this is node %s", text,
                                node_name);
    }
    (void)snprintf(identity->node_name, sizeof(identity->node_name), "%.*s", RK_NODE_NAME_SIZE_MAX,
                   text);
    status = log_db_get_meta(complaint, self->db, "incarnation", text, sizeof(text));
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

    const enum rk_status status = log_db_get_meta(complaint, self->db, "base", text, sizeof(text));
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
        is_whole = sqlite3_column_int64(statement, 2) == log_db_hard_state_checksum(&hard_state);
    }
    (void)sqlite3_finalize(statement); /* it repeats the error of the step */
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return log_db_refuse(complaint, self->db, "cannot read term and vote");
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
            return log_db_refuse(complaint, self->db, "cannot prepare");
        }
    }
    return RK_OK;
}

/* The number that `sql` comes to for what the log holds after its base. */
static enum rk_status query_log(const struct complaint *complaint, struct log_store_sqlite *self,
                                const char *what, uint64_t *ret)
{
    char sql[96];
    char text[32];

    (void)snprintf(sql, sizeof(sql), "SELECT coalesce(%s, 0) FROM log WHERE idx > %" PRIu64, what,
                   self->base.bounds.base.index);
    const enum rk_status status = log_db_query(complaint, self->db, sql, text, sizeof(text));
    if (status == RK_OK && sscanf(text, "%" SCNu64, ret) != 1) {
        return complaint_refuse(complaint, RK_CORRUPT, "the log's indexes are not numbers");
    }
    return status;
}

/* The last row fails its check: what stands there says neither term nor, for certain, index. A term
 * that no entry here is beyond, and no index that so many rows do not reach; the scan finds it, or one
 * before it. */
static enum rk_status guess_last_entry(const struct complaint *complaint,
                                       struct log_store_sqlite *self, raft_index index)
{
    struct log_bounds *bounds = &self->base.bounds;
    const raft_term term = self->base.hard_state.term;
    uint64_t rows = 0;

    const enum rk_status status = query_log(complaint, self, "count(*)", &rows);
    if (status != RK_OK) {
        return status;
    }
    const raft_index reached = bounds->base.index + rows;
    bounds->last = (struct raft_entry_id){
        .term = term > bounds->base.term ? term : bounds->base.term,
        .index = index < reached ? index : reached,
    };
    bounds->last_chain = 0;
    return RK_OK;
}

/* Takes term and chain from the last entry's own frame; log_store_scan() verifies the way there.
 * Errors: RK_CORRUPT, RK_IO. */
static enum rk_status read_last_entry(struct log_store_sqlite *self, raft_index index)
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
    if (status == RK_OK) {
        bounds->last = (struct raft_entry_id){frame.term, frame.index};
        bounds->last_chain = frame.chain;
    }
    return status == RK_OK || status == RK_IO ? status : RK_CORRUPT;
}

static enum rk_status load_bounds(const struct complaint *complaint, struct log_store_sqlite *self)
{
    raft_index last = 0;

    enum rk_status status = load_base(complaint, self);
    if (status == RK_OK) {
        status = query_log(complaint, self, "max(idx)", &last);
    }
    if (status != RK_OK || last == 0) {
        return status;
    }
    status = read_last_entry(self, last);
    if (status == RK_IO) {
        return complaint_refuse(complaint, RK_IO, "entry %" PRIu64 ", the last one: %s", last,
                                sqlite3_errmsg(self->db));
    }
    return status == RK_OK ? RK_OK : guess_last_entry(complaint, self, last);
}

static enum rk_status load_all(const struct complaint *complaint, struct log_store_sqlite *self,
                               const char *node_name)
{
    enum rk_status status = log_db_setup(complaint, self->db);
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
        status = log_db_load_snapshots(complaint, self->db, &self->base);
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
        (void)sqlite3_finalize(
            self->statements[i]); /* it repeats what the statement's last step said */
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
    .compact = sqlite_compact,
    .add_snapshot = sqlite_add_snapshot,
    .remove_snapshot = sqlite_remove_snapshot,
    .forget = sqlite_forget,
    .maintain = sqlite_maintain,
    .close = sqlite_close,
};

enum rk_status log_store_sqlite_open(const struct log_store_sqlite_options *options,
                                     struct log_store **ret, char *message, size_t message_size)
{
    const struct complaint complaint = {options->path, message, message_size};
    enum rk_status status = RK_OK;

    if (access(options->path, F_OK) != 0 && options->node_name == NULL) {
        return complaint_refuse_errno(&complaint, "cannot open");
    }
    if (access(options->path, F_OK) != 0) {
        RK_ASSERT(strlen(options->node_name) <= RK_NODE_NAME_SIZE_MAX);
        RK_ASSERT(options->incarnation != 0);
        status = log_db_create(&complaint, options);
        if (status != RK_OK) {
            return status;
        }
    }
    struct log_store_sqlite *self = rk_heap_zalloc(1, sizeof(*self));
    self->base.ops = &sqlite_ops;
    self->checkpoint_bytes =
        options->checkpoint_bytes == 0 ? checkpoint_bytes_default : options->checkpoint_bytes;
    status = log_db_connect(&complaint, options->path, &self->db);
    if (status == RK_OK) {
        int was_set = 0;
        const int code = sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &was_set);
        RK_ASSERT(code == SQLITE_OK && was_set == 1);
        status = load_all(&complaint, self, options->node_name);
    }
    if (status != RK_OK) {
        log_store_close(&self->base);
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
