/* node_view.c -- what other threads may know: a few numbers as atomics, the rest as a copy under a
 * lock that is taken only when something in it changed. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "server/node_internal.h"

enum {
    VIEW_INTERVAL_MS = 100, /* progress of the peers is copied no more often */
    LOOP_STUCK_MS = 5000,
};

bool node_is_leader(const struct node *node)
{
    return node->view.role == RAFT_LEADER && node->membership.members_count > 0;
}

bool node_has_leader(const struct node *node)
{
    return node->view.leader != 0 && node->view.leader != node->id;
}

/* Its membership may be part of what it lost. */
static bool is_refilled(const struct node *node)
{
    return node->view.is_recovering &&
           (node->standing == STANDING_ASKING || node->standing == STANDING_CLAIMING ||
            node->standing == STANDING_MEMBER);
}

static const char *role_text(const struct node *node)
{
    if (is_refilled(node)) {
        return "recovering";
    }
    switch (node->standing) {
    case STANDING_ASKING:
    case STANDING_FORMING:
        return "forming";
    case STANDING_CLAIMING:
    case STANDING_REFUSED:
        return "waiting";
    case STANDING_REMOVED:
        return "removed";
    case STANDING_MEMBER:
        break;
    }
    return node->check.differs > 0 ? "differing" : raft_role_name(node->view.role);
}

static void copy_member(struct node *node, const struct member *member,
                        struct node_view_member *ret)
{
    struct raft_peer_view progress;

    *ret = (struct node_view_member){
        .id = member->id,
        .is_voter = member->is_voter,
        .is_learner = member->is_learner,
        .wants_vote = member->wants_vote,
        .replaces = member->replaces,
        .is_alive = node_member_answers(node, member->id),
        .stable_since_ms = node->started_wall_ms,
        .is_seen = member->incarnation != 0,
    };
    if (member->id == node->id) {
        ret->feature_level = node->options->feature_level_max;
        ret->differs = node->check.differs;
    }
    memcpy(ret->name, member->name, sizeof(ret->name));
    memcpy(ret->peer_address, member->peer_address, sizeof(ret->peer_address));
    memcpy(ret->client_address, member->client_address, sizeof(ret->client_address));
    const struct peer *peer = node_peer(node, member->id);
    if (peer != NULL) {
        ret->feature_level = peer->feature_level;
        ret->differs = peer->differs != 0 ? peer->differs : peer->found_to_differ;
    }
    if (peer != NULL && peer->stable_since_ms != 0) {
        ret->stable_since_ms = peer->stable_since_ms;
    }
    if (member->id != node->id && raft_peer_view(node->raft, member->id, &progress) == RK_OK &&
        progress.contact_ms != 0) {
        ret->has_progress = true;
        ret->match_index = progress.match_index;
        ret->commit_index = progress.commit_index;
        ret->last_applied = progress.last_applied;
        ret->contact_age_ms = node->now_ms - progress.contact_ms;
        ret->catch_up_rounds = peer != NULL && member->is_learner ? peer->rounds : 0;
        if (peer != NULL && peer->sending.is_active) {
            ret->snapshot_sent = peer->sending.offset;
            ret->snapshot_size = peer->sending.ref.size;
        }
    }
}

static void copy_leader(const struct node *node, struct node_view *view)
{
    const struct member *leader = membership_by_id(&node->membership, node->view.leader);

    view->leader = node->view.leader;
    view->has_leader = leader != NULL;
    if (leader != NULL) {
        memcpy(view->leader_name, leader->name, sizeof(view->leader_name));
        memcpy(view->leader_peer_address, leader->peer_address, sizeof(view->leader_peer_address));
    }
}

static const char *standing_reason(const struct node *node)
{
    if (is_refilled(node)) {
        return "recovering: the log lost its end or was damaged, a leader has to refill it";
    }
    switch (node->standing) {
    case STANDING_ASKING:
        return "asking the members of initial-cluster whether there is a cluster";
    case STANDING_FORMING:
        return "forming the cluster";
    case STANDING_CLAIMING:
        return "waiting for the leader to write this member down";
    case STANDING_REFUSED:
        return node->refused_reason;
    case STANDING_REMOVED:
        return "removed: the cluster has no member with this node's id any more";
    case STANDING_MEMBER:
        break;
    }
    return node->view.leader == 0 ? "no leader is known" : "";
}

static void say_difference(const struct node *node, struct node_view *view)
{
    if (node->check.differs > 0) {
        (void)snprintf(
            view->not_ready_reason, sizeof(view->not_ready_reason),
            "its state was found to differ from the others' at entry %llu: it does not serve "
            "until it is repaired (raftkv member repair)",
            (unsigned long long)node->check.differs);
    }
}

static void copy_view(struct node *node, struct node_view *view)
{
    *view = (struct node_view){
        .node_id = node->id,
        .role = role_text(node),
        .term = node->view.hard_state.term,
        .is_disk_nearly_full = node->is_disk_nearly_full,
        .differs = node->check.differs,
        .feature_level = sm_feature_level(node->sm),
        .feature_level_max = node->options->feature_level_max,
        .members_count = node->membership.members_count,
        .config_index = node->membership_index,
        .failure_tolerance = node_failure_tolerance(node),
        .meters = node->meters,
    };
    memcpy(view->node_name, node->options->node_id, sizeof(view->node_name));
    if (cluster_id_is_set(node->membership.cluster)) {
        cluster_id_format(node->membership.cluster, view->cluster_id);
    }
    copy_leader(node, view);
    (void)snprintf(view->not_ready_reason, sizeof(view->not_ready_reason), "%s",
                   standing_reason(node));
    say_difference(node, view);
    /* For now only whether an own-term entry is committed; the rest needs the reader's clock. */
    view->is_ready = node->view.role != RAFT_LEADER || node->view.is_term_committed;
    for (uint32_t i = 0; i < view->members_count; i++) {
        copy_member(node, &node->membership.members[i], &view->members[i]);
    }
}

/* A leader's first word names only what it knows this node to have. What the log held at the start may
 * have been applied before: less than that would be going back in time, were it a whole snapshot. */
static bool is_caught_up(const struct node *node)
{
    const raft_index last = node->view.last.index;
    const raft_index known = node->log_end_at_start < last ? node->log_end_at_start : last;

    return node->view.leader != 0 && !node->view.is_recovering && node->view.commit_index > 0 &&
           node->view.commit_index >= known && node->last_applied >= node->view.commit_index;
}

void node_view_update(struct node *node)
{
    struct node_numbers *numbers = &node->numbers;
    const bool is_leader = node_is_leader(node);

    atomic_store(&numbers->commit_index, node->view.commit_index);
    atomic_store(&numbers->last_applied, node->last_applied);
    atomic_store(&numbers->last_index, node->view.last.index);
    atomic_store(&numbers->durable_index, node->view.durable_index);
    atomic_store(&numbers->leader_contact_ms, node->view.leader_contact_ms);
    atomic_store(&numbers->turned_at_ms, node->now_ms);
    if (node->check.differs > 0) {
        atomic_store(&numbers->has_caught_up, false);
    } else if (node->standing ==
               STANDING_REMOVED) { /* what is there grows old for ever (pitfall 86) */
        atomic_store(&numbers->has_caught_up, false);
    } else if (is_caught_up(node)) {
        atomic_store(&numbers->has_caught_up, true);
    }
    if (!node->is_view_stale &&
        !(is_leader && node->now_ms - node->view_at_ms >= VIEW_INTERVAL_MS)) {
        return;
    }
    node->is_view_stale = false;
    node->view_at_ms = node->now_ms;
    (void)pthread_mutex_lock(&node->view_lock);
    copy_view(node, &node->shared_view);
    (void)pthread_mutex_unlock(&node->view_lock);
    atomic_fetch_add(&numbers->version, 1);
}

/* -- on the reader's thread -- */

static void judge_ready(struct node *node, struct node_view *view, bool is_leader,
                        uint64_t contact_age_ms)
{
    const uint32_t bound_ms = 2 * node->options->election_timeout_ms;

    if (view->not_ready_reason[0] != '\0') {
        view->is_ready = false;
    } else if (!view->is_ready) {
        (void)snprintf(view->not_ready_reason, sizeof(view->not_ready_reason),
                       "no entry of this leader's term is committed yet");
    } else if (contact_age_ms > bound_ms) {
        view->is_ready = false;
        (void)snprintf(view->not_ready_reason, sizeof(view->not_ready_reason),
                       is_leader ? "no quorum has answered for %llu ms"
                                 : "the leader was last heard %llu ms ago",
                       (unsigned long long)contact_age_ms);
    }
}

static void judge_alive(struct node *node, struct node_view *view, uint64_t now_ms)
{
    const uint64_t turned_ms = atomic_load(&node->numbers.turned_at_ms);
    const uint64_t disk_ms = disk_busy_since_ms(node->disk);

    view->is_alive = true;
    view->not_alive_reason[0] = '\0';
    if (now_ms > turned_ms + LOOP_STUCK_MS) {
        view->is_alive = false;
        (void)snprintf(view->not_alive_reason, sizeof(view->not_alive_reason),
                       "the node loop has not turned for %llu ms",
                       (unsigned long long)(now_ms - turned_ms));
    } else if (disk_ms != 0 && now_ms > disk_ms + LOOP_STUCK_MS) {
        view->is_alive = false;
        (void)snprintf(view->not_alive_reason, sizeof(view->not_alive_reason),
                       "the disk has not answered for %llu ms",
                       (unsigned long long)(now_ms - disk_ms));
    }
}

static bool leads(const struct node_view *view)
{
    return view->has_leader && view->leader == view->node_id;
}

static uint64_t contact_age_ms(struct node *node, uint64_t now_ms)
{
    const uint64_t contact_ms = atomic_load(&node->numbers.leader_contact_ms);

    if (contact_ms == 0) {
        return UINT64_MAX;
    }
    return now_ms > contact_ms ? now_ms - contact_ms : 0;
}

static void copy_numbers(struct node *node, struct node_view *view, uint64_t now_ms)
{
    view->commit_index = atomic_load(&node->numbers.commit_index);
    view->last_applied = atomic_load(&node->numbers.last_applied);
    view->last_index = atomic_load(&node->numbers.last_index);
    view->durable_index = atomic_load(&node->numbers.durable_index);
    view->leader_contact_age_ms = leads(view) ? 0 : contact_age_ms(node, now_ms);
}

static void copy_shared(struct node *node, struct node_view *view)
{
    (void)pthread_mutex_lock(&node->view_lock);
    *view = node->shared_view;
    (void)pthread_mutex_unlock(&node->view_lock);
}

void node_view_refresh(struct node *node, struct node_view *view, uint64_t *version)
{
    const uint64_t latest = atomic_load(&node->numbers.version);

    if (latest != *version) {
        copy_shared(node, view);
        *version = latest;
    }
    copy_numbers(node, view, rk_monotonic_ms());
}

void node_view_copy(struct node *node, struct node_view *view)
{
    const uint64_t now_ms = rk_monotonic_ms();

    copy_shared(node, view);
    copy_numbers(node, view, now_ms);
    judge_ready(node, view, leads(view), contact_age_ms(node, now_ms));
    judge_alive(node, view, now_ms);
}

struct rk_meters *node_meters(struct node *node)
{
    return node->meters;
}

bool node_lease_holds(const struct node *node, raft_index last_applied)
{
    return lease_holds(&node->lease, last_applied);
}

bool node_has_caught_up(const struct node *node)
{
    return atomic_load(&node->numbers.has_caught_up);
}
