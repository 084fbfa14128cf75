#include "server/http_reaper.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/assert.h"

enum {
    BODY_CHECKS_COUNT = 30,      /* looks at one body within body_timeout */
    BODY_CHECKS_GRACE_COUNT = 5, /* of these, the first ones do not ask for a rate */
    BODY_BYTES_PER_SECOND = 1024,
    ANSWER_STALLS_MAX = 2,
};

void http_reaper_init(struct http_reaper *reaper, const struct http_reaper_timeouts *timeouts)
{
    for (int i = 0; i < HTTP_PHASE_COUNT; i++) {
        struct http_watch *head = &reaper->lists[i];
        *head = (struct http_watch){.next = head, .previous = head};
        reaper->delays_ms[i] = 0;
    }
    reaper->body_timeout_ms = timeouts->body_ms;
    reaper->delays_ms[HTTP_PHASE_HEADERS] = timeouts->header_ms;
    reaper->delays_ms[HTTP_PHASE_IDLE] = timeouts->idle_ms;
    reaper->delays_ms[HTTP_PHASE_BODY] = timeouts->body_ms / BODY_CHECKS_COUNT + 1;
    reaper->delays_ms[HTTP_PHASE_ANSWER] = timeouts->write_ms / ANSWER_STALLS_MAX + 1;
}

void http_watch_init(struct http_watch *watch, int socket)
{
    *watch = (struct http_watch){.socket = socket, .phase = HTTP_PHASE_NONE};
}

static void watch_unlink(struct http_watch *watch)
{
    if (watch->phase != HTTP_PHASE_NONE) {
        watch->previous->next = watch->next;
        watch->next->previous = watch->previous;
        watch->phase = HTTP_PHASE_NONE;
    }
}

/* Behind all others of the phase: with one delay for all, that is the order of the deadlines. */
static void watch_link(struct http_reaper *reaper, struct http_watch *watch, enum http_phase phase,
                       uint64_t now_ms)
{
    struct http_watch *head = &reaper->lists[phase];

    watch->phase = phase;
    watch->deadline_ms =
        phase == HTTP_PHASE_SUSPENDED ? UINT64_MAX : now_ms + reaper->delays_ms[phase];
    watch->next = head;
    watch->previous = head->previous;
    head->previous->next = watch;
    head->previous = watch;
}

void http_reaper_enter(struct http_reaper *reaper, struct http_watch *watch, enum http_phase phase,
                       uint64_t now_ms)
{
    RK_ASSERT(phase < HTTP_PHASE_COUNT);
    watch_unlink(watch);
    watch->since_ms = now_ms;
    watch->progress = 0;
    watch->stalls_count = 0;
    watch->is_bulk = false;
    if (phase != HTTP_PHASE_NONE) {
        watch_link(reaper, watch, phase, now_ms);
    }
}

struct http_watch *http_reaper_first(const struct http_reaper *reaper, enum http_phase phase)
{
    struct http_watch *first = reaper->lists[phase].next;

    return first == &reaper->lists[phase] ? NULL : first;
}

uint64_t http_reaper_deadline_ms(const struct http_reaper *reaper)
{
    uint64_t deadline_ms = UINT64_MAX;

    for (enum http_phase phase = HTTP_PHASE_HEADERS; phase < HTTP_PHASE_COUNT; phase++) {
        const struct http_watch *first = http_reaper_first(reaper, phase);
        if (first != NULL && first->deadline_ms < deadline_ms) {
            deadline_ms = first->deadline_ms;
        }
    }
    return deadline_ms;
}

static bool body_may_go_on(const struct http_reaper *reaper, const struct http_watch *watch,
                           uint64_t now_ms)
{
    const uint64_t elapsed_ms = now_ms - watch->since_ms;
    const uint64_t grace_ms =
        (uint64_t)reaper->delays_ms[HTTP_PHASE_BODY] * BODY_CHECKS_GRACE_COUNT;

    if (elapsed_ms >= reaper->body_timeout_ms) {
        return false;
    }
    return elapsed_ms < grace_ms || watch->progress >= elapsed_ms * BODY_BYTES_PER_SECOND / 1000;
}

/* Only the peer's acknowledgements tell progress: our own writes end in the socket's buffer. */
static uint64_t bytes_acknowledged(int socket)
{
    struct tcp_info info = {.tcpi_bytes_acked = 0};
    socklen_t size = sizeof info;

    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
        return 0;
    }
    return info.tcpi_bytes_acked;
}

static bool answer_may_go_on(struct http_watch *watch)
{
    const uint64_t acknowledged = bytes_acknowledged(watch->socket);

    const uint64_t least = watch->is_bulk ? HTTP_BULK_BYTES_MIN : 1;

    watch->stalls_count = acknowledged - watch->progress < least ? watch->stalls_count + 1 : 0;
    watch->progress = acknowledged;
    return watch->stalls_count < ANSWER_STALLS_MAX;
}

static bool may_go_on(const struct http_reaper *reaper, struct http_watch *watch, uint64_t now_ms)
{
    if (watch->phase == HTTP_PHASE_BODY) {
        return body_may_go_on(reaper, watch, now_ms);
    }
    return watch->phase == HTTP_PHASE_ANSWER && answer_may_go_on(watch);
}

static struct http_watch *expired_of(struct http_reaper *reaper, enum http_phase phase,
                                     uint64_t now_ms)
{
    struct http_watch *watch = http_reaper_first(reaper, phase);

    while (watch != NULL && watch->deadline_ms <= now_ms) {
        const bool goes_on = may_go_on(reaper, watch, now_ms);
        watch_unlink(watch);
        if (!goes_on) {
            return watch;
        }
        watch_link(reaper, watch, phase, now_ms);
        watch = http_reaper_first(reaper, phase);
    }
    return NULL;
}

struct http_watch *http_reaper_expired(struct http_reaper *reaper, uint64_t now_ms)
{
    struct http_watch *expired = NULL;

    for (enum http_phase phase = HTTP_PHASE_HEADERS; phase < HTTP_PHASE_COUNT && expired == NULL;
         phase++) {
        expired = expired_of(reaper, phase, now_ms);
    }
    return expired;
}
