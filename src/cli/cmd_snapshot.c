/* raftkv snapshot: backups of the whole state, taken and looked at. */
#include <string.h>

#include "backup/backup_file.h"
#include "base/json_write.h"
#include "cli/backup_disk.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/progress.h"

enum { SILENCE_S = 30, REPORT_SIZE_MAX = 64 * 1024, DIGITS_SIZE = 24 };

static enum cli_exit cannot(const struct cli *cli, const char *what, const char *path,
                            const char *why)
{
    struct rk_buf buf;

    rk_buf_init(&buf, 16 * 1024);
    output_append_safe(
        &buf, (struct rk_bytes){.data = (const uint8_t *)path, .size = (uint32_t)strlen(path)});
    fprintf(cli->err, "raftkv: snapshot %s: %.*s: %s\n", what, (int)buf.size,
            (const char *)buf.data, why);
    rk_buf_done(&buf);
    return CLI_REFUSED;
}

/* --- what is in it --- */

static void report_json(struct rk_buf *buf, const char *path, const struct backup_summary *summary)
{
    struct rk_json json;

    rk_json_init(&json, buf, true);
    rk_json_object_begin(&json);
    rk_json_member_text(&json, "file", path);
    rk_json_member_bool(&json, "whole", true);
    rk_json_member_u64(&json, "index", summary->about.id.index);
    rk_json_member_u64(&json, "term", summary->about.id.term);
    rk_json_member_text(&json, "cluster_id", summary->about.cluster_id);
    rk_json_member_text(&json, "node", summary->about.node);
    rk_json_member_u64(&json, "made_ms", summary->about.made_ms);
    rk_json_member_u64(&json, "bytes", summary->packed_size);
    rk_json_member_u64(&json, "unpacked_bytes", summary->unpacked_size);
    rk_json_name(&json, "file_digest");
    rk_json_hex64(&json, summary->file_digest);
    rk_json_name(&json, "state_digest");
    rk_json_hex64(&json, summary->state_digest);
    rk_json_member_u64(&json, "records", summary->records_count);
    rk_json_name(&json, "counts");
    rk_json_object_begin(&json);
    rk_json_member_u64(&json, "keys", summary->keys_count);
    rk_json_member_u64(&json, "locks", summary->locks_count);
    rk_json_member_u64(&json, "lock_delays", summary->delays_count);
    rk_json_member_u64(&json, "sessions", summary->sessions_count);
    rk_json_member_u64(&json, "requests", summary->tokens_count);
    rk_json_member_u64(&json, "tombstones", summary->tombstones_count);
    rk_json_object_end(&json);
    rk_json_object_end(&json);
}

static void line(struct rk_buf *buf, const char *name, uint64_t value)
{
    rk_buf_append_text(buf, name);
    rk_buf_append_u64(buf, value);
    rk_buf_append_byte(buf, '\n');
}

static void line_text(struct rk_buf *buf, const char *name, const char *value)
{
    rk_buf_append_text(buf, name);
    output_append_safe(
        buf, (struct rk_bytes){.data = (const uint8_t *)value, .size = (uint32_t)strlen(value)});
    rk_buf_append_byte(buf, '\n');
}

static void line_digest(struct rk_buf *buf, const char *name, uint64_t value)
{
    rk_buf_append_text(buf, name);
    rk_buf_append_hex64(buf, value);
    rk_buf_append_byte(buf, '\n');
}

static void report_text(struct rk_buf *buf, const struct backup_summary *summary)
{
    line(buf, "index           ", summary->about.id.index);
    line(buf, "term            ", summary->about.id.term);
    line_text(buf, "cluster id      ", summary->about.cluster_id);
    line_text(buf, "written by      ", summary->about.node);
    line(buf, "made (Unix ms)  ", summary->about.made_ms);
    line(buf, "bytes           ", summary->packed_size);
    line(buf, "unpacked bytes  ", summary->unpacked_size);
    line_digest(buf, "file digest     ", summary->file_digest);
    line_digest(buf, "state digest    ", summary->state_digest);
    line(buf, "keys            ", summary->keys_count);
    line(buf, "locks           ", summary->locks_count);
    line(buf, "lock delays     ", summary->delays_count);
    line(buf, "sessions        ", summary->sessions_count);
    line(buf, "requests kept   ", summary->tokens_count);
    line(buf, "tombstones      ", summary->tombstones_count);
}

static void report_line(struct rk_buf *buf, const char *path, const char *verdict,
                        const struct backup_summary *summary)
{
    output_append_safe(
        buf, (struct rk_bytes){.data = (const uint8_t *)path, .size = (uint32_t)strlen(path)});
    rk_buf_append_text(buf, verdict);
    rk_buf_append_u64(buf, summary->packed_size);
    rk_buf_append_text(buf, " bytes, ");
    rk_buf_append_u64(buf, summary->keys_count);
    rk_buf_append_text(buf, " keys, index ");
    rk_buf_append_u64(buf, summary->about.id.index);
    rk_buf_append_byte(buf, '\n');
}

/* `verdict` NULL: all that is known; else one line with it. */
static void report(const struct cli *cli, const struct args *args, const char *verdict,
                   const struct backup_summary *summary)
{
    struct rk_buf buf;

    rk_buf_init(&buf, REPORT_SIZE_MAX);
    if (args->json) {
        report_json(&buf, args->words[2], summary);
    } else if (verdict != NULL) {
        report_line(&buf, args->words[2], verdict, summary);
    } else {
        report_text(&buf, summary);
    }
    output_bytes(cli->out, rk_buf_bytes(&buf));
    rk_buf_done(&buf);
}

static enum cli_exit verify(const struct cli *cli, const struct args *args, const char *what,
                            const char *verdict)
{
    struct backup_disk disk;
    struct backup_summary summary;
    const char *why = NULL;
    enum cli_exit result = CLI_DONE;

    if (backup_disk_open(&disk, args->words[2]) != RK_OK) {
        result = cannot(cli, what, args->words[2], "cannot be opened as a file");
    } else if (backup_verify(backup_disk_read, &disk, UINT64_MAX, &summary, &why) != RK_OK) {
        result = cannot(cli, what, args->words[2], why);
    } else {
        report(cli, args, verdict, &summary);
    }
    backup_disk_close(&disk);
    return result;
}

enum cli_exit cmd_snapshot_verify(struct cli *cli, const struct args *args)
{
    return verify(cli, args, "verify", ": whole: ");
}

enum cli_exit cmd_snapshot_inspect(struct cli *cli, const struct args *args)
{
    return verify(cli, args, "inspect", NULL);
}

/* --- save --- */

struct saving {
    struct backup_disk disk;
    struct progress progress;
    enum rk_status status;
};

static bool save_bytes(void *context, struct rk_bytes bytes)
{
    struct saving *saving = context;

    saving->status = backup_disk_append(&saving->disk, bytes);
    progress_show(&saving->progress, saving->disk.size);
    return saving->status == RK_OK;
}

static void fetch(const struct cli *cli, const struct args *args, struct saving *saving,
                  struct client_response *response)
{
    char url[CLI_BASE_SIZE + 64];
    const char *query = "";

    if ((args->given & ARGS_STALE) != 0) {
        query = "?stale";
    } else if ((args->given & ARGS_CONSISTENT) != 0) {
        query = "?consistent";
    }
    (void)snprintf(url, sizeof(url), "%s/v1/snapshot%s", cli->base, query);
    progress_begin(&saving->progress, cli->err, "saving", 0);
    client_stream(&(struct client_stream){.url = url,
                                          .last_event_id = "",
                                          .silence_s = SILENCE_S,
                                          .on_bytes = save_bytes,
                                          .context = saving},
                  response);
    progress_end(&saving->progress);
}

/* Nothing has the name before it is known to be a backup. */
static enum cli_exit keep(const struct cli *cli, const struct args *args, struct saving *saving)
{
    struct backup_summary summary;
    const char *why = NULL;

    if (backup_verify(backup_disk_read, &saving->disk, UINT64_MAX, &summary, &why) != RK_OK) {
        return cannot(cli, "save", "what came is no backup, nothing was kept", why);
    }
    if (backup_disk_publish(&saving->disk) != RK_OK) {
        return cannot(cli, "save", args->words[2], "cannot be written");
    }
    report(cli, args, ": saved: ", &summary);
    return CLI_DONE;
}

enum cli_exit cmd_snapshot_save(struct cli *cli, const struct args *args)
{
    struct saving saving = {.status = RK_OK};
    struct client_response response;
    enum cli_exit result = CLI_REFUSED;

    client_response_init(&response);
    if (backup_disk_create(&saving.disk, args->words[2]) != RK_OK) {
        result = cannot(cli, "save", args->words[2], "cannot be made");
    } else {
        fetch(cli, args, &saving, &response);
        if (saving.status != RK_OK) {
            result = cannot(cli, "save", args->words[2], "cannot be written");
        } else if (response.status == 200 && response.error[0] == '\0') {
            result = keep(cli, args, &saving);
        } else {
            response.status = response.error[0] != '\0' ? 0 : response.status;
            result = cli_refused(cli, "snapshot save", &response);
        }
    }
    backup_disk_close(&saving.disk);
    client_response_done(&response);
    return result;
}

/* --- restore --- */

enum { RESTORE_TIMEOUT_MS = 60 * 60 * 1000 };

struct restoring {
    struct backup_disk disk;
    struct progress progress;
    uint64_t sent;
};

static size_t restore_bytes(void *context, uint8_t *to, size_t size)
{
    struct restoring *restoring = context;
    size_t given = 0;

    if (backup_disk_read(&restoring->disk, restoring->sent, to, size, &given) != RK_OK) {
        return 0;
    }
    restoring->sent += given;
    progress_show(&restoring->progress, restoring->sent);
    return given;
}

static enum cli_exit restore_send(const struct cli *cli, const struct args *args,
                                  struct restoring *restoring, const struct backup_summary *summary)
{
    struct client_response response;
    char url[CLI_BASE_SIZE + 32];
    enum cli_exit result = CLI_DONE;

    client_response_init(&response);
    (void)snprintf(url, sizeof(url), "%s/v1/snapshot", cli->base);
    progress_begin(&restoring->progress, cli->err, "restoring", restoring->disk.size);
    client_send(&(struct client_upload){.url = url,
                                        .size = restoring->disk.size,
                                        .timeout_ms = (args->given & ARGS_TIMEOUT) != 0
                                                          ? (uint32_t)args->timeout_ms
                                                          : RESTORE_TIMEOUT_MS,
                                        .read = restore_bytes,
                                        .context = restoring},
                &response);
    progress_end(&restoring->progress);
    if (response.status == 200) {
        report(cli, args, ": restored: ", summary);
    } else {
        result = cli_refused(cli, "snapshot restore", &response);
    }
    client_response_done(&response);
    return result;
}

/* What is damaged is not even sent. */
enum cli_exit cmd_snapshot_restore(struct cli *cli, const struct args *args)
{
    struct restoring restoring = {.sent = 0};
    struct backup_summary summary;
    const char *why = NULL;
    enum cli_exit result = CLI_REFUSED;

    if (backup_disk_open(&restoring.disk, args->words[2]) != RK_OK) {
        result = cannot(cli, "restore", args->words[2], "cannot be opened as a file");
    } else if (backup_verify(backup_disk_read, &restoring.disk, UINT64_MAX, &summary, &why) !=
               RK_OK) {
        result = cannot(cli, "restore", args->words[2], why);
    } else {
        result = restore_send(cli, args, &restoring, &summary);
    }
    backup_disk_close(&restoring.disk);
    return result;
}
