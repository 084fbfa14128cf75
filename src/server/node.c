/* node.c -- start, stop, and the loop: one turn takes all that waits, then performs it. */
#include "server/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/gateway.h"
#include "server/http_listener.h"
#include "server/node_internal.h"

enum {
    MAILBOX_TURN_MAX = 1024,
    RESULTS_TURN_MAX = 256,
    CONNECTIONS_TURN_MAX = 64,
    PEER_CONNECTIONS_MAX = 1024,
    PEER_IDLE_MS = 300 * 1000,
    PEER_CONNECT_MS_MIN = 200,
    LINK_REQUESTS_MAX = 4096,
    GIVE_UP_TIMEOUTS = 6, /* election timeouts that a request waits for a leader */
    EVENTS_MAX = 8,
    EXIT_STORAGE = 3,
    EXIT_DAMAGE = 4,
};

_Noreturn void node_end(struct node *node, enum rk_status status, const char *event,
                        raft_index index)
{
    rk_log(RK_LOG_ERROR, "node", event, RK_TEXT("node", node->options->node_id),
           RK_TEXT("status", rk_status_text(status)), RK_U64("index", index), RK_END);
    switch ((int)status) {
    case RK_CORRUPT:
        _exit(EXIT_DAMAGE);
    case RK_IO:
    case RK_FULL:
        _exit(EXIT_STORAGE);
    default:
        _exit(EXIT_FAILURE);
    }
}

/* -- one turn -- */

static void take_space(struct node *node, const struct disk_job *job)
{
    node->is_space_asked = false;
    if (job->status != RK_OK) { /* an idle node hears of a failed checkpoint here */
        node_end(node, job->status, "storage_failed", node->view.last.index);
    }
    if (job->space.is_nearly_full == node->is_disk_nearly_full) {
        return;
    }
    node->is_disk_nearly_full = job->space.is_nearly_full;
    node->is_view_stale = true;
    rk_log(RK_LOG_WARN, "disk", node->is_disk_nearly_full ? "nearly_full" : "has_room_again",
           RK_U64("free_bytes", job->space.free_bytes),
           RK_U64("limit_bytes", job->space.soft_limit_bytes), RK_END);
}

static void take_results(struct node *node)
{
    struct disk_job *jobs[RESULTS_TURN_MAX];
    const uint32_t count = rk_queue_pop(disk_results(node->disk), jobs, RESULTS_TURN_MAX);

    for (uint32_t i = 0; i < count; i++) {
        struct disk_job *job = jobs[i];
        switch (job->type) {
        case DISK_WRITE:
            /* One commit made a run of writes durable: the last one says it for all. */
            if (job->status != RK_OK || i + 1 == count || jobs[i + 1]->type != DISK_WRITE) {
                node_persisted(node, job);
            }
            break;
        case DISK_READ:
            if (job->cookie == 0) {
                node_apply_read(node, job);
            } else {
                node_append_read(node, job);
            }
            break;
        case DISK_SPACE:
            take_space(node, job);
            break;
        }
        node->disk_jobs--;
        disk_job_free(job);
    }
}

static void take_requests(struct node *node)
{
    struct client_request *requests[MAILBOX_TURN_MAX];
    const uint32_t count = rk_queue_pop(node->mailbox, requests, MAILBOX_TURN_MAX);
    const uint64_t give_up_ms =
        node->now_ms + (uint64_t)GIVE_UP_TIMEOUTS * node->options->election_timeout_ms;

    for (uint32_t i = 0; i < count; i++) {
        struct client_request *request = requests[i];
        request->give_up_ms = give_up_ms;
        if (request->kind == CLIENT_ADMIN) {
            client_list_push(&node->admins, request);
        } else if (request->kind == CLIENT_READ) {
            client_list_push(&node->reads, request);
        } else if (node->writes.count >= node->options->max_pending_writes) {
            node_complete(node, request, RK_BUSY);
        } else {
            client_list_push(&node->writes, request);
        }
    }
}

static void accept_peers(struct node *node)
{
    for (uint32_t i = 0; i < CONNECTIONS_TURN_MAX && node->is_peer_waiting; i++) {
        int socket = -1;
        node->is_peer_waiting = http_listener_accept(node->peer_listener, &socket) == RK_OK &&
                                http_server_add(node->peer_server, socket) == RK_OK;
    }
}

static void look_at_space(struct node *node)
{
    if (node->is_space_asked || node->now_ms < node->space_due_ms) {
        return;
    }
    node->is_space_asked = true;
    node->space_due_ms = node->now_ms + NODE_SPACE_MS;
    node_disk_submit(node, disk_job_new(DISK_SPACE));
}

static void step_deadline(struct node *node)
{
    if (node->now_ms < node->outputs->deadline_ms) {
        return;
    }
    const struct raft_event event = {.type = RAFT_EVENT_DEADLINE, .now_ms = node->now_ms};
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
}

static void release_early(struct node *node)
{
    const uint64_t patience_ms = node->options->heartbeat_interval_ms;

    if (node->early_count > 0) {
        node_release_early(node, node->now_ms >= node->early_since_ms + patience_ms);
    }
}

/* The peer side costs a system call even when nothing waits there: it is turned when its
 * descriptor says so, at its deadline, and when something was just handed to it. */
static void run_peer_side(struct node *node)
{
    if (node->is_server_ready || node->has_answered ||
        http_server_deadline_ms(node->peer_server, node->now_ms) <= node->now_ms) {
        node->is_server_ready = false;
        node->has_answered = false;
        http_server_run(node->peer_server, node->now_ms);
    }
    if (node->is_link_ready || link_deadline_ms(node->link) <= node->now_ms) {
        node->is_link_ready = false;
        link_run(node->link, node->now_ms);
    }
}

static void turn(struct node *node)
{
    node->now_ms = rk_monotonic_ms();
    take_results(node);
    accept_peers(node);
    run_peer_side(node);
    node->now_ms = rk_monotonic_ms();
    node->is_turn_due = false;
    take_requests(node);
    step_deadline(node);
    release_early(node);
    node_identity_turn(node);
    node_apply(node);
    node_flush_writes(node);
    node_flush_reads(node);
    node_members_turn(node);
    node_report_unreachable(node);
    node_apply(node);
    node_report_applied(node);
    node_complete_reads(node);
    look_at_space(node);
    node_view_update(node);
    node_flush_done(node);
    run_peer_side(node);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t requests_deadline_ms(const struct node *node)
{
    uint64_t deadline_ms = node->pending_due_ms;

    if (node->writes.first != NULL) {
        deadline_ms = sooner(deadline_ms, node->writes.first->give_up_ms);
    }
    if (node->reads.first != NULL) {
        deadline_ms = sooner(deadline_ms, node->reads.first->give_up_ms);
    }
    if ((node->writes.first != NULL || node->reads.first != NULL) &&
        node->retry_at_ms > node->now_ms) {
        deadline_ms = sooner(deadline_ms, node->retry_at_ms);
    }
    return deadline_ms;
}

static int wait_ms(struct node *node)
{
    const uint64_t now_ms = rk_monotonic_ms();
    uint64_t deadline_ms = node->outputs->deadline_ms;

    if (node->is_turn_due || node->is_apply_due || node->is_reclaim_due) {
        return 0;
    }
    deadline_ms = sooner(deadline_ms, link_deadline_ms(node->link));
    deadline_ms = sooner(deadline_ms, http_server_deadline_ms(node->peer_server, now_ms));
    deadline_ms = sooner(deadline_ms, node_identity_deadline_ms(node));
    if (!node->is_space_asked) { /* else the answer wakes the loop, however slow the disk is */
        deadline_ms = sooner(deadline_ms, node->space_due_ms);
    }
    if (node->early_count > 0) {
        deadline_ms =
            sooner(deadline_ms, node->early_since_ms + node->options->heartbeat_interval_ms);
    }
    if (node->read_batches != NULL) {
        deadline_ms = sooner(deadline_ms, node->read_batches_due_ms);
    }
    deadline_ms = sooner(deadline_ms, requests_deadline_ms(node));
    deadline_ms = sooner(deadline_ms, node_members_deadline_ms(node));
    return deadline_ms <= now_ms ? 0 : (int)(deadline_ms - now_ms);
}

/* -- stopping -- */

static bool has_nothing_left(const struct node *node)
{
    return node->writes.count == 0 && node->reads.count == 0 &&
           pending_count(&node->pending) == 0 && node->read_batches == NULL &&
           node_members_are_idle(node) && node->forwards_in_flight == 0 &&
           node->read_indexes_in_flight == 0;
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

/* Returns true when the loop may end. */
static bool stop_turn(struct node *node)
{
    const uint64_t stop_by_ms = atomic_load(&node->stop_by_ms);

    if (stop_by_ms == 0) {
        return false;
    }
    hand_over(node);
    const bool leads_others = node_is_leader(node) && node->peers_count > 0;
    if ((has_nothing_left(node) && !leads_others) || node->now_ms >= stop_by_ms) {
        answer_the_rest(node);
        return true;
    }
    return false;
}

static void note_ready(struct node *node, int fd)
{
    node->is_peer_waiting = node->is_peer_waiting || fd == http_listener_fd(node->peer_listener);
    node->is_server_ready = node->is_server_ready || fd == http_server_fd(node->peer_server);
    node->is_link_ready = node->is_link_ready || fd == link_fd(node->link);
}

static void *node_main(void *context)
{
    struct node *node = context;
    struct epoll_event events[EVENTS_MAX];

    do {
        const int count = epoll_wait(node->epoll, events, EVENTS_MAX, wait_ms(node));
        RK_ASSERT(count >= 0 || errno == EINTR);
        for (int i = 0; i < count; i++) {
            note_ready(node, events[i].data.fd);
        }
        turn(node);
    } while (!stop_turn(node));
    return NULL;
}

/* -- start -- */

static void watch(struct node *node, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

    const int failed = epoll_ctl(node->epoll, EPOLL_CTL_ADD, fd, &event);
    RK_ASSERT(failed == 0);
}

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
        .answer_size_max = RK_APPEND_BYTES_TARGET,
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
    node->sm = sm_new();
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

static void node_watch_all(struct node *node)
{
    node->epoll = epoll_create1(EPOLL_CLOEXEC);
    RK_ASSERT(node->epoll >= 0);
    watch(node, rk_queue_fd(node->mailbox));
    watch(node, rk_queue_fd(disk_results(node->disk)));
    watch(node, http_listener_fd(node->peer_listener));
    watch(node, http_server_fd(node->peer_server));
    watch(node, link_fd(node->link));
}

enum rk_status node_start(const struct node_start_options *start, struct node **ret, char *message,
                          size_t message_size)
{
    struct node *node = node_new(start);
    enum rk_status status = node_restore(node, start->store, start->water, message, message_size);

    if (status == RK_OK) {
        RK_ASSERT(message_size >= HTTP_LISTENER_ERROR_SIZE);
        status = http_listener_open(start->options->peer_listen, &node->peer_listener, message);
    }
    if (status != RK_OK) {
        high_water_close(start->water);
        log_store_close(start->store);
        node_free(node);
        return status;
    }
    open_peer_side(node);
    node->disk = disk_thread_start(start->store, start->water, start->dir);
    node_watch_all(node);
    node->is_view_stale = true;
    node_view_update(node);
    const int failed = pthread_create(&node->thread, NULL, node_main, node);
    RK_ASSERT(failed == 0);
    (void)pthread_setname_np(node->thread, "rk-node");
    *ret = node;
    return RK_OK;
}

/* What came after the last turn: the loops are still there and wait for their completions. */
static void refuse_mailbox(struct node *node)
{
    struct client_request *request = NULL;

    while (rk_queue_pop(node->mailbox, &request, 1) == 1) {
        node_complete(node, request, RK_NO_LEADER);
    }
    node_flush_done(node);
}

void node_stop(struct node *node, uint32_t timeout_ms)
{
    atomic_store(&node->stop_by_ms, rk_monotonic_ms() + timeout_ms);
    const int failed = pthread_join(node->thread, NULL);
    RK_ASSERT(failed == 0);
    node->is_over = true;
    refuse_mailbox(node);
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
    link_free(node->link);
    while (node->outgoings != NULL) {
        node_outgoing_free(node, node->outgoings);
    }
    tail_done(&node->tail);
    outbox_done(&node->outbox);
    pending_done(&node->pending);
    sm_free(node->sm);
    rk_queue_free(node->mailbox);
    if (node->kept != NULL) {
        rk_heap_free((void *)(uintptr_t)node->kept->runs);
        rk_heap_free(node->kept);
    }
    rk_heap_free(node->decoded);
    rk_heap_free(node->outputs);
    rk_heap_free(node->raft);
    if (node->epoll > 0) {
        (void)close(node->epoll);
    }
    (void)pthread_mutex_destroy(&node->view_lock);
    rk_heap_free(node);
}

enum rk_status node_submit(struct node *node, struct client_request *request)
{
    if (atomic_load(&node->is_closed)) {
        return RK_BUSY;
    }
    return rk_queue_push(node->mailbox, &request, 1);
}
