/* raftkv-sim -- runs the simulator.
 *
 *   raftkv-sim [--seed N] [--runs M] [--trace]     seeds N .. N + M - 1; default 1, 400
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

static bool parse(int argc, char **argv, uint64_t *seed, uint64_t *runs, bool *is_traced)
{
    for (int i = 1; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0) {
            *is_traced = true;
        } else if (has_value && strcmp(argv[i], "--seed") == 0) {
            *seed = strtoull(argv[++i], NULL, 10);
        } else if (has_value && strcmp(argv[i], "--runs") == 0) {
            *runs = strtoull(argv[++i], NULL, 10);
        } else {
            return false;
        }
    }
    return true;
}

static void print_counts(const struct sim_counts *counts)
{
    (void)printf("steps %" PRIu64 ", elections %" PRIu64 ", commits %" PRIu64
                 ", truncations %" PRIu64 ", crashes %" PRIu64 ", reads %" PRIu64
                 ", transfers %" PRIu64 ", configurations %" PRIu64 ", virtual hours %.2f\n",
                 counts->steps, counts->elections, counts->commits, counts->truncations,
                 counts->crashes, counts->reads, counts->transfers, counts->configs,
                 (double)counts->virtual_ms / 3.6e6);
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    uint64_t runs = 400;
    bool is_traced = false;
    struct sim_counts counts = {0};

    if (!parse(argc, argv, &seed, &runs, &is_traced)) {
        (void)fputs("usage: raftkv-sim [--seed N] [--runs M] [--trace]\n", stderr);
        return 2;
    }
    for (uint64_t i = 0; i < runs; i++) {
        (void)fprintf(stderr, "\rseed %" PRIu64 " ", seed + i); /* an abort leaves it standing */
        sim_run(seed + i, &counts, is_traced ? stdout : NULL);
    }
    (void)fprintf(stderr, "\r%" PRIu64 " seeds from %" PRIu64 "\n", runs, seed);
    print_counts(&counts);
    if (runs >= 100 && (counts.elections == 0 || counts.commits == 0 || counts.truncations == 0 ||
                        counts.crashes == 0 || counts.reads == 0 || counts.configs == 0)) {
        (void)fputs("something never came to pass: the runs prove nothing\n", stderr);
        return 1;
    }
    return 0;
}
