/* What becomes of a log, its commit index and its configuration when a snapshot comes (dissertation 5;
 * pitfalls 62 to 66, 78), and what a start makes of log and snapshot: all logs of up to five entries
 * in three terms, with a configuration at any place in them or none, and all snapshots of that size,
 * as far as they can be of one cluster; against the rule spelled out. */
#include "raft/config.h"
#include "support/raft_solo.h"
#include "support/run.h"

enum { LENGTH_MAX = 5, TERMS = 3, LOGS_MAX = 56, LEADER_TERM = TERMS + 1 };

static const struct raft_config first = {.voters = {1, 2, 3}, .voters_count = 3};
static const struct raft_config logged = {
    .voters = {1, 2, 3}, .voters_count = 3, .learners = {4}, .learners_count = 1};
static const struct raft_config snapshotted = {
    .voters = {1, 2, 5}, .voters_count = 3, .old_voters = {1, 2, 3}, .old_voters_count = 3};

static struct solo_log logs[LOGS_MAX];
static uint32_t logs_count;
static struct solo filled; /* node 1 with the log of the test; nothing is known committed */
static struct solo node;

/* What node 1 has before the snapshot comes. */
struct before {
    const struct solo_log *log;
    raft_index commit_index;
    raft_index config_index; /* of the configuration in the log, 0: none */
};

static raft_term term_of(const struct solo_log *log, raft_index index)
{
    return index == 0 || index > log->count ? 0 : log->terms[index - 1];
}

static void fill(struct solo *solo, const struct solo_log *log, raft_index config_index)
{
    struct raft_entry entries[SOLO_LOG_MAX];
    for (uint32_t i = 0; i < log->count; i++) {
        const bool is_config = config_index == i + 1;
        entries[i] = (struct raft_entry){.id = {.term = log->terms[i], .index = i + 1},
                                         .type = is_config ? RAFT_ENTRY_CONFIG : RAFT_ENTRY_COMMAND,
                                         .config = is_config ? &logged : NULL};
    }
    solo_start(solo, 1, &first, &(struct solo_log){0}, 0);
    solo_receive(solo, &(struct raft_message){.type = RAFT_APPEND_REQUEST,
                                              .from = 2,
                                              .to = 1,
                                              .term = LEADER_TERM,
                                              .append_request = {.entries_last = log->count,
                                                                 .entries = entries,
                                                                 .entries_count = log->count,
                                                                 .sequence = 1}});
    solo_persist(solo);
}

static void commit(struct solo *solo, raft_index index)
{
    solo_receive(solo, &(struct raft_message){.type = RAFT_HEARTBEAT_REQUEST,
                                              .from = 2,
                                              .to = 1,
                                              .term = LEADER_TERM,
                                              .heartbeat_request = {.commit = index}});
    ck_assert_uint_eq(raft_view(solo->raft).commit_index, index);
}

/* A snapshot of the cluster that has committed what node 1 knows as committed. */
static bool may_exist(const struct before *before, struct raft_entry_id id)
{
    if (id.index <= before->commit_index) {
        return term_of(before->log, id.index) == id.term;
    }
    return id.term >= term_of(before->log, before->commit_index);
}

static void check_log_is_kept(const struct before *before, raft_index commit_index)
{
    const struct raft_view view = raft_view(node.raft);
    ck_assert_uint_eq(view.installing.index, 0);
    ck_assert_uint_eq(view.commit_index, commit_index);
    ck_assert_uint_eq(view.base.index, 0);
    ck_assert_uint_eq(view.last.index, before->log->count);
    ck_assert_uint_eq(view.config_index, before->config_index);
    ck_assert_uint_eq(view.config->learners_count, before->config_index > 0 ? 1 : 0);
    ck_assert(node.out->messages[0].snapshot_response.accepted);
    ck_assert_uint_eq(node.out->messages[0].snapshot_response.match, commit_index);
}

static void check_log_is_replaced(const struct raft_snapshot *snapshot)
{
    ck_assert_uint_eq(raft_view(node.raft).installing.index, snapshot->id.index);
    ck_assert_int_eq(solo_step(&node, (struct raft_event){.type = RAFT_EVENT_INSTALLED,
                                                          .snapshot = snapshot->id}),
                     RK_OK);
    const struct raft_view view = raft_view(node.raft);
    ck_assert_uint_eq(view.commit_index, snapshot->id.index);
    ck_assert_uint_eq(view.last_applied, snapshot->id.index);
    ck_assert_uint_eq(view.base.index, snapshot->id.index);
    ck_assert_uint_eq(view.last.index, snapshot->id.index);
    ck_assert_uint_eq(view.last.term, snapshot->id.term);
    ck_assert_uint_eq(view.config_index, snapshot->config_index);
    ck_assert_uint_eq(view.config->old_voters_count, 3);
    ck_assert_uint_eq(view.config->learners_count, 0);
    solo_persist(&node);
    ck_assert_uint_eq(raft_view(node.raft).durable_index, snapshot->id.index);
}

static void check_snapshot(const struct before *before, struct raft_entry_id id)
{
    const struct raft_snapshot snapshot = {
        .id = id, .config_index = id.index - 1, .config = snapshotted};
    solo_receive(
        &node, &(struct raft_message){.type = RAFT_SNAPSHOT_REQUEST,
                                      .from = 2,
                                      .to = 1,
                                      .term = LEADER_TERM,
                                      .snapshot_request = {.snapshot = &snapshot, .sequence = 2}});
    if (id.index <= before->commit_index) {
        check_log_is_kept(before, before->commit_index);
    } else if (term_of(before->log, id.index) == id.term) {
        check_log_is_kept(before, id.index);
    } else {
        check_log_is_replaced(&snapshot);
    }
}

static void check_all_snapshots(const struct before *before)
{
    for (raft_index index = 1; index <= LENGTH_MAX; index++) {
        for (raft_term term = 1; term <= TERMS; term++) {
            const struct raft_entry_id id = {.term = term, .index = index};
            if (may_exist(before, id)) {
                solo_copy(&node, &filled);
                commit(&node, before->commit_index);
                check_snapshot(before, id);
            }
        }
    }
}

/* Loop: the log. */
START_TEST(pitfall_62_to_66_the_boundary_decides_what_becomes_of_the_log)
{
    const struct solo_log *log = &logs[_i];
    filled = solo_new();
    node = solo_new();
    for (raft_index config_index = 0; config_index <= log->count; config_index++) {
        fill(&filled, log, config_index);
        for (raft_index commit_index = 0; commit_index <= log->count; commit_index++) {
            check_all_snapshots(&(struct before){log, commit_index, config_index});
        }
    }
    solo_free(&filled);
    solo_free(&node);
}
END_TEST

/* ---- a start ---- */

/* What the disk gives back: the log behind `base`, a snapshot at or behind it, configurations at two
 * places at most, and the one that the snapshot has. */
struct disk {
    const struct solo_log *log;
    raft_index base;
    raft_index snapshot;
    raft_index configs[2]; /* 0: none */
    struct raft_trail_run runs[SOLO_LOG_MAX];
};

static struct raft_restored restored_of(struct disk *disk)
{
    struct raft_restored restored = {
        .hard_state = {.term = LEADER_TERM},
        .base = {.term = term_of(disk->log, disk->base), .index = disk->base},
        .last = {.term = term_of(disk->log, disk->log->count), .index = disk->log->count},
        .snapshot = {.term = term_of(disk->log, disk->snapshot), .index = disk->snapshot},
        .config = first,
        .runs = disk->runs,
    };
    for (raft_index index = disk->base + 1; index <= disk->log->count; index++) {
        if (index == disk->base + 1 || term_of(disk->log, index) != term_of(disk->log, index - 1)) {
            disk->runs[restored.runs_count] =
                (struct raft_trail_run){.first_index = index, .term = term_of(disk->log, index)};
            restored.runs_count++;
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (disk->configs[i] == 0) {
            continue;
        }
        if (disk->configs[i] <= disk->snapshot) { /* the snapshot is past it, and has it */
            restored.config = logged;
            restored.config_index = disk->configs[i];
        }
        if (disk->configs[i] > disk->base) {
            restored.logged_configs[restored.logged_configs_count].index = disk->configs[i];
            restored.logged_configs[restored.logged_configs_count].config = logged;
            restored.logged_configs_count++;
        }
    }
    return restored;
}

/* The configuration in force is the last one anywhere; when its entry is taken back, the one before. */
static void check_configs(const struct disk *disk)
{
    const raft_index last = disk->configs[1] != 0 ? disk->configs[1] : disk->configs[0];
    const raft_index former = disk->configs[1] != 0 ? disk->configs[0] : 0;
    ck_assert_uint_eq(raft_view(node.raft).config_index, last);
    if (last <= disk->snapshot) {
        return; /* committed: it cannot be taken back */
    }
    struct raft_entry entry = {.id = {.term = LEADER_TERM, .index = last},
                               .type = RAFT_ENTRY_COMMAND};
    solo_receive(&node, &(struct raft_message){
                            .type = RAFT_APPEND_REQUEST,
                            .from = 2,
                            .to = 1,
                            .term = LEADER_TERM,
                            .append_request = {.previous = {.term = term_of(disk->log, last - 1),
                                                            .index = last - 1},
                                               .entries_last = last,
                                               .entries = &entry,
                                               .entries_count = 1,
                                               .sequence = 1}});
    ck_assert(node.out->messages[0].append_response.accepted);
    ck_assert_uint_eq(raft_view(node.raft).config_index, former);
    ck_assert_uint_eq(raft_view(node.raft).config->learners_count, former != 0 ? 1 : 0);
}

static void check_start(struct disk *disk)
{
    const struct raft_restored restored = restored_of(disk);
    solo_restore(&node, 1, &restored);
    const struct raft_view view = raft_view(node.raft);
    ck_assert_uint_eq(view.base.index, disk->base);
    ck_assert_uint_eq(view.snapshot.index, disk->snapshot);
    ck_assert_uint_eq(view.commit_index, disk->snapshot);
    ck_assert_uint_eq(view.last_applied, disk->snapshot);
    ck_assert_uint_eq(view.last.index, disk->log->count);
    ck_assert_uint_eq(view.durable_index, disk->log->count);
    for (raft_index index = disk->base; index <= disk->log->count; index++) {
        raft_term term = 0;
        ck_assert_int_eq(raft_term_at(node.raft, index, &term), RK_OK);
        ck_assert_uint_eq(term, term_of(disk->log, index));
    }
    check_configs(disk);
}

/* Loop: the log. */
START_TEST(a_start_finds_what_log_and_snapshot_say)
{
    struct disk disk = {.log = &logs[_i]};
    node = solo_new();
    for (disk.snapshot = 0; disk.snapshot <= disk.log->count; disk.snapshot++) {
        for (disk.base = 0; disk.base <= disk.snapshot; disk.base++) {
            for (disk.configs[0] = 0; disk.configs[0] <= disk.log->count; disk.configs[0]++) {
                disk.configs[1] = 0;
                check_start(&disk);
                for (disk.configs[1] = disk.configs[0] + 1;
                     disk.configs[0] > 0 && disk.configs[1] <= disk.log->count; disk.configs[1]++) {
                    check_start(&disk);
                }
            }
        }
    }
    solo_free(&node);
}
END_TEST

int main(void)
{
    logs_count = solo_all_logs(logs, LOGS_MAX, LENGTH_MAX, TERMS);
    TCase *tcase = tcase_create("restore");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, pitfall_62_to_66_the_boundary_decides_what_becomes_of_the_log, 0,
                        (int)logs_count);
    tcase_add_loop_test(tcase, a_start_finds_what_log_and_snapshot_say, 0, (int)logs_count);
    return run_suite("raft_restore", tcase);
}
