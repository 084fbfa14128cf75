/* What SQLite writes reaches the files in fewer calls, and is otherwise what SQLite wrote. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "storage/log_vfs.h"
#include "store_fixture.h"

enum { FRAME_SIZE = 4120, MODEL_SIZE = 1 << 20, PIECE_SIZE_MAX = 65536, STEPS_COUNT = 400 };

static sqlite3_file *file;
static uint8_t bytes[MODEL_SIZE];

static int must_find_size(void)
{
    sqlite3_int64 size = -1;
    ck_assert_int_eq(file->pMethods->xFileSize(file, &size), SQLITE_OK);
    return (int)size;
}

static int put(int size, int offset)
{
    return file->pMethods->xWrite(file, bytes, size, offset);
}

static int sync_file(void)
{
    return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

/* SQLite wants two NULs behind the name of a file that it did not name itself. */
static void file_begin(void)
{
    static char name[sizeof(db_path) + 2];
    int flags = 0;

    store_begin();
    memcpy(name, db_path, sizeof(db_path));
    sqlite3_vfs *vfs = sqlite3_vfs_find(log_vfs_name());
    ck_assert_ptr_nonnull(vfs);
    file = calloc(1, (size_t)vfs->szOsFile);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(vfs->xOpen(vfs, name, file,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB,
                                &flags),
                     SQLITE_OK);
    for (uint32_t i = 0; i < MODEL_SIZE; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    test_vfs_fail_at(0, SQLITE_OK, false); /* counts from here on */
}

static int close_file(void)
{
    const int code = file->pMethods->xClose(file);

    file->pMethods = NULL;
    return code;
}

static void file_end(void)
{
    if (file->pMethods != NULL) {
        (void)close_file(); /* it repeats the error that a test has caused */
    }
    free(file);
    store_end();
}

START_TEST(writes_that_follow_one_another_reach_the_file_in_one)
{
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(put(24, i * FRAME_SIZE), SQLITE_OK);
        ck_assert_int_eq(put(FRAME_SIZE - 24, i * FRAME_SIZE + 24), SQLITE_OK);
    }
    ck_assert_uint_eq(test_vfs_operations(), 0);
    ck_assert_int_eq(sync_file(), SQLITE_OK);
    ck_assert_uint_eq(test_vfs_operations(), 2); /* the sync, too */
    ck_assert_int_eq(must_find_size(), 20 * FRAME_SIZE);
}
END_TEST

/* As one that finds no room on the disk, in the middle of a transaction. */
START_TEST(write_that_fails_is_told_by_the_sync_and_never_tried_again)
{
    ck_assert_int_eq(put(100, 0), SQLITE_OK);
    test_vfs_fail_at(1, SQLITE_FULL, false);
    ck_assert_int_eq(sync_file(), SQLITE_FULL);
    ck_assert_int_eq(put(100, 100), SQLITE_FULL);
    ck_assert_int_eq(sync_file(), SQLITE_FULL);
    ck_assert_int_eq(file->pMethods->xTruncate(file, 0), SQLITE_FULL);
    ck_assert_int_eq(file->pMethods->xRead(file, bytes, 1, 0), SQLITE_FULL);
    ck_assert_int_eq(close_file(), SQLITE_FULL);
    ck_assert_uint_eq(test_vfs_operations(), 1);
}
END_TEST

START_TEST(write_that_fails_while_another_comes_is_told_by_that_one)
{
    ck_assert_int_eq(put(100, 0), SQLITE_OK);
    test_vfs_fail_at(1, SQLITE_IOERR_WRITE, false);
    ck_assert_int_eq(put(100, 5000), SQLITE_IOERR_WRITE);
    ck_assert_int_eq(sync_file(), SQLITE_IOERR_WRITE);
    ck_assert_uint_eq(test_vfs_operations(), 1);
}
END_TEST

START_TEST(sync_that_fails_is_never_tried_again)
{
    ck_assert_int_eq(put(100, 0), SQLITE_OK);
    test_vfs_fail_at(2, SQLITE_IOERR_FSYNC, false);
    ck_assert_int_eq(sync_file(), SQLITE_IOERR_FSYNC);
    ck_assert_int_eq(sync_file(), SQLITE_IOERR_FSYNC);
    ck_assert_int_eq(put(100, 100), SQLITE_IOERR_FSYNC);
    ck_assert_uint_eq(test_vfs_syncs(), 1);
}
END_TEST

/* What an earlier process has written may be in the system's memory alone. */
START_TEST(first_sync_after_the_open_is_done)
{
    ck_assert_int_eq(sync_file(), SQLITE_OK);
    ck_assert_uint_eq(test_vfs_syncs(), 1);
}
END_TEST

START_TEST(sync_without_a_change_is_spared_and_after_one_is_not)
{
    sqlite3_int64 hint = 8192;

    ck_assert_int_eq(put(100, 0), SQLITE_OK);
    ck_assert_int_eq(sync_file(), SQLITE_OK);
    ck_assert_int_eq(sync_file(), SQLITE_OK);
    ck_assert_uint_eq(test_vfs_syncs(), 1);
    ck_assert_int_eq(put(100, 50), SQLITE_OK);
    ck_assert_int_eq(sync_file(), SQLITE_OK);
    ck_assert_uint_eq(test_vfs_syncs(), 2);
    ck_assert_int_eq(file->pMethods->xTruncate(file, 20), SQLITE_OK);
    ck_assert_int_eq(sync_file(), SQLITE_OK);
    ck_assert_uint_eq(test_vfs_syncs(), 3);
    ck_assert_int_eq(file->pMethods->xFileControl(file, SQLITE_FCNTL_SIZE_HINT, &hint), SQLITE_OK);
    ck_assert_int_eq(sync_file(), SQLITE_OK);
    ck_assert_uint_eq(test_vfs_syncs(), 4);
}
END_TEST

START_TEST(what_waits_at_the_close_is_written)
{
    ck_assert_int_eq(put(100, 0), SQLITE_OK);
    ck_assert_int_eq(close_file(), SQLITE_OK);
    ck_assert_uint_eq(size_of(db_path), 100);
}
END_TEST

/* What a file without this layer would hold. */
struct model {
    uint8_t held[MODEL_SIZE + PIECE_SIZE_MAX];
    int size;
    int end; /* of the last write: the next one likes to follow */
};

static void model_write(struct model *model, struct rk_prng *prng)
{
    const int size = (int)rk_prng_below(prng, rk_prng_chance(prng, 50) ? PIECE_SIZE_MAX : 9000) + 1;
    const int offset = rk_prng_chance(prng, 700) && model->end < MODEL_SIZE
                           ? model->end
                           : (int)rk_prng_below(prng, MODEL_SIZE);
    const int from = (int)rk_prng_below(prng, MODEL_SIZE - PIECE_SIZE_MAX);

    ck_assert_int_eq(file->pMethods->xWrite(file, bytes + from, size, offset), SQLITE_OK);
    memcpy(model->held + offset, bytes + from, (size_t)size);
    model->end = offset + size;
    model->size = model->size > model->end ? model->size : model->end;
}

static void model_read(const struct model *model, struct rk_prng *prng)
{
    static uint8_t got[PIECE_SIZE_MAX];

    if (model->size == 0) {
        return;
    }
    const int offset = (int)rk_prng_below(prng, (uint32_t)model->size);
    const int left = model->size - offset;
    const int size = (int)rk_prng_below(prng, (uint32_t)(left < 9000 ? left : 9000)) + 1;
    ck_assert_int_eq(file->pMethods->xRead(file, got, size < left ? size : left, offset),
                     SQLITE_OK);
    ck_assert_mem_eq(got, model->held + offset, (size_t)(size < left ? size : left));
}

static void model_truncate(struct model *model, struct rk_prng *prng)
{
    const int size = (int)rk_prng_below(prng, (uint32_t)model->size + 1);

    ck_assert_int_eq(file->pMethods->xTruncate(file, size), SQLITE_OK);
    memset(model->held + size, 0, sizeof(model->held) - (size_t)size);
    model->size = size;
}

START_TEST(any_calls_do_what_they_do_without_the_layer)
{
    struct model *model = calloc(1, sizeof(*model));
    struct rk_prng prng;

    ck_assert_ptr_nonnull(model);
    rk_prng_seed(&prng, (uint64_t)_i + 1);
    for (int step = 0; step < STEPS_COUNT; step++) {
        if (rk_prng_chance(&prng, 700)) {
            model_write(model, &prng);
        } else if (rk_prng_chance(&prng, 500)) {
            model_read(model, &prng);
        } else if (rk_prng_chance(&prng, 300)) {
            model_truncate(model, &prng);
        } else if (rk_prng_chance(&prng, 500)) {
            ck_assert_int_eq(must_find_size(), model->size);
        } else {
            ck_assert_int_eq(sync_file(), SQLITE_OK);
        }
    }
    free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("log_vfs");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, file_begin, file_end);
    tcase_add_test(tcase, writes_that_follow_one_another_reach_the_file_in_one);
    tcase_add_test(tcase, write_that_fails_is_told_by_the_sync_and_never_tried_again);
    tcase_add_test(tcase, write_that_fails_while_another_comes_is_told_by_that_one);
    tcase_add_test(tcase, sync_that_fails_is_never_tried_again);
    tcase_add_test(tcase, first_sync_after_the_open_is_done);
    tcase_add_test(tcase, sync_without_a_change_is_spared_and_after_one_is_not);
    tcase_add_test(tcase, what_waits_at_the_close_is_written);
    tcase_add_loop_test(tcase, any_calls_do_what_they_do_without_the_layer, 0, 10);
    return run_suite_in_dir("log_vfs", tcase);
}
