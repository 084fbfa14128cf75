#include <stdlib.h>

#include "sim/tape.h"
#include "support/run.h"

enum { DRAWS = 2000 };

/* A made-up run: what it draws depends on what it drew. */
static uint64_t run(struct tape *tape)
{
    uint64_t digest = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t drawn = tape_draw(tape, TAPE_KNOB, 1 + i);
        if (tape_chance(tape, TAPE_FAULT, 300000)) {
            drawn += tape_log_between(tape, TAPE_FAULT, 1, 60000);
        }
        drawn += tape_around(tape, TAPE_NETWORK, 1000);
        digest = digest * 31 + drawn;
    }
    return digest;
}

START_TEST(replay_gives_what_was_recorded)
{
    struct tape tape = {0};
    tape_record(&tape, 7);
    const uint64_t digest = run(&tape);
    tape_replay(&tape);
    ck_assert_uint_eq(run(&tape), digest);
    tape_record(&tape, 7);
    ck_assert_uint_eq(run(&tape), digest);
    tape_free(&tape);
}
END_TEST

/* Bit-exact on every compiler and machine: the digest of seed 7 is part of the source. */
START_TEST(numbers_of_a_seed_never_change)
{
    struct tape tape = {0};
    tape_record(&tape, 7);
    ck_assert_uint_eq(run(&tape), UINT64_C(14349082561835083564));
    tape_free(&tape);
}
END_TEST

START_TEST(a_varied_run_keeps_its_knobs)
{
    struct tape tape = {0};
    tape_record(&tape, 7);
    const uint32_t knob = tape_draw(&tape, TAPE_KNOB, 1U << 30);
    const uint32_t fault = tape_draw(&tape, TAPE_FAULT, 1U << 30);
    tape_vary(&tape, 8);
    ck_assert_uint_eq(tape_draw(&tape, TAPE_KNOB, 1U << 30), knob);
    ck_assert_uint_ne(tape_draw(&tape, TAPE_FAULT, 1U << 30), fault);
    tape_free(&tape);
}
END_TEST

START_TEST(behind_the_end_all_is_zero)
{
    struct tape tape = {0};
    tape_replay(&tape);
    ck_assert(!tape_chance(&tape, TAPE_FAULT, 999999));
    ck_assert_uint_eq(tape_draw(&tape, TAPE_KNOB, 100), 0);
    ck_assert_uint_eq(tape_around(&tape, TAPE_NETWORK, 100), 0);
    ck_assert_uint_eq(tape_log_between(&tape, TAPE_KNOB, 5, 5000), 5);
    tape_free(&tape);
}
END_TEST

START_TEST(log_between_stays_in_its_range)
{
    struct tape tape = {0};
    uint32_t low = 0;
    tape_record(&tape, 1);
    for (int i = 0; i < DRAWS; i++) {
        const uint32_t drawn = tape_log_between(&tape, TAPE_KNOB, 3, 5000);
        ck_assert_uint_ge(drawn, 3);
        ck_assert_uint_le(drawn, 5000);
        low += drawn < 3 * 40;
    }
    ck_assert_uint_gt(low, DRAWS / 3); /* half of the doublings lie below the root of the range */
    ck_assert_uint_lt(low, 2 * DRAWS / 3);
    tape_free(&tape);
}
END_TEST

START_TEST(around_has_its_mean)
{
    struct tape tape = {0};
    uint64_t sum = 0;
    tape_record(&tape, 1);
    for (int i = 0; i < 100 * DRAWS; i++) {
        const uint32_t drawn = tape_around(&tape, TAPE_NETWORK, 1000);
        ck_assert_uint_le(drawn, 16000);
        sum += drawn;
    }
    const uint64_t mean = sum / (100 * DRAWS);
    ck_assert_uint_gt(mean, 900);
    ck_assert_uint_lt(mean, 1200);
    tape_free(&tape);
}
END_TEST

START_TEST(a_saved_tape_replays)
{
    struct tape tape = {0};
    struct tape loaded = {0};
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    tape_record(&tape, 3);
    const uint64_t digest = run(&tape);
    ck_assert(tape_save(&tape, file));
    rewind(file);
    ck_assert(tape_load(&loaded, file));
    ck_assert_uint_eq(run(&loaded), digest);
    (void)fclose(file);
    tape_free(&tape);
    tape_free(&loaded);
}
END_TEST

START_TEST(what_is_no_tape_is_refused)
{
    static const char *const texts[] = {"", "knob 2: 1", "fault 1: 1\n", "knob 99999999999: 1"};
    struct tape tape = {0};
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(texts[_i], file), 0);
    rewind(file);
    ck_assert(!tape_load(&tape, file));
    (void)fclose(file);
    tape_free(&tape);
}
END_TEST

/* Fails when at least three faults of a thousand chances come, one of them larger than 100. */
static bool has_three_faults(void *context, struct tape *tape)
{
    uint32_t faults = 0;
    bool has_large = false;
    (void)context;
    for (uint32_t i = 0; i < 1000; i++) {
        if (tape_chance(tape, TAPE_FAULT, 200000)) {
            faults++;
            has_large = has_large || tape_draw(tape, TAPE_DISK, 5000) > 100;
        }
        (void)tape_around(tape, TAPE_NETWORK, 1000);
    }
    return faults >= 3 && has_large;
}

START_TEST(shrinking_leaves_what_is_needed_to_fail)
{
    struct tape tape = {0};
    tape_record(&tape, 11);
    ck_assert(has_three_faults(NULL, &tape));
    ck_assert_uint_gt(tape_weight(&tape), 1000);
    ck_assert_uint_gt(tape_shrink(&tape, has_three_faults, NULL, 30), 0);
    ck_assert_uint_eq(tape_weight(&tape), 4); /* three faults, one value */
    tape_replay(&tape);
    ck_assert(has_three_faults(NULL, &tape));
    tape_free(&tape);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("tape");
    tcase_add_test(cases, replay_gives_what_was_recorded);
    tcase_add_test(cases, numbers_of_a_seed_never_change);
    tcase_add_test(cases, a_varied_run_keeps_its_knobs);
    tcase_add_test(cases, behind_the_end_all_is_zero);
    tcase_add_test(cases, log_between_stays_in_its_range);
    tcase_add_test(cases, around_has_its_mean);
    tcase_add_test(cases, a_saved_tape_replays);
    tcase_add_loop_test(cases, what_is_no_tape_is_refused, 0, 4);
    tcase_add_test(cases, shrinking_leaves_what_is_needed_to_fail);
    return run_suite("tape", cases);
}
