#include "server/tail.h"

#include <string.h>

#include "base/heap.h"
#include "support/run.h"

static struct tail tail;

static void open_tail(void)
{
    tail_init(&tail, (struct raft_entry_id){.term = 3, .index = 10}, 77);
}

static void close_tail(void)
{
    tail_done(&tail);
}

enum { ENTRY_COST = sizeof(struct tail_entry), OWN_COST = ENTRY_COST + TAIL_BLOCK_COST };

/* One entry of `size` bytes in a block of its own. */
static void append(raft_term term, size_t size)
{
    struct rk_buf buf;

    rk_buf_init(&buf, size);
    memset(rk_buf_extend(&buf, size), 'x', size);
    struct block *block = block_take(&buf);
    const struct tail_entry entry = {
        .term = term,
        .chain = tail.last + 1000,
        .frame = {.data = block->data, .size = (uint32_t)size},
        .block = block,
    };
    tail_append(&tail, &entry);
    block_unref(block);
}

START_TEST(new_tail_knows_only_the_chain_it_goes_on_from)
{
    uint64_t chain = 0;

    ck_assert(tail_get(&tail, 10) == NULL);
    ck_assert(tail_get(&tail, 11) == NULL);
    ck_assert(tail_chain(&tail, 10, &chain));
    ck_assert_uint_eq(chain, 77);
    ck_assert(!tail_chain(&tail, 9, &chain));
    ck_assert(!tail_chain(&tail, 11, &chain));
}
END_TEST

START_TEST(appended_entries_are_found_by_index)
{
    append(3, 5);
    append(4, 6);

    ck_assert_uint_eq(tail.last, 12);
    ck_assert_uint_eq(tail_get(&tail, 12)->term, 4);
    ck_assert_uint_eq(tail_get(&tail, 11)->frame.size, 5);
    ck_assert_uint_eq(tail.bytes, 5 + 6 + 2 * OWN_COST);
}
END_TEST

/* More entries than the ring starts with: they keep their places while it grows. */
START_TEST(growing_keeps_every_entry)
{
    for (int i = 0; i < 5000; i++) {
        append(5, 1);
    }
    for (raft_index index = 11; index <= 5010; index++) {
        ck_assert_uint_eq(tail_get(&tail, index)->chain, index - 1 + 1000);
    }
}
END_TEST

START_TEST(truncation_drops_the_suffix_and_appending_goes_on)
{
    append(3, 5);
    append(3, 5);
    append(3, 5);

    tail_truncate(&tail, 12);
    ck_assert_uint_eq(tail.last, 11);
    ck_assert_uint_eq(tail.bytes, 5 + OWN_COST);
    append(7, 9);
    ck_assert_uint_eq(tail_get(&tail, 12)->term, 7);
}
END_TEST

START_TEST(trimming_keeps_what_is_not_yet_applied)
{
    for (int i = 0; i < 12; i++) {
        append(3, 1 << 20);
    }

    tail_trim(&tail, 13, 10);

    ck_assert_uint_eq(tail.first, 14);
    ck_assert_uint_eq(tail.term_before, 3);
    uint64_t chain = 0;
    ck_assert(tail_chain(&tail, 13, &chain));
    ck_assert_uint_eq(chain, 12 + 1000);
}
END_TEST

START_TEST(trimming_stops_at_the_bytes_kept_for_slow_peers)
{
    for (int i = 0; i < 12; i++) {
        append(3, 1 << 20);
    }

    tail_trim(&tail, 22, 10);

    ck_assert_uint_le(tail.bytes, TAIL_BYTES_KEPT);
    ck_assert_uint_gt(tail.bytes + (1 << 20) + OWN_COST, TAIL_BYTES_KEPT);
    ck_assert_uint_eq(tail.last, 22);
}
END_TEST

START_TEST(less_is_kept_of_what_every_peer_has)
{
    for (int i = 0; i < 12; i++) {
        append(3, 1 << 18);
    }

    tail_trim(&tail, 22, 20);

    ck_assert_uint_le(tail.bytes, TAIL_BYTES_SETTLED);
    ck_assert_uint_gt(tail.bytes + (1 << 18) + OWN_COST, TAIL_BYTES_SETTLED);
}
END_TEST

START_TEST(what_a_peer_lacks_is_kept_up_to_the_larger_bound)
{
    for (int i = 0; i < 12; i++) {
        append(3, 1 << 18);
    }

    tail_trim(&tail, 22, 12);

    ck_assert_uint_eq(tail.first, 13);
    ck_assert_uint_le(tail.bytes, TAIL_BYTES_KEPT);
}
END_TEST

/* A burst's ring is given back when it has gone, and what is left keeps its place. */
START_TEST(a_ring_that_is_too_large_shrinks)
{
    for (int i = 0; i < 5000; i++) {
        append(3, 1000);
    }
    const uint64_t slots_count = tail.slots_count;

    for (int i = 0; i < 8; i++) {
        tail_trim(&tail, tail.last, tail.last);
        append(3, 1 << 20);
    }

    ck_assert_uint_lt(tail.slots_count, slots_count);
    ck_assert_uint_eq(tail_get(&tail, tail.last)->chain, tail.last - 1 + 1000);
}
END_TEST

/* What a buffer had taken beyond its bytes stays taken as long as the block is there. */
START_TEST(a_block_counts_the_room_that_its_buffer_had)
{
    struct rk_buf buf;
    rk_buf_init(&buf, 1 << 20);
    memset(rk_buf_extend(&buf, 1000), 'x', 1000);
    buf.size = 20;
    struct block *block = block_take(&buf);
    const struct tail_entry entry = {
        .term = 3, .frame = {.data = block->data, .size = 20}, .block = block};

    tail_append(&tail, &entry);
    block_unref(block);

    ck_assert_uint_eq(tail.bytes, 1000 + OWN_COST);
}
END_TEST

/* Two entries in each block of 1000 bytes, of which they are a part only. */
static void append_pairs(int count)
{
    for (int i = 0; i < count; i++) {
        struct rk_buf buf;
        rk_buf_init(&buf, 1000);
        memset(rk_buf_extend(&buf, 1000), 'x', 1000);
        struct block *block = block_take(&buf);
        const struct tail_entry entry = {
            .term = 3, .frame = {.data = block->data, .size = 20}, .block = block};
        tail_append(&tail, &entry);
        tail_append(&tail, &entry);
        block_unref(block);
    }
}

/* From either end: as long as one of its entries is there, a block is. */
START_TEST(a_block_counts_once_and_whole)
{
    append_pairs(3);
    ck_assert_uint_eq(tail.bytes, 3 * (1000 + OWN_COST + ENTRY_COST));
    tail_truncate(&tail, 16);
    ck_assert_uint_eq(tail.bytes, 3 * (1000 + OWN_COST) + 2 * ENTRY_COST);
    tail_truncate(&tail, 15);
    ck_assert_uint_eq(tail.bytes, 2 * (1000 + OWN_COST + ENTRY_COST));
    tail_truncate(&tail, 11);
    ck_assert_uint_eq(tail.bytes, 0);
}
END_TEST

START_TEST(what_blocks_hold_beside_their_entries_is_bounded_too)
{
    append_pairs(10000);
    tail_trim(&tail, tail.last, 10);
    ck_assert_uint_le(tail.bytes, TAIL_BYTES_KEPT);
    ck_assert_uint_gt(tail.last - tail.first, 2000);
    const raft_index last = tail.last;
    tail_truncate(&tail, tail.first);
    ck_assert_uint_eq(tail.bytes, 0);
    ck_assert_uint_lt(tail.last, last);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("tail");

    tcase_add_checked_fixture(tcase, open_tail, close_tail);
    tcase_add_test(tcase, new_tail_knows_only_the_chain_it_goes_on_from);
    tcase_add_test(tcase, appended_entries_are_found_by_index);
    tcase_add_test(tcase, growing_keeps_every_entry);
    tcase_add_test(tcase, truncation_drops_the_suffix_and_appending_goes_on);
    tcase_add_test(tcase, trimming_keeps_what_is_not_yet_applied);
    tcase_add_test(tcase, trimming_stops_at_the_bytes_kept_for_slow_peers);
    tcase_add_test(tcase, less_is_kept_of_what_every_peer_has);
    tcase_add_test(tcase, what_a_peer_lacks_is_kept_up_to_the_larger_bound);
    tcase_add_test(tcase, a_ring_that_is_too_large_shrinks);
    tcase_add_test(tcase, a_block_counts_the_room_that_its_buffer_had);
    tcase_add_test(tcase, a_block_counts_once_and_whole);
    tcase_add_test(tcase, what_blocks_hold_beside_their_entries_is_bounded_too);
    return run_suite("tail", tcase);
}
