/* raft.h -- the consensus core: events in, outputs out. Same events, same outputs, always.
 *
 * It knows terms, votes, (index, term) runs and configurations; it never sees a payload, a clock,
 * a disk or a socket. The node hands it events with the time in them and performs its outputs in
 * field order. Entries are borrowed from the event for the call and lent on in outputs.write.
 *
 * Thread: the owner's (the node thread). Memory: the caller's block, sized by raft_size().
 * Sources: dissertation 3 (basic Raft), 4 (membership), 6 (clients), 9.6 (PreVote), 10.2.
 */
#ifndef RK_RAFT_RAFT_H
#define RK_RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "raft/message.h"
#include "raft/types.h"

struct raft; /* raft/internal.h: no field is anybody else's business */

enum {
    RAFT_TRAIL_RUNS_MAX =
        16384,               /* term changes in the retained log; past it: no new term entries */
    RAFT_INFLIGHT_MAX = 256, /* ceiling of options.inflight_max */
};

struct raft_options {
    raft_node_id id;
    uint64_t seed;                  /* of election jitter: equal seeds and events give equal runs */
    uint32_t election_timeout_ms;   /* T: each timeout is drawn from [T, 2T) (3.4) */
    uint32_t heartbeat_interval_ms; /* < T / 2 (asserted) */
    uint32_t append_entries_max;    /* entries in one append, 1 .. RAFT_WRITE_ENTRIES_MAX */
    uint32_t inflight_max;          /* appends under way to one peer, 1 .. RAFT_INFLIGHT_MAX */
    bool pre_vote;                  /* 9.6; off only in the simulator */
    bool check_quorum;              /* 6.2: a leader that hears from no quorum steps down; and
                                       4.2.3: voters that hear from a leader refuse to vote, as
                                       one that knows a term does for T after its start */
    uint32_t lease_ms;              /* how long a round that a quorum has acknowledged keeps other
                                        leaders away, from when it was sent: less than T by what
                                        clocks may drift apart. 0: no leases (6.4.1). Needs
                                        check_quorum, on all voters alike (asserted here) */
    struct raft_entry_id recover_to; /* the log once held this entry, {0, 0} for none: while its
                                        durable end is before it, in (term, index), something this
                                        node promised is missing, and it neither votes nor stands
                                        until a leader has refilled it (pitfall 49) */
};

/* What the disk gave back at start; borrowed for raft_init(). */
struct raft_restored {
    struct raft_hard_state hard_state;
    struct raft_entry_id base; /* last entry that a snapshot replaced, {0, 0} before the first */
    struct raft_entry_id last; /* = base when the log is empty */
    /* The newest snapshot, which the state machine starts from; {0, 0}: none. Between base and
     * last, and agreeing with `runs`: a log that ends before it is for the node to reset. */
    struct raft_entry_id snapshot;
    const struct raft_trail_run *runs; /* of entries base.index + 1 .. last.index, ascending */
    uint32_t runs_count;
    /* The configuration of the snapshot and its index; or the one to start from, and 0. */
    struct raft_config config;
    raft_index config_index;
    /* Configuration entries in the log, ascending, also those that `config` is already past; at
     * most the last is uncommitted, so the last two are enough. */
    struct {
        raft_index index;
        struct raft_config config;
    } logged_configs[2];
    uint32_t logged_configs_count;
};

/* The core allocates nothing: it lives in raft_size() bytes, aligned as malloc aligns, that the
 * caller owns. An empty config means "member of nothing": it neither votes for nor campaigns, but
 * takes entries from a leader. */
size_t raft_size(void);
struct raft *raft_init(void *memory, size_t size, const struct raft_options *options,
                       const struct raft_restored *restored, uint64_t now_ms);

enum raft_event_type {
    RAFT_EVENT_DEADLINE = 1, /* outputs.deadline_ms has passed (harmless when it has not) */
    RAFT_EVENT_RECEIVED,     /* message: decoded, checksummed, from a known member */
    RAFT_EVENT_PERSISTED,    /* every write up to write_number is durable */
    RAFT_EVENT_APPLIED,      /* the state machine has applied up to index */
    RAFT_EVENT_PROPOSED,     /* entries: type, config and frame set; id is filled in by the core */
    RAFT_EVENT_READ,         /* read_number wants a read index (6.4); numbers rise */
    RAFT_EVENT_UNREACHABLE,  /* a message to `peer` was lost for certain: probe it again */
    RAFT_EVENT_TRANSFER,     /* hand leadership to `peer`, 0: to the best follower (3.10) */
    RAFT_EVENT_COMPACTED,    /* compacted: a snapshot of the applied state is durable here (5.1) */
    RAFT_EVENT_SNAPSHOT_PROGRESS, /* the transfer to `peer` is alive: at least every T */
    RAFT_EVENT_SNAPSHOT_FAILED,   /* the transfer to `peer` is given up: offer it again later */
    RAFT_EVENT_INSTALLED,      /* view.installing, named by `snapshot`, is durable as a file, and a
                                     state built of it is ready: when the step returns RK_OK it is
                                     in force, and the node swaps it in before it applies anything */
    RAFT_EVENT_INSTALL_FAILED, /* the snapshot named by `snapshot` cannot be had from there */
};

struct raft_event {
    enum raft_event_type type;
    uint64_t now_ms;  /* monotonic, never falls; of messages: read after they came */
    uint64_t boot_ms; /* another clock that never falls, which goes on while the machine sleeps:
                         for leases alone (pitfall 107); read before what the step puts out leaves */
    union {
        const struct raft_message *message;
        uint64_t write_number;
        raft_index index;
        struct {
            struct raft_entry *entries; /* 1 .. RAFT_WRITE_ENTRIES_MAX */
            uint32_t entries_count;
        } proposed;
        uint64_t read_number;
        raft_node_id peer;
        struct {
            const struct raft_snapshot *snapshot; /* id.index <= last_applied (asserted) */
            raft_index base_index; /* the log may go up to here, <= snapshot->id.index (asserted).
                                      What a transfer under way will need next stays: view.base
                                      tells what may really be deleted */
            uint64_t lag_max; /* a peer that is fed from the log keeps what it needs next, unless
                                 it is more entries behind than this */
        } compacted;
        struct raft_entry_id snapshot;
    };
};

enum { RAFT_OUT_MESSAGES_MAX = 128, RAFT_OUT_READS_MAX = 64 };

/* What the node must now do, in field order. Valid until the next raft_step() on this core. */
struct raft_outputs {
    /* The no-op that begins a leader's term is made here, so its frame is {NULL, 0}: the node makes
     * one for it before the write and the appends leave. */
    struct raft_write write; /* 1. hand to the disk thread; write_number names it, numbers rise */
    uint64_t write_number;   /*    0: nothing to write */
    struct raft_message messages[RAFT_OUT_MESSAGES_MAX]; /* 2. send, each after its after_write;
                                                               after_write never falls in here */
    uint32_t messages_count;
    raft_index commit_index; /* 3. apply up to here, in order; report with EVENT_APPLIED */
    uint64_t reads[RAFT_OUT_READS_MAX]; /* 4. confirmed: serve once last_applied >= read_index */
    raft_index read_indexes[RAFT_OUT_READS_MAX];
    uint32_t reads_count;
    uint64_t deadline_ms; /* 5. send RAFT_EVENT_DEADLINE at this time */
};

/* Errors: RK_NOT_LEADER (proposal, read, transfer: nothing was appended), RK_BUSY (proposal: a
 * transfer is under way; or it holds a configuration while another is uncommitted, before the term
 * has committed, or two of them; read: too many wait; transfer: one to another node is under way;
 * nothing was appended), RK_INVALID (a configuration that may not follow the current one, a
 * transfer to one who may not lead; installed: that snapshot is not wanted any more, and the node
 * drops it). Outputs are valid in every case. A message never fails:
 * what is stale or unknown is answered or dropped. On leaving leadership all unconfirmed reads
 * are forgotten: the node sees the role change and fails them. */
RK_MUST_USE enum rk_status raft_step(struct raft *raft, const struct raft_event *event,
                                     struct raft_outputs *out);

enum raft_role {
    RAFT_FOLLOWER = 1,
    RAFT_PRE_CANDIDATE,
    RAFT_CANDIDATE,
    RAFT_LEADER,
};

/* "follower", "pre_candidate", "candidate", "leader". */
const char *raft_role_name(enum raft_role role);

/* A moment's view; the pointers are lent until the next raft_step(). */
struct raft_view {
    enum raft_role role;
    struct raft_hard_state hard_state;
    raft_node_id leader;       /* of this term, 0: unknown */
    struct raft_entry_id base; /* the log begins after it; the entries up to it may be deleted */
    struct raft_entry_id last;
    struct raft_entry_id snapshot; /* the newest here, offered to those who need it; {0, 0}: none */
    struct raft_entry_id installing; /* the leader's, wanted here; {0, 0}: none. The node takes the
                                        bytes of this one, and drops what it has of any other */
    raft_index durable_index;        /* of this node's log */
    raft_index commit_index;
    raft_index last_applied;
    bool is_term_committed;     /* leader: an entry of its own term is committed; may serve reads */
    uint64_t leader_contact_ms; /* follower: when the leader was last heard; leader: when a quorum
                                   last answered; 0: never */
    const struct raft_config *config; /* the latest in the log, in force (4.1) */
    raft_index config_index;
    bool is_config_committed;
    /* Leader: until this time of the clock of boot_ms nobody else can be elected; 0: that is not
     * known. A read of a state that has applied commit_index, of this view or a later one, is
     * linearizable if the clock is short of it after the state was looked at (pitfall 107). */
    uint64_t lease_end_ms;
    bool is_recovering;      /* the durable log is short of options.recover_to */
    bool is_storage_stalled; /* oldest pending write older than two election timeouts (F9) */
};
struct raft_view raft_view(const struct raft *raft);

/* Of one peer as its leader sees it. Errors: RK_NOT_LEADER, RK_NOT_FOUND. */
struct raft_peer_view {
    raft_index match_index;
    raft_index next_index;
    raft_index commit_index; /* as last reported */
    raft_index last_applied;
    uint64_t contact_ms;       /* when it last answered; 0: never in this term */
    bool is_replicating;       /* optimistic pipeline; false: probing, or: */
    raft_index snapshot_index; /* a snapshot up to here is being sent; 0: none */
};
RK_MUST_USE enum rk_status raft_peer_view(const struct raft *raft, raft_node_id peer,
                                          struct raft_peer_view *ret);

/* The term of the entry at `index` by the core's own trail. Errors: RK_COMPACTED (index < base),
 * RK_NOT_FOUND (index > last). */
RK_MUST_USE enum rk_status raft_term_at(const struct raft *raft, raft_index index, raft_term *ret);

/* Aborts when anything that must hold between steps does not (invariants.c). */
void raft_check(const struct raft *raft);

#endif
