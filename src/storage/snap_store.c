#include "storage/snap_store.h"

#include "base/assert.h"
#include "base/heap.h"

enum rk_status snap_store_take(struct snap_store *store)
{
    const struct snap_ref none = {0};
    uint64_t size = 0;

    snap_store_drop(store, SNAP_TAKEN);
    const enum rk_status status = store->ops->open_part(store, SNAP_TAKEN, &none, &size);
    if (status == RK_OK) {
        RK_ASSERT(size == 0);
        store->is_open[SNAP_TAKEN] = true;
        store->size[SNAP_TAKEN] = 0;
    }
    return status;
}

enum rk_status snap_store_receive(struct snap_store *store, const struct snap_ref *what,
                                  uint64_t *ret_size)
{
    uint64_t size = 0;

    RK_ASSERT(what->id.index > 0);
    RK_ASSERT(!store->is_open[SNAP_RECEIVED]);
    const enum rk_status status = store->ops->open_part(store, SNAP_RECEIVED, what, &size);
    if (status == RK_OK) {
        store->is_open[SNAP_RECEIVED] = true;
        store->size[SNAP_RECEIVED] = size;
        *ret_size = size;
    }
    return status;
}

enum rk_status snap_store_append(struct snap_store *store, enum snap_part part,
                                 struct rk_bytes bytes)
{
    RK_ASSERT(store->is_open[part]);
    const enum rk_status status = store->ops->append(store, part, bytes);
    if (status == RK_OK) {
        store->size[part] += bytes.size;
    }
    return status;
}

enum rk_status snap_store_publish(struct snap_store *store, enum snap_part part,
                                  struct raft_entry_id id)
{
    RK_ASSERT(store->is_open[part]);
    RK_ASSERT(id.index > 0);
    store->is_open[part] = false;
    return store->ops->publish(store, part, id);
}

void snap_store_drop(struct snap_store *store, enum snap_part part)
{
    if (store->is_open[part]) {
        store->is_open[part] = false;
        store->ops->drop(store, part);
    }
}

enum rk_status snap_store_read(struct snap_store *store, struct raft_entry_id id, uint64_t offset,
                               uint8_t *to, size_t size, size_t *ret_size)
{
    RK_ASSERT(size > 0);
    return store->ops->read(store, id, offset, to, size, ret_size);
}

/* ---- reading whole ---- */

struct source {
    struct snap_store *store;
    struct raft_entry_id id;
};

static enum rk_status read_source(void *context, uint64_t offset, uint8_t *to, size_t size,
                                  size_t *ret_size)
{
    const struct source *source = context;
    return snap_store_read(source->store, source->id, offset, to, size, ret_size);
}

enum rk_status snap_store_load(struct snap_store *store, struct raft_entry_id id,
                               snap_store_visit *on_record, void *context, struct snap_ref *ret)
{
    struct source source = {.store = store, .id = id};
    struct snap_reader *reader = NULL;
    struct rk_bytes body = {0};
    uint8_t type = 0;

    enum rk_status status = snap_reader_open(read_source, &source, &reader);
    if (status != RK_OK) {
        return status;
    }
    const struct snap_head *head = snap_reader_head(reader);
    if (head->id.term != id.term || head->id.index != id.index) {
        status = RK_CORRUPT; /* another snapshot's bytes under this name */
    }
    while (status == RK_OK) {
        status = snap_reader_next(reader, &type, &body);
        if (status == RK_OK && on_record != NULL) {
            status = on_record(context, head, type, body);
        }
    }
    if (status == RK_NOT_FOUND && snap_reader_is_over(reader)) {
        *ret = snap_reader_ref(reader);
        status = RK_OK;
    }
    snap_reader_free(reader);
    return status;
}

enum rk_status snap_store_retain(struct snap_store *store, const struct raft_entry_id *ids,
                                 uint32_t ids_count)
{
    return store->ops->retain(store, ids, ids_count);
}

void snap_store_close(struct snap_store *store)
{
    if (store != NULL) {
        store->ops->close(store);
    }
}
