/* read_options.h -- the query parameters that say how fresh an answer must be, and where from.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_READ_OPTIONS_H
#define RK_API_READ_OPTIONS_H

#include <stdbool.h>

#include "api/api.h"
#include "base/json_write.h"

/* Checks stale, consistent, leader, cached, max_stale, wait and index, in the contract's order,
 * and sets call->consistency, max_stale_ms, after and wait_us: 5 min if the request does not say,
 * 10 min at most. False: the response is made. */
bool read_options_parse(struct api_call *call, const struct node_view *node,
                        struct http_response *response);

/* Checks stale, consistent, leader, cached and max_stale alone. */
bool read_options_parse_consistency(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);

/* For a read that may block (contract 1.7): if the request has an index, it waits until the topic's
 * is above it. The key is borrowed for the life of the call. */
void read_options_watch(struct api_call *call, enum sm_topic_kind kind, struct rk_bytes key);

/* dc must be ours. False: the response is made. */
bool datacenter_check(const struct api_call *call, struct http_response *response);

/* Checks dc and starts a JSON body. False: the response is made. */
bool datacenter_json_begin(const struct api_call *call, struct http_response *response,
                           struct rk_json *json);

/* An unsigned parameter; absent leaves *ret alone. False: the response is made, with the text that
 * clients get from Go. */
bool parameter_u64(const struct api_call *call, const char *name, struct http_response *response,
                   uint64_t *ret);

/* ns, partition, peer and sameness-group may be empty or `default`: answering from another place
 * than asked would be worse than refusing. False: the response is made. */
bool namespace_check(const struct api_call *call, struct http_response *response);

#endif
