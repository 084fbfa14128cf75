/* router.h -- the table of everything this API answers: one row per path and method.
 *
 * The table is the one source: lookup, 405 and Allow, the parameters a handler may ask for, and
 * the test that holds openapi.yaml equal to it (tests/unit/test_api_openapi.c) all read it.
 *
 * Thread: any; the table is constant.
 */
#ifndef RK_API_ROUTER_H
#define RK_API_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/http.h"

struct api_route {
    enum http_method method;
    const char *path;       /* whole; or, with `rest`, up to and with the slash before the rest */
    const char *rest;       /* NULL, or the name of the rest of the path: any bytes, may be empty */
    bool rest_is_key;       /* decode the rest into call->key */
    const char *parameters; /* query parameters that mean something here, a blank between them */
    enum api_action (*begin)(struct api_call *call, const struct node_view *node,
                             struct http_response *response);
    void (*finish_write)(struct api_call *call, const struct sm_result *result,
                         struct http_response *response); /* NULL: never proposes */
    void (*finish_read)(struct api_call *call, const struct sm_root *root,
                        const struct node_view *node, struct http_response *response,
                        bool *ret_streams); /* NULL: never reads */
    void (*finish_admin)(struct api_call *call, const struct admin_outcome *outcome,
                         const struct node_view *node,
                         struct http_response *response); /* NULL: not the leader's business */
};

extern const struct api_route api_routes[];
extern const uint32_t api_routes_count;

enum route_match {
    ROUTE_FOUND,         /* *ret is the row */
    ROUTE_OTHER_METHODS, /* the path is known, the method is not allowed; *ret is a row of the path */
    ROUTE_UNKNOWN,       /* no such path; *ret is untouched */
};

/* Looks up a still escaped path. With ROUTE_FOUND, *ret_rest is what `rest` names. */
enum route_match route_find(struct rk_bytes path, enum http_method method,
                            const struct api_route **ret, struct rk_bytes *ret_rest);

/* Appends the Allow value of the row's path: "OPTIONS," and the methods, no blanks. */
void route_append_allow(const struct api_route *route, struct rk_buf *buf);

/* Whether the row declares the parameter. */
bool route_declares(const struct api_route *route, const char *name);

/* "GET", "PUT", ...; for the methods that rows have. */
const char *route_method_name(enum http_method method);

#endif
