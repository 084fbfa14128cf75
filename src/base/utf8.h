/* utf8.h -- which bytes are a well-formed UTF-8 character (RFC 3629). */
#ifndef RK_BASE_UTF8_H
#define RK_BASE_UTF8_H

#include <stdint.h>

/* The size, 1 to 4, of the character at the start of `data`; 0 when the `size` bytes there do not
 * start with a whole one (stray or missing continuation, overlong form, surrogate, past
 * U+10FFFF, or no byte at all). Thread: any. */
uint32_t rk_utf8_size(const uint8_t *data, uint32_t size);

#endif
