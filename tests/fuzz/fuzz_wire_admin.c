/* fuzz_wire_admin.c -- what an administrator asked another node for, and the leader's answer:
 * refused with a reason, or written again as they were read. */
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

static void check_equal(struct rk_bytes one, struct rk_bytes other)
{
    RK_ASSERT(one.size == other.size);
    RK_ASSERT(one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
}

/* Lent bytes are the end of the body, nothing before and nothing behind. */
static void check_lent(struct rk_bytes lent, struct rk_bytes body)
{
    RK_ASSERT(lent.size <= body.size && lent.data + lent.size == body.data + body.size);
}

static void try_admin(struct rk_bytes body)
{
    struct wire_admin admin;
    struct wire_admin again;

    const enum rk_status status = wire_decode_admin(body, &admin, &reason);
    check_status(status);
    if (status == RK_OK) {
        RK_ASSERT(strlen(admin.method) <= WIRE_METHOD_SIZE_MAX);
        RK_ASSERT(admin.target.size <= RK_TARGET_SIZE_MAX);
        RK_ASSERT(admin.envelope.from != 0);
        RK_ASSERT(admin.target.data + admin.target.size == admin.body.data);
        check_lent(admin.body, body);
        wire_encode_admin(&admin, &written);
        RK_ASSERT(wire_decode_admin(rk_buf_bytes(&written), &again, &reason) == RK_OK);
        RK_ASSERT(strcmp(again.method, admin.method) == 0);
        check_equal(again.target, admin.target);
        check_equal(again.body, admin.body);
    }
}

static void try_answer(struct rk_bytes body)
{
    struct wire_admin_answer answer;
    struct wire_admin_answer again;

    const enum rk_status status = wire_decode_admin_answer(body, &answer, &reason);
    check_status(status);
    if (status == RK_OK) {
        RK_ASSERT(answer.http_status <= 599);
        RK_ASSERT(answer.status != RK_OK || answer.http_status >= 200);
        check_lent(answer.body, body);
        wire_encode_admin_answer(&answer, &written);
        RK_ASSERT(wire_decode_admin_answer(rk_buf_bytes(&written), &again, &reason) == RK_OK);
        RK_ASSERT(again.status == answer.status && again.http_status == answer.http_status);
        RK_ASSERT(again.is_json == answer.is_json && again.is_unknown == answer.is_unknown);
        check_equal(again.body, answer.body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rk_bytes body = {.data = data, .size = (uint32_t)size};

    rk_buf_init(&written, RK_PEER_BODY_SIZE_MAX);
    try_admin(body);
    try_answer(body);
    rk_buf_done(&written);
    return 0;
}
