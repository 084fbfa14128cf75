/* oracles_watch.c -- reads that wait for a change (O15): who waits is woken when the change is there, and
 * for nothing else, and no index that a client was given goes back. */
#include <inttypes.h>

#include "server/gateway_internal.h"
#include "sim/node/oracles.h"

enum { LATE_US = 1000 * MS, EARLY_US = 20 * MS };

/* Did the entry change something of its key? */
bool is_event(const struct world *world, raft_index index)
{
    const struct committed *entry = &world->committed[index];

    if (entry->key >= KEYS_MAX || !entry->accepted) {
        return false;
    }
    const struct committed *before = &world->committed[entry->previous];
    return !entry->is_delete || (entry->previous != 0 && !before->is_delete);
}

/* Was it changed after `after`, up to `last`? */
static bool has_changed(const struct world *world, uint32_t key, raft_index after, raft_index last)
{
    raft_index change = world->key_changed[key];

    while (change > last || (change > after && !is_event(world, change))) {
        change = world->committed[change].previous;
    }
    return change > after;
}

/* It has been taken up, and waits for nothing but a change or its end. */
static bool is_waiting(const struct op *op)
{
    struct call *call = op->exchange != NULL ? *http_exchange_user(op->exchange) : NULL;

    return call != NULL && call->request.wait.deadline.place != 0;
}

void oracle_waits(struct op *op)
{
    op->next_waiting = op->host->waiting;
    op->host->waiting = op;
}

void oracle_woken(struct host *host)
{
    const struct world *world = host->world;
    struct op **at = &host->waiting;

    while (*at != NULL) {
        struct op *op = *at;
        if (!op->is_inside || op->host_life != host->life) {
            *at = op->next_waiting;
            continue;
        }
        at = &op->next_waiting;
        if (!is_waiting(op) || !has_changed(world, op->key, op->asked_index, host->applied_seen)) {
            op->due_us = 0;
            continue;
        }
        op->due_us = op->due_us == 0 ? world->now_us : op->due_us;
        if (op->due_us < host->paused_until_us) {
            op->due_us = host->paused_until_us;
        }
        if (world->now_us > op->due_us + LATE_US) {
            world_fail("O15",
                       "read %u waits at n%u for a change of k%u after %" PRIu64
                       ", which was there %" PRIu64 " ms ago",
                       op->number, host->number + 1, op->key, op->asked_index,
                       (world->now_us - op->due_us) / MS);
        }
    }
}

void oracle_wait_answered(const struct op *op)
{
    const struct world *world = sim_world;
    const bool is_stopping = atomic_load(&op->host->node->stop_by_ms) != 0;
    const bool has_news = has_changed(world, op->key, op->asked_index, op->witness);
    const bool is_early = world->now_us + EARLY_US < op->arrived_us + op->wait_us;

    if (op->read_index < op->asked_index) {
        world_fail("O15", "read %u of k%u after %" PRIu64 " was given index %" PRIu64, op->number,
                   op->key, op->asked_index, op->read_index);
    }
    if (has_news && op->read_index == op->asked_index) {
        world_fail("O15", "read %u of k%u has news, and its index is still %" PRIu64, op->number,
                   op->key, op->read_index);
    }
    /* What is missing has the index of all keys, with which it is compared when it begins to wait. */
    const bool is_missing = op->value == 0 && op->read_index > op->asked_index;
    if (is_early && !has_news && !is_stopping && !is_missing) {
        world_fail("O15", "read %u of k%u was woken for nothing that came after %" PRIu64,
                   op->number, op->key, op->asked_index);
    }
    world->counts->waits_woken += has_news;
    world->counts->waits_ended += !has_news;
}
