/* Changes of the membership: what the leader plans, what it refuses, and what is due by itself. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/config.h"
#include "server/member_change.h"
#include "support/run.h"

static struct membership now;
static struct membership next;
static struct member_facts facts;
static struct admin_request request;
static struct admin_outcome outcome;

static void put(raft_node_id id, bool is_voter)
{
    struct member member = {.id = id, .incarnation = 1, .is_voter = is_voter};
    member.is_learner = !is_voter;
    (void)snprintf(member.name, sizeof(member.name), "n%u", (unsigned)id);
    (void)snprintf(member.peer_address, sizeof(member.peer_address), "h%u:1", (unsigned)id);
    ck_assert_int_eq(membership_add(&now, &member), RK_OK);
}

/* Voters 1 .. count, all alive, the configuration committed at index 7. */
static void cluster(uint32_t count)
{
    now = (struct membership){.cluster = {.low = 1}, .election_timeout_ms = 400};
    facts =
        (struct member_facts){.config_index = 7, .is_config_committed = true, .last_index = 100};
    request = (struct admin_request){.items_count = 1};
    outcome = (struct admin_outcome){.refusal = ADMIN_ALLOWED};
    for (uint32_t i = 0; i < count; i++) {
        put(i + 1, true);
        facts.members[i].is_alive = true;
        facts.members[i].is_there = true;
    }
}

static void who(const char *text)
{
    (void)snprintf(request.items[0].who, sizeof(request.items[0].who), "%s", text);
}

static void fresh(uint32_t i, raft_node_id id, const char *name, const char *address)
{
    request.items[i].id = id;
    (void)snprintf(request.items[i].name, sizeof(request.items[i].name), "%s", name);
    (void)snprintf(request.items[i].peer_address, sizeof(request.items[i].peer_address), "%s",
                   address);
}

/* The core would take every step that is planned or due (pitfalls 76, 81). */
static void follow(void)
{
    struct raft_config before;
    struct raft_config after;
    membership_to_raft(&now, &before);
    membership_to_raft(&next, &after);
    ck_assert(config_may_follow(&before, &after));
    now = next;
}

static void plan(enum admin_type type)
{
    request.type = type;
    ck_assert(member_change_plan(&now, &facts, &request, &next, &outcome));
    follow();
}

static void due(void)
{
    ck_assert(member_change_due(&now, &facts, &next));
    follow();
}

static void ck_assert_refused(enum admin_type type, enum admin_refusal refusal)
{
    request.type = type;
    ck_assert(!member_change_plan(&now, &facts, &request, &next, &outcome));
    ck_assert_int_eq(outcome.refusal, refusal);
}

static void caught_up(raft_node_id id)
{
    for (uint32_t i = 0; i < now.members_count; i++) {
        if (now.members[i].id == id) {
            facts.members[i].is_alive = true;
            facts.members[i].is_caught_up = true;
        }
    }
}

/* Facts are by place: members went and came. */
static void all_alive(void)
{
    for (uint32_t i = 0; i < now.members_count; i++) {
        facts.members[i].is_alive = true;
        facts.members[i].is_caught_up = false;
    }
}

/* -- adding -- */

/* Dissertation 4.2.1: first a learner, which has no part in any majority. */
START_TEST(new_node_is_a_learner_that_was_not_seen_and_wants_a_vote)
{
    cluster(1);
    fresh(0, 5, "n5", "h5:1");
    plan(ADMIN_ADD);
    const struct member *added = membership_by_name(&now, "n5");
    ck_assert_ptr_nonnull(added);
    ck_assert(added->is_learner && added->wants_vote && !added->is_voter);
    ck_assert_uint_eq(added->incarnation, 0);
    ck_assert(!now.is_joint);
}
END_TEST

/* Pitfall 82. */
START_TEST(candidate_does_not_vote_before_it_has_caught_up)
{
    cluster(1);
    fresh(0, 5, "n5", "h5:1");
    plan(ADMIN_ADD);
    ck_assert(!member_change_due(&now, &facts, &next));
}
END_TEST

START_TEST(candidate_that_has_caught_up_votes_through_a_joint_configuration)
{
    cluster(1);
    fresh(0, 5, "n5", "h5:1");
    plan(ADMIN_ADD);
    caught_up(5);
    due();
    ck_assert(now.is_joint);
    ck_assert(membership_by_id(&now, 5)->is_voter && !membership_by_id(&now, 5)->is_old_voter);
    due();
    ck_assert(!now.is_joint);
    ck_assert(!member_change_due(&now, &facts, &next));
}
END_TEST

START_TEST(learner_that_is_to_stay_one_does)
{
    cluster(1);
    fresh(0, 5, "n5", "h5:1");
    request.items[0].stays_learner = true;
    plan(ADMIN_ADD);
    caught_up(5);
    ck_assert(!member_change_due(&now, &facts, &next));
    ck_assert(!member_change_is_open(&now, &facts));
}
END_TEST

START_TEST(name_and_address_are_taken_once)
{
    cluster(2);
    fresh(0, 5, "n2", "h5:1");
    ck_assert_refused(ADMIN_ADD, ADMIN_NAME_TAKEN);
    ck_assert_str_eq(outcome.who, "n2");
    fresh(0, 5, "n5", "h2:1");
    ck_assert_refused(ADMIN_ADD, ADMIN_ADDRESS_TAKEN);
    ck_assert_str_eq(outcome.who, "h2:1");
}
END_TEST

START_TEST(tenth_voter_is_refused_and_a_tenth_member_that_only_learns_is_not)
{
    cluster(9);
    fresh(0, 50, "n50", "h50:1");
    ck_assert_refused(ADMIN_ADD, ADMIN_TOO_MANY_VOTERS);
    request.items[0].stays_learner = true;
    plan(ADMIN_ADD);
}
END_TEST

/* -- promoting -- */

START_TEST(learner_that_lags_is_not_promoted_and_how_far_is_said)
{
    cluster(1);
    put(4, false);
    facts.members[1].match_index = 42;
    who("n4");
    ck_assert_refused(ADMIN_PROMOTE, ADMIN_NOT_CAUGHT_UP);
    ck_assert_uint_eq(outcome.numbers[0], 42);
    ck_assert_uint_eq(outcome.numbers[1], 100);
    caught_up(4);
    plan(ADMIN_PROMOTE);
    ck_assert(now.is_joint && membership_by_id(&now, 4)->is_voter);
}
END_TEST

START_TEST(voter_is_not_promoted)
{
    cluster(2);
    who("2");
    ck_assert_refused(ADMIN_PROMOTE, ADMIN_ALREADY_VOTER);
}
END_TEST

/* -- removing -- */

START_TEST(voter_leaves_through_a_joint_configuration)
{
    cluster(3);
    who("n2");
    plan(ADMIN_REMOVE);
    ck_assert(now.is_joint);
    ck_assert(membership_by_id(&now, 2)->is_old_voter && !membership_by_id(&now, 2)->is_voter);
    due();
    ck_assert(!now.is_joint);
    ck_assert_ptr_null(membership_by_id(&now, 2));
}
END_TEST

START_TEST(member_is_meant_by_id_or_address_too)
{
    cluster(3);
    who("3");
    plan(ADMIN_REMOVE);
    ck_assert(!membership_by_id(&now, 3)->is_voter);
    cluster(3);
    who("h2:1");
    request.items[0].is_address = true;
    plan(ADMIN_REMOVE);
    ck_assert(!membership_by_id(&now, 2)->is_voter);
}
END_TEST

START_TEST(unknown_node_is_refused)
{
    cluster(3);
    who("n4");
    ck_assert_refused(ADMIN_REMOVE, ADMIN_UNKNOWN_NODE);
    ck_assert_refused(ADMIN_PROMOTE, ADMIN_UNKNOWN_NODE);
    ck_assert_refused(ADMIN_REPLACE, ADMIN_UNKNOWN_NODE);
}
END_TEST

/* Pitfall 90. */
START_TEST(last_voter_stays)
{
    cluster(1);
    put(4, false);
    who("n1");
    ck_assert_refused(ADMIN_REMOVE, ADMIN_LAST_VOTER);
}
END_TEST

/* Pitfall 87: of n1, n2 and n3 the last is down; without n2, n1 could not commit alone. */
START_TEST(removal_that_would_lose_the_quorum_is_refused_with_the_numbers)
{
    cluster(3);
    facts.members[2].is_alive = false;
    who("n2");
    ck_assert_refused(ADMIN_REMOVE, ADMIN_QUORUM_LOST);
    ck_assert_uint_eq(outcome.numbers[0], 1);
    ck_assert_uint_eq(outcome.numbers[1], 2);
    ck_assert_uint_eq(outcome.numbers[2], 2);
    who("n3");
    plan(ADMIN_REMOVE);
}
END_TEST

START_TEST(learner_goes_at_once)
{
    cluster(1);
    put(4, false);
    who("n4");
    plan(ADMIN_REMOVE);
    ck_assert(!now.is_joint);
    ck_assert_uint_eq(now.members_count, 1);
}
END_TEST

/* -- replacing -- */

START_TEST(replaced_member_goes_in_the_step_in_which_the_new_one_votes)
{
    cluster(3);
    facts.members[2].is_alive = false;
    who("n3");
    fresh(0, 4, "n4", "h4:1");
    plan(ADMIN_REPLACE);
    ck_assert(membership_by_id(&now, 3)->is_voter);
    ck_assert_uint_eq(membership_by_id(&now, 4)->replaces, 3);
    caught_up(4);
    due();
    ck_assert(now.is_joint && membership_by_id(&now, 4)->is_voter);
    ck_assert(!membership_by_id(&now, 3)->is_voter && membership_by_id(&now, 3)->is_old_voter);
    due();
    ck_assert_ptr_null(membership_by_id(&now, 3));
    ck_assert_uint_eq(membership_by_id(&now, 4)->replaces, 0);
    ck_assert_uint_eq(now.members_count, 3);
}
END_TEST

/* Pitfall 91: a wiped disk under its old name and address is a new member. */
START_TEST(wiped_member_is_replaced_under_its_own_name_and_address)
{
    struct membership decoded;
    struct rk_buf buf;
    cluster(3);
    facts.members[2].is_there = false; /* it answered a moment ago, and was killed */
    who("n3");
    fresh(0, 4, "n3", "h3:1");
    plan(ADMIN_REPLACE);
    ck_assert_uint_eq(membership_by_name(&now, "n3")->id, 4);
    rk_buf_init(&buf, 4096);
    membership_encode(&now, &buf);
    ck_assert_int_eq(membership_decode(rk_buf_bytes(&buf), &decoded), RK_OK);
    rk_buf_done(&buf);
    caught_up(4);
    due();
    due();
    ck_assert_uint_eq(membership_by_name(&now, "n3")->id, 4);
    ck_assert_uint_eq(now.members_count, 3);
}
END_TEST

/* The newcomer could never come up there, and the change would never end. */
START_TEST(member_that_answers_is_not_replaced_at_its_own_address)
{
    cluster(3);
    who("n3");
    fresh(0, 4, "n3", "h3:1");
    ck_assert_refused(ADMIN_REPLACE, ADMIN_STILL_ANSWERS);
    ck_assert_str_eq(outcome.who, "n3");
    fresh(0, 4, "n4", "h3:1");
    ck_assert_refused(ADMIN_REPLACE, ADMIN_STILL_ANSWERS);
    fresh(0, 4, "n3", "h4:1"); /* it moves */
    plan(ADMIN_REPLACE);
}
END_TEST

START_TEST(several_are_replaced_in_one_joint_configuration)
{
    cluster(3);
    who("n2");
    fresh(0, 4, "n4", "h4:1");
    request.items_count = 2;
    (void)snprintf(request.items[1].who, sizeof(request.items[1].who), "n3");
    fresh(1, 5, "n5", "h5:1");
    plan(ADMIN_REPLACE);
    caught_up(4);
    ck_assert(!member_change_due(&now, &facts, &next));
    caught_up(5);
    due();
    ck_assert(membership_by_id(&now, 4)->is_voter && membership_by_id(&now, 5)->is_voter);
    due();
    ck_assert_uint_eq(now.members_count, 3);
    ck_assert_ptr_nonnull(membership_by_id(&now, 1));
}
END_TEST

START_TEST(same_member_is_not_replaced_twice)
{
    cluster(3);
    who("n2");
    fresh(0, 4, "n4", "h4:1");
    request.items_count = 2;
    (void)snprintf(request.items[1].who, sizeof(request.items[1].who), "2");
    fresh(1, 5, "n5", "h5:1");
    ck_assert_refused(ADMIN_REPLACE, ADMIN_IN_FLIGHT);
}
END_TEST

START_TEST(nine_voters_are_replaced_one_by_one)
{
    cluster(9);
    who("n9");
    fresh(0, 50, "n50", "h50:1");
    plan(ADMIN_REPLACE);
    caught_up(50);
    due();
    due();
    ck_assert_uint_eq(now.members_count, 9);
}
END_TEST

/* -- one at a time -- */

/* Pitfalls 77, 89. */
START_TEST(change_is_refused_while_one_is_in_flight)
{
    cluster(3);
    facts.is_config_committed = false;
    who("n3");
    ck_assert_refused(ADMIN_REMOVE, ADMIN_IN_FLIGHT);
    cluster(3);
    who("n3");
    plan(ADMIN_REMOVE);
    who("n2");
    ck_assert_refused(ADMIN_REMOVE, ADMIN_IN_FLIGHT);
    ck_assert(member_change_is_open(&now, &facts));
}
END_TEST

START_TEST(change_is_refused_while_a_candidate_catches_up_but_it_can_be_given_up)
{
    cluster(3);
    fresh(0, 5, "n5", "h5:1");
    plan(ADMIN_ADD);
    who("n3");
    ck_assert_refused(ADMIN_REMOVE, ADMIN_IN_FLIGHT);
    ck_assert_str_eq(outcome.who, "n5");
    fresh(0, 6, "n6", "h6:1");
    ck_assert_refused(ADMIN_ADD, ADMIN_IN_FLIGHT);
    who("n5");
    plan(ADMIN_REMOVE);
    ck_assert(!member_change_is_open(&now, &facts));
}
END_TEST

START_TEST(configuration_of_another_index_is_not_changed)
{
    cluster(3);
    request.has_cas = true;
    request.cas = 6;
    who("n3");
    ck_assert_refused(ADMIN_REMOVE, ADMIN_INDEX_DIFFERS);
    ck_assert_uint_eq(outcome.numbers[0], 7);
    request.cas = 7;
    plan(ADMIN_REMOVE);
}
END_TEST

/* Pitfall 80: leaving is due only while joint, and only once that is committed. */
START_TEST(joint_configuration_is_left_only_when_it_is_committed)
{
    cluster(3);
    who("n3");
    plan(ADMIN_REMOVE);
    facts.is_config_committed = false;
    ck_assert(!member_change_due(&now, &facts, &next));
    facts.is_config_committed = true;
    due();
    all_alive();
    ck_assert(!member_change_due(&now, &facts, &next));
}
END_TEST

/* The vote that is due waits too where it would leave no quorum that answers. */
START_TEST(candidate_waits_while_the_new_half_could_not_decide)
{
    cluster(2);
    put(3, true);
    fresh(0, 4, "n4", "h4:1");
    plan(ADMIN_ADD);
    caught_up(4);
    facts.members[1].is_alive = false;
    facts.members[2].is_alive = false;
    ck_assert(!member_change_due(&now, &facts, &next));
    facts.members[1].is_alive = true;
    due();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("member_change");

    tcase_add_test(tcase, new_node_is_a_learner_that_was_not_seen_and_wants_a_vote);
    tcase_add_test(tcase, candidate_does_not_vote_before_it_has_caught_up);
    tcase_add_test(tcase, candidate_that_has_caught_up_votes_through_a_joint_configuration);
    tcase_add_test(tcase, learner_that_is_to_stay_one_does);
    tcase_add_test(tcase, name_and_address_are_taken_once);
    tcase_add_test(tcase, tenth_voter_is_refused_and_a_tenth_member_that_only_learns_is_not);
    tcase_add_test(tcase, learner_that_lags_is_not_promoted_and_how_far_is_said);
    tcase_add_test(tcase, voter_is_not_promoted);
    tcase_add_test(tcase, voter_leaves_through_a_joint_configuration);
    tcase_add_test(tcase, member_is_meant_by_id_or_address_too);
    tcase_add_test(tcase, unknown_node_is_refused);
    tcase_add_test(tcase, last_voter_stays);
    tcase_add_test(tcase, removal_that_would_lose_the_quorum_is_refused_with_the_numbers);
    tcase_add_test(tcase, learner_goes_at_once);
    tcase_add_test(tcase, replaced_member_goes_in_the_step_in_which_the_new_one_votes);
    tcase_add_test(tcase, wiped_member_is_replaced_under_its_own_name_and_address);
    tcase_add_test(tcase, member_that_answers_is_not_replaced_at_its_own_address);
    tcase_add_test(tcase, several_are_replaced_in_one_joint_configuration);
    tcase_add_test(tcase, same_member_is_not_replaced_twice);
    tcase_add_test(tcase, nine_voters_are_replaced_one_by_one);
    tcase_add_test(tcase, change_is_refused_while_one_is_in_flight);
    tcase_add_test(tcase, change_is_refused_while_a_candidate_catches_up_but_it_can_be_given_up);
    tcase_add_test(tcase, configuration_of_another_index_is_not_changed);
    tcase_add_test(tcase, joint_configuration_is_left_only_when_it_is_committed);
    tcase_add_test(tcase, candidate_waits_while_the_new_half_could_not_decide);
    return run_suite("member_change", tcase);
}
