/* snap_store.h -- where snapshots are kept: one interface, in a directory or in memory.
 *
 * A snapshot comes to be as a part: one is being taken, and one is being received, at a time. A part
 * becomes a snapshot by snap_store_publish(): synced, renamed, the directory synced. It counts only
 * when it was read back whole and the log store has noted it down (pitfall 59). A part that
 * is being received survives a restart, so that the transfer goes on where it was; what was not
 * synced of it may be anything, and the file's digest tells.
 *
 * Names are made here, of numbers; a peer never supplies one.
 *
 * Thread: one at a time: the snapshot worker's; the starting thread before that.
 */
#ifndef RK_STORAGE_SNAP_STORE_H
#define RK_STORAGE_SNAP_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/status.h"
#include "raft/types.h"
#include "storage/snap_file.h"

enum snap_part { SNAP_TAKEN, SNAP_RECEIVED, SNAP_PARTS };

struct snap_store;

/* What an implementation does; snap_store.c has checked the arguments. */
struct snap_store_ops {
    enum rk_status (*open_part)(struct snap_store *store, enum snap_part part,
                                const struct snap_ref *what, uint64_t *ret_size);
    enum rk_status (*append)(struct snap_store *store, enum snap_part part, struct rk_bytes bytes);
    enum rk_status (*publish)(struct snap_store *store, enum snap_part part,
                              struct raft_entry_id id);
    void (*drop)(struct snap_store *store, enum snap_part part);
    enum rk_status (*read)(struct snap_store *store, struct raft_entry_id id, uint64_t offset,
                           uint8_t *to, size_t size, size_t *ret_size);
    enum rk_status (*retain)(struct snap_store *store, const struct raft_entry_id *ids,
                             uint32_t ids_count);
    void (*close)(struct snap_store *store);
};

/* First member of every implementation. */
struct snap_store {
    const struct snap_store_ops *ops;
    bool is_open[SNAP_PARTS];
    uint64_t size[SNAP_PARTS]; /* of the open part */
};

/* Opens a directory, made with mode 0700 when it is not there, and removes what was left of snapshots
 * that were being taken. Errors: RK_IO, RK_FULL; `message` then says why, *ret is untouched. */
RK_MUST_USE enum rk_status snap_store_file_open(const char *path, struct snap_store **ret,
                                                char *message, size_t message_size);
struct snap_store *snap_store_mem_new(void);

/* Begins to take one; the part is empty. Errors: RK_IO, RK_FULL. */
RK_MUST_USE enum rk_status snap_store_take(struct snap_store *store);

/* Goes on receiving `what`: *ret_size bytes of it are there, 0 when it is new. What is there of any
 * other is dropped. Errors: RK_IO, RK_FULL. */
RK_MUST_USE enum rk_status snap_store_receive(struct snap_store *store, const struct snap_ref *what,
                                              uint64_t *ret_size);

/* Appends to the open part. Errors: RK_IO, RK_FULL: the part is good for nothing but drop. */
RK_MUST_USE enum rk_status snap_store_append(struct snap_store *store, enum snap_part part,
                                             struct rk_bytes bytes);

/* The open part becomes the snapshot `id`, durably, and takes the place of one with that id. Errors:
 * RK_IO, RK_FULL; it may then be there or not. The part is closed, and gone, in any case. */
RK_MUST_USE enum rk_status snap_store_publish(struct snap_store *store, enum snap_part part,
                                              struct raft_entry_id id);

/* Removes the part, if one is open. */
void snap_store_drop(struct snap_store *store, enum snap_part part);

/* Fills `to` from `offset` of the snapshot on; fewer bytes than `size` only at its end. Errors:
 * RK_NOT_FOUND, RK_IO. */
RK_MUST_USE enum rk_status snap_store_read(struct snap_store *store, struct raft_entry_id id,
                                           uint64_t offset, uint8_t *to, size_t size,
                                           size_t *ret_size);

/* Reads a snapshot from end to end and holds it to all its checks; `on_record` (NULL: nobody) gets
 * each record of the image, and what it returns other than RK_OK ends it. *ret says what the file
 * comes to. Errors: RK_NOT_FOUND, RK_IO, RK_CORRUPT, what on_record returned; *ret is then
 * untouched. Whatever on_record was given counts only after RK_OK. */
typedef enum rk_status snap_store_visit(void *context, const struct snap_head *head, uint8_t type,
                                        struct rk_bytes body);
RK_MUST_USE enum rk_status snap_store_load(struct snap_store *store, struct raft_entry_id id,
                                           snap_store_visit *on_record, void *context,
                                           struct snap_ref *ret);

/* Removes every snapshot but these, and parts that are no longer worth receiving, being older. Parts
 * that are open stay. What was removed does not come back, when this has returned RK_OK. Errors: RK_IO,
 * RK_FULL. */
RK_MUST_USE enum rk_status snap_store_retain(struct snap_store *store,
                                             const struct raft_entry_id *ids, uint32_t ids_count);

/* Parts that are open stay where they are kept. NULL is allowed. */
void snap_store_close(struct snap_store *store);

#endif
