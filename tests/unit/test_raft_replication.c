/* Log replication and commit: one test per sentence of the dissertation's Figure 3.1, sections 3.5,
 * 3.6.2 and 10.2.1, and per pitfall about the log (named by its number). Node 1 is real. */
#include "support/raft_puppet.h"
#include "support/run.h"

static const struct raft_entry_id nothing = {0};

static struct raft_entry_id at(raft_index index, raft_term term)
{
    return (struct raft_entry_id){.term = term, .index = index};
}

static const struct raft_append_response *appended(void)
{
    ck_assert_int_eq(answer()->type, RAFT_APPEND_RESPONSE);
    return &answer()->append_response;
}

static void set_up(void)
{
    puppet_start(3);
}

/* Node 1 follows node 2 in term 4 with the log 1 1 2 4, committed up to 2. */
static void follow(void)
{
    puppet_log((const raft_term[]){1, 1, 2, 4}, 4);
    say_append_commit(2, 4, at(2, 1), 2);
    ck_assert_uint_eq(view().commit_index, 2);
}

/* ---- Figure 3.1, AppendEntries receiver ---- */

/* "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm." */
START_TEST(appends_after_an_entry_that_is_missing_or_different_are_refused)
{
    follow();
    say_append(2, 4, at(6, 4), (const raft_term[]){4}, 1);
    ck_assert(!appended()->accepted);
    ck_assert_uint_eq(appended()->previous, 6);
    say_append(2, 4, at(3, 3), (const raft_term[]){4}, 1);
    ck_assert(!appended()->accepted);
    ck_assert_uint_eq(view().last.index, 4);
}
END_TEST

/* "If an existing entry conflicts with a new one, delete the existing entry and all that follow
 * it" and "append any new entries not already in the log": in one write. */
START_TEST(a_conflicting_suffix_is_replaced_in_one_write)
{
    follow();
    say_append(2, 5, at(2, 1), (const raft_term[]){5, 5}, 2);
    const struct raft_write *write = &cluster_node(cluster, 1)->out->write;
    ck_assert_uint_eq(write->truncate_from, 3);
    ck_assert_uint_eq(write->entries_count, 2);
    ck_assert(write->has_hard_state);
    ck_assert_uint_eq(term_at(3), 5);
    ck_assert_uint_eq(view().last.index, 4);
}
END_TEST

START_TEST(entries_that_are_there_already_are_not_written_again)
{
    follow();
    say_append(2, 4, at(1, 1), (const raft_term[]){1, 2, 4, 4}, 4);
    const struct raft_write *write = &cluster_node(cluster, 1)->out->write;
    ck_assert_uint_eq(write->truncate_from, 0);
    ck_assert_uint_eq(write->entries_count, 1);
    ck_assert_uint_eq(write->entries[0].id.index, 5);
    ck_assert(appended()->accepted);
    ck_assert_uint_eq(appended()->match, 5);
}
END_TEST

/* Pitfall 24: a late append that ends before the log does. */
START_TEST(pitfall_24_stale_append_does_not_truncate)
{
    follow();
    say_append(2, 4, at(1, 1), (const raft_term[]){1}, 1);
    ck_assert(appended()->accepted);
    ck_assert_uint_eq(view().last.index, 4);
    ck_assert_uint_eq(cluster_node(cluster, 1)->out->write_number, 0);
    say_append(2, 4, at(1, 1), NULL, 0);
    ck_assert_uint_eq(view().last.index, 4);
}
END_TEST

/* Pitfall 24: what is committed stays, whoever says what. */
START_TEST(pitfall_24_a_conflict_with_what_is_committed_is_refused)
{
    follow();
    say_append(2, 4, nothing, (const raft_term[]){3, 3}, 2);
    ck_assert(!appended()->accepted);
    ck_assert_uint_eq(term_at(1), 1);
    ck_assert_uint_eq(view().last.index, 4);
}
END_TEST

/* 3.5: what is committed here is in every leader's log, so no probe need go below it. */
START_TEST(a_hint_never_points_below_what_is_committed)
{
    follow();
    say_append_commit(2, 4, at(4, 4), 3);
    ck_assert_uint_eq(view().commit_index, 3);
    say_append(2, 4, at(9, 1), NULL, 0);
    ck_assert(!appended()->accepted);
    ck_assert_uint_eq(appended()->hint.index, 3);
    ck_assert_uint_eq(appended()->hint.term, 2);
}
END_TEST

/* Pitfall 25: the answer ends where the message does, not where the log does. */
START_TEST(pitfall_25_match_is_what_the_append_has_verified)
{
    follow();
    say_append(2, 4, at(2, 1), (const raft_term[]){2}, 1);
    ck_assert_uint_eq(appended()->match, 3);
    say_append(2, 4, at(1, 1), NULL, 0);
    ck_assert_uint_eq(appended()->match, 1);
}
END_TEST

/* Pitfall 26 ("set commitIndex = min(leaderCommit, index of last new entry)"). */
START_TEST(pitfall_26_commit_ends_where_the_append_has_verified)
{
    follow();
    say_append_commit(2, 4, at(3, 2), 4);
    ck_assert_uint_eq(view().commit_index, 3);
    say_append_commit(2, 4, at(1, 1), 1);
    ck_assert_uint_eq(view().commit_index, 3);
}
END_TEST

/* Pitfall 46 (3.8): entries are durable before they are acknowledged. */
START_TEST(pitfall_46_an_accepted_append_waits_for_its_write)
{
    say_append(2, 1, nothing, (const raft_term[]){1}, 1);
    ck_assert_uint_eq(answer()->after_write, cluster_node(cluster, 1)->out->write_number);
    say_append(2, 1, nothing, (const raft_term[]){1}, 1); /* nor does the repetition leave */
    ck_assert_int_eq(cluster_find(cluster, RAFT_APPEND_RESPONSE, 1, 2), -1);
    cluster_persist(cluster, 1);
    ck_assert_int_ne(cluster_find(cluster, RAFT_APPEND_RESPONSE, 1, 2), -1);
    ck_assert_uint_eq(cluster_node(cluster, 1)->disk->count, 1);
}
END_TEST

/* A slow disk must not make the leader look dead, but a new term goes to the disk first. */
START_TEST(heartbeats_are_answered_while_entries_are_written)
{
    say_heartbeat(2, 1, 0);
    ck_assert_uint_ne(answer()->after_write, 0);
    cluster_persist(cluster, 1);
    say_append(2, 1, nothing, (const raft_term[]){1}, 1);
    say_heartbeat(2, 1, 0);
    ck_assert_uint_eq(answer()->after_write, 0);
    ck_assert_uint_eq(answer()->heartbeat_response.last, 0);
    ck_assert_uint_eq(answer()->heartbeat_response.round, 1);
}
END_TEST

/* Pitfall 43: entries that cannot be a leader's log. Loop over the ways. */
static const struct {
    struct raft_entry_id previous;
    uint32_t count;
    struct raft_entry_id ids[2];
    enum raft_entry_type type;
} malformed[] = {
    {{4, 4}, 1, {{4, 6}}, RAFT_ENTRY_COMMAND},         /* a gap */
    {{4, 4}, 1, {{3, 5}}, RAFT_ENTRY_COMMAND},         /* a falling term */
    {{4, 4}, 1, {{5, 5}}, RAFT_ENTRY_COMMAND},         /* newer than the leader's term */
    {{4, 4}, 2, {{4, 5}, {4, 7}}, RAFT_ENTRY_COMMAND}, /* a gap inside */
    {{4, 4}, 1, {{4, 5}}, (enum raft_entry_type)9},    /* no such type */
    {{4, 4}, 1, {{4, 5}}, RAFT_ENTRY_CONFIG},          /* a configuration without one */
    {{0, 4}, 0, {{0}}, RAFT_ENTRY_COMMAND},            /* an entry without a term */
    {{1, 0}, 0, {{0}}, RAFT_ENTRY_COMMAND},            /* a term before the first entry */
    {{4, UINT64_MAX}, 0, {{0}}, RAFT_ENTRY_COMMAND},   /* an index that cannot be */
};

START_TEST(pitfall_43_malformed_appends_are_refused_and_change_nothing)
{
    follow();
    struct raft_entry entries[2] = {0};
    for (uint32_t i = 0; i < malformed[_i].count; i++) {
        entries[i].id = malformed[_i].ids[i];
        entries[i].type = malformed[_i].type;
    }
    cluster_inject(cluster,
                   &(struct raft_message){.type = RAFT_APPEND_REQUEST,
                                          .from = 2,
                                          .to = 1,
                                          .term = 4,
                                          .append_request = {.previous = malformed[_i].previous,
                                                             .leader_commit = 9,
                                                             .entries = entries,
                                                             .entries_count = malformed[_i].count,
                                                             .sequence = 1}});
    ck_assert(!appended()->accepted);
    ck_assert_uint_eq(view().last.index, 4);
    ck_assert_uint_eq(view().commit_index, 2);
}
END_TEST

START_TEST(more_entries_than_a_write_holds_are_refused)
{
    raft_term terms[RAFT_WRITE_ENTRIES_MAX + 1];
    for (uint32_t i = 0; i <= RAFT_WRITE_ENTRIES_MAX; i++) {
        terms[i] = 1;
    }
    say_append(2, 1, nothing, terms, RAFT_WRITE_ENTRIES_MAX + 1);
    ck_assert(!appended()->accepted);
    say_append(2, 1, nothing, terms, RAFT_WRITE_ENTRIES_MAX);
    ck_assert(appended()->accepted);
}
END_TEST

/* Pitfall 27: what the leader says of commit is bounded by the log there is. */
START_TEST(pitfall_27_a_heartbeat_commits_no_more_than_the_log)
{
    follow();
    say_heartbeat(2, 4, 99);
    ck_assert_uint_eq(view().commit_index, 4);
}
END_TEST

/* ---- Figure 3.1, leaders ---- */

/* Pitfall 29 (6.4): a no-op of its own term is the first thing a leader writes. */
START_TEST(pitfall_29_a_leader_begins_with_a_noop)
{
    puppet_log((const raft_term[]){1, 1}, 2);
    puppet_lead();
    ck_assert_uint_eq(view().last.index, 3);
    ck_assert_uint_eq(view().last.term, 2);
    ck_assert_int_eq(cluster_node(cluster, 1)->log->entries[2].type, RAFT_ENTRY_NOOP);
    ck_assert(!view().is_term_committed);
    accept(3, 3);
    ck_assert(view().is_term_committed);
}
END_TEST

/* 10.2.1: entries go to the peers while they go to the disk. */
START_TEST(appends_leave_before_the_own_write_is_durable)
{
    puppet_lead();
    accept(2, 1);
    clear_flight();
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    const struct raft_message *message = sent(RAFT_APPEND_REQUEST, 2);
    ck_assert_ptr_nonnull(message);
    ck_assert_uint_eq(message->after_write, 0);
    ck_assert_uint_eq(message->append_request.previous.index, 1);
    ck_assert_uint_eq(message->append_request.entries_last, 2);
    ck_assert_ptr_null(sent(RAFT_APPEND_REQUEST, 3)); /* still probed with the no-op */
}
END_TEST

/* Pitfall 34: a majority that includes the leader needs the leader's disk. */
START_TEST(pitfall_34_the_leaders_own_match_is_what_is_durable)
{
    puppet_lead();
    accept(2, 1);
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    accept(2, 2);
    ck_assert_uint_eq(view().commit_index, 1);
    cluster_persist(cluster, 1);
    ck_assert_uint_eq(view().commit_index, 2);
}
END_TEST

/* "Two followers are a majority too": commit does not need the leader's disk. */
START_TEST(a_majority_of_followers_commits_without_the_leaders_disk)
{
    puppet_lead();
    accept(2, 1);
    accept(3, 1);
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    accept(2, 2);
    accept(3, 2);
    ck_assert_uint_eq(view().commit_index, 2);
    ck_assert_uint_eq(view().durable_index, 1);
}
END_TEST

/* Pitfall 28 (3.6.2, Figure 3.7): "If there exists an N such that ... log[N].term == currentTerm". */
START_TEST(pitfall_28_entries_of_former_terms_are_not_committed_by_counting)
{
    puppet_log((const raft_term[]){1, 2, 2}, 3);
    puppet_lead();
    accept(2, 3);
    accept(3, 3);
    ck_assert_uint_eq(view().commit_index, 0);
    accept(2, 4);
    ck_assert_uint_eq(view().commit_index, 4);
}
END_TEST

/* Pitfall 30: a refusal that an acceptance has overtaken. */
START_TEST(pitfall_30_a_stale_refusal_does_not_move_next_index)
{
    puppet_log((const raft_term[]){1, 1, 1}, 3);
    puppet_lead();
    const struct raft_message probe = *sent(RAFT_APPEND_REQUEST, 2);
    accept(2, 4);
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_APPEND_RESPONSE,
                                .from = 2,
                                .to = 1,
                                .term = probe.term,
                                .append_response = {.previous = 3,
                                                    .hint = {1, 1},
                                                    .sequence = probe.append_request.sequence}});
    struct raft_peer_view peer;
    ck_assert_int_eq(raft_peer_view(cluster_node(cluster, 1)->raft, 2, &peer), RK_OK);
    ck_assert(peer.is_replicating);
    ck_assert_uint_eq(peer.match_index, 4);
    ck_assert_uint_eq(peer.next_index, 5);
}
END_TEST

/* Pitfall 31: an acceptance from an earlier term of the same leader. */
START_TEST(pitfall_31_answers_of_a_former_leadership_are_dropped)
{
    puppet_lead();
    const struct raft_message old = *sent(RAFT_APPEND_REQUEST, 2);
    say_heartbeat(2, 5, 0);
    clear_flight();
    cluster_persist(cluster, 1);
    cluster->now_ms += 1000;
    puppet_lead();
    ck_assert_uint_eq(view().hard_state.term, 6);
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_APPEND_RESPONSE,
                                .from = 2,
                                .to = 1,
                                .term = old.term,
                                .append_response = {.accepted = true, .match = 2, .sequence = 1}});
    ck_assert_uint_eq(view().commit_index, 0);
}
END_TEST

START_TEST(an_acceptance_of_what_was_never_sent_is_dropped)
{
    puppet_lead();
    const raft_term term = view().hard_state.term;
    struct raft_message message = {
        .type = RAFT_APPEND_RESPONSE,
        .from = 2,
        .to = 1,
        .term = term,
        .append_response = {.accepted = true, .match = 1, .sequence = 999}};
    cluster_inject(cluster, &message);
    ck_assert_uint_eq(view().commit_index, 0);
    message.append_response.sequence = 1;
    message.append_response.match = 50; /* behind the leader's own log */
    cluster_inject(cluster, &message);
    ck_assert_uint_eq(view().commit_index, 0);
}
END_TEST

/* 3.5: the probe goes back to where the hint points, then everything follows. */
START_TEST(a_refused_probe_is_followed_by_one_at_the_hint)
{
    puppet_log((const raft_term[]){1, 1, 2, 2}, 4);
    puppet_lead();
    refuse(2, at(1, 1));
    const struct raft_message *probe = sent(RAFT_APPEND_REQUEST, 2);
    ck_assert_uint_eq(probe->append_request.previous.index, 1);
    ck_assert_uint_eq(probe->append_request.previous.term, 1);
    ck_assert_uint_eq(probe->append_request.entries_last, 5);
}
END_TEST

/* 10.2.1: pipelining, within the window of 16. */
START_TEST(appends_leave_one_after_another_up_to_the_window)
{
    puppet_lead();
    accept(2, 1);
    clear_flight();
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_int_eq(cluster_propose(cluster, 1, i), RK_OK);
        cluster_persist(cluster, 1);
    }
    uint32_t count = 0;
    while (cluster_find(cluster, RAFT_APPEND_REQUEST, 1, 2) >= 0) {
        const int flight = cluster_find(cluster, RAFT_APPEND_REQUEST, 1, 2);
        const struct raft_append_request *request =
            &cluster->flights[flight].message.append_request;
        ck_assert_uint_eq(request->previous.index, 1 + count);
        count++;
        cluster_drop_at(cluster, flight);
    }
    ck_assert_uint_eq(count, 16);
}
END_TEST

START_TEST(an_answer_makes_room_for_what_waits)
{
    puppet_lead();
    accept(2, 1);
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_int_eq(cluster_propose(cluster, 1, i), RK_OK);
        cluster_persist(cluster, 1);
    }
    accept(2, 10);
    const struct raft_message *message = sent(RAFT_APPEND_REQUEST, 2);
    ck_assert_uint_eq(message->append_request.previous.index, 17);
    ck_assert_uint_eq(message->append_request.entries_last, 21);
}
END_TEST

/* A batch is one write and one append to each peer. */
START_TEST(a_batch_is_one_write_and_one_append_to_each_peer)
{
    puppet_lead();
    accept(2, 1);
    accept(3, 1);
    struct raft_entry entries[10] = {0};
    for (uint32_t i = 0; i < 10; i++) {
        entries[i].type = RAFT_ENTRY_COMMAND;
    }
    ck_assert_int_eq(
        cluster_step(cluster, 1,
                     (struct raft_event){.type = RAFT_EVENT_PROPOSED, .proposed = {entries, 10}}),
        RK_OK);
    ck_assert_uint_eq(cluster_node(cluster, 1)->out->write.entries_count, 10);
    ck_assert_uint_eq(answers_count(), 2);
    ck_assert_uint_eq(answer()->append_request.entries_last, 11);
    ck_assert_uint_eq(entries[9].id.index, 11);
    ck_assert_uint_eq(entries[9].id.term, 1);
}
END_TEST

/* Pitfall 40: everything under way vanished; a sign of life brings it again. */
START_TEST(pitfall_40_lost_appends_are_sent_again)
{
    puppet_lead();
    accept(2, 1);
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    cluster_persist(cluster, 1);
    (void)cluster_drop(cluster, RAFT_APPEND_REQUEST, 1, 2);
    for (uint32_t i = 0; i < 5; i++) {
        cluster_await_deadline(cluster, 1);
        confirm(2);
    }
    const struct raft_message *message = sent(RAFT_APPEND_REQUEST, 2);
    ck_assert_ptr_nonnull(message);
    ck_assert_uint_eq(message->append_request.previous.index, 1);
    ck_assert_uint_eq(message->append_request.entries_last, 2);
}
END_TEST

START_TEST(a_lost_message_is_sent_again_when_the_peer_answers)
{
    puppet_lead();
    accept(2, 1);
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    clear_flight();
    const struct raft_event event = {.type = RAFT_EVENT_UNREACHABLE, .peer = 2};
    ck_assert_int_eq(cluster_step(cluster, 1, event), RK_OK);
    ck_assert_int_eq(cluster_propose(cluster, 1, 6), RK_OK);
    ck_assert_ptr_null(sent(RAFT_APPEND_REQUEST, 2));
    cluster_await_deadline(cluster, 1);
    confirm(2);
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 2)->append_request.previous.index, 1);
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 2)->append_request.entries_last, 3);
}
END_TEST

/* 3.4: heartbeats come by the clock, whether appends are sent or not. */
START_TEST(heartbeats_are_not_replaced_by_appends)
{
    puppet_lead();
    accept(2, 1);
    for (uint32_t i = 0; i < 5; i++) {
        cluster->now_ms += 50;
        ck_assert_int_eq(cluster_propose(cluster, 1, i), RK_OK);
        clear_flight();
        cluster_await_deadline(cluster, 1);
        ck_assert_ptr_nonnull(sent(RAFT_HEARTBEAT_REQUEST, 2));
        ck_assert_ptr_nonnull(sent(RAFT_HEARTBEAT_REQUEST, 3));
        ck_assert_uint_eq(sent(RAFT_HEARTBEAT_REQUEST, 3)->after_write, 0);
    }
}
END_TEST

/* Pitfall 27, the leader's side. */
START_TEST(pitfall_27_heartbeats_commit_no_more_than_the_peer_acknowledged)
{
    puppet_lead();
    accept(2, 1);
    clear_flight();
    cluster_await_deadline(cluster, 1);
    ck_assert_uint_eq(view().commit_index, 1);
    ck_assert_uint_eq(sent(RAFT_HEARTBEAT_REQUEST, 2)->heartbeat_request.commit, 1);
    ck_assert_uint_eq(sent(RAFT_HEARTBEAT_REQUEST, 3)->heartbeat_request.commit, 0);
}
END_TEST

/* Pitfalls 49, 92: a peer that lost what it acknowledged no longer counts for it, and is refilled. */
START_TEST(pitfall_49_a_peer_that_lost_entries_is_refilled)
{
    puppet_lead();
    accept(2, 1);
    ck_assert_int_eq(cluster_propose(cluster, 1, 5), RK_OK);
    accept(2, 2);
    confirm(2); /* the heartbeat of the beginning left before anything was acknowledged */
    clear_flight();
    cluster_await_deadline(cluster, 1);
    const struct raft_message beat = *sent(RAFT_HEARTBEAT_REQUEST, 2);
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_HEARTBEAT_RESPONSE,
                                .from = 2,
                                .to = 1,
                                .term = 1,
                                .heartbeat_response = {.round = beat.heartbeat_request.round}});
    ck_assert_ptr_nonnull(sent(RAFT_APPEND_REQUEST, 2));
    ck_assert_uint_eq(sent(RAFT_APPEND_REQUEST, 2)->append_request.previous.index, 0);
    struct raft_peer_view peer;
    ck_assert_int_eq(raft_peer_view(cluster_node(cluster, 1)->raft, 2, &peer), RK_OK);
    ck_assert_uint_eq(peer.match_index, 0);
}
END_TEST

/* A heartbeat answer that appends have overtaken is no loss. */
START_TEST(an_old_heartbeat_answer_is_no_loss)
{
    puppet_lead();
    const struct raft_message beat = *sent(RAFT_HEARTBEAT_REQUEST, 2);
    accept(2, 1);
    cluster_inject(cluster, &(struct raft_message){
                                .type = RAFT_HEARTBEAT_RESPONSE,
                                .from = 2,
                                .to = 1,
                                .term = 1,
                                .heartbeat_response = {.round = beat.heartbeat_request.round}});
    struct raft_peer_view peer;
    ck_assert_int_eq(raft_peer_view(cluster_node(cluster, 1)->raft, 2, &peer), RK_OK);
    ck_assert_uint_eq(peer.match_index, 1);
    ck_assert(peer.is_replicating);
}
END_TEST

/* Pitfall 35, through the core: 2^1 is written, cut away, 2^2 written; the first completion is not
 * about 2^2. */
START_TEST(pitfall_35_an_old_completion_does_not_make_new_entries_durable)
{
    say_append(2, 1, nothing, (const raft_term[]){1, 1}, 2);
    say_append(3, 2, at(1, 1), (const raft_term[]){2}, 1);
    cluster_persist_one(cluster, 1);
    ck_assert_uint_eq(view().durable_index, 1);
    cluster_persist_one(cluster, 1);
    ck_assert_uint_eq(view().durable_index, 2);
}
END_TEST

/* Below its base a log cannot compare, but it need not: that is committed. */
START_TEST(appends_from_below_base_are_taken)
{
    struct cluster_node *node = cluster_node(cluster, 1);
    const struct raft_options options = {.id = 1,
                                         .election_timeout_ms = 1000,
                                         .heartbeat_interval_ms = 100,
                                         .append_entries_max = 8,
                                         .inflight_max = 8};
    const struct raft_restored restored = {.hard_state = {.term = 3},
                                           .base = {3, 10},
                                           .last = {3, 10},
                                           .snapshot = {3, 10},
                                           .config = node->config};
    struct raft *raft = raft_init(node->memory, raft_size(), &options, &restored, 0);
    ck_assert_uint_eq(raft_view(raft).commit_index, 10);
    struct raft_entry entries[4] = {0};
    for (uint32_t i = 0; i < 4; i++) {
        entries[i] = (struct raft_entry){.id = {3, 9 + i}, .type = RAFT_ENTRY_COMMAND};
    }
    const struct raft_message message = {
        .type = RAFT_APPEND_REQUEST,
        .from = 2,
        .to = 1,
        .term = 3,
        .append_request = {
            .previous = {2, 8}, .entries = entries, .entries_count = 4, .leader_commit = 11}};
    const struct raft_event event = {.type = RAFT_EVENT_RECEIVED, .message = &message};
    ck_assert_int_eq(raft_step(raft, &event, node->out), RK_OK);
    ck_assert(appended()->accepted);
    ck_assert_uint_eq(appended()->match, 12);
    ck_assert_uint_eq(node->out->write.entries_count, 2);
    ck_assert_uint_eq(node->out->commit_index, 11);
    raft_term term = 0;
    ck_assert_int_eq(raft_term_at(raft, 9, &term), RK_COMPACTED);
    ck_assert_int_eq(raft_term_at(raft, 12, &term), RK_OK);
    ck_assert_int_eq(raft_term_at(raft, 13, &term), RK_NOT_FOUND);
}
END_TEST

START_TEST(peers_are_seen_by_leaders_only)
{
    struct raft_peer_view peer;
    ck_assert_int_eq(raft_peer_view(cluster_node(cluster, 1)->raft, 2, &peer), RK_NOT_LEADER);
    puppet_lead();
    ck_assert_int_eq(raft_peer_view(cluster_node(cluster, 1)->raft, 7, &peer), RK_NOT_FOUND);
    ck_assert_int_eq(raft_peer_view(cluster_node(cluster, 1)->raft, 2, &peer), RK_OK);
    ck_assert_uint_eq(peer.contact_ms, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("replication");
    tcase_add_checked_fixture(tcase, set_up, puppet_stop);
    tcase_add_test(tcase, appends_after_an_entry_that_is_missing_or_different_are_refused);
    tcase_add_test(tcase, a_conflicting_suffix_is_replaced_in_one_write);
    tcase_add_test(tcase, entries_that_are_there_already_are_not_written_again);
    tcase_add_test(tcase, pitfall_24_stale_append_does_not_truncate);
    tcase_add_test(tcase, pitfall_24_a_conflict_with_what_is_committed_is_refused);
    tcase_add_test(tcase, a_hint_never_points_below_what_is_committed);
    tcase_add_test(tcase, pitfall_25_match_is_what_the_append_has_verified);
    tcase_add_test(tcase, pitfall_26_commit_ends_where_the_append_has_verified);
    tcase_add_test(tcase, pitfall_46_an_accepted_append_waits_for_its_write);
    tcase_add_test(tcase, heartbeats_are_answered_while_entries_are_written);
    tcase_add_loop_test(tcase, pitfall_43_malformed_appends_are_refused_and_change_nothing, 0,
                        (int)(sizeof malformed / sizeof malformed[0]));
    tcase_add_test(tcase, more_entries_than_a_write_holds_are_refused);
    tcase_add_test(tcase, pitfall_27_a_heartbeat_commits_no_more_than_the_log);
    tcase_add_test(tcase, pitfall_29_a_leader_begins_with_a_noop);
    tcase_add_test(tcase, appends_leave_before_the_own_write_is_durable);
    tcase_add_test(tcase, pitfall_34_the_leaders_own_match_is_what_is_durable);
    tcase_add_test(tcase, a_majority_of_followers_commits_without_the_leaders_disk);
    tcase_add_test(tcase, pitfall_28_entries_of_former_terms_are_not_committed_by_counting);
    tcase_add_test(tcase, pitfall_30_a_stale_refusal_does_not_move_next_index);
    tcase_add_test(tcase, pitfall_31_answers_of_a_former_leadership_are_dropped);
    tcase_add_test(tcase, an_acceptance_of_what_was_never_sent_is_dropped);
    tcase_add_test(tcase, a_refused_probe_is_followed_by_one_at_the_hint);
    tcase_add_test(tcase, appends_leave_one_after_another_up_to_the_window);
    tcase_add_test(tcase, an_answer_makes_room_for_what_waits);
    tcase_add_test(tcase, a_batch_is_one_write_and_one_append_to_each_peer);
    tcase_add_test(tcase, pitfall_40_lost_appends_are_sent_again);
    tcase_add_test(tcase, a_lost_message_is_sent_again_when_the_peer_answers);
    tcase_add_test(tcase, heartbeats_are_not_replaced_by_appends);
    tcase_add_test(tcase, pitfall_27_heartbeats_commit_no_more_than_the_peer_acknowledged);
    tcase_add_test(tcase, pitfall_49_a_peer_that_lost_entries_is_refilled);
    tcase_add_test(tcase, an_old_heartbeat_answer_is_no_loss);
    tcase_add_test(tcase, pitfall_35_an_old_completion_does_not_make_new_entries_durable);
    tcase_add_test(tcase, appends_from_below_base_are_taken);
    tcase_add_test(tcase, peers_are_seen_by_leaders_only);
    return run_suite("raft_replication", tcase);
}
