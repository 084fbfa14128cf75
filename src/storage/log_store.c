#include "storage/log_store.h"

#include <string.h>

#include "base/assert.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/limits.h"

/* One read of a scan: large enough that the statement's start costs nothing, small enough that
 * memory stays flat whatever the length of the log. */
enum { SCAN_CHUNK_SIZE = 1 << 20 };

static void bounds_check(const struct log_bounds *bounds)
{
    RK_ASSERT(bounds->base.index <= bounds->last.index);
    RK_ASSERT(bounds->base.term <= bounds->last.term);
    RK_ASSERT(bounds->last.index <= INT64_MAX); /* SQLite's rowid */
    if (bounds->base.index == bounds->last.index) {
        RK_ASSERT(bounds->base.term == bounds->last.term);
        RK_ASSERT(bounds->base_chain == bounds->last_chain);
    }
}

/* After any error of the disk nothing is tried again: SQLite would hide the row that failed and
 * take the next one, which leaves a hole (correctness F2). */
static enum rk_status settle(struct log_store *store, enum rk_status status)
{
    if (status == RK_IO || status == RK_FULL) {
        store->has_failed = true;
    }
    return status;
}

static bool is_entry_type(uint8_t type)
{
    return type == RAFT_ENTRY_NOOP || type == RAFT_ENTRY_COMMAND || type == RAFT_ENTRY_CONFIG;
}

/* Where a walk over consecutive frames stands. */
struct walk {
    struct raft_entry_id id; /* of the entry before the next one */
    uint64_t chain;          /* at that entry */
    uint64_t time_ms;        /* of that entry; 0: any is believed */
    bool has_chain;          /* false: the walk starts inside the log, any chain is believed */
};

static struct walk walk_at(struct raft_entry_id id, uint64_t chain)
{
    return (struct walk){.id = id, .chain = chain, .has_chain = true};
}

/* Reads the frame at the start of `bytes`, which must continue the walk, and moves on to it.
 * Errors: RK_CORRUPT. */
static enum rk_status walk_next(struct walk *walk, struct rk_bytes bytes, struct raft_entry *ret)
{
    struct rk_frame frame;
    uint32_t size = 0;

    if (rk_frame_read(bytes, &frame, &size) != RK_OK) {
        return RK_CORRUPT;
    }
    if (frame.index != walk->id.index + 1 || frame.term < walk->id.term ||
        frame.time_ms < walk->time_ms || !is_entry_type(frame.type)) {
        return RK_CORRUPT;
    }
    const uint64_t chain = rk_frame_chain(walk->chain, &frame);
    if (walk->has_chain && frame.chain != chain) {
        return RK_CORRUPT;
    }
    *walk = (struct walk){{frame.term, frame.index}, frame.chain, frame.time_ms, true};
    *ret = (struct raft_entry){
        .id = walk->id, .type = (enum raft_entry_type)frame.type, .frame = {bytes.data, size}};
    return RK_OK;
}

/* Asserts that `entry` continues the log: no gap, no falling term (Log Matching, 3.5), and a
 * frame that says the same and is whole. What is wrong here was never right on its way to us. */
static void entry_check(struct walk *walk, const struct raft_entry *entry)
{
    const struct walk before = *walk;
    struct raft_entry read = {0};

    RK_ASSERT(entry->id.index == before.id.index + 1);
    RK_ASSERT(entry->id.term >= before.id.term);
    RK_ASSERT(before.has_chain);
    const enum rk_status status = walk_next(walk, entry->frame, &read);
    RK_ASSERT(status == RK_OK);
    RK_ASSERT(read.id.term == entry->id.term);
    RK_ASSERT(read.type == entry->type);
    RK_ASSERT(read.frame.size == entry->frame.size);
}

/* A vote is given once in a term (3.4), and terms only rise. */
static void hard_state_check(const struct raft_hard_state *before,
                             const struct raft_hard_state *after)
{
    RK_ASSERT(after->term >= before->term);
    if (after->term == before->term) {
        RK_ASSERT(before->vote == 0 || after->vote == before->vote);
    }
}

/* Errors: those of log_store_read() for the one entry at `index`. */
static enum rk_status walk_from_store(struct log_store *store, raft_index index, struct walk *walk)
{
    struct rk_buf buf;
    struct raft_entry entry;
    raft_index last = 0;
    struct walk found = {.id = {0, index - 1}};

    rk_buf_init(&buf, RK_FRAME_SIZE_MAX);
    enum rk_status status = log_store_read(store, index, index, 0, &buf, &last);
    if (status == RK_OK) {
        status = walk_next(&found, rk_buf_bytes(&buf), &entry);
    }
    rk_buf_done(&buf);
    if (status == RK_OK) {
        *walk = found;
    }
    return status == RK_TOO_LARGE ? RK_CORRUPT : status;
}

/* Sets `walk` to the entry at `index` as it stands after writes[first .. count - 1]: the last of
 * them that wrote it, or else the store. */
static enum rk_status walk_to(struct log_store *store, const struct raft_write *const *writes,
                              uint32_t first, uint32_t count, raft_index index, struct walk *walk)
{
    for (uint32_t i = count; i > first; i--) {
        const struct raft_write *write = writes[i - 1];
        if (write->entries_count == 0 || index < write->entries[0].id.index) {
            continue;
        }
        const raft_index offset = index - write->entries[0].id.index;
        RK_ASSERT(offset < write->entries_count);
        struct raft_entry entry;
        struct walk found = {.id = {0, index - 1}};
        const enum rk_status status = walk_next(&found, write->entries[offset].frame, &entry);
        RK_ASSERT(status == RK_OK); /* entry_check() has seen it */
        *walk = found;
        return RK_OK;
    }
    return walk_from_store(store, index, walk);
}

/* What a batch of writes makes of the log. */
struct outcome {
    struct walk walk;
    struct walk base;
    uint32_t first; /* the writes before this one are gone with the log that a snapshot replaced */
    struct raft_hard_state hard_state;
};

/* NULL: none in the list. */
static const struct log_snapshot *snapshot_at(const struct log_store *store, raft_index index)
{
    for (uint32_t i = 0; i < store->snapshots_count; i++) {
        if (store->snapshots[i].id.index == index) {
            return &store->snapshots[i];
        }
    }
    return NULL;
}

/* The log gives way to a snapshot, whatever is in it (pitfall 62). */
static void snapshot_check(const struct log_store *store, const struct raft_snapshot *snapshot,
                           uint32_t i, struct outcome *outcome)
{
    const struct log_snapshot *noted = snapshot_at(store, snapshot->id.index);

    RK_ASSERT(noted != NULL);
    RK_ASSERT(noted->id.term == snapshot->id.term);
    outcome->walk = walk_at(noted->id, noted->chain);
    outcome->base = outcome->walk;
    outcome->first = i;
}

/* Steps back to the entry before the cut of writes[i], if it has one. */
static enum rk_status cut_check(struct log_store *store, const struct raft_write *const *writes,
                                uint32_t i, struct outcome *outcome)
{
    const raft_index from = writes[i]->truncate_from;

    if (from == 0) {
        return RK_OK;
    }
    RK_ASSERT(from > outcome->base.id.index);
    RK_ASSERT(from <= outcome->walk.id.index);
    if (from - 1 == outcome->base.id.index) {
        outcome->walk = outcome->base;
        return RK_OK;
    }
    return walk_to(store, writes, outcome->first, i, from - 1, &outcome->walk);
}

/* Walks over writes[i], which must be legal where it stands. */
static enum rk_status write_check(struct log_store *store, const struct raft_write *const *writes,
                                  uint32_t i, struct outcome *outcome)
{
    const struct raft_write *write = writes[i];

    RK_ASSERT(write->entries_count <= RAFT_WRITE_ENTRIES_MAX);
    if (write->has_hard_state) {
        hard_state_check(&outcome->hard_state, &write->hard_state);
        outcome->hard_state = write->hard_state;
    }
    if (write->snapshot != NULL) {
        snapshot_check(store, write->snapshot, i, outcome);
    }
    const enum rk_status status = cut_check(store, writes, i, outcome);
    if (status != RK_OK) {
        return status;
    }
    for (uint32_t j = 0; j < write->entries_count; j++) {
        entry_check(&outcome->walk, &write->entries[j]);
    }
    return RK_OK;
}

static enum rk_status writes_check(struct log_store *store, const struct raft_write *const *writes,
                                   uint32_t writes_count, struct outcome *outcome)
{
    enum rk_status status = RK_OK;

    for (uint32_t i = 0; status == RK_OK && i < writes_count; i++) {
        status = write_check(store, writes, i, outcome);
    }
    return status;
}

enum rk_status log_store_write(struct log_store *store, const struct raft_write *const *writes,
                               uint32_t writes_count)
{
    const struct log_bounds before = store->bounds;
    struct outcome after = {.walk = walk_at(before.last, before.last_chain),
                            .base = walk_at(before.base, before.base_chain),
                            .hard_state = store->hard_state};

    RK_ASSERT(writes_count > 0);
    if (store->has_failed) {
        return RK_IO;
    }
    bounds_check(&before);
    enum rk_status status = writes_check(store, writes, writes_count, &after);
    if (status == RK_OK) {
        status = store->ops->write(store, writes, writes_count);
    }
    if (status != RK_OK) {
        store->has_failed = true;
        return status;
    }
    store->bounds.base = after.base.id;
    store->bounds.base_chain = after.base.chain;
    store->bounds.last = after.walk.id;
    store->bounds.last_chain = after.walk.chain;
    store->hard_state = after.hard_state;
    bounds_check(&store->bounds);
    return RK_OK;
}

/* Checks the frames of entries first .. last that `bytes` must hold, no more and no less. */
static enum rk_status frames_check(struct rk_bytes bytes, raft_index first, raft_index last)
{
    struct walk walk = {.id = {0, first - 1}};
    struct raft_entry entry;

    while (bytes.size > 0) {
        if (walk_next(&walk, bytes, &entry) != RK_OK) {
            return RK_CORRUPT;
        }
        bytes.data += entry.frame.size;
        bytes.size -= entry.frame.size;
    }
    return walk.id.index == last ? RK_OK : RK_CORRUPT;
}

enum rk_status log_store_read(struct log_store *store, raft_index first, raft_index last,
                              size_t bytes_max, struct rk_buf *buf, raft_index *ret_last)
{
    const size_t start = buf->size;
    raft_index read_last = 0;

    RK_ASSERT(first > 0);
    RK_ASSERT(first <= last);
    if (store->has_failed) {
        return RK_IO;
    }
    if (first <= store->bounds.base.index) {
        return RK_COMPACTED;
    }
    if (last > store->bounds.last.index) {
        return RK_NOT_FOUND;
    }
    const enum rk_status status = store->ops->read(store, first, last, bytes_max, buf, &read_last);
    if (status != RK_OK) {
        return settle(store, status);
    }
    RK_ASSERT(read_last >= first && read_last <= last);
    const struct rk_bytes bytes = rk_buf_bytes(buf);
    const struct rk_bytes added = {bytes.data + start, bytes.size - (uint32_t)start};
    if (frames_check(added, first, read_last) != RK_OK) {
        return RK_CORRUPT;
    }
    *ret_last = read_last;
    return RK_OK;
}

/* ---- snapshots and what they replace ---- */

enum rk_status log_store_compact(struct log_store *store, raft_index index, uint32_t entries_max,
                                 bool *ret_is_more)
{
    struct log_bounds *bounds = &store->bounds;

    RK_ASSERT(entries_max > 0);
    RK_ASSERT(index <= bounds->last.index);
    RK_ASSERT(store->snapshots_count > 0);
    RK_ASSERT(index <= store->snapshots[store->snapshots_count - 1].id.index);
    if (store->has_failed) {
        return RK_IO;
    }
    *ret_is_more = false;
    if (index <= bounds->base.index) {
        return RK_OK;
    }
    const bool is_more = index - bounds->base.index > entries_max;
    struct walk base;
    enum rk_status status =
        walk_from_store(store, is_more ? bounds->base.index + entries_max : index, &base);
    if (status == RK_OK) {
        status = store->ops->compact(store, base.id, base.chain, !store->is_compacting);
    }
    if (status != RK_OK) {
        store->has_failed = true;
        return status;
    }
    bounds->base = base.id;
    bounds->base_chain = base.chain;
    bounds_check(bounds);
    store->is_compacting = is_more;
    *ret_is_more = is_more;
    return RK_OK;
}

void log_snapshots_push(struct log_store *store, const struct log_snapshot *snapshot)
{
    RK_ASSERT(store->snapshots_count < LOG_SNAPSHOTS_MAX);
    struct log_snapshot *kept = &store->snapshots[store->snapshots_count];
    uint8_t *config = rk_heap_alloc(snapshot->config.size);

    rk_bytes_copy(config, snapshot->config);
    *kept = *snapshot;
    kept->config.data = config;
    store->snapshots_count++;
}

static void snapshots_drop(struct log_store *store, uint32_t at)
{
    rk_heap_free((void *)(uintptr_t)store->snapshots[at].config.data);
    store->snapshots_count--;
    memmove(&store->snapshots[at], &store->snapshots[at + 1],
            (store->snapshots_count - at) * sizeof(store->snapshots[0]));
}

enum rk_status log_store_add_snapshot(struct log_store *store, const struct log_snapshot *snapshot)
{
    RK_ASSERT(snapshot->id.index > 0);
    RK_ASSERT(snapshot->config_index <= snapshot->id.index);
    RK_ASSERT(snapshot->config.size > 0);
    RK_ASSERT(snapshot->config.size <= LOG_SNAPSHOT_CONFIG_SIZE_MAX);
    RK_ASSERT(store->snapshots_count < LOG_SNAPSHOTS_MAX);
    if (store->snapshots_count > 0) {
        RK_ASSERT(snapshot->id.index > store->snapshots[store->snapshots_count - 1].id.index);
    }
    if (store->has_failed) {
        return RK_IO;
    }
    const enum rk_status status = store->ops->add_snapshot(store, snapshot);
    store->has_failed = status != RK_OK;
    if (status == RK_OK) {
        log_snapshots_push(store, snapshot);
    }
    return status;
}

enum rk_status log_store_remove_snapshot(struct log_store *store, raft_index index)
{
    const struct log_snapshot *snapshot = snapshot_at(store, index);

    if (store->has_failed) {
        return RK_IO;
    }
    if (snapshot == NULL) {
        return RK_OK;
    }
    const enum rk_status status = store->ops->remove_snapshot(store, index);
    store->has_failed = status != RK_OK;
    if (status == RK_OK) {
        snapshots_drop(store, (uint32_t)(snapshot - store->snapshots));
    }
    return status;
}

enum rk_status log_store_forget(struct log_store *store)
{
    if (store->has_failed) {
        return RK_IO;
    }
    const enum rk_status status = store->ops->forget(store);
    store->has_failed = status != RK_OK;
    if (status == RK_OK) {
        store->bounds = (struct log_bounds){0};
        store->is_compacting = false;
    }
    return status;
}

enum rk_status log_store_maintain(struct log_store *store)
{
    if (store->has_failed) {
        return RK_IO;
    }
    const enum rk_status status = store->ops->maintain(store);
    store->has_failed = status != RK_OK;
    return status;
}

struct scan {
    log_store_visit *on_entry;
    void *context;
    struct walk walk;
    raft_index index; /* of the entry that is looked at: the bad one when it ends here */
    struct rk_buf buf;
};

/* Walks over the frames that were read. */
static enum rk_status scan_frames(struct scan *scan)
{
    struct rk_bytes bytes = rk_buf_bytes(&scan->buf);

    while (bytes.size > 0) {
        struct raft_entry entry;
        scan->index = scan->walk.id.index + 1;
        enum rk_status status = walk_next(&scan->walk, bytes, &entry);
        if (status == RK_OK) {
            status = scan->on_entry(scan->context, &entry);
        }
        if (status != RK_OK) {
            return status;
        }
        bytes.data += entry.frame.size;
        bytes.size -= entry.frame.size;
    }
    scan->index = scan->walk.id.index + 1;
    return RK_OK;
}

/* ops->read and not log_store_read(): when the store cannot read an entry, those before it in the
 * chunk still tell which one that is. */
static enum rk_status scan_chunk(struct log_store *store, struct scan *scan)
{
    const raft_index first = scan->walk.id.index + 1;
    raft_index read_last = 0;

    scan->index = first;
    rk_buf_reset(&scan->buf);
    const enum rk_status read_status = store->ops->read(store, first, store->bounds.last.index,
                                                        SCAN_CHUNK_SIZE, &scan->buf, &read_last);
    const enum rk_status status = scan_frames(scan);
    if (status != RK_OK) {
        return status;
    }
    if (read_status != RK_OK) {
        return read_status == RK_TOO_LARGE ? RK_CORRUPT : settle(store, read_status);
    }
    return scan->walk.id.index == read_last ? RK_OK : RK_CORRUPT;
}

enum rk_status log_store_scan(struct log_store *store, log_store_visit *on_entry, void *context,
                              raft_index *ret_bad_index)
{
    const struct log_bounds *bounds = &store->bounds;
    struct scan scan = {
        .on_entry = on_entry,
        .context = context,
        .walk = {.id = bounds->base, .chain = bounds->base_chain, .has_chain = true}};
    enum rk_status status = RK_OK;

    if (store->has_failed) {
        return RK_IO;
    }
    bounds_check(bounds);
    rk_buf_init(&scan.buf, SCAN_CHUNK_SIZE + RK_FRAME_SIZE_MAX);
    while (status == RK_OK && scan.walk.id.index < bounds->last.index) {
        status = scan_chunk(store, &scan);
    }
    rk_buf_done(&scan.buf);
    if (status == RK_OK && scan.walk.chain != bounds->last_chain) {
        scan.index = bounds->last.index;
        status = RK_CORRUPT;
    }
    if (status != RK_OK) {
        *ret_bad_index = scan.index;
    }
    return status;
}

void log_store_close(struct log_store *store)
{
    if (store == NULL) {
        return;
    }
    while (store->snapshots_count > 0) {
        snapshots_drop(store, store->snapshots_count - 1);
    }
    store->ops->close(store);
}
