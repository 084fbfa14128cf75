/* wire_line.h -- the JSON line at the head of every peer message: written and read.
 *
 * One flat object on one line of printable ASCII, compact. The reader is strict about what it knows
 * (every member typed and in range, no member twice) and ignores members it does not know, so that
 * a later version can add some. A reader asks for member after member; the first refusal sticks,
 * and what is asked for after it is 0: so a decoder is a plain list, and looks at line.reason once.
 *
 * Why a reader of our own: a general one makes a tree, a dozen allocations and a hash table for
 * each heartbeat, and that is most of what a message costs. For a flat object it is a page, and
 * the tests hold it against jansson.
 *
 * Thread: any; no state. Only for the wire_*.c files.
 */
#ifndef RK_NETWORK_WIRE_LINE_H
#define RK_NETWORK_WIRE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/json_write.h"
#include "base/status.h"
#include "network/wire.h"

enum { WIRE_LINE_SIZE_MAX = 8192 };

/* Beyond it readers that keep numbers as doubles would round (pitfall 143). */
#define WIRE_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

/* Writing: begin, members, end. Numbers are asserted to be at most WIRE_NUMBER_MAX. */
void wire_line_begin(struct rk_json *json, struct rk_buf *buf, const char *type);
void wire_put_envelope(struct rk_json *json, const struct wire_envelope *envelope);
void wire_put_number(struct rk_json *json, const char *name, uint64_t value);
void wire_put_hex(struct rk_json *json, const char *name, uint64_t value); /* any value */
void wire_line_end(struct rk_json *json);

enum wire_kind {
    WIRE_ABSENT,
    WIRE_NULL,
    WIRE_TRUE,
    WIRE_FALSE,
    WIRE_NUMERAL,
    WIRE_STRING,         /* value: between the quotes */
    WIRE_STRING_ESCAPED, /* the same, with backslashes in it: nothing we know needs them */
};

struct wire_member {
    enum wire_kind kind;
    struct rk_bytes name;
    struct rk_bytes value; /* as it is written */
};

enum { WIRE_MEMBERS_MAX = 32 };

struct wire_line {
    struct wire_member members[WIRE_MEMBERS_MAX];
    uint32_t members_count;
    uint32_t next;        /* where the member asked for next should be: readers ask in order */
    struct rk_bytes rest; /* lent: the bytes after the line */
    const char *reason;   /* the first refusal, static text; NULL: none so far */
};

/* Takes the line at the start of `body` apart and reads the envelope, its protocol version before
 * all else. `line` points into `body` afterwards. */
void wire_line_open(struct wire_line *line, struct rk_bytes body, struct wire_envelope *envelope);

/* Notes a refusal, unless there is one already. */
void wire_line_refuse(struct wire_line *line, const char *reason);
/* Refuses unless the line is of that type. */
void wire_line_expect(struct wire_line *line, const char *type);
/* Refuses unless sender and receiver are named. */
void wire_line_expect_nodes(struct wire_line *line, const struct wire_envelope *envelope);
/* Refuses if bytes are left. */
void wire_line_expect_end(struct wire_line *line);
bool wire_line_is(struct wire_line *line, const char *type);

uint64_t wire_get_number(struct wire_line *line, const char *name, uint64_t max,
                         const char *reason);
/* 0 where there is no such member. */
uint64_t wire_get_optional(struct wire_line *line, const char *name, uint64_t max,
                           const char *reason);
uint64_t wire_get_hex(struct wire_line *line, const char *name, const char *reason);
bool wire_get_bool(struct wire_line *line, const char *name, const char *reason);
/* Copies printable ASCII without blanks, at most `size_max` bytes, and a NUL. */
void wire_get_text(struct wire_line *line, const char *name, char *ret, size_t size_max,
                   const char *reason);

/* The same with the reason made of the name. */
#define WIRE_NUMBER_UP_TO(line, name, max) \
    wire_get_number((line), name, (max), "member " name " is missing or out of range")
#define WIRE_NUMBER(line, name) WIRE_NUMBER_UP_TO(line, name, WIRE_NUMBER_MAX)
#define WIRE_OPTIONAL(line, name, max) \
    wire_get_optional((line), name, (max), "member " name " is out of range")
#define WIRE_HEX(line, name) \
    wire_get_hex((line), name, "member " name " is not 16 hexadecimal digits")
#define WIRE_BOOL(line, name) wire_get_bool((line), name, "member " name " is not true or false")
#define WIRE_TEXT(line, name, ret, size_max) \
    wire_get_text((line), name, (ret), (size_max), "member " name " is missing or malformed")

/* Statuses have numbers of their own on the wire, so that the table in status.h may grow. */
uint8_t wire_status_code(enum rk_status status);
/* False: no such code; *ret is then untouched. */
RK_MUST_USE bool wire_status_of(uint64_t code, enum rk_status *ret);

#endif
