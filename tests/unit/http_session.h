/* http_session.h -- what the tests of the HTTP server share: one server, and one client of it. */
#ifndef RK_TESTS_UNIT_HTTP_SESSION_H
#define RK_TESTS_UNIT_HTTP_SESSION_H

#include "unit/http_fixture.h"

extern struct fixture fixture;
extern struct raw_client *client; /* NULL: none */

/* The checked fixture of every test: its options may be changed before open_all(). */
void session_init(void);
void session_end(void);

void open_all(void);
void hang_up(void);

/* For the options: marks what the seam refuses. */
void add_refusal_header(enum http_method method, struct http_response *response);

bool is_suspended(struct fixture *f);
bool has_no_connection(struct fixture *f);
bool has_a_connection(struct fixture *f);
bool has_reaped_one(struct fixture *f);

void send_repeated(const char *text, size_t count);
/* The head of a PUT with a body of `size`. */
void send_put_of(size_t size);

/* Opens, and leaves the only request, a PUT with a body, suspended; what follows is echoed. */
void suspend_one(void);
/* The same, but held. */
void hold_one(void);
/* Answers it; `context` is the fixture: a thread may run this. */
void *complete_suspended(void *context);

#endif
