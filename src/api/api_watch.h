/* api_watch.h -- GET /v1/watch/PREFIX: every change of a key below the prefix, as server-sent events.
 *
 * Events that can be gone on from have an id: "INDEX" behind the last event of a log entry,
 * "INDEX.N" behind its n-th. A client that comes back with it (Last-Event-ID, or ?since=) gets what
 * followed, without a gap or a duplicate (pitfalls 134, 135). If that is not all there any more, it
 * gets `reset`, everything below the prefix, `listed`, and then what follows.
 *
 * Pure like the rest of the API: it renders what there is at a root that it is given, and says
 * whether there is more. The server gives the next root, waits, and decides when to stop.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_API_WATCH_H
#define RK_API_API_WATCH_H

#include "api/api.h"
#include "base/buf.h"
#include "statemachine/query.h"

enum api_action watch_begin(struct api_call *call, const struct node_view *node,
                            struct http_response *response);
/* Makes the head of the response and call->events, for the server to go on with. */
void watch_finish(struct api_call *call, const struct sm_root *root, const struct node_view *node,
                  struct http_response *response, bool *ret_streams);

/* A stream of events under way. */
struct api_events;

/* Of one rendering: a slice, and what stands on its end. */
enum { API_EVENTS_SLICE_SIZE = 64 * 1024, API_EVENTS_SIZE_MAX = 1 << 20 };

enum api_events_status {
    API_EVENTS_MORE, /* there is more at this root */
    API_EVENTS_DONE, /* there is nothing more before api_events_topic() changes */
    API_EVENTS_CUT,  /* it fell behind what the node remembers: `end` says so, nothing may follow */
};

/* Appends to the empty `chunk` (API_EVENTS_SIZE_MAX). */
enum api_events_status api_events_render(struct api_events *events, const struct sm_root *root,
                                         struct rk_buf *chunk);

/* For what to wait: for an index of this topic above *ret_after. Borrowed from the events. */
struct sm_topic api_events_topic(const struct api_events *events, raft_index *ret_after);

/* Nothing happened for a while: a comment, and the place reached, so that who comes back from a quiet
 * prefix is not told that its place is gone. It is behind all that was rendered (pitfall 136). */
void api_events_keep_alive(const struct api_events *events, struct rk_buf *chunk);
/* The last event. */
void api_events_end(const char *reason, struct rk_buf *chunk);

void api_events_free(struct api_events *events); /* NULL is allowed */

#endif
