#include "storage_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"

enum { PATH_SIZE = 1024, RECORDS_MAX = 65536, BLOCK_SIZE = 4096 };

/* One operation that is not yet durable. A write replaces `old_size` bytes at `offset` by
 * `new_size`; a truncation replaces all from `offset` on by nothing. */
struct record {
    char path[PATH_SIZE];
    int64_t offset;
    int64_t file_size; /* before */
    uint8_t *old_bytes;
    uint32_t old_size;
    uint8_t *new_bytes;
    uint32_t new_size;
    bool is_truncation;
    bool is_doomed; /* a sync of it failed: no later one brings it to the disk (pitfall 48) */
};

struct test_file {
    sqlite3_file base;
    char path[PATH_SIZE];
    sqlite3_file real[]; /* the unix VFS's own file, in the same memory */
};

static sqlite3_vfs vfs;
static sqlite3_vfs *unix_vfs;
static struct record *records[RECORDS_MAX];
static uint32_t records_count;
static uint32_t operations;
static uint32_t syncs;
static uint32_t fail_at;
static int fail_code;
static bool fails_for_ever;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct test_file *)file)->real;
}

static bool fails_now(void)
{
    operations++;
    return fail_at != 0 && (operations == fail_at || (fails_for_ever && operations > fail_at));
}

static void record_free(struct record *record)
{
    free(record->old_bytes);
    free(record->new_bytes);
    free(record);
}

static struct record *record_new(sqlite3_file *file, int64_t offset, int64_t old_size)
{
    struct record *record = calloc(1, sizeof(*record));
    sqlite3_int64 file_size = 0;

    RK_ASSERT(record != NULL && records_count < RECORDS_MAX);
    RK_ASSERT(real_of(file)->pMethods->xFileSize(real_of(file), &file_size) == SQLITE_OK);
    (void)snprintf(record->path, PATH_SIZE, "%s", ((struct test_file *)file)->path);
    record->offset = offset;
    record->file_size = file_size;
    const int64_t held = file_size > offset ? file_size - offset : 0;
    record->old_size = (uint32_t)(held < old_size ? held : old_size);
    record->old_bytes = malloc(record->old_size + 1);
    if (record->old_size > 0) {
        RK_ASSERT(real_of(file)->pMethods->xRead(real_of(file), record->old_bytes,
                                                 (int)record->old_size, offset) == SQLITE_OK);
    }
    records[records_count] = record;
    records_count++;
    return record;
}

static void record_write(sqlite3_file *file, const uint8_t *data, int64_t size, int64_t offset)
{
    struct record *record = record_new(file, offset, size);

    record->new_size = (uint32_t)size;
    record->new_bytes = malloc((size_t)size + 1);
    RK_ASSERT(record->new_bytes != NULL);
    memcpy(record->new_bytes, data, (size_t)size);
}

/* A disk keeps its blocks in any order, those of one call, too. */
static int vfs_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    if (fails_now()) {
        return fail_code;
    }
    for (int64_t done = 0; done < size;) {
        const int64_t to_end = BLOCK_SIZE - (offset + done) % BLOCK_SIZE;
        const int64_t piece = to_end < size - done ? to_end : size - done;
        record_write(file, (const uint8_t *)data + done, piece, offset + done);
        done += piece;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), data, size, offset);
}

static int vfs_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fails_now()) {
        return fail_code;
    }
    struct record *record = record_new(file, size, INT32_MAX);
    record->is_truncation = true;
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

/* What was done to `path` cannot be taken back any more. */
static void records_forget(const char *path, bool is_gone)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < records_count; i++) {
        if (strcmp(records[i]->path, path) == 0 && (is_gone || !records[i]->is_doomed)) {
            record_free(records[i]);
        } else {
            records[kept] = records[i];
            kept++;
        }
    }
    records_count = kept;
}

static void records_doom(const char *path)
{
    for (uint32_t i = 0; i < records_count; i++) {
        records[i]->is_doomed = records[i]->is_doomed || strcmp(records[i]->path, path) == 0;
    }
}

/* The real disk is not asked to sync: power is only lost here. */
static int vfs_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    syncs++;
    if (fails_now()) {
        records_doom(((struct test_file *)file)->path);
        return fail_code == SQLITE_FULL ? SQLITE_IOERR_FSYNC : fail_code;
    }
    records_forget(((struct test_file *)file)->path, false);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *self, const char *path, int sync_directory)
{
    RK_ASSERT(self == &vfs);
    (void)sync_directory;
    records_forget(path, true);
    return unix_vfs->xDelete(unix_vfs, path, 0);
}

static int vfs_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int vfs_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, size, offset);
}

static int vfs_file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int vfs_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int vfs_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int vfs_check_lock(sqlite3_file *file, int *ret)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int vfs_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int vfs_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int vfs_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

/* Version 1: no shared memory, which WAL does without in exclusive mode, and no mapped reads. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = vfs_close,
    .xRead = vfs_read,
    .xWrite = vfs_write,
    .xTruncate = vfs_truncate,
    .xSync = vfs_sync,
    .xFileSize = vfs_file_size,
    .xLock = vfs_lock,
    .xUnlock = vfs_unlock,
    .xCheckReservedLock = vfs_check_lock,
    .xFileControl = vfs_control,
    .xSectorSize = vfs_sector_size,
    .xDeviceCharacteristics = vfs_characteristics,
};

static int vfs_open(sqlite3_vfs *self, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    struct test_file *test_file = (struct test_file *)file;

    RK_ASSERT(self == &vfs);
    (void)snprintf(test_file->path, PATH_SIZE, "%s", name == NULL ? "" : name);
    const int code = unix_vfs->xOpen(unix_vfs, name, test_file->real, flags, ret_flags);
    file->pMethods = test_file->real->pMethods == NULL ? NULL : &methods;
    return code;
}

void test_vfs_install(void)
{
    test_vfs_fail_at(0, SQLITE_OK, false);
    if (unix_vfs != NULL) {
        return; /* in place already */
    }
    unix_vfs = sqlite3_vfs_find("unix");
    RK_ASSERT(unix_vfs != NULL);
    vfs = *unix_vfs;
    vfs.zName = "raftkv-test";
    vfs.szOsFile = (int)sizeof(struct test_file) + unix_vfs->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    RK_ASSERT(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}

void test_vfs_done(void)
{
    for (uint32_t i = 0; i < records_count; i++) {
        record_free(records[i]);
    }
    records_count = 0;
    test_vfs_fail_at(0, SQLITE_OK, false);
}

void test_vfs_fail_at(uint32_t number, int code, bool stays_dead)
{
    fail_at = number;
    fail_code = code;
    fails_for_ever = stays_dead;
    operations = 0;
    syncs = 0;
}

uint32_t test_vfs_operations(void)
{
    return operations;
}

uint32_t test_vfs_syncs(void)
{
    return syncs;
}

static void put(int fd, const uint8_t *bytes, uint32_t size, int64_t offset)
{
    if (size > 0) {
        RK_ASSERT(pwrite(fd, bytes, size, offset) == (ssize_t)size);
    }
}

static void record_undo(const struct record *record)
{
    const int fd = open(record->path, O_RDWR);
    RK_ASSERT(fd >= 0);
    put(fd, record->old_bytes, record->old_size, record->offset);
    RK_ASSERT(ftruncate(fd, record->file_size) == 0);
    RK_ASSERT(close(fd) == 0);
}

static void record_redo(const struct record *record)
{
    const int fd = open(record->path, O_RDWR);
    RK_ASSERT(fd >= 0);
    put(fd, record->new_bytes, record->new_size, record->offset);
    if (record->is_truncation) {
        RK_ASSERT(ftruncate(fd, record->offset) == 0);
    }
    RK_ASSERT(close(fd) == 0);
}

/* Records of files that are somewhere else stay. */
static void records_drop(const char *prefix)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < records_count; i++) {
        if (strncmp(records[i]->path, prefix, strlen(prefix)) == 0) {
            record_free(records[i]);
        } else {
            records[kept] = records[i];
            kept++;
        }
    }
    records_count = kept;
}

void test_vfs_lose_power_below(const char *prefix, uint64_t seed)
{
    const size_t size = strlen(prefix);
    struct rk_prng prng;

    for (uint32_t i = records_count; i > 0; i--) {
        if (strncmp(records[i - 1]->path, prefix, size) == 0) {
            record_undo(records[i - 1]);
        }
    }
    rk_prng_seed(&prng, seed);
    for (uint32_t i = 0; i < records_count; i++) {
        if (strncmp(records[i]->path, prefix, size) == 0 && seed != 0 && !records[i]->is_doomed &&
            rk_prng_chance(&prng, 500)) {
            record_redo(records[i]);
        }
    }
    records_drop(prefix);
}

void test_vfs_lose_power(uint64_t seed)
{
    test_vfs_lose_power_below("", seed);
    test_vfs_done();
}
