/* raftkv stages: where the time of one node's requests goes, as it measured in the last minute. */
#include <jansson.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "cli/change.h"
#include "cli/output.h"
#include "cli/reply.h"

enum { COLUMNS = 8, ROWS_MAX = 64, CELL_SIZE = 64, TABLE_SIZE_MAX = 1 << 20 };

struct table {
    char cells[ROWS_MAX][COLUMNS][CELL_SIZE];
    uint32_t rows;
};

static void row_take(struct table *table, const char *name, const json_t *measure)
{
    static const char *const numbers[] = {"count", "mean", "p50", "p90", "p99", "p999", "max"};
    char(*row)[CELL_SIZE] = table->cells[table->rows];

    _Static_assert(sizeof(numbers) / sizeof(numbers[0]) == COLUMNS - 1, "all but the name");
    if (table->rows == ROWS_MAX || reply_take_number(measure, "count") == 0) {
        return;
    }
    snprintf(row[0], CELL_SIZE, "%s", name);
    for (uint32_t i = 1; i < COLUMNS; i++) {
        snprintf(row[i], CELL_SIZE, "%llu",
                 (unsigned long long)reply_take_number(measure, numbers[i - 1]));
    }
    table->rows++;
}

static void measures_append(struct rk_buf *buf, const json_t *span, const char *member,
                            const char *title)
{
    static const char *const titles[COLUMNS] = {NULL,  "COUNT", "MEAN",  "P50",
                                                "P90", "P99",   "P99.9", "MAX"};
    static struct table table;
    const char *cells[(ROWS_MAX + 1) * COLUMNS];
    const char *name = NULL;
    json_t *measure = NULL;

    table.rows = 0;
    json_object_foreach(json_object_get(span, member), name, measure)
    {
        row_take(&table, name, measure);
    }
    memcpy(cells, titles, sizeof(titles));
    cells[0] = title;
    for (uint32_t i = 0; i < table.rows * COLUMNS; i++) {
        cells[COLUMNS + i] = table.cells[i / COLUMNS][i % COLUMNS];
    }
    output_table(buf, cells, table.rows + 1, COLUMNS);
}

static void busy_append(struct rk_buf *buf, const json_t *span)
{
    json_t *shares = json_object_get(span, "busy_per_mille");
    char text[CELL_SIZE];

    rk_buf_append_text(buf, "busy:");
    for (void *at = json_object_iter(shares); at != NULL; at = json_object_iter_next(shares, at)) {
        const char *name = json_object_iter_key(at);
        const uint64_t per_mille = reply_take_number(shares, name);
        snprintf(text, sizeof(text), " %.16s %llu.%llu %%", name,
                 (unsigned long long)per_mille / 10, (unsigned long long)per_mille % 10);
        rk_buf_append_text(buf, text);
    }
    rk_buf_append_text(buf, "\n\n");
}

static enum cli_exit stages_print(const struct cli *cli, const struct client_response *response)
{
    json_t *stages = reply_parse(response);
    const json_t *recent = json_object_get(stages, "recent");
    char name[RK_NODE_NAME_SIZE_MAX + 1];
    char role[32];
    struct rk_buf buf;

    if (!json_is_object(recent)) {
        json_decref(stages);
        fputs("raftkv: stages: the answer has no stages\n", cli->err);
        return CLI_REFUSED;
    }
    reply_take_text(stages, "node", name, sizeof(name));
    reply_take_text(stages, "role", role, sizeof(role));
    fprintf(cli->out, "%s, %s, the last %llu s\n", name, role,
            (unsigned long long)reply_take_number(recent, "span_ms") / 1000);
    rk_buf_init(&buf, TABLE_SIZE_MAX);
    busy_append(&buf, recent);
    measures_append(&buf, recent, "times_us", "MICROSECONDS");
    rk_buf_append_byte(&buf, '\n');
    measures_append(&buf, recent, "sizes", "SIZES");
    output_bytes(cli->out, rk_buf_bytes(&buf));
    rk_buf_done(&buf);
    json_decref(stages);
    return CLI_DONE;
}

enum cli_exit cmd_stages(struct cli *cli, const struct args *args)
{
    const struct change change = {.what = "stages",
                                  .method = "GET",
                                  .path = "/v1/status/stages",
                                  .timeout_ms = CLIENT_CALL_TIMEOUT_MS};
    struct client_response response;

    client_response_init(&response);
    enum cli_exit result = change_ask(cli, &change, &response);
    if (result == CLI_DONE && args->json) {
        change_print(cli, &response);
    } else if (result == CLI_DONE) {
        result = stages_print(cli, &response);
    }
    client_response_done(&response);
    return result;
}
