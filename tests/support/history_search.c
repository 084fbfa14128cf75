/* history_search.c -- the search for an order of one key's operations.
 *
 * Depth first: next may come any operation that no open one returned before. What was tried is
 * remembered as the pair of the set of operations done and the value they leave (Lowe's memo): the
 * same pair again leads where it led before. Operations of unknown outcome are tried last, and need
 * not happen at all.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "support/history_internal.h"

enum { NOBODY = -1, MEMO_SLOTS_MIN = 1 << 10, MEMO_WORDS_MAX = 1 << 24 };

/* Sets of operations that were done with the value they left: `words` for each, the value last. */
struct memo {
    uint64_t *table; /* slots of `words`; a free slot's first word of `taken` is 0 */
    uint8_t *taken;
    size_t words;
    size_t slots; /* a power of two */
    size_t count;
};

struct choice {
    int operation;
    uint64_t state; /* before it */
};

struct search {
    const struct history_item *items;
    int count; /* of `items`: the first `definite` returned, the others are open */
    int definite;
    int left; /* definite ones that are not done */
    int head; /* the list of what is not done: head, definite ones, middle, open ones */
    int middle;
    int *next;
    int *previous;
    struct choice *choices;
    int depth;
    int deepest;
    int stuck; /* the operation that was due when the search was deepest */
    uint64_t *done;
    struct memo memo;
};

/* -- the memo -- */

static uint64_t words_hash(const uint64_t *words, size_t count)
{
    uint64_t hash = 0x9e3779b97f4a7c15U;

    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ words[i]) * 0xbf58476d1ce4e5b9U;
        hash ^= hash >> 29;
    }
    return hash;
}

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    RK_ASSERT(memory != NULL);
    return memory;
}

/* The slot that holds `words`, or the free one where they belong. */
static size_t memo_slot(const struct memo *memo, const uint64_t *words)
{
    size_t slot = words_hash(words, memo->words) & (memo->slots - 1);

    while (memo->taken[slot] != 0 &&
           memcmp(memo->table + slot * memo->words, words, memo->words * sizeof(*words)) != 0) {
        slot = (slot + 1) & (memo->slots - 1);
    }
    return slot;
}

static void memo_open(struct memo *memo, size_t words, size_t slots)
{
    *memo = (struct memo){.words = words, .slots = slots};
    memo->table = take(slots * words, sizeof(*memo->table));
    memo->taken = take(slots, sizeof(*memo->taken));
}

static void memo_close(struct memo *memo)
{
    free(memo->table);
    free(memo->taken);
}

static void memo_grow(struct memo *memo)
{
    struct memo larger;

    memo_open(&larger, memo->words, memo->slots * 2);
    for (size_t i = 0; i < memo->slots; i++) {
        const uint64_t *words = memo->table + i * memo->words;
        if (memo->taken[i] != 0) {
            const size_t slot = memo_slot(&larger, words);
            larger.taken[slot] = 1;
            memcpy(larger.table + slot * larger.words, words, larger.words * sizeof(*words));
        }
    }
    larger.count = memo->count;
    memo_close(memo);
    *memo = larger;
}

/* False if they were there. */
static bool memo_insert(struct memo *memo, const uint64_t *words)
{
    const size_t slot = memo_slot(memo, words);

    if (memo->taken[slot] != 0) {
        return false;
    }
    memo->taken[slot] = 1;
    memcpy(memo->table + slot * memo->words, words, memo->words * sizeof(*words));
    memo->count++;
    if (memo->count * 2 > memo->slots) {
        memo_grow(memo);
    }
    return true;
}

/* -- the list of what is not done -- */

static const struct history_operation *at(const struct search *search, int place)
{
    return &search->items[place].operation;
}

static void list_take(struct search *search, int place)
{
    search->next[search->previous[place]] = search->next[place];
    search->previous[search->next[place]] = search->previous[place];
    search->left -= place < search->definite ? 1 : 0;
}

static void list_put_back(struct search *search, int place)
{
    search->next[search->previous[place]] = place;
    search->previous[search->next[place]] = place;
    search->left += place < search->definite ? 1 : 0;
}

/* The first return among what is not done: nothing that was invoked later can come next. */
static uint64_t horizon_find(const struct search *search, int *due)
{
    uint64_t horizon = HISTORY_NEVER;

    for (int place = search->next[search->head];
         place != search->middle && at(search, place)->invoked <= horizon;
         place = search->next[place]) {
        if (at(search, place)->returned < horizon) {
            horizon = at(search, place)->returned;
            *due = place;
        }
    }
    return horizon;
}

/* From `place` on, the first that could come next; NOBODY: none. */
static int candidate_from(const struct search *search, int place, uint64_t horizon)
{
    if (place < search->definite && at(search, place)->invoked > horizon) {
        place = search->middle;
    }
    if (place == search->middle) {
        place = search->next[place];
    }
    if (place == search->head || at(search, place)->invoked > horizon) {
        return NOBODY;
    }
    return place;
}

/* -- the search -- */

static void bit_flip(struct search *search, int place)
{
    search->done[place / 64] ^= (uint64_t)1 << (place % 64);
}

/* Does the operation at `place` if a register could, and if that leads anywhere new. */
static bool choose(struct search *search, int place, uint64_t *state)
{
    const struct choice choice = {.operation = place, .state = *state};
    uint64_t after = *state;

    if (!history_step(at(search, place), &after) ||
        (place >= search->definite && after == *state)) {
        return false; /* what is open and changes nothing need not happen */
    }
    bit_flip(search, place);
    search->done[search->memo.words - 1] = after;
    if (!memo_insert(&search->memo, search->done)) {
        bit_flip(search, place);
        return false;
    }
    search->choices[search->depth] = choice;
    search->depth++;
    list_take(search, place);
    *state = after;
    return true;
}

/* Takes the last choice back; where the next one to try begins. */
static int choose_again(struct search *search, uint64_t *state)
{
    search->depth--;
    const struct choice *choice = &search->choices[search->depth];
    bit_flip(search, choice->operation);
    list_put_back(search, choice->operation);
    *state = choice->state;
    return search->next[choice->operation];
}

static enum history_verdict run(struct search *search, uint64_t states_max)
{
    uint64_t state = 0;
    int place = search->next[search->head];

    while (search->left > 0) {
        int due = search->stuck;
        const uint64_t horizon = horizon_find(search, &due);
        if (search->depth >= search->deepest) {
            search->deepest = search->depth;
            search->stuck = due;
        }
        place = candidate_from(search, place, horizon);
        if (place == NOBODY) {
            if (search->depth == 0) {
                return HISTORY_VIOLATION;
            }
            place = choose_again(search, &state);
        } else if (choose(search, place, &state)) {
            place = search->next[search->head];
        } else {
            place = search->next[place];
        }
        if (search->memo.count > states_max ||
            search->memo.count * search->memo.words > MEMO_WORDS_MAX) {
            return HISTORY_UNDECIDED;
        }
    }
    return HISTORY_LINEARIZABLE;
}

static void search_open(struct search *search)
{
    const size_t places = (size_t)search->count + 2;
    const size_t words = (size_t)search->count / 64 + 2;

    search->next = take(places, sizeof(*search->next));
    search->previous = take(places, sizeof(*search->previous));
    search->choices = take(places, sizeof(*search->choices));
    search->done = take(words, sizeof(*search->done));
    memo_open(&search->memo, words, MEMO_SLOTS_MIN);
    while (search->definite < search->count &&
           at(search, search->definite)->returned != HISTORY_NEVER) {
        search->definite++;
    }
    search->left = search->definite;
    search->head = search->count;
    search->middle = search->count + 1;
    int last = search->head;
    for (int i = 0; i <= search->count; i++) {
        const int place = i < search->definite ? i : i == search->definite ? search->middle : i - 1;
        search->next[last] = place;
        search->previous[place] = last;
        last = place;
    }
    search->next[last] = search->head;
    search->previous[search->head] = last;
}

static void search_close(struct search *search)
{
    memo_close(&search->memo);
    free(search->done);
    free(search->choices);
    free(search->previous);
    free(search->next);
}

void history_search(const struct history_item *items, size_t count, uint64_t states_max,
                    struct history_result *result)
{
    struct search search = {.items = items, .count = (int)count};

    RK_ASSERT(count <= HISTORY_OPERATIONS_MAX);
    search_open(&search);
    result->verdict = run(&search, states_max);
    result->states += search.memo.count;
    if (result->verdict != HISTORY_LINEARIZABLE) {
        result->operation = items[search.stuck].number;
    }
    search_close(&search);
}
