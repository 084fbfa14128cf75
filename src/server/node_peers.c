/* node_peers.c -- messages out: votes and heartbeats at once on their own connections, entries on
 * others, in batches bounded by bytes, filled in from the tail or, where that has gone on, from
 * the disk. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"

enum {
    HEARTBEATS_IN_FLIGHT_MAX = 2,
    BACKOFF_MS_MIN = 20,
    BACKOFF_MS_MAX = 1000,

    /* So many times as long as a read for a peer that lags took, the disk is the writes' alone: read
     * upon read, each batch of writes waited for one. */
    READ_PAUSE_FACTOR = 2,
    READ_PAUSE_MS_MAX = 50, /* the disk may have stood still for other reasons */
};

struct peer *node_peer(struct node *node, raft_node_id id)
{
    for (uint32_t i = 0; i < node->peers_count; i++) {
        if (node->peers[i].id == id) {
            return &node->peers[i];
        }
    }
    return NULL;
}

struct wire_envelope node_envelope(const struct node *node, raft_node_id to)
{
    struct cluster_id cluster = node->membership.cluster;

    if (node->standing == STANDING_CLAIMING) {
        cluster = node->seen_cluster;
    } else if (!node->is_firm) {
        /* What the first entry calls the cluster may yet give way to another; said aloud, it would
         * keep those away who could tell. */
        cluster = (struct cluster_id){0};
    }
    return (struct wire_envelope){
        .cluster_high = cluster.high,
        .cluster_low = cluster.low,
        .from = node->id,
        .to = to,
        .from_incarnation = node->incarnation,
        .feature_level = node->options->feature_level_max,
        .protocol = RK_PROTOCOL_VERSION,
        .election_timeout_ms = node->options->election_timeout_ms,
    };
}

struct outgoing *node_outgoing_new(struct node *node, enum outgoing_type type, raft_node_id peer)
{
    struct outgoing *outgoing = rk_heap_zalloc(1, sizeof(*outgoing));

    outgoing->type = type;
    outgoing->peer = peer;
    outgoing->next = node->outgoings;
    if (outgoing->next != NULL) {
        outgoing->next->previous = outgoing;
    }
    node->outgoings = outgoing;
    return outgoing;
}

void node_outgoing_free(struct node *node, struct outgoing *outgoing)
{
    if (outgoing->next != NULL) {
        outgoing->next->previous = outgoing->previous;
    }
    if (outgoing->previous != NULL) {
        outgoing->previous->next = outgoing->next;
    } else {
        node->outgoings = outgoing->next;
    }
    rk_heap_free(outgoing);
}

enum rk_status node_post(struct node *node, enum link_class class, const char *path,
                         struct rk_buf *body, uint32_t timeout_ms, struct outgoing *outgoing)
{
    const struct peer *peer = node_peer(node, outgoing->peer);

    if (peer == NULL) {
        rk_buf_done(body);
        return RK_INVALID;
    }
    return link_post(node->link, class, peer->address, path, body, timeout_ms,
                     (uint64_t)(uintptr_t)outgoing);
}

static enum rk_status post_message(struct node *node, struct peer *peer, enum link_class class,
                                   const struct raft_message *message, struct rk_buf *body)
{
    struct outgoing *outgoing = node_outgoing_new(node, OUTGOING_MESSAGE, peer->id);

    outgoing->message_type = message->type;
    outgoing->term = message->term;
    outgoing->bytes = body->size;
    outgoing->sent_us = message->type == RAFT_APPEND_REQUEST ? rk_monotonic_us() : 0;
    const enum rk_status status =
        node_post(node, class, wire_path(message->type), body,
                  class == LINK_CONTROL ? node->options->election_timeout_ms
                                        : 4 * node->options->election_timeout_ms,
                  outgoing);
    if (status != RK_OK) {
        node_outgoing_free(node, outgoing);
    }
    return status;
}

static void send_control(struct node *node, struct peer *peer, const struct raft_message *message)
{
    struct wire_envelope envelope = node_envelope(node, peer->id);
    struct rk_buf body;

    if (message->type == RAFT_HEARTBEAT_REQUEST) {
        node_check_ask(node, peer, &envelope.check);
        if (peer->heartbeats_in_flight >= HEARTBEATS_IN_FLIGHT_MAX) {
            peer->has_heartbeat_waiting = true;
            peer->heartbeat_waiting = *message;
            return;
        }
        peer->heartbeats_in_flight++;
    }
    rk_buf_init(&body, 4096);
    wire_encode_message(&envelope, message, NULL, (struct rk_bytes){0}, &body);
    if (post_message(node, peer, LINK_CONTROL, message, &body) != RK_OK &&
        message->type == RAFT_HEARTBEAT_REQUEST) {
        peer->heartbeats_in_flight--;
    }
}

/* -- appends -- */

static struct raft_message *appends_first(struct peer *peer)
{
    return &peer->appends[peer->appends_head];
}

static void appends_pop(struct peer *peer)
{
    peer->appends_head = (peer->appends_head + 1) % NODE_PEER_APPENDS_MAX;
    peer->appends_count--;
}

static void appends_push(struct peer *peer, const struct raft_message *message)
{
    if (peer->appends_count == NODE_PEER_APPENDS_MAX) {
        peer->is_unreachable_due = true;
        return;
    }
    const uint32_t at = (peer->appends_head + peer->appends_count) % NODE_PEER_APPENDS_MAX;
    peer->appends[at] = *message;
    peer->appends_count++;
}

/* Sends `frames` as the first entries of the append at the head of the queue; the rest of its
 * entries, if any, stay there as an append of its own. */
static void send_append(struct node *node, struct peer *peer, uint64_t previous_chain,
                        struct rk_bytes frames, struct raft_entry_id last)
{
    struct raft_message *first = appends_first(peer);
    struct raft_message message = *first;
    const struct wire_envelope envelope = node_envelope(node, peer->id);
    const struct wire_append_extra extra = {.previous_chain = previous_chain};
    struct rk_buf body;

    message.append_request.entries_last = last.index;
    message.append_request.entries_count =
        (uint32_t)(last.index - message.append_request.previous.index);
    rk_buf_init(&body, RK_PEER_BODY_SIZE_MAX);
    wire_encode_message(&envelope, &message, &extra, frames, &body);
    if (last.index == first->append_request.entries_last) {
        appends_pop(peer);
    } else {
        first->append_request.previous = last;
    }
    const uint64_t bytes = body.size;
    if (post_message(node, peer, LINK_BULK, &message, &body) != RK_OK) {
        peer->is_unreachable_due = true;
        return;
    }
    peer->bytes_in_flight += bytes;
    rk_meter_add(node->meter, RK_MEASURE_APPEND_ENTRIES, message.append_request.entries_count, 1);
    rk_meter_add(node->meter, RK_MEASURE_APPEND_BYTES, bytes, 1);
}

static void read_for_peer(struct node *node, struct peer *peer, raft_index last)
{
    const struct raft_append_request *append = &appends_first(peer)->append_request;
    struct disk_job *job = disk_job_new(DISK_READ);

    job->cookie = peer->id;
    /* From the entry before, for its chain; that before the log's first is known. */
    job->first = append->previous.index > node->snaps.base.index ? append->previous.index
                                                                 : append->previous.index + 1;
    job->last = last;
    /* The entry before may be of any size, and at least one after it must come along. */
    job->bytes_max = RK_APPEND_BYTES_TARGET + RK_FRAME_SIZE_MAX;
    peer->is_reading = true;
    peer->reading_term = node->view.hard_state.term;
    peer->read_commit = node->view.commit_index;
    node_disk_submit(node, job);
}

/* A peer without which nothing commits is waited for, and keeps nobody waiting. */
static void pause_reading(struct node *node, struct peer *peer, uint64_t took_us)
{
    const uint64_t pause_ms = 1 + READ_PAUSE_FACTOR * took_us / 1000;

    if (node->view.commit_index > peer->read_commit) {
        peer->read_due_ms =
            node->now_ms + (pause_ms < READ_PAUSE_MS_MAX ? pause_ms : READ_PAUSE_MS_MAX);
    }
}

/* The entries come from the tail: one copy, into the body. */
static void send_from_tail(struct node *node, struct peer *peer, uint64_t previous_chain)
{
    const struct raft_append_request *append = &appends_first(peer)->append_request;
    struct raft_entry_id last = append->previous;
    struct rk_buf frames;

    rk_buf_init(&frames, RK_APPEND_BYTES_TARGET + RK_FRAME_SIZE_MAX);
    while (last.index < append->entries_last && frames.size < RK_APPEND_BYTES_TARGET) {
        const struct tail_entry *entry = tail_get(&node->tail, last.index + 1);
        if (entry == NULL) {
            break;
        }
        rk_buf_append(&frames, entry->frame.data, entry->frame.size);
        last = (struct raft_entry_id){.term = entry->term, .index = last.index + 1};
    }
    send_append(node, peer, previous_chain, rk_buf_bytes(&frames), last);
    rk_buf_done(&frames);
}

/* An append is worth sending while this node still leads its term. */
static bool append_is_current(const struct node *node, const struct raft_message *message)
{
    return node->view.role == RAFT_LEADER && message->term == node->view.hard_state.term;
}

static void pump_appends(struct node *node, struct peer *peer)
{
    if (peer->appends_count > 0 && !peer_health_may_send_bulk(&peer->health, node->now_ms)) {
        peer->is_unreachable_due = true; /* an answered heartbeat ends the back-off */
    }
    while (peer->appends_count > 0 && !peer->is_reading && !peer->is_unreachable_due &&
           peer->bytes_in_flight < NODE_PEER_BYTES_MAX) {
        const struct raft_append_request *append = &appends_first(peer)->append_request;
        uint64_t chain = 0;

        if (!append_is_current(node, appends_first(peer))) {
            appends_pop(peer);
        } else if (append->previous.index == 0 && node->tail.first == 1) {
            send_from_tail(node, peer, 0);
        } else if (tail_chain(&node->tail, append->previous.index, &chain)) {
            send_from_tail(node, peer, chain);
        } else if (append->previous.index < node->snaps.base.index) {
            peer->is_unreachable_due = true; /* cut off meanwhile: the core knows what it gets */
        } else {
            const bool is_probe = append->entries_last == append->previous.index;
            if (is_probe && append->previous.index == node->snaps.base.index) {
                send_append(node, peer, node->snaps.base_chain, (struct rk_bytes){0},
                            append->previous);
                continue;
            }
            if (node->now_ms < peer->read_due_ms) {
                return;
            }
            read_for_peer(node, peer, append->entries_last);
        }
    }
}

void node_appends_turn(struct node *node)
{
    for (uint32_t i = 0; i < node->peers_count; i++) {
        struct peer *peer = &node->peers[i];
        if (peer->read_due_ms != 0 && node->now_ms >= peer->read_due_ms) {
            peer->read_due_ms = 0;
            pump_appends(node, peer);
        }
    }
}

uint64_t node_appends_deadline_ms(const struct node *node)
{
    uint64_t deadline_ms = UINT64_MAX;

    for (uint32_t i = 0; i < node->peers_count; i++) {
        const struct peer *peer = &node->peers[i];
        if (peer->read_due_ms != 0 && peer->read_due_ms < deadline_ms) {
            deadline_ms = peer->read_due_ms;
        }
    }
    return deadline_ms;
}

/* Cuts the entry `previous` itself off the front of what was read, keeping its chain; the one before
 * the log's first was not read. */
static bool cut_previous(const struct node *node, struct rk_bytes *frames, raft_index previous,
                         uint64_t *ret_chain)
{
    struct rk_frame frame;
    uint32_t size = 0;

    if (rk_frame_read(*frames, &frame, &size) != RK_OK) {
        return false;
    }
    if (frame.index == previous + 1 && previous == node->snaps.base.index) {
        *ret_chain = node->snaps.base_chain;
        return true;
    }
    if (frame.index != previous) {
        return false;
    }
    *ret_chain = frame.chain;
    frames->data += size;
    frames->size -= size;
    return true;
}

static struct raft_entry_id last_of(struct rk_bytes frames, struct raft_entry_id previous)
{
    struct rk_frame frame;
    uint32_t size = 0;

    while (frames.size > 0 && rk_frame_read(frames, &frame, &size) == RK_OK) {
        previous = (struct raft_entry_id){.term = frame.term, .index = frame.index};
        frames.data += size;
        frames.size -= size;
    }
    return previous;
}

void node_append_read(struct node *node, struct disk_job *job)
{
    struct peer *peer = node_peer(node, job->cookie);
    uint64_t chain = 0;

    if (job->status != RK_OK && job->status != RK_COMPACTED) {
        node_end(node, job->status, "log_read_failed", job->first);
    }
    if (peer == NULL) {
        return;
    }
    peer->is_reading = false;
    pause_reading(node, peer, job->took_us);
    if (job->status == RK_COMPACTED) { /* meanwhile; the core knows what it gets instead */
        peer->is_unreachable_due = true;
        return;
    }
    if (peer->appends_count == 0 || !append_is_current(node, appends_first(peer)) ||
        peer->reading_term != node->view.hard_state.term) {
        pump_appends(node, peer);
        return;
    }
    struct rk_bytes frames = rk_buf_bytes(&job->frames);
    const struct raft_entry_id previous = appends_first(peer)->append_request.previous;
    if (!cut_previous(node, &frames, previous.index, &chain)) {
        /* The queue has moved on since: look again. */
        pump_appends(node, peer);
        return;
    }
    send_append(node, peer, chain, frames, last_of(frames, previous));
    pump_appends(node, peer);
}

void node_send(struct node *node, const struct raft_message *message)
{
    if (message->type == RAFT_SNAPSHOT_RESPONSE) {
        node_receiving_answer(node, message);
        return;
    }
    if (message->request != 0) {
        node_answer(node, message);
        return;
    }
    if (node->check.differs > 0 && message->type == RAFT_VOTE_REQUEST) {
        return; /* it may lead nobody */
    }
    if (node->standing == STANDING_REMOVED) {
        return; /* its questions are nobody's business any more (pitfall 85) */
    }
    struct peer *peer = node_peer(node, message->to);
    if (peer == NULL) {
        return; /* left the configuration meanwhile */
    }
    if (message->type == RAFT_SNAPSHOT_REQUEST) {
        node_sending_begin(node, peer, message);
        return;
    }
    if (message->type == RAFT_APPEND_REQUEST) {
        appends_push(peer, message);
        pump_appends(node, peer);
        return;
    }
    send_control(node, peer, message);
}

/* Asked of the core outside of any step: a step may not be entered from inside another. */
void node_report_unreachable(struct node *node)
{
    for (uint32_t i = 0; i < node->peers_count; i++) {
        struct peer *peer = &node->peers[i];
        if (!peer->is_unreachable_due) {
            continue;
        }
        peer->is_unreachable_due = false;
        peer->appends_count = 0;
        const struct raft_event event = {
            .type = RAFT_EVENT_UNREACHABLE,
            .now_ms = node->now_ms,
            .peer = peer->id,
        };
        const enum rk_status status = node_step(node, &event);
        RK_ASSERT(status == RK_OK);
    }
}

/* -- results -- */

static void peer_failed(struct node *node, struct peer *peer, const char *reason)
{
    peer_health_failure(&peer->health, node->now_ms, BACKOFF_MS_MIN, BACKOFF_MS_MAX, &node->prng);
    if (!peer->health.is_reported_down) {
        peer->health.is_reported_down = true;
        rk_log(RK_LOG_WARN, "peer", "unreachable", RK_TEXT("peer", peer->name),
               RK_TEXT("address", peer->address), RK_TEXT("reason", reason), RK_END);
    }
}

static void peer_answered(struct node *node, struct peer *peer)
{
    if (peer->health.is_reported_down) {
        rk_log(RK_LOG_INFO, "peer", "reachable", RK_TEXT("peer", peer->name),
               RK_TEXT("address", peer->address), RK_END);
    }
    peer_health_success(&peer->health, node->now_ms);
    peer->health.is_reported_down = false;
    peer->is_refusal_reported = false;
}

/* What was there last has answered as this member. */
bool node_peer_is_itself(const struct peer *peer)
{
    return !peer->health.is_reported_down && !peer->is_refusal_reported;
}

static void log_refusal(struct peer *peer, struct rk_bytes body)
{
    char text[160];
    const uint32_t size = body.size < sizeof(text) - 1 ? body.size : (uint32_t)sizeof(text) - 1;

    if (peer->is_refusal_reported) {
        return;
    }
    for (uint32_t i = 0; i < size; i++) {
        text[i] = (char)body.data[i];
    }
    text[size] = '\0';
    peer->is_refusal_reported = true;
    rk_log(RK_LOG_WARN, "peer", "refused_by_peer", RK_TEXT("peer", peer->name),
           RK_TEXT("reason", text), RK_END);
}

static void step_answer(struct node *node, const struct link_result *result,
                        const struct outgoing *outgoing, struct peer *peer)
{
    const char *reason = NULL;

    if (wire_decode_message(result->body, wire_path(outgoing->message_type), false, node->decoded,
                            &reason) != RK_OK) {
        peer_failed(node, peer, reason);
        return;
    }
    reason = node_message_refusal(node, node->decoded);
    if (reason != NULL || node->decoded->message.from != peer->id) {
        return; /* an answer of somebody else's: never counted */
    }
    peer_answered(node, peer);
    node_note_heard(node, &node->decoded->envelope);
    if (node->decoded->message.type == RAFT_HEARTBEAT_RESPONSE) {
        node_check_heard(node, peer, &node->decoded->envelope.check);
    }
    node->decoded->message.request = 0;
    const struct raft_event event = {
        .type = RAFT_EVENT_RECEIVED,
        .now_ms = node->now_ms,
        .message = &node->decoded->message,
    };
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
}

/* A peer that left and came back began to count anew. */
static uint64_t bytes_of(const struct peer *peer, const struct outgoing *outgoing)
{
    return outgoing->bytes < peer->bytes_in_flight ? outgoing->bytes : peer->bytes_in_flight;
}

static void measure_answered(struct node *node, const struct outgoing *outgoing)
{
    if (outgoing->sent_us != 0) {
        rk_meter_since(node->meter, RK_MEASURE_APPEND, outgoing->sent_us, rk_monotonic_us(), 1);
    }
}

static void message_result(struct node *node, const struct outgoing *outgoing,
                           const struct link_result *result)
{
    struct peer *peer = node_peer(node, outgoing->peer);

    if (peer == NULL) {
        return;
    }
    if (outgoing->message_type == RAFT_HEARTBEAT_REQUEST) {
        peer->heartbeats_in_flight -= peer->heartbeats_in_flight > 0;
    }
    if (outgoing->message_type == RAFT_APPEND_REQUEST) {
        peer->bytes_in_flight -= bytes_of(peer, outgoing);
    }
    if (result->status == RK_OK && result->http_status == 200) {
        measure_answered(node, outgoing);
        if (outgoing->message_type == RAFT_TIMEOUT_NOW) {
            peer_answered(node, peer); /* it says nothing but that it came */
        } else {
            step_answer(node, result, outgoing, peer);
        }
    } else {
        if (result->status == RK_OK) {
            log_refusal(peer, result->body);
        } else {
            peer_failed(node, peer,
                        result->status == RK_NOT_FOUND ? "nobody listens there"
                                                       : "no whole answer came in time");
        }
        if (outgoing->message_type == RAFT_APPEND_REQUEST) {
            peer->is_unreachable_due = true;
        }
    }
    if (peer->has_heartbeat_waiting) {
        peer->has_heartbeat_waiting = false;
        if (append_is_current(node, &peer->heartbeat_waiting)) {
            send_control(node, peer, &peer->heartbeat_waiting);
        }
    }
    pump_appends(node, peer);
}

void node_link_result(void *context, const struct link_result *result)
{
    struct node *node = context;
    struct outgoing *outgoing = (struct outgoing *)(uintptr_t)result->cookie;

    node->now_ms = rk_monotonic_ms();
    node->is_turn_due = true;
    switch (outgoing->type) {
    case OUTGOING_MESSAGE:
        message_result(node, outgoing, result);
        break;
    case OUTGOING_IDENTITY:
        node_identity_result(node, outgoing, result);
        break;
    case OUTGOING_READ_INDEX:
        node_read_index_result(node, outgoing, result);
        break;
    case OUTGOING_ADMIN:
        node_admin_result(node, outgoing, result);
        break;
    case OUTGOING_FORWARD:
        node_forward_result(node, outgoing, result);
        break;
    case OUTGOING_SNAPSHOT:
        node_sending_result(node, outgoing, result);
        break;
    }
    node_outgoing_free(node, outgoing);
}
