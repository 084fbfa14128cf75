#include "raft/raft.h"

#include "base/assert.h"
#include "raft/internal.h"

/* ---- what a step puts out ---- */

struct raft_write *raft_stage(struct raft *raft)
{
    if (raft->out->write_number == 0) {
        raft->writes.newest++;
        raft->out->write_number = raft->writes.newest;
    }
    return &raft->out->write;
}

void raft_set_hard_state(struct raft *raft, struct raft_hard_state hard_state)
{
    RK_ASSERT(hard_state.term >= raft->hard_state.term);
    if (hard_state.term == raft->hard_state.term) {
        RK_ASSERT(raft->hard_state.vote == 0);
        RK_ASSERT(hard_state.vote != 0);
    }
    struct raft_write *write = raft_stage(raft);
    write->has_hard_state = true;
    write->hard_state = hard_state;
    raft->hard_state = hard_state;
    raft->hard_state_write = raft->out->write_number;
}

void raft_stage_entries(struct raft *raft, const struct raft_entry *entries, uint32_t count)
{
    struct raft_write *write = raft_stage(raft);
    RK_ASSERT(write->entries_count == 0);
    RK_ASSERT(count > 0);
    RK_ASSERT(count <= RAFT_WRITE_ENTRIES_MAX);
    write->entries = entries;
    write->entries_count = count;
}

uint64_t raft_promise(const struct raft *raft)
{
    return writes_pending(&raft->writes) ? raft->writes.newest : 0;
}

struct raft_message *raft_send(struct raft *raft, enum raft_message_type type, raft_node_id to)
{
    RK_ASSERT(raft->out->messages_count < RAFT_OUT_MESSAGES_MAX);
    RK_ASSERT(to != raft->options.id);
    struct raft_message *message = &raft->out->messages[raft->out->messages_count];
    raft->out->messages_count++;
    *message = (struct raft_message){
        .type = type, .from = raft->options.id, .to = to, .term = raft->hard_state.term};
    return message;
}

/* A refusal promises nothing but its term, and need not queue behind a slow disk. */
struct raft_message *raft_answer(struct raft *raft, enum raft_message_type type,
                                 const struct raft_message *question, bool is_promise)
{
    const bool is_term_pending = raft->hard_state_write > raft->writes.persisted;
    struct raft_message *message = raft_send(raft, type, question->from);
    message->request = question->request;
    message->after_write = is_promise || is_term_pending ? raft_promise(raft) : 0;
    return message;
}

/* ---- what several files need ---- */

void raft_become_follower(struct raft *raft, raft_term term, raft_node_id leader)
{
    RK_ASSERT(term >= raft->hard_state.term);
    RK_ASSERT(leader != raft->options.id);
    if (term > raft->hard_state.term) {
        raft_set_hard_state(raft, (struct raft_hard_state){.term = term});
    }
    if (raft->role != RAFT_FOLLOWER) {
        raft->role = RAFT_FOLLOWER;
        raft->is_transfer = false;
        raft->transfer_peer = 0;
        raft_read_forget(raft);
        raft_election_arm(raft);
    }
    raft->leader = leader;
}

static const struct progress *find_peer(const struct raft *raft, raft_node_id id)
{
    for (uint32_t i = 0; i < raft->peers_count; i++) {
        if (raft->peers[i].id == id) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

struct progress *raft_peer(struct raft *raft, raft_node_id id)
{
    const struct progress *found = find_peer(raft, id);
    return found == NULL ? NULL : &raft->peers[found - raft->peers];
}

const struct progress *raft_voter(const struct raft *raft, raft_node_id id)
{
    const struct progress *found = find_peer(raft, id);
    RK_ASSERT(found != NULL);
    return found;
}

static void add_peers(struct raft *raft, const raft_node_id *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == raft->options.id || raft_peer(raft, ids[i]) != NULL) {
            continue;
        }
        RK_ASSERT(raft->peers_count < RAFT_MEMBERS_MAX);
        struct progress *progress = &raft->peers[raft->peers_count];
        raft->peers_count++;
        progress_init(progress, ids[i]);
        progress_reset(progress, raft->trail.last_index + 1, raft->now_ms);
    }
}

void raft_update_peers(struct raft *raft)
{
    const struct raft_config *config = &raft->configs.now;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < raft->peers_count; i++) {
        if (config_is_member(config, raft->peers[i].id)) {
            if (kept != i) {
                raft->peers[kept] = raft->peers[i];
            }
            kept++;
        }
    }
    raft->peers_count = kept;
    add_peers(raft, config->voters, config->voters_count);
    add_peers(raft, config->old_voters, config->old_voters_count);
    add_peers(raft, config->learners, config->learners_count);
}

bool raft_is_storage_stalled(const struct raft *raft)
{
    const uint64_t age_ms = writes_age_ms(&raft->writes, raft->now_ms);
    return age_ms > 2 * (uint64_t)raft->options.election_timeout_ms;
}

/* ---- start ---- */

size_t raft_size(void)
{
    return sizeof(struct raft);
}

static void check_options(const struct raft_options *options)
{
    RK_ASSERT(options->id != 0);
    RK_ASSERT(options->heartbeat_interval_ms > 0);
    RK_ASSERT(options->heartbeat_interval_ms < options->election_timeout_ms / 2);
    RK_ASSERT(options->append_entries_max > 0);
    RK_ASSERT(options->append_entries_max <= RAFT_WRITE_ENTRIES_MAX);
    RK_ASSERT(options->inflight_max > 0);
    RK_ASSERT(options->inflight_max <= RAFT_INFLIGHT_MAX);
    RK_ASSERT(options->lease_ms < options->election_timeout_ms);
    if (options->lease_ms > 0) {
        RK_ASSERT(options->check_quorum);
    }
}

static void restore(struct raft *raft, const struct raft_restored *restored)
{
    RK_ASSERT(restored->last.term <= restored->hard_state.term);
    RK_ASSERT(restored->logged_configs_count <= 2);
    RK_ASSERT(restored->config_index <= restored->snapshot.index);
    raft->hard_state = restored->hard_state;
    raft->commit_index = restored->snapshot.index;
    raft->last_applied = restored->snapshot.index;
    trail_init(&raft->trail, restored->base, restored->last, restored->runs, restored->runs_count);
    writes_init(&raft->writes, restored->last.index);
    RK_ASSERT(trail_matches(&raft->trail, restored->snapshot));
    raft->snapshot = (struct raft_snapshot){.id = restored->snapshot,
                                            .config_index = restored->config_index,
                                            .config = restored->config};
    config_log_init(&raft->configs, &restored->config, restored->config_index);
    for (uint32_t i = 0; i < restored->logged_configs_count; i++) {
        RK_ASSERT(restored->logged_configs[i].index <= restored->last.index);
        if (restored->logged_configs[i].index <= restored->config_index) {
            continue;
        }
        config_log_append(&raft->configs, &restored->logged_configs[i].config,
                          restored->logged_configs[i].index);
    }
}

/* Before it stopped, this node may have promised a leader not to vote for a while; it no longer
 * knows, so it acts as if it had (pitfall 105). A node that never saw a term promised nothing, and
 * one that decides alone has nobody to wait for. */
static void arm_at_start(struct raft *raft)
{
    raft_election_arm(raft);
    if (config_is_alone(&raft->configs.now, raft->options.id)) {
        raft->election_deadline_ms = raft->now_ms;
    } else if (raft->options.check_quorum && raft->hard_state.term > 0) {
        raft->silent_until_ms = raft->now_ms + raft->options.election_timeout_ms;
    }
    raft->deadline_ms = raft->election_deadline_ms;
}

struct raft *raft_init(void *memory, size_t size, const struct raft_options *options,
                       const struct raft_restored *restored, uint64_t now_ms)
{
    RK_ASSERT(memory != NULL);
    RK_ASSERT(size >= raft_size());
    check_options(options);
    struct raft *raft = memory;
    *raft = (struct raft){.options = *options, .now_ms = now_ms, .role = RAFT_FOLLOWER};
    rk_prng_seed(&raft->prng, options->seed);
    /* A try of an earlier life must not share its number with one of this life (pitfall 16). */
    raft->campaign = rk_prng_below(&raft->prng, UINT64_C(1) << 32);
    restore(raft, restored);
    raft_update_peers(raft);
    arm_at_start(raft);
    return raft;
}

/* ---- a step ---- */

/* The term rule of Figure 3.1: a newer term makes a follower, before anything else is looked at.
 * A pre-vote asks about a term that nobody has yet (9.6), and a vote request that may not disturb
 * is as if it had not come (4.2.3). */
static void apply_term_rule(struct raft *raft, const struct raft_message *message)
{
    if (message->term <= raft->hard_state.term) {
        return;
    }
    if (message->type == RAFT_VOTE_REQUEST &&
        (message->vote_request.pre_vote || raft_election_is_sticky(raft, message))) {
        return;
    }
    raft_become_follower(raft, message->term, 0);
}

/* Who sent it is not asked of our configuration: ours may be the old one (4.1, pitfall 85). */
static void receive(struct raft *raft, const struct raft_message *message)
{
    if (message->to != raft->options.id || message->from == raft->options.id ||
        message->from == 0) {
        return;
    }
    apply_term_rule(raft, message);
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        raft_election_request(raft, message);
        break;
    case RAFT_VOTE_RESPONSE:
        raft_election_response(raft, message);
        break;
    case RAFT_APPEND_REQUEST:
        raft_append_request(raft, message);
        break;
    case RAFT_APPEND_RESPONSE:
        raft_replicate_response(raft, message);
        break;
    case RAFT_HEARTBEAT_REQUEST:
        raft_append_heartbeat(raft, message);
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        raft_replicate_heartbeat_response(raft, message);
        break;
    case RAFT_TIMEOUT_NOW:
        raft_transfer_timeout_now(raft, message);
        break;
    case RAFT_SNAPSHOT_REQUEST:
        raft_snapshot_request(raft, message);
        break;
    case RAFT_SNAPSHOT_RESPONSE:
        raft_replicate_snapshot_response(raft, message);
        break;
    }
}

/* Called late, the node was stopped for a while, and what would have kept it quiet may be waiting
 * unread: the clocks begin anew (pitfall 22). */
static bool rearm_when_late(struct raft *raft)
{
    const uint64_t late_ms =
        raft->now_ms > raft->deadline_ms ? raft->now_ms - raft->deadline_ms : 0;
    if (late_ms <= raft->options.election_timeout_ms / 2) {
        return false;
    }
    raft->quorum_floor_ms = raft->now_ms;
    raft_election_arm(raft);
    return true;
}

static void deadline(struct raft *raft)
{
    (void)rearm_when_late(raft);
    if (raft->role == RAFT_LEADER) {
        raft_replicate_deadline(raft);
    } else if (raft->now_ms >= raft->election_deadline_ms) {
        raft_election_timeout(raft);
    }
}

static void persisted(struct raft *raft, uint64_t write_number)
{
    writes_persisted(&raft->writes, write_number);
    raft_election_tally(raft);
    if (raft->role == RAFT_LEADER) {
        raft_commit_advance(raft);
    }
}

static void applied(struct raft *raft, raft_index index)
{
    RK_ASSERT(index >= raft->last_applied);
    RK_ASSERT(index <= raft->commit_index);
    raft->last_applied = index;
}

static enum rk_status dispatch(struct raft *raft, const struct raft_event *event)
{
    switch (event->type) {
    case RAFT_EVENT_DEADLINE:
        deadline(raft);
        break;
    case RAFT_EVENT_RECEIVED:
        receive(raft, event->message);
        break;
    case RAFT_EVENT_PERSISTED:
        persisted(raft, event->write_number);
        break;
    case RAFT_EVENT_APPLIED:
        applied(raft, event->index);
        break;
    case RAFT_EVENT_PROPOSED:
        return raft_replicate_propose(raft, event->proposed.entries, event->proposed.entries_count);
    case RAFT_EVENT_READ:
        return raft_read_add(raft, event->read_number);
    case RAFT_EVENT_UNREACHABLE:
        raft_replicate_unreachable(raft, event->peer);
        break;
    case RAFT_EVENT_TRANSFER:
        return raft_transfer_start(raft, event->peer);
    case RAFT_EVENT_COMPACTED:
        raft_snapshot_compacted(raft, event->compacted.snapshot, event->compacted.base_index,
                                event->compacted.lag_max);
        break;
    case RAFT_EVENT_SNAPSHOT_PROGRESS:
        raft_replicate_snapshot_moved(raft, event->peer, true);
        break;
    case RAFT_EVENT_SNAPSHOT_FAILED:
        raft_replicate_snapshot_moved(raft, event->peer, false);
        break;
    case RAFT_EVENT_INSTALLED:
        return raft_snapshot_installed(raft, event->snapshot);
    case RAFT_EVENT_INSTALL_FAILED:
        raft_snapshot_install_failed(raft, event->snapshot);
        break;
    }
    return RK_OK;
}

static uint64_t next_deadline(const struct raft *raft)
{
    if (raft_read_is_ready(raft)) {
        return raft->now_ms;
    }
    if (raft->role != RAFT_LEADER) {
        return raft->election_deadline_ms;
    }
    if (raft->transfer_peer != 0 && raft->transfer_deadline_ms < raft->heartbeat_deadline_ms) {
        return raft->transfer_deadline_ms;
    }
    return raft->heartbeat_deadline_ms;
}

static void finish(struct raft *raft)
{
    struct raft_outputs *out = raft->out;
    if (out->write_number != 0) {
        writes_add(&raft->writes, raft->trail.last_index, raft->now_ms);
    }
    raft_read_emit(raft);
    raft->deadline_ms = next_deadline(raft);
    out->commit_index = raft->commit_index;
    out->deadline_ms = raft->deadline_ms;
    raft->out = NULL;
}

enum rk_status raft_step(struct raft *raft, const struct raft_event *event,
                         struct raft_outputs *out)
{
    RK_ASSERT(event->now_ms >= raft->now_ms);
    RK_ASSERT(event->boot_ms >= raft->boot_ms);
    out->write = (struct raft_write){0};
    out->write_number = 0;
    out->messages_count = 0;
    out->reads_count = 0;
    raft->out = out;
    raft->now_ms = event->now_ms;
    raft->boot_ms = event->boot_ms;
    const enum rk_status status = dispatch(raft, event);
    finish(raft);
#ifdef RK_VERIFY
    raft_check(raft);
#endif
    return status;
}

/* ---- views ---- */

const char *raft_role_name(enum raft_role role)
{
    switch (role) {
    case RAFT_FOLLOWER:
        return "follower";
    case RAFT_PRE_CANDIDATE:
        return "pre_candidate";
    case RAFT_CANDIDATE:
        return "candidate";
    case RAFT_LEADER:
        return "leader";
    }
    RK_ASSERT(false);
}

struct raft_view raft_view(const struct raft *raft)
{
    const bool is_leader = raft->role == RAFT_LEADER;
    return (struct raft_view){
        .role = raft->role,
        .hard_state = raft->hard_state,
        .leader = raft->leader,
        .base = raft->trail.base,
        .last = trail_last(&raft->trail),
        .snapshot = raft->snapshot.id,
        .installing = raft->install.snapshot.id,
        .durable_index = raft->writes.durable_index,
        .commit_index = raft->commit_index,
        .last_applied = raft->last_applied,
        .is_term_committed = is_leader && raft_commit_has_term(raft),
        .leader_contact_ms = is_leader ? raft_replicate_quorum_ms(raft) : raft->leader_contact_ms,
        .config = &raft->configs.now,
        .config_index = raft->configs.index,
        .is_config_committed = raft->configs.index <= raft->commit_index,
        .lease_end_ms = raft_lease_end_ms(raft),
        .is_recovering = raft_election_is_recovering(raft),
        .is_storage_stalled = raft_is_storage_stalled(raft),
    };
}

enum rk_status raft_peer_view(const struct raft *raft, raft_node_id peer,
                              struct raft_peer_view *ret)
{
    const struct progress *progress = find_peer(raft, peer);
    if (raft->role != RAFT_LEADER) {
        return RK_NOT_LEADER;
    }
    if (progress == NULL) {
        return RK_NOT_FOUND;
    }
    *ret = (struct raft_peer_view){
        .match_index = progress->match_index,
        .next_index = progress->next_index,
        .commit_index = progress->commit_index,
        .last_applied = progress->last_applied,
        .contact_ms = progress->contact_ms,
        .is_replicating = progress->state == PROGRESS_REPLICATE,
        .snapshot_index = progress->snapshot_index,
    };
    return RK_OK;
}

enum rk_status raft_term_at(const struct raft *raft, raft_index index, raft_term *ret)
{
    if (index < raft->trail.base.index) {
        return RK_COMPACTED;
    }
    if (index > raft->trail.last_index) {
        return RK_NOT_FOUND;
    }
    *ret = trail_term(&raft->trail, index);
    return RK_OK;
}
