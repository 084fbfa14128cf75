#include "storage/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/heap.h"
#include "storage/files.h"

struct spool {
    int fd;
    uint64_t size;
};

/* Not every file system makes files without a name. */
static int open_named(const char *directory)
{
    char path[4096];
    const int used = snprintf(path, sizeof(path), "%s/spool-XXXXXX", directory);

    if (used < 0 || (size_t)used >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    const int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        (void)unlink(path);
    }
    return fd;
}

enum rk_status spool_open(const char *directory, struct spool **ret)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        fd = open_named(directory);
    }
    if (fd < 0) {
        return files_status(errno);
    }
    *ret = rk_heap_zalloc(1, sizeof(**ret));
    (*ret)->fd = fd;
    return RK_OK;
}

void spool_close(struct spool *spool)
{
    if (spool != NULL) {
        (void)close(spool->fd);
        rk_heap_free(spool);
    }
}

enum rk_status spool_append(struct spool *spool, const uint8_t *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        const ssize_t written =
            pwrite(spool->fd, data + done, size - done, (off_t)(spool->size + done));
        if (written < 0 && errno != EINTR) {
            return files_status(errno);
        }
        done += written > 0 ? (size_t)written : 0;
    }
    spool->size += size;
    return RK_OK;
}

uint64_t spool_size(const struct spool *spool)
{
    return spool->size;
}

enum rk_status spool_read(void *context, uint64_t offset, uint8_t *to, size_t size,
                          size_t *ret_size)
{
    const struct spool *spool = context;
    ssize_t got = -1;

    do {
        got = pread(spool->fd, to, size, (off_t)offset);
    } while (got < 0 && errno == EINTR);
    *ret_size = got > 0 ? (size_t)got : 0;
    return got < 0 ? RK_IO : RK_OK;
}
