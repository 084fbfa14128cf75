/* wire_plain.h -- what the tests of bodies between nodes begin with: an envelope, and texts as bytes. */
#ifndef RK_TESTS_WIRE_PLAIN_H
#define RK_TESTS_WIRE_PLAIN_H

#include <string.h>

#include "network/wire.h"

static const struct wire_envelope plain_envelope = {
    .cluster_high = 1,
    .cluster_low = UINT64_MAX,
    .from = 11,
    .to = 12,
    .from_incarnation = 5,
    .protocol = RK_PROTOCOL_VERSION,
    .election_timeout_ms = 400,
};

static inline struct rk_bytes text_bytes(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

#endif
