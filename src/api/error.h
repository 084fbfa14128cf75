/* error.h -- what an enum rk_status is to a client: status code, text, and what became of a write.
 *
 * The codes are those that the contract's clients act on (design.md 3): they retry on 500 alone,
 * so a missing leader is 500 and never 503. Thread: any. All texts are static.
 */
#ifndef RK_API_ERROR_H
#define RK_API_ERROR_H

#include <stdint.h>

#include "base/status.h"

/* The HTTP status code, as base/status.h has it. */
uint32_t error_http_status(enum rk_status status);

/* The text for a failed write, the same from every node. */
const char *error_write_text(enum rk_status status);

/* The text for a failed read: whatever cost the leader its standing, no read was served. */
const char *error_read_text(enum rk_status status);

/* X-Raftkv-Outcome of a failed write: "not-done" (never appended, safe to send again) or
 * "unknown" (it may still be committed). Only what surely never entered a log is not-done. */
const char *error_outcome(enum rk_status status);

#endif
