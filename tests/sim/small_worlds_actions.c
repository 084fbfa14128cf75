#include <string.h>

#include "base/assert.h"
#include "sim/small_worlds.h"

/* ---- what can happen ---- */

struct list {
    struct small_action *actions;
    uint32_t count;
};

static void add(struct list *list, enum small_action_kind kind, uint32_t a, uint32_t b)
{
    RK_ASSERT(list->count < SMALL_ACTIONS_MAX);
    list->actions[list->count++] =
        (struct small_action){.kind = (uint8_t)kind, .a = (uint8_t)a, .b = (uint8_t)b};
}

static void add_messages(struct list *list, const struct small_world *world)
{
    for (uint32_t i = 0; i < world->messages_count; i++) {
        if (!world->nodes[world->messages[i].raft.to - 1].is_up) {
            continue;
        }
        add(list, SMALL_DELIVER, i, 0);
        if (world->left.duplicates > 0) {
            add(list, SMALL_REPEAT, i, 0);
        }
    }
}

/* A joint configuration is only left; else every other set of voters may be entered. */
static void add_configs(struct list *list, const struct small_world *world, uint8_t id)
{
    uint8_t index;
    const struct small_entry now = small_config_in_force(&world->nodes[id - 1].log, id, &index);
    if (now.old_voters != 0) {
        add(list, SMALL_CONFIG, id, 0);
        return;
    }
    if (world->left.configs == 0) {
        return;
    }
    for (uint32_t voters = 1; voters < 1U << small_bounds.nodes; voters++) {
        if (voters != now.voters) {
            add(list, SMALL_CONFIG, id, voters);
        }
    }
}

static void add_of_leader(struct list *list, const struct small_world *world, uint8_t id)
{
    if (world->left.heartbeats > 0) {
        add(list, SMALL_BEAT, id, 0);
    }
    if (world->left.entries > 0) {
        add(list, SMALL_PROPOSE, id, 0);
    }
    if (small_bounds.configs > 0) {
        add_configs(list, world, id);
    }
    for (uint8_t to = 1; world->left.transfers > 0 && to <= small_bounds.nodes; to++) {
        if (to != id) {
            add(list, SMALL_TRANSFER, id, to);
        }
    }
}

static void add_of_node(struct list *list, const struct small_place *place, uint8_t id)
{
    const struct small_world *world = &place->world;
    const struct small_node *node = &world->nodes[id - 1];
    if (!node->is_up) {
        add(list, SMALL_START, id, 0);
        return;
    }
    const struct raft_view view = raft_view(place->cores[id - 1]);
    if (view.role == RAFT_LEADER) {
        add_of_leader(list, world, id);
    } else if (view.hard_state.term < small_bounds.terms) {
        add(list, SMALL_TIMEOUT, id, 0);
    }
    if (node->writes_count > 0) {
        add(list, SMALL_PERSIST, id, 0);
    }
    for (uint8_t kept = 0; world->left.crashes > 0 && kept <= node->writes_count; kept++) {
        add(list, SMALL_CRASH, id, kept);
    }
}

uint32_t small_actions(const struct small_place *place, struct small_action *actions)
{
    struct list list = {.actions = actions};
    add_messages(&list, &place->world);
    for (uint8_t id = 1; id <= small_bounds.nodes; id++) {
        add_of_node(&list, place, id);
    }
    return list.count;
}

/* ---- doing it ---- */

static void remove_message(struct small_world *world, uint8_t at)
{
    world->messages_count--;
    world->messages[at] = world->messages[world->messages_count];
    world->messages[world->messages_count] = (struct small_message){0};
}

static uint8_t deliver(struct small_place *place, const struct small_action *action)
{
    struct small_world *world = &place->world;
    const struct small_message message = world->messages[action->a];
    if (action->kind == SMALL_REPEAT) {
        world->left.duplicates--;
    } else {
        remove_message(world, action->a);
    }
    small_receive(place, &message);
    return (uint8_t)message.raft.to;
}

static void strike(struct small_place *place, uint8_t id, uint64_t now_ms)
{
    struct small_node *node = &place->world.nodes[id - 1];
    if (now_ms > node->now_ms) {
        node->now_ms = now_ms;
    }
    (void)small_step(place, id, (struct raft_event){.type = RAFT_EVENT_DEADLINE});
}

static void propose(struct small_place *place, uint8_t id)
{
    struct raft_entry entry = {.type = RAFT_ENTRY_COMMAND};
    const struct raft_event event = {.type = RAFT_EVENT_PROPOSED, .proposed = {&entry, 1}};
    place->world.left.entries--;
    if (small_step(place, id, event) != RK_OK) {
        place->is_outside = true; /* nothing came of it */
    }
}

static void propose_config(struct small_place *place, uint8_t id, uint8_t voters)
{
    uint8_t index;
    const struct small_entry now =
        small_config_in_force(&place->world.nodes[id - 1].log, id, &index);
    const struct raft_config config = voters == 0 ? small_config(now.voters, 0, now.learners)
                                                  : small_config(voters, now.voters, 0);
    struct raft_entry entry = {.type = RAFT_ENTRY_CONFIG, .config = &config};
    const struct raft_event event = {.type = RAFT_EVENT_PROPOSED, .proposed = {&entry, 1}};
    if (voters != 0) {
        place->world.left.configs--;
    }
    if (small_step(place, id, event) != RK_OK) {
        place->is_outside = true;
        return;
    }
    small_check_config_taken(place, id);
}

static void transfer(struct small_place *place, uint8_t id, uint8_t to)
{
    place->world.left.transfers--;
    const struct raft_event event = {.type = RAFT_EVENT_TRANSFER, .peer = to};
    if (small_step(place, id, event) != RK_OK) {
        place->is_outside = true;
    }
}

static void act_on_node(struct small_place *place, const struct small_action *action)
{
    struct small_world *world = &place->world;
    const uint8_t id = action->a;
    const uint64_t deadline_ms = world->nodes[id - 1].deadline_ms;
    switch ((enum small_action_kind)action->kind) {
    case SMALL_TIMEOUT:
        strike(place, id, deadline_ms);
        break;
    case SMALL_BEAT:
        world->left.heartbeats--;
        strike(place, id, deadline_ms + 1);
        break;
    case SMALL_PERSIST:
        small_persist(place, id);
        break;
    case SMALL_PROPOSE:
        propose(place, id);
        break;
    case SMALL_CONFIG:
        propose_config(place, id, action->b);
        break;
    case SMALL_TRANSFER:
        transfer(place, id, action->b);
        break;
    case SMALL_CRASH:
        world->left.crashes--;
        small_crash(place, id, action->b);
        break;
    case SMALL_START:
        small_start(place, id);
        break;
    case SMALL_DELIVER:
    case SMALL_REPEAT:
        RK_ASSERT(false);
    }
}

uint8_t small_act(struct small_place *place, const struct small_action *action)
{
    place->sent_count = 0;
    place->is_outside = false;
    if (action->kind == SMALL_DELIVER || action->kind == SMALL_REPEAT) {
        return deliver(place, action);
    }
    act_on_node(place, action);
    return action->a;
}

static bool is_in_flight(const struct small_place *place, const struct small_message *message)
{
    const struct small_world *world = &place->world;
    const uint64_t hash = small_message_hash(place, message);
    for (uint32_t i = 0; i < world->messages_count; i++) {
        if (small_message_hash(place, &world->messages[i]) == hash) {
            return true;
        }
    }
    return false;
}

bool small_send(struct small_place *place, uint16_t arrives)
{
    struct small_world *world = &place->world;
    for (uint32_t i = 0; i < place->sent_count; i++) {
        if ((arrives >> i & 1U) == 0) {
            continue;
        }
        if (is_in_flight(place, &place->sent[i])) {
            continue; /* the same once more is a duplicate, and there is a budget for those */
        }
        if (world->messages_count == small_bounds.messages) {
            return false;
        }
        world->messages[world->messages_count++] = place->sent[i];
    }
    return true;
}
