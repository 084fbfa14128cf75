#include "cli/change.h"

#include "cli/output.h"

enum { STATUS_OK = 200 };

static void url_make(struct rk_buf *url, const struct cli *cli, const struct change *change)
{
    rk_buf_init(url, CLIENT_URL_SIZE_MAX);
    rk_buf_append_text(url, cli->base);
    rk_buf_append_text(url, change->path);
    if (change->member != NULL) {
        client_append_key(url, change->member);
    }
    rk_buf_append_byte(url, '\0');
}

enum cli_exit change_ask(const struct cli *cli, const struct change *change,
                         struct client_response *response)
{
    enum cli_exit result = CLI_DONE;
    struct rk_buf url;

    url_make(&url, cli, change);
    if (rk_buf_status(&url) != RK_OK) {
        fprintf(cli->err, "raftkv: %s: the name is too long\n", change->what);
        result = CLI_USAGE;
    } else {
        const struct client_request request = {.method = change->method,
                                               .url = (const char *)url.data,
                                               .body = change->body,
                                               .timeout_ms = change->timeout_ms};
        client_call(&request, response);
        if (response->status != STATUS_OK) {
            result = cli_refused(cli, change->what, response);
        }
    }
    rk_buf_done(&url);
    return result;
}

void change_print(const struct cli *cli, const struct client_response *response)
{
    output_bytes(cli->out, rk_buf_bytes(&response->body));
    fputc('\n', cli->out);
}

enum cli_exit change_run(const struct cli *cli, const struct args *args,
                         const struct change *change)
{
    struct client_response response;

    client_response_init(&response);
    const enum cli_exit result = change_ask(cli, change, &response);
    if (result == CLI_DONE && args->json) {
        change_print(cli, &response);
    }
    client_response_done(&response);
    return result;
}
