/* The judge of the histories that simulators and fault runs make: what it must reject, what it must
 * accept, and that its search agrees with one that tries every order. */
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "support/history.h"
#include "support/history_text.h"
#include "support/quick.h"
#include "support/run.h"

enum {
    RANDOM_OPERATIONS_MAX = 7,
    RANDOM_HISTORIES = 60000,
    LONG_OPERATIONS = 100000,
};

static struct history history;

static void setup(void)
{
    history_open(&history);
}

static void teardown(void)
{
    history_close(&history);
}

static struct history_result judge(enum history_order order, bool hide_indexes)
{
    const struct history_options options = {.order = order, .hide_indexes = hide_indexes};

    return history_check(&history, &options);
}

/* The lines up to a NULL are the history. */
static void tell(const char *const *lines)
{
    struct history_operation operation;

    history_clear(&history);
    for (; *lines != NULL; lines++) {
        ck_assert_msg(history_parse(*lines, &operation), "not an operation: %s", *lines);
        history_add(&history, &operation);
    }
}

/* Whether indexes are believed or not. */
static void assert_rejected(enum history_order order, const char *const *lines)
{
    tell(lines);
    const struct history_result result = judge(order, false);
    ck_assert_int_eq(result.verdict, HISTORY_VIOLATION);
    ck_assert(!result.by_witness);
    ck_assert_str_ne(result.reason, "");
    ck_assert_uint_lt(result.operation, history.count);
    ck_assert_uint_eq(history.operations[result.operation].key, result.key);
    ck_assert_int_eq(judge(order, true).verdict, HISTORY_VIOLATION);
}

static void assert_accepted(enum history_order order, bool by_witness, const char *const *lines)
{
    tell(lines);
    const struct history_result result = judge(order, false);
    ck_assert_msg(result.verdict == HISTORY_LINEARIZABLE, "%s", result.reason);
    ck_assert_msg(result.by_witness == by_witness, "%s", result.reason);
    ck_assert_int_eq(judge(order, true).verdict, HISTORY_LINEARIZABLE);
}

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Rejected with the indexes taken for places in the log, for versions, and hidden. */
#define REJECTS(name, ...)                                       \
    START_TEST(name)                                             \
    {                                                            \
        assert_rejected(HISTORY_BY_LOG, LINES(__VA_ARGS__));     \
        assert_rejected(HISTORY_BY_VERSION, LINES(__VA_ARGS__)); \
    }                                                            \
    END_TEST

/* The claimed indexes are the proof. */
#define WITNESSED(name, order, ...)                       \
    START_TEST(name)                                      \
    {                                                     \
        assert_accepted(order, true, LINES(__VA_ARGS__)); \
    }                                                     \
    END_TEST

/* The claimed indexes are none, or are missing: found by the search. */
#define FOUND(name, order, ...)                            \
    START_TEST(name)                                       \
    {                                                      \
        assert_accepted(order, false, LINES(__VA_ARGS__)); \
    }                                                      \
    END_TEST

/* -- bad histories -- */

REJECTS(stale_read, "put 1 7 1-2 @5", "put 1 8 3-4 @6", "get 1 7 5-6 @5")
REJECTS(stale_read_that_claims_to_be_new, "put 1 7 1-2 @5", "put 1 8 3-4 @6", "get 1 7 5-6 @6")
REJECTS(read_of_nothing_after_a_write, "put 1 7 1-2 @5", "get 1 0 3-4 @5")
REJECTS(future_read, "get 1 7 1-2 @5", "put 1 7 3-4 @5")
REJECTS(read_of_what_nobody_wrote, "put 1 7 1-2 @5", "get 1 9 3-4 @5")
REJECTS(reads_that_go_back, "put 1 7 1-2 @5", "put 1 8 3-9 @6", "get 1 8 4-5 @6", "get 1 7 6-7 @5")
REJECTS(lost_update, "put 1 7 1-2 @5", "cas 1 7>8 3-6 @6", "cas 1 7>9 4-5 @7")
REJECTS(two_of_one_lock, "cas 1 0>7 1-4 @5", "cas 1 0>8 2-3 @6", "get 1 8 5-6 @6")
REJECTS(write_that_vanishes, "put 1 7 1-2 @5", "put 1 8 3-4 @6", "del 1 5-6 @7", "get 1 8 7-8 @7")
REJECTS(aborted_read, "put 1 7 1-2 @5", "put 1 8 3-4!", "get 1 8 5-6 @5")
REJECTS(cas_that_met_its_value_and_says_no, "put 1 7 1-2 @5", "cas 1 7|8 3-4 @6", "get 1 7 5-6 @6")
REJECTS(cas_that_met_another_and_says_yes, "put 1 7 1-2 @5", "cas 1 9>8 3-4 @6", "get 1 8 5-6 @6")
REJECTS(unknown_write_that_is_undone, "put 1 7 1-2 @5", "put 1 8 3-? @6", "get 1 8 4-5 @6",
        "get 1 7 6-7 @6")
REJECTS(unknown_write_seen_before_it_was_asked_for, "get 1 8 1-2 @6", "put 1 8 3-? @6")
REJECTS(unknown_write_that_happens_twice, "put 1 8 1-? @5", "get 1 8 2-3 @5", "put 1 9 4-5 @6",
        "get 1 8 6-7 @7")
REJECTS(unknown_delete_that_happens_twice, "put 1 7 1-2 @5", "del 1 3-?", "get 1 0 4-5 @6",
        "put 1 8 6-7 @7", "get 1 0 8-9 @8")
REJECTS(deleted_key_that_comes_back, "put 1 7 1-2 @5", "del 1 3-4 @6", "get 1 0 5-6 @6",
        "get 1 7 7-8 @6")
REJECTS(one_bad_key_among_good_ones, "put 1 7 1-2 @5", "put 2 7 1-2 @6", "get 2 7 3-4 @6",
        "get 1 0 3-4 @5", "put 3 1 5-6 @7")
REJECTS(readers_that_disagree_on_the_order_of_writes, "put 1 7 1-9 @5", "put 1 8 1-9 @6",
        "get 1 7 2-3 @5", "get 1 8 4-5 @6", "get 1 7 6-7 @5")
REJECTS(open_cas_that_cannot_have_met_its_value, "put 1 7 1-2 @5", "cas 1 9>8 3-? @6",
        "get 1 8 4-5 @6")
REJECTS(open_delete_that_comes_too_late, "put 1 7 1-2 @5", "get 1 0 3-4 @5", "del 1 5-? @6")

/* A refused write that the log holds is a lie even if nobody saw it. */
START_TEST(write_that_was_not_done_and_is_in_the_log)
{
    tell(LINES("put 1 7 1-2 @5", "put 1 8 3-4! @6", "put 1 9 5-6 @7"));
    ck_assert_int_eq(judge(HISTORY_BY_LOG, false).verdict, HISTORY_VIOLATION);
    ck_assert_uint_eq(judge(HISTORY_BY_LOG, false).operation, 1);
}
END_TEST

/* -- good ones -- */

WITNESSED(nothing_at_all, HISTORY_BY_LOG, "put 1 8 3-4!", "get 1 9 3-?")
WITNESSED(reads_of_a_key_never_written, HISTORY_BY_LOG, "get 1 0 1-2 @5", "get 1 0 3-4 @5")
WITNESSED(old_value_while_the_write_is_under_way, HISTORY_BY_LOG, "put 1 7 1-9 @5",
          "get 1 0 2-3 @4", "get 1 7 4-5 @5")
WITNESSED(later_request_first_in_the_log, HISTORY_BY_LOG, "put 1 7 1-9 @6", "put 1 8 2-8 @5",
          "get 1 7 10-11 @6")
WITNESSED(writes_that_touch_in_time_may_swap, HISTORY_BY_LOG, "put 1 7 1-2 @6", "put 1 8 2-3 @5",
          "get 1 7 4-5 @6")
WITNESSED(unknown_write_that_the_log_holds, HISTORY_BY_LOG, "put 1 7 1-2 @5", "put 1 8 3-? @7",
          "get 1 7 6-7 @6", "get 1 8 8-9 @7")
WITNESSED(unknown_write_that_never_was, HISTORY_BY_LOG, "put 1 7 1-2 @5", "put 1 8 3-?",
          "get 1 7 8-9 @7")
WITNESSED(unknown_cas_in_the_log_that_met_another_value, HISTORY_BY_LOG, "put 1 7 1-2 @5",
          "cas 1 9>8 3-? @6", "get 1 7 4-5 @6")
WITNESSED(refused_cas, HISTORY_BY_LOG, "put 1 7 1-2 @5", "cas 1 9|8 3-4 @6", "get 1 7 5-6 @6")
WITNESSED(chain_of_cas_that_overlap, HISTORY_BY_LOG, "cas 1 0>7 1-9 @5", "cas 1 7>8 1-9 @6",
          "cas 1 8>9 1-9 @7", "get 1 9 1-9 @7")
WITNESSED(keys_of_their_own, HISTORY_BY_LOG, "put 1 7 1-2 @5", "put 2 8 1-2 @6", "get 1 7 3-4 @6",
          "get 2 8 3-4 @6", "get 3 0 3-4 @6")
WITNESSED(version_read_long_after_other_keys_moved, HISTORY_BY_VERSION, "put 1 7 1-2 @5",
          "put 2 8 3-4 @6", "get 1 7 5-6 @5", "get 2 8 5-6 @6")
WITNESSED(version_of_an_unknown_write_known_by_its_reader, HISTORY_BY_VERSION, "put 1 7 1-2 @5",
          "put 1 8 3-?", "put 1 9 20-21 @9", "get 1 7 4-5 @5", "get 1 8 10-11 @7",
          "get 1 9 30-31 @9")
WITNESSED(version_left_by_an_unknown_delete, HISTORY_BY_VERSION, "put 1 7 1-2 @5", "del 1 3-?",
          "get 1 7 4-5 @5", "get 1 0 6-7 @6", "put 1 8 8-9 @8", "get 1 8 10-11 @8")
WITNESSED(version_that_a_refused_cas_met, HISTORY_BY_VERSION, "put 1 7 1-2 @5", "cas 1 9|8 3-4 @5",
          "put 1 6 5-6 @6")
WITNESSED(delete_of_nothing_claims_the_last_version, HISTORY_BY_VERSION, "put 1 7 1-2 @5",
          "del 1 3-4 @6", "del 1 5-6 @6", "get 1 0 7-8 @6")
WITNESSED(versions_of_nothing_are_of_any_time_since, HISTORY_BY_VERSION, "get 1 0 1-2 @3",
          "cas 1 9|8 3-4 @4", "get 1 0 5-6 @1", "put 1 7 7-8 @5", "del 1 9-10 @6",
          "get 1 0 11-12 @7", "del 1 13-14 @9", "cas 1 9|8 15-16 @8", "put 1 6 17-18 @10")
FOUND(reads_without_an_index, HISTORY_BY_LOG, "put 1 7 1-9 @6", "put 1 8 2-8 @5", "get 1 8 3-4",
      "get 1 7 5-6")
FOUND(claims_that_are_wrong, HISTORY_BY_LOG, "put 1 7 1-2 @6", "put 1 8 3-4 @5", "get 1 8 5-6 @6")
FOUND(unknown_put_known_only_by_the_cas_that_it_spoilt, HISTORY_BY_VERSION, "put 1 7 1-2 @5",
      "put 1 8 3-?", "cas 1 7|9 4-5 @7")
FOUND(unknown_delete_that_let_a_cas_through, HISTORY_BY_VERSION, "put 1 7 1-2", "del 1 3-?",
      "cas 1 0>8 4-5")
FOUND(open_cas_on_an_open_put, HISTORY_BY_VERSION, "put 1 7 1-?", "cas 1 7>8 2-?", "get 1 8 3-4")

/* Locality: each key's order alone can be right where the claimed order of all is not. */
FOUND(claims_of_two_keys_that_contradict, HISTORY_BY_LOG, "put 1 7 1-2 @6", "put 2 8 3-4 @5")

/* -- the search -- */

/* What the search is held against: every order of every choice of the open operations. */
struct orders {
    const struct history_operation *taken[RANDOM_OPERATIONS_MAX];
    size_t count;
};

static bool register_gives(const struct orders *orders)
{
    uint64_t state = 0;

    for (size_t i = 0; i < orders->count; i++) {
        const struct history_operation *operation = orders->taken[i];
        const bool is_met = state == operation->expected;
        const bool is_open = operation->outcome == HISTORY_UNKNOWN;
        if ((operation->kind == HISTORY_GET && state != operation->value) ||
            (operation->kind == HISTORY_CAS && !is_open && operation->did != is_met)) {
            return false;
        }
        if (operation->kind == HISTORY_PUT || (operation->kind == HISTORY_CAS && is_met)) {
            state = operation->value;
        } else if (operation->kind == HISTORY_DELETE) {
            state = 0;
        }
    }
    return true;
}

static bool keeps_to_time(const struct orders *orders)
{
    for (size_t i = 0; i < orders->count; i++) {
        for (size_t j = i + 1; j < orders->count; j++) {
            const struct history_operation *later = orders->taken[j];
            if (later->outcome == HISTORY_OK && later->returned < orders->taken[i]->invoked) {
                return false;
            }
        }
    }
    return true;
}

/* Does any order of taken[from ..] complete taken[0 .. from - 1]? */
static bool some_order(struct orders *orders, size_t from)
{
    if (from == orders->count) {
        return keeps_to_time(orders) && register_gives(orders);
    }
    for (size_t i = from; i < orders->count; i++) {
        const struct history_operation *first = orders->taken[from];
        orders->taken[from] = orders->taken[i];
        orders->taken[i] = first;
        const bool is_one = some_order(orders, from + 1);
        orders->taken[i] = orders->taken[from];
        orders->taken[from] = first;
        if (is_one) {
            return true;
        }
    }
    return false;
}

static bool is_linearizable_by_all_orders(void)
{
    for (uint32_t choice = 0; choice < 1U << history.count; choice++) {
        struct orders orders = {.count = 0};
        bool is_choice = true;
        for (size_t i = 0; i < history.count; i++) {
            const struct history_operation *operation = &history.operations[i];
            const bool is_taken = (choice >> i & 1) != 0;
            const bool may_lack =
                operation->outcome != HISTORY_OK || operation->kind == HISTORY_GET;
            const bool may_be = operation->outcome != HISTORY_NOT_DONE;
            is_choice = is_choice && (is_taken ? may_be : operation->outcome != HISTORY_OK) &&
                        (is_taken || may_lack);
            if (is_taken) {
                orders.taken[orders.count] = operation;
                orders.count++;
            }
        }
        if (is_choice && some_order(&orders, 0)) {
            return true;
        }
    }
    return false;
}

/* Few values, so that many histories are nearly right. */
static void tell_at_random(struct rk_prng *prng)
{
    const uint64_t count = 1 + rk_prng_below(prng, RANDOM_OPERATIONS_MAX);

    history_clear(&history);
    for (uint64_t i = 0; i < count; i++) {
        struct history_operation operation = {
            .kind = HISTORY_PUT + (enum history_kind)rk_prng_below(prng, 4),
            .outcome = HISTORY_OK,
            .key = 1,
            .invoked = rk_prng_below(prng, 12),
            .value = rk_prng_below(prng, 3),
            .expected = rk_prng_below(prng, 3),
            .did = rk_prng_below(prng, 2) != 0,
            .index = rk_prng_below(prng, 6),
        };
        operation.returned = operation.invoked + rk_prng_below(prng, 6);
        if (rk_prng_chance(prng, 250)) {
            operation.outcome = rk_prng_chance(prng, 300) ? HISTORY_NOT_DONE : HISTORY_UNKNOWN;
        }
        if (operation.outcome == HISTORY_NOT_DONE) {
            operation.index = 0;
        }
        history_add(&history, &operation);
    }
}

/* RK_HISTORIES=N in the environment tries more. */
static uint32_t random_histories(void)
{
    const char *wanted = getenv("RK_HISTORIES");

    return wanted != NULL ? (uint32_t)strtoul(wanted, NULL, 10) : RANDOM_HISTORIES;
}

START_TEST(verdicts_are_those_of_trying_every_order)
{
    struct rk_prng prng;
    uint32_t accepted = 0;
    uint32_t witnessed = 0;
    const uint32_t count = random_histories();

    rk_prng_seed(&prng, 3);
    for (uint32_t i = 0; i < count; i++) {
        tell_at_random(&prng);
        const bool is_right = is_linearizable_by_all_orders();
        const enum history_verdict verdict = is_right ? HISTORY_LINEARIZABLE : HISTORY_VIOLATION;
        quick_assert(judge(HISTORY_BY_LOG, true).verdict == verdict);
        quick_assert(judge(HISTORY_BY_LOG, false).verdict == verdict);
        quick_assert(judge(HISTORY_BY_VERSION, false).verdict == verdict);
        accepted += is_right ? 1 : 0;
        witnessed += judge(HISTORY_BY_LOG, false).by_witness ? 1 : 0;
    }
    ck_assert_uint_gt(accepted, count / 10);
    ck_assert_uint_lt(accepted, count - count / 10);
    ck_assert_uint_gt(witnessed, count / 100);
}
END_TEST

/* Eight clients that overlap all the time; each operation's place is its number. */
static void tell_at_length(uint64_t count, uint64_t keys)
{
    static uint64_t held[1024];

    history_clear(&history);
    memset(held, 0, sizeof(held));
    for (uint64_t i = 1; i <= count; i++) {
        struct history_operation operation = {
            .kind = i % 3 == 0 ? HISTORY_GET : HISTORY_PUT,
            .outcome = HISTORY_OK,
            .key = i % keys,
            .invoked = i * 10 > 75 ? i * 10 - 75 : 0,
            .returned = i * 10 + 5,
            .index = i,
            .value = i,
        };
        if (operation.kind == HISTORY_GET) {
            operation.value = held[operation.key];
        }
        held[operation.key] = operation.value;
        history_add(&history, &operation);
    }
}

START_TEST(long_history_is_proven_by_its_indexes)
{
    tell_at_length(LONG_OPERATIONS, 1000);
    const struct history_result result = judge(HISTORY_BY_LOG, false);
    ck_assert_int_eq(result.verdict, HISTORY_LINEARIZABLE);
    ck_assert(result.by_witness);
    ck_assert_uint_eq(result.states, 0);
}
END_TEST

START_TEST(long_history_is_found_without_indexes)
{
    tell_at_length(LONG_OPERATIONS, 1000);
    ck_assert_int_eq(judge(HISTORY_BY_LOG, true).verdict, HISTORY_LINEARIZABLE);
    history.operations[LONG_OPERATIONS - 1000].value = 1;
    history.operations[LONG_OPERATIONS - 1000].kind = HISTORY_GET;
    const struct history_result result = judge(HISTORY_BY_LOG, true);
    ck_assert_int_eq(result.verdict, HISTORY_VIOLATION);
    ck_assert_uint_eq(result.key, history.operations[LONG_OPERATIONS - 1000].key);
}
END_TEST

START_TEST(search_that_runs_out_of_states_decides_nothing)
{
    tell_at_length(200, 1);
    const struct history_options options = {
        .order = HISTORY_BY_LOG, .hide_indexes = true, .states_max = 20};
    const struct history_result result = history_check(&history, &options);
    ck_assert_int_eq(result.verdict, HISTORY_UNDECIDED);
    ck_assert_str_ne(result.reason, "");
}
END_TEST

START_TEST(check_leaves_the_history_alone)
{
    tell(LINES("put 1 7 1-2 @5", "put 1 8 3-?", "del 1 4-?", "get 1 0 6-7 @9", "put 2 7 1-2!"));
    const size_t size = history.count * sizeof(*history.operations);
    struct history_operation *before = malloc(size);
    ck_assert_ptr_nonnull(before);
    memcpy(before, history.operations, size);
    judge(HISTORY_BY_VERSION, false);
    judge(HISTORY_BY_VERSION, true);
    ck_assert_mem_eq(before, history.operations, size);
    free(before);
}
END_TEST

/* -- as text -- */

START_TEST(operations_come_back_from_text)
{
    static const char *const lines[] = {
        "put 1 7 1-2 @5", "put 12 7 1-?",   "del 1 3-4 @6",         "del 1 3-?",
        "get 1 0 5-6",    "get 1 8 5-6 @9", "cas 1 7>8 100-101 @7", "cas 1 7|8 3-4 @5",
        "cas 1 0>8 3-?",  "put 1 9 3-4!"};
    struct history_operation operation;
    char line[HISTORY_LINE_SIZE];

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ck_assert(history_parse(lines[i], &operation));
        history_print(&operation, line);
        ck_assert_str_eq(line, lines[i]);
    }
}
END_TEST

START_TEST(what_is_no_operation_is_refused)
{
    static const char *const lines[] = {"",
                                        "put",
                                        "get 1 1-2",
                                        "put 1 7 1",
                                        "put 1 7 2-1",
                                        "ask 1 1-2",
                                        "put 1 7 1-2 5",
                                        "put x 7 1-2",
                                        "put 1 7 1-2 @5 more",
                                        "cas 1 7 1-2",
                                        "cas 1 7+8 1-2",
                                        "del 1",
                                        "put 1 7 1-2 @"};
    struct history_operation operation;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ck_assert_msg(!history_parse(lines[i], &operation), "taken: %s", lines[i]);
    }
}
END_TEST

static void add_rejected(TCase *tcase)
{
    tcase_add_test(tcase, stale_read);
    tcase_add_test(tcase, stale_read_that_claims_to_be_new);
    tcase_add_test(tcase, read_of_nothing_after_a_write);
    tcase_add_test(tcase, future_read);
    tcase_add_test(tcase, read_of_what_nobody_wrote);
    tcase_add_test(tcase, reads_that_go_back);
    tcase_add_test(tcase, lost_update);
    tcase_add_test(tcase, two_of_one_lock);
    tcase_add_test(tcase, write_that_vanishes);
    tcase_add_test(tcase, aborted_read);
    tcase_add_test(tcase, cas_that_met_its_value_and_says_no);
    tcase_add_test(tcase, cas_that_met_another_and_says_yes);
    tcase_add_test(tcase, unknown_write_that_is_undone);
    tcase_add_test(tcase, unknown_write_seen_before_it_was_asked_for);
    tcase_add_test(tcase, unknown_write_that_happens_twice);
    tcase_add_test(tcase, unknown_delete_that_happens_twice);
    tcase_add_test(tcase, deleted_key_that_comes_back);
    tcase_add_test(tcase, one_bad_key_among_good_ones);
    tcase_add_test(tcase, readers_that_disagree_on_the_order_of_writes);
    tcase_add_test(tcase, open_cas_that_cannot_have_met_its_value);
    tcase_add_test(tcase, open_delete_that_comes_too_late);
    tcase_add_test(tcase, write_that_was_not_done_and_is_in_the_log);
}

static void add_accepted(TCase *tcase)
{
    tcase_add_test(tcase, nothing_at_all);
    tcase_add_test(tcase, reads_of_a_key_never_written);
    tcase_add_test(tcase, old_value_while_the_write_is_under_way);
    tcase_add_test(tcase, later_request_first_in_the_log);
    tcase_add_test(tcase, writes_that_touch_in_time_may_swap);
    tcase_add_test(tcase, unknown_write_that_the_log_holds);
    tcase_add_test(tcase, unknown_write_that_never_was);
    tcase_add_test(tcase, unknown_cas_in_the_log_that_met_another_value);
    tcase_add_test(tcase, refused_cas);
    tcase_add_test(tcase, chain_of_cas_that_overlap);
    tcase_add_test(tcase, keys_of_their_own);
    tcase_add_test(tcase, version_read_long_after_other_keys_moved);
    tcase_add_test(tcase, version_of_an_unknown_write_known_by_its_reader);
    tcase_add_test(tcase, version_left_by_an_unknown_delete);
    tcase_add_test(tcase, version_that_a_refused_cas_met);
    tcase_add_test(tcase, delete_of_nothing_claims_the_last_version);
    tcase_add_test(tcase, versions_of_nothing_are_of_any_time_since);
    tcase_add_test(tcase, reads_without_an_index);
    tcase_add_test(tcase, claims_that_are_wrong);
    tcase_add_test(tcase, unknown_put_known_only_by_the_cas_that_it_spoilt);
    tcase_add_test(tcase, unknown_delete_that_let_a_cas_through);
    tcase_add_test(tcase, open_cas_on_an_open_put);
    tcase_add_test(tcase, claims_of_two_keys_that_contradict);
}

int main(void)
{
    TCase *tcase = tcase_create("history");

    tcase_add_checked_fixture(tcase, setup, teardown);
    add_rejected(tcase);
    add_accepted(tcase);
    tcase_add_test(tcase, verdicts_are_those_of_trying_every_order);
    tcase_add_test(tcase, long_history_is_proven_by_its_indexes);
    tcase_add_test(tcase, long_history_is_found_without_indexes);
    tcase_add_test(tcase, search_that_runs_out_of_states_decides_nothing);
    tcase_add_test(tcase, check_leaves_the_history_alone);
    tcase_add_test(tcase, operations_come_back_from_text);
    tcase_add_test(tcase, what_is_no_operation_is_refused);
    tcase_set_timeout(tcase, 60);
    return run_suite("history", tcase);
}
