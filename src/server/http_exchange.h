/* http_exchange.h -- one request on its connection, and the spare ones: inside http_server only.
 *
 * Exchanges are kept for reuse with their small buffers, so that a request allocates little; an
 * idle connection has none. Thread: the loop's.
 */
#ifndef RK_SERVER_HTTP_EXCHANGE_H
#define RK_SERVER_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/http.h"
#include "base/limits.h"
#include "server/http_reaper.h"

struct http_server;
struct http_shard;
struct MHD_Connection;
struct http_answer;

enum http_exchange_state {
    EXCHANGE_HEAD,      /* the request line is known */
    EXCHANGE_BODY,      /* the head was judged good; the body comes in */
    EXCHANGE_CUT_OFF,   /* to be closed without another word */
    EXCHANGE_HANDED,    /* in a handler */
    EXCHANGE_SUSPENDED, /* http_server_complete() will come */
    EXCHANGE_ANSWERED,  /* `answer` waits for libmicrohttpd to ask for it */
    EXCHANGE_SENDING,
    EXCHANGE_PAUSED, /* in mid-answer; http_server_complete() will come */
};

/* One accepted socket. It may be gone (`mhd` is NULL then, watch.socket -1) while a request of it is
 * held, and lives until that is completed. */
struct http_connection {
    struct http_watch watch; /* first: a watch is its connection */
    struct http_server *server;
    struct http_shard *shard;
    struct http_exchange *exchange; /* NULL between requests */
    struct MHD_Connection *mhd;
    bool is_hangup_watched;
};

struct http_exchange {
    struct http_connection *connection;
    struct http_exchange *next_spare;
    enum http_exchange_state state;
    bool was_handed;  /* on_end is owed */
    bool is_resuming; /* libmicrohttpd has it suspended still, and is about to be told */
    bool is_held;     /* SUSPENDED, but not by libmicrohttpd, which asks again in every run */
    bool is_stream;   /* SENDING: what it answers is made while it is sent */
    bool target_too_long;
    const char *target_in_place; /* where libmicrohttpd has it: only compared, never read */
    size_t target_size;          /* up to the first NUL there */
    void *user;
    struct http_answer *answer; /* NULL, or to be queued, or (a pooled one) being sent */
    uint64_t body_received;     /* bytes, those swallowed too */
    struct rk_buf target;       /* with its NUL */
    struct rk_buf body;
    struct http_request request;
    struct http_field fields[RK_HEADERS_MAX];
};

struct http_exchange_pool {
    struct http_exchange *spares;
    uint32_t spares_count;
    size_t body_size_max;
};

void http_exchange_pool_init(struct http_exchange_pool *pool, size_t body_size_max);
void http_exchange_pool_done(struct http_exchange_pool *pool);

/* A fresh one, on `connection`, which has none. */
struct http_exchange *http_exchange_take(struct http_exchange_pool *pool,
                                         struct http_connection *connection);
void http_exchange_put_back(struct http_exchange_pool *pool, struct http_exchange *exchange);

/* Forgets what came of the body, and its memory: the rest is only swallowed. */
void http_exchange_drop_body(struct http_exchange *exchange);

#endif
