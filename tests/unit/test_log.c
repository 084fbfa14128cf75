#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "support/run.h"

enum { TIME_SIZE = 30, THREADS = 4, LINES = 200 };

/* Standard error is one end of a socket that keeps writes apart: one message, one write. */
static int ends[2];
static char line[8192];

static void setup(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    rk_log_setup(RK_LOG_DEBUG, RK_LOG_LOGFMT, NULL);
}

static void teardown(void)
{
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* Takes the next write into `line`; its size, 0 when there was none. */
static size_t take_line(int flags)
{
    const ssize_t size = recv(ends[0], line, sizeof(line) - 1, flags);
    line[size < 0 ? 0 : size] = '\0';
    return size < 0 ? 0 : (size_t)size;
}

static void assert_line(const char *expected)
{
    const char *const start = "time=";
    ck_assert_uint_gt(take_line(MSG_DONTWAIT), TIME_SIZE);
    ck_assert_mem_eq(line, start, strlen(start));
    ck_assert_str_eq(line + TIME_SIZE, expected);
}

START_TEST(line_has_time_level_subsystem_event_and_fields)
{
    rk_log(RK_LOG_INFO, "raft", "became_leader", RK_U64("term", UINT64_MAX),
           RK_I64("offset", INT64_MIN), RK_TEXT("leader", "n1"), RK_END);
    assert_line("level=info sub=raft event=became_leader term=18446744073709551615"
                " offset=-9223372036854775808 leader=n1\n");
    ck_assert_uint_eq(take_line(MSG_DONTWAIT), 0);
}
END_TEST

START_TEST(time_is_utc_with_milliseconds)
{
    rk_log(RK_LOG_ERROR, "s", "e", RK_END);
    ck_assert_uint_gt(take_line(MSG_DONTWAIT), TIME_SIZE);
    for (int i = 0; i < TIME_SIZE; i++) {
        const char shape = "time=0000-00-00T00:00:00.000Z "[i];
        ck_assert_msg(shape == '0' ? '0' <= line[i] && line[i] <= '9' : line[i] == shape,
                      "place %d of %s", i, line);
    }
}
END_TEST

START_TEST(lines_below_the_level_are_not_written)
{
    rk_log_set_level(RK_LOG_WARN);
    ck_assert(!rk_log_wants(RK_LOG_INFO));
    ck_assert(rk_log_wants(RK_LOG_WARN));
    rk_log(RK_LOG_INFO, "s", "e", RK_END);
    ck_assert_uint_eq(take_line(MSG_DONTWAIT), 0);
    rk_log(RK_LOG_ERROR, "s", "e", RK_END);
    assert_line("level=error sub=s event=e\n");
}
END_TEST

START_TEST(node_name_follows_the_level)
{
    rk_log_setup(RK_LOG_INFO, RK_LOG_LOGFMT, "n1");
    rk_log(RK_LOG_WARN, "s", "e", RK_END);
    assert_line("level=warn self=n1 sub=s event=e\n");
}
END_TEST

struct value_case {
    const char *value;
    const char *logfmt;
    const char *json;
};

/* A value can neither end the line, nor pass for another field, nor steer a terminal. */
static const struct value_case value_cases[] = {
    {"plain", "plain", "\"plain\""},
    {"", "\"\"", "\"\""},
    {NULL, "\"\"", "\"\""},
    {"two words", "\"two words\"", "\"two words\""},
    {"a=b", "\"a=b\"", "\"a=b\""},
    {"quote\"", "\"quote\\\"\"", "\"quote\\\"\""},
    {"back\\slash", "\"back\\\\slash\"", "\"back\\\\slash\""},
    {"x\nlevel=error", "\"x\\u000alevel=error\"", "\"x\\u000alevel=error\""},
    {"\x1b[2J", "\"\\u001b[2J\"", "\"\\u001b[2J\""},
    {"\x7f", "\"\\u007f\"", "\"\\u007f\""},
    {"\xc2\x9b", "\"\\u009b\"", "\"\\u009b\""},
    {"\xc3\xa9", "\"\xc3\xa9\"", "\"\xc3\xa9\""},
    {"\xff", "\"\xef\xbf\xbd\"", "\"\xef\xbf\xbd\""},
};

START_TEST(values_are_escaped)
{
    const struct value_case *c = &value_cases[_i];
    char expected[128];
    rk_log(RK_LOG_INFO, "s", "e", RK_TEXT("v", c->value), RK_END);
    (void)snprintf(expected, sizeof(expected), "level=info sub=s event=e v=%s\n", c->logfmt);
    assert_line(expected);
}
END_TEST

START_TEST(json_line_is_one_object)
{
    const struct value_case *c = &value_cases[_i];
    char expected[128];
    rk_log_setup(RK_LOG_INFO, RK_LOG_JSON, "n1");
    rk_log(RK_LOG_INFO, "s", "e", RK_TEXT("v", c->value), RK_U64("n", 7), RK_END);
    (void)snprintf(expected, sizeof(expected),
                   "\",\"level\":\"info\",\"self\":\"n1\",\"sub\":\"s\",\"event\":\"e\",\"v\":%s,"
                   "\"n\":7}\n",
                   c->json);
    ck_assert_uint_gt(take_line(MSG_DONTWAIT), 33);
    ck_assert_mem_eq(line, "{\"time\":\"", 9);
    ck_assert_str_eq(line + 33, expected);
}
END_TEST

/* Cut at 256 bytes, and never inside a character. */
START_TEST(long_value_is_cut)
{
    char value[400];
    memset(value, 'a', sizeof(value));
    memcpy(value + 255, "\xc3\xa9", 2);
    value[sizeof(value) - 1] = '\0';
    rk_log(RK_LOG_INFO, "s", "e", RK_TEXT("v", value), RK_U64("n", 7), RK_END);
    ck_assert_uint_gt(take_line(MSG_DONTWAIT), 0);
    const char *cut = strstr(line, "v=\"");
    ck_assert_ptr_nonnull(cut);
    ck_assert_uint_eq(strspn(cut + 3, "a"), 255);
    ck_assert_str_eq(cut + 3 + 255, "\" n=7\n");
}
END_TEST

/* What does not fit is left out whole, and the line still ends as a line. */
START_TEST(line_is_bounded)
{
    char value[257];
    struct rk_log_field fields[42];
    memset(value, 1, sizeof(value));
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < 40; i++) {
        fields[i] = RK_TEXT("v", value);
    }
    fields[40] = RK_U64("last", 1);
    fields[41] = RK_END;
    rk_log_setup(RK_LOG_INFO, _i == 0 ? RK_LOG_LOGFMT : RK_LOG_JSON, "n1");
    rk_log_write(RK_LOG_INFO, "s", "e", fields);
    const size_t size = take_line(MSG_DONTWAIT);
    ck_assert_uint_gt(size, 2000);
    ck_assert_uint_le(size, 4096);
    ck_assert_ptr_nonnull(strstr(line, _i == 0 ? "\" last=1\n" : "\",\"last\":1}\n"));
}
END_TEST

START_TEST(failed_write_changes_nothing_for_the_caller)
{
    ck_assert_int_eq(close(STDERR_FILENO), 0);
    errno = ENOENT;
    rk_log(RK_LOG_INFO, "s", "e", RK_END);
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

static void *write_lines(void *unused)
{
    for (unsigned i = 0; i < LINES; i++) {
        rk_log(RK_LOG_INFO, "thread", "line", RK_U64("i", i), RK_TEXT("end", "yes"), RK_END);
    }
    return unused;
}

START_TEST(lines_of_several_threads_stay_whole)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    }
    for (int i = 0; i < THREADS * LINES; i++) {
        const size_t size = take_line(0);
        ck_assert_uint_gt(size, TIME_SIZE);
        ck_assert_mem_eq(line, "time=", 5);
        ck_assert_str_eq(line + size - 9, " end=yes\n");
        ck_assert_ptr_eq(strchr(line, '\n'), line + size - 1);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("log");
    const int cases_count = (int)(sizeof(value_cases) / sizeof(value_cases[0]));
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, line_has_time_level_subsystem_event_and_fields);
    tcase_add_test(tcase, time_is_utc_with_milliseconds);
    tcase_add_test(tcase, lines_below_the_level_are_not_written);
    tcase_add_test(tcase, node_name_follows_the_level);
    tcase_add_loop_test(tcase, values_are_escaped, 0, cases_count);
    tcase_add_loop_test(tcase, json_line_is_one_object, 0, cases_count);
    tcase_add_test(tcase, long_value_is_cut);
    tcase_add_loop_test(tcase, line_is_bounded, 0, 2);
    tcase_add_test(tcase, failed_write_changes_nothing_for_the_caller);
    tcase_add_test(tcase, lines_of_several_threads_stay_whole);
    return run_suite("log", tcase);
}
