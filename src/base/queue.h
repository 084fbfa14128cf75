/* queue.h -- a bounded queue between threads: items are copied in and out under a mutex, and an
 * eventfd is readable while the consumer has something to take.
 *
 * Why one mutex and no cleverness: a batch is taken in one lock, so the lock is held once per
 * turn and not once per item. The eventfd is written only when the queue goes from empty to not
 * empty, so a burst costs one wake-up, and outside of the mutex, so that whom it wakes finds that free.
 * Hence a consumer that was awake anyway may be woken once for what it has just taken: it then finds
 * nothing, and the descriptor is cleared.
 *
 * Thread: push from any; pop from the one consumer. Whoever frees it knows that no push is under way.
 */
#ifndef RK_BASE_QUEUE_H
#define RK_BASE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct rk_queue;

/* It takes memory for its longest backlog so far, not for its capacity. */
struct rk_queue *rk_queue_new(uint32_t capacity, size_t item_size);
void rk_queue_free(struct rk_queue *queue); /* NULL is allowed; items left are dropped */

/* Errors: RK_BUSY (full); nothing was then taken. `count` items or none. */
RK_MUST_USE enum rk_status rk_queue_push(struct rk_queue *queue, const void *items, uint32_t count);

/* Moves up to `max` items to `items`; returns how many. The eventfd is cleared when the queue is
 * empty then. */
uint32_t rk_queue_pop(struct rk_queue *queue, void *items, uint32_t max);

/* Like rk_queue_pop(), but waits up to `timeout_ms` for the first item. */
uint32_t rk_queue_pop_wait(struct rk_queue *queue, void *items, uint32_t max, uint32_t timeout_ms);

/* Readable while not empty. Made when it is first asked for: a queue that is only waited for by
 * rk_queue_pop_wait() writes to none. */
int rk_queue_fd(struct rk_queue *queue);
uint32_t rk_queue_count(
    const struct rk_queue *queue); /* a moment's value: no reason not to pop when woken */

#endif
