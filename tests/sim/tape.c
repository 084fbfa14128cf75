#include "sim/tape.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"

enum { TAPE_VALUES_MAX = 1 << 26 };

static const char *const lane_names[TAPE_LANES] = {
    [TAPE_KNOB] = "knob",     [TAPE_FAULT] = "fault",     [TAPE_CLIENT] = "client",
    [TAPE_MEMBER] = "member", [TAPE_NETWORK] = "network", [TAPE_DISK] = "disk",
    [TAPE_CLOCK] = "clock",   [TAPE_SEED] = "seed",
};

void tape_free(struct tape *tape)
{
    for (int lane = 0; lane < TAPE_LANES; lane++) {
        rk_heap_free(tape->tracks[lane].values);
    }
    *tape = (struct tape){0};
}

void tape_record(struct tape *tape, uint64_t seed)
{
    for (uint64_t lane = 0; lane < TAPE_LANES; lane++) {
        struct tape_track *track = &tape->tracks[lane];
        rk_prng_seed(&track->prng, seed * 64 + lane); /* lanes do not share numbers */
        track->is_replay = false;
        track->count = 0;
        track->at = 0;
    }
}

void tape_replay(struct tape *tape)
{
    for (int lane = 0; lane < TAPE_LANES; lane++) {
        tape->tracks[lane].is_replay = true;
        tape->tracks[lane].at = 0;
    }
}

void tape_vary(struct tape *tape, uint64_t seed)
{
    const struct tape_track knobs = tape->tracks[TAPE_KNOB];
    tape_record(tape, seed);
    tape->tracks[TAPE_KNOB] = knobs;
    tape->tracks[TAPE_KNOB].is_replay = true;
    tape->tracks[TAPE_KNOB].at = 0;
}

void tape_trim(struct tape *tape)
{
    for (int lane = 0; lane < TAPE_LANES; lane++) {
        struct tape_track *track = &tape->tracks[lane];
        if (track->count > track->at) {
            track->count = track->at;
        }
        while (track->count > 0 && track->values[track->count - 1] == 0) {
            track->count--;
        }
    }
}

uint32_t tape_weight(const struct tape *tape)
{
    uint32_t weight = 0;
    for (int lane = 0; lane < TAPE_LANES; lane++) {
        const struct tape_track *track = &tape->tracks[lane];
        for (uint32_t i = 0; i < track->count; i++) {
            weight += track->values[i] != 0;
        }
    }
    return weight;
}

static void track_reserve(struct tape_track *track, uint32_t count)
{
    RK_ASSERT(count <= TAPE_VALUES_MAX);
    if (count <= track->capacity) {
        return;
    }
    while (track->capacity < count) {
        track->capacity = track->capacity == 0 ? 1024 : track->capacity * 2;
    }
    track->values = rk_heap_realloc(track->values, track->capacity * sizeof(track->values[0]));
}

static void track_push(struct tape_track *track, uint32_t value)
{
    track_reserve(track, track->count + 1);
    track->values[track->count] = value;
    track->count++;
}

void tape_copy(struct tape *to, const struct tape *from)
{
    for (int lane = 0; lane < TAPE_LANES; lane++) {
        const struct tape_track *source = &from->tracks[lane];
        struct tape_track *track = &to->tracks[lane];
        track_reserve(track, source->count);
        if (source->count > 0) {
            memcpy(track->values, source->values, source->count * sizeof(source->values[0]));
        }
        track->count = source->count;
        track->at = source->at;
        track->is_replay = source->is_replay;
    }
}

/* ---- choices ---- */

static uint32_t replayed(struct tape_track *track, uint32_t max)
{
    const uint32_t value = track->at < track->count ? track->values[track->at] : 0;
    track->at++;
    return value < max ? value : max;
}

/* The high half of a number, scaled: the bias, below 2^-32 a value, is the same everywhere. */
static uint32_t fresh(struct tape_track *track, uint32_t bound)
{
    return (uint32_t)(((rk_prng_next(&track->prng) >> 32) * bound) >> 32);
}

static uint32_t keep(struct tape_track *track, uint32_t value)
{
    track_push(track, value);
    track->at++;
    return value;
}

uint32_t tape_draw(struct tape *tape, enum tape_lane lane, uint32_t bound)
{
    struct tape_track *track = &tape->tracks[lane];
    RK_ASSERT(bound > 0);
    return track->is_replay ? replayed(track, bound - 1) : keep(track, fresh(track, bound));
}

bool tape_chance(struct tape *tape, enum tape_lane lane, uint32_t per_million)
{
    struct tape_track *track = &tape->tracks[lane];
    if (track->is_replay) {
        return replayed(track, 1) != 0;
    }
    return keep(track, fresh(track, 1000000) < per_million) != 0;
}

uint32_t tape_pick(struct tape *tape, enum tape_lane lane, const uint32_t *weights, uint32_t count)
{
    struct tape_track *track = &tape->tracks[lane];
    uint32_t sum = 0;
    RK_ASSERT(count > 0);
    if (track->is_replay) {
        return replayed(track, count - 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        sum += weights[i];
    }
    uint32_t left = fresh(track, sum == 0 ? 1 : sum);
    uint32_t picked = 0;
    while (picked + 1 < count && left >= weights[picked] && sum > 0) {
        left -= weights[picked];
        picked++;
    }
    return keep(track, picked);
}

uint32_t tape_between(struct tape *tape, enum tape_lane lane, uint32_t min, uint32_t max)
{
    RK_ASSERT(min <= max);
    return min + tape_draw(tape, lane, max - min + 1);
}

uint32_t tape_log_between(struct tape *tape, enum tape_lane lane, uint32_t min, uint32_t max)
{
    RK_ASSERT(min > 0);
    RK_ASSERT(min <= max);
    uint32_t doublings = 0;
    while (max >> (doublings + 1) >= min) {
        doublings++;
    }
    const uint32_t low = min << tape_draw(tape, lane, doublings + 1);
    return tape_between(tape, lane, low, low < max - low ? 2 * low - 1 : max);
}

/* The number of leading zeros of a random word is an exponential in steps of a halving; what
 * follows them places it within the step. The recorded choice is the result. */
uint32_t tape_around(struct tape *tape, enum tape_lane lane, uint32_t mean)
{
    struct tape_track *track = &tape->tracks[lane];
    RK_ASSERT(mean <= UINT32_MAX / 16);
    if (track->is_replay) {
        return replayed(track, 16 * mean);
    }
    const uint32_t word = (uint32_t)(rk_prng_next(&track->prng) >> 32) | 1U << 10;
    const uint32_t zeros = (uint32_t)__builtin_clz(word);
    const uint32_t below = (word << zeros << 1) >> 16; /* the next sixteen bits */
    const uint64_t halvings = ((uint64_t)zeros << 16) + (65535 - below);
    return keep(track, (uint32_t)((halvings * mean * 45426) >> 32)); /* ln 2 = 45426 / 65536 */
}

/* ---- files ---- */

bool tape_save(const struct tape *tape, FILE *file)
{
    for (int lane = 0; lane < TAPE_LANES; lane++) {
        const struct tape_track *track = &tape->tracks[lane];
        (void)fprintf(file, "%s %" PRIu32 ":", lane_names[lane], track->count);
        for (uint32_t i = 0; i < track->count; i++) {
            (void)fprintf(file, " %" PRIu32, track->values[i]);
        }
        (void)fputc('\n', file);
    }
    return ferror(file) == 0;
}

static bool load_track(struct tape_track *track, const char *name, FILE *file)
{
    char found[16];
    uint32_t count = 0;
    if (fscanf(file, "%15s %" SCNu32 ":", found, &count) != 2 || strcmp(found, name) != 0 ||
        count > TAPE_VALUES_MAX) {
        return false;
    }
    track->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t value = 0;
        if (fscanf(file, "%" SCNu32, &value) != 1) {
            return false;
        }
        track_push(track, value);
    }
    return true;
}

bool tape_load(struct tape *tape, FILE *file)
{
    for (int lane = 0; lane < TAPE_LANES; lane++) {
        if (!load_track(&tape->tracks[lane], lane_names[lane], file)) {
            return false;
        }
    }
    tape_replay(tape);
    return true;
}
