/* fuzz_membership.c -- whatever the bytes, decoding stays inside them, and what it accepts is
 * exactly what the encoder, which asserts every rule, would have written. */
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "statemachine/membership.h"

static void check_id_text(struct cluster_id id)
{
    char text[CLUSTER_ID_TEXT_SIZE];
    struct cluster_id again;
    cluster_id_format(id, text);
    RK_ASSERT(cluster_id_parse(text, &again) == RK_OK);
    RK_ASSERT(cluster_id_equal(id, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rk_bytes bytes = {.data = data, .size = (uint32_t)size};
    struct membership membership = {.election_timeout_ms = 1};
    if (membership_decode(bytes, &membership) != RK_OK) {
        RK_ASSERT(membership.election_timeout_ms == 1 && membership.members_count == 0);
        return 0;
    }
    struct rk_buf buf;
    struct raft_config config;
    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
    membership_encode(&membership, &buf);
    RK_ASSERT(buf.size == size && memcmp(buf.data, data, size) == 0);
    membership_to_raft(&membership, &config);
    RK_ASSERT(config.voters_count > 0);
    check_id_text(membership.cluster);
    rk_buf_done(&buf);
    return 0;
}
