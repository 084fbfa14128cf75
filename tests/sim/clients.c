/* Clients: one operation at a time each, at the node that they take for the leader. What was
 * certainly not done is tried again elsewhere; what is unknown stays so. */
#include "base/assert.h"
#include "sim/sim.h"

#define NO_OP UINT32_MAX

enum { TRIES_MAX = 6 };

static bool is_read(const struct sim_op *op)
{
    return op->kind == OP_GET || op->kind == OP_GET_FOLLOWER || op->kind == OP_GET_STALE;
}

static uint64_t client_delay_us(struct sim *sim)
{
    return 50 + tape_around(sim->tape, TAPE_CLIENT, sim->knobs.client_delay_us);
}

static uint32_t op_new(struct sim *sim, uint8_t client, uint8_t kind)
{
    RK_ASSERT(sim->ops_count < SIM_OPS_MAX);
    const uint32_t at = sim->ops_count++;
    sim->ops[at] = (struct sim_op){
        .kind = kind,
        .client = client,
        .key = (uint8_t)tape_draw(sim->tape, TAPE_CLIENT, sim->knobs.keys),
        .value = at + 1, /* no value twice */
        .floor = sim->committed,
        .seen = sim->seen_index,
        .invoked_us = sim->now_us,
    };
    return at;
}

/* ---- a request ---- */

static void send_request(struct sim *sim, uint32_t at, raft_node_id node)
{
    sim_event_add(sim, sim->now_us + client_delay_us(sim), EVENT_REQUEST, node, at,
                  sim->ops[at].tries);
}

static raft_node_id choose_node(struct sim *sim, const struct sim_op *op)
{
    const uint32_t hint = sim->clients[op->client].hint;
    const bool anywhere = op->kind == OP_GET_FOLLOWER || op->kind == OP_GET_STALE || hint == 0;
    if (anywhere || tape_chance(sim->tape, TAPE_CLIENT, 50000)) {
        return 1 + tape_draw(sim->tape, TAPE_CLIENT, sim->nodes_count);
    }
    return hint;
}

static void think(struct sim *sim, uint32_t client)
{
    sim_event_add(sim, sim->now_us + tape_around(sim->tape, TAPE_CLIENT, sim->knobs.think_mean_us),
                  EVENT_THINK, 0, client, 0);
}

static void begin(struct sim *sim, uint32_t client)
{
    struct sim_client *self = &sim->clients[client];
    if (sim->is_over || sim->ops_count + 64 >= sim->knobs.ops_max) {
        return;
    }
    const uint8_t kind =
        (uint8_t)tape_pick(sim->tape, TAPE_CLIENT, sim->knobs.op_weights, OP_KINDS);
    const uint32_t at = op_new(sim, (uint8_t)client, kind);
    struct sim_op *op = &sim->ops[at];
    if (kind == OP_CAS) {
        op->cas = self->versions[op->key];
    }
    self->op = at;
    sim->counts->client_ops++;
    sim_event_add(sim, sim->now_us + sim->knobs.timeout_us, EVENT_GIVE_UP, 0, at, 0);
    send_request(sim, at, choose_node(sim, op));
}

void sim_clients_begin(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->knobs.clients; i++) {
        sim->clients[i].op = NO_OP;
        think(sim, i);
    }
}

/* ---- the node's side ---- */

static void propose(struct sim *sim, struct sim_node *node, uint32_t first, uint32_t count)
{
    static struct raft_entry entries[RAFT_WRITE_ENTRIES_MAX];
    const uint32_t life = node->life;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t payload = sim_payload_new(sim, RAFT_ENTRY_COMMAND);
        sim->payloads[payload].op = first + i;
        entries[i] = (struct raft_entry){.type = RAFT_ENTRY_COMMAND, .frame = {.size = payload}};
    }
    const enum rk_status status = sim_node_step(
        sim, node,
        (struct raft_event){.type = RAFT_EVENT_PROPOSED,
                            .proposed = {.entries = entries, .entries_count = count}});
    for (uint32_t i = 0; i < count; i++) {
        sim->ops[first + i].was_appended = status == RK_OK;
        if (status != RK_OK) {
            sim_reply(sim, node, first + i, OUTCOME_NOT_DONE);
        } else if (node->life != life) {
            sim_reply(sim, node, first + i, OUTCOME_UNKNOWN);
        } else {
            const struct origin origin = {.type = ORIGIN_FORWARD, .item = first + i};
            pending_add(&node->pending, entries[i].id, origin);
        }
    }
}

static void request(struct sim *sim, struct sim_node *node, uint32_t at)
{
    const struct sim_op *op = &sim->ops[at];
    if (op->kind == OP_GET && node->view.lease_end_ms != 0 &&
        node->applied >= node->view.commit_index) {
        sim_read_leased(sim, node, at);
    } else if (op->kind == OP_GET_STALE) {
        sim->counts->stale_reads++;
        sim_serve(sim, node, at);
    } else if (!is_read(op)) {
        propose(sim, node, at, 1);
    } else if (node->view.role != RAFT_LEADER && op->kind == OP_GET_FOLLOWER &&
               node->view.leader != 0 && node->reads_count < SIM_READS_MAX) {
        sim_read_await(sim, node, at);
    } else if (!sim_read_ask(sim, node, at, 0)) {
        sim_reply(sim, node, at, OUTCOME_NOT_DONE);
    }
}

/* ---- the client's side ---- */

static void finish(struct sim *sim, uint32_t at, enum sim_outcome outcome)
{
    struct sim_op *op = &sim->ops[at];
    op->outcome = (uint8_t)outcome;
    op->returned_us = sim->now_us;
    if (op->client == SIM_CLIENTS_MAX) {
        return;
    }
    struct sim_client *self = &sim->clients[op->client];
    self->op = NO_OP;
    if (outcome == OUTCOME_OK) {
        self->versions[op->key] = is_read(op) ? op->cas : op->index;
    }
    think(sim, op->client);
}

/* The answer leaves the node: what it says must be true from now on. */
void sim_reply(struct sim *sim, struct sim_node *node, uint32_t at, enum sim_outcome outcome)
{
    struct sim_op *op = &sim->ops[at];
    if (outcome == OUTCOME_OK) {
        oracle_answer(sim, node, at);
    }
    if (op->client == SIM_CLIENTS_MAX) {
        if (op->outcome == OUTCOME_OPEN) {
            finish(sim, at, outcome);
        }
        return;
    }
    if (op->outcome != OUTCOME_OPEN || sim->is_cut[node->id][0]) {
        return;
    }
    if (outcome == OUTCOME_NOT_DONE) {
        sim->clients[op->client].hint = (uint32_t)node->view.leader;
    } else if (outcome == OUTCOME_OK && !is_read(op)) {
        sim->clients[op->client].hint = (uint32_t)node->id;
    }
    sim_event_add(sim, sim->now_us + client_delay_us(sim), EVENT_REPLY, node->id, at,
                  (uint32_t)op->tries * 4 + outcome);
}

static void retry(struct sim *sim, uint32_t at)
{
    struct sim_op *op = &sim->ops[at];
    op->tries++;
    /* One draw after another: in which order arguments are evaluated is not laid down. */
    const uint64_t pause_us =
        tape_around(sim->tape, TAPE_CLIENT, 100 * sim->knobs.election_timeout_ms);
    const uint64_t at_us = sim->now_us + client_delay_us(sim) + pause_us;
    sim_event_add(sim, at_us, EVENT_REQUEST, choose_node(sim, op), at, op->tries);
}

static void replied(struct sim *sim, const struct sim_event *event)
{
    const enum sim_outcome outcome = (enum sim_outcome)(event->life % 4);
    struct sim_op *op = &sim->ops[event->ref];
    if (op->outcome != OUTCOME_OPEN || op->tries != event->life / 4) {
        return;
    }
    if (outcome == OUTCOME_NOT_DONE && op->tries < TRIES_MAX) {
        retry(sim, event->ref);
        return;
    }
    finish(sim, event->ref, outcome);
}

static void requested(struct sim *sim, const struct sim_event *event)
{
    struct sim_node *node = sim_node(sim, event->node);
    struct sim_op *op = &sim->ops[event->ref];
    if (op->outcome != OUTCOME_OPEN || op->tries != event->life) {
        return;
    }
    if (sim->is_cut[0][node->id]) {
        return; /* the client waits in vain */
    }
    if (!node->is_up) { /* refused by the kernel: nothing was done */
        if (op->tries < TRIES_MAX) {
            sim->clients[op->client].hint = 0;
            retry(sim, event->ref);
        } else {
            finish(sim, event->ref, OUTCOME_NOT_DONE);
        }
        return;
    }
    if (!sim_node_runs(sim, node)) {
        sim_event_add(sim, node->paused_until_us, EVENT_REQUEST, node->id, event->ref, event->life);
        return;
    }
    request(sim, node, event->ref);
}

/* Whoever gives up does not know; only what certainly never left the client was not done. */
void sim_client_event(struct sim *sim, const struct sim_event *event)
{
    switch (event->kind) {
    case EVENT_THINK:
        begin(sim, event->ref);
        break;
    case EVENT_REQUEST:
        requested(sim, event);
        break;
    case EVENT_REPLY:
        replied(sim, event);
        break;
    default:
        if (sim->ops[event->ref].outcome == OUTCOME_OPEN) {
            finish(sim, event->ref, OUTCOME_UNKNOWN);
        }
        break;
    }
}

void sim_burst(struct sim *sim, struct sim_node *node, uint32_t count)
{
    if (sim->ops_count + count + 64 >= SIM_OPS_MAX || !sim_node_runs(sim, node)) {
        return;
    }
    const uint32_t first = sim->ops_count;
    sim_tell(sim, node, "gets %u writes at once", count);
    for (uint32_t i = 0; i < count; i++) {
        (void)op_new(sim, SIM_CLIENTS_MAX, OP_PUT);
    }
    propose(sim, node, first, count);
}
