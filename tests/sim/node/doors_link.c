/* doors_link.c -- the network between hosts: what one posts is delayed, lost, repeated or cut off
 * on its way to the other, and so is the answer. As with HTTP over TCP a request is whole or not
 * there, and who asked learns one of three things: the answer, that nothing was ever sent, or that
 * nobody knows. */
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "sim/node/world.h"

enum { RESET_US_MAX = 20 * MS, LATE_MS_MAX = 8000 };

struct ready {
    struct rpc *rpc;
    enum rk_status status;
    uint32_t http_status;
    struct rk_buf body;
};

struct link {
    struct link_options options;
    struct host *host;
    struct ready *ready; /* results to be given when the link runs */
    uint32_t ready_first;
    uint32_t ready_count;
    uint32_t ready_capacity;
    uint32_t in_flight;
};

struct link *link_new(const struct link_options *options)
{
    struct link *link = rk_heap_zalloc(1, sizeof(*link));

    link->options = *options;
    link->host = sim_world->current;
    link->host->link = link;
    return link;
}

void link_free(struct link *link)
{
    if (link == NULL) {
        return;
    }
    for (uint32_t i = link->ready_first; i < link->ready_count; i++) {
        rk_buf_done(&link->ready[i].body);
        rpc_release(link->ready[i].rpc);
    }
    link->host->link = NULL;
    rk_heap_free(link->ready);
    rk_heap_free(link);
}

uint64_t link_deadline_ms(const struct link *link)
{
    return link->ready_count > 0 ? 0 : UINT64_MAX;
}

void link_run(struct link *link, uint64_t now_ms)
{
    (void)now_ms;
    while (link->ready_first < link->ready_count) {
        struct ready ready = link->ready[link->ready_first];
        link->ready_first++;
        const struct link_result result = {
            .cookie = ready.rpc->cookie,
            .status = ready.status,
            .http_status = ready.http_status,
            .body = rk_buf_bytes(&ready.body),
            .round_trip_us = sim_world->now_us - ready.rpc->posted_us,
        };
        link->in_flight--;
        link->options.on_result(link->options.context, &result);
        rk_buf_done(&ready.body);
        rpc_release(ready.rpc);
    }
    link->ready_first = 0;
    link->ready_count = 0;
}

/* -- results -- */

void rpc_release(struct rpc *rpc)
{
    RK_ASSERT(rpc->references > 0);
    rpc->references--;
    if (rpc->references == 0) {
        rk_buf_done(&rpc->body);
        rk_heap_free(rpc);
    }
}

static bool is_wanted(const struct rpc *rpc)
{
    return !rpc->is_over && rpc->from->is_running && rpc->from->life == rpc->from_life;
}

/* The first line says it all. */
static void tell_message(const struct rpc *rpc, const char *what, const char *status,
                         uint32_t http_status, struct rk_bytes body)
{
    uint32_t size = 0;

    while (size < body.size && body.data[size] != '\n' && size < 300) {
        size++;
    }
    world_tell(sim_world, rpc->from, "%s n%u %s: %s %u %.*s", what,
               rpc->to != NULL ? rpc->to->number + 1 : 0, rpc->path, status, http_status, (int)size,
               (const char *)body.data);
}

static void result(struct rpc *rpc, enum rk_status status, uint32_t http_status,
                   struct rk_bytes body)
{
    if (!is_wanted(rpc)) {
        return;
    }
    rpc->is_over = true;
    if (sim_world->has_messages) {
        tell_message(rpc, "is answered by", rk_status_text(status), http_status, body);
    }
    struct link *link = rpc->from->link;
    const struct place before = host_enter(rpc->from);
    if (link->ready_count == link->ready_capacity) {
        link->ready_capacity = link->ready_capacity > 0 ? 2 * link->ready_capacity : 16;
        link->ready = rk_heap_realloc(link->ready, link->ready_capacity * sizeof(link->ready[0]));
    }
    struct ready *ready = &link->ready[link->ready_count];
    link->ready_count++;
    *ready = (struct ready){.rpc = rpc, .status = status, .http_status = http_status};
    rk_buf_init(&ready->body, RK_PEER_BODY_SIZE_MAX);
    rk_buf_append(&ready->body, body.data, body.size);
    rpc->references++;
    host_leave(before);
    host_wake(rpc->from, 0);
}

/* Of a host that is no more: nobody takes what was on its way to it. */
void sim_link_crash(struct link *link)
{
    for (uint32_t i = link->ready_first; i < link->ready_count; i++) {
        rpc_release(link->ready[i].rpc);
    }
}

struct answer {
    uint32_t http_status;
    struct rk_buf body;
};

static void on_answer(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct rpc *rpc = context;
    struct answer *answer = (struct answer *)(uintptr_t)number;

    (void)world;
    (void)host;
    result(rpc, RK_OK, answer->http_status, rk_buf_bytes(&answer->body));
    rk_buf_done(&answer->body);
    rk_heap_free(answer);
    rpc_release(rpc);
}

static void on_failure(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct rpc *rpc = context;

    (void)world;
    (void)host;
    result(rpc, (enum rk_status)number, 0, (struct rk_bytes){0});
    rpc_release(rpc);
}

static void fail_after(struct rpc *rpc, uint64_t delay_us, enum rk_status status)
{
    rpc->references++;
    world_at(sim_world, sim_world->now_us + delay_us, on_failure, NULL, rpc, status);
}

/* -- the way -- */

uint64_t net_delay_us(struct world *world)
{
    const struct knobs *knobs = &world->knobs;

    if (!world->is_healing && tape_chance(&world->tape, TAPE_NETWORK, knobs->late)) {
        world->counts->requests_late++;
        return (uint64_t)tape_log_between(&world->tape, TAPE_NETWORK, 1, LATE_MS_MAX) * MS;
    }
    return tape_around(&world->tape, TAPE_NETWORK, knobs->delay_us);
}

static bool is_lost(struct world *world, const struct host *from, const struct host *to)
{
    return world->is_cut[from->number][to->number] ||
           (!world->is_healing && tape_chance(&world->tape, TAPE_NETWORK, world->knobs.loss));
}

void rpc_answer(struct rpc *rpc, uint32_t http_status, struct rk_bytes body)
{
    struct world *world = sim_world;

    if (!is_wanted(rpc)) {
        return;
    }
    if (is_lost(world, rpc->to, rpc->from)) {
        world->counts->answers_lost++;
        return; /* its time-out tells */
    }
    struct sim_heap *before = sim_heap_use(&world->heap);
    struct answer *answer = rk_heap_alloc(sizeof(*answer));
    answer->http_status = http_status;
    rk_buf_init(&answer->body, RK_PEER_BODY_SIZE_MAX);
    rk_buf_append(&answer->body, body.data, body.size);
    (void)sim_heap_use(before);
    rpc->references++;
    world_at(world, world->now_us + net_delay_us(world), on_answer, NULL, rpc,
             (uint64_t)(uintptr_t)answer);
}

/* The process at the other end is gone: its kernel may still say so. */
void rpc_reset(struct rpc *rpc)
{
    if (is_wanted(rpc) && tape_draw(&sim_world->tape, TAPE_NETWORK, 4) != 3) {
        fail_after(rpc, tape_draw(&sim_world->tape, TAPE_NETWORK, RESET_US_MAX), RK_UNKNOWN);
    }
}

static void on_request(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct rpc *rpc = context;
    struct host *to = rpc->to;

    (void)world;
    (void)host;
    if (to->is_running) {
        const bool is_by_leader =
            strcmp(rpc->path, "/raft/append") == 0 || strcmp(rpc->path, "/raft/snapshot") == 0;
        to->has_heard = to->has_heard || is_by_leader;
        sim_server_request(to->peer_server, rpc, number != 0);
        host_wake(to, 0);
    } else if (number == 0 && is_wanted(rpc)) {
        /* Nobody listens: a new connection is refused, an old one turns out to be dead. */
        fail_after(rpc, net_delay_us(world), rpc->is_sent ? RK_UNKNOWN : RK_NOT_FOUND);
    }
    rpc_release(rpc);
}

/* The core's own messages may come twice; what is not idempotent is never sent again by anybody. */
static bool may_repeat(const struct rpc *rpc)
{
    return strcmp(rpc->path, "/raft/append") == 0 || strcmp(rpc->path, "/raft/vote") == 0 ||
           strcmp(rpc->path, "/raft/identity") == 0 || strcmp(rpc->path, "/raft/snapshot") == 0 ||
           strcmp(rpc->path, "/raft/timeout-now") == 0;
}

static void send_once(struct world *world, struct rpc *rpc, enum link_class class, bool is_repeat)
{
    uint64_t at_us = world->now_us + net_delay_us(world);
    uint64_t *ordered_us = &world->ordered_us[rpc->from->number][rpc->to->number][class];

    if (world->knobs.is_ordered) {
        at_us = at_us > *ordered_us ? at_us : *ordered_us;
        *ordered_us = at_us;
    }
    rpc->references++;
    world_at(world, at_us, on_request, NULL, rpc, is_repeat);
}

static void send(struct world *world, struct rpc *rpc, enum link_class class, uint64_t timeout_us)
{
    /* An old connection, or a new one? With a new one nothing leaves before the other end is there. */
    rpc->is_sent = tape_draw(&world->tape, TAPE_NETWORK, 4) != 3;
    if (rpc->to == NULL) {
        fail_after(rpc, net_delay_us(world), RK_NOT_FOUND);
        return;
    }
    if (is_lost(world, rpc->from, rpc->to)) {
        world->counts->requests_lost++;
        const bool is_connecting = !rpc->is_sent && rpc->connect_timeout_us < timeout_us;
        fail_after(rpc, is_connecting ? rpc->connect_timeout_us : timeout_us,
                   rpc->is_sent ? RK_UNKNOWN : RK_NOT_FOUND);
        return;
    }
    send_once(world, rpc, class, false);
    if (!world->is_healing && may_repeat(rpc) &&
        tape_chance(&world->tape, TAPE_NETWORK, world->knobs.repeat)) {
        world->counts->requests_repeated++;
        send_once(world, rpc, class, true);
    }
    fail_after(rpc, timeout_us, RK_UNKNOWN);
}

enum rk_status link_post(struct link *link, enum link_class class, const char *address,
                         const char *path, struct rk_buf *body, uint32_t timeout_ms,
                         uint64_t cookie)
{
    struct world *world = sim_world;

    if (link->in_flight >= link->options.requests_max) {
        rk_buf_done(body);
        return RK_BUSY;
    }
    struct sim_heap *before = sim_heap_use(&world->heap);
    struct rpc *rpc = rk_heap_zalloc(1, sizeof(*rpc));
    rk_buf_init(&rpc->body, RK_PEER_BODY_SIZE_MAX);
    rk_buf_append(&rpc->body, body->data, body->size);
    (void)sim_heap_use(before);
    rk_buf_done(body);
    link->in_flight++;
    memcpy(rpc->path, path, strlen(path) + 1);
    rpc->from = link->host;
    rpc->from_life = link->host->life;
    rpc->to = host_by_address(world, address);
    rpc->cookie = cookie;
    rpc->connect_timeout_us = (uint64_t)link->options.connect_timeout_ms * MS;
    rpc->posted_us = world->now_us;
    rpc->references = 1;
    world->counts->forwarded_writes += strcmp(path, "/raft/forward") == 0;
    world->counts->read_indexes_asked += strcmp(path, "/raft/read-index") == 0;
    if (world->has_messages) {
        tell_message(rpc, "asks", "", 0, rk_buf_bytes(&rpc->body));
    }
    send(world, rpc, class, (uint64_t)timeout_ms * MS);
    rpc_release(rpc);
    return RK_OK;
}
