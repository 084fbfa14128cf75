/* The bytes of a snapshot's file: what was written comes back, and nothing else is taken for it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "storage/snap_file.h"
#include "support/quick.h"
#include "support/run.h"

enum { FILE_SIZE_MAX = 4 << 20 };

static const uint8_t config_bytes[] = {'c', 'o', 'n', 'f'};
static const struct snap_head head = {
    .id = {.term = 3, .index = 40},
    .chain = 0x1122334455667788,
    .config_index = 7,
    .config = {config_bytes, sizeof(config_bytes)},
};

static struct rk_buf file;
static struct snap_sum sum;

static void setup(void)
{
    rk_buf_init(&file, FILE_SIZE_MAX);
}

static void teardown(void)
{
    rk_buf_done(&file);
}

static void add_record(uint8_t type, const void *body, size_t size)
{
    const size_t offset = snap_frame_begin(&file);

    rk_buf_append(&file, body, size);
    snap_frame_end(&file, offset, type, &sum);
}

static void write_small(void)
{
    snap_file_begin(&head, &sum, &file);
    add_record(1, "one", 3);
    add_record(2, "", 0);
    snap_file_end(&sum, &file);
    quick_assert(!file.overflowed);
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

/* RK_NOT_FOUND: read to its end, and whole. */
static enum rk_status read_to_the_end(snap_read *read, struct snap_ref *ret)
{
    struct snap_reader *reader = NULL;
    struct rk_bytes body = {0};
    uint8_t type = 0;

    enum rk_status status = snap_reader_open(read, &file, &reader);
    if (status != RK_OK) {
        return status;
    }
    while (status == RK_OK) {
        status = snap_reader_next(reader, &type, &body);
    }
    if (status == RK_NOT_FOUND) {
        *ret = snap_reader_ref(reader);
    }
    snap_reader_free(reader);
    return status;
}

static bool is_whole(void)
{
    struct snap_ref ref;
    const enum rk_status status = read_to_the_end(read_file, &ref);

    quick_assert(status == RK_NOT_FOUND || status == RK_CORRUPT);
    return status == RK_NOT_FOUND;
}

START_TEST(what_was_written_comes_back)
{
    struct snap_reader *reader = NULL;
    struct rk_bytes body = {0};
    uint8_t type = 0;

    write_small();
    ck_assert_int_eq(snap_reader_open(read_file, &file, &reader), RK_OK);
    const struct snap_head *found = snap_reader_head(reader);
    ck_assert_uint_eq(found->id.term, 3);
    ck_assert_uint_eq(found->id.index, 40);
    ck_assert_uint_eq(found->chain, head.chain);
    ck_assert_uint_eq(found->config_index, 7);
    ck_assert_uint_eq(found->config.size, sizeof(config_bytes));
    ck_assert_mem_eq(found->config.data, config_bytes, sizeof(config_bytes));

    ck_assert_int_eq(snap_reader_next(reader, &type, &body), RK_OK);
    ck_assert_uint_eq(type, 1);
    ck_assert_uint_eq(body.size, 3);
    ck_assert_mem_eq(body.data, "one", 3);
    ck_assert_int_eq(snap_reader_next(reader, &type, &body), RK_OK);
    ck_assert_uint_eq(type, 2);
    ck_assert_uint_eq(body.size, 0);
    ck_assert_int_eq(snap_reader_next(reader, &type, &body), RK_NOT_FOUND);

    const struct snap_ref ref = snap_reader_ref(reader);
    ck_assert_uint_eq(ref.id.index, 40);
    ck_assert_uint_eq(ref.size, file.size);
    ck_assert_uint_eq(ref.digest, sum.digest);
    snap_reader_free(reader);
}
END_TEST

/* The bytes of format version 1: they never change. */
START_TEST(golden_bytes)
{
    static const uint8_t golden[] = {
        0x52, 0x4b, 0x53, 0x4e, 0x01, 0x00, 0x00, 0x00, /* magic, version */
        0x24, 0x00, 0x00, 0x00, 0xf1, 0x01, 0x00, 0x00, /* head: size, type, version */
        0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* term */
        0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* index */
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* chain */
        0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* config_index */
        0x63, 0x6f, 0x6e, 0x66, 0xa1, 0x30, 0xda, 0x8d, /* the configuration, check */
        0x03, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x6f, 0x6e, 0x65, 0x08, 0x8e, 0x6c,
        0xdb, 0x00, 0x00, 0x00, 0x00, 0x02, 0x01, 0x00, 0x00, 0x75, 0x03, 0x0e, 0x96, 0x10,
        0x00, 0x00, 0x00, 0xf2, 0x01, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x72, 0xf7, 0xda, 0xfb, 0x8f, 0xbc, 0x85, 0xa3, 0xd8, 0x77, 0x6f, 0x75,
    };

    write_small();
    ck_assert_uint_eq(file.size, sizeof(golden));
    ck_assert_mem_eq(file.data, golden, sizeof(golden));
}
END_TEST

/* Each bit of each byte: the frames' checks find them all, whatever they stand for. */
START_TEST(each_flipped_bit_is_found)
{
    write_small();
    for (size_t at = 0; at < file.size; at++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            file.data[at] ^= (uint8_t)(1U << bit);
            quick_assert(!is_whole());
            file.data[at] ^= (uint8_t)(1U << bit);
        }
    }
    ck_assert(is_whole());
}
END_TEST

START_TEST(a_file_cut_short_anywhere_is_found)
{
    write_small();
    const size_t size = file.size;
    for (file.size = 0; file.size < size; file.size++) {
        quick_assert(!is_whole());
    }
    ck_assert(is_whole());
}
END_TEST

START_TEST(a_byte_too_many_is_found)
{
    write_small();
    rk_buf_append_byte(&file, 0);
    ck_assert(!is_whole());
}
END_TEST

/* Frames that are whole, but not the file's: the digest knows their number and order. */
START_TEST(frames_changed_about_are_found)
{
    struct snap_sum other;

    snap_file_begin(&head, &sum, &file);
    add_record(1, "one", 3);
    add_record(1, "two", 3);
    const struct snap_sum right = sum;
    rk_buf_reset(&file);
    snap_file_begin(&head, &sum, &file);
    add_record(1, _i == 0 ? "two" : "one", 3);
    add_record(1, _i == 1 ? "one" : "two", 3);
    add_record(1, _i == 0 ? "one" : "two", 3);
    const size_t frame_size = 3 + SNAP_FRAME_EXTRA_SIZE;
    file.size -= _i == 2 ? 0 : frame_size;
    if (_i == 0) { /* the other way round: two, one */
        memcpy(file.data + file.size - frame_size, file.data + file.size, frame_size);
    }
    other = right;
    snap_file_end(&other, &file);
    ck_assert(!is_whole());
}
END_TEST

START_TEST(the_largest_frame_comes_back)
{
    uint8_t *body = calloc(1, SNAP_BODY_SIZE_MAX);

    ck_assert_ptr_nonnull(body);
    snap_file_begin(&head, &sum, &file);
    add_record(1, body, SNAP_BODY_SIZE_MAX);
    add_record(2, body, SNAP_BODY_SIZE_MAX);
    snap_file_end(&sum, &file);
    ck_assert(is_whole());
    free(body);
}
END_TEST

/* One byte a time: frames need not come in one piece. */
static enum rk_status read_a_byte(void *context, uint64_t offset, uint8_t *to, size_t size,
                                  size_t *ret_size)
{
    return read_file(context, offset, to, size > 0 ? 1 : 0, ret_size);
}

START_TEST(it_may_come_in_any_pieces)
{
    struct snap_ref ref;

    write_small();
    ck_assert_int_eq(read_to_the_end(read_a_byte, &ref), RK_NOT_FOUND);
    ck_assert_uint_eq(ref.size, file.size);
}
END_TEST

static enum rk_status read_nothing(void *context, uint64_t offset, uint8_t *to, size_t size,
                                   size_t *ret_size)
{
    if (offset > 20) {
        return RK_IO;
    }
    return read_file(context, offset, to, size < 8 ? size : 8, ret_size);
}

START_TEST(a_disk_that_does_not_read_is_not_called_damage)
{
    struct snap_ref ref;

    write_small();
    ck_assert_int_eq(read_to_the_end(read_nothing, &ref), RK_IO);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("snap_file");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_written_comes_back);
    tcase_add_test(tcase, golden_bytes);
    tcase_add_test(tcase, each_flipped_bit_is_found);
    tcase_add_test(tcase, a_file_cut_short_anywhere_is_found);
    tcase_add_test(tcase, a_byte_too_many_is_found);
    tcase_add_loop_test(tcase, frames_changed_about_are_found, 0, 3);
    tcase_add_test(tcase, the_largest_frame_comes_back);
    tcase_add_test(tcase, it_may_come_in_any_pieces);
    tcase_add_test(tcase, a_disk_that_does_not_read_is_not_called_damage);
    return run_suite("snap_file", tcase);
}
