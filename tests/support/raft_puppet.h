/* raft_puppet.h -- node 1 is real; what the others say to it is made up by the test.
 *
 * For tests of one core: `cluster` is driven by hand, the messages that node 1 sends stay in
 * flight, and a puppet answers what the test wants it to answer.
 */
#ifndef RK_TESTS_SUPPORT_RAFT_PUPPET_H
#define RK_TESTS_SUPPORT_RAFT_PUPPET_H

#include "support/raft_cluster.h"

/* The cluster of the running test. */
extern struct cluster *cluster;

/* `nodes_count` voters, the election timeout 1000 ms, the heartbeat interval 100 ms. */
void puppet_start(uint32_t nodes_count);
void puppet_stop(void);

/* Node 1 restarts with a log of these terms, in the last of them. */
void puppet_log(const raft_term *terms, uint32_t count);
/* Node 1 wins an election by the vote of node 3; its no-op is durable on its own disk. */
void puppet_lead(void);

struct raft_view view(void);             /* of node 1 */
const struct raft_message *answer(void); /* what node 1 sent last in its latest step */
uint32_t answers_count(void);            /* how many messages its latest step sent */
raft_term term_at(raft_index index);     /* in node 1's log; 0 behind its end */

/* To node 1, as from `from`. Entries have the term given for each. */
void say_heartbeat(raft_node_id from, raft_term term, raft_index commit);
void say_append(raft_node_id from, raft_term term, struct raft_entry_id previous,
                const raft_term *terms, uint32_t count);
void say_append_commit(raft_node_id from, raft_term term, struct raft_entry_id previous,
                       raft_index commit);
void say_vote(raft_node_id from, raft_term term, struct raft_entry_id last);
void say_pre_vote(raft_node_id from, raft_term term, struct raft_entry_id last);
/* Offers a snapshot; `sequence` of the offer. */
void say_snapshot(raft_node_id from, raft_term term, const struct raft_snapshot *snapshot,
                  uint64_t sequence);
void say_timeout_now(raft_node_id from, raft_term term);

/* Answers to what node 1 sent `from` last, of that kind; they must be in flight. */
void grant(raft_node_id from);
void accept(raft_node_id from, raft_index match);
void refuse(raft_node_id from, struct raft_entry_id hint);
/* What node 1 offered last is there, or it was refused. */
void install(raft_node_id from, bool is_accepted);
void confirm(raft_node_id from); /* the latest heartbeat round */

/* The latest message of that type that node 1 sent to `to` and that is in flight; NULL: none. */
const struct raft_message *sent(enum raft_message_type type, raft_node_id to);
/* Forgets all that is in flight. */
void clear_flight(void);

#endif
