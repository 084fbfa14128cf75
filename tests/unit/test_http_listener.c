#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http_listener.h"
#include "support/run.h"

static struct http_listener *listener;
static char error[HTTP_LISTENER_ERROR_SIZE];

static void setup(void)
{
    const enum rk_status status = http_listener_open("127.0.0.1:0", &listener, error);

    ck_assert_msg(status == RK_OK, "%s", error);
}

static void teardown(void)
{
    http_listener_close(listener);
    listener = NULL;
}

/* A client that is connected to `listener`. */
static int connected(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(http_listener_port(listener)),
                                        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void assert_refused(const char *address, enum rk_status expected, const char *text)
{
    struct http_listener *other = NULL;

    const enum rk_status status = http_listener_open(address, &other, error);
    ck_assert_int_eq(status, expected);
    ck_assert_ptr_null(other);
    ck_assert_str_eq(error, text);
}

START_TEST(port_0_is_replaced_by_the_bound_one)
{
    ck_assert_uint_ne(http_listener_port(listener), 0);
    const int client = connected();
    ck_assert_int_eq(close(client), 0);
}
END_TEST

/* Design 1: a port in use is one clear line; two processes never share one. */
START_TEST(second_listener_on_a_port_is_refused)
{
    char address[32];
    char text[96];

    (void)snprintf(address, sizeof address, "127.0.0.1:%u", http_listener_port(listener));
    (void)snprintf(text, sizeof text, "cannot listen on %s: Address already in use", address);
    assert_refused(address, RK_IO, text);
}
END_TEST

/* Not even when the second one is willing to share. */
START_TEST(port_cannot_be_shared_by_reuseport)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(http_listener_port(listener)),
                                        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int yes = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes), 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), -1);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* A restart must not wait for the connections of the last run to leave TIME_WAIT. */
START_TEST(port_can_be_opened_again_at_once)
{
    char address[32];
    int accepted = -1;
    const int client = connected();

    (void)snprintf(address, sizeof address, "127.0.0.1:%u", http_listener_port(listener));
    ck_assert_int_eq(http_listener_accept(listener, &accepted), RK_OK);
    ck_assert_int_eq(close(accepted), 0); /* first, so that TIME_WAIT is on the server's side */
    ck_assert_int_eq(close(client), 0);
    http_listener_close(listener);
    listener = NULL;
    ck_assert_msg(http_listener_open(address, &listener, error) == RK_OK, "%s", error);
}
END_TEST

static const char *const odd_addresses[] = {
    "",         "8500",          "127.0.0.1",    "127.0.0.1:",      "127.0.0.1:65536",
    "::1:8500", "127.0.0.1:85x", "[::1]",        "[::1]8500",       "[::1:8500",
    "host:-1",  "127.0.0.1: 85", "127.0.0.1:+5", "127.0.0.1:000001"};

START_TEST(address_that_is_not_host_and_port_is_refused)
{
    char text[128];

    (void)snprintf(text, sizeof text,
                   "cannot listen on %s: not of the form host:port ([host]:port for IPv6)",
                   odd_addresses[_i]);
    assert_refused(odd_addresses[_i], RK_INVALID, text);
}
END_TEST

START_TEST(address_that_is_too_long_is_refused)
{
    struct http_listener *other = NULL;
    char address[400];

    memset(address, 'a', sizeof address);
    memcpy(address + sizeof address - 4, ":85", 4);
    ck_assert_int_eq(http_listener_open(address, &other, error), RK_INVALID);
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(address_of_another_machine_is_refused)
{
    assert_refused("192.0.2.1:8500", RK_IO,
                   "cannot listen on 192.0.2.1:8500: Cannot assign requested address");
}
END_TEST

START_TEST(ipv6_address_stands_in_brackets)
{
    struct http_listener *other = NULL;
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const bool has_ipv6 =
        fd >= 0 && bind(fd, (const struct sockaddr *)&loopback, sizeof loopback) == 0;

    if (has_ipv6) {
        ck_assert_msg(http_listener_open("[::1]:0", &other, error) == RK_OK, "%s", error);
        ck_assert_uint_ne(http_listener_port(other), 0);
        http_listener_close(other);
    }
    ck_assert(fd < 0 || close(fd) == 0);
}
END_TEST

START_TEST(empty_host_stands_for_all_addresses)
{
    struct http_listener *other = NULL;

    ck_assert_msg(http_listener_open(":0", &other, error) == RK_OK, "%s", error);
    ck_assert_uint_ne(http_listener_port(other), 0);
    http_listener_close(other);
}
END_TEST

START_TEST(accept_does_not_wait)
{
    int accepted = -1;

    ck_assert_int_eq(http_listener_accept(listener, &accepted), RK_NOT_FOUND);
    ck_assert_int_eq(accepted, -1);
}
END_TEST

START_TEST(accepted_socket_is_ready_for_a_loop)
{
    int accepted = -1;
    int nodelay = 0;
    socklen_t size = sizeof nodelay;
    const int client = connected();

    ck_assert_int_eq(http_listener_accept(listener, &accepted), RK_OK);
    ck_assert_int_ne(fcntl(accepted, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_ne(fcntl(accepted, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_eq(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size), 0);
    ck_assert_int_ne(nodelay, 0);
    ck_assert_int_eq(close(accepted), 0);
    ck_assert_int_eq(close(client), 0);
}
END_TEST

/* Without a descriptor to spare a level-triggered loop would spin on the one that waits. */
START_TEST(one_is_turned_away_when_descriptors_run_out)
{
    struct rlimit limit;
    struct pollfd wait = {.fd = http_listener_fd(listener), .events = POLLIN};
    int accepted = -1;
    const int client = connected();
    const int highest = dup(client);

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)highest; /* every number below is taken */
    ck_assert_int_eq(close(highest), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);

    ck_assert_int_eq(http_listener_accept(listener, &accepted), RK_BUSY);
    ck_assert_int_eq(accepted, -1);
    ck_assert_int_eq(poll(&wait, 1, 0), 0);
    ck_assert_int_eq(close(client), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_listener");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, port_0_is_replaced_by_the_bound_one);
    tcase_add_test(tcase, second_listener_on_a_port_is_refused);
    tcase_add_test(tcase, port_cannot_be_shared_by_reuseport);
    tcase_add_test(tcase, port_can_be_opened_again_at_once);
    tcase_add_loop_test(tcase, address_that_is_not_host_and_port_is_refused, 0,
                        (int)(sizeof odd_addresses / sizeof odd_addresses[0]));
    tcase_add_test(tcase, address_that_is_too_long_is_refused);
    tcase_add_test(tcase, address_of_another_machine_is_refused);
    tcase_add_test(tcase, ipv6_address_stands_in_brackets);
    tcase_add_test(tcase, empty_host_stands_for_all_addresses);
    tcase_add_test(tcase, accept_does_not_wait);
    tcase_add_test(tcase, accepted_socket_is_ready_for_a_loop);
    tcase_add_test(tcase, one_is_turned_away_when_descriptors_run_out);
    return run_suite("http_listener", tcase);
}
