#include "storage_support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/frame.h"
#include "base/heap.h"
#include "support/run.h"

enum { FRAMES_MAX = 4 * MADE_INDEX_MAX };

struct made {
    uint64_t chains[MADE_INDEX_MAX + 1]; /* [0]: before the first entry */
    uint8_t *frames[FRAMES_MAX];
    uint32_t frames_count;
};

struct made *made_new(void)
{
    return rk_heap_zalloc(1, sizeof(struct made));
}

void made_free(struct made *made)
{
    for (uint32_t i = 0; i < made->frames_count; i++) {
        rk_heap_free(made->frames[i]);
    }
    rk_heap_free(made);
}

struct raft_entry made_entry(struct made *made, raft_index index, raft_term term,
                             uint32_t body_size)
{
    struct rk_buf buf;

    RK_ASSERT(index <= MADE_INDEX_MAX);
    RK_ASSERT(made->frames_count < FRAMES_MAX);
    rk_buf_init(&buf, body_size + 64);
    const size_t offset = rk_frame_begin(&buf, RAFT_ENTRY_COMMAND);
    for (uint32_t i = 0; i < body_size; i++) {
        rk_buf_append_byte(&buf, (uint8_t)(7 * index + 13 * term + i));
    }
    rk_frame_end(&buf, offset);
    RK_ASSERT(rk_buf_status(&buf) == RK_OK);
    const uint32_t size = (uint32_t)buf.size;
    made->frames[made->frames_count] = buf.data; /* the buffer's memory is kept */
    made->frames_count++;
    const struct rk_frame_place place = {
        .term = term, .index = index, .chain_previous = made->chains[index - 1]};
    made->chains[index] = rk_frame_seal(buf.data, size, &place);
    return (struct raft_entry){.id = {.term = term, .index = index},
                               .type = RAFT_ENTRY_COMMAND,
                               .frame = {buf.data, size}};
}

void test_dir_make(char path[MADE_PATH_SIZE])
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(path, MADE_PATH_SIZE, "%s/raftkv-test-XXXXXX", parent == NULL ? "/tmp" : parent);
    RK_ASSERT(mkdtemp(path) != NULL);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void test_dir_remove(const char *path)
{
    RK_ASSERT(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

int run_suite_in_dir(const char *name, TCase *tcase)
{
    char dir[MADE_PATH_SIZE];

    test_dir_make(dir);
    RK_ASSERT(setenv("TMPDIR", dir, 1) == 0);
    const int result = run_suite(name, tcase);
    test_dir_remove(dir);
    return result;
}

const char *test_dir_path(const char *path, const char *name)
{
    static char joined[2 * MADE_PATH_SIZE];
    (void)snprintf(joined, sizeof(joined), "%s/%s", path, name);
    return joined;
}
