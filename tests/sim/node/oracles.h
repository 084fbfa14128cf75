/* oracles.h -- shared by the files of oracles: what hosts hold, elections, promises. */
#ifndef RK_TESTS_SIM_NODE_ORACLES_H
#define RK_TESTS_SIM_NODE_ORACLES_H

#include "sim/node/world.h"
#include "statemachine/command.h"

enum { OUTBOX_MAX = 65536, HEAP_BYTES_MAX = 256 << 20 };

bool image_get(const struct image *image, raft_index index, struct image_entry *ret);
bool host_entry(const struct host *host, raft_index index, struct image_entry *ret);

/* oracles_lock.c */
bool op_is_lock(const struct op *op);
void oracle_lock_committed(struct world *world, const struct rk_frame *frame,
                           const struct sm_command *command);
void oracle_lock_applied(struct host *host, const struct sm_root *root);
void oracle_lock_claimed(struct op *op);

/* oracles_ttl.c */
uint32_t ttl_key(const struct world *world); /* the only one that may have a time to live */
bool ttl_is_running(const struct world *world);
void oracle_ttl_written(struct world *world, const struct rk_frame *frame, uint64_t ttl_ms);
/* True: the entry ends that key. */
bool oracle_ttl_expires(struct world *world, const struct rk_frame *frame,
                        const struct sm_command_expire *command);

/* oracles_watch.c */
bool is_event(const struct world *world, raft_index index);
void oracle_waits(struct op *op);     /* it has come to its host */
void oracle_woken(struct host *host); /* after each turn */
void oracle_wait_answered(const struct op *op);

/* oracles_raft.c */
void oracle_elected(struct host *host);
void oracle_leader_commit(struct host *host);

#endif
