/* raftkv kv watch: what is printed of a stream, and how it comes back. */
#include <stdlib.h>
#include <string.h>

#include "cli/events.h"
#include "support/http_stub.h"
#include "unit/cli_run.h"

#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define EVENTS                                                                                     \
    "id: 4\nevent: start\ndata: {\"Index\":4}\n\n"                                                 \
    ": keep-alive\nid: 5\n\n"                                                                      \
    "id: 6\nevent: put\ndata: {\"Key\":\"a b\",\"Value\":\"eAp5\",\"Flags\":18446744073709551615," \
    "\"CreateIndex\":6,\"ModifyIndex\":6,\"LockIndex\":0,\"Cause\":\"put\"}\n\n"                   \
    "id: 7.1\nevent: delete\ndata: {\"Key\":\"a b\",\"Index\":7,\"Cause\":\"delete\"}\n\n"

static const struct http_stub_answer then_gone[] = {
    {NULL, STREAM_HEAD EVENTS "id: 8\nevent: put\ndata: {\"Key\":"},
    {NULL, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"},
};

static struct http_stub *stub_start(void)
{
    struct http_stub *stub = http_stub_start_sequence(then_gone, 2);

    (void)snprintf(addr, sizeof(addr), "127.0.0.1:%u", (unsigned)http_stub_port(stub));
    return stub;
}

START_TEST(watch_prints_a_line_for_each_event)
{
    struct http_stub *node = stub_start();

    ck_assert_int_eq(RUN("kv", "watch", "a "), CLI_REFUSED);
    ck_assert_str_eq(out_text, "4\tstart\n6\tput\ta b\tx?y\n7.1\tdelete\ta b\n");
    ck_assert_contains(err_text, "no");
    http_stub_stop(node);
}
END_TEST

START_TEST(watch_as_json_prints_what_the_node_said)
{
    struct http_stub *node = stub_start();

    ck_assert_int_eq(RUN("kv", "watch", "--json"), CLI_REFUSED);
    ck_assert_begins(out_text, "{\"Event\":\"start\",\"Id\":\"4\",\"Index\":4}\n"
                               "{\"Event\":\"put\",\"Id\":\"6\",\"Key\":\"a b\",\"Value\":\"eAp5\","
                               "\"Flags\":18446744073709551615,");
    http_stub_stop(node);
}
END_TEST

/* What broke off in the middle of an event has not been: its id is not taken. */
START_TEST(watch_comes_back_with_the_last_whole_id)
{
    struct http_stub *node = stub_start();

    (void)RUN("kv", "watch", "p/");
    ck_assert_begins(http_stub_request(node), "GET /v1/watch/p/ HTTP/1.1\r\n");
    ck_assert_contains(http_stub_request(node), "Last-Event-ID: 7.1\r\n");
    http_stub_stop(node);
}
END_TEST

START_TEST(watch_of_nobody_fails_at_once)
{
    (void)snprintf(addr, sizeof(addr), "127.0.0.1:%u", (unsigned)http_stub_port_unused());
    ck_assert_int_eq(RUN("kv", "watch", "p/"), CLI_REFUSED);
    ck_assert_contains(err_text, "kv watch");
}
END_TEST

static char seen[256];

static void note_event(void *context, const char *name, struct rk_bytes data)
{
    const struct events *events = context;

    (void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s|%s|%.*s;", events->last_id,
                   name, (int)data.size, (const char *)data.data);
}

START_TEST(events_are_whole_however_the_bytes_are_cut)
{
    static const char text[] = "id: 1\nevent: a\ndata: x\n\n: c\n\nevent: b\ndata: y\n\n";
    struct events events;

    events_init(&events);
    events.on_event = note_event;
    events.context = &events;
    seen[0] = '\0';
    for (size_t at = 0; at < sizeof(text) - 1; at += (size_t)_i) {
        const size_t left = sizeof(text) - 1 - at;
        const struct rk_bytes part = {.data = (const uint8_t *)text + at,
                                      .size = (uint32_t)(left < (size_t)_i ? left : (size_t)_i)};
        ck_assert_int_eq(events_take(&events, part), RK_OK);
    }
    ck_assert_str_eq(seen, "1|a|x;1|b|y;");
    events_done(&events);
}
END_TEST

START_TEST(line_without_an_end_is_refused)
{
    static uint8_t part[1 << 20];
    enum rk_status status = RK_OK;
    struct events events;

    events_init(&events);
    memset(part, 'x', sizeof(part));
    for (int i = 0; i < 3 && status == RK_OK; i++) {
        status = events_take(&events, (struct rk_bytes){.data = part, .size = sizeof(part)});
    }
    ck_assert_int_eq(status, RK_TOO_LARGE);
    events_done(&events);
}
END_TEST

void watch_tests_add(TCase *tcase)
{
    tcase_add_test(tcase, watch_prints_a_line_for_each_event);
    tcase_add_test(tcase, watch_as_json_prints_what_the_node_said);
    tcase_add_test(tcase, watch_comes_back_with_the_last_whole_id);
    tcase_add_test(tcase, watch_of_nobody_fails_at_once);
    tcase_add_loop_test(tcase, events_are_whole_however_the_bytes_are_cut, 1, 8);
    tcase_add_test(tcase, line_without_an_end_is_refused);
}
