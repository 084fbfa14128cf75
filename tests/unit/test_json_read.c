#include <check.h>
#include <string.h>

#include "base/json_read.h"
#include "base/limits.h"
#include "support/run.h"

static struct rk_buf buf;
static struct rk_json_fault fault;

static void setup(void)
{
    rk_buf_init(&buf, 4096);
}

static void teardown(void)
{
    rk_buf_done(&buf);
}

static struct rk_bytes bytes_of(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

static struct rk_json_value read_whole(const char *text)
{
    struct rk_json_value value = {.kind = RK_JSON_NULL};

    ck_assert_msg(rk_json_read(bytes_of(text), &value, &fault) == RK_OK, "%s: %s", text,
                  fault.reason);
    return value;
}

static const struct {
    const char *text;
    enum rk_json_kind kind;
} good[] = {
    {"null", RK_JSON_NULL},
    {" true ", RK_JSON_BOOL},
    {"-0.5e+3", RK_JSON_NUMBER},
    {"\"a\\u00e9\"", RK_JSON_TEXT},
    {"[]", RK_JSON_ARRAY},
    {"{ }", RK_JSON_OBJECT},
    {"[1,[2,{\"a\":3}]]", RK_JSON_ARRAY},
    {"{} and more", RK_JSON_OBJECT},
};

START_TEST(document_is_taken)
{
    ck_assert_int_eq(read_whole(good[_i].text).kind, good[_i].kind);
}
END_TEST

static const char *const bad[] = {
    "",           " ",  "nul", "tru",   "[1,]", "[1 2]",    "{\"a\"}", "{a:1}",       "{\"a\":}",
    "{\"a\":1,}", "01", "1.",  "1e",    "-",    "\"a",      "\"\\x\"", "\"\\u12g4\"", "\"\n\"",
    "[",          "{",  "+1",  "\"a\\", "]",    "{\"a\":1", ".5",      "\"\\u12",
};

START_TEST(no_document_is_refused_with_a_reason)
{
    struct rk_json_value value = {.kind = RK_JSON_TEXT};

    fault.reason = NULL;
    ck_assert_int_eq(rk_json_read(bytes_of(bad[_i]), &value, &fault), RK_INVALID);
    ck_assert_ptr_nonnull(fault.reason);
    ck_assert_uint_le(fault.offset, strlen(bad[_i]));
    ck_assert_int_eq(value.kind, RK_JSON_TEXT);
}
END_TEST

START_TEST(nesting_has_an_end)
{
    char text[2 * RK_JSON_READ_DEPTH_MAX + 3];
    struct rk_json_value value;

    memset(text, '[', RK_JSON_READ_DEPTH_MAX);
    memset(text + RK_JSON_READ_DEPTH_MAX, ']', RK_JSON_READ_DEPTH_MAX);
    text[2 * RK_JSON_READ_DEPTH_MAX] = '\0';
    (void)read_whole(text);
    memset(text, '[', RK_JSON_READ_DEPTH_MAX + 1);
    memset(text + RK_JSON_READ_DEPTH_MAX + 1, ']', RK_JSON_READ_DEPTH_MAX + 1);
    text[2 * RK_JSON_READ_DEPTH_MAX + 2] = '\0';
    ck_assert_int_eq(rk_json_read(bytes_of(text), &value, &fault), RK_INVALID);
    ck_assert_str_eq(fault.reason, "nested too deep");
}
END_TEST

START_TEST(members_come_in_order_with_names_of_any_case)
{
    const struct rk_json_value object = read_whole("{\"Name\" : \"x\" , \"tTl\":[1,2],\"n\":{}}");
    struct rk_json_walk walk;
    struct rk_bytes name;
    struct rk_json_value value;

    rk_json_walk_begin(&walk, &object);
    ck_assert(rk_json_walk_member(&walk, &name, &value));
    ck_assert(rk_json_name_is(name, "NAME") && !rk_json_name_is(name, "NAM"));
    ck_assert_int_eq(value.kind, RK_JSON_TEXT);
    ck_assert(rk_json_walk_member(&walk, &name, &value));
    ck_assert(rk_json_name_is(name, "TTL"));
    ck_assert_int_eq(value.kind, RK_JSON_ARRAY);
    ck_assert_uint_eq(value.text.size, 5);
    ck_assert(rk_json_walk_member(&walk, &name, &value));
    ck_assert_int_eq(value.kind, RK_JSON_OBJECT);
    ck_assert(!rk_json_walk_member(&walk, &name, &value));
}
END_TEST

START_TEST(elements_come_in_order)
{
    const struct rk_json_value array = read_whole("[ 7 , null,\"z\"]");
    struct rk_json_walk walk;
    struct rk_json_value value;
    uint64_t number = 0;

    rk_json_walk_begin(&walk, &array);
    ck_assert(rk_json_walk_element(&walk, &value));
    ck_assert_int_eq(rk_json_read_u64(&value, &number), RK_OK);
    ck_assert_uint_eq(number, 7);
    ck_assert(rk_json_walk_element(&walk, &value));
    ck_assert_int_eq(value.kind, RK_JSON_NULL);
    ck_assert(rk_json_walk_element(&walk, &value));
    ck_assert(!rk_json_walk_element(&walk, &value));
}
END_TEST

START_TEST(escapes_are_undone)
{
    const struct rk_json_value value =
        read_whole("\"a\\n\\/\\\"\\u00e9\\u20ac\\ud83d\\ude00\\ud83dx\"");

    ck_assert_int_eq(rk_json_read_text(&value, &buf), RK_OK);
    rk_buf_append_byte(&buf, '\0');
    ck_assert_str_eq((const char *)buf.data,
                     "a\n/\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbdx");
}
END_TEST

/* Contract 1.12: flags go to 2^64 - 1, and only integers are numbers. */
START_TEST(integers_are_whole_to_the_last)
{
    uint64_t number = 0;
    int64_t signed_number = 0;
    struct rk_json_value value = read_whole("18446744073709551615");

    ck_assert_int_eq(rk_json_read_u64(&value, &number), RK_OK);
    ck_assert_uint_eq(number, UINT64_MAX);
    value = read_whole("18446744073709551616");
    ck_assert_int_eq(rk_json_read_u64(&value, &number), RK_TOO_LARGE);
    value = read_whole("1e3");
    ck_assert_int_eq(rk_json_read_u64(&value, &number), RK_INVALID);
    value = read_whole("\"5\"");
    ck_assert_int_eq(rk_json_read_u64(&value, &number), RK_INVALID);
    value = read_whole("-1");
    ck_assert_int_eq(rk_json_read_u64(&value, &number), RK_INVALID);
    ck_assert_int_eq(rk_json_read_i64(&value, &signed_number), RK_OK);
    ck_assert_int_eq(signed_number, -1);
    value = read_whole("-9223372036854775808");
    ck_assert_int_eq(rk_json_read_i64(&value, &signed_number), RK_TOO_LARGE);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("json_read");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, document_is_taken, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tcase, no_document_is_refused_with_a_reason, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tcase, nesting_has_an_end);
    tcase_add_test(tcase, members_come_in_order_with_names_of_any_case);
    tcase_add_test(tcase, elements_come_in_order);
    tcase_add_test(tcase, escapes_are_undone);
    tcase_add_test(tcase, integers_are_whole_to_the_last);
    return run_suite("json_read", tcase);
}
