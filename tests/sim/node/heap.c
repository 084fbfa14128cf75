#include "sim/node/heap.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"

static struct sim_heap nobody;
static struct sim_heap *in_use = &nobody;

struct sim_heap *sim_heap_use(struct sim_heap *heap)
{
    struct sim_heap *before = in_use;

    in_use = heap;
    return before;
}

static void *enter(struct sim_heap_block *block, struct sim_heap *heap, size_t size)
{
    block->heap = heap;
    block->size = size;
    block->previous = NULL;
    block->next = heap->blocks;
    if (block->next != NULL) {
        block->next->previous = block;
    }
    heap->blocks = block;
    heap->count++;
    heap->bytes += size;
    return block + 1;
}

static struct sim_heap_block *leave(void *memory)
{
    struct sim_heap_block *block = (struct sim_heap_block *)memory - 1;
    struct sim_heap *heap = block->heap;

    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    if (block->previous != NULL) {
        block->previous->next = block->next;
    } else {
        heap->blocks = block->next;
    }
    heap->count--;
    heap->bytes -= block->size;
    return block;
}

void *rk_heap_alloc(size_t size)
{
    struct sim_heap_block *block = malloc(sizeof(*block) + size);

    RK_ASSERT(block != NULL);
    return enter(block, in_use, size);
}

void *rk_heap_zalloc(size_t count, size_t size)
{
    RK_ASSERT(size == 0 || count <= SIZE_MAX / 2 / size);
    struct sim_heap_block *block = calloc(1, sizeof(*block) + count * size);

    RK_ASSERT(block != NULL);
    return enter(block, in_use, count * size);
}

void *rk_heap_realloc(void *memory, size_t size)
{
    if (memory == NULL) {
        return rk_heap_alloc(size);
    }
    struct sim_heap_block *block = leave(memory);
    struct sim_heap *heap = block->heap;

    block = realloc(block, sizeof(*block) + size);
    RK_ASSERT(block != NULL);
    return enter(block, heap, size);
}

char *rk_heap_text(const char *text)
{
    const size_t size = strlen(text) + 1;

    return memcpy(rk_heap_alloc(size), text, size);
}

void rk_heap_free(void *memory)
{
    if (memory != NULL) {
        free(leave(memory));
    }
}

void sim_heap_drop(struct sim_heap *heap)
{
    while (heap->blocks != NULL) {
        rk_heap_free(heap->blocks + 1);
    }
}
