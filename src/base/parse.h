/* parse.h -- text to numbers and bytes, strictly: no locale, no leading blanks, no overflow; and
 * back, where text has a form of its own.
 *
 * On error the result is untouched. Thread: any. No memory is kept.
 */
#ifndef RK_BASE_PARSE_H
#define RK_BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"

/* Decimal digits only, leading zeros allowed. Errors: RK_INVALID (empty, another character),
 * RK_TOO_LARGE (above 2^64 - 1). */
RK_MUST_USE enum rk_status rk_parse_u64(const char *text, uint64_t *ret);

/* 1 to 16 hexadecimal digits. Errors: RK_INVALID. */
RK_MUST_USE enum rk_status rk_parse_hex64(const char *text, uint64_t *ret);

/* A Go duration: optional sign, then one or more of digits[.digits] and a unit of
 * ns us µs μs ms s m h; "0" alone is legal. Nanoseconds. Errors: RK_INVALID, RK_TOO_LARGE
 * (does not fit int64_t nanoseconds). */
RK_MUST_USE enum rk_status rk_parse_duration(const char *text, int64_t *ret_ns);

/* Appends a duration as Go prints it: `0s`, `200ms`, `1.5s`, `1m30s`, `24h0m0s`. */
void rk_duration_append(uint64_t duration_ms, struct rk_buf *buf);

/* Sizes as in raftkv.conf: "512KiB", "8MiB", "1GiB", "4096". Errors: RK_INVALID, RK_TOO_LARGE. */
RK_MUST_USE enum rk_status rk_parse_size(const char *text, uint64_t *ret_bytes);

/* Appends `text` with %XX decoded exactly once; with `plus_is_space`, '+' becomes ' '.
 * Errors: RK_INVALID (a broken escape), RK_TOO_LARGE (buf's ceiling). */
RK_MUST_USE enum rk_status rk_percent_decode(struct rk_bytes text, bool plus_is_space,
                                             struct rk_buf *buf);

/* Appends `bytes` with %XX for all but letters, digits, - . _ ~ and the bytes of `plain`. */
void rk_percent_encode(struct rk_bytes bytes, const char *plain, struct rk_buf *buf);

/* Appends standard padded base64. */
void rk_base64_encode(struct rk_bytes bytes, struct rk_buf *buf);
/* Appends the decoded bytes; padding required, line breaks allowed. Errors: RK_INVALID,
 * RK_TOO_LARGE. */
RK_MUST_USE enum rk_status rk_base64_decode(struct rk_bytes text, struct rk_buf *buf);

#endif
