/* node_apply.c -- committed entries into the state machine, in order, answered as they go. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/log.h"
#include "server/node_internal.h"

enum {
    APPLY_READ_BYTES = 1 << 20, /* applied in one go */
    RECLAIM_BUDGET = 4096,
    APPLY_CLOCK_BYTES = 64 * 1024, /* between two looks at the clock */
    APPLY_ENTRY_BYTES = 1024,      /* what the smallest entry counts for */
};

static void measure_committed(struct node *node, const struct origin *origin)
{
    rk_meter_since(node->meter, RK_MEASURE_COMMIT, origin->proposed_us, node->apply_us, 1);
    if (origin->type == ORIGIN_CLIENT && origin->client->passed_us != 0) {
        origin->client->passed_us = node->apply_us;
        origin->client->stage = RK_MEASURE_APPLY;
    }
}

/* The waiter for this entry, if it is this node's and of this term (pitfall 114). */
static void answer_waiter(struct node *node, struct raft_entry_id id, struct sm_result *result)
{
    const struct pending_item *first = pending_first(&node->pending);

    if (first == NULL || first->id.index > id.index) {
        return;
    }
    RK_ASSERT(first->id.index == id.index); /* every one is answered on its way */
    const struct origin origin = first->origin;
    const bool is_own = first->id.term == id.term;
    pending_drop_first(&node->pending);
    measure_committed(node, &origin);
    node_origin_done(node, origin, is_own ? RK_OK : RK_UNKNOWN, result);
}

static void apply_one(struct node *node, const struct rk_frame *frame)
{
    const struct raft_entry_id id = {.term = frame->term, .index = frame->index};
    const struct sm_place place = {
        .term = frame->term, .index = frame->index, .time_ms = frame->time_ms};
    struct sm_result result;

    sm_result_init(&result);
    result.index = id.index;
    if (frame->type == RAFT_ENTRY_COMMAND) {
#ifdef RK_TEST_HOOKS
        const struct rk_bytes command = node_hook_command(node, frame->body);
#else
        const struct rk_bytes command = frame->body;
#endif
        if (sm_apply(node->sm, &place, command, &result) != RK_OK) {
            /* What others apply may not be skipped (pitfall 141). */
            node_end(node, RK_CORRUPT, "command_unknown", id.index);
        }
    } else {
        sm_skip(node->sm, &place);
        node->is_firm = true;
        node->is_view_stale = true;
    }
    node->last_applied = id.index;
    node_restore_settle(node);
    node_check_applied(node, id.index);
    node_snapshot_applied(node, frame, RK_FRAME_HEADER_SIZE + frame->payload.size);
    answer_waiter(node, id, &result);
    sm_result_done(&result);
}

static void apply_frame(struct node *node, struct rk_bytes bytes, uint32_t *ret_size)
{
    struct rk_frame frame;

    if (rk_frame_read(bytes, &frame, ret_size) != RK_OK || frame.index != node->last_applied + 1) {
        node_end(node, RK_CORRUPT, "entry_unreadable", node->last_applied + 1);
    }
    apply_one(node, &frame);
}

/* Entries older than the tail come from the disk, a slice at a time. */
static void ask_for_older(struct node *node)
{
    if (node->is_reading_for_apply) {
        return;
    }
    struct disk_job *job = disk_job_new(DISK_READ);
    job->first = node->last_applied + 1;
    job->last = node->view.commit_index;
    if (job->last >= node->tail.first) {
        job->last = node->tail.first - 1;
    }
    job->bytes_max = APPLY_READ_BYTES;
    node->is_reading_for_apply = true;
    node_disk_submit(node, job);
}

void node_apply_read(struct node *node, struct disk_job *job)
{
    node->is_reading_for_apply = false;
    node->apply_us = node->turned_us;
    if (job->status != RK_OK && job->first == node->last_applied + 1) {
        node_end(node, job->status, "log_read_failed", job->first);
    }
    if (job->first != node->last_applied + 1) {
        return; /* a snapshot has come instead */
    }
    struct rk_bytes rest = rk_buf_bytes(&job->frames);
    while (rest.size > 0) {
        uint32_t size = 0;
        apply_frame(node, rest, &size);
        rest.data += size;
        rest.size -= size;
    }
}

/* Pitfall 141: a version that cannot read what follows must not go on as if it could. */
static void end_if_too_old(struct node *node)
{
    if (!node_feature_is_readable(node)) {
        rk_log(RK_LOG_ERROR, "feature", "this_version_is_too_old",
               RK_U64("cluster_level", sm_feature_level(node->sm)),
               RK_U64("level", node->options->feature_level_max), RK_END);
        node_end(node, RK_BEHIND, "version_too_old", node->last_applied);
    }
}

static void publish(struct node *node)
{
    if (node->last_applied != node->last_published) {
        end_if_too_old(node);
        struct sm_root root = sm_publish(node->sm);
        root.last_term = node->applied_term;
        root_publish(node->board, &root);
        node_watch_published(node, &root);
        node->last_published = node->last_applied;
        node->is_reclaim_due = true;
    }
    if (node->is_reclaim_due) {
        const uint64_t held = node_snapshot_oldest_version(node);
        const uint64_t oldest = root_oldest(node->board);
        node->is_reclaim_due = sm_reclaim(node->sm, held < oldest ? held : oldest, RECLAIM_BUDGET);
    }
}

void node_apply(struct node *node)
{
    node->apply_us = rk_monotonic_us();
    const uint64_t until_us = node->apply_us + NODE_APPLY_TURN_US;
    uint32_t unseen = 0;

    node->is_apply_due = false;
    while (node->last_applied < node->view.commit_index) {
        const struct tail_entry *entry = tail_get(&node->tail, node->last_applied + 1);
        if (entry == NULL) {
            ask_for_older(node);
            break;
        }
        uint32_t size = 0;
        apply_frame(node, entry->frame, &size);
        unseen += APPLY_ENTRY_BYTES + size;
        if (unseen < APPLY_CLOCK_BYTES) {
            continue;
        }
        unseen = 0;
        if (rk_monotonic_us() > until_us) {
            node->is_apply_due = node->last_applied < node->view.commit_index;
            break;
        }
    }
    publish(node);
}

/* No peer lacks what is up to there. Only a leader knows; another node's peers have what is committed,
 * all but a few. */
static raft_index settled_index(const struct node *node)
{
    raft_index settled = node->view.commit_index;

    for (uint32_t i = 0; node_is_leader(node) && i < node->peers_count; i++) {
        struct raft_peer_view progress = {.match_index = 0};
        const enum rk_status status = raft_peer_view(node->raft, node->peers[i].id, &progress);
        RK_MAYBE(status != RK_OK);
        settled = progress.match_index < settled ? progress.match_index : settled;
    }
    return settled;
}

void node_report_applied(struct node *node)
{
    if (node->view.last_applied >= node->last_applied) {
        return;
    }
    const struct raft_event event = {
        .type = RAFT_EVENT_APPLIED,
        .now_ms = node->now_ms,
        .index = node->last_applied,
    };
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
    const raft_index keep = node->view.durable_index < node->last_applied ? node->view.durable_index
                                                                          : node->last_applied;
    tail_trim(&node->tail, keep, settled_index(node));
}
