/* The rules of put and delete as clients see them (contract 2.1, 2.2, 6). */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "statemachine/sm.h"
#include "support/quick.h"
#include "support/run.h"
#include "support/sm_commands.h"

static struct sm *sm;
static raft_index last_index;

static void setup(void)
{
    sm = sm_new();
    last_index = 10;
}

static void teardown(void)
{
    sm_free(sm);
}

static struct sm_result put(const char *key, const char *value)
{
    return sm_do_put(sm, ++last_index,
                     &(struct sm_command_put){.key = bytes_of(key), .value = bytes_of(value)});
}

static struct sm_result put_cas(const char *key, const char *value, uint64_t cas)
{
    return sm_do_put(
        sm, ++last_index,
        &(struct sm_command_put){
            .key = bytes_of(key), .value = bytes_of(value), .has_cas = true, .cas = cas});
}

static struct sm_result delete_key(const char *key)
{
    return sm_do_delete(sm, ++last_index, &(struct sm_command_delete){.key = bytes_of(key)});
}

static struct sm_result delete_cas(const char *key, uint64_t cas)
{
    return sm_do_delete(
        sm, ++last_index,
        &(struct sm_command_delete){.key = bytes_of(key), .has_cas = true, .cas = cas});
}

static struct sm_result delete_prefix(const char *prefix)
{
    return sm_do_delete_prefix(sm, ++last_index, bytes_of(prefix));
}

static bool get(const char *key, struct sm_kv_entry *ret)
{
    const struct sm_root root = sm_publish(sm);
    return sm_kv_get(&root, bytes_of(key), ret);
}

static raft_index index_of_prefix(const char *prefix)
{
    const struct sm_root root = sm_publish(sm);
    return sm_kv_index_of_prefix(&root, bytes_of(prefix));
}

static raft_index index_of_key(const char *key)
{
    const struct sm_root root = sm_publish(sm);
    return sm_kv_index_of_key(&root, bytes_of(key));
}

static void check_text(struct rk_bytes bytes, const char *expected)
{
    ck_assert_uint_eq(bytes.size, strlen(expected));
    ck_assert(bytes.size == 0 || memcmp(bytes.data, expected, bytes.size) == 0);
}

/* --- put --- */

START_TEST(put_stores_value_and_indexes)
{
    const struct sm_result result = put("hello", "world");
    struct sm_kv_entry entry;
    ck_assert(result.accepted);
    ck_assert_uint_eq(result.modify_index, 11);
    ck_assert(get("hello", &entry));
    check_text(entry.key, "hello");
    check_text(entry.value, "world");
    ck_assert_uint_eq(entry.create_index, 11);
    ck_assert_uint_eq(entry.modify_index, 11);
    ck_assert_uint_eq(entry.lock_index, 0);
}
END_TEST

START_TEST(second_put_keeps_the_create_index)
{
    struct sm_kv_entry entry;
    (void)put("k", "1");
    (void)put("k", "2");
    ck_assert(get("k", &entry));
    ck_assert_uint_eq(entry.create_index, 11);
    ck_assert_uint_eq(entry.modify_index, 12);
}
END_TEST

/* Case 21: what changes nothing moves no index and wakes nobody. */
START_TEST(put_of_the_same_moves_no_index)
{
    (void)put("k", "v");
    (void)put("other", "v");
    const struct sm_result again = put("k", "v");
    ck_assert(again.accepted);
    ck_assert_uint_eq(again.modify_index, 11);
    ck_assert_uint_eq(index_of_key("k"), 11);
    ck_assert_uint_eq(index_of_key("missing"), 12);
}
END_TEST

/* The same value with other flags is a change; case 18: flags are replaced, to 2^64 - 1. */
START_TEST(flags_are_replaced_by_every_put)
{
    struct sm_kv_entry entry;
    (void)sm_do_put(sm, ++last_index,
                    &(struct sm_command_put){.key = bytes_of("k"), .flags = UINT64_MAX});
    ck_assert(get("k", &entry));
    ck_assert_uint_eq(entry.flags, UINT64_MAX);
    (void)put("k", "");
    ck_assert(get("k", &entry));
    ck_assert_uint_eq(entry.flags, 0);
    ck_assert_uint_eq(entry.modify_index, 12);
}
END_TEST

/* Case 13. */
START_TEST(cas_of_zero_creates_only)
{
    ck_assert(!put_cas("foo", "x", 50).accepted);
    ck_assert(put_cas("foo", "x", 0).accepted);
    const struct sm_result again = put_cas("foo", "y", 0);
    ck_assert(!again.accepted);
    ck_assert_uint_eq(again.modify_index, 12);
    ck_assert_uint_eq(index_of_key("missing"), 12);
}
END_TEST

/* Case 14. */
START_TEST(cas_sets_only_at_the_modify_index)
{
    (void)put("foo", "1");
    ck_assert(!put_cas("foo", "2", 10).accepted);
    ck_assert(!put_cas("foo", "2", 12).accepted);
    const struct sm_result result = put_cas("foo", "2", 11);
    ck_assert(result.accepted);
    ck_assert_uint_eq(result.modify_index, 14);
    ck_assert_uint_eq(index_of_key("foo"), 14);
}
END_TEST

/* --- delete --- */

/* Case 16. */
START_TEST(delete_of_a_missing_key_is_accepted_and_moves_nothing)
{
    (void)put("present", "x");
    ck_assert(delete_key("absent").accepted);
    ck_assert(delete_cas("absent", 7).accepted);
    ck_assert(delete_cas("absent", 0).accepted);
    ck_assert_uint_eq(index_of_key("absent"), 11);
    ck_assert_uint_eq(index_of_prefix("absent"), 11);
}
END_TEST

START_TEST(delete_with_cas_of_zero_never_deletes)
{
    struct sm_kv_entry entry;
    (void)put("present", "x");
    const struct sm_result result = delete_cas("present", 0);
    ck_assert(!result.accepted);
    ck_assert_uint_eq(result.modify_index, 11);
    ck_assert(get("present", &entry));
}
END_TEST

/* Case 15. */
START_TEST(delete_with_cas_deletes_only_at_the_modify_index)
{
    struct sm_kv_entry entry;
    (void)put("foo", "x");
    ck_assert(!delete_cas("foo", 10).accepted);
    ck_assert_uint_eq(index_of_key("foo"), 11);
    const struct sm_result result = delete_cas("foo", 11);
    ck_assert(result.accepted);
    ck_assert_uint_eq(result.modify_index, 0);
    ck_assert(!get("foo", &entry));
    ck_assert_uint_eq(index_of_key("foo"), 13);
}
END_TEST

/* Case 17. */
START_TEST(prefix_delete_takes_what_begins_with_it)
{
    (void)put("foo1", "");
    (void)put("foo2", "");
    (void)put("fop", "");
    ck_assert(delete_prefix("foo").accepted);
    const struct sm_root root = sm_publish(sm);
    ck_assert_uint_eq(sm_kv_count(&root, bytes_of("foo")), 0);
    ck_assert_uint_eq(sm_kv_count(&root, bytes_of("")), 1);
    ck_assert(delete_prefix("foo").accepted);
    ck_assert_uint_eq(index_of_prefix("foo"), 14);
    ck_assert_uint_eq(index_of_key("missing"), 14);
}
END_TEST

/* DELETE kv/?recurse empties the store. */
START_TEST(prefix_delete_of_nothing_in_particular_deletes_all)
{
    (void)put("a", "");
    (void)put("b/c", "");
    (void)delete_prefix("");
    const struct sm_root root = sm_publish(sm);
    ck_assert_uint_eq(sm_kv_count(&root, bytes_of("")), 0);
    ck_assert_uint_eq(sm_kv_index_of_prefix(&root, bytes_of("b/")), 13);
}
END_TEST

/* --- indexes (contract 1.7) --- */

START_TEST(index_is_never_zero)
{
    const struct sm_root root = sm_publish(sm);
    ck_assert_uint_ge(sm_kv_index_of_key(&root, bytes_of("none")), 1);
    ck_assert_uint_ge(sm_kv_index_of_prefix(&root, bytes_of("")), 1);
}
END_TEST

/* Case 26: the greatest index that is left is that of another key. */
START_TEST(deleting_one_of_many_raises_the_prefix_index)
{
    (void)put("p/1", "");
    (void)put("p/2", "");
    (void)delete_key("p/1");
    ck_assert_uint_eq(index_of_prefix("p/"), 13);
    ck_assert_uint_eq(index_of_key("p/2"), 12);
}
END_TEST

/* Case 27. */
START_TEST(writes_elsewhere_leave_a_prefix_index_alone)
{
    (void)put("a/1", "");
    (void)put("a/2", "");
    (void)delete_key("a/1");
    (void)put("b/1", "");
    (void)delete_key("b/1");
    (void)put("b/1", "");
    (void)delete_prefix("b/");
    (void)delete_key("a");
    ck_assert_uint_eq(index_of_prefix("a/"), 13);
}
END_TEST

START_TEST(prefix_delete_counts_above_and_below_it)
{
    (void)put("a/b/c", "");
    (void)put("ab", "");
    (void)delete_prefix("a/b");
    ck_assert_uint_eq(index_of_prefix(""), 13);
    ck_assert_uint_eq(index_of_prefix("a/"), 13);
    ck_assert_uint_eq(index_of_prefix("a/b/c"), 13);
    ck_assert_uint_eq(index_of_prefix("a/b/c/d"), 13);
    ck_assert_uint_eq(index_of_prefix("ab"), 12);
}
END_TEST

/* Deleting the key "a" after the prefix "a" says nothing about "a/b", which it would if it took
 * the index of the prefix along. */
START_TEST(key_tombstone_at_a_deleted_prefix_counts_for_the_key_only)
{
    (void)put("a/b", "");
    (void)delete_prefix("a");
    (void)put("a", "");
    (void)delete_key("a");
    ck_assert_uint_eq(index_of_prefix("a"), 14);
    ck_assert_uint_eq(index_of_prefix("a/b"), 12);
}
END_TEST

/* A key made anew and deleted again: its old tombstone may go, the index may not. */
START_TEST(key_made_anew_keeps_the_prefix_index_rising)
{
    (void)put("k", "1");
    (void)delete_key("k");
    (void)put("k", "1");
    ck_assert_uint_eq(index_of_prefix("k"), 13);
    (void)delete_key("k");
    ck_assert_uint_eq(index_of_prefix("k"), 14);
}
END_TEST

static void put_and_delete_number(uint32_t number)
{
    char key[32];
    (void)snprintf(key, sizeof(key), "churn/%u", number);
    (void)put(key, "");
    (void)delete_key(key);
}

/* Half of SM_TOMBSTONES_MAX later the tombstone is among the old ones, and still counts. */
START_TEST(old_tombstone_keeps_the_index_where_it_was)
{
    (void)put("quiet/1", "");
    (void)put("quiet/2", "");
    (void)delete_key("quiet/1");
    for (uint32_t i = 0; i < SM_TOMBSTONES_MAX / 2 + 8; i++) {
        put_and_delete_number(i);
    }
    ck_assert_uint_eq(index_of_prefix("quiet/"), 13);
}
END_TEST

/* Past SM_TOMBSTONES_MAX tombstones are given up: the index of a prefix rises then, but never
 * falls, and the memory they take has an end. */
START_TEST(tombstones_are_bounded_and_no_index_falls)
{
    raft_index quiet = 0;
    raft_index gone = 0;
    uint32_t rises = 0;
    uint64_t memory_max = 0;
    (void)put("quiet", "");
    (void)put("gone", "");
    (void)delete_key("gone");
    for (uint32_t i = 0; i < 3 * SM_TOMBSTONES_MAX; i++) {
        put_and_delete_number(i);
        const raft_index quiet_now = index_of_prefix("quiet");
        const raft_index gone_now = index_of_prefix("gone");
        quick_assert(quiet_now >= quiet);
        quick_assert(gone_now >= gone);
        rises += quiet_now > quiet ? 1 : 0;
        quiet = quiet_now;
        gone = gone_now;
        (void)sm_reclaim(sm, UINT64_MAX, 64);
        memory_max = sm_memory(sm) > memory_max ? sm_memory(sm) : memory_max;
    }
    ck_assert_uint_ge(rises, 2);
    ck_assert_uint_le(rises, 3 * 2 + 1); /* the floor moves in leaps, not with every deletion */
    ck_assert_uint_lt(memory_max, (uint64_t)SM_TOMBSTONES_MAX * 160);
}
END_TEST

/* --- listing (contract 2.1) --- */

static void put_folder(void)
{
    static const char *const keys[] = {"foo/bar2", "foo/", "fon", "foo/bar1", "fop", "foo/x/y"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        (void)put(keys[i], "");
    }
}

/* Case 12. */
START_TEST(cursor_walks_a_prefix_in_byte_order)
{
    put_folder();
    static const char *const expected[] = {"foo/", "foo/bar1", "foo/bar2", "foo/x/y"};
    const struct sm_root root = sm_publish(sm);
    struct sm_kv_cursor cursor;
    struct sm_kv_entry entry;
    sm_kv_cursor_init(&cursor, &root, bytes_of("foo/"));
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        ck_assert(sm_kv_cursor_next(&cursor, &entry));
        check_text(entry.key, expected[i]);
    }
    ck_assert(!sm_kv_cursor_next(&cursor, &entry));
}
END_TEST

/* What ?keys&separator does: from a group straight to the key behind it. */
START_TEST(seek_jumps_forward_and_never_back)
{
    put_folder();
    const struct sm_root root = sm_publish(sm);
    struct sm_kv_cursor cursor;
    struct sm_kv_entry entry;
    sm_kv_cursor_init(&cursor, &root, bytes_of("fo"));
    sm_kv_cursor_seek(&cursor, bytes_of("foo/bar2"));
    ck_assert(sm_kv_cursor_next(&cursor, &entry));
    check_text(entry.key, "foo/bar2");
    sm_kv_cursor_seek(&cursor, bytes_of("foo/bar1"));
    sm_kv_cursor_seek(&cursor, bytes_of("foo/bar2"));
    ck_assert(sm_kv_cursor_next(&cursor, &entry));
    check_text(entry.key, "foo/x/y");
    sm_kv_cursor_seek(&cursor, bytes_of("foo0"));
    ck_assert(sm_kv_cursor_next(&cursor, &entry));
    check_text(entry.key, "fop");
    ck_assert(!sm_kv_cursor_next(&cursor, &entry));
}
END_TEST

/* --- versions --- */

START_TEST(version_rises_only_with_a_change)
{
    const struct sm_root first = sm_publish(sm);
    ck_assert_uint_eq(first.version, 1);
    ck_assert_uint_eq(sm_publish(sm).version, 1);
    (void)put("k", "");
    const struct sm_root second = sm_publish(sm);
    ck_assert_uint_eq(second.version, 2);
    ck_assert_uint_eq(second.last_applied, 11);
    sm_skip(sm, &(struct sm_place){.term = 1, .index = 12});
    ck_assert_uint_eq(sm_publish(sm).last_applied, 12);
    ck_assert_uint_eq(sm_publish(sm).version, 3);
}
END_TEST

/* Writes after a publication may not show in it, nor free it, even when the caller says that
 * nobody holds an old root: the last one is there to be taken. */
START_TEST(reclaim_never_frees_under_the_last_published_root)
{
    (void)put("k", "1");
    const struct sm_root root = sm_publish(sm);
    (void)put("k", "2");
    (void)delete_key("k");
    while (sm_reclaim(sm, UINT64_MAX, 1)) {
    }
    struct sm_kv_entry entry;
    ck_assert(sm_kv_get(&root, bytes_of("k"), &entry));
    check_text(entry.value, "1");
    ck_assert(!get("k", &entry));
}
END_TEST

START_TEST(digest_differs_when_contents_do)
{
    struct sm *other = sm_new();
    (void)put("k", "1");
    (void)sm_do_put(other, 11,
                    &(struct sm_command_put){.key = bytes_of("k"), .value = bytes_of("1")});
    const struct sm_root one = sm_publish(sm);
    const struct sm_root two = sm_publish(other);
    ck_assert_uint_eq(sm_digest(&one), sm_digest(&two));
    (void)sm_do_put(other, 12,
                    &(struct sm_command_put){.key = bytes_of("k"), .value = bytes_of("2")});
    const struct sm_root three = sm_publish(other);
    ck_assert_uint_ne(sm_digest(&one), sm_digest(&three));
    sm_free(other);
}
END_TEST

/* Pitfall 141: an entry that others apply is not skipped; nothing of it is done. */
START_TEST(unknown_command_is_corrupt_and_changes_nothing)
{
    static const uint8_t unknown[] = {99, 1, 0, 0, 0, 0, 0, 0};
    struct sm_result result = {.index = 77};
    (void)put("k", "1");
    const struct sm_root before = sm_publish(sm);
    ck_assert_int_eq(sm_apply(sm, &(struct sm_place){.term = 1, .index = 12},
                              (struct rk_bytes){.data = unknown, .size = 8}, &result),
                     RK_CORRUPT);
    ck_assert_uint_eq(result.index, 77);
    ck_assert_uint_eq(sm_publish(sm).version, before.version);
    ck_assert_uint_eq(sm_publish(sm).last_applied, 11);
}
END_TEST

/* The negative space: applying an entry twice is a bug in the caller. */
START_TEST(applying_an_index_again_aborts)
{
    (void)put("k", "1");
    last_index--;
    (void)put("k", "2");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("sm");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, put_stores_value_and_indexes);
    tcase_add_test(tcase, second_put_keeps_the_create_index);
    tcase_add_test(tcase, put_of_the_same_moves_no_index);
    tcase_add_test(tcase, flags_are_replaced_by_every_put);
    tcase_add_test(tcase, cas_of_zero_creates_only);
    tcase_add_test(tcase, cas_sets_only_at_the_modify_index);
    tcase_add_test(tcase, delete_of_a_missing_key_is_accepted_and_moves_nothing);
    tcase_add_test(tcase, delete_with_cas_of_zero_never_deletes);
    tcase_add_test(tcase, delete_with_cas_deletes_only_at_the_modify_index);
    tcase_add_test(tcase, prefix_delete_takes_what_begins_with_it);
    tcase_add_test(tcase, prefix_delete_of_nothing_in_particular_deletes_all);
    tcase_add_test(tcase, index_is_never_zero);
    tcase_add_test(tcase, deleting_one_of_many_raises_the_prefix_index);
    tcase_add_test(tcase, writes_elsewhere_leave_a_prefix_index_alone);
    tcase_add_test(tcase, prefix_delete_counts_above_and_below_it);
    tcase_add_test(tcase, key_tombstone_at_a_deleted_prefix_counts_for_the_key_only);
    tcase_add_test(tcase, key_made_anew_keeps_the_prefix_index_rising);
    tcase_add_test(tcase, old_tombstone_keeps_the_index_where_it_was);
    tcase_add_test(tcase, tombstones_are_bounded_and_no_index_falls);
    tcase_add_test(tcase, cursor_walks_a_prefix_in_byte_order);
    tcase_add_test(tcase, seek_jumps_forward_and_never_back);
    tcase_add_test(tcase, version_rises_only_with_a_change);
    tcase_add_test(tcase, reclaim_never_frees_under_the_last_published_root);
    tcase_add_test(tcase, digest_differs_when_contents_do);
    tcase_add_test(tcase, unknown_command_is_corrupt_and_changes_nothing);
    tcase_add_test_raise_signal(tcase, applying_an_index_again_aborts, SIGABRT);
    return run_suite("sm", tcase);
}
