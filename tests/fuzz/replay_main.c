/* replay_main.c -- runs a fuzz target over its corpus where there is no libFuzzer.
 *
 * Usage: fuzz_NAME [FILE|DIRECTORY]...   default: $srcdir/tests/fuzz/corpus/NAME
 * Each file is tried as it is, cut short, and with bytes changed by a fixed seed, so that every
 * `make check` (and its sanitizers) sees the same damaged inputs. An empty corpus fails.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/prng.h"
#include "fuzz/fuzz.h"

enum { FILE_SIZE_MAX = 1 << 20, CUTS_MAX = 64, CHANGES_MAX = 192, PATH_SIZE = 4096 };

static unsigned files_count;

/* In a block of its own size, so that a sanitizer sees a read past the end. */
static void try_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = rk_heap_alloc(size);
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    rk_heap_free(copy);
}

static void try_cut(const uint8_t *data, size_t size)
{
    const size_t step = size / CUTS_MAX + 1;
    for (size_t cut = 0; cut < size; cut += step) {
        try_copy(data, cut);
    }
}

static void try_changed(uint8_t *data, size_t size)
{
    struct rk_prng prng;
    rk_prng_seed(&prng, size);
    for (int i = 0; i < CHANGES_MAX && size > 0; i++) {
        const size_t at = (size_t)rk_prng_below(&prng, size);
        const uint8_t before = data[at];
        data[at] = i % 2 == 0 ? (uint8_t)(before ^ 1U << rk_prng_below(&prng, 8))
                              : (uint8_t)rk_prng_below(&prng, 256);
        try_copy(data, size);
        data[at] = i % 8 == 7 ? data[at] : before; /* now and then damage adds up */
    }
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    uint8_t *data = rk_heap_alloc(FILE_SIZE_MAX);
    const size_t size = fread(data, 1, FILE_SIZE_MAX, file);
    (void)fclose(file);
    files_count++;
    try_copy(data, size);
    try_cut(data, size);
    try_changed(data, size);
    rk_heap_free(data);
}

static void replay(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        replay_file(path);
        return;
    }
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        char name[PATH_SIZE];
        if (entry->d_name[0] != '.') {
            (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
            replay_file(name);
        }
    }
    (void)closedir(directory);
}

static void replay_corpus(const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *name = slash == NULL ? program : slash + 1;
    const char *srcdir = getenv("srcdir");
    char path[PATH_SIZE];
    name += strncmp(name, "fuzz_", 5) == 0 ? 5 : 0;
    (void)snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", srcdir == NULL ? "." : srcdir,
                   name);
    replay(path);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        replay_corpus(argv[0]);
    }
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    (void)printf("%u corpus files\n", files_count);
    return files_count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
