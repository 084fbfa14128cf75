#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "support/run.h"

enum { CEILING = 100 };

static struct rk_buf buf;

static void setup(void)
{
    rk_buf_init(&buf, CEILING);
}

static void teardown(void)
{
    rk_buf_done(&buf);
}

static void assert_holds(const char *text)
{
    ck_assert_uint_eq(buf.size, strlen(text));
    ck_assert_mem_eq(buf.data, text, strlen(text));
}

START_TEST(new_buffer_has_allocated_nothing)
{
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.capacity, 0);
    ck_assert_uint_eq(rk_buf_bytes(&buf).size, 0);
    ck_assert_int_eq(rk_buf_status(&buf), RK_OK);
}
END_TEST

START_TEST(appends_follow_each_other)
{
    rk_buf_append(&buf, "ab", 2);
    rk_buf_append_byte(&buf, 'c');
    rk_buf_append_text(&buf, "def");
    rk_buf_append(&buf, NULL, 0);
    assert_holds("abcdef");
}
END_TEST

START_TEST(numbers_are_written_in_full_range)
{
    rk_buf_append_u64(&buf, 0);
    rk_buf_append_byte(&buf, ' ');
    rk_buf_append_u64(&buf, UINT64_MAX);
    rk_buf_append_byte(&buf, ' ');
    rk_buf_append_i64(&buf, INT64_MIN);
    rk_buf_append_byte(&buf, ' ');
    rk_buf_append_i64(&buf, INT64_MAX);
    assert_holds("0 18446744073709551615 -9223372036854775808 9223372036854775807");
}
END_TEST

START_TEST(hex_has_sixteen_lower_case_digits)
{
    rk_buf_append_hex64(&buf, 0);
    rk_buf_append_hex64(&buf, 0x0123456789ABCDEFU);
    rk_buf_append_hex64(&buf, UINT64_MAX);
    assert_holds("00000000000000000123456789abcdefffffffffffffffff");
}
END_TEST

START_TEST(buffer_fills_to_the_ceiling_exactly)
{
    for (int i = 0; i < CEILING; i++) {
        rk_buf_append_byte(&buf, (uint8_t)i);
        ck_assert_uint_le(buf.capacity, CEILING);
    }
    ck_assert_int_eq(rk_buf_status(&buf), RK_OK);
    for (int i = 0; i < CEILING; i++) {
        ck_assert_uint_eq(buf.data[i], (unsigned)i);
    }
}
END_TEST

START_TEST(append_past_the_ceiling_is_refused_whole)
{
    rk_buf_append_text(&buf, "kept");
    const char large[CEILING] = {0};
    rk_buf_append(&buf, large, sizeof(large));
    ck_assert_int_eq(rk_buf_status(&buf), RK_TOO_LARGE);
    assert_holds("kept");
}
END_TEST

/* A hole in the middle would be worse than a cut end. */
START_TEST(nothing_is_appended_after_a_refusal)
{
    ck_assert_ptr_null(rk_buf_extend(&buf, CEILING + 1));
    rk_buf_append_byte(&buf, 'x');
    ck_assert_uint_eq(buf.size, 0);
    ck_assert_int_eq(rk_buf_status(&buf), RK_TOO_LARGE);
}
END_TEST

START_TEST(extend_by_any_size_does_not_overflow_the_sum)
{
    rk_buf_append_text(&buf, "kept");
    ck_assert_ptr_null(rk_buf_extend(&buf, SIZE_MAX));
    assert_holds("kept");
}
END_TEST

START_TEST(reset_forgets_the_overflow_and_keeps_the_memory)
{
    rk_buf_append_text(&buf, "text");
    const uint8_t *memory = buf.data;
    ck_assert_ptr_null(rk_buf_extend(&buf, CEILING));
    rk_buf_reset(&buf);
    ck_assert_int_eq(rk_buf_status(&buf), RK_OK);
    rk_buf_append_text(&buf, "new");
    ck_assert_ptr_eq(buf.data, memory);
    assert_holds("new");
}
END_TEST

START_TEST(lent_memory_is_filled_first_and_left_when_it_is_too_small)
{
    uint8_t room[8];

    rk_buf_lend(&buf, room, sizeof(room));
    rk_buf_append_text(&buf, "12345678");
    ck_assert_ptr_eq(buf.data, room);
    rk_buf_append_text(&buf, "9");
    ck_assert_ptr_ne(buf.data, room);
    ck_assert(!buf.is_lent);
    assert_holds("123456789");
}
END_TEST

START_TEST(lent_memory_is_not_freed_and_goes_no_further_than_the_ceiling)
{
    uint8_t room[CEILING + 1];

    rk_buf_lend(&buf, room, sizeof(room));
    ck_assert_ptr_nonnull(rk_buf_extend(&buf, CEILING));
    ck_assert_ptr_null(rk_buf_extend(&buf, 1));
    ck_assert_ptr_eq(buf.data, room);
    rk_buf_done(&buf);
    ck_assert_ptr_null(buf.data);
    ck_assert(!buf.is_lent);
}
END_TEST

START_TEST(extend_lends_the_place_at_the_end)
{
    rk_buf_append_text(&buf, "ab");
    uint8_t *place = rk_buf_extend(&buf, 2);
    ck_assert_ptr_nonnull(place);
    memcpy(place, "cd", 2);
    assert_holds("abcd");
    ck_assert_ptr_nonnull(rk_buf_extend(&buf, 0));
}
END_TEST

START_TEST(extend_by_nothing_is_not_a_refusal)
{
    ck_assert_ptr_nonnull(rk_buf_extend(&buf, 0));
    ck_assert_int_eq(rk_buf_status(&buf), RK_OK);
}
END_TEST

/* Doubling: the copying stays linear in what is appended. */
START_TEST(growth_is_geometric)
{
    struct rk_buf large;
    size_t growths_count = 0;
    size_t capacity = 0;
    rk_buf_init(&large, 1 << 20);
    for (int i = 0; i < 1 << 20; i++) {
        rk_buf_append_byte(&large, 0);
        growths_count += large.capacity != capacity;
        capacity = large.capacity;
    }
    ck_assert_uint_le(growths_count, 15);
    ck_assert_int_eq(rk_buf_status(&large), RK_OK);
    rk_buf_done(&large);
}
END_TEST

START_TEST(reads_go_on_where_the_last_one_ended)
{
    struct rk_buf text;
    uint8_t part[4];
    size_t offset = 0;
    rk_buf_init(&text, 16);
    ck_assert_uint_eq(rk_buf_read(&text, &offset, part, sizeof(part)), 0);
    rk_buf_append_text(&text, "abcdef");
    ck_assert_uint_eq(rk_buf_read(&text, &offset, part, sizeof(part)), 4);
    ck_assert_mem_eq(part, "abcd", 4);
    ck_assert_uint_eq(rk_buf_read(&text, &offset, part, sizeof(part)), 2);
    ck_assert_mem_eq(part, "efcd", 4);
    ck_assert_uint_eq(rk_buf_read(&text, &offset, part, sizeof(part)), 0);
    ck_assert_uint_eq(offset, 6);
    rk_buf_done(&text);
}
END_TEST

START_TEST(bytes_of_more_than_32_bits_abort)
{
    const struct rk_buf huge = {.size = (size_t)UINT32_MAX + 1};
    ck_abort_msg("%u bytes were lent", rk_buf_bytes(&huge).size);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("buf");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, new_buffer_has_allocated_nothing);
    tcase_add_test(tcase, appends_follow_each_other);
    tcase_add_test(tcase, numbers_are_written_in_full_range);
    tcase_add_test(tcase, hex_has_sixteen_lower_case_digits);
    tcase_add_test(tcase, buffer_fills_to_the_ceiling_exactly);
    tcase_add_test(tcase, append_past_the_ceiling_is_refused_whole);
    tcase_add_test(tcase, nothing_is_appended_after_a_refusal);
    tcase_add_test(tcase, extend_by_any_size_does_not_overflow_the_sum);
    tcase_add_test(tcase, reset_forgets_the_overflow_and_keeps_the_memory);
    tcase_add_test(tcase, lent_memory_is_filled_first_and_left_when_it_is_too_small);
    tcase_add_test(tcase, lent_memory_is_not_freed_and_goes_no_further_than_the_ceiling);
    tcase_add_test(tcase, extend_lends_the_place_at_the_end);
    tcase_add_test(tcase, extend_by_nothing_is_not_a_refusal);
    tcase_add_test(tcase, growth_is_geometric);
    tcase_add_test(tcase, reads_go_on_where_the_last_one_ended);
    tcase_add_test_raise_signal(tcase, bytes_of_more_than_32_bits_abort, SIGABRT);
    return run_suite("buf", tcase);
}
