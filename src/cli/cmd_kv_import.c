/* raftkv kv import: the keys of a file. The file is checked whole before the first of them is
 * written; then they go in transactions, each of which is done or not. What was written is written
 * again to no effect, so an import that broke off is gone on with by importing once more. */
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cli/change.h"
#include "cli/input.h"
#include "cli/kv_file.h"
#include "cli/progress.h"

enum {
    FILE_SIZE_MAX = 1 << 30,
    CHUNK_OPS_MAX = 128,           /* what any server of this API takes at once */
    CHUNK_BYTES_MAX = 768 * 1024,  /* of keys and values: a node's command has 1 MiB */
    CHUNK_TEXT_SIZE_MAX = 6 << 20, /* of the request */
    OP_SIZE = 128,                 /* of an operation, beside key and value */
};

_Static_assert(CHUNK_OPS_MAX *(6 * RK_KEY_SIZE_MAX + OP_SIZE) + CHUNK_BYTES_MAX / 3 * 4 + 4096 <=
                   CHUNK_TEXT_SIZE_MAX,
               "keys of nothing but escapes, and values in base64, fit a request");

struct importing {
    const struct cli *cli;
    struct kv_file file;
    struct progress progress;
    struct rk_buf chunk; /* the request's body */
    uint32_t chunk_ops;
    uint32_t chunk_bytes;
    uint64_t written; /* keys */
    uint64_t total;
};

static enum cli_exit bad_file(const struct importing *importing)
{
    fprintf(importing->cli->err, "raftkv: kv import: %s; nothing was written\n",
            importing->file.reason);
    return CLI_USAGE;
}

/* Looks at every entry. */
static enum cli_exit check(struct importing *importing, struct rk_bytes document)
{
    struct kv_file_entry entry;
    bool has = true;
    enum rk_status status = kv_file_begin(&importing->file, document);

    while (status == RK_OK && has) {
        status = kv_file_next(&importing->file, &entry, &has);
        importing->total += status == RK_OK && has ? 1 : 0;
    }
    return status == RK_OK ? CLI_DONE : bad_file(importing);
}

static uint32_t size_of(const struct kv_file_entry *entry)
{
    return entry->key_size + entry->value.size + OP_SIZE;
}

static void chunk_add(struct importing *importing, const struct kv_file_entry *entry)
{
    struct rk_buf *chunk = &importing->chunk;

    rk_buf_append_text(chunk, importing->chunk_ops == 0 ? "[" : ",");
    rk_buf_append_text(chunk, "{\"KV\":{\"Verb\":\"set\",\"Key\":");
    rk_buf_append(chunk, entry->key.data, entry->key.size);
    rk_buf_append_text(chunk, ",\"Flags\":");
    rk_buf_append_u64(chunk, entry->flags);
    rk_buf_append_text(chunk, ",\"Value\":\"");
    rk_base64_encode(entry->value, chunk);
    rk_buf_append_text(chunk, "\"}}");
    RK_ASSERT(!chunk->overflowed);
    importing->chunk_ops++;
    importing->chunk_bytes += size_of(entry);
}

static enum cli_exit chunk_send(struct importing *importing)
{
    struct client_response response;

    if (importing->chunk_ops == 0) {
        return CLI_DONE;
    }
    rk_buf_append_byte(&importing->chunk, ']');
    client_response_init(&response);
    const struct change change = {.what = "kv import",
                                  .method = "PUT",
                                  .path = "/v1/txn",
                                  .body = rk_buf_bytes(&importing->chunk),
                                  .timeout_ms = CLIENT_CALL_TIMEOUT_MS};
    const enum cli_exit result = change_ask(importing->cli, &change, &response);
    client_response_done(&response);
    importing->written += result == CLI_DONE ? importing->chunk_ops : 0;
    rk_buf_reset(&importing->chunk);
    importing->chunk_ops = 0;
    importing->chunk_bytes = 0;
    return result;
}

static bool is_full(const struct importing *importing, const struct kv_file_entry *next)
{
    return importing->chunk_ops == CHUNK_OPS_MAX ||
           (importing->chunk_ops > 0 && importing->chunk_bytes + size_of(next) > CHUNK_BYTES_MAX);
}

static enum cli_exit write_all(struct importing *importing, struct rk_bytes document)
{
    struct kv_file_entry entry;
    enum cli_exit result = CLI_DONE;
    bool has = true;

    if (kv_file_begin(&importing->file, document) != RK_OK) {
        return bad_file(importing);
    }
    while (result == CLI_DONE && has) {
        if (kv_file_next(&importing->file, &entry, &has) != RK_OK) {
            return bad_file(importing);
        }
        if (!has || is_full(importing, &entry)) {
            result = chunk_send(importing);
            progress_show(&importing->progress, document.size - importing->file.walk.rest.size);
        }
        if (has && result == CLI_DONE) {
            chunk_add(importing, &entry);
        }
    }
    return result;
}

static enum cli_exit import_run(struct importing *importing, struct rk_bytes document)
{
    const struct cli *cli = importing->cli;
    enum cli_exit result = check(importing, document);

    kv_file_done(&importing->file);
    if (result != CLI_DONE) {
        return result;
    }
    progress_begin(&importing->progress, cli->err, "importing", document.size);
    result = write_all(importing, document);
    progress_end(&importing->progress);
    kv_file_done(&importing->file);
    if (result != CLI_DONE) {
        fprintf(
            cli->err,
            "raftkv: kv import: %llu of %llu keys were written; import the file again to go on\n",
            (unsigned long long)importing->written, (unsigned long long)importing->total);
    }
    return result;
}

enum cli_exit cmd_kv_import(struct cli *cli, const struct args *args)
{
    struct importing importing = {.cli = cli};
    struct rk_buf document;
    enum cli_exit result = CLI_USAGE;

    rk_buf_init(&document, FILE_SIZE_MAX);
    rk_buf_init(&importing.chunk, CHUNK_TEXT_SIZE_MAX);
    if (input_read(cli, "kv import", args->words_count > 2 ? args->words[2] : "-", &document) ==
        RK_OK) {
        result = import_run(&importing, rk_buf_bytes(&document));
    }
    if (result == CLI_DONE && args->json) {
        fprintf(cli->out, "{\"Keys\":%llu}\n", (unsigned long long)importing.written);
    }
    rk_buf_done(&importing.chunk);
    rk_buf_done(&document);
    return result;
}
