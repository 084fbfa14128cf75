#include "statemachine/omap.h"

#include "base/assert.h"
#include "base/heap.h"
#include "statemachine/omap_node.h"

enum { RETIRED_CHUNK_COUNT = 240 };

/* A queue, oldest first: versions never fall along it. Its length is bounded by how long an old
 * root is held, which is for the holder's owner to bound. */
struct omap_retired_chunk {
    struct omap_retired_chunk *next;
    uint32_t first; /* taken out before it */
    uint32_t end;
    void *things[RETIRED_CHUNK_COUNT];
    uint64_t versions[RETIRED_CHUNK_COUNT];
    uint8_t kinds[RETIRED_CHUNK_COUNT]; /* enum omap_retired_kind */
};

void omap_heap_init(struct omap_heap *heap, uint64_t version)
{
    *heap = (struct omap_heap){.version = version};
}

void omap_heap_done(struct omap_heap *heap)
{
    const bool more = omap_heap_reclaim(heap, UINT64_MAX, UINT32_MAX);
    for (bool left = more; left;) {
        left = omap_heap_reclaim(heap, UINT64_MAX, UINT32_MAX);
    }
    RK_ASSERT(heap->memory == 0);
    rk_heap_free(heap->retired_first);
    heap->retired_first = NULL;
    heap->retired_last = NULL;
}

static struct omap_retired_chunk *retired_chunk_with_room(struct omap_heap *heap)
{
    struct omap_retired_chunk *last = heap->retired_last;
    if (last != NULL && last->end < RETIRED_CHUNK_COUNT) {
        return last;
    }
    struct omap_retired_chunk *chunk = rk_heap_alloc(sizeof(*chunk));
    chunk->next = NULL;
    chunk->first = 0;
    chunk->end = 0;
    if (last == NULL) {
        heap->retired_first = chunk;
    } else {
        last->next = chunk;
    }
    heap->retired_last = chunk;
    return chunk;
}

void omap_retire(struct omap_heap *heap, enum omap_retired_kind kind, void *thing)
{
    if (thing == NULL) {
        return;
    }
    struct omap_retired_chunk *chunk = retired_chunk_with_room(heap);
    chunk->things[chunk->end] = thing;
    chunk->versions[chunk->end] = heap->version;
    chunk->kinds[chunk->end] = (uint8_t)kind;
    chunk->end++;
}

/* True: the queue begins with something that may go. Drops chunks that are used up, except the
 * last one, which is used again. */
static bool retired_is_due(struct omap_heap *heap, uint64_t oldest_version)
{
    struct omap_retired_chunk *chunk = heap->retired_first;
    if (chunk == NULL) {
        return false;
    }
    if (chunk->first == chunk->end) {
        chunk->first = 0;
        chunk->end = 0;
        if (chunk->next == NULL) {
            return false;
        }
        heap->retired_first = chunk->next;
        rk_heap_free(chunk);
        chunk = heap->retired_first;
        RK_ASSERT(chunk->first < chunk->end);
    }
    return chunk->versions[chunk->first] <= oldest_version;
}

static void dropping_push(struct omap_heap *heap, struct omap_node *node)
{
    RK_ASSERT(heap->dropping_depth < OMAP_DEPTH_MAX);
    heap->dropping[heap->dropping_depth++] = (struct omap_dropping){.node = node};
}

/* Frees one item or one node of the subtree being dropped. */
static void dropping_step(struct omap_heap *heap)
{
    struct omap_dropping *top = &heap->dropping[heap->dropping_depth - 1];
    struct omap_node *node = top->node;
    if (top->next == node->count) {
        omap_node_free(heap, node);
        heap->dropping_depth--;
        return;
    }
    const uint32_t slot = top->next++;
    omap_item_free(heap, node->keys[slot]);
    if (node->level > 0) {
        dropping_push(heap, omap_branch(node)->children[slot]);
    }
}

static void retired_free_first(struct omap_heap *heap)
{
    struct omap_retired_chunk *chunk = heap->retired_first;
    void *thing = chunk->things[chunk->first];
    const enum omap_retired_kind kind = (enum omap_retired_kind)chunk->kinds[chunk->first];
    chunk->first++;
    if (kind == OMAP_RETIRED_SUBTREE) {
        dropping_push(heap, thing);
    } else if (kind == OMAP_RETIRED_NODE) {
        omap_node_free(heap, thing);
    } else {
        omap_item_free(heap, thing);
    }
}

bool omap_heap_reclaim(struct omap_heap *heap, uint64_t oldest_version, uint32_t budget)
{
    for (uint32_t freed = 0; freed < budget; freed++) {
        if (heap->dropping_depth > 0) {
            dropping_step(heap);
        } else if (retired_is_due(heap, oldest_version)) {
            retired_free_first(heap);
        } else {
            return false;
        }
    }
    return heap->dropping_depth > 0 || retired_is_due(heap, oldest_version);
}
