/* data_dir.h -- the node's directory: made, locked, checked, and guarded against a full disk.
 *
 *   raft.db       SQLite: log, hard state, identity
 *   ballast       reserved space, given up only so that a full disk can still be worked on
 *   snapshots/    (with snapshots)
 *   LOCK          flock()ed while a process runs; holds its pid
 *
 * Thread: start and stop on the main thread; data_dir_space() on the disk thread.
 */
#ifndef RK_STORAGE_DATA_DIR_H
#define RK_STORAGE_DATA_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct data_dir;

/* For somebody who only looks: the directory as it is, locked against a node; nothing is made, removed or
 * written. Errors: RK_BUSY (another process has it), RK_INVALID (not a data directory), RK_IO; `message`
 * then says why, and *ret is untouched. */
RK_MUST_USE enum rk_status data_dir_look(const char *path, struct data_dir **ret, char *message,
                                         size_t message_size);

/* Creates the directory (0700, parents too) when absent, locks it, removes leftovers, makes the
 * ballast when there is room. Errors: RK_BUSY (another process has it), RK_INVALID (not a
 * directory, wrong owner, group or others may write), RK_IO, RK_FULL (cannot even be locked);
 * `message` then says which and why, and *ret is untouched. */
RK_MUST_USE enum rk_status data_dir_open(const char *path, struct data_dir **ret, char *message,
                                         size_t message_size);

/* Lends the path of `name` inside the directory until the next call. */
const char *data_dir_path(struct data_dir *dir, const char *name);

bool data_dir_is_new(const struct data_dir *dir); /* had no raft.db when opened */

/* How much room there is. Writes are refused while free_bytes < soft_limit_bytes: compaction and
 * elections must still have room to run (correctness F3, 55). */
struct data_dir_space {
    uint64_t free_bytes;       /* for this user, the ballast not counted */
    uint64_t soft_limit_bytes; /* scaled to the file system: min(64 MiB, 1/16 of it) */
    bool is_nearly_full;       /* with hysteresis: false again only at 1.25 x the limit */
};
/* Errors: RK_IO; *ret is then untouched. */
RK_MUST_USE enum rk_status data_dir_space(struct data_dir *dir, struct data_dir_space *ret);

/* Gives the ballast's blocks back to the file system; it is made again at a later open when there
 * is room. For a start that finds the disk full. */
void data_dir_drop_ballast(struct data_dir *dir);

void data_dir_close(struct data_dir *dir); /* unlocks; NULL is allowed */

#endif
