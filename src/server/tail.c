#include "server/tail.h"

#include "base/assert.h"
#include "base/heap.h"

enum { TAIL_SLOTS_MIN = 1024 };

static struct tail_entry *slot_of(const struct tail *tail, raft_index index)
{
    return &tail->slots[index & (tail->slots_count - 1)];
}

void tail_init(struct tail *tail, struct raft_entry_id last, uint64_t chain)
{
    *tail = (struct tail){
        .first = last.index + 1,
        .last = last.index,
        .chain_before = chain,
        .term_before = last.term,
        .slots = rk_heap_zalloc(TAIL_SLOTS_MIN, sizeof(struct tail_entry)),
        .slots_count = TAIL_SLOTS_MIN,
    };
}

/* What one entry costs beside `neighbour`, NULL: beside none. A block, which may be much more than its
 * frames (a message's head, the small change of the heap), counts once for the run of entries in it. */
static uint64_t cost_of(const struct tail_entry *entry, const struct tail_entry *neighbour)
{
    const bool is_shared = neighbour != NULL && neighbour->block == entry->block;
    return sizeof(*entry) + (is_shared ? 0 : TAIL_BLOCK_COST + entry->block->capacity);
}

static void slot_drop(struct tail *tail, struct tail_entry *slot,
                      const struct tail_entry *neighbour)
{
    tail->bytes -= cost_of(slot, neighbour);
    block_unref(slot->block);
    *slot = (struct tail_entry){0};
}

void tail_done(struct tail *tail)
{
    if (tail->slots == NULL) {
        return;
    }
    for (raft_index i = tail->first; i <= tail->last; i++) {
        slot_drop(tail, slot_of(tail, i), tail_get(tail, i + 1));
    }
    rk_heap_free(tail->slots);
    *tail = (struct tail){0};
}

const struct tail_entry *tail_get(const struct tail *tail, raft_index index)
{
    if (index < tail->first || index > tail->last) {
        return NULL;
    }
    return slot_of(tail, index);
}

bool tail_chain(const struct tail *tail, raft_index index, uint64_t *ret)
{
    if (index + 1 == tail->first) {
        *ret = tail->chain_before;
        return true;
    }
    const struct tail_entry *entry = tail_get(tail, index);
    if (entry == NULL) {
        return false;
    }
    *ret = entry->chain;
    return true;
}

static void tail_resize(struct tail *tail, uint64_t slots_count)
{
    struct tail other = *tail;

    other.slots_count = slots_count;
    other.slots = rk_heap_zalloc(slots_count, sizeof(struct tail_entry));
    for (raft_index i = tail->first; i <= tail->last; i++) {
        *slot_of(&other, i) = *slot_of(tail, i);
    }
    rk_heap_free(tail->slots);
    *tail = other;
}

void tail_append(struct tail *tail, const struct tail_entry *entry)
{
    if (tail->last + 1 - tail->first == tail->slots_count) {
        tail_resize(tail, tail->slots_count * 2);
    }
    tail->bytes += cost_of(entry, tail_get(tail, tail->last));
    tail->last++;
    *slot_of(tail, tail->last) = *entry;
    block_ref(entry->block);
}

void tail_truncate(struct tail *tail, raft_index index)
{
    RK_ASSERT(index >= tail->first);
    while (tail->last >= index) {
        slot_drop(tail, slot_of(tail, tail->last), tail_get(tail, tail->last - 1));
        tail->last--;
    }
}

static bool tail_may_drop(const struct tail *tail, raft_index index, raft_index settled)
{
    const uint64_t kept = tail->first <= settled ? TAIL_BYTES_SETTLED : TAIL_BYTES_KEPT;

    return tail->bytes > kept && tail->first <= index && tail->first <= tail->last;
}

void tail_trim(struct tail *tail, raft_index index, raft_index settled)
{
    while (tail_may_drop(tail, index, settled)) {
        struct tail_entry *slot = slot_of(tail, tail->first);
        tail->chain_before = slot->chain;
        tail->term_before = slot->term;
        slot_drop(tail, slot, tail_get(tail, tail->first + 1));
        tail->first++;
    }
    if (tail->slots_count > TAIL_SLOTS_MIN &&
        tail->last + 1 - tail->first < tail->slots_count / 8) {
        tail_resize(tail, tail->slots_count / 2);
    }
}
