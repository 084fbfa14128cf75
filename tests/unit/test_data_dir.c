/* storage/data_dir.h against a real file system. A disk that is really full is a matter for the
 * integration tests. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/data_dir.h"
#include "storage_support.h"

/* The linker puts these in place of fstatvfs() (--wrap): with fake_free_mib >= 0 the file system
 * has 1,600 MiB, of which that many are free. */
int __real_fstatvfs(int fd, struct statvfs *ret);
int __wrap_fstatvfs(int fd, struct statvfs *ret);
static int64_t fake_free_mib = -1;

int __wrap_fstatvfs(int fd, struct statvfs *ret)
{
    if (fake_free_mib < 0) {
        return __real_fstatvfs(fd, ret);
    }
    *ret = (struct statvfs){
        .f_frsize = 1 << 20, .f_blocks = 1600, .f_bavail = (fsblkcnt_t)fake_free_mib};
    return 0;
}

/* And this one: whose directories were synced. */
enum { SYNCED_MAX = 64 };
static ino_t synced[SYNCED_MAX];
static uint32_t synced_count;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat status;

    if (synced_count < SYNCED_MAX && fstat(fd, &status) == 0) {
        synced[synced_count] = status.st_ino;
        synced_count++;
    }
    return __real_fsync(fd);
}

static bool was_synced(const char *which)
{
    struct stat status;

    ck_assert_int_eq(stat(which, &status), 0);
    for (uint32_t i = 0; i < synced_count; i++) {
        if (synced[i] == status.st_ino) {
            return true;
        }
    }
    return false;
}

static char parent[MADE_PATH_SIZE];
static char path[2 * MADE_PATH_SIZE];
static char message[512];
static struct data_dir *dir;

static void setup(void)
{
    test_dir_make(parent);
    (void)snprintf(path, sizeof(path), "%s/data", parent);
    message[0] = '\0';
    dir = NULL;
    synced_count = 0;
}

static void teardown(void)
{
    data_dir_close(dir);
    test_dir_remove(parent);
}

static enum rk_status open_path(const char *which)
{
    return data_dir_open(which, &dir, message, sizeof(message));
}

static mode_t mode_of(const char *which)
{
    struct stat status;
    ck_assert_int_eq(stat(which, &status), 0);
    return status.st_mode & 07777;
}

static void make_file(const char *which)
{
    const int fd = open(which, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
}

START_TEST(directory_is_made_with_its_parents_for_the_owner_alone)
{
    char deep[3 * MADE_PATH_SIZE];
    (void)snprintf(deep, sizeof(deep), "%s/a/b", path);

    ck_assert_int_eq(open_path(deep), RK_OK);

    ck_assert_uint_eq(mode_of(deep), 0700);
    ck_assert_uint_eq(mode_of(path), 0700);
    ck_assert(data_dir_is_new(dir));
    ck_assert_uint_eq(mode_of(data_dir_path(dir, "LOCK")), 0600);
}
END_TEST

/* A power cut may else take a new directory away with all that was acknowledged in it. What a killed
 * start has made is synced by the next. */
START_TEST(directory_and_those_above_it_are_durable)
{
    char above[3 * MADE_PATH_SIZE];
    char deep[4 * MADE_PATH_SIZE];
    (void)snprintf(above, sizeof(above), "%s/a", path);
    (void)snprintf(deep, sizeof(deep), "%s/b", above);
    ck_assert_int_eq(mkdir(path, 0700), 0);

    ck_assert_int_eq(open_path(deep), RK_OK);

    ck_assert(was_synced(deep));
    ck_assert(was_synced(above));
    ck_assert(was_synced(path));
    ck_assert(was_synced(parent));
}
END_TEST

START_TEST(trailing_slash_is_harmless)
{
    char slashed[3 * MADE_PATH_SIZE];
    (void)snprintf(slashed, sizeof(slashed), "%s//", path);
    ck_assert_int_eq(open_path(slashed), RK_OK);
    ck_assert_uint_eq(mode_of(path), 0700);
}
END_TEST

START_TEST(directory_with_a_database_is_not_new)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    make_file(test_dir_path(path, "raft.db"));
    ck_assert_int_eq(open_path(path), RK_OK);
    ck_assert(!data_dir_is_new(dir));
}
END_TEST

START_TEST(second_open_is_refused_with_the_pid)
{
    char pid[32];
    struct data_dir *second = NULL;
    (void)snprintf(pid, sizeof(pid), "(pid %ld)", (long)getpid());
    ck_assert_int_eq(open_path(path), RK_OK);

    ck_assert_int_eq(data_dir_open(path, &second, message, sizeof(message)), RK_BUSY);

    ck_assert_ptr_null(second);
    ck_assert_ptr_nonnull(strstr(message, pid));
    ck_assert_ptr_nonnull(strstr(message, path));
}
END_TEST

START_TEST(second_process_is_refused)
{
    ck_assert_int_eq(open_path(path), RK_OK);
    const pid_t child = fork();
    if (child == 0) {
        struct data_dir *second = NULL;
        _exit((int)data_dir_open(path, &second, message, sizeof(message)));
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), RK_BUSY);
}
END_TEST

START_TEST(close_gives_the_lock_back)
{
    ck_assert_int_eq(open_path(path), RK_OK);
    data_dir_close(dir);
    dir = NULL;
    ck_assert_int_eq(open_path(path), RK_OK);
}
END_TEST

START_TEST(file_in_its_place_is_refused)
{
    make_file(path);
    ck_assert_int_eq(open_path(path), RK_INVALID);
    ck_assert_ptr_null(dir);
    ck_assert_ptr_nonnull(strstr(message, path));
    ck_assert_ptr_nonnull(strstr(message, "not a directory"));
}
END_TEST

START_TEST(directory_that_others_may_write_is_refused)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(chmod(path, _i == 0 ? 0720 : 0702), 0);
    ck_assert_int_eq(open_path(path), RK_INVALID);
    ck_assert_ptr_nonnull(strstr(message, "may write"));
}
END_TEST

START_TEST(directory_of_another_owner_is_refused)
{
    if (geteuid() == 0) {
        ck_assert_int_eq(mkdir(path, 0700), 0);
        ck_assert_int_eq(chown(path, 12345, 12345), 0);
        ck_assert_int_eq(open_path(path), RK_INVALID);
    } else {
        ck_assert_int_eq(open_path("/"), RK_INVALID);
    }
    ck_assert_ptr_nonnull(strstr(message, "belongs to user"));
}
END_TEST

START_TEST(empty_path_is_refused)
{
    ck_assert_int_eq(open_path(""), RK_INVALID);
}
END_TEST

START_TEST(unreachable_parent_is_an_error_that_names_the_path)
{
    ck_assert_int_eq(open_path("/proc/raftkv-cannot-be-made"), RK_IO);
    ck_assert_ptr_nonnull(strstr(message, "/proc/raftkv-cannot-be-made"));
}
END_TEST

START_TEST(leftovers_go_and_the_rest_stays)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    make_file(test_dir_path(path, "raft.db.tmp"));
    make_file(test_dir_path(path, "notes"));
    ck_assert_int_eq(open_path(path), RK_OK);
    ck_assert_int_ne(access(data_dir_path(dir, "raft.db.tmp"), F_OK), 0);
    ck_assert_int_eq(access(data_dir_path(dir, "notes"), F_OK), 0);
}
END_TEST

/* Correctness F3, 55. The tests' file system is taken to have room. */
START_TEST(ballast_takes_real_blocks_and_comes_back_after_a_drop)
{
    struct stat status;
    struct data_dir_space space;
    ck_assert_int_eq(open_path(path), RK_OK);
    ck_assert_int_eq(data_dir_space(dir, &space), RK_OK);
    ck_assert_int_eq(stat(data_dir_path(dir, "ballast"), &status), 0);
    if (space.free_bytes > 3 * space.soft_limit_bytes) {
        ck_assert_uint_ge((uint64_t)status.st_blocks * 512, space.soft_limit_bytes);
    }

    data_dir_drop_ballast(dir);
    data_dir_drop_ballast(dir);
    ck_assert_int_ne(stat(data_dir_path(dir, "ballast"), &status), 0);
    data_dir_close(dir);
    dir = NULL;
    ck_assert_int_eq(open_path(path), RK_OK);
    ck_assert_int_eq(stat(data_dir_path(dir, "ballast"), &status), 0);
}
END_TEST

START_TEST(space_is_that_of_the_file_system)
{
    struct data_dir_space space;
    ck_assert_int_eq(open_path(path), RK_OK);
    ck_assert_int_eq(data_dir_space(dir, &space), RK_OK);
    ck_assert_uint_gt(space.soft_limit_bytes, 0);
    ck_assert_uint_le(space.soft_limit_bytes, 64 << 20);
    ck_assert_int_eq(space.is_nearly_full, space.free_bytes < space.soft_limit_bytes);
}
END_TEST

static bool nearly_full_at(int64_t free_mib)
{
    struct data_dir_space space;
    fake_free_mib = free_mib;
    ck_assert_int_eq(data_dir_space(dir, &space), RK_OK);
    ck_assert_uint_eq(space.soft_limit_bytes, 64 << 20);
    ck_assert_uint_eq(space.free_bytes, (uint64_t)free_mib << 20);
    return space.is_nearly_full;
}

/* Without the gap a disk at the limit would refuse and take writes in turns. */
START_TEST(nearly_full_ends_only_a_quarter_above_the_limit)
{
    ck_assert_int_eq(open_path(path), RK_OK);
    ck_assert(!nearly_full_at(65));
    ck_assert(!nearly_full_at(64));
    ck_assert(nearly_full_at(63));
    ck_assert(nearly_full_at(64));
    ck_assert(nearly_full_at(79));
    ck_assert(!nearly_full_at(80));
    ck_assert(!nearly_full_at(64));
}
END_TEST

/* 64 MiB of ballast, and twice the soft limit must stay free behind it. */
START_TEST(ballast_is_made_only_where_there_is_room)
{
    struct stat status;
    fake_free_mib = _i == 0 ? 3 * 64 - 1 : 3 * 64;
    ck_assert_int_eq(open_path(path), RK_OK);
    ck_assert_int_eq(stat(data_dir_path(dir, "ballast"), &status), 0);
    ck_assert_int_eq(status.st_blocks > 0, _i == 1);
}
END_TEST

START_TEST(path_joins_the_name)
{
    ck_assert_int_eq(open_path(path), RK_OK);
    ck_assert_str_eq(data_dir_path(dir, "raft.db"), test_dir_path(path, "raft.db"));
}
END_TEST

START_TEST(close_takes_null)
{
    data_dir_close(NULL);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("data_dir");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, directory_is_made_with_its_parents_for_the_owner_alone);
    tcase_add_test(tcase, directory_and_those_above_it_are_durable);
    tcase_add_test(tcase, trailing_slash_is_harmless);
    tcase_add_test(tcase, directory_with_a_database_is_not_new);
    tcase_add_test(tcase, second_open_is_refused_with_the_pid);
    tcase_add_test(tcase, second_process_is_refused);
    tcase_add_test(tcase, close_gives_the_lock_back);
    tcase_add_test(tcase, file_in_its_place_is_refused);
    tcase_add_loop_test(tcase, directory_that_others_may_write_is_refused, 0, 2);
    tcase_add_test(tcase, directory_of_another_owner_is_refused);
    tcase_add_test(tcase, empty_path_is_refused);
    tcase_add_test(tcase, unreachable_parent_is_an_error_that_names_the_path);
    tcase_add_test(tcase, leftovers_go_and_the_rest_stays);
    tcase_add_test(tcase, ballast_takes_real_blocks_and_comes_back_after_a_drop);
    tcase_add_test(tcase, space_is_that_of_the_file_system);
    tcase_add_test(tcase, nearly_full_ends_only_a_quarter_above_the_limit);
    tcase_add_loop_test(tcase, ballast_is_made_only_where_there_is_room, 0, 2);
    tcase_add_test(tcase, path_joins_the_name);
    tcase_add_test(tcase, close_takes_null);
    return run_suite_in_dir("data_dir", tcase);
}
