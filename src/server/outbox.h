/* outbox.h -- messages that promise something, held until it is on the disk (dissertation 3.8).
 *
 * A FIFO: the core's after_write never falls, so the first one held is the first one free.
 *
 * Thread: the node thread.
 */
#ifndef RK_SERVER_OUTBOX_H
#define RK_SERVER_OUTBOX_H

#include <stdint.h>

#include "raft/message.h"

struct outbox {
    struct raft_message *slots;
    uint32_t slots_count; /* a power of two */
    uint64_t head;
    uint64_t tail;
};

void outbox_init(struct outbox *outbox);
void outbox_done(struct outbox *outbox);

/* message->after_write is not below that of the last one held (asserted). */
void outbox_hold(struct outbox *outbox, const struct raft_message *message);

/* The next message whose write is durable, or NULL. Lent until the next call. */
const struct raft_message *outbox_take(struct outbox *outbox, uint64_t durable_write);

#endif
