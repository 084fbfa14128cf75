#include "raft/writes.h"

#include "base/assert.h"

static struct writes_slot *slot_at(struct writes *writes, uint32_t at)
{
    RK_ASSERT(at < writes->count);
    return &writes->slots[(writes->first + at) % WRITES_SLOTS_MAX];
}

void writes_init(struct writes *writes, raft_index durable_index)
{
    *writes = (struct writes){.durable_index = durable_index};
}

void writes_add(struct writes *writes, raft_index last_index, uint64_t now_ms)
{
    RK_ASSERT(writes->newest > writes->persisted);
    const bool is_full = writes->count == WRITES_SLOTS_MAX;
    if (!is_full) {
        writes->count++;
    }
    struct writes_slot *slot = slot_at(writes, writes->count - 1);
    if (!is_full) {
        slot->since_ms = now_ms;
    }
    slot->number = writes->newest;
    slot->last_index = last_index;
}

void writes_truncate(struct writes *writes, raft_index from)
{
    RK_ASSERT(from > 0);
    if (writes->durable_index >= from) {
        writes->durable_index = from - 1;
    }
    for (uint32_t i = 0; i < writes->count; i++) {
        struct writes_slot *slot = slot_at(writes, i);
        if (slot->last_index >= from) {
            slot->last_index = from - 1;
        }
    }
}

void writes_persisted(struct writes *writes, uint64_t number)
{
    RK_ASSERT(number <= writes->newest);
    if (number > writes->persisted) {
        writes->persisted = number;
    }
    while (writes->count > 0 && writes->slots[writes->first].number <= number) {
        RK_ASSERT(writes->slots[writes->first].last_index >= writes->durable_index);
        writes->durable_index = writes->slots[writes->first].last_index;
        writes->first = (writes->first + 1) % WRITES_SLOTS_MAX;
        writes->count--;
    }
}

bool writes_pending(const struct writes *writes)
{
    return writes->persisted < writes->newest;
}

uint64_t writes_age_ms(const struct writes *writes, uint64_t now_ms)
{
    return writes->count == 0 ? 0 : now_ms - writes->slots[writes->first].since_ms;
}
