/* Peer messages that come in: each one is answered exactly once, whatever it says. */
#include "node_fixture.h"

#include "base/frame.h"
#include "base/heap.h"
#include "statemachine/command.h"
#include "support/run.h"

/* The core has no answer to a TimeoutNow (diss. 3.10), yet its exchange has to end. */
START_TEST(timeout_now_is_answered)
{
    struct http_exchange exchange;
    const struct raft_message message = {.type = RAFT_TIMEOUT_NOW, .term = 1};

    fixture_form();
    fixture_receive(&exchange, "n2", &message);

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_uint_eq(exchange.status, 200);
    fixture_exchange_done(&exchange);
}
END_TEST

START_TEST(message_with_the_own_id_is_refused_and_answered)
{
    struct http_exchange exchange;
    struct wire_envelope envelope;
    struct raft_message message = {.type = RAFT_HEARTBEAT_REQUEST, .term = 1};
    struct rk_buf body;

    fixture_lead();
    envelope = fixture_envelope(fixture_peer("n2"));
    message.from = fixture.node->id;
    message.to = fixture.node->id;
    rk_buf_init(&body, 4096);
    wire_encode_message(&envelope, &message, NULL, (struct rk_bytes){0}, &body);
    fixture_request(&exchange, "/raft/append", &body);

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_uint_eq(exchange.status, 403);
    fixture_exchange_done(&exchange);
    rk_buf_done(&body);
}
END_TEST

/* One campaign after it, the own term could not be written on the wire any more. */
START_TEST(term_at_the_end_of_what_the_wire_holds_is_refused)
{
    struct http_exchange exchange;
    const struct raft_message message = {
        .type = RAFT_VOTE_REQUEST,
        .term = (UINT64_C(1) << 53) - 1,
        .vote_request = {.last = {.term = 1, .index = 1}},
    };

    fixture_form();
    fixture_receive(&exchange, "n2", &message);

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_uint_eq(exchange.status, 403);
    ck_assert_uint_eq(fixture.node->view.hard_state.term, 0);
    fixture_exchange_done(&exchange);
}
END_TEST

static uint32_t status_from_n3(const struct raft_message *message)
{
    struct http_exchange exchange;

    fixture_receive(&exchange, "n3", message);
    fixture_persist();
    ck_assert_uint_eq(exchange.answers, 1);
    const uint32_t status = exchange.status;
    fixture_exchange_done(&exchange);
    return status;
}

/* Pitfall 85: this node's log ends before n3 was written down, and n3 leads by now. Its word is what
 * would tell so; a vote for it waits, for it may be the one whose directory was lost. */
START_TEST(leader_that_this_nodes_log_has_not_written_down_yet_is_heard)
{
    const struct raft_message vote = {.type = RAFT_VOTE_REQUEST, .term = 3};
    const struct raft_message heartbeat = {
        .type = RAFT_HEARTBEAT_REQUEST, .term = 3, .heartbeat_request = {.round = 1}};

    fixture_lead();
    node_apply(fixture.node);
    ck_assert(fixture.node->is_firm);
    fixture_peer("n3")->incarnation = 0;
    ck_assert_uint_eq(status_from_n3(&vote), 403);
    ck_assert_uint_eq(status_from_n3(&heartbeat), 200);
    ck_assert_uint_eq(fixture.node->view.leader, fixture_peer("n3")->id);
}
END_TEST

/* A vote leaves only when it is on the disk (diss. 3.8). */
START_TEST(vote_is_answered_only_when_it_is_durable)
{
    struct http_exchange exchange;
    const struct raft_message message = {.type = RAFT_VOTE_REQUEST, .term = 7};

    fixture_form();
    fixture_receive(&exchange, "n2", &message);
    ck_assert_uint_eq(exchange.answers, 0);

    fixture_persist();
    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_uint_eq(exchange.status, 200);
    fixture_exchange_done(&exchange);
}
END_TEST

/* 103: a turn may have begun long before the heartbeat came; what this node promises the leader
 * counts from when it came. */
START_TEST(heartbeat_counts_from_when_it_came)
{
    struct http_exchange exchange;
    const struct raft_message message = {.type = RAFT_HEARTBEAT_REQUEST, .term = 7};

    fixture_form();
    fixture.now_ms += 150;
    fixture_receive(&exchange, "n2", &message);

    ck_assert_uint_eq(fixture.node->view.leader_contact_ms, fixture.now_ms);
    fixture_persist();
    fixture_exchange_done(&exchange);
}
END_TEST

/* The first one of a term waits until the term is on the disk; then nothing keeps the answer back. */
START_TEST(heartbeat_of_a_term_that_is_durable_is_answered_without_being_suspended)
{
    struct http_exchange first;
    struct http_exchange second;
    const struct raft_message message = {.type = RAFT_HEARTBEAT_REQUEST, .term = 7};

    fixture_form();
    fixture_receive(&first, "n2", &message);
    ck_assert_uint_eq(first.answers, 0);
    ck_assert(first.was_suspended);
    fixture_persist();

    fixture_receive(&second, "n2", &message);
    ck_assert_uint_eq(second.answers, 1);
    ck_assert_uint_eq(second.status, 200);
    ck_assert(!second.was_suspended);
    fixture_exchange_done(&first);
    fixture_exchange_done(&second);
}
END_TEST

/* -- appends that overtook the one before -- */

static void receive_append(struct http_exchange *exchange, raft_index previous)
{
    const struct peer *peer = fixture_peer("n2");
    const struct wire_envelope envelope = fixture_envelope(peer);
    const struct wire_append_extra extra = {.previous_chain = previous};
    struct raft_message message = {
        .type = RAFT_APPEND_REQUEST,
        .term = 3,
        .from = peer->id,
        .to = fixture.node->id,
        .append_request = {.previous = {.term = previous == 0 ? 0 : 3, .index = previous},
                           .entries_last = previous + 1,
                           .entries_count = 1,
                           .sequence = 1},
    };
    struct rk_buf frame;
    struct rk_buf body;

    rk_buf_init(&frame, 4096);
    rk_frame_end(&frame, rk_frame_begin(&frame, RAFT_ENTRY_NOOP));
    (void)rk_frame_seal(
        frame.data, (uint32_t)frame.size,
        &(struct rk_frame_place){.term = 3, .index = previous + 1, .chain_previous = previous});
    rk_buf_init(&body, 1 << 16);
    wire_encode_message(&envelope, &message, &extra, rk_buf_bytes(&frame), &body);
    fixture_request(exchange, "/raft/append", &body);
    exchange->request.body = (struct rk_bytes){0};
    rk_buf_done(&frame);
    rk_buf_done(&body);
}

static void follow_n2(void)
{
    struct http_exchange exchange;
    const struct raft_message heartbeat = {
        .type = RAFT_HEARTBEAT_REQUEST, .term = 3, .heartbeat_request = {.round = 1}};

    fixture_form();
    fixture_receive(&exchange, "n2", &heartbeat);
    fixture_persist();
    ck_assert_uint_eq(exchange.answers, 1);
    fixture_exchange_done(&exchange);
}

/* The patience with it counts from when it came, not from the last look at it. */
START_TEST(early_append_does_not_wait_longer_because_it_is_looked_at)
{
    struct http_exchange early;

    follow_n2();
    receive_append(&early, 5);
    ck_assert_uint_eq(early.answers, 0);
    const uint64_t since_ms = fixture.node->early_since_ms;
    fixture_wait(10);
    node_release_early(fixture.node, false);

    ck_assert_uint_eq(fixture.node->early_count, 1);
    ck_assert_uint_eq(fixture.node->early_since_ms, since_ms);
}
END_TEST

START_TEST(newer_append_than_the_log_is_held_once_not_decoded_again)
{
    struct http_exchange early;

    follow_n2();
    receive_append(&early, 5);
    /* its body is gone: it could not be decoded again */
    node_release_early(fixture.node, false);

    ck_assert_uint_eq(early.answers, 0);
    ck_assert_uint_eq(fixture.node->early_count, 1);
}
END_TEST

/* -- forwarded writes -- */

static void forward(struct http_exchange *exchange, const struct rk_buf *command)
{
    struct wire_forward *forwarded = rk_heap_zalloc(1, sizeof(*forwarded));
    struct rk_buf frame;
    struct rk_buf body;

    rk_buf_init(&frame, 1 << 20);
    const size_t begin = rk_frame_begin(&frame, RAFT_ENTRY_COMMAND);
    rk_buf_append(&frame, command->data, command->size);
    rk_frame_end(&frame, begin);
    forwarded->envelope = fixture_envelope(fixture_peer("n2"));
    forwarded->count = 1;
    forwarded->payloads[0] = (struct rk_bytes){
        .data = frame.data + RK_FRAME_HEADER_SIZE,
        .size = (uint32_t)frame.size - RK_FRAME_HEADER_SIZE,
    };
    rk_buf_init(&body, 1 << 20);
    wire_encode_forward(forwarded, &body);
    fixture_request(exchange, "/raft/forward", &body);
    node_flush_writes(fixture.node);
    rk_buf_done(&body);
    rk_buf_done(&frame);
    rk_heap_free(forwarded);
}

static enum rk_status forward_status(const struct http_exchange *exchange)
{
    struct wire_forward_answer *answer = rk_heap_zalloc(1, sizeof(*answer));
    const char *reason = NULL;

    ck_assert_uint_eq(exchange->answers, 1);
    ck_assert_int_eq(wire_decode_forward_answer(rk_buf_bytes(&exchange->body), answer, &reason),
                     RK_OK);
    const enum rk_status status = answer->items[0].status;
    rk_heap_free(answer);
    return status;
}

/* Every node would apply it, at every start: it must not enter the log (pitfall 141). */
START_TEST(forwarded_command_that_cannot_be_read_does_not_enter_the_log)
{
    struct http_exchange exchange;
    struct rk_buf command;

    fixture_lead();
    rk_buf_init(&command, 64);
    rk_buf_append_text(&command, "of a later version");
    const raft_index last = fixture.node->view.last.index;
    forward(&exchange, &command);

    ck_assert_int_eq(forward_status(&exchange), RK_INVALID);
    ck_assert_uint_eq(fixture.node->view.last.index, last);
    fixture_exchange_done(&exchange);
    rk_buf_done(&command);
}
END_TEST

START_TEST(forwarded_command_is_answered_when_it_is_applied)
{
    struct http_exchange exchange;
    const struct sm_command put = {
        .type = SM_COMMAND_KV_PUT,
        .put = {.key = {.data = (const uint8_t *)"k", .size = 1}},
    };
    struct rk_buf command;

    fixture_lead();
    rk_buf_init(&command, 4096);
    sm_command_encode(&put, &command);
    forward(&exchange, &command);
    fixture_persist();
    ck_assert_uint_eq(exchange.answers, 0);
    const raft_index last = fixture.node->view.last.index;
    fixture_reply("/raft/append", "n2",
                  &(struct raft_message){
                      .type = RAFT_APPEND_RESPONSE,
                      .term = 1,
                      .append_response = {.accepted = true, .match = last, .sequence = 2},
                  });
    fixture_persist();

    ck_assert_int_eq(forward_status(&exchange), RK_OK);
    fixture_exchange_done(&exchange);
    rk_buf_done(&command);
}
END_TEST

START_TEST(forwarded_command_is_given_back_by_one_who_does_not_lead)
{
    struct http_exchange exchange;
    const struct sm_command put = {
        .type = SM_COMMAND_KV_PUT,
        .put = {.key = {.data = (const uint8_t *)"k", .size = 1}},
    };
    struct rk_buf command;

    follow_n2();
    rk_buf_init(&command, 4096);
    sm_command_encode(&put, &command);
    forward(&exchange, &command);

    ck_assert_int_eq(forward_status(&exchange), RK_NOT_LEADER);
    fixture_exchange_done(&exchange);
    rk_buf_done(&command);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_inbound");

    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, timeout_now_is_answered);
    tcase_add_test(tcase, message_with_the_own_id_is_refused_and_answered);
    tcase_add_test(tcase, term_at_the_end_of_what_the_wire_holds_is_refused);
    tcase_add_test(tcase, heartbeat_counts_from_when_it_came);
    tcase_add_test(tcase, leader_that_this_nodes_log_has_not_written_down_yet_is_heard);
    tcase_add_test(tcase, vote_is_answered_only_when_it_is_durable);
    tcase_add_test(tcase, heartbeat_of_a_term_that_is_durable_is_answered_without_being_suspended);
    tcase_add_test(tcase, early_append_does_not_wait_longer_because_it_is_looked_at);
    tcase_add_test(tcase, newer_append_than_the_log_is_held_once_not_decoded_again);
    tcase_add_test(tcase, forwarded_command_that_cannot_be_read_does_not_enter_the_log);
    tcase_add_test(tcase, forwarded_command_is_answered_when_it_is_applied);
    tcase_add_test(tcase, forwarded_command_is_given_back_by_one_who_does_not_lead);
    return run_suite("node_inbound", tcase);
}
