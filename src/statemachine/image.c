/* The body of a record; integers are little-endian:
 *
 *   SM_IMAGE_NUMBERS, first and once           the tables, entry after entry in the order of keys
 *     0  u32 version, 1                          0  u32 key_size
 *     4  u32 count of numbers, 6                 4  u32 value_size
 *     8  u64 last_applied                        8  u64 flags
 *    16  u64 kv_index                           16  u64 create_index
 *    24  u64 tombstone_floor                    24  u64 modify_index
 *    32  u64 session_index                      32  u64 lock_index
 *    40  u64 time_ms, cluster time              40  key, value
 *    48  u64 digest of the whole state
 *
 *   SM_IMAGE_HISTORY, last, from the second feature level on: history_image.c
 *
 *   SM_IMAGE_FEATURE_LEVEL, unless it is the first one
 *     0  u32 level
 *
 * Types rise; an empty table has no record. A record ends with the entry that makes it
 * SM_IMAGE_RECORD_SIZE_TARGET bytes or more, or with the last one of its table.
 */
#include "statemachine/image.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/heap.h"
#include "base/le.h"
#include "statemachine/catalog.h"
#include "statemachine/feature.h"
#include "statemachine/sm_internal.h"

enum {
    NUMBERS_VERSION = 1,
    NUMBERS_COUNT = 6,
    NUMBERS_SIZE = 8 + NUMBERS_COUNT * 8,
    ENTRY_FIXED_SIZE = 40,
};

_Static_assert(SM_IMAGE_ENTRY_SIZE_MAX == ENTRY_FIXED_SIZE + RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX,
               "the largest entry fits a record");

/* One map of the state machine, or what is one record. */
struct table {
    uint8_t type;
    size_t root_offset; /* in struct sm_root: const struct omap_node * */
    size_t map_offset;  /* in struct sm: struct omap */
    bool (*is_legal)(const struct omap_entry *entry);

    /* One record: appends its body, unless there is nothing to say. NULL: a map. */
    void (*append)(struct rk_buf *buf, const struct sm_root *root);
    enum rk_status (*read)(struct sm *sm, struct rk_bytes body);
};

static bool kv_is_legal(const struct omap_entry *entry)
{
    return entry->key.size > 0;
}

static bool tombstone_is_legal(const struct omap_entry *entry)
{
    return entry->value.size == 0 && entry->flags == 0 &&
           entry->create_index == entry->modify_index && entry->lock_index <= entry->modify_index;
}

/* Of a key that is locked too, which the reader's end looks at. */
static bool lock_is_legal(const struct omap_entry *entry)
{
    return entry->key.size > 0 && entry->value.size == SESSION_ID_SIZE && entry->flags == 0 &&
           entry->create_index == entry->modify_index && entry->lock_index == 0;
}

static bool delay_is_legal(const struct omap_entry *entry)
{
    return entry->key.size > 0 && entry->value.size == 0 && entry->flags > 0 &&
           entry->create_index == entry->modify_index && entry->lock_index == 0;
}

static bool session_is_legal(const struct omap_entry *entry)
{
    struct session_record record;

    return entry->key.size == SESSION_ID_SIZE && entry->lock_index >= entry->modify_index &&
           session_record_decode(entry->value, &record) == RK_OK &&
           (record.ttl_ms > 0) == (entry->flags > 0);
}

/* Behind the fingerprint, a result. */
static bool token_is_legal(const struct omap_entry *entry)
{
    enum { FINGERPRINT_SIZE = 16 };
    struct sm_result result;

    if (entry->key.size == 0 || entry->key.size > SM_TOKEN_SIZE_MAX || entry->flags == 0 ||
        entry->lock_index != 0 || entry->value.size < FINGERPRINT_SIZE) {
        return false;
    }
    sm_result_init(&result);
    const bool is_result =
        sm_result_decode((struct rk_bytes){.data = entry->value.data + FINGERPRINT_SIZE,
                                           .size = entry->value.size - FINGERPRINT_SIZE},
                         &result) == RK_OK;
    sm_result_done(&result);
    return is_result;
}

/* Of a key that is there, which the reader's end looks at. */
static bool ttl_is_legal(const struct omap_entry *entry)
{
    return entry->key.size > 0 && entry->value.size == 0 && entry->flags > 0 &&
           entry->create_index == entry->modify_index && entry->lock_index > 0 &&
           entry->lock_index <= SM_KEY_TTL_MS_MAX;
}

static void feature_level_append(struct rk_buf *buf, const struct sm_root *root)
{
    uint8_t level[4];

    if (root->feature_level > FEATURE_LEVEL_FIRST) {
        rk_le_put_u32(level, root->feature_level);
        rk_buf_append(buf, level, sizeof(level));
    }
}

/* What this version cannot read is for the node to refuse, by name. */
static enum rk_status feature_level_read(struct sm *sm, struct rk_bytes body)
{
    if (body.size != 4 || rk_le_u32(body.data) <= FEATURE_LEVEL_FIRST) {
        return RK_CORRUPT;
    }
    sm->feature_level = rk_le_u32(body.data);
    return RK_OK;
}

static const struct table tables[] = {
    {.type = SM_IMAGE_KV,
     .root_offset = offsetof(struct sm_root, kv),
     .map_offset = offsetof(struct sm, kv),
     .is_legal = kv_is_legal},
    {.type = SM_IMAGE_TOMBSTONES,
     .root_offset = offsetof(struct sm_root, tombstones),
     .map_offset = offsetof(struct sm, tombstones.young),
     .is_legal = tombstone_is_legal},
    {.type = SM_IMAGE_TOMBSTONES_OLD,
     .root_offset = offsetof(struct sm_root, tombstones_old),
     .map_offset = offsetof(struct sm, tombstones.old),
     .is_legal = tombstone_is_legal},
    {.type = SM_IMAGE_LOCKS,
     .root_offset = offsetof(struct sm_root, locks),
     .map_offset = offsetof(struct sm, locks),
     .is_legal = lock_is_legal},
    {.type = SM_IMAGE_DELAYS,
     .root_offset = offsetof(struct sm_root, delays),
     .map_offset = offsetof(struct sm, delays),
     .is_legal = delay_is_legal},
    {.type = SM_IMAGE_SESSIONS,
     .root_offset = offsetof(struct sm_root, sessions),
     .map_offset = offsetof(struct sm, sessions),
     .is_legal = session_is_legal},
    {.type = SM_IMAGE_TOKENS,
     .root_offset = offsetof(struct sm_root, tokens),
     .map_offset = offsetof(struct sm, tokens),
     .is_legal = token_is_legal},
    {.type = SM_IMAGE_TTLS,
     .root_offset = offsetof(struct sm_root, ttls),
     .map_offset = offsetof(struct sm, ttls),
     .is_legal = ttl_is_legal},
    {.type = SM_IMAGE_CATALOG,
     .root_offset = offsetof(struct sm_root, catalog),
     .map_offset = offsetof(struct sm, catalog),
     .is_legal = sm_catalog_entry_is_legal},
    {.type = SM_IMAGE_FEATURE_LEVEL, .append = feature_level_append, .read = feature_level_read},
};
enum { TABLES_COUNT = sizeof(tables) / sizeof(tables[0]) };

static const struct omap_node *table_root(const struct table *table, const struct sm_root *root)
{
    return *(const struct omap_node *const *)(const void *)((const uint8_t *)root +
                                                            table->root_offset);
}

static struct omap *table_map(const struct table *table, struct sm *sm)
{
    return (struct omap *)(void *)((uint8_t *)sm + table->map_offset);
}

/* --- writing --- */

static void append_u32(struct rk_buf *buf, uint32_t value)
{
    uint8_t *to = rk_buf_extend(buf, sizeof(value));
    if (to != NULL) {
        rk_le_put_u32(to, value);
    }
}

static void append_u64(struct rk_buf *buf, uint64_t value)
{
    uint8_t *to = rk_buf_extend(buf, sizeof(value));
    if (to != NULL) {
        rk_le_put_u64(to, value);
    }
}

static void append_numbers(struct rk_buf *buf, const struct sm_root *root)
{
    append_u32(buf, NUMBERS_VERSION);
    append_u32(buf, NUMBERS_COUNT);
    append_u64(buf, root->last_applied);
    append_u64(buf, root->kv_index);
    append_u64(buf, root->tombstone_floor);
    append_u64(buf, root->session_index);
    append_u64(buf, root->time_ms);
    append_u64(buf, sm_digest(root));
}

static void append_entry(struct sm_image_writer *writer, struct rk_buf *buf)
{
    const struct omap_item *item = writer->place.item;
    struct omap_entry entry;

    omap_item_read(item, &entry);
    if (!omap_item_is_whole(item)) {
        writer->damaged_index = entry.modify_index > 0 ? entry.modify_index : 1;
    }
    append_u32(buf, entry.key.size);
    append_u32(buf, entry.value.size);
    append_u64(buf, entry.flags);
    append_u64(buf, entry.create_index);
    append_u64(buf, entry.modify_index);
    append_u64(buf, entry.lock_index);
    rk_buf_append(buf, entry.key.data, entry.key.size);
    rk_buf_append(buf, entry.value.data, entry.value.size);
}

void sm_image_writer_init(struct sm_image_writer *writer, const struct sm_root *root)
{
    *writer = (struct sm_image_writer){.root = *root};
    if (root->feature_level > FEATURE_LEVEL_FIRST) { /* else who reads it may not know it */
        sm_history_writer_init(&writer->history, &root->history);
    }
}

/* Stands before the first entry of the next table that has one. False: there is none. */
static bool writer_enter(struct sm_image_writer *writer)
{
    while (writer->table <= TABLES_COUNT) {
        if (tables[writer->table - 1].append != NULL) {
            return true;
        }
        if (!writer->has_place) {
            const struct omap_cut start = {.side = OMAP_BEFORE};
            const struct omap_node *root = table_root(&tables[writer->table - 1], &writer->root);
            writer->place = omap_first_after(root, start);
            writer->has_place = true;
        }
        if (writer->place.item != NULL) {
            return true;
        }
        writer->has_place = false;
        writer->table++;
    }
    return false;
}

static void append_entries(struct sm_image_writer *writer, const struct table *table,
                           struct rk_buf *buf)
{
    const size_t start = buf->size;
    const struct omap_node *root = table_root(table, &writer->root);

    do {
        append_entry(writer, buf);
        writer->place = omap_next(root, writer->place);
    } while (writer->place.item != NULL && !buf->overflowed &&
             buf->size - start < SM_IMAGE_RECORD_SIZE_TARGET);
}

bool sm_image_write(struct sm_image_writer *writer, struct rk_buf *buf, uint8_t *ret_type)
{
    const size_t start = buf->size;

    if (writer->table == 0) {
        append_numbers(buf, &writer->root);
        writer->table = 1;
        *ret_type = SM_IMAGE_NUMBERS;
        return true;
    }
    while (writer_enter(writer)) {
        const struct table *table = &tables[writer->table - 1];
        if (table->append == NULL) {
            append_entries(writer, table, buf);
        } else {
            table->append(buf, &writer->root);
            writer->table++;
        }
        if (buf->size > start || buf->overflowed) {
            *ret_type = table->type;
            return true;
        }
    }
    if (!sm_history_write(&writer->history, buf)) {
        return false;
    }
    *ret_type = SM_IMAGE_HISTORY;
    return true;
}

/* --- reading --- */

struct sm_image_reader {
    struct sm *sm;
    uint64_t digest;     /* as the numbers say */
    uint8_t type;        /* of the last record; 0: none yet */
    uint32_t size;       /* of its body */
    struct rk_buf after; /* the last key taken in from this table */
    bool has_after;
    bool has_failed;
    raft_index last_applied;          /* of the image */
    struct sm_image_restore *restore; /* NULL: what is read is built as it is */
};

struct sm_image_reader *sm_image_reader_new(void)
{
    struct sm_image_reader *reader = rk_heap_zalloc(1, sizeof(*reader));

    reader->sm = sm_new();
    rk_buf_init(&reader->after, RK_KEY_SIZE_MAX);
    return reader;
}

struct sm_image_reader *sm_image_reader_new_restoring(struct sm_image_restore *restore)
{
    struct sm_image_reader *reader = sm_image_reader_new();

    reader->restore = restore;
    return reader;
}

struct sm *sm_image_reader_take(struct sm_image_reader *reader)
{
    struct sm *sm = reader->sm;

    reader->sm = NULL;
    return sm;
}

void sm_image_reader_free(struct sm_image_reader *reader)
{
    if (reader != NULL) {
        sm_free(reader->sm);
        rk_buf_done(&reader->after);
        rk_heap_free(reader);
    }
}

static enum rk_status read_numbers(struct sm_image_reader *reader, struct rk_bytes body)
{
    struct sm *sm = reader->sm;

    if (body.size != NUMBERS_SIZE || rk_le_u32(body.data) != NUMBERS_VERSION ||
        rk_le_u32(body.data + 4) != NUMBERS_COUNT) {
        return RK_CORRUPT;
    }
    sm->last_applied = rk_le_u64(body.data + 8);
    sm->kv_index = rk_le_u64(body.data + 16);
    sm->tombstones.floor = rk_le_u64(body.data + 24);
    sm->session_index = rk_le_u64(body.data + 32);
    sm->time_ms = rk_le_u64(body.data + 40);
    reader->digest = rk_le_u64(body.data + 48);
    reader->last_applied = sm->last_applied;
    if (reader->restore != NULL) {
        reader->restore->image_time_ms = sm->time_ms;
    }
    sm_history_begin_after(&sm->history, sm->last_applied);
    return sm->kv_index <= sm->last_applied && sm->tombstones.floor <= sm->kv_index ? RK_OK
                                                                                    : RK_CORRUPT;
}

/* Takes one entry off the front of `rest`. */
static enum rk_status take_entry(struct rk_bytes *rest, struct omap_entry *ret)
{
    if (rest->size < ENTRY_FIXED_SIZE) {
        return RK_CORRUPT;
    }
    const uint8_t *from = rest->data;
    const uint32_t key_size = rk_le_u32(from);
    const uint32_t value_size = rk_le_u32(from + 4);
    if (key_size > RK_KEY_SIZE_MAX || value_size > RK_VALUE_SIZE_MAX ||
        rest->size - ENTRY_FIXED_SIZE < key_size + value_size) {
        return RK_CORRUPT;
    }
    *ret = (struct omap_entry){
        .key = {.data = from + ENTRY_FIXED_SIZE, .size = key_size},
        .value = {.data = from + ENTRY_FIXED_SIZE + key_size, .size = value_size},
        .flags = rk_le_u64(from + 8),
        .create_index = rk_le_u64(from + 16),
        .modify_index = rk_le_u64(from + 24),
        .lock_index = rk_le_u64(from + 32),
    };
    rest->data += ENTRY_FIXED_SIZE + key_size + value_size;
    rest->size -= ENTRY_FIXED_SIZE + key_size + value_size;
    return RK_OK;
}

static bool is_legal(const struct sm_image_reader *reader, const struct table *table,
                     const struct omap_entry *entry)
{
    return entry->create_index > 0 && entry->create_index <= entry->modify_index &&
           entry->modify_index <= reader->last_applied &&
           (!reader->has_after ||
            omap_bytes_compare(rk_buf_bytes(&reader->after), entry->key) < 0) &&
           table->is_legal(entry);
}

static void keep(struct sm_image_reader *reader, const struct table *table,
                 struct omap_entry *entry)
{
    if (reader->restore != NULL) {
        sm_restore_adapt(reader->restore, table->type, entry);
        sm_restore_follow(reader->sm, table->type, entry);
    }
    omap_put(table_map(table, reader->sm), entry);
}

static enum rk_status read_entries(struct sm_image_reader *reader, const struct table *table,
                                   struct rk_bytes body)
{
    struct rk_bytes rest = body;

    do {
        struct omap_entry entry;
        const uint32_t taken = body.size - rest.size;
        if (taken >= SM_IMAGE_RECORD_SIZE_TARGET || take_entry(&rest, &entry) != RK_OK ||
            !is_legal(reader, table, &entry)) {
            return RK_CORRUPT;
        }
        keep(reader, table, &entry);
        rk_buf_reset(&reader->after);
        rk_buf_append(&reader->after, entry.key.data, entry.key.size);
        reader->has_after = true;
    } while (rest.size > 0);
    return RK_OK;
}

/* NULL: no table has this type. */
static const struct table *table_of(uint8_t type)
{
    for (uint32_t i = 0; i < TABLES_COUNT; i++) {
        if (tables[i].type == type) {
            return &tables[i];
        }
    }
    return NULL;
}

static enum rk_status read_record(struct sm_image_reader *reader, uint8_t type,
                                  struct rk_bytes body)
{
    if (reader->type == 0 || type == SM_IMAGE_NUMBERS) {
        return reader->type == 0 && type == SM_IMAGE_NUMBERS ? read_numbers(reader, body)
                                                             : RK_CORRUPT;
    }
    if (type == SM_IMAGE_HISTORY) {
        if (type == reader->type && reader->size < SM_HISTORY_RECORD_SIZE) {
            return RK_CORRUPT;
        }
        return sm_history_read(&reader->sm->history, body, reader->last_applied);
    }
    const struct table *table = table_of(type);
    if (table == NULL || type < reader->type ||
        (type == reader->type && reader->size < SM_IMAGE_RECORD_SIZE_TARGET)) {
        return RK_CORRUPT;
    }
    if (table->read != NULL) {
        return type > reader->type ? table->read(reader->sm, body) : RK_CORRUPT;
    }
    reader->has_after = reader->has_after && type == reader->type;
    return read_entries(reader, table, body);
}

enum rk_status sm_image_read(struct sm_image_reader *reader, uint8_t type, struct rk_bytes body)
{
    if (!reader->has_failed) {
        reader->has_failed = read_record(reader, type, body) != RK_OK;
        reader->type = type;
        reader->size = body.size;
    }
    return reader->has_failed ? RK_CORRUPT : RK_OK;
}

/* What is locked is there, and by a session that is there. */
static bool locks_are_legal(const struct sm *sm)
{
    const struct omap_cut start = {.side = OMAP_BEFORE};
    struct omap_entry entry;

    for (struct omap_place at = omap_first_after(sm->locks.root, start); at.item != NULL;
         at = omap_next(sm->locks.root, at)) {
        omap_item_read(at.item, &entry);
        if (omap_find(sm->kv.root, entry.key) == NULL ||
            omap_find(sm->sessions.root, entry.value) == NULL) {
            return false;
        }
    }
    return true;
}

/* What ends by itself is there. */
static bool ttls_are_legal(const struct sm *sm)
{
    const struct omap_cut start = {.side = OMAP_BEFORE};
    struct omap_entry entry;

    for (struct omap_place at = omap_first_after(sm->ttls.root, start); at.item != NULL;
         at = omap_next(sm->ttls.root, at)) {
        omap_item_read(at.item, &entry);
        if (omap_find(sm->kv.root, entry.key) == NULL) {
            return false;
        }
    }
    return true;
}

enum rk_status sm_image_finish(struct sm_image_reader *reader, struct sm **ret)
{
    if (reader->has_failed || reader->type == 0 ||
        !sm_tombstones_are_legal(&reader->sm->tombstones) || !locks_are_legal(reader->sm) ||
        !ttls_are_legal(reader->sm)) {
        return RK_CORRUPT;
    }
    sm_lock_rebuild(reader->sm);
    sm_once_rebuild(reader->sm);
    sm_catalog_rebuild(reader->sm);
    sm_deadline_rebuild(reader->sm);
    const struct sm_root root = sm_publish(reader->sm);
    if (sm_digest(&root) != reader->digest) {
        return RK_CORRUPT;
    }
    *ret = reader->sm;
    reader->sm = NULL;
    return RK_OK;
}
