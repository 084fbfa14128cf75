/* The example of docs/on-disk-format.md is a row of the log: its bytes are read as the page says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/frame.h"
#include "statemachine/command.h"
#include "support/run.h"

enum { LINE_SIZE_MAX = 512, ROW_SIZE_MAX = 256, LINE_BYTES = 16 };

/* Of entry 1, as the page says. */
static const uint64_t chain_before = 0x2e45ccae67c5edf1;

/* Appends the bytes of "00000010: 0a 0b ...  text"; other lines have none. */
static void take_line(struct rk_buf *row, const char *line)
{
    unsigned offset = 0;
    int at = 0;

    if (strspn(line, "0123456789abcdef") != 8 || sscanf(line, "%8x:%n", &offset, &at) != 1 ||
        at == 0) {
        return;
    }
    ck_assert_uint_eq(offset, row->size);
    for (int i = 0; i < LINE_BYTES && strncmp(line + at, "  ", 2) != 0; i++) {
        unsigned byte = 0;
        ck_assert_int_eq(sscanf(line + at, " %2x", &byte), 1);
        rk_buf_append_byte(row, (uint8_t)byte);
        at += 3;
    }
}

static void read_page(struct rk_buf *row)
{
    const char *srcdir = getenv("srcdir");
    char line[LINE_SIZE_MAX];

    (void)snprintf(line, sizeof(line), "%s/docs/on-disk-format.md", srcdir == NULL ? "." : srcdir);
    FILE *page = fopen(line, "r");
    ck_assert_msg(page != NULL, "%s", line);
    while (fgets(line, sizeof(line), page) != NULL) {
        take_line(row, line);
    }
    (void)fclose(page);
}

START_TEST(the_example_is_a_put_of_a)
{
    struct rk_buf row;
    struct rk_frame frame;
    struct sm_command command;
    uint32_t size = 0;

    rk_buf_init(&row, ROW_SIZE_MAX);
    read_page(&row);
    ck_assert_int_eq(rk_frame_read(rk_buf_bytes(&row), &frame, &size), RK_OK);
    ck_assert_uint_eq(size, row.size);
    ck_assert_uint_eq(frame.term, 1);
    ck_assert_uint_eq(frame.index, 2);
    ck_assert_uint_eq(frame.chain, rk_frame_chain(chain_before, &frame));
    ck_assert_int_eq(sm_command_decode(frame.body, &command), RK_OK);
    ck_assert_int_eq(command.type, SM_COMMAND_KV_PUT);
    ck_assert_mem_eq(command.put.key.data, "a", 1);
    ck_assert_mem_eq(command.put.value.data, "b", 1);
    ck_assert(!command.put.has_cas);
    rk_buf_done(&row);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("disk_docs");

    tcase_add_test(tcase, the_example_is_a_put_of_a);
    return run_suite("disk_docs", tcase);
}
