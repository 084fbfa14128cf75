#include "link_server.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, REQUEST_SIZE_MAX = 2 << 20, HEAD_SIZE_MAX = 4096 };

struct connection {
    struct link_server *server;
    pthread_t thread;
    int fd;
    uint32_t number;
};

struct link_server {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    pthread_t thread;
    int listen_fd;
    char address[32];
    bool is_released;
    uint32_t connections_count;
    uint32_t requests_count;
    uint32_t closes_count;
    char last_head[HEAD_SIZE_MAX];
    struct connection connections[CONNECTIONS_MAX];
};

struct http_request {
    char *bytes; /* head and body */
    size_t size;
    size_t head_size; /* with its empty line */
    size_t body_size;
};

static void count_one(struct link_server *server, uint32_t *counter)
{
    pthread_mutex_lock(&server->mutex);
    (*counter)++;
    pthread_mutex_unlock(&server->mutex);
}

static uint32_t counted(struct link_server *server, const uint32_t *counter)
{
    pthread_mutex_lock(&server->mutex);
    const uint32_t value = *counter;
    pthread_mutex_unlock(&server->mutex);
    return value;
}

static bool send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool answer(int fd, int status, const char *body, size_t size)
{
    char head[128];
    const int head_size =
        snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", status, size);

    return send_all(fd, head, (size_t)head_size) && send_all(fd, body, size);
}

/* Reads one request whole. */
static bool receive(int fd, struct http_request *request)
{
    request->size = 0;
    request->head_size = 0;
    while (request->head_size == 0 || request->size < request->head_size + request->body_size) {
        const ssize_t size =
            recv(fd, request->bytes + request->size, REQUEST_SIZE_MAX - request->size, 0);
        if (size <= 0) {
            return false;
        }
        request->size += (size_t)size;
        request->bytes[request->size] = '\0';
        const char *end = strstr(request->bytes, "\r\n\r\n");
        if (request->head_size == 0 && end != NULL) {
            const char *length = strstr(request->bytes, "Content-Length: ");
            request->head_size = (size_t)(end - request->bytes) + 4;
            request->body_size = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
        }
    }
    return true;
}

static void remember(struct link_server *server, const struct http_request *request)
{
    const size_t size = request->head_size < HEAD_SIZE_MAX ? request->head_size : HEAD_SIZE_MAX - 1;

    pthread_mutex_lock(&server->mutex);
    memcpy(server->last_head, request->bytes, size);
    server->last_head[size] = '\0';
    server->requests_count++;
    pthread_mutex_unlock(&server->mutex);
}

static void hold(struct link_server *server)
{
    pthread_mutex_lock(&server->mutex);
    while (!server->is_released) {
        pthread_cond_wait(&server->released, &server->mutex);
    }
    pthread_mutex_unlock(&server->mutex);
}

static bool endless_headers(int fd)
{
    static const char line[] = "X-Filler: 0123456789012345678901234567890123456789\r\n";
    bool is_open = send_all(fd, "HTTP/1.1 200 X\r\n", 16);

    while (is_open) {
        is_open = send_all(fd, line, sizeof(line) - 1);
    }
    return false;
}

static bool is_for(const struct http_request *request, const char *path)
{
    const char *target = strchr(request->bytes, ' ') + 1;

    return strncmp(target, path, strlen(path)) == 0 && target[strlen(path)] == ' ';
}

/* False: the connection is to be closed. */
static bool serve(struct connection *connection, const struct http_request *request)
{
    const char *body = request->bytes + request->head_size;
    const int fd = connection->fd;
    char number[16];

    if (is_for(request, "/who")) {
        const int size = snprintf(number, sizeof(number), "%u", (unsigned)connection->number);
        return answer(fd, 200, number, (size_t)size);
    }
    if (is_for(request, "/hold")) {
        hold(connection->server);
        return answer(fd, 200, "held", 4);
    }
    if (is_for(request, "/half")) {
        (void)send_all(fd, "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nhalf", 42);
        return false;
    }
    if (is_for(request, "/unsized")) {
        (void)send_all(fd, "HTTP/1.1 200 X\r\n\r\nunsized", 25);
        return false;
    }
    if (is_for(request, "/teapot")) {
        return answer(fd, 418, "", 0);
    }
    if (is_for(request, "/headers")) {
        return endless_headers(fd);
    }
    return !is_for(request, "/close") && answer(fd, 200, body, request->body_size) &&
           !is_for(request, "/last");
}

static void *run_connection(void *context)
{
    struct connection *connection = context;
    struct http_request request = {.bytes = malloc(REQUEST_SIZE_MAX + 1)};
    bool is_open = true;

    while (is_open && receive(connection->fd, &request)) {
        remember(connection->server, &request);
        is_open = serve(connection, &request);
    }
    /* The descriptor stays until link_server_stop(), which may want to shut it down. */
    (void)shutdown(connection->fd, SHUT_RDWR);
    count_one(connection->server, &connection->server->closes_count);
    free(request.bytes);
    return NULL;
}

static void add_connection(struct link_server *server, int fd)
{
    static const int yes = 1;
    struct connection *connection = &server->connections[server->connections_count];

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    pthread_mutex_lock(&server->mutex);
    server->connections_count++;
    *connection =
        (struct connection){.server = server, .fd = fd, .number = server->connections_count};
    pthread_mutex_unlock(&server->mutex);
    ck_assert_int_eq(pthread_create(&connection->thread, NULL, run_connection, connection), 0);
}

static void *run_listener(void *context)
{
    struct link_server *server = context;

    while (server->connections_count < CONNECTIONS_MAX) {
        const int fd = accept(server->listen_fd, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        add_connection(server, fd);
    }
    return NULL;
}

struct link_server *link_server_start(void)
{
    struct link_server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);

    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->released, NULL);
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server->listen_fd, (const struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(server->listen_fd, 128), 0);
    ck_assert_int_eq(getsockname(server->listen_fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(server->address, sizeof(server->address), "127.0.0.1:%u",
                   (unsigned)ntohs(address.sin_port));
    ck_assert_int_eq(pthread_create(&server->thread, NULL, run_listener, server), 0);
    return server;
}

void link_server_stop(struct link_server *server)
{
    link_server_release(server);
    (void)shutdown(server->listen_fd, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listen_fd);
    for (uint32_t i = 0; i < server->connections_count; i++) {
        (void)shutdown(server->connections[i].fd, SHUT_RDWR);
        (void)pthread_join(server->connections[i].thread, NULL);
        (void)close(server->connections[i].fd);
    }
    pthread_cond_destroy(&server->released);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

const char *link_server_address(const struct link_server *server)
{
    return server->address;
}

void link_server_release(struct link_server *server)
{
    pthread_mutex_lock(&server->mutex);
    server->is_released = true;
    pthread_cond_broadcast(&server->released);
    pthread_mutex_unlock(&server->mutex);
}

uint32_t link_server_connections(struct link_server *server)
{
    return counted(server, &server->connections_count);
}

uint32_t link_server_requests(struct link_server *server)
{
    return counted(server, &server->requests_count);
}

uint32_t link_server_closes(struct link_server *server)
{
    return counted(server, &server->closes_count);
}

const char *link_server_last_head(struct link_server *server)
{
    pthread_mutex_lock(&server->mutex);
    pthread_mutex_unlock(&server->mutex);
    return server->last_head;
}
