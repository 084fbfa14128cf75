/* http_server.h -- HTTP in: libmicrohttpd confined to one module, with the parser seam closed.
 *
 * One http_server is libmicrohttpd in external epoll mode (its own epoll thread stalls at 128
 * events) on a loop that somebody else turns: the client side has one per HTTP thread, the peer
 * side one on the node loop. It accepts no connections itself: http_server_add() hands them in,
 * from a listening socket that was opened exclusively (server/http_listener.h).
 *
 * What a handler sees is a whole request, unambiguous: exactly one Host, one length, no escapes
 * undone, a body within its limit (correctness 4.1). What is not gets its 4xx here and is closed.
 * Slow peers are closed by deadlines of our own (server/http_reaper.h): headers 5 s, body 1 KiB/s
 * and 30 s, answer 30 s without progress, idle keep-alive 60 s.
 *
 * Thread: the loop's; http_server_complete() alone may be called from any thread.
 */
#ifndef RK_SERVER_HTTP_SERVER_H
#define RK_SERVER_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/http.h"
#include "base/status.h"

struct http_server;
struct http_answer;   /* server/http_answer.h */
struct http_exchange; /* one request, from its last byte to its answer */

struct http_server_options {
    /* A whole request. The handler answers now (http_exchange_respond) or suspends and answers
     * later; an exchange that is neither is a bug (asserted). */
    void (*on_request)(void *context, struct http_exchange *exchange,
                       const struct http_request *request);
    /* The head of a request with a body is there: a sink for it, or NULL: it is gathered. The sink is
     * the exchange's. NULL: none has one. */
    struct http_sink *(*on_head)(void *context, const struct http_request *request);
    /* A suspended exchange that http_server_complete() named: answer it now, or suspend it again
     * (one more http_server_complete() must then follow). */
    void (*on_complete)(void *context, struct http_exchange *exchange, void *completion);
    /* The peer of a suspended exchange, for which http_exchange_watch_hangup() asked, has closed its
     * side or is gone. The exchange is suspended still, its http_server_complete() owed. NULL: never
     * asked for. */
    void (*on_hangup)(void *context, struct http_exchange *exchange);
    /* An exchange that on_request saw is over, answered or not: free what its user pointer points
     * to. Never called while the exchange is suspended. */
    void (*on_end)(void *context, struct http_exchange *exchange);
    /* All that had come is handled: what on_request kept back, to hand it over together, must go
     * now. NULL: nothing is kept back. */
    void (*on_run_end)(void *context);
    /* May add headers to an answer that the server itself gives, to what it does not let through.
     * NULL: none. */
    void (*on_refusal)(enum http_method method, struct http_response *response);
    void *context;
    uint32_t connections_max;
    size_t body_size_max;       /* past it: 413, and the connection is closed */
    size_t body_size_swallowed; /* an oversize body up to here is read and answered 413 */
    bool origin_form_only;      /* the peer side refuses absolute-form targets */
    uint32_t header_timeout_ms; /* 0: 5000 */
    uint32_t body_timeout_ms;   /* 0: 30000 */
    uint32_t idle_timeout_ms;   /* 0: 60000 */
    uint32_t write_timeout_ms;  /* 0: 30000; an answer of which the peer takes nothing */
};

/* The options are copied. NULL: the process has no descriptors left. */
struct http_server *http_server_new(const struct http_server_options *options);
void http_server_free(struct http_server *server); /* no exchange may be suspended; NULL allowed */

/* The beginning of the end: what is idle is closed now, every answer from now on closes its
 * connection. */
void http_server_drain(struct http_server *server);

bool http_server_is_draining(const struct http_server *server);

/* Closes the connections of all suspended exchanges (on_end runs): for a stop after which nobody
 * is left who could complete them. */
void http_server_abandon(struct http_server *server);

/* Takes over an accepted, connected socket. Errors: RK_BUSY (connections_max, or no descriptors);
 * the socket is then closed. */
RK_MUST_USE enum rk_status http_server_add(struct http_server *server, int socket);

/* The owner's loop watches this for reading, and calls http_server_run() when it is readable, at
 * the deadline, and after every batch of completions. now_ms is rk_monotonic_ms(). */
int http_server_fd(const struct http_server *server);
uint64_t http_server_deadline_ms(struct http_server *server, uint64_t now_ms);
void http_server_run(struct http_server *server, uint64_t now_ms);

/* The handler's own pointer, NULL at first. */
void **http_exchange_user(struct http_exchange *exchange);
const struct http_request *http_exchange_request(const struct http_exchange *exchange);
struct http_server *http_exchange_server(const struct http_exchange *exchange);

/* Answers; *response is taken over (its body and stream are freed when sent; a lent body is copied
 * now). A header that HTTP cannot carry (a line break in its value) is left out. */
void http_exchange_respond(struct http_exchange *exchange, struct http_response *response);

/* The same with an answer that others may be given too; the caller's hold is taken over. Those that
 * were made before the draining do not say that their connection is closed. */
void http_exchange_answer(struct http_exchange *exchange, struct http_answer *answer);

/* The answer comes later: exactly one http_server_complete() must follow. Suspend before handing
 * the request on to another thread. */
void http_exchange_suspend(struct http_exchange *exchange);

/* The same for an answer that is expected within milliseconds: it costs no system calls. Whatever
 * takes longer is suspended after all. If the peer is gone meanwhile, the request's fields are, too;
 * target and body stay. A hangup cannot be watched. */
void http_exchange_hold(struct http_exchange *exchange);

/* For a stream, in its read(), that has nothing to send now and returns HTTP_STREAM_WAIT: the exchange
 * goes on when http_server_complete() has come. on_complete then answers nothing: it returns, and
 * the stream is read again, or it pauses once more. */
void http_exchange_pause(struct http_exchange *exchange);

/* Of a suspended or paused exchange, until it is completed: tells on_hangup once if the peer goes. */
void http_exchange_watch_hangup(struct http_exchange *exchange);

/* From any thread: on_complete(exchange, completion) will run on the server's loop. */
void http_server_complete(struct http_server *server, struct http_exchange *exchange,
                          void *completion);

/* Completes several with one wake-up. */
struct http_completion {
    struct http_exchange *exchange;
    void *completion;
};
void http_server_complete_many(struct http_server *server,
                               const struct http_completion *completions, uint32_t count);

struct http_server_counts {
    uint32_t connections;
    uint32_t suspended;
    uint64_t requests;
    uint64_t refused; /* by the parser seam or a limit */
    uint64_t reaped;  /* slow or idle */
};
struct http_server_counts http_server_counts(const struct http_server *server);

#endif
