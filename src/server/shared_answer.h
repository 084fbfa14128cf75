/* shared_answer.h -- one rendered answer for all who waited for the same thing.
 *
 * When a watched key changes, a crowd asks for the same bytes. The last answer is kept and given
 * again while it is the one that would be made: same question, same version of the state, and so
 * fresh that what it says of the last contact with the leader is true still. A crowd is answered
 * one after the other, so one answer is enough.
 *
 * Thread: the loop's; each loop has its own.
 */
#ifndef RK_SERVER_SHARED_ANSWER_H
#define RK_SERVER_SHARED_ANSWER_H

#include <stdint.h>

#include "base/buf.h"

struct http_answer;

enum {
    SHARED_ANSWER_SIZE_MAX = 1 << 20, /* a larger listing is streamed to each: see gateway.c */
    SHARED_ANSWER_AGE_MS = 10,
};

struct shared_answer {
    struct http_answer *answer; /* NULL: none yet */
    struct rk_buf identity;     /* of the question */
    uint64_t version;           /* of the root */
    uint64_t made_ms;
};

void shared_answer_init(struct shared_answer *shared);
void shared_answer_done(struct shared_answer *shared);

/* The answer to give again, with a hold for the caller; NULL: a new one must be made. */
struct http_answer *shared_answer_find(const struct shared_answer *shared, struct rk_bytes identity,
                                       uint64_t version, uint64_t now_ms);

/* Keeps `answer`, with a hold of its own, in the place of the last one. */
void shared_answer_keep(struct shared_answer *shared, struct rk_bytes identity, uint64_t version,
                        uint64_t now_ms, struct http_answer *answer);

#endif
