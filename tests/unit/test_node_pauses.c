/* What a node does beside the writes leaves the disk to them: reads for a peer that lags, and slices of
 * compaction, with a pause after each by the time that it took. */
#include "node_fixture.h"

#include "support/run.h"

enum { TOOK_US = 5000, PAUSE_MS = 1 + 2 * TOOK_US / 1000, LOG_LAST = 1000 };

static struct peer *peer;

/* This node leads; its tail is gone up to LOG_LAST, and what n3 is to be sent next is on the disk. */
static void set_up(void)
{
    fixture_open();
    fixture_lead();
    peer = fixture_peer("n3");
    tail_done(&fixture.node->tail);
    tail_init(&fixture.node->tail, (struct raft_entry_id){.term = 1, .index = LOG_LAST}, 9);
    const struct raft_message append = {
        .type = RAFT_APPEND_REQUEST,
        .to = peer->id,
        .term = fixture.node->view.hard_state.term,
        .append_request = {.previous = {.term = 1, .index = 3}, .entries_last = 200},
    };
    peer->appends_count = 0;
    node_send(fixture.node, &append);
}

/* How many jobs of that type wait. */
static uint32_t jobs_of(enum disk_job_type type)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < fixture.jobs_count; i++) {
        count += fixture.jobs[i]->type == type;
    }
    return count;
}

/* The newest job, which is taken out. */
static struct disk_job *take_job(enum disk_job_type type)
{
    ck_assert_uint_gt(fixture.jobs_count, 0);
    fixture.jobs_count--;
    struct disk_job *job = fixture.jobs[fixture.jobs_count];
    ck_assert_int_eq(job->type, type);
    return job;
}

/* The read comes back, with nothing that could be sent: the node looks again. Meanwhile `commits` more
 * entries were committed. */
static void finish_reading(uint64_t took_us, uint64_t commits)
{
    struct disk_job *job = take_job(DISK_READ);

    job->took_us = took_us;
    fixture.node->view.commit_index += commits;
    node_append_read(fixture.node, job);
    disk_job_free(job);
}

START_TEST(after_a_read_for_a_peer_that_lags_the_disk_is_the_writes)
{
    finish_reading(TOOK_US, 1);
    ck_assert_uint_eq(jobs_of(DISK_READ), 0);
    ck_assert_uint_eq(node_appends_deadline_ms(fixture.node), fixture.now_ms + PAUSE_MS);
    fixture.node->now_ms += PAUSE_MS - 1;
    node_appends_turn(fixture.node);
    ck_assert_uint_eq(jobs_of(DISK_READ), 0);
    fixture.node->now_ms++;
    node_appends_turn(fixture.node);
    ck_assert_uint_eq(jobs_of(DISK_READ), 1);
    ck_assert_uint_eq(node_appends_deadline_ms(fixture.node), UINT64_MAX);
}
END_TEST

/* What comes in for it during the pause does not cut it short. */
START_TEST(another_append_does_not_end_the_pause)
{
    const struct raft_message append = {
        .type = RAFT_APPEND_REQUEST,
        .to = peer->id,
        .term = fixture.node->view.hard_state.term,
        .append_request = {.previous = {.term = 1, .index = 200}, .entries_last = 300},
    };

    finish_reading(TOOK_US, 1);
    node_send(fixture.node, &append);
    ck_assert_uint_eq(jobs_of(DISK_READ), 0);
}
END_TEST

/* With one of three down, this peer's copy is what the clients wait for. */
START_TEST(peer_without_which_nothing_commits_is_read_for_at_once)
{
    finish_reading(TOOK_US, 0);
    ck_assert_uint_eq(jobs_of(DISK_READ), 1);
    ck_assert_uint_eq(node_appends_deadline_ms(fixture.node), UINT64_MAX);
}
END_TEST

/* A disk that stood still for a second says nothing of what a read costs. */
START_TEST(pause_after_a_read_has_an_end)
{
    finish_reading(1000 * 1000, 1);
    fixture.node->now_ms += 50;
    node_appends_turn(fixture.node);
    ck_assert_uint_eq(jobs_of(DISK_READ), 1);
}
END_TEST

/* ---- compaction ---- */

static void compacted(uint64_t took_us)
{
    struct disk_job *job = take_job(DISK_COMPACT);

    job->took_us = took_us;
    job->base = (struct raft_entry_id){.term = 1, .index = fixture.node->snaps.base.index + 8};
    node_snapshot_compacted(fixture.node, job);
    disk_job_free(job);
}

/* The core lets the log begin at LOG_LAST; the first slice is on its way. */
static void begin_compaction(uint32_t slice_entries)
{
    disk_job_free(take_job(DISK_READ));
    fixture.node->view.base.index = LOG_LAST;
    fixture.node->snaps.slice_entries = slice_entries;
    node_snapshot_turn(fixture.node);
}

START_TEST(after_a_slice_of_compaction_the_disk_is_the_writes)
{
    begin_compaction(64);
    compacted(TOOK_US);
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(jobs_of(DISK_COMPACT), 0);
    ck_assert_uint_eq(node_snapshot_deadline_ms(fixture.node), fixture.now_ms + PAUSE_MS);
    fixture.node->now_ms += PAUSE_MS - 1;
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(jobs_of(DISK_COMPACT), 0);
    fixture.node->now_ms++;
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(jobs_of(DISK_COMPACT), 1);
}
END_TEST

START_TEST(slices_of_compaction_are_as_long_as_they_may_take)
{
    begin_compaction(64);
    compacted(NODE_COMPACT_SLICE_US + 1);
    ck_assert_uint_eq(fixture.node->snaps.slice_entries, 32);
    fixture.node->now_ms += 100;
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(fixture.jobs[fixture.jobs_count - 1]->entries_max, 32);
    compacted(NODE_COMPACT_SLICE_US);
    ck_assert_uint_eq(fixture.node->snaps.slice_entries, 64);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("pauses");

    tcase_add_checked_fixture(tcase, set_up, fixture_close);
    tcase_add_test(tcase, after_a_read_for_a_peer_that_lags_the_disk_is_the_writes);
    tcase_add_test(tcase, another_append_does_not_end_the_pause);
    tcase_add_test(tcase, peer_without_which_nothing_commits_is_read_for_at_once);
    tcase_add_test(tcase, pause_after_a_read_has_an_end);
    tcase_add_test(tcase, after_a_slice_of_compaction_the_disk_is_the_writes);
    tcase_add_test(tcase, slices_of_compaction_are_as_long_as_they_may_take);
    return run_suite("node_pauses", tcase);
}
