#include "cli/backup_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/files.h"

enum rk_status backup_disk_open(struct backup_disk *disk, const char *path)
{
    struct stat info;

    *disk = (struct backup_disk){.fd = open(path, O_RDONLY | O_CLOEXEC), .path = path};
    if (disk->fd < 0 || fstat(disk->fd, &info) != 0) {
        return files_status(errno);
    }
    if (!S_ISREG(info.st_mode)) {
        errno = EINVAL;
        return RK_INVALID;
    }
    disk->size = (uint64_t)info.st_size;
    return RK_OK;
}

enum rk_status backup_disk_create(struct backup_disk *disk, const char *path)
{
    *disk = (struct backup_disk){.fd = -1, .path = path};
    const int used =
        snprintf(disk->temporary, sizeof(disk->temporary), "%s.part-%ld", path, (long)getpid());
    if (used < 0 || (size_t)used >= sizeof(disk->temporary)) {
        disk->temporary[0] = '\0';
        errno = ENAMETOOLONG;
        return RK_INVALID;
    }
    disk->fd = open(disk->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (disk->fd < 0) {
        disk->temporary[0] = '\0';
        return files_status(errno);
    }
    return RK_OK;
}

enum rk_status backup_disk_append(struct backup_disk *disk, struct rk_bytes bytes)
{
    size_t done = 0;

    while (done < bytes.size) {
        const ssize_t written = write(disk->fd, bytes.data + done, bytes.size - done);
        if (written < 0 && errno != EINTR) {
            return files_status(errno);
        }
        done += written > 0 ? (size_t)written : 0;
    }
    disk->size += bytes.size;
    return RK_OK;
}

enum rk_status backup_disk_publish(struct backup_disk *disk)
{
    if (fsync(disk->fd) != 0 || rename(disk->temporary, disk->path) != 0) {
        return files_status(errno);
    }
    disk->temporary[0] = '\0';
    return files_sync_directory_of(disk->path) ? RK_OK : files_status(errno);
}

enum rk_status backup_disk_read(void *context, uint64_t offset, uint8_t *to, size_t size,
                                size_t *ret_size)
{
    const struct backup_disk *disk = context;
    ssize_t got = -1;

    do {
        got = pread(disk->fd, to, size, (off_t)offset);
    } while (got < 0 && errno == EINTR);
    *ret_size = got > 0 ? (size_t)got : 0;
    return got < 0 ? RK_IO : RK_OK;
}

void backup_disk_close(struct backup_disk *disk)
{
    if (disk->fd >= 0) {
        (void)close(disk->fd);
    }
    if (disk->temporary[0] != '\0') {
        (void)unlink(disk->temporary);
    }
}
