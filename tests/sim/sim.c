#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

enum {
    ELECTION_TIMEOUT_MS = 200,
    HEARTBEAT_INTERVAL_MS = 40,
    TURNS = 400, /* of faults, each some milliseconds */
    TURN_MS_MAX = 60,
    SETTLE_MS = 60000, /* a healed cluster must agree within this, a long backlog included */
};

static uint32_t below(struct sim *sim, uint32_t bound)
{
    return (uint32_t)rk_prng_below(&sim->prng, bound);
}

static bool chance(struct sim *sim, uint32_t per_mille)
{
    return rk_prng_chance(&sim->prng, per_mille) != 0;
}

/* Half of the runs do without; the others draw a rate. */
static uint32_t draw_rate(struct sim *sim, uint32_t max)
{
    return chance(sim, 500) ? 0 : 1 + below(sim, max);
}

static raft_node_id any_node(struct sim *sim)
{
    return 1 + below(sim, sim->nodes_count);
}

/* The leader more often than not: what happens to it matters most. */
static raft_node_id likely_leader(struct sim *sim)
{
    const raft_node_id leader = cluster_leader(sim->cluster);
    return leader != 0 && chance(sim, 700) ? leader : any_node(sim);
}

/* Any of those that think they lead: a deposed one must give no read away. */
static raft_node_id any_leader(struct sim *sim)
{
    for (uint32_t tries = 0; tries < 8; tries++) {
        const raft_node_id id = any_node(sim);
        if (cluster_node(sim->cluster, id)->is_up &&
            cluster_view(sim->cluster, id).role == RAFT_LEADER) {
            return id;
        }
    }
    return any_node(sim);
}

static bool is_running(const struct sim *sim, raft_node_id id)
{
    const struct cluster_node *node = cluster_node(sim->cluster, id);
    return node->is_up && node->paused_until_ms <= sim->cluster->now_ms;
}

/* ---- what clients and operators do ---- */

static void propose(struct sim *sim)
{
    uint64_t values[8];
    struct raft_entry entries[8] = {0};
    const uint32_t count = 1 + below(sim, 8);
    const raft_node_id id = likely_leader(sim);
    const struct cluster_node *node = cluster_node(sim->cluster, id);
    if (!is_running(sim, id) || node->log->count + 64 > CLUSTER_LOG_MAX ||
        node->writes_count > CLUSTER_WRITES_MAX / 4) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] = ++sim->values;
        entries[i].type = RAFT_ENTRY_COMMAND;
        entries[i].frame =
            (struct rk_bytes){.data = (const uint8_t *)&values[i], .size = sizeof values[i]};
    }
    const struct raft_event event = {.type = RAFT_EVENT_PROPOSED, .proposed = {entries, count}};
    (void)cluster_step(sim->cluster, id, event);
}

static void read_once(struct sim *sim)
{
    const raft_node_id id = any_leader(sim);
    if (!is_running(sim, id) || sim->reads + 1 >= SIM_READS_MAX ||
        cluster_node(sim->cluster, id)->reads_count + 1024 > CLUSTER_READS_MAX) {
        return;
    }
    sim->reads++;
    sim->floors[sim->reads] = sim->committed->count;
    (void)cluster_read(sim->cluster, id, sim->reads);
}

static void transfer(struct sim *sim)
{
    const raft_node_id id = cluster_leader(sim->cluster);
    if (id != 0 && is_running(sim, id) &&
        cluster_transfer(sim->cluster, id, below(sim, sim->nodes_count + 1)) == RK_OK) {
        sim->counts->transfers++;
    }
}

/* O10, pitfall 76: a configuration was taken, so an entry of the leader's term is committed. */
static void check_term_is_committed(const struct sim *sim, raft_node_id id)
{
    const raft_term term = cluster_view(sim->cluster, id).hard_state.term;
    const uint32_t count = sim->committed->count;
    if (count == 0 || sim->committed->entries[count - 1].id.term < term) {
        sim_fail(sim, "O10: a configuration before the term has committed", id);
    }
}

/* Leaves a joint configuration, or enters one with voters and learners at random. */
static void change_config(struct sim *sim)
{
    const raft_node_id id = cluster_leader(sim->cluster);
    if (id == 0 || !is_running(sim, id)) {
        return;
    }
    struct raft_config next = *cluster_view(sim->cluster, id).config;
    const bool is_joint = next.old_voters_count > 0;
    if (!is_joint) {
        memcpy(next.old_voters, next.voters, sizeof next.voters);
        next.old_voters_count = next.voters_count;
        next.voters_count = 0;
        for (raft_node_id voter = 1; voter <= sim->nodes_count; voter++) {
            if (chance(sim, 700)) {
                next.voters[next.voters_count++] = voter;
            }
        }
        next.learners_count = 0;
    } else {
        next.old_voters_count = 0;
        next.learners_count = 0;
        for (raft_node_id learner = 1; learner <= sim->nodes_count; learner++) {
            bool is_voter = false;
            for (uint32_t i = 0; i < next.voters_count; i++) {
                is_voter = is_voter || next.voters[i] == learner;
            }
            if (!is_voter && chance(sim, 500)) {
                next.learners[next.learners_count++] = learner;
            }
        }
    }
    if (cluster_propose_config(sim->cluster, id, &next) == RK_OK) {
        sim->counts->configs++;
        check_term_is_committed(sim, id);
    }
}

/* ---- what the world does ---- */

static void start_node(struct sim *sim, raft_node_id id)
{
    sim->nodes[id - 1].commit_index = 0;
    sim->nodes[id - 1].reads_seen = 0;
    cluster_start(sim->cluster, id);
}

static void crash_or_start(struct sim *sim)
{
    const raft_node_id id = likely_leader(sim);
    if (cluster_node(sim->cluster, id)->is_up) {
        cluster_crash(sim->cluster, id);
        sim->counts->crashes++;
        if (chance(sim, 300)) { /* at once: a quick restart forgets only what was not durable */
            start_node(sim, id);
        }
    } else {
        start_node(sim, id);
    }
}

static void crash_all(struct sim *sim)
{
    for (raft_node_id id = 1; id <= sim->nodes_count; id++) {
        if (cluster_node(sim->cluster, id)->is_up) {
            cluster_crash(sim->cluster, id);
            sim->counts->crashes++;
        }
    }
    for (raft_node_id id = 1; id <= sim->nodes_count; id++) {
        start_node(sim, id);
    }
}

static void partition(struct sim *sim)
{
    struct cluster *cluster = sim->cluster;
    const uint32_t kind = below(sim, 5);
    const raft_node_id a = likely_leader(sim);
    const raft_node_id b = any_node(sim);
    if (kind == 0) {
        cluster_heal(cluster);
    } else if (kind == 1) {
        cluster_isolate(cluster, a);
    } else if (kind == 2 && a != b) {
        cluster_cut(cluster, a, b);
    } else if (kind == 3 && a != b) {
        cluster->is_cut[a][b] = true; /* one way only */
    } else {
        for (raft_node_id left = 1; left <= sim->nodes_count; left++) {
            for (raft_node_id right = 1; right <= sim->nodes_count; right++) {
                cluster->is_cut[left][right] = (left <= b) != (right <= b);
            }
        }
    }
}

static void unreachable(struct sim *sim)
{
    const raft_node_id id = likely_leader(sim);
    if (is_running(sim, id)) {
        const struct raft_event event = {.type = RAFT_EVENT_UNREACHABLE, .peer = any_node(sim)};
        (void)cluster_step(sim->cluster, id, event);
    }
}

static void pause_node(struct sim *sim)
{
    cluster_node(sim->cluster, likely_leader(sim))->paused_until_ms =
        sim->cluster->now_ms + below(sim, 5 * ELECTION_TIMEOUT_MS);
}

static void slow_disk(struct sim *sim)
{
    cluster_node(sim->cluster, likely_leader(sim))->slow_ms =
        chance(sim, 500) ? 0 : below(sim, 4 * ELECTION_TIMEOUT_MS);
}

static void turn(struct sim *sim)
{
    for (uint32_t i = below(sim, 4); i > 0; i--) {
        propose(sim);
    }
    for (uint32_t i = below(sim, 4); i > 0; i--) {
        read_once(sim);
    }
    if (chance(sim, sim->crash_rate)) {
        crash_or_start(sim);
    }
    if (chance(sim, sim->crash_rate / 8)) {
        crash_all(sim);
    }
    if (chance(sim, sim->partition_rate)) {
        partition(sim);
    }
    if (chance(sim, sim->pause_rate)) {
        pause_node(sim);
    }
    if (chance(sim, sim->slow_rate)) {
        slow_disk(sim);
    }
    if (chance(sim, sim->transfer_rate)) {
        transfer(sim);
    }
    if (chance(sim, sim->config_rate)) {
        change_config(sim);
    }
    if (chance(sim, sim->unreachable_rate)) {
        unreachable(sim);
    }
    cluster_elapse(sim->cluster, 1 + below(sim, sim->turn_ms_max));
}

/* ---- a run ---- */

static struct cluster_options draw_options(struct sim *sim)
{
    const uint32_t latency_ms_max =
        below(sim, 3) == 0 ? 1 + below(sim, 2 * ELECTION_TIMEOUT_MS) : 1 + below(sim, 20);
    return (struct cluster_options){
        .nodes_count = sim->nodes_count,
        .seed = rk_prng_next(&sim->prng),
        .election_timeout_ms = ELECTION_TIMEOUT_MS,
        .heartbeat_interval_ms = HEARTBEAT_INTERVAL_MS,
        .append_entries_max = 1 + below(sim, 16),
        .inflight_max = 1 + below(sim, 8),
        .no_pre_vote = chance(sim, 300),
        .no_check_quorum = chance(sim, 300),
        .latency_ms_max = latency_ms_max,
        .persist_ms_max = chance(sim, 200) ? below(sim, 100) : below(sim, 5),
        .drop_per_mille = draw_rate(sim, 300),
        .duplicate_per_mille = draw_rate(sim, 200),
        .straggler_per_mille = draw_rate(sim, 200),
        .straggler_ms_max = 5 * ELECTION_TIMEOUT_MS,
        .hooks = sim_hooks(sim),
    };
}

static void draw_rates(struct sim *sim)
{
    sim->turn_ms_max = 1 + below(sim, TURN_MS_MAX);
    sim->crash_rate = draw_rate(sim, 150);
    sim->partition_rate = draw_rate(sim, 200);
    sim->pause_rate = draw_rate(sim, 100);
    sim->slow_rate = draw_rate(sim, 100);
    sim->transfer_rate = draw_rate(sim, 100);
    sim->config_rate = draw_rate(sim, 200);
    sim->unreachable_rate = draw_rate(sim, 100);
}

static void heal(struct sim *sim)
{
    cluster_heal(sim->cluster);
    sim->cluster->options.drop_per_mille = 0;
    sim->cluster->options.straggler_per_mille = 0;
    sim->cluster->options.latency_ms_max = 5;
    sim->cluster->options.persist_ms_max = 2;
    for (raft_node_id id = 1; id <= sim->nodes_count; id++) {
        struct cluster_node *node = cluster_node(sim->cluster, id);
        node->slow_ms = 0;
        node->paused_until_ms = 0;
        for (uint32_t i = 0; i < node->writes_count; i++) {
            node->writes[i].due_ms = sim->cluster->now_ms;
        }
        if (!node->is_up) {
            start_node(sim, id);
        }
    }
}

/* Without Pre-Vote and CheckQuorum a server that was removed, and does not know, may disturb for
 * ever (4.2.3): such runs promise safety alone. */
static bool is_lively(const struct sim *sim)
{
    const struct cluster_options *options = &sim->cluster->options;
    return sim->config_rate == 0 || (!options->no_pre_vote && !options->no_check_quorum);
}

/* The node that leads with everything committed everywhere; 0: not yet. */
static raft_node_id settled_leader(struct sim *sim)
{
    const raft_node_id leader = cluster_leader(sim->cluster);
    if (leader == 0) {
        return 0;
    }
    const struct raft_view view = cluster_view(sim->cluster, leader);
    if (view.commit_index != view.last.index) {
        return 0;
    }
    for (uint32_t i = 0; i < view.config->voters_count; i++) {
        if (cluster_view(sim->cluster, view.config->voters[i]).commit_index != view.commit_index) {
            return 0;
        }
    }
    return leader;
}

static raft_node_id await_settled(struct sim *sim)
{
    raft_node_id leader = 0;
    for (uint32_t ms = 0; leader == 0 && ms < SETTLE_MS; ms += ELECTION_TIMEOUT_MS) {
        cluster_elapse(sim->cluster, ELECTION_TIMEOUT_MS);
        leader = settled_leader(sim);
    }
    return leader;
}

/* A write and a read go through at the leader; false when leadership moved meanwhile. */
static bool serves(struct sim *sim, raft_node_id leader)
{
    const uint32_t reads_count = cluster_node(sim->cluster, leader)->reads_count;
    if (cluster_propose(sim->cluster, leader, ++sim->values) != RK_OK ||
        cluster_read(sim->cluster, leader, 0) != RK_OK) {
        return false;
    }
    return await_settled(sim) == leader &&
           cluster_node(sim->cluster, leader)->reads_count == reads_count + 1;
}

/* Healed, the voters agree on everything, and clients are served. A message from before may still
 * move leadership, a late TimeoutNow say, but not for ever. */
static void check_progress(struct sim *sim)
{
    heal(sim);
    raft_node_id leader = await_settled(sim);
    sim_check_logs(sim);
    if (!is_lively(sim)) {
        return;
    }
    for (uint32_t tries = 0; tries < 5; tries++) {
        if (leader == 0) {
            sim_fail(sim, "liveness: a healed cluster does not come to one log", 0);
        }
        if (serves(sim, leader)) {
            return;
        }
        leader = await_settled(sim);
    }
    sim_fail(sim, "liveness: a write or a read does not end", leader);
}

void sim_run(uint64_t seed, struct sim_counts *counts, FILE *trace)
{
    struct sim *sim = calloc(1, sizeof *sim);
    struct cluster_log *committed = calloc(1, sizeof *committed);
    if (sim == NULL || committed == NULL) {
        abort();
    }
    sim->seed = seed;
    sim->counts = counts;
    sim->committed = committed;
    rk_prng_seed(&sim->prng, seed);
    sim->nodes_count = chance(sim, 500) ? 3 : 5;
    draw_rates(sim);
    const struct cluster_options options = draw_options(sim);
    sim->cluster = cluster_new(&options);
    sim->cluster->trace = trace;
    for (uint32_t i = 0; i < TURNS; i++) {
        turn(sim);
        if (i % 16 == 0) {
            sim_check_logs(sim);
        }
    }
    check_progress(sim);
    counts->virtual_ms += sim->cluster->now_ms;
    cluster_free(sim->cluster);
    free(sim->committed);
    free(sim);
}
