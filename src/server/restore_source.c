#include "server/restore_source.h"

#include "base/assert.h"
#include "base/heap.h"
#include "base/le.h"
#include "statemachine/image.h"
#include "statemachine/restore.h"

enum { RECORD_HEAD_SIZE = 5 };

_Static_assert((int)RESTORE_PIECE_SIZE + (int)SM_IMAGE_RECORD_SIZE_MAX + (int)RECORD_HEAD_SIZE <=
                   (int)RESTORE_PIECE_SIZE_MAX,
               "a piece has room for the record that ends it");

struct restore_source *restore_source_new(struct spool *spool, uint64_t unpacked_max)
{
    struct restore_source *source = rk_heap_zalloc(1, sizeof(*source));

    source->spool = spool;
    source->unpacked_max = unpacked_max;
    return source;
}

void restore_source_free(struct restore_source *source)
{
    if (source != NULL) {
        backup_reader_free(source->reader);
        spool_close(source->spool);
        rk_heap_free(source);
    }
}

enum rk_status restore_source_check(struct restore_source *source)
{
    return backup_verify(spool_read, source->spool, source->unpacked_max, &source->summary,
                         &source->why);
}

static void append(struct rk_buf *records, uint8_t type, struct rk_bytes body)
{
    uint8_t *head = rk_buf_extend(records, RECORD_HEAD_SIZE);

    RK_ASSERT(head != NULL);
    head[0] = type;
    rk_le_put_u32(&head[1], body.size);
    rk_buf_append(records, body.data, body.size);
}

enum rk_status restore_source_read(struct restore_source *source, struct rk_buf *records)
{
    enum rk_status status = RK_OK;

    if (source->reader == NULL) {
        status = backup_open(spool_read, source->spool, source->unpacked_max, &source->reader,
                             &source->why);
    }
    while (status == RK_OK && records->size < RESTORE_PIECE_SIZE) {
        struct rk_bytes body;
        uint8_t type = 0;
        status = backup_next(source->reader, &type, &body, &source->why);
        if (status == RK_OK && sm_restore_takes(type)) {
            append(records, type, body);
        }
    }
    RK_ASSERT(rk_buf_status(records) == RK_OK);
    return status == RK_NOT_FOUND ? RK_OK : status;
}

bool restore_record_next(struct rk_bytes *rest, uint8_t *ret_type, struct rk_bytes *ret_body)
{
    if (rest->size == 0) {
        return false;
    }
    *ret_type = rest->data[0];
    *ret_body =
        (struct rk_bytes){.data = rest->data + RECORD_HEAD_SIZE, .size = rk_le_u32(rest->data + 1)};
    rest->data += RECORD_HEAD_SIZE + ret_body->size;
    rest->size -= RECORD_HEAD_SIZE + ret_body->size;
    return true;
}
