/* gateway.h -- between the HTTP loops and the node: a request becomes a command or a query, its
 * outcome an answer.
 *
 * Thread: each loop's own context; nothing is shared between loops but the node and the board.
 */
#ifndef RK_SERVER_GATEWAY_H
#define RK_SERVER_GATEWAY_H

#include "api/api.h"
#include "server/http_loops.h"
#include "server/node.h"
#include "server/options.h"
#include "server/root.h"

/* A loop uses one root for a moment per request, and holds one per large answer being streamed. */
enum { GATEWAY_SLOTS_PER_LOOP = 32 };

struct gateway;

/* The limits and settings that answers depend on. */
void gateway_api_options(const struct options *options, struct api_options *ret);

/* `board` has GATEWAY_SLOTS_PER_LOOP slots per loop; all are borrowed. */
struct gateway *gateway_new(const struct options *options, struct node *node,
                            struct root_board *board);
void gateway_free(struct gateway *gateway); /* after the loops; NULL is allowed */

/* Opens the client listener and makes the loops, not started yet. Errors: RK_INVALID, RK_IO,
 * RK_BUSY; `error` (HTTP_LISTENER_ERROR_SIZE bytes) then says why. */
RK_MUST_USE enum rk_status gateway_open(struct gateway *gateway, struct http_loops **ret,
                                        char *error);

#endif
