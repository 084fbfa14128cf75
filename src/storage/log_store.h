/* log_store.h -- durable log entries plus hard state: one interface, several stores.
 *
 * Why one interface for both: a vote, a truncation and an append that belong to one step must
 * reach the disk together (dissertation 3.8), and one transaction costs one fsync.
 *
 * Call the log_store_*() functions, never ops: they check the contract before and after every
 * call, so log_store_sqlite.c and log_store_mem.c are held to the same rules.
 *
 * Thread: the disk thread (open, recovery and close: the thread that starts and stops it).
 * Memory: arguments are borrowed for the call only.
 */
#ifndef RK_STORAGE_LOG_STORE_H
#define RK_STORAGE_LOG_STORE_H

#include "base/buf.h"
#include "base/status.h"
#include "raft/types.h"

/* Entries held are base.index + 1 .. last.index. base is the last entry that a snapshot
 * replaced, {0, 0} before the first one. Invariant: base <= last, in index and in term. */
struct log_bounds {
    struct raft_entry_id base;
    uint64_t base_chain; /* frame chain at base; 0 before the first entry */
    struct raft_entry_id last;
    uint64_t last_chain;
};

/* A snapshot that is durable as a file (snap_store.h), as the log store has noted it down. */
struct log_snapshot {
    struct raft_entry_id id; /* the last entry that it stands for */
    uint64_t chain;          /* frame chain at that entry */
    raft_index config_index; /* of the entry that holds `config`; <= id.index */
    struct rk_bytes config;  /* in force at id, encoded; opaque here, never empty */
    uint64_t size;           /* of the file, in bytes */
    uint64_t digest;         /* of the file */
};

enum {
    LOG_SNAPSHOTS_MAX = 4, /* the newest, the one before it, and those that come and go */
    LOG_SNAPSHOT_CONFIG_SIZE_MAX = 64 * 1024,
};

struct log_store;

/* Who owns this directory. Written once, when the directory is new. */
struct log_identity {
    char node_name[65];   /* NUL-terminated */
    uint64_t incarnation; /* random, drawn when the directory was made; never 0 */
};

/* What an implementation does; log_store.c has checked the arguments and checks the frames that
 * `read` appends. A failed write leaves no trace behind that a later open would not also show. */
struct log_store_ops {
    enum rk_status (*write)(struct log_store *store, const struct raft_write *const *writes,
                            uint32_t writes_count);
    enum rk_status (*read)(struct log_store *store, raft_index first, raft_index last,
                           size_t bytes_max, struct rk_buf *buf, raft_index *ret_last);
    enum rk_status (*compact)(struct log_store *store, struct raft_entry_id base,
                              uint64_t base_chain, bool is_first /* of the slices to one index */);
    enum rk_status (*add_snapshot)(struct log_store *store, const struct log_snapshot *snapshot);
    enum rk_status (*remove_snapshot)(struct log_store *store, raft_index index);
    enum rk_status (*forget)(struct log_store *store); /* all entries; the base is {0, 0} */
    enum rk_status (*maintain)(struct log_store *store);
    void (*close)(struct log_store *store);
};

/* First member of every implementation, which fills it once, at open. From then on log_store.c
 * moves bounds and hard_state, so that no implementation can get them wrong. */
struct log_store {
    const struct log_store_ops *ops;
    bool
        has_failed; /* a write, a checkpoint or a read failed: everything is refused from then on */
    struct log_bounds bounds;
    struct raft_hard_state hard_state;
    struct log_identity identity;
    struct log_snapshot snapshots[LOG_SNAPSHOTS_MAX]; /* ascending by index; configs are owned */
    uint32_t snapshots_count;
    bool is_compacting; /* the last slice has left some for another */
    uint64_t commit_us; /* of the last write: how long its commit took; 0: there is none */
};

/* Makes all of `writes`, in order, durable in one transaction with one fsync: after RK_OK they
 * survive any crash. Entries carry sealed frames (base/frame.h). The snapshot that a write names is
 * one that was added before (asserted): the log then goes on after it, with its chain.
 * Errors: RK_IO, RK_FULL (disk full), RK_CORRUPT (what a truncation would continue fails its
 * check). Bounds and hard state are then unchanged in memory and the
 * caller must stop the process: a failed fsync may not be retried, the kernel may already have
 * dropped the pages (correctness F2). Every later call on the store returns RK_IO. */
RK_MUST_USE enum rk_status log_store_write(struct log_store *store,
                                           const struct raft_write *const *writes,
                                           uint32_t writes_count);

/* Appends to `buf` the frames of entries first .. last, stopping after the first one that makes
 * at least `bytes_max` bytes; *ret_last is the last index appended. Each frame is checked.
 * Errors: RK_COMPACTED (first <= base), RK_NOT_FOUND (last > last held), RK_IO, RK_CORRUPT,
 * RK_TOO_LARGE (buf's ceiling); buf may then hold a part, *ret_last is untouched. After RK_IO
 * every later call on the store returns RK_IO. */
RK_MUST_USE enum rk_status log_store_read(struct log_store *store, raft_index first,
                                          raft_index last, size_t bytes_max, struct rk_buf *buf,
                                          raft_index *ret_last);

/* Deletes the oldest entries, up to `index` at most and no more than `entries_max` of them, in one
 * transaction: what is left begins after a new base. `index` is that of a snapshot in the list or
 * before it (asserted): what no snapshot stands for is never deleted (pitfall 59). *ret_is_more says
 * that entries up to `index` are left. Errors: as for a write. */
RK_MUST_USE enum rk_status log_store_compact(struct log_store *store, raft_index index,
                                             uint32_t entries_max, bool *ret_is_more);

/* Notes a snapshot down, durably: its file was synced, renamed and read back before. Its index is
 * above that of all in the list, which has room (asserted). Errors: as for a write. */
RK_MUST_USE enum rk_status log_store_add_snapshot(struct log_store *store,
                                                  const struct log_snapshot *snapshot);

/* Forgets the snapshot at `index`, durably; none there: nothing happens. The caller removes the file
 * afterwards, so that no row is without its file. Errors: as for a write. */
RK_MUST_USE enum rk_status log_store_remove_snapshot(struct log_store *store, raft_index index);

/* Gives all entries up, durably: the log is empty and begins at 0; term, vote and the list of snapshots
 * stay. For a node that begins anew from its leader and whose promises are kept elsewhere
 * (high_water.h). Errors: as for a write. */
RK_MUST_USE enum rk_status log_store_forget(struct log_store *store);

/* Called between batches, when no write waits: checkpoints the WAL when it has grown enough to be
 * worth it, and gives room that compaction has left back to the file system, a little at a time. Errors: RK_IO, RK_FULL, RK_CORRUPT: as for a write. */
RK_MUST_USE enum rk_status log_store_maintain(struct log_store *store);

/* What a start learns from the log; everything is checked on the way: contiguity, terms that never
 * fall, CRCs, the hash chain from base to last. `on_entry` is called for every entry in order and
 * may keep nothing of it; a status other than RK_OK ends the scan with it.
 * Errors: RK_IO, RK_CORRUPT, what on_entry returned; *ret_bad_index then names the entry. */
typedef enum rk_status log_store_visit(void *context, const struct raft_entry *entry);
RK_MUST_USE enum rk_status log_store_scan(struct log_store *store, log_store_visit *on_entry,
                                          void *context, raft_index *ret_bad_index);

/* For implementations, at open: appends a copy of what was stored to the list. */
void log_snapshots_push(struct log_store *store, const struct log_snapshot *snapshot);

/* Frees the store and all it lent. NULL is allowed. */
void log_store_close(struct log_store *store);

#endif
