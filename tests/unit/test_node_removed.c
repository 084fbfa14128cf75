/* A member that was removed: how it learns of it, and what it then leaves alone (pitfalls 85, 86). */
#include "node_fixture.h"

#include "support/run.h"

static void lose_all(const char *path)
{
    static const char *const names[] = {"n2", "n3"};

    for (uint32_t i = 0; i < 2; i++) {
        while (fixture_post_to(path, names[i]) != NULL) {
            fixture_lose(fixture_post_to(path, names[i]), RK_IO);
        }
    }
}

/* This node was a member and a leader, n2 leads term 5 and was heard just now. */
static void set_up(void)
{
    struct http_exchange exchange;
    const struct raft_message heartbeat = {.type = RAFT_HEARTBEAT_REQUEST, .term = 5};

    fixture_open();
    fixture_lead();
    fixture_receive(&exchange, "n2", &heartbeat);
    fixture_persist();
    fixture_exchange_done(&exchange);
    node_identity_turn(fixture.node);
    lose_all("/raft/identity");
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
}

static bool asks(void)
{
    node_identity_turn(fixture.node);
    return fixture_post_to("/raft/identity", "n2") != NULL;
}

static void fall_silent(void)
{
    fixture_wait(3 * (uint64_t)fixture.options.election_timeout_ms);
    ck_assert(asks());
}

/* What `name` says of this node; a leader says of itself that it leads. */
static struct wire_identity word_of(const char *name, bool is_leader)
{
    struct wire_identity identity = fixture_new_identity(name);

    identity.is_forming = false;
    identity.term = 5;
    identity.leader = is_leader ? fixture_peer(name)->id : 0;
    return identity;
}

static void hear(const char *name, const struct wire_identity *identity)
{
    fixture_identify(fixture_post_to("/raft/identity", name), identity);
}

START_TEST(member_that_hears_a_leader_asks_nobody)
{
    fixture_wait(fixture.options.election_timeout_ms);
    ck_assert(!asks());
}
END_TEST

START_TEST(pitfall_86_leaders_word_removes)
{
    fall_silent();
    const struct wire_identity word = word_of("n2", true);
    hear("n2", &word);
    ck_assert_int_eq(fixture.node->standing, STANDING_REMOVED);
}
END_TEST

/* A follower may be behind the configuration that added this node. */
START_TEST(followers_word_does_not_remove)
{
    fall_silent();
    struct wire_identity word = word_of("n3", false);
    word.leader = fixture_peer("n2")->id;
    hear("n3", &word);
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
}
END_TEST

/* A leader that was deposed before this node was added may not know of that. */
START_TEST(word_of_an_older_leader_does_not_remove)
{
    fall_silent();
    struct wire_identity word = word_of("n2", true);
    word.term = fixture.node->view.last.term - 1;
    hear("n2", &word);
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
}
END_TEST

START_TEST(word_of_another_cluster_does_not_remove)
{
    fall_silent();
    struct wire_identity word = word_of("n2", true);
    word.envelope.cluster_low++;
    hear("n2", &word);
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
}
END_TEST

START_TEST(member_that_is_known_stays_one)
{
    fall_silent();
    struct wire_identity word = word_of("n2", true);
    word.asked_is_member = true;
    word.asked_id = fixture.node->id;
    hear("n2", &word);
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
}
END_TEST

/* Another member has the name now. */
START_TEST(member_whose_name_has_another_id_is_removed)
{
    fall_silent();
    struct wire_identity word = word_of("n2", true);
    word.asked_is_member = true;
    word.asked_id = fixture.node->id + 1;
    hear("n2", &word);
    ck_assert_int_eq(fixture.node->standing, STANDING_REMOVED);
}
END_TEST

static void be_removed(void)
{
    fall_silent();
    const struct wire_identity word = word_of("n2", true);
    hear("n2", &word);
}

/* Pitfall 85. */
START_TEST(pitfall_85_removed_node_sends_nothing)
{
    be_removed();
    lose_all("/raft/vote");
    for (uint32_t i = 0; i < 10; i++) {
        fixture_wait(2 * (uint64_t)fixture.options.election_timeout_ms);
    }
    ck_assert(fixture_post_to("/raft/vote", "n2") == NULL);
}
END_TEST

START_TEST(pitfall_86_removed_node_has_nothing_to_read)
{
    node_apply(fixture.node);
    fixture.node->numbers.has_caught_up = true;
    be_removed();
    node_view_update(fixture.node);
    ck_assert(!node_has_caught_up(fixture.node));
}
END_TEST

/* The configuration was taken back: the next leader never had it. */
START_TEST(removed_node_becomes_a_member_again_when_told_so)
{
    be_removed();
    fixture_wait(NODE_LOST_MS);
    ck_assert(asks());
    struct wire_identity word = word_of("n3", true);
    word.asked_is_member = true;
    word.asked_id = fixture.node->id;
    hear("n3", &word);
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("removed");
    tcase_add_checked_fixture(tcase, set_up, fixture_close);
    tcase_add_test(tcase, member_that_hears_a_leader_asks_nobody);
    tcase_add_test(tcase, pitfall_86_leaders_word_removes);
    tcase_add_test(tcase, followers_word_does_not_remove);
    tcase_add_test(tcase, word_of_an_older_leader_does_not_remove);
    tcase_add_test(tcase, word_of_another_cluster_does_not_remove);
    tcase_add_test(tcase, member_that_is_known_stays_one);
    tcase_add_test(tcase, member_whose_name_has_another_id_is_removed);
    tcase_add_test(tcase, pitfall_85_removed_node_sends_nothing);
    tcase_add_test(tcase, pitfall_86_removed_node_has_nothing_to_read);
    tcase_add_test(tcase, removed_node_becomes_a_member_again_when_told_so);
    return run_suite("node_removed", tcase);
}
