/* node_internal.h -- the node's own state, shared by node*.c alone. Thread: the node thread,
 * except where a field says otherwise. */
#ifndef RK_SERVER_NODE_INTERNAL_H
#define RK_SERVER_NODE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "base/frame.h"
#include "base/meter.h"
#include "base/prng.h"
#include "network/link.h"
#include "network/peer.h"
#include "network/wire.h"
#include "raft/raft.h"
#include "server/disk_thread.h"
#include "server/http_server.h"
#include "server/lease.h"
#include "server/member_change.h"
#include "server/node.h"
#include "server/node_bring_back.h"
#include "server/node_check.h"
#include "server/outbox.h"
#include "server/pending.h"
#include "server/snap_thread.h"
#include "server/tail.h"
#include "statemachine/cluster_time.h"
#include "statemachine/membership.h"
#include "statemachine/sm.h"

enum {
    NODE_EARLY_MAX = 64,     /* appends held until the one before them has come */
    NODE_FORWARDS_MAX = 8,   /* forwarded batches under way */
    NODE_READ_INDEX_MAX = 2, /* read-index questions under way */
    NODE_DONE_MAX = 256,     /* completions handed to an HTTP loop at once */
    NODE_PEER_APPENDS_MAX = 2 * RAFT_INFLIGHT_MAX,
    NODE_PEER_BYTES_MAX = 8 << 20,          /* of appends under way to one peer */
    NODE_SERVERS_MAX = 64,                  /* HTTP loops that complete requests */
    NODE_IDENTITY_MS = 200,                 /* between two rounds of asking who is there */
    NODE_LOST_MS = 1000,                    /* the same, for a member that no leader talks to */
    NODE_DISK_JOBS_MAX = DISK_JOBS_MAX / 4, /* with more under way nothing is proposed */
    NODE_SPACE_MS = 200,                    /* between two looks at the free space */
    NODE_APPLY_TURN_US = 5000,              /* a turn applies no longer than this */
    NODE_RETRY_MS = 5,
    NODE_GIVE_UP_TIMEOUTS = 6, /* election timeouts that a request waits for a leader */
    NODE_EXPIRE_MS = 100,
    NODE_HEALTH_MS = 200,       /* between two looks at who is well */
    NODE_HEALTH_LATE_MS = 1000, /* later than that, the node itself stood still */
    NODE_EXPIRE_RETRY_MS = 50,  /* between two entries that end what is over */
    NODE_FORWARD_BYTES_MAX = 1 << 20,
    NODE_FORWARD_RESULTS_MAX = 6 << 20,
    NODE_FORWARD_TIMEOUT_MS = 5000,
    NODE_SNAPSHOT_BYTES = 256 << 20,      /* applied since the last snapshot: time for another */
    NODE_SNAPSHOT_RETRY_MS = 30 * 1000,   /* after one for which there was no room */
    NODE_SNAPSHOT_TIMEOUT_MS = 10 * 1000, /* a piece is answered within */
    NODE_SNAPSHOT_REFUSED_MS = 1000, /* before a peer that could not take one is sent it again */
    NODE_SNAPSHOT_REFUSED_MAX_MS = 30 * 1000, /* the same, after several; it doubles */
    NODE_SNAPSHOT_POLL_MS = 20,               /* between two questions whether the state is built */
    NODE_COMPACT_SLICE_US = 1500,             /* a slice of compaction aims to stay below */
    NODE_COMPACT_ENTRIES_MAX = 1024,
};

/* Ids of no member: the address to join at, and the leader's as told there. */
enum { NODE_CONTACT_GIVEN = 1, NODE_CONTACT_LEADER = 2 };

#define NODE_TERM_MAX (UINT64_C(1) << 52) /* half of what the wire holds */

/* Where this node stands towards the cluster (design: identity). */
enum standing {
    STANDING_MEMBER,   /* the configuration in the log has this name with this incarnation */
    STANDING_ASKING,   /* new directory: asking the others whether there is a cluster */
    STANDING_FORMING,  /* all that answer are as new: electing who makes the first entry */
    STANDING_CLAIMING, /* a cluster is there and waits for this name: asking to be written down */
    STANDING_REFUSED,  /* a cluster is there and this directory is not what it knows: waits */
    STANDING_REMOVED,  /* was a member, and a leader says that it is none any more */
};

/* One outgoing HTTP request under way; the link's cookie points to it. */
enum outgoing_type {
    OUTGOING_MESSAGE,
    OUTGOING_IDENTITY,
    OUTGOING_READ_INDEX,
    OUTGOING_FORWARD,
    OUTGOING_ADMIN,
    OUTGOING_SNAPSHOT,
};

struct outgoing {
    enum outgoing_type type;
    raft_node_id peer;
    enum raft_message_type message_type; /* OUTGOING_MESSAGE */
    raft_term term;
    uint64_t bytes;            /* of an append's body */
    uint64_t sent_us;          /* of an append */
    uint32_t round;            /* OUTGOING_IDENTITY: of asking */
    uint64_t sequence;         /* OUTGOING_SNAPSHOT: of the offer */
    struct client_list items;  /* forwarded writes, or reads that wait for a read index */
    struct outgoing *previous; /* all that are under way */
    struct outgoing *next;
};

/* A snapshot on its way to a peer: what the core offered, and how far the file has come. */
struct node_sending {
    bool is_active;
    raft_term term;
    uint64_t sequence;
    struct snap_ref ref;
    bool is_asked;      /* the peer has said how much it has */
    uint64_t offset;    /* it has so much */
    bool is_busy;       /* a piece is being read, or on its way */
    uint64_t due_ms;    /* nothing leaves before */
    bool is_failed_due; /* the core is told at the end of the turn */
};

struct peer {
    raft_node_id id;
    uint64_t incarnation; /* 0: not seen yet */
    char name[RK_NODE_NAME_SIZE_MAX + 1];
    char address[RK_ADDRESS_SIZE_MAX + 1];
    struct peer_health health;
    uint32_t heartbeats_in_flight;
    bool has_heartbeat_waiting; /* the newest one covers those before it */
    struct raft_message heartbeat_waiting;
    struct raft_message appends[NODE_PEER_APPENDS_MAX]; /* not sent yet; a ring */
    uint32_t appends_head;
    uint32_t appends_count;
    uint64_t bytes_in_flight;
    bool is_unreachable_due; /* the core is told at the end of the turn */
    bool is_reading;         /* the disk thread reads entries for the first of appends */
    raft_term reading_term;  /* in which it was asked to: read in another, they may be gone */
    raft_index read_commit;  /* commit_index when it was asked to */
    uint64_t read_due_ms;    /* nothing more is read before */
    bool is_refusal_reported;
    uint32_t feature_level;     /* that it reads, as it last said; 0: not heard yet */
    struct check_mark check;    /* what it last said */
    raft_index differs;         /* where it says that its state differs; 0: it does not */
    raft_index found_to_differ; /* where this leader found so, and it has not heard yet */
    bool is_repair_wanted;      /* by an operator */
    bool is_age_reported;       /* the log has said that it is too old to be taken */
    struct node_sending sending;
    uint32_t snapshots_refused; /* one after the other: it could not take them */
    uint64_t snapshot_retry_ms; /* none is sent before */
    uint64_t heard_incarnation; /* while forming: what it says of itself; 0: nothing yet */
    char heard_client_address[RK_ADDRESS_SIZE_MAX + 1];

    /* On the leader: catching up, in rounds (4.2.1). */
    raft_term round_term; /* the rounds are of this term */
    raft_index round_target;
    uint64_t round_began_ms;
    bool is_caught_up; /* the last round was shorter than an election timeout */
    uint32_t rounds;   /* one after the other that were longer */
    bool was_alive;
    uint64_t stable_since_ms; /* Unix time of its last change, to show */
};

/* Reads that share one read index. */
struct read_batch {
    uint64_t number;
    bool is_confirmed;
    raft_index read_index;
    struct client_list clients;
    struct remote_read *remotes; /* other nodes' questions */
    struct read_batch *next;
};

struct remote_read {
    struct http_exchange *exchange;
    raft_node_id from;
    struct remote_read *next;
};

/* An append that overtook the one before it. */
struct early {
    struct http_exchange *exchange;
    raft_index previous;
};

/* A forwarded batch from a follower, being worked on. */
struct forward_in {
    struct http_exchange *exchange;
    uint32_t open_count;
    struct wire_forward_answer *answer;
    struct rk_buf results; /* encoded; where each begins: */
    uint32_t result_begins[RK_FORWARD_ITEMS_MAX];
};

/* Proposals gathered for one step. */
struct proposals {
    struct raft_entry entries[RAFT_WRITE_ENTRIES_MAX];
    struct block *blocks[RAFT_WRITE_ENTRIES_MAX];
    struct origin origins[RAFT_WRITE_ENTRIES_MAX];
    struct raft_config configs[1]; /* of a configuration entry: it travels alone */
    uint32_t count;
};

struct done_list {
    struct http_server *server;
    uint32_t count;
    struct http_completion items[NODE_DONE_MAX];
};

/* Reads that wait for a change. */
struct node_waits {
    struct sm_watch_set *set;
    struct deadlines deadlines;
    struct client_request *first; /* of those that need a leader */
    uint64_t leaderless_since_ms; /* UINT64_MAX: there is one */
};

/* A snapshot that the leader offers, on its way here. */
enum receiving_state {
    RECEIVING_NOTHING,
    RECEIVING_PIECES,
    RECEIVING_BUILD, /* the file is whole; the worker builds the state */
    RECEIVING_BUILT, /* waits to be noted down */
    RECEIVING_NOTED, /* is being noted down */
};

struct node_receiving {
    enum receiving_state state;
    struct snap_ref ref;
    raft_index config_index; /* as offered, and the check of its bytes */
    uint32_t config_check;
    uint64_t offset;       /* so much of it is there */
    bool is_busy;          /* a piece is with the worker */
    bool is_said;          /* the log has said that it comes */
    struct sm *sm;         /* BUILT, NOTED */
    struct snap_info info; /* BUILT, NOTED */

    /* The question to which the answer is owed, NULL: none; and the core's answer to the one that is
     * being stepped. */
    struct http_exchange *exchange;
    raft_node_id from;
    raft_term term;
    uint64_t sequence;
    bool is_stepping;
    bool has_answer;
    struct raft_message answer;
};

/* A state machine that another has taken the place of, while roots of it may be held. */
struct former_sm {
    struct sm *sm;
    uint64_t version; /* of the first root that is not its own */
    struct former_sm *next;
};

struct node_snapshots {
    struct snap_info held[LOG_SNAPSHOTS_MAX]; /* noted down; ascending */
    uint32_t held_count;
    raft_index lost[LOG_SNAPSHOTS_MAX]; /* noted down, and cannot be read: go with the next one */
    uint32_t lost_count;
    bool is_noting; /* the disk thread notes one down */
    struct raft_entry_id noting;

    /* taking */
    bool is_taking;
    struct raft_entry_id taking;
    uint64_t root_version;  /* of the root that is held for it */
    uint64_t retry_ms;      /* none is taken before */
    uint64_t applied_bytes; /* since the newest */
    raft_index wanted_base; /* where the log may begin, for all that the node knows */
    uint64_t recompact_ms;

    /* compaction */
    bool is_compacting;
    uint32_t slice_entries;
    uint64_t slice_due_ms;     /* the next one; not before */
    struct raft_entry_id base; /* of the log on disk, as far as heard */
    uint64_t base_chain;

    struct node_receiving receiving;
    struct former_sm *former; /* oldest last */
};

/* What node_view_refresh() reads without a lock. */
struct node_numbers {
    _Atomic uint64_t commit_index;
    _Atomic uint64_t last_applied;
    _Atomic uint64_t last_index;
    _Atomic uint64_t durable_index;
    _Atomic uint64_t leader_contact_ms; /* UINT64_MAX: this node leads; 0: never */
    _Atomic uint64_t turned_at_ms;
    _Atomic bool has_caught_up; /* since the start: node_view.c */
    _Atomic uint64_t version;   /* of shared_view */
};

/* What the leader says of the nodes: node_health.c. */
struct node_health {
    raft_index index; /* of the last entry, as this leader proposed it */
    raft_term term;
    uint64_t due_ms;    /* of the next look */
    uint64_t turned_ms; /* of the last turn */
    uint64_t since_ms;  /* when this node last stood still: nobody counts as silent for longer */
};

struct node {
    const struct options *options;
    struct data_dir *dir;
    struct root_board *board;
    struct disk_thread *disk;
    struct snap_thread *snap_thread;

    /* identity */
    enum standing standing;
    raft_node_id id;
    uint64_t incarnation;
    uint64_t formation;           /* fingerprint of initial-cluster */
    struct membership membership; /* latest in the log; members_count 0: none yet */
    raft_index membership_index;
    uint32_t learners_count;
    struct membership membership_before; /* the one before, for a truncation */
    raft_index membership_before_index;
    bool is_firm; /* the cluster id can no longer change: something of it is committed */
    struct cluster_id seen_cluster;  /* of the cluster that does not know this node (yet) */
    struct cluster_id drawn_cluster; /* while forming: what this node would call it */
    struct raft_restored *kept;      /* as restored, while the id is not certain; else NULL */
    char refused_reason[192];
    uint64_t identity_due_ms;
    uint64_t core_since_ms; /* when the core was made */
    uint32_t identity_rounds;
    uint32_t identity_answers; /* of this round */
    uint32_t identity_fresh;
    uint32_t identity_foreign; /* members of initial-cluster that are of another cluster */
    struct peer peers[RAFT_MEMBERS_MAX];
    uint32_t peers_count;

    /* consensus */
    struct raft *raft;
    struct raft_outputs *outputs;
    struct raft_view view;
    struct raft_entry_id recover_to; /* the log once held it and does not now; {0, 0}: none */
    struct tail tail;
    uint64_t durable_write; /* every write up to this number is durable */
    struct outbox outbox;
    struct proposals batch;
    struct block *received; /* holds the frames of the append being stepped */
    struct cluster_time time;
    uint64_t now_ms;
    uint64_t turned_us; /* when this turn began; 0: none yet */
    uint64_t apply_us;  /* when what is being applied was begun */
    struct lease lease; /* any thread looks */

    /* state machine */
    struct sm *sm;
    raft_index last_applied;
    raft_term applied_term; /* of that entry, and its chain */
    uint64_t applied_chain;
    raft_index last_published;
    raft_index log_end_at_start; /* of what was on disk */
    uint64_t started_wall_ms;    /* Unix time, to show */
    bool is_reclaim_due;         /* old versions are left to free */
    bool is_reading_for_apply;
    bool is_apply_due; /* more is committed than one turn applies */

    struct node_snapshots snaps;
    struct restore_gate gate;
    struct node_bringing bringing;
    struct node_check check;

    /* requests */
    struct rk_queue *mailbox;  /* struct client_request * */
    struct client_list writes; /* wait for a leader or for the next step */
    struct client_list reads;
    struct remote_read *remote_reads;
    struct pending pending;
    uint64_t pending_due_ms; /* when those left from a lost leadership are given up */
    raft_index expire_index; /* of the entry that ends what is over, as this leader proposed it */
    raft_term expire_term;
    uint64_t expire_retry_ms;
    uint64_t led_since_ms; /* this node leads */
    struct node_health health;
    raft_index
        raise_index; /* of the entry that raises the feature level, as this leader proposed */
    raft_term raise_term;
    bool is_raising;         /* it is being proposed */
    char behind_reason[192]; /* why a write was refused with RK_BEHIND last */
    uint64_t retry_at_ms;    /* nothing is sent to a leader before, after it took nothing */
    uint64_t read_number;
    struct read_batch *read_batches; /* oldest first */
    uint64_t read_batches_due_ms;    /* when their clients' time is looked at again */
    struct read_batch *read_batches_last;
    struct node_waits waits;
    uint32_t forwards_in_flight;
    uint32_t read_indexes_in_flight;
    struct done_list done[NODE_SERVERS_MAX];
    uint32_t done_count;
    uint32_t disk_jobs;           /* submitted and not come back */
    struct client_list admins;    /* wait for a leader */
    uint32_t admins_in_flight;    /* passed on to the leader */
    struct admin_job *change_job; /* waits for its configuration; one at a time */
    struct admin_job *transfer_job;
    struct api_options api_options; /* for what other nodes pass on */
    bool is_disk_nearly_full;
    bool is_space_asked;
    uint64_t space_due_ms;

    /* peers */
    struct link *link;
    struct outgoing *outgoings;
    struct http_server *peer_server;
    struct http_listener *peer_listener;
    struct early early[NODE_EARLY_MAX];
    uint32_t early_count;
    uint64_t early_since_ms;
    struct wire_message *decoded; /* scratch: too large for the stack */
    struct rk_prng prng;

    /* the loop */
    int epoll;
    bool is_peer_waiting; /* at the listener */
    bool is_server_ready;
    bool is_link_ready;
    struct http_exchange *in_hand; /* a peer's request being looked at, not answered yet; or NULL */
    bool has_answered;             /* answers wait for the peer server's turn */
    bool is_turn_due;              /* something came in after this turn's work was done */
    pthread_t thread;
    _Atomic bool is_snapshot_asked; /* node_take_snapshot() */
    _Atomic uint64_t stop_by_ms;    /* 0: running */
    _Atomic bool is_closed;         /* no turn takes requests any more */
    bool is_handing_over;
    bool is_over; /* the loop has ended: nobody may be listened to any more */

#ifdef RK_TEST_HOOKS
    _Atomic int hook_signal;
    struct rk_buf hook_command;
#endif

    /* for other threads */
    struct rk_meters *meters;
    struct rk_meter *meter; /* this thread's */
    struct node_numbers numbers;
    bool is_view_stale;
    uint64_t view_at_ms;
    pthread_mutex_t view_lock;
    struct node_view shared_view; /* under view_lock */
};

/* node_open.c: all of node_start() but the thread and what wakes it; errors as there. */
RK_MUST_USE enum rk_status node_open(const struct node_start_options *start, struct node **ret,
                                     char *message, size_t message_size);

/* node_turn.c: one turn of the loop, and when, at the latest, the next one is due (on
 * rk_monotonic_ms(); it may have passed). Disk, peers and clients may want one sooner. */
void node_turn(struct node *node);
uint64_t node_deadline_ms(struct node *node);

/* node_stop.c: after each turn; true: the node was told to stop, and the loop may end. */
bool node_stop_turn(struct node *node);
/* After the loop has ended: what came after the last turn is refused. */
void node_refuse_mailbox(struct node *node);

/* node.c */
/* Logs and ends the process at once: nothing may be done after a storage error or on damage. */
_Noreturn void node_end(struct node *node, enum rk_status status, const char *event,
                        raft_index index);

/* node_step.c: one event through the core, its outputs performed in order. */
void node_disk_submit(struct node *node, struct disk_job *job);
RK_MUST_USE enum rk_status node_step(struct node *node, const struct raft_event *event);
void node_persisted(struct node *node, struct disk_job *job);
void node_restart_core(struct node *node, const struct raft_restored *restored);

/* node_restore.c: what the log says at start. */
RK_MUST_USE enum rk_status node_restore(struct node *node, const struct node_start_options *start,
                                        char *message, size_t message_size);

/* node_heal.c: damage found at start. Whoever gives anything up has begun before. */
/* Makes durable what the log had come to. Errors: RK_CORRUPT (no other voter could refill it), those of
 * high_water_raise(). */
RK_MUST_USE enum rk_status node_heal_begin(const struct node *node,
                                           const struct node_start_options *start, const char *what,
                                           raft_index index);
/* The log ends before `bad_index`, what stands there being whole. Errors: those of a write. */
RK_MUST_USE enum rk_status node_heal_cut(const struct node_start_options *start,
                                         raft_index bad_index);
/* Where no snapshot can be read: who the members were. */
void node_heal_membership(struct node *node, const struct log_store *store);
/* Gives the log and the list of snapshots up. Errors: those of a write. */
RK_MUST_USE enum rk_status node_heal_forget(struct node *node,
                                            const struct node_start_options *start);

/* For a node whose state is wrong although its disk is whole (member repair): to be called first of all
 * in node_restore(), which then finds log and snapshots gone and makes the node recover as from damage.
 * When this has returned RK_OK, what asked for it may go: the directory says the rest. Errors: RK_CORRUPT
 * (no other voter; nothing was changed), RK_IO, RK_FULL. */
RK_MUST_USE enum rk_status node_heal_anew(struct node *node,
                                          const struct node_start_options *start);

/* node_apply.c: applies what is committed; the core hears of it in node_report_applied(). */
void node_apply(struct node *node);
void node_report_applied(struct node *node);
void node_apply_read(struct node *node, struct disk_job *job);

/* node_writes.c */
void node_flush_writes(struct node *node);
void node_fail_pending(struct node *node);
void node_truncate_pending(struct node *node, raft_index truncate_from);
void node_await_pending(struct node *node);
/* A client takes the result over; NULL: there is none. */
void node_origin_done(struct node *node, struct origin origin, enum rk_status status,
                      struct sm_result *result);
/* Answers it with node->behind_reason. */
void node_refuse_behind(struct node *node, struct client_request *request);
RK_MUST_USE enum rk_status node_propose(struct node *node, struct rk_buf *frame,
                                        struct origin origin);
void node_flush_proposals(struct node *node);
/* A command that is this leader's own, alone: the index it got; 0: it was not taken. */
raft_index node_propose_own(struct node *node, const struct sm_command *command);
RK_MUST_USE enum rk_status node_propose_membership(struct node *node,
                                                   const struct membership *membership);

/* node_health.c */
void node_health_turn(struct node *node);
uint64_t node_health_deadline_ms(const struct node *node);

/* node_expire.c */
void node_expire_turn(struct node *node);
uint64_t node_expire_deadline_ms(const struct node *node);

/* node_feature.c: what the members can read. */
void node_feature_heard(struct node *node, const struct wire_envelope *envelope);
/* On the leader: RK_OK, the command may be proposed; RK_NOT_LEADER, not yet, ask again; RK_BEHIND, a
 * member cannot read it: node->behind_reason says which. */
RK_MUST_USE enum rk_status node_feature_gate(struct node *node, struct rk_bytes command);
/* False: the leader cannot read it, for the same reason. */
bool node_feature_may_forward(struct node *node, struct rk_bytes command);
/* False: the new member, which says so, is too old for the cluster. */
bool node_feature_may_join(struct node *node, const struct member *member,
                           const struct wire_envelope *envelope);
/* False: the state is of a level that this node is not to read. */
bool node_feature_is_readable(const struct node *node);
/* The level that the entry needs, if this node is not to read it; else 0. */
uint32_t node_feature_above(const struct node *node, const struct raft_entry *entry);

/* node_forward.c */
void node_forward_writes(struct node *node);
void node_forward_result(struct node *node, struct outgoing *outgoing,
                         const struct link_result *result);
void node_forward_received(struct node *node, struct http_exchange *exchange);
void node_forward_item_done(struct node *node, struct forward_in *forward, uint32_t item,
                            enum rk_status status, const struct sm_result *result);

/* node_reads.c */
void node_flush_reads(struct node *node);
void node_confirm_reads(struct node *node);
void node_complete_reads(struct node *node);
void node_retry_reads(struct node *node);
void node_drop_reads(struct node *node); /* the node stops: every one that waits is ended */
void node_read_index_result(struct node *node, struct outgoing *outgoing,
                            const struct link_result *result);
void node_read_index_received(struct node *node, struct http_exchange *exchange);

/* node_watch.c: reads that wait for a change. */
void node_watch_open(struct node *node);
void node_watch_close(struct node *node); /* nobody waits any more (asserted) */
/* A read that is as fresh as was asked for: answered now, or when what it reads has changed. */
void node_watch_begin(struct node *node, struct client_request *request);
/* The client of request->given_up has gone: both come back, in any order. */
void node_watch_give_up(struct node *node, struct client_request *request);
void node_watch_published(struct node *node, const struct sm_root *root);
void node_watch_turn(struct node *node);
uint64_t node_watch_deadline_ms(const struct node *node);
void node_watch_stop(struct node *node); /* all are answered with what is there */

/* node_members.c */
void node_members_turn(struct node *node);
uint64_t node_members_deadline_ms(const struct node *node);
bool node_members_are_idle(const struct node *node);
void node_members_stop(struct node *node); /* what still waits is answered */
void node_admin_result(struct node *node, struct outgoing *outgoing,
                       const struct link_result *result);
void node_admin_received(struct node *node, struct http_exchange *exchange);
/* On the leader: it is this node, or answered within an election timeout. */
bool node_member_answers(const struct node *node, raft_node_id id);
uint32_t node_failure_tolerance(const struct node *node);

/* node_done.c: answers on their way back to the HTTP loops. */
void node_complete(struct node *node, struct client_request *request, enum rk_status status);
void node_flush_done(struct node *node);

/* node_peers.c: messages out. */
bool node_peer_is_itself(const struct peer *peer);
struct peer *node_peer(struct node *node, raft_node_id id); /* NULL: unknown */
void node_report_unreachable(struct node *node);
/* Goes on where a pause between two reads is over; when the next one is, UINT64_MAX: none. */
void node_appends_turn(struct node *node);
uint64_t node_appends_deadline_ms(const struct node *node);
void node_send(struct node *node, const struct raft_message *message);
void node_append_read(struct node *node, struct disk_job *job);
void node_link_result(void *context, const struct link_result *result);
struct wire_envelope node_envelope(const struct node *node, raft_node_id to);
struct outgoing *node_outgoing_new(struct node *node, enum outgoing_type type, raft_node_id peer);
void node_outgoing_free(struct node *node, struct outgoing *outgoing);
/* On RK_OK the outgoing comes back through node_link_result(), which frees it. */
RK_MUST_USE enum rk_status node_post(struct node *node, enum link_class class, const char *path,
                                     struct rk_buf *body, uint32_t timeout_ms,
                                     struct outgoing *outgoing);

/* node_snapshot.c: taking snapshots, and cutting the log that they stand for. */
void node_snapshot_turn(struct node *node);
uint64_t node_snapshot_deadline_ms(const struct node *node);
void node_snapshot_done(struct node *node); /* frees what is left */
void node_snapshot_applied(struct node *node, const struct rk_frame *frame, uint32_t size);
/* Entries that one peer may hold back in the log: it is sent a snapshot, or is behind. */
uint64_t node_snapshot_lag_max(const struct node *node);
uint64_t node_snapshot_oldest_version(const struct node *node); /* held; UINT64_MAX: none */
void node_snapshot_noted(struct node *node, const struct disk_job *job);
void node_snapshot_compacted(struct node *node, const struct disk_job *job);
/* The state machine is freed by the worker, once no root older than `version` is held. */
void node_snapshot_free_later(struct node *node, struct sm *sm, uint64_t version);
/* It takes the place of the one in force, whose roots readers keep; its versions go on. */
void node_snapshot_succeed(struct node *node, struct sm *sm);
/* NULL: none in the list. */
const struct snap_info *node_snapshot_find(const struct node *node, struct raft_entry_id id);
/* Errors: RK_CORRUPT, the configuration cannot be read. */
RK_MUST_USE enum rk_status node_snapshot_from_noted(const struct log_snapshot *noted,
                                                    struct snap_info *ret);
/* Beside those that stay there is one for a new one at `newest`. */
bool node_snapshot_has_place(const struct node *node, raft_index newest);
void node_snapshot_note(struct node *node, const struct snap_info *info); /* there is a place */
void node_snapshot_retain(struct node *node);
void node_snapshot_to_raft(const struct snap_info *info, struct raft_snapshot *ret);

/* node_snapshot_send.c: on the leader. */
void node_sending_begin(struct node *node, struct peer *peer, const struct raft_message *offer);
void node_sending_turn(struct node *node);
uint64_t node_sending_deadline_ms(const struct node *node);
void node_sending_piece(struct node *node, struct snap_job *job);
void node_sending_result(struct node *node, struct outgoing *outgoing,
                         const struct link_result *result);
bool node_sending_uses(const struct node *node, struct raft_entry_id id);

/* node_snapshot_receive.c: on a follower. */
void node_receiving_request(struct node *node, struct http_exchange *exchange);
void node_receiving_answer(struct node *node, const struct raft_message *message);
void node_receiving_piece(struct node *node, const struct snap_job *job);
void node_receiving_built(struct node *node, struct snap_job *job);
void node_receiving_turn(struct node *node);
void node_receiving_noted(struct node *node);
/* The core's write puts the snapshot in the place of the log. */
void node_receiving_replace_log(struct node *node, const struct raft_snapshot *snapshot);

/* node_inbound.c: the peer listener. */
void node_peer_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request);
void node_peer_complete(void *context, struct http_exchange *exchange, void *completion);
void node_peer_end(void *context, struct http_exchange *exchange);
void node_answer(struct node *node, const struct raft_message *message);
void node_answer_buf(struct node *node, struct http_exchange *exchange, struct rk_buf *body);
void node_refuse(struct node *node, struct http_exchange *exchange, uint32_t http_status,
                 const char *reason);
/* While forming, what a peer says of itself goes into the first configuration. */
void node_note_heard(struct node *node, const struct wire_envelope *envelope);
void node_release_early(struct node *node, bool is_due);
/* NULL: the sender may be listened to; else why not. */
const char *node_envelope_refusal(struct node *node, const struct wire_envelope *envelope);
/* The same for what only a leader says: this node's log may be older than the leader's incarnation. */
const char *node_leader_refusal(struct node *node, const struct wire_envelope *envelope);
/* The same for a whole message: a term that one more election would carry past what the wire holds
 * is refused before the core sees it. */
const char *node_message_refusal(struct node *node, const struct wire_message *decoded);

/* node_removed.c: who was a member and is none any more. */
bool node_removed_asks(const struct node *node); /* no leader talks to this member, or it is out */
void node_removed_heard(struct node *node, const struct wire_identity *identity);

/* node_contacts.c: whom this node may speak to. */
void node_set_peers(struct node *node); /* from the membership, initial-cluster, or join */
void node_add_contact(struct node *node, raft_node_id id, const char *address);

/* node_identity.c: forming a cluster, claiming a place in one. */
/* Finds id and standing from what was restored. Errors: RK_CONFLICT, the directory is not this
 * node's or of another cluster: *reason (static text) says why. */
RK_MUST_USE enum rk_status node_identity_start(struct node *node, const char **reason);
void node_identity_initial_config(struct node *node, struct raft_config *ret);
void node_initial_members(const struct node *node, struct membership *ret); /* initial-cluster's */
bool node_is_joining(const struct node *node);
void node_identity_turn(struct node *node);
void node_identity_result(struct node *node, struct outgoing *outgoing,
                          const struct link_result *result);
void node_identity_received(struct node *node, struct http_exchange *exchange,
                            struct rk_bytes body);
/* The configuration entry at `index` is in the log now (or, by a truncation, gone again). */
void node_membership_entered(struct node *node, const struct membership *membership,
                             raft_index index);
void node_membership_truncated(struct node *node, raft_index truncate_from);
/* The frame of the first entry of a term: a no-op, or the cluster's first configuration. */
void node_first_entry(struct node *node, raft_index index, struct rk_buf *frame);
uint64_t node_identity_deadline_ms(const struct node *node);

/* node_view.c */
void node_view_update(struct node *node);
bool node_has_leader(const struct node *node);
bool node_is_leader(const struct node *node);

#endif
