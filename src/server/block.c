#include "server/block.h"

#include "base/assert.h"
#include "base/heap.h"

struct block *block_take(struct rk_buf *buf)
{
    struct block *block = rk_heap_alloc(sizeof(*block));

    RK_ASSERT(!buf->is_lent);
    *block =
        (struct block){.refs = 1, .size = buf->size, .capacity = buf->capacity, .data = buf->data};
    rk_buf_init(buf, buf->size_max);
    return block;
}

struct block *block_ref(struct block *block)
{
    RK_ASSERT(block->refs > 0);
    block->refs++;
    return block;
}

void block_unref(struct block *block)
{
    if (block == NULL) {
        return;
    }
    RK_ASSERT(block->refs > 0);
    block->refs--;
    if (block->refs == 0) {
        rk_heap_free(block->data);
        rk_heap_free(block);
    }
}
