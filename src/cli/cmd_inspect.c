/* raftkv inspect: the directory of a node that does not run, as JSON. */
#include "backup/data_look.h"
#include "cli/cli.h"

enum { MESSAGE_SIZE = 1024 };

enum cli_exit cmd_inspect(struct cli *cli, const struct args *args)
{
    char message[MESSAGE_SIZE];

    if ((args->given & ARGS_DATA_DIR) == 0) {
        fputs("raftkv: inspect needs --data-dir\n", cli->err);
        return CLI_USAGE;
    }
    if (data_look(args->data_dir, cli->out, message, sizeof(message)) != RK_OK) {
        fprintf(cli->err, "raftkv: inspect: %s\n", message);
        return CLI_REFUSED;
    }
    return CLI_DONE;
}
