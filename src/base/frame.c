#include "base/frame.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/le.h"
#include "base/limits.h"

/* Offsets; the layout stands in the header. */
enum {
    AT_PAYLOAD_SIZE = 0,
    AT_HEADER_CRC = 4,
    AT_TERM = 8,
    AT_INDEX = 16,
    AT_CHAIN = 24,
    AT_TIME = 32,
    AT_TYPE = 0, /* from here in the payload */
    AT_VERSION = 1,
    AT_ZERO = 2,
};

_Static_assert(RK_FRAME_HEADER_SIZE + RK_FRAME_PAYLOAD_SIZE_MIN + RK_COMMAND_SIZE_MAX <=
                   RK_FRAME_SIZE_MAX,
               "every command fits a frame");

static uint32_t header_crc(const uint8_t *header)
{
    const uint32_t crc = rk_crc32c(0, header, AT_HEADER_CRC);
    return rk_crc32c(crc, header + AT_TERM, RK_FRAME_HEADER_SIZE - AT_TERM);
}

/* Invertible, so two different states never become one. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 32)) * 0xd6e8feb86659fd93U;
    value = (value ^ (value >> 29)) * 0xa0761d6478bd642fU;
    return value ^ (value >> 32);
}

uint64_t rk_frame_chain(uint64_t chain_previous, const struct rk_frame *entry)
{
    uint64_t chain = mix(chain_previous + 0x9e3779b97f4a7c15U);
    chain = mix(chain ^ entry->term);
    chain = mix(chain ^ entry->index);
    chain = mix(chain ^ entry->time_ms);
    chain = mix(chain ^ entry->payload_crc);
    return chain == 0 ? 1 : chain; /* 0 is the chain before the first entry */
}

size_t rk_frame_begin(struct rk_buf *buf, uint8_t type)
{
    const size_t offset = buf->size;
    uint8_t *room = rk_buf_extend(buf, RK_FRAME_HEADER_SIZE + RK_FRAME_PREFIX_SIZE);
    if (room != NULL) {
        memset(room, 0, RK_FRAME_HEADER_SIZE + RK_FRAME_PREFIX_SIZE);
        room[RK_FRAME_HEADER_SIZE + AT_TYPE] = type;
        room[RK_FRAME_HEADER_SIZE + AT_VERSION] = RK_FRAME_VERSION;
    }
    return offset;
}

void rk_frame_end(struct rk_buf *buf, size_t offset)
{
    uint8_t *check = rk_buf_extend(buf, RK_FRAME_CHECK_SIZE);
    if (check == NULL) {
        return;
    }
    RK_ASSERT(offset + RK_FRAME_HEADER_SIZE + RK_FRAME_PAYLOAD_SIZE_MIN <= buf->size);
    const uint8_t *payload = buf->data + offset + RK_FRAME_HEADER_SIZE;
    rk_le_put_u32(check, rk_crc32c(0, payload, (size_t)(check - payload)));
}

struct rk_bytes rk_frame_body(struct rk_bytes frame)
{
    enum { BEGIN = RK_FRAME_HEADER_SIZE + RK_FRAME_PREFIX_SIZE };

    RK_ASSERT(frame.size >= BEGIN + RK_FRAME_CHECK_SIZE);
    return (struct rk_bytes){.data = frame.data + BEGIN,
                             .size = frame.size - BEGIN - RK_FRAME_CHECK_SIZE};
}

uint64_t rk_frame_seal(uint8_t *frame, uint32_t size, const struct rk_frame_place *place)
{
    RK_ASSERT(size >= RK_FRAME_HEADER_SIZE + RK_FRAME_PAYLOAD_SIZE_MIN);
    RK_ASSERT(size <= RK_FRAME_SIZE_MAX);
    RK_ASSERT(frame[RK_FRAME_HEADER_SIZE + AT_VERSION] == RK_FRAME_VERSION);
    const uint32_t payload_crc = rk_le_u32(frame + size - RK_FRAME_CHECK_SIZE);
    RK_ASSERT_DEEP(payload_crc == rk_crc32c(0, frame + RK_FRAME_HEADER_SIZE,
                                            size - RK_FRAME_HEADER_SIZE - RK_FRAME_CHECK_SIZE));
    const struct rk_frame entry = {.term = place->term,
                                   .index = place->index,
                                   .time_ms = place->time_ms,
                                   .payload_crc = payload_crc};
    const uint64_t chain = rk_frame_chain(place->chain_previous, &entry);
    rk_le_put_u32(frame + AT_PAYLOAD_SIZE, size - RK_FRAME_HEADER_SIZE);
    rk_le_put_u64(frame + AT_TERM, place->term);
    rk_le_put_u64(frame + AT_INDEX, place->index);
    rk_le_put_u64(frame + AT_CHAIN, chain);
    rk_le_put_u64(frame + AT_TIME, place->time_ms);
    rk_le_put_u32(frame + AT_HEADER_CRC, header_crc(frame));
    return chain;
}

enum rk_status rk_frame_read_payload(struct rk_bytes payload, struct rk_frame *ret)
{
    if (payload.size < RK_FRAME_PAYLOAD_SIZE_MIN ||
        payload.size > RK_FRAME_SIZE_MAX - RK_FRAME_HEADER_SIZE) {
        return RK_CORRUPT;
    }
    const uint32_t checked_size = payload.size - RK_FRAME_CHECK_SIZE;
    const uint32_t payload_crc = rk_le_u32(payload.data + checked_size);
    if (payload.data[AT_VERSION] != RK_FRAME_VERSION || rk_le_u16(payload.data + AT_ZERO) != 0 ||
        payload_crc != rk_crc32c(0, payload.data, checked_size)) {
        return RK_CORRUPT;
    }
    ret->type = payload.data[AT_TYPE];
    ret->payload_crc = payload_crc;
    ret->payload = payload;
    ret->body = (struct rk_bytes){.data = payload.data + RK_FRAME_PREFIX_SIZE,
                                  .size = checked_size - RK_FRAME_PREFIX_SIZE};
    return RK_OK;
}

enum rk_status rk_frame_read(struct rk_bytes bytes, struct rk_frame *ret, uint32_t *ret_size)
{
    if (bytes.size < RK_FRAME_HEADER_SIZE ||
        rk_le_u32(bytes.data + AT_HEADER_CRC) != header_crc(bytes.data)) {
        return RK_CORRUPT;
    }
    const struct rk_bytes payload = {.data = bytes.data + RK_FRAME_HEADER_SIZE,
                                     .size = rk_le_u32(bytes.data + AT_PAYLOAD_SIZE)};
    if (payload.size > bytes.size - RK_FRAME_HEADER_SIZE) {
        return RK_CORRUPT;
    }
    const enum rk_status status = rk_frame_read_payload(payload, ret);
    if (status != RK_OK) {
        return status;
    }
    ret->term = rk_le_u64(bytes.data + AT_TERM);
    ret->index = rk_le_u64(bytes.data + AT_INDEX);
    ret->chain = rk_le_u64(bytes.data + AT_CHAIN);
    ret->time_ms = rk_le_u64(bytes.data + AT_TIME);
    *ret_size = RK_FRAME_HEADER_SIZE + payload.size;
    return RK_OK;
}
