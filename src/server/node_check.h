/* node_check.h -- whether the replicas hold the same, and the faults that tests put into one: a part of
 * node_internal.h, for node*.c alone. Thread: the node thread.
 */
#ifndef RK_SERVER_NODE_CHECK_H
#define RK_SERVER_NODE_CHECK_H

#include "network/wire.h"
#include "statemachine/scrub.h"
#include "storage/differs.h"

struct node;
struct peer;

enum {
    NODE_CHECK_EVERY = 64, /* entries between two digests that are kept */
    NODE_REPAIR_MS = 200,  /* until what was asked for is answered, to who asked for it here */
    NODE_SCRUB_MS = 100,   /* between two looks at what is in memory ... */
    NODE_SCRUB_BYTES = 256 << 10, /* ... of so much */
    NODE_CHECK_MARKS = 1024,      /* so many of them */
};

/* The digest of the state at an entry; index 0: none. */
struct check_mark {
    raft_index index;
    uint64_t digest;
};

/* Whether the replicas hold the same: node_check.c. */
struct node_check {
    struct check_mark marks[NODE_CHECK_MARKS];
    raft_index newest;        /* of them */
    raft_index differs;       /* this node's state was found to differ there; 0: it was not */
    uint64_t repair_since_ms; /* the leader has said that an operator wants it; 0: it did not */
    raft_index asked;         /* leader: the others are asked for their digest there; 0: nowhere */
    uint64_t asked_since_ms;
    raft_index judged; /* leader: the last that was compared */
    struct sm_scrub scrub;
    uint64_t scrub_due_ms;
};

void node_check_applied(struct node *node, raft_index index); /* up to there, and no further */
void node_check_open(struct node *node);
void node_check_close(struct node *node);
void node_check_replaced(struct node *node); /* a leader's snapshot is the state now */
void node_check_turn(struct node *node);
/* What the node knows of itself since before this start. */
enum differs node_check_restore(struct node *node);
/* Notes down that this node's state differs, or is to be made anew, and ends it for another start. */
_Noreturn void node_check_begin_anew(struct node *node, raft_index index, bool is_repair);
/* What that entry wrote is not in memory as it was written. A node alone reads its state from its disk
 * again: nobody else has it. */
_Noreturn void node_check_damaged(struct node *node, raft_index modify_index);
/* Heartbeats: what the leader asks of a peer, what it was answered; here what was asked, after the core
 * has taken it, and the answer. */
void node_check_ask(struct node *node, const struct peer *peer, struct wire_check *ret);
void node_check_heard(struct node *node, struct peer *peer, const struct wire_check *check);
void node_check_question(struct node *node, const struct wire_envelope *envelope);
void node_check_answer(struct node *node, raft_index asked, struct wire_check *ret);

#ifdef RK_TEST_HOOKS
/* node_hooks.c: after each turn; what is applied in the place of the command. */
void node_hook_turn(struct node *node);
struct rk_bytes node_hook_command(struct node *node, struct rk_bytes command);
#endif

#endif
