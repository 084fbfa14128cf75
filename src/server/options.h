/* options.h -- the node's configuration: flags, environment, a file, defaults.
 *
 * One table (options_table.c) names every key; flags, `RAFTKV_*` variables, the lines of the
 * configuration file, --help, etc/raftkv.conf and raftkv.conf(5) all speak of the same rows.
 * Flags win over the environment, the environment over the file, the file over the defaults.
 * What is wrong is refused wherever it stands, also when something stronger overrides it: a file
 * that is wrong today is the outage of the day when the flag is taken away.
 *
 * A key of a feature that this version does not have may be set to its default only.
 *
 * Thread: the main one, before others start. Memory: a struct options holds everything itself.
 */
#ifndef RK_SERVER_OPTIONS_H
#define RK_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"

enum {
    OPTIONS_NAME_SIZE = RK_NODE_NAME_SIZE_MAX + 1,  /* with its NUL */
    OPTIONS_ADDRESS_SIZE = RK_ADDRESS_SIZE_MAX + 1, /* with its NUL */
    OPTIONS_PATH_SIZE = 4096,                       /* with its NUL */
    OPTIONS_CLUSTER_MAX = 9,                        /* nodes in initial-cluster */
    OPTIONS_FILE_SIZE_MAX = 1 << 20,                /* a configuration file */
    OPTIONS_MESSAGE_SIZE = 1024,                    /* holds every message whole */
};

struct options_peer {
    char name[OPTIONS_NAME_SIZE];
    char address[OPTIONS_ADDRESS_SIZE];
};

struct options {
    char node_id[OPTIONS_NAME_SIZE];
    char data_dir[OPTIONS_PATH_SIZE];
    char client_listen[OPTIONS_ADDRESS_SIZE];
    char peer_listen[OPTIONS_ADDRESS_SIZE];
    char peer_advertise[OPTIONS_ADDRESS_SIZE];
    char client_advertise[OPTIONS_ADDRESS_SIZE];
    struct options_peer initial_cluster[OPTIONS_CLUSTER_MAX]; /* holds node_id, always */
    uint32_t initial_cluster_count;                           /* 1 .. OPTIONS_CLUSTER_MAX */
    char join[OPTIONS_ADDRESS_SIZE];                          /* "": do not */
    char datacenter[OPTIONS_NAME_SIZE];
    uint32_t heartbeat_interval_ms; /* less than a third of election_timeout_ms */
    uint32_t election_timeout_ms;
    uint32_t max_inflight;     /* 1 .. RAFT_INFLIGHT_MAX */
    uint32_t snapshot_rate;    /* bytes a second, to one peer */
    uint32_t snapshot_entries; /* at least 1 */
    uint32_t trailing_entries;
    uint32_t max_key_size;
    uint32_t max_value_size;
    uint32_t max_request_size;
    uint32_t max_restore_size; /* bytes of a backup, unpacked */
    uint32_t max_connections;
    uint32_t max_pending_writes;
    uint32_t session_ttl_min_ms;
    uint32_t health_timeout_ms;
    uint32_t idempotency_window_ms;
    uint32_t max_txn_ops;  /* 1 .. SM_TXN_OPS_MAX */
    bool log_store_memory; /* nothing survives the process */
    enum rk_log_level log_level;
    enum rk_log_format log_format;
    uint32_t http_threads; /* default: the cores this process may use */
    bool dev; /* data_dir is a new, empty directory; whoever stops the node removes it */
    bool lease_reads;
    uint32_t
        feature_level_max; /* up to FEATURE_LEVEL_MAX: the node passes for one that reads no more */
    uint32_t lease_drift_percent;
    bool want_help;    /* --help was seen: nothing else is filled in */
    bool want_version; /* --version was seen: nothing else is filled in */
};

/* Fills *ret from argv[1..], the environment and the file that --config names. With --dev it
 * makes the throw-away data directory, under TMPDIR; else it changes nothing on disk.
 * Errors: RK_INVALID; `message` then holds one line that says where (file:line, flag, variable),
 * which key, which value, and what is allowed. *ret is then not to be used. */
RK_MUST_USE enum rk_status options_load(int argc, char **argv, struct options *ret, char *message,
                                        size_t message_size);

/* Removes the throw-away data directory of --dev with all in it; without --dev it does nothing. */
void options_dev_remove(const struct options *options);

/* Applies the text of a configuration file onto *ret, which holds options already (options_load()
 * starts with the defaults). `name` stands for the file in messages.
 * Errors: as options_load(). */
RK_MUST_USE enum rk_status options_apply_text(const char *name, struct rk_bytes text,
                                              struct options *ret, char *message,
                                              size_t message_size);

/* Writes the usage, then every key with its kind, default and meaning. */
void options_help(FILE *file);

#endif
