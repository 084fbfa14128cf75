/* doors_base.c -- what the code of a node finds in the place of clocks, chance, queues between
 * threads, the log and the crash of an assertion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/queue.h"
#include "sim/node/world.h"

/* -- time and chance -- */

static uint64_t clock_us(void)
{
    return sim_world->current != NULL ? host_clock_us(sim_world->current) : sim_world->now_us;
}

uint64_t rk_monotonic_ms(void)
{
    return clock_us() / MS;
}

uint64_t rk_monotonic_us(void)
{
    return clock_us();
}

uint64_t rk_boottime_ms(void)
{
    return clock_us() / MS;
}

uint64_t rk_wall_ms(void)
{
    return 1000000 + clock_us() / MS;
}

uint64_t rk_random_u64(void)
{
    const uint64_t high = tape_draw(&sim_world->tape, TAPE_SEED, UINT32_MAX);
    const uint64_t low = tape_draw(&sim_world->tape, TAPE_SEED, UINT32_MAX);

    return (high << 32 | low) + 1;
}

/* -- queues: one thread, so a ring -- */

struct rk_queue {
    uint8_t *items;
    size_t item_size;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
};

struct rk_queue *rk_queue_new(uint32_t capacity, size_t item_size)
{
    struct rk_queue *queue = rk_heap_zalloc(1, sizeof(*queue));

    queue->items = rk_heap_alloc(capacity * item_size);
    queue->item_size = item_size;
    queue->capacity = capacity;
    return queue;
}

void rk_queue_free(struct rk_queue *queue)
{
    if (queue != NULL) {
        rk_heap_free(queue->items);
        rk_heap_free(queue);
    }
}

enum rk_status rk_queue_push(struct rk_queue *queue, const void *items, uint32_t count)
{
    if (count > queue->capacity - queue->count) {
        return RK_BUSY;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = (queue->head + queue->count) % queue->capacity;
        memcpy(queue->items + at * queue->item_size, (const uint8_t *)items + i * queue->item_size,
               queue->item_size);
        queue->count++;
    }
    return RK_OK;
}

uint32_t rk_queue_pop(struct rk_queue *queue, void *items, uint32_t max)
{
    uint32_t taken = 0;

    for (; taken < max && queue->count > 0; taken++) {
        memcpy((uint8_t *)items + taken * queue->item_size,
               queue->items + queue->head * queue->item_size, queue->item_size);
        queue->head = (queue->head + 1) % queue->capacity;
        queue->count--;
    }
    return taken;
}

uint32_t rk_queue_count(const struct rk_queue *queue)
{
    return queue->count;
}

/* -- the log: a part of the story -- */

bool rk_log_wants(enum rk_log_level level)
{
    return sim_world != NULL && sim_world->trace != NULL && level >= RK_LOG_INFO;
}

void rk_log_write(enum rk_log_level level, const char *subsystem, const char *event,
                  const struct rk_log_field *fields)
{
    char text[512];
    size_t size = 0;

    (void)level;
    for (; fields->kind != RK_LOG_KIND_END && size < sizeof(text) - 1; fields++) {
        const int more =
            fields->kind == RK_LOG_KIND_TEXT
                ? snprintf(text + size, sizeof(text) - size, " %s=%s", fields->name, fields->text)
                : snprintf(text + size, sizeof(text) - size, " %s=%llu", fields->name,
                           (unsigned long long)fields->u64);
        size += more > 0 ? (size_t)more : 0;
    }
    text[size < sizeof(text) ? size : sizeof(text) - 1] = '\0';
    world_tell(sim_world, sim_world->current, "%s %s%s", subsystem, event, text);
}

/* -- what must not happen -- */

_Noreturn void rk_assert_fail(const char *expression, const char *file, int line)
{
    if (sim_world == NULL) {
        (void)fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
        abort();
    }
    world_fail("assertion", "%s:%d: %s", file, line, expression);
}

_Noreturn void node_end(struct node *node, enum rk_status status, const char *event,
                        raft_index index)
{
    struct host *host = sim_world->current;

    RK_ASSERT(host != NULL && (host->node == NULL || host->node == node) && host->has_end);
    host->end_status = status;
    host->end_event = event;
    world_tell(sim_world, host, "ends: %s, %s, %llu", event, rk_status_text(status),
               (unsigned long long)index);
    longjmp(host->end, 1);
}
