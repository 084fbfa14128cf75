/* api_status.h -- who leads, who is there, and how this node sees it. Answered from the node's
 * published view: no root, no leader and no round trip needed.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_API_STATUS_H
#define RK_API_API_STATUS_H

#include "api/api.h"

/* GET /v1/status/leader: the leader's peer address as a string, "" when there is none. */
enum api_action status_leader_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);

/* GET /v1/status/peers: the peer addresses of all members, learners included. */
enum api_action status_peers_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response);

/* GET /v1/status/node: this node's role, term, indexes and readiness. */
enum api_action status_node_begin(struct api_call *call, const struct node_view *node,
                                  struct http_response *response);

/* GET /v1/cluster/members: the configuration, on the leader with each member's progress; with
 * ?consistent, the leader's answer. */
enum api_action cluster_members_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response);
void cluster_members_finish(struct api_call *call, const struct admin_outcome *outcome,
                            const struct node_view *node, struct http_response *response);

#endif
