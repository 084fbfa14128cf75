/* api_catalog.h -- nodes, services and checks as Consul's clients list them (contract 2.6, 2.7): each
 * server's own node, its service `consul` and its check `serfHealth`, which the leader keeps
 * (statemachine/catalog.h). All of them may block. Lists are in the order of the nodes' names, in
 * catalog/service and health/service alike: Traefik pairs the two by position.
 *
 * ?near orders nothing: all nodes are equally near. Nodes have no metadata and the service no tags, so
 * what asks for one finds nothing. ?filter is refused rather than ignored.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_API_CATALOG_H
#define RK_API_API_CATALOG_H

#include "api/api.h"

/* GET /v1/catalog/nodes */
enum api_action catalog_nodes_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);
void catalog_nodes_finish(struct api_call *call, const struct sm_root *root,
                          const struct node_view *node, struct http_response *response,
                          bool *ret_streams);

/* GET /v1/catalog/services: names, each with its tags. */
enum api_action catalog_services_begin(struct api_call *call, const struct node_view *node,
                                       struct http_response *response);
void catalog_services_finish(struct api_call *call, const struct sm_root *root,
                             const struct node_view *node, struct http_response *response,
                             bool *ret_streams);

/* GET /v1/catalog/service/{name}: its instances; of an unknown one []. */
enum api_action catalog_service_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response);
void catalog_service_finish(struct api_call *call, const struct sm_root *root,
                            const struct node_view *node, struct http_response *response,
                            bool *ret_streams);

/* GET /v1/catalog/node/{node}, and /v1/catalog/node-services/{node}: the node and its services, as an
 * object or as a list; of an unknown one null, or no node and no services. */
enum api_action catalog_node_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response);
void catalog_node_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams);
void catalog_node_services_finish(struct api_call *call, const struct sm_root *root,
                                  const struct node_view *node, struct http_response *response,
                                  bool *ret_streams);

/* GET /v1/health/node/{node} and /v1/health/state/{state}: checks. */
enum api_action health_node_begin(struct api_call *call, const struct node_view *node,
                                  struct http_response *response);
void health_node_finish(struct api_call *call, const struct sm_root *root,
                        const struct node_view *node, struct http_response *response,
                        bool *ret_streams);
enum api_action health_state_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response);
void health_state_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams);

/* GET /v1/health/service/{name}: instances with the checks of their nodes; ?passing: only where every
 * one of them passes. GET /v1/health/checks/{name}: checks of the service itself, of which there are
 * none; the same for /v1/health/connect/ and /v1/health/ingress/. */
enum api_action health_service_begin(struct api_call *call, const struct node_view *node,
                                     struct http_response *response);
void health_service_finish(struct api_call *call, const struct sm_root *root,
                           const struct node_view *node, struct http_response *response,
                           bool *ret_streams);
void health_nothing_finish(struct api_call *call, const struct sm_root *root,
                           const struct node_view *node, struct http_response *response,
                           bool *ret_streams);

/* GET /v1/agent/services and /v1/agent/checks: what clients registered here: nothing. */
enum api_action agent_nothing_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);

#endif
