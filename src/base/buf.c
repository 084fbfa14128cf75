#include "base/buf.h"

#include <string.h>

#include "base/assert.h"
#include "base/heap.h"

enum { CAPACITY_MIN = 64, HEX64_DIGITS = 16 };

/* What rk_buf_extend() lends when no byte is asked for and none is allocated. */
static uint8_t nothing[1];

void rk_buf_init(struct rk_buf *buf, size_t size_max)
{
    *buf = (struct rk_buf){.size_max = size_max};
}

void rk_buf_lend(struct rk_buf *buf, void *memory, size_t size)
{
    RK_ASSERT(buf->data == NULL && buf->size == 0);
    buf->data = memory;
    buf->capacity = size < buf->size_max ? size : buf->size_max;
    buf->is_lent = true;
}

void rk_buf_done(struct rk_buf *buf)
{
    if (buf->data != NULL && !buf->is_lent) {
        rk_heap_free(buf->data);
    }
    rk_buf_init(buf, buf->size_max);
}

void rk_buf_reset(struct rk_buf *buf)
{
    buf->size = 0;
    buf->overflowed = false;
}

enum rk_status rk_buf_status(const struct rk_buf *buf)
{
    return buf->overflowed ? RK_TOO_LARGE : RK_OK;
}

static uint8_t *moved_home(const struct rk_buf *buf, size_t capacity)
{
    uint8_t *data = rk_heap_alloc(capacity);

    return memcpy(data, buf->data, buf->size);
}

/* Doubling keeps the copying linear in what is appended; the ceiling is met exactly. */
static void grow(struct rk_buf *buf, size_t needed)
{
    size_t capacity = buf->capacity < CAPACITY_MIN / 2 ? CAPACITY_MIN / 2 : buf->capacity;
    capacity = capacity > buf->size_max / 2 ? buf->size_max : capacity * 2;
    if (capacity < needed) {
        capacity = needed;
    }
    RK_ASSERT(needed <= capacity && capacity <= buf->size_max);
    buf->data = buf->is_lent ? moved_home(buf, capacity) : rk_heap_realloc(buf->data, capacity);
    buf->capacity = capacity;
    buf->is_lent = false;
}

uint8_t *rk_buf_extend(struct rk_buf *buf, size_t size)
{
    if (buf->overflowed || size > buf->size_max - buf->size) {
        buf->overflowed = true;
        return NULL;
    }
    if (size > buf->capacity - buf->size) {
        grow(buf, buf->size + size);
    }
    uint8_t *place = buf->data == NULL ? nothing : buf->data + buf->size;
    buf->size += size;
    return place;
}

void rk_buf_append(struct rk_buf *buf, const void *data, size_t size)
{
    uint8_t *place = rk_buf_extend(buf, size);
    if (place != NULL && size > 0) {
        memcpy(place, data, size);
    }
}

void rk_buf_append_byte(struct rk_buf *buf, uint8_t byte)
{
    rk_buf_append(buf, &byte, 1);
}

void rk_buf_append_text(struct rk_buf *buf, const char *text)
{
    rk_buf_append(buf, text, strlen(text));
}

uint32_t rk_u64_write(uint64_t value, char text[RK_U64_DIGITS_MAX])
{
    char digits[RK_U64_DIGITS_MAX];
    uint32_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(text, digits + first, sizeof(digits) - first);
    return (uint32_t)sizeof(digits) - first;
}

void rk_buf_append_u64(struct rk_buf *buf, uint64_t value)
{
    char digits[RK_U64_DIGITS_MAX];
    rk_buf_append(buf, digits, rk_u64_write(value, digits));
}

void rk_buf_append_i64(struct rk_buf *buf, int64_t value)
{
    const uint64_t bits = (uint64_t)value;
    if (value < 0) {
        rk_buf_append_byte(buf, '-');
    }
    rk_buf_append_u64(buf, value < 0 ? 0 - bits : bits);
}

void rk_buf_append_hex64(struct rk_buf *buf, uint64_t value)
{
    uint8_t digits[HEX64_DIGITS];
    for (size_t i = HEX64_DIGITS; i > 0; i--) {
        digits[i - 1] = (uint8_t) "0123456789abcdef"[value & 15];
        value >>= 4;
    }
    rk_buf_append(buf, digits, sizeof(digits));
}

size_t rk_buf_read(const struct rk_buf *buf, size_t *offset, uint8_t *data, size_t size)
{
    RK_ASSERT(*offset <= buf->size);
    const size_t left = buf->size - *offset;
    const size_t step = left < size ? left : size;
    if (step > 0) {
        memcpy(data, buf->data + *offset, step);
        *offset += step;
    }
    return step;
}

struct rk_bytes rk_buf_bytes(const struct rk_buf *buf)
{
    RK_ASSERT(buf->size <= UINT32_MAX);
    return (struct rk_bytes){.data = buf->data, .size = (uint32_t)buf->size};
}
