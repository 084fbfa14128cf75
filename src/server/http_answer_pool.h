/* http_answer_pool.h -- small answers that were sent, kept to be sent again with other values.
 *
 * libmicrohttpd allocates three times for each header field of an answer. Most answers have the
 * fields of one before, and of these only an index differs: what is kept is an answer of the same
 * shape, which is the names of its fields and the size of its body.
 *
 * Thread: the loop's.
 */
#ifndef RK_SERVER_HTTP_ANSWER_POOL_H
#define RK_SERVER_HTTP_ANSWER_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/http.h"

struct http_answer;

enum { HTTP_ANSWER_SHAPES = 64 };

struct http_answer_pool {
    struct spare_answer *spares[HTTP_ANSWER_SHAPES]; /* by a hash of their shape */
    uint32_t spares_count;
    uint32_t victim; /* the next place to take one from when there are too many */
};

void http_answer_pool_init(struct http_answer_pool *pool);
void http_answer_pool_done(struct http_answer_pool *pool);

/* As http_answer_new(). The answer goes back by http_answer_pool_put_back() when it is sent. */
struct http_answer *http_answer_pool_make(struct http_answer_pool *pool,
                                          struct http_response *response, bool closes_connection);

/* Nobody sends it any more, or never did; NULL is allowed. */
void http_answer_pool_put_back(struct http_answer_pool *pool, struct http_answer *answer);

#endif
