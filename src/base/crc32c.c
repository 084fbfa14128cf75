#include "base/crc32c.h"

#include <pthread.h>

#include "base/le.h"

#if defined(__x86_64__)
#include <string.h>
#endif

enum { SLICES = 8 };

static const uint32_t polynomial = 0x82f63b78; /* Castagnoli, bits reversed */

/* table[s][b]: what byte b adds when s more bytes follow it in the same word. */
static uint32_t table[SLICES][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
        }
        table[0][byte] = crc;
    }
    for (int slice = 1; slice < SLICES; slice++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            const uint32_t crc = table[slice - 1][byte];
            table[slice][byte] = (crc >> 8) ^ table[0][crc & 255];
        }
    }
}

static uint32_t step_word(uint32_t crc, uint64_t word)
{
    word ^= crc;
    crc = 0;
    for (int slice = 0; slice < SLICES; slice++) {
        crc ^= table[SLICES - 1 - slice][(word >> (8 * slice)) & 255];
    }
    return crc;
}

uint32_t rk_crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    (void)pthread_once(&table_once, table_fill);
    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        crc = step_word(crc, rk_le_u64(at));
    }
    for (; size > 0; size--, at++) {
        crc = (crc >> 8) ^ table[0][(crc ^ *at) & 255];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at,
                                                                 size_t size)
{
    uint64_t wide = (uint32_t)~crc;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size > 0; size--, at++) {
        crc = __builtin_ia32_crc32qi(crc, *at);
    }
    return ~crc;
}
#endif

uint32_t rk_crc32c(uint32_t crc, const void *data, size_t size)
{
#if defined(__x86_64__)
    /* The runtime asks the CPU once, before main(); this is a load and a test. */
    if (__builtin_cpu_supports("sse4.2")) {
        return by_instruction(crc, data, size);
    }
#endif
    return rk_crc32c_portable(crc, data, size);
}
