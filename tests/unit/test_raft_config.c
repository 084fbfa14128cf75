/* Configurations: which are valid, which may follow which (dissertation 4.3), and what a
 * truncation takes back. */
#include <signal.h>

#include "raft/config.h"
#include "support/run.h"

/* Members of 1 .. 4 by bit masks. */
static struct raft_config config_of(uint32_t voters, uint32_t old_voters, uint32_t learners)
{
    struct raft_config config = {0};
    for (uint32_t i = 0; i < 4; i++) {
        if ((voters >> i & 1) != 0) {
            config.voters[config.voters_count++] = i + 1;
        }
        if ((old_voters >> i & 1) != 0) {
            config.old_voters[config.old_voters_count++] = i + 1;
        }
        if ((learners >> i & 1) != 0) {
            config.learners[config.learners_count++] = i + 1;
        }
    }
    return config;
}

START_TEST(valid_are_disjoint_learners_and_old_voters_with_successors)
{
    for (uint32_t bits = 0; bits < 4096; bits++) {
        const uint32_t voters = bits & 15;
        const uint32_t old_voters = bits >> 4 & 15;
        const uint32_t learners = bits >> 8 & 15;
        const struct raft_config config = config_of(voters, old_voters, learners);
        const bool expected =
            (learners & (voters | old_voters)) == 0 && (voters != 0 || old_voters == 0);
        ck_assert_int_eq(config_is_valid(&config), expected);
    }
}
END_TEST

START_TEST(lists_out_of_order_repeated_zero_or_too_long_are_invalid)
{
    struct raft_config config = {.voters = {2, 1}, .voters_count = 2};
    ck_assert(!config_is_valid(&config));
    config = (struct raft_config){.voters = {2, 2}, .voters_count = 2};
    ck_assert(!config_is_valid(&config));
    config = (struct raft_config){.voters = {0, 2}, .voters_count = 2};
    ck_assert(!config_is_valid(&config));
    config = (struct raft_config){.voters = {1}, .voters_count = RAFT_VOTERS_MAX + 1};
    ck_assert(!config_is_valid(&config));
    config = (struct raft_config){
        .voters = {1}, .voters_count = 1, .learners_count = RAFT_LEARNERS_MAX + 1};
    ck_assert(!config_is_valid(&config));
}
END_TEST

static bool is_majority(uint32_t set, uint32_t of)
{
    return 2 * __builtin_popcount(set & of) > __builtin_popcount(of);
}

static bool is_quorum(uint32_t set, uint32_t voters, uint32_t old_voters)
{
    return is_majority(set, voters) && (old_voters == 0 || is_majority(set, old_voters));
}

/* A set that is a quorum of one, whose complement is a quorum of the other: two leaders. */
static bool quorums_can_miss(uint32_t voters, uint32_t old_voters, uint32_t next_voters,
                             uint32_t next_old_voters)
{
    for (uint32_t set = 0; set < 16; set++) {
        if (is_quorum(set, voters, old_voters) &&
            is_quorum(15 & ~set, next_voters, next_old_voters)) {
            return true;
        }
    }
    return false;
}

/* Pitfalls 76, 81, 90 by brute force: all pairs of configurations over four nodes. */
START_TEST(pitfall_81_quorums_of_successive_configurations_always_meet)
{
    uint32_t allowed = 0;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const uint32_t voters = bits & 15;
        const uint32_t old_voters = bits >> 4 & 15;
        const uint32_t next_voters = bits >> 8 & 15;
        const uint32_t next_old_voters = bits >> 12 & 15;
        const struct raft_config now = config_of(voters, old_voters, 0);
        const struct raft_config next = config_of(next_voters, next_old_voters, 0);
        if (voters == 0 || !config_may_follow(&now, &next)) {
            continue;
        }
        allowed++;
        ck_assert_uint_ne(next_voters, 0);
        ck_assert(!quorums_can_miss(voters, old_voters, next_voters, next_old_voters));
    }
    /* 15 simple to themselves, 15 * 15 to enter, 15 * 15 joint to themselves and to leave. */
    ck_assert_uint_eq(allowed, 15 + 225 + 225 + 225);
}
END_TEST

START_TEST(learners_may_change_at_any_step_but_voters_only_through_both_halves)
{
    const struct raft_config now = config_of(3, 0, 4);
    const struct raft_config fewer_learners = config_of(3, 0, 0);
    const struct raft_config one_more_voter = config_of(7, 0, 0);
    const struct raft_config joint = config_of(7, 3, 0);
    ck_assert(config_may_follow(&now, &fewer_learners));
    ck_assert(!config_may_follow(&now, &one_more_voter));
    ck_assert(config_may_follow(&now, &joint));
    ck_assert(config_may_follow(&joint, &one_more_voter));
    ck_assert(!config_may_follow(&joint, &now));
}
END_TEST

START_TEST(roles_are_told_apart_in_both_halves)
{
    const struct raft_config joint = config_of(1, 2, 4);
    ck_assert(config_is_joint(&joint));
    ck_assert(config_is_voter(&joint, 1));
    ck_assert(config_is_voter(&joint, 2));
    ck_assert(!config_is_voter(&joint, 3));
    ck_assert(config_is_member(&joint, 3));
    ck_assert(!config_is_member(&joint, 4));
}
END_TEST

/* Pitfall 109: one voter decides alone only when it is alone in both halves. */
START_TEST(pitfall_109_alone_means_alone_in_both_halves)
{
    const struct raft_config alone = config_of(1, 0, 6);
    const struct raft_config growing = config_of(7, 1, 0);
    const struct raft_config shrinking = config_of(1, 7, 0);
    ck_assert(config_is_alone(&alone, 1));
    ck_assert(!config_is_alone(&alone, 2));
    ck_assert(!config_is_alone(&growing, 1));
    ck_assert(!config_is_alone(&shrinking, 1));
}
END_TEST

/* Pitfall 78. */
START_TEST(pitfall_78_truncation_rolls_the_configuration_back)
{
    const struct raft_config first = config_of(3, 0, 0);
    const struct raft_config second = config_of(3, 0, 4);
    struct config_log log;
    config_log_init(&log, &first, 0);
    config_log_append(&log, &second, 8);
    ck_assert(!config_log_truncate(&log, 9));
    ck_assert_uint_eq(log.index, 8);
    ck_assert(config_log_truncate(&log, 8));
    ck_assert_uint_eq(log.index, 0);
    ck_assert_uint_eq(log.now.learners_count, 0);
}
END_TEST

START_TEST(taking_two_configurations_back_aborts)
{
    const struct raft_config config = config_of(3, 0, 0);
    struct config_log log;
    config_log_init(&log, &config, 0);
    config_log_append(&log, &config, 8);
    config_log_append(&log, &config, 9);
    (void)config_log_truncate(&log, 8);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("config");
    tcase_add_test(tcase, valid_are_disjoint_learners_and_old_voters_with_successors);
    tcase_add_test(tcase, lists_out_of_order_repeated_zero_or_too_long_are_invalid);
    tcase_add_test(tcase, pitfall_81_quorums_of_successive_configurations_always_meet);
    tcase_add_test(tcase, learners_may_change_at_any_step_but_voters_only_through_both_halves);
    tcase_add_test(tcase, roles_are_told_apart_in_both_halves);
    tcase_add_test(tcase, pitfall_109_alone_means_alone_in_both_halves);
    tcase_add_test(tcase, pitfall_78_truncation_rolls_the_configuration_back);
    tcase_add_test_raise_signal(tcase, taking_two_configurations_back_aborts, SIGABRT);
    return run_suite("raft_config", tcase);
}
