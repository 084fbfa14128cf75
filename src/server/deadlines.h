/* deadlines.h -- who is to be woken when: the sooner first, each cancelled at any time.
 *
 * A heap of pointers, so that setting and cancelling cost O(log n) and the next deadline is exact
 * to the millisecond, however far away it is. Suspended connections never time out by themselves
 * (pitfall 138).
 *
 * Thread: the owner's. Memory: a deadline is embedded in what has one.
 */
#ifndef RK_SERVER_DEADLINES_H
#define RK_SERVER_DEADLINES_H

#include <stdint.h>

/* Zeroed: not set. */
struct deadline {
    uint64_t at_ms;
    uint32_t place; /* in the heap, from 1; 0: not set */
};

struct deadlines {
    struct deadline **heap; /* heap[0] is not used */
    uint32_t count;
    uint32_t capacity;
};

void deadlines_init(struct deadlines *deadlines);
void deadlines_done(struct deadlines *deadlines);

/* `deadline` is not set (asserted). */
void deadlines_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t at_ms);
/* Nothing happens if it is not set. */
void deadlines_cancel(struct deadlines *deadlines, struct deadline *deadline);

/* The soonest, still set; NULL: none. */
struct deadline *deadlines_first(const struct deadlines *deadlines);

#endif
