/* What clients see: the sequential specification of the keys, the read floor (O11), the honesty of
 * outcomes (O13), and the witness check of linearizability, at each answer.
 *
 * The witness: operations in the order of the indexes that their answers claim, reads after the
 * write there. That the order keeps to real time, and that the specification gives every answer in
 * it, is the proof. */
#include "base/assert.h"
#include "sim/sim.h"

/* ---- the specification ---- */

struct sim_version oracle_spec_at(const struct sim *sim, uint32_t key, raft_index index)
{
    uint32_t at = sim->key_latest[key];
    while (at != 0 && sim->versions[at - 1].index > index) {
        at = sim->versions[at - 1].before;
    }
    return at == 0 ? (struct sim_version){0} : sim->versions[at - 1];
}

static void set_version(struct sim *sim, uint32_t key, raft_index index, raft_index modify_index,
                        uint32_t value)
{
    sim->versions[sim->versions_count++] = (struct sim_version){
        .index = index,
        .modify_index = modify_index,
        .value = value,
        .before = sim->key_latest[key],
    };
    sim->key_latest[key] = sim->versions_count;
}

/* Every value is written once, so that a write always changes the key. */
static struct sim_result_of apply_op(struct sim *sim, const struct sim_op *op, raft_index index)
{
    const struct sim_version now = oracle_spec_at(sim, op->key, index);
    if (op->kind == OP_DELETE) {
        if (now.modify_index != 0) {
            set_version(sim, op->key, index, 0, 0);
        }
        return (struct sim_result_of){.accepted = true};
    }
    if (op->kind == OP_CAS && op->cas != now.modify_index) {
        return (struct sim_result_of){.accepted = false, .modify_index = now.modify_index};
    }
    set_version(sim, op->key, index, index, op->value);
    return (struct sim_result_of){.accepted = true, .modify_index = index};
}

void oracle_spec_commit(struct sim *sim, raft_index index)
{
    const struct sim_payload *payload = &sim->payloads[sim->committed_entries[index].payload];
    if (payload->type != RAFT_ENTRY_COMMAND) {
        return;
    }
    struct sim_op *op = &sim->ops[payload->op];
    if (op->entry != 0) {
        sim_fail(sim, "O13", NULL, "operation %u is committed at %llu and at %llu", payload->op,
                 (unsigned long long)op->entry, (unsigned long long)index);
    }
    if (op->outcome == OUTCOME_NOT_DONE) {
        sim_fail(sim, "O13", NULL, "operation %u, called not done, is committed", payload->op);
    }
    op->entry = index;
    sim->counts->unknown_committed += op->outcome == OUTCOME_UNKNOWN;
    sim->results[index] = apply_op(sim, op, index);
}

void oracle_result(struct sim *sim, struct sim_node *node, raft_index index, bool accepted,
                   raft_index modify_index)
{
    const struct sim_result_of *wanted = &sim->results[index];
    if (accepted != wanted->accepted || modify_index != wanted->modify_index) {
        sim_fail(sim, "O8", node, "entry %llu has another result than it should have",
                 (unsigned long long)index);
    }
}

/* ---- O11 ---- */

void oracle_read_index(struct sim *sim, struct sim_node *node, uint32_t at, raft_index index)
{
    const struct sim_op *op = &sim->ops[at];
    if (index < op->floor) {
        sim_fail(sim, "O11", node, "reads at %llu, although %llu was committed before it was asked",
                 (unsigned long long)index, (unsigned long long)op->floor);
    }
}

/* ---- answers ---- */

static void check_read(struct sim *sim, struct sim_node *node, const struct sim_op *op)
{
    const struct sim_version wanted = oracle_spec_at(sim, op->key, op->index);
    const bool is_found = wanted.modify_index != 0;
    if (op->did != is_found || (is_found && op->value != wanted.value)) {
        sim_fail(sim, "O8", node, "a read at %llu gives %u, not %u", (unsigned long long)op->index,
                 op->value, wanted.value);
    }
    if (op->kind == OP_GET_STALE) {
        return;
    }
    sim->counts->reads_served++;
    if (op->index < op->seen || op->index < op->floor) {
        sim_fail(sim, "O11", node, "a read is answered at %llu, after %llu was committed",
                 (unsigned long long)op->index, (unsigned long long)op->floor);
    }
}

static void check_write(struct sim *sim, struct sim_node *node, const struct sim_op *op)
{
    sim->counts->writes_acked++;
    if (op->entry != op->index) {
        sim_fail(sim, "O13", node, "a write is answered with entry %llu, its own is %llu",
                 (unsigned long long)op->index, (unsigned long long)op->entry);
    }
    if (op->index <= op->seen) {
        sim_fail(sim, "O11", node, "a write goes before %llu, which was answered before it began",
                 (unsigned long long)op->seen);
    }
    if (op->did != sim->results[op->index].accepted) {
        sim_fail(sim, "O8", node, "a write is answered with another result than it had");
    }
}

void oracle_answer(struct sim *sim, struct sim_node *node, uint32_t at)
{
    const struct sim_op *op = &sim->ops[at];
    if (op->index > sim->committed) {
        sim_fail(sim, "O8", node, "an answer shows %llu, which is not committed",
                 (unsigned long long)op->index);
    }
    if (op->kind == OP_GET || op->kind == OP_GET_FOLLOWER || op->kind == OP_GET_STALE) {
        check_read(sim, node, op);
    } else {
        check_write(sim, node, op);
    }
    if (op->kind != OP_GET_STALE && op->index > sim->seen_index) {
        sim->seen_index = op->index;
    }
}

void oracle_end(struct sim *sim)
{
    for (uint32_t at = 0; at < sim->ops_count; at++) {
        const struct sim_op *op = &sim->ops[at];
        const bool is_write = op->kind <= OP_DELETE;
        sim->counts->unknown_lost +=
            is_write && op->was_appended && op->outcome == OUTCOME_UNKNOWN && op->entry == 0;
        if (op->outcome == OUTCOME_NOT_DONE && op->entry != 0) {
            sim_fail(sim, "O13", NULL, "operation %u, called not done, was committed", at);
        }
    }
}
