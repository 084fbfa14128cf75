/* faults.c -- what breaks, how often, and for how long. One draw a look decides which; leaders, and
 * above all fresh ones, are hit more than the others. */
#include <string.h>

#include "sim/node/world.h"

enum {
    LOOK_US = 20 * MS,
    MILLION = 1000000,
    DOWN_LOOKS_MAX = 300,
    /* Who is behind must be able to take one before the next makes it worthless. */
    HEALED_SNAPSHOT_ENTRIES = 2000,
};

static void on_start(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)context;
    (void)number;
    const bool may_start = !world->is_over && !(world->is_healing && host->is_frozen);

    if (may_start && !host->is_running && !host->is_gone) {
        host_start(host);
    }
}

static uint64_t draw_time_us(struct world *world, uint32_t min_ms, uint32_t max_ms)
{
    return (uint64_t)tape_log_between(&world->tape, TAPE_FAULT, min_ms, max_ms) * MS;
}

void fault_start_later(struct host *host, uint32_t max_ms)
{
    struct world *world = host->world;

    world_at(world, world->now_us + draw_time_us(world, 1, max_ms), on_start, host, NULL, 0);
}

static struct host *some_host(struct world *world)
{
    return &world->hosts[tape_draw(&world->tape, TAPE_FAULT, world->hosts_count)];
}

static struct host *leader_or_some(struct world *world)
{
    struct host *leader = host_leader(world);

    return leader != NULL ? leader : some_host(world);
}

/* -- processes -- */

static void crash(struct world *world, struct host *host)
{
    if (host->is_running) {
        host_crash(host, "killed");
        fault_start_later(host, tape_draw(&world->tape, TAPE_FAULT, 4) == 3 ? 5000 : 800);
    }
}

static void power(struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (world->hosts[i].is_running) {
            host_crash(&world->hosts[i], "the power is gone");
            fault_start_later(&world->hosts[i], 1000);
        }
    }
}

static void on_restart(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)host;
    (void)context;
    on_start(world, &world->hosts[number], NULL, 0);
}

static void stop(struct world *world, struct host *host)
{
    if (host->is_running) {
        host_stop(host);
        world_at(world, world->now_us + draw_time_us(world, 100, 5000), on_restart, NULL, NULL,
                 host->number);
    }
}

static void pause(struct world *world, struct host *host)
{
    if (host->is_running) {
        const uint64_t us = draw_time_us(world, 10, 5000);
        world->counts->pauses++;
        host->paused_until_us = world->now_us + us;
        world_tell(world, host, "is paused for %llu ms", (unsigned long long)(us / MS));
    }
}

/* -- the network -- */

enum partition {
    PARTITION_ISOLATE,
    PARTITION_SPLIT,
    PARTITION_LEADER_AND_ONE,
    PARTITION_DEAF,   /* hears nobody */
    PARTITION_MUTE,   /* nobody hears it */
    PARTITION_BRIDGE, /* two halves that see each other through one host only */
    PARTITION_CLIENTS,
    PARTITIONS,
};

static void cut(struct world *world, uint32_t a, uint32_t b)
{
    world->is_cut[a][b] = true;
    world->is_cut[b][a] = true;
}

static void cut_group(struct world *world, uint32_t group, uint32_t bridge)
{
    for (uint32_t a = 0; a < world->hosts_count; a++) {
        for (uint32_t b = 0; b < a; b++) {
            if ((group >> a & 1) != (group >> b & 1) && a != bridge && b != bridge) {
                cut(world, a, b);
            }
        }
    }
}

static void heal_network(struct world *world)
{
    for (uint32_t a = 0; a < HOSTS_MAX; a++) {
        world->is_client_cut[a] = false;
        for (uint32_t b = 0; b < HOSTS_MAX; b++) {
            world->is_cut[a][b] = false;
        }
    }
}

static void on_heal(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)context;
    if (number == world->partitions) {
        heal_network(world);
        world_tell(world, host, "the network is whole");
    }
}

static void partition(struct world *world, struct host *host)
{
    const enum partition type = tape_draw(&world->tape, TAPE_FAULT, PARTITIONS);
    const uint32_t one = 1U << host->number;
    const uint32_t other = tape_draw(&world->tape, TAPE_FAULT, world->hosts_count);

    switch (type) {
    case PARTITION_ISOLATE:
        cut_group(world, one, HOSTS_MAX);
        break;
    case PARTITION_SPLIT:
        cut_group(world, tape_draw(&world->tape, TAPE_FAULT, 1U << world->hosts_count), HOSTS_MAX);
        break;
    case PARTITION_LEADER_AND_ONE:
        cut_group(world, one | 1U << other, HOSTS_MAX);
        break;
    case PARTITION_DEAF:
    case PARTITION_MUTE:
        for (uint32_t i = 0; i < world->hosts_count; i++) {
            world->is_cut[i][host->number] |= type == PARTITION_DEAF;
            world->is_cut[host->number][i] |= type == PARTITION_MUTE;
        }
        break;
    case PARTITION_BRIDGE:
        cut_group(world, tape_draw(&world->tape, TAPE_FAULT, 1U << world->hosts_count), other);
        break;
    case PARTITION_CLIENTS:
    case PARTITIONS:
        world->is_client_cut[host->number] = true;
        break;
    }
    world->partitions++;
    world->counts->partitions++;
    world_tell(world, host, "a partition of kind %u, other n%u", type, other + 1);
    world_at(world, world->now_us + draw_time_us(world, 50, 6000), on_heal, NULL, NULL,
             world->partitions);
}

/* -- disks -- */

static void on_space(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)world;
    (void)context;
    host->is_disk_full = false;
    simfs_set_full(host->files, false);
    (void)number;
}

static void disk_full(struct world *world, struct host *host)
{
    world->counts->full_disks++;
    host->is_disk_full = true;
    simfs_set_full(host->files, tape_draw(&world->tape, TAPE_FAULT, 2) == 1);
    world_tell(world, host, "has a disk that is nearly full");
    world_at(world, world->now_us + draw_time_us(world, 200, 3000), on_space, host, NULL, 0);
}

/* Every voter is there, with all that it promised. */
static bool is_whole(const struct world *world, const struct raft_config *config)
{
    uint32_t voters = 0;

    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        for (uint32_t j = 0; j < config->voters_count; j++) {
            voters += host->is_running && host->node->standing == STANDING_MEMBER &&
                      host->node->id == config->voters[j];
        }
    }
    return config->old_voters_count == 0 && voters == config->voters_count && voters >= 3;
}

/* Never more than the cluster can mend: one loss at a time, of one voter of three or more. */
static bool may_lose(struct world *world, const struct host *host)
{
    const struct host *leader = host_leader(world);

    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (world->hosts[i].is_wiped || world->hosts[i].is_cut_short) {
            return false;
        }
    }
    return host->is_running && host->node->standing == STANDING_MEMBER && leader != NULL &&
           leader->node->view.is_config_committed && is_whole(world, leader->node->view.config);
}

static void wipe(struct world *world, struct host *host)
{
    if (!world->knobs.has_members || !may_lose(world, host)) {
        return;
    }
    const struct host *leader = host_leader(world);
    if (host->options.join[0] != '\0' && leader != host) { /* the one of then may be gone */
        memcpy(host->options.join, leader->options.peer_advertise, sizeof(host->options.join));
    }
    world->counts->wipes++;
    host_crash(host, "its disk is lost");
    host_wipe(host);
    host->is_wiped = true;
    fault_start_later(host, 1000);
}

static void cut_short(struct world *world, struct host *host)
{
    if (!may_lose(world, host)) {
        return;
    }
    host_crash(host, "its disk is damaged");
    if (store_cut_short(host)) {
        world->counts->logs_cut_short++;
        host->is_cut_short = true;
        host->was_cut_short = true;
    }
    fault_start_later(host, 1000);
}

/* Can another snapshot, or the log from its beginning, take the place of the newest? */
static bool may_fall_back(const struct host *host)
{
    const struct log_store *store = host->store;

    if (!host->is_running || !host->world->knobs.has_snapshots || store->snapshots_count == 0) {
        return false;
    }
    return store->bounds.base.index == 0 ||
           (store->snapshots_count > 1 &&
            store->snapshots[store->snapshots_count - 2].id.index >= store->bounds.base.index);
}

static void rot(struct world *world, struct host *host)
{
    const bool is_needed = !may_fall_back(host);
    const bool may_heal =
        world->knobs.has_water && !world->knobs.has_sqlite && may_lose(world, host);
    if (!world->knobs.has_snapshots || (is_needed && !may_heal)) {
        return;
    }
    host_crash(host, "a snapshot is damaged");
    const bool is_damaged = simfs_damage(host->files, "snap-");
    world->counts->snapshots_damaged += is_damaged;
    if (is_damaged && is_needed) { /* the leader has another */
        world->counts->snapshots_lost++;
        host->is_cut_short = true;
        host->was_cut_short = true;
    }
    fault_start_later(host, 1000);
}

/* -- clients and operators that make it worse -- */

static void burst(struct world *world)
{
    struct host *leader = leader_or_some(world);

    if (tape_draw(&world->tape, TAPE_FAULT, 2) == 1) {
        partition(world, leader);
    }
    clients_burst(world, leader);
}

/* -- which -- */

static void strike(struct world *world, uint32_t which)
{
    const struct knobs *knobs = &world->knobs;
    const uint32_t rates[] = {
        knobs->crash,     knobs->crash_leader, knobs->power,     knobs->stop, knobs->pause,
        knobs->partition, knobs->disk_error,   knobs->disk_full, knobs->wipe, knobs->cut_short,
        knobs->burst,     knobs->transfer,     knobs->rot};
    uint32_t kind = 0;

    while (kind < sizeof(rates) / sizeof(rates[0]) && which >= rates[kind]) {
        which -= rates[kind];
        kind++;
    }
    if (kind == sizeof(rates) / sizeof(rates[0])) {
        return;
    }
    struct host *host =
        tape_draw(&world->tape, TAPE_FAULT, 2) == 1 ? leader_or_some(world) : some_host(world);
    switch (kind) {
    case 0:
        crash(world, some_host(world));
        break;
    case 1:
        crash(world, leader_or_some(world));
        break;
    case 2:
        power(world);
        break;
    case 3:
        stop(world, host);
        break;
    case 4:
        pause(world, host);
        break;
    case 5:
        partition(world, host);
        break;
    case 6:
        if (host->is_running) {
            sim_disk_fail(host);
        }
        break;
    case 7:
        disk_full(world, host);
        break;
    case 8:
        wipe(world, host);
        break;
    case 9:
        cut_short(world, host);
        break;
    case 10:
        burst(world);
        break;
    case 11:
        operator_transfer(world);
        break;
    default:
        rot(world, host);
        break;
    }
}

static void on_look(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)host;
    (void)context;
    (void)number;
    if (world->is_healing) {
        return;
    }
    world_at(world, world->now_us + LOOK_US, on_look, NULL, NULL, 0);
    strike(world, MILLION - 1 - tape_draw(&world->tape, TAPE_FAULT, MILLION));
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        struct host *down = &world->hosts[i];
        if (!down->is_running && !down->is_gone && down->down_looks++ > DOWN_LOOKS_MAX) {
            host_start(down);
        } else if (down->is_running) {
            down->down_looks = 0;
        }
    }
}

void faults_open(struct world *world)
{
    world_at(world, world->now_us + LOOK_US, on_look, NULL, NULL, 0);
}

void faults_heal(struct world *world)
{
    world->is_healing = true;
    world_tell(world, NULL, "-- the faults are over --");
    world->partitions++;
    heal_network(world);
    memset(world->ordered_us, 0, sizeof(world->ordered_us)); /* new connections */
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        struct host *host = &world->hosts[i];
        host->is_disk_full = false;
        simfs_set_full(host->files, false);
        simfs_arm(host->files, 0, 0, false);
        if (world->knobs.has_snapshots) {
            host->options.snapshot_entries = HEALED_SNAPSHOT_ENTRIES;
        }
        host->paused_until_us = 0;
        if (host->is_frozen && host->is_running) {
            host_crash(host, "for ever");
        }
    }
    faults_mend(world);
}

void faults_mend(struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        struct host *host = &world->hosts[i];
        if (!host->is_running && !host->is_gone && !host->is_frozen) {
            host_start(host);
        }
    }
}
