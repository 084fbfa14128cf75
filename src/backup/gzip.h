/* gzip.h -- bytes packed and unpacked as gzip (RFC 1952), a piece at a time and in bounded memory:
 * zlib confined to one module.
 *
 * Thread: any, one at a time. What is packed depends on the bytes alone: no time and no name is in it.
 */
#ifndef RK_BACKUP_GZIP_H
#define RK_BACKUP_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct gzip_packer;

struct gzip_packer *gzip_packer_new(void);
void gzip_packer_free(struct gzip_packer *packer); /* NULL is allowed */

enum gzip_flush {
    GZIP_MORE, /* what comes out now is zlib's to say, also nothing */
    GZIP_PUSH, /* all that went in comes out */
    GZIP_END,  /* nothing more goes in */
};

/* Packs from the front of *from, which moves on, into `to`; returns how many bytes came out. With fewer
 * than `size` all of *from is taken; *ret_is_over says, with GZIP_END, that the last byte came out. */
size_t gzip_pack(struct gzip_packer *packer, struct rk_bytes *from, enum gzip_flush flush,
                 uint8_t *to, size_t size, bool *ret_is_over);

struct gzip_unpacker;

struct gzip_unpacker *gzip_unpacker_new(void);
void gzip_unpacker_free(struct gzip_unpacker *unpacker); /* NULL is allowed */

/* Unpacks from the front of *from, which moves on, into `to`. Errors: RK_NOT_FOUND (the end was
 * reached, and its check is right; *ret_size bytes came before it, *from is what follows),
 * RK_CORRUPT. */
RK_MUST_USE enum rk_status gzip_unpack(struct gzip_unpacker *unpacker, struct rk_bytes *from,
                                       uint8_t *to, size_t size, size_t *ret_size);

#endif
