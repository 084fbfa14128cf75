#include "base/http.h"

#include <string.h>

#include "base/assert.h"
#include "base/heap.h"

static const char content_type[] = "Content-Type";

/* ASCII only, whatever the locale: header names are tokens. */
static char lower(char c)
{
    return 'A' <= c && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool names_are_equal(const char *a, const char *b)
{
    for (; *a != '\0' && lower(*a) == lower(*b); a++) {
        b++;
    }
    return *a == '\0' && *b == '\0';
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->headers_count; i++) {
        if (names_are_equal(request->headers[i].name, name)) {
            return request->headers[i].value;
        }
    }
    return NULL;
}

void http_response_init(struct http_response *response, size_t body_size_max)
{
    response->status = 200;
    response->headers_count = 0;
    response->arena_size = 0;
    response->stream = NULL;
    response->close_connection = false;
    response->is_bulk = false;
    rk_buf_init(&response->long_value, 0);
    rk_buf_init(&response->body, body_size_max);
}

static void close_stream(struct http_response *response)
{
    if (response->stream != NULL) {
        response->stream->close(response->stream);
        response->stream = NULL;
    }
}

void http_response_done(struct http_response *response)
{
    close_stream(response);
    rk_buf_done(&response->long_value);
    rk_buf_done(&response->body);
}

void http_response_header_static(struct http_response *response, const char *name,
                                 const char *value)
{
    RK_ASSERT(response->headers_count < HTTP_RESPONSE_HEADERS_MAX);
    response->headers[response->headers_count++] =
        (struct http_field){.name = name, .value = value};
}

void http_response_header(struct http_response *response, const char *name, const char *value)
{
    const size_t size = strlen(value) + 1;
    RK_ASSERT(size <= HTTP_RESPONSE_ARENA_SIZE - response->arena_size);
    char *copy = response->arena + response->arena_size;
    memcpy(copy, value, size);
    response->arena_size += (uint32_t)size;
    http_response_header_static(response, name, copy);
}

void http_response_header_long(struct http_response *response, const char *name,
                               struct rk_buf *value)
{
    RK_ASSERT(response->long_value.data == NULL);
    rk_buf_append_byte(value, '\0');
    RK_ASSERT(!value->overflowed);
    response->long_value = *value;
    rk_buf_init(value, value->size_max);
    http_response_header_static(response, name, (const char *)response->long_value.data);
}

void http_response_header_u64(struct http_response *response, const char *name, uint64_t value)
{
    char text[RK_U64_DIGITS_MAX + 1];
    text[rk_u64_write(value, text)] = '\0';
    http_response_header(response, name, text);
}

/* The type of a body that is given up for a text would be wrong for the text. */
static void set_content_type(struct http_response *response, const char *value)
{
    for (uint32_t i = 0; i < response->headers_count; i++) {
        if (names_are_equal(response->headers[i].name, content_type)) {
            response->headers[i].value = value;
            return;
        }
    }
    http_response_header_static(response, content_type, value);
}

void http_response_text(struct http_response *response, uint32_t status, const char *text)
{
    close_stream(response);
    response->status = status;
    set_content_type(response, "text/plain; charset=utf-8");
    rk_buf_reset(&response->body);
    rk_buf_append_text(&response->body, text);
}

/* --- gathering --- */

enum { GATHER_STEP_SIZE = 16 * 1024 };

/* A stream of which the beginning was read ahead. */
struct resumed_stream {
    struct http_stream stream; /* first */
    struct http_stream *rest;
    struct rk_buf head;
    size_t head_sent;
};

static size_t resumed_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    struct resumed_stream *resumed = (struct resumed_stream *)(void *)stream;
    const size_t step = rk_buf_read(&resumed->head, &resumed->head_sent, data, size);

    return step > 0 ? step : resumed->rest->read(resumed->rest, data, size);
}

static void resumed_close(struct http_stream *stream)
{
    struct resumed_stream *resumed = (struct resumed_stream *)(void *)stream;

    resumed->rest->close(resumed->rest);
    rk_buf_done(&resumed->head);
    rk_heap_free(resumed);
}

static void resume(struct http_response *response, struct rk_buf *head)
{
    struct resumed_stream *resumed = rk_heap_zalloc(1, sizeof(*resumed));

    resumed->stream = (struct http_stream){.read = resumed_read, .close = resumed_close};
    resumed->rest = response->stream;
    resumed->head = *head;
    response->stream = &resumed->stream;
}

void http_response_gather(struct http_response *response, size_t size_max)
{
    struct rk_buf body;
    size_t filled = 1;

    if (response->stream == NULL) {
        return;
    }
    rk_buf_init(&body, size_max + GATHER_STEP_SIZE);
    while (filled > 0 && body.size <= size_max) {
        uint8_t *place = rk_buf_extend(&body, GATHER_STEP_SIZE);
        RK_ASSERT(place != NULL);
        filled = response->stream->read(response->stream, place, GATHER_STEP_SIZE);
        body.size -= GATHER_STEP_SIZE - filled;
    }
    if (filled > 0) {
        resume(response, &body);
        return;
    }
    close_stream(response);
    rk_buf_done(&response->body);
    response->body = body;
}
