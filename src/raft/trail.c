#include "raft/trail.h"

#include <string.h>

#include "base/assert.h"

/* The run that holds `index`, which lies above base. Nearly every question is about the newest
 * run, so that is looked at before the search. */
static uint32_t run_of(const struct trail *trail, raft_index index)
{
    RK_ASSERT(trail->runs_count > 0);
    RK_ASSERT(index >= trail->runs[0].first_index);
    uint32_t low = 0;
    uint32_t high = trail->runs_count - 1;
    if (index >= trail->runs[high].first_index) {
        return high;
    }
    while (high - low > 1) { /* runs[low] starts at or before index, runs[high] after it */
        const uint32_t middle = low + (high - low) / 2;
        if (trail->runs[middle].first_index <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

void trail_init(struct trail *trail, struct raft_entry_id base, struct raft_entry_id last,
                const struct raft_trail_run *runs, uint32_t runs_count)
{
    RK_ASSERT(base.index <= last.index);
    RK_ASSERT(base.term <= last.term);
    RK_ASSERT(runs_count <= RAFT_TRAIL_RUNS_MAX);
    RK_ASSERT((runs_count == 0) == (base.index == last.index));
    trail->base = base;
    trail->last_index = last.index;
    trail->runs_count = runs_count;
    for (uint32_t i = 0; i < runs_count; i++) {
        RK_ASSERT(i > 0 ? runs[i].first_index > runs[i - 1].first_index
                        : runs[i].first_index == base.index + 1);
        RK_ASSERT(i > 0 ? runs[i].term > runs[i - 1].term : runs[i].term >= base.term);
        RK_ASSERT(runs[i].first_index <= last.index);
        trail->runs[i] = runs[i];
    }
    RK_ASSERT(trail_last(trail).term == last.term);
}

struct raft_entry_id trail_last(const struct trail *trail)
{
    if (trail->runs_count == 0) {
        return trail->base;
    }
    return (struct raft_entry_id){.term = trail->runs[trail->runs_count - 1].term,
                                  .index = trail->last_index};
}

bool trail_has(const struct trail *trail, raft_index index)
{
    return index >= trail->base.index && index <= trail->last_index;
}

raft_term trail_term(const struct trail *trail, raft_index index)
{
    RK_ASSERT(trail_has(trail, index));
    if (index == trail->base.index) {
        return trail->base.term;
    }
    return trail->runs[run_of(trail, index)].term;
}

bool trail_matches(const struct trail *trail, struct raft_entry_id id)
{
    return trail_has(trail, id.index) && trail_term(trail, id.index) == id.term;
}

struct raft_entry_id trail_guess(const struct trail *trail, struct raft_entry_id id)
{
    raft_index index = id.index < trail->last_index ? id.index : trail->last_index;
    if (index <= trail->base.index) {
        return trail->base;
    }
    for (uint32_t i = run_of(trail, index) + 1; i > 0; i--) {
        if (trail->runs[i - 1].term <= id.term) {
            return (struct raft_entry_id){.term = trail->runs[i - 1].term, .index = index};
        }
        index = trail->runs[i - 1].first_index - 1;
    }
    return trail->base;
}

uint32_t trail_room(const struct trail *trail)
{
    return RAFT_TRAIL_RUNS_MAX - trail->runs_count;
}

void trail_append(struct trail *trail, raft_term term, uint32_t count)
{
    const struct raft_entry_id last = trail_last(trail);
    RK_ASSERT(count > 0);
    RK_ASSERT(term >= last.term);
    if (trail->runs_count == 0 || term > last.term) {
        RK_ASSERT(trail_room(trail) > 0);
        trail->runs[trail->runs_count] =
            (struct raft_trail_run){.first_index = trail->last_index + 1, .term = term};
        trail->runs_count++;
    }
    trail->last_index += count;
}

void trail_truncate(struct trail *trail, raft_index from)
{
    RK_ASSERT(from > trail->base.index);
    RK_ASSERT(from <= trail->last_index);
    trail->last_index = from - 1;
    while (trail->runs_count > 0 && trail->runs[trail->runs_count - 1].first_index >= from) {
        trail->runs_count--;
    }
    RK_ASSERT((trail->runs_count == 0) == (trail->last_index == trail->base.index));
}

void trail_compact(struct trail *trail, raft_index index)
{
    const raft_term term = trail_term(trail, index);
    uint32_t gone = 0;
    while (gone < trail->runs_count &&
           (gone + 1 < trail->runs_count ? trail->runs[gone + 1].first_index - 1
                                         : trail->last_index) <= index) {
        gone++;
    }
    trail->runs_count -= gone;
    memmove(trail->runs, trail->runs + gone, trail->runs_count * sizeof trail->runs[0]);
    if (trail->runs_count > 0 && trail->runs[0].first_index <= index) {
        trail->runs[0].first_index = index + 1;
    }
    trail->base = (struct raft_entry_id){.term = term, .index = index};
}

void trail_reset(struct trail *trail, struct raft_entry_id base)
{
    trail->base = base;
    trail->last_index = base.index;
    trail->runs_count = 0;
}
