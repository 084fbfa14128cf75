/* node_turn.c -- one turn of the loop: takes all that waits, then performs it. It knows nothing of
 * the thread and the descriptors that wake it: the simulator turns nodes too. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/http_listener.h"
#include "server/node_internal.h"

enum {
    MAILBOX_TURN_MAX = 1024,
    RESULTS_TURN_MAX = 256,
    CONNECTIONS_TURN_MAX = 64,
};

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
        case DISK_SNAPSHOT:
            node_snapshot_noted(node, job);
            break;
        case DISK_COMPACT:
            node_snapshot_compacted(node, job);
            break;
        }
        node->disk_jobs--;
        disk_job_free(job);
    }
}

static void measure_taken(struct node *node, struct client_request *const *requests, uint32_t count,
                          uint64_t now_us)
{
    if (count > 0) {
        rk_meter_add(node->meter, RK_MEASURE_TURN_REQUESTS, count, 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct client_request *request = requests[i];
        if (request->passed_us != 0) {
            rk_meter_since(node->meter, RK_MEASURE_MAILBOX, request->passed_us, now_us, 1);
            request->passed_us = now_us;
            request->stage =
                request->kind == CLIENT_WRITE ? RK_MEASURE_FORWARD : RK_MEASURE_READ_WAIT;
        }
    }
}

static void take_requests(struct node *node, uint64_t now_us)
{
    struct client_request *requests[MAILBOX_TURN_MAX];
    const uint32_t count = rk_queue_pop(node->mailbox, requests, MAILBOX_TURN_MAX);
    const uint64_t give_up_ms =
        node->now_ms + (uint64_t)NODE_GIVE_UP_TIMEOUTS * node->options->election_timeout_ms;

    measure_taken(node, requests, count, now_us);

    for (uint32_t i = 0; i < count; i++) {
        struct client_request *request = requests[i];
        request->give_up_ms = give_up_ms;
        if (request->kind == CLIENT_GIVE_UP) {
            node_watch_give_up(node, request);
        } else if (node->standing == STANDING_REMOVED) {
            node_complete(node, request, RK_NO_LEADER);
        } else if (node->check.differs > 0 && request->kind != CLIENT_ADMIN) {
            node_complete(node, request, RK_DIFFERS);
        } else if (request->kind == CLIENT_RESTORE) {
            node_bring_back(node, request);
        } else if (request->kind == CLIENT_ADMIN) {
            client_list_push(&node->admins, request);
        } else if (request->kind == CLIENT_READ && request->wait.is_stale) {
            node_watch_begin(node, request);
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

void node_turn(struct node *node)
{
    node->turned_us = rk_monotonic_us();
    node->now_ms = node->turned_us / 1000;
    take_results(node);
    accept_peers(node);
    run_peer_side(node);
    const uint64_t now_us = rk_monotonic_us();
    node->now_ms = now_us / 1000;
    node->is_turn_due = false;
    take_requests(node, now_us);
    step_deadline(node);
    release_early(node);
    node_identity_turn(node);
    node_apply(node);
    node_expire_turn(node);
    node_health_turn(node);
    node_bring_turn(node);
    node_flush_writes(node);
    node_flush_reads(node);
    node_members_turn(node);
    node_appends_turn(node);
    node_report_unreachable(node);
    node_apply(node);
    node_report_applied(node);
    node_check_turn(node);
    node_snapshot_turn(node);
    node_complete_reads(node);
    node_watch_turn(node);
    look_at_space(node);
    node_view_update(node);
    node_flush_done(node);
    run_peer_side(node);
    rk_meters_keep(node->meters, now_us);
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

uint64_t node_deadline_ms(struct node *node)
{
    const uint64_t now_ms = rk_monotonic_ms();
    uint64_t deadline_ms = node->outputs->deadline_ms;

    if (node->is_turn_due || node->is_apply_due || node->is_reclaim_due) {
        return now_ms;
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
    deadline_ms = sooner(deadline_ms, node_appends_deadline_ms(node));
    deadline_ms = sooner(deadline_ms, node_watch_deadline_ms(node));
    deadline_ms = sooner(deadline_ms, node_expire_deadline_ms(node));
    deadline_ms = sooner(deadline_ms, node_health_deadline_ms(node));
    deadline_ms = sooner(deadline_ms, node_snapshot_deadline_ms(node));
    deadline_ms = sooner(deadline_ms, node_bring_deadline_ms(node));
    return deadline_ms;
}
