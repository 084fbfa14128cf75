#include <string.h>

#include "api/answer.h"
#include "api/api_kv.h"
#include "api/request.h"
#include "base/assert.h"
#include "base/heap.h"
#include "base/limits.h"
#include "base/parse.h"

/* Rendered a slice at a time: no turn of the loop depends on how many keys there are. */
struct kv_list {
    struct http_stream stream; /* first: the stream is the list */
    struct sm_root root;
    struct sm_kv_cursor cursor; /* borrows root, prefix and jump_to */
    struct rk_json json;        /* writes into chunk */
    struct rk_buf chunk;        /* what is rendered and not yet sent: a slice and one entry */
    size_t chunk_sent;
    struct rk_buf prefix;
    struct rk_buf separator; /* empty: none */
    struct rk_buf jump_to;   /* the first key that could stand behind a group, or another place */
    bool keys_only;
    uint64_t left;  /* elements that may still come */
    bool is_at_end; /* no key can follow */
    bool is_done;
};

_Static_assert(KV_LIST_SLICE_SIZE + 6 * RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX / 3 * 4 + 1024 <=
                   ANSWER_BODY_SIZE_MAX,
               "a slice and one entry fit a chunk");

/* `separator` wins over the old misspelling; empty is none (contract 2.1). */
static const char *separator_of(const struct api_call *call)
{
    const char *right = request_parameter(call, "separator");
    const char *misspelt = request_parameter(call, "seperator");

    if (right != NULL && *right != '\0') {
        return right;
    }
    return misspelt == NULL ? "" : misspelt;
}

static void buf_copy(struct rk_buf *buf, struct rk_bytes bytes)
{
    rk_buf_init(buf, RK_TARGET_SIZE_MAX);
    rk_buf_append(buf, bytes.data, bytes.size);
    RK_ASSERT(rk_buf_status(buf) == RK_OK);
}

static void list_free(struct kv_list *list)
{
    rk_buf_done(&list->chunk);
    rk_buf_done(&list->prefix);
    rk_buf_done(&list->separator);
    rk_buf_done(&list->jump_to);
    rk_heap_free(list);
}

/* Where the group of `key` ends (just behind the first separator after the prefix), or 0. */
static uint32_t group_size(const struct kv_list *list, struct rk_bytes key)
{
    const size_t prefix_size = list->prefix.size;

    RK_ASSERT(key.size >= prefix_size);
    if (list->separator.size == 0 || key.size == prefix_size) {
        return 0;
    }
    const uint8_t *found = memmem(key.data + prefix_size, key.size - prefix_size,
                                  list->separator.data, list->separator.size);
    return found == NULL ? 0 : (uint32_t)((size_t)(found - key.data) + list->separator.size);
}

/* Jumps over all other keys that begin with `group`: a group costs one step, whatever is in it. */
static void group_skip(struct kv_list *list, struct rk_bytes group)
{
    struct rk_buf *end = &list->jump_to;

    rk_buf_reset(end);
    rk_buf_append(end, group.data, group.size);
    while (end->size > 0 && end->data[end->size - 1] == 0xff) {
        end->size--;
    }
    if (end->size == 0) {
        list->is_at_end = true;
        return;
    }
    end->data[end->size - 1]++;
    sm_kv_cursor_seek(&list->cursor, rk_buf_bytes(end));
}

/* The next entry, and what it is listed as: its key or, of several keys at once, their group. */
static bool element_next(struct kv_list *list, struct sm_kv_entry *entry, struct rk_bytes *name)
{
    if (list->is_at_end || list->left == 0 || !sm_kv_cursor_next(&list->cursor, entry)) {
        return false;
    }
    list->left--;
    *name = entry->key;
    const uint32_t size = list->keys_only ? group_size(list, entry->key) : 0;
    if (size > 0) {
        name->size = size;
        group_skip(list, *name);
    }
    return true;
}

/* Renders until the chunk holds a slice or everything is there. */
static void slice_render(struct kv_list *list)
{
    struct sm_kv_entry entry;
    struct rk_bytes name;

    while (!list->is_done && list->chunk.size < KV_LIST_SLICE_SIZE) {
        if (!element_next(list, &entry, &name)) {
            list->is_done = true;
        } else if (list->keys_only) {
            rk_json_bytes(&list->json, name);
        } else {
            kv_entry_render(&list->json, &entry);
        }
    }
    if (list->is_done) {
        rk_json_array_end(&list->json);
    }
    RK_ASSERT(rk_buf_status(&list->chunk) == RK_OK);
}

static size_t list_read(struct http_stream *stream, uint8_t *data, size_t size)
{
    struct kv_list *list = (struct kv_list *)stream;
    size_t filled = 0;

    while (filled < size) {
        if (list->chunk_sent == list->chunk.size) {
            if (list->is_done) {
                break;
            }
            rk_buf_reset(&list->chunk);
            list->chunk_sent = 0;
            slice_render(list);
        }
        filled += rk_buf_read(&list->chunk, &list->chunk_sent, data + filled, size - filled);
    }
    return filled;
}

static void list_close(struct http_stream *stream)
{
    list_free((struct kv_list *)stream);
}

/* -- pages -- */

/* UINT64_MAX: there is none. False: it is no number, or out of range. */
static bool limit_of(const struct api_call *call, uint64_t *ret)
{
    const char *text = request_parameter(call, "limit");

    *ret = UINT64_MAX;
    return text == NULL ||
           (rk_parse_u64(text, ret) == RK_OK && *ret > 0 && *ret <= KV_LIST_LIMIT_MAX);
}

bool kv_list_check(const struct api_call *call, struct http_response *response)
{
    uint64_t limit = 0;

    if (limit_of(call, &limit)) {
        return true;
    }
    answer_text_begin(response, 400);
    rk_buf_append_text(&response->body, "Invalid limit ");
    answer_append_quoted(&response->body, request_parameter(call, "limit"));
    rk_buf_append_text(&response->body, ", must be between [1=");
    rk_buf_append_u64(&response->body, KV_LIST_LIMIT_MAX);
    rk_buf_append_byte(&response->body, ']');
    return false;
}

/* Goes behind the key, or behind the group that it is in. */
static void start_after(struct kv_list *list, const char *text)
{
    const struct rk_bytes key = {.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
    const bool is_below =
        key.size >= list->prefix.size &&
        (list->prefix.size == 0 || memcmp(key.data, list->prefix.data, list->prefix.size) == 0);
    const uint32_t size = list->keys_only && is_below ? group_size(list, key) : 0;

    if (size > 0) {
        group_skip(list, (struct rk_bytes){.data = key.data, .size = size});
        return;
    }
    rk_buf_append(&list->jump_to, key.data, key.size);
    rk_buf_append_byte(&list->jump_to, 0); /* nothing stands between */
    sm_kv_cursor_seek(&list->cursor, rk_buf_bytes(&list->jump_to));
}

static struct kv_list *list_new(const struct api_call *call, const struct sm_root *root)
{
    struct kv_list *list = rk_heap_zalloc(1, sizeof(*list));
    const char *separator = separator_of(call);

    list->stream = (struct http_stream){.read = list_read, .close = list_close};
    list->root = *root;
    list->keys_only = request_has(call, "keys");
    buf_copy(&list->prefix, request_key(call));
    buf_copy(&list->separator, (struct rk_bytes){.data = (const uint8_t *)separator,
                                                 .size = (uint32_t)strlen(separator)});
    rk_buf_init(&list->jump_to, RK_TARGET_SIZE_MAX + 1);
    rk_buf_init(&list->chunk, ANSWER_BODY_SIZE_MAX);
    sm_kv_cursor_init(&list->cursor, &list->root, rk_buf_bytes(&list->prefix));
    const bool has_legal_limit = limit_of(call, &list->left);
    RK_ASSERT(has_legal_limit); /* looked at in the beginning */
    if (request_has(call, "start-after")) {
        start_after(list, request_parameter(call, "start-after"));
    }
    return list;
}

/* Headers leave before a body that is streamed, so the page is walked through once before: it has
 * KV_LIST_LIMIT_MAX elements at most. False: where to go on cannot be said. */
static bool continuation_say(const struct api_call *call, const struct sm_root *root,
                             struct http_response *response)
{
    struct kv_list *list = list_new(call, root);
    struct sm_kv_entry entry;
    struct rk_bytes last = {.size = 0};
    struct rk_bytes name;
    struct rk_buf value;
    bool fits = true;

    while (element_next(list, &entry, &name)) {
        last = name;
    }
    list->left = 1;
    if (last.size > 0 && element_next(list, &entry, &name)) {
        rk_buf_init(&value, 3 * RK_KEY_SIZE_MAX + 1);
        rk_percent_encode(last, "", &value);
        fits = strlen(call->request->target) + value.size <= RK_TARGET_AND_ANSWER_FIELD_SIZE_MAX;
        if (fits) {
            http_response_header_long(response, "X-Raftkv-Continue-After", &value);
        } else {
            rk_buf_done(&value);
        }
    }
    list_free(list);
    return fits;
}

bool kv_list_finish(struct api_call *call, const struct sm_root *root,
                    struct http_response *response, bool *ret_streams)
{
    const bool keys_only = request_has(call, "keys");

    if (sm_kv_count(root, request_key(call)) == 0 && !(keys_only && request_key(call).size == 0)) {
        return false;
    }
    if (request_has(call, "limit") && !continuation_say(call, root, response)) {
        (void)answer_text(response, 400,
                          "the page ends with too long a key to be named beside this request: ask "
                          "with another limit or prefix");
        return true;
    }
    struct kv_list *list = list_new(call, root);
    answer_json_begin(call, response, &list->json);
    list->json.buf = &list->chunk;
    rk_json_array_begin(&list->json);
    slice_render(list);
    if (!list->is_done) {
        response->stream = &list->stream;
        *ret_streams = true;
        return true;
    }
    rk_buf_done(&response->body);
    response->body = list->chunk; /* taken over, not copied */
    rk_buf_init(&list->chunk, ANSWER_BODY_SIZE_MAX);
    list_free(list);
    return true;
}
