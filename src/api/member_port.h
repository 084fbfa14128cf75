/* member_port.h -- what an administrator may ask of the leader, and what comes of it: plain data
 * between a resource (api_members.c) and the node (server/node_members.c).
 */
#ifndef RK_API_MEMBER_PORT_H
#define RK_API_MEMBER_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/status.h"
#include "raft/types.h"

enum admin_type {
    ADMIN_LOOK,     /* only to be answered from what the leader knows */
    ADMIN_ADD,      /* as a learner; becomes a voter by itself unless items[0].stays_learner */
    ADMIN_PROMOTE,  /* a learner that has caught up */
    ADMIN_REMOVE,   /* a voter, through a joint configuration, or a learner */
    ADMIN_REPLACE,  /* each `who` by a new one, all in one joint configuration */
    ADMIN_REPAIR,   /* of items[0].who, whose state differs: it begins anew */
    ADMIN_TRANSFER, /* of the leadership: to items[0].who; no item: to the best follower */
};

struct admin_item {
    char who[RK_ADDRESS_SIZE_MAX + 1]; /* name, or id in digits; "": a new one */
    bool is_address;                   /* `who` is a peer address */
    bool stays_learner;
    char name[RK_NODE_NAME_SIZE_MAX + 1]; /* of the new one; legal */
    char peer_address[RK_ADDRESS_SIZE_MAX + 1];
    raft_node_id id; /* the node's: drawn for a new one, else of whom `who` means */
};

struct admin_request {
    enum admin_type type;
    bool has_cas; /* only if the configuration has index `cas` */
    raft_index cas;
    uint32_t items_count; /* 0 .. RAFT_VOTERS_MAX */
    struct admin_item items[RAFT_VOTERS_MAX];
};

/* Why the leader will not do it; nothing was changed. */
enum admin_refusal {
    ADMIN_ALLOWED,
    ADMIN_IN_FLIGHT,         /* another change is not over; `who`: the member that catches up */
    ADMIN_INDEX_DIFFERS,     /* `numbers[0]`: the index the configuration has */
    ADMIN_UNKNOWN_NODE,      /* `who` */
    ADMIN_NAME_TAKEN,        /* `who` */
    ADMIN_ADDRESS_TAKEN,     /* `who`: the address */
    ADMIN_ALREADY_VOTER,     /* `who` */
    ADMIN_STILL_ANSWERS,     /* `who` is to be replaced at its own address, and is there */
    ADMIN_NOT_CAUGHT_UP,     /* `who`; numbers: its match index, the leader's last index */
    ADMIN_LAST_VOTER,        /* nobody would be left to vote */
    ADMIN_TOO_MANY_VOTERS,   /* past RAFT_VOTERS_MAX */
    ADMIN_TOO_MANY_LEARNERS, /* past RAFT_LEARNERS_MAX */
    ADMIN_QUORUM_LOST,       /* numbers: voters that answer, voters, votes that are needed */
    ADMIN_NOT_TRANSFERABLE,  /* `who` may not lead, or nobody is there who could */
    ADMIN_DOES_NOT_DIFFER,   /* `who`: its state is as the others', or it does not answer */
    ADMIN_TRANSFER_FAILED,   /* it did not take over within an election timeout */
};

struct admin_outcome {
    enum rk_status status; /* RK_OK: done, or refused; else as of a write (api/error.h) */
    enum admin_refusal refusal;
    char who[RK_ADDRESS_SIZE_MAX + 1];
    uint64_t numbers[3];
    raft_index index; /* done: of the configuration */
};

#endif
