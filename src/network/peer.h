/* peer.h -- when to try a peer again: back-off with jitter, and health.
 *
 * Pure bookkeeping without I/O: the node asks before it sends and tells what came of it.
 * Thread: the owner's.
 */
#ifndef RK_NETWORK_PEER_H
#define RK_NETWORK_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

struct peer_health {
    uint32_t failures;        /* in a row; 0: the last try succeeded */
    uint64_t retry_at_ms;     /* not before; 0: at once */
    uint64_t last_success_ms; /* 0: never */
    uint64_t last_failure_ms;
    bool is_reported_down; /* the log has said so; cleared by a success */
};

void peer_health_init(struct peer_health *health);
/* May a message of that kind be tried now? Votes and heartbeats always: they are rare and small,
 * and a back-off that outlasts an election timeout would cost an election. */
bool peer_health_may_send_bulk(const struct peer_health *health, uint64_t now_ms);
void peer_health_success(struct peer_health *health, uint64_t now_ms);
/* Back-off doubles from `base_ms` to `max_ms`, each drawn from its upper half. */
void peer_health_failure(struct peer_health *health, uint64_t now_ms, uint32_t base_ms,
                         uint32_t max_ms, struct rk_prng *prng);

#endif
