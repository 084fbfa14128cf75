/* cli.h -- the commands of raftkv: what each takes, and one function that runs them.
 *
 * Exit status: 0 done, 1 the server said no or nobody answered (its words on `err`), 2 usage.
 * Thread: the main one.
 */
#ifndef RK_CLI_CLI_H
#define RK_CLI_CLI_H

#include <stdio.h>

#include "cli/args.h"
#include "cli/client.h"

enum cli_exit { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2 };

enum { CLI_BASE_SIZE = 512 };

struct cli {
    FILE *in;
    FILE *out;
    FILE *err;
    char base[CLI_BASE_SIZE]; /* URL of the node to ask, without a slash at its end */
};

/* Runs the command line. `addr` is RAFTKV_ADDR or NULL; streams are borrowed. */
enum cli_exit cli_run(struct cli *cli, const char *addr, int argc, char **argv);

/* Says on cli->err why `response` is not what was asked for; `what` is the command and its object.
 * Returns CLI_REFUSED. */
enum cli_exit cli_refused(const struct cli *cli, const char *what,
                          const struct client_response *response);

/* The commands; words[0..1] of `args` are their names. */
enum cli_exit cmd_kv_get(struct cli *cli, const struct args *args);
enum cli_exit cmd_kv_put(struct cli *cli, const struct args *args);
enum cli_exit cmd_kv_delete(struct cli *cli, const struct args *args);
enum cli_exit cmd_kv_export(struct cli *cli, const struct args *args);
enum cli_exit cmd_kv_import(struct cli *cli, const struct args *args);
enum cli_exit cmd_kv_list(struct cli *cli, const struct args *args);
enum cli_exit cmd_kv_watch(struct cli *cli, const struct args *args);
enum cli_exit cmd_leader_transfer(struct cli *cli, const struct args *args);
enum cli_exit cmd_lock(struct cli *cli, const struct args *args); /* else the command's own */
enum cli_exit cmd_member_add(struct cli *cli, const struct args *args);
enum cli_exit cmd_member_list(struct cli *cli, const struct args *args);
enum cli_exit cmd_member_promote(struct cli *cli, const struct args *args);
enum cli_exit cmd_member_repair(struct cli *cli, const struct args *args);
enum cli_exit cmd_member_remove(struct cli *cli, const struct args *args);
enum cli_exit cmd_member_replace(struct cli *cli, const struct args *args);
enum cli_exit cmd_inspect(struct cli *cli, const struct args *args);
enum cli_exit cmd_recover(struct cli *cli, const struct args *args);
enum cli_exit cmd_session_destroy(struct cli *cli, const struct args *args);
enum cli_exit cmd_session_info(struct cli *cli, const struct args *args);
enum cli_exit cmd_session_list(struct cli *cli, const struct args *args);
enum cli_exit cmd_snapshot_inspect(struct cli *cli, const struct args *args);
enum cli_exit cmd_snapshot_restore(struct cli *cli, const struct args *args);
enum cli_exit cmd_snapshot_save(struct cli *cli, const struct args *args);
enum cli_exit cmd_snapshot_verify(struct cli *cli, const struct args *args);
enum cli_exit cmd_stages(struct cli *cli, const struct args *args);
enum cli_exit cmd_status(struct cli *cli, const struct args *args);
enum cli_exit cmd_txn(struct cli *cli, const struct args *args);

#endif
