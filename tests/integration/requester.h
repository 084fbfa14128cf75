/* requester.h -- one client of the load programs: a connection that is kept alive, a request at a
 * time, and what its answer says of the outcome. A requester belongs to one thread. */
#ifndef RK_TESTS_INTEGRATION_REQUESTER_H
#define RK_TESTS_INTEGRATION_REQUESTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

enum { REQUESTER_BODY_SIZE = 512 };

struct answer {
    char body[REQUESTER_BODY_SIZE]; /* its beginning, with a NUL */
    size_t size;
    long code;      /* 0: none came */
    uint64_t index; /* X-Consul-Index; 0: none */
    bool says_not_done;
    bool says_unknown;
    bool was_sent; /* some of the request may have reached a node */
};

struct requester {
    bool only_once; /* set by the owner: never let curl send a request again by itself */
    CURL *easy;
    struct answer answer; /* to the last request */
};

/* Opens `requester`, of which only_once is set. Aborts without memory. */
void requester_open(struct requester *requester, long timeout_ms);
void requester_close(struct requester *requester);

/* Asks, and waits for the answer; `value` NULL: no body. */
void requester_ask(struct requester *requester, const char *method, const char *url,
                   const char *value);

/* A node that is down refuses at once: without this pause one client would do nothing else. */
void requester_back_off(void);

#endif
