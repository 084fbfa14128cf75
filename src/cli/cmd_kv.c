/* raftkv kv: get, put, delete, list. */
#include <jansson.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"

enum { STATUS_OK = 200, STATUS_NOT_FOUND = 404 };

/* Appends "?" or "&" and the parameter's name. */
static void url_flag(struct rk_buf *url, const char *name)
{
    const bool is_first = memchr(url->data, '?', url->size) == NULL;

    rk_buf_append_byte(url, is_first ? '?' : '&');
    rk_buf_append_text(url, name);
}

static void url_number(struct rk_buf *url, const char *name, uint64_t value, const char *unit)
{
    url_flag(url, name);
    rk_buf_append_byte(url, '=');
    rk_buf_append_u64(url, value);
    rk_buf_append_text(url, unit);
}

static void url_begin(struct rk_buf *url, const struct cli *cli, const char *key)
{
    rk_buf_init(url, CLIENT_URL_SIZE_MAX);
    rk_buf_append_text(url, cli->base);
    rk_buf_append_text(url, "/v1/kv/");
    client_append_key(url, key);
}

static void url_flags(struct rk_buf *url, const struct args *args)
{
    if ((args->given & ARGS_CAS) != 0) {
        url_number(url, "cas", args->cas, "");
    }
    if ((args->given & ARGS_FLAGS) != 0) {
        url_number(url, "flags", args->flags, "");
    }
    if ((args->given & ARGS_TTL) != 0) {
        url_number(url, "ttl", args->ttl_ms, "ms");
    }
    if ((args->given & ARGS_LIMIT) != 0) {
        url_number(url, "limit", args->limit, "");
    }
    if ((args->given & ARGS_START_AFTER) != 0) {
        url_flag(url, "start-after=");
        client_append_key(url, args->start_after);
    }
    if ((args->given & ARGS_RECURSE) != 0) {
        url_flag(url, "recurse");
    }
    if ((args->given & ARGS_STALE) != 0) {
        url_flag(url, "stale");
    }
    if ((args->given & ARGS_CONSISTENT) != 0) {
        url_flag(url, "consistent");
    }
}

/* Asks, and frees `url`. Errors: RK_TOO_LARGE (the key), with nothing sent. */
static enum rk_status ask(const struct cli *cli, const char *method, struct rk_buf *url,
                          struct rk_bytes body, struct client_response *response)
{
    rk_buf_append_byte(url, '\0');
    const enum rk_status status = rk_buf_status(url);

    if (status == RK_OK) {
        const struct client_request request = {.method = method,
                                               .url = (const char *)url->data,
                                               .body = body,
                                               .timeout_ms = CLIENT_CALL_TIMEOUT_MS};
        client_call(&request, response);
    } else {
        fputs("raftkv: the key is too long\n", cli->err);
    }
    rk_buf_done(url);
    return status;
}

static const char *operand(const struct args *args, uint32_t position)
{
    return position + 2 < args->words_count ? args->words[position + 2] : "";
}

static enum cli_exit get_answer(const struct cli *cli, const struct args *args,
                                const struct client_response *response)
{
    if (response->status == STATUS_NOT_FOUND && response->body.size == 0) {
        fprintf(cli->err, "raftkv: kv get: no such key: %s\n", operand(args, 0));
        return CLI_REFUSED;
    }
    if (response->status != STATUS_OK) {
        return cli_refused(cli, "kv get", response);
    }
    output_bytes(cli->out, rk_buf_bytes(&response->body));
    if (args->json) {
        fputc('\n', cli->out);
    }
    return CLI_DONE;
}

enum cli_exit cmd_kv_get(struct cli *cli, const struct args *args)
{
    struct client_response response;
    struct rk_buf url;
    enum cli_exit result = CLI_REFUSED;

    if (operand(args, 0)[0] == '\0') {
        fputs("raftkv: kv get: the key is empty\n", cli->err);
        return CLI_USAGE;
    }
    client_response_init(&response);
    url_begin(&url, cli, operand(args, 0));
    url_flags(&url, args);
    if (!args->json) {
        url_flag(&url, "raw");
    }
    if (ask(cli, "GET", &url, (struct rk_bytes){.size = 0}, &response) == RK_OK) {
        result = get_answer(cli, args, &response);
    }
    client_response_done(&response);
    return result;
}

/* The operand itself, standard input for "-", a file's contents for "@FILE". */
static enum rk_status value_read(const struct cli *cli, const char *text, struct rk_buf *value)
{
    if (strcmp(text, "-") == 0) {
        return input_read(cli, "kv put", text, value);
    }
    if (text[0] == '@') {
        return input_read(cli, "kv put", text + 1, value);
    }
    rk_buf_append_text(value, text);
    return rk_buf_status(value); /* a command line is shorter than a value may be */
}

/* The body of a write is `true`, or `false` when its condition did not hold. */
static enum cli_exit write_answer(const struct cli *cli, const struct args *args, const char *what,
                                  const struct client_response *response)
{
    const struct rk_bytes body = rk_buf_bytes(&response->body);
    const bool is_true = body.size >= 4 && memcmp(body.data, "true", 4) == 0;

    if (response->status != STATUS_OK) {
        return cli_refused(cli, what, response);
    }
    if (args->json) {
        output_bytes(cli->out, body);
        fputc('\n', cli->out);
    }
    if (!is_true) {
        fprintf(cli->err, "raftkv: %s: nothing was written: the modify index of %s is not %llu\n",
                what, operand(args, 0), (unsigned long long)args->cas);
        return CLI_REFUSED;
    }
    return CLI_DONE;
}

static enum cli_exit put_value(const struct cli *cli, const struct args *args,
                               struct rk_bytes value)
{
    struct client_response response;
    struct rk_buf url;
    enum cli_exit result = CLI_REFUSED;

    client_response_init(&response);
    url_begin(&url, cli, operand(args, 0));
    url_flags(&url, args);
    if (ask(cli, "PUT", &url, value, &response) == RK_OK) {
        result = write_answer(cli, args, "kv put", &response);
    }
    client_response_done(&response);
    return result;
}

enum cli_exit cmd_kv_put(struct cli *cli, const struct args *args)
{
    struct rk_buf value;
    enum cli_exit result = CLI_USAGE;

    if (operand(args, 0)[0] == '\0') {
        fputs("raftkv: kv put: the key is empty\n", cli->err);
        return CLI_USAGE;
    }
    rk_buf_init(&value, INPUT_SIZE_MAX);
    if (value_read(cli, operand(args, 1), &value) == RK_OK) {
        result = put_value(cli, args, rk_buf_bytes(&value));
    }
    rk_buf_done(&value);
    return result;
}

enum cli_exit cmd_kv_delete(struct cli *cli, const struct args *args)
{
    struct client_response response;
    struct rk_buf url;
    enum cli_exit result = CLI_REFUSED;

    if (operand(args, 0)[0] == '\0' && (args->given & ARGS_RECURSE) == 0) {
        fputs("raftkv: kv delete: the key is empty\n", cli->err);
        return CLI_USAGE;
    }
    client_response_init(&response);
    url_begin(&url, cli, operand(args, 0));
    url_flags(&url, args);
    if (ask(cli, "DELETE", &url, (struct rk_bytes){.size = 0}, &response) == RK_OK) {
        result = write_answer(cli, args, "kv delete", &response);
    }
    client_response_done(&response);
    return result;
}

/* What was asked for is not all that there is. */
static void more_print(const struct cli *cli, const json_t *last)
{
    struct rk_buf key;

    rk_buf_init(&key, 4 * RK_KEY_SIZE_MAX);
    output_append_safe(&key, (struct rk_bytes){.data = (const uint8_t *)json_string_value(last),
                                               .size = (uint32_t)json_string_length(last)});
    fprintf(cli->err, "raftkv: kv list: more keys follow: --start-after %.*s\n", (int)key.size,
            (const char *)key.data);
    rk_buf_done(&key);
}

/* A key a line. */
static enum cli_exit keys_print(const struct cli *cli, struct rk_bytes body, bool has_more)
{
    json_t *keys = json_loadb((const char *)body.data, body.size, JSON_ALLOW_NUL, NULL);

    if (!json_is_array(keys)) {
        json_decref(keys);
        fputs("raftkv: kv list: the answer is not a list of keys\n", cli->err);
        return CLI_REFUSED;
    }
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        if (json_is_string(key)) {
            fwrite(json_string_value(key), 1, json_string_length(key), cli->out);
            fputc('\n', cli->out);
        }
    }
    if (has_more) {
        more_print(cli, json_array_get(keys, json_array_size(keys) - 1));
    }
    json_decref(keys);
    return CLI_DONE;
}

/* Nothing below a prefix is an answer too, and the empty list says it. */
static enum cli_exit list_answer(const struct cli *cli, const struct args *args,
                                 const struct client_response *response)
{
    if (response->status == STATUS_NOT_FOUND && response->body.size == 0) {
        fputs(args->json ? "[]\n" : "", cli->out);
        return CLI_DONE;
    }
    if (response->status != STATUS_OK) {
        return cli_refused(cli, "kv list", response);
    }
    if (!args->json) {
        return keys_print(cli, rk_buf_bytes(&response->body), response->has_more);
    }
    output_bytes(cli->out, rk_buf_bytes(&response->body));
    fputc('\n', cli->out);
    return CLI_DONE;
}

enum cli_exit cmd_kv_list(struct cli *cli, const struct args *args)
{
    struct client_response response;
    struct rk_buf url;
    enum cli_exit result = CLI_REFUSED;

    client_response_init(&response);
    url_begin(&url, cli, operand(args, 0));
    url_flag(&url, "keys");
    url_flags(&url, args);
    if (ask(cli, "GET", &url, (struct rk_bytes){.size = 0}, &response) == RK_OK) {
        result = list_answer(cli, args, &response);
    }
    client_response_done(&response);
    return result;
}
