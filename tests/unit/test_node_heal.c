/* What a start makes of damage: what is given up, what is not, and what the node is then. A directory
 * with a log of LAST entries, term 1, in the real stores; snapshots stand for entries 20 and 40. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/heap.h"
#include "node_fixture.h"
#include "storage/log_store_sqlite.h"
#include "storage_support.h"

enum { LAST = 50, OLDER = 20, NEWEST = 40, FILLING = 300, PAGE_SIZE = 4096 };

static char dir[MADE_PATH_SIZE];
static char message[512];
static struct membership membership;
static struct node_start_options start;

/* The linker puts this in the place of pread() (--wrap): the file `fails` cannot be read. */
ssize_t __real_pread(int fd, void *to, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *to, size_t size, off_t offset);
static ino_t fails; /* 0: none */

ssize_t __wrap_pread(int fd, void *to, size_t size, off_t offset)
{
    struct stat status;

    if (fails != 0 && fstat(fd, &status) == 0 && status.st_ino == fails) {
        errno = EIO;
        return -1;
    }
    return __real_pread(fd, to, size, offset);
}

static void execute(const char *sql)
{
    sqlite3 *db = NULL;

    ck_assert_int_eq(sqlite3_open(test_dir_path(dir, "raft.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static enum rk_status try_open_stores(void)
{
    const uint64_t incarnation = fixture_incarnation("n1");
    const struct log_store_sqlite_options options = {
        .path = test_dir_path(dir, "raft.db"), .node_name = "n1", .incarnation = incarnation};
    bool is_new = false;

    start = (struct node_start_options){.options = &fixture.options};
    const enum rk_status status =
        log_store_sqlite_open(&options, &start.store, message, sizeof(message));
    if (status != RK_OK) {
        return status;
    }
    ck_assert_int_eq(high_water_open(test_dir_path(dir, "high-water"), incarnation, &start.water,
                                     &is_new, message, sizeof(message)),
                     RK_OK);
    ck_assert_int_eq(snap_store_file_open(test_dir_path(dir, "snapshots"), &start.snaps, message,
                                          sizeof(message)),
                     RK_OK);
    return RK_OK;
}

static void open_stores(void)
{
    ck_assert_int_eq(try_open_stores(), RK_OK);
}

static void close_stores(void)
{
    log_store_close(start.store);
    high_water_close(start.water);
    snap_store_close(start.snaps);
    start = (struct node_start_options){.store = NULL};
}

/* Entry `index`, the first being the configuration. */
static void append(raft_index index)
{
    struct raft_entry entry;
    struct rk_buf frame;
    const struct raft_write write = {.has_hard_state = index == 1,
                                     .hard_state = {.term = 1, .vote = 3},
                                     .entries = &entry,
                                     .entries_count = 1};
    const struct raft_write *const writes[] = {&write};
    const struct rk_frame_place place = {
        .term = 1, .index = index, .chain_previous = start.store->bounds.last_chain};

    rk_buf_init(&frame, 65536);
    const uint8_t type = index == 1 ? RAFT_ENTRY_CONFIG : RAFT_ENTRY_NOOP;
    const size_t begin = rk_frame_begin(&frame, type);
    if (index == 1) {
        membership_encode(&membership, &frame);
    } else { /* so that the log takes several pages */
        memset(rk_buf_extend(&frame, FILLING), (int)index, FILLING);
    }
    rk_frame_end(&frame, begin);
    (void)rk_frame_seal(frame.data, (uint32_t)frame.size, &place);
    entry = (struct raft_entry){
        .id = {1, index}, .type = (enum raft_entry_type)type, .frame = rk_buf_bytes(&frame)};
    ck_assert_int_eq(log_store_write(start.store, writes, 1), RK_OK);
    rk_buf_done(&frame);
}

/* A snapshot of the state at the end of the log, noted down. */
static void take(void)
{
    const struct log_bounds *bounds = &start.store->bounds;
    const struct sm_place place = {.term = 1, .index = bounds->last.index, .time_ms = 5};
    struct snap_work work = {.store = start.snaps};
    struct snap_job *job = snap_job_new(SNAP_TAKE);
    struct rk_buf config;

    job->sm = sm_new();
    sm_skip(job->sm, &place);
    job->root = sm_publish(job->sm);
    job->info = (struct snap_info){.ref = {.id = bounds->last},
                                   .chain = bounds->last_chain,
                                   .config_index = 1,
                                   .membership = membership};
    ck_assert(!snap_work_run(&work, job));
    while (snap_work_slice(&work) == NULL) {
    }
    ck_assert_int_eq(job->status, RK_OK);
    rk_buf_init(&config, 4096);
    membership_encode(&membership, &config);
    const struct log_snapshot noted = {.id = job->info.ref.id,
                                       .chain = job->info.chain,
                                       .config_index = 1,
                                       .config = rk_buf_bytes(&config),
                                       .size = job->info.ref.size,
                                       .digest = job->info.ref.digest};
    ck_assert_int_eq(log_store_add_snapshot(start.store, &noted), RK_OK);
    rk_buf_done(&config);
    snap_job_free(job);
}

static const char *path_of_snapshot(raft_index index)
{
    static char name[MADE_PATH_SIZE];

    (void)snprintf(name, sizeof(name), "snapshots/snap-%016x-%016x.rks", 1U, (unsigned)index);
    return test_dir_path(dir, name);
}

static void damage_snapshot(raft_index index)
{
    FILE *file = fopen(path_of_snapshot(index), "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, 100, SEEK_SET), 0);
    ck_assert_int_ne(fputc('X', file), EOF);
    ck_assert_int_eq(fclose(file), 0);
}

/* The log begins after `base`; its files are closed. The mark has not been written for a while. */
static void make_directory(raft_index base)
{
    bool is_more = true;

    open_stores();
    for (raft_index index = 1; index <= LAST; index++) {
        append(index);
        if (index == OLDER || index == NEWEST) {
            take();
        }
    }
    while (base > 0 && is_more) {
        ck_assert_int_eq(log_store_compact(start.store, base, 1000, &is_more), RK_OK);
    }
    ck_assert_int_eq(high_water_vote(start.water, &start.store->hard_state), RK_OK);
    close_stores();
}

static void begin(void)
{
    fails = 0;
    test_dir_make(dir);
    fixture_open();
    fixture_lead();
    membership = fixture.node->membership;
    fixture_close();
    fixture_open();
    start = (struct node_start_options){.store = NULL};
}

static void end(void)
{
    close_stores();
    fixture_close();
    test_dir_remove(dir);
}

static void begin_anew(void)
{
    open_stores();
    ck_assert_int_eq(node_heal_anew(fixture.node, &start), RK_OK);
    close_stores();
}

static enum rk_status restore(void)
{
    open_stores();
    tail_done(&fixture.node->tail);
    return node_restore(fixture.node, &start, message, sizeof(message));
}

static void restore_anew(void)
{
    close_stores();
    fixture_close();
    fixture_open();
    ck_assert_int_eq(restore(), RK_OK);
}

/* The log ends at `last`; the node knows that it once reached LAST, and that it voted. */
static void expect_recovering(raft_index base, raft_index last)
{
    const struct node *node = fixture.node;

    ck_assert(node->view.is_recovering);
    ck_assert_uint_eq(node->recover_to.index, LAST);
    ck_assert_uint_eq(node->recover_to.term, 1);
    ck_assert_uint_eq(node->view.hard_state.term, 1);
    ck_assert_uint_eq(node->view.hard_state.vote, 3);
    ck_assert_uint_eq(start.store->bounds.base.index, base);
    ck_assert_uint_eq(start.store->bounds.last.index, last);
}

START_TEST(whole_directory_is_not_recovering)
{
    make_directory(NEWEST);
    ck_assert_int_eq(restore(), RK_OK);
    ck_assert(!fixture.node->view.is_recovering);
    ck_assert_uint_eq(fixture.node->last_applied, NEWEST);
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
}
END_TEST

/* What cannot be read (EIO), ends too soon or is gone is as good as damaged. */
static void lose_newest(int how)
{
    struct stat status;

    switch (how) {
    case 0:
        damage_snapshot(NEWEST);
        return;
    case 1:
        ck_assert_int_eq(truncate(path_of_snapshot(NEWEST), 150), 0);
        return;
    case 2:
        ck_assert_int_eq(unlink(path_of_snapshot(NEWEST)), 0);
        return;
    default:
        ck_assert_int_eq(stat(path_of_snapshot(NEWEST), &status), 0);
        fails = status.st_ino;
        return;
    }
}

START_TEST(damaged_newest_snapshot_falls_back_where_the_log_reaches)
{
    make_directory(OLDER);
    lose_newest(_i);
    ck_assert_int_eq(restore(), RK_OK);
    ck_assert(!fixture.node->view.is_recovering);
    ck_assert_uint_eq(fixture.node->last_applied, OLDER);
    ck_assert_uint_eq(start.store->bounds.last.index, LAST);
}
END_TEST

/* The older one is of what was committed, too: the log, which begins later, gives way to it. */
START_TEST(log_gives_way_to_an_older_snapshot_and_the_node_recovers)
{
    make_directory(NEWEST);
    lose_newest(_i);
    ck_assert_int_eq(restore(), RK_OK);
    expect_recovering(OLDER, OLDER);
    ck_assert_uint_eq(fixture.node->last_applied, OLDER);
    restore_anew();
    expect_recovering(OLDER, OLDER);
}
END_TEST

/* At the next start too, which finds an empty log. Whom it belongs to it still knows. */
START_TEST(without_a_snapshot_all_is_given_up_and_the_node_recovers)
{
    make_directory(NEWEST);
    damage_snapshot(OLDER);
    damage_snapshot(NEWEST);
    ck_assert_int_eq(restore(), RK_OK);
    for (int i = 0; i < 2; i++) {
        expect_recovering(0, 0);
        ck_assert_uint_eq(fixture.node->last_applied, 0);
        ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
        ck_assert(fixture.node->is_firm);
        ck_assert_uint_eq(fixture.node->peers_count, 2);
        ck_assert_uint_eq(fixture.node->view.config->voters_count, 3);
        restore_anew();
    }
}
END_TEST

/* Also where there never was a snapshot: then the log says who it is, and at the next start the others. */
START_TEST(state_begun_anew_comes_from_the_leader_alone)
{
    make_directory(_i == 0 ? NEWEST : 0);
    if (_i == 1) {
        execute("DELETE FROM snapshot");
    }
    begin_anew();
    ck_assert_int_eq(restore(), RK_OK);
    for (int i = 0; i < 2; i++) {
        expect_recovering(0, 0);
        ck_assert_uint_eq(fixture.node->last_applied, 0);
        const bool knows = _i == 0 || i == 0; /* the log that said so is gone */
        ck_assert_int_eq(fixture.node->standing, knows ? STANDING_MEMBER : STANDING_ASKING);
        restore_anew();
    }
}
END_TEST

/* It was given a cluster of itself alone; that others were added stands in its log. */
START_TEST(first_node_of_a_cluster_that_grew_is_begun_anew_without_a_snapshot)
{
    make_directory(0);
    execute("DELETE FROM snapshot");
    fixture.options.initial_cluster_count = 1;
    begin_anew();
    ck_assert_int_eq(restore(), RK_OK);
    expect_recovering(0, 0);
    ck_assert_int_eq(fixture.node->standing, STANDING_MEMBER);
    ck_assert_uint_eq(fixture.node->peers_count, 2);
    ck_assert_uint_eq(fixture.node->view.config->voters_count, 3);
}
END_TEST

START_TEST(log_ends_before_a_damaged_entry_and_the_node_recovers)
{
    static const char *const damages[] = {
        "UPDATE log SET frame = zeroblob(80) WHERE idx = 45",
        "DELETE FROM log WHERE idx = 45",
        "UPDATE log SET frame = zeroblob(80) WHERE idx > 44",
    };
    make_directory(_i == 0 ? NEWEST : 0);
    execute(damages[_i]);
    ck_assert_int_eq(restore(), RK_OK);
    expect_recovering(_i == 0 ? NEWEST : 0, 44);
    restore_anew();
    expect_recovering(_i == 0 ? NEWEST : 0, 44);
}
END_TEST

START_TEST(log_damaged_before_the_snapshots_entry_gives_way_to_it)
{
    make_directory(OLDER);
    execute("UPDATE log SET frame = zeroblob(80) WHERE idx = 30");
    ck_assert_int_eq(restore(), RK_OK);
    expect_recovering(NEWEST, NEWEST);
    ck_assert_uint_eq(fixture.node->last_applied, NEWEST);
}
END_TEST

/* The first entry says whose log it is. Without it and any snapshot the others are asked; it forms no
 * cluster, for there was one. */
START_TEST(log_lost_from_its_first_entry_asks_who_it_is)
{
    make_directory(0);
    execute("UPDATE log SET frame = zeroblob(80) WHERE idx = 1; DELETE FROM snapshot");
    ck_assert_int_eq(restore(), RK_OK);
    expect_recovering(0, 0);
    ck_assert_int_eq(fixture.node->standing, STANDING_ASKING);
    node_identity_turn(fixture.node);
    for (int i = 2; i <= 3; i++) {
        const char *name = i == 2 ? "n2" : "n3";
        const struct wire_identity identity = fixture_new_identity(name);
        fixture_identify(fixture_post_to("/raft/identity", name), &identity);
    }
    node_identity_turn(fixture.node);
    ck_assert_int_eq(fixture.node->standing, STANDING_ASKING);
}
END_TEST

/* The entry that named it is among those that are lost: what is left is older than its membership. */
START_TEST(log_lost_from_where_it_names_the_node_asks_who_it_is)
{
    for (uint32_t i = 0; i + 1 < membership.members_count; i++) {
        if (strcmp(membership.members[i].name, "n1") == 0) {
            membership.members[i] = membership.members[membership.members_count - 1];
        }
    }
    membership.members_count--;
    make_directory(0);
    execute("UPDATE log SET frame = zeroblob(80) WHERE idx = 45; DELETE FROM snapshot");
    const enum rk_status status = restore();
    ck_assert_msg(status == RK_OK, "%s", message);
    expect_recovering(0, 44);
    ck_assert_int_eq(fixture.node->standing, STANDING_ASKING);
}
END_TEST

/* Nobody could give it back what it gave up. */
START_TEST(node_alone_changes_nothing_and_is_refused)
{
    membership.members[0] = *membership_by_name(&membership, "n1");
    membership.members_count = 1;
    fixture.options.initial_cluster_count = 1;
    make_directory(NEWEST);
    if (_i == 0) {
        damage_snapshot(NEWEST);
    } else {
        execute("UPDATE log SET frame = zeroblob(80) WHERE idx = 45");
    }
    for (int i = 0; i < 2; i++) {
        const enum rk_status status = restore();
        ck_assert_msg(status == RK_CORRUPT, "%s: %s", rk_status_text(status), message);
        ck_assert_ptr_nonnull(
            strstr(message, _i == 0 ? "the log begins after entry 40" : "raft.db: entry 45"));
        ck_assert_uint_eq(start.store->bounds.last.index, LAST);
        ck_assert_uint_ge(start.store->snapshots_count, 1);
        close_stores();
    }
}
END_TEST

/* ---- bit rot ---- */

enum { FILES = 4, FILE_SIZE_MAX = 1 << 20, FLIPS_A_PAGE = 12 };

struct kept_file {
    char name[MADE_PATH_SIZE];
    uint8_t *bytes;
    size_t size;
};

static struct kept_file kept[FILES];

static void keep_file(struct kept_file *file, const char *name)
{
    (void)snprintf(file->name, sizeof(file->name), "%s", name);
    FILE *from = fopen(test_dir_path(dir, name), "rb");
    ck_assert_ptr_nonnull(from);
    file->bytes = rk_heap_alloc(FILE_SIZE_MAX);
    file->size = fread(file->bytes, 1, FILE_SIZE_MAX, from);
    ck_assert_int_eq(fclose(from), 0);
}

static void put_back(const struct kept_file *file)
{
    FILE *to = fopen(test_dir_path(dir, file->name), "wb");

    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(file->bytes, 1, file->size, to), file->size);
    ck_assert_int_eq(fclose(to), 0);
}

static void keep_directory(void)
{
    char name[MADE_PATH_SIZE];
    const unsigned snapshots[] = {OLDER, NEWEST};

    keep_file(&kept[0], "raft.db");
    keep_file(&kept[1], "high-water");
    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof(name), "snapshots/snap-%016x-%016x.rks", 1U, snapshots[i]);
        keep_file(&kept[2 + i], name);
    }
}

/* The mark is as new as the log. */
static uint64_t advance_mark(void)
{
    open_stores();
    const struct log_bounds bounds = start.store->bounds;
    ck_assert_int_eq(high_water_raise(start.water, bounds.last, bounds.last_chain), RK_OK);
    close_stores();
    open_stores(); /* folds the WAL in */
    close_stores();
    return bounds.last_chain;
}

/* Refused with a line; or recovering, with all that was promised; or as if nothing had been. */
static void expect_no_wrong_answer(enum rk_status status, uint64_t last_chain)
{
    const struct node *node = fixture.node;

    if (status != RK_OK) {
        ck_assert_str_ne(message, "");
        return;
    }
    ck_assert_uint_eq(node->view.hard_state.term, 1);
    ck_assert_uint_eq(node->view.hard_state.vote, 3);
    if (node->view.is_recovering) {
        ck_assert_uint_ge(node->recover_to.index, LAST);
        return;
    }
    ck_assert_uint_eq(start.store->bounds.last.index, LAST);
    ck_assert_uint_eq(start.store->bounds.last_chain, last_chain);
    ck_assert(node->last_applied == NEWEST || node->last_applied == OLDER);
    ck_assert_int_eq(node->standing, STANDING_MEMBER);
}

static void start_with_flipped(size_t offset, uint32_t bit, uint64_t last_chain)
{
    kept[0].bytes[offset] ^= (uint8_t)(1U << bit);
    for (uint32_t i = 0; i < FILES; i++) {
        put_back(&kept[i]);
    }
    kept[0].bytes[offset] ^= (uint8_t)(1U << bit);
    (void)remove(test_dir_path(dir, "raft.db-wal"));
    fixture_close();
    fixture_open();
    message[0] = '\0';
    enum rk_status status = try_open_stores();
    if (status == RK_OK) {
        tail_done(&fixture.node->tail);
        status = node_restore(fixture.node, &start, message, sizeof(message));
    }
    expect_no_wrong_answer(status, last_chain);
    close_stores();
}

START_TEST(bit_rot_in_any_page_of_the_database_gives_no_wrong_answer)
{
    struct rk_prng prng;

    rk_prng_seed(&prng, 4);
    make_directory(_i == 0 ? OLDER : NEWEST);
    const uint64_t last_chain = advance_mark();
    keep_directory();
    ck_assert_uint_ge(kept[0].size / PAGE_SIZE, 10);
    for (size_t page = 0; page < kept[0].size / PAGE_SIZE; page++) {
        for (uint32_t i = 0; i < FLIPS_A_PAGE; i++) {
            /* SQLite's own bytes stand at a page's beginning, the first rows at its end. */
            size_t within = rk_prng_below(&prng, i % 3 == 0 ? PAGE_SIZE : 64);
            within = i % 3 == 1 ? PAGE_SIZE - 1 - within : within;
            start_with_flipped(page * PAGE_SIZE + within, (uint32_t)rk_prng_below(&prng, 8),
                               last_chain);
        }
    }
    for (uint32_t i = 0; i < FILES; i++) {
        rk_heap_free(kept[i].bytes);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_heal");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, whole_directory_is_not_recovering);
    tcase_add_loop_test(tcase, damaged_newest_snapshot_falls_back_where_the_log_reaches, 0, 4);
    tcase_add_loop_test(tcase, log_gives_way_to_an_older_snapshot_and_the_node_recovers, 0, 4);
    tcase_add_test(tcase, without_a_snapshot_all_is_given_up_and_the_node_recovers);
    tcase_add_loop_test(tcase, state_begun_anew_comes_from_the_leader_alone, 0, 2);
    tcase_add_test(tcase, first_node_of_a_cluster_that_grew_is_begun_anew_without_a_snapshot);
    tcase_add_loop_test(tcase, log_ends_before_a_damaged_entry_and_the_node_recovers, 0, 3);
    tcase_add_test(tcase, log_damaged_before_the_snapshots_entry_gives_way_to_it);
    tcase_add_test(tcase, log_lost_from_its_first_entry_asks_who_it_is);
    tcase_add_test(tcase, log_lost_from_where_it_names_the_node_asks_who_it_is);
    tcase_add_loop_test(tcase, node_alone_changes_nothing_and_is_refused, 0, 2);
    tcase_add_loop_test(tcase, bit_rot_in_any_page_of_the_database_gives_no_wrong_answer, 0, 2);
    return run_suite_in_dir("node_heal", tcase);
}
