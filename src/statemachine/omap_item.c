#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "base/le.h"
#include "base/limits.h"
#include "statemachine/omap_node.h"

_Static_assert(OMAP_KEY_SIZE_MAX <= UINT16_MAX, "omap_item.key_size holds a key's size");

static size_t item_size(const struct omap_item *item)
{
    return offsetof(struct omap_item, bytes) + item->key_offset + item->key_size + item->value_size;
}

static const uint8_t *item_key_bytes(const struct omap_item *item)
{
    return &item->bytes[item->key_offset];
}

struct rk_bytes omap_item_key(const struct omap_item *item)
{
    return (struct rk_bytes){.data = item_key_bytes(item), .size = item->key_size};
}

static uint64_t item_extra(const struct omap_item *item, enum omap_extra extra, uint64_t usual)
{
    if ((item->extras & extra) == 0) {
        return usual;
    }
    size_t offset = 0;
    for (uint32_t before = OMAP_EXTRA_FLAGS; before < (uint32_t)extra; before <<= 1) {
        offset += (item->extras & before) != 0 ? sizeof(uint64_t) : 0;
    }
    uint64_t value;
    memcpy(&value, &item->bytes[offset], sizeof(value));
    return value;
}

static void item_extra_add(struct omap_item *item, enum omap_extra extra, uint64_t value)
{
    memcpy(&item->bytes[item->key_offset], &value, sizeof(value));
    item->extras = (uint8_t)(item->extras | extra);
    item->key_offset = (uint8_t)(item->key_offset + sizeof(value));
}

/* One step of the hash: for a given state no two words, and for a given word no two states, lead
 * to the same result, so that a single differing word is never lost. */
static uint64_t hash_word(uint64_t state, uint64_t word)
{
    state = (state ^ word) * UINT64_C(0x9fb21c651e98df25);
    return state ^ (state >> 29);
}

static uint64_t hash_bytes(uint64_t state, struct rk_bytes bytes)
{
    state = hash_word(state, bytes.size);
    uint32_t at = 0;
    for (; bytes.size - at >= sizeof(uint64_t); at += (uint32_t)sizeof(uint64_t)) {
        state = hash_word(state, rk_le_u64(&bytes.data[at]));
    }
    uint64_t rest = 0;
    for (uint32_t shift = 0; at < bytes.size; at++, shift += 8) {
        rest |= (uint64_t)bytes.data[at] << shift;
    }
    return hash_word(state, rest);
}

static uint64_t entry_hash(const struct omap_entry *entry)
{
    uint64_t state = UINT64_C(0x2545f4914f6cdd1d);
    state = hash_word(state, entry->flags);
    state = hash_word(state, entry->create_index);
    state = hash_word(state, entry->modify_index);
    state = hash_word(state, entry->lock_index);
    state = hash_bytes(state, entry->key);
    state = hash_bytes(state, entry->value);
    state = hash_word(state, 0); /* spreads the last bytes over all bits: the sum needs it */
    return hash_word(state, 0);
}

static void bytes_copy(uint8_t *to, struct rk_bytes bytes)
{
    if (bytes.size > 0) {
        rk_bytes_copy(to, bytes);
    }
}

struct omap_item *omap_item_new(struct omap_heap *heap, const struct omap_entry *entry)
{
    RK_ASSERT(entry->key.size <= OMAP_KEY_SIZE_MAX);
    const size_t extras_count = (size_t)(entry->flags != 0) +
                                (size_t)(entry->create_index != entry->modify_index) +
                                (size_t)(entry->lock_index != 0);
    const size_t size = offsetof(struct omap_item, bytes) + extras_count * sizeof(uint64_t) +
                        entry->key.size + entry->value.size;
    struct omap_item *item = rk_heap_alloc(size);
    item->modify_index = entry->modify_index;
    item->digest = entry_hash(entry);
    item->key_size = (uint16_t)entry->key.size;
    item->value_size = entry->value.size;
    item->extras = 0;
    item->key_offset = 0;
    if (entry->flags != 0) {
        item_extra_add(item, OMAP_EXTRA_FLAGS, entry->flags);
    }
    if (entry->create_index != entry->modify_index) {
        item_extra_add(item, OMAP_EXTRA_CREATE, entry->create_index);
    }
    if (entry->lock_index != 0) {
        item_extra_add(item, OMAP_EXTRA_LOCK, entry->lock_index);
    }
    bytes_copy(&item->bytes[item->key_offset], entry->key);
    bytes_copy(&item->bytes[item->key_offset + item->key_size], entry->value);
    RK_ASSERT(item_size(item) == size);
    heap->memory += size;
    return item;
}

struct omap_item *omap_separator_new(struct omap_heap *heap, const struct omap_item *left,
                                     const struct omap_item *right)
{
    const uint8_t *left_key = item_key_bytes(left);
    const uint8_t *right_key = item_key_bytes(right);
    uint32_t common = 0;
    while (common < left->key_size && common < right->key_size &&
           left_key[common] == right_key[common]) {
        common++;
    }
    RK_ASSERT(common < right->key_size); /* left < right */
    const uint32_t size = common + 1;
    struct omap_item *item = rk_heap_alloc(offsetof(struct omap_item, bytes) + size);
    *item = (struct omap_item){.key_size = (uint16_t)size};
    memcpy(item->bytes, right_key, size);
    heap->memory += item_size(item);
    return item;
}

void omap_item_free(struct omap_heap *heap, struct omap_item *item)
{
    if (item != NULL) {
        heap->memory -= item_size(item);
        rk_heap_free(item);
    }
}

bool omap_item_is_whole(const struct omap_item *item)
{
    struct omap_entry entry;

    omap_item_read(item, &entry);
    return entry_hash(&entry) == item->digest;
}

void omap_item_read(const struct omap_item *item, struct omap_entry *ret)
{
    const uint8_t *key = item_key_bytes(item);
    *ret = (struct omap_entry){
        .key = {.data = key, .size = item->key_size},
        .value = {.data = &key[item->key_size], .size = item->value_size},
        .flags = item_extra(item, OMAP_EXTRA_FLAGS, 0),
        .create_index = item_extra(item, OMAP_EXTRA_CREATE, item->modify_index),
        .modify_index = item->modify_index,
        .lock_index = item_extra(item, OMAP_EXTRA_LOCK, 0),
    };
}

int omap_bytes_compare(struct rk_bytes a, struct rk_bytes b)
{
    const uint32_t common = a.size < b.size ? a.size : b.size;
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

bool omap_cut_is_above(struct omap_cut cut, const struct omap_item *item)
{
    const uint32_t common = item->key_size < cut.key.size ? item->key_size : cut.key.size;
    const int order = common == 0 ? 0 : memcmp(item_key_bytes(item), cut.key.data, common);
    if (order != 0) {
        return order < 0;
    }
    if (item->key_size == cut.key.size) {
        return cut.side != OMAP_BEFORE;
    }
    return item->key_size < cut.key.size || cut.side == OMAP_AFTER_PREFIX;
}
