#include <string.h>

#include "support/run.h"
#include "unit/http_fixture.h"

static struct fixture fixture;
static struct raw_client *client;

static void open_all(void)
{
    fixture_open(&fixture);
    client = raw_open(&fixture);
}

static void setup(void)
{
    fixture_init(&fixture);
}

static void teardown(void)
{
    if (client != NULL) {
        raw_close(client);
        client = NULL;
    }
    fixture_close(&fixture);
}

/* A head that the seam refuses: it says `status`, closes, and no handler hears of it. */
static void assert_refused(const char *request, size_t size, const char *status)
{
    open_all();
    raw_send(client, request, size);
    await_text(&fixture, client, status);
    ck_assert(raw_has(client, "Connection: close\r\n"));
    await_closed(&fixture, client);
    ck_assert_uint_eq(raw_count(client, "HTTP/1.1 "), 1);
    ck_assert_uint_eq(fixture.requests_count, 0);
    ck_assert_uint_eq(http_server_counts(fixture.server).refused, 1);
}

#define REFUSED(request, status) assert_refused((request), sizeof(request) - 1, (status))

/* ---- what is served ---- */

START_TEST(get_is_answered_and_the_connection_kept)
{
    open_all();
    raw_text(client, "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /a?b 0 .\n");
    ck_assert(raw_has(client, "HTTP/1.1 200 OK\r\n"));
    ck_assert(raw_has(client, "X-Test: yes\r\n"));
    ck_assert(!raw_has(client, "Connection: close"));

    raw_text(client, "PUT /second HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    await_text(&fixture, client, "PUT /second 5 hello.\n");
    ck_assert_uint_eq(fixture.requests_count, 2);
    ck_assert_uint_eq(http_server_counts(fixture.server).connections, 1);
}
END_TEST

/* Contract 1.11: what `+`, an escape or a dot segment means is decided by who knows the target. */
START_TEST(target_reaches_the_handler_as_it_came)
{
    open_all();
    raw_text(client, "GET /v1/kv//../%2e%2E%2fa+b?x=+%2B+y HTTP/1.1\r\nHost: x\r\n\r\n");
    await_text(&fixture, client, "GET /v1/kv//../%2e%2E%2fa+b?x=+%2B+y 0 .\n");
}
END_TEST

START_TEST(two_lengths_are_refused)
{
    REFUSED("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 400 ");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_server");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, get_is_answered_and_the_connection_kept);
    tcase_add_test(tcase, target_reaches_the_handler_as_it_came);
    tcase_add_test(tcase, two_lengths_are_refused);
    return run_suite("http_server", tcase);
}
