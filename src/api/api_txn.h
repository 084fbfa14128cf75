/* api_txn.h -- /v1/txn: operations on keys, all of them or none (contract 2.3).
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_API_TXN_H
#define RK_API_API_TXN_H

#include <stdbool.h>

#include "api/api.h"
#include "base/json_read.h"
#include "statemachine/command.h"

/* Proposed; or, when no operation can change anything, a read. */
enum api_action txn_begin(struct api_call *call, const struct node_view *node,
                          struct http_response *response);
/* Both answer the results, or 409 with every operation that failed: nothing was changed then. */
void txn_write_finish(struct api_call *call, const struct sm_result *result,
                      struct http_response *response);
void txn_read_finish(struct api_call *call, const struct sm_root *root,
                     const struct node_view *node, struct http_response *response,
                     bool *ret_streams);

/* One operation of the body (api_txn_parse.c). */
struct txn_op {
    struct sm_kv_op op;      /* key and value lie in the buffers of who parses */
    struct rk_bytes verb;    /* as it was given; without escapes */
    struct rk_bytes session; /* the same */
};

/* Walks the operations of a request's body. */
struct txn_parser {
    const struct api_options *options;
    struct rk_json_walk walk;
    struct rk_buf texts; /* of one operation: verb, key, session */
    struct rk_buf value;
    uint32_t op;         /* place of the next one */
    struct rk_buf fault; /* why the body is none; empty: it is fine so far */
    uint32_t fault_status;
    bool is_unknown_verb; /* of the operation parsed last */
};

void txn_parser_init(struct txn_parser *parser, const struct api_options *options);
void txn_parser_done(struct txn_parser *parser);
/* False: the body is no array; see fault. */
bool txn_parser_begin(struct txn_parser *parser, struct rk_bytes body);
/* The next operation, valid until the next call. False: there are no more, or see fault. */
bool txn_parser_next(struct txn_parser *parser, struct txn_op *ret);

#endif
