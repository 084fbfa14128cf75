/* What flips in memory is found by reading it again, in whatever table it is. */
#include <check.h>
#include <stdlib.h>

#include "statemachine/omap.h"
#include "statemachine/scrub.h"
#include "support/run.h"
#include "support/sm_commands.h"

enum { KEYS = 300, BUDGET = 2000 };

static struct sm *sm;
static struct sm_scrub scrub;

static void setup(void)
{
    sm = sm_new();
    sm_scrub_init(&scrub);
    for (uint32_t i = 0; i < KEYS; i++) {
        const uint8_t key[] = {'k', (uint8_t)(i / 100), (uint8_t)(i % 100)};
        const struct sm_command_put put = {.key = {.data = key, .size = sizeof(key)},
                                           .value = bytes_of("a value")};
        (void)sm_do_put(sm, i + 1, &put);
    }
}

static void teardown(void)
{
    sm_scrub_done(&scrub);
    sm_free(sm);
}

/* A whole walk; false: something was found, in the entry with *ret_index. */
static bool walk(raft_index *ret_index)
{
    const uint64_t rounds = scrub.rounds;
    bool is_whole = true;

    while (is_whole && scrub.rounds == rounds) {
        is_whole = sm_scrub_step(&scrub, sm, BUDGET, ret_index);
    }
    return is_whole;
}

static void flip(raft_index index)
{
    const struct sm_root root = sm_publish(sm);
    const uint8_t key[] = {'k', (uint8_t)((index - 1) / 100), (uint8_t)((index - 1) % 100)};
    struct omap_entry entry;

    omap_item_read(omap_find(root.kv, (struct rk_bytes){.data = key, .size = sizeof(key)}), &entry);
    ((uint8_t *)(uintptr_t)entry.value.data)[3] ^= 0x10;
}

START_TEST(what_is_whole_is_found_whole_again_and_again)
{
    raft_index index = 0;

    ck_assert(walk(&index));
    ck_assert(walk(&index));
    ck_assert_uint_eq(scrub.rounds, 2);
}
END_TEST

START_TEST(one_flipped_bit_is_found_wherever_it_is)
{
    const raft_index flipped[] = {1, KEYS / 2, KEYS};
    raft_index index = 0;

    flip(flipped[_i]);
    ck_assert(!walk(&index));
    ck_assert_uint_eq(index, flipped[_i]);
}
END_TEST

/* The digest was summed up before. */
START_TEST(the_digest_does_not_see_a_flipped_bit)
{
    const uint64_t before = sm_digest_now(sm);

    flip(1);
    ck_assert_uint_eq(sm_digest_now(sm), before);
}
END_TEST

START_TEST(a_walk_goes_on_over_what_is_deleted_under_it)
{
    raft_index index = 0;

    ck_assert(sm_scrub_step(&scrub, sm, BUDGET, &index));
    (void)sm_do_delete_prefix(sm, KEYS + 1, bytes_of("k"));
    ck_assert(walk(&index));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("scrub");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_whole_is_found_whole_again_and_again);
    tcase_add_loop_test(tcase, one_flipped_bit_is_found_wherever_it_is, 0, 3);
    tcase_add_test(tcase, the_digest_does_not_see_a_flipped_bit);
    tcase_add_test(tcase, a_walk_goes_on_over_what_is_deleted_under_it);
    return run_suite("scrub", tcase);
}
