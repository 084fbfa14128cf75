/* The table of snapshots: one row for each snapshot whose file is whole and durable.
 *
 *   idx, term, chain    the entry that it stands for
 *   config_index        of the configuration in force there
 *   config              its bytes
 *   size, digest        of the file
 *   checksum            CRC-32C of idx, term, chain, config_index, size and digest as six
 *                       little-endian u64, and of config
 *
 * They change once in many thousand entries: their statements are made when they are needed.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/le.h"
#include "storage/log_db.h"

static uint32_t snapshot_checksum(const struct log_snapshot *snapshot)
{
    uint8_t bytes[48];

    rk_le_put_u64(bytes, snapshot->id.index);
    rk_le_put_u64(bytes + 8, snapshot->id.term);
    rk_le_put_u64(bytes + 16, snapshot->chain);
    rk_le_put_u64(bytes + 24, snapshot->config_index);
    rk_le_put_u64(bytes + 32, snapshot->size);
    rk_le_put_u64(bytes + 40, snapshot->digest);
    const uint32_t crc = rk_crc32c(0, bytes, sizeof(bytes));
    return rk_crc32c(crc, snapshot->config.data, snapshot->config.size);
}

int log_db_add_snapshot(sqlite3 *db, const struct log_snapshot *snapshot)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        db,
        "INSERT INTO snapshot(idx, term, chain, config_index, config, size, digest, checksum)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        -1, &statement, NULL);

    if (code != SQLITE_OK) {
        return code;
    }
    log_db_bind_u64(statement, 1, snapshot->id.index);
    log_db_bind_u64(statement, 2, snapshot->id.term);
    log_db_bind_u64(statement, 3, snapshot->chain);
    log_db_bind_u64(statement, 4, snapshot->config_index);
    code = sqlite3_bind_blob64(statement, 5, snapshot->config.data, snapshot->config.size,
                               SQLITE_STATIC);
    RK_ASSERT(code == SQLITE_OK);
    log_db_bind_u64(statement, 6, snapshot->size);
    log_db_bind_u64(statement, 7, snapshot->digest);
    log_db_bind_u64(statement, 8, snapshot_checksum(snapshot));
    code = sqlite3_step(statement);
    (void)sqlite3_finalize(statement); /* it repeats the error of the step */
    return code;
}

int log_db_remove_snapshot(sqlite3 *db, raft_index index)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "DELETE FROM snapshot WHERE idx = ?1", -1, &statement, NULL);

    if (code != SQLITE_OK) {
        return code;
    }
    log_db_bind_u64(statement, 1, index);
    code = sqlite3_step(statement);
    (void)sqlite3_finalize(statement); /* it repeats the error of the step */
    return code;
}

static uint64_t column_u64(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

/* The row that the statement stands on. Errors: RK_CORRUPT. */
static enum rk_status load_row(sqlite3_stmt *statement, struct log_store *store)
{
    const struct log_snapshot snapshot = {
        .id = {.index = column_u64(statement, 0), .term = column_u64(statement, 1)},
        .chain = column_u64(statement, 2),
        .config_index = column_u64(statement, 3),
        .config = {.data = sqlite3_column_blob(statement, 4),
                   .size = (uint32_t)sqlite3_column_bytes(statement, 4)},
        .size = column_u64(statement, 5),
        .digest = column_u64(statement, 6),
    };

    if (snapshot.config.size == 0 || snapshot.config.size > LOG_SNAPSHOT_CONFIG_SIZE_MAX ||
        store->snapshots_count == LOG_SNAPSHOTS_MAX || snapshot.id.index == 0 ||
        snapshot.config_index > snapshot.id.index ||
        column_u64(statement, 7) != snapshot_checksum(&snapshot)) {
        return RK_CORRUPT;
    }
    log_snapshots_push(store, &snapshot);
    return RK_OK;
}

enum rk_status log_db_load_snapshots(const struct complaint *complaint, sqlite3 *db,
                                     struct log_store *store)
{
    sqlite3_stmt *statement = NULL;
    enum rk_status status = RK_OK;

    int code = sqlite3_prepare_v2(db,
                                  "SELECT idx, term, chain, config_index, config, size, digest,"
                                  " checksum FROM snapshot ORDER BY idx",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    while (code == SQLITE_ROW && status == RK_OK) {
        status = load_row(statement, store);
        if (status == RK_OK) {
            code = sqlite3_step(statement);
        }
    }
    (void)sqlite3_finalize(statement); /* it repeats the error of the last step */
    if (status != RK_OK) {
        return complaint_refuse(complaint, status, "a stored snapshot fails its check");
    }
    return code == SQLITE_DONE ? RK_OK : log_db_refuse(complaint, db, "cannot read the snapshots");
}
