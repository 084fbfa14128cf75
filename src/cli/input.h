/* input.h -- what a command is given to send: a file, or standard input.
 *
 * Thread: the main one.
 */
#ifndef RK_CLI_INPUT_H
#define RK_CLI_INPUT_H

#include "cli/cli.h"

enum { INPUT_SIZE_MAX = 8 << 20 };

/* Appends all of the file, or of standard input for "-". Errors: RK_IO, RK_TOO_LARGE (buf's ceiling);
 * cli->err then says so, for the command `what`. */
RK_MUST_USE enum rk_status input_read(const struct cli *cli, const char *what, const char *path,
                                      struct rk_buf *buf);

#endif
