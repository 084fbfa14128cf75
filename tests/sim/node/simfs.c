/* simfs.c -- the modelled directories of simfs.h. Their memory is the machine's: it outlives hosts. */
#include "sim/node/simfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/node/world.h"

enum {
    NAMES_MAX = 64,
    CHANGES_MAX = 64, /* of names, not synced; more: the file system has written them meanwhile */
    NAME_SIZE = 160,
    SECTOR_SIZE = 512,
    HANDLES_MAX = 256,
    HANDLE_FIRST = 1 << 20, /* so many files a process of ours never has */
};

/* A hole: what a failed fsync() has lost. */
struct file {
    uint8_t *data;
    size_t size;
    size_t synced;
    size_t hole_begin;
    size_t hole_end;
    struct file *next; /* all there ever were of the directory */
};

struct name {
    char text[NAME_SIZE];
    struct file *file; /* NULL: a name that goes */
};

struct names {
    struct name names[NAMES_MAX]; /* ascending */
    uint32_t count;
};

/* From a name to a name; one of them may be "". */
struct change {
    char from[NAME_SIZE];
    struct name to;
};

struct simfs {
    struct names now;
    struct names durable;
    struct change changes[CHANGES_MAX];
    uint32_t changes_count;
    struct file *all;
    uint32_t open_count;
    uint32_t fails_at;
    int error;
    bool is_dead_then;
    bool is_dead;
    bool has_failed;
    bool is_full;
};

struct handle {
    struct simfs *files; /* NULL: free */
    struct file *file;   /* NULL: the directory */
};

struct simfs_walk {
    DIR *real; /* NULL: a modelled one */
    int fd;
    struct simfs *files;
    uint32_t at;
    struct dirent entry;
};

static struct handle handles[HANDLES_MAX];

struct simfs *simfs_new(void)
{
    struct simfs *files = calloc(1, sizeof(*files));

    RK_ASSERT(files != NULL);
    return files;
}

static void close_all(struct simfs *files)
{
    for (uint32_t i = 0; i < HANDLES_MAX; i++) {
        if (handles[i].files == files) {
            handles[i].files = NULL;
        }
    }
    files->open_count = 0;
}

void simfs_free(struct simfs *files)
{
    close_all(files);
    while (files->all != NULL) {
        struct file *file = files->all;
        files->all = file->next;
        free(file->data);
        free(file);
    }
    free(files);
}

/* -- names -- */

static uint32_t names_at(const struct names *names, const char *text)
{
    uint32_t at = 0;

    while (at < names->count && strcmp(names->names[at].text, text) < 0) {
        at++;
    }
    return at;
}

static struct file *names_get(const struct names *names, const char *text)
{
    const uint32_t at = names_at(names, text);

    return at < names->count && strcmp(names->names[at].text, text) == 0 ? names->names[at].file
                                                                         : NULL;
}

static void names_remove(struct names *names, const char *text)
{
    const uint32_t at = names_at(names, text);

    if (names_get(names, text) != NULL) {
        names->count--;
        memmove(&names->names[at], &names->names[at + 1],
                (names->count - at) * sizeof(names->names[0]));
    }
}

static void names_put(struct names *names, const struct name *name)
{
    names_remove(names, name->text);
    const uint32_t at = names_at(names, name->text);
    if (names->count == NAMES_MAX) {
        world_fail("O16", "more than %u files are in a directory", (unsigned)NAMES_MAX);
    }
    memmove(&names->names[at + 1], &names->names[at],
            (names->count - at) * sizeof(names->names[0]));
    names->names[at] = *name;
    names->count++;
}

static void names_change(struct names *names, const struct change *change)
{
    if (change->from[0] != '\0') {
        names_remove(names, change->from);
    }
    if (change->to.text[0] != '\0') {
        names_put(names, &change->to);
    }
}

static void changes_are_durable(struct simfs *files)
{
    files->durable = files->now;
    files->changes_count = 0;
}

static void change_names(struct simfs *files, const char *from, const char *to, struct file *file)
{
    if (files->changes_count == CHANGES_MAX) {
        changes_are_durable(files);
    }
    struct change *change = &files->changes[files->changes_count];
    *change = (struct change){.to = {.file = file}};
    RK_ASSERT(strlen(from) < NAME_SIZE && strlen(to) < NAME_SIZE);
    memcpy(change->from, from, strlen(from) + 1);
    memcpy(change->to.text, to, strlen(to) + 1);
    files->changes_count++;
    names_change(&files->now, change);
}

/* -- what fails -- */

void simfs_arm(struct simfs *files, uint32_t at, int error, bool is_dead)
{
    files->fails_at = at;
    files->error = error;
    files->is_dead_then = is_dead;
    files->is_dead = false;
    files->has_failed = false;
}

bool simfs_has_failed(const struct simfs *files)
{
    return files->has_failed;
}

void simfs_set_full(struct simfs *files, bool is_full)
{
    files->is_full = is_full;
}

/* True: this operation fails, and errno says so. */
static bool fails(struct simfs *files)
{
    if (files->fails_at > 0) {
        files->fails_at--;
        if (files->fails_at == 0) {
            files->has_failed = true;
            files->is_dead = files->is_dead_then;
            errno = files->error;
            return true;
        }
    }
    errno = EIO;
    return files->is_dead;
}

/* -- handles -- */

static struct handle *handle_of(int fd)
{
    if (fd < HANDLE_FIRST) {
        return NULL;
    }
    struct handle *handle = &handles[fd - HANDLE_FIRST];
    RK_ASSERT(fd - HANDLE_FIRST < HANDLES_MAX && handle->files != NULL);
    return handle;
}

static int handle_new(struct simfs *files, struct file *file)
{
    int at = 0;

    while (at < HANDLES_MAX && handles[at].files != NULL) {
        at++;
    }
    RK_ASSERT(at < HANDLES_MAX);
    handles[at] = (struct handle){.files = files, .file = file};
    files->open_count++;
    return HANDLE_FIRST + at;
}

uint32_t simfs_open_count(const struct simfs *files)
{
    return files->open_count;
}

/* The host that runs has one directory; what is above it is always there. */
static bool is_modelled(const char *path)
{
    return strncmp(path, SIMFS_ROOT, strlen(SIMFS_ROOT)) == 0;
}

int simfs_mkdir(const char *path, mode_t mode)
{
    if (!is_modelled(path)) {
        return mkdir(path, mode);
    }
    errno = EEXIST;
    return -1;
}

int simfs_open(const char *path, int flags)
{
    return is_modelled(path) ? handle_new(sim_world->current->files, NULL) : open(path, flags);
}

static struct file *file_new(struct simfs *files)
{
    struct file *file = calloc(1, sizeof(*file));

    RK_ASSERT(file != NULL);
    file->next = files->all;
    files->all = file;
    return file;
}

static int open_file(struct simfs *files, const char *name, int flags)
{
    struct file *file = names_get(&files->now, name);
    const bool is_made = file == NULL && (flags & O_CREAT) != 0;

    if (fails(files)) {
        return -1;
    }
    if (file == NULL && !is_made) {
        errno = ENOENT;
        return -1;
    }
    if (is_made && files->is_full) {
        errno = ENOSPC;
        return -1;
    }
    if (is_made) {
        file = file_new(files);
        change_names(files, "", name, file);
    }
    if ((flags & O_TRUNC) != 0 && file->size > 0) {
        file->size = 0; /* at once: the old bytes are worth nothing to whoever does that */
        file->synced = 0;
    }
    return handle_new(files, file);
}

int simfs_openat(int fd, const char *name, int flags, ...)
{
    struct handle *handle = handle_of(fd);

    if (handle == NULL) {
        va_list arguments;
        va_start(arguments, flags);
        const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
        va_end(arguments);
        return openat(fd, name, flags, mode);
    }
    RK_ASSERT(handle->file == NULL);
    return (flags & O_DIRECTORY) != 0 ? handle_new(handle->files, NULL)
                                      : open_file(handle->files, name, flags);
}

int simfs_close(int fd)
{
    struct handle *handle = handle_of(fd);

    if (handle == NULL) {
        return close(fd);
    }
    handle->files->open_count--;
    handle->files = NULL;
    return 0;
}

int simfs_fstat(int fd, struct stat *ret)
{
    const struct handle *handle = handle_of(fd);

    if (handle == NULL) {
        return fstat(fd, ret);
    }
    *ret = (struct stat){.st_mode = S_IFREG | 0600, .st_size = (off_t)handle->file->size};
    return 0;
}

/* -- bytes -- */

ssize_t simfs_write(int fd, const void *data, size_t size)
{
    const struct handle *handle = handle_of(fd);

    if (handle == NULL) {
        return write(fd, data, size);
    }
    struct file *file = handle->file;
    const bool has_failed = fails(handle->files);
    if (handle->files->is_dead || (!has_failed && handle->files->is_full)) {
        errno = handle->files->is_dead ? EIO : ENOSPC;
        return -1;
    }
    const int error = errno;
    const size_t written = has_failed ? size / 2 : size; /* what came there before it failed */
    uint8_t *grown = realloc(file->data, file->size + size + 1);
    RK_ASSERT(grown != NULL);
    memcpy(grown + file->size, data, written);
    file->data = grown;
    file->size += written;
    errno = error;
    return has_failed ? -1 : (ssize_t)size;
}

ssize_t simfs_pread(int fd, void *to, size_t size, off_t offset)
{
    const struct handle *handle = handle_of(fd);

    if (handle == NULL) {
        return pread(fd, to, size, offset);
    }
    const struct file *file = handle->file;
    if (fails(handle->files)) {
        return -1;
    }
    if ((size_t)offset >= file->size) {
        return 0;
    }
    const size_t left = file->size - (size_t)offset;
    memcpy(to, file->data + offset, size < left ? size : left);
    return (ssize_t)(size < left ? size : left);
}

int simfs_fsync(int fd)
{
    const struct handle *handle = handle_of(fd);

    if (handle == NULL) {
        return fsync(fd);
    }
    struct file *file = handle->file;
    if (fails(handle->files)) {
        if (file != NULL && !handle->files->is_dead) {
            file->hole_begin = file->synced;
            file->hole_end = file->size;
            file->synced = file->size;
        }
        return -1;
    }
    if (file != NULL) {
        file->synced = file->size;
    } else {
        changes_are_durable(handle->files);
    }
    return 0;
}

/* -- names, once more -- */

int simfs_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    const struct handle *handle = handle_of(from_fd);

    if (handle == NULL) {
        return renameat(from_fd, from, to_fd, to);
    }
    struct file *file = names_get(&handle->files->now, from);
    if (fails(handle->files)) {
        return -1;
    }
    if (file == NULL) {
        errno = ENOENT;
        return -1;
    }
    change_names(handle->files, from, to, file);
    return 0;
}

int simfs_unlinkat(int fd, const char *name, int flags)
{
    const struct handle *handle = handle_of(fd);

    if (handle == NULL) {
        return unlinkat(fd, name, flags);
    }
    if (fails(handle->files)) {
        return -1;
    }
    if (names_get(&handle->files->now, name) == NULL) {
        errno = ENOENT;
        return -1;
    }
    change_names(handle->files, name, "", NULL);
    return 0;
}

struct simfs_walk *simfs_fdopendir(int fd)
{
    const struct handle *handle = handle_of(fd);
    struct simfs_walk *walk = calloc(1, sizeof(*walk));

    RK_ASSERT(walk != NULL);
    walk->fd = fd;
    if (handle == NULL) {
        walk->real = fdopendir(fd);
        RK_ASSERT(walk->real != NULL);
    } else {
        walk->files = handle->files;
    }
    return walk;
}

/* What is removed on the way moves the rest up: the name that was given last says where it stands. */
struct dirent *simfs_readdir(struct simfs_walk *walk)
{
    if (walk->real != NULL) {
        return readdir(walk->real);
    }
    const struct names *names = &walk->files->now;
    uint32_t at = names_at(names, walk->entry.d_name);
    if (at < names->count && strcmp(names->names[at].text, walk->entry.d_name) == 0) {
        at++;
    }
    if (at == names->count) {
        return NULL;
    }
    memcpy(walk->entry.d_name, names->names[at].text, NAME_SIZE);
    return &walk->entry;
}

int simfs_closedir(struct simfs_walk *walk)
{
    const int status = walk->real != NULL ? closedir(walk->real) : simfs_close(walk->fd);

    free(walk);
    return status;
}

/* -- what a power cut leaves, and what time does -- */

static void file_lose(struct file *file, struct tape *tape)
{
    const size_t unsynced = file->size - file->synced;

    if (file->hole_end > file->hole_begin) {
        memset(file->data + file->hole_begin, 0, file->hole_end - file->hole_begin);
    }
    if (unsynced > 0) {
        file->size = file->synced + tape_draw(tape, TAPE_DISK, (uint32_t)unsynced + 1);
    }
    for (size_t at = file->synced; at < file->size; at += SECTOR_SIZE) {
        const size_t left = file->size - at;
        if (tape_draw(tape, TAPE_DISK, 2) == 1) {
            memset(file->data + at, 0, left < SECTOR_SIZE ? left : SECTOR_SIZE);
        }
    }
    file->synced = file->size;
    file->hole_end = file->hole_begin;
}

void simfs_power_lost(struct simfs *files)
{
    struct tape *tape = &sim_world->tape;

    close_all(files);
    for (uint32_t i = 0; i < files->changes_count; i++) {
        if (tape_draw(tape, TAPE_DISK, 2) == 1) {
            names_change(&files->durable, &files->changes[i]);
        }
    }
    files->now = files->durable;
    files->changes_count = 0;
    for (uint32_t i = 0; i < files->now.count; i++) {
        file_lose(files->now.names[i].file, tape);
    }
    simfs_arm(files, 0, 0, false);
}

bool simfs_damage(struct simfs *files, const char *prefix)
{
    struct file *file = NULL;

    for (uint32_t i = 0; i < files->durable.count; i++) {
        const struct name *name = &files->durable.names[i];
        if (strncmp(name->text, prefix, strlen(prefix)) == 0 && name->file->size > 0) {
            file = name->file;
        }
    }
    if (file == NULL) {
        return false;
    }
    const uint32_t at = tape_draw(&sim_world->tape, TAPE_DISK, (uint32_t)file->size);
    file->data[at] ^= (uint8_t)(1U << tape_draw(&sim_world->tape, TAPE_DISK, 8));
    return true;
}
