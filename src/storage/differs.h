/* differs.h -- a note beside the log that this node's state was found to differ from the others', so that
 * no restart makes the node forget it.
 *
 * Thread: the node's, or the one that starts it. The file is written whole under another name and
 * renamed; one that cannot be read counts as DIFFERS_FOUND, since somebody had something to say.
 */
#ifndef RK_STORAGE_DIFFERS_H
#define RK_STORAGE_DIFFERS_H

#include "base/status.h"
#include "raft/types.h"

enum differs {
    DIFFERS_NOT,
    DIFFERS_FOUND,  /* the node neither serves nor votes */
    DIFFERS_REPAIR, /* an operator wants it to begin anew: the next start gives up log and state */
};

/* What the file at `path` says; *ret_index is where the difference was seen, 0: not known. */
enum differs differs_read(const char *path, raft_index *ret_index);

/* Durable when this returns RK_OK. Errors: RK_IO, RK_FULL. */
RK_MUST_USE enum rk_status differs_write(const char *path, enum differs what, raft_index index);

/* Errors: RK_IO. */
RK_MUST_USE enum rk_status differs_remove(const char *path);

#endif
