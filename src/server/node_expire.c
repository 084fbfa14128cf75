/* node_expire.c -- what has come to its end in cluster time is proposed by the leader, and by nobody
 * else (pitfalls 117, 123): one entry at a time, never passed on to another node (pitfall 124). */
#include "server/node_internal.h"

/* An entry that this leader proposed is not applied yet. */
static bool is_under_way(const struct node *node)
{
    return node->expire_index > node->last_applied &&
           node->expire_term == node->view.hard_state.term;
}

static bool may_propose(const struct node *node)
{
    return node_is_leader(node) && node->view.is_term_committed && !node->is_handing_over &&
           !is_under_way(node) && node->now_ms >= node->expire_retry_ms;
}

/* False: it was not taken in. */
static bool propose(struct node *node, const struct sm_command *command)
{
    const raft_index index = node_propose_own(node, command);

    if (index == 0) {
        return false;
    }
    node->expire_index = index;
    node->expire_term = node->view.hard_state.term;
    return true;
}

void node_expire_turn(struct node *node)
{
    struct sm_command expire;
    struct rk_buf items;
    const struct sm_place now = {
        .term = node->view.hard_state.term,
        .time_ms = cluster_time_ms(&node->time, node->now_ms),
    };

    if (!may_propose(node)) {
        return;
    }
    rk_buf_init(&items, RK_COMMAND_SIZE_MAX / 2);
    if (sm_find_expired(node->sm, &now, &items, &expire)) {
        /* What ends one by one is gathered; of very many, slice follows slice. */
        const bool is_late = now.time_ms - sm_next_deadline_ms(node->sm) >= NODE_EXPIRE_RETRY_MS;
        const bool is_taken = propose(node, &expire);
        node->expire_retry_ms = node->now_ms + (is_taken && is_late ? 0 : NODE_EXPIRE_RETRY_MS);
    }
    rk_buf_done(&items);
}

uint64_t node_expire_deadline_ms(const struct node *node)
{
    const uint64_t next_ms = sm_next_deadline_ms(node->sm);
    const uint64_t time_ms = cluster_time_ms(&node->time, node->now_ms);

    if (next_ms == UINT64_MAX || !node_is_leader(node) || !node->view.is_term_committed ||
        node->is_handing_over || is_under_way(node)) {
        return UINT64_MAX; /* what makes it possible wakes the loop */
    }
    const uint64_t due_ms = next_ms > time_ms ? node->now_ms + (next_ms - time_ms) : node->now_ms;
    return due_ms > node->expire_retry_ms ? due_ms : node->expire_retry_ms;
}
