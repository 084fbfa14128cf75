/* api_stages.h -- GET /v1/status/stages: what this node measures of itself (base/meter.h).
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_API_STAGES_H
#define RK_API_API_STAGES_H

#include "api/api.h"

enum api_action status_stages_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);

#endif
