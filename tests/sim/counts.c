#include "sim/counts.h"

#include <inttypes.h>
#include <stdio.h>

struct row {
    const char *text;
    bool is_built;
};

#define SIM_COUNT_ROW(name, is_built, text) {text, is_built},
static const struct row rows[] = {SIM_COUNTS_TABLE(SIM_COUNT_ROW)};

enum { ROWS = sizeof rows / sizeof rows[0] };

_Static_assert(sizeof(struct sim_counts) == ROWS * sizeof(uint64_t), "a row is a number");

static const uint64_t *values(const struct sim_counts *counts)
{
    return (const uint64_t *)counts;
}

void sim_counts_add(struct sim_counts *to, const struct sim_counts *from)
{
    for (int i = 0; i < ROWS; i++) {
        ((uint64_t *)to)[i] += values(from)[i];
    }
}

void sim_counts_print(const struct sim_counts *counts)
{
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].is_built) {
            (void)printf("%14" PRIu64 "  %s\n", values(counts)[i], rows[i].text);
        } else {
            (void)printf("       not yet  %s\n", rows[i].text);
        }
    }
}

bool sim_counts_are_whole(const struct sim_counts *counts)
{
    bool is_whole = true;
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].is_built && values(counts)[i] == 0) {
            (void)fprintf(stderr, "never: %s\n", rows[i].text);
            is_whole = false;
        }
    }
    return is_whole;
}
