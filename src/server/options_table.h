/* options_table.h -- the rows of the configuration and how one value is read.
 *
 * Thread: the main one. Memory: rows are static; nothing is allocated.
 */
#ifndef RK_SERVER_OPTIONS_TABLE_H
#define RK_SERVER_OPTIONS_TABLE_H

#include "server/options.h"

enum options_kind {
    OPTIONS_NAME,     /* 1 to 64 of [A-Za-z0-9._-] */
    OPTIONS_PATH,     /* a file name */
    OPTIONS_ADDRESS,  /* host:port */
    OPTIONS_CLUSTER,  /* name=host:port, comma between */
    OPTIONS_DURATION, /* whole milliseconds */
    OPTIONS_TIME,     /* the same, shown as seconds or minutes: long spans */
    OPTIONS_COUNT,
    OPTIONS_SIZE, /* bytes */
    OPTIONS_PERCENT,
    OPTIONS_CHOICE, /* one word of options_row.words; the field gets its position */
    OPTIONS_SWITCH, /* as OPTIONS_CHOICE, for a bool: false is the first word */
};

struct options_row {
    const char *key;
    enum options_kind kind;
    const char *value;   /* the default as text; "" when options_load() derives it */
    const char *derived; /* what it derives, for people; NULL: value is the default */
    uint64_t min;        /* of numbers: milliseconds, bytes, per cent, or a plain count */
    uint64_t max;
    const char *words; /* of choices: "a|b|c" */
    uint32_t offset;   /* in struct options */
    const char *help;
};

/* The rows, *ret_count of them, in the order in which people read them. */
const struct options_row *options_rows(uint32_t *ret_count);

/* The row of that key, or NULL. */
const struct options_row *options_row_find(const char *key, size_t key_size);

/* Reads `text` into the row's field of *options. Errors: RK_INVALID; `why` then holds a clause
 * without the key's place: what is wrong and what is allowed. */
RK_MUST_USE enum rk_status options_row_set(const struct options_row *row, const char *text,
                                           struct options *options, char *why, size_t why_size);

/* What values of this row look like, for --help: "DURATION", "sqlite|memory". */
const char *options_row_form(const struct options_row *row);

#endif
