/* The stages of a request, by a clock that the test moves: each microsecond is in one of them. */
#include "node_fixture.h"

#include "base/clock.h"
#include "support/run.h"

enum { PROPOSE_MS = 3, COMMIT_MS = 50, APPLY_MS = 2, READ_MS = 7 };

static struct http_exchange exchange;
static struct client_request request;
static struct rk_meters_values values;

static void begin(enum client_kind kind, enum rk_measure_id stage)
{
    exchange = (struct http_exchange){.answers = 0};
    request = (struct client_request){
        .kind = kind,
        .exchange = &exchange,
        .give_up_ms = UINT64_MAX,
        .passed_us = rk_monotonic_us(),
        .stage = stage,
    };
}

/* A client's write as the mailbox gave it to this turn. */
static void write_begin(void)
{
    static const uint8_t key[] = "k";
    const struct sm_command put = {.type = SM_COMMAND_KV_PUT, .put = {.key = {key, 1}}};

    begin(CLIENT_WRITE, RK_MEASURE_FORWARD);
    rk_buf_init(&request.frame, RK_FRAME_SIZE_MAX);
    const size_t at = rk_frame_begin(&request.frame, RAFT_ENTRY_COMMAND);
    sm_command_encode(&put, &request.frame);
    rk_frame_end(&request.frame, at);
    client_list_push(&fixture.node->writes, &request);
}

static void go_on(uint64_t ms)
{
    fixture.now_ms += ms;
    fixture.node->now_ms = fixture.now_ms;
}

static void expect_once(enum rk_measure_id id, uint64_t ms)
{
    ck_assert_uint_eq(values.measures[id].count, 1);
    ck_assert_uint_eq(values.measures[id].sum, ms * 1000);
}

static void look(void)
{
    rk_meters_read(fixture.node->meters, rk_monotonic_us(), false, &values);
}

/* The core's first entry was pending for nobody, and is not among them. */
static void lead(void)
{
    fixture_lead();
    node_apply(fixture.node);
    node_report_applied(fixture.node);
}

START_TEST(times_of_a_write_follow_each_other)
{
    lead();
    write_begin();
    go_on(PROPOSE_MS);
    node_flush_writes(fixture.node);
    go_on(COMMIT_MS);
    fixture.node->view.commit_index = fixture.node->view.last.index;
    node_apply(fixture.node);
    go_on(APPLY_MS);
    node_flush_done(fixture.node);

    ck_assert_int_eq(request.status, RK_OK);
    look();
    expect_once(RK_MEASURE_PROPOSE, PROPOSE_MS);
    expect_once(RK_MEASURE_COMMIT, COMMIT_MS);
    expect_once(RK_MEASURE_APPLY, APPLY_MS);
    ck_assert_uint_eq(values.measures[RK_MEASURE_FORWARD].count, 0);
    ck_assert_uint_eq(values.measures[RK_MEASURE_BATCH_ENTRIES].max, 1);
    ck_assert_uint_eq(request.passed_us, rk_monotonic_us()); /* the answer's time begins */
}
END_TEST

START_TEST(write_whose_fate_is_open_has_no_time)
{
    lead();
    write_begin();
    node_flush_writes(fixture.node);
    node_fail_pending(fixture.node);
    node_flush_done(fixture.node);

    ck_assert_int_eq(request.status, RK_UNKNOWN);
    look();
    ck_assert_uint_eq(values.measures[RK_MEASURE_COMMIT].count, 0);
    ck_assert_uint_eq(values.measures[RK_MEASURE_APPLY].count, 0);
}
END_TEST

START_TEST(read_waits_until_its_round_is_confirmed)
{
    lead();
    begin(CLIENT_READ, RK_MEASURE_READ_WAIT);
    client_list_push(&fixture.node->reads, &request);
    node_flush_reads(fixture.node);
    go_on(READ_MS);
    fixture.node->read_batches->is_confirmed = true;
    node_complete_reads(fixture.node);
    node_flush_done(fixture.node);

    ck_assert_int_eq(request.status, RK_OK);
    look();
    expect_once(RK_MEASURE_READ_WAIT, READ_MS);
    ck_assert_uint_eq(values.measures[RK_MEASURE_ROUND_READS].sum, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_meter");
    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, times_of_a_write_follow_each_other);
    tcase_add_test(tcase, write_whose_fate_is_open_has_no_time);
    tcase_add_test(tcase, read_waits_until_its_round_is_confirmed);
    return run_suite("node_meter", tcase);
}
