#include "cli/input.h"

#include <errno.h>
#include <string.h>

static enum rk_status read_all(FILE *file, struct rk_buf *buf)
{
    uint8_t part[16 * 1024];
    size_t size = sizeof(part);

    while (size == sizeof(part) && rk_buf_status(buf) == RK_OK) {
        size = fread(part, 1, sizeof(part), file);
        rk_buf_append(buf, part, size);
    }
    return ferror(file) != 0 ? RK_IO : rk_buf_status(buf);
}

enum rk_status input_read(const struct cli *cli, const char *what, const char *path,
                          struct rk_buf *buf)
{
    const bool is_file = strcmp(path, "-") != 0;
    FILE *file = is_file ? fopen(path, "rb") : cli->in;

    if (file == NULL) {
        fprintf(cli->err, "raftkv: %s: %s: %s\n", what, path, strerror(errno));
        return RK_IO;
    }
    errno = 0;
    const enum rk_status status = read_all(file, buf);
    if (status == RK_TOO_LARGE) {
        fprintf(cli->err, "raftkv: %s: it is larger than %llu bytes\n", what,
                (unsigned long long)buf->size_max);
    } else if (status != RK_OK) {
        fprintf(cli->err, "raftkv: %s: cannot read: %s\n", what, strerror(errno));
    }
    if (is_file) {
        (void)fclose(file);
    }
    return status;
}
