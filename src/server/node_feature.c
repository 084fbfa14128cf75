/* node_feature.c -- nothing is written that a member cannot read (pitfall 141).
 *
 * Every message says up to which level its sender reads (statemachine/feature.h). The first write that
 * needs more than the cluster's level makes the leader raise it, if all members, learners too, answer
 * and have said that they read so much; the write goes after the raise. Until all can read what is
 * new, the level stays, and a cluster can go back to the version before; the leader's own catalog
 * (node_health.c) is the first to want more.
 *
 * What the leader has applied is what counts: an entry that raises may still be lost before it is
 * committed, and a write behind it with it, but nothing that needs it can be without it. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/frame.h"
#include "base/log.h"
#include "server/node_internal.h"
#include "statemachine/feature.h"

enum { HEAR_TIMEOUTS = 2 }; /* election timeouts in which all members have been heard */

static uint32_t level_said(const struct wire_envelope *envelope)
{
    return envelope->feature_level > 0 ? envelope->feature_level : FEATURE_LEVEL_FIRST;
}

void node_feature_heard(struct node *node, const struct wire_envelope *envelope)
{
    struct peer *peer = node_peer(node, envelope->from);
    const uint32_t level = level_said(envelope);

    if (peer != NULL && peer->feature_level != level) {
        peer->feature_level = level;
        node->is_view_stale = true;
    }
}

/* 0: it has not said so to this node, or is not there. */
static uint32_t level_of_member(struct node *node, const struct member *member)
{
    const struct peer *peer = node_peer(node, member->id);

    if (member->id == node->id) {
        return node->options->feature_level_max;
    }
    return peer != NULL && node_member_answers(node, member->id) ? peer->feature_level : 0;
}

/* One that cannot read the level, or is not there to say so: *ret_level is then 0. NULL: none. */
static const struct member *member_behind(struct node *node, uint32_t level, uint32_t *ret_level)
{
    const struct member *silent = NULL;

    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        const struct member *member = &node->membership.members[i];
        *ret_level = level_of_member(node, member);
        if (*ret_level > 0 && *ret_level < level) {
            return member;
        }
        silent = *ret_level == 0 ? member : silent;
    }
    *ret_level = 0;
    return silent;
}

static bool is_raise_under_way(const struct node *node)
{
    return node->raise_index > node->last_applied && node->raise_term == node->view.hard_state.term;
}

static void raise_level(struct node *node, uint32_t level)
{
    const struct sm_command command = {.type = SM_COMMAND_FEATURE_LEVEL,
                                       .feature_level.level = level};

    node->is_raising = true;
    node->raise_index = node_propose_own(node, &command);
    node->is_raising = false;
    node->raise_term = node->view.hard_state.term;
    if (node->raise_index != 0) {
        rk_log(RK_LOG_INFO, "feature", "level_raised", RK_U64("level", level),
               RK_U64("index", node->raise_index), RK_END);
    }
}

/* The log says so once; each writer is told. */
static void say_behind(struct node *node, const struct member *member, uint32_t member_level,
                       uint32_t level)
{
    char reason[sizeof(node->behind_reason)];

    if (member_level == 0) {
        (void)snprintf(reason, sizeof(reason),
                       "member \"%s\" has not said that it can read this (feature level %u)",
                       member->name, level);
    } else {
        (void)snprintf(
            reason, sizeof(reason),
            "member \"%s\" is too old to read this: feature level %u is needed, it has %u",
            member->name, level, member_level);
    }
    if (strcmp(reason, node->behind_reason) != 0) {
        rk_log(RK_LOG_WARN, "feature", "write_refused", RK_TEXT("reason", reason), RK_END);
        memcpy(node->behind_reason, reason, sizeof(reason));
    }
}

/* Members that are there answer heartbeats within this time of a leader's first turn. */
static bool is_hearing(const struct node *node)
{
    return node->now_ms <
           node->led_since_ms + (uint64_t)HEAR_TIMEOUTS * node->options->election_timeout_ms;
}

static enum rk_status gate(struct node *node, uint32_t level)
{
    uint32_t member_level = 0;

    if (is_raise_under_way(node)) {
        return RK_NOT_LEADER;
    }
    const struct member *behind = member_behind(node, level, &member_level);
    if (behind == NULL) {
        raise_level(node, level);
        return RK_NOT_LEADER;
    }
    if (member_level == 0 && is_hearing(node)) {
        return RK_NOT_LEADER;
    }
    say_behind(node, behind, member_level, level);
    return RK_BEHIND;
}

enum rk_status node_feature_gate(struct node *node, struct rk_bytes command)
{
    const uint32_t level = feature_level_of_command(command);

    RK_ASSERT(level > 0); /* what this version does not know it does not propose */
    if (level <= sm_feature_level(node->sm) || node->is_raising) {
        return RK_OK;
    }
    return gate(node, level);
}

bool node_feature_may_forward(struct node *node, struct rk_bytes command)
{
    const uint32_t level = feature_level_of_command(command);
    const struct peer *leader = node_peer(node, node->view.leader);
    const struct member *member = membership_by_id(&node->membership, node->view.leader);

    if (leader == NULL || member == NULL || leader->feature_level == 0 ||
        level <= leader->feature_level) {
        return true;
    }
    say_behind(node, member, leader->feature_level, level);
    return false;
}

/* It asks again and again, and is taken once it is upgraded: the log says so once. */
bool node_feature_may_join(struct node *node, const struct member *member,
                           const struct wire_envelope *envelope)
{
    struct peer *peer = node_peer(node, member->id);
    const uint32_t level = level_said(envelope);
    const uint32_t needed = sm_feature_level(node->sm);

    if (level < needed && peer != NULL && !peer->is_age_reported) {
        peer->is_age_reported = true;
        rk_log(RK_LOG_WARN, "identity", "new_member_is_too_old", RK_TEXT("member", member->name),
               RK_U64("level", level), RK_U64("cluster_level", needed), RK_END);
    }
    return level >= needed;
}

bool node_feature_is_readable(const struct node *node)
{
    return sm_feature_level(node->sm) <= node->options->feature_level_max;
}

static uint32_t level_of_entry(const struct raft_entry *entry)
{
    const struct rk_bytes body = rk_frame_body(entry->frame);
    struct sm_command raise;

    if (entry->type != RAFT_ENTRY_COMMAND) {
        return FEATURE_LEVEL_FIRST;
    }
    if (body.size > 0 && body.data[0] == SM_COMMAND_FEATURE_LEVEL &&
        sm_command_decode(body, &raise) == RK_OK) {
        return raise.feature_level.level;
    }
    return feature_level_of_command(body);
}

uint32_t node_feature_above(const struct node *node, const struct raft_entry *entry)
{
    const uint32_t level = level_of_entry(entry);

    return level > node->options->feature_level_max ? level : 0;
}
