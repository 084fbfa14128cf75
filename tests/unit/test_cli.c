/* raftkv from its command line to the bytes on the wire and back: what is asked, what is printed,
 * and the exit status (0 done, 1 the server said no, 2 usage; design.md 1). */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "support/http_stub.h"
#include "support/run.h"
#include "unit/cli_run.h"

START_TEST(get_prints_the_bare_bytes)
{
    struct http_stub *node = node_start("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na\nb\r\t");

    ck_assert_int_eq(RUN("kv", "get", "a/b"), CLI_DONE);

    ck_assert_uint_eq(out_size, 5);
    ck_assert_int_eq(memcmp(out_text, "a\nb\r\t", 5), 0);
    ck_assert_begins(http_stub_request(node), "GET /v1/kv/a/b?raw HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(get_of_a_missing_key_says_no)
{
    struct http_stub *node = node_start("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");

    ck_assert_int_eq(RUN("kv", "get", "a"), CLI_REFUSED);

    ck_assert_uint_eq(out_size, 0);
    ck_assert_contains(err_text, "no such key: a");
    http_stub_stop(node);
}
END_TEST

START_TEST(get_as_json_prints_the_answer)
{
    struct http_stub *node =
        node_start("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n[{\"Key\":\"a\"}]");

    ck_assert_int_eq(RUN("--json", "kv", "get", "a", "--consistent"), CLI_DONE);

    ck_assert_str_eq(out_text, "[{\"Key\":\"a\"}]\n");
    ck_assert_begins(http_stub_request(node), "GET /v1/kv/a?consistent HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

/* A key is bytes and never a path: dots, blanks and doubled slashes go through (contract 1.11). */
static const struct {
    const char *key;
    const char *wire;
} spelled[] = {
    {"a/../b", "a/../b"},         {"a//b/", "a//b/"},           {"a b+c", "a%20b%2Bc"},
    {"50%?x#y", "50%25%3Fx%23y"}, {"\xc3\xa7", "%C3%A7"},       {"\xff\n", "%FF%0A"},
    {"A-Z._~09", "A-Z._~09"},     {"a&b=c;d", "a%26b%3Dc%3Bd"},
};

START_TEST(key_goes_out_percent_encoded)
{
    char expected[128];
    struct http_stub *node = node_start(OK_TRUE);

    ck_assert_int_eq(RUN("kv", "put", spelled[_i].key, "v"), CLI_DONE);

    snprintf(expected, sizeof(expected), "PUT /v1/kv/%s HTTP/1.1\r\n", spelled[_i].wire);
    ck_assert_begins(http_stub_request(node), expected);
    http_stub_stop(node);
}
END_TEST

START_TEST(put_sends_value_and_conditions)
{
    struct http_stub *node = node_start(OK_TRUE);

    ck_assert_int_eq(RUN("kv", "put", "a", "v1", "--cas=7", "--flags", "18446744073709551615"),
                     CLI_DONE);

    ck_assert_begins(http_stub_request(node),
                     "PUT /v1/kv/a?cas=7&flags=18446744073709551615 HTTP/1.1\r\n");
    ck_assert_contains(http_stub_request(node), "\r\n\r\nv1");
    ck_assert_uint_eq(out_size, 0);
    http_stub_stop(node);
}
END_TEST

START_TEST(put_reads_standard_input)
{
    struct http_stub *node = node_start(OK_TRUE);
    const char *const words[] = {"raftkv", "kv", "put", "a", "-", NULL};

    ck_assert_int_eq(run_words("from a pipe", words), CLI_DONE);

    ck_assert_contains(http_stub_request(node), "\r\n\r\nfrom a pipe");
    http_stub_stop(node);
}
END_TEST

START_TEST(put_reads_a_file)
{
    struct http_stub *node = node_start(OK_TRUE);
    char name[] = "/tmp/test_cli-XXXXXX";
    char operand[64];
    const int descriptor = mkstemp(name);
    FILE *file = fdopen(descriptor, "w");
    fputs("from a file", file);
    fclose(file);
    snprintf(operand, sizeof(operand), "@%s", name);

    ck_assert_int_eq(RUN("kv", "put", "a", operand), CLI_DONE);

    ck_assert_contains(http_stub_request(node), "\r\n\r\nfrom a file");
    remove(name);
    http_stub_stop(node);
}
END_TEST

START_TEST(put_of_a_missing_file_sends_nothing)
{
    struct http_stub *node = node_start(OK_TRUE);

    ck_assert_int_eq(RUN("kv", "put", "a", "@/nonexistent"), CLI_USAGE);

    ck_assert_contains(err_text, "/nonexistent: No such file");
    ck_assert_str_eq(http_stub_request(node), "");
    http_stub_stop(node);
}
END_TEST

START_TEST(put_without_a_value_sends_an_empty_one)
{
    struct http_stub *node = node_start(OK_TRUE);

    ck_assert_int_eq(RUN("kv", "put", "a"), CLI_DONE);

    ck_assert_contains(http_stub_request(node), "Content-Length: 0\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(failed_condition_says_no)
{
    struct http_stub *node = node_start("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse");

    ck_assert_int_eq(RUN("kv", "put", "a", "v", "--cas", "3"), CLI_REFUSED);

    ck_assert_contains(err_text, "the modify index of a is not 3");
    http_stub_stop(node);
}
END_TEST

START_TEST(delete_takes_its_flags)
{
    struct http_stub *node = node_start(OK_TRUE);

    ck_assert_int_eq(RUN("kv", "delete", "a", "--cas=1"), CLI_DONE);
    ck_assert_begins(http_stub_request(node), "DELETE /v1/kv/a?cas=1 HTTP/1.1\r\n");
    ck_assert_int_eq(RUN("kv", "delete", "a/", "--recurse"), CLI_DONE);
    ck_assert_begins(http_stub_request(node), "DELETE /v1/kv/a/?recurse HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(list_prints_a_key_a_line)
{
    struct http_stub *node =
        node_start("HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n[\"a/b\",\"a/\\u00e7\",\"c\"]");

    ck_assert_int_eq(RUN("kv", "list", "a/", "--stale"), CLI_DONE);

    ck_assert_str_eq(out_text, "a/b\na/\xc3\xa7\nc\n");
    ck_assert_begins(http_stub_request(node), "GET /v1/kv/a/?keys&stale HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(list_of_nothing_is_empty_and_done)
{
    struct http_stub *node = node_start("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");

    ck_assert_int_eq(RUN("kv", "list"), CLI_DONE);
    ck_assert_str_eq(out_text, "");
    ck_assert_int_eq(RUN("kv", "list", "--json"), CLI_DONE);
    ck_assert_str_eq(out_text, "[]\n");
    http_stub_stop(node);
}
END_TEST

/* F11: only a write that was never appended may be repeated blindly, so both are told apart. */
START_TEST(refused_write_tells_its_outcome)
{
    struct http_stub *node = node_start("HTTP/1.1 500 Internal Server Error\r\n"
                                        "X-Raftkv-Outcome: not-done\r\n"
                                        "Content-Length: 17\r\n\r\nNo cluster leader");
    ck_assert_int_eq(RUN("kv", "put", "a", "v"), CLI_REFUSED);
    ck_assert_contains(err_text, "500 No cluster leader (nothing was written)");
    http_stub_stop(node);

    node = node_start("HTTP/1.1 500 Internal Server Error\r\nx-raftkv-outcome: unknown\r\n"
                      "Content-Length: 0\r\n\r\n");
    ck_assert_int_eq(RUN("kv", "put", "a", "v"), CLI_REFUSED);
    ck_assert_contains(err_text, "outcome unknown");
    http_stub_stop(node);
}
END_TEST

START_TEST(write_without_an_answer_is_unknown)
{
    struct http_stub *node = node_start("");

    ck_assert_int_eq(RUN("kv", "put", "a", "v"), CLI_REFUSED);

    ck_assert_contains(err_text, "outcome unknown");
    http_stub_stop(node);
}
END_TEST

START_TEST(write_that_reached_nobody_was_not_done)
{
    snprintf(addr, sizeof(addr), "127.0.0.1:%u", http_stub_port_unused());

    ck_assert_int_eq(RUN("kv", "put", "a", "v"), CLI_REFUSED);

    ck_assert_contains(err_text, "(nothing was written)");
}
END_TEST

START_TEST(words_of_a_server_are_safe_for_a_terminal)
{
    struct http_stub *node =
        node_start("HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n\033[2Jbad\r\n");

    ck_assert_int_eq(RUN("kv", "get", "a"), CLI_REFUSED);

    ck_assert_contains(err_text, "500 ?[2Jbad");
    http_stub_stop(node);
}
END_TEST

START_TEST(flag_names_the_node_over_the_environment)
{
    struct http_stub *node = node_start(OK_TRUE);
    char flag[64];
    snprintf(flag, sizeof(flag), "127.0.0.1:%u/", http_stub_port(node));
    snprintf(addr, sizeof(addr), "http://127.0.0.1:1");

    ck_assert_int_eq(RUN("kv", "get", "a", "--addr", flag), CLI_DONE);

    http_stub_stop(node);
}
END_TEST

static const char *const usages[][5] = {
    {"", NULL},
    {"kv", NULL},
    {"kv", "got", "a", NULL},
    {"watch", "a", NULL},
    {"kv", "get", NULL},
    {"kv", "get", "", NULL},
    {"kv", "get", "a", "b", NULL},
    {"kv", "put", "a", "b", "c"},
    {"kv", "get", "a", "--cas=1", NULL},
    {"kv", "put", "a", "--cas", NULL},
    {"kv", "put", "a", "--cas=-1", NULL},
    {"kv", "put", "a", "--cas=18446744073709551616", NULL},
    {"kv", "get", "a", "--json=1", NULL},
    {"kv", "get", "a", "-x", NULL},
    {"kv", "get", "a", "--nope", NULL},
    {"kv", "get", "--stale", "--consistent", "a"},
    {"kv", "delete", "--recurse", "--cas=1", "a"},
    {"kv", "delete", "", NULL},
    {"kv", "put", "a", "v", "--ttl=0s"},
    {"kv", "list", "--limit=x", NULL},
    {"kv", "list", "--ttl=1s", NULL},
    {"kv", "export", "a", "b", NULL},
    {"kv", "import", "a", "b", NULL},
    {"member", NULL},
    {"member", "grow", NULL},
    {"member", "add", "n4", NULL},
    {"member", "add", "n4", "", NULL},
    {"member", "add", "n4", "h:4", "--timeout=5"},
    {"member", "add", "n4", "h:4", "--timeout=0s"},
    {"member", "add", "n4", "h:4", "--timeout=-1s"},
    {"member", "list", "n4", NULL},
    {"member", "list", "--consistent", NULL},
    {"member", "promote", "", NULL},
    {"member", "remove", NULL},
    {"member", "remove", "n4", "--learner", NULL},
    {"member", "replace", "n3", "n4", NULL},
    {"leader", NULL},
    {"leader", "transfer", "", NULL},
    {"leader", "transfer", "n1", "n2", NULL},
    {"status", "now", NULL},
    {"status", "--addr=ftp://x", NULL},
    {"status", "--addr=http://h/v1", NULL},
    {"status", "--addr=http://a b", NULL},
    {"status", "--addr=http://", NULL},
};

START_TEST(wrong_usage_is_two_and_one_line)
{
    const char *words[8] = {"raftkv"};
    memcpy(words + 1, usages[_i], sizeof(usages[_i]));
    snprintf(addr, sizeof(addr), "127.0.0.1:%u", http_stub_port_unused());

    ck_assert_int_eq(run_words("", words), CLI_USAGE);

    ck_assert_uint_eq(out_size, 0);
    ck_assert_ptr_eq(strchr(err_text, '\n'), err_text + strlen(err_text) - 1);
}
END_TEST

START_TEST(words_behind_two_dashes_are_words)
{
    struct http_stub *node = node_start(OK_TRUE);

    ck_assert_int_eq(RUN("kv", "put", "--", "--key", "--value"), CLI_DONE);

    ck_assert_begins(http_stub_request(node), "PUT /v1/kv/--key HTTP/1.1\r\n");
    ck_assert_contains(http_stub_request(node), "\r\n\r\n--value");
    http_stub_stop(node);
}
END_TEST

START_TEST(help_and_version_are_done)
{
    ck_assert_int_eq(RUN("--help"), CLI_DONE);
    ck_assert_contains(out_text, "raftkv kv put KEY");
    ck_assert_contains(out_text, "raftkv member add NODE_ID PEER_ADDR [--learner]");
    ck_assert_contains(out_text, "raftkv leader transfer [NODE_ID]");
    ck_assert_int_eq(RUN("--version"), CLI_DONE);
    ck_assert_begins(out_text, "raftkv 0.");
}
END_TEST

START_TEST(output_that_cannot_be_written_is_not_done)
{
    struct http_stub *node = node_start("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nvalue");
    char words[3][8] = {"raftkv", "kv", "get"};
    char *argv[] = {words[0], words[1], words[2], (char[]){"a"}, NULL};
    FILE *full = fopen("/dev/full", "w");
    FILE *null = fopen("/dev/null", "w");
    struct cli cli = {.in = stdin, .out = full, .err = null};

    ck_assert_int_eq(cli_run(&cli, addr, 4, argv), CLI_REFUSED);

    fclose(full);
    fclose(null);
    http_stub_stop(node);
}
END_TEST

/* Two members: the one that is asked leads, the other is `other`. */
static struct http_stub *cluster_start(struct http_stub_answer answers[2], uint16_t other_port)
{
    static char members[2048];
    static char body[1536];
    static const char status[] =
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"node\":\"n1\",\"id\":18446744073709551615,"
        "\"role\":\"leader\",\"term\":3,\"commit_index\":120,\"last_applied\":119}";

    answers[0] = (struct http_stub_answer){"/v1/cluster/members", members};
    answers[1] = (struct http_stub_answer){"/v1/status/node", status};
    struct http_stub *stub = http_stub_start(answers, 2);
    const uint16_t port = http_stub_port(stub);
    snprintf(body, sizeof(body),
             "[{\"id\":18446744073709551615,\"name\":\"n1\",\"peer_address\":\"h:1\","
             "\"client_address\":\"127.0.0.1:%u\",\"role\":\"voter\",\"seen\":true},"
             "{\"id\":2,\"name\":\"n2\",\"peer_address\":\"h:2\","
             "\"client_address\":\"127.0.0.1:%u\",\"role\":\"learner\",\"seen\":true}]",
             port, other_port != 0 ? other_port : port);
    snprintf(members, sizeof(members), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    snprintf(addr, sizeof(addr), "http://127.0.0.1:%u", port);
    return stub;
}

START_TEST(status_shows_every_member)
{
    static const struct http_stub_answer other[] = {
        {"/v1/status/node", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"node\":\"n2\",\"role\":"
                            "\"follower\",\"term\":3,\"commit_index\":110,\"last_applied\":100}"}};
    struct http_stub_answer answers[2];
    struct http_stub *n2 = http_stub_start(other, 1);
    struct http_stub *n1 = cluster_start(answers, http_stub_port(n2));
    char expected[512];

    ck_assert_int_eq(RUN("status"), CLI_DONE);

    snprintf(expected, sizeof(expected),
             "NODE  ROLE      TERM  COMMIT  APPLIED  LAG  ADDRESS%*s  NOTE\n"
             "n1    leader    3     120     119      1    127.0.0.1:%-5u  voter\n"
             "n2    follower  3     110     100      20   127.0.0.1:%-5u  learner\n",
             8, "", http_stub_port(n1), http_stub_port(n2));
    ck_assert_str_eq(out_text, expected);
    http_stub_stop(n1);
    http_stub_stop(n2);
}
END_TEST

START_TEST(status_says_who_cannot_be_reached)
{
    struct http_stub_answer answers[2];
    struct http_stub *n1 = cluster_start(answers, http_stub_port_unused());

    ck_assert_int_eq(RUN("status"), CLI_DONE);
    ck_assert_contains(out_text, "n2    unreachable  -     -       -        -    127.0.0.1:");
    ck_assert_int_eq(RUN("status", "--json"), CLI_DONE);
    ck_assert_contains(out_text, "\"reachable\": false");
    ck_assert_contains(out_text, "\"lag\": 1");
    http_stub_stop(n1);
}
END_TEST

START_TEST(stages_are_a_table_of_what_came)
{
    static const struct http_stub_answer answers[] = {
        {"/v1/status/stages",
         "HTTP/1.1 200 OK\r\nConnection: "
         "close\r\n\r\n{\"node\":\"n1\",\"role\":\"leader\",\"recent\":{"
         "\"span_ms\":42500,\"busy_per_mille\":{\"node\":123,\"disk\":4},\"times_us\":{\"commit\":{"
         "\"count\":7,\"mean\":300,\"p50\":290,\"p90\":400,\"p99\":500,\"p999\":600,\"max\":700},"
         "\"apply\":{\"count\":0}},\"sizes\":{}}}"}};
    struct http_stub *stub = http_stub_start(answers, 1);
    snprintf(addr, sizeof(addr), "http://127.0.0.1:%u", http_stub_port(stub));

    ck_assert_int_eq(RUN("stages"), CLI_DONE);

    ck_assert_str_eq(out_text, "n1, leader, the last 42 s\nbusy: node 12.3 % disk 0.4 %\n\n"
                               "MICROSECONDS  COUNT  MEAN  P50  P90  P99  P99.9  MAX\n"
                               "commit        7      300   290  400  500  600    700\n\n"
                               "SIZES  COUNT  MEAN  P50  P90  P99  P99.9  MAX\n");
    http_stub_stop(stub);
}
END_TEST

/* Two nodes that advertise one address (a default of loopback, say) must not look healthy. */
START_TEST(status_notices_an_address_of_another_node)
{
    struct http_stub_answer answers[2];
    struct http_stub *n1 = cluster_start(answers, 0);

    ck_assert_int_eq(RUN("status"), CLI_DONE);

    ck_assert_contains(out_text, "n2    unknown");
    ck_assert_contains(out_text, "another node answers there");
    http_stub_stop(n1);
}
END_TEST

/* The server lists its members by their random ids. */
START_TEST(status_lists_the_members_by_name)
{
    static const char body[] = "[{\"id\":1,\"name\":\"n3\"},{\"id\":2,\"name\":\"n1\"},"
                               "{\"id\":3,\"name\":\"n2\"}]";
    char members[256];
    const struct http_stub_answer answers[] = {{"/v1/cluster/members", members}};
    snprintf(members, sizeof(members), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof(body) - 1, body);
    struct http_stub *stub = http_stub_start(answers, 1);
    snprintf(addr, sizeof(addr), "http://127.0.0.1:%u", http_stub_port(stub));

    ck_assert_int_eq(RUN("status"), CLI_DONE);
    ck_assert_contains(out_text, "\nn1 ");
    ck_assert_contains(strstr(out_text, "\nn1 "), "\nn2 ");
    ck_assert_contains(strstr(out_text, "\nn2 "), "\nn3 ");
    ck_assert_int_eq(RUN("status", "--json"), CLI_DONE);
    ck_assert_contains(out_text, "\"n1\"");
    ck_assert_contains(strstr(out_text, "\"n1\""), "\"n2\"");
    ck_assert_contains(strstr(out_text, "\"n2\""), "\"n3\"");
    http_stub_stop(stub);
}
END_TEST

START_TEST(status_of_a_node_without_a_cluster_is_its_own)
{
    static const struct http_stub_answer answers[] = {
        {"/v1/cluster/members", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"},
        {"/v1/status/node", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                            "{\"node\":\"n7\",\"role\":\"forming\",\"term\":0}"}};
    struct http_stub *stub = http_stub_start(answers, 2);
    snprintf(addr, sizeof(addr), "http://127.0.0.1:%u", http_stub_port(stub));

    ck_assert_int_eq(RUN("status"), CLI_DONE);

    ck_assert_contains(out_text, "n7    forming");
    http_stub_stop(stub);
}
END_TEST

START_TEST(status_of_no_node_says_no)
{
    snprintf(addr, sizeof(addr), "127.0.0.1:%u", http_stub_port_unused());

    ck_assert_int_eq(RUN("status"), CLI_REFUSED);

    ck_assert_contains(err_text, "raftkv: status: http://127.0.0.1:");
}
END_TEST

static void kv_tests_add(TCase *tcase)
{
    tcase_add_test(tcase, get_prints_the_bare_bytes);
    tcase_add_test(tcase, get_of_a_missing_key_says_no);
    tcase_add_test(tcase, get_as_json_prints_the_answer);
    tcase_add_loop_test(tcase, key_goes_out_percent_encoded, 0,
                        (int)(sizeof(spelled) / sizeof(spelled[0])));
    tcase_add_test(tcase, put_sends_value_and_conditions);
    tcase_add_test(tcase, put_reads_standard_input);
    tcase_add_test(tcase, put_reads_a_file);
    tcase_add_test(tcase, put_of_a_missing_file_sends_nothing);
    tcase_add_test(tcase, put_without_a_value_sends_an_empty_one);
    tcase_add_test(tcase, failed_condition_says_no);
    tcase_add_test(tcase, delete_takes_its_flags);
    tcase_add_test(tcase, list_prints_a_key_a_line);
    tcase_add_test(tcase, list_of_nothing_is_empty_and_done);
    tcase_add_test(tcase, refused_write_tells_its_outcome);
    tcase_add_test(tcase, write_without_an_answer_is_unknown);
    tcase_add_test(tcase, write_that_reached_nobody_was_not_done);
    tcase_add_test(tcase, words_of_a_server_are_safe_for_a_terminal);
}

static void other_tests_add(TCase *tcase)
{
    tcase_add_test(tcase, flag_names_the_node_over_the_environment);
    tcase_add_loop_test(tcase, wrong_usage_is_two_and_one_line, 0,
                        (int)(sizeof(usages) / sizeof(usages[0])));
    tcase_add_test(tcase, words_behind_two_dashes_are_words);
    tcase_add_test(tcase, help_and_version_are_done);
    tcase_add_test(tcase, output_that_cannot_be_written_is_not_done);
    tcase_add_test(tcase, status_shows_every_member);
    tcase_add_test(tcase, status_says_who_cannot_be_reached);
    tcase_add_test(tcase, stages_are_a_table_of_what_came);
    tcase_add_test(tcase, status_notices_an_address_of_another_node);
    tcase_add_test(tcase, status_lists_the_members_by_name);
    tcase_add_test(tcase, status_of_a_node_without_a_cluster_is_its_own);
    tcase_add_test(tcase, status_of_no_node_says_no);
}

int main(void)
{
    TCase *tcase = tcase_create("cli");

    tcase_set_timeout(tcase, 30);
    kv_tests_add(tcase);
    other_tests_add(tcase);
    kv_file_tests_add(tcase);
    member_tests_add(tcase);
    lock_tests_add(tcase);
    watch_tests_add(tcase);
    return run_suite("cli", tcase);
}
