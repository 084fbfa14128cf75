/* A snapshot's file, format version 1; integers are little-endian:
 *
 *    0  "RKSN", u32 version 1
 *    8  frames: the head, the records, the end
 *
 *   a frame                                     body of the head, type 0xf1
 *    0  u32 size of the body                     0  u64 term, u64 index of the last entry in it
 *    4  u8  type                                16  u64 chain at that entry
 *    5  u8  version 1                           24  u64 config_index
 *    6  u16 zero                                32  the configuration at that entry
 *    8  body                                    body of the end, type 0xf2
 *   -4  u32 CRC-32C of all of it before          0  u64 count of frames before it
 *                                                8  u64 digest
 *
 * digest_0 = 0; digest_i = rk_frame_chain(digest_{i-1}) of type, number (from 1) and CRC of frame i.
 */
#include "storage/snap_file.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/le.h"

enum {
    FILE_VERSION = 1,
    FRAME_VERSION = 1,
    MAGIC_SIZE = 8,
    PREFIX_SIZE = 8, /* of a frame, before the body */
    CHECK_SIZE = 4,
    HEAD_SIZE = 32, /* of its fixed part */
    END_SIZE = 16,
    TYPE_HEAD = 0xf1,
    TYPE_END = 0xf2,
    READ_SIZE = 256 * 1024,
    WINDOW_SIZE_MAX = SNAP_BODY_SIZE_MAX + SNAP_FRAME_EXTRA_SIZE + READ_SIZE,
};

_Static_assert(SNAP_FRAME_EXTRA_SIZE == PREFIX_SIZE + CHECK_SIZE,
               "what a frame has round its body");

static const uint8_t magic[4] = {'R', 'K', 'S', 'N'};

static void sum_add(struct snap_sum *sum, uint8_t type, uint32_t crc)
{
    sum->frames_count++;
    sum->digest = rk_frame_chain(
        sum->digest,
        &(struct rk_frame){.term = type, .index = sum->frames_count, .payload_crc = crc});
}

/* ---- writing ---- */

static void append_u64(struct rk_buf *buf, uint64_t value)
{
    uint8_t *to = rk_buf_extend(buf, sizeof(value));
    if (to != NULL) {
        rk_le_put_u64(to, value);
    }
}

size_t snap_frame_begin(struct rk_buf *buf)
{
    const size_t offset = buf->size;
    uint8_t *prefix = rk_buf_extend(buf, PREFIX_SIZE);
    if (prefix != NULL) {
        memset(prefix, 0, PREFIX_SIZE);
    }
    return offset;
}

void snap_frame_end(struct rk_buf *buf, size_t offset, uint8_t type, struct snap_sum *sum)
{
    uint8_t *check = rk_buf_extend(buf, CHECK_SIZE);
    if (check == NULL) {
        return;
    }
    uint8_t *frame = buf->data + offset;
    const size_t checked_size = (size_t)(check - frame);
    RK_ASSERT(checked_size >= PREFIX_SIZE);
    RK_ASSERT(checked_size - PREFIX_SIZE <= SNAP_BODY_SIZE_MAX);
    rk_le_put_u32(frame, (uint32_t)(checked_size - PREFIX_SIZE));
    frame[4] = type;
    frame[5] = FRAME_VERSION;
    const uint32_t crc = rk_crc32c(0, frame, checked_size);
    rk_le_put_u32(check, crc);
    sum_add(sum, type, crc);
}

void snap_file_begin(const struct snap_head *head, struct snap_sum *sum, struct rk_buf *buf)
{
    uint8_t version[4];

    *sum = (struct snap_sum){0};
    rk_le_put_u32(version, FILE_VERSION);
    rk_buf_append(buf, magic, sizeof(magic));
    rk_buf_append(buf, version, sizeof(version));
    const size_t offset = snap_frame_begin(buf);
    append_u64(buf, head->id.term);
    append_u64(buf, head->id.index);
    append_u64(buf, head->chain);
    append_u64(buf, head->config_index);
    rk_buf_append(buf, head->config.data, head->config.size);
    snap_frame_end(buf, offset, TYPE_HEAD, sum);
}

void snap_file_end(struct snap_sum *sum, struct rk_buf *buf)
{
    struct snap_sum unused = {0}; /* the end is not part of what it sums up */
    const size_t offset = snap_frame_begin(buf);

    append_u64(buf, sum->frames_count);
    append_u64(buf, sum->digest);
    snap_frame_end(buf, offset, TYPE_END, &unused);
}

/* ---- reading ---- */

struct snap_reader {
    snap_read *read;
    void *context;
    uint64_t offset;      /* of the byte after the window */
    struct rk_buf window; /* bytes from `at` on are not taken yet */
    size_t at;
    struct snap_sum sum;
    struct snap_head head;
    struct rk_buf config; /* head.config */
    bool is_over;
};

/* Drops what was taken, and reads on; *ret_size: how many bytes came, 0 at the end of the file. */
static enum rk_status window_refill(struct snap_reader *reader, size_t *ret_size)
{
    struct rk_buf *window = &reader->window;
    const size_t left = window->size - reader->at;
    size_t size = 0;

    if (reader->at > 0) {
        memmove(window->data, window->data + reader->at, left);
    }
    reader->at = 0;
    window->size = left;
    uint8_t *to = rk_buf_extend(window, READ_SIZE);
    RK_ASSERT(to != NULL); /* no frame is larger than the window's ceiling allows for */
    const enum rk_status status =
        reader->read(reader->context, reader->offset, to, READ_SIZE, &size);
    window->size = left + size;
    reader->offset += size;
    *ret_size = size;
    return status;
}

/* Makes at least `size` bytes stand in the window. Errors: RK_CORRUPT (the file ends before). */
static enum rk_status window_need(struct snap_reader *reader, size_t size)
{
    while (reader->window.size - reader->at < size) {
        size_t came = 0;
        const enum rk_status status = window_refill(reader, &came);
        if (status != RK_OK) {
            return status;
        }
        if (came == 0) {
            return RK_CORRUPT;
        }
    }
    return RK_OK;
}

/* Takes a frame whole; its body is lent until the window moves. */
static enum rk_status take_frame(struct snap_reader *reader, uint8_t *ret_type,
                                 struct rk_bytes *ret_body)
{
    enum rk_status status = window_need(reader, PREFIX_SIZE);
    if (status != RK_OK) {
        return status;
    }
    const uint32_t body_size = rk_le_u32(reader->window.data + reader->at);
    if (body_size > SNAP_BODY_SIZE_MAX) {
        return RK_CORRUPT;
    }
    status = window_need(reader, (size_t)body_size + SNAP_FRAME_EXTRA_SIZE);
    if (status != RK_OK) {
        return status;
    }
    const uint8_t *frame = reader->window.data + reader->at;
    const uint32_t crc = rk_crc32c(0, frame, PREFIX_SIZE + body_size);
    if (crc != rk_le_u32(frame + PREFIX_SIZE + body_size) || frame[5] != FRAME_VERSION ||
        rk_le_u16(frame + 6) != 0) {
        return RK_CORRUPT;
    }
    *ret_type = frame[4];
    *ret_body = (struct rk_bytes){.data = frame + PREFIX_SIZE, .size = body_size};
    if (*ret_type != TYPE_END) {
        sum_add(&reader->sum, *ret_type, crc);
    }
    reader->at += (size_t)body_size + SNAP_FRAME_EXTRA_SIZE;
    return RK_OK;
}

static enum rk_status take_magic(struct snap_reader *reader)
{
    const enum rk_status status = window_need(reader, MAGIC_SIZE);
    if (status != RK_OK) {
        return status;
    }
    const uint8_t *data = reader->window.data + reader->at;
    reader->at += MAGIC_SIZE;
    return memcmp(data, magic, sizeof(magic)) == 0 &&
                   rk_le_u32(data + sizeof(magic)) == FILE_VERSION
               ? RK_OK
               : RK_CORRUPT;
}

static enum rk_status take_head(struct snap_reader *reader)
{
    struct rk_bytes body = {0};
    uint8_t type = 0;

    const enum rk_status status = take_frame(reader, &type, &body);
    if (status != RK_OK) {
        return status;
    }
    if (type != TYPE_HEAD || body.size <= HEAD_SIZE) {
        return RK_CORRUPT;
    }
    rk_buf_append(&reader->config, body.data + HEAD_SIZE, body.size - HEAD_SIZE);
    reader->head = (struct snap_head){
        .id = {.term = rk_le_u64(body.data), .index = rk_le_u64(body.data + 8)},
        .chain = rk_le_u64(body.data + 16),
        .config_index = rk_le_u64(body.data + 24),
        .config = rk_buf_bytes(&reader->config),
    };
    return reader->head.id.index > 0 && reader->head.config_index <= reader->head.id.index
               ? RK_OK
               : RK_CORRUPT;
}

enum rk_status snap_reader_open(snap_read *read, void *context, struct snap_reader **ret)
{
    struct snap_reader *reader = rk_heap_zalloc(1, sizeof(*reader));

    reader->read = read;
    reader->context = context;
    rk_buf_init(&reader->window, WINDOW_SIZE_MAX);
    rk_buf_init(&reader->config, SNAP_BODY_SIZE_MAX);
    enum rk_status status = take_magic(reader);
    if (status == RK_OK) {
        status = take_head(reader);
    }
    if (status != RK_OK) {
        snap_reader_free(reader);
        return status;
    }
    *ret = reader;
    return RK_OK;
}

void snap_reader_free(struct snap_reader *reader)
{
    if (reader != NULL) {
        rk_buf_done(&reader->window);
        rk_buf_done(&reader->config);
        rk_heap_free(reader);
    }
}

const struct snap_head *snap_reader_head(const struct snap_reader *reader)
{
    return &reader->head;
}

/* Errors: RK_NOT_FOUND: the file is whole. */
static enum rk_status take_end(struct snap_reader *reader, struct rk_bytes body)
{
    if (body.size != END_SIZE || rk_le_u64(body.data) != reader->sum.frames_count ||
        rk_le_u64(body.data + 8) != reader->sum.digest || reader->at != reader->window.size) {
        return RK_CORRUPT;
    }
    size_t came = 0;
    const enum rk_status status = window_refill(reader, &came);
    if (status != RK_OK) {
        return status;
    }
    reader->is_over = came == 0;
    return reader->is_over ? RK_NOT_FOUND : RK_CORRUPT;
}

enum rk_status snap_reader_next(struct snap_reader *reader, uint8_t *ret_type,
                                struct rk_bytes *ret_body)
{
    struct rk_bytes body = {0};
    uint8_t type = 0;

    RK_ASSERT(!reader->is_over);
    const enum rk_status status = take_frame(reader, &type, &body);
    if (status != RK_OK) {
        return status;
    }
    if (type == TYPE_END) {
        return take_end(reader, body);
    }
    if (type > SNAP_TYPE_MAX) {
        return RK_CORRUPT;
    }
    *ret_type = type;
    *ret_body = body;
    return RK_OK;
}

bool snap_reader_is_over(const struct snap_reader *reader)
{
    return reader->is_over;
}

struct snap_ref snap_reader_ref(const struct snap_reader *reader)
{
    RK_ASSERT(reader->is_over);
    return (struct snap_ref){
        .id = reader->head.id, .size = reader->offset, .digest = reader->sum.digest};
}

bool snap_ref_equal(const struct snap_ref *a, const struct snap_ref *b)
{
    return a->id.term == b->id.term && a->id.index == b->id.index && a->size == b->size &&
           a->digest == b->digest;
}
