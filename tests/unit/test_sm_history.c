/* The last changes one by one: none missing, none twice, bounded (pitfalls 134, 135). */
#include "statemachine/history.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "statemachine/image.h"
#include "support/quick.h"
#include "support/run.h"
#include "support/sm_commands.h"

static struct sm *sm;
static struct sm_root root;
static raft_index last_index;
static struct sm_event_cursor cursor;
static struct sm_event event;

static void setup(void)
{
    sm = sm_new();
    last_index = 10;
}

static void teardown(void)
{
    sm_free(sm);
}

static void put(const char *key, const char *value)
{
    last_index++;
    (void)sm_do_put(sm, last_index,
                    &(struct sm_command_put){
                        .key = bytes_of(key), .value = bytes_of(value), .flags = last_index});
}

static void delete_key(const char *key)
{
    (void)sm_do_delete(sm, ++last_index, &(struct sm_command_delete){.key = bytes_of(key)});
}

static void delete_prefix(const char *prefix)
{
    (void)sm_do_delete_prefix(sm, ++last_index, bytes_of(prefix));
}

static struct sm_event_place behind(raft_index index)
{
    return (struct sm_event_place){.index = index, .sequence = SM_EVENT_SEQUENCE_LAST};
}

static bool seek(struct sm_event_place after)
{
    root = sm_publish(sm);
    return sm_events_seek(&cursor, &root, after);
}

static void expect(enum sm_event_type type, const char *key, raft_index index)
{
    ck_assert(sm_events_next(&cursor, &event));
    ck_assert_int_eq(event.type, type);
    ck_assert_uint_eq(event.index, index);
    ck_assert_uint_eq(event.key.size, strlen(key));
    ck_assert_int_eq(memcmp(event.key.data, key, event.key.size), 0);
}

static void expect_end(void)
{
    ck_assert(!sm_events_next(&cursor, &event));
}

START_TEST(changes_come_one_by_one_in_the_order_of_the_log)
{
    put("k", "1");
    put("k", "2");
    put("k", "2"); /* its flags differ */
    delete_key("k");
    ck_assert(seek(behind(0)));
    expect(SM_EVENT_PUT, "k", 11);
    ck_assert_int_eq(event.cause, SM_CAUSE_PUT);
    ck_assert_uint_eq(event.value.size, 1);
    ck_assert_int_eq(event.value.data[0], '1');
    ck_assert_uint_eq(event.flags, 11);
    expect(SM_EVENT_PUT, "k", 12);
    ck_assert_uint_eq(event.create_index, 11);
    expect(SM_EVENT_PUT, "k", 13);
    expect(SM_EVENT_DELETE, "k", 14);
    ck_assert_int_eq(event.cause, SM_CAUSE_DELETE);
    expect_end();
}
END_TEST

START_TEST(place_is_gone_on_from_without_a_gap_or_a_duplicate)
{
    put("a", "1");
    put("b", "1");
    put("c", "1");
    ck_assert(seek(behind(11)));
    expect(SM_EVENT_PUT, "b", 12);
    expect(SM_EVENT_PUT, "c", 13);
    ck_assert(seek(behind(13)));
    expect_end();
    ck_assert(seek(behind(99))); /* of a node that is ahead */
    put("d", "1");
    ck_assert(seek(behind(99)));
    expect_end();
}
END_TEST

START_TEST(events_of_one_entry_are_counted_and_the_last_is_known)
{
    put("p/a", "1");
    put("p/b", "1");
    put("p/c", "1");
    delete_prefix("p/");
    ck_assert(seek(behind(13)));
    expect(SM_EVENT_DELETE, "p/a", 14);
    ck_assert(event.sequence == 1 && !event.is_last);
    expect(SM_EVENT_DELETE, "p/b", 14);
    ck_assert(event.sequence == 2 && !event.is_last);
    expect(SM_EVENT_DELETE, "p/c", 14);
    ck_assert(event.sequence == 3 && event.is_last);
    ck_assert_int_eq(event.cause, SM_CAUSE_DELETE_PREFIX);
    ck_assert(seek((struct sm_event_place){.index = 14, .sequence = 2}));
    expect(SM_EVENT_DELETE, "p/c", 14);
    expect_end();
}
END_TEST

START_TEST(deletion_of_many_is_one_event)
{
    char key[16];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "p/%d", i);
        put(key, "1");
    }
    delete_prefix("p");
    ck_assert(seek(behind(last_index - 1)));
    expect(SM_EVENT_DELETE_PREFIX, "p", last_index);
    ck_assert(event.is_last);
    expect_end();
}
END_TEST

START_TEST(deletion_of_nothing_is_no_event)
{
    put("k", "1");
    delete_prefix("x");
    delete_key("x");
    ck_assert(seek(behind(11)));
    expect_end();
}
END_TEST

/* A reader holds a root for as long as it likes; what comes after is not its. */
START_TEST(root_does_not_see_what_came_after_it)
{
    put("a", "1");
    ck_assert(seek(behind(0)));
    const struct sm_root before = root;
    put("b", "1");
    (void)sm_publish(sm);
    ck_assert(sm_events_seek(&cursor, &before, behind(0)));
    expect(SM_EVENT_PUT, "a", 11);
    ck_assert(event.is_last);
    expect_end();
}
END_TEST

static void put_large(void)
{
    static char value[100 * 1024];
    static uint32_t count;

    memset(value, 'x', sizeof(value));
    (void)memcpy(value, &count, sizeof(count));
    count++;
    (void)sm_do_put(
        sm, ++last_index,
        &(struct sm_command_put){.key = bytes_of("large"),
                                 .value = {.data = (const uint8_t *)value, .size = sizeof(value)}});
}

START_TEST(history_is_bounded_and_says_what_is_gone)
{
    for (int i = 0; i < 100; i++) {
        put_large();
        root = sm_publish(sm);
        (void)sm_reclaim(sm, root.version, 1000);
    }
    ck_assert_uint_lt(sm_memory(sm), SM_HISTORY_SIZE_MAX + 1024 * 1024);
    ck_assert_uint_gt(root.history.floor, 11);
    ck_assert(!seek(behind(root.history.floor - 1)));
    ck_assert(!seek((struct sm_event_place){.index = root.history.floor, .sequence = 1}));
    ck_assert(seek(behind(root.history.floor)));
    expect(SM_EVENT_PUT, "large", root.history.floor + 1);
}
END_TEST

/* What was given up is still there for who holds a root that reaches it. */
START_TEST(held_root_keeps_its_events)
{
    put("first", "1");
    ck_assert(seek(behind(0)));
    const struct sm_root held = root;
    for (int i = 0; i < 100; i++) {
        put_large();
        (void)sm_publish(sm);
        (void)sm_reclaim(sm, held.version, 1000);
    }
    ck_assert(sm_events_seek(&cursor, &held, behind(0)));
    expect(SM_EVENT_PUT, "first", 11);
    expect_end();
}
END_TEST

/* --- images --- */

enum { RECORDS_MAX = 512 };
static struct rk_buf records[RECORDS_MAX];
static uint8_t types[RECORDS_MAX];
static uint32_t records_count;

static void write_image(void)
{
    struct sm_image_writer writer;

    root = sm_publish(sm);
    sm_image_writer_init(&writer, &root);
    for (records_count = 0;; records_count++) {
        ck_assert_uint_lt(records_count, RECORDS_MAX);
        rk_buf_init(&records[records_count], SM_IMAGE_RECORD_SIZE_MAX);
        if (!sm_image_write(&writer, &records[records_count], &types[records_count])) {
            return;
        }
        ck_assert(!records[records_count].overflowed);
    }
}

static void free_image(void)
{
    for (uint32_t i = 0; i <= records_count; i++) {
        rk_buf_done(&records[i]);
    }
}

/* What the records say takes the place of `sm`. */
static void read_image(void)
{
    struct sm_image_reader *reader = sm_image_reader_new();

    for (uint32_t i = 0; i < records_count; i++) {
        ck_assert_int_eq(sm_image_read(reader, types[i], rk_buf_bytes(&records[i])), RK_OK);
    }
    sm_free(sm);
    ck_assert_int_eq(sm_image_finish(reader, &sm), RK_OK);
    sm_image_reader_free(reader);
}

static void raise_level(void)
{
    (void)sm_do(sm, ++last_index,
                &(struct sm_command){.type = SM_COMMAND_FEATURE_LEVEL, .feature_level.level = 2});
}

START_TEST(image_of_the_first_level_has_no_history)
{
    put("k", "1");
    write_image();
    read_image();
    ck_assert(!seek(behind(10)));
    ck_assert(seek(behind(11)));
    put("k", "2");
    ck_assert(seek(behind(11)));
    expect(SM_EVENT_PUT, "k", 12);
    free_image();
}
END_TEST

/* Pitfall 134: a client goes on, whatever it has seen, without a gap and without a duplicate. */
START_TEST(history_goes_on_after_an_image)
{
    raise_level(); /* 11 */
    put("k", "1");
    put("l", "");
    delete_key("k");
    delete_prefix("none");
    write_image();
    read_image();
    put("k", "2");
    ck_assert(seek(behind(0)));
    expect(SM_EVENT_PUT, "k", 12);
    ck_assert_uint_eq(event.value.size, 1);
    ck_assert_uint_eq(event.flags, 12);
    ck_assert_int_eq(event.cause, SM_CAUSE_PUT);
    expect(SM_EVENT_PUT, "l", 13);
    expect(SM_EVENT_DELETE, "k", 14);
    expect(SM_EVENT_PUT, "k", 16);
    expect_end();
    free_image();
}
END_TEST

/* Its end comes at the same time on every node, whoever read an image and whoever did not. */
START_TEST(history_that_was_read_loses_what_the_other_loses)
{
    raise_level();
    for (int i = 0; i < 100; i++) {
        put_large();
    }
    const raft_index before = last_index;
    write_image();
    read_image();
    ck_assert_uint_eq(sm_publish(sm).history.floor, root.history.floor);
    struct sm *read = sm;
    const raft_index floor = root.history.floor;
    sm = sm_new();
    last_index = 10;
    raise_level();
    for (int i = 0; i < 100; i++) {
        put_large();
    }
    ck_assert_uint_eq(last_index, before);
    for (int i = 0; i < 50; i++) {
        put_large();
        const raft_index expected = sm_publish(sm).history.floor;
        struct sm *other = sm;
        sm = read;
        last_index--;
        put_large();
        ck_assert_uint_eq(sm_publish(sm).history.floor, expected);
        sm = other;
    }
    ck_assert_uint_gt(sm_publish(sm).history.floor, floor);
    sm_free(read);
    free_image();
}
END_TEST

/* Two nodes at one entry write one image, the history in it too. */
START_TEST(history_that_was_read_is_written_the_same)
{
    struct sm_image_writer writer;
    struct rk_buf again;
    uint8_t type = 0;

    raise_level();
    for (int i = 0; i < 100; i++) {
        put_large();
    }
    write_image();
    read_image();
    root = sm_publish(sm);
    sm_image_writer_init(&writer, &root);
    rk_buf_init(&again, SM_IMAGE_RECORD_SIZE_MAX);
    for (uint32_t i = 0; sm_image_write(&writer, &again, &type); i++) {
        ck_assert_uint_lt(i, records_count);
        ck_assert_uint_eq(type, types[i]);
        ck_assert_uint_eq(again.size, records[i].size);
        ck_assert(memcmp(again.data, records[i].data, again.size) == 0);
        rk_buf_reset(&again);
    }
    rk_buf_done(&again);
    free_image();
}
END_TEST

/* What is left may begin in the middle of what one entry did. */
START_TEST(history_that_begins_within_an_entry_is_read)
{
    char key[1024];

    raise_level();
    memset(key, 'k', sizeof(key));
    for (int i = 0; i < 200; i++) {
        (void)snprintf(key + sizeof(key) - 8, 8, "%d", i);
        put(key, "");
    }
    delete_prefix("kkk");
    const raft_index deletion = last_index;
    while (sm_publish(sm).history.floor < deletion) {
        put_large();
    }
    ck_assert_uint_eq(sm_publish(sm).history.floor, deletion);
    write_image();
    read_image();
    ck_assert_uint_eq(sm_publish(sm).history.floor, deletion);
    ck_assert(seek(behind(deletion)));
    expect(SM_EVENT_PUT, "large", deletion + 1);
    free_image();
}
END_TEST

/* Cut anywhere, or of an entry that the state does not have yet. */
START_TEST(history_that_no_writer_writes_is_refused)
{
    struct sm_history history;
    struct omap_heap heap;

    raise_level();
    put("k", "1");
    write_image();
    struct rk_buf *body = &records[records_count - 1];
    ck_assert_uint_eq(types[records_count - 1], SM_IMAGE_HISTORY);
    for (size_t size = 0; size < body->size; size++) {
        uint8_t *cut = rk_heap_alloc(size);
        memcpy(cut, body->data, size);
        omap_heap_init(&heap, 1);
        sm_history_init(&history, &heap);
        const enum rk_status status = sm_history_read(
            &history, (struct rk_bytes){.data = cut, .size = (uint32_t)size}, last_index);
        ck_assert(status == RK_CORRUPT || size == 8); /* a head alone is one without events */
        sm_history_done(&history);
        rk_heap_free(cut);
    }
    omap_heap_init(&heap, 1);
    sm_history_init(&history, &heap);
    ck_assert_int_eq(sm_history_read(&history, rk_buf_bytes(body), last_index - 1), RK_CORRUPT);
    sm_history_done(&history);
    free_image();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("sm_history");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, changes_come_one_by_one_in_the_order_of_the_log);
    tcase_add_test(tcase, place_is_gone_on_from_without_a_gap_or_a_duplicate);
    tcase_add_test(tcase, events_of_one_entry_are_counted_and_the_last_is_known);
    tcase_add_test(tcase, deletion_of_many_is_one_event);
    tcase_add_test(tcase, deletion_of_nothing_is_no_event);
    tcase_add_test(tcase, root_does_not_see_what_came_after_it);
    tcase_add_test(tcase, history_is_bounded_and_says_what_is_gone);
    tcase_add_test(tcase, held_root_keeps_its_events);
    tcase_add_test(tcase, image_of_the_first_level_has_no_history);
    tcase_add_test(tcase, history_goes_on_after_an_image);
    tcase_add_test(tcase, history_that_was_read_loses_what_the_other_loses);
    tcase_add_test(tcase, history_that_was_read_is_written_the_same);
    tcase_add_test(tcase, history_that_begins_within_an_entry_is_read);
    tcase_add_test(tcase, history_that_no_writer_writes_is_refused);
    return run_suite("sm_history", tcase);
}
