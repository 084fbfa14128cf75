#include "server/pending.h"

#include "base/assert.h"
#include "base/heap.h"

enum { PENDING_SLOTS_MIN = 256 };

void pending_init(struct pending *pending)
{
    *pending = (struct pending){
        .slots = rk_heap_zalloc(PENDING_SLOTS_MIN, sizeof(struct pending_item)),
        .slots_count = PENDING_SLOTS_MIN,
    };
}

void pending_done(struct pending *pending)
{
    rk_heap_free(pending->slots);
    *pending = (struct pending){0};
}

uint32_t pending_count(const struct pending *pending)
{
    return (uint32_t)(pending->tail - pending->head);
}

static struct pending_item *slot_of(const struct pending *pending, uint64_t position)
{
    return &pending->slots[position & (pending->slots_count - 1)];
}

static void pending_grow(struct pending *pending)
{
    struct pending bigger = *pending;

    bigger.slots_count = pending->slots_count * 2;
    bigger.slots = rk_heap_zalloc(bigger.slots_count, sizeof(struct pending_item));
    for (uint64_t i = pending->head; i < pending->tail; i++) {
        *slot_of(&bigger, i) = *slot_of(pending, i);
    }
    rk_heap_free(pending->slots);
    *pending = bigger;
}

void pending_add(struct pending *pending, struct raft_entry_id id, struct origin origin)
{
    if (pending_count(pending) > 0) {
        RK_ASSERT(slot_of(pending, pending->tail - 1)->id.index < id.index);
    }
    if (pending_count(pending) == pending->slots_count) {
        pending_grow(pending);
    }
    *slot_of(pending, pending->tail) = (struct pending_item){.id = id, .origin = origin};
    pending->tail++;
}

const struct pending_item *pending_first(const struct pending *pending)
{
    return pending->head < pending->tail ? slot_of(pending, pending->head) : NULL;
}

void pending_drop_first(struct pending *pending)
{
    RK_ASSERT(pending->head < pending->tail);
    pending->head++;
}

const struct pending_item *pending_last(const struct pending *pending)
{
    return pending->head < pending->tail ? slot_of(pending, pending->tail - 1) : NULL;
}

void pending_drop_last(struct pending *pending)
{
    RK_ASSERT(pending->head < pending->tail);
    pending->tail--;
}
