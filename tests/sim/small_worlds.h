/* small_worlds.h -- every schedule of a small cluster, by the cores of production.
 *
 * A world is a few cores with their disks and the messages in flight. From a world the program goes
 * on with each thing that can happen next, and into each new world once, until there is no new one:
 * what holds in all of them holds for every order of delivery, loss, crash, fsync and timeout within
 * the bounds. That is what random runs cannot say.
 *
 * What keeps the number of worlds small, and why nothing is lost by it:
 *   - A message that is never delivered is lost when it is sent: of those that one thing sends, each
 *     subset is tried. No other loss is needed, and the cap on messages in flight counts only those
 *     that still matter.
 *   - Clocks are each node's own. A timeout takes the node's clock to its deadline, a leader's beat
 *     takes it so far that what had no answer counts as lost. Between these no time passes, so the
 *     core's times come down to a few ranks (small_worlds_hash.c).
 *   - Numbers of writes, rounds, appends and campaigns only matter by their order: ranks too.
 *   - Nodes that start alike are interchangeable.
 *
 * Worlds are kept whole and exact; only the question whether one is new is asked of its hash.
 * Memory: a struct of plain data each, copied by assignment. Thread: one.
 */
#ifndef RK_TESTS_SIM_SMALL_WORLDS_H
#define RK_TESTS_SIM_SMALL_WORLDS_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/raft.h"

enum {
    SMALL_NODES_MAX = 5,
    SMALL_TERMS_MAX = 7,
    SMALL_LOG_MAX = 12, /* terms, each with its no-op, proposals and configurations */
    SMALL_BATCH_MAX = 3,
    SMALL_WRITES_MAX = 4,
    SMALL_HELD_MAX = 6,
    SMALL_MESSAGES_MAX = 8,
    SMALL_SENT_MAX = 10, /* by one action */

    SMALL_ELECTION_MS = 1000,
    SMALL_HEARTBEAT_MS = 499, /* a beat and a millisecond make the patience of the core */
};

/* What may happen, and how often. A budget of 0 switches a thing off. */
struct small_bounds {
    uint8_t nodes;
    uint8_t spares;  /* so many of the nodes start as members of nothing */
    uint8_t terms;   /* nobody campaigns past this term */
    uint8_t entries; /* proposals; no-ops come on top */
    uint8_t crashes;
    uint8_t configs; /* changes; leaving a joint configuration is part of one */
    uint8_t transfers;
    uint8_t duplicates; /* messages that arrive once more */
    uint8_t heartbeats; /* beats of leaders; 0: heartbeats are all lost */
    uint8_t messages;   /* in flight at a time, not counting what will never arrive */
    uint8_t batch;      /* entries in one append */
    bool is_disk_slow;  /* writes become durable when they do; false: at once */
    bool has_pre_vote;
};

struct small_entry { /* nodes of a configuration: bit i stands for node i + 1 */
    uint8_t term;
    uint8_t type;
    uint8_t voters;
    uint8_t old_voters;
    uint8_t learners;
};

struct small_log {
    uint8_t count;
    struct small_entry entries[SMALL_LOG_MAX]; /* entry i has index i + 1 */
};

struct small_write {
    uint64_t number;
    bool has_hard_state;
    uint8_t term;
    uint8_t vote;
    uint8_t truncate_from;
    uint8_t entries_count;
    struct small_entry entries[SMALL_BATCH_MAX];
};

struct small_message {
    struct raft_message raft; /* without pointers */
    uint8_t entries_count;
    struct small_entry entries[SMALL_BATCH_MAX];
};

struct small_node {
    bool is_up;
    uint8_t disk_term;
    uint8_t disk_vote;
    uint8_t commit_index; /* in this life */
    uint8_t writes_count;
    uint8_t held_count;
    uint8_t lives;
    struct small_log disk;
    struct small_log log; /* as the core sees it: disk and writes */
    uint64_t persisted;   /* writes of this life that are durable */
    uint64_t now_ms;
    uint64_t deadline_ms;
    struct small_write writes[SMALL_WRITES_MAX];
    struct small_message held[SMALL_HELD_MAX]; /* wait for a write */
};

struct small_world {
    struct small_node nodes[SMALL_NODES_MAX];
    uint8_t messages_count;
    struct small_message messages[SMALL_MESSAGES_MAX];

    /* What oracles remember. */
    uint8_t leaders[SMALL_TERMS_MAX + 1]; /* by term */
    struct small_log committed;           /* by any leader */
    uint8_t commit_terms[SMALL_LOG_MAX];  /* of the leader that committed it first */

    struct small_bounds left; /* budgets that are not used up */
};

/* A world at work, with its cores. */
struct small_place {
    struct small_world world;
    struct raft *cores[SMALL_NODES_MAX]; /* NULL never; without meaning while the node is down */
    uint32_t sent_count;
    struct small_message sent[SMALL_SENT_MAX]; /* by the latest action; not yet in flight */
    bool is_outside; /* the latest action went past a bound: the world is not looked at */
};

enum small_action_kind {
    SMALL_DELIVER = 1, /* a: position of the message */
    SMALL_REPEAT,      /* the same, and it stays in flight */
    SMALL_TIMEOUT,     /* a: node */
    SMALL_BEAT,        /* a: leader */
    SMALL_PERSIST,     /* a: node; its oldest write */
    SMALL_PROPOSE,     /* a: leader */
    SMALL_CONFIG,      /* a: leader, b: voters after it; 0: leave the joint one */
    SMALL_TRANSFER,    /* a: leader, b: to node */
    SMALL_CRASH,       /* a: node, b: writes that still became durable */
    SMALL_START,       /* a: node */
};

struct small_action {
    uint8_t kind;
    uint8_t a;
    uint8_t b;
    uint16_t arrives; /* bit i: sent[i] will arrive */
};

enum { SMALL_ACTIONS_MAX = 128 };

extern struct small_bounds small_bounds;

/* small_worlds_core.c: what of a core is in use, copied and written small. */
void small_core_copy(struct raft *to, const struct raft *from);
/* `world` and its cores as bytes without the zeros; how many. `bytes` has SMALL_PACKED_MAX. */
enum { SMALL_PACKED_MAX = 65536 };
uint32_t small_pack(const struct small_place *place, uint8_t *bytes);
void small_unpack(struct small_place *place, const uint8_t *bytes);
void small_place_init(struct small_place *place);

/* small_worlds_cluster.c: nodes, disks and network of the world. */
void small_begin(struct small_place *place);
struct small_entry small_entry_of(const struct raft_entry *entry);
struct raft_config small_config(uint8_t voters, uint8_t old_voters, uint8_t learners);
struct small_entry small_config_in_force(const struct small_log *log, uint8_t id,
                                         uint8_t *ret_index);
enum rk_status small_step(struct small_place *place, uint8_t id, struct raft_event event);
void small_receive(struct small_place *place, const struct small_message *message);
void small_persist(struct small_place *place, uint8_t id);
void small_crash(struct small_place *place, uint8_t id, uint8_t writes_kept);
void small_start(struct small_place *place, uint8_t id);

/* small_worlds_actions.c */
uint32_t small_actions(const struct small_place *place, struct small_action *actions);
/* Does `action`; what it sends is in place->sent. The node whose core was touched. */
uint8_t small_act(struct small_place *place, const struct small_action *action);
/* Puts those of place->sent in flight that arrive; false when they are too many. */
bool small_send(struct small_place *place, uint16_t arrives);

/* small_worlds_oracles.c: each is a second, simple account of what Raft demands. */
void small_check_leaving(struct small_place *place, const struct small_message *message);
void small_check_vote(const struct small_node *before, const struct raft_view *view_before,
                      const struct small_message *request, const struct raft_outputs *out);
void small_check_truncation(struct small_place *place, uint8_t id, const struct raft_write *write);
void small_check_disk(struct small_place *place, uint8_t id, const struct small_write *write);
void small_check_config_taken(struct small_place *place, uint8_t id);
void small_check_step(struct small_place *place, uint8_t id);
bool small_entries_are_equal(const struct small_entry *a, const struct small_entry *b);

/* small_worlds_hash.c */
uint64_t small_hash(const struct small_place *place);
uint64_t small_message_hash(const struct small_place *place, const struct small_message *message);

/* small_worlds_search.c */
struct small_result {
    uint64_t states;
    uint64_t transitions;
    uint32_t depth;
    bool is_exhausted;
};
/* Breadth first finds the shortest way to what is wrong; depth first needs little memory. */
struct small_result small_search(uint64_t states_max, bool is_breadth_first);
/* What failed, then the way there; ends the program. */
_Noreturn void small_fail(const char *oracle, uint8_t id);

#endif
