/* node_snapshot_send.c -- the leader's side of InstallSnapshot (diss. 5): the file in pieces, one on
 * its way to a peer at a time, each with the whole offer. The peer says how much it has, so nothing
 * here needs to be remembered over a break: after one the core offers again, and the transfer goes
 * on from the peer's word. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"

enum {
    BODY_SIZE_MAX = SNAP_PIECE_SIZE + WIRE_SNAPSHOT_CONFIG_SIZE_MAX + 8192,
};

_Static_assert((int)BODY_SIZE_MAX <= (int)RK_PEER_BODY_SIZE_MAX,
               "a piece fits the receiver's limit");

bool node_sending_uses(const struct node *node, struct raft_entry_id id)
{
    for (uint32_t i = 0; i < node->peers_count; i++) {
        const struct node_sending *sending = &node->peers[i].sending;
        if (sending->is_active && sending->ref.id.index == id.index &&
            sending->ref.id.term == id.term) {
            return true;
        }
    }
    return false;
}

static void fail(struct node_sending *sending)
{
    sending->is_active = false;
    sending->is_failed_due = true;
}

static void post(struct node *node, struct peer *peer, struct rk_bytes piece)
{
    struct node_sending *sending = &peer->sending;
    const struct snap_info *info = node_snapshot_find(node, sending->ref.id);
    struct rk_buf config;
    struct rk_buf body;

    if (info == NULL) {
        fail(sending);
        return;
    }
    rk_buf_init(&config, WIRE_SNAPSHOT_CONFIG_SIZE_MAX);
    rk_buf_init(&body, BODY_SIZE_MAX);
    membership_encode(&info->membership, &config);
    const struct wire_snapshot question = {
        .envelope = node_envelope(node, peer->id),
        .term = sending->term,
        .last = sending->ref.id,
        .config_index = info->config_index,
        .sequence = sending->sequence,
        .size = sending->ref.size,
        .digest = sending->ref.digest,
        .offset = sending->offset,
        .config = rk_buf_bytes(&config),
        .piece = piece,
    };
    wire_encode_snapshot(&question, &body);
    RK_ASSERT(rk_buf_status(&body) == RK_OK && rk_buf_status(&config) == RK_OK);
    rk_buf_done(&config);
    struct outgoing *outgoing = node_outgoing_new(node, OUTGOING_SNAPSHOT, peer->id);
    outgoing->term = sending->term;
    outgoing->sequence = sending->sequence;
    sending->is_busy = true;
    /* The rate is that of pieces leaving; what the answer takes longer is not made up for. */
    sending->due_ms = node->now_ms + (uint64_t)piece.size * 1000 / node->options->snapshot_rate;
    if (node_post(node, LINK_SNAPSHOT, "/raft/snapshot", &body, NODE_SNAPSHOT_TIMEOUT_MS,
                  outgoing) != RK_OK) {
        node_outgoing_free(node, outgoing);
        sending->is_busy = false;
        fail(sending);
    }
}

static bool is_current(const struct node *node, const struct node_sending *sending)
{
    return node->view.role == RAFT_LEADER && node->view.hard_state.term == sending->term;
}

/* Sends what is next, if it may leave now. */
static void pump(struct node *node, struct peer *peer)
{
    struct node_sending *sending = &peer->sending;

    if (!sending->is_active || sending->is_busy || node->now_ms < sending->due_ms) {
        return;
    }
    if (!is_current(node, sending)) {
        sending->is_active = false;
        return;
    }
    if (!sending->is_asked || sending->offset >= sending->ref.size) {
        post(node, peer, (struct rk_bytes){0});
        return;
    }
    struct snap_job *job = snap_job_new(SNAP_PIECE);
    job->peer = peer->id;
    job->info.ref = sending->ref;
    job->offset = sending->offset;
    sending->is_busy = true;
    snap_submit(node->snap_thread, job);
}

void node_sending_begin(struct node *node, struct peer *peer, const struct raft_message *offer)
{
    const struct raft_entry_id id = offer->snapshot_request.snapshot->id;
    const struct snap_info *info = node_snapshot_find(node, id);

    if (info == NULL) { /* one from a leader took its place here, and then was not wanted */
        fail(&peer->sending);
        return;
    }
    const bool waits = peer->snapshot_retry_ms > node->now_ms;
    const bool is_busy = peer->sending.is_busy; /* what is under way is of the offer before */
    peer->sending = (struct node_sending){
        .is_active = true,
        .term = offer->term,
        .sequence = offer->snapshot_request.sequence,
        .ref = info->ref,
        .is_busy = is_busy,
        .due_ms = waits ? peer->snapshot_retry_ms : node->now_ms,
    };
    if (!waits) {
        rk_log(RK_LOG_INFO, "snapshot", "sending", RK_TEXT("peer", peer->name),
               RK_U64("index", id.index), RK_U64("bytes", info->ref.size), RK_END);
    }
    pump(node, peer);
}

void node_sending_piece(struct node *node, struct snap_job *job)
{
    struct peer *peer = node_peer(node, job->peer);

    if (peer == NULL) {
        return;
    }
    struct node_sending *sending = &peer->sending;
    sending->is_busy = false;
    if (!sending->is_active || sending->ref.id.index != job->info.ref.id.index ||
        sending->offset != job->offset) {
        pump(node, peer);
        return;
    }
    if (job->status != RK_OK || job->bytes.size == 0) {
        rk_log(RK_LOG_ERROR, "snapshot", "unreadable", RK_U64("index", job->info.ref.id.index),
               RK_TEXT("status", rk_status_text(job->status)), RK_END);
        fail(sending);
        return;
    }
    post(node, peer, rk_buf_bytes(&job->bytes));
}

/* ---- answers ---- */

static void step_for(struct node *node, const struct peer *peer, enum raft_event_type type)
{
    const struct raft_event event = {
        .type = type,
        .now_ms = node->now_ms,
        .boot_ms = rk_boottime_ms(),
        .peer = peer->id,
    };
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
}

/* A full disk over there does not get emptier by being asked at every heartbeat. */
static void note_outcome(struct node *node, struct peer *peer, bool is_accepted)
{
    uint64_t wait_ms = NODE_SNAPSHOT_REFUSED_MS;

    if (is_accepted) {
        peer->snapshots_refused = 0;
        peer->snapshot_retry_ms = 0;
        return;
    }
    for (uint32_t i = 0; i < peer->snapshots_refused && wait_ms < NODE_SNAPSHOT_REFUSED_MAX_MS;
         i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms < NODE_SNAPSHOT_REFUSED_MAX_MS ? wait_ms : NODE_SNAPSHOT_REFUSED_MAX_MS;
    peer->snapshots_refused++;
    peer->snapshot_retry_ms = node->now_ms + wait_ms;
}

static void step_over(struct node *node, struct peer *peer,
                      const struct wire_snapshot_answer *answer)
{
    const struct raft_message message = {
        .type = RAFT_SNAPSHOT_RESPONSE,
        .from = peer->id,
        .to = node->id,
        .term = answer->term,
        .snapshot_response = {.accepted = answer->accepted,
                              .match = answer->match,
                              .sequence = answer->sequence},
    };
    const struct raft_event event = {
        .type = RAFT_EVENT_RECEIVED,
        .now_ms = node->now_ms,
        .boot_ms = rk_boottime_ms(),
        .message = &message,
    };

    rk_log(RK_LOG_INFO, "snapshot", answer->accepted ? "sent" : "not_taken",
           RK_TEXT("peer", peer->name), RK_U64("match", answer->match), RK_END);
    peer->sending.is_active = false;
    note_outcome(node, peer, answer->accepted);
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
}

/* Pitfall 71: what a receiver needs afterwards is kept in the log, but not without bound. */
static bool takes_too_long(const struct node *node, const struct node_sending *sending)
{
    return node->view.last.index - sending->ref.id.index > node_snapshot_lag_max(node);
}

static void progressed(struct node *node, struct peer *peer,
                       const struct wire_snapshot_answer *answer)
{
    struct node_sending *sending = &peer->sending;

    if (answer->offset > sending->ref.size || takes_too_long(node, sending)) {
        fail(sending);
        return;
    }
    if (answer->offset == sending->offset && sending->is_asked) {
        sending->due_ms = node->now_ms + NODE_SNAPSHOT_POLL_MS; /* it is busy */
    }
    if (!sending->is_asked && answer->offset > 0) {
        rk_log(RK_LOG_INFO, "snapshot", "going_on", RK_TEXT("peer", peer->name),
               RK_U64("offset", answer->offset), RK_END);
    }
    sending->is_asked = true;
    sending->offset = answer->offset;
    node->is_view_stale = true;
    step_for(node, peer, RAFT_EVENT_SNAPSHOT_PROGRESS);
}

static void take_answer(struct node *node, struct peer *peer, const struct link_result *result)
{
    struct wire_snapshot_answer answer;
    const char *reason = NULL;

    if (result->status != RK_OK || result->http_status != 200 ||
        wire_decode_snapshot_answer(result->body, &answer, &reason) != RK_OK ||
        answer.term > NODE_TERM_MAX || node_envelope_refusal(node, &answer.envelope) != NULL ||
        answer.envelope.from != peer->id) {
        fail(&peer->sending);
    } else if (answer.is_over) {
        step_over(node, peer, &answer);
    } else {
        progressed(node, peer, &answer);
    }
}

void node_sending_result(struct node *node, struct outgoing *outgoing,
                         const struct link_result *result)
{
    struct peer *peer = node_peer(node, outgoing->peer);

    if (peer == NULL) {
        return;
    }
    peer->sending.is_busy = false;
    if (peer->sending.is_active && peer->sending.sequence == outgoing->sequence &&
        peer->sending.term == outgoing->term) {
        take_answer(node, peer, result);
    }
    pump(node, peer);
}

/* ---- a turn ---- */

/* The core is told outside of any step: a step may not be entered from inside another. */
void node_sending_turn(struct node *node)
{
    for (uint32_t i = 0; i < node->peers_count; i++) {
        struct peer *peer = &node->peers[i];
        if (peer->sending.is_failed_due) {
            peer->sending.is_failed_due = false;
            step_for(node, peer, RAFT_EVENT_SNAPSHOT_FAILED);
        }
        pump(node, peer);
    }
}

uint64_t node_sending_deadline_ms(const struct node *node)
{
    uint64_t deadline_ms = UINT64_MAX;

    for (uint32_t i = 0; i < node->peers_count; i++) {
        const struct node_sending *sending = &node->peers[i].sending;
        if (sending->is_failed_due) {
            return node->now_ms;
        }
        if (sending->is_active && !sending->is_busy && sending->due_ms < deadline_ms) {
            deadline_ms = sending->due_ms;
        }
    }
    return deadline_ms;
}
