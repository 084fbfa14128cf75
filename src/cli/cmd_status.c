/* raftkv status: the members as one node knows them, and what each says of itself. All are asked
 * at once with a short timeout, so that one dead node costs two seconds and not two for each. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_write.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/reply.h"

enum { COLUMNS = 8, NUMBER_SIZE = 24, MEMBERS_MAX = CLIENT_FETCHES_MAX - 1 };

struct row {
    char name[RK_NODE_NAME_SIZE_MAX + 1];
    char peer_address[RK_ADDRESS_SIZE_MAX + 1];
    char client_address[RK_ADDRESS_SIZE_MAX + 1];
    char membership[16]; /* voter, learner, leaving; "": no member yet */
    char role[32];
    char why[256]; /* why nothing is known; "": the following are set */
    uint64_t term;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t lag; /* behind the greatest commit index that any of them told */
};

struct survey {
    struct row rows[MEMBERS_MAX];
    uint32_t rows_count;
};

static void members_take(const json_t *members, struct survey *survey)
{
    for (size_t i = 0; i < json_array_size(members) && survey->rows_count < MEMBERS_MAX; i++) {
        const json_t *member = json_array_get(members, i);
        struct row *row = &survey->rows[survey->rows_count++];
        reply_take_text(member, "name", row->name, sizeof(row->name));
        reply_take_text(member, "peer_address", row->peer_address, sizeof(row->peer_address));
        reply_take_text(member, "client_address", row->client_address, sizeof(row->client_address));
        reply_take_text(member, "role", row->membership, sizeof(row->membership));
    }
}

/* The server's order is that of random ids, which says nothing to a reader. */
static int row_compare(const void *left, const void *right)
{
    const struct row *left_row = left;
    const struct row *right_row = right;

    return strcmp(left_row->name, right_row->name);
}

static void row_fail(struct row *row, const char *role, const char *why)
{
    snprintf(row->role, sizeof(row->role), "%s", role);
    snprintf(row->why, sizeof(row->why), "%s", why);
}

/* What a node said of itself, into its row. An address that leads to another node is a mistake in
 * somebody's client-advertise, and showing that node twice would hide it. */
static void status_take(struct row *row, const struct client_response *response)
{
    char name[RK_NODE_NAME_SIZE_MAX + 1];
    json_t *status = reply_parse(response);

    if (row->client_address[0] == '\0' && row->name[0] != '\0') {
        row_fail(row, "unknown", "its client address is not known");
    } else if (status == NULL) {
        row_fail(row, "unreachable",
                 response->status == 0 ? response->error : "its answer is no status");
    } else {
        reply_take_text(status, "node", name, sizeof(name));
        if (row->name[0] == '\0') {
            snprintf(row->name, sizeof(row->name), "%s", name);
        }
        reply_take_text(status, "role", row->role, sizeof(row->role));
        row->term = reply_take_number(status, "term");
        row->commit_index = reply_take_number(status, "commit_index");
        row->applied_index = reply_take_number(status, "last_applied");
        if (strcmp(row->name, name) != 0) {
            row_fail(row, "unknown", "another node answers there");
        }
    }
    json_decref(status);
}

static void lags_compute(struct survey *survey)
{
    uint64_t commit_index = 0;

    for (uint32_t i = 0; i < survey->rows_count; i++) {
        const struct row *row = &survey->rows[i];
        if (row->why[0] == '\0' && row->commit_index > commit_index) {
            commit_index = row->commit_index;
        }
    }
    for (uint32_t i = 0; i < survey->rows_count; i++) {
        struct row *row = &survey->rows[i];
        row->lag = commit_index > row->applied_index ? commit_index - row->applied_index : 0;
    }
}

/* Asks every row's node; a row without a name is the node that --addr names. */
static void nodes_ask(const struct cli *cli, struct survey *survey)
{
    static struct client_response responses[MEMBERS_MAX];
    static char urls[MEMBERS_MAX][CLI_BASE_SIZE + 32];
    const char *wanted[MEMBERS_MAX];

    for (uint32_t i = 0; i < survey->rows_count; i++) {
        const struct row *row = &survey->rows[i];
        const bool is_member = row->name[0] != '\0';
        client_response_init(&responses[i]);
        snprintf(urls[i], sizeof(urls[i]), "%s%s/v1/status/node", is_member ? "http://" : "",
                 is_member ? row->client_address : cli->base);
        wanted[i] = is_member && row->client_address[0] == '\0' ? "" : urls[i];
    }
    client_fetch(wanted, survey->rows_count, CLIENT_STATUS_TIMEOUT_MS, responses);
    for (uint32_t i = 0; i < survey->rows_count; i++) {
        status_take(&survey->rows[i], &responses[i]);
        client_response_done(&responses[i]);
    }
    lags_compute(survey);
}

/* Finds out who the members are; before there are any, the one row is the node that was asked. */
static enum cli_exit survey_make(const struct cli *cli, struct survey *survey)
{
    char url[CLI_BASE_SIZE + 32];
    struct client_response response;
    enum cli_exit result = CLI_DONE;

    snprintf(url, sizeof(url), "%s/v1/cluster/members", cli->base);
    client_response_init(&response);
    client_call(
        &(struct client_request){.method = "GET", .url = url, .timeout_ms = CLIENT_CALL_TIMEOUT_MS},
        &response);
    json_t *members = reply_parse(&response);
    if (members == NULL || !json_is_array(members)) {
        result = cli_refused(cli, "status", &response);
    } else {
        members_take(members, survey);
        qsort(survey->rows, survey->rows_count, sizeof(survey->rows[0]), row_compare);
        survey->rows_count += survey->rows_count == 0;
        nodes_ask(cli, survey);
    }
    json_decref(members);
    client_response_done(&response);
    return result;
}

static void number_text(char *ret, uint64_t number)
{
    snprintf(ret, NUMBER_SIZE, "%llu", (unsigned long long)number);
}

static void table_print(const struct cli *cli, const struct survey *survey)
{
    static const char *const titles[COLUMNS] = {"NODE",    "ROLE", "TERM",    "COMMIT",
                                                "APPLIED", "LAG",  "ADDRESS", "NOTE"};
    static char numbers[MEMBERS_MAX][4][NUMBER_SIZE];
    static const char *cells[(MEMBERS_MAX + 1) * COLUMNS];
    struct rk_buf buf;

    memcpy(cells, titles, sizeof(titles));
    for (uint32_t i = 0; i < survey->rows_count; i++) {
        const struct row *row = &survey->rows[i];
        const bool is_known = row->why[0] == '\0';
        const char **cell = &cells[(i + 1) * COLUMNS];
        number_text(numbers[i][0], row->term);
        number_text(numbers[i][1], row->commit_index);
        number_text(numbers[i][2], row->applied_index);
        number_text(numbers[i][3], row->lag);
        cell[0] = row->name[0] != '\0' ? row->name : "-";
        cell[1] = row->role[0] != '\0' ? row->role : "-";
        for (uint32_t j = 0; j < 4; j++) {
            cell[2 + j] = is_known ? numbers[i][j] : "-";
        }
        cell[6] = row->client_address[0] != '\0' ? row->client_address : "-";
        cell[7] = is_known ? row->membership : row->why;
    }
    rk_buf_init(&buf, 1 << 20);
    output_table(&buf, cells, survey->rows_count + 1, COLUMNS);
    output_bytes(cli->out, rk_buf_bytes(&buf));
    rk_buf_done(&buf);
}

static void row_render(struct rk_json *json, const struct row *row)
{
    const bool is_known = row->why[0] == '\0';

    rk_json_object_begin(json);
    rk_json_member_text(json, "name", row->name);
    rk_json_member_text(json, "role", row->role);
    rk_json_member_text(json, "membership", row->membership);
    rk_json_member_text(json, "peer_address", row->peer_address);
    rk_json_member_text(json, "client_address", row->client_address);
    rk_json_name(json, "reachable");
    rk_json_bool(json, is_known);
    if (is_known) {
        rk_json_member_u64(json, "term", row->term);
        rk_json_member_u64(json, "commit_index", row->commit_index);
        rk_json_member_u64(json, "last_applied", row->applied_index);
        rk_json_member_u64(json, "lag", row->lag);
    } else {
        rk_json_member_text(json, "error", row->why);
    }
    rk_json_object_end(json);
}

static void json_print(const struct cli *cli, const struct survey *survey)
{
    struct rk_buf buf;
    struct rk_json json;

    rk_buf_init(&buf, 1 << 20);
    rk_json_init(&json, &buf, true);
    rk_json_array_begin(&json);
    for (uint32_t i = 0; i < survey->rows_count; i++) {
        row_render(&json, &survey->rows[i]);
    }
    rk_json_array_end(&json);
    output_bytes(cli->out, rk_buf_bytes(&buf));
    rk_buf_done(&buf);
}

enum cli_exit cmd_status(struct cli *cli, const struct args *args)
{
    static struct survey survey;

    memset(&survey, 0, sizeof(survey));
    const enum cli_exit result = survey_make(cli, &survey);
    if (result != CLI_DONE) {
        return result;
    }
    if (args->json) {
        json_print(cli, &survey);
    } else {
        table_print(cli, &survey);
    }
    return CLI_DONE;
}
