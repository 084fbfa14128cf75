/* progress.h -- how far a long transfer has come, for somebody who looks at a terminal.
 *
 * Thread: the main one. On anything but a terminal nothing is written.
 */
#ifndef RK_CLI_PROGRESS_H
#define RK_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
    FILE *file;
    const char *what;
    uint64_t total; /* bytes; 0: not known */
    uint64_t shown_ms;
    bool is_shown;
};

void progress_begin(struct progress *progress, FILE *file, const char *what, uint64_t total);
void progress_show(struct progress *progress, uint64_t done);
/* The line is empty again. */
void progress_end(struct progress *progress);

#endif
