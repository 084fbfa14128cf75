/* recover.h -- the quorum is gone for good: one node's directory becomes a cluster of its own.
 *
 * A last entry is written behind its log, by hand as it were: a configuration that has this node alone,
 * with a new cluster id, in a term above all that it knows. Started, it elects itself, and what its log
 * holds is committed, the entries too that no majority ever had. Its former peers and it refuse each
 * other from then on, for they are of different clusters. What it had not heard of is lost.
 *
 * For a node that does not run: the directory is locked meanwhile. Thread: the main one.
 */
#ifndef RK_BACKUP_RECOVER_H
#define RK_BACKUP_RECOVER_H

#include <stddef.h>

#include "base/limits.h"
#include "base/status.h"
#include "raft/types.h"
#include "statemachine/membership.h"

enum { RECOVER_MESSAGE_SIZE = 1024 };

struct recovered {
    char node[RK_NODE_NAME_SIZE_MAX + 1];
    char peer_address[RK_ADDRESS_SIZE_MAX + 1];
    char former_cluster[CLUSTER_ID_TEXT_SIZE];
    char cluster[CLUSTER_ID_TEXT_SIZE];
    uint32_t members_lost;      /* of the former configuration */
    struct raft_entry_id last;  /* of the log as it was found */
    struct raft_entry_id entry; /* that was written */
    raft_index lost_index; /* the log once reached to here and does not any more; 0: it is whole */
};

/* `cluster_id` must be the directory's, so that a wrong one is not taken. Errors: RK_BUSY (a node has
 * it), RK_CONFLICT (of another cluster, or its node is no member), RK_CORRUPT (the log or its newest
 * snapshot is damaged), RK_INVALID, RK_IO, RK_FULL; `message` then says why. Before the entry is durable
 * nothing has changed; an error after that says so. */
RK_MUST_USE enum rk_status recover(const char *data_dir, const char *cluster_id,
                                   struct recovered *ret, char *message, size_t message_size);

#endif
