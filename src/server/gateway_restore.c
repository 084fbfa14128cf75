/* gateway_restore.c -- PUT /v1/snapshot: the body goes into a file without a name, beside the data, until
 * it is there whole; then the node works on it. */
#include "api/api_snapshot.h"
#include "base/assert.h"
#include "base/heap.h"
#include "server/gateway_internal.h"
#include "storage/spool.h"

struct restore_sink {
    struct http_sink sink; /* first */
    struct gateway_loop *loop;
    struct spool *spool; /* NULL: there could not be one, or somebody has taken it over */
};

static bool fail(struct restore_sink *restore, uint32_t status, const char *text)
{
    restore->sink.fault_status = status;
    restore->sink.fault_text = text;
    return false;
}

/* A nearly full disk takes no writes, and least of all a whole state. */
static bool sink_write(struct http_sink *sink, const uint8_t *data, size_t size)
{
    struct restore_sink *restore = (struct restore_sink *)(void *)sink;
    struct gateway_loop *loop = restore->loop;

    node_view_refresh(loop->gateway->node, &loop->view, &loop->view_version);
    if (loop->view.is_disk_nearly_full) {
        return fail(restore, 500, "The backup was not restored: the disk is nearly full");
    }
    if (restore->spool == NULL || spool_append(restore->spool, data, size) != RK_OK) {
        return fail(restore, 500, "The backup was not restored: it could not be kept here");
    }
    return true;
}

static void sink_close(struct http_sink *sink)
{
    struct restore_sink *restore = (struct restore_sink *)(void *)sink;

    spool_close(restore->spool);
    rk_heap_free(restore);
}

struct http_sink *gateway_restore_sink(void *context, const struct http_request *request)
{
    struct gateway_loop *loop = context;
    const struct options *options = loop->gateway->options;

    if (!snapshot_takes_body(request)) {
        return NULL;
    }
    struct restore_sink *restore = rk_heap_zalloc(1, sizeof(*restore));
    restore->sink = (struct http_sink){
        .size_max = options->max_restore_size, .write = sink_write, .close = sink_close};
    restore->loop = loop;
    const enum rk_status status =
        spool_open(options->log_store_memory ? "/tmp" : options->data_dir, &restore->spool);
    RK_MAYBE(status != RK_OK); /* the first write says so */
    return &restore->sink;
}

void gateway_restore_begin(struct call *call, struct http_sink *sink)
{
    struct restore_sink *restore = (struct restore_sink *)(void *)sink;

    call->request.restore = rk_heap_zalloc(1, sizeof(*call->request.restore));
    call->request.restore->spool = restore->spool;
    restore->spool = NULL;
}

void gateway_restore_answer(struct call *call, struct http_response *response)
{
    const struct client_restore *restore = call->request.restore;

    api_finish_restore(&call->api, call->request.status, restore->why, restore->index, response);
}

void gateway_restore_free(struct call *call)
{
    if (call->request.restore != NULL) {
        spool_close(call->request.restore->spool);
        rk_heap_free(call->request.restore);
    }
}
