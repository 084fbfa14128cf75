/* What an administrator asks for, on its way between two nodes: each request is answered exactly
 * once, what was not done is not called done, and nobody waits past their time. */
#include "node_fixture.h"

#include <string.h>

#include "base/heap.h"
#include "support/run.h"

static struct http_exchange exchange;

static void close_all(void)
{
    node_members_stop(fixture.node);
    node_flush_done(fixture.node);
    fixture_exchange_done(&exchange);
    fixture_close();
}

static void open_all(void)
{
    fixture_open();
    exchange = (struct http_exchange){.answers = 0};
    rk_buf_init(&exchange.body, 0);
}

static struct rk_bytes text_bytes(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

/* n2 passes on what an administrator asked it for. */
static void ask(const char *method, const char *target, const char *content)
{
    struct wire_admin admin = {
        .envelope = fixture_envelope(fixture_peer("n2")),
        .target = text_bytes(target),
        .body = text_bytes(content),
    };
    struct rk_buf body;

    memcpy(admin.method, method, strlen(method) + 1);
    rk_buf_init(&body, 1 << 16);
    wire_encode_admin(&admin, &body);
    fixture_request(&exchange, "/raft/admin", &body);
    exchange.request.body = (struct rk_bytes){0};
    rk_buf_done(&body);
}

static void read_answer(struct wire_admin_answer *answer)
{
    const char *reason = NULL;

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_uint_eq(exchange.status, 200);
    ck_assert_int_eq(wire_decode_admin_answer(rk_buf_bytes(&exchange.body), answer, &reason),
                     RK_OK);
}

static void follow_n2(void)
{
    struct http_exchange heartbeat;
    const struct raft_message message = {
        .type = RAFT_HEARTBEAT_REQUEST, .term = 3, .heartbeat_request = {.round = 1}};

    fixture_receive(&heartbeat, "n2", &message);
    fixture_persist();
    ck_assert_uint_eq(heartbeat.answers, 1);
    fixture_exchange_done(&heartbeat);
}

START_TEST(bytes_that_are_no_request_are_answered_with_400)
{
    static const char *const bodies[] = {"", "{}\n", "{\"type\":\"admin\"}\n",
                                         "/v1/cluster/members"};
    struct rk_buf body;

    fixture_lead();
    rk_buf_init(&body, 4096);
    rk_buf_append_text(&body, bodies[_i]);
    fixture_request(&exchange, "/raft/admin", &body);

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_uint_eq(exchange.status, 400);
    rk_buf_done(&body);
}
END_TEST

/* An endpoint that is a read or a write is not served by this door: nothing of it was done, and the
 * empty 200 that was made of it said that it was. */
START_TEST(request_that_is_no_administrators_is_refused_and_not_done)
{
    static const char *const asked[][2] = {
        {"DELETE", "/v1/kv/k"}, {"GET", "/v1/kv/k"}, {"GET", "/v1/kv/?recurse"}};

    fixture_lead();
    fixture.node->api_options.key_size_max = RK_KEY_SIZE_MAX;
    const raft_index last = fixture.node->view.last.index;
    ask(asked[_i][0], asked[_i][1], "");

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_uint_eq(exchange.status, 400);
    ck_assert_uint_eq(fixture.node->view.last.index, last);
}
END_TEST

START_TEST(hostile_target_or_body_is_answered_as_by_the_client_listener)
{
    static const struct {
        const char *method;
        const char *target;
        const char *body;
        uint32_t http_status;
    } asked[] = {
        {"GET", "", "", 400},
        {"GET", "?", "", 400},
        {"POST", "/v1/cluster/members", "", 400},
        {"POST", "/v1/cluster/members", "[[[[", 400},
        {"POST", "/v1/cluster/members?cas=-1", "{}", 400},
        {"PATCH", "/v1/cluster/members/%zz", "{}", 400},
        {"DELETE", "/v1/cluster/members/%00", "", 400},
        {"DELETE", "/v1/cluster/members/n9", "", 404},
        {"POST", "/v1/operator/raft/transfer-leader?id=n9", "", 500},
        {"DELETE", "/v1/nothing", "", 404},
        {"PUT", "/v1/cluster/members", "", 405},
        {"OPTIONS", "/v1/cluster/members", "", 405},
    };
    struct wire_admin_answer answer;

    fixture_lead();
    fixture.node->api_options.key_size_max = RK_KEY_SIZE_MAX;
    ask(asked[_i].method, asked[_i].target, asked[_i].body);
    read_answer(&answer);
    ck_assert_int_eq(answer.status, RK_OK);
    ck_assert_uint_eq(answer.http_status, asked[_i].http_status);
    ck_assert(!answer.is_unknown);
}
END_TEST

/* It does not ask a third: two that each take the other for the leader would ask in a circle. */
START_TEST(request_is_given_back_by_one_who_does_not_lead)
{
    struct wire_admin_answer answer;

    fixture_form();
    follow_n2();
    ask("GET", "/v1/operator/raft/configuration", "");
    read_answer(&answer);
    ck_assert_int_eq(answer.status, RK_NOT_LEADER);
    ck_assert_ptr_null(fixture_post_to("/raft/admin", "n2"));
    ck_assert_ptr_null(fixture_post_to("/raft/admin", "n3"));
}
END_TEST

static void begin_change(void)
{
    fixture_lead();
    fixture.node->api_options.key_size_max = RK_KEY_SIZE_MAX;
    ask("POST", "/v1/cluster/members",
        "{\"name\":\"n4\",\"peer_address\":\"127.0.0.1:8304\",\"learner\":true}");
    ck_assert_uint_eq(exchange.answers, 0);
    ck_assert_ptr_nonnull(fixture.node->change_job);
}

START_TEST(change_is_answered_once_when_it_is_committed)
{
    struct wire_admin_answer answer;

    begin_change();
    node_members_turn(fixture.node);
    ck_assert_uint_eq(exchange.answers, 0);
    fixture.node->view.is_config_committed = true;
    node_members_turn(fixture.node);
    node_members_turn(fixture.node);
    read_answer(&answer);
    ck_assert_uint_eq(answer.http_status, 200);
}
END_TEST

/* A waiter is matched by index and term (pitfall 113): in a later term, what is committed at the
 * index or past it may be another leader's configuration, without the change. */
START_TEST(change_that_is_overtaken_by_a_later_term_is_unknown)
{
    struct wire_admin_answer answer;

    begin_change();
    follow_n2();
    fixture.node->view.is_config_committed = true;
    node_members_turn(fixture.node);
    read_answer(&answer);
    ck_assert_uint_eq(answer.http_status, 500);
    ck_assert(answer.is_unknown);
}
END_TEST

START_TEST(change_that_waits_at_the_stop_is_answered_once)
{
    struct wire_admin_answer answer;

    begin_change();
    node_members_stop(fixture.node);
    node_members_stop(fixture.node);
    read_answer(&answer);
    ck_assert(answer.is_unknown);
}
END_TEST

/* -- on the node that was asked -- */

enum { CLIENTS_MAX = 6 };

static struct client {
    struct http_exchange exchange;
    struct http_request http;
    struct admin_request asked;
    struct api_call call;
    struct client_admin admin;
    struct client_request request;
} clients[CLIENTS_MAX];

static void client_begin(uint32_t i, enum admin_type type, uint64_t ms)
{
    struct client *client = &clients[i];

    memset(client, 0, sizeof(*client));
    client->http = (struct http_request){.method_name = "GET", .target = "/v1/cluster/members"};
    client->asked.type = type;
    client->call.request = &client->http;
    client->call.admin = &client->asked;
    client->admin.call = &client->call;
    client->request = (struct client_request){
        .kind = CLIENT_ADMIN,
        .exchange = &client->exchange,
        .admin = &client->admin,
        .give_up_ms = fixture.now_ms + ms,
    };
    rk_buf_init(&client->admin.body, 4096);
    client_list_push(&fixture.node->admins, &client->request);
}

static void turn(void)
{
    node_members_turn(fixture.node);
    node_flush_done(fixture.node);
}

static void answer_client(enum rk_status status)
{
    const struct wire_admin_answer answer = {
        .envelope = fixture_envelope(fixture_peer("n2")),
        .status = status,
    };
    struct rk_buf body;

    rk_buf_init(&body, 4096);
    wire_encode_admin_answer(&answer, &body);
    fixture_answer(fixture_post_to("/raft/admin", "n2"), &body);
}

START_TEST(answer_that_leaves_the_outcome_open_is_not_asked_for_again)
{
    static const enum rk_status statuses[] = {RK_UNKNOWN, RK_IO, RK_BUSY};

    fixture_form();
    follow_n2();
    client_begin(0, ADMIN_REMOVE, 1000);
    turn();
    answer_client(statuses[_i]);
    turn();
    ck_assert_uint_eq(clients[0].exchange.answers, 1);
    ck_assert_int_eq(clients[0].request.status, RK_UNKNOWN);
}
END_TEST

/* Asked again it would stand behind those that came after it, and wait as long as they may. */
START_TEST(client_that_was_given_back_gives_up_at_its_own_time)
{
    fixture_form();
    follow_n2();
    client_begin(0, ADMIN_REMOVE, 100);
    turn();
    client_begin(1, ADMIN_REMOVE, 5000);
    answer_client(RK_NOT_LEADER);
    ck_assert_ptr_eq(fixture.node->admins.first, &clients[0].request);
    ck_assert_ptr_eq(fixture.node->admins.last, &clients[1].request);
    ck_assert_uint_eq(fixture.node->admins.count, 2);
    fixture.node->now_ms += 100;
    turn();
    ck_assert_uint_eq(clients[0].exchange.answers, 1);
    ck_assert_int_eq(clients[0].request.status, RK_NO_LEADER);
    ck_assert_uint_eq(clients[1].exchange.answers, 0);
    fixture_lose(fixture_post_to("/raft/admin", "n2"), RK_NOT_FOUND);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_members");

    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_add_loop_test(tcase, bytes_that_are_no_request_are_answered_with_400, 0, 4);
    tcase_add_loop_test(tcase, request_that_is_no_administrators_is_refused_and_not_done, 0, 3);
    tcase_add_loop_test(tcase, hostile_target_or_body_is_answered_as_by_the_client_listener, 0, 12);
    tcase_add_test(tcase, request_is_given_back_by_one_who_does_not_lead);
    tcase_add_test(tcase, change_is_answered_once_when_it_is_committed);
    tcase_add_test(tcase, change_that_is_overtaken_by_a_later_term_is_unknown);
    tcase_add_test(tcase, change_that_waits_at_the_stop_is_answered_once);
    tcase_add_loop_test(tcase, answer_that_leaves_the_outcome_open_is_not_asked_for_again, 0, 3);
    tcase_add_test(tcase, client_that_was_given_back_gives_up_at_its_own_time);
    return run_suite("node_members", tcase);
}
