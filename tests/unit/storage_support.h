/* storage_support.h -- what the storage tests share: entries with sealed frames, and a directory
 * that goes away again. */
#ifndef RK_TESTS_STORAGE_SUPPORT_H
#define RK_TESTS_STORAGE_SUPPORT_H

#include <check.h>
#include <stdint.h>

#include "raft/types.h"

enum { MADE_INDEX_MAX = 2048, MADE_PATH_SIZE = 512 };

/* Remembers the chain at every index it made, so that an entry made again at an index continues
 * the one before it. Frames live until made_free(). */
struct made;

struct made *made_new(void);
void made_free(struct made *made);

/* A command entry whose body is `body_size` bytes drawn from `term` and `index`. */
struct raft_entry made_entry(struct made *made, raft_index index, raft_term term,
                             uint32_t body_size);

/* run_suite() with TMPDIR set to a new directory that goes away at the end: tests that abort on
 * purpose cannot clean up after themselves. */
int run_suite_in_dir(const char *name, TCase *tcase);

/* Makes an empty directory under TMPDIR and gives its path. */
void test_dir_make(char path[MADE_PATH_SIZE]);
/* Removes it with everything in it. */
void test_dir_remove(const char *path);
/* Lends "dir/name" until the next call. */
const char *test_dir_path(const char *path, const char *name);

#endif
