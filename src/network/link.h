/* link.h -- HTTP requests to peers: libcurl's multi interface behind a small door.
 *
 * One easy handle per request under way, connections kept alive and reused. Classes never share a
 * connection, so that a vote or a heartbeat never waits behind entries, and neither waits behind
 * a snapshot (pitfall 42).
 * Plain http only, no proxy, no redirects, answers bounded. An answer without a Content-Length
 * could be cut short unseen, and counts as cut short. No request is ever sent twice.
 *
 * Event loop: the link has an epoll descriptor of its own. The owner watches link_fd() for
 * reading, calls link_run() when it is readable or when link_deadline_ms() has passed, and gets
 * its results from inside link_run().
 *
 * Thread: the owner's (the node thread). Memory: request bodies are taken over; result bodies are
 * lent during the callback.
 */
#ifndef RK_NETWORK_LINK_H
#define RK_NETWORK_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"

enum link_class {
    LINK_CONTROL,  /* votes, heartbeats, identity, read-index */
    LINK_BULK,     /* appends, forwarded writes */
    LINK_SNAPSHOT, /* pieces of snapshots */
    LINK_CLASSES,
};

struct link_result {
    uint64_t cookie;       /* of the request */
    enum rk_status status; /* RK_OK: an HTTP answer came, whatever its code; RK_NOT_FOUND: refused
                              before anything was sent (no connection): the peer cannot have acted
                              on it; RK_UNKNOWN: sent, no whole answer: it may have acted */
    uint32_t http_status;  /* with RK_OK */
    struct rk_bytes body;  /* with RK_OK; lent during the callback */
    uint64_t round_trip_us;
};

struct link_options {
    void (*on_result)(void *context, const struct link_result *result); /* exactly once each */
    void *context;
    uint32_t connect_timeout_ms;
    uint32_t requests_max; /* under way, of all classes together; past it link_post() is RK_BUSY */
    uint32_t answer_size_max;
};

struct link;

struct link *link_new(const struct link_options *options);
void link_free(struct link *link); /* pending requests get no result; NULL is allowed */

/* Starts a request. `body` NULL: GET; else POST with the buffer's bytes, which are taken over: the
 * buffer is empty afterwards, on error too. Errors: RK_BUSY, RK_INVALID (not an address). */
RK_MUST_USE enum rk_status link_post(struct link *link, enum link_class class, const char *address,
                                     const char *path, struct rk_buf *body, uint32_t timeout_ms,
                                     uint64_t cookie);

int link_fd(const struct link *link);
uint64_t link_deadline_ms(const struct link *link); /* rk_monotonic_ms() time; UINT64_MAX: none */
void link_run(struct link *link, uint64_t now_ms);

#endif
