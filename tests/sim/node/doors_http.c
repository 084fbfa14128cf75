/* doors_http.c -- the HTTP servers of a host: one for its peers, turned by the node, one for its
 * clients, turned by the loop. A request is what a message or an operation brought; its answer
 * goes back to where it came from. */
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "server/http_answer.h"
#include "sim/node/world.h"

enum exchange_state {
    EXCHANGE_NEW,
    EXCHANGE_HANDED,
    EXCHANGE_SUSPENDED,
    EXCHANGE_ANSWERED,
    EXCHANGE_SENDING, /* a stream of events */
    EXCHANGE_PAUSED,
};

struct http_exchange {
    struct http_request request;
    struct http_server *server;
    struct http_exchange *previous; /* all of the server */
    struct http_exchange *next;
    struct http_exchange *next_new;
    enum exchange_state state;
    void *user;
    struct rpc *rpc; /* NULL: a client's, or a request that was repeated: nobody waits */
    struct op *op;
    struct watcher *watcher; /* who reads the stream; NULL: it has hung up */
    struct http_stream *stream;
    bool is_hangup_watched;
    char path[32];
    struct rk_buf body;
};

struct completions {
    struct http_completion *items;
    uint32_t count;
    uint32_t capacity;
};

struct http_server {
    struct http_server_options options;
    struct host *host;
    struct http_exchange *exchanges;
    struct http_exchange *first_new;
    struct http_exchange *last_new;
    struct completions completions;
};

struct http_listener {
    int unused;
};

static struct http_listener the_listener;

enum rk_status http_listener_open(const char *address, struct http_listener **ret, char *error)
{
    (void)address;
    (void)error;
    *ret = &the_listener;
    return RK_OK;
}

void http_listener_close(struct http_listener *listener)
{
    (void)listener;
}

enum rk_status http_listener_accept(struct http_listener *listener, int *ret)
{
    (void)listener;
    (void)ret;
    return RK_NOT_FOUND;
}

enum rk_status http_server_add(struct http_server *server, int socket)
{
    (void)server;
    (void)socket;
    return RK_BUSY;
}

/* -- servers -- */

struct http_server *http_server_new(const struct http_server_options *options)
{
    struct http_server *server = rk_heap_zalloc(1, sizeof(*server));
    struct host *host = sim_world->current;

    server->options = *options;
    server->host = host;
    if (options->on_request == node_peer_request) {
        host->peer_server = server;
    }
    return server;
}

struct http_loops *http_loops_new(const struct http_loops_options *options,
                                  struct http_listener **listener)
{
    struct http_loops *loops = rk_heap_zalloc(1, sizeof(*loops));
    struct http_server_options server = options->server;

    RK_ASSERT(options->loops_count == 1);
    server.context = options->contexts[0];
    loops->server = http_server_new(&server);
    *listener = NULL;
    return loops;
}

static void exchange_free(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;

    if (exchange->next != NULL) {
        exchange->next->previous = exchange->previous;
    }
    if (exchange->previous != NULL) {
        exchange->previous->next = exchange->next;
    } else {
        server->exchanges = exchange->next;
    }
    rk_buf_done(&exchange->body);
    rk_heap_free(exchange);
}

/* Its connection is gone: whoever waits at the other end hears that, and nothing else. */
static void exchange_reset(struct http_exchange *exchange)
{
    if (exchange->rpc != NULL) {
        rpc_reset(exchange->rpc);
        rpc_release(exchange->rpc);
        exchange->rpc = NULL;
    }
    if (exchange->op != NULL) {
        exchange->op->exchange = NULL;
        client_reset(exchange->op);
        exchange->op = NULL;
    }
    if (exchange->watcher != NULL) {
        watcher_ended(exchange->watcher);
        exchange->watcher = NULL;
    }
}

void sim_server_crash(struct http_server *server)
{
    for (struct http_exchange *exchange = server->exchanges; exchange != NULL;
         exchange = exchange->next) {
        exchange_reset(exchange);
    }
}

void http_server_abandon(struct http_server *server)
{
    while (server->exchanges != NULL) {
        struct http_exchange *exchange = server->exchanges;
        exchange_reset(exchange);
        if (exchange->stream != NULL) {
            exchange->state = EXCHANGE_SENDING;
            exchange->stream->close(exchange->stream);
            exchange->stream = NULL;
        }
        if (exchange->state != EXCHANGE_NEW) {
            server->options.on_end(server->options.context, exchange);
        }
        exchange_free(exchange);
    }
    server->first_new = NULL;
    server->last_new = NULL;
}

void http_server_free(struct http_server *server)
{
    if (server != NULL) {
        RK_ASSERT(server->exchanges == NULL);
        rk_heap_free(server->completions.items);
        rk_heap_free(server);
    }
}

static bool has_work(const struct http_server *server)
{
    return server->first_new != NULL || server->completions.count > 0;
}

bool sim_server_is_owed(const struct http_server *server)
{
    for (const struct http_exchange *exchange = server->exchanges; exchange != NULL;
         exchange = exchange->next) {
        if (exchange->state == EXCHANGE_SUSPENDED) {
            return true;
        }
    }
    return false;
}

uint64_t http_server_deadline_ms(struct http_server *server, uint64_t now_ms)
{
    (void)now_ms;
    return has_work(server) ? 0 : UINT64_MAX;
}

/* -- requests -- */

static void server_accept(struct http_server *server, struct rpc *rpc, struct op *op)
{
    const struct place before = host_enter(server->host);
    struct http_exchange *exchange = rk_heap_zalloc(1, sizeof(*exchange));

    exchange->server = server;
    exchange->rpc = rpc;
    exchange->op = op;
    exchange->next = server->exchanges;
    if (exchange->next != NULL) {
        exchange->next->previous = exchange;
    }
    server->exchanges = exchange;
    if (server->last_new != NULL) {
        server->last_new->next_new = exchange;
    } else {
        server->first_new = exchange;
    }
    server->last_new = exchange;
    host_leave(before);
}

/* What stood in the request, for as long as the exchange lives. */
static void exchange_fill(struct http_exchange *exchange, const char *path, struct rk_bytes body)
{
    memcpy(exchange->path, path, strlen(path) + 1);
    rk_buf_init(&exchange->body, RK_PEER_BODY_SIZE_MAX);
    rk_buf_append(&exchange->body, body.data, body.size);
    exchange->request = (struct http_request){
        .method = HTTP_POST,
        .method_name = "POST",
        .target = exchange->path,
        .body = rk_buf_bytes(&exchange->body),
    };
}

void sim_server_request(struct http_server *server, struct rpc *rpc, bool is_repeated)
{
    server_accept(server, is_repeated ? NULL : rpc, NULL);
    const struct place before = host_enter(server->host);
    exchange_fill(server->last_new, rpc->path, rk_buf_bytes(&rpc->body));
    host_leave(before);
    if (!is_repeated) {
        rpc->references++;
    }
}

void sim_server_operation(struct http_server *server, struct op *op)
{
    server_accept(server, NULL, op);
    server->last_new->request = op->request;
    op->exchange = server->last_new;
}

void sim_server_watch(struct http_server *server, struct watcher *watcher)
{
    server_accept(server, NULL, NULL);
    server->last_new->request = watcher->request;
    server->last_new->watcher = watcher;
    watcher->exchange = server->last_new;
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return &exchange->request;
}

struct http_server *http_exchange_server(const struct http_exchange *exchange)
{
    return exchange->server;
}

void **http_exchange_user(struct http_exchange *exchange)
{
    return &exchange->user;
}

void http_exchange_suspend(struct http_exchange *exchange)
{
    RK_ASSERT(exchange->state == EXCHANGE_HANDED);
    exchange->state = EXCHANGE_SUSPENDED;
}

void http_exchange_hold(struct http_exchange *exchange)
{
    http_exchange_suspend(exchange);
}

/* Clients here stay until they are answered, or their patience ends, of which nobody hears. */
void http_exchange_watch_hangup(struct http_exchange *exchange)
{
    RK_ASSERT(exchange->state == EXCHANGE_SUSPENDED || exchange->state == EXCHANGE_PAUSED);
    exchange->is_hangup_watched = exchange->state == EXCHANGE_PAUSED;
}

void http_exchange_pause(struct http_exchange *exchange)
{
    RK_ASSERT(exchange->state == EXCHANGE_SENDING);
    exchange->state = EXCHANGE_PAUSED;
}

/* -- streams -- */

static void stream_end(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;

    exchange->stream->close(exchange->stream);
    exchange->stream = NULL;
    if (exchange->watcher != NULL) {
        watcher_ended(exchange->watcher);
        exchange->watcher = NULL;
    }
    server->options.on_end(server->options.context, exchange);
    exchange_free(exchange);
}

static void read_later(struct http_exchange *exchange);

/* Reads until there is nothing now, or its reader has enough for a while. */
static void stream_read(struct http_exchange *exchange)
{
    uint8_t bytes[256];
    struct watcher *watcher = exchange->watcher;

    if (watcher != NULL && watcher_hangs_up(sim_world, watcher)) {
        exchange->watcher = NULL;
        watcher_ended(watcher);
        watcher = NULL;
    }
    if (watcher == NULL) {
        stream_end(exchange);
        return;
    }
    const size_t size = exchange->stream->read(exchange->stream, bytes, sizeof(bytes));
    if (size == HTTP_STREAM_WAIT) {
        RK_ASSERT(exchange->state == EXCHANGE_PAUSED);
    } else if (size == 0) {
        stream_end(exchange);
    } else {
        watcher_took(watcher, bytes, size);
        read_later(exchange);
    }
}

static void on_read(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct watcher *watcher = context;

    if (host->paused_until_us > world->now_us) {
        world_at(world, host->paused_until_us, on_read, host, watcher, number);
    } else if (watcher->connection == number && watcher->exchange != NULL) {
        const struct place before = host_enter(host);
        stream_read(watcher->exchange);
        host_leave(before);
        host_wake_loop(host, 0);
    }
}

static void read_later(struct http_exchange *exchange)
{
    struct world *world = sim_world;
    struct watcher *watcher = exchange->watcher;

    world_at(world, world->now_us + watcher_pace_us(world, watcher), on_read,
             exchange->server->host, watcher, watcher->connection);
}

/* Its reader goes, at any moment. */
void sim_server_hang_up(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct watcher *watcher = exchange->watcher;
    const struct place before = host_enter(server->host);

    exchange->watcher = NULL;
    if (exchange->state == EXCHANGE_PAUSED && exchange->is_hangup_watched) {
        exchange->is_hangup_watched = false;
        server->options.on_hangup(server->options.context, exchange);
    } else if (exchange->state == EXCHANGE_SENDING) {
        stream_end(exchange);
    }
    host_leave(before);
    host_wake(server->host, 0);
    host_wake_loop(server->host, 0);
    watcher_ended(watcher);
}

/* One that is refused comes again; its answer is no stream. */
static void answer_watcher(struct http_exchange *exchange, struct http_response *response)
{
    struct watcher *watcher = exchange->watcher;

    if (response->stream == NULL) {
        exchange->watcher = NULL;
        watcher_ended(watcher);
        return;
    }
    exchange->stream = response->stream;
    response->stream = NULL;
    exchange->state = EXCHANGE_SENDING;
    read_later(exchange);
}

static void respond(struct http_exchange *exchange, const struct http_response *response)
{
    if (exchange->state != EXCHANGE_HANDED) {
        world_fail("exactly once", "%s is answered twice, or while it is suspended",
                   exchange->request.target);
    }
    exchange->state = EXCHANGE_ANSWERED;
    if (exchange->server == exchange->server->host->peer_server && response->status == 200) {
        oracle_promised(exchange->server->host, exchange->path, rk_buf_bytes(&response->body));
        if (strcmp(exchange->path, "/raft/forward") == 0) {
            oracle_forward_answered(exchange->server->host, rk_buf_bytes(&exchange->body),
                                    rk_buf_bytes(&response->body));
        }
    }
    if (exchange->rpc != NULL) {
        rpc_answer(exchange->rpc, response->status, rk_buf_bytes(&response->body));
        rpc_release(exchange->rpc);
        exchange->rpc = NULL;
    }
    if (exchange->op != NULL) {
        exchange->op->exchange = NULL;
        client_answered(exchange->op, response);
        exchange->op = NULL;
    }
}

void http_exchange_respond(struct http_exchange *exchange, struct http_response *response)
{
    respond(exchange, response);
    if (exchange->watcher != NULL) {
        answer_watcher(exchange, response);
    }
    http_response_done(response);
}

/* -- answers that are given to many -- */

struct held_answer {
    struct http_answer answer; /* first */
    struct http_response response;
};

struct http_answer *http_answer_new(struct http_response *response, bool closes_connection)
{
    struct held_answer *held = rk_heap_zalloc(1, sizeof(*held));

    (void)closes_connection;
    held->answer.status = response->status;
    held->answer.holders = 1;
    held->response = *response;
    for (uint32_t i = 0; i < response->headers_count; i++) {
        const char *value = response->headers[i].value;
        if (value >= response->arena && value < response->arena + sizeof(response->arena)) {
            held->response.headers[i].value = held->response.arena + (value - response->arena);
        }
    }
    return &held->answer;
}

struct http_answer *http_answer_hold(struct http_answer *answer)
{
    answer->holders++;
    return answer;
}

void http_answer_drop(struct http_answer *answer)
{
    struct held_answer *held = (struct held_answer *)answer;

    if (answer == NULL) {
        return;
    }
    answer->holders--;
    if (answer->holders == 0) {
        http_response_done(&held->response);
        rk_heap_free(held);
    }
}

void http_exchange_answer(struct http_exchange *exchange, struct http_answer *answer)
{
    respond(exchange, &((struct held_answer *)answer)->response);
    http_answer_drop(answer);
}

bool http_server_is_draining(const struct http_server *server)
{
    return server->host->world->is_over;
}

/* -- completions -- */

void http_server_complete_many(struct http_server *server,
                               const struct http_completion *completions, uint32_t count)
{
    struct completions *held = &server->completions;

    for (uint32_t i = 0; i < count; i++) {
        if (held->count == held->capacity) {
            held->capacity = held->capacity > 0 ? 2 * held->capacity : 16;
            held->items = rk_heap_realloc(held->items, held->capacity * sizeof(*held->items));
        }
        held->items[held->count] = completions[i];
        held->count++;
    }
    if (server != server->host->peer_server) {
        host_wake_loop(server->host, 0);
    }
}

void http_server_complete(struct http_server *server, struct http_exchange *exchange,
                          void *completion)
{
    const struct http_completion one = {.exchange = exchange, .completion = completion};

    http_server_complete_many(server, &one, 1);
}

static void after_call(struct http_server *server, struct http_exchange *exchange)
{
    if (exchange->state == EXCHANGE_ANSWERED) {
        server->options.on_end(server->options.context, exchange);
        exchange_free(exchange);
    } else {
        RK_ASSERT(exchange->state == EXCHANGE_SUSPENDED || exchange->state == EXCHANGE_SENDING);
    }
}

/* Who has gone meanwhile is not read for any more. */
static void complete_stream(struct http_server *server, const struct http_completion *one)
{
    struct http_exchange *exchange = one->exchange;

    exchange->state = EXCHANGE_SENDING;
    exchange->is_hangup_watched = false;
    server->options.on_complete(server->options.context, exchange, one->completion);
    if (exchange->state == EXCHANGE_SENDING && exchange->watcher != NULL) {
        read_later(exchange);
    } else if (exchange->state == EXCHANGE_SENDING) {
        stream_end(exchange);
    }
}

static void run_completions(struct http_server *server)
{
    for (uint32_t i = 0; i < server->completions.count; i++) {
        const struct http_completion one = server->completions.items[i];
        if (one.exchange->state == EXCHANGE_PAUSED) {
            complete_stream(server, &one);
            continue;
        }
        if (one.exchange->state != EXCHANGE_SUSPENDED) {
            world_fail("exactly once", "what is not suspended is completed");
        }
        one.exchange->state = EXCHANGE_HANDED;
        server->options.on_complete(server->options.context, one.exchange, one.completion);
        after_call(server, one.exchange);
    }
    server->completions.count = 0;
}

static void run_requests(struct http_server *server)
{
    while (server->first_new != NULL) {
        struct http_exchange *exchange = server->first_new;
        server->first_new = exchange->next_new;
        if (server->first_new == NULL) {
            server->last_new = NULL;
        }
        exchange->state = EXCHANGE_HANDED;
        server->options.on_request(server->options.context, exchange, &exchange->request);
        after_call(server, exchange);
    }
}

void http_server_run(struct http_server *server, uint64_t now_ms)
{
    (void)now_ms;
    run_requests(server);
    run_completions(server);
    if (server->options.on_run_end != NULL) {
        server->options.on_run_end(server->options.context);
    }
}
