/* node_bring_back.h -- a backup in the place of the whole state: for node*.c alone, as node_internal.h,
 * which includes this. Thread: the node thread. */
#ifndef RK_SERVER_NODE_BRING_BACK_H
#define RK_SERVER_NODE_BRING_BACK_H

#include "raft/types.h"
#include "server/client_request.h"
#include "server/snap_work.h"

struct node;

/* On the leader, from the beginning of a restore that it has proposed to its end. */
struct restore_gate {
    uint64_t id; /* of the restore; 0: open */
    raft_term term;
    uint64_t heard_ms; /* its last part came */
};

/* A restore that this node drives. */
struct node_bringing {
    struct client_request *request; /* whose; NULL: none is under way */
    struct restore_source *source;
    bool is_with_worker; /* a job has the source */
    uint64_t id;
    uint64_t records_count;
    uint64_t sent_count;   /* of them */
    uint32_t parts_open;   /* sent and not answered */
    enum rk_status status; /* the first that was not well */
    bool is_ending;        /* the end is sent */
    raft_index end_index;  /* of the last part that was applied */
};

/* Whether the command may be proposed now: RK_OK; RK_RESTORING, a restore is under way and this is not
 * its next part; RK_CONFLICT, a part of one that is over; RK_CORRUPT. */
RK_MUST_USE enum rk_status node_restore_gate(struct node *node, struct rk_bytes body);
bool node_restore_holds_log(const struct node *node); /* nothing else may be proposed */
void node_restore_settle(struct node *node);          /* after each applied command */
void node_bring_back(struct node *node, struct client_request *request);
void node_bring_checked(struct node *node, const struct snap_job *job);
void node_bring_read(struct node *node, const struct snap_job *job);
void node_bring_part_done(struct node *node, struct client_request *part, enum rk_status status);
void node_bring_turn(struct node *node);
uint64_t node_bring_deadline_ms(const struct node *node);
void node_bring_stop(struct node *node);
void node_bring_free(struct node *node); /* after the worker has ended */

#endif
