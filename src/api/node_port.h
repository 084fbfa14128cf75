/* node_port.h -- what the API may know of the node it runs in: a moment's view, as plain data.
 *
 * The node publishes a new view when something in it changed; an HTTP loop copies the latest one.
 */
#ifndef RK_API_NODE_PORT_H
#define RK_API_NODE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/meter.h"
#include "raft/types.h"

struct node_view_member {
    raft_node_id id;
    char name[RK_NODE_NAME_SIZE_MAX + 1];
    char peer_address[RK_ADDRESS_SIZE_MAX + 1];
    char client_address[RK_ADDRESS_SIZE_MAX + 1]; /* "": not known */
    bool is_voter;
    bool is_learner;
    bool wants_vote;       /* a learner that becomes a voter once it has caught up */
    raft_node_id replaces; /* who goes when it votes; 0: nobody */
    bool is_seen;          /* false: its incarnation is not written down yet */
    bool has_progress;     /* this node leads and has heard from it: the following are set */
    raft_index match_index;
    raft_index commit_index;
    raft_index last_applied;
    uint32_t catch_up_rounds; /* so many it was too slow in, one after the other (4.2.1) */
    uint64_t snapshot_sent;   /* bytes of a snapshot that it has */
    uint64_t snapshot_size;   /* of how many; 0: it is not being sent one */
    uint64_t contact_age_ms;  /* since it last answered */
    bool is_alive;            /* this node leads: it is this one, or answered within a timeout */
    uint32_t feature_level;   /* that it reads, as it said to this node; 0: it did not yet */
    raft_index differs;       /* where its state was found to differ; 0: it was not */
    uint64_t stable_since_ms; /* Unix time at which is_alive last changed, as this node saw it */
};

struct node_view {
    char node_name[RK_NODE_NAME_SIZE_MAX + 1];
    raft_node_id node_id; /* 0: of no cluster yet */
    char cluster_id[33];  /* "": none yet */
    const char *role;     /* static text: follower, pre_candidate, candidate, leader,
                             recovering (its log lost its end or was damaged), or, outside a
                             cluster, forming, waiting (refused: see not_ready_reason) */
    raft_term term;
    bool has_leader;
    raft_node_id leader;
    char leader_name[RK_NODE_NAME_SIZE_MAX + 1];
    char leader_peer_address[RK_ADDRESS_SIZE_MAX + 1];
    raft_index commit_index;
    raft_index last_applied;
    raft_index last_index;
    raft_index durable_index;
    uint64_t leader_contact_age_ms; /* 0 on the leader; UINT64_MAX: never heard of one */
    bool is_ready;                  /* would serve a linearizable read now */
    char not_ready_reason[192];     /* "" when ready */
    bool is_alive;                  /* every loop has turned within its bound */
    char not_alive_reason[96];
    bool is_disk_nearly_full;
    raft_index differs;         /* this node's own state was found to differ there; 0: it was not */
    uint32_t feature_level;     /* the cluster's, as far as applied here */
    uint32_t feature_level_max; /* that this node reads */
    raft_index config_index;    /* of the configuration in force */
    uint32_t failure_tolerance; /* this node leads: voters that may fail, of those that answer */
    struct rk_meters *meters;   /* what the node measures of itself; lent for the process's life */
    uint32_t members_count;
    struct node_view_member members[RAFT_MEMBERS_MAX];
};

#endif
