/* snap_file.h -- the bytes of a snapshot's file: a head, the records of the state's image, an end.
 *
 * Each is a frame with a check of its own; the end tells how many there were and the digest of the
 * file, a hash over the checks of all frames in their order. With the digest of the state, which is a
 * record of the image, that makes three checks: of each frame, of the file, and of what was built of
 * it. None of them is against an attacker: peers trust each other until there is TLS, and then that
 * is what protects the file on its way. Hence no cryptographic hash, and no library for one.
 *
 * Equal states at an entry give equal files, whoever writes them (pitfall 74): so a transfer that
 * one leader began another one may finish.
 *
 * Byte layout: head of snap_file.c. Thread: any; no state.
 */
#ifndef RK_STORAGE_SNAP_FILE_H
#define RK_STORAGE_SNAP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"
#include "raft/types.h"

enum {
    SNAP_BODY_SIZE_MAX = 1 << 20,
    SNAP_FRAME_EXTRA_SIZE = 12, /* of a frame, beside its body */
    SNAP_TYPE_MAX = 0xef,       /* types up to here are the image's */
};

/* What the snapshot stands for. */
struct snap_head {
    struct raft_entry_id id; /* the last entry in it */
    uint64_t chain;          /* frame chain at that entry */
    raft_index config_index; /* of the entry that holds `config` */
    struct rk_bytes config;  /* in force at id, encoded; opaque here */
};

/* Runs along with the frames. */
struct snap_sum {
    uint64_t frames_count;
    uint64_t digest;
};

/* Appends the magic and the head, and begins the sum. */
void snap_file_begin(const struct snap_head *head, struct snap_sum *sum, struct rk_buf *buf);

/* Starts a frame at the end of `buf`; the caller appends the body, at most SNAP_BODY_SIZE_MAX bytes,
 * and calls snap_frame_end() with the offset this returns. */
size_t snap_frame_begin(struct rk_buf *buf);
void snap_frame_end(struct rk_buf *buf, size_t offset, uint8_t type, struct snap_sum *sum);

/* Appends the end. sum->digest is then the file's. */
void snap_file_end(struct snap_sum *sum, struct rk_buf *buf);

/* Where the bytes come from: fills `to` from `offset` on; fewer than `size` only at the end.
 * Errors: any; they come out of the reader as they are. */
typedef enum rk_status snap_read(void *context, uint64_t offset, uint8_t *to, size_t size,
                                 size_t *ret_size);

struct snap_reader;

/* Reads the head. Errors: RK_CORRUPT, those of `read`; *ret is then untouched. */
RK_MUST_USE enum rk_status snap_reader_open(snap_read *read, void *context,
                                            struct snap_reader **ret);
void snap_reader_free(struct snap_reader *reader); /* NULL is allowed */

/* Lent until snap_reader_free(). */
const struct snap_head *snap_reader_head(const struct snap_reader *reader);

/* The next record of the image; the body is lent until the next call. Errors: RK_NOT_FOUND (that was
 * all, and the file is whole: count and digest are right and nothing follows), RK_CORRUPT, those of
 * `read`. */
RK_MUST_USE enum rk_status snap_reader_next(struct snap_reader *reader, uint8_t *ret_type,
                                            struct rk_bytes *ret_body);

/* Whether snap_reader_next() has found the end, and the file whole. */
bool snap_reader_is_over(const struct snap_reader *reader);

/* A file, told from others. */
struct snap_ref {
    struct raft_entry_id id;
    uint64_t size; /* bytes */
    uint64_t digest;
};
bool snap_ref_equal(const struct snap_ref *a, const struct snap_ref *b);
/* What the file comes to; it is over (asserted). */
struct snap_ref snap_reader_ref(const struct snap_reader *reader);

#endif
