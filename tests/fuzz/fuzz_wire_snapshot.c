/* fuzz_wire_snapshot.c -- a snapshot's offer and its answer: refused with a reason, or written again
 * as they were read. */
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "network/wire.h"

static struct rk_buf written;
static const char *reason;

static void check_status(enum rk_status status)
{
    RK_ASSERT(status == RK_OK || status == RK_INVALID);
    RK_ASSERT((status == RK_OK) == (reason == NULL));
    rk_buf_reset(&written);
}

static void try_snapshot(struct rk_bytes body)
{
    struct wire_snapshot snapshot;
    struct wire_snapshot again;

    const enum rk_status status = wire_decode_snapshot(body, &snapshot, &reason);
    check_status(status);
    if (status == RK_OK) {
        RK_ASSERT(snapshot.config.data + snapshot.config.size == snapshot.piece.data);
        RK_ASSERT(snapshot.piece.data + snapshot.piece.size == body.data + body.size);
        RK_ASSERT(snapshot.offset + snapshot.piece.size <= snapshot.size);
        wire_encode_snapshot(&snapshot, &written);
        RK_ASSERT(wire_decode_snapshot(rk_buf_bytes(&written), &again, &reason) == RK_OK);
        RK_ASSERT(again.last.index == snapshot.last.index && again.digest == snapshot.digest);
        RK_ASSERT(again.piece.size == snapshot.piece.size);
    }
}

static void try_answer(struct rk_bytes body)
{
    struct wire_snapshot_answer answer;
    struct wire_snapshot_answer again;

    const enum rk_status status = wire_decode_snapshot_answer(body, &answer, &reason);
    check_status(status);
    if (status == RK_OK) {
        wire_encode_snapshot_answer(&answer, &written);
        RK_ASSERT(wire_decode_snapshot_answer(rk_buf_bytes(&written), &again, &reason) == RK_OK);
        RK_ASSERT(again.match == answer.match && again.is_over == answer.is_over);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rk_bytes body = {.data = data, .size = (uint32_t)size};

    rk_buf_init(&written, RK_PEER_BODY_SIZE_MAX);
    try_snapshot(body);
    try_answer(body);
    rk_buf_done(&written);
    return 0;
}
