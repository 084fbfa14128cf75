#include <string.h>

#include "base/parse.h"
#include "support/run.h"

enum { UNTOUCHED = 4711 };

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

struct u64_case {
    const char *text;
    enum rk_status status;
    uint64_t value;
};

static const struct u64_case u64_cases[] = {
    {"0", RK_OK, 0},
    {"007", RK_OK, 7},
    {"18446744073709551615", RK_OK, UINT64_MAX},
    {"18446744073709551616", RK_TOO_LARGE, 0},
    {"99999999999999999999999", RK_TOO_LARGE, 0},
    {"99999999999999999999999x", RK_INVALID, 0},
    {"", RK_INVALID, 0},
    {" 1", RK_INVALID, 0},
    {"1 ", RK_INVALID, 0},
    {"+1", RK_INVALID, 0},
    {"-1", RK_INVALID, 0},
    {"1e3", RK_INVALID, 0},
    {"0x10", RK_INVALID, 0},
};

START_TEST(u64_is_decimal_digits_only)
{
    const struct u64_case *c = &u64_cases[_i];
    uint64_t value = UNTOUCHED;
    ck_assert_int_eq(rk_parse_u64(c->text, &value), c->status);
    ck_assert_uint_eq(value, c->status == RK_OK ? c->value : UNTOUCHED);
}
END_TEST

static const struct u64_case hex_cases[] = {
    {"0", RK_OK, 0},
    {"ff", RK_OK, 255},
    {"00ffDEADbeef0123", RK_OK, 0x00ffdeadbeef0123},
    {"ffffffffffffffff", RK_OK, UINT64_MAX},
    {"00000000000000000", RK_INVALID, 0},
    {"", RK_INVALID, 0},
    {"0x1", RK_INVALID, 0},
    {"g", RK_INVALID, 0},
    {"@", RK_INVALID, 0},
    {"`", RK_INVALID, 0},
};

START_TEST(hex64_is_one_to_sixteen_digits)
{
    const struct u64_case *c = &hex_cases[_i];
    uint64_t value = UNTOUCHED;
    ck_assert_int_eq(rk_parse_hex64(c->text, &value), c->status);
    ck_assert_uint_eq(value, c->status == RK_OK ? c->value : UNTOUCHED);
}
END_TEST

static const struct u64_case size_cases[] = {
    {"4096", RK_OK, 4096},
    {"0", RK_OK, 0},
    {"512KiB", RK_OK, 512 * 1024},
    {"8MiB", RK_OK, 8 * 1024 * 1024},
    {"1GiB", RK_OK, 1024 * 1024 * 1024},
    {"17179869183GiB", RK_OK, (uint64_t)17179869183 << 30},
    {"17179869184GiB", RK_TOO_LARGE, 0},
    {"18446744073709551616", RK_TOO_LARGE, 0},
    {"", RK_INVALID, 0},
    {"KiB", RK_INVALID, 0},
    {"8 MiB", RK_INVALID, 0},
    {"8mib", RK_INVALID, 0},
    {"8MB", RK_INVALID, 0},
    {"8MiBs", RK_INVALID, 0},
    {"-1", RK_INVALID, 0},
};

START_TEST(size_takes_the_units_of_the_configuration)
{
    const struct u64_case *c = &size_cases[_i];
    uint64_t value = UNTOUCHED;
    ck_assert_int_eq(rk_parse_size(c->text, &value), c->status);
    ck_assert_uint_eq(value, c->status == RK_OK ? c->value : UNTOUCHED);
}
END_TEST

struct duration_case {
    const char *text;
    enum rk_status status;
    int64_t ns;
};

#define S INT64_C(1000000000)

/* What real clients send, and Go's edges. */
static const struct duration_case duration_cases[] = {
    {"15s", RK_OK, 15 * S},
    {"15.0s", RK_OK, 15 * S},
    {"15.000000s", RK_OK, 15 * S},
    {"0.001s", RK_OK, 1000000},
    {"1m30s", RK_OK, 90 * S},
    {"1h30m", RK_OK, 5400 * S},
    {"7.5s", RK_OK, 7500000000},
    {"1m0s", RK_OK, 60 * S},
    {".5s", RK_OK, 500000000},
    {"1.s", RK_OK, S},
    {"2.5s", RK_OK, 2500000000},
    {"60000ms", RK_OK, 60 * S},
    {"9.998664140701294s", RK_OK, 9998664140},
    {"0", RK_OK, 0},
    {"+0", RK_OK, 0},
    {"-0", RK_OK, 0},
    {"0s", RK_OK, 0},
    {"-5s", RK_OK, -5 * S},
    {"+5s", RK_OK, 5 * S},
    {"1s500ms", RK_OK, 1500000000},
    {"3ns4us5ms", RK_OK, 5004003},
    {"2\xc2\xb5s", RK_OK, 2000},
    {"2\xce\xbcs", RK_OK, 2000},
    {"0.3333333333333333333h", RK_OK, 1199999999999},
    {"0.33333333333333333333333333333333h", RK_OK, 1199999999999},
    {"0.9999999999999999999999999ns", RK_OK, 0},
    {"9223372036854775807ns", RK_OK, INT64_MAX},
    {"-9223372036854775808ns", RK_OK, INT64_MIN},
    {"9223372036854775808ns", RK_TOO_LARGE, 0},
    {"-9223372036854775809ns", RK_TOO_LARGE, 0},
    {"9223372036s854775808ns", RK_TOO_LARGE, 0},
    {"-9223372036s854775808ns", RK_OK, INT64_MIN},
    {"-9223372036s854775809ns", RK_TOO_LARGE, 0},
    {"2562047h2562047h", RK_TOO_LARGE, 0},
    {"2562047h2562047h2562047h", RK_TOO_LARGE, 0},
    {"9999999h", RK_TOO_LARGE, 0},
    {"99999999999999999999999999h", RK_TOO_LARGE, 0},
    {"9999999h1d", RK_INVALID, 0},
    {"10", RK_INVALID, 0},
    {"1d", RK_INVALID, 0},
    {"1S", RK_INVALID, 0},
    {"10 s", RK_INVALID, 0},
    {" 10s", RK_INVALID, 0},
    {"10s ", RK_INVALID, 0},
    {"1e3s", RK_INVALID, 0},
    {"", RK_INVALID, 0},
    {"-", RK_INVALID, 0},
    {"+", RK_INVALID, 0},
    {"--5s", RK_INVALID, 0},
    {"s", RK_INVALID, 0},
    {".s", RK_INVALID, 0},
    {".", RK_INVALID, 0},
    {"1.2.3s", RK_INVALID, 0},
    {"5s3", RK_INVALID, 0},
    {"1s-1s", RK_INVALID, 0},
    {"00", RK_INVALID, 0},
};

START_TEST(duration_follows_the_rules_of_go)
{
    const struct duration_case *c = &duration_cases[_i];
    int64_t ns = UNTOUCHED;
    ck_assert_msg(rk_parse_duration(c->text, &ns) == c->status, "status of \"%s\"", c->text);
    ck_assert_int_eq(ns, c->status == RK_OK ? c->ns : UNTOUCHED);
}
END_TEST

static struct rk_buf buf;

static void setup(void)
{
    rk_buf_init(&buf, 64);
    rk_buf_append_byte(&buf, '>');
}

static void teardown(void)
{
    rk_buf_done(&buf);
}

/* What Go's Duration.String() gives. */
static const struct {
    uint64_t ms;
    const char *text;
} printed_cases[] = {
    {0, "0s"},
    {1, "1ms"},
    {200, "200ms"},
    {1000, "1s"},
    {1500, "1.5s"},
    {10007, "10.007s"},
    {60000, "1m0s"},
    {90250, "1m30.25s"},
    {3600000, "1h0m0s"},
    {86400000, "24h0m0s"},
    {315360000000, "87600h0m0s"},
};

START_TEST(duration_is_printed_as_by_go)
{
    rk_buf_reset(&buf);
    rk_duration_append(printed_cases[_i].ms, &buf);
    rk_buf_append_byte(&buf, '\0');
    ck_assert_str_eq((const char *)buf.data, printed_cases[_i].text);
}
END_TEST

static struct rk_bytes bytes_of(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

/* The buffer holds '>' and what was appended. */
static void assert_appended(const char *expected, size_t size)
{
    ck_assert_uint_eq(buf.size, size + 1);
    ck_assert_uint_eq(buf.data[0], '>');
    ck_assert_mem_eq(buf.data + 1, expected, size);
}

struct decode_case {
    const char *text;
    bool plus_is_space;
    const char *expected; /* NULL: RK_INVALID */
    size_t size;
};

/* Decoded exactly once: %2525 is %25, not %. */
static const struct decode_case percent_cases[] = {
    {"", false, "", 0},
    {"plain/path", false, "plain/path", 10},
    {"a%2Fb%2fc", false, "a/b/c", 5},
    {"%2525", false, "%25", 3},
    {"%00%ff", false, "\0\xff", 2},
    {"a+b%2B", false, "a+b+", 4},
    {"a+b%2B", true, "a b+", 4},
    {"%", false, NULL, 0},
    {"a%4", false, NULL, 0},
    {"%4g", false, NULL, 0},
    {"%g4", false, NULL, 0},
    {"%%41", false, NULL, 0},
    {"% 1", false, NULL, 0},
};

START_TEST(percent_is_decoded_once)
{
    const struct decode_case *c = &percent_cases[_i];
    const enum rk_status status = rk_percent_decode(bytes_of(c->text), c->plus_is_space, &buf);
    ck_assert_int_eq(status, c->expected == NULL ? RK_INVALID : RK_OK);
    assert_appended(c->expected == NULL ? "" : c->expected, c->size);
}
END_TEST

START_TEST(percent_past_the_ceiling_is_too_large)
{
    const char text[65] = "%41";
    const struct rk_bytes bytes = {.data = (const uint8_t *)text, .size = sizeof(text)};
    ck_assert_int_eq(rk_percent_decode((struct rk_bytes){bytes.data, 65}, false, &buf), RK_OK);
    ck_assert_uint_eq(buf.size, 64);
    ck_assert_int_eq(rk_percent_decode((struct rk_bytes){bytes.data, 1}, false, &buf), RK_INVALID);
    ck_assert_int_eq(rk_percent_decode((struct rk_bytes){bytes.data, 3}, false, &buf),
                     RK_TOO_LARGE);
    ck_assert_uint_eq(buf.size, 64);
}
END_TEST

/* RFC 4648, section 10, and the two digits that differ between alphabets. */
static const struct decode_case base64_cases[] = {
    {"", false, "", 0},
    {"Zg==", false, "f", 1},
    {"Zm8=", false, "fo", 2},
    {"Zm9v", false, "foo", 3},
    {"Zm9vYg==", false, "foob", 4},
    {"Zm9vYmE=", false, "fooba", 5},
    {"Zm9vYmFy", false, "foobar", 6},
    {"+/+/", false, "\xfb\xff\xbf", 3},
    {"AAD/", false, "\0\0\xff", 3},
};

START_TEST(base64_encodes_and_decodes)
{
    const struct decode_case *c = &base64_cases[_i];
    ck_assert_int_eq(rk_base64_decode(bytes_of(c->text), &buf), RK_OK);
    assert_appended(c->expected, c->size);
    struct rk_buf encoded;
    rk_buf_init(&encoded, 64);
    rk_base64_encode((struct rk_bytes){(const uint8_t *)c->expected, (uint32_t)c->size}, &encoded);
    rk_buf_append_byte(&encoded, '\0');
    ck_assert_str_eq((const char *)encoded.data, c->text);
    rk_buf_done(&encoded);
}
END_TEST

START_TEST(base64_takes_line_breaks)
{
    ck_assert_int_eq(rk_base64_decode(bytes_of("Zm\r\n9v\nYg=\n=\n"), &buf), RK_OK);
    assert_appended("foob", 4);
}
END_TEST

/* Unpadded and URL-safe texts are another encoding (contract of /v1/txn). */
static const char *const base64_refused[] = {"Zg",   "Zg=",      "Z",     "Z===",      "====",
                                             "=",    "Zg==Zg==", "Zm9v=", "_-_-",      "Zm 9v",
                                             "Zm9*", "Z=g=",     "Zg===", "Zm9v Zm9v", "Zm8=Zg=="};

START_TEST(base64_refuses_what_is_not_standard)
{
    ck_assert_int_eq(rk_base64_decode(bytes_of(base64_refused[_i]), &buf), RK_INVALID);
    assert_appended("", 0);
}
END_TEST

START_TEST(base64_past_the_ceiling_is_too_large)
{
    char text[88];
    memset(text, 'A', sizeof(text));
    const struct rk_bytes bytes = {.data = (const uint8_t *)text, .size = sizeof(text)};
    ck_assert_int_eq(rk_base64_decode(bytes, &buf), RK_TOO_LARGE);
    assert_appended("", 0);
}
END_TEST

START_TEST(percent_leaves_what_needs_no_escape)
{
    rk_buf_reset(&buf);
    rk_percent_encode(bytes_of("aZ09-._~/ +%\xff\n"), "/", &buf);
    rk_buf_append_byte(&buf, '\0');
    ck_assert_str_eq((const char *)buf.data, "aZ09-._~/%20%2B%25%FF%0A");
    rk_buf_reset(&buf);
    rk_percent_encode(bytes_of("a/b"), "", &buf);
    rk_buf_append_byte(&buf, '\0');
    ck_assert_str_eq((const char *)buf.data, "a%2Fb");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("parse");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, u64_is_decimal_digits_only, 0, COUNT(u64_cases));
    tcase_add_loop_test(tcase, hex64_is_one_to_sixteen_digits, 0, COUNT(hex_cases));
    tcase_add_loop_test(tcase, size_takes_the_units_of_the_configuration, 0, COUNT(size_cases));
    tcase_add_loop_test(tcase, duration_follows_the_rules_of_go, 0, COUNT(duration_cases));
    tcase_add_loop_test(tcase, duration_is_printed_as_by_go, 0, COUNT(printed_cases));
    tcase_add_loop_test(tcase, percent_is_decoded_once, 0, COUNT(percent_cases));
    tcase_add_test(tcase, percent_leaves_what_needs_no_escape);
    tcase_add_test(tcase, percent_past_the_ceiling_is_too_large);
    tcase_add_loop_test(tcase, base64_encodes_and_decodes, 0, COUNT(base64_cases));
    tcase_add_test(tcase, base64_takes_line_breaks);
    tcase_add_loop_test(tcase, base64_refuses_what_is_not_standard, 0, COUNT(base64_refused));
    tcase_add_test(tcase, base64_past_the_ceiling_is_too_large);
    return run_suite("parse", tcase);
}
