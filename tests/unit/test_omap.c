/* The ordered map against a slow model: a sorted array of keys and numbers. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/prng.h"
#include "statemachine/omap.h"
#include "statemachine/omap_node.h"
#include "support/quick.h"
#include "support/run.h"

enum { MODEL_MAX = 4096, KEY_MAX = 24 };

struct model_entry {
    uint8_t key[KEY_MAX];
    uint32_t key_size;
    uint64_t flags;
    uint64_t create_index;
    uint64_t modify_index;
};

struct model {
    struct model_entry entries[MODEL_MAX];
    uint32_t count;
};

static struct omap_heap heap;
static struct omap map;
static struct model *model;
static struct rk_prng prng;

static void setup(void)
{
    omap_heap_init(&heap, 1);
    omap_init(&map, &heap);
    model = rk_heap_zalloc(1, sizeof(*model));
    rk_prng_seed(&prng, 1);
}

static void teardown(void)
{
    omap_clear(&map);
    omap_heap_done(&heap);
    rk_heap_free(model);
}

/* --- the model --- */

static struct rk_bytes text(const char *chars)
{
    return (struct rk_bytes){.data = (const uint8_t *)chars, .size = (uint32_t)strlen(chars)};
}

static struct rk_bytes model_key(const struct model_entry *entry)
{
    return (struct rk_bytes){.data = entry->key, .size = entry->key_size};
}

static uint32_t model_slot(const struct model *of, struct rk_bytes key)
{
    uint32_t slot = 0;
    while (slot < of->count && omap_bytes_compare(model_key(&of->entries[slot]), key) < 0) {
        slot++;
    }
    return slot;
}

static bool model_has(const struct model *of, uint32_t slot, struct rk_bytes key)
{
    return slot < of->count && omap_bytes_compare(model_key(&of->entries[slot]), key) == 0;
}

static void model_remove(struct model *of, uint32_t slot)
{
    of->count--;
    memmove(&of->entries[slot], &of->entries[slot + 1],
            (of->count - slot) * sizeof(of->entries[0]));
}

static bool starts_with(struct rk_bytes key, struct rk_bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

/* --- both --- */

static void put(struct rk_bytes key, uint64_t index, uint64_t flags)
{
    const uint32_t slot = model_slot(model, key);
    if (!model_has(model, slot, key)) {
        quick_assert(model->count < MODEL_MAX);
        memmove(&model->entries[slot + 1], &model->entries[slot],
                (model->count - slot) * sizeof(model->entries[0]));
        model->count++;
        model->entries[slot].key_size = key.size;
        memcpy(model->entries[slot].key, key.data, key.size);
        model->entries[slot].create_index = index;
    }
    struct model_entry *entry = &model->entries[slot];
    entry->modify_index = index;
    entry->flags = flags;
    omap_put(&map, &(struct omap_entry){.key = key,
                                        .value = key,
                                        .flags = flags,
                                        .create_index = entry->create_index,
                                        .modify_index = index,
                                        .lock_index = flags / 2});
}

static void delete_key(struct rk_bytes key)
{
    const uint32_t slot = model_slot(model, key);
    const bool is_there = model_has(model, slot, key);
    if (is_there) {
        model_remove(model, slot);
    }
    quick_assert(omap_delete(&map, key) == is_there);
}

static void delete_prefix(struct rk_bytes prefix)
{
    uint64_t count = 0;
    for (uint32_t slot = model->count; slot > 0; slot--) {
        if (starts_with(model_key(&model->entries[slot - 1]), prefix)) {
            model_remove(model, slot - 1);
            count++;
        }
    }
    quick_assert(omap_delete_prefix(&map, prefix) == count);
}

/* --- soundness of the tree --- */

struct range {
    const struct omap_item *low;  /* NULL: from the beginning */
    const struct omap_item *high; /* NULL: to the end */
};

static void check_node(const struct omap_node *node, struct range range, uint32_t depth);

static void check_in_range(const struct omap_item *item, struct range range)
{
    const struct rk_bytes key = omap_item_key(item);
    quick_assert(range.low == NULL || omap_bytes_compare(omap_item_key(range.low), key) <= 0);
    quick_assert(range.high == NULL || omap_bytes_compare(key, omap_item_key(range.high)) < 0);
}

static void check_branch(const struct omap_branch *branch, struct range range, uint32_t depth)
{
    const struct omap_node *node = &branch->node;
    quick_assert(node->keys[0] == NULL);
    for (uint32_t slot = 0; slot < node->count; slot++) {
        const struct omap_node *child = branch->children[slot];
        struct omap_total total;
        omap_node_sum(child, &total);
        quick_assert(child->level + 1 == node->level);
        quick_assert(branch->totals[slot].count == total.count);
        quick_assert(branch->totals[slot].index_max == total.index_max);
        quick_assert(branch->totals[slot].digest == total.digest);
        check_node(child,
                   (struct range){
                       .low = slot == 0 ? range.low : node->keys[slot],
                       .high = slot + 1 == node->count ? range.high : node->keys[slot + 1],
                   },
                   depth + 1);
    }
}

/* Order, levels and sums; the depth bounds the recursion. */
static void check_node(const struct omap_node *node, struct range range, uint32_t depth)
{
    quick_assert(depth <= OMAP_DEPTH_MAX);
    quick_assert(node->count >= 1);
    quick_assert(node->count <= OMAP_FANOUT);
    for (uint32_t slot = node->level > 0 ? 1 : 0; slot < node->count; slot++) {
        check_in_range(node->keys[slot], range);
        if (slot > (node->level > 0 ? 1U : 0U)) {
            quick_assert(omap_bytes_compare(omap_item_key(node->keys[slot - 1]),
                                            omap_item_key(node->keys[slot])) < 0);
        }
    }
    if (node->level > 0) {
        check_branch(omap_branch_read(node), range, depth);
    }
}

/* The root holds exactly what the model holds, in its order. */
static void check_equal(const struct omap_node *root, const struct model *expected)
{
    if (root != NULL) {
        check_node(root, (struct range){0}, 1);
    }
    quick_assert(omap_total(root).count == expected->count);
    struct omap_place place =
        omap_first_after(root, (struct omap_cut){.key = text(""), .side = OMAP_BEFORE});
    for (uint32_t i = 0; i < expected->count; i++) {
        const struct model_entry *entry = &expected->entries[i];
        struct omap_entry found;
        quick_assert(place.item != NULL);
        quick_assert(omap_find(root, model_key(entry)) == place.item);
        omap_item_read(place.item, &found);
        quick_assert(omap_bytes_compare(found.key, model_key(entry)) == 0);
        quick_assert(omap_bytes_compare(found.value, model_key(entry)) == 0);
        quick_assert(found.flags == entry->flags);
        quick_assert(found.lock_index == entry->flags / 2);
        quick_assert(found.create_index == entry->create_index);
        quick_assert(found.modify_index == entry->modify_index);
        place = omap_next(root, place);
    }
    quick_assert(place.item == NULL);
}

/* Sums of a prefix, and both neighbours of a cut, by linear scan. */
static void check_prefix(const struct omap_node *root, const struct model *expected,
                         struct rk_bytes prefix)
{
    uint64_t count = 0;
    uint64_t index_max = 0;
    for (uint32_t i = 0; i < expected->count; i++) {
        if (starts_with(model_key(&expected->entries[i]), prefix)) {
            const uint64_t index = expected->entries[i].modify_index;
            count++;
            index_max = index > index_max ? index : index_max;
        }
    }
    const struct omap_total total = omap_prefix_total(root, prefix);
    quick_assert(total.count == count);
    quick_assert(total.index_max == index_max);

    const uint32_t slot = model_slot(expected, prefix);
    const struct omap_cut cut = {.key = prefix, .side = OMAP_BEFORE};
    const struct omap_item *after = omap_first_after(root, cut).item;
    const struct omap_item *before = omap_last_before(root, cut).item;
    quick_assert((after == NULL) == (slot == expected->count));
    quick_assert((before == NULL) == (slot == 0));
    if (after != NULL) {
        quick_assert(model_has(expected, slot, omap_item_key(after)));
    }
    if (before != NULL) {
        quick_assert(model_has(expected, slot - 1, omap_item_key(before)));
    }
}

/* Short keys over few bytes, so that prefixes nest and keys meet again; 0x00 and 0xff among them. */
static struct rk_bytes random_key(uint8_t *bytes, uint32_t size_min)
{
    static const uint8_t alphabet[] = {0x00, 'a', 'b', '/', 0xff};
    const uint32_t common = rk_prng_chance(&prng, 500) ? 9 : 0; /* beyond one hint */
    const uint32_t size = size_min + (uint32_t)rk_prng_below(&prng, 6);
    memset(bytes, 'c', common);
    for (uint32_t i = common; i < common + size; i++) {
        bytes[i] = alphabet[rk_prng_below(&prng, sizeof(alphabet))];
    }
    return (struct rk_bytes){.data = bytes, .size = common + size};
}

/* Even seeds delete prefixes seldom, so that the tree grows three levels high; odd ones often, so
 * that it is cut down time and again. */
static void random_step(uint64_t index, bool is_often)
{
    uint8_t bytes[KEY_MAX];
    const uint64_t dice = rk_prng_below(&prng, 10000);
    if (dice < 6800) {
        put(random_key(bytes, 1), index, rk_prng_below(&prng, 3));
    } else if (dice < (is_often ? 9900 : 9990)) {
        delete_key(random_key(bytes, 1));
    } else {
        delete_prefix(random_key(bytes, dice < 9998 ? 1 : 0));
    }
}

/* --- tests --- */

/* The map does what a sorted array does, whatever the order of changes (seed: _i). */
START_TEST(random_changes_leave_what_a_sorted_array_holds)
{
    rk_prng_seed(&prng, (uint64_t)_i);
    for (uint64_t step = 1; step <= 8000; step++) {
        uint8_t bytes[KEY_MAX];
        random_step(step, _i % 2 == 1);
        check_prefix(map.root, model, random_key(bytes, 0));
        if (step % 101 == 0) {
            check_equal(map.root, model);
        }
        heap.version += (uint64_t)rk_prng_chance(&prng, 300);
        (void)omap_heap_reclaim(&heap, heap.version - 1, 50);
    }
    check_equal(map.root, model);
}
END_TEST

enum { HELD_MAX = 5 };

struct held {
    const struct omap_node *root;
    uint64_t version;
    struct model *copy;
};

static uint64_t oldest_held(const struct held *held)
{
    uint64_t oldest = heap.version - 1;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (held[i].copy != NULL && held[i].version < oldest) {
            oldest = held[i].version;
        }
    }
    return oldest;
}

static void hold(struct held *held)
{
    held->root = map.root;
    held->version = heap.version++;
    held->copy = rk_heap_alloc(sizeof(*model));
    memcpy(held->copy, model, sizeof(*model));
}

static void let_go(struct held *held)
{
    check_equal(held->root, held->copy);
    rk_heap_free(held->copy);
    held->copy = NULL;
}

/* A held root answers as on the day it was published, while newer versions are written and what
 * only older ones reach is freed under it (address sanitizer sees a node freed too early). */
START_TEST(held_roots_stay_as_they_were)
{
    struct held held[HELD_MAX] = {0};
    rk_prng_seed(&prng, 1000 + (uint64_t)_i);
    for (uint64_t step = 1; step <= 4000; step++) {
        random_step(step, _i % 2 == 1);
        struct held *one = &held[rk_prng_below(&prng, HELD_MAX)];
        if (rk_prng_chance(&prng, 30)) {
            if (one->copy == NULL) {
                hold(one);
            } else {
                let_go(one);
            }
        }
        (void)omap_heap_reclaim(&heap, oldest_held(held), (uint32_t)rk_prng_below(&prng, 40));
    }
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (held[i].copy != NULL) {
            let_go(&held[i]);
        }
    }
}
END_TEST

static void put_number(uint32_t number, uint64_t index)
{
    char key[KEY_MAX];
    (void)snprintf(key, sizeof(key), "key/%08u", number);
    const struct rk_bytes bytes = text(key);
    omap_put(&map,
             &(struct omap_entry){.key = bytes, .create_index = index, .modify_index = index});
}

/* The digest tells contents, not history: two orders of insertion and detours meet. */
START_TEST(digest_does_not_depend_on_the_shape)
{
    struct omap other;
    omap_init(&other, &heap);
    for (uint32_t i = 0; i < 2000; i++) {
        put_number(i, i + 1);
    }
    const struct omap ascending = map;
    map = other;
    for (uint32_t i = 2000; i > 0; i--) {
        put_number(i - 1, 5000 + i);
        put_number(9000 + i, i);
    }
    ck_assert_uint_eq(omap_delete_prefix(&map, text("key/0000")), 2000 + 999);
    for (uint32_t i = 0; i < 2000; i++) {
        put_number(i, i + 1);
    }
    (void)omap_delete_prefix(&map, text("key/0001"));
    other = map;
    map = ascending;

    const struct omap_total total = omap_total(map.root);
    ck_assert_uint_eq(total.count, omap_total(other.root).count);
    ck_assert_uint_eq(total.digest, omap_total(other.root).digest);
    put_number(7, 8000);
    ck_assert_uint_ne(omap_total(map.root).digest, total.digest);
    omap_clear(&other);
}
END_TEST

/* Keys that come in order fill the leaves: the million keys of a restart cost no half-empty
 * nodes (memory goal). */
START_TEST(keys_in_order_fill_the_nodes)
{
    for (uint32_t i = 0; i < 10000; i++) {
        put_number(i, i + 1);
    }
    (void)omap_heap_reclaim(&heap, heap.version, UINT32_MAX);
    const uint64_t items = 10000 * (24 + 12);
    ck_assert_uint_lt(heap.memory - items, 10000 * 24);
}
END_TEST

/* A prefix goes as whole subtrees: what is retired at once is the borders, the rest in slices. */
START_TEST(prefix_delete_touches_only_the_borders)
{
    for (uint32_t i = 0; i < 100000; i++) {
        put_number(i, i + 1);
    }
    heap.version++;
    while (omap_heap_reclaim(&heap, heap.version - 1, 1000)) {
    }
    const uint64_t before = heap.memory;
    ck_assert_uint_eq(omap_delete_prefix(&map, text("key/0005")), 10000);
    ck_assert_uint_lt(heap.memory, before + 40000); /* copies of two paths, nothing freed yet */
    ck_assert_uint_eq(omap_total(map.root).count, 90000);
    check_node(map.root, (struct range){0}, 1);
    uint32_t slices = 0;
    heap.version++;
    while (omap_heap_reclaim(&heap, heap.version - 1, 100)) {
        slices++;
    }
    ck_assert_uint_ge(slices, 100);
    ck_assert_uint_lt(heap.memory, before - 10000 * 36);
}
END_TEST

/* Retired while building version v: a holder of v - 1 still needs it, a holder of v does not. */
START_TEST(what_a_version_replaced_goes_when_all_roots_have_that_version)
{
    put(text("a"), 1, 0);
    const struct omap_node *held = map.root;
    heap.version = 2;
    put(text("a"), 2, 0);
    const uint64_t with_both = heap.memory;
    ck_assert(!omap_heap_reclaim(&heap, 1, 1000));
    ck_assert_uint_eq(heap.memory, with_both);
    struct omap_entry entry;
    omap_item_read(omap_find(held, text("a")), &entry);
    ck_assert_uint_eq(entry.modify_index, 1);
    ck_assert(!omap_heap_reclaim(&heap, 2, 1000));
    ck_assert_uint_lt(heap.memory, with_both);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("omap");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, random_changes_leave_what_a_sorted_array_holds, 0, 4);
    tcase_add_loop_test(tcase, held_roots_stay_as_they_were, 0, 4);
    tcase_add_test(tcase, digest_does_not_depend_on_the_shape);
    tcase_add_test(tcase, keys_in_order_fill_the_nodes);
    tcase_add_test(tcase, prefix_delete_touches_only_the_borders);
    tcase_add_test(tcase, what_a_version_replaced_goes_when_all_roots_have_that_version);
    return run_suite("omap", tcase);
}
