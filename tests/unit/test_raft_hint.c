/* Conflict hints (dissertation 3.5, pitfall 32): whatever two logs a leader and a follower have,
 * a few probes find where they meet, and the follower ends with the leader's log. All pairs of
 * logs of up to six entries in four terms are tried that Log Matching allows. */
#include "base/assert.h"
#include "support/raft_solo.h"
#include "support/run.h"

enum { LENGTH_MAX = 6, TERMS = 4, LOGS_MAX = 210 };

static const struct raft_config three = {.voters = {1, 2, 3}, .voters_count = 3};
static struct solo_log logs[LOGS_MAX];
static uint32_t logs_count;

static struct solo elected; /* node 1, which leads with the log of the test */
static struct solo leader;  /* a copy of it for each follower */
static struct solo follower;

/* The append of the latest step for the follower; false: there is none. */
static bool take_append(struct raft_message *ret)
{
    bool is_found = false;
    for (uint32_t i = 0; i < leader.out->messages_count; i++) {
        const struct raft_message *message = &leader.out->messages[i];
        if (message->type == RAFT_APPEND_REQUEST && message->to == 2) {
            *ret = *message;
            is_found = true;
        }
    }
    return is_found;
}

/* The entries that the leader's node would put in. */
static void fill(struct raft_message *message, struct raft_entry *entries)
{
    struct raft_append_request *request = &message->append_request;
    request->entries_count = (uint32_t)(request->entries_last - request->previous.index);
    for (uint32_t i = 0; i < request->entries_count; i++) {
        raft_term term = 0;
        const raft_index index = request->previous.index + 1 + i;
        ck_assert_int_eq(raft_term_at(leader.raft, index, &term), RK_OK);
        entries[i] =
            (struct raft_entry){.id = {.term = term, .index = index}, .type = RAFT_ENTRY_COMMAND};
    }
    request->entries = entries;
}

/* One append and its answer; true: it was refused. */
static bool exchange(struct raft_message *append)
{
    struct raft_entry entries[SOLO_LOG_MAX];
    fill(append, entries);
    solo_receive(&follower, append);
    ck_assert_uint_eq(follower.out->messages_count, 1);
    const struct raft_message answer = follower.out->messages[0];
    solo_persist(&follower);
    solo_receive(&leader, &answer);
    return !answer.append_response.accepted;
}

static void check_same_log(void)
{
    const struct raft_entry_id last = raft_view(leader.raft).last;
    ck_assert_uint_eq(raft_view(follower.raft).last.index, last.index);
    for (raft_index index = 1; index <= last.index; index++) {
        raft_term ours = 0;
        raft_term theirs = 0;
        ck_assert_int_eq(raft_term_at(leader.raft, index, &ours), RK_OK);
        ck_assert_int_eq(raft_term_at(follower.raft, index, &theirs), RK_OK);
        ck_assert_uint_eq(ours, theirs);
    }
}

/* `first` is what the leader sends at the beginning of its term. */
static void check_pair(const struct solo_log *followers, const struct raft_message *first)
{
    struct raft_message append = *first;
    uint32_t refused = 0;
    bool is_sent = true;

    solo_copy(&leader, &elected);
    solo_start(&follower, 2, &three, followers, TERMS);
    for (uint32_t turns = 0; is_sent; turns++) {
        ck_assert_uint_lt(turns, 20);
        refused += exchange(&append);
        is_sent = take_append(&append);
    }
    check_same_log();
    ck_assert_uint_le(refused, TERMS + 1);
}

/* Loop: the leader's log. */
START_TEST(pitfall_32_every_pair_of_logs_converges_within_a_probe_per_term)
{
    const raft_node_id voters[] = {3};
    struct raft_message first;

    elected = solo_new();
    leader = solo_new();
    follower = solo_new();
    solo_start(&elected, 1, &three, &logs[_i], TERMS);
    solo_lead(&elected, voters, 1);
    *leader.out = *elected.out;
    ck_assert(take_append(&first));
    for (uint32_t i = 0; i < logs_count; i++) {
        if (solo_logs_match(&logs[_i], &logs[i])) {
            check_pair(&logs[i], &first);
        }
    }
    solo_free(&elected);
    solo_free(&leader);
    solo_free(&follower);
}
END_TEST

int main(void)
{
    logs_count = solo_all_logs(logs, LOGS_MAX, LENGTH_MAX, TERMS);
    TCase *tcase = tcase_create("hint");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, pitfall_32_every_pair_of_logs_converges_within_a_probe_per_term, 0,
                        (int)logs_count);
    return run_suite("raft_hint", tcase);
}
