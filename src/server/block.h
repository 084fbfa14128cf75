/* block.h -- bytes that several holders on the node thread share: a request body with the frames
 * in it, or one proposal's frame. Entries in the tail, writes at the disk and nothing else hold
 * them; the count is not atomic because only the node thread counts.
 *
 * Thread: the node thread (the disk thread reads bytes of blocks that a job holds).
 */
#ifndef RK_SERVER_BLOCK_H
#define RK_SERVER_BLOCK_H

#include <stdint.h>

#include "base/buf.h"

struct block {
    uint32_t refs;
    size_t size;
    size_t capacity; /* what `data` takes of memory */
    uint8_t *data;
};

/* Takes the buffer's memory over; the buffer is empty afterwards. Holds one reference. */
struct block *block_take(struct rk_buf *buf);
struct block *block_ref(struct block *block); /* returns its argument */
void block_unref(struct block *block);        /* NULL is allowed */

#endif
