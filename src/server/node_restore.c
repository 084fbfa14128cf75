/* node_restore.c -- what the log says at start: every entry is read and checked once; what the core
 * needs of it is kept, the entries themselves are applied later, when they are known committed. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"

struct restoring {
    struct node *node;
    struct raft_restored restored;
    struct raft_trail_run *runs;      /* RAFT_TRAIL_RUNS_MAX of them */
    struct raft_entry_id last;        /* of the log */
    const struct snap_info *snapshot; /* that the state was read from; NULL: none */
    bool is_in_log; /* the log has the entry that the snapshot ends with, of the same history */
    bool has_command;
    uint32_t level_above; /* an entry needs this feature level, and this node is not to read it */
};

static enum rk_status note_run(struct restoring *restoring, struct raft_entry_id id)
{
    struct raft_restored *restored = &restoring->restored;

    if (restored->runs_count > 0 && restoring->runs[restored->runs_count - 1].term == id.term) {
        return RK_OK;
    }
    if (restored->runs_count == RAFT_TRAIL_RUNS_MAX) {
        return RK_TOO_LARGE;
    }
    restoring->runs[restored->runs_count] =
        (struct raft_trail_run){.first_index = id.index, .term = id.term};
    restored->runs_count++;
    return RK_OK;
}

static enum rk_status note_config(struct restoring *restoring, const struct raft_entry *entry)
{
    struct raft_restored *restored = &restoring->restored;
    struct node *node = restoring->node;
    struct membership membership;
    struct rk_frame frame;
    uint32_t size = 0;

    if (rk_frame_read(entry->frame, &frame, &size) != RK_OK ||
        membership_decode(frame.body, &membership) != RK_OK) {
        return RK_CORRUPT;
    }
    if (entry->id.index > node->membership_index) { /* the snapshot may be past it */
        node->membership_before = node->membership;
        node->membership_before_index = node->membership_index;
        node->membership = membership;
        node->membership_index = entry->id.index;
    }
    if (restored->logged_configs_count == 2) {
        restored->logged_configs[0] = restored->logged_configs[1];
        restored->logged_configs_count = 1;
    }
    restored->logged_configs[restored->logged_configs_count].index = entry->id.index;
    membership_to_raft(&membership,
                       &restored->logged_configs[restored->logged_configs_count].config);
    restored->logged_configs_count++;
    return RK_OK;
}

/* The stamps before it are not above its own. */
static enum rk_status note_time(struct restoring *restoring, const struct raft_entry *entry)
{
    struct rk_frame frame;
    uint32_t size = 0;
    const enum rk_status status = rk_frame_read(entry->frame, &frame, &size);

    if (status == RK_OK) {
        cluster_time_note(&restoring->node->time, frame.time_ms, restoring->node->now_ms);
    }
    return status;
}

/* 0: the frame cannot be read, which the scan has looked at. */
static uint64_t chain_of(const struct raft_entry *entry)
{
    struct rk_frame frame;
    uint32_t size = 0;

    return rk_frame_read(entry->frame, &frame, &size) == RK_OK ? frame.chain : 0;
}

static enum rk_status on_entry(void *context, const struct raft_entry *entry)
{
    struct restoring *restoring = context;

    restoring->has_command = restoring->has_command || entry->type == RAFT_ENTRY_COMMAND;
    restoring->level_above = node_feature_above(restoring->node, entry);
    if (restoring->level_above > 0) {
        return RK_BEHIND;
    }
    if (entry->type == RAFT_ENTRY_CONFIG) {
        const enum rk_status status = note_config(restoring, entry);
        if (status != RK_OK) {
            return status;
        }
    }
    if (restoring->snapshot != NULL && entry->id.index == restoring->snapshot->ref.id.index) {
        restoring->is_in_log = chain_of(entry) == restoring->snapshot->chain;
    }
    if (entry->id.index == restoring->last.index) {
        const enum rk_status status = note_time(restoring, entry);
        if (status != RK_OK) {
            return status;
        }
    }
    return note_run(restoring, entry->id);
}

/* The cluster has moved on; whoever starts this may have taken the wrong version. */
static void say_too_old(const struct node *node, uint32_t level, char *message, size_t message_size)
{
    (void)snprintf(message, message_size,
                   "data directory %s is of feature level %u, and this version reads up to %u: it "
                   "is too old for this cluster",
                   node->options->data_dir, level, node->options->feature_level_max);
}

static enum rk_status scan(struct restoring *restoring, struct log_store *store, char *message,
                           size_t message_size)
{
    raft_index bad_index = 0;
    const enum rk_status status = log_store_scan(store, on_entry, restoring, &bad_index);

    if (status == RK_BEHIND) {
        say_too_old(restoring->node, restoring->level_above, message, message_size);
    } else if (status != RK_OK) {
        (void)snprintf(message, message_size, "raft.db: entry %llu: %s",
                       (unsigned long long)bad_index, rk_status_text(status));
    }
    return status;
}

/* ---- the snapshot ---- */

static bool is_as_noted(const struct snap_info *info, const struct log_snapshot *noted)
{
    return info->ref.id.term == noted->id.term && info->ref.size == noted->size &&
           info->ref.digest == noted->digest && info->chain == noted->chain &&
           info->config_index == noted->config_index;
}

/* Errors: RK_CORRUPT (damaged, or gone), RK_IO. */
static enum rk_status load_one(struct node *node, const struct log_snapshot *noted,
                               struct snap_store *snaps, struct snap_info *ret)
{
    struct sm *sm = NULL;

    enum rk_status status = snap_load(snaps, noted->id, &sm, ret);
    if (status == RK_OK && !is_as_noted(ret, noted)) {
        sm_free(sm);
        status = RK_CORRUPT;
    }
    if (status != RK_OK) {
        return status == RK_NOT_FOUND ? RK_CORRUPT : status;
    }
    sm_free(node->sm);
    node->sm = sm;
    return RK_OK;
}

/* The newest that is whole. What the log begins after can only be built on by a snapshot that reaches
 * so far. Errors: RK_NOT_FOUND (there is none, and the log is whole), RK_CORRUPT, RK_IO. */
static enum rk_status load_newest(struct node *node, const struct log_store *store,
                                  struct snap_store *snaps, struct snap_info *ret)
{
    const raft_index base = store->bounds.base.index;
    enum rk_status status = base == 0 ? RK_NOT_FOUND : RK_CORRUPT;

    for (uint32_t i = store->snapshots_count; i > 0; i--) {
        const struct log_snapshot *noted = &store->snapshots[i - 1];
        if (noted->id.index < base) {
            break;
        }
        status = load_one(node, noted, snaps, ret);
        if (status != RK_CORRUPT) {
            break;
        }
        rk_log(RK_LOG_ERROR, "snapshot", "damaged", RK_U64("index", noted->id.index), RK_END);
    }
    return status;
}

/* The one that was read, and those before it that the log reaches back to, should it be damaged at the
 * next start. */
static void hold(struct node *node, const struct log_store *store, const struct snap_info *newest)
{
    struct node_snapshots *snaps = &node->snaps;

    for (uint32_t i = 0; i < store->snapshots_count; i++) {
        const struct log_snapshot *noted = &store->snapshots[i];
        if (noted->id.index >= store->bounds.base.index && noted->id.index < newest->ref.id.index &&
            node_snapshot_from_noted(noted, &snaps->held[snaps->held_count]) == RK_OK) {
            snaps->held_count++;
        }
    }
    snaps->held[snaps->held_count] = *newest;
    snaps->held_count++;
}

/* Keeps what is held. Only now: where nothing can be read, what is noted down stays as it is, and the
 * next start comes to the same end. */
static enum rk_status retain(const struct node *node, struct log_store *store,
                             struct snap_store *snaps)
{
    struct raft_entry_id ids[LOG_SNAPSHOTS_MAX];
    enum rk_status status = RK_OK;

    for (uint32_t i = store->snapshots_count; status == RK_OK && i > 0; i--) {
        const struct raft_entry_id id = store->snapshots[i - 1].id;
        if (node_snapshot_find(node, id) == NULL) {
            status = log_store_remove_snapshot(store, id.index);
        }
    }
    for (uint32_t i = 0; i < node->snaps.held_count; i++) {
        ids[i] = node->snaps.held[i].ref.id;
    }
    return status == RK_OK ? snap_store_retain(snaps, ids, node->snaps.held_count) : status;
}

static enum rk_status load_snapshot(struct node *node, struct log_store *store,
                                    struct snap_store *snaps, char *message, size_t message_size)
{
    struct snap_info info;

    enum rk_status status = load_newest(node, store, snaps, &info);
    if (status == RK_OK) {
        hold(node, store, &info);
    } else if (status == RK_NOT_FOUND || (status == RK_CORRUPT && store->bounds.base.index == 0)) {
        status = RK_OK; /* the log is whole: all comes out of it */
    }
    if (status == RK_OK) {
        status = retain(node, store, snaps);
    }
    if (status != RK_OK) {
        (void)snprintf(message, message_size,
                       "snapshots: %s; the log begins after entry %llu, and cannot do without",
                       rk_status_text(status), (unsigned long long)store->bounds.base.index);
        return status;
    }
    if (node->snaps.held_count > 0) {
        node->membership = info.membership;
        node->membership_index = info.config_index;
        node->last_applied = info.ref.id.index;
        node->applied_term = info.ref.id.term;
        node->applied_chain = info.chain;
        rk_log(RK_LOG_INFO, "snapshot", "loaded", RK_U64("index", info.ref.id.index),
               RK_U64("bytes", info.ref.size), RK_END);
    }
    return RK_OK;
}

/* A snapshot is of what was committed: a log that ends before it, or differs there, gives way. */
static enum rk_status reset_log(struct restoring *restoring, struct log_store *store, char *message,
                                size_t message_size)
{
    struct node *node = restoring->node;
    const struct snap_info *info = restoring->snapshot;
    struct raft_snapshot snapshot;
    const struct raft_write write = {.snapshot = &snapshot};
    const struct raft_write *const writes[] = {&write};

    rk_log(RK_LOG_WARN, "node", "log_gives_way_to_snapshot",
           RK_U64("last_index", store->bounds.last.index), RK_U64("index", info->ref.id.index),
           RK_END);
    node_snapshot_to_raft(info, &snapshot);
    const enum rk_status status = log_store_write(store, writes, 1);
    if (status != RK_OK) {
        (void)snprintf(message, message_size, "raft.db: %s", rk_status_text(status));
        return status;
    }
    restoring->restored.runs_count = 0;
    restoring->restored.logged_configs_count = 0;
    node->membership = info->membership;
    node->membership_index = info->config_index;
    node->membership_before = (struct membership){0};
    node->membership_before_index = 0;
    return RK_OK;
}

static enum rk_status read_log(struct restoring *restoring, struct log_store *store, char *message,
                               size_t message_size)
{
    struct node *node = restoring->node;

    if (node->snaps.held_count > 0) {
        restoring->snapshot = &node->snaps.held[node->snaps.held_count - 1];
        restoring->is_in_log = store->bounds.base.index == node->last_applied &&
                               store->bounds.base_chain == node->applied_chain;
    }
    enum rk_status status = scan(restoring, store, message, message_size);
    if (status == RK_OK && restoring->snapshot != NULL && !restoring->is_in_log) {
        status = reset_log(restoring, store, message, message_size);
    }
    if (status == RK_OK && restoring->snapshot != NULL) {
        cluster_time_note(&node->time, sm_publish(node->sm).time_ms, node->now_ms);
    }
    node->snaps.base = store->bounds.base;
    node->snaps.base_chain = store->bounds.base_chain;
    node->snaps.wanted_base = store->bounds.base.index;
    node->snaps.slice_entries = NODE_COMPACT_ENTRIES_MAX / 4;
    return status;
}

/* ---- the core ---- */

/* A node whose id is not certain may be told another one: then the core is made anew of this. */
static void keep_restored(struct node *node, const struct raft_restored *restored)
{
    const size_t count = restored->runs_count > 0 ? restored->runs_count : 1;
    struct raft_trail_run *runs = rk_heap_zalloc(count, sizeof(*runs));

    if (restored->runs_count > 0) {
        memcpy(runs, restored->runs, restored->runs_count * sizeof(*runs));
    }
    node->kept = rk_heap_zalloc(1, sizeof(*node->kept));
    *node->kept = *restored;
    node->kept->runs = runs;
}

static void start_core(struct node *node, struct restoring *restoring, struct log_store *store)
{
    struct raft_restored *restored = &restoring->restored;

    restored->hard_state = store->hard_state;
    restored->base = store->bounds.base;
    restored->last = store->bounds.last;
    restored->runs = restoring->runs;
    if (restoring->snapshot != NULL) {
        restored->snapshot = restoring->snapshot->ref.id;
        restored->config_index = restoring->snapshot->config_index;
        membership_to_raft(&restoring->snapshot->membership, &restored->config);
    }
    if (node->standing == STANDING_FORMING) {
        node_identity_initial_config(node, &restored->config);
    }
    tail_init(&node->tail, store->bounds.last, store->bounds.last_chain);
    node_restart_core(node, restored);
    if (node->standing != STANDING_MEMBER) {
        keep_restored(node, restored);
    }
    /* Nothing but the scan and that, but an entry by a client is there only because the first
     * configuration was committed before it. */
    node->is_firm =
        restoring->has_command || node->membership_before_index > 0 || restoring->snapshot != NULL;
    rk_log(RK_LOG_INFO, "node", "log_restored", RK_U64("last_index", restored->last.index),
           RK_U64("last_term", restored->last.term), RK_U64("term", restored->hard_state.term),
           RK_END);
}

/* The database alone cannot tell that it lost its end (F1): the mark beside it can. Term and vote
 * are the later of the two; a log short of the mark waits for a leader to refill it. */
static enum rk_status apply_high_water(struct node *node, struct log_store *store,
                                       const struct high_water *water, char *message,
                                       size_t message_size)
{
    const struct high_water_mark *mark = high_water_mark(water);
    struct raft_write write = {.has_hard_state = true};

    if (high_water_hard_state(mark, &store->hard_state, &write.hard_state) != RK_OK) {
        (void)snprintf(message, message_size,
                       "raft.db and high-water hold different votes in term %llu",
                       (unsigned long long)store->hard_state.term);
        return RK_CORRUPT;
    }
    if (!high_water_is_reached(mark, store->bounds.last)) {
        node->recover_to = mark->last;
        rk_log(RK_LOG_ERROR, "node", "log_shorter_than_high_water",
               RK_U64("last_index", store->bounds.last.index),
               RK_U64("lost_index", mark->last.index), RK_U64("lost_term", mark->last.term),
               RK_END);
    }
    if (write.hard_state.term == store->hard_state.term &&
        write.hard_state.vote == store->hard_state.vote) {
        return RK_OK;
    }
    const struct raft_write *const writes[] = {&write};
    const enum rk_status status = log_store_write(store, writes, 1);
    if (status != RK_OK) {
        (void)snprintf(message, message_size, "raft.db: %s", rk_status_text(status));
    }
    return status;
}

enum rk_status node_restore(struct node *node, const struct node_start_options *start,
                            char *message, size_t message_size)
{
    struct log_store *store = start->store;
    struct restoring restoring = {
        .node = node,
        .last = store->bounds.last,
        .runs = rk_heap_zalloc(RAFT_TRAIL_RUNS_MAX, sizeof(struct raft_trail_run)),
    };
    const char *reason = NULL;

    node->now_ms = rk_monotonic_ms();
    node->incarnation = store->identity.incarnation;
    enum rk_status status = load_snapshot(node, store, start->snaps, message, message_size);
    if (status == RK_OK) {
        status = read_log(&restoring, store, message, message_size);
    }
    if (status == RK_OK && !node_feature_is_readable(node)) {
        say_too_old(node, sm_feature_level(node->sm), message, message_size);
        status = RK_BEHIND;
    }
    if (status == RK_OK && start->water != NULL) {
        status = apply_high_water(node, store, start->water, message, message_size);
    }
    node->view.hard_state = store->hard_state;
    if (status == RK_OK) {
        status = node_identity_start(node, &reason);
        if (status == RK_OK) {
            start_core(node, &restoring, store);
        } else {
            (void)snprintf(message, message_size,
                           "data directory %s is not this node's, or of another cluster: %s",
                           node->options->data_dir, reason);
        }
    }
    rk_heap_free(restoring.runs);
    return status;
}
