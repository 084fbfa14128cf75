/* api_harness.h -- one node's API on a real state machine: a request as text in, the whole answer
 * out. What the server does between api_begin() and api_finish_*() is done here at once. */
#ifndef RK_TESTS_API_HARNESS_H
#define RK_TESTS_API_HARNESS_H

#include <stdbool.h>

#include "api/api.h"
#include "base/http.h"
#include "statemachine/sm.h"

struct answer {
    uint32_t status;
    enum api_action action;
    enum api_consistency consistency; /* what the request asked for */
    enum sm_topic_kind topic_kind;    /* for what it would wait */
    raft_index after;
    uint64_t wait_us;
    bool streamed;
    char *body; /* with a NUL behind it */
    size_t body_size;
    struct http_response response; /* its headers */
};

struct harness {
    struct sm *sm;
    raft_index index; /* of the last entry */
    uint64_t time_ms; /* cluster time of the next one */
    struct api_options options;
    struct node_view node;
    struct admin_outcome outcome;     /* of what the leader is asked for */
    struct admin_request asked;       /* what that was */
    enum rk_status fail;              /* not RK_OK: what the node says instead of doing it */
    const struct http_field *headers; /* of the next requests */
    uint32_t headers_count;
    size_t stream_step; /* bytes asked for at a time */
    struct answer answer;
};

extern struct harness harness;

/* A Check fixture: an empty store on a node that leads a cluster of one. */
void harness_open(void);
void harness_close(void);

/* Sends one request; the answer stays until the next one. */
const struct answer *send_bytes(const char *method, const char *target, struct rk_bytes body);
const struct answer *send_text(const char *method, const char *target, const char *body);
const struct answer *get(const char *target);
const struct answer *put(const char *target, const char *body);
const struct answer *del(const char *target);

/* A header of the last answer, by its exact spelling, or NULL. */
const char *header(const char *name);
uint64_t header_u64(const char *name); /* fails the test when it is not there */

/* Sends and checks in one: body must be equal. */
void expect(const char *method, const char *target, const char *body, uint32_t status,
            const char *expected);

/* A number in a JSON body, found by name: enough for flat answers. */
uint64_t member_u64(const char *name);

#endif
