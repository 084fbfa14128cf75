/* node_snapshot.c -- snapshots of the own state: when one is taken, how it comes to count, and the
 * log that it stands for cut away, slice by slice.
 *
 *   a root is held -> the worker writes it, syncs, renames, reads back -> the disk thread notes it
 *   down -> the core hears of it (COMPACTED) and says up to where the log may go -> it goes
 *
 * Older ones are kept as long as the log reaches back to them, and while peers are being sent them. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"
#include "statemachine/restore.h"

enum {
    RECOMPACT_MS = 1000,
    FREES_PER_TURN_MAX = 8,
    LAG_FACTOR = 8, /* in snapshots' worth of log */

    /* So many times as long as a slice took, the disk is the writes' alone: slice upon slice, each of
     * them waited for one, and there were 2,000 a second instead of 16,000. */
    COMPACT_PAUSE_FACTOR = 2,
    /* Where snapshots are taken often, eight of them are written in the time that one needs to get to a
     * peer: given up and begun anew, a transfer would never end. */
    LAG_ENTRIES_MIN = 200000,
};

uint64_t node_snapshot_lag_max(const struct node *node)
{
    const uint64_t max =
        (uint64_t)LAG_FACTOR * node->options->snapshot_entries + node->options->trailing_entries;

    return max > LAG_ENTRIES_MIN ? max : LAG_ENTRIES_MIN;
}

void node_snapshot_to_raft(const struct snap_info *info, struct raft_snapshot *ret)
{
    *ret = (struct raft_snapshot){.id = info->ref.id, .config_index = info->config_index};
    membership_to_raft(&info->membership, &ret->config);
}

const struct snap_info *node_snapshot_find(const struct node *node, struct raft_entry_id id)
{
    for (uint32_t i = 0; i < node->snaps.held_count; i++) {
        const struct snap_info *info = &node->snaps.held[i];
        if (info->ref.id.index == id.index && info->ref.id.term == id.term) {
            return info;
        }
    }
    return NULL;
}

enum rk_status node_snapshot_from_noted(const struct log_snapshot *noted, struct snap_info *ret)
{
    *ret = (struct snap_info){
        .ref = {.id = noted->id, .size = noted->size, .digest = noted->digest},
        .chain = noted->chain,
        .config_index = noted->config_index,
    };
    return membership_decode(noted->config, &ret->membership);
}

static raft_index newest_index(const struct node *node)
{
    const uint32_t count = node->snaps.held_count;
    return count == 0 ? 0 : node->snaps.held[count - 1].ref.id.index;
}

uint64_t node_snapshot_oldest_version(const struct node *node)
{
    return node->snaps.is_taking ? node->snaps.root_version : UINT64_MAX;
}

/* ---- taking ---- */

void node_snapshot_applied(struct node *node, const struct rk_frame *frame, uint32_t size)
{
    node->applied_term = frame->term;
    node->applied_chain = frame->chain;
    node->snaps.applied_bytes += size;
}

/* The configuration in force at the last applied entry; a node that is behind may have
 * two later ones in its log, and then no longer knows it. NULL: not known here. */
static const struct membership *applied_membership(const struct node *node, raft_index *ret_index)
{
    if (node->membership_index > 0 && node->membership_index <= node->last_applied) {
        *ret_index = node->membership_index;
        return &node->membership;
    }
    *ret_index = node->membership_before_index;
    return node->membership_before_index > 0 && node->membership_before_index <= node->last_applied
               ? &node->membership_before
               : NULL;
}

void node_take_snapshot(struct node *node)
{
    atomic_store(&node->is_snapshot_asked, true);
}

static bool is_time_for_one(const struct node *node)
{
    const struct node_snapshots *snaps = &node->snaps;
    const raft_index newest = newest_index(node);

    if (node->last_applied <= newest) {
        return false;
    }
    const uint64_t newest_size = newest == 0 ? 0 : snaps->held[snaps->held_count - 1].ref.size;
    return atomic_load(&node->is_snapshot_asked) ||
           node->last_applied - newest >= node->options->snapshot_entries ||
           (snaps->applied_bytes >= NODE_SNAPSHOT_BYTES && snaps->applied_bytes >= newest_size);
}

/* Beside a new one at `newest`. The one before it is worth its room while the log reaches back to it,
 * for the case that the new one is damaged; others only while a peer is being sent them. */
static bool is_kept(const struct node *node, uint32_t at, raft_index newest)
{
    const struct raft_entry_id id = node->snaps.held[at].ref.id;

    if (id.index >= newest) {
        return false;
    }
    const bool is_before = at + 1 == node->snaps.held_count;
    return (is_before && newest - id.index <= node->options->trailing_entries) ||
           node_sending_uses(node, id);
}

bool node_snapshot_has_place(const struct node *node, raft_index newest)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < node->snaps.held_count; i++) {
        count += is_kept(node, i, newest);
    }
    return count < LOG_SNAPSHOTS_MAX;
}

static bool may_take(const struct node *node)
{
    const struct node_snapshots *snaps = &node->snaps;

    return !snaps->is_taking && !snaps->is_noting && !sm_is_restoring(node->sm) &&
           node_snapshot_has_place(node, node->last_applied) && node->standing == STANDING_MEMBER &&
           node->now_ms >= snaps->retry_ms && node->last_applied == node->last_published &&
           is_time_for_one(node);
}

static void begin_taking(struct node *node)
{
    raft_index config_index = 0;
    const struct membership *membership = applied_membership(node, &config_index);

    if (membership == NULL || !may_take(node)) {
        return;
    }
    struct snap_job *job = snap_job_new(SNAP_TAKE);
    job->root = sm_publish(node->sm);
    job->info = (struct snap_info){
        .ref = {.id = {.term = node->applied_term, .index = node->last_applied}},
        .chain = node->applied_chain,
        .config_index = config_index,
        .membership = *membership,
    };
    atomic_store(&node->is_snapshot_asked, false);
    node->snaps.is_taking = true;
    node->snaps.taking = job->info.ref.id;
    node->snaps.root_version = job->root.version;
    node->snaps.applied_bytes = 0;
    snap_submit(node->snap_thread, job);
}

void node_snapshot_note(struct node *node, const struct snap_info *info)
{
    struct node_snapshots *snaps = &node->snaps;
    struct disk_job *job = disk_job_new(DISK_SNAPSHOT);

    RK_ASSERT(!snaps->is_noting);
    RK_ASSERT(node_snapshot_has_place(node, info->ref.id.index));
    membership_encode(&info->membership, &job->frames);
    job->noted = (struct log_snapshot){
        .id = info->ref.id,
        .chain = info->chain,
        .config_index = info->config_index,
        .size = info->ref.size,
        .digest = info->ref.digest,
    };
    for (uint32_t i = 0; i < snaps->lost_count; i++) {
        job->forgotten[job->forgotten_count] = snaps->lost[i];
        job->forgotten_count++;
    }
    for (uint32_t i = 0; i < snaps->held_count; i++) {
        if (!is_kept(node, i, info->ref.id.index)) {
            job->forgotten[job->forgotten_count] = snaps->held[i].ref.id.index;
            job->forgotten_count++;
        }
    }
    snaps->is_noting = true;
    snaps->noting = info->ref.id;
    node_disk_submit(node, job);
}

static void taken(struct node *node, const struct snap_job *job)
{
    node->snaps.is_taking = false;
    node->is_reclaim_due = true;
    if (job->status == RK_FULL) {
        node->snaps.retry_ms = node->now_ms + NODE_SNAPSHOT_RETRY_MS;
        rk_log(RK_LOG_WARN, "snapshot", "no_room", RK_U64("index", job->info.ref.id.index), RK_END);
        return;
    }
    if (job->status == RK_DIFFERS) {
        node_check_damaged(node, job->offset);
    }
    if (job->status != RK_OK) {
        node_end(node, job->status, "snapshot_failed", job->info.ref.id.index);
    }
    rk_log(RK_LOG_INFO, "snapshot", "taken", RK_U64("index", job->info.ref.id.index),
           RK_U64("term", job->info.ref.id.term), RK_U64("bytes", job->info.ref.size), RK_END);
    const raft_index index = job->info.ref.id.index;
    if (index <= newest_index(node) || node->snaps.is_noting ||
        !node_snapshot_has_place(node, index)) {
        node_snapshot_retain(node); /* the leader's came first, or meanwhile all are being sent */
        return;
    }
    node_snapshot_note(node, &job->info);
}

/* ---- noted down ---- */

static void retain_one(struct snap_job *job, struct raft_entry_id id)
{
    job->ids[job->ids_count] = id;
    job->ids_count++;
}

/* Files that are on their way to be noted down stay too. */
void node_snapshot_retain(struct node *node)
{
    const struct node_snapshots *snaps = &node->snaps;
    struct snap_job *job = snap_job_new(SNAP_RETAIN);

    for (uint32_t i = 0; i < snaps->held_count; i++) {
        retain_one(job, snaps->held[i].ref.id);
    }
    if (snaps->is_taking) {
        retain_one(job, snaps->taking);
    }
    if (snaps->is_noting) {
        retain_one(job, snaps->noting);
    }
    if (snaps->receiving.state >= RECEIVING_BUILD) {
        retain_one(job, snaps->receiving.ref.id);
    }
    snap_submit(node->snap_thread, job);
}

static bool is_forgotten(const struct disk_job *job, raft_index index)
{
    for (uint32_t i = 0; i < job->forgotten_count; i++) {
        if (job->forgotten[i] == index) {
            return true;
        }
    }
    return false;
}

static void held_update(struct node_snapshots *snaps, const struct disk_job *job)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < snaps->held_count; i++) {
        if (!is_forgotten(job, snaps->held[i].ref.id.index)) {
            snaps->held[kept] = snaps->held[i];
            kept++;
        }
    }
    RK_ASSERT(kept < LOG_SNAPSHOTS_MAX);
    struct log_snapshot noted = job->noted;
    noted.config = rk_buf_bytes(&job->frames);
    const enum rk_status status = node_snapshot_from_noted(&noted, &snaps->held[kept]);
    RK_ASSERT(status == RK_OK); /* it was encoded here */
    snaps->held_count = kept + 1;
}

/* Tells the core how far the log may be cut; what it says then depends on the transfers. */
static void report_compacted(struct node *node)
{
    const struct snap_info *newest = &node->snaps.held[node->snaps.held_count - 1];
    struct raft_snapshot snapshot;

    node_snapshot_to_raft(newest, &snapshot);
    const struct raft_event event = {
        .type = RAFT_EVENT_COMPACTED,
        .now_ms = node->now_ms,
        .boot_ms = rk_boottime_ms(),
        .compacted = {.snapshot = &snapshot,
                      .base_index = node->snaps.wanted_base,
                      .lag_max = node_snapshot_lag_max(node)},
    };
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
    node->snaps.recompact_ms = node->now_ms + RECOMPACT_MS;
}

void node_snapshot_noted(struct node *node, const struct disk_job *job)
{
    struct node_snapshots *snaps = &node->snaps;

    if (job->status != RK_OK) {
        node_end(node, job->status, "storage_failed", job->noted.id.index);
    }
    snaps->is_noting = false;
    snaps->lost_count = 0;
    held_update(snaps, job);
    node_snapshot_retain(node);
    node->is_view_stale = true;
    if (snaps->receiving.state == RECEIVING_NOTED) {
        node_receiving_noted(node);
        return;
    }
    const raft_index index = job->noted.id.index;
    const uint64_t trailing = node->options->trailing_entries;
    snaps->wanted_base = index > trailing ? index - trailing : 0;
    report_compacted(node);
}

/* ---- the log that goes ---- */

static bool is_slice_wanted(const struct node *node)
{
    return !node->snaps.is_compacting && node->snaps.base.index < node->view.base.index;
}

static void compact(struct node *node)
{
    struct node_snapshots *snaps = &node->snaps;

    /* A transfer that kept the log longer may be over; and one from a leader that came too late to be
     * installed is the newest here all the same, once all of it has been applied. */
    const bool is_due = node->view.base.index < snaps->wanted_base ||
                        node->view.snapshot.index < newest_index(node);
    if (snaps->held_count > 0 && is_due && node->now_ms >= snaps->recompact_ms &&
        newest_index(node) <= node->view.last_applied) {
        report_compacted(node);
    }
    if (!is_slice_wanted(node) || node->now_ms < snaps->slice_due_ms) {
        return;
    }
    struct disk_job *job = disk_job_new(DISK_COMPACT);
    job->last = node->view.base.index;
    job->entries_max = snaps->slice_entries;
    snaps->is_compacting = true;
    node_disk_submit(node, job);
}

/* Slices of the disk's own measure: entries may be of any size. */
static uint32_t next_slice(uint32_t entries, uint64_t took_us)
{
    if (took_us > NODE_COMPACT_SLICE_US) {
        return entries > 8 ? entries / 2 : entries;
    }
    return entries < NODE_COMPACT_ENTRIES_MAX ? entries * 2 : entries;
}

void node_snapshot_compacted(struct node *node, const struct disk_job *job)
{
    struct node_snapshots *snaps = &node->snaps;

    if (job->status != RK_OK) {
        node_end(node, job->status, "storage_failed", job->last);
    }
    snaps->is_compacting = false;
    snaps->slice_entries = next_slice(snaps->slice_entries, job->took_us);
    snaps->slice_due_ms = node->now_ms + 1 + COMPACT_PAUSE_FACTOR * job->took_us / 1000;
    if (job->base.index > snaps->base.index) {
        snaps->base = job->base;
        snaps->base_chain = job->base_chain;
    }
}

/* ---- state machines that were replaced ---- */

void node_snapshot_free_later(struct node *node, struct sm *sm, uint64_t version)
{
    struct former_sm *former = rk_heap_zalloc(1, sizeof(*former));

    *former = (struct former_sm){.sm = sm, .version = version, .next = node->snaps.former};
    node->snaps.former = former;
}

void node_snapshot_succeed(struct node *node, struct sm *sm)
{
    const uint64_t version = sm_publish(node->sm).version;

    sm_continue(sm, version);
    node_snapshot_free_later(node, node->sm, version + 1);
    node->sm = sm;
}

/* Freeing a million keys takes long: the worker does it. */
static void free_former(struct node *node)
{
    struct former_sm **at = &node->snaps.former;

    if (node->snaps.is_taking || *at == NULL) {
        return;
    }
    const uint64_t oldest = root_oldest(node->board);
    for (uint32_t i = 0; i < FREES_PER_TURN_MAX && *at != NULL; i++) {
        struct former_sm *former = *at;
        if (former->version > oldest) {
            at = &former->next;
            continue;
        }
        struct snap_job *job = snap_job_new(SNAP_FREE);
        job->sm = former->sm;
        *at = former->next;
        rk_heap_free(former);
        snap_submit(node->snap_thread, job);
    }
}

/* ---- a turn ---- */

static void take_results(struct node *node)
{
    struct snap_job *job = NULL;

    while (rk_queue_pop(snap_results(node->snap_thread), &job, 1) == 1) {
        switch (job->type) {
        case SNAP_TAKE:
            taken(node, job);
            break;
        case SNAP_PIECE:
            node_sending_piece(node, job);
            break;
        case SNAP_RECEIVE:
            node_receiving_piece(node, job);
            break;
        case SNAP_BUILD:
            node_receiving_built(node, job);
            break;
        case SNAP_RETAIN:
            if (job->status != RK_OK) {
                rk_log(RK_LOG_WARN, "snapshot", "old_one_stays", RK_END);
            }
            break;
        case SNAP_CHECK:
            node_bring_checked(node, job);
            break;
        case SNAP_RECORDS:
            node_bring_read(node, job);
            break;
        case SNAP_FREE:
            break;
        }
        snap_job_free(job);
    }
}

void node_snapshot_turn(struct node *node)
{
    take_results(node);
    free_former(node);
    begin_taking(node);
    node_receiving_turn(node);
    node_sending_turn(node);
    compact(node);
}

uint64_t node_snapshot_deadline_ms(const struct node *node)
{
    const struct node_snapshots *snaps = &node->snaps;
    uint64_t deadline_ms = node_sending_deadline_ms(node);

    if (snaps->former != NULL && node->now_ms + RECOMPACT_MS < deadline_ms) {
        deadline_ms = node->now_ms + RECOMPACT_MS;
    }
    if (is_slice_wanted(node) && snaps->slice_due_ms < deadline_ms) {
        deadline_ms = snaps->slice_due_ms;
    }
    if (node->view.base.index < snaps->wanted_base && snaps->recompact_ms < deadline_ms) {
        deadline_ms = snaps->recompact_ms;
    }
    return deadline_ms;
}

void node_snapshot_done(struct node *node)
{
    sm_free(node->snaps.receiving.sm);
    while (node->snaps.former != NULL) {
        struct former_sm *former = node->snaps.former;
        node->snaps.former = former->next;
        sm_free(former->sm);
        rk_heap_free(former);
    }
}
