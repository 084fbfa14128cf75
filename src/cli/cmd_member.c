/* raftkv member: list, add, promote, remove, replace. The leader adds a learner and answers; that it
 * has caught up and votes shows in the list of members, which is therefore asked for again and
 * again. */
#include <string.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/limits.h"
#include "cli/change.h"
#include "cli/output.h"
#include "cli/reply.h"

enum {
    COLUMNS = 6,
    MEMBERS_MAX = 32,
    CELL_SIZE = RK_ADDRESS_SIZE_MAX + 1,
    NOTE_SIZE = 256,
    BODY_SIZE_MAX = 64 * 1024,
    LOOK_PAUSE_MS = 200,
    LOOK_TIMEOUT_MS = 5000,
    WAIT_DEFAULT_MS = 5 * 60 * 1000,
};

static const char *operand(const struct args *args, uint32_t position)
{
    return position + 2 < args->words_count ? args->words[position + 2] : "";
}

static enum cli_exit operands_check(const struct cli *cli, const struct args *args,
                                    const char *what)
{
    for (uint32_t i = 2; i < args->words_count; i++) {
        if (args->words[i][0] == '\0') {
            fprintf(cli->err, "raftkv: %s: a name or address is empty\n", what);
            return CLI_USAGE;
        }
    }
    return CLI_DONE;
}

static void members_get(const struct cli *cli, const char *query, uint32_t timeout_ms,
                        struct client_response *response)
{
    char url[CLI_BASE_SIZE + 64];

    snprintf(url, sizeof(url), "%s/v1/cluster/members%s", cli->base, query);
    client_call(&(struct client_request){.method = "GET", .url = url, .timeout_ms = timeout_ms},
                response);
}

/* -- list -- */

static void row_take(const json_t *member, char row[COLUMNS][CELL_SIZE])
{
    static const char *const names[] = {"name", "role", "peer_address", "client_address",
                                        "progress"};
    static const uint32_t columns[] = {0, 2, 3, 4, 5};

    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *cell = row[columns[i]];
        reply_take_text(member, names[i], cell, CELL_SIZE);
        if (*cell == '\0') {
            memcpy(cell, "-", 2);
        }
    }
    snprintf(row[1], CELL_SIZE, "%llu", (unsigned long long)reply_take_number(member, "id"));
}

static void table_print(const struct cli *cli, const json_t *members)
{
    static char rows[MEMBERS_MAX + 1][COLUMNS][CELL_SIZE] = {
        {"NODE", "ID", "ROLE", "PEER ADDRESS", "CLIENT ADDRESS", "PROGRESS"}};
    static const char *cells[(MEMBERS_MAX + 1) * COLUMNS];
    uint32_t rows_count = 1;
    struct rk_buf buf;

    for (size_t i = 0; i < json_array_size(members) && rows_count <= MEMBERS_MAX; i++) {
        row_take(json_array_get(members, i), rows[rows_count++]);
    }
    for (uint32_t i = 0; i < rows_count * COLUMNS; i++) {
        cells[i] = rows[i / COLUMNS][i % COLUMNS];
    }
    rk_buf_init(&buf, 1 << 20);
    output_table(&buf, cells, rows_count, COLUMNS);
    output_bytes(cli->out, rk_buf_bytes(&buf));
    rk_buf_done(&buf);
}

enum cli_exit cmd_member_list(struct cli *cli, const struct args *args)
{
    const bool is_stale = (args->given & ARGS_STALE) != 0;
    struct client_response response;
    enum cli_exit result = CLI_DONE;

    client_response_init(&response);
    members_get(cli, is_stale ? "" : "?consistent", CLIENT_CALL_TIMEOUT_MS, &response);
    json_t *members = reply_parse(&response);
    if (!json_is_array(members)) {
        response.outcome = CLIENT_OUTCOME_NONE; /* no write was asked for */
        result = cli_refused(cli, "member list", &response);
    } else if (args->json) {
        change_print(cli, &response);
    } else {
        table_print(cli, members);
    }
    json_decref(members);
    client_response_done(&response);
    return result;
}

/* -- waiting for the vote -- */

struct watch {
    const struct cli *cli;
    const char *what; /* the command */
    bool is_quiet;
    uint64_t deadline_ms; /* monotonic */
    uint64_t timeout_ms;
    uint64_t id; /* of the newcomer: in a replacement two members may have one name */
    char name[RK_NODE_NAME_SIZE_MAX + 1];
    char note[NOTE_SIZE]; /* what was last seen */
};

enum standing { STANDING_LEARNS, STANDING_VOTES, STANDING_GONE };

static uint64_t left_ms(const struct watch *watch)
{
    const uint64_t now_ms = rk_monotonic_ms();

    return now_ms < watch->deadline_ms ? watch->deadline_ms - now_ms : 0;
}

/* One line a change. */
static void watch_note(struct watch *watch, const char *note)
{
    if (strncmp(watch->note, note, sizeof(watch->note) - 1) == 0) {
        return;
    }
    snprintf(watch->note, sizeof(watch->note), "%s", note);
    if (!watch->is_quiet) {
        fprintf(watch->cli->out, "%s\n", watch->note);
        fflush(watch->cli->out);
    }
}

/* A leader that has just been elected, or a node that is cut off, says no for a while. */
static enum standing watch_refused(struct watch *watch, const struct client_response *response)
{
    struct rk_bytes words = rk_buf_bytes(&response->body);
    struct rk_buf buf;

    rk_buf_init(&buf, NOTE_SIZE * 2);
    rk_buf_append_text(&buf, "waiting: ");
    if (response->status == 0) {
        rk_buf_append_text(&buf, response->error);
    } else {
        words.size = words.size > NOTE_SIZE / 2 ? NOTE_SIZE / 2 : words.size;
        rk_buf_append_u64(&buf, response->status);
        rk_buf_append_byte(&buf, ' ');
        output_append_safe(&buf, words);
    }
    rk_buf_append_byte(&buf, '\0');
    watch_note(watch, (const char *)buf.data);
    rk_buf_done(&buf);
    return STANDING_LEARNS;
}

static enum standing learner_note(struct watch *watch, const json_t *member)
{
    char progress[NOTE_SIZE];

    reply_take_text(member, "progress", progress, sizeof(progress));
    if (!json_is_true(json_object_get(member, "seen"))) {
        snprintf(progress, sizeof(progress), "waiting for %s to come up", watch->name);
    } else if (progress[0] == '\0') {
        snprintf(progress, sizeof(progress), "waiting for the leader to hear from %s", watch->name);
    }
    watch_note(watch, progress);
    return STANDING_LEARNS;
}

/* It votes when it is a voter and whom it replaces is out: a joint configuration is left. */
static enum standing watch_judge(struct watch *watch, const json_t *members)
{
    enum standing standing = STANDING_GONE;
    bool is_joint = false;
    char role[16];

    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        reply_take_text(member, "role", role, sizeof(role));
        is_joint = is_joint || strcmp(role, "leaving") == 0;
        if (reply_take_number(member, "id") == watch->id) {
            standing = strcmp(role, "voter") == 0 ? STANDING_VOTES : learner_note(watch, member);
        }
    }
    return standing == STANDING_VOTES && is_joint ? STANDING_LEARNS : standing;
}

static enum standing watch_look(struct watch *watch)
{
    const uint64_t left = left_ms(watch);
    struct client_response response;

    client_response_init(&response);
    members_get(watch->cli, "?consistent",
                left > 0 && left < LOOK_TIMEOUT_MS ? (uint32_t)left : LOOK_TIMEOUT_MS, &response);
    json_t *members = reply_parse(&response);
    const enum standing standing =
        json_is_array(members) ? watch_judge(watch, members) : watch_refused(watch, &response);
    json_decref(members);
    client_response_done(&response);
    return standing;
}

static enum cli_exit watch_run(struct watch *watch)
{
    enum standing standing = watch_look(watch);

    while (standing == STANDING_LEARNS && left_ms(watch) > 0) {
        client_pause(LOOK_PAUSE_MS);
        standing = watch_look(watch);
    }
    if (standing == STANDING_GONE) {
        fprintf(watch->cli->err, "raftkv: %s: %s was removed before it voted\n", watch->what,
                watch->name);
        return CLI_REFUSED;
    }
    if (standing == STANDING_LEARNS) {
        fprintf(watch->cli->err,
                "raftkv: %s: %s does not vote after %llu ms (%s); it goes on, and "
                "`raftkv member list` shows it\n",
                watch->what, watch->name, (unsigned long long)watch->timeout_ms, watch->note);
        return CLI_REFUSED;
    }
    if (!watch->is_quiet) {
        fprintf(watch->cli->out, "%s votes\n", watch->name);
    }
    return CLI_DONE;
}

/* Who the newcomer is, as the answer to its addition says. */
static enum cli_exit newcomer_take(struct watch *watch, const struct client_response *response)
{
    json_t *answer = reply_parse(response);
    const json_t *member = json_array_get(json_object_get(answer, "members"), 0);

    watch->id = reply_take_number(member, "id");
    reply_take_text(member, "name", watch->name, sizeof(watch->name));
    json_decref(answer);
    if (watch->id == 0) {
        fprintf(watch->cli->err, "raftkv: %s: the answer does not name the new member\n",
                watch->what);
        return CLI_REFUSED;
    }
    return CLI_DONE;
}

/* Asks for the change; waits for the vote if `waits`. */
static enum cli_exit newcomer_run(const struct cli *cli, const struct args *args,
                                  const struct change *asked, bool waits)
{
    const uint64_t timeout_ms =
        (args->given & ARGS_TIMEOUT) != 0 ? args->timeout_ms : WAIT_DEFAULT_MS;
    struct watch watch = {.cli = cli,
                          .what = asked->what,
                          .is_quiet = args->json,
                          .timeout_ms = timeout_ms,
                          .deadline_ms = rk_monotonic_ms() + timeout_ms};
    struct change change = *asked;
    struct client_response response;

    change.timeout_ms =
        timeout_ms < CLIENT_CALL_TIMEOUT_MS ? (uint32_t)timeout_ms : CLIENT_CALL_TIMEOUT_MS;
    client_response_init(&response);
    enum cli_exit result = change_ask(cli, &change, &response);
    if (result == CLI_DONE && waits) {
        result = newcomer_take(&watch, &response);
        result = result == CLI_DONE ? watch_run(&watch) : result;
    }
    if (result == CLI_DONE && args->json) {
        change_print(cli, &response);
    }
    client_response_done(&response);
    return result;
}

/* -- changes -- */

static void put_text(struct rk_json *json, const char *name, const char *text)
{
    rk_json_name(json, name);
    rk_json_text(json, text);
}

static enum cli_exit body_check(const struct cli *cli, const char *what, const struct rk_buf *body)
{
    if (rk_buf_status(body) == RK_OK) {
        return CLI_DONE;
    }
    fprintf(cli->err, "raftkv: %s: a name or address is too long\n", what);
    return CLI_USAGE;
}

enum cli_exit cmd_member_add(struct cli *cli, const struct args *args)
{
    static const char what[] = "member add";
    const bool is_learner = (args->given & ARGS_LEARNER) != 0;
    enum cli_exit result = operands_check(cli, args, what);
    struct rk_buf body;
    struct rk_json json;

    rk_buf_init(&body, BODY_SIZE_MAX);
    rk_json_init(&json, &body, false);
    rk_json_object_begin(&json);
    put_text(&json, "name", operand(args, 0));
    put_text(&json, "peer_address", operand(args, 1));
    rk_json_name(&json, "learner");
    rk_json_bool(&json, is_learner);
    rk_json_object_end(&json);
    result = result == CLI_DONE ? body_check(cli, what, &body) : result;
    if (result == CLI_DONE) {
        const struct change change = {.what = what,
                                      .method = "POST",
                                      .path = "/v1/cluster/members",
                                      .body = rk_buf_bytes(&body)};
        result = newcomer_run(cli, args, &change, !is_learner);
    }
    rk_buf_done(&body);
    return result;
}

enum cli_exit cmd_member_replace(struct cli *cli, const struct args *args)
{
    static const char what[] = "member replace";
    enum cli_exit result = operands_check(cli, args, what);
    struct rk_buf body;
    struct rk_json json;

    rk_buf_init(&body, BODY_SIZE_MAX);
    rk_json_init(&json, &body, false);
    rk_json_object_begin(&json);
    put_text(&json, "old", operand(args, 0));
    put_text(&json, "name", operand(args, 1));
    put_text(&json, "peer_address", operand(args, 2));
    rk_json_object_end(&json);
    result = result == CLI_DONE ? body_check(cli, what, &body) : result;
    if (result == CLI_DONE) {
        const struct change change = {.what = what,
                                      .method = "POST",
                                      .path = "/v1/cluster/members/replace",
                                      .body = rk_buf_bytes(&body)};
        result = newcomer_run(cli, args, &change, true);
    }
    rk_buf_done(&body);
    return result;
}

enum cli_exit cmd_member_promote(struct cli *cli, const struct args *args)
{
    static const char body[] = "{\"role\":\"voter\"}";
    const struct change change = {.what = "member promote",
                                  .method = "PATCH",
                                  .path = "/v1/cluster/members/",
                                  .member = operand(args, 0),
                                  .body = {.data = (const uint8_t *)body, .size = sizeof(body) - 1},
                                  .timeout_ms = CLIENT_CALL_TIMEOUT_MS};
    const enum cli_exit result = operands_check(cli, args, change.what);

    return result == CLI_DONE ? change_run(cli, args, &change) : result;
}

enum cli_exit cmd_member_repair(struct cli *cli, const struct args *args)
{
    struct change change = {.what = "member repair",
                            .method = "POST",
                            .path = "/v1/cluster/members/repair",
                            .timeout_ms = CLIENT_CALL_TIMEOUT_MS};
    enum cli_exit result = operands_check(cli, args, change.what);
    struct rk_buf body;
    struct rk_json json;

    rk_buf_init(&body, BODY_SIZE_MAX);
    rk_json_init(&json, &body, false);
    rk_json_object_begin(&json);
    put_text(&json, "name", operand(args, 0));
    rk_json_object_end(&json);
    result = result == CLI_DONE ? body_check(cli, change.what, &body) : result;
    change.body = rk_buf_bytes(&body);
    result = result == CLI_DONE ? change_run(cli, args, &change) : result;
    rk_buf_done(&body);
    return result;
}

enum cli_exit cmd_member_remove(struct cli *cli, const struct args *args)
{
    const struct change change = {.what = "member remove",
                                  .method = "DELETE",
                                  .path = "/v1/cluster/members/",
                                  .member = operand(args, 0),
                                  .timeout_ms = CLIENT_CALL_TIMEOUT_MS};
    const enum cli_exit result = operands_check(cli, args, change.what);

    return result == CLI_DONE ? change_run(cli, args, &change) : result;
}
