/* Transactions in the state machine: all or none, each operation on what those before it made, and a
 * check that agrees with what is then done. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/prng.h"
#include "statemachine/txn.h"
#include "support/quick.h"
#include "support/run.h"
#include "support/sm_commands.h"

static struct sm *sm;
static raft_index last_index;
static struct rk_buf ops;
static uint32_t ops_count;
static struct sm_result result;

static void setup(void)
{
    sm = sm_new();
    last_index = 10;
    sm_now_ms = 1000;
    ops_count = 0;
    rk_buf_init(&ops, RK_COMMAND_SIZE_MAX);
    sm_result_init(&result);
}

static void teardown(void)
{
    sm_result_done(&result);
    rk_buf_done(&ops);
    sm_free(sm);
}

static void add(enum sm_kv_verb verb, const char *key, const char *value, uint64_t index)
{
    sm_kv_op_append(
        &(struct sm_kv_op){
            .verb = verb, .key = bytes_of(key), .value = bytes_of(value), .index = index},
        &ops);
    ops_count++;
}

static struct session_id id_of(uint8_t first)
{
    return (struct session_id){.bytes = {first}};
}

static void add_session(enum sm_kv_verb verb, const char *key, uint8_t session)
{
    sm_kv_op_append(&(struct sm_kv_op){.verb = verb,
                                       .key = bytes_of(key),
                                       .value = bytes_of("held"),
                                       .has_session = session != 0,
                                       .session = id_of(session)},
                    &ops);
    ops_count++;
}

static struct sm_command_txn txn_of_ops(void)
{
    return (struct sm_command_txn){.count = ops_count, .ops = rk_buf_bytes(&ops)};
}

static enum sm_reason apply_to(struct sm *to, raft_index index)
{
    const struct sm_command command = {.type = SM_COMMAND_TXN, .txn = txn_of_ops()};
    const struct sm_place place = {.term = 1, .index = index, .time_ms = sm_now_ms};
    struct rk_buf buf;

    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
    sm_command_encode(&command, &buf);
    sm_result_done(&result);
    quick_assert(sm_apply(to, &place, rk_buf_bytes(&buf), &result) == RK_OK);
    rk_buf_done(&buf);
    return result.reason;
}

static enum sm_reason apply(void)
{
    const enum sm_reason reason = apply_to(sm, ++last_index);
    rk_buf_reset(&ops);
    ops_count = 0;
    return reason;
}

static void put(const char *key, const char *value)
{
    (void)sm_do_put(sm, ++last_index,
                    &(struct sm_command_put){.key = bytes_of(key), .value = bytes_of(value)});
}

static void create(uint8_t session)
{
    (void)sm_do(sm, ++last_index,
                &(struct sm_command){
                    .type = SM_COMMAND_SESSION_CREATE,
                    .session = {.id = id_of(session), .record = {.node = bytes_of("n1")}}});
}

static bool get(const char *key, struct sm_kv_entry *ret)
{
    const struct sm_root root = sm_publish(sm);
    return sm_kv_get(&root, bytes_of(key), ret);
}

/* The nth error of the last result; SM_DONE: there are fewer. */
static struct sm_txn_error error_at(uint32_t nth)
{
    struct rk_bytes rest = rk_buf_bytes(&result.body);
    struct sm_txn_error error = {.reason = SM_DONE};

    for (uint32_t i = 0; i <= nth; i++) {
        if (!sm_txn_error_next(&rest, &error)) {
            return (struct sm_txn_error){.reason = SM_DONE};
        }
    }
    return error;
}

static uint32_t entries_count(void)
{
    struct rk_bytes rest = rk_buf_bytes(&result.body);
    struct sm_kv_entry entry;
    bool has_value = false;
    uint32_t count = 0;

    while (sm_txn_entry_next(&rest, &entry, &has_value)) {
        count++;
    }
    ck_assert_uint_eq(rest.size, 0);
    return count;
}

START_TEST(all_operations_have_one_index)
{
    struct sm_kv_entry entry;
    add(SM_KV_SET, "a", "1", 0);
    add(SM_KV_SET, "b", "2", 0);
    ck_assert_int_eq(apply(), SM_DONE);
    ck_assert_uint_eq(entries_count(), 2);
    ck_assert(get("a", &entry));
    ck_assert_uint_eq(entry.modify_index, last_index);
    ck_assert(get("b", &entry));
    ck_assert_uint_eq(entry.modify_index, last_index);
}
END_TEST

START_TEST(case_50_one_failure_undoes_all)
{
    struct sm_kv_entry entry;
    put("k", "old");
    const struct sm_root before = sm_publish(sm);
    add(SM_KV_SET, "other", "1", 0);
    add(SM_KV_DELETE_TREE, "", "", 0);
    add(SM_KV_CAS, "k", "new", 3);
    ck_assert_int_eq(apply(), SM_ROLLED_BACK);
    ck_assert_uint_eq(error_at(0).op, 2);
    ck_assert_int_eq(error_at(0).reason, SM_STALE_INDEX);
    ck_assert(!get("other", &entry));
    ck_assert(get("k", &entry));
    const struct sm_root after = sm_publish(sm);
    ck_assert_uint_eq(after.kv_index, before.kv_index);
}
END_TEST

START_TEST(every_failure_is_told)
{
    put("k", "v");
    add(SM_KV_GET, "missing", "", 0);
    add(SM_KV_CAS, "k", "x", 3);
    add(SM_KV_SET, "fine", "x", 0);
    add(SM_KV_CHECK_INDEX, "k", "", 4);
    add(SM_KV_CHECK_NOT_EXISTS, "k", "", 0);
    add(SM_KV_CHECK_INDEX, "missing", "", 4);
    add_session(SM_KV_LOCK, "l", 0);
    add_session(SM_KV_LOCK, "l", 9);
    add_session(SM_KV_UNLOCK, "k", 9);
    add(SM_KV_DELETE_CAS, "k", "", 5);
    add_session(SM_KV_CHECK_SESSION, "k", 9);
    ck_assert_int_eq(apply(), SM_ROLLED_BACK);
    static const struct {
        uint32_t op;
        enum sm_reason reason;
    } expected[] = {
        {0, SM_KEY_MISSING}, {1, SM_STALE_INDEX},      {3, SM_INDEX_DIFFERS},   {4, SM_KEY_EXISTS},
        {5, SM_KEY_MISSING}, {6, SM_SESSION_MISSING},  {7, SM_SESSION_UNKNOWN}, {8, SM_NOT_HOLDER},
        {9, SM_STALE_INDEX}, {10, SM_SESSION_DIFFERS},
    };
    for (uint32_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        ck_assert_uint_eq(error_at(i).op, expected[i].op);
        ck_assert_int_eq(error_at(i).reason, expected[i].reason);
    }
    ck_assert_int_eq(error_at(10).reason, SM_DONE);
    ck_assert_uint_eq(error_at(2).modify_index, 11);
}
END_TEST

/* Contract 2.3: evaluated in order, against what the transaction has made so far. */
START_TEST(operation_sees_those_before_it)
{
    struct sm_kv_entry entry;
    put("old/1", "1");
    add(SM_KV_DELETE_TREE, "old/", "", 0);
    add(SM_KV_CHECK_NOT_EXISTS, "old/1", "", 0);
    add(SM_KV_CAS, "new", "a", 0);
    add(SM_KV_CHECK_INDEX, "new", "", 12);
    add(SM_KV_CAS, "new", "b", 12);
    add(SM_KV_GET, "new", "", 0);
    add(SM_KV_DELETE, "new", "", 0);
    add(SM_KV_CAS, "new", "c", 0);
    ck_assert_int_eq(apply(), SM_DONE);
    ck_assert(get("new", &entry));
    ck_assert(memcmp(entry.value.data, "c", 1) == 0);
    ck_assert(!get("old/1", &entry));
}
END_TEST

START_TEST(lock_and_unlock_see_each_other)
{
    struct sm_kv_entry entry;
    create(1);
    create(2);
    add_session(SM_KV_LOCK, "l", 1);
    add_session(SM_KV_CHECK_SESSION, "l", 1);
    add_session(SM_KV_UNLOCK, "l", 1);
    add_session(SM_KV_CHECK_SESSION, "l", 0);
    add_session(SM_KV_LOCK, "l", 2);
    ck_assert_int_eq(apply(), SM_DONE);
    ck_assert(get("l", &entry));
    ck_assert(entry.is_locked && entry.session.bytes[0] == 2);
    ck_assert_uint_eq(entry.lock_index, 2);
    add_session(SM_KV_LOCK, "l", 1);
    ck_assert_int_eq(apply(), SM_ROLLED_BACK);
    ck_assert_int_eq(error_at(0).reason, SM_LOCK_HELD);
}
END_TEST

START_TEST(lock_delay_holds_in_a_transaction)
{
    struct sm_command command = {
        .type = SM_COMMAND_SESSION_CREATE,
        .session = {.id = id_of(1),
                    .record = {.node = bytes_of("n1"), .lock_delay_ns = UINT64_C(1000000000)}}};
    (void)sm_do(sm, ++last_index, &command);
    create(2);
    add_session(SM_KV_LOCK, "l", 1);
    ck_assert_int_eq(apply(), SM_DONE);
    command.type = SM_COMMAND_SESSION_DESTROY;
    (void)sm_do(sm, ++last_index, &command);
    add_session(SM_KV_LOCK, "l", 2);
    ck_assert_int_eq(apply(), SM_ROLLED_BACK);
    ck_assert_int_eq(error_at(0).reason, SM_LOCK_DELAYED);
    sm_now_ms += 1000;
    add_session(SM_KV_LOCK, "l", 2);
    ck_assert_int_eq(apply(), SM_DONE);
}
END_TEST

START_TEST(what_changes_nothing_keeps_its_index)
{
    struct sm_kv_entry entry;
    bool has_value = true;
    put("k", "v");
    add(SM_KV_SET, "k", "v", 0);
    ck_assert_int_eq(apply(), SM_DONE);
    struct rk_bytes rest = rk_buf_bytes(&result.body);
    ck_assert(sm_txn_entry_next(&rest, &entry, &has_value));
    ck_assert_uint_eq(entry.modify_index, 11);
    ck_assert(!has_value);
}
END_TEST

START_TEST(tree_yields_each_key_with_its_value)
{
    put("t/1", "a");
    put("t/2", "b");
    add(SM_KV_GET_TREE, "t/", "", 0);
    add(SM_KV_GET_OR_EMPTY, "none", "", 0);
    add(SM_KV_DELETE, "t/1", "", 0);
    ck_assert_int_eq(apply(), SM_DONE);
    ck_assert_uint_eq(entries_count(), 3);
}
END_TEST

/* A bounded answer: what does not fit fails, before anything is done. */
START_TEST(too_large_an_answer_rolls_back)
{
    uint8_t *value = rk_heap_zalloc(1, RK_VALUE_SIZE_MAX);
    char key[] = "big/0";
    for (char i = '0'; i < '6'; i++) {
        key[4] = i;
        (void)sm_do_put(
            sm, ++last_index,
            &(struct sm_command_put){.key = bytes_of(key),
                                     .value = {.data = value, .size = RK_VALUE_SIZE_MAX}});
    }
    add(SM_KV_SET, "k", "v", 0);
    add(SM_KV_GET_TREE, "big/", "", 0);
    ck_assert_int_eq(apply(), SM_ROLLED_BACK);
    ck_assert_int_eq(error_at(0).reason, SM_RESULT_TOO_LARGE);
    rk_heap_free(value);
}
END_TEST

START_TEST(empty_transaction_is_done)
{
    ck_assert_int_eq(apply(), SM_DONE);
    ck_assert_uint_eq(entries_count(), 0);
}
END_TEST

START_TEST(reading_at_a_root_is_what_applying_answers)
{
    struct sm_result read;
    put("k", "v");
    add(SM_KV_GET, "k", "", 0);
    add(SM_KV_GET_TREE, "", "", 0);
    const struct sm_root root = sm_publish(sm);
    const struct sm_command_txn txn = txn_of_ops();
    sm_result_init(&read);
    sm_txn_read(&root, &txn, &read);
    ck_assert_int_eq(apply(), SM_DONE);
    ck_assert_uint_eq(read.body.size, result.body.size);
    ck_assert_mem_eq(read.body.data, result.body.data, read.body.size);
    sm_result_done(&read);
    add(SM_KV_GET, "missing", "", 0);
    const struct sm_command_txn failing = txn_of_ops();
    sm_result_init(&read);
    sm_txn_read(&root, &failing, &read);
    ck_assert_int_eq(read.reason, SM_ROLLED_BACK);
    sm_result_done(&read);
}
END_TEST

/* --- at random: a transaction is what its operations are, one entry each --- */

static struct rk_prng prng;

static void random_op(struct sm_kv_op *op, char key[3])
{
    static const enum sm_kv_verb verbs[] = {SM_KV_SET,    SM_KV_LOCK,         SM_KV_LOCK,
                                            SM_KV_UNLOCK, SM_KV_DELETE,       SM_KV_DELETE_TREE,
                                            SM_KV_GET,    SM_KV_CHECK_SESSION};

    key[0] = (char)('a' + rk_prng_below(&prng, 2));
    key[1] = (char)('a' + rk_prng_below(&prng, 2));
    key[2] = '\0';
    *op = (struct sm_kv_op){
        .verb = verbs[rk_prng_below(&prng, sizeof(verbs) / sizeof(verbs[0]))],
        .key = {.data = (const uint8_t *)key, .size = 2},
        .value = {.data = (const uint8_t *)key, .size = (uint32_t)rk_prng_below(&prng, 2)},
        .flags = rk_prng_below(&prng, 2),
        .has_session = true,
        .session = id_of((uint8_t)(1 + rk_prng_below(&prng, 2))),
    };
    if (op->verb == SM_KV_DELETE_TREE) {
        op->key.size = 1;
    }
}

/* Whether what the two hold differs only in indexes. */
static bool are_alike(struct sm *one, struct sm *two)
{
    const struct sm_root a = sm_publish(one);
    const struct sm_root b = sm_publish(two);
    struct sm_kv_cursor at_a;
    struct sm_kv_cursor at_b;
    struct sm_kv_entry in_a;
    struct sm_kv_entry in_b;

    sm_kv_cursor_init(&at_a, &a, bytes_of(""));
    sm_kv_cursor_init(&at_b, &b, bytes_of(""));
    while (sm_kv_cursor_next(&at_a, &in_a)) {
        if (!sm_kv_cursor_next(&at_b, &in_b) || in_a.key.size != in_b.key.size ||
            memcmp(in_a.key.data, in_b.key.data, in_a.key.size) != 0 ||
            in_a.value.size != in_b.value.size || in_a.flags != in_b.flags ||
            in_a.lock_index != in_b.lock_index || in_a.is_locked != in_b.is_locked ||
            !session_id_equal(&in_a.session, &in_b.session)) {
            return false;
        }
    }
    return !sm_kv_cursor_next(&at_b, &in_b);
}

static struct sm *with_sessions(void)
{
    struct sm *made = sm_new();
    struct sm *kept = sm;

    sm = made;
    create(1);
    create(2);
    sm = kept;
    return made;
}

/* Alone, as an entry of its own. */
static bool is_done_alone(struct sm *to, const struct sm_kv_op *op)
{
    const struct rk_buf kept = ops;
    const uint32_t kept_count = ops_count;

    rk_buf_init(&ops, RK_COMMAND_SIZE_MAX);
    ops_count = 1;
    sm_kv_op_append(op, &ops);
    const bool is_done = apply_to(to, ++last_index) == SM_DONE;
    rk_buf_done(&ops);
    ops = kept;
    ops_count = kept_count;
    return is_done;
}

/* The check speaks for what is then done: a transaction passes exactly if each operation, an entry
 * of its own, is accepted after those before it, and then comes to the same; indexes aside, hence no
 * compare-and-set among these. */
START_TEST(transaction_comes_to_what_its_operations_come_to)
{
    uint32_t passed = 0;

    rk_prng_seed(&prng, 1 + (uint64_t)_i);
    for (int round = 0; round < 400; round++) {
        struct sm *whole = with_sessions();
        struct sm *alone = with_sessions();
        bool is_each_done = true;
        rk_buf_reset(&ops);
        for (ops_count = 0; ops_count < 5; ops_count++) {
            struct sm_kv_op op;
            char key[3];
            random_op(&op, key);
            is_each_done = is_done_alone(alone, &op) && is_each_done;
            sm_kv_op_append(&op, &ops);
        }
        const bool is_done = apply_to(whole, ++last_index) == SM_DONE;
        quick_assert(is_done == is_each_done);
        quick_assert(!is_done || are_alike(whole, alone));
        passed += is_done ? 1 : 0;
        sm_free(whole);
        sm_free(alone);
    }
    ck_assert_uint_gt(passed, 20);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("sm_txn");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, all_operations_have_one_index);
    tcase_add_test(tcase, case_50_one_failure_undoes_all);
    tcase_add_test(tcase, every_failure_is_told);
    tcase_add_test(tcase, operation_sees_those_before_it);
    tcase_add_test(tcase, lock_and_unlock_see_each_other);
    tcase_add_test(tcase, lock_delay_holds_in_a_transaction);
    tcase_add_test(tcase, what_changes_nothing_keeps_its_index);
    tcase_add_test(tcase, tree_yields_each_key_with_its_value);
    tcase_add_test(tcase, too_large_an_answer_rolls_back);
    tcase_add_test(tcase, empty_transaction_is_done);
    tcase_add_test(tcase, reading_at_a_root_is_what_applying_answers);
    tcase_add_loop_test(tcase, transaction_comes_to_what_its_operations_come_to, 0, 4);
    return run_suite("sm_txn", tcase);
}
