/* look.c -- opens data directories as a node does when it starts, and says what is in them.
 *
 * Reads lines "DIRECTORY DIRECTORY ..." (of nodes n1, n2, ...) from standard input until its end, and
 * answers each with lines, the last of which is "end":
 *
 *   node N refused REASON            it would not come up
 *   node N up TERM VOTE MARK_TERM MARK_VOTE BASE LAST LAST_TERM RECOVERING LATEST_TERM LATEST_VOTE
 *   entry INDEX TERM CHAIN DIGEST    of each entry, and of the base; digest of the state, 0: unknown
 *   key KEY NUMBER                   that its value begins with, when the whole log is applied
 *   ahead INDEX TERM                 the log ends before this snapshot and will give way to it
 *   torn NAME                        a snapshot that has its name and is not whole
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/frame.h"
#include "base/log.h"
#include "server/snap_work.h"
#include "statemachine/query.h"
#include "storage/data_dir.h"
#include "storage/high_water.h"
#include "storage/log_store_sqlite.h"

enum { LINE_SIZE = 8192, MESSAGE_SIZE = 1024, NAME_SIZE = 512, KEY_SIZE = 128 };

/* One directory, opened. */
struct opened {
    struct data_dir *dir;
    struct log_store *store;
    struct high_water *water;
    struct snap_store *snaps;
    struct sm *sm;
    raft_index applied; /* of sm */
    raft_term snapshot_term;
    char message[MESSAGE_SIZE];
};

/* ---- the steps of a start ---- */

static enum rk_status open_files(struct opened *opened, const char *path, const char *name)
{
    bool is_new = false;

    enum rk_status status =
        data_dir_open(path, &opened->dir, opened->message, sizeof(opened->message));
    if (status != RK_OK) {
        return status;
    }
    const struct log_store_sqlite_options options = {
        .path = data_dir_path(opened->dir, "raft.db"), .node_name = name, .incarnation = 1};
    status =
        log_store_sqlite_open(&options, &opened->store, opened->message, sizeof(opened->message));
    if (status == RK_OK) {
        status = high_water_open(data_dir_path(opened->dir, "high-water"),
                                 opened->store->identity.incarnation, &opened->water, &is_new,
                                 opened->message, sizeof(opened->message));
    }
    if (status == RK_OK) {
        status = snap_store_file_open(data_dir_path(opened->dir, "snapshots"), &opened->snaps,
                                      opened->message, sizeof(opened->message));
    }
    return status;
}

/* The newest snapshot, as node_restore.c takes it; none: an empty state. A node might do with the one
 * before it, but no power cut may ask for that. */
static enum rk_status load_state(struct opened *opened)
{
    const struct log_store *store = opened->store;
    const uint32_t count = store->snapshots_count;
    const struct log_snapshot *noted = count == 0 ? NULL : &store->snapshots[count - 1];
    struct snap_info info;

    if (noted == NULL && store->bounds.base.index == 0) {
        opened->sm = sm_new();
        return RK_OK;
    }
    if (noted == NULL || noted->id.index < store->bounds.base.index) {
        (void)snprintf(opened->message, sizeof(opened->message), "no snapshot reaches the base");
        return RK_CORRUPT;
    }
    if (snap_load(opened->snaps, noted->id, &opened->sm, &info) != RK_OK ||
        info.ref.digest != noted->digest) {
        (void)snprintf(opened->message, sizeof(opened->message),
                       "the snapshot at %" PRIu64 " is damaged or gone", noted->id.index);
        return RK_CORRUPT;
    }
    opened->applied = noted->id.index;
    opened->snapshot_term = noted->id.term;
    return RK_OK;
}

static void close_all(struct opened *opened)
{
    sm_free(opened->sm);
    snap_store_close(opened->snaps);
    high_water_close(opened->water);
    log_store_close(opened->store);
    data_dir_close(opened->dir);
}

/* ---- what is in it ---- */

static uint64_t digest_of(struct sm *sm)
{
    const struct sm_root root = sm_publish(sm);
    const uint64_t digest = sm_digest(&root);

    (void)sm_reclaim(sm, root.version, UINT32_MAX);
    return digest;
}

static enum rk_status on_entry(void *context, const struct raft_entry *entry)
{
    struct opened *opened = context;
    struct rk_frame frame;
    uint32_t size = 0;
    uint64_t digest = 0;

    if (rk_frame_read(entry->frame, &frame, &size) != RK_OK) {
        return RK_CORRUPT;
    }
    if (entry->id.index > opened->applied) {
        const struct sm_place place = {
            .term = frame.term, .index = frame.index, .time_ms = frame.time_ms};
        struct sm_result result;
        sm_result_init(&result);
        if (frame.type != RAFT_ENTRY_COMMAND) {
            sm_skip(opened->sm, &place);
        } else if (sm_apply(opened->sm, &place, frame.body, &result) != RK_OK) {
            return RK_CORRUPT;
        }
        sm_result_done(&result);
        opened->applied = entry->id.index;
    }
    if (entry->id.index == opened->applied) {
        digest = digest_of(opened->sm);
    }
    (void)printf("entry %" PRIu64 " %" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n", entry->id.index,
                 entry->id.term, frame.chain, digest);
    return RK_OK;
}

static void tell_keys(struct opened *opened)
{
    const struct sm_root root = sm_publish(opened->sm);
    struct sm_kv_cursor cursor;
    struct sm_kv_entry entry;

    sm_kv_cursor_init(&cursor, &root, (struct rk_bytes){(const uint8_t *)"", 0});
    while (sm_kv_cursor_next(&cursor, &entry)) {
        char number[24] = "";
        const size_t size =
            entry.value.size < sizeof(number) - 1 ? entry.value.size : sizeof(number) - 1;
        if (size > 0) {
            memcpy(number, entry.value.data, size);
        }
        (void)printf("key %.*s %lu\n", (int)entry.key.size, (const char *)entry.key.data,
                     strtoul(number, NULL, 10));
    }
}

/* What has its name was whole before it got it. */
static void tell_torn(struct opened *opened, const char *path)
{
    char name[NAME_SIZE];

    (void)snprintf(name, sizeof(name), "%s/snapshots", path);
    DIR *entries = opendir(name);
    for (struct dirent *entry = entries == NULL ? NULL : readdir(entries); entry != NULL;
         entry = readdir(entries)) {
        struct raft_entry_id id;
        struct snap_ref ref;
        if (sscanf(entry->d_name, "snap-%16" SCNx64 "-%16" SCNx64 ".rks", &id.term, &id.index) ==
                2 &&
            snap_store_load(opened->snaps, id, NULL, NULL, &ref) != RK_OK) {
            (void)printf("torn %s\n", entry->d_name);
        }
    }
    if (entries != NULL) {
        (void)closedir(entries);
    }
}

static void tell(struct opened *opened, uint32_t number, const char *path)
{
    const struct log_bounds *bounds = &opened->store->bounds;
    const struct raft_hard_state *stored = &opened->store->hard_state;
    const struct high_water_mark *mark = high_water_mark(opened->water);
    struct raft_hard_state latest = {0};
    raft_index bad_index = 0;

    if (high_water_hard_state(mark, stored, &latest) != RK_OK) {
        (void)printf("node %u refused two votes in one term\n", number);
        return;
    }
    (void)printf("node %u up %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
                 " %" PRIu64 " %d %" PRIu64 " %" PRIu64 "\n",
                 number, stored->term, stored->vote, mark->hard_state.term, mark->hard_state.vote,
                 bounds->base.index, bounds->last.index, bounds->last.term,
                 !high_water_is_reached(mark, bounds->last), latest.term, latest.vote);
    (void)printf("entry %" PRIu64 " %" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n",
                 bounds->base.index, bounds->base.term, bounds->base_chain,
                 opened->applied == bounds->base.index ? digest_of(opened->sm) : 0);
    const enum rk_status status = log_store_scan(opened->store, on_entry, opened, &bad_index);
    if (status != RK_OK) {
        (void)printf("node %u refused entry %" PRIu64 ": %s\n", number, bad_index,
                     rk_status_text(status));
    } else if (opened->applied > bounds->last.index) {
        (void)printf("ahead %" PRIu64 " %" PRIu64 "\n", opened->applied, opened->snapshot_term);
    }
    tell_keys(opened);
    tell_torn(opened, path);
}

static void look(const char *path, uint32_t number)
{
    struct opened opened = {.dir = NULL};
    char name[8];

    (void)snprintf(name, sizeof(name), "n%u", number);
    enum rk_status status = open_files(&opened, path, name);
    if (status == RK_OK) {
        status = load_state(&opened);
    }
    if (status == RK_OK) {
        tell(&opened, number, path);
    } else {
        (void)printf("node %u refused %s (%s)\n", number, opened.message, rk_status_text(status));
    }
    close_all(&opened);
}

int main(void)
{
    char line[LINE_SIZE];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *rest = line;
        char *path = strtok_r(line, " \n", &rest);
        for (uint32_t number = 1; path != NULL; number++) {
            look(path, number);
            path = strtok_r(NULL, " \n", &rest);
        }
        (void)printf("end\n");
        (void)fflush(stdout);
    }
    return EXIT_SUCCESS;
}
