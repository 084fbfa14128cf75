/* frame.h -- one record format for disk and wire.
 *
 * A payload is encoded once, where a write enters, with room before it. When the core has given
 * the entry its place, the header goes into that room; header and payload together are the row
 * in SQLite and the entry in /raft/append. All integers are little-endian.
 *
 *   header, 40 bytes                            payload, payload_size bytes
 *    0  u32 payload_size                         0  u8  type (enum raft_entry_type)
 *    4  u32 header_crc: CRC-32C of bytes         1  u8  format version (2)
 *           0..3 and 8..39                       2  u16 zero
 *    8  u64 term                                 4  body
 *   16  u64 index                               -4  u32 CRC-32C of all payload bytes before it
 *   24  u64 chain
 *   32  u64 time_ms: cluster time, as the leader stamped it; never falls along the log
 *
 * chain_i = rk_frame_chain(chain_{i-1}, term, index, time, payload CRC): two logs with equal
 * chains at an index have equal histories up to it. The chain before the first entry is 0.
 */
#ifndef RK_BASE_FRAME_H
#define RK_BASE_FRAME_H

#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"

enum {
    RK_FRAME_HEADER_SIZE = 40,
    RK_FRAME_PREFIX_SIZE = 4, /* of the payload, before the body */
    RK_FRAME_CHECK_SIZE = 4,  /* of the payload, after the body */
    RK_FRAME_PAYLOAD_SIZE_MIN = RK_FRAME_PREFIX_SIZE + RK_FRAME_CHECK_SIZE,
    RK_FRAME_VERSION = 2,
};

/* What a frame says about itself. */
struct rk_frame {
    uint64_t term;
    uint64_t index;
    uint64_t chain;
    uint64_t time_ms; /* cluster time */
    uint32_t payload_crc;
    uint8_t type;
    struct rk_bytes payload; /* lent: points into the frame; type, version, body, check */
    struct rk_bytes body;    /* lent: the command's own bytes */
};

/* Where an entry stands: what its header says beside the payload's size. */
struct rk_frame_place {
    uint64_t term;
    uint64_t index;
    uint64_t time_ms;
    uint64_t chain_previous;
};

/* Starts a frame at the end of `buf`: room for the header, then the payload's prefix. The caller
 * appends the body and calls rk_frame_end() with the offset this returns. */
size_t rk_frame_begin(struct rk_buf *buf, uint8_t type);

/* Completes the payload of the frame that begins at `offset`: appends its check. */
void rk_frame_end(struct rk_buf *buf, size_t offset);

/* The body of a frame that rk_frame_end() completed, which is not checked. Lent. */
struct rk_bytes rk_frame_body(struct rk_bytes frame);

/* Writes the header into the frame's room. `frame` is whole: header room and payload, of `size`
 * bytes, payload completed by rk_frame_end() (asserted: its size). Returns the new chain. */
uint64_t rk_frame_seal(uint8_t *frame, uint32_t size, const struct rk_frame_place *place);

/* The chain of the entry that says so of itself, after `chain_previous`; of *entry term, index,
 * time_ms and payload_crc are read. Never 0. */
uint64_t rk_frame_chain(uint64_t chain_previous, const struct rk_frame *entry);

/* Reads the frame at the start of `bytes`, which may go on behind it, and checks everything in
 * it but the chain: sizes within RK_FRAME_SIZE_MAX, both CRCs, version. *ret_size is the whole
 * frame's size. Errors: RK_CORRUPT; *ret and *ret_size are then untouched. */
RK_MUST_USE enum rk_status rk_frame_read(struct rk_bytes bytes, struct rk_frame *ret,
                                         uint32_t *ret_size);

/* Checks a payload without a header (a forwarded write): size, version, CRC. Fills type,
 * payload_crc, payload and body of *ret. Errors: RK_CORRUPT; *ret is then untouched. */
RK_MUST_USE enum rk_status rk_frame_read_payload(struct rk_bytes payload, struct rk_frame *ret);

#endif
