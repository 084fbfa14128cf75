/* client_request.h -- what an HTTP loop hands to the node: one write or one read, and its answer.
 *
 * Memory: the HTTP side's; lent to the node from node_submit() until the request comes back
 * through http_server_complete() as the completion of its exchange. Exactly one completion
 * follows every accepted submission.
 */
#ifndef RK_SERVER_CLIENT_REQUEST_H
#define RK_SERVER_CLIENT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/meter.h"
#include "base/status.h"
#include "server/deadlines.h"
#include "statemachine/result.h"
#include "statemachine/watch.h"

struct http_server;
struct http_exchange;
struct spool; /* storage/spool.h */

enum client_kind { CLIENT_WRITE = 1, CLIENT_READ, CLIENT_ADMIN, CLIENT_GIVE_UP, CLIENT_RESTORE };

/* CLIENT_ADMIN: what the leader is asked for, and its answer, made here from `outcome` or relayed
 * from another node. */
struct client_admin {
    struct api_call *call; /* the HTTP side's; call->admin says what */
    struct admin_outcome outcome;
    bool is_relayed;
    bool is_json;
    bool is_unknown;
    uint32_t http_status;
    struct rk_buf body;
};

/* CLIENT_RESTORE: a backup, and what became of it. */
struct client_restore {
    struct spool *spool; /* the node takes it over, and leaves NULL */
    const char *why;     /* static text: what is wrong with it; NULL: see the status */
    raft_index index;    /* of the restore */
};

/* CLIENT_READ: how long it may wait for a change of what it reads (contract 1.7). */
struct client_wait {
    struct sm_topic topic; /* borrowed with the request; SM_TOPIC_NONE: it does not wait */
    raft_index after;
    uint64_t until_ms; /* rk_monotonic_ms() */
    bool is_stale;     /* what this node has will do: no leader is asked, none is needed */

    /* The node's own. */
    bool is_given_up;
    struct sm_watcher watcher;
    struct deadline deadline;
    struct client_request *previous; /* among those that need a leader */
    struct client_request *next;
};

struct client_request {
    enum client_kind kind;
    struct http_server *server; /* whose loop completes it */
    struct http_exchange *exchange;
    struct client_admin *admin;     /* CLIENT_ADMIN */
    struct client_restore *restore; /* CLIENT_RESTORE */
    bool is_restore_part;           /* CLIENT_WRITE: of a restore that the node drives; no loop's */
    struct client_request *given_up; /* CLIENT_GIVE_UP: the read that shall wait no longer */
    struct client_wait wait;         /* CLIENT_READ */
    bool is_strict;      /* CLIENT_READ: linearizable by a round, whatever a lease says */
    struct rk_buf frame; /* CLIENT_WRITE: one unsealed frame; the node takes the bytes over */

    /* The answer. A write: RK_OK with `result`, or why not (api/error.h: which of them mean "not
     * done"). A read: RK_OK means that the root published now is fresh enough. */
    enum rk_status status;
    struct sm_result result;

    /* The node's own. */
    uint64_t give_up_ms;
    struct client_request *next;

    /* Measured (base/meter.h), on rk_monotonic_us(): 0, not at all. */
    uint64_t began_us;        /* its loop woke for it */
    uint64_t passed_us;       /* the stage that it is in began */
    enum rk_measure_id stage; /* the node's own: which one that is */
};

/* A list in order of arrival. */
struct client_list {
    struct client_request *first;
    struct client_request *last;
    uint32_t count;
};

static inline void client_list_push(struct client_list *list, struct client_request *request)
{
    request->next = NULL;
    if (list->last != NULL) {
        list->last->next = request;
    } else {
        list->first = request;
    }
    list->last = request;
    list->count++;
}

/* NULL: empty. */
static inline struct client_request *client_list_pop(struct client_list *list)
{
    struct client_request *request = list->first;

    if (request != NULL) {
        list->first = request->next;
        if (list->first == NULL) {
            list->last = NULL;
        }
        list->count--;
    }
    return request;
}

/* Moves all of `from` behind `list`. */
static inline void client_list_move(struct client_list *list, struct client_list *from)
{
    if (from->first == NULL) {
        return;
    }
    if (list->last != NULL) {
        list->last->next = from->first;
    } else {
        list->first = from->first;
    }
    list->last = from->last;
    list->count += from->count;
    *from = (struct client_list){0};
}

#endif
