#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/parse.h"

struct flag {
    const char *name;
    bool takes_value;
    uint32_t bit; /* 0: a flag of all commands */
};

static const struct flag flags[] = {
    {"addr", true, 0},
    {"json", false, 0},
    {"help", false, 0},
    {"version", false, 0},
    {"cas", true, ARGS_CAS},
    {"flags", true, ARGS_FLAGS},
    {"recurse", false, ARGS_RECURSE},
    {"stale", false, ARGS_STALE},
    {"consistent", false, ARGS_CONSISTENT},
    {"learner", false, ARGS_LEARNER},
    {"timeout", true, ARGS_TIMEOUT},
    {"ttl", true, ARGS_TTL},
    {"fence-env", true, ARGS_FENCE_ENV},
    {"limit", true, ARGS_LIMIT},
    {"start-after", true, ARGS_START_AFTER},
    {"data-dir", true, ARGS_DATA_DIR},
    {"cluster-id", true, ARGS_CLUSTER_ID},
};

const char *args_flag_name(enum args_flag flag)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (flags[i].bit == (uint32_t)flag) {
            return flags[i].name;
        }
    }
    RK_ASSERT(flag != flag);
    return "";
}

static const struct flag *flag_find(const char *name, size_t name_size)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strlen(flags[i].name) == name_size && memcmp(flags[i].name, name, name_size) == 0) {
            return &flags[i];
        }
    }
    return NULL;
}

/* From a millisecond on: what is shorter would never wait. */
static enum rk_status timeout_parse(const char *value, uint64_t *ret_ms)
{
    int64_t timeout_ns = 0;
    const enum rk_status status = rk_parse_duration(value, &timeout_ns);

    if (status != RK_OK || timeout_ns < 1000000) {
        return RK_INVALID;
    }
    *ret_ms = (uint64_t)timeout_ns / 1000000;
    return RK_OK;
}

static enum rk_status flag_store(const struct flag *flag, const char *value, struct args *args)
{
    args->given |= flag->bit;
    switch (flag->bit) {
    case ARGS_CAS:
        return rk_parse_u64(value, &args->cas);
    case ARGS_FLAGS:
        return rk_parse_u64(value, &args->flags);
    case ARGS_LIMIT:
        return rk_parse_u64(value, &args->limit);
    case ARGS_START_AFTER:
        args->start_after = value;
        return RK_OK;
    case ARGS_TIMEOUT:
        return timeout_parse(value, &args->timeout_ms);
    case ARGS_TTL:
        return timeout_parse(value, &args->ttl_ms);
    case ARGS_FENCE_ENV:
        args->fence_env = value;
        return *value == '\0' || strchr(value, '=') != NULL ? RK_INVALID : RK_OK;
    case ARGS_DATA_DIR:
        args->data_dir = value;
        return *value == '\0' ? RK_INVALID : RK_OK;
    case ARGS_CLUSTER_ID:
        args->cluster_id = value;
        return strlen(value) == 32 ? RK_OK : RK_INVALID;
    default:
        break;
    }
    if (strcmp(flag->name, "addr") == 0) {
        args->addr = value;
    }
    args->json = args->json || strcmp(flag->name, "json") == 0;
    args->want_help = args->want_help || strcmp(flag->name, "help") == 0;
    args->want_version = args->want_version || strcmp(flag->name, "version") == 0;
    return RK_OK;
}

static const char *value_meant(uint32_t bit)
{
    if (bit == ARGS_TIMEOUT || bit == ARGS_TTL) {
        return "a time such as 30s or 5m";
    }
    switch (bit) {
    case ARGS_FENCE_ENV:
        return "the name of a variable";
    case ARGS_DATA_DIR:
        return "a directory";
    case ARGS_CLUSTER_ID:
        return "32 hexadecimal digits, as in `raftkv snapshot inspect` or /v1/status/node";
    default:
        return "a number from 0 to 2^64-1";
    }
}

/* Reads the flag at argv[*at] and moves *at behind it and its value. */
static enum rk_status flag_parse(int argc, char **argv, int *at, struct args *args, char *message,
                                 size_t message_size)
{
    const char *argument = argv[(*at)++];
    const char *name = argument + 2;
    const size_t name_size = strcspn(name, "=");
    const char *value = name[name_size] == '=' ? name + name_size + 1 : NULL;
    const struct flag *flag = flag_find(name, name_size);

    if (flag == NULL) {
        snprintf(message, message_size, "unknown flag %.100s", argument);
        return RK_INVALID;
    }
    if (!flag->takes_value && value != NULL) {
        snprintf(message, message_size, "--%s takes no value", flag->name);
        return RK_INVALID;
    }
    if (flag->takes_value && value == NULL) {
        if (*at >= argc) {
            snprintf(message, message_size, "--%s needs a value", flag->name);
            return RK_INVALID;
        }
        value = argv[(*at)++];
    }
    if (flag_store(flag, value, args) != RK_OK) {
        snprintf(message, message_size, "--%s: %.100s is not %s", flag->name,
                 value != NULL ? value : "", value_meant(flag->bit));
        return RK_INVALID;
    }
    return RK_OK;
}

enum rk_status args_parse(int argc, char **argv, struct args *ret, char *message,
                          size_t message_size)
{
    struct args args = {.addr = NULL};
    bool only_words = false;

    for (int at = 1; at < argc;) {
        const char *argument = argv[at];
        const bool is_flag = !only_words && argument[0] == '-' && argument[1] != '\0';
        if (is_flag && strcmp(argument, "--") == 0) {
            only_words = true;
            at++;
        } else if (is_flag && argument[1] != '-') {
            snprintf(message, message_size, "unknown flag %.100s", argument);
            return RK_INVALID;
        } else if (is_flag) {
            if (flag_parse(argc, argv, &at, &args, message, message_size) != RK_OK) {
                return RK_INVALID;
            }
        } else if (args.words_count == ARGS_WORDS_MAX) {
            snprintf(message, message_size, "too many words");
            return RK_INVALID;
        } else {
            args.words[args.words_count++] = argument;
            at++;
        }
    }
    *ret = args;
    return RK_OK;
}
