/* api_snapshot.h -- /v1/snapshot: the whole state out, as a backup, and back in.
 *
 * Thread: the HTTP loop that has the request. The bytes are the server's business: here is what a
 * request may ask for, and the head of its answer.
 */
#ifndef RK_API_API_SNAPSHOT_H
#define RK_API_API_SNAPSHOT_H

#include "api/api.h"

enum api_action snapshot_get_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response);
/* Makes the head of the answer, and sets call->is_backup. */
void snapshot_get_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams);

enum api_action snapshot_put_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response);
void snapshot_put_finish(enum rk_status status, const char *why, raft_index index,
                         struct http_response *response);

/* Whether the request's body is a backup, which may be large. */
bool snapshot_takes_body(const struct http_request *request);

#endif
