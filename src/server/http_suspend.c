/* http_suspend.c -- exchanges whose answer, or the rest of it, comes later. */
#include <microhttpd.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "server/http_server_internal.h"

enum {
    COMPLETIONS_PER_RUN_MAX = 256,
    HANGUPS_PER_RUN_MAX = 64,
};

/* ---- to suspend ---- */

static void wait_as(struct http_exchange *exchange, enum http_exchange_state state)
{
    struct http_connection *connection = exchange->connection;
    struct http_server *server = connection->server;

    exchange->state = state;
    server->counts.suspended++;
    http_reaper_enter(&server->reaper, &connection->watch, HTTP_PHASE_SUSPENDED, server->now_ms);
    if (!exchange->is_resuming) {
        MHD_suspend_connection(connection->mhd);
    }
}

void http_exchange_suspend(struct http_exchange *exchange)
{
    RK_ASSERT(exchange->state == EXCHANGE_HANDED);
    wait_as(exchange, EXCHANGE_SUSPENDED);
}

void http_exchange_pause(struct http_exchange *exchange)
{
    RK_ASSERT(exchange->state == EXCHANGE_SENDING);
    wait_as(exchange, EXCHANGE_PAUSED);
}

void http_exchange_watch_hangup(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;

    RK_ASSERT(exchange->state == EXCHANGE_SUSPENDED || exchange->state == EXCHANGE_PAUSED);
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
    exchange->state = is_paused ? EXCHANGE_SENDING : EXCHANGE_HANDED;
    exchange->is_resuming = true;
    server->counts.suspended--;
    server->options.on_complete(server->options.context, exchange, one->completion);
    exchange->is_resuming = false;
    if (exchange->state == EXCHANGE_SUSPENDED || exchange->state == EXCHANGE_PAUSED) {
        return;
    }
    RK_ASSERT(exchange->state == goes_on);
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
    exchange->state = exchange->state == EXCHANGE_PAUSED ? EXCHANGE_SENDING : EXCHANGE_CUT_OFF;
    server->counts.suspended--;
    (void)shutdown(watch->socket, SHUT_RDWR);
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
