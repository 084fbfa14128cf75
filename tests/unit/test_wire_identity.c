/* GET /raft/identity: who answers, and what it knows. */
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "network/wire.h"
#include "support/run.h"

static struct rk_buf body;
static struct wire_identity decoded;
static const char *reason;

static void open_all(void)
{
    rk_buf_init(&body, 1 << 16);
}

static void close_all(void)
{
    rk_buf_done(&body);
}

static struct wire_identity plain(void)
{
    return (struct wire_identity){
        .envelope = {.cluster_high = 1,
                     .cluster_low = 2,
                     .from = 11,
                     .from_incarnation = 3,
                     .protocol = RK_PROTOCOL_VERSION,
                     .election_timeout_ms = 400},
        .node_name = "n1",
        .peer_address = "10.0.0.1:8300",
        .client_address = "10.0.0.1:8500",
        .is_forming = true,
        .formation = UINT64_MAX,
        .term = 5,
        .leader = 12,
        .asked_is_member = true,
        .asked_incarnation = UINT64_C(1) << 63,
        .asked_id = 13,
        .leader_address = "10.0.0.2:8300",
    };
}

static enum rk_status encode_and_decode(const struct wire_identity *identity)
{
    rk_buf_reset(&body);
    wire_encode_identity(identity, &body);
    return wire_decode_identity(rk_buf_bytes(&body), &decoded, &reason);
}

START_TEST(an_identity_is_read_back_as_it_was_written)
{
    const struct wire_identity identity = plain();

    ck_assert_int_eq(encode_and_decode(&identity), RK_OK);
    ck_assert_ptr_null(reason);
    ck_assert_uint_eq(decoded.envelope.from, 11);
    ck_assert_uint_eq(decoded.envelope.cluster_high, 1);
    ck_assert_uint_eq(decoded.envelope.cluster_low, 2);
    ck_assert_str_eq(decoded.node_name, identity.node_name);
    ck_assert_str_eq(decoded.peer_address, identity.peer_address);
    ck_assert_str_eq(decoded.client_address, identity.client_address);
    ck_assert(decoded.is_forming && decoded.asked_is_member);
    ck_assert_uint_eq(decoded.formation, identity.formation);
    ck_assert_uint_eq(decoded.term, 5);
    ck_assert_uint_eq(decoded.leader, 12);
    ck_assert_uint_eq(decoded.asked_incarnation, identity.asked_incarnation);
    ck_assert_uint_eq(decoded.asked_id, 13);
    ck_assert_str_eq(decoded.leader_address, identity.leader_address);
}
END_TEST

/* A new node is of no cluster and has no id yet; its client address may be unknown. */
START_TEST(a_node_of_no_cluster_may_say_so)
{
    struct wire_identity identity = {.envelope = {.protocol = RK_PROTOCOL_VERSION},
                                     .node_name = "n"};

    ck_assert_int_eq(encode_and_decode(&identity), RK_OK);
    ck_assert_uint_eq(decoded.envelope.from, 0);
    ck_assert_uint_eq(decoded.envelope.cluster_high | decoded.envelope.cluster_low, 0);
    ck_assert_str_eq(decoded.client_address, "");
}
END_TEST

START_TEST(texts_of_the_greatest_size_fit)
{
    struct wire_identity identity = plain();

    memset(identity.node_name, 'n', RK_NODE_NAME_SIZE_MAX);
    memset(identity.peer_address, 'a', RK_ADDRESS_SIZE_MAX);
    ck_assert_int_eq(encode_and_decode(&identity), RK_OK);
    ck_assert_uint_eq(strlen(decoded.node_name), RK_NODE_NAME_SIZE_MAX);
    ck_assert_uint_eq(strlen(decoded.peer_address), RK_ADDRESS_SIZE_MAX);
}
END_TEST

/* A name goes into logs, answers and files: nothing but what node-id allows. */
START_TEST(a_name_that_is_none_is_refused)
{
    static const char *const names[] = {"", "a b", "a/b", "a\"b", "a\nb", "\xc3\xa9", "a<b"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct wire_identity identity = plain();
        (void)snprintf(identity.node_name, sizeof(identity.node_name), "%s", names[i]);
        ck_assert_msg(encode_and_decode(&identity) == RK_INVALID, "%zu", i);
        ck_assert_ptr_nonnull(reason);
    }
}
END_TEST

START_TEST(an_address_with_blanks_or_control_bytes_is_refused)
{
    static const char *const addresses[] = {"a b:1", "a\r\nHost: b", "a\x7f:1", "\xc3\xa9:1"};

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct wire_identity identity = plain();
        (void)snprintf(identity.peer_address, sizeof(identity.peer_address), "%s", addresses[i]);
        ck_assert_msg(encode_and_decode(&identity) == RK_INVALID, "%zu", i);
        ck_assert_ptr_nonnull(reason);
    }
}
END_TEST

/* One byte longer than the struct's room. */
START_TEST(a_text_past_its_limit_is_refused)
{
    struct wire_identity identity = plain();
    char name[] = "\"name\":\"n1\"";
    struct rk_buf longer;

    ck_assert_int_eq(encode_and_decode(&identity), RK_OK);
    rk_buf_init(&longer, 1 << 16);
    const char *at = memmem(body.data, body.size, name, sizeof(name) - 1);
    const size_t before = (size_t)(at - (const char *)body.data) + sizeof(name) - 2;
    rk_buf_append(&longer, body.data, before);
    for (int i = 0; i < RK_NODE_NAME_SIZE_MAX - 1; i++) {
        rk_buf_append_byte(&longer, 'x');
    }
    rk_buf_append(&longer, body.data + before, body.size - before);
    ck_assert_int_eq(wire_decode_identity(rk_buf_bytes(&longer), &decoded, &reason), RK_INVALID);
    ck_assert_str_eq(reason, "member name is missing or malformed");
    rk_buf_done(&longer);
}
END_TEST

START_TEST(an_identity_cut_short_anywhere_is_refused)
{
    const struct wire_identity identity = plain();

    ck_assert_int_eq(encode_and_decode(&identity), RK_OK);
    for (size_t size = 0; size < body.size; size++) {
        uint8_t *copy = rk_heap_alloc(size);
        memcpy(copy, body.data, size);
        const struct rk_bytes cut = {.data = copy, .size = (uint32_t)size};
        ck_assert_int_eq(wire_decode_identity(cut, &decoded, &reason), RK_INVALID);
        rk_heap_free(copy);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("wire_identity");

    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_add_test(tcase, an_identity_is_read_back_as_it_was_written);
    tcase_add_test(tcase, a_node_of_no_cluster_may_say_so);
    tcase_add_test(tcase, texts_of_the_greatest_size_fit);
    tcase_add_test(tcase, a_name_that_is_none_is_refused);
    tcase_add_test(tcase, an_address_with_blanks_or_control_bytes_is_refused);
    tcase_add_test(tcase, a_text_past_its_limit_is_refused);
    tcase_add_test(tcase, an_identity_cut_short_anywhere_is_refused);
    return run_suite("wire_identity", tcase);
}
