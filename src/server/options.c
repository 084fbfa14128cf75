#include "server/options.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/heap.h"
#include "server/options_file.h"
#include "server/options_table.h"

enum { SHOWN_SIZE_MAX = 120, HTTP_THREADS_MAX = 64 };

/* What the loading knows besides the options themselves. */
struct loading {
    int argc;
    char **argv;
    struct options *options;
    const char *config; /* the file, NULL: none */
    char *message;
    size_t message_size;
};

static void show(const char *text, char *ret, size_t ret_size)
{
    size_t size = 0;

    for (; text[size] != '\0' && size < SHOWN_SIZE_MAX && size + 4 < ret_size; size++) {
        const unsigned char byte = (unsigned char)text[size];
        ret[size] = byte < 0x20 || byte == 0x7f ? '?' : text[size];
    }
    memcpy(ret + size, text[size] == '\0' ? "" : "...", text[size] == '\0' ? 1 : 4);
}

void options_refuse(const char *place, const char *key, const char *value, const char *why,
                    char *message, size_t message_size)
{
    char key_shown[SHOWN_SIZE_MAX + 8];
    char value_shown[SHOWN_SIZE_MAX + 8];

    show(key != NULL ? key : "", key_shown, sizeof(key_shown));
    show(value != NULL ? value : "", value_shown, sizeof(value_shown));
    snprintf(message, message_size, "%s%s%s%s%s: %s", place, key != NULL ? ": " : "", key_shown,
             value != NULL ? " = " : "", value_shown, why);
}

static enum rk_status refuse(const struct loading *loading, const char *place, const char *key,
                             const char *value, const char *why)
{
    options_refuse(place, key, value, why, loading->message, loading->message_size);
    return RK_INVALID;
}

/* One argument that was taken apart: --name, --name=value or --name value. */
struct flag {
    const char *name;
    size_t name_size;
    const char *value; /* NULL: none */
};

static bool flag_takes_value(const struct flag *flag)
{
    return (flag->name_size == strlen("config") && memcmp(flag->name, "config", 6) == 0) ||
           options_row_find(flag->name, flag->name_size) != NULL;
}

static bool flag_is(const struct flag *flag, const char *name)
{
    return flag->name_size == strlen(name) && memcmp(flag->name, name, flag->name_size) == 0;
}

/* Takes argv[*at] apart and moves *at behind it. */
static enum rk_status flag_next(const struct loading *loading, int *at, struct flag *ret)
{
    const char *argument = loading->argv[(*at)++];

    if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0') {
        return refuse(loading, "command line", argument, NULL,
                      "not a flag; allowed: --key value, --key=value");
    }
    ret->name = argument + 2;
    ret->name_size = strcspn(ret->name, "=");
    ret->value = ret->name[ret->name_size] == '=' ? ret->name + ret->name_size + 1 : NULL;
    if (!flag_takes_value(ret)) {
        const bool is_bare = flag_is(ret, "help") || flag_is(ret, "version") || flag_is(ret, "dev");
        if (is_bare && ret->value == NULL) {
            return RK_OK;
        }
        return refuse(loading, "command line", argument, NULL,
                      is_bare ? "takes no value"
                              : "unknown flag; `raftkvd --help` lists what is allowed");
    }
    if (ret->value != NULL) {
        return RK_OK;
    }
    /* A flag behind it means that the value was forgotten: "--node-id --data-dir x". */
    if (*at >= loading->argc || strncmp(loading->argv[*at], "--", 2) == 0) {
        return refuse(loading, "command line", argument, NULL, "needs a value");
    }
    ret->value = loading->argv[(*at)++];
    return RK_OK;
}

/* Finds what must be known before the values are read, and checks the form of every flag. */
static enum rk_status flags_scan(struct loading *loading)
{
    for (int at = 1; at < loading->argc;) {
        struct flag flag = {.name = NULL};
        const enum rk_status status = flag_next(loading, &at, &flag);
        if (status != RK_OK) {
            return status;
        }
        if (flag_is(&flag, "help")) {
            loading->options->want_help = true;
        } else if (flag_is(&flag, "version")) {
            loading->options->want_version = true;
        } else if (flag_is(&flag, "dev")) {
            loading->options->dev = true;
        } else if (flag_is(&flag, "config")) {
            loading->config = flag.value;
        }
    }
    return RK_OK;
}

static enum rk_status flags_apply(const struct loading *loading)
{
    char why[512];

    for (int at = 1; at < loading->argc;) {
        struct flag flag = {.name = NULL};
        const enum rk_status status = flag_next(loading, &at, &flag);
        RK_ASSERT(status == RK_OK); /* flags_scan() has been here */
        const struct options_row *row = options_row_find(flag.name, flag.name_size);
        if (row == NULL) {
            continue;
        }
        if (options_row_set(row, flag.value, loading->options, why, sizeof(why)) != RK_OK) {
            char place[64];
            snprintf(place, sizeof(place), "--%s", row->key);
            return refuse(loading, place, row->key, flag.value, why);
        }
    }
    return RK_OK;
}

static void variable_name(const char *key, char ret[64])
{
    size_t size = (size_t)snprintf(ret, 64, "RAFTKV_%s", key);

    RK_ASSERT(size < 64);
    while (size-- > strlen("RAFTKV_")) {
        if (ret[size] == '-') {
            ret[size] = '_';
        } else if (ret[size] >= 'a' && ret[size] <= 'z') {
            ret[size] = (char)(ret[size] - 'a' + 'A');
        }
    }
}

/* A variable that is set to nothing counts as not set: that is how compose files and shells take
 * one away. */
static const char *variable_value(const char *key, char name[64])
{
    variable_name(key, name);
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

static enum rk_status environment_apply(const struct loading *loading)
{
    char name[64];
    char why[512];
    uint32_t count = 0;
    const struct options_row *rows = options_rows(&count);

    for (uint32_t i = 0; i < count; i++) {
        const char *value = variable_value(rows[i].key, name);
        if (value == NULL) {
            continue;
        }
        if (options_row_set(&rows[i], value, loading->options, why, sizeof(why)) != RK_OK) {
            return refuse(loading, name, rows[i].key, value, why);
        }
    }
    return RK_OK;
}

static enum rk_status file_apply(const struct loading *loading)
{
    if (loading->config == NULL) {
        return RK_OK;
    }
    errno = 0;
    FILE *file = fopen(loading->config, "rb");
    if (file == NULL) {
        return refuse(loading, "--config", loading->config, NULL, strerror(errno));
    }
    uint8_t *data = rk_heap_alloc(OPTIONS_FILE_SIZE_MAX + 1);
    const size_t size = fread(data, 1, OPTIONS_FILE_SIZE_MAX + 1, file);
    const int error = ferror(file) ? errno : 0;
    enum rk_status status = RK_INVALID;

    fclose(file);
    if (error != 0) {
        status = refuse(loading, "--config", loading->config, NULL, strerror(error));
    } else if (size > OPTIONS_FILE_SIZE_MAX) {
        status = refuse(loading, "--config", loading->config, NULL,
                        "too large; allowed: a file of at most 1 MiB");
    } else {
        const struct rk_bytes text = {.data = data, .size = (uint32_t)size};
        status = options_apply_text(loading->config, text, loading->options, loading->message,
                                    loading->message_size);
    }
    rk_heap_free(data);
    return status;
}

static void defaults_apply(struct options *options)
{
    char why[512];
    uint32_t count = 0;
    const struct options_row *rows = options_rows(&count);

    for (uint32_t i = 0; i < count; i++) {
        if (*rows[i].value != '\0') {
            const enum rk_status status =
                options_row_set(&rows[i], rows[i].value, options, why, sizeof(why));
            RK_ASSERT(status == RK_OK);
        }
    }
}

static uint32_t cores_usable(void)
{
    cpu_set_t cores;

    if (sched_getaffinity(0, sizeof(cores), &cores) != 0) {
        return 1;
    }
    const int count = CPU_COUNT(&cores);
    return count < 1 ? 1 : count > HTTP_THREADS_MAX ? HTTP_THREADS_MAX : (uint32_t)count;
}

static enum rk_status node_id_derive(const struct loading *loading)
{
    char name[256] = "";
    char why[512];

    if (loading->options->node_id[0] != '\0') {
        return RK_OK;
    }
    if (gethostname(name, sizeof(name) - 1) != 0) {
        name[0] = '\0';
    }
    if (options_row_set(options_row_find("node-id", 7), name, loading->options, why, sizeof(why)) !=
        RK_OK) {
        return refuse(loading, "host name", "node-id", name, why);
    }
    return RK_OK;
}

static const struct options_peer *self_find(const struct options *options)
{
    for (uint32_t i = 0; i < options->initial_cluster_count; i++) {
        if (strcmp(options->initial_cluster[i].name, options->node_id) == 0) {
            return &options->initial_cluster[i];
        }
    }
    return NULL;
}

/* Fills in what follows from other keys. */
static enum rk_status derive(const struct loading *loading)
{
    struct options *options = loading->options;
    const enum rk_status status = node_id_derive(loading);

    if (status != RK_OK) {
        return status;
    }
    const struct options_peer *self = self_find(options);
    if (options->join[0] != '\0' && options->initial_cluster_count > 0) {
        return refuse(loading, "join", "join", options->join,
                      "contradicts initial-cluster: a node joins a cluster or forms one");
    }
    if (self == NULL && options->initial_cluster_count > 0) {
        return refuse(loading, "initial-cluster", "node-id", options->node_id,
                      "this node is not in initial-cluster; allowed: one of the names there");
    }
    if (options->peer_advertise[0] == '\0') {
        memcpy(options->peer_advertise, self != NULL ? self->address : options->peer_listen,
               sizeof(options->peer_advertise));
    }
    if (options->client_advertise[0] == '\0') {
        memcpy(options->client_advertise, options->client_listen,
               sizeof(options->client_advertise));
    }
    if (self == NULL) {
        memcpy(options->initial_cluster[0].name, options->node_id, sizeof(options->node_id));
        memcpy(options->initial_cluster[0].address, options->peer_advertise,
               sizeof(options->peer_advertise));
        options->initial_cluster_count = 1;
    }
    if (options->http_threads == 0) {
        const uint32_t cores = cores_usable();
        options->http_threads = cores > 1 ? cores - 1 : 1; /* one is for the node and the disk */
    }
    return RK_OK;
}

/* What no row can say alone. */
static enum rk_status relations_check(const struct loading *loading)
{
    const struct options *options = loading->options;
    char why[256];

    if (3 * (uint64_t)options->heartbeat_interval_ms >= options->election_timeout_ms) {
        snprintf(why, sizeof(why),
                 "%ums is too long for election-timeout = %ums; allowed: less than a third of it",
                 (unsigned)options->heartbeat_interval_ms, (unsigned)options->election_timeout_ms);
        return refuse(loading, "configuration", "heartbeat-interval", NULL, why);
    }
    if (options->max_value_size > options->max_request_size) {
        snprintf(why, sizeof(why),
                 "%u bytes do not fit max-request-size = %u bytes; allowed: at most that",
                 (unsigned)options->max_value_size, (unsigned)options->max_request_size);
        return refuse(loading, "configuration", "max-value-size", NULL, why);
    }
    if (strcmp(options->client_listen, options->peer_listen) == 0) {
        return refuse(loading, "configuration", "peer-listen", options->peer_listen,
                      "the same as client-listen; allowed: another address");
    }
    return RK_OK;
}

/* --dev is one node that leaves nothing behind: what contradicts that is refused, whoever said
 * it. Called before derive(), so that a field that holds anything was set. */
static enum rk_status dev_check(const struct loading *loading)
{
    const char *why = "contradicts --dev, which is one node with a throw-away data directory";

    if (loading->options->data_dir[0] != '\0') {
        return refuse(loading, "--dev", "data-dir", loading->options->data_dir, why);
    }
    if (loading->options->initial_cluster_count != 0) {
        return refuse(loading, "--dev", "initial-cluster", NULL, why);
    }
    return RK_OK;
}

static enum rk_status dev_directory_make(const struct loading *loading)
{
    const char *parent = getenv("TMPDIR");
    char *path = loading->options->data_dir;
    const size_t path_size = sizeof(loading->options->data_dir);

    if (parent == NULL || *parent == '\0') {
        parent = "/tmp";
    }
    const int size = snprintf(path, path_size, "%s/raftkv-dev-XXXXXX", parent);
    if (size < 0 || (size_t)size >= path_size) {
        return refuse(loading, "--dev", "TMPDIR", parent, "too long");
    }
    errno = 0;
    if (mkdtemp(path) == NULL) {
        return refuse(loading, "--dev", "data-dir", path, strerror(errno));
    }
    return RK_OK;
}

static int entry_remove(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

void options_dev_remove(const struct options *options)
{
    enum { DESCRIPTORS_MAX = 16 };

    if (options->dev && nftw(options->data_dir, entry_remove, DESCRIPTORS_MAX,
                             FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0) {
        rk_log(RK_LOG_WARN, "options", "dev_directory_left", RK_TEXT("path", options->data_dir),
               RK_END);
    }
}

static enum rk_status sources_apply(const struct loading *loading)
{
    enum rk_status status = file_apply(loading);

    if (status == RK_OK) {
        status = environment_apply(loading);
    }
    if (status == RK_OK) {
        status = flags_apply(loading);
    }
    return status;
}

enum rk_status options_load(int argc, char **argv, struct options *ret, char *message,
                            size_t message_size)
{
    char name[64];
    struct loading loading = {.argc = argc,
                              .argv = argv,
                              .options = ret,
                              .config = variable_value("config", name),
                              .message = message,
                              .message_size = message_size};

    memset(ret, 0, sizeof(*ret));
    enum rk_status status = flags_scan(&loading);
    if (status != RK_OK || ret->want_help || ret->want_version) {
        return status;
    }
    defaults_apply(ret);
    if (ret->dev) {
        ret->data_dir[0] = '\0'; /* so that dev_check() sees whether somebody sets it */
    }
    status = sources_apply(&loading);
    if (status == RK_OK && ret->dev) {
        status = dev_check(&loading);
    }
    if (status == RK_OK) {
        status = derive(&loading);
    }
    if (status == RK_OK) {
        status = relations_check(&loading);
    }
    if (status == RK_OK && ret->dev) {
        status = dev_directory_make(&loading);
    }
    return status;
}

void options_help(FILE *file)
{
    uint32_t count = 0;
    const struct options_row *rows = options_rows(&count);

    fputs("usage: raftkvd [--config FILE] [--KEY VALUE]...\n"
          "       raftkvd --dev | --help | --version\n\n"
          "The node of a RaftKV cluster. A key may be given as a flag (--node-id n1), as a\n"
          "variable (RAFTKV_NODE_ID=n1) or in the file (node-id = n1); the first of these wins.\n"
          "\n"
          "  --config FILE\n      lines of `key = value`, comments begin with #\n"
          "  --dev\n      one node with a throw-away data directory, no configuration needed\n\n",
          file);
    for (uint32_t i = 0; i < count; i++) {
        const struct options_row *row = &rows[i];
        fprintf(file, "  --%s %s\n      %s (default: %s)\n", row->key, options_row_form(row),
                row->help, row->derived != NULL ? row->derived : row->value);
    }
}
