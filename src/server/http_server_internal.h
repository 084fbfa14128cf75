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
    bool is_draining;
    struct http_server_counts counts;
};

/* http_suspend.c */
/* Completes what was handed in, up to a bound; returns how many. */
void http_server_run_shards(struct http_server *server); /* and then on_run_end */
uint32_t http_suspend_complete_some(struct http_server *server);
void http_suspend_hear_hangups(struct http_server *server);

#endif
