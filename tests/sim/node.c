/* One node: the core, and its outputs performed in field order. */
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "server/lease.h"
#include "sim/sim.h"

struct sim_node *sim_node(struct sim *sim, raft_node_id id)
{
    RK_ASSERT(id > 0);
    RK_ASSERT(id <= sim->nodes_count);
    return &sim->nodes[id - 1];
}

bool sim_node_runs(const struct sim *sim, const struct sim_node *node)
{
    return node->is_up && sim->now_us >= node->paused_until_us;
}

/* ---- start and crash ---- */

static uint32_t collect_runs(const struct sim_log *log, struct raft_trail_run *runs)
{
    uint32_t count = 0;
    for (raft_index index = log->base + 1; index <= log->last; index++) {
        if (count == 0 || runs[count - 1].term != log->entries[index].term) {
            runs[count++] =
                (struct raft_trail_run){.first_index = index, .term = log->entries[index].term};
        }
    }
    return count;
}

static void collect_configs(const struct sim *sim, const struct sim_log *log,
                            struct raft_restored *restored)
{
    const uint32_t first = log->configs_count > 2 ? log->configs_count - 2 : 0;
    const struct sim_config_at start = log->snapshot > 0 ? log->snapshot_config : log->configs[0];
    restored->config = sim->configs[start.config];
    restored->config_index = start.index;
    for (uint32_t i = first; i < log->configs_count; i++) {
        if (log->configs[i].index > log->base) {
            const uint32_t at = restored->logged_configs_count++;
            restored->logged_configs[at].index = log->configs[i].index;
            restored->logged_configs[at].config = sim->configs[log->configs[i].config];
        }
    }
}

static void copy_log(struct sim_log *to, const struct sim_log *from)
{
    to->base = from->base;
    to->last = from->last;
    to->snapshot = from->snapshot;
    to->snapshot_config = from->snapshot_config;
    to->configs_count = from->configs_count;
    for (uint32_t i = 0; i < from->configs_count; i++) {
        to->configs[i] = from->configs[i];
    }
    for (raft_index index = from->base; index <= from->last; index++) {
        to->entries[index] = from->entries[index];
    }
}

static void init_core(struct sim *sim, struct sim_node *node)
{
    static struct raft_trail_run runs[SIM_LOG_MAX];
    const struct sim_knobs *knobs = &sim->knobs;
    const struct raft_options options = {
        .id = node->id,
        .seed = tape_draw(sim->tape, TAPE_SEED, UINT32_MAX),
        .election_timeout_ms = knobs->election_timeout_ms,
        .heartbeat_interval_ms = knobs->heartbeat_interval_ms,
        .append_entries_max = knobs->append_entries_max,
        .inflight_max = knobs->inflight_max,
        .pre_vote = knobs->pre_vote,
        .check_quorum = knobs->check_quorum,
        .lease_ms = knobs->has_leases
                        ? lease_length_ms(knobs->election_timeout_ms, knobs->lease_drift_percent)
                        : 0,
        .recover_to = node->high_water,
    };
    struct raft_restored restored = {
        .hard_state = node->disk_state,
        .base = {.term = node->disk.entries[node->disk.base].term, .index = node->disk.base},
        .last = sim_log_last(&node->disk),
        .snapshot = {.term = node->disk.entries[node->disk.snapshot].term,
                     .index = node->disk.snapshot},
        .runs = runs,
        .runs_count = collect_runs(&node->disk, runs),
    };
    collect_configs(sim, &node->disk, &restored);
    node->now_ms = sim_monotonic_us(sim, node) / 1000;
    node->raft = raft_init(node->memory, raft_size(), &options, &restored, node->now_ms);
}

static void clear_volatile(struct sim_node *node)
{
    node->life++;
    node->paused_until_us = 0;
    node->persisted = 0;
    node->timer_at_us = 0;
    node->reads_count = 0;
    node->read_number = 0;
    node->applied = node->log.snapshot;
    node->seen_commit = node->log.snapshot;
    node->seen_applied = node->log.snapshot;
    node->is_apply_due = false;
    node->is_finish_due = false;
    node->is_compacting = false;
    node->noting = 0;
    node->installing = 0;
    node->pending_due_us = 0;
    node->heard = 0;
    node->started_ms = node->now_ms;
    memset(node->transfers, 0, sizeof node->transfers);
}

void sim_node_start(struct sim *sim, struct sim_node *node)
{
    RK_ASSERT(!node->is_up);
    RK_ASSERT(!node->is_gone);
    if (node->memory == NULL) {
        node->memory = rk_heap_alloc(raft_size());
    }
    RK_ASSERT(node->disk.snapshot <= node->disk.last);
    init_core(sim, node);
    copy_log(&node->log, &node->disk);
    node->is_up = true;
    clear_volatile(node);
    outbox_init(&node->outbox);
    pending_init(&node->pending);
    node->sm = node->applied > 0 ? sim_state_at(sim, node->applied) : sm_new();
    node->root = sm_publish(node->sm);
    node->view = raft_view(node->raft);
    if (sim->now_us > 0) {
        sim_tell(sim, node, "starts: term %llu, log to %llu%s",
                 (unsigned long long)node->disk_state.term, (unsigned long long)node->log.last,
                 node->view.is_recovering ? ", recovering" : "");
    }
    sim->counts->recovering += node->view.is_recovering;
    oracle_restart(sim, node);
    (void)sim_node_step(sim, node, (struct raft_event){.type = RAFT_EVENT_DEADLINE});
}

static bool is_vote_pending(const struct sim_node *node)
{
    return node->view.hard_state.term != node->disk_state.term ||
           node->view.hard_state.vote != node->disk_state.vote;
}

void sim_node_crash(struct sim *sim, struct sim_node *node)
{
    RK_ASSERT(node->is_up);
    sim_tell(sim, node, "crashes");
    sim->counts->crashes++;
    sim->counts->vote_at_crash += is_vote_pending(node);
    sim_pending_unknown(sim, node, 0);
    for (uint32_t i = 0; i < node->reads_count; i++) {
        if (node->reads[i].asker == 0) {
            sim_reply(sim, node, node->reads[i].op, OUTCOME_UNKNOWN);
        }
    }
    node->is_up = false;
    node->raft = NULL;
    node->life++;
    outbox_done(&node->outbox);
    pending_done(&node->pending);
    sm_free(node->sm);
    node->sm = NULL;
    sim_disk_crash(sim, node);
}

/* ---- a step ---- */

static void set_timer(struct sim *sim, struct sim_node *node)
{
    const uint64_t at_us = sim_clock_world_us(sim, node, node->deadline_ms);
    if (node->timer_at_us == 0 || at_us < node->timer_at_us) {
        node->timer_at_us = at_us;
        sim_event_add(sim, at_us, EVENT_TIMER, node->id, 0, node->life);
    }
}

/* A later deadline leaves the event where it is: it only looks, and comes again. */
void sim_node_timer(struct sim *sim, struct sim_node *node)
{
    if (node->timer_at_us != sim->now_us) {
        return; /* another one was set for an earlier time */
    }
    node->timer_at_us = 0;
    if (sim_monotonic_us(sim, node) / 1000 >= node->deadline_ms) {
        (void)sim_node_step(sim, node, (struct raft_event){.type = RAFT_EVENT_DEADLINE});
    } else {
        set_timer(sim, node);
    }
}

static void take_truncation(struct sim *sim, struct sim_node *node, raft_index from)
{
    oracle_truncate(sim, node, from);
    sim_tell(sim, node, "truncates %llu..%llu", (unsigned long long)from,
             (unsigned long long)node->log.last);
    const raft_index count = node->log.last - from + 1;
    const uint32_t configs_count = node->log.configs_count;
    sim->counts->truncate_1++;
    sim->counts->truncate_5 += count >= 5;
    sim->counts->truncate_50 += count >= 50;
    sim->counts->aba_completion += sim->out.write_number > node->persisted + 1;
    sim_log_truncate(&node->log, from);
    sim->counts->config_rolled_back += node->log.configs_count < configs_count;
    sim_pending_unknown(sim, node, from);
}

static void take_snapshot(struct sim *sim, struct sim_node *node,
                          const struct raft_snapshot *snapshot)
{
    const raft_index index = snapshot->id.index;
    oracle_install(sim, node, snapshot);
    sim_tell(sim, node, "has the snapshot up to %llu instead of its log",
             (unsigned long long)index);
    sim_log_reset(sim, &node->log, index, oracle_config_at(sim, index));
    sim_pending_unknown(sim, node, 0);
}

/* The leader's time, which never falls along the log. */
static void stamp(struct sim *sim, const struct sim_node *node, struct sim_payload *payload)
{
    const struct sim_payload *last = &sim->payloads[node->log.entries[node->log.last].payload];
    const uint64_t now_ms = sim_monotonic_us(sim, node) / 1000;
    payload->time_ms = now_ms > last->time_ms ? now_ms : last->time_ms;
}

static void take_write(struct sim *sim, struct sim_node *node)
{
    const struct raft_write *write = &sim->out.write;
    const bool is_own = sim->received == NULL || sim->received->type != RAFT_APPEND_REQUEST;
    if (write->snapshot != NULL) {
        take_snapshot(sim, node, write->snapshot);
    }
    if (write->truncate_from != 0) {
        take_truncation(sim, node, write->truncate_from);
    }
    for (uint32_t i = 0; i < write->entries_count; i++) {
        const struct raft_entry *entry = &write->entries[i];
        struct sim_entry taken = {.term = (uint32_t)entry->id.term, .payload = entry->frame.size};
        if (taken.payload == 0) { /* the no-op that the core made */
            taken.payload = sim_payload_new(sim, RAFT_ENTRY_NOOP);
        }
        if (is_own) {
            stamp(sim, node, &sim->payloads[taken.payload]);
        }
        RK_ASSERT(entry->id.index == node->log.last + 1);
        sim_log_append(sim, &node->log, taken);
        oracle_append(sim, node, &node->log.entries[node->log.last], node->log.last, is_own);
    }
    sim_disk_submit(sim, node);
}

/* False: it crashed between two messages. */
static bool send_messages(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < sim->out.messages_count; i++) {
        const struct raft_message *message = &sim->out.messages[i];
        if (message->after_write > node->persisted) {
            outbox_hold(&node->outbox, message);
            continue;
        }
        sim_send(sim, node, message);
        if (sim->knobs.crash_in_send > 0 && !sim->is_healed &&
            tape_chance(sim->tape, TAPE_FAULT, sim->knobs.crash_in_send)) {
            sim->counts->crash_in_send++;
            return false;
        }
    }
    return true;
}

static void trace(struct sim *sim, const struct sim_node *node, enum raft_event_type type)
{
    const uint64_t parts[] = {
        sim->now_us,          node->id * 16 + type,       node->view.hard_state.term,
        node->view.role,      node->view.last.index,      node->view.commit_index,
        node->view.last.term, sim->out.messages_count,    sim->out.deadline_ms,
        node->view.leader,    node->view.hard_state.vote, node->view.durable_index,
    };
    uint64_t hash = sim->trace_hash;
    for (uint32_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        hash = (hash ^ parts[i]) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 29;
    }
    sim->trace_hash = hash;
}

static bool is_leader(const struct raft_view *view)
{
    return view->role == RAFT_LEADER;
}

static bool is_voter(const struct raft_config *config, raft_node_id id)
{
    for (uint32_t i = 0; i < config->voters_count; i++) {
        if (config->voters[i] == id) {
            return true;
        }
    }
    return false;
}

/* One election timeout for what is pending: most of it commits under the next leader. */
static void leadership_lost(struct sim *sim, struct sim_node *node)
{
    node->pending_due_us = sim->now_us + 1000 * (uint64_t)sim->knobs.election_timeout_ms;
    sim_event_add(sim, node->pending_due_us, EVENT_ABANDON, node->id, 0, node->life);
    sim_reads_fail(sim, node);
    sim->counts->leader_removed_itself +=
        node->view.is_config_committed && !is_voter(node->view.config, node->id);
    sim->counts->deposed_unsynced += node->view.durable_index < node->view.last.index;
    sim->counts->stalled += node->view.is_storage_stalled;
}

static bool crash_is_due(struct sim *sim, const struct sim_node *node,
                         const struct raft_view *before)
{
    const struct sim_knobs *knobs = &sim->knobs;
    if (sim->is_healed) {
        return false;
    }
    if (is_leader(&node->view) && !is_leader(before) && knobs->crash_as_leader > 0 &&
        tape_chance(sim->tape, TAPE_FAULT, knobs->crash_as_leader)) {
        sim->counts->crash_as_leader++;
        return true;
    }
    if (sim->out.write_number != 0 && knobs->crash_in_write > 0 &&
        tape_chance(sim->tape, TAPE_FAULT, knobs->crash_in_write)) {
        sim->counts->crash_in_write++;
        return true;
    }
    if (sim->out.write.snapshot != NULL && knobs->crash_in_install > 0 &&
        tape_chance(sim->tape, TAPE_FAULT, knobs->crash_in_install)) {
        return true;
    }
    if (node->view.config->old_voters_count > 0 && sim->out.write_number != 0 &&
        knobs->crash_in_joint > 0 && tape_chance(sim->tape, TAPE_FAULT, knobs->crash_in_joint)) {
        sim->counts->crash_in_joint++;
        return true;
    }
    return false;
}

static void crash_for_a_while(struct sim *sim, struct sim_node *node)
{
    sim_node_crash(sim, node);
    sim_event_add(sim, sim->now_us + tape_around(sim->tape, TAPE_FAULT, sim->knobs.restart_mean_us),
                  EVENT_START, node->id, 0, node->life);
}

static void after_step(struct sim *sim, struct sim_node *node, const struct raft_view *before)
{
    if (is_leader(before) && !is_leader(&node->view)) {
        leadership_lost(sim, node);
    }
    if (is_leader(&node->view)) {
        node->pending_due_us = 0;
    }
    if (is_leader(&node->view) && node->view.config_index > before->config_index &&
        node->view.config->old_voters_count > 0 && !sim->is_healed &&
        tape_chance(sim->tape, TAPE_FAULT, sim->knobs.cut_in_joint)) {
        sim_cut_in_joint(sim, node);
    }
    if (is_leader(&node->view) && !node->is_finish_due && node->view.config->old_voters_count > 0 &&
        node->view.is_config_committed) {
        node->is_finish_due = true;
        sim_event_add(sim,
                      sim->now_us +
                          tape_around(sim->tape, TAPE_MEMBER, 200 * sim->knobs.election_timeout_ms),
                      EVENT_FINISH, node->id, 0, node->life);
    }
    if (node->view.commit_index > node->applied && !node->is_apply_due) {
        node->is_apply_due = true;
        const uint64_t late_us = sim->is_healed || sim->knobs.apply_mean_us == 0
                                     ? 0
                                     : tape_around(sim->tape, TAPE_DISK, sim->knobs.apply_mean_us);
        sim_event_add(sim, sim->now_us + late_us, EVENT_APPLY, node->id, 0, node->life);
    }
}

enum rk_status sim_node_step(struct sim *sim, struct sim_node *node, struct raft_event event)
{
    const struct raft_view before = node->view;
    RK_ASSERT(node->is_up);
    event.now_ms = sim_monotonic_us(sim, node) / 1000;
    event.boot_ms = sim_boottime_ms(sim, node);
    node->now_ms = event.now_ms;
    const enum rk_status status = raft_step(node->raft, &event, &sim->out);
    raft_check(node->raft);
    node->view = raft_view(node->raft);
    sim->steps++;
    trace(sim, node, event.type);
    if (sim->out.write_number != 0) {
        take_write(sim, node);
    }
    oracle_votes(sim, node, &before);
    oracle_rounds(sim, node, &before);
    oracle_peers(sim, node, &before);
    oracle_config(sim, node);
    if (node->view.role != before.role || node->view.hard_state.term != before.hard_state.term) {
        oracle_leader(sim, node);
    }
    oracle_commit(sim, node, &before);
    sim_tell_view(sim, node, &before);
    sim->counts->recovered += before.is_recovering && !node->view.is_recovering;
    if (!send_messages(sim, node) || crash_is_due(sim, node, &before)) {
        crash_for_a_while(sim, node);
        return status;
    }
    sim_reads_confirm(sim, node);
    node->deadline_ms = sim->out.deadline_ms;
    set_timer(sim, node);
    after_step(sim, node, &before);
    return status;
}

/* What was promised leaves when it is durable. */
void sim_node_told(struct sim *sim, struct sim_node *node, uint64_t write_number)
{
    const uint32_t life = node->life;
    node->persisted = write_number;
    (void)sim_node_step(
        sim, node, (struct raft_event){.type = RAFT_EVENT_PERSISTED, .write_number = write_number});
    while (node->life == life) {
        const struct raft_message *held = outbox_take(&node->outbox, node->persisted);
        if (held == NULL) {
            return;
        }
        sim_send(sim, node, held);
    }
}
