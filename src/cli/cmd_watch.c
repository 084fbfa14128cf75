/* raftkv kv watch: every change below a prefix, a line each, until it is interrupted. */
#include <jansson.h>
#include <string.h>

#include "base/parse.h"
#include "cli/cli.h"
#include "cli/events.h"
#include "cli/output.h"

enum {
    STATUS_OK = 200,
    STATUS_BUSY = 429,
    STATUS_FAILED = 500,
    SILENCE_S = 45, /* a node gives a sign of life every 15 s */
    PAUSE_MS = 250,
    TRIES_MAX = 240, /* a minute in vain ends it */
    VALUE_SIZE_MAX = 1 << 20,
};

struct watch {
    const struct cli *cli;
    bool json;
    struct events events;
    bool has_begun; /* a node has answered once: from now on it is asked again */
};

static void print_json(const struct watch *watch, const char *name, struct rk_bytes data)
{
    fprintf(watch->cli->out, "{\"Event\":\"%s\",\"Id\":\"%s\"", name, watch->events.last_id);
    if (data.size > 2) { /* the members, behind ours */
        fputc(',', watch->cli->out);
        fwrite(data.data + 1, 1, data.size - 1, watch->cli->out);
    } else {
        fputc('}', watch->cli->out);
    }
    fputc('\n', watch->cli->out);
}

static void append_member(struct rk_buf *line, const json_t *object, const char *name)
{
    const json_t *text = json_object_get(object, name);

    if (json_is_string(text)) {
        rk_buf_append_byte(line, '\t');
        output_append_safe(line, (struct rk_bytes){.data = (const uint8_t *)json_string_value(text),
                                                   .size = (uint32_t)json_string_length(text)});
    }
}

static void append_value(struct rk_buf *line, const json_t *object)
{
    const json_t *text = json_object_get(object, "Value");
    struct rk_buf value;

    if (!json_is_string(text)) {
        return;
    }
    rk_buf_init(&value, VALUE_SIZE_MAX);
    if (rk_base64_decode((struct rk_bytes){.data = (const uint8_t *)json_string_value(text),
                                           .size = (uint32_t)json_string_length(text)},
                         &value) == RK_OK) {
        rk_buf_append_byte(line, '\t');
        output_append_safe(line, rk_buf_bytes(&value));
    }
    rk_buf_done(&value);
}

/* Place, event, key and value, with tabs between: keys have none. */
static void print_line(const struct watch *watch, const char *name, const json_t *object)
{
    struct rk_buf line;

    rk_buf_init(&line, 2 * VALUE_SIZE_MAX);
    rk_buf_append_text(&line, watch->events.last_id);
    rk_buf_append_byte(&line, '\t');
    rk_buf_append_text(&line, name);
    append_member(&line, object, "Key");
    append_member(&line, object, "Prefix");
    append_member(&line, object, "Reason");
    append_value(&line, object);
    rk_buf_append_byte(&line, '\n');
    output_bytes(watch->cli->out, rk_buf_bytes(&line));
    rk_buf_done(&line);
}

static void on_event(void *context, const char *name, struct rk_bytes data)
{
    struct watch *watch = context;
    /* As reals: no number is looked at, and flags may be past what an integer of jansson's holds. */
    json_t *object = json_loadb((const char *)data.data, data.size,
                                JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);

    if (!json_is_object(object)) {
        fputs("raftkv: kv watch: an event that is no JSON object is left out\n", watch->cli->err);
    } else if (watch->json) {
        print_json(watch, name, data);
    } else {
        print_line(watch, name, object);
    }
    json_decref(object);
    fflush(watch->cli->out);
}

static bool on_bytes(void *context, struct rk_bytes bytes)
{
    struct watch *watch = context;

    watch->has_begun = true;
    return events_take(&watch->events, bytes) == RK_OK;
}

static bool may_come_back(const struct watch *watch, const struct client_response *response)
{
    return watch->has_begun &&
           (response->status == 0 || response->status == STATUS_OK ||
            response->status == STATUS_BUSY || response->status == STATUS_FAILED);
}

/* One connection, to its end. Returns whether anything came. */
static bool follow(struct watch *watch, const char *url, struct client_response *response)
{
    const struct client_stream stream = {
        .url = url,
        .last_event_id = watch->events.last_id,
        .silence_s = SILENCE_S,
        .on_bytes = on_bytes,
        .context = watch,
    };

    events_restart(&watch->events);
    client_stream(&stream, response);
    return response->status == STATUS_OK;
}

static enum cli_exit watch_run(struct watch *watch, const char *url)
{
    for (uint32_t tries = 0; tries < TRIES_MAX; tries++) {
        struct client_response response;
        client_response_init(&response);
        if (follow(watch, url, &response)) {
            tries = 0;
        }
        const bool goes_on = may_come_back(watch, &response) && tries + 1 < TRIES_MAX;
        if (!goes_on) {
            (void)cli_refused(watch->cli, "kv watch", &response);
        }
        client_response_done(&response);
        if (!goes_on) {
            break;
        }
        client_pause(PAUSE_MS);
    }
    return CLI_REFUSED;
}

enum cli_exit cmd_kv_watch(struct cli *cli, const struct args *args)
{
    struct watch watch = {.cli = cli, .json = args->json};
    struct rk_buf url;

    rk_buf_init(&url, CLIENT_URL_SIZE_MAX);
    rk_buf_append_text(&url, cli->base);
    rk_buf_append_text(&url, "/v1/watch/");
    client_append_key(&url, args->words_count > 2 ? args->words[2] : "");
    rk_buf_append_byte(&url, '\0');
    if (rk_buf_status(&url) != RK_OK) {
        fputs("raftkv: the prefix is too long\n", cli->err);
        rk_buf_done(&url);
        return CLI_REFUSED;
    }
    events_init(&watch.events);
    watch.events.on_event = on_event;
    watch.events.context = &watch;
    const enum cli_exit result = watch_run(&watch, (const char *)url.data);
    events_done(&watch.events);
    rk_buf_done(&url);
    return result;
}
