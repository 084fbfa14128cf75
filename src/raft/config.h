/* config.h -- who is a member (dissertation 4), and which configuration is in force.
 *
 * A node acts by the newest configuration in its log, committed or not (4.1). All configuration
 * entries of a log but the last are committed, because a leader appends one only after the one
 * before has committed; so a truncation takes back at most one, and one level is kept.
 */
#ifndef RK_RAFT_CONFIG_H
#define RK_RAFT_CONFIG_H

#include <stdbool.h>

#include "raft/types.h"

/* Ids ascend without zero or repetition, counts are within their limits, a learner votes in no
 * half, and old voters have successors. The empty configuration is valid: member of nothing. */
bool config_is_valid(const struct raft_config *config);

/* Nobody votes. */
bool config_is_empty(const struct raft_config *config);

/* A majority of both halves decides (4.3). */
bool config_is_joint(const struct raft_config *config);

/* Votes in one half or the other. */
bool config_is_voter(const struct raft_config *config, raft_node_id id);

/* Voter of a half, or learner. */
bool config_is_member(const struct raft_config *config, raft_node_id id);

/* `id` alone decides, in every half there is (pitfall 109). */
bool config_is_alone(const struct raft_config *config, raft_node_id id);

/* True when `next` may be proposed while `now` is in force: only learners change; or it enters a
 * joint configuration whose old half are the voters of now; or it leaves one. Any change of
 * voters goes through both halves, so every quorum of one meets every quorum of the next
 * (pitfalls 76, 81). */
bool config_may_follow(const struct raft_config *now, const struct raft_config *next);

/* The configuration in force, and the one to go back to. Invariant: former_index <= index. */
struct config_log {
    struct raft_config now;
    raft_index index; /* of its entry; the base of the log when it came from there */
    struct raft_config former;
    raft_index former_index;
};

void config_log_init(struct config_log *log, const struct raft_config *config, raft_index index);

/* The entry at `index`, above all before it (asserted), puts `config` in force. */
void config_log_append(struct config_log *log, const struct raft_config *config, raft_index index);

/* The entries from `from` on are gone. `from` is above former_index (asserted): what may be
 * truncated at all is checked before. True when another configuration is now in force. */
bool config_log_truncate(struct config_log *log, raft_index from);

#endif
