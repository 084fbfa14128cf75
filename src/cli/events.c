#include "cli/events.h"

#include <string.h>

void events_init(struct events *events)
{
    *events = (struct events){.on_event = NULL};
    rk_buf_init(&events->data, EVENTS_LINE_SIZE_MAX + 1);
    rk_buf_init(&events->line, EVENTS_LINE_SIZE_MAX);
}

void events_done(struct events *events)
{
    rk_buf_done(&events->data);
    rk_buf_done(&events->line);
}

static void event_clear(struct events *events)
{
    events->id[0] = '\0';
    events->name[0] = '\0';
    rk_buf_reset(&events->data);
}

void events_restart(struct events *events)
{
    event_clear(events);
    rk_buf_reset(&events->line);
}

/* A field that does not fit is none that a node sends. */
static void field_copy(char *field, struct rk_bytes value)
{
    if (value.size < EVENTS_NAME_SIZE) {
        rk_bytes_copy(field, value);
        field[value.size] = '\0';
    }
}

static bool field_is(struct rk_bytes line, const char *name, struct rk_bytes *ret_value)
{
    const uint32_t size = (uint32_t)strlen(name);

    if (line.size < size || memcmp(line.data, name, size) != 0) {
        return false;
    }
    *ret_value = (struct rk_bytes){.data = line.data + size, .size = line.size - size};
    return true;
}

static void event_end(struct events *events)
{
    if (events->id[0] != '\0') {
        memcpy(events->last_id, events->id, sizeof(events->last_id));
    }
    if (events->data.size > 0) {
        rk_buf_append_byte(&events->data, '\0');
        const struct rk_bytes data = {.data = events->data.data,
                                      .size = (uint32_t)events->data.size - 1};
        events->on_event(events->context, events->name, data);
    }
    event_clear(events);
}

static void line_end(struct events *events)
{
    const struct rk_bytes line = rk_buf_bytes(&events->line);
    struct rk_bytes value;

    if (line.size == 0) {
        event_end(events);
    } else if (field_is(line, "id: ", &value)) {
        field_copy(events->id, value);
    } else if (field_is(line, "event: ", &value)) {
        field_copy(events->name, value);
    } else if (field_is(line, "data: ", &value)) {
        rk_buf_append(&events->data, value.data, value.size);
    }
    rk_buf_reset(&events->line);
}

enum rk_status events_take(struct events *events, struct rk_bytes bytes)
{
    while (bytes.size > 0) {
        const uint8_t *end = memchr(bytes.data, '\n', bytes.size);
        const uint32_t size = end == NULL ? bytes.size : (uint32_t)(end - bytes.data);
        rk_buf_append(&events->line, bytes.data, size);
        if (rk_buf_status(&events->line) != RK_OK) {
            return RK_TOO_LARGE;
        }
        if (end != NULL) {
            line_end(events);
        }
        const uint32_t step = end == NULL ? size : size + 1;
        bytes.data += step;
        bytes.size -= step;
    }
    return RK_OK;
}
