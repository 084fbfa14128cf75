/* Forming a cluster and claiming a place in one (design: identity), seen from one node. */
#include "node_fixture.h"

#include <stdio.h>
#include <string.h>

#include "support/run.h"

static void answer(const char *name, const struct wire_identity *identity)
{
    fixture_identify(fixture_post_to("/raft/identity", name), identity);
}

/* The time of one round of asking. */
static void next_round(void)
{
    fixture_wait(NODE_IDENTITY_MS);
    node_identity_turn(fixture.node);
}

/* `name` is of a cluster, which knows "n1" with that incarnation. */
static struct wire_identity member_identity(const char *name, uint64_t asked_incarnation)
{
    struct wire_identity identity = fixture_new_identity(name);

    identity.is_forming = false;
    identity.envelope.cluster_high = 0xc1;
    identity.term = 4;
    identity.asked_is_member = true;
    identity.asked_incarnation = asked_incarnation;
    return identity;
}

START_TEST(node_forms_at_once_when_all_are_new)
{
    fixture_form();
    ck_assert_uint_eq(fixture.node->identity_rounds, 2);
}
END_TEST

START_TEST(node_forms_with_a_new_majority_only_after_some_patience)
{
    const struct wire_identity identity = fixture_new_identity("n2");

    node_identity_turn(fixture.node);
    answer("n2", &identity);
    next_round();
    ck_assert_int_eq(fixture.node->standing, STANDING_ASKING);
    for (uint32_t i = 0; i < 15 && fixture.node->standing == STANDING_ASKING; i++) {
        answer("n2", &identity);
        next_round();
    }
    ck_assert_int_eq(fixture.node->standing, STANDING_FORMING);
}
END_TEST

START_TEST(node_does_not_form_alone)
{
    node_identity_turn(fixture.node);
    for (uint32_t i = 0; i < 30; i++) {
        next_round();
    }
    ck_assert_int_eq(fixture.node->standing, STANDING_ASKING);
}
END_TEST

/* One that has voted already is not new: it may hold what a cluster acknowledged. */
START_TEST(node_does_not_form_when_one_that_answers_is_not_new)
{
    const struct wire_identity fresh = fixture_new_identity("n2");
    struct wire_identity old = fixture_new_identity("n3");

    old.is_forming = false;
    old.term = 1;
    node_identity_turn(fixture.node);
    for (uint32_t i = 0; i < 30; i++) {
        answer("n2", &fresh);
        answer("n3", &old);
        next_round();
    }
    ck_assert_int_eq(fixture.node->standing, STANDING_ASKING);
}
END_TEST

START_TEST(node_with_another_initial_cluster_is_not_counted)
{
    struct wire_identity identity = fixture_new_identity("n2");

    identity.formation++;
    node_identity_turn(fixture.node);
    answer("n2", &identity);
    ck_assert_uint_eq(fixture.node->identity_fresh, 0);
}
END_TEST

/* Else one node's answers to two rounds would make a majority. */
START_TEST(answer_to_an_earlier_round_is_not_counted)
{
    const struct wire_identity identity = fixture_new_identity("n2");

    node_identity_turn(fixture.node);
    struct fixture_post *late = fixture_post_to("/raft/identity", "n2");
    next_round();
    answer("n2", &identity);
    fixture_identify(late, &identity);

    ck_assert_uint_eq(fixture.node->identity_answers, 1);
    ck_assert_uint_eq(fixture.node->identity_fresh, 1);
}
END_TEST

START_TEST(name_that_the_cluster_knows_with_another_disk_is_refused)
{
    const struct wire_identity identity = member_identity("n2", 0xdead);

    node_identity_turn(fixture.node);
    answer("n2", &identity);
    ck_assert_int_eq(fixture.node->standing, STANDING_REFUSED);
    ck_assert(strstr(fixture.node->refused_reason, "data directory") != NULL);

    /* and it neither votes nor listens */
    struct http_exchange exchange;
    fixture_receive(&exchange, "n2", &(struct raft_message){.type = RAFT_VOTE_REQUEST, .term = 9});
    ck_assert_uint_eq(exchange.status, 403);
    fixture_exchange_done(&exchange);
}
END_TEST

START_TEST(name_that_the_cluster_does_not_know_is_refused)
{
    struct wire_identity identity = member_identity("n2", 0);

    identity.asked_is_member = false;
    node_identity_turn(fixture.node);
    answer("n2", &identity);
    ck_assert_int_eq(fixture.node->standing, STANDING_REFUSED);
}
END_TEST

START_TEST(name_that_the_cluster_waits_for_claims_its_place)
{
    const struct wire_identity identity = member_identity("n2", 0);

    node_identity_turn(fixture.node);
    answer("n2", &identity);
    ck_assert_int_eq(fixture.node->standing, STANDING_CLAIMING);
    ck_assert_uint_eq(node_envelope(fixture.node, 1).cluster_high, 0xc1);
}
END_TEST

/* -- a first entry that is not committed -- */

/* Elected, the first entry on the own disk alone. */
static void lead_without_commit(void)
{
    fixture_lead();
    fixture.node->is_firm = false;
}

/* Others may come out with another cluster: its name would make them deaf to the truth. */
static void start_again_in_term(raft_term term)
{
    const char *reason = NULL;

    fixture.node->view.hard_state.term = term;
    ck_assert_int_eq(node_identity_start(fixture.node, &reason), RK_OK);
}

/* Pitfall 94: the term is all that the leader's first message has left on its disk. */
START_TEST(joining_node_with_a_term_and_no_log_forms_no_cluster)
{
    fixture.options.initial_cluster_count = 1;
    (void)snprintf(fixture.options.join, sizeof(fixture.options.join), "127.0.0.1:8302");
    start_again_in_term(5);
    ck_assert_int_eq(fixture.node->standing, STANDING_ASKING);
}
END_TEST

START_TEST(joining_node_does_not_care_who_is_left_of_initial_cluster)
{
    const struct member self = {.id = 77,
                                .name = "n1",
                                .peer_address = "127.0.0.1:8301",
                                .incarnation = fixture.node->incarnation,
                                .is_voter = true};

    (void)snprintf(fixture.options.join, sizeof(fixture.options.join), "127.0.0.1:8309");
    fixture.node->membership = (struct membership){.election_timeout_ms = 400};
    ck_assert_int_eq(membership_add(&fixture.node->membership, &self), RK_OK);
    start_again_in_term(5);
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
}
END_TEST

/* It was wiped, and replaced under its own name; it stopped after the first message of its leader
 * and before the first entry. */
START_TEST(replaced_node_with_a_term_and_no_log_takes_its_new_id)
{
    struct wire_identity identity = member_identity("n2", 0);
    struct raft_restored kept = {.hard_state = {.term = 5}};

    start_again_in_term(5);
    ck_assert_int_eq(fixture.node->standing, STANDING_FORMING);
    node_identity_initial_config(fixture.node, &kept.config);
    node_restart_core(fixture.node, &kept);
    fixture.node->kept = &kept;
    identity.asked_id = 77;
    node_identity_turn(fixture.node);
    answer("n2", &identity);
    fixture.node->kept = NULL;
    ck_assert_int_eq(fixture.node->standing, STANDING_CLAIMING);
    ck_assert_uint_eq(fixture.node->id, 77);
    ck_assert_uint_eq(kept.config.voters_count, 0);
}
END_TEST

static struct fixture_post *post_to_address(const char *address)
{
    const struct peer *peer = NULL;

    for (uint32_t i = 0; i < fixture.node->peers_count; i++) {
        if (strcmp(fixture.node->peers[i].address, address) == 0) {
            peer = &fixture.node->peers[i];
        }
    }
    for (uint32_t i = fixture.posts_count; peer != NULL && i > 0; i--) {
        struct fixture_post *post = &fixture.posts[i - 1];
        if (!post->is_answered && ((struct outgoing *)(uintptr_t)post->cookie)->peer == peer->id) {
            return post;
        }
    }
    return NULL;
}

/* The member at the address to join was removed itself after it had told where the leader is. */
START_TEST(joining_node_goes_on_asking_the_leader_under_its_new_id)
{
    const struct wire_identity told = {
        .envelope = {.cluster_high = 0xc1,
                     .from = 9,
                     .from_incarnation = 0xabc2,
                     .protocol = RK_PROTOCOL_VERSION,
                     .election_timeout_ms = 400},
        .node_name = "n2",
        .peer_address = "127.0.0.1:8302",
        .leader_address = "127.0.0.1:8309",
        .asked_is_member = true,
        .asked_id = 77,
    };
    struct raft_restored kept = {.hard_state = {.term = 0}};

    (void)snprintf(fixture.options.join, sizeof(fixture.options.join), "127.0.0.1:8302");
    start_again_in_term(0);
    fixture.node->kept = &kept;
    node_identity_turn(fixture.node);
    fixture_identify(post_to_address("127.0.0.1:8302"), &told);
    fixture.node->kept = NULL;
    ck_assert_uint_eq(fixture.node->id, 77);
    node_identity_turn(fixture.node);
    ck_assert_ptr_nonnull(post_to_address("127.0.0.1:8309"));
}
END_TEST

/* The member at the address to join is gone; the leader asks those that it waits for. */
START_TEST(joining_node_asks_the_leader_that_asks_it)
{
    struct http_exchange exchange;
    struct rk_buf body;
    const struct wire_identity leader = {
        .envelope = {.cluster_high = 0xc1,
                     .from = 9,
                     .from_incarnation = 0xabc9,
                     .protocol = RK_PROTOCOL_VERSION,
                     .election_timeout_ms = 400},
        .node_name = "n9",
        .peer_address = "127.0.0.1:8309",
        .term = 4,
        .leader = 9,
    };

    (void)snprintf(fixture.options.join, sizeof(fixture.options.join), "127.0.0.1:8302");
    start_again_in_term(0);
    rk_buf_init(&body, 8192);
    wire_encode_identity(&leader, &body);
    fixture_request(&exchange, "/raft/identity", &body);
    fixture_exchange_done(&exchange);
    rk_buf_done(&body);
    node_identity_turn(fixture.node);
    ck_assert_ptr_nonnull(post_to_address("127.0.0.1:8309"));
}
END_TEST

START_TEST(uncommitted_cluster_id_is_not_said_aloud)
{
    lead_without_commit();
    ck_assert(cluster_id_is_set(fixture.node->membership.cluster));
    ck_assert_uint_eq(node_envelope(fixture.node, 1).cluster_high, 0);
    fixture.node->is_firm = true;
    ck_assert_uint_eq(node_envelope(fixture.node, 1).cluster_high,
                      fixture.node->membership.cluster.high);
}
END_TEST

START_TEST(uncommitted_first_entry_gives_way_to_the_cluster_of_the_others)
{
    const struct wire_identity second = member_identity("n2", fixture_incarnation("n1"));
    const struct wire_identity third = member_identity("n3", 0);

    lead_without_commit();
    next_round();
    answer("n2", &second); /* its leader will send what there is */
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
    answer("n3", &third); /* it waits for this node to ask */
    ck_assert_int_eq(fixture.node->standing, STANDING_CLAIMING);
}
END_TEST

/* -- a claim that is cut off -- */

START_TEST(truncated_claim_is_made_again)
{
    struct node *node = fixture.node;

    fixture_lead();
    node_identity_turn(node);
    ck_assert_uint_eq(node_identity_deadline_ms(node), UINT64_MAX);
    struct membership without = node->membership;
    const struct membership with = node->membership;
    for (uint32_t i = 0; i < without.members_count; i++) {
        if (without.members[i].id == node->id) {
            without.members[i].incarnation = 0;
        }
    }
    node_membership_entered(node, &without, 5);
    node_membership_entered(node, &with, 6);
    node->standing = STANDING_MEMBER;
    node_membership_truncated(node, 6);

    ck_assert_int_eq(node->standing, STANDING_CLAIMING);
    ck_assert_uint_le(node_identity_deadline_ms(node), node->now_ms);
    ck_assert(cluster_id_equal(node->seen_cluster, without.cluster));
}
END_TEST

START_TEST(truncated_first_configuration_is_formed_again)
{
    struct node *node = fixture.node;

    fixture_lead();
    node_membership_truncated(node, 1);
    ck_assert_int_eq(node->standing, STANDING_FORMING);
    ck_assert_uint_eq(node->peers_count, 2);
    ck_assert_uint_le(node_identity_deadline_ms(node), node->now_ms);
}
END_TEST

/* -- being asked -- */

static struct wire_identity asked_as(const char *name)
{
    struct http_exchange exchange;
    struct wire_identity asker = fixture_new_identity(name);
    struct wire_identity said;
    struct rk_buf body;
    const char *reason = NULL;

    rk_buf_init(&body, 8192);
    wire_encode_identity(&asker, &body);
    fixture_request(&exchange, "/raft/identity", &body);
    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_int_eq(wire_decode_identity(rk_buf_bytes(&exchange.body), &said, &reason), RK_OK);
    fixture_exchange_done(&exchange);
    rk_buf_done(&body);
    return said;
}

START_TEST(leader_says_what_it_knows_of_who_asks)
{
    fixture_lead();
    const struct wire_identity said = asked_as("n2");

    ck_assert(said.asked_is_member);
    ck_assert_uint_eq(said.asked_incarnation, fixture_incarnation("n2"));
    ck_assert(!said.is_forming);
}
END_TEST

static void forget(const char *name)
{
    struct node *node = fixture.node;

    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        if (strcmp(node->membership.members[i].name, name) == 0) {
            node->membership.members[i].incarnation = 0;
        }
    }
    fixture_peer(name)->incarnation = 0;
}

/* The one that the new member was told of has gone, and so it cannot find the leader. */
START_TEST(leader_asks_a_member_that_is_not_written_down)
{
    struct node *node = fixture.node;

    fixture_lead();
    forget("n3");
    const raft_index last = node->view.last.index;
    next_round();
    const struct wire_identity identity = fixture_new_identity("n3");
    answer("n3", &identity);
    ck_assert_uint_eq(node->view.last.index, last + 1);
    ck_assert_uint_eq(membership_by_name(&node->membership, "n3")->incarnation,
                      fixture_incarnation("n3"));
}
END_TEST

START_TEST(leader_writes_down_a_member_that_starts_late)
{
    struct node *node = fixture.node;

    fixture_lead();
    forget("n3");
    const raft_index last = node->view.last.index;
    (void)asked_as("n3");

    ck_assert_uint_eq(node->view.last.index, last + 1);
    ck_assert_uint_eq(membership_by_name(&node->membership, "n3")->incarnation,
                      fixture_incarnation("n3"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_identity");

    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, node_forms_at_once_when_all_are_new);
    tcase_add_test(tcase, node_forms_with_a_new_majority_only_after_some_patience);
    tcase_add_test(tcase, node_does_not_form_alone);
    tcase_add_test(tcase, node_does_not_form_when_one_that_answers_is_not_new);
    tcase_add_test(tcase, node_with_another_initial_cluster_is_not_counted);
    tcase_add_test(tcase, answer_to_an_earlier_round_is_not_counted);
    tcase_add_test(tcase, name_that_the_cluster_knows_with_another_disk_is_refused);
    tcase_add_test(tcase, name_that_the_cluster_does_not_know_is_refused);
    tcase_add_test(tcase, name_that_the_cluster_waits_for_claims_its_place);
    tcase_add_test(tcase, joining_node_with_a_term_and_no_log_forms_no_cluster);
    tcase_add_test(tcase, joining_node_does_not_care_who_is_left_of_initial_cluster);
    tcase_add_test(tcase, replaced_node_with_a_term_and_no_log_takes_its_new_id);
    tcase_add_test(tcase, joining_node_goes_on_asking_the_leader_under_its_new_id);
    tcase_add_test(tcase, joining_node_asks_the_leader_that_asks_it);
    tcase_add_test(tcase, uncommitted_cluster_id_is_not_said_aloud);
    tcase_add_test(tcase, uncommitted_first_entry_gives_way_to_the_cluster_of_the_others);
    tcase_add_test(tcase, truncated_claim_is_made_again);
    tcase_add_test(tcase, truncated_first_configuration_is_formed_again);
    tcase_add_test(tcase, leader_says_what_it_knows_of_who_asks);
    tcase_add_test(tcase, leader_asks_a_member_that_is_not_written_down);
    tcase_add_test(tcase, leader_writes_down_a_member_that_starts_late);
    return run_suite("node_identity", tcase);
}
