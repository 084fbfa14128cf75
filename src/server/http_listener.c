#include "server/http_listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/heap.h"
#include "base/limits.h"

enum { ACCEPT_RETRIES_MAX = 16, PORT_TEXT_SIZE = 6 };

struct http_listener {
    int socket;
    int reserve; /* a descriptor to give up when there are no others */
    uint16_t port;
};

struct host_port {
    char host[RK_ADDRESS_SIZE_MAX + 1];
    char port[PORT_TEXT_SIZE];
};

static bool port_split(const char *text, struct host_port *ret)
{
    const size_t size = strlen(text);
    unsigned long value = 0;

    if (size == 0 || size >= PORT_TEXT_SIZE || strspn(text, "0123456789") != size) {
        return false;
    }
    for (size_t i = 0; i <= size; i++) {
        ret->port[i] = text[i];
        value = text[i] == '\0' ? value : value * 10 + (unsigned long)(text[i] - '0');
    }
    return value <= UINT16_MAX;
}

/* "host:port" and "[host]:port"; an address with colons is ambiguous without its brackets. */
static bool address_split(const char *address, struct host_port *ret)
{
    const bool has_brackets = address[0] == '[';
    const char *host = has_brackets ? address + 1 : address;
    const char *end = strchr(host, has_brackets ? ']' : ':');

    if (end == NULL || strlen(address) > RK_ADDRESS_SIZE_MAX) {
        return false;
    }
    const char *colon = has_brackets ? end + 1 : end;
    if (*colon != ':') {
        return false;
    }
    memcpy(ret->host, host, (size_t)(end - host));
    ret->host[end - host] = '\0';
    return port_split(colon + 1, ret);
}

static enum rk_status fail(char *error, const char *address, const char *reason)
{
    (void)snprintf(error, HTTP_LISTENER_ERROR_SIZE, "cannot listen on %s: %s", address, reason);
    return RK_IO;
}

static int socket_listen(const struct addrinfo *info)
{
    const int yes = 1;
    const int fd =
        socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);

    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        const int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static uint16_t port_of(int socket)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {.v6 = {.sin6_port = 0}};
    socklen_t size = sizeof name;

    if (getsockname(socket, &name.any, &size) != 0) {
        return 0;
    }
    return ntohs(name.any.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);
}

static int reserve_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static struct http_listener *listener_new(int socket)
{
    struct http_listener *listener = rk_heap_alloc(sizeof *listener);

    *listener = (struct http_listener){
        .socket = socket, .reserve = reserve_open(), .port = port_of(socket)};
    return listener;
}

enum rk_status http_listener_open(const char *address, struct http_listener **ret, char *error)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct host_port split;
    struct addrinfo *found = NULL;

    if (!address_split(address, &split)) {
        (void)fail(error, address, "not of the form host:port ([host]:port for IPv6)");
        return RK_INVALID;
    }
    const char *host = split.host[0] == '\0' ? NULL : split.host;
    const int resolved = getaddrinfo(host, split.port, &hints, &found);
    if (resolved != 0) {
        return fail(error, address, gai_strerror(resolved));
    }
    const int socket = socket_listen(found); /* the first: what a name means is the operator's */
    const int reason = errno;
    freeaddrinfo(found);
    if (socket < 0) {
        return fail(error, address, strerror(reason));
    }
    *ret = listener_new(socket);
    return RK_OK;
}

void http_listener_close(struct http_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    (void)close(listener->socket);
    if (listener->reserve >= 0) {
        (void)close(listener->reserve);
    }
    rk_heap_free(listener);
}

int http_listener_fd(const struct http_listener *listener)
{
    return listener->socket;
}

uint16_t http_listener_port(const struct http_listener *listener)
{
    return listener->port;
}

static void turn_one_away(struct http_listener *listener)
{
    if (listener->reserve >= 0) {
        (void)close(listener->reserve);
    }
    const int waiting = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC);
    if (waiting >= 0) {
        (void)close(waiting);
    }
    listener->reserve = reserve_open();
}

/* Errors of the connection that waited, not of the listener (accept(2)): go on to the next. */
static bool is_of_one_connection(int reason)
{
    return reason != EAGAIN && reason != EMFILE && reason != ENFILE && reason != ENOBUFS &&
           reason != ENOMEM;
}

enum rk_status http_listener_accept(struct http_listener *listener, int *ret)
{
    const int yes = 1;
    int fd = -1;

    for (int i = 0; i < ACCEPT_RETRIES_MAX && fd < 0; i++) {
        fd = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && !is_of_one_connection(errno)) {
            break;
        }
    }
    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        *ret = fd;
        return RK_OK;
    }
    if (errno == EAGAIN || is_of_one_connection(errno)) {
        return RK_NOT_FOUND;
    }
    turn_one_away(listener);
    return RK_BUSY;
}
