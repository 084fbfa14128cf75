/* Forwarded writes, their answers, and the question for a read index. */
#include <signal.h>
#include <string.h>

#include "base/frame.h"
#include "base/heap.h"
#include "base/prng.h"
#include "network/wire.h"
#include "support/run.h"
#include "unit/wire_plain.h"

enum { BODY_MAX = 4 << 20 };

static struct rk_prng prng;
static struct rk_buf body;
static struct rk_buf frames;
static struct wire_forward *forward;
static struct wire_forward *forward_read;
static struct wire_forward_answer *answer;
static struct wire_forward_answer *answer_read;
static const char *reason;

static void open_all(void)
{
    rk_prng_seed(&prng, 1);
    rk_buf_init(&body, BODY_MAX);
    rk_buf_init(&frames, BODY_MAX);
    forward = rk_heap_zalloc(1, sizeof(*forward));
    forward_read = rk_heap_zalloc(1, sizeof(*forward_read));
    answer = rk_heap_zalloc(1, sizeof(*answer));
    answer_read = rk_heap_zalloc(1, sizeof(*answer_read));
    forward->envelope = plain_envelope;
    answer->envelope = plain_envelope;
}

static void close_all(void)
{
    rk_buf_done(&body);
    rk_buf_done(&frames);
    rk_heap_free(forward);
    rk_heap_free(forward_read);
    rk_heap_free(answer);
    rk_heap_free(answer_read);
}

/* Makes a batch of `count` payloads of drawn sizes; their bytes live in `frames`. */
static void make_batch(uint8_t type, uint32_t count)
{
    size_t offsets[RK_FORWARD_ITEMS_MAX + 1];

    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = rk_frame_begin(&frames, type);
        for (uint64_t left = rk_prng_below(&prng, 300); left > 0; left--) {
            rk_buf_append_byte(&frames, (uint8_t)rk_prng_next(&prng));
        }
        rk_frame_end(&frames, offsets[i]);
    }
    offsets[count] = frames.size;
    for (uint32_t i = 0; i < count; i++) {
        const size_t start = offsets[i] + RK_FRAME_HEADER_SIZE;
        forward->payloads[i] = (struct rk_bytes){.data = frames.data + start,
                                                 .size = (uint32_t)(offsets[i + 1] - start)};
    }
    forward->count = count;
}

static enum rk_status read_forward(void)
{
    return wire_decode_forward(rk_buf_bytes(&body), forward_read, &reason);
}

static enum rk_status read_answer(void)
{
    return wire_decode_forward_answer(rk_buf_bytes(&body), answer_read, &reason);
}

START_TEST(a_batch_is_read_back_as_it_was_written)
{
    static const uint32_t counts[] = {1, 2, 100, RK_FORWARD_ITEMS_MAX};

    make_batch(RAFT_ENTRY_COMMAND, counts[_i]);
    wire_encode_forward(forward, &body);

    ck_assert_int_eq(read_forward(), RK_OK);
    ck_assert_ptr_null(reason);
    ck_assert_uint_eq(forward_read->count, counts[_i]);
    ck_assert_uint_eq(forward_read->envelope.cluster_low, UINT64_MAX);
    for (uint32_t i = 0; i < counts[_i]; i++) {
        ck_assert_uint_eq(forward_read->payloads[i].size, forward->payloads[i].size);
        ck_assert_mem_eq(forward_read->payloads[i].data, forward->payloads[i].data,
                         forward->payloads[i].size);
    }
}
END_TEST

static uint8_t results[2 * RK_FORWARD_ITEMS_MAX];

static void make_answer(uint32_t count)
{
    for (uint32_t i = 0; i < sizeof(results); i++) {
        results[i] = (uint8_t)(7 * i);
    }
    answer->term = 8;
    answer->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct wire_forward_item *item = &answer->items[i];
        item->status = (enum rk_status)(i % RK_STATUS_COUNT);
        item->result = (struct rk_bytes){.data = results + i, .size = i};
    }
}

/* Every status and many sizes of result among them. */
START_TEST(an_answer_is_read_back_as_it_was_written)
{
    make_answer(RK_FORWARD_ITEMS_MAX);
    wire_encode_forward_answer(answer, &body);

    ck_assert_int_eq(read_answer(), RK_OK);
    ck_assert_uint_eq(answer_read->term, 8);
    ck_assert_uint_eq(answer_read->count, RK_FORWARD_ITEMS_MAX);
    for (uint32_t i = 0; i < RK_FORWARD_ITEMS_MAX; i++) {
        ck_assert_int_eq(answer_read->items[i].status, answer->items[i].status);
        ck_assert_uint_eq(answer_read->items[i].result.size, answer->items[i].result.size);
        ck_assert_mem_eq(answer_read->items[i].result.data, answer->items[i].result.data,
                         answer->items[i].result.size);
    }
}
END_TEST

START_TEST(a_read_index_is_read_back_as_it_was_written)
{
    const struct wire_read_index question = {.envelope = plain_envelope,
                                             .term = 7,
                                             .status = (enum rk_status)_i,
                                             .read_index = (UINT64_C(1) << 53) - 1};
    struct wire_read_index again;

    wire_encode_read_index(&question, &body);
    ck_assert_int_eq(wire_decode_read_index(rk_buf_bytes(&body), &again, &reason), RK_OK);
    ck_assert_uint_eq(again.term, 7);
    ck_assert_int_eq(again.status, question.status);
    ck_assert_uint_eq(again.read_index, question.read_index);
    ck_assert_uint_eq(again.envelope.from, 11);
}
END_TEST

/* Numbers of statuses are of the wire, not of the enum: those of the first release. */
START_TEST(statuses_keep_their_numbers)
{
    static const char *const codes[] = {
        [RK_OK] = "\"status\":0,",         [RK_INVALID] = "\"status\":1,",
        [RK_NOT_FOUND] = "\"status\":2,",  [RK_CONFLICT] = "\"status\":3,",
        [RK_COMPACTED] = "\"status\":4,",  [RK_TOO_LARGE] = "\"status\":5,",
        [RK_BUSY] = "\"status\":6,",       [RK_NOT_LEADER] = "\"status\":7,",
        [RK_NO_LEADER] = "\"status\":8,",  [RK_UNKNOWN] = "\"status\":9,",
        [RK_FULL] = "\"status\":10,",      [RK_IO] = "\"status\":11,",
        [RK_CORRUPT] = "\"status\":12,",   [RK_BEHIND] = "\"status\":13,",
        [RK_RESTORING] = "\"status\":14,", [RK_DIFFERS] = "\"status\":15,",
    };
    const struct wire_read_index question = {.envelope = plain_envelope,
                                             .status = (enum rk_status)_i};

    wire_encode_read_index(&question, &body);
    rk_buf_append_byte(&body, 0);
    ck_assert_ptr_nonnull(strstr((const char *)body.data, codes[_i]));
}
END_TEST

#define HEAD                                                                                 \
    "\"protocol\":1,\"cluster\":\"0123456789abcdeffedcba9876543210\",\"from\":11,\"to\":12," \
    "\"incarnation\":\"00000000000000ff\",\"election_timeout_ms\":400"

static const struct refusal {
    const char *text;
    const char *reason;
} forward_refusals[] = {
    {"{\"type\":\"forward_answer\"," HEAD ",\"count\":1}\n",
     "a message of another type is expected here"},
    {"{\"type\":\"forward\"," HEAD ",\"count\":0}\n", "a batch of nothing"},
    {"{\"type\":\"forward\"," HEAD ",\"count\":257}\n", "member count is missing or out of range"},
    {"{\"type\":\"forward\"," HEAD "}\n", "member count is missing or out of range"},
    {"{\"type\":\"forward\"," HEAD ",\"count\":1}\n", "a payload is cut short"},
    {"{\"type\":\"forward\"," HEAD ",\"count\":1}\n\xff\xff\xff\xff\x01", "a payload is cut short"},
};
static const struct refusal answer_refusals[] = {
    {"{\"type\":\"forward\"," HEAD ",\"term\":1,\"count\":1}\n",
     "a message of another type is expected here"},
    {"{\"type\":\"forward_answer\"," HEAD ",\"term\":1,\"count\":0}\n", "a batch of nothing"},
    {"{\"type\":\"forward_answer\"," HEAD ",\"count\":1}\n",
     "member term is missing or out of range"},
    {"{\"type\":\"forward_answer\"," HEAD ",\"term\":1,\"count\":1}\n\x01",
     "a result is cut short"},
    {"{\"type\":\"forward_answer\"," HEAD ",\"term\":1,\"count\":1}\n\x01\x01\x01\x01\x01z",
     "a result is cut short"},
};
static const struct refusal read_index_refusals[] = {
    {"{\"type\":\"identity\"," HEAD ",\"term\":1,\"status\":0,\"read_index\":1}\n",
     "a message of another type is expected here"},
    {"{\"type\":\"read_index\"," HEAD ",\"term\":1,\"status\":16,\"read_index\":1}\n",
     "unknown status"},
    {"{\"type\":\"read_index\"," HEAD ",\"term\":1,\"status\":0,\"read_index\":1}\nx",
     "bytes after the end of the message"},
};

START_TEST(a_wrong_batch_is_refused_with_the_reason)
{
    rk_buf_append_text(&body, forward_refusals[_i].text);
    ck_assert_int_eq(read_forward(), RK_INVALID);
    ck_assert_str_eq(reason, forward_refusals[_i].reason);
}
END_TEST

START_TEST(a_wrong_answer_is_refused_with_the_reason)
{
    rk_buf_append_text(&body, answer_refusals[_i].text);
    ck_assert_int_eq(read_answer(), RK_INVALID);
    ck_assert_str_eq(reason, answer_refusals[_i].reason);
}
END_TEST

START_TEST(a_wrong_read_index_is_refused_with_the_reason)
{
    struct wire_read_index ret;

    rk_buf_append_text(&body, read_index_refusals[_i].text);
    ck_assert_int_eq(wire_decode_read_index(rk_buf_bytes(&body), &ret, &reason), RK_INVALID);
    ck_assert_str_eq(reason, read_index_refusals[_i].reason);
}
END_TEST

/* A client's write is a command: what only the leader makes may not come in by this door. */
START_TEST(a_payload_that_is_no_command_is_refused)
{
    make_batch(RAFT_ENTRY_CONFIG, 1);
    wire_encode_forward(forward, &body);
    ck_assert_int_eq(read_forward(), RK_INVALID);
    ck_assert_str_eq(reason, "a payload is not a command");
}
END_TEST

static size_t line_size(void)
{
    return (size_t)((uint8_t *)memchr(body.data, '\n', body.size) - body.data) + 1;
}

/* What is damaged fails its check; a size that is damaged moves the next payload. */
START_TEST(a_batch_with_a_flipped_bit_behind_its_line_is_refused)
{
    make_batch(RAFT_ENTRY_COMMAND, 3);
    wire_encode_forward(forward, &body);
    for (size_t bit = line_size() * 8; bit < body.size * 8; bit++) {
        body.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        const enum rk_status status = read_forward();
        body.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert_msg(status == RK_INVALID || status == RK_CORRUPT, "bit %zu", bit);
    }
}
END_TEST

START_TEST(a_batch_cut_short_anywhere_is_refused)
{
    make_batch(RAFT_ENTRY_COMMAND, 3);
    wire_encode_forward(forward, &body);
    for (size_t size = 0; size < body.size; size++) {
        uint8_t *copy = rk_heap_alloc(size);
        memcpy(copy, body.data, size);
        const enum rk_status status = wire_decode_forward(
            (struct rk_bytes){.data = copy, .size = (uint32_t)size}, forward_read, &reason);
        ck_assert_msg(status == RK_INVALID || status == RK_CORRUPT, "at %zu", size);
        rk_heap_free(copy);
    }
}
END_TEST

START_TEST(an_answer_cut_short_anywhere_is_refused)
{
    make_answer(20);
    wire_encode_forward_answer(answer, &body);
    for (size_t size = 0; size < body.size; size++) {
        uint8_t *copy = rk_heap_alloc(size);
        memcpy(copy, body.data, size);
        ck_assert_int_eq(
            wire_decode_forward_answer((struct rk_bytes){.data = copy, .size = (uint32_t)size},
                                       answer_read, &reason),
            RK_INVALID);
        rk_heap_free(copy);
    }
}
END_TEST

START_TEST(encoding_a_batch_of_nothing_aborts)
{
    wire_encode_forward(forward, &body);
}
END_TEST

/* Sizes have zeros in them, which the texts above cannot hold. */
START_TEST(a_wrong_result_is_refused_with_the_reason)
{
    make_answer(2);
    wire_encode_forward_answer(answer, &body);
    const size_t last = body.size - 6; /* status, size and the one byte of it */
    ck_assert_int_eq(read_answer(), RK_OK);
    body.data[last] = RK_STATUS_COUNT;
    ck_assert_int_eq(read_answer(), RK_INVALID);
    ck_assert_str_eq(reason, "unknown status");
    body.data[last] = 0;
    body.data[last + 1] = 0;
    ck_assert_int_eq(read_answer(), RK_INVALID);
    ck_assert_str_eq(reason, "bytes after the end of the message");
    body.data[last + 1] = 2;
    ck_assert_int_eq(read_answer(), RK_INVALID);
    ck_assert_str_eq(reason, "a result is cut short");
}
END_TEST

START_TEST(encoding_a_result_past_its_limit_aborts)
{
    make_answer(1);
    answer->items[0].result.size = WIRE_RESULT_SIZE_MAX + 1;
    wire_encode_forward_answer(answer, &body);
}
END_TEST

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))

static void add_faults(TCase *tcase)
{
    tcase_add_loop_test(tcase, a_wrong_batch_is_refused_with_the_reason, 0,
                        COUNT_OF(forward_refusals));
    tcase_add_loop_test(tcase, a_wrong_answer_is_refused_with_the_reason, 0,
                        COUNT_OF(answer_refusals));
    tcase_add_loop_test(tcase, a_wrong_read_index_is_refused_with_the_reason, 0,
                        COUNT_OF(read_index_refusals));
    tcase_add_test(tcase, a_payload_that_is_no_command_is_refused);
    tcase_add_test(tcase, a_batch_with_a_flipped_bit_behind_its_line_is_refused);
    tcase_add_test(tcase, a_batch_cut_short_anywhere_is_refused);
    tcase_add_test(tcase, an_answer_cut_short_anywhere_is_refused);
    tcase_add_test_raise_signal(tcase, encoding_a_batch_of_nothing_aborts, SIGABRT);
    tcase_add_test(tcase, a_wrong_result_is_refused_with_the_reason);
    tcase_add_test_raise_signal(tcase, encoding_a_result_past_its_limit_aborts, SIGABRT);
}

int main(void)
{
    TCase *tcase = tcase_create("wire_forward");

    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_batch_is_read_back_as_it_was_written, 0, 4);
    tcase_add_test(tcase, an_answer_is_read_back_as_it_was_written);
    tcase_add_loop_test(tcase, a_read_index_is_read_back_as_it_was_written, 0, RK_STATUS_COUNT);
    tcase_add_loop_test(tcase, statuses_keep_their_numbers, 0, RK_STATUS_COUNT);
    add_faults(tcase);
    return run_suite("wire_forward", tcase);
}
