/* http_server_internal.h -- an HTTP server's own state, for http_server.c and http_suspend.c alone. */
#ifndef RK_SERVER_HTTP_SERVER_INTERNAL_H
#define RK_SERVER_HTTP_SERVER_INTERNAL_H

#include "base/queue.h"
#include "server/http_answer_pool.h"
#include "server/http_exchange.h"
#include "server/http_hangups.h"
#include "server/http_reaper.h"
#include "server/http_server.h"
#include "server/http_shards.h"

struct http_server {
    struct http_server_options options;
    struct http_shards *shards;
    struct rk_queue *completions;
    struct http_reaper reaper;
    struct http_hangups hangups;
    struct http_exchange_pool exchanges;
    struct http_answer_pool answers;
    uint64_t now_ms;
    uint64_t hold_due_ms; /* when to look at those that are held; UINT64_MAX: there are none */
    bool is_draining;
    struct http_server_counts counts;
};

void http_server_run_shards(struct http_server *server); /* and then on_run_end */
/* Hands an ANSWERED exchange to libmicrohttpd, which may end it at once; whether it took it. */
bool http_server_send(struct http_exchange *exchange);
void http_server_end_exchange(struct http_exchange *exchange);
void http_server_end_connection(struct http_connection *connection); /* without an exchange */

/* http_suspend.c */
/* Completes what was handed in, up to a bound; returns how many. */
uint32_t http_suspend_complete_some(struct http_server *server);
void http_suspend_hear_hangups(struct http_server *server);
/* libmicrohttpd asks about a held exchange: suspends it if it has taken long. */
void http_suspend_look_at_held(struct http_exchange *exchange);
/* The connection of a held exchange ends: it stays until its completion has come. */
void http_suspend_orphan(struct http_exchange *exchange);
/* Around a run of the shards. */
void http_suspend_wake_overdue(struct http_server *server);
void http_suspend_next_due(struct http_server *server);

#endif
