/* backup_write.c -- a root becomes a backup, record by record, as fast as somebody takes it. */
#include "backup/backup_file.h"
#include "backup/gzip.h"
#include "base/assert.h"
#include "base/heap.h"
#include "base/json_write.h"
#include "statemachine/image.h"

enum {
    ABOUT_SIZE_MAX = 1024,
    PIECE_SIZE_MAX = 2 * (SM_IMAGE_RECORD_SIZE_MAX + SNAP_FRAME_EXTRA_SIZE),
};

struct backup_writer {
    struct sm_image_writer image;
    struct snap_sum sum;
    struct gzip_packer *packer;
    struct rk_buf piece;  /* frames that are being packed */
    struct rk_bytes rest; /* of it, not packed yet */
    bool has_end;         /* the last piece is made */
    bool is_over;
};

static void append_about(const struct backup_about *about, struct rk_buf *buf)
{
    struct rk_json json;

    rk_json_init(&json, buf, false);
    rk_json_object_begin(&json);
    rk_json_member_text(&json, "cluster_id", about->cluster_id);
    rk_json_member_text(&json, "node", about->node);
    rk_json_member_u64(&json, "made_ms", about->made_ms);
    rk_json_object_end(&json);
}

static void begin(struct backup_writer *writer, const struct backup_about *about)
{
    struct rk_buf text;

    rk_buf_init(&text, ABOUT_SIZE_MAX);
    append_about(about, &text);
    RK_ASSERT(rk_buf_status(&text) == RK_OK);
    const struct snap_head head = {.id = about->id, .config = rk_buf_bytes(&text)};
    snap_file_begin(&head, &writer->sum, &writer->piece);
    rk_buf_done(&text);
    writer->rest = rk_buf_bytes(&writer->piece);
}

struct backup_writer *backup_writer_new(const struct sm_root *root,
                                        const struct backup_about *about)
{
    struct backup_writer *writer = rk_heap_zalloc(1, sizeof(*writer));

    sm_image_writer_init(&writer->image, root);
    writer->packer = gzip_packer_new();
    rk_buf_init(&writer->piece, PIECE_SIZE_MAX);
    begin(writer, about);
    return writer;
}

void backup_writer_free(struct backup_writer *writer)
{
    if (writer != NULL) {
        gzip_packer_free(writer->packer);
        rk_buf_done(&writer->piece);
        rk_heap_free(writer);
    }
}

/* One record: what a call works on before it gives something back. */
static void make_piece(struct backup_writer *writer)
{
    uint8_t type = 0;

    rk_buf_reset(&writer->piece);
    const size_t offset = snap_frame_begin(&writer->piece);
    if (sm_image_write(&writer->image, &writer->piece, &type)) {
        snap_frame_end(&writer->piece, offset, type, &writer->sum);
    } else {
        writer->piece.size = offset;
        snap_file_end(&writer->sum, &writer->piece);
        writer->has_end = true;
    }
    RK_ASSERT(rk_buf_status(&writer->piece) == RK_OK);
    writer->rest = rk_buf_bytes(&writer->piece);
}

bool backup_is_damaged(const struct backup_writer *writer)
{
    return writer->image.damaged_index > 0;
}

/* A state that packs to nothing would be read for long before a byte comes out: each call takes one
 * record, and pushes it out if there is nothing else to give. */
size_t backup_write(struct backup_writer *writer, uint8_t *to, size_t size)
{
    size_t written = 0;

    if (writer->is_over) {
        return 0;
    }
    if (writer->rest.size == 0 && !writer->has_end) {
        make_piece(writer);
    }
    written = gzip_pack(writer->packer, &writer->rest, writer->has_end ? GZIP_END : GZIP_MORE, to,
                        size, &writer->is_over);
    if (written == 0 && !writer->is_over) {
        written = gzip_pack(writer->packer, &writer->rest, GZIP_PUSH, to, size, &writer->is_over);
    }
    RK_ASSERT(written > 0 || writer->is_over);
    return written;
}
