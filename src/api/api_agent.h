/* api_agent.h -- the node as Consul's clients look for it: every server is "the agent" of its own node
 * (contract 2.5). What they read here decides whether they start: the datacenter, the node's name, the
 * least session TTL, an address.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_API_AGENT_H
#define RK_API_API_AGENT_H

#include "api/api.h"

/* GET /v1/agent/self: configuration, this node as a member, and figures as texts. */
enum api_action agent_self_begin(struct api_call *call, const struct node_view *node,
                                 struct http_response *response);

/* GET /v1/agent/members: all members; a leader says who does not answer (status 4), others call
 * everybody alive. With ?wan, names carry the datacenter. */
enum api_action agent_members_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);

/* GET /v1/agent/version */
enum api_action agent_version_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response);

/* GET /v1/catalog/datacenters: this one; needs no leader. */
enum api_action catalog_datacenters_begin(struct api_call *call, const struct node_view *node,
                                          struct http_response *response);

#endif
