/* watchers.c -- clients that follow GET /v1/watch and come back, at any node, with the last id that they
 * were given; some read slowly. What they are told is held against the committed log (O15): every
 * change once, in order, with nothing left out, across every break. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/node/oracles.h"

enum { COME_BACK_MS_MAX = 800, HANG_UP_PERCENT = 3, PACE_MS_MAX = 300, STAYS_MS_MAX = 4000 };

static event_function on_connect;

/* -- the committed log, as a watcher must see it -- */

static bool is_mine(const struct watcher *watcher, uint32_t key)
{
    return key < KEYS_MAX && (watcher->key == KEYS_MAX || watcher->key == key);
}

/* 0: there is none up to `last`. */
static raft_index next_event(const struct world *world, const struct watcher *watcher,
                             raft_index after, raft_index last)
{
    for (raft_index i = after + 1; i <= last; i++) {
        if (is_mine(watcher, world->committed[i].key) && is_event(world, i)) {
            return i;
        }
    }
    return 0;
}

bool watcher_is_behind(const struct world *world, const struct watcher *watcher)
{
    return !watcher->has_place || watcher->is_listing ||
           next_event(world, watcher, watcher->place, world->committed_last) != 0;
}

/* -- what it is told -- */

static uint64_t number_in(const char *data, const char *name)
{
    char wanted[32];

    (void)snprintf(wanted, sizeof(wanted), "\"%s\":", name);
    const char *found = strstr(data, wanted);
    return found != NULL ? strtoull(found + strlen(wanted), NULL, 10) : 0;
}

static uint32_t key_in(const char *data)
{
    const char *found = strstr(data, "\"Key\":\"k");

    return found != NULL ? (uint32_t)(found[8] - '0') : KEYS_MAX;
}

static void fail(const struct watcher *watcher, const char *what, raft_index index)
{
    world_fail("O15", "watcher %u at %" PRIu64 ": %s %" PRIu64, watcher->number, watcher->place,
               what, index);
}

static void took_change(struct world *world, struct watcher *watcher, bool is_delete)
{
    const raft_index index = number_in(watcher->data, is_delete ? "Index" : "ModifyIndex");
    const uint32_t key = key_in(watcher->data);

    if (index > world->committed_last) {
        fail(watcher, "is told of a change that is not committed, at", index);
    }
    const raft_index expected = next_event(world, watcher, watcher->place, world->committed_last);
    if (index <= watcher->place) {
        fail(watcher, "is told once more of the change at", index);
    }
    if (index != expected) {
        fail(watcher, "is not told of the change at", expected);
    }
    const struct committed *entry = &world->committed[index];
    if (entry->key != key || entry->is_delete != is_delete ||
        (!is_delete && number_in(watcher->data, "Flags") != entry->uid)) {
        fail(watcher, "is told of something else than happened at", index);
    }
    watcher->place = index;
    world->counts->events_watched++;
}

/* Its last change up to `last`; 0: none. */
static raft_index change_of(const struct world *world, uint32_t key, raft_index last)
{
    raft_index change = world->key_changed[key];

    while (change > last) {
        change = world->committed[change].previous;
    }
    return change;
}

static void took_listed(struct world *world, struct watcher *watcher, raft_index index)
{
    for (uint32_t key = 0; key < KEYS_MAX; key++) {
        const raft_index change = change_of(world, key, index);
        const bool is_there = change != 0 && !world->committed[change].is_delete;
        const bool has_changed = world->key_changed[key] > index; /* its events follow */
        if (!is_mine(watcher, key)) {
            continue;
        }
        if (watcher->listed[key] != 0 && (!is_there || watcher->listed[key] != change)) {
            fail(watcher, "was listed a key as it was not, at", watcher->listed[key]);
        }
        if (watcher->listed[key] == 0 && is_there && !has_changed) {
            fail(watcher, "was not listed what was changed last at", change);
        }
    }
    watcher->place = index;
    watcher->has_place = true;
    watcher->is_listing = false;
    world->counts->listings_watched++;
}

/* A place without an event: all before it was told. */
static void took_place(struct world *world, struct watcher *watcher, raft_index index)
{
    const raft_index missed = next_event(world, watcher, watcher->place, index);

    if (index > world->committed_last) {
        fail(watcher, "is at a place that is not committed,", index);
    }
    if (missed != 0) {
        fail(watcher, "is taken past the change at", missed);
    }
    watcher->place = index > watcher->place ? index : watcher->place;
}

static void took_event(struct world *world, struct watcher *watcher)
{
    const char *event = watcher->event;
    const raft_index index = number_in(watcher->data, "Index");

    if (event[0] == '\0') {
        if (watcher->has_id && watcher->has_place && !watcher->is_listing) {
            took_place(world, watcher, strtoull(watcher->id, NULL, 10));
        }
    } else if (strcmp(event, "start") == 0) {
        watcher->place = index;
        watcher->has_place = true;
    } else if (strcmp(event, "reset") == 0) {
        watcher->is_listing = true;
        memset(watcher->listed, 0, sizeof(watcher->listed));
        world->counts->watches_reset++;
    } else if (strcmp(event, "listed") == 0) {
        took_listed(world, watcher, index);
    } else if (strcmp(event, "ahead") == 0) {
        if (watcher->place <= index) {
            fail(watcher, "is said to be ahead of", index);
        }
    } else if (strcmp(event, "end") == 0) {
        world->counts->watches_cut++;
    } else if (watcher->is_listing) {
        watcher->listed[key_in(watcher->data)] = number_in(watcher->data, "ModifyIndex");
    } else {
        took_change(world, watcher, strcmp(event, "delete") == 0);
    }
    if (watcher->has_id) {
        memcpy(watcher->last_id, watcher->id, sizeof(watcher->last_id));
    }
}

static void copy(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from);
}

static void took_line(struct world *world, struct watcher *watcher, const char *line)
{
    if (line[0] == '\0') {
        took_event(world, watcher);
        watcher->event[0] = '\0';
        watcher->data[0] = '\0';
        watcher->has_id = false;
    } else if (strncmp(line, "id: ", 4) == 0) {
        copy(watcher->id, sizeof(watcher->id), line + 4);
        watcher->has_id = true;
    } else if (strncmp(line, "event: ", 7) == 0) {
        copy(watcher->event, sizeof(watcher->event), line + 7);
    } else if (strncmp(line, "data: ", 6) == 0) {
        copy(watcher->data, sizeof(watcher->data), line + 6);
    }
}

void watcher_took(struct watcher *watcher, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n') {
            RK_ASSERT(watcher->line_size < sizeof(watcher->line) - 1);
            watcher->line[watcher->line_size] = (char)bytes[i];
            watcher->line_size++;
            continue;
        }
        watcher->line[watcher->line_size] = '\0';
        watcher->line_size = 0;
        took_line(sim_world, watcher, watcher->line);
    }
}

/* -- connections -- */

uint64_t watcher_pace_us(struct world *world, const struct watcher *watcher)
{
    return watcher->is_slow && !world->is_healing
               ? (uint64_t)tape_draw(&world->tape, TAPE_CLIENT, PACE_MS_MAX) * MS
               : tape_draw(&world->tape, TAPE_CLIENT, MS);
}

void watcher_ended(struct watcher *watcher)
{
    struct world *world = sim_world;

    watcher->connection++;
    watcher->exchange = NULL;
    const uint64_t us = (uint64_t)tape_draw(&world->tape, TAPE_CLIENT, COME_BACK_MS_MAX) * MS;
    world_at(world, world->now_us + us, on_connect, NULL, watcher, 0);
}

bool watcher_hangs_up(struct world *world, const struct watcher *watcher)
{
    return world->is_client_cut[watcher->host->number] ||
           (!world->is_healing && tape_draw(&world->tape, TAPE_CLIENT, 100) < HANG_UP_PERCENT);
}

static void fill_request(struct watcher *watcher)
{
    (void)snprintf(watcher->target, sizeof(watcher->target), "/v1/watch/k%s%s",
                   watcher->key == KEYS_MAX ? "" : (char[]){(char)('0' + watcher->key), '\0'},
                   watcher->is_stale ? "?stale" : "");
    watcher->request =
        (struct http_request){.method = HTTP_GET, .method_name = "GET", .target = watcher->target};
    memcpy(watcher->asked_id, watcher->last_id, sizeof(watcher->asked_id));
    if (watcher->asked_id[0] != '\0') {
        watcher->header = (struct http_field){.name = "Last-Event-ID", .value = watcher->asked_id};
        watcher->request.headers = &watcher->header;
        watcher->request.headers_count = 1;
    }
}

static void on_connect(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct watcher *watcher = context;

    (void)host;
    (void)number;
    watcher->host = &world->hosts[tape_draw(&world->tape, TAPE_CLIENT, world->hosts_count)];
    if (world->is_healing && host_leader(world) != NULL) {
        watcher->host = host_leader(world); /* others may be no members */
    }
    watcher->line_size = 0;
    watcher->event[0] = '\0';
    watcher->data[0] = '\0';
    watcher->has_id = false;
    watcher->is_listing = false;
    if (!watcher->host->is_running || world->is_client_cut[watcher->host->number]) {
        watcher_ended(watcher);
        return;
    }
    fill_request(watcher);
    world_tell(world, watcher->host, "is watched by %u from %s: %s", watcher->number,
               watcher->asked_id, watcher->target);
    world->counts->watches++;
    sim_server_watch(watcher->host->loops->server, watcher);
    host_wake_loop(watcher->host, 0);
}

/* Quiet or not, it goes after a while. */
static void on_leave(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct watcher *watcher = context;

    (void)host;
    (void)number;
    if (world->is_healing) {
        return;
    }
    if (watcher->exchange != NULL && watcher->host->paused_until_us <= world->now_us) {
        sim_server_hang_up(watcher->exchange);
    }
    world_at(world,
             world->now_us +
                 (uint64_t)tape_between(&world->tape, TAPE_CLIENT, 100, STAYS_MS_MAX) * MS,
             on_leave, NULL, watcher, 0);
}

void watchers_open(struct world *world)
{
    for (uint32_t i = 0; i < world->knobs.watchers; i++) {
        struct watcher *watcher = &world->watchers[i];
        *watcher = (struct watcher){
            .number = i + 1,
            .key = tape_draw(&world->tape, TAPE_CLIENT, 2) == 1 ? 0 : KEYS_MAX,
            .is_slow = tape_draw(&world->tape, TAPE_CLIENT, 3) == 2,
            .is_stale = tape_draw(&world->tape, TAPE_CLIENT, 2) == 1,
        };
        world_at(world, world->now_us + tape_draw(&world->tape, TAPE_CLIENT, 2000) * MS, on_connect,
                 NULL, watcher, 0);
        world_at(world, world->now_us + STAYS_MS_MAX * MS, on_leave, NULL, watcher, 0);
    }
}
