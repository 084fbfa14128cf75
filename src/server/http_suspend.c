/* http_suspend.c -- exchanges whose answer, or the rest of it, comes later. */
#include <microhttpd.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "server/http_server_internal.h"

enum {
    COMPLETIONS_PER_RUN_MAX = 256,
    HANGUPS_PER_RUN_MAX = 64,
    HOLD_MS_MAX = 20, /* then it is suspended */
};

/* ---- to suspend ---- */

static void wait_begin(struct http_exchange *exchange, enum http_exchange_state state)
{
    struct http_connection *connection = exchange->connection;
    struct http_server *server = connection->server;

    exchange->state = state;
    connection->shard->busy_count--;
    connection->shard->streams_count -= exchange->is_stream;
    server->counts.suspended++;
    http_reaper_enter(&server->reaper, &connection->watch, HTTP_PHASE_SUSPENDED, server->now_ms);
}

static void wait_end(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;

    connection->shard->busy_count++;
    connection->shard->streams_count += exchange->is_stream;
    connection->server->counts.suspended--;
}

static void wait_suspended(struct http_exchange *exchange, enum http_exchange_state state)
{
    wait_begin(exchange, state);
    if (!exchange->is_resuming) {
        MHD_suspend_connection(exchange->connection->mhd);
    }
}

void http_exchange_suspend(struct http_exchange *exchange)
{
    RK_ASSERT(exchange->state == EXCHANGE_HANDED);
    wait_suspended(exchange, EXCHANGE_SUSPENDED);
}

void http_exchange_pause(struct http_exchange *exchange)
{
    RK_ASSERT(exchange->state == EXCHANGE_SENDING);
    wait_suspended(exchange, EXCHANGE_PAUSED);
}

/* ---- to hold ---- */

/* To suspend and resume a connection costs libmicrohttpd two epoll_ctl() and a recv() that finds
 * nothing. An answer that is there in a moment is awaited without its knowing: the handler just has
 * no answer yet, so libmicrohttpd asks again in every run. Not beside a stream, because while one is
 * held nothing tells whether another connection wants the next run at once. */
void http_exchange_hold(struct http_exchange *exchange)
{
    struct http_shard *shard = exchange->connection->shard;

    RK_ASSERT(exchange->state == EXCHANGE_HANDED);
    if (exchange->is_resuming || shard->streams_count > 0) {
        http_exchange_suspend(exchange);
        return;
    }
    wait_begin(exchange, EXCHANGE_SUSPENDED);
    exchange->is_held = true;
    shard->held_count++;
}

static void hold_end(struct http_exchange *exchange)
{
    RK_ASSERT(exchange->is_held && exchange->connection->shard->held_count > 0);
    exchange->is_held = false;
    exchange->connection->shard->held_count--;
}

void http_suspend_look_at_held(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;

    if (connection->server->now_ms - connection->watch.since_ms >= HOLD_MS_MAX) {
        hold_end(exchange);
        MHD_suspend_connection(connection->mhd);
    }
}

void http_suspend_orphan(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;

    hold_end(exchange);
    connection->mhd = NULL;
    connection->watch.socket = -1;
    exchange->request.headers_count = 0;
    exchange->request.method_name = "";
}

void http_suspend_wake_overdue(struct http_server *server)
{
    if (server->now_ms >= server->hold_due_ms) {
        http_shards_wake_held(server->shards);
        server->hold_due_ms = UINT64_MAX;
    }
}

void http_suspend_next_due(struct http_server *server)
{
    if (!http_shards_hold(server->shards)) {
        server->hold_due_ms = UINT64_MAX;
    } else if (server->hold_due_ms == UINT64_MAX) {
        server->hold_due_ms = server->now_ms + HOLD_MS_MAX;
    }
}

void http_exchange_watch_hangup(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;

    RK_ASSERT(exchange->state == EXCHANGE_SUSPENDED || exchange->state == EXCHANGE_PAUSED);
    RK_ASSERT(!exchange->is_held && connection->mhd != NULL);
    RK_ASSERT(!connection->is_hangup_watched && connection->server->options.on_hangup != NULL);
    connection->is_hangup_watched = true;
    http_hangups_add(&connection->server->hangups, connection->watch.socket, connection);
}

static void unwatch_hangup(struct http_connection *connection)
{
    if (connection->is_hangup_watched) {
        connection->is_hangup_watched = false;
        http_hangups_remove(&connection->server->hangups, connection->watch.socket);
    }
}

void http_suspend_hear_hangups(struct http_server *server)
{
    void *tags[HANGUPS_PER_RUN_MAX];
    const uint32_t count = http_hangups_next(&server->hangups, tags, HANGUPS_PER_RUN_MAX);

    for (uint32_t i = 0; i < count; i++) {
        const struct http_connection *connection = tags[i];
        server->options.on_hangup(server->options.context, connection->exchange);
    }
}

/* ---- to complete ---- */

void http_server_complete_many(struct http_server *server,
                               const struct http_completion *completions, uint32_t count)
{
    const enum rk_status status = rk_queue_push(server->completions, completions, count);

    RK_ASSERT(status == RK_OK);
}

void http_server_complete(struct http_server *server, struct http_exchange *exchange,
                          void *completion)
{
    const struct http_completion one = {.exchange = exchange, .completion = completion};

    http_server_complete_many(server, &one, 1);
}

/* Its answer is for nobody. */
static void orphan_end(struct http_connection *connection)
{
    http_server_end_exchange(connection->exchange);
    http_server_end_connection(connection);
}

/* Straight to libmicrohttpd, which sends it in its next run. */
static void held_answer(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;

    hold_end(exchange);
    http_shard_wake(connection->shard);
    if (!http_server_send(exchange)) {
        exchange->state = EXCHANGE_CUT_OFF;
    }
}

static void connection_resume(struct http_connection *connection, enum http_phase phase)
{
    struct http_server *server = connection->server;

    http_reaper_enter(&server->reaper, &connection->watch, phase, server->now_ms);
    MHD_resume_connection(connection->mhd);
    http_shard_wake(connection->shard);
}

static void complete_one(struct http_server *server, const struct http_completion *one)
{
    struct http_exchange *exchange = one->exchange;
    struct http_connection *connection = exchange->connection;
    const bool is_paused = exchange->state == EXCHANGE_PAUSED;
    const enum http_exchange_state goes_on = is_paused ? EXCHANGE_SENDING : EXCHANGE_ANSWERED;

    RK_ASSERT(is_paused || exchange->state == EXCHANGE_SUSPENDED);
    RK_ASSERT(connection->server == server);
    unwatch_hangup(connection);
    wait_end(exchange);
    exchange->state = is_paused ? EXCHANGE_SENDING : EXCHANGE_HANDED;
    exchange->is_resuming = true;
    server->options.on_complete(server->options.context, exchange, one->completion);
    exchange->is_resuming = false;
    if (exchange->state == EXCHANGE_SUSPENDED || exchange->state == EXCHANGE_PAUSED) {
        return;
    }
    RK_ASSERT(exchange->state == goes_on);
    if (connection->mhd == NULL) {
        orphan_end(connection);
        return;
    }
    if (exchange->is_held) {
        held_answer(exchange);
        return;
    }
    connection_resume(connection, is_paused ? HTTP_PHASE_ANSWER : HTTP_PHASE_NONE);
}

uint32_t http_suspend_complete_some(struct http_server *server)
{
    struct http_completion batch[COMPLETIONS_PER_RUN_MAX];
    const uint32_t count = rk_queue_pop(server->completions, batch, COMPLETIONS_PER_RUN_MAX);

    for (uint32_t i = 0; i < count; i++) {
        complete_one(server, &batch[i]);
    }
    return count;
}

/* ---- the end ---- */

/* What is paused asks its stream once more, which then ends. */
static void abandon_one(struct http_server *server, struct http_watch *watch)
{
    struct http_connection *connection = (struct http_connection *)watch;
    struct http_exchange *exchange = connection->exchange;

    unwatch_hangup(connection);
    wait_end(exchange);
    exchange->state = exchange->state == EXCHANGE_PAUSED ? EXCHANGE_SENDING : EXCHANGE_CUT_OFF;
    if (connection->mhd == NULL) {
        orphan_end(connection);
        return;
    }
    (void)shutdown(watch->socket, SHUT_RDWR);
    if (exchange->is_held) {
        hold_end(exchange);
        http_reaper_enter(&server->reaper, watch, HTTP_PHASE_NONE, server->now_ms);
        http_shard_wake(connection->shard);
        return;
    }
    connection_resume(connection, HTTP_PHASE_NONE);
}

void http_server_abandon(struct http_server *server)
{
    do { /* again, if a request that had come in was handed over, and suspended, meanwhile */
        while (http_suspend_complete_some(server) > 0) {
            /* What was completed in time is answered. */
        }
        for (struct http_watch *watch = http_reaper_first(&server->reaper, HTTP_PHASE_SUSPENDED);
             watch != NULL; watch = http_reaper_first(&server->reaper, HTTP_PHASE_SUSPENDED)) {
            abandon_one(server, watch);
        }
        http_server_run_shards(server);
    } while (server->counts.suspended > 0);
}
