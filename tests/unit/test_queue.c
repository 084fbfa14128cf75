#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/queue.h"
#include "support/run.h"

enum { CAPACITY = 5, PRODUCERS = 4, PER_PRODUCER = 5000, LONG_MS = 30000 };

static struct rk_queue *queue;

static void setup(void)
{
    queue = rk_queue_new(CAPACITY, sizeof(uint32_t));
}

static void teardown(void)
{
    rk_queue_free(queue);
}

static bool is_readable(void)
{
    struct pollfd ready = {.fd = rk_queue_fd(queue), .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

/* Pushes first, first + 1, ... */
static enum rk_status push(uint32_t first, uint32_t count)
{
    uint32_t items[2 * CAPACITY];
    for (uint32_t i = 0; i < count; i++) {
        items[i] = first + i;
    }
    return rk_queue_push(queue, items, count);
}

/* Pops `max` and asserts first, first + 1, ... of `count`. */
static void assert_popped(uint32_t max, uint32_t first, uint32_t count)
{
    uint32_t items[2 * CAPACITY];
    ck_assert_uint_eq(rk_queue_pop(queue, items, max), count);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(items[i], first + i);
    }
}

START_TEST(items_come_out_in_the_order_they_went_in)
{
    ck_assert_int_eq(push(1, 2), RK_OK);
    ck_assert_int_eq(push(3, 2), RK_OK);
    assert_popped(3, 1, 3);
    assert_popped(3, 4, 1);
    assert_popped(3, 0, 0);
}
END_TEST

START_TEST(ring_wraps_around)
{
    for (uint32_t next = 0; next < 200; next += 3) {
        ck_assert_int_eq(push(next, 3), RK_OK);
        assert_popped(1, next, 1);
        assert_popped(CAPACITY, next + 1, 2);
    }
}
END_TEST

START_TEST(push_is_all_or_none)
{
    ck_assert_int_eq(push(1, 3), RK_OK);
    ck_assert_int_eq(push(4, 3), RK_BUSY);
    ck_assert_uint_eq(rk_queue_count(queue), 3);
    ck_assert_int_eq(push(4, 2), RK_OK);
    assert_popped(2 * CAPACITY, 1, 5);
}
END_TEST

START_TEST(more_than_the_capacity_never_fits)
{
    ck_assert_int_eq(push(1, CAPACITY + 1), RK_BUSY);
    ck_assert_uint_eq(rk_queue_count(queue), 0);
    ck_assert(!is_readable());
}
END_TEST

START_TEST(push_of_nothing_is_no_wake_up)
{
    ck_assert_int_eq(rk_queue_push(queue, NULL, 0), RK_OK);
    ck_assert(!is_readable());
}
END_TEST

/* The consumer's epoll is level-triggered: readable must mean exactly "something is there". */
START_TEST(descriptor_is_readable_while_not_empty)
{
    ck_assert(!is_readable());
    ck_assert_int_eq(push(1, 1), RK_OK);
    ck_assert_int_eq(push(2, 2), RK_OK);
    ck_assert(is_readable());
    assert_popped(2, 1, 2);
    ck_assert(is_readable());
    assert_popped(2, 3, 1);
    ck_assert(!is_readable());
    assert_popped(2, 0, 0);
    ck_assert(!is_readable());
}
END_TEST

START_TEST(descriptor_asked_for_late_tells_what_is_there)
{
    struct rk_queue *late = rk_queue_new(CAPACITY, sizeof(uint32_t));
    const uint32_t item = 1;
    uint32_t taken = 0;
    ck_assert_int_eq(rk_queue_push(late, &item, 1), RK_OK);
    struct pollfd ready = {.fd = rk_queue_fd(late), .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, 0), 1);
    ck_assert_uint_eq(rk_queue_pop(late, &taken, 1), 1);
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    rk_queue_free(late);
}
END_TEST

START_TEST(wait_ends_at_its_timeout)
{
    uint32_t item = 0;
    const uint64_t start_ms = rk_monotonic_ms();
    ck_assert_uint_eq(rk_queue_pop_wait(queue, &item, 1, 20), 0);
    ck_assert_uint_ge(rk_monotonic_ms() - start_ms, 20);
}
END_TEST

START_TEST(wait_does_not_wait_when_something_is_there)
{
    uint32_t items[CAPACITY];
    ck_assert_int_eq(push(1, 2), RK_OK);
    const uint64_t start_ms = rk_monotonic_ms();
    ck_assert_uint_eq(rk_queue_pop_wait(queue, items, CAPACITY, LONG_MS), 2);
    ck_assert_uint_lt(rk_monotonic_ms() - start_ms, LONG_MS / 2);
    ck_assert(!is_readable());
}
END_TEST

static void *push_seven(void *unused)
{
    ck_assert_int_eq(push(7, 1), RK_OK);
    return unused;
}

START_TEST(push_wakes_a_waiting_consumer)
{
    pthread_t thread;
    uint32_t item = 0;
    const uint64_t start_ms = rk_monotonic_ms();
    ck_assert_int_eq(pthread_create(&thread, NULL, push_seven, NULL), 0);
    ck_assert_uint_eq(rk_queue_pop_wait(queue, &item, 1, LONG_MS), 1);
    ck_assert_uint_eq(item, 7);
    ck_assert_uint_lt(rk_monotonic_ms() - start_ms, LONG_MS / 2);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* Pushes producer * 1,000,000 + 0, 1, 2, ... */
static void *produce(void *argument)
{
    const uint32_t producer = *(const uint32_t *)argument;
    for (uint32_t i = 0; i < PER_PRODUCER;) {
        const uint32_t item = producer * 1000000 + i;
        i += rk_queue_push(queue, &item, 1) == RK_OK;
    }
    return NULL;
}

/* One turn of a consumer: waits by descriptor or by condition, takes what is there. */
static uint32_t consume(bool by_descriptor, uint32_t *next)
{
    uint32_t items[CAPACITY];
    if (by_descriptor) {
        struct pollfd ready = {.fd = rk_queue_fd(queue), .events = POLLIN};
        ck_assert_int_eq(poll(&ready, 1, LONG_MS), 1);
    }
    const uint32_t count = by_descriptor ? rk_queue_pop(queue, items, CAPACITY)
                                         : rk_queue_pop_wait(queue, items, CAPACITY, LONG_MS);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t producer = items[i] / 1000000;
        ck_assert_uint_lt(producer, PRODUCERS);
        ck_assert_uint_eq(items[i] % 1000000, next[producer]);
        next[producer]++;
    }
    return count;
}

/* No item lost, doubled or out of its producer's order; no wake-up lost (a wait would time out). */
START_TEST(nothing_is_lost_between_threads)
{
    pthread_t threads[PRODUCERS];
    uint32_t producers[PRODUCERS];
    uint32_t next[PRODUCERS] = {0};
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (uint32_t total = 0; total < PRODUCERS * PER_PRODUCER;) {
        const uint32_t count = consume(_i == 0, next);
        ck_assert_uint_gt(count, 0);
        total += count;
    }
    for (int i = 0; i < PRODUCERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert(!is_readable());
}
END_TEST

/* Taken without a wait, an item may be gone before its producer has written the descriptor. */
START_TEST(one_pop_more_clears_the_descriptor_of_a_consumer_that_never_waits)
{
    pthread_t thread;
    const uint32_t producer = 0;
    uint32_t items[CAPACITY];
    ck_assert_int_ge(rk_queue_fd(queue), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, produce, (void *)(uintptr_t)&producer), 0);
    for (uint32_t total = 0; total < PER_PRODUCER;) {
        total += rk_queue_pop(queue, items, CAPACITY);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(rk_queue_pop(queue, items, CAPACITY), 0);
    ck_assert(!is_readable());
}
END_TEST

/* What the C library has given out; a sanitizer's own allocator says nothing there. */
static uint64_t allocated_bytes(void)
{
    const struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

START_TEST(a_queue_takes_no_memory_for_a_backlog_it_never_had)
{
    enum { ITEM_SIZE = 1024, MANY = 32 * 1024 };
    const uint64_t before = allocated_bytes();
    struct rk_queue *large = rk_queue_new(MANY, ITEM_SIZE);
    uint8_t item[ITEM_SIZE] = {1};

    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(rk_queue_push(large, item, 1), RK_OK);
        ck_assert_uint_eq(rk_queue_pop(large, item, 1), 1);
    }
    ck_assert_uint_lt(allocated_bytes(), before + (uint64_t)MANY * ITEM_SIZE / 4);
    rk_queue_free(large);
}
END_TEST

/* One stays behind, so that the ring has wrapped whenever it has to grow; the last item fills it. */
START_TEST(a_growing_ring_keeps_its_items_and_their_order)
{
    enum { MANY = 1000 };
    struct rk_queue *large = rk_queue_new(MANY, sizeof(uint32_t));
    uint32_t pushed = 0;
    uint32_t popped = 0;
    uint32_t item = 0;

    while (rk_queue_count(large) < MANY) {
        for (int i = 0; i < 3 && rk_queue_count(large) < MANY; i++, pushed++) {
            ck_assert_int_eq(rk_queue_push(large, &pushed, 1), RK_OK);
        }
        if (rk_queue_count(large) < MANY) {
            ck_assert_uint_eq(rk_queue_pop(large, &item, 1), 1);
            ck_assert_uint_eq(item, popped++);
        }
    }
    ck_assert_int_eq(rk_queue_push(large, &pushed, 1), RK_BUSY);
    while (popped < pushed) {
        ck_assert_uint_eq(rk_queue_pop(large, &item, 1), 1);
        ck_assert_uint_eq(item, popped++);
    }
    rk_queue_free(large);
}
END_TEST

START_TEST(queue_without_room_aborts)
{
    rk_queue_free(rk_queue_new(0, 1));
}
END_TEST

START_TEST(free_of_no_queue_is_allowed)
{
    rk_queue_free(NULL);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("queue");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, items_come_out_in_the_order_they_went_in);
    tcase_add_test(tcase, ring_wraps_around);
    tcase_add_test(tcase, push_is_all_or_none);
    tcase_add_test(tcase, more_than_the_capacity_never_fits);
    tcase_add_test(tcase, push_of_nothing_is_no_wake_up);
    tcase_add_test(tcase, descriptor_is_readable_while_not_empty);
    tcase_add_test(tcase, descriptor_asked_for_late_tells_what_is_there);
    tcase_add_test(tcase, wait_ends_at_its_timeout);
    tcase_add_test(tcase, wait_does_not_wait_when_something_is_there);
    tcase_add_test(tcase, push_wakes_a_waiting_consumer);
    tcase_add_loop_test(tcase, nothing_is_lost_between_threads, 0, 2);
    tcase_add_test(tcase, one_pop_more_clears_the_descriptor_of_a_consumer_that_never_waits);
    tcase_add_test(tcase, a_queue_takes_no_memory_for_a_backlog_it_never_had);
    tcase_add_test(tcase, a_growing_ring_keeps_its_items_and_their_order);
    tcase_add_test_raise_signal(tcase, queue_without_room_aborts, SIGABRT);
    tcase_add_test(tcase, free_of_no_queue_is_allowed);
    return run_suite("queue", tcase);
}
