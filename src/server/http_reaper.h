/* http_reaper.h -- which connections have taken too long: one list per phase of a connection.
 *
 * Why our own: libmicrohttpd's timeout is one of inactivity, so a sender of one byte a second
 * lives for ever. Every phase has one constant delay, so each list is in the order of its
 * deadlines and a turn costs what has expired, however many connections are idle.
 *
 * What holds, libmicrohttpd giving no sign at the first byte of a request: a new connection has
 * header_timeout from its accept to the end of its first header block. A kept-alive one has
 * idle_timeout from the end of the last answer to the end of its next request line, then
 * header_timeout to the end of the header block. A body has body_timeout in all, and after a sixth
 * of that 1 KiB/s from its start. An answer of which the peer's kernel acknowledges nothing for
 * write_timeout is cut off (looked at twice in that time, so after 1.5 times write_timeout at
 * most); of one that holds up others (is_bulk) 1 MiB must be, in each half of that time. What the handlers work on or hold suspended has no deadline here: they answer in bounded
 * time.
 *
 * Thread: the loop's. Memory: watches are embedded in what is watched.
 */
#ifndef RK_SERVER_HTTP_REAPER_H
#define RK_SERVER_HTTP_REAPER_H

#include <stdbool.h>
#include <stdint.h>

enum { HTTP_BULK_BYTES_MIN = 1 << 20 };

enum http_phase {
    HTTP_PHASE_NONE,      /* no deadline, not listed */
    HTTP_PHASE_SUSPENDED, /* no deadline, but listed */
    HTTP_PHASE_HEADERS,
    HTTP_PHASE_BODY,
    HTTP_PHASE_ANSWER,
    HTTP_PHASE_IDLE,
    HTTP_PHASE_COUNT,
};

struct http_watch {
    struct http_watch *next;
    struct http_watch *previous;
    uint64_t deadline_ms;
    uint64_t since_ms; /* when the phase began */
    uint64_t progress; /* BODY: bytes received; ANSWER: bytes acknowledged when last looked at */
    int socket;
    enum http_phase phase;
    uint32_t stalls_count; /* ANSWER: looks in a row that saw no progress */
    bool is_bulk;          /* ANSWER: less than HTTP_BULK_BYTES_MIN between two looks is none */
};

struct http_reaper {
    struct http_watch lists[HTTP_PHASE_COUNT]; /* heads of rings */
    uint32_t delays_ms[HTTP_PHASE_COUNT];
    uint32_t body_timeout_ms;
};

struct http_reaper_timeouts {
    uint32_t header_ms;
    uint32_t body_ms;
    uint32_t idle_ms;
    uint32_t write_ms;
};

void http_reaper_init(struct http_reaper *reaper, const struct http_reaper_timeouts *timeouts);

/* A watch starts in HTTP_PHASE_NONE and must be there again before its memory goes. */
void http_watch_init(struct http_watch *watch, int socket);

/* `watch` is in `phase` from now on; entering the phase that it is in starts that anew. */
void http_reaper_enter(struct http_reaper *reaper, struct http_watch *watch, enum http_phase phase,
                       uint64_t now_ms);

/* The first of those in `phase`, NULL when there is none. */
struct http_watch *http_reaper_first(const struct http_reaper *reaper, enum http_phase phase);

/* When something may expire; UINT64_MAX when nothing can. */
uint64_t http_reaper_deadline_ms(const struct http_reaper *reaper);

/* The next watch whose time is up, now in HTTP_PHASE_NONE: its connection is to be closed. NULL:
 * no more. */
struct http_watch *http_reaper_expired(struct http_reaper *reaper, uint64_t now_ms);

#endif
