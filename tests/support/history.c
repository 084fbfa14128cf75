/* history.c -- the history, the sequential register, and the order that the indexes claim. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "support/history_internal.h"

static const char no_order[] = "no order of this key's operations gives these answers";
static const char in_the_log[] = "a write that was not done is in the log";
static const char out_of_states[] = "the search is out of states";
static const char no_index[] = "an answer without an index";
static const char against_time[] = "the claimed order puts a later operation first";
static const char against_register[] = "no register gives this answer at its claimed place";

/* A run of the check over one history. */
struct check {
    struct history_options options;
    struct history_item *items; /* what counts, sorted as the part at work needs it */
    size_t count;
    size_t slots;
    struct history_result result;
};

/* -- the history -- */

void history_open(struct history *history)
{
    *history = (struct history){.count = 0};
}

void history_close(struct history *history)
{
    free(history->operations);
    history_open(history);
}

void history_clear(struct history *history)
{
    history->count = 0;
}

void history_add(struct history *history, const struct history_operation *operation)
{
    RK_ASSERT(operation->kind >= HISTORY_PUT && operation->kind <= HISTORY_GET);
    RK_ASSERT(operation->outcome >= HISTORY_OK && operation->outcome <= HISTORY_UNKNOWN);
    RK_ASSERT(operation->outcome != HISTORY_OK || operation->returned >= operation->invoked);
    RK_ASSERT(history->count < HISTORY_OPERATIONS_MAX);
    if (history->count == history->capacity) {
        history->capacity = history->capacity == 0 ? 256 : history->capacity * 2;
        history->operations =
            realloc(history->operations, history->capacity * sizeof(*history->operations));
        RK_ASSERT(history->operations != NULL);
    }
    history->operations[history->count] = *operation;
    history->count++;
}

/* -- one operation -- */

static bool is_open(const struct history_operation *operation)
{
    return operation->returned == HISTORY_NEVER;
}

bool history_step(const struct history_operation *operation, uint64_t *state)
{
    const bool is_met = *state == operation->expected;

    switch (operation->kind) {
    case HISTORY_PUT:
        *state = operation->value;
        return true;
    case HISTORY_DELETE:
        *state = 0;
        return true;
    case HISTORY_GET:
        return *state == operation->value;
    case HISTORY_CAS:
        if (!is_open(operation) && operation->did != is_met) {
            return false;
        }
        *state = is_met ? operation->value : *state;
        return true;
    }
    return false;
}

/* Does its index say what it met rather than what it wrote? */
static bool is_observer(const struct check *check, const struct history_operation *operation)
{
    return operation->kind == HISTORY_GET ||
           (check->options.order == HISTORY_BY_VERSION && operation->kind == HISTORY_CAS &&
            !is_open(operation) && !operation->did);
}

/* -- what counts -- */

static int compare(uint64_t left, uint64_t right)
{
    return left < right ? -1 : left > right;
}

/* By key; then what returned, by invocation; then what is open, by invocation. */
static int by_key(const void *a, const void *b)
{
    const struct history_item *left = a;
    const struct history_item *right = b;
    int order = compare(left->operation.key, right->operation.key);

    order = order != 0 ? order : (int)is_open(&left->operation) - (int)is_open(&right->operation);
    order = order != 0 ? order : compare(left->operation.invoked, right->operation.invoked);
    return order != 0 ? order : compare(left->number, right->number);
}

/* Drops what was not done and what was asked without an answer. */
static bool items_take(struct check *check, const struct history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        struct history_item item = {.operation = history->operations[i], .number = i};
        const bool is_unknown = item.operation.outcome == HISTORY_UNKNOWN;
        if (item.operation.outcome == HISTORY_NOT_DONE) {
            if (check->options.order == HISTORY_BY_LOG && item.operation.index != 0) {
                check->result = (struct history_result){.verdict = HISTORY_VIOLATION,
                                                        .reason = in_the_log,
                                                        .key = item.operation.key,
                                                        .operation = i};
                return false;
            }
        } else if (!is_unknown || item.operation.kind != HISTORY_GET) {
            item.operation.returned = is_unknown ? HISTORY_NEVER : item.operation.returned;
            item.observes = is_observer(check, &item.operation);
            check->items[check->count] = item;
            check->count++;
        }
    }
    return true;
}

/* The end of the key's items that begin at `first`, sorted by key. */
static size_t key_end(const struct check *check, size_t first)
{
    size_t end = first;

    while (end < check->count &&
           check->items[end].operation.key == check->items[first].operation.key) {
        end++;
    }
    return end;
}

static void items_sort(struct check *check)
{
    qsort(check->items, check->count, sizeof(*check->items), by_key);
    for (size_t first = 0; first < check->count; check->slots++) {
        const size_t end = key_end(check, first);
        for (; first < end; first++) {
            check->items[first].slot = check->slots;
        }
    }
}

/* -- the witness -- */

/* An order under way. */
struct sweep {
    uint64_t *states;      /* of each slot */
    uint64_t last_invoked; /* of all that came before in the order */
};

/* The index of the write of `value`, from an answer that shows it; 0: nobody saw it. */
static uint64_t index_seen(const struct history_item *items, size_t count, uint64_t value)
{
    for (size_t i = 0; i < count; i++) {
        const struct history_operation *seen = &items[i].operation;
        if (seen->kind == HISTORY_GET && seen->value == value && seen->index != 0) {
            return seen->index;
        }
    }
    return 0;
}

/* Where indexes are versions, whoever saw the value of an open write knows the write's index. */
static void indexes_infer(struct history_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct history_operation *open = &items[i].operation;
        if (is_open(open) && open->kind != HISTORY_DELETE && open->index == 0) {
            open->index = index_seen(items, count, open->value);
        }
    }
}

/* By claimed index, a write before what saw it; what has no index last. */
static int by_claim(const void *a, const void *b)
{
    const struct history_item *left = a;
    const struct history_item *right = b;
    int order = compare(left->operation.index - 1, right->operation.index - 1); /* 0 goes last */

    order = order != 0 ? order : (int)left->observes - (int)right->observes;
    order = order != 0 ? order : compare(left->operation.invoked, right->operation.invoked);
    return order != 0 ? order : compare(left->number, right->number);
}

/* An open delete shows only by what it left: nothing. Takes the first that can have come before
 * `item`, if there is one; `items` are those of one key. */
static void open_delete_take(struct sweep *sweep, struct history_item *items, size_t count,
                             const struct history_item *item)
{
    struct history_operation *first = NULL;

    for (size_t i = count; i > 0 && items[i - 1].operation.index == 0; i--) {
        struct history_operation *open = &items[i - 1].operation;
        if (open->kind == HISTORY_DELETE && open->invoked <= item->operation.returned &&
            (first == NULL || open->invoked < first->invoked)) {
            first = open;
        }
    }
    if (first != NULL) {
        first->kind = HISTORY_GET; /* used; without an index it is passed over */
        sweep->states[item->slot] = 0;
        sweep->last_invoked =
            first->invoked > sweep->last_invoked ? first->invoked : sweep->last_invoked;
    }
}

static bool saw_nothing(const struct history_operation *operation)
{
    return (operation->kind == HISTORY_GET && operation->value == 0) ||
           (operation->kind == HISTORY_CAS && operation->did && operation->expected == 0);
}

/* Puts `item` next in the order; why that cannot be, or NULL. */
static const char *sweep_over(struct sweep *sweep, const struct history_item *item)
{
    const struct history_operation *operation = &item->operation;

    if (operation->returned < sweep->last_invoked) {
        return against_time;
    }
    if (!history_step(operation, &sweep->states[item->slot])) {
        return against_register;
    }
    if (operation->invoked > sweep->last_invoked) {
        sweep->last_invoked = operation->invoked;
    }
    return NULL;
}

/* Who met no value knows no write's index, only one between the delete and the next write, or of a
 * time when there was none: it belongs right after the last write before. `items` are those of one
 * key, sorted by claim. */
static void claims_round_down(struct history_item *items, size_t count)
{
    uint64_t written = 1;
    bool is_there = false;

    for (size_t i = 0; i < count && items[i].operation.index != 0; i++) {
        const bool is_delete = items[i].operation.kind == HISTORY_DELETE;
        if (items[i].observes || (is_delete && !is_there)) {
            items[i].operation.index = written;
            items[i].observes = true;
        } else {
            written = items[i].operation.index;
            is_there = !is_delete;
        }
    }
    qsort(items, count, sizeof(*items), by_claim);
}

/* Is the claimed order of these items, of one key or of all, a witness? Leaves them changed. */
static bool is_witness(struct check *check, struct history_item *items, size_t count,
                       uint64_t *states)
{
    struct sweep sweep = {.states = states};
    const bool by_version = check->options.order == HISTORY_BY_VERSION;

    qsort(items, count, sizeof(*items), by_claim);
    if (by_version) {
        claims_round_down(items, count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct history_operation *operation = &items[i].operation;
        const char *reason = no_index;
        if (operation->index == 0 && is_open(operation)) {
            continue; /* it need not have happened */
        }
        if (operation->index != 0) {
            if (by_version && saw_nothing(operation) && states[items[i].slot] != 0) {
                open_delete_take(&sweep, items, count, &items[i]);
            }
            reason = sweep_over(&sweep, &items[i]);
        }
        if (reason != NULL) {
            check->result.by_witness = false;
            check->result.reason = reason;
            check->result.key = operation->key;
            check->result.operation = items[i].number;
            return false;
        }
    }
    return true;
}

/* The same for `count` of the check's items from `first` on, which stay as they are. */
static bool is_witnessed(struct check *check, size_t first, size_t count, uint64_t *states)
{
    struct history_item *copy = malloc((count + 1) * sizeof(*copy));

    RK_ASSERT(copy != NULL);
    memcpy(copy, check->items + first, count * sizeof(*copy));
    if (check->options.order == HISTORY_BY_VERSION) {
        indexes_infer(copy, count);
    }
    const bool is_proof = is_witness(check, copy, count, states);
    free(copy);
    return is_proof;
}

/* -- the search -- */

/* Would a value that no get shows be missed? Only by who compares with it, or found another value
 * than it expected. */
static bool is_needed(const struct history_item *items, size_t count, uint64_t value)
{
    for (size_t i = 0; i < count; i++) {
        const struct history_operation *other = &items[i].operation;
        if ((other->kind == HISTORY_GET && other->value == value) ||
            (other->kind == HISTORY_CAS &&
             (other->expected == value || (!is_open(other) && !other->did)))) {
            return true;
        }
    }
    return false;
}

/* Leaves out the open writes that explain nothing: each would double the search. */
static size_t items_thin(struct history_item *items, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        const struct history_operation *operation = &items[i].operation;
        if (!is_open(operation) || operation->kind == HISTORY_DELETE ||
            is_needed(items, count, operation->value)) {
            items[kept] = items[i];
            kept++;
        }
    }
    return kept;
}

/* False ends the check: these items of one key are not linearizable, or undecided. `items` are
 * sorted by key, and are left changed. */
static bool key_search(struct check *check, struct history_item *items, size_t count)
{
    const uint64_t states_max =
        check->options.states_max != 0 ? check->options.states_max : HISTORY_STATES_MAX;
    struct history_result found = {.states = check->result.states};

    history_search(items, items_thin(items, count), states_max, &found);
    check->result.states = found.states;
    if (found.verdict == HISTORY_LINEARIZABLE) {
        return true;
    }
    check->result.verdict = found.verdict;
    check->result.reason = found.verdict == HISTORY_VIOLATION ? no_order : out_of_states;
    check->result.key = items[0].operation.key;
    check->result.operation = found.operation;
    return false;
}

/* -- both -- */

static void check_run(struct check *check, uint64_t *states)
{
    const bool may_ask = !check->options.hide_indexes;
    const bool by_version = check->options.order == HISTORY_BY_VERSION;

    check->result.by_witness = may_ask;
    if (may_ask && !by_version && is_witnessed(check, 0, check->count, states)) {
        return;
    }
    for (size_t first = 0; first < check->count;) {
        const size_t count = key_end(check, first) - first;
        if (!(may_ask && by_version && is_witnessed(check, first, count, states)) &&
            !key_search(check, check->items + first, count)) {
            return;
        }
        first += count;
    }
}

struct history_result history_check(const struct history *history,
                                    const struct history_options *options)
{
    struct check check = {
        .options = *options,
        .result = {.verdict = HISTORY_LINEARIZABLE, .reason = "", .operation = history->count},
    };

    check.items = calloc(history->count + 1, sizeof(*check.items));
    RK_ASSERT(check.items != NULL);
    if (items_take(&check, history)) {
        items_sort(&check);
        uint64_t *states = calloc(check.slots + 1, sizeof(*states));
        RK_ASSERT(states != NULL);
        check_run(&check, states);
        free(states);
    }
    free(check.items);
    return check.result;
}
