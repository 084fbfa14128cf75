/* events.h -- server-sent events taken apart, however the bytes are cut.
 *
 * Thread: the main one.
 */
#ifndef RK_CLI_EVENTS_H
#define RK_CLI_EVENTS_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"

enum { EVENTS_LINE_SIZE_MAX = 2 << 20, EVENTS_NAME_SIZE = 64 };

struct events {
    /* A whole event: `name` and `data` are lent for the call, `data` with a NUL behind it. */
    void (*on_event)(void *context, const char *name, struct rk_bytes data);
    void *context;
    char last_id[EVENTS_NAME_SIZE]; /* of the last whole event; "": none yet */
    char id[EVENTS_NAME_SIZE];      /* of the one that comes in */
    char name[EVENTS_NAME_SIZE];
    struct rk_buf data;
    struct rk_buf line;
};

void events_init(struct events *events);
void events_done(struct events *events);

/* Takes what has come. Errors: RK_TOO_LARGE (a line that no node sends). */
RK_MUST_USE enum rk_status events_take(struct events *events, struct rk_bytes bytes);

/* The connection is a new one: what had come in of an event is dropped. */
void events_restart(struct events *events);

#endif
