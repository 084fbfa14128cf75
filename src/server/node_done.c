/* node_done.c -- answers on their way back to the HTTP loops: gathered per loop, so that a turn
 * wakes each loop once. */
#include "base/assert.h"
#include "base/clock.h"
#include "server/node_internal.h"

static struct done_list *list_of(struct node *node, struct http_server *server)
{
    for (uint32_t i = 0; i < node->done_count; i++) {
        if (node->done[i].server == server) {
            return &node->done[i];
        }
    }
    RK_ASSERT(node->done_count < NODE_SERVERS_MAX);
    struct done_list *list = &node->done[node->done_count];
    node->done_count++;
    list->server = server;
    list->count = 0;
    return list;
}

/* What was refused or given up took another way. */
static void measure_done(struct node *node, struct done_list *list, uint64_t now_us)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct client_request *request = list->items[i].completion;
        if (request->passed_us != 0 && request->status == RK_OK) {
            rk_meter_since(node->meter, request->stage, request->passed_us, now_us, 1);
        }
        request->passed_us = request->passed_us != 0 ? now_us : 0;
    }
}

static void list_flush(struct node *node, struct done_list *list)
{
    if (list->count > 0) {
        measure_done(node, list, rk_monotonic_us());
        http_server_complete_many(list->server, list->items, list->count);
        list->count = 0;
    }
}

void node_complete(struct node *node, struct client_request *request, enum rk_status status)
{
    if (request->is_restore_part) {
        node_bring_part_done(node, request, status);
        return;
    }
    struct done_list *list = list_of(node, request->server);

    request->status = status;
    if (list->count == NODE_DONE_MAX) {
        list_flush(node, list);
    }
    list->items[list->count] = (struct http_completion){
        .exchange = request->exchange,
        .completion = request,
    };
    list->count++;
}

void node_flush_done(struct node *node)
{
    for (uint32_t i = 0; i < node->done_count; i++) {
        list_flush(node, &node->done[i]);
    }
}
