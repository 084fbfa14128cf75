/* oracles.h -- shared by the files of oracles: what hosts hold, elections, promises. */
#ifndef RK_TESTS_SIM_NODE_ORACLES_H
#define RK_TESTS_SIM_NODE_ORACLES_H

#include "sim/node/world.h"

enum { OUTBOX_MAX = 65536, HEAP_BYTES_MAX = 256 << 20 };

bool image_get(const struct image *image, raft_index index, struct image_entry *ret);
bool host_entry(const struct host *host, raft_index index, struct image_entry *ret);

/* oracles_watch.c */
bool is_event(const struct world *world, raft_index index);
void oracle_waits(struct op *op);     /* it has come to its host */
void oracle_woken(struct host *host); /* after each turn */
void oracle_wait_answered(const struct op *op);

/* oracles_raft.c */
void oracle_elected(struct host *host);
void oracle_leader_commit(struct host *host);

#endif
