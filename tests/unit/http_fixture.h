/* http_fixture.h -- a server on a loopback port and clients that send raw bytes, all turned by the
 * test's own thread: nothing happens but in fixture_turn(), so no test needs to sleep. */
#ifndef RK_TESTS_UNIT_HTTP_FIXTURE_H
#define RK_TESTS_UNIT_HTTP_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/http_listener.h"
#include "server/http_server.h"

enum { FIXTURE_DEADLINE_MS = 10000, FIXTURE_INPUT_SIZE = 512 * 1024 };

struct raw_client {
    int socket;
    size_t in_size;
    bool is_closed; /* the server has closed */
    char in[FIXTURE_INPUT_SIZE];
};

/* What the handler does with a request. */
enum fixture_mode {
    FIXTURE_ECHO,
    FIXTURE_SUSPEND,
    FIXTURE_HOLD,
    FIXTURE_STREAM,      /* 100,000 bytes of 's' */
    FIXTURE_PAUSE,       /* a stream of "one.", a pause, "two." */
    FIXTURE_LARGE,       /* 16 MiB: more than the socket's buffers hold */
    FIXTURE_CLOSE,       /* an echo, and the connection ends */
    FIXTURE_BREAK_HEADER /* an echo, with a field that would split the answer */
};

struct fixture {
    struct http_listener *listener;
    struct http_server *server;
    struct http_server_options options; /* to be changed before fixture_open() */
    enum fixture_mode mode;
    bool suspends_again;             /* on_complete suspends once more */
    uint32_t requests_count;         /* on_request calls */
    uint32_t requests_run_count;     /* of these, as many as a later on_run_end saw */
    uint32_t ends_count;             /* on_end calls */
    uint32_t hangups_count;          /* on_hangup calls */
    struct http_exchange *suspended; /* the last one */
    uint32_t streams_closed_count;
};

/* Small limits and the default timeouts. */
void fixture_init(struct fixture *fixture);
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
/* One turn of the loop; waits up to 20 ms for something to happen. */
void fixture_turn(struct fixture *fixture);

struct raw_client *raw_open(struct fixture *fixture);
void raw_close(struct raw_client *client);
void raw_send(struct raw_client *client, const void *bytes, size_t size);
void raw_text(struct raw_client *client, const char *text);
/* Takes in what has arrived; whether `text` is among all that came so far (a full buffer starts
 * anew). */
bool raw_has(struct raw_client *client, const char *text);
uint32_t raw_count(struct raw_client *client, const char *text);

/* Turns until `client` has received `text`, or fails the test. */
void await_text(struct fixture *fixture, struct raw_client *client, const char *text);
void await_closed(struct fixture *fixture, struct raw_client *client);
void await_true(struct fixture *fixture, bool (*condition)(struct fixture *fixture));

#endif
