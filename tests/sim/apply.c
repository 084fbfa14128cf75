/* What stands on the core in a node: the state machine, who waits for an entry, who waits to read. */
#include <string.h>

#include "base/assert.h"
#include "base/le.h"
#include "sim/sim.h"
#include "statemachine/command.h"

/* ---- commands ---- */

static struct rk_bytes key_of(uint32_t key)
{
    static const char names[SIM_KEYS_MAX][2] = {"a", "b", "c", "d", "e", "f"};
    RK_ASSERT(key < SIM_KEYS_MAX);
    return (struct rk_bytes){.data = (const uint8_t *)names[key], .size = 1};
}

struct rk_bytes sim_command(const struct sim *sim, uint32_t at)
{
    static struct rk_buf buf = {.size_max = SIM_COMMAND_SIZE_MAX};
    const struct sim_op *op = &sim->ops[at];
    struct sm_command command = {.type = SM_COMMAND_KV_PUT};
    uint8_t value[4];
    if (op->kind == OP_DELETE) {
        command.type = SM_COMMAND_KV_DELETE;
        command.delete.key = key_of(op->key);
    } else {
        rk_le_put_u32(value, op->value);
        command.put = (struct sm_command_put){
            .key = key_of(op->key),
            .value = {.data = value, .size = sizeof value},
            .has_cas = op->kind == OP_CAS,
            .cas = op->kind == OP_CAS ? op->cas : 0,
        };
    }
    rk_buf_reset(&buf);
    sm_command_encode(&command, &buf);
    return rk_buf_bytes(&buf);
}

/* ---- waiters: pending.h, used as the node does ---- */

void sim_pending_unknown(struct sim *sim, struct sim_node *node, raft_index from)
{
    for (const struct pending_item *item = pending_last(&node->pending);
         item != NULL && item->id.index >= from; item = pending_last(&node->pending)) {
        const uint32_t op = item->origin.item;
        pending_drop_last(&node->pending);
        sim_reply(sim, node, op, OUTCOME_UNKNOWN);
    }
}

static void answer_waiter(struct sim *sim, struct sim_node *node, struct raft_entry_id id,
                          const struct sm_result *result)
{
    const struct pending_item *first = pending_first(&node->pending);
    if (first == NULL || first->id.index > id.index) {
        return;
    }
    RK_ASSERT(first->id.index == id.index);
    const uint32_t at = first->origin.item;
    const bool is_own = first->id.term == id.term;
    pending_drop_first(&node->pending);
    if (is_own) {
        sim->ops[at].did = result->accepted;
        sim->ops[at].index = id.index;
    }
    sim_reply(sim, node, at, is_own ? OUTCOME_OK : OUTCOME_UNKNOWN);
}

/* ---- apply ---- */

static void apply_one(struct sim *sim, struct sim_node *node, raft_index index)
{
    const struct sim_entry *entry = &node->log.entries[index];
    const struct sim_payload *payload = &sim->payloads[entry->payload];
    struct sm_result result = {.accepted = true, .index = index};
    const struct sm_place place = {
        .term = entry->term, .index = index, .time_ms = payload->time_ms};
    if (payload->type == RAFT_ENTRY_COMMAND) {
        const enum rk_status status =
            sm_apply(node->sm, &place, sim_command(sim, payload->op), &result);
        RK_ASSERT(status == RK_OK);
        oracle_result(sim, node, index, result.accepted, result.modify_index);
    } else {
        sm_skip(node->sm, &place);
    }
    node->applied = index;
    answer_waiter(sim, node, (struct raft_entry_id){.term = entry->term, .index = index}, &result);
}

void sim_apply(struct sim *sim, struct sim_node *node)
{
    node->is_apply_due = false;
    while (node->applied < node->view.commit_index) {
        apply_one(sim, node, node->applied + 1);
    }
    node->root = sm_publish(node->sm);
    (void)sm_reclaim(node->sm, node->root.version, UINT32_MAX);
    oracle_digest(sim, node);
    sim_serve_reads(sim, node);
    sim_snapshot_take(sim, node);
    (void)sim_node_step(sim, node,
                        (struct raft_event){.type = RAFT_EVENT_APPLIED, .index = node->applied});
}

/* ---- reads ---- */

static void read_remove(struct sim_node *node, uint32_t at)
{
    node->reads_count--;
    memmove(&node->reads[at], &node->reads[at + 1],
            (node->reads_count - at) * sizeof node->reads[0]);
}

static void look_up(const struct sim_node *node, struct sim_op *op)
{
    struct sm_kv_entry entry = {0};
    op->did = sm_kv_get(&node->root, key_of(op->key), &entry);
    op->value = op->did ? rk_le_u32(entry.value.data) : 0;
    op->cas = entry.modify_index;
    op->index = node->applied;
}

void sim_serve(struct sim *sim, struct sim_node *node, uint32_t at)
{
    look_up(node, &sim->ops[at]);
    sim_reply(sim, node, at, OUTCOME_OK);
}

void sim_serve_reads(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < node->reads_count;) {
        const struct sim_read *read = &node->reads[i];
        if (read->asker != 0 || !read->is_confirmed || read->index > node->applied) {
            i++;
            continue;
        }
        const uint32_t op = read->op;
        read_remove(node, i);
        sim_serve(sim, node, op);
    }
}

bool sim_read_ask(struct sim *sim, struct sim_node *node, uint32_t op, raft_node_id asker)
{
    if (node->view.role != RAFT_LEADER || node->reads_count == SIM_READS_MAX) {
        return false;
    }
    node->read_number++;
    node->reads[node->reads_count++] = (struct sim_read){
        .number = node->read_number, .op = op, .asker = asker, .asked_step = sim->steps};
    const uint32_t life = node->life;
    const enum rk_status status = sim_node_step(
        sim, node, (struct raft_event){.type = RAFT_EVENT_READ, .read_number = node->read_number});
    if (node->life != life) {
        return true; /* it crashed, and has answered so */
    }
    if (status != RK_OK) {
        node->reads_count--;
    }
    return status == RK_OK;
}

/* Whose client has given up. What the core knows of stays: it may still name it. */
void sim_reads_expire(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < node->reads_count;) {
        const struct sim_read *read = &node->reads[i];
        if (read->number == 0 && sim->ops[read->op].outcome != OUTCOME_OPEN) {
            read_remove(node, i);
        } else {
            i++;
        }
    }
}

void sim_read_await(struct sim *sim, struct sim_node *node, uint32_t op)
{
    sim_reads_expire(sim, node);
    RK_ASSERT(node->reads_count < SIM_READS_MAX);
    node->reads[node->reads_count++] = (struct sim_read){.op = op};
    sim_send_read(sim, FLIGHT_READ_QUESTION, node->id, node->view.leader, op, 0);
}

void sim_read_leased(struct sim *sim, struct sim_node *node, uint32_t at)
{
    struct sim_op *op = &sim->ops[at];
    look_up(node, op);
    op->is_leased = true;
    sim_event_add(sim, sim->now_us + tape_around(sim->tape, TAPE_CLIENT, 20), EVENT_LEASE, node->id,
                  at, node->life);
}

/* As server/lease.h has it: the clock last. */
void sim_read_lease_checked(struct sim *sim, struct sim_node *node, uint32_t at)
{
    struct sim_op *op = &sim->ops[at];
    if (op->outcome != OUTCOME_OPEN || !op->is_leased) {
        return;
    }
    op->is_leased = false;
    if (op->index >= node->view.commit_index && oracle_lease_holds(sim, node)) {
        sim->counts->lease_reads++;
        oracle_lease(sim, node);
        sim_reply(sim, node, at, OUTCOME_OK);
        return;
    }
    sim->counts->lease_refused += node->view.lease_end_ms != 0;
    if (!sim_read_ask(sim, node, at, 0)) {
        sim_reply(sim, node, at, OUTCOME_NOT_DONE);
    }
}

void sim_read_answered(struct sim *sim, struct sim_node *node, uint32_t op, raft_index index)
{
    for (uint32_t i = 0; i < node->reads_count; i++) {
        struct sim_read *read = &node->reads[i];
        if (read->number != 0 || read->op != op || read->is_confirmed) {
            continue;
        }
        if (index == 0) {
            read_remove(node, i);
            sim_reply(sim, node, op, OUTCOME_NOT_DONE);
            return;
        }
        read->is_confirmed = true;
        read->index = index;
        oracle_read_index(sim, node, op, index);
        sim_serve_reads(sim, node);
        return;
    }
}

void sim_reads_confirm(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < sim->out.reads_count; i++) {
        uint32_t at = 0;
        while (at < node->reads_count && node->reads[at].number != sim->out.reads[i]) {
            at++;
        }
        RK_ASSERT(at < node->reads_count);
        struct sim_read *read = &node->reads[at];
        read->is_confirmed = true;
        read->index = sim->out.read_indexes[i];
        oracle_read_confirmed(sim, node, read->asked_step);
        oracle_read_index(sim, node, read->op, read->index);
        if (read->asker != 0) {
            sim_send_read(sim, FLIGHT_READ_ANSWER, node->id, read->asker, read->op, read->index);
            read_remove(node, at);
        }
    }
    if (sim->out.reads_count > 0) {
        sim_serve_reads(sim, node);
    }
}

/* Leadership is lost: what is not confirmed never will be, and may be asked again. */
void sim_reads_fail(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < node->reads_count;) {
        const struct sim_read read = node->reads[i];
        if (read.number == 0 || read.is_confirmed) {
            i++;
            continue;
        }
        read_remove(node, i);
        if (read.asker != 0) {
            sim_send_read(sim, FLIGHT_READ_ANSWER, node->id, read.asker, read.op, 0);
        } else {
            sim_reply(sim, node, read.op, OUTCOME_NOT_DONE);
        }
    }
}
