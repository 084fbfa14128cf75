/* A restore through the log: all of it or nothing, the same on every replica. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "statemachine/image.h"
#include "statemachine/restore.h"
#include "statemachine/watch.h"
#include "support/quick.h"
#include "support/run.h"
#include "support/sm_commands.h"

enum { RECORDS_MAX = 256, RESTORE_ID = 77 };

struct record {
    uint8_t type;
    struct rk_buf body;
};

static struct sm *sm;     /* restored into */
static struct sm *source; /* of the backup */
static struct record records[RECORDS_MAX];
static uint32_t records_count;
static uint64_t digest;
static raft_index at; /* of the last entry */
static const struct session_id session = {.bytes = {1, 2, 3}};
static const struct session_id other_session = {.bytes = {9, 9, 9}};

/* As the node does, after each entry. */
static void settle(struct sm **of)
{
    struct sm *successor = sm_take_successor(*of);

    sm_free(sm_take_discarded(*of));
    if (successor != NULL) {
        sm_continue(successor, sm_publish(*of).version);
        sm_free(*of);
        *of = successor;
    }
}

static struct sm_result apply_in(struct sm **of, raft_term term, raft_index index,
                                 const struct sm_command *command)
{
    struct rk_buf buf;
    struct sm_result result;

    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
    sm_command_encode(command, &buf);
    quick_assert(sm_apply(*of,
                          &(struct sm_place){.term = term, .index = index, .time_ms = sm_now_ms},
                          rk_buf_bytes(&buf), &result) == RK_OK);
    rk_buf_done(&buf);
    sm_result_done(&result);
    settle(of);
    return result;
}

static struct sm_result apply(const struct sm_command *command)
{
    at++;
    return apply_in(&sm, 1, at, command);
}

static void put(struct sm *of, raft_index index, const char *key, const char *value)
{
    sm_do_put(of, index, &(struct sm_command_put){.key = bytes_of(key), .value = bytes_of(value)});
}

static void make_session(struct sm *of, raft_index index, const struct session_id *id)
{
    sm_do(of, index,
          &(struct sm_command){
              .type = SM_COMMAND_SESSION_CREATE,
              .session = {.id = *id,
                          .record = {.node = bytes_of("n1"), .ttl_ms = 10000, .is_exact = true}}});
}

static raft_index lock(struct sm *of, raft_index index, const struct session_id *id)
{
    return sm_do(of, index,
                 &(struct sm_command){.type = SM_COMMAND_KV_OP,
                                      .op = {.verb = SM_KV_LOCK,
                                             .key = bytes_of("locked"),
                                             .has_session = true,
                                             .session = *id}})
        .fence;
}

/* The records of the source's image that a restore takes. */
static void take_backup(void)
{
    const struct sm_root root = sm_publish(source);
    struct sm_image_writer writer;
    struct rk_buf body;
    uint8_t type = 0;

    sm_image_writer_init(&writer, &root);
    rk_buf_init(&body, SM_IMAGE_RECORD_SIZE_MAX);
    while (sm_image_write(&writer, &body, &type)) {
        if (sm_restore_takes(type)) {
            records[records_count] = (struct record){.type = type, .body = body};
            records_count++;
            digest = sm_restore_digest(digest, type, rk_buf_bytes(&body));
            rk_buf_init(&body, SM_IMAGE_RECORD_SIZE_MAX);
        } else {
            rk_buf_reset(&body);
        }
    }
    rk_buf_done(&body);
}

static void setup(void)
{
    char key[32];

    sm = sm_new();
    source = sm_new();
    sm_now_ms = 5000;
    put(sm, 1, "old", "gone soon");
    put(sm, 2, "both", "before");
    at = 2;
    sm_now_ms = 1000000;
    for (uint32_t i = 1; i <= 2000; i++) {
        (void)snprintf(key, sizeof(key), "key/%06u", i);
        put(source, i, key, "a value of the backup");
    }
    put(source, 2001, "both", "after");
    sm_do_delete(source, 2002, &(struct sm_command_delete){.key = bytes_of("key/000001")});
    make_session(source, 2003, &session);
    (void)lock(source, 2004, &session);
    sm_do(source, 2005,
          &(struct sm_command){.type = SM_COMMAND_KV_PUT_TTL,
                               .put = {.key = bytes_of("mortal"), .ttl_ms = 30000}});
    sm_do(source, 2006,
          &(struct sm_command){
              .type = SM_COMMAND_NODE_SET,
              .node = {.term = 1, .name = bytes_of("there"), .status = SM_CHECK_PASSING, .id = 6}});
    records_count = 0;
    digest = 0;
    take_backup();
    sm_now_ms = 6000;
}

static void teardown(void)
{
    sm_free(sm);
    sm_free(source);
    for (uint32_t i = 0; i < records_count; i++) {
        rk_buf_done(&records[i].body);
    }
}

static struct sm_command begin_command(void)
{
    return (struct sm_command){
        .type = SM_COMMAND_RESTORE_BEGIN,
        .restore = {.id = RESTORE_ID, .number = records_count, .digest = digest}};
}

static struct sm_command record_command(uint32_t i)
{
    return (struct sm_command){.type = SM_COMMAND_RESTORE_RECORD,
                               .restore = {.id = RESTORE_ID,
                                           .number = i + 1,
                                           .record_type = records[i].type,
                                           .body = rk_buf_bytes(&records[i].body)}};
}

static const struct sm_command end_command = {.type = SM_COMMAND_RESTORE_END,
                                              .restore = {.id = RESTORE_ID}};

static void begin(void)
{
    const struct sm_command command = begin_command();
    ck_assert(apply(&command).accepted);
}

static void apply_records(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const struct sm_command command = record_command(i);
        ck_assert(apply(&command).accepted);
    }
}

static bool is_there(const char *key)
{
    const struct sm_root root = sm_publish(sm);
    struct sm_kv_entry entry;

    return sm_kv_get(&root, bytes_of(key), &entry);
}

static void ck_nothing_changed(uint64_t digest_before)
{
    const struct sm_root root = sm_publish(sm);

    ck_assert(is_there("old"));
    ck_assert(!is_there("key/000002"));
    ck_assert(!sm_is_restoring(sm));
    ck_assert_uint_eq(sm_digest(&root), digest_before);
}

static uint64_t digest_now(void)
{
    const struct sm_root root = sm_publish(sm);
    return sm_digest(&root);
}

START_TEST(end_puts_the_backup_in_the_place_of_everything)
{
    struct sm_kv_entry entry;

    begin();
    apply_records(0, records_count);
    ck_assert(is_there("old"));
    ck_assert(!is_there("key/000002"));
    ck_assert(apply(&end_command).accepted);
    ck_assert(!is_there("old"));
    ck_assert(!is_there("key/000001"));
    const struct sm_root root = sm_publish(sm);
    ck_assert_uint_eq(sm_kv_count(&root, bytes_of("")), 1999 + 3);
    ck_assert(sm_kv_get(&root, bytes_of("both"), &entry));
    ck_assert_uint_eq(entry.value.size, 5);
    ck_assert_mem_eq(entry.value.data, "after", 5);
}
END_TEST

START_TEST(all_that_is_restored_has_the_index_of_the_end)
{
    struct sm_kv_entry entry;
    struct sm_session found;

    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    const struct sm_root root = sm_publish(sm);
    ck_assert(sm_kv_get(&root, bytes_of("key/000700"), &entry));
    ck_assert_uint_eq(entry.modify_index, at);
    ck_assert_uint_eq(entry.create_index, at);
    ck_assert(sm_session_get(&root, &session, &found));
    ck_assert_uint_eq(found.create_index, at);
    ck_assert_uint_eq(sm_kv_index_of_key(&root, bytes_of("old")), at);
    ck_assert_uint_eq(sm_kv_index_of_prefix(&root, bytes_of("nothing/here")), at);
    ck_assert_uint_eq(sm_session_index(&root), at);
}
END_TEST

START_TEST(fence_of_a_lock_is_greater_than_any_given_out_here)
{
    make_session(sm, 3, &other_session);
    const raft_index fence = lock(sm, 4, &other_session);
    at = 4;
    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    const raft_index end_index = at;
    at++;
    ck_assert_uint_eq(lock(sm, at, &session), end_index);
    ck_assert_uint_gt(end_index, fence);
}
END_TEST

START_TEST(session_has_its_whole_time_to_live_anew)
{
    struct sm_session found;

    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    const struct sm_root root = sm_publish(sm);
    ck_assert(sm_session_get(&root, &session, &found));
    ck_assert_uint_eq(found.ends_ms, 6000 + 10000);
    ck_assert_uint_eq(sm_next_deadline_ms(sm), 6000 + 10000);
}
END_TEST

START_TEST(key_keeps_what_was_left_of_its_time)
{
    struct sm_command expired;
    struct rk_buf items;

    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    at++;
    sm_do(sm, at,
          &(struct sm_command){.type = SM_COMMAND_SESSION_DESTROY, .session = {.id = session}});
    ck_assert(is_there("mortal"));
    rk_buf_init(&items, 1 << 20);
    const struct sm_place before = {.term = 1, .time_ms = 6000 + 29999};
    ck_assert(!sm_find_expired(sm, &before, &items, &expired));
    const struct sm_place due = {.term = 1, .time_ms = 6000 + 30000};
    ck_assert(sm_find_expired(sm, &due, &items, &expired));
    ck_assert_int_eq(expired.type, SM_COMMAND_EXPIRE_KEYS);
    rk_buf_done(&items);
}
END_TEST

START_TEST(write_in_between_ends_it)
{
    begin();
    apply_records(0, 1);
    at++;
    put(sm, at, "between", "v");
    settle(&sm);
    const uint64_t before = digest_now();
    const struct sm_command late = record_command(1);
    ck_assert_int_eq(apply(&late).reason, SM_RESTORE_BROKEN);
    ck_assert_int_eq(apply(&end_command).reason, SM_RESTORE_BROKEN);
    ck_nothing_changed(before);
}
END_TEST

START_TEST(entry_without_a_command_in_between_ends_it)
{
    const uint64_t before = digest_now();

    begin();
    apply_records(0, records_count);
    at++;
    sm_skip(sm, &(struct sm_place){.term = 1, .index = at, .time_ms = 5000});
    ck_assert(!sm_is_restoring(sm));
    ck_assert_int_eq(apply(&end_command).reason, SM_RESTORE_BROKEN);
    ck_assert(is_there("old"));
    ck_assert_uint_ne(before, 0);
}
END_TEST

START_TEST(part_of_another_term_ends_it)
{
    begin();
    apply_records(0, records_count);
    at++;
    ck_assert_int_eq(apply_in(&sm, 2, at, &end_command).reason, SM_RESTORE_BROKEN);
    ck_assert(is_there("old"));
}
END_TEST

START_TEST(records_that_are_not_what_the_beginning_said_change_nothing)
{
    digest ^= 1;
    begin();
    apply_records(0, records_count);
    ck_assert_int_eq(apply(&end_command).reason, SM_RESTORE_BROKEN);
    ck_assert(is_there("old"));
}
END_TEST

START_TEST(end_before_the_last_record_changes_nothing)
{
    begin();
    apply_records(0, records_count - 1);
    ck_assert_int_eq(apply(&end_command).reason, SM_RESTORE_BROKEN);
    ck_assert(is_there("old"));
}
END_TEST

START_TEST(record_left_out_ends_it)
{
    begin();
    apply_records(0, 1);
    const struct sm_command later = record_command(2);
    ck_assert_int_eq(apply(&later).reason, SM_RESTORE_BROKEN);
    ck_assert(!sm_is_restoring(sm));
}
END_TEST

START_TEST(part_of_another_restore_ends_it)
{
    struct sm_command foreign = record_command(0);

    begin();
    foreign.restore.id = 78;
    ck_assert_int_eq(apply(&foreign).reason, SM_RESTORE_BROKEN);
    ck_assert(!sm_is_restoring(sm));
}
END_TEST

START_TEST(second_beginning_takes_the_place_of_the_first)
{
    begin();
    apply_records(0, 2);
    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    ck_assert(!is_there("old"));
}
END_TEST

static struct sm *image_copy(struct sm *of)
{
    const struct sm_root root = sm_publish(of);
    struct sm_image_reader *reader = sm_image_reader_new();
    struct sm_image_writer writer;
    struct rk_buf body;
    struct sm *copy = NULL;
    uint8_t type = 0;

    sm_image_writer_init(&writer, &root);
    rk_buf_init(&body, SM_IMAGE_RECORD_SIZE_MAX);
    while (sm_image_write(&writer, &body, &type)) {
        ck_assert_int_eq(sm_image_read(reader, type, rk_buf_bytes(&body)), RK_OK);
        rk_buf_reset(&body);
    }
    ck_assert_int_eq(sm_image_finish(reader, &copy), RK_OK);
    rk_buf_done(&body);
    sm_image_reader_free(reader);
    return copy;
}

/* One replica goes through; another restarts from a snapshot of before, at each point of it in turn,
 * and comes back by the log. */
START_TEST(replica_that_restarts_in_the_middle_comes_to_the_same)
{
    const raft_index first = at + 1;
    struct sm *snapshot = image_copy(sm);
    const struct sm_command begun = begin_command();

    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    const uint64_t expected = digest_now();
    for (raft_index crash = first; crash <= at; crash++) {
        struct sm *replica = image_copy(snapshot);
        for (raft_index i = first; i <= crash; i++) {
            const uint32_t record = (uint32_t)(i - first) - 1;
            const struct sm_command command = i == first ? begun
                                              : i == at  ? end_command
                                                         : record_command(record);
            (void)apply_in(&replica, 1, i, &command);
        }
        sm_free(replica); /* and all that it gathered */
        replica = image_copy(snapshot);
        for (raft_index i = first; i <= at; i++) {
            const uint32_t record = (uint32_t)(i - first) - 1;
            const struct sm_command command = i == first ? begun
                                              : i == at  ? end_command
                                                         : record_command(record);
            (void)apply_in(&replica, 1, i, &command);
        }
        const struct sm_root root = sm_publish(replica);
        ck_assert_uint_eq(sm_digest(&root), expected);
        sm_free(replica);
    }
    sm_free(snapshot);
}
END_TEST

START_TEST(what_is_restored_can_be_snapshotted_and_read_back)
{
    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    struct sm *copy = image_copy(sm);
    const struct sm_root root = sm_publish(copy);
    ck_assert_uint_eq(sm_digest(&root), digest_now());
    sm_free(copy);
}
END_TEST

START_TEST(watcher_of_what_never_was_there_wakes)
{
    const struct sm_root before = sm_publish(sm);
    struct sm_watch_set *set = sm_watch_set_new();
    struct sm_watcher watcher = {.group = NULL};
    uint32_t budget = 100;
    const struct sm_topic topic = {.kind = SM_TOPIC_KEY, .key = bytes_of("never")};

    sm_watch_advance(set, &before);
    ck_assert(sm_watch_add(set, &topic, before.kv_index, &watcher));
    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    const struct sm_root root = sm_publish(sm);
    sm_watch_advance(set, &root);
    ck_assert_ptr_eq(sm_watch_next(set, &budget), &watcher);
    ck_assert_ptr_null(sm_watch_next(set, &budget));
    sm_watch_set_free(set);
}
END_TEST

START_TEST(nodes_of_the_cluster_stay_what_they_are)
{
    struct sm_node node;

    at++;
    sm_do(sm, at,
          &(struct sm_command){
              .type = SM_COMMAND_NODE_SET,
              .node = {.term = 1, .name = bytes_of("here"), .status = SM_CHECK_PASSING, .id = 5}});
    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    const struct sm_root root = sm_publish(sm);
    ck_assert(sm_node_get(&root, bytes_of("here"), &node));
    ck_assert(!sm_node_get(&root, bytes_of("there"), &node));
}
END_TEST

START_TEST(stream_of_changes_begins_anew)
{
    struct sm_event_cursor cursor;

    begin();
    apply_records(0, records_count);
    ck_assert(apply(&end_command).accepted);
    const struct sm_root root = sm_publish(sm);
    ck_assert(!sm_events_seek(
        &cursor, &root, (struct sm_event_place){.index = 2, .sequence = SM_EVENT_SEQUENCE_LAST}));
}
END_TEST

static void ck_encoded(const struct sm_command *command, const char *hex, struct rk_buf *buf)
{
    char text[512] = "";

    rk_buf_reset(buf);
    sm_command_encode(command, buf);
    for (size_t i = 0; i < buf->size; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", buf->data[i]);
    }
    ck_assert_str_eq(text, hex);
}

START_TEST(parts_are_encoded_as_in_version_1)
{
    const struct sm_command begin = {
        .type = SM_COMMAND_RESTORE_BEGIN,
        .restore = {.id = 0x0102030405060708, .number = 3, .digest = 9}};
    const struct sm_command record = {
        .type = SM_COMMAND_RESTORE_RECORD,
        .restore = {.id = 1, .number = 2, .record_type = 5, .body = bytes_of("ab")}};
    struct sm_command found;
    struct rk_buf buf;

    rk_buf_init(&buf, 4096);
    ck_encoded(&begin, "0d010000080706050403020103000000000000000900000000000000", &buf);
    ck_assert_int_eq(sm_command_decode(rk_buf_bytes(&buf), &found), RK_OK);
    ck_assert_uint_eq(found.restore.number, 3);
    ck_assert_uint_eq(found.restore.digest, 9);
    ck_encoded(&end_command, "0f0100004d00000000000000", &buf);
    buf.size--;
    ck_assert_int_eq(sm_command_decode(rk_buf_bytes(&buf), &found), RK_CORRUPT);
    ck_encoded(&record,
               "0e0100000100000000000000020000000000000005000000"
               "6162",
               &buf);
    ck_assert_int_eq(sm_command_decode(rk_buf_bytes(&buf), &found), RK_OK);
    ck_assert_uint_eq(found.restore.record_type, 5);
    ck_assert_uint_eq(found.restore.body.size, 2);
    buf.data[20] = SM_RESTORE_TYPE_MAX + 1;
    ck_assert_int_eq(sm_command_decode(rk_buf_bytes(&buf), &found), RK_CORRUPT);
    rk_buf_done(&buf);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("sm_restore");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, end_puts_the_backup_in_the_place_of_everything);
    tcase_add_test(tcase, all_that_is_restored_has_the_index_of_the_end);
    tcase_add_test(tcase, fence_of_a_lock_is_greater_than_any_given_out_here);
    tcase_add_test(tcase, session_has_its_whole_time_to_live_anew);
    tcase_add_test(tcase, key_keeps_what_was_left_of_its_time);
    tcase_add_test(tcase, write_in_between_ends_it);
    tcase_add_test(tcase, entry_without_a_command_in_between_ends_it);
    tcase_add_test(tcase, part_of_another_term_ends_it);
    tcase_add_test(tcase, records_that_are_not_what_the_beginning_said_change_nothing);
    tcase_add_test(tcase, end_before_the_last_record_changes_nothing);
    tcase_add_test(tcase, record_left_out_ends_it);
    tcase_add_test(tcase, part_of_another_restore_ends_it);
    tcase_add_test(tcase, second_beginning_takes_the_place_of_the_first);
    tcase_add_test(tcase, replica_that_restarts_in_the_middle_comes_to_the_same);
    tcase_add_test(tcase, what_is_restored_can_be_snapshotted_and_read_back);
    tcase_add_test(tcase, watcher_of_what_never_was_there_wakes);
    tcase_add_test(tcase, nodes_of_the_cluster_stay_what_they_are);
    tcase_add_test(tcase, stream_of_changes_begins_anew);
    tcase_add_test(tcase, parts_are_encoded_as_in_version_1);
    return run_suite("sm_restore", tcase);
}
