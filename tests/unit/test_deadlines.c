/* Deadlines in any order: the soonest first, none lost, none twice. */
#include "server/deadlines.h"

#include <check.h>
#include <stdlib.h>

#include "base/prng.h"
#include "support/quick.h"
#include "support/run.h"

enum { COUNT = 500, STEPS = 20000 };

static struct deadlines deadlines;
static struct deadline all[COUNT];

static void setup(void)
{
    deadlines_init(&deadlines);
}

static void teardown(void)
{
    deadlines_done(&deadlines);
}

START_TEST(nothing_set_has_no_first)
{
    ck_assert_ptr_null(deadlines_first(&deadlines));
    deadlines_cancel(&deadlines, &all[0]);
    ck_assert_ptr_null(deadlines_first(&deadlines));
}
END_TEST

static uint64_t soonest(void)
{
    uint64_t at_ms = UINT64_MAX;

    for (int i = 0; i < COUNT; i++) {
        if (all[i].place != 0 && all[i].at_ms < at_ms) {
            at_ms = all[i].at_ms;
        }
    }
    return at_ms;
}

START_TEST(first_is_the_soonest_of_those_set)
{
    struct rk_prng prng;

    rk_prng_seed(&prng, 5);
    for (int step = 0; step < STEPS; step++) {
        struct deadline *deadline = &all[rk_prng_below(&prng, COUNT)];
        if (deadline->place == 0) {
            deadlines_set(&deadlines, deadline, rk_prng_below(&prng, 1000));
        } else {
            deadlines_cancel(&deadlines, deadline);
        }
        const struct deadline *first = deadlines_first(&deadlines);
        quick_assert((first == NULL ? UINT64_MAX : first->at_ms) == soonest());
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("deadlines");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, nothing_set_has_no_first);
    tcase_add_test(tcase, first_is_the_soonest_of_those_set);
    return run_suite("deadlines", tcase);
}
