/* backup_disk.h -- backups as files: read anywhere in them, or made so that the name never stands for
 * half of one.
 *
 * Thread: the main one.
 */
#ifndef RK_CLI_BACKUP_DISK_H
#define RK_CLI_BACKUP_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct backup_disk {
    int fd;
    uint64_t size;
    const char *path;
    char temporary[4096]; /* the name until backup_disk_publish(); "": the file is only read */
};

/* Errors of these: RK_IO, RK_FULL, RK_INVALID (the name is too long, or not that of a file); errno says
 * which. */
RK_MUST_USE enum rk_status backup_disk_open(struct backup_disk *disk, const char *path);

/* Makes an empty file beside `path`, readable by its owner only: a backup holds every secret. */
RK_MUST_USE enum rk_status backup_disk_create(struct backup_disk *disk, const char *path);
RK_MUST_USE enum rk_status backup_disk_append(struct backup_disk *disk, struct rk_bytes bytes);
/* Synced, renamed to its name, the directory synced. */
RK_MUST_USE enum rk_status backup_disk_publish(struct backup_disk *disk);

/* A snap_read; the context is the disk. */
enum rk_status backup_disk_read(void *context, uint64_t offset, uint8_t *to, size_t size,
                                size_t *ret_size);

/* What was not published is removed. */
void backup_disk_close(struct backup_disk *disk);

#endif
