#include "server/http_hangups.h"

#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"

enum { EVENTS_MAX = 64 };

enum rk_status http_hangups_open(struct http_hangups *hangups)
{
    *hangups = (struct http_hangups){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    return hangups->epoll < 0 ? RK_BUSY : RK_OK;
}

void http_hangups_close(struct http_hangups *hangups)
{
    RK_ASSERT(hangups->count == 0);
    if (hangups->epoll >= 0) {
        (void)close(hangups->epoll);
    }
}

void http_hangups_add(struct http_hangups *hangups, int socket, void *tag)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data = {.ptr = tag}};

    const int failed = epoll_ctl(hangups->epoll, EPOLL_CTL_ADD, socket, &event);
    RK_ASSERT(failed == 0);
    hangups->count++;
}

void http_hangups_remove(struct http_hangups *hangups, int socket)
{
    const int failed = epoll_ctl(hangups->epoll, EPOLL_CTL_DEL, socket, NULL);

    RK_ASSERT(failed == 0);
    RK_ASSERT(hangups->count > 0);
    hangups->count--;
}

uint32_t http_hangups_next(struct http_hangups *hangups, void **tags, uint32_t max)
{
    struct epoll_event events[EVENTS_MAX];

    if (hangups->count == 0) {
        return 0;
    }
    const int count =
        epoll_wait(hangups->epoll, events, max < EVENTS_MAX ? (int)max : EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        tags[i] = events[i].data.ptr;
    }
    return count < 0 ? 0 : (uint32_t)count;
}
