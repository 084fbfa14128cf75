#include "server/http_answer.h"

#include <microhttpd.h>

#include "base/assert.h"
#include "base/heap.h"

enum { STREAM_BLOCK_SIZE = 64 * 1024 };

static ssize_t stream_read(void *context, uint64_t position, char *data, size_t size)
{
    struct http_stream *stream = context;
    const size_t filled = stream->read(stream, (uint8_t *)data, size);

    (void)position;
    if (filled == HTTP_STREAM_WAIT) {
        return 0; /* the connection is suspended */
    }
    if (filled == HTTP_STREAM_BROKEN) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return filled == 0 ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)filled;
}

static void stream_close(void *context)
{
    struct http_stream *stream = context;

    stream->close(stream);
}

/* Takes body or stream out of *response. */
static struct MHD_Response *answer_of_body(struct http_response *response)
{
    static char nothing[1];
    struct http_stream *stream = response->stream;

    if (stream != NULL) {
        response->stream = NULL;
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_SIZE, stream_read,
                                                 stream, stream_close);
    }
    if (response->body.size == 0) {
        return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    }
    if (response->body.is_lent) {
        return MHD_create_response_from_buffer(response->body.size, response->body.data,
                                               MHD_RESPMEM_MUST_COPY);
    }
    struct rk_buf body = response->body;
    rk_buf_init(&response->body, body.size_max);
    return MHD_create_response_from_buffer_with_free_callback(body.size, body.data, rk_heap_free);
}

struct http_answer *http_answer_new(struct http_response *response, bool closes_connection)
{
    const bool is_stream = response->stream != NULL;
    struct http_answer *answer = rk_heap_alloc(sizeof(*answer));

    *answer = (struct http_answer){
        .mhd = answer_of_body(response),
        .status = response->status,
        .is_bulk = response->is_bulk,
        .is_stream = is_stream,
        .holders = 1,
    };
    RK_ASSERT(answer->mhd != NULL);
    for (uint32_t i = 0; i < response->headers_count; i++) {
        /* A value that cannot be a field is left out: the header says so. */
        const enum MHD_Result added = MHD_add_response_header(
            answer->mhd, response->headers[i].name, response->headers[i].value);
        RK_MAYBE(added == MHD_NO);
    }
    if (closes_connection) {
        const enum MHD_Result added = MHD_add_response_header(answer->mhd, "Connection", "close");
        RK_ASSERT(added == MHD_YES);
    }
    http_response_done(response);
    return answer;
}

struct http_answer *http_answer_hold(struct http_answer *answer)
{
    RK_ASSERT(answer->holders > 0 && !answer->is_pooled);
    answer->holders++;
    return answer;
}

void http_answer_drop(struct http_answer *answer)
{
    if (answer == NULL) {
        return;
    }
    RK_ASSERT(answer->holders > 0);
    answer->holders--;
    if (answer->holders == 0) {
        MHD_destroy_response(answer->mhd); /* those who send it hold it on their own */
        rk_heap_free(answer);
    }
}

void http_answer_write(const struct http_response *response, struct rk_buf *buf)
{
    RK_ASSERT(response->stream == NULL);
    rk_buf_append_text(buf, "HTTP/1.1 ");
    rk_buf_append_u64(buf, response->status);
    rk_buf_append_byte(buf, ' ');
    rk_buf_append_text(buf, MHD_get_reason_phrase_for(response->status));
    rk_buf_append_text(buf, "\r\nConnection: close\r\n");
    for (uint32_t i = 0; i < response->headers_count; i++) {
        rk_buf_append_text(buf, response->headers[i].name);
        rk_buf_append_text(buf, ": ");
        rk_buf_append_text(buf, response->headers[i].value);
        rk_buf_append_text(buf, "\r\n");
    }
    rk_buf_append_text(buf, "Content-Length: ");
    rk_buf_append_u64(buf, response->body.size);
    rk_buf_append_text(buf, "\r\n\r\n");
    rk_buf_append(buf, response->body.data, response->body.size);
    RK_ASSERT(rk_buf_status(buf) == RK_OK);
}
