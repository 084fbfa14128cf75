/* http_stub.h -- a server of canned answers on a loopback port, and what it was asked.
 *
 * One connection at a time, one request each. Thread: its own; http_stub_request() is for after
 * http_stub_stop(), or for when the client has its answer.
 */
#ifndef RK_TESTS_SUPPORT_HTTP_STUB_H
#define RK_TESTS_SUPPORT_HTTP_STUB_H

#include <stdint.h>

struct http_stub;

/* `target` is the raw request target; NULL matches every one. `answer` is all that is sent,
 * status line and headers included; "" closes the connection without a word. */
struct http_stub_answer {
    const char *target;
    const char *answer;
};

/* `answers` is borrowed until http_stub_stop(); what matches none gets a 501. */
struct http_stub *http_stub_start(const struct http_stub_answer *answers, uint32_t count);
/* The first request gets the first answer, and so on; the last answer is also for all that follow.
 * Targets are not looked at. */
struct http_stub *http_stub_start_sequence(const struct http_stub_answer *answers, uint32_t count);
void http_stub_stop(struct http_stub *stub);

uint16_t http_stub_port(const struct http_stub *stub);

/* The last request as it came: request line, headers, body. */
const char *http_stub_request(const struct http_stub *stub);

/* A port on which nothing listens. */
uint16_t http_stub_port_unused(void);

#endif
