#include "storage/log_store_mem.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"

enum { FRAMES_CAPACITY_START = 64 };

struct held_frame {
    uint8_t *data; /* owned */
    uint32_t size;
};

struct log_store_mem {
    struct log_store base;
    struct held_frame *frames; /* frames[i] is entry base_index + i + 1 */
    raft_index base_index;
    uint64_t frames_count;
    uint64_t frames_capacity;
    uint64_t bytes_held;
    uint64_t bytes_max;
    uint32_t write_number;
    uint32_t write_fault_at;
};

static struct log_store_mem *mem_of(struct log_store *store)
{
    return (struct log_store_mem *)store; /* base is the first member */
}

static void frames_truncate(struct log_store_mem *mem, uint64_t count)
{
    while (mem->frames_count > count) {
        mem->frames_count--;
        struct held_frame *frame = &mem->frames[mem->frames_count];
        mem->bytes_held -= frame->size;
        rk_heap_free(frame->data);
    }
}

static void frames_cut_front(struct log_store_mem *mem, uint64_t count)
{
    RK_ASSERT(count <= mem->frames_count);
    for (uint64_t i = 0; i < count; i++) {
        mem->bytes_held -= mem->frames[i].size;
        rk_heap_free(mem->frames[i].data);
    }
    mem->frames_count -= count;
    memmove(mem->frames, mem->frames + count, mem->frames_count * sizeof(mem->frames[0]));
    mem->base_index += count;
}

static void frames_append(struct log_store_mem *mem, struct rk_bytes frame)
{
    if (mem->frames_count == mem->frames_capacity) {
        mem->frames_capacity =
            mem->frames_capacity == 0 ? FRAMES_CAPACITY_START : 2 * mem->frames_capacity;
        mem->frames = rk_heap_realloc(mem->frames, mem->frames_capacity * sizeof(mem->frames[0]));
    }
    uint8_t *copy = rk_heap_alloc(frame.size);
    rk_bytes_copy(copy, frame);
    mem->frames[mem->frames_count] = (struct held_frame){copy, frame.size};
    mem->frames_count++;
    mem->bytes_held += frame.size;
}

/* An upper bound: what the same writes truncate is not taken off. */
static uint64_t writes_bytes(const struct raft_write *const *writes, uint32_t writes_count)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < writes_count; i++) {
        for (uint32_t j = 0; j < writes[i]->entries_count; j++) {
            bytes += writes[i]->entries[j].frame.size;
        }
    }
    return bytes;
}

static enum rk_status mem_write(struct log_store *store, const struct raft_write *const *writes,
                                uint32_t writes_count)
{
    struct log_store_mem *mem = mem_of(store);

    mem->write_number++;
    if (mem->write_number == mem->write_fault_at) {
        return RK_IO;
    }
    if (mem->bytes_max != 0 &&
        mem->bytes_held + writes_bytes(writes, writes_count) > mem->bytes_max) {
        return RK_FULL;
    }
    for (uint32_t i = 0; i < writes_count; i++) {
        const struct raft_write *write = writes[i];
        if (write->snapshot != NULL) {
            frames_truncate(mem, 0);
            mem->base_index = write->snapshot->id.index;
        }
        if (write->truncate_from != 0) {
            frames_truncate(mem, write->truncate_from - 1 - mem->base_index);
        }
        for (uint32_t j = 0; j < write->entries_count; j++) {
            RK_ASSERT(write->entries[j].id.index == mem->base_index + mem->frames_count + 1);
            frames_append(mem, write->entries[j].frame);
        }
    }
    return RK_OK;
}

static enum rk_status mem_read(struct log_store *store, raft_index first, raft_index last,
                               size_t bytes_max, struct rk_buf *buf, raft_index *ret_last)
{
    const struct log_store_mem *mem = mem_of(store);
    const size_t start = buf->size;
    raft_index index = first - 1;

    RK_ASSERT(first > mem->base_index);
    RK_ASSERT(last <= mem->base_index + mem->frames_count);
    do {
        const struct held_frame *frame = &mem->frames[index - mem->base_index];
        rk_buf_append(buf, frame->data, frame->size);
        index++;
    } while (index < last && !buf->overflowed && buf->size - start < bytes_max);
    const enum rk_status status = rk_buf_status(buf);
    if (status == RK_OK) {
        *ret_last = index;
    }
    return status;
}

static enum rk_status mem_compact(struct log_store *store, struct raft_entry_id base,
                                  uint64_t base_chain, bool is_first)
{
    struct log_store_mem *mem = mem_of(store);

    (void)is_first;
    RK_ASSERT(base_chain != 0); /* log_store.c keeps it */
    frames_cut_front(mem, base.index - mem->base_index);
    return RK_OK;
}

/* The list that log_store.c keeps is all there is. */
static enum rk_status mem_add_snapshot(struct log_store *store, const struct log_snapshot *snapshot)
{
    RK_ASSERT(snapshot->id.index > 0);
    RK_ASSERT(mem_of(store)->base.ops != NULL);
    return RK_OK;
}

static enum rk_status mem_remove_snapshot(struct log_store *store, raft_index index)
{
    RK_ASSERT(index > 0);
    RK_ASSERT(mem_of(store)->base.ops != NULL);
    return RK_OK;
}

static enum rk_status mem_forget(struct log_store *store)
{
    struct log_store_mem *mem = mem_of(store);

    frames_truncate(mem, 0);
    mem->base_index = 0;
    return RK_OK;
}

/* Memory has nothing to fold in. */
static enum rk_status mem_maintain(struct log_store *store)
{
    RK_ASSERT(mem_of(store)->base.ops != NULL);
    return RK_OK;
}

static void mem_close(struct log_store *store)
{
    struct log_store_mem *mem = mem_of(store);
    frames_truncate(mem, 0);
    rk_heap_free(mem->frames);
    rk_heap_free(mem);
}

static const struct log_store_ops mem_ops = {
    .write = mem_write,
    .read = mem_read,
    .compact = mem_compact,
    .add_snapshot = mem_add_snapshot,
    .remove_snapshot = mem_remove_snapshot,
    .forget = mem_forget,
    .maintain = mem_maintain,
    .close = mem_close,
};

struct log_store *log_store_mem_new(const struct log_store_mem_options *options)
{
    struct log_store_mem *mem = rk_heap_zalloc(1, sizeof(*mem));

    RK_ASSERT(strlen(options->node_name) < sizeof(mem->base.identity.node_name));
    RK_ASSERT(options->incarnation != 0);
    mem->base.ops = &mem_ops;
    mem->base.identity.incarnation = options->incarnation;
    (void)snprintf(mem->base.identity.node_name, sizeof(mem->base.identity.node_name), "%s",
                   options->node_name);
    mem->bytes_max = options->bytes_max;
    mem->write_fault_at = options->write_fault_at;
    return &mem->base;
}
