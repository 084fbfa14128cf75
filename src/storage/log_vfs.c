#include "storage/log_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"

/* 29 frames of a WAL. SQLite's own write() takes sizes of up to 17 bits alone. */
enum { GATHER_SIZE = 29 * 4120 };
_Static_assert(GATHER_SIZE < 0x1ffff, "one write() of SQLite's unix VFS takes it");

struct log_file {
    sqlite3_file base;
    uint8_t *gathered; /* NULL: nothing was ever written */
    int gathered_size; /* waiting, to be written at gathered_offset */
    sqlite3_int64 gathered_offset;
    int failed;          /* the first error of a write or a sync; sticky */
    bool is_synced;      /* nothing has changed since the last sync */
    sqlite3_file real[]; /* that of the VFS below, in the same memory */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static sqlite3_vfs *below;
static sqlite3_vfs vfs;

static struct log_file *log_file_of(sqlite3_file *file)
{
    return (struct log_file *)file; /* base is the first member */
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return log_file_of(file)->real;
}

/* ---- gathering ---- */

/* What waits goes to the file. */
static int settle(struct log_file *self)
{
    const int size = self->gathered_size;

    if (size > 0) {
        self->gathered_size = 0;
        self->failed =
            self->real->pMethods->xWrite(self->real, self->gathered, size, self->gathered_offset);
    }
    return self->failed;
}

static bool follows(const struct log_file *self, int size, sqlite3_int64 offset)
{
    return offset == self->gathered_offset + self->gathered_size &&
           size <= GATHER_SIZE - self->gathered_size;
}

static int file_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    struct log_file *self = log_file_of(file);

    RK_ASSERT(size >= 0 && size <= GATHER_SIZE && offset >= 0); /* at most a page */
    if (self->failed != SQLITE_OK) {
        return self->failed;
    }
    if (!follows(self, size, offset)) {
        if (settle(self) != SQLITE_OK) {
            return self->failed;
        }
        self->gathered_offset = offset;
    }
    if (self->gathered == NULL) {
        self->gathered = rk_heap_zalloc(1, GATHER_SIZE);
    }
    self->is_synced = false;
    memcpy(self->gathered + self->gathered_size, data, (size_t)size);
    self->gathered_size += size;
    return SQLITE_OK;
}

/* ---- what needs the file as it was written ---- */

static int file_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    const int code = settle(log_file_of(file));
    return code == SQLITE_OK ? real_of(file)->pMethods->xRead(real_of(file), data, size, offset)
                             : code;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    const int code = settle(log_file_of(file));

    log_file_of(file)->is_synced = false;
    return code == SQLITE_OK ? real_of(file)->pMethods->xTruncate(real_of(file), size) : code;
}

/* A checkpoint begins with a sync of the WAL, which has had one with every commit. What was in the file when
 * it was opened may never have been synced. */
static int file_sync(sqlite3_file *file, int flags)
{
    struct log_file *self = log_file_of(file);

    if (settle(self) == SQLITE_OK && !self->is_synced) {
        self->failed = self->real->pMethods->xSync(self->real, flags);
        self->is_synced = self->failed == SQLITE_OK;
    }
    return self->failed;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    const int code = settle(log_file_of(file));
    return code == SQLITE_OK ? real_of(file)->pMethods->xFileSize(real_of(file), ret) : code;
}

/* Hints of the size to come cut or lengthen the file. */
static int file_control(sqlite3_file *file, int operation, void *argument)
{
    const int code = settle(log_file_of(file));

    log_file_of(file)->is_synced = false;
    return code == SQLITE_OK
               ? real_of(file)->pMethods->xFileControl(real_of(file), operation, argument)
               : code;
}

/* After a failure nothing more is written. */
static int file_close(sqlite3_file *file)
{
    struct log_file *self = log_file_of(file);

    const int settle_code = settle(self);
    const int code = self->real->pMethods->xClose(self->real);
    rk_heap_free(self->gathered);
    self->gathered = NULL;
    return settle_code == SQLITE_OK ? code : settle_code;
}

/* ---- what does not ---- */

static int file_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_lock(sqlite3_file *file, int *ret)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

/* Version 1: no shared memory, which WAL does without in exclusive mode, and no mapped reads. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
};

static int vfs_open(sqlite3_vfs *self, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    struct log_file *log_file = log_file_of(file);

    RK_ASSERT(self == &vfs);
    memset(log_file, 0, sizeof(*log_file));
    const int code = below->xOpen(below, name, log_file->real, flags, ret_flags);
    file->pMethods = log_file->real->pMethods == NULL ? NULL : &methods;
    return code;
}

static int vfs_delete(sqlite3_vfs *self, const char *name, int sync_directory)
{
    RK_ASSERT(self == &vfs);
    return below->xDelete(below, name, sync_directory);
}

static int vfs_access(sqlite3_vfs *self, const char *name, int flags, int *ret)
{
    RK_ASSERT(self == &vfs);
    return below->xAccess(below, name, flags, ret);
}

static int vfs_full_name(sqlite3_vfs *self, const char *name, int size, char *ret)
{
    RK_ASSERT(self == &vfs);
    return below->xFullPathname(below, name, size, ret);
}

static int vfs_randomness(sqlite3_vfs *self, int size, char *ret)
{
    RK_ASSERT(self == &vfs);
    return below->xRandomness(below, size, ret);
}

static int vfs_sleep(sqlite3_vfs *self, int microseconds)
{
    RK_ASSERT(self == &vfs);
    return below->xSleep(below, microseconds);
}

static int vfs_time(sqlite3_vfs *self, double *ret)
{
    RK_ASSERT(self == &vfs);
    return below->xCurrentTime(below, ret);
}

static int vfs_last_error(sqlite3_vfs *self, int size, char *ret)
{
    RK_ASSERT(self == &vfs);
    return below->xGetLastError(below, size, ret);
}

static void register_vfs(void)
{
    below = sqlite3_vfs_find(NULL);
    RK_ASSERT(below != NULL);
    vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(struct log_file) + below->szOsFile,
        .mxPathname = below->mxPathname,
        .zName = "raftkv",
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_name,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
    };
    const int code = sqlite3_vfs_register(&vfs, 0);
    RK_ASSERT(code == SQLITE_OK);
}

const char *log_vfs_name(void)
{
    const int failed = pthread_once(&once, register_vfs);
    RK_ASSERT(failed == 0);
    return vfs.zName;
}
