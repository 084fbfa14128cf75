/* raftkv-sim-node -- runs the simulator of whole nodes.
 *
 *   raftkv-sim-node [--seed N] [--runs M] [--trace] [--messages] [--hash]     seeds N .. N + M - 1
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/node/nodesim.h"

enum { RUNS_DEFAULT = 200, NOT_VACUOUS_RUNS = 1000 };

struct arguments {
    uint64_t seed;
    uint64_t runs;
    bool is_traced;
    bool is_hashed;
    bool has_messages;
};

static bool parse(int argc, char **argv, struct arguments *ret)
{
    for (int i = 1; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0) {
            ret->is_traced = true;
        } else if (strcmp(argv[i], "--messages") == 0) {
            ret->is_traced = true;
            ret->has_messages = true;
        } else if (strcmp(argv[i], "--hash") == 0) {
            ret->is_hashed = true;
        } else if (has_value && strcmp(argv[i], "--seed") == 0) {
            ret->seed = strtoull(argv[++i], NULL, 10);
        } else if (has_value && strcmp(argv[i], "--runs") == 0) {
            ret->runs = strtoull(argv[++i], NULL, 10);
        } else {
            return false;
        }
    }
    return true;
}

/* The table of what came to pass. Returns how many rows are zero. */
static uint32_t print_counts(const struct nodesim_counts *counts)
{
    uint32_t zeros = 0;

#define NODESIM_PRINT(name)                                     \
    (void)printf("%-24s %12" PRIu64 "\n", #name, counts->name); \
    zeros += counts->name == 0;
    NODESIM_COUNTS(NODESIM_PRINT)
#undef NODESIM_PRINT
    (void)printf("%-24s %12.2f\n", "virtual hours", (double)counts->virtual_ms / 3.6e6);
    (void)printf("%-24s %12" PRIu64 "\n", "formations stuck", counts->formations_stuck);
    (void)printf("%-24s %12" PRIu64 "\n", "runs of 200 operations", counts->schedules_of_200);
    return zeros;
}

static void run_seed(const struct arguments *arguments, uint64_t seed,
                     struct nodesim_counts *counts)
{
    const struct nodesim_options options = {
        .seed = seed,
        .trace = arguments->is_traced ? stdout : NULL,
        .is_hashed = arguments->is_hashed,
        .has_messages = arguments->has_messages,
    };
    const uint64_t story = nodesim_run(&options, counts);

    if (arguments->is_hashed) {
        (void)printf("%" PRIu64 " %016" PRIx64 "\n", seed, story);
    }
}

/* What once failed, or is rare: a line each, the number first. False: there is no such file. */
static bool run_kept(const struct arguments *arguments, struct nodesim_counts *counts)
{
    char line[512];
    const char *top = getenv("srcdir");
    (void)snprintf(line, sizeof(line), "%s/tests/sim/node/seeds.txt", top == NULL ? "." : top);
    FILE *file = fopen(line, "r");

    if (file == NULL) {
        perror(line);
        return false;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (line[0] >= '0' && line[0] <= '9') {
            run_seed(arguments, strtoull(line, NULL, 10), counts);
        }
    }
    (void)fclose(file);
    return true;
}

static void print_speed(const struct nodesim_counts *counts, clock_t began)
{
    const double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    const double hours = (double)counts->virtual_ms / 3.6e6;

    if (seconds > 0) {
        (void)printf(
            "%.2f virtual hours in %.1f CPU seconds; a CPU minute: %.0f hours, %.0f runs of "
            "200 operations and more\n",
            hours, seconds, 60 * hours / seconds, 60 * (double)counts->schedules_of_200 / seconds);
    }
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.seed = 1, .runs = RUNS_DEFAULT};
    struct nodesim_counts counts = {0};
    const clock_t began = clock();

    if (!parse(argc, argv, &arguments)) {
        (void)fputs(
            "usage: raftkv-sim-node [--seed N] [--runs M] [--trace] [--messages] [--hash]\n",
            stderr);
        return 2;
    }
    /* Nodes are large, and die often: their memory is kept for the next. */
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
    if (argc == 1 && !run_kept(&arguments, &counts)) {
        return 1;
    }
    for (uint64_t i = 0; i < arguments.runs; i++) {
        run_seed(&arguments, arguments.seed + i, &counts);
    }
    (void)printf("node: %" PRIu64 " seeds from %" PRIu64 "\n", arguments.runs, arguments.seed);
    const uint32_t zeros = print_counts(&counts);
    print_speed(&counts, began);
    if (zeros > 0 && arguments.runs >= NOT_VACUOUS_RUNS) {
        (void)fputs("something never came to pass: the runs prove nothing\n", stderr);
        return 1;
    }
    return 0;
}
