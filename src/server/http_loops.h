/* http_loops.h -- the client side's HTTP threads: N loops, each with one http_server.
 *
 * The first loop also accepts, and hands every socket to the loop that holds the fewest. A
 * connection stays on its loop for life.
 *
 * Life: new -> start -> drain -> stop -> free. Between new and start nothing is served, so that
 * the callbacks' contexts can learn of their servers.
 *
 * Thread: the owner's, except where a function says otherwise.
 */
#ifndef RK_SERVER_HTTP_LOOPS_H
#define RK_SERVER_HTTP_LOOPS_H

#include <stdint.h>

#include "base/meter.h"
#include "base/status.h"
#include "server/http_listener.h"
#include "server/http_server.h"

enum { HTTP_LOOPS_MAX = 64 };

struct http_loops;

struct http_loops_options {
    /* For the server of every loop. connections_max holds for all loops together. */
    struct http_server_options server;
    /* One for each loop, used in place of server.context; NULL: server.context for all. */
    void *const *contexts;
    uint32_t loops_count;     /* 1 .. HTTP_LOOPS_MAX */
    struct rk_meters *meters; /* the loops write theirs; NULL: nobody measures */
};

/* Takes *listener over, on error too, and sets it to NULL. NULL: the process has no descriptors
 * left. */
struct http_loops *http_loops_new(const struct http_loops_options *options,
                                  struct http_listener **listener);

/* Starts the threads. Errors: RK_BUSY (the system gives no thread); none is then left running. */
RK_MUST_USE enum rk_status http_loops_start(struct http_loops *loops);

/* Closes the listener, then what is idle; answers from now on close their connections. Does not
 * wait. */
void http_loops_drain(struct http_loops *loops);

/* Drains, waits until no connection is left or `timeout_ms` is over, and joins the threads.
 * Requests that are suspended then are cut off (on_end runs): whoever could complete them must
 * have stopped before, or finish within the timeout. Errors: RK_BUSY (something was cut off). */
RK_MUST_USE enum rk_status http_loops_stop(struct http_loops *loops, uint32_t timeout_ms);

void http_loops_free(struct http_loops *loops); /* never started, or stopped; NULL is allowed */

uint32_t http_loops_count(const struct http_loops *loops);
struct http_server *http_loops_server(struct http_loops *loops, uint32_t loop);
uint16_t http_loops_port(const struct http_loops *loops);

/* From any thread. When the loop began its last turn (rk_monotonic_ms); a loop that has nothing
 * to do turns once a second all the same, so one that is seconds behind is stuck. */
uint64_t http_loops_turned_at_ms(const struct http_loops *loops, uint32_t loop);

/* From any thread: sums over all loops, as of their last turns. */
struct http_server_counts http_loops_counts(const struct http_loops *loops);

#endif
