/* http_answer.h -- an http_response in the form in which libmicrohttpd sends it, to one or to many.
 *
 * Thread: the loop's; an answer is shared between connections of one loop only.
 */
#ifndef RK_SERVER_HTTP_ANSWER_H
#define RK_SERVER_HTTP_ANSWER_H

#include <stdbool.h>

#include "base/http.h"

struct MHD_Response;

struct http_answer {
    struct MHD_Response *mhd;
    uint32_t status;
    uint32_t holders;
    bool is_bulk;   /* see struct http_response */
    bool is_pooled; /* by http_answer_pool.h: it is kept until it is sent, and held once only */
    bool is_stream;
};

/* Takes body and stream out of *response, without a copy, and ends it; the caller holds the answer.
 * A field that HTTP cannot carry (a line break in its value) is left out. */
struct http_answer *http_answer_new(struct http_response *response, bool closes_connection);
/* One more holds it; returns its argument. It has a body, not a stream. */
struct http_answer *http_answer_hold(struct http_answer *answer);
void http_answer_drop(struct http_answer *answer); /* NULL is allowed */

/* The answer as it goes over the wire, with `Connection: close`, for where libmicrohttpd takes
 * none. *response has a body, not a stream. */
void http_answer_write(const struct http_response *response, struct rk_buf *buf);

#endif
