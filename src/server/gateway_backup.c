/* gateway_backup.c -- GET /v1/snapshot: a backup of a held root, made while it is taken.
 *
 * The root keeps everything that was replaced since from being freed, so nobody may hold it for as
 * long as he likes: a reader that takes too little at a time is cut off by the server (is_bulk), and
 * every one after an hour. */
#include <stdio.h>

#include "backup/backup_file.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/gateway_internal.h"

enum { BACKUP_MS_MAX = 60 * 60 * 1000 };

struct backup_stream {
    struct http_stream stream; /* first */
    struct backup_writer *writer;
    uint64_t until_ms;
};

static size_t backup_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    struct backup_stream *backup = (struct backup_stream *)(void *)stream;

    if (rk_monotonic_ms() >= backup->until_ms) {
        rk_log(RK_LOG_WARN, "backup", "reader_too_slow", RK_END);
        return HTTP_STREAM_BROKEN;
    }
    const size_t written = backup_write(backup->writer, data, size);
    if (backup_is_damaged(backup->writer)) {
        rk_log(RK_LOG_ERROR, "backup", "memory_damaged", RK_END); /* nobody could restore it */
        return HTTP_STREAM_BROKEN;
    }
    return written;
}

static void backup_close(struct http_stream *stream)
{
    struct backup_stream *backup = (struct backup_stream *)(void *)stream;

    backup_writer_free(backup->writer);
    rk_heap_free(backup);
}

struct http_stream *gateway_backup_new(const struct call *call, const struct sm_root *root)
{
    const struct gateway_loop *loop = call->loop;
    struct backup_stream *backup = rk_heap_zalloc(1, sizeof(*backup));
    struct backup_about about = {
        .id = {.term = root->last_term, .index = root->last_applied},
        .made_ms = rk_wall_ms(),
    };

    (void)snprintf(about.cluster_id, sizeof(about.cluster_id), "%s", loop->view.cluster_id);
    (void)snprintf(about.node, sizeof(about.node), "%s", loop->view.node_name);
    backup->stream = (struct http_stream){.read = backup_read, .close = backup_close};
    backup->writer = backup_writer_new(root, &about);
    backup->until_ms = rk_monotonic_ms() + BACKUP_MS_MAX;
    return &backup->stream;
}
