/* node_stop.c -- a node on its way out: leadership handed over, every request answered with the
 * truth, nothing taken any more. */
#include "base/log.h"
#include "server/node_internal.h"

static bool has_nothing_left(const struct node *node)
{
    return node->writes.count == 0 && node->reads.count == 0 &&
           pending_count(&node->pending) == 0 && node->read_batches == NULL &&
           node->bringing.request == NULL && node_members_are_idle(node) &&
           node->forwards_in_flight == 0 && node->read_indexes_in_flight == 0;
}

/* Past the time that a stop is given: what is left is answered with the truth, that nobody knows,
 * or, where it never was appended, that it was not done. */
static void answer_the_rest(struct node *node)
{
    struct client_request *request = NULL;

    atomic_store(&node->is_closed, true);
    node_flush_proposals(node);
    node_fail_pending(node);
    node_drop_reads(node);
    for (struct outgoing *outgoing = node->outgoings; outgoing != NULL; outgoing = outgoing->next) {
        const bool is_write =
            outgoing->type == OUTGOING_FORWARD || outgoing->type == OUTGOING_ADMIN;
        while ((request = client_list_pop(&outgoing->items)) != NULL) {
            node_complete(node, request, is_write ? RK_UNKNOWN : RK_NO_LEADER);
        }
    }
    while ((request = client_list_pop(&node->writes)) != NULL) {
        node_complete(node, request, RK_NO_LEADER);
    }
    while ((request = client_list_pop(&node->reads)) != NULL) {
        node_complete(node, request, RK_NO_LEADER);
    }
    node_bring_stop(node);
    node_members_stop(node);
    node_flush_done(node);
}

static void hand_over(struct node *node)
{
    if (!node_is_leader(node) || node->is_handing_over) {
        return;
    }
    node->is_handing_over = true;
    const struct raft_event event = {.type = RAFT_EVENT_TRANSFER, .now_ms = node->now_ms};
    if (node_step(node, &event) == RK_OK) {
        rk_log(RK_LOG_INFO, "raft", "handing_over", RK_END);
    }
}

bool node_stop_turn(struct node *node)
{
    const uint64_t stop_by_ms = atomic_load(&node->stop_by_ms);

    if (stop_by_ms == 0) {
        return false;
    }
    node_watch_stop(node);
    hand_over(node);
    const bool leads_others = node_is_leader(node) && node->peers_count > 0;
    if ((has_nothing_left(node) && !leads_others) || node->now_ms >= stop_by_ms) {
        answer_the_rest(node);
        node->is_over = true;
        http_server_run(node->peer_server, node->now_ms); /* other nodes hear the truth, too */
        return true;
    }
    return false;
}

/* What came after the last turn: the loops are still there and wait for their completions. */
void node_refuse_mailbox(struct node *node)
{
    struct client_request *request = NULL;

    while (rk_queue_pop(node->mailbox, &request, 1) == 1) {
        node_complete(node, request, RK_NO_LEADER);
    }
    node_flush_done(node);
}

enum rk_status node_submit(struct node *node, struct client_request *const *requests,
                           uint32_t count)
{
    if (atomic_load(&node->is_closed)) {
        return RK_BUSY;
    }
    return rk_queue_push(node->mailbox, requests, count);
}
