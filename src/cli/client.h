/* client.h -- HTTP to the nodes: one call at a time, or the same GET to many at once.
 *
 * Paths are sent as they are made here: dots and doubled slashes are part of a key. No redirect is
 * followed, no proxy of the environment is used, nothing is sent twice: whether a write may be
 * repeated is for who asked to say.
 *
 * Thread: the main one. Memory: rk_heap; client_response_done() frees.
 */
#ifndef RK_CLI_CLIENT_H
#define RK_CLI_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"

enum {
    CLIENT_URL_SIZE_MAX = 20 * 1024,    /* a fully escaped key and its query */
    CLIENT_BODY_SIZE_MAX = 1 << 30,     /* a listing is held whole */
    CLIENT_CALL_TIMEOUT_MS = 30 * 1000, /* longer than a node takes to give a write up */
    CLIENT_STATUS_TIMEOUT_MS = 2000,
    CLIENT_FETCHES_MAX = 32,
};

enum client_outcome {
    CLIENT_OUTCOME_NONE,     /* nothing was said */
    CLIENT_OUTCOME_NOT_DONE, /* the write was never appended */
    CLIENT_OUTCOME_UNKNOWN,  /* it may still happen */
};

struct client_request {
    const char *method;   /* GET, PUT, POST, PATCH, DELETE */
    const char *url;      /* scheme, host, path and query */
    struct rk_bytes body; /* of a PUT, POST or PATCH */
    uint32_t timeout_ms;
};

struct client_response {
    uint32_t status; /* of HTTP; 0: no answer came, see error */
    struct rk_buf body;
    enum client_outcome outcome;
    uint64_t fence;  /* of a lock that was taken; 0: none */
    bool has_more;   /* a listing goes on behind this page */
    char error[256]; /* "" when an answer came */
};

void client_response_init(struct client_response *response);
void client_response_done(struct client_response *response);

/* Fills *response, also when nobody answers. */
void client_call(const struct client_request *request, struct client_response *response);

/* A PUT of a body that is read while it is sent. */
struct client_upload {
    const char *url;
    uint64_t size;
    uint32_t timeout_ms; /* of all of it */
    /* Fills up to `size` bytes, returns how many; 0: it cannot be read. */
    size_t (*read)(void *context, uint8_t *to, size_t size);
    void *context;
};
void client_send(const struct client_upload *upload, struct client_response *response);

/* A GET whose answer does not end. */
struct client_stream {
    const char *url;
    const char *last_event_id; /* "": none */
    uint32_t silence_s;        /* so long without a byte is the end of it */
    /* What has come of the body of a 200; false: enough of it. */
    bool (*on_bytes)(void *context, struct rk_bytes bytes);
    void *context;
};

/* Returns when the connection ends; *response then holds the status, the body of another one than
 * 200, and, when no answer came, the error. */
void client_stream(const struct client_stream *stream, struct client_response *response);

/* GETs all `urls` at the same time; an empty one is skipped. `count` <= CLIENT_FETCHES_MAX. */
void client_fetch(const char *const *urls, uint32_t count, uint32_t timeout_ms,
                  struct client_response *responses);

/* Waits before the same thing is asked again; a signal cuts it short. */
void client_pause(uint32_t pause_ms);

/* Writes the base URL that `addr` means, without a slash at its end: "h:1" is "http://h:1".
 * Errors: RK_INVALID (not http:// or https:// or host:port), RK_TOO_LARGE. */
RK_MUST_USE enum rk_status client_base_parse(const char *addr, char *ret, size_t ret_size);

/* Appends `key` as part of a path: everything but A-Z a-z 0-9 - . _ ~ and / becomes %XX. */
void client_append_key(struct rk_buf *buf, const char *key);

#endif
