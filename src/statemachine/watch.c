#include "statemachine/watch.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "statemachine/omap.h"
#include "statemachine/watch_tree.h"

/* With more changes in one root, or more groups touched, than this, looking at every group once is
 * the cheaper way. */
enum { CHANGES_MAX = 2048, TOUCHES_MAX = 65536 };

/* All that wait for one topic. */
struct sm_watch_group {
    struct watch_leaf leaf; /* first: the leaf is its group */
    struct sm_topic topic;
    struct sm_watcher waiting; /* heads of rings */
    struct sm_watcher touched; /* of these, who is to be judged */
    struct sm_watch_group *next_due;
    struct sm_topic_state state; /* to judge by */
    bool is_due;                 /* in the list of those to be judged */
    bool is_stale;               /* the state is that of an older root */
    uint8_t key[];
};

struct sm_watch_set {
    struct watch_tree trees[SM_TOPIC_KINDS_COUNT];
    struct sm_root root;
    uint32_t groups_count;
    struct sm_watch_group *due_first;
    struct sm_watch_group *due_last;
    uint32_t touches_count; /* by this root */
};

/* --- rings --- */

static void ring_init(struct sm_watcher *head)
{
    head->previous = head;
    head->next = head;
}

static bool ring_is_empty(const struct sm_watcher *head)
{
    return head->next == head;
}

static void ring_push(struct sm_watcher *head, struct sm_watcher *watcher)
{
    watcher->previous = head->previous;
    watcher->next = head;
    head->previous->next = watcher;
    head->previous = watcher;
}

static void ring_unlink(struct sm_watcher *watcher)
{
    watcher->previous->next = watcher->next;
    watcher->next->previous = watcher->previous;
}

/* Moves all of `from` behind `head`. */
static void ring_move(struct sm_watcher *head, struct sm_watcher *from)
{
    if (ring_is_empty(from)) {
        return;
    }
    from->next->previous = head->previous;
    head->previous->next = from->next;
    from->previous->next = head;
    head->previous = from->previous;
    ring_init(from);
}

/* --- groups --- */

struct sm_watch_set *sm_watch_set_new(void)
{
    return rk_heap_zalloc(1, sizeof(struct sm_watch_set));
}

void sm_watch_set_free(struct sm_watch_set *set)
{
    if (set != NULL) {
        RK_ASSERT(set->groups_count == 0);
        rk_heap_free(set);
    }
}

static struct sm_watch_group *group_new(struct sm_watch_set *set, const struct sm_topic *topic)
{
    struct sm_watch_group *group = rk_heap_zalloc(1, sizeof(*group) + topic->key.size);

    if (topic->key.size > 0) {
        rk_bytes_copy(group->key, topic->key);
    }
    group->leaf.key = (struct rk_bytes){.data = group->key, .size = topic->key.size};
    group->topic = (struct sm_topic){.kind = topic->kind, .key = group->leaf.key};
    ring_init(&group->waiting);
    ring_init(&group->touched);
    watch_tree_add(&set->trees[topic->kind], &group->leaf);
    set->groups_count++;
    return group;
}

/* A group that is due stays until its turn: the list of those is singly linked. */
static void group_free_if_empty(struct sm_watch_set *set, struct sm_watch_group *group)
{
    if (group->is_due || !ring_is_empty(&group->waiting) || !ring_is_empty(&group->touched)) {
        return;
    }
    watch_tree_remove(&set->trees[group->topic.kind], &group->leaf);
    set->groups_count--;
    rk_heap_free(group);
}

static void touch(void *context, struct watch_leaf *leaf)
{
    struct sm_watch_set *set = context;
    struct sm_watch_group *group = (struct sm_watch_group *)(void *)leaf;

    set->touches_count++;
    ring_move(&group->touched, &group->waiting);
    group->is_stale = true;
    if (group->is_due) {
        return;
    }
    group->is_due = true;
    group->next_due = NULL;
    if (set->due_last != NULL) {
        set->due_last->next_due = group;
    } else {
        set->due_first = group;
    }
    set->due_last = group;
}

/* --- what a root touches --- */

static void touch_key(struct sm_watch_set *set, struct rk_bytes key)
{
    struct watch_leaf *leaf = watch_tree_find(&set->trees[SM_TOPIC_KEY], key);

    if (leaf != NULL) {
        touch(set, leaf);
    }
    watch_tree_visit_above(&set->trees[SM_TOPIC_PREFIX], key, touch, set);
}

static void touch_below(struct sm_watch_set *set, enum sm_topic_kind kind, struct rk_bytes prefix)
{
    struct watch_leaf *leaf = watch_tree_below(&set->trees[kind], prefix);

    while (leaf != NULL && set->touches_count < TOUCHES_MAX &&
           watch_key_begins(leaf->key, prefix)) {
        touch(set, leaf);
        leaf = leaf->next;
    }
}

static void touch_prefix(struct sm_watch_set *set, struct rk_bytes prefix)
{
    touch_below(set, SM_TOPIC_KEY, prefix);
    touch_below(set, SM_TOPIC_PREFIX, prefix);
    watch_tree_visit_above(&set->trees[SM_TOPIC_PREFIX], prefix, touch, set);
}

static void touch_all(struct sm_watch_set *set)
{
    const struct rk_bytes everything = {.data = NULL, .size = 0};

    for (uint32_t kind = 0; kind < SM_TOPIC_KINDS_COUNT; kind++) {
        struct watch_leaf *leaf = watch_tree_below(&set->trees[kind], everything);
        while (leaf != NULL) {
            touch(set, leaf);
            leaf = leaf->next;
        }
    }
}

static void visit_set(void *context, const struct omap_item *item)
{
    struct omap_entry entry;

    omap_item_read(item, &entry);
    touch_key(context, entry.key);
}

struct deletions {
    struct sm_watch_set *set;
    raft_index after;
};

static void visit_deletion(void *context, const struct omap_item *item)
{
    const struct deletions *deletions = context;
    struct omap_entry entry;

    omap_item_read(item, &entry);
    if (entry.lock_index > deletions->after) { /* of the whole prefix: see tombstones.h */
        touch_prefix(deletions->set, entry.key);
    } else {
        touch_key(deletions->set, entry.key);
    }
}

/* False: too much to go through one by one. */
static bool touch_changes(struct sm_watch_set *set, const struct sm_root *root, raft_index after)
{
    struct deletions deletions = {.set = set, .after = after};
    struct omap_changes changes = {
        .after = after, .budget = CHANGES_MAX, .visit = visit_set, .context = set};

    if (!omap_visit_changes(root->kv, &changes)) {
        return false;
    }
    changes.visit = visit_deletion;
    changes.context = &deletions;
    return omap_visit_changes(root->tombstones, &changes) &&
           omap_visit_changes(root->tombstones_old, &changes) && set->touches_count < TOUCHES_MAX;
}

/* Who waits for another part of it is judged by its index, and stays. */
static void touch_catalog(struct sm_watch_set *set)
{
    const struct rk_bytes all = {.data = NULL, .size = 0};

    touch_below(set, SM_TOPIC_NODES, all);
    touch_below(set, SM_TOPIC_CHECKS, all);
    touch_below(set, SM_TOPIC_CATALOG, all);
}

void sm_watch_advance(struct sm_watch_set *set, const struct sm_root *root)
{
    const struct sm_root before = set->root;

    set->root = *root;
    if (set->groups_count == 0) {
        return;
    }
    set->touches_count = 0;
    if (root->session_index != before.session_index) {
        touch_below(set, SM_TOPIC_SESSIONS, (struct rk_bytes){.data = NULL, .size = 0});
    }
    if (root->catalog != before.catalog) {
        touch_catalog(set);
    }
    if (root->kv_index == before.kv_index) {
        return;
    }
    /* Deletions that were given up since cannot be found any more. */
    if (root->tombstone_floor > before.kv_index || !touch_changes(set, root, before.kv_index)) {
        touch_all(set);
    }
}

/* --- watchers --- */

bool sm_watch_add(struct sm_watch_set *set, const struct sm_topic *topic, raft_index after,
                  struct sm_watcher *watcher)
{
    const struct sm_topic_state state = sm_topic_state(&set->root, topic);

    RK_ASSERT(watcher->group == NULL);
    if (state.index > after) {
        return false;
    }
    struct watch_leaf *leaf = watch_tree_find(&set->trees[topic->kind], topic->key);
    struct sm_watch_group *group = (struct sm_watch_group *)(void *)leaf;
    if (group == NULL) {
        group = group_new(set, topic);
    }
    *watcher = (struct sm_watcher){.group = group, .after = after, .was_absent = state.is_absent};
    ring_push(&group->waiting, watcher);
    return true;
}

static struct sm_watch_group *unregister(struct sm_watcher *watcher)
{
    struct sm_watch_group *group = watcher->group;

    RK_ASSERT(group != NULL);
    ring_unlink(watcher);
    watcher->group = NULL;
    return group;
}

void sm_watch_remove(struct sm_watch_set *set, struct sm_watcher *watcher)
{
    group_free_if_empty(set, unregister(watcher));
}

/* --- judging --- */

static void due_pop(struct sm_watch_set *set)
{
    struct sm_watch_group *group = set->due_first;

    set->due_first = group->next_due;
    if (set->due_first == NULL) {
        set->due_last = NULL;
    }
    group->is_due = false;
    group_free_if_empty(set, group);
}

/* A restore wakes all: what was not there and is not there now may have been there in between, for all
 * that the watcher knows of the state that it is told about now. */
static bool is_woken(struct sm_watcher *watcher, const struct sm_topic_state *state,
                     raft_index restored_index)
{
    const bool is_absent_still =
        watcher->was_absent && state->is_absent && restored_index <= watcher->after;

    watcher->was_absent = state->is_absent;
    return state->index > watcher->after && !is_absent_still;
}

/* The next of the group who is to be woken; NULL: none is left, or the budget is used up. */
static struct sm_watcher *group_next(struct sm_watch_set *set, struct sm_watch_group *group,
                                     uint32_t *budget)
{
    if (group->is_stale) {
        group->state = sm_topic_state(&set->root, &group->topic);
        group->is_stale = false;
    }
    while (*budget > 0 && !ring_is_empty(&group->touched)) {
        struct sm_watcher *watcher = group->touched.next;
        (*budget)--;
        if (is_woken(watcher, &group->state, set->root.restored_index)) {
            (void)unregister(watcher);
            return watcher;
        }
        ring_unlink(watcher);
        ring_push(&group->waiting, watcher);
    }
    return NULL;
}

struct sm_watcher *sm_watch_next(struct sm_watch_set *set, uint32_t *budget)
{
    while (*budget > 0 && set->due_first != NULL) {
        struct sm_watcher *watcher = group_next(set, set->due_first, budget);
        if (watcher != NULL) {
            return watcher;
        }
        if (ring_is_empty(&set->due_first->touched)) {
            due_pop(set);
            *budget -= *budget > 0; /* an empty group is looked at, too */
        }
    }
    return NULL;
}

bool sm_watch_is_due(const struct sm_watch_set *set)
{
    return set->due_first != NULL;
}
