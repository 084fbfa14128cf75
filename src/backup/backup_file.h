/* backup_file.h -- a backup: the whole replicated state at one moment, as a file that can be trusted.
 *
 * It is gzip round the bytes of a snapshot's file (storage/snap_file.h): a head, the records of the
 * image, an end with the file's digest. Where a node's own snapshot keeps the configuration, a backup
 * says where it comes from, as JSON; it has no chain and no place in a log, because what restores it
 * is another log, perhaps of another cluster.
 *
 * Four checks: gzip's, one in each frame, the digest of the file, and the digest of the state that is
 * built of it. Nothing here is against an attacker: who can send a backup to a node can write every key.
 *
 * Thread: any, one at a time. Memory is bounded: a record, gzip's window, and, to verify, the state.
 */
#ifndef RK_BACKUP_BACKUP_FILE_H
#define RK_BACKUP_BACKUP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/status.h"
#include "raft/types.h"
#include "statemachine/query.h"
#include "statemachine/sm.h"
#include "storage/snap_file.h"

enum { BACKUP_CLUSTER_SIZE = 33 }; /* its id as text, with its NUL */

struct backup_about {
    struct raft_entry_id id;              /* the last entry in it */
    char cluster_id[BACKUP_CLUSTER_SIZE]; /* "": none was known */
    char node[RK_NODE_NAME_SIZE_MAX + 1]; /* that wrote it */
    uint64_t made_ms;                     /* Unix time there */
};

/* --- writing --- */

struct backup_writer;

/* The root stays held until backup_writer_free(). */
struct backup_writer *backup_writer_new(const struct sm_root *root,
                                        const struct backup_about *about);
void backup_writer_free(struct backup_writer *writer); /* NULL is allowed */

/* Writes up to `size` bytes, at least one; 0: that was all. What a call costs is bounded however well
 * the state packs. */
size_t backup_write(struct backup_writer *writer, uint8_t *to, size_t size);
/* What was written so far is not the state as it came in: memory has changed by itself. */
bool backup_is_damaged(const struct backup_writer *writer);

/* --- reading --- */

struct backup_reader;

/* Where the packed bytes come from; see snap_read. `unpacked_max` bounds what they may come to.
 * *ret_why, of an error, is static text. Errors: RK_INVALID (no gzip, not a backup, or of another
 * version), RK_CORRUPT (damaged, cut off), RK_TOO_LARGE, those of `read`; *ret is then untouched. */
RK_MUST_USE enum rk_status backup_open(snap_read *read, void *context, uint64_t unpacked_max,
                                       struct backup_reader **ret, const char **ret_why);
void backup_reader_free(struct backup_reader *reader); /* NULL is allowed */

/* Lent until backup_reader_free(). */
const struct backup_about *backup_reader_about(const struct backup_reader *reader);

/* The next record of the image; the body is lent until the next call. Errors: RK_NOT_FOUND (that was
 * all, and the file is whole), and as above. */
RK_MUST_USE enum rk_status backup_next(struct backup_reader *reader, uint8_t *ret_type,
                                       struct rk_bytes *ret_body, const char **ret_why);

struct backup_summary {
    struct backup_about about;
    uint64_t packed_size;
    uint64_t unpacked_size;
    uint64_t file_digest;
    uint64_t state_digest;
    uint64_t keys_count;
    uint64_t sessions_count;
    uint64_t locks_count;
    uint64_t delays_count;
    uint64_t tokens_count;
    uint64_t tombstones_count;
    uint64_t records_count;
    uint64_t cluster_time_ms;
    uint64_t restored_count;  /* of its records, those that a restore takes ... */
    uint64_t restored_digest; /* ... and what they come to */
};

/* Reads all of it and builds the state that it stands for. Errors: as above; *ret_why then says what is
 * wrong, and *ret is untouched; else it is NULL. */
RK_MUST_USE enum rk_status backup_verify(snap_read *read, void *context, uint64_t unpacked_max,
                                         struct backup_summary *ret, const char **ret_why);

#endif
