/* A leader whose log is compacted, and a peer that needs what is gone (dissertation 5): what node 1,
 * the leader, sends and keeps. Pitfalls by their numbers. */
#include <signal.h>

#include "support/raft_puppet.h"
#include "support/run.h"

/* Node 1 leads voters 1 2 3; entries 1 .. 8 are committed by 1 and 3, node 2 was never heard. */
static void set_up(void)
{
    puppet_start(3);
    puppet_lead();
    accept(3, 1);
    for (uint64_t value = 2; value <= 8; value++) {
        ck_assert_int_eq(cluster_propose(cluster, 1, value), RK_OK);
    }
    cluster_persist(cluster, 1);
    accept(3, 8);
    ck_assert_uint_eq(view().last_applied, 8);
    clear_flight();
}

static struct raft_peer_view peer(raft_node_id id)
{
    struct raft_peer_view ret;
    ck_assert_int_eq(raft_peer_view(cluster_node(cluster, 1)->raft, id, &ret), RK_OK);
    return ret;
}

static void tell(enum raft_event_type type, raft_node_id id)
{
    (void)cluster_step(cluster, 1, (struct raft_event){.type = type, .peer = id});
}

/* Node 2 answers a heartbeat: what was given up is tried again. */
static void hear_from_2(void)
{
    (void)cluster_drop(cluster, RAFT_HEARTBEAT_REQUEST, 1, 0);
    cluster_await_deadline(cluster, 1);
    const struct raft_message asked = *sent(RAFT_HEARTBEAT_REQUEST, 2);
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_HEARTBEAT_RESPONSE,
                                .from = 2,
                                .to = 1,
                                .term = asked.term,
                                .heartbeat_response = {.round = asked.heartbeat_request.round}});
}

/* The log is cut at 6 and node 2, which has nothing, was found to need what is gone. */
static void offer_to_2(void)
{
    cluster_compact(cluster, 1, 8, 6);
    tell(RAFT_EVENT_UNREACHABLE, 2);
    hear_from_2();
}

/* Node 2 answers its probe after all. */
static void acknowledge_from_2(raft_index match)
{
    cluster_inject(cluster,
                   &(struct raft_message){
                       .type = RAFT_APPEND_RESPONSE,
                       .from = 2,
                       .to = 1,
                       .term = 1,
                       .append_response = {.accepted = true, .match = match, .sequence = 1}});
}

START_TEST(compaction_moves_base_and_nothing_else)
{
    cluster_compact(cluster, 1, 8, 6);
    ck_assert_uint_eq(view().base.index, 6);
    ck_assert_uint_eq(view().base.term, 1);
    ck_assert_uint_eq(view().snapshot.index, 8);
    ck_assert_uint_eq(view().last.index, 8);
    ck_assert_uint_eq(view().commit_index, 8);
    raft_term term = 0;
    ck_assert_int_eq(raft_term_at(cluster_node(cluster, 1)->raft, 5, &term), RK_COMPACTED);
    ck_assert_int_eq(raft_term_at(cluster_node(cluster, 1)->raft, 6, &term), RK_OK);
}
END_TEST

START_TEST(an_older_snapshot_than_the_newest_changes_nothing)
{
    cluster_compact(cluster, 1, 8, 6);
    cluster_compact(cluster, 1, 7, 5);
    ck_assert_uint_eq(view().snapshot.index, 8);
    ck_assert_uint_eq(view().base.index, 6);
}
END_TEST

/* What is not durable here yet is not given up, whatever the others have. */
START_TEST(base_stays_at_what_is_durable)
{
    ck_assert_int_eq(cluster_propose(cluster, 1, 9), RK_OK);
    accept(3, 9);
    ck_assert_uint_eq(view().commit_index, 8);
    ck_assert_int_eq(cluster_propose(cluster, 1, 10), RK_OK);
    acknowledge_from_2(10);
    accept(3, 10);
    ck_assert_uint_eq(view().commit_index, 10);
    cluster_compact(cluster, 1, 10, 10);
    ck_assert_uint_eq(view().base.index, 8);
    ck_assert_uint_eq(view().snapshot.index, 10);
}
END_TEST

START_TEST(a_snapshot_of_what_is_not_applied_aborts)
{
    ck_assert_int_eq(cluster_propose(cluster, 1, 9), RK_OK);
    cluster_compact(cluster, 1, 9, 6);
}
END_TEST

START_TEST(a_base_behind_the_snapshot_aborts)
{
    cluster_compact(cluster, 1, 6, 7);
}
END_TEST

/* 5.3: "the leader must occasionally send snapshots to followers that lag behind". */
START_TEST(who_needs_what_is_gone_is_offered_the_snapshot)
{
    offer_to_2();
    const struct raft_message *offer = sent(RAFT_SNAPSHOT_REQUEST, 2);
    ck_assert_ptr_nonnull(offer);
    ck_assert_uint_eq(offer->after_write, 0);
    ck_assert_uint_eq(offer->snapshot_request.snapshot->id.index, 8);
    ck_assert_uint_eq(offer->snapshot_request.snapshot->id.term, 1);
    ck_assert_uint_eq(offer->snapshot_request.snapshot->config.voters_count, 3);
    ck_assert_uint_eq(peer(2).snapshot_index, 8);
    ck_assert(!peer(2).is_replicating);
}
END_TEST

/* Pitfall 37: of what is gone no term is made up. Whoever has the entry at base needs no snapshot. */
START_TEST(pitfall_37_who_has_the_entry_at_base_gets_entries)
{
    cluster_compact(cluster, 1, 8, 6);
    cluster_crash(cluster, 1);
    cluster_start(cluster, 1);
    puppet_lead();
    refuse(2, (struct raft_entry_id){1, 6});
    ck_assert_ptr_null(sent(RAFT_SNAPSHOT_REQUEST, 2));
    const struct raft_message *probe = sent(RAFT_APPEND_REQUEST, 2);
    ck_assert_uint_eq(probe->append_request.previous.index, 6);
    ck_assert_uint_eq(probe->append_request.previous.term, 1);
    refuse(2, (struct raft_entry_id){1, 5});
    ck_assert_ptr_nonnull(sent(RAFT_SNAPSHOT_REQUEST, 2));
}
END_TEST

START_TEST(while_a_snapshot_is_under_way_appends_stop_and_heartbeats_go_on)
{
    offer_to_2();
    clear_flight();
    ck_assert_int_eq(cluster_propose(cluster, 1, 9), RK_OK);
    ck_assert_ptr_null(sent(RAFT_APPEND_REQUEST, 2));
    ck_assert_ptr_nonnull(sent(RAFT_APPEND_REQUEST, 3));
    hear_from_2();
    ck_assert_ptr_null(sent(RAFT_APPEND_REQUEST, 2));
    ck_assert_ptr_null(sent(RAFT_SNAPSHOT_REQUEST, 2));
    ck_assert_ptr_nonnull(sent(RAFT_HEARTBEAT_REQUEST, 2));
}
END_TEST

START_TEST(an_installed_snapshot_is_followed_by_a_probe_behind_it)
{
    offer_to_2();
    ck_assert_int_eq(cluster_propose(cluster, 1, 9), RK_OK);
    install(2, true);
    ck_assert_uint_eq(peer(2).match_index, 8);
    ck_assert_uint_eq(peer(2).snapshot_index, 0);
    const struct raft_message *probe = sent(RAFT_APPEND_REQUEST, 2);
    ck_assert_uint_eq(probe->append_request.previous.index, 8);
    ck_assert_uint_eq(probe->append_request.entries_last, 9);
}
END_TEST

/* The offer is repeated when the peer answers something again, not at once. */
START_TEST(a_refused_snapshot_is_offered_again_later)
{
    offer_to_2();
    install(2, false);
    clear_flight();
    ck_assert_uint_eq(peer(2).snapshot_index, 0);
    ck_assert_int_eq(cluster_propose(cluster, 1, 9), RK_OK);
    ck_assert_ptr_null(sent(RAFT_SNAPSHOT_REQUEST, 2));
    hear_from_2();
    ck_assert_ptr_nonnull(sent(RAFT_SNAPSHOT_REQUEST, 2));
}
END_TEST

START_TEST(a_failed_transfer_is_offered_again_later)
{
    offer_to_2();
    clear_flight();
    tell(RAFT_EVENT_SNAPSHOT_FAILED, 2);
    ck_assert_uint_eq(peer(2).snapshot_index, 0);
    ck_assert_ptr_null(sent(RAFT_SNAPSHOT_REQUEST, 2));
    hear_from_2();
    ck_assert_ptr_nonnull(sent(RAFT_SNAPSHOT_REQUEST, 2));
}
END_TEST

/* Pitfall 40 for snapshots: an offer that vanished without a word does not keep the peer waiting
 * for ever; one whose transfer lives is left alone. */
START_TEST(pitfall_40_an_offer_that_nothing_is_heard_of_is_repeated)
{
    offer_to_2();
    clear_flight();
    for (uint32_t i = 0; i < 30; i++) {
        tell(RAFT_EVENT_SNAPSHOT_PROGRESS, 2);
        hear_from_2();
        confirm(3);
        ck_assert_ptr_null(sent(RAFT_SNAPSHOT_REQUEST, 2));
    }
    for (uint32_t i = 0; i < 21; i++) {
        hear_from_2();
        confirm(3);
    }
    ck_assert_ptr_nonnull(sent(RAFT_SNAPSHOT_REQUEST, 2));
}
END_TEST

/* A refusal of an offer that was repeated since is no refusal of the new one. */
START_TEST(a_late_refusal_of_an_earlier_offer_is_ignored)
{
    offer_to_2();
    const struct raft_message first = *sent(RAFT_SNAPSHOT_REQUEST, 2);
    tell(RAFT_EVENT_SNAPSHOT_FAILED, 2);
    clear_flight();
    hear_from_2();
    ck_assert_uint_eq(peer(2).snapshot_index, 8);
    cluster_inject(
        cluster,
        &(struct raft_message){.type = RAFT_SNAPSHOT_RESPONSE,
                               .from = 2,
                               .to = 1,
                               .term = 1,
                               .snapshot_response = {.sequence = first.snapshot_request.sequence}});
    ck_assert_uint_eq(peer(2).snapshot_index, 8);
}
END_TEST

START_TEST(an_answer_to_an_offer_never_made_is_ignored)
{
    offer_to_2();
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_SNAPSHOT_RESPONSE,
                                .from = 2,
                                .to = 1,
                                .term = 1,
                                .snapshot_response = {
                                    .accepted = true, .match = 8, .sequence = UINT64_C(1) << 40}});
    ck_assert_uint_eq(peer(2).match_index, 0);
    cluster_inject(cluster, &(struct raft_message){.type = RAFT_SNAPSHOT_RESPONSE,
                                                   .from = 9,
                                                   .to = 1,
                                                   .term = 1,
                                                   .snapshot_response = {.accepted = true}});
    ck_assert_uint_eq(peer(2).match_index, 0);
}
END_TEST

/* A message lost is not the transfer lost. */
START_TEST(an_unreachable_peer_keeps_its_transfer)
{
    offer_to_2();
    tell(RAFT_EVENT_UNREACHABLE, 2);
    ck_assert_uint_eq(peer(2).snapshot_index, 8);
}
END_TEST

/* An acknowledgement that was long under way shows that the peer has it all already. */
START_TEST(a_peer_that_turns_out_to_be_past_the_snapshot_gets_entries)
{
    offer_to_2();
    clear_flight();
    ck_assert_int_eq(cluster_propose(cluster, 1, 9), RK_OK);
    acknowledge_from_2(8);
    ck_assert_uint_eq(peer(2).snapshot_index, 0);
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 2)->append_request.previous.index, 8);
}
END_TEST

/* Pitfall 71: the entries behind a snapshot under way are what its receiver needs next. */
START_TEST(pitfall_71_what_follows_a_snapshot_under_way_is_kept)
{
    offer_to_2();
    for (uint64_t value = 9; value <= 12; value++) {
        ck_assert_int_eq(cluster_propose(cluster, 1, value), RK_OK);
        accept(3, value);
    }
    cluster_persist(cluster, 1);
    cluster_compact(cluster, 1, 12, 12);
    ck_assert_uint_eq(view().base.index, 8);
    install(2, true);
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 2)->append_request.previous.index, 8);
    cluster_compact(cluster, 1, 12, 12);
    ck_assert_uint_eq(view().base.index, 12);
}
END_TEST

/* Else a peer that has just installed a snapshot would need the next one. */
START_TEST(pitfall_71_what_a_peer_is_being_fed_with_is_kept)
{
    acknowledge_from_2(3);
    cluster_compact_sparing(cluster, 1, 8, 6, 5);
    ck_assert_uint_eq(view().base.index, 3);
    acknowledge_from_2(8);
    cluster_compact_sparing(cluster, 1, 8, 6, 5);
    ck_assert_uint_eq(view().base.index, 6);
}
END_TEST

START_TEST(a_peer_too_far_behind_keeps_nothing)
{
    acknowledge_from_2(3);
    cluster_compact_sparing(cluster, 1, 8, 6, 4);
    ck_assert_uint_eq(view().base.index, 6);
}
END_TEST

START_TEST(an_unreachable_peer_keeps_nothing)
{
    acknowledge_from_2(3);
    tell(RAFT_EVENT_UNREACHABLE, 2);
    cluster_compact_sparing(cluster, 1, 8, 6, 5);
    ck_assert_uint_eq(view().base.index, 6);
}
END_TEST

START_TEST(a_transfer_that_ended_keeps_nothing)
{
    offer_to_2();
    tell(RAFT_EVENT_SNAPSHOT_FAILED, 2);
    ck_assert_int_eq(cluster_propose(cluster, 1, 9), RK_OK);
    cluster_persist(cluster, 1);
    accept(3, 9);
    cluster_compact(cluster, 1, 9, 9);
    ck_assert_uint_eq(view().base.index, 9);
}
END_TEST

/* The term's own no-op may be gone: it is committed, which is all that leading asks of it. */
START_TEST(a_leader_compacts_past_the_start_of_its_term)
{
    cluster_compact(cluster, 1, 8, 8);
    ck_assert_uint_eq(view().base.index, 8);
    ck_assert_int_eq(cluster_read(cluster, 1, 1), RK_OK);
    ck_assert_int_eq(cluster_propose(cluster, 1, 9), RK_OK);
    cluster_persist(cluster, 1);
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 3)->append_request.previous.index, 8);
    accept(3, 9);
    ck_assert_uint_eq(view().commit_index, 9);
}
END_TEST

/* 5.1: after a restart the state machine begins at the snapshot, not at base. */
START_TEST(a_restart_begins_at_the_snapshot)
{
    cluster_compact(cluster, 1, 7, 5);
    cluster_crash(cluster, 1);
    cluster_start(cluster, 1);
    ck_assert_uint_eq(view().base.index, 5);
    ck_assert_uint_eq(view().snapshot.index, 7);
    ck_assert_uint_eq(view().commit_index, 7);
    ck_assert_uint_eq(view().last_applied, 7);
    ck_assert_uint_eq(view().last.index, 8);
}
END_TEST

START_TEST(events_about_nobodys_transfer_are_harmless)
{
    tell(RAFT_EVENT_SNAPSHOT_FAILED, 3);
    tell(RAFT_EVENT_SNAPSHOT_PROGRESS, 3);
    tell(RAFT_EVENT_SNAPSHOT_FAILED, 9);
    ck_assert(peer(3).is_replicating);
    say_heartbeat(2, 9, 0);
    tell(RAFT_EVENT_SNAPSHOT_FAILED, 3);
    ck_assert_int_eq(view().role, RAFT_FOLLOWER);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("snapshot");
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
    tcase_add_test(tcase, compaction_moves_base_and_nothing_else);
    tcase_add_test(tcase, an_older_snapshot_than_the_newest_changes_nothing);
    tcase_add_test(tcase, base_stays_at_what_is_durable);
    tcase_add_test_raise_signal(tcase, a_snapshot_of_what_is_not_applied_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, a_base_behind_the_snapshot_aborts, SIGABRT);
    tcase_add_test(tcase, who_needs_what_is_gone_is_offered_the_snapshot);
    tcase_add_test(tcase, pitfall_37_who_has_the_entry_at_base_gets_entries);
    tcase_add_test(tcase, while_a_snapshot_is_under_way_appends_stop_and_heartbeats_go_on);
    tcase_add_test(tcase, an_installed_snapshot_is_followed_by_a_probe_behind_it);
    tcase_add_test(tcase, a_refused_snapshot_is_offered_again_later);
    tcase_add_test(tcase, a_failed_transfer_is_offered_again_later);
    tcase_add_test(tcase, pitfall_40_an_offer_that_nothing_is_heard_of_is_repeated);
    tcase_add_test(tcase, a_late_refusal_of_an_earlier_offer_is_ignored);
    tcase_add_test(tcase, an_answer_to_an_offer_never_made_is_ignored);
    tcase_add_test(tcase, an_unreachable_peer_keeps_its_transfer);
    tcase_add_test(tcase, a_peer_that_turns_out_to_be_past_the_snapshot_gets_entries);
    tcase_add_test(tcase, pitfall_71_what_follows_a_snapshot_under_way_is_kept);
    tcase_add_test(tcase, pitfall_71_what_a_peer_is_being_fed_with_is_kept);
    tcase_add_test(tcase, a_peer_too_far_behind_keeps_nothing);
    tcase_add_test(tcase, an_unreachable_peer_keeps_nothing);
    tcase_add_test(tcase, a_transfer_that_ended_keeps_nothing);
    tcase_add_test(tcase, a_leader_compacts_past_the_start_of_its_term);
    tcase_add_test(tcase, a_restart_begins_at_the_snapshot);
    tcase_add_test(tcase, events_about_nobodys_transfer_are_harmless);
    return run_suite("raft_snapshot", tcase);
}
