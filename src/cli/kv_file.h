/* kv_file.h -- keys and values in a file: a JSON array of {"key", "flags", "value"}, the value in
 * base64, as `consul kv export` writes it.
 *
 * Thread: the main one. Memory: a key points into the document, a value is lent until the next call.
 */
#ifndef RK_CLI_KV_FILE_H
#define RK_CLI_KV_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/json_read.h"
#include "base/status.h"

enum { KV_FILE_REASON_SIZE = 256 };

struct kv_file_entry {
    struct rk_bytes key; /* a JSON text, with its quotes */
    uint32_t key_size;   /* of what it says */
    struct rk_bytes value;
    uint64_t flags;
};

/* Reads entries out of a document, one by one. */
struct kv_file {
    struct rk_bytes document;
    struct rk_json_walk walk;
    uint64_t number;                  /* of the entry, from 1 */
    char reason[KV_FILE_REASON_SIZE]; /* "line 3, entry 2: ..." of an error */
    struct rk_buf text;
    struct rk_buf value;
};

/* Errors: RK_INVALID (no JSON array; file->reason says where), and then only kv_file_done() may
 * follow. The document is borrowed. */
RK_MUST_USE enum rk_status kv_file_begin(struct kv_file *file, struct rk_bytes document);
void kv_file_done(struct kv_file *file);

/* The next entry; *ret_has is false at the end. Errors: RK_INVALID: file->reason names line and
 * member. */
RK_MUST_USE enum rk_status kv_file_next(struct kv_file *file, struct kv_file_entry *ret,
                                        bool *ret_has);

/* Takes the elements of a JSON array out of bytes that come in pieces. */
struct kv_split {
    struct rk_buf element;
    uint32_t depth;
    bool in_text;
    bool is_escaped;
    bool is_closed; /* the array has ended */
    bool (*on_element)(void *context, struct rk_bytes element);
    void *context;
};

void kv_split_init(struct kv_split *split);
void kv_split_done(struct kv_split *split);
/* False: an element is too large, or on_element() said so. */
bool kv_split_take(struct kv_split *split, struct rk_bytes bytes);

#endif
