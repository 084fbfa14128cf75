/* raftkv-small-worlds -- every schedule of a small cluster within bounds; see small_worlds.h.
 *
 *   raftkv-small-worlds                          those of `make check`; RK_WORLDS=N in the
 *                                                environment: the first N of them
 *   raftkv-small-worlds --terms 3 --entries 2    bounds of one's own
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"
#include "sim/small_worlds.h"

struct small_bounds small_bounds;

struct run {
    struct small_bounds bounds;
    uint64_t states_max;
    bool is_depth_first;
};

static const struct small_bounds smallest = {
    .nodes = 3, .terms = 2, .entries = 1, .messages = 2, .batch = 1};

/* Those of `make check`: each small enough to be seen whole in seconds, and together they find what
 * docs/testing.md lists. */
static const struct small_bounds checked[] = {
    {.nodes = 3, .terms = 3, .messages = 2, .batch = 1}, /* three leaders: Figure 8 */
    {.nodes = 3, .terms = 2, .entries = 1, .duplicates = 1, .messages = 2, .batch = 1},
    {.nodes = 3, .terms = 2, .configs = 1, .messages = 2, .batch = 1},
    {.nodes = 3, .terms = 2, .transfers = 1, .messages = 2, .batch = 1},
    {.nodes = 3, .terms = 2, .messages = 2, .batch = 1, .has_pre_vote = true},
    {.nodes = 3, .terms = 2, .messages = 2, .batch = 1, .is_disk_slow = true},
    {.nodes = 3,
     .terms = 1,
     .entries = 1,
     .crashes = 1,
     .messages = 2,
     .batch = 1,
     .is_disk_slow = true},
    {.nodes = 3, .terms = 1, .heartbeats = 2, .messages = 2, .batch = 1},
};

/* ---- options ---- */

struct number_option {
    const char *name;
    uint8_t *value;
    uint8_t min;
    uint8_t max;
};

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    return rk_parse_u64(text, ret) == RK_OK && *ret >= min && *ret <= max;
}

static bool take_flag(struct run *run, const char *name)
{
    if (strcmp(name, "--slow-disk") == 0) {
        run->bounds.is_disk_slow = true;
    } else if (strcmp(name, "--pre-vote") == 0) {
        run->bounds.has_pre_vote = true;
    } else if (strcmp(name, "--depth-first") == 0) {
        run->is_depth_first = true;
    } else {
        return false;
    }
    return true;
}

static bool take_number(struct run *run, const char *name, const char *text)
{
    struct small_bounds *bounds = &run->bounds;
    const struct number_option options[] = {
        {"--nodes", &bounds->nodes, 1, SMALL_NODES_MAX},
        {"--spares", &bounds->spares, 0, SMALL_NODES_MAX - 1},
        {"--terms", &bounds->terms, 1, SMALL_TERMS_MAX},
        {"--entries", &bounds->entries, 0, SMALL_LOG_MAX},
        {"--crashes", &bounds->crashes, 0, UINT8_MAX},
        {"--configs", &bounds->configs, 0, UINT8_MAX},
        {"--transfers", &bounds->transfers, 0, UINT8_MAX},
        {"--duplicates", &bounds->duplicates, 0, UINT8_MAX},
        {"--heartbeats", &bounds->heartbeats, 0, UINT8_MAX},
        {"--messages", &bounds->messages, 1, SMALL_MESSAGES_MAX},
        {"--batch", &bounds->batch, 1, SMALL_BATCH_MAX},
    };
    uint64_t number = 0;
    if (strcmp(name, "--states-max") == 0) {
        return parse_number(text, 1, UINT64_C(2000000000), &run->states_max);
    }
    for (uint32_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(name, options[i].name) == 0) {
            const bool is_number = parse_number(text, options[i].min, options[i].max, &number);
            *options[i].value = (uint8_t)number;
            return is_number;
        }
    }
    return false;
}

static bool parse(int argc, char **argv, struct run *run)
{
    *run = (struct run){.bounds = smallest, .states_max = 10000000};
    for (int i = 1; i < argc; i++) {
        if (take_flag(run, argv[i])) {
            continue;
        }
        if (i + 1 == argc || !take_number(run, argv[i], argv[i + 1])) {
            return false;
        }
        i++;
    }
    return run->bounds.spares < run->bounds.nodes;
}

/* ---- runs ---- */

static void print_bounds(const struct small_bounds *bounds)
{
    (void)printf("%u nodes, %u terms, %u entries, %u crashes, %u configurations, %u transfers, "
                 "%u duplicates, %u heartbeats, %u messages in flight%s%s\n",
                 bounds->nodes, bounds->terms, bounds->entries, bounds->crashes, bounds->configs,
                 bounds->transfers, bounds->duplicates, bounds->heartbeats, bounds->messages,
                 bounds->is_disk_slow ? ", slow disks" : "",
                 bounds->has_pre_vote ? ", pre-votes" : "");
}

/* False when there was more than states_max allows. */
static bool run_once(const struct run *run)
{
    const clock_t since = clock();
    small_bounds = run->bounds;
    print_bounds(&small_bounds);
    const struct small_result result = small_search(run->states_max, !run->is_depth_first);
    (void)printf("  %" PRIu64 " states, %" PRIu64 " transitions, depth %u, %s, %.1f CPU s\n",
                 result.states, result.transitions, result.depth,
                 result.is_exhausted ? "exhausted" : "not exhausted",
                 (double)(clock() - since) / CLOCKS_PER_SEC);
    return result.is_exhausted;
}

static uint64_t checked_count(void)
{
    const uint64_t all = sizeof checked / sizeof *checked;
    const char *wanted = getenv("RK_WORLDS");
    uint64_t count = all;

    return wanted != NULL && parse_number(wanted, 1, all, &count) ? count : all;
}

static int run_checked(void)
{
    const uint64_t count = checked_count();
    bool are_exhausted = true;
    for (uint64_t i = 0; i < count; i++) {
        const struct run run = {.bounds = checked[i], .states_max = 2000000};
        are_exhausted = run_once(&run) && are_exhausted;
    }
    if (!are_exhausted) {
        (void)fputs("a world that was small has grown: not all of it was seen\n", stderr);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct run run;

    if (argc == 1) {
        return run_checked();
    }
    if (!parse(argc, argv, &run)) {
        (void)fputs(
            "usage: raftkv-small-worlds [--nodes N] [--spares N] [--terms N] [--entries N]\n"
            "  [--crashes N] [--configs N] [--transfers N] [--duplicates N]\n"
            "  [--heartbeats N] [--messages N] [--batch N] [--states-max N]\n"
            "  [--slow-disk] [--pre-vote] [--depth-first]\n",
            stderr);
        return 2;
    }
    (void)run_once(&run);
    return 0;
}
