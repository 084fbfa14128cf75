/* node_writes.c -- clients' writes: gathered, proposed as one batch where this node leads,
 * forwarded where another does, held for a moment where nobody does. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "server/node_internal.h"
#include "statemachine/feature.h"

void node_origin_done(struct node *node, struct origin origin, enum rk_status status,
                      struct sm_result *result)
{
    switch (origin.type) {
    case ORIGIN_CLIENT:
        if (result != NULL) {
            sm_result_move(&origin.client->result, result);
        }
        node_complete(node, origin.client, status);
        break;
    case ORIGIN_FORWARD:
        node_forward_item_done(node, origin.forward, origin.item, status, result);
        break;
    case ORIGIN_NOBODY:
        break;
    }
}

/* What was appended and not yet applied: its fate is open (pitfalls 111, 113, 121). */
void node_fail_pending(struct node *node)
{
    node->pending_due_ms = UINT64_MAX;
    for (const struct pending_item *item = pending_first(&node->pending); item != NULL;
         item = pending_first(&node->pending)) {
        const struct origin origin = item->origin;
        pending_drop_first(&node->pending);
        node_origin_done(node, origin, RK_UNKNOWN, NULL);
    }
}

/* Entries that another leader replaced: their waiters learn that nothing is known for certain to
 * have happened, for an older copy of the entry may have been seen elsewhere (pitfall 113). */
void node_truncate_pending(struct node *node, raft_index truncate_from)
{
    for (const struct pending_item *item = pending_last(&node->pending);
         item != NULL && item->id.index >= truncate_from; item = pending_last(&node->pending)) {
        const struct origin origin = item->origin;
        pending_drop_last(&node->pending);
        node_origin_done(node, origin, RK_UNKNOWN, NULL);
    }
}

/* Leadership is lost. Most of what is pending commits under the next leader within moments, above
 * all after an orderly hand-over, and is then recognised by index and term: it gets one election
 * timeout. A client that waits for longer would rather know that nobody knows. */
void node_await_pending(struct node *node)
{
    node->pending_due_ms = node->now_ms + node->options->election_timeout_ms;
}

static void expire_pending(struct node *node)
{
    if (node_is_leader(node)) {
        node->pending_due_ms = UINT64_MAX;
    } else if (node->now_ms >= node->pending_due_ms) {
        node_fail_pending(node);
    }
}

/* The step refused the batch, because this node leads no more or is handing over: nothing of it was
 * appended. A client's write waits for the next leader; a forwarded one goes back to its sender,
 * who does the same. */
static void return_batch(struct node *node)
{
    node->retry_at_ms = node->now_ms + NODE_RETRY_MS;
    for (uint32_t i = 0; i < node->batch.count; i++) {
        const struct origin origin = node->batch.origins[i];
        struct block *block = node->batch.blocks[i];
        if (origin.type == ORIGIN_CLIENT) {
            origin.client->frame.data = block->data;
            origin.client->frame.size = block->size;
            origin.client->frame.capacity = block->capacity;
            block->data = NULL;
            client_list_push(&node->writes, origin.client);
        } else {
            node_origin_done(node, origin, RK_NOT_LEADER, NULL);
        }
        block_unref(block);
    }
}

/* The batch is with the disk and the peers. */
static void measure_proposed(struct node *node)
{
    const struct proposals *batch = &node->batch;
    const uint64_t now_us = rk_monotonic_us();

    rk_meter_add(node->meter, RK_MEASURE_BATCH_ENTRIES, batch->count, 1);
    rk_meter_add(node->meter, RK_MEASURE_PENDING_WRITES,
                 pending_count(&node->pending) + batch->count, 1);
    for (uint32_t i = 0; i < batch->count; i++) {
        struct origin *origin = &node->batch.origins[i];
        origin->proposed_us = now_us;
        if (origin->type == ORIGIN_CLIENT && origin->client->passed_us != 0) {
            rk_meter_since(node->meter, RK_MEASURE_PROPOSE, origin->client->passed_us, now_us, 1);
        }
    }
}

void node_flush_proposals(struct node *node)
{
    struct proposals *batch = &node->batch;

    if (batch->count == 0) {
        return;
    }
    const struct raft_event event = {
        .type = RAFT_EVENT_PROPOSED,
        .now_ms = node->now_ms,
        .proposed = {.entries = batch->entries, .entries_count = batch->count},
    };
    const enum rk_status status = node_step(node, &event);
    if (status != RK_OK) {
        RK_ASSERT(status == RK_NOT_LEADER || status == RK_BUSY);
        return_batch(node);
    } else {
        measure_proposed(node);
        for (uint32_t i = 0; i < batch->count; i++) {
            pending_add(&node->pending, batch->entries[i].id, batch->origins[i]);
            block_unref(batch->blocks[i]);
        }
    }
    batch->count = 0;
}

enum rk_status node_propose(struct node *node, struct rk_buf *frame, struct origin origin)
{
    struct proposals *batch = &node->batch;
    const enum rk_status allowed = node_feature_gate(node, rk_frame_body(rk_buf_bytes(frame)));

    if (allowed != RK_OK) {
        return allowed;
    }
    if (node->is_disk_nearly_full) {
        return RK_FULL;
    }
    if (node->disk_jobs >= NODE_DISK_JOBS_MAX) { /* it hangs: the core soon steps down */
        return RK_BUSY;
    }
    const enum rk_status gate = node_restore_gate(node, rk_frame_body(rk_buf_bytes(frame)));
    if (gate != RK_OK) {
        return gate;
    }
    if (batch->count == RAFT_WRITE_ENTRIES_MAX) {
        node_flush_proposals(node);
    }
    batch->entries[batch->count] = (struct raft_entry){
        .type = RAFT_ENTRY_COMMAND,
        .frame = rk_buf_bytes(frame),
    };
    batch->blocks[batch->count] = block_take(frame);
    batch->origins[batch->count] = origin;
    batch->count++;
    return RK_OK;
}

raft_index node_propose_own(struct node *node, const struct sm_command *command)
{
    struct rk_buf frame;

    rk_buf_init(&frame, RK_FRAME_SIZE_MAX);
    const size_t begin = rk_frame_begin(&frame, RAFT_ENTRY_COMMAND);
    sm_command_encode(command, &frame);
    rk_frame_end(&frame, begin);
    RK_ASSERT(!frame.overflowed);
    node_flush_proposals(node);
    if (node_propose(node, &frame, (struct origin){.type = ORIGIN_NOBODY}) != RK_OK) {
        rk_buf_done(&frame);
        return 0;
    }
    const raft_index before = node->view.last.index;
    node_flush_proposals(node);
    return node->view.last.index > before ? node->view.last.index : 0;
}

enum rk_status node_propose_membership(struct node *node, const struct membership *membership)
{
    struct rk_buf frame;
    struct raft_entry entry = {.type = RAFT_ENTRY_CONFIG, .config = &node->batch.configs[0]};

    if (node_restore_holds_log(node)) {
        return RK_RESTORING;
    }
    node_flush_proposals(node);
    rk_buf_init(&frame, RK_FRAME_SIZE_MAX);
    const size_t begin = rk_frame_begin(&frame, RAFT_ENTRY_CONFIG);
    membership_encode(membership, &frame);
    rk_frame_end(&frame, begin);
    RK_ASSERT(!frame.overflowed);
    RK_ASSERT(feature_level_of_config(rk_frame_body(rk_buf_bytes(&frame))) <=
              sm_feature_level(node->sm));
    membership_to_raft(membership, &node->batch.configs[0]);
    entry.frame = rk_buf_bytes(&frame);
    node->batch.blocks[0] = block_take(&frame);
    const struct raft_event event = {
        .type = RAFT_EVENT_PROPOSED,
        .now_ms = node->now_ms,
        .proposed = {.entries = &entry, .entries_count = 1},
    };
    const enum rk_status status = node_step(node, &event);
    block_unref(node->batch.blocks[0]);
    return status;
}

void node_refuse_behind(struct node *node, struct client_request *request)
{
    rk_buf_append_text(&request->result.body, node->behind_reason);
    node_complete(node, request, RK_BEHIND);
}

static void propose_writes(struct node *node)
{
    /* Bounded by what waits now: a refused batch puts its writes back at the end. */
    for (uint32_t count = node->writes.count; count > 0 && node_is_leader(node); count--) {
        struct client_request *request = client_list_pop(&node->writes);
        const struct origin origin = {.type = ORIGIN_CLIENT, .client = request};
        if (pending_count(&node->pending) >= node->options->max_pending_writes) {
            node_complete(node, request, RK_BUSY);
            continue;
        }
        const enum rk_status status = node_propose(node, &request->frame, origin);
        if (status == RK_NOT_LEADER) { /* it goes when all members can read it */
            client_list_push(&node->writes, request);
            node->retry_at_ms = node->now_ms + NODE_RETRY_MS;
        } else if (status == RK_BEHIND) {
            node_refuse_behind(node, request);
        } else if (status != RK_OK) {
            node_complete(node, request, status);
        }
    }
    node_flush_proposals(node);
}

static void expire_writes(struct node *node)
{
    while (node->writes.first != NULL && node->writes.first->give_up_ms <= node->now_ms) {
        node_complete(node, client_list_pop(&node->writes), RK_NO_LEADER);
    }
}

void node_flush_writes(struct node *node)
{
    node_flush_proposals(node); /* forwarded ones */
    expire_pending(node);
    expire_writes(node);
    if (node->writes.count == 0) {
        return;
    }
    if (node_is_leader(node)) {
        if (node->view.is_term_committed && node->now_ms >= node->retry_at_ms) {
            propose_writes(node);
        }
    } else if (node_has_leader(node)) {
        node_forward_writes(node);
    }
}
