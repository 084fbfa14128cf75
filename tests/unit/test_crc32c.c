#include <string.h>

#include "base/crc32c.h"
#include "base/heap.h"
#include "base/prng.h"
#include "support/run.h"

typedef uint32_t (*crc_function)(uint32_t crc, const void *data, size_t size);

static const crc_function functions[] = {rk_crc32c, rk_crc32c_portable};

/* RFC 3720, appendix B.4, and the usual check value of the catalogue of CRCs. */
START_TEST(known_vectors_hold)
{
    const crc_function crc = functions[_i];
    uint8_t bytes[32] = {0};
    ck_assert_uint_eq(crc(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc(0, bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    ck_assert_uint_eq(crc(0, bytes, sizeof(bytes)), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    ck_assert_uint_eq(crc(0, bytes, sizeof(bytes)), 0x46dd794e);
}
END_TEST

START_TEST(no_bytes_leave_the_crc_as_it_was)
{
    ck_assert_uint_eq(functions[_i](0, NULL, 0), 0);
    ck_assert_uint_eq(functions[_i](0x12345678, NULL, 0), 0x12345678);
}
END_TEST

START_TEST(parts_continue_to_the_crc_of_the_whole)
{
    const char *const text = "the quick brown fox jumps over the lazy dog";
    const size_t size = strlen(text);
    const uint32_t whole = functions[_i](0, text, size);
    for (size_t cut = 0; cut <= size; cut++) {
        const uint32_t crc = functions[_i](0, text, cut);
        ck_assert_uint_eq(functions[_i](crc, text + cut, size - cut), whole);
    }
}
END_TEST

/* Every size and alignment: the instruction goes by words, with a head and a tail. */
START_TEST(instruction_and_table_agree)
{
    enum { SIZE = 300 };
    uint8_t *bytes = rk_heap_alloc(SIZE);
    struct rk_prng prng;
    rk_prng_seed(&prng, 7);
    for (int i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)rk_prng_next(&prng);
    }
    for (size_t first = 0; first < 9; first++) {
        for (size_t size = 0; first + size <= SIZE; size++) {
            const uint32_t start = (uint32_t)rk_prng_next(&prng);
            ck_assert_uint_eq(rk_crc32c(start, bytes + first, size),
                              rk_crc32c_portable(start, bytes + first, size));
        }
    }
    rk_heap_free(bytes);
}
END_TEST

/* The reason for a CRC: any one wrong bit is seen. */
START_TEST(every_flipped_bit_changes_the_crc)
{
    uint8_t bytes[64] = {1, 2, 3};
    const uint32_t before = rk_crc32c(0, bytes, sizeof(bytes));
    for (unsigned bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert_uint_ne(rk_crc32c(0, bytes, sizeof(bytes)), before);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("crc32c");
    tcase_add_loop_test(tcase, known_vectors_hold, 0, 2);
    tcase_add_loop_test(tcase, no_bytes_leave_the_crc_as_it_was, 0, 2);
    tcase_add_loop_test(tcase, parts_continue_to_the_crc_of_the_whole, 0, 2);
    tcase_add_test(tcase, instruction_and_table_agree);
    tcase_add_test(tcase, every_flipped_bit_changes_the_crc);
    return run_suite("crc32c", tcase);
}
