/* fuzz_snap_file.c -- a snapshot's file of any bytes: the reader stays inside them and ends, and what
 * it takes for a whole file is exactly what is written of its head and records. */
#include <string.h>

#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "storage/snap_file.h"

static enum rk_status read_bytes(void *context, uint64_t offset, uint8_t *to, size_t size,
                                 size_t *ret_size)
{
    const struct rk_bytes *from = context;
    const size_t left = offset < from->size ? from->size - (size_t)offset : 0;

    *ret_size = size < left ? size : left;
    if (*ret_size > 0) {
        memcpy(to, from->data + offset, *ret_size);
    }
    return RK_OK;
}

static void copy_record(struct rk_buf *copy, struct snap_sum *sum, uint8_t type,
                        struct rk_bytes body)
{
    const size_t offset = snap_frame_begin(copy);

    rk_buf_append(copy, body.data, body.size);
    snap_frame_end(copy, offset, type, sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rk_bytes bytes = {.data = data, .size = (uint32_t)size};
    struct snap_reader *reader = NULL;
    struct rk_bytes body = {0};
    struct snap_sum sum;
    struct rk_buf copy;
    uint8_t type = 0;

    enum rk_status status = snap_reader_open(read_bytes, &bytes, &reader);
    if (status != RK_OK) {
        RK_ASSERT(status == RK_CORRUPT && reader == NULL);
        return 0;
    }
    rk_buf_init(&copy, SIZE_MAX);
    snap_file_begin(snap_reader_head(reader), &sum, &copy);
    while ((status = snap_reader_next(reader, &type, &body)) == RK_OK) {
        copy_record(&copy, &sum, type, body);
    }
    RK_ASSERT(status == RK_NOT_FOUND || status == RK_CORRUPT);
    RK_ASSERT(snap_reader_is_over(reader) == (status == RK_NOT_FOUND));
    if (status == RK_NOT_FOUND) {
        snap_file_end(&sum, &copy);
        RK_ASSERT(copy.size == size && memcmp(copy.data, data, size) == 0);
        RK_ASSERT(snap_reader_ref(reader).digest == sum.digest);
    }
    rk_buf_done(&copy);
    snap_reader_free(reader);
    return 0;
}
