/* simfs.h -- a directory of a simulated host, and what a power cut leaves of it.
 *
 * What is written lies in the cache until fsync(): without it a cut leaves any length between what was
 * synced and what was written, with holes of 512 bytes. A name that was made, changed or taken away is
 * durable when the directory was synced; without that each such change has happened or not, whatever
 * became of the others. An fsync() that fails leaves its pages out of the cache and off the disk: the
 * next one says yes and does nothing for them (pitfall 48).
 *
 * An operation that was drawn fails (simfs_arm()); "dead", it and all after it do nothing: that is how a
 * crash comes between any two of them. Everything is drawn from the tape.
 */
#ifndef RK_TESTS_SIM_NODE_SIMFS_H
#define RK_TESTS_SIM_NODE_SIMFS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The directory of host N is SIMFS_ROOT/nN. */
#define SIMFS_ROOT "/simulated"

struct simfs; /* of one host */
struct simfs_walk;

struct simfs *simfs_new(void);
void simfs_free(struct simfs *files); /* all is lost */

/* The operation `at` from now on, 1 being the next, fails with `error`; with is_dead all after it, too.
 * 0 disarms. */
void simfs_arm(struct simfs *files, uint32_t at, int error, bool is_dead);
bool simfs_has_failed(const struct simfs *files); /* what was armed has come to pass */
void simfs_set_full(struct simfs *files, bool is_full);

void simfs_power_lost(struct simfs *files); /* what was open is closed */
uint32_t simfs_open_count(const struct simfs *files);

/* Changes a byte of a durable file whose name begins with `prefix`, of the last in order of names.
 * False: there is none. */
bool simfs_damage(struct simfs *files, const char *prefix);

int simfs_mkdir(const char *path, mode_t mode);
int simfs_open(const char *path, int flags);
int simfs_openat(int fd, const char *name, int flags, ...);
int simfs_close(int fd);
int simfs_fstat(int fd, struct stat *ret);
ssize_t simfs_write(int fd, const void *data, size_t size);
ssize_t simfs_pread(int fd, void *to, size_t size, off_t offset);
int simfs_fsync(int fd);
int simfs_renameat(int from_fd, const char *from, int to_fd, const char *to);
int simfs_unlinkat(int fd, const char *name, int flags);
struct simfs_walk *simfs_fdopendir(int fd);
struct dirent *simfs_readdir(struct simfs_walk *walk);
int simfs_closedir(struct simfs_walk *walk);

#endif
