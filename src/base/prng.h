/* prng.h -- a small seeded generator (xoshiro256**, seeded by splitmix64): same seed, same
 * numbers, on every machine. Not for secrets: identities come from rk_random_u64() in clock.h. */
#ifndef RK_BASE_PRNG_H
#define RK_BASE_PRNG_H

#include <stdint.h>

struct rk_prng {
    uint64_t state[4];
};

void rk_prng_seed(struct rk_prng *prng, uint64_t seed);
uint64_t rk_prng_next(struct rk_prng *prng);
/* Uniform in 0 .. bound - 1, without bias; bound > 0 (asserted). */
uint64_t rk_prng_below(struct rk_prng *prng, uint64_t bound);
/* True `per_mille` times in a thousand. */
int rk_prng_chance(struct rk_prng *prng, uint32_t per_mille);

#endif
