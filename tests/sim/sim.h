/* sim.h -- clusters of consensus cores under random faults, each run decided by one seed.
 *
 * A run draws its own fault rates (swarm), then does what it draws for a while of virtual time:
 * writes, reads, crashes that lose what was not durable, partitions whole and one-sided, pauses,
 * slow disks, transfers, changes of the configuration. Then everything is healed, and the cluster
 * must come to one log. oracles.c looks on after every step.
 *
 * A failure prints the seed and aborts.
 */
#ifndef RK_TESTS_SIM_SIM_H
#define RK_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/prng.h"
#include "support/raft_cluster.h"

enum {
    SIM_TERMS_MAX = 4096,
    SIM_READS_MAX = 65536,
};

/* How often things came to pass; a run in which nothing does proves nothing. */
struct sim_counts {
    uint64_t steps;
    uint64_t elections;
    uint64_t commits;
    uint64_t truncations;
    uint64_t crashes;
    uint64_t reads;
    uint64_t transfers;
    uint64_t configs;
    uint64_t virtual_ms;
};

struct sim_node {
    raft_index commit_index;           /* as last seen in this life */
    raft_term term;                    /* as last seen, across lives */
    raft_node_id votes[SIM_TERMS_MAX]; /* promise ledger: whom it voted for, by term */
    uint32_t reads_seen;
};

struct sim {
    uint64_t seed;
    struct rk_prng prng;
    struct cluster *cluster;
    struct sim_counts *counts;
    uint32_t nodes_count;
    uint64_t values; /* proposed so far; every value is proposed once */
    uint64_t reads;  /* asked so far */

    raft_node_id leaders[SIM_TERMS_MAX];     /* by term */
    struct cluster_log *committed;           /* what any leader has committed */
    raft_term commit_terms[CLUSTER_LOG_MAX]; /* of the leader that committed the entry first */
    raft_index floors[SIM_READS_MAX];        /* by read: what was committed when it was asked */
    struct sim_node nodes[CLUSTER_NODES_MAX];

    /* Swarm: per mille of each thing in each turn. */
    uint32_t turn_ms_max;
    uint32_t crash_rate;
    uint32_t partition_rate;
    uint32_t pause_rate;
    uint32_t slow_rate;
    uint32_t transfer_rate;
    uint32_t config_rate;
    uint32_t unreachable_rate;
};

/* One whole run; what came to pass is added to *counts. trace: NULL or where to tell the story. */
void sim_run(uint64_t seed, struct sim_counts *counts, FILE *trace);

/* oracles.c: the hooks for the cluster, and what is compared between nodes now and then. */
struct cluster_hooks sim_hooks(struct sim *sim);
void sim_check_logs(struct sim *sim);
_Noreturn void sim_fail(const struct sim *sim, const char *oracle, raft_node_id node);

#endif
