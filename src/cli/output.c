#include "cli/output.h"

#include <string.h>

#include "base/assert.h"

void output_table(struct rk_buf *buf, const char *const *cells, uint32_t rows, uint32_t columns)
{
    size_t widths[OUTPUT_COLUMNS_MAX] = {0};

    RK_ASSERT(columns >= 1 && columns <= OUTPUT_COLUMNS_MAX);
    for (uint32_t i = 0; i < rows * columns; i++) {
        const size_t size = strlen(cells[i]);
        widths[i % columns] = size > widths[i % columns] ? size : widths[i % columns];
    }
    for (uint32_t i = 0; i < rows * columns; i++) {
        rk_buf_append_text(buf, cells[i]);
        if (i % columns == columns - 1) {
            rk_buf_append_byte(buf, '\n');
            continue;
        }
        for (size_t used = strlen(cells[i]); used < widths[i % columns] + 2; used++) {
            rk_buf_append_byte(buf, ' ');
        }
    }
}

void output_append_safe(struct rk_buf *buf, struct rk_bytes text)
{
    uint32_t size = text.size;

    while (size > 0 && text.data[size - 1] <= ' ') {
        size--;
    }
    for (uint32_t i = 0; i < size; i++) {
        const uint8_t byte = text.data[i];
        rk_buf_append_byte(buf, byte < 0x20 || byte == 0x7f ? '?' : byte);
    }
}

void output_bytes(FILE *file, struct rk_bytes bytes)
{
    if (bytes.size > 0) {
        fwrite(bytes.data, 1, bytes.size, file);
    }
}
