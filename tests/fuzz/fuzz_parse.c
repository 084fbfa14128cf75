/* fuzz_parse.c -- text from outside: every parser stays inside it, leaves the result alone when it
 * refuses, and gives back what the writer of the same form would write. */
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "base/json_write.h"
#include "base/parse.h"
#include "base/utf8.h"
#include "fuzz/fuzz.h"

enum { BUF_SIZE_MAX = 1 << 20, UNTOUCHED = 4711 };

static void try_u64(const char *text)
{
    uint64_t value = UNTOUCHED;
    if (rk_parse_u64(text, &value) != RK_OK) {
        RK_ASSERT(value == UNTOUCHED);
        return;
    }
    struct rk_buf buf;
    uint64_t again = 0;
    rk_buf_init(&buf, BUF_SIZE_MAX);
    rk_buf_append_u64(&buf, value);
    rk_buf_append_byte(&buf, 0);
    RK_ASSERT(rk_parse_u64((const char *)buf.data, &again) == RK_OK && again == value);
    rk_buf_done(&buf);
}

static void try_hex64(const char *text)
{
    uint64_t value = UNTOUCHED;
    if (rk_parse_hex64(text, &value) != RK_OK) {
        RK_ASSERT(value == UNTOUCHED);
        return;
    }
    RK_ASSERT(strlen(text) <= 16);
}

static void try_size(const char *text)
{
    uint64_t value = UNTOUCHED;
    const enum rk_status status = rk_parse_size(text, &value);
    RK_ASSERT(status == RK_OK || value == UNTOUCHED);
}

/* A sign before a duration negates it, and nothing else. */
static void try_duration(const char *text)
{
    int64_t value = UNTOUCHED;
    if (rk_parse_duration(text, &value) != RK_OK) {
        RK_ASSERT(value == UNTOUCHED);
        return;
    }
    if (*text == '-' || *text == '+') {
        int64_t unsigned_value = INT64_MIN;
        const enum rk_status status = rk_parse_duration(text + 1, &unsigned_value);
        RK_ASSERT(status == RK_OK || value == INT64_MIN);
        RK_ASSERT(value == INT64_MIN || value == (*text == '-' ? -unsigned_value : unsigned_value));
    }
}

static void try_percent(struct rk_bytes text)
{
    struct rk_buf buf;
    rk_buf_init(&buf, text.size);
    if (rk_percent_decode(text, true, &buf) == RK_OK) {
        RK_ASSERT(buf.size <= text.size);
        RK_ASSERT((text.size - buf.size) % 2 == 0);
    } else {
        RK_ASSERT(buf.size == 0);
    }
    rk_buf_done(&buf);
}

/* Decoded, encoded and decoded again: the same bytes; and a standard text comes back as it was. */
static void try_base64(struct rk_bytes text)
{
    struct rk_buf bytes;
    struct rk_buf encoded;
    struct rk_buf again;
    rk_buf_init(&bytes, BUF_SIZE_MAX);
    rk_buf_init(&encoded, 2 * BUF_SIZE_MAX);
    rk_buf_init(&again, BUF_SIZE_MAX);
    if (rk_base64_decode(text, &bytes) == RK_OK) {
        rk_base64_encode(rk_buf_bytes(&bytes), &encoded);
        RK_ASSERT(encoded.size <= text.size);
        RK_ASSERT(rk_base64_decode(rk_buf_bytes(&encoded), &again) == RK_OK);
        RK_ASSERT(again.size == bytes.size);
        RK_ASSERT(bytes.size == 0 || memcmp(again.data, bytes.data, bytes.size) == 0);
    }
    rk_buf_done(&bytes);
    rk_buf_done(&encoded);
    rk_buf_done(&again);
}

/* Any bytes give a string that is valid UTF-8 and free of what could break out of it. */
static void try_json(struct rk_bytes text)
{
    struct rk_buf buf;
    struct rk_json json;
    rk_buf_init(&buf, 8 * BUF_SIZE_MAX);
    rk_json_init(&json, &buf, false);
    rk_json_bytes(&json, text);
    RK_ASSERT(rk_buf_status(&buf) == RK_OK);
    RK_ASSERT(buf.size >= 2 && buf.data[0] == '"' && buf.data[buf.size - 1] == '"');
    const uint32_t end = (uint32_t)buf.size - 1;
    for (uint32_t at = 1; at < end;) {
        const uint32_t size = rk_utf8_size(buf.data + at, end - at);
        RK_ASSERT(size > 0);
        RK_ASSERT(buf.data[at] >= 0x20 && buf.data[at] != '"' && buf.data[at] != '<');
        at += buf.data[at] == '\\' ? 2 : size;
    }
    rk_buf_done(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rk_bytes bytes = {.data = data, .size = (uint32_t)size};
    if (size > BUF_SIZE_MAX) {
        return 0;
    }
    char *text = rk_heap_zalloc(1, size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    try_u64(text);
    try_hex64(text);
    try_size(text);
    try_duration(text);
    try_percent(bytes);
    try_base64(bytes);
    try_json(bytes);
    rk_heap_free(text);
    return 0;
}
