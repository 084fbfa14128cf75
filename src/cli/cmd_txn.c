/* raftkv txn: the operations of a file, all of them or none. */
#include "cli/change.h"
#include "cli/input.h"

enum cli_exit cmd_txn(struct cli *cli, const struct args *args)
{
    struct client_response response;
    struct rk_buf body;
    enum cli_exit result = CLI_USAGE;

    client_response_init(&response);
    rk_buf_init(&body, INPUT_SIZE_MAX);
    if (input_read(cli, "txn", args->words[1], &body) == RK_OK) {
        const struct change change = {.what = "txn",
                                      .method = "PUT",
                                      .path = "/v1/txn",
                                      .body = rk_buf_bytes(&body),
                                      .timeout_ms = CLIENT_CALL_TIMEOUT_MS};
        result = change_ask(cli, &change, &response);
    }
    if (result == CLI_DONE) {
        change_print(cli, &response);
    }
    rk_buf_done(&body);
    client_response_done(&response);
    return result;
}
