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
    bool gives_way; /* the log begins after the snapshot, and the entries between are lost */
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
        return RK_INVALID; /* whole, and yet not to be read: no leader has a better one */
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

static enum rk_status say_of_database(enum rk_status status, char *message, size_t message_size)
{
    if (status != RK_OK) {
        (void)snprintf(message, message_size, "raft.db: %s", rk_status_text(status));
    }
    return status;
}

/* All before a damaged entry has been visited. */
static enum rk_status scan(struct restoring *restoring, const struct node_start_options *start,
                           char *message, size_t message_size)
{
    raft_index bad_index = 0;
    enum rk_status status = log_store_scan(start->store, on_entry, restoring, &bad_index);

    if (status == RK_BEHIND) {
        say_too_old(restoring->node, restoring->level_above, message, message_size);
    } else if (status != RK_OK) {
        (void)snprintf(message, message_size, "raft.db: entry %llu: %s",
                       (unsigned long long)bad_index, rk_status_text(status));
    }
    if (status != RK_CORRUPT ||
        node_heal_begin(restoring->node, start, "log", bad_index) != RK_OK) {
        return status;
    }
    if (restoring->snapshot != NULL && bad_index <= restoring->snapshot->ref.id.index) {
        restoring->is_in_log = false; /* nor what follows it: the log gives way */
        return RK_OK;
    }
    return say_of_database(node_heal_cut(start, bad_index), message, message_size);
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

/* A file that is as it was noted down is not damaged, but of a version that this one does not know: nobody
 * may give anything up for that. */
static bool is_of_another_version(struct snap_store *snaps, const struct log_snapshot *noted)
{
    struct snap_ref found;

    return snap_store_load(snaps, noted->id, NULL, NULL, &found) == RK_OK &&
           found.size == noted->size && found.digest == noted->digest;
}

/* The newest that is whole. One that cannot be read at all is as good as damaged: the leader has another.
 * Errors: RK_NOT_FOUND (there is none), RK_INVALID (this version cannot read it). */
static enum rk_status load_newest(struct node *node, const struct log_store *store,
                                  struct snap_store *snaps, struct snap_info *ret)
{
    for (uint32_t i = store->snapshots_count; i > 0; i--) {
        const struct log_snapshot *noted = &store->snapshots[i - 1];
        const enum rk_status status = load_one(node, noted, snaps, ret);
        if (status == RK_OK) {
            return RK_OK;
        }
        if (is_of_another_version(snaps, noted)) {
            return RK_INVALID;
        }
        rk_log(RK_LOG_ERROR, "snapshot", "damaged", RK_U64("index", noted->id.index),
               RK_TEXT("status", rk_status_text(status)), RK_END);
    }
    return RK_NOT_FOUND;
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

/* Can the state be made of what there is, all of it? A log that is empty beside a snapshot was given up
 * before this start, and not refilled. */
static bool is_whole(const struct log_store *store, const struct snap_info *newest)
{
    if (newest != NULL) {
        return newest->ref.id.index >= store->bounds.base.index;
    }
    return store->bounds.base.index == 0 &&
           (store->snapshots_count == 0 || store->bounds.last.index > 0);
}

static enum rk_status begin_heal(const struct restoring *restoring,
                                 const struct node_start_options *start, char *message,
                                 size_t message_size)
{
    const raft_index base = start->store->bounds.base.index;
    const enum rk_status status = node_heal_begin(restoring->node, start, "snapshots", base);

    if (status != RK_OK) {
        (void)snprintf(message, message_size,
                       "snapshots: %s; the log begins after entry %llu, and cannot do without",
                       rk_status_text(status), (unsigned long long)base);
    }
    return status;
}

static void begin_with(struct node *node, const struct snap_info *info)
{
    node->membership = info->membership;
    node->membership_index = info->config_index;
    node->last_applied = info->ref.id.index;
    node->applied_term = info->ref.id.term;
    node->applied_chain = info->chain;
    rk_log(RK_LOG_INFO, "snapshot", "loaded", RK_U64("index", info->ref.id.index),
           RK_U64("bytes", info->ref.size), RK_END);
}

/* Nothing can be read of what the log begins after. */
static enum rk_status give_up_all(struct restoring *restoring,
                                  const struct node_start_options *start, char *message,
                                  size_t message_size)
{
    node_heal_membership(restoring->node, start->store);
    const enum rk_status status = begin_heal(restoring, start, message, message_size);

    if (status != RK_OK) {
        return status;
    }
    return say_of_database(node_heal_forget(restoring->node, start), message, message_size);
}

static enum rk_status load_snapshot(struct restoring *restoring,
                                    const struct node_start_options *start, char *message,
                                    size_t message_size)
{
    struct node *node = restoring->node;
    struct snap_info info;
    enum rk_status status = RK_OK;

    const enum rk_status found = load_newest(node, start->store, start->snaps, &info);
    const bool is_loaded = found == RK_OK;
    if (found == RK_INVALID) {
        (void)snprintf(message, message_size,
                       "snapshots: the newest is whole, but this version cannot read it");
        return RK_INVALID;
    }
    if (!is_loaded && !is_whole(start->store, NULL)) {
        return give_up_all(restoring, start, message, message_size);
    }
    if (is_loaded) {
        begin_with(node, &info);
        restoring->gives_way = !is_whole(start->store, &info);
        if (restoring->gives_way) {
            status = begin_heal(restoring, start, message, message_size);
        }
        hold(node, start->store, &info);
    }
    if (status != RK_OK) {
        return status;
    }
    return say_of_database(retain(node, start->store, start->snaps), message, message_size);
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
        return say_of_database(status, message, message_size);
    }
    restoring->restored.runs_count = 0;
    restoring->restored.logged_configs_count = 0;
    node->membership = info->membership;
    node->membership_index = info->config_index;
    node->membership_before = (struct membership){0};
    node->membership_before_index = 0;
    return RK_OK;
}

static enum rk_status read_log(struct restoring *restoring, const struct node_start_options *start,
                               char *message, size_t message_size)
{
    struct node *node = restoring->node;
    struct log_store *store = start->store;
    enum rk_status status = RK_OK;

    if (node->snaps.held_count > 0) {
        restoring->snapshot = &node->snaps.held[node->snaps.held_count - 1];
        restoring->is_in_log = store->bounds.base.index == node->last_applied &&
                               store->bounds.base_chain == node->applied_chain;
    }
    if (!restoring->gives_way) {
        status = scan(restoring, start, message, message_size);
    }
    if (status == RK_OK && restoring->snapshot != NULL && !restoring->is_in_log) {
        status = reset_log(restoring, store, message, message_size);
    }
    if (status == RK_OK && restoring->snapshot != NULL &&
        store->bounds.last.index <= node->last_applied) { /* else its last entry is later */
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
    /* From what was given up: neither the log nor a snapshot holds it any more. */
    const bool is_known_only = restoring->snapshot == NULL && node->membership_index == 0 &&
                               node->membership.members_count > 0;

    restored->hard_state = store->hard_state;
    restored->base = store->bounds.base;
    restored->last = store->bounds.last;
    node->log_end_at_start = restored->last.index;
    restored->runs = restoring->runs;
    if (restoring->snapshot != NULL) {
        restored->snapshot = restoring->snapshot->ref.id;
        restored->config_index = restoring->snapshot->config_index;
        membership_to_raft(&restoring->snapshot->membership, &restored->config);
    } else if (is_known_only) {
        membership_to_raft(&node->membership, &restored->config);
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
    node->is_firm = restoring->has_command || node->membership_before_index > 0 ||
                    restoring->snapshot != NULL || is_known_only;
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
    return say_of_database(log_store_write(store, writes, 1), message, message_size);
}

/* An operator's word (node_check.c): from here on the directory says the rest. */
static enum rk_status begin_anew(struct node *node, const struct node_start_options *start,
                                 char *message, size_t message_size)
{
    const enum rk_status status = node_heal_anew(node, start);

    if (status == RK_OK) {
        node_check_replaced(node);
    } else {
        (void)snprintf(message, message_size, "repair: %s", rk_status_text(status));
    }
    return status;
}

enum rk_status node_restore(struct node *node, const struct node_start_options *start,
                            char *message, size_t message_size)
{
    struct log_store *store = start->store;
    struct restoring restoring = {
        .node = node,
        .runs = rk_heap_zalloc(RAFT_TRAIL_RUNS_MAX, sizeof(struct raft_trail_run)),
    };
    const char *reason = NULL;

    node->now_ms = rk_monotonic_ms();
    node->incarnation = store->identity.incarnation;
    const enum differs differs = node_check_restore(node);
    enum rk_status status =
        differs == DIFFERS_REPAIR ? begin_anew(node, start, message, message_size) : RK_OK;
    if (status == RK_OK) {
        status = load_snapshot(&restoring, start, message, message_size);
    }
    restoring.last = store->bounds.last;
    if (status == RK_OK) {
        status = read_log(&restoring, start, message, message_size);
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
