/* Each node's clocks: monotonic ones that drift and stand still while the machine is suspended. */
#include "sim/sim.h"

enum { MILLION = 1000000 };

static uint64_t elapsed_us(const struct sim *sim, const struct sim_node *node)
{
    const uint64_t world_us = sim->now_us > node->clock_at_us ? sim->now_us - node->clock_at_us : 0;
    return world_us * (uint64_t)(MILLION + node->drift_ppm) / MILLION;
}

uint64_t sim_monotonic_us(const struct sim *sim, const struct sim_node *node)
{
    return node->monotonic_us + elapsed_us(sim, node);
}

uint64_t sim_boottime_ms(const struct sim *sim, const struct sim_node *node)
{
    return (sim_monotonic_us(sim, node) + (uint64_t)node->boottime_ahead_us) / 1000;
}

static void rebase(struct sim *sim, struct sim_node *node)
{
    node->monotonic_us = sim_monotonic_us(sim, node);
    node->clock_at_us = sim->now_us;
}

/* No two machines have been up for equally long. */
void sim_clock_init(struct sim *sim, struct sim_node *node)
{
    node->clock_at_us = sim->now_us;
    node->monotonic_us =
        1000 * (sim->knobs.uptime_min_ms + tape_draw(sim->tape, TAPE_CLOCK, SIM_UPTIMES_MS));
    node->drift_ppm = sim->knobs.drift_ppm[node->id - 1];
}

/* For the monotonic clock it is as if the time had not been. */
void sim_clock_suspend(struct sim *sim, struct sim_node *node, uint64_t for_us)
{
    rebase(sim, node);
    node->clock_at_us = sim->now_us + for_us;
    node->boottime_ahead_us += (int64_t)for_us;
}

uint64_t sim_clock_world_us(const struct sim *sim, const struct sim_node *node, uint64_t ms)
{
    const uint64_t until_us = 1000 * ms;
    uint64_t at_us = node->clock_at_us;
    if (until_us > node->monotonic_us) {
        const uint64_t left_us = until_us - node->monotonic_us;
        at_us += left_us * MILLION / (uint64_t)(MILLION + node->drift_ppm) + 1;
    }
    return at_us > sim->now_us ? at_us : sim->now_us;
}
