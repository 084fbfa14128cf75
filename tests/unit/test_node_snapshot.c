/* A snapshot that somebody asks for; and one that a leader sent and that came too late to be installed: it
 * is noted down, the one before it may be gone, and the core knows only of that. */
#include "node_fixture.h"

#include "support/run.h"

/* This node leads, and has applied entry 1; it holds a snapshot of that which the core does not know. */
static void set_up(void)
{
    fixture_open();
    fixture_lead();
    node_apply(fixture.node);
    node_report_applied(fixture.node);
    ck_assert_uint_eq(fixture.node->view.last_applied, 1);
    fixture.node->snaps.held[0] = (struct snap_info){
        .ref = {.id = {.term = 1, .index = 1}, .size = 100},
        .config_index = 1,
        .membership = fixture.node->membership,
    };
    fixture.node->snaps.held_count = 1;
}

START_TEST(core_hears_of_the_newest_once_it_is_applied)
{
    ck_assert_uint_eq(fixture.node->view.snapshot.index, 0);
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(fixture.node->view.snapshot.index, 1);
}
END_TEST

START_TEST(offer_of_one_that_is_gone_fails_and_is_made_again)
{
    struct peer *peer = fixture_peer("n2");
    const struct raft_snapshot gone = {.id = {.term = 1, .index = 7}};
    const struct raft_message offer = {.type = RAFT_SNAPSHOT_REQUEST,
                                       .to = peer->id,
                                       .term = 1,
                                       .snapshot_request = {.snapshot = &gone, .sequence = 3}};
    node_sending_begin(fixture.node, peer, &offer);
    ck_assert(!peer->sending.is_active);
    ck_assert(peer->sending.is_failed_due);
    node_snapshot_turn(fixture.node);
    ck_assert(!peer->sending.is_failed_due);
}
END_TEST

START_TEST(one_is_taken_when_it_is_asked_for)
{
    fixture.node->snaps.held_count = 0;
    fixture.options.snapshot_entries = 100;
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(fixture.snap_jobs_count, 0);
    node_take_snapshot(fixture.node);
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(fixture.snap_jobs_count, 1);
    struct snap_job *job = fixture.snap_jobs[0];
    ck_assert_int_eq(job->type, SNAP_TAKE);
    fixture.snap_jobs_count = 0;
    job->info.ref.size = 100;
    ck_assert_int_eq(rk_queue_push(fixture.snap_results, &job, 1), RK_OK);
    node_snapshot_turn(fixture.node);
    fixture.node->snaps.is_noting = false; /* it might have come to nothing */
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(fixture.snap_jobs_count, 0); /* asked once, taken once */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("snapshot");
    tcase_add_checked_fixture(tcase, set_up, fixture_close);
    tcase_add_test(tcase, one_is_taken_when_it_is_asked_for);
    tcase_add_test(tcase, core_hears_of_the_newest_once_it_is_applied);
    tcase_add_test(tcase, offer_of_one_that_is_gone_fails_and_is_made_again);
    return run_suite("node_snapshot", tcase);
}
