/* raftkv leader: transfer. */
#include "cli/change.h"

enum cli_exit cmd_leader_transfer(struct cli *cli, const struct args *args)
{
    const char *heir = args->words_count > 2 ? args->words[2] : NULL;
    const bool has_heir = heir != NULL && *heir != '\0';
    const struct change change = {.what = "leader transfer",
                                  .method = "POST",
                                  .path = has_heir ? "/v1/operator/raft/transfer-leader?id="
                                                   : "/v1/operator/raft/transfer-leader",
                                  .member = heir,
                                  .timeout_ms = CLIENT_CALL_TIMEOUT_MS};

    /* An empty variable of a script must not mean "anybody". */
    if (heir != NULL && !has_heir) {
        fputs("raftkv: leader transfer: the name of the node is empty\n", cli->err);
        return CLI_USAGE;
    }
    return change_run(cli, args, &change);
}
