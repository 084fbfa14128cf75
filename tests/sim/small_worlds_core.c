/* A core is a block without pointers into itself, but most of it is room for long logs and many
 * peers. The holes below are never in use in a small world; the rest is copied, and written as a
 * map of the words that are not zero and those words. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft/internal.h"
#include "sim/small_worlds.h"

enum {
    RUNS_USED = 2 * SMALL_LOG_MAX,
    RING_USED = 16,
    READS_USED = 4,
    SPANS_MAX = 2 * SMALL_NODES_MAX + 4,
    WORD = sizeof(uint64_t),
};

struct span {
    size_t from;
    size_t to;
};

/* What lies between the holes, which are given in ascending order. */
static uint32_t spans_of_core(struct span *spans)
{
    uint32_t count = 0;
    size_t from = 0;
    const size_t peers = offsetof(struct raft, peers);
    const struct span holes[] = {
        {offsetof(struct raft, trail.runs[RUNS_USED]),
         offsetof(struct raft, trail) + sizeof(struct trail)},
        {offsetof(struct raft, reads[READS_USED]), offsetof(struct raft, reads[RAFT_READS_MAX])},
    };
    for (uint32_t i = 0; i < sizeof holes / sizeof *holes; i++) {
        RK_ASSERT(from <= holes[i].from);
        spans[count++] = (struct span){from, holes[i].from};
        from = holes[i].to;
    }
    for (uint32_t i = 0; i + 1 < small_bounds.nodes; i++) {
        const size_t peer = peers + i * sizeof(struct progress);
        spans[count++] = (struct span){from, peer + offsetof(struct progress, inflight[RING_USED])};
        from = peer + sizeof(struct progress);
    }
    from = peers + RAFT_MEMBERS_MAX * sizeof(struct progress);
    spans[count++] = (struct span){from, sizeof(struct raft)};
    RK_ASSERT(count <= SPANS_MAX);
    return count;
}

void small_core_copy(struct raft *to, const struct raft *from)
{
    struct span spans[SPANS_MAX];
    const uint32_t count = spans_of_core(spans);

    RK_ASSERT(from->trail.runs_count <= RUNS_USED);
    RK_ASSERT(from->reads_count == 0);
    for (uint32_t i = 0; i < from->peers_count; i++) {
        RK_ASSERT(from->peers[i].inflight_first + from->peers[i].inflight_count <= RING_USED);
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy((uint8_t *)to + spans[i].from, (const uint8_t *)from + spans[i].from,
               spans[i].to - spans[i].from);
    }
}

/* ---- without the zeros ---- */

static uint8_t *put_word(uint8_t *at, uint64_t word)
{
    for (; word >= 0x80; word >>= 7) {
        *at++ = (uint8_t)(word | 0x80);
    }
    *at++ = (uint8_t)word;
    return at;
}

static const uint8_t *get_word(const uint8_t *at, uint64_t *ret)
{
    uint64_t word = 0;
    uint32_t shift = 0;
    for (; *at >= 0x80; at++, shift += 7) {
        word |= (uint64_t)(*at & 0x7f) << shift;
    }
    *ret = word | (uint64_t)*at << shift;
    return at + 1;
}

enum { BLOCK_WORDS = 8, BLOCK = BLOCK_WORDS * WORD };

/* A block is a byte that says which of its words are not zero, then those. */
static uint8_t *pack_block(uint8_t *at, const uint8_t *from, size_t size)
{
    uint64_t words[BLOCK_WORDS] = {0};
    uint64_t any = 0;
    uint8_t *map = at++;

    memcpy(words, from, size);
    *map = 0;
    for (uint32_t i = 0; i < BLOCK_WORDS; i++) {
        any |= words[i];
    }
    for (uint32_t i = 0; any != 0 && i < BLOCK_WORDS; i++) {
        if (words[i] != 0) {
            *map = (uint8_t)(*map | 1U << i);
            at = put_word(at, words[i]);
        }
    }
    return at;
}

static const uint8_t *unpack_block(const uint8_t *at, uint8_t *to, size_t size)
{
    uint64_t words[BLOCK_WORDS] = {0};
    uint32_t map = *at++;

    for (; map != 0; map &= map - 1) {
        at = get_word(at, &words[__builtin_ctz(map)]);
    }
    memcpy(to, words, size);
    return at;
}

static uint8_t *pack_span(uint8_t *at, const void *from, size_t size)
{
    const uint8_t *bytes = from;
    for (; size > BLOCK; bytes += BLOCK, size -= BLOCK) {
        at = pack_block(at, bytes, BLOCK);
    }
    return pack_block(at, bytes, size);
}

static const uint8_t *unpack_span(const uint8_t *at, void *to, size_t size)
{
    uint8_t *bytes = to;
    for (; size > BLOCK; bytes += BLOCK, size -= BLOCK) {
        at = unpack_block(at, bytes, BLOCK);
    }
    return unpack_block(at, bytes, size);
}

uint32_t small_pack(const struct small_place *place, uint8_t *bytes)
{
    struct span spans[SPANS_MAX];
    const uint32_t count = spans_of_core(spans);
    uint8_t *at = pack_span(bytes, &place->world, sizeof place->world);
    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        if (!place->world.nodes[i].is_up) {
            continue;
        }
        for (uint32_t k = 0; k < count; k++) {
            at = pack_span(at, (const uint8_t *)place->cores[i] + spans[k].from,
                           spans[k].to - spans[k].from);
        }
    }
    RK_ASSERT(at - bytes < SMALL_PACKED_MAX);
    return (uint32_t)(at - bytes);
}

void small_unpack(struct small_place *place, const uint8_t *bytes)
{
    struct span spans[SPANS_MAX];
    const uint32_t count = spans_of_core(spans);
    const uint8_t *at = unpack_span(bytes, &place->world, sizeof place->world);
    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        if (!place->world.nodes[i].is_up) {
            continue;
        }
        for (uint32_t k = 0; k < count; k++) {
            at = unpack_span(at, (uint8_t *)place->cores[i] + spans[k].from,
                             spans[k].to - spans[k].from);
        }
    }
}

void small_place_init(struct small_place *place)
{
    *place = (struct small_place){0};
    for (uint32_t i = 0; i < SMALL_NODES_MAX; i++) {
        place->cores[i] = calloc(1, raft_size());
        RK_ASSERT(place->cores[i] != NULL);
    }
}
