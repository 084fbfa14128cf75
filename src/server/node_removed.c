/* node_removed.c -- a member that was removed learns of it (pitfalls 85, 86).
 *
 * The leader sends a configuration that does not name a node to the members, not to that node; and
 * whoever is away while it is removed hears of nothing at all. So a member that no leader talks to
 * asks, and a leader's word counts that is not older than what this node's own configuration is from:
 * a leader has every committed entry, so its configuration is that one, or comes after it.
 *
 * A configuration that removes may still be taken back by another leader. So the node goes on asking,
 * and is a member again when it is told so. */
#include "base/log.h"
#include "server/node_internal.h"

enum { SILENCE_TIMEOUTS = 3 }; /* election timeouts: longer than most elections */

static bool is_lost(const struct node *node)
{
    const uint64_t heard_ms = node->view.leader_contact_ms;
    const uint64_t since_ms = heard_ms > node->core_since_ms ? heard_ms : node->core_since_ms;

    return node->view.role != RAFT_LEADER &&
           node->now_ms - since_ms >=
               (uint64_t)SILENCE_TIMEOUTS * node->options->election_timeout_ms;
}

bool node_removed_asks(const struct node *node)
{
    return node->standing == STANDING_REMOVED ||
           (node->standing == STANDING_MEMBER && node->is_firm && is_lost(node));
}

void node_removed_heard(struct node *node, const struct wire_identity *identity)
{
    const struct cluster_id cluster = {.high = identity->envelope.cluster_high,
                                       .low = identity->envelope.cluster_low};
    const bool is_member = identity->asked_is_member && identity->asked_id == node->id;
    const bool is_by_leader = identity->leader != 0 &&
                              identity->leader == identity->envelope.from &&
                              identity->term >= node->view.last.term;

    if (!cluster_id_equal(cluster, node->membership.cluster) ||
        is_member == (node->standing == STANDING_MEMBER)) {
        return;
    }
    if (is_member) {
        node->standing = STANDING_MEMBER;
        rk_log(RK_LOG_INFO, "identity", "member_again", RK_U64("id", node->id), RK_END);
    } else if (is_by_leader) {
        node->standing = STANDING_REMOVED;
        rk_log(RK_LOG_ERROR, "identity", "removed", RK_U64("id", node->id),
               RK_U64("config_index", node->membership_index), RK_END);
    }
    node->is_view_stale = true;
}
