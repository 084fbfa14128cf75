/* node_health.c -- the leader writes down who the cluster's nodes are and how they do.
 *
 * The table of nodes (statemachine/catalog.h) follows from the membership and from whom the leader
 * hears; a new leader goes on where the old one stopped. What does not differ is not written: in
 * peace the log gets nothing from here. A node counts as failed once this leader has not heard it for
 * `health-timeout`, counted from when it began to lead: an election, a restart or a short pause of
 * the network ends no session (contract 5.17). */
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "server/node_internal.h"

enum { CHANGES_MAX = RAFT_MEMBERS_MAX };

/* What one turn proposes. Texts point into the membership and into the state. */
struct changes {
    struct sm_command commands[CHANGES_MAX];
    uint32_t count;
};

static struct rk_bytes bytes_of(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

static bool bytes_are(struct rk_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static struct sm_command_node *change_add(struct node *node, struct changes *changes,
                                          enum sm_command_type type, struct rk_bytes name)
{
    RK_ASSERT(changes->count < CHANGES_MAX);
    struct sm_command *command = &changes->commands[changes->count];
    changes->count++;
    *command = (struct sm_command){.type = type};
    command->node.term = node->view.hard_state.term;
    command->node.name = name;
    return &command->node;
}

/* -- members -- */

/* The member that the name stands for; NULL: nobody, or one that has not been seen yet. Of two, the
 * one that takes the other's place, once it is there. */
static const struct member *member_of(const struct node *node, struct rk_bytes name)
{
    const struct member *found = NULL;

    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        const struct member *member = &node->membership.members[i];
        if (member->incarnation != 0 && bytes_are(name, member->name) &&
            (found == NULL || member->replaces == found->id)) {
            found = member;
        }
    }
    return found;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Since when this leader has not heard the member, as far as it could. */
static uint64_t silent_since_ms(const struct node *node, raft_node_id id)
{
    const uint64_t since_ms = later(node->led_since_ms, node->health.since_ms);
    struct raft_peer_view progress;

    return raft_peer_view(node->raft, id, &progress) == RK_OK ? later(progress.contact_ms, since_ms)
                                                              : since_ms;
}

/* False: it is too early to say, and what was said stays. */
static bool judge(const struct node *node, raft_node_id id, enum sm_check_status *ret)
{
    if (node_member_answers(node, id)) {
        *ret = SM_CHECK_PASSING;
        return true;
    }
    *ret = SM_CHECK_CRITICAL;
    return node->now_ms - silent_since_ms(node, id) >= node->options->health_timeout_ms;
}

static void look_at_member(struct node *node, const struct sm_root *root,
                           const struct member *member, struct changes *changes)
{
    const struct rk_bytes name = bytes_of(member->name);
    struct sm_node known;
    enum sm_check_status status = SM_CHECK_CRITICAL;

    const bool is_known = sm_node_get(root, name, &known);
    if (!judge(node, member->id, &status)) {
        if (!is_known) {
            return;
        }
        status = known.status;
    }
    if (is_known && known.status == SM_CHECK_CRITICAL && sm_tied_count(node->sm, name) > 0) {
        change_add(node, changes, SM_COMMAND_NODE_CLEAR, name);
        return; /* it is not well again before its sessions have gone */
    }
    if (!is_known || known.status != status || known.id != member->id ||
        !bytes_are(known.address, member->peer_address)) {
        struct sm_command_node *set = change_add(node, changes, SM_COMMAND_NODE_SET, name);
        set->status = status;
        set->id = member->id;
        set->address = bytes_of(member->peer_address);
    }
}

/* -- those that are members no more -- */

/* First nothing new may be tied to it, then what is goes, then the node. */
static void look_at_former(struct node *node, const struct sm_node *known, struct changes *changes)
{
    if (known->status == SM_CHECK_CRITICAL) {
        change_add(node, changes, SM_COMMAND_NODE_CLEAR, known->name)->is_gone = true;
        return;
    }
    struct sm_command_node *set = change_add(node, changes, SM_COMMAND_NODE_SET, known->name);
    set->status = SM_CHECK_CRITICAL;
    set->id = known->id;
    set->address = known->address;
}

static bool is_name_of_member(const struct node *node, struct rk_bytes name)
{
    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        if (bytes_are(name, node->membership.members[i].name)) {
            return true;
        }
    }
    return false;
}

static void look_at_formers(struct node *node, const struct sm_root *root, struct changes *changes)
{
    struct sm_node known = {.name = {.data = NULL, .size = 0}};
    struct rk_bytes tied = {.data = NULL, .size = 0};

    while (changes->count < CHANGES_MAX && sm_node_next(root, known.name, &known)) {
        if (!is_name_of_member(node, known.name)) {
            look_at_former(node, &known, changes);
        }
    }
    while (changes->count < CHANGES_MAX && sm_tied_next(node->sm, tied, &tied)) {
        if (!is_name_of_member(node, tied) && !sm_node_get(root, tied, &known)) {
            change_add(node, changes, SM_COMMAND_NODE_CLEAR, tied);
        }
    }
}

static void look_at_all(struct node *node, struct changes *changes)
{
    const struct sm_root root = sm_view(node->sm);

    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        const struct member *member = &node->membership.members[i];
        if (member_of(node, bytes_of(member->name)) == member) {
            look_at_member(node, &root, member, changes);
        }
    }
    look_at_formers(node, &root, changes);
}

/* -- the turn -- */

static bool may_propose(const struct node *node)
{
    const bool is_under_way =
        node->health.index > node->last_applied && node->health.term == node->view.hard_state.term;

    return node_is_leader(node) && node->view.is_term_committed && !node->is_handing_over &&
           !is_under_way;
}

static void log_change(const struct sm_command_node *change)
{
    const bool is_critical = change->status == SM_CHECK_CRITICAL;
    char name[RK_NODE_NAME_SIZE_MAX + 1] = "";

    rk_bytes_copy(name, change->name);
    rk_log(is_critical ? RK_LOG_WARN : RK_LOG_INFO, "catalog", "node_status", RK_TEXT("node", name),
           RK_TEXT("status", is_critical ? "critical" : "passing"), RK_END);
}

/* What cannot be taken in now is looked at again: an older member may not be able to read it. */
static void propose(struct node *node, const struct changes *changes)
{
    for (uint32_t i = 0; i < changes->count; i++) {
        const struct sm_command *command = &changes->commands[i];
        const raft_index index = node_propose_own(node, command);
        if (index == 0) {
            return;
        }
        node->health.index = index;
        node->health.term = node->view.hard_state.term;
        if (command->type == SM_COMMAND_NODE_SET) {
            log_change(&command->node);
        }
    }
}

/* A leader that itself stood still has heard nobody, and cannot know whether anybody spoke. */
static void note_turn(struct node *node)
{
    const uint64_t late_ms = node->now_ms - node->health.turned_ms;

    node->health.turned_ms = node->now_ms;
    if (late_ms > NODE_HEALTH_MS + NODE_HEALTH_LATE_MS) {
        node->health.since_ms = node->now_ms;
    }
}

void node_health_turn(struct node *node)
{
    struct changes changes = {.count = 0};

    note_turn(node);
    if (!may_propose(node) || node->now_ms < node->health.due_ms) {
        return;
    }
    look_at_all(node, &changes);
    propose(node, &changes);
    /* After a change the next look is at what became of it: there may be more to clear. */
    node->health.due_ms = node->now_ms + (may_propose(node) ? NODE_HEALTH_MS : 0);
}

uint64_t node_health_deadline_ms(const struct node *node)
{
    return may_propose(node) ? node->health.due_ms : UINT64_MAX; /* else something else wakes */
}
