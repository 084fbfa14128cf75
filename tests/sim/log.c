/* Logs as the simulator keeps them, and the memory of runs of entries. */
#include "base/assert.h"
#include "base/heap.h"
#include "sim/sim.h"

enum { POOL_ENTRIES = 1 << 20 };

static uint64_t mix(uint64_t chain, uint64_t value)
{
    chain = (chain ^ value) * UINT64_C(0x9fb21c651e98df25);
    return chain ^ (chain >> 32);
}

void sim_log_append(struct sim *sim, struct sim_log *log, struct sim_entry entry)
{
    RK_ASSERT(log->last < SIM_LOG_MAX);
    const uint64_t before = log->entries[log->last].chain;
    log->last++;
    entry.chain = mix(mix(before, entry.term), entry.payload);
    log->entries[log->last] = entry;
    if (sim->payloads[entry.payload].type == RAFT_ENTRY_CONFIG) {
        const uint32_t max = sizeof log->configs / sizeof log->configs[0];
        RK_ASSERT(log->configs_count < max);
        log->configs[log->configs_count++] = (struct sim_config_at){
            .index = log->last, .config = sim->payloads[entry.payload].config};
    }
}

void sim_log_truncate(struct sim_log *log, raft_index from)
{
    RK_ASSERT(from > log->base);
    if (from <= log->last) {
        log->last = from - 1;
    }
    while (log->configs_count > 1 && log->configs[log->configs_count - 1].index >= from) {
        log->configs_count--;
    }
}

void sim_log_reset(struct sim *sim, struct sim_log *log, raft_index index,
                   struct sim_config_at config)
{
    log->base = index;
    log->last = index;
    log->entries[index] = sim->committed_entries[index];
    log->snapshot = index;
    log->snapshot_config = config;
    log->configs_count = 1;
    log->configs[0] = config;
}

void sim_log_compact(struct sim_log *log, raft_index base)
{
    uint32_t past = 0;
    RK_ASSERT(base <= log->last);
    log->base = base;
    while (past + 1 < log->configs_count && log->configs[past + 1].index <= base) {
        past++;
    }
    log->configs_count -= past;
    for (uint32_t i = 0; i < log->configs_count; i++) {
        log->configs[i] = log->configs[i + past];
    }
}

struct raft_entry_id sim_log_last(const struct sim_log *log)
{
    return (struct raft_entry_id){.term = log->entries[log->last].term, .index = log->last};
}

uint32_t sim_log_config(const struct sim_log *log)
{
    return log->configs[log->configs_count - 1].config;
}

raft_index sim_log_config_index(const struct sim_log *log)
{
    return log->configs[log->configs_count - 1].index;
}

bool sim_log_has(const struct sim_log *log, raft_index index, const struct sim_entry *entry)
{
    return index <= log->base || (index <= log->last && log->entries[index].chain == entry->chain);
}

bool sim_as_new(struct raft_entry_id a, struct raft_entry_id b)
{
    return a.term > b.term || (a.term == b.term && a.index >= b.index);
}

uint32_t sim_payload_new(struct sim *sim, enum raft_entry_type type)
{
    RK_ASSERT(sim->payloads_count < SIM_PAYLOADS_MAX);
    sim->payloads[sim->payloads_count] = (struct sim_payload){.type = type};
    return sim->payloads_count++;
}

static uint32_t size_class(uint32_t count)
{
    uint32_t class = 0;
    while (1U << class < count) {
        class ++;
    }
    return class;
}

/* A free run keeps in its first entry's chain where the next one is. */
struct sim_entry *sim_pool_take(struct sim *sim, uint32_t count)
{
    struct sim_pool *pool = &sim->pool;
    const uint32_t class = size_class(count);
    RK_ASSERT(count > 0);
    RK_ASSERT(count <= RAFT_WRITE_ENTRIES_MAX);
    if (pool->free[class] != 0) {
        struct sim_entry *entries = &pool->memory[pool->free[class] - 1];
        pool->free[class] = (uint32_t)entries->chain;
        return entries;
    }
    RK_ASSERT(pool->used + (1U << class) <= POOL_ENTRIES);
    struct sim_entry *entries = &pool->memory[pool->used];
    pool->used += 1U << class;
    return entries;
}

void sim_pool_give(struct sim *sim, struct sim_entry *entries, uint32_t count)
{
    const uint32_t class = size_class(count);
    entries->chain = sim->pool.free[class];
    sim->pool.free[class] = (uint32_t)(entries - sim->pool.memory) + 1;
}

void sim_pool_reset(struct sim *sim)
{
    struct sim_entry *memory = sim->pool.memory;
    if (memory == NULL) {
        memory = rk_heap_zalloc(POOL_ENTRIES, sizeof(struct sim_entry));
    }
    sim->pool = (struct sim_pool){.memory = memory};
}
