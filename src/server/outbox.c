#include "server/outbox.h"

#include "base/assert.h"
#include "base/heap.h"

enum { OUTBOX_SLOTS_MIN = 64 };

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){
        .slots = rk_heap_zalloc(OUTBOX_SLOTS_MIN, sizeof(struct raft_message)),
        .slots_count = OUTBOX_SLOTS_MIN,
    };
}

void outbox_done(struct outbox *outbox)
{
    rk_heap_free(outbox->slots);
    *outbox = (struct outbox){0};
}

static struct raft_message *slot_of(const struct outbox *outbox, uint64_t position)
{
    return &outbox->slots[position & (outbox->slots_count - 1)];
}

static void outbox_grow(struct outbox *outbox)
{
    struct outbox bigger = *outbox;

    bigger.slots_count = outbox->slots_count * 2;
    bigger.slots = rk_heap_zalloc(bigger.slots_count, sizeof(struct raft_message));
    for (uint64_t i = outbox->head; i < outbox->tail; i++) {
        *slot_of(&bigger, i) = *slot_of(outbox, i);
    }
    rk_heap_free(outbox->slots);
    *outbox = bigger;
}

void outbox_hold(struct outbox *outbox, const struct raft_message *message)
{
    RK_ASSERT(message->after_write > 0);
    if (outbox->head < outbox->tail) {
        RK_ASSERT(slot_of(outbox, outbox->tail - 1)->after_write <= message->after_write);
    }
    if (outbox->tail - outbox->head == outbox->slots_count) {
        outbox_grow(outbox);
    }
    *slot_of(outbox, outbox->tail) = *message;
    outbox->tail++;
}

const struct raft_message *outbox_take(struct outbox *outbox, uint64_t durable_write)
{
    if (outbox->head == outbox->tail) {
        return NULL;
    }
    const struct raft_message *first = slot_of(outbox, outbox->head);
    if (first->after_write > durable_write) {
        return NULL;
    }
    outbox->head++;
    return first;
}
