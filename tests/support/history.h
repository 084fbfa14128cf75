/* history.h -- was what the clients saw the work of one register per key, changed by one operation
 * at a time, each between its request and its answer (linearizability)?
 *
 * The witness comes first: the operations are put in the order of the indexes that the answers
 * claim, and if that order keeps to real time and a sequential register gives every answer in it,
 * it is the proof, found in O(n log n). Where it is none, or indexes are missing, a search decides
 * (Wing and Gong, with Lowe's memo), for each key by itself: a history is linearizable exactly when
 * each key's part of it is (Herlihy and Wing, locality). The search is bounded; a history that it
 * cannot decide counts as a fault of the test that made it.
 *
 * Values are numbers, 0 for "no value". Use no other value twice for one key: that makes a
 * check-and-set by index one by value, and every answer telling. Pure, single-threaded.
 */
#ifndef RK_TESTS_SUPPORT_HISTORY_H
#define RK_TESTS_SUPPORT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum history_kind {
    HISTORY_PUT = 1, /* writes `value` */
    HISTORY_CAS,     /* writes `value` if the key holds `expected`; `did` is its answer */
    HISTORY_DELETE,  /* leaves no value */
    HISTORY_GET,     /* answered `value` */
};

enum history_outcome {
    HISTORY_OK = 1,   /* the answer said what happened */
    HISTORY_NOT_DONE, /* it never happens: refused before it was in the log */
    HISTORY_UNKNOWN,  /* it happened, happens some day after its request, or never */
};

/* What `index` means. 0 is "not known" in both. */
enum history_order {
    /* Where the log holds a write; the read index of a get: it saw all writes up to there. Orders
     * the whole history, all keys together. A write of unknown outcome has an index if the log
     * holds it. */
    HISTORY_BY_LOG = 1,
    /* What X-Consul-Index of one key says: the index of the write that the key holds, be it this
     * operation's own (put, delete, check-and-set that did) or the one that it met. Who met no
     * value has any index from there to the next write's. Orders each key's operations. */
    HISTORY_BY_VERSION,
};

struct history_operation {
    uint64_t invoked;  /* any clock, the same for all; */
    uint64_t returned; /* one that returned at t and one invoked at t overlap */
    uint64_t key;
    uint64_t index;
    uint64_t value;
    uint64_t expected;
    enum history_kind kind;
    enum history_outcome outcome;
    bool did;
    uint32_t client; /* for the reader of a failure only */
};

struct history {
    struct history_operation *operations; /* owned */
    size_t count;
    size_t capacity;
};

struct history_options {
    enum history_order order;
    bool hide_indexes;   /* decide by the search alone */
    uint64_t states_max; /* for the search, each key; 0: HISTORY_STATES_MAX */
};

enum {
    HISTORY_OPERATIONS_MAX = 1 << 22,
    HISTORY_STATES_MAX = 1 << 20,
};

enum history_verdict {
    HISTORY_LINEARIZABLE = 1,
    HISTORY_VIOLATION,
    HISTORY_UNDECIDED, /* out of states: use fewer operations for a key */
};

struct history_result {
    enum history_verdict verdict;
    const char *reason; /* static text; "" if linearizable */
    uint64_t key;       /* where it is not linearizable, or undecided */
    size_t operation;   /* the operation of the history that no order explains; count: none named */
    bool by_witness;    /* the claimed indexes alone were the proof. Where they come from one log,
                           anything else is worth a look: the claims are part of the contract */
    uint64_t states;    /* that the search went through */
};

/* An empty history. */
void history_open(struct history *history);
void history_close(struct history *history);
/* Appends a copy. Asserts that it makes sense (kind, outcome, returned not before invoked) and that
 * there are not HISTORY_OPERATIONS_MAX already. */
void history_add(struct history *history, const struct history_operation *operation);
void history_clear(struct history *history);

/* The verdict; the history is unchanged. */
struct history_result history_check(const struct history *history,
                                    const struct history_options *options);

#endif
