/* raftkv session: list, info, destroy. */
#include <jansson.h>
#include <string.h>

#include "cli/change.h"
#include "cli/output.h"
#include "cli/reply.h"

enum { COLUMNS = 5, CELL_SIZE = 1024, TABLE_SIZE_MAX = 64 << 20 };

static void row_append(struct rk_buf *buf, const json_t *session)
{
    static const char *const names[COLUMNS] = {"ID", "Name", "Node", "TTL", "Behavior"};
    char cell[CELL_SIZE];

    for (uint32_t i = 0; i < COLUMNS; i++) {
        reply_take_text(session, names[i], cell, sizeof(cell));
        rk_buf_append_text(buf, cell[0] == '\0' ? "-" : cell);
        rk_buf_append_byte(buf, i + 1 < COLUMNS ? '\t' : '\n');
    }
}

static enum cli_exit sessions_print(const struct cli *cli, const struct client_response *response)
{
    json_t *sessions = reply_parse(response);
    struct rk_buf buf;

    if (!json_is_array(sessions)) {
        json_decref(sessions);
        fputs("raftkv: session: the answer is no list of sessions\n", cli->err);
        return CLI_REFUSED;
    }
    rk_buf_init(&buf, TABLE_SIZE_MAX);
    rk_buf_append_text(&buf, "ID\tNAME\tNODE\tTTL\tBEHAVIOR\n");
    for (size_t i = 0; i < json_array_size(sessions); i++) {
        row_append(&buf, json_array_get(sessions, i));
    }
    output_bytes(cli->out, rk_buf_bytes(&buf));
    rk_buf_done(&buf);
    json_decref(sessions);
    return CLI_DONE;
}

/* Whether the answer is a list of none: the server knows no such session. */
static bool is_empty_list(const struct client_response *response)
{
    json_t *list = reply_parse(response);
    const bool is_empty = json_is_array(list) && json_array_size(list) == 0;

    json_decref(list);
    return is_empty;
}

static enum cli_exit show(const struct cli *cli, const struct args *args,
                          const struct change *change)
{
    struct client_response response;

    client_response_init(&response);
    enum cli_exit result = change_ask(cli, change, &response);
    if (result == CLI_DONE && change->member != NULL && is_empty_list(&response)) {
        fprintf(cli->err, "raftkv: %s: no such session: %s\n", change->what, change->member);
        result = CLI_REFUSED;
    } else if (result == CLI_DONE && args->json) {
        change_print(cli, &response);
    } else if (result == CLI_DONE) {
        result = sessions_print(cli, &response);
    }
    client_response_done(&response);
    return result;
}

enum cli_exit cmd_session_list(struct cli *cli, const struct args *args)
{
    const struct change change = {.what = "session list",
                                  .method = "GET",
                                  .path = "/v1/session/list",
                                  .timeout_ms = CLIENT_CALL_TIMEOUT_MS};

    return show(cli, args, &change);
}

enum cli_exit cmd_session_info(struct cli *cli, const struct args *args)
{
    const struct change change = {.what = "session info",
                                  .method = "GET",
                                  .path = "/v1/session/info/",
                                  .member = args->words[2],
                                  .timeout_ms = CLIENT_CALL_TIMEOUT_MS};

    return show(cli, args, &change);
}

enum cli_exit cmd_session_destroy(struct cli *cli, const struct args *args)
{
    const struct change change = {.what = "session destroy",
                                  .method = "PUT",
                                  .path = "/v1/session/destroy/",
                                  .member = args->words[2],
                                  .timeout_ms = CLIENT_CALL_TIMEOUT_MS};

    return change_run(cli, args, &change);
}
