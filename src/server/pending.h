/* pending.h -- proposals on their way: who waits for which entry.
 *
 * A waiter is matched by index and term (pitfall 114): another leader's entry at the same index is
 * not its own. Every waiter ends exactly once: applied, or unknown when leadership is lost.
 *
 * Thread: the node thread.
 */
#ifndef RK_SERVER_PENDING_H
#define RK_SERVER_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/types.h"

struct client_request;
struct forward_in;

enum origin_type { ORIGIN_NOBODY, ORIGIN_CLIENT, ORIGIN_FORWARD };

/* Who asked for a proposal. */
struct origin {
    enum origin_type type;
    struct client_request *client; /* ORIGIN_CLIENT */
    struct forward_in *forward;    /* ORIGIN_FORWARD: item `item` of a forwarded batch */
    uint32_t item;
    uint64_t proposed_us; /* rk_monotonic_us(); 0: not yet */
};

struct pending_item {
    struct raft_entry_id id;
    struct origin origin;
};

/* A FIFO by index. */
struct pending {
    struct pending_item *slots;
    uint32_t slots_count; /* a power of two */
    uint64_t head;
    uint64_t tail;
};

void pending_init(struct pending *pending);
void pending_done(struct pending *pending);
uint32_t pending_count(const struct pending *pending);

/* Indexes rise (asserted). */
void pending_add(struct pending *pending, struct raft_entry_id id, struct origin origin);

/* The oldest and the newest waiter, or NULL. Lent until the next call. */
const struct pending_item *pending_first(const struct pending *pending);
const struct pending_item *pending_last(const struct pending *pending);
void pending_drop_first(struct pending *pending);
void pending_drop_last(struct pending *pending);

#endif
