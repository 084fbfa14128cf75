/* Layout of a record, integers little-endian, nothing behind the last byte:
 *
 *    0 u8  version (1)         4 u64 lock_delay_ns
 *    1 u8  behavior           12 u64 ttl_ms
 *    2 u8  options, bit 0:    20 ttl, name, node, checks: each u16 size, bytes
 *          is_exact
 *    3 u8  checks_count
 */
#include "statemachine/session.h"

#include <string.h>

#include "base/assert.h"
#include "base/le.h"

enum { RECORD_VERSION = 1, OPTION_EXACT = 1, FIXED_SIZE = 20 };

_Static_assert(FIXED_SIZE + 2 * (3 + SESSION_CHECKS_MAX) + SESSION_TTL_TEXT_SIZE_MAX +
                       SESSION_NAME_SIZE_MAX + RK_NODE_NAME_SIZE_MAX +
                       SESSION_CHECKS_MAX * SESSION_CHECK_SIZE_MAX <=
                   SESSION_RECORD_SIZE_MAX,
               "the largest record is a legal one");

bool session_id_equal(const struct session_id *a, const struct session_id *b)
{
    return memcmp(a->bytes, b->bytes, SESSION_ID_SIZE) == 0;
}

static bool has_dash_before(uint32_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void session_id_format(const struct session_id *id, char text[SESSION_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *to = text;

    for (uint32_t i = 0; i < SESSION_ID_SIZE; i++) {
        if (has_dash_before(i)) {
            *to++ = '-';
        }
        *to++ = digits[id->bytes[i] >> 4];
        *to++ = digits[id->bytes[i] & 15];
    }
    *to = '\0';
}

static int digit_of(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

enum rk_status session_id_parse(const char *text, struct session_id *ret)
{
    struct session_id id;

    if (strlen(text) != SESSION_ID_TEXT_SIZE - 1) {
        return RK_INVALID;
    }
    for (uint32_t i = 0; i < SESSION_ID_SIZE; i++) {
        if (has_dash_before(i) && *text++ != '-') {
            return RK_INVALID;
        }
        const int high = digit_of(text[0]);
        const int low = digit_of(text[1]);
        if (high < 0 || low < 0) {
            return RK_INVALID;
        }
        id.bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    *ret = id;
    return RK_OK;
}

/* --- records --- */

static void append_text(struct rk_buf *buf, struct rk_bytes text, uint32_t size_max)
{
    uint8_t size[2];

    RK_ASSERT(text.size <= size_max);
    rk_le_put_u16(size, (uint16_t)text.size);
    rk_buf_append(buf, size, sizeof(size));
    rk_buf_append(buf, text.data, text.size);
}

void session_record_encode(const struct session_record *record, struct rk_buf *buf)
{
    uint8_t fixed[FIXED_SIZE] = {RECORD_VERSION, (uint8_t)record->behavior,
                                 record->is_exact ? OPTION_EXACT : 0,
                                 (uint8_t)record->checks_count};

    RK_ASSERT(record->checks_count <= SESSION_CHECKS_MAX && record->node.size > 0);
    RK_ASSERT(record->lock_delay_ns <= SESSION_LOCK_DELAY_NS_MAX);
    RK_ASSERT(record->ttl_ms <= SESSION_TTL_MS_MAX);
    rk_le_put_u64(&fixed[4], record->lock_delay_ns);
    rk_le_put_u64(&fixed[12], record->ttl_ms);
    rk_buf_append(buf, fixed, sizeof(fixed));
    append_text(buf, record->ttl, SESSION_TTL_TEXT_SIZE_MAX);
    append_text(buf, record->name, SESSION_NAME_SIZE_MAX);
    append_text(buf, record->node, RK_NODE_NAME_SIZE_MAX);
    for (uint32_t i = 0; i < record->checks_count; i++) {
        append_text(buf, record->checks[i], SESSION_CHECK_SIZE_MAX);
    }
}

static bool take_text(struct rk_bytes *rest, uint32_t size_max, struct rk_bytes *ret)
{
    if (rest->size < 2) {
        return false;
    }
    const uint32_t size = rk_le_u16(rest->data);
    if (size > size_max || size > rest->size - 2) {
        return false;
    }
    *ret = (struct rk_bytes){.data = rest->data + 2, .size = size};
    rest->data += 2 + size;
    rest->size -= 2 + size;
    return true;
}

static bool take_texts(struct rk_bytes rest, struct session_record *record)
{
    if (!take_text(&rest, SESSION_TTL_TEXT_SIZE_MAX, &record->ttl) ||
        !take_text(&rest, SESSION_NAME_SIZE_MAX, &record->name) ||
        !take_text(&rest, RK_NODE_NAME_SIZE_MAX, &record->node) || record->node.size == 0) {
        return false;
    }
    for (uint32_t i = 0; i < record->checks_count; i++) {
        if (!take_text(&rest, SESSION_CHECK_SIZE_MAX, &record->checks[i])) {
            return false;
        }
    }
    return rest.size == 0;
}

enum rk_status session_record_decode(struct rk_bytes bytes, struct session_record *ret)
{
    struct session_record record = {.behavior = SESSION_RELEASE};

    if (bytes.size < FIXED_SIZE || bytes.data[0] != RECORD_VERSION ||
        bytes.data[1] > SESSION_DELETE || bytes.data[2] > OPTION_EXACT ||
        bytes.data[3] > SESSION_CHECKS_MAX) {
        return RK_CORRUPT;
    }
    record.behavior = (enum session_behavior)bytes.data[1];
    record.is_exact = bytes.data[2] == OPTION_EXACT;
    record.checks_count = bytes.data[3];
    record.lock_delay_ns = rk_le_u64(&bytes.data[4]);
    record.ttl_ms = rk_le_u64(&bytes.data[12]);
    if (record.lock_delay_ns > SESSION_LOCK_DELAY_NS_MAX || record.ttl_ms > SESSION_TTL_MS_MAX ||
        !take_texts((struct rk_bytes){&bytes.data[FIXED_SIZE], bytes.size - FIXED_SIZE}, &record)) {
        return RK_CORRUPT;
    }
    *ret = record;
    return RK_OK;
}
