#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "sim/sim.h"

enum { IMAGE_BYTES_MAX = 1 << 28 };

static struct sim *world; /* of this process: for the assertions of the core */

struct sim *sim_world(void)
{
    if (world == NULL) {
        world = rk_heap_zalloc(1, sizeof *world);
        world->turns_max = SIM_TURNS_MAX;
    }
    return world;
}

/* ---- failures ---- */

_Noreturn void sim_fail(struct sim *sim, const char *oracle, const struct sim_node *node,
                        const char *format, ...)
{
    struct sim_failure *failure = &sim->failure;
    va_list arguments;
    failure->oracle = oracle;
    failure->node = node == NULL ? 0 : node->id;
    failure->at_us = sim->now_us;
    va_start(arguments, format);
    (void)vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    longjmp(sim->escape, 1);
}

/* The core found it first: its words are on stderr already. */
static void assertion_failed(void)
{
    sim_fail(world, "assert", NULL, "an assertion failed");
}

/* ---- a world ---- */

static uint32_t config_new(struct sim *sim, const struct raft_config *config)
{
    sim->configs[sim->configs_count] = *config;
    return sim->configs_count++;
}

static void init_log(struct sim_log *log, uint32_t config)
{
    log->base = 0;
    log->last = 0;
    log->snapshot = 0;
    log->snapshot_config = (struct sim_config_at){.index = 0, .config = config};
    log->entries[0] = (struct sim_entry){0};
    log->configs_count = 1;
    log->configs[0] = (struct sim_config_at){.index = 0, .config = config};
}

static void reset_node(struct sim *sim, struct sim_node *node, raft_node_id id, uint32_t config)
{
    void *memory = node->memory;
    if (node->is_up) { /* left standing by a run that failed */
        outbox_done(&node->outbox);
        pending_done(&node->pending);
    }
    memset(node, 0, offsetof(struct sim_node, log));
    node->memory = memory;
    node->id = id;
    init_log(&node->log, config);
    init_log(&node->disk, config);
    sim_clock_init(sim, node);
}

/* Configuration 0 is nobody's, 1 the one that the cluster begins with. Payload 0 is no entry. */
static void reset_nodes(struct sim *sim)
{
    const struct sim_knobs *knobs = &sim->knobs;
    struct raft_config config = {0};
    (void)config_new(sim, &config);
    for (uint32_t i = 0; i < knobs->voters; i++) {
        config.voters[config.voters_count++] = i + 1;
    }
    for (uint32_t i = 0; i < knobs->learners; i++) {
        config.learners[config.learners_count++] = knobs->voters + i + 1;
    }
    (void)config_new(sim, &config);
    sim->payloads[0] = (struct sim_payload){0};
    sim->payloads_count = 1;
    sim->nodes_count = knobs->voters + knobs->learners + knobs->spares;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const bool is_member = i < knobs->voters + knobs->learners;
        reset_node(sim, &sim->nodes[i], i + 1, is_member ? 1 : 0);
    }
}

static void reset(struct sim *sim, struct tape *tape, struct sim_counts *counts)
{
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        sm_free(sim->nodes[i].sm);
        sim->nodes[i].sm = NULL;
    }
    memset(sim, 0, offsetof(struct sim, escape));
    sim->tape = tape;
    sim->counts = counts;
    sim_pool_reset(sim);
    if (sim->image_bytes.size_max == 0) {
        rk_buf_init(&sim->image_bytes, IMAGE_BYTES_MAX);
    }
    rk_buf_reset(&sim->image_bytes);
    sim_draw_knobs(&sim->knobs, tape);
    reset_nodes(sim);
}

/* ---- events ---- */

static void next_fault(struct sim *sim)
{
    if (sim->knobs.fault_mean_us > 0) {
        sim_event_add(sim,
                      sim->now_us + tape_around(sim->tape, TAPE_FAULT, sim->knobs.fault_mean_us),
                      EVENT_FAULT, 0, 0, 0);
    }
}

static void next_act(struct sim *sim)
{
    if (sim->knobs.member_mean_us > 0) {
        sim_event_add(sim,
                      sim->now_us + tape_around(sim->tape, TAPE_MEMBER, sim->knobs.member_mean_us),
                      EVENT_OPERATOR, 0, 0, 0);
    }
}

static void handle_world_event(struct sim *sim, const struct sim_event *event)
{
    if (event->kind == EVENT_ARRIVAL) {
        sim_arrive(sim, event->ref);
    } else if (sim->is_healed) {
        return; /* what breaks, and who meddles, has had its time */
    } else if (event->kind == EVENT_FAULT) {
        sim_fault(sim);
        next_fault(sim);
    } else if (event->kind == EVENT_HEAL) {
        sim_heal_links(sim);
    } else if (event->kind == EVENT_FORGET) {
        sim_forget(sim, sim_node(sim, event->node));
    } else {
        sim_operator(sim);
        next_act(sim);
    }
}

static void abandon(struct sim *sim, struct sim_node *node)
{
    if (node->pending_due_us != 0 && sim->now_us >= node->pending_due_us) {
        node->pending_due_us = 0;
        sim_pending_unknown(sim, node, 0);
    }
}

static void handle_running(struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
    switch (event->kind) {
    case EVENT_TIMER:
        sim_node_timer(sim, node);
        break;
    case EVENT_TOLD:
        sim_node_told(sim, node, event->ref);
        break;
    case EVENT_APPLY:
        sim_apply(sim, node);
        break;
    case EVENT_FINISH:
        node->is_finish_due = false;
        sim_operator_finish(sim, node);
        break;
    case EVENT_COMPACT:
        sim_snapshot_durable(sim, node, event->ref);
        break;
    case EVENT_INSTALL:
        sim_snapshot_install(sim, node, event->ref);
        break;
    case EVENT_WATCH:
        sim_snapshot_watch(sim, node, event->ref);
        break;
    case EVENT_LEASE:
        sim_read_lease_checked(sim, node, event->ref);
        break;
    default:
        abandon(sim, node);
        break;
    }
}

/* The disk works on while the process stands still. */
static void handle_node_event(struct sim *sim, const struct sim_event *event)
{
    struct sim_node *node = sim_node(sim, event->node);
    if (event->life != node->life) {
        return;
    }
    if (event->kind == EVENT_DISK) {
        sim_disk_done(sim, node, event->ref);
    } else if (event->kind == EVENT_START) {
        if (!node->is_up && !node->is_gone) {
            sim_node_start(sim, node);
        }
    } else if (sim->now_us < node->paused_until_us) {
        sim_event_add(sim, node->paused_until_us, (enum sim_event_kind)event->kind, node->id,
                      event->ref, event->life);
        if (event->kind == EVENT_TIMER) {
            node->timer_at_us = node->paused_until_us;
        }
    } else {
        handle_running(sim, node, event);
    }
}

static void handle(struct sim *sim, const struct sim_event *event)
{
    switch ((enum sim_event_kind)event->kind) {
    case EVENT_REQUEST:
    case EVENT_REPLY:
    case EVENT_GIVE_UP:
    case EVENT_THINK:
        sim_client_event(sim, event);
        break;
    case EVENT_ARRIVAL:
    case EVENT_FAULT:
    case EVENT_HEAL:
    case EVENT_FORGET:
    case EVENT_OPERATOR:
        handle_world_event(sim, event);
        break;
    case EVENT_TIMER:
    case EVENT_DISK:
    case EVENT_TOLD:
    case EVENT_APPLY:
    case EVENT_START:
    case EVENT_ABANDON:
    case EVENT_FINISH:
    case EVENT_COMPACT:
    case EVENT_INSTALL:
    case EVENT_WATCH:
    case EVENT_LEASE:
        handle_node_event(sim, event);
        break;
    }
}

static bool is_room_left(const struct sim *sim)
{
    return sim->payloads_count + 600 < SIM_PAYLOADS_MAX && sim->ops_count + 200 < SIM_OPS_MAX;
}

static bool has_full_log(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i].log.last + 600 > SIM_LOG_MAX || sim->nodes[i].log.configs_count > 56 ||
            sim->nodes[i].seen_term + 512 > SIM_TERMS_MAX) {
            return true;
        }
    }
    return false;
}

/* Safety mode ends when the clients have had enough, when there is no room for more, or by time. */
static bool is_enough(const struct sim *sim)
{
    if (sim->is_healed) {
        return false;
    }
    return sim->ops_count + 64 >= sim->knobs.ops_max || !is_room_left(sim) || has_full_log(sim);
}

void sim_run_until(struct sim *sim, uint64_t until_us)
{
    struct sim_event event;
    while (!is_enough(sim) && sim->events_count > 0 && sim->events[0].at_us <= until_us) {
        (void)sim_event_next(sim, &event);
        sim->now_us = event.at_us;
        sim->turns++;
        if (sim->turns > sim->turns_max) {
            sim_fail(sim, "O16", NULL, "the run does not end");
        }
        handle(sim, &event);
    }
    if (!is_enough(sim) && sim->now_us < until_us) {
        sim->now_us = until_us;
    }
}

/* ---- a run ---- */

static void run(struct sim *sim)
{
    sim_tell_knobs(sim);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        sim_node_start(sim, &sim->nodes[i]);
    }
    sim_clients_begin(sim);
    next_fault(sim);
    next_act(sim);
    sim_run_until(sim, sim->knobs.until_us);
    sim_liveness(sim);
    oracle_end(sim);
    oracle_history(sim);
}

static void close_nodes(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i].is_up) {
            sim_node_crash(sim, &sim->nodes[i]);
        }
    }
}

static void count_run(struct sim *sim)
{
    sim->counts->runs++;
    sim->counts->steps += sim->steps;
    sim->counts->virtual_ms += sim->now_us / 1000;
    sim->counts->runs_with_faults += sim->ops_count >= 200 && sim->knobs.fault_mean_us > 0;
}

bool sim_world_run(struct sim *sim, struct tape *tape, struct sim_counts *counts, FILE *story,
                   bool is_story_full)
{
    if (setjmp(sim->escape) != 0) {
        if (sim->story != NULL) {
            sim_tell(sim, NULL, "%s: %s", sim->failure.oracle, sim->failure.text);
            sim_tell_nodes(sim);
        }
        return false;
    }
    rk_assert_set_hook(assertion_failed);
    reset(sim, tape, counts);
    sim->story = story;
    sim->is_story_full = is_story_full;
    run(sim);
    count_run(sim);
    const uint64_t hash = sim->trace_hash;
    close_nodes(sim);
    sim->trace_hash = hash;
    return true;
}
