/* api.h -- the /v1 REST resources as pure functions: request -> what to do, outcome -> answer.
 *
 * api_begin() looks a request up in the route table, checks it, and says what it needs: nothing
 * (the response is made), a command to propose, or a state to read. The server does that and
 * calls the matching api_finish_*(). Nothing here blocks, knows a socket, a thread or the node:
 * unit tests drive it with structs.
 *
 * Thread: the HTTP loop that has the request. Memory: a struct api_call is the caller's; api_end()
 * frees what it holds. It borrows the request until then.
 */
#ifndef RK_API_API_H
#define RK_API_API_H

#include <stdbool.h>
#include <stdint.h>

#include "api/member_port.h"
#include "api/node_port.h"
#include "base/buf.h"
#include "base/http.h"
#include "statemachine/query.h"
#include "statemachine/result.h"

enum api_action {
    API_RESPOND, /* the response is ready */
    API_PROPOSE, /* call->frame holds one unsealed frame (base/frame.h); propose it */
    API_READ,    /* needs a root as fresh as call->consistency asks for */
    API_ADMIN,   /* the leader must do, or answer, call->admin */
    API_RESTORE, /* the backup in request->sink takes the place of the whole state */
};

enum api_consistency {
    API_DEFAULT,    /* linearizable, by ReadIndex or lease as configured */
    API_CONSISTENT, /* linearizable by ReadIndex, always */
    API_STALE,      /* what this node has */
};

struct api_options { /* limits and settings that answers depend on; see etc/raftkv.conf */
    uint32_t key_size_max;
    uint32_t value_size_max;
    uint32_t session_ttl_min_ms;
    uint32_t txn_ops_max;
    uint32_t election_timeout_ms;
    uint64_t idempotency_window_ms;
    char datacenter[65];
};

struct api_route;  /* api/router.h */
struct api_events; /* api/api_watch.h */

enum { API_KEY_ROOM_SIZE = 128, API_QUERY_ROOM_SIZE = 64 };

struct api_call {
    const struct api_options *options;
    const struct http_request *request;
    const struct api_route *route;
    enum api_action action;
    enum api_consistency consistency;
    uint64_t max_stale_ms;       /* UINT64_MAX: any age will do; only with API_STALE */
    struct sm_topic topic;       /* API_READ: not before this has an index above `after` ... */
    raft_index after;            /* ... SM_TOPIC_NONE: at once */
    uint64_t wait_us;            /* ... or this much later */
    const char *token;           /* Idempotency-Key of a write; NULL: none */
    struct admin_request *admin; /* API_ADMIN: owned; else NULL */
    bool is_backup;            /* the body is a backup of the root, for the server to write; set by
                                    api_finish_read() */
    struct api_events *events; /* owned; not NULL: the body goes on with these, for the server
                                    to render; made by api_finish_read() */
    struct rk_buf frame;       /* API_PROPOSE: to be taken over by the proposer */
    struct rk_buf key;         /* decoded rest of the path */
    struct rk_buf query;       /* decoded query string, its parameters point in here */
    uint8_t key_room[API_KEY_ROOM_SIZE]; /* theirs as long as they are small */
    uint8_t query_room[API_QUERY_ROOM_SIZE];
    struct http_field parameters[RK_QUERY_PARAMETERS_MAX]; /* value "" for a bare name */
    uint32_t parameters_count;
};

/* Fills *call and returns call->action. With API_RESPOND *response is complete; else it is
 * initialised and empty: api_finish_*() may be given it, or another one that is both. `node`
 * answers what needs no root (status, health). */
enum api_action api_begin(struct api_call *call, const struct api_options *options,
                          const struct http_request *request, const struct node_view *node,
                          struct http_response *response);

/* The write was applied (status RK_OK, *result set), or was not, or nobody knows (RK_UNKNOWN):
 * status, text and X-Raftkv-Outcome follow from `status` (api/error.c). */
void api_finish_write(struct api_call *call, enum rk_status status, const struct sm_result *result,
                      const struct node_view *node, struct http_response *response);

/* The root is as fresh as asked for. For a large answer the response gets a stream that goes on
 * reading `root` after this returns; then *ret_streams is true, and the caller keeps the root's
 * version held until response->stream is closed. */
void api_finish_read(struct api_call *call, const struct sm_root *root,
                     const struct node_view *node, struct http_response *response,
                     bool *ret_streams);

/* The read could not be served: RK_NO_LEADER, RK_UNKNOWN (leadership lost while confirming),
 * RK_BUSY, ... */
void api_fail_read(struct api_call *call, enum rk_status status, const struct node_view *node,
                   struct http_response *response);

/* For an answer to a request that was refused before api_begin() saw it: the headers that every
 * answer has. */
void api_seal_refusal(enum http_method method, struct http_response *response);

/* API_ADMIN, on the leader: it was done, refused, or nobody knows. `node` is the leader's view. */
void api_finish_admin(struct api_call *call, const struct admin_outcome *outcome,
                      const struct node_view *node, struct http_response *response);

/* API_RESTORE: it was done, with the entry at `index`, or why not. `why` (static, NULL: see the status)
 * says what is wrong with the backup. */
void api_finish_restore(struct api_call *call, enum rk_status status, const char *why,
                        raft_index index, struct http_response *response);

/* API_ADMIN, on another node: the leader's answer, passed on. */
struct api_relayed {
    uint32_t http_status;
    bool is_json;
    bool is_unknown; /* X-Raftkv-Outcome */
    struct rk_bytes body;
};
void api_finish_relayed(struct api_call *call, const struct api_relayed *relayed,
                        struct http_response *response);

/* Appends what the answer of a read depends on, beside the state and the moment: two reads with the
 * same have the same answer at one root. */
void api_append_identity(const struct api_call *call, struct rk_buf *buf);

void api_end(struct api_call *call);

#endif
