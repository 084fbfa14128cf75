/* The state machine against a slow model: a list of keys, and a list of all deletions ever made,
 * both searched from end to end. Thousands of random commands, old roots held meanwhile. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/prng.h"
#include "statemachine/sm.h"
#include "support/quick.h"
#include "support/run.h"
#include "support/sm_commands.h"

enum { KEY_MAX = 16, KEYS_MAX = 1024, DELETIONS_MAX = 4096, HELD_MAX = 4, QUERIES = 24 };

struct name {
    uint8_t bytes[KEY_MAX];
    uint32_t size;
};

struct model_key {
    struct name name;
    uint64_t flags;
    uint8_t value;
    raft_index create_index;
    raft_index modify_index;
};

struct deletion {
    struct name name;
    bool is_prefix;
    raft_index index;
};

struct model {
    struct model_key keys[KEYS_MAX];
    uint32_t keys_count;
    struct deletion deletions[DELETIONS_MAX];
    uint32_t deletions_count;
    raft_index kv_index;
};

struct held {
    struct sm_root root;
    struct model *copy; /* NULL: nothing is held */
};

static struct sm *sm;
static struct model *model;
static struct rk_prng prng;

static void setup(void)
{
    sm = sm_new();
    model = rk_heap_zalloc(1, sizeof(*model));
}

static void teardown(void)
{
    sm_free(sm);
    rk_heap_free(model);
}

static struct rk_bytes name_bytes(const struct name *name)
{
    return (struct rk_bytes){.data = name->bytes, .size = name->size};
}

static struct name random_name(uint32_t size_min)
{
    static const uint8_t alphabet[] = {'/', 'a', 'b', 0xff};
    struct name name = {.size = size_min + (uint32_t)rk_prng_below(&prng, 6)};
    for (uint32_t i = 0; i < name.size; i++) {
        name.bytes[i] = alphabet[rk_prng_below(&prng, sizeof(alphabet))];
    }
    return name;
}

static bool begins_with(const struct name *name, const struct name *prefix)
{
    return name->size >= prefix->size && memcmp(name->bytes, prefix->bytes, prefix->size) == 0;
}

static bool names_equal(const struct name *a, const struct name *b)
{
    return a->size == b->size && begins_with(a, b);
}

/* --- the model --- */

static struct model_key *model_find(struct model *of, const struct name *name)
{
    for (uint32_t i = 0; i < of->keys_count; i++) {
        if (names_equal(&of->keys[i].name, name)) {
            return &of->keys[i];
        }
    }
    return NULL;
}

static void model_note_deletion(const struct name *name, bool is_prefix, raft_index index)
{
    quick_assert(model->deletions_count < DELETIONS_MAX);
    model->deletions[model->deletions_count++] =
        (struct deletion){.name = *name, .is_prefix = is_prefix, .index = index};
    model->kv_index = index;
}

static void model_drop(struct model_key *key)
{
    *key = model->keys[--model->keys_count];
}

/* Whether a deletion counts for a prefix: a key's for all it begins with, a prefix's for all that
 * is above or below it. */
static bool deletion_touches(const struct deletion *deletion, const struct name *prefix)
{
    return begins_with(&deletion->name, prefix) ||
           (deletion->is_prefix && begins_with(prefix, &deletion->name));
}

/* 0: nothing was ever there. */
static raft_index model_prefix_index(const struct model *of, const struct name *prefix)
{
    raft_index index = 0;
    for (uint32_t i = 0; i < of->keys_count; i++) {
        if (begins_with(&of->keys[i].name, prefix) && of->keys[i].modify_index > index) {
            index = of->keys[i].modify_index;
        }
    }
    for (uint32_t i = 0; i < of->deletions_count; i++) {
        if (deletion_touches(&of->deletions[i], prefix) && of->deletions[i].index > index) {
            index = of->deletions[i].index;
        }
    }
    return index;
}

static uint64_t model_count(const struct model *of, const struct name *prefix)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < of->keys_count; i++) {
        count += begins_with(&of->keys[i].name, prefix) ? 1 : 0;
    }
    return count;
}

/* --- commands, on both --- */

static uint64_t random_cas(const struct model_key *key)
{
    const uint64_t dice = rk_prng_below(&prng, 4);
    if (dice == 0) {
        return 0;
    }
    return (key == NULL ? 1 : key->modify_index) + (dice == 1 ? 1 : 0);
}

static bool model_put(const struct name *name, const struct sm_command_put *put, raft_index index)
{
    struct model_key *key = model_find(model, name);
    if (put->has_cas && put->cas != (key == NULL ? 0 : key->modify_index)) {
        return false;
    }
    if (key == NULL) {
        quick_assert(model->keys_count < KEYS_MAX);
        key = &model->keys[model->keys_count++];
        *key = (struct model_key){.name = *name, .create_index = index};
    } else if (key->flags == put->flags && key->value == put->value.data[0]) {
        return true;
    }
    key->flags = put->flags;
    key->value = put->value.data[0];
    key->modify_index = index;
    model->kv_index = index;
    return true;
}

static void random_put(raft_index index, const struct name *name)
{
    const uint8_t value = (uint8_t)rk_prng_below(&prng, 3);
    const struct model_key *key = model_find(model, name);
    struct sm_command_put put = {.key = name_bytes(name),
                                 .value = {.data = &value, .size = 1},
                                 .flags = rk_prng_below(&prng, 2),
                                 .has_cas = rk_prng_chance(&prng, 300) != 0};
    put.cas = put.has_cas ? random_cas(key) : 0;
    const bool accepted = model_put(name, &put, index);
    const struct sm_result result = sm_do_put(sm, index, &put);
    key = model_find(model, name);
    quick_assert(result.accepted == accepted);
    quick_assert(result.modify_index == (key == NULL ? 0 : key->modify_index));
}

static void random_delete(raft_index index, const struct name *name)
{
    struct model_key *key = model_find(model, name);
    struct sm_command_delete command = {.key = name_bytes(name),
                                        .has_cas = rk_prng_chance(&prng, 300) != 0};
    command.cas = command.has_cas ? random_cas(key) : 0;
    const bool accepted = key == NULL || !command.has_cas || command.cas == key->modify_index;
    quick_assert(sm_do_delete(sm, index, &command).accepted == accepted);
    if (key != NULL && accepted) {
        model_drop(key);
        model_note_deletion(name, false, index);
    }
}

static void random_delete_prefix(raft_index index, const struct name *prefix)
{
    bool any = false;
    for (uint32_t i = model->keys_count; i > 0; i--) {
        if (begins_with(&model->keys[i - 1].name, prefix)) {
            model_drop(&model->keys[i - 1]);
            any = true;
        }
    }
    if (any) {
        model_note_deletion(prefix, true, index);
    }
    quick_assert(sm_do_delete_prefix(sm, index, name_bytes(prefix)).accepted);
}

/* Returns the deletion that the command would be, to tell which prefixes it may touch. */
static struct deletion random_command(raft_index index)
{
    const uint64_t dice = rk_prng_below(&prng, 100);
    const struct name name = random_name(dice == 99 ? 0 : 1);
    if (dice < 55) {
        random_put(index, &name);
    } else if (dice < 94) {
        random_delete(index, &name);
    } else {
        random_delete_prefix(index, &name);
    }
    return (struct deletion){.name = name, .is_prefix = dice >= 94, .index = index};
}

/* --- comparison --- */

static void check_key(const struct sm_root *root, const struct model_key *key)
{
    struct sm_kv_entry entry;
    quick_assert(sm_kv_get(root, name_bytes(&key->name), &entry));
    quick_assert(entry.flags == key->flags);
    quick_assert(entry.value.size == 1);
    quick_assert(entry.value.data[0] == key->value);
    quick_assert(entry.create_index == key->create_index);
    quick_assert(entry.modify_index == key->modify_index);
}

static void check_prefix(const struct sm_root *root, const struct model *expected,
                         const struct name *prefix)
{
    const raft_index index = model_prefix_index(expected, prefix);
    const raft_index kv_index = expected->kv_index == 0 ? 1 : expected->kv_index;
    quick_assert(sm_kv_index_of_prefix(root, name_bytes(prefix)) ==
                 (index == 0 ? kv_index : index));
    quick_assert(sm_kv_count(root, name_bytes(prefix)) == model_count(expected, prefix));
}

static void check_listing(const struct sm_root *root, const struct model *expected,
                          const struct name *prefix)
{
    struct sm_kv_cursor cursor;
    struct sm_kv_entry entry;
    struct name previous = {0};
    uint64_t count = 0;
    sm_kv_cursor_init(&cursor, root, name_bytes(prefix));
    while (sm_kv_cursor_next(&cursor, &entry)) {
        struct name name = {.size = entry.key.size};
        memcpy(name.bytes, entry.key.data, entry.key.size);
        quick_assert(begins_with(&name, prefix));
        quick_assert(count == 0 || memcmp(previous.bytes, name.bytes, KEY_MAX) < 0);
        previous = name;
        count++;
    }
    quick_assert(count == model_count(expected, prefix));
}

static void check_root(const struct sm_root *root, const struct model *expected)
{
    for (uint32_t i = 0; i < expected->keys_count; i++) {
        check_key(root, &expected->keys[i]);
    }
    for (uint32_t i = 0; i < 20; i++) {
        const struct name prefix = random_name(0);
        check_prefix(root, expected, &prefix);
        check_listing(root, expected, &prefix);
    }
    quick_assert(root->kv_index == expected->kv_index);
}

/* --- tests --- */

/* Each answer is what a search from end to end gives. */
START_TEST(answers_are_those_of_the_model)
{
    rk_prng_seed(&prng, (uint64_t)_i);
    for (raft_index index = 1; index <= 5000; index++) {
        (void)random_command(index);
        const struct sm_root root = sm_publish(sm);
        const struct name prefix = random_name(0);
        check_prefix(&root, model, &prefix);
        if (index % 250 == 0) {
            check_root(&root, model);
        }
        (void)sm_reclaim(sm, root.version, 20);
    }
}
END_TEST

static uint64_t oldest_version(const struct held *held, uint64_t published)
{
    uint64_t oldest = published;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (held[i].copy != NULL && held[i].root.version < oldest) {
            oldest = held[i].root.version;
        }
    }
    return oldest;
}

static void hold_or_let_go(struct held *held, const struct sm_root *root)
{
    if (held->copy == NULL) {
        held->root = *root;
        held->copy = rk_heap_alloc(sizeof(*model));
        memcpy(held->copy, model, sizeof(*model));
        return;
    }
    check_root(&held->root, held->copy);
    rk_heap_free(held->copy);
    held->copy = NULL;
}

/* Design 2, the published root: a held root keeps answering as its day's model does, and once all
 * are let go, as much is freed as if nobody had held any. */
START_TEST(held_roots_keep_answering)
{
    struct held held[HELD_MAX] = {0};
    rk_prng_seed(&prng, 100 + (uint64_t)_i);
    for (raft_index index = 1; index <= 3000; index++) {
        (void)random_command(index);
        const struct sm_root root = sm_publish(sm);
        if (rk_prng_chance(&prng, 25)) {
            hold_or_let_go(&held[rk_prng_below(&prng, HELD_MAX)], &root);
        }
        (void)sm_reclaim(sm, oldest_version(held, root.version),
                         (uint32_t)rk_prng_below(&prng, 30));
    }
    const struct sm_root root = sm_publish(sm);
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (held[i].copy != NULL) {
            hold_or_let_go(&held[i], &root);
        }
    }
    while (sm_reclaim(sm, root.version, 10)) {
    }
    check_root(&root, model);
}
END_TEST

/* Contract 1.7: per query, the index never is 0, never falls, and once something was there, moves
 * only with what touches it. */
START_TEST(prefix_indexes_never_fall_nor_move_on_unrelated_writes)
{
    struct name queries[QUERIES];
    raft_index indexes[QUERIES] = {0};
    rk_prng_seed(&prng, 200 + (uint64_t)_i);
    for (uint32_t i = 0; i < QUERIES; i++) {
        queries[i] = random_name(0);
    }
    for (raft_index index = 1; index <= 5000; index++) {
        bool was_there[QUERIES];
        for (uint32_t i = 0; i < QUERIES; i++) {
            was_there[i] = model_prefix_index(model, &queries[i]) != 0;
        }
        const struct deletion command = random_command(index);
        const struct sm_root root = sm_publish(sm);
        for (uint32_t i = 0; i < QUERIES; i++) {
            const raft_index now = sm_kv_index_of_prefix(&root, name_bytes(&queries[i]));
            quick_assert(now >= 1);
            quick_assert(now >= indexes[i]);
            if (was_there[i] && !deletion_touches(&command, &queries[i])) {
                quick_assert(now == indexes[i]);
            }
            indexes[i] = now;
        }
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("sm_model");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, answers_are_those_of_the_model, 0, 3);
    tcase_add_loop_test(tcase, held_roots_keep_answering, 0, 3);
    tcase_add_loop_test(tcase, prefix_indexes_never_fall_nor_move_on_unrelated_writes, 0, 2);
    return run_suite("sm_model", tcase);
}
