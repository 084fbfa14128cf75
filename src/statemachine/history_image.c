/* The records of the history in an image; integers are little-endian:
 *
 *     0  u64 floor: of the last event that was given up
 *     8  event after event:
 *         0  u64 index         32  u32 sequence
 *         8  u64 create_index  36  u32 value_size
 *        16  u64 lock_index    40  u16 key_size
 *        24  u64 flags         42  u8 type, u8 cause
 *                              44  key, value
 *
 * A record ends with the event that makes it SM_HISTORY_RECORD_SIZE bytes or more, or with the last one; the first
 * is there even without one. A history begins where a segment began, so what is read back stands in the
 * same segments again: its end comes at the same time on every node. */
#include "statemachine/history_image.h"

#include <stddef.h>

#include "base/le.h"
#include "statemachine/image.h"

enum { HEAD_SIZE = 8, EVENT_FIXED_SIZE = 44 };

_Static_assert(SM_HISTORY_RECORD_SIZE + EVENT_FIXED_SIZE + RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX <=
                   SM_IMAGE_RECORD_SIZE_MAX,
               "the largest record is a legal one");

void sm_history_writer_init(struct sm_history_writer *writer, const struct sm_history_view *view)
{
    *writer = (struct sm_history_writer){
        .cursor = {.view = *view, .segment = view->first},
        .is_due = true,
    };
    writer->has_next = sm_events_next(&writer->cursor, &writer->next);
}

static void append_event(struct rk_buf *buf, const struct sm_event *event)
{
    uint8_t fixed[EVENT_FIXED_SIZE];

    rk_le_put_u64(fixed, event->index);
    rk_le_put_u64(fixed + 8, event->create_index);
    rk_le_put_u64(fixed + 16, event->lock_index);
    rk_le_put_u64(fixed + 24, event->flags);
    rk_le_put_u32(fixed + 32, event->sequence);
    rk_le_put_u32(fixed + 36, event->value.size);
    rk_le_put_u16(fixed + 40, (uint16_t)event->key.size);
    fixed[42] = (uint8_t)event->type;
    fixed[43] = (uint8_t)event->cause;
    rk_buf_append(buf, fixed, sizeof(fixed));
    rk_buf_append(buf, event->key.data, event->key.size);
    rk_buf_append(buf, event->value.data, event->value.size);
}

bool sm_history_write(struct sm_history_writer *writer, struct rk_buf *buf)
{
    const size_t start = buf->size;
    uint8_t head[HEAD_SIZE];

    if (!writer->is_due) {
        return false;
    }
    rk_le_put_u64(head, writer->cursor.view.floor);
    rk_buf_append(buf, head, sizeof(head));
    while (writer->has_next && buf->size - start < SM_HISTORY_RECORD_SIZE && !buf->overflowed) {
        append_event(buf, &writer->next);
        writer->has_next = sm_events_next(&writer->cursor, &writer->next);
    }
    writer->is_due = writer->has_next;
    return true;
}

/* --- reading --- */

/* Takes one event off the front. */
static enum rk_status take_event(struct rk_bytes *rest, struct sm_event *ret)
{
    if (rest->size < EVENT_FIXED_SIZE) {
        return RK_CORRUPT;
    }
    const uint8_t *from = rest->data;
    const uint32_t value_size = rk_le_u32(from + 36);
    const uint32_t key_size = rk_le_u16(from + 40);
    if (key_size > RK_KEY_SIZE_MAX || value_size > RK_VALUE_SIZE_MAX ||
        rest->size - EVENT_FIXED_SIZE < key_size + value_size || from[42] < SM_EVENT_PUT ||
        from[42] > SM_EVENT_DELETE_PREFIX || from[43] < SM_CAUSE_PUT || from[43] > SM_CAUSE_CHECK) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_event){
        .type = (enum sm_event_type)from[42],
        .cause = (enum sm_cause)from[43],
        .index = rk_le_u64(from),
        .sequence = rk_le_u32(from + 32),
        .key = {.data = from + EVENT_FIXED_SIZE, .size = key_size},
        .value = {.data = from + EVENT_FIXED_SIZE + key_size, .size = value_size},
        .flags = rk_le_u64(from + 24),
        .create_index = rk_le_u64(from + 8),
        .lock_index = rk_le_u64(from + 16),
    };
    rest->data += EVENT_FIXED_SIZE + key_size + value_size;
    rest->size -= EVENT_FIXED_SIZE + key_size + value_size;
    return RK_OK;
}

/* The first one may go on where what was given up of its entry ended. */
static void begin_at(struct sm_history *history, const struct sm_event *event)
{
    if (history->first == NULL && event->sequence > 1) {
        history->last_index = event->index;
        history->last_sequence = event->sequence - 1;
    }
}

static bool follows(const struct sm_history *history, const struct sm_event *event,
                    raft_index last_applied)
{
    const uint32_t sequence = event->index == history->last_index ? history->last_sequence + 1 : 1;

    return event->index >= history->floor && event->index >= history->last_index &&
           event->index <= last_applied && event->sequence == sequence;
}

enum rk_status sm_history_read(struct sm_history *history, struct rk_bytes body,
                               raft_index last_applied)
{
    struct rk_bytes rest = body;

    if (body.size < HEAD_SIZE || rk_le_u64(body.data) > last_applied) {
        return RK_CORRUPT;
    }
    if (history->first == NULL) {
        sm_history_begin_after(history, rk_le_u64(body.data));
    } else if (history->floor != rk_le_u64(body.data) || body.size == HEAD_SIZE) {
        return RK_CORRUPT;
    }
    rest.data += HEAD_SIZE;
    rest.size -= HEAD_SIZE;
    while (rest.size > 0) {
        struct sm_event event;
        if (body.size - rest.size >= SM_HISTORY_RECORD_SIZE || take_event(&rest, &event) != RK_OK) {
            return RK_CORRUPT;
        }
        begin_at(history, &event);
        if (!follows(history, &event, last_applied)) {
            return RK_CORRUPT;
        }
        sm_history_add(history, &event);
    }
    return RK_OK;
}
