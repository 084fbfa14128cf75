/* What a run is like. Rates are drawn by doublings and features are left out with even chances
 * (swarm testing): a feature that is always on hides the faults that it mends. */
#include "sim/sim.h"

static bool coin(struct tape *tape)
{
    return tape_chance(tape, TAPE_KNOB, 500000);
}

static uint32_t log_between(struct tape *tape, uint32_t min, uint32_t max)
{
    return tape_log_between(tape, TAPE_KNOB, min, max);
}

/* 0 in half of the runs. */
static uint32_t rate(struct tape *tape, uint32_t min, uint32_t max)
{
    return coin(tape) ? log_between(tape, min, max) : 0;
}

static void draw_cluster(struct sim_knobs *knobs, struct tape *tape)
{
    static const uint32_t weights[] = {10, 10, 40, 10, 25, 2, 5}; /* 1 to 7 voters */
    knobs->voters = 1 + tape_pick(tape, TAPE_KNOB, weights, 7);
    knobs->learners = coin(tape) ? tape_draw(tape, TAPE_KNOB, 4) : 0;
    const uint32_t room = SIM_NODES_MAX - knobs->voters - knobs->learners;
    knobs->spares = room < 3 ? room : tape_draw(tape, TAPE_KNOB, 4);
    knobs->election_timeout_ms = log_between(tape, 100, 2000);
    knobs->heartbeat_interval_ms =
        1 + knobs->election_timeout_ms / tape_between(tape, TAPE_KNOB, 3, 12);
    knobs->pre_vote = coin(tape);
    knobs->check_quorum = coin(tape);
    knobs->append_entries_max = coin(tape) ? 1 : log_between(tape, 2, 256);
    knobs->inflight_max = coin(tape) ? 1 : log_between(tape, 2, 64);
    knobs->is_rot_allowed = tape_chance(tape, TAPE_KNOB, 150000);
}

static void draw_network(struct sim_knobs *knobs, struct tape *tape)
{
    const uint32_t timeout_us = 1000 * knobs->election_timeout_ms;
    knobs->delay_min_us = rate(tape, 10, timeout_us / 20);
    knobs->delay_mean_us = log_between(tape, 100, coin(tape) ? timeout_us / 2 : timeout_us / 50);
    knobs->loss = rate(tape, 1000, 400000);
    knobs->repeat = rate(tape, 1000, 500000);
    knobs->repeat_mean_us = log_between(tape, 1000, 8 * timeout_us);
    knobs->is_in_order = coin(tape);
    knobs->capacity = coin(tape) ? log_between(tape, 4, 40) : 1000;
}

/* Milliseconds are cut off at 32 bits after 49 days, and at 31 after 24 (pitfall 20): some of the
 * machines are about to come there, others are past it. */
static uint64_t draw_uptime(struct tape *tape)
{
    static const uint32_t weights[] = {6, 1, 1};
    static const uint64_t limits_ms[] = {0, UINT64_C(1) << 31, UINT64_C(1) << 32};
    const uint64_t limit_ms = limits_ms[tape_pick(tape, TAPE_CLOCK, weights, 3)];
    return limit_ms == 0 ? 0 : limit_ms - SIM_UPTIMES_MS / 2;
}

static void draw_machines(struct sim_knobs *knobs, struct tape *tape)
{
    static const uint32_t drifts[] = {0, 100, 10000, 50000};
    const uint32_t timeout_us = 1000 * knobs->election_timeout_ms;
    knobs->disk_mean_us = log_between(tape, 50, coin(tape) ? timeout_us / 2 : timeout_us / 50);
    knobs->disk_told_mean_us = rate(tape, 10, timeout_us / 10);
    knobs->apply_mean_us = rate(tape, 10, timeout_us / 4);
    const uint32_t drift = drifts[tape_draw(tape, TAPE_KNOB, 4)];
    /* A slow leader among fast voters: twice the drift, and a little for the square of it. */
    knobs->has_leases = knobs->check_quorum && coin(tape);
    knobs->lease_drift_percent = 1 + drift * 22 / 100000;
    knobs->uptime_min_ms = draw_uptime(tape);
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        knobs->drift_ppm[i] = (int32_t)tape_draw(tape, TAPE_CLOCK, 2 * drift + 1) - (int32_t)drift;
    }
}

static void draw_faults(struct sim_knobs *knobs, struct tape *tape)
{
    static const uint32_t weights[FAULT_KINDS] = {
        [FAULT_CRASH] = 6,       [FAULT_CRASH_ALL] = 1, [FAULT_PARTITION] = 6,
        [FAULT_HEAL] = 3,        [FAULT_CLOG] = 2,      [FAULT_PAUSE] = 3,
        [FAULT_SUSPEND] = 1,     [FAULT_STALL] = 2,     [FAULT_BURST] = 2,
        [FAULT_UNREACHABLE] = 2, [FAULT_ROT] = 4,       [FAULT_CUT_LEADER_AND_BURST] = 2,
        [FAULT_STEP_CLOCK] = 1,  [FAULT_FORGET] = 3,    [FAULT_LOSE] = 1,
        [FAULT_LATE] = 3,
    };
    const uint32_t timeout_us = 1000 * knobs->election_timeout_ms;
    knobs->fault_mean_us = rate(tape, timeout_us / 2, 30 * timeout_us);
    for (uint32_t i = 1; i < FAULT_KINDS; i++) {
        knobs->fault_weights[i] = coin(tape) ? weights[i] : 0;
    }
    knobs->fault_weights[FAULT_ROT] = knobs->is_rot_allowed ? weights[FAULT_ROT] : 0;
    knobs->aim = coin(tape) ? 800000 : 200000;
    knobs->restart_mean_us = log_between(tape, 1000, 10 * timeout_us);
    knobs->stability_max_us = log_between(tape, timeout_us / 4, 12 * timeout_us);
    const bool is_rare = coin(tape);
    knobs->crash_as_leader = rate(tape, 10000, is_rare ? 50000 : 400000);
    knobs->crash_in_write = rate(tape, 100, is_rare ? 2000 : 20000);
    knobs->crash_in_send = rate(tape, 20, is_rare ? 400 : 4000);
    knobs->crash_in_joint = rate(tape, 10000, 200000);
    knobs->crash_in_install = rate(tape, 10000, 300000);
}

static void draw_clients(struct sim_knobs *knobs, struct tape *tape)
{
    static const uint32_t weights[OP_KINDS] = {4, 2, 1, 3, 2, 1};
    const uint32_t timeout_us = 1000 * knobs->election_timeout_ms;
    knobs->clients = 1 + tape_draw(tape, TAPE_KNOB, SIM_CLIENTS_MAX);
    knobs->keys = 1 + tape_draw(tape, TAPE_KNOB, SIM_KEYS_MAX);
    /* Now and then there is so little to do that a follower that hears nothing is not behind. */
    const bool is_quiet = tape_chance(tape, TAPE_KNOB, 200000);
    knobs->think_mean_us = log_between(tape, 1000, is_quiet ? 16 * timeout_us : timeout_us / 4);
    knobs->timeout_us = log_between(tape, timeout_us / 4, 10 * timeout_us);
    knobs->client_delay_us = log_between(tape, 50, timeout_us / 100 + 50);
    for (uint32_t i = 0; i < OP_KINDS; i++) {
        knobs->op_weights[i] = i == OP_PUT || coin(tape) ? weights[i] : 0;
    }
    knobs->ops_max = log_between(tape, 240, 900);
    knobs->until_us = (uint64_t)timeout_us * log_between(tape, 30, 400);
}

void sim_draw_knobs(struct sim_knobs *knobs, struct tape *tape)
{
    *knobs = (struct sim_knobs){0};
    draw_cluster(knobs, tape);
    draw_network(knobs, tape);
    draw_machines(knobs, tape);
    draw_faults(knobs, tape);
    draw_clients(knobs, tape);
    const uint32_t timeout_us = 1000 * knobs->election_timeout_ms;
    knobs->member_mean_us = rate(tape, timeout_us, 40 * timeout_us);
    knobs->transfer_share = coin(tape) ? 600000 : 100000;
    knobs->cut_in_joint = coin(tape) ? 400000 : 0;
    knobs->cut_in_transfer = coin(tape) ? 500000 : 0;
    knobs->pending_share = 300000;
    knobs->snapshot_entries = rate(tape, 4, 500);
    knobs->transfer_mean_us = log_between(tape, 1000, 8 * timeout_us);
    knobs->trailing_entries = coin(tape) ? log_between(tape, 1, 300) : 0;
}
