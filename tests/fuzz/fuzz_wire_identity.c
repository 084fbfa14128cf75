/* fuzz_wire_identity.c -- an identity is refused with a reason, or written again as it was read,
 * and what it says goes into logs and addresses without harm. */
#include <string.h>

#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "network/wire.h"

static void check_text(const char *text, size_t size_max)
{
    RK_ASSERT(strnlen(text, size_max + 1) <= size_max);
    for (; *text != '\0'; text++) {
        RK_ASSERT(*text > ' ' && *text <= '~');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_identity identity;
    struct wire_identity again;
    struct rk_buf written;
    const char *reason;
    const struct rk_bytes body = {.data = data, .size = (uint32_t)size};

    const enum rk_status status = wire_decode_identity(body, &identity, &reason);
    RK_ASSERT((status == RK_OK) == (reason == NULL));
    if (status != RK_OK) {
        return 0;
    }
    check_text(identity.node_name, RK_NODE_NAME_SIZE_MAX);
    check_text(identity.peer_address, RK_ADDRESS_SIZE_MAX);
    check_text(identity.client_address, RK_ADDRESS_SIZE_MAX);
    rk_buf_init(&written, RK_PEER_BODY_SIZE_MAX);
    wire_encode_identity(&identity, &written);
    /* The writer escapes <, > and &, which no address has, and the reader knows no escapes. */
    if (memchr(written.data, '\\', written.size) == NULL) {
        RK_ASSERT(wire_decode_identity(rk_buf_bytes(&written), &again, &reason) == RK_OK);
        RK_ASSERT(strcmp(again.peer_address, identity.peer_address) == 0);
        RK_ASSERT(again.formation == identity.formation && again.term == identity.term);
    }
    rk_buf_done(&written);
    return 0;
}
