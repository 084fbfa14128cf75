/* args.h -- the command line of raftkv, taken apart: words, and flags that may stand anywhere.
 *
 * Which flags and how many words a command takes is said by the table of commands (cli.c).
 * Thread: the main one. Memory: everything is borrowed from argv.
 */
#ifndef RK_CLI_ARGS_H
#define RK_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { ARGS_WORDS_MAX = 64 }; /* `lock` takes a whole command */

/* Flags of single commands, as bits of args.given and of what a command allows. */
enum args_flag {
    ARGS_CAS = 1 << 0,
    ARGS_FLAGS = 1 << 1,
    ARGS_RECURSE = 1 << 2,
    ARGS_STALE = 1 << 3,
    ARGS_CONSISTENT = 1 << 4,
    ARGS_LEARNER = 1 << 5,
    ARGS_TIMEOUT = 1 << 6,
    ARGS_TTL = 1 << 7,
    ARGS_FENCE_ENV = 1 << 8,
    ARGS_LIMIT = 1 << 9,
    ARGS_START_AFTER = 1 << 10,
    ARGS_DATA_DIR = 1 << 20,
    ARGS_CLUSTER_ID = 1 << 21,
};

struct args {
    const char *addr; /* NULL: not given */
    bool json;
    bool want_help;
    bool want_version;
    uint32_t given;          /* of enum args_flag */
    uint64_t cas;            /* of ARGS_CAS */
    uint64_t flags;          /* of ARGS_FLAGS */
    uint64_t timeout_ms;     /* of ARGS_TIMEOUT */
    uint64_t ttl_ms;         /* of ARGS_TTL */
    uint64_t limit;          /* of ARGS_LIMIT */
    const char *fence_env;   /* of ARGS_FENCE_ENV */
    const char *start_after; /* of ARGS_START_AFTER */
    const char *data_dir;    /* of ARGS_DATA_DIR */
    const char *cluster_id;  /* of ARGS_CLUSTER_ID */
    const char *words[ARGS_WORDS_MAX];
    uint32_t words_count;
};

/* Takes argv[1..] apart; behind a lone "--" everything is a word, and "-" always is one.
 * Errors: RK_INVALID; `message` then holds a line for people. */
RK_MUST_USE enum rk_status args_parse(int argc, char **argv, struct args *ret, char *message,
                                      size_t message_size);

/* The name of a single flag, without its dashes. */
const char *args_flag_name(enum args_flag flag);

#endif
