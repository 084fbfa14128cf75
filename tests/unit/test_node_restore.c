/* Which snapshot a node starts from, and what becomes of the others. */
#include <check.h>
#include <string.h>

#include "node_fixture.h"
#include "storage/log_store_mem.h"
#include "support/run.h"

enum { LOST_INDEX = 50 };

static struct membership membership;

/* A new directory; the cluster was formed by one like it. */
static void set_up(void)
{
    fixture_open();
    fixture_lead();
    membership = fixture.node->membership;
    fixture_close();
    fixture_open();
}

/* Noted down, and in the log's place; its file is nowhere. */
static struct log_store *store_of_a_lost_snapshot(void)
{
    const struct log_store_mem_options options = {.node_name = "n1", .incarnation = 1};
    struct log_store *store = log_store_mem_new(&options);
    const struct log_snapshot noted = {
        .id = {.term = 2, .index = LOST_INDEX}, .config = {(const uint8_t *)"c", 1}, .size = 1};
    const struct raft_snapshot snapshot = {.id = noted.id};
    const struct raft_write write = {
        .has_hard_state = true, .hard_state = {.term = 2}, .snapshot = &snapshot};
    const struct raft_write *const writes[] = {&write};

    ck_assert_int_eq(log_store_add_snapshot(store, &noted), RK_OK);
    ck_assert_int_eq(log_store_write(store, writes, 1), RK_OK);
    return store;
}

/* What the first start says of the damage, the second must say too: it may not take a log that begins
 * in the middle for a whole one. */
START_TEST(a_log_that_cannot_do_without_its_snapshot_is_refused_at_every_start)
{
    char message[256] = "";
    const struct node_start_options start = {.options = &fixture.options,
                                             .store = store_of_a_lost_snapshot(),
                                             .snaps = snap_store_mem_new()};

    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(node_restore(fixture.node, &start, message, sizeof(message)), RK_CORRUPT);
        ck_assert_ptr_nonnull(strstr(message, "the log begins after entry 50"));
    }
    snap_store_close(start.snaps);
    log_store_close(start.store);
}
END_TEST

/* A snapshot of a state that has applied `index`, in `snaps` and noted down. */
static void make_one(struct snap_store *snaps, struct log_store *store, raft_index index)
{
    const struct sm_place place = {.term = 1, .index = index, .time_ms = 5};
    struct snap_work work = {.store = snaps};
    struct snap_job *job = snap_job_new(SNAP_TAKE);
    struct rk_buf config;

    job->sm = sm_new();
    sm_skip(job->sm, &place);
    job->root = sm_publish(job->sm);
    job->info = (struct snap_info){
        .ref = {.id = {.term = 1, .index = index}}, .chain = index, .membership = membership};
    ck_assert(!snap_work_run(&work, job));
    while (snap_work_slice(&work) == NULL) {
    }
    ck_assert_int_eq(job->status, RK_OK);
    rk_buf_init(&config, 4096);
    membership_encode(&job->info.membership, &config);
    const struct log_snapshot noted = {.id = job->info.ref.id,
                                       .chain = index,
                                       .config = rk_buf_bytes(&config),
                                       .size = job->info.ref.size,
                                       .digest = job->info.ref.digest};
    ck_assert_int_eq(log_store_add_snapshot(store, &noted), RK_OK);
    rk_buf_done(&config);
    snap_job_free(job);
}

/* The newest may be found damaged at the next start, not at this one. */
START_TEST(the_one_before_stays_over_a_start_while_the_log_reaches_back)
{
    const struct log_store_mem_options options = {.node_name = "n1",
                                                  .incarnation = fixture_incarnation("n1")};
    const struct raft_write write = {.has_hard_state = true, .hard_state = {.term = 1}};
    const struct raft_write *const writes[] = {&write};
    char message[256] = "";
    const struct node_start_options start = {.options = &fixture.options,
                                             .store = log_store_mem_new(&options),
                                             .snaps = snap_store_mem_new()};
    struct snap_ref found;

    ck_assert_int_eq(log_store_write(start.store, writes, 1), RK_OK);
    make_one(start.snaps, start.store, 4);
    make_one(start.snaps, start.store, 7);
    tail_done(&fixture.node->tail);
    ck_assert_int_eq(node_restore(fixture.node, &start, message, sizeof(message)), RK_OK);
    ck_assert_uint_eq(fixture.node->last_applied, 7);
    ck_assert_uint_eq(fixture.node->snaps.held_count, 2);
    ck_assert_uint_eq(start.store->snapshots_count, 2);
    ck_assert_int_eq(snap_store_load(start.snaps, (struct raft_entry_id){1, 4}, NULL, NULL, &found),
                     RK_OK);
    snap_store_close(start.snaps);
    log_store_close(start.store);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_restore");

    tcase_add_checked_fixture(tcase, set_up, fixture_close);
    tcase_add_test(tcase, a_log_that_cannot_do_without_its_snapshot_is_refused_at_every_start);
    tcase_add_test(tcase, the_one_before_stays_over_a_start_while_the_log_reaches_back);
    return run_suite("node_restore", tcase);
}
