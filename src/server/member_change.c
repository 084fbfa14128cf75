#include "server/member_change.h"

#include <string.h>

#include "base/assert.h"
#include "base/parse.h"
#include "raft/quorum.h"

/* -- refusals -- */

static bool refuse(struct admin_outcome *outcome, enum admin_refusal refusal, const char *who)
{
    RK_ASSERT(strlen(who) < sizeof(outcome->who));
    outcome->refusal = refusal;
    memcpy(outcome->who, who, strlen(who) + 1);
    return false;
}

static bool refuse_numbers(struct admin_outcome *outcome, enum admin_refusal refusal,
                           const uint64_t numbers[3])
{
    memcpy(outcome->numbers, numbers, sizeof(outcome->numbers));
    return refuse(outcome, refusal, "");
}

/* -- looking -- */

static const struct member *by_address(const struct membership *membership, const char *address)
{
    const struct member *found = NULL;

    for (uint32_t i = 0; i < membership->members_count; i++) {
        const struct member *member = &membership->members[i];
        if (strcmp(member->peer_address, address) == 0 &&
            (found == NULL || member->replaces == found->id)) {
            found = member;
        }
    }
    return found;
}

const struct member *member_change_find(const struct membership *membership,
                                        const struct admin_item *item)
{
    uint64_t id = 0;

    if (item->is_address) {
        return by_address(membership, item->who);
    }
    const struct member *member = membership_by_name(membership, item->who);
    if (member == NULL && rk_parse_u64(item->who, &id) == RK_OK) {
        member = membership_by_id(membership, id);
    }
    return member;
}

static uint32_t place_of(const struct membership *membership, raft_node_id id)
{
    const struct member *member = membership_by_id(membership, id);

    RK_ASSERT(member != NULL);
    return (uint32_t)(member - membership->members);
}

static const struct member *candidate_of(const struct membership *membership)
{
    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (membership->members[i].wants_vote) {
            return &membership->members[i];
        }
    }
    return NULL;
}

bool member_change_is_open(const struct membership *now, const struct member_facts *facts)
{
    return !facts->is_config_committed || now->is_joint || candidate_of(now) != NULL;
}

/* -- changing -- */

static void drop(struct membership *membership, raft_node_id id)
{
    const uint32_t place = place_of(membership, id);

    membership->members_count--;
    for (uint32_t i = place; i < membership->members_count; i++) {
        membership->members[i] = membership->members[i + 1];
    }
    membership->members[membership->members_count] = (struct member){0};
    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (membership->members[i].replaces == id) {
            membership->members[i].replaces = 0;
        }
    }
}

static void enter_joint(struct membership *membership)
{
    membership->is_joint = true;
    for (uint32_t i = 0; i < membership->members_count; i++) {
        membership->members[i].is_old_voter = membership->members[i].is_voter;
    }
}

static void leave_joint(struct membership *membership)
{
    membership->is_joint = false;
    for (uint32_t i = membership->members_count; i > 0; i--) {
        struct member *member = &membership->members[i - 1];
        member->is_old_voter = false;
        if (!member->is_voter && !member->is_learner) {
            drop(membership, member->id);
        }
    }
}

static void give_vote(struct member *member)
{
    member->is_learner = false;
    member->is_voter = true;
    member->wants_vote = false;
}

/* The new half must be able to decide with those that answer now (pitfalls 87, 90). */
static bool half_is_sound(const struct membership *now, const struct member_facts *facts,
                          const struct membership *next, struct admin_outcome *outcome)
{
    uint32_t voters = 0;
    uint32_t alive = 0;

    for (uint32_t i = 0; i < next->members_count; i++) {
        const struct member *member = &next->members[i];
        voters += member->is_voter ? 1 : 0;
        alive += member->is_voter && facts->members[place_of(now, member->id)].is_alive ? 1 : 0;
    }
    if (voters == 0) {
        return refuse(outcome, ADMIN_LAST_VOTER, "");
    }
    if (voters > RAFT_VOTERS_MAX) {
        return refuse(outcome, ADMIN_TOO_MANY_VOTERS, "");
    }
    if (alive < quorum_size(voters)) {
        const uint64_t numbers[3] = {alive, voters, quorum_size(voters)};
        return refuse_numbers(outcome, ADMIN_QUORUM_LOST, numbers);
    }
    return true;
}

/* -- what is asked for -- */

static uint32_t voters_after(const struct membership *membership)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < membership->members_count; i++) {
        const struct member *member = &membership->members[i];
        count += member->is_voter || member->wants_vote ? 1 : 0;
        count -= member->wants_vote && member->replaces != 0 ? 1 : 0;
    }
    return count;
}

static bool add_new(struct membership *next, const struct admin_item *item,
                    const struct member *replaced, struct admin_outcome *outcome)
{
    struct member member = {
        .id = item->id,
        .is_learner = true,
        .wants_vote = !item->stays_learner,
        .replaces = replaced != NULL ? replaced->id : 0,
    };

    memcpy(member.name, item->name, sizeof(member.name));
    memcpy(member.peer_address, item->peer_address, sizeof(member.peer_address));
    RK_ASSERT(member_texts_are_legal(&member)); /* the resource has looked */
    const enum rk_status status = membership_add(next, &member);
    if (status == RK_TOO_LARGE) {
        return refuse(outcome, ADMIN_TOO_MANY_LEARNERS, "");
    }
    if (status == RK_CONFLICT) {
        const struct member *same = membership_by_name(next, item->name);
        return same != NULL && same->id != member.replaces
                   ? refuse(outcome, ADMIN_NAME_TAKEN, item->name)
                   : refuse(outcome, ADMIN_ADDRESS_TAKEN, item->peer_address);
    }
    return voters_after(next) <= RAFT_VOTERS_MAX || refuse(outcome, ADMIN_TOO_MANY_VOTERS, "");
}

static bool promote(const struct membership *now, const struct member_facts *facts,
                    struct membership *next, const struct member *member,
                    struct admin_outcome *outcome)
{
    const uint32_t place = place_of(now, member->id);

    if (!member->is_learner) {
        return refuse(outcome, ADMIN_ALREADY_VOTER, member->name);
    }
    if (!facts->members[place].is_caught_up) {
        outcome->numbers[0] = facts->members[place].match_index;
        outcome->numbers[1] = facts->last_index;
        return refuse(outcome, ADMIN_NOT_CAUGHT_UP, member->name);
    }
    enter_joint(next);
    give_vote(&next->members[place]);
    return true;
}

static void take_away(struct membership *next, const struct member *member)
{
    if (member->is_learner) {
        drop(next, member->id);
        return;
    }
    if (!next->is_joint) {
        enter_joint(next);
    }
    next->members[place_of(next, member->id)].is_voter = false;
}

static bool is_replaced(const struct membership *membership, raft_node_id id)
{
    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (membership->members[i].replaces == id) {
            return true;
        }
    }
    return false;
}

/* A voter's place is taken by a learner that wants its vote; a learner's by a learner, at once. */
static bool replace(struct membership *next, const struct admin_item *item,
                    const struct member *member, struct admin_outcome *outcome)
{
    struct admin_item fresh = *item;

    if (!member->is_learner) {
        return add_new(next, &fresh, member, outcome);
    }
    fresh.stays_learner = !member->wants_vote;
    drop(next, member->id);
    return add_new(next, &fresh, NULL, outcome);
}

static bool plan_item(const struct membership *now, const struct member_facts *facts,
                      enum admin_type type, struct admin_item *item, struct membership *next,
                      struct admin_outcome *outcome)
{
    if (type == ADMIN_ADD) {
        return add_new(next, item, NULL, outcome);
    }
    const struct member *found = member_change_find(now, item);
    if (found == NULL || membership_by_id(next, found->id) == NULL) {
        return refuse(outcome, ADMIN_UNKNOWN_NODE, item->who);
    }
    const struct member member = *found;
    if (type == ADMIN_REPLACE && is_replaced(next, member.id)) {
        return refuse(outcome, ADMIN_IN_FLIGHT, member.name);
    }
    if (type == ADMIN_REPLACE && facts->members[place_of(now, member.id)].is_there &&
        strcmp(item->peer_address, member.peer_address) == 0) {
        return refuse(outcome, ADMIN_STILL_ANSWERS, member.name); /* nobody new can come up there */
    }
    if (type == ADMIN_REPLACE) {
        return replace(next, item, &member, outcome);
    }
    item->id = member.id;
    memcpy(item->name, member.name, sizeof(item->name));
    memcpy(item->peer_address, member.peer_address, sizeof(item->peer_address));
    if (type == ADMIN_PROMOTE) {
        return promote(now, facts, next, &member, outcome);
    }
    RK_ASSERT(type == ADMIN_REMOVE);
    take_away(next, &member);
    return true;
}

/* While one change goes on, all that may begin is to give it up: the removal of a learner. */
static bool may_begin(const struct membership *now, const struct member_facts *facts,
                      const struct admin_request *request, struct admin_outcome *outcome)
{
    const struct member *candidate = candidate_of(now);

    if (request->has_cas && request->cas != facts->config_index) {
        outcome->numbers[0] = facts->config_index;
        return refuse(outcome, ADMIN_INDEX_DIFFERS, "");
    }
    if (!facts->is_config_committed || now->is_joint) {
        return refuse(outcome, ADMIN_IN_FLIGHT, "");
    }
    for (uint32_t i = 0; i < request->items_count && candidate != NULL; i++) {
        const struct member *member = member_change_find(now, &request->items[i]);
        if (request->type != ADMIN_REMOVE || (member != NULL && !member->is_learner)) {
            return refuse(outcome, ADMIN_IN_FLIGHT, candidate->name);
        }
    }
    return true;
}

bool member_change_plan(const struct membership *now, const struct member_facts *facts,
                        struct admin_request *request, struct membership *next,
                        struct admin_outcome *outcome)
{
    RK_ASSERT(request->items_count > 0 && request->items_count <= RAFT_VOTERS_MAX);
    if (!may_begin(now, facts, request, outcome)) {
        return false;
    }
    *next = *now;
    for (uint32_t i = 0; i < request->items_count; i++) {
        if (!plan_item(now, facts, request->type, &request->items[i], next, outcome)) {
            return false;
        }
    }
    return !next->is_joint || half_is_sound(now, facts, next, outcome);
}

/* -- what is due -- */

static bool are_caught_up(const struct membership *now, const struct member_facts *facts)
{
    for (uint32_t i = 0; i < now->members_count; i++) {
        if (now->members[i].wants_vote && !facts->members[i].is_caught_up) {
            return false;
        }
    }
    return true;
}

bool member_change_due(const struct membership *now, const struct member_facts *facts,
                       struct membership *next)
{
    struct admin_outcome outcome = {.refusal = ADMIN_ALLOWED};

    if (!facts->is_config_committed) {
        return false;
    }
    *next = *now;
    if (now->is_joint) {
        leave_joint(next);
        return true;
    }
    if (candidate_of(now) == NULL || !are_caught_up(now, facts)) {
        return false;
    }
    enter_joint(next);
    for (uint32_t i = 0; i < next->members_count; i++) {
        if (!next->members[i].wants_vote) {
            continue;
        }
        give_vote(&next->members[i]);
        if (next->members[i].replaces != 0) {
            next->members[place_of(next, next->members[i].replaces)].is_voter = false;
        }
    }
    return half_is_sound(now, facts, next, &outcome);
}
