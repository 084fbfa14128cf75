/* Two worlds are the same when nothing that can still happen tells them apart: numbers that are
 * only compared come down to ranks, times to what a core can still conclude from them. A field of
 * the core that is missing here would make the program blind, so new ones are to be added; left out
 * are those that serve CheckQuorum, leases, reads and snapshots, which small worlds do without. */
#include "base/assert.h"
#include "raft/internal.h"
#include "sim/small_worlds.h"

/* ---- hashing ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 32;
    return hash * UINT64_C(0xd6e8feb86659fd93);
}

/* ---- names ---- */

/* Nodes that start alike are alike: a world in which they have changed places is the same world.
 * The names under which a world is hashed put the nodes in an order of their own. */
struct names {
    raft_node_id of[SMALL_NODES_MAX + 1]; /* by id; nobody keeps 0 */
    raft_node_id id[SMALL_NODES_MAX + 1]; /* by name */
};

static struct names names;

static void set_names(const uint32_t *order)
{
    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        names.id[i + 1] = order[i] + 1;
        names.of[order[i] + 1] = i + 1;
    }
}

static uint8_t named_set(uint8_t set)
{
    uint32_t named = 0;
    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        named |= (uint32_t)(set >> i & 1U) << (names.of[i + 1] - 1);
    }
    return (uint8_t)named;
}

static uint64_t mix_entries(uint64_t hash, const struct small_entry *entries, uint8_t count)
{
    hash = mix(hash, count);
    for (uint8_t i = 0; i < count; i++) {
        const struct small_entry *entry = &entries[i];
        hash = mix(hash, (uint64_t)entry->term | (uint64_t)entry->type << 8 |
                             (uint64_t)named_set(entry->voters) << 16 |
                             (uint64_t)named_set(entry->old_voters) << 24 |
                             (uint64_t)named_set(entry->learners) << 32);
    }
    return hash;
}

/* ---- ranks ---- */

enum { RANKS_MAX = 64 };

struct ranks {
    uint32_t count;
    uint64_t values[RANKS_MAX]; /* ascending, each once */
};

static void rank_add(struct ranks *ranks, uint64_t value)
{
    uint32_t at = ranks->count;
    for (uint32_t i = 0; i < ranks->count; i++) {
        if (ranks->values[i] == value) {
            return;
        }
    }
    RK_ASSERT(at < RANKS_MAX);
    for (; at > 0 && ranks->values[at - 1] > value; at--) {
        ranks->values[at] = ranks->values[at - 1];
    }
    ranks->values[at] = value;
    ranks->count++;
}

/* 0 stays 0: the core gives it a meaning of its own. */
static uint64_t rank_of(const struct ranks *ranks, uint64_t value)
{
    uint64_t rank = 1;
    if (value == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < ranks->count && ranks->values[i] < value; i++) {
        rank++;
    }
    return rank;
}

/* Of append sequences between a leader and a peer, and of a leader's rounds. */
struct number_ranks {
    struct ranks sequences[SMALL_NODES_MAX][SMALL_NODES_MAX];
    struct ranks rounds[SMALL_NODES_MAX];
};

static void add_message_ranks(struct number_ranks *ranks, const struct raft_message *message)
{
    const uint64_t from = message->from - 1;
    const uint64_t to = message->to - 1;
    if (message->type == RAFT_APPEND_REQUEST) {
        rank_add(&ranks->sequences[from][to], message->append_request.sequence);
    } else if (message->type == RAFT_APPEND_RESPONSE) {
        rank_add(&ranks->sequences[to][from], message->append_response.sequence);
    } else if (message->type == RAFT_HEARTBEAT_REQUEST) {
        rank_add(&ranks->rounds[from], message->heartbeat_request.round);
    } else if (message->type == RAFT_HEARTBEAT_RESPONSE) {
        rank_add(&ranks->rounds[to], message->heartbeat_response.round);
    }
}

static void add_core_ranks(struct number_ranks *ranks, const struct raft *core)
{
    const uint64_t id = core->options.id - 1;
    rank_add(&ranks->rounds[id], core->round);
    for (uint32_t i = 0; i < core->peers_count; i++) {
        const struct progress *peer = &core->peers[i];
        struct ranks *sequences = &ranks->sequences[id][peer->id - 1];
        rank_add(sequences, peer->sequence);
        rank_add(sequences, peer->probe_sequence);
        rank_add(sequences, peer->pipeline_sequence);
        rank_add(sequences, peer->loss_sequence);
        rank_add(&ranks->rounds[id], peer->round_acked);
        rank_add(&ranks->rounds[id], peer->anchor_round);
    }
}

static void collect_ranks(struct number_ranks *ranks, const struct small_place *place)
{
    const struct small_world *world = &place->world;
    for (uint32_t i = 0; i < SMALL_NODES_MAX; i++) {
        ranks->rounds[i].count = 0;
        for (uint32_t k = 0; k < SMALL_NODES_MAX; k++) {
            ranks->sequences[i][k].count = 0;
        }
    }
    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        const struct small_node *node = &world->nodes[i];
        if (node->is_up) {
            add_core_ranks(ranks, place->cores[i]);
        }
        for (uint32_t k = 0; k < node->held_count; k++) {
            add_message_ranks(ranks, &node->held[k].raft);
        }
    }
    for (uint32_t i = 0; i < world->messages_count; i++) {
        add_message_ranks(ranks, &world->messages[i].raft);
    }
}

/* ---- messages ---- */

/* A campaign's number is only ever compared with that of the campaign under way. */
static uint64_t campaign_rank(const struct small_place *place, raft_node_id candidate,
                              uint64_t campaign)
{
    const struct small_node *node = &place->world.nodes[candidate - 1];
    return node->is_up && place->cores[candidate - 1]->campaign == campaign;
}

static uint64_t mix_id(uint64_t hash, struct raft_entry_id id)
{
    return mix(hash, id.term << 8 | id.index);
}

/* ranks NULL: by the numbers themselves. */
static uint64_t message_hash(const struct small_place *place, const struct small_message *message,
                             const struct number_ranks *ranks)
{
    const struct raft_message *raft = &message->raft;
    const uint64_t from = raft->from - 1;
    const uint64_t to = raft->to - 1;
    uint64_t hash = mix(17, (uint64_t)raft->type | names.of[raft->from] << 8 |
                                names.of[raft->to] << 16 | raft->term << 24);
    uint64_t number = 0;
    switch (raft->type) {
    case RAFT_VOTE_REQUEST:
        hash = mix(hash, (uint64_t)raft->vote_request.pre_vote << 1 | raft->vote_request.transfer);
        hash = mix_id(hash, raft->vote_request.last);
        return mix(hash, campaign_rank(place, raft->from, raft->vote_request.campaign));
    case RAFT_VOTE_RESPONSE:
        hash = mix(hash, (uint64_t)raft->vote_response.pre_vote << 1 | raft->vote_response.granted);
        hash = mix(hash, raft->vote_response.request_term);
        return mix(hash, campaign_rank(place, raft->to, raft->vote_response.campaign));
    case RAFT_APPEND_REQUEST:
        number = raft->append_request.sequence;
        hash = mix_id(hash, raft->append_request.previous);
        hash = mix(hash, raft->append_request.leader_commit);
        hash = mix_entries(hash, message->entries, message->entries_count);
        return mix(hash, ranks == NULL ? number : rank_of(&ranks->sequences[from][to], number));
    case RAFT_APPEND_RESPONSE:
        number = raft->append_response.sequence;
        hash = mix(hash, raft->append_response.accepted);
        hash = mix(hash, raft->append_response.match << 8 | raft->append_response.previous);
        hash = mix_id(hash, raft->append_response.hint);
        return mix(hash, ranks == NULL ? number : rank_of(&ranks->sequences[to][from], number));
    case RAFT_HEARTBEAT_REQUEST:
        number = raft->heartbeat_request.round;
        hash = mix(hash, raft->heartbeat_request.commit);
        return mix(hash, ranks == NULL ? number : rank_of(&ranks->rounds[from], number));
    case RAFT_HEARTBEAT_RESPONSE:
        number = raft->heartbeat_response.round;
        hash =
            mix(hash, raft->heartbeat_response.last << 8 | raft->heartbeat_response.commit_index);
        return mix(hash, ranks == NULL ? number : rank_of(&ranks->rounds[to], number));
    case RAFT_TIMEOUT_NOW:
        return hash;
    case RAFT_SNAPSHOT_REQUEST:
    case RAFT_SNAPSHOT_RESPONSE:
        break; /* nothing is compacted in a small world */
    }
    RK_ASSERT(false);
}

uint64_t small_message_hash(const struct small_place *place, const struct small_message *message)
{
    const uint32_t order[] = {0, 1, 2, 3, 4};
    set_names(order);
    return message_hash(place, message, NULL);
}

/* ---- cores ---- */

/* How far a write is from durable; all that are, are alike. */
static uint64_t write_rank(const struct raft *core, uint64_t number)
{
    return number > core->writes.persisted ? number - core->writes.persisted : 0;
}

static uint64_t mix_config(uint64_t hash, const struct raft_config *config, raft_index index)
{
    const struct raft_entry entry = {.type = RAFT_ENTRY_CONFIG, .config = config};
    const struct small_entry small = small_entry_of(&entry);
    return mix(mix_entries(hash, &small, 1), index);
}

static uint64_t mix_writes(uint64_t hash, const struct raft *core)
{
    const struct writes *writes = &core->writes;
    hash = mix(hash, writes->durable_index << 8 | write_rank(core, core->hard_state_write));
    hash = mix(hash, write_rank(core, writes->newest) << 8 | writes->count);
    for (uint32_t i = 0; i < writes->count; i++) {
        const struct writes_slot *slot = &writes->slots[(writes->first + i) % WRITES_SLOTS_MAX];
        hash = mix(hash, write_rank(core, slot->number) << 8 | slot->last_index);
    }
    return hash;
}

/* What a leader knows of a peer. Its time counts as before or after the core's patience. */
static uint64_t mix_peer(uint64_t hash, const struct raft *core, const struct progress *peer,
                         const struct number_ranks *ranks)
{
    const struct ranks *rounds = &ranks->rounds[core->options.id - 1];
    const struct ranks *sequences = &ranks->sequences[core->options.id - 1][peer->id - 1];
    const bool is_late = core->now_ms - peer->moved_ms >= SMALL_ELECTION_MS / 2;
    hash = mix(hash, (uint64_t)peer->state | peer->match_index << 8 | peer->next_index << 16 |
                         peer->probe_last << 24 | (uint64_t)peer->is_paused << 32 |
                         (uint64_t)is_late << 33 | peer->anchor_match << 40 |
                         peer->commit_index << 48);
    hash = mix(hash, rank_of(sequences, peer->probe_sequence) |
                         rank_of(sequences, peer->pipeline_sequence) << 8 |
                         rank_of(sequences, peer->loss_sequence) << 16 |
                         rank_of(rounds, peer->round_acked) << 24 |
                         rank_of(rounds, peer->anchor_round) << 32);
    for (uint32_t i = 0; i < peer->inflight_count; i++) {
        hash = mix(hash, peer->inflight[(peer->inflight_first + i) % RAFT_INFLIGHT_MAX]);
    }
    return hash;
}

static const struct progress *peer_of(const struct raft *core, raft_node_id id)
{
    for (uint32_t i = 0; i < core->peers_count; i++) {
        if (core->peers[i].id == id) {
            return &core->peers[i];
        }
    }
    return NULL;
}

static uint64_t mix_leader(uint64_t hash, const struct raft *core, const struct number_ranks *ranks)
{
    uint64_t transfer_beats = 0;
    if (core->transfer_peer != 0 && core->transfer_deadline_ms > core->now_ms) {
        transfer_beats = (core->transfer_deadline_ms - core->now_ms + SMALL_ELECTION_MS / 2 - 1) /
                         (SMALL_ELECTION_MS / 2);
    }
    hash = mix(hash, core->term_start | names.of[core->transfer_peer] << 8 | transfer_beats << 16 |
                         (uint64_t)(core->transfer_peer != 0 && core->is_transfer_sent) << 24);
    for (raft_node_id name = 1; name <= small_bounds.nodes; name++) {
        const struct progress *peer = peer_of(core, names.id[name]);
        if (peer != NULL) {
            hash = mix_peer(mix(hash, name), core, peer, ranks);
        }
    }
    return hash;
}

static uint64_t mix_candidate(uint64_t hash, const struct raft *core)
{
    uint64_t votes = 0;
    for (uint32_t i = 0; i < core->peers_count; i++) {
        votes |= (uint64_t)core->peers[i].vote << 4 * names.of[core->peers[i].id];
    }
    hash = mix(hash, votes);
    return mix(hash, write_rank(core, core->campaign_write) << 1 | core->is_transfer);
}

static uint64_t mix_core(uint64_t hash, const struct raft *core, const struct number_ranks *ranks)
{
    hash = mix(hash, (uint64_t)core->role | core->hard_state.term << 8 |
                         names.of[core->hard_state.vote] << 16 | names.of[core->leader] << 24 |
                         core->commit_index << 32);
    hash = mix_config(hash, &core->configs.now, core->configs.index);
    hash = mix_config(hash, &core->configs.former, core->configs.former_index);
    hash = mix_writes(hash, core);
    hash = mix(hash, rank_of(&ranks->rounds[core->options.id - 1], core->round));
    for (raft_node_id name = 1; name <= small_bounds.nodes; name++) {
        const raft_node_id id = names.id[name];
        const struct progress *peer = peer_of(core, id);
        if (peer != NULL) {
            hash =
                mix(hash, rank_of(&ranks->sequences[core->options.id - 1][id - 1], peer->sequence));
        }
    }
    if (core->role == RAFT_LEADER) {
        return mix_leader(hash, core, ranks);
    }
    return core->role == RAFT_FOLLOWER ? hash : mix_candidate(hash, core);
}

/* ---- the world ---- */

static uint64_t mix_node(const struct small_place *place, uint32_t at,
                         const struct number_ranks *ranks)
{
    const struct small_node *node = &place->world.nodes[at];
    uint64_t hash =
        mix(3, (uint64_t)node->is_up | (uint64_t)node->disk_term << 8 |
                   names.of[node->disk_vote] << 16 | (uint64_t)node->writes_count << 24);
    hash = mix_entries(hash, node->disk.entries, node->disk.count);
    if (!node->is_up) {
        return hash;
    }
    for (uint32_t i = 0; i < node->writes_count; i++) {
        const struct small_write *write = &node->writes[i];
        hash = mix(hash, (uint64_t)write->has_hard_state | (uint64_t)write->term << 8 |
                             names.of[write->vote] << 16 | (uint64_t)write->truncate_from << 24);
        hash = mix_entries(hash, write->entries, write->entries_count);
    }
    uint64_t held = 0; /* a set, as those in flight */
    for (uint32_t i = 0; i < node->held_count; i++) {
        const uint64_t write = write_rank(place->cores[at], node->held[i].raft.after_write);
        held += mix(message_hash(place, &node->held[i], ranks), write);
    }
    hash = mix(hash, held);
    return mix_core(hash, place->cores[at], ranks);
}

static uint64_t mix_left(uint64_t hash, const struct small_bounds *left)
{
    return mix(hash, (uint64_t)left->entries | (uint64_t)left->crashes << 8 |
                         (uint64_t)left->configs << 16 | (uint64_t)left->transfers << 24 |
                         (uint64_t)left->duplicates << 32 | (uint64_t)left->heartbeats << 40);
}

/* Under the names that are set. */
static uint64_t named_hash(const struct small_place *place, const struct number_ranks *ranks)
{
    const struct small_world *world = &place->world;
    uint64_t hash = mix_left(1, &world->left);
    uint64_t in_flight = 0; /* a set: the order does not count */

    for (uint32_t name = 1; name <= small_bounds.nodes; name++) {
        hash = mix(hash, mix_node(place, (uint32_t)names.id[name] - 1, ranks));
    }
    for (uint32_t i = 0; i < world->messages_count; i++) {
        in_flight += message_hash(place, &world->messages[i], ranks);
    }
    hash = mix(hash, in_flight);
    for (uint32_t i = 0; i <= SMALL_TERMS_MAX; i++) {
        hash = mix(hash, names.of[world->leaders[i]]);
    }
    hash = mix_entries(hash, world->committed.entries, world->committed.count);
    for (uint32_t i = 0; i < world->committed.count; i++) {
        hash = mix(hash, world->commit_terms[i]);
    }
    return hash == 0 ? 1 : hash;
}

/* What can be said of a node without any name. Only nodes that agree in it can change places. */
static uint64_t nameless(const struct small_place *place, uint32_t at)
{
    const struct small_node *node = &place->world.nodes[at];
    const uint64_t is_spare = at + small_bounds.spares >= small_bounds.nodes;
    uint64_t hash = mix(5, is_spare << 16 | (uint64_t)node->is_up << 8 | node->disk_term);
    for (uint8_t i = 0; i < node->disk.count; i++) {
        hash = mix(hash, node->disk.entries[i].term);
    }
    if (node->is_up) {
        const struct raft *core = place->cores[at];
        const uint64_t has_own_vote = core->hard_state.vote == at + 1;
        const uint64_t has_vote = core->hard_state.vote != 0;
        hash = mix(hash, (uint64_t)core->role | core->hard_state.term << 8 | has_own_vote << 16 |
                             has_vote << 17 | (uint64_t)(core->leader != 0) << 18 |
                             core->commit_index << 24 | (uint64_t)node->writes_count << 32);
    }
    return is_spare << 63 | hash >> 1; /* spares stay behind the others */
}

/* The least hash over the orders that are left: `order` from `at` on may still be changed. */
static uint64_t least_hash(const struct small_place *place, const struct number_ranks *ranks,
                           const uint64_t *told, uint32_t *order, uint32_t at)
{
    uint64_t least = UINT64_MAX;
    if (at == small_bounds.nodes) {
        set_names(order);
        return named_hash(place, ranks);
    }
    for (uint32_t i = at; i < small_bounds.nodes; i++) {
        if (told[order[i]] != told[order[at]]) {
            break; /* they ascend */
        }
        const uint32_t first = order[at];
        order[at] = order[i];
        order[i] = first;
        const uint64_t hash = least_hash(place, ranks, told, order, at + 1);
        least = hash < least ? hash : least;
        order[i] = order[at];
        order[at] = first;
    }
    return least;
}

uint64_t small_hash(const struct small_place *place)
{
    static struct number_ranks ranks;
    uint64_t told[SMALL_NODES_MAX];
    uint32_t order[SMALL_NODES_MAX];

    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        uint32_t at = i;
        told[i] = nameless(place, i);
        for (; at > 0 && told[order[at - 1]] > told[i]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    collect_ranks(&ranks, place);
    return least_hash(place, &ranks, told, order, 0);
}
