/* Conflict hints (dissertation 3.5, pitfall 32): whatever two logs a leader and a follower have,
 * a few probes find where they meet, and the follower ends with the leader's log. All pairs of
 * logs of up to five entries in three terms are tried that Log Matching allows. */
#include "base/assert.h"
#include "support/raft_cluster.h"
#include "support/run.h"

enum { LENGTH_MAX = 5, TERMS = 3, LOGS_MAX = 64 };

struct log {
    uint32_t count;
    raft_term terms[LENGTH_MAX];
};

static struct log logs[LOGS_MAX];
static uint32_t logs_count;

/* All logs that begin like `log`. */
static void list_logs(struct log log)
{
    RK_ASSERT(logs_count < LOGS_MAX);
    logs[logs_count] = log;
    logs_count++;
    if (log.count == LENGTH_MAX) {
        return;
    }
    const raft_term least = log.count == 0 ? 1 : log.terms[log.count - 1];
    log.count++;
    for (raft_term term = least; term <= TERMS; term++) {
        log.terms[log.count - 1] = term;
        list_logs(log);
    }
}

/* 3.5: if two logs have an entry with the same index and term, they are the same up to it. */
static bool may_both_exist(const struct log *a, const struct log *b)
{
    bool is_same = true;
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        if (a->terms[i] == b->terms[i] && !is_same) {
            return false;
        }
        is_same = is_same && a->terms[i] == b->terms[i];
    }
    return true;
}

static void check_same_log(struct cluster *cluster)
{
    const struct cluster_log *leader = cluster_node(cluster, 1)->log;
    const struct cluster_log *follower = cluster_node(cluster, 2)->disk;
    ck_assert_uint_eq(leader->count, follower->count);
    for (uint32_t i = 0; i < leader->count; i++) {
        ck_assert_uint_eq(leader->entries[i].id.term, follower->entries[i].id.term);
    }
}

/* Returns how many appends were refused. */
static uint32_t replicate(struct cluster *cluster)
{
    uint32_t refused = 0;
    for (uint32_t turns = 0; turns < 20; turns++) {
        (void)cluster_deliver(cluster, RAFT_APPEND_REQUEST, 1, 2);
        cluster_persist(cluster, 2);
        const int at = cluster_find(cluster, RAFT_APPEND_RESPONSE, 2, 1);
        if (at < 0) {
            return refused;
        }
        refused += !cluster->flights[at].message.append_response.accepted;
        cluster_deliver_at(cluster, at);
    }
    ck_abort_msg("the logs do not converge");
    return refused;
}

static void check_pair(const struct log *leader, const struct log *follower)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){
        .nodes_count = 3, .seed = 1, .is_network_manual = true, .is_disk_manual = true});
    const raft_term next_term = TERMS;
    cluster_set_log(cluster, 1, leader->terms, leader->count);
    cluster_crash(cluster, 1);
    cluster_node(cluster, 1)->disk_state.term = next_term; /* leads in the term after all */
    cluster_start(cluster, 1);
    cluster_set_log(cluster, 2, follower->terms, follower->count);
    cluster_make_leader(cluster, 1, 3);
    const uint32_t refused = replicate(cluster);
    check_same_log(cluster);
    ck_assert_uint_le(refused, TERMS + 1);
    cluster_free(cluster);
}

/* Loop: the leader's log. */
START_TEST(pitfall_32_every_pair_of_logs_converges_within_a_probe_per_term)
{
    const struct log *leader = &logs[_i];
    for (uint32_t i = 0; i < logs_count; i++) {
        if (may_both_exist(leader, &logs[i])) {
            check_pair(leader, &logs[i]);
        }
    }
}
END_TEST

int main(void)
{
    list_logs((struct log){0});
    TCase *tcase = tcase_create("hint");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, pitfall_32_every_pair_of_logs_converges_within_a_probe_per_term, 0,
                        (int)logs_count);
    return run_suite("raft_hint", tcase);
}
