/* InstallSnapshot at the follower (dissertation 5.3, Figure 5.3), node 1: which snapshots it wants,
 * what becomes of its log, and what it answers when. Pitfalls by their numbers. */
#include "raft/config.h"
#include "support/raft_puppet.h"
#include "support/run.h"

/* Node 1 holds 1^1 2^1 3^2 4^2, of which 2 are committed; node 2 leads term 5. */
static void set_up(void)
{
    puppet_start(3);
    puppet_log((raft_term[]){1, 1, 2, 2}, 4);
    say_append_commit(2, 5, (struct raft_entry_id){1, 2}, 2);
    cluster_persist(cluster, 1);
    ck_assert_uint_eq(view().commit_index, 2);
    clear_flight();
}

static const struct raft_config joint = {.voters = {1, 2, 4},
                                         .voters_count = 3,
                                         .old_voters = {1, 2, 3},
                                         .old_voters_count = 3,
                                         .learners = {7},
                                         .learners_count = 1};

static struct raft_snapshot snapshot_of(raft_term term, raft_index index)
{
    return (struct raft_snapshot){
        .id = {.term = term, .index = index}, .config_index = index - 1, .config = joint};
}

static void offer(raft_term snapshot_term, raft_index index, uint64_t sequence)
{
    const struct raft_snapshot snapshot = snapshot_of(snapshot_term, index);
    say_snapshot(2, 5, &snapshot, sequence);
}

static const struct raft_snapshot_response *answered(void)
{
    ck_assert_int_eq(answer()->type, RAFT_SNAPSHOT_RESPONSE);
    return &answer()->snapshot_response;
}

static enum rk_status say_installed(raft_term term, raft_index index)
{
    return cluster_step(cluster, 1,
                        (struct raft_event){.type = RAFT_EVENT_INSTALLED,
                                            .snapshot = {.term = term, .index = index}});
}

/* Pitfalls 63, 66: an old snapshot changes nothing, and least of all the members. */
START_TEST(pitfall_63_a_snapshot_of_what_is_committed_is_answered_and_ignored)
{
    offer(1, 2, 3);
    ck_assert_uint_eq(view().installing.index, 0);
    ck_assert(answered()->accepted);
    ck_assert_uint_eq(answered()->match, 2);
    ck_assert_uint_eq(answered()->sequence, 3);
    ck_assert_uint_eq(view().last.index, 4);
    ck_assert_uint_eq(view().config_index, 0);
    ck_assert_uint_eq(cluster_node(cluster, 1)->out->write_number, 0);
}
END_TEST

/* Pitfalls 62, 63: the entry is here with that term, so what follows it stays. */
START_TEST(pitfall_63_a_snapshot_that_ends_in_a_known_entry_moves_commit_only)
{
    offer(2, 3, 3);
    ck_assert(answered()->accepted);
    ck_assert_uint_eq(answered()->match, 3);
    ck_assert_uint_eq(view().commit_index, 3);
    ck_assert_uint_eq(view().last.index, 4);
    ck_assert_uint_eq(view().base.index, 0);
    ck_assert_uint_eq(cluster_node(cluster, 1)->out->write_number, 0);
}
END_TEST

/* The acceptance vouches for entries, so it waits for them as any other (3.8, pitfall 68). */
START_TEST(an_acceptance_waits_for_what_is_not_durable_yet)
{
    say_append(2, 5, (struct raft_entry_id){2, 4}, (raft_term[]){5}, 1);
    offer(5, 5, 3);
    ck_assert(answered()->accepted);
    ck_assert_uint_ne(answer()->after_write, 0);
    ck_assert_ptr_null(sent(RAFT_SNAPSHOT_RESPONSE, 2));
    cluster_persist(cluster, 1);
    ck_assert_ptr_nonnull(sent(RAFT_SNAPSHOT_RESPONSE, 2));
}
END_TEST

START_TEST(an_unknown_snapshot_is_wanted_and_answered_later)
{
    offer(4, 9, 3);
    ck_assert_uint_eq(view().installing.index, 9);
    ck_assert_uint_eq(view().installing.term, 4);
    ck_assert_uint_eq(answers_count(), 0);
    ck_assert_uint_eq(view().last.index, 4);
    ck_assert_uint_eq(view().commit_index, 2);
}
END_TEST

/* Pitfall 62: the whole log goes, also what follows the index with another term. */
START_TEST(pitfall_62_an_installed_snapshot_replaces_the_log)
{
    offer(4, 3, 3);
    ck_assert_int_eq(cluster_install(cluster, 1), RK_OK);
    const struct raft_write *write = &cluster_node(cluster, 1)->out->write;
    ck_assert_ptr_nonnull(write->snapshot);
    ck_assert_uint_eq(write->snapshot->id.index, 3);
    ck_assert_uint_eq(write->truncate_from, 0);
    ck_assert_uint_eq(write->entries_count, 0);
    ck_assert_uint_eq(view().base.index, 3);
    ck_assert_uint_eq(view().base.term, 4);
    ck_assert_uint_eq(view().last.index, 3);
    ck_assert_uint_eq(view().snapshot.index, 3);
    ck_assert_uint_eq(view().commit_index, 3);
    ck_assert_uint_eq(view().last_applied, 3);
    ck_assert_uint_eq(view().installing.index, 0);
}
END_TEST

/* Pitfall 68: the answer waits for the write that makes it true. */
START_TEST(pitfall_68_the_answer_waits_for_the_log_to_be_replaced_on_disk)
{
    offer(4, 9, 3);
    ck_assert_int_eq(cluster_install(cluster, 1), RK_OK);
    ck_assert_ptr_null(sent(RAFT_SNAPSHOT_RESPONSE, 2));
    ck_assert_uint_lt(view().durable_index, 9);
    cluster_persist(cluster, 1);
    const struct raft_message *sent_answer = sent(RAFT_SNAPSHOT_RESPONSE, 2);
    ck_assert_ptr_nonnull(sent_answer);
    ck_assert(sent_answer->snapshot_response.accepted);
    ck_assert_uint_eq(sent_answer->snapshot_response.match, 9);
    ck_assert_uint_eq(sent_answer->request, 3);
    ck_assert_uint_eq(view().durable_index, 9);
}
END_TEST

/* Entries that the snapshot replaced are not vouched for by writes that were under way: what was
 * written at 4 was not the leader's. */
START_TEST(writes_under_way_say_nothing_about_the_replaced_log)
{
    say_append(2, 5, (struct raft_entry_id){2, 4}, (raft_term[]){5, 5}, 2);
    offer(4, 3, 3);
    ck_assert_int_eq(cluster_install(cluster, 1), RK_OK);
    cluster_persist_one(cluster, 1);
    ck_assert_uint_le(view().durable_index, 3);
    cluster_persist(cluster, 1);
    ck_assert_uint_eq(view().durable_index, 3);
}
END_TEST

/* Pitfalls 64, 65: the members are those of the snapshot, both halves and the learners. */
START_TEST(pitfall_65_the_configuration_of_the_snapshot_is_in_force)
{
    offer(4, 9, 3);
    ck_assert_int_eq(cluster_install(cluster, 1), RK_OK);
    ck_assert_uint_eq(view().config_index, 8);
    ck_assert(view().is_config_committed);
    ck_assert_uint_eq(view().config->old_voters_count, 3);
    ck_assert_uint_eq(view().config->voters[2], 4);
    ck_assert_uint_eq(view().config->learners[0], 7);
}
END_TEST

static void say_config(raft_node_id from, raft_term term, struct raft_entry_id previous)
{
    static const struct raft_config phantom = {
        .voters = {1, 8, 9}, .voters_count = 3, .old_voters = {1, 2, 3}, .old_voters_count = 3};
    struct raft_entry entry = {.id = {.term = term, .index = previous.index + 1},
                               .type = RAFT_ENTRY_CONFIG,
                               .config = &phantom};
    cluster_inject(cluster,
                   &(struct raft_message){.type = RAFT_APPEND_REQUEST,
                                          .from = from,
                                          .to = 1,
                                          .term = term,
                                          .append_request = {.previous = previous,
                                                             .entries_last = entry.id.index,
                                                             .entries = &entry,
                                                             .entries_count = 1,
                                                             .sequence = 1}});
}

/* Pitfall 64: an uncommitted configuration at an index that the snapshot covers is gone, although
 * its index is above that of the snapshot's configuration. */
START_TEST(pitfall_64_a_configuration_in_the_replaced_log_is_gone)
{
    say_config(2, 5, (struct raft_entry_id){2, 4});
    ck_assert_uint_eq(view().config_index, 5);
    const struct raft_snapshot snapshot = {
        .id = {.term = 6, .index = 9},
        .config_index = 3,
        .config = {.voters = {1, 2, 3}, .voters_count = 3},
    };
    say_snapshot(3, 6, &snapshot, 1);
    ck_assert_int_eq(cluster_install(cluster, 1), RK_OK);
    ck_assert_uint_eq(view().config_index, 3);
    ck_assert(!config_is_voter(view().config, 8));
}
END_TEST

/* The other half of pitfall 64: what lies behind the snapshot stays, a configuration too. */
START_TEST(pitfall_64_a_configuration_in_the_kept_suffix_stays)
{
    say_config(2, 5, (struct raft_entry_id){2, 4});
    offer(2, 4, 3);
    ck_assert_uint_eq(view().commit_index, 4);
    ck_assert_uint_eq(view().config_index, 5);
    ck_assert(!view().is_config_committed);
}
END_TEST

/* Pitfall 78 across a snapshot: what comes behind it can still be taken back, to the snapshot's. */
START_TEST(pitfall_78_a_configuration_behind_a_snapshot_is_taken_back_to_it)
{
    offer(4, 9, 3);
    ck_assert_int_eq(cluster_install(cluster, 1), RK_OK);
    say_config(2, 5, (struct raft_entry_id){4, 9});
    ck_assert_uint_eq(view().config_index, 10);
    say_append(3, 6, (struct raft_entry_id){4, 9}, (raft_term[]){6}, 1);
    ck_assert_uint_eq(view().config_index, 8);
    ck_assert_uint_eq(view().config->old_voters_count, 3);
}
END_TEST

/* Pitfall 17. The vote of such a node still counts for others. */
START_TEST(pitfall_17_an_installing_node_does_not_campaign)
{
    offer(4, 9, 3);
    say_timeout_now(2, 5);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    cluster->now_ms += 3000;
    say_vote(3, 6, (struct raft_entry_id){4, 9});
    ck_assert(answer()->vote_response.granted);
    ck_assert_uint_eq(view().installing.index, 9);
}
END_TEST

/* It does not wait for ever either: a leader that is silent sends no snapshot. */
START_TEST(a_silent_leaders_snapshot_is_given_up_before_standing)
{
    offer(4, 9, 3);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
    ck_assert_uint_eq(view().installing.index, 0);
    ck_assert(!answered()->accepted);
    ck_assert_uint_eq(answered()->sequence, 3);
    cluster_await_deadline(cluster, 1);
    ck_assert_int_eq(view().role, RAFT_PRE_CANDIDATE);
}
END_TEST

/* Pitfall 67: an append that left before the offer finds the node busy. */
START_TEST(pitfall_67_an_earlier_append_is_refused_while_installing)
{
    offer(4, 9, 3);
    say_append(2, 5, (struct raft_entry_id){2, 4}, (raft_term[]){5}, 1);
    ck_assert(!answer()->append_response.accepted);
    ck_assert_uint_eq(answer()->append_response.hint.index, 4);
    ck_assert_uint_eq(view().last.index, 4);
    ck_assert_uint_eq(view().installing.index, 9);
}
END_TEST

static void say_later_append(raft_node_id from, raft_term term, uint64_t sequence)
{
    cluster_inject(cluster, &(struct raft_message){.type = RAFT_APPEND_REQUEST,
                                                   .from = from,
                                                   .to = 1,
                                                   .term = term,
                                                   .append_request = {.previous = {2, 4},
                                                                      .entries_last = 4,
                                                                      .sequence = sequence}});
}

/* A leader that sends entries has given the snapshot up; or it is another one. Waiting on would
 * keep the node out for ever. */
START_TEST(a_later_append_takes_the_offer_back)
{
    offer(4, 9, 3);
    say_later_append(2, 5, 4);
    ck_assert_uint_eq(view().installing.index, 0);
    ck_assert(answer()->append_response.accepted);
    ck_assert_int_eq(say_installed(4, 9), RK_INVALID);
    ck_assert_uint_eq(view().last.index, 4);
}
END_TEST

START_TEST(an_append_of_a_new_leader_takes_the_offer_back)
{
    offer(4, 9, 3);
    say_later_append(3, 6, 1);
    ck_assert_uint_eq(view().installing.index, 0);
    ck_assert(answer()->append_response.accepted);
}
END_TEST

/* Pitfall 69: a duplicate is no error, and the node goes on with what it has. Its first question is
 * over, and must not read as a refusal of the second. */
START_TEST(pitfall_69_a_repeated_offer_goes_on)
{
    offer(4, 9, 3);
    offer(4, 9, 3);
    ck_assert_uint_eq(view().installing.index, 9);
    ck_assert(!answered()->accepted);
    ck_assert_uint_eq(answered()->sequence, 0);
    ck_assert_int_eq(cluster_install(cluster, 1), RK_OK);
    offer(4, 9, 3);
    ck_assert(answered()->accepted);
    ck_assert_uint_eq(answered()->match, 9);
    ck_assert_uint_eq(view().installing.index, 0);
}
END_TEST

START_TEST(pitfall_69_a_newer_offer_supersedes)
{
    offer(4, 9, 3);
    offer(5, 12, 4);
    ck_assert_uint_eq(view().installing.index, 12);
    ck_assert_int_eq(say_installed(4, 9), RK_INVALID);
    ck_assert_uint_eq(view().base.index, 0);
    ck_assert_int_eq(say_installed(5, 12), RK_OK);
    ck_assert_uint_eq(view().base.index, 12);
}
END_TEST

/* The leader has found out that this node needs none, or an older one, which is here. */
START_TEST(an_offer_of_what_is_committed_takes_the_former_back)
{
    offer(4, 9, 3);
    offer(1, 2, 4);
    ck_assert_uint_eq(answers_count(), 2);
    ck_assert(answered()->accepted);
    ck_assert_uint_eq(view().installing.index, 0);
}
END_TEST

/* A late offer that the leader has replaced since. */
START_TEST(an_overtaken_offer_is_refused)
{
    offer(5, 12, 4);
    offer(4, 9, 3);
    ck_assert_uint_eq(view().installing.index, 12);
    ck_assert(!answered()->accepted);
    ck_assert_uint_eq(answered()->sequence, 3);
}
END_TEST

/* Pitfall 70: whatever the new leader offers is what will come, an older one too. */
START_TEST(pitfall_70_a_new_leaders_offer_supersedes)
{
    offer(4, 9, 3);
    const struct raft_snapshot older = snapshot_of(4, 8);
    say_snapshot(3, 6, &older, 1);
    ck_assert_uint_eq(view().installing.index, 8);
    ck_assert_int_eq(say_installed(4, 9), RK_INVALID);
    ck_assert_int_eq(say_installed(4, 8), RK_OK);
    ck_assert_uint_eq(answer()->to, 3);
    ck_assert_uint_eq(answer()->term, 6);
}
END_TEST

START_TEST(an_offer_of_a_former_term_is_refused)
{
    const struct raft_snapshot snapshot = snapshot_of(3, 9);
    say_snapshot(3, 4, &snapshot, 1);
    ck_assert(!answered()->accepted);
    ck_assert_uint_eq(answer()->term, 5);
    ck_assert_uint_eq(view().installing.index, 0);
}
END_TEST

/* An offer is a sign of the leader's life. */
START_TEST(an_offer_puts_the_election_off)
{
    const uint64_t before_ms = cluster_node(cluster, 1)->deadline_ms;
    cluster->now_ms += 400;
    offer(4, 9, 3);
    ck_assert_uint_ge(cluster_node(cluster, 1)->deadline_ms, before_ms + 400);
}
END_TEST

START_TEST(a_snapshot_that_cannot_be_had_is_refused)
{
    offer(4, 9, 3);
    (void)cluster_step(cluster, 1,
                       (struct raft_event){.type = RAFT_EVENT_INSTALL_FAILED,
                                           .snapshot = {.term = 4, .index = 8}});
    ck_assert_uint_eq(view().installing.index, 9);
    (void)cluster_step(cluster, 1,
                       (struct raft_event){.type = RAFT_EVENT_INSTALL_FAILED,
                                           .snapshot = {.term = 4, .index = 9}});
    ck_assert_uint_eq(view().installing.index, 0);
    ck_assert(!answered()->accepted);
    ck_assert_uint_eq(answered()->sequence, 3);
}
END_TEST

/* A heartbeat may say meanwhile that the log has all of it; then nothing may be dropped. */
START_TEST(a_snapshot_behind_the_commit_index_is_not_put_in_force)
{
    offer(4, 3, 3);
    say_heartbeat(2, 5, 4);
    ck_assert_uint_eq(view().commit_index, 4);
    ck_assert_int_eq(say_installed(4, 3), RK_INVALID);
    ck_assert_uint_eq(view().last.index, 4);
    ck_assert_uint_eq(view().installing.index, 0);
}
END_TEST

START_TEST(nothing_is_installed_that_was_not_offered)
{
    ck_assert_int_eq(say_installed(4, 9), RK_INVALID);
    ck_assert_int_eq(say_installed(0, 0), RK_INVALID);
    offer(4, 9, 3);
    ck_assert_int_eq(say_installed(3, 9), RK_INVALID);
    ck_assert_int_eq(say_installed(4, 8), RK_INVALID);
    ck_assert_uint_eq(view().installing.index, 9);
    ck_assert_uint_eq(view().last.index, 4);
}
END_TEST

/* Pitfall 43 for snapshots. */
START_TEST(pitfall_43_a_malformed_offer_is_refused)
{
    struct raft_snapshot bad[6];
    for (uint32_t i = 0; i < 6; i++) {
        bad[i] = snapshot_of(4, 9);
    }
    bad[0].id = (struct raft_entry_id){.term = 4, .index = 0};
    bad[0].config_index = 0;
    bad[1].id.term = 0;
    bad[2].id.term = 6;
    bad[3].config_index = 10;
    bad[4].config.voters[1] = 1;
    bad[5].config = (struct raft_config){0};
    say_snapshot(2, 5, &bad[_i], 3);
    ck_assert(!answered()->accepted);
    ck_assert_uint_eq(view().installing.index, 0);
}
END_TEST

/* A restart before the write is durable: the old log is there, and the leader asks again; after it,
 * the log begins behind the snapshot. */
START_TEST(a_crash_leaves_the_log_before_or_the_snapshot)
{
    offer(4, 9, 3);
    ck_assert_int_eq(cluster_install(cluster, 1), RK_OK);
    if (_i == 1) {
        cluster_persist(cluster, 1);
    }
    cluster_crash(cluster, 1);
    cluster_start(cluster, 1);
    ck_assert_uint_eq(view().base.index, _i == 1 ? 9 : 0);
    ck_assert_uint_eq(view().last.index, _i == 1 ? 9 : 4);
    ck_assert_uint_eq(view().commit_index, _i == 1 ? 9 : 0);
    ck_assert_uint_eq(view().config_index, _i == 1 ? 8 : 0);
}
END_TEST

/* A node that is member of nothing learns from the snapshot whom it belongs to. */
START_TEST(a_new_node_becomes_a_member_by_the_snapshot)
{
    puppet_stop();
    cluster = cluster_new(&(struct cluster_options){
        .nodes_count = 1, .spares_count = 1, .is_network_manual = true, .is_disk_manual = true});
    const struct raft_snapshot snapshot = {
        .id = {.term = 4, .index = 9},
        .config_index = 8,
        .config = {.voters = {1}, .voters_count = 1, .learners = {2}, .learners_count = 1}};
    cluster_inject(cluster, &(struct raft_message){.type = RAFT_SNAPSHOT_REQUEST,
                                                   .from = 1,
                                                   .to = 2,
                                                   .term = 5,
                                                   .snapshot_request = {&snapshot, 1}});
    ck_assert_int_eq(cluster_install(cluster, 2), RK_OK);
    ck_assert(config_is_member(cluster_view(cluster, 2).config, 2));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("install");
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
    tcase_add_test(tcase, pitfall_63_a_snapshot_of_what_is_committed_is_answered_and_ignored);
    tcase_add_test(tcase, pitfall_63_a_snapshot_that_ends_in_a_known_entry_moves_commit_only);
    tcase_add_test(tcase, an_acceptance_waits_for_what_is_not_durable_yet);
    tcase_add_test(tcase, an_unknown_snapshot_is_wanted_and_answered_later);
    tcase_add_test(tcase, pitfall_62_an_installed_snapshot_replaces_the_log);
    tcase_add_test(tcase, pitfall_68_the_answer_waits_for_the_log_to_be_replaced_on_disk);
    tcase_add_test(tcase, writes_under_way_say_nothing_about_the_replaced_log);
    tcase_add_test(tcase, pitfall_65_the_configuration_of_the_snapshot_is_in_force);
    tcase_add_test(tcase, pitfall_64_a_configuration_in_the_replaced_log_is_gone);
    tcase_add_test(tcase, pitfall_64_a_configuration_in_the_kept_suffix_stays);
    tcase_add_test(tcase, pitfall_78_a_configuration_behind_a_snapshot_is_taken_back_to_it);
    tcase_add_test(tcase, pitfall_17_an_installing_node_does_not_campaign);
    tcase_add_test(tcase, a_silent_leaders_snapshot_is_given_up_before_standing);
    tcase_add_test(tcase, pitfall_67_an_earlier_append_is_refused_while_installing);
    tcase_add_test(tcase, a_later_append_takes_the_offer_back);
    tcase_add_test(tcase, an_append_of_a_new_leader_takes_the_offer_back);
    tcase_add_test(tcase, pitfall_69_a_repeated_offer_goes_on);
    tcase_add_test(tcase, pitfall_69_a_newer_offer_supersedes);
    tcase_add_test(tcase, an_offer_of_what_is_committed_takes_the_former_back);
    tcase_add_test(tcase, an_overtaken_offer_is_refused);
    tcase_add_test(tcase, pitfall_70_a_new_leaders_offer_supersedes);
    tcase_add_test(tcase, an_offer_of_a_former_term_is_refused);
    tcase_add_test(tcase, an_offer_puts_the_election_off);
    tcase_add_test(tcase, a_snapshot_that_cannot_be_had_is_refused);
    tcase_add_test(tcase, a_snapshot_behind_the_commit_index_is_not_put_in_force);
    tcase_add_test(tcase, nothing_is_installed_that_was_not_offered);
    tcase_add_loop_test(tcase, pitfall_43_a_malformed_offer_is_refused, 0, 6);
    tcase_add_loop_test(tcase, a_crash_leaves_the_log_before_or_the_snapshot, 0, 2);
    tcase_add_test(tcase, a_new_node_becomes_a_member_by_the_snapshot);
    return run_suite("raft_install", tcase);
}
