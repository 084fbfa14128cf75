/* What a client learns of its write when the entry is not its own any more. */
#include "node_fixture.h"

#include "base/frame.h"
#include "support/run.h"

static struct http_exchange exchange;
static struct client_request request;

/* A client's write that was appended as `id` and waits for its outcome. */
static void write_pend(struct raft_entry_id id)
{
    exchange = (struct http_exchange){.answers = 0};
    request = (struct client_request){.kind = CLIENT_WRITE, .exchange = &exchange};
    pending_add(&fixture.node->pending, id,
                (struct origin){.type = ORIGIN_CLIENT, .client = &request});
}

/* Pitfall 113: an older copy may have been seen elsewhere, so this is not "not done". */
START_TEST(pitfall_113_truncated_write_has_an_unknown_outcome)
{
    fixture_lead();
    const raft_index index = fixture.node->view.last.index + 1;
    write_pend((struct raft_entry_id){.term = 1, .index = index});
    node_truncate_pending(fixture.node, index);
    node_flush_done(fixture.node);

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_int_eq(request.status, RK_UNKNOWN);
}
END_TEST

START_TEST(write_before_what_is_truncated_goes_on_waiting)
{
    fixture_lead();
    const raft_index index = fixture.node->view.last.index + 1;
    write_pend((struct raft_entry_id){.term = 1, .index = index});
    node_truncate_pending(fixture.node, index + 1);
    node_flush_done(fixture.node);

    ck_assert_uint_eq(exchange.answers, 0);
    ck_assert_uint_eq(pending_count(&fixture.node->pending), 1);
}
END_TEST

/* Pitfall 113: leadership is lost, and it may still be committed by the next leader. */
START_TEST(pitfall_113_pending_write_that_is_given_up_has_an_unknown_outcome)
{
    fixture_lead();
    write_pend((struct raft_entry_id){.term = 1, .index = fixture.node->view.last.index + 1});
    node_fail_pending(fixture.node);
    node_flush_done(fixture.node);

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_int_eq(request.status, RK_UNKNOWN);
}
END_TEST

/* Cluster time as the newest write to the disk is stamped. */
static uint64_t last_stamp_ms(void)
{
    const struct disk_job *job = fixture.jobs[fixture.jobs_count - 1];
    struct rk_frame frame;
    uint32_t size = 0;

    ck_assert_int_eq(job->type, DISK_WRITE);
    ck_assert_uint_eq(job->write.entries_count, 1);
    ck_assert_int_eq(rk_frame_read(job->entries[0].frame, &frame, &size), RK_OK);
    return frame.time_ms;
}

static void propose(const struct sm_command *command)
{
    struct rk_buf frame;

    rk_buf_init(&frame, RK_FRAME_SIZE_MAX);
    const size_t begin = rk_frame_begin(&frame, RAFT_ENTRY_COMMAND);
    sm_command_encode(command, &frame);
    rk_frame_end(&frame, begin);
    ck_assert_int_eq(node_propose(fixture.node, &frame, (struct origin){.type = ORIGIN_NOBODY}),
                     RK_OK);
    node_flush_proposals(fixture.node);
}

static void propose_noop(void)
{
    propose(&(struct sm_command){.type = SM_COMMAND_KV_DELETE_PREFIX});
}

/* The cluster's first entry stands at 0, whatever the node's clock shows. */
START_TEST(leader_stamps_the_time_since_the_first_entry)
{
    fixture_lead();
    fixture.node->now_ms += 250;
    propose_noop();
    const uint64_t first_ms = last_stamp_ms();
    fixture.node->now_ms += 40;
    propose_noop();
    ck_assert_uint_ge(first_ms, 250);
    ck_assert_uint_lt(first_ms, 1000);
    ck_assert_uint_eq(last_stamp_ms(), first_ms + 40);
}
END_TEST

/* The parts of a restore, or large values: 64 of them are many times a turn's work. */
START_TEST(turn_of_large_entries_ends_in_time)
{
    enum { COUNT = 8, VALUE_SIZE = 64 * 1024 };
    static const uint8_t value[VALUE_SIZE];
    const struct rk_bytes key = {.data = (const uint8_t *)"k", .size = 1};
    struct sm_command put = {.type = SM_COMMAND_KV_PUT, .put = {.key = key}};

    fixture_lead();
    node_apply(fixture.node);
    const raft_index before = fixture.node->last_applied;
    put.put.value = (struct rk_bytes){.data = value, .size = VALUE_SIZE};
    for (uint32_t i = 0; i < COUNT; i++) {
        propose(&put);
    }
    fixture.node->view.commit_index = before + COUNT;
    fixture.look_us = NODE_APPLY_TURN_US + 1;
    node_apply(fixture.node);
    ck_assert_uint_eq(fixture.node->last_applied, before + 1);
    ck_assert(fixture.node->is_apply_due);
}
END_TEST

/* The entry after the last applied one is applied now; it is of `term`. */
static void apply_next(raft_term term)
{
    struct disk_job *job = disk_job_new(DISK_READ);

    rk_buf_init(&job->frames, 4096);
    job->first = fixture.node->last_applied + 1;
    rk_frame_end(&job->frames, rk_frame_begin(&job->frames, RAFT_ENTRY_NOOP));
    (void)rk_frame_seal(job->frames.data, (uint32_t)job->frames.size,
                        &(struct rk_frame_place){.term = term, .index = job->first});
    node_apply_read(fixture.node, job);
    disk_job_free(job);
    node_flush_done(fixture.node);
}

/* Pitfall 114: another leader's entry at the same index is not the one that was proposed. */
START_TEST(pitfall_114_entry_of_another_term_is_not_the_waiters)
{
    fixture_lead();
    write_pend((struct raft_entry_id){.term = 1, .index = fixture.node->last_applied + 1});
    apply_next(2);

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_int_eq(request.status, RK_UNKNOWN);
}
END_TEST

START_TEST(entry_of_the_waiters_term_is_its_own)
{
    fixture_lead();
    write_pend((struct raft_entry_id){.term = 1, .index = fixture.node->last_applied + 1});
    apply_next(1);

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_int_eq(request.status, RK_OK);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_writes");
    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, turn_of_large_entries_ends_in_time);
    tcase_add_test(tcase, leader_stamps_the_time_since_the_first_entry);
    tcase_add_test(tcase, pitfall_113_truncated_write_has_an_unknown_outcome);
    tcase_add_test(tcase, pitfall_113_pending_write_that_is_given_up_has_an_unknown_outcome);
    tcase_add_test(tcase, write_before_what_is_truncated_goes_on_waiting);
    tcase_add_test(tcase, pitfall_114_entry_of_another_term_is_not_the_waiters);
    tcase_add_test(tcase, entry_of_the_waiters_term_is_its_own);
    return run_suite("node_writes", tcase);
}
