/* query.h -- reading the state machine at one published root: no locks, no copies.
 *
 * A root is a value: copy it, hold it as long as somebody keeps its version from being reclaimed
 * (server/root.h), query it on any thread. What a query lends lives as long as the root is held.
 */
#ifndef RK_STATEMACHINE_QUERY_H
#define RK_STATEMACHINE_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "raft/types.h"
#include "statemachine/session.h"

struct omap_node; /* omap.h; opaque here */

/* How far the history of changes reached: history.h. */
struct sm_history_segment;
struct sm_history_view {
    const struct sm_history_segment *first;
    const struct sm_history_segment *last;
    uint32_t last_size; /* bytes of the last segment */
    raft_index floor;   /* of the last event that was given up */
};

/* One immutable version of everything the state machine holds. */
struct sm_root {
    const struct omap_node *kv;
    const struct omap_node *locks; /* these five: see sm_internal.h */
    const struct omap_node *delays;
    const struct omap_node *sessions;
    const struct omap_node *tokens;
    const struct omap_node *ttls;
    const struct omap_node *catalog;        /* see catalog.c */
    const struct omap_node *tombstones;     /* the younger ones; see kv.c */
    const struct omap_node *tombstones_old; /* given up together, next */
    uint64_t version; /* of this root; rises with every publication that changed something */
    raft_index last_applied;
    raft_term last_term;        /* of that entry, where who publishes the root notes it; else 0 */
    uint64_t time_ms;           /* cluster time of the last applied entry */
    raft_index kv_index;        /* greatest index of any change to the map, deletions included */
    raft_index session_index;   /* of the last change to the session table */
    raft_index tombstone_floor; /* greatest index of a tombstone that was given up; see sm.h */
    uint32_t feature_level;     /* of the cluster: feature.h */
    raft_index restored_index; /* of the restore that this state came by since the start; 0: none */
    struct sm_history_view history;
};

struct sm_kv_entry {
    struct rk_bytes key;
    struct rk_bytes value;
    uint64_t flags;
    raft_index create_index;
    raft_index modify_index;
    uint64_t lock_index;
    bool is_locked;
    struct session_id session; /* that holds the lock */
    uint64_t ttl_ms;           /* that its last write gave it; 0: it stays */
};

/* False: no such key; *ret is then untouched. */
bool sm_kv_get(const struct sm_root *root, struct rk_bytes key, struct sm_kv_entry *ret);

/* Walks the keys with a prefix in byte order. */
struct sm_kv_cursor {
    const struct sm_root *root; /* borrowed while the cursor is used */
    struct rk_bytes prefix;     /* borrowed */
    struct rk_bytes after;      /* lent: last key returned */
    bool started;
    bool inclusive; /* next returns the first key >= `after`, not the first one past it */
    const struct omap_node *leaf; /* where `after` stands, so that the next one is beside it */
    uint32_t slot;
};
void sm_kv_cursor_init(struct sm_kv_cursor *cursor, const struct sm_root *root,
                       struct rk_bytes prefix);
/* The next entry, or false at the end. O(log n), O(1) amortised where the map allows it. */
bool sm_kv_cursor_next(struct sm_kv_cursor *cursor, struct sm_kv_entry *ret);
/* Jumps to the first key >= `key` (for separators): never backwards. */
void sm_kv_cursor_seek(struct sm_kv_cursor *cursor, struct rk_bytes key);

uint64_t sm_kv_count(const struct sm_root *root, struct rk_bytes prefix);

/* X-Consul-Index of a read (contract 1.7). Never 0, never falls from one root to a later one.
 * Of a key that exists: its modify_index. Missing key: the map's index. Of a prefix: the greatest
 * modify_index below it, deletions counted; nothing there ever: the map's index. */
raft_index sm_kv_index_of_key(const struct sm_root *root, struct rk_bytes key);
raft_index sm_kv_index_of_prefix(const struct sm_root *root, struct rk_bytes prefix);

/* What a blocking read watches. */
enum sm_topic_kind {
    SM_TOPIC_NONE,
    SM_TOPIC_KEY,
    SM_TOPIC_PREFIX,
    SM_TOPIC_SESSIONS,
    SM_TOPIC_NODES,   /* who there is, and where */
    SM_TOPIC_CHECKS,  /* how they are */
    SM_TOPIC_CATALOG, /* either */
    SM_TOPIC_KINDS_COUNT
};
struct sm_topic {
    enum sm_topic_kind kind;
    struct rk_bytes key; /* borrowed; of a table, from SM_TOPIC_SESSIONS on, empty */
};

/* Where a topic stands at a root: the index that a read of it has, and whether there is nothing
 * that could have an index of its own, so that the whole map's stands in. */
struct sm_topic_state {
    raft_index index;
    bool is_absent;
};
struct sm_topic_state sm_topic_state(const struct sm_root *root, const struct sm_topic *topic);

struct sm_session {
    struct session_id id;
    struct session_record record; /* lent */
    raft_index create_index;
    uint64_t ends_ms; /* cluster time; 0: never */
};

/* False: no such session; *ret is then untouched. */
bool sm_session_get(const struct sm_root *root, const struct session_id *id,
                    struct sm_session *ret);
/* The session after `id` in the order of ids; NULL: the first. False: there is none. */
bool sm_session_next(const struct sm_root *root, const struct session_id *id,
                     struct sm_session *ret);
/* X-Consul-Index of all that is said about sessions. Never 0. */
raft_index sm_session_index(const struct sm_root *root);

/* --- the cluster's own nodes --- */

/* Values on disk; 2 is kept for a warning, which these checks do not know. */
enum sm_check_status { SM_CHECK_PASSING = 1, SM_CHECK_CRITICAL = 3 };

struct sm_node {
    struct rk_bytes name; /* lent, as the address */
    raft_node_id id;
    struct rk_bytes address;     /* host:port of the peer side */
    enum sm_check_status status; /* of its serfHealth */
    raft_index create_index;     /* of node and check */
    raft_index modify_index;     /* of the node */
    raft_index check_modify_index;
};

/* False: no such node; *ret is then untouched. */
bool sm_node_get(const struct sm_root *root, struct rk_bytes name, struct sm_node *ret);
/* The node after `after` in the order of names; empty: the first. False: there is none. */
bool sm_node_next(const struct sm_root *root, struct rk_bytes after, struct sm_node *ret);
/* X-Consul-Index of what is said about nodes, about checks, about both. Never 0. */
raft_index sm_nodes_index(const struct sm_root *root);
raft_index sm_checks_index(const struct sm_root *root);
raft_index sm_catalog_index(const struct sm_root *root);

/* --- the last changes, one by one --- */

enum sm_event_type {
    SM_EVENT_PUT = 1,
    SM_EVENT_DELETE,
    SM_EVENT_DELETE_PREFIX, /* of more keys than are told one by one: all that begin with `key` */
};

/* What made the change. */
enum sm_cause {
    SM_CAUSE_PUT = 1,
    SM_CAUSE_DELETE,
    SM_CAUSE_DELETE_PREFIX,
    SM_CAUSE_ACQUIRE,
    SM_CAUSE_RELEASE,
    SM_CAUSE_SESSION_DESTROY,
    SM_CAUSE_EXPIRE, /* of what had a time to live */
    SM_CAUSE_TXN,
    SM_CAUSE_CHECK, /* its session's node was not well */
};

struct sm_event {
    enum sm_event_type type;
    enum sm_cause cause;
    raft_index index;  /* of the entry */
    uint32_t sequence; /* among the entry's events, from 1 */
    bool is_last;      /* of them */
    struct rk_bytes key;
    struct rk_bytes value; /* SM_EVENT_PUT, as the following */
    uint64_t flags;
    raft_index create_index;
    uint64_t lock_index;
};

/* A place between two events: behind the one with this index and sequence. */
enum { SM_EVENT_SEQUENCE_LAST = 0x7fffffff };
struct sm_event_place {
    raft_index index;
    uint32_t sequence; /* SM_EVENT_SEQUENCE_LAST: behind all of the index */
};

struct sm_event_cursor {
    struct sm_history_view view;
    const struct sm_history_segment *segment;
    uint32_t offset;
    struct sm_event_place after;
};

/* Goes to the place, at a root that stays held. False: what follows it is not all there any more;
 * *cursor is then untouched. */
RK_MUST_USE bool sm_events_seek(struct sm_event_cursor *cursor, const struct sm_root *root,
                                struct sm_event_place after);
/* The next event, lent while the root is held; false at the end. */
bool sm_events_next(struct sm_event_cursor *cursor, struct sm_event *ret);

/* Independent of the map's shape and history: equal on replicas that hold the same. */
uint64_t sm_digest(const struct sm_root *root);

#endif
