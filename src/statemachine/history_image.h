/* history_image.h -- the history in an image, so that a client that watches goes on at a node that
 * read one, without a gap and without a fresh listing. Byte layout: head of history_image.c.
 *
 * It follows from the log, so it is in no digest. Thread: as image.h.
 */
#ifndef RK_STATEMACHINE_HISTORY_IMAGE_H
#define RK_STATEMACHINE_HISTORY_IMAGE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"
#include "statemachine/history.h"

/* A record takes events until it has so many bytes. */
enum { SM_HISTORY_RECORD_SIZE = 60 * 1024 };

struct sm_history_writer {
    struct sm_event_cursor cursor;
    struct sm_event next;
    bool has_next;
    bool is_due; /* a record is left to write */
};

/* The root that the view is of stays held. */
void sm_history_writer_init(struct sm_history_writer *writer, const struct sm_history_view *view);
/* Appends the body of the next record; false: there is none any more. */
bool sm_history_write(struct sm_history_writer *writer, struct rk_buf *buf);

/* Takes the next record in; before the first one nothing was added. Errors: RK_CORRUPT: not what a
 * writer writes of a state that has applied up to `last_applied`. */
RK_MUST_USE enum rk_status sm_history_read(struct sm_history *history, struct rk_bytes body,
                                           raft_index last_applied);

#endif
