/* crc32c.h -- CRC-32C (Castagnoli), the check of every record on disk and on the wire. */
#ifndef RK_BASE_CRC32C_H
#define RK_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to start) over `size` bytes. Uses the CPU's instruction where there is one;
 * rk_crc32c_portable() is the same function by table, kept equal by a test. */
uint32_t rk_crc32c(uint32_t crc, const void *data, size_t size);
uint32_t rk_crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
