#include "support/http_stub.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_SIZE = 64 * 1024 };

struct http_stub {
    int listener;
    uint16_t port;
    pthread_t thread;
    const struct http_stub_answer *answers;
    uint32_t count;
    bool is_sequence;
    uint32_t given; /* of a sequence */
    char request[REQUEST_SIZE];
};

static int listener_open(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return listener;
}

uint16_t http_stub_port_unused(void)
{
    uint16_t port = 0;

    close(listener_open(&port));
    return port;
}

/* True once headers and body are there. */
static int is_whole(const char *request, size_t size)
{
    const char *end = strstr(request, "\r\n\r\n");

    if (end == NULL) {
        return 0;
    }
    const char *length = strcasestr(request, "\r\nContent-Length:");
    const size_t body_size = length != NULL ? strtoul(length + 17, NULL, 10) : 0;
    return size >= (size_t)(end + 4 - request) + body_size;
}

static void request_read(struct http_stub *stub, int connection)
{
    size_t size = 0;

    memset(stub->request, 0, sizeof(stub->request));
    while (size < sizeof(stub->request) - 1 && !is_whole(stub->request, size)) {
        const ssize_t got =
            read(connection, stub->request + size, sizeof(stub->request) - 1 - size);
        if (got <= 0) {
            return;
        }
        size += (size_t)got;
    }
}

static const char *answer_next(struct http_stub *stub)
{
    const uint32_t next = stub->given < stub->count ? stub->given++ : stub->count - 1;

    return stub->answers[next].answer;
}

static const char *answer_find(const struct http_stub *stub)
{
    const char *target = strchr(stub->request, ' ');
    const size_t size = target != NULL ? strcspn(target + 1, " ") : 0;

    for (uint32_t i = 0; i < stub->count && target != NULL; i++) {
        const struct http_stub_answer *answer = &stub->answers[i];
        if (answer->target == NULL ||
            (strlen(answer->target) == size && memcmp(answer->target, target + 1, size) == 0)) {
            return answer->answer;
        }
    }
    return "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n";
}

static void *serve(void *context)
{
    struct http_stub *stub = context;

    for (int connection = accept(stub->listener, NULL, NULL); connection >= 0;
         connection = accept(stub->listener, NULL, NULL)) {
        request_read(stub, connection);
        const char *answer = stub->is_sequence ? answer_next(stub) : answer_find(stub);
        size_t left = strlen(answer);
        while (left > 0) {
            const ssize_t sent = send(connection, answer, left, MSG_NOSIGNAL);
            if (sent <= 0) {
                break;
            }
            answer += sent;
            left -= (size_t)sent;
        }
        close(connection);
    }
    return NULL;
}

static struct http_stub *stub_start(const struct http_stub_answer *answers, uint32_t count,
                                    bool is_sequence)
{
    struct http_stub *stub = calloc(1, sizeof(*stub));

    ck_assert_ptr_nonnull(stub);
    stub->answers = answers;
    stub->count = count;
    stub->is_sequence = is_sequence;
    stub->listener = listener_open(&stub->port);
    ck_assert_int_eq(pthread_create(&stub->thread, NULL, serve, stub), 0);
    return stub;
}

struct http_stub *http_stub_start(const struct http_stub_answer *answers, uint32_t count)
{
    return stub_start(answers, count, false);
}

struct http_stub *http_stub_start_sequence(const struct http_stub_answer *answers, uint32_t count)
{
    return stub_start(answers, count, true);
}

void http_stub_stop(struct http_stub *stub)
{
    shutdown(stub->listener, SHUT_RDWR); /* ends accept() */
    pthread_join(stub->thread, NULL);
    close(stub->listener);
    free(stub);
}

uint16_t http_stub_port(const struct http_stub *stub)
{
    return stub->port;
}

const char *http_stub_request(const struct http_stub *stub)
{
    return stub->request;
}
