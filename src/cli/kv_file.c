#include "cli/kv_file.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/parse.h"

enum {
    ELEMENT_SIZE_MAX = 2 << 20,
    TEXT_SIZE_MAX = 2 * RK_VALUE_SIZE_MAX, /* of the greatest value, with line breaks */
};

/* --- reading a whole file --- */

static uint64_t line_of(const struct kv_file *file, const uint8_t *place)
{
    uint64_t line = 1;

    for (const uint8_t *at = file->document.data; at < place; at++) {
        line += *at == '\n' ? 1 : 0;
    }
    return line;
}

static enum rk_status fault(struct kv_file *file, const uint8_t *place, const char *member,
                            const char *reason)
{
    const int size = snprintf(file->reason, sizeof(file->reason), "line %llu",
                              (unsigned long long)line_of(file, place));
    if (file->number > 0) {
        (void)snprintf(file->reason + size, sizeof(file->reason) - (size_t)size,
                       ", entry %llu: %s%s%s", (unsigned long long)file->number, member,
                       *member != '\0' ? " " : "", reason);
    } else {
        (void)snprintf(file->reason + size, sizeof(file->reason) - (size_t)size, ": %s", reason);
    }
    return RK_INVALID;
}

enum rk_status kv_file_begin(struct kv_file *file, struct rk_bytes document)
{
    struct rk_json_value value;
    struct rk_json_fault json_fault;

    if (document.size == 0) { /* places in it are told by addresses, and it may have none */
        document.data = (const uint8_t *)"";
    }
    *file = (struct kv_file){.document = document};
    rk_buf_init(&file->text, TEXT_SIZE_MAX);
    rk_buf_init(&file->value, RK_VALUE_SIZE_MAX);
    if (rk_json_read(document, &value, &json_fault) != RK_OK) {
        return fault(file, document.data + json_fault.offset, "", json_fault.reason);
    }
    if (value.kind != RK_JSON_ARRAY) {
        return fault(file, value.text.data, "", "not a JSON array of keys");
    }
    rk_json_walk_begin(&file->walk, &value);
    return RK_OK;
}

void kv_file_done(struct kv_file *file)
{
    rk_buf_done(&file->text);
    rk_buf_done(&file->value);
}

static bool has_control_byte(struct rk_bytes bytes)
{
    for (uint32_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] < 0x20 || bytes.data[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* What a node would refuse is found before anything is sent. */
static enum rk_status key_take(struct kv_file *file, const struct rk_json_value *value,
                               struct kv_file_entry *ret)
{
    rk_buf_reset(&file->text);
    if (rk_json_read_text(value, &file->text) != RK_OK || file->text.size == 0) {
        return fault(file, value->text.data, "key", "is not a text, or empty");
    }
    if (file->text.size > RK_KEY_SIZE_MAX) {
        return fault(file, value->text.data, "key", "is too long");
    }
    if (has_control_byte(rk_buf_bytes(&file->text))) {
        return fault(file, value->text.data, "key", "has a control byte");
    }
    ret->key = value->text;
    ret->key_size = (uint32_t)file->text.size;
    return RK_OK;
}

static enum rk_status value_take(struct kv_file *file, const struct rk_json_value *value,
                                 struct kv_file_entry *ret)
{
    rk_buf_reset(&file->text);
    rk_buf_reset(&file->value);
    if (value->kind == RK_JSON_NULL) {
        return RK_OK;
    }
    enum rk_status status = rk_json_read_text(value, &file->text);
    if (status == RK_OK) {
        status = rk_base64_decode(rk_buf_bytes(&file->text), &file->value);
    }
    if (status != RK_OK) {
        return fault(file, value->text.data, "value",
                     status == RK_TOO_LARGE ? "is too large" : "is not base64");
    }
    ret->value = rk_buf_bytes(&file->value);
    return RK_OK;
}

static enum rk_status member_take(struct kv_file *file, struct rk_bytes name,
                                  const struct rk_json_value *value, struct kv_file_entry *ret)
{
    if (rk_json_name_is(name, "key")) {
        return key_take(file, value, ret);
    }
    if (rk_json_name_is(name, "value")) {
        return value_take(file, value, ret);
    }
    if (rk_json_name_is(name, "flags") && rk_json_read_u64(value, &ret->flags) != RK_OK) {
        return fault(file, value->text.data, "flags", "is not a number from 0 to 2^64-1");
    }
    return RK_OK;
}

enum rk_status kv_file_next(struct kv_file *file, struct kv_file_entry *ret, bool *ret_has)
{
    struct rk_json_value element;
    struct rk_json_value value;
    struct rk_json_walk members;
    struct rk_bytes name;
    enum rk_status status = RK_OK;

    *ret = (struct kv_file_entry){.flags = 0};
    *ret_has = rk_json_walk_element(&file->walk, &element);
    if (!*ret_has) {
        return RK_OK;
    }
    file->number++;
    if (element.kind != RK_JSON_OBJECT) {
        return fault(file, element.text.data, "", "not an object with key, flags and value");
    }
    rk_json_walk_begin(&members, &element);
    while (status == RK_OK && rk_json_walk_member(&members, &name, &value)) {
        status = member_take(file, name, &value, ret);
    }
    if (status == RK_OK && ret->key.size == 0) {
        return fault(file, element.text.data, "key", "is missing");
    }
    return status;
}

/* --- elements out of a stream --- */

void kv_split_init(struct kv_split *split)
{
    *split = (struct kv_split){.depth = 0};
    rk_buf_init(&split->element, ELEMENT_SIZE_MAX);
}

void kv_split_done(struct kv_split *split)
{
    rk_buf_done(&split->element);
}

/* Follows texts and brackets. True: the byte ends an element. */
static bool step(struct kv_split *split, uint8_t byte)
{
    if (split->in_text) {
        split->in_text = byte != '"' || split->is_escaped;
        split->is_escaped = byte == '\\' && !split->is_escaped;
        return false;
    }
    split->in_text = byte == '"';
    if (byte == '[' || byte == '{') {
        split->depth++;
    } else if ((byte == ']' || byte == '}') && split->depth > 0) {
        split->depth--;
        split->is_closed = split->depth == 0;
        return split->depth == 1;
    }
    return false;
}

bool kv_split_take(struct kv_split *split, struct rk_bytes bytes)
{
    for (uint32_t i = 0; i < bytes.size; i++) {
        const bool was_inside = split->depth > 1;
        const bool is_end = step(split, bytes.data[i]);
        if (was_inside || split->depth > 1) {
            rk_buf_append_byte(&split->element, bytes.data[i]);
        }
        if (is_end) {
            if (split->element.overflowed ||
                !split->on_element(split->context, rk_buf_bytes(&split->element))) {
                return false;
            }
            rk_buf_reset(&split->element);
        }
    }
    return true;
}
