/* oracles_lock.c -- sessions and the lock, folded from the committed log by an arithmetic of their own
 * (O14): who may hold it, with which token; that a session lives for its TTL after each renewal, and no
 * longer than it must. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/node/oracles.h"
#include "statemachine/query.h"

enum { NS_PER_MS = 1000000 };

static struct session_model *find(struct world *world, const struct session_id *id)
{
    for (uint32_t i = 0; i < world->sessions_count; i++) {
        if (session_id_equal(&world->sessions[i].id, id)) {
            return &world->sessions[i];
        }
    }
    return NULL;
}

static struct session_model *find_alive(struct world *world, const struct session_id *id)
{
    struct session_model *session = find(world, id);

    return session != NULL && session->is_alive ? session : NULL;
}

static void create(struct world *world, const struct rk_frame *frame,
                   const struct sm_command_session *command)
{
    if (world->sessions_count == SESSIONS_MAX) {
        world_fail("harness", "more than %u sessions were made", (unsigned)SESSIONS_MAX);
    }
    world->sessions[world->sessions_count] = (struct session_model){
        .id = command->id,
        .is_alive = true,
        .ttl_ms = command->record.ttl_ms,
        .delay_ms = (command->record.lock_delay_ns + NS_PER_MS - 1) / NS_PER_MS,
        .renewed_index = frame->index,
        .renewed_ms = frame->time_ms,
        .is_exact = command->record.is_exact,
    };
    world->sessions_count++;
    world->committed[frame->index].accepted = true;
}

static void end(struct world *world, const struct rk_frame *frame, struct session_model *session)
{
    session->is_alive = false;
    if (world->lock_holder == session) {
        world->lock_holder = NULL;
        world->lock_delay_ms = session->delay_ms > 0 ? frame->time_ms + session->delay_ms : 0;
    }
}

/* Only what nobody has renewed in the meantime; and that not before its time, neither in the clock of
 * the log nor in that of whoever renewed it and was told so. */
static void expire(struct world *world, const struct rk_frame *frame,
                   const struct sm_command_expire *command)
{
    for (uint32_t i = 0; command->term == frame->term && i < command->count; i++) {
        const struct sm_expire_item item = sm_expire_item_at(command, i);
        struct session_model *session = find_alive(world, &item.id);
        if (session == NULL || session->renewed_index != item.renew_index) {
            continue;
        }
        const uint64_t least_ms = session->is_exact ? session->ttl_ms : 2 * session->ttl_ms;
        if (frame->time_ms < session->renewed_ms + least_ms) {
            world_fail("O14",
                       "a session with a TTL of %" PRIu64 " ms ends %" PRIu64
                       " ms after its renewal in the time of the log",
                       session->ttl_ms, frame->time_ms - session->renewed_ms);
        }
        if (world->now_us < session->asked_us + session->ttl_ms * MS / 100 * 99) {
            world_fail("O14",
                       "a session with a TTL of %" PRIu64 " ms ends %" PRIu64
                       " ms after its renewal was asked for, and acknowledged",
                       session->ttl_ms, (world->now_us - session->asked_us) / MS);
        }
        end(world, frame, session);
        world->counts->sessions_expired++;
    }
}

static void lock(struct world *world, const struct rk_frame *frame, const struct sm_kv_op *op)
{
    struct committed *entry = &world->committed[frame->index];
    struct session_model *session = find_alive(world, &op->session);

    if (op->verb == SM_KV_UNLOCK) {
        entry->accepted = session != NULL && world->lock_holder == session;
        world->lock_holder = entry->accepted ? NULL : world->lock_holder;
        return;
    }
    const bool is_free = world->lock_holder == NULL && world->lock_delay_ms <= frame->time_ms;
    entry->accepted = session != NULL && (is_free || world->lock_holder == session);
    if (entry->accepted && world->lock_holder == NULL) {
        world->lock_fence = frame->index;
        world->lock_holder = session;
        world->counts->locks_taken++;
    }
    entry->fence = entry->accepted ? world->lock_fence : 0;
}

static void renew(struct world *world, const struct rk_frame *frame, const struct session_id *id)
{
    struct session_model *session = find_alive(world, id);

    world->committed[frame->index].accepted = session != NULL;
    if (session != NULL) {
        session->renewed_index = frame->index;
        session->renewed_ms = frame->time_ms;
    }
}

static void destroy(struct world *world, const struct rk_frame *frame, const struct session_id *id)
{
    struct session_model *session = find_alive(world, id);

    world->committed[frame->index].accepted = true;
    if (session != NULL) {
        end(world, frame, session);
    }
}

void oracle_lock_committed(struct world *world, const struct rk_frame *frame,
                           const struct sm_command *command)
{
    if (command->type == SM_COMMAND_SESSION_CREATE) {
        create(world, frame, &command->session);
    } else if (command->type == SM_COMMAND_SESSION_RENEW) {
        renew(world, frame, &command->session.id);
    } else if (command->type == SM_COMMAND_SESSION_DESTROY) {
        destroy(world, frame, &command->session.id);
    } else if (command->type == SM_COMMAND_EXPIRE) {
        expire(world, frame, &command->expire);
    } else if (command->type == SM_COMMAND_KV_OP) {
        lock(world, frame, &command->op);
    }
}

/* -- what a node has of it -- */

void oracle_lock_applied(struct host *host, const struct sm_root *root)
{
    struct world *world = host->world;
    const struct rk_bytes key = {.data = (const uint8_t *)"lock", .size = 4};
    struct sm_kv_entry entry = {.is_locked = false};
    struct sm_session session;
    uint32_t alive = 0;

    if (root->last_applied != world->committed_last || world->knobs.holders == 0) {
        return; /* the model is further on */
    }
    const bool is_locked = sm_kv_get(root, key, &entry) && entry.is_locked;
    if (is_locked != (world->lock_holder != NULL) ||
        (is_locked && !session_id_equal(&entry.session, &world->lock_holder->id))) {
        world_fail("O14", "n%u has the lock %s at %" PRIu64 ", by the log it is %s",
                   host->number + 1, is_locked ? "held" : "free", root->last_applied,
                   world->lock_holder != NULL ? "held by a session" : "free");
    }
    for (uint32_t i = 0; i < world->sessions_count; i++) {
        const struct session_model *model = &world->sessions[i];
        alive += model->is_alive;
        if (model->is_alive != sm_session_get(root, &model->id, &session)) {
            world_fail("O14", "n%u has %s session at %" PRIu64 " that %s by the log",
                       host->number + 1, model->is_alive ? "not the" : "a", root->last_applied,
                       model->is_alive ? "lives" : "has ended");
        }
    }
    world->sessions_alive = alive;
}

/* -- what its clients are told -- */

bool op_is_lock(const struct op *op)
{
    return op->kind >= OP_SESSION && op->kind <= OP_RELEASE;
}

static void renewed(struct world *world, const struct op *op)
{
    struct session_id id;

    if (session_id_parse(op->session, &id) == RK_OK) {
        struct session_model *session = find(world, &id);
        RK_ASSERT(session != NULL);
        session->asked_us = op->since_us > session->asked_us ? op->since_us : session->asked_us;
    }
}

static void claimed_gone(struct world *world, const struct op *op)
{
    struct session_id id;

    if (session_id_parse(op->session, &id) == RK_OK && find_alive(world, &id) != NULL) {
        world_fail("O14", "operation %u was told that its session is gone, and it lives by the log",
                   op->number);
    }
}

void oracle_lock_claimed(struct op *op)
{
    struct world *world = sim_world;

    if (op->is_session_gone) {
        claimed_gone(world, op);
        return;
    }
    const raft_index index = op->accepted ? op->witness : op->log_index;
    if (index == 0 || index > world->committed_last) {
        world_fail("O14", "operation %u was acknowledged at %" PRIu64 " and is not committed",
                   op->number, index);
    }
    const struct committed *entry = &world->committed[index];
    if (entry->accepted != op->accepted || entry->fence != op->fence) {
        world_fail("O14",
                   "operation %u was answered %s with token %" PRIu64 " at %" PRIu64
                   ", by the log %s with %" PRIu64,
                   op->number, op->accepted ? "true" : "false", op->fence, index,
                   entry->accepted ? "true" : "false", entry->fence);
    }
    if (op->fence != 0 && op->fence < op->fence_floor) {
        world_fail("O14",
                   "operation %u was given token %" PRIu64 ", %" PRIu64
                   " had been given before it was asked",
                   op->number, op->fence, op->fence_floor);
    }
    world->fence = op->fence > world->fence ? op->fence : world->fence;
    if (op->kind == OP_SESSION || op->kind == OP_RENEW) {
        renewed(world, op);
    }
    op->witness = index;
}
