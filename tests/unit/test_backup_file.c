/* A backup: what a root holds comes back whole, and nothing else is taken for it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup/backup_file.h"
#include "backup/gzip.h"
#include "statemachine/omap.h"
#include "support/quick.h"
#include "support/run.h"
#include "support/sm_commands.h"

enum { FILE_SIZE_MAX = 64 << 20, BLOCK_SIZE = 64 * 1024 };

static const struct backup_about about = {
    .id = {.term = 3, .index = 0},
    .cluster_id = "0123456789abcdef0123456789abcdef",
    .node = "n1",
    .made_ms = 1700000000123,
};

static struct sm *sm;
static struct rk_buf file;

static void setup(void)
{
    sm = sm_new();
    rk_buf_init(&file, FILE_SIZE_MAX);
}

static void teardown(void)
{
    sm_free(sm);
    rk_buf_done(&file);
}

static void put_keys(uint32_t count, const char *value)
{
    char key[32];

    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "key/%06u", i);
        sm_do_put(sm, i + 1,
                  &(struct sm_command_put){.key = bytes_of(key), .value = bytes_of(value)});
    }
}

/* Returns the largest count of bytes that one call gave. */
static size_t write_backup(size_t block_size)
{
    static uint8_t block[BLOCK_SIZE];
    const struct sm_root root = sm_publish(sm);
    struct backup_about of = about;
    size_t size = 0;

    of.id.index = root.last_applied;
    struct backup_writer *writer = backup_writer_new(&root, &of);
    for (size = backup_write(writer, block, block_size); size > 0;
         size = backup_write(writer, block, block_size)) {
        quick_assert(size <= block_size);
        rk_buf_append(&file, block, size);
    }
    backup_writer_free(writer);
    return file.size;
}

static enum rk_status read_file(void *context, uint64_t offset, uint8_t *to, size_t size,
                                size_t *ret_size)
{
    const struct rk_buf *from = context;
    const size_t left = offset < from->size ? from->size - (size_t)offset : 0;

    *ret_size = size < left ? size : left;
    if (*ret_size > 0) {
        memcpy(to, from->data + offset, *ret_size);
    }
    return RK_OK;
}

static enum rk_status verify(struct backup_summary *ret, const char **why)
{
    return backup_verify(read_file, &file, FILE_SIZE_MAX, ret, why);
}

/* The bytes packed, in the place of a file. */
static void pack(const void *data, size_t size)
{
    struct gzip_packer *packer = gzip_packer_new();
    struct rk_bytes from = {.data = data, .size = (uint32_t)size};
    bool is_over = false;

    rk_buf_reset(&file);
    while (!is_over) {
        uint8_t block[256];
        const size_t came = gzip_pack(packer, &from, GZIP_END, block, sizeof(block), &is_over);
        rk_buf_append(&file, block, came);
    }
    gzip_packer_free(packer);
}

START_TEST(summary_is_that_of_the_state_that_was_written)
{
    struct backup_summary summary;
    const char *why = NULL;

    put_keys(3000, "value");
    (void)write_backup(BLOCK_SIZE);
    ck_assert_int_eq(verify(&summary, &why), RK_OK);
    const struct sm_root root = sm_publish(sm);
    ck_assert_uint_eq(summary.keys_count, 3000);
    ck_assert_uint_eq(summary.about.id.index, 3000);
    ck_assert_uint_eq(summary.about.id.term, 3);
    ck_assert_str_eq(summary.about.cluster_id, about.cluster_id);
    ck_assert_str_eq(summary.about.node, "n1");
    ck_assert_uint_eq(summary.about.made_ms, about.made_ms);
    ck_assert_uint_eq(summary.state_digest, sm_digest(&root));
    ck_assert_uint_eq(summary.packed_size, file.size);
    ck_assert_uint_gt(summary.unpacked_size, 3000 * 40);
}
END_TEST

START_TEST(what_is_whole_has_no_reason_against_it)
{
    struct backup_summary summary;
    const char *why = "from before";

    put_keys(10, "value");
    (void)write_backup(BLOCK_SIZE);
    ck_assert_int_eq(verify(&summary, &why), RK_OK);
    ck_assert_ptr_null(why); /* what fails later would be answered with it */
}
END_TEST

/* The check at the end would find it, at the restore. */
START_TEST(memory_that_has_changed_is_noticed_while_it_is_written)
{
    static uint8_t block[BLOCK_SIZE];
    struct omap_entry entry;

    put_keys(10, "value");
    const struct sm_root root = sm_publish(sm);
    omap_item_read(omap_find(root.kv, bytes_of("key/000007")), &entry);
    ((uint8_t *)(uintptr_t)entry.value.data)[0] ^= 1;
    struct backup_writer *writer = backup_writer_new(&root, &about);
    ck_assert(!backup_is_damaged(writer));
    while (backup_write(writer, block, BLOCK_SIZE) > 0) {
    }
    ck_assert(backup_is_damaged(writer));
    backup_writer_free(writer);
}
END_TEST

START_TEST(equal_states_give_equal_bytes)
{
    struct rk_buf first;

    put_keys(500, "value");
    (void)write_backup(BLOCK_SIZE);
    first = file;
    rk_buf_init(&file, FILE_SIZE_MAX);
    (void)write_backup(BLOCK_SIZE);
    ck_assert_uint_eq(first.size, file.size);
    ck_assert_mem_eq(first.data, file.data, file.size);
    rk_buf_done(&first);
}
END_TEST

START_TEST(a_byte_at_a_time_is_whole_too)
{
    struct backup_summary summary;
    const char *why = NULL;

    put_keys(50, "value");
    (void)write_backup(1);
    ck_assert_int_eq(verify(&summary, &why), RK_OK);
    ck_assert_uint_eq(summary.keys_count, 50);
}
END_TEST

START_TEST(every_byte_that_differs_is_noticed_or_means_nothing)
{
    struct backup_summary summary;
    struct backup_summary whole;
    uint32_t harmless = 0;
    const char *why = NULL;

    put_keys(20, "value");
    (void)write_backup(BLOCK_SIZE);
    ck_assert_int_eq(verify(&whole, &why), RK_OK);
    for (size_t i = 0; i < file.size; i++) {
        file.data[i] ^= 0x10;
        why = NULL;
        if (verify(&summary, &why) ==
            RK_OK) { /* gzip's head and padding hold bits that mean nothing */
            harmless++;
            quick_assert(summary.file_digest == whole.file_digest);
            quick_assert(summary.state_digest == whole.state_digest);
        } else {
            quick_assert(why != NULL);
        }
        file.data[i] ^= 0x10;
    }
    ck_assert_uint_lt(harmless, 16);
}
END_TEST

START_TEST(cut_off_anywhere_it_is_refused)
{
    struct backup_summary summary;
    const char *why = NULL;

    put_keys(20, "value");
    const size_t whole = write_backup(BLOCK_SIZE);
    for (size_t size = 0; size < whole; size++) {
        file.size = size;
        quick_assert(verify(&summary, &why) != RK_OK);
    }
}
END_TEST

START_TEST(what_follows_the_end_is_refused)
{
    struct backup_summary summary;
    const char *why = NULL;

    put_keys(5, "value");
    (void)write_backup(BLOCK_SIZE);
    rk_buf_append_byte(&file, 0);
    ck_assert_int_eq(verify(&summary, &why), RK_CORRUPT);
    ck_assert_str_eq(why, "something follows its end");
}
END_TEST

START_TEST(what_is_no_gzip_is_said_to_be_none)
{
    struct backup_summary summary;
    const char *why = NULL;

    rk_buf_append_text(&file, "{\"not\": \"a backup\"}");
    ck_assert_int_eq(verify(&summary, &why), RK_INVALID);
    ck_assert_str_eq(why, "it is not gzip, or damaged");
}
END_TEST

START_TEST(gzip_of_something_else_is_said_to_be_no_backup)
{
    static const char text[] =
        "a letter home, long enough for a head of some kind to be looked for";
    struct backup_summary summary;
    const char *why = NULL;

    pack(text, sizeof(text));
    ck_assert_int_eq(verify(&summary, &why), RK_INVALID);
    ck_assert(strncmp(why, "it is not a backup of RaftKV", 28) == 0);
}
END_TEST

/* A node's own snapshot has a configuration where a backup has its origin. */
START_TEST(snapshot_of_a_node_is_no_backup)
{
    static const uint8_t config[] = {1, 2, 3};
    const struct snap_head head = {.id = {.term = 1, .index = 1},
                                   .chain = 7,
                                   .config_index = 1,
                                   .config = {.data = config, .size = sizeof(config)}};
    struct backup_summary summary;
    struct snap_sum sum;
    struct rk_buf bytes;
    const char *why = NULL;

    rk_buf_init(&bytes, 4096);
    snap_file_begin(&head, &sum, &bytes);
    snap_file_end(&sum, &bytes);
    pack(bytes.data, bytes.size);
    rk_buf_done(&bytes);
    ck_assert_int_eq(verify(&summary, &why), RK_INVALID);
}
END_TEST

START_TEST(what_unpacks_to_more_than_is_allowed_is_refused)
{
    struct backup_summary summary;
    const char *why = NULL;

    put_keys(3000, "value");
    (void)write_backup(BLOCK_SIZE);
    ck_assert_int_eq(backup_verify(read_file, &file, 10000, &summary, &why), RK_TOO_LARGE);
    ck_assert_str_eq(why, "it unpacks to more than is allowed");
}
END_TEST

/* A thread that answers others makes it: no call may work through megabytes before it gives a byte. */
START_TEST(each_call_gives_something_however_well_the_state_packs)
{
    static char value[500 * 1024];
    struct backup_summary summary;
    const char *why = NULL;

    memset(value, 'a', sizeof(value) - 1);
    put_keys(100, value);
    (void)write_backup(BLOCK_SIZE);
    ck_assert_int_eq(verify(&summary, &why), RK_OK);
    ck_assert_uint_eq(summary.keys_count, 100);
    /* One push of at least five bytes for each of the records, which nobody would have made else. */
    ck_assert_uint_gt(file.size, 100 * 5);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("backup_file");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, summary_is_that_of_the_state_that_was_written);
    tcase_add_test(tcase, what_is_whole_has_no_reason_against_it);
    tcase_add_test(tcase, memory_that_has_changed_is_noticed_while_it_is_written);
    tcase_add_test(tcase, equal_states_give_equal_bytes);
    tcase_add_test(tcase, a_byte_at_a_time_is_whole_too);
    tcase_add_test(tcase, every_byte_that_differs_is_noticed_or_means_nothing);
    tcase_add_test(tcase, cut_off_anywhere_it_is_refused);
    tcase_add_test(tcase, what_follows_the_end_is_refused);
    tcase_add_test(tcase, what_is_no_gzip_is_said_to_be_none);
    tcase_add_test(tcase, gzip_of_something_else_is_said_to_be_no_backup);
    tcase_add_test(tcase, snapshot_of_a_node_is_no_backup);
    tcase_add_test(tcase, what_unpacks_to_more_than_is_allowed_is_refused);
    tcase_add_test(tcase, each_call_gives_something_however_well_the_state_packs);
    return run_suite("backup_file", tcase);
}
