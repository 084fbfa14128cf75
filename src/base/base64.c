/* Standard base64 (RFC 4648, section 4); declared in parse.h. */
#include <stdbool.h>
#include <stddef.h>

#include "base/parse.h"

static const uint8_t alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { NO_DIGIT = 0, PADDING = '=' };

/* A digit's value plus one, so that what is not listed is NO_DIGIT. */
static const uint8_t digit_plus_one[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static void encode_group(uint8_t *to, uint32_t bits)
{
    to[0] = alphabet[bits >> 18 & 63];
    to[1] = alphabet[bits >> 12 & 63];
    to[2] = alphabet[bits >> 6 & 63];
    to[3] = alphabet[bits & 63];
}

void rk_base64_encode(struct rk_bytes bytes, struct rk_buf *buf)
{
    const uint8_t *at = bytes.data;
    uint32_t left = bytes.size;
    uint8_t *to = rk_buf_extend(buf, ((size_t)left + 2) / 3 * 4);
    if (to == NULL) {
        return;
    }
    for (; left >= 3; left -= 3, at += 3, to += 4) {
        encode_group(to, (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2]);
    }
    if (left > 0) {
        encode_group(to, (uint32_t)at[0] << 16 | (left > 1 ? (uint32_t)at[1] << 8 : 0));
        to[3] = PADDING;
        to[2] = left > 1 ? to[2] : PADDING;
    }
}

/* What a text is made of. */
struct shape {
    size_t digits_count;
    size_t padding_count;
};

/* False for a foreign byte, a digit after the padding, or a last group that is not whole. */
static bool shape_of(struct rk_bytes text, struct shape *shape)
{
    for (uint32_t i = 0; i < text.size; i++) {
        const uint8_t byte = text.data[i];
        if (byte == PADDING) {
            shape->padding_count++;
        } else if (digit_plus_one[byte] != NO_DIGIT) {
            if (shape->padding_count > 0) {
                return false;
            }
            shape->digits_count++;
        } else if (byte != '\n' && byte != '\r') {
            return false;
        }
    }
    return shape->padding_count <= 2 && (shape->digits_count + shape->padding_count) % 4 == 0;
}

enum rk_status rk_base64_decode(struct rk_bytes text, struct rk_buf *buf)
{
    struct shape shape = {0};
    if (!shape_of(text, &shape)) {
        return RK_INVALID;
    }
    uint8_t *to = rk_buf_extend(buf, shape.digits_count * 3 / 4);
    if (to == NULL) {
        return RK_TOO_LARGE;
    }
    uint32_t bits = 0;
    unsigned bits_count = 0;
    for (uint32_t i = 0; i < text.size; i++) {
        const uint8_t digit = digit_plus_one[text.data[i]];
        if (digit == NO_DIGIT) {
            continue;
        }
        bits = bits << 6 | (digit - 1U);
        bits_count += 6;
        if (bits_count >= 8) {
            bits_count -= 8;
            *to++ = (uint8_t)(bits >> bits_count);
        }
    }
    return RK_OK;
}
