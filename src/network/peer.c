#include "network/peer.h"

#include "base/assert.h"

void peer_health_init(struct peer_health *health)
{
    *health = (struct peer_health){.failures = 0};
}

bool peer_health_may_send_bulk(const struct peer_health *health, uint64_t now_ms)
{
    return now_ms >= health->retry_at_ms;
}

void peer_health_success(struct peer_health *health, uint64_t now_ms)
{
    health->failures = 0;
    health->retry_at_ms = 0;
    health->last_success_ms = now_ms;
    health->is_reported_down = false;
}

static uint32_t ceiling_ms(uint32_t failures, uint32_t base_ms, uint32_t max_ms)
{
    uint64_t ceiling = base_ms;

    for (uint32_t i = 1; i < failures && ceiling < max_ms; i++) {
        ceiling *= 2;
    }
    return ceiling < max_ms ? (uint32_t)ceiling : max_ms;
}

void peer_health_failure(struct peer_health *health, uint64_t now_ms, uint32_t base_ms,
                         uint32_t max_ms, struct rk_prng *prng)
{
    RK_ASSERT(base_ms > 0 && base_ms <= max_ms);
    if (health->failures < UINT32_MAX) {
        health->failures++;
    }
    const uint32_t ceiling = ceiling_ms(health->failures, base_ms, max_ms);
    const uint32_t half = ceiling / 2;
    health->retry_at_ms = now_ms + ceiling - half + rk_prng_below(prng, (uint64_t)half + 1);
    health->last_failure_ms = now_ms;
}
