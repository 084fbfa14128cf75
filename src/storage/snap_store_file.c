/* Snapshots as files of one directory:
 *
 *   snap-TERM-INDEX.rks                        a snapshot; numbers are 16 hexadecimal digits each
 *   taken.tmp                                  one that is being taken; worthless after a restart
 *   received-TERM-INDEX-SIZE-DIGEST.part       as much as came of one that is being received
 *
 * A part is synced every few megabytes, so that neither the last sync nor the log's own, which
 * waits for the same disk, takes long.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/heap.h"
#include "base/parse.h"
#include "storage/files.h"
#include "storage/snap_store.h"

enum {
    NAME_SIZE = 128,
    SYNC_SIZE = 2 << 20,
    FILES_MAX = 4096, /* looked at in one walk; those past it wait for the next */
    DIGITS = 16,
};

struct part {
    int fd; /* -1: not open */
    uint64_t size;
    uint64_t synced_size;
    char name[NAME_SIZE];
};

struct snap_store_file {
    struct snap_store base;
    int dir_fd;
    struct part parts[SNAP_PARTS];
};

static struct snap_store_file *file_of(struct snap_store *store)
{
    return (struct snap_store_file *)store; /* base is the first member */
}

/* ---- names ---- */

static void snapshot_name(struct raft_entry_id id, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "snap-%016" PRIx64 "-%016" PRIx64 ".rks", id.term, id.index);
}

static void part_name(enum snap_part part, const struct snap_ref *what, char name[NAME_SIZE])
{
    if (part == SNAP_TAKEN) {
        (void)snprintf(name, NAME_SIZE, "taken.tmp");
        return;
    }
    (void)snprintf(name, NAME_SIZE,
                   "received-%016" PRIx64 "-%016" PRIx64 "-%016" PRIx64 "-%016" PRIx64 ".part",
                   what->id.term, what->id.index, what->size, what->digest);
}

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* ---- the files of the directory ---- */

/* True: the file `name` shall go. */
typedef bool file_goes(const char *name, const void *context);

static enum rk_status remove_those(struct snap_store_file *self, file_goes *goes,
                                   const void *context)
{
    const int fd = openat(self->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    bool is_done = entries != NULL;

    if (entries == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return RK_IO;
    }
    const struct dirent *entry = readdir(entries);
    for (uint32_t i = 0; entry != NULL && i < FILES_MAX; i++) {
        if (goes(entry->d_name, context) && unlinkat(self->dir_fd, entry->d_name, 0) != 0) {
            is_done = false;
        }
        entry = readdir(entries);
    }
    return closedir(entries) == 0 && is_done ? RK_OK : RK_IO;
}

static bool is_taken(const char *name, const void *context)
{
    (void)context;
    return strcmp(name, "taken.tmp") == 0;
}

static bool is_another_part(const char *name, const void *context)
{
    return begins_with(name, "received-") && strcmp(name, context) != 0;
}

/* ---- parts ---- */

static void part_close(struct part *part)
{
    if (part->fd >= 0) {
        (void)close(part->fd); /* what counts was synced */
        part->fd = -1;
    }
}

static enum rk_status file_open_part(struct snap_store *store, enum snap_part which,
                                     const struct snap_ref *what, uint64_t *ret_size)
{
    struct snap_store_file *self = file_of(store);
    struct part *part = &self->parts[which];
    struct stat status;

    part_close(part);
    part_name(which, what, part->name);
    if (which == SNAP_RECEIVED) {
        const enum rk_status removed = remove_those(self, is_another_part, part->name);
        if (removed != RK_OK) {
            return removed;
        }
    }
    const int fresh = which == SNAP_TAKEN ? O_TRUNC : 0;
    part->fd = openat(self->dir_fd, part->name,
                      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | fresh, 0600);
    if (part->fd < 0 || fstat(part->fd, &status) != 0) {
        const enum rk_status failed = files_status(errno);
        part_close(part);
        return failed;
    }
    part->size = (uint64_t)status.st_size;
    part->synced_size = part->size;
    *ret_size = part->size;
    return RK_OK;
}

/* Errors: RK_IO, RK_FULL. */
static enum rk_status write_all(int fd, struct rk_bytes bytes)
{
    while (bytes.size > 0) {
        const ssize_t written = write(fd, bytes.data, bytes.size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return files_status(errno);
        }
        bytes.data += written;
        bytes.size -= (uint32_t)written;
    }
    return RK_OK;
}

static enum rk_status file_append(struct snap_store *store, enum snap_part which,
                                  struct rk_bytes bytes)
{
    struct part *part = &file_of(store)->parts[which];

    const enum rk_status status = write_all(part->fd, bytes);
    if (status != RK_OK) {
        return status;
    }
    part->size += bytes.size;
    if (part->size - part->synced_size < SYNC_SIZE) {
        return RK_OK;
    }
    part->synced_size = part->size;
    return fdatasync(part->fd) == 0 ? RK_OK : files_status(errno);
}

/* What could not be synced goes: a second fsync() may say yes to pages that are gone (pitfall 48), and
 * on a full disk it is room that is missing. */
static enum rk_status file_publish(struct snap_store *store, enum snap_part which,
                                   struct raft_entry_id id)
{
    struct snap_store_file *self = file_of(store);
    struct part *part = &self->parts[which];
    char name[NAME_SIZE];

    snapshot_name(id, name);
    const bool is_published = fsync(part->fd) == 0 &&
                              renameat(self->dir_fd, part->name, self->dir_fd, name) == 0 &&
                              fsync(self->dir_fd) == 0;
    const enum rk_status status = is_published ? RK_OK : files_status(errno);
    part_close(part);
    if (!is_published) {
        (void)unlinkat(self->dir_fd, part->name, 0); /* or it is renamed already */
    }
    return status;
}

static void file_drop(struct snap_store *store, enum snap_part which)
{
    struct snap_store_file *self = file_of(store);

    part_close(&self->parts[which]);
    (void)unlinkat(self->dir_fd, self->parts[which].name, 0); /* else it goes at the next start */
}

/* ---- snapshots ---- */

static enum rk_status read_all(int fd, uint64_t offset, uint8_t *to, size_t size, size_t *ret_size)
{
    size_t done = 0;

    while (done < size) {
        const ssize_t got = pread(fd, to + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return RK_IO;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *ret_size = done;
    return RK_OK;
}

static enum rk_status file_read(struct snap_store *store, struct raft_entry_id id, uint64_t offset,
                                uint8_t *to, size_t size, size_t *ret_size)
{
    char name[NAME_SIZE];

    snapshot_name(id, name);
    const int fd = openat(file_of(store)->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? RK_NOT_FOUND : RK_IO;
    }
    const enum rk_status status = read_all(fd, offset, to, size, ret_size);
    (void)close(fd); /* nothing was written */
    return status;
}

/* Context of is_not_retained(). */
struct retained {
    const struct raft_entry_id *ids;
    uint32_t ids_count;
    const char *open_part; /* NULL: none */
};

/* A part of a snapshot that is not beyond the newest of those is of no use any more. The index
 * stands behind the term. */
static bool part_is_old(const char *name, const struct retained *retained)
{
    char digits[DIGITS + 1] = "";
    uint64_t index = 0;
    const size_t at = strlen("received-") + DIGITS + 1;

    if (strlen(name) > at + DIGITS) {
        memcpy(digits, name + at, DIGITS);
    }
    if (rk_parse_hex64(digits, &index) != RK_OK) {
        return true;
    }
    for (uint32_t i = 0; i < retained->ids_count; i++) {
        if (index <= retained->ids[i].index) {
            return true;
        }
    }
    return false;
}

static bool is_not_retained(const char *name, const void *context)
{
    const struct retained *retained = context;
    char kept[NAME_SIZE];

    if (begins_with(name, "received-")) {
        return (retained->open_part == NULL || strcmp(name, retained->open_part) != 0) &&
               part_is_old(name, retained);
    }
    if (!begins_with(name, "snap-")) {
        return false;
    }
    for (uint32_t i = 0; i < retained->ids_count; i++) {
        snapshot_name(retained->ids[i], kept);
        if (strcmp(name, kept) == 0) {
            return false;
        }
    }
    return true;
}

static enum rk_status file_retain(struct snap_store *store, const struct raft_entry_id *ids,
                                  uint32_t ids_count)
{
    struct snap_store_file *self = file_of(store);
    const struct retained retained = {
        .ids = ids,
        .ids_count = ids_count,
        .open_part = store->is_open[SNAP_RECEIVED] ? self->parts[SNAP_RECEIVED].name : NULL,
    };

    const enum rk_status status = remove_those(self, is_not_retained, &retained);
    return status == RK_OK && fsync(self->dir_fd) != 0 ? files_status(errno) : status;
}

static void file_close(struct snap_store *store)
{
    struct snap_store_file *self = file_of(store);

    for (uint32_t i = 0; i < SNAP_PARTS; i++) {
        part_close(&self->parts[i]);
    }
    if (self->dir_fd >= 0) {
        (void)close(self->dir_fd);
    }
    rk_heap_free(self);
}

static const struct snap_store_ops file_ops = {
    .open_part = file_open_part,
    .append = file_append,
    .publish = file_publish,
    .drop = file_drop,
    .read = file_read,
    .retain = file_retain,
    .close = file_close,
};

static enum rk_status open_directory(const struct complaint *complaint,
                                     struct snap_store_file *self)
{
    if (mkdir(complaint->path, 0700) == 0) {
        if (!files_sync_directory_of(complaint->path)) {
            return complaint_refuse_errno(complaint, "cannot sync");
        }
    } else if (errno != EEXIST) {
        return complaint_refuse_errno(complaint, "cannot make");
    }
    self->dir_fd = open(complaint->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (self->dir_fd < 0) {
        return complaint_refuse_errno(complaint, "cannot open");
    }
    return remove_those(self, is_taken, NULL) == RK_OK
               ? RK_OK
               : complaint_refuse(complaint, RK_IO, "cannot remove what was left in it");
}

enum rk_status snap_store_file_open(const char *path, struct snap_store **ret, char *message,
                                    size_t message_size)
{
    const struct complaint complaint = {path, message, message_size};
    struct snap_store_file *self = rk_heap_zalloc(1, sizeof(*self));

    self->base.ops = &file_ops;
    self->dir_fd = -1;
    for (uint32_t i = 0; i < SNAP_PARTS; i++) {
        self->parts[i].fd = -1;
    }
    const enum rk_status status = open_directory(&complaint, self);
    if (status != RK_OK) {
        file_close(&self->base);
        return status;
    }
    *ret = &self->base;
    return RK_OK;
}
