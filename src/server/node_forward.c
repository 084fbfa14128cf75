/* node_forward.c -- writes that reach a follower: sent to the leader in batches, answered one by
 * one. A batch is sent again only where it certainly never was appended (pitfalls 112, 113). */
#include "base/assert.h"
#include "base/frame.h"
#include "base/heap.h"
#include "server/node_internal.h"
#include "statemachine/command.h"

/* Takes writes from the list into *forward while they fit; returns how many. What the leader cannot
 * read is refused. */
static uint32_t gather(struct node *node, struct wire_forward *forward, struct client_list *taken)
{
    size_t bytes = 0;

    while (node->writes.first != NULL && forward->count < RK_FORWARD_ITEMS_MAX &&
           bytes < NODE_FORWARD_BYTES_MAX) {
        struct client_request *request = client_list_pop(&node->writes);
        const struct rk_bytes frame = rk_buf_bytes(&request->frame);
        if (!node_feature_may_forward(node, rk_frame_body(frame))) {
            node_refuse_behind(node, request);
            continue;
        }
        forward->payloads[forward->count] = (struct rk_bytes){
            .data = frame.data + RK_FRAME_HEADER_SIZE,
            .size = frame.size - RK_FRAME_HEADER_SIZE,
        };
        forward->count++;
        bytes += frame.size;
        client_list_push(taken, request);
    }
    return forward->count;
}

/* False: it could not be sent, and waits again. */
static bool forward_batch(struct node *node)
{
    struct wire_forward *forward = rk_heap_zalloc(1, sizeof(*forward));
    struct outgoing *outgoing = node_outgoing_new(node, OUTGOING_FORWARD, node->view.leader);
    struct rk_buf body;

    forward->envelope = node_envelope(node, node->view.leader);
    if (gather(node, forward, &outgoing->items) == 0) { /* the leader is too old for all of them */
        rk_heap_free(forward);
        node_outgoing_free(node, outgoing);
        return true;
    }
    rk_buf_init(&body, RK_PEER_BODY_SIZE_MAX);
    wire_encode_forward(forward, &body);
    rk_heap_free(forward);
    node->forwards_in_flight++;
    if (node_post(node, LINK_BULK, "/raft/forward", &body, NODE_FORWARD_TIMEOUT_MS, outgoing) !=
        RK_OK) {
        node->forwards_in_flight--;
        client_list_move(&outgoing->items, &node->writes);
        node->writes = outgoing->items;
        node_outgoing_free(node, outgoing);
        return false;
    }
    return true;
}

void node_forward_writes(struct node *node)
{
    while (node->writes.count > 0 && node->forwards_in_flight < NODE_FORWARDS_MAX &&
           node->now_ms >= node->retry_at_ms) {
        if (!forward_batch(node)) {
            return;
        }
    }
}

/* Nothing of it was appended: the writes wait for a leader again, in their old place, and for a
 * moment, so that a leader that cannot take them yet is not asked in a circle. */
static void forward_again(struct node *node, struct client_list *items)
{
    if (items->count > 0) {
        node->retry_at_ms = node->now_ms + NODE_RETRY_MS;
    }
    client_list_move(items, &node->writes);
    node->writes = *items;
    *items = (struct client_list){0};
}

static void item_answered(struct node *node, struct client_request *request,
                          const struct wire_forward_item *item, struct client_list *again)
{
    if (item->status == RK_NOT_LEADER) {
        client_list_push(again, request);
        return;
    }
    if ((item->status == RK_OK || item->status == RK_BEHIND) &&
        sm_result_decode(item->result, &request->result) != RK_OK) {
        node_complete(node, request, RK_UNKNOWN);
        return;
    }
    node_complete(node, request, item->status);
}

static void answer_items(struct node *node, struct client_list *items,
                         const struct wire_forward_answer *answer)
{
    struct client_list again = {0};
    uint32_t i = 0;

    for (struct client_request *request = client_list_pop(items); request != NULL;
         request = client_list_pop(items)) {
        item_answered(node, request, &answer->items[i], &again);
        i++;
    }
    forward_again(node, &again);
}

static void fail_items(struct node *node, struct client_list *items, enum rk_status status)
{
    for (struct client_request *request = client_list_pop(items); request != NULL;
         request = client_list_pop(items)) {
        node_complete(node, request, status);
    }
}

void node_forward_result(struct node *node, struct outgoing *outgoing,
                         const struct link_result *result)
{
    struct wire_forward_answer *answer = rk_heap_alloc(sizeof(*answer));
    const char *reason = NULL;

    node->forwards_in_flight--;
    if (result->status == RK_NOT_FOUND) {
        forward_again(node, &outgoing->items);
    } else if (result->status == RK_OK && result->http_status != 200) {
        forward_again(node, &outgoing->items); /* refused whole, before it was looked into */
    } else if (result->status == RK_OK &&
               wire_decode_forward_answer(result->body, answer, &reason) == RK_OK &&
               answer->count == outgoing->items.count) {
        answer_items(node, &outgoing->items, answer);
    } else {
        fail_items(node, &outgoing->items, RK_UNKNOWN);
    }
    rk_heap_free(answer);
}

/* -- at the leader -- */

static void forward_finish(struct node *node, struct forward_in *forward)
{
    struct rk_buf body;

    for (uint32_t i = 0; i < forward->answer->count; i++) {
        struct wire_forward_item *item = &forward->answer->items[i];
        item->result.data =
            item->result.size > 0 ? forward->results.data + forward->result_begins[i] : NULL;
    }
    forward->answer->term = node->view.hard_state.term;
    rk_buf_init(&body, RK_PEER_BODY_SIZE_MAX);
    wire_encode_forward_answer(forward->answer, &body);
    node_answer_buf(node, forward->exchange, &body);
    rk_buf_done(&forward->results);
    rk_heap_free(forward->answer);
    rk_heap_free(forward);
}

/* Where the answer would be larger than a peer takes, what was done cannot be said. */
static void keep_result(struct forward_in *forward, uint32_t item, const struct sm_result *result)
{
    struct wire_forward_item *answer = &forward->answer->items[item];
    const size_t begin = forward->results.size;

    sm_result_encode(result, &forward->results);
    if (forward->results.overflowed) {
        forward->results.overflowed = false;
        forward->results.size = begin;
        answer->status = RK_UNKNOWN;
    }
    answer->result.size = (uint32_t)(forward->results.size - begin);
    forward->result_begins[item] = (uint32_t)begin;
}

void node_forward_item_done(struct node *node, struct forward_in *forward, uint32_t item,
                            enum rk_status status, const struct sm_result *result)
{
    struct wire_forward_item *answer = &forward->answer->items[item];

    answer->status = status;
    if (result != NULL && (status == RK_OK || status == RK_BEHIND)) {
        keep_result(forward, item, result);
    }
    RK_ASSERT(forward->open_count > 0);
    forward->open_count--;
    if (forward->open_count == 0) {
        forward_finish(node, forward);
    }
}

static void propose_item(struct node *node, struct forward_in *forward, uint32_t item,
                         struct rk_bytes payload)
{
    const struct origin origin = {.type = ORIGIN_FORWARD, .forward = forward, .item = item};
    struct rk_buf frame;

    if (pending_count(&node->pending) >= node->options->max_pending_writes) {
        node_forward_item_done(node, forward, item, RK_BUSY, NULL);
        return;
    }
    rk_buf_init(&frame, RK_FRAME_SIZE_MAX);
    (void)rk_buf_extend(&frame, RK_FRAME_HEADER_SIZE);
    rk_buf_append(&frame, payload.data, payload.size);
    const enum rk_status status = node_propose(node, &frame, origin);
    if (status != RK_OK) {
        struct sm_result why;
        sm_result_init(&why);
        if (status == RK_BEHIND) {
            rk_buf_append_text(&why.body, node->behind_reason);
        }
        rk_buf_done(&frame);
        node_forward_item_done(node, forward, item, status, &why);
        sm_result_done(&why);
    }
}

/* What enters the log is applied by every node, at every start: a command that this version cannot
 * read must not get there (pitfall 141). */
static bool is_command(struct rk_bytes payload)
{
    struct rk_frame frame;
    struct sm_command command;

    return payload.size <= RK_COMMAND_SIZE_MAX && rk_frame_read_payload(payload, &frame) == RK_OK &&
           frame.type == RAFT_ENTRY_COMMAND && sm_command_decode(frame.body, &command) == RK_OK &&
           command.type != SM_COMMAND_FEATURE_LEVEL;
}

static void forward_open(struct node *node, struct http_exchange *exchange,
                         const struct wire_forward *received)
{
    struct forward_in *forward = rk_heap_zalloc(1, sizeof(*forward));
    const bool may_propose = node_is_leader(node) && node->view.is_term_committed;

    forward->exchange = exchange;
    rk_buf_init(&forward->results, NODE_FORWARD_RESULTS_MAX);
    forward->answer = rk_heap_zalloc(1, sizeof(*forward->answer));
    forward->answer->envelope = node_envelope(node, received->envelope.from);
    forward->answer->count = received->count;
    /* One more than the items, so that the last of them does not end it inside the loop. */
    forward->open_count = received->count + 1;
    for (uint32_t i = 0; i < received->count; i++) {
        if (!may_propose) {
            node_forward_item_done(node, forward, i, RK_NOT_LEADER, NULL);
        } else if (!is_command(received->payloads[i])) {
            node_forward_item_done(node, forward, i, RK_INVALID, NULL);
        } else {
            propose_item(node, forward, i, received->payloads[i]);
        }
    }
    forward->open_count--;
    if (forward->open_count == 0) {
        forward_finish(node, forward);
    }
}

void node_forward_received(struct node *node, struct http_exchange *exchange)
{
    struct wire_forward *received = rk_heap_alloc(sizeof(*received));
    const struct rk_bytes body = http_exchange_request(exchange)->body;
    const char *reason = NULL;

    if (wire_decode_forward(body, received, &reason) != RK_OK) {
        node_refuse(node, exchange, 400, reason);
    } else if ((reason = node_envelope_refusal(node, &received->envelope)) != NULL) {
        node_refuse(node, exchange, 403, reason);
    } else {
        forward_open(node, exchange, received);
    }
    rk_heap_free(received);
}
