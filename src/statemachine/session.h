/* session.h -- what a session is, and its bytes: in the command that makes it, in the session table,
 * and in the answer to its renewal. Byte layout: head of session.c.
 *
 * A session is what locks are held by (contract 2.4). It ends by its own wish, or when nobody has
 * renewed it for a time to live, in cluster time; then its keys are let go, all in one entry.
 *
 * Thread: any.
 */
#ifndef RK_STATEMACHINE_SESSION_H
#define RK_STATEMACHINE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"

enum {
    SESSION_ID_SIZE = 16,
    SESSION_ID_TEXT_SIZE = 37, /* with its NUL */
    SESSION_NAME_SIZE_MAX = 512,
    SESSION_TTL_TEXT_SIZE_MAX = 64,
    SESSION_CHECKS_MAX = 16,
    SESSION_CHECK_SIZE_MAX = 128,
    SESSION_RECORD_SIZE_MAX = 4096,
};

/* Drawn at random; text is 8-4-4-4-12 lower-case hexadecimal digits. */
struct session_id {
    uint8_t bytes[SESSION_ID_SIZE];
};
bool session_id_equal(const struct session_id *a, const struct session_id *b);
void session_id_format(const struct session_id *id, char text[SESSION_ID_TEXT_SIZE]);
/* Errors: RK_INVALID: no session can have this id. */
RK_MUST_USE enum rk_status session_id_parse(const char *text, struct session_id *ret);

/* What becomes of its keys when it ends. Values on disk. */
enum session_behavior { SESSION_RELEASE = 0, SESSION_DELETE = 1 };

struct session_record {
    enum session_behavior behavior;
    bool is_exact;          /* ends after one TTL, not two */
    uint64_t lock_delay_ns; /* 0 .. SESSION_LOCK_DELAY_NS_MAX */
    uint64_t ttl_ms;        /* 0: lives until it is destroyed */
    struct rk_bytes ttl;    /* as it was given */
    struct rk_bytes name;
    struct rk_bytes node; /* 1 .. RK_NODE_NAME_SIZE_MAX bytes */
    uint32_t checks_count;
    struct rk_bytes checks[SESSION_CHECKS_MAX];
};
#define SESSION_LOCK_DELAY_NS_MAX UINT64_C(60000000000)
#define SESSION_TTL_MS_MAX        UINT64_C(86400000)

/* Appends the encoding; asserts the limits above. */
void session_record_encode(const struct session_record *record, struct rk_buf *buf);
/* Texts are lent from `bytes`. Errors: RK_CORRUPT; *ret is then untouched. */
RK_MUST_USE enum rk_status session_record_decode(struct rk_bytes bytes, struct session_record *ret);

#endif
