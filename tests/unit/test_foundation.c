/* The small ones: assertions, the heap, the clock, the status table. */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/status.h"
#include "support/run.h"

START_TEST(true_assertion_goes_on)
{
    int evaluations_count = 0;
    RK_ASSERT(++evaluations_count == 1);
    ck_assert_int_eq(evaluations_count, 1);
}
END_TEST

static void *fail_here(void *unused)
{
    RK_ASSERT(unused != NULL);
    return unused;
}

START_TEST(failed_assertion_aborts_from_any_thread)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_here, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static void end_by_another_signal(void)
{
    (void)raise(SIGUSR1);
}

/* The hook ends this test by a signal of its own, before the abort. */
START_TEST(crash_hook_runs_before_the_abort)
{
    rk_assert_set_hook(end_by_another_signal);
    (void)fail_here(NULL);
}
END_TEST

static void fail_in_hook(void)
{
    (void)fail_here(NULL);
}

START_TEST(failure_in_the_crash_hook_does_not_recurse)
{
    rk_assert_set_hook(fail_in_hook);
    (void)fail_here(NULL);
}
END_TEST

START_TEST(heap_never_gives_null)
{
    void *nothing = rk_heap_alloc(0);
    void *more = rk_heap_realloc(rk_heap_alloc(0), 0);
    ck_assert_ptr_nonnull(nothing);
    ck_assert_ptr_nonnull(more);
    ck_assert_ptr_ne(nothing, more);
    rk_heap_free(nothing);
    rk_heap_free(more);
    rk_heap_free(NULL);
}
END_TEST

START_TEST(heap_keeps_bytes_over_a_realloc)
{
    char *text = rk_heap_text("kept");
    text = rk_heap_realloc(text, 10000);
    ck_assert_str_eq(text, "kept");
    rk_heap_free(text);
}
END_TEST

START_TEST(zeroed_memory_is_zero)
{
    const uint8_t zeros[64] = {0};
    uint8_t *memory = rk_heap_zalloc(8, 8);
    ck_assert_mem_eq(memory, zeros, 64);
    rk_heap_free(memory);
}
END_TEST

START_TEST(product_that_overflows_aborts)
{
    rk_heap_free(rk_heap_zalloc(SIZE_MAX / 2, 3));
}
END_TEST

START_TEST(clocks_do_not_go_back)
{
    const uint64_t before_us = rk_monotonic_us();
    const uint64_t before_ms = rk_monotonic_ms();
    const uint64_t boot_ms = rk_boottime_ms();
    ck_assert_uint_ge(rk_monotonic_us(), before_us);
    ck_assert_uint_ge(rk_monotonic_ms(), before_ms);
    ck_assert_uint_ge(before_ms, before_us / 1000);
    ck_assert_uint_ge(rk_boottime_ms(), boot_ms);
    ck_assert_uint_ge(rk_boottime_ms(), before_ms); /* it counts suspend too */
}
END_TEST

START_TEST(random_numbers_differ_and_are_never_zero)
{
    uint64_t before = 0;
    for (int i = 0; i < 100; i++) {
        const uint64_t value = rk_random_u64();
        ck_assert_uint_ne(value, 0);
        ck_assert_uint_ne(value, before);
        before = value;
    }
}
END_TEST

START_TEST(every_status_has_a_text)
{
    for (int status = RK_OK; status < RK_STATUS_COUNT; status++) {
        ck_assert_uint_gt(strlen(rk_status_text((enum rk_status)status)), 0);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("foundation");
    tcase_add_test(tcase, true_assertion_goes_on);
    tcase_add_test_raise_signal(tcase, failed_assertion_aborts_from_any_thread, SIGABRT);
    tcase_add_test_raise_signal(tcase, crash_hook_runs_before_the_abort, SIGUSR1);
    tcase_add_test_raise_signal(tcase, failure_in_the_crash_hook_does_not_recurse, SIGABRT);
    tcase_add_test(tcase, heap_never_gives_null);
    tcase_add_test(tcase, heap_keeps_bytes_over_a_realloc);
    tcase_add_test(tcase, zeroed_memory_is_zero);
    tcase_add_test_raise_signal(tcase, product_that_overflows_aborts, SIGABRT);
    tcase_add_test(tcase, clocks_do_not_go_back);
    tcase_add_test(tcase, random_numbers_differ_and_are_never_zero);
    tcase_add_test(tcase, every_status_has_a_text);
    return run_suite("foundation", tcase);
}
