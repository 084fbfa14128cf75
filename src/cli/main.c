#include <curl/curl.h>
#include <stdlib.h>

#include "cli/cli.h"

int main(int argc, char **argv)
{
    struct cli cli = {.in = stdin, .out = stdout, .err = stderr};

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fputs("raftkv: libcurl does not start\n", stderr);
        return CLI_REFUSED;
    }
    const enum cli_exit result = cli_run(&cli, getenv("RAFTKV_ADDR"), argc, argv);
    curl_global_cleanup();
    return (int)result;
}
