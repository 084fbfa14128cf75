/* node_reads.c -- linearizable reads by ReadIndex (dissertation 6.4). All reads that wait share one
 * round; a follower asks its leader for a read index, batched too, and answers from its own root
 * once it has applied that far. */
#include "base/assert.h"
#include "base/heap.h"
#include "server/node_internal.h"

static void batch_add(struct node *node, struct read_batch *batch)
{
    batch->next = NULL;
    if (node->read_batches_last != NULL) {
        node->read_batches_last->next = batch;
    } else {
        node->read_batches = batch;
    }
    node->read_batches_last = batch;
}

static void batch_pop(struct node *node)
{
    struct read_batch *batch = node->read_batches;

    node->read_batches = batch->next;
    if (node->read_batches == NULL) {
        node->read_batches_last = NULL;
    }
    rk_heap_free(batch);
}

/* The core would not take this batch, the newest; those before it are its own affair still. */
static void batch_take_back(struct node *node, struct read_batch *batch)
{
    struct read_batch **link = &node->read_batches;
    struct read_batch *previous = NULL;

    while (*link != batch) {
        previous = *link;
        link = &previous->next;
    }
    RK_ASSERT(batch->next == NULL);
    *link = NULL;
    node->read_batches_last = previous;
    node->reads = batch->clients;
    node->remote_reads = batch->remotes;
    rk_heap_free(batch);
}

static void answer_remote(struct node *node, struct remote_read *remote, enum rk_status status,
                          raft_index read_index)
{
    struct wire_read_index answer = {
        .envelope = node_envelope(node, remote->from),
        .term = node->view.hard_state.term,
        .status = status,
        .read_index = read_index,
    };
    struct rk_buf body;

    rk_buf_init(&body, 4096);
    wire_encode_read_index(&answer, &body);
    node_answer_buf(node, remote->exchange, &body);
    rk_heap_free(remote);
}

static void answer_remotes(struct node *node, struct remote_read **list, enum rk_status status,
                           raft_index read_index)
{
    while (*list != NULL) {
        struct remote_read *remote = *list;
        *list = remote->next;
        answer_remote(node, remote, status, read_index);
    }
}

/* Leader: all that waits becomes one read of the core's. */
static void ask_core(struct node *node)
{
    const struct raft_event event = {
        .type = RAFT_EVENT_READ,
        .now_ms = node->now_ms,
        .read_number = node->read_number + 1,
    };
    struct read_batch *batch = rk_heap_zalloc(1, sizeof(*batch));

    rk_meter_add(node->meter, RK_MEASURE_ROUND_READS, node->reads.count, 1);
    node->read_number++;
    batch->number = node->read_number;
    client_list_move(&batch->clients, &node->reads);
    batch->remotes = node->remote_reads;
    node->remote_reads = NULL;
    batch_add(node, batch);
    if (node_step(node, &event) != RK_OK) {
        batch_take_back(node, batch);
    }
}

/* Follower: one question for all that waits. */
static void ask_leader(struct node *node)
{
    struct wire_read_index question = {
        .envelope = node_envelope(node, node->view.leader),
        .term = node->view.hard_state.term,
    };
    struct rk_buf body;

    if (node->read_indexes_in_flight >= NODE_READ_INDEX_MAX || node->now_ms < node->retry_at_ms) {
        return;
    }
    struct outgoing *outgoing = node_outgoing_new(node, OUTGOING_READ_INDEX, node->view.leader);
    rk_meter_add(node->meter, RK_MEASURE_ROUND_READS, node->reads.count, 1);
    client_list_move(&outgoing->items, &node->reads);
    rk_buf_init(&body, 4096);
    wire_encode_read_index(&question, &body);
    node->read_indexes_in_flight++;
    if (node_post(node, LINK_CONTROL, "/raft/read-index", &body,
                  2 * node->options->election_timeout_ms, outgoing) != RK_OK) {
        node->read_indexes_in_flight--;
        client_list_move(&node->reads, &outgoing->items);
        node_outgoing_free(node, outgoing);
    }
}

void node_read_index_result(struct node *node, struct outgoing *outgoing,
                            const struct link_result *result)
{
    struct wire_read_index answer;
    const char *reason = NULL;

    node->read_indexes_in_flight--;
    if (result->status == RK_OK && result->http_status == 200 &&
        wire_decode_read_index(result->body, &answer, &reason) == RK_OK &&
        node_envelope_refusal(node, &answer.envelope) == NULL && answer.status == RK_OK) {
        struct read_batch *batch = rk_heap_zalloc(1, sizeof(*batch));
        batch->is_confirmed = true;
        batch->read_index = answer.read_index;
        client_list_move(&batch->clients, &outgoing->items);
        batch_add(node, batch);
        return;
    }
    /* No answer, or not by a leader: ask again soon, until the client's time is up. */
    node->retry_at_ms = node->now_ms + NODE_RETRY_MS;
    client_list_move(&outgoing->items, &node->reads);
    client_list_move(&node->reads, &outgoing->items);
}

static void expire_reads(struct node *node)
{
    while (node->reads.first != NULL && node->reads.first->give_up_ms <= node->now_ms) {
        node_complete(node, client_list_pop(&node->reads), RK_NO_LEADER);
    }
}

/* A round that is not confirmed, or an index that is not reached, must not hold a client for ever.
 * The batch itself stays: the core may still name it. */
static void expire_batches(struct node *node)
{
    for (struct read_batch *batch = node->read_batches; batch != NULL; batch = batch->next) {
        while (batch->clients.first != NULL && batch->clients.first->give_up_ms <= node->now_ms) {
            node_complete(node, client_list_pop(&batch->clients), RK_NO_LEADER);
        }
    }
}

/* A loop that found the root behind what is committed sends its read here, where it has caught up in
 * the meantime: under a lease that is all it needs. */
static void serve_by_lease(struct node *node)
{
    struct client_list strict = {0};

    if (!node->options->lease_reads || !lease_holds(&node->lease, node->last_published)) {
        return;
    }
    for (struct client_request *request = client_list_pop(&node->reads); request != NULL;
         request = client_list_pop(&node->reads)) {
        if (request->is_strict) {
            client_list_push(&strict, request);
        } else {
            node_watch_begin(node, request);
        }
    }
    node->reads = strict;
}

void node_flush_reads(struct node *node)
{
    expire_reads(node);
    if (node->now_ms >= node->read_batches_due_ms) {
        node->read_batches_due_ms = node->now_ms + NODE_EXPIRE_MS;
        expire_batches(node);
    }
    if (node_is_leader(node)) {
        serve_by_lease(node);
        if (node->reads.count > 0 || node->remote_reads != NULL) {
            ask_core(node);
        }
    } else {
        answer_remotes(node, &node->remote_reads, RK_NOT_LEADER, 0);
        if (node->reads.count > 0 && node_has_leader(node)) {
            ask_leader(node);
        }
    }
}

/* The core's confirmations of this step. */
void node_confirm_reads(struct node *node)
{
    for (uint32_t i = 0; i < node->outputs->reads_count; i++) {
        struct read_batch *batch = node->read_batches;
        while (batch != NULL && batch->number != node->outputs->reads[i]) {
            batch = batch->next;
        }
        RK_ASSERT(batch != NULL);
        batch->is_confirmed = true;
        batch->read_index = node->outputs->read_indexes[i];
        answer_remotes(node, &batch->remotes, RK_OK, batch->read_index);
    }
}

/* Serves what is confirmed and applied, in order: a batch whose turn comes late was asked for
 * earlier, so serving it from the newer root is as good. */
void node_complete_reads(struct node *node)
{
    while (node->read_batches != NULL && node->read_batches->is_confirmed &&
           node->read_batches->read_index <= node->last_applied) {
        struct read_batch *batch = node->read_batches;
        for (struct client_request *request = client_list_pop(&batch->clients); request != NULL;
             request = client_list_pop(&batch->clients)) {
            node_watch_begin(node, request);
        }
        batch_pop(node);
    }
}

/* Leadership is lost or the core would not take the read: unconfirmed reads are asked again, the
 * confirmed ones stay good. */
void node_retry_reads(struct node *node)
{
    struct read_batch *batch = node->read_batches;
    struct client_list again = {0};

    node->read_batches = NULL;
    node->read_batches_last = NULL;
    while (batch != NULL) {
        struct read_batch *next = batch->next;
        if (batch->is_confirmed) {
            batch_add(node, batch);
        } else {
            client_list_move(&again, &batch->clients);
            answer_remotes(node, &batch->remotes, RK_NOT_LEADER, 0);
            rk_heap_free(batch);
        }
        batch = next;
    }
    client_list_move(&again, &node->reads);
    node->reads = again;
}

void node_drop_reads(struct node *node)
{
    node_retry_reads(node);
    while (node->read_batches != NULL) { /* confirmed, but what they wait for never came */
        client_list_move(&node->reads, &node->read_batches->clients);
        batch_pop(node);
    }
    answer_remotes(node, &node->remote_reads, RK_NOT_LEADER, 0);
}

void node_read_index_received(struct node *node, struct http_exchange *exchange)
{
    struct wire_read_index question;
    const char *reason = NULL;

    if (wire_decode_read_index(http_exchange_request(exchange)->body, &question, &reason) !=
        RK_OK) {
        node_refuse(node, exchange, 400, reason);
        return;
    }
    reason = node_envelope_refusal(node, &question.envelope);
    if (reason != NULL) {
        node_refuse(node, exchange, 403, reason);
        return;
    }
    struct remote_read *remote = rk_heap_zalloc(1, sizeof(*remote));
    remote->exchange = exchange;
    remote->from = question.envelope.from;
    remote->next = node->remote_reads;
    node->remote_reads = remote;
}
