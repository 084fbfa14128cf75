/* api_session.h -- the sessions below /v1/session: what locks are held by (contract 2.4).
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_API_SESSION_H
#define RK_API_API_SESSION_H

#include <stdbool.h>

#include "api/api.h"
#include "base/json_write.h"

/* Writes (api_session.c). The begins check the request and make its command, API_PROPOSE; what is wrong
 * with it is answered, API_RESPOND. A creation draws its id here, so that every node makes the same one.
 * The finishes answer what the state machine said: the id; true; the session with its time begun anew, or
 * 404 when there is none. */
enum api_action session_create_begin(struct api_call *call, const struct node_view *node,
                                     struct http_response *response);
enum api_action session_destroy_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response);
enum api_action session_renew_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);
void session_create_finish(struct api_call *call, const struct sm_result *result,
                           struct http_response *response);
void session_destroy_finish(struct api_call *call, const struct sm_result *result,
                            struct http_response *response);
void session_renew_finish(struct api_call *call, const struct sm_result *result,
                          struct http_response *response);

/* Reads (api_session_read.c): arrays, empty where there is nothing. Of a list larger than a slice,
 * *ret_streams is true, and the root stays held until the stream is closed. */
enum api_action session_info_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response);
enum api_action session_list_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response);
void session_info_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams);
void session_list_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams);
void session_node_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams);

/* One element of an answer, as the contract spells it. */
void session_render(struct rk_json *json, const struct sm_session *session);

#endif
