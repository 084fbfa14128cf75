#include "base/assert.h"
#include "raft/internal.h"
#include "raft/quorum.h"

/* ---- appends ---- */

/* Unanswered for this long, an append is taken for lost. Long enough for a slow fsync: a
 * connection that breaks is reported, so this is for what vanished without a word. */
static uint64_t patience_ms(const struct raft *raft)
{
    return raft->options.election_timeout_ms / 2;
}

/* What the peer needs next is compacted away, and the term before it is not known any more: nothing
 * is guessed (pitfall 37), it gets the snapshot (5.3). */
static void send_snapshot(struct raft *raft, struct progress *progress)
{
    RK_ASSERT(raft->snapshot.id.index >= raft->trail.base.index);
    struct raft_message *message = raft_send(raft, RAFT_SNAPSHOT_REQUEST, progress->id);
    message->snapshot_request = (struct raft_snapshot_request){
        .snapshot = &raft->snapshot,
        .sequence = progress_snapshot(progress, raft->snapshot.id.index, raft->now_ms),
    };
}

/* Sends the next append when there is something to send and the peer may be sent to. */
static bool send_append(struct raft *raft, struct progress *progress)
{
    const raft_index last = raft->trail.last_index;
    const raft_index previous = progress->next_index - 1;
    if (!progress_may_send(progress, raft->options.inflight_max)) {
        return false;
    }
    if (previous < raft->trail.base.index) {
        send_snapshot(raft, progress);
        return false;
    }
    if (previous == last && !progress_is_unsure(progress)) {
        return false;
    }
    RK_ASSERT(previous <= last);
    const uint64_t left = last - previous;
    const uint64_t count =
        left < raft->options.append_entries_max ? left : raft->options.append_entries_max;
    struct raft_message *message = raft_send(raft, RAFT_APPEND_REQUEST, progress->id);
    message->append_request = (struct raft_append_request){
        .previous = {.term = trail_term(&raft->trail, previous), .index = previous},
        .leader_commit = raft->commit_index,
        .entries_last = previous + count,
        .sequence = progress_sent(progress, previous + count, raft->now_ms),
    };
    return true;
}

static void send_burst(struct raft *raft, struct progress *progress)
{
    for (uint32_t i = 0; i < RAFT_BURST_MAX; i++) {
        if (!send_append(raft, progress)) {
            return;
        }
    }
}

static void send_to_all(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->peers_count; i++) {
        (void)send_append(raft, &raft->peers[i]);
    }
}

/* ---- leadership ---- */

static void append_own(struct raft *raft, struct raft_entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        entries[i].id = (struct raft_entry_id){.term = raft->hard_state.term,
                                               .index = raft->trail.last_index + 1 + i};
    }
    raft_stage_entries(raft, entries, count);
    trail_append(&raft->trail, raft->hard_state.term, count);
}

/* The no-op commits what former terms left behind, and opens the term for reads and
 * configurations (6.4, pitfall 29). */
void raft_replicate_begin(struct raft *raft)
{
    RK_ASSERT(raft->role == RAFT_CANDIDATE);
    RK_ASSERT(raft->hard_state.vote == raft->options.id);
    RK_ASSERT(!writes_pending(&raft->writes));
    raft->role = RAFT_LEADER;
    raft->leader = raft->options.id;
    raft->is_transfer = false;
    raft->quorum_floor_ms = raft->now_ms;
    raft->is_lease_given_up = false;
    raft->term_start = raft->trail.last_index + 1;
    for (uint32_t i = 0; i < raft->peers_count; i++) {
        progress_reset(&raft->peers[i], raft->term_start, raft->now_ms);
    }
    raft->noop = (struct raft_entry){.type = RAFT_ENTRY_NOOP};
    append_own(raft, &raft->noop, 1);
    raft_replicate_heartbeat(raft);
    send_to_all(raft);
}

static uint64_t contact_value(const void *context, raft_node_id voter)
{
    const struct raft *raft = context;
    if (voter == raft->options.id) {
        return raft->now_ms;
    }
    return raft_voter(raft, voter)->contact_ms;
}

uint64_t raft_replicate_quorum_ms(const struct raft *raft)
{
    return quorum_reached(&raft->configs.now, contact_value, raft);
}

/* 6.2: without a quorum, another leader may already be at work, and clients wait here in vain. */
static bool has_lost_quorum(const struct raft *raft)
{
    if (!raft->options.check_quorum) {
        return false;
    }
    const uint64_t contact_ms = raft_replicate_quorum_ms(raft);
    const uint64_t since_ms =
        contact_ms > raft->quorum_floor_ms ? contact_ms : raft->quorum_floor_ms;
    return raft->now_ms - since_ms >= raft->options.election_timeout_ms;
}

/* A leader whose disk hangs must not keep the others quiet with its heartbeats (F9). */
void raft_replicate_deadline(struct raft *raft)
{
    if (has_lost_quorum(raft) || raft_is_storage_stalled(raft)) {
        raft_become_follower(raft, raft->hard_state.term, 0);
        return;
    }
    raft_transfer_advance(raft);
    if (raft->now_ms >= raft->heartbeat_deadline_ms) {
        raft_replicate_heartbeat(raft);
    }
}

/* A peer whose log turns out to end before what it had acknowledged by now has lost entries. */
static void set_anchor(struct raft *raft, struct progress *progress)
{
    if (progress->anchor_round == 0) {
        progress->anchor_round = raft->round;
        progress->anchor_match = progress->match_index;
    }
}

void raft_replicate_heartbeat(struct raft *raft)
{
    RK_ASSERT(raft->role == RAFT_LEADER);
    raft->heartbeat_deadline_ms = raft->now_ms + raft->options.heartbeat_interval_ms;
    raft->round++;
    raft_lease_note_round(raft);
    raft_read_assign(raft);
    for (uint32_t i = 0; i < raft->peers_count; i++) {
        struct progress *progress = &raft->peers[i];
        const raft_index match = progress->match_index;
        struct raft_message *message = raft_send(raft, RAFT_HEARTBEAT_REQUEST, progress->id);
        message->heartbeat_request = (struct raft_heartbeat_request){
            .commit = match < raft->commit_index ? match : raft->commit_index,
            .round = raft->round,
        };
        set_anchor(raft, progress);
    }
}

/* ---- proposals ---- */

/* 4.1 and pitfall 76: one configuration at a time, and none before the term has committed. */
static enum rk_status check_config(const struct raft *raft, const struct raft_config *config)
{
    RK_ASSERT(config != NULL);
    if (raft->configs.index > raft->commit_index || !raft_commit_has_term(raft)) {
        return RK_BUSY;
    }
    return config_may_follow(&raft->configs.now, config) ? RK_OK : RK_INVALID;
}

/* At most one configuration in a batch; *ret_config is its entry, or NULL. */
static enum rk_status check_proposal(const struct raft *raft, const struct raft_entry *entries,
                                     uint32_t entries_count, const struct raft_entry **ret_config)
{
    *ret_config = NULL;
    for (uint32_t i = 0; i < entries_count; i++) {
        if (entries[i].type != RAFT_ENTRY_CONFIG) {
            continue;
        }
        if (*ret_config != NULL) {
            return RK_BUSY;
        }
        const enum rk_status status = check_config(raft, entries[i].config);
        if (status != RK_OK) {
            return status;
        }
        *ret_config = &entries[i];
    }
    return RK_OK;
}

enum rk_status raft_replicate_propose(struct raft *raft, struct raft_entry *entries,
                                      uint32_t entries_count)
{
    const struct raft_entry *config = NULL;

    RK_ASSERT(entries_count > 0);
    RK_ASSERT(entries_count <= RAFT_WRITE_ENTRIES_MAX);
    if (raft->role != RAFT_LEADER) {
        return RK_NOT_LEADER;
    }
    if (raft->transfer_peer != 0) {
        return RK_BUSY;
    }
    const enum rk_status status = check_proposal(raft, entries, entries_count, &config);
    if (status != RK_OK) {
        return status;
    }
    append_own(raft, entries, entries_count);
    if (config != NULL) {
        raft_lease_drop(raft);
        config_log_append(&raft->configs, config->config, config->id.index);
        raft_update_peers(raft);
    }
    send_to_all(raft);
    return RK_OK;
}

/* ---- answers ---- */

/* The peer that an answer of this term came from; NULL when it says nothing to this leader: of a
 * former term (pitfall 31), or from one who is no member. */
static struct progress *answering_peer(struct raft *raft, const struct raft_message *message)
{
    if (raft->role != RAFT_LEADER || message->term < raft->hard_state.term) {
        return NULL;
    }
    struct progress *progress = raft_peer(raft, message->from);
    if (progress != NULL) {
        progress->contact_ms = raft->now_ms;
        progress->is_paused = false;
    }
    return progress;
}

/* Terms are skipped on both sides: the hint names the follower's greatest entry that may match,
 * and here all entries of terms newer than the hint's are passed over too (3.5, pitfall 32). */
static raft_index next_after_hint(const struct raft *raft,
                                  const struct raft_append_response *response)
{
    const raft_index next = trail_guess(&raft->trail, response->hint).index + 1;
    return next < response->previous ? next : response->previous;
}

static void accepted(struct raft *raft, struct progress *progress, uint64_t sequence,
                     raft_index match)
{
    if (match <= raft->trail.last_index &&
        progress_accepted(progress, sequence, match, raft->now_ms)) {
        raft_commit_advance(raft);
    }
}

/* After an answer; it may just have made this leader commit its own removal. */
static void send_more(struct raft *raft, struct progress *progress)
{
    if (raft->role == RAFT_LEADER) {
        send_burst(raft, progress);
        raft_transfer_advance(raft);
    }
}

void raft_replicate_response(struct raft *raft, const struct raft_message *message)
{
    const struct raft_append_response *response = &message->append_response;
    struct progress *progress = answering_peer(raft, message);
    if (progress == NULL || response->sequence > progress->sequence) {
        return;
    }
    if (!response->accepted) {
        progress_refused(progress, response->sequence, response->previous,
                         next_after_hint(raft, response));
    } else {
        accepted(raft, progress, response->sequence, response->match);
    }
    send_more(raft, progress);
}

void raft_replicate_snapshot_response(struct raft *raft, const struct raft_message *message)
{
    const struct raft_snapshot_response *response = &message->snapshot_response;
    struct progress *progress = answering_peer(raft, message);
    if (progress == NULL || response->sequence > progress->sequence) {
        return;
    }
    if (response->accepted) {
        accepted(raft, progress, response->sequence, response->match);
    } else if (response->sequence == progress->sequence) {
        progress_snapshot_failed(progress);
    }
    send_more(raft, progress);
}

static void check_anchor(struct raft *raft, struct progress *progress,
                         const struct raft_heartbeat_response *response)
{
    if (progress->anchor_round == 0 || response->round < progress->anchor_round) {
        return;
    }
    progress->anchor_round = 0;
    if (response->last < progress->anchor_match) {
        progress_lost(progress, response->last, raft->now_ms);
    }
}

void raft_replicate_heartbeat_response(struct raft *raft, const struct raft_message *message)
{
    const struct raft_heartbeat_response *response = &message->heartbeat_response;
    struct progress *progress = answering_peer(raft, message);
    if (progress == NULL || response->round > raft->round) {
        return;
    }
    if (response->round > progress->round_acked) {
        progress->round_acked = response->round;
        progress->commit_index = response->commit_index;
        progress->last_applied = response->last_applied;
    }
    check_anchor(raft, progress, response);
    progress_expire(progress, raft->now_ms, patience_ms(raft));
    send_burst(raft, progress);
    raft_read_advance(raft);
}

void raft_replicate_unreachable(struct raft *raft, raft_node_id peer)
{
    struct progress *progress = raft_peer(raft, peer);
    if (raft->role == RAFT_LEADER && progress != NULL) {
        progress_unreachable(progress);
    }
}

void raft_replicate_snapshot_moved(struct raft *raft, raft_node_id peer, bool is_alive)
{
    struct progress *progress = raft_peer(raft, peer);
    if (raft->role != RAFT_LEADER || progress == NULL) {
        return;
    }
    if (is_alive) {
        progress_snapshot_moved(progress, raft->now_ms);
    } else {
        progress_snapshot_failed(progress);
    }
}
