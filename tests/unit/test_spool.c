/* A spool: what was put in comes out, and no name is left of it. */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/spool.h"
#include "support/run.h"

static char directory[] = "/tmp/raftkv-spool-XXXXXX";
static struct spool *spool;

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(spool_open(directory, &spool), RK_OK);
}

static void teardown(void)
{
    spool_close(spool);
    ck_assert_int_eq(rmdir(directory), 0); /* which is empty */
}

START_TEST(what_was_put_in_comes_out_anywhere)
{
    uint8_t bytes[8];
    size_t size = 0;

    ck_assert_int_eq(spool_append(spool, (const uint8_t *)"abc", 3), RK_OK);
    ck_assert_int_eq(spool_append(spool, (const uint8_t *)"defg", 4), RK_OK);
    ck_assert_uint_eq(spool_size(spool), 7);
    ck_assert_int_eq(spool_read(spool, 2, bytes, 4, &size), RK_OK);
    ck_assert_uint_eq(size, 4);
    ck_assert_mem_eq(bytes, "cdef", 4);
    ck_assert_int_eq(spool_read(spool, 7, bytes, 4, &size), RK_OK);
    ck_assert_uint_eq(size, 0);
}
END_TEST

START_TEST(nothing_of_it_has_a_name)
{
    uint32_t count = 0;

    ck_assert_int_eq(spool_append(spool, (const uint8_t *)"abc", 3), RK_OK);
    DIR *entries = opendir(directory);
    ck_assert_ptr_nonnull(entries);
    while (readdir(entries) != NULL) {
        count++;
    }
    closedir(entries);
    ck_assert_uint_eq(count, 2); /* itself and its parent */
}
END_TEST

START_TEST(without_a_directory_there_is_none)
{
    struct spool *none = NULL;

    ck_assert_int_eq(spool_open("/nowhere/at/all", &none), RK_IO);
    ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("spool");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_put_in_comes_out_anywhere);
    tcase_add_test(tcase, nothing_of_it_has_a_name);
    tcase_add_test(tcase, without_a_directory_there_is_none);
    return run_suite("spool", tcase);
}
