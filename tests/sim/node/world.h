/* world.h -- the simulated world, shared by tests/sim/node alone. */
#ifndef RK_TESTS_SIM_NODE_WORLD_H
#define RK_TESTS_SIM_NODE_WORLD_H

#include <setjmp.h>

#include "base/frame.h"
#include "server/gateway.h"
#include "server/node_internal.h"
#include "sim/node/heap.h"
#include "sim/node/nodesim.h"
#include "sim/node/simfs.h"
#include "sim/tape.h"

enum {
    HOSTS_MAX = 7, /* five voters to begin with and two that may join */
    CLIENTS_MAX = 8,
    WATCHERS_MAX = 3,
    HOLDERS_MAX = 3,
    SESSIONS_MAX = 1024,
    KEYS_MAX = 5,
    OPS_MAX = 8192,
    OPS_OF_CLIENTS_MAX = 7168, /* the rest is the operator's, and for the end */
    LOG_MAX = 16384,           /* entries a run may commit */
    TERMS_MAX = 4096,          /* terms a run may see */
    EVENTS_MAX_WAITING = 65536,
    MS = 1000, /* virtual time is in microseconds */
};

struct world;
struct host;
struct rpc;
struct op;

/* -- events: what happens when -- */

typedef void event_function(struct world *world, struct host *host, void *context, uint64_t number);

struct event {
    uint64_t at_us;
    uint64_t sequence; /* in order of making, where times are equal */
    event_function *function;
    struct host *host; /* NULL: of no host */
    uint32_t life;     /* with a host: an event of another life of it is dropped */
    void *context;
    uint64_t number;
};

struct event_heap {
    struct event *events;
    uint32_t count;
    uint64_t sequence;
};

void events_open(struct event_heap *heap);
void events_close(struct event_heap *heap);
bool events_pop(struct event_heap *heap, struct event *ret);

/* -- what a disk holds, as seen from outside -- */

struct image_entry {
    raft_term term;
    uint64_t chain;
};

struct image {
    struct image_entry *entries; /* of index 1 .. last; up to base by a snapshot */
    raft_index base;
    raft_index last;
    struct raft_hard_state hard_state;
};

/* -- hosts -- */

struct http_loops {
    struct http_server *server;
};

struct host {
    struct world *world;
    uint32_t number; /* from 0; its name is n<number + 1> */
    struct options options;

    /* The process. */
    bool is_running;
    uint32_t life; /* one more with every start and every crash */
    struct sim_heap heap;
    struct node *node;
    struct root_board *board;
    struct gateway *gateway;
    struct http_loops *loops;
    struct disk_thread *disk;
    struct snap_thread *snaps;
    struct link *link;
    struct http_server *peer_server;
    jmp_buf end; /* where node_end() comes out */
    bool has_end;
    enum rk_status end_status;
    const char *end_event;
    uint64_t turn_at_us; /* of the event that will turn it; UINT64_MAX: none */
    uint64_t loop_at_us; /* the same of its HTTP loop */
    uint64_t paused_until_us;

    /* What outlives it. */
    struct sim_heap disk_heap;
    struct log_store *store;
    struct log_snapshot kept[LOG_SNAPSHOTS_MAX]; /* noted in it, should a start be refused */
    uint32_t kept_count;
    struct simfs *files; /* its snapshots */
    uint64_t incarnation;
    struct image durable;
    struct raft_hard_state promised; /* durable before its latest start */
    struct image before_loss;        /* what it once held and a fault took; see oracles.c */
    bool is_wiped;                   /* waits to be replaced */
    bool is_cut_short;               /* its log lost its end and is not refilled yet */
    bool was_cut_short;              /* and it has not started since */
    bool is_frozen;                  /* does not come back when the faults are over */
    uint32_t down_looks;             /* how often it was seen down in a row */
    bool is_disk_full;
    uint32_t store_fails_at;    /* the operation on its disk that fails; 0: none */
    bool stays_dead;            /* and all after it */
    raft_index open_truncation; /* the first entry that a write under way at its crash cut off */
    bool has_heard;             /* of a leader, in this life of it; or was one */
    bool is_gone;               /* may not start again: removed, or its directory is refused */

    /* Its clock. */
    int64_t drift_ppm;
    uint64_t offset_us;

    /* What the oracles have seen. */
    struct op *waiting;
    raft_node_id raft_id;
    raft_index commit_seen;
    raft_index applied_seen;
    raft_term term_seen;
    enum raft_role role_seen;
    raft_index config_seen;
    bool was_leader; /* before the latest turn */
};

/* -- requests between hosts -- */

struct rpc {
    struct host *from;
    uint32_t from_life;
    struct host *to; /* NULL: nobody has that address */
    char path[32];
    struct rk_buf body;
    uint64_t cookie;
    uint64_t connect_timeout_us;
    uint64_t posted_us;
    bool is_sent; /* it left: no answer then means that nobody knows */
    bool is_over; /* its result is on the way, or nobody wants it */
    uint32_t references;
};

/* -- clients -- */

enum op_kind {
    OP_PUT,
    OP_CAS,
    OP_TXN, /* sets a key if another one is as it was seen */
    OP_DELETE,
    OP_GET,
    OP_STALE,
    OP_WAIT,
    OP_SESSION,
    OP_RENEW,
    OP_DESTROY,
    OP_ACQUIRE,
    OP_RELEASE,
    OP_ADMIN
};
enum op_state { OP_OPEN, OP_DONE, OP_NOT_DONE, OP_UNKNOWN };

struct op {
    uint32_t number; /* uid: 1 .. */
    enum op_kind kind;
    uint32_t client;
    uint32_t key;
    uint32_t other_key; /* OP_TXN: must have the index cas */
    uint64_t cas;
    raft_index floor; /* what was acknowledged when it was asked */
    struct host *host;
    uint32_t host_life;
    enum op_state state;   /* as the client sees it */
    enum op_state claimed; /* as the node said */
    bool has_token;        /* an Idempotency-Key: it may be asked again */
    uint32_t ttl_ms;       /* of a put; 0: the key stays */
    uint32_t first; /* the number it was asked under first; its own, or of which it is a retry */
    bool is_retried;
    bool is_inside;       /* a node has it and owes an answer */
    bool is_appended;     /* some node has put it into its log */
    raft_index log_index; /* committed there; 0: not */
    bool accepted;        /* by the answer */
    uint32_t answers;
    raft_index witness;   /* of a read: last applied of the root that gave the answer; of a write:
                              what the answer says */
    uint32_t value;       /* of a read: uid of the value found, 0: none */
    uint64_t asked_index; /* OP_WAIT: waits for what comes after it, */
    uint64_t wait_us;     /* and so long */
    uint64_t read_index;  /* of a read: X-Consul-Index */
    uint64_t arrived_us;
    uint64_t due_us; /* what it waits for is there; 0: it is not */
    struct op *next_waiting;
    struct holder *holder; /* NULL: of no lock */
    char session[SESSION_ID_TEXT_SIZE];
    bool is_session_gone; /* says the answer */
    uint64_t fence;
    uint64_t fence_floor; /* greatest one given when it was asked */
    struct http_exchange *exchange;
    uint64_t since_us;
    uint32_t http_status;
    struct http_request request;
    struct http_field token;
    char token_text[16];
    char target[160];
    char body[256];
};

struct client {
    struct op *op;            /* open, as the client sees it */
    const struct op *repeats; /* to be asked again next */
    uint32_t host;            /* whom it likes to ask */
    uint64_t timeout_us;
    uint64_t seen[KEYS_MAX];  /* index of its latest read of each key */
    uint64_t known[KEYS_MAX]; /* modify index of each key as last seen */
};

/* Who wants the lock. */
struct holder {
    char session[SESSION_ID_TEXT_SIZE]; /* "": none */
    uint32_t ttl_ms;
    bool is_lazy; /* renews when it may be too late */
    bool has_lock;
    uint64_t renewed_us;
};

/* A session as the committed log has it. */
struct session_model {
    struct session_id id;
    bool is_alive;
    bool is_exact;
    uint64_t ttl_ms;
    uint64_t delay_ms;
    raft_index renewed_index;
    uint64_t renewed_ms; /* in the time of the log */
    uint64_t asked_us;   /* when the latest renewal was asked for that was acknowledged */
};

/* What the committed log says of the key that may end by itself. */
struct ttl_model {
    raft_index
        set_index; /* of the write that gave it a time to live; 0: it stays, or is not there */
    uint64_t ttl_ms;
    uint64_t set_ms;   /* in the time of the log */
    uint64_t asked_us; /* when that write was asked for */
};

/* Who follows a stream of events. */
struct watcher {
    uint32_t number;
    uint32_t key; /* KEYS_MAX: all */
    bool is_slow;
    bool is_stale;
    struct host *host;
    struct http_exchange *exchange; /* NULL: not connected, or not answered yet */
    uint32_t connection;            /* counts them */
    char last_id[32];               /* of the last whole event that had one */
    char asked_id[32];
    char target[64];
    struct http_request request;
    struct http_field header;

    /* What has come: of the event under way, and in all. */
    char line[1024];
    size_t line_size;
    char id[32];
    bool has_id;
    char event[32];
    char data[1024];
    bool has_place;
    raft_index place; /* all up to here was told */
    bool is_listing;
    raft_index listed[KEYS_MAX];
};

/* -- the committed log and what follows from it, made by the oracles alone -- */

struct committed {
    raft_term term;
    uint64_t chain;
    enum raft_entry_type type;
    uint32_t uid;
    uint32_t key; /* KEYS_MAX: none */
    bool is_delete;
    bool accepted;       /* by the model */
    raft_index fence;    /* of a lock that was taken; 0: none */
    raft_index previous; /* change of that key before this one; 0: none */
    raft_term by_term;   /* in which it was seen to be committed first */
    bool has_digest;
    uint64_t digest; /* of the state after it */
};

/* -- what a run is like -- */

struct knobs {
    uint32_t voters;
    uint32_t spares;
    uint32_t election_ms;
    uint32_t heartbeat_ms;
    uint32_t max_inflight;
    uint32_t max_pending;
    uint32_t clients;
    uint32_t keys;
    uint32_t duration_ms;
    uint32_t think_us;
    uint32_t read_percent;
    uint32_t token_percent; /* writes that may be repeated */
    uint32_t cas_percent;
    uint32_t leader_percent; /* clients that ask the leader */
    uint32_t timeout_ms;     /* of a client */
    uint32_t delay_us;       /* mean, one way */
    uint32_t disk_us;        /* mean */
    uint32_t turn_us;        /* between what wakes a node and its turn */
    bool is_ordered;         /* one connection each way and class */
    bool has_water;
    bool has_sqlite;
    bool has_members;
    bool has_leases;
    bool has_snapshots;
    uint32_t snapshot_entries;
    uint32_t trailing_entries;
    uint32_t holders;
    uint32_t watchers;
    uint32_t txn_percent;  /* of puts */
    uint32_t ttl_percent;  /* of puts of one key, that ends by itself then */
    uint32_t wait_percent; /* of reads, that wait for a change */
    uint32_t piece_size;   /* of a snapshot, sent at once; at most */
    /* Per million: of each request or answer, */
    uint32_t loss;
    uint32_t late;
    uint32_t repeat;
    uint32_t reset;
    uint32_t disk_stall;
    /* and of each look at what might break now (every FAULT_US). */
    uint32_t crash;
    uint32_t crash_leader;
    uint32_t power; /* all at once */
    uint32_t stop;
    uint32_t pause;
    uint32_t partition;
    uint32_t disk_error;
    uint32_t disk_full;
    uint32_t wipe;
    uint32_t cut_short;
    uint32_t rot;        /* of a snapshot */
    uint32_t snap_crash; /* of each job on one */
    uint32_t burst;
    uint32_t transfer;
    uint32_t change;
};

struct world {
    uint64_t seed;
    struct tape tape;
    struct nodesim_counts *counts;
    FILE *trace;
    bool is_hashed;
    bool has_messages; /* in the story too */
    uint64_t story;    /* hash of it */
    struct knobs knobs;
    struct event_heap events;
    struct sim_heap heap; /* of what belongs to no host */
    uint64_t now_us;
    uint64_t stall_until_us; /* when the slowest job of a disk is done */
    bool is_healing;         /* the faults are over */
    bool is_quiet;           /* and so is the work */
    bool is_over;            /* nobody starts any more */
    struct host *current;    /* whose code runs; NULL: none */
    struct host hosts[HOSTS_MAX];
    uint32_t hosts_count;
    bool is_cut[HOSTS_MAX][HOSTS_MAX]; /* [from][to] */
    bool is_client_cut[HOSTS_MAX];
    uint64_t partitions; /* so far: the newest one is healed by its own event */
    uint64_t ordered_us[HOSTS_MAX][HOSTS_MAX][LINK_CLASSES];

    struct client clients[CLIENTS_MAX];
    struct watcher watchers[WATCHERS_MAX];
    struct holder holders[HOLDERS_MAX];
    struct op *ops;
    uint32_t ops_count;
    struct op *probes[HOSTS_MAX]; /* by host: writes that must come through in the end */
    uint32_t ops_open;            /* accepted by a node and not answered */
    struct op *admin;             /* under way */
    uint32_t admin_type;
    uint32_t admin_host; /* whom the change is about */
    raft_index floor;    /* greatest index that was acknowledged to anybody */

    struct committed *committed; /* [index] */
    raft_index committed_last;
    raft_index leader_commit;          /* by any leader */
    raft_index key_changed[KEYS_MAX];  /* latest committed change */
    raft_index key_modified[KEYS_MAX]; /* its modify index; 0: there is no such key */
    uint32_t deletes_logged[KEYS_MAX];
    uint32_t deletes_asked[KEYS_MAX]; /* that may be there */
    uint64_t leaders[TERMS_MAX];      /* incarnation, by term */
    struct session_model sessions[SESSIONS_MAX];
    uint32_t sessions_count;
    uint32_t sessions_alive; /* when a node was last seen to be as far as the log */
    struct session_model *lock_holder;
    raft_index lock_fence;
    uint64_t lock_delay_ms; /* nobody gets it before, in the time of the log */
    uint64_t fence;         /* greatest token that anybody was given */
    struct ttl_model ttl;
    char directory[64]; /* of the high-water marks; "": none */
};

extern struct world *sim_world; /* the one that runs */

void world_at(struct world *world, uint64_t at_us, event_function *function, struct host *host,
              void *context, uint64_t number);
void world_tell(struct world *world, const struct host *host, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void world_fail(const char *oracle, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* host.c */
/* Around code of a host's: its clock, its heap. */
struct place {
    struct host *host;
    struct sim_heap *heap;
};
struct place host_enter(struct host *host);
void host_leave(struct place before);
void host_init(struct world *world, uint32_t number);
void host_done(struct host *host);
void host_start(struct host *host);
void host_crash(struct host *host, const char *why);
void host_stop(struct host *host); /* as SIGTERM does */
void host_wipe(struct host *host); /* a new directory; it must not run */
void host_wake(struct host *host, uint64_t delay_us);
void host_wake_loop(struct host *host, uint64_t delay_us);
uint64_t host_clock_us(const struct host *host);
bool host_is_leader(const struct host *host);
struct host *host_leader(struct world *world); /* of the highest term; NULL: none */
struct host *host_by_address(struct world *world, const char *address);

/* doors_http.c */
void sim_server_request(struct http_server *server, struct rpc *rpc, bool is_repeated);
void sim_server_operation(struct http_server *server, struct op *op);
void sim_server_watch(struct http_server *server, struct watcher *watcher);
void sim_server_hang_up(struct http_exchange *exchange);
void sim_server_crash(struct http_server *server);         /* its connections are reset */
bool sim_server_is_owed(const struct http_server *server); /* an answer to somebody */

/* doors_link.c */
void sim_link_crash(struct link *link);
void rpc_answer(struct rpc *rpc, uint32_t http_status, struct rk_bytes body);
void rpc_reset(struct rpc *rpc);
void rpc_release(struct rpc *rpc);
/* A one-way delay between two places now. */
uint64_t net_delay_us(struct world *world);

/* doors_disk.c */
void sim_disk_crash(struct disk_thread *disk);
void sim_disk_fail(struct host *host); /* from now on an operation of it fails */
void image_free(struct image *image);
void image_take_snapshot(struct image *image, raft_index index); /* and drop all that is held */
void image_append(struct image *image, const struct rk_frame *frame);

/* doors_snap.c */
void sim_snap_crash(struct snap_thread *snaps);

/* store.c: what outlives the process. */
void store_make(struct host *host); /* an empty one, of another incarnation */
void store_open(struct host *host, struct high_water **ret_water);
void store_close(struct host *host);
void store_keep(struct host *host);    /* before a start, */
void store_restore(struct host *host); /* and after one that was refused */
struct snap_store *store_snapshots(struct host *host);
void store_power_lost(struct host *host);
void store_destroy(struct host *host);
/* The log loses its end, as when SQLite meets a damaged frame. False: that would go unnoticed. */
bool store_cut_short(struct host *host);

/* clients.c */
void clients_open(struct world *world);
void client_answered(struct op *op, const struct http_response *response);
void client_reset(struct op *op); /* its connection is gone */
event_function client_returned;
bool op_is_read(const struct op *op);
struct op *op_new(struct world *world, enum op_kind kind);
void op_send(struct world *world, struct op *op, struct host *host);
void op_give_up(struct world *world, struct op *op);
void client_probe(struct world *world, struct op *op, struct host *host);
void clients_burst(struct world *world, struct host *host);

/* holders.c */
void holders_open(struct world *world);
void holder_returned(struct world *world, const struct op *op);

/* watchers.c */
void watchers_open(struct world *world);
void watcher_took(struct watcher *watcher, const uint8_t *bytes, size_t size);
void watcher_ended(struct watcher *watcher); /* its connection is gone */
bool watcher_hangs_up(struct world *world, const struct watcher *watcher);
uint64_t watcher_pace_us(struct world *world, const struct watcher *watcher);
bool watcher_is_behind(const struct world *world, const struct watcher *watcher);

/* operator.c */
void operator_open(struct world *world);
/* response NULL: nobody knows. */
void operator_answered(struct world *world, struct op *op, const struct http_response *response);
void operator_transfer(struct world *world);

/* faults.c */
void faults_open(struct world *world);
void faults_heal(struct world *world);
void faults_mend(struct world *world); /* afterwards: what has stopped comes back */
void fault_start_later(struct host *host, uint32_t max_ms);

/* oracles.c */
void oracle_turned(struct host *host);
void oracle_restarted(struct host *host); /* before its node looks at its disk, */
void oracle_started(struct host *host);   /* and after */
void oracle_appended(struct host *host, const struct disk_job *job);
void oracle_promised(struct host *host, const char *path, struct rk_bytes body);
void oracle_forward_answered(const struct host *host, struct rk_bytes asked, struct rk_bytes body);
void oracle_claimed(struct op *op, const char *outcome);
void oracle_returned(struct op *op);
void oracle_end(struct world *world);

/* run.c */
void run_until(struct world *world, uint64_t until_us);

#endif
