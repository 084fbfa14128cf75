#include "base/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/heap.h"

enum { ROOM_AT_FIRST = 64 };

struct rk_queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty;
    uint8_t *items; /* a ring of `room` items */
    size_t item_size;
    uint32_t capacity;
    uint32_t room;          /* <= capacity; grows with the backlog */
    uint32_t first;         /* the oldest item's place in the ring */
    _Atomic uint32_t count; /* written under the mutex, read from anywhere */
    _Atomic bool
        is_raised; /* the same: the eventfd is 1, or whoever set this is about to write it */
    int fd;        /* eventfd; -1 until somebody asks for it */
};

static uint32_t count_of(const struct rk_queue *queue)
{
    return atomic_load_explicit(&queue->count, memory_order_relaxed);
}

static void set_count(struct rk_queue *queue, uint32_t count)
{
    atomic_store_explicit(&queue->count, count, memory_order_relaxed);
}

static void lock(struct rk_queue *queue)
{
    const int failed = pthread_mutex_lock(&queue->mutex);
    RK_ASSERT(failed == 0);
}

static void unlock(struct rk_queue *queue)
{
    const int failed = pthread_mutex_unlock(&queue->mutex);
    RK_ASSERT(failed == 0);
}

/* Waits are timed by the monotonic clock, so that a set clock neither cuts nor stretches them. */
static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);
    failed |= pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    failed |= pthread_cond_init(condition, &attributes);
    failed |= pthread_condattr_destroy(&attributes);
    RK_ASSERT(failed == 0);
}

struct rk_queue *rk_queue_new(uint32_t capacity, size_t item_size)
{
    RK_ASSERT(capacity > 0);
    RK_ASSERT(item_size > 0);
    struct rk_queue *queue = rk_heap_zalloc(1, sizeof(*queue));
    const int failed = pthread_mutex_init(&queue->mutex, NULL);
    RK_ASSERT(failed == 0);
    init_condition(&queue->not_empty);
    queue->room = capacity < ROOM_AT_FIRST ? capacity : ROOM_AT_FIRST;
    queue->items = rk_heap_zalloc(queue->room, item_size);
    queue->item_size = item_size;
    queue->capacity = capacity;
    queue->fd = -1;
    return queue;
}

void rk_queue_free(struct rk_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    int failed = queue->fd < 0 ? 0 : close(queue->fd);
    failed |= pthread_cond_destroy(&queue->not_empty);
    failed |= pthread_mutex_destroy(&queue->mutex);
    RK_ASSERT(failed == 0);
    rk_heap_free(queue->items);
    rk_heap_free(queue);
}

/* Makes the eventfd readable. Not under the mutex: the consumer that it wakes wants that at once, and
 * would wait, two switches of context, for a writer still on its way back from the kernel. */
static void raise_fd(int fd)
{
    const uint64_t one = 1;
    ssize_t done = -1;
    do {
        done = write(fd, &one, sizeof(one));
    } while (done < 0 && errno == EINTR);
    RK_ASSERT(done == (ssize_t)sizeof(one)); /* it was 0, or is_raised would have been set */
}

/* False: whoever raised it has not come to write it yet. It is cleared by the pop that this wakes. */
static bool clear_fd(int fd)
{
    uint64_t value = 0;
    ssize_t done = -1;
    do {
        done = read(fd, &value, sizeof(value));
    } while (done < 0 && errno == EINTR);
    RK_ASSERT(done == (ssize_t)sizeof(value) ? value == 1 : errno == EAGAIN);
    return done > 0;
}

/* How many of `count` items from `place` on lie before the ring's end. */
static uint32_t run_count(const struct rk_queue *queue, uint32_t place, uint32_t count)
{
    const uint32_t to_end = queue->room - place;
    return count < to_end ? count : to_end;
}

static void copy_in(struct rk_queue *queue, const uint8_t *items, uint32_t count)
{
    const uint64_t end = (uint64_t)queue->first + count_of(queue);
    const uint32_t place = (uint32_t)(end % queue->room);
    const size_t run_size = run_count(queue, place, count) * queue->item_size;
    memcpy(queue->items + place * queue->item_size, items, run_size);
    memcpy(queue->items, items + run_size, count * queue->item_size - run_size);
}

static void copy_out(struct rk_queue *queue, uint8_t *items, uint32_t count)
{
    const size_t run_size = run_count(queue, queue->first, count) * queue->item_size;
    memcpy(items, queue->items + queue->first * queue->item_size, run_size);
    memcpy(items + run_size, queue->items, count * queue->item_size - run_size);
    queue->first = (uint32_t)(((uint64_t)queue->first + count) % queue->room);
}

/* Room for `count` items; the capacity holds that many. */
static void make_room(struct rk_queue *queue, uint32_t count)
{
    const uint32_t held = count_of(queue);
    const uint32_t twice = queue->room > queue->capacity / 2 ? queue->capacity : queue->room * 2;
    const uint32_t room = twice < count ? count : twice;

    if (count <= queue->room) {
        return;
    }
    uint8_t *items = rk_heap_alloc((size_t)room * queue->item_size);
    copy_out(queue, items, held);
    rk_heap_free(queue->items);
    queue->items = items;
    queue->first = 0;
    queue->room = room;
}

enum rk_status rk_queue_push(struct rk_queue *queue, const void *items, uint32_t count)
{
    if (count == 0) {
        return RK_OK;
    }
    lock(queue);
    const uint32_t count_before = count_of(queue);
    const bool fits = count <= queue->capacity - count_before;
    const int fd = fits && !queue->is_raised ? queue->fd : -1;
    if (fits) {
        make_room(queue, count_before + count);
        copy_in(queue, items, count);
        set_count(queue, count_before + count);
        queue->is_raised = queue->is_raised || fd >= 0;
    }
    unlock(queue);
    if (fits && count_before == 0) {
        const int failed = pthread_cond_signal(&queue->not_empty);
        RK_ASSERT(failed == 0);
    }
    if (fd >= 0) {
        raise_fd(fd);
    }
    return fits ? RK_OK : RK_BUSY;
}

static uint32_t pop_locked(struct rk_queue *queue, void *items, uint32_t max)
{
    const uint32_t count_before = count_of(queue);
    const uint32_t count = count_before < max ? count_before : max;
    copy_out(queue, items, count);
    set_count(queue, count_before - count);
    if (count == count_before && queue->is_raised) {
        queue->is_raised = !clear_fd(queue->fd);
    }
    return count;
}

uint32_t rk_queue_pop(struct rk_queue *queue, void *items, uint32_t max)
{
    if (count_of(queue) == 0 && !queue->is_raised) {
        return 0;
    }
    lock(queue);
    const uint32_t count = pop_locked(queue, items, max);
    unlock(queue);
    return count;
}

static struct timespec deadline_after(uint32_t timeout_ms)
{
    struct timespec deadline;
    const int failed = clock_gettime(CLOCK_MONOTONIC, &deadline);
    RK_ASSERT(failed == 0);
    deadline.tv_sec += (time_t)(timeout_ms / 1000);
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

uint32_t rk_queue_pop_wait(struct rk_queue *queue, void *items, uint32_t max, uint32_t timeout_ms)
{
    const struct timespec deadline = deadline_after(timeout_ms);
    int failed = 0;
    lock(queue);
    while (count_of(queue) == 0 && failed == 0) {
        failed = pthread_cond_timedwait(&queue->not_empty, &queue->mutex, &deadline);
        RK_ASSERT(failed == 0 || failed == ETIMEDOUT);
    }
    const uint32_t count = pop_locked(queue, items, max);
    unlock(queue);
    return count;
}

int rk_queue_fd(struct rk_queue *queue)
{
    lock(queue);
    if (queue->fd < 0) {
        queue->fd = eventfd(count_of(queue) > 0 ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
        RK_ASSERT(queue->fd >= 0); /* asked at start, before connections use descriptors */
        queue->is_raised = count_of(queue) > 0;
    }
    const int fd = queue->fd;
    unlock(queue);
    return fd;
}

uint32_t rk_queue_count(const struct rk_queue *queue)
{
    return count_of(queue);
}
