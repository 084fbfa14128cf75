#include "backup/data_look.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup/command_json.h"
#include "base/assert.h"
#include "base/frame.h"
#include "base/heap.h"
#include "statemachine/membership.h"
#include "storage/data_dir.h"
#include "storage/files.h"
#include "storage/high_water.h"
#include "storage/log_store_sqlite.h"
#include "storage/snap_file.h"

enum { PATH_SIZE = 4096, TEXT_SIZE = 512, ENTRY_SIZE_MAX = 64 << 20 };

/* What is copied before it is opened; the first must be there. */
static const char *const copied[] = {"raft.db", "raft.db-wal", "high-water"};
enum { COPIED_COUNT = sizeof(copied) / sizeof(copied[0]) };

struct look {
    struct complaint complaint;
    FILE *out;
    struct data_dir *dir;
    struct log_store *store;
    char copy[PATH_SIZE - 64]; /* directory; "": none yet */
    struct rk_buf buf;
    struct rk_json json;
    struct membership membership; /* the latest */
};

/* What is made so far goes out: a log may be larger than memory. */
static void flush(struct look *look)
{
    (void)fwrite(look->buf.data, 1, look->buf.size, look->out); /* the stream keeps its error */
    rk_buf_reset(&look->buf);
}

/* ---- the copy ---- */

static void copy_path(const struct look *look, const char *name, char *ret)
{
    (void)snprintf(ret, PATH_SIZE, "%s/%s", look->copy, name);
}

static enum rk_status copy_all(struct look *look)
{
    const char *directory = getenv("TMPDIR");
    char made[sizeof(look->copy)];
    char path[PATH_SIZE];

    (void)snprintf(made, sizeof(made), "%s/raftkv-inspect-XXXXXX",
                   directory != NULL ? directory : "/tmp");
    if (mkdtemp(made) == NULL) {
        return complaint_refuse_errno(&look->complaint, "cannot make a directory for a copy");
    }
    memcpy(look->copy, made, sizeof(made));
    for (uint32_t i = 0; i < COPIED_COUNT; i++) {
        copy_path(look, copied[i], path);
        const char *from = data_dir_path(look->dir, copied[i]);
        if (files_exists(from) && files_copy(from, path) != RK_OK) {
            return complaint_refuse_errno(&look->complaint, "cannot copy what is to be read");
        }
    }
    return RK_OK;
}

static void copy_remove(const struct look *look)
{
    static const char *const made[] = {"raft.db-journal", "raft.db-shm"};
    char path[PATH_SIZE];

    if (look->copy[0] == '\0') {
        return;
    }
    for (uint32_t i = 0; i < COPIED_COUNT; i++) {
        copy_path(look, copied[i], path);
        (void)unlink(path);
    }
    for (uint32_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        copy_path(look, made[i], path);
        (void)unlink(path);
    }
    (void)rmdir(look->copy);
}

/* ---- what is not the log ---- */

static void say_store(struct look *look)
{
    const struct log_store *store = look->store;
    struct rk_json *json = &look->json;

    rk_json_member_text(json, "node", store->identity.node_name);
    rk_json_name(json, "incarnation");
    rk_json_hex64(json, store->identity.incarnation);
    rk_json_name(json, "hard_state");
    rk_json_object_begin(json);
    rk_json_member_u64(json, "term", store->hard_state.term);
    rk_json_member_u64(json, "vote", store->hard_state.vote);
    rk_json_object_end(json);
}

static void say_mark(struct look *look)
{
    struct rk_json *json = &look->json;
    struct high_water *water = NULL;
    char path[PATH_SIZE];
    char text[TEXT_SIZE] = "";
    bool is_new = false;

    rk_json_name(json, "high_water");
    copy_path(look, "high-water", path);
    rk_json_object_begin(json);
    if (!files_exists(path)) {
        rk_json_member_text(json, "damage", "it is not there");
    } else if (high_water_open(path, look->store->identity.incarnation, &water, &is_new, text,
                               sizeof(text)) != RK_OK) {
        rk_json_member_text(json, "damage", text);
    } else {
        const struct high_water_mark *mark = high_water_mark(water);
        rk_json_member_u64(json, "last_index", mark->last.index);
        rk_json_member_u64(json, "last_term", mark->last.term);
        rk_json_member_u64(json, "term", mark->hard_state.term);
        rk_json_member_u64(json, "vote", mark->hard_state.vote);
        rk_json_member_bool(json, "log_reaches_it",
                            high_water_is_reached(mark, look->store->bounds.last));
    }
    rk_json_object_end(json);
    high_water_close(water);
}

static enum rk_status read_file(void *context, uint64_t offset, uint8_t *to, size_t size,
                                size_t *ret_size)
{
    FILE *file = context;

    if (fseeko(file, (off_t)offset, SEEK_SET) != 0) {
        return RK_IO;
    }
    *ret_size = fread(to, 1, size, file);
    return ferror(file) != 0 ? RK_IO : RK_OK;
}

/* Every check that does not need the state to be built. */
static bool is_whole(const char *path, const struct log_snapshot *noted)
{
    struct snap_reader *reader = NULL;
    struct rk_bytes body;
    uint8_t type = 0;
    FILE *file = fopen(path, "rbe");

    if (file == NULL) {
        return false;
    }
    enum rk_status status = snap_reader_open(read_file, file, &reader);
    while (status == RK_OK) {
        status = snap_reader_next(reader, &type, &body);
    }
    const bool is_over = status == RK_NOT_FOUND && snap_reader_ref(reader).digest == noted->digest;
    snap_reader_free(reader);
    (void)fclose(file);
    return is_over;
}

static void say_snapshot(struct look *look, const struct log_snapshot *noted)
{
    struct rk_json *json = &look->json;
    char name[64];
    char path[PATH_SIZE];

    (void)snprintf(name, sizeof(name), "snapshots/snap-%016llx-%016llx.rks",
                   (unsigned long long)noted->id.term, (unsigned long long)noted->id.index);
    (void)snprintf(path, sizeof(path), "%s", data_dir_path(look->dir, name));
    rk_json_object_begin(json);
    rk_json_member_text(json, "file", name);
    rk_json_member_u64(json, "index", noted->id.index);
    rk_json_member_u64(json, "term", noted->id.term);
    rk_json_member_u64(json, "config_index", noted->config_index);
    rk_json_member_u64(json, "bytes", noted->size);
    rk_json_name(json, "digest");
    rk_json_hex64(json, noted->digest);
    rk_json_member_bool(json, "whole", is_whole(path, noted));
    rk_json_object_end(json);
    const enum rk_status status = membership_decode(noted->config, &look->membership);
    RK_MAYBE(status != RK_OK); /* else it stays as it was */
}

static void say_snapshots(struct look *look)
{
    rk_json_name(&look->json, "snapshots");
    rk_json_array_begin(&look->json);
    for (uint32_t i = 0; i < look->store->snapshots_count; i++) {
        say_snapshot(look, &look->store->snapshots[i]);
    }
    rk_json_array_end(&look->json);
}

/* ---- the log ---- */

static void say_members(struct rk_json *json, const struct membership *membership)
{
    char cluster[CLUSTER_ID_TEXT_SIZE];

    cluster_id_format(membership->cluster, cluster);
    rk_json_object_begin(json);
    rk_json_member_text(json, "cluster_id", cluster);
    rk_json_member_bool(json, "joint", membership->is_joint);
    rk_json_name(json, "members");
    rk_json_array_begin(json);
    for (uint32_t i = 0; i < membership->members_count; i++) {
        const struct member *member = &membership->members[i];
        rk_json_object_begin(json);
        rk_json_member_text(json, "name", member->name);
        rk_json_member_u64(json, "id", member->id);
        rk_json_name(json, "incarnation");
        rk_json_hex64(json, member->incarnation);
        rk_json_member_text(json, "peer_address", member->peer_address);
        rk_json_member_bool(json, "voter", member->is_voter);
        rk_json_member_bool(json, "old_voter", member->is_old_voter);
        rk_json_member_bool(json, "learner", member->is_learner);
        rk_json_object_end(json);
    }
    rk_json_array_end(json);
    rk_json_object_end(json);
}

static void say_body(struct look *look, enum raft_entry_type type, struct rk_bytes body)
{
    struct rk_json *json = &look->json;

    if (type == RAFT_ENTRY_COMMAND) {
        rk_json_name(json, "command");
        command_json(body, json);
    } else if (type == RAFT_ENTRY_CONFIG) {
        rk_json_name(json, "configuration");
        if (membership_decode(body, &look->membership) == RK_OK) {
            say_members(json, &look->membership);
        } else {
            rk_json_null(json);
        }
    }
}

static enum rk_status on_entry(void *context, const struct raft_entry *entry)
{
    struct look *look = context;
    struct rk_json *json = &look->json;
    struct rk_frame frame;
    uint32_t size = 0;

    if (rk_frame_read(entry->frame, &frame, &size) != RK_OK) {
        return RK_CORRUPT;
    }
    rk_json_object_begin(json);
    rk_json_member_u64(json, "index", entry->id.index);
    rk_json_member_u64(json, "term", entry->id.term);
    rk_json_member_u64(json, "time_ms", frame.time_ms);
    rk_json_member_u64(json, "bytes", size);
    rk_json_name(json, "chain");
    rk_json_hex64(json, frame.chain);
    say_body(look, entry->type, frame.body);
    rk_json_object_end(json);
    flush(look);
    return RK_OK;
}

static void say_log(struct look *look)
{
    const struct log_bounds *bounds = &look->store->bounds;
    struct rk_json *json = &look->json;
    raft_index bad_index = 0;

    rk_json_name(json, "log");
    rk_json_object_begin(json);
    rk_json_member_u64(json, "base_index", bounds->base.index);
    rk_json_member_u64(json, "base_term", bounds->base.term);
    rk_json_member_u64(json, "last_index", bounds->last.index);
    rk_json_member_u64(json, "last_term", bounds->last.term);
    rk_json_name(json, "entries");
    rk_json_array_begin(json);
    const enum rk_status status = log_store_scan(look->store, on_entry, look, &bad_index);
    rk_json_array_end(json);
    if (status != RK_OK) {
        rk_json_member_u64(json, "damaged_index", bad_index);
        rk_json_member_text(json, "damage", rk_status_text(status));
    }
    rk_json_object_end(json);
}

static void say_all(struct look *look, const char *data_dir)
{
    rk_json_object_begin(&look->json);
    rk_json_member_text(&look->json, "data_dir", data_dir);
    say_store(look);
    say_mark(look);
    say_snapshots(look);
    flush(look);
    say_log(look);
    rk_json_name(&look->json, "configuration");
    if (look->membership.members_count > 0) {
        say_members(&look->json, &look->membership);
    } else {
        rk_json_null(&look->json);
    }
    rk_json_object_end(&look->json);
    flush(look);
}

enum rk_status data_look(const char *data_dir, FILE *out, char *message, size_t message_size)
{
    struct look *look = rk_heap_zalloc(1, sizeof(*look));
    char path[PATH_SIZE];

    look->complaint =
        (struct complaint){.path = data_dir, .text = message, .text_size = message_size};
    look->out = out;
    rk_buf_init(&look->buf, ENTRY_SIZE_MAX);
    rk_json_init(&look->json, &look->buf, true);
    enum rk_status status = data_dir_look(data_dir, &look->dir, message, message_size);
    if (status == RK_OK) {
        status = copy_all(look);
    }
    if (status == RK_OK) {
        copy_path(look, "raft.db", path);
        const struct log_store_sqlite_options options = {.path = path};
        status = log_store_sqlite_open(&options, &look->store, message, message_size);
    }
    if (status == RK_OK) {
        say_all(look, data_dir);
    }
    log_store_close(look->store);
    copy_remove(look);
    data_dir_close(look->dir);
    rk_buf_done(&look->buf);
    rk_heap_free(look);
    return status;
}
