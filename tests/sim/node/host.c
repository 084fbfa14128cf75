/* host.c -- a machine: its process started, turned, stopped, killed. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "sim/node/world.h"
#include "statemachine/feature.h"

struct place host_enter(struct host *host)
{
    const struct place before = {.host = host->world->current, .heap = sim_heap_use(&host->heap)};

    host->world->current = host;
    return before;
}

void host_leave(struct place before)
{
    sim_world->current = before.host;
    (void)sim_heap_use(before.heap);
}

uint64_t host_clock_us(const struct host *host)
{
    const int64_t now_us = (int64_t)host->world->now_us;

    return (uint64_t)(now_us + now_us / 1000000 * host->drift_ppm +
                      now_us % 1000000 * host->drift_ppm / 1000000) +
           host->offset_us;
}

bool host_is_leader(const struct host *host)
{
    return host->is_running && host->node->view.role == RAFT_LEADER;
}

struct host *host_leader(struct world *world)
{
    struct host *leader = NULL;

    for (uint32_t i = 0; i < world->hosts_count; i++) {
        struct host *host = &world->hosts[i];
        if (host_is_leader(host) && (leader == NULL || host->node->view.hard_state.term >
                                                           leader->node->view.hard_state.term)) {
            leader = host;
        }
    }
    return leader;
}

struct host *host_by_address(struct world *world, const char *address)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (strcmp(world->hosts[i].options.peer_advertise, address) == 0) {
            return &world->hosts[i];
        }
    }
    return NULL;
}

/* -- made -- */

static void set_names(struct options *options, uint32_t number)
{
    (void)snprintf(options->node_id, sizeof(options->node_id), "n%u", number + 1);
    (void)snprintf(options->peer_advertise, sizeof(options->peer_advertise), "10.0.0.%u:8300",
                   number + 1);
    (void)snprintf(options->client_advertise, sizeof(options->client_advertise), "10.0.0.%u:8500",
                   number + 1);
}

static void set_cluster(struct world *world, struct options *options, uint32_t number)
{
    options->initial_cluster_count = 1;
    if (number >= world->knobs.voters) {
        (void)snprintf(options->join, sizeof(options->join), "10.0.0.1:8300");
        memcpy(options->initial_cluster[0].name, options->node_id, sizeof(options->node_id));
        memcpy(options->initial_cluster[0].address, options->peer_advertise,
               sizeof(options->peer_advertise));
        return;
    }
    options->initial_cluster_count = world->knobs.voters;
    for (uint32_t i = 0; i < world->knobs.voters; i++) {
        struct options_peer *peer = &options->initial_cluster[i];
        (void)snprintf(peer->name, sizeof(peer->name), "n%u", i + 1);
        (void)snprintf(peer->address, sizeof(peer->address), "10.0.0.%u:8300", i + 1);
    }
}

void host_init(struct world *world, uint32_t number)
{
    struct host *host = &world->hosts[number];
    struct options *options = &host->options;

    host->world = world;
    host->number = number;
    host->turn_at_us = UINT64_MAX;
    host->loop_at_us = UINT64_MAX;
    *options = (struct options){
        .heartbeat_interval_ms = world->knobs.heartbeat_ms,
        .election_timeout_ms = world->knobs.election_ms,
        .max_inflight = world->knobs.max_inflight,
        .max_pending_writes = world->knobs.max_pending,
        .max_connections = 256,
        .max_key_size = RK_KEY_SIZE_MAX,
        .max_value_size = RK_VALUE_SIZE_MAX,
        .max_request_size = RK_REQUEST_SIZE_MAX,
        .http_threads = 1,
        .session_ttl_min_ms = 500,
        .health_timeout_ms = 2000,
        .idempotency_window_ms = 600000,
        .max_txn_ops = 64,
        .feature_level_max = FEATURE_LEVEL_MAX,
        .lease_reads = world->knobs.has_leases,
        .lease_drift_percent = 1,
        .snapshot_entries = UINT32_MAX, /* none is taken */
        .snapshot_rate = 1 << 30,
    };
    (void)snprintf(options->datacenter, sizeof(options->datacenter), "dc1");
    set_names(options, number);
    set_cluster(world, options, number);
    host->drift_ppm = (int64_t)tape_draw(&world->tape, TAPE_CLOCK, 4001) - 2000;
    host->offset_us = (uint64_t)(1 + tape_draw(&world->tape, TAPE_CLOCK, 100000)) * MS;
    store_make(host);
}

void host_done(struct host *host)
{
    if (host->is_running) {
        host_crash(host, "the run is over");
    }
    store_destroy(host);
    image_free(&host->durable);
    image_free(&host->before_loss);
}

void host_wipe(struct host *host)
{
    RK_ASSERT(!host->is_running);
    image_free(&host->before_loss);
    host->before_loss = host->durable;
    host->durable = (struct image){.entries = NULL};
    store_destroy(host);
    store_make(host);
    host->term_seen = 0;
}

/* -- turned -- */

static void on_turn(struct world *world, struct host *host, void *context, uint64_t number);
static void on_loop(struct world *world, struct host *host, void *context, uint64_t number);

void host_wake(struct host *host, uint64_t delay_us)
{
    struct world *world = host->world;
    uint64_t at_us = world->now_us + delay_us;

    if (delay_us == 0) {
        at_us += tape_draw(&world->tape, TAPE_CLOCK, world->knobs.turn_us);
    }
    if (at_us < host->turn_at_us) {
        host->turn_at_us = at_us;
        world_at(world, at_us, on_turn, host, NULL, at_us);
    }
}

void host_wake_loop(struct host *host, uint64_t delay_us)
{
    struct world *world = host->world;
    uint64_t at_us = world->now_us + delay_us;

    if (delay_us == 0) {
        at_us += tape_draw(&world->tape, TAPE_CLOCK, world->knobs.turn_us);
    }
    if (at_us < host->loop_at_us) {
        host->loop_at_us = at_us;
        world_at(world, at_us, on_loop, host, NULL, at_us);
    }
}

static bool is_asleep(struct host *host)
{
    return host->paused_until_us > host->world->now_us;
}

static void wake_by_deadline(struct host *host)
{
    const uint64_t deadline_ms = node_deadline_ms(host->node);
    const uint64_t clock_us = host_clock_us(host);

    if (deadline_ms > clock_us / MS + 3600 * MS) {
        return;
    }
    const uint64_t left_us = deadline_ms * MS > clock_us ? deadline_ms * MS - clock_us : 1;
    host_wake(host, left_us + left_us / 400 + 1); /* a clock may be slow */
}

/* The process has ended itself: an error of its disk, or it saw that it may not go on. */
static void ended(struct host *host)
{
    const enum rk_status status = host->end_status;

    if ((status == RK_IO || status == RK_FULL) &&
        (host->store_fails_at != 0 || simfs_has_failed(host->files))) {
        host_crash(host, "storage error");
        fault_start_later(host, 1000);
        return;
    }
    if (status == RK_CONFLICT && host->world->knobs.has_members) {
        host_crash(host, host->end_event);
        fault_start_later(host, 1000);
        return;
    }
    world_fail("node_end", "n%u ended itself: %s, %s", host->number + 1, host->end_event,
               rk_status_text(status));
}

static void finish_stop(struct host *host)
{
    node_refuse_mailbox(host->node);
    http_server_run(host->loops->server, 0);
    http_server_run(host->loops->server, 0); /* what came in only now is refused */
    if (sim_server_is_owed(host->loops->server)) {
        world_fail("exactly once", "n%u stopped and owes an answer", host->number + 1);
    }
    http_server_abandon(host->loops->server);
    http_server_free(host->loops->server);
    rk_heap_free(host->loops);
    host->loops = NULL;
    gateway_free(host->gateway);
    node_free(host->node);
    root_board_free(host->board);
    host->node = NULL;
    host->is_running = false;
    host->life++;
    host->turn_at_us = UINT64_MAX;
    host->loop_at_us = UINT64_MAX;
    if (simfs_open_count(host->files) != 0) {
        world_fail("O16", "n%u stopped and left %u files open", host->number + 1,
                   simfs_open_count(host->files));
    }
    if (host->heap.count != 0) {
        world_fail("O16", "n%u stopped and left %llu blocks behind", host->number + 1,
                   (unsigned long long)host->heap.count);
    }
}

static void on_turn(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)context;
    if (number != host->turn_at_us) {
        return;
    }
    host->turn_at_us = UINT64_MAX;
    if (is_asleep(host)) {
        host_wake(host, host->paused_until_us - world->now_us);
        return;
    }
    const struct place before = host_enter(host);
    host->has_end = true;
    if (setjmp(host->end) != 0) {
        host_leave(before);
        ended(host);
        return;
    }
    node_turn(host->node);
    const bool is_over = node_stop_turn(host->node);
    host->has_end = false;
    world->counts->turns++;
    oracle_turned(host);
    if (is_over) {
        world_tell(world, host, "has stopped");
        finish_stop(host);
    } else {
        wake_by_deadline(host);
    }
    host_leave(before);
}

static void on_loop(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)context;
    if (number != host->loop_at_us) {
        return;
    }
    host->loop_at_us = UINT64_MAX;
    if (is_asleep(host)) {
        host_wake_loop(host, host->paused_until_us - world->now_us);
        return;
    }
    const struct place before = host_enter(host);
    http_server_run(host->loops->server, 0);
    const bool has_mail = rk_queue_count(host->node->mailbox) > 0;
    host_leave(before);
    if (has_mail) {
        host_wake(host, 0);
    }
}

/* -- started and killed -- */

static enum rk_status open_node(struct host *host, struct high_water *water, char *message,
                                size_t message_size)
{
    const struct node_start_options start = {
        .options = &host->options,
        .store = host->store,
        .water = water,
        .snaps = store_snapshots(host),
        .board = host->board,
    };

    host->has_end = true;
    if (setjmp(host->end) != 0) {
        return host->end_status;
    }
    const enum rk_status status = node_open(&start, &host->node, message, message_size);
    host->has_end = false;
    return status;
}

/* Its directory is not what the cluster knows: an operator must look. */
static void refused(struct host *host, enum rk_status status, const char *message)
{
    if (status != RK_CONFLICT || !host->world->knobs.has_members) {
        world_fail("start", "n%u does not start: %s, %s", host->number + 1, rk_status_text(status),
                   message);
    }
    world_tell(host->world, host, "does not start: %s", message);
    host->is_gone = strstr(message, "initial-cluster") == NULL;
    host->options.initial_cluster[0] = host->options.initial_cluster[host->number];
    host->options.initial_cluster_count = 1; /* an operator reads that and mends the file */
    if (host->world->knobs.has_sqlite) {
        host->store = NULL; /* closed by then */
    }
    store_restore(host);
    sim_heap_drop(&host->heap);
}

void host_start(struct host *host)
{
    struct world *world = host->world;
    struct high_water *water = NULL;
    char message[512] = "";

    RK_ASSERT(!host->is_running && host->heap.count == 0);
    const struct place before = host_enter(host);
    host->life++;
    host->node = NULL;
    host->paused_until_us = 0;
    host->store_fails_at = 0;
    host->has_heard = false;
    store_open(host, &water);
    oracle_restarted(host);
    store_keep(host);
    host->board = root_board_new(GATEWAY_SLOTS_PER_LOOP + 1);
    const enum rk_status status = open_node(host, water, message, sizeof(message));
    if (status != RK_OK) {
        refused(host, status, message);
        host_leave(before);
        return;
    }
    oracle_started(host);
    host->gateway = gateway_new(&host->options, host->node, host->board);
    const enum rk_status opened = gateway_open(host->gateway, &host->loops, message);
    RK_ASSERT(opened == RK_OK);
    host->is_running = true;
    host_leave(before);
    world_tell(world, host, "starts with %llu entries, term %llu",
               (unsigned long long)host->durable.last,
               (unsigned long long)host->durable.hard_state.term);
    host_wake(host, 1);
}

void host_crash(struct host *host, const char *why)
{
    struct world *world = host->world;

    RK_ASSERT(host->is_running);
    world_tell(world, host, "crashes: %s", why);
    world->counts->crashes++;
    const struct place before = host_enter(host);
    host->is_running = false;
    sim_server_crash(host->peer_server);
    sim_server_crash(host->loops->server);
    sim_link_crash(host->link);
    sim_disk_crash(host->disk);
    sim_snap_crash(host->snaps);
    host->life++;
    host->turn_at_us = UINT64_MAX;
    host->loop_at_us = UINT64_MAX;
    host->node = NULL;
    host_leave(before);
    sim_heap_drop(&host->heap);
    store_power_lost(host);
}

void host_stop(struct host *host)
{
    const struct place before = host_enter(host);

    world_tell(host->world, host, "is told to stop");
    host->world->counts->orderly_stops++;
    atomic_store(&host->node->stop_by_ms, host_clock_us(host) / MS + 3000);
    host_leave(before);
    host_wake(host, 1);
}
