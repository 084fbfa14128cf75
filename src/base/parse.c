#include "base/parse.h"

#include <stddef.h>
#include <string.h>

enum { FRACTION_DIGITS_MAX = 18 };

/* A duration may be as far below 0 as int64_t goes, one more than above. */
static const uint64_t duration_ns_max = (uint64_t)1 << 63;

__extension__ typedef unsigned __int128 wide; /* fraction (60 bits) times unit (42 bits) */

static bool is_digit(char c)
{
    return '0' <= c && c <= '9';
}

/* The digit's value, or 16. */
static unsigned hex_digit(uint8_t c)
{
    if ('0' <= c && c <= '9') {
        return c - (unsigned)'0';
    }
    const uint8_t lower = c | 0x20;
    return 'a' <= lower && lower <= 'f' ? lower - (unsigned)'a' + 10 : 16;
}

/* Reads the digits at *at and moves it behind them. RK_TOO_LARGE (past 2^64 - 1) still moves. */
static enum rk_status take_digits(const char **at, uint64_t *ret)
{
    enum rk_status status = RK_OK;
    uint64_t value = 0;
    for (; is_digit(**at); (*at)++) {
        const uint64_t digit = (uint64_t)(**at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            status = RK_TOO_LARGE;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return status;
}

enum rk_status rk_parse_u64(const char *text, uint64_t *ret)
{
    const char *at = text;
    uint64_t value = 0;
    const enum rk_status status = take_digits(&at, &value);
    if (at == text || *at != '\0') {
        return RK_INVALID;
    }
    if (status == RK_OK) {
        *ret = value;
    }
    return status;
}

enum rk_status rk_parse_hex64(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    size_t size = 0;
    for (; text[size] != '\0'; size++) {
        const unsigned digit = hex_digit((uint8_t)text[size]);
        if (digit == 16 || size == 16) {
            return RK_INVALID;
        }
        value = value << 4 | digit;
    }
    if (size == 0) {
        return RK_INVALID;
    }
    *ret = value;
    return RK_OK;
}

struct unit {
    const char *name;
    uint64_t scale;
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* U+00B5, the micro sign */
    {"\xce\xbcs", 1000}, /* U+03BC, the Greek letter */
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", (uint64_t)60 * 1000000000},
    {"h", (uint64_t)3600 * 1000000000},
};

static const struct unit size_units[] = {
    {"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

/* The scale of the unit that is exactly the `size` bytes at `name`; 0: there is none. */
static uint64_t unit_scale(const struct unit *units, size_t units_count, const char *name,
                           size_t size)
{
    for (size_t i = 0; i < units_count; i++) {
        if (strlen(units[i].name) == size && memcmp(units[i].name, name, size) == 0) {
            return units[i].scale;
        }
    }
    return 0;
}

#define UNIT_SCALE(units, name, size) \
    unit_scale((units), sizeof(units) / sizeof((units)[0]), (name), (size))

/* One number with its unit, as in "1.5s". */
struct term {
    uint64_t whole;
    uint64_t fraction; /* in units of 1 / fraction_scale */
    uint64_t fraction_scale;
    enum rk_status status; /* RK_TOO_LARGE: `whole` does not fit */
};

/* Digits past the 18th are below a nanosecond whatever the unit, and are dropped. */
static size_t take_fraction(const char **at, struct term *term)
{
    const char *first = *at;
    for (; is_digit(**at); (*at)++) {
        if (*at - first < FRACTION_DIGITS_MAX) {
            term->fraction = term->fraction * 10 + (uint64_t)(**at - '0');
            term->fraction_scale *= 10;
        }
    }
    return (size_t)(*at - first);
}

/* Reads digits[.digits], with a digit on at least one side of the point. */
static bool take_number(const char **at, struct term *term)
{
    const char *first = *at;
    *term = (struct term){.fraction_scale = 1};
    term->status = take_digits(at, &term->whole);
    size_t digits_count = (size_t)(*at - first);
    if (**at == '.') {
        (*at)++;
        digits_count += take_fraction(at, term);
    }
    return digits_count > 0;
}

/* Adds the term times its unit to *sum_ns, which stays at or below duration_ns_max. */
static enum rk_status add_term(const struct term *term, uint64_t scale, uint64_t *sum_ns)
{
    if (term->status != RK_OK || term->whole > duration_ns_max / scale) {
        return RK_TOO_LARGE;
    }
    const uint64_t rest = (uint64_t)((wide)term->fraction * scale / term->fraction_scale);
    const uint64_t ns = term->whole * scale + rest; /* at most 2^63 + one hour */
    if (ns > duration_ns_max - *sum_ns) {
        return RK_TOO_LARGE;
    }
    *sum_ns += ns;
    return RK_OK;
}

/* The sum of the terms of "1h30m"; RK_INVALID wins over RK_TOO_LARGE. */
static enum rk_status sum_terms(const char *at, uint64_t *ret_ns)
{
    enum rk_status status = RK_OK;
    do {
        struct term term;
        if (!take_number(&at, &term)) {
            return RK_INVALID;
        }
        const size_t size = strcspn(at, ".0123456789");
        const uint64_t scale = UNIT_SCALE(duration_units, at, size);
        if (scale == 0) {
            return RK_INVALID;
        }
        at += size;
        if (status == RK_OK) {
            status = add_term(&term, scale, ret_ns);
        }
    } while (*at != '\0');
    return status;
}

enum rk_status rk_parse_duration(const char *text, int64_t *ret_ns)
{
    const bool negative = *text == '-';
    const char *at = text + (negative || *text == '+' ? 1 : 0);
    uint64_t sum_ns = 0;
    if (strcmp(at, "0") != 0) {
        const enum rk_status status = sum_terms(at, &sum_ns);
        if (status != RK_OK) {
            return status;
        }
    }
    if (!negative && sum_ns == duration_ns_max) {
        return RK_TOO_LARGE;
    }
    *ret_ns = (int64_t)(negative ? 0 - sum_ns : sum_ns);
    return RK_OK;
}

/* The part behind the point, without zeros at its end. */
static void append_fraction(struct rk_buf *buf, uint64_t ms)
{
    if (ms == 0) {
        return;
    }
    rk_buf_append_byte(buf, '.');
    for (uint64_t unit = 100; ms > 0; unit /= 10) {
        rk_buf_append_byte(buf, (uint8_t)('0' + ms / unit));
        ms %= unit;
    }
}

void rk_duration_append(uint64_t duration_ms, struct rk_buf *buf)
{
    const uint64_t seconds = duration_ms / 1000;

    if (duration_ms > 0 && seconds == 0) {
        rk_buf_append_u64(buf, duration_ms);
        rk_buf_append_text(buf, "ms");
        return;
    }
    if (seconds >= 3600) {
        rk_buf_append_u64(buf, seconds / 3600);
        rk_buf_append_byte(buf, 'h');
    }
    if (seconds >= 60) {
        rk_buf_append_u64(buf, seconds / 60 % 60);
        rk_buf_append_byte(buf, 'm');
    }
    rk_buf_append_u64(buf, seconds % 60);
    append_fraction(buf, duration_ms % 1000);
    rk_buf_append_byte(buf, 's');
}

enum rk_status rk_parse_size(const char *text, uint64_t *ret_bytes)
{
    const char *at = text;
    uint64_t value = 0;
    const enum rk_status status = take_digits(&at, &value);
    const uint64_t scale = UNIT_SCALE(size_units, at, strlen(at));
    if (at == text || scale == 0) {
        return RK_INVALID;
    }
    if (status != RK_OK || value > UINT64_MAX / scale) {
        return RK_TOO_LARGE;
    }
    *ret_bytes = value * scale;
    return RK_OK;
}

/* How many %XX there are; false when one is broken. */
static bool escapes_count(struct rk_bytes text, uint32_t *ret_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            continue;
        }
        if (text.size - i < 3 || hex_digit(text.data[i + 1]) == 16 ||
            hex_digit(text.data[i + 2]) == 16) {
            return false;
        }
        count++;
        i += 2;
    }
    *ret_count = count;
    return true;
}

static bool has_byte(struct rk_bytes text, char byte)
{
    return text.size > 0 && memchr(text.data, byte, text.size) != NULL;
}

enum rk_status rk_percent_decode(struct rk_bytes text, bool plus_is_space, struct rk_buf *buf)
{
    uint32_t count = 0;
    if (!has_byte(text, '%') && !(plus_is_space && has_byte(text, '+'))) { /* most texts */
        rk_buf_append(buf, text.data, text.size);
        return rk_buf_status(buf) == RK_OK ? RK_OK : RK_TOO_LARGE;
    }
    if (!escapes_count(text, &count)) {
        return RK_INVALID;
    }
    uint8_t *to = rk_buf_extend(buf, text.size - 2 * (size_t)count);
    if (to == NULL) {
        return RK_TOO_LARGE;
    }
    for (uint32_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == '%') {
            byte = (uint8_t)(hex_digit(text.data[i + 1]) << 4 | hex_digit(text.data[i + 2]));
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        *to++ = byte;
    }
    return RK_OK;
}

static bool stays_plain(uint8_t byte, const char *plain)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') ||
           (byte != '\0' && (strchr("-._~", byte) != NULL || strchr(plain, byte) != NULL));
}

void rk_percent_encode(struct rk_bytes bytes, const char *plain, struct rk_buf *buf)
{
    static const char digits[] = "0123456789ABCDEF";

    for (uint32_t i = 0; i < bytes.size; i++) {
        const uint8_t byte = bytes.data[i];
        const uint8_t escape[] = {'%', (uint8_t)digits[byte >> 4], (uint8_t)digits[byte & 15]};
        if (stays_plain(byte, plain)) {
            rk_buf_append_byte(buf, byte);
        } else {
            rk_buf_append(buf, escape, sizeof(escape));
        }
    }
}
