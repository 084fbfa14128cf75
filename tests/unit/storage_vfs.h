/* storage_vfs.h -- a disk for SQLite that fails on command and loses power.
 *
 * It stands before the "unix" VFS as the default one. Every xWrite, xTruncate and xSync is an
 * operation and has a number. What was written and not yet synced is remembered per file, in blocks of
 * 4 KiB, so that test_vfs_lose_power() can take it back: kill -9 proves nothing about fsync (correctness 47).
 */
#ifndef RK_TESTS_STORAGE_VFS_H
#define RK_TESTS_STORAGE_VFS_H

#include <stdbool.h>
#include <stdint.h>

/* Puts it in place, all counters at 0. */
void test_vfs_install(void);
void test_vfs_done(void); /* forgets what is remembered */

/* From now on the `number`-th operation (1-based) fails with `code`, an SQLITE_ code; with
 * `stays_dead` all after it fail too. 0: none. Starts counting anew. */
void test_vfs_fail_at(uint32_t number, int code, bool stays_dead);
uint32_t test_vfs_operations(void); /* since test_vfs_fail_at() */
uint32_t test_vfs_syncs(void);      /* since test_vfs_fail_at() */

/* Takes back every operation that no sync followed. With `seed` 0 all of them; else each survives
 * by a coin that `seed` decides, as a disk may reorder. Every file must be closed. */
void test_vfs_lose_power(uint64_t seed);

/* The same for the files alone whose paths begin with `prefix`: one machine of several. */
void test_vfs_lose_power_below(const char *prefix, uint64_t seed);

#endif
