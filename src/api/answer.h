/* answer.h -- the parts that many answers share: headers, error texts, JSON bodies.
 *
 * Header names are spelled as Go's canonical form prints them: naive clients compare them as
 * strings (contract 1.2). Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_ANSWER_H
#define RK_API_ANSWER_H

#include "api/api.h"
#include "api/request.h"
#include "base/json_write.h"

/* The ceiling of a body that is made whole: one entry with the greatest key, every byte of it
 * escaped, and the greatest value in base64; a longer listing is streamed. */
enum { ANSWER_BODY_SIZE_MAX = 1 << 20 };

/* Whole text answers; both return API_RESPOND, so that a handler can `return answer_text(...)`. */
enum api_action answer_text(struct http_response *response, uint32_t status, const char *text);
enum api_action answer_fault(const struct api_call *call, enum request_fault fault,
                             struct http_response *response);

/* Starts a text of several pieces: the caller appends them to response->body. */
void answer_text_begin(struct http_response *response, uint32_t status);

/* Starts a JSON body, indented when the request has `pretty`. */
void answer_json_begin(const struct api_call *call, struct http_response *response,
                       struct rk_json *json);

/* X-Consul-Index, Knownleader and Lastcontact: always all three (clients stop at the first one
 * that is missing). */
void answer_read_headers(struct http_response *response, const struct node_view *node,
                         raft_index index);

/* The last two of them, for an answer without an index. */
void answer_standing_headers(struct http_response *response, const struct node_view *node);

/* Appends `text` in double quotes, with Go's escapes for what is not printable ASCII. */
void answer_append_quoted(struct rk_buf *buf, const char *text);

/* Appends a number as people read it: 120,310. */
void answer_append_grouped(struct rk_buf *buf, uint64_t value);

/* The last touch, once for every answer: the headers that all of them have, no body for HEAD, and
 * a refused write says that nothing was done unless its outcome is already there. */
void answer_seal(enum http_method method, struct http_response *response);

#endif
