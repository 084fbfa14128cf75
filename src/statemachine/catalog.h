/* catalog.h -- what the replicated state knows of the cluster's own nodes: address, and the status of
 * the check that every node has, serfHealth (contract 2.6, 2.7).
 *
 * The leader writes it, from the membership and from whom it hears: a check that followed every
 * missed heartbeat would take locks away for nothing (contract 5.17). One table, by name of node; an
 * entry with an empty name holds the indexes of the last changes, which outlive what was deleted.
 *
 * Thread: any.
 */
#ifndef RK_STATEMACHINE_CATALOG_H
#define RK_STATEMACHINE_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "raft/types.h"
#include "statemachine/omap.h"
#include "statemachine/query.h"

enum {
    NODE_RECORD_FIXED_SIZE = 16,
    NODE_RECORD_SIZE_MAX = NODE_RECORD_FIXED_SIZE + RK_ADDRESS_SIZE_MAX,
};

struct node_record {
    enum sm_check_status status;
    raft_node_id id;
    struct rk_bytes address; /* 0 .. RK_ADDRESS_SIZE_MAX bytes: host:port of the peer side */
};

/* Appends the encoding; asserts the limits above. */
void sm_node_record_encode(const struct node_record *record, struct rk_buf *buf);
/* The text is lent from `bytes`. Errors: RK_CORRUPT; *ret is then untouched. */
RK_MUST_USE enum rk_status sm_node_record_decode(struct rk_bytes bytes, struct node_record *ret);

/* Whether an image may have this entry in its table of nodes. */
bool sm_catalog_entry_is_legal(const struct omap_entry *entry);

#endif
