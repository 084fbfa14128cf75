/* Targets taken apart: the decode table of contract 1.11, request forms, parameters, routes. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/run.h"
#include "unit/api_harness.h"

struct decode {
    const char *wire; /* after /v1/kv/ */
    const char *key;
};

static const struct decode decode_table[] = {
    {"a%2Fb", "a/b"},
    {"a%2fb", "a/b"},
    {"a/b", "a/b"},
    {"a%20b", "a b"},
    {"%C3%A7", "\xc3\xa7"},
    {"\xc3\xa7", "\xc3\xa7"},
    {"a+b", "a+b"},
    {"c%25d%2Be%3Ff%23g", "c%d+e?f#g"},
    {"%252F", "%2F"},
    {"foo/", "foo/"},
    {"/foo", "foo"},
    {"%2Ffoo", "foo"},
    {"%2F//foo", "foo"},
    {"a//b", "a//b"},
    {"a%2F%2Fb", "a//b"},
    {"a/../b", "a/../b"},
    {"../../v1/status/leader", "../../v1/status/leader"},
    {"a/./b", "a/./b"},
    {"a;b&c=d", "a;b&c=d"},
    {"\xff\xfe%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* bytes are kept; JSON shows U+FFFD */
    {"%C2%A0", "\xc2\xa0"},
    {"a#b", "a#b"},
};

/* What was put under the wire form is listed under the key, and found again by the wire form. */
START_TEST(keys_are_decoded_exactly_once)
{
    const struct decode *row = &decode_table[_i];
    char target[128];
    char keys[128];

    snprintf(target, sizeof(target), "/v1/kv/%s", row->wire);
    expect("PUT", target, "v", 200, "true");
    snprintf(target, sizeof(target), "/v1/kv/%s?raw", row->wire);
    expect("GET", target, "", 200, "v");
    snprintf(keys, sizeof(keys), "[\"%s\"]", row->key);
    if (strchr(row->key, '&') != NULL) {
        snprintf(keys, sizeof(keys), "[\"a;b\\u0026c=d\"]");
    }
    expect("GET", "/v1/kv/?keys", "", 200, keys);
}
END_TEST

static const char *const broken[] = {
    "/v1/kv/%zz",
    "/v1/kv/%",
    "/v1/kv/a%2",
    "/v1/kv/%g0",
    "/v1/kv/k?a=%",
    "/v1/kv/k?%zz",
    "/v1/kv/k?raw;",
    "/v1/kv/k?a=1;b=2",
    "/v1/nope%zz",
    "/%",
    "v1/kv/k",
    "",
    "ftp://host/v1/kv/",
    "http://",
    "http:///v1/kv/k",
    "*",
    "?raw",
    "host:8500",
};

START_TEST(broken_targets_are_400)
{
    expect("GET", broken[_i], "", 400, "400 Bad Request");
}
END_TEST

static const char *const controls[] = {
    "/v1/kv/%00",  "/v1/kv/a%0ab",   "/v1/kv/%1f",     "/v1/kv/%7F",
    "/v1/kv/a\tb", "/v1/kv/k?a=%00", "/v1/kv/k?%00=b",
};

START_TEST(control_bytes_are_refused)
{
    expect("PUT", controls[_i], "x", 400, "Control bytes are not allowed in keys and parameters");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
}
END_TEST

/* §1.1: proxies send the whole address. */
START_TEST(absolute_form_is_the_same_request)
{
    put("/v1/kv/k", "x");
    expect("GET", "http://127.0.0.1:8500/v1/kv/k?raw", "", 200, "x");
    expect("GET", "HTTPS://h/v1/kv/k?raw", "", 200, "x");
    ck_assert_uint_eq(get("http://h")->status, 200);
    ck_assert_uint_eq(get("http://h?x=1")->status, 200);
}
END_TEST

static void key_of(char *target, size_t size)
{
    memcpy(target, "/v1/kv//", 8);
    memset(target + 8, 'k', size);
    target[8 + size] = '\0';
}

START_TEST(a_key_has_its_limit_and_the_text_names_it)
{
    char target[RK_KEY_SIZE_MAX + 16];

    harness.options.key_size_max = 100;
    key_of(target, 100);
    expect("PUT", target, "x", 200, "true");
    key_of(target, 101);
    expect("PUT", target, "x", 400, "Key is too long (101 > 100 bytes)");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
}
END_TEST

START_TEST(sixty_four_parameters_and_no_more)
{
    char target[512] = "/v1/kv/k?raw";

    put("/v1/kv/k", "x");
    for (int i = 1; i < RK_QUERY_PARAMETERS_MAX; i++) {
        memcpy(target + strlen(target), "&a=1", sizeof("&a=1"));
    }
    expect("GET", target, "", 200, "x");
    memcpy(target + strlen(target), "&b", sizeof("&b"));
    expect("GET", target, "", 400, "Too many query parameters, max count: 64");
}
END_TEST

/* Each decoded name and value has its NUL in a buffer that never moves: the tightest queries. */
START_TEST(short_parameters_fill_their_buffer_exactly)
{
    put("/v1/kv/k", "x");
    expect("GET", "/v1/kv/k?a&b&c&raw", "", 200, "x");
    expect("GET", "/v1/kv/k?=&=&=&raw", "", 200, "x");
    expect("GET", "/v1/kv/k?&&raw&&", "", 200, "x");
    expect("GET", "/v1/kv/k?r%61w", "", 200, "x");
}
END_TEST

START_TEST(plus_is_a_space_in_the_query_alone)
{
    expect("PUT", "/v1/kv/a+b?cas=1+2", "", 500,
           "strconv.ParseUint: parsing \"1 2\": invalid syntax");
}
END_TEST

START_TEST(case_32_methods_that_are_not_allowed)
{
    expect("HEAD", "/v1/kv/k", "", 405, "");
    ck_assert_str_eq(header("Allow"), "OPTIONS,GET,PUT,DELETE");
    ck_assert_ptr_null(header("X-Raftkv-Outcome"));
    expect("POST", "/v1/kv/k", "", 405, "method POST not allowed");
    ck_assert_str_eq(header("Allow"), "OPTIONS,GET,PUT,DELETE");
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    expect("OPTIONS", "/v1/kv/k", "", 200, "");
    ck_assert_str_eq(header("Allow"), "OPTIONS,GET,PUT,DELETE");
    expect("PROPFIND", "/v1/status/leader", "", 405, "method PROPFIND not allowed");
    ck_assert_str_eq(header("Allow"), "OPTIONS,GET");
    expect("OPTIONS", "/healthz", "", 200, "");
    expect("PUT", "/v1/status/node", "", 405, "method PUT not allowed");
}
END_TEST

START_TEST(case_33_unknown_routes)
{
    expect("GET", "/v1/nope", "", 404, "Invalid URL path: not a recognized HTTP API endpoint\n");
    expect("GET", "/nope", "", 404,
           "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with "
           "'/v1/'\n");
    static const char *const near[] = {
        "/v1/kvx",    "/v1/status/leader/", "/v1/status",          "//v1/kv/k",
        "/x/v1/kv/k", "/v1/../v1/kv/k",     "/v1/status/leader%2F"};
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        ck_assert_uint_eq(get(near[i])->status, 404);
    }
    expect("HEAD", "/v1/nope", "", 404, "");
    ck_assert_uint_eq(put("/v1/nope", "")->status, 404);
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("target");
    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_loop_test(tcase, keys_are_decoded_exactly_once, 0,
                        sizeof(decode_table) / sizeof(decode_table[0]));
    tcase_add_loop_test(tcase, broken_targets_are_400, 0, sizeof(broken) / sizeof(broken[0]));
    tcase_add_loop_test(tcase, control_bytes_are_refused, 0,
                        sizeof(controls) / sizeof(controls[0]));
    tcase_add_test(tcase, absolute_form_is_the_same_request);
    tcase_add_test(tcase, a_key_has_its_limit_and_the_text_names_it);
    tcase_add_test(tcase, sixty_four_parameters_and_no_more);
    tcase_add_test(tcase, short_parameters_fill_their_buffer_exactly);
    tcase_add_test(tcase, plus_is_a_space_in_the_query_alone);
    tcase_add_test(tcase, case_32_methods_that_are_not_allowed);
    tcase_add_test(tcase, case_33_unknown_routes);
    return run_suite("api_target", tcase);
}
