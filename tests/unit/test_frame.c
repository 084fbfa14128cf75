#include <signal.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/frame.h"
#include "base/le.h"
#include "base/limits.h"
#include "support/run.h"

/* The bytes on disk and wire, computed once by an independent program: type 1, body "body",
 * term 0x0102030405060708, index 0x1112131415161718, time 0x2122232425262728, first of its chain.
 * A change here is a new format version, never a new constant. */
static const uint8_t golden[] = {
    0x0c, 0x00, 0x00, 0x00, 0x6a, 0x26, 0x2d, 0x4b, 0x08, 0x07, 0x06, 0x05, 0x04,
    0x03, 0x02, 0x01, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x5a, 0x0a,
    0x61, 0x84, 0x09, 0x3f, 0xc9, 0x1c, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22,
    0x21, 0x01, 0x02, 0x00, 0x00, 0x62, 0x6f, 0x64, 0x79, 0xaa, 0x14, 0x4a, 0x7b,
};
static const uint64_t golden_chain = 0x1cc93f0984610a5a;

static struct rk_buf buf;

static void setup(void)
{
    rk_buf_init(&buf, 2 * RK_FRAME_SIZE_MAX);
}

static void teardown(void)
{
    rk_buf_done(&buf);
}

/* Appends an unsealed frame; returns its offset. */
static size_t put_frame(uint8_t type, const void *body, size_t body_size)
{
    const size_t offset = rk_frame_begin(&buf, type);
    rk_buf_append(&buf, body, body_size);
    rk_frame_end(&buf, offset);
    return offset;
}

static uint64_t seal_at(size_t offset, const struct rk_frame_place *place)
{
    return rk_frame_seal(buf.data + offset, (uint32_t)(buf.size - offset), place);
}

static const struct rk_frame_place golden_place = {
    .term = 0x0102030405060708, .index = 0x1112131415161718, .time_ms = 0x2122232425262728};
static const struct rk_frame_place first_place = {.term = 1, .index = 1};

static enum rk_status read_bytes(const uint8_t *data, uint32_t size)
{
    struct rk_frame frame;
    uint32_t frame_size = 0;
    return rk_frame_read((struct rk_bytes){.data = data, .size = size}, &frame, &frame_size);
}

START_TEST(written_bytes_are_the_golden_bytes)
{
    put_frame(1, "body", 4);
    const uint64_t chain = seal_at(0, &golden_place);
    ck_assert_uint_eq(chain, golden_chain);
    ck_assert_uint_eq(buf.size, sizeof(golden));
    ck_assert_mem_eq(buf.data, golden, sizeof(golden));
}
END_TEST

START_TEST(golden_bytes_are_read)
{
    struct rk_frame frame;
    uint32_t size = 0;
    const struct rk_bytes bytes = {.data = golden, .size = sizeof(golden)};
    ck_assert_int_eq(rk_frame_read(bytes, &frame, &size), RK_OK);
    ck_assert_uint_eq(size, sizeof(golden));
    ck_assert_uint_eq(frame.term, golden_place.term);
    ck_assert_uint_eq(frame.index, golden_place.index);
    ck_assert_uint_eq(frame.time_ms, golden_place.time_ms);
    ck_assert_uint_eq(frame.chain, golden_chain);
    ck_assert_uint_eq(frame.type, 1);
    ck_assert_uint_eq(frame.payload_crc, 0x7b4a14aa);
    ck_assert_ptr_eq(frame.payload.data, golden + RK_FRAME_HEADER_SIZE);
    ck_assert_uint_eq(frame.payload.size, 12);
    ck_assert_uint_eq(frame.body.size, 4);
    ck_assert_mem_eq(frame.body.data, "body", 4);
}
END_TEST

/* Bit rot anywhere, header or payload, is corruption and never another entry. */
START_TEST(every_flipped_bit_is_corrupt)
{
    uint8_t bytes[sizeof(golden)];
    for (unsigned bit = 0; bit < 8 * sizeof(golden); bit++) {
        memcpy(bytes, golden, sizeof(golden));
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert_int_eq(read_bytes(bytes, sizeof(bytes)), RK_CORRUPT);
    }
}
END_TEST

START_TEST(every_cut_frame_is_corrupt)
{
    for (uint32_t size = 0; size < sizeof(golden); size++) {
        ck_assert_int_eq(read_bytes(size == 0 ? NULL : golden, size), RK_CORRUPT);
    }
}
END_TEST

/* A disk hands back blocks of zeros after a crash; those must not read as an empty entry. */
START_TEST(zeros_are_corrupt)
{
    const uint8_t zeros[256] = {0};
    ck_assert_int_eq(read_bytes(zeros, sizeof(zeros)), RK_CORRUPT);
}
END_TEST

START_TEST(refused_frame_leaves_the_result_untouched)
{
    uint8_t bytes[sizeof(golden)];
    struct rk_frame frame = {.term = 5, .type = 9};
    uint32_t size = 6;
    memcpy(bytes, golden, sizeof(golden));
    bytes[sizeof(golden) - 1] ^= 1;
    ck_assert_int_eq(rk_frame_read((struct rk_bytes){bytes, sizeof(bytes)}, &frame, &size),
                     RK_CORRUPT);
    ck_assert_uint_eq(frame.term, 5);
    ck_assert_uint_eq(frame.type, 9);
    ck_assert_ptr_null(frame.payload.data);
    ck_assert_uint_eq(size, 6);
}
END_TEST

START_TEST(frames_in_a_row_are_read_one_by_one)
{
    uint64_t chain = 0;
    for (uint8_t i = 1; i <= 3; i++) {
        const size_t offset = put_frame(i, "xyz", i);
        chain = seal_at(offset, &(struct rk_frame_place){
                                    .term = 7, .index = i, .time_ms = i, .chain_previous = chain});
    }
    struct rk_bytes rest = rk_buf_bytes(&buf);
    chain = 0;
    for (uint8_t i = 1; i <= 3; i++) {
        struct rk_frame frame;
        uint32_t size = 0;
        ck_assert_int_eq(rk_frame_read(rest, &frame, &size), RK_OK);
        ck_assert_uint_eq(frame.index, i);
        ck_assert_uint_eq(frame.body.size, i);
        chain = rk_frame_chain(chain, &frame);
        ck_assert_uint_eq(frame.chain, chain);
        rest = (struct rk_bytes){.data = rest.data + size, .size = rest.size - size};
    }
    ck_assert_uint_eq(rest.size, 0);
}
END_TEST

START_TEST(empty_body_is_a_whole_frame)
{
    struct rk_frame frame;
    uint32_t size = 0;
    put_frame(4, NULL, 0);
    (void)seal_at(0, &first_place);
    ck_assert_int_eq(rk_frame_read(rk_buf_bytes(&buf), &frame, &size), RK_OK);
    ck_assert_uint_eq(size, RK_FRAME_HEADER_SIZE + RK_FRAME_PAYLOAD_SIZE_MIN);
    ck_assert_uint_eq(frame.body.size, 0);
}
END_TEST

START_TEST(largest_command_fits_a_frame)
{
    const size_t offset = rk_frame_begin(&buf, 1);
    uint8_t *body = rk_buf_extend(&buf, RK_COMMAND_SIZE_MAX);
    ck_assert_ptr_nonnull(body);
    memset(body, 0x5a, RK_COMMAND_SIZE_MAX);
    rk_frame_end(&buf, offset);
    (void)seal_at(0, &first_place);
    ck_assert_int_eq(read_bytes(buf.data, (uint32_t)buf.size), RK_OK);
}
END_TEST

/* Valid checks do not excuse a size that no writer makes. */
START_TEST(frame_above_the_maximum_is_corrupt)
{
    const uint32_t payload_size = RK_FRAME_SIZE_MAX - RK_FRAME_HEADER_SIZE + 1;
    uint8_t *frame = rk_buf_extend(&buf, RK_FRAME_HEADER_SIZE + payload_size);
    ck_assert_ptr_nonnull(frame);
    memset(frame, 0, RK_FRAME_HEADER_SIZE + payload_size);
    uint8_t *payload = frame + RK_FRAME_HEADER_SIZE;
    payload[1] = RK_FRAME_VERSION;
    rk_le_put_u32(payload + payload_size - 4, rk_crc32c(0, payload, payload_size - 4));
    rk_le_put_u32(frame, payload_size);
    rk_le_put_u32(frame + 4, rk_crc32c(rk_crc32c(0, frame, 4), frame + 8, 32));
    ck_assert_int_eq(read_bytes(frame, (uint32_t)buf.size), RK_CORRUPT);
}
END_TEST

/* Another version's payload, its checks in order, is refused and not misread. */
START_TEST(unknown_version_and_used_reserve_are_corrupt)
{
    uint8_t payload[12] = {1, RK_FRAME_VERSION, 0, 0, 'b', 'o', 'd', 'y'};
    struct rk_frame frame;
    const struct rk_bytes bytes = {.data = payload, .size = sizeof(payload)};
    rk_le_put_u32(payload + 8, rk_crc32c(0, payload, 8));
    ck_assert_int_eq(rk_frame_read_payload(bytes, &frame), RK_OK);

    payload[_i] = RK_FRAME_VERSION + 1;
    rk_le_put_u32(payload + 8, rk_crc32c(0, payload, 8));
    ck_assert_int_eq(rk_frame_read_payload(bytes, &frame), RK_CORRUPT);
}
END_TEST

START_TEST(payload_is_read_without_a_header)
{
    struct rk_frame frame;
    put_frame(3, "abc", 3);
    const struct rk_bytes payload = {.data = buf.data + RK_FRAME_HEADER_SIZE,
                                     .size = (uint32_t)buf.size - RK_FRAME_HEADER_SIZE};
    ck_assert_int_eq(rk_frame_read_payload(payload, &frame), RK_OK);
    ck_assert_uint_eq(frame.type, 3);
    ck_assert_uint_eq(frame.body.size, 3);
    for (uint32_t size = 0; size < payload.size; size++) {
        const struct rk_bytes cut = {.data = payload.data, .size = size};
        ck_assert_int_eq(rk_frame_read_payload(cut, &frame), RK_CORRUPT);
    }
}
END_TEST

/* Sealing again (a new place in the log) touches the header only. */
START_TEST(seal_leaves_the_payload_as_it_was)
{
    put_frame(1, "body", 4);
    (void)seal_at(0, &(struct rk_frame_place){9, 9, 9, 9});
    (void)seal_at(0, &golden_place);
    ck_assert_mem_eq(buf.data, golden, sizeof(golden));
}
END_TEST

START_TEST(overflow_while_framing_shows_in_the_status)
{
    struct rk_buf small;
    rk_buf_init(&small, RK_FRAME_HEADER_SIZE + RK_FRAME_PREFIX_SIZE + 2);
    const size_t offset = rk_frame_begin(&small, 1);
    rk_buf_append(&small, "body", 4);
    rk_frame_end(&small, offset);
    ck_assert_int_eq(rk_buf_status(&small), RK_TOO_LARGE);
    rk_buf_done(&small);
}
END_TEST

static uint64_t chain_of(uint64_t previous, uint64_t term, uint64_t index, uint64_t time_ms,
                         uint32_t payload_crc)
{
    const struct rk_frame entry = {
        .term = term, .index = index, .time_ms = time_ms, .payload_crc = payload_crc};
    return rk_frame_chain(previous, &entry);
}

/* Equal chains are to mean equal histories: whatever differs, the chain differs. */
START_TEST(chain_depends_on_every_part)
{
    const uint64_t chain = chain_of(1, 2, 3, 4, 5);
    ck_assert_uint_ne(chain_of(2, 2, 3, 4, 5), chain);
    ck_assert_uint_ne(chain_of(1, 3, 3, 4, 5), chain);
    ck_assert_uint_ne(chain_of(1, 2, 4, 4, 5), chain);
    ck_assert_uint_ne(chain_of(1, 2, 3, 5, 5), chain);
    ck_assert_uint_ne(chain_of(1, 2, 3, 4, 6), chain);
    ck_assert_uint_ne(chain_of(1, 3, 2, 4, 5), chain);
    ck_assert_uint_ne(chain_of(1, 2, 4, 3, 5), chain);
    ck_assert_uint_ne(chain_of(2, 1, 3, 4, 5), chain);
    ck_assert_uint_ne(chain_of(0, 0, 0, 0, 0), 0);
}
END_TEST

START_TEST(seal_of_less_than_a_frame_aborts)
{
    uint8_t frame[RK_FRAME_HEADER_SIZE + RK_FRAME_PAYLOAD_SIZE_MIN - 1] = {0};
    (void)rk_frame_seal(frame, sizeof(frame), &first_place);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("frame");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, written_bytes_are_the_golden_bytes);
    tcase_add_test(tcase, golden_bytes_are_read);
    tcase_add_test(tcase, every_flipped_bit_is_corrupt);
    tcase_add_test(tcase, every_cut_frame_is_corrupt);
    tcase_add_test(tcase, zeros_are_corrupt);
    tcase_add_test(tcase, refused_frame_leaves_the_result_untouched);
    tcase_add_test(tcase, frames_in_a_row_are_read_one_by_one);
    tcase_add_test(tcase, empty_body_is_a_whole_frame);
    tcase_add_test(tcase, largest_command_fits_a_frame);
    tcase_add_test(tcase, frame_above_the_maximum_is_corrupt);
    tcase_add_loop_test(tcase, unknown_version_and_used_reserve_are_corrupt, 1, 4);
    tcase_add_test(tcase, payload_is_read_without_a_header);
    tcase_add_test(tcase, seal_leaves_the_payload_as_it_was);
    tcase_add_test(tcase, overflow_while_framing_shows_in_the_status);
    tcase_add_test(tcase, chain_depends_on_every_part);
    tcase_add_test_raise_signal(tcase, seal_of_less_than_a_frame_aborts, SIGABRT);
    return run_suite("frame", tcase);
}
