/* http_answer.h -- an http_response in the form in which libmicrohttpd sends it. */
#ifndef RK_SERVER_HTTP_ANSWER_H
#define RK_SERVER_HTTP_ANSWER_H

#include <stdbool.h>

#include "base/http.h"

struct MHD_Response;

/* Takes body and stream out of *response, without a copy; gives what MHD_destroy_response() frees.
 * A field that HTTP cannot carry (a line break in its value) is left out. */
struct MHD_Response *http_answer_new(struct http_response *response, bool closes_connection);

/* The answer as it goes over the wire, with `Connection: close`, for where libmicrohttpd takes
 * none. *response has a body, not a stream. */
void http_answer_write(const struct http_response *response, struct rk_buf *buf);

#endif
