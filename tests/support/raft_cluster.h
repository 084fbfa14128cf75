/* raft_cluster.h -- a handful of consensus cores on a virtual clock, with a network and disks that
 * a test holds in its hands. Unit tests, scenario transcripts and the simulator share it.
 *
 * Every node has a log as the core sees it and a log as the disk has it: a write reaches the second
 * only when it is persisted, and a crash loses the rest. Messages leave a node when the write they
 * wait for is durable; then they are in flight until delivered or dropped.
 *
 * Two ways to drive it, to be mixed at will: by hand (cluster_deliver, cluster_persist, ...), or by
 * the clock (cluster_elapse), when the options give latencies.
 */
#ifndef RK_TESTS_SUPPORT_RAFT_CLUSTER_H
#define RK_TESTS_SUPPORT_RAFT_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/prng.h"
#include "raft/raft.h"

enum {
    CLUSTER_NODES_MAX = 9,
    CLUSTER_LOG_MAX = 4096,    /* entries in a node's log */
    CLUSTER_FLIGHT_MAX = 8192, /* messages in flight; past it they are dropped */
    CLUSTER_WRITES_MAX = 1024, /* writes that a node's disk has not done yet */
    CLUSTER_HELD_MAX = 4096,   /* messages that wait for a write */
    CLUSTER_READS_MAX = 4096,  /* confirmed reads remembered per node */
};

struct cluster_entry {
    struct raft_entry_id id;
    enum raft_entry_type type;
    uint64_t value; /* the payload; 0 for a no-op */
    struct raft_config config;
};

/* What a snapshot covers stays in `entries`, as the state that was made of it: only the core does
 * not see it any more. */
struct cluster_log {
    uint32_t count;  /* entry i has index i + 1 */
    raft_index base; /* the core's log begins after it */
    struct raft_snapshot snapshot;
    struct cluster_entry entries[CLUSTER_LOG_MAX];
};

struct cluster_write {
    uint64_t number;
    bool has_hard_state;
    struct raft_hard_state hard_state;
    struct cluster_log *installed; /* owned, NULL: none; the log that a snapshot makes */
    raft_index truncate_from;
    uint32_t entries_count;
    struct cluster_entry *entries; /* owned */
    uint64_t due_ms;               /* when the disk will have done it */
};

struct cluster_read {
    uint64_t number;
    raft_index index;
};

struct cluster_node {
    raft_node_id id;
    bool is_up;
    void *memory;
    struct raft *raft;         /* NULL while down */
    struct raft_outputs *out;  /* of the latest step */
    enum rk_status status;     /* of the latest step */
    struct raft_config config; /* to start from */

    struct cluster_log *log;  /* as the core sees it */
    struct cluster_log *disk; /* as it survives a crash */
    struct raft_hard_state disk_state;
    uint64_t persisted; /* writes up to here are on the disk */
    uint32_t writes_count;
    struct cluster_write writes[CLUSTER_WRITES_MAX];
    uint32_t held_count;
    struct raft_message held[CLUSTER_HELD_MAX];

    uint32_t slow_ms;         /* its disk takes this much longer for each write */
    uint64_t paused_until_ms; /* the process stands still: nothing of it runs before */

    raft_index applied;
    uint64_t deadline_ms;
    uint32_t reads_count; /* confirmed in this life */
    struct cluster_read reads[CLUSTER_READS_MAX];
    struct raft_view seen; /* view after the latest step; its config pointer is not valid */
};

struct cluster_flight {
    struct raft_message message;
    struct raft_entry *entries; /* owned, what message.append_request.entries points to */
    struct cluster_entry *copies;
    struct raft_snapshot *snapshot; /* owned, what a snapshot request points to */
    uint64_t due_ms;
    uint64_t number; /* order of departure */
};

struct cluster;

/* Watches what happens; every member may be NULL. */
struct cluster_hooks {
    void *context;
    /* After every step of a node and what followed from it. */
    void (*stepped)(void *context, struct cluster *cluster, struct cluster_node *node);
    /* A message leaves `node` now. */
    void (*left)(void *context, struct cluster *cluster, struct cluster_node *node,
                 const struct raft_message *message);
    /* `node` cuts its log: entries from `from` on go. Called before they are gone. */
    void (*truncated)(void *context, struct cluster *cluster, struct cluster_node *node,
                      raft_index from);
};

struct cluster_options {
    uint32_t nodes_count;  /* voters 1 .. nodes_count */
    uint32_t spares_count; /* nodes after them, that start as members of nothing */
    uint64_t seed;
    uint32_t election_timeout_ms;   /* 0: 1000 */
    uint32_t heartbeat_interval_ms; /* 0: 100 */
    uint32_t append_entries_max;    /* 0: 64 */
    uint32_t inflight_max;          /* 0: 16 */
    uint32_t lease_ms;              /* 0: no leases */
    bool no_pre_vote;
    bool no_check_quorum;
    bool is_network_manual; /* messages wait for cluster_deliver() */
    bool is_disk_manual;    /* writes wait for cluster_persist() */
    uint32_t latency_ms_min;
    uint32_t latency_ms_max; /* 0: delivered in the same millisecond */
    uint32_t persist_ms_min;
    uint32_t persist_ms_max;
    uint32_t drop_per_mille;
    uint32_t duplicate_per_mille;
    uint32_t straggler_per_mille; /* so many messages take up to straggler_ms_max more */
    uint32_t straggler_ms_max;
    struct cluster_hooks hooks;
};

struct cluster {
    struct cluster_options options;
    struct rk_prng prng;
    uint64_t now_ms;
    uint64_t asleep_ms; /* by so much the clock for leases is ahead of the other */
    uint32_t nodes_count;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    bool is_cut[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1]; /* [from][to] */
    uint32_t flights_count;
    struct cluster_flight flights[CLUSTER_FLIGHT_MAX];
    uint64_t departures;
    FILE *trace; /* NULL: none; else a line per thing that happens */
    bool is_heartbeat_traced;
};

struct cluster *cluster_new(const struct cluster_options *options);
void cluster_free(struct cluster *cluster);

/* The node, which may be down. */
struct cluster_node *cluster_node(struct cluster *cluster, raft_node_id id);
struct raft_view cluster_view(struct cluster *cluster, raft_node_id id);

/* ---- by hand ---- */

/* Hands one event to a node; sets its time. The outputs stay in node->out. */
enum rk_status cluster_step(struct cluster *cluster, raft_node_id id, struct raft_event event);
enum rk_status cluster_propose(struct cluster *cluster, raft_node_id id, uint64_t value);
enum rk_status cluster_propose_config(struct cluster *cluster, raft_node_id id,
                                      const struct raft_config *config);
enum rk_status cluster_read(struct cluster *cluster, raft_node_id id, uint64_t number);
enum rk_status cluster_transfer(struct cluster *cluster, raft_node_id id, raft_node_id peer);
/* `id` has a durable snapshot of what it has applied up to `index`, and cuts its log at `base`. */
void cluster_compact(struct cluster *cluster, raft_node_id id, raft_index index, raft_index base);
/* The same, with what peers need that are at most `lag_max` entries behind. */
void cluster_compact_sparing(struct cluster *cluster, raft_node_id id, raft_index index,
                             raft_index base, uint64_t lag_max);
/* The snapshot that `id` waits for is there. Its content is what any node has up to it, or made up
 * when none has. */
enum rk_status cluster_install(struct cluster *cluster, raft_node_id id);
/* Makes a message of the test's own arrive. */
void cluster_inject(struct cluster *cluster, const struct raft_message *message);
/* The node's clock strikes: now, which is at its deadline or after it. */
void cluster_fire(struct cluster *cluster, raft_node_id id);

/* Goes on to the node's deadline, nobody else noticing, and strikes. */
void cluster_await_deadline(struct cluster *cluster, raft_node_id id);
/* Restarts `id` with a log of commands of these terms, in the last of them, on its disk. */
void cluster_set_log(struct cluster *cluster, raft_node_id id, const raft_term *terms,
                     uint32_t count);
/* Lets `id` time out and win with the votes of `voter` alone, which knows nothing of it. Needs a
 * manual network and disk. */
void cluster_make_leader(struct cluster *cluster, raft_node_id id, raft_node_id voter);

/* All writes that `id` has handed out become durable, or the oldest alone. */
void cluster_persist(struct cluster *cluster, raft_node_id id);
void cluster_persist_one(struct cluster *cluster, raft_node_id id);

/* Position of the oldest message in flight of that type and way (0: any), or -1. */
int cluster_find(const struct cluster *cluster, enum raft_message_type type, raft_node_id from,
                 raft_node_id to);
void cluster_deliver_at(struct cluster *cluster, int at);
void cluster_drop_at(struct cluster *cluster, int at);
/* The oldest one found arrives; false when there is none. */
bool cluster_deliver(struct cluster *cluster, enum raft_message_type type, raft_node_id from,
                     raft_node_id to);
/* All that are found are lost; how many. */
uint32_t cluster_drop(struct cluster *cluster, enum raft_message_type type, raft_node_id from,
                      raft_node_id to);
/* Everything in flight arrives and every write becomes durable, until nothing is left. */
void cluster_settle(struct cluster *cluster);

/* ---- by the clock ---- */

/* Runs what falls due in the next `ms`. */
void cluster_elapse(struct cluster *cluster, uint64_t ms);
/* Runs until some node leads that all reachable ones follow, at most `ms`; 0: nobody. */
raft_node_id cluster_await_leader(struct cluster *cluster, uint64_t ms);
/* The leader of the greatest term among the running nodes; 0: none. */
raft_node_id cluster_leader(struct cluster *cluster);

/* ---- faults ---- */

void cluster_cut(struct cluster *cluster, raft_node_id a, raft_node_id b); /* both ways */
void cluster_isolate(struct cluster *cluster, raft_node_id id);
void cluster_heal(struct cluster *cluster);
/* What was not durable is lost; messages that have left are on their way still. */
void cluster_crash(struct cluster *cluster, raft_node_id id);
void cluster_start(struct cluster *cluster, raft_node_id id);

#endif
