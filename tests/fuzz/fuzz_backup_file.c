/* fuzz_backup_file.c -- what somebody sends as a backup: any bytes. The reader stays inside them, holds
 * no more than it was allowed to unpack, ends, and says why. The first byte says whether the rest is
 * taken as it is, or packed first, so that a mutated file does not fail at gzip's own check alone. */
#include <string.h>

#include "backup/backup_file.h"
#include "backup/gzip.h"
#include "base/assert.h"
#include "base/buf.h"
#include "fuzz/fuzz.h"

enum { UNPACKED_MAX = 1 << 20, BLOCK_SIZE = 4096 };

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

static void pack(struct rk_bytes from, struct rk_buf *to)
{
    struct gzip_packer *packer = gzip_packer_new();
    bool is_over = false;

    while (!is_over) {
        uint8_t block[BLOCK_SIZE];
        const size_t size = gzip_pack(packer, &from, GZIP_END, block, sizeof(block), &is_over);
        rk_buf_append(to, block, size);
    }
    gzip_packer_free(packer);
}

static void try(struct rk_bytes bytes)
{
    struct backup_summary summary;
    const char *why = NULL;
    const enum rk_status status = backup_verify(read_bytes, &bytes, UNPACKED_MAX, &summary, &why);

    RK_ASSERT(status == RK_OK || status == RK_INVALID || status == RK_CORRUPT ||
              status == RK_TOO_LARGE);
    RK_ASSERT(status == RK_OK || why != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rk_buf packed;

    if (size == 0) {
        return 0;
    }
    const struct rk_bytes rest = {.data = data + 1, .size = (uint32_t)(size - 1)};
    if ((data[0] & 1) == 0) {
        try(rest);
        return 0;
    }
    rk_buf_init(&packed, SIZE_MAX);
    pack(rest, &packed);
    try(rk_buf_bytes(&packed));
    rk_buf_done(&packed);
    return 0;
}
