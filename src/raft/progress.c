#include "raft/progress.h"

#include "base/assert.h"

void progress_init(struct progress *progress, raft_node_id id)
{
    RK_ASSERT(id != 0);
    progress->id = id;
    progress->vote = PROGRESS_VOTE_NONE;
    progress->sequence = 0;
    progress_reset(progress, 1, 0);
}

static void inflight_clear(struct progress *progress)
{
    progress->inflight_first = 0;
    progress->inflight_count = 0;
}

void progress_reset(struct progress *progress, raft_index next_index, uint64_t now_ms)
{
    RK_ASSERT(next_index > 0);
    progress->state = PROGRESS_PROBE;
    progress->match_index = 0;
    progress->next_index = next_index;
    progress->probe_sequence = 0;
    progress->probe_last = 0;
    progress->is_paused = false;
    progress->pipeline_sequence = progress->sequence;
    progress->loss_sequence = 0;
    progress->snapshot_index = 0;
    progress->moved_ms = now_ms;
    progress->contact_ms = 0;
    progress->round_acked = 0;
    progress->anchor_round = 0;
    progress->anchor_match = 0;
    progress->commit_index = 0;
    progress->last_applied = 0;
    inflight_clear(progress);
}

bool progress_may_send(const struct progress *progress, uint32_t inflight_max)
{
    if (progress->is_paused) {
        return false;
    }
    if (progress->state == PROGRESS_PROBE) {
        return progress->probe_sequence == 0;
    }
    return progress->state == PROGRESS_REPLICATE && progress->inflight_count < inflight_max;
}

bool progress_is_unsure(const struct progress *progress)
{
    return progress->state == PROGRESS_PROBE && progress->match_index + 1 < progress->next_index;
}

static void inflight_add(struct progress *progress, raft_index last)
{
    RK_ASSERT(progress->inflight_count < RAFT_INFLIGHT_MAX);
    const uint32_t at = progress->inflight_first + progress->inflight_count;
    progress->inflight[at % RAFT_INFLIGHT_MAX] = last;
    progress->inflight_count++;
}

static void inflight_free(struct progress *progress)
{
    while (progress->inflight_count > 0 &&
           progress->inflight[progress->inflight_first] <= progress->match_index) {
        progress->inflight_first = (progress->inflight_first + 1) % RAFT_INFLIGHT_MAX;
        progress->inflight_count--;
    }
}

uint64_t progress_sent(struct progress *progress, raft_index entries_last, uint64_t now_ms)
{
    RK_ASSERT(!progress->is_paused);
    RK_ASSERT(entries_last + 1 >= progress->next_index);
    progress->sequence++;
    if (progress->state == PROGRESS_PROBE) {
        RK_ASSERT(progress->probe_sequence == 0);
        progress->probe_sequence = progress->sequence;
        progress->probe_last = entries_last;
        progress->moved_ms = now_ms;
        return progress->sequence;
    }
    RK_ASSERT(entries_last >= progress->next_index);
    if (progress->inflight_count == 0) {
        progress->moved_ms = now_ms;
    }
    inflight_add(progress, entries_last);
    progress->next_index = entries_last + 1;
    return progress->sequence;
}

uint64_t progress_snapshot(struct progress *progress, raft_index snapshot_index, uint64_t now_ms)
{
    RK_ASSERT(!progress->is_paused);
    RK_ASSERT(snapshot_index >= progress->next_index);
    progress->sequence++;
    progress->state = PROGRESS_SNAPSHOT;
    progress->snapshot_index = snapshot_index;
    progress->probe_sequence = 0;
    progress->moved_ms = now_ms;
    inflight_clear(progress);
    return progress->sequence;
}

void progress_snapshot_moved(struct progress *progress, uint64_t now_ms)
{
    if (progress->state == PROGRESS_SNAPSHOT) {
        progress->moved_ms = now_ms;
    }
}

void progress_snapshot_failed(struct progress *progress)
{
    if (progress->state == PROGRESS_SNAPSHOT) {
        progress_probe(progress);
        progress->is_paused = true;
    }
}

/* The rest of an answered probe may still be under way as requests of its own, so it goes on as
 * the pipeline's first append. */
static void start_pipeline(struct progress *progress, uint64_t sequence)
{
    const bool is_probe = sequence == progress->probe_sequence;
    raft_index last = progress->match_index;
    if (is_probe && progress->probe_last > last) {
        last = progress->probe_last;
        inflight_add(progress, last);
    }
    progress->state = PROGRESS_REPLICATE;
    progress->next_index = last + 1;
    progress->pipeline_sequence = progress->sequence;
    progress->probe_sequence = 0;
}

bool progress_accepted(struct progress *progress, uint64_t sequence, raft_index match,
                       uint64_t now_ms)
{
    if (sequence <= progress->loss_sequence) {
        return false;
    }
    const bool has_risen = match > progress->match_index;
    if (has_risen) {
        progress->match_index = match;
        progress->moved_ms = now_ms;
        if (progress->next_index <= match) {
            progress->next_index = match + 1;
        }
    }
    inflight_free(progress);
    if (progress->state == PROGRESS_SNAPSHOT && progress->match_index >= progress->snapshot_index) {
        progress_probe(progress);
    } else if (progress->state == PROGRESS_PROBE &&
               (has_risen || sequence == progress->probe_sequence)) {
        start_pipeline(progress, sequence);
    }
    RK_ASSERT(progress->match_index < progress->next_index);
    return has_risen;
}

static void probe_refused(struct progress *progress, raft_index next_index)
{
    const raft_index floor = progress->match_index + 1;
    const raft_index next = next_index > floor ? next_index : floor;
    if (next < progress->next_index) {
        progress->next_index = next;
        progress->probe_sequence = 0;
    }
}

void progress_refused(struct progress *progress, uint64_t sequence, raft_index previous,
                      raft_index next_index)
{
    if (progress->state == PROGRESS_PROBE) {
        if (sequence == progress->probe_sequence && previous + 1 == progress->next_index) {
            probe_refused(progress, next_index);
        }
        return;
    }
    if (progress->state == PROGRESS_REPLICATE && sequence > progress->pipeline_sequence &&
        sequence <= progress->sequence && previous > progress->match_index) {
        progress_probe(progress);
    }
}

void progress_probe(struct progress *progress)
{
    progress->state = PROGRESS_PROBE;
    progress->next_index = progress->match_index + 1;
    progress->probe_sequence = 0;
    progress->snapshot_index = 0;
    inflight_clear(progress);
}

void progress_unreachable(struct progress *progress)
{
    if (progress->state == PROGRESS_REPLICATE) {
        progress_probe(progress);
    }
    progress->probe_sequence = 0;
    progress->is_paused = true;
}

void progress_expire(struct progress *progress, uint64_t now_ms, uint64_t patience_ms)
{
    RK_ASSERT(now_ms >= progress->moved_ms);
    const bool is_snapshot = progress->state == PROGRESS_SNAPSHOT;
    if (now_ms - progress->moved_ms < (is_snapshot ? 4 * patience_ms : patience_ms)) {
        return;
    }
    if (is_snapshot || (progress->state == PROGRESS_REPLICATE && progress->inflight_count > 0)) {
        progress_probe(progress);
    } else {
        progress->probe_sequence = 0;
    }
}

void progress_lost(struct progress *progress, raft_index last_index, uint64_t now_ms)
{
    RK_ASSERT(last_index < progress->match_index);
    const uint64_t contact_ms = progress->contact_ms;
    const uint64_t round_acked = progress->round_acked;
    progress_reset(progress, last_index + 1, now_ms);
    progress->loss_sequence = progress->sequence;
    progress->contact_ms = contact_ms;
    progress->round_acked = round_acked;
}
