/* holders.c -- clients that fight for one lock with sessions: they renew them, more or less in time, take
 * the lock, give it back, destroy their session or forget it, each step at any node. */
#include <stdio.h>
#include <string.h>

#include "sim/node/oracles.h"

enum { PATIENCE_US = 4000 * MS, TTL_MS_MIN = 500, TTL_MS_MAX = 3000 };

static event_function on_step;

static void step_later(struct world *world, struct holder *holder)
{
    const uint32_t pace_us = holder->ttl_ms * MS / 4;

    world_at(world, world->now_us + 1 + tape_draw(&world->tape, TAPE_CLIENT, pace_us), on_step,
             NULL, holder, 0);
}

static void draw_session(struct world *world, struct holder *holder)
{
    holder->ttl_ms = tape_log_between(&world->tape, TAPE_CLIENT, TTL_MS_MIN, TTL_MS_MAX);
    holder->is_lazy = tape_draw(&world->tape, TAPE_CLIENT, 3) == 2;
}

static void fill_session(struct world *world, struct holder *holder, struct op *op)
{
    const bool is_exact = tape_draw(&world->tape, TAPE_CLIENT, 2) == 1;
    const bool deletes = tape_draw(&world->tape, TAPE_CLIENT, 3) == 2;
    const uint32_t delay_ms = tape_draw(&world->tape, TAPE_CLIENT, 2) == 1
                                  ? tape_draw(&world->tape, TAPE_CLIENT, 2000)
                                  : 0;

    draw_session(world, holder);
    (void)snprintf(op->target, sizeof(op->target), "/v1/session/create%s",
                   is_exact ? "?exact" : "");
    (void)snprintf(op->body, sizeof(op->body),
                   "{\"TTL\":\"%ums\",\"LockDelay\":\"%ums\",\"Behavior\":\"%s\",\"Checks\":[]}",
                   holder->ttl_ms, delay_ms, deletes ? "delete" : "release");
}

static void fill(struct world *world, struct holder *holder, struct op *op)
{
    if (op->kind == OP_SESSION) {
        fill_session(world, holder, op);
    } else if (op->kind == OP_RENEW || op->kind == OP_DESTROY) {
        (void)snprintf(op->target, sizeof(op->target), "/v1/session/%s/%s",
                       op->kind == OP_RENEW ? "renew" : "destroy", holder->session);
    } else {
        (void)snprintf(op->target, sizeof(op->target), "/v1/kv/lock?%s=%s&flags=%u",
                       op->kind == OP_ACQUIRE ? "acquire" : "release", holder->session, op->number);
    }
    (void)snprintf(op->session, sizeof(op->session), "%s", holder->session);
    op->request = (struct http_request){
        .method = HTTP_PUT,
        .method_name = "PUT",
        .target = op->target,
        .body = {.data = (const uint8_t *)op->body, .size = (uint32_t)strlen(op->body)},
    };
}

static enum op_kind draw_kind(struct world *world, struct holder *holder)
{
    const uint64_t renew_us = (uint64_t)holder->ttl_ms * MS / (holder->is_lazy ? 1 : 3);

    if (holder->session[0] == '\0') {
        return OP_SESSION;
    }
    if (world->now_us - holder->renewed_us >= renew_us) {
        holder->renewed_us = world->now_us;
        return OP_RENEW;
    }
    switch (holder->has_lock ? tape_draw(&world->tape, TAPE_CLIENT, 8) : 0) {
    case 1:
    case 2:
        return OP_RELEASE;
    case 3:
        return OP_DESTROY;
    default:
        return OP_ACQUIRE;
    }
}

static void forget_session(struct holder *holder)
{
    holder->session[0] = '\0';
    holder->has_lock = false;
}

static void on_patience(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)host;
    (void)number;
    op_give_up(world, context);
}

static void on_step(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct holder *holder = context;

    (void)host;
    (void)number;
    if (holder->has_lock && tape_draw(&world->tape, TAPE_CLIENT, 16) == 15) {
        forget_session(holder); /* its process died */
    }
    struct op *op = world->is_quiet ? NULL : op_new(world, draw_kind(world, holder));
    if (op == NULL) {
        return;
    }
    op->holder = holder;
    op->fence_floor = world->fence;
    fill(world, holder, op);
    op_send(world, op, &world->hosts[tape_draw(&world->tape, TAPE_CLIENT, world->hosts_count)]);
    world_at(world, world->now_us + PATIENCE_US, on_patience, NULL, op, 0);
}

/* What it was told. */
void holder_returned(struct world *world, const struct op *op)
{
    struct holder *holder = op->holder;
    const bool is_done = op->state == OP_DONE;

    if (is_done && op->kind == OP_SESSION) {
        memcpy(holder->session, op->session, sizeof(holder->session));
        holder->renewed_us = op->since_us;
    } else if (is_done && (op->kind == OP_DESTROY || op->is_session_gone)) {
        forget_session(holder);
    } else if (is_done && op->kind == OP_ACQUIRE) {
        holder->has_lock = op->accepted;
    } else if (op->kind == OP_RELEASE) {
        holder->has_lock = false;
    }
    step_later(world, holder);
}

void holders_open(struct world *world)
{
    for (uint32_t i = 0; i < world->knobs.holders; i++) {
        world->holders[i] = (struct holder){.ttl_ms = TTL_MS_MAX};
        step_later(world, &world->holders[i]);
    }
}
