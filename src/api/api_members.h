/* api_members.h -- changes of the membership, our own resource: add, promote, remove, replace. All
 * are the leader's to do; a refusal says why.
 *
 * Thread: the HTTP loop that has the request; on the leader, for another node's, the node's.
 */
#ifndef RK_API_API_MEMBERS_H
#define RK_API_API_MEMBERS_H

#include "api/api.h"

/* POST /v1/cluster/members: {"name", "peer_address", "learner"}. */
enum api_action members_add_begin(struct api_call *call, const struct node_view *node,
                                  struct http_response *response);
/* PATCH /v1/cluster/members/{name or id}: {"role": "voter"}. */
enum api_action members_repair_begin(struct api_call *call, const struct node_view *node,
                                     struct http_response *response);
enum api_action members_promote_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response);
/* DELETE /v1/cluster/members/{name or id}. */
enum api_action members_remove_begin(struct api_call *call, const struct node_view *node,
                                     struct http_response *response);
/* POST /v1/cluster/members/replace: {"old", "name", "peer_address"}, or an array of those. */
enum api_action members_replace_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response);

/* {"index", "members": [{"id", "name", "peer_address"}]}, or why not. */
void members_finish(struct api_call *call, const struct admin_outcome *outcome,
                    const struct node_view *node, struct http_response *response);

/* -- shared with the other resources that are the leader's -- */

/* Sets call->admin; returns API_ADMIN, or API_RESPOND for another datacenter. */
enum api_action admin_begin(struct api_call *call, enum admin_type type,
                            struct http_response *response);
enum api_action admin_look(struct api_call *call, struct http_response *response);
/* A text answer that says why the leader refused. */
void admin_refuse(const struct admin_outcome *outcome, uint32_t http_status,
                  struct http_response *response);

#endif
