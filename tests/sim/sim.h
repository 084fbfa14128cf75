/* sim.h -- one simulated world: cores, state machines, disks, network, clocks and clients, in one
 * thread on virtual time, every choice of which is drawn from a tape.
 *
 * A run begins with faults that never stop (safety), then a core that contains a quorum is healed
 * while the others stay as they are for ever, and what clients asked for must come to an end
 * (liveness). The oracles look on wherever something can first go wrong; the first that does not
 * hold ends the run by sim_fail().
 *
 * Time is in microseconds of the world; each node's clock has its own idea of it. A world is large
 * and made anew for each run by sim_world_reset(), not allocated.
 */
#ifndef RK_TESTS_SIM_SIM_H
#define RK_TESTS_SIM_SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "raft/raft.h"
#include "server/outbox.h"
#include "server/pending.h"
#include "sim/counts.h"
#include "sim/tape.h"
#include "statemachine/query.h"
#include "statemachine/sm.h"

enum {
    SIM_NODES_MAX = 12,
    SIM_LOG_MAX = 8192,       /* indexes in a run; near it the faults stop */
    SIM_PAYLOADS_MAX = 16384, /* entries that any leader ever made */
    SIM_TERMS_MAX = 4096,
    SIM_CONFIGS_MAX = 512,
    SIM_OPS_MAX = 4096,
    SIM_VERSIONS_MAX = SIM_LOG_MAX,
    SIM_KEYS_MAX = 6,
    SIM_CLIENTS_MAX = 8,
    SIM_EVENTS_MAX = 65536,
    SIM_FLIGHTS_MAX = 16384,
    SIM_WRITES_MAX = 512, /* writes that a disk has not done; the node stops asking for more */
    SIM_READS_MAX = 128,  /* reads that wait on one node */
    SIM_ROUNDS_MAX = 256, /* latest heartbeat rounds of a leader that are looked up */
    SIM_COMMAND_SIZE_MAX = 64,
    SIM_UPTIMES_MS = 3600 * 1000, /* no two machines have been up for equally long */
    SIM_TURNS_MAX = 5000000,
};

/* ---- knobs (knobs.c): what kind of run it is ---- */

enum sim_fault {
    FAULT_NONE,
    FAULT_CRASH,
    FAULT_CRASH_ALL,
    FAULT_PARTITION,
    FAULT_HEAL,
    FAULT_CLOG,
    FAULT_PAUSE,
    FAULT_SUSPEND,
    FAULT_STALL,
    FAULT_BURST,
    FAULT_CUT_LEADER_AND_BURST,
    FAULT_UNREACHABLE,
    FAULT_ROT,
    FAULT_STEP_CLOCK,
    FAULT_FORGET,
    FAULT_LOSE,
    FAULT_LATE,
    FAULT_KINDS,
};

struct sim_knobs {
    uint32_t voters;
    uint32_t learners;
    uint32_t spares; /* nodes that are members of nothing yet */

    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    uint32_t append_entries_max;
    uint32_t inflight_max;
    bool pre_vote;
    bool check_quorum;
    bool is_rot_allowed; /* a disk may lose what was durable, its high-water mark telling so */

    uint32_t delay_min_us;
    uint32_t delay_mean_us;
    uint32_t loss; /* in a million messages */
    uint32_t repeat;
    uint32_t repeat_mean_us; /* how late the second copy is */
    bool is_in_order;
    uint32_t capacity; /* messages under way on one link */

    uint32_t disk_mean_us;
    uint32_t disk_told_mean_us; /* between being durable and the node hearing of it */
    uint32_t apply_mean_us;     /* between commit and apply */
    int32_t drift_ppm[SIM_NODES_MAX];
    uint64_t uptime_min_ms; /* of the machines, at the beginning */

    uint32_t fault_mean_us; /* between two faults; 0: none */
    uint32_t fault_weights[FAULT_KINDS];
    uint32_t aim;             /* in a million faults: at the newest leader */
    uint32_t restart_mean_us; /* how long a crashed node stays down */
    uint32_t stability_max_us;
    uint32_t crash_as_leader; /* in a million such events: crash right then */
    uint32_t crash_in_write;
    uint32_t crash_in_send;
    uint32_t crash_in_joint;
    uint32_t crash_in_install;

    uint32_t member_mean_us;  /* between two acts of the operator; 0: none */
    uint32_t transfer_share;  /* of them, in a million */
    uint32_t cut_in_joint;    /* in a million: the old half is cut off from who enters one */
    uint32_t cut_in_transfer; /* in a million: the leader is cut off when it has told its heir */
    uint32_t pending_share;   /* of them: although one is under way */

    uint32_t snapshot_entries; /* compact when so many were applied since; 0: never */
    uint32_t trailing_entries;
    uint32_t transfer_mean_us; /* of a snapshot to a follower */

    bool has_leases;
    uint32_t lease_drift_percent;

    uint32_t clients;
    uint32_t keys;
    uint32_t think_mean_us;
    uint32_t timeout_us;
    uint32_t client_delay_us;
    uint32_t op_weights[6]; /* by enum sim_op_kind */
    uint32_t ops_max;
    uint64_t until_us; /* safety mode ends here, or when the clients have had enough */
};

void sim_draw_knobs(struct sim_knobs *knobs, struct tape *tape);

/* ---- logs ---- */

struct sim_entry {
    uint32_t term;
    uint32_t payload; /* index into sim.payloads */
    uint64_t chain;   /* over this entry and all before it */
};

/* What a leader once put into its log; never twice, so that it is in one place of one history. */
struct sim_payload {
    enum raft_entry_type type;
    uint32_t config; /* RAFT_ENTRY_CONFIG: index into sim.configs */
    uint32_t op;     /* RAFT_ENTRY_COMMAND: index into sim.ops */
    uint32_t term;   /* where it was put first; 0: nowhere yet */
    raft_index index;
    uint64_t time_ms; /* cluster time, by its leader */
    uint64_t chain;
};

struct sim_config_at {
    raft_index index;
    uint32_t config;
};

/* Indexes are absolute; entries[base] keeps term and chain of the last one that a snapshot
 * replaced. configs: those in force at base and after, ascending, never empty. */
struct sim_log {
    raft_index base;
    raft_index last;
    raft_index snapshot; /* the newest; 0: none. On a disk the log may end before it */
    struct sim_config_at snapshot_config;
    uint32_t configs_count;
    struct sim_config_at configs[64];
    struct sim_entry entries[SIM_LOG_MAX + 1];
};

/* ---- disks (disk.c) ---- */

struct sim_write {
    uint64_t number;
    bool has_hard_state;
    struct raft_hard_state hard_state;
    raft_index snapshot; /* replaces the log; 0: none */
    struct sim_config_at snapshot_config;
    raft_index truncate_from;
    raft_index first; /* of the entries */
    uint32_t entries_count;
    struct sim_entry *entries; /* from sim.pool */
};

/* ---- nodes (node.c) ---- */

struct sim_read {
    uint64_t number; /* the core's name for it; 0: an answer by the leader is awaited, or came */
    uint32_t op;
    raft_node_id asker;  /* another node wants to know; 0: it is served here */
    uint64_t asked_step; /* sim.steps when it came */
    bool is_confirmed;
    raft_index index;
};

/* A heartbeat round of a leader: in which step it began, and when by its clock for leases. */
struct sim_round {
    uint64_t number;
    raft_term term;
    uint64_t step;
    uint64_t boot_ms;
};

/* Of the heartbeats of a leader that a node has taken for its own: when it handled the latest, and
 * which of them had left last. */
struct sim_heeded {
    raft_term term;
    uint64_t step;
    uint64_t sent_step;
    uint64_t sent_ms;
};

/* Of a peer, while a leader leads. */
struct sim_peer_seen {
    raft_term term;
    uint64_t sequence;      /* greatest that was sent to it */
    raft_index match;       /* what the leader last counted for it */
    uint64_t lost_sequence; /* `sequence` when the leader heard that entries were lost; 0: never */
    bool has_answered;
    uint64_t answered_ms;
};

struct sim_node {
    raft_node_id id;
    bool is_up;
    bool is_gone; /* for ever, with its disk */
    uint32_t life;
    uint64_t paused_until_us;
    void *memory;
    struct raft *raft; /* NULL while down */
    struct raft_view view;

    /* Clocks: what they said at clock_at_us, and how fast they run. */
    uint64_t clock_at_us;
    uint64_t monotonic_us;
    int64_t boottime_ahead_us; /* of the monotonic clock */
    int32_t drift_ppm;
    uint64_t now_ms; /* last given to the core */
    uint64_t deadline_ms;
    uint64_t timer_at_us; /* of the timer event under way; 0: none */

    struct raft_hard_state disk_state;
    struct raft_entry_id high_water; /* the disk once held it; {0, 0}: nothing was lost */

    uint64_t persisted; /* writes up to here: the core knows that they are durable */
    uint32_t writes_first;
    uint32_t writes_count;
    uint64_t stalled_until_us;
    uint32_t disk_turn; /* of the latest EVENT_DISK; others are void */

    struct outbox outbox;
    struct pending pending;
    uint64_t pending_due_us; /* leadership was lost: what waits is unknown then; 0: not so */
    uint64_t read_number;
    uint32_t reads_count;

    struct sm *sm;
    struct sm_root root;
    raft_index applied;
    bool is_apply_due;
    bool is_finish_due;
    bool is_compacting;
    raft_index noting; /* a snapshot's file is there, its note waits for earlier writes; 0: none */
    uint64_t noting_after; /* the last of these */
    raft_index installing; /* its bytes are on their way; 0: none */
    struct sim_transfer {
        bool is_watched;
        uint64_t since_us;
    } transfers[SIM_NODES_MAX + 1]; /* of snapshots, by peer */

    /* What the oracles remember. */
    raft_index seen_commit;
    raft_index seen_applied;
    raft_term seen_term;
    raft_term spoken_term; /* greatest that left in a message */
    raft_term verified_term;
    raft_index verified; /* an append of verified_term has matched up to here */
    raft_term acked_term;
    raft_index acked; /* promised to be durable, by an answer of acked_term */
    uint64_t acked_chain;
    uint64_t started_ms;  /* by its own monotonic clock, as all that it hears */
    raft_node_id heard;   /* the leader that it heard last, in this life; 0: none */
    uint64_t heard_ms;    /* when that was */
    uint64_t config_step; /* in which it last put a configuration into its log as leader */
    struct sim_round rounds[SIM_ROUNDS_MAX];
    struct sim_heeded heeded[SIM_NODES_MAX + 1];        /* by leader */
    struct sim_peer_seen peers_seen[SIM_NODES_MAX + 1]; /* by peer */
    raft_term transfer_term;      /* in which it campaigned because it was asked to */
    uint8_t votes[SIM_TERMS_MAX]; /* by term: whom a vote was promised to */

    /* Not cleared between runs: from here on a count says what is valid. */
    struct sim_log log;  /* as the core sees it */
    struct sim_log disk; /* as it survives a crash */
    struct sim_write writes[SIM_WRITES_MAX];
    struct sim_read reads[SIM_READS_MAX];
};

/* ---- clients (clients.c) ---- */

enum sim_op_kind { OP_PUT, OP_CAS, OP_DELETE, OP_GET, OP_GET_FOLLOWER, OP_GET_STALE, OP_KINDS };

enum sim_outcome { OUTCOME_OPEN, OUTCOME_OK, OUTCOME_NOT_DONE, OUTCOME_UNKNOWN };

struct sim_op {
    uint8_t kind;
    uint8_t client; /* SIM_CLIENTS_MAX: nobody waits for it */
    uint8_t key;
    uint8_t tries;
    uint8_t outcome; /* as the client sees it */
    bool was_appended;
    bool did;         /* the answer: accepted; a read: found */
    uint32_t value;   /* written, or read */
    raft_index cas;   /* OP_CAS */
    raft_index index; /* the answer: of the entry, or at which the read was served */
    bool is_leased;   /* a read that holds its value, and has yet to look at the lease */
    raft_index floor; /* when it was invoked: what was committed by anybody */
    raft_index seen;  /* when it was invoked: greatest index in any answer */
    raft_index entry; /* where it was committed; 0: nowhere */
    uint64_t invoked_us;
    uint64_t returned_us;
};

struct sim_client {
    uint32_t op; /* under way; UINT32_MAX: none */
    uint32_t hint;
    raft_index versions[SIM_KEYS_MAX]; /* modify index last seen, for compare-and-set */
};

/* The sequential specification: every version that a key ever had. */
struct sim_version {
    raft_index index;
    raft_index modify_index; /* 0: no such key from here on */
    uint32_t value;
    uint32_t before; /* position of the key's version before + 1 */
};

/* ---- events (events.c) ---- */

enum sim_event_kind {
    EVENT_TIMER,   /* node */
    EVENT_ARRIVAL, /* ref: flight */
    EVENT_DISK,    /* node, ref: turn of the disk; the oldest write is durable */
    EVENT_TOLD,    /* node, ref: low half of the write number that the node hears of */
    EVENT_APPLY,   /* node */
    EVENT_START,   /* node */
    EVENT_ABANDON, /* node: what is pending since leadership was lost */
    EVENT_REQUEST, /* ref: op, node */
    EVENT_REPLY,   /* ref: op */
    EVENT_GIVE_UP, /* ref: op */
    EVENT_THINK,   /* ref: client */
    EVENT_FAULT,
    EVENT_HEAL,
    EVENT_FORGET, /* node: is about to stand; all that could hold it to a promise start anew */
    EVENT_OPERATOR,
    EVENT_FINISH,  /* node: leaves a joint configuration */
    EVENT_COMPACT, /* node, ref: a snapshot up to there is durable */
    EVENT_INSTALL, /* node, ref: the leader's snapshot up to there has come whole */
    EVENT_WATCH,   /* node, ref: how is the snapshot for that peer doing? */
    EVENT_LEASE,   /* node, ref: op; a read has its value, and looks whether the lease holds */
};

struct sim_event {
    uint64_t at_us;
    uint32_t sequence; /* order of those at one time */
    uint32_t ref;
    uint32_t life; /* of the node or, of a request, the try; else 0 */
    uint8_t kind;
    uint8_t node; /* id */
};

/* ---- network (network.c) ---- */

enum sim_flight_kind { FLIGHT_RAFT, FLIGHT_READ_QUESTION, FLIGHT_READ_ANSWER };

struct sim_flight {
    enum sim_flight_kind kind;
    uint64_t sent_us;
    struct raft_message message; /* from, to; the rest is for FLIGHT_RAFT */
    uint32_t op;                 /* of a read */
    raft_index index;            /* its answer; 0: no */
    uint32_t entries_count;
    struct sim_entry *entries; /* from sim.pool */
    uint32_t next_free;
    struct raft_snapshot snapshot; /* what a RAFT_SNAPSHOT_REQUEST is about */
};

/* What has passed between a leader and a peer: for the counts, and for what comes again. */
struct sim_link_seen {
    raft_term term;
    uint64_t sequence;                   /* of the latest append that arrived */
    uint64_t round;                      /* of the latest heartbeat that left */
    uint32_t refusals;                   /* of appends, in a row */
    struct raft_message acknowledgement; /* the greatest that arrived; from 0: none */
};

/* ---- the world ---- */

/* Runs of entries that are lent to flights and writes, by size in powers of two. */
struct sim_pool {
    struct sim_entry *memory;
    uint32_t used;
    uint32_t free[9]; /* position of the first free run + 1 */
};

struct sim_failure {
    const char *oracle; /* "O7"; NULL: nothing failed */
    char text[256];
    raft_node_id node;
    uint64_t at_us;
};

struct sim_result_of {
    bool accepted;
    raft_index modify_index;
};

struct sim {
    struct tape *tape;
    struct sim_counts *counts;
    FILE *story;        /* NULL: nobody listens */
    bool is_story_full; /* with every message */
    bool is_over;       /* of the safety mode */
    bool is_healed;     /* liveness mode */
    uint64_t healed_us;
    struct sim_knobs knobs;
    uint64_t now_us;
    uint64_t steps;
    uint64_t turns; /* events handled */
    uint32_t lines; /* of the story, whether it is told or not */
    uint64_t trace_hash;
    const struct raft_message *received; /* by the step under way, or NULL */

    uint32_t events_count;
    uint32_t events_sequence;
    uint32_t nodes_count;
    bool is_cut[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1]; /* [from][to]; 0 is the clients */
    uint64_t clogged_until_us[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1];
    uint64_t link_last_us[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1];
    uint16_t link_load[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1];
    struct sim_link_seen links_seen[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1]; /* [leader][peer] */
    uint32_t flights_used;
    uint32_t flights_free; /* first free one + 1 */
    uint32_t payloads_count;
    uint32_t configs_count;
    uint32_t ops_count;
    struct sim_client clients[SIM_CLIENTS_MAX];

    /* Of the oracles: what any leader has committed, what any answer has shown. */
    raft_index committed;
    raft_index seen_index;
    uint8_t leaders[SIM_TERMS_MAX]; /* by term */
    uint32_t versions_count;
    uint32_t key_latest[SIM_KEYS_MAX]; /* position of its latest version + 1 */
    struct sim_failure failure;

    /* Not cleared between runs: from here on a count says what is valid. */
    jmp_buf escape;
    uint64_t turns_max;      /* a run that goes on for longer will not end */
    struct raft_outputs out; /* of the step under way */
    struct sim_pool pool;
    struct sim_node nodes[SIM_NODES_MAX];
    struct sim_event events[SIM_EVENTS_MAX];
    struct sim_flight flights[SIM_FLIGHTS_MAX];
    struct sim_payload payloads[SIM_PAYLOADS_MAX];
    struct raft_config configs[SIM_CONFIGS_MAX];
    struct sim_op ops[SIM_OPS_MAX];
    struct sim_entry committed_entries[SIM_LOG_MAX + 1];
    uint32_t commit_terms[SIM_LOG_MAX + 1]; /* of the leader that committed it first */
    uint64_t digests[SIM_LOG_MAX + 1];      /* of the state there; 0: nobody has shown it */
    uint32_t images[SIM_LOG_MAX + 1]; /* where its image is in image_bytes, + 1; 0: nowhere yet */
    struct rk_buf image_bytes;
    struct sim_version versions[SIM_VERSIONS_MAX];
    struct sim_result_of results[SIM_LOG_MAX + 1];
};

/* ---- events.c ---- */

void sim_event_add(struct sim *sim, uint64_t at_us, enum sim_event_kind kind, raft_node_id node,
                   uint32_t ref, uint32_t life);
/* Takes the next event out; false: there is none. */
bool sim_event_next(struct sim *sim, struct sim_event *ret);

/* ---- log.c ---- */

void sim_log_append(struct sim *sim, struct sim_log *log, struct sim_entry entry);
void sim_log_truncate(struct sim_log *log, raft_index from);
struct raft_entry_id sim_log_last(const struct sim_log *log);
uint32_t sim_log_config(const struct sim_log *log); /* in force: index into sim.configs */
raft_index sim_log_config_index(const struct sim_log *log);
/* The log holds `entry` at `index`, or a snapshot instead of it. */
bool sim_log_has(const struct sim_log *log, raft_index index, const struct sim_entry *entry);
/* 3.6.1, written anew: a log that ends in `a` is at least as up to date as one that ends in `b`. */
bool sim_as_new(struct raft_entry_id a, struct raft_entry_id b);
uint32_t sim_payload_new(struct sim *sim, enum raft_entry_type type);
struct sim_entry *sim_pool_take(struct sim *sim, uint32_t count); /* count > 0 */
void sim_pool_give(struct sim *sim, struct sim_entry *entries, uint32_t count);
void sim_pool_reset(struct sim *sim);

/* ---- clock.c ---- */

uint64_t sim_boottime_ms(const struct sim *sim, const struct sim_node *node);
uint64_t sim_monotonic_us(const struct sim *sim, const struct sim_node *node);
void sim_clock_init(struct sim *sim, struct sim_node *node);
/* The clocks stand still (suspend: boottime goes on) until the node resumes at `until_us`. */
void sim_clock_suspend(struct sim *sim, struct sim_node *node, uint64_t for_us);
/* When the world's clock is there, the node's shows `ms`; not before now. */
uint64_t sim_clock_world_us(const struct sim *sim, const struct sim_node *node, uint64_t ms);

/* ---- node.c ---- */

struct sim_node *sim_node(struct sim *sim, raft_node_id id);
void sim_node_start(struct sim *sim, struct sim_node *node);
void sim_node_crash(struct sim *sim, struct sim_node *node);
/* Steps the core and does what it puts out. The node may have crashed when this returns. */
enum rk_status sim_node_step(struct sim *sim, struct sim_node *node, struct raft_event event);
void sim_node_timer(struct sim *sim, struct sim_node *node);
/* The disk says: every write up to this one is durable. */
void sim_node_told(struct sim *sim, struct sim_node *node, uint64_t write_number);
/* A running node that is neither paused nor down. */
bool sim_node_runs(const struct sim *sim, const struct sim_node *node);

/* ---- apply.c ---- */

void sim_apply(struct sim *sim, struct sim_node *node);
/* Answers a read from what is applied here. */
void sim_serve(struct sim *sim, struct sim_node *node, uint32_t op);
void sim_serve_reads(struct sim *sim, struct sim_node *node);
/* What a command's bytes are; the buffer is lent until the next call. */
struct rk_bytes sim_command(const struct sim *sim, uint32_t op);
/* Waiters whose fate is open: those from index `from` on. */
void sim_pending_unknown(struct sim *sim, struct sim_node *node, raft_index from);
void sim_reads_fail(struct sim *sim, struct sim_node *node);
void sim_reads_confirm(struct sim *sim, struct sim_node *node);
/* Asks the core for a read index; false: it would not. */
bool sim_read_ask(struct sim *sim, struct sim_node *node, uint32_t op, raft_node_id asker);
void sim_reads_expire(struct sim *sim, struct sim_node *node);
void sim_read_await(struct sim *sim, struct sim_node *node, uint32_t op);
/* Takes the value first; whether the lease holds is looked at later. */
void sim_read_leased(struct sim *sim, struct sim_node *node, uint32_t op);
void sim_read_lease_checked(struct sim *sim, struct sim_node *node, uint32_t op);
void sim_read_answered(struct sim *sim, struct sim_node *node, uint32_t op, raft_index index);

/* ---- snapshot.c ---- */

/* Compacts when it is time: the image is taken now, and durable later. */
void sim_snapshot_take(struct sim *sim, struct sim_node *node);
void sim_snapshot_durable(struct sim *sim, struct sim_node *node, raft_index index);
void sim_snapshot_note(struct sim *sim, struct sim_node *node); /* when its turn has come */
/* The leader offers one: watch its transfer. */
void sim_snapshot_offered(struct sim *sim, struct sim_node *node, raft_node_id peer);
void sim_snapshot_watch(struct sim *sim, struct sim_node *node, raft_node_id peer);
/* An offer came, and may be wanted. */
void sim_snapshot_arrived(struct sim *sim, struct sim_node *node);
void sim_snapshot_install(struct sim *sim, struct sim_node *node, raft_index index);
/* The log becomes what the snapshot up to `index` leaves of it. */
void sim_log_reset(struct sim *sim, struct sim_log *log, raft_index index,
                   struct sim_config_at config);
/* Deletes up to `base`. */
void sim_log_compact(struct sim_log *log, raft_index base);
/* A state machine that has applied `index`, by the image; the caller frees it. */
struct sm *sim_state_at(struct sim *sim, raft_index index);

/* ---- disk.c ---- */

void sim_disk_submit(struct sim *sim, struct sim_node *node);
/* The disk has done its oldest write, if `turn` is its latest. */
void sim_disk_done(struct sim *sim, struct sim_node *node, uint32_t turn);
/* The disk is sound again, and done with its oldest write at once. */
void sim_disk_heal(struct sim *sim, struct sim_node *node);
void sim_disk_crash(struct sim *sim, struct sim_node *node);
/* The end of the durable log is lost, and the high-water mark tells so. The node is down. */
void sim_disk_rot(struct sim *sim, struct sim_node *node);
bool sim_disk_is_recovering(const struct sim_node *node);
uint64_t sim_disk_newest(struct sim_node *node); /* number of the last write that waits, 0: none */
bool sim_disk_has_done(struct sim_node *node, uint64_t number); /* that write, and all before it */

/* ---- network.c ---- */

void sim_send(struct sim *sim, struct sim_node *node, const struct raft_message *message);
void sim_send_read(struct sim *sim, enum sim_flight_kind kind, raft_node_id from, raft_node_id to,
                   uint32_t op, raft_index index);
void sim_arrive(struct sim *sim, uint32_t flight);

/* ---- clients.c ---- */

void sim_clients_begin(struct sim *sim);
void sim_client_event(struct sim *sim, const struct sim_event *event);
/* The node's answer is on its way to the client. */
void sim_reply(struct sim *sim, struct sim_node *node, uint32_t op, enum sim_outcome outcome);
/* A run of writes that nobody waits for goes to `node`. */
void sim_burst(struct sim *sim, struct sim_node *node, uint32_t count);

/* ---- faults.c, operator.c, liveness.c ---- */

raft_node_id sim_newest_leader(const struct sim *sim); /* 0: none */
void sim_fault(struct sim *sim);
void sim_forget(struct sim *sim, struct sim_node *candidate);
void sim_cut_off(struct sim *sim, struct sim_node *node);
void sim_cut_in_joint(struct sim *sim, struct sim_node *node);
void sim_heal_links(struct sim *sim);
void sim_operator(struct sim *sim);
void sim_operator_finish(struct sim *sim, struct sim_node *node);
void sim_liveness(struct sim *sim);
/* Handles events until `until_us`, or until the safety mode is over. */
void sim_run_until(struct sim *sim, uint64_t until_us);

/* ---- oracles ---- */

/* The first thing that does not hold: ends the run. */
__attribute__((format(printf, 4, 5))) _Noreturn void
sim_fail(struct sim *sim, const char *oracle, const struct sim_node *node, const char *format, ...);

/* oracle_log.c: O6, O7 (Log Matching, Leader Append-Only), O10. Before and after a write goes to
 * the log that the core sees. */
void oracle_truncate(struct sim *sim, const struct sim_node *node, raft_index from);
void oracle_append(struct sim *sim, struct sim_node *node, struct sim_entry *entry,
                   raft_index index, bool is_own);
void oracle_config(struct sim *sim, const struct sim_node *node);
/* A snapshot is offered, or takes the place of the log. */
void oracle_snapshot(struct sim *sim, const struct sim_node *node,
                     const struct raft_snapshot *snapshot);
void oracle_install(struct sim *sim, const struct sim_node *node,
                    const struct raft_snapshot *snapshot);
/* The configuration in force at `index`, by what is committed. */
struct sim_config_at oracle_config_at(const struct sim *sim, raft_index index);

/* oracle_lease.c: O12. */
bool oracle_lease_holds(const struct sim *sim, const struct sim_node *node);
/* `node` has committed in its term, or answers under its lease: nobody else may do so. */
void oracle_lease(struct sim *sim, const struct sim_node *node);

/* oracle_rounds.c: O11, O12, at what a leader takes from its heartbeats. */
void oracle_rounds(struct sim *sim, struct sim_node *node, const struct raft_view *before);
/* The core says that a read which came in `asked_step` is confirmed. */
void oracle_read_confirmed(struct sim *sim, const struct sim_node *node, uint64_t asked_step);

/* oracle_peers.c: O1, O16, at what a leader takes from its peers' answers. */
void oracle_peers(struct sim *sim, struct sim_node *node, const struct raft_view *before);

/* oracle_commit.c: O1, O2, O4, O7 (Leader Completeness), O8, O9. */
void oracle_commit(struct sim *sim, struct sim_node *node, const struct raft_view *before);
void oracle_leader(struct sim *sim, struct sim_node *node);
void oracle_digest(struct sim *sim, struct sim_node *node);

/* oracle_promise.c: O3, O5; O9 and O12 where a message arrives. */
void oracle_votes(struct sim *sim, struct sim_node *node, const struct raft_view *before);
void oracle_left(struct sim *sim, struct sim_node *node, const struct raft_message *message);
void oracle_restart(struct sim *sim, struct sim_node *node);

/* oracle_client.c: O11, O13 (outcome classes), the witness check, the specification. */
void oracle_spec_commit(struct sim *sim, raft_index index);
struct sim_version oracle_spec_at(const struct sim *sim, uint32_t key, raft_index index);
void oracle_result(struct sim *sim, struct sim_node *node, raft_index index, bool accepted,
                   raft_index modify_index);
void oracle_read_index(struct sim *sim, struct sim_node *node, uint32_t op, raft_index index);
void oracle_answer(struct sim *sim, struct sim_node *node, uint32_t op);
void oracle_end(struct sim *sim);
/* oracle_history.c: the whole history, by a checker of its own. */
void oracle_history(struct sim *sim);

/* ---- story.c ---- */

__attribute__((format(printf, 3, 4))) void sim_tell(struct sim *sim, const struct sim_node *node,
                                                    const char *format, ...);
void sim_tell_message(struct sim *sim, bool is_sent, const struct raft_message *message);
void sim_tell_view(struct sim *sim, const struct sim_node *node, const struct raft_view *before);
void sim_tell_knobs(struct sim *sim);
void sim_tell_nodes(struct sim *sim);

/* ---- world.c ---- */

struct sim *sim_world(void); /* the one of this process */
/* One whole run. False: an oracle failed, which sim->failure names. */
bool sim_world_run(struct sim *sim, struct tape *tape, struct sim_counts *counts, FILE *story,
                   bool is_story_full);

#endif
