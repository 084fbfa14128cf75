/* request.h -- a raw request target taken apart: path, key bytes and query parameters.
 *
 * Every escape is undone exactly once, here, and from the target as it stood in the request line
 * (contract 1.11, correctness 4.1): a second decoder would turn the key `%252F` into a slash.
 *
 * Thread: the HTTP loop that has the request. Memory: results point into the target or into the
 * call's buffers.
 */
#ifndef RK_API_REQUEST_H
#define RK_API_REQUEST_H

#include <stdbool.h>

#include "api/api.h"
#include "base/bytes.h"
#include "statemachine/session.h"

/* What can be wrong with a target; each has its text in answer.c. */
enum request_fault {
    REQUEST_OK,
    REQUEST_MALFORMED,           /* neither origin-form nor absolute-form, a broken escape, a ';' */
    REQUEST_CONTROL_BYTE,        /* 0x00-0x1f or 0x7f in a key, NUL in a parameter */
    REQUEST_KEY_TOO_LONG,        /* above options->key_size_max */
    REQUEST_TOO_MANY_PARAMETERS, /* above RK_QUERY_PARAMETERS_MAX */
};

struct request_target {
    struct rk_bytes path;  /* still escaped; begins with '/' */
    struct rk_bytes query; /* still escaped; without the '?'; empty: none */
};

/* Splits origin-form (`/path?query`) and absolute-form (`http://host/path?query`). Fault:
 * REQUEST_MALFORMED; *ret is then untouched. */
RK_MUST_USE enum request_fault request_split(const char *target, struct request_target *ret);

/* True when every '%' of `text` starts a whole escape. */
bool request_escapes_are_whole(struct rk_bytes text);

/* Decodes the rest of a path into call->key, leading slashes stripped; '+' stays a plus. Faults:
 * REQUEST_MALFORMED, REQUEST_CONTROL_BYTE, REQUEST_KEY_TOO_LONG. */
RK_MUST_USE enum request_fault request_decode_key(struct api_call *call, struct rk_bytes rest);

/* Fills call->parameters from the query; '+' is a space. Faults: REQUEST_MALFORMED,
 * REQUEST_CONTROL_BYTE, REQUEST_TOO_MANY_PARAMETERS. */
RK_MUST_USE enum request_fault request_parse_query(struct api_call *call, struct rk_bytes query);

/* The first value of a parameter that the call's route declares ("" for a bare name), or NULL. */
const char *request_parameter(const struct api_call *call, const char *name);

/* A presence flag: on with any value, `false` included (contract 1.5). */
bool request_has(const struct api_call *call, const char *name);

/* Appends all parameters as a query string, sorted by name, with its escapes. */
void request_encode_query(const struct api_call *call, struct rk_buf *buf);

/* The session that a text names; all zero, which nobody has, if no session can have that id. */
void request_session_id(struct rk_bytes text, struct session_id *ret);

/* The decoded key; lent while the call lives. */
struct rk_bytes request_key(const struct api_call *call);

#endif
