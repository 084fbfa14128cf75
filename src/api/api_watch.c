#include "api/api_watch.h"

#include <string.h>

#include "api/answer.h"
#include "api/read_options.h"
#include "api/request.h"
#include "base/assert.h"
#include "base/heap.h"
#include "base/parse.h"

enum phase {
    PHASE_START, /* nothing was sent yet */
    PHASE_LISTING,
    PHASE_FOLLOW,
};

struct api_events {
    enum phase phase;
    bool has_place; /* the client named one */
    struct sm_event_place place;
    struct rk_buf prefix;
    struct rk_buf listed; /* PHASE_LISTING: the least key that is not listed yet */
};

_Static_assert(API_EVENTS_SLICE_SIZE + 6 * RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX / 3 * 4 + 1024 <=
                   API_EVENTS_SIZE_MAX,
               "a slice and one event fit a chunk");

/* --- the request --- */

static enum rk_status place_parse(const char *text, struct sm_event_place *ret)
{
    char index[24] = "";
    uint64_t sequence = SM_EVENT_SEQUENCE_LAST;
    const size_t size = strcspn(text, ".");

    if (size >= sizeof(index)) {
        return RK_INVALID;
    }
    memcpy(index, text, size);
    if (text[size] == '.' &&
        (rk_parse_u64(text + size + 1, &sequence) != RK_OK || sequence >= SM_EVENT_SEQUENCE_LAST)) {
        return RK_INVALID;
    }
    ret->sequence = (uint32_t)sequence;
    return rk_parse_u64(index, &ret->index);
}

/* A browser repeats the query it began with, and adds the header: that is the later word. */
static const char *place_text(const struct api_call *call)
{
    const char *last = http_request_header(call->request, "Last-Event-ID");
    const char *since = request_parameter(call, "since");

    if (last != NULL && *last != '\0') {
        return last;
    }
    return since == NULL || *since == '\0' ? NULL : since;
}

enum api_action watch_begin(struct api_call *call, const struct node_view *node,
                            struct http_response *response)
{
    struct sm_event_place place;
    const char *text = place_text(call);

    if (!read_options_parse_consistency(call, node, response) ||
        !datacenter_check(call, response) || !namespace_check(call, response)) {
        return API_RESPOND;
    }
    if (text != NULL && place_parse(text, &place) != RK_OK) {
        return answer_text(response, 400, "Invalid since or Last-Event-ID");
    }
    return API_READ;
}

static struct api_events *events_new(const struct api_call *call)
{
    struct api_events *events = rk_heap_zalloc(1, sizeof(*events));
    const char *text = place_text(call);

    if (text != NULL) {
        const enum rk_status status = place_parse(text, &events->place);
        RK_ASSERT(status == RK_OK);
        events->has_place = true;
    }
    rk_buf_init(&events->prefix, RK_KEY_SIZE_MAX);
    rk_buf_append(&events->prefix, call->key.data, call->key.size);
    rk_buf_init(&events->listed, RK_KEY_SIZE_MAX + 1);
    RK_ASSERT(rk_buf_status(&events->prefix) == RK_OK);
    return events;
}

void api_events_free(struct api_events *events)
{
    if (events != NULL) {
        rk_buf_done(&events->prefix);
        rk_buf_done(&events->listed);
        rk_heap_free(events);
    }
}

void watch_finish(struct api_call *call, const struct sm_root *root, const struct node_view *node,
                  struct http_response *response, bool *ret_streams)
{
    (void)ret_streams;
    call->events = events_new(call);
    http_response_header_static(response, "Content-Type", "text/event-stream");
    http_response_header_static(response, "Cache-Control", "no-cache");
    answer_read_headers(response, node, sm_kv_index_of_prefix(root, request_key(call)));
}

/* --- one event --- */

static void append_id(struct rk_buf *chunk, struct sm_event_place place)
{
    rk_buf_append_text(chunk, "id: ");
    rk_buf_append_u64(chunk, place.index);
    if (place.sequence != SM_EVENT_SEQUENCE_LAST) {
        rk_buf_append_byte(chunk, '.');
        rk_buf_append_u64(chunk, place.sequence);
    }
    rk_buf_append_byte(chunk, '\n');
}

static void begin(struct rk_buf *chunk, const char *event, struct rk_json *json)
{
    rk_buf_append_text(chunk, "event: ");
    rk_buf_append_text(chunk, event);
    rk_buf_append_text(chunk, "\ndata: ");
    rk_json_init(json, chunk, false);
    rk_json_object_begin(json);
}

static void end(struct rk_buf *chunk, struct rk_json *json)
{
    rk_json_object_end(json);
    rk_buf_append_text(chunk, "\n\n");
}

static void member_u64(struct rk_json *json, const char *name, uint64_t value)
{
    rk_json_name(json, name);
    rk_json_u64(json, value);
}

static void render_put(const struct sm_kv_entry *entry, const char *cause, struct rk_buf *chunk)
{
    struct rk_json json;

    begin(chunk, "put", &json);
    rk_json_name(&json, "Key");
    rk_json_bytes(&json, entry->key);
    rk_json_name(&json, "Value");
    rk_json_base64(&json, entry->value);
    member_u64(&json, "Flags", entry->flags);
    member_u64(&json, "CreateIndex", entry->create_index);
    member_u64(&json, "ModifyIndex", entry->modify_index);
    member_u64(&json, "LockIndex", entry->lock_index);
    rk_json_name(&json, "Cause");
    rk_json_text(&json, cause);
    end(chunk, &json);
}

static const char *cause_text(enum sm_cause cause)
{
    static const char *const texts[] = {
        [SM_CAUSE_PUT] = "put",
        [SM_CAUSE_DELETE] = "delete",
        [SM_CAUSE_DELETE_PREFIX] = "delete-prefix",
        [SM_CAUSE_ACQUIRE] = "acquire",
        [SM_CAUSE_RELEASE] = "release",
        [SM_CAUSE_SESSION_DESTROY] = "session-destroy",
        [SM_CAUSE_EXPIRE] = "expire",
        [SM_CAUSE_TXN] = "txn",
        [SM_CAUSE_CHECK] = "check",
    };

    RK_ASSERT(cause > 0 && cause < sizeof(texts) / sizeof(texts[0]));
    return texts[cause];
}

static void render_delete(const struct sm_event *event, struct rk_buf *chunk)
{
    const bool is_prefix = event->type == SM_EVENT_DELETE_PREFIX;
    struct rk_json json;

    begin(chunk, is_prefix ? "delete-prefix" : "delete", &json);
    rk_json_name(&json, is_prefix ? "Prefix" : "Key");
    rk_json_bytes(&json, event->key);
    member_u64(&json, "Index", event->index);
    rk_json_name(&json, "Cause");
    rk_json_text(&json, cause_text(event->cause));
    end(chunk, &json);
}

static void render_event(const struct sm_event *event, struct rk_buf *chunk)
{
    const struct sm_event_place place = {
        .index = event->index,
        .sequence = event->is_last ? SM_EVENT_SEQUENCE_LAST : event->sequence,
    };

    append_id(chunk, place);
    if (event->type != SM_EVENT_PUT) {
        render_delete(event, chunk);
        return;
    }
    const struct sm_kv_entry entry = {
        .key = event->key,
        .value = event->value,
        .flags = event->flags,
        .create_index = event->create_index,
        .modify_index = event->index,
        .lock_index = event->lock_index,
    };
    render_put(&entry, cause_text(event->cause), chunk);
}

/* `start`, `reset`, `listed`: nothing but a place. */
static void render_mark(const char *event, raft_index id, raft_index index, struct rk_buf *chunk)
{
    struct rk_json json;

    append_id(chunk, (struct sm_event_place){.index = id, .sequence = SM_EVENT_SEQUENCE_LAST});
    begin(chunk, event, &json);
    member_u64(&json, "Index", index);
    end(chunk, &json);
}

void api_events_end(const char *reason, struct rk_buf *chunk)
{
    struct rk_json json;

    begin(chunk, "end", &json);
    rk_json_name(&json, "Reason");
    rk_json_text(&json, reason);
    end(chunk, &json);
}

void api_events_keep_alive(const struct api_events *events, struct rk_buf *chunk)
{
    rk_buf_append_text(chunk, ": keep-alive\n");
    if (events->phase == PHASE_FOLLOW) {
        append_id(chunk, events->place);
    }
    rk_buf_append_byte(chunk, '\n');
}

/* --- the phases --- */

static bool begins_with(struct rk_bytes key, struct rk_bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

static bool concerns(const struct api_events *events, const struct sm_event *event)
{
    const struct rk_bytes prefix = rk_buf_bytes(&events->prefix);

    return begins_with(event->key, prefix) ||
           (event->type == SM_EVENT_DELETE_PREFIX && begins_with(prefix, event->key));
}

static enum api_events_status follow(struct api_events *events, const struct sm_root *root,
                                     struct rk_buf *chunk)
{
    struct sm_event_cursor cursor;
    struct sm_event event;

    if (!sm_events_seek(&cursor, root, events->place)) {
        api_events_end(
            "what comes next is not kept any more: too slow, or the node took over a snapshot",
            chunk);
        return API_EVENTS_CUT;
    }
    while (chunk->size < API_EVENTS_SLICE_SIZE) {
        if (!sm_events_next(&cursor, &event)) {
            if (root->last_applied > events->place.index) { /* else of a node that is ahead */
                events->place.index = root->last_applied;
            }
            events->place.sequence = SM_EVENT_SEQUENCE_LAST;
            return API_EVENTS_DONE;
        }
        events->place.index = event.index;
        events->place.sequence = event.is_last ? SM_EVENT_SEQUENCE_LAST : event.sequence;
        if (concerns(events, &event)) {
            render_event(&event, chunk);
        }
    }
    return API_EVENTS_MORE;
}

/* A key that was changed since the listing began is left to its events, which follow: so no root has
 * to be held while a slow reader takes a long listing, and what is sent never goes back in time. */
static enum api_events_status list(struct api_events *events, const struct sm_root *root,
                                   struct rk_buf *chunk)
{
    struct sm_kv_cursor cursor;
    struct sm_kv_entry entry;

    sm_kv_cursor_init(&cursor, root, rk_buf_bytes(&events->prefix));
    sm_kv_cursor_seek(&cursor, rk_buf_bytes(&events->listed));
    while (chunk->size < API_EVENTS_SLICE_SIZE) {
        if (!sm_kv_cursor_next(&cursor, &entry)) {
            events->phase = PHASE_FOLLOW;
            render_mark("listed", events->place.index, events->place.index, chunk);
            return API_EVENTS_MORE;
        }
        if (entry.modify_index <= events->place.index) {
            render_put(&entry, "listing", chunk);
        }
        rk_buf_reset(&events->listed);
        rk_buf_append(&events->listed, entry.key.data, entry.key.size);
        rk_buf_append_byte(&events->listed, 0);
    }
    return API_EVENTS_MORE;
}

/* A place that this state has not reached is of a node that is ahead: what comes up to there was told,
 * and the stream waits (pitfall 135). It may also be of another cluster, so it does not wait in silence.
 * No id: the reader keeps its own. */
static void render_ahead(raft_index index, struct rk_buf *chunk)
{
    struct rk_json json;

    begin(chunk, "ahead", &json);
    member_u64(&json, "Index", index);
    end(chunk, &json);
}

/* The id of `reset` is one that is never kept: a listing that breaks off begins anew. */
static enum api_events_status start(struct api_events *events, const struct sm_root *root,
                                    struct rk_buf *chunk)
{
    const struct sm_event_place now = {.index = root->last_applied,
                                       .sequence = SM_EVENT_SEQUENCE_LAST};
    struct sm_event_cursor cursor;

    if (!events->has_place) {
        events->place = now;
        events->phase = PHASE_FOLLOW;
        render_mark("start", now.index, now.index, chunk);
    } else if (sm_events_seek(&cursor, root, events->place) && events->place.index > 0) {
        events->phase = PHASE_FOLLOW;
        if (events->place.index > now.index) {
            render_ahead(now.index, chunk);
        }
    } else {
        events->place = now;
        events->phase = PHASE_LISTING;
        render_mark("reset", 0, now.index, chunk);
    }
    return API_EVENTS_MORE;
}

enum api_events_status api_events_render(struct api_events *events, const struct sm_root *root,
                                         struct rk_buf *chunk)
{
    enum api_events_status status = API_EVENTS_MORE;

    while (status == API_EVENTS_MORE && chunk->size < API_EVENTS_SLICE_SIZE) {
        switch (events->phase) {
        case PHASE_START:
            status = start(events, root, chunk);
            break;
        case PHASE_LISTING:
            status = list(events, root, chunk);
            break;
        case PHASE_FOLLOW:
            status = follow(events, root, chunk);
            break;
        }
    }
    RK_ASSERT(rk_buf_status(chunk) == RK_OK);
    return status;
}

struct sm_topic api_events_topic(const struct api_events *events, raft_index *ret_after)
{
    *ret_after = events->place.index;
    return (struct sm_topic){.kind = SM_TOPIC_PREFIX, .key = rk_buf_bytes(&events->prefix)};
}
