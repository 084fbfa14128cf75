/* What a peer may get wrong, or an old message bring: it is refused or dropped, and nothing of it
 * stays (pitfalls 16, 31, 43). */
#include <check.h>

#include "base/heap.h"
#include "raft/config.h"
#include "raft/progress.h"
#include "raft/raft.h"
#include "support/raft_puppet.h"
#include "support/run.h"

static const struct raft_entry_id nothing;

static void set_up(void)
{
    puppet_start(3);
}

static void tear_down(void)
{
    puppet_stop();
}

static void inject(struct raft_message message)
{
    message.to = 1;
    cluster_inject(cluster, &message);
}

/* One entry after nothing, from leader 2 in term 1. */
static void say_entry(enum raft_entry_type type, const struct raft_config *config)
{
    const struct raft_entry entry = {.id = {.term = 1, .index = 1}, .type = type, .config = config};
    inject((struct raft_message){
        .type = RAFT_APPEND_REQUEST,
        .from = 2,
        .term = 1,
        .append_request = {
            .entries_last = 1, .entries = &entry, .entries_count = 1, .sequence = 1}});
}

/* ---- appends ---- */

START_TEST(a_second_leader_of_a_term_is_not_obeyed)
{
    const raft_term terms[] = {1};
    say_heartbeat(2, 1, 0);
    say_append(3, 1, nothing, terms, 1);
    ck_assert(!answer()->append_response.accepted);
    ck_assert_uint_eq(view().leader, 2);
    ck_assert_uint_eq(view().last.index, 0);
}
END_TEST

START_TEST(pitfall_43_an_entry_of_no_term_is_refused)
{
    const raft_term terms[] = {0};
    say_append(2, 1, nothing, terms, 1);
    ck_assert(!answer()->append_response.accepted);
}
END_TEST

START_TEST(pitfall_43_a_configuration_entry_needs_a_valid_configuration)
{
    const struct raft_config repeated = {.voters = {2, 2}, .voters_count = 2};
    const struct raft_config valid = {.voters = {1, 2}, .voters_count = 2};
    say_entry(RAFT_ENTRY_CONFIG, NULL);
    ck_assert(!answer()->append_response.accepted);
    say_entry(RAFT_ENTRY_CONFIG, &repeated);
    ck_assert(!answer()->append_response.accepted);
    say_entry(RAFT_ENTRY_CONFIG, &valid);
    ck_assert_uint_eq(view().config_index, 1);
}
END_TEST

START_TEST(a_message_from_nobody_is_dropped)
{
    inject((struct raft_message){.type = RAFT_HEARTBEAT_REQUEST, .term = 5});
    ck_assert_uint_eq(answers_count(), 0);
    ck_assert_uint_eq(view().hard_state.term, 0);
}
END_TEST

START_TEST(a_snapshot_of_nothing_or_of_an_impossible_index_is_refused)
{
    struct raft_snapshot snapshot = {.id = {.term = 1},
                                     .config = {.voters = {1, 2}, .voters_count = 2}};
    say_snapshot(2, 1, &snapshot, 1);
    ck_assert(!answer()->snapshot_response.accepted);
    snapshot.id.index = UINT64_MAX;
    say_snapshot(2, 1, &snapshot, 2);
    ck_assert(!answer()->snapshot_response.accepted);
    ck_assert_uint_eq(view().installing.index, 0);
}
END_TEST

/* ---- elections ---- */

START_TEST(the_vote_of_a_stranger_does_not_count)
{
    cluster_await_deadline(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
    const struct raft_message *request = sent(RAFT_VOTE_REQUEST, 2);
    inject((struct raft_message){.type = RAFT_VOTE_RESPONSE,
                                 .from = 9,
                                 .vote_response = {.pre_vote = true,
                                                   .granted = true,
                                                   .request_term = request->term,
                                                   .campaign = request->vote_request.campaign}});
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
}
END_TEST

START_TEST(who_stands_already_needs_no_timeout_now)
{
    cluster_await_deadline(cluster, 1);
    say_timeout_now(2, view().hard_state.term);
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
}
END_TEST

/* ---- a log that can take no more terms ---- */

static struct raft *raft;
static struct raft_outputs *out;

static void step(const struct raft_event *event)
{
    ck_assert_int_eq(raft_step(raft, event, out), RK_OK);
    raft_check(raft);
}

/* Node 1 of three with an entry in each of so many terms, and these configurations. */
static void restart(uint32_t terms_count, uint32_t configs_count)
{
    static struct raft_trail_run runs[RAFT_TRAIL_RUNS_MAX];
    const struct raft_config config = {.voters = {1, 2, 3}, .voters_count = 3};
    const struct raft_options options = {.id = 1,
                                         .seed = 7,
                                         .election_timeout_ms = 100,
                                         .heartbeat_interval_ms = 10,
                                         .append_entries_max = 8,
                                         .inflight_max = 4};
    const struct raft_restored restored = {
        .hard_state = {.term = terms_count},
        .last = {.term = terms_count, .index = terms_count},
        .runs = runs,
        .runs_count = terms_count,
        .config = config,
        .logged_configs = {{.index = 1, .config = config}, {.index = 2, .config = config}},
        .logged_configs_count = configs_count,
    };
    for (uint32_t i = 0; i < terms_count; i++) {
        runs[i] = (struct raft_trail_run){.first_index = i + 1, .term = i + 1};
    }
    raft = raft_init(rk_heap_zalloc(1, raft_size()), raft_size(), &options, &restored, 0);
    out = rk_heap_zalloc(1, sizeof *out);
}

static void stop(void)
{
    rk_heap_free(raft);
    rk_heap_free(out);
}

/* Leader 2 of term 20,000 sends two entries of these terms after `previous`. */
static bool takes(struct raft_entry_id previous, raft_term first, raft_term second)
{
    const struct raft_entry entries[] = {
        {.id = {.term = first, .index = previous.index + 1}, .type = RAFT_ENTRY_NOOP},
        {.id = {.term = second, .index = previous.index + 2}, .type = RAFT_ENTRY_NOOP},
    };
    const struct raft_message message = {.type = RAFT_APPEND_REQUEST,
                                         .from = 2,
                                         .to = 1,
                                         .term = 20000,
                                         .append_request = {.previous = previous,
                                                            .entries_last = previous.index + 2,
                                                            .entries = entries,
                                                            .entries_count = 2,
                                                            .sequence = 1}};
    step(&(struct raft_event){.type = RAFT_EVENT_RECEIVED, .message = &message});
    return out->messages[0].append_response.accepted;
}

START_TEST(a_log_with_room_for_one_more_term_takes_entries_of_one)
{
    const uint32_t last = RAFT_TRAIL_RUNS_MAX - 1;
    restart(last, 0);
    ck_assert(!takes((struct raft_entry_id){.term = last, .index = last}, 17000, 17001));
    ck_assert_uint_eq(raft_view(raft).last.index, last);
    ck_assert(takes((struct raft_entry_id){.term = last, .index = last}, 17000, 17000));
    stop();
}
END_TEST

START_TEST(a_log_that_can_take_no_new_term_may_not_lead)
{
    restart(RAFT_TRAIL_RUNS_MAX, 0);
    step(&(struct raft_event){.type = RAFT_EVENT_DEADLINE, .now_ms = 120});
    step(&(struct raft_event){.type = RAFT_EVENT_DEADLINE, .now_ms = out->deadline_ms});
    step(&(struct raft_event){.type = RAFT_EVENT_DEADLINE, .now_ms = out->deadline_ms});
    ck_assert_int_eq(raft_view(raft).role, RAFT_FOLLOWER);
    ck_assert_uint_eq(out->messages_count, 0);
    stop();
}
END_TEST

START_TEST(two_configurations_are_never_taken_back_at_once)
{
    restart(3, 2);
    ck_assert(!takes(nothing, 5, 5));
    ck_assert_uint_eq(raft_view(raft).config_index, 2);
    ck_assert(takes((struct raft_entry_id){.term = 1, .index = 1}, 5, 5));
    ck_assert_uint_eq(raft_view(raft).config_index, 1);
    stop();
}
END_TEST

/* ---- parts ---- */

START_TEST(old_voters_are_held_to_the_same_rules)
{
    const struct raft_config config = {
        .voters = {1}, .voters_count = 1, .old_voters = {3, 2}, .old_voters_count = 2};
    ck_assert(!config_is_valid(&config));
}
END_TEST

START_TEST(pitfall_109_one_voter_after_another_one_is_not_alone)
{
    const struct raft_config config = {
        .voters = {1}, .voters_count = 1, .old_voters = {2}, .old_voters_count = 1};
    ck_assert(!config_is_alone(&config, 1));
}
END_TEST

START_TEST(pitfall_31_an_old_acknowledgement_does_not_answer_the_probe)
{
    struct progress progress;
    progress_init(&progress, 2);
    progress_reset(&progress, 10, 0);
    const uint64_t first = progress_sent(&progress, 12, 0);
    ck_assert(progress_accepted(&progress, first, 12, 0));
    progress_probe(&progress);
    (void)progress_sent(&progress, 13, 0);
    ck_assert(!progress_accepted(&progress, first, 12, 0));
    ck_assert_int_eq(progress.state, PROGRESS_PROBE);
}
END_TEST

START_TEST(an_answered_probe_that_teaches_nothing_new_still_starts_the_pipeline)
{
    struct progress progress;
    progress_init(&progress, 2);
    const uint64_t sequence = progress_sent(&progress, 0, 0);
    ck_assert(!progress_accepted(&progress, sequence, 0, 0));
    ck_assert_int_eq(progress.state, PROGRESS_REPLICATE);
}
END_TEST

START_TEST(pitfall_30_a_refusal_that_names_another_place_is_not_the_probes)
{
    struct progress progress;
    progress_init(&progress, 2);
    progress_reset(&progress, 10, 0);
    const uint64_t sequence = progress_sent(&progress, 12, 0);
    progress_refused(&progress, sequence, 7, 3);
    ck_assert_uint_eq(progress.next_index, 10);
    progress_refused(&progress, sequence, 9, 3);
    ck_assert_uint_eq(progress.next_index, 3);
}
END_TEST

START_TEST(a_refusal_of_what_was_never_sent_is_ignored)
{
    struct progress progress;
    progress_init(&progress, 2);
    progress_reset(&progress, 10, 0);
    const uint64_t sequence = progress_sent(&progress, 12, 0);
    ck_assert(progress_accepted(&progress, sequence, 12, 0));
    progress_refused(&progress, sequence + 1, 14, 3);
    ck_assert_int_eq(progress.state, PROGRESS_REPLICATE);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("raft_input");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_second_leader_of_a_term_is_not_obeyed);
    tcase_add_test(tcase, pitfall_43_an_entry_of_no_term_is_refused);
    tcase_add_test(tcase, pitfall_43_a_configuration_entry_needs_a_valid_configuration);
    tcase_add_test(tcase, a_message_from_nobody_is_dropped);
    tcase_add_test(tcase, a_snapshot_of_nothing_or_of_an_impossible_index_is_refused);
    tcase_add_test(tcase, the_vote_of_a_stranger_does_not_count);
    tcase_add_test(tcase, who_stands_already_needs_no_timeout_now);
    tcase_add_test(tcase, a_log_with_room_for_one_more_term_takes_entries_of_one);
    tcase_add_test(tcase, a_log_that_can_take_no_new_term_may_not_lead);
    tcase_add_test(tcase, two_configurations_are_never_taken_back_at_once);
    tcase_add_test(tcase, old_voters_are_held_to_the_same_rules);
    tcase_add_test(tcase, pitfall_109_one_voter_after_another_one_is_not_alone);
    tcase_add_test(tcase, pitfall_31_an_old_acknowledgement_does_not_answer_the_probe);
    tcase_add_test(tcase, an_answered_probe_that_teaches_nothing_new_still_starts_the_pipeline);
    tcase_add_test(tcase, pitfall_30_a_refusal_that_names_another_place_is_not_the_probes);
    tcase_add_test(tcase, a_refusal_of_what_was_never_sent_is_ignored);
    return run_suite("raft_input", tcase);
}
