/* sm_internal.h -- the state machine's own state, shared by sm*.c and image.c alone. */
#ifndef RK_STATEMACHINE_SM_INTERNAL_H
#define RK_STATEMACHINE_SM_INTERNAL_H

#include <stdbool.h>

#include "statemachine/command.h"
#include "statemachine/history.h"
#include "statemachine/omap.h"
#include "statemachine/sm.h"
#include "statemachine/tombstones.h"

/* What is kept about a lock, a lock-delay and a session stands in these maps as (key: value;
 * numbers): locks, a key: the session's id; create_index: of the taking. delays, a key: nothing;
 * flags: cluster time at which it may be taken again. sessions, an id: the record; create_index,
 * modify_index: of the creation; lock_index: of the last renewal; flags: cluster time at which it
 * ends, 0: never. tokens, a token: fingerprint and result; flags: until when. ttls, a key that ends
 * by itself: nothing; create_index, modify_index: of the write that set or renewed its time to live;
 * flags: cluster time at which it ends; lock_index: that time to live in ms. */
struct sm {
    struct omap_heap heap;
    struct omap kv;
    struct omap locks;
    struct omap delays;
    struct omap sessions;
    struct omap tokens;
    struct omap ttls;
    struct omap catalog; /* see catalog.c */
    struct sm_tombstones tombstones;
    raft_index last_applied;
    raft_index kv_index;
    raft_index session_index; /* of the last change to the table; a renewal is none */
    uint64_t time_ms;         /* cluster time: the greatest stamp that was applied */
    uint32_t feature_level;   /* of the cluster */
    bool is_changed;          /* since the last publication */
    struct sm_history history;
    uint64_t answer_cost_max;  /* of a transaction; see txn.h */
    raft_index restored_index; /* of the restore that this state came by since the start; 0: none */
    struct sm_restore *restore; /* under way; NULL: none */
    struct sm *successor;       /* made by an end, not taken yet */
    struct sm *discarded;       /* gathered in vain, not taken yet */
    enum sm_cause cause;        /* of what the entry under way changes */

    /* Follow from the maps above, and are in no root and no image. `held` and `deadlines` may name a
     * key too many (a deleted prefix leaves it behind), which `locks` and `ttls` then deny. */
    struct omap held;      /* a session's id, then a key that it holds */
    struct omap checked;   /* a node's name, 0, the id of a session that is tied to its check */
    uint64_t tokens_bytes; /* of the values in `tokens` */
    struct omap deadlines; /* a kind, cluster time as a big-endian u64, then what ends then */
    struct sm_ttl_hand {   /* up to where the deadlines of keys were looked through */
        uint64_t time_ms;
        uint32_t size;
        uint8_t key[RK_KEY_SIZE_MAX];
    } ttl_hand;
};

/* sm.c: all the maps there are, one by one. */
enum { SM_MAPS_COUNT = 12 };
struct omap *sm_map(struct sm *sm, uint32_t i);

/* sm_kv.c: keys. */
void sm_kv_apply_put(struct sm *sm, const struct sm_place *place, const struct sm_command_put *put,
                     struct sm_result *ret);
void sm_kv_apply_delete(struct sm *sm, raft_index index, const struct sm_command_delete *command,
                        struct sm_result *ret);
void sm_kv_apply_delete_prefix(struct sm *sm, raft_index index,
                               const struct sm_command_delete_prefix *command);
/* What is stored about the key; false: nothing, and *ret is all zero. */
bool sm_kv_find(const struct sm *sm, struct rk_bytes key, struct omap_entry *ret);
/* Stores the entry: `changed` holds key, value, flags and lock_index, `old` what was there. */
void sm_kv_store(struct sm *sm, raft_index index, const struct omap_entry *changed,
                 const struct omap_entry *old);
/* Deletes a key that is there, its lock and its time to live; leaves a tombstone. */
void sm_kv_remove(struct sm *sm, raft_index index, struct rk_bytes key);

/* sm_ttl.c: keys that end by themselves. */
/* The key's time to live, 0: it has none. */
uint64_t sm_ttl_of(const struct sm *sm, struct rk_bytes key);
/* From now on the key lives for `ttl_ms`; 0: until it is deleted. */
void sm_ttl_set(struct sm *sm, const struct sm_place *place, struct rk_bytes key, uint64_t ttl_ms);
/* After all keys with the prefix were deleted. */
void sm_ttl_drop_prefix(struct sm *sm, struct rk_bytes prefix);
/* Deletes what was listed, unless another term's leader listed it or it was set since. */
void sm_ttl_apply_expire(struct sm *sm, const struct sm_place *place,
                         const struct sm_command_expire *expire);
/* Lists what is over; see sm_find_expired(). */
void sm_ttl_find_expired(const struct sm *sm, const struct sm_place *now, struct rk_buf *items,
                         struct sm_command_expire *ret);

/* sm_tell.c: what becomes an event. */
enum sm_cause sm_tell_cause(const struct sm_command *command);
/* The entry is set now. */
void sm_tell_set(struct sm *sm, const struct omap_entry *entry);
void sm_tell_removed(struct sm *sm, raft_index index, struct rk_bytes key);
/* Before all keys with the prefix are removed: many are told of as one. */
void sm_tell_removing_prefix(struct sm *sm, raft_index index, struct rk_bytes prefix);

/* sm_lock.c: who holds which key. */
/* Whether the operation may take the lock that `holder` has (NULL: nobody), when this entry takes
 * `taken` locks already. */
enum sm_reason sm_lock_check(struct sm *sm, const struct sm_place *place, const struct sm_kv_op *op,
                             const struct session_id *holder, uint32_t taken);
/* What was checked is done. */
void sm_lock_take(struct sm *sm, const struct sm_place *place, const struct sm_kv_op *op,
                  struct sm_result *ret);
void sm_lock_give_back(struct sm *sm, const struct sm_place *place, const struct sm_kv_op *op,
                       struct sm_result *ret);
void sm_lock_apply(struct sm *sm, const struct sm_place *place, const struct sm_kv_op *op,
                   struct sm_result *ret);
/* Nobody holds the key any more; without a lock it does nothing. */
void sm_lock_drop(struct sm *sm, struct rk_bytes key);
/* The session ends: its keys are released or deleted, and delayed until `delay_until_ms`. */
void sm_lock_drop_all(struct sm *sm, raft_index index, const struct session_id *id,
                      bool deletes_keys, uint64_t delay_until_ms);
/* Lock-delays that are over at `time_ms` are forgotten, some of them. */
void sm_lock_sweep_delays(struct sm *sm, uint64_t time_ms);
/* The rebuilds make, after an image was read, what follows from the maps above. */
void sm_lock_rebuild(struct sm *sm);
void sm_lock_follow(struct sm *sm, const struct omap_entry *lock); /* of one lock */

/* How many keys the session holds, or a few more. */
uint64_t sm_lock_count(const struct sm *sm, const struct session_id *id);

/* sm_catalog.c: nodes, and who is tied to them. */
void sm_catalog_apply_set(struct sm *sm, const struct sm_place *place,
                          const struct sm_command_node *node);
void sm_catalog_apply_clear(struct sm *sm, const struct sm_place *place,
                            const struct sm_command_node *node);
bool sm_catalog_is_critical(const struct sm *sm, struct rk_bytes node);
void sm_catalog_tie(struct sm *sm, struct rk_bytes node, const struct session_id *id);
void sm_catalog_untie(struct sm *sm, struct rk_bytes node, const struct session_id *id);
void sm_catalog_rebuild(struct sm *sm);
void sm_catalog_follow(struct sm *sm, const struct omap_entry *session); /* of one session */

/* sm_txn.c: all operations or none. */
void sm_txn_apply(struct sm *sm, const struct sm_place *place, const struct sm_command_txn *txn,
                  struct sm_result *ret);

/* sm_restore.c: the whole state replaced. */
/* Before an entry: what is not the next part of the restore under way ends it. NULL: no command. */
void sm_restore_pass(struct sm *sm, const struct sm_place *place, const struct sm_command *command);
void sm_restore_apply_begin(struct sm *sm, const struct sm_place *place,
                            const struct sm_command_restore *command);
void sm_restore_apply_record(struct sm *sm, const struct sm_place *place,
                             const struct sm_command_restore *command, struct sm_result *ret);
void sm_restore_apply_end(struct sm *sm, const struct sm_place *place, struct sm_result *ret);
void sm_restore_discard(struct sm *sm);

/* image.c: a reader that builds what a restore makes of the image. `restore` is borrowed; its time may
 * rise between records. */
struct sm_image_restore {
    raft_index index;       /* of the end */
    uint64_t time_ms;       /* cluster time here */
    uint64_t image_time_ms; /* and when the image was made, there; set by the reader */
};
struct sm_image_reader *sm_image_reader_new_restoring(struct sm_image_restore *restore);
/* The state machine as far as it is built becomes the caller's. */
struct sm *sm_image_reader_take(struct sm_image_reader *reader);
/* For that: an entry of a table as it is restored, and what follows from it. */
void sm_restore_adapt(const struct sm_image_restore *restore, uint8_t type,
                      struct omap_entry *entry);
void sm_restore_follow(struct sm *sm, uint8_t type, const struct omap_entry *entry);

/* sm_once.c: requests with a token. */
void sm_once_apply(struct sm *sm, const struct sm_place *place, const struct sm_command_once *once,
                   struct sm_result *ret);
/* Tokens whose time is over at `time_ms` are forgotten, some of them. */
void sm_once_sweep(struct sm *sm, uint64_t time_ms);
void sm_once_rebuild(struct sm *sm);

/* sm.c: any command. */
void sm_apply_command(struct sm *sm, const struct sm_place *place, const struct sm_command *command,
                      struct sm_result *ret);
/* sm_session.c: the session table. */
void sm_session_apply_create(struct sm *sm, const struct sm_place *place,
                             const struct sm_command_session *command, struct sm_result *ret);
void sm_session_apply_destroy(struct sm *sm, const struct sm_place *place,
                              const struct session_id *id);
void sm_session_apply_renew(struct sm *sm, const struct sm_place *place,
                            const struct session_id *id, struct sm_result *ret);
/* Ends what was listed, unless another term's leader listed it or it was renewed since; sweeps. */
void sm_session_apply_expire(struct sm *sm, const struct sm_place *place,
                             const struct sm_command_expire *expire);
/* When a session that is renewed at `time_ms` ends; 0: never. */
uint64_t sm_session_ends_ms(const struct omap_entry *entry, uint64_t time_ms);
bool sm_session_exists(const struct sm *sm, const struct session_id *id);
/* Lists what is over; see sm_find_expired(). */
void sm_session_find_expired(const struct sm *sm, const struct sm_place *now, struct rk_buf *items,
                             struct sm_command_expire *ret);

/* sm_deadline.c: what ends when. */
/* A time that is never reached is the sum of times that are too great. */
uint64_t sm_time_add(uint64_t a_ms, uint64_t b_ms);
enum sm_deadline_kind {
    SM_DEADLINE_SESSION = 1,
    SM_DEADLINE_DELAY = 2,
    SM_DEADLINE_TOKEN = 3,
    SM_DEADLINE_KEY = 4,
};
struct sm_deadline {
    uint64_t time_ms;
    enum sm_deadline_kind kind;
    struct rk_bytes name; /* a session's id, a key */
};
void sm_deadline_add(struct sm *sm, const struct sm_deadline *deadline);
void sm_deadline_rebuild(struct sm *sm);
/* Of an entry whose flags say when it ends; 0: never. */
void sm_deadline_follow(struct sm *sm, enum sm_deadline_kind kind, const struct omap_entry *entry);
void sm_deadline_remove(struct sm *sm, const struct sm_deadline *deadline);
/* The earliest of that kind, and the one after `before`; false: there is none. The name is lent
 * until the next sm_reclaim(). */
bool sm_deadline_first(const struct sm *sm, enum sm_deadline_kind kind, struct sm_deadline *ret);
bool sm_deadline_next(const struct sm *sm, const struct sm_deadline *before,
                      struct sm_deadline *ret);

#endif
