#include "base/json_read.h"

#include <string.h>

#include "base/assert.h"

/* --- checking --- */

struct scan {
    struct rk_bytes rest;
    const char *reason; /* NULL: no fault yet */
    uint32_t depth;
};

static void step(struct rk_bytes *rest, uint32_t size)
{
    RK_ASSERT(size <= rest->size);
    rest->data += size;
    rest->size -= size;
}

static void skip_blanks(struct rk_bytes *rest)
{
    while (rest->size > 0 && memchr(" \t\r\n", *rest->data, 4) != NULL) {
        step(rest, 1);
    }
}

static bool fail(struct scan *scan, const char *reason)
{
    if (scan->reason == NULL) {
        scan->reason = scan->rest.size == 0 ? "unexpected end of JSON input" : reason;
    }
    return false;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_hex(uint8_t byte)
{
    return is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

static bool scan_word(struct scan *scan, const char *word)
{
    const uint32_t size = (uint32_t)strlen(word);

    if (scan->rest.size < size || memcmp(scan->rest.data, word, size) != 0) {
        return fail(scan, "invalid literal");
    }
    step(&scan->rest, size);
    return true;
}

static uint32_t scan_digits(struct scan *scan)
{
    uint32_t count = 0;

    while (scan->rest.size > 0 && is_digit(*scan->rest.data)) {
        step(&scan->rest, 1);
        count++;
    }
    return count;
}

static bool take(struct scan *scan, const char *any)
{
    if (scan->rest.size == 0 || strchr(any, *scan->rest.data) == NULL || *scan->rest.data == 0) {
        return false;
    }
    step(&scan->rest, 1);
    return true;
}

static bool scan_number(struct scan *scan)
{
    (void)take(scan, "-");
    const bool has_zero = take(scan, "0");
    if ((!has_zero && scan_digits(scan) == 0) || (has_zero && scan_digits(scan) > 0)) {
        return fail(scan, "invalid number");
    }
    if (take(scan, ".") && scan_digits(scan) == 0) {
        return fail(scan, "invalid number");
    }
    if (take(scan, "eE")) {
        (void)take(scan, "+-");
        if (scan_digits(scan) == 0) {
            return fail(scan, "invalid number");
        }
    }
    return true;
}

static bool scan_escape(struct scan *scan)
{
    if (take(scan, "\"\\/bfnrt")) {
        return true;
    }
    if (!take(scan, "u")) {
        return fail(scan, "invalid escape in string");
    }
    for (int i = 0; i < 4; i++) {
        if (scan->rest.size == 0 || !is_hex(*scan->rest.data)) {
            return fail(scan, "invalid escape in string");
        }
        step(&scan->rest, 1);
    }
    return true;
}

static bool scan_text(struct scan *scan)
{
    step(&scan->rest, 1); /* the quote */
    while (scan->rest.size > 0) {
        const uint8_t byte = *scan->rest.data;
        if (byte < 0x20) {
            return fail(scan, "invalid character in string");
        }
        step(&scan->rest, 1);
        if (byte == '"') {
            return true;
        }
        if (byte == '\\' && !scan_escape(scan)) {
            return false;
        }
    }
    return fail(scan, "unexpected end of JSON input");
}

static bool scan_value(struct scan *scan);

static bool scan_name(struct scan *scan)
{
    skip_blanks(&scan->rest);
    if (scan->rest.size == 0 || *scan->rest.data != '"') {
        return fail(scan, "a member's name is missing");
    }
    if (!scan_text(scan)) {
        return false;
    }
    skip_blanks(&scan->rest);
    return take(scan, ":") || fail(scan, "a colon is missing after a member's name");
}

static bool scan_members(struct scan *scan, bool is_object, const char *end)
{
    step(&scan->rest, 1); /* the bracket */
    skip_blanks(&scan->rest);
    if (take(scan, end)) {
        return true;
    }
    do {
        if ((is_object && !scan_name(scan)) || !scan_value(scan)) {
            return false;
        }
        skip_blanks(&scan->rest);
    } while (take(scan, ","));
    return take(scan, end) || fail(scan, "a comma or the closing bracket is missing");
}

static bool scan_nested(struct scan *scan, bool is_object)
{
    if (scan->depth == RK_JSON_READ_DEPTH_MAX) {
        return fail(scan, "nested too deep");
    }
    scan->depth++;
    const bool is_whole = scan_members(scan, is_object, is_object ? "}" : "]");
    scan->depth--;
    return is_whole;
}

static bool scan_value(struct scan *scan)
{
    skip_blanks(&scan->rest);
    if (scan->rest.size == 0) {
        return fail(scan, "unexpected end of JSON input");
    }
    switch (*scan->rest.data) {
    case '{':
        return scan_nested(scan, true);
    case '[':
        return scan_nested(scan, false);
    case '"':
        return scan_text(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    default:
        return scan_number(scan) || fail(scan, "invalid character");
    }
}

static enum rk_json_kind kind_of(uint8_t byte)
{
    switch (byte) {
    case '{':
        return RK_JSON_OBJECT;
    case '[':
        return RK_JSON_ARRAY;
    case '"':
        return RK_JSON_TEXT;
    case 't':
    case 'f':
        return RK_JSON_BOOL;
    case 'n':
        return RK_JSON_NULL;
    default:
        return RK_JSON_NUMBER;
    }
}

enum rk_status rk_json_read(struct rk_bytes document, struct rk_json_value *ret,
                            struct rk_json_fault *fault)
{
    struct scan scan = {.rest = document};

    skip_blanks(&scan.rest);
    const struct rk_bytes from = scan.rest;
    if (!scan_value(&scan)) {
        *fault =
            (struct rk_json_fault){.offset = document.size - scan.rest.size, .reason = scan.reason};
        return RK_INVALID;
    }
    *ret = (struct rk_json_value){.kind = kind_of(*from.data),
                                  .text = {.data = from.data, .size = from.size - scan.rest.size}};
    return RK_OK;
}

/* --- walking: what is walked was checked before --- */

void rk_json_walk_begin(struct rk_json_walk *walk, const struct rk_json_value *of)
{
    RK_ASSERT(of->kind == RK_JSON_OBJECT || of->kind == RK_JSON_ARRAY);
    walk->rest = of->text;
    step(&walk->rest, 1);
    skip_blanks(&walk->rest);
}

/* Takes a value off the front, and the comma or bracket behind it. */
static void walk_value(struct rk_json_walk *walk, struct rk_json_value *ret)
{
    struct scan scan = {.rest = walk->rest};

    skip_blanks(&scan.rest);
    const struct rk_bytes from = scan.rest;
    const bool is_whole = scan_value(&scan);
    RK_ASSERT(is_whole);
    *ret = (struct rk_json_value){.kind = kind_of(*from.data),
                                  .text = {.data = from.data, .size = from.size - scan.rest.size}};
    skip_blanks(&scan.rest);
    if (*scan.rest.data == ',') {
        step(&scan.rest, 1);
        skip_blanks(&scan.rest);
    }
    walk->rest = scan.rest;
}

bool rk_json_walk_member(struct rk_json_walk *walk, struct rk_bytes *name,
                         struct rk_json_value *ret)
{
    struct scan scan = {.rest = walk->rest};

    if (*walk->rest.data == '}') {
        return false;
    }
    const bool is_whole = scan_name(&scan);
    RK_ASSERT(is_whole);
    *name = (struct rk_bytes){.data = walk->rest.data, .size = walk->rest.size - scan.rest.size};
    while (name->data[name->size - 1] != '"') { /* the colon, and blanks before it */
        name->size--;
    }
    walk->rest = scan.rest;
    walk_value(walk, ret);
    return true;
}

bool rk_json_walk_element(struct rk_json_walk *walk, struct rk_json_value *ret)
{
    if (*walk->rest.data == ']') {
        return false;
    }
    walk_value(walk, ret);
    return true;
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

bool rk_json_name_is(struct rk_bytes quoted, const char *name)
{
    const size_t size = strlen(name);

    RK_ASSERT(quoted.size >= 2);
    if (quoted.size - 2 != size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (lower(quoted.data[i + 1]) != lower((uint8_t)name[i])) {
            return false;
        }
    }
    return true;
}

/* --- values --- */

static uint32_t hex4(const uint8_t *at)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        const uint8_t byte = lower(at[i]);
        value = value << 4 | (uint32_t)(is_digit(byte) ? byte - '0' : byte - 'a' + 10);
    }
    return value;
}

static void append_utf8(struct rk_buf *buf, uint32_t code)
{
    if (code < 0x80) {
        rk_buf_append_byte(buf, (uint8_t)code);
    } else if (code < 0x800) {
        rk_buf_append_byte(buf, (uint8_t)(0xc0 | code >> 6));
        rk_buf_append_byte(buf, (uint8_t)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        rk_buf_append_byte(buf, (uint8_t)(0xe0 | code >> 12));
        rk_buf_append_byte(buf, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
        rk_buf_append_byte(buf, (uint8_t)(0x80 | (code & 0x3f)));
    } else {
        rk_buf_append_byte(buf, (uint8_t)(0xf0 | code >> 18));
        rk_buf_append_byte(buf, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
        rk_buf_append_byte(buf, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
        rk_buf_append_byte(buf, (uint8_t)(0x80 | (code & 0x3f)));
    }
}

/* Behind `\u`; takes the second half of a pair too. */
static void read_unicode(struct rk_bytes *rest, struct rk_buf *buf)
{
    uint32_t code = hex4(rest->data);

    step(rest, 4);
    if (code >= 0xd800 && code < 0xdc00 && rest->size >= 6 && rest->data[0] == '\\' &&
        rest->data[1] == 'u') {
        const uint32_t low = hex4(rest->data + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            step(rest, 6);
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    append_utf8(buf, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
}

static void read_escape(struct rk_bytes *rest, struct rk_buf *buf)
{
    static const char names[] = "bfnrt";
    static const char bytes[] = "\b\f\n\r\t";
    const uint8_t name = *rest->data;
    const char *found = strchr(names, name);

    step(rest, 1);
    if (name == 'u') {
        read_unicode(rest, buf);
    } else {
        rk_buf_append_byte(buf, found != NULL ? (uint8_t)bytes[found - names] : name);
    }
}

enum rk_status rk_json_read_text(const struct rk_json_value *value, struct rk_buf *buf)
{
    if (value->kind != RK_JSON_TEXT) {
        return RK_INVALID;
    }
    struct rk_bytes rest = {.data = value->text.data + 1, .size = value->text.size - 2};
    while (rest.size > 0) {
        const uint8_t *escape = memchr(rest.data, '\\', rest.size);
        const uint32_t plain = escape == NULL ? rest.size : (uint32_t)(escape - rest.data);
        rk_buf_append(buf, rest.data, plain);
        step(&rest, plain);
        if (rest.size > 0) {
            step(&rest, 1);
            read_escape(&rest, buf);
        }
    }
    return rk_buf_status(buf);
}

static enum rk_status read_digits(struct rk_bytes digits, uint64_t *ret)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < digits.size; i++) {
        if (!is_digit(digits.data[i])) {
            return RK_INVALID;
        }
        const uint64_t digit = (uint64_t)(digits.data[i] - '0');
        if (sum > (UINT64_MAX - digit) / 10) {
            return RK_TOO_LARGE;
        }
        sum = 10 * sum + digit;
    }
    *ret = sum;
    return RK_OK;
}

enum rk_status rk_json_read_u64(const struct rk_json_value *value, uint64_t *ret)
{
    return value->kind == RK_JSON_NUMBER ? read_digits(value->text, ret) : RK_INVALID;
}

enum rk_status rk_json_read_i64(const struct rk_json_value *value, int64_t *ret)
{
    struct rk_bytes digits = value->text;
    uint64_t size = 0;

    if (value->kind != RK_JSON_NUMBER) {
        return RK_INVALID;
    }
    const bool is_negative = *digits.data == '-';
    if (is_negative) {
        step(&digits, 1);
    }
    const enum rk_status status = read_digits(digits, &size);
    if (status != RK_OK || size > INT64_MAX) {
        return status != RK_OK ? status : RK_TOO_LARGE;
    }
    *ret = is_negative ? -(int64_t)size : (int64_t)size;
    return RK_OK;
}
