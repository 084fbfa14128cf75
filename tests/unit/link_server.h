/* link_server.h -- a peer for tests of link.h: a small HTTP server on 127.0.0.1, a thread for each
 * connection, that behaves and misbehaves by the path it is asked for.
 *
 *   /echo      200 with the request's body
 *   /who       200 with the number of the connection, from 1
 *   /hold      200, but only after link_server_release()
 *   /teapot    418 without a body
 *   /close     reads the request, then closes without a word
 *   /half      closes in the middle of the body
 *   /unsized   a body that ends where the connection does
 *   /headers   without end
 *   /last      as /echo, then closes the connection without saying so
 *
 * Thread: any for the counts.
 */
#ifndef RK_TESTS_UNIT_LINK_SERVER_H
#define RK_TESTS_UNIT_LINK_SERVER_H

#include <stdint.h>

struct link_server;

struct link_server *link_server_start(void);
void link_server_stop(struct link_server *server); /* closes everything, joins all threads */

const char *link_server_address(const struct link_server *server); /* 127.0.0.1:port */
void link_server_release(struct link_server *server); /* answers every /hold, now and later */
uint32_t link_server_connections(struct link_server *server); /* accepted */
uint32_t link_server_requests(struct link_server *server);    /* read whole */
uint32_t link_server_closes(struct link_server *server);      /* by the server */
/* The head of the last request that was read, up to its empty line; lent until the next one. */
const char *link_server_last_head(struct link_server *server);

#endif
