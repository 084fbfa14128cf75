#include "statemachine/history.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"

struct sm_history_segment {
    struct sm_history_segment *next; /* in order; readers of older roots follow it still */
    struct sm_history_segment *retired_before;
    raft_index last_index; /* set before the next segment is begun */
    uint64_t retired_version;
    uint32_t size;
    uint32_t capacity;
    uint8_t bytes[]; /* records */
};

/* In front of key and value; records begin at multiples of its alignment. */
struct record {
    raft_index index;
    raft_index create_index;
    uint64_t lock_index;
    uint64_t flags;
    uint32_t sequence;
    uint32_t value_size;
    uint16_t key_size;
    uint8_t type;
    uint8_t cause;
};

enum { RECORD_ALIGN = 8 };

static uint32_t record_size(uint32_t key_size, uint32_t value_size)
{
    const uint32_t size = (uint32_t)sizeof(struct record) + key_size + value_size;

    return (size + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

void sm_history_init(struct sm_history *history, struct omap_heap *heap)
{
    *history = (struct sm_history){.heap = heap};
}

/* --- segments --- */

static void segment_free(struct sm_history *history, struct sm_history_segment *segment)
{
    history->heap->memory -= sizeof(*segment) + segment->capacity;
    rk_heap_free(segment);
}

static void free_retired(struct sm_history *history, struct sm_history_segment *segment)
{
    while (segment != NULL) {
        struct sm_history_segment *before = segment->retired_before;
        segment_free(history, segment);
        segment = before;
    }
}

void sm_history_done(struct sm_history *history)
{
    free_retired(history, history->retired);
    for (struct sm_history_segment *segment = history->first; segment != NULL;) {
        struct sm_history_segment *next = segment->next;
        segment_free(history, segment);
        segment = next;
    }
    *history = (struct sm_history){.heap = history->heap};
}

void sm_history_begin_after(struct sm_history *history, raft_index index)
{
    RK_ASSERT(history->first == NULL);
    history->floor = index;
    history->last_index = index;
}

static void retire_first(struct sm_history *history)
{
    struct sm_history_segment *gone = history->first;

    history->first = gone->next;
    history->size -= gone->capacity;
    history->floor = gone->last_index;
    gone->retired_version = history->heap->version;
    gone->retired_before = history->retired;
    history->retired = gone;
}

static struct sm_history_segment *segment_new(struct sm_history *history, uint32_t needed)
{
    const uint32_t capacity = needed > SM_HISTORY_SEGMENT_SIZE ? needed : SM_HISTORY_SEGMENT_SIZE;
    struct sm_history_segment *segment = rk_heap_alloc(sizeof(*segment) + capacity);

    *segment = (struct sm_history_segment){.capacity = capacity};
    history->heap->memory += sizeof(*segment) + capacity;
    history->size += capacity;
    if (history->last != NULL) {
        history->last->next = segment;
    } else {
        history->first = segment;
    }
    history->last = segment;
    while (history->size > SM_HISTORY_SIZE_MAX && history->first != segment) {
        retire_first(history);
    }
    return segment;
}

void sm_history_reclaim(struct sm_history *history, uint64_t oldest_version)
{
    struct sm_history_segment **link = &history->retired;

    while (*link != NULL && (*link)->retired_version > oldest_version) {
        link = &(*link)->retired_before;
    }
    free_retired(history, *link); /* the rest was retired earlier still */
    *link = NULL;
}

/* --- adding --- */

void sm_history_add(struct sm_history *history, const struct sm_event *event)
{
    const uint32_t size = record_size(event->key.size, event->value.size);
    struct sm_history_segment *segment = history->last;

    RK_ASSERT(event->index >= history->last_index);
    history->last_sequence = event->index == history->last_index ? history->last_sequence + 1 : 1;
    history->last_index = event->index;
    if (segment == NULL || segment->capacity - segment->size < size) {
        segment = segment_new(history, size);
    }
    const struct record record = {
        .index = event->index,
        .create_index = event->create_index,
        .lock_index = event->lock_index,
        .flags = event->flags,
        .sequence = history->last_sequence,
        .value_size = event->value.size,
        .key_size = (uint16_t)event->key.size,
        .type = (uint8_t)event->type,
        .cause = (uint8_t)event->cause,
    };
    uint8_t *place = segment->bytes + segment->size;
    memcpy(place, &record, sizeof(record));
    if (event->key.size > 0) {
        rk_bytes_copy(place + sizeof(record), event->key);
    }
    if (event->value.size > 0) {
        rk_bytes_copy(place + sizeof(record) + event->key.size, event->value);
    }
    segment->size += size;
    segment->last_index = event->index;
}

struct sm_history_view sm_history_view(const struct sm_history *history)
{
    return (struct sm_history_view){
        .first = history->first,
        .last = history->last,
        .last_size = history->last == NULL ? 0 : history->last->size,
        .floor = history->floor,
    };
}

/* --- reading --- */

/* Of the last segment only what the root knew of may be looked at. */
static uint32_t readable_size(const struct sm_history_view *view,
                              const struct sm_history_segment *segment)
{
    return segment == view->last ? view->last_size : segment->size;
}

bool sm_events_seek(struct sm_event_cursor *cursor, const struct sm_root *root,
                    struct sm_event_place after)
{
    const struct sm_history_view *view = &root->history;
    const struct sm_history_segment *segment = view->first;

    if (after.index < view->floor ||
        (after.index == view->floor && after.sequence != SM_EVENT_SEQUENCE_LAST)) {
        return false;
    }
    while (segment != NULL && segment != view->last && segment->last_index < after.index) {
        segment = segment->next;
    }
    *cursor = (struct sm_event_cursor){.view = *view, .segment = segment, .after = after};
    return true;
}

/* The next record, or NULL; the cursor stands before it. */
static const uint8_t *record_at(struct sm_event_cursor *cursor)
{
    const struct sm_history_view *view = &cursor->view;

    while (cursor->segment != NULL && cursor->offset == readable_size(view, cursor->segment)) {
        cursor->segment = cursor->segment == view->last ? NULL : cursor->segment->next;
        cursor->offset = 0;
    }
    return cursor->segment == NULL ? NULL : cursor->segment->bytes + cursor->offset;
}

static bool is_after(const struct record *record, struct sm_event_place place)
{
    return record->index > place.index ||
           (record->index == place.index && record->sequence > place.sequence);
}

static void event_read(const uint8_t *bytes, const struct record *record, struct sm_event *ret)
{
    const uint8_t *key = bytes + sizeof(*record);

    *ret = (struct sm_event){
        .type = (enum sm_event_type)record->type,
        .cause = (enum sm_cause)record->cause,
        .index = record->index,
        .sequence = record->sequence,
        .key = {.data = key, .size = record->key_size},
        .value = {.data = key + record->key_size, .size = record->value_size},
        .flags = record->flags,
        .create_index = record->create_index,
        .lock_index = record->lock_index,
    };
}

static bool is_last_of_its_index(struct sm_event_cursor *cursor, raft_index index)
{
    struct record next;
    const uint8_t *bytes = record_at(cursor);

    if (bytes == NULL) { /* a root is published between two entries */
        return true;
    }
    memcpy(&next, bytes, sizeof(next));
    return next.index != index;
}

bool sm_events_next(struct sm_event_cursor *cursor, struct sm_event *ret)
{
    const uint8_t *bytes = record_at(cursor);
    struct record record;

    while (bytes != NULL) {
        memcpy(&record, bytes, sizeof(record));
        cursor->offset += record_size(record.key_size, record.value_size);
        if (is_after(&record, cursor->after)) {
            event_read(bytes, &record, ret);
            ret->is_last = is_last_of_its_index(cursor, record.index);
            return true;
        }
        bytes = record_at(cursor);
    }
    return false;
}
