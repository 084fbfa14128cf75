/* history_internal.h -- between history.c, which knows the witness, and history_search.c. */
#ifndef RK_TESTS_SUPPORT_HISTORY_INTERNAL_H
#define RK_TESTS_SUPPORT_HISTORY_INTERNAL_H

#include "support/history.h"

/* `returned` of an operation whose outcome is open: it may happen at any time after its request. */
#define HISTORY_NEVER UINT64_MAX

/* One operation on its way through the check. */
struct history_item {
    struct history_operation operation;
    size_t number; /* its place in the history */
    size_t slot;   /* of its key: 0, 1, ... */
    bool observes; /* its index says what it met, not what it wrote */
};

/* What a register that holds `*state` makes of the operation: false if it could not give that
 * answer, and `*state` is then unchanged. */
bool history_step(const struct history_operation *operation, uint64_t *state);

/* Decides for the operations of one key: first those that returned, by invocation, then those that
 * are open, by invocation. Sets the verdict, adds to `states`, and names the operation that was due
 * where the longest beginning of an order ends. */
void history_search(const struct history_item *items, size_t count, uint64_t states_max,
                    struct history_result *result);

#endif
