/* Who is woken by what: the rules of blocking queries (contract 1.7, pitfalls 132, 133, 137). */
#include "statemachine/watch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "support/quick.h"
#include "support/run.h"
#include "support/sm_commands.h"

static struct sm *sm;
static struct sm_watch_set *set;
static struct sm_root root;
static raft_index last_index;

static void publish(void)
{
    root = sm_publish(sm);
    sm_watch_advance(set, &root);
}

static void setup(void)
{
    sm = sm_new();
    set = sm_watch_set_new();
    last_index = 10;
    publish();
}

static void teardown(void)
{
    sm_watch_set_free(set);
    sm_free(sm);
}

static raft_index put(const char *key, const char *value)
{
    return sm_do_put(sm, ++last_index,
                     &(struct sm_command_put){.key = bytes_of(key), .value = bytes_of(value)})
        .modify_index;
}

static void delete_key(const char *key)
{
    (void)sm_do_delete(sm, ++last_index, &(struct sm_command_delete){.key = bytes_of(key)});
}

static void delete_prefix(const char *prefix)
{
    (void)sm_do_delete_prefix(sm, ++last_index, bytes_of(prefix));
}

static struct sm_topic key_topic(const char *key)
{
    return (struct sm_topic){.kind = SM_TOPIC_KEY, .key = bytes_of(key)};
}

static struct sm_topic prefix_topic(const char *prefix)
{
    return (struct sm_topic){.kind = SM_TOPIC_PREFIX, .key = bytes_of(prefix)};
}

/* Waits for what comes after the topic as it stands. */
static void watch(struct sm_watcher *watcher, struct sm_topic topic)
{
    *watcher = (struct sm_watcher){0};
    ck_assert(sm_watch_add(set, &topic, sm_topic_state(&root, &topic).index, watcher));
}

/* Publishes; true if the watcher, the only one, is woken. */
static bool wakes(struct sm_watcher *watcher)
{
    uint32_t budget = 1000;

    publish();
    const struct sm_watcher *woken = sm_watch_next(set, &budget);
    ck_assert(woken == NULL || woken == watcher);
    ck_assert_ptr_null(sm_watch_next(set, &budget));
    ck_assert(!sm_watch_is_due(set));
    return woken != NULL;
}

START_TEST(change_of_a_key_wakes_its_watcher_once)
{
    struct sm_watcher watcher;

    put("k", "1");
    publish();
    watch(&watcher, key_topic("k"));
    put("k", "2");
    ck_assert(wakes(&watcher));
    put("k", "3");
    ck_assert(!wakes(&watcher));
}
END_TEST

/* Contract 6, case 21: an idempotent write wakes nobody. */
START_TEST(write_that_changes_nothing_wakes_nobody)
{
    struct sm_watcher watcher;

    put("k", "1");
    publish();
    watch(&watcher, key_topic("k"));
    put("k", "1");
    ck_assert(!wakes(&watcher));
    sm_watch_remove(set, &watcher);
}
END_TEST

START_TEST(deletion_wakes_the_watcher_of_the_key)
{
    struct sm_watcher watcher;

    put("k", "1");
    publish();
    watch(&watcher, key_topic("k"));
    delete_key("k");
    ck_assert(wakes(&watcher));
}
END_TEST

START_TEST(deletion_of_a_prefix_wakes_the_watchers_of_keys_below_it)
{
    struct sm_watcher watcher;

    put("a/k", "1");
    publish();
    watch(&watcher, key_topic("a/k"));
    delete_prefix("a");
    ck_assert(wakes(&watcher));
}
END_TEST

/* Case 24: the index of a missing key is the map's and rises with every write; its watcher sleeps
 * until the key is made. */
START_TEST(watcher_of_a_missing_key_sleeps_until_it_is_made)
{
    struct sm_watcher watcher;

    put("other", "1");
    publish();
    watch(&watcher, key_topic("k"));
    put("other", "2");
    ck_assert(!wakes(&watcher));
    delete_prefix("");
    ck_assert(!wakes(&watcher));
    put("k", "1");
    ck_assert(wakes(&watcher));
}
END_TEST

/* Case 27. */
START_TEST(write_elsewhere_does_not_wake_the_watcher_of_a_prefix)
{
    struct sm_watcher watcher;

    put("a/1", "1");
    publish();
    watch(&watcher, prefix_topic("a/"));
    put("b/1", "1");
    put("a", "1");
    ck_assert(!wakes(&watcher));
    put("a/2", "1");
    ck_assert(wakes(&watcher));
}
END_TEST

/* Case 25. */
START_TEST(watcher_of_an_empty_prefix_sleeps_until_something_is_below_it)
{
    struct sm_watcher watcher;

    put("b", "1");
    publish();
    watch(&watcher, prefix_topic("a/"));
    put("b", "2");
    ck_assert(!wakes(&watcher));
    put("a/1", "1");
    ck_assert(wakes(&watcher));
}
END_TEST

/* Case 26. */
START_TEST(deletion_of_one_of_many_wakes_the_watcher_of_their_prefix)
{
    struct sm_watcher watcher;

    put("a/1", "1");
    put("a/2", "1");
    publish();
    watch(&watcher, prefix_topic("a/"));
    delete_key("a/1");
    ck_assert(wakes(&watcher));
}
END_TEST

START_TEST(deletion_of_a_prefix_wakes_the_watchers_above_and_below_it)
{
    struct sm_watcher watcher;

    put("a/b/c/1", "1");
    publish();
    watch(&watcher, prefix_topic("a/"));
    delete_prefix("a/b");
    ck_assert(wakes(&watcher));
    put("a/b/c/1", "1");
    publish();
    watch(&watcher, prefix_topic("a/b/c/"));
    delete_prefix("a/b");
    ck_assert(wakes(&watcher));
}
END_TEST

/* Pitfall 132: what happened between the client's look and its wait is answered at once. */
START_TEST(waiting_for_what_has_come_already_is_refused)
{
    struct sm_watcher watcher = {0};
    const struct sm_topic topic = key_topic("k");

    const raft_index seen = put("k", "1");
    put("k", "2");
    publish();
    ck_assert(!sm_watch_add(set, &topic, seen, &watcher));
    ck_assert_ptr_null(watcher.group);
}
END_TEST

/* A client that comes from a node that is ahead. */
START_TEST(index_ahead_of_the_state_waits_until_it_is_passed)
{
    struct sm_watcher watcher = {0};
    const struct sm_topic topic = key_topic("k");

    put("k", "1");
    publish();
    ck_assert(sm_watch_add(set, &topic, last_index + 1, &watcher));
    put("k", "2");
    ck_assert(!wakes(&watcher));
    put("k", "3");
    ck_assert(wakes(&watcher));
}
END_TEST

START_TEST(change_that_is_undone_within_one_root_wakes_nobody_who_saw_nothing)
{
    struct sm_watcher watcher;

    watch(&watcher, key_topic("k"));
    put("k", "1");
    delete_key("k");
    ck_assert(!wakes(&watcher));
    sm_watch_remove(set, &watcher);
}
END_TEST

START_TEST(one_change_wakes_a_bounded_number_at_a_time)
{
    enum { COUNT = 100 };
    static struct sm_watcher watchers[COUNT];
    uint32_t woken = 0;
    uint32_t slices = 0;

    put("k", "1");
    publish();
    for (uint32_t i = 0; i < COUNT; i++) {
        watch(&watchers[i], key_topic("k"));
    }
    put("k", "2");
    publish();
    while (sm_watch_is_due(set)) {
        uint32_t budget = 7;
        slices++;
        while (sm_watch_next(set, &budget) != NULL) {
            woken++;
        }
    }
    ck_assert_uint_eq(woken, COUNT);
    ck_assert_uint_ge(slices, COUNT / 7);
}
END_TEST

START_TEST(watcher_that_leaves_while_its_group_is_due_is_not_woken)
{
    struct sm_watcher first;
    struct sm_watcher second;
    uint32_t budget = 1;

    put("k", "1");
    publish();
    watch(&first, key_topic("k"));
    watch(&second, key_topic("k"));
    put("k", "2");
    publish();
    ck_assert_ptr_eq(sm_watch_next(set, &budget), &first);
    sm_watch_remove(set, &second);
    budget = 10;
    ck_assert_ptr_null(sm_watch_next(set, &budget));
    ck_assert(!sm_watch_is_due(set));
}
END_TEST

START_TEST(more_changes_than_are_looked_at_one_by_one_still_wake)
{
    struct sm_watcher watcher;
    char key[16];

    watch(&watcher, key_topic("k4999"));
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof(key), "k%04d", i);
        put(key, "1");
    }
    ck_assert(wakes(&watcher));
}
END_TEST

/* When old deletions are given up, those since the last root may be among them. */
START_TEST(deletion_whose_tombstone_was_given_up_still_wakes)
{
    struct sm_watcher watcher;
    char key[16];

    put("k", "1");
    publish();
    watch(&watcher, key_topic("k"));
    delete_key("k");
    for (int i = 0; i < SM_TOMBSTONES_MAX + 1; i++) {
        (void)snprintf(key, sizeof(key), "x%d", i);
        put(key, "1");
        delete_key(key);
    }
    ck_assert(wakes(&watcher));
}
END_TEST

/* A node that lagged behind takes over a snapshot: who waits is judged by the state in it. */
START_TEST(state_that_takes_the_place_of_another_wakes_whom_it_concerns)
{
    struct sm_watcher set_key = {0};
    struct sm_watcher deleted_key = {0};
    struct sm_watcher same_key = {0};
    uint32_t budget = 1000;

    put("set", "1");
    put("deleted", "1");
    put("same", "1");
    publish();
    struct sm *former = sm;
    sm = sm_new();
    last_index = 10;
    put("set", "1");
    put("deleted", "1");
    put("same", "1");
    put("set", "2");
    delete_key("deleted");
    watch(&same_key, key_topic("same"));
    watch(&set_key, key_topic("set"));
    watch(&deleted_key, key_topic("deleted"));
    publish();
    ck_assert_ptr_nonnull(sm_watch_next(set, &budget));
    ck_assert_ptr_nonnull(sm_watch_next(set, &budget));
    ck_assert_ptr_null(sm_watch_next(set, &budget));
    ck_assert_ptr_nonnull(same_key.group);
    sm_watch_remove(set, &same_key);
    sm_free(former);
}
END_TEST

/* --- against the slow way: every watcher looked at after every root --- */

enum { WATCHERS_COUNT = 48, STEPS_COUNT = 20000, KEY_SIZE_MAX = 4 };

struct slow {
    struct sm_watcher watcher; /* first */
    struct sm_topic topic;
    bool waits;
    bool was_absent;
    bool is_woken;
    char key[KEY_SIZE_MAX + 1];
};

static struct slow slows[WATCHERS_COUNT];
static struct rk_prng prng;

/* Few letters, so that keys begin each other; one with its high bit set. */
static void draw_key(char *key)
{
    static const char letters[] = {'a', 'b', '\x01', '\xff'};
    const uint64_t size = rk_prng_below(&prng, KEY_SIZE_MAX) + 1;

    for (uint64_t i = 0; i < size; i++) {
        key[i] = letters[rk_prng_below(&prng, sizeof(letters))];
    }
    key[size] = '\0';
}

static void change_one(void)
{
    char key[KEY_SIZE_MAX + 1];

    draw_key(key);
    if (rk_prng_chance(&prng, 100)) {
        delete_prefix(key);
    } else if (rk_prng_chance(&prng, 400)) {
        delete_key(key);
    } else {
        put(key, rk_prng_chance(&prng, 500) ? "1" : "2");
    }
}

static void wait_again(struct slow *slow)
{
    draw_key(slow->key);
    slow->topic = rk_prng_chance(&prng, 500) ? key_topic(slow->key) : prefix_topic(slow->key);
    const struct sm_topic_state state = sm_topic_state(&root, &slow->topic);
    const raft_index after = state.index - 1 + rk_prng_below(&prng, 4);
    slow->is_woken = false;
    slow->was_absent = state.is_absent;
    slow->watcher = (struct sm_watcher){0};
    slow->waits = sm_watch_add(set, &slow->topic, after, &slow->watcher);
    quick_assert(slow->waits == (state.index <= after));
}

static void wake_all_due(void)
{
    while (sm_watch_is_due(set)) {
        uint32_t budget = 5;
        struct sm_watcher *watcher = sm_watch_next(set, &budget);
        if (watcher != NULL) {
            ((struct slow *)(void *)watcher)->is_woken = true;
        }
    }
}

static void compare(struct slow *slow, raft_index after)
{
    const struct sm_topic_state state = sm_topic_state(&root, &slow->topic);
    const bool is_due = state.index > after && !(slow->was_absent && state.is_absent);

    quick_assert(slow->is_woken == is_due);
    slow->was_absent = state.is_absent;
    slow->waits = !is_due;
}

START_TEST(wakes_whom_looking_at_every_watcher_would_wake)
{
    rk_prng_seed(&prng, 20 + (uint64_t)_i);
    for (int step = 0; step < STEPS_COUNT; step++) {
        struct slow *slow = &slows[rk_prng_below(&prng, WATCHERS_COUNT)];
        if (!slow->waits) {
            wait_again(slow);
        } else if (rk_prng_chance(&prng, 100)) {
            sm_watch_remove(set, &slow->watcher);
            slow->waits = false;
        }
        for (uint64_t i = rk_prng_below(&prng, 4); i > 0; i--) {
            change_one();
        }
        publish();
        wake_all_due();
        for (int i = 0; i < WATCHERS_COUNT; i++) {
            if (slows[i].waits) {
                compare(&slows[i], slows[i].watcher.after);
            }
        }
        (void)sm_reclaim(sm, root.version, 1000);
    }
    for (int i = 0; i < WATCHERS_COUNT; i++) {
        if (slows[i].waits) {
            sm_watch_remove(set, &slows[i].watcher);
        }
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("watch");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, change_of_a_key_wakes_its_watcher_once);
    tcase_add_test(tcase, write_that_changes_nothing_wakes_nobody);
    tcase_add_test(tcase, deletion_wakes_the_watcher_of_the_key);
    tcase_add_test(tcase, deletion_of_a_prefix_wakes_the_watchers_of_keys_below_it);
    tcase_add_test(tcase, watcher_of_a_missing_key_sleeps_until_it_is_made);
    tcase_add_test(tcase, write_elsewhere_does_not_wake_the_watcher_of_a_prefix);
    tcase_add_test(tcase, watcher_of_an_empty_prefix_sleeps_until_something_is_below_it);
    tcase_add_test(tcase, deletion_of_one_of_many_wakes_the_watcher_of_their_prefix);
    tcase_add_test(tcase, deletion_of_a_prefix_wakes_the_watchers_above_and_below_it);
    tcase_add_test(tcase, waiting_for_what_has_come_already_is_refused);
    tcase_add_test(tcase, index_ahead_of_the_state_waits_until_it_is_passed);
    tcase_add_test(tcase, change_that_is_undone_within_one_root_wakes_nobody_who_saw_nothing);
    tcase_add_test(tcase, one_change_wakes_a_bounded_number_at_a_time);
    tcase_add_test(tcase, watcher_that_leaves_while_its_group_is_due_is_not_woken);
    tcase_add_test(tcase, more_changes_than_are_looked_at_one_by_one_still_wake);
    tcase_add_test(tcase, deletion_whose_tombstone_was_given_up_still_wakes);
    tcase_add_test(tcase, state_that_takes_the_place_of_another_wakes_whom_it_concerns);
    tcase_add_loop_test(tcase, wakes_whom_looking_at_every_watcher_would_wake, 0, 4);
    return run_suite("watch", tcase);
}
