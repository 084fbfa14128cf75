/* Who the members are: the configuration entry's body, its rules, and what the core sees of it. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "statemachine/membership.h"
#include "support/run.h"

static struct membership membership;
static struct rk_buf buf;

static struct member member_named(raft_node_id id, const char *name)
{
    struct member member = {.id = id, .incarnation = 100 + id, .is_voter = true};
    (void)snprintf(member.name, sizeof(member.name), "%s", name);
    (void)snprintf(member.peer_address, sizeof(member.peer_address), "%s:8300", name);
    return member;
}

static void add(struct member member)
{
    ck_assert_int_eq(membership_add(&membership, &member), RK_OK);
}

static void setup(void)
{
    rk_buf_init(&buf, 64 * 1024);
    membership = (struct membership){.cluster = {.high = 1, .low = 2}, .election_timeout_ms = 400};
    add(member_named(30, "n3"));
    add(member_named(10, "n1"));
    add(member_named(20, "n2"));
}

static void teardown(void)
{
    rk_buf_done(&buf);
}

static enum rk_status decode(struct membership *ret)
{
    return membership_decode(rk_buf_bytes(&buf), ret);
}

static void check_refused(void)
{
    struct membership ret = {.election_timeout_ms = 7};
    ck_assert_int_eq(decode(&ret), RK_CORRUPT);
    ck_assert_uint_eq(ret.election_timeout_ms, 7);
}

/* --- encoding --- */

/* Offsets in the encoding of the three members; in version 1 each is 22 + 2 + 7 bytes. */
enum { FIXED = 24, MEMBER = 31, ROLES = 16, NAME = 22, PEER = 24 };

/* Golden: what version 1 wrote stays readable. */
START_TEST(membership_is_encoded_as_in_version_1)
{
    static const uint8_t expected[] =
        {
            1,   0,   1,   0,   0x90, 1,   0,   0,   1,   0,   0, 0,
            0,   0,   0,   0,   2,    0,   0,   0,   0,   0,   0, 0, /* fixed */
            9,   0,   0,   0,   0,    0,   0,   0,   109, 0,   0, 0,
            0,   0,   0,   0,   1,    1,   6,   0,   3,   0,   /* member */
            'a', 'a', ':', '8', '3',  '0', '0', 'c', ':', '1', /* texts */
        };
    struct membership one = {.cluster = {.high = 1, .low = 2}, .election_timeout_ms = 400};
    struct member member = member_named(9, "a");
    memcpy(member.client_address, "c:1", 4);
    ck_assert_int_eq(membership_add(&one, &member), RK_OK);
    membership_encode(&one, &buf);
    ck_assert_uint_eq(buf.size, sizeof(expected));
    ck_assert_mem_eq(buf.data, expected, sizeof(expected));
}
END_TEST

/* Golden: version 2 says what a change under way is to become. */
START_TEST(membership_with_a_change_is_encoded_as_in_version_2)
{
    static const uint8_t expected[] =
        {
            2,   0,   2,   0,   0x90, 1,   0,  0, 1, 0, 0, 0, /* fixed */
            0,   0,   0,   0,   2,    0,   0,  0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0,
            0,   109, 0,   0,   0, /* the replaced one */
            0,   0,   0,   0,   1,    1,   6,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'a',
            'a', ':', '8', '3', '0',  '0', 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* the one that takes its place */
            0,   0,   0,   0,   12,   1,   6,  0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 'a',
            'a', ':', '8', '3', '0',  '0',
        };
    struct membership two = {.cluster = {.high = 1, .low = 2}, .election_timeout_ms = 400};
    struct membership ret;
    struct member old = member_named(9, "a");
    struct member fresh = {.id = 12, .is_learner = true, .wants_vote = true, .replaces = 9};
    memcpy(fresh.name, old.name, sizeof(fresh.name));
    memcpy(fresh.peer_address, old.peer_address, sizeof(fresh.peer_address));
    ck_assert_int_eq(membership_add(&two, &old), RK_OK);
    ck_assert_int_eq(membership_add(&two, &fresh), RK_OK);
    membership_encode(&two, &buf);
    ck_assert_uint_eq(buf.size, sizeof(expected));
    ck_assert_mem_eq(buf.data, expected, sizeof(expected));
    ck_assert_int_eq(decode(&ret), RK_OK);
    ck_assert(ret.members[1].wants_vote);
    ck_assert_uint_eq(ret.members[1].replaces, 9);
    ck_assert_ptr_eq(membership_by_name(&ret, "a"), &ret.members[1]);
}
END_TEST

/* Who is replaced is there, and the voter that it was wants no vote. */
START_TEST(replacement_of_nobody_is_corrupt)
{
    const uint32_t replaces = FIXED + 30 + 9 + 30 + 9 + 22; /* of the third member, n3 */
    membership.members[2].replaces = 20;
    membership_encode(&membership, &buf);
    buf.data[replaces] = 21;
    check_refused();
    buf.data[replaces] = 30;
    check_refused();
    buf.data[replaces] = 20;
    buf.data[FIXED + ROLES] |= 8;
    check_refused();
}
END_TEST

START_TEST(membership_comes_back_whole)
{
    struct membership ret;
    membership_encode(&membership, &buf);
    memset(&ret, 0xee, sizeof(ret));
    ck_assert_int_eq(decode(&ret), RK_OK);
    ck_assert(cluster_id_equal(ret.cluster, membership.cluster));
    ck_assert_uint_eq(ret.election_timeout_ms, 400);
    ck_assert_uint_eq(ret.members_count, 3);
    ck_assert(!ret.is_joint);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(ret.members[i].id, 10 * (i + 1));
        ck_assert_uint_eq(ret.members[i].incarnation, 100 + 10 * (i + 1));
        ck_assert_str_eq(ret.members[i].name, membership.members[i].name);
        ck_assert_str_eq(ret.members[i].peer_address, membership.members[i].peer_address);
        ck_assert(ret.members[i].is_voter);
    }
}
END_TEST

static struct member longest_member(raft_node_id id)
{
    struct member member = {.id = id, .is_voter = id <= 9, .is_learner = id > 18};
    member.is_old_voter = !member.is_voter && !member.is_learner;
    memset(member.name, 'n', RK_NODE_NAME_SIZE_MAX);
    memset(member.peer_address, 'p', RK_ADDRESS_SIZE_MAX);
    memset(member.client_address, 'c', RK_ADDRESS_SIZE_MAX);
    member.name[0] = (char)('0' + id % 10);
    member.name[1] = (char)('0' + id / 10);
    member.peer_address[0] = (char)('A' + id);
    return member;
}

/* Both halves disjoint, all learners, the longest texts: it fits a command. */
START_TEST(largest_membership_is_legal)
{
    struct membership largest = {.cluster = {.low = 1}, .election_timeout_ms = 1, .is_joint = true};
    struct membership ret;
    for (raft_node_id id = 1; id <= RAFT_MEMBERS_MAX; id++) {
        const struct member member = longest_member(id);
        ck_assert_int_eq(membership_add(&largest, &member), RK_OK);
    }
    membership_encode(&largest, &buf);
    ck_assert_uint_lt(buf.size, RK_COMMAND_SIZE_MAX);
    ck_assert_int_eq(decode(&ret), RK_OK);
    ck_assert_uint_eq(ret.members_count, RAFT_MEMBERS_MAX);
    ck_assert_uint_eq(strlen(ret.members[0].client_address), RK_ADDRESS_SIZE_MAX);
}
END_TEST

/* --- refusals: what is read from disk or peer --- */

START_TEST(membership_cut_short_is_corrupt)
{
    membership_encode(&membership, &buf);
    for (uint32_t size = 0; size < buf.size; size++) {
        struct membership ret;
        uint8_t *cut = rk_heap_alloc(size);
        memcpy(cut, buf.data, size);
        ck_assert_int_eq(membership_decode((struct rk_bytes){.data = cut, .size = size}, &ret),
                         RK_CORRUPT);
        rk_heap_free(cut);
    }
}
END_TEST

START_TEST(trailing_byte_is_corrupt)
{
    membership_encode(&membership, &buf);
    rk_buf_append_byte(&buf, 0);
    check_refused();
}
END_TEST

struct damage {
    const char *what;
    uint32_t offset;
    uint8_t value;
};

/* Each one byte away from a legal membership. */
static const struct damage damages[] = {
    {"another version", 0, 3},
    {"version 0", 0, 0},
    {"version 2 over the members of version 1", 0, 2},
    {"joint neither yes nor no", 1, 2},
    {"joint without old voters", 1, 1},
    {"fewer members than follow", 2, 2},
    {"more members than follow", 2, 4},
    {"more members than there may be", 3, 1},
    {"the id of another member", FIXED + MEMBER, 10},
    {"ids out of order", FIXED + MEMBER, 40},
    {"id 0", FIXED, 0},
    {"an id past 2^53", FIXED + 6, 0x20},
    {"no role", FIXED + ROLES, 0},
    {"an unknown role", FIXED + ROLES, 9},
    {"voter and learner", FIXED + ROLES, 5},
    {"old voter in no joint configuration", FIXED + ROLES, 3},
    {"a name taken", FIXED + MEMBER + NAME + 1, '1'},
    {"a name with a slash", FIXED + NAME, '/'},
    {"a NUL in a name", FIXED + NAME + 1, 0},
    {"a peer address taken", FIXED + MEMBER + PEER + 1, '1'},
    {"a newline in an address", FIXED + PEER, '\n'},
    {"a name too long for what follows", FIXED + 17, 255},
};

START_TEST(damaged_membership_is_corrupt)
{
    const struct damage *damage = &damages[_i];
    membership_encode(&membership, &buf);
    ck_assert_msg(buf.data[damage->offset] != damage->value, "%s", damage->what);
    buf.data[damage->offset] = damage->value;
    struct membership ret;
    ck_assert_msg(decode(&ret) == RK_CORRUPT, "%s", damage->what);
}
END_TEST

START_TEST(cluster_id_of_zero_is_corrupt)
{
    membership_encode(&membership, &buf);
    memset(&buf.data[8], 0, 16);
    check_refused();
}
END_TEST

START_TEST(membership_without_a_voter_is_corrupt)
{
    membership_encode(&membership, &buf);
    for (uint32_t i = 0; i < 3; i++) {
        buf.data[FIXED + i * MEMBER + ROLES] = 4;
    }
    check_refused();
}
END_TEST

/* The negative space: what we encode is ours to get right. */
START_TEST(encoding_an_empty_membership_aborts)
{
    const struct membership empty = {.cluster = {.low = 1}, .election_timeout_ms = 400};
    membership_encode(&empty, &buf);
}
END_TEST

/* --- looking and changing --- */

START_TEST(members_stay_in_order_of_id)
{
    ck_assert_uint_eq(membership.members[0].id, 10);
    ck_assert_uint_eq(membership.members[1].id, 20);
    ck_assert_uint_eq(membership.members[2].id, 30);
}
END_TEST

START_TEST(members_are_found_by_id_and_name)
{
    ck_assert_ptr_eq(membership_by_id(&membership, 20), &membership.members[1]);
    ck_assert_ptr_eq(membership_by_name(&membership, "n2"), &membership.members[1]);
    ck_assert_ptr_null(membership_by_id(&membership, 21));
    ck_assert_ptr_null(membership_by_name(&membership, "n"));
    ck_assert_ptr_null(membership_by_name(&membership, "n22"));
}
END_TEST

START_TEST(id_name_and_peer_address_are_taken_once)
{
    struct member same_id = member_named(20, "x");
    struct member same_name = member_named(21, "n2");
    struct member same_address = member_named(22, "y");
    memcpy(same_name.peer_address, "other:1", 8);
    memcpy(same_address.peer_address, "n2:8300", 8);
    ck_assert_int_eq(membership_add(&membership, &same_id), RK_CONFLICT);
    ck_assert_int_eq(membership_add(&membership, &same_name), RK_CONFLICT);
    ck_assert_int_eq(membership_add(&membership, &same_address), RK_CONFLICT);
    ck_assert_uint_eq(membership.members_count, 3);
}
END_TEST

static struct member numbered(raft_node_id id)
{
    char name[8];
    (void)snprintf(name, sizeof(name), "m%u", (unsigned)id);
    return member_named(id, name);
}

/* One to nine voters. */
START_TEST(tenth_voter_is_too_many)
{
    for (raft_node_id id = 31; membership.members_count < RAFT_VOTERS_MAX; id++) {
        add(numbered(id));
    }
    struct member tenth = numbered(90);
    ck_assert_int_eq(membership_add(&membership, &tenth), RK_TOO_LARGE);
    tenth.is_voter = false;
    tenth.is_learner = true;
    ck_assert_int_eq(membership_add(&membership, &tenth), RK_OK);
}
END_TEST

/* Dissertation 4.3: joint, the one half is the old, the other the new. */
START_TEST(core_sees_both_halves_and_learners)
{
    struct raft_config config;
    membership.is_joint = true;
    membership.members[0].is_old_voter = true;
    membership.members[1].is_voter = false;
    membership.members[1].is_old_voter = true;
    membership.members[2].is_voter = true;
    struct member learner = member_named(40, "n4");
    learner.is_voter = false;
    learner.is_learner = true;
    add(learner);
    membership_to_raft(&membership, &config);
    ck_assert_uint_eq(config.voters_count, 2);
    ck_assert_uint_eq(config.voters[0], 10);
    ck_assert_uint_eq(config.voters[1], 30);
    ck_assert_uint_eq(config.old_voters_count, 2);
    ck_assert_uint_eq(config.old_voters[0], 10);
    ck_assert_uint_eq(config.old_voters[1], 20);
    ck_assert_uint_eq(config.learners_count, 1);
    ck_assert_uint_eq(config.learners[0], 40);
}
END_TEST

/* --- cluster id --- */

START_TEST(cluster_id_is_32_digits_both_ways)
{
    const struct cluster_id id = {.high = UINT64_C(0x0123456789abcdef), .low = 15};
    char text[CLUSTER_ID_TEXT_SIZE];
    struct cluster_id ret;
    cluster_id_format(id, text);
    ck_assert_str_eq(text, "0123456789abcdef000000000000000f");
    ck_assert_int_eq(cluster_id_parse(text, &ret), RK_OK);
    ck_assert(cluster_id_equal(ret, id));
    ck_assert(cluster_id_is_set(id));
    ck_assert(!cluster_id_is_set((struct cluster_id){0}));
}
END_TEST

START_TEST(text_that_is_no_cluster_id_is_invalid)
{
    static const char *const texts[] = {
        "",
        "0123456789abcdef000000000000000",
        "0123456789abcdef000000000000000f0",
        "0123456789ABCDEF000000000000000f",
        "0123456789abcdef 00000000000000f",
        "00000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cluster_id ret = {.low = 7};
        ck_assert_int_eq(cluster_id_parse(texts[i], &ret), RK_INVALID);
        ck_assert_uint_eq(ret.low, 7);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("membership");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, membership_is_encoded_as_in_version_1);
    tcase_add_test(tcase, membership_with_a_change_is_encoded_as_in_version_2);
    tcase_add_test(tcase, replacement_of_nobody_is_corrupt);
    tcase_add_test(tcase, membership_comes_back_whole);
    tcase_add_test(tcase, largest_membership_is_legal);
    tcase_add_test(tcase, membership_cut_short_is_corrupt);
    tcase_add_test(tcase, trailing_byte_is_corrupt);
    tcase_add_loop_test(tcase, damaged_membership_is_corrupt, 0,
                        (int)(sizeof(damages) / sizeof(damages[0])));
    tcase_add_test(tcase, cluster_id_of_zero_is_corrupt);
    tcase_add_test(tcase, membership_without_a_voter_is_corrupt);
    tcase_add_test_raise_signal(tcase, encoding_an_empty_membership_aborts, SIGABRT);
    tcase_add_test(tcase, members_stay_in_order_of_id);
    tcase_add_test(tcase, members_are_found_by_id_and_name);
    tcase_add_test(tcase, id_name_and_peer_address_are_taken_once);
    tcase_add_test(tcase, tenth_voter_is_too_many);
    tcase_add_test(tcase, core_sees_both_halves_and_learners);
    tcase_add_test(tcase, cluster_id_is_32_digits_both_ways);
    tcase_add_test(tcase, text_that_is_no_cluster_id_is_invalid);
    return run_suite("membership", tcase);
}
