/* What an administrator asked another node for, passed on whole, and the leader's answer. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "network/wire.h"
#include "support/run.h"
#include "unit/wire_plain.h"

enum { BODY_MAX = RK_PEER_BODY_SIZE_MAX };

static struct rk_buf body;
static struct rk_buf content;
static struct wire_admin admin;
static struct wire_admin admin_read;
static struct wire_admin_answer answer;
static struct wire_admin_answer answer_read;
static const char *reason;

static void open_all(void)
{
    rk_buf_init(&body, BODY_MAX);
    rk_buf_init(&content, BODY_MAX);
    admin = (struct wire_admin){
        .envelope = plain_envelope,
        .method = "DELETE",
        .target = text_bytes("/v1/cluster/members/n4"),
        .body = text_bytes("{\"a\":1}\n"),
    };
    answer = (struct wire_admin_answer){
        .envelope = plain_envelope,
        .status = RK_OK,
        .http_status = 409,
        .is_json = true,
        .body = text_bytes("would lose quorum"),
    };
}

static void close_all(void)
{
    rk_buf_done(&body);
    rk_buf_done(&content);
}

static enum rk_status read_admin(void)
{
    return wire_decode_admin(rk_buf_bytes(&body), &admin_read, &reason);
}

static enum rk_status read_answer(void)
{
    return wire_decode_admin_answer(rk_buf_bytes(&body), &answer_read, &reason);
}

static void check_equal(struct rk_bytes one, struct rk_bytes other)
{
    ck_assert_uint_eq(one.size, other.size);
    ck_assert(one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
}

/* Every byte there is, so that neither a NUL nor the end of a line ends anything early. */
static struct rk_bytes every_byte(uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        rk_buf_append_byte(&content, (uint8_t)i);
    }
    return rk_buf_bytes(&content);
}

static void check_admin(void)
{
    wire_encode_admin(&admin, &body);
    ck_assert_int_eq(read_admin(), RK_OK);
    ck_assert_ptr_null(reason);
    ck_assert_str_eq(admin_read.method, admin.method);
    check_equal(admin_read.target, admin.target);
    check_equal(admin_read.body, admin.body);
    ck_assert_uint_eq(admin_read.envelope.from, 11);
    ck_assert_uint_eq(admin_read.envelope.cluster_low, UINT64_MAX);
}

START_TEST(a_request_is_read_back_as_it_was_written)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "DELETE", "PROPFIND"};

    (void)snprintf(admin.method, sizeof(admin.method), "%s", methods[_i]);
    check_admin();
}
END_TEST

START_TEST(a_request_without_target_and_body_is_read_back)
{
    admin.target.size = 0;
    admin.body.size = 0;
    check_admin();
}
END_TEST

START_TEST(the_longest_target_and_any_bytes_are_read_back)
{
    const struct rk_bytes bytes = every_byte(RK_TARGET_SIZE_MAX + 300);

    admin.target = (struct rk_bytes){.data = bytes.data, .size = RK_TARGET_SIZE_MAX};
    admin.body = (struct rk_bytes){.data = bytes.data + RK_TARGET_SIZE_MAX, .size = 300};
    check_admin();
}
END_TEST

static void check_answer(void)
{
    wire_encode_admin_answer(&answer, &body);
    ck_assert_int_eq(read_answer(), RK_OK);
    ck_assert_ptr_null(reason);
    ck_assert_int_eq(answer_read.status, answer.status);
    ck_assert_uint_eq(answer_read.http_status, answer.http_status);
    ck_assert(answer_read.is_json == answer.is_json);
    ck_assert(answer_read.is_unknown == answer.is_unknown);
    check_equal(answer_read.body, answer.body);
    ck_assert_uint_eq(answer_read.envelope.to, 12);
}

START_TEST(an_answer_is_read_back_as_it_was_written)
{
    static const uint32_t http_statuses[] = {200, 404, 409, 500, 599};

    answer.http_status = http_statuses[_i];
    answer.is_json = _i % 2 == 0;
    answer.is_unknown = _i >= 3;
    answer.body = every_byte(300);
    check_answer();
}
END_TEST

/* With any status but RK_OK there is no answer of HTTP behind it. */
START_TEST(an_answer_of_every_status_is_read_back)
{
    answer.status = (enum rk_status)_i;
    answer.http_status = _i == RK_OK ? 200 : 0;
    answer.body.size = 0;
    check_answer();
}
END_TEST

/* What a line is made of. A fault leaves one member out or writes another value for it. */
struct part {
    const char *name;
    const char *value;
};

static const struct part admin_parts[] = {
    {"type", "\"admin\""},
    {"protocol", "1"},
    {"cluster", "\"0123456789abcdeffedcba9876543210\""},
    {"from", "11"},
    {"to", "12"},
    {"incarnation", "\"00000000000000ff\""},
    {"election_timeout_ms", "400"},
    {"method", "\"DELETE\""},
    {"target_size", "3"},
};
static const struct part answer_parts[] = {
    {"type", "\"admin_answer\""},
    {"protocol", "1"},
    {"cluster", "\"0123456789abcdeffedcba9876543210\""},
    {"from", "11"},
    {"to", "12"},
    {"incarnation", "\"00000000000000ff\""},
    {"election_timeout_ms", "400"},
    {"status", "0"},
    {"http_status", "200"},
    {"is_json", "true"},
    {"is_unknown", "false"},
};

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))

/* Member number `changed` gets `value`; NULL: it is left out. */
static void write_line(const struct part *parts, int count, int changed, const char *value)
{
    const char *before = "{";

    rk_buf_reset(&body);
    for (int i = 0; i < count; i++) {
        const char *written = i == changed ? value : parts[i].value;
        if (written == NULL) {
            continue;
        }
        rk_buf_append_text(&body, before);
        rk_buf_append_text(&body, "\"");
        rk_buf_append_text(&body, parts[i].name);
        rk_buf_append_text(&body, "\":");
        rk_buf_append_text(&body, written);
        before = ",";
    }
    rk_buf_append_text(&body, "}\n/v1{}");
}

/* None of them is of the type, or in the range, of any member. */
static const char *const foreign_values[] = {
    NULL,
    "null",
    "[]",
    "{}",
    "-1",
    "1.5",
    "1e3",
    "\"\\u0041\"",
    "\"two words\"",
    "9007199254740992",
    "18446744073709551616",
    "\"a text of thirty-two bytes or so\"",
    "tru",
};

START_TEST(a_request_with_a_member_missing_or_of_another_type_is_refused)
{
    write_line(admin_parts, COUNT_OF(admin_parts), -1, NULL);
    ck_assert_int_eq(read_admin(), RK_OK);
    for (int value = 0; value < COUNT_OF(foreign_values); value++) {
        write_line(admin_parts, COUNT_OF(admin_parts), _i, foreign_values[value]);
        ck_assert_msg(read_admin() == RK_INVALID, "%.*s", (int)body.size, body.data);
        ck_assert_ptr_nonnull(reason);
    }
}
END_TEST

START_TEST(an_answer_with_a_member_missing_or_of_another_type_is_refused)
{
    write_line(answer_parts, COUNT_OF(answer_parts), -1, NULL);
    ck_assert_int_eq(read_answer(), RK_OK);
    for (int value = 0; value < COUNT_OF(foreign_values); value++) {
        write_line(answer_parts, COUNT_OF(answer_parts), _i, foreign_values[value]);
        ck_assert_msg(read_answer() == RK_INVALID, "%.*s", (int)body.size, body.data);
        ck_assert_ptr_nonnull(reason);
    }
}
END_TEST

static const struct refusal {
    int part;
    const char *value;
    const char *reason;
} admin_refusals[] = {
    {0, "\"admin_answer\"", "a message of another type is expected here"},
    {7, "\"9letters!\"", "member method is missing or malformed"},
    {7, "\"\"", "member method is missing or malformed"},
    {7, "\"DEL>TE\"", "member method is missing or malformed"},
    {7, "\"get\"", "member method is missing or malformed"},
    {7, "6", "member method is missing or malformed"},
    {8, "true", "member target_size is missing or out of range"},
    {8, "16385", "member target_size is missing or out of range"},
    {8, "16384", "the target is cut short"},
    {8, "6", "the target is cut short"},
    {8, "3,\"target_size\":3", "the first line is not one flat JSON object"},
};
static const struct refusal answer_refusals[] = {
    {0, "\"admin\"", "a message of another type is expected here"},
    {7, "16", "unknown status"},
    {7, "true", "member status is missing or out of range"},
    {8, "600", "member http_status is missing or out of range"},
    {8, "199", "no status of an answer"},
    {8, "0", "no status of an answer"},
    {9, "1", "member is_json is not true or false"},
    {10, "\"false\"", "member is_unknown is not true or false"},
};

START_TEST(a_wrong_request_is_refused_with_the_reason)
{
    const struct refusal *refusal = &admin_refusals[_i];

    write_line(admin_parts, COUNT_OF(admin_parts), refusal->part, refusal->value);
    ck_assert_int_eq(read_admin(), RK_INVALID);
    ck_assert_str_eq(reason, refusal->reason);
}
END_TEST

START_TEST(a_wrong_answer_is_refused_with_the_reason)
{
    const struct refusal *refusal = &answer_refusals[_i];

    write_line(answer_parts, COUNT_OF(answer_parts), refusal->part, refusal->value);
    ck_assert_int_eq(read_answer(), RK_INVALID);
    ck_assert_str_eq(reason, refusal->reason);
}
END_TEST

/* The body has no size of its own: what is cut off it, the length of the HTTP body shows. */
START_TEST(a_request_cut_short_before_its_body_is_refused)
{
    wire_encode_admin(&admin, &body);
    const size_t whole = body.size - admin.body.size;
    for (size_t size = 0; size < body.size; size++) {
        uint8_t *copy = rk_heap_alloc(size);
        memcpy(copy, body.data, size);
        const enum rk_status status = wire_decode_admin(
            (struct rk_bytes){.data = copy, .size = (uint32_t)size}, &admin_read, &reason);
        ck_assert_msg(status == (size < whole ? RK_INVALID : RK_OK), "at %zu", size);
        ck_assert(status != RK_OK || admin_read.body.size == size - whole);
        rk_heap_free(copy);
    }
}
END_TEST

START_TEST(an_answer_cut_short_before_its_body_is_refused)
{
    wire_encode_admin_answer(&answer, &body);
    const size_t whole = body.size - answer.body.size;
    for (size_t size = 0; size < body.size; size++) {
        uint8_t *copy = rk_heap_alloc(size);
        memcpy(copy, body.data, size);
        const enum rk_status status = wire_decode_admin_answer(
            (struct rk_bytes){.data = copy, .size = (uint32_t)size}, &answer_read, &reason);
        ck_assert_msg(status == (size < whole ? RK_INVALID : RK_OK), "at %zu", size);
        ck_assert(status != RK_OK || answer_read.body.size == size - whole);
        rk_heap_free(copy);
    }
}
END_TEST

START_TEST(encoding_an_answer_of_no_status_aborts)
{
    answer.status = RK_STATUS_COUNT;
    wire_encode_admin_answer(&answer, &body);
}
END_TEST

static void add_faults(TCase *tcase)
{
    tcase_add_loop_test(tcase, a_request_with_a_member_missing_or_of_another_type_is_refused, 0,
                        COUNT_OF(admin_parts));
    tcase_add_loop_test(tcase, an_answer_with_a_member_missing_or_of_another_type_is_refused, 0,
                        COUNT_OF(answer_parts));
    tcase_add_loop_test(tcase, a_wrong_request_is_refused_with_the_reason, 0,
                        COUNT_OF(admin_refusals));
    tcase_add_loop_test(tcase, a_wrong_answer_is_refused_with_the_reason, 0,
                        COUNT_OF(answer_refusals));
    tcase_add_test(tcase, a_request_cut_short_before_its_body_is_refused);
    tcase_add_test(tcase, an_answer_cut_short_before_its_body_is_refused);
    tcase_add_test_raise_signal(tcase, encoding_an_answer_of_no_status_aborts, SIGABRT);
}

int main(void)
{
    TCase *tcase = tcase_create("wire_admin");

    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_request_is_read_back_as_it_was_written, 0, 5);
    tcase_add_test(tcase, a_request_without_target_and_body_is_read_back);
    tcase_add_test(tcase, the_longest_target_and_any_bytes_are_read_back);
    tcase_add_loop_test(tcase, an_answer_is_read_back_as_it_was_written, 0, 5);
    tcase_add_loop_test(tcase, an_answer_of_every_status_is_read_back, 0, RK_STATUS_COUNT);
    add_faults(tcase);
    return run_suite("wire_admin", tcase);
}
