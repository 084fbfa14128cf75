#include "base/heap.h"
#include "server/http_reaper.h"
#include "support/run.h"

static const struct http_reaper_timeouts timeouts = {
    .header_ms = 5000, .body_ms = 30000, .idle_ms = 60000, .write_ms = 30000};
static struct http_reaper reaper;
static struct http_watch watch;

static void setup(void)
{
    http_reaper_init(&reaper, &timeouts);
    http_watch_init(&watch, -1);
}

START_TEST(nothing_watched_has_no_deadline)
{
    ck_assert_uint_eq(http_reaper_deadline_ms(&reaper), UINT64_MAX);
    ck_assert_ptr_null(http_reaper_expired(&reaper, UINT64_MAX - 1));
}
END_TEST

START_TEST(headers_expire_at_their_deadline_and_not_before)
{
    http_reaper_enter(&reaper, &watch, HTTP_PHASE_HEADERS, 1000);
    ck_assert_uint_eq(http_reaper_deadline_ms(&reaper), 6000);
    ck_assert_ptr_null(http_reaper_expired(&reaper, 5999));
    ck_assert_ptr_eq(http_reaper_expired(&reaper, 6000), &watch);
    ck_assert_int_eq(watch.phase, HTTP_PHASE_NONE);
    ck_assert_ptr_null(http_reaper_expired(&reaper, 6000));
}
END_TEST

START_TEST(idle_has_a_minute)
{
    http_reaper_enter(&reaper, &watch, HTTP_PHASE_IDLE, 1000);
    ck_assert_ptr_null(http_reaper_expired(&reaper, 60999));
    ck_assert_ptr_eq(http_reaper_expired(&reaper, 61000), &watch);
}
END_TEST

/* 4.1: suspended long polls never time out here. */
START_TEST(suspended_is_listed_and_never_expires)
{
    http_reaper_enter(&reaper, &watch, HTTP_PHASE_SUSPENDED, 1000);
    ck_assert_ptr_eq(http_reaper_first(&reaper, HTTP_PHASE_SUSPENDED), &watch);
    ck_assert_uint_eq(http_reaper_deadline_ms(&reaper), UINT64_MAX);
    ck_assert_ptr_null(http_reaper_expired(&reaper, UINT64_MAX - 1));
}
END_TEST

/* Turns every 100 ms while `bytes_per_second` arrive; returns when the body expired, or 0. */
static uint64_t body_expires_at(uint64_t bytes_per_second)
{
    http_reaper_enter(&reaper, &watch, HTTP_PHASE_BODY, 0);
    for (uint64_t now_ms = 0; now_ms <= 40000; now_ms += 100) {
        watch.progress = bytes_per_second * now_ms / 1000;
        if (http_reaper_expired(&reaper, now_ms) != NULL) {
            return now_ms;
        }
    }
    return 0;
}

/* 4.1: a body comes with 1 KiB/s at least, and within 30 s. */
START_TEST(body_that_is_too_slow_expires_after_the_first_seconds)
{
    const uint64_t expired_ms = body_expires_at(1000);

    ck_assert_uint_ge(expired_ms, 5000);
    ck_assert_uint_le(expired_ms, 6200);
}
END_TEST

START_TEST(body_that_keeps_the_rate_has_its_whole_time)
{
    const uint64_t expired_ms = body_expires_at(1100);

    ck_assert_uint_ge(expired_ms, 30000);
    ck_assert_uint_le(expired_ms, 31200);
}
END_TEST

START_TEST(entering_again_starts_anew)
{
    http_reaper_enter(&reaper, &watch, HTTP_PHASE_HEADERS, 0);
    http_reaper_enter(&reaper, &watch, HTTP_PHASE_HEADERS, 3000);
    ck_assert_ptr_null(http_reaper_expired(&reaper, 7999));
    ck_assert_ptr_eq(http_reaper_expired(&reaper, 8000), &watch);
}
END_TEST

START_TEST(the_first_deadline_of_all_phases_counts)
{
    struct http_watch other;

    http_watch_init(&other, -1);
    http_reaper_enter(&reaper, &other, HTTP_PHASE_IDLE, 0);
    http_reaper_enter(&reaper, &watch, HTTP_PHASE_HEADERS, 2000);
    ck_assert_uint_eq(http_reaper_deadline_ms(&reaper), 7000);
    http_reaper_enter(&reaper, &watch, HTTP_PHASE_NONE, 3000);
    ck_assert_uint_eq(http_reaper_deadline_ms(&reaper), 60000);
}
END_TEST

enum { IDLE_COUNT = 10000 };

/* Those that expire come out in order; a turn before that looks at nobody else. */
START_TEST(ten_thousand_idle_ones_expire_in_order)
{
    struct http_watch *watches = rk_heap_zalloc(IDLE_COUNT, sizeof *watches);

    for (uint32_t i = 0; i < IDLE_COUNT; i++) {
        http_watch_init(&watches[i], -1);
        http_reaper_enter(&reaper, &watches[i], HTTP_PHASE_IDLE, i);
    }
    ck_assert_ptr_null(http_reaper_expired(&reaper, 59999));
    for (uint32_t i = 0; i < IDLE_COUNT; i++) {
        ck_assert_ptr_eq(http_reaper_expired(&reaper, 60000 + i), &watches[i]);
        ck_assert_ptr_null(http_reaper_expired(&reaper, 60000 + i));
    }
    rk_heap_free(watches);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_reaper");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, nothing_watched_has_no_deadline);
    tcase_add_test(tcase, headers_expire_at_their_deadline_and_not_before);
    tcase_add_test(tcase, idle_has_a_minute);
    tcase_add_test(tcase, suspended_is_listed_and_never_expires);
    tcase_add_test(tcase, body_that_is_too_slow_expires_after_the_first_seconds);
    tcase_add_test(tcase, body_that_keeps_the_rate_has_its_whole_time);
    tcase_add_test(tcase, entering_again_starts_anew);
    tcase_add_test(tcase, the_first_deadline_of_all_phases_counts);
    tcase_add_test(tcase, ten_thousand_idle_ones_expire_in_order);
    return run_suite("http_reaper", tcase);
}
