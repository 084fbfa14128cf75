/* change.h -- requests that change the cluster itself: its members, its leader.
 *
 * Thread: the main one.
 */
#ifndef RK_CLI_CHANGE_H
#define RK_CLI_CHANGE_H

#include "cli/cli.h"

struct change {
    const char *what;     /* the command, for people */
    const char *method;   /* POST, PATCH, DELETE */
    const char *path;     /* and query, in front of `member` */
    const char *member;   /* name or id, appended escaped; NULL: none */
    struct rk_bytes body; /* JSON, or nothing */
    uint32_t timeout_ms;
};

/* Asks for it and waits for the answer, which `response` then has, also when it is no. Returns
 * CLI_DONE, CLI_REFUSED or CLI_USAGE (the member's name is too long), with the reason on cli->err. */
enum cli_exit change_ask(const struct cli *cli, const struct change *change,
                         struct client_response *response);

/* change_ask(), and with --json the answer on cli->out. */
enum cli_exit change_run(const struct cli *cli, const struct args *args,
                         const struct change *change);

/* The answer and a newline, on cli->out. */
void change_print(const struct cli *cli, const struct client_response *response);

#endif
