/* Linearizable reads of a node: nobody waits for ever, nobody is answered twice (diss. 6.4). */
#include "node_fixture.h"

#include "base/heap.h"
#include "support/run.h"

enum { READS_MAX = 1100 };

static struct client_request requests[READS_MAX];
static struct http_exchange exchanges[READS_MAX];

/* A client's read that comes in now and may wait for `ms`. */
static struct client_request *read_begin(uint32_t i, uint64_t ms)
{
    exchanges[i] = (struct http_exchange){.answers = 0};
    requests[i] = (struct client_request){
        .kind = CLIENT_READ,
        .exchange = &exchanges[i],
        .give_up_ms = fixture.now_ms + ms,
    };
    client_list_push(&fixture.node->reads, &requests[i]);
    node_flush_reads(fixture.node);
    return &requests[i];
}

static void turn(void)
{
    node_flush_reads(fixture.node);
    node_apply(fixture.node);
    node_complete_reads(fixture.node);
    node_flush_done(fixture.node);
}

static void confirm_round(uint64_t round)
{
    fixture_reply("/raft/append", "n2",
                  &(struct raft_message){
                      .type = RAFT_HEARTBEAT_RESPONSE,
                      .term = 1,
                      .heartbeat_response = {.round = round, .last = 1, .commit_index = 1},
                  });
}

/* The newest heartbeat that n2 was sent. */
static uint64_t round_sent(void)
{
    struct wire_message *sent = fixture.node->decoded;
    const char *reason = NULL;
    const struct fixture_post *post = fixture_post_to("/raft/append", "n2");

    ck_assert(post != NULL);
    ck_assert_int_eq(
        wire_decode_message(rk_buf_bytes(&post->body), "/raft/append", true, sent, &reason), RK_OK);
    ck_assert_int_eq(sent->message.type, RAFT_HEARTBEAT_REQUEST);
    return sent->message.heartbeat_request.round;
}

/* A whole snapshot may be far behind what this node had applied, and answered, before. */
START_TEST(stale_reads_of_a_node_just_started_wait_for_what_its_log_held)
{
    struct node *node = fixture.node;

    fixture_lead();
    node_apply(node);
    node->numbers.has_caught_up = false;
    node->log_end_at_start = 5;
    node->view.last.index = 7;
    node_view_update(node);
    ck_assert(!node_has_caught_up(node));

    node->view.last.index = node->view.commit_index; /* no leader has the end of it */
    node_view_update(node);
    ck_assert(node_has_caught_up(node));
}
END_TEST

START_TEST(read_is_answered_when_its_round_is_confirmed)
{
    fixture_lead();
    confirm_round(round_sent());
    const struct client_request *request = read_begin(0, 1000);
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 0);

    confirm_round(round_sent());
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 1);
    ck_assert_int_eq(request->status, RK_OK);
}
END_TEST

/* 98: a read joins the next round, never the one under way. */
START_TEST(read_is_not_confirmed_by_the_round_under_way_when_it_came)
{
    fixture_lead();
    const uint64_t before = round_sent();
    (void)read_begin(0, 1000);
    confirm_round(before);
    turn();

    ck_assert_uint_eq(exchanges[0].answers, 0);
}
END_TEST

/* The core holds a bounded number of reads; those it took it will name again. */
START_TEST(reads_beyond_what_the_core_takes_wait_and_all_are_answered)
{
    fixture_lead();
    confirm_round(round_sent());
    for (uint32_t i = 0; i < READS_MAX; i++) {
        (void)read_begin(i, 10000);
    }
    ck_assert_uint_gt(fixture.node->reads.count, 0);
    for (uint32_t i = 0; i < 40; i++) {
        if (fixture_post_to("/raft/append", "n2") != NULL) {
            confirm_round(round_sent());
        }
        fixture_wait(fixture.options.heartbeat_interval_ms);
        turn();
    }

    for (uint32_t i = 0; i < READS_MAX; i++) {
        ck_assert_uint_eq(exchanges[i].answers, 1);
        ck_assert_int_eq(requests[i].status, RK_OK);
    }
}
END_TEST

START_TEST(read_whose_round_is_never_confirmed_ends_without_a_leader)
{
    fixture_lead();
    const struct client_request *request = read_begin(0, 300);
    fixture_wait(299);
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 0);
    fixture_wait(NODE_EXPIRE_MS);
    turn();

    ck_assert_uint_eq(exchanges[0].answers, 1);
    ck_assert_int_eq(request->status, RK_NO_LEADER);
}
END_TEST

/* The leader gave an index and fell silent before this node learned that it is committed. */
START_TEST(confirmed_read_whose_index_is_never_reached_ends_without_a_leader)
{
    struct read_batch *batch = rk_heap_zalloc(1, sizeof(*batch));

    fixture_form();
    const struct client_request *request = read_begin(0, 300);
    batch->is_confirmed = true;
    batch->read_index = 9;
    client_list_move(&batch->clients, &fixture.node->reads);
    fixture.node->read_batches = batch;
    fixture.node->read_batches_last = batch;
    fixture_wait(300);
    turn();

    ck_assert_uint_eq(exchanges[0].answers, 1);
    ck_assert_int_eq(request->status, RK_NO_LEADER);
}
END_TEST

START_TEST(unconfirmed_read_is_asked_again_when_leadership_is_lost)
{
    struct http_exchange exchange;

    fixture_lead();
    (void)read_begin(0, 1000);
    fixture_receive(&exchange, "n3",
                    &(struct raft_message){.type = RAFT_HEARTBEAT_REQUEST, .term = 2});

    ck_assert_uint_eq(fixture.node->reads.count, 1);
    ck_assert(fixture.node->read_batches == NULL);
    node_flush_reads(fixture.node);
    ck_assert(fixture_post_to("/raft/read-index", "n3") != NULL);
    fixture_persist();
    fixture_exchange_done(&exchange);
}
END_TEST

/* A question that the leader did not answer waits in its old place. */
START_TEST(lost_question_to_the_leader_is_asked_again)
{
    struct http_exchange exchange;

    fixture_form();
    fixture_receive(&exchange, "n3",
                    &(struct raft_message){.type = RAFT_HEARTBEAT_REQUEST, .term = 2});
    fixture_persist();
    fixture_exchange_done(&exchange);
    (void)read_begin(0, 1000);
    fixture_lose(fixture_post_to("/raft/read-index", "n3"), RK_UNKNOWN);
    ck_assert_uint_eq(fixture.node->reads.count, 1);
    ck_assert_uint_eq(fixture.node->read_indexes_in_flight, 0);

    fixture_wait(NODE_RETRY_MS);
    node_flush_reads(fixture.node);
    ck_assert(fixture_post_to("/raft/read-index", "n3") != NULL);
    ck_assert_uint_eq(exchanges[0].answers, 0);
}
END_TEST

START_TEST(stop_ends_every_read)
{
    fixture_lead();
    (void)read_begin(0, 1000);
    node_drop_reads(fixture.node);

    ck_assert(fixture.node->read_batches == NULL);
    ck_assert_uint_eq(fixture.node->reads.count, 1); /* the caller ends them, with the others */
}
END_TEST

/* 6.4.1: no lease unless asked for; then from the first confirmed round on, as far as the clock of
 * boot goes and as this node has applied. */
START_TEST(lease_is_published_when_it_is_asked_for)
{
    fixture_lead();
    confirm_round(round_sent());
    ck_assert(!node_lease_holds(fixture.node, UINT64_MAX));

    fixture_close();
    fixture_open();
    fixture.options.lease_reads = true;
    fixture.options.lease_drift_percent = 1;
    fixture_lead();
    confirm_round(round_sent());
    ck_assert(node_lease_holds(fixture.node, fixture.node->view.commit_index));
    ck_assert(!node_lease_holds(fixture.node, fixture.node->view.commit_index - 1));
    fixture.now_ms += fixture.options.election_timeout_ms;
    ck_assert(!node_lease_holds(fixture.node, UINT64_MAX));
}
END_TEST

/* A loop that saw the root a moment before the commit was applied: no round is needed here either,
 * but for a read that asks for one. */
START_TEST(lease_serves_reads_but_strict_ones)
{
    fixture.options.lease_reads = true;
    node_restart_core(fixture.node, &(struct raft_restored){.base = {0}});
    fixture_lead();
    confirm_round(round_sent());
    turn();
    const struct client_request *request = read_begin(0, 1000);
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 1);
    ck_assert_int_eq(request->status, RK_OK);

    exchanges[1] = (struct http_exchange){.answers = 0};
    requests[1] = (struct client_request){.kind = CLIENT_READ,
                                          .exchange = &exchanges[1],
                                          .is_strict = true,
                                          .give_up_ms = fixture.now_ms + 1000};
    client_list_push(&fixture.node->reads, &requests[1]);
    turn();
    ck_assert_uint_eq(exchanges[1].answers, 0);
    confirm_round(round_sent());
    turn();
    ck_assert_uint_eq(exchanges[1].answers, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_reads");

    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, stale_reads_of_a_node_just_started_wait_for_what_its_log_held);
    tcase_add_test(tcase, read_is_answered_when_its_round_is_confirmed);
    tcase_add_test(tcase, read_is_not_confirmed_by_the_round_under_way_when_it_came);
    tcase_add_test(tcase, reads_beyond_what_the_core_takes_wait_and_all_are_answered);
    tcase_add_test(tcase, read_whose_round_is_never_confirmed_ends_without_a_leader);
    tcase_add_test(tcase, confirmed_read_whose_index_is_never_reached_ends_without_a_leader);
    tcase_add_test(tcase, unconfirmed_read_is_asked_again_when_leadership_is_lost);
    tcase_add_test(tcase, lost_question_to_the_leader_is_asked_again);
    tcase_add_test(tcase, stop_ends_every_read);
    tcase_add_test(tcase, lease_is_published_when_it_is_asked_for);
    tcase_add_test(tcase, lease_serves_reads_but_strict_ones);
    return run_suite("node_reads", tcase);
}
