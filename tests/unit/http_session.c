#include "unit/http_session.h"

#include <stdio.h>
#include <string.h>

#include "base/heap.h"

struct fixture fixture;
struct raw_client *client;

void open_all(void)
{
    fixture_open(&fixture);
    client = raw_open(&fixture);
}

void session_init(void)
{
    fixture_init(&fixture);
}

void hang_up(void)
{
    raw_close(client);
    client = NULL;
}

void session_end(void)
{
    if (client != NULL) {
        hang_up();
    }
    fixture_close(&fixture);
}

void add_refusal_header(enum http_method method, struct http_response *response)
{
    http_response_header_u64(response, "X-Refused", method == HTTP_PUT);
}

bool is_suspended(struct fixture *f)
{
    return http_server_counts(f->server).suspended == 1;
}

bool has_no_connection(struct fixture *f)
{
    return http_server_counts(f->server).connections == 0;
}

bool has_a_connection(struct fixture *f)
{
    return http_server_counts(f->server).connections == 1;
}

bool has_reaped_one(struct fixture *f)
{
    return http_server_counts(f->server).reaped == 1;
}

/* `text` repeated `count` times; the caller frees it. */
static char *repeated(const char *text, size_t count)
{
    const size_t size = strlen(text);
    char *whole = rk_heap_alloc(size * count + 1);

    for (size_t i = 0; i < count; i++) {
        memcpy(whole + i * size, text, size + 1);
    }
    return whole;
}

void send_repeated(const char *text, size_t count)
{
    char *whole = repeated(text, count);

    raw_text(client, whole);
    rk_heap_free(whole);
}

void send_put_of(size_t size)
{
    char head[128];

    (void)snprintf(head, sizeof head, "PUT /big HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                   size);
    raw_text(client, head);
}

static void leave_one(enum fixture_mode mode)
{
    fixture.mode = mode;
    open_all();
    raw_text(client, "PUT /later HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    await_true(&fixture, is_suspended);
    fixture.mode = FIXTURE_ECHO;
}

void suspend_one(void)
{
    leave_one(FIXTURE_SUSPEND);
}

void hold_one(void)
{
    leave_one(FIXTURE_HOLD);
}

void *complete_suspended(void *context)
{
    struct fixture *f = context;

    http_server_complete(f->server, f->suspended, NULL);
    return NULL;
}
