#include "server/gateway.h"

#include <string.h>

#include "api/api.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "server/gateway_internal.h"
#include "server/http_answer.h"

enum {
    POOL_MAX = 256,
    JITTER_SHARE = 16,        /* at most this part of a wait is added to it */
    JITTER_FROM_US = 1000000, /* longer waits only: the short ones are meant */
};

_Static_assert(GATEWAY_SLOTS_PER_LOOP <= 32, "slots_used has a bit for each");

static struct call *call_new(struct gateway_loop *loop)
{
    struct call *call = loop->pool;

    if (call == NULL) {
        call = rk_heap_alloc(sizeof(*call));
    } else {
        loop->pool = call->next;
        loop->pool_count--;
    }
    call->request = (struct client_request){0};
    sm_result_init(&call->request.result);
    call->give_up = NULL;
    call->completions_due = 0;
    call->is_streaming = false;
    call->has_waited = false;
    call->loop = loop;
    return call;
}

static void call_free(struct call *call)
{
    struct gateway_loop *loop = call->loop;

    api_end(&call->api);
    rk_heap_free(call->give_up);
    rk_buf_done(&call->request.frame);
    sm_result_done(&call->request.result);
    if (call->request.admin != NULL) {
        rk_buf_done(&call->request.admin->body);
        rk_heap_free(call->request.admin);
    }
    gateway_restore_free(call);
    if (loop->pool_count == POOL_MAX) {
        rk_heap_free(call);
        return;
    }
    call->next = loop->pool;
    loop->pool = call;
    loop->pool_count++;
}

/* -- roots -- */

static size_t held_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    struct held_stream *held = (struct held_stream *)(void *)stream;

    return held->inner->read(held->inner, data, size);
}

static void held_close(struct http_stream *stream)
{
    struct held_stream *held = (struct held_stream *)(void *)stream;

    held->inner->close(held->inner);
    root_release(held->loop->gateway->board, held->loop->slots_first + held->slot);
    held->loop->slots_used &= ~(UINT32_C(1) << held->slot);
    rk_heap_free(held);
}

/* Slot 0 when every other one is streaming: a read that then turns out large is refused. */
static uint32_t slot_choose(const struct gateway_loop *loop)
{
    for (uint32_t i = 1; i < GATEWAY_SLOTS_PER_LOOP; i++) {
        if ((loop->slots_used & (UINT32_C(1) << i)) == 0) {
            return i;
        }
    }
    return 0;
}

static void hold_stream(struct gateway_loop *loop, uint32_t slot, struct http_response *response)
{
    struct held_stream *held = rk_heap_zalloc(1, sizeof(*held));

    held->stream = (struct http_stream){.read = held_read, .close = held_close};
    held->inner = response->stream;
    held->loop = loop;
    held->slot = slot;
    loop->slots_used |= UINT32_C(1) << slot;
    response->stream = &held->stream;
}

static void finish_read_from(struct call *call, uint32_t slot, const struct sm_root *root,
                             struct http_response *response)
{
    struct gateway_loop *loop = call->loop;
    struct root_board *board = loop->gateway->board;
    bool streams = false;

    api_finish_read(&call->api, root, &loop->view, response, &streams);
    if (call->api.is_backup && slot != 0) {
        response->stream = gateway_backup_new(call, root);
        response->is_bulk = true;
    }
    if ((streams || call->api.is_backup) && slot != 0) {
        hold_stream(loop, slot, response);
        return;
    }
    if (call->api.events != NULL) {
        response->stream = gateway_events_new(call);
    }
    if (streams || call->api.is_backup) {
        http_response_done(response);
        http_response_init(response, RK_REQUEST_SIZE_MAX);
        api_fail_read(&call->api, RK_BUSY, &loop->view, response);
    }
    root_release(board, loop->slots_first + slot);
}

static void finish_read(struct call *call, struct http_response *response)
{
    struct gateway_loop *loop = call->loop;
    const uint32_t slot = slot_choose(loop);

    finish_read_from(call, slot, root_acquire(loop->gateway->board, loop->slots_first + slot),
                     response);
}

/* First the root, then the question whether it may be answered (pitfall 107). */
static bool finish_leased_read(struct call *call, struct http_response *response)
{
    struct gateway_loop *loop = call->loop;
    struct root_board *board = loop->gateway->board;
    const uint32_t slot = slot_choose(loop);
    const struct sm_root *root = root_acquire(board, loop->slots_first + slot);

    if (!node_lease_holds(loop->gateway->node, root->last_applied)) {
        root_release(board, loop->slots_first + slot);
        return false;
    }
    finish_read_from(call, slot, root, response);
    return true;
}

/* Without the node's help, where no promise or a lease allows it. */
static bool finish_read_at_once(struct call *call, struct http_response *response)
{
    switch (call->api.consistency) {
    case API_CONSISTENT:
        return false;
    case API_DEFAULT:
        return call->loop->gateway->options->lease_reads && finish_leased_read(call, response);
    case API_STALE:
        break;
    }
    if (!node_has_caught_up(call->loop->gateway->node)) {
        return false;
    }
    finish_read(call, response);
    return true;
}

/* -- the handler -- */

/* The hot path needs no judged view; what is not a key gets one. */
static const struct node_view *view_for(struct gateway_loop *loop,
                                        const struct http_request *request)
{
    static const char kv[] = "/v1/kv/";

    node_view_refresh(loop->gateway->node, &loop->view, &loop->view_version);
    if (strncmp(request->target, kv, sizeof(kv) - 1) == 0) {
        return &loop->view;
    }
    node_view_copy(loop->gateway->node, &loop->judged);
    return &loop->judged;
}

/* The view is the node's as it is now, that the change has been made. */
static void answer_admin(struct call *call, struct http_response *response)
{
    struct gateway_loop *loop = call->loop;
    struct client_admin *admin = call->request.admin;

    if (admin->is_relayed) {
        const struct api_relayed relayed = {
            .http_status = admin->http_status,
            .is_json = admin->is_json,
            .is_unknown = admin->is_unknown,
            .body = rk_buf_bytes(&admin->body),
        };
        api_finish_relayed(&call->api, &relayed, response);
        return;
    }
    admin->outcome.status = call->request.status;
    node_view_copy(loop->gateway->node, &loop->judged);
    api_finish_admin(&call->api, &admin->outcome, &loop->judged, response);
}

static void make_shared(struct call *call, struct http_exchange *exchange,
                        struct http_response *response, uint64_t version)
{
    struct gateway_loop *loop = call->loop;
    const bool closes = http_server_is_draining(http_exchange_server(exchange));
    const bool is_answer = response->status == 200 || response->status == 404;

    http_response_gather(response, SHARED_ANSWER_SIZE_MAX);
    if (response->stream != NULL || !is_answer) {
        http_exchange_respond(exchange, response);
        return;
    }
    struct http_answer *made = http_answer_new(response, closes);
    shared_answer_keep(&loop->shared, rk_buf_bytes(&loop->identity), version, rk_monotonic_ms(),
                       made);
    http_exchange_answer(exchange, made);
}

/* Those who waited for the same are answered with the same. */
static void answer_wait(struct call *call, struct http_exchange *exchange)
{
    struct gateway_loop *loop = call->loop;
    const uint32_t slot = slot_choose(loop);
    const struct sm_root *root = root_acquire(loop->gateway->board, loop->slots_first + slot);
    const uint64_t version = root->version;
    struct http_response response;

    rk_buf_reset(&loop->identity);
    api_append_identity(&call->api, &loop->identity);
    struct http_answer *shared = shared_answer_find(&loop->shared, rk_buf_bytes(&loop->identity),
                                                    version, rk_monotonic_ms());
    if (shared != NULL) {
        root_release(loop->gateway->board, loop->slots_first + slot);
        http_exchange_answer(exchange, shared);
        return;
    }
    http_response_init(&response, RK_REQUEST_SIZE_MAX);
    finish_read_from(call, slot, root, &response);
    make_shared(call, exchange, &response, version);
}

/* -- what is measured, once a run of the loop -- */

static bool is_measured(const struct client_request *request)
{
    return (request->kind == CLIENT_WRITE || request->kind == CLIENT_READ) &&
           request->wait.topic.kind == SM_TOPIC_NONE;
}

static void measure_submitted(struct gateway_loop *loop, uint64_t now_us)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < loop->submitted_count; i++) {
        struct client_request *request = loop->submitted[i];
        if (is_measured(request)) {
            request->began_us = loop->meter->woke_us;
            request->passed_us = now_us;
            count++;
        }
    }
    if (count > 0) {
        rk_meter_since(loop->meter, RK_MEASURE_HTTP_IN, loop->meter->woke_us, now_us, count);
    }
}

static void measure_sent(struct gateway_loop *loop, uint64_t now_us)
{
    for (uint32_t i = 0; i < loop->answered_count; i++) {
        const struct answered *one = &loop->answered[i];
        rk_meter_since(loop->meter, RK_MEASURE_ANSWER, one->passed_us, now_us, 1);
        rk_meter_since(loop->meter, one->total, one->began_us, now_us, 1);
    }
    loop->answered_count = 0;
    if (loop->local_count > 0) {
        rk_meter_since(loop->meter, RK_MEASURE_READ_LOCAL, loop->meter->woke_us, now_us,
                       loop->local_count);
        loop->local_count = 0;
    }
}

/* It is sent in this run; what was refused or given up took another way. */
static void note_answered(struct gateway_loop *loop, const struct client_request *request)
{
    if (request->passed_us == 0 || request->status != RK_OK) {
        return;
    }
    if (loop->answered_count == GATEWAY_ANSWERED_MAX) {
        measure_sent(loop, rk_monotonic_us());
    }
    loop->answered[loop->answered_count] = (struct answered){
        .total = request->kind == CLIENT_WRITE ? RK_MEASURE_WRITE : RK_MEASURE_READ,
        .began_us = request->began_us,
        .passed_us = request->passed_us,
    };
    loop->answered_count++;
}

static void answer(struct call *call, struct http_exchange *exchange)
{
    struct gateway_loop *loop = call->loop;
    struct http_response response;

    note_answered(loop, &call->request);
    node_view_refresh(loop->gateway->node, &loop->view, &loop->view_version);
    if (call->request.status == RK_OK && call->request.wait.topic.kind != SM_TOPIC_NONE) {
        answer_wait(call, exchange);
        return;
    }
    http_response_init(&response, RK_REQUEST_SIZE_MAX);
    rk_buf_lend(&response.body, loop->body_room, sizeof(loop->body_room));
    if (call->request.kind == CLIENT_RESTORE) {
        gateway_restore_answer(call, &response);
    } else if (call->request.kind == CLIENT_ADMIN) {
        answer_admin(call, &response);
    } else if (call->request.kind == CLIENT_WRITE) {
        api_finish_write(&call->api, call->request.status, &call->request.result, &loop->view,
                         &response);
    } else if (call->request.status != RK_OK) {
        api_fail_read(&call->api, call->request.status, &loop->view, &response);
    } else {
        finish_read(call, &response);
    }
    http_exchange_respond(exchange, &response);
}

/* Together: the node wakes once for them, and takes them in one turn. */
static void submit_all(struct gateway_loop *loop)
{
    measure_submitted(loop, rk_monotonic_us());
    const enum rk_status status =
        node_submit(loop->gateway->node, loop->submitted, loop->submitted_count);

    for (uint32_t i = 0; status != RK_OK && i < loop->submitted_count; i++) {
        struct client_request *request = loop->submitted[i];
        request->status = RK_BUSY;
        http_server_complete(request->server, request->exchange, request);
    }
    loop->submitted_count = 0;
}

static void on_run_end(void *context)
{
    struct gateway_loop *loop = context;

    if (loop->submitted_count > 0) {
        submit_all(loop);
    }
    if (loop->answered_count > 0 || loop->local_count > 0) {
        measure_sent(loop, rk_monotonic_us());
    }
}

static void submit(struct call *call, struct http_exchange *exchange, enum client_kind kind)
{
    struct client_request *request = &call->request;

    request->kind = kind;
    request->is_strict = call->api.consistency == API_CONSISTENT;
    if (kind == CLIENT_WRITE) {
        request->frame = call->api.frame;
        rk_buf_init(&call->api.frame, call->api.frame.size_max);
    }
    if (kind == CLIENT_ADMIN) {
        request->admin = rk_heap_zalloc(1, sizeof(*request->admin));
        request->admin->call = &call->api;
        rk_buf_init(&request->admin->body, RK_PEER_BODY_SIZE_MAX);
    }
    if (kind == CLIENT_WRITE || (kind == CLIENT_READ && call->api.topic.kind == SM_TOPIC_NONE)) {
        http_exchange_hold(exchange);
    } else {
        http_exchange_suspend(exchange);
    }
    call->completions_due++;
    struct gateway_loop *loop = call->loop;
    loop->submitted[loop->submitted_count] = request;
    loop->submitted_count++;
    if (loop->submitted_count == GATEWAY_SUBMITTED_MAX) {
        submit_all(loop);
    }
}

/* Many that began to wait together shall not all come back together. */
static uint64_t jitter_us(struct gateway_loop *loop, uint64_t wait_us)
{
    return wait_us <= JITTER_FROM_US ? 0 : rk_prng_below(&loop->prng, wait_us / JITTER_SHARE);
}

/* Never sooner than asked for: the millisecond under way counts as over. */
static void submit_wait(struct call *call, struct http_exchange *exchange)
{
    struct client_wait *wait = &call->request.wait;
    const uint64_t wait_us = call->api.wait_us + jitter_us(call->loop, call->api.wait_us);

    wait->topic = call->api.topic;
    wait->after = call->api.after;
    wait->until_ms = (rk_monotonic_us() + wait_us + 999) / 1000;
    wait->is_stale =
        call->api.consistency == API_STALE && node_has_caught_up(call->loop->gateway->node);
    submit(call, exchange, CLIENT_READ);
    http_exchange_watch_hangup(exchange);
}

/* A client that closed only its own side is answered with what is there. */
static void on_hangup(void *context, struct http_exchange *exchange)
{
    struct call *call = *http_exchange_user(exchange);
    struct client_request *give_up = rk_heap_zalloc(1, sizeof(*give_up));

    (void)context;
    give_up->kind = CLIENT_GIVE_UP;
    give_up->given_up = &call->request;
    give_up->exchange = exchange;
    give_up->server = call->request.server;
    if (node_submit(call->loop->gateway->node, &give_up, 1) != RK_OK) {
        rk_heap_free(give_up); /* it waits to its end, then */
        return;
    }
    call->give_up = give_up;
    call->completions_due++;
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct gateway_loop *loop = context;
    struct call *call = call_new(loop);
    struct http_response response;

    *http_exchange_user(exchange) = call;
    call->request.exchange = exchange;
    call->request.server = http_exchange_server(exchange);
    switch (api_begin(&call->api, &loop->gateway->api_options, request, view_for(loop, request),
                      &response)) {
    case API_RESPOND:
        http_exchange_respond(exchange, &response);
        return;
    case API_PROPOSE:
        http_response_done(&response);
        submit(call, exchange, CLIENT_WRITE);
        return;
    case API_ADMIN:
        http_response_done(&response);
        submit(call, exchange, CLIENT_ADMIN);
        return;
    case API_RESTORE:
        http_response_done(&response);
        gateway_restore_begin(call, request->sink);
        submit(call, exchange, CLIENT_RESTORE);
        return;
    case API_READ:
        if (call->api.topic.kind != SM_TOPIC_NONE) {
            http_response_done(&response);
            submit_wait(call, exchange);
            return;
        }
        rk_buf_lend(&response.body, loop->body_room, sizeof(loop->body_room));
        if (finish_read_at_once(call, &response)) {
            loop->local_count++;
            http_exchange_respond(exchange, &response);
            return;
        }
        http_response_done(&response);
        submit(call, exchange, CLIENT_READ);
        return;
    }
}

static void on_complete(void *context, struct http_exchange *exchange, void *completion)
{
    struct call *call = *http_exchange_user(exchange);

    (void)context;
    (void)completion;
    call->completions_due--;
    if (call->is_streaming) {
        gateway_events_complete(call, exchange);
        return;
    }
    if (call->completions_due > 0) {
        http_exchange_suspend(exchange);
        return;
    }
    answer(call, exchange);
}

static void on_end(void *context, struct http_exchange *exchange)
{
    struct call *call = *http_exchange_user(exchange);

    (void)context;
    if (call != NULL) {
        *http_exchange_user(exchange) = NULL;
        call_free(call);
    }
}

/* -- life -- */

void gateway_api_options(const struct options *options, struct api_options *ret)
{
    ret->key_size_max = options->max_key_size;
    ret->value_size_max = options->max_value_size;
    ret->txn_ops_max = options->max_txn_ops;
    ret->election_timeout_ms = options->election_timeout_ms;
    ret->idempotency_window_ms = options->idempotency_window_ms;
    ret->session_ttl_min_ms = options->session_ttl_min_ms;
    memcpy(ret->datacenter, options->datacenter, sizeof(ret->datacenter));
}

struct gateway *gateway_new(const struct options *options, struct node *node,
                            struct root_board *board)
{
    struct gateway *gateway = rk_heap_zalloc(1, sizeof(*gateway));

    gateway->options = options;
    gateway->node = node;
    gateway->board = board;
    gateway_api_options(options, &gateway->api_options);
    gateway->loops_count = options->http_threads;
    gateway->loops = rk_heap_zalloc(gateway->loops_count, sizeof(*gateway->loops));
    for (uint32_t i = 0; i < gateway->loops_count; i++) {
        gateway->loops[i].gateway = gateway;
        gateway->loops[i].meter = rk_meter_of(node_meters(node), RK_METER_HTTP, i);
        gateway->loops[i].slots_first = i * GATEWAY_SLOTS_PER_LOOP;
        rk_prng_seed(&gateway->loops[i].prng, rk_random_u64());
        shared_answer_init(&gateway->loops[i].shared);
        rk_buf_init(&gateway->loops[i].identity, 2 * RK_TARGET_SIZE_MAX);
    }
    return gateway;
}

static void pool_free(struct gateway_loop *loop)
{
    while (loop->pool != NULL) {
        struct call *call = loop->pool;
        loop->pool = call->next;
        rk_heap_free(call);
    }
}

void gateway_free(struct gateway *gateway)
{
    if (gateway == NULL) {
        return;
    }
    for (uint32_t i = 0; i < gateway->loops_count; i++) {
        pool_free(&gateway->loops[i]);
        shared_answer_done(&gateway->loops[i].shared);
        rk_buf_done(&gateway->loops[i].identity);
    }
    rk_heap_free(gateway->loops);
    rk_heap_free(gateway);
}

enum rk_status gateway_open(struct gateway *gateway, struct http_loops **ret, char *error)
{
    struct http_listener *listener = NULL;
    void *contexts[HTTP_LOOPS_MAX];

    const enum rk_status status =
        http_listener_open(gateway->options->client_listen, &listener, error);
    if (status != RK_OK) {
        return status;
    }
    for (uint32_t i = 0; i < gateway->loops_count; i++) {
        contexts[i] = &gateway->loops[i];
    }
    const struct http_loops_options options = {
        .server =
            {
                .on_head = gateway_restore_sink,
                .on_request = on_request,
                .on_complete = on_complete,
                .on_hangup = on_hangup,
                .on_end = on_end,
                .on_run_end = on_run_end,
                .on_refusal = api_seal_refusal,
                .connections_max = gateway->options->max_connections,
                .body_size_max = gateway->options->max_request_size,
                .body_size_swallowed = gateway->options->max_request_size,
            },
        .contexts = contexts,
        .meters = node_meters(gateway->node),
        .loops_count = gateway->loops_count,
    };
    *ret = http_loops_new(&options, &listener);
    if (*ret == NULL) {
        memcpy(error, "no file descriptors are left", sizeof("no file descriptors are left"));
        return RK_BUSY;
    }
    return RK_OK;
}
