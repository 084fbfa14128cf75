#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support/history_text.h"

static const struct {
    const char *name;
    enum history_kind kind;
} kinds[] = {
    {"put", HISTORY_PUT}, {"cas", HISTORY_CAS}, {"del", HISTORY_DELETE}, {"get", HISTORY_GET}};

enum { KINDS_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

static bool parse_kind(const char *name, struct history_operation *operation)
{
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            operation->kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* What was written or read; the number of bytes it took, 0 if it is none. */
static int parse_values(const char *text, struct history_operation *operation)
{
    char sign = '>';
    int used = 0;

    if (operation->kind == HISTORY_DELETE) {
        return 1;
    }
    if (operation->kind != HISTORY_CAS) {
        (void)sscanf(text, " %" SCNu64 "%n", &operation->value, &used);
        return used;
    }
    (void)sscanf(text, " %" SCNu64 "%c%" SCNu64 "%n", &operation->expected, &sign,
                 &operation->value, &used);
    operation->did = sign == '>';
    return sign == '>' || sign == '|' ? used : 0;
}

static int parse_times(const char *text, struct history_operation *operation)
{
    int used = 0;

    (void)sscanf(text, " %" SCNu64 "-%n", &operation->invoked, &used);
    if (used == 0) {
        return 0;
    }
    if (text[used] == '?') {
        operation->outcome = HISTORY_UNKNOWN;
        return used + 1;
    }
    int more = 0;
    (void)sscanf(text + used, "%" SCNu64 "%n", &operation->returned, &more);
    if (more == 0 || operation->returned < operation->invoked) {
        return 0;
    }
    operation->outcome = text[used + more] == '!' ? HISTORY_NOT_DONE : HISTORY_OK;
    return used + more + (operation->outcome == HISTORY_NOT_DONE ? 1 : 0);
}

bool history_parse(const char *line, struct history_operation *operation)
{
    char name[8];
    int used = 0;

    *operation = (struct history_operation){.index = 0};
    if (sscanf(line, " %7s %" SCNu64 "%n", name, &operation->key, &used) != 2 ||
        !parse_kind(name, operation)) {
        return false;
    }
    const int values = parse_values(line + used, operation);
    if (values == 0) {
        return false;
    }
    used += operation->kind == HISTORY_DELETE ? 0 : values;
    const int times = parse_times(line + used, operation);
    if (times == 0) {
        return false;
    }
    used += times;
    int end = 0;
    (void)sscanf(line + used, " %n@%" SCNu64 " %n", &end, &operation->index, &end);
    return line[used + end] == '\0';
}

static const char *kind_name(enum history_kind kind)
{
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        if (kinds[i].kind == kind) {
            return kinds[i].name;
        }
    }
    return "?";
}

void history_print(const struct history_operation *operation, char *line)
{
    const bool is_unknown = operation->outcome == HISTORY_UNKNOWN;
    char values[48] = "";
    char times[48];
    char index[32] = "";

    if (operation->kind == HISTORY_CAS) {
        (void)snprintf(values, sizeof(values), " %" PRIu64 "%c%" PRIu64, operation->expected,
                       operation->did || is_unknown ? '>' : '|', operation->value);
    } else if (operation->kind != HISTORY_DELETE) {
        (void)snprintf(values, sizeof(values), " %" PRIu64, operation->value);
    }
    if (is_unknown) {
        (void)snprintf(times, sizeof(times), "%" PRIu64 "-?", operation->invoked);
    } else {
        (void)snprintf(times, sizeof(times), "%" PRIu64 "-%" PRIu64 "%s", operation->invoked,
                       operation->returned, operation->outcome == HISTORY_NOT_DONE ? "!" : "");
    }
    if (operation->index != 0) {
        (void)snprintf(index, sizeof(index), " @%" PRIu64, operation->index);
    }
    (void)snprintf(line, HISTORY_LINE_SIZE, "%s %" PRIu64 "%s %s%s", kind_name(operation->kind),
                   operation->key, values, times, index);
}
