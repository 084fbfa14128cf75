/* node_watch.c -- reads that wait for a change of what they read (contract 1.7). They wait here,
 * beside the state machine, as memory only; an HTTP loop hears of one when its answer is due.
 *
 * Such a read is linearizable from its beginning: the node asks for a read index first, like for
 * any read, and what it has applied since then is a state of a moment before the answer. So a
 * change of the leader leaves those that wait alone; only when there is none for as long as any
 * request waits for one, they are told, so that who watches over a lock is not left in the dark. */
#include <stddef.h>

#include "base/assert.h"
#include "server/node_internal.h"

enum { LOOKED_AT_TURN_MAX = 2048 }; /* about a millisecond */

void node_watch_open(struct node *node)
{
    node->waits = (struct node_waits){
        .set = sm_watch_set_new(),
        .leaderless_since_ms = UINT64_MAX,
    };
    deadlines_init(&node->waits.deadlines);
}

void node_watch_close(struct node *node)
{
    RK_ASSERT(node->waits.deadlines.count == 0);
    deadlines_done(&node->waits.deadlines);
    sm_watch_set_free(node->waits.set);
}

static struct client_request *request_of_watcher(struct sm_watcher *watcher)
{
    return (struct client_request *)(void *)((uint8_t *)watcher -
                                             offsetof(struct client_request, wait.watcher));
}

static struct client_request *request_of_deadline(struct deadline *deadline)
{
    return (struct client_request *)(void *)((uint8_t *)deadline -
                                             offsetof(struct client_request, wait.deadline));
}

/* -- those that need a leader -- */

static void link_strict(struct node_waits *waits, struct client_request *request)
{
    request->wait.previous = NULL;
    request->wait.next = waits->first;
    if (waits->first != NULL) {
        waits->first->wait.previous = request;
    }
    waits->first = request;
}

static void unlink_strict(struct node_waits *waits, struct client_request *request)
{
    struct client_wait *wait = &request->wait;

    if (wait->previous != NULL) {
        wait->previous->wait.next = wait->next;
    } else {
        waits->first = wait->next;
    }
    if (wait->next != NULL) {
        wait->next->wait.previous = wait->previous;
    }
}

/* -- begin and end -- */

static void wait_end(struct node *node, struct client_request *request, enum rk_status status)
{
    struct client_wait *wait = &request->wait;

    if (wait->watcher.group != NULL) {
        sm_watch_remove(node->waits.set, &wait->watcher);
    }
    deadlines_cancel(&node->waits.deadlines, &wait->deadline);
    if (!wait->is_stale) {
        unlink_strict(&node->waits, request);
    }
    node_complete(node, request, status);
}

void node_watch_begin(struct node *node, struct client_request *request)
{
    struct client_wait *wait = &request->wait;

    if (wait->topic.kind == SM_TOPIC_NONE || wait->is_given_up ||
        !sm_watch_add(node->waits.set, &wait->topic, wait->after, &wait->watcher)) {
        node_complete(node, request, RK_OK);
        return;
    }
    deadlines_set(&node->waits.deadlines, &wait->deadline, wait->until_ms);
    if (!wait->is_stale) {
        link_strict(&node->waits, request);
    }
}

/* It may still be on its way to its wait. */
void node_watch_give_up(struct node *node, struct client_request *request)
{
    struct client_wait *wait = &request->given_up->wait;

    wait->is_given_up = true;
    if (wait->deadline.place != 0) {
        wait_end(node, request->given_up, RK_OK);
    }
    node_complete(node, request, RK_OK);
}

void node_watch_published(struct node *node, const struct sm_root *root)
{
    sm_watch_advance(node->waits.set, root);
}

/* -- a turn -- */

static void wake(struct node *node, uint32_t *budget)
{
    struct sm_watcher *watcher = sm_watch_next(node->waits.set, budget);

    while (watcher != NULL) {
        wait_end(node, request_of_watcher(watcher), RK_OK);
        watcher = sm_watch_next(node->waits.set, budget);
    }
}

static void expire(struct node *node, uint32_t *budget)
{
    struct deadline *deadline = deadlines_first(&node->waits.deadlines);

    while (deadline != NULL && deadline->at_ms <= node->now_ms && *budget > 0) {
        (*budget)--;
        wait_end(node, request_of_deadline(deadline), RK_OK);
        deadline = deadlines_first(&node->waits.deadlines);
    }
}

static uint64_t give_up_ms(const struct node *node)
{
    const uint64_t patience_ms =
        (uint64_t)NODE_GIVE_UP_TIMEOUTS * node->options->election_timeout_ms;

    return node->waits.first == NULL || node->waits.leaderless_since_ms == UINT64_MAX
               ? UINT64_MAX
               : node->waits.leaderless_since_ms + patience_ms;
}

static void look_for_leader(struct node *node, uint32_t *budget)
{
    if (node_has_leader(node) || node_is_leader(node)) {
        node->waits.leaderless_since_ms = UINT64_MAX;
    } else if (node->waits.leaderless_since_ms == UINT64_MAX) {
        node->waits.leaderless_since_ms = node->now_ms;
    }
    while (node->now_ms >= give_up_ms(node) && *budget > 0) {
        (*budget)--;
        wait_end(node, node->waits.first, RK_NO_LEADER);
    }
}

void node_watch_turn(struct node *node)
{
    uint32_t budget = LOOKED_AT_TURN_MAX;

    wake(node, &budget);
    expire(node, &budget);
    look_for_leader(node, &budget);
    node->is_turn_due = node->is_turn_due || budget == 0;
}

uint64_t node_watch_deadline_ms(const struct node *node)
{
    const struct deadline *first = deadlines_first(&node->waits.deadlines);
    const uint64_t until_ms = first == NULL ? UINT64_MAX : first->at_ms;
    const uint64_t give_up = give_up_ms(node);

    return until_ms < give_up ? until_ms : give_up;
}

void node_watch_stop(struct node *node)
{
    struct deadline *deadline = deadlines_first(&node->waits.deadlines);

    while (deadline != NULL) {
        wait_end(node, request_of_deadline(deadline), RK_OK);
        deadline = deadlines_first(&node->waits.deadlines);
    }
    node_flush_done(node);
}
