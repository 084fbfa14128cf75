/* O12: while a lease holds, nobody else commits, and nobody else's lease holds. */
#include "sim/sim.h"

bool oracle_lease_holds(const struct sim *sim, const struct sim_node *node)
{
    return node->is_up && node->view.lease_end_ms != 0 &&
           sim_boottime_ms(sim, node) < node->view.lease_end_ms;
}

/* A node that stands still counts: what it looks at when it goes on is the clock. */
void oracle_lease(struct sim *sim, const struct sim_node *node)
{
    if (!sim->knobs.has_leases) {
        return;
    }
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *other = &sim->nodes[i];
        if (other != node && oracle_lease_holds(sim, other) &&
            other->view.hard_state.term < node->view.hard_state.term) {
            sim_fail(sim, "O12", node,
                     "has gone on in term %llu while the lease of node %llu holds",
                     (unsigned long long)node->view.hard_state.term, (unsigned long long)other->id);
        }
        if (other != node && oracle_lease_holds(sim, other) && oracle_lease_holds(sim, node)) {
            sim_fail(sim, "O12", node, "has a lease, and so has node %llu",
                     (unsigned long long)other->id);
        }
    }
}
