/* json_write.h -- JSON out, into a buffer: integers to 2^64 - 1 (jansson's end at 2^63 - 1), member
 * order as written, compact. Strings may hold any bytes: what is not valid UTF-8 becomes U+FFFD,
 * control characters and <>& are escaped as \u00XX.
 *
 * The writer places the commas. Nesting is asserted, at most RK_JSON_DEPTH_MAX.
 */
#ifndef RK_BASE_JSON_WRITE_H
#define RK_BASE_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { RK_JSON_DEPTH_MAX = 16 };

struct rk_json {
    struct rk_buf *buf; /* borrowed */
    uint32_t depth;
    bool pretty;                            /* four spaces, a newline at the end of the document */
    bool has_member[RK_JSON_DEPTH_MAX + 1]; /* a comma goes before the next member */
    bool after_name;
};

void rk_json_init(struct rk_json *json, struct rk_buf *buf, bool pretty);
void rk_json_object_begin(struct rk_json *json);
void rk_json_object_end(struct rk_json *json);
void rk_json_array_begin(struct rk_json *json);
void rk_json_array_end(struct rk_json *json);
void rk_json_name(struct rk_json *json, const char *name); /* then exactly one value */
void rk_json_text(struct rk_json *json, const char *text);
void rk_json_bytes(struct rk_json *json, struct rk_bytes text);
void rk_json_base64(struct rk_json *json, struct rk_bytes bytes); /* null when empty */
void rk_json_u64(struct rk_json *json, uint64_t value);
void rk_json_i64(struct rk_json *json, int64_t value);
void rk_json_bool(struct rk_json *json, bool value);
void rk_json_null(struct rk_json *json);
void rk_json_hex64(struct rk_json *json, uint64_t value); /* as a string of 16 digits */

/* A member of an object: its name and its value. */
void rk_json_member_text(struct rk_json *json, const char *name, const char *text);
void rk_json_member_u64(struct rk_json *json, const char *name, uint64_t value);
void rk_json_member_bool(struct rk_json *json, const char *name, bool value);

#endif
