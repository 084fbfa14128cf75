/* lifecycle.h -- the parts of a node in the order they start, and the exact reverse.
 *
 * Thread: the main thread.
 */
#ifndef RK_SERVER_LIFECYCLE_H
#define RK_SERVER_LIFECYCLE_H

#include "server/options.h"

/* Runs a node until SIGTERM or SIGINT. Returns the process's exit status: 0 after an orderly stop,
 * 1 when it could not start (one line on stderr says why, nothing on disk was changed). */
int lifecycle_run(const struct options *options);

#endif
