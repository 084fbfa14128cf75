/* reserve.h -- room in a buffer before it is filled piece by piece, so that it is allocated once.
 *
 * Thread: the owner's.
 */
#ifndef RK_API_RESERVE_H
#define RK_API_RESERVE_H

#include "base/assert.h"
#include "base/buf.h"

/* The empty `buf` holds `size` bytes without moving from now on; asserts that its ceiling does. */
static inline void buf_reserve(struct rk_buf *buf, size_t size)
{
    RK_ASSERT(buf->size == 0);
    const uint8_t *place = rk_buf_extend(buf, size);
    RK_ASSERT(place != NULL);
    rk_buf_reset(buf);
}

#endif
