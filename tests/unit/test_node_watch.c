/* Reads that wait for a change, as the node keeps them (contract 1.7, pitfalls 132, 137, 138). */
#include "node_fixture.h"

#include "base/frame.h"
#include "statemachine/command.h"
#include "support/run.h"

enum { WAITS_MAX = 5000, FRAME_SIZE_MAX = 4096 };

static struct client_request requests[WAITS_MAX];
static struct http_exchange exchanges[WAITS_MAX];

static struct rk_bytes bytes_of(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

/* A put that is committed and applied now, and what a turn does after that. */
static void put(const char *key, const char *value)
{
    const struct sm_command command = {
        .type = SM_COMMAND_KV_PUT,
        .put = {.key = bytes_of(key), .value = bytes_of(value)},
    };
    struct disk_job *job = disk_job_new(DISK_READ);

    rk_buf_init(&job->frames, FRAME_SIZE_MAX);
    job->first = fixture.node->last_applied + 1;
    const size_t offset = rk_frame_begin(&job->frames, RAFT_ENTRY_COMMAND);
    sm_command_encode(&command, &job->frames);
    rk_frame_end(&job->frames, offset);
    (void)rk_frame_seal(job->frames.data, (uint32_t)job->frames.size,
                        &(struct rk_frame_place){.term = 1, .index = job->first});
    node_apply_read(fixture.node, job);
    disk_job_free(job);
    node_apply(fixture.node);
}

static void turn(void)
{
    fixture.node->is_turn_due = false;
    node_watch_turn(fixture.node);
    node_flush_done(fixture.node);
}

/* Waits up to `ms` for a change of `key` after the last entry. */
static struct client_request *wait_begin(uint32_t i, const char *key, uint64_t ms, bool is_stale)
{
    exchanges[i] = (struct http_exchange){.answers = 0};
    requests[i] = (struct client_request){
        .kind = CLIENT_READ,
        .exchange = &exchanges[i],
        .wait =
            {
                .topic = {.kind = SM_TOPIC_KEY, .key = bytes_of(key)},
                .after = fixture.node->last_applied,
                .until_ms = fixture.now_ms + ms,
                .is_stale = is_stale,
            },
    };
    node_watch_begin(fixture.node, &requests[i]);
    turn();
    return &requests[i];
}

static void setup(void)
{
    fixture_open();
    fixture_lead();
    put("k", "1");
    turn();
}

START_TEST(change_ends_the_wait_in_the_turn_that_applies_it)
{
    const struct client_request *request = wait_begin(0, "k", 1000, false);
    put("other", "1");
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 0);
    put("k", "2");
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 1);
    ck_assert_int_eq(request->status, RK_OK);
}
END_TEST

START_TEST(wait_ends_at_its_time_and_not_before)
{
    const struct client_request *request = wait_begin(0, "k", 100, false);

    ck_assert_uint_eq(node_watch_deadline_ms(fixture.node), fixture.now_ms + 100);
    fixture_wait(99);
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 0);
    fixture_wait(1);
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 1);
    ck_assert_int_eq(request->status, RK_OK);
    ck_assert_uint_eq(node_watch_deadline_ms(fixture.node), UINT64_MAX);
}
END_TEST

START_TEST(read_that_need_not_wait_is_answered_at_once)
{
    requests[0] = (struct client_request){.kind = CLIENT_READ, .exchange = &exchanges[0]};
    node_watch_begin(fixture.node, &requests[0]);
    node_flush_done(fixture.node);
    ck_assert_uint_eq(exchanges[0].answers, 1);
}
END_TEST

/* Pitfall 132: the change came while the read waited for its read index. */
START_TEST(change_before_the_wait_begins_ends_it_at_once)
{
    requests[0] = (struct client_request){
        .kind = CLIENT_READ,
        .exchange = &exchanges[0],
        .wait = {.topic = {.kind = SM_TOPIC_KEY, .key = bytes_of("k")},
                 .after = fixture.node->last_applied,
                 .until_ms = fixture.now_ms + 1000},
    };
    put("k", "2");
    node_watch_begin(fixture.node, &requests[0]);
    node_flush_done(fixture.node);
    ck_assert_uint_eq(exchanges[0].answers, 1);
}
END_TEST

static void lose_leadership(void)
{
    for (int i = 0; i < 20 && node_is_leader(fixture.node); i++) {
        fixture_wait(fixture.options.election_timeout_ms / 4);
    }
    ck_assert(!node_is_leader(fixture.node) && !node_has_leader(fixture.node));
}

/* An election is nothing to a client that waits for a change. */
START_TEST(wait_outlives_a_change_of_the_leader)
{
    static struct http_exchange exchange; /* not answered before the disk has the term */

    (void)wait_begin(0, "k", 100000, false);
    lose_leadership();
    turn();
    fixture_receive(&exchange, "n3",
                    &(struct raft_message){.type = RAFT_HEARTBEAT_REQUEST, .term = 9});
    ck_assert(node_has_leader(fixture.node));
    turn();
    fixture.node->now_ms += NODE_GIVE_UP_TIMEOUTS * fixture.options.election_timeout_ms;
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 0);
    put("k", "2");
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 1);
    fixture_exchange_done(&exchange);
}
END_TEST

START_TEST(wait_without_a_leader_ends_as_any_request_does)
{
    const struct client_request *request = wait_begin(0, "k", 100000, false);

    lose_leadership();
    turn();
    fixture.node->now_ms += NODE_GIVE_UP_TIMEOUTS * fixture.options.election_timeout_ms - 1;
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 0);
    fixture.node->now_ms++;
    ck_assert_uint_eq(node_watch_deadline_ms(fixture.node), fixture.node->now_ms);
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 1);
    ck_assert_int_eq(request->status, RK_NO_LEADER);
}
END_TEST

START_TEST(stale_wait_needs_no_leader)
{
    (void)wait_begin(0, "k", 100000, true);
    lose_leadership();
    turn();
    fixture.node->now_ms += NODE_GIVE_UP_TIMEOUTS * fixture.options.election_timeout_ms;
    turn();
    ck_assert_uint_eq(exchanges[0].answers, 0);
}
END_TEST

/* Two come back: the read, and the word that it shall wait no more. */
static void give_up(struct client_request *request)
{
    static struct client_request word;

    exchanges[1] = (struct http_exchange){.answers = 0};
    word = (struct client_request){
        .kind = CLIENT_GIVE_UP, .exchange = &exchanges[1], .given_up = request};
    node_watch_give_up(fixture.node, &word);
    node_flush_done(fixture.node);
}

START_TEST(wait_of_a_client_that_went_ends)
{
    give_up(wait_begin(0, "k", 1000, false));
    ck_assert_uint_eq(exchanges[0].answers, 1);
    ck_assert_uint_eq(exchanges[1].answers, 1);
}
END_TEST

/* The word overtakes the read, which waits for its read index still. */
START_TEST(wait_of_a_client_that_went_before_it_began_never_begins)
{
    requests[0] = (struct client_request){
        .kind = CLIENT_READ,
        .exchange = &exchanges[0],
        .wait = {.topic = {.kind = SM_TOPIC_KEY, .key = bytes_of("k")},
                 .after = fixture.node->last_applied,
                 .until_ms = fixture.now_ms + 1000},
    };
    give_up(&requests[0]);
    ck_assert_uint_eq(exchanges[0].answers, 0);
    ck_assert_uint_eq(exchanges[1].answers, 1);
    node_watch_begin(fixture.node, &requests[0]);
    node_flush_done(fixture.node);
    ck_assert_uint_eq(exchanges[0].answers, 1);
}
END_TEST

static uint32_t answered_count(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < WAITS_MAX; i++) {
        count += exchanges[i].answers;
    }
    return count;
}

/* Pitfall 137: the thread that applies must go on while a crowd is woken. */
START_TEST(crowd_is_woken_over_several_turns)
{
    uint32_t turns = 0;

    for (uint32_t i = 0; i < WAITS_MAX; i++) {
        (void)wait_begin(i, "k", 100000, false);
    }
    put("k", "2");
    do {
        turn();
        turns++;
    } while (fixture.node->is_turn_due);
    ck_assert_uint_eq(answered_count(), WAITS_MAX);
    ck_assert_uint_ge(turns, 3);
}
END_TEST

START_TEST(stop_answers_every_wait_with_what_is_there)
{
    const struct client_request *strict = wait_begin(0, "k", 100000, false);
    const struct client_request *stale = wait_begin(1, "k", 100000, true);

    node_watch_stop(fixture.node);
    ck_assert_uint_eq(exchanges[0].answers, 1);
    ck_assert_uint_eq(exchanges[1].answers, 1);
    ck_assert_int_eq(strict->status, RK_OK);
    ck_assert_int_eq(stale->status, RK_OK);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_watch");

    tcase_add_checked_fixture(tcase, setup, fixture_close);
    tcase_add_test(tcase, change_ends_the_wait_in_the_turn_that_applies_it);
    tcase_add_test(tcase, wait_ends_at_its_time_and_not_before);
    tcase_add_test(tcase, read_that_need_not_wait_is_answered_at_once);
    tcase_add_test(tcase, change_before_the_wait_begins_ends_it_at_once);
    tcase_add_test(tcase, wait_outlives_a_change_of_the_leader);
    tcase_add_test(tcase, wait_without_a_leader_ends_as_any_request_does);
    tcase_add_test(tcase, stale_wait_needs_no_leader);
    tcase_add_test(tcase, wait_of_a_client_that_went_ends);
    tcase_add_test(tcase, wait_of_a_client_that_went_before_it_began_never_begins);
    tcase_add_test(tcase, crowd_is_woken_over_several_turns);
    tcase_add_test(tcase, stop_answers_every_wait_with_what_is_there);
    return run_suite("node_watch", tcase);
}
