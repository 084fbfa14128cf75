/* shim.h -- what the two halves of the preloaded shim share: shim.c has the calls that change what is
 * on disk, shim_looks.c those that only look, which can fail but leave nothing to be noted down. */
#ifndef RK_TESTS_POWER_SHIM_H
#define RK_TESTS_POWER_SHIM_H

#include <stdbool.h>
#include <stdint.h>

enum { SHIM_NAME_SIZE = 256 };

/* What a descriptor stands for; the kernel gives it to one thread at a time. */
struct shim_file {
    bool is_ours;    /* below POWER_DIR */
    bool is_ignored; /* ours, and not noted down */
    bool is_directory;
    uint32_t handle;
    char name[SHIM_NAME_SIZE];
};

/* NULL: not below POWER_DIR. */
struct shim_file *shim_file_of(int fd);

/* The name relative to POWER_DIR; false: it is not below. */
bool shim_name(int at, const char *path, char name[SHIM_NAME_SIZE]);

/* Counts a call; true: it is the one that fails, and errno is set. A write may be told to be short
 * instead; others give NULL. */
bool shim_fails(const char *call, const char *name, bool *ret_is_short);

#endif
