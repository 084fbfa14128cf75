/* journal.h -- what the preloaded shim notes down of everything that a node asks of its disk; read
 * by journal.py.
 *
 * One file, mapped by all nodes of a world and by the runner. A record's place in it is its time: who
 * has seen the journal end at X knows that everything before X had been asked for by then. A record
 * is written before its call is made; `done` says where the journal ended when the call came back.
 */
#ifndef RK_TESTS_POWER_JOURNAL_H
#define RK_TESTS_POWER_JOURNAL_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    JOURNAL_ALIGNMENT = 64,
    JOURNAL_NODES_MAX = 8
}; /* records begin at multiples of it, the first at 64 */

static const uint64_t journal_magic = 0x706f776572637574; /* "tucrewop": records are found by it */

struct journal_head {
    _Atomic uint64_t end;
    uint64_t size;            /* of the file */
    _Atomic uint64_t halted;  /* a bit for each node: it may begin no call any more */
    _Atomic uint32_t busy[8]; /* calls of each node that are under way */
};

enum journal_op {
    JOURNAL_OPEN = 1, /* name; flags: of open(2) */
    JOURNAL_WRITE,    /* handle, offset, data */
    JOURNAL_TRUNCATE, /* handle, offset: the new size */
    JOURNAL_SYNC,     /* handle: of a file or a directory */
    JOURNAL_RENAME,   /* name: two of them, a NUL between */
    JOURNAL_UNLINK,   /* name */
    JOURNAL_MKDIR,    /* name */
    JOURNAL_SENT,     /* data: the line of a message that promises something */
};

struct journal_record {
    uint64_t magic;
    _Atomic uint64_t done; /* 0: it never came back */
    uint32_t size;         /* of the record, with its padding */
    uint16_t op;
    uint8_t node;
    uint8_t has_failed; /* valid with `done` */
    uint32_t handle;    /* the place of the file's OPEN, divided by the alignment */
    uint32_t flags;
    uint64_t offset;
    uint32_t name_size; /* the name follows, then the data */
    uint32_t data_size;
};

#endif
