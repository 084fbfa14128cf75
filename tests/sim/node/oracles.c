/* oracles.c -- what must hold of single nodes and of all together, looked at where it can first
 * fail. The numbers are those of the oracles in the table of docs/testing.md. What follows from the
 * committed log is worked out here a second time, without the state machine's code. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/node/oracles.h"
#include "statemachine/command.h"

/* -- what a host holds -- */

bool image_get(const struct image *image, raft_index index, struct image_entry *ret)
{
    if (index == 0 || index > image->last) {
        return false;
    }
    *ret = image->entries[index];
    return true;
}

/* In its log now, durable or not. */
bool host_entry(const struct host *host, raft_index index, struct image_entry *ret)
{
    const struct tail_entry *held = tail_get(&host->node->tail, index);
    const struct world *world = host->world;
    const raft_index base = host->node->snaps.base.index;

    if (index <= base) { /* a snapshot stands for it */
        const bool is_committed = base <= world->committed_last &&
                                  world->committed[base].chain == host->node->snaps.base_chain;
        *ret = (struct image_entry){.term = world->committed[index].term,
                                    .chain = world->committed[index].chain};
        return is_committed;
    }
    if (held != NULL) {
        *ret = (struct image_entry){.term = held->term, .chain = held->chain};
        return true;
    }
    return index < host->node->tail.first && image_get(&host->durable, index, ret);
}

/* -- what goes into a log -- */

/* A condition on one key, and what is set then. */
struct txn_parts {
    struct sm_kv_op check;
    struct sm_kv_op set;
};

static bool txn_parts(const struct sm_command *command, struct txn_parts *ret)
{
    if (command->type != SM_COMMAND_TXN) {
        return false;
    }
    struct rk_bytes rest = command->txn.ops;
    return sm_kv_op_next(&rest, &ret->check) && sm_kv_op_next(&rest, &ret->set);
}

static bool is_put(const struct sm_command *command)
{
    return command->type == SM_COMMAND_KV_PUT || command->type == SM_COMMAND_KV_PUT_TTL;
}

static uint32_t uid_of(const struct sm_command *command)
{
    if (command->type == SM_COMMAND_KV_OP) {
        return (uint32_t)command->op.flags;
    }
    struct txn_parts txn;
    if (txn_parts(command, &txn)) {
        return (uint32_t)txn.set.flags;
    }
    return is_put(command) ? (uint32_t)command->put.flags : 0;
}

static bool command_of(struct rk_bytes bytes, struct rk_frame *frame, struct sm_command *ret)
{
    uint32_t size = 0;
    const enum rk_status status = rk_frame_read(bytes, frame, &size);

    RK_ASSERT(status == RK_OK);
    if (frame->type != RAFT_ENTRY_COMMAND || sm_command_decode(frame->body, ret) != RK_OK) {
        return false;
    }
    if (ret->type == SM_COMMAND_ONCE) {
        const struct rk_bytes command = ret->once.command;
        return sm_command_decode(command, ret) == RK_OK;
    }
    return true;
}

static struct op *op_of(uint32_t uid)
{
    if (uid == 0) {
        return NULL;
    }
    RK_ASSERT(uid <= sim_world->ops_count);
    return &sim_world->ops[uid - 1];
}

static void truncating(struct host *host, raft_index from)
{
    struct world *world = host->world;
    struct image_entry held;

    world->counts->truncations++;
    if (from <= host->commit_seen) {
        world_fail("O6", "n%u cuts its log off at %" PRIu64 ", committed is %" PRIu64,
                   host->number + 1, from, host->commit_seen);
    }
    if (from <= world->committed_last && image_get(&host->durable, from, &held) &&
        held.chain == world->committed[from].chain) {
        world_fail("O6", "n%u cuts off entry %" PRIu64 ", which is committed", host->number + 1,
                   from);
    }
}

void oracle_appended(struct host *host, const struct disk_job *job)
{
    struct rk_frame frame;
    struct sm_command command;

    if (job->write.truncate_from != 0) {
        truncating(host, job->write.truncate_from);
    }
    for (uint32_t i = 0; i < job->write.entries_count; i++) {
        if (!command_of(job->write.entries[i].frame, &frame, &command)) {
            continue;
        }
        struct op *op = op_of(uid_of(&command));
        if (op == NULL) {
            continue;
        }
        op->is_appended = true;
        if (op->claimed == OP_NOT_DONE && !op->is_retried) {
            world_fail("O13", "operation %u was said not to be done and is in the log of n%u",
                       op->number, host->number + 1);
        }
    }
}

/* -- what is committed -- */

static bool may_change(const struct world *world, uint32_t key, bool has_cas, uint64_t cas,
                       bool is_delete)
{
    if (!has_cas) {
        return true;
    }
    return cas == world->key_modified[key] && !(is_delete && cas == 0);
}

static uint32_t key_number(struct rk_bytes key)
{
    RK_ASSERT(key.size == 2 && key.data[0] == 'k');
    return (uint32_t)(key.data[1] - '0');
}

static void changed(struct world *world, const struct rk_frame *frame, uint64_t ttl_ms)
{
    struct committed *entry = &world->committed[frame->index];

    entry->previous = world->key_changed[entry->key];
    if (!entry->accepted) {
        return;
    }
    world->key_changed[entry->key] = frame->index;
    world->key_modified[entry->key] = entry->is_delete ? 0 : frame->index;
    if (entry->key == ttl_key(world)) {
        oracle_ttl_written(world, frame, ttl_ms);
    }
}

static void fold_expiry(struct world *world, const struct rk_frame *frame,
                        const struct sm_command *command)
{
    struct committed *entry = &world->committed[frame->index];

    if (oracle_ttl_expires(world, frame, &command->expire)) {
        entry->key = ttl_key(world);
        entry->is_delete = true;
        entry->accepted = true;
        changed(world, frame, 0);
    }
}

static void fold_key(struct world *world, const struct rk_frame *frame,
                     const struct sm_command *command)
{
    struct committed *entry = &world->committed[frame->index];
    const bool is_delete = command->type == SM_COMMAND_KV_DELETE;
    const uint32_t key = key_number(is_delete ? command->delete.key : command->put.key);

    entry->key = key;
    entry->is_delete = is_delete;
    entry->accepted =
        is_delete ? may_change(world, key, command->delete.has_cas, command->delete.cas, true)
                  : may_change(world, key, command->put.has_cas, command->put.cas, false);
    changed(world, frame, is_delete ? 0 : command->put.ttl_ms);
    world->deletes_logged[key] += is_delete;
}

static void fold(struct world *world, const struct rk_frame *frame,
                 const struct sm_command *command)
{
    struct committed *entry = &world->committed[frame->index];
    struct txn_parts txn;

    if (txn_parts(command, &txn)) {
        entry->key = key_number(txn.set.key);
        entry->accepted = world->key_modified[key_number(txn.check.key)] == txn.check.index;
        changed(world, frame, 0);
    } else if (command->type == SM_COMMAND_EXPIRE_KEYS) {
        fold_expiry(world, frame, command);
    } else if (is_put(command) || command->type == SM_COMMAND_KV_DELETE) {
        fold_key(world, frame, command);
    }
}

/* False: it is done already, and this changes nothing. */
static bool committed_operation(struct world *world, raft_index index, uint32_t uid)
{
    struct op *op = op_of(uid);

    if (op == NULL) {
        return true;
    }
    if (op->log_index != 0 && op->has_token && op->is_retried) {
        world->counts->repeated_and_done_once++;
        return false;
    }
    if (op->log_index != 0) {
        world_fail("O13", "operation %u is committed twice: at %" PRIu64 " and at %" PRIu64, uid,
                   op->log_index, index);
    }
    op->log_index = index;
    world->committed[index].uid = uid;
    return true;
}

/* The frame of an entry that is committed on this host, from memory or from its store. */
static struct rk_bytes read_entry(struct host *host, raft_index index, struct rk_buf *buf)
{
    const struct tail_entry *held = tail_get(&host->node->tail, index);
    raft_index last = 0;

    if (held != NULL) {
        return held->frame;
    }
    const enum rk_status status = log_store_read(host->store, index, index, 1, buf, &last);
    if (status != RK_OK) {
        world_fail("O8", "n%u commits entry %" PRIu64 " first, and has it no more",
                   host->number + 1, index);
    }
    return rk_buf_bytes(buf);
}

static void commit_first(struct host *host, raft_index index)
{
    struct world *world = host->world;
    struct rk_frame frame;
    struct sm_command command;
    struct rk_buf buf;

    if (index == LOG_MAX) {
        world_fail("harness", "more than %u entries are committed", (unsigned)LOG_MAX);
    }
    rk_buf_init(&buf, RK_FRAME_SIZE_MAX);
    const bool is_command = command_of(read_entry(host, index, &buf), &frame, &command);
    world->committed[index] = (struct committed){
        .term = frame.term,
        .chain = frame.chain,
        .type = frame.type,
        .by_term = host->node->view.hard_state.term,
        .key = KEYS_MAX,
    };
    world->committed_last = index;
    world->counts->commits++;
    if (is_command && committed_operation(world, index, uid_of(&command))) {
        fold(world, &frame, &command);
        oracle_lock_committed(world, &frame, &command);
    }
    rk_buf_done(&buf);
}

static void commit_advanced(struct host *host)
{
    struct world *world = host->world;
    const raft_index commit = host->node->view.commit_index;

    const bool has_led = host->node->view.role == RAFT_LEADER || host->was_leader;
    if (has_led && commit > world->leader_commit) {
        world->leader_commit = commit;
    }
    if (commit > world->leader_commit) {
        world_fail("O4", "n%u commits %" PRIu64 ", leaders have only %" PRIu64, host->number + 1,
                   commit, world->leader_commit);
    }
    for (raft_index i = host->commit_seen + 1; i <= commit; i++) {
        struct image_entry held = {.term = 0};
        if (i > world->committed_last) {
            commit_first(host, i);
        } else if (!host_entry(host, i, &held) || held.chain != world->committed[i].chain) {
            world_fail("O8",
                       "n%u has committed another entry %" PRIu64 " (term %" PRIu64
                       ", the cluster's is of %" PRIu64 ")",
                       host->number + 1, i, held.term, world->committed[i].term);
        }
    }
    host->commit_seen = commit;
}

static uint32_t value_at(const struct world *world, uint32_t key, raft_index index)
{
    raft_index change = world->key_changed[key];

    while (change > index) {
        change = world->committed[change].previous;
    }
    return change == 0 || world->committed[change].is_delete ? 0 : world->committed[change].uid;
}

/* -- one node after its turn -- */

static void check_applied(struct host *host)
{
    struct world *world = host->world;
    const struct node *node = host->node;

    if (node->last_applied < host->applied_seen || node->last_applied > node->view.commit_index) {
        world_fail("O9", "n%u applied %" PRIu64 " after %" PRIu64 ", committed is %" PRIu64,
                   host->number + 1, node->last_applied, host->applied_seen,
                   node->view.commit_index);
    }
    host->applied_seen = node->last_applied;
    const struct sm_root *root = root_acquire(host->board, GATEWAY_SLOTS_PER_LOOP);
    const raft_index index = root->last_applied;
    const uint64_t digest = sm_digest(root);
    oracle_lock_applied(host, root);
    root_release(host->board, GATEWAY_SLOTS_PER_LOOP);
    if (index == 0) {
        return;
    }
    struct committed *entry = &world->committed[index];
    if (entry->has_digest && entry->digest != digest) {
        world_fail("O8", "n%u has another state at %" PRIu64 " than others had", host->number + 1,
                   index);
    }
    entry->has_digest = true;
    entry->digest = digest;
}

static void check_bounds(struct host *host)
{
    const struct node *node = host->node;
    const uint32_t writes_max = host->options.max_pending_writes;

    if (node->writes.count > (NODE_FORWARDS_MAX + 1) * writes_max + RAFT_WRITE_ENTRIES_MAX ||
        pending_count(&node->pending) > writes_max + RAFT_WRITE_ENTRIES_MAX ||
        node->outbox.tail - node->outbox.head > OUTBOX_MAX ||
        node->disk_jobs > NODE_DISK_JOBS_MAX + 1024 || host->heap.bytes > HEAP_BYTES_MAX) {
        world_fail("O16",
                   "n%u holds too much: writes %u, pending %u, outbox %" PRIu64
                   ", disk jobs %u, bytes %" PRIu64,
                   host->number + 1, node->writes.count, pending_count(&node->pending),
                   node->outbox.tail - node->outbox.head, node->disk_jobs, host->heap.bytes);
    }
}

/* Its log is older than what it once held. */
static bool is_short(const struct host *host)
{
    const struct image *now = &host->durable;
    const struct image *once = &host->before_loss;
    const raft_term term = now->last > 0 ? now->entries[now->last].term : 0;
    const raft_term term_once = once->last > 0 ? once->entries[once->last].term : 0;

    return term < term_once || (term == term_once && now->last < once->last);
}

/* Whose log has lost its end knows it until it is refilled, and nobody else believes that. */
static void check_recovering(struct host *host)
{
    const bool is_recovering = host->node->view.is_recovering;

    if (host->is_cut_short && !is_recovering && is_short(host)) {
        world_fail("O3", "n%u has lost the end of its log, up to %" PRIu64 ", and does not know it",
                   host->number + 1, host->before_loss.last);
    }
    /* A snapshot that is about to replace the log is not durable yet: once more, for a moment. */
    const bool is_replaced = host->durable.last < host->node->view.base.index;
    if (!host->is_cut_short && is_recovering && !is_replaced) {
        world_fail("O3", "n%u recovers a log that is whole", host->number + 1);
    }
    if (host->is_cut_short && !is_recovering) {
        host->is_cut_short = false;
        host->world->counts->recovered_logs++;
    }
}

static bool is_voter_again(const struct node *node)
{
    const struct member *self = membership_by_id(&node->membership, node->id);

    return node->standing == STANDING_MEMBER && self != NULL && self->is_voter &&
           !node->membership.is_joint;
}

void oracle_turned(struct host *host)
{
    const struct node *node = host->node;

    host->raft_id = node->id;
    if (node->view.hard_state.term < host->term_seen ||
        node->view.commit_index < host->commit_seen) {
        world_fail("O9",
                   "n%u goes back: term %" PRIu64 " after %" PRIu64 ", commit %" PRIu64
                   " after %" PRIu64,
                   host->number + 1, node->view.hard_state.term, host->term_seen,
                   node->view.commit_index, host->commit_seen);
    }
    if (node->view.role == RAFT_LEADER &&
        (host->role_seen != RAFT_LEADER || host->term_seen != node->view.hard_state.term)) {
        oracle_elected(host);
        host->has_heard = true;
    }
    host->was_leader = host->role_seen == RAFT_LEADER; /* it may have committed and stepped down */
    host->term_seen = node->view.hard_state.term;
    host->role_seen = node->view.role;
    if (node->view.commit_index > host->commit_seen) {
        commit_advanced(host);
        if (node->view.role == RAFT_LEADER) {
            oracle_leader_commit(host);
        }
    }
    if (node->last_applied != host->applied_seen) {
        check_applied(host);
    }
    if (host->is_wiped && is_voter_again(node)) {
        host->is_wiped = false;
    }
    check_recovering(host);
    oracle_woken(host);
    host->config_seen = node->view.config_index;
    check_bounds(host);
}

/* -- what clients are told -- */

static void claimed_write(struct op *op)
{
    struct world *world = sim_world;
    const raft_index index = op->accepted ? op->witness : world->ops[op->first - 1].log_index;

    if (!op->accepted && op->kind != OP_CAS && op->kind != OP_TXN) {
        world_fail("O13", "operation %u was answered false", op->number);
    }
    if (index == 0 || index > world->committed_last) {
        world_fail("O13", "operation %u was acknowledged at %" PRIu64 " and is not committed",
                   op->number, index);
    }
    struct committed *entry = &world->committed[index];
    if (op->kind == OP_DELETE) {
        if (!entry->is_delete || entry->key != op->key || entry->uid != 0) {
            world_fail("O13",
                       "delete %u was acknowledged at %" PRIu64 ", where there is something else",
                       op->number, index);
        }
        entry->uid = op->number;
        op->log_index = index;
    }
    if (entry->uid != op->first || entry->accepted != op->accepted) {
        world_fail("O13", "operation %u was answered %s at %" PRIu64 ", there is operation %u, %s",
                   op->number, op->accepted ? "true" : "false", index, entry->uid,
                   entry->accepted ? "true" : "false");
    }
    op->witness = index;
}

static void claimed_read(struct op *op)
{
    const struct world *world = sim_world;

    if (op->witness > world->committed_last) {
        world_fail("O8", "read %u saw entry %" PRIu64 ", which is not committed", op->number,
                   op->witness);
    }
    const uint32_t expected = value_at(world, op->key, op->witness);
    if (op->value != expected) {
        world_fail("linearizability", "read %u of k%u at %" PRIu64 " gave %u, the log says %u",
                   op->number, op->key, op->witness, op->value, expected);
    }
    if (op->kind == OP_STALE && !op->host->has_heard) {
        world_fail("O11", "read %u is answered by n%u, which no leader has told anything yet",
                   op->number, op->host->number + 1);
    }
    if (op->kind != OP_STALE && op->witness < op->floor) {
        world_fail("O11",
                   "read %u of k%u saw entry %" PRIu64 ", %" PRIu64
                   " was acknowledged before it was asked",
                   op->number, op->key, op->witness, op->floor);
    }
}

void oracle_claimed(struct op *op, const char *outcome)
{
    struct world *world = sim_world;
    const bool is_read = op_is_read(op);

    world_tell(world, op->host, "answers %u: %u%s%s index %" PRIu64 " value %u", op->number,
               op->http_status, outcome[0] != '\0' ? " " : "", outcome, op->witness, op->value);
    if (op->claimed == OP_DONE && is_read) {
        claimed_read(op);
        if (op->kind == OP_WAIT) {
            oracle_wait_answered(op);
        }
    } else if (op->claimed == OP_DONE && op_is_lock(op)) {
        oracle_lock_claimed(op);
    } else if (op->claimed == OP_DONE) {
        claimed_write(op);
    } else if (!is_read && outcome[0] == '\0') {
        world_fail("O13", "write %u failed with %u and without an outcome", op->number,
                   op->http_status);
    } else if (!is_read && op->claimed == OP_NOT_DONE && op->is_appended && !op->is_retried) {
        world_fail("O13", "operation %u is in a log and was said not to be done", op->number);
    }
    if (op->kind == OP_DELETE && op->claimed == OP_NOT_DONE) {
        world->deletes_asked[op->key]--;
    }
}

void oracle_returned(struct op *op)
{
    struct world *world = sim_world;
    struct nodesim_counts *counts = world->counts;
    const bool is_read = op_is_read(op);

    if (is_read) {
        counts->reads_done += op->state == OP_DONE && op->kind != OP_STALE;
        counts->stale_reads += op->state == OP_DONE && op->kind == OP_STALE;
    } else {
        counts->writes_done += op->state == OP_DONE;
        counts->writes_not_done += op->state == OP_NOT_DONE;
        counts->writes_unknown += op->state == OP_UNKNOWN;
        counts->txns_done += op->state == OP_DONE && op->kind == OP_TXN && op->accepted;
        counts->txns_that_failed += op->state == OP_DONE && op->kind == OP_TXN && !op->accepted;
        counts->cas_that_failed += op->state == OP_DONE && !op->accepted;
    }
    if (op->state != OP_DONE || op->kind == OP_STALE || op->is_session_gone) {
        return;
    }
    if (!is_read && op->witness <= op->floor) {
        world_fail("linearizability",
                   "write %u has index %" PRIu64 ", %" PRIu64
                   " was acknowledged before it was asked",
                   op->number, op->witness, op->floor);
    }
    if (op->witness > world->floor) {
        world->floor = op->witness;
    }
}

void oracle_end(struct world *world)
{
    struct nodesim_counts *counts = world->counts;

    for (uint32_t i = 0; i < world->ops_count; i++) {
        const struct op *op = &world->ops[i];
        if (op->state == OP_UNKNOWN &&
            (op->kind == OP_PUT || op->kind == OP_CAS || op->kind == OP_TXN)) {
            counts->unknown_that_committed += op->log_index != 0;
            counts->unknown_that_did_not += op->log_index == 0;
        }
        if (op->is_inside) {
            world_fail("exactly once", "operation %u never was answered by n%u", op->number,
                       op->host->number + 1);
        }
    }
    for (uint32_t key = 0; key < KEYS_MAX; key++) {
        if (world->deletes_logged[key] > world->deletes_asked[key]) {
            world_fail("O13", "k%u was deleted %u times, %u deletes may have been done", key,
                       world->deletes_logged[key], world->deletes_asked[key]);
        }
    }
    counts->schedules_of_200 += world->ops_count >= 200;
}
