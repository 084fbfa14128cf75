/* http_shards.h -- the libmicrohttpd daemons of one server, each with a bounded number of
 * connections.
 *
 * Why several: to resume one connection libmicrohttpd walks over all that are suspended in the
 * same daemon. With 10,000 blocking queries open that made every write three times as dear; with
 * 256 connections to a daemon the walk costs a few microseconds. Daemons are filled one after the
 * other, so that few connections share one, and its system calls.
 *
 * Thread: the loop's.
 */
#ifndef RK_SERVER_HTTP_SHARDS_H
#define RK_SERVER_HTTP_SHARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct MHD_Daemon;

enum { HTTP_SHARD_CONNECTIONS_MAX = 256 };

/* One daemon; its callbacks' context. */
struct http_shard {
    void *owner; /* of the shards */
    struct http_shards *shards;
    struct MHD_Daemon *daemon;
    struct http_shard *next_awake;
    bool is_awake;
    /* Kept by the owner, who hears of them. */
    uint32_t connections_count;
    uint32_t held_count;    /* requests that wait without libmicrohttpd knowing it */
    uint32_t busy_count;    /* requests that come in or are being answered */
    uint32_t streams_count; /* of these, answers that are made while they are sent */
    bool is_stirred;        /* one of them went on since the last run began */
};

struct http_shards_options {
    /* Starts the daemon of `shard` in external epoll mode, its callbacks with `shard` as context;
     * NULL on failure. */
    struct MHD_Daemon *(*start)(struct http_shard *shard, uint32_t connections_max);
    void *owner;
    uint32_t connections_max;
    int wake_fds[2]; /* they make http_shards_fd() readable too */
};

struct http_shards;

/* NULL: no descriptors are left. */
struct http_shards *http_shards_new(const struct http_shards_options *options);
void http_shards_free(struct http_shards *shards); /* NULL is allowed */

int http_shards_fd(const struct http_shards *shards);

/* Takes `socket` over. Errors: RK_BUSY (no room, no descriptors); it is then closed. */
RK_MUST_USE enum rk_status http_shards_add(struct http_shards *shards, int socket);

/* The next http_shards_run() runs this one: a connection of it was resumed. */
void http_shard_wake(struct http_shard *shard);

bool http_shards_hold(const struct http_shards *shards); /* any of them */
/* The next http_shards_run() runs all that hold requests. */
void http_shards_wake_held(struct http_shards *shards);

/* Runs every daemon that has something to do, once. */
void http_shards_run(struct http_shards *shards);

/* Whether http_shards_run() is wanted again at once. */
bool http_shards_are_awake(const struct http_shards *shards);

#endif
