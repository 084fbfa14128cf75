/* write_load.c -- closed-loop writers on one thread, and how long each write took, by time.
 *
 *   write_load PORT CLIENTS SECONDS [LINES]
 *
 * PUTs of 256 bytes to 1,000 keys of the node at 127.0.0.1:PORT, each client one at a time. Prints
 *   rate=N p50=MS p99=MS p999=MS max=MS bad=N
 * and into LINES, for every 20 ms: when they began (CLOCK_MONOTONIC, ms), how many writes were
 * answered in them, and the longest that one of those had taken (ms). Exit 1 after a bad answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 1024,
    KEYS = 1000,
    VALUE_SIZE = 256,
    ANSWER_SIZE_MAX = 2048,
    EVENTS_MAX = 256,
    STEP_US = 20, /* of the histogram */
    STEPS = 500000,
    LINE_US = 20000,
    LINES_MAX = 65536,
    GRACE_US = 5000000, /* for the last answers */
};

struct client {
    int socket;
    uint64_t began_us;
    char answer[ANSWER_SIZE_MAX];
    size_t size;
};

struct line {
    uint32_t count;
    uint32_t longest_us;
};

static struct client clients[CLIENTS_MAX];
static uint32_t histogram[STEPS];
static struct line lines[LINES_MAX];
static uint64_t start_us, until_us, answered, bad, longest_us;
static uint32_t next_key;

static uint64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "write_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void ask(struct client *client)
{
    char request[VALUE_SIZE + 256];
    const int head = snprintf(request, sizeof(request),
                              "PUT /v1/kv/bench/key-%06u HTTP/1.1\r\nHost: bench\r\n"
                              "Content-Length: %d\r\n\r\n",
                              next_key, VALUE_SIZE);
    const size_t size = (size_t)head + VALUE_SIZE;

    next_key = (next_key + 1) % KEYS;
    memset(request + head, 'x', VALUE_SIZE);
    client->size = 0;
    client->began_us = now_us();
    if (send(client->socket, request, size, MSG_NOSIGNAL) != (ssize_t)size) {
        die("a request was not taken");
    }
}

static void note(const struct client *client, uint64_t now)
{
    const uint64_t took_us = now - client->began_us;
    const uint64_t step = took_us / STEP_US;
    const uint64_t at = (now - start_us) / LINE_US;

    histogram[step < STEPS ? step : STEPS - 1]++;
    answered++;
    longest_us = took_us > longest_us ? took_us : longest_us;
    if (at < LINES_MAX) {
        lines[at].count++;
        lines[at].longest_us =
            took_us > lines[at].longest_us ? (uint32_t)took_us : lines[at].longest_us;
    }
}

/* The answers are short and of one kind: a head, then `true`. */
static bool is_whole(const struct client *client)
{
    return strstr(client->answer, "\r\n\r\n") != NULL;
}

/* True: the client has an answer. */
static bool hear(struct client *client)
{
    const ssize_t got =
        recv(client->socket, client->answer + client->size, ANSWER_SIZE_MAX - 1 - client->size, 0);

    if (got <= 0) {
        die("a connection ended");
    }
    client->size += (size_t)got;
    client->answer[client->size] = '\0';
    if (!is_whole(client)) {
        return false;
    }
    note(client, now_us());
    if (strncmp(client->answer, "HTTP/1.1 200 ", 13) != 0) {
        bad++;
    }
    return true;
}

static void open_client(int epoll, struct client *client, uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    const int on = 1;

    client->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (client->socket < 0 ||
        connect(client->socket, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, client->socket, &event) != 0) {
        die("cannot connect");
    }
    ask(client);
}

static void run(int epoll, uint32_t waiting)
{
    struct epoll_event events[EVENTS_MAX];

    while (waiting > 0 && now_us() < until_us + GRACE_US) {
        const int count = epoll_wait(epoll, events, EVENTS_MAX, 100);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (!hear(client)) {
                continue;
            }
            if (now_us() < until_us) {
                ask(client);
            } else {
                waiting--;
            }
        }
    }
    bad += waiting; /* not answered at all */
}

static double percentile_ms(double share)
{
    uint64_t left = (uint64_t)((double)answered * share);
    uint32_t step = 0;

    while (step < STEPS - 1 && left >= histogram[step]) {
        left -= histogram[step];
        step++;
    }
    return (step + 1) * (double)STEP_US / 1000;
}

static void write_lines(const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL) {
        die(path);
    }
    for (uint64_t at = 0; at < LINES_MAX && at * LINE_US < until_us - start_us; at++) {
        fprintf(file, "%.0f %u %.1f\n", (double)(start_us + at * LINE_US) / 1000, lines[at].count,
                lines[at].longest_us / 1000.0);
    }
    if (fclose(file) != 0) {
        die(path);
    }
}

int main(int argc, char **argv)
{
    const uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    const double seconds = argc > 3 ? strtod(argv[3], NULL) : 0;
    const int epoll = epoll_create1(0);

    if (count == 0 || count > CLIENTS_MAX || seconds <= 0) {
        fprintf(stderr, "usage: write_load PORT CLIENTS SECONDS [LINES]\n");
        return 2;
    }
    start_us = now_us();
    until_us = start_us + (uint64_t)(seconds * 1e6);
    for (uint32_t i = 0; i < count; i++) {
        open_client(epoll, &clients[i], (uint16_t)strtoul(argv[1], NULL, 10));
    }
    run(epoll, count);
    printf("rate=%.0f p50=%.2f p99=%.2f p999=%.2f max=%.2f bad=%llu\n", (double)answered / seconds,
           percentile_ms(0.5), percentile_ms(0.99), percentile_ms(0.999), (double)longest_us / 1000,
           (unsigned long long)bad);
    if (argc > 4) {
        write_lines(argv[4]);
    }
    return bad == 0 ? 0 : 1;
}
