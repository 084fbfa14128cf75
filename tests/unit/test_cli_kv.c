/* raftkv kv: keys that end by themselves, pages, and files of keys, against a stub of a node. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/kv_file.h"
#include "support/http_stub.h"
#include "unit/cli_run.h"

/* -- put, list -- */

START_TEST(put_sends_a_time_to_live)
{
    struct http_stub *node = node_start(OK_TRUE);

    ck_assert_int_eq(RUN("kv", "put", "a", "v", "--ttl", "1.5s", "--cas=0"), CLI_DONE);

    ck_assert_begins(http_stub_request(node), "PUT /v1/kv/a?cas=0&ttl=1500ms HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(list_asks_for_a_page)
{
    struct http_stub *node =
        node_start("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n[\"b\",\"b/c\"]");

    ck_assert_int_eq(RUN("kv", "list", "b", "--limit=2", "--start-after", "a b/"), CLI_DONE);

    ck_assert_begins(http_stub_request(node),
                     "GET /v1/kv/b?keys&limit=2&start-after=a%20b/ HTTP/1.1\r\n");
    ck_assert_str_eq(out_text, "b\nb/c\n");
    ck_assert_str_eq(err_text, "");
    http_stub_stop(node);
}
END_TEST

START_TEST(list_says_that_more_follows)
{
    struct http_stub *node = node_start("HTTP/1.1 200 OK\r\nX-Raftkv-Continue-After: b%2Fc\r\n"
                                        "Content-Length: 11\r\n\r\n[\"b\",\"b/c\"]");

    ck_assert_int_eq(RUN("kv", "list", "--limit=2"), CLI_DONE);

    ck_assert_str_eq(out_text, "b\nb/c\n");
    ck_assert_str_eq(err_text, "raftkv: kv list: more keys follow: --start-after b/c\n");
    http_stub_stop(node);
}
END_TEST

/* -- export -- */

#define LISTING                                                                             \
    "[{\"LockIndex\":0,\"Key\":\"a\\u003c\\\"]\",\"Flags\":18446744073709551615,\"Value\":" \
    "\"dg==\",\"CreateIndex\":2,\"ModifyIndex\":2},"                                        \
    "{\"LockIndex\":1,\"Key\":\"b\",\"Flags\":0,\"Value\":null,\"CreateIndex\":3}]"

#define EXPORTED                                                                      \
    "[\n\t{\n\t\t\"key\": \"a\\u003c\\\"]\",\n\t\t\"flags\": 18446744073709551615,\n" \
    "\t\t\"value\": \"dg==\"\n\t},\n\t{\n\t\t\"key\": \"b\",\n\t\t\"flags\": 0,\n"    \
    "\t\t\"value\": \"\"\n\t}\n]\n"

START_TEST(export_writes_key_flags_and_value)
{
    struct http_stub *node = node_start("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" LISTING);

    ck_assert_int_eq(RUN("kv", "export", "p/", "--consistent"), CLI_DONE);

    ck_assert_begins(http_stub_request(node), "GET /v1/kv/p/?recurse&consistent HTTP/1.1\r\n");
    ck_assert_str_eq(out_text, EXPORTED);
    http_stub_stop(node);
}
END_TEST

START_TEST(export_of_nothing_is_an_empty_list)
{
    struct http_stub *node = node_start("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");

    ck_assert_int_eq(RUN("kv", "export"), CLI_DONE);

    ck_assert_str_eq(out_text, "[]\n");
    http_stub_stop(node);
}
END_TEST

/* A file that lacks its end is no JSON: nobody takes it for whole. */
START_TEST(export_that_breaks_off_says_no)
{
    struct http_stub *node = node_start("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                                        "[{\"Key\":\"a\",\"Flags\":0,\"Value\":null},{\"Key\"");

    ck_assert_int_eq(RUN("kv", "export"), CLI_REFUSED);

    ck_assert_contains(err_text, "broke off after 1 keys");
    ck_assert_ptr_null(strstr(out_text, "\n]"));
    http_stub_stop(node);
}
END_TEST

/* The API shows bytes that are no UTF-8 as U+FFFD: such a key would come back as another one. */
START_TEST(export_of_a_key_that_json_cannot_hold_says_no)
{
    struct http_stub *node = node_start("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                                        "[{\"Key\":\"a\xef\xbf\xbd\",\"Flags\":0,\"Value\":null}]");

    ck_assert_int_eq(RUN("kv", "export"), CLI_REFUSED);

    ck_assert_contains(err_text, "not UTF-8");
    http_stub_stop(node);
}
END_TEST

START_TEST(export_passes_on_why_not)
{
    struct http_stub *node = node_start("HTTP/1.1 500 Internal Server Error\r\n"
                                        "Content-Length: 17\r\n\r\nNo cluster leader");

    ck_assert_int_eq(RUN("kv", "export"), CLI_REFUSED);

    ck_assert_contains(err_text, "500 No cluster leader");
    http_stub_stop(node);
}
END_TEST

/* -- import -- */

#define TXN_DONE "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n{\"Results\":[],\"Errors\":null} "

static enum cli_exit import(const char *input)
{
    const char *const words[] = {"raftkv", "kv", "import", NULL};
    return run_words(input, words);
}

START_TEST(import_writes_what_export_wrote)
{
    struct http_stub *node = node_start(TXN_DONE);

    ck_assert_int_eq(import(EXPORTED), CLI_DONE);

    ck_assert_begins(http_stub_request(node), "PUT /v1/txn HTTP/1.1\r\n");
    ck_assert_contains(http_stub_request(node),
                       "\r\n\r\n[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\\u003c\\\"]\","
                       "\"Flags\":18446744073709551615,\"Value\":\"dg==\"}},"
                       "{\"KV\":{\"Verb\":\"set\",\"Key\":\"b\",\"Flags\":0,\"Value\":\"\"}}]");
    ck_assert_str_eq(err_text, "");
    http_stub_stop(node);
}
END_TEST

START_TEST(import_of_nothing_sends_nothing)
{
    struct http_stub *node = node_start(TXN_DONE);

    ck_assert_int_eq(import("[]"), CLI_DONE);

    ck_assert_str_eq(http_stub_request(node), "");
    http_stub_stop(node);
}
END_TEST

static const struct {
    const char *text;
    const char *reason;
} bad_files[] = {
    {"", "line 1: unexpected end of JSON input"},
    {"[\n{\"key\":\"a\"},\n", "line 3: unexpected end of JSON input"},
    {"{\"key\":\"a\"}", "line 1: not a JSON array of keys"},
    {"[\n\"a\"]", "line 2, entry 1: not an object with key, flags and value"},
    {"[{\"key\":\"a\"},\n{\"flags\":1}]", "line 2, entry 2: key is missing"},
    {"[{\"key\":\"\"}]", "line 1, entry 1: key is not a text, or empty"},
    {"[{\"key\":7}]", "line 1, entry 1: key is not a text, or empty"},
    {"[{\"key\":\"a\\u0000\"}]", "line 1, entry 1: key has a control byte"},
    {"[{\"key\":\"a\",\n\"flags\":-1}]", "line 2, entry 1: flags is not a number from 0 to 2^64-1"},
    {"[{\"key\":\"a\",\"flags\":\"1\"}]", "entry 1: flags is not a number from 0 to 2^64-1"},
    {"[{\"key\":\"a\",\"flags\":18446744073709551616}]", "flags is not a number from 0 to 2^64-1"},
    {"[{\"key\":\"a\",\"value\":\"abc\"}]", "line 1, entry 1: value is not base64"},
    {"[{\"key\":\"a\",\"value\":{}}]", "line 1, entry 1: value is not base64"},
};

START_TEST(bad_file_names_the_place_and_sends_nothing)
{
    struct http_stub *node = node_start(TXN_DONE);

    ck_assert_int_eq(import(bad_files[_i].text), CLI_USAGE);

    ck_assert_contains(err_text, bad_files[_i].reason);
    ck_assert_contains(err_text, "; nothing was written\n");
    ck_assert_ptr_eq(strchr(err_text, '\n'), err_text + strlen(err_text) - 1);
    ck_assert_str_eq(http_stub_request(node), "");
    http_stub_stop(node);
}
END_TEST

/* Names as other programs write them, members that are not looked at, escapes in base64. */
START_TEST(import_is_lenient_where_json_is)
{
    struct http_stub *node = node_start(TXN_DONE);

    ck_assert_int_eq(import("[{\"Namespace\":\"default\",\"VALUE\":\"\\/\\/8=\",\"Key\":\"a\"}]\n"),
                     CLI_DONE);

    ck_assert_contains(http_stub_request(node), "\"Key\":\"a\",\"Flags\":0,\"Value\":\"//8=\"");
    http_stub_stop(node);
}
END_TEST

static void many_keys(struct rk_buf *text, uint32_t count)
{
    rk_buf_init(text, 1 << 20);
    for (uint32_t i = 0; i < count; i++) {
        rk_buf_append_text(text, i == 0 ? "[{\"key\":\"k" : ",{\"key\":\"k");
        rk_buf_append_u64(text, i);
        rk_buf_append_text(text, "\"}");
    }
    rk_buf_append_text(text, "]");
    rk_buf_append_byte(text, '\0');
}

/* 128 are what any server of this API takes at once. */
START_TEST(import_goes_in_chunks)
{
    static const struct http_stub_answer answers[] = {
        {NULL, TXN_DONE},
        {NULL, TXN_DONE},
        {NULL, "HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nlate"},
    };
    struct rk_buf text;
    struct http_stub *node = http_stub_start_sequence(answers, 3);
    snprintf(addr, sizeof(addr), "127.0.0.1:%u", http_stub_port(node));
    many_keys(&text, 300);

    ck_assert_int_eq(import((const char *)text.data), CLI_REFUSED);

    ck_assert_contains(http_stub_request(node),
                       "\r\n\r\n[{\"KV\":{\"Verb\":\"set\",\"Key\":\"k256\"");
    ck_assert_contains(http_stub_request(node), "\"k299\"");
    ck_assert_contains(err_text, "500 late");
    ck_assert_contains(err_text, "256 of 300 keys were written; import the file again to go on");
    http_stub_stop(node);
    rk_buf_done(&text);
}
END_TEST

START_TEST(import_as_json_counts_the_keys)
{
    struct http_stub *node = node_start(TXN_DONE);
    const char *const words[] = {"raftkv", "kv", "import", "--json", NULL};

    ck_assert_int_eq(run_words("[{\"key\":\"a\"},{\"key\":\"b\"}]", words), CLI_DONE);

    ck_assert_str_eq(out_text, "{\"Keys\":2}\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(import_of_a_missing_file_sends_nothing)
{
    struct http_stub *node = node_start(TXN_DONE);

    ck_assert_int_eq(RUN("kv", "import", "/nonexistent"), CLI_USAGE);

    ck_assert_contains(err_text, "/nonexistent: No such file");
    ck_assert_str_eq(http_stub_request(node), "");
    http_stub_stop(node);
}
END_TEST

/* -- elements out of pieces -- */

static struct rk_buf collected;

static bool collect(void *context, struct rk_bytes element)
{
    (void)context;
    rk_buf_append(&collected, element.data, element.size);
    rk_buf_append_byte(&collected, '\n');
    return true;
}

/* Wherever the pieces are cut, brackets in texts are no brackets. */
START_TEST(elements_come_whole_out_of_any_pieces)
{
    static const char text[] = "[ {\"a\":\"]}\\\"[\",\"b\":[1,{}]} , [2],{} ]\n";
    const uint32_t size = (uint32_t)sizeof(text) - 1;
    struct kv_split split;

    kv_split_init(&split);
    split.on_element = collect;
    rk_buf_init(&collected, 256);
    for (uint32_t at = 0; at < size; at += (uint32_t)_i) {
        const uint32_t step = size - at < (uint32_t)_i ? size - at : (uint32_t)_i;
        ck_assert(kv_split_take(
            &split, (struct rk_bytes){.data = (const uint8_t *)text + at, .size = step}));
    }
    rk_buf_append_byte(&collected, '\0');
    ck_assert_str_eq((const char *)collected.data, "{\"a\":\"]}\\\"[\",\"b\":[1,{}]}\n[2]\n{}\n");
    ck_assert(split.is_closed);
    rk_buf_done(&collected);
    kv_split_done(&split);
}
END_TEST

void kv_file_tests_add(TCase *tcase)
{
    tcase_add_test(tcase, put_sends_a_time_to_live);
    tcase_add_test(tcase, list_asks_for_a_page);
    tcase_add_test(tcase, list_says_that_more_follows);
    tcase_add_test(tcase, export_writes_key_flags_and_value);
    tcase_add_test(tcase, export_of_nothing_is_an_empty_list);
    tcase_add_test(tcase, export_that_breaks_off_says_no);
    tcase_add_test(tcase, export_of_a_key_that_json_cannot_hold_says_no);
    tcase_add_test(tcase, export_passes_on_why_not);
    tcase_add_test(tcase, import_writes_what_export_wrote);
    tcase_add_test(tcase, import_of_nothing_sends_nothing);
    tcase_add_loop_test(tcase, bad_file_names_the_place_and_sends_nothing, 0,
                        sizeof(bad_files) / sizeof(bad_files[0]));
    tcase_add_test(tcase, import_is_lenient_where_json_is);
    tcase_add_test(tcase, import_goes_in_chunks);
    tcase_add_test(tcase, import_as_json_counts_the_keys);
    tcase_add_test(tcase, import_of_a_missing_file_sends_nothing);
    tcase_add_loop_test(tcase, elements_come_whole_out_of_any_pieces, 1, 8);
}
