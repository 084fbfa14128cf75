/* raftkv kv export: all keys below a prefix, as one state of the store had them. They are written as
 * they come: nothing but one entry is held. */
#include <string.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/kv_file.h"
#include "cli/output.h"

enum { STATUS_OK = 200, STATUS_NOT_FOUND = 404, SILENCE_S = 30 };

struct exporting {
    const struct cli *cli;
    struct kv_split split;
    uint64_t count;
    const char *fault; /* static; NULL: none */
};

/* How the API writes each byte that is no UTF-8; the same character in a key cannot be told from it. */
static bool has_lost_bytes(struct rk_bytes text)
{
    return memmem(text.data, text.size, "\xef\xbf\xbd", 3) != NULL;
}

static void entry_write(struct exporting *exporting, const struct kv_file_entry *entry)
{
    FILE *out = exporting->cli->out;
    struct rk_buf value;

    rk_buf_init(&value, 2 * RK_VALUE_SIZE_MAX);
    rk_base64_encode(entry->value, &value);
    fputs(exporting->count > 0 ? ",\n\t{\n\t\t\"key\": " : "\n\t{\n\t\t\"key\": ", out);
    output_bytes(out, entry->key);
    fprintf(out, ",\n\t\t\"flags\": %llu,\n\t\t\"value\": \"", (unsigned long long)entry->flags);
    output_bytes(out, rk_buf_bytes(&value));
    fputs("\"\n\t}", out);
    rk_buf_done(&value);
    exporting->count++;
}

/* An element of the listing has the members of one in a file, and others. */
static bool on_element(void *context, struct rk_bytes element)
{
    struct exporting *exporting = context;
    struct rk_buf document;
    struct kv_file file;
    struct kv_file_entry entry;
    bool has = false;

    rk_buf_init(&document, (size_t)element.size + 2);
    rk_buf_append_byte(&document, '[');
    rk_buf_append(&document, element.data, element.size);
    rk_buf_append_byte(&document, ']');
    if (kv_file_begin(&file, rk_buf_bytes(&document)) != RK_OK ||
        kv_file_next(&file, &entry, &has) != RK_OK || !has) {
        exporting->fault = "the answer is not a list of entries";
    } else if (has_lost_bytes(entry.key)) {
        exporting->fault = "a key is not UTF-8, or has U+FFFD in it: a file cannot hold it";
    } else {
        entry_write(exporting, &entry);
    }
    kv_file_done(&file);
    rk_buf_done(&document);
    return exporting->fault == NULL && ferror(exporting->cli->out) == 0;
}

static bool on_bytes(void *context, struct rk_bytes bytes)
{
    struct exporting *exporting = context;

    return kv_split_take(&exporting->split, bytes);
}

/* A file that ends without its bracket is none: whoever reads it sees that it broke off. */
static enum cli_exit export_end(const struct exporting *exporting,
                                const struct client_response *response)
{
    const struct cli *cli = exporting->cli;

    if (exporting->fault != NULL) {
        fprintf(cli->err, "raftkv: kv export: %s\n", exporting->fault);
        return CLI_REFUSED;
    }
    if (response->status != STATUS_OK &&
        (response->status != STATUS_NOT_FOUND || response->body.size > 0)) {
        return cli_refused(cli, "kv export", response);
    }
    if (response->status == STATUS_OK && !exporting->split.is_closed) {
        fprintf(cli->err, "raftkv: kv export: %s: the listing broke off after %llu keys\n",
                cli->base, (unsigned long long)exporting->count);
        return CLI_REFUSED;
    }
    fputs(exporting->count > 0 ? "\n]\n" : "]\n", cli->out);
    return CLI_DONE;
}

static enum cli_exit export_run(const struct cli *cli, const char *url)
{
    struct exporting exporting = {.cli = cli};
    struct client_response response;
    const struct client_stream stream = {.url = url,
                                         .last_event_id = "",
                                         .silence_s = SILENCE_S,
                                         .on_bytes = on_bytes,
                                         .context = &exporting};

    kv_split_init(&exporting.split);
    exporting.split.on_element = on_element;
    exporting.split.context = &exporting;
    client_response_init(&response);
    fputc('[', cli->out);
    client_stream(&stream, &response);
    const enum cli_exit result = export_end(&exporting, &response);
    client_response_done(&response);
    kv_split_done(&exporting.split);
    return result;
}

enum cli_exit cmd_kv_export(struct cli *cli, const struct args *args)
{
    struct rk_buf url;
    enum cli_exit result = CLI_USAGE;

    rk_buf_init(&url, CLIENT_URL_SIZE_MAX);
    rk_buf_append_text(&url, cli->base);
    rk_buf_append_text(&url, "/v1/kv/");
    client_append_key(&url, args->words_count > 2 ? args->words[2] : "");
    rk_buf_append_text(&url, "?recurse");
    rk_buf_append_text(&url, (args->given & ARGS_STALE) != 0        ? "&stale"
                             : (args->given & ARGS_CONSISTENT) != 0 ? "&consistent"
                                                                    : "");
    rk_buf_append_byte(&url, '\0');
    if (rk_buf_status(&url) == RK_OK) {
        result = export_run(cli, (const char *)url.data);
    } else {
        fputs("raftkv: the prefix is too long\n", cli->err);
    }
    rk_buf_done(&url);
    return result;
}
