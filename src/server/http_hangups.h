/* http_hangups.h -- which peers of suspended connections have gone. libmicrohttpd does not look at a
 * suspended socket, so that a client that gave up would hold its place until its wait is over.
 *
 * Thread: the loop's.
 */
#ifndef RK_SERVER_HTTP_HANGUPS_H
#define RK_SERVER_HTTP_HANGUPS_H

#include <stdint.h>

#include "base/status.h"

struct http_hangups {
    int epoll;      /* readable while http_hangups_next() has something */
    uint32_t count; /* sockets looked at */
};

/* Errors: RK_BUSY (no descriptors are left). */
RK_MUST_USE enum rk_status http_hangups_open(struct http_hangups *hangups);
void http_hangups_close(struct http_hangups *hangups);

/* Looks at `socket` until http_hangups_remove(). It is told once. */
void http_hangups_add(struct http_hangups *hangups, int socket, void *tag);
void http_hangups_remove(struct http_hangups *hangups, int socket);

/* Up to `max` tags of sockets whose peer has closed its side or reset; returns how many. */
uint32_t http_hangups_next(struct http_hangups *hangups, void **tags, uint32_t max);

#endif
