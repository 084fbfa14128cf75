/* Liveness: a core of nodes that contains a quorum is healed, the others stay down or cut off for
 * ever, and what was asked for must come to an end. */
#include "sim/sim.h"

enum { SETTLE_TIMEOUTS = 20, REST_TIMEOUTS = 40, SERVE_TIMEOUTS = 40 };

static bool in_core(uint32_t core, raft_node_id id)
{
    return (core >> id & 1) != 0;
}

/* Sound ones only: a node that lost entries has no vote until a leader has refilled it. */
static bool has_majority(struct sim *sim, uint32_t core, const raft_node_id *voters, uint32_t count)
{
    uint32_t sound = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_node *node = sim_node(sim, voters[i]);
        sound += in_core(core, node->id) && !node->is_gone && !sim_disk_is_recovering(node);
    }
    return count == 0 || 2 * sound > count;
}

static bool can_decide(struct sim *sim, uint32_t core, const struct raft_config *config)
{
    return config->voters_count > 0 &&
           has_majority(sim, core, config->voters, config->voters_count) &&
           has_majority(sim, core, config->old_voters, config->old_voters_count);
}

static bool is_voter(const struct raft_config *config, raft_node_id id)
{
    for (uint32_t i = 0; i < RAFT_VOTERS_MAX; i++) {
        if ((i < config->voters_count && config->voters[i] == id) ||
            (i < config->old_voters_count && config->old_voters[i] == id)) {
            return true;
        }
    }
    return false;
}

static bool is_member(const struct raft_config *config, raft_node_id id)
{
    for (uint32_t i = 0; i < config->learners_count; i++) {
        if (config->learners[i] == id) {
            return true;
        }
    }
    return is_voter(config, id);
}

/* Of the newest configuration that anybody has committed. */
static const struct raft_config *committed_config(struct sim *sim)
{
    for (raft_index index = sim->committed; index > 0; index--) {
        const struct sim_payload *payload = &sim->payloads[sim->committed_entries[index].payload];
        if (payload->type == RAFT_ENTRY_CONFIG) {
            return &sim->configs[payload->config];
        }
    }
    return &sim->configs[1];
}

static bool log_agrees(struct sim *sim, uint32_t core, const struct sim_log *log)
{
    const uint32_t count = log->configs_count;
    for (uint32_t i = count > 2 ? count - 2 : 0; i < count; i++) {
        const struct raft_config *config = &sim->configs[log->configs[i].config];
        if (config->voters_count > 0 && !can_decide(sim, core, config)) {
            return false;
        }
    }
    return true;
}

/* By the configuration of each of its nodes, and that before it, to which it may go back. */
static bool is_core(struct sim *sim, uint32_t core)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (in_core(core, node->id) && (!log_agrees(sim, core, &node->disk) ||
                                        (node->is_up && !log_agrees(sim, core, &node->log)))) {
            return false;
        }
    }
    return can_decide(sim, core, committed_config(sim));
}

/* Without Pre-Vote and CheckQuorum a server that was removed, and does not know, may disturb for
 * ever (4.2.3). Nor can a server that is no member be told. They take no part. */
static uint32_t members(struct sim *sim)
{
    uint32_t set = 0;
    const struct raft_config *config = committed_config(sim);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (!node->is_gone && is_member(config, node->id)) {
            set |= 1U << node->id;
        }
    }
    return set;
}

/* Everybody who may be needed: who votes in any configuration that a member goes by. */
static uint32_t whole_core(struct sim *sim)
{
    uint32_t set = members(sim);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_log *log = &sim->nodes[i].disk;
        const uint32_t count = log->configs_count;
        for (uint32_t j = count > 2 ? count - 2 : 0; j < count; j++) {
            for (raft_node_id id = 1; id <= sim->nodes_count; id++) {
                if (!sim_node(sim, id)->is_gone &&
                    is_member(&sim->configs[log->configs[j].config], id)) {
                    set |= 1U << id;
                }
            }
        }
    }
    return set;
}

static uint32_t choose_core(struct sim *sim)
{
    const uint32_t all = members(sim);
    for (uint32_t tries = 0; tries < 4; tries++) {
        const uint32_t core = all & tape_draw(sim->tape, TAPE_FAULT, 1U << (sim->nodes_count + 1));
        if (is_core(sim, core)) {
            return core;
        }
    }
    return is_core(sim, all) ? all : whole_core(sim);
}

/* ---- heal and freeze ---- */

static void freeze(struct sim *sim, struct sim_node *node)
{
    node->is_gone = true;
    if (!node->is_up) {
        return;
    }
    if (tape_chance(sim->tape, TAPE_FAULT, 500000)) {
        sim_node_crash(sim, node);
        return;
    }
    for (raft_node_id other = 0; other <= sim->nodes_count; other++) {
        sim->is_cut[node->id][other] = other != node->id;
        sim->is_cut[other][node->id] = other != node->id;
    }
    sim_tell(sim, node, "is cut off for ever");
}

static void heal_node(struct sim *sim, struct sim_node *node)
{
    if (node->is_up && sim->now_us < node->paused_until_us) {
        sim_node_crash(sim, node); /* the quickest way back */
    }
    sim_disk_heal(sim, node);
    if (node->is_up && node->installing != 0) { /* its bytes come at once */
        sim_event_add(sim, sim->now_us, EVENT_INSTALL, node->id, (uint32_t)node->installing,
                      node->life);
    }
    if (!node->is_up) {
        sim_node_start(sim, node);
    }
}

static void heal(struct sim *sim, uint32_t core)
{
    sim->is_healed = true;
    sim->healed_us = sim->now_us;
    sim->is_over = true;
    sim_heal_links(sim);
    for (uint32_t a = 0; a <= SIM_NODES_MAX; a++) {
        for (uint32_t b = 0; b <= SIM_NODES_MAX; b++) {
            sim->clogged_until_us[a][b] = 0;
            sim->link_last_us[a][b] = 0;
        }
    }
    sim->knobs.delay_mean_us = 500;
    sim->knobs.delay_min_us = 0;
    sim->knobs.capacity = 1000;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (in_core(core, node->id)) {
            heal_node(sim, node);
        } else {
            freeze(sim, node);
            sim->counts->liveness_partial += i == 0;
        }
    }
}

/* ---- what must come about ---- */

static uint64_t timeouts_us(const struct sim *sim, uint32_t count)
{
    return 1000 * (uint64_t)sim->knobs.election_timeout_ms * count;
}

/* Of the greatest term; 0: none. */
static raft_node_id leader_of_core(struct sim *sim, uint32_t core)
{
    raft_node_id leader = 0;
    raft_term term = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (in_core(core, node->id) && node->is_up && node->view.role == RAFT_LEADER &&
            node->view.hard_state.term > term) {
            leader = node->id;
            term = node->view.hard_state.term;
        }
    }
    return leader;
}

static bool is_at_rest(struct sim *sim, uint32_t core)
{
    const raft_node_id leader = leader_of_core(sim, core);
    if (leader == 0) {
        return false;
    }
    const struct sim_node *lead = sim_node(sim, leader);
    if (lead->view.commit_index != lead->view.last.index ||
        lead->view.config->old_voters_count > 0) {
        return false;
    }
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (in_core(core, node->id) && is_member(lead->view.config, node->id) &&
            (node->applied != lead->applied || node->view.is_recovering)) {
            return false;
        }
    }
    return lead->applied == lead->view.last.index;
}

/* Those who have left meanwhile go too: nobody will tell them. */
static uint32_t drop_removed(struct sim *sim, uint32_t core)
{
    const struct raft_config *config = committed_config(sim);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (in_core(core, node->id) && !is_member(config, node->id) &&
            leader_of_core(sim, core) != node->id) {
            core &= ~(1U << node->id);
            freeze(sim, node);
        }
    }
    return core;
}

static uint32_t votes_for(struct sim *sim, uint32_t core, const struct sim_node *node,
                          const raft_node_id *voters, uint32_t count)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_node *voter = sim_node(sim, voters[i]);
        votes += in_core(core, voter->id) && !sim_disk_is_recovering(voter) &&
                 sim_log_config(&voter->log) != 0 &&
                 sim_as_new(sim_log_last(&node->log), sim_log_last(&voter->log));
    }
    return votes;
}

/* Somebody whom the core could elect. There may be none although it contains every quorum: the
 * newest log may be that of a learner, who would vote if its entries came to more, and whose vote a
 * configuration that is not committed asks for. */
static bool has_candidate(struct sim *sim, uint32_t core)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        const struct raft_config *config = &sim->configs[sim_log_config(&node->log)];
        if (!in_core(core, node->id) || !node->is_up || sim_disk_is_recovering(node) ||
            !is_voter(config, node->id)) {
            continue;
        }
        const uint32_t now = votes_for(sim, core, node, config->voters, config->voters_count);
        const uint32_t old =
            votes_for(sim, core, node, config->old_voters, config->old_voters_count);
        if (2 * now > config->voters_count &&
            (config->old_voters_count == 0 || 2 * old > config->old_voters_count)) {
            return true;
        }
    }
    return false;
}

/* The core once there is a leader; 0: nobody could be elected. */
static uint32_t await_leader(struct sim *sim, uint32_t core)
{
    for (uint32_t i = 0; i < SETTLE_TIMEOUTS; i++) {
        sim_run_until(sim, sim->now_us + timeouts_us(sim, 1));
        core = drop_removed(sim, core);
        if (leader_of_core(sim, core) != 0) {
            return core;
        }
    }
    if (has_candidate(sim, core)) {
        sim_fail(sim, "liveness", NULL, "no leader in %d election timeouts", SETTLE_TIMEOUTS);
    }
    return 0;
}

static uint32_t await_rest(struct sim *sim, uint32_t core, uint32_t timeouts)
{
    for (uint32_t i = 0; i < timeouts && !is_at_rest(sim, core); i++) {
        sim_run_until(sim, sim->now_us + timeouts_us(sim, 1));
        core = drop_removed(sim, core);
    }
    return core;
}

static void check_clients(struct sim *sim)
{
    sim_run_until(sim, sim->now_us + sim->knobs.timeout_us + timeouts_us(sim, 1));
    for (uint32_t i = 0; i < sim->knobs.clients; i++) {
        const uint32_t op = sim->clients[i].op;
        if (op != UINT32_MAX) {
            sim_fail(sim, "liveness", NULL, "operation %u does not end", op);
        }
    }
}

/* A last write goes through. Leadership may still move once or twice for what is under way. */
static uint32_t check_serves(struct sim *sim, uint32_t core)
{
    for (uint32_t tries = 0; tries < 5; tries++) {
        const raft_node_id leader = leader_of_core(sim, core);
        const uint32_t op = sim->ops_count;
        if (leader != 0) {
            sim_burst(sim, sim_node(sim, leader), 1);
            core = await_rest(sim, core, SERVE_TIMEOUTS);
            if (sim->ops_count > op && sim->ops[op].outcome == OUTCOME_OK) {
                return core;
            }
        }
        sim_run_until(sim, sim->now_us + timeouts_us(sim, 4));
    }
    sim_fail(sim, "liveness", NULL, "a healed core does not take a write");
}

static void check_equal(struct sim *sim, uint32_t core)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (in_core(core, node->id)) {
            oracle_digest(sim, node);
            sim_reads_expire(sim, node);
            if (pending_count(&node->pending) > 0 || node->reads_count > 0) {
                sim_fail(sim, "O16", node, "%u writes and %u reads wait for ever",
                         pending_count(&node->pending), node->reads_count);
            }
        }
    }
}

void sim_liveness(struct sim *sim)
{
    uint32_t core = choose_core(sim);
    sim_tell(sim, NULL, "the faults end; core %x", core);
    heal(sim, core);
    if (!is_core(sim, core)) { /* too few sound nodes are left: nothing can be demanded */
        return;
    }
    core = await_leader(sim, core);
    if (core == 0) {
        return;
    }
    sim->counts->liveness_checked++;
    core = await_rest(sim, core, REST_TIMEOUTS);
    if (!is_at_rest(sim, core)) {
        sim_fail(sim, "liveness", NULL, "a healed core does not come to one log");
    }
    core = check_serves(sim, core);
    if (!is_at_rest(sim, core)) {
        sim_fail(sim, "liveness", NULL, "a healed core does not come to rest after a write");
    }
    check_clients(sim);
    check_equal(sim, core);
}
