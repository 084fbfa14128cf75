/* sm_internal.h -- the state machine's own state, for sm.c and image.c alone. */
#ifndef RK_STATEMACHINE_SM_INTERNAL_H
#define RK_STATEMACHINE_SM_INTERNAL_H

#include <stdbool.h>

#include "statemachine/omap.h"
#include "statemachine/sm.h"
#include "statemachine/tombstones.h"

struct sm {
    struct omap_heap heap;
    struct omap kv;
    struct sm_tombstones tombstones;
    raft_index last_applied;
    raft_index kv_index;
    uint64_t time_ms; /* cluster time: the greatest stamp that was applied */
    bool is_changed;  /* since the last publication */
};

#endif
