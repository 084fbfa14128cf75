/* What the disk does with a snapshot that is to be noted down, when the process may end at any step;
 * and what becomes of the high-water mark. */
#include "server/disk_work.h"
#include "storage/log_store_mem.h"
#include "storage_support.h"
#include "support/run.h"

static struct disk_work work;
static struct log_store_ops ops;
static const struct log_store_ops *former_ops;
static uint64_t now_us;

uint64_t __wrap_rk_monotonic_us(void);

uint64_t __wrap_rk_monotonic_us(void)
{
    return now_us;
}

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

/* What others do to the disk is paced by that: node_peers.c, node_snapshot.c. */
static enum rk_status read_slowly(struct log_store *store, raft_index first, raft_index last,
                                  size_t bytes_max, struct rk_buf *buf, raft_index *ret_last)
{
    now_us += 4321;
    return former_ops->read(store, first, last, bytes_max, buf, ret_last);
}

START_TEST(read_says_how_long_the_disk_did_nothing_else)
{
    struct made *entries = made_new();
    struct raft_entry entry = made_entry(entries, 1, 1, 10);
    struct disk_job *write = disk_job_new(DISK_WRITE);
    struct disk_job *read = disk_job_new(DISK_READ);

    write->write.entries = &entry;
    write->write.entries_count = 1;
    ck_assert_uint_eq(disk_work_run(&work, &write, 1), 1);
    former_ops = work.store->ops;
    ops = *former_ops;
    ops.read = read_slowly;
    work.store->ops = &ops;
    read->first = 1;
    read->last = 1;
    read->bytes_max = 100;
    ck_assert_uint_eq(disk_work_run(&work, &read, 1), 1);
    ck_assert_int_eq(read->status, RK_OK);
    ck_assert_uint_eq(read->took_us, 4321);
    disk_job_free(read);
    disk_job_free(write);
    made_free(entries);
}
END_TEST

/* ---- the mark beside a log that has lost its end ---- */

enum { INCARNATION = 1, LOST_INDEX = 3 };

static char dir[MADE_PATH_SIZE];
static struct made *made;

static void open_water(void)
{
    char message[256];
    bool is_new = false;

    high_water_close(work.water);
    work.water = NULL;
    const enum rk_status status = high_water_open(test_dir_path(dir, "high-water"), INCARNATION,
                                                  &work.water, &is_new, message, sizeof(message));
    ck_assert_int_eq(status, RK_OK);
}

/* The mark says that the log held LOST_INDEX entries of term 1; it holds none. */
static void set_up_loss(void)
{
    const struct log_store_mem_options options = {.node_name = "n1", .incarnation = INCARNATION};

    test_dir_make(dir);
    made = made_new();
    work = (struct disk_work){.store = log_store_mem_new(&options)};
    open_water();
    const struct raft_entry_id last = {.term = 1, .index = LOST_INDEX};
    ck_assert_int_eq(high_water_advance(work.water, last, 1, 0), RK_OK);
    ck_assert_int_eq(high_water_flush(work.water, 0), RK_OK);
}

static void tear_down_loss(void)
{
    high_water_close(work.water);
    log_store_close(work.store);
    made_free(made);
    test_dir_remove(dir);
}

/* Appends the entry `index`, and lets the process end and start. */
static void append_and_restart(raft_index index)
{
    struct disk_job *job = disk_job_new(DISK_WRITE);
    struct raft_entry entry = made_entry(made, index, 1, 10);

    job->write.entries = &entry;
    job->write.entries_count = 1;
    ck_assert_uint_eq(disk_work_run(&work, &job, 1), 1);
    ck_assert_int_eq(job->status, RK_OK);
    disk_job_free(job);
    disk_work_flush(&work, true);
    open_water();
}

/* Pitfall 49: until the log is refilled every start must know that it lost something. A vote given in
 * between could elect a leader without a committed entry. */
START_TEST(pitfall_49_loss_is_known_at_every_start_until_the_log_is_refilled)
{
    for (raft_index i = 1; i < LOST_INDEX; i++) {
        append_and_restart(i);
        ck_assert_uint_eq(high_water_mark(work.water)->last.index, LOST_INDEX);
    }
    append_and_restart(LOST_INDEX);
    append_and_restart(LOST_INDEX + 1);
    ck_assert_uint_eq(high_water_mark(work.water)->last.index, LOST_INDEX + 1);
}
END_TEST

/* Two jobs that wait are one transaction; each has waited for itself. */
START_TEST(transaction_is_measured_once_with_all_its_entries)
{
    struct rk_meters *meters = rk_meters_new(0, 0);
    struct rk_meters_values values;
    struct raft_entry entries[] = {made_entry(made, 1, 1, 10), made_entry(made, 2, 1, 10)};
    struct disk_job *jobs[] = {disk_job_new(DISK_WRITE), disk_job_new(DISK_WRITE)};

    work.meter = rk_meter_of(meters, RK_METER_DISK, 0);
    for (uint32_t i = 0; i < 2; i++) {
        jobs[i]->write.entries = &entries[i];
        jobs[i]->write.entries_count = 1;
    }
    ck_assert_uint_eq(disk_work_run(&work, jobs, 2), 2);
    rk_meters_read(meters, 1, false, &values);
    ck_assert_uint_eq(values.measures[RK_MEASURE_DISK_WAIT].count, 2);
    ck_assert_uint_eq(values.measures[RK_MEASURE_DISK_WRITE].count, 1);
    ck_assert_uint_eq(values.measures[RK_MEASURE_WRITE_ENTRIES].sum, 2);
    ck_assert_uint_eq(values.measures[RK_MEASURE_WRITE_BYTES].sum,
                      entries[0].frame.size + entries[1].frame.size);
    ck_assert_uint_ge(jobs[1]->done_us, jobs[1]->submitted_us);
    disk_job_free(jobs[0]);
    disk_job_free(jobs[1]);
    rk_meters_free(meters);
}
END_TEST

int main(void)
{
    TCase *loss = tcase_create("disk_work_loss");
    TCase *tcase = tcase_create("disk_work");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, those_that_go_are_gone_when_the_new_one_is_there);
    tcase_add_test(tcase, the_newest_stays_until_the_new_one_is_there);
    tcase_add_test(tcase, read_says_how_long_the_disk_did_nothing_else);
    tcase_add_checked_fixture(loss, set_up_loss, tear_down_loss);
    tcase_add_test(loss, pitfall_49_loss_is_known_at_every_start_until_the_log_is_refilled);
    tcase_add_test(loss, transaction_is_measured_once_with_all_its_entries);
    return run_suite("disk_work", tcase) | run_suite_in_dir("disk_work_loss", loss);
}
