/* node_fixture.h -- one node without threads, disk or sockets: tests hand it messages and answers,
 * and look at what it does. It is "n1" of the initial cluster n1, n2, n3; what it would hand to the
 * disk, to the link and to HTTP is kept here.
 */
#ifndef RK_TESTS_NODE_FIXTURE_H
#define RK_TESTS_NODE_FIXTURE_H

#include "server/node_internal.h"

enum { FIXTURE_ENDED = 9 };
enum { FIXTURE_POSTS_MAX = 256, FIXTURE_JOBS_MAX = 4096, FIXTURE_SNAP_JOBS_MAX = 64 };

/* The real one is the HTTP server's own; to the node it is only a name. */
struct http_exchange {
    struct http_request request;
    uint32_t answers; /* times it was answered: must come to 1 */
    bool was_suspended;
    uint32_t status;
    struct rk_buf body;
};

struct fixture_post {
    char path[32];
    struct rk_buf body;
    uint64_t cookie;
    bool is_answered;
};

struct fixture {
    struct node *node;
    struct options options;
    uint64_t now_ms;
    bool is_end_expected; /* the test's process then exits with FIXTURE_ENDED */
    enum rk_status end_status;
    struct wire_check others_check; /* what they say with heartbeats */
    uint32_t others_level;          /* feature level that the others say they read */
    struct root_board *board;
    struct fixture_post posts[FIXTURE_POSTS_MAX];
    uint32_t posts_count;
    struct disk_job *jobs[FIXTURE_JOBS_MAX];
    uint32_t jobs_count;
    uint64_t look_us; /* so much later it is at each look at the microseconds */
    uint64_t looked_us;
    struct snap_job *snap_jobs[FIXTURE_SNAP_JOBS_MAX];
    uint32_t snap_jobs_count;
    struct rk_queue *snap_results;
};

extern struct fixture fixture;

void fixture_open(void);  /* a new directory: the node asks who is there */
void fixture_close(void); /* ends every waiter first */

/* All that was handed to the disk is durable now. */
void fixture_persist(void);

/* Time goes on; the core is called when it wanted to be. */
void fixture_wait(uint64_t ms);

/* What a node as new as this one says of itself, and how it says it. */
struct wire_identity fixture_new_identity(const char *name);
void fixture_identify(struct fixture_post *post, const struct wire_identity *identity);

/* A round of asking: both others answer that they are new, and the node forms. */
void fixture_form(void);
/* Forms, and wins the election: leader of the first term, its configuration committed. */
void fixture_lead(void);

/* What `peer` says in front of each message. */
struct wire_envelope fixture_envelope(const struct peer *peer);
struct peer *fixture_peer(const char *name);
uint64_t fixture_incarnation(const char *name);

/* The newest unanswered post to that path and peer, NULL: none. */
struct fixture_post *fixture_post_to(const char *path, const char *name);
/* It comes back with 200 and these bytes, which are freed. */
void fixture_answer(struct fixture_post *post, struct rk_buf *body);
/* The core's answer by `name` to the newest question at `path`. */
void fixture_reply(const char *path, const char *name, const struct raft_message *message);
/* It comes back without an answer. */
void fixture_lose(struct fixture_post *post, enum rk_status status);

/* `message` from `name` comes in; the answer, if there is one, is in *exchange. */
void fixture_receive(struct http_exchange *exchange, const char *name,
                     const struct raft_message *message);
/* A request with these bytes comes in at `path`. */
void fixture_request(struct http_exchange *exchange, const char *path, struct rk_buf *body);
void fixture_exchange_done(struct http_exchange *exchange);

#endif
