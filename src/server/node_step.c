/* node_step.c -- one event through the core, and its outputs performed in field order. There is
 * no second place that does this. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"

static uint64_t chain_of_last(const struct node *node)
{
    uint64_t chain = 0;
    const bool known = tail_chain(&node->tail, node->tail.last, &chain);

    RK_ASSERT(known);
    return chain;
}

/* The core made this entry itself (the first of its term): the node makes its frame. */
static void make_frame(struct node *node, struct raft_entry *entry, struct block **ret_block)
{
    struct rk_buf frame;

    rk_buf_init(&frame, RK_FRAME_SIZE_MAX);
    node_first_entry(node, entry->id.index, &frame);
    entry->frame = rk_buf_bytes(&frame);
    *ret_block = block_take(&frame);
}

/* Gives the entry its header (an own proposal), or checks that it follows what is here (from the
 * leader): a chain that does not is a history that split although (term, index) agree. */
static bool entry_seal(struct node *node, const struct raft_entry *entry, bool is_own,
                       uint64_t *ret_chain)
{
    const uint64_t before = chain_of_last(node);

    if (is_own) {
        uint8_t *frame = (uint8_t *)(uintptr_t)entry->frame.data; /* the proposal's own memory */
        const struct rk_frame_place place = {
            .term = entry->id.term,
            .index = entry->id.index,
            .time_ms = cluster_time_ms(&node->time, node->now_ms),
            .chain_previous = before,
        };
        cluster_time_note(&node->time, place.time_ms, node->now_ms);
        *ret_chain = rk_frame_seal(frame, entry->frame.size, &place);
        return true;
    }
    struct rk_frame frame;
    uint32_t size = 0;
    if (rk_frame_read(entry->frame, &frame, &size) != RK_OK) {
        return false;
    }
    cluster_time_note(&node->time, frame.time_ms, node->now_ms);
    *ret_chain = frame.chain;
    return frame.term == entry->id.term && frame.index == entry->id.index &&
           frame.chain == rk_frame_chain(before, &frame);
}

static enum raft_entry_type frame_type(const struct raft_entry *entry)
{
    return (enum raft_entry_type)entry->frame.data[RK_FRAME_HEADER_SIZE];
}

static void note_membership(struct node *node, const struct raft_entry *entry)
{
    struct rk_frame frame;
    uint32_t size = 0;
    struct membership membership;

    if (rk_frame_read(entry->frame, &frame, &size) != RK_OK ||
        membership_decode(frame.body, &membership) != RK_OK) {
        node_end(node, RK_CORRUPT, "configuration_unreadable", entry->id.index);
        return;
    }
    node_membership_entered(node, &membership, entry->id.index);
}

/* Takes one entry of the write into the tail and the disk job. `block` holds its frame; NULL: the
 * core made it. */
static void write_entry(struct node *node, struct disk_job *job, uint32_t i, struct block *block,
                        bool is_own)
{
    struct raft_entry *entry = &job->entries[i];
    struct block *made = NULL;
    uint64_t chain = 0;

    if (entry->frame.data == NULL) {
        make_frame(node, entry, &made);
        block = made;
    }
    entry->type = frame_type(entry);
    if (!entry_seal(node, entry, is_own, &chain)) {
        node_end(node, RK_CORRUPT, "log_chain_differs_from_leader", entry->id.index);
    }
    const struct tail_entry held = {
        .term = entry->id.term,
        .chain = chain,
        .type = entry->type,
        .frame = entry->frame,
        .block = block,
    };
    RK_ASSERT(entry->id.index == node->tail.last + 1);
    tail_append(&node->tail, &held);
    job->blocks[i] = made != NULL ? made : block_ref(block);
    if (entry->type == RAFT_ENTRY_CONFIG) {
        note_membership(node, entry);
    }
}

/* The entry before the first that goes, as the append that ends the old suffix names it, and its
 * chain. That the own log agrees up to there is what made the core take the append. */
static struct raft_entry_id agreed_entry(const struct node *node, raft_index index,
                                         uint64_t *ret_chain)
{
    const struct raft_append_request *append = &node->decoded->message.append_request;

    RK_ASSERT(index >= append->previous.index);
    *ret_chain = node->decoded->extra.previous_chain;
    if (index == append->previous.index) {
        return append->previous;
    }
    const struct raft_entry *entry = &append->entries[index - append->previous.index - 1];
    struct rk_frame frame;
    uint32_t size = 0;
    const enum rk_status status = rk_frame_read(entry->frame, &frame, &size);
    RK_ASSERT(status == RK_OK && entry->id.index == index); /* the decoder has looked */
    *ret_chain = frame.chain;
    return entry->id;
}

/* What the tail never held, because the log had it before this start and it was never committed,
 * goes from the disk alone, and the tail goes on from the entry before. */
static void truncate_tail(struct node *node, raft_index from)
{
    if (from >= node->tail.first) {
        tail_truncate(&node->tail, from);
        return;
    }
    uint64_t chain = 0;
    const struct raft_entry_id last = agreed_entry(node, from - 1, &chain);
    tail_done(&node->tail);
    tail_init(&node->tail, last, chain);
}

void node_disk_submit(struct node *node, struct disk_job *job)
{
    node->disk_jobs++;
    job->submitted_us = rk_monotonic_us();
    disk_submit(node->disk, job);
}

static void perform_write(struct node *node, bool is_own)
{
    const struct raft_write *write = &node->outputs->write;
    struct disk_job *job = disk_job_new(DISK_WRITE);
    const uint32_t count = write->entries_count;

    if (write->snapshot != NULL) {
        job->installed = *write->snapshot;
        node_receiving_replace_log(node, write->snapshot);
    }
    if (write->truncate_from != 0) {
        truncate_tail(node, write->truncate_from);
        node_truncate_pending(node, write->truncate_from);
        node_membership_truncated(node, write->truncate_from);
    }
    job->write_number = node->outputs->write_number;
    job->entries = rk_heap_zalloc(count > 0 ? count : 1, sizeof(struct raft_entry));
    job->blocks = rk_heap_zalloc(count > 0 ? count : 1, sizeof(struct block *));
    job->blocks_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const bool is_proposal = is_own && write->entries[i].frame.data != NULL;
        job->entries[i] = write->entries[i];
        write_entry(node, job, i, is_proposal ? node->batch.blocks[i] : node->received, is_own);
        job->entries[i].config = NULL; /* the store keeps bytes; the decoded form is not ours */
    }
    job->write = *write;
    job->write.entries = job->entries;
    job->write.snapshot = write->snapshot != NULL ? &job->installed : NULL;
    node_disk_submit(node, job);
}

static void perform_messages(struct node *node)
{
    for (uint32_t i = 0; i < node->outputs->messages_count; i++) {
        const struct raft_message *message = &node->outputs->messages[i];
        if (message->after_write > node->durable_write) {
            outbox_hold(&node->outbox, message);
        } else {
            node_send(node, message);
        }
    }
}

static void log_role(const struct node *node, const struct raft_view *view)
{
    const struct member *leader = membership_by_id(&node->membership, view->leader);

    rk_log(RK_LOG_INFO, "raft", "role", RK_TEXT("role", raft_role_name(view->role)),
           RK_U64("term", view->hard_state.term),
           RK_TEXT("leader", leader != NULL ? leader->name : ""),
           RK_U64("last_index", view->last.index), RK_U64("last_term", view->last.term),
           RK_U64("commit_index", view->commit_index), RK_END);
}

/* Leadership lost: what was proposed may still commit. Reads changed nothing and are asked again. */
static void role_changed(struct node *node, const struct raft_view *before)
{
    const struct raft_view *view = &node->view;

    node->is_view_stale = true;
    if (before->is_recovering && !view->is_recovering) {
        rk_log(RK_LOG_INFO, "node", "log_refilled", RK_U64("last_index", view->last.index), RK_END);
    }
    if (view->role != before->role || view->leader != before->leader ||
        (view->leader != 0 && view->hard_state.term != before->hard_state.term)) {
        log_role(node, view);
    }
    if (view->role == RAFT_LEADER && before->role != RAFT_LEADER) {
        node->led_since_ms = node->now_ms;
    }
    if (before->role == RAFT_LEADER &&
        (view->role != RAFT_LEADER || view->hard_state.term != before->hard_state.term)) {
        node_await_pending(node);
        node_retry_reads(node);
    }
}

enum rk_status node_step(struct node *node, const struct raft_event *event)
{
    const struct raft_view before = node->view;
    struct raft_event timed = *event;

    timed.boot_ms = rk_boottime_ms();
    const enum rk_status status = raft_step(node->raft, &timed, node->outputs);
    const bool is_own =
        event->type != RAFT_EVENT_RECEIVED || event->message->type != RAFT_APPEND_REQUEST;

    RK_ASSERT_DEEP((raft_check(node->raft), true));
    node->view = raft_view(node->raft);
    lease_publish(&node->lease, node->view.lease_end_ms, node->view.commit_index);
    if (node->outputs->write_number != 0) {
        perform_write(node, is_own);
    }
    perform_messages(node);
    node_confirm_reads(node);
    if (node->view.role != before.role || node->view.leader != before.leader ||
        node->view.hard_state.term != before.hard_state.term ||
        node->view.is_term_committed != before.is_term_committed ||
        node->view.is_recovering != before.is_recovering) {
        role_changed(node, &before);
    }
    return status;
}

void node_persisted(struct node *node, struct disk_job *job)
{
    if (job->status != RK_OK) {
        node_end(node, job->status, "storage_failed", node->view.last.index);
        return;
    }
    node->durable_write = job->write_number;
    rk_meter_since(node->meter, RK_MEASURE_DISK_RESULT, job->done_us, node->turned_us, 1);
    const struct raft_event event = {
        .type = RAFT_EVENT_PERSISTED,
        .now_ms = node->now_ms,
        .write_number = job->write_number,
    };
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
    for (const struct raft_message *held = outbox_take(&node->outbox, node->durable_write);
         held != NULL; held = outbox_take(&node->outbox, node->durable_write)) {
        node_send(node, held);
    }
}

void node_restart_core(struct node *node, const struct raft_restored *restored)
{
    const struct raft_options options = {
        .id = node->id,
        .seed = rk_prng_next(&node->prng),
        .election_timeout_ms = node->options->election_timeout_ms,
        .heartbeat_interval_ms = node->options->heartbeat_interval_ms,
        .append_entries_max = RAFT_WRITE_ENTRIES_MAX,
        .inflight_max = node->options->max_inflight,
        .pre_vote = true,
        .check_quorum = true,
        .lease_ms = node->options->lease_reads ? lease_length_ms(node->options->election_timeout_ms,
                                                                 node->options->lease_drift_percent)
                                               : 0,
        .recover_to = node->recover_to,
    };

    node->raft = raft_init(node->raft, raft_size(), &options, restored, node->now_ms);
    node->core_since_ms = node->now_ms;
    node->view = raft_view(node->raft);
    lease_publish(&node->lease, 0, node->view.commit_index);
    node->is_view_stale = true;
}
