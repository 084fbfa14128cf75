/* gateway_internal.h -- a request on its way and its loop, for gateway*.c alone. Thread: the loop's. */
#ifndef RK_SERVER_GATEWAY_INTERNAL_H
#define RK_SERVER_GATEWAY_INTERNAL_H

#include "base/prng.h"
#include "server/client_request.h"
#include "server/gateway.h"
#include "server/shared_answer.h"

enum { GATEWAY_SUBMITTED_MAX = 16, GATEWAY_ANSWERED_MAX = 256, GATEWAY_BODY_ROOM_SIZE = 2048 };

struct gateway_loop;

/* One request on its way. */
struct call {
    struct client_request request; /* first: the completion is the call */
    struct api_call api;
    struct client_request *give_up; /* submitted, too: the client went while it waited */
    uint32_t completions_due;       /* of both */
    bool is_streaming;              /* the answer is a stream of events: gateway_events.c */
    bool has_waited;                /* since something was last sent */
    struct gateway_loop *loop;
    struct call *next; /* in the pool */
};

/* An answer that this run of the loop sends: when its request began, and it came back. */
struct answered {
    enum rk_measure_id total; /* RK_MEASURE_WRITE or RK_MEASURE_READ */
    uint64_t began_us;
    uint64_t passed_us;
};

/* A large answer under way: holds its root's slot until it is closed. */
struct held_stream {
    struct http_stream stream; /* first */
    struct http_stream *inner;
    struct gateway_loop *loop;
    uint32_t slot;
};

struct gateway_loop {
    struct gateway *gateway;
    uint32_t slots_first;
    uint32_t slots_used;   /* bit i: slot i; slot 0 is for the moment of a request */
    struct node_view view; /* for the hot path */
    uint64_t view_version;
    struct node_view judged; /* for status and health */
    struct rk_prng prng;
    struct shared_answer shared;
    struct rk_buf identity;                    /* scratch: of a question */
    uint8_t body_room[GATEWAY_BODY_ROOM_SIZE]; /* scratch: of an answer until it is given away */
    struct call *pool;
    uint32_t pool_count;
    struct client_request *submitted[GATEWAY_SUBMITTED_MAX]; /* not handed to the node yet */
    uint32_t submitted_count;
    struct rk_meter *meter;
    struct answered answered[GATEWAY_ANSWERED_MAX]; /* not measured yet */
    uint32_t answered_count;
    uint32_t local_count; /* reads that this run has answered without the node */
};

struct gateway {
    const struct options *options;
    struct node *node;
    struct root_board *board;
    struct api_options api_options;
    uint32_t loops_count;
    struct gateway_loop *loops;
};

/* gateway_events.c: the body of an answer whose call has events, as a stream. */
struct http_stream *gateway_events_new(struct call *call);
/* gateway_restore.c: a backup that comes in. */
/* The sink for its body; NULL: the request is another one. `context` is the loop. */
struct http_sink *gateway_restore_sink(void *context, const struct http_request *request);
/* What came is the call's from now on, for the node. */
void gateway_restore_begin(struct call *call, struct http_sink *sink);
void gateway_restore_answer(struct call *call, struct http_response *response);
void gateway_restore_free(struct call *call);

/* gateway_backup.c: a backup of the root, which stays held until the stream is closed. */
struct http_stream *gateway_backup_new(const struct call *call, const struct sm_root *root);

/* What the stream waited for has come. */
void gateway_events_complete(struct call *call, struct http_exchange *exchange);

#endif
