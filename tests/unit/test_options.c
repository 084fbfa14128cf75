/* The configuration: what is accepted, what wins, and that a refusal is one line that says where,
 * which key, which value and what is allowed (design.md 1). */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/options.h"
#include "server/options_table.h"
#include "support/run.h"

static struct options options;
static char message[OPTIONS_MESSAGE_SIZE];
static char file_name[64];

enum { ARGUMENTS_MAX = 8, ARGUMENT_SIZE = 4096 };

/* Loads copies of `arguments`, which end with NULL. */
static enum rk_status load_arguments(const char *const *arguments)
{
    static char copies[ARGUMENTS_MAX][ARGUMENT_SIZE];
    char *argv[ARGUMENTS_MAX + 1] = {NULL};
    int argc = 0;

    for (; arguments[argc] != NULL; argc++) {
        ck_assert_int_lt(argc, ARGUMENTS_MAX);
        snprintf(copies[argc], ARGUMENT_SIZE, "%s", arguments[argc]);
        argv[argc] = copies[argc];
    }
    message[0] = '\0';
    return options_load(argc, argv, &options, message, sizeof(message));
}

#define LOAD(...)       load_arguments((const char *const[]){"raftkvd", __VA_ARGS__, NULL})
#define LOAD_NAMED(...) LOAD("--node-id", "n1", __VA_ARGS__)

/* The refusal names everything it must: `place`, then what is wrong. */
#define ck_assert_refused(load, place, reason)                                               \
    do {                                                                                     \
        ck_assert_int_eq((load), RK_INVALID);                                                \
        ck_assert_msg(strstr(message, (place)) != NULL, "no %s in: %s", (place), message);   \
        ck_assert_msg(strstr(message, (reason)) != NULL, "no %s in: %s", (reason), message); \
        ck_assert_ptr_null(strchr(message, '\n'));                                           \
    } while (0)

static void file_write(const char *text)
{
    FILE *file = fopen(file_name, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* A template for mkstemp() and mkdtemp(), where the run keeps its files. */
static void template_make(char *ret, size_t size)
{
    const char *parent = getenv("TMPDIR");

    snprintf(ret, size, "%.40s/options-XXXXXX",
             parent != NULL && strlen(parent) <= 40 ? parent : "/tmp");
}

static void setup(void)
{
    uint32_t count = 0;
    const struct options_row *rows = options_rows(&count);
    char name[64];

    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "RAFTKV_%s", rows[i].key);
        for (char *at = name; *at != '\0'; at++) {
            *at = *at == '-' ? '_' : (char)(*at >= 'a' && *at <= 'z' ? *at - 32 : *at);
        }
        unsetenv(name);
    }
    unsetenv("RAFTKV_CONFIG");
    template_make(file_name, sizeof(file_name));
    const int file = mkstemp(file_name);
    ck_assert_int_ge(file, 0);
    close(file);
}

static void teardown(void)
{
    unlink(file_name);
}

/* design.md 1, the table of keys. */
START_TEST(defaults_are_those_of_the_design)
{
    ck_assert_int_eq(LOAD_NAMED(NULL), RK_OK);

    ck_assert_str_eq(options.data_dir, "./raftkv-data");
    ck_assert_str_eq(options.client_listen, "127.0.0.1:8500");
    ck_assert_str_eq(options.peer_listen, "127.0.0.1:8300");
    ck_assert_str_eq(options.datacenter, "dc1");
    ck_assert_uint_eq(options.heartbeat_interval_ms, 50);
    ck_assert_uint_eq(options.election_timeout_ms, 400);
    ck_assert_uint_eq(options.max_inflight, 64);
    ck_assert_uint_eq(options.max_key_size, 4096);
    ck_assert_uint_eq(options.max_value_size, 524288);
    ck_assert_uint_eq(options.max_request_size, 8388608);
    ck_assert_uint_eq(options.max_connections, 16384);
    ck_assert_uint_eq(options.max_pending_writes, 8192);
    ck_assert(!options.log_store_memory);
    ck_assert(!options.lease_reads);
    ck_assert_uint_eq(options.lease_drift_percent, 1);
    ck_assert(!options.dev);
    ck_assert_int_eq(options.log_level, RK_LOG_INFO);
    ck_assert_int_eq(options.log_format, RK_LOG_LOGFMT);
}
END_TEST

START_TEST(node_is_named_after_its_host)
{
    char host[256] = "";
    ck_assert_int_eq(gethostname(host, sizeof(host) - 1), 0);

    ck_assert_int_eq(LOAD(NULL), RK_OK);

    ck_assert_str_eq(options.node_id, host);
}
END_TEST

START_TEST(threads_default_to_the_cores_in_use_less_one)
{
    cpu_set_t saved;
    cpu_set_t one;

    CPU_ZERO(&one);
    ck_assert_int_eq(sched_getaffinity(0, sizeof(saved), &saved), 0);
    const uint32_t cores = (uint32_t)CPU_COUNT(&saved);
    ck_assert_int_eq(LOAD_NAMED(NULL), RK_OK);
    ck_assert_uint_eq(options.http_threads, cores > 64 ? 63 : cores > 1 ? cores - 1 : 1);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &saved)) {
            CPU_SET(i, &one);
        }
    }
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    ck_assert_int_eq(LOAD_NAMED(NULL), RK_OK);
    ck_assert_uint_eq(options.http_threads, 1);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(saved), &saved), 0);
}
END_TEST

START_TEST(initial_cluster_defaults_to_this_node_alone)
{
    ck_assert_int_eq(LOAD_NAMED("--peer-advertise", "db1:8300"), RK_OK);

    ck_assert_uint_eq(options.initial_cluster_count, 1);
    ck_assert_str_eq(options.initial_cluster[0].name, "n1");
    ck_assert_str_eq(options.initial_cluster[0].address, "db1:8300");
}
END_TEST

START_TEST(advertised_addresses_default_to_those_listened_on)
{
    ck_assert_int_eq(LOAD_NAMED("--peer-listen=10.0.0.1:83", "--client-listen=[::1]:85"), RK_OK);

    ck_assert_str_eq(options.peer_advertise, "10.0.0.1:83");
    ck_assert_str_eq(options.client_advertise, "[::1]:85");
}
END_TEST

/* A node that listens on every interface is known to the others as initial-cluster has it. */
START_TEST(peer_advertise_defaults_to_the_address_in_initial_cluster)
{
    ck_assert_int_eq(LOAD_NAMED("--peer-listen=0.0.0.0:8300", "--initial-cluster=n1=db1:8300"),
                     RK_OK);

    ck_assert_str_eq(options.peer_advertise, "db1:8300");
}
END_TEST

START_TEST(initial_cluster_is_read_in_order)
{
    ck_assert_int_eq(LOAD("--node-id=b", "--initial-cluster", "a=h1:1,b=h2:2,c=[::1]:3"), RK_OK);

    ck_assert_uint_eq(options.initial_cluster_count, 3);
    ck_assert_str_eq(options.initial_cluster[0].name, "a");
    ck_assert_str_eq(options.initial_cluster[1].address, "h2:2");
    ck_assert_str_eq(options.initial_cluster[2].address, "[::1]:3");
}
END_TEST

START_TEST(flag_is_given_in_either_form)
{
    ck_assert_int_eq(LOAD("--node-id=x", "--datacenter", "eu"), RK_OK);

    ck_assert_str_eq(options.node_id, "x");
    ck_assert_str_eq(options.datacenter, "eu");
}
END_TEST

/* A caller that appends flags of its own to a fixed list overrides it. */
START_TEST(last_of_a_repeated_flag_wins)
{
    ck_assert_int_eq(LOAD("--node-id=x", "--node-id=y"), RK_OK);

    ck_assert_str_eq(options.node_id, "y");
}
END_TEST

START_TEST(file_wins_over_default)
{
    file_write("# a comment\n\n  datacenter = eu-1   # behind a value\r\nmax-inflight=3");

    ck_assert_int_eq(LOAD_NAMED("--config", file_name), RK_OK);

    ck_assert_str_eq(options.datacenter, "eu-1");
    ck_assert_uint_eq(options.max_inflight, 3);
}
END_TEST

START_TEST(environment_wins_over_file)
{
    file_write("datacenter = file\nmax-inflight = 3\n");
    setenv("RAFTKV_DATACENTER", "environment", 1);

    ck_assert_int_eq(LOAD_NAMED("--config", file_name), RK_OK);

    ck_assert_str_eq(options.datacenter, "environment");
    ck_assert_uint_eq(options.max_inflight, 3);
}
END_TEST

START_TEST(flag_wins_over_environment_and_file)
{
    file_write("datacenter = file\n");
    setenv("RAFTKV_DATACENTER", "environment", 1);

    ck_assert_int_eq(LOAD_NAMED("--datacenter=flag", "--config", file_name), RK_OK);

    ck_assert_str_eq(options.datacenter, "flag");
}
END_TEST

START_TEST(environment_names_the_file)
{
    file_write("datacenter = file\n");
    setenv("RAFTKV_CONFIG", file_name, 1);

    ck_assert_int_eq(LOAD_NAMED(NULL), RK_OK);

    ck_assert_str_eq(options.datacenter, "file");
}
END_TEST

START_TEST(empty_variable_counts_as_not_set)
{
    setenv("RAFTKV_DATACENTER", "", 1);

    ck_assert_int_eq(LOAD_NAMED(NULL), RK_OK);

    ck_assert_str_eq(options.datacenter, "dc1");
}
END_TEST

/* What is overridden is read all the same: a wrong file must not wait for its day. */
START_TEST(bad_value_in_the_file_is_refused_under_a_good_flag)
{
    file_write("max-inflight = many\n");

    ck_assert_refused(LOAD_NAMED("--max-inflight=3", "--config", file_name), ":1: max-inflight",
                      "many");
}
END_TEST

START_TEST(unknown_key_in_a_file_names_its_line)
{
    file_write("# one\nnode-id = n1\nelection-time = 1s\n");

    ck_assert_refused(LOAD("--config", file_name), ":3: election-time = 1s", "unknown key");
}
END_TEST

START_TEST(repeated_key_in_a_file_names_both_lines)
{
    file_write("node-id = n1\n\nnode-id = n2\n");

    ck_assert_refused(LOAD("--config", file_name), ":3: node-id = n2", "in line 1");
}
END_TEST

START_TEST(line_without_a_value_is_refused)
{
    file_write("node-id\n");

    ck_assert_refused(LOAD("--config", file_name), ":1: node-id", "key = value");
}
END_TEST

START_TEST(flag_keys_of_the_command_line_are_unknown_to_a_file)
{
    file_write("config = other.conf\n");
    ck_assert_refused(LOAD("--config", file_name), ":1: config", "unknown key");
    file_write("dev = true\n");
    ck_assert_refused(LOAD("--config", file_name), ":1: dev", "unknown key");
}
END_TEST

START_TEST(missing_file_is_refused_by_name)
{
    ck_assert_refused(LOAD("--config=/nonexistent/x.conf"), "/nonexistent/x.conf",
                      "No such file or directory");
}
END_TEST

START_TEST(directory_as_a_file_is_refused)
{
    ck_assert_refused(LOAD("--config=/"), "--config: /", "directory");
}
END_TEST

START_TEST(nul_byte_in_a_file_is_refused)
{
    static const uint8_t text[] = "node-id = n\0001\n";
    const struct rk_bytes bytes = {.data = text, .size = sizeof(text) - 1};

    ck_assert_refused(options_apply_text("x.conf", bytes, &options, message, sizeof(message)),
                      "x.conf:1", "not a line of text");
}
END_TEST

/* Every line of etc/raftkv.conf, its comment sign taken away, is a setting that is accepted. */
START_TEST(shipped_file_is_accepted_with_every_key_set)
{
    static char text[OPTIONS_FILE_SIZE_MAX];
    const char *source = getenv("srcdir");
    char path[4096];
    uint32_t count = 0;
    uint32_t size = 0;

    snprintf(path, sizeof(path), "%s/etc/raftkv.conf", source != NULL ? source : ".");
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    for (char line[512]; fgets(line, sizeof(line), file) != NULL;) {
        const bool is_setting = line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';
        if (is_setting) {
            ck_assert_uint_lt(size + strlen(line), sizeof(text));
            memcpy(text + size, line + 1, strlen(line + 1));
            size += (uint32_t)strlen(line + 1);
            count++;
        }
    }
    fclose(file);
    const struct rk_bytes bytes = {.data = (const uint8_t *)text, .size = size};

    const enum rk_status status =
        options_apply_text(path, bytes, &options, message, sizeof(message));

    ck_assert_msg(status == RK_OK, "%s", message);
    uint32_t rows_count = 0;
    ck_assert_ptr_nonnull(options_rows(&rows_count));
    ck_assert_uint_eq(count, rows_count);
}
END_TEST

START_TEST(unknown_flag_is_refused)
{
    ck_assert_refused(LOAD("--node-name=x"), "--node-name=x", "unknown flag");
    ck_assert_refused(LOAD("-n"), "-n", "not a flag");
    ck_assert_refused(LOAD("start"), "start", "not a flag");
}
END_TEST

START_TEST(flag_without_its_value_is_refused)
{
    ck_assert_refused(LOAD("--node-id"), "--node-id", "needs a value");
    ck_assert_refused(LOAD("--node-id", "--data-dir", "x"), "--node-id", "needs a value");
    ck_assert_refused(LOAD("--dev=yes"), "--dev=yes", "takes no value");
}
END_TEST

START_TEST(bad_variable_is_named)
{
    setenv("RAFTKV_LOG_LEVEL", "loud", 1);

    ck_assert_refused(LOAD_NAMED(NULL), "RAFTKV_LOG_LEVEL: log-level = loud",
                      "debug|info|warn|error");
}
END_TEST

static const struct {
    const char *flag;
    const char *reason;
} refused[] = {
    {"--node-id=", "1 to 64"},
    {"--node-id=a/b", "1 to 64"},
    {"--node-id=n\xc3\xa4", "1 to 64"},
    {"--node-id=01234567890123456789012345678901234567890123456789012345678901234", "1 to 64"},
    {"--datacenter=a b", "1 to 64"},
    {"--data-dir=", "not a path"},
    {"--client-listen=8500", "host:port"},
    {"--client-listen=:8500", "host:port"},
    {"--client-listen=localhost:", "host:port"},
    {"--client-listen=localhost:0", "host:port"},
    {"--client-listen=localhost:65536", "host:port"},
    {"--client-listen=localhost:99999999999999999999", "host:port"},
    {"--client-listen=http://localhost:80", "host:port"},
    {"--client-listen=::1:8500", "host:port"},
    {"--client-listen=[::1:8500", "host:port"},
    {"--client-listen=[]:8500", "host:port"},
    {"--election-timeout=400", "duration"},
    {"--election-timeout=1ms", "20ms"},
    {"--election-timeout=-1s", "duration"},
    {"--election-timeout=400.5ms", "whole milliseconds"},
    {"--election-timeout=1d", "duration"},
    {"--heartbeat-interval=0", "duration"},
    {"--max-inflight=0", "1 to 256"},
    {"--max-inflight=257", "1 to 256"},
    {"--max-inflight=0x10", "1 to 256"},
    {"--max-inflight=-1", "1 to 256"},
    {"--max-inflight=18446744073709551616", "1 to 256"},
    {"--max-value-size=1MiB", "524288 bytes"},
    {"--max-value-size=-1", "524288 bytes"},
    {"--max-key-size=4097", "4096 bytes"},
    {"--lease-drift=51%", "0% to 50%"},
    {"--lease-drift=1", "0% to 50%"},
    {"--log-store=disk", "sqlite|memory"},
    {"--log-level=INFO", "debug|info|warn|error"},
    {"--log-level=inf", "debug|info|warn|error"},
    {"--log-format=", "logfmt|json"},
    {"--http-threads=0", "1 to 64"},
    {"--initial-cluster=n1", "n1=host:port"},
    {"--initial-cluster=n1=h:1,", "n1=host:port"},
    {"--initial-cluster=n1=h", "n1=host:port"},
    {"--initial-cluster==h:1", "n1=host:port"},
    {"--initial-cluster=n1=h:1,n1=h:2", "named twice"},
    {"--initial-cluster=n1=h:1,n2=h:1", "one address"},
    {"--initial-cluster=a=h:1,b=h:2,c=h:3,d=h:4,e=h:5,f=h:6,g=h:7,h=h:8,i=h:9,j=h:10",
     "more than 9"},
};

START_TEST(bad_value_is_refused_with_what_is_allowed)
{
    const char *flag = refused[_i].flag;
    char place[32];

    snprintf(place, sizeof(place), "%.*s: ", (int)strcspn(flag, "="), flag);

    ck_assert_refused(LOAD(flag), place, refused[_i].reason);
}
END_TEST

START_TEST(leases_are_asked_for)
{
    ck_assert_int_eq(LOAD_NAMED("--default-read=lease", "--lease-drift=5%"), RK_OK);
    ck_assert(options.lease_reads);
    ck_assert_uint_eq(options.lease_drift_percent, 5);
}
END_TEST

START_TEST(snapshots_are_taken_and_sent_as_asked_for)
{
    ck_assert_int_eq(LOAD_NAMED("--snapshot-rate=1MiB", "--snapshot-entries=5"), RK_OK);
    ck_assert_uint_eq(options.snapshot_rate, 1 << 20);
    ck_assert_uint_eq(options.snapshot_entries, 5);
    ck_assert_uint_eq(options.trailing_entries, 10000);
}
END_TEST

START_TEST(node_missing_in_initial_cluster_is_refused)
{
    ck_assert_refused(LOAD("--node-id=n4", "--initial-cluster=n1=h:1,n2=h:2"), "node-id = n4",
                      "not in initial-cluster");
}
END_TEST

START_TEST(join_is_an_address_and_excludes_initial_cluster)
{
    ck_assert_int_eq(LOAD_NAMED("--join=h:1"), RK_OK);
    ck_assert_str_eq(options.join, "h:1");
    ck_assert_uint_eq(options.initial_cluster_count, 1);
    ck_assert_refused(LOAD("--node-id=n1", "--join=h:1", "--initial-cluster=n1=h:2"), "join = h:1",
                      "initial-cluster");
    ck_assert_refused(LOAD_NAMED("--join=nowhere"), "join = nowhere", "host:port");
}
END_TEST

/* Three heartbeats fit an election timeout, or one lost packet is an election. */
START_TEST(heartbeat_of_a_third_of_the_election_timeout_is_refused)
{
    ck_assert_refused(LOAD_NAMED("--heartbeat-interval=100ms", "--election-timeout=300ms"),
                      "heartbeat-interval", "less than a third");
    ck_assert_int_eq(LOAD_NAMED("--heartbeat-interval=99ms", "--election-timeout=300ms"), RK_OK);
}
END_TEST

START_TEST(value_larger_than_a_request_is_refused)
{
    ck_assert_refused(LOAD_NAMED("--max-request-size=4KiB"), "max-value-size", "max-request-size");
}
END_TEST

START_TEST(one_address_for_both_listeners_is_refused)
{
    ck_assert_refused(LOAD_NAMED("--peer-listen=127.0.0.1:8500"), "peer-listen", "client-listen");
}
END_TEST

START_TEST(control_bytes_do_not_reach_the_message)
{
    ck_assert_refused(LOAD("--node-id=a\nb\033[2J"), "a?b?[2J", "1 to 64");
}
END_TEST

START_TEST(long_value_is_cut_in_the_message)
{
    char flag[4000] = "--node-id=";
    memset(flag + 10, 'x', sizeof(flag) - 11);

    ck_assert_refused(LOAD(flag), "xxx...", "1 to 64");
}
END_TEST

START_TEST(dev_makes_an_empty_private_directory)
{
    char parent[64];
    template_make(parent, sizeof(parent));
    ck_assert_ptr_nonnull(mkdtemp(parent));
    setenv("TMPDIR", parent, 1);
    struct stat status;

    ck_assert_int_eq(LOAD_NAMED("--dev"), RK_OK);

    ck_assert(options.dev);
    ck_assert_int_eq(strncmp(options.data_dir, parent, strlen(parent)), 0);
    ck_assert_int_eq(stat(options.data_dir, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0700);
    ck_assert_int_eq(rmdir(options.data_dir), 0);
    ck_assert_int_eq(rmdir(parent), 0);
}
END_TEST

START_TEST(dev_directory_goes_with_all_in_it)
{
    char parent[64];
    template_make(parent, sizeof(parent));
    char path[OPTIONS_PATH_SIZE + 32];
    ck_assert_ptr_nonnull(mkdtemp(parent));
    setenv("TMPDIR", parent, 1);
    ck_assert_int_eq(LOAD_NAMED("--dev"), RK_OK);
    snprintf(path, sizeof(path), "%s/snapshots", options.data_dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/snapshots/1", options.data_dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);

    options_dev_remove(&options);

    ck_assert_int_eq(rmdir(parent), 0);
}
END_TEST

/* Only what --dev made may be removed. */
START_TEST(configured_data_directory_is_never_removed)
{
    char path[64];
    template_make(path, sizeof(path));
    ck_assert_ptr_nonnull(mkdtemp(path));
    ck_assert_int_eq(LOAD_NAMED("--data-dir", path), RK_OK);

    options_dev_remove(&options);

    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

/* One clear line, exit 1, nothing changed on disk (design.md 1). */
START_TEST(dev_with_a_bad_value_makes_no_directory)
{
    char parent[64];
    template_make(parent, sizeof(parent));
    ck_assert_ptr_nonnull(mkdtemp(parent));
    setenv("TMPDIR", parent, 1);

    ck_assert_int_eq(LOAD("--dev", "--heartbeat-interval=10s"), RK_INVALID);

    ck_assert_int_eq(rmdir(parent), 0);
}
END_TEST

START_TEST(dev_with_a_data_directory_is_refused)
{
    ck_assert_refused(LOAD_NAMED("--dev", "--data-dir=x"), "data-dir", "--dev");
    ck_assert_refused(LOAD_NAMED("--dev", "--initial-cluster=n1=h:1"), "initial-cluster", "--dev");
}
END_TEST

START_TEST(help_and_version_are_seen_before_anything_is_made)
{
    ck_assert_int_eq(LOAD("--dev", "--help"), RK_OK);
    ck_assert(options.want_help);
    ck_assert_str_eq(options.data_dir, "");
    ck_assert_int_eq(LOAD("--version"), RK_OK);
    ck_assert(options.want_version);
}
END_TEST

START_TEST(help_names_every_key_and_its_default)
{
    char *text = NULL;
    size_t size = 0;
    uint32_t count = 0;
    const struct options_row *rows = options_rows(&count);
    FILE *file = open_memstream(&text, &size);

    options_help(file);
    fclose(file);

    for (uint32_t i = 0; i < count; i++) {
        char flag[64];
        char value[64];
        snprintf(flag, sizeof(flag), "\n  --%s ", rows[i].key);
        snprintf(value, sizeof(value), "(default: %s",
                 rows[i].derived != NULL ? rows[i].derived : rows[i].value);
        const char *at = strstr(text, flag);
        ck_assert_msg(at != NULL, "no %s", rows[i].key);
        ck_assert_msg(strstr(at, value) != NULL, "no default of %s", rows[i].key);
    }
    free(text);
}
END_TEST

static void accepting_tests_add(TCase *tcase)
{
    tcase_add_test(tcase, defaults_are_those_of_the_design);
    tcase_add_test(tcase, node_is_named_after_its_host);
    tcase_add_test(tcase, threads_default_to_the_cores_in_use_less_one);
    tcase_add_test(tcase, initial_cluster_defaults_to_this_node_alone);
    tcase_add_test(tcase, advertised_addresses_default_to_those_listened_on);
    tcase_add_test(tcase, peer_advertise_defaults_to_the_address_in_initial_cluster);
    tcase_add_test(tcase, initial_cluster_is_read_in_order);
    tcase_add_test(tcase, flag_is_given_in_either_form);
    tcase_add_test(tcase, last_of_a_repeated_flag_wins);
    tcase_add_test(tcase, file_wins_over_default);
    tcase_add_test(tcase, environment_wins_over_file);
    tcase_add_test(tcase, flag_wins_over_environment_and_file);
    tcase_add_test(tcase, environment_names_the_file);
    tcase_add_test(tcase, empty_variable_counts_as_not_set);
    tcase_add_test(tcase, leases_are_asked_for);
    tcase_add_test(tcase, dev_makes_an_empty_private_directory);
    tcase_add_test(tcase, dev_directory_goes_with_all_in_it);
    tcase_add_test(tcase, configured_data_directory_is_never_removed);
    tcase_add_test(tcase, help_and_version_are_seen_before_anything_is_made);
    tcase_add_test(tcase, help_names_every_key_and_its_default);
    tcase_add_test(tcase, shipped_file_is_accepted_with_every_key_set);
}

static void refusing_tests_add(TCase *tcase)
{
    tcase_add_test(tcase, bad_value_in_the_file_is_refused_under_a_good_flag);
    tcase_add_test(tcase, unknown_key_in_a_file_names_its_line);
    tcase_add_test(tcase, repeated_key_in_a_file_names_both_lines);
    tcase_add_test(tcase, line_without_a_value_is_refused);
    tcase_add_test(tcase, flag_keys_of_the_command_line_are_unknown_to_a_file);
    tcase_add_test(tcase, missing_file_is_refused_by_name);
    tcase_add_test(tcase, directory_as_a_file_is_refused);
    tcase_add_test(tcase, nul_byte_in_a_file_is_refused);
    tcase_add_test(tcase, unknown_flag_is_refused);
    tcase_add_test(tcase, flag_without_its_value_is_refused);
    tcase_add_test(tcase, bad_variable_is_named);
    tcase_add_loop_test(tcase, bad_value_is_refused_with_what_is_allowed, 0,
                        (int)(sizeof(refused) / sizeof(refused[0])));
    tcase_add_test(tcase, snapshots_are_taken_and_sent_as_asked_for);
    tcase_add_test(tcase, node_missing_in_initial_cluster_is_refused);
    tcase_add_test(tcase, join_is_an_address_and_excludes_initial_cluster);
    tcase_add_test(tcase, heartbeat_of_a_third_of_the_election_timeout_is_refused);
    tcase_add_test(tcase, value_larger_than_a_request_is_refused);
    tcase_add_test(tcase, one_address_for_both_listeners_is_refused);
    tcase_add_test(tcase, control_bytes_do_not_reach_the_message);
    tcase_add_test(tcase, long_value_is_cut_in_the_message);
    tcase_add_test(tcase, dev_with_a_bad_value_makes_no_directory);
    tcase_add_test(tcase, dev_with_a_data_directory_is_refused);
}

int main(void)
{
    TCase *tcase = tcase_create("options");

    tcase_add_checked_fixture(tcase, setup, teardown);
    accepting_tests_add(tcase);
    refusing_tests_add(tcase);
    return run_suite("options", tcase);
}
