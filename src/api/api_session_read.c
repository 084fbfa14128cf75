#include <string.h>

#include "api/answer.h"
#include "api/api_session.h"
#include "api/read_options.h"
#include "api/request.h"
#include "base/assert.h"
#include "base/heap.h"

enum { SLICE_SIZE = 64 * 1024, SEEN_MAX = 4096 };

void session_render(struct rk_json *json, const struct sm_session *session)
{
    const struct session_record *record = &session->record;
    char id[SESSION_ID_TEXT_SIZE];

    session_id_format(&session->id, id);
    rk_json_object_begin(json);
    rk_json_name(json, "ID");
    rk_json_text(json, id);
    rk_json_name(json, "Name");
    rk_json_bytes(json, record->name);
    rk_json_name(json, "Node");
    rk_json_bytes(json, record->node);
    rk_json_name(json, "LockDelay");
    rk_json_u64(json, record->lock_delay_ns);
    rk_json_name(json, "Behavior");
    rk_json_text(json, record->behavior == SESSION_DELETE ? "delete" : "release");
    rk_json_name(json, "TTL");
    rk_json_bytes(json, record->ttl);
    if (record->is_exact) {
        rk_json_name(json, "Exact");
        rk_json_bool(json, true);
    }
    rk_json_name(json, "NodeChecks");
    rk_json_array_begin(json);
    for (uint32_t i = 0; i < record->checks_count; i++) {
        rk_json_bytes(json, record->checks[i]);
    }
    rk_json_array_end(json);
    rk_json_name(json, "ServiceChecks");
    rk_json_null(json);
    rk_json_name(json, "CreateIndex");
    rk_json_u64(json, session->create_index);
    rk_json_name(json, "ModifyIndex");
    rk_json_u64(json, session->create_index);
    rk_json_object_end(json);
}

enum api_action session_list_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response)
{
    const struct rk_bytes none = {.data = NULL, .size = 0};

    if (!read_options_parse(call, node, response) || !datacenter_check(call, response) ||
        !namespace_check(call, response)) {
        return API_RESPOND;
    }
    read_options_watch(call, SM_TOPIC_SESSIONS, none);
    return API_READ;
}

enum api_action session_info_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response)
{
    if (request_key(call).size == 0) {
        return answer_text(response, 400, "Missing session");
    }
    return session_list_begin(call, node, response);
}

void session_info_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams)
{
    struct session_id id;
    struct sm_session session;
    struct rk_json json;

    (void)ret_streams;
    request_session_id(request_key(call), &id);
    answer_json_begin(call, response, &json);
    rk_json_array_begin(&json);
    if (sm_session_get(root, &id, &session)) {
        session_render(&json, &session);
    }
    rk_json_array_end(&json);
    answer_read_headers(response, node, sm_session_index(root));
}

/* -- listings, a slice at a time -- */

struct list {
    struct http_stream stream; /* first: the stream is the list */
    struct sm_root root;
    struct session_id last; /* that was looked at */
    bool has_last;
    bool is_done;
    struct rk_json json; /* writes into chunk */
    struct rk_buf chunk;
    size_t chunk_sent;
    char node[RK_NODE_NAME_SIZE_MAX + 1]; /* only its sessions */
    uint32_t node_size;
    bool has_node;
};

static bool is_listed(const struct list *list, const struct sm_session *session)
{
    const struct rk_bytes node = session->record.node;

    return !list->has_node ||
           (node.size == list->node_size && memcmp(node.data, list->node, node.size) == 0);
}

/* Bounded by bytes and by what is looked at: most may be of other nodes. */
static void slice_render(struct list *list)
{
    struct sm_session session;

    for (uint32_t seen = 0; seen < SEEN_MAX && list->chunk.size < SLICE_SIZE; seen++) {
        if (!sm_session_next(&list->root, list->has_last ? &list->last : NULL, &session)) {
            rk_json_array_end(&list->json);
            list->is_done = true;
            break;
        }
        list->last = session.id;
        list->has_last = true;
        if (is_listed(list, &session)) {
            session_render(&list->json, &session);
        }
    }
    RK_ASSERT(rk_buf_status(&list->chunk) == RK_OK);
}

static size_t list_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    struct list *list = (struct list *)stream;

    while (list->chunk.size == list->chunk_sent && !list->is_done) {
        rk_buf_reset(&list->chunk);
        list->chunk_sent = 0;
        slice_render(list);
    }
    return rk_buf_read(&list->chunk, &list->chunk_sent, data, size);
}

static void list_close(struct http_stream *stream)
{
    struct list *list = (struct list *)stream;

    rk_buf_done(&list->chunk);
    rk_heap_free(list);
}

static void list_finish(struct api_call *call, struct list *list, struct http_response *response,
                        bool *ret_streams)
{
    list->stream = (struct http_stream){.read = list_read, .close = list_close};
    rk_buf_init(&list->chunk, ANSWER_BODY_SIZE_MAX);
    answer_json_begin(call, response, &list->json);
    list->json.buf = &list->chunk;
    rk_json_array_begin(&list->json);
    slice_render(list);
    if (!list->is_done) {
        response->stream = &list->stream;
        *ret_streams = true;
        return;
    }
    rk_buf_done(&response->body);
    response->body = list->chunk; /* taken over, not copied */
    rk_buf_init(&list->chunk, ANSWER_BODY_SIZE_MAX);
    list_close(&list->stream);
}

void session_list_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams)
{
    struct list *list = rk_heap_zalloc(1, sizeof(*list));

    list->root = *root;
    list_finish(call, list, response, ret_streams);
    answer_read_headers(response, node, sm_session_index(root));
}

/* A name that no node can have is that of no session. */
void session_node_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams)
{
    const struct rk_bytes name = request_key(call);
    struct list *list = rk_heap_zalloc(1, sizeof(*list));

    list->root = *root;
    list->has_node = true;
    if (name.size <= RK_NODE_NAME_SIZE_MAX) {
        rk_bytes_copy(list->node, name);
        list->node_size = name.size;
    }
    list_finish(call, list, response, ret_streams);
    answer_read_headers(response, node, sm_session_index(root));
}
