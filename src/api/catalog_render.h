/* catalog_render.h -- one node of the catalog as JSON, in the shapes that the contract has for it
 * (2.6, 2.7): every member, in Consul's order.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_CATALOG_RENDER_H
#define RK_API_CATALOG_RENDER_H

#include "api/api.h"
#include "base/json_write.h"

/* The one that every server has: what its peers reach it by. */
#define CATALOG_SERVICE "consul"

/* "passing", "critical" */
const char *catalog_status_text(enum sm_check_status status);

/* An element of catalog/nodes. */
void catalog_node_render(const struct api_call *call, struct rk_json *json,
                         const struct sm_node *node);
/* The service in catalog/node and in health/service. */
void catalog_service_render(struct rk_json *json, const struct sm_node *node);
/* An element of catalog/service: node and service in one. */
void catalog_instance_render(const struct api_call *call, struct rk_json *json,
                             const struct sm_node *node);
/* Its serfHealth. */
void catalog_check_render(struct rk_json *json, const struct sm_node *node);
/* An element of health/service: node, service, and the checks of both. */
void catalog_health_render(const struct api_call *call, struct rk_json *json,
                           const struct sm_node *node);

#endif
