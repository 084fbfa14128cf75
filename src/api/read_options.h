/* read_options.h -- the query parameters that say how fresh an answer must be, and where from.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_READ_OPTIONS_H
#define RK_API_READ_OPTIONS_H

#include <stdbool.h>

#include "api/api.h"

/* Checks stale, consistent, leader, cached, max_stale, wait and index, in the contract's order,
 * and sets call->consistency and max_stale_ms. A read that asks to wait for a change is refused.
 * False: the response is made. */
bool read_options_parse(struct api_call *call, const struct node_view *node,
                        struct http_response *response);

/* dc must be ours. False: the response is made. */
bool datacenter_check(const struct api_call *call, struct http_response *response);

/* ns, partition, peer and sameness-group may be empty or `default`: answering from another place
 * than asked would be worse than refusing. False: the response is made. */
bool namespace_check(const struct api_call *call, struct http_response *response);

#endif
