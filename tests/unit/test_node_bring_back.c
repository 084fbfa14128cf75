/* The leader's gate: from the begin of a restore to its end nothing else is proposed. */
#include "node_fixture.h"

#include <string.h>

#include "base/frame.h"
#include "statemachine/restore.h"
#include "support/run.h"

enum { WRITES_MAX = 16, ID = 7 };

static struct http_exchange exchanges[WRITES_MAX];
static struct client_request requests[WRITES_MAX];
static uint32_t requests_count;

/* Leads a cluster in which all read what is new. */
static void setup(void)
{
    struct sm_result result;
    struct rk_buf buf;
    const struct sm_command raise = {.type = SM_COMMAND_FEATURE_LEVEL, .feature_level.level = 2};

    requests_count = 0;
    fixture_open();
    fixture.others_level = 2;
    fixture_lead();
    rk_buf_init(&buf, 4096);
    sm_command_encode(&raise, &buf);
    const struct sm_place place = {.term = 1, .index = fixture.node->last_applied + 1};
    ck_assert_int_eq(sm_apply(fixture.node->sm, &place, rk_buf_bytes(&buf), &result), RK_OK);
    sm_result_done(&result);
    rk_buf_done(&buf);
}

static void teardown(void)
{
    fixture_persist();
    while (client_list_pop(&fixture.node->writes) != NULL) {
    }
    for (uint32_t i = 0; i < requests_count; i++) {
        rk_buf_done(&requests[i].frame);
        sm_result_done(&requests[i].result);
    }
    fixture_close();
}

/* A client's write of it; returns what became of it, RK_OK: it is proposed. */
static enum rk_status write_of(const struct sm_command *command)
{
    struct client_request *request = &requests[requests_count];
    const raft_index before = fixture.node->view.last.index;

    exchanges[requests_count] = (struct http_exchange){.answers = 0};
    *request = (struct client_request){
        .kind = CLIENT_WRITE, .exchange = &exchanges[requests_count], .give_up_ms = UINT64_MAX};
    sm_result_init(&request->result);
    rk_buf_init(&request->frame, 4096);
    const size_t begin = rk_frame_begin(&request->frame, RAFT_ENTRY_COMMAND);
    sm_command_encode(command, &request->frame);
    rk_frame_end(&request->frame, begin);
    requests_count++;
    client_list_push(&fixture.node->writes, request);
    node_flush_writes(fixture.node);
    node_flush_done(fixture.node);
    if (exchanges[requests_count - 1].answers > 0) {
        return request->status;
    }
    ck_assert_uint_eq(fixture.node->view.last.index, before + 1);
    return RK_OK;
}

static enum rk_status part(enum sm_command_type type, uint64_t id)
{
    const bool is_record = type == SM_COMMAND_RESTORE_RECORD;

    return write_of(&(struct sm_command){
        .type = type, .restore = {.id = id, .number = 1, .record_type = is_record ? 2 : 0}});
}

static enum rk_status other_write(void)
{
    return write_of(&(struct sm_command){.type = SM_COMMAND_KV_DELETE_PREFIX});
}

START_TEST(other_writes_are_refused_from_the_begin_to_the_end)
{
    ck_assert_int_eq(other_write(), RK_OK);
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_BEGIN, ID), RK_OK);
    ck_assert_int_eq(other_write(), RK_RESTORING);
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_RECORD, ID), RK_OK);
    ck_assert_int_eq(other_write(), RK_RESTORING);
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_END, ID), RK_OK);
    ck_assert_int_eq(other_write(), RK_OK);
}
END_TEST

START_TEST(parts_of_another_restore_are_refused)
{
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_BEGIN, ID), RK_OK);
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_BEGIN, ID + 1), RK_RESTORING);
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_RECORD, ID + 1), RK_RESTORING);
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_END, ID + 1), RK_RESTORING);
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_RECORD, ID), RK_OK);
}
END_TEST

START_TEST(record_without_a_begin_is_not_written)
{
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_RECORD, ID), RK_CONFLICT);
}
END_TEST

START_TEST(configuration_waits_too)
{
    const struct membership membership = fixture.node->membership;

    ck_assert_int_eq(part(SM_COMMAND_RESTORE_BEGIN, ID), RK_OK);
    ck_assert_int_eq(node_propose_membership(fixture.node, &membership), RK_RESTORING);
}
END_TEST

START_TEST(restore_that_nobody_goes_on_with_is_given_up)
{
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_BEGIN, ID), RK_OK);
    const raft_index before = fixture.node->view.last.index;
    fixture.node->now_ms += 4999;
    node_bring_turn(fixture.node);
    ck_assert_uint_eq(fixture.node->view.last.index, before);
    ck_assert(node_restore_holds_log(fixture.node));
    fixture.node->now_ms += 1;
    node_bring_turn(fixture.node);
    ck_assert_uint_eq(fixture.node->view.last.index, before + 1); /* an end of no restore */
    ck_assert(!node_restore_holds_log(fixture.node));
    ck_assert_int_eq(other_write(), RK_OK);
}
END_TEST

/* Chunks that add up to nothing, at a moment without a file descriptor. */
START_TEST(backup_that_could_not_be_kept_is_not_worked_on)
{
    static struct http_exchange exchange;
    struct client_restore restore = {.spool = NULL};
    struct client_request request = {
        .kind = CLIENT_RESTORE, .exchange = &exchange, .restore = &restore};

    node_bring_back(fixture.node, &request);
    node_flush_done(fixture.node);
    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_int_eq(request.status, RK_IO);
    ck_assert_uint_eq(fixture.snap_jobs_count, 0);
}
END_TEST

START_TEST(gate_of_a_former_term_is_open)
{
    ck_assert_int_eq(part(SM_COMMAND_RESTORE_BEGIN, ID), RK_OK);
    ck_assert(node_restore_holds_log(fixture.node));
    fixture.node->gate.term--;
    ck_assert(!node_restore_holds_log(fixture.node));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_bring_back");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, other_writes_are_refused_from_the_begin_to_the_end);
    tcase_add_test(tcase, parts_of_another_restore_are_refused);
    tcase_add_test(tcase, record_without_a_begin_is_not_written);
    tcase_add_test(tcase, configuration_waits_too);
    tcase_add_test(tcase, restore_that_nobody_goes_on_with_is_given_up);
    tcase_add_test(tcase, backup_that_could_not_be_kept_is_not_worked_on);
    tcase_add_test(tcase, gate_of_a_former_term_is_open);
    return run_suite("node_bring_back", tcase);
}
