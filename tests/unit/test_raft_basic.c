/* The life of a cluster when all goes well, and after one fault each: elections, writes, reads,
 * transfer. What each rule forbids is in test_raft_paper.c and test_raft_pitfalls.c. */
#include "support/raft_cluster.h"
#include "support/run.h"

static struct cluster *cluster;

static void start(uint32_t nodes_count)
{
    cluster = cluster_new(&(struct cluster_options){.nodes_count = nodes_count,
                                                    .seed = 7,
                                                    .latency_ms_min = 5,
                                                    .latency_ms_max = 5,
                                                    .persist_ms_min = 1,
                                                    .persist_ms_max = 1});
}

static void stop(void)
{
    cluster_free(cluster);
}

static uint64_t value_at(raft_node_id id, raft_index index)
{
    const struct cluster_log *log = cluster_node(cluster, id)->log;
    ck_assert_uint_ge(log->count, index);
    return log->entries[index - 1].value;
}

START_TEST(a_single_voter_elects_itself_at_once_and_commits_by_its_own_disk)
{
    start(1);
    ck_assert_uint_eq(cluster_await_leader(cluster, 10), 1);
    ck_assert_int_eq(cluster_propose(cluster, 1, 42), RK_OK);
    ck_assert_uint_eq(cluster_view(cluster, 1).commit_index, 1);
    cluster_elapse(cluster, 1);
    ck_assert_uint_eq(cluster_view(cluster, 1).commit_index, 2);
}
END_TEST

/* Loop: cluster sizes. */
START_TEST(a_leader_is_elected_and_a_write_reaches_every_node)
{
    start((uint32_t)_i);
    const raft_node_id leader = cluster_await_leader(cluster, 10000);
    ck_assert_uint_ne(leader, 0);
    ck_assert_int_eq(cluster_propose(cluster, leader, 42), RK_OK);
    cluster_elapse(cluster, 300);
    for (raft_node_id id = 1; id <= (raft_node_id)_i; id++) {
        ck_assert_uint_eq(cluster_view(cluster, id).commit_index, 2);
        ck_assert_uint_eq(value_at(id, 2), 42);
        ck_assert_uint_eq(cluster_view(cluster, id).leader, leader);
    }
}
END_TEST

START_TEST(a_read_is_confirmed_at_the_commit_index)
{
    start(3);
    const raft_node_id leader = cluster_await_leader(cluster, 10000);
    ck_assert_int_eq(cluster_propose(cluster, leader, 42), RK_OK);
    cluster_elapse(cluster, 50);
    ck_assert_int_eq(cluster_read(cluster, leader, 9), RK_OK);
    cluster_elapse(cluster, 10);
    const struct cluster_node *node = cluster_node(cluster, leader);
    ck_assert_uint_eq(node->reads_count, 1);
    ck_assert_uint_eq(node->reads[0].number, 9);
    ck_assert_uint_eq(node->reads[0].index, 2);
}
END_TEST

START_TEST(followers_refuse_proposals_reads_and_transfers)
{
    start(3);
    const raft_node_id follower = cluster_await_leader(cluster, 10000) % 3 + 1;
    ck_assert_int_eq(cluster_propose(cluster, follower, 1), RK_NOT_LEADER);
    ck_assert_int_eq(cluster_read(cluster, follower, 1), RK_NOT_LEADER);
    ck_assert_int_eq(cluster_transfer(cluster, follower, 0), RK_NOT_LEADER);
}
END_TEST

START_TEST(another_leader_takes_over_from_a_crashed_one)
{
    start(3);
    const raft_node_id first = cluster_await_leader(cluster, 10000);
    ck_assert_int_eq(cluster_propose(cluster, first, 42), RK_OK);
    cluster_elapse(cluster, 50);
    cluster_crash(cluster, first);
    const raft_node_id second = cluster_await_leader(cluster, 5000);
    ck_assert_uint_ne(second, 0);
    ck_assert_uint_ne(second, first);
    ck_assert_uint_eq(value_at(second, 2), 42);
    ck_assert_int_eq(cluster_propose(cluster, second, 43), RK_OK);
    cluster_start(cluster, first);
    cluster_elapse(cluster, 2000);
    ck_assert_uint_eq(cluster_view(cluster, first).leader, second);
    ck_assert_uint_eq(value_at(first, 4), 43);
    ck_assert_uint_eq(cluster_view(cluster, first).commit_index, 4);
}
END_TEST

START_TEST(leadership_is_handed_over_within_a_few_messages)
{
    start(3);
    const raft_node_id first = cluster_await_leader(cluster, 10000);
    const raft_node_id chosen = first % 3 + 1;
    ck_assert_int_eq(cluster_transfer(cluster, first, chosen), RK_OK);
    cluster_elapse(cluster, 50);
    ck_assert_uint_eq(cluster_leader(cluster), chosen);
    ck_assert_uint_eq(cluster_view(cluster, first).leader, chosen);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("basic");
    tcase_add_checked_fixture(tcase, NULL, stop);
    tcase_add_test(tcase, a_single_voter_elects_itself_at_once_and_commits_by_its_own_disk);
    tcase_add_loop_test(tcase, a_leader_is_elected_and_a_write_reaches_every_node, 2, 6);
    tcase_add_test(tcase, a_read_is_confirmed_at_the_commit_index);
    tcase_add_test(tcase, followers_refuse_proposals_reads_and_transfers);
    tcase_add_test(tcase, another_leader_takes_over_from_a_crashed_one);
    tcase_add_test(tcase, leadership_is_handed_over_within_a_few_messages);
    return run_suite("raft_basic", tcase);
}
