/* Majority and joint arithmetic (dissertation 3.6.2, 4.3), against the definition spelled out:
 * a value is reached when more than half of each half of the configuration has it. */
#include <stdlib.h>

#include "raft/quorum.h"
#include "support/run.h"

static uint64_t values[2 * RAFT_VOTERS_MAX + 1];

static uint64_t value_of(const void *context, raft_node_id voter)
{
    (void)context;
    return values[voter];
}

static struct raft_config config_of(uint32_t voters_count, uint32_t old_first, uint32_t old_count)
{
    struct raft_config config = {.voters_count = voters_count, .old_voters_count = old_count};
    for (uint32_t i = 0; i < voters_count; i++) {
        config.voters[i] = i + 1;
    }
    for (uint32_t i = 0; i < old_count; i++) {
        config.old_voters[i] = old_first + i;
    }
    return config;
}

static bool half_has(const raft_node_id *ids, uint32_t count, uint64_t value)
{
    uint32_t having = 0;
    for (uint32_t i = 0; i < count; i++) {
        having += values[ids[i]] >= value;
    }
    return 2 * having > count;
}

static bool quorum_has(const struct raft_config *config, uint64_t value)
{
    return half_has(config->voters, config->voters_count, value) &&
           (config->old_voters_count == 0 ||
            half_has(config->old_voters, config->old_voters_count, value));
}

/* The greatest of 0, 1, 2 that a quorum has, by trying. */
static uint64_t reached_slowly(const struct raft_config *config)
{
    uint64_t reached = 0;
    for (uint64_t value = 1; value <= 2; value++) {
        if (quorum_has(config, value)) {
            reached = value;
        }
    }
    return reached;
}

/* Every way to give 0, 1 or 2 to the members of one configuration. */
static void check_all_values(const struct raft_config *config, uint32_t members_count)
{
    uint32_t ways = 1;
    for (uint32_t i = 0; i < members_count; i++) {
        ways *= 3;
    }
    for (uint32_t way = 0; way < ways; way++) {
        uint32_t rest = way;
        for (uint32_t id = 1; id <= members_count; id++) {
            values[id] = rest % 3;
            rest /= 3;
        }
        ck_assert_uint_eq(quorum_reached(config, value_of, NULL), reached_slowly(config));
    }
}

/* Pitfalls 33 and 79: halves of 1 to 5 voters that overlap by any number, or not at all. */
START_TEST(joint_quorum_is_a_majority_of_both_halves)
{
    const uint32_t voters_count = (uint32_t)_i;
    for (uint32_t old_count = 1; old_count <= 5; old_count++) {
        for (uint32_t old_first = 1; old_first <= voters_count + 1; old_first++) {
            const struct raft_config config = config_of(voters_count, old_first, old_count);
            const uint32_t old_last = old_first + old_count - 1;
            check_all_values(&config, old_last > voters_count ? old_last : voters_count);
        }
    }
}
END_TEST

START_TEST(simple_quorum_is_a_majority)
{
    for (uint32_t voters_count = 1; voters_count <= RAFT_VOTERS_MAX; voters_count++) {
        const struct raft_config config = config_of(voters_count, 0, 0);
        check_all_values(&config, voters_count);
    }
}
END_TEST

/* Half is not a majority: an even cluster needs one more (pitfall 33). */
START_TEST(quorum_size_is_more_than_half)
{
    for (uint32_t count = 1; count <= RAFT_VOTERS_MAX; count++) {
        ck_assert_uint_gt(2 * quorum_size(count), count);
        ck_assert_uint_le(2 * (quorum_size(count) - 1), count);
    }
}
END_TEST

START_TEST(nobody_reaches_nothing)
{
    const struct raft_config config = {0};
    ck_assert_uint_eq(quorum_reached(&config, value_of, NULL), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("quorum");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, joint_quorum_is_a_majority_of_both_halves, 1, 6);
    tcase_add_test(tcase, simple_quorum_is_a_majority);
    tcase_add_test(tcase, quorum_size_is_more_than_half);
    tcase_add_test(tcase, nobody_reaches_nothing);
    return run_suite("raft_quorum", tcase);
}
