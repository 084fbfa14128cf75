/* A snapshot that version 0.1.0 wrote, tests/data/snapshots: what was written stays readable, all of it.
 * The file is never written anew; a later format gets a file of its own beside it. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/snap_work.h"
#include "statemachine/query.h"
#include "storage_support.h"
#include "support/sm_commands.h"

enum { GOLDEN_INDEX = 24, GOLDEN_SIZE = 1463 };

#define GOLDEN "snap-0000000000000001-0000000000000018.rks"

static char dir[MADE_PATH_SIZE];
static struct snap_store *snaps;
static struct snap_info info;
static struct sm *sm;
static struct sm_root root;

static void copy_golden(void)
{
    static uint8_t bytes[GOLDEN_SIZE + 1];
    const char *top = getenv("srcdir");
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/tests/data/snapshots/%s", top == NULL ? "." : top,
                   GOLDEN);
    FILE *from = fopen(path, "rb");
    ck_assert_msg(from != NULL, "cannot open %s", path);
    ck_assert_uint_eq(fread(bytes, 1, sizeof(bytes), from), GOLDEN_SIZE);
    ck_assert_int_eq(fclose(from), 0);
    FILE *to = fopen(test_dir_path(dir, GOLDEN), "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(bytes, 1, GOLDEN_SIZE, to), GOLDEN_SIZE);
    ck_assert_int_eq(fclose(to), 0);
}

static void begin(void)
{
    char message[512] = "";

    test_dir_make(dir);
    copy_golden();
    ck_assert_int_eq(snap_store_file_open(dir, &snaps, message, sizeof(message)), RK_OK);
    ck_assert_int_eq(snap_load(snaps, (struct raft_entry_id){1, GOLDEN_INDEX}, &sm, &info), RK_OK);
    root = sm_publish(sm);
}

static void end(void)
{
    sm_free(sm);
    snap_store_close(snaps);
    test_dir_remove(dir);
}

static struct sm_kv_entry entry_of(const char *key)
{
    struct sm_kv_entry entry;

    ck_assert_msg(sm_kv_get(&root, bytes_of(key), &entry), "%s", key);
    return entry;
}

static void expect(const char *key, const char *value, raft_index created, raft_index modified)
{
    const struct sm_kv_entry entry = entry_of(key);

    ck_assert_uint_eq(entry.value.size, strlen(value));
    ck_assert_int_eq(memcmp(entry.value.data, value, strlen(value)), 0);
    ck_assert_uint_eq(entry.create_index, created);
    ck_assert_uint_eq(entry.modify_index, modified);
}

static struct session_id id_of(const char *text)
{
    struct session_id id;

    ck_assert_int_eq(session_id_parse(text, &id), RK_OK);
    return id;
}

START_TEST(head_and_numbers_are_read)
{
    ck_assert_uint_eq(info.ref.size, GOLDEN_SIZE);
    ck_assert_uint_eq(info.config_index, 1);
    ck_assert_uint_ne(info.chain, 0);
    ck_assert_uint_eq(info.membership.members_count, 1);
    ck_assert_str_eq(info.membership.members[0].name, "n1");
    ck_assert(info.membership.members[0].is_voter);
    ck_assert_uint_eq(root.last_applied, GOLDEN_INDEX);
    ck_assert_uint_gt(root.time_ms, 0);
}
END_TEST

START_TEST(keys_are_read_with_flags_and_indexes)
{
    ck_assert_uint_eq(sm_kv_count(&root, bytes_of("")), 11);
    expect("config/a", "three", 2, 22);
    expect("config/b", "two", 3, 3);
    expect("config/flagged", "max", 4, 4);
    ck_assert_uint_eq(entry_of("config/flagged").flags, UINT64_MAX);
    ck_assert_uint_eq(entry_of("empty").value.size, 0);
    const struct sm_kv_entry binary = entry_of("odd/bin\xff"
                                               "ary");
    ck_assert_uint_eq(binary.value.size, 3);
    ck_assert_int_eq(memcmp(binary.value.data, "a\0b", 3), 0);
    ck_assert_uint_eq(entry_of("ttl").ttl_ms, 3600 * 1000);
}
END_TEST

START_TEST(sessions_and_their_locks_are_read)
{
    const struct session_id golden = id_of("4ac76db3-b036-1e6c-caf0-cbfbb513fc6e");
    const struct session_id forever = id_of("a2c1f379-b08d-bcd6-638f-a4ea8bc9321c");
    struct sm_session session;

    ck_assert(sm_session_get(&root, &golden, &session));
    ck_assert_uint_eq(session.create_index, 11);
    ck_assert_uint_gt(session.ends_ms, root.time_ms);
    ck_assert(sm_session_get(&root, &forever, &session));
    ck_assert_uint_eq(session.ends_ms, 0);
    ck_assert(entry_of("lock/held").is_locked);
    const struct sm_kv_entry held = entry_of("lock/held");
    const struct sm_kv_entry two = entry_of("lock/two");
    ck_assert_mem_eq(&held.session, &golden, sizeof(golden));
    ck_assert_mem_eq(&two.session, &forever, sizeof(forever));
    ck_assert(!entry_of("lock/freed").is_locked);
    ck_assert_uint_eq(entry_of("lock/freed").lock_index, 1);
    ck_assert(!entry_of("lock/delayed").is_locked);
}
END_TEST

/* What they say in detail the digest of the state vouches for, which a load compares. */
START_TEST(delays_of_locks_and_the_table_of_writes_done_once_are_read)
{
    ck_assert_ptr_nonnull(root.delays);
    ck_assert_ptr_nonnull(root.tokens);
    ck_assert_ptr_nonnull(root.ttls);
}
END_TEST

/* What is gone keeps its index, so that no reader misses it. */
START_TEST(tombstones_are_read)
{
    struct sm_kv_entry entry;

    ck_assert(!sm_kv_get(&root, bytes_of("gone/x"), &entry));
    ck_assert_uint_eq(sm_kv_index_of_prefix(&root, bytes_of("gone/")), 10);
    ck_assert_uint_eq(sm_kv_index_of_prefix(&root, bytes_of("config/")), 22);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("snap_golden");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, head_and_numbers_are_read);
    tcase_add_test(tcase, keys_are_read_with_flags_and_indexes);
    tcase_add_test(tcase, sessions_and_their_locks_are_read);
    tcase_add_test(tcase, delays_of_locks_and_the_table_of_writes_done_once_are_read);
    tcase_add_test(tcase, tombstones_are_read);
    return run_suite_in_dir("snap_golden", tcase);
}
