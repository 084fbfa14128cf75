/* api_health.h -- what load balancers and supervisors ask, and the routes that only refuse.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_API_HEALTH_H
#define RK_API_API_HEALTH_H

#include "api/api.h"

/* GET /healthz: 200 while every loop turns within its bound, else 503 with the reason. */
enum api_action healthz_begin(struct api_call *call, const struct node_view *node,
                              struct http_response *response);

/* GET /readyz: 200 when a linearizable read would be served now, else 503 with the reason. */
enum api_action readyz_begin(struct api_call *call, const struct node_view *node,
                             struct http_response *response);

/* GET /: something short with status 200; health checks of old client suites poll it. */
enum api_action root_begin(struct api_call *call, const struct node_view *node,
                           struct http_response *response);

/* /v1/acl/: access control lists are off, whatever is asked. */
enum api_action acl_begin(struct api_call *call, const struct node_view *node,
                          struct http_response *response);

#endif
