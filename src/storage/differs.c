#include "storage/differs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/files.h"

enum { PATH_SIZE = 4096 + 8, TEXT_SIZE = 64 };

static const char repair[] = "repair";
static const char found[] = "differs";

/* A signal that came meanwhile is no damage. */
static int open_to_read(const char *path)
{
    int fd = -1;

    do {
        fd = open(path, O_RDONLY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static ssize_t read_once(int fd, char *text, size_t size)
{
    ssize_t got = 0;

    do {
        got = read(fd, text, size);
    } while (got < 0 && errno == EINTR);
    return got;
}

enum differs differs_read(const char *path, raft_index *ret_index)
{
    char text[TEXT_SIZE] = "";
    unsigned long long index = 0;
    int end = 0;
    char word[16] = "";

    *ret_index = 0;
    const int fd = open_to_read(path);
    if (fd < 0) {
        return errno == ENOENT ? DIFFERS_NOT : DIFFERS_FOUND;
    }
    const ssize_t size = read_once(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (size > 0 && sscanf(text, "%15s %llu\n%n", word, &index, &end) == 2 && end == size) {
        *ret_index = index;
        return strcmp(word, repair) == 0 ? DIFFERS_REPAIR : DIFFERS_FOUND;
    }
    return DIFFERS_FOUND;
}

static bool write_whole(const char *path, const char *text)
{
    const size_t size = strlen(text);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0) {
        return false;
    }
    const bool is_written = write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
    return (close(fd) == 0) && is_written;
}

enum rk_status differs_write(const char *path, enum differs what, raft_index index)
{
    char temporary[PATH_SIZE];
    char text[TEXT_SIZE];

    (void)snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    (void)snprintf(text, sizeof(text), "%s %llu\n", what == DIFFERS_REPAIR ? repair : found,
                   (unsigned long long)index);
    errno = 0;
    if (write_whole(temporary, text) && rename(temporary, path) == 0 &&
        files_sync_directory_of(path)) {
        return RK_OK;
    }
    return files_status(errno);
}

enum rk_status differs_remove(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return RK_IO;
    }
    return files_sync_directory_of(path) ? RK_OK : RK_IO;
}
