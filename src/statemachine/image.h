/* image.h -- the whole replicated state at one root as a run of records, and back.
 *
 * It is what a snapshot's file holds (storage/snap_store.h adds frames, checks and the place in the
 * log). A record is a type, which names its table, and a body of bounded size, so that writer
 * and reader need the memory of one record, whatever the state's size. The writer reads a held root
 * and stops nobody; what the reader builds is a new state machine beside the old one, so that an
 * image that fails changes nothing (pitfalls 72, 73).
 *
 * Canonical: equal states give equal records, byte by byte, whatever made them (pitfall 74), and
 * nothing else is accepted. All that commands can change is in it (pitfall 75): a table that is
 * left out would make the digest differ, which is a record of its own.
 *
 * Byte layout: head of image.c. Thread: any; the root must be held, a reader is one owner's.
 */
#ifndef RK_STATEMACHINE_IMAGE_H
#define RK_STATEMACHINE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "statemachine/history_image.h"
#include "statemachine/omap.h"
#include "statemachine/query.h"
#include "statemachine/sm.h"

/* Types of records, in the order in which they stand. Values on disk: never renumber. */
enum sm_image_type {
    SM_IMAGE_NUMBERS = 1,
    SM_IMAGE_KV = 2,
    SM_IMAGE_TOMBSTONES = 3,
    SM_IMAGE_TOMBSTONES_OLD = 4,
    SM_IMAGE_LOCKS = 5,
    SM_IMAGE_DELAYS = 6,
    SM_IMAGE_SESSIONS = 7,
    SM_IMAGE_TOKENS = 8,
    SM_IMAGE_TTLS = 9,
    SM_IMAGE_CATALOG = 10,
    SM_IMAGE_FEATURE_LEVEL = 11,
    SM_IMAGE_HISTORY = 12,
};

enum {
    SM_IMAGE_RECORD_SIZE_TARGET = 64 * 1024, /* a record takes entries until it has so many bytes */
    SM_IMAGE_ENTRY_SIZE_MAX = 40 + RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX,
    SM_IMAGE_RECORD_SIZE_MAX = SM_IMAGE_RECORD_SIZE_TARGET + SM_IMAGE_ENTRY_SIZE_MAX,
};

struct sm_image_writer {
    struct sm_root root;
    uint32_t table; /* position among the tables, 0: the numbers are next */
    struct omap_place place;
    bool has_place; /* `place` is the next entry of this table */
    struct sm_history_writer history;
    raft_index damaged_index; /* that modified an entry which is not what it was; 0: none yet */
};

/* The root stays held until the last record is written. What was written is good for nothing if the
 * writer has a damaged_index then: memory has changed by itself. */
void sm_image_writer_init(struct sm_image_writer *writer, const struct sm_root *root);

/* Appends the body of the next record, at most SM_IMAGE_RECORD_SIZE_MAX bytes. False: there is none
 * any more; buf and *ret_type are then untouched. */
bool sm_image_write(struct sm_image_writer *writer, struct rk_buf *buf, uint8_t *ret_type);

struct sm_image_reader;

struct sm_image_reader *sm_image_reader_new(void);
void sm_image_reader_free(struct sm_image_reader *reader); /* NULL is allowed */

/* Takes the next record in. Errors: RK_CORRUPT (unknown type, out of order, not what a writer
 * writes): the reader is then good for nothing but sm_image_reader_free(). */
RK_MUST_USE enum rk_status sm_image_read(struct sm_image_reader *reader, uint8_t type,
                                         struct rk_bytes body);

/* The records were all: gives the state machine, ready for sm_publish(), to the caller, who frees
 * it. Errors: RK_CORRUPT (no numbers came, or the digest of what was built is not what they say);
 * *ret is then untouched. */
RK_MUST_USE enum rk_status sm_image_finish(struct sm_image_reader *reader, struct sm **ret);

#endif
