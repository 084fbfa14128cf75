/* raftkv lock, session and txn. Part of test_cli. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/http_stub.h"
#include "support/run.h"
#include "unit/cli_run.h"

#define OK_JSON "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define CREATED OK_JSON "{\"ID\":\"aa010203-0405-0607-0809-0a0b0c0d0e0f\"}"
#define TAKEN   "HTTP/1.1 200 OK\r\nConnection: close\r\nX-Raftkv-Fence: 4711\r\n\r\ntrue"
#define GONE    "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nSession id not found"
#define SESSION                                                                                \
    OK_JSON "[{\"ID\":\"aa010203-0405-0607-0809-0a0b0c0d0e0f\",\"Name\":\"\",\"Node\":\"n1\"," \
            "\"TTL\":\"15s\",\"Behavior\":\"release\"}]"

static struct http_stub *sequence_start(const struct http_stub_answer *answers, uint32_t count)
{
    struct http_stub *stub = http_stub_start_sequence(answers, count);

    snprintf(addr, sizeof(addr), "http://127.0.0.1:%u", http_stub_port(stub));
    return stub;
}

START_TEST(lock_runs_the_command_with_its_fence_and_passes_its_status_on)
{
    static const struct http_stub_answer answers[] = {
        {NULL, CREATED}, {NULL, TAKEN}, {NULL, OK_TRUE}};
    struct http_stub *node = sequence_start(answers, 3);

    ck_assert_int_eq(
        (int)RUN("lock", "job", "--", "sh", "-c", "test \"$RAFTKV_FENCE\" = 4711 && exit 7"), 7);

    ck_assert_begins(http_stub_request(node),
                     "PUT /v1/session/destroy/aa010203-0405-0607-0809-0a0b0c0d0e0f HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(lock_names_the_variable_of_the_fence)
{
    static const struct http_stub_answer answers[] = {
        {NULL, CREATED}, {NULL, TAKEN}, {NULL, OK_TRUE}};
    struct http_stub *node = sequence_start(answers, 3);

    ck_assert_int_eq(
        RUN("lock", "job", "--fence-env", "TOKEN", "--", "sh", "-c", "test \"$TOKEN\" = 4711"),
        CLI_DONE);
    http_stub_stop(node);
}
END_TEST

/* Somebody else holds it, then nobody. */
START_TEST(lock_waits_for_its_turn)
{
    static const struct http_stub_answer answers[] = {
        {NULL, CREATED}, {NULL, OK_JSON "false"}, {NULL, TAKEN}, {NULL, OK_TRUE}};
    struct http_stub *node = sequence_start(answers, 4);

    ck_assert_int_eq(RUN("lock", "job", "--", "true"), CLI_DONE);
    http_stub_stop(node);
}
END_TEST

/* Pitfall 128, on our side of it: nothing runs on without the lock. */
START_TEST(pitfall_128_lost_lock_stops_the_command)
{
    static const struct http_stub_answer answers[] = {{NULL, CREATED}, {NULL, TAKEN}, {NULL, GONE}};
    struct http_stub *node = sequence_start(answers, 3);

    ck_assert_int_eq(RUN("lock", "job", "--ttl", "300ms", "--", "tail", "-f", "/dev/null"),
                     CLI_REFUSED);

    ck_assert_contains(err_text, "job was lost; the command was stopped");
    http_stub_stop(node);
}
END_TEST

START_TEST(lock_that_no_renewal_reaches_counts_as_lost)
{
    static const struct http_stub_answer answers[] = {{NULL, CREATED}, {NULL, TAKEN}, {NULL, ""}};
    struct http_stub *node = sequence_start(answers, 3);

    ck_assert_int_eq(RUN("lock", "job", "--ttl", "300ms", "--", "tail", "-f", "/dev/null"),
                     CLI_REFUSED);
    http_stub_stop(node);
}
END_TEST

START_TEST(lock_tells_why_it_cannot_be_had)
{
    struct http_stub *node =
        node_start("HTTP/1.1 500 No\r\nConnection: close\r\n\r\n"
                   "Invalid Session TTL '1000000', must be between [10s=24h0m0s]");

    ck_assert_int_eq(RUN("lock", "job", "--ttl", "1ms", "--", "true"), CLI_REFUSED);
    ck_assert_contains(err_text, "Invalid Session TTL '1000000'");
    ck_assert_int_eq(RUN("lock", "job"), CLI_USAGE);
    ck_assert_int_eq(RUN("lock", "job", "--fence-env", "A=B", "--", "true"), CLI_USAGE);
    http_stub_stop(node);
}
END_TEST

START_TEST(session_list_is_a_line_each)
{
    struct http_stub *node = node_start(SESSION);

    ck_assert_int_eq(RUN("session", "list"), CLI_DONE);
    ck_assert_str_eq(out_text, "ID\tNAME\tNODE\tTTL\tBEHAVIOR\n"
                               "aa010203-0405-0607-0809-0a0b0c0d0e0f\t-\tn1\t15s\trelease\n");
    ck_assert_int_eq(RUN("session", "info", "x"), CLI_DONE);
    ck_assert_begins(http_stub_request(node), "GET /v1/session/info/x HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(session_info_of_none_says_no)
{
    struct http_stub *node = node_start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]");

    ck_assert_int_eq(RUN("session", "info", "x"), CLI_REFUSED);
    ck_assert_str_eq(err_text, "raftkv: session info: no such session: x\n");
    ck_assert_int_eq(RUN("session", "info", "x", "--json"), CLI_REFUSED);
    ck_assert_str_eq(out_text, "");
    ck_assert_int_eq(RUN("session", "list"), CLI_DONE);
    http_stub_stop(node);
}
END_TEST

START_TEST(session_destroy_asks_for_it)
{
    struct http_stub *node = node_start(OK_TRUE);

    ck_assert_int_eq(RUN("session", "destroy", "x"), CLI_DONE);
    ck_assert_begins(http_stub_request(node), "PUT /v1/session/destroy/x HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(txn_sends_what_it_reads_and_prints_what_comes_back)
{
    struct http_stub *node = node_start(OK_JSON "{\"Results\":[],\"Errors\":null}");

    ck_assert_int_eq(run_words("[]", (const char *const[]){"raftkv", "txn", "-", NULL}), CLI_DONE);
    ck_assert_str_eq(out_text, "{\"Results\":[],\"Errors\":null}\n");
    ck_assert_contains(http_stub_request(node), "\r\n\r\n[]");
    ck_assert_int_eq(RUN("txn", "/no/such/file"), CLI_USAGE);
    http_stub_stop(node);
}
END_TEST

START_TEST(txn_that_was_rolled_back_says_why)
{
    struct http_stub *node = node_start("HTTP/1.1 409 Conflict\r\nConnection: close\r\n"
                                        "X-Raftkv-Outcome: not-done\r\n\r\n{\"Results\":null}");

    ck_assert_int_eq(run_words("[]", (const char *const[]){"raftkv", "txn", "-", NULL}),
                     CLI_REFUSED);
    ck_assert_contains(err_text, "409 {\"Results\":null}");
    ck_assert_contains(err_text, "nothing was written");
    http_stub_stop(node);
}
END_TEST

void lock_tests_add(TCase *tcase)
{
    tcase_add_test(tcase, lock_runs_the_command_with_its_fence_and_passes_its_status_on);
    tcase_add_test(tcase, lock_names_the_variable_of_the_fence);
    tcase_add_test(tcase, lock_waits_for_its_turn);
    tcase_add_test(tcase, pitfall_128_lost_lock_stops_the_command);
    tcase_add_test(tcase, lock_that_no_renewal_reaches_counts_as_lost);
    tcase_add_test(tcase, lock_tells_why_it_cannot_be_had);
    tcase_add_test(tcase, session_list_is_a_line_each);
    tcase_add_test(tcase, session_info_of_none_says_no);
    tcase_add_test(tcase, session_destroy_asks_for_it);
    tcase_add_test(tcase, txn_sends_what_it_reads_and_prints_what_comes_back);
    tcase_add_test(tcase, txn_that_was_rolled_back_says_why);
}
