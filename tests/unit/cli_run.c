#include "unit/cli_run.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 12 };

char *out_text;
char *err_text;
size_t out_size;
char addr[ADDR_SIZE];

enum cli_exit run_words(const char *input, const char *const *words)
{
    static char copies[ARGUMENTS_MAX][32 * 1024];
    char *argv[ARGUMENTS_MAX + 1] = {NULL};
    size_t err_size = 0;
    int argc = 0;

    for (; words[argc] != NULL; argc++) {
        ck_assert_int_lt(argc, ARGUMENTS_MAX);
        snprintf(copies[argc], sizeof(copies[argc]), "%s", words[argc]);
        argv[argc] = copies[argc];
    }
    free(out_text);
    free(err_text);
    struct cli cli = {.in = fmemopen(copies[ARGUMENTS_MAX - 1], sizeof(copies[0]), "w+"),
                      .out = open_memstream(&out_text, &out_size),
                      .err = open_memstream(&err_text, &err_size)};
    fputs(input, cli.in);
    rewind(cli.in);
    const enum cli_exit result = cli_run(&cli, addr, argc, argv);
    fclose(cli.in);
    fclose(cli.out);
    fclose(cli.err);
    return result;
}

/* Starts a node that gives `answer` to everything; RUN() asks it. */
struct http_stub *node_start(const char *answer)
{
    static struct http_stub_answer answers[1];

    answers[0] = (struct http_stub_answer){.target = NULL, .answer = answer};
    struct http_stub *stub = http_stub_start(answers, 1);
    snprintf(addr, sizeof(addr), "http://127.0.0.1:%u", http_stub_port(stub));
    return stub;
}

void ck_assert_begins(const char *text, const char *start)
{
    ck_assert_msg(strncmp(text, start, strlen(start)) == 0, "no \"%s\" at the start of: %s", start,
                  text);
}

void ck_assert_contains(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text);
}
