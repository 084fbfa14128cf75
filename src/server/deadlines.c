#include "server/deadlines.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/heap.h"

enum { CAPACITY_MIN = 64 };

void deadlines_init(struct deadlines *deadlines)
{
    *deadlines = (struct deadlines){0};
}

void deadlines_done(struct deadlines *deadlines)
{
    rk_heap_free(deadlines->heap);
    *deadlines = (struct deadlines){0};
}

static void put_at(struct deadlines *deadlines, uint32_t place, struct deadline *deadline)
{
    deadlines->heap[place] = deadline;
    deadline->place = place;
}

static void rise(struct deadlines *deadlines, uint32_t place)
{
    struct deadline *deadline = deadlines->heap[place];

    while (place > 1 && deadlines->heap[place / 2]->at_ms > deadline->at_ms) {
        put_at(deadlines, place, deadlines->heap[place / 2]);
        place /= 2;
    }
    put_at(deadlines, place, deadline);
}

static void sink(struct deadlines *deadlines, uint32_t place)
{
    struct deadline *deadline = deadlines->heap[place];

    while (2 * place <= deadlines->count) {
        uint32_t child = 2 * place;
        if (child < deadlines->count &&
            deadlines->heap[child + 1]->at_ms < deadlines->heap[child]->at_ms) {
            child++;
        }
        if (deadlines->heap[child]->at_ms >= deadline->at_ms) {
            break;
        }
        put_at(deadlines, place, deadlines->heap[child]);
        place = child;
    }
    put_at(deadlines, place, deadline);
}

void deadlines_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t at_ms)
{
    RK_ASSERT(deadline->place == 0);
    if (deadlines->count + 1 >= deadlines->capacity) {
        deadlines->capacity = deadlines->capacity == 0 ? CAPACITY_MIN : 2 * deadlines->capacity;
        deadlines->heap =
            rk_heap_realloc(deadlines->heap, deadlines->capacity * sizeof(struct deadline *));
    }
    deadline->at_ms = at_ms;
    deadlines->count++;
    deadlines->heap[deadlines->count] = deadline;
    rise(deadlines, deadlines->count);
}

void deadlines_cancel(struct deadlines *deadlines, struct deadline *deadline)
{
    const uint32_t place = deadline->place;

    if (place == 0) {
        return;
    }
    struct deadline *last = deadlines->heap[deadlines->count];
    deadlines->count--;
    deadline->place = 0;
    if (last != deadline) {
        put_at(deadlines, place, last);
        rise(deadlines, place);
        sink(deadlines, last->place);
    }
}

struct deadline *deadlines_first(const struct deadlines *deadlines)
{
    return deadlines->count == 0 ? NULL : deadlines->heap[1];
}
