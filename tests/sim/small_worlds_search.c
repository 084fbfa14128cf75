#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/small_worlds.h"

/* ---- the worlds that were seen ---- */

/* By hash, each with how it was come by, so that the way to it can be told. */
struct seen {
    uint64_t hash; /* 0: free */
    uint32_t parent;
    struct small_action action;
};

static struct seen *seen;
static uint64_t seen_size; /* a power of two */
static uint64_t seen_count;

/* True when the world is new; *ret_slot is its place in either case. */
static bool see(uint64_t hash, uint32_t parent, const struct small_action *action,
                uint32_t *ret_slot)
{
    uint64_t at = hash & (seen_size - 1);
    for (; seen[at].hash != 0; at = (at + 1) & (seen_size - 1)) {
        if (seen[at].hash == hash) {
            *ret_slot = (uint32_t)at;
            return false;
        }
    }
    seen[at] = (struct seen){.hash = hash, .parent = parent, .action = *action};
    seen_count++;
    *ret_slot = (uint32_t)at;
    return true;
}

static void seen_init(uint64_t states_max)
{
    free(seen);
    for (seen_size = 1024; seen_size < states_max + states_max / 2;) {
        seen_size *= 2;
    }
    RK_ASSERT(seen_size <= UINT32_MAX);
    seen = calloc(seen_size, sizeof *seen);
    RK_ASSERT(seen != NULL);
    seen_count = 0;
}

/* ---- the worlds to go on from ---- */

/* Behind each other: size, slot, depth, bytes, size. So it can be taken from either end. */
struct frontier {
    uint8_t *bytes;
    size_t size;
    size_t room;
    size_t first;
};

struct frontier_head {
    uint32_t size;
    uint32_t slot;
    uint32_t depth;
};

static void frontier_put(struct frontier *frontier, struct frontier_head head, const uint8_t *bytes)
{
    const size_t more = sizeof head + head.size + sizeof head.size;
    if (frontier->size + more > frontier->room) {
        frontier->room = 2 * frontier->room + (1U << 20);
        frontier->bytes = realloc(frontier->bytes, frontier->room);
        RK_ASSERT(frontier->bytes != NULL);
    }
    uint8_t *at = frontier->bytes + frontier->size;
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, bytes, head.size);
    memcpy(at + sizeof head + head.size, &head.size, sizeof head.size);
    frontier->size += more;
}

/* The bytes are lent until the next put. */
static const uint8_t *frontier_take_last(struct frontier *frontier, struct frontier_head *ret)
{
    uint32_t size;
    memcpy(&size, frontier->bytes + frontier->size - sizeof size, sizeof size);
    frontier->size -= sizeof *ret + size + sizeof size;
    memcpy(ret, frontier->bytes + frontier->size, sizeof *ret);
    return frontier->bytes + frontier->size + sizeof *ret;
}

static const uint8_t *frontier_take_first(struct frontier *frontier, struct frontier_head *ret)
{
    const uint8_t *at = frontier->bytes + frontier->first;
    memcpy(ret, at, sizeof *ret);
    frontier->first += sizeof *ret + ret->size + sizeof ret->size;
    return at + sizeof *ret;
}

/* ---- the story of a failure ---- */

static struct {
    uint32_t slot; /* of the world that is gone on from */
    struct small_action action;
    bool is_told;
} now;

static const char *const kinds[] = {
    [SMALL_DELIVER] = "arrives",
    [SMALL_REPEAT] = "arrives, and will once more",
    [SMALL_TIMEOUT] = "times out",
    [SMALL_BEAT] = "beats",
    [SMALL_PERSIST] = "has written",
    [SMALL_PROPOSE] = "appends a command",
    [SMALL_CONFIG] = "appends a configuration",
    [SMALL_TRANSFER] = "hands over to",
    [SMALL_CRASH] = "crashes",
    [SMALL_START] = "starts",
};

static const char *const types[] = {
    [RAFT_VOTE_REQUEST] = "vote_request",
    [RAFT_VOTE_RESPONSE] = "vote_response",
    [RAFT_APPEND_REQUEST] = "append_request",
    [RAFT_APPEND_RESPONSE] = "append_response",
    [RAFT_HEARTBEAT_REQUEST] = "heartbeat_request",
    [RAFT_HEARTBEAT_RESPONSE] = "heartbeat_response",
    [RAFT_TIMEOUT_NOW] = "timeout_now",
};

static void print_action(const struct small_place *place, const struct small_action *action)
{
    if (action->kind == SMALL_DELIVER || action->kind == SMALL_REPEAT) {
        const struct raft_message *raft = &place->world.messages[action->a].raft;
        (void)printf("%" PRIu64 " -> %" PRIu64 " %s of term %" PRIu64 " %s\n", raft->from, raft->to,
                     types[raft->type], raft->term, kinds[action->kind]);
        return;
    }
    (void)printf("%u %s", action->a, kinds[action->kind]);
    if (action->kind == SMALL_TRANSFER) {
        (void)printf(" %u", action->b);
    } else if (action->kind == SMALL_CONFIG) {
        (void)printf(" of voters 0x%x", action->b);
    } else if (action->kind == SMALL_CRASH) {
        (void)printf(", %u of its writes are on the disk", action->b);
    }
    (void)printf("\n");
}

static void print_log(const char *name, const struct small_log *log)
{
    (void)printf("  %s", name);
    for (uint8_t i = 0; i < log->count; i++) {
        (void)printf(" %u%s", log->entries[i].term,
                     log->entries[i].type == RAFT_ENTRY_CONFIG ? "c" : "");
    }
}

static void print_node(const struct small_place *place, uint8_t id)
{
    const struct small_node *node = &place->world.nodes[id - 1];
    if (!node->is_up) {
        (void)printf("    %u is down, term %u", id, node->disk_term);
        print_log("disk", &node->disk);
        (void)printf("\n");
        return;
    }
    const struct raft_view view = raft_view(place->cores[id - 1]);
    (void)printf("    %u %s, term %" PRIu64 " (disk %u), vote %" PRIu64 ", commit %" PRIu64, id,
                 raft_role_name(view.role), view.hard_state.term, node->disk_term,
                 view.hard_state.vote, view.commit_index);
    print_log("log", &node->log);
    print_log("disk", &node->disk);
    (void)printf("\n");
}

/* The actions from the beginning to the world in `slot`; how many. */
static uint32_t way_to(uint32_t slot, struct small_action *actions, uint32_t actions_max)
{
    uint32_t count = 0;
    for (; seen[slot].parent != slot && count < actions_max; slot = seen[slot].parent) {
        actions[count++] = seen[slot].action;
    }
    for (uint32_t i = 0; i < count / 2; i++) {
        const struct small_action swapped = actions[i];
        actions[i] = actions[count - 1 - i];
        actions[count - 1 - i] = swapped;
    }
    return count;
}

static void tell_the_way(void)
{
    enum { WAY_MAX = 1024 };
    static struct small_action way[WAY_MAX];
    static struct small_place place;
    const uint32_t count = way_to(now.slot, way, WAY_MAX);

    now.is_told = true;
    small_place_init(&place);
    small_begin(&place);
    for (uint32_t i = 0; i < count; i++) {
        print_action(&place, &way[i]);
        const uint8_t id = small_act(&place, &way[i]);
        RK_ASSERT(small_send(&place, way[i].arrives));
        print_node(&place, id);
    }
    print_action(&place, &now.action);
    (void)printf("  after %u steps; each message not told of is lost\n", count);
    (void)fflush(stdout);
}

void small_fail(const char *oracle, uint8_t id)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "small worlds: %s, at node %u\n", oracle, id);
    tell_the_way();
    exit(1);
}

/* The core has failed by itself: its assertion is the oracle. */
static void tell_of_assertion(void)
{
    if (!now.is_told) {
        tell_the_way();
    }
}

/* ---- the search ---- */

struct search {
    struct small_place base;
    struct small_place work;
    struct frontier frontier;
    struct frontier next; /* breadth first: the worlds one step further */
    bool is_breadth_first;
    uint64_t states_max;
    struct small_result result;
};

static void keep(struct search *search, struct frontier_head head)
{
    static uint8_t bytes[SMALL_PACKED_MAX];
    head.size = small_pack(&search->work, bytes);
    frontier_put(search->is_breadth_first ? &search->next : &search->frontier, head, bytes);
    if (head.depth > search->result.depth) {
        search->result.depth = head.depth;
    }
}

/* Each subset of what the action sent may arrive. */
static void branch(struct search *search, const struct frontier_head *from,
                   struct small_action action)
{
    struct small_place *work = &search->work;
    const struct small_world acted = work->world;
    for (uint32_t arrives = 0; arrives < 1U << work->sent_count; arrives++) {
        struct frontier_head head = {.depth = from->depth + 1};
        action.arrives = (uint16_t)arrives;
        work->world = acted;
        if (!small_send(work, action.arrives)) {
            continue;
        }
        search->result.transitions++;
        if (see(small_hash(work), from->slot, &action, &head.slot)) {
            keep(search, head);
        }
    }
}

static void go_on(struct search *search, const struct frontier_head *from)
{
    struct small_action actions[SMALL_ACTIONS_MAX];
    const uint32_t count = small_actions(&search->base, actions);
    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        small_core_copy(search->work.cores[i], search->base.cores[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        search->work.world = search->base.world;
        now.slot = from->slot;
        now.action = actions[i];
        const uint8_t id = small_act(&search->work, &actions[i]);
        if (!search->work.is_outside) {
            branch(search, from, actions[i]);
        }
        small_core_copy(search->work.cores[id - 1], search->base.cores[id - 1]);
    }
}

/* False when there is nothing left to go on from. */
static bool take(struct search *search, struct frontier_head *ret)
{
    struct frontier *frontier = &search->frontier;
    if (frontier->first == frontier->size && search->is_breadth_first) {
        const struct frontier done = *frontier;
        *frontier = search->next;
        search->next = done;
        search->next.first = 0;
        search->next.size = 0;
    }
    if (frontier->first == frontier->size) {
        return false;
    }
    const uint8_t *bytes = search->is_breadth_first ? frontier_take_first(frontier, ret)
                                                    : frontier_take_last(frontier, ret);
    small_unpack(&search->base, bytes);
    return true;
}

static void begin(struct search *search)
{
    struct frontier_head head = {0};
    const struct small_action none = {0};
    small_begin(&search->work);
    RK_ASSERT(see(small_hash(&search->work), 0, &none, &head.slot));
    seen[head.slot].parent = head.slot;
    keep(search, head);
}

struct small_result small_search(uint64_t states_max, bool is_breadth_first)
{
    static struct search search;
    struct frontier_head head;
    search.is_breadth_first = is_breadth_first;
    search.states_max = states_max;
    search.result = (struct small_result){0};
    search.frontier.first = search.frontier.size = 0;
    search.next.first = search.next.size = 0;
    if (search.base.cores[0] == NULL) {
        small_place_init(&search.base);
        small_place_init(&search.work);
    }
    rk_assert_set_hook(tell_of_assertion);
    seen_init(states_max);
    begin(&search);
    bool has_more = take(&search, &head);
    while (has_more && seen_count < states_max) {
        go_on(&search, &head);
        has_more = take(&search, &head);
    }
    search.result.states = seen_count;
    search.result.is_exhausted = !has_more;
    return search.result;
}
