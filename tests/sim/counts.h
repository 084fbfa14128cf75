/* counts.h -- how often things came to pass: what a batch of runs proves depends on it (2.5).
 *
 * A row that stays 0 over a thousand seeds makes the program fail, for then nothing was proved
 * about it. Rows of what is not built are marked as such.
 */
#ifndef RK_TESTS_SIM_COUNTS_H
#define RK_TESTS_SIM_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, is_built, text) */
#define SIM_COUNTS_TABLE(X)                                                              \
    X(runs, true, "seeds run")                                                           \
    X(runs_with_faults, true, "schedules: at least 200 client operations, with faults")  \
    X(steps, true, "steps of a core")                                                    \
    X(virtual_ms, true, "virtual milliseconds")                                          \
    X(client_ops, true, "client operations")                                             \
    X(writes_acked, true, "writes acknowledged")                                         \
    X(reads_served, true, "linearizable reads served")                                   \
    X(stale_reads, true, "stale reads served")                                           \
    X(elections, true, "elections")                                                      \
    X(commits, true, "entries committed")                                                \
    X(crashes, true, "crashes")                                                          \
    X(partitions, true, "partitions")                                                    \
    X(pauses, true, "pauses")                                                            \
    X(suspends, true, "suspended machines")                                              \
    X(clock_steps, true, "clock steps")                                                  \
    X(configs, true, "configurations proposed")                                          \
    X(truncate_1, true, "conflict truncated: 1 entry or more")                           \
    X(truncate_5, true, "conflict truncated: 5 entries or more")                         \
    X(truncate_50, true, "conflict truncated: 50 entries or more")                       \
    X(figure_8, true, "an old term's entry on a majority, not committed")                \
    X(deposed_unsynced, true, "leader deposed with an entry not durable")                \
    X(vote_at_crash, true, "crash with a vote not durable")                              \
    X(aba_completion, true, "completion of a write whose entries were replaced")         \
    X(refused_twice, true, "an append refused twice in a row by one peer")               \
    X(stale_append, true, "append of an older term arrived")                             \
    X(reordered_append, true, "append arrived after a later one")                        \
    X(config_rolled_back, true, "configuration rolled back by truncation")               \
    X(leader_removed_itself, true, "leader removed itself")                              \
    X(removed_campaigns, true, "removed node campaigned")                                \
    X(learner_voted, true, "learner granted a vote")                                     \
    X(growth, true, "a lone voter became three")                                         \
    X(joint_disagreed, true, "halves of a joint configuration disagreed on a candidate") \
    X(old_round_ignored, true, "heartbeat answer of an older read round")                \
    X(transfer, true, "transfers of leadership")                                         \
    X(transfer_in_joint, true, "transfer in a joint configuration")                      \
    X(transfer_won, true, "the one who was handed leadership won")                       \
    X(crash_as_leader, true, "crash just after becoming leader")                         \
    X(crash_in_write, true, "crash with a write pending")                                \
    X(crash_in_send, true, "crash between two messages of a step")                       \
    X(crash_in_joint, true, "crash in a joint configuration")                            \
    X(torn_write, true, "a crash left a part of a write")                                \
    X(reordered_write, true, "a crash kept a later term and lost entries before it")     \
    X(recovering, true, "node started with a log that had lost its end")                 \
    X(recovered, true, "and was refilled")                                               \
    X(losses_noticed, true, "leader took back what a peer had acknowledged")             \
    X(lost_for_ever, true, "machine lost with its disk")                                 \
    X(stalled, true, "leader stepped down for its disk")                                 \
    X(unknown_committed, true, "unknown outcome that committed")                         \
    X(unknown_lost, true, "unknown outcome that did not")                                \
    X(snapshot_sent, true, "snapshot install begun")                                     \
    X(snapshot_installed, true, "snapshot install finished")                             \
    X(snapshot_aborted, true, "snapshot install aborted")                                \
    X(snapshot_superseded, true, "snapshot install superseded by a newer")               \
    X(snapshot_in_joint, true, "snapshot install in a joint configuration")              \
    X(snapshot_divergent, true, "snapshot install over a divergent suffix")              \
    X(compactions, true, "logs compacted")                                               \
    X(lease_reads, true, "reads served by lease")                                        \
    X(lease_refused, true, "lease refused after a pause")                                \
    X(transfer_in_lease, true, "transfer in a lease")                                    \
    X(liveness_checked, true, "runs that had to come to rest")                           \
    X(liveness_partial, true, "of them: with a node frozen for ever")                    \
    X(histories_proved, true, "histories proved linearizable by their indexes")          \
    X(histories_searched, true, "and by search without them")                            \
    X(run_twice, true, "seeds run twice, with equal traces")

#define SIM_COUNT_FIELD(name, is_built, text) uint64_t name;
struct sim_counts {
    SIM_COUNTS_TABLE(SIM_COUNT_FIELD)
};
#undef SIM_COUNT_FIELD

void sim_counts_add(struct sim_counts *to, const struct sim_counts *from);
void sim_counts_print(const struct sim_counts *counts);
/* Prints the rows that are 0; true when there are none. */
bool sim_counts_are_whole(const struct sim_counts *counts);

#endif
