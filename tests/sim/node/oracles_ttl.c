/* oracles_ttl.c -- the one key whose writes may give it a time to live (O14), folded from the committed
 * log: it ends by itself, never early, never once it was written anew, and in the end it is gone. */
#include <inttypes.h>

#include "sim/node/oracles.h"

uint32_t ttl_key(const struct world *world)
{
    return world->knobs.keys - 1;
}

bool ttl_is_running(const struct world *world)
{
    return world->ttl.set_index != 0;
}

/* Accepted, of that key; any write says anew what is to become of it. */
void oracle_ttl_written(struct world *world, const struct rk_frame *frame, uint64_t ttl_ms)
{
    const uint32_t uid = world->committed[frame->index].uid;

    world->ttl = (struct ttl_model){.ttl_ms = ttl_ms};
    if (ttl_ms != 0) {
        world->ttl.set_index = frame->index;
        world->ttl.set_ms = frame->time_ms;
        world->ttl.asked_us = uid == 0 ? 0 : world->ops[uid - 1].since_us;
    }
}

/* The clocks count whole milliseconds, and drift. */
static void check_age(struct world *world, const struct rk_frame *frame)
{
    const struct ttl_model *ttl = &world->ttl;

    if (frame->time_ms < ttl->set_ms + ttl->ttl_ms) {
        world_fail("O14",
                   "a key with a TTL of %" PRIu64 " ms ends %" PRIu64
                   " ms after its write in the time of the log",
                   ttl->ttl_ms, frame->time_ms - ttl->set_ms);
    }
    if (world->now_us + MS < ttl->asked_us + ttl->ttl_ms * MS / 100 * 99) {
        world_fail("O14",
                   "a key with a TTL of %" PRIu64 " ms ends %" PRIu64
                   " ms after its write was asked for",
                   ttl->ttl_ms, (world->now_us - ttl->asked_us) / MS);
    }
}

bool oracle_ttl_expires(struct world *world, const struct rk_frame *frame,
                        const struct sm_command_expire *command)
{
    struct rk_bytes rest = command->items;
    struct sm_expire_key item;

    while (command->term == frame->term && sm_expire_key_next(&rest, &item)) {
        if (ttl_is_running(world) && item.ttl_index == world->ttl.set_index) {
            check_age(world, frame);
            world->ttl = (struct ttl_model){.ttl_ms = 0};
            world->counts->keys_expired++;
            return true;
        }
    }
    return false;
}
