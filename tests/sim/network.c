/* Directed links: delay, loss, repetition, reordering, clogging, a capacity, cuts. */
#include "base/assert.h"
#include "sim/sim.h"

static uint32_t flight_take(struct sim *sim)
{
    if (sim->flights_free != 0) {
        const uint32_t at = sim->flights_free - 1;
        sim->flights_free = sim->flights[at].next_free;
        return at;
    }
    RK_ASSERT(sim->flights_used < SIM_FLIGHTS_MAX);
    return sim->flights_used++;
}

static void flight_give(struct sim *sim, uint32_t at)
{
    struct sim_flight *flight = &sim->flights[at];
    if (flight->entries_count > 0) {
        sim_pool_give(sim, flight->entries, flight->entries_count);
    }
    sim->link_load[flight->message.from][flight->message.to]--;
    flight->next_free = sim->flights_free;
    sim->flights_free = at + 1;
}

static uint64_t arrival_us(struct sim *sim, raft_node_id from, raft_node_id to, uint32_t late_us)
{
    const struct sim_knobs *knobs = &sim->knobs;
    uint64_t at_us = sim->now_us + knobs->delay_min_us + late_us +
                     tape_around(sim->tape, TAPE_NETWORK, knobs->delay_mean_us);
    if (at_us < sim->clogged_until_us[from][to]) {
        at_us = sim->clogged_until_us[from][to];
    }
    if (knobs->is_in_order) {
        if (at_us < sim->link_last_us[from][to]) {
            at_us = sim->link_last_us[from][to];
        }
        sim->link_last_us[from][to] = at_us;
    }
    return at_us;
}

static void lend_entries(struct sim *sim, const struct sim_node *node, struct sim_flight *flight)
{
    const struct raft_append_request *request = &flight->message.append_request;
    const uint32_t count = (uint32_t)(request->entries_last - request->previous.index);
    flight->entries_count = count;
    if (count == 0) {
        return;
    }
    RK_ASSERT(request->previous.index >= node->log.base);
    RK_ASSERT(request->entries_last <= node->log.last);
    flight->entries = sim_pool_take(sim, count);
    for (uint32_t i = 0; i < count; i++) {
        flight->entries[i] = node->log.entries[request->previous.index + 1 + i];
    }
}

/* Past its capacity a link drops, as a full queue does. */
static void depart(struct sim *sim, const struct sim_node *node, const struct sim_flight *flight,
                   uint32_t late_us)
{
    const raft_node_id from = flight->message.from;
    const raft_node_id to = flight->message.to;
    if (sim->link_load[from][to] >= sim->knobs.capacity) {
        return;
    }
    const uint32_t at = flight_take(sim);
    sim->flights[at] = *flight;
    sim->flights[at].sent_us = sim->now_us;
    sim->link_load[from][to]++;
    if (flight->kind == FLIGHT_RAFT && flight->message.type == RAFT_APPEND_REQUEST) {
        lend_entries(sim, node, &sim->flights[at]);
    } else if (flight->kind == FLIGHT_RAFT && flight->message.type == RAFT_SNAPSHOT_REQUEST) {
        sim->flights[at].snapshot = *flight->message.snapshot_request.snapshot;
    }
    sim_event_add(sim, arrival_us(sim, from, to, late_us), EVENT_ARRIVAL, to, at, 0);
}

enum fate { FATE_ARRIVES, FATE_LOST, FATE_REPEATED, FATES };

static void launch(struct sim *sim, const struct sim_node *node, const struct sim_flight *flight)
{
    const struct sim_knobs *knobs = &sim->knobs;
    if (sim->is_cut[flight->message.from][flight->message.to]) {
        return;
    }
    const uint32_t weights[FATES] = {1000000 - knobs->loss - knobs->repeat, knobs->loss,
                                     knobs->repeat};
    const uint32_t fate =
        sim->is_healed ? FATE_ARRIVES : tape_pick(sim->tape, TAPE_NETWORK, weights, FATES);
    if (fate == FATE_LOST) {
        return;
    }
    depart(sim, node, flight, 0);
    if (fate == FATE_REPEATED) {
        depart(sim, node, flight, tape_around(sim->tape, TAPE_NETWORK, knobs->repeat_mean_us));
    }
}

static struct sim_link_seen *seen_of(struct sim *sim, raft_node_id leader, raft_node_id peer,
                                     raft_term term)
{
    struct sim_link_seen *seen = &sim->links_seen[leader][peer];
    if (seen->term != term) {
        *seen = (struct sim_link_seen){.term = term};
    }
    return seen;
}

void sim_send(struct sim *sim, struct sim_node *node, const struct raft_message *message)
{
    const struct sim_flight flight = {.kind = FLIGHT_RAFT, .message = *message};
    RK_ASSERT(message->to > 0 && message->to <= sim->nodes_count);
    oracle_left(sim, node, message);
    if (message->type == RAFT_SNAPSHOT_REQUEST) {
        oracle_snapshot(sim, node, message->snapshot_request.snapshot);
        sim_snapshot_offered(sim, node, message->to);
    } else if (message->type == RAFT_HEARTBEAT_REQUEST) {
        seen_of(sim, message->from, message->to, message->term)->round =
            message->heartbeat_request.round;
    }
    sim_tell_message(sim, true, message);
    launch(sim, node, &flight);
    if (message->type == RAFT_TIMEOUT_NOW && !sim->is_healed &&
        tape_chance(sim->tape, TAPE_FAULT, sim->knobs.cut_in_transfer)) {
        sim_cut_off(sim, node);
    }
}

void sim_send_read(struct sim *sim, enum sim_flight_kind kind, raft_node_id from, raft_node_id to,
                   uint32_t op, raft_index index)
{
    const struct sim_flight flight = {
        .kind = kind,
        .message = {.from = from, .to = to},
        .op = op,
        .index = index,
    };
    launch(sim, NULL, &flight);
}

/* ---- arrival ---- */

static void count_append(struct sim *sim, const struct sim_node *node,
                         const struct raft_message *message)
{
    struct sim_link_seen *seen = seen_of(sim, message->from, message->to, message->term);
    const uint64_t sequence = message->append_request.sequence;
    sim->counts->stale_append += message->term < node->view.hard_state.term;
    sim->counts->reordered_append += sequence < seen->sequence;
    seen->sequence = sequence > seen->sequence ? sequence : seen->sequence;
}

static void count_response(struct sim *sim, const struct sim_node *node,
                           const struct raft_message *message)
{
    struct sim_link_seen *seen = seen_of(sim, message->to, message->from, message->term);
    if (node->view.role != RAFT_LEADER || node->view.hard_state.term != message->term) {
        return;
    }
    if (message->type == RAFT_APPEND_RESPONSE) {
        seen->refusals = message->append_response.accepted ? 0 : seen->refusals + 1;
        sim->counts->refused_twice += seen->refusals == 2;
    } else if (message->type == RAFT_HEARTBEAT_RESPONSE && node->reads_count > 0) {
        sim->counts->old_round_ignored += message->heartbeat_response.round < seen->round;
    }
}

/* ---- an acknowledgement of what was lost ---- */

static void note_acknowledgement(struct sim *sim, const struct raft_message *message)
{
    struct sim_link_seen *seen = seen_of(sim, message->to, message->from, message->term);
    struct raft_message *greatest = &seen->acknowledgement;
    if (message->append_response.accepted &&
        (greatest->from == 0 || message->append_response.match > greatest->append_response.match)) {
        *greatest = *message;
    }
}

static raft_index counted_match(const struct sim_node *leader, raft_node_id peer)
{
    struct raft_peer_view view;
    return raft_peer_view(leader->raft, peer, &view) == RK_OK ? view.match_index : 0;
}

/* The leader has just heard that the peer's log ends before what it had acknowledged. Between that
 * and the first new answer an old one may arrive once more, and must not be believed (pitfall 49). */
static void repeat_acknowledgement(struct sim *sim, const struct sim_node *node,
                                   const struct raft_message *message)
{
    const struct sim_link_seen *seen = seen_of(sim, message->to, message->from, message->term);
    if (seen->acknowledgement.from != 0 && !sim->is_healed && sim->knobs.repeat > 0) {
        const struct sim_flight flight = {.kind = FLIGHT_RAFT, .message = seen->acknowledgement};
        depart(sim, node, &flight, 0);
    }
}

static void step_received(struct sim *sim, struct sim_node *node,
                          const struct raft_message *message)
{
    const raft_index match = counted_match(node, message->from);
    sim->received = message;
    (void)sim_node_step(sim, node,
                        (struct raft_event){.type = RAFT_EVENT_RECEIVED, .message = message});
    sim->received = NULL;
    if (!node->is_up || node->view.role != RAFT_LEADER ||
        node->view.hard_state.term != message->term) {
        return;
    }
    if (message->type == RAFT_APPEND_RESPONSE) {
        note_acknowledgement(sim, message);
    } else if (message->type == RAFT_HEARTBEAT_RESPONSE &&
               counted_match(node, message->from) < match) {
        repeat_acknowledgement(sim, node, message);
    }
}

/* ---- any message ---- */

static void arrive_raft(struct sim *sim, struct sim_node *node, struct sim_flight *flight)
{
    static struct raft_entry entries[RAFT_WRITE_ENTRIES_MAX];
    struct raft_message message = flight->message;
    if (message.type == RAFT_APPEND_REQUEST) {
        struct raft_append_request *request = &message.append_request;
        for (uint32_t i = 0; i < flight->entries_count; i++) {
            const struct sim_entry *entry = &flight->entries[i];
            const struct sim_payload *payload = &sim->payloads[entry->payload];
            entries[i] = (struct raft_entry){
                .id = {.term = entry->term, .index = request->previous.index + 1 + i},
                .type = payload->type,
                .frame = {.size = entry->payload},
            };
            if (payload->type == RAFT_ENTRY_CONFIG) {
                entries[i].config = &sim->configs[payload->config];
            }
        }
        request->entries = entries;
        request->entries_count = flight->entries_count;
        count_append(sim, node, &message);
    } else if (message.type == RAFT_SNAPSHOT_REQUEST) {
        message.snapshot_request.snapshot = &flight->snapshot;
    } else {
        count_response(sim, node, &message);
    }
    sim_tell_message(sim, false, &message);
    step_received(sim, node, &message);
    if (message.type == RAFT_SNAPSHOT_REQUEST && node->is_up) {
        sim_snapshot_arrived(sim, node);
    }
}

/* Repetitions of what was sent while faults were the rule may come late, but not for ever; and a
 * frozen node says nothing any more. */
static bool is_of_the_past(const struct sim *sim, const struct sim_flight *flight)
{
    if (!sim->is_healed || flight->sent_us >= sim->healed_us) {
        return false;
    }
    return sim->nodes[flight->message.from - 1].is_gone ||
           sim->now_us > sim->healed_us + 1000 * (uint64_t)sim->knobs.election_timeout_ms;
}

void sim_arrive(struct sim *sim, uint32_t at)
{
    struct sim_flight *flight = &sim->flights[at];
    struct sim_node *node = sim_node(sim, flight->message.to);
    if (is_of_the_past(sim, flight)) {
        flight_give(sim, at);
        return;
    }
    if (node->is_up && sim->now_us < node->paused_until_us) { /* it waits in the socket */
        sim_event_add(sim, node->paused_until_us, EVENT_ARRIVAL, node->id, at, 0);
        return;
    }
    if (node->is_up && flight->kind == FLIGHT_RAFT) {
        arrive_raft(sim, node, flight);
    } else if (node->is_up && flight->kind == FLIGHT_READ_QUESTION) {
        if (!sim_read_ask(sim, node, flight->op, flight->message.from)) {
            sim_send_read(sim, FLIGHT_READ_ANSWER, node->id, flight->message.from, flight->op, 0);
        }
    } else if (node->is_up) {
        sim_read_answered(sim, node, flight->op, flight->index);
    }
    flight_give(sim, at);
}
