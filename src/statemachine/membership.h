/* membership.h -- who the members are, and the body of a RAFT_ENTRY_CONFIG frame.
 *
 * The first such entry makes the cluster: it draws the cluster id and fixes name, id and
 * incarnation of every member. A member whose incarnation is 0 has not been seen yet: it is
 * counted in every quorum, but nothing it says is, until a configuration entry has written down
 * the incarnation it came up with. So a wiped disk can never pass for the disk that was there.
 */
#ifndef RK_STATEMACHINE_MEMBERSHIP_H
#define RK_STATEMACHINE_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "raft/types.h"

/* Random, not all zero; all zero: no cluster yet. */
struct cluster_id {
    uint64_t high;
    uint64_t low;
};

bool cluster_id_is_set(struct cluster_id id);
bool cluster_id_equal(struct cluster_id a, struct cluster_id b);
enum { CLUSTER_ID_TEXT_SIZE = 33 };
/* 32 lower-case hexadecimal digits and a NUL. */
void cluster_id_format(struct cluster_id id, char text[CLUSTER_ID_TEXT_SIZE]);
RK_MUST_USE enum rk_status cluster_id_parse(const char *text,
                                            struct cluster_id *ret); /* RK_INVALID */

enum member_role { MEMBER_VOTER = 1, MEMBER_LEARNER = 2, MEMBER_LEAVING = 3 /* old half only */ };

struct member {
    raft_node_id id;
    uint64_t incarnation; /* 0: not seen yet */
    char name[RK_NODE_NAME_SIZE_MAX + 1];
    char peer_address[RK_ADDRESS_SIZE_MAX + 1];
    char client_address[RK_ADDRESS_SIZE_MAX + 1]; /* "": not known yet */
    bool is_voter;                                /* in the new half, or the only one */
    bool is_old_voter;                            /* in the old half of a joint configuration */
    bool is_learner;
    bool wants_vote;       /* a learner that becomes a voter once it has caught up */
    raft_node_id replaces; /* another member that goes when this one votes; 0: none. The two may
                              share name and peer address: a disk that was lost and made anew. */
};

struct membership {
    struct cluster_id cluster;
    uint32_t election_timeout_ms; /* a setting of the cluster, fixed when it was made */
    bool is_joint;
    uint32_t members_count;
    struct member members[RAFT_MEMBERS_MAX]; /* ascending by id */
};

/* Appends the encoding (no frame), of the oldest version that can say it: what an older node
 * could understand it can read. */
void membership_encode(const struct membership *membership, struct rk_buf *buf);
/* Errors: RK_CORRUPT; *ret is then untouched. Checks order, uniqueness of id, name and peer
 * address (but see `replaces`), and that there is a voter in each half. */
RK_MUST_USE enum rk_status membership_decode(struct rk_bytes bytes, struct membership *ret);

/* What the core needs of it. */
void membership_to_raft(const struct membership *membership, struct raft_config *ret);

/* NULL: no such member. Lent as long as `membership` is unchanged. Of two with one name, the one
 * that replaces the other. */
const struct member *membership_by_id(const struct membership *membership, raft_node_id id);
const struct member *membership_by_name(const struct membership *membership, const char *name);

/* Whether name and addresses may stand in a configuration; membership_add() does not look. */
bool member_texts_are_legal(const struct member *member);

/* Keeps members in order. Errors: RK_CONFLICT (id, name or peer address taken), RK_TOO_LARGE. */
RK_MUST_USE enum rk_status membership_add(struct membership *membership,
                                          const struct member *member);

#endif
