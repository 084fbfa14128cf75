#include "base/utf8.h"

#include <stdbool.h>

static uint32_t size_by_lead(uint8_t lead)
{
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return 0; /* a continuation, an overlong form of ASCII, or past U+10FFFF */
    }
    if (lead < 0xe0) {
        return 2;
    }
    return lead < 0xf0 ? 3 : 4;
}

/* The second byte tells overlong forms, surrogates and what is past U+10FFFF. */
static bool second_is_legal(uint8_t lead, uint8_t second)
{
    const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return low <= second && second <= high;
}

uint32_t rk_utf8_size(const uint8_t *data, uint32_t size)
{
    const uint32_t wanted = size == 0 ? 0 : size_by_lead(data[0]);
    if (wanted > size || (wanted > 1 && !second_is_legal(data[0], data[1]))) {
        return 0;
    }
    for (uint32_t i = 2; i < wanted; i++) {
        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return wanted;
}
