/* tape.h -- the decision tape: every choice of a simulated run is drawn here, and nowhere else.
 *
 * A tape comes from a seed, and then remembers what was drawn; or it holds what a run once drew, or
 * what is left of that after shrinking, and gives the same again. Choices are kept in lanes by what
 * they are about, each with numbers of its own, so that a fault taken out does not give every message
 * after it another delay.
 *
 * The simplest choice is 0: no fault, no delay, the first of a list. What lies behind the end of a
 * lane reads 0, so a shorter tape, or one with more zeros, is a simpler run.
 *
 * Integers only, and no order but that of the calls: the same on every compiler and machine.
 */
#ifndef RK_TESTS_SIM_TAPE_H
#define RK_TESTS_SIM_TAPE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/prng.h"

/* What a choice is about. In files by name: never rename. */
enum tape_lane {
    TAPE_KNOB,    /* what a run is like: nodes, rates, features */
    TAPE_FAULT,   /* what breaks, and when */
    TAPE_CLIENT,  /* who asks for what, where */
    TAPE_MEMBER,  /* changes of the configuration, transfers */
    TAPE_NETWORK, /* delay, loss, repetition of each message */
    TAPE_DISK,    /* how long a write takes, what a crash leaves of it */
    TAPE_CLOCK,   /* drift and jumps */
    TAPE_SEED,    /* seeds of the nodes' own generators */
    TAPE_LANES,
};

struct tape_track {
    bool is_replay;
    struct rk_prng prng;
    uint32_t *values;
    uint32_t count;    /* recorded, or to be replayed */
    uint32_t capacity; /* of values */
    uint32_t at;       /* read so far */
};

struct tape {
    struct tape_track tracks[TAPE_LANES];
};

/* Zeroed is a good beginning; tape_free() ends it. Any number of runs may be made with one tape. */
void tape_free(struct tape *tape);

/* Begins a run whose choices come from `seed`. */
void tape_record(struct tape *tape, uint64_t seed);

/* Begins a run that makes the choices that are on the tape. */
void tape_replay(struct tape *tape);

/* Begins a run of the same kind: it makes the choices of TAPE_KNOB that are on the tape, and all
 * others by `seed`. */
void tape_vary(struct tape *tape, uint64_t seed);

/* What the latest run did not read goes, zeros at the ends of lanes too. */
void tape_trim(struct tape *tape);

/* How many choices are not 0: the size of a story. */
uint32_t tape_weight(const struct tape *tape);

void tape_copy(struct tape *to, const struct tape *from);

/* ---- choices ---- */

/* Uniform in 0 .. bound - 1; 1 <= bound (asserted). */
uint32_t tape_draw(struct tape *tape, enum tape_lane lane, uint32_t bound);

/* True `per_million` times in a million. */
bool tape_chance(struct tape *tape, enum tape_lane lane, uint32_t per_million);

/* One of `count` things by their weights; when all are 0 the first. A replayed choice stands, also
 * when its weight has become 0. */
uint32_t tape_pick(struct tape *tape, enum tape_lane lane, const uint32_t *weights, uint32_t count);

/* min .. max, both included; min is the simplest. */
uint32_t tape_between(struct tape *tape, enum tape_lane lane, uint32_t min, uint32_t max);

/* min .. max, every doubling as likely as any other. */
uint32_t tape_log_between(struct tape *tape, enum tape_lane lane, uint32_t min, uint32_t max);

/* Around `mean`, exponentially spread (as a table would have it), 0 .. 16 * mean. */
uint32_t tape_around(struct tape *tape, enum tape_lane lane, uint32_t mean);

/* ---- files ---- */

/* Text: a line "LANE COUNT: VALUE VALUE ...", a lane each. False: the file could not be written. */
bool tape_save(const struct tape *tape, FILE *file);
/* False: not such a file. */
bool tape_load(struct tape *tape, FILE *file);

/* ---- shrinking (tape_shrink.c) ---- */

/* Makes a run with the tape, which tape_replay() has been called on. True: it still fails the way
 * that is being looked into. */
typedef bool tape_test(void *context, struct tape *tape);

/* Takes out and simplifies choices as long as the run still fails, for at most `cpu_seconds`.
 * `tape` fails at the beginning and at the end. Returns the number of runs made. */
uint32_t tape_shrink(struct tape *tape, tape_test *test, void *context, uint32_t cpu_seconds);

#endif
