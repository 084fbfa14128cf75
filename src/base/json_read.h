/* json_read.h -- JSON in, without a tree: a document is checked once as a whole, and then walked by
 * slices of the text. Integers go to 2^64 - 1 (jansson's end at 2^63 - 1); an object's names are
 * compared without regard to case, and of equal names the caller meets the last one last.
 *
 * What follows the first value is ignored. Strings may hold any bytes but control characters.
 * Thread: any. Nothing is allocated; all slices point into the document.
 */
#ifndef RK_BASE_JSON_READ_H
#define RK_BASE_JSON_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"

enum { RK_JSON_READ_DEPTH_MAX = 16 };

enum rk_json_kind {
    RK_JSON_NULL,
    RK_JSON_BOOL,
    RK_JSON_NUMBER,
    RK_JSON_TEXT,
    RK_JSON_ARRAY,
    RK_JSON_OBJECT,
};

struct rk_json_value {
    enum rk_json_kind kind;
    struct rk_bytes text; /* as it stands in the document, quotes and brackets included */
};

/* Where and why a document is none. */
struct rk_json_fault {
    uint32_t offset;
    const char *reason; /* static text */
};

/* Checks the document and gives its value. Errors: RK_INVALID, *fault says why; *ret is then
 * untouched. */
RK_MUST_USE enum rk_status rk_json_read(struct rk_bytes document, struct rk_json_value *ret,
                                        struct rk_json_fault *fault);

/* Walks the members of an object, or the elements of an array (asserted: it is one). */
struct rk_json_walk {
    struct rk_bytes rest;
};
void rk_json_walk_begin(struct rk_json_walk *walk, const struct rk_json_value *of);
/* False: there are no more. `name` keeps its quotes and escapes. */
bool rk_json_walk_member(struct rk_json_walk *walk, struct rk_bytes *name,
                         struct rk_json_value *ret);
bool rk_json_walk_element(struct rk_json_walk *walk, struct rk_json_value *ret);

/* Whether a member's name is `name`, letters of either case; one with escapes is none. */
bool rk_json_name_is(struct rk_bytes quoted, const char *name);

/* Appends what a text says, escapes undone; a lone half of a surrogate pair becomes U+FFFD.
 * Errors: RK_INVALID (not a text), RK_TOO_LARGE (buf's ceiling). */
RK_MUST_USE enum rk_status rk_json_read_text(const struct rk_json_value *value, struct rk_buf *buf);

/* Integers only: no fraction, no exponent. Errors: RK_INVALID, RK_TOO_LARGE (out of range). */
RK_MUST_USE enum rk_status rk_json_read_u64(const struct rk_json_value *value, uint64_t *ret);
RK_MUST_USE enum rk_status rk_json_read_i64(const struct rk_json_value *value, int64_t *ret);

#endif
