/* Keys that end by themselves: when they do, what ends their time to live, what their end leaves. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "statemachine/image.h"
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

static struct sm_result put_ttl(const char *key, const char *value, uint64_t ttl_ms)
{
    return sm_do(sm, ++last_index,
                 &(struct sm_command){
                     .type = ttl_ms > 0 ? SM_COMMAND_KV_PUT_TTL : SM_COMMAND_KV_PUT,
                     .put = {.key = bytes_of(key), .value = bytes_of(value), .ttl_ms = ttl_ms}});
}

/* False: the key is not there. */
static bool entry_of(const char *key, struct sm_kv_entry *ret)
{
    const struct sm_root root = sm_publish(sm);
    return sm_kv_get(&root, bytes_of(key), ret);
}

static bool exists(const char *key)
{
    struct sm_kv_entry entry;
    return entry_of(key, &entry);
}

/* Proposes what is over now and applies it as an entry of `term`, as the leader of term 1 does. */
static uint32_t expire_in(raft_term term)
{
    const struct sm_place now = {.term = term, .time_ms = sm_now_ms};
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

static uint32_t expire(void)
{
    return expire_in(1);
}

static void make_session(uint8_t id, uint64_t ttl_ms)
{
    (void)sm_do(
        sm, ++last_index,
        &(struct sm_command){
            .type = SM_COMMAND_SESSION_CREATE,
            .session = {.id = {.bytes = {id}},
                        .record = {.is_exact = true, .ttl_ms = ttl_ms, .node = bytes_of("n1")}}});
}

static struct sm_result lock_do(enum sm_kv_verb verb, const char *key, uint8_t session)
{
    return sm_do(sm, ++last_index,
                 &(struct sm_command){.type = SM_COMMAND_KV_OP,
                                      .op = {.verb = verb,
                                             .key = bytes_of(key),
                                             .value = bytes_of("v"),
                                             .has_session = true,
                                             .session = {.bytes = {session}}}});
}

/* --- when --- */

START_TEST(key_ends_when_its_time_has_come_and_not_before)
{
    (void)put_ttl("k", "v", 500);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), 1500);
    sm_now_ms = 1499;
    ck_assert_uint_eq(expire(), 0);
    ck_assert(exists("k"));
    sm_now_ms = 1500;
    ck_assert_uint_eq(expire(), 1);
    ck_assert(!exists("k"));
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
}
END_TEST

START_TEST(entry_says_its_time_to_live)
{
    struct sm_kv_entry entry;
    (void)put_ttl("k", "v", 500);
    (void)put_ttl("stays", "v", 0);
    ck_assert(entry_of("k", &entry));
    ck_assert_uint_eq(entry.ttl_ms, 500);
    ck_assert(entry_of("stays", &entry));
    ck_assert_uint_eq(entry.ttl_ms, 0);
}
END_TEST

START_TEST(same_put_again_renews_and_moves_no_index)
{
    const raft_index index = put_ttl("k", "v", 500).modify_index;
    sm_now_ms = 1400;
    ck_assert_uint_eq(put_ttl("k", "v", 500).modify_index, index);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), 1900);
    sm_now_ms = 1899;
    ck_assert_uint_eq(expire(), 0);
    sm_now_ms = 1900;
    ck_assert_uint_eq(expire(), 1);
}
END_TEST

START_TEST(another_time_to_live_is_a_change)
{
    const raft_index index = put_ttl("k", "v", 500).modify_index;
    ck_assert_uint_gt(put_ttl("k", "v", 600).modify_index, index);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), 1600);
}
END_TEST

START_TEST(time_to_live_beyond_all_time_never_ends)
{
    sm_now_ms = UINT64_MAX - 5;
    (void)put_ttl("k", "v", 500);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
}
END_TEST

/* --- what makes it stay --- */

START_TEST(plain_put_makes_it_stay)
{
    const raft_index index = put_ttl("k", "v", 500).modify_index;
    ck_assert_uint_gt(put_ttl("k", "v", 0).modify_index, index);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
    sm_now_ms = 9999;
    ck_assert_uint_eq(expire(), 0);
    ck_assert(exists("k"));
}
END_TEST

START_TEST(put_that_is_refused_leaves_it_as_it_was)
{
    struct sm_command command = {
        .type = SM_COMMAND_KV_PUT,
        .put = {.key = bytes_of("k"), .value = bytes_of("w"), .has_cas = true, .cas = 1}};
    (void)put_ttl("k", "v", 500);
    ck_assert_int_eq(sm_do(sm, ++last_index, &command).reason, SM_STALE_INDEX);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), 1500);
}
END_TEST

START_TEST(deleted_key_has_no_deadline_and_comes_back_without_one)
{
    (void)put_ttl("k", "v", 500);
    (void)sm_do_delete(sm, ++last_index, &(struct sm_command_delete){.key = bytes_of("k")});
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
    (void)put_ttl("k", "v", 0);
    sm_now_ms = 9999;
    ck_assert_uint_eq(expire(), 0);
    ck_assert(exists("k"));
}
END_TEST

/* A lock's life is its session's. */
START_TEST(taking_the_lock_makes_it_stay)
{
    make_session(1, 0);
    (void)put_ttl("k", "v", 500);
    const raft_index index = lock_do(SM_KV_LOCK, "k", 1).modify_index;
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
    (void)put_ttl("k", "v", 500);
    ck_assert_uint_gt(lock_do(SM_KV_LOCK, "k", 1).modify_index, index);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
    (void)put_ttl("k", "v", 500);
    (void)lock_do(SM_KV_UNLOCK, "k", 1);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
}
END_TEST

/* Contract 2.2: a deletion looks at no lock. */
START_TEST(end_of_a_locked_key_frees_its_lock)
{
    make_session(1, 0);
    (void)lock_do(SM_KV_LOCK, "k", 1);
    (void)put_ttl("k", "v", 500);
    sm_now_ms = 1500;
    ck_assert_uint_eq(expire(), 1);
    (void)put_ttl("k", "v", 0);
    struct sm_kv_entry entry;
    ck_assert(entry_of("k", &entry));
    ck_assert(!entry.is_locked);
}
END_TEST

START_TEST(end_of_the_session_that_holds_it_leaves_its_time_to_live)
{
    make_session(1, 100);
    (void)lock_do(SM_KV_LOCK, "k", 1);
    (void)put_ttl("k", "v", 500);
    sm_now_ms = 1100;
    ck_assert_uint_eq(expire(), 1);
    ck_assert(exists("k"));
    sm_now_ms = 1500;
    ck_assert_uint_eq(expire(), 1);
    ck_assert(!exists("k"));
}
END_TEST

/* What an operation of a transaction finds is what it will make: a set that changes nothing but the
 * time to live has this entry's index. */
START_TEST(transaction_sees_that_a_set_makes_the_key_stay)
{
    struct rk_buf ops;
    rk_buf_init(&ops, 256);
    (void)put_ttl("k", "v", 500);
    sm_kv_op_append(
        &(struct sm_kv_op){.verb = SM_KV_SET, .key = bytes_of("k"), .value = bytes_of("v")}, &ops);
    sm_kv_op_append(&(struct sm_kv_op){.verb = SM_KV_CHECK_INDEX,
                                       .key = bytes_of("k"),
                                       .index = last_index + 1},
                    &ops);
    const struct sm_command command = {.type = SM_COMMAND_TXN,
                                       .txn = {.count = 2, .ops = rk_buf_bytes(&ops)}};
    ck_assert(sm_do(sm, ++last_index, &command).accepted);
    struct sm_kv_entry entry;
    ck_assert(entry_of("k", &entry));
    ck_assert_uint_eq(entry.modify_index, last_index);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), UINT64_MAX);
    rk_buf_done(&ops);
}
END_TEST

/* --- the end --- */

START_TEST(end_leaves_a_tombstone_and_is_told_as_an_expiry)
{
    struct sm_event_cursor cursor;
    struct sm_event event;
    (void)put_ttl("a/k", "v", 500);
    struct sm_root root = sm_publish(sm);
    const raft_index before = sm_kv_index_of_prefix(&root, bytes_of("a/"));
    sm_now_ms = 1500;
    (void)expire();
    root = sm_publish(sm);
    ck_assert_uint_eq(sm_kv_index_of_prefix(&root, bytes_of("a/")), last_index);
    ck_assert_uint_gt(last_index, before);
    ck_assert(sm_events_seek(
        &cursor, &root,
        (struct sm_event_place){.index = before, .sequence = SM_EVENT_SEQUENCE_LAST}));
    ck_assert(sm_events_next(&cursor, &event));
    ck_assert_int_eq(event.type, SM_EVENT_DELETE);
    ck_assert_int_eq(event.cause, SM_CAUSE_EXPIRE);
}
END_TEST

/* Pitfall 124: found to be over, then written by an entry that came first. */
START_TEST(pitfall_124_key_written_since_is_kept)
{
    const struct sm_place now = {.term = 1, .time_ms = 1500};
    struct sm_command command;
    struct rk_buf items;
    rk_buf_init(&items, 1024);
    (void)put_ttl("renewed", "v", 500);
    (void)put_ttl("stays", "v", 500);
    sm_now_ms = 1500;
    ck_assert(sm_find_expired(sm, &now, &items, &command));
    ck_assert_uint_eq(command.expire.count, 2);
    (void)put_ttl("renewed", "v", 500);
    (void)put_ttl("stays", "v", 0);
    (void)sm_do(sm, ++last_index, &command);
    ck_assert(exists("renewed"));
    ck_assert(exists("stays"));
    rk_buf_done(&items);
}
END_TEST

/* Pitfall 124: what a deposed leader found is nothing in an entry of another term. */
START_TEST(pitfall_124_end_proposed_in_another_term_does_nothing)
{
    (void)put_ttl("k", "v", 500);
    sm_now_ms = 1500;
    ck_assert_uint_eq(expire_in(2), 1);
    ck_assert(exists("k"));
    ck_assert_uint_eq(expire_in(1), 1);
    ck_assert(!exists("k"));
}
END_TEST

static void put_many(const char *prefix, uint32_t count, uint64_t ttl_ms)
{
    char key[64];
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "%s%06u", prefix, i);
        (void)put_ttl(key, "v", ttl_ms);
    }
}

/* Pitfall 131: many that end at once end in entries of bounded size. */
START_TEST(pitfall_131_storm_of_ends_comes_in_slices)
{
    uint32_t ended = 0;
    put_many("k", 2 * SM_EXPIRE_KEYS_MAX + 1, 10);
    sm_now_ms += 10;
    for (uint32_t count = expire(); count > 0; count = expire()) {
        ck_assert_uint_le(count, SM_EXPIRE_KEYS_MAX);
        ended += count;
    }
    ck_assert_uint_eq(ended, 2 * SM_EXPIRE_KEYS_MAX + 1);
}
END_TEST

/* The names are part of the entry. */
START_TEST(slice_of_long_names_is_shorter)
{
    static char key[RK_KEY_SIZE_MAX + 1];
    memset(key, 'k', RK_KEY_SIZE_MAX);
    for (uint32_t i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof(key), "%04u", i);
        key[4] = 'k';
        (void)put_ttl(key, "v", 10);
    }
    sm_now_ms += 10;
    const uint32_t count = expire();
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_le((count - 1) * RK_KEY_SIZE_MAX, SM_EXPIRE_KEYS_BYTES_TARGET);
}
END_TEST

/* Neither kind holds the other up: what was over first comes first. */
START_TEST(sessions_and_keys_end_in_the_order_of_time)
{
    const struct sm_place now = {.term = 1, .time_ms = 2000};
    struct sm_command command;
    struct rk_buf items;
    rk_buf_init(&items, 1024);
    make_session(1, 200);
    (void)put_ttl("k", "v", 100);
    (void)put_ttl("l", "v", 300);
    sm_now_ms = 2000;
    ck_assert(sm_find_expired(sm, &now, &items, &command));
    ck_assert_int_eq(command.type, SM_COMMAND_EXPIRE_KEYS);
    (void)put_ttl("k", "v", 0);
    rk_buf_reset(&items);
    ck_assert(sm_find_expired(sm, &now, &items, &command));
    ck_assert_int_eq(command.type, SM_COMMAND_EXPIRE);
    rk_buf_done(&items);
}
END_TEST

/* --- deleted prefixes --- */

/* A million keys deleted at once cost no more than a few; what is left of them says nothing. */
START_TEST(deadlines_of_a_deleted_prefix_end_nothing)
{
    put_many("a/", 3000, 10);
    (void)sm_do_delete_prefix(sm, ++last_index, bytes_of("a/"));
    put_many("a/", 1, 0);
    put_many("b/", 1, 1000);
    sm_now_ms += 10;
    while (sm_next_deadline_ms(sm) <= sm_now_ms) {
        ck_assert_uint_eq(expire(), 0);
    }
    ck_assert(exists("a/000000"));
    ck_assert(exists("b/000000"));
    ck_assert_uint_eq(sm_next_deadline_ms(sm), 2000);
}
END_TEST

/* A client that sets keys with long lives and deletes them by prefix fills no memory. */
START_TEST(deadlines_of_deleted_prefixes_do_not_pile_up)
{
    put_many("early", 1, 1000); /* so that none of them is the first */
    for (uint32_t round = 0; round < 200; round++) {
        sm_now_ms++; /* the same name has another deadline */
        put_many("a/", 600, SM_KEY_TTL_MS_MAX);
        (void)sm_do_delete_prefix(sm, ++last_index, bytes_of("a/"));
        (void)sm_publish(sm);
        while (sm_reclaim(sm, UINT64_MAX, UINT32_MAX)) {
        }
    }
    ck_assert_uint_lt(sm_memory(sm), 8 << 20); /* the events of the history are half of it */
}
END_TEST

/* --- a snapshot --- */

START_TEST(time_to_live_comes_back_from_an_image)
{
    struct sm_image_reader *reader = sm_image_reader_new();
    struct sm_image_writer writer;
    struct rk_buf body;
    uint8_t type = 0;
    (void)put_ttl("k", "v", 500);
    (void)put_ttl("stays", "v", 0);
    const struct sm_root root = sm_publish(sm);
    rk_buf_init(&body, SM_IMAGE_RECORD_SIZE_MAX);
    sm_image_writer_init(&writer, &root);
    while (sm_image_write(&writer, &body, &type)) {
        ck_assert_int_eq(sm_image_read(reader, type, rk_buf_bytes(&body)), RK_OK);
        rk_buf_reset(&body);
    }
    ck_assert_int_eq(type, SM_IMAGE_TTLS);
    sm_free(sm);
    ck_assert_int_eq(sm_image_finish(reader, &sm), RK_OK);
    sm_image_reader_free(reader);
    rk_buf_done(&body);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), 1500);
    sm_now_ms = 1500;
    ck_assert_uint_eq(expire(), 1);
    ck_assert(!exists("k"));
    ck_assert(exists("stays"));
}
END_TEST

static void add_ends(TCase *tcase)
{
    tcase_add_test(tcase, end_leaves_a_tombstone_and_is_told_as_an_expiry);
    tcase_add_test(tcase, pitfall_124_key_written_since_is_kept);
    tcase_add_test(tcase, pitfall_124_end_proposed_in_another_term_does_nothing);
    tcase_add_test(tcase, pitfall_131_storm_of_ends_comes_in_slices);
    tcase_add_test(tcase, slice_of_long_names_is_shorter);
    tcase_add_test(tcase, sessions_and_keys_end_in_the_order_of_time);
    tcase_add_test(tcase, deadlines_of_a_deleted_prefix_end_nothing);
    tcase_add_test(tcase, deadlines_of_deleted_prefixes_do_not_pile_up);
    tcase_add_test(tcase, time_to_live_comes_back_from_an_image);
}

int main(void)
{
    TCase *tcase = tcase_create("sm_ttl");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, key_ends_when_its_time_has_come_and_not_before);
    tcase_add_test(tcase, entry_says_its_time_to_live);
    tcase_add_test(tcase, same_put_again_renews_and_moves_no_index);
    tcase_add_test(tcase, another_time_to_live_is_a_change);
    tcase_add_test(tcase, time_to_live_beyond_all_time_never_ends);
    tcase_add_test(tcase, plain_put_makes_it_stay);
    tcase_add_test(tcase, put_that_is_refused_leaves_it_as_it_was);
    tcase_add_test(tcase, deleted_key_has_no_deadline_and_comes_back_without_one);
    tcase_add_test(tcase, taking_the_lock_makes_it_stay);
    tcase_add_test(tcase, end_of_a_locked_key_frees_its_lock);
    tcase_add_test(tcase, end_of_the_session_that_holds_it_leaves_its_time_to_live);
    tcase_add_test(tcase, transaction_sees_that_a_set_makes_the_key_stay);
    add_ends(tcase);
    return run_suite("sm_ttl", tcase);
}
