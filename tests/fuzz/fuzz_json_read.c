/* fuzz_json_read.c -- whatever the bytes, reading JSON stays inside them, and what was taken for a
 * document can be walked to its end. */
#include "base/assert.h"
#include "base/json_read.h"
#include "fuzz/fuzz.h"

enum { TEXT_SIZE_MAX = 4096 };

static void try_scalar(const struct rk_json_value *value)
{
    struct rk_buf buf;
    uint64_t number = 0;
    int64_t signed_number = 0;

    rk_buf_init(&buf, TEXT_SIZE_MAX);
    if (rk_json_read_text(value, &buf) == RK_OK) {
        RK_ASSERT(value->kind == RK_JSON_TEXT && buf.size <= value->text.size);
    }
    if (rk_json_read_u64(value, &number) == RK_OK ||
        rk_json_read_i64(value, &signed_number) == RK_OK) {
        RK_ASSERT(value->kind == RK_JSON_NUMBER);
    }
    rk_buf_done(&buf);
}

/* Levels are as many as the reader takes, so this ends. */
static void walk(const struct rk_json_value *value)
{
    struct rk_json_walk at;
    struct rk_json_value below;
    struct rk_bytes name;

    try_scalar(value);
    if (value->kind == RK_JSON_OBJECT) {
        rk_json_walk_begin(&at, value);
        while (rk_json_walk_member(&at, &name, &below)) {
            RK_ASSERT(name.size >= 2);
            (void)rk_json_name_is(name, "name");
            walk(&below);
        }
    } else if (value->kind == RK_JSON_ARRAY) {
        rk_json_walk_begin(&at, value);
        while (rk_json_walk_element(&at, &below)) {
            walk(&below);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rk_bytes bytes = {.data = data, .size = (uint32_t)size};
    struct rk_json_value value;
    struct rk_json_fault fault;

    if (rk_json_read(bytes, &value, &fault) == RK_OK) {
        walk(&value);
    } else {
        RK_ASSERT(fault.reason != NULL && fault.offset <= size);
    }
    return 0;
}
