/* raftkv-sim -- runs the simulator (docs/testing.md).
 *
 *   raftkv-sim                     what make check runs: the seeds that are kept, and some more
 *   raftkv-sim [--seed N] [--runs M] [--jobs J] [--seeds FILE]
 *   raftkv-sim --seed N --trace | --story | --hash
 *   raftkv-sim --seed N --shrink [--tape FILE] [--seconds S]
 *   raftkv-sim --tape FILE [--trace | --story | --shrink]
 *   raftkv-sim --level node ...    the simulator of whole nodes, node/raftkv-sim-node
 *
 * Exit status: 0 all held; 1 an oracle did not hold, or something never came to pass; 2 usage.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim/run.h"

struct arguments {
    uint64_t seed;
    uint64_t runs;
    uint64_t jobs;
    uint64_t seconds;
    const char *tape;
    const char *seeds;
    bool is_traced;
    bool is_told;
    bool is_hashed;
    bool is_shrunk;
};

enum { RUNS = 1000, WHOLE_RUNS_MIN = 1000, SHRINK_SECONDS = 290 };

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end = NULL;
    *ret = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool parse_value(struct arguments *arguments, const char *name, const char *value)
{
    if (strcmp(name, "--seed") == 0) {
        return parse_number(value, &arguments->seed);
    }
    if (strcmp(name, "--runs") == 0) {
        return parse_number(value, &arguments->runs);
    }
    if (strcmp(name, "--jobs") == 0) {
        return parse_number(value, &arguments->jobs);
    }
    if (strcmp(name, "--seconds") == 0) {
        return parse_number(value, &arguments->seconds);
    }
    if (strcmp(name, "--tape") == 0) {
        arguments->tape = value;
        return true;
    }
    arguments->seeds = value;
    return strcmp(name, "--seeds") == 0;
}

static bool parse_flag(struct arguments *arguments, const char *name)
{
    bool *const flags[] = {&arguments->is_traced, &arguments->is_told, &arguments->is_hashed,
                           &arguments->is_shrunk};
    static const char *const names[] = {"--trace", "--story", "--hash", "--shrink"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            *flags[i] = true;
            return true;
        }
    }
    return false;
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        if (parse_flag(arguments, argv[i])) {
            continue;
        }
        if (i + 1 == argc || !parse_value(arguments, argv[i], argv[i + 1])) {
            return false;
        }
        i++;
    }
    return true;
}

/* ---- what is asked for ---- */

static bool run_one(const struct arguments *arguments)
{
    FILE *file = NULL;
    if (arguments->tape != NULL && !arguments->is_shrunk) {
        file = fopen(arguments->tape, "r");
        if (file == NULL) {
            perror(arguments->tape);
            return false;
        }
    }
    const bool held =
        arguments->is_shrunk
            ? sim_run_shrunk(arguments->seed, file, arguments->tape, (uint32_t)arguments->seconds)
            : sim_run_told(arguments->seed, file, arguments->is_traced, arguments->is_hashed);
    if (file != NULL) {
        (void)fclose(file);
    }
    return held;
}

/* Seeds that once failed, or that are rare: a line each, the number first. */
static bool run_listed(const char *path, struct sim_counts *counts)
{
    char line[512];
    bool held = true;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return false;
    }
    while (held && fgets(line, sizeof line, file) != NULL) {
        if (line[0] >= '0' && line[0] <= '9') {
            held = sim_run_seed(strtoull(line, NULL, 10), counts);
        }
    }
    (void)fclose(file);
    return held;
}

static void print_speed(const struct sim_counts *counts, clock_t began, uint64_t jobs)
{
    const double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    const double hours = (double)counts->virtual_ms / 3.6e6;
    if (jobs <= 1 && seconds > 0) {
        (void)printf("%.1f virtual hours in %.1f CPU seconds: %.0f hours, %.0f seeds, %.0f "
                     "schedules a CPU minute\n",
                     hours, seconds, 60 * hours / seconds, 60 * (double)counts->runs / seconds,
                     60 * (double)counts->runs_with_faults / seconds);
    }
}

static bool run_many(const struct arguments *arguments)
{
    struct sim_counts counts = {0};
    const clock_t began = clock();
    if (arguments->seeds != NULL && !run_listed(arguments->seeds, &counts)) {
        return false;
    }
    if (!sim_run_seeds(arguments->seed, arguments->runs, (uint32_t)arguments->jobs, &counts)) {
        return false;
    }
    (void)printf("%" PRIu64 " seeds from %" PRIu64 "\n", arguments->runs, arguments->seed);
    sim_counts_print(&counts);
    print_speed(&counts, began, arguments->jobs);
    if (counts.runs >= WHOLE_RUNS_MIN && !sim_counts_are_whole(&counts)) {
        (void)fputs("something never came to pass: the runs prove nothing about it\n", stderr);
        return false;
    }
    return true;
}

/* As `make check` runs it: first what is kept. */
static const char *kept_seeds(void)
{
    static char path[4096];
    const char *top = getenv("srcdir");
    (void)snprintf(path, sizeof path, "%s/tests/sim/seeds.txt", top == NULL ? "." : top);
    return path;
}

/* Whole nodes are a program of their own, beside this one: what they stand on is replaced when it is
 * linked. */
static int run_nodes(char **argv)
{
    char path[4096];
    const char *slash = strrchr(argv[0], '/');
    const int size = slash == NULL ? 0 : (int)(slash - argv[0] + 1);
    (void)snprintf(path, sizeof path, "%.*snode/raftkv-sim-node", size, argv[0]);
    argv[2] = path;
    (void)execv(path, argv + 2);
    perror(path);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "--level") == 0 && strcmp(argv[2], "node") == 0) {
        return run_nodes(argv);
    }
    struct arguments arguments = {.seed = 1, .runs = RUNS, .jobs = 1, .seconds = SHRINK_SECONDS};
    if (argc == 1) {
        arguments.seeds = kept_seeds();
    }
    if (!parse(argc, argv, &arguments)) {
        (void)fputs("usage: raftkv-sim [--seed N] [--runs M] [--jobs J] [--seeds FILE]\n"
                    "       raftkv-sim --seed N | --tape FILE  --trace | --story | --hash\n"
                    "       raftkv-sim --seed N --shrink [--tape FILE] [--seconds S]\n",
                    stderr);
        return 2;
    }
    const bool is_one = arguments.is_traced || arguments.is_told || arguments.is_hashed ||
                        arguments.is_shrunk || arguments.tape != NULL;
    return (is_one ? run_one(&arguments) : run_many(&arguments)) ? 0 : 1;
}
