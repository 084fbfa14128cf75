/* main.c -- raftkvd: arguments, then the node's life. */
#include <stdio.h>
#include <stdlib.h>

#include "server/lifecycle.h"
#include "server/options.h"

int main(int argc, char **argv)
{
    static struct options options; /* large, and lent to every thread */
    static char message[OPTIONS_MESSAGE_SIZE];

    if (options_load(argc, argv, &options, message, sizeof(message)) != RK_OK) {
        (void)fprintf(stderr, "raftkvd: %s\n", message);
        return EXIT_FAILURE;
    }
    if (options.want_help) {
        options_help(stdout);
        return EXIT_SUCCESS;
    }
    if (options.want_version) {
        (void)printf("raftkvd %s\n", PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    const int result = lifecycle_run(&options);
    options_dev_remove(&options);
    return result;
}
