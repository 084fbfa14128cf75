/* Shrinking in the manner of Hypothesis: blocks of choices are taken out or set to 0, large blocks
 * first, then single choices are lowered; whatever still fails is kept. */
#include <string.h>
#include <time.h>

#include "sim/tape.h"

struct shrink {
    struct tape *best;
    struct tape trial;
    tape_test *test;
    void *context;
    clock_t until;
    uint32_t runs;
    bool has_gained; /* in this round */
};

static bool is_late(const struct shrink *shrink)
{
    return clock() >= shrink->until;
}

/* Runs the trial; when it still fails it is the best from now on. */
static bool attempt(struct shrink *shrink)
{
    tape_replay(&shrink->trial);
    shrink->runs++;
    if (!shrink->test(shrink->context, &shrink->trial)) {
        return false;
    }
    tape_trim(&shrink->trial);
    tape_copy(shrink->best, &shrink->trial);
    shrink->has_gained = true;
    return true;
}

static bool is_zero(const struct tape_track *track, uint32_t at, uint32_t count)
{
    for (uint32_t i = at; i < at + count; i++) {
        if (track->values[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool zero_block(struct shrink *shrink, int lane, uint32_t at, uint32_t count)
{
    if (is_zero(&shrink->best->tracks[lane], at, count)) {
        return false;
    }
    tape_copy(&shrink->trial, shrink->best);
    memset(&shrink->trial.tracks[lane].values[at], 0, count * sizeof(uint32_t));
    return attempt(shrink);
}

static bool delete_block(struct shrink *shrink, int lane, uint32_t at, uint32_t count)
{
    tape_copy(&shrink->trial, shrink->best);
    struct tape_track *track = &shrink->trial.tracks[lane];
    memmove(&track->values[at], &track->values[at + count],
            (track->count - at - count) * sizeof(uint32_t));
    track->count -= count;
    return attempt(shrink);
}

/* The last blocks first: what comes after them is read the same however they end. */
static void pass_blocks(struct shrink *shrink, int lane, uint32_t size)
{
    uint32_t end = shrink->best->tracks[lane].count;
    while (end > 0 && !is_late(shrink)) {
        const uint32_t count = size < end ? size : end;
        end -= count;
        if (end + count > shrink->best->tracks[lane].count) {
            continue; /* the run has become shorter */
        }
        if (!zero_block(shrink, lane, end, count)) {
            (void)delete_block(shrink, lane, end, count);
        }
    }
}

static void lower(struct shrink *shrink, int lane, uint32_t at, uint32_t value)
{
    tape_copy(&shrink->trial, shrink->best);
    shrink->trial.tracks[lane].values[at] = value;
    (void)attempt(shrink);
}

static uint32_t value_at(const struct shrink *shrink, int lane, uint32_t at)
{
    const struct tape_track *track = &shrink->best->tracks[lane];
    return at < track->count ? track->values[at] : 0;
}

/* By halves as long as that goes, and then by one. */
static void pass_values(struct shrink *shrink, int lane)
{
    for (uint32_t at = 0; at < shrink->best->tracks[lane].count; at++) {
        uint32_t before = 0;
        uint32_t value = value_at(shrink, lane, at);
        while (value > 1 && value != before && !is_late(shrink)) {
            before = value;
            lower(shrink, lane, at, value / 2);
            value = value_at(shrink, lane, at);
        }
        if (value > 1 && !is_late(shrink)) {
            lower(shrink, lane, at, value - 1);
        }
    }
}

static void shrink_round(struct shrink *shrink)
{
    for (int lane = 0; lane < TAPE_LANES; lane++) {
        for (uint32_t size = shrink->best->tracks[lane].count; size > 0 && !is_late(shrink);
             size /= 2) {
            pass_blocks(shrink, lane, size);
        }
    }
    for (int lane = 0; lane < TAPE_LANES && !is_late(shrink); lane++) {
        pass_values(shrink, lane);
    }
}

uint32_t tape_shrink(struct tape *tape, tape_test *test, void *context, uint32_t cpu_seconds)
{
    struct shrink shrink = {
        .best = tape,
        .test = test,
        .context = context,
        .until = clock() + (clock_t)cpu_seconds * CLOCKS_PER_SEC,
        .has_gained = true,
    };
    tape_trim(tape);
    while (shrink.has_gained && !is_late(&shrink)) {
        shrink.has_gained = false;
        shrink_round(&shrink);
    }
    tape_free(&shrink.trial);
    return shrink.runs;
}
