/* The order of things: a heap by time, and by sequence where times are equal. */
#include "base/assert.h"
#include "sim/sim.h"

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

void sim_event_add(struct sim *sim, uint64_t at_us, enum sim_event_kind kind, raft_node_id node,
                   uint32_t ref, uint32_t life)
{
    RK_ASSERT(sim->events_count < SIM_EVENTS_MAX);
    const struct sim_event event = {
        .at_us = at_us < sim->now_us ? sim->now_us : at_us,
        .sequence = sim->events_sequence++,
        .ref = ref,
        .life = life,
        .kind = (uint8_t)kind,
        .node = (uint8_t)node,
    };
    uint32_t at = sim->events_count++;
    while (at > 0 && is_before(&event, &sim->events[(at - 1) / 2])) {
        sim->events[at] = sim->events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->events[at] = event;
}

bool sim_event_next(struct sim *sim, struct sim_event *ret)
{
    if (sim->events_count == 0) {
        return false;
    }
    *ret = sim->events[0];
    const struct sim_event last = sim->events[--sim->events_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= sim->events_count) {
            break;
        }
        if (child + 1 < sim->events_count &&
            is_before(&sim->events[child + 1], &sim->events[child])) {
            child++;
        }
        if (!is_before(&sim->events[child], &last)) {
            break;
        }
        sim->events[at] = sim->events[child];
        at = child;
    }
    sim->events[at] = last;
    return true;
}
