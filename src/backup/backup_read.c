/* backup_read.c -- a backup read back: unpacked as it is read, each check on its way. */
#include <string.h>

#include "backup/backup_file.h"
#include "backup/gzip.h"
#include "base/assert.h"
#include "base/heap.h"
#include "base/json_read.h"
#include "statemachine/image.h"
#include "statemachine/omap.h"
#include "statemachine/restore.h"

enum { PACKED_PIECE_SIZE = 64 * 1024, TEXT_SIZE_MAX = 256, MAGIC_SIZE = 8 };

static const char no_gzip[] = "it is not gzip, or damaged";
static const char cut_off[] = "it is cut off";
static const char goes_on[] = "something follows its end";
static const char no_backup[] =
    "it is not a backup of RaftKV, or of a version that this one cannot read";
static const char damaged[] = "a check in it is wrong: it is damaged, or cut off";
static const char not_legal[] = "its records are not those of any state, or its digest is wrong";
static const char too_large[] = "it unpacks to more than is allowed";
static const char unreadable[] = "it cannot be read";

/* The packed bytes, and how far they are unpacked. */
struct unpacking {
    snap_read *read;
    void *context;
    uint64_t offset; /* of the byte behind `rest` */
    uint64_t unpacked;
    uint64_t unpacked_max;
    uint8_t *piece; /* PACKED_PIECE_SIZE bytes */
    struct rk_bytes rest;
    struct gzip_unpacker *unpacker;
    bool is_over;
    const char *why;
};

struct backup_reader {
    struct unpacking unpacking;
    struct snap_reader *file;
    struct backup_about about;
};

static enum rk_status fail(struct unpacking *unpacking, enum rk_status status, const char *why)
{
    unpacking->why = why;
    return status;
}

/* Reads on; with nothing left, *ret_came is false. */
static enum rk_status refill(struct unpacking *unpacking, bool *ret_came)
{
    size_t size = 0;
    const enum rk_status status = unpacking->read(unpacking->context, unpacking->offset,
                                                  unpacking->piece, PACKED_PIECE_SIZE, &size);

    if (status != RK_OK) {
        return fail(unpacking, status, unreadable);
    }
    unpacking->offset += size;
    unpacking->rest = (struct rk_bytes){.data = unpacking->piece, .size = (uint32_t)size};
    *ret_came = size > 0;
    return RK_OK;
}

/* gzip has said that this is the end: so it must be. */
static enum rk_status unpack_end(struct unpacking *unpacking)
{
    bool came = unpacking->rest.size > 0;

    unpacking->is_over = true;
    if (!came) {
        const enum rk_status status = refill(unpacking, &came);
        if (status != RK_OK) {
            return status;
        }
    }
    return came ? fail(unpacking, RK_CORRUPT, goes_on) : RK_OK;
}

static enum rk_status unpack_some(struct unpacking *unpacking, uint8_t *to, size_t size,
                                  size_t *ret_size)
{
    bool came = true;

    if (unpacking->rest.size == 0) {
        const enum rk_status status = refill(unpacking, &came);
        if (status != RK_OK) {
            return status;
        }
    }
    if (!came) {
        return fail(unpacking, RK_CORRUPT, cut_off);
    }
    const enum rk_status status =
        gzip_unpack(unpacking->unpacker, &unpacking->rest, to, size, ret_size);
    unpacking->unpacked += *ret_size;
    if (unpacking->unpacked > unpacking->unpacked_max) {
        return fail(unpacking, RK_TOO_LARGE, too_large);
    }
    if (status == RK_NOT_FOUND) {
        return unpack_end(unpacking);
    }
    return status == RK_OK ? RK_OK : fail(unpacking, RK_CORRUPT, no_gzip);
}

/* A snap_read. */
static enum rk_status unpack(void *context, uint64_t offset, uint8_t *to, size_t size,
                             size_t *ret_size)
{
    struct unpacking *unpacking = context;
    enum rk_status status = RK_OK;

    RK_ASSERT(offset == unpacking->unpacked);
    *ret_size = 0;
    while (status == RK_OK && *ret_size == 0 && !unpacking->is_over) {
        status = unpack_some(unpacking, to, size, ret_size);
    }
    return status;
}

/* The reason is the unpacking's, where that has one. */
static enum rk_status reason(const struct backup_reader *reader, enum rk_status status,
                             const char *otherwise, const char **ret_why)
{
    *ret_why = reader->unpacking.why != NULL ? reader->unpacking.why : otherwise;
    return status;
}

/* ---- the head ---- */

static enum rk_status take_text(const struct rk_json_value *value, char *ret, size_t ret_size)
{
    struct rk_buf text;

    rk_buf_init(&text, TEXT_SIZE_MAX);
    enum rk_status status = rk_json_read_text(value, &text);
    if (status == RK_OK && text.size >= ret_size) {
        status = RK_INVALID;
    }
    if (status == RK_OK && text.size > 0) {
        memcpy(ret, text.data, text.size);
        ret[text.size] = '\0';
    }
    rk_buf_done(&text);
    return status;
}

static enum rk_status take_member(struct backup_about *about, struct rk_bytes name,
                                  const struct rk_json_value *value)
{
    if (rk_json_name_is(name, "cluster_id")) {
        return take_text(value, about->cluster_id, sizeof(about->cluster_id));
    }
    if (rk_json_name_is(name, "node")) {
        return take_text(value, about->node, sizeof(about->node));
    }
    if (rk_json_name_is(name, "made_ms")) {
        return rk_json_read_u64(value, &about->made_ms);
    }
    return RK_OK;
}

/* Errors: RK_INVALID: the head is no backup's, but, say, that of a node's own snapshot. */
static enum rk_status take_about(struct backup_about *about, const struct snap_head *head)
{
    struct rk_json_value value;
    struct rk_json_value member;
    struct rk_json_fault fault;
    struct rk_json_walk walk;
    struct rk_bytes name;
    enum rk_status status = rk_json_read(head->config, &value, &fault);

    if (status != RK_OK || value.kind != RK_JSON_OBJECT || head->chain != 0 ||
        head->config_index != 0) {
        return RK_INVALID;
    }
    *about = (struct backup_about){.id = head->id};
    rk_json_walk_begin(&walk, &value);
    while (status == RK_OK && rk_json_walk_member(&walk, &name, &member)) {
        status = take_member(about, name, &member);
    }
    return status == RK_OK ? RK_OK : RK_INVALID;
}

enum rk_status backup_open(snap_read *read, void *context, uint64_t unpacked_max,
                           struct backup_reader **ret, const char **ret_why)
{
    struct backup_reader *reader = rk_heap_zalloc(1, sizeof(*reader));

    reader->unpacking = (struct unpacking){
        .read = read,
        .context = context,
        .unpacked_max = unpacked_max,
        .piece = rk_heap_alloc(PACKED_PIECE_SIZE),
        .unpacker = gzip_unpacker_new(),
    };
    enum rk_status status = snap_reader_open(unpack, &reader->unpacking, &reader->file);
    if (status == RK_CORRUPT && reader->unpacking.why == NULL) {
        status = RK_INVALID; /* it unpacks, to something else */
    }
    if (status == RK_OK) {
        status = take_about(&reader->about, snap_reader_head(reader->file));
    }
    if (status == RK_OK) {
        *ret = reader;
        return RK_OK;
    }
    if (reader->unpacking.why == no_gzip && reader->unpacking.unpacked == 0) {
        status = RK_INVALID;
    }
    status = reason(reader, status, no_backup, ret_why);
    backup_reader_free(reader);
    return status;
}

void backup_reader_free(struct backup_reader *reader)
{
    if (reader != NULL) {
        snap_reader_free(reader->file);
        gzip_unpacker_free(reader->unpacking.unpacker);
        rk_heap_free(reader->unpacking.piece);
        rk_heap_free(reader);
    }
}

const struct backup_about *backup_reader_about(const struct backup_reader *reader)
{
    return &reader->about;
}

enum rk_status backup_next(struct backup_reader *reader, uint8_t *ret_type,
                           struct rk_bytes *ret_body, const char **ret_why)
{
    const enum rk_status status = snap_reader_next(reader->file, ret_type, ret_body);

    if (status == RK_OK || status == RK_NOT_FOUND) {
        return status;
    }
    return reason(reader, status, damaged, ret_why);
}

/* ---- all of it ---- */

static void sum_up(const struct backup_reader *reader, const struct sm_root *root,
                   struct backup_summary *ret)
{
    const struct snap_ref ref = snap_reader_ref(reader->file);

    ret->about = reader->about;
    ret->packed_size = reader->unpacking.offset;
    ret->unpacked_size = ref.size;
    ret->file_digest = ref.digest;
    ret->state_digest = sm_digest(root);
    ret->keys_count = omap_total(root->kv).count;
    ret->sessions_count = omap_total(root->sessions).count;
    ret->locks_count = omap_total(root->locks).count;
    ret->delays_count = omap_total(root->delays).count;
    ret->tombstones_count =
        omap_total(root->tombstones).count + omap_total(root->tombstones_old).count;
    ret->tokens_count = omap_total(root->tokens).count;
    ret->cluster_time_ms = root->time_ms;
}

static void note_restored(struct backup_summary *ret, uint8_t type, struct rk_bytes body)
{
    if (sm_restore_takes(type)) {
        ret->restored_count++;
        ret->restored_digest = sm_restore_digest(ret->restored_digest, type, body);
    }
}

static enum rk_status build(struct backup_reader *reader, struct sm_image_reader *image,
                            struct backup_summary *ret, const char **ret_why)
{
    enum rk_status status = RK_OK;
    struct sm *sm = NULL;

    while (status == RK_OK) {
        uint8_t type = 0;
        struct rk_bytes body;
        status = backup_next(reader, &type, &body, ret_why);
        if (status == RK_OK) {
            *ret_why = not_legal;
            status = sm_image_read(image, type, body);
            ret->records_count++;
            note_restored(ret, type, body);
        }
    }
    if (status != RK_NOT_FOUND) {
        return status;
    }
    *ret_why = not_legal;
    status = sm_image_finish(image, &sm);
    if (status == RK_OK) {
        const struct sm_root root = sm_publish(sm);
        status = root.last_applied == reader->about.id.index ? RK_OK : RK_CORRUPT;
        sum_up(reader, &root, ret);
        sm_free(sm);
    }
    return status;
}

enum rk_status backup_verify(snap_read *read, void *context, uint64_t unpacked_max,
                             struct backup_summary *ret, const char **ret_why)
{
    struct backup_reader *reader = NULL;
    struct backup_summary summary = {.records_count = 0};

    enum rk_status status = backup_open(read, context, unpacked_max, &reader, ret_why);
    if (status != RK_OK) {
        return status;
    }
    struct sm_image_reader *image = sm_image_reader_new();
    status = build(reader, image, &summary, ret_why);
    if (status == RK_OK) {
        *ret = summary;
        *ret_why = NULL; /* what may go wrong from here on has reasons of its own */
    }
    sm_image_reader_free(image);
    backup_reader_free(reader);
    return status;
}
