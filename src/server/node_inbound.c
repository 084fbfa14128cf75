/* node_inbound.c -- the peer listener: who may speak, what was said, and the answer, perhaps later.
 *
 * A request to the core carries its exchange as `request`; the core copies it into the one response
 * it makes. Appends that overtook the one before them (several connections carry them) are held
 * for a moment; nothing depends on that but speed. */
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"

/* What a completion of the peer server carries. */
struct peer_answer {
    uint32_t http_status;
    struct rk_buf body;
};

static void respond(struct http_exchange *exchange, uint32_t http_status, struct rk_buf *body)
{
    struct http_response response;

    http_response_init(&response, body->size_max);
    response.status = http_status;
    response.body = *body;
    rk_buf_init(body, body->size_max);
    http_response_header_static(&response, "Content-Type",
                                http_status == 200 ? "application/json"
                                                   : "text/plain; charset=utf-8");
    http_exchange_respond(exchange, &response);
}

static void answer(struct node *node, struct http_exchange *exchange, uint32_t http_status,
                   struct rk_buf *body)
{
    if (exchange == node->in_hand) {
        node->in_hand = NULL;
        respond(exchange, http_status, body);
        return;
    }
    struct peer_answer *made = rk_heap_alloc(sizeof(*made));
    *made = (struct peer_answer){.http_status = http_status, .body = *body};
    rk_buf_init(body, body->size_max);
    node->has_answered = true;
    http_server_complete(node->peer_server, exchange, made);
}

void node_refuse(struct node *node, struct http_exchange *exchange, uint32_t http_status,
                 const char *reason)
{
    struct rk_buf body;

    rk_log(RK_LOG_DEBUG, "peer", "refused", RK_TEXT("reason", reason), RK_END);
    rk_buf_init(&body, 4096);
    rk_buf_append_text(&body, reason);
    answer(node, exchange, http_status, &body);
}

void node_answer_buf(struct node *node, struct http_exchange *exchange, struct rk_buf *body)
{
    answer(node, exchange, 200, body);
}

void node_peer_complete(void *context, struct http_exchange *exchange, void *completion)
{
    struct peer_answer *made = completion;

    (void)context;
    respond(exchange, made->http_status, &made->body);
    rk_heap_free(made);
}

void node_peer_end(void *context, struct http_exchange *exchange)
{
    (void)context;
    (void)exchange; /* nothing hangs on it */
}

/* The core's answer to a request, on the exchange the request came by. */
void node_answer(struct node *node, const struct raft_message *message)
{
    struct http_exchange *exchange = (struct http_exchange *)(uintptr_t)message->request;
    struct wire_envelope envelope = node_envelope(node, message->to);
    struct rk_buf body;

    if (message->type == RAFT_HEARTBEAT_RESPONSE) {
        node_check_answer(node, node->decoded->envelope.check.index, &envelope.check);
    }
    rk_buf_init(&body, 4096);
    wire_encode_message(&envelope, message, NULL, (struct rk_bytes){0}, &body);
    RK_ASSERT(!body.overflowed);
    node_answer_buf(node, exchange, &body);
}

static struct cluster_id envelope_cluster(const struct wire_envelope *envelope)
{
    return (struct cluster_id){.high = envelope->cluster_high, .low = envelope->cluster_low};
}

/* Whoever leads was elected by a majority that knows its incarnation, and this node's log may be older
 * than the entry that wrote it down: it must not be kept from what would tell it (pitfall 85). A vote
 * would make such a leader, and an answer count for one: they wait until this node knows. */
static const char *incarnation_refusal(struct node *node, const struct wire_envelope *envelope,
                                       bool is_by_leader)
{
    struct peer *peer = node_peer(node, envelope->from);

    if (peer == NULL) {
        return NULL; /* not in this node's configuration, which may be old (pitfall 85) */
    }
    if (peer->incarnation == 0 && node->standing == STANDING_MEMBER &&
        !(is_by_leader && node->is_firm)) {
        return "the sender's incarnation is not written down yet";
    }
    if (peer->incarnation != 0 && peer->incarnation != envelope->from_incarnation) {
        return "the sender has another incarnation than the configuration says: its data "
               "directory was lost";
    }
    if (peer->incarnation == 0 && peer->heard_incarnation != 0 &&
        peer->heard_incarnation != envelope->from_incarnation) {
        return "the sender's incarnation changed while the cluster was being formed";
    }
    return NULL;
}

static const char *cluster_refusal(struct node *node, const struct wire_envelope *envelope)
{
    const struct cluster_id theirs = envelope_cluster(envelope);
    const bool is_known = node_peer(node, envelope->from) != NULL;

    switch (node->standing) {
    case STANDING_MEMBER:
        if (cluster_id_equal(theirs, node->membership.cluster)) {
            return NULL;
        }
        /* A member that has not got the first entry yet is of no cluster and tells the truth; and
         * while the own first entry is not committed, others may have made another. */
        return is_known && (!cluster_id_is_set(theirs) || !node->is_firm)
                   ? NULL
                   : "the sender is of another cluster";
    case STANDING_FORMING:
        return is_known ? NULL : "the sender was given another initial-cluster";
    case STANDING_CLAIMING:
        return cluster_id_equal(theirs, node->seen_cluster)
                   ? NULL
                   : "the sender is of another cluster, or of none yet";
    case STANDING_ASKING:
    case STANDING_REFUSED:
    case STANDING_REMOVED:
        return "this node is not a member of the cluster (yet)";
    }
    return NULL;
}

static const char *refusal(struct node *node, const struct wire_envelope *envelope,
                           bool is_by_leader)
{
    const char *reason = cluster_refusal(node, envelope);

    if (reason != NULL) {
        return reason;
    }
    if (envelope->from == node->id) {
        return "the sender has this node's id";
    }
    if (envelope->to != 0 && envelope->to != node->id) {
        return "the message is for another node";
    }
    if (envelope->election_timeout_ms != node->options->election_timeout_ms) {
        return "election-timeout differs from the sender's: it must be the same on all nodes";
    }
    reason = incarnation_refusal(node, envelope, is_by_leader);
    if (reason == NULL) {
        node_feature_heard(node, envelope);
    }
    return reason;
}

const char *node_envelope_refusal(struct node *node, const struct wire_envelope *envelope)
{
    return refusal(node, envelope, false);
}

const char *node_leader_refusal(struct node *node, const struct wire_envelope *envelope)
{
    return refusal(node, envelope, true);
}

/* -- messages for the core -- */

/* The core never looks into payloads: configurations are decoded for it. Returns NULL and the
 * count 0 when there are none; the caller frees. */
static enum rk_status decode_configs(struct wire_message *decoded, struct raft_config **ret)
{
    uint32_t count = 0;

    *ret = NULL;
    for (uint32_t i = 0; i < decoded->message.append_request.entries_count; i++) {
        count += decoded->entries[i].type == RAFT_ENTRY_CONFIG;
    }
    if (count == 0) {
        return RK_OK;
    }
    struct raft_config *configs = rk_heap_zalloc(count, sizeof(*configs));
    count = 0;
    for (uint32_t i = 0; i < decoded->message.append_request.entries_count; i++) {
        struct rk_frame frame;
        struct membership membership;
        uint32_t size = 0;
        if (decoded->entries[i].type != RAFT_ENTRY_CONFIG) {
            continue;
        }
        if (rk_frame_read(decoded->entries[i].frame, &frame, &size) != RK_OK ||
            membership_decode(frame.body, &membership) != RK_OK) {
            rk_heap_free(configs);
            return RK_CORRUPT;
        }
        membership_to_raft(&membership, &configs[count]);
        decoded->entries[i].config = &configs[count];
        count++;
    }
    *ret = configs;
    return RK_OK;
}

/* The body of an append with entries outlives its exchange: the tail and the disk hold it. */
static struct block *keep_body(struct rk_bytes body)
{
    struct rk_buf copy;

    rk_buf_init(&copy, RK_PEER_BODY_SIZE_MAX);
    rk_buf_append(&copy, body.data, body.size);
    RK_ASSERT(!copy.overflowed);
    return block_take(&copy);
}

/* The time is read again, since what the core counts a promise to the leader from may not be before
 * the message came; a lease relies on that. */
static void step_received(struct node *node, struct http_exchange *exchange)
{
    struct raft_message *message = &node->decoded->message;
    struct raft_config *configs = NULL;

    if (message->type == RAFT_APPEND_REQUEST && decode_configs(node->decoded, &configs) != RK_OK) {
        node_refuse(node, exchange, 400, "a configuration entry cannot be read");
        return;
    }
    node->now_ms = rk_monotonic_ms();
    const struct raft_event event = {
        .type = RAFT_EVENT_RECEIVED,
        .now_ms = node->now_ms,
        .message = message,
    };
    message->request = (uint64_t)(uintptr_t)exchange;
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
    rk_heap_free(configs);
    if (message->type == RAFT_HEARTBEAT_REQUEST) {
        node_check_question(node, &node->decoded->envelope);
    }
    if (message->type ==
        RAFT_TIMEOUT_NOW) { /* the core has nothing to say, the exchange must end */
        struct rk_buf nothing;
        rk_buf_init(&nothing, 0);
        node_answer_buf(node, exchange, &nothing);
    }
}

static bool is_leaders_request(enum raft_message_type type)
{
    return type == RAFT_APPEND_REQUEST || type == RAFT_HEARTBEAT_REQUEST;
}

const char *node_message_refusal(struct node *node, const struct wire_message *decoded)
{
    if (decoded->message.term > NODE_TERM_MAX) {
        return "the term is beyond any that elections come to";
    }
    if (node->check.differs > 0 &&
        (decoded->message.type == RAFT_VOTE_REQUEST || decoded->message.type == RAFT_TIMEOUT_NOW)) {
        return "this node's state differs from the others': it neither votes nor leads";
    }
    return refusal(node, &decoded->envelope, is_leaders_request(decoded->message.type));
}

void node_note_heard(struct node *node, const struct wire_envelope *envelope)
{
    struct peer *peer = node_peer(node, envelope->from);

    if (node->standing == STANDING_FORMING && peer != NULL) {
        peer->heard_incarnation = envelope->from_incarnation;
    }
}

/* Has the append overtaken the one before it? */
static bool is_early(const struct node *node, const struct raft_message *message)
{
    return message->type == RAFT_APPEND_REQUEST && message->from == node->view.leader &&
           message->term == node->view.hard_state.term &&
           message->append_request.entries_count > 0 &&
           message->append_request.previous.index > node->view.last.index;
}

/* False: there is no room for more of them. */
static bool hold_early(struct node *node, struct http_exchange *exchange,
                       const struct raft_append_request *append)
{
    if (node->early_count == NODE_EARLY_MAX) {
        return false;
    }
    if (node->early_count == 0) {
        node->early_since_ms = node->now_ms;
    }
    node->early[node->early_count] = (struct early){
        .exchange = exchange,
        .previous = append->previous.index,
    };
    node->early_count++;
    return true;
}

/* Decodes and steps one request, or holds it as early. `may_hold` false: the core says what is
 * missing. */
static void take_message(struct node *node, struct http_exchange *exchange, bool may_hold)
{
    const struct http_request *request = http_exchange_request(exchange);
    struct block *block = keep_body(request->body);
    const struct rk_bytes body = {.data = block->data, .size = (uint32_t)block->size};
    const char *reason = NULL;

    if (wire_decode_message(body, request->target, true, node->decoded, &reason) != RK_OK) {
        node_refuse(node, exchange, 400, reason);
    } else if ((reason = node_message_refusal(node, node->decoded)) != NULL) {
        node_refuse(node, exchange, 403, reason);
    } else if (!may_hold || !is_early(node, &node->decoded->message) ||
               !hold_early(node, exchange, &node->decoded->message.append_request)) {
        node_note_heard(node, &node->decoded->envelope);
        node->received = block;
        step_received(node, exchange);
        node->received = NULL;
    }
    block_unref(block);
}

/* Takes those out whose turn it is, or all. */
static uint32_t take_early(struct node *node, bool is_due, struct http_exchange **ret)
{
    uint32_t kept = 0;
    uint32_t taken = 0;

    for (uint32_t i = 0; i < node->early_count; i++) {
        if (is_due || node->early[i].previous <= node->view.last.index) {
            ret[taken] = node->early[i].exchange;
            taken++;
        } else {
            node->early[kept] = node->early[i];
            kept++;
        }
    }
    node->early_count = kept;
    return taken;
}

void node_release_early(struct node *node, bool is_due)
{
    struct http_exchange *taken[NODE_EARLY_MAX];

    for (uint32_t count = take_early(node, is_due, taken); count > 0;
         count = take_early(node, is_due, taken)) {
        for (uint32_t i = 0; i < count; i++) {
            take_message(node, taken[i], false);
        }
    }
}

/* A request that the server still takes in while it is being closed. */
static void respond_over(struct http_exchange *exchange)
{
    struct http_response response;

    http_response_init(&response, 4096);
    http_response_text(&response, 503, "this node is stopping");
    http_exchange_respond(exchange, &response);
}

static void dispatch(struct node *node, struct http_exchange *exchange,
                     const struct http_request *request)
{
    const char *path = request->target;

    if (request->method != HTTP_POST) {
        node_refuse(node, exchange, 405, "only POST is spoken here");
    } else if (strcmp(path, "/raft/vote") == 0 || strcmp(path, "/raft/append") == 0 ||
               strcmp(path, "/raft/timeout-now") == 0) {
        take_message(node, exchange, true);
    } else if (strcmp(path, "/raft/read-index") == 0) {
        node_read_index_received(node, exchange);
    } else if (strcmp(path, "/raft/forward") == 0) {
        node_forward_received(node, exchange);
    } else if (strcmp(path, "/raft/snapshot") == 0) {
        node_receiving_request(node, exchange);
    } else if (strcmp(path, "/raft/admin") == 0) {
        node_admin_received(node, exchange);
    } else if (strcmp(path, "/raft/identity") == 0) {
        node_identity_received(node, exchange, request->body);
    } else {
        node_refuse(node, exchange, 404, "no such peer endpoint");
    }
}

/* What can be answered at once (a heartbeat, a refusal) is: to suspend a request and take it up again
 * is three times the work. */
void node_peer_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct node *node = context;

    if (node->is_over) {
        respond_over(exchange);
        return;
    }
    node->is_turn_due = true;
    node->in_hand = exchange;
    dispatch(node, exchange, request);
    if (node->in_hand != NULL) {
        node->in_hand = NULL;
        http_exchange_suspend(exchange);
    }
}
