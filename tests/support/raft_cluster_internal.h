/* raft_cluster_internal.h -- what the files of raft_cluster.h call in one another. */
#ifndef RK_TESTS_SUPPORT_RAFT_CLUSTER_INTERNAL_H
#define RK_TESTS_SUPPORT_RAFT_CLUSTER_INTERNAL_H

#include "support/raft_cluster.h"

/* A line of the trace, if there is one. */
__attribute__((format(printf, 3, 4))) void cluster_trace(struct cluster *cluster, raft_node_id id,
                                                         const char *format, ...);
void cluster_trace_message(struct cluster *cluster, const struct raft_message *message);
/* What the latest step changed; remembers the view. */
void cluster_trace_view(struct cluster *cluster, struct cluster_node *node);

/* At random, both ends included. */
uint64_t cluster_draw(struct cluster *cluster, uint32_t min, uint32_t max);
/* `message` leaves `node`: it is in flight, twice or not at all, as the options say. */
void cluster_depart(struct cluster *cluster, struct cluster_node *node,
                    const struct raft_message *message);

/* `entry` has to be the next one. */
void cluster_log_put(struct cluster_log *log, const struct cluster_entry *entry);
/* The log that `snapshot` makes; the caller's to free. */
struct cluster_log *cluster_log_of_snapshot(struct cluster *cluster,
                                            const struct raft_snapshot *snapshot);
void cluster_log_copy(struct cluster_log *to, const struct cluster_log *from);
/* The write of the latest step goes to the log as the core sees it, and waits for the disk. */
void cluster_take_write(struct cluster *cluster, struct cluster_node *node);

#endif
