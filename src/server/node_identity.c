/* node_identity.c -- forming a cluster, and claiming a place in one (design: identity).
 *
 * A node with a new directory asks the others of initial-cluster who they are. If all that answer
 * are as new as itself, and they are a majority with it, it takes part in forming: an ordinary
 * election over the members of initial-cluster (ids derived from names and that list, so that all
 * agree on them), whose winner draws the cluster id and writes the first entry, the configuration,
 * with the incarnation of every node it has heard from. Because that entry is replicated and
 * committed like any other, two clusters cannot come out of it.
 *
 * A member that entry does not know yet (it started late) is written down by the leader when it
 * asks: "claiming". Until then nothing it says counts. A directory whose incarnation differs from
 * the one written down was lost and made anew: refused, until the member is replaced.
 *
 * A node that joins, or that replaces a member, has no id before a member tells it the one that the
 * configuration has for its name: it asks where --join says, and the leader, until it is added.
 */
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"

enum {
    NODE_ID_BITS = 53,    /* JSON readers keep 53 bits whole */
    PATIENCE_ROUNDS = 10, /* of NODE_IDENTITY_MS, for members that start later */
};

static uint64_t text_hash(uint64_t seed, const char *text)
{
    const uint32_t size = (uint32_t)strlen(text);
    const struct rk_frame hashed = {
        .term = size,
        .index = rk_crc32c(0, text, size),
        .time_ms = rk_crc32c(UINT32_MAX, text, size),
    };

    return rk_frame_chain(seed, &hashed);
}

/* Of names and addresses, in any order: a sum of one hash each. */
static uint64_t formation_of(const struct options *options)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < options->initial_cluster_count; i++) {
        sum += text_hash(text_hash(1, options->initial_cluster[i].name),
                         options->initial_cluster[i].address);
    }
    return sum;
}

/* A member's id before there is an entry that fixes it: the same on every node that was given the
 * same initial-cluster. Non-zero. */
static raft_node_id initial_id(uint64_t formation, const char *name)
{
    const raft_node_id id = text_hash(formation, name) & ((UINT64_C(1) << NODE_ID_BITS) - 1);

    return id != 0 ? id : 1;
}

static bool is_forming_over(const struct node *node)
{
    return node->standing == STANDING_MEMBER;
}

static void set_standing(struct node *node, enum standing standing, const char *event)
{
    node->standing = standing;
    node->is_view_stale = true;
    rk_log(standing == STANDING_REFUSED ? RK_LOG_ERROR : RK_LOG_INFO, "identity", event,
           RK_TEXT("reason", standing == STANDING_REFUSED ? node->refused_reason : ""), RK_END);
}

/* -- who is there to begin with -- */

void node_initial_members(const struct node *node, struct membership *ret)
{
    *ret = (struct membership){.election_timeout_ms = node->options->election_timeout_ms};
    for (uint32_t i = 0; i < node->options->initial_cluster_count; i++) {
        const struct options_peer *peer = &node->options->initial_cluster[i];
        struct member member = {
            .id = initial_id(node->formation, peer->name),
            .is_voter = true,
        };
        memcpy(member.name, peer->name, sizeof(member.name));
        memcpy(member.peer_address, peer->address, sizeof(member.peer_address));
        const enum rk_status status = membership_add(ret, &member);
        RK_ASSERT(status == RK_OK); /* options are checked */
    }
}

bool node_is_joining(const struct node *node)
{
    return node->options->join[0] != '\0';
}

/* -- forming -- */

static void forming_begin(struct node *node)
{
    struct raft_restored restored = {.hard_state = node->view.hard_state};

    node_identity_initial_config(node, &restored.config);
    set_standing(node, STANDING_FORMING, "forming");
    node_restart_core(node, &restored);
    const struct raft_event event = {.type = RAFT_EVENT_DEADLINE, .now_ms = node->now_ms};
    const enum rk_status status = node_step(node, &event);
    RK_ASSERT(status == RK_OK);
}

/* The cluster's first entry: its configuration, in the place of the first leader's no-op. */
static void encode_first_configuration(struct node *node, struct rk_buf *frame)
{
    struct membership first;

    node_initial_members(node, &first);
    first.cluster = node->drawn_cluster;
    for (uint32_t i = 0; i < first.members_count; i++) {
        struct member *member = &first.members[i];
        const struct peer *peer = node_peer(node, member->id);
        if (member->id == node->id) {
            member->incarnation = node->incarnation;
            memcpy(member->client_address, node->options->client_advertise,
                   sizeof(member->client_address));
        } else if (peer != NULL && peer->heard_incarnation != 0) {
            member->incarnation = peer->heard_incarnation;
            memcpy(member->client_address, peer->heard_client_address,
                   sizeof(member->client_address));
        }
    }
    const size_t begin = rk_frame_begin(frame, RAFT_ENTRY_CONFIG);
    membership_encode(&first, frame);
    rk_frame_end(frame, begin);
}

void node_first_entry(struct node *node, raft_index index, struct rk_buf *frame)
{
    if (index == 1) {
        encode_first_configuration(node, frame);
    } else {
        rk_frame_end(frame, rk_frame_begin(frame, RAFT_ENTRY_NOOP));
    }
    RK_ASSERT(!frame->overflowed);
}

/* -- what the log says -- */

static bool is_written_down(const struct node *node)
{
    const struct member *self = membership_by_name(&node->membership, node->options->node_id);

    return self != NULL && self->incarnation == node->incarnation;
}

static void standing_from_membership(struct node *node)
{
    if (is_written_down(node)) {
        if (!is_forming_over(node)) {
            char text[CLUSTER_ID_TEXT_SIZE];
            cluster_id_format(node->membership.cluster, text);
            node->standing = STANDING_MEMBER;
            rk_log(RK_LOG_INFO, "identity", "member", RK_TEXT("cluster", text),
                   RK_U64("id", node->id), RK_END);
        }
        return;
    }
    if (node->standing == STANDING_MEMBER) {
        rk_log(RK_LOG_WARN, "identity", "not_in_configuration", RK_END);
    }
}

void node_membership_entered(struct node *node, const struct membership *membership,
                             raft_index index)
{
    node->membership_before = node->membership;
    node->membership_before_index = node->membership_index;
    node->membership = *membership;
    node->membership_index = index;
    standing_from_membership(node);
    node_set_peers(node);
}

void node_membership_truncated(struct node *node, raft_index truncate_from)
{
    if (node->membership_index < truncate_from || node->membership_index == 0) {
        return;
    }
    /* A leader appends a configuration only when the one before is committed, so at most the last
     * one is cut off; by one that does otherwise, all. */
    if (node->membership_before_index >= truncate_from) {
        node->membership_before = (struct membership){0};
        node->membership_before_index = 0;
    }
    node->membership = node->membership_before;
    node->membership_index = node->membership_before_index;
    if (node->membership.members_count == 0) {
        set_standing(node, STANDING_FORMING, "first_configuration_truncated");
    } else if (!is_written_down(node)) {
        node->seen_cluster = node->membership.cluster;
        set_standing(node, STANDING_CLAIMING, "claim_truncated");
    }
    node->identity_due_ms = node->now_ms; /* a member has stopped asking */
    node_set_peers(node);
}

/* -- asking -- */

static void identity_fill(const struct node *node, struct wire_identity *identity)
{
    *identity = (struct wire_identity){
        .envelope = node_envelope(node, 0),
        .is_forming = (node->standing == STANDING_ASKING || node->standing == STANDING_FORMING) &&
                      node->view.hard_state.term == 0 && !node_is_joining(node),
        .formation = node->formation,
        .term = node->view.hard_state.term,
        .leader = node->view.leader,
    };
    memcpy(identity->node_name, node->options->node_id, sizeof(identity->node_name));
    memcpy(identity->peer_address, node->options->peer_advertise, sizeof(identity->peer_address));
    memcpy(identity->client_address, node->options->client_advertise,
           sizeof(identity->client_address));
}

static void ask(struct node *node, struct peer *peer)
{
    struct outgoing *outgoing = node_outgoing_new(node, OUTGOING_IDENTITY, peer->id);
    outgoing->round = node->identity_rounds;
    struct wire_identity identity;
    struct rk_buf body;

    identity_fill(node, &identity);
    rk_buf_init(&body, 8192);
    wire_encode_identity(&identity, &body);
    if (node_post(node, LINK_CONTROL, "/raft/identity", &body, NODE_IDENTITY_MS, outgoing) !=
        RK_OK) {
        node_outgoing_free(node, outgoing);
    }
}

static uint32_t initial_majority(const struct node *node)
{
    return node->options->initial_cluster_count / 2 + 1;
}

/* All that answered are new, and with this node they are a majority. Those that have not answered
 * get a moment: who is in the first configuration from the start need not be written down later. */
static void judge_round(struct node *node)
{
    const uint32_t fresh = node->identity_fresh + 1;
    const bool are_all = fresh == node->options->initial_cluster_count;

    /* A log that was lost had the first entry: there is a cluster, whoever answers. */
    if (node_is_joining(node) || node->membership.members_count > 0 || node->recover_to.index > 0) {
        return;
    }
    if (node->standing != STANDING_ASKING || node->identity_answers != node->identity_fresh) {
        return;
    }
    if (are_all || (fresh >= initial_majority(node) && node->identity_rounds > PATIENCE_ROUNDS)) {
        forming_begin(node);
    }
}

static bool leads_firmly(const struct node *node)
{
    return node_is_leader(node) && node->is_firm;
}

/* The leader asks, too, where a member is not written down: that one may know of an address only
 * where nobody knows the leader any more. */
static bool misses_a_member(const struct node *node)
{
    for (uint32_t i = 0; leads_firmly(node) && i < node->membership.members_count; i++) {
        if (node->membership.members[i].incarnation == 0) {
            return true;
        }
    }
    return false;
}

static void ask_round(struct node *node)
{
    node->identity_rounds++;
    node->identity_answers = 0;
    node->identity_fresh = 0;
    node->identity_foreign = 0;
    for (uint32_t i = 0; i < node->peers_count; i++) {
        if (!leads_firmly(node) || node->peers[i].incarnation == 0) {
            ask(node, &node->peers[i]);
        }
    }
}

uint64_t node_identity_deadline_ms(const struct node *node)
{
    return node->identity_due_ms;
}

void node_identity_turn(struct node *node)
{
    const bool is_lost = node_removed_asks(node) || misses_a_member(node);
    if (is_lost && node->identity_due_ms == UINT64_MAX) {
        node->identity_due_ms = node->now_ms;
    }
    if (node->now_ms < node->identity_due_ms) {
        return;
    }
    judge_round(node);
    ask_round(node);
    const bool is_over = node->standing == STANDING_MEMBER && node->is_firm && !is_lost;
    node->identity_due_ms =
        is_over ? UINT64_MAX : node->now_ms + (is_lost ? NODE_LOST_MS : NODE_IDENTITY_MS);
}

/* -- what the others say -- */

/* The leader writes the incarnation down of a member that was not seen before. */
static void write_down(struct node *node, const struct member *member,
                       const struct wire_identity *asker)
{
    struct membership next = node->membership;

    for (uint32_t i = 0; i < next.members_count; i++) {
        if (next.members[i].id == member->id) {
            next.members[i].incarnation = asker->envelope.from_incarnation;
            memcpy(next.members[i].client_address, asker->client_address,
                   sizeof(next.members[i].client_address));
        }
    }
    const enum rk_status status = node_propose_membership(node, &next);
    if (status == RK_OK) {
        rk_log(RK_LOG_INFO, "identity", "member_written_down", RK_TEXT("member", member->name),
               RK_END);
    } /* else it asks again: another change is under way, or another node leads */
}

static bool is_new_member(const struct node *node, const struct member *member,
                          const struct wire_identity *asker)
{
    return node->view.is_term_committed && asker->envelope.from_incarnation != 0 &&
           asker->envelope.from == member->id &&
           strcmp(member->peer_address, asker->peer_address) == 0;
}

static void write_down_new(struct node *node, const struct wire_identity *identity)
{
    const struct member *member = membership_by_name(&node->membership, identity->node_name);

    if (member == NULL || member->incarnation != 0 || !node_is_leader(node)) {
        return;
    }
    if (node_feature_may_join(node, member, &identity->envelope) &&
        is_new_member(node, member, identity)) {
        write_down(node, member, identity);
    }
}

static void refuse_self(struct node *node, const char *reason)
{
    if (node->standing == STANDING_REFUSED && strcmp(node->refused_reason, reason) == 0) {
        return;
    }
    RK_ASSERT(strlen(reason) < sizeof(node->refused_reason));
    memcpy(node->refused_reason, reason, strlen(reason) + 1);
    set_standing(node, STANDING_REFUSED, "refused");
}

static bool is_peer_address(const struct node *node, const char *address)
{
    for (uint32_t i = 0; i < node->peers_count; i++) {
        if (strcmp(node->peers[i].address, address) == 0) {
            return true;
        }
    }
    return false;
}

/* Only the leader can write a new member down, and it need not be among those that this node was
 * told of: where to join may be a follower, or gone, and initial-cluster may be older than the
 * leader. */
static void ask_leader_too(struct node *node, const char *leader_address)
{
    if (node->membership.members_count == 0 && leader_address[0] != '\0' &&
        !is_peer_address(node, leader_address)) {
        node_add_contact(node, NODE_CONTACT_LEADER, leader_address);
    }
}

static void wait_to_be_added(struct node *node, struct cluster_id cluster,
                             const struct wire_identity *identity)
{
    char text[CLUSTER_ID_TEXT_SIZE];

    ask_leader_too(node, identity->leader_address);
    if (node->standing == STANDING_REFUSED) {
        return;
    }
    cluster_id_format(cluster, text);
    refuse_self(node, "not a member yet: waits to be added (raftkv member add, or replace)");
    rk_log(RK_LOG_INFO, "identity", "waits_to_be_added", RK_TEXT("cluster", text),
           RK_TEXT("name", node->options->node_id),
           RK_TEXT("peer_address", node->options->peer_advertise), RK_END);
}

/* The core is made anew under the id that the configuration has for this node. Nothing was said
 * under another, nor anything taken: a node that asks or waits takes no messages. One that did,
 * because it was added anew meanwhile, must begin anew too. */
static void take_id(struct node *node, raft_node_id id)
{
    const struct raft_restored *kept = node->kept;

    if (id == node->id || id == 0) {
        return;
    }
    if (kept == NULL || kept->last.index != node->view.last.index ||
        kept->hard_state.term != node->view.hard_state.term ||
        (node->standing != STANDING_ASKING && node->standing != STANDING_REFUSED)) {
        node_end(node, RK_CONFLICT, "given_another_id", 0);
    }
    node->id = id;
    node_restart_core(node, node->kept);
    node_set_peers(node);
}

/* There is a cluster; what does it know of this node? */
static void cluster_seen(struct node *node, const struct wire_identity *identity)
{
    const struct cluster_id cluster = {.high = identity->envelope.cluster_high,
                                       .low = identity->envelope.cluster_low};

    const bool is_own = cluster_id_equal(cluster, node->membership.cluster);
    const bool is_known =
        identity->asked_is_member &&
        (identity->asked_incarnation == 0 || identity->asked_incarnation == node->incarnation);

    if (node->standing == STANDING_MEMBER && is_own) {
        return; /* what its own log says is newer than the word of a member that lags */
    }
    if (node->standing == STANDING_CLAIMING && !is_known) {
        return; /* the same: somebody who had the entry has told it its id */
    }
    if (identity->cluster_level > node->options->feature_level_max) {
        refuse_self(node, "this version is too old for the cluster: it cannot read the cluster's "
                          "feature level");
        return;
    }
    if (!identity->asked_is_member && node_is_joining(node)) {
        wait_to_be_added(node, cluster, identity);
        return;
    }
    if (!identity->asked_is_member) {
        refuse_self(node, "a cluster exists at these addresses and does not know this node's "
                          "name: use a member change to add it");
        return;
    }
    if (identity->asked_incarnation != 0 && identity->asked_incarnation != node->incarnation) {
        refuse_self(node, "the cluster knows this name with another data directory, which is "
                          "lost: replace the member, or bring the directory back");
        return;
    }
    ask_leader_too(node, identity->leader_address);
    take_id(node, identity->asked_id);
    /* Also with a first entry of its own that never was committed: theirs takes its place. */
    if (node->standing == STANDING_ASKING || node->standing == STANDING_REFUSED ||
        (node->standing == STANDING_MEMBER && identity->asked_incarnation == 0)) {
        node->seen_cluster = cluster;
        node->identity_due_ms = node->now_ms; /* to be written down under that id */
        set_standing(node, STANDING_CLAIMING, "claiming");
        if (is_own) {
            standing_from_membership(node);
        }
    }
}

/* It stopped with a term and no entry and took up forming again, but the term is of a cluster that
 * has it under another id, in somebody's place. */
static void give_up_forming(struct node *node, const struct wire_identity *identity)
{
    if (node->standing == STANDING_FORMING && node->view.last.index == 0 && node->kept != NULL &&
        identity->asked_is_member && identity->asked_id != node->id) {
        node->kept->config = (struct raft_config){0}; /* initial-cluster's: not this cluster's */
        set_standing(node, STANDING_ASKING, "forming_given_up");
    }
}

/* An old directory, and the others are of another cluster: somebody mixed up directories. */
static void foreign_seen(struct node *node, struct cluster_id theirs)
{
    node->identity_foreign += !cluster_id_equal(theirs, node->membership.cluster);
    if (node->identity_foreign >= initial_majority(node)) {
        node_end(node, RK_CONFLICT, "data_directory_of_another_cluster", 0);
    }
}

static void report_once(struct peer *peer, const char *event)
{
    if (!peer->is_refusal_reported) {
        peer->is_refusal_reported = true;
        rk_log(RK_LOG_WARN, "identity", event, RK_TEXT("peer", peer->name),
               RK_TEXT("address", peer->address), RK_END);
    }
}

static void identity_heard(struct node *node, struct peer *peer,
                           const struct wire_identity *identity)
{
    const struct cluster_id theirs = {.high = identity->envelope.cluster_high,
                                      .low = identity->envelope.cluster_low};

    node->identity_answers++;
    if (identity->envelope.election_timeout_ms != node->options->election_timeout_ms) {
        report_once(peer, "election_timeout_differs");
        return;
    }
    if (node_removed_asks(node)) {
        node_removed_heard(node, identity);
        return;
    }
    if (leads_firmly(node)) {
        write_down_new(node, identity);
        return;
    }
    if (cluster_id_is_set(theirs)) {
        give_up_forming(node, identity);
        if (node->standing == STANDING_MEMBER && node->is_firm) {
            foreign_seen(node, theirs);
        } else if (node->standing != STANDING_FORMING) {
            cluster_seen(node, identity);
        }
        return;
    }
    if (identity->formation != node->formation) {
        report_once(peer, "initial_cluster_differs");
        return;
    }
    if (identity->is_forming) {
        node->identity_fresh++;
        if (node->standing == STANDING_ASKING &&
            node->identity_fresh + 1 == node->options->initial_cluster_count) {
            node->identity_due_ms = node->now_ms; /* nobody else to wait for */
        }
    }
    if (peer->heard_incarnation == 0 || node->standing == STANDING_ASKING) {
        peer->heard_incarnation = identity->envelope.from_incarnation;
    }
    memcpy(peer->heard_client_address, identity->client_address,
           sizeof(peer->heard_client_address));
}

void node_identity_result(struct node *node, struct outgoing *outgoing,
                          const struct link_result *result)
{
    struct wire_identity identity;
    const char *reason = NULL;
    struct peer *peer = node_peer(node, outgoing->peer);

    if (peer == NULL || result->status != RK_OK || result->http_status != 200 ||
        outgoing->round != node->identity_rounds) { /* late: nobody is counted twice in a round */
        return;
    }
    if (wire_decode_identity(result->body, &identity, &reason) != RK_OK) {
        rk_log(RK_LOG_WARN, "identity", "answer_unreadable", RK_TEXT("peer", peer->name),
               RK_TEXT("reason", reason), RK_END);
        return;
    }
    if (peer->name[0] != '\0' && strcmp(identity.node_name, peer->name) != 0) {
        rk_log(RK_LOG_WARN, "identity", "another_name_answers", RK_TEXT("peer", peer->name),
               RK_TEXT("name", identity.node_name), RK_END);
        return;
    }
    identity_heard(node, peer, &identity);
}

/* -- being asked -- */

void node_identity_received(struct node *node, struct http_exchange *exchange, struct rk_bytes body)
{
    struct wire_identity asker;
    struct wire_identity answer;
    const char *reason = NULL;
    struct rk_buf encoded;

    if (wire_decode_identity(body, &asker, &reason) != RK_OK) {
        node_refuse(node, exchange, 400, reason);
        return;
    }
    const struct member *member = membership_by_name(&node->membership, asker.node_name);
    identity_fill(node, &answer);
    answer.asked_is_member = member != NULL;
    answer.asked_incarnation = member != NULL ? member->incarnation : 0;
    answer.asked_id = member != NULL ? member->id : 0;
    answer.cluster_level = sm_feature_level(node->sm);
    const struct member *leader = membership_by_id(&node->membership, node->view.leader);
    if (leader != NULL) {
        memcpy(answer.leader_address, leader->peer_address, sizeof(answer.leader_address));
    }
    rk_buf_init(&encoded, 8192);
    wire_encode_identity(&answer, &encoded);
    node_answer_buf(node, exchange, &encoded);
    write_down_new(node, &asker);
    if (asker.leader != 0 && asker.leader == asker.envelope.from) {
        ask_leader_too(node, asker.peer_address); /* it asks those that it waits for */
    }
}

static bool knows_initial_cluster(const struct node *node)
{
    for (uint32_t i = 0; i < node->options->initial_cluster_count; i++) {
        const struct options_peer *peer = &node->options->initial_cluster[i];
        const struct member *member = membership_by_name(&node->membership, peer->name);
        if (strcmp(peer->name, node->options->node_id) != 0 && member != NULL &&
            strcmp(member->peer_address, peer->address) == 0) {
            return true;
        }
    }
    return node->options->initial_cluster_count <= 1;
}

/* An old directory must be this node's, of the cluster that the configuration names. */
static const char *directory_refusal(const struct node *node, const struct member *self)
{
    if (self == NULL && (node_is_joining(node) || node->recover_to.index > 0)) {
        return NULL; /* it stopped before the entry that names it had come, or has lost it */
    }
    if (self == NULL) {
        return "its configuration does not name this node";
    }
    if (strcmp(self->peer_address, node->options->peer_advertise) != 0) {
        return "its configuration has another peer address for this node";
    }
    /* An id that this initial-cluster gives was given when this cluster was made, however its
     * members have changed since. */
    if (!node_is_joining(node) && self->id != initial_id(node->formation, node->options->node_id) &&
        !knows_initial_cluster(node)) {
        return "none of the other members in initial-cluster is in its configuration";
    }
    return NULL;
}

enum rk_status node_identity_start(struct node *node, const char **reason)
{
    const struct member *self = membership_by_name(&node->membership, node->options->node_id);

    node->formation = node_is_joining(node) ? 0 : formation_of(node->options);
    node->id = self != NULL ? self->id : initial_id(node->formation, node->options->node_id);
    if (self != NULL && self->incarnation != 0 && self->incarnation != node->incarnation) {
        node->id = initial_id(node->incarnation, node->options->node_id); /* nobody's */
    }
    node->standing = STANDING_ASKING;
    node->drawn_cluster = (struct cluster_id){.high = rk_random_u64(), .low = rk_random_u64()};
    if (node->membership.members_count > 0) {
        *reason = directory_refusal(node, self);
        if (*reason != NULL) {
            return RK_CONFLICT;
        }
        /* Without its name, or with the one that it replaces: its id is not known here yet. */
        const bool is_named =
            self != NULL && (self->incarnation == 0 || self->incarnation == node->incarnation);
        if (is_named) {
            node->standing = STANDING_CLAIMING;
            node->seen_cluster = node->membership.cluster;
            standing_from_membership(node);
        }
    } else if (node->view.hard_state.term > 0 && !node_is_joining(node) &&
               node->recover_to.index == 0) {
        node->standing = STANDING_FORMING; /* it took part before it stopped */
    }
    node_set_peers(node);
    return RK_OK;
}

void node_identity_initial_config(struct node *node, struct raft_config *ret)
{
    struct membership initial;

    node_initial_members(node, &initial);
    membership_to_raft(&initial, ret);
}
