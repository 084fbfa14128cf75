/* log_db.h -- raft.db as a file: its format, how it is made, and the settings it is opened with.
 * For log_store_sqlite.c and log_db_*.c alone. The schema stands at the head of log_db.c.
 *
 * Thread: the store's. Every failing function has said why in its complaint.
 */
#ifndef RK_STORAGE_LOG_DB_H
#define RK_STORAGE_LOG_DB_H

#include <sqlite3.h>

#include "raft/types.h"
#include "storage/files.h"
#include "storage/log_store_sqlite.h"

enum { LOG_DB_PAGE_SIZE = 4096, LOG_DB_BASE_SIZE = 3 * 17 };

/* RK_OK for OK, ROW and DONE, RK_FULL, RK_CORRUPT (also: not a database), else RK_IO. */
enum rk_status log_db_status(int code);

/* Says "path: doing: SQLite's message"; returns the status of the last error on `db`. */
RK_MUST_USE enum rk_status log_db_refuse(const struct complaint *complaint, sqlite3 *db,
                                         const char *doing);

/* Binds all 64 bits, whatever SQLite's sign. */
void log_db_bind_u64(sqlite3_stmt *statement, int position, uint64_t value);

/* Of the row in hard_state. */
uint32_t log_db_hard_state_checksum(const struct raft_hard_state *hard_state);

/* Of a row in meta. */
uint32_t log_db_meta_checksum(const char *key, const char *value);

/* The value of meta's row `base`. */
void log_db_format_base(struct raft_entry_id base, uint64_t chain, char text[LOG_DB_BASE_SIZE]);

/* The statements of the table of snapshots, run inside or outside of a transaction. Return SQLite's
 * code. */
int log_db_add_snapshot(sqlite3 *db, const struct log_snapshot *snapshot);
int log_db_remove_snapshot(sqlite3 *db, raft_index index);

/* Reads and checks all rows into the store's list, with log_snapshots_push(). Errors: RK_IO,
 * RK_CORRUPT. */
RK_MUST_USE enum rk_status log_db_load_snapshots(const struct complaint *complaint, sqlite3 *db,
                                                 struct log_store *store);

/* Makes a new database whole, durably, at options->path, where none is.
 * Errors: RK_IO, RK_FULL, RK_CORRUPT (its WAL is there). */
RK_MUST_USE enum rk_status log_db_create(const struct complaint *complaint,
                                         const struct log_store_sqlite_options *options);

/* Opens the file. The only connection: no mutex is needed, and no cache is shared. Caller closes:
 * sqlite3_close(). Errors: RK_IO, RK_CORRUPT; *ret is then untouched. */
RK_MUST_USE enum rk_status log_db_connect(const struct complaint *complaint, const char *path,
                                          sqlite3 **ret);

/* Exclusive locking, WAL, synchronous=FULL, no automatic checkpoint; folds the WAL in; checks
 * whose file and what version it is. Errors: RK_IO, RK_FULL, RK_CORRUPT. */
RK_MUST_USE enum rk_status log_db_setup(const struct complaint *complaint, sqlite3 *db);

/* Runs a query that returns one row of one column; its text goes to `ret`.
 * Errors: RK_IO, RK_CORRUPT; *ret is then untouched. */
RK_MUST_USE enum rk_status log_db_query(const struct complaint *complaint, sqlite3 *db,
                                        const char *sql, char *ret, size_t ret_size);

/* Reads and checks one value of meta; `key` is a name without quotes. Errors: RK_IO, RK_CORRUPT. */
RK_MUST_USE enum rk_status log_db_get_meta(const struct complaint *complaint, sqlite3 *db,
                                           const char *key, char *ret, size_t ret_size);

#endif
