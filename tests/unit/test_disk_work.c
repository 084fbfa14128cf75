/* What the disk does with a snapshot that is to be noted down, when the process may end at any step. */
#include "server/disk_work.h"
#include "storage/log_store_mem.h"
#include "support/run.h"

static struct disk_work work;
static struct log_store_ops ops;

static enum rk_status fail_to_add(struct log_store *store, const struct log_snapshot *snapshot)
{
    (void)store;
    (void)snapshot;
    return RK_IO;
}

static struct log_snapshot snapshot_at(raft_index index)
{
    return (struct log_snapshot){
        .id = {.term = 1, .index = index}, .config = {(const uint8_t *)"c", 1}, .size = 1};
}

/* All places are taken: 1, 2, 3, 4. */
static void set_up(void)
{
    const struct log_store_mem_options options = {.node_name = "n1", .incarnation = 1};

    work = (struct disk_work){.store = log_store_mem_new(&options)};
    for (uint32_t i = 1; i <= LOG_SNAPSHOTS_MAX; i++) {
        const struct log_snapshot noted = snapshot_at(i);
        ck_assert_int_eq(log_store_add_snapshot(work.store, &noted), RK_OK);
    }
}

static void tear_down(void)
{
    log_store_close(work.store);
}

/* Notes `index` down; 1, 2, 3 and 4 go. */
static enum rk_status note_down(raft_index index)
{
    struct disk_job *job = disk_job_new(DISK_SNAPSHOT);

    job->noted = snapshot_at(index);
    rk_buf_append(&job->frames, "c", 1);
    for (uint32_t i = 1; i <= LOG_SNAPSHOTS_MAX; i++) {
        job->forgotten[i - 1] = i;
    }
    job->forgotten_count = LOG_SNAPSHOTS_MAX;
    ck_assert_uint_eq(disk_work_run(&work, &job, 1), 1);
    const enum rk_status status = job->status;
    disk_job_free(job);
    return status;
}

START_TEST(those_that_go_are_gone_when_the_new_one_is_there)
{
    ck_assert_int_eq(note_down(9), RK_OK);
    ck_assert_uint_eq(work.store->snapshots_count, 1);
    ck_assert_uint_eq(work.store->snapshots[0].id.index, 9);
}
END_TEST

/* The log may begin behind the newest: until there is another, it may not go. */
START_TEST(the_newest_stays_until_the_new_one_is_there)
{
    ops = *work.store->ops;
    ops.add_snapshot = fail_to_add;
    work.store->ops = &ops;
    ck_assert_int_eq(note_down(9), RK_IO);
    ck_assert_uint_eq(work.store->snapshots_count, LOG_SNAPSHOTS_MAX - 1);
    ck_assert_uint_eq(work.store->snapshots[LOG_SNAPSHOTS_MAX - 2].id.index, LOG_SNAPSHOTS_MAX);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("disk_work");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, those_that_go_are_gone_when_the_new_one_is_there);
    tcase_add_test(tcase, the_newest_stays_until_the_new_one_is_there);
    return run_suite("disk_work", tcase);
}
