/* internal.h -- the state of the core (Figure 3.1) and what its files offer one another.
 *
 * Only src/raft includes this. One file per concern: raft.c takes events apart and holds the term
 * rule; election.c, append.c, replicate.c, commit.c, read.c, lease.c, transfer.c and snapshot.c each
 * do what their name says; invariants.c states what holds between steps.
 */
#ifndef RK_RAFT_INTERNAL_H
#define RK_RAFT_INTERNAL_H

#include "base/prng.h"
#include "raft/config.h"
#include "raft/progress.h"
#include "raft/raft.h"
#include "raft/trail.h"
#include "raft/writes.h"

enum {
    RAFT_READS_MAX = 1024, /* reads that wait for a confirmation; past it: RK_BUSY */
    RAFT_BURST_MAX = 16,   /* appends to one peer in one step */
    RAFT_ROUNDS_MAX = 64,  /* latest heartbeat rounds that a lease can be counted from */
};

/* Every peer gets at most a heartbeat and an append when a leader begins; later steps send to all
 * once, or to one peer in a burst. */
_Static_assert(2 * RAFT_MEMBERS_MAX + RAFT_BURST_MAX <= RAFT_OUT_MESSAGES_MAX,
               "what a step can send fits the outputs");

struct raft_pending_read {
    uint64_t number;       /* the node's name for it */
    uint64_t round;        /* heartbeat round that confirms it, from `assigned` on; else 0 */
    raft_index read_index; /* commit_index when the round began */
};

/* A snapshot that the leader offered and that this node waits for. */
struct raft_install {
    struct raft_snapshot snapshot; /* id {0, 0}: none */
    struct raft_message offer;     /* the latest question for it, not answered yet */
};

struct raft {
    struct raft_options options;
    struct rk_prng prng;
    uint64_t now_ms;          /* of the event being handled, or the last one */
    uint64_t boot_ms;         /* the same, by the clock for leases */
    uint64_t deadline_ms;     /* as last given out */
    struct raft_outputs *out; /* the caller's; valid inside raft_step() only */

    /* Persistent on all nodes: as of the latest write handed out. */
    struct raft_hard_state hard_state; /* term never falls; vote changes once a term */
    uint64_t hard_state_write;         /* number of the write that carries it */
    struct trail trail;                /* last entry's term <= hard_state.term */
    struct config_log configs;         /* index <= trail's last index */
    struct writes writes;              /* durable_index <= trail's last index */
    struct raft_snapshot snapshot;     /* the newest; base <= its index <= commit_index */

    /* Volatile on all nodes. */
    raft_index commit_index; /* >= base, <= last, never falls */
    raft_index last_applied; /* <= commit_index, never falls */
    enum raft_role role;
    raft_node_id leader;           /* of hard_state.term; own id exactly when leader; 0: unknown */
    raft_node_id heard;            /* the latest leader that was heard, in whatever term */
    uint64_t leader_contact_ms;    /* when that was */
    uint64_t silent_until_ms;      /* after a restart: no votes before this (pitfall 105) */
    uint64_t election_timeout_ms;  /* drawn from [T, 2T), anew for every campaign */
    uint64_t election_deadline_ms; /* campaign then; no meaning for a leader */
    struct raft_install install;   /* on followers */

    /* Volatile on candidates of either kind. */
    uint64_t campaign;       /* number of the latest try, rising */
    uint64_t campaign_write; /* the candidate's vote for itself counts once this is durable */
    bool is_transfer;        /* by TimeoutNow; ends with the campaign (pitfall 12) */

    /* Volatile on leaders. */
    uint64_t heartbeat_deadline_ms;
    uint64_t quorum_floor_ms; /* contact counts as no older than this: start, or after a stall */
    raft_index term_start;    /* the term's no-op: reads and configurations wait for its commit */
    struct raft_entry noop;   /* lent in outputs.write */
    uint64_t round;           /* latest heartbeat round; rises over the whole life */
    uint64_t rounds_sent_ms[RAFT_ROUNDS_MAX]; /* by boot_ms, of round r at r % RAFT_ROUNDS_MAX */
    uint64_t lease_round_min;                 /* leases count from this round on */
    bool is_lease_given_up;                   /* for the rest of the term */
    raft_node_id transfer_peer;               /* being handed leadership; 0: nobody */
    uint64_t transfer_deadline_ms;
    bool is_transfer_sent;

    /* Reads: first those of a round under way, then those that wait for the next. */
    uint32_t reads_first;
    uint32_t reads_count;
    uint32_t reads_assigned; /* <= reads_count */
    struct raft_pending_read reads[RAFT_READS_MAX];

    /* The other members of the configuration in force, in any order. */
    uint32_t peers_count;
    struct progress peers[RAFT_MEMBERS_MAX];
};

/* raft.c */

/* The write of this step; its number is given at the first call. */
struct raft_write *raft_stage(struct raft *raft);
/* Term and vote from now on. The term may not fall; a vote is not changed within a term. */
void raft_set_hard_state(struct raft *raft, struct raft_hard_state hard_state);
/* The entry run has been put into the trail and is staged to be written. */
void raft_stage_entries(struct raft *raft, const struct raft_entry *entries, uint32_t count);
/* The write that everything promised so far waits for; 0: all is durable. */
uint64_t raft_promise(const struct raft *raft);
/* A message that is no answer. Lent until the step ends. */
struct raft_message *raft_send(struct raft *raft, enum raft_message_type type, raft_node_id to);
/* The one answer to `question`. is_promise: it leaves only when all that was handed out is
 * durable; else it waits for its term alone. */
struct raft_message *raft_answer(struct raft *raft, enum raft_message_type type,
                                 const struct raft_message *question, bool is_promise);
/* Follower in `term`, the current one or a newer. What belonged to the former role is forgotten. */
void raft_become_follower(struct raft *raft, raft_term term, raft_node_id leader);
/* The peer's progress, or NULL when it is no member. */
struct progress *raft_peer(struct raft *raft, raft_node_id id);
/* The same, of another voter of the configuration in force: that is a peer (asserted). */
const struct progress *raft_voter(const struct raft *raft, raft_node_id id);
/* Another configuration is in force: peers follow it, those that stay keep what is known. */
void raft_update_peers(struct raft *raft);
bool raft_is_storage_stalled(const struct raft *raft);

/* election.c */
void raft_election_arm(struct raft *raft);                        /* with a timeout drawn anew */
void raft_election_heard(struct raft *raft, raft_node_id leader); /* of the current term */
void raft_election_timeout(struct raft *raft);
void raft_election_campaign(struct raft *raft, bool is_transfer); /* skips the pre-vote */
void raft_election_tally(struct raft *raft); /* an own vote may have become durable */
bool raft_election_is_recovering(const struct raft *raft);
bool raft_election_may_stand(const struct raft *raft);
/* A vote request that must not disturb: it is refused and its term is not taken over (4.2.3). */
bool raft_election_is_sticky(const struct raft *raft, const struct raft_message *message);
void raft_election_request(struct raft *raft, const struct raft_message *message);
void raft_election_response(struct raft *raft, const struct raft_message *message);

/* append.c */
/* False for a message of a former term, or of a second leader in this one. */
bool raft_append_is_from_leader(const struct raft *raft, const struct raft_message *message);
void raft_append_request(struct raft *raft, const struct raft_message *message);
void raft_append_heartbeat(struct raft *raft, const struct raft_message *message);

/* replicate.c */
void raft_replicate_begin(struct raft *raft); /* the election is won */
void raft_replicate_deadline(struct raft *raft);
void raft_replicate_heartbeat(struct raft *raft); /* starts a new round */
enum rk_status raft_replicate_propose(struct raft *raft, struct raft_entry *entries,
                                      uint32_t entries_count);
void raft_replicate_response(struct raft *raft, const struct raft_message *message);
void raft_replicate_heartbeat_response(struct raft *raft, const struct raft_message *message);
void raft_replicate_snapshot_response(struct raft *raft, const struct raft_message *message);
void raft_replicate_unreachable(struct raft *raft, raft_node_id peer);
/* What the node says of the transfer to `peer`: it goes on, or it is over without success. */
void raft_replicate_snapshot_moved(struct raft *raft, raft_node_id peer, bool is_alive);
/* When a quorum last answered, self counting as now. */
uint64_t raft_replicate_quorum_ms(const struct raft *raft);

/* commit.c */
bool raft_commit_has_term(const struct raft *raft);          /* leader: its no-op is committed */
void raft_commit_advance(struct raft *raft);                 /* leader: some match rose */
void raft_commit_learn(struct raft *raft, raft_index index); /* follower: from the leader */

/* read.c */
enum rk_status raft_read_add(struct raft *raft, uint64_t read_number);
void raft_read_assign(struct raft *raft);         /* a round begins: all that wait are in it */
void raft_read_advance(struct raft *raft);        /* starts the next round when none is under way */
void raft_read_emit(struct raft *raft);           /* at the end of a step: the confirmed ones */
bool raft_read_is_ready(const struct raft *raft); /* some were confirmed, yet did not fit */
void raft_read_forget(struct raft *raft);

/* snapshot.c */
void raft_snapshot_compacted(struct raft *raft, const struct raft_snapshot *snapshot,
                             raft_index base_index, uint64_t lag_max);
void raft_snapshot_request(struct raft *raft, const struct raft_message *message);
/* The append left before the offer that this node waits for (pitfall 67). One that left after it,
 * or in another term, means that the leader has given the transfer up: then so does this node. */
bool raft_snapshot_is_busy(struct raft *raft, const struct raft_message *append);
bool raft_snapshot_is_installing(const struct raft *raft);
void raft_snapshot_abandon(struct raft *raft); /* and says so; nothing when none is under way */
enum rk_status raft_snapshot_installed(struct raft *raft, struct raft_entry_id id);
void raft_snapshot_install_failed(struct raft *raft, struct raft_entry_id id);

/* lease.c */
void raft_lease_note_round(struct raft *raft);       /* raft->round leaves */
void raft_lease_drop(struct raft *raft);             /* until a later round is acknowledged */
void raft_lease_give_up(struct raft *raft);          /* for the rest of the term */
uint64_t raft_lease_end_ms(const struct raft *raft); /* as in the view */

/* transfer.c */
enum rk_status raft_transfer_start(struct raft *raft, raft_node_id peer);
void raft_transfer_advance(struct raft *raft); /* sends TimeoutNow, or gives up */
void raft_transfer_timeout_now(struct raft *raft, const struct raft_message *message);

#endif
