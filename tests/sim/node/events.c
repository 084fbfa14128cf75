/* events.c -- a binary heap by time, and by order of making where times are equal. */
#include <stdlib.h>

#include "base/assert.h"
#include "sim/node/world.h"

void events_open(struct event_heap *heap)
{
    *heap = (struct event_heap){.events = malloc(EVENTS_MAX_WAITING * sizeof(struct event))};
    RK_ASSERT(heap->events != NULL);
}

void events_close(struct event_heap *heap)
{
    free(heap->events);
    *heap = (struct event_heap){0};
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static void sift_up(struct event_heap *heap, uint32_t at, struct event event)
{
    while (at > 0 && is_before(&event, &heap->events[(at - 1) / 2])) {
        heap->events[at] = heap->events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->events[at] = event;
}

static void sift_down(struct event_heap *heap, struct event event)
{
    uint32_t at = 0;

    while (2 * at + 1 < heap->count) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < heap->count && is_before(&heap->events[child + 1], &heap->events[child])) {
            child++;
        }
        if (!is_before(&heap->events[child], &event)) {
            break;
        }
        heap->events[at] = heap->events[child];
        at = child;
    }
    heap->events[at] = event;
}

void world_at(struct world *world, uint64_t at_us, event_function *function, struct host *host,
              void *context, uint64_t number)
{
    struct event_heap *heap = &world->events;
    const struct event event = {
        .at_us = at_us < world->now_us ? world->now_us : at_us,
        .sequence = heap->sequence,
        .function = function,
        .host = host,
        .life = host != NULL ? host->life : 0,
        .context = context,
        .number = number,
    };

    if (heap->count == EVENTS_MAX_WAITING) {
        world_fail("O16", "more than %u events wait", (unsigned)EVENTS_MAX_WAITING);
    }
    heap->sequence++;
    heap->count++;
    sift_up(heap, heap->count - 1, event);
}

bool events_pop(struct event_heap *heap, struct event *ret)
{
    if (heap->count == 0) {
        return false;
    }
    *ret = heap->events[0];
    heap->count--;
    sift_down(heap, heap->events[heap->count]);
    return true;
}
