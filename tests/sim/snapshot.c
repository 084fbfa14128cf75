/* Snapshots: the image is the state machine's own, kept once for each index, and every node's has to
 * be the same bytes. */
#include <string.h>

#include "base/assert.h"
#include "base/le.h"
#include "sim/sim.h"
#include "statemachine/image.h"

enum { RECORD_HEAD = 5, IMAGE_SIZE_MAX = 1 << 16, INSTALL_FAILS = 150000 };

/* ---- images ---- */

/* Records one after another, each with its type and size; a type of 0 ends them. */
static void write_image(const struct sm_root *root, struct rk_buf *buf)
{
    static struct rk_buf body = {.size_max = SM_IMAGE_RECORD_SIZE_MAX};
    struct sm_image_writer writer;
    uint8_t head[RECORD_HEAD];
    sm_image_writer_init(&writer, root);
    rk_buf_reset(&body);
    while (sm_image_write(&writer, &body, &head[0])) {
        rk_le_put_u32(&head[1], (uint32_t)body.size);
        rk_buf_append(buf, head, sizeof head);
        rk_buf_append(buf, body.data, body.size);
        rk_buf_reset(&body);
    }
    rk_buf_append_byte(buf, 0);
}

static void keep_image(struct sim *sim, const struct sim_node *node)
{
    static struct rk_buf image = {.size_max = IMAGE_SIZE_MAX};
    struct rk_buf *bytes = &sim->image_bytes;
    uint32_t *at = &sim->images[node->applied];
    rk_buf_reset(&image);
    write_image(&node->root, &image);
    RK_ASSERT(rk_buf_status(&image) == RK_OK);
    if (*at == 0) {
        *at = (uint32_t)bytes->size + 1;
        rk_buf_append(bytes, image.data, image.size);
        RK_ASSERT(rk_buf_status(bytes) == RK_OK);
    } else if (memcmp(&bytes->data[*at - 1], image.data, image.size) != 0) {
        sim_fail(sim, "O8", node, "its snapshot of %llu has other bytes than another node's",
                 (unsigned long long)node->applied);
    }
}

struct sm *sim_state_at(struct sim *sim, raft_index index)
{
    struct sm_image_reader *reader = sm_image_reader_new();
    struct sm *sm = NULL;
    RK_ASSERT(sim->images[index] != 0);
    const uint8_t *at = &sim->image_bytes.data[sim->images[index] - 1];
    while (at[0] != 0) {
        const struct rk_bytes body = {.data = at + RECORD_HEAD, .size = rk_le_u32(at + 1)};
        const enum rk_status status = sm_image_read(reader, at[0], body);
        RK_ASSERT(status == RK_OK);
        at += RECORD_HEAD + body.size;
    }
    const enum rk_status status = sm_image_finish(reader, &sm);
    RK_ASSERT(status == RK_OK);
    sm_image_reader_free(reader);
    return sm;
}

/* ---- one's own ---- */

static struct sim_config_at config_at(const struct sim_log *log, raft_index index)
{
    uint32_t at = log->configs_count - 1;
    while (at > 0 && log->configs[at].index > index) {
        at--;
    }
    return log->configs[at];
}

/* One that joined has no configuration before the first entry that holds one: the others began with
 * theirs. */
void sim_snapshot_take(struct sim *sim, struct sim_node *node)
{
    const uint32_t entries = sim->knobs.snapshot_entries;
    if (entries == 0 || node->is_compacting || node->applied < node->log.snapshot + entries) {
        return;
    }
    if (config_at(&node->log, node->applied).config == 0) {
        return;
    }
    node->is_compacting = true;
    keep_image(sim, node);
    const uint64_t takes_us =
        sim->is_healed ? 0 : tape_around(sim->tape, TAPE_DISK, 4 * sim->knobs.disk_mean_us);
    sim_event_add(sim, sim->now_us + takes_us, EVENT_COMPACT, node->id, (uint32_t)node->applied,
                  node->life);
}

static void noted(struct sim *sim, struct sim_node *node, raft_index index)
{
    const uint32_t trailing = sim->knobs.trailing_entries;
    const uint32_t life = node->life;
    node->is_compacting = false;
    if (index <= node->log.snapshot) {
        return; /* the leader's has come meanwhile */
    }
    const struct sim_config_at at = config_at(&node->log, index);
    const struct raft_snapshot snapshot = {
        .id = {.term = node->log.entries[index].term, .index = index},
        .config_index = at.index,
        .config = sim->configs[at.config],
    };
    node->log.snapshot = node->disk.snapshot = index;
    node->log.snapshot_config = node->disk.snapshot_config = at;
    oracle_snapshot(sim, node, &snapshot);
    sim_tell(sim, node, "has a snapshot up to %llu", (unsigned long long)index);
    sim->counts->compactions++;
    (void)sim_node_step(
        sim, node,
        (struct raft_event){.type = RAFT_EVENT_COMPACTED,
                            .compacted = {.snapshot = &snapshot,
                                          .base_index = index > trailing ? index - trailing : 0,
                                          .lag_max = trailing}});
    if (node->life == life) {
        sim_log_compact(&node->log, node->view.base.index);
        sim_log_compact(&node->disk, node->view.base.index);
    }
}

/* The file is there; but it counts by its note, which the disk takes in order like all else: what was
 * handed to it before, a term above all, is then durable too. */
void sim_snapshot_durable(struct sim *sim, struct sim_node *node, raft_index index)
{
    node->noting = index;
    node->noting_after = sim_disk_newest(node);
    sim_snapshot_note(sim, node);
}

void sim_snapshot_note(struct sim *sim, struct sim_node *node)
{
    const raft_index index = node->noting;
    if (index != 0 && sim_disk_has_done(node, node->noting_after)) {
        node->noting = 0;
        noted(sim, node, index);
    }
}

/* ---- the leader's side ---- */

static uint64_t half_timeout_us(const struct sim *sim)
{
    return 500 * (uint64_t)sim->knobs.election_timeout_ms;
}

void sim_snapshot_offered(struct sim *sim, struct sim_node *node, raft_node_id peer)
{
    struct sim_transfer *transfer = &node->transfers[peer];
    sim->counts->snapshot_sent++;
    transfer->since_us = sim->now_us;
    if (!transfer->is_watched) {
        transfer->is_watched = true;
        sim_event_add(sim, sim->now_us + half_timeout_us(sim), EVENT_WATCH, node->id,
                      (uint32_t)peer, node->life);
    }
}

/* The bytes flow while both ends are there and hear each other. */
static bool is_flowing(struct sim *sim, const struct sim_node *node, raft_node_id peer,
                       raft_index index)
{
    const struct sim_node *to = sim_node(sim, peer);
    if (sim->is_cut[node->id][peer] || sim->is_cut[peer][node->id] || !to->is_up) {
        return false;
    }
    return to->view.installing.index == index ||
           sim->now_us - node->transfers[peer].since_us < 4 * half_timeout_us(sim);
}

void sim_snapshot_watch(struct sim *sim, struct sim_node *node, raft_node_id peer)
{
    struct raft_peer_view view;
    const uint32_t life = node->life;
    node->transfers[peer].is_watched = false;
    if (raft_peer_view(node->raft, peer, &view) != RK_OK || view.snapshot_index == 0) {
        return;
    }
    const bool is_flowing_on = is_flowing(sim, node, peer, view.snapshot_index);
    (void)sim_node_step(sim, node,
                        (struct raft_event){.type = is_flowing_on ? RAFT_EVENT_SNAPSHOT_PROGRESS
                                                                  : RAFT_EVENT_SNAPSHOT_FAILED,
                                            .peer = peer});
    if (node->life == life && !node->transfers[peer].is_watched) {
        node->transfers[peer].is_watched = true;
        sim_event_add(sim, sim->now_us + half_timeout_us(sim), EVENT_WATCH, node->id,
                      (uint32_t)peer, node->life);
    }
}

/* ---- the follower's side ---- */

void sim_snapshot_arrived(struct sim *sim, struct sim_node *node)
{
    const raft_index wanted = node->view.installing.index;
    if (wanted == 0 || wanted == node->installing) {
        return;
    }
    sim->counts->snapshot_superseded += node->installing != 0 && node->installing < wanted;
    node->installing = wanted;
    const uint64_t takes_us =
        sim->is_healed ? 1000 : tape_around(sim->tape, TAPE_NETWORK, sim->knobs.transfer_mean_us);
    sim_event_add(sim, sim->now_us + takes_us, EVENT_INSTALL, node->id, (uint32_t)wanted,
                  node->life);
}

static void swap_in(struct sim *sim, struct sim_node *node, struct sm *sm, raft_index index)
{
    sm_free(node->sm);
    node->sm = sm;
    node->applied = index;
    node->root = sm_publish(sm);
    oracle_digest(sim, node);
    sim_serve_reads(sim, node);
}

void sim_snapshot_install(struct sim *sim, struct sim_node *node, raft_index index)
{
    const struct raft_entry_id id = node->view.installing;
    const uint32_t life = node->life;
    if (node->installing == index) {
        node->installing = 0;
    }
    if (id.index != index ||
        (!sim->is_healed && tape_chance(sim->tape, TAPE_NETWORK, INSTALL_FAILS))) {
        sim->counts->snapshot_aborted++;
        if (id.index == index) {
            (void)sim_node_step(
                sim, node, (struct raft_event){.type = RAFT_EVENT_INSTALL_FAILED, .snapshot = id});
        }
        return;
    }
    struct sm *sm = sim_state_at(sim, index);
    const enum rk_status status =
        sim_node_step(sim, node, (struct raft_event){.type = RAFT_EVENT_INSTALLED, .snapshot = id});
    if (status == RK_OK && node->life == life) {
        swap_in(sim, node, sm, index);
    } else {
        sm_free(sm);
    }
}
