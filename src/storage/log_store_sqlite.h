/* log_store_sqlite.h -- the log in SQLite: raft.db in WAL mode, synchronous=FULL.
 *
 * One connection, locking_mode=EXCLUSIVE, no automatic checkpoint (correctness F5, 53, 54): this
 * store alone decides when to checkpoint, between batches. The schema stands at the head of
 * log_db.c.
 */
#ifndef RK_STORAGE_LOG_STORE_SQLITE_H
#define RK_STORAGE_LOG_STORE_SQLITE_H

#include "storage/log_store.h"

struct log_store_sqlite_options {
    const char *path; /* of raft.db; created 0600 when absent */
    /* The name to write into a new database and to compare with that of an old one. NULL: whatever it is,
     * and there must be one. */
    const char *node_name;
    uint64_t incarnation;      /* for a new database */
    uint64_t checkpoint_bytes; /* WAL size from which maintain() checkpoints; 0: the default */
};

/* Opens or creates. Before anything is believed the WAL is folded in by a checkpoint, whose
 * failure fails the open (F2). Damage in the log's rows is for log_store_scan() to find: where the last
 * row is damaged, the bounds end where it was, with a term that it was not beyond. Errors: RK_IO, RK_FULL, RK_CORRUPT, RK_CONFLICT (it is another
 * node's: `message` says whose); `message` (of `message_size` bytes) then says what is wrong and
 * *ret is untouched. */
RK_MUST_USE enum rk_status log_store_sqlite_open(const struct log_store_sqlite_options *options,
                                                 struct log_store **ret, char *message,
                                                 size_t message_size);

/* "3.40.1", for status and logs. */
const char *log_store_sqlite_version(void);

#endif
