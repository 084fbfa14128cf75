/* member_change.h -- which configuration follows, when somebody asks and when something is due.
 *
 * A change is a small state machine whose whole state is the replicated configuration: a member
 * that wants a vote, a member that another one replaces, an old half that is still there. So a new
 * leader goes on where the old one stopped, and nothing is kept that could be lost.
 *
 *   add, replace:    --> learner that wants a vote --caught up--> joint --committed--> left
 *   promote, remove: ------------------------------------------>  joint --committed--> left
 *
 * Every change of voters is joint (dissertation 4.3, pitfall 76), one at a time (pitfall 89), and
 * is refused where the voters that answer now could not commit under the new half (pitfall 87).
 * Pure: no clock, no I/O. Thread: the node's.
 */
#ifndef RK_SERVER_MEMBER_CHANGE_H
#define RK_SERVER_MEMBER_CHANGE_H

#include <stdbool.h>

#include "api/member_port.h"
#include "statemachine/membership.h"

/* What the leader sees; [i] is about membership->members[i]. */
struct member_facts {
    raft_index config_index;
    bool is_config_committed;
    raft_index last_index;
    struct {
        bool is_alive;     /* this node, or answered within an election timeout */
        bool is_there;     /* the same, and nobody else has answered at its address since */
        bool is_caught_up; /* 4.2.1: a vote of its would not hold commits up */
        raft_index match_index;
    } members[RAFT_MEMBERS_MAX];
};

/* The configuration to propose for `request` (ADMIN_ADD .. ADMIN_REPLACE), whose new items have
 * their ids. False: *outcome says why not, *next is undefined. Fills in the ids and names of
 * whom `who` means. */
RK_MUST_USE bool member_change_plan(const struct membership *now, const struct member_facts *facts,
                                    struct admin_request *request, struct membership *next,
                                    struct admin_outcome *outcome);

/* The step that is due without being asked for: leave a joint configuration, or let all vote that
 * want to. False: none is. */
RK_MUST_USE bool member_change_due(const struct membership *now, const struct member_facts *facts,
                                   struct membership *next);

/* A change is under way: nothing else may begin but the removal of a learner. */
bool member_change_is_open(const struct membership *now, const struct member_facts *facts);

/* Whom `item` means; NULL: nobody. Lent from `membership`. */
const struct member *member_change_find(const struct membership *membership,
                                        const struct admin_item *item);

#endif
