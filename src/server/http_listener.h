/* http_listener.h -- the one listening socket of a side, opened exclusively.
 *
 * Exclusively: a second process on the same port must be refused at its start and not share the
 * connections (no SO_REUSEPORT; SO_REUSEADDR only gets past connections in TIME_WAIT).
 *
 * Thread: the owner's.
 */
#ifndef RK_SERVER_HTTP_LISTENER_H
#define RK_SERVER_HTTP_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct http_listener;

enum { HTTP_LISTENER_ERROR_SIZE = 384 };

/* Listens on `address`: host:port, the host a name or an IPv4 address, [IPv6] in brackets, or
 * empty for all; port 0 lets the system choose. Gives *ret, to be closed by
 * http_listener_close(). Errors: RK_INVALID (not an address), RK_IO (everything else); `error`,
 * of at least HTTP_LISTENER_ERROR_SIZE bytes, is then one line for the operator:
 * "cannot listen on 127.0.0.1:8500: Address already in use". */
RK_MUST_USE enum rk_status http_listener_open(const char *address, struct http_listener **ret,
                                              char *error);
void http_listener_close(struct http_listener *listener); /* NULL is allowed */

int http_listener_fd(const struct http_listener *listener);        /* readable: somebody waits */
uint16_t http_listener_port(const struct http_listener *listener); /* the bound one */

/* Never waits. Gives a connected socket: non-blocking, close-on-exec, TCP_NODELAY.
 * Errors: RK_NOT_FOUND (nobody waits), RK_BUSY (no descriptors are left: one that waited was
 * turned away, so that the listener does not stay readable for ever). */
RK_MUST_USE enum rk_status http_listener_accept(struct http_listener *listener, int *ret);

#endif
