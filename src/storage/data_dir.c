#include "storage/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/heap.h"
#include "storage/files.h"

enum { PATH_SIZE_MAX = 4096, LEFTOVERS_MAX = 10000 };

static const uint64_t limit_bytes_max = 64 << 20;
static const uint64_t limit_divisor = 16;

struct data_dir {
    int fd;
    int lock_fd;
    bool is_new;
    bool is_nearly_full;
    char path[PATH_SIZE_MAX];
    char joined[PATH_SIZE_MAX + 256]; /* what data_dir_path() lends */
};

/* ---- making and checking the directory ---- */

/* Creates what is missing of `path`, parents first. */
static enum rk_status make_directories(const struct complaint *complaint, const char *path)
{
    char part[PATH_SIZE_MAX];

    for (size_t i = 1;; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return complaint_refuse_errno(complaint, "cannot create");
        }
        if (path[i] == '\0') {
            return RK_OK;
        }
    }
}

/* What was made on the way, now or by a start that was cut short, is sure to be there after a power cut
 * only when the directory above it was synced. One that may not be read, or takes no writes, holds
 * nothing of ours. */
static enum rk_status sync_parents(const struct complaint *complaint, const char *path)
{
    char part[PATH_SIZE_MAX];

    for (size_t i = 1;; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (!files_sync_directory_of(part) && errno != EACCES && errno != EROFS &&
            errno != EINVAL) {
            return complaint_refuse_errno(complaint, "cannot sync the directory above");
        }
        if (path[i] == '\0') {
            return RK_OK;
        }
    }
}

static enum rk_status check_owner(const struct complaint *complaint, int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        return complaint_refuse_errno(complaint, "cannot look at it");
    }
    if (status.st_uid != geteuid()) {
        return complaint_refuse(complaint, RK_INVALID,
                                "belongs to user %u, this process is user %u",
                                (unsigned)status.st_uid, (unsigned)geteuid());
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return complaint_refuse(complaint, RK_INVALID,
                                "group or others may write to it (mode %04o)",
                                (unsigned)(status.st_mode & 07777));
    }
    return RK_OK;
}

static enum rk_status open_directory(const struct complaint *complaint, struct data_dir *dir)
{
    const enum rk_status status = make_directories(complaint, dir->path);
    if (status != RK_OK) {
        return status;
    }
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0 && errno == ENOTDIR) {
        return complaint_refuse(complaint, RK_INVALID, "not a directory");
    }
    if (dir->fd < 0) {
        return complaint_refuse_errno(complaint, "cannot open");
    }
    return check_owner(complaint, dir->fd);
}

/* ---- the lock ---- */

static enum rk_status refuse_locked(const struct complaint *complaint, int fd)
{
    char pid[16] = "";
    const ssize_t size = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[size > 0 ? (size_t)size : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    const char *digits = pid + strspn(pid, " ");
    return complaint_refuse(complaint, RK_BUSY, "in use by another process (pid %s)",
                            *digits == '\0' ? "unknown" : digits);
}

/* The pid is a courtesy to whoever looks: on a full disk it may stay away. Of fixed width, so that
 * the block that is there is written again. */
static bool write_pid(int fd)
{
    char pid[16];
    const int size = snprintf(pid, sizeof(pid), "%10ld\n", (long)getpid());
    return pwrite(fd, pid, (size_t)size, 0) == size;
}

static enum rk_status take_lock(const struct complaint *complaint, struct data_dir *dir)
{
    dir->lock_fd = openat(dir->fd, "LOCK", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock_fd < 0) {
        return complaint_refuse_errno(complaint, "cannot make LOCK");
    }
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? refuse_locked(complaint, dir->lock_fd)
                                    : complaint_refuse_errno(complaint, "cannot lock LOCK");
    }
    (void)write_pid(dir->lock_fd);
    return RK_OK;
}

/* ---- what is in it ---- */

static bool is_leftover(const char *name)
{
    const size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".tmp") == 0;
}

/* Files are made as NAME.tmp and renamed: one that is left was never part of anything. */
static enum rk_status remove_leftovers(const struct complaint *complaint,
                                       const struct data_dir *dir)
{
    DIR *entries = opendir(dir->path);
    if (entries == NULL) {
        return complaint_refuse_errno(complaint, "cannot list");
    }
    enum rk_status status = RK_OK;
    struct dirent *entry = readdir(entries);
    for (uint32_t i = 0; entry != NULL && status == RK_OK && i < LEFTOVERS_MAX; i++) {
        if (is_leftover(entry->d_name) && unlinkat(dir->fd, entry->d_name, 0) != 0) {
            status = complaint_refuse_errno(complaint, "cannot remove a leftover file");
        }
        entry = readdir(entries);
    }
    if (closedir(entries) != 0 && status == RK_OK) {
        status = complaint_refuse_errno(complaint, "cannot list");
    }
    return status;
}

/* ---- room ---- */

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

/* Errors: RK_IO. */
static enum rk_status look_at_space(const struct data_dir *dir, struct data_dir_space *ret)
{
    struct statvfs space;

    if (fstatvfs(dir->fd, &space) != 0) {
        return RK_IO;
    }
    *ret = (struct data_dir_space){
        .free_bytes = (uint64_t)space.f_bavail * space.f_frsize,
        .soft_limit_bytes =
            at_most((uint64_t)space.f_blocks * space.f_frsize / limit_divisor, limit_bytes_max),
        .is_nearly_full = dir->is_nearly_full,
    };
    return RK_OK;
}

/* Bytes on disk, not the size it claims. */
static uint64_t ballast_bytes(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}

/* Only when twice the soft limit stays free: ballast that pushed the disk over the limit would
 * refuse the writes it is there to save. Going without is no error. */
static void make_ballast(const struct data_dir *dir)
{
    struct data_dir_space space;

    const int fd = openat(dir->fd, "ballast", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return;
    }
    if (look_at_space(dir, &space) == RK_OK) {
        const uint64_t held = ballast_bytes(fd);
        const uint64_t wanted = space.soft_limit_bytes;
        const uint64_t needed = wanted - at_most(held, wanted);
        if (needed > 0 && space.free_bytes >= needed + 2 * space.soft_limit_bytes &&
            posix_fallocate(fd, 0, (off_t)wanted) != 0) {
            (void)unlinkat(dir->fd, "ballast", 0);
        }
    }
    (void)close(fd);
}

enum rk_status data_dir_space(struct data_dir *dir, struct data_dir_space *ret)
{
    struct data_dir_space space;

    const enum rk_status status = look_at_space(dir, &space);
    if (status != RK_OK) {
        return status;
    }
    const uint64_t limit = space.soft_limit_bytes;
    const uint64_t enough = dir->is_nearly_full ? limit + limit / 4 : limit;
    dir->is_nearly_full = space.free_bytes < enough;
    space.is_nearly_full = dir->is_nearly_full;
    *ret = space;
    return RK_OK;
}

void data_dir_drop_ballast(struct data_dir *dir)
{
    (void)unlinkat(dir->fd, "ballast", 0); /* it may never have been made */
}

/* ---- open and close ---- */

static enum rk_status open_all(const struct complaint *complaint, struct data_dir *dir)
{
    enum rk_status status = open_directory(complaint, dir);
    if (status == RK_OK) {
        status = take_lock(complaint, dir);
    }
    if (status == RK_OK) {
        status = remove_leftovers(complaint, dir);
    }
    if (status == RK_OK) {
        dir->is_new = faccessat(dir->fd, "raft.db", F_OK, 0) != 0;
        make_ballast(dir);
        if (fsync(dir->fd) != 0) {
            status = complaint_refuse_errno(complaint, "cannot sync");
        }
    }
    if (status == RK_OK && dir->is_new) {
        status = sync_parents(complaint, dir->path);
    }
    return status;
}

/* A directory that was copied may have no LOCK: then nobody runs on it. */
static enum rk_status look_at_all(const struct complaint *complaint, struct data_dir *dir)
{
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0 || faccessat(dir->fd, "raft.db", F_OK, 0) != 0) {
        return complaint_refuse(complaint, RK_INVALID, "no data directory: no raft.db");
    }
    dir->lock_fd = openat(dir->fd, "LOCK", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (dir->lock_fd < 0 && errno != ENOENT) {
        return complaint_refuse_errno(complaint, "cannot open LOCK");
    }
    if (dir->lock_fd >= 0 && flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? refuse_locked(complaint, dir->lock_fd)
                                    : complaint_refuse_errno(complaint, "cannot lock LOCK");
    }
    return RK_OK;
}

static enum rk_status
open_by(enum rk_status (*how)(const struct complaint *complaint, struct data_dir *dir),
        const char *path, struct data_dir **ret, char *message, size_t message_size)
{
    const struct complaint complaint = {path, message, message_size};
    const size_t length = strlen(path);

    if (length == 0 || length >= PATH_SIZE_MAX) {
        return complaint_refuse(&complaint, RK_INVALID, "the path is empty or too long");
    }
    struct data_dir *dir = rk_heap_zalloc(1, sizeof(*dir));
    memcpy(dir->path, path, length + 1);
    dir->fd = -1;
    dir->lock_fd = -1;
    const enum rk_status status = how(&complaint, dir);
    if (status != RK_OK) {
        data_dir_close(dir);
        return status;
    }
    *ret = dir;
    return RK_OK;
}

enum rk_status data_dir_open(const char *path, struct data_dir **ret, char *message,
                             size_t message_size)
{
    return open_by(open_all, path, ret, message, message_size);
}

enum rk_status data_dir_look(const char *path, struct data_dir **ret, char *message,
                             size_t message_size)
{
    return open_by(look_at_all, path, ret, message, message_size);
}

const char *data_dir_path(struct data_dir *dir, const char *name)
{
    const int size = snprintf(dir->joined, sizeof(dir->joined), "%s/%s", dir->path, name);
    RK_ASSERT(size > 0 && (size_t)size < sizeof(dir->joined));
    return dir->joined;
}

bool data_dir_is_new(const struct data_dir *dir)
{
    return dir->is_new;
}

/* LOCK stays: removing it would let two processes hold locks on two files of that name. */
void data_dir_close(struct data_dir *dir)
{
    if (dir == NULL) {
        return;
    }
    if (dir->lock_fd >= 0) {
        (void)close(dir->lock_fd);
    }
    if (dir->fd >= 0) {
        (void)close(dir->fd);
    }
    rk_heap_free(dir);
}
