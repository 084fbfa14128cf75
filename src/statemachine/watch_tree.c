#include "statemachine/watch_tree.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"

enum { BITS_PER_BYTE = 9 };

struct watch_branch {
    uint32_t position; /* of the first bit that differs */
    struct watch_place sides[2];
};

static uint32_t bit_at(struct rk_bytes key, uint32_t position)
{
    const uint32_t byte = position / BITS_PER_BYTE;
    const uint32_t bit = position % BITS_PER_BYTE;

    if (byte >= key.size) {
        return 0;
    }
    return bit == 0 ? 1 : (key.data[byte] >> (8 - bit)) & 1;
}

static uint32_t common_size(struct rk_bytes a, struct rk_bytes b)
{
    uint32_t size = 0;

    while (size < a.size && size < b.size && a.data[size] == b.data[size]) {
        size++;
    }
    return size;
}

/* The keys differ (asserted). */
static uint32_t first_difference(struct rk_bytes a, struct rk_bytes b)
{
    const uint32_t common = common_size(a, b);

    RK_ASSERT(common < a.size || common < b.size);
    if (common == a.size || common == b.size) {
        return common * BITS_PER_BYTE;
    }
    const uint32_t differing = (uint32_t)(a.data[common] ^ b.data[common]);
    return common * BITS_PER_BYTE + (uint32_t)__builtin_clz(differing) - 23;
}

static bool is_equal(struct rk_bytes a, struct rk_bytes b)
{
    return a.size == b.size && common_size(a, b) == a.size;
}

bool watch_key_begins(struct rk_bytes key, struct rk_bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

/* The leaf that shares most with `key`, if any shares anything. */
static struct watch_leaf *nearest(const struct watch_tree *tree, struct rk_bytes key)
{
    struct watch_place place = tree->root;

    while (place.branch != NULL) {
        place = place.branch->sides[bit_at(key, place.branch->position)];
    }
    return place.leaf;
}

static struct watch_leaf *outermost(struct watch_place place, uint32_t side)
{
    while (place.branch != NULL) {
        place = place.branch->sides[side];
    }
    return place.leaf;
}

struct watch_leaf *watch_tree_find(const struct watch_tree *tree, struct rk_bytes key)
{
    struct watch_leaf *leaf = nearest(tree, key);

    return leaf != NULL && is_equal(leaf->key, key) ? leaf : NULL;
}

/* `leaf` goes before or behind the one that is nearest in the order. */
static void chain(struct watch_leaf *leaf, struct watch_leaf *neighbour, bool is_behind)
{
    leaf->previous = is_behind ? neighbour : neighbour->previous;
    leaf->next = is_behind ? neighbour->next : neighbour;
    if (leaf->previous != NULL) {
        leaf->previous->next = leaf;
    }
    if (leaf->next != NULL) {
        leaf->next->previous = leaf;
    }
}

void watch_tree_add(struct watch_tree *tree, struct watch_leaf *leaf)
{
    const struct watch_leaf *near = nearest(tree, leaf->key);
    struct watch_place *place = &tree->root;

    leaf->previous = NULL;
    leaf->next = NULL;
    if (near == NULL) {
        place->leaf = leaf;
        return;
    }
    const uint32_t position = first_difference(near->key, leaf->key);
    while (place->branch != NULL && place->branch->position < position) {
        place = &place->branch->sides[bit_at(leaf->key, place->branch->position)];
    }
    const uint32_t side = bit_at(leaf->key, position);
    chain(leaf, outermost(*place, side), side == 1);
    struct watch_branch *branch = rk_heap_alloc(sizeof(*branch));
    branch->position = position;
    branch->sides[side] = (struct watch_place){.leaf = leaf};
    branch->sides[1 - side] = *place;
    *place = (struct watch_place){.branch = branch};
}

void watch_tree_remove(struct watch_tree *tree, struct watch_leaf *leaf)
{
    struct watch_place *above = NULL;
    struct watch_place *place = &tree->root;
    uint32_t side = 0;

    while (place->branch != NULL) {
        side = bit_at(leaf->key, place->branch->position);
        above = place;
        place = &place->branch->sides[side];
    }
    RK_ASSERT(place->leaf == leaf);
    if (above == NULL) {
        place->leaf = NULL;
    } else {
        struct watch_branch *branch = above->branch;
        *above = branch->sides[1 - side];
        rk_heap_free(branch);
    }
    if (leaf->previous != NULL) {
        leaf->previous->next = leaf->next;
    }
    if (leaf->next != NULL) {
        leaf->next->previous = leaf->previous;
    }
}

struct watch_leaf *watch_tree_below(const struct watch_tree *tree, struct rk_bytes prefix)
{
    struct watch_place place = tree->root;

    while (place.branch != NULL && place.branch->position < prefix.size * BITS_PER_BYTE) {
        place = place.branch->sides[bit_at(prefix, place.branch->position)];
    }
    struct watch_leaf *first = outermost(place, 0);
    return first != NULL && watch_key_begins(first->key, prefix) ? first : NULL;
}

/* Where strings end below a branch there is one leaf. What is deeper shares its key with it, so
 * that only what is new has to be compared. */
static bool begins_from(struct rk_bytes key, struct rk_bytes prefix, uint32_t known_size)
{
    return key.size >= prefix.size &&
           (prefix.size == known_size ||
            memcmp(key.data + known_size, prefix.data + known_size, prefix.size - known_size) == 0);
}

void watch_tree_visit_above(const struct watch_tree *tree, struct rk_bytes key,
                            void (*visit)(void *context, struct watch_leaf *leaf), void *context)
{
    struct watch_place place = tree->root;
    uint32_t known_size = 0;

    while (place.branch != NULL) {
        const struct watch_branch *branch = place.branch;
        const uint32_t side = bit_at(key, branch->position);
        struct watch_leaf *ending =
            branch->position % BITS_PER_BYTE == 0 ? branch->sides[0].leaf : NULL;
        place = branch->sides[side];
        if (ending == NULL || side == 0) {
            continue;
        }
        if (!begins_from(key, ending->key, known_size)) {
            return;
        }
        known_size = ending->key.size;
        visit(context, ending);
    }
    if (place.leaf != NULL && begins_from(key, place.leaf->key, known_size)) {
        visit(context, place.leaf);
    }
}
