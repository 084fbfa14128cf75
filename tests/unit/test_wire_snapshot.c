/* A snapshot's offer with a piece of its file, and the answer. */
#include <signal.h>
#include <string.h>

#include "network/wire.h"
#include "support/run.h"
#include "unit/wire_plain.h"

static struct rk_buf body;
static struct wire_snapshot snapshot;
static struct wire_snapshot snapshot_read;
static struct wire_snapshot_answer answer;
static struct wire_snapshot_answer answer_read;
static const char *reason;

static void setup(void)
{
    rk_buf_init(&body, RK_PEER_BODY_SIZE_MAX);
    snapshot = (struct wire_snapshot){
        .envelope = plain_envelope,
        .term = 9,
        .last = {.term = 8, .index = 70},
        .config_index = 3,
        .sequence = 44,
        .size = 1000,
        .digest = UINT64_MAX,
        .offset = 995,
        .config = text_bytes("conf"),
        .piece = text_bytes("piece"),
    };
    answer = (struct wire_snapshot_answer){
        .envelope = plain_envelope,
        .term = 9,
        .sequence = 44,
        .is_over = true,
        .accepted = true,
        .match = 70,
        .offset = 1000,
    };
}

static void teardown(void)
{
    rk_buf_done(&body);
}

static enum rk_status read_snapshot(void)
{
    return wire_decode_snapshot(rk_buf_bytes(&body), &snapshot_read, &reason);
}

START_TEST(an_offer_is_read_back_as_it_was_written)
{
    wire_encode_snapshot(&snapshot, &body);
    ck_assert_int_eq(read_snapshot(), RK_OK);
    ck_assert_ptr_null(reason);
    ck_assert_uint_eq(snapshot_read.term, 9);
    ck_assert_uint_eq(snapshot_read.last.term, 8);
    ck_assert_uint_eq(snapshot_read.last.index, 70);
    ck_assert_uint_eq(snapshot_read.config_index, 3);
    ck_assert_uint_eq(snapshot_read.sequence, 44);
    ck_assert_uint_eq(snapshot_read.size, 1000);
    ck_assert_uint_eq(snapshot_read.digest, UINT64_MAX);
    ck_assert_uint_eq(snapshot_read.offset, 995);
    ck_assert_uint_eq(snapshot_read.config.size, 4);
    ck_assert_mem_eq(snapshot_read.config.data, "conf", 4);
    ck_assert_uint_eq(snapshot_read.piece.size, 5);
    ck_assert_mem_eq(snapshot_read.piece.data, "piece", 5);
}
END_TEST

START_TEST(an_offer_without_a_piece_is_read_back)
{
    snapshot.piece.size = 0;
    snapshot.offset = 1000;
    wire_encode_snapshot(&snapshot, &body);
    ck_assert_int_eq(read_snapshot(), RK_OK);
    ck_assert_uint_eq(snapshot_read.piece.size, 0);
}
END_TEST

START_TEST(an_answer_is_read_back_as_it_was_written)
{
    answer.is_over = _i == 1;
    answer.accepted = _i == 1;
    wire_encode_snapshot_answer(&answer, &body);
    ck_assert_int_eq(wire_decode_snapshot_answer(rk_buf_bytes(&body), &answer_read, &reason),
                     RK_OK);
    ck_assert_uint_eq(answer_read.term, 9);
    ck_assert_uint_eq(answer_read.sequence, 44);
    ck_assert_uint_eq(answer_read.is_over, answer.is_over);
    ck_assert_uint_eq(answer_read.accepted, answer.accepted);
    ck_assert_uint_eq(answer_read.match, 70);
    ck_assert_uint_eq(answer_read.offset, 1000);
}
END_TEST

/* What comes in is hostile until it was looked at. */
static const struct {
    raft_term term;
    struct raft_entry_id last;
    raft_index config_index;
    uint64_t size;
    const char *reason;
} refused[] = {
    {0, {8, 70}, 3, 1000, "a request of term 0"},
    {9, {0, 70}, 3, 1000, "the last entry cannot be of that term"},
    {9, {8, 0}, 0, 1000, "the last entry cannot be of that term"},
    {7, {8, 70}, 3, 1000, "the last entry cannot be of that term"},
    {9, {8, 70}, 71, 1000, "config_index is beyond last_index"},
};

START_TEST(an_offer_that_cannot_be_is_refused)
{
    snapshot.term = refused[_i].term;
    snapshot.last = refused[_i].last;
    snapshot.config_index = refused[_i].config_index;
    wire_encode_snapshot(&snapshot, &body);
    ck_assert_int_eq(read_snapshot(), RK_INVALID);
    ck_assert_str_eq(reason, refused[_i].reason);
}
END_TEST

START_TEST(a_piece_past_the_end_is_refused)
{
    wire_encode_snapshot(&snapshot, &body);
    rk_buf_append_byte(&body, 0);
    ck_assert_int_eq(read_snapshot(), RK_INVALID);
    ck_assert_str_eq(reason, "the piece reaches past the end of the file");
}
END_TEST

START_TEST(a_configuration_cut_short_is_refused)
{
    wire_encode_snapshot(&snapshot, &body);
    body.size -= 6;
    ck_assert_int_eq(read_snapshot(), RK_INVALID);
    ck_assert_str_eq(reason, "the configuration is cut short");
}
END_TEST

START_TEST(no_piece_past_the_end_is_written)
{
    snapshot.offset++;
    wire_encode_snapshot(&snapshot, &body);
}
END_TEST

START_TEST(other_messages_are_refused)
{
    wire_encode_snapshot_answer(&answer, &body);
    ck_assert_int_eq(read_snapshot(), RK_INVALID);
    rk_buf_reset(&body);
    wire_encode_snapshot(&snapshot, &body);
    ck_assert_int_eq(wire_decode_snapshot_answer(rk_buf_bytes(&body), &answer_read, &reason),
                     RK_INVALID);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("wire_snapshot");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_offer_is_read_back_as_it_was_written);
    tcase_add_test(tcase, an_offer_without_a_piece_is_read_back);
    tcase_add_loop_test(tcase, an_answer_is_read_back_as_it_was_written, 0, 2);
    tcase_add_loop_test(tcase, an_offer_that_cannot_be_is_refused, 0,
                        (int)(sizeof(refused) / sizeof(refused[0])));
    tcase_add_test(tcase, a_piece_past_the_end_is_refused);
    tcase_add_test(tcase, a_configuration_cut_short_is_refused);
    tcase_add_test_raise_signal(tcase, no_piece_past_the_end_is_written, SIGABRT);
    tcase_add_test(tcase, other_messages_are_refused);
    return run_suite("wire_snapshot", tcase);
}
