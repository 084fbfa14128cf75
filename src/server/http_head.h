/* http_head.h -- what a request's head must be before a handler sees it: the parser seam.
 *
 * libmicrohttpd 0.9.75 lets through what two servers in a row may read differently (two lengths,
 * two hosts, bytes that end a C string); correctness 4.1 has the list. Each such head is refused
 * and its connection closed. Pure: no socket, no allocation.
 */
#ifndef RK_SERVER_HTTP_HEAD_H
#define RK_SERVER_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/http.h"

struct http_head {
    const char *version; /* "HTTP/1.1" */
    const char *target;  /* raw */
    const struct http_field *fields;
    uint32_t fields_count;
    bool target_too_long;  /* longer than RK_TARGET_SIZE_MAX; `target` is then cut */
    bool fields_too_many;  /* more than RK_HEADERS_MAX */
    bool has_control;      /* a NUL in the request line, a control character in a field */
    bool origin_form_only; /* refuse absolute-form targets */
};

struct http_verdict {
    uint32_t status;         /* 0: take it; otherwise answer this and close */
    const char *text;        /* static */
    bool has_body;           /* a length above 0, or chunks */
    uint64_t content_length; /* 0 when chunked */
};

struct http_verdict http_head_judge(const struct http_head *head);

/* Whether a field's value has a byte that no field may have (RFC 9110 5.5: all controls but TAB). */
bool http_value_has_control(const char *value, size_t size);

#endif
