/* node_open.c -- a node made of what its log says, and taken apart again; no turn runs here. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "server/gateway.h"
#include "server/http_listener.h"
#include "server/node_internal.h"

enum {
    PEER_CONNECTIONS_MAX = 1024,
    PEER_IDLE_MS = 300 * 1000,
    PEER_CONNECT_MS_MIN = 200,
    LINK_REQUESTS_MAX = 4096,
};

static void open_peer_side(struct node *node)
{
    const struct http_server_options server = {
        .on_request = node_peer_request,
        .on_complete = node_peer_complete,
        .on_end = node_peer_end,
        .context = node,
        .connections_max = PEER_CONNECTIONS_MAX,
        .body_size_max = RK_PEER_BODY_SIZE_MAX,
        .body_size_swallowed = RK_PEER_BODY_SIZE_MAX,
        .origin_form_only = true,
        .idle_timeout_ms = PEER_IDLE_MS,
    };
    const struct link_options link = {
        .on_result = node_link_result,
        .context = node,
        .connect_timeout_ms = node->options->election_timeout_ms / 2 > PEER_CONNECT_MS_MIN
                                  ? node->options->election_timeout_ms / 2
                                  : PEER_CONNECT_MS_MIN,
        .requests_max = LINK_REQUESTS_MAX,
        .answer_size_max = RK_PEER_BODY_SIZE_MAX,
    };

    node->peer_server = http_server_new(&server);
    node->link = link_new(&link);
}

static struct node *node_new(const struct node_start_options *start)
{
    struct node *node = rk_heap_zalloc(1, sizeof(*node));

    node->options = start->options;
    node->dir = start->dir;
    node->board = start->board;
    node->raft = rk_heap_zalloc(1, raft_size());
    node->outputs = rk_heap_zalloc(1, sizeof(*node->outputs));
    node->decoded = rk_heap_zalloc(1, sizeof(*node->decoded));
    node->meters = rk_meters_new(start->options->http_threads, rk_monotonic_us());
    node->meter = rk_meter_of(node->meters, RK_METER_NODE, 0);
    node->sm = sm_new();
    node_watch_open(node);
    node_check_open(node);
    node->mailbox = rk_queue_new(start->options->max_connections, sizeof(struct client_request *));
    outbox_init(&node->outbox);
    pending_init(&node->pending);
    node->pending_due_ms = UINT64_MAX;
    node->started_wall_ms = rk_wall_ms();
    gateway_api_options(start->options, &node->api_options);
    rk_prng_seed(&node->prng, rk_random_u64());
    (void)pthread_mutex_init(&node->view_lock, NULL);
    return node;
}

enum rk_status node_open(const struct node_start_options *start, struct node **ret, char *message,
                         size_t message_size)
{
    struct node *node = node_new(start);
    enum rk_status status = node_restore(node, start, message, message_size);

    if (status == RK_OK) {
        RK_ASSERT(message_size >= HTTP_LISTENER_ERROR_SIZE);
        status = http_listener_open(start->options->peer_listen, &node->peer_listener, message);
    }
    if (status != RK_OK) {
        snap_store_close(start->snaps);
        high_water_close(start->water);
        log_store_close(start->store);
        node_free(node);
        return status;
    }
    open_peer_side(node);
    node->disk = disk_thread_start(start->store, start->water, start->dir,
                                   rk_meter_of(node->meters, RK_METER_DISK, 0));
    node->snap_thread = snap_thread_start(start->snaps);
    node->is_view_stale = true;
    node_view_update(node);
    *ret = node;
    return RK_OK;
}

void node_free(struct node *node)
{
    if (node == NULL) {
        return;
    }
    http_listener_close(node->peer_listener);
    if (node->peer_server != NULL) {
        http_server_abandon(node->peer_server);
        http_server_free(node->peer_server);
    }
    disk_thread_stop(node->disk); /* not before: until now others could ask after its health */
    snap_thread_stop(node->snap_thread);
    node_bring_free(node);
    link_free(node->link);
    while (node->outgoings != NULL) {
        node_outgoing_free(node, node->outgoings);
    }
    tail_done(&node->tail);
    outbox_done(&node->outbox);
    pending_done(&node->pending);
    node_watch_close(node);
    node_check_close(node);
#ifdef RK_TEST_HOOKS
    rk_buf_done(&node->hook_command);
#endif
    node_snapshot_done(node);
    sm_free(node->sm);
    rk_queue_free(node->mailbox);
    if (node->kept != NULL) {
        rk_heap_free((void *)(uintptr_t)node->kept->runs);
        rk_heap_free(node->kept);
    }
    rk_heap_free(node->decoded);
    rk_heap_free(node->outputs);
    rk_heap_free(node->raft);
    (void)pthread_mutex_destroy(&node->view_lock);
    rk_meters_free(node->meters);
    rk_heap_free(node);
}
