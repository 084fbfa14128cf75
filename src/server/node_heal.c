/* node_heal.c -- what a start does about damage, so that the leader can heal it (pitfalls 49 to 51):
 *
 *   a row of the log fails its check           the log ends before it
 *   the same, up to the snapshot's entry       the log gives way to the snapshot
 *   no snapshot that the log can follow        the log gives way to an older one, if that is whole;
 *                                              else all is given up, and the leader's is awaited
 *
 * Before anything goes, the mark outside the database is raised to where the log had come: at this
 * start and at every later one the node is *recovering* until a leader has brought it there. So what
 * this node acknowledged counts for no election, and term and vote stay as they were. Only where
 * other voters hold what is lost: a node alone changes nothing and does not start. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/frame.h"
#include "base/log.h"
#include "server/node_internal.h"

static bool has_other_voters(const struct node *node)
{
    const struct membership *membership = &node->membership;

    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (membership->members[i].is_voter &&
            strcmp(membership->members[i].name, node->options->node_id) != 0) {
            return true;
        }
    }
    return membership->members_count == 0 &&
           (node->options->initial_cluster_count > 1 || node_is_joining(node));
}

enum rk_status node_heal_begin(const struct node *node, const struct node_start_options *start,
                               const char *what, raft_index index)
{
    const struct log_bounds *bounds = &start->store->bounds;

    if (start->water == NULL || !has_other_voters(node)) {
        return RK_CORRUPT;
    }
    rk_log(RK_LOG_ERROR, "node", "damage_found", RK_TEXT("what", what), RK_U64("index", index),
           RK_U64("last_index", bounds->last.index),
           RK_TEXT("meaning", "recovers from the leader, and neither votes nor serves until then"),
           RK_END);
    return high_water_raise(start->water, bounds->last, bounds->last_chain);
}

enum rk_status node_heal_cut(const struct node_start_options *start, raft_index bad_index)
{
    const struct raft_write write = {.truncate_from = bad_index};
    const struct raft_write *const writes[] = {&write};

    return log_store_write(start->store, writes, 1);
}

/* Whom to listen to: the newest configuration that is still known and names this node. As one to start
 * from: no entry of this log holds it. */
void node_heal_membership(struct node *node, const struct log_store *store)
{
    struct membership membership;

    for (uint32_t i = store->snapshots_count; i > 0; i--) {
        if (membership_decode(store->snapshots[i - 1].config, &membership) == RK_OK &&
            membership_by_name(&membership, node->options->node_id) != NULL) {
            node->membership = membership;
            return;
        }
    }
}

/* The newest that names this node. */
static enum rk_status look_for_membership(void *context, const struct raft_entry *entry)
{
    struct node *node = context;
    struct membership membership;

    if (entry->type == RAFT_ENTRY_CONFIG &&
        membership_decode(rk_frame_body(entry->frame), &membership) == RK_OK &&
        membership_by_name(&membership, node->options->node_id) != NULL) {
        node->membership = membership;
    }
    return RK_OK;
}

/* Before any snapshot the log alone says that there are others. It may end in damage: then what stands
 * before that has to do. */
enum rk_status node_heal_anew(struct node *node, const struct node_start_options *start)
{
    raft_index bad_index = 0;

    node_heal_membership(node, start->store);
    enum rk_status status = log_store_scan(start->store, look_for_membership, node, &bad_index);
    RK_MAYBE(status != RK_OK);
    status = node_heal_begin(node, start, "state", start->store->bounds.last.index);
    if (status == RK_OK) {
        status = snap_store_retain(start->snaps, NULL, 0);
    }
    return status == RK_OK ? log_store_forget(start->store) : status;
}

/* What is noted down of the snapshots that cannot be read stays until there is another: it says of
 * which cluster this node is. */
enum rk_status node_heal_forget(struct node *node, const struct node_start_options *start)
{
    const struct log_store *store = start->store;
    struct node_snapshots *snaps = &node->snaps;

    for (uint32_t i = 0; i < store->snapshots_count; i++) {
        snaps->lost[i] = store->snapshots[i].id.index;
    }
    snaps->lost_count = store->snapshots_count;
    return log_store_forget(start->store);
}
