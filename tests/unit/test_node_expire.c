/* What is over in cluster time: proposed by the leader alone, one entry at a time. */
#include "node_fixture.h"

#include <string.h>

#include "base/frame.h"
#include "support/run.h"

enum { TTL_MS = 100 };

/* Applies the command behind the node's back. */
static void apply(const struct sm_command *command)
{
    static raft_index applied;
    const struct sm_place place = {
        .term = 1,
        .index = applied =
            applied > fixture.node->last_applied ? applied + 1 : fixture.node->last_applied + 1,
        .time_ms = cluster_time_ms(&fixture.node->time, fixture.node->now_ms),
    };
    struct sm_result result;
    struct rk_buf buf;

    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
    sm_command_encode(command, &buf);
    ck_assert_int_eq(sm_apply(fixture.node->sm, &place, rk_buf_bytes(&buf), &result), RK_OK);
    ck_assert(result.accepted);
    sm_result_done(&result);
    rk_buf_done(&buf);
}

/* A session that lives for TTL_MS. */
static void make_session(void)
{
    apply(&(struct sm_command){
        .type = SM_COMMAND_SESSION_CREATE,
        .session = {.id = {.bytes = {7}},
                    .record = {.is_exact = true,
                               .ttl_ms = TTL_MS,
                               .node = {.data = (const uint8_t *)"n1", .size = 2}}},
    });
}

/* So many keys that live for TTL_MS. */
static void make_keys(uint32_t count)
{
    apply(&(struct sm_command){.type = SM_COMMAND_FEATURE_LEVEL, .feature_level.level = 2});
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t name[] = {'k', (uint8_t)('a' + i / 26), (uint8_t)('a' + i % 26)};
        apply(&(struct sm_command){
            .type = SM_COMMAND_KV_PUT_TTL,
            .put = {.key = {.data = name, .size = sizeof(name)}, .ttl_ms = TTL_MS}});
    }
}

/* How many entries were handed to the disk that end something; the last one is in *ret. */
static uint32_t expiries(struct sm_command *ret)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < fixture.jobs_count; i++) {
        const struct disk_job *job = fixture.jobs[i];
        struct rk_frame frame;
        uint32_t size = 0;
        if (job->type == DISK_WRITE && job->write.entries_count == 1 &&
            rk_frame_read(job->entries[0].frame, &frame, &size) == RK_OK &&
            frame.type == RAFT_ENTRY_COMMAND && sm_command_decode(frame.body, ret) == RK_OK &&
            (ret->type == SM_COMMAND_EXPIRE || ret->type == SM_COMMAND_EXPIRE_KEYS)) {
            count++;
        }
    }
    return count;
}

START_TEST(leader_ends_a_session_when_its_time_has_come_and_not_before)
{
    struct sm_command command;

    fixture_lead();
    make_session();
    ck_assert_uint_eq(node_expire_deadline_ms(fixture.node), fixture.node->now_ms + TTL_MS);
    fixture.node->now_ms += TTL_MS - 1;
    node_expire_turn(fixture.node);
    ck_assert_uint_eq(expiries(&command), 0);
    fixture.node->now_ms += 1;
    node_expire_turn(fixture.node);
    ck_assert_uint_eq(expiries(&command), 1);
    ck_assert_uint_eq(command.expire.term, 1);
    ck_assert_uint_eq(command.expire.count, 1);
    ck_assert_uint_eq(sm_expire_item_at(&command.expire, 0).id.bytes[0], 7);
}
END_TEST

/* Pitfall 131: an entry that is under way is not proposed again, however long it takes. */
START_TEST(pitfall_131_one_expiry_is_under_way_at_a_time)
{
    struct sm_command command;

    fixture_lead();
    make_session();
    for (int i = 0; i < 20; i++) {
        fixture.node->now_ms += TTL_MS;
        node_expire_turn(fixture.node);
    }
    ck_assert_uint_eq(expiries(&command), 1);
    ck_assert_uint_eq(node_expire_deadline_ms(fixture.node), UINT64_MAX);
}
END_TEST

/* Pitfall 123. */
START_TEST(pitfall_123_who_does_not_lead_ends_nothing)
{
    struct sm_command command;

    fixture_form();
    cluster_time_note(&fixture.node->time, 0, fixture.node->now_ms);
    make_session();
    fixture.node->now_ms += TTL_MS;
    node_expire_turn(fixture.node);
    ck_assert_uint_eq(expiries(&command), 0);
    ck_assert_uint_eq(node_expire_deadline_ms(fixture.node), UINT64_MAX);
}
END_TEST

START_TEST(leader_ends_keys_when_their_time_has_come_and_not_before)
{
    struct sm_command command;

    fixture_lead();
    make_keys(3);
    ck_assert_uint_eq(node_expire_deadline_ms(fixture.node), fixture.node->now_ms + TTL_MS);
    fixture.node->now_ms += TTL_MS - 1;
    node_expire_turn(fixture.node);
    ck_assert_uint_eq(expiries(&command), 0);
    fixture.node->now_ms += 1;
    node_expire_turn(fixture.node);
    ck_assert_uint_eq(expiries(&command), 1);
    ck_assert_int_eq(command.type, SM_COMMAND_EXPIRE_KEYS);
    ck_assert_uint_eq(command.expire.count, 3);
}
END_TEST

/* What ends one by one is gathered for a while; what is behind is not held up. */
START_TEST(next_slice_waits_only_while_nothing_is_late)
{
    struct sm_command command;

    fixture_lead();
    make_keys(3);
    fixture.node->now_ms += TTL_MS;
    node_expire_turn(fixture.node);
    ck_assert_uint_eq(expiries(&command), 1);
    ck_assert_uint_eq(fixture.node->expire_retry_ms, fixture.node->now_ms + NODE_EXPIRE_RETRY_MS);
    fixture.node->expire_index = 0; /* as if it were applied */
    fixture.node->now_ms += NODE_EXPIRE_RETRY_MS;
    node_expire_turn(fixture.node);
    ck_assert_uint_eq(expiries(&command), 2);
    ck_assert_uint_eq(fixture.node->expire_retry_ms, fixture.node->now_ms);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_expire");

    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, leader_ends_a_session_when_its_time_has_come_and_not_before);
    tcase_add_test(tcase, pitfall_131_one_expiry_is_under_way_at_a_time);
    tcase_add_test(tcase, pitfall_123_who_does_not_lead_ends_nothing);
    tcase_add_test(tcase, leader_ends_keys_when_their_time_has_come_and_not_before);
    tcase_add_test(tcase, next_slice_waits_only_while_nothing_is_late);
    return run_suite("node_expire", tcase);
}
