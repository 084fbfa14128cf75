/* The file is two copies, at 0 and at 4096; integers are little-endian:
 *
 *    0  "RKHW"
 *    4  u32 format version (1)
 *    8  u64 generation: the greater one of two whole copies counts
 *   16  u64 incarnation
 *   24  u64 index, u64 term, u64 chain of the last entry
 *   48  u64 term, u64 vote
 *   64  u32 CRC-32C of the bytes before it
 *
 * The last entry goes to the copies in turns, so a torn write leaves the other one. Term and vote
 * go to both, one after the other: no single bad copy can forget a vote.
 */
#include "storage/high_water.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/heap.h"
#include "storage/files.h"

enum {
    COPIES_COUNT = 2,
    COPY_DISTANCE = 4096, /* no sector holds both */
    COPY_SIZE = 68,
    CHECKSUM_OFFSET = 64,
    FORMAT_VERSION = 1,
    PATH_SIZE_MAX = 4096,
};

static const uint8_t magic[4] = {'R', 'K', 'H', 'W'};

struct high_water {
    int fd;
    bool has_failed;
    bool is_waiting; /* the mark is not on disk yet */
    uint64_t incarnation;
    uint64_t generation; /* of the newest copy on disk */
    uint64_t written_ms;
    struct high_water_mark mark;
};

/* What one copy says. */
struct copy {
    uint64_t generation;
    uint64_t incarnation;
    struct high_water_mark mark;
};

/* ---- bytes ---- */

static void put_u64(uint8_t *bytes, uint64_t value)
{
    for (uint32_t i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_u64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < 8; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
    for (uint32_t i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static void copy_encode(const struct copy *copy, uint8_t bytes[COPY_SIZE])
{
    memcpy(bytes, magic, sizeof(magic));
    put_u32(bytes + 4, FORMAT_VERSION);
    put_u64(bytes + 8, copy->generation);
    put_u64(bytes + 16, copy->incarnation);
    put_u64(bytes + 24, copy->mark.last.index);
    put_u64(bytes + 32, copy->mark.last.term);
    put_u64(bytes + 40, copy->mark.chain);
    put_u64(bytes + 48, copy->mark.hard_state.term);
    put_u64(bytes + 56, copy->mark.hard_state.vote);
    put_u32(bytes + CHECKSUM_OFFSET, rk_crc32c(0, bytes, CHECKSUM_OFFSET));
}

static bool copy_decode(const uint8_t bytes[COPY_SIZE], struct copy *ret)
{
    if (memcmp(bytes, magic, sizeof(magic)) != 0 || get_u32(bytes + 4) != FORMAT_VERSION ||
        get_u32(bytes + CHECKSUM_OFFSET) != rk_crc32c(0, bytes, CHECKSUM_OFFSET)) {
        return false;
    }
    *ret = (struct copy){
        .generation = get_u64(bytes + 8),
        .incarnation = get_u64(bytes + 16),
        .mark = {.last = {.index = get_u64(bytes + 24), .term = get_u64(bytes + 32)},
                 .chain = get_u64(bytes + 40),
                 .hard_state = {.term = get_u64(bytes + 48), .vote = get_u64(bytes + 56)}},
    };
    return true;
}

/* ---- writing ---- */

/* Never tried again: after a failed fsync the kernel may call lost pages clean (correctness 48). */
static enum rk_status fail(struct high_water *water)
{
    water->has_failed = true;
    return files_status(errno);
}

/* Writes the mark to the older copy. */
static enum rk_status write_copy(struct high_water *water)
{
    uint8_t bytes[COPY_SIZE];
    const uint64_t generation = water->generation + 1;
    const off_t offset = (off_t)(generation % COPIES_COUNT) * COPY_DISTANCE;

    if (water->has_failed) {
        return RK_IO;
    }
    copy_encode(&(struct copy){generation, water->incarnation, water->mark}, bytes);
    errno = 0;
    if (pwrite(water->fd, bytes, sizeof(bytes), offset) != (ssize_t)sizeof(bytes) ||
        fdatasync(water->fd) != 0) {
        return fail(water);
    }
    water->generation = generation;
    water->is_waiting = false;
    return RK_OK;
}

enum rk_status high_water_vote(struct high_water *water, const struct raft_hard_state *hard_state)
{
    struct raft_hard_state *held = &water->mark.hard_state;

    RK_ASSERT(hard_state->term >= held->term);
    if (water->has_failed) {
        return RK_IO;
    }
    if (hard_state->term == held->term) {
        RK_ASSERT(held->vote == 0 || hard_state->vote == held->vote);
        if (hard_state->vote == held->vote) {
            return RK_OK;
        }
    }
    *held = *hard_state;
    const enum rk_status status = write_copy(water);
    return status == RK_OK ? write_copy(water) : status;
}

enum rk_status high_water_advance(struct high_water *water, struct raft_entry_id last,
                                  uint64_t chain, uint64_t now_ms)
{
    if (water->has_failed) {
        return RK_IO;
    }
    water->mark.last = last;
    water->mark.chain = chain;
    water->is_waiting = true;
    return now_ms >= high_water_deadline_ms(water) ? high_water_flush(water, now_ms) : RK_OK;
}

enum rk_status high_water_raise(struct high_water *water, struct raft_entry_id last, uint64_t chain)
{
    if (high_water_is_reached(&water->mark, last)) {
        water->mark.last = last;
        water->mark.chain = chain;
    }
    const enum rk_status status = write_copy(water);
    return status == RK_OK ? write_copy(water) : status;
}

uint64_t high_water_deadline_ms(const struct high_water *water)
{
    return water->is_waiting ? water->written_ms + HIGH_WATER_LAG_MS : UINT64_MAX;
}

enum rk_status high_water_flush(struct high_water *water, uint64_t now_ms)
{
    if (water->has_failed) {
        return RK_IO;
    }
    if (!water->is_waiting) {
        return RK_OK;
    }
    const enum rk_status status = write_copy(water);
    if (status == RK_OK) {
        water->written_ms = now_ms;
    }
    return status;
}

const struct high_water_mark *high_water_mark(const struct high_water *water)
{
    return &water->mark;
}

/* ---- opening ---- */

static bool fill_file(int fd, uint64_t incarnation)
{
    static const uint8_t zeros[COPIES_COUNT * COPY_DISTANCE];
    uint8_t bytes[COPY_SIZE];

    bool is_written = pwrite(fd, zeros, sizeof(zeros), 0) == (ssize_t)sizeof(zeros);
    for (uint32_t i = 0; is_written && i < COPIES_COUNT; i++) {
        copy_encode(&(struct copy){.generation = i, .incarnation = incarnation}, bytes);
        is_written =
            pwrite(fd, bytes, sizeof(bytes), (off_t)i * COPY_DISTANCE) == (ssize_t)sizeof(bytes);
    }
    return is_written && fsync(fd) == 0;
}

/* Made whole under another name and renamed: the file is there with both copies, or not at all. */
static enum rk_status create_file(const struct complaint *complaint, uint64_t incarnation)
{
    char temporary[PATH_SIZE_MAX];

    const int length = snprintf(temporary, sizeof(temporary), "%s.tmp", complaint->path);
    if (length < 0 || (size_t)length >= sizeof(temporary)) {
        return complaint_refuse(complaint, RK_IO, "the path is too long");
    }
    const int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return complaint_refuse_errno(complaint, "cannot create");
    }
    errno = 0;
    const bool is_filled = fill_file(fd, incarnation);
    const enum rk_status status =
        is_filled ? RK_OK : complaint_refuse_errno(complaint, "cannot write");
    if (close(fd) != 0 && status == RK_OK) {
        return complaint_refuse_errno(complaint, "cannot close");
    }
    if (status == RK_OK &&
        (rename(temporary, complaint->path) != 0 || !files_sync_directory_of(complaint->path))) {
        return complaint_refuse_errno(complaint, "cannot rename the new file");
    }
    return status;
}

static bool same_vote(const struct copy *copy, const struct high_water *water)
{
    return copy->mark.hard_state.term == water->mark.hard_state.term &&
           copy->mark.hard_state.vote == water->mark.hard_state.vote;
}

/* Takes the newest copy that is whole. When the other one is not, or knows less of the vote, it is
 * written anew: no single bad copy may forget a vote. */
static enum rk_status load(const struct complaint *complaint, struct high_water *water)
{
    uint32_t whole_count = 0;
    bool is_doubtful = false;

    for (uint32_t i = 0; i < COPIES_COUNT; i++) {
        uint8_t bytes[COPY_SIZE];
        struct copy copy = {0};
        const ssize_t size = pread(water->fd, bytes, sizeof(bytes), (off_t)i * COPY_DISTANCE);
        if (size < 0) {
            return complaint_refuse_errno(complaint, "cannot read");
        }
        if (size != (ssize_t)sizeof(bytes) || !copy_decode(bytes, &copy)) {
            is_doubtful = true;
            continue;
        }
        if (copy.incarnation != water->incarnation) {
            return complaint_refuse(complaint, RK_CONFLICT,
                                    "belongs to incarnation %016" PRIx64 ", this is %016" PRIx64,
                                    copy.incarnation, water->incarnation);
        }
        is_doubtful = is_doubtful || (whole_count > 0 && !same_vote(&copy, water));
        if (whole_count == 0 || copy.generation > water->generation) {
            water->generation = copy.generation;
            water->mark = copy.mark;
        }
        whole_count++;
    }
    if (whole_count == 0) {
        return complaint_refuse(complaint, RK_CORRUPT, "both copies fail their check");
    }
    if (is_doubtful && write_copy(water) != RK_OK) {
        return complaint_refuse_errno(complaint, "cannot repair");
    }
    return RK_OK;
}

static enum rk_status open_file(const struct complaint *complaint, struct high_water *water,
                                bool *ret_is_new)
{
    water->fd = open(complaint->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    *ret_is_new = water->fd < 0 && errno == ENOENT;
    if (*ret_is_new) {
        const enum rk_status status = create_file(complaint, water->incarnation);
        if (status != RK_OK) {
            return status;
        }
        water->fd = open(complaint->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    }
    if (water->fd < 0) {
        return complaint_refuse_errno(complaint, "cannot open");
    }
    return load(complaint, water);
}

enum rk_status high_water_open(const char *path, uint64_t incarnation, struct high_water **ret,
                               bool *ret_is_new, char *message, size_t message_size)
{
    const struct complaint complaint = {path, message, message_size};
    struct high_water *water = rk_heap_zalloc(1, sizeof(*water));
    bool is_new = false;

    RK_ASSERT(incarnation != 0);
    water->incarnation = incarnation;
    water->fd = -1;
    const enum rk_status status = open_file(&complaint, water, &is_new);
    if (status != RK_OK) {
        high_water_close(water);
        return status;
    }
    *ret = water;
    *ret_is_new = is_new;
    return RK_OK;
}

void high_water_close(struct high_water *water)
{
    if (water == NULL) {
        return;
    }
    if (water->fd >= 0) {
        (void)close(water->fd);
    }
    rk_heap_free(water);
}

/* ---- comparing ---- */

bool high_water_is_reached(const struct high_water_mark *mark, struct raft_entry_id last)
{
    return last.term > mark->last.term ||
           (last.term == mark->last.term && last.index >= mark->last.index);
}

enum rk_status high_water_hard_state(const struct high_water_mark *mark,
                                     const struct raft_hard_state *stored,
                                     struct raft_hard_state *ret)
{
    const struct raft_hard_state *marked = &mark->hard_state;

    if (marked->term != stored->term) {
        *ret = marked->term > stored->term ? *marked : *stored;
        return RK_OK;
    }
    if (marked->vote != 0 && stored->vote != 0 && marked->vote != stored->vote) {
        return RK_CORRUPT;
    }
    *ret = (struct raft_hard_state){stored->term, marked->vote != 0 ? marked->vote : stored->vote};
    return RK_OK;
}
