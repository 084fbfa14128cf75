/* What breaks. Faults are drawn one after another, and aimed at the newest leader more often than
 * chance would have it: that is where what matters is under way. */
#include "sim/sim.h"

raft_node_id sim_newest_leader(const struct sim *sim)
{
    raft_node_id newest = 0;
    raft_term term = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (node->is_up && node->view.role == RAFT_LEADER && node->view.hard_state.term > term) {
            newest = node->id;
            term = node->view.hard_state.term;
        }
    }
    return newest;
}

static struct sim_node *any_node(struct sim *sim)
{
    return &sim->nodes[tape_draw(sim->tape, TAPE_FAULT, sim->nodes_count)];
}

static struct sim_node *target(struct sim *sim)
{
    const raft_node_id leader = sim_newest_leader(sim);
    if (leader != 0 && tape_chance(sim->tape, TAPE_FAULT, sim->knobs.aim)) {
        return sim_node(sim, leader);
    }
    return any_node(sim);
}

static uint64_t duration_us(struct sim *sim)
{
    const uint32_t max_us = sim->knobs.stability_max_us;
    return tape_log_between(sim->tape, TAPE_FAULT, 1000, max_us > 1000 ? max_us : 1000);
}

/* ---- crashes ---- */

static void crash(struct sim *sim, struct sim_node *node)
{
    if (!node->is_up) {
        return;
    }
    sim_node_crash(sim, node);
    sim_event_add(sim, sim->now_us + tape_around(sim->tape, TAPE_FAULT, sim->knobs.restart_mean_us),
                  EVENT_START, node->id, 0, node->life);
}

static void crash_all(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        crash(sim, &sim->nodes[i]);
    }
}

/* ---- partitions ---- */

static void cut(struct sim *sim, raft_node_id a, raft_node_id b, bool both_ways)
{
    sim->is_cut[a][b] = true;
    sim->is_cut[b][a] = sim->is_cut[b][a] || both_ways;
}

void sim_heal_links(struct sim *sim)
{
    for (uint32_t a = 0; a <= SIM_NODES_MAX; a++) {
        for (uint32_t b = 0; b <= SIM_NODES_MAX; b++) {
            sim->is_cut[a][b] = false;
        }
    }
}

/* Nodes on this side keep each other; the rest do too. Clients stay with the rest or not. */
static void part(struct sim *sim, uint32_t side)
{
    for (raft_node_id a = 1; a <= sim->nodes_count; a++) {
        for (raft_node_id b = 1; b <= sim->nodes_count; b++) {
            if ((side >> a & 1) != (side >> b & 1)) {
                cut(sim, a, b, true);
            }
        }
    }
}

static void one_way(struct sim *sim, raft_node_id id, bool is_deaf)
{
    for (raft_node_id other = 1; other <= sim->nodes_count; other++) {
        if (other != id) {
            cut(sim, is_deaf ? other : id, is_deaf ? id : other, false);
        }
    }
}

/* Each hears its neighbours only; a bridge is a chain of two halves and one in between. */
static void chain(struct sim *sim, raft_node_id middle, bool is_bridge)
{
    for (raft_node_id a = 1; a <= sim->nodes_count; a++) {
        for (raft_node_id b = 1; b < a; b++) {
            const bool is_same_half = (a < middle) == (b < middle);
            const bool stays = is_bridge ? a == middle || b == middle || is_same_half : a == b + 1;
            if (!stays) {
                cut(sim, a, b, true);
            }
        }
    }
}

static void star(struct sim *sim, raft_node_id middle)
{
    for (raft_node_id a = 1; a <= sim->nodes_count; a++) {
        for (raft_node_id b = 1; b < a; b++) {
            if (a != middle && b != middle) {
                cut(sim, a, b, true);
            }
        }
    }
}

static void cut_pair(struct sim *sim, raft_node_id id)
{
    const raft_node_id other = any_node(sim)->id;
    if (other != id) {
        cut(sim, id, other, true);
    }
}

enum cut_mode {
    CUT_ONE,
    CUT_AND_ONE, /* the target and one other: a leader keeps a follower */
    CUT_HALVES,
    CUT_BRIDGE,
    CUT_CHAIN,
    CUT_STAR,
    CUT_DEAF,
    CUT_MUTE,
    CUT_CLIENTS,
    CUT_PAIR, /* the target and one other lose each other; the rest hears both */
    CUT_MODES,
};

static void partition(struct sim *sim, struct sim_node *node)
{
    static const uint32_t weights[CUT_MODES] = {4, 4, 3, 1, 1, 1, 2, 2, 1, 5};
    const enum cut_mode mode = (enum cut_mode)tape_pick(sim->tape, TAPE_FAULT, weights, CUT_MODES);
    const raft_node_id id = node->id;
    sim->counts->partitions++;
    sim_tell(sim, node, "is where the network breaks, mode %d", (int)mode);
    switch (mode) {
    case CUT_ONE:
        part(sim, 1U << id);
        break;
    case CUT_AND_ONE:
        part(sim, 1U << id | 1U << any_node(sim)->id);
        break;
    case CUT_HALVES:
        part(sim, tape_draw(sim->tape, TAPE_FAULT, 1U << (sim->nodes_count + 1)));
        break;
    case CUT_BRIDGE:
    case CUT_CHAIN:
        chain(sim, id, mode == CUT_BRIDGE);
        break;
    case CUT_STAR:
        star(sim, id);
        break;
    case CUT_DEAF:
    case CUT_MUTE:
        one_way(sim, id, mode == CUT_DEAF);
        break;
    case CUT_CLIENTS:
        cut(sim, id, 0, true);
        break;
    case CUT_PAIR:
    case CUT_MODES:
        cut_pair(sim, id);
        break;
    }
    sim_event_add(sim, sim->now_us + duration_us(sim), EVENT_HEAL, 0, 0, 0);
}

static void clog_link(struct sim *sim, struct sim_node *node)
{
    const raft_node_id other = any_node(sim)->id;
    sim->clogged_until_us[node->id][other] = sim->now_us + duration_us(sim);
}

/* What the others have said to the leader comes late, and it is heard no more: when answers that were
 * given before another one was elected arrive at last, they must not confirm what was asked since
 * (pitfalls 97, 98). */
static void late_answers(struct sim *sim, struct sim_node *node)
{
    const uint64_t for_us =
        tape_between(sim->tape, TAPE_FAULT, 1500, 5000) * (uint64_t)sim->knobs.election_timeout_ms;
    one_way(sim, node->id, false);
    for (raft_node_id other = 1; other <= sim->nodes_count; other++) {
        sim->clogged_until_us[other][node->id] = sim->now_us + for_us;
    }
    sim->counts->partitions++;
    sim_tell(sim, node, "is heard no more, and hears the others late");
    sim_event_add(sim, sim->now_us + for_us + 1000, EVENT_HEAL, 0, 0, 0);
}

/* ---- machines ---- */

static void pause_node(struct sim *sim, struct sim_node *node, bool is_suspended)
{
    if (!sim_node_runs(sim, node)) {
        return;
    }
    const uint64_t for_us = duration_us(sim);
    node->paused_until_us = sim->now_us + for_us;
    sim_tell(sim, node, "stands still for %llu ms", (unsigned long long)for_us / 1000);
    if (is_suspended) {
        sim_clock_suspend(sim, node, for_us);
        sim->counts->suspends++;
    } else {
        sim->counts->pauses++;
    }
    node->timer_at_us = node->paused_until_us;
    sim_event_add(sim, node->paused_until_us, EVENT_TIMER, node->id, 0, node->life);
}

static void stall(struct sim *sim, struct sim_node *node)
{
    const uint64_t for_us = 4 * duration_us(sim);
    node->stalled_until_us = sim->now_us + for_us;
    sim_tell(sim, node, "has a disk that hangs for %llu ms", (unsigned long long)for_us / 1000);
}

/* Voters that could still vote if `lost` could not. */
static bool is_spare(struct sim *sim, const struct sim_node *lost, const raft_node_id *voters,
                     uint32_t count)
{
    uint32_t sound = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_node *voter = sim_node(sim, voters[i]);
        sound += voter != lost && !voter->is_gone && !sim_disk_is_recovering(voter);
    }
    return count == 0 || 2 * sound > count;
}

/* Never more copies than the cluster can repair: without this node the others must be able to elect
 * a leader, by any configuration that one of them may go by. */
static bool is_dispensable(struct sim *sim, const struct sim_node *node)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_log *logs[] = {&sim->nodes[i].log, &sim->nodes[i].disk};
        for (uint32_t j = 0; j < 2; j++) {
            const struct raft_config *config = &sim->configs[sim_log_config(logs[j])];
            if (!is_spare(sim, node, config->voters, config->voters_count) ||
                !is_spare(sim, node, config->old_voters, config->old_voters_count)) {
                return false;
            }
        }
    }
    return true;
}

static void rot(struct sim *sim, struct sim_node *node)
{
    if (is_dispensable(sim, node)) {
        crash(sim, node);
        sim_disk_rot(sim, node);
    }
}

/* The machine is lost with its disk. Who replaces it is another node, with another id. */
static void lose(struct sim *sim, struct sim_node *node)
{
    if (node->is_gone || !is_dispensable(sim, node)) {
        return;
    }
    crash(sim, node);
    node->is_gone = true;
    sim_tell(sim, node, "is lost for ever");
    sim->counts->lost_for_ever++;
}

static void unreachable(struct sim *sim, struct sim_node *node)
{
    if (sim_node_runs(sim, node)) {
        (void)sim_node_step(
            sim, node,
            (struct raft_event){.type = RAFT_EVENT_UNREACHABLE, .peer = any_node(sim)->id});
    }
}

/* CLOCK_BOOTTIME may be set right by as much as this; the core must not care (pitfall 21). */
static void step_clock(struct sim *sim, struct sim_node *node)
{
    node->boottime_ahead_us += (int64_t)duration_us(sim);
    sim->counts->clock_steps++;
}

static void burst(struct sim *sim, struct sim_node *node)
{
    sim_burst(sim, node, tape_between(sim->tape, TAPE_FAULT, 1, 60));
}

/* Nobody hears it any more, and it hears nobody, for a while. */
void sim_cut_off(struct sim *sim, struct sim_node *node)
{
    sim->counts->partitions++;
    sim_tell(sim, node, "is cut off");
    part(sim, 1U << node->id);
    sim_event_add(sim, sim->now_us + duration_us(sim), EVENT_HEAL, 0, 0, 0);
}

/* The leader and those who only come keep each other; the old voters are on their own. */
void sim_cut_in_joint(struct sim *sim, struct sim_node *node)
{
    const struct raft_config *config = node->view.config;
    uint32_t side = 1U << node->id;
    for (uint32_t i = 0; i < config->voters_count; i++) {
        side |= 1U << config->voters[i];
    }
    for (uint32_t i = 0; i < config->old_voters_count; i++) {
        if (config->old_voters[i] != node->id) {
            side &= ~(1U << config->old_voters[i]);
        }
    }
    sim->counts->partitions++;
    sim_tell(sim, node, "is cut off with those who come");
    part(sim, side);
    sim_event_add(sim, sim->now_us + duration_us(sim), EVENT_HEAL, 0, 0, 0);
}

/* A long tail that nobody else has: what deposed leaders leave behind. */
static void cut_and_burst(struct sim *sim, struct sim_node *node)
{
    sim->counts->partitions++;
    if (tape_chance(sim->tape, TAPE_FAULT, 500000)) {
        part(sim, 1U << node->id);
    } else {
        part(sim, 1U << node->id | 1U << any_node(sim)->id);
    }
    sim_tell(sim, node, "is cut off");
    sim_burst(sim, node, tape_between(sim->tape, TAPE_FAULT, 20, 80));
    sim_event_add(sim, sim->now_us + duration_us(sim), EVENT_HEAL, 0, 0, 0);
}

/* A follower loses the leader, which has nothing to write, so that the follower is not behind. When
 * it is about to stand, everybody else but the leader comes back from a crash: what they told the
 * leader, they must not have forgotten (pitfall 105). */
static void lose_leader(struct sim *sim, struct sim_node *node)
{
    const raft_node_id leader = sim_newest_leader(sim);
    const uint64_t timeout_us = 1000 * (uint64_t)sim->knobs.election_timeout_ms;
    if (leader == 0 || node->id == leader || !sim_node_runs(sim, node)) {
        return;
    }
    cut(sim, leader, node->id, true);
    cut(sim, leader, 0, true);
    const uint64_t stands_us = sim_clock_world_us(sim, node, node->deadline_ms);
    const uint64_t early_us =
        tape_around(sim->tape, TAPE_FAULT, 50 * sim->knobs.election_timeout_ms);
    sim_event_add(sim, stands_us > early_us ? stands_us - early_us : sim->now_us, EVENT_FORGET,
                  node->id, 0, 0);
    sim_event_add(sim, sim->now_us + 3 * timeout_us, EVENT_HEAL, 0, 0, 0);
}

void sim_forget(struct sim *sim, struct sim_node *candidate)
{
    const raft_node_id leader = sim_newest_leader(sim);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (node != candidate && node->id != leader && node->is_up) {
            sim_node_crash(sim, node);
            sim_event_add(sim, sim->now_us, EVENT_START, node->id, 0, node->life);
        }
    }
}

void sim_fault(struct sim *sim)
{
    const enum sim_fault fault =
        (enum sim_fault)tape_pick(sim->tape, TAPE_FAULT, sim->knobs.fault_weights, FAULT_KINDS);
    struct sim_node *node = target(sim);
    switch (fault) {
    case FAULT_CRASH:
        crash(sim, node);
        break;
    case FAULT_CRASH_ALL:
        crash_all(sim);
        break;
    case FAULT_PARTITION:
        partition(sim, node);
        break;
    case FAULT_HEAL:
        sim_heal_links(sim);
        break;
    case FAULT_CLOG:
        clog_link(sim, node);
        break;
    case FAULT_PAUSE:
    case FAULT_SUSPEND:
        pause_node(sim, node, fault == FAULT_SUSPEND);
        break;
    case FAULT_STALL:
        stall(sim, node);
        break;
    case FAULT_BURST:
        burst(sim, node);
        break;
    case FAULT_CUT_LEADER_AND_BURST:
        cut_and_burst(sim, node);
        break;
    case FAULT_UNREACHABLE:
        unreachable(sim, node);
        break;
    case FAULT_ROT:
        rot(sim, any_node(sim)); /* not the leader more often: it is to notice */
        break;
    case FAULT_STEP_CLOCK:
        step_clock(sim, node);
        break;
    case FAULT_LATE:
        late_answers(sim, node);
        break;
    case FAULT_LOSE:
        lose(sim, node);
        break;
    case FAULT_FORGET:
        lose_leader(sim, any_node(sim));
        break;
    case FAULT_NONE:
    case FAULT_KINDS:
        break;
    }
}
