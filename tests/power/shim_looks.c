/* shim_looks.c -- calls that only look at the disk: they can fail (shim.c says when). */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

static bool fd_fails(const char *call, int fd)
{
    const struct shim_file *file = shim_file_of(fd);

    return file != NULL && shim_fails(call, file->name, NULL);
}

static bool path_fails(const char *call, int at, const char *path)
{
    char name[SHIM_NAME_SIZE];

    return shim_name(at, path, name) && shim_fails(call, name, NULL);
}

ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
    return fd_fails("pread", fd) ? -1 : syscall(SYS_pread64, fd, to, size, offset);
}

ssize_t pread64(int fd, void *to, size_t size, off64_t offset)
{
    return pread(fd, to, size, offset);
}

int fstat(int fd, struct stat *ret)
{
    return fd_fails("fstat", fd) ? -1 : (int)syscall(SYS_fstat, fd, ret);
}

int fstat64(int fd, struct stat64 *ret)
{
    return fd_fails("fstat", fd) ? -1 : (int)syscall(SYS_fstat, fd, ret);
}

int stat64(const char *restrict path, struct stat64 *restrict ret)
{
    return path_fails("stat", AT_FDCWD, path)
               ? -1
               : (int)syscall(SYS_newfstatat, AT_FDCWD, path, ret, 0);
}

int lstat64(const char *restrict path, struct stat64 *restrict ret)
{
    return path_fails("lstat", AT_FDCWD, path)
               ? -1
               : (int)syscall(SYS_newfstatat, AT_FDCWD, path, ret, AT_SYMLINK_NOFOLLOW);
}

int access(const char *path, int mode)
{
    return path_fails("access", AT_FDCWD, path) ? -1
                                                : (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

int faccessat(int at, const char *path, int mode, int flags)
{
    (void)flags; /* nobody here gives any */
    return path_fails("access", at, path) ? -1 : (int)syscall(SYS_faccessat, at, path, mode);
}

int flock(int fd, int operation)
{
    return fd_fails("flock", fd) ? -1 : (int)syscall(SYS_flock, fd, operation);
}

int fcntl64(int fd, int command, ...)
{
    va_list arguments;

    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fd_fails("fcntl", fd) ? -1 : (int)syscall(SYS_fcntl, fd, command, argument);
}

int fstatvfs(int fd, struct statvfs *ret)
{
    static int (*next)(int, struct statvfs *);

    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "fstatvfs");
    }
    return fd_fails("fstatvfs", fd) ? -1 : next(fd, ret);
}

DIR *opendir(const char *path)
{
    static DIR *(*next)(const char *);

    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "opendir");
    }
    return path_fails("opendir", AT_FDCWD, path) ? NULL : next(path);
}

/* Its descriptor goes without a close() that is seen here, and will be another's. */
int closedir(DIR *entries)
{
    static int (*next)(DIR *);
    struct shim_file *file = shim_file_of(dirfd(entries));

    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "closedir");
    }
    const bool fails = file != NULL && shim_fails("closedir", file->name, NULL);
    const int error = errno;
    if (file != NULL) {
        file->is_ours = false;
    }
    const int result = next(entries);
    errno = fails ? error : errno;
    return fails ? -1 : result;
}
