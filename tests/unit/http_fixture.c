#include "unit/http_fixture.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"

enum { STREAM_SIZE = 100000, LARGE_SIZE = 16 << 20 };

struct letters {
    struct http_stream stream; /* first */
    struct fixture *fixture;
    size_t left;
};

static size_t letters_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    struct letters *letters = (struct letters *)stream;
    const size_t count = size < letters->left ? size : letters->left;

    memset(data, 's', count);
    letters->left -= count;
    return count;
}

static void letters_close(struct http_stream *stream)
{
    struct letters *letters = (struct letters *)stream;

    letters->fixture->streams_closed_count++;
    rk_heap_free(letters);
}

static struct http_stream *letters_new(struct fixture *fixture)
{
    struct letters *letters = rk_heap_alloc(sizeof *letters);

    *letters = (struct letters){.stream = {.read = letters_read, .close = letters_close},
                                .fixture = fixture,
                                .left = STREAM_SIZE};
    return &letters->stream;
}

/* A stream that has nothing to say in its middle. */
struct halves {
    struct http_stream stream; /* first */
    struct fixture *fixture;
    struct http_exchange *exchange;
    uint32_t step;
};

static size_t halves_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    struct halves *halves = (struct halves *)(void *)stream;

    ck_assert_uint_ge(size, 4);
    halves->step++;
    switch (halves->step) {
    case 1:
        memcpy(data, "one.", 4);
        return 4;
    case 2:
        halves->fixture->suspended = halves->exchange;
        http_exchange_pause(halves->exchange);
        http_exchange_watch_hangup(halves->exchange);
        return HTTP_STREAM_WAIT;
    case 3:
        memcpy(data, "two.", 4);
        return 4;
    default:
        return 0;
    }
}

static void halves_close(struct http_stream *stream)
{
    struct halves *halves = (struct halves *)(void *)stream;

    halves->fixture->streams_closed_count++;
    rk_heap_free(halves);
}

static struct http_stream *halves_new(struct fixture *fixture, struct http_exchange *exchange)
{
    struct halves *halves = rk_heap_alloc(sizeof *halves);

    *halves = (struct halves){.stream = {.read = halves_read, .close = halves_close},
                              .fixture = fixture,
                              .exchange = exchange};
    return &halves->stream;
}

/* method SP target SP body-size SP headers-count, then the body itself. */
static void echo(struct http_response *response, const struct http_request *request)
{
    struct rk_buf *body = &response->body;

    rk_buf_append_text(body, request->method_name);
    rk_buf_append_text(body, " ");
    rk_buf_append_text(body, request->target);
    rk_buf_append_text(body, " ");
    rk_buf_append_u64(body, request->body.size);
    rk_buf_append_text(body, " ");
    rk_buf_append(body, request->body.data, request->body.size < 64 ? request->body.size : 64);
    rk_buf_append_text(body, ".\n");
}

static void answer(struct fixture *fixture, struct http_exchange *exchange)
{
    struct http_response response;

    http_response_init(&response, LARGE_SIZE);
    http_response_header_static(&response, "X-Test", "yes");
    if (fixture->mode == FIXTURE_STREAM) {
        response.stream = letters_new(fixture);
    } else if (fixture->mode == FIXTURE_PAUSE) {
        response.stream = halves_new(fixture, exchange);
    } else if (fixture->mode == FIXTURE_LARGE) {
        memset(rk_buf_extend(&response.body, LARGE_SIZE), 'l', LARGE_SIZE);
    } else {
        echo(&response, http_exchange_request(exchange));
        response.close_connection = fixture->mode == FIXTURE_CLOSE;
    }
    if (fixture->mode == FIXTURE_BREAK_HEADER) {
        http_response_header(&response, "X-Split", "a\r\nX-Injected: b");
    }
    http_exchange_respond(exchange, &response);
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct fixture *fixture = context;

    ck_assert_ptr_eq(request, http_exchange_request(exchange));
    ck_assert_ptr_null(*http_exchange_user(exchange));
    *http_exchange_user(exchange) = fixture;
    fixture->requests_count++;
    if (fixture->mode == FIXTURE_SUSPEND) {
        fixture->suspended = exchange;
        http_exchange_suspend(exchange);
    } else if (fixture->mode == FIXTURE_HOLD) {
        fixture->suspended = exchange;
        http_exchange_hold(exchange);
    } else {
        answer(fixture, exchange);
    }
}

static void on_hangup(void *context, struct http_exchange *exchange)
{
    struct fixture *fixture = context;

    ck_assert_ptr_eq(exchange, fixture->suspended);
    fixture->hangups_count++;
}

static void on_complete(void *context, struct http_exchange *exchange, void *completion)
{
    struct fixture *fixture = context;

    (void)completion;
    if (fixture->suspends_again) {
        fixture->suspends_again = false;
        http_exchange_suspend(exchange);
        return;
    }
    if (fixture->mode != FIXTURE_PAUSE) {
        answer(fixture, exchange);
    }
}

static void on_end(void *context, struct http_exchange *exchange)
{
    struct fixture *fixture = context;

    ck_assert_ptr_eq(*http_exchange_user(exchange), fixture);
    fixture->ends_count++;
}

static void on_run_end(void *context)
{
    struct fixture *fixture = context;

    fixture->requests_run_count = fixture->requests_count;
}

void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){.options = {.on_request = on_request,
                                            .on_complete = on_complete,
                                            .on_hangup = on_hangup,
                                            .on_end = on_end,
                                            .on_run_end = on_run_end,
                                            .context = fixture,
                                            .connections_max = 64,
                                            .body_size_max = 1000,
                                            .body_size_swallowed = 100000}};
}

void fixture_open(struct fixture *fixture)
{
    char error[HTTP_LISTENER_ERROR_SIZE] = "";
    const enum rk_status status = http_listener_open("127.0.0.1:0", &fixture->listener, error);

    ck_assert_msg(status == RK_OK, "%s", error);
    fixture->server = http_server_new(&fixture->options);
    ck_assert_ptr_nonnull(fixture->server);
}

void fixture_close(struct fixture *fixture)
{
    http_server_free(fixture->server);
    http_listener_close(fixture->listener);
    ck_assert_uint_eq(fixture->ends_count, fixture->requests_count);
}

static void accept_waiting(struct fixture *fixture)
{
    int socket = -1;

    while (http_listener_accept(fixture->listener, &socket) == RK_OK) {
        const enum rk_status status = http_server_add(fixture->server, socket);
        ck_assert(status == RK_OK || status == RK_BUSY);
    }
}

void fixture_turn(struct fixture *fixture)
{
    struct pollfd waits[] = {{.fd = http_server_fd(fixture->server), .events = POLLIN},
                             {.fd = http_listener_fd(fixture->listener), .events = POLLIN}};
    const uint64_t now_ms = rk_monotonic_ms();
    const uint64_t deadline_ms = http_server_deadline_ms(fixture->server, now_ms);
    const uint64_t until_ms = deadline_ms < now_ms + 20 ? deadline_ms : now_ms + 20;

    (void)poll(waits, 2, until_ms > now_ms ? (int)(until_ms - now_ms) : 0);
    accept_waiting(fixture);
    http_server_run(fixture->server, rk_monotonic_ms());
}

struct raw_client *raw_open(struct fixture *fixture)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(http_listener_port(fixture->listener)),
                                        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct raw_client *client = rk_heap_zalloc(1, sizeof *client);

    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(client->socket, 0);
    ck_assert_int_eq(connect(client->socket, (const struct sockaddr *)&address, sizeof address), 0);
    return client;
}

void raw_close(struct raw_client *client)
{
    ck_assert_int_eq(close(client->socket), 0);
    rk_heap_free(client);
}

void raw_send(struct raw_client *client, const void *bytes, size_t size)
{
    const ssize_t sent = send(client->socket, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

    /* A server that has closed already may answer with a reset. */
    ck_assert(sent == (ssize_t)size || errno == EPIPE || errno == ECONNRESET);
}

void raw_text(struct raw_client *client, const char *text)
{
    raw_send(client, text, strlen(text));
}

static void raw_receive(struct raw_client *client)
{
    client->in_size = client->in_size == sizeof client->in - 1 ? 0 : client->in_size;
    const size_t room = sizeof client->in - 1 - client->in_size;
    const ssize_t size = recv(client->socket, client->in + client->in_size, room, MSG_DONTWAIT);

    if (size > 0) {
        client->in_size += (size_t)size;
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        client->is_closed = true;
    }
    client->in[client->in_size] = '\0';
}

uint32_t raw_count(struct raw_client *client, const char *text)
{
    uint32_t count = 0;

    raw_receive(client);
    for (const char *at = strstr(client->in, text); at != NULL; at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}

bool raw_has(struct raw_client *client, const char *text)
{
    return raw_count(client, text) > 0;
}

void await_text(struct fixture *fixture, struct raw_client *client, const char *text)
{
    const uint64_t deadline_ms = rk_monotonic_ms() + FIXTURE_DEADLINE_MS;

    while (!raw_has(client, text)) {
        ck_assert_msg(rk_monotonic_ms() < deadline_ms && !client->is_closed,
                      "no \"%s\" (closed: %d) in: %s", text, client->is_closed, client->in);
        fixture_turn(fixture);
    }
}

void await_closed(struct fixture *fixture, struct raw_client *client)
{
    const uint64_t deadline_ms = rk_monotonic_ms() + FIXTURE_DEADLINE_MS;

    while (!client->is_closed) {
        ck_assert_msg(rk_monotonic_ms() < deadline_ms, "still open; received: %s", client->in);
        fixture_turn(fixture);
        raw_receive(client);
    }
}

void await_true(struct fixture *fixture, bool (*condition)(struct fixture *fixture))
{
    const uint64_t deadline_ms = rk_monotonic_ms() + FIXTURE_DEADLINE_MS;

    while (!condition(fixture)) {
        ck_assert_msg(rk_monotonic_ms() < deadline_ms, "the condition never came true");
        fixture_turn(fixture);
    }
}
