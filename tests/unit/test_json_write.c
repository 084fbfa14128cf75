#include <signal.h>
#include <string.h>

#include "base/json_write.h"
#include "support/run.h"

static struct rk_buf buf;
static struct rk_json json;

static void setup(void)
{
    rk_buf_init(&buf, 1 << 16);
    rk_json_init(&json, &buf, false);
}

static void teardown(void)
{
    rk_buf_done(&buf);
}

static void assert_written(const char *expected)
{
    rk_buf_append_byte(&buf, '\0');
    ck_assert_int_eq(rk_buf_status(&buf), RK_OK);
    ck_assert_str_eq((const char *)buf.data, expected);
}

static void put_sample(void)
{
    rk_json_object_begin(&json);
    rk_json_name(&json, "a");
    rk_json_u64(&json, 1);
    rk_json_name(&json, "b");
    rk_json_array_begin(&json);
    rk_json_bool(&json, true);
    rk_json_null(&json);
    rk_json_object_begin(&json);
    rk_json_object_end(&json);
    rk_json_array_end(&json);
    rk_json_name(&json, "c");
    rk_json_array_begin(&json);
    rk_json_array_end(&json);
    rk_json_object_end(&json);
}

START_TEST(commas_stand_between_members_only)
{
    put_sample();
    assert_written("{\"a\":1,\"b\":[true,null,{}],\"c\":[]}");
}
END_TEST

/* Consul's ?pretty: four spaces, a final newline, empty containers on one line. */
START_TEST(pretty_indents_by_four_and_ends_with_a_newline)
{
    rk_json_init(&json, &buf, true);
    put_sample();
    assert_written("{\n"
                   "    \"a\": 1,\n"
                   "    \"b\": [\n"
                   "        true,\n"
                   "        null,\n"
                   "        {}\n"
                   "    ],\n"
                   "    \"c\": []\n"
                   "}\n");
}
END_TEST

START_TEST(pretty_scalar_is_a_document)
{
    rk_json_init(&json, &buf, true);
    rk_json_bool(&json, false);
    assert_written("false\n");
}
END_TEST

/* Flags and indexes go to 2^64 - 1, past jansson's integers. */
START_TEST(integers_have_their_full_range)
{
    rk_json_array_begin(&json);
    rk_json_u64(&json, UINT64_MAX);
    rk_json_i64(&json, INT64_MIN);
    rk_json_hex64(&json, 0xab);
    rk_json_array_end(&json);
    assert_written("[18446744073709551615,-9223372036854775808,\"00000000000000ab\"]");
}
END_TEST

struct string_case {
    const char *bytes;
    uint32_t size;
    const char *expected;
};

#define BYTES(text) (text), sizeof(text) - 1
#define FFFD        "\xef\xbf\xbd"

static const struct string_case string_cases[] = {
    {BYTES(""), "\"\""},
    {BYTES("plain text"), "\"plain text\""},
    {BYTES("a\"b\\c/"), "\"a\\\"b\\\\c/\""},
    {BYTES("<a>&"), "\"\\u003ca\\u003e\\u0026\""},
    {BYTES("\n\t\r\x01\x1f"), "\"\\u000a\\u0009\\u000d\\u0001\\u001f\""},
    {BYTES("nul\0in"), "\"nul\\u0000in\""},
    {BYTES("\x7f"), "\"\x7f\""},
    {BYTES("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
    {BYTES("\xff"), "\"" FFFD "\""},                            /* no lead byte */
    {BYTES("a\x80z"), "\"a" FFFD "z\""},                        /* stray continuation */
    {BYTES("\xc3"), "\"" FFFD "\""},                            /* cut at the end */
    {BYTES("\xc3\"x"), "\"" FFFD "\\\"x\""},                    /* cut by a quote */
    {BYTES("\xe2\x82"), "\"" FFFD FFFD "\""},                   /* cut after two of three */
    {BYTES("\xc0\xaf"), "\"" FFFD FFFD "\""},                   /* overlong '/' */
    {BYTES("\xe0\x80\xaf"), "\"" FFFD FFFD FFFD "\""},          /* overlong */
    {BYTES("\xed\xa0\x80"), "\"" FFFD FFFD FFFD "\""},          /* surrogate */
    {BYTES("\xf4\x90\x80\x80"), "\"" FFFD FFFD FFFD FFFD "\""}, /* past U+10FFFF */
    {BYTES("\xef\xbf\xbf\xf4\x8f\xbf\xbf"), "\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\""},
};

START_TEST(strings_are_valid_whatever_the_bytes)
{
    const struct string_case *c = &string_cases[_i];
    rk_json_bytes(&json, (struct rk_bytes){(const uint8_t *)c->bytes, c->size});
    assert_written(c->expected);
}
END_TEST

/* Text is scanned by words: every byte at every place of a word, and behind it. */
START_TEST(every_byte_is_escaped_at_every_place)
{
    static const char special[] = "\"\\<>&";
    uint8_t text[20];
    for (unsigned byte = 0; byte < 256; byte++) {
        for (uint32_t at = 0; at < sizeof(text); at++) {
            memset(text, 'a', sizeof(text));
            text[at] = (uint8_t)byte;
            rk_buf_reset(&buf);
            rk_json_bytes(&json, (struct rk_bytes){text, sizeof(text)});
            const bool is_quoted = byte == '"' || byte == '\\';
            const bool is_plain = byte >= 0x20 && byte < 0x80 && strchr(special, (int)byte) == NULL;
            const size_t more = is_plain ? 0 : byte >= 0x80 ? 2 : is_quoted ? 1 : 5;
            ck_assert_uint_eq(buf.size, sizeof(text) + 2 + more);
            ck_assert_uint_eq(buf.data[at + 1], is_plain ? byte : byte >= 0x80 ? 0xef : '\\');
        }
    }
}
END_TEST

START_TEST(names_are_escaped_too)
{
    rk_json_object_begin(&json);
    rk_json_name(&json, "a\"<\n");
    rk_json_text(&json, "v");
    rk_json_object_end(&json);
    assert_written("{\"a\\\"\\u003c\\u000a\":\"v\"}");
}
END_TEST

/* Clients of /v1/kv test an empty value with `is null`. */
START_TEST(base64_of_nothing_is_null)
{
    rk_json_array_begin(&json);
    rk_json_base64(&json, (struct rk_bytes){0});
    rk_json_base64(&json, (struct rk_bytes){(const uint8_t *)"foobar", 6});
    rk_json_array_end(&json);
    assert_written("[null,\"Zm9vYmFy\"]");
}
END_TEST

START_TEST(documents_follow_each_other_without_a_comma)
{
    rk_json_u64(&json, 1);
    rk_buf_append_byte(&buf, '\n');
    rk_json_u64(&json, 2);
    assert_written("1\n2");
}
END_TEST

START_TEST(deepest_nesting_is_written)
{
    char expected[2 * RK_JSON_DEPTH_MAX + 1] = {0};
    for (int i = 0; i < RK_JSON_DEPTH_MAX; i++) {
        rk_json_array_begin(&json);
        expected[i] = '[';
    }
    for (int i = 0; i < RK_JSON_DEPTH_MAX; i++) {
        rk_json_array_end(&json);
        expected[RK_JSON_DEPTH_MAX + i] = ']';
    }
    assert_written(expected);
}
END_TEST

START_TEST(deeper_nesting_aborts)
{
    for (int i = 0; i <= RK_JSON_DEPTH_MAX; i++) {
        rk_json_array_begin(&json);
    }
}
END_TEST

START_TEST(name_after_name_aborts)
{
    rk_json_object_begin(&json);
    rk_json_name(&json, "a");
    rk_json_name(&json, "b");
}
END_TEST

START_TEST(end_after_name_aborts)
{
    rk_json_object_begin(&json);
    rk_json_name(&json, "a");
    rk_json_object_end(&json);
}
END_TEST

START_TEST(end_without_begin_aborts)
{
    rk_json_array_end(&json);
}
END_TEST

START_TEST(ceiling_shows_in_the_status_of_the_buffer)
{
    struct rk_buf small;
    rk_buf_init(&small, 8);
    rk_json_init(&json, &small, false);
    rk_json_text(&json, "longer than eight");
    ck_assert_int_eq(rk_buf_status(&small), RK_TOO_LARGE);
    rk_buf_done(&small);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("json_write");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, commas_stand_between_members_only);
    tcase_add_test(tcase, pretty_indents_by_four_and_ends_with_a_newline);
    tcase_add_test(tcase, pretty_scalar_is_a_document);
    tcase_add_test(tcase, integers_have_their_full_range);
    tcase_add_loop_test(tcase, strings_are_valid_whatever_the_bytes, 0,
                        (int)(sizeof(string_cases) / sizeof(string_cases[0])));
    tcase_add_test(tcase, every_byte_is_escaped_at_every_place);
    tcase_add_test(tcase, names_are_escaped_too);
    tcase_add_test(tcase, base64_of_nothing_is_null);
    tcase_add_test(tcase, documents_follow_each_other_without_a_comma);
    tcase_add_test(tcase, deepest_nesting_is_written);
    tcase_add_test_raise_signal(tcase, deeper_nesting_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, name_after_name_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, end_after_name_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, end_without_begin_aborts, SIGABRT);
    tcase_add_test(tcase, ceiling_shows_in_the_status_of_the_buffer);
    return run_suite("json_write", tcase);
}
