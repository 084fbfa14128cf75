/* snap_work.h -- jobs on snapshots' files, and how they are done: no thread and no queue here.
 *
 * Everything but the taking of a snapshot is done at once. A snapshot is taken in slices, between
 * the other jobs, so that those who are being sent one do not wait for it; the root that it is
 * taken of is held by the submitter until the job comes back.
 *
 * Thread: that of the caller, one at a time: the snapshot worker's.
 */
#ifndef RK_SERVER_SNAP_WORK_H
#define RK_SERVER_SNAP_WORK_H

#include "base/buf.h"
#include "base/status.h"
#include "raft/types.h"
#include "server/restore_source.h"
#include "statemachine/image.h"
#include "statemachine/membership.h"
#include "statemachine/sm.h"
#include "storage/log_store.h"
#include "storage/snap_store.h"

enum { SNAP_PIECE_SIZE = 1 << 20 }; /* sent to a peer at once */

enum snap_job_type {
    SNAP_TAKE = 1,
    SNAP_PIECE,
    SNAP_RECEIVE,
    SNAP_BUILD,
    SNAP_RETAIN,
    SNAP_FREE,
    SNAP_CHECK,
    SNAP_RECORDS,
};

/* A snapshot, what it stands for and what its file comes to. */
struct snap_info {
    struct snap_ref ref;
    uint64_t chain;
    raft_index config_index;
    struct membership membership;
};

struct snap_job {
    enum snap_job_type type;
    enum rk_status status; /* set when it comes back */

    /* TAKE: of `root`, which is of entry info.ref.id; size and digest are the result. A part that
     * fails leaves nothing. RK_DIFFERS: memory has changed by itself, in what entry `offset` wrote.
     * BUILD: the received file, whole, becomes a snapshot and a state
     * machine, `sm`, the caller's; RK_CORRUPT: it is not what info.ref said. */
    struct sm_root root;
    struct snap_info info;
    struct sm *sm; /* FREE: this one goes, with all its roots */

    /* PIECE: up to SNAP_PIECE_SIZE bytes of the snapshot info.ref.id from `offset` on, for `peer`.
     * RECEIVE: `bytes` at `offset` of info.ref, when exactly so much of it is there; whatever
     * comes of it, `offset` then says how much is. */
    raft_node_id peer;
    uint64_t offset;
    struct rk_buf bytes;

    /* CHECK, RECORDS: of a backup that somebody sent; the submitter's. RECORDS: the next ones are in
     * `bytes`. */
    struct restore_source *restore;

    /* RETAIN: all others are removed. */
    struct raft_entry_id ids[LOG_SNAPSHOTS_MAX + 3]; /* beside those noted down: taken, received */
    uint32_t ids_count;
};

struct snap_job *snap_job_new(enum snap_job_type type);
void snap_job_free(struct snap_job *job); /* and the state machine that is still in it */

/* What the jobs are done on. */
struct snap_work {
    struct snap_store *store; /* owned by whoever runs this */
    struct snap_ref received; /* of the open part */
    struct snap_job *taking;  /* NULL: none */
    struct sm_image_writer writer;
    struct snap_sum sum;
};

/* Does the job. False: it is being taken, in slices; one at a time (asserted). */
RK_MUST_USE bool snap_work_run(struct snap_work *work, struct snap_job *job);

/* Goes on taking; returns the job when it is done. Only while work->taking is not NULL. */
struct snap_job *snap_work_slice(struct snap_work *work);

/* Gives up what is being taken; returns its job, NULL if there is none. */
struct snap_job *snap_work_stop(struct snap_work *work);

/* Builds the state of a snapshot and reads all about it. Errors: RK_NOT_FOUND, RK_IO, RK_CORRUPT;
 * the results are then untouched. */
RK_MUST_USE enum rk_status snap_load(struct snap_store *store, struct raft_entry_id id,
                                     struct sm **ret_sm, struct snap_info *ret);

#endif
