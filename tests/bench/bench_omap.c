/* bench_omap -- puts and gets a second of the state machine, and memory, at 10^3, 10^5, 10^6 keys.
 *
 *   tests/bench/bench_omap
 *
 * Keys of 20 bytes, values of 256. Puts are whole commands, decoded and applied, published and
 * reclaimed every 64, as a node's batches are; "load" is in order of key, as after a restart. Time
 * is the process's own, so that neighbours cost cache but not share; resident memory is the
 * process's growth, so the sizes go upwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/prng.h"
#include "statemachine/command.h"
#include "statemachine/sm.h"

enum { VALUE_SIZE = 256, BATCH = 64, KEY_SIZE = 20, ROUND_MS = 1500 };

static struct sm *sm;
static struct sm_root root;
static struct rk_buf buf;
static struct rk_prng prng;
static raft_index last_index;
static uint8_t value[VALUE_SIZE];

static struct rk_bytes key_of(uint64_t number, char *text)
{
    (void)snprintf(text, KEY_SIZE + 1, "bench/key/%010llu", (unsigned long long)number);
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = KEY_SIZE};
}

static void publish(void)
{
    root = sm_publish(sm);
    (void)sm_reclaim(sm, root.version, 16 * BATCH);
}

static void put(uint64_t number)
{
    char text[KEY_SIZE + 1];
    struct sm_result result;
    last_index++;
    memcpy(value, &last_index, sizeof(last_index));
    rk_buf_reset(&buf);
    sm_command_encode(&(struct sm_command){.type = SM_COMMAND_KV_PUT,
                                           .put = {.key = key_of(number, text),
                                                   .value = {.data = value, .size = VALUE_SIZE}}},
                      &buf);
    const struct sm_place place = {.term = 1, .index = last_index};
    RK_ASSERT(sm_apply(sm, &place, rk_buf_bytes(&buf), &result) == RK_OK);
    RK_ASSERT(result.accepted);
    if (last_index % BATCH == 0) {
        publish();
    }
}

static void get(uint64_t number)
{
    char text[KEY_SIZE + 1];
    struct sm_kv_entry entry;
    RK_ASSERT(sm_kv_get(&root, key_of(number, text), &entry));
    RK_ASSERT(entry.value.size == VALUE_SIZE);
}

static void prefix_index(uint64_t number)
{
    char text[KEY_SIZE + 1];
    struct rk_bytes prefix = key_of(number, text);
    prefix.size -= 3;
    RK_ASSERT(sm_kv_index_of_prefix(&root, prefix) > 0);
}

static uint64_t cpu_us(void)
{
    return (uint64_t)clock() * 1000000 / CLOCKS_PER_SEC;
}

static void report(const char *what, uint64_t count, uint64_t start_us)
{
    const uint64_t us = cpu_us() - start_us;
    printf("  %-14s %9.0f /s\n", what, (double)count * 1e6 / (double)(us == 0 ? 1 : us));
}

static void run(const char *what, void (*step)(uint64_t number), uint64_t keys)
{
    const uint64_t start_us = cpu_us();
    uint64_t count = 0;
    while (cpu_us() - start_us < ROUND_MS * 1000) {
        for (uint32_t i = 0; i < 4096; i++) {
            step(rk_prng_below(&prng, keys));
        }
        count += 4096;
    }
    report(what, count, start_us);
}

static double resident_mib(void)
{
    unsigned long size;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    RK_ASSERT(file != NULL);
    RK_ASSERT(fscanf(file, "%lu %lu", &size, &resident) == 2);
    (void)fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static void list_all(uint64_t keys)
{
    struct sm_kv_cursor cursor;
    struct sm_kv_entry entry;
    const struct rk_bytes all = {.data = NULL, .size = 0};
    const uint64_t start_us = cpu_us();
    uint64_t count = 0;
    for (sm_kv_cursor_init(&cursor, &root, all); sm_kv_cursor_next(&cursor, &entry);) {
        count++;
    }
    RK_ASSERT(count == keys);
    report("list", count, start_us);
}

static void delete_all(void)
{
    struct sm_result result;
    const struct sm_command all = {.type = SM_COMMAND_KV_DELETE_PREFIX};
    const uint64_t start_us = cpu_us();
    rk_buf_reset(&buf);
    sm_command_encode(&all, &buf);
    const struct sm_place place = {.term = 1, .index = ++last_index};
    RK_ASSERT(sm_apply(sm, &place, rk_buf_bytes(&buf), &result) == RK_OK);
    root = sm_publish(sm);
    printf("  delete all     %9llu us\n", (unsigned long long)(cpu_us() - start_us));
}

static void measure(uint64_t keys)
{
    const double before_mib = resident_mib();
    printf("%llu keys\n", (unsigned long long)keys);
    last_index = 0;
    sm = sm_new();
    const uint64_t start_us = cpu_us();
    for (uint64_t i = 0; i < keys; i++) {
        put(i);
    }
    report("load", keys, start_us);
    publish();
    printf("  resident       %9.1f MiB, %.0f bytes a key\n", resident_mib() - before_mib,
           (resident_mib() - before_mib) * (1 << 20) / (double)keys);
    run("put", put, keys);
    printf("  resident       %9.1f MiB after it, %.1f MiB held\n", resident_mib() - before_mib,
           (double)sm_memory(sm) / (1 << 20));
    publish();
    run("get", get, keys);
    run("prefix index", prefix_index, keys);
    list_all(keys);
    delete_all();
    sm_free(sm);
}

int main(void)
{
    static const uint64_t sizes[] = {1000, 100000, 1000000};
    rk_buf_init(&buf, 4096);
    rk_prng_seed(&prng, 1);
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        measure(sizes[i]);
    }
    rk_buf_done(&buf);
    return EXIT_SUCCESS;
}
