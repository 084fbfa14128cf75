/* Disks: writes become durable in order, each after a while, and the node hears of it later still.
 * A crash keeps some of what was under way and loses the rest. */
#include "base/assert.h"
#include "sim/sim.h"

static struct sim_write *write_at(struct sim_node *node, uint32_t at)
{
    return &node->writes[(node->writes_first + at) % SIM_WRITES_MAX];
}

static void schedule(struct sim *sim, struct sim_node *node)
{
    uint64_t at_us = sim->now_us;
    if (!sim->is_healed) {
        at_us += tape_around(sim->tape, TAPE_DISK, sim->knobs.disk_mean_us);
    }
    if (at_us < node->stalled_until_us) {
        at_us = node->stalled_until_us;
    }
    node->disk_turn++;
    sim_event_add(sim, at_us, EVENT_DISK, node->id, node->disk_turn, node->life);
}

static struct sim_entry *copy_entries(struct sim *sim, const struct sim_log *log, raft_index first,
                                      uint32_t count)
{
    struct sim_entry *entries = sim_pool_take(sim, count);
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = log->entries[first + i];
    }
    return entries;
}

/* The write of the step, which the log that the core sees has already taken. */
void sim_disk_submit(struct sim *sim, struct sim_node *node)
{
    const struct raft_write *write = &sim->out.write;
    if (node->writes_count == SIM_WRITES_MAX) {
        sim_fail(sim, "O16", node, "more than %d writes wait for the disk", SIM_WRITES_MAX);
    }
    struct sim_write *queued = write_at(node, node->writes_count);
    *queued = (struct sim_write){
        .number = sim->out.write_number,
        .has_hard_state = write->has_hard_state,
        .hard_state = write->hard_state,
        .snapshot = write->snapshot == NULL ? 0 : write->snapshot->id.index,
        .snapshot_config = node->log.snapshot_config,
        .truncate_from = write->truncate_from,
        .entries_count = write->entries_count,
    };
    if (write->entries_count > 0) {
        queued->first = write->entries[0].id.index;
        queued->entries = copy_entries(sim, &node->log, queued->first, write->entries_count);
    }
    node->writes_count++;
    if (node->writes_count == 1) {
        schedule(sim, node);
    }
}

static void drop_oldest(struct sim *sim, struct sim_node *node)
{
    struct sim_write *write = write_at(node, 0);
    if (write->entries != NULL) {
        sim_pool_give(sim, write->entries, write->entries_count);
    }
    node->writes_first = (node->writes_first + 1) % SIM_WRITES_MAX;
    node->writes_count--;
}

/* All of the write but the last `torn` entries. */
static void make_durable(struct sim *sim, struct sim_node *node, const struct sim_write *write,
                         uint32_t torn)
{
    if (write->has_hard_state) {
        node->disk_state = write->hard_state;
    }
    if (write->snapshot != 0) {
        sim_log_reset(sim, &node->disk, write->snapshot, write->snapshot_config);
    }
    if (write->truncate_from != 0) {
        sim_log_truncate(&node->disk, write->truncate_from);
    }
    for (uint32_t i = 0; i + torn < write->entries_count; i++) {
        RK_ASSERT(node->disk.last + 1 == write->first + i);
        sim_log_append(sim, &node->disk, write->entries[i]);
    }
    if (sim_as_new(sim_log_last(&node->disk), node->high_water)) {
        node->high_water = (struct raft_entry_id){0};
    }
}

void sim_disk_heal(struct sim *sim, struct sim_node *node)
{
    node->stalled_until_us = 0;
    if (node->writes_count > 0) {
        schedule(sim, node);
    }
}

void sim_disk_done(struct sim *sim, struct sim_node *node, uint32_t turn)
{
    if (turn != node->disk_turn) {
        return;
    }
    if (sim->now_us < node->stalled_until_us) {
        schedule(sim, node);
        return;
    }
    RK_ASSERT(node->writes_count > 0);
    const struct sim_write *write = write_at(node, 0);
    const uint64_t number = write->number;
    uint64_t told_us = sim->now_us;
    make_durable(sim, node, write, 0);
    if (!sim->is_healed) {
        told_us += tape_around(sim->tape, TAPE_DISK, sim->knobs.disk_told_mean_us);
    }
    drop_oldest(sim, node);
    sim_event_add(sim, told_us, EVENT_TOLD, node->id, (uint32_t)number, node->life);
    if (node->writes_count > 0) {
        schedule(sim, node);
    }
    sim_snapshot_note(sim, node);
}

uint64_t sim_disk_newest(struct sim_node *node)
{
    return node->writes_count == 0 ? 0 : write_at(node, node->writes_count - 1)->number;
}

bool sim_disk_has_done(struct sim_node *node, uint64_t number)
{
    return node->writes_count == 0 || write_at(node, 0)->number > number;
}

/* Term and vote are in a file of their own too, so they may outlive entries that were written
 * before them. */
static void keep_hard_states(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < node->writes_count; i++) {
        const struct sim_write *write = write_at(node, i);
        if (write->has_hard_state && tape_chance(sim->tape, TAPE_DISK, 200000)) {
            node->disk_state = write->hard_state;
            sim->counts->reordered_write++;
        }
    }
}

void sim_disk_crash(struct sim *sim, struct sim_node *node)
{
    if (node->writes_count > 0) {
        const uint32_t kept = tape_draw(sim->tape, TAPE_DISK, node->writes_count + 1);
        for (uint32_t i = 0; i < kept; i++) {
            make_durable(sim, node, write_at(node, 0), 0);
            drop_oldest(sim, node);
        }
    }
    if (node->writes_count > 0 && write_at(node, 0)->entries_count > 1 &&
        tape_chance(sim->tape, TAPE_DISK, 300000)) {
        const uint32_t count = write_at(node, 0)->entries_count;
        make_durable(sim, node, write_at(node, 0), 1 + tape_draw(sim->tape, TAPE_DISK, count - 1));
        sim->counts->torn_write++;
        drop_oldest(sim, node);
    }
    keep_hard_states(sim, node);
    while (node->writes_count > 0) {
        drop_oldest(sim, node);
    }
    node->stalled_until_us = 0;
}

void sim_disk_rot(struct sim *sim, struct sim_node *node)
{
    struct sim_log *disk = &node->disk;
    const raft_index first = disk->snapshot > disk->base ? disk->snapshot : disk->base;
    if (disk->last <= first) {
        return;
    }
    const raft_index held = disk->last - first;
    const struct raft_entry_id last = sim_log_last(disk);
    if (!sim_as_new(node->high_water, last)) {
        node->high_water = last;
    }
    const uint32_t max = held < 20 ? (uint32_t)held : 20;
    sim_log_truncate(disk, disk->last - tape_draw(sim->tape, TAPE_DISK, max));
    sim_tell(sim, node, "disk loses entries from %llu on", (unsigned long long)disk->last + 1);
}

bool sim_disk_is_recovering(const struct sim_node *node)
{
    return !sim_as_new(sim_log_last(&node->disk), node->high_water);
}
