/* Nothing enters the log that a member cannot read (pitfall 141). What needs the second level is played
 * by a client that asks for a raise, which no client can. */
#include "node_fixture.h"

#include <string.h>

#include "base/frame.h"
#include "statemachine/feature.h"
#include "support/run.h"

static struct http_exchange exchange;
static struct client_request request;

/* Leads a cluster whose others both answer, n2 at that level, n3 at this one. */
static void lead(uint32_t level_of_n2, uint32_t level_of_n3)
{
    const struct raft_message answer = {
        .type = RAFT_APPEND_RESPONSE,
        .term = 1,
        .append_response = {.accepted = true, .match = 1, .sequence = 1},
    };

    fixture.others_level = level_of_n2;
    fixture_lead();
    fixture.others_level = level_of_n3;
    fixture_reply("/raft/append", "n3", &answer);
}

static void write_of(const struct sm_command *command)
{
    exchange = (struct http_exchange){.answers = 0};
    request = (struct client_request){
        .kind = CLIENT_WRITE, .exchange = &exchange, .give_up_ms = UINT64_MAX};
    sm_result_init(&request.result);
    rk_buf_init(&request.frame, 4096);
    const size_t begin = rk_frame_begin(&request.frame, RAFT_ENTRY_COMMAND);
    sm_command_encode(command, &request.frame);
    rk_frame_end(&request.frame, begin);
    client_list_push(&fixture.node->writes, &request);
    node_flush_writes(fixture.node);
    node_flush_done(fixture.node);
}

static void write_what_is_new(void)
{
    write_of(&(struct sm_command){.type = SM_COMMAND_FEATURE_LEVEL, .feature_level.level = 2});
}

static void request_done(void)
{
    while (client_list_pop(&fixture.node->writes) != NULL) {
    }
    rk_buf_done(&request.frame);
    sm_result_done(&request.result);
}

static raft_index last_index(void)
{
    return fixture.node->view.last.index;
}

/* The own disk and n2 have all of the log; then time goes on by a moment. */
static void commit(void)
{
    fixture_persist();
    fixture_reply(
        "/raft/append", "n2",
        &(struct raft_message){
            .type = RAFT_APPEND_RESPONSE,
            .term = 1,
            .append_response = {.accepted = true, .match = last_index(), .sequence = last_index()},
        });
    fixture_persist();
    fixture_wait(NODE_RETRY_MS);
}

static void check_refusal(const char *name)
{
    char text[256] = "";

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_int_eq(request.status, RK_BEHIND);
    ck_assert_uint_lt(request.result.body.size, sizeof(text));
    memcpy(text, request.result.body.data, request.result.body.size);
    ck_assert_msg(strstr(text, name) != NULL, "%s", text);
}

START_TEST(what_all_versions_read_is_written_at_once)
{
    lead(0, 0);
    const raft_index before = last_index();
    write_of(&(struct sm_command){.type = SM_COMMAND_KV_DELETE_PREFIX});
    ck_assert_uint_eq(last_index(), before + 1);
    fixture_persist();
}
END_TEST

START_TEST(the_first_write_that_needs_more_raises_the_level_and_follows)
{
    lead(2, 2);
    const raft_index before = last_index();
    write_what_is_new();
    ck_assert_uint_eq(exchange.answers, 0);
    ck_assert_uint_eq(last_index(), before + 1); /* the raise, alone */
    ck_assert_uint_eq(sm_feature_level(fixture.node->sm), 1);
    commit();
    ck_assert_uint_eq(sm_feature_level(fixture.node->sm), 2);
    node_flush_writes(fixture.node);
    ck_assert_uint_eq(last_index(), before + 2);
    request_done();
    fixture_persist();
}
END_TEST

START_TEST(while_the_level_is_being_raised_nothing_that_needs_it_is_written)
{
    lead(2, 2);
    const raft_index before = last_index();
    write_what_is_new();
    fixture_wait(NODE_RETRY_MS);
    node_flush_writes(fixture.node);
    ck_assert_uint_eq(last_index(), before + 1);
    request_done();
    fixture_persist();
}
END_TEST

/* A version that does not speak of levels is of the first one. */
START_TEST(a_member_that_is_too_old_is_named)
{
    lead(2, 0);
    const raft_index before = last_index();
    write_what_is_new();
    check_refusal("\"n3\"");
    ck_assert_uint_eq(last_index(), before);
    request_done();
}
END_TEST

START_TEST(a_member_that_was_upgraded_meanwhile_is_in_the_way_no_more)
{
    lead(2, 1);
    write_what_is_new();
    check_refusal("\"n3\"");
    request_done();
    fixture_peer("n3")->feature_level = 2;
    const raft_index before = last_index();
    write_what_is_new();
    ck_assert_uint_eq(exchange.answers, 0);
    ck_assert_uint_eq(last_index(), before + 1);
    request_done();
    fixture_persist();
}
END_TEST

/* A new leader has not heard everybody yet; who is away cannot say what it reads. */
START_TEST(a_silent_member_is_waited_for_and_then_named)
{
    fixture.others_level = 2;
    fixture_lead();
    write_what_is_new();
    ck_assert_uint_eq(exchange.answers, 0);
    fixture.node->now_ms += 2 * (uint64_t)fixture.options.election_timeout_ms;
    node_flush_writes(fixture.node);
    node_flush_done(fixture.node);
    check_refusal("\"n");
    request_done();
}
END_TEST

START_TEST(a_node_that_is_held_back_is_in_the_way_itself)
{
    fixture.options.feature_level_max = 1;
    lead(2, 2);
    write_what_is_new();
    check_refusal("\"n1\"");
    request_done();
}
END_TEST

/* Only a leader raises, for its own reasons. */
START_TEST(a_raise_that_is_passed_on_is_refused)
{
    const struct sm_command raise = {.type = SM_COMMAND_FEATURE_LEVEL, .feature_level.level = 9};
    struct wire_forward forward = {.count = 1};
    struct wire_forward_answer answer;
    struct rk_buf frame;
    struct rk_buf body;
    const char *reason = NULL;

    lead(2, 2);
    forward.envelope = fixture_envelope(fixture_peer("n2"));
    rk_buf_init(&frame, 4096);
    const size_t begin = rk_frame_begin(&frame, RAFT_ENTRY_COMMAND);
    sm_command_encode(&raise, &frame);
    rk_frame_end(&frame, begin);
    forward.payloads[0] = (struct rk_bytes){frame.data + RK_FRAME_HEADER_SIZE,
                                            (uint32_t)frame.size - RK_FRAME_HEADER_SIZE};
    rk_buf_init(&body, 4096);
    wire_encode_forward(&forward, &body);
    fixture_request(&exchange, "/raft/forward", &body);
    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_int_eq(wire_decode_forward_answer(rk_buf_bytes(&exchange.body), &answer, &reason),
                     RK_OK);
    ck_assert_int_eq(answer.items[0].status, RK_INVALID);
    rk_buf_done(&frame);
    rk_buf_done(&body);
    fixture_exchange_done(&exchange);
}
END_TEST

/* It would take the write for a broken one. */
START_TEST(what_an_old_leader_cannot_read_is_not_passed_on_to_it)
{
    const struct raft_message heartbeat = {.type = RAFT_HEARTBEAT_REQUEST, .term = 5};
    struct http_exchange heard;

    lead(2, 2);
    fixture.others_level = 1;
    fixture_receive(&heard, "n2", &heartbeat);
    ck_assert(node_has_leader(fixture.node));
    write_what_is_new();
    check_refusal("\"n2\"");
    ck_assert_ptr_null(fixture_post_to("/raft/forward", "n2"));
    request_done();
    fixture_persist();
    fixture_exchange_done(&heard);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_feature");

    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, what_all_versions_read_is_written_at_once);
    tcase_add_test(tcase, the_first_write_that_needs_more_raises_the_level_and_follows);
    tcase_add_test(tcase, while_the_level_is_being_raised_nothing_that_needs_it_is_written);
    tcase_add_test(tcase, a_member_that_is_too_old_is_named);
    tcase_add_test(tcase, a_member_that_was_upgraded_meanwhile_is_in_the_way_no_more);
    tcase_add_test(tcase, a_silent_member_is_waited_for_and_then_named);
    tcase_add_test(tcase, a_node_that_is_held_back_is_in_the_way_itself);
    tcase_add_test(tcase, what_an_old_leader_cannot_read_is_not_passed_on_to_it);
    tcase_add_test(tcase, a_raise_that_is_passed_on_is_refused);
    return run_suite("node_feature", tcase);
}
