/* history.h -- the last changes of keys, one event each, for those who watch them one by one.
 *
 * Bounded: at most SM_HISTORY_SIZE_MAX bytes, the oldest go first, and the floor says up to which
 * index something has gone. It follows from the log, and is in the image (history_image.h) so that a
 * node that reads one can go on telling; but in no digest: an image of an older version has none, and a
 * state read from it begins with none.
 *
 * Events stand in segments that are only ever appended to. A root says how far they reached when it
 * was published; what is within that never changes, so readers need no lock, and a segment that was
 * given up is freed when no root that reaches it is held, like the nodes of the map.
 *
 * Thread: the node thread; reading any, on a held root.
 */
#ifndef RK_STATEMACHINE_HISTORY_H
#define RK_STATEMACHINE_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "statemachine/omap.h"
#include "statemachine/query.h"

enum {
    SM_HISTORY_SIZE_MAX = 4 << 20,
    SM_HISTORY_SEGMENT_SIZE = 64 * 1024, /* more only for one event that needs it */
};

struct sm_history {
    struct omap_heap *heap; /* borrowed: its version, and its account of memory */
    struct sm_history_segment *first;
    struct sm_history_segment *last;
    struct sm_history_segment *retired; /* the latest first */
    uint64_t size;                      /* bytes of the segments in use */
    raft_index floor;                   /* of the last event that was given up */
    raft_index last_index;
    uint32_t last_sequence;
};

void sm_history_init(struct sm_history *history, struct omap_heap *heap);
void sm_history_done(struct sm_history *history);
/* Nothing up to `index` is known: what came before is not from here. */
void sm_history_begin_after(struct sm_history *history, raft_index index);

/* Appends an event, whose key and value are copied; its index is the last one's or above it, and
 * its sequence is set here. */
void sm_history_add(struct sm_history *history, const struct sm_event *event);

/* What a root published now may read. */
struct sm_history_view sm_history_view(const struct sm_history *history);

/* Frees what only roots older than `oldest_version` could reach. */
void sm_history_reclaim(struct sm_history *history, uint64_t oldest_version);

#endif
