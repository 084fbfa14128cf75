/* buf.h -- a growable byte buffer that is told its ceiling when it is made.
 *
 * Why a ceiling: every buffer that input can fill must have one, and a buffer that knows it
 * cannot be forgotten. The first append that would pass the ceiling fails, and so do all after
 * it until rk_buf_reset(): a writer appends freely and asks rk_buf_status() once at the end.
 *
 * Thread: the owner's. Memory: rk_heap; rk_buf_done() frees.
 */
#ifndef RK_BASE_BUF_H
#define RK_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

enum { RK_U64_DIGITS_MAX = 20 };

struct rk_buf {
    uint8_t *data;   /* NULL while capacity is 0 */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated, <= size_max */
    size_t size_max; /* the ceiling */
    bool overflowed; /* an append was refused; the bytes before it are whole */
    bool is_lent;    /* `data` is not the buffer's own: see rk_buf_lend() */
};

/* Makes an empty buffer; nothing is allocated yet. */
void rk_buf_init(struct rk_buf *buf, size_t size_max);

/* Gives the buffer, which has no memory yet (asserted), the first `size` bytes to fill: as long as
 * they do, nothing is allocated. They must live as long as what is in the buffer is used; who takes
 * its memory over must see that it is not lent. */
void rk_buf_lend(struct rk_buf *buf, void *memory, size_t size);

/* Frees the bytes; the buffer may be initialised again. */
void rk_buf_done(struct rk_buf *buf);

/* Empties the buffer, keeps its memory, forgets an overflow. */
void rk_buf_reset(struct rk_buf *buf);

/* RK_OK, or RK_TOO_LARGE once an append was refused. */
RK_MUST_USE enum rk_status rk_buf_status(const struct rk_buf *buf);

/* Appends `size` bytes; `data` may be NULL when size is 0. */
void rk_buf_append(struct rk_buf *buf, const void *data, size_t size);
void rk_buf_append_byte(struct rk_buf *buf, uint8_t byte);
void rk_buf_append_text(struct rk_buf *buf, const char *text); /* without its NUL */
void rk_buf_append_u64(struct rk_buf *buf, uint64_t value);    /* decimal */
void rk_buf_append_i64(struct rk_buf *buf, int64_t value);     /* decimal */
void rk_buf_append_hex64(struct rk_buf *buf, uint64_t value);  /* 16 lower-case digits */

/* Writes `value` in decimal at `text`, without a NUL; returns how many digits it has. */
uint32_t rk_u64_write(uint64_t value, char text[RK_U64_DIGITS_MAX]);

/* Makes `size` more bytes part of the buffer and lends the place to fill, valid until the next
 * call on `buf`; NULL when refused (and then overflowed is set). */
uint8_t *rk_buf_extend(struct rk_buf *buf, size_t size);

/* Copies what stands behind *offset, at most `size` bytes, to `data` and moves *offset behind it.
 * Returns how many; 0 at the end. */
size_t rk_buf_read(const struct rk_buf *buf, size_t *offset, uint8_t *data, size_t size);

/* Lends the contents until the next call on `buf`. Asserts size <= UINT32_MAX. */
struct rk_bytes rk_buf_bytes(const struct rk_buf *buf);

#endif
