#include "base/prng.h"

#include "base/assert.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15U;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
    return mixed ^ (mixed >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void rk_prng_seed(struct rk_prng *prng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        prng->state[i] = splitmix64(&seed);
    }
}

uint64_t rk_prng_next(struct rk_prng *prng)
{
    uint64_t *state = prng->state;
    const uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    const uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t rk_prng_below(struct rk_prng *prng, uint64_t bound)
{
    RK_ASSERT(bound > 0);
    /* 2^64 mod bound: the lowest numbers, refused so that the rest divides evenly. */
    const uint64_t refused = (0 - bound) % bound;
    uint64_t value = rk_prng_next(prng);
    while (value < refused) {
        value = rk_prng_next(prng);
    }
    return value % bound;
}

int rk_prng_chance(struct rk_prng *prng, uint32_t per_mille)
{
    RK_ASSERT(per_mille <= 1000);
    return rk_prng_below(prng, 1000) < per_mille;
}
