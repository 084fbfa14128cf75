#include "sim/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/sim.h"

static struct tape tape; /* of this process */

static void print_failure(uint64_t seed)
{
    const struct sim_failure *failure = &sim_world()->failure;
    const char *commit = getenv("RAFTKV_COMMIT"); /* make check-sim knows it */
    (void)fprintf(stderr,
                  "commit %s seed %" PRIu64 " at %" PRIu64 ".%06" PRIu64 " s node %" PRIu64
                  " %s: %s\n",
                  commit == NULL ? "unknown" : commit, seed, failure->at_us / 1000000,
                  failure->at_us % 1000000, failure->node, failure->oracle, failure->text);
}

/* ---- one seed ---- */

static bool run_again(uint64_t seed, struct sim_counts *counts)
{
    struct sim *sim = sim_world();
    struct sim_counts ignored = {0};
    const uint64_t hash = sim->trace_hash;
    tape_record(&tape, seed);
    if (!sim_world_run(sim, &tape, &ignored, NULL, false) || sim->trace_hash != hash) {
        (void)snprintf(sim->failure.text, sizeof sim->failure.text,
                       "a second run of the seed goes another way");
        sim->failure.oracle = "O17";
        return false;
    }
    counts->run_twice++;
    return true;
}

bool sim_run_seed(uint64_t seed, struct sim_counts *counts)
{
    tape_record(&tape, seed);
    if (!sim_world_run(sim_world(), &tape, counts, NULL, false) ||
        (seed % 100 == 0 && !run_again(seed, counts))) {
        print_failure(seed);
        return false;
    }
    return true;
}

static bool begin(uint64_t seed, FILE *file)
{
    if (file == NULL) {
        tape_record(&tape, seed);
        return true;
    }
    if (!tape_load(&tape, file)) {
        (void)fputs("not a tape\n", stderr);
        return false;
    }
    return true;
}

bool sim_run_told(uint64_t seed, FILE *file, bool is_full, bool is_hashed)
{
    struct sim_counts counts = {0};
    if (!begin(seed, file)) {
        return false;
    }
    const bool held =
        sim_world_run(sim_world(), &tape, &counts, is_hashed ? NULL : stdout, is_full);
    if (is_hashed) {
        (void)printf("%" PRIu64 " %016" PRIx64 "\n", seed, sim_world()->trace_hash);
    }
    (void)fflush(stdout);
    if (!held) {
        print_failure(seed);
    }
    return held;
}

/* ---- shrinking ---- */

struct wanted {
    char oracle[16];
    uint32_t lines; /* of the shortest story so far */
};

/* Fails the same way, by the same oracle, in a story that is no longer. */
static bool fails_alike(void *context, struct tape *trial)
{
    struct wanted *wanted = context;
    struct sim *sim = sim_world();
    struct sim_counts counts = {0};
    if (sim_world_run(sim, trial, &counts, NULL, false) ||
        strcmp(sim->failure.oracle, wanted->oracle) != 0 || sim->lines > wanted->lines) {
        return false;
    }
    wanted->lines = sim->lines;
    return true;
}

/* One of the knobs, or two, are made simpler, or none. */
static void simplify(struct tape *trial, struct rk_prng *prng)
{
    struct tape_track *track = &trial->tracks[TAPE_KNOB];
    for (uint64_t times = rk_prng_below(prng, 3); times > 0 && track->count > 0; times--) {
        uint32_t *value = &track->values[rk_prng_below(prng, track->count)];
        *value = rk_prng_below(prng, 2) == 0 ? 0 : (uint32_t)rk_prng_below(prng, *value + 1);
    }
}

/* Other runs of the same kind, or of a simpler one, that fail alike and sooner. */
static uint32_t vary(struct wanted *wanted, clock_t until)
{
    struct tape trial = {0};
    struct rk_prng prng;
    uint32_t runs = 0;
    rk_prng_seed(&prng, 1);
    for (; clock() < until; runs++) {
        struct sim *sim = sim_world();
        const uint32_t lines = wanted->lines;
        tape_copy(&trial, &tape);
        simplify(&trial, &prng);
        tape_vary(&trial, runs);
        if (fails_alike(wanted, &trial) && wanted->lines < lines) {
            tape_copy(&tape, &trial);
            sim->turns_max = 2 * sim->turns + 1000;
        }
    }
    tape_free(&trial);
    return runs;
}

bool sim_run_shrunk(uint64_t seed, FILE *file, const char *path, uint32_t cpu_seconds)
{
    struct sim *sim = sim_world();
    struct sim_counts counts = {0};
    struct wanted wanted = {0};
    if (!begin(seed, file)) {
        return false;
    }
    if (sim_world_run(sim, &tape, &counts, NULL, false)) {
        (void)printf("seed %" PRIu64 " does not fail\n", seed);
        return true;
    }
    print_failure(seed);
    (void)snprintf(wanted.oracle, sizeof wanted.oracle, "%s", sim->failure.oracle);
    wanted.lines = sim->lines;
    const uint32_t before = sim->lines;
    sim->turns_max = 2 * sim->turns + 1000; /* else a small tape may go on for ever */
    uint32_t runs = vary(&wanted, clock() + (clock_t)cpu_seconds / 2 * CLOCKS_PER_SEC);
    runs += tape_shrink(&tape, fails_alike, &wanted, cpu_seconds / 2);
    (void)printf("shrunk from %" PRIu32 " lines to %" PRIu32 " by %" PRIu32 " runs\n", before,
                 wanted.lines, runs);
    FILE *saved = path == NULL ? NULL : fopen(path, "w");
    if (saved != NULL) {
        (void)tape_save(&tape, saved);
        (void)fclose(saved);
    }
    tape_replay(&tape);
    (void)sim_world_run(sim, &tape, &counts, stdout, false);
    (void)fflush(stdout);
    sim->turns_max = SIM_TURNS_MAX;
    return false;
}

/* ---- many seeds ---- */

static bool run_share(uint64_t first, uint64_t count, uint32_t step, struct sim_counts *counts)
{
    for (uint64_t i = 0; i < count; i += step) {
        if (!sim_run_seed(first + i, counts)) {
            return false;
        }
    }
    return true;
}

/* The child's counts come back through the pipe; nothing comes from one that failed. */
static int start_job(uint64_t first, uint64_t count, uint32_t step)
{
    int ends[2];
    if (pipe(ends) != 0) {
        abort();
    }
    const pid_t child = fork();
    if (child == 0) {
        struct sim_counts counts = {0};
        (void)close(ends[0]);
        const bool held = run_share(first, count, step, &counts);
        if (held && write(ends[1], &counts, sizeof counts) != (ssize_t)sizeof counts) {
            _exit(2);
        }
        _exit(held ? 0 : 1);
    }
    (void)close(ends[1]);
    return ends[0];
}

bool sim_run_seeds(uint64_t first, uint64_t count, uint32_t jobs, struct sim_counts *counts)
{
    enum { JOBS_MAX = 64 };
    int ends[JOBS_MAX];
    bool held = true;
    if (jobs <= 1) {
        return run_share(first, count, 1, counts);
    }
    jobs = jobs > JOBS_MAX ? JOBS_MAX : jobs;
    for (uint32_t i = 0; i < jobs; i++) {
        ends[i] = start_job(first + i, count > i ? count - i : 0, jobs);
    }
    for (uint32_t i = 0; i < jobs; i++) {
        struct sim_counts share;
        const bool is_whole = read(ends[i], &share, sizeof share) == (ssize_t)sizeof share;
        if (is_whole) {
            sim_counts_add(counts, &share);
        }
        held = held && is_whole;
        (void)close(ends[i]);
    }
    while (wait(NULL) > 0) {
    }
    return held;
}
