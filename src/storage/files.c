#include "storage/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE_MAX = 4096, REASON_SIZE = 256 };

enum rk_status complaint_refuse(const struct complaint *complaint, enum rk_status status,
                                const char *format, ...)
{
    char reason[REASON_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    (void)snprintf(complaint->text, complaint->text_size, "%s: %s", complaint->path, reason);
    return status;
}

enum rk_status complaint_refuse_errno(const struct complaint *complaint, const char *doing)
{
    const int error = errno;
    char text[128];
    return complaint_refuse(complaint, files_status(error), "%s: %s", doing,
                            strerror_r(error, text, sizeof(text)));
}

enum rk_status files_status(int error)
{
    return error == ENOSPC || error == EDQUOT ? RK_FULL : RK_IO;
}

bool files_sync_directory_of(const char *path)
{
    char directory[PATH_SIZE_MAX];
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path);

    if (length >= sizeof(directory)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(directory, path, length);
    directory[length] = '\0';
    const char *name = slash == NULL ? "." : (length == 0 ? "/" : directory);
    const int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const bool is_synced = fsync(fd) == 0;
    const bool is_closed = close(fd) == 0;
    return is_synced && is_closed;
}

bool files_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static enum rk_status copy_bytes(int from, int to)
{
    char block[64 * 1024];

    for (;;) {
        const ssize_t got = read(from, block, sizeof(block));
        if (got == 0) {
            return RK_OK;
        }
        for (ssize_t done = 0; done < got;) {
            const ssize_t written = write(to, block + done, (size_t)(got - done));
            if (written < 0) {
                return files_status(errno);
            }
            done += written;
        }
        if (got < 0) {
            return files_status(errno);
        }
    }
}

enum rk_status files_copy(const char *from, const char *to)
{
    const int from_fd = open(from, O_RDONLY | O_CLOEXEC);
    if (from_fd < 0) {
        return files_status(errno);
    }
    const int to_fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const enum rk_status status = to_fd < 0 ? files_status(errno) : copy_bytes(from_fd, to_fd);
    if (to_fd >= 0) {
        (void)close(to_fd);
    }
    (void)close(from_fd);
    return status;
}
