/* Snapshots in memory, for log-store = memory and for tests. */
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/heap.h"
#include "storage/log_store.h"
#include "storage/snap_store.h"

enum { HELD_MAX = LOG_SNAPSHOTS_MAX + 3 }; /* those noted down, and those on their way to be */

struct held {
    struct raft_entry_id id;
    struct rk_buf bytes;
};

struct snap_store_mem {
    struct snap_store base;
    struct rk_buf parts[SNAP_PARTS];
    struct snap_ref received; /* what the received part is of */
    struct held held[HELD_MAX];
    uint32_t held_count;
};

static struct snap_store_mem *mem_of(struct snap_store *store)
{
    return (struct snap_store_mem *)store; /* base is the first member */
}

static bool ids_equal(struct raft_entry_id a, struct raft_entry_id b)
{
    return a.term == b.term && a.index == b.index;
}

static struct held *held_find(struct snap_store_mem *self, struct raft_entry_id id)
{
    for (uint32_t i = 0; i < self->held_count; i++) {
        if (ids_equal(self->held[i].id, id)) {
            return &self->held[i];
        }
    }
    return NULL;
}

static void held_remove(struct snap_store_mem *self, struct held *held)
{
    rk_buf_done(&held->bytes);
    self->held_count--;
    memmove(held, held + 1, (size_t)(&self->held[self->held_count] - held) * sizeof(*held));
}

static enum rk_status mem_open_part(struct snap_store *store, enum snap_part part,
                                    const struct snap_ref *what, uint64_t *ret_size)
{
    struct snap_store_mem *self = mem_of(store);

    if (part == SNAP_TAKEN || !snap_ref_equal(&self->received, what)) {
        rk_buf_done(&self->parts[part]);
        rk_buf_init(&self->parts[part], SIZE_MAX);
    }
    if (part == SNAP_RECEIVED) {
        self->received = *what;
    }
    *ret_size = self->parts[part].size;
    return RK_OK;
}

static enum rk_status mem_append(struct snap_store *store, enum snap_part part,
                                 struct rk_bytes bytes)
{
    rk_buf_append(&mem_of(store)->parts[part], bytes.data, bytes.size);
    return RK_OK;
}

static enum rk_status mem_publish(struct snap_store *store, enum snap_part part,
                                  struct raft_entry_id id)
{
    struct snap_store_mem *self = mem_of(store);
    struct held *held = held_find(self, id);

    if (held != NULL) {
        held_remove(self, held);
    }
    RK_ASSERT(self->held_count < HELD_MAX);
    self->held[self->held_count] = (struct held){.id = id, .bytes = self->parts[part]};
    self->held_count++;
    rk_buf_init(&self->parts[part], SIZE_MAX);
    if (part == SNAP_RECEIVED) {
        self->received = (struct snap_ref){0};
    }
    return RK_OK;
}

static void mem_drop(struct snap_store *store, enum snap_part part)
{
    struct snap_store_mem *self = mem_of(store);

    rk_buf_done(&self->parts[part]);
    if (part == SNAP_RECEIVED) {
        self->received = (struct snap_ref){0};
    }
}

static enum rk_status mem_read(struct snap_store *store, struct raft_entry_id id, uint64_t offset,
                               uint8_t *to, size_t size, size_t *ret_size)
{
    const struct held *held = held_find(mem_of(store), id);

    if (held == NULL) {
        return RK_NOT_FOUND;
    }
    const size_t left = offset < held->bytes.size ? held->bytes.size - (size_t)offset : 0;
    *ret_size = size < left ? size : left;
    if (*ret_size > 0) {
        memcpy(to, held->bytes.data + offset, *ret_size);
    }
    return RK_OK;
}

static enum rk_status mem_retain(struct snap_store *store, const struct raft_entry_id *ids,
                                 uint32_t ids_count)
{
    struct snap_store_mem *self = mem_of(store);

    for (uint32_t i = self->held_count; i > 0; i--) {
        bool is_retained = false;
        for (uint32_t j = 0; j < ids_count; j++) {
            is_retained = is_retained || ids_equal(self->held[i - 1].id, ids[j]);
        }
        if (!is_retained) {
            held_remove(self, &self->held[i - 1]);
        }
    }
    return RK_OK;
}

static void mem_close(struct snap_store *store)
{
    struct snap_store_mem *self = mem_of(store);

    for (uint32_t i = 0; i < SNAP_PARTS; i++) {
        rk_buf_done(&self->parts[i]);
    }
    while (self->held_count > 0) {
        held_remove(self, &self->held[self->held_count - 1]);
    }
    rk_heap_free(self);
}

static const struct snap_store_ops mem_ops = {
    .open_part = mem_open_part,
    .append = mem_append,
    .publish = mem_publish,
    .drop = mem_drop,
    .read = mem_read,
    .retain = mem_retain,
    .close = mem_close,
};

struct snap_store *snap_store_mem_new(void)
{
    struct snap_store_mem *self = rk_heap_zalloc(1, sizeof(*self));

    self->base.ops = &mem_ops;
    for (uint32_t i = 0; i < SNAP_PARTS; i++) {
        rk_buf_init(&self->parts[i], SIZE_MAX);
    }
    return &self->base;
}
