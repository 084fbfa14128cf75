/* Sessions and locks in the state machine: who holds what, until when, and what the end of a session
 * does. Time is what the entries say. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "statemachine/sm.h"
#include "support/run.h"
#include "support/sm_commands.h"

static struct sm *sm;
static raft_index last_index;

static void setup(void)
{
    sm = sm_new();
    last_index = 10;
    sm_now_ms = 1000;
}

static void teardown(void)
{
    sm_free(sm);
}

static struct session_id id_of(uint8_t first)
{
    return (struct session_id){.bytes = {first}};
}

static struct sm_result session_do(enum sm_command_type type, uint8_t session)
{
    return sm_do(sm, ++last_index,
                 &(struct sm_command){.type = type, .session = {.id = id_of(session)}});
}

static struct sm_result create_with(uint8_t session, const struct session_record *record)
{
    struct sm_command command = {
        .type = SM_COMMAND_SESSION_CREATE,
        .session = {.id = id_of(session), .record = *record},
    };
    command.session.record.node = bytes_of("n1");
    return sm_do(sm, ++last_index, &command);
}

static void create(uint8_t session)
{
    const struct sm_result result = create_with(session, &(struct session_record){.ttl_ms = 0});
    ck_assert(result.accepted);
}

static struct sm_result lock_do(enum sm_kv_verb verb, const char *key, const char *value,
                                uint8_t session)
{
    return sm_do(sm, ++last_index,
                 &(struct sm_command){.type = SM_COMMAND_KV_OP,
                                      .op = {.verb = verb,
                                             .key = bytes_of(key),
                                             .value = bytes_of(value),
                                             .has_session = true,
                                             .session = id_of(session)}});
}

static struct sm_result acquire(const char *key, uint8_t session)
{
    return lock_do(SM_KV_LOCK, key, "v", session);
}

static struct sm_kv_entry entry_of(const char *key)
{
    const struct sm_root root = sm_publish(sm);
    struct sm_kv_entry entry = {.lock_index = UINT64_MAX};
    (void)sm_kv_get(&root, bytes_of(key), &entry);
    return entry;
}

static bool exists(const char *key)
{
    return entry_of(key).lock_index != UINT64_MAX;
}

static bool session_exists(uint8_t session)
{
    const struct sm_root root = sm_publish(sm);
    const struct session_id id = id_of(session);
    struct sm_session found;
    return sm_session_get(&root, &id, &found);
}

/* Proposes what is over now and applies it, as the leader of term 1 does. */
static uint32_t expire(void)
{
    const struct sm_place now = {.term = 1, .time_ms = sm_now_ms};
    struct sm_command command;
    struct rk_buf items;
    uint32_t count = 0;

    rk_buf_init(&items, RK_COMMAND_SIZE_MAX / 2);
    if (sm_find_expired(sm, &now, &items, &command)) {
        count = command.expire.count;
        (void)sm_do(sm, ++last_index, &command);
    }
    rk_buf_done(&items);
    return count;
}

/* --- taking and giving back --- */

START_TEST(case_42_one_holder_and_a_lock_index_that_counts_them)
{
    create(1);
    create(2);
    ck_assert(acquire("k", 1).accepted);
    ck_assert_uint_eq(entry_of("k").lock_index, 1);
    ck_assert(entry_of("k").is_locked);
    ck_assert_int_eq(acquire("k", 2).reason, SM_LOCK_HELD);
    ck_assert(acquire("k", 1).accepted);
    ck_assert_uint_eq(entry_of("k").lock_index, 1);
    ck_assert_int_eq(lock_do(SM_KV_UNLOCK, "k", "", 2).reason, SM_NOT_HOLDER);
    ck_assert(lock_do(SM_KV_UNLOCK, "k", "", 1).accepted);
    ck_assert_uint_eq(entry_of("k").lock_index, 1);
    ck_assert(!entry_of("k").is_locked);
    ck_assert(acquire("k", 2).accepted);
    ck_assert_uint_eq(entry_of("k").lock_index, 2);
}
END_TEST

START_TEST(case_41_unknown_session_takes_nothing)
{
    const struct sm_result result = acquire("k", 9);
    ck_assert_int_eq(result.reason, SM_SESSION_UNKNOWN);
    ck_assert(!exists("k"));
}
END_TEST

/* Pitfall 127: alive and free are looked at where it is taken, not before. */
START_TEST(pitfall_127_ended_session_takes_nothing)
{
    create(1);
    (void)session_do(SM_COMMAND_SESSION_DESTROY, 1);
    ck_assert_int_eq(acquire("k", 1).reason, SM_SESSION_UNKNOWN);
}
END_TEST

/* Pitfall 128: the token of a tenure is the index at which it began, and rises. */
START_TEST(pitfall_128_fence_is_the_index_of_the_taking)
{
    create(1);
    create(2);
    const raft_index first = acquire("k", 1).fence;
    ck_assert_uint_eq(first, last_index);
    ck_assert_uint_eq(lock_do(SM_KV_LOCK, "k", "changed", 1).fence, first);
    (void)lock_do(SM_KV_UNLOCK, "k", "", 1);
    ck_assert_uint_gt(acquire("k", 2).fence, first);
    (void)sm_do_delete(sm, ++last_index, &(struct sm_command_delete){.key = bytes_of("k")});
    ck_assert_uint_eq(acquire("k", 1).fence, last_index);
}
END_TEST

START_TEST(taking_again_without_a_change_changes_no_index)
{
    create(1);
    const raft_index index = acquire("k", 1).modify_index;
    ck_assert_uint_eq(acquire("k", 1).modify_index, index);
    ck_assert_uint_eq(entry_of("k").modify_index, index);
    ck_assert_uint_gt(lock_do(SM_KV_LOCK, "k", "other", 1).modify_index, index);
}
END_TEST

START_TEST(case_43_plain_put_keeps_session_and_lock_index)
{
    create(1);
    (void)acquire("k", 1);
    (void)sm_do_put(sm, ++last_index,
                    &(struct sm_command_put){.key = bytes_of("k"), .value = bytes_of("theirs")});
    ck_assert(entry_of("k").is_locked);
    ck_assert_uint_eq(entry_of("k").lock_index, 1);
}
END_TEST

START_TEST(release_overwrites_value_and_flags)
{
    create(1);
    (void)lock_do(SM_KV_LOCK, "k", "mine", 1);
    (void)lock_do(SM_KV_UNLOCK, "k", "", 1);
    ck_assert_uint_eq(entry_of("k").value.size, 0);
}
END_TEST

/* Contract 2.2: a deletion looks at no lock, and the key is simply not held any more. */
START_TEST(deleted_key_is_not_held_and_can_be_taken)
{
    create(1);
    create(2);
    (void)acquire("a/1", 1);
    (void)acquire("a/2", 1);
    (void)sm_do_delete(sm, ++last_index, &(struct sm_command_delete){.key = bytes_of("a/1")});
    (void)sm_do_delete_prefix(sm, ++last_index, bytes_of("a/"));
    ck_assert(acquire("a/1", 2).accepted);
    ck_assert(acquire("a/2", 2).accepted);
    (void)session_do(SM_COMMAND_SESSION_DESTROY, 1);
    ck_assert(entry_of("a/1").is_locked && entry_of("a/2").is_locked);
}
END_TEST

START_TEST(session_holds_so_many_keys_and_no_more)
{
    char key[32];
    create(1);
    for (uint32_t i = 0; i < SM_SESSION_LOCKS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "gone/%u", i);
        ck_assert(acquire(key, 1).accepted);
    }
    ck_assert_int_eq(acquire("more", 1).reason, SM_TOO_MANY_LOCKS);
    ck_assert(acquire("gone/7", 1).accepted);
    /* A deleted prefix leaves room, at once. */
    (void)sm_do_delete_prefix(sm, ++last_index, bytes_of("gone/1"));
    ck_assert(acquire("more", 1).accepted);
}
END_TEST

/* --- the end of a session --- */

START_TEST(case_44_release_keeps_the_key_and_wakes_its_watchers)
{
    create(1);
    const struct sm_result taken = acquire("k", 1);
    (void)session_do(SM_COMMAND_SESSION_DESTROY, 1);
    const struct sm_kv_entry entry = entry_of("k");
    ck_assert(!entry.is_locked);
    ck_assert_uint_gt(entry.modify_index, taken.modify_index);
    ck_assert_uint_eq(entry.lock_index, 1);
    ck_assert_uint_eq(entry.value.size, 1);
    ck_assert(!session_exists(1));
}
END_TEST

/* Contract 2.4: the delay holds for everybody, the former holder's next session too, and ends in
 * cluster time: replicated, so that no change of leaders forgets it (pitfall 129). */
START_TEST(case_44_lock_delay_holds_the_key_back)
{
    const struct session_record record = {.lock_delay_ns = UINT64_C(5000000000)};
    (void)create_with(1, &record);
    create(2);
    (void)acquire("k", 1);
    (void)session_do(SM_COMMAND_SESSION_DESTROY, 1);
    sm_now_ms += 4999;
    ck_assert_int_eq(acquire("k", 2).reason, SM_LOCK_DELAYED);
    sm_now_ms += 1;
    ck_assert(acquire("k", 2).accepted);
}
END_TEST

START_TEST(release_by_its_holder_delays_nobody)
{
    const struct session_record record = {.lock_delay_ns = UINT64_C(5000000000)};
    (void)create_with(1, &record);
    create(2);
    (void)acquire("k", 1);
    (void)lock_do(SM_KV_UNLOCK, "k", "", 1);
    ck_assert(acquire("k", 2).accepted);
}
END_TEST

START_TEST(case_45_delete_takes_the_keys_along_in_one_entry)
{
    (void)create_with(1, &(struct session_record){.behavior = SESSION_DELETE});
    (void)acquire("a/1", 1);
    (void)acquire("a/2", 1);
    (void)acquire("b", 1);
    (void)session_do(SM_COMMAND_SESSION_DESTROY, 1);
    const struct sm_root root = sm_publish(sm);
    ck_assert_uint_eq(sm_kv_count(&root, bytes_of("")), 0);
    ck_assert_uint_eq(sm_kv_index_of_prefix(&root, bytes_of("a/")), last_index);
    ck_assert_uint_eq(sm_kv_index_of_prefix(&root, bytes_of("b")), last_index);
}
END_TEST

START_TEST(lock_delay_counts_for_deleted_keys_too)
{
    (void)create_with(1, &(struct session_record){.behavior = SESSION_DELETE,
                                                  .lock_delay_ns = UINT64_C(5000000000)});
    create(2);
    (void)acquire("k", 1);
    (void)session_do(SM_COMMAND_SESSION_DESTROY, 1);
    ck_assert_int_eq(acquire("k", 2).reason, SM_LOCK_DELAYED);
}
END_TEST

START_TEST(destroying_what_is_not_there_changes_nothing)
{
    create(1);
    const raft_index before = sm_publish(sm).session_index;
    ck_assert(session_do(SM_COMMAND_SESSION_DESTROY, 9).accepted);
    ck_assert_uint_eq(sm_publish(sm).session_index, before);
}
END_TEST

/* --- time to live --- */

/* Case 46, and contract 4.3: clients halve their TTL because the original doubles it. */
START_TEST(case_46_session_lives_two_ttls_from_its_last_renewal)
{
    (void)create_with(1, &(struct session_record){.ttl_ms = 10000});
    sm_now_ms += 15000;
    ck_assert(session_do(SM_COMMAND_SESSION_RENEW, 1).accepted);
    sm_now_ms += 19999;
    ck_assert_uint_eq(expire(), 0);
    ck_assert(session_exists(1));
    sm_now_ms += 1;
    ck_assert_uint_eq(expire(), 1);
    ck_assert(!session_exists(1));
}
END_TEST

START_TEST(exact_session_lives_one_ttl)
{
    (void)create_with(1, &(struct session_record){.ttl_ms = 10000, .is_exact = true});
    sm_now_ms += 9999;
    ck_assert_uint_eq(expire(), 0);
    sm_now_ms += 1;
    ck_assert_uint_eq(expire(), 1);
}
END_TEST

START_TEST(case_39_session_without_a_ttl_is_renewed_and_never_ends)
{
    create(1);
    ck_assert(session_do(SM_COMMAND_SESSION_RENEW, 1).accepted);
    sm_now_ms = UINT64_MAX / 2;
    ck_assert_uint_eq(expire(), 0);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
}
END_TEST

/* A renewal is no change that anybody who reads sessions could see. */
START_TEST(renewal_moves_no_index)
{
    (void)create_with(1, &(struct session_record){.ttl_ms = 10000});
    const raft_index before = sm_publish(sm).session_index;
    const struct sm_result result = session_do(SM_COMMAND_SESSION_RENEW, 1);
    ck_assert_uint_eq(result.modify_index, before);
    ck_assert_uint_eq(sm_publish(sm).session_index, before);
}
END_TEST

static struct sm_command stale_expire(const struct sm_expire_item *item, raft_term term,
                                      struct rk_buf *items)
{
    sm_expire_item_append(item, items);
    return (struct sm_command){.type = SM_COMMAND_EXPIRE,
                               .expire = {.term = term, .count = 1, .items = rk_buf_bytes(items)}};
}

/* Pitfall 124: found to be over, then renewed by an entry that came first. */
START_TEST(pitfall_124_expiry_of_a_renewed_session_does_nothing)
{
    struct rk_buf items;
    rk_buf_init(&items, 256);
    (void)create_with(1, &(struct session_record){.ttl_ms = 10000});
    const struct sm_expire_item seen = {.id = id_of(1), .renew_index = last_index};
    sm_now_ms += 20000;
    (void)session_do(SM_COMMAND_SESSION_RENEW, 1);
    const struct sm_command command = stale_expire(&seen, 1, &items);
    (void)sm_do(sm, ++last_index, &command);
    ck_assert(session_exists(1));
    rk_buf_done(&items);
}
END_TEST

/* Pitfall 124: what a deposed leader found is nothing in an entry of another term. */
START_TEST(pitfall_124_expiry_of_another_term_does_nothing)
{
    struct rk_buf items;
    rk_buf_init(&items, 256);
    (void)create_with(1, &(struct session_record){.ttl_ms = 10000});
    const struct sm_expire_item seen = {.id = id_of(1), .renew_index = last_index};
    const struct sm_command command = stale_expire(&seen, 2, &items);
    (void)sm_do(sm, ++last_index, &command);
    ck_assert(session_exists(1));
    rk_buf_done(&items);
}
END_TEST

/* Pitfall 131: many that end at once end in entries of bounded size. */
START_TEST(pitfall_131_storm_of_expiries_comes_in_batches)
{
    uint32_t ended = 0;
    uint32_t rounds = 0;
    for (uint32_t i = 0; i < 2 * SM_EXPIRE_ITEMS_MAX + 1; i++) {
        struct sm_command command = {
            .type = SM_COMMAND_SESSION_CREATE,
            .session = {.id = {.bytes = {(uint8_t)i, (uint8_t)(i >> 8), 1}},
                        .record = {.ttl_ms = 10, .node = bytes_of("n1")}}};
        (void)sm_do(sm, ++last_index, &command);
    }
    sm_now_ms += 20;
    for (uint32_t count = expire(); count > 0; count = expire()) {
        ck_assert_uint_le(count, SM_EXPIRE_ITEMS_MAX);
        ended += count;
        rounds++;
    }
    ck_assert_uint_eq(ended, 2 * SM_EXPIRE_ITEMS_MAX + 1);
    ck_assert_uint_eq(rounds, 3);
}
END_TEST

/* And so do those that hold many keys: one entry lets go no more than about one session may hold. */
START_TEST(storm_of_releases_comes_in_batches)
{
    char key[32];
    for (uint8_t session = 1; session <= 3; session++) {
        (void)create_with(session, &(struct session_record){.ttl_ms = 10});
        for (uint32_t i = 0; i < SM_SESSION_LOCKS_MAX; i++) {
            (void)snprintf(key, sizeof(key), "%u/%u", session, i);
            (void)acquire(key, session);
        }
    }
    sm_now_ms += 20;
    ck_assert_uint_eq(expire(), 1);
    ck_assert_uint_eq(expire(), 1);
    ck_assert_uint_eq(expire(), 1);
    ck_assert_uint_eq(expire(), 0);
}
END_TEST

/* A second late: nobody misses it meanwhile. */
START_TEST(delay_that_is_over_is_forgotten)
{
    const struct session_record record = {.lock_delay_ns = UINT64_C(1000000000)};
    (void)create_with(1, &record);
    (void)acquire("k", 1);
    (void)session_do(SM_COMMAND_SESSION_DESTROY, 1);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), sm_now_ms + 2000);
    sm_now_ms += 2000;
    (void)expire();
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
}
END_TEST

START_TEST(id_that_is_taken_makes_no_second_session)
{
    create(1);
    (void)acquire("k", 1);
    ck_assert_int_eq(create_with(1, &(struct session_record){.ttl_ms = 5}).reason,
                     SM_TOO_MANY_SESSIONS);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
}
END_TEST

static void add_ends(TCase *tcase)
{
    tcase_add_test(tcase, case_44_release_keeps_the_key_and_wakes_its_watchers);
    tcase_add_test(tcase, case_44_lock_delay_holds_the_key_back);
    tcase_add_test(tcase, release_by_its_holder_delays_nobody);
    tcase_add_test(tcase, case_45_delete_takes_the_keys_along_in_one_entry);
    tcase_add_test(tcase, lock_delay_counts_for_deleted_keys_too);
    tcase_add_test(tcase, destroying_what_is_not_there_changes_nothing);
    tcase_add_test(tcase, case_46_session_lives_two_ttls_from_its_last_renewal);
    tcase_add_test(tcase, exact_session_lives_one_ttl);
    tcase_add_test(tcase, case_39_session_without_a_ttl_is_renewed_and_never_ends);
    tcase_add_test(tcase, renewal_moves_no_index);
    tcase_add_test(tcase, pitfall_124_expiry_of_a_renewed_session_does_nothing);
    tcase_add_test(tcase, pitfall_124_expiry_of_another_term_does_nothing);
    tcase_add_test(tcase, pitfall_131_storm_of_expiries_comes_in_batches);
    tcase_add_test(tcase, storm_of_releases_comes_in_batches);
    tcase_add_test(tcase, delay_that_is_over_is_forgotten);
    tcase_add_test(tcase, id_that_is_taken_makes_no_second_session);
}

int main(void)
{
    TCase *tcase = tcase_create("sm_session");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, case_42_one_holder_and_a_lock_index_that_counts_them);
    tcase_add_test(tcase, case_41_unknown_session_takes_nothing);
    tcase_add_test(tcase, pitfall_127_ended_session_takes_nothing);
    tcase_add_test(tcase, pitfall_128_fence_is_the_index_of_the_taking);
    tcase_add_test(tcase, taking_again_without_a_change_changes_no_index);
    tcase_add_test(tcase, case_43_plain_put_keeps_session_and_lock_index);
    tcase_add_test(tcase, release_overwrites_value_and_flags);
    tcase_add_test(tcase, deleted_key_is_not_held_and_can_be_taken);
    tcase_add_test(tcase, session_holds_so_many_keys_and_no_more);
    add_ends(tcase);
    return run_suite("sm_session", tcase);
}
