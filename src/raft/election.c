#include "base/assert.h"
#include "raft/internal.h"
#include "raft/quorum.h"

void raft_election_arm(struct raft *raft)
{
    const uint64_t timeout_ms = raft->options.election_timeout_ms;
    raft->election_timeout_ms = timeout_ms + rk_prng_below(&raft->prng, timeout_ms);
    raft->election_deadline_ms = raft->now_ms + raft->election_timeout_ms;
}

void raft_election_heard(struct raft *raft, raft_node_id leader)
{
    RK_ASSERT(raft->role != RAFT_LEADER);
    raft_become_follower(raft, raft->hard_state.term, leader);
    raft->heard = leader;
    raft->leader_contact_ms = raft->now_ms;
    raft->election_deadline_ms = raft->now_ms + raft->election_timeout_ms;
}

/* A log that lost its end may have acknowledged what it no longer shows: its vote could elect a
 * leader without a committed entry (pitfall 49). Terms never fall in a log, so once a leader has
 * brought it to the lost entry or past it, nothing is missing any more. */
bool raft_election_is_recovering(const struct raft *raft)
{
    const struct raft_entry_id lost = raft->options.recover_to;
    const raft_index durable = raft->writes.durable_index;
    /* While a snapshot replaces the log on the disk, what is durable may end before base. */
    const raft_term term = trail_has(&raft->trail, durable) ? trail_term(&raft->trail, durable) : 0;

    return term < lost.term || (term == lost.term && durable < lost.index);
}

/* A voter of the configuration in force; and while that is not known to be committed, one of the
 * former too: if it alone holds the entry that removes it, nobody else can win (4.2.2, Figure 4.6).
 * A leader begins its term with an entry, so one that could not take an entry may not stand. */
bool raft_election_may_stand(const struct raft *raft)
{
    const struct config_log *configs = &raft->configs;
    const raft_node_id id = raft->options.id;

    if (raft_election_is_recovering(raft) || raft_snapshot_is_installing(raft)) {
        return false;
    }
    const bool is_needed =
        configs->index > raft->commit_index && config_is_voter(&configs->former, id);
    return (config_is_voter(&configs->now, id) || is_needed) && trail_room(&raft->trail) > 0;
}

/* ---- the campaign ---- */

static uint64_t vote_value(const void *context, raft_node_id voter)
{
    const struct raft *raft = context;
    if (voter == raft->options.id) {
        return 1;
    }
    return raft_voter(raft, voter)->vote == PROGRESS_VOTE_GRANTED;
}

static void ask_for_votes(struct raft *raft, bool is_pre_vote)
{
    for (uint32_t i = 0; i < raft->peers_count; i++) {
        raft->peers[i].vote = PROGRESS_VOTE_NONE;
        if (!config_is_voter(&raft->configs.now, raft->peers[i].id)) {
            continue;
        }
        struct raft_message *message = raft_send(raft, RAFT_VOTE_REQUEST, raft->peers[i].id);
        message->term = raft->hard_state.term + (is_pre_vote ? 1 : 0);
        message->after_write = is_pre_vote ? 0 : raft_promise(raft);
        message->vote_request = (struct raft_vote_request){
            .pre_vote = is_pre_vote,
            .transfer = raft->is_transfer,
            .last = trail_last(&raft->trail),
            .campaign = raft->campaign,
        };
    }
}

/* Timeouts are drawn anew each time, so that candidates who split the votes, or the pre-votes,
 * do not meet again in step (3.4, pitfall 15). */
static void begin_campaign(struct raft *raft, enum raft_role role, bool is_transfer)
{
    raft->role = role;
    raft->leader = 0;
    raft->campaign++;
    raft->is_transfer = is_transfer;
    raft_election_arm(raft);
    ask_for_votes(raft, role == RAFT_PRE_CANDIDATE);
    raft_election_tally(raft);
}

void raft_election_campaign(struct raft *raft, bool is_transfer)
{
    RK_ASSERT(raft->role != RAFT_LEADER);
    RK_ASSERT(raft_election_may_stand(raft));
    raft_set_hard_state(raft, (struct raft_hard_state){.term = raft->hard_state.term + 1,
                                                       .vote = raft->options.id});
    raft->campaign_write = raft->hard_state_write;
    begin_campaign(raft, RAFT_CANDIDATE, is_transfer);
}

void raft_election_tally(struct raft *raft)
{
    if (raft->role != RAFT_PRE_CANDIDATE && raft->role != RAFT_CANDIDATE) {
        return;
    }
    if (raft->role == RAFT_CANDIDATE && raft->writes.persisted < raft->campaign_write) {
        return; /* the own vote counts, and may be used, once it is durable (pitfall 2) */
    }
    if (quorum_reached(&raft->configs.now, vote_value, raft) == 0) {
        return;
    }
    if (raft->role == RAFT_PRE_CANDIDATE) {
        raft_election_campaign(raft, false);
    } else {
        raft_replicate_begin(raft);
    }
}

/* A candidate whose time is over goes back to asking first, or it would raise its term for as
 * long as it is cut off (pitfall 13). */
void raft_election_timeout(struct raft *raft)
{
    RK_ASSERT(raft->role != RAFT_LEADER);
    const bool is_installing = raft_snapshot_is_installing(raft);
    raft_snapshot_abandon(raft); /* the leader is silent; standing waits for the next time */
    if (is_installing || !raft_election_may_stand(raft)) {
        raft_become_follower(raft, raft->hard_state.term, raft->leader);
        raft_election_arm(raft);
        return;
    }
    if (writes_pending(&raft->writes)) { /* what it would win with is not its own yet (36) */
        raft->election_deadline_ms = raft->now_ms + raft->options.heartbeat_interval_ms;
        return;
    }
    if (raft->options.pre_vote) {
        begin_campaign(raft, RAFT_PRE_CANDIDATE, false);
    } else {
        raft_election_campaign(raft, false);
    }
}

/* ---- the voter ---- */

/* While a leader is heard nobody else is wanted (4.2.3), unless it is the leader itself who asks:
 * then it knows that it no longer leads (pitfall 10). A newer term heard of meanwhile changes
 * nothing: the leader's lease counts on the promise, not on the term (6.4.1). */
bool raft_election_is_sticky(const struct raft *raft, const struct raft_message *message)
{
    if (!raft->options.check_quorum || message->vote_request.transfer) {
        return false;
    }
    if (raft->role == RAFT_LEADER || raft->now_ms < raft->silent_until_ms) {
        return true;
    }
    return raft->heard != 0 && raft->heard != message->from &&
           raft->now_ms - raft->leader_contact_ms < raft->options.election_timeout_ms;
}

/* 3.6.1: the log that ends in the later term, or is longer in the same, is more up to date. */
static bool is_up_to_date(const struct raft *raft, struct raft_entry_id theirs)
{
    const struct raft_entry_id ours = trail_last(&raft->trail);
    if (theirs.term != ours.term) {
        return theirs.term > ours.term;
    }
    return theirs.index >= ours.index;
}

/* Whether it is a voter itself is not asked: its configuration may be the old one, and the
 * candidate counts by its own (pitfall 18). Only a node that never had one stays out. */
static bool may_grant(const struct raft *raft, const struct raft_message *message)
{
    if (config_is_empty(&raft->configs.now) || raft_election_is_sticky(raft, message) ||
        raft_election_is_recovering(raft)) {
        return false;
    }
    if (!is_up_to_date(raft, message->vote_request.last)) {
        return false;
    }
    if (message->vote_request.pre_vote) {
        return message->term > raft->hard_state.term;
    }
    return message->term == raft->hard_state.term &&
           (raft->hard_state.vote == 0 || raft->hard_state.vote == message->from);
}

/* A pre-vote changes nothing here, neither term nor vote nor clock (9.6, pitfall 9). */
void raft_election_request(struct raft *raft, const struct raft_message *message)
{
    const bool is_pre_vote = message->vote_request.pre_vote;
    const bool is_granted = may_grant(raft, message);
    if (is_granted && !is_pre_vote) {
        if (raft->hard_state.vote == 0) {
            raft_set_hard_state(raft, (struct raft_hard_state){.term = raft->hard_state.term,
                                                               .vote = message->from});
        }
        raft->election_deadline_ms = raft->now_ms + raft->election_timeout_ms;
    }
    struct raft_message *answer =
        raft_answer(raft, RAFT_VOTE_RESPONSE, message, is_granted && !is_pre_vote);
    answer->vote_response = (struct raft_vote_response){
        .pre_vote = is_pre_vote,
        .granted = is_granted,
        .request_term = message->term,
        .campaign = message->vote_request.campaign,
    };
}

/* A grant is matched by what was asked, not by the voter's own term, which is lower when it
 * answers a pre-vote (pitfall 7). */
void raft_election_response(struct raft *raft, const struct raft_message *message)
{
    const struct raft_vote_response *response = &message->vote_response;
    const bool is_pre_vote = raft->role == RAFT_PRE_CANDIDATE;
    if (!is_pre_vote && raft->role != RAFT_CANDIDATE) {
        return;
    }
    const raft_term asked = raft->hard_state.term + (is_pre_vote ? 1 : 0);
    if (response->pre_vote != is_pre_vote || response->request_term != asked ||
        response->campaign != raft->campaign) {
        return;
    }
    struct progress *progress = raft_peer(raft, message->from);
    if (progress == NULL) {
        return;
    }
    progress->vote = response->granted ? PROGRESS_VOTE_GRANTED : PROGRESS_VOTE_REFUSED;
    raft_election_tally(raft);
}
