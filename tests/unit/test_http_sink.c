/* A body that goes into a sink: all of it, in pieces, or a refusal in the middle; and the sink is closed
 * once whatever comes. */
#include <string.h>

#include "support/run.h"
#include "unit/http_session.h"

struct counting_sink {
    struct http_sink sink; /* first */
    uint64_t received;
    uint64_t refuses_from;
    uint32_t closes_count;
};

static struct counting_sink counting;

static bool count_write(struct http_sink *sink, const uint8_t *data, size_t size)
{
    struct counting_sink *of = (struct counting_sink *)(void *)sink;

    ck_assert(data[0] == 's');
    of->received += size;
    if (of->received <= of->refuses_from) {
        return true;
    }
    sink->fault_status = 500;
    sink->fault_text = "there is no room";
    return false;
}

static void count_close(struct http_sink *sink)
{
    ((struct counting_sink *)(void *)sink)->closes_count++;
}

static struct http_sink *on_head(void *context, const struct http_request *request)
{
    (void)context;
    return strcmp(request->target, "/sink") == 0 ? &counting.sink : NULL;
}

static void setup(void)
{
    session_init();
    counting = (struct counting_sink){
        .sink = {.size_max = 300000, .write = count_write, .close = count_close},
        .refuses_from = UINT64_MAX};
    fixture.options.on_head = on_head;
    open_all();
}

static bool is_closed_once(struct fixture *of)
{
    (void)of;
    return counting.closes_count == 1;
}

START_TEST(body_past_all_that_is_gathered_goes_into_the_sink)
{
    raw_text(client, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n");
    send_repeated("s", 300000);
    await_text(&fixture, client, "PUT /sink 0");
    ck_assert_uint_eq(counting.received, 300000);
    await_true(&fixture, is_closed_once);
    raw_text(client, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /next 0");
    ck_assert_uint_eq(counting.closes_count, 1);
}
END_TEST

START_TEST(length_above_the_sinks_limit_is_refused_unread)
{
    raw_text(client, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 300001\r\n\r\n");
    await_text(&fixture, client, "HTTP/1.1 413 ");
    await_closed(&fixture, client);
    ck_assert_uint_eq(counting.received, 0);
    ck_assert_uint_eq(counting.closes_count, 1);
    ck_assert_uint_eq(fixture.requests_count, 0);
}
END_TEST

START_TEST(sink_that_wants_no_more_says_why_and_ends_the_connection)
{
    counting.refuses_from = 1000;
    raw_text(client, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
    send_repeated("s", 2000);
    await_text(&fixture, client, "there is no room");
    ck_assert(raw_has(client, "HTTP/1.1 500 "));
    await_closed(&fixture, client);
    ck_assert_uint_eq(counting.closes_count, 1);
    ck_assert_uint_eq(fixture.requests_count, 0);
}
END_TEST

START_TEST(client_that_goes_in_the_middle_closes_the_sink)
{
    raw_text(client, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
    send_repeated("s", 2000);
    await_true(&fixture, has_a_connection);
    hang_up();
    await_true(&fixture, has_no_connection);
    ck_assert_uint_eq(counting.closes_count, 1);
    ck_assert_uint_eq(fixture.requests_count, 0);
}
END_TEST

START_TEST(other_bodies_are_gathered_as_ever)
{
    send_put_of(1000);
    send_repeated("b", 1000);
    await_text(&fixture, client, "PUT /big 1000 bbb");
    ck_assert_uint_eq(counting.closes_count, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_sink");

    tcase_add_checked_fixture(tcase, setup, session_end);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, body_past_all_that_is_gathered_goes_into_the_sink);
    tcase_add_test(tcase, length_above_the_sinks_limit_is_refused_unread);
    tcase_add_test(tcase, sink_that_wants_no_more_says_why_and_ends_the_connection);
    tcase_add_test(tcase, client_that_goes_in_the_middle_closes_the_sink);
    tcase_add_test(tcase, other_bodies_are_gathered_as_ever);
    return run_suite("http_sink", tcase);
}
