#include "server/options_table.h"

#include <string.h>

#include "base/assert.h"
#include "base/parse.h"
#include "raft/raft.h"
#include "statemachine/command.h"
#include "statemachine/feature.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, DAY_MS = 24 * 60 * MINUTE_MS };

_Static_assert(sizeof(enum rk_log_level) == sizeof(uint32_t), "a choice is stored as 32 bits");
_Static_assert(sizeof(enum rk_log_format) == sizeof(uint32_t), "a choice is stored as 32 bits");

#define AT(field)         .offset = offsetof(struct options, field)
#define RANGE(min_, max_) .min = (min_), .max = (max_)

static const struct options_row rows[] = {
    {.key = "node-id",
     .kind = OPTIONS_NAME,
     .value = "",
     .derived = "host name",
     AT(node_id),
     .help = "this node's name in the cluster"},
    {.key = "data-dir",
     .kind = OPTIONS_PATH,
     .value = "./raftkv-data",
     AT(data_dir),
     .help = "where log, term and vote live; locked against a second process"},
    {.key = "client-listen",
     .kind = OPTIONS_ADDRESS,
     .value = "127.0.0.1:8500",
     AT(client_listen),
     .help = "where clients reach the REST API"},
    {.key = "peer-listen",
     .kind = OPTIONS_ADDRESS,
     .value = "127.0.0.1:8300",
     AT(peer_listen),
     .help = "where the other nodes reach this one"},
    {.key = "peer-advertise",
     .kind = OPTIONS_ADDRESS,
     .value = "",
     .derived = "as in initial-cluster, else peer-listen",
     AT(peer_advertise),
     .help = "the peer address that the others are told"},
    {.key = "client-advertise",
     .kind = OPTIONS_ADDRESS,
     .value = "",
     .derived = "client-listen",
     AT(client_advertise),
     .help = "the client address that the others are told"},
    {.key = "initial-cluster",
     .kind = OPTIONS_CLUSTER,
     .value = "",
     .derived = "this node alone",
     AT(initial_cluster),
     .help = "peer addresses of the first members; used when the data directory is new"},
    {.key = "join",
     .kind = OPTIONS_ADDRESS,
     .value = "",
     .derived = "none",
     AT(join),
     .help = "peer address of a member: come up empty and wait to be added"},
    {.key = "datacenter",
     .kind = OPTIONS_NAME,
     .value = "dc1",
     AT(datacenter),
     .help = "the datacenter name that clients see"},
    {.key = "heartbeat-interval",
     .kind = OPTIONS_DURATION,
     .value = "50ms",
     RANGE(5, MINUTE_MS),
     AT(heartbeat_interval_ms),
     .help = "how often a leader is heard; less than a third of election-timeout"},
    {.key = "election-timeout",
     .kind = OPTIONS_DURATION,
     .value = "400ms",
     RANGE(20, 10 * MINUTE_MS),
     AT(election_timeout_ms),
     .help = "silence after which a leader counts as gone; the same on all nodes"},
    {.key = "lease-drift",
     .kind = OPTIONS_PERCENT,
     .value = "1%",
     RANGE(0, 50),
     AT(lease_drift_percent),
     .help = "how much slower a leader's clock may run than a voter's, for default-read = lease"},
    {.key = "max-inflight",
     .kind = OPTIONS_COUNT,
     .value = "64",
     RANGE(1, RAFT_INFLIGHT_MAX),
     AT(max_inflight),
     .help = "appends under way to one peer"},
    {.key = "snapshot-rate",
     .kind = OPTIONS_SIZE,
     .value = "64MiB",
     RANGE(1 << 16, 1U << 31),
     AT(snapshot_rate),
     .help = "bytes of a snapshot sent to one peer in a second"},
    {.key = "snapshot-entries",
     .kind = OPTIONS_COUNT,
     .value = "100000",
     RANGE(1, 1U << 31),
     AT(snapshot_entries),
     .help = "log entries after which a snapshot is taken"},
    {.key = "trailing-entries",
     .kind = OPTIONS_COUNT,
     .value = "10000",
     RANGE(0, 1U << 31),
     AT(trailing_entries),
     .help = "log entries kept behind a snapshot for slow followers"},
    {.key = "max-key-size",
     .kind = OPTIONS_SIZE,
     .value = "4KiB",
     RANGE(16, RK_KEY_SIZE_MAX),
     AT(max_key_size),
     .help = "longer keys are refused with 400"},
    {.key = "max-value-size",
     .kind = OPTIONS_SIZE,
     .value = "512KiB",
     RANGE(16, RK_VALUE_SIZE_MAX),
     AT(max_value_size),
     .help = "larger values are refused with 413"},
    {.key = "max-request-size",
     .kind = OPTIONS_SIZE,
     .value = "8MiB",
     RANGE(1024, RK_REQUEST_SIZE_MAX),
     AT(max_request_size),
     .help = "larger request bodies are refused with 413"},
    {.key = "max-restore-size",
     .kind = OPTIONS_SIZE,
     .value = "1GiB",
     RANGE(1 << 20, UINT32_MAX),
     AT(max_restore_size),
     .help = "a backup that is larger, packed or unpacked, is not restored"},
    {.key = "max-connections",
     .kind = OPTIONS_COUNT,
     .value = "16384",
     RANGE(8, 1 << 20),
     AT(max_connections),
     .help = "client connections open at once; more are refused"},
    {.key = "max-pending-writes",
     .kind = OPTIONS_COUNT,
     .value = "8192",
     RANGE(1, 1 << 16),
     AT(max_pending_writes),
     .help = "writes waiting for their outcome; past it: 429"},
    {.key = "max-txn-ops",
     .kind = OPTIONS_COUNT,
     .value = "1024",
     RANGE(1, SM_TXN_OPS_MAX),
     AT(max_txn_ops),
     .help = "operations in one transaction; more are refused with 413"},
    {.key = "idempotency-window",
     .kind = OPTIONS_TIME,
     .value = "10m",
     RANGE(SECOND_MS, DAY_MS),
     AT(idempotency_window_ms),
     .help = "how long a request id is remembered"},
    {.key = "session-ttl-min",
     .kind = OPTIONS_TIME,
     .value = "10s",
     RANGE(100, DAY_MS),
     AT(session_ttl_min_ms),
     .help = "the shortest session TTL accepted"},
    {.key = "health-timeout",
     .kind = OPTIONS_TIME,
     .value = "15s",
     RANGE(SECOND_MS, DAY_MS),
     AT(health_timeout_ms),
     .help = "silence after which the leader calls a node's serfHealth critical"},
    {.key = "default-read",
     .kind = OPTIONS_SWITCH,
     .value = "readindex",
     .words = "readindex|lease",
     AT(lease_reads),
     .help = "how reads that ask for nothing special are made linearizable"},
    {.key = "feature-level-max",
     .kind = OPTIONS_COUNT,
     .value = "2",
     RANGE(FEATURE_LEVEL_FIRST, FEATURE_LEVEL_MAX),
     AT(feature_level_max),
     .help = "pass for a version that reads no more: holds the end of an upgrade back"},
    {.key = "log-store",
     .kind = OPTIONS_SWITCH,
     .value = "sqlite",
     .words = "sqlite|memory",
     AT(log_store_memory),
     .help = "memory is for tests: nothing survives the process"},
    {.key = "log-level",
     .kind = OPTIONS_CHOICE,
     .value = "info",
     .words = "debug|info|warn|error",
     AT(log_level),
     .help = "the least level that is logged"},
    {.key = "log-format",
     .kind = OPTIONS_CHOICE,
     .value = "logfmt",
     .words = "logfmt|json",
     AT(log_format),
     .help = "the form of log lines, on standard error"},
    {.key = "http-threads",
     .kind = OPTIONS_COUNT,
     .value = "",
     .derived = "the cores less one, at least 1",
     RANGE(1, 64),
     AT(http_threads),
     .help = "threads that serve clients"},
};

const struct options_row *options_rows(uint32_t *ret_count)
{
    *ret_count = sizeof(rows) / sizeof(rows[0]);
    return rows;
}

const struct options_row *options_row_find(const char *key, size_t key_size)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strlen(rows[i].key) == key_size && memcmp(rows[i].key, key, key_size) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *options_row_form(const struct options_row *row)
{
    static const char *const forms[] = {
        [OPTIONS_NAME] = "NAME",         [OPTIONS_PATH] = "PATH",
        [OPTIONS_ADDRESS] = "HOST:PORT", [OPTIONS_CLUSTER] = "NAME=HOST:PORT,...",
        [OPTIONS_DURATION] = "DURATION", [OPTIONS_TIME] = "DURATION",
        [OPTIONS_COUNT] = "COUNT",       [OPTIONS_SIZE] = "SIZE",
        [OPTIONS_PERCENT] = "PERCENT",
    };

    return row->words != NULL ? row->words : forms[row->kind];
}

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

static bool is_name(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!is_name_byte(text[i])) {
            return false;
        }
    }
    return size >= 1 && size <= RK_NODE_NAME_SIZE_MAX;
}

static bool is_port(const char *text)
{
    uint64_t port = 0;

    return strlen(text) <= 5 && rk_parse_u64(text, &port) == RK_OK && port >= 1 && port <= 65535;
}

/* A name or an IPv4 address; or an IPv6 address in brackets, whose digits the socket calls will
 * judge. */
static bool is_host(const char *text, size_t size)
{
    static const char in_brackets[] = "0123456789abcdefABCDEF:.%";

    if (size >= 4 && text[0] == '[') {
        return text[size - 1] == ']' && strspn(text + 1, in_brackets) == size - 2;
    }
    for (size_t i = 0; i < size; i++) {
        if (!is_name_byte(text[i])) {
            return false;
        }
    }
    return size >= 1;
}

static bool is_address(const char *text)
{
    const char *colon = strrchr(text, ':');

    return strlen(text) <= RK_ADDRESS_SIZE_MAX && colon != NULL && is_port(colon + 1) &&
           is_host(text, (size_t)(colon - text));
}

static enum rk_status set_text(const struct options_row *row, const char *text,
                               struct options *options)
{
    const size_t size = strlen(text);
    const bool is_valid = row->kind == OPTIONS_NAME      ? is_name(text, size)
                          : row->kind == OPTIONS_ADDRESS ? is_address(text)
                                                         : size >= 1 && size < OPTIONS_PATH_SIZE;

    if (!is_valid) {
        return RK_INVALID;
    }
    memcpy((char *)options + row->offset, text, size + 1);
    return RK_OK;
}

/* Cuts "name=host:port" up to `size` bytes of `text` into *ret. */
static bool peer_parse(const char *text, size_t size, struct options_peer *ret)
{
    const char *equals = memchr(text, '=', size);
    struct options_peer peer = {.name = ""};

    if (equals == NULL || !is_name(text, (size_t)(equals - text))) {
        return false;
    }
    const size_t name_size = (size_t)(equals - text);
    const size_t address_size = size - name_size - 1;
    if (address_size > RK_ADDRESS_SIZE_MAX) {
        return false;
    }
    memcpy(peer.name, text, name_size);
    memcpy(peer.address, equals + 1, address_size);
    *ret = peer;
    return is_address(peer.address);
}

static const char *peer_conflict(const struct options_peer *peers, uint32_t count,
                                 const struct options_peer *added)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(peers[i].name, added->name) == 0) {
            return "a node is named twice";
        }
        if (strcmp(peers[i].address, added->address) == 0) {
            return "two nodes have one address";
        }
    }
    return NULL;
}

static enum rk_status set_cluster(const char *text, struct options *options, char *why,
                                  size_t why_size)
{
    struct options_peer peers[OPTIONS_CLUSTER_MAX];
    uint32_t count = 0;

    for (const char *at = text; at != NULL; count++) {
        const size_t size = strcspn(at, ",");
        if (count == OPTIONS_CLUSTER_MAX) {
            snprintf(why, why_size, "more than %d nodes", (int)OPTIONS_CLUSTER_MAX);
            return RK_INVALID;
        }
        if (!peer_parse(at, size, &peers[count])) {
            snprintf(why, why_size,
                     "not a list of node names and peer addresses; "
                     "allowed: n1=host:port,n2=host:port,...");
            return RK_INVALID;
        }
        const char *conflict = peer_conflict(peers, count, &peers[count]);
        if (conflict != NULL) {
            snprintf(why, why_size, "%s (%s=%s)", conflict, peers[count].name,
                     peers[count].address);
            return RK_INVALID;
        }
        at = at[size] == ',' ? at + size + 1 : NULL;
    }
    memcpy(options->initial_cluster, peers, count * sizeof(peers[0]));
    options->initial_cluster_count = count;
    return RK_OK;
}

static enum rk_status parse_duration_ms(const char *text, uint64_t *ret)
{
    enum { NS_PER_MS = 1000000 };
    int64_t ns = 0;
    const enum rk_status status = rk_parse_duration(text, &ns);

    if (status != RK_OK || ns < 0 || ns % NS_PER_MS != 0) {
        return RK_INVALID;
    }
    *ret = (uint64_t)ns / NS_PER_MS;
    return RK_OK;
}

static enum rk_status parse_percent(const char *text, uint64_t *ret)
{
    char digits[8] = "";
    const size_t size = strlen(text);

    if (size < 2 || size > sizeof(digits) || text[size - 1] != '%') {
        return RK_INVALID;
    }
    memcpy(digits, text, size - 1);
    return rk_parse_u64(digits, ret);
}

static enum rk_status parse_word(const char *words, const char *text, uint64_t *ret)
{
    const size_t size = strlen(text);
    uint64_t position = 0;

    for (const char *at = words; at != NULL; position++) {
        const size_t word_size = strcspn(at, "|");
        if (word_size == size && memcmp(at, text, size) == 0) {
            *ret = position;
            return RK_OK;
        }
        at = at[word_size] == '|' ? at + word_size + 1 : NULL;
    }
    return RK_INVALID;
}

static enum rk_status number_parse(const struct options_row *row, const char *text, uint64_t *ret)
{
    switch (row->kind) {
    case OPTIONS_DURATION:
    case OPTIONS_TIME:
        return parse_duration_ms(text, ret);
    case OPTIONS_SIZE:
        return rk_parse_size(text, ret);
    case OPTIONS_PERCENT:
        return parse_percent(text, ret);
    case OPTIONS_CHOICE:
    case OPTIONS_SWITCH:
        return parse_word(row->words, text, ret);
    case OPTIONS_COUNT:
    case OPTIONS_NAME:
    case OPTIONS_PATH:
    case OPTIONS_ADDRESS:
    case OPTIONS_CLUSTER:
        break;
    }
    return rk_parse_u64(text, ret);
}

static enum rk_status set_number(const struct options_row *row, const char *text,
                                 struct options *options)
{
    uint64_t value = 0;

    if (number_parse(row, text, &value) != RK_OK) {
        return RK_INVALID;
    }
    if (row->words == NULL && (value < row->min || value > row->max)) {
        return RK_INVALID;
    }
    if (row->kind == OPTIONS_SWITCH) {
        const bool is_on = value != 0;
        memcpy((char *)options + row->offset, &is_on, sizeof(is_on));
    } else {
        const uint32_t narrow = (uint32_t)value;
        memcpy((char *)options + row->offset, &narrow, sizeof(narrow));
    }
    return RK_OK;
}

static void say_allowed(const struct options_row *row, char *why, size_t why_size)
{
    const unsigned long long min = row->min;
    const unsigned long long max = row->max;

    switch (row->kind) {
    case OPTIONS_NAME:
        snprintf(why, why_size, "not a name; allowed: 1 to %d of A-Z a-z 0-9 . _ -",
                 (int)RK_NODE_NAME_SIZE_MAX);
        break;
    case OPTIONS_PATH:
        snprintf(why, why_size, "not a path; allowed: 1 to %d bytes", (int)OPTIONS_PATH_SIZE - 1);
        break;
    case OPTIONS_ADDRESS:
        snprintf(why, why_size, "not an address; allowed: host:port, port 1 to 65535");
        break;
    case OPTIONS_DURATION:
    case OPTIONS_TIME:
        snprintf(why, why_size,
                 "not a duration in range; allowed: %llums to %llums, whole milliseconds, as in "
                 "400ms or 10s",
                 min, max);
        break;
    case OPTIONS_SIZE:
        snprintf(why, why_size,
                 "not a size in range; allowed: %llu to %llu bytes, as in 4096, 4KiB or 8MiB", min,
                 max);
        break;
    case OPTIONS_PERCENT:
        snprintf(why, why_size, "not a share in range; allowed: %llu%% to %llu%%", min, max);
        break;
    case OPTIONS_CHOICE:
    case OPTIONS_SWITCH:
        snprintf(why, why_size, "no such choice; allowed: %s", row->words);
        break;
    case OPTIONS_COUNT:
    case OPTIONS_CLUSTER:
        snprintf(why, why_size, "not a number in range; allowed: %llu to %llu", min, max);
        break;
    }
}

enum rk_status options_row_set(const struct options_row *row, const char *text,
                               struct options *options, char *why, size_t why_size)
{
    enum rk_status status = RK_OK;

    if (row->kind == OPTIONS_CLUSTER) {
        return set_cluster(text, options, why, why_size);
    }
    if (row->kind == OPTIONS_NAME || row->kind == OPTIONS_PATH || row->kind == OPTIONS_ADDRESS) {
        status = set_text(row, text, options);
    } else {
        status = set_number(row, text, options);
    }
    if (status != RK_OK) {
        say_allowed(row, why, why_size);
        return RK_INVALID;
    }
    return RK_OK;
}
