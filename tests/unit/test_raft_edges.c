/* Corners of the core that no story passes by: what is refused, dropped or bounded. Node 1 is real. */
#include "support/raft_puppet.h"
#include "support/raft_solo.h"
#include "support/run.h"

static const struct raft_config three = {.voters = {1, 2, 3}, .voters_count = 3};

static void set_up(void)
{
    puppet_start(3);
}

/* Node 1 leads voters 1 2 3, its no-op committed, nothing in flight. */
static void lead(void)
{
    puppet_lead();
    accept(2, 1);
    accept(3, 1);
    clear_flight();
}

/* ---- appends ---- */

/* 3.4: a term has one leader at most. Who claims to be another is not obeyed. */
START_TEST(a_follower_does_not_obey_a_second_leader_of_its_term)
{
    say_heartbeat(2, 1, 0);
    say_append(3, 1, (struct raft_entry_id){0}, (const raft_term[]){1}, 1);
    ck_assert(!answer()->append_response.accepted);
    ck_assert_uint_eq(view().last.index, 0);
    ck_assert_uint_eq(view().leader, 2);
    say_heartbeat(3, 1, 0);
    ck_assert_uint_eq(answer()->heartbeat_response.round, 0);
}
END_TEST

static void say_config(raft_term term, raft_index index, const struct raft_config *config)
{
    struct raft_entry entry = {
        .id = {.term = term, .index = index}, .type = RAFT_ENTRY_CONFIG, .config = config};
    cluster_inject(
        cluster, &(struct raft_message){.type = RAFT_APPEND_REQUEST,
                                        .from = 2,
                                        .to = 1,
                                        .term = 3,
                                        .append_request = {.previous = {.term = index == 1 ? 0 : 1,
                                                                        .index = index - 1},
                                                           .entries_last = index,
                                                           .entries = &entry,
                                                           .entries_count = 1,
                                                           .sequence = 1}});
}

/* Pitfall 43 for configurations and for entries of no term. */
START_TEST(pitfall_43_entries_without_a_term_or_a_configuration_are_refused)
{
    const struct raft_config unsorted = {.voters = {2, 1}, .voters_count = 2};
    say_config(3, 1, NULL);
    ck_assert(!answer()->append_response.accepted);
    say_config(3, 1, &unsorted);
    ck_assert(!answer()->append_response.accepted);
    say_append(2, 3, (struct raft_entry_id){0}, (const raft_term[]){0}, 1);
    ck_assert(!answer()->append_response.accepted);
    ck_assert_uint_eq(view().last.index, 0);
    say_config(3, 1, &three);
    ck_assert(answer()->append_response.accepted);
}
END_TEST

/* 4.1: a leader appends a configuration only when the one before is committed, so at most the last
 * is ever taken back. One that asks for more has lost its senses, and is not followed. */
START_TEST(two_configurations_are_not_taken_back)
{
    const struct raft_config joint = {
        .voters = {1, 2, 4}, .voters_count = 3, .old_voters = {1, 2, 3}, .old_voters_count = 3};
    say_config(1, 1, &three);
    say_config(1, 2, &joint);
    ck_assert_uint_eq(view().config_index, 2);
    say_append(2, 3, (struct raft_entry_id){0}, (const raft_term[]){3}, 1);
    ck_assert(!answer()->append_response.accepted);
    ck_assert_uint_eq(view().config_index, 2);
    ck_assert_uint_eq(view().last.index, 2);
}
END_TEST

/* ---- a log with as many terms as fit ---- */

static struct raft_trail_run full_runs[RAFT_TRAIL_RUNS_MAX];

/* Node 1 with `free` runs less than fit, an entry each. */
static struct solo start_nearly_full(uint32_t free)
{
    const uint32_t count = RAFT_TRAIL_RUNS_MAX - free;
    struct solo solo = solo_new();
    for (uint32_t i = 0; i < count; i++) {
        full_runs[i] = (struct raft_trail_run){.first_index = i + 1, .term = i + 1};
    }
    solo_restore(&solo, 1,
                 &(struct raft_restored){.hard_state = {.term = count},
                                         .last = {.term = count, .index = count},
                                         .runs = full_runs,
                                         .runs_count = count,
                                         .config = three});
    return solo;
}

/* Appends entries of these terms; true: accepted. */
static bool append_terms(struct solo *solo, const raft_term *terms, uint32_t count)
{
    struct raft_entry entries[SOLO_LOG_MAX] = {0};
    const struct raft_entry_id last = raft_view(solo->raft).last;
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct raft_entry){.id = {.term = terms[i], .index = last.index + 1 + i},
                                         .type = RAFT_ENTRY_COMMAND};
    }
    solo_receive(solo, &(struct raft_message){.type = RAFT_APPEND_REQUEST,
                                              .from = 2,
                                              .to = 1,
                                              .term = terms[count - 1],
                                              .append_request = {.previous = last,
                                                                 .entries_last = last.index + count,
                                                                 .entries = entries,
                                                                 .entries_count = count,
                                                                 .sequence = 1}});
    return solo->out->messages[0].append_response.accepted;
}

START_TEST(a_full_trail_takes_entries_but_no_new_term)
{
    struct solo solo = start_nearly_full(2);
    const raft_term term = raft_view(solo.raft).last.term;
    ck_assert(!append_terms(&solo, (const raft_term[]){term + 1, term + 2, term + 3}, 3));
    ck_assert_uint_eq(raft_view(solo.raft).last.term, term);
    ck_assert(append_terms(&solo, (const raft_term[]){term + 3, term + 3, term + 4}, 3));
    ck_assert(!append_terms(&solo, (const raft_term[]){term + 5}, 1));
    solo_free(&solo);
}
END_TEST

/* Its no-op would not fit. */
START_TEST(a_node_whose_trail_is_full_does_not_stand)
{
    struct solo solo = start_nearly_full(0);
    solo.now_ms = solo.out->deadline_ms;
    for (uint32_t i = 0; i < 5; i++) {
        solo.now_ms += 2000;
        (void)solo_step(&solo, (struct raft_event){.type = RAFT_EVENT_DEADLINE});
        ck_assert_int_eq(raft_view(solo.raft).role, RAFT_FOLLOWER);
    }
    solo_free(&solo);
}
END_TEST

/* ---- answers that say nothing ---- */

START_TEST(a_vote_of_a_stranger_does_not_count)
{
    cluster_await_deadline(cluster, 1);
    const struct raft_message asked = *sent(RAFT_VOTE_REQUEST, 2);
    for (raft_node_id id = 7; id <= 9; id++) {
        cluster_inject(cluster, &(struct raft_message){
                                    .type = RAFT_VOTE_RESPONSE,
                                    .from = id,
                                    .to = 1,
                                    .vote_response = {.pre_vote = true,
                                                      .granted = true,
                                                      .request_term = asked.term,
                                                      .campaign = asked.vote_request.campaign}});
    }
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
}
END_TEST

/* More than the leader has cannot be its log. */
START_TEST(an_acceptance_behind_the_own_log_is_dropped)
{
    lead();
    ck_assert_int_eq(cluster_propose(cluster, 1, 7), RK_OK);
    accept(2, 3);
    ck_assert_uint_eq(view().commit_index, 1);
}
END_TEST

START_TEST(a_lost_message_is_the_leaders_affair)
{
    const struct raft_event lost = {.type = RAFT_EVENT_UNREACHABLE, .peer = 2};
    ck_assert_int_eq(cluster_step(cluster, 1, lost), RK_OK);
    lead();
    const struct raft_event strange = {.type = RAFT_EVENT_UNREACHABLE, .peer = 9};
    ck_assert_int_eq(cluster_step(cluster, 1, strange), RK_OK);
    ck_assert_uint_eq(answers_count(), 0);
}
END_TEST

START_TEST(a_message_from_nobody_is_dropped)
{
    say_vote(0, 5, (struct raft_entry_id){0});
    ck_assert_uint_eq(answers_count(), 0);
    ck_assert_uint_eq(view().hard_state.term, 0);
}
END_TEST

/* An answer of the far future of indexes would overflow what counts on from it. */
START_TEST(a_snapshot_past_all_indexes_is_refused)
{
    const struct raft_snapshot snapshot = {.id = {.term = 1, .index = UINT64_MAX}, .config = three};
    say_snapshot(2, 1, &snapshot, 1);
    ck_assert(!answer()->snapshot_response.accepted);
    ck_assert_uint_eq(view().installing.index, 0);
}
END_TEST

/* ---- bounds ---- */

/* A peer that comes back far behind gets so many appends in a step, not all there are. */
START_TEST(a_burst_is_bounded)
{
    puppet_stop();
    cluster = cluster_new(&(struct cluster_options){.nodes_count = 3,
                                                    .seed = 3,
                                                    .append_entries_max = 1,
                                                    .inflight_max = 64,
                                                    .is_network_manual = true,
                                                    .is_disk_manual = true});
    lead();
    for (uint64_t value = 0; value < 60; value++) {
        ck_assert_int_eq(cluster_propose(cluster, 1, value), RK_OK);
    }
    const struct raft_event lost = {.type = RAFT_EVENT_UNREACHABLE, .peer = 2};
    ck_assert_int_eq(cluster_step(cluster, 1, lost), RK_OK);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    confirm(2);
    accept(2, 2);
    ck_assert_uint_eq(answers_count(), 16);
}
END_TEST

/* ---- switched off (simulators do) ---- */

START_TEST(without_check_quorum_a_lonely_leader_stays_and_voters_vote)
{
    puppet_stop();
    cluster = cluster_new(&(struct cluster_options){.nodes_count = 3,
                                                    .seed = 3,
                                                    .no_check_quorum = true,
                                                    .is_network_manual = true,
                                                    .is_disk_manual = true});
    lead();
    for (uint32_t i = 0; i < 30; i++) {
        cluster_await_deadline(cluster, 1);
    }
    ck_assert_int_eq(view().role, RAFT_LEADER);
    say_heartbeat(2, 2, 0);
    cluster_persist(cluster, 1);
    say_vote(3, 3, (struct raft_entry_id){.term = 2, .index = 9});
    ck_assert(answer()->vote_response.granted);
}
END_TEST

/* ---- transfers ---- */

/* 3.10: the furthest that may vote: a learner that has everything is no heir, and of two voters
 * that answer, the one that has more is. */
START_TEST(a_learner_is_no_heir)
{
    const struct raft_config with_learner = {
        .voters = {1, 2, 3}, .voters_count = 3, .learners = {4}, .learners_count = 1};
    lead();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &with_learner), RK_OK);
    cluster_persist(cluster, 1);
    accept(3, 2);
    refuse(4, (struct raft_entry_id){0});
    accept(4, 2);
    ck_assert_int_eq(cluster_propose(cluster, 1, 7), RK_OK);
    accept(4, 3);
    ck_assert_int_eq(cluster_transfer(cluster, 1, 0), RK_OK);
    cluster_persist(cluster, 1);
    accept(3, 3);
    ck_assert_ptr_nonnull(sent(RAFT_TIMEOUT_NOW, 3));
    ck_assert_ptr_null(sent(RAFT_TIMEOUT_NOW, 4));
}
END_TEST

/* An entry before it can commit while a configuration waits: the leader that the configuration does
 * not name stays until that is committed too. */
START_TEST(a_leader_stays_until_its_removal_is_committed)
{
    const struct raft_config without_1 = {
        .voters = {2, 3, 4}, .voters_count = 3, .old_voters = {1, 2, 3}, .old_voters_count = 3};
    const struct raft_config after = {.voters = {2, 3, 4}, .voters_count = 3};
    lead();
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &without_1), RK_OK);
    cluster_persist(cluster, 1);
    accept(2, 2);
    accept(3, 2);
    ck_assert_uint_eq(view().commit_index, 2);
    ck_assert_int_eq(cluster_propose(cluster, 1, 7), RK_OK);
    ck_assert_int_eq(cluster_propose_config(cluster, 1, &after), RK_OK);
    accept(2, 3);
    accept(3, 3);
    ck_assert_uint_eq(view().commit_index, 3);
    ck_assert_int_eq(view().role, RAFT_LEADER);
    accept(2, 4);
    accept(3, 4);
    ck_assert_uint_eq(view().commit_index, 4);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("edges");
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
    tcase_add_test(tcase, a_follower_does_not_obey_a_second_leader_of_its_term);
    tcase_add_test(tcase, pitfall_43_entries_without_a_term_or_a_configuration_are_refused);
    tcase_add_test(tcase, two_configurations_are_not_taken_back);
    tcase_add_test(tcase, a_full_trail_takes_entries_but_no_new_term);
    tcase_add_test(tcase, a_node_whose_trail_is_full_does_not_stand);
    tcase_add_test(tcase, a_vote_of_a_stranger_does_not_count);
    tcase_add_test(tcase, an_acceptance_behind_the_own_log_is_dropped);
    tcase_add_test(tcase, a_lost_message_is_the_leaders_affair);
    tcase_add_test(tcase, a_message_from_nobody_is_dropped);
    tcase_add_test(tcase, a_snapshot_past_all_indexes_is_refused);
    tcase_add_test(tcase, a_burst_is_bounded);
    tcase_add_test(tcase, without_check_quorum_a_lonely_leader_stays_and_voters_vote);
    tcase_add_test(tcase, a_learner_is_no_heir);
    tcase_add_test(tcase, a_leader_stays_until_its_removal_is_committed);
    return run_suite("raft_edges", tcase);
}
