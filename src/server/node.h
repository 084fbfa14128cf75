/* node.h -- one member: the thread that owns raft, the state machine's write side, the pending
 * requests and the peer side whole.
 *
 * Events come in from the HTTP loops (node_submit), the disk thread and the peers; one turn of the
 * loop takes all that waits, steps the core, performs its outputs in field order, applies what is
 * committed, publishes the root, and answers. A storage error or damage found in the log ends the
 * process (node_end): a node that is down is better than one that lies.
 *
 * Thread: node_start, node_stop on the main thread; node_submit and the views from any.
 */
#ifndef RK_SERVER_NODE_H
#define RK_SERVER_NODE_H

#include "api/node_port.h"
#include "base/status.h"
#include "server/client_request.h"
#include "server/options.h"
#include "server/root.h"

struct node;
struct log_store;
struct high_water;
struct data_dir;
struct snap_store;

struct node_start_options {
    const struct options *options; /* borrowed for the node's life */
    struct log_store *store;       /* taken over, on error too */
    struct high_water *water;      /* taken over, on error too; NULL with a memory store */
    struct snap_store *snaps;      /* taken over, on error too */
    struct data_dir *dir;          /* borrowed; NULL with a memory store */
    struct root_board *board;      /* borrowed; the node publishes there */
};

/* Reads the log back, opens the peer listener and starts the thread. Errors: RK_IO, RK_CORRUPT,
 * RK_INVALID (listener); `message` then says what is wrong and *ret is untouched. */
RK_MUST_USE enum rk_status node_start(const struct node_start_options *start, struct node **ret,
                                      char *message, size_t message_size);

/* Hands over what can be handed over, answers what waits and joins, within `timeout_ms`; what is
 * left then is answered as unknown, or as not done where nothing of it left this node. From then on
 * node_submit() refuses. */
void node_stop(struct node *node, uint32_t timeout_ms);
void node_free(struct node *node); /* after node_stop() and after the HTTP loops have stopped */

/* The node takes a snapshot as soon as it may, however short its log is, if anything was applied since
 * the last one; and the log is cut. Thread: any. */
void node_take_snapshot(struct node *node);

#ifdef RK_TEST_HOOKS
/* Puts a fault into the node: node_hooks.c. Thread: any. */
void node_hook(struct node *node, int signal_number);
#endif

/* Hands requests over, all or none. Errors: RK_BUSY (the mailbox has no room for them, or the node
 * stops: nothing was taken). */
RK_MUST_USE enum rk_status node_submit(struct node *node, struct client_request *const *requests,
                                       uint32_t count);

/* For the hot path: brings names, leader and numbers of *view up to date; *version is the caller's
 * memory of which view it has (0 at first). Cheap when nothing but numbers moved. What it says of
 * readiness and health is not judged. */
void node_view_refresh(struct node *node, struct node_view *view, uint64_t *version);

/* False from the start until the node has applied, once, all that a leader called committed. Before
 * that its state is that of no moment in the cluster's life: it is not even stale. */
bool node_has_caught_up(const struct node *node);

/* With default-read = lease: whether what was read from a root that has applied `last_applied` is
 * linearizable as it is; asked after the reading (server/lease.h). */
bool node_lease_holds(const struct node *node, raft_index last_applied);

/* What the node measures of itself; the HTTP loops write theirs. Lent for the node's life. */
struct rk_meters *node_meters(struct node *node);

/* A whole view, with readiness and health as of now. */
void node_view_copy(struct node *node, struct node_view *view);

#endif
