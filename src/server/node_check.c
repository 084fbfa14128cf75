/* node_check.c -- replicas that applied the same entries hold the same state: this is where they look.
 *
 * Each member keeps the digest of its state at every NODE_CHECK_EVERY-th entry, the last few of them: the
 * digest is a sum that the maps keep anyway. The leader names an index in its heartbeats, the others
 * answer what they had there, and those who are not with a quorum differ: each is told, notes it down on
 * its disk, and begins anew as a process that neither serves nor votes until a snapshot of a leader has
 * taken the place of its state. A leader that is the odd one does the same to itself. Where no quorum
 * agrees nobody can tell who is right: the log says so, and all go on.
 *
 * What one side does not have any more, or not yet, is no difference. */
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "raft/quorum.h"
#include "server/node_internal.h"
#include "storage/differs.h"

enum { ROUND_TIMEOUTS = 2 }; /* election timeouts that a round waits for those who do not answer */

static const char *note_path(const struct node *node)
{
    return node->dir != NULL ? data_dir_path(node->dir, "differs") : NULL;
}

/* -- the digests -- */

static struct check_mark *mark_of(struct node *node, raft_index index)
{
    return &node->check.marks[index / NODE_CHECK_EVERY % NODE_CHECK_MARKS];
}

void node_check_applied(struct node *node, raft_index index)
{
    if (index % NODE_CHECK_EVERY == 0) {
        *mark_of(node, index) =
            (struct check_mark){.index = index, .digest = sm_digest_now(node->sm)};
        node->check.newest = index;
    }
}

static const struct check_mark *mark_find(struct node *node, raft_index index)
{
    const struct check_mark *mark = mark_of(node, index);

    return index > 0 && mark->index == index ? mark : NULL;
}

void node_check_open(struct node *node)
{
    node->check = (struct node_check){.newest = 0};
    sm_scrub_init(&node->check.scrub);
}

void node_check_close(struct node *node)
{
    sm_scrub_done(&node->check.scrub);
}

void node_check_replaced(struct node *node)
{
    const raft_index differs = node->check.differs;

    node_check_close(node);
    node_check_open(node);
    node->is_view_stale = true;
    if (differs == 0) {
        return;
    }
    rk_log(RK_LOG_INFO, "check", "state_replaced", RK_U64("differed_at", differs), RK_END);
    if (note_path(node) != NULL && differs_remove(note_path(node)) != RK_OK) {
        node_end(node, RK_IO, "storage_failed", differs);
    }
}

/* -- what this node is told -- */

void node_check_begin_anew(struct node *node, raft_index index, bool is_repair)
{
    const enum differs what = is_repair ? DIFFERS_REPAIR : DIFFERS_FOUND;
    const char *path = note_path(node);

    /* In the node's thread, and with an fsync: nothing else is to be done any more. */
    if (path != NULL && differs_write(path, what, index) != RK_OK) {
        node_end(node, RK_IO, "storage_failed", index);
    }
    node_end(node, RK_DIFFERS, is_repair ? "repair_begins" : "state_differs", index);
}

enum differs node_check_restore(struct node *node)
{
    raft_index index = 0;
    const enum differs what =
        note_path(node) != NULL ? differs_read(note_path(node), &index) : DIFFERS_NOT;

    if (what != DIFFERS_NOT) {
        node->check.differs = index > 0 ? index : 1;
    }
    if (what == DIFFERS_FOUND) {
        rk_log(RK_LOG_ERROR, "check", "differs_and_does_not_serve", RK_U64("index", index), RK_END);
    }
    return what;
}

/* The leader says so with each heartbeat. Whoever asked for it by this node has the answer first. */
static void repair_wanted(struct node *node)
{
    if (node->check.repair_since_ms == 0) {
        node->check.repair_since_ms = node->now_ms;
    }
    if (node->now_ms - node->check.repair_since_ms >= NODE_REPAIR_MS) {
        node_check_begin_anew(node, node->check.differs, true);
    }
}

void node_check_question(struct node *node, const struct wire_envelope *envelope)
{
    const struct wire_check *check = &envelope->check;

    if (node->view.leader != envelope->from) {
        return;
    }
    if (node->check.differs > 0 && check->is_repair) {
        repair_wanted(node);
    }
    if (node->check.differs == 0 && check->differs > 0 && check->differs <= node->last_applied) {
        node_check_begin_anew(node, check->differs, false);
    }
}

void node_check_answer(struct node *node, raft_index asked, struct wire_check *ret)
{
    const struct check_mark *mark = mark_find(node, asked);

    *ret = (struct wire_check){.differs = node->check.differs};
    if (mark != NULL) {
        ret->index = mark->index;
        ret->digest = mark->digest;
    }
}

/* -- memory -- */

static bool has_other_voters(const struct node *node)
{
    return node->view.config->voters_count > 1;
}

void node_check_damaged(struct node *node, raft_index modify_index)
{
    rk_log(RK_LOG_ERROR, "check", "memory_damaged", RK_U64("modify_index", modify_index),
           RK_U64("last_applied", node->last_applied), RK_END);
    if (has_other_voters(node)) {
        node_check_begin_anew(node, node->last_applied, false);
    }
    node_end(node, RK_DIFFERS, "memory_damaged", node->last_applied);
}

/* A bit that flipped after the digest was made is in no digest. */
static void scrub_turn(struct node *node)
{
    raft_index index = 0;

    if (node->now_ms < node->check.scrub_due_ms) {
        return;
    }
    node->check.scrub_due_ms = node->now_ms + NODE_SCRUB_MS;
    if (!sm_scrub_step(&node->check.scrub, node->sm, NODE_SCRUB_BYTES, &index)) {
        node_check_damaged(node, index);
    }
}

/* -- the leader -- */

void node_check_ask(struct node *node, const struct peer *peer, struct wire_check *ret)
{
    *ret = (struct wire_check){
        .index = node->check.asked,
        .differs = peer->differs == 0 ? peer->found_to_differ : 0,
        .is_repair = peer->is_repair_wanted,
    };
}

void node_check_heard(struct node *node, struct peer *peer, const struct wire_check *check)
{
    peer->check = (struct check_mark){.index = check->index, .digest = check->digest};
    if (peer->differs != check->differs) {
        peer->differs = check->differs;
        peer->is_repair_wanted = peer->is_repair_wanted && check->differs > 0;
        peer->found_to_differ = 0;
        node->is_view_stale = true;
    }
}

/* Whose digest at `index` is being counted. */
struct side {
    struct node *node;
    raft_index index;
    uint64_t digest;
};

/* False: it has not said, or is known to differ. */
static bool digest_of(struct node *node, raft_node_id id, raft_index index, uint64_t *ret)
{
    const struct peer *peer = node_peer(node, id);
    const struct check_mark *mark = id == node->id ? mark_find(node, index)
                                    : peer != NULL ? &peer->check
                                                   : NULL;

    if (mark == NULL || mark->index != index || (peer != NULL && peer->differs > 0)) {
        return false;
    }
    *ret = mark->digest;
    return true;
}

static uint64_t is_on_side(const void *context, raft_node_id voter)
{
    const struct side *side = context;
    uint64_t digest = 0;

    return digest_of(side->node, voter, side->index, &digest) && digest == side->digest ? 1 : 0;
}

static bool has_quorum(struct node *node, raft_index index, uint64_t digest)
{
    const struct side side = {.node = node, .index = index, .digest = digest};

    return quorum_reached(node->view.config, is_on_side, &side) == 1;
}

/* False: no quorum agrees. */
static bool find_truth(struct node *node, raft_index index, uint64_t *ret)
{
    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        if (digest_of(node, node->membership.members[i].id, index, ret) &&
            has_quorum(node, index, *ret)) {
            return true;
        }
    }
    return false;
}

static void found_to_differ(struct node *node, const struct member *member, raft_index index)
{
    struct peer *peer = node_peer(node, member->id);

    rk_log(RK_LOG_ERROR, "check", "replica_differs", RK_TEXT("member", member->name),
           RK_U64("index", index), RK_END);
    if (peer != NULL) {
        peer->found_to_differ = index;
        node->is_view_stale = true;
    } else {
        node_check_begin_anew(node, index, false);
    }
}

static void judge(struct node *node, raft_index index)
{
    uint64_t truth = 0;
    uint64_t digest = 0;
    uint64_t own = 0;
    const bool is_decided = find_truth(node, index, &truth);

    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        const struct member *member = &node->membership.members[i];
        if (is_decided && member->id != node->id && digest_of(node, member->id, index, &digest) &&
            digest != truth) {
            found_to_differ(node, member, index);
        }
        if (!is_decided && digest_of(node, node->id, index, &own) &&
            digest_of(node, member->id, index, &digest) && digest != own) {
            rk_log(RK_LOG_ERROR, "check", "replicas_differ", RK_TEXT("member", member->name),
                   RK_U64("index", index), RK_TEXT("meaning", "no quorum says which is right"),
                   RK_END);
        }
    }
    if (is_decided && digest_of(node, node->id, index, &own) && own != truth) {
        found_to_differ(node, membership_by_id(&node->membership, node->id), index); /* the last */
    }
}

/* All that answer have said what they had there. */
static bool is_round_whole(struct node *node)
{
    for (uint32_t i = 0; i < node->peers_count; i++) {
        const struct peer *peer = &node->peers[i];
        if (peer->differs == 0 && peer->check.index != node->check.asked &&
            node_member_answers(node, peer->id)) {
            return false;
        }
    }
    return true;
}

void node_check_turn(struct node *node)
{
    struct node_check *check = &node->check;
    const uint64_t patience_ms = (uint64_t)ROUND_TIMEOUTS * node->options->election_timeout_ms;

    if (check->differs == 0) {
        scrub_turn(node);
    }
    if (!node_is_leader(node) || node->peers_count == 0) {
        check->asked = 0;
        return;
    }
    if (check->asked > 0 &&
        (is_round_whole(node) || node->now_ms >= check->asked_since_ms + patience_ms)) {
        check->judged = check->asked;
        check->asked = 0;
        judge(node, check->judged);
    }
    if (check->asked == 0 && check->newest > check->judged) {
        check->asked = check->newest;
        check->asked_since_ms = node->now_ms;
    }
}
