/* cli_run.h -- runs raftkv inside the test against a stub of a node, and keeps what it printed. */
#ifndef RK_TESTS_CLI_RUN_H
#define RK_TESTS_CLI_RUN_H

#include <check.h>
#include <stddef.h>

#include "cli/cli.h"
#include "support/http_stub.h"

enum { ADDR_SIZE = 64 };

/* Of the last run. */
extern char *out_text;
extern char *err_text;
extern size_t out_size;

extern char addr[ADDR_SIZE]; /* what the next run is told as RAFTKV_ADDR */

/* `words` ends with NULL; `input` is standard input. */
enum cli_exit run_words(const char *input, const char *const *words);

#define RUN(...) run_words("", (const char *const[]){"raftkv", __VA_ARGS__, NULL})

/* Starts a node that gives `answer` to everything; RUN() asks it. */
struct http_stub *node_start(const char *answer);

#define OK_TRUE "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"

/* Adds the tests of test_cli_kv.c. */
void kv_file_tests_add(TCase *tcase);
/* Adds the tests of test_cli_member.c. */
void member_tests_add(TCase *tcase);
/* Adds the tests of test_cli_lock.c. */
void lock_tests_add(TCase *tcase);
/* Adds the tests of test_cli_watch.c. */
void watch_tests_add(TCase *tcase);

void ck_assert_begins(const char *text, const char *start);
void ck_assert_contains(const char *text, const char *part);

#endif
