#include "server/http_server.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/limits.h"
#include "base/queue.h"
#include "server/http_answer.h"
#include "server/http_exchange.h"
#include "server/http_hangups.h"
#include "server/http_head.h"
#include "server/http_reaper.h"
#include "server/http_server_internal.h"
#include "server/http_shards.h"

enum {
    /* What libmicrohttpd holds for each connection, idle or not: the longest request line with
     * room for ordinary fields, and the head of the answer. It is overwritten with zeros after each
     * request, so that every KiB has its price. */
    CONNECTION_MEMORY_SIZE = 20 * 1024,
    ANSWER_HEAD_SIZE = 1024, /* of it, for the head of any ordinary answer */
    FIELD_RECORD_SIZE = 64,  /* of it, beside the bytes of each field of the request */
    TOO_LARGE_TEXT_SIZE = 128,
};
_Static_assert(CONNECTION_MEMORY_SIZE >= RK_TARGET_SIZE_MAX + 4 * 1024,
               "the longest target leaves room for the fields");
_Static_assert(CONNECTION_MEMORY_SIZE >=
                   RK_TARGET_AND_ANSWER_FIELD_SIZE_MAX + 4 * 1024 + ANSWER_HEAD_SIZE,
               "and so does a target beside a long field of its answer");

/* ---- exchanges ---- */

void http_server_end_exchange(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    struct http_server *server = connection->server;

    RK_ASSERT(exchange->state != EXCHANGE_SUSPENDED && exchange->state != EXCHANGE_PAUSED);
    connection->shard->busy_count--;
    connection->shard->streams_count -= exchange->is_stream;
    if (exchange->was_handed && server->options.on_end != NULL) {
        server->options.on_end(server->options.context, exchange);
    }
    if (exchange->request.sink != NULL) {
        exchange->request.sink->close(exchange->request.sink);
        exchange->request.sink = NULL;
    }
    http_answer_pool_put_back(&server->answers, exchange->answer);
    exchange->answer = NULL;
    http_exchange_put_back(&server->exchanges, exchange);
}

void **http_exchange_user(struct http_exchange *exchange)
{
    return &exchange->user;
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return &exchange->request;
}

struct http_server *http_exchange_server(const struct http_exchange *exchange)
{
    return exchange->connection->server;
}

/* ---- answers ---- */

void http_exchange_answer(struct http_exchange *exchange, struct http_answer *answer)
{
    RK_ASSERT(exchange->state == EXCHANGE_HANDED);
    exchange->answer = answer;
    exchange->state = EXCHANGE_ANSWERED;
}

void http_exchange_respond(struct http_exchange *exchange, struct http_response *response)
{
    struct http_server *server = exchange->connection->server;
    const bool closes = response->close_connection || server->is_draining;

    http_exchange_answer(exchange, http_answer_pool_make(&server->answers, response, closes));
}

bool http_server_send(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    struct http_server *server = connection->server;
    struct http_answer *answer = exchange->answer;
    const bool is_pooled = answer->is_pooled;

    if (!is_pooled) {
        exchange->answer = NULL;
    }
    exchange->state = EXCHANGE_SENDING;
    exchange->is_stream = answer->is_stream;
    connection->shard->streams_count += answer->is_stream;
    http_reaper_enter(&server->reaper, &connection->watch, HTTP_PHASE_ANSWER, server->now_ms);
    connection->watch.is_bulk = answer->is_bulk;
    const enum MHD_Result queued = MHD_queue_response(connection->mhd, answer->status, answer->mhd);
    if (!is_pooled) {
        http_answer_drop(answer);
    }
    return queued == MHD_YES;
}

static enum MHD_Result answer_queue(struct http_exchange *exchange)
{
    return http_server_send(exchange) ? MHD_YES : MHD_NO;
}

static void refusal_init(const struct http_exchange *exchange, uint32_t status, const char *text,
                         struct http_response *response)
{
    struct http_server *server = exchange->connection->server;

    http_response_init(response, 256);
    http_response_text(response, status, text);
    if (server->options.on_refusal != NULL) {
        server->options.on_refusal(exchange->request.method, response);
    }
    server->counts.refused++;
}

/* The seam's own answer. */
static enum MHD_Result exchange_refuse(struct http_exchange *exchange, uint32_t status,
                                       const char *text, bool closes)
{
    const struct http_server *server = exchange->connection->server;
    struct http_response response;

    refusal_init(exchange, status, text, &response);
    exchange->answer = http_answer_new(&response, closes || server->is_draining);
    return answer_queue(exchange);
}

/* Clients look for "too large" or for "Value exceeds" (contract 1.9). */
static void too_large_text(const struct http_exchange *exchange, char *text, size_t size)
{
    const struct http_sink *sink = exchange->request.sink;
    const uint64_t limit =
        sink != NULL ? sink->size_max : exchange->connection->server->options.body_size_max;

    (void)snprintf(text, size,
                   "Request body too large, max size: %llu bytes. Value exceeds %llu byte limit",
                   (unsigned long long)limit, (unsigned long long)limit);
}

static enum MHD_Result exchange_refuse_size(struct http_exchange *exchange, bool closes)
{
    char text[TOO_LARGE_TEXT_SIZE];

    too_large_text(exchange, text, sizeof text);
    return exchange_refuse(exchange, 413, text, closes);
}

/* In mid-upload libmicrohttpd takes no answer, and beside too long a head it has no room for one. What
 * is said then is written by hand: nothing else is under way on this socket, and it is closed right
 * after. */
static enum MHD_Result cut_off(struct http_exchange *exchange, uint32_t status, const char *text)
{
    struct http_response response;
    struct rk_buf bytes;

    refusal_init(exchange, status, text, &response);
    rk_buf_init(&bytes, 4096);
    http_answer_write(&response, &bytes);
    const ssize_t sent = send(exchange->connection->watch.socket, bytes.data, bytes.size,
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    RK_MAYBE(sent < 0);
    rk_buf_done(&bytes);
    http_response_done(&response);
    exchange->state = EXCHANGE_CUT_OFF;
    return MHD_NO;
}

/* ---- requests ---- */

static enum http_method method_of(const char *name)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",     [HTTP_PUT] = "PUT",   [HTTP_DELETE] = "DELETE",
        [HTTP_POST] = "POST",   [HTTP_HEAD] = "HEAD", [HTTP_OPTIONS] = "OPTIONS",
        [HTTP_PATCH] = "PATCH",
    };
    for (enum http_method method = HTTP_GET; method < HTTP_METHOD_OTHER; method++) {
        if (strcmp(name, names[method]) == 0) {
            return method;
        }
    }
    return HTTP_METHOD_OTHER;
}

struct field_walk {
    struct http_exchange *exchange;
    bool too_many;
    bool has_control;
};

static enum MHD_Result field_collect(void *context, enum MHD_ValueKind kind, const char *name,
                                     size_t name_size, const char *value, size_t value_size)
{
    struct field_walk *walk = context;
    struct http_request *request = &walk->exchange->request;

    (void)kind;
    if (request->headers_count == RK_HEADERS_MAX) {
        walk->too_many = true;
        return MHD_NO;
    }
    walk->has_control |= http_value_has_control(name, name_size) ||
                         (value != NULL && http_value_has_control(value, value_size));
    walk->exchange->fields[request->headers_count++] =
        (struct http_field){.name = name, .value = value == NULL ? "" : value};
    return MHD_YES;
}

/* libmicrohttpd ends the target at its first NUL; the version then is not where the target says
 * it must be. */
static bool target_has_nul(const struct http_exchange *exchange, const char *version)
{
    return (uintptr_t)version != (uintptr_t)exchange->target_in_place + exchange->target_size + 1;
}

static struct http_verdict exchange_judge(struct http_exchange *exchange, const char *version)
{
    const struct http_server *server = exchange->connection->server;
    struct field_walk walk = {.exchange = exchange};

    (void)MHD_get_connection_values_n(exchange->connection->mhd, MHD_HEADER_KIND, field_collect,
                                      &walk);
    const struct http_head head = {
        .version = version,
        .target = exchange->request.target,
        .fields = exchange->fields,
        .fields_count = exchange->request.headers_count,
        .target_too_long = exchange->target_too_long,
        .fields_too_many = walk.too_many,
        .has_control = walk.has_control || target_has_nul(exchange, version),
        .origin_form_only = server->options.origin_form_only,
    };
    return http_head_judge(&head);
}

/* What the request has left of the connection's memory is all that there is for the head of its answer;
 * too little, and libmicrohttpd closes without a word what has been done. */
static bool leaves_room_for_the_answer(const struct http_exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const size_t records_size = (size_t)exchange->request.headers_count * FIELD_RECORD_SIZE;

    return info == NULL ||
           info->header_size + records_size <= CONNECTION_MEMORY_SIZE - ANSWER_HEAD_SIZE;
}

static uint64_t body_size_limit(const struct http_exchange *exchange)
{
    const struct http_sink *sink = exchange->request.sink;

    return sink != NULL ? sink->size_max
                        : exchange->connection->server->options.body_size_swallowed;
}

/* The head is complete; nothing of the body has been read, so this is the time to refuse. */
static enum MHD_Result on_head(struct http_exchange *exchange, const char *method,
                               const char *version)
{
    struct http_connection *connection = exchange->connection;
    struct http_server *server = connection->server;

    exchange->request = (struct http_request){
        .method = method_of(method),
        .method_name = method,
        .target = (const char *)exchange->target.data,
        .headers = exchange->fields,
    };
    const struct http_verdict verdict = exchange_judge(exchange, version);
    if (verdict.status != 0) {
        return exchange_refuse(exchange, verdict.status, verdict.text, true);
    }
    if (!leaves_room_for_the_answer(exchange)) {
        return cut_off(exchange, 431, "Request head too large");
    }
    if (verdict.has_body && server->options.on_head != NULL) {
        exchange->request.sink =
            server->options.on_head(server->options.context, &exchange->request);
    }
    if (verdict.content_length > body_size_limit(exchange)) {
        return exchange_refuse_size(exchange, true);
    }
    exchange->state = EXCHANGE_BODY;
    http_reaper_enter(&server->reaper, &connection->watch,
                      verdict.has_body ? HTTP_PHASE_BODY : HTTP_PHASE_NONE, server->now_ms);
    return MHD_YES;
}

static enum MHD_Result cut_off_too_large(struct http_exchange *exchange)
{
    char text[TOO_LARGE_TEXT_SIZE];

    too_large_text(exchange, text, sizeof text);
    return cut_off(exchange, 413, text);
}

/* So large a body may take long: each mebibyte of it has the time of a whole other one. */
static enum MHD_Result on_sink_part(struct http_exchange *exchange, const char *data, size_t size)
{
    struct http_server *server = exchange->connection->server;
    struct http_watch *watch = &exchange->connection->watch;
    struct http_sink *sink = exchange->request.sink;
    const uint64_t before = exchange->body_received - size;

    if (exchange->body_received >> 20 != before >> 20) {
        http_reaper_enter(&server->reaper, watch, HTTP_PHASE_BODY, server->now_ms);
    }
    watch->progress += size;
    if (sink->write(sink, (const uint8_t *)data, size)) {
        return MHD_YES;
    }
    return cut_off(exchange, sink->fault_status, sink->fault_text);
}

static enum MHD_Result on_body_part(struct http_exchange *exchange, const char *data, size_t size)
{
    const struct http_server *server = exchange->connection->server;

    exchange->body_received += size;
    if (exchange->body_received > body_size_limit(exchange)) {
        return cut_off_too_large(exchange);
    }
    if (exchange->request.sink != NULL) {
        return on_sink_part(exchange, data, size);
    }
    exchange->connection->watch.progress = exchange->body_received;
    if (exchange->body_received <= server->options.body_size_max) {
        rk_buf_append(&exchange->body, data, size);
    } else {
        http_exchange_drop_body(exchange);
    }
    return MHD_YES;
}

static enum MHD_Result on_whole(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    struct http_server *server = connection->server;

    if (exchange->request.sink == NULL && exchange->body_received > server->options.body_size_max) {
        return exchange_refuse_size(exchange, false);
    }
    http_reaper_enter(&server->reaper, &connection->watch, HTTP_PHASE_NONE, server->now_ms);
    exchange->request.body = rk_buf_bytes(&exchange->body);
    exchange->state = EXCHANGE_HANDED;
    exchange->was_handed = true;
    server->counts.requests++;
    server->options.on_request(server->options.context, exchange, &exchange->request);
    if (exchange->state == EXCHANGE_SUSPENDED) {
        return MHD_YES;
    }
    RK_ASSERT(exchange->state == EXCHANGE_ANSWERED);
    return answer_queue(exchange);
}

/* ---- what libmicrohttpd calls ---- */

/* libmicrohttpd sees the end of the stream and closes in its own way. */
static void hang_up(const struct http_watch *watch)
{
    (void)shutdown(watch->socket, SHUT_RDWR);
}

static struct http_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info->socket_context;
}

/* The query is taken apart from the target as it came. libmicrohttpd would do so too, into a record of
 * its own for each parameter, and close the connection without a word when its memory is full of them:
 * so it gets to see an empty one. That it lends the line as constant is for those who only log it; it
 * writes a NUL in place of the question mark next. */
static void hide_query(const char *target)
{
    char *query = strchr((char *)(uintptr_t)target, '?');

    if (query != NULL) {
        query[1] = '\0';
    }
}

/* The request line is there: the one place that shows the target as it came. */
static void *on_request_line(void *context, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *server = ((struct http_shard *)context)->owner;
    struct http_connection *connection = connection_of(mhd);
    struct http_exchange *exchange = http_exchange_take(&server->exchanges, connection);

    connection->shard->busy_count++;
    connection->shard->is_stirred = true;
    exchange->target_in_place = target;
    exchange->target_size = strlen(target);
    exchange->target_too_long = exchange->target_size > RK_TARGET_SIZE_MAX;
    rk_buf_append(&exchange->target, target,
                  exchange->target_too_long ? RK_TARGET_SIZE_MAX : exchange->target_size);
    rk_buf_append_byte(&exchange->target, 0);
    hide_query(target);
    /* A new connection keeps the deadline of its accept. */
    if (connection->watch.phase != HTTP_PHASE_HEADERS) {
        http_reaper_enter(&server->reaper, &connection->watch, HTTP_PHASE_HEADERS, server->now_ms);
    }
    return exchange;
}

static enum MHD_Result on_progress(void *context, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *data_size, void **request_context)
{
    struct http_exchange *exchange = *request_context;

    (void)mhd;
    (void)url;
    if (exchange->is_held) {
        http_suspend_look_at_held(exchange);
        return MHD_YES;
    }
    ((struct http_shard *)context)->is_stirred = true;
    if (exchange->state == EXCHANGE_HEAD) {
        return on_head(exchange, method, version);
    }
    if (exchange->state == EXCHANGE_ANSWERED) {
        return answer_queue(exchange);
    }
    if (exchange->state == EXCHANGE_CUT_OFF) {
        return MHD_NO;
    }
    RK_ASSERT(exchange->state == EXCHANGE_BODY);
    if (*data_size == 0) {
        return on_whole(exchange);
    }
    const size_t size = *data_size;
    *data_size = 0;
    return on_body_part(exchange, data, size);
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    struct http_server *server = ((struct http_shard *)context)->owner;
    struct http_exchange *exchange = *request_context;
    struct http_connection *connection = connection_of(mhd);

    *request_context = NULL;
    if (exchange != NULL && exchange->is_held) {
        http_suspend_orphan(exchange);
        return;
    }
    if (exchange != NULL) {
        http_server_end_exchange(exchange);
    }
    const bool is_kept = code == MHD_REQUEST_TERMINATED_COMPLETED_OK && !server->is_draining;
    http_reaper_enter(&server->reaper, &connection->watch,
                      is_kept ? HTTP_PHASE_IDLE : HTTP_PHASE_NONE, server->now_ms);
    if (server->is_draining) {
        hang_up(&connection->watch); /* its answer may have begun before the draining */
    }
}

static void connection_started(struct http_shard *shard, struct MHD_Connection *mhd,
                               void **socket_context)
{
    struct http_server *server = shard->owner;
    struct http_connection *connection = rk_heap_zalloc(1, sizeof *connection);

    connection->server = server;
    connection->shard = shard;
    connection->mhd = mhd;
    http_watch_init(&connection->watch,
                    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    http_reaper_enter(&server->reaper, &connection->watch, HTTP_PHASE_HEADERS, server->now_ms);
    *socket_context = connection;
    server->counts.connections++;
    shard->connections_count++;
}

void http_server_end_connection(struct http_connection *connection)
{
    struct http_server *server = connection->server;

    http_reaper_enter(&server->reaper, &connection->watch, HTTP_PHASE_NONE, server->now_ms);
    rk_heap_free(connection);
    server->counts.connections--;
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_shard *shard = context;
    struct http_connection *connection = *socket_context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_started(shard, mhd, socket_context);
        return;
    }
    *socket_context = NULL;
    shard->connections_count--;
    if (connection->mhd == NULL) {
        return; /* a completion is owed to it still */
    }
    if (connection->exchange != NULL) {
        http_server_end_exchange(connection->exchange);
    }
    http_server_end_connection(connection);
}

/* Escapes are undone once, by who knows what they mean. */
static size_t leave_escapes(void *context, struct MHD_Connection *mhd, char *text)
{
    (void)context;
    (void)mhd;
    return strlen(text);
}

/* ---- the server ---- */

static struct MHD_Daemon *daemon_start(struct http_shard *shard, uint32_t connections_max)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_progress, shard, MHD_OPTION_NOTIFY_CONNECTION, on_connection, shard,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, shard, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, shard, MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, shard,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned int)connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_SIZE,
        MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

static struct http_shards *shards_open(struct http_server *server)
{
    const struct http_shards_options options = {
        .start = daemon_start,
        .owner = server,
        .connections_max = server->options.connections_max,
        .wake_fds = {rk_queue_fd(server->completions), server->hangups.epoll},
    };

    return http_shards_new(&options);
}

static uint32_t timeout_or(uint32_t timeout_ms, uint32_t fallback_ms)
{
    return timeout_ms == 0 ? fallback_ms : timeout_ms;
}

struct http_server *http_server_new(const struct http_server_options *options)
{
    const struct http_reaper_timeouts timeouts = {
        .header_ms = timeout_or(options->header_timeout_ms, 5000),
        .body_ms = timeout_or(options->body_timeout_ms, 30000),
        .idle_ms = timeout_or(options->idle_timeout_ms, 60000),
        .write_ms = timeout_or(options->write_timeout_ms, 30000),
    };
    struct http_server *server = rk_heap_zalloc(1, sizeof *server);

    RK_ASSERT(options->on_request != NULL && options->connections_max > 0);
    RK_ASSERT(options->body_size_max <= options->body_size_swallowed);
    server->options = *options;
    server->hold_due_ms = UINT64_MAX;
    /* Each connection has one exchange at most, and that is owed two completions at most (a wait
     * that is given up), so this queue is never full. */
    server->completions =
        rk_queue_new(2 * options->connections_max, sizeof(struct http_completion));
    http_exchange_pool_init(&server->exchanges, options->body_size_max);
    http_answer_pool_init(&server->answers);
    http_reaper_init(&server->reaper, &timeouts);
    if (http_hangups_open(&server->hangups) == RK_OK) {
        server->shards = shards_open(server);
    }
    if (server->shards == NULL) {
        http_server_free(server);
        return NULL;
    }
    return server;
}

void http_server_free(struct http_server *server)
{
    if (server == NULL) {
        return;
    }
    RK_ASSERT(server->counts.suspended == 0);
    http_shards_free(server->shards);
    RK_ASSERT(server->counts.connections == 0);
    http_hangups_close(&server->hangups);
    http_exchange_pool_done(&server->exchanges);
    http_answer_pool_done(&server->answers);
    rk_queue_free(server->completions);
    rk_heap_free(server);
}

enum rk_status http_server_add(struct http_server *server, int socket)
{
    enum rk_status status = RK_BUSY;

    server->now_ms = rk_monotonic_ms(); /* the last run may be long ago */
    if (server->counts.connections >= server->options.connections_max || server->is_draining) {
        (void)close(socket);
    } else {
        status = http_shards_add(server->shards, socket);
    }
    server->counts.refused += status != RK_OK;
    return status;
}

int http_server_fd(const struct http_server *server)
{
    return http_shards_fd(server->shards);
}

uint64_t http_server_deadline_ms(struct http_server *server, uint64_t now_ms)
{
    const uint64_t reaper_ms = http_reaper_deadline_ms(&server->reaper);

    if (http_shards_are_awake(server->shards)) {
        return now_ms;
    }
    return reaper_ms < server->hold_due_ms ? reaper_ms : server->hold_due_ms;
}

struct http_server_counts http_server_counts(const struct http_server *server)
{
    return server->counts;
}

/* ---- a turn ---- */

static void reap(struct http_server *server)
{
    const struct http_watch *watch = http_reaper_expired(&server->reaper, server->now_ms);

    while (watch != NULL) {
        hang_up(watch);
        server->counts.reaped++;
        watch = http_reaper_expired(&server->reaper, server->now_ms);
    }
}

void http_server_run_shards(struct http_server *server)
{
    http_shards_run(server->shards);
    if (server->options.on_run_end != NULL) {
        server->options.on_run_end(server->options.context);
    }
}

void http_server_run(struct http_server *server, uint64_t now_ms)
{
    server->now_ms = now_ms > server->now_ms ? now_ms : server->now_ms;
    (void)http_suspend_complete_some(server);
    http_suspend_hear_hangups(server);
    reap(server);
    http_suspend_wake_overdue(server);
    http_server_run_shards(server);
    http_suspend_next_due(server);
}

/* ---- the end ---- */

static void hang_up_all(struct http_server *server, enum http_phase phase)
{
    struct http_watch *watch = http_reaper_first(&server->reaper, phase);

    while (watch != NULL) {
        http_reaper_enter(&server->reaper, watch, HTTP_PHASE_NONE, server->now_ms);
        hang_up(watch);
        watch = http_reaper_first(&server->reaper, phase);
    }
}

void http_server_drain(struct http_server *server)
{
    server->is_draining = true;
    hang_up_all(server, HTTP_PHASE_IDLE);
    hang_up_all(server, HTTP_PHASE_HEADERS);
}

bool http_server_is_draining(const struct http_server *server)
{
    return server->is_draining;
}
