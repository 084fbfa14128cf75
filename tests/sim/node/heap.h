/* heap.h -- memory by owner: a host that crashes loses all that its process had, whatever its code
 * was in the middle of; and one that stops in good order must have given everything back.
 *
 * rk_heap_*() of the program take from the heap that is in use; a block knows its own.
 */
#ifndef RK_TESTS_SIM_NODE_HEAP_H
#define RK_TESTS_SIM_NODE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct sim_heap_block {
    struct sim_heap *heap;
    struct sim_heap_block *previous;
    struct sim_heap_block *next;
    size_t size;
};

struct sim_heap {
    struct sim_heap_block *blocks;
    uint64_t count;
    uint64_t bytes;
};

/* Returns the heap that was in use before. */
struct sim_heap *sim_heap_use(struct sim_heap *heap);
void sim_heap_drop(struct sim_heap *heap); /* frees all that is in it */

#endif
