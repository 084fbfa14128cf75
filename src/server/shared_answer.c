#include "server/shared_answer.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "server/http_answer.h"

void shared_answer_init(struct shared_answer *shared)
{
    *shared = (struct shared_answer){.answer = NULL};
    rk_buf_init(&shared->identity, 2 * RK_TARGET_SIZE_MAX);
}

void shared_answer_done(struct shared_answer *shared)
{
    http_answer_drop(shared->answer);
    rk_buf_done(&shared->identity);
}

struct http_answer *shared_answer_find(const struct shared_answer *shared, struct rk_bytes identity,
                                       uint64_t version, uint64_t now_ms)
{
    const bool is_it = shared->answer != NULL && shared->version == version &&
                       now_ms - shared->made_ms <= SHARED_ANSWER_AGE_MS &&
                       shared->identity.size == identity.size &&
                       memcmp(shared->identity.data, identity.data, identity.size) == 0;

    return is_it ? http_answer_hold(shared->answer) : NULL;
}

void shared_answer_keep(struct shared_answer *shared, struct rk_bytes identity, uint64_t version,
                        uint64_t now_ms, struct http_answer *answer)
{
    http_answer_drop(shared->answer);
    shared->answer = http_answer_hold(answer);
    shared->version = version;
    shared->made_ms = now_ms;
    rk_buf_reset(&shared->identity);
    rk_buf_append(&shared->identity, identity.data, identity.size);
    RK_ASSERT(rk_buf_status(&shared->identity) == RK_OK);
}
