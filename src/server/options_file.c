/* The configuration file: `key = value`, a line each. '#' begins a comment at the start of a line
 * or behind a blank, so that a value may hold one. */
#include "server/options_file.h"

#include <string.h>

#include "base/assert.h"
#include "server/options_table.h"

enum { LINE_SIZE_MAX = 8192, ROWS_MAX = 64 };

struct reader {
    const char *name; /* of the file, for messages */
    uint32_t line;
    uint32_t seen[ROWS_MAX]; /* per row: the line that set it, 0 none */
    struct options *options;
    char *message;
    size_t message_size;
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static char *trim(char *text)
{
    while (is_blank(*text)) {
        text++;
    }
    size_t size = strlen(text);
    while (size > 0 && is_blank(text[size - 1])) {
        size--;
    }
    text[size] = '\0';
    return text;
}

static void comment_cut(char *line)
{
    for (size_t i = 0; line[i] != '\0'; i++) {
        if (line[i] == '#' && (i == 0 || is_blank(line[i - 1]))) {
            line[i] = '\0';
            return;
        }
    }
}

static enum rk_status refuse(const struct reader *reader, const char *key, const char *value,
                             const char *why)
{
    char place[512];

    snprintf(place, sizeof(place), "%.480s:%u", reader->name, (unsigned)reader->line);
    options_refuse(place, key, value, why, reader->message, reader->message_size);
    return RK_INVALID;
}

static enum rk_status pair_apply(struct reader *reader, const char *key, const char *value)
{
    char why[512];
    uint32_t count = 0;
    const struct options_row *rows = options_rows(&count);
    const struct options_row *row = options_row_find(key, strlen(key));

    RK_ASSERT(count <= ROWS_MAX);
    if (row == NULL) {
        return refuse(reader, key, value, "unknown key; `raftkvd --help` lists what is allowed");
    }
    uint32_t *seen = &reader->seen[row - rows];
    if (*seen != 0) {
        snprintf(why, sizeof(why), "set before, in line %u; allowed: once", (unsigned)*seen);
        return refuse(reader, key, value, why);
    }
    *seen = reader->line;
    if (options_row_set(row, value, reader->options, why, sizeof(why)) != RK_OK) {
        return refuse(reader, key, value, why);
    }
    return RK_OK;
}

static enum rk_status line_apply(struct reader *reader, const char *text, size_t size)
{
    char line[LINE_SIZE_MAX];

    if (size >= sizeof(line) || memchr(text, '\0', size) != NULL) {
        return refuse(reader, NULL, NULL, "not a line of text; allowed: key = value");
    }
    memcpy(line, text, size);
    line[size] = '\0';
    comment_cut(line);
    char *key = trim(line);
    if (*key == '\0') {
        return RK_OK;
    }
    char *equals = strchr(key, '=');
    if (equals == NULL) {
        return refuse(reader, key, NULL, "no value; allowed: key = value");
    }
    *equals = '\0';
    return pair_apply(reader, trim(key), trim(equals + 1));
}

enum rk_status options_apply_text(const char *name, struct rk_bytes text, struct options *ret,
                                  char *message, size_t message_size)
{
    struct reader reader = {
        .name = name, .options = ret, .message = message, .message_size = message_size};
    const char *at = (const char *)text.data;
    size_t left = text.size;

    while (left > 0) {
        const char *newline = memchr(at, '\n', left);
        const size_t size = newline != NULL ? (size_t)(newline - at) : left;
        reader.line++;
        const enum rk_status status = line_apply(&reader, at, size);
        if (status != RK_OK) {
            return status;
        }
        const size_t used = newline != NULL ? size + 1 : size;
        at += used;
        left -= used;
    }
    return RK_OK;
}
