/* When a leader calls entries committed (dissertation 3.6.2, Figure 3.1, pitfalls 28, 33, 34, 79):
 * all logs of up to two entries of former terms and three of the own, all that its peers may have
 * acknowledged, its own disk at any of its writes, for a simple and a joint configuration; against the sentence of Figure 3.1 spelled out: "if there exists
 * an N such that N > commitIndex, a majority of matchIndex[i] >= N, and log[N].term == currentTerm:
 * set commitIndex = N". */
#include "support/raft_solo.h"
#include "support/run.h"

enum { LENGTH_MAX = 2, TERMS = 2, LOGS_MAX = 6, MEMBERS = 5, OWN_WRITES = 3 };

static struct solo_log logs[LOGS_MAX];
static uint32_t logs_count;
static struct solo elected; /* node 1, which leads with the log of the test */
static struct solo leader;
static uint64_t first_write; /* the first of the term's OWN_WRITES writes, of an entry each */
static raft_index match[MEMBERS + 1]; /* of each node; 1: what is durable of its own */

static bool has_majority(const raft_node_id *voters, uint32_t count, raft_index index)
{
    uint32_t having = 0;
    for (uint32_t i = 0; i < count; i++) {
        having += match[voters[i]] >= index;
    }
    return 2 * having > count;
}

static raft_index committed_slowly(const struct raft_config *config)
{
    const struct raft_view view = raft_view(leader.raft);
    raft_index committed = 0;
    for (raft_index index = 1; index <= view.last.index; index++) {
        raft_term term = 0;
        ck_assert_int_eq(raft_term_at(leader.raft, index, &term), RK_OK);
        if (term == view.hard_state.term &&
            has_majority(config->voters, config->voters_count, index) &&
            (config->old_voters_count == 0 ||
             has_majority(config->old_voters, config->old_voters_count, index))) {
            committed = index;
        }
    }
    return committed;
}

static void acknowledge(raft_node_id from, raft_index index)
{
    if (index > 0) {
        solo_receive(&leader,
                     &(struct raft_message){
                         .type = RAFT_APPEND_RESPONSE,
                         .from = from,
                         .to = 1,
                         .term = raft_view(leader.raft).hard_state.term,
                         .append_response = {.accepted = true, .match = index, .sequence = 1}});
    }
}

/* `way` says in what each of the peers 2 .. 5 has, in digits of base last + 1. */
static void check_way(const struct raft_config *config, uint32_t way, uint32_t writes_durable)
{
    const struct raft_view view = raft_view(elected.raft);
    solo_copy(&leader, &elected);
    match[1] = view.last.index - OWN_WRITES + writes_durable;
    if (writes_durable > 0) {
        (void)solo_step(&leader,
                        (struct raft_event){.type = RAFT_EVENT_PERSISTED,
                                            .write_number = first_write + writes_durable - 1});
    }
    for (raft_node_id id = 2; id <= MEMBERS; id++) {
        match[id] = way % (view.last.index + 1);
        way /= (uint32_t)(view.last.index + 1);
        acknowledge(id, match[id]);
    }
    ck_assert_uint_eq(raft_view(leader.raft).commit_index, committed_slowly(config));
}

/* The no-op of the term and two entries more. */
static void lead_and_propose(void)
{
    const raft_node_id voters[] = {2, 3, 4, 5};
    solo_lead(&elected, voters, MEMBERS - 1);
    first_write = elected.out->write_number;
    for (uint32_t i = 1; i < OWN_WRITES; i++) {
        struct raft_entry entry = {.type = RAFT_ENTRY_COMMAND};
        ck_assert_int_eq(solo_step(&elected, (struct raft_event){.type = RAFT_EVENT_PROPOSED,
                                                                 .proposed = {&entry, 1}}),
                         RK_OK);
        ck_assert_uint_eq(elected.out->write_number, first_write + i);
    }
}

static void check_all_ways(const struct raft_config *config, const struct solo_log *log)
{
    uint32_t ways = 1;

    elected = solo_new();
    leader = solo_new();
    solo_start(&elected, 1, config, log, TERMS);
    lead_and_propose();
    for (uint32_t i = 1; i < MEMBERS; i++) {
        ways *= (uint32_t)raft_view(elected.raft).last.index + 1;
    }
    for (uint32_t way = 0; way < ways; way++) {
        for (uint32_t durable = 0; durable <= OWN_WRITES; durable++) {
            check_way(config, way, durable);
        }
    }
    solo_free(&elected);
    solo_free(&leader);
}

/* Loop: the log. */
START_TEST(pitfall_28_a_majority_commits_what_is_of_the_own_term)
{
    const struct raft_config five = {.voters = {1, 2, 3, 4, 5}, .voters_count = 5};
    check_all_ways(&five, &logs[_i]);
}
END_TEST

START_TEST(pitfall_79_both_halves_commit_what_is_of_the_own_term)
{
    const struct raft_config joint = {
        .voters = {1, 4, 5}, .voters_count = 3, .old_voters = {1, 2, 3, 4}, .old_voters_count = 4};
    check_all_ways(&joint, &logs[_i]);
}
END_TEST

int main(void)
{
    logs_count = solo_all_logs(logs, LOGS_MAX, LENGTH_MAX, TERMS);
    TCase *tcase = tcase_create("commit");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, pitfall_28_a_majority_commits_what_is_of_the_own_term, 0,
                        (int)logs_count);
    tcase_add_loop_test(tcase, pitfall_79_both_halves_commit_what_is_of_the_own_term, 0,
                        (int)logs_count);
    return run_suite("raft_commit", tcase);
}
