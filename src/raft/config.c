#include "raft/config.h"

#include "base/assert.h"

static bool list_has(const raft_node_id *ids, uint32_t count, raft_node_id id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool list_is_valid(const raft_node_id *ids, uint32_t count, uint32_t count_max)
{
    if (count > count_max) {
        return false;
    }
    raft_node_id previous = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] <= previous) {
            return false;
        }
        previous = ids[i];
    }
    return true;
}

static bool lists_are_equal(const raft_node_id *a, uint32_t a_count, const raft_node_id *b,
                            uint32_t b_count)
{
    if (a_count != b_count) {
        return false;
    }
    for (uint32_t i = 0; i < a_count; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

bool config_is_valid(const struct raft_config *config)
{
    if (!list_is_valid(config->voters, config->voters_count, RAFT_VOTERS_MAX) ||
        !list_is_valid(config->old_voters, config->old_voters_count, RAFT_VOTERS_MAX) ||
        !list_is_valid(config->learners, config->learners_count, RAFT_LEARNERS_MAX)) {
        return false;
    }
    for (uint32_t i = 0; i < config->learners_count; i++) {
        if (config_is_voter(config, config->learners[i])) {
            return false;
        }
    }
    return config->voters_count > 0 || config->old_voters_count == 0;
}

bool config_is_empty(const struct raft_config *config)
{
    return config->voters_count == 0;
}

bool config_is_joint(const struct raft_config *config)
{
    return config->old_voters_count > 0;
}

bool config_is_voter(const struct raft_config *config, raft_node_id id)
{
    return list_has(config->voters, config->voters_count, id) ||
           list_has(config->old_voters, config->old_voters_count, id);
}

bool config_is_member(const struct raft_config *config, raft_node_id id)
{
    return config_is_voter(config, id) || list_has(config->learners, config->learners_count, id);
}

bool config_is_alone(const struct raft_config *config, raft_node_id id)
{
    const bool is_alone = config->voters_count == 1 && config->voters[0] == id;
    if (!config_is_joint(config)) {
        return is_alone;
    }
    return is_alone && config->old_voters_count == 1 && config->old_voters[0] == id;
}

bool config_may_follow(const struct raft_config *now, const struct raft_config *next)
{
    if (!config_is_valid(next) || config_is_empty(next)) {
        return false;
    }
    const bool same_voters =
        lists_are_equal(now->voters, now->voters_count, next->voters, next->voters_count);
    const bool same_old_voters = lists_are_equal(now->old_voters, now->old_voters_count,
                                                 next->old_voters, next->old_voters_count);
    const bool leaves = same_voters && config_is_joint(now) && !config_is_joint(next);
    const bool enters =
        !config_is_joint(now) &&
        lists_are_equal(now->voters, now->voters_count, next->old_voters, next->old_voters_count);
    return (same_voters && same_old_voters) || leaves || enters;
}

void config_log_init(struct config_log *log, const struct raft_config *config, raft_index index)
{
    RK_ASSERT(config_is_valid(config));
    *log = (struct config_log){
        .now = *config, .index = index, .former = *config, .former_index = index};
}

void config_log_append(struct config_log *log, const struct raft_config *config, raft_index index)
{
    RK_ASSERT(index > log->index);
    RK_ASSERT(config_is_valid(config));
    log->former = log->now;
    log->former_index = log->index;
    log->now = *config;
    log->index = index;
}

bool config_log_truncate(struct config_log *log, raft_index from)
{
    RK_ASSERT(from > log->former_index);
    if (log->index < from) {
        return false;
    }
    log->now = log->former;
    log->index = log->former_index;
    return true;
}
