#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "server/root.h"
#include "support/run.h"

static struct sm_root root_of(uint64_t version)
{
    return (struct sm_root){.version = version, .last_applied = version * 2};
}

static void publish(struct root_board *board, uint64_t version)
{
    const struct sm_root root = root_of(version);
    root_publish(board, &root);
}

START_TEST(nobody_reading_leaves_only_the_current_version)
{
    struct root_board *board = root_board_new(2);

    publish(board, 1);
    publish(board, 5);
    ck_assert_uint_eq(root_oldest(board), 5);
    root_board_free(board);
}
END_TEST

START_TEST(held_root_keeps_its_version_from_being_freed)
{
    struct root_board *board = root_board_new(2);

    publish(board, 1);
    const struct sm_root *held = root_acquire(board, 0);
    publish(board, 2);
    publish(board, 3);
    ck_assert_uint_eq(root_oldest(board), 1);
    ck_assert_uint_eq(held->last_applied, 2);
    const struct sm_root *newer = root_acquire(board, 1);
    ck_assert_uint_eq(newer->version, 3);

    root_release(board, 0);
    ck_assert_uint_eq(root_oldest(board), 3);
    root_release(board, 1);
    root_board_free(board);
}
END_TEST

/* Entries that change nothing are published too (last_applied moves): the same version twice may
 * not keep old holders for ever, nor free one that is in use. */
START_TEST(equal_versions_are_told_apart)
{
    struct root_board *board = root_board_new(1);

    publish(board, 4);
    const struct sm_root *held = root_acquire(board, 0);
    publish(board, 4);
    publish(board, 4);
    ck_assert_uint_eq(root_oldest(board), 4);
    ck_assert_uint_eq(held->version, 4);
    root_release(board, 0);
    ck_assert_uint_eq(root_oldest(board), 4);
    root_board_free(board);
}
END_TEST

START_TEST(slot_used_twice_aborts)
{
    struct root_board *board = root_board_new(1);

    (void)root_acquire(board, 0);
    (void)root_acquire(board, 0);
    ck_abort_msg("accepted");
}
END_TEST

struct reader {
    struct root_board *board;
    uint32_t slot;
    _Atomic int stop;
    uint64_t reads;
};

static void *read_roots(void *context)
{
    struct reader *reader = context;
    uint64_t last = 0;

    while (!atomic_load(&reader->stop)) {
        const struct sm_root *root = root_acquire(reader->board, reader->slot);
        if (root->last_applied != root->version * 2 || root->version < last) {
            abort();
        }
        last = root->version;
        root_release(reader->board, reader->slot);
        reader->reads++;
    }
    return NULL;
}

/* What the sanitizers watch: holders are freed while readers come and go. */
START_TEST(readers_and_publisher_race_without_harm)
{
    enum { READERS = 3, VERSIONS = 20000 };
    struct root_board *board = root_board_new(READERS);
    struct reader readers[READERS] = {0};
    pthread_t threads[READERS];

    publish(board, 1);
    for (uint32_t i = 0; i < READERS; i++) {
        readers[i].board = board;
        readers[i].slot = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_roots, &readers[i]), 0);
    }
    for (uint64_t version = 2; version < VERSIONS; version++) {
        publish(board, version);
        ck_assert_uint_le(root_oldest(board), version);
    }
    for (uint32_t i = 0; i < READERS; i++) {
        atomic_store(&readers[i].stop, 1);
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    root_board_free(board);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("root");

    tcase_add_test(tcase, nobody_reading_leaves_only_the_current_version);
    tcase_add_test(tcase, held_root_keeps_its_version_from_being_freed);
    tcase_add_test(tcase, equal_versions_are_told_apart);
    tcase_add_test_raise_signal(tcase, slot_used_twice_aborts, SIGABRT);
    tcase_add_test(tcase, readers_and_publisher_race_without_harm);
    return run_suite("root", tcase);
}
