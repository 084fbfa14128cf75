/* http.h -- a request and its answer as plain data: what the resource handlers see of HTTP.
 *
 * The server fills requests and sends responses; handlers in api/ and network/ never see a
 * socket, so that a test drives them with a struct.
 */
#ifndef RK_BASE_HTTP_H
#define RK_BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"

enum http_method {
    HTTP_GET,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_POST,
    HTTP_HEAD,
    HTTP_OPTIONS,
    HTTP_PATCH,
    HTTP_METHOD_OTHER,
};

struct http_field {
    const char *name;
    const char *value;
};

/* Where a body goes that is too large to be gathered. */
struct http_sink {
    uint64_t size_max; /* bytes; past it: 413, and the connection is closed */
    /* Takes the next part of the body. False: no more of it is wanted; fault_status and fault_text,
     * static, then say what is answered, and the connection is closed. */
    bool (*write)(struct http_sink *sink, const uint8_t *data, size_t size);
    uint32_t fault_status;
    const char *fault_text;
    /* Called exactly once, whole or not, when the exchange is over. */
    void (*close)(struct http_sink *sink);
};

/* Everything is lent for the life of the exchange. */
struct http_request {
    enum http_method method;
    const char *method_name; /* as it came, for "method X not allowed" */
    const char *target;      /* raw, undecoded, as it stood in the request line */
    const struct http_field *headers;
    uint32_t headers_count;
    struct rk_bytes body;
    struct http_sink *sink; /* not NULL: the body has gone there, and `body` is empty */
};

/* The first header of that name (any case), or NULL. */
const char *http_request_header(const struct http_request *request, const char *name);

/* A body that is made while it is sent, for answers too large to hold. */
struct http_stream {
    /* Fills up to `size` bytes; returns how many, 0 at the end. Never blocks: HTTP_STREAM_WAIT says
     * that there is nothing now, where the server has been told when to ask again; HTTP_STREAM_BROKEN
     * that it cannot go on: the connection ends in the middle of the answer, for its reader to see. */
    size_t (*read)(struct http_stream *stream, uint8_t *data, size_t size);
    /* Called exactly once, sent whole or not. */
    void (*close)(struct http_stream *stream);
};

#define HTTP_STREAM_WAIT   SIZE_MAX
#define HTTP_STREAM_BROKEN (SIZE_MAX - 1)

enum { HTTP_RESPONSE_HEADERS_MAX = 16, HTTP_RESPONSE_ARENA_SIZE = 512 };

struct http_response {
    uint32_t status;
    struct http_field headers[HTTP_RESPONSE_HEADERS_MAX]; /* names: static text */
    uint32_t headers_count;
    char arena[HTTP_RESPONSE_ARENA_SIZE]; /* holds the header values that are not static text */
    uint32_t arena_size;
    struct rk_buf long_value;   /* owned: a header value that the arena would not hold */
    struct rk_buf body;         /* owned; ignored when stream is set */
    struct http_stream *stream; /* owned; NULL: body */
    bool close_connection;      /* the connection may not be used again */
    bool is_bulk;               /* who takes too little of it at a time is cut off */
};

/* An empty 200 without headers; `body_size_max` is the body's ceiling. */
void http_response_init(struct http_response *response, size_t body_size_max);
/* Frees body and header values, and closes the stream. */
void http_response_done(struct http_response *response);
/* `name` is static text; `value` is copied. Asserts that there is room. */
void http_response_header(struct http_response *response, const char *name, const char *value);
/* `value` is static text too: no copy. */
void http_response_header_static(struct http_response *response, const char *name,
                                 const char *value);
/* The value, of any length, is taken out of `value`; asserts that it is the first such one. */
void http_response_header_long(struct http_response *response, const char *name,
                               struct rk_buf *value);
void http_response_header_u64(struct http_response *response, const char *name, uint64_t value);
/* Reads what the stream yields into the body, if that is at most `size_max` bytes: the response then
 * has a body and no stream. Else the stream begins with what was read. */
void http_response_gather(struct http_response *response, size_t size_max);
/* Sets status and a text/plain body in one. */
void http_response_text(struct http_response *response, uint32_t status, const char *text);

#endif
