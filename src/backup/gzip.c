#include "backup/gzip.h"

#include <string.h>
#include <zlib.h>

#include "base/assert.h"
#include "base/heap.h"

/* A window of 32 KiB, with gzip's head and check round it. The lowest level: a backup is written
 * between the answers to others, and most of what packing can win it wins already. */
enum { WINDOW_BITS = 15 + 16, MEMORY_LEVEL = 8, LEVEL = 1 };

struct gzip_packer {
    z_stream stream;
};

struct gzip_unpacker {
    z_stream stream;
};

static void *heap_alloc(void *context, unsigned int count, unsigned int size)
{
    (void)context;
    return rk_heap_zalloc(count, size);
}

static void heap_free(void *context, void *memory)
{
    (void)context;
    rk_heap_free(memory);
}

/* zlib reads what it is given, but says so only where it is built to. */
static void feed(z_stream *stream, struct rk_bytes from, uint8_t *to, size_t size)
{
    RK_ASSERT(size > 0 && size <= UINT32_MAX);
    stream->next_in = (uint8_t *)(uintptr_t)from.data;
    stream->avail_in = from.size;
    stream->next_out = to;
    stream->avail_out = (unsigned int)size;
}

static void take(const z_stream *stream, struct rk_bytes *from)
{
    from->data = from->data == NULL ? NULL : from->data + (from->size - stream->avail_in);
    from->size = stream->avail_in;
}

struct gzip_packer *gzip_packer_new(void)
{
    struct gzip_packer *packer = rk_heap_zalloc(1, sizeof(*packer));

    packer->stream.zalloc = heap_alloc;
    packer->stream.zfree = heap_free;
    const int failed = deflateInit2(&packer->stream, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
                                    Z_DEFAULT_STRATEGY);
    RK_ASSERT(failed == Z_OK);
    return packer;
}

void gzip_packer_free(struct gzip_packer *packer)
{
    if (packer != NULL) {
        (void)deflateEnd(&packer->stream);
        rk_heap_free(packer);
    }
}

size_t gzip_pack(struct gzip_packer *packer, struct rk_bytes *from, enum gzip_flush flush,
                 uint8_t *to, size_t size, bool *ret_is_over)
{
    static const int flushes[] = {
        [GZIP_MORE] = Z_NO_FLUSH, [GZIP_PUSH] = Z_SYNC_FLUSH, [GZIP_END] = Z_FINISH};

    feed(&packer->stream, *from, to, size);
    const int result = deflate(&packer->stream, flushes[flush]);
    RK_ASSERT(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
    take(&packer->stream, from);
    *ret_is_over = result == Z_STREAM_END;
    return size - packer->stream.avail_out;
}

struct gzip_unpacker *gzip_unpacker_new(void)
{
    struct gzip_unpacker *unpacker = rk_heap_zalloc(1, sizeof(*unpacker));

    unpacker->stream.zalloc = heap_alloc;
    unpacker->stream.zfree = heap_free;
    const int failed = inflateInit2(&unpacker->stream, WINDOW_BITS);
    RK_ASSERT(failed == Z_OK);
    return unpacker;
}

void gzip_unpacker_free(struct gzip_unpacker *unpacker)
{
    if (unpacker != NULL) {
        (void)inflateEnd(&unpacker->stream);
        rk_heap_free(unpacker);
    }
}

enum rk_status gzip_unpack(struct gzip_unpacker *unpacker, struct rk_bytes *from, uint8_t *to,
                           size_t size, size_t *ret_size)
{
    feed(&unpacker->stream, *from, to, size);
    const int result = inflate(&unpacker->stream, Z_NO_FLUSH);
    take(&unpacker->stream, from);
    *ret_size = size - unpacker->stream.avail_out;
    if (result == Z_STREAM_END) {
        return RK_NOT_FOUND;
    }
    return result == Z_OK || result == Z_BUF_ERROR ? RK_OK : RK_CORRUPT;
}
