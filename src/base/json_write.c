#include "base/json_write.h"

#include <string.h>

#include "base/assert.h"
#include "base/parse.h"
#include "base/utf8.h"

enum { INDENT = 4 };

/* A word of eight equal bytes. */
#define EACH(byte) ((uint64_t)(byte)*0x0101010101010101U)

/* Everything but the plain bytes, which are copied in runs: control, quote, backslash, <>&, and
 * what is not ASCII. */
static bool is_special(uint8_t byte)
{
    return byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\' || byte == '<' ||
           byte == '>' || byte == '&';
}

/* The same for eight bytes at once: most text is plain, and is scanned by words. A byte of `zero`
 * is 0 where the word holds what is looked for: '<' and '>', '"' and '&' differ in one bit each. */
static bool has_zero(uint64_t zero)
{
    return ((zero - EACH(0x01)) & ~zero & EACH(0x80)) != 0;
}

static bool has_special(const uint8_t *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    return ((word | ((word - EACH(0x20)) & ~word)) & EACH(0x80)) != 0 ||
           has_zero((word | EACH('<' ^ '>')) ^ EACH('>')) ||
           has_zero((word | EACH('"' ^ '&')) ^ EACH('&')) || has_zero(word ^ EACH('\\'));
}

/* How many bytes at the start of `data` are plain. */
static uint32_t plain_size(const uint8_t *data, uint32_t size)
{
    uint32_t at = 0;
    while (size - at >= sizeof(uint64_t) && !has_special(data + at)) {
        at += (uint32_t)sizeof(uint64_t);
    }
    while (at < size && !is_special(data[at])) {
        at++;
    }
    return at;
}

static void append_escaped(struct rk_buf *buf, uint8_t byte)
{
    if (byte == '"' || byte == '\\') {
        const uint8_t escape[] = {'\\', byte};
        rk_buf_append(buf, escape, sizeof(escape));
        return;
    }
    const char *const digits = "0123456789abcdef";
    const char escape[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    rk_buf_append(buf, escape, sizeof(escape));
}

/* Appends the special byte or character at the start of `data`; returns how many bytes it was. */
static uint32_t append_special(struct rk_buf *buf, const uint8_t *data, uint32_t size)
{
    if (data[0] < 0x80) {
        append_escaped(buf, data[0]);
        return 1;
    }
    const uint32_t character_size = rk_utf8_size(data, size);
    if (character_size == 0) {
        rk_buf_append_text(buf, "\xef\xbf\xbd"); /* U+FFFD */
        return 1;
    }
    rk_buf_append(buf, data, character_size);
    return character_size;
}

static void append_string(struct rk_buf *buf, struct rk_bytes text)
{
    rk_buf_append_byte(buf, '"');
    uint32_t at = 0;
    while (at < text.size) {
        uint32_t end = at + plain_size(text.data + at, text.size - at);
        rk_buf_append(buf, text.data + at, end - at);
        if (end < text.size) {
            end += append_special(buf, text.data + end, text.size - end);
        }
        at = end;
    }
    rk_buf_append_byte(buf, '"');
}

static void new_line(struct rk_json *json)
{
    static const char spaces[INDENT * RK_JSON_DEPTH_MAX + 1] =
        "                                                                ";
    if (json->pretty) {
        rk_buf_append_byte(json->buf, '\n');
        rk_buf_append(json->buf, spaces, (size_t)INDENT * json->depth);
    }
}

/* Before a member's name, an element, or the document itself. */
static void separate(struct rk_json *json)
{
    if (json->depth == 0) {
        return;
    }
    if (json->has_member[json->depth]) {
        rk_buf_append_byte(json->buf, ',');
    }
    json->has_member[json->depth] = true;
    new_line(json);
}

static void value_begin(struct rk_json *json)
{
    if (!json->after_name) {
        separate(json);
    }
    json->after_name = false;
}

static void value_end(struct rk_json *json)
{
    if (json->pretty && json->depth == 0) {
        rk_buf_append_byte(json->buf, '\n');
    }
}

static void literal(struct rk_json *json, const char *text)
{
    value_begin(json);
    rk_buf_append_text(json->buf, text);
    value_end(json);
}

static void open_level(struct rk_json *json, uint8_t bracket)
{
    value_begin(json);
    RK_ASSERT(json->depth < RK_JSON_DEPTH_MAX);
    rk_buf_append_byte(json->buf, bracket);
    json->depth++;
    json->has_member[json->depth] = false;
}

static void close_level(struct rk_json *json, uint8_t bracket)
{
    RK_ASSERT(json->depth > 0);
    RK_ASSERT(!json->after_name);
    const bool was_empty = !json->has_member[json->depth];
    json->depth--;
    if (!was_empty) {
        new_line(json);
    }
    rk_buf_append_byte(json->buf, bracket);
    value_end(json);
}

void rk_json_init(struct rk_json *json, struct rk_buf *buf, bool pretty)
{
    *json = (struct rk_json){.buf = buf, .pretty = pretty};
}

void rk_json_object_begin(struct rk_json *json)
{
    open_level(json, '{');
}

void rk_json_object_end(struct rk_json *json)
{
    close_level(json, '}');
}

void rk_json_array_begin(struct rk_json *json)
{
    open_level(json, '[');
}

void rk_json_array_end(struct rk_json *json)
{
    close_level(json, ']');
}

void rk_json_name(struct rk_json *json, const char *name)
{
    RK_ASSERT(json->depth > 0);
    RK_ASSERT(!json->after_name);
    separate(json);
    append_string(json->buf,
                  (struct rk_bytes){.data = (const uint8_t *)name, .size = (uint32_t)strlen(name)});
    rk_buf_append_text(json->buf, json->pretty ? ": " : ":");
    json->after_name = true;
}

void rk_json_text(struct rk_json *json, const char *text)
{
    rk_json_bytes(json,
                  (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)});
}

void rk_json_bytes(struct rk_json *json, struct rk_bytes text)
{
    value_begin(json);
    append_string(json->buf, text);
    value_end(json);
}

void rk_json_base64(struct rk_json *json, struct rk_bytes bytes)
{
    if (bytes.size == 0) {
        rk_json_null(json);
        return;
    }
    value_begin(json);
    rk_buf_append_byte(json->buf, '"');
    rk_base64_encode(bytes, json->buf);
    rk_buf_append_byte(json->buf, '"');
    value_end(json);
}

void rk_json_u64(struct rk_json *json, uint64_t value)
{
    value_begin(json);
    rk_buf_append_u64(json->buf, value);
    value_end(json);
}

void rk_json_i64(struct rk_json *json, int64_t value)
{
    value_begin(json);
    rk_buf_append_i64(json->buf, value);
    value_end(json);
}

void rk_json_bool(struct rk_json *json, bool value)
{
    literal(json, value ? "true" : "false");
}

void rk_json_null(struct rk_json *json)
{
    literal(json, "null");
}

void rk_json_hex64(struct rk_json *json, uint64_t value)
{
    value_begin(json);
    rk_buf_append_byte(json->buf, '"');
    rk_buf_append_hex64(json->buf, value);
    rk_buf_append_byte(json->buf, '"');
    value_end(json);
}

void rk_json_member_text(struct rk_json *json, const char *name, const char *text)
{
    rk_json_name(json, name);
    rk_json_text(json, text);
}

void rk_json_member_u64(struct rk_json *json, const char *name, uint64_t value)
{
    rk_json_name(json, name);
    rk_json_u64(json, value);
}

void rk_json_member_bool(struct rk_json *json, const char *name, bool value)
{
    rk_json_name(json, name);
    rk_json_bool(json, value);
}
