/* The log's runs of terms, against a plain array of terms. */
#include <signal.h>
#include <stdlib.h>

#include "raft/trail.h"
#include "support/run.h"

static struct trail *trail;

static void set_up(void)
{
    trail = calloc(1, sizeof *trail);
    trail_init(trail, (struct raft_entry_id){0}, (struct raft_entry_id){0}, NULL, 0);
}

static void tear_down(void)
{
    free(trail);
}

/* Leaves the terms 1 1 3 3 3 4 after base 10^1, at indexes 11 .. 16. */
static void fill_after_base(void)
{
    const struct raft_trail_run runs[] = {{11, 1}, {13, 3}, {16, 4}};
    trail_init(trail, (struct raft_entry_id){.term = 1, .index = 10},
               (struct raft_entry_id){.term = 4, .index = 16}, runs, 3);
}

START_TEST(terms_are_those_of_the_runs)
{
    fill_after_base();
    const raft_term expected[] = {1, 1, 1, 3, 3, 3, 4};
    for (raft_index index = 10; index <= 16; index++) {
        ck_assert_uint_eq(trail_term(trail, index), expected[index - 10]);
    }
    ck_assert_uint_eq(trail_last(trail).index, 16);
    ck_assert_uint_eq(trail_last(trail).term, 4);
}
END_TEST

/* Pitfall 37: below base and behind the end there is no term to compare with. */
START_TEST(pitfall_37_there_is_no_term_outside_the_log)
{
    fill_after_base();
    ck_assert(!trail_has(trail, 9));
    ck_assert(!trail_has(trail, 17));
    ck_assert(!trail_matches(trail, (struct raft_entry_id){.term = 0, .index = 9}));
    ck_assert(!trail_matches(trail, (struct raft_entry_id){.term = 4, .index = 17}));
}
END_TEST

START_TEST(asking_a_term_below_base_aborts)
{
    fill_after_base();
    ck_abort_msg("there is a term: %ju", (uintmax_t)trail_term(trail, 9));
}
END_TEST

START_TEST(a_falling_term_aborts)
{
    fill_after_base();
    trail_append(trail, 3, 1);
}
END_TEST

START_TEST(equal_terms_share_a_run)
{
    trail_append(trail, 2, 5);
    trail_append(trail, 2, 1);
    trail_append(trail, 7, 1);
    ck_assert_uint_eq(trail->runs_count, 2);
    ck_assert_uint_eq(trail_room(trail), RAFT_TRAIL_RUNS_MAX - 2);
    ck_assert_uint_eq(trail_term(trail, 6), 2);
    ck_assert_uint_eq(trail_term(trail, 7), 7);
}
END_TEST

/* Loop: from every index. */
START_TEST(truncation_keeps_what_is_before_it)
{
    fill_after_base();
    const raft_term expected[] = {1, 1, 1, 3, 3, 3, 4};
    const raft_index from = (raft_index)_i;
    trail_truncate(trail, from);
    ck_assert_uint_eq(trail_last(trail).index, from - 1);
    ck_assert_uint_eq(trail_last(trail).term, expected[from - 1 - 10]);
    trail_append(trail, 9, 1);
    ck_assert_uint_eq(trail_term(trail, from), 9);
    ck_assert_uint_eq(trail_term(trail, from - 1), expected[from - 1 - 10]);
}
END_TEST

/* Loop: terms; all indexes. The guess is the greatest entry that is not newer in either way. */
START_TEST(guess_is_the_greatest_entry_that_may_match)
{
    fill_after_base();
    const raft_term terms[] = {1, 1, 1, 3, 3, 3, 4};
    const raft_term term = (raft_term)_i;
    for (raft_index index = 0; index < 20; index++) {
        struct raft_entry_id expected = {.term = 1, .index = 10};
        for (raft_index i = 10; i <= 16 && i <= index; i++) {
            if (terms[i - 10] <= term) {
                expected = (struct raft_entry_id){.term = terms[i - 10], .index = i};
            }
        }
        const struct raft_entry_id guess =
            trail_guess(trail, (struct raft_entry_id){.term = term, .index = index});
        ck_assert_uint_eq(guess.index, expected.index);
        ck_assert_uint_eq(guess.term, expected.term);
    }
}
END_TEST

START_TEST(a_full_trail_takes_no_new_term)
{
    for (raft_term term = 1; term <= RAFT_TRAIL_RUNS_MAX; term++) {
        trail_append(trail, term, 1);
    }
    ck_assert_uint_eq(trail_room(trail), 0);
    trail_append(trail, RAFT_TRAIL_RUNS_MAX, 3); /* more of the last term is no new run */
    for (raft_index index = 1; index <= RAFT_TRAIL_RUNS_MAX; index++) {
        ck_assert_uint_eq(trail_term(trail, index), index);
    }
    trail_append(trail, RAFT_TRAIL_RUNS_MAX + 1, 1);
}
END_TEST

/* Every cut of a log with runs of different lengths (_i is the cut): the terms behind it are as
 * before, base has the term that its entry had, and what is before cannot be asked any more. */
START_TEST(compaction_keeps_every_term_behind_it)
{
    static const raft_term terms[] = {0, 1, 1, 3, 4, 4, 4, 7};
    const raft_index last = 7;
    static struct trail cut;
    trail_init(&cut, (struct raft_entry_id){0, 0}, (struct raft_entry_id){0, 0}, NULL, 0);
    for (raft_index index = 1; index <= last; index++) {
        trail_append(&cut, terms[index], 1);
    }
    trail_compact(&cut, (raft_index)_i);
    ck_assert_uint_eq(cut.base.index, (raft_index)_i);
    ck_assert_uint_eq(trail_last(&cut).term, 7);
    ck_assert_uint_eq(trail_last(&cut).index, last);
    for (raft_index index = 0; index <= last; index++) {
        ck_assert(trail_has(&cut, index) == (index >= (raft_index)_i));
        if (trail_has(&cut, index)) {
            ck_assert_uint_eq(trail_term(&cut, index), terms[index]);
        }
    }
    ck_assert_uint_eq(cut.runs_count == 0, _i == 7);
}
END_TEST

START_TEST(a_reset_log_is_empty_behind_its_base)
{
    static struct trail cut;
    trail_init(&cut, (struct raft_entry_id){0, 0}, (struct raft_entry_id){0, 0}, NULL, 0);
    trail_append(&cut, 2, 5);
    trail_reset(&cut, (struct raft_entry_id){.term = 3, .index = 4});
    ck_assert_uint_eq(trail_last(&cut).index, 4);
    ck_assert_uint_eq(trail_last(&cut).term, 3);
    trail_append(&cut, 3, 1);
    ck_assert_uint_eq(trail_term(&cut, 5), 3);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("trail");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, terms_are_those_of_the_runs);
    tcase_add_test(tcase, pitfall_37_there_is_no_term_outside_the_log);
    tcase_add_test_raise_signal(tcase, asking_a_term_below_base_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, a_falling_term_aborts, SIGABRT);
    tcase_add_test(tcase, equal_terms_share_a_run);
    tcase_add_loop_test(tcase, truncation_keeps_what_is_before_it, 11, 17);
    tcase_add_loop_test(tcase, guess_is_the_greatest_entry_that_may_match, 0, 6);
    tcase_add_test_raise_signal(tcase, a_full_trail_takes_no_new_term, SIGABRT);
    tcase_add_loop_test(tcase, compaction_keeps_every_term_behind_it, 0, 8);
    tcase_add_test(tcase, a_reset_log_is_empty_behind_its_base);
    return run_suite("raft_trail", tcase);
}
