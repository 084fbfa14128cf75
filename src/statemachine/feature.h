/* feature.h -- what a node must be able to read before it may be in the log (pitfall 141).
 *
 * A level is a set of encodings: of commands, of configurations, of records of the image. Each version
 * of RaftKV reads all up to its own, and says so in every message. The cluster has a level, too, which
 * is replicated and never falls (SM_COMMAND_FEATURE_LEVEL): all its members have said that they can
 * read that much. What needs more is not written before. So the members of a cluster can be upgraded
 * one by one, and none meets an entry that it cannot read.
 *
 *   1  up to command 10, configuration 2, record 8 of the image
 *   2  the level itself (command 16, record 11), records 9, 10 and 12, and all that the table in
 *      feature.c gives it
 *
 * Thread: any; no state.
 */
#ifndef RK_STATEMACHINE_FEATURE_H
#define RK_STATEMACHINE_FEATURE_H

#include <stdint.h>

#include "base/bytes.h"

enum {
    FEATURE_LEVEL_FIRST = 1, /* of a cluster that nobody has raised */
    FEATURE_LEVEL_MAX = 2,   /* what this version reads */
};

/* The level that the encoded command needs, with what is inside of it. 0: this version does not know
 * it; else sm_command_decode() may still find fault with the rest. */
uint32_t feature_level_of_command(struct rk_bytes command);

/* The same of an encoded configuration. */
uint32_t feature_level_of_config(struct rk_bytes config);

#endif
