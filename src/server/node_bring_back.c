/* node_bring_back.c -- PUT /v1/snapshot: a backup replaces the whole state, through the log.
 *
 * Whichever node was sent the backup drives it: it checks it whole, and then sends its parts as
 * writes of its own, a piece at a time, each piece once the one before is applied. On a follower they go
 * to the leader like any other write. So nothing new moves bytes between nodes, and a backup may be of
 * any size.
 *
 * The parts count only one behind the other (statemachine/restore.h). For that the leader, from the
 * beginning that it proposes to the end, takes no other write: the gate. It opens by itself when
 * nobody has gone on for a while. A new leader's first entry ends the restore everywhere. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"
#include "statemachine/restore.h"

enum { GATE_IDLE_MS = 5000 };

/* ---- the gate: on the leader ---- */

static bool gate_is_closed(const struct node *node)
{
    const struct restore_gate *gate = &node->gate;

    return gate->id != 0 && gate->term == node->view.hard_state.term && node_is_leader(node);
}

/* A part that was let through while it was closed for another restore would end that. */
static enum rk_status let_part(struct node *node, const struct sm_command *command)
{
    struct restore_gate *gate = &node->gate;
    const bool is_open = !gate_is_closed(node);

    if (command->type == SM_COMMAND_RESTORE_BEGIN && is_open) {
        *gate =
            (struct restore_gate){.id = command->restore.id, .term = node->view.hard_state.term};
    } else if (is_open) {
        return command->type == SM_COMMAND_RESTORE_END ? RK_OK : RK_CONFLICT;
    } else if (gate->id != command->restore.id) {
        return RK_RESTORING;
    }
    gate->heard_ms = node->now_ms;
    if (command->type == SM_COMMAND_RESTORE_END) {
        gate->id = 0; /* what is proposed from now on stands behind it */
    }
    return RK_OK;
}

static bool is_part(struct rk_bytes body)
{
    return body.size > 0 && body.data[0] >= SM_COMMAND_RESTORE_BEGIN &&
           body.data[0] <= SM_COMMAND_RESTORE_END;
}

enum rk_status node_restore_gate(struct node *node, struct rk_bytes body)
{
    struct sm_command command;

    if (!is_part(body)) {
        return gate_is_closed(node) ? RK_RESTORING : RK_OK;
    }
    const enum rk_status status = sm_command_decode(body, &command);
    return status == RK_OK ? let_part(node, &command) : status;
}

bool node_restore_holds_log(const struct node *node)
{
    return gate_is_closed(node);
}

/* An end of no restore: what was gathered is given up everywhere, and snapshots are taken again. */
static void gate_expire(struct node *node)
{
    if (!gate_is_closed(node) || node->now_ms < node->gate.heard_ms + GATE_IDLE_MS) {
        return;
    }
    rk_log(RK_LOG_WARN, "restore", "given_up",
           RK_TEXT("meaning", "whoever restored a backup did not go on; nothing was changed"),
           RK_END);
    const struct restore_gate before = node->gate;
    const struct sm_command end = {.type = SM_COMMAND_RESTORE_END};
    node->gate.id = 0;
    if (node_propose_own(node, &end) == 0) {
        node->gate = before; /* once more, after a while */
        node->gate.heard_ms = node->now_ms;
    }
}

/* ---- the state that is replaced ---- */

void node_restore_settle(struct node *node)
{
    struct sm *discarded = sm_take_discarded(node->sm);
    struct sm *successor = sm_take_successor(node->sm);

    if (discarded != NULL) {
        node_snapshot_free_later(node, discarded, 0);
    }
    if (successor != NULL) {
        node_snapshot_succeed(node, successor);
        rk_log(RK_LOG_WARN, "restore", "restored", RK_U64("index", node->last_applied), RK_END);
    }
}

/* ---- who drives it ---- */

static void finish(struct node *node, enum rk_status status)
{
    struct node_bringing *bringing = &node->bringing;
    struct client_request *request = bringing->request;

    if (status != RK_OK) {
        rk_log(RK_LOG_WARN, "restore", "failed", RK_TEXT("why", rk_status_text(status)), RK_END);
    }
    if (bringing->source != NULL) {
        request->restore->why = bringing->source->why;
    }
    request->restore->index = bringing->end_index;
    restore_source_free(bringing->source);
    *bringing = (struct node_bringing){.request = NULL};
    node_complete(node, request, status);
}

static void submit_job(struct node *node, enum snap_job_type type)
{
    struct snap_job *job = snap_job_new(type);

    job->restore = node->bringing.source;
    node->bringing.is_with_worker = true;
    snap_submit(node->snap_thread, job);
}

void node_bring_back(struct node *node, struct client_request *request)
{
    struct node_bringing *bringing = &node->bringing;

    if (bringing->request != NULL) {
        node_complete(node, request, RK_RESTORING);
        return;
    }
    if (request->restore->spool == NULL) { /* it could not be opened, and the body was empty */
        node_complete(node, request, RK_IO);
        return;
    }
    *bringing = (struct node_bringing){.request = request};
    bringing->source = restore_source_new(request->restore->spool, node->options->max_restore_size);
    request->restore->spool = NULL;
    rk_log(RK_LOG_WARN, "restore", "checking", RK_U64("bytes", spool_size(bringing->source->spool)),
           RK_END);
    submit_job(node, SNAP_CHECK);
}

static void send_part(struct node *node, const struct sm_command *command)
{
    struct client_request *part = rk_heap_zalloc(1, sizeof(*part));

    part->kind = CLIENT_WRITE;
    part->is_restore_part = true;
    part->give_up_ms =
        node->now_ms + (uint64_t)NODE_GIVE_UP_TIMEOUTS * node->options->election_timeout_ms;
    sm_result_init(&part->result);
    rk_buf_init(&part->frame, RK_FRAME_SIZE_MAX);
    const size_t begin = rk_frame_begin(&part->frame, RAFT_ENTRY_COMMAND);
    sm_command_encode(command, &part->frame);
    rk_frame_end(&part->frame, begin);
    RK_ASSERT(!part->frame.overflowed);
    node->bringing.parts_open++;
    client_list_push(&node->writes, part);
    node->is_turn_due = true;
}

static void send_begin(struct node *node)
{
    struct node_bringing *bringing = &node->bringing;
    const struct backup_summary *summary = &bringing->source->summary;
    struct sm_command command = {.type = SM_COMMAND_RESTORE_BEGIN};

    bringing->id = rk_prng_next(&node->prng) | 1;
    bringing->records_count = summary->restored_count;
    command.restore = (struct sm_command_restore){
        .id = bringing->id, .number = summary->restored_count, .digest = summary->restored_digest};
    rk_log(RK_LOG_WARN, "restore", "begins", RK_U64("records", bringing->records_count),
           RK_U64("keys", summary->keys_count), RK_TEXT("from_node", summary->about.node),
           RK_U64("of_index", summary->about.id.index), RK_END);
    send_part(node, &command);
}

void node_bring_checked(struct node *node, const struct snap_job *job)
{
    node->bringing.is_with_worker = false;
    if (job->status != RK_OK) {
        finish(node, job->status);
        return;
    }
    send_begin(node);
}

void node_bring_read(struct node *node, const struct snap_job *job)
{
    struct node_bringing *bringing = &node->bringing;
    struct rk_bytes rest = rk_buf_bytes(&job->bytes);
    struct sm_command command = {.type = SM_COMMAND_RESTORE_RECORD};

    bringing->is_with_worker = false;
    if (job->status != RK_OK) {
        finish(node, job->status == RK_IO ? RK_IO : RK_CORRUPT);
        return;
    }
    command.restore.id = bringing->id;
    while (restore_record_next(&rest, &command.restore.record_type, &command.restore.body)) {
        bringing->sent_count++;
        command.restore.number = bringing->sent_count;
        send_part(node, &command);
    }
    RK_ASSERT(bringing->parts_open > 0);
}

/* Every part of the piece has been answered. */
static void go_on(struct node *node)
{
    struct node_bringing *bringing = &node->bringing;

    if (bringing->status != RK_OK) {
        /* Without its end nothing has happened, whatever became of the other parts. */
        const bool is_open = bringing->is_ending && bringing->status == RK_UNKNOWN;
        finish(node, is_open                          ? RK_UNKNOWN
                     : bringing->status == RK_UNKNOWN ? RK_CONFLICT
                                                      : bringing->status);
    } else if (bringing->is_ending) {
        finish(node, RK_OK);
    } else if (bringing->sent_count < bringing->records_count) {
        submit_job(node, SNAP_RECORDS);
    } else {
        const struct sm_command end = {.type = SM_COMMAND_RESTORE_END,
                                       .restore = {.id = bringing->id}};
        bringing->is_ending = true;
        send_part(node, &end);
    }
}

void node_bring_part_done(struct node *node, struct client_request *part, enum rk_status status)
{
    struct node_bringing *bringing = &node->bringing;

    RK_ASSERT(bringing->parts_open > 0);
    bringing->parts_open--;
    if (status == RK_OK && !part->result.accepted) {
        status = RK_CONFLICT;
    }
    if (status != RK_OK && bringing->status == RK_OK) {
        bringing->status = status;
    }
    if (status == RK_OK) {
        bringing->end_index = part->result.index;
    }
    sm_result_done(&part->result);
    rk_buf_done(&part->frame);
    rk_heap_free(part);
    node->is_turn_due = true;
}

void node_bring_turn(struct node *node)
{
    const struct node_bringing *bringing = &node->bringing;

    gate_expire(node);
    if (bringing->request != NULL && bringing->parts_open == 0 && !bringing->is_with_worker) {
        go_on(node);
    }
}

uint64_t node_bring_deadline_ms(const struct node *node)
{
    return gate_is_closed(node) ? node->gate.heard_ms + GATE_IDLE_MS : UINT64_MAX;
}

/* The parts that were under way have been answered. */
void node_bring_stop(struct node *node)
{
    struct node_bringing *bringing = &node->bringing;

    if (bringing->request != NULL) {
        struct client_request *request = bringing->request;
        bringing->request = NULL;
        node_complete(node, request, bringing->is_ending ? RK_UNKNOWN : RK_NO_LEADER);
    }
}

void node_bring_free(struct node *node)
{
    restore_source_free(node->bringing.source);
}
