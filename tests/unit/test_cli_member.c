/* raftkv member and raftkv leader: what is asked of the node, what is shown of the catching up, and
 * when it is over. Part of test_cli. */
#include <string.h>

#include "support/http_stub.h"
#include "support/run.h"
#include "unit/cli_run.h"

#define OK_JSON "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define ADDED   OK_JSON "{\"index\":7,\"members\":[{\"id\":4,\"name\":\"n4\"}]}"
#define MEMBER(id, name, role, more)                                                      \
    "{\"id\":" id ",\"name\":\"" name "\",\"peer_address\":\"h:" id "\",\"role\":\"" role \
    "\",\"seen\":true" more "}"
#define LEARNS(progress) \
    OK_JSON "[" MEMBER("4", "n4", "learner", ",\"progress\":\"" progress "\"") "]"
#define VOTES   OK_JSON "[" MEMBER("1", "n1", "voter", "") "," MEMBER("4", "n4", "voter", "") "]"
#define REFUSED "HTTP/1.1 409 Conflict\r\nX-Raftkv-Outcome: not-done\r\nConnection: close\r\n\r\n"

static struct http_stub *sequence_start(const struct http_stub_answer *answers, uint32_t count)
{
    struct http_stub *stub = http_stub_start_sequence(answers, count);

    snprintf(addr, sizeof(addr), "http://127.0.0.1:%u", http_stub_port(stub));
    return stub;
}

START_TEST(member_add_shows_the_catching_up_until_it_votes)
{
    static const struct http_stub_answer answers[] = {
        {NULL, ADDED},
        {NULL, OK_JSON "[{\"id\":4,\"name\":\"n4\",\"role\":\"learner\",\"seen\":false}]"},
        {NULL, LEARNS("matching 81,244 of 120,310")},
        {NULL, LEARNS("matching 81,244 of 120,310")},
        {NULL, "HTTP/1.1 500 No\r\nConnection: close\r\n\r\nNo cluster leader"},
        {NULL, LEARNS("matching 120,310 of 120,310")},
        {NULL, VOTES}};
    struct http_stub *node = sequence_start(answers, 7);

    ck_assert_int_eq(RUN("member", "add", "n4", "h:4"), CLI_DONE);

    ck_assert_str_eq(out_text, "waiting for n4 to come up\n"
                               "matching 81,244 of 120,310\n"
                               "waiting: 500 No cluster leader\n"
                               "matching 120,310 of 120,310\n"
                               "n4 votes\n");
    ck_assert_begins(http_stub_request(node), "GET /v1/cluster/members?consistent HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(member_add_of_a_learner_does_not_wait)
{
    struct http_stub *node = node_start(ADDED);

    ck_assert_int_eq(RUN("member", "add", "n4", "h:4", "--learner"), CLI_DONE);

    ck_assert_str_eq(out_text, "");
    ck_assert_begins(http_stub_request(node), "POST /v1/cluster/members HTTP/1.1\r\n");
    ck_assert_contains(http_stub_request(node),
                       "\r\n\r\n{\"name\":\"n4\",\"peer_address\":\"h:4\",\"learner\":true}");
    http_stub_stop(node);
}
END_TEST

START_TEST(member_add_as_json_prints_the_answer_alone)
{
    static const struct http_stub_answer answers[] = {
        {NULL, ADDED}, {NULL, LEARNS("matching 1 of 2")}, {NULL, VOTES}};
    struct http_stub *node = sequence_start(answers, 3);

    ck_assert_int_eq(RUN("member", "add", "n4", "h:4", "--json"), CLI_DONE);

    ck_assert_str_eq(out_text, "{\"index\":7,\"members\":[{\"id\":4,\"name\":\"n4\"}]}\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(member_add_gives_up_after_its_timeout)
{
    static const struct http_stub_answer answers[] = {{NULL, ADDED},
                                                      {NULL, LEARNS("matching 1 of 2")}};
    struct http_stub *node = sequence_start(answers, 2);

    ck_assert_int_eq(RUN("member", "add", "n4", "h:4", "--timeout=600ms"), CLI_REFUSED);

    ck_assert_str_eq(out_text, "matching 1 of 2\n");
    ck_assert_contains(err_text, "n4 does not vote after 600 ms (matching 1 of 2)");
    http_stub_stop(node);
}
END_TEST

/* Whoever removes the newcomer gives the addition up. */
START_TEST(member_add_notices_a_removal)
{
    static const struct http_stub_answer answers[] = {
        {NULL, ADDED}, {NULL, OK_JSON "[" MEMBER("1", "n1", "voter", "") "]"}};
    struct http_stub *node = sequence_start(answers, 2);

    ck_assert_int_eq(RUN("member", "add", "n4", "h:4"), CLI_REFUSED);

    ck_assert_contains(err_text, "n4 was removed before it voted");
    http_stub_stop(node);
}
END_TEST

START_TEST(member_add_of_an_answer_without_a_member_says_no)
{
    struct http_stub *node = node_start(OK_JSON "[]");

    ck_assert_int_eq(RUN("member", "add", "n4", "h:4"), CLI_REFUSED);

    ck_assert_contains(err_text, "does not name the new member");
    http_stub_stop(node);
}
END_TEST

/* A lost disk: the newcomer has the name of whom it replaces, and only ids tell them apart; in a
 * joint configuration the old one still counts (diss. 4.3). */
START_TEST(member_replace_waits_until_the_old_one_is_out)
{
    static const struct http_stub_answer answers[] = {
        {NULL, ADDED},
        {NULL, OK_JSON "[" MEMBER("3", "n4", "voter", "") "," MEMBER(
                   "4", "n4", "learner", ",\"progress\":\"matching 1 of 2\"") "]"},
        {NULL, OK_JSON "[" MEMBER("3", "n4", "leaving", "") "," MEMBER("4", "n4", "voter", "") "]"},
        {NULL, "HTTP/1.1 500 No\r\nConnection: close\r\n\r\nnot yet"},
        {NULL, VOTES}};
    struct http_stub *node = sequence_start(answers, 5);

    ck_assert_int_eq(RUN("member", "replace", "n4", "n4", "h:4"), CLI_DONE);

    ck_assert_str_eq(out_text, "matching 1 of 2\nwaiting: 500 not yet\nn4 votes\n");
    http_stub_stop(node);
}
END_TEST

/* Every change: what is asked, and that the server's no is passed on. */
static const struct {
    const char *words[6];
    const char *request;
    const char *body;
} changes[] = {
    {{"member", "add", "n4", "h:4"},
     "POST /v1/cluster/members HTTP/1.1\r\n",
     "{\"name\":\"n4\",\"peer_address\":\"h:4\",\"learner\":false}"},
    {{"member", "promote", "n 4"},
     "PATCH /v1/cluster/members/n%204 HTTP/1.1\r\n",
     "{\"role\":\"voter\"}"},
    {{"member", "remove", "n4"}, "DELETE /v1/cluster/members/n4 HTTP/1.1\r\n", ""},
    {{"member", "replace", "n3", "n4", "h:4"},
     "POST /v1/cluster/members/replace HTTP/1.1\r\n",
     "{\"old\":\"n3\",\"name\":\"n4\",\"peer_address\":\"h:4\"}"},
    {{"leader", "transfer"}, "POST /v1/operator/raft/transfer-leader HTTP/1.1\r\n", ""},
    {{"leader", "transfer", "n2&x"},
     "POST /v1/operator/raft/transfer-leader?id=n2%26x HTTP/1.1\r\n",
     ""},
};

START_TEST(change_passes_the_no_of_the_server_on)
{
    const char *words[8] = {"raftkv"};
    char body[128];
    struct http_stub *node = node_start(REFUSED "a change is already in flight");
    memcpy(words + 1, changes[_i].words, sizeof(changes[_i].words));

    ck_assert_int_eq(run_words("", words), CLI_REFUSED);

    snprintf(body, sizeof(body), "\r\n\r\n%s", changes[_i].body);
    ck_assert_begins(http_stub_request(node), changes[_i].request);
    ck_assert_str_eq(strstr(http_stub_request(node), "\r\n\r\n"), body);
    ck_assert_contains(err_text, "409 a change is already in flight (nothing was written)");
    ck_assert_str_eq(out_text, "");
    http_stub_stop(node);
}
END_TEST

START_TEST(change_is_silent_or_prints_the_answer_as_json)
{
    struct http_stub *node = node_start(OK_JSON "{\"Success\":true}");

    ck_assert_int_eq(RUN("leader", "transfer", "n2"), CLI_DONE);
    ck_assert_str_eq(out_text, "");
    ck_assert_int_eq(RUN("leader", "transfer", "n2", "--json"), CLI_DONE);
    ck_assert_str_eq(out_text, "{\"Success\":true}\n");
    ck_assert_int_eq(RUN("member", "promote", "n4", "--json"), CLI_DONE);
    ck_assert_str_eq(out_text, "{\"Success\":true}\n");
    ck_assert_int_eq(RUN("member", "remove", "n4"), CLI_DONE);
    ck_assert_str_eq(out_text, "");
    http_stub_stop(node);
}
END_TEST

START_TEST(member_list_shows_what_the_leader_sees)
{
    struct http_stub *node = node_start(
        OK_JSON "[{\"id\":9007199254740991,\"name\":\"n1\",\"peer_address\":\"h:1\","
                "\"client_address\":\"c:1\",\"role\":\"voter\",\"seen\":true},"
                "{\"id\":4,\"name\":\"n4\",\"peer_address\":\"h:4\",\"client_address\":\"\","
                "\"role\":\"learner\",\"seen\":true,\"progress\":\"matching 1 of 2\"}]");

    ck_assert_int_eq(RUN("member", "list"), CLI_DONE);

    ck_assert_str_eq(out_text,
                     "NODE  ID                ROLE     PEER ADDRESS  CLIENT ADDRESS  PROGRESS\n"
                     "n1    9007199254740991  voter    h:1           c:1             -\n"
                     "n4    4                 learner  h:4           -               "
                     "matching 1 of 2\n");
    ck_assert_begins(http_stub_request(node), "GET /v1/cluster/members?consistent HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(member_list_takes_any_nodes_word_when_stale)
{
    struct http_stub *node = node_start(OK_JSON "[]");

    ck_assert_int_eq(RUN("member", "list", "--stale", "--json"), CLI_DONE);

    ck_assert_str_eq(out_text, "[]\n");
    ck_assert_begins(http_stub_request(node), "GET /v1/cluster/members HTTP/1.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(member_list_without_a_leader_says_no)
{
    struct http_stub *node = node_start("HTTP/1.1 500 No\r\nX-Raftkv-Outcome: not-done\r\n"
                                        "Connection: close\r\n\r\nNo cluster leader");

    ck_assert_int_eq(RUN("member", "list"), CLI_REFUSED);

    ck_assert_contains(err_text, "member list: http://127.0.0.1:");
    ck_assert_contains(err_text, "500 No cluster leader\n");
    http_stub_stop(node);
}
END_TEST

void member_tests_add(TCase *tcase)
{
    tcase_add_test(tcase, member_add_shows_the_catching_up_until_it_votes);
    tcase_add_test(tcase, member_add_of_a_learner_does_not_wait);
    tcase_add_test(tcase, member_add_as_json_prints_the_answer_alone);
    tcase_add_test(tcase, member_add_gives_up_after_its_timeout);
    tcase_add_test(tcase, member_add_notices_a_removal);
    tcase_add_test(tcase, member_add_of_an_answer_without_a_member_says_no);
    tcase_add_test(tcase, member_replace_waits_until_the_old_one_is_out);
    tcase_add_loop_test(tcase, change_passes_the_no_of_the_server_on, 0,
                        (int)(sizeof(changes) / sizeof(changes[0])));
    tcase_add_test(tcase, change_is_silent_or_prints_the_answer_as_json);
    tcase_add_test(tcase, member_list_shows_what_the_leader_sees);
    tcase_add_test(tcase, member_list_takes_any_nodes_word_when_stale);
    tcase_add_test(tcase, member_list_without_a_leader_says_no);
}
