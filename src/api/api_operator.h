/* api_operator.h -- the operator endpoints that tools of Consul's know (contract 2.8): the Raft
 * configuration, leadership transfer, removing a peer, and what autopilot says. All are the
 * leader's to answer.
 *
 * Thread: the HTTP loop that has the request; on the leader, for another node's, the node's.
 */
#ifndef RK_API_API_OPERATOR_H
#define RK_API_API_OPERATOR_H

#include "api/api.h"

/* Answered from what the leader knows. */
enum api_action operator_look_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);

/* GET /v1/operator/raft/configuration; with ?stale, as this node has it. */
enum api_action operator_configuration_begin(struct api_call *call, const struct node_view *node,
                                             struct http_response *response);
void operator_configuration_finish(struct api_call *call, const struct admin_outcome *outcome,
                                   const struct node_view *node, struct http_response *response);

/* POST /v1/operator/raft/transfer-leader[?id=]; the id or the name of a voter. */
enum api_action operator_transfer_begin(struct api_call *call, const struct node_view *node,
                                        struct http_response *response);
void operator_transfer_finish(struct api_call *call, const struct admin_outcome *outcome,
                              const struct node_view *node, struct http_response *response);

/* DELETE /v1/operator/raft/peer?id= or ?address=. */
enum api_action operator_peer_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);
void operator_peer_finish(struct api_call *call, const struct admin_outcome *outcome,
                          const struct node_view *node, struct http_response *response);

/* GET and PUT /v1/operator/autopilot/configuration (api_autopilot.c), at any node. */
enum api_action autopilot_configuration_begin(struct api_call *call, const struct node_view *node,
                                              struct http_response *response);
enum api_action autopilot_configure_begin(struct api_call *call, const struct node_view *node,
                                          struct http_response *response);
/* GET /v1/operator/autopilot/health: 200, or 429 when some member does not answer. */
void autopilot_health_finish(struct api_call *call, const struct admin_outcome *outcome,
                             const struct node_view *node, struct http_response *response);
/* GET /v1/operator/autopilot/state. */
void autopilot_state_finish(struct api_call *call, const struct admin_outcome *outcome,
                            const struct node_view *node, struct http_response *response);

#endif
