#include "backup/recover.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "storage/data_dir.h"
#include "storage/differs.h"
#include "storage/files.h"
#include "storage/high_water.h"
#include "storage/log_store_sqlite.h"
#include "storage/snap_store.h"

enum { PATH_SIZE = 4096 };

struct recovering {
    struct complaint complaint;
    const char *cluster_id; /* as it was given */
    struct data_dir *dir;
    struct log_store *store;
    struct high_water *water;
    struct membership membership; /* the latest */
    raft_index config_index;
    struct member self; /* of it; known once it was checked */
    uint64_t time_ms;   /* of the last entry */
    struct recovered *ret;
};

/* ---- what is there ---- */

static enum rk_status on_entry(void *context, const struct raft_entry *entry)
{
    struct recovering *recovering = context;
    struct rk_frame frame;
    uint32_t size = 0;

    if (rk_frame_read(entry->frame, &frame, &size) != RK_OK) {
        return RK_CORRUPT;
    }
    recovering->time_ms = frame.time_ms;
    if (entry->type != RAFT_ENTRY_CONFIG) {
        return RK_OK;
    }
    recovering->config_index = entry->id.index;
    return membership_decode(frame.body, &recovering->membership);
}

static enum rk_status read_log(struct recovering *recovering)
{
    raft_index bad_index = 0;
    const enum rk_status status =
        log_store_scan(recovering->store, on_entry, recovering, &bad_index);

    if (status != RK_OK) {
        return complaint_refuse(
            &recovering->complaint, status,
            "raft.db: entry %llu: %s; restore a backup into a new cluster instead",
            (unsigned long long)bad_index, rk_status_text(status));
    }
    return RK_OK;
}

/* The newest must be whole: without it the log, if it was cut, begins in the middle. */
static enum rk_status read_snapshot(struct recovering *recovering)
{
    const struct log_store *store = recovering->store;
    struct snap_store *snaps = NULL;
    struct snap_ref ref;
    char text[PATH_SIZE];

    if (store->snapshots_count == 0) {
        return RK_OK;
    }
    const struct log_snapshot *newest = &store->snapshots[store->snapshots_count - 1];
    enum rk_status status = snap_store_file_open(data_dir_path(recovering->dir, "snapshots"),
                                                 &snaps, text, sizeof(text));
    if (status == RK_OK) {
        status = snap_store_load(snaps, newest->id, NULL, NULL, &ref);
    }
    snap_store_close(snaps);
    if (status != RK_OK && store->bounds.base.index > 0) {
        return complaint_refuse(
            &recovering->complaint, RK_CORRUPT,
            "the snapshot at entry %llu: %s; restore a backup into a new cluster "
            "instead",
            (unsigned long long)newest->id.index, rk_status_text(status));
    }
    if (newest->config_index > recovering->config_index) {
        recovering->config_index = newest->config_index;
        return membership_decode(newest->config, &recovering->membership);
    }
    return RK_OK;
}

static enum rk_status open_all(struct recovering *recovering, const char *path)
{
    char *text = recovering->complaint.text;
    const size_t text_size = recovering->complaint.text_size;
    char database[PATH_SIZE];
    bool is_new = false;

    (void)snprintf(database, sizeof(database), "%s/raft.db", path);
    if (!files_exists(database)) { /* before data_dir_open() makes a directory of it */
        return complaint_refuse(&recovering->complaint, RK_INVALID,
                                "no data directory: no raft.db");
    }
    enum rk_status status = data_dir_open(path, &recovering->dir, text, text_size);
    if (status == RK_OK) {
        const struct log_store_sqlite_options options = {.path = database};
        status = log_store_sqlite_open(&options, &recovering->store, text, text_size);
    }
    if (status == RK_OK) {
        status = high_water_open(data_dir_path(recovering->dir, "high-water"),
                                 recovering->store->identity.incarnation, &recovering->water,
                                 &is_new, text, text_size);
    }
    return status;
}

/* ---- whether it may be ---- */

static const struct member *self_of(const struct recovering *recovering)
{
    const struct log_identity *identity = &recovering->store->identity;
    const struct member *self = membership_by_name(&recovering->membership, identity->node_name);

    return self != NULL && self->incarnation == identity->incarnation ? self : NULL;
}

/* It would never lead: a leader's snapshot is what it waits for. */
static enum rk_status check_state(struct recovering *recovering)
{
    raft_index index = 0;

    if (differs_read(data_dir_path(recovering->dir, "differs"), &index) == DIFFERS_NOT) {
        return RK_OK;
    }
    return complaint_refuse(
        &recovering->complaint, RK_CONFLICT,
        "its state was found to differ from the others' at entry %llu: recover "
        "another member, or, if there is none, remove its file \"differs\" first",
        (unsigned long long)index);
}

static enum rk_status check(struct recovering *recovering)
{
    struct recovered *ret = recovering->ret;
    const struct member *self = self_of(recovering);

    if (recovering->membership.members_count == 0) {
        return complaint_refuse(&recovering->complaint, RK_CONFLICT,
                                "it is of no cluster: its log has no configuration");
    }
    cluster_id_format(recovering->membership.cluster, ret->former_cluster);
    if (strcmp(ret->former_cluster, recovering->cluster_id) != 0) {
        return complaint_refuse(&recovering->complaint, RK_CONFLICT,
                                "it is of cluster %s, not of the one that was named",
                                ret->former_cluster);
    }
    if (self == NULL) {
        return complaint_refuse(&recovering->complaint, RK_CONFLICT,
                                "its node, %s, is no member of the cluster as its log knows it",
                                recovering->store->identity.node_name);
    }
    recovering->self = *self;
    (void)snprintf(ret->node, sizeof(ret->node), "%s", self->name);
    (void)snprintf(ret->peer_address, sizeof(ret->peer_address), "%s", self->peer_address);
    ret->members_lost = recovering->membership.members_count - 1;
    ret->last = recovering->store->bounds.last;
    const struct high_water_mark *mark = high_water_mark(recovering->water);
    ret->lost_index = high_water_is_reached(mark, ret->last) ? 0 : mark->last.index;
    return RK_OK;
}

/* ---- the entry ---- */

static struct membership alone(const struct recovering *recovering)
{
    struct membership next = {
        .cluster = {.high = rk_random_u64(), .low = rk_random_u64()},
        .election_timeout_ms = recovering->membership.election_timeout_ms,
        .members_count = 1,
    };

    next.members[0] = recovering->self;
    next.members[0].is_voter = true;
    next.members[0].is_old_voter = false;
    next.members[0].is_learner = false;
    next.members[0].wants_vote = false;
    next.members[0].replaces = 0;
    cluster_id_format(next.cluster, recovering->ret->cluster);
    return next;
}

/* Above every term that is known here, also those that the log has lost: so the mark is passed. */
static raft_term next_term(const struct recovering *recovering)
{
    const struct high_water_mark *mark = high_water_mark(recovering->water);
    const raft_term terms[] = {recovering->store->hard_state.term,
                               recovering->store->bounds.last.term, mark->hard_state.term,
                               mark->last.term};
    raft_term greatest = 0;

    for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
        greatest = terms[i] > greatest ? terms[i] : greatest;
    }
    return greatest + 1;
}

static void make_frame(const struct recovering *recovering, struct raft_entry_id id,
                       struct rk_buf *frame)
{
    const struct membership next = alone(recovering);
    const struct rk_frame_place place = {
        .term = id.term,
        .index = id.index,
        .time_ms = recovering->time_ms,
        .chain_previous = recovering->store->bounds.last_chain,
    };
    const size_t begin = rk_frame_begin(frame, RAFT_ENTRY_CONFIG);

    membership_encode(&next, frame);
    rk_frame_end(frame, begin);
    RK_ASSERT(rk_buf_status(frame) == RK_OK);
    (void)rk_frame_seal(frame->data, (uint32_t)frame->size, &place);
}

static enum rk_status write_entry(struct recovering *recovering)
{
    struct log_store *store = recovering->store;
    const struct raft_entry_id id = {.term = next_term(recovering),
                                     .index = store->bounds.last.index + 1};
    struct rk_buf frame;

    rk_buf_init(&frame, RK_FRAME_SIZE_MAX);
    make_frame(recovering, id, &frame);
    const struct raft_entry entry = {
        .id = id, .type = RAFT_ENTRY_CONFIG, .frame = rk_buf_bytes(&frame)};
    const struct raft_write write = {.has_hard_state = true,
                                     .hard_state = {.term = id.term},
                                     .entries = &entry,
                                     .entries_count = 1};
    const struct raft_write *const writes[] = {&write};
    const enum rk_status status = log_store_write(store, writes, 1);
    rk_buf_done(&frame);
    recovering->ret->entry = id;
    return status;
}

static enum rk_status change(struct recovering *recovering)
{
    const struct log_store *store = recovering->store;

    enum rk_status status = write_entry(recovering);
    if (status != RK_OK) {
        return complaint_refuse(&recovering->complaint, status, "raft.db: %s",
                                rk_status_text(status));
    }
    status = high_water_vote(recovering->water, &store->hard_state);
    if (status == RK_OK) {
        status = high_water_advance(recovering->water, store->bounds.last, store->bounds.last_chain,
                                    rk_monotonic_ms());
    }
    if (status == RK_OK) {
        status = high_water_flush(recovering->water, rk_monotonic_ms() + HIGH_WATER_LAG_MS);
    }
    if (status != RK_OK) {
        return complaint_refuse(&recovering->complaint, status,
                                "high-water: %s; the new configuration is written, start the node",
                                rk_status_text(status));
    }
    return RK_OK;
}

enum rk_status recover(const char *data_dir, const char *cluster_id, struct recovered *ret,
                       char *message, size_t message_size)
{
    struct recovering *recovering = rk_heap_zalloc(1, sizeof(*recovering));

    *ret = (struct recovered){.members_lost = 0};
    recovering->complaint =
        (struct complaint){.path = data_dir, .text = message, .text_size = message_size};
    recovering->cluster_id = cluster_id;
    recovering->ret = ret;
    enum rk_status status = open_all(recovering, data_dir);
    if (status == RK_OK) {
        status = read_log(recovering);
    }
    if (status == RK_OK) {
        status = read_snapshot(recovering);
    }
    if (status == RK_OK) {
        status = check(recovering);
    }
    if (status == RK_OK) {
        status = check_state(recovering);
    }
    if (status == RK_OK) {
        status = change(recovering);
    }
    high_water_close(recovering->water);
    log_store_close(recovering->store);
    data_dir_close(recovering->dir);
    rk_heap_free(recovering);
    return status;
}
