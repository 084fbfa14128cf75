#include <signal.h>

#include "server/outbox.h"
#include "server/pending.h"
#include "support/run.h"

static struct raft_entry_id id(raft_term term, raft_index index)
{
    return (struct raft_entry_id){.term = term, .index = index};
}

START_TEST(waiters_come_out_in_the_order_of_their_entries)
{
    struct pending pending;

    pending_init(&pending);
    for (raft_index index = 1; index <= 1000; index++) {
        pending_add(&pending, id(2, index), (struct origin){.item = (uint32_t)index});
    }
    ck_assert_uint_eq(pending_count(&pending), 1000);
    for (raft_index index = 1; index <= 1000; index++) {
        ck_assert_uint_eq(pending_first(&pending)->id.index, index);
        ck_assert_uint_eq(pending_first(&pending)->origin.item, index);
        pending_drop_first(&pending);
    }
    ck_assert(pending_first(&pending) == NULL);
    pending_done(&pending);
}
END_TEST

/* Two waiters for one entry would both be told that theirs was applied (pitfall 114). */
START_TEST(pitfall_114_second_waiter_for_an_index_aborts)
{
    struct pending pending;

    pending_init(&pending);
    pending_add(&pending, id(2, 5), (struct origin){0});
    pending_add(&pending, id(3, 5), (struct origin){0});
    ck_abort_msg("accepted");
}
END_TEST

static struct raft_message after(uint64_t write_number)
{
    return (struct raft_message){.type = RAFT_VOTE_RESPONSE, .after_write = write_number};
}

/* Dissertation 3.8: nothing that promises leaves before what it promises is durable. */
START_TEST(held_messages_leave_when_their_write_is_durable)
{
    struct outbox outbox;
    const struct raft_message first = after(3);
    const struct raft_message second = after(4);

    outbox_init(&outbox);
    outbox_hold(&outbox, &first);
    outbox_hold(&outbox, &second);

    ck_assert(outbox_take(&outbox, 2) == NULL);
    ck_assert_uint_eq(outbox_take(&outbox, 3)->after_write, 3);
    ck_assert(outbox_take(&outbox, 3) == NULL);
    ck_assert_uint_eq(outbox_take(&outbox, 9)->after_write, 4);
    ck_assert(outbox_take(&outbox, 9) == NULL);
    outbox_done(&outbox);
}
END_TEST

START_TEST(outbox_keeps_order_while_it_grows)
{
    struct outbox outbox;

    outbox_init(&outbox);
    for (uint64_t number = 1; number <= 500; number++) {
        const struct raft_message message = after(number);
        outbox_hold(&outbox, &message);
    }
    for (uint64_t number = 1; number <= 500; number++) {
        ck_assert_uint_eq(outbox_take(&outbox, 500)->after_write, number);
    }
    outbox_done(&outbox);
}
END_TEST

START_TEST(write_numbers_that_fall_abort)
{
    struct outbox outbox;
    const struct raft_message newer = after(4);
    const struct raft_message older = after(3);

    outbox_init(&outbox);
    outbox_hold(&outbox, &newer);
    outbox_hold(&outbox, &older);
    ck_abort_msg("accepted");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("pending");

    tcase_add_test(tcase, waiters_come_out_in_the_order_of_their_entries);
    tcase_add_test_raise_signal(tcase, pitfall_114_second_waiter_for_an_index_aborts, SIGABRT);
    tcase_add_test(tcase, held_messages_leave_when_their_write_is_durable);
    tcase_add_test(tcase, outbox_keeps_order_while_it_grows);
    tcase_add_test_raise_signal(tcase, write_numbers_that_fall_abort, SIGABRT);
    return run_suite("pending", tcase);
}
