#include "raft/quorum.h"

#include "base/assert.h"

uint32_t quorum_size(uint32_t voters_count)
{
    return voters_count / 2 + 1;
}

/* Puts `value` in its place among the `count` values, which descend. */
static void insert_descending(uint64_t *values, uint32_t count, uint64_t value)
{
    uint32_t at = count;
    for (; at > 0 && values[at - 1] < value; at--) {
        values[at] = values[at - 1];
    }
    values[at] = value;
}

static uint64_t majority_reached(const raft_node_id *voters, uint32_t voters_count,
                                 quorum_value *value, const void *context)
{
    uint64_t values[RAFT_VOTERS_MAX];

    RK_ASSERT(voters_count > 0);
    RK_ASSERT(voters_count <= RAFT_VOTERS_MAX);
    for (uint32_t i = 0; i < voters_count; i++) {
        insert_descending(values, i, value(context, voters[i]));
    }
    return values[quorum_size(voters_count) - 1];
}

uint64_t quorum_reached(const struct raft_config *config, quorum_value *value, const void *context)
{
    if (config->voters_count == 0) {
        return 0;
    }
    const uint64_t now = majority_reached(config->voters, config->voters_count, value, context);
    if (config->old_voters_count == 0) {
        return now;
    }
    const uint64_t old =
        majority_reached(config->old_voters, config->old_voters_count, value, context);
    return now < old ? now : old;
}
