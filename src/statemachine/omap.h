/* omap.h -- an ordered map of byte-string keys, copy-on-write: an old root stays as it was.
 *
 * A B+ tree. A change copies the nodes on its path, once per version: what the version that is
 * being built has made itself is changed in place. Every branch knows count, greatest
 * modify_index and digest of each child, so a count, the index of a prefix or a checksum is a
 * walk down, and a whole range is cut out at its two borders.
 *
 * What a change replaces is retired with the version that is being built: roots of that version
 * and later do not reach it, roots before it may. omap_heap_reclaim() frees it in slices once
 * nobody holds a root that old.
 *
 * Thread: readers any, each on a root that somebody holds; the rest one owner.
 */
#ifndef RK_STATEMACHINE_OMAP_H
#define RK_STATEMACHINE_OMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"

enum { OMAP_DEPTH_MAX = 12 };
/* A stored key, with a little before it. */
enum { OMAP_KEY_SIZE_MAX = RK_KEY_SIZE_MAX + 32 };

struct omap_item; /* one key and what belongs to it; immutable */
struct omap_node;
struct omap_retired_chunk;

/* The contents of an item. */
struct omap_entry {
    struct rk_bytes key; /* at most OMAP_KEY_SIZE_MAX bytes */
    struct rk_bytes value;
    uint64_t flags;
    uint64_t create_index;
    uint64_t modify_index;
    uint64_t lock_index;
};

/* Of all items below a place. All zero: none. */
struct omap_total {
    uint64_t count;
    uint64_t index_max; /* greatest modify_index */
    uint64_t digest;    /* sum of the items' hashes modulo 2^64: no matter in which shape */
};

/* A subtree that is being freed, item by item. */
struct omap_dropping {
    struct omap_node *node;
    uint32_t next; /* entry to free next */
};

/* Memory and version of any number of maps that are published together. */
struct omap_heap {
    uint64_t version; /* being built; rises when the owner publishes */
    uint64_t memory;  /* bytes of nodes and items, retired ones included */
    struct omap_retired_chunk *retired_first;
    struct omap_retired_chunk *retired_last;
    struct omap_dropping dropping[OMAP_DEPTH_MAX];
    uint32_t dropping_depth;
};

struct omap {
    struct omap_heap *heap; /* borrowed */
    struct omap_node *root; /* NULL: empty */
};

/* The first version to build is `version`. */
void omap_heap_init(struct omap_heap *heap, uint64_t version);
/* Frees all that is retired, whoever holds it; every map on `heap` was cleared before. */
void omap_heap_done(struct omap_heap *heap);
/* Frees what was retired while a version <= `oldest_version` was built, that is: every root held
 * has at least that version. At most `budget` nodes and items. True: there is more to free. */
bool omap_heap_reclaim(struct omap_heap *heap, uint64_t oldest_version, uint32_t budget);

void omap_init(struct omap *map, struct omap_heap *heap);
/* Empties the map; what was in it is retired. O(1). */
void omap_clear(struct omap *map);
/* Sets the key to the entry, which is copied. */
void omap_put(struct omap *map, const struct omap_entry *entry);
/* False: no such key. */
bool omap_delete(struct omap *map, struct rk_bytes key);
/* Deletes all keys with the prefix, returns how many. O(log n): the inside goes as whole
 * subtrees, only the borders are touched. */
uint64_t omap_delete_prefix(struct omap *map, struct rk_bytes prefix);

/* < 0, 0, > 0: byte by byte, then the shorter first. */
int omap_bytes_compare(struct rk_bytes a, struct rk_bytes b);

/* Everything below takes a root, NULL for an empty map, and lends as long as the root is held. */

/* NULL: no such key. */
const struct omap_item *omap_find(const struct omap_node *root, struct rk_bytes key);
/* Is it what it was when it was set? */
bool omap_item_is_whole(const struct omap_item *item);
void omap_item_read(const struct omap_item *item, struct omap_entry *ret);

struct omap_total omap_total(const struct omap_node *root);
struct omap_total omap_prefix_total(const struct omap_node *root, struct rk_bytes prefix);

/* A cut between two keys of the order. */
enum omap_cut_side {
    OMAP_BEFORE,       /* just before the key, or the first key that begins with it */
    OMAP_AFTER,        /* just after the key */
    OMAP_AFTER_PREFIX, /* after the last key that begins with it */
};
struct omap_cut {
    struct rk_bytes key;
    enum omap_cut_side side;
};

/* A place in a leaf; item NULL: past the end. */
struct omap_place {
    const struct omap_item *item;
    const struct omap_node *leaf;
    uint32_t slot;
};
struct omap_place omap_place_at(const struct omap_node *leaf, uint32_t slot);
/* The first item after the cut, and the last one before it. */
struct omap_place omap_first_after(const struct omap_node *root, struct omap_cut cut);
struct omap_place omap_last_before(const struct omap_node *root, struct omap_cut cut);
/* The item after `place`, which holds one. O(1) amortised. */
struct omap_place omap_next(const struct omap_node *root, struct omap_place place);

/* What was set later than an index. */
struct omap_changes {
    uint64_t after;
    uint32_t budget; /* items that may still be visited; counted down */
    void (*visit)(void *context, const struct omap_item *item);
    void *context;
};
/* Visits every item whose modify_index is above `after`, in the order of the keys. The walk enters
 * only nodes that have such an item below them. False: the budget did not suffice. */
RK_MUST_USE bool omap_visit_changes(const struct omap_node *root, struct omap_changes *changes);

#endif
