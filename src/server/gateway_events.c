/* gateway_events.c -- GET /v1/watch: one connection that goes on with what happens.
 *
 * Nothing is queued for a reader. It has a place in the history that the state machine keeps; when it
 * has taken what it was sent, the next slice is rendered from the root of that moment, and when there
 * is none its connection waits, like a blocking read, for the prefix to change. So a slow reader
 * costs nothing but the slice under way, until it falls behind the history and is cut off. */
#include "api/api_watch.h"
#include "base/clock.h"
#include "base/heap.h"
#include "server/gateway_internal.h"

enum { KEEP_ALIVE_MS = 15000 };

struct event_stream {
    struct http_stream stream; /* first */
    struct call *call;         /* until the exchange ends: not after the last read */
    struct rk_buf chunk;       /* what is rendered */
    size_t chunk_sent;
    bool is_over; /* the chunk is the last */
};

static void finish(struct event_stream *events, const char *reason)
{
    api_events_end(reason, &events->chunk);
    events->is_over = true;
}

static void render(struct event_stream *events)
{
    const struct gateway_loop *loop = events->call->loop;
    struct root_board *board = loop->gateway->board;
    const struct sm_root *root = root_acquire(board, loop->slots_first);

    events->is_over =
        api_events_render(events->call->api.events, root, &events->chunk) == API_EVENTS_CUT;
    root_release(board, loop->slots_first);
}

/* Until the prefix changes, or a sign of life is due. */
static void wait_for_more(struct event_stream *events)
{
    struct call *call = events->call;
    struct client_request *request = &call->request;
    struct http_exchange *exchange = request->exchange;
    struct http_server *server = request->server;

    *request = (struct client_request){
        .kind = CLIENT_READ, .exchange = exchange, .server = server, .wait = {.is_stale = true}};
    request->wait.topic = api_events_topic(call->api.events, &request->wait.after);
    request->wait.until_ms = rk_monotonic_ms() + KEEP_ALIVE_MS;
    call->completions_due++;
    http_exchange_pause(exchange);
    http_exchange_watch_hangup(exchange);
    if (node_submit(call->loop->gateway->node, &request, 1) != RK_OK) {
        finish(events, "the node has no room for those who wait");
        http_server_complete(server, exchange, request);
    }
}

/* The chunk is empty, and the stream not over. */
static void go_on(struct event_stream *events)
{
    struct call *call = events->call;

    render(events);
    if (events->chunk.size > 0) {
        call->has_waited = false;
    } else if (http_server_is_draining(call->request.server)) {
        finish(events, "the node stops");
    } else if (call->has_waited && !node_has_caught_up(call->loop->gateway->node)) {
        finish(events, "the node was removed"); /* nothing would come any more (pitfall 86) */
    } else if (call->has_waited) {
        call->has_waited = false;
        api_events_keep_alive(call->api.events, &events->chunk);
    } else {
        wait_for_more(events);
    }
}

static size_t events_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    struct event_stream *events = (struct event_stream *)(void *)stream;

    if (events->chunk_sent == events->chunk.size && !events->is_over &&
        events->call->give_up == NULL) {
        rk_buf_done(&events->chunk); /* who waits holds nothing */
        rk_buf_init(&events->chunk, API_EVENTS_SIZE_MAX);
        events->chunk_sent = 0;
        go_on(events);
        if (events->call->completions_due > 0) {
            return HTTP_STREAM_WAIT;
        }
    }
    return rk_buf_read(&events->chunk, &events->chunk_sent, data, size);
}

static void events_close(struct http_stream *stream)
{
    struct event_stream *events = (struct event_stream *)(void *)stream;

    rk_buf_done(&events->chunk);
    rk_heap_free(events);
}

struct http_stream *gateway_events_new(struct call *call)
{
    struct event_stream *events = rk_heap_zalloc(1, sizeof(*events));

    events->stream = (struct http_stream){.read = events_read, .close = events_close};
    events->call = call;
    rk_buf_init(&events->chunk, API_EVENTS_SIZE_MAX);
    call->is_streaming = true;
    return &events->stream;
}

void gateway_events_complete(struct call *call, struct http_exchange *exchange)
{
    call->has_waited = true;
    if (call->completions_due > 0) {
        http_exchange_pause(exchange); /* its client has gone, and the other word is on its way */
    }
}
