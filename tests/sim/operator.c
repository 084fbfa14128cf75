/* The operator: members come and go, leadership is handed over. As the node does, a learner is
 * made a voter only when it has begun to follow, and whoever leads leaves a joint configuration. */
#include "sim/sim.h"

static bool list_has(const raft_node_id *ids, uint32_t count, raft_node_id id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void list_add(raft_node_id *ids, uint32_t *count, uint32_t max, raft_node_id id)
{
    if (*count == max || list_has(ids, *count, id)) {
        return;
    }
    uint32_t at = (*count)++;
    for (; at > 0 && ids[at - 1] > id; at--) {
        ids[at] = ids[at - 1];
    }
    ids[at] = id;
}

static void list_remove(raft_node_id *ids, uint32_t *count, raft_node_id id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++) {
        if (ids[i] != id) {
            ids[kept++] = ids[i];
        }
    }
    *count = kept;
}

/* Has the log from the beginning of what the leader has, or nearly so. */
static bool has_caught_up(const struct sim_node *leader, raft_node_id id)
{
    struct raft_peer_view peer;
    return id == leader->id || (raft_peer_view(leader->raft, id, &peer) == RK_OK &&
                                peer.match_index > leader->view.config_index);
}

static enum rk_status propose(struct sim *sim, struct sim_node *node,
                              const struct raft_config *config)
{
    if (sim->configs_count + 1 >= SIM_CONFIGS_MAX) {
        return RK_BUSY;
    }
    const uint32_t payload = sim_payload_new(sim, RAFT_ENTRY_CONFIG);
    sim->payloads[payload].config = sim->configs_count;
    sim->configs[sim->configs_count++] = *config;
    struct raft_entry entry = {
        .type = RAFT_ENTRY_CONFIG, .config = config, .frame = {.size = payload}};
    const enum rk_status status =
        sim_node_step(sim, node,
                      (struct raft_event){.type = RAFT_EVENT_PROPOSED,
                                          .proposed = {.entries = &entry, .entries_count = 1}});
    sim->counts->configs += status == RK_OK;
    return status;
}

enum act {
    ACT_LEARNER,
    ACT_PROMOTE,
    ACT_DEMOTE,
    ACT_REMOVE,
    ACT_REMOVE_LEADER,
    ACT_REPLACE,
    ACT_ALONE,
    ACT_ALL,
    ACTS,
};

static void enter_joint(struct raft_config *config)
{
    for (uint32_t i = 0; i < config->voters_count; i++) {
        config->old_voters[i] = config->voters[i];
    }
    config->old_voters_count = config->voters_count;
}

static void promote(const struct sim_node *leader, struct raft_config *config, raft_node_id id)
{
    if (has_caught_up(leader, id) && list_has(config->learners, config->learners_count, id)) {
        list_remove(config->learners, &config->learners_count, id);
        list_add(config->voters, &config->voters_count, 7, id);
    }
}

/* `next` is the configuration in force; false: nothing would change. */
static bool change(struct sim *sim, const struct sim_node *leader, struct raft_config *next,
                   enum act act)
{
    const struct raft_config now = *next;
    const raft_node_id id = 1 + tape_draw(sim->tape, TAPE_MEMBER, sim->nodes_count);
    const raft_node_id other = 1 + tape_draw(sim->tape, TAPE_MEMBER, sim->nodes_count);
    enter_joint(next);
    switch (act) {
    case ACT_LEARNER:
        next->old_voters_count = 0;
        if (!list_has(next->voters, next->voters_count, id)) {
            list_add(next->learners, &next->learners_count, 4, id);
        }
        break;
    case ACT_PROMOTE:
        promote(leader, next, id);
        break;
    case ACT_DEMOTE:
        if (list_has(next->voters, next->voters_count, id)) {
            list_remove(next->voters, &next->voters_count, id);
        }
        break;
    case ACT_REMOVE:
        list_remove(next->voters, &next->voters_count, id);
        list_remove(next->learners, &next->learners_count, id);
        break;
    case ACT_REMOVE_LEADER:
        list_remove(next->voters, &next->voters_count, leader->id);
        break;
    case ACT_REPLACE:
        promote(leader, next, id);
        list_remove(next->voters, &next->voters_count, other);
        break;
    case ACT_ALONE:
        next->voters_count = 1;
        next->voters[0] = leader->id;
        break;
    case ACT_ALL:
    case ACTS:
        for (raft_node_id each = 1; each <= sim->nodes_count; each++) {
            promote(leader, next, each);
        }
        break;
    }
    sim->counts->growth += now.voters_count == 1 && next->voters_count >= 3;
    return next->voters_count > 0 &&
           (next->voters_count != now.voters_count || next->learners_count != now.learners_count ||
            act == ACT_REPLACE);
}

static struct sim_node *any_leader(struct sim *sim)
{
    raft_node_id leaders[SIM_NODES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (sim_node_runs(sim, node) && node->view.role == RAFT_LEADER) {
            leaders[count++] = node->id;
        }
    }
    return count == 0 ? NULL : sim_node(sim, leaders[tape_draw(sim->tape, TAPE_MEMBER, count)]);
}

static void transfer(struct sim *sim, struct sim_node *node)
{
    const raft_node_id to = tape_draw(sim->tape, TAPE_MEMBER, sim->nodes_count + 1);
    const uint32_t life = node->life;
    const bool is_joint = node->view.config->old_voters_count > 0;
    const bool has_lease = oracle_lease_holds(sim, node);
    if (to == node->id) {
        return;
    }
    sim_tell(sim, node, "is asked to hand over to %llu", (unsigned long long)to);
    const enum rk_status status =
        sim_node_step(sim, node, (struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = to});
    if (status == RK_OK && node->life == life) {
        sim->counts->transfer++;
        sim->counts->transfer_in_joint += is_joint;
        sim->counts->transfer_in_lease += has_lease;
    }
}

void sim_operator(struct sim *sim)
{
    static const uint32_t weights[ACTS] = {5, 6, 1, 3, 1, 2, 1, 4};
    struct sim_node *node = any_leader(sim);
    if (node == NULL) {
        return;
    }
    if (tape_chance(sim->tape, TAPE_MEMBER, sim->knobs.transfer_share)) {
        transfer(sim, node);
        return;
    }
    const enum act act = (enum act)tape_pick(sim->tape, TAPE_MEMBER, weights, ACTS);
    struct raft_config next = *node->view.config;
    if (next.old_voters_count > 0 &&
        !tape_chance(sim->tape, TAPE_MEMBER, sim->knobs.pending_share)) {
        next.old_voters_count = 0;
    } else if (!change(sim, node, &next, act)) {
        return;
    }
    if (tape_chance(sim->tape, TAPE_MEMBER, 150000)) {
        next.old_voters_count = 0; /* in one step, which is refused unless the voters stay */
    }
    sim_tell(sim, node, "is asked for another configuration, act %d", (int)act);
    (void)propose(sim, node, &next);
}

void sim_operator_finish(struct sim *sim, struct sim_node *node)
{
    if (!sim_node_runs(sim, node) || node->view.role != RAFT_LEADER ||
        node->view.config->old_voters_count == 0 || !node->view.is_config_committed) {
        return;
    }
    struct raft_config next = *node->view.config;
    next.old_voters_count = 0;
    sim_tell(sim, node, "leaves the joint configuration");
    (void)propose(sim, node, &next);
}
