#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/utf8.h"

enum {
    LINE_SIZE = 4096, /* PIPE_BUF: up to here lines of several threads do not mix in a pipe */
    TAIL_SIZE = 2,    /* always left free: the closing brace and the newline */
    VALUE_SIZE_MAX = 256,
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static _Atomic int level_least = RK_LOG_INFO;
static enum rk_log_format line_format = RK_LOG_LOGFMT;
static char self[RK_NODE_NAME_SIZE_MAX + 1];

/* A line under construction. A field that does not fit is left out whole. */
struct line {
    char text[LINE_SIZE];
    size_t size;
    bool overflowed;
};

static void put(struct line *line, const char *text, size_t size)
{
    if (line->overflowed || size > LINE_SIZE - TAIL_SIZE - line->size) {
        line->overflowed = true;
        return;
    }
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct line *line, const char *format,
                                                             ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    RK_ASSERT(size >= 0 && (size_t)size < sizeof(text));
    put(line, text, (size_t)size);
}

/* Control characters, those past ASCII (C1) too: they would steer the reader's terminal. */
static bool is_control(const char *at, uint32_t size)
{
    const uint8_t first = (uint8_t)at[0];
    return size == 1 ? first < 0x20 || first == 0x7f
                     : size == 2 && first == 0xc2 && (uint8_t)at[1] < 0xa0;
}

/* Appends one character of `size` bytes, 0 for a byte that is none. */
static void put_character(struct line *line, const char *at, uint32_t size)
{
    if (size == 0) {
        put_text(line, "\xef\xbf\xbd"); /* U+FFFD */
    } else if (is_control(at, size)) {
        put_format(line, "\\u%04x", (unsigned)(uint8_t)at[size - 1]);
    } else if (*at == '"' || *at == '\\') {
        const char escape[] = {'\\', *at};
        put(line, escape, sizeof(escape));
    } else {
        put(line, at, size);
    }
}

static void put_escaped(struct line *line, const char *value)
{
    const uint32_t value_size = (uint32_t)strnlen(value, VALUE_SIZE_MAX + 1);
    uint32_t at = 0;
    while (at < value_size) {
        const uint32_t size = rk_utf8_size((const uint8_t *)value + at, value_size - at);
        const uint32_t step = size == 0 ? 1 : size;
        if (at + step > VALUE_SIZE_MAX) {
            return;
        }
        put_character(line, value + at, size);
        at += step;
    }
}

/* A logfmt value without quotes: printable ASCII that cannot be taken for syntax. */
static bool is_plain(const char *value)
{
    const char *at = value;
    while (*at > ' ' && *at < 0x7f && *at != '=' && *at != '"' && *at != '\\') {
        at++;
    }
    return at != value && *at == '\0' && at - value <= VALUE_SIZE_MAX;
}

static void put_name(struct line *line, const char *name)
{
    const bool json = line_format == RK_LOG_JSON;
    if (line->size > 0) {
        put_text(line, json ? "," : " ");
    }
    put_text(line, json ? (line->size == 0 ? "{\"" : "\"") : "");
    put_text(line, name);
    put_text(line, json ? "\":" : "=");
}

static void put_value(struct line *line, const char *value)
{
    if (line_format == RK_LOG_LOGFMT && is_plain(value)) {
        put_text(line, value);
        return;
    }
    put_text(line, "\"");
    put_escaped(line, value);
    put_text(line, "\"");
}

static void put_field(struct line *line, const struct rk_log_field *field)
{
    const size_t size_before = line->size;
    put_name(line, field->name);
    switch (field->kind) {
    case RK_LOG_KIND_TEXT:
        put_value(line, field->text == NULL ? "" : field->text);
        break;
    case RK_LOG_KIND_U64:
        put_format(line, "%" PRIu64, field->u64);
        break;
    case RK_LOG_KIND_I64:
        put_format(line, "%" PRId64, field->i64);
        break;
    case RK_LOG_KIND_END:
    default:
        RK_ASSERT(field->kind != RK_LOG_KIND_END);
        break;
    }
    if (line->overflowed) {
        line->size = size_before;
        line->overflowed = false;
    }
}

static void put_text_field(struct line *line, const char *name, const char *text)
{
    put_field(line, &RK_TEXT(name, text));
}

static void put_time(struct line *line)
{
    struct timespec now = {0};
    struct tm day = {0};
    char seconds[32];
    char text[40];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &day);
    const size_t size = strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &day);
    RK_ASSERT(size > 0);
    (void)snprintf(text, sizeof(text), "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
    put_text_field(line, "time", text);
}

/* What cannot be logged is lost: there is nobody left to tell. */
static void write_line(struct line *line)
{
    if (line_format == RK_LOG_JSON) {
        line->text[line->size++] = '}';
    }
    line->text[line->size++] = '\n';
    ssize_t written = -1;
    do {
        written = write(STDERR_FILENO, line->text, line->size);
    } while (written < 0 && errno == EINTR);
}

void rk_log_setup(enum rk_log_level level, enum rk_log_format format, const char *node_name)
{
    rk_log_set_level(level);
    line_format = format;
    (void)snprintf(self, sizeof(self), "%s", node_name == NULL ? "" : node_name);
}

void rk_log_set_level(enum rk_log_level level)
{
    RK_ASSERT(level <= RK_LOG_ERROR);
    atomic_store_explicit(&level_least, (int)level, memory_order_relaxed);
}

bool rk_log_wants(enum rk_log_level level)
{
    return (int)level >= atomic_load_explicit(&level_least, memory_order_relaxed);
}

void rk_log_write(enum rk_log_level level, const char *subsystem, const char *event,
                  const struct rk_log_field *fields)
{
    RK_ASSERT(level <= RK_LOG_ERROR);
    const int errno_before = errno; /* the caller may be about to look at it */
    struct line line;
    line.size = 0;
    line.overflowed = false;
    put_time(&line);
    put_text_field(&line, "level", level_names[level]);
    if (self[0] != '\0') {
        put_text_field(&line, "self", self);
    }
    put_text_field(&line, "sub", subsystem);
    put_text_field(&line, "event", event);
    for (; fields->kind != RK_LOG_KIND_END; fields++) {
        put_field(&line, fields);
    }
    write_line(&line);
    errno = errno_before;
}
