/* node_snapshot_receive.c -- the follower's side of InstallSnapshot (diss. 5).
 *
 * Every request is the leader's offer with a piece of the file, and goes through the core, which
 * says whether the snapshot is wanted (view.installing), not wanted any more, or already known. Only
 * what is wanted reaches the disk. Pieces are told apart by what they are of (entry, size, digest)
 * and where they stand, so late ones, duplicates and those of another snapshot change nothing
 * (pitfalls 69, 70).
 *
 *   pieces -> the file is whole: it is synced, renamed, read back, and a state built of it, beside the
 *   one in force -> noted down -> the core's INSTALLED -> log and configuration give way in one
 *   write, the state is swapped
 *
 * Until the last step nothing of the node has changed (pitfall 73); the answer that promises the
 * snapshot leaves when that write is durable (68). */
#include "base/assert.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"

/* The core's answers carry a number of the question. This one is of no exchange: which of them is
 * answered is decided here. */
enum { QUESTION_NUMBER = 1 };

static bool is_wanted(const struct node *node, struct raft_entry_id id)
{
    return node->view.installing.index == id.index && node->view.installing.term == id.term;
}

/* ---- answers ---- */

/* Of the question that is owed one; `over` NULL: more is wanted. */
static void answer(struct node *node, const struct raft_message *over)
{
    struct node_receiving *receiving = &node->snaps.receiving;
    struct wire_snapshot_answer made = {
        .envelope = node_envelope(node, receiving->from),
        .term = receiving->term, /* the own one may not be durable yet */
        .sequence = receiving->sequence,
        .offset = receiving->offset,
    };
    struct rk_buf body;

    if (receiving->exchange == NULL) {
        return;
    }
    if (over != NULL) {
        made.term = over->term;
        made.is_over = true;
        made.accepted = over->snapshot_response.accepted;
        made.match = over->snapshot_response.match;
    }
    rk_buf_init(&body, 8192);
    wire_encode_snapshot_answer(&made, &body);
    struct http_exchange *exchange = receiving->exchange;
    receiving->exchange = NULL;
    node_answer_buf(node, exchange, &body);
}

void node_receiving_answer(struct node *node, const struct raft_message *message)
{
    struct node_receiving *receiving = &node->snaps.receiving;

    if (message->snapshot_response.sequence != receiving->sequence ||
        message->to != receiving->from) {
        return; /* of an offer that another one has taken the place of */
    }
    if (receiving->is_stepping) {
        receiving->has_answer = true;
        receiving->answer = *message;
        return;
    }
    answer(node, message);
}

/* ---- the file ---- */

static void forget(struct node *node)
{
    struct node_receiving *receiving = &node->snaps.receiving;

    sm_free(receiving->sm);
    receiving->sm = NULL;
    receiving->state = RECEIVING_NOTHING;
    receiving->offset = 0;
}

static void step_failed(struct node *node, struct raft_entry_id id)
{
    const struct raft_event event = {
        .type = RAFT_EVENT_INSTALL_FAILED,
        .now_ms = node->now_ms,
        .boot_ms = rk_boottime_ms(),
        .snapshot = id,
    };
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
}

/* It cannot be had: the leader hears of it, and may offer again. */
static void give_up(struct node *node, enum rk_status why)
{
    const struct raft_entry_id id = node->snaps.receiving.ref.id;

    rk_log(RK_LOG_ERROR, "snapshot", "not_received", RK_U64("index", id.index),
           RK_TEXT("status", rk_status_text(why)), RK_END);
    forget(node);
    step_failed(node, id);
    answer(node, NULL); /* if the core had nothing to say any more */
    if (!node->snaps.is_noting) {
        node_snapshot_retain(node); /* what failed its checks goes */
    }
}

static void submit_build(struct node *node)
{
    struct snap_job *job = snap_job_new(SNAP_BUILD);

    node->snaps.receiving.state = RECEIVING_BUILD;
    job->info.ref = node->snaps.receiving.ref;
    snap_submit(node->snap_thread, job);
}

static void submit_piece(struct node *node, uint64_t offset, struct rk_bytes piece)
{
    struct node_receiving *receiving = &node->snaps.receiving;
    struct snap_job *job = snap_job_new(SNAP_RECEIVE);

    job->info.ref = receiving->ref;
    job->offset = offset;
    rk_buf_append(&job->bytes, piece.data, piece.size);
    receiving->is_busy = true;
    snap_submit(node->snap_thread, job);
}

/* Equal for equal configurations. */
static uint32_t check_of(const struct membership *membership)
{
    struct rk_buf config;

    rk_buf_init(&config, LOG_SNAPSHOT_CONFIG_SIZE_MAX);
    membership_encode(membership, &config);
    RK_ASSERT(rk_buf_status(&config) == RK_OK);
    const uint32_t check = rk_crc32c(0, config.data, config.size);
    rk_buf_done(&config);
    return check;
}

/* A piece of what is wanted. The answer waits for the worker, unless it has something else to do. */
static void take_piece(struct node *node, const struct wire_snapshot *question,
                       const struct membership *membership)
{
    struct node_receiving *receiving = &node->snaps.receiving;
    const struct snap_ref ref = {
        .id = question->last, .size = question->size, .digest = question->digest};

    if (receiving->state == RECEIVING_NOTHING ||
        (receiving->state == RECEIVING_PIECES && !snap_ref_equal(&receiving->ref, &ref))) {
        receiving->state = RECEIVING_PIECES;
        receiving->ref = ref;
        receiving->config_index = question->config_index;
        receiving->config_check = check_of(membership);
        receiving->offset = 0;
        receiving->is_said = false;
    }
    if (receiving->state != RECEIVING_PIECES || receiving->is_busy ||
        question->piece.size > SNAP_PIECE_SIZE) {
        answer(node, NULL);
        return;
    }
    submit_piece(node, question->offset, question->piece);
}

static void say_once(struct node_receiving *receiving)
{
    if (!receiving->is_said) {
        receiving->is_said = true;
        rk_log(RK_LOG_INFO, "snapshot", "receiving", RK_U64("index", receiving->ref.id.index),
               RK_U64("bytes", receiving->ref.size), RK_U64("offset", receiving->offset), RK_END);
    }
}

void node_receiving_piece(struct node *node, const struct snap_job *job)
{
    struct node_receiving *receiving = &node->snaps.receiving;

    receiving->is_busy = false;
    if (job->status == RK_IO) {
        node_end(node, job->status, "snapshot_failed", job->info.ref.id.index);
    }
    if (receiving->state != RECEIVING_PIECES || !snap_ref_equal(&receiving->ref, &job->info.ref)) {
        answer(node, NULL);
        return;
    }
    if (job->status != RK_OK) {
        give_up(node, job->status);
        return;
    }
    receiving->offset = job->offset;
    say_once(receiving);
    node->is_view_stale = true;
    answer(node, NULL);
    if (receiving->offset == receiving->ref.size) {
        submit_build(node);
    }
}

void node_receiving_built(struct node *node, struct snap_job *job)
{
    struct node_receiving *receiving = &node->snaps.receiving;

    RK_ASSERT(receiving->state == RECEIVING_BUILD);
    if (job->status == RK_IO) {
        node_end(node, job->status, "snapshot_failed", job->info.ref.id.index);
    }
    /* What the core was told must be what the file says; entry, size and digest, which covers the chain
     * too, the worker has compared. */
    if (job->status == RK_OK && (job->info.config_index != receiving->config_index ||
                                 check_of(&job->info.membership) != receiving->config_check)) {
        job->status = RK_CORRUPT;
    }
    if (job->status != RK_OK) {
        give_up(node, job->status);
        return;
    }
    receiving->state = RECEIVING_BUILT;
    receiving->info = job->info;
    receiving->sm = job->sm;
    job->sm = NULL;
}

void node_receiving_turn(struct node *node)
{
    struct node_receiving *receiving = &node->snaps.receiving;

    if (receiving->state != RECEIVING_BUILT || node->snaps.is_noting) {
        return;
    }
    if (!is_wanted(node, receiving->ref.id)) {
        forget(node);
        node_snapshot_retain(node);
        return;
    }
    if (!node_snapshot_has_place(node, receiving->ref.id.index)) {
        return; /* what this node sends, as it led until now, ends within a moment */
    }
    receiving->state = RECEIVING_NOTED;
    node_snapshot_note(node, &receiving->info);
}

/* ---- installing ---- */

void node_receiving_replace_log(struct node *node, const struct raft_snapshot *snapshot)
{
    const struct snap_info *info = &node->snaps.receiving.info;

    RK_ASSERT(node->snaps.receiving.state == RECEIVING_NOTED);
    RK_ASSERT(info->ref.id.index == snapshot->id.index);
    tail_done(&node->tail);
    tail_init(&node->tail, info->ref.id, info->chain);
    node->snaps.base = info->ref.id;
    node->snaps.base_chain = info->chain;
    node_truncate_pending(node, 1); /* what becomes of them, nobody here will see */
    node_membership_entered(node, &info->membership, info->config_index);
    node->membership_before = (struct membership){0};
    node->membership_before_index = 0;
    node->is_firm = true;
}

/* The state of the snapshot takes the place of the one in force; readers keep theirs. */
static void swap_state(struct node *node)
{
    struct node_receiving *receiving = &node->snaps.receiving;

    node_snapshot_succeed(node, receiving->sm);
    receiving->sm = NULL;
    node->last_applied = receiving->info.ref.id.index;
    node->applied_term = receiving->info.ref.id.term;
    node->applied_chain = receiving->info.chain;
    node->snaps.applied_bytes = 0;
    node->snaps.wanted_base = node->last_applied;
    cluster_time_note(&node->time, sm_publish(node->sm).time_ms, node->now_ms);
}

void node_receiving_noted(struct node *node)
{
    struct node_receiving *receiving = &node->snaps.receiving;
    const struct raft_event event = {
        .type = RAFT_EVENT_INSTALLED,
        .now_ms = node->now_ms,
        .boot_ms = rk_boottime_ms(),
        .snapshot = receiving->ref.id,
    };

    if (node_step(node, &event) == RK_OK) {
        swap_state(node);
        node_check_replaced(node);
        rk_log(RK_LOG_INFO, "snapshot", "installed", RK_U64("index", receiving->ref.id.index),
               RK_U64("term", receiving->ref.id.term), RK_END);
    }
    forget(node);
}

/* ---- the question ---- */

static void step_offer(struct node *node, const struct wire_snapshot *question,
                       const struct membership *membership)
{
    struct node_receiving *receiving = &node->snaps.receiving;
    struct raft_snapshot snapshot = {.id = question->last, .config_index = question->config_index};
    const struct raft_message message = {
        .type = RAFT_SNAPSHOT_REQUEST,
        .from = question->envelope.from,
        .to = node->id,
        .term = question->term,
        .request = QUESTION_NUMBER,
        .snapshot_request = {.snapshot = &snapshot, .sequence = question->sequence},
    };
    const struct raft_event event = {
        .type = RAFT_EVENT_RECEIVED,
        .now_ms = node->now_ms,
        .boot_ms = rk_boottime_ms(),
        .message = &message,
    };

    membership_to_raft(membership, &snapshot.config);
    receiving->is_stepping = true;
    receiving->has_answer = false;
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
    receiving->is_stepping = false;
}

static const char *refusal(struct node *node, struct rk_bytes body, struct wire_snapshot *question,
                           struct membership *membership, uint32_t *ret_status)
{
    const char *reason = NULL;

    *ret_status = 400;
    if (wire_decode_snapshot(body, question, &reason) != RK_OK) {
        return reason;
    }
    if (membership_decode(question->config, membership) != RK_OK) {
        return "the configuration cannot be read";
    }
    *ret_status = 403;
    if (question->term > NODE_TERM_MAX) {
        return "the term is beyond any that elections come to";
    }
    return node_leader_refusal(node, &question->envelope);
}

void node_receiving_request(struct node *node, struct http_exchange *exchange)
{
    struct node_receiving *receiving = &node->snaps.receiving;
    struct wire_snapshot question;
    struct membership membership;
    uint32_t http_status = 0;
    const char *reason =
        refusal(node, http_exchange_request(exchange)->body, &question, &membership, &http_status);

    if (reason != NULL) {
        node_refuse(node, exchange, http_status, reason);
        return;
    }
    node_note_heard(node, &question.envelope);
    answer(node, NULL); /* the question before this one is over */
    receiving->exchange = exchange;
    receiving->from = question.envelope.from;
    receiving->sequence = question.sequence;
    receiving->term = question.term;
    step_offer(node, &question, &membership);
    if (receiving->has_answer) {
        answer(node, &receiving->answer);
    } else if (is_wanted(node, question.last)) {
        take_piece(node, &question, &membership);
    }
}
