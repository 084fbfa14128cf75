/* run.h -- seeds: run, run twice, told, shrunk, by several processes. */
#ifndef RK_TESTS_SIM_RUN_H
#define RK_TESTS_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/counts.h"

/* One seed; one in a hundred is run twice (O17). A failure is one line on stderr: commit, seed,
 * oracle, virtual time, words. Returns whether it held. */
bool sim_run_seed(uint64_t seed, struct sim_counts *counts);

/* The story of one seed, or of a tape saved before (`file` not NULL), on stdout. */
bool sim_run_told(uint64_t seed, FILE *file, bool is_full, bool is_hashed);

/* A failing seed, or tape, is made as small as `cpu_seconds` allow, told, and saved in `path`. */
bool sim_run_shrunk(uint64_t seed, FILE *file, const char *path, uint32_t cpu_seconds);

/* Seeds first .. first + count - 1, dealt out to `jobs` processes. */
bool sim_run_seeds(uint64_t first, uint64_t count, uint32_t jobs, struct sim_counts *counts);

#endif
