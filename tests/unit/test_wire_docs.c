/* The examples of docs/wire-format.md are messages: every line that looks like one is decoded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/wire.h"
#include "support/run.h"

enum { EXAMPLE_SIZE_MAX = 1024, EXAMPLES_COUNT = 20 };

static bool is_of(const char *example, const char *type)
{
    char start[64];

    (void)snprintf(start, sizeof(start), "{\"type\":\"%s\"", type);
    return strncmp(example, start, strlen(start)) == 0;
}

/* Why the example is refused; NULL when it is good. */
static const char *refusal(const char *example)
{
    static struct wire_message message;
    static struct wire_forward forward;
    static struct wire_forward_answer answer;
    struct wire_identity identity;
    struct wire_read_index read_index;
    struct wire_admin admin;
    struct wire_admin_answer admin_answer;
    struct wire_snapshot snapshot;
    struct wire_snapshot_answer snapshot_answer;
    const struct rk_bytes body = {(const uint8_t *)example, (uint32_t)strlen(example)};
    const char *reason = NULL;
    enum rk_status status;

    if (is_of(example, "identity")) {
        status = wire_decode_identity(body, &identity, &reason);
    } else if (is_of(example, "read_index")) {
        status = wire_decode_read_index(body, &read_index, &reason);
    } else if (is_of(example, "admin")) {
        status = wire_decode_admin(body, &admin, &reason);
    } else if (is_of(example, "admin_answer")) {
        status = wire_decode_admin_answer(body, &admin_answer, &reason);
    } else if (is_of(example, "snapshot")) {
        status = wire_decode_snapshot(body, &snapshot, &reason);
    } else if (is_of(example, "snapshot_answer")) {
        status = wire_decode_snapshot_answer(body, &snapshot_answer, &reason);
    } else if (is_of(example, "forward")) {
        status = wire_decode_forward(body, &forward, &reason);
    } else if (is_of(example, "forward_answer")) {
        status = wire_decode_forward_answer(body, &answer, &reason);
    } else {
        const bool is_answer = strstr(example, "_response\"") != NULL;
        status = wire_decode_message(body, NULL, !is_answer, &message, &reason);
    }
    ck_assert_int_eq(status == RK_OK, reason == NULL);
    return reason;
}

/* What follows these lines on the wire, the page shows in hexadecimal digits. */
static const char *expected(const char *example)
{
    if (is_of(example, "forward")) {
        return "a payload is cut short";
    }
    if (is_of(example, "admin")) {
        return "the target is cut short";
    }
    if (is_of(example, "snapshot")) {
        return "the configuration is cut short";
    }
    if (is_of(example, "forward_answer")) {
        return "a result is cut short";
    }
    return is_of(example, "append_request") ? "a frame is cut short or fails its check" : NULL;
}

START_TEST(every_example_is_a_message)
{
    const char *srcdir = getenv("srcdir");
    char line[EXAMPLE_SIZE_MAX];
    int count = 0;

    (void)snprintf(line, sizeof(line), "%s/docs/wire-format.md", srcdir == NULL ? "." : srcdir);
    FILE *page = fopen(line, "r");
    ck_assert_msg(page != NULL, "%s", line);
    while (fgets(line, sizeof(line), page) != NULL) {
        const char *example = line + strspn(line, " ");
        if (strncmp(example, "{\"type\":", 8) == 0) {
            const char *reason = refusal(example);
            const char *wanted = expected(example);
            ck_assert_pstr_eq(reason, wanted);
            count++;
        }
    }
    (void)fclose(page);
    ck_assert_int_eq(count, EXAMPLES_COUNT);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("wire_docs");

    tcase_add_test(tcase, every_example_is_a_message);
    return run_suite("wire_docs", tcase);
}
