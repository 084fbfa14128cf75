#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "statemachine/feature.h"
#include "statemachine/omap.h"
#include "statemachine/query.h"
#include "statemachine/tombstones.h"

/* A key that was never locked is not looked for among the locks. */
static void lock_read(const struct sm_root *root, struct sm_kv_entry *entry)
{
    struct omap_entry lock;
    const struct omap_item *item =
        entry->lock_index > 0 ? omap_find(root->locks, entry->key) : NULL;

    if (item != NULL) {
        omap_item_read(item, &lock);
        entry->is_locked = true;
        memcpy(entry->session.bytes, lock.value.data, SESSION_ID_SIZE);
    }
}

/* Where no key ends by itself, none is looked for among those that do. */
static void ttl_read(const struct sm_root *root, struct sm_kv_entry *entry)
{
    struct omap_entry ttl;
    const struct omap_item *item = root->ttls != NULL ? omap_find(root->ttls, entry->key) : NULL;

    if (item != NULL) {
        omap_item_read(item, &ttl);
        entry->ttl_ms = ttl.lock_index;
    }
}

static void kv_entry_read(const struct sm_root *root, const struct omap_item *item,
                          struct sm_kv_entry *ret)
{
    struct omap_entry entry;
    omap_item_read(item, &entry);
    *ret = (struct sm_kv_entry){
        .key = entry.key,
        .value = entry.value,
        .flags = entry.flags,
        .create_index = entry.create_index,
        .modify_index = entry.modify_index,
        .lock_index = entry.lock_index,
    };
    lock_read(root, ret);
    ttl_read(root, ret);
}

bool sm_kv_get(const struct sm_root *root, struct rk_bytes key, struct sm_kv_entry *ret)
{
    const struct omap_item *item = omap_find(root->kv, key);
    if (item == NULL) {
        return false;
    }
    kv_entry_read(root, item, ret);
    return true;
}

/* --- cursor --- */

void sm_kv_cursor_init(struct sm_kv_cursor *cursor, const struct sm_root *root,
                       struct rk_bytes prefix)
{
    *cursor =
        (struct sm_kv_cursor){.root = root, .prefix = prefix, .after = prefix, .inclusive = true};
}

static bool has_prefix(struct rk_bytes key, struct rk_bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

static struct omap_place cursor_advance(const struct sm_kv_cursor *cursor)
{
    if (cursor->leaf == NULL) {
        const struct omap_cut cut = {.key = cursor->after,
                                     .side = cursor->inclusive ? OMAP_BEFORE : OMAP_AFTER};
        return omap_first_after(cursor->root->kv, cut);
    }
    return omap_next(cursor->root->kv, omap_place_at(cursor->leaf, cursor->slot));
}

bool sm_kv_cursor_next(struct sm_kv_cursor *cursor, struct sm_kv_entry *ret)
{
    const struct omap_place place = cursor_advance(cursor);
    if (place.item == NULL) {
        return false;
    }
    struct sm_kv_entry entry;
    kv_entry_read(cursor->root, place.item, &entry);
    if (!has_prefix(entry.key, cursor->prefix)) {
        return false;
    }
    cursor->started = true;
    cursor->after = entry.key;
    cursor->inclusive = false;
    cursor->leaf = place.leaf;
    cursor->slot = place.slot;
    *ret = entry;
    return true;
}

void sm_kv_cursor_seek(struct sm_kv_cursor *cursor, struct rk_bytes key)
{
    if (omap_bytes_compare(key, cursor->after) <= 0) {
        return;
    }
    cursor->after = key;
    cursor->inclusive = true;
    cursor->leaf = NULL;
}

/* --- counts and indexes --- */

uint64_t sm_kv_count(const struct sm_root *root, struct rk_bytes prefix)
{
    return omap_prefix_total(root->kv, prefix).count;
}

static raft_index greater(raft_index a, raft_index b)
{
    return a > b ? a : b;
}

/* An index of 0 would tell clients not to wait. */
static raft_index kv_index(const struct sm_root *root)
{
    return greater(root->kv_index, 1);
}

raft_index sm_kv_index_of_key(const struct sm_root *root, struct rk_bytes key)
{
    struct sm_kv_entry entry;
    return sm_kv_get(root, key, &entry) ? entry.modify_index : kv_index(root);
}

raft_index sm_kv_index_of_prefix(const struct sm_root *root, struct rk_bytes prefix)
{
    raft_index index = omap_prefix_total(root->kv, prefix).index_max;
    index = greater(index, sm_tombstones_index(root->tombstones, prefix));
    index = greater(index, sm_tombstones_index(root->tombstones_old, prefix));
    return index == 0 ? kv_index(root) : greater(index, root->tombstone_floor);
}

/* --- sessions --- */

static void session_read(const struct omap_item *item, struct sm_session *ret)
{
    struct omap_entry entry;

    omap_item_read(item, &entry);
    *ret = (struct sm_session){.create_index = entry.create_index, .ends_ms = entry.flags};
    memcpy(ret->id.bytes, entry.key.data, SESSION_ID_SIZE);
    const enum rk_status status = session_record_decode(entry.value, &ret->record);
    RK_ASSERT(status == RK_OK);
}

static struct rk_bytes id_bytes(const struct session_id *id)
{
    return (struct rk_bytes){.data = id->bytes, .size = SESSION_ID_SIZE};
}

bool sm_session_get(const struct sm_root *root, const struct session_id *id, struct sm_session *ret)
{
    const struct omap_item *item = omap_find(root->sessions, id_bytes(id));

    if (item != NULL) {
        session_read(item, ret);
    }
    return item != NULL;
}

bool sm_session_next(const struct sm_root *root, const struct session_id *id,
                     struct sm_session *ret)
{
    const struct omap_cut start = {.side = OMAP_BEFORE};
    const struct omap_cut after = {.key = id != NULL ? id_bytes(id) : start.key,
                                   .side = OMAP_AFTER};
    const struct omap_place place = omap_first_after(root->sessions, id != NULL ? after : start);

    if (place.item != NULL) {
        session_read(place.item, ret);
    }
    return place.item != NULL;
}

raft_index sm_session_index(const struct sm_root *root)
{
    return greater(root->session_index, 1);
}

static uint64_t digest_step(uint64_t digest, uint64_t value)
{
    digest = (digest ^ value) * UINT64_C(0x9fb21c651e98df25);
    return digest ^ (digest >> 29);
}

uint64_t sm_digest(const struct sm_root *root)
{
    uint64_t digest = digest_step(0, omap_total(root->kv).digest);
    digest = digest_step(digest, omap_total(root->tombstones).digest);
    digest = digest_step(digest, omap_total(root->tombstones_old).digest);
    digest = digest_step(digest, omap_total(root->locks).digest);
    digest = digest_step(digest, omap_total(root->delays).digest);
    digest = digest_step(digest, omap_total(root->sessions).digest);
    digest = digest_step(digest, omap_total(root->tokens).digest);
    if (root->ttls !=
        NULL) { /* without it the digest is the one of images that know no such table */
        digest = digest_step(digest, omap_total(root->ttls).digest);
    }
    if (root->catalog != NULL) { /* nor this one */
        digest = digest_step(digest, omap_total(root->catalog).digest);
    }
    digest = digest_step(digest, root->kv_index);
    digest = digest_step(digest, root->session_index);
    digest = digest_step(digest, root->time_ms);
    digest = digest_step(digest, root->tombstone_floor);
    /* At the first level it is what versions before there were levels come to. */
    return root->feature_level > FEATURE_LEVEL_FIRST ? digest_step(digest, root->feature_level)
                                                     : digest;
}
