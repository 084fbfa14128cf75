/* What the clients saw, judged as a whole by a checker that knows nothing of this simulator
 * (tests/support/history.h): by the indexes that the answers claim, and for some runs by search
 * without them. */
#include "sim/sim.h"
#include "support/history.h"

enum { SEARCHED_ONE_IN = 32, SEARCH_STATES_MAX = 20000 };

static const uint64_t no_value = UINT32_MAX; /* that nobody ever writes */

/* The value that a compare-and-set by index is about: every version has another one. */
static uint64_t expected_value(const struct sim *sim, const struct sim_op *op)
{
    if (op->cas == 0) {
        return 0;
    }
    const struct sim_version version = oracle_spec_at(sim, op->key, op->cas);
    return version.modify_index == op->cas ? version.value : no_value;
}

static enum history_kind kind_of(const struct sim_op *op)
{
    switch ((enum sim_op_kind)op->kind) {
    case OP_PUT:
        return HISTORY_PUT;
    case OP_CAS:
        return HISTORY_CAS;
    case OP_DELETE:
        return HISTORY_DELETE;
    case OP_GET:
    case OP_GET_FOLLOWER:
    case OP_GET_STALE:
    case OP_KINDS:
        break;
    }
    return HISTORY_GET;
}

static bool is_read(const struct sim_op *op)
{
    return kind_of(op) == HISTORY_GET;
}

/* What the log does not hold at the end of all things never happens any more. */
static enum history_outcome outcome_of(const struct sim_op *op)
{
    if (op->outcome == OUTCOME_OK) {
        return HISTORY_OK;
    }
    if (op->outcome == OUTCOME_NOT_DONE || (!is_read(op) && op->entry == 0)) {
        return HISTORY_NOT_DONE;
    }
    return HISTORY_UNKNOWN;
}

static void add(const struct sim *sim, struct history *history, const struct sim_op *op)
{
    const bool has_returned = op->outcome != OUTCOME_OPEN;
    struct history_operation operation = {
        .invoked = op->invoked_us,
        .returned = has_returned ? op->returned_us : sim->now_us,
        .key = op->key,
        .index = !is_read(op)                ? op->entry
                 : op->outcome == OUTCOME_OK ? op->index
                                             : 0,
        .value = is_read(op) && !op->did ? 0 : op->value,
        .kind = kind_of(op),
        .outcome = outcome_of(op),
        .did = op->did,
        .client = op->client,
    };
    if (op->kind == OP_DELETE) {
        operation.value = 0;
    } else if (op->kind == OP_CAS) {
        operation.expected = expected_value(sim, op);
    }
    history_add(history, &operation);
}

static void search(struct sim *sim, const struct history *history)
{
    const struct history_options hidden = {
        .order = HISTORY_BY_LOG, .hide_indexes = true, .states_max = SEARCH_STATES_MAX};
    const struct history_result result = history_check(history, &hidden);
    if (result.verdict == HISTORY_VIOLATION) {
        sim_fail(sim, "history", NULL, "key %llu, operation %llu: %s",
                 (unsigned long long)result.key, (unsigned long long)result.operation,
                 result.reason);
    }
    sim->counts->histories_searched += result.verdict == HISTORY_LINEARIZABLE;
}

void oracle_history(struct sim *sim)
{
    static struct history history;
    const struct history_options options = {.order = HISTORY_BY_LOG,
                                            .states_max = SEARCH_STATES_MAX};
    if (history.capacity == 0) {
        history_open(&history);
    }
    history_clear(&history);
    for (uint32_t at = 0; at < sim->ops_count; at++) {
        if (sim->ops[at].kind != OP_GET_STALE) {
            add(sim, &history, &sim->ops[at]);
        }
    }
    const struct history_result result = history_check(&history, &options);
    if (result.verdict != HISTORY_LINEARIZABLE || !result.by_witness) {
        sim_fail(sim, "history", NULL, "key %llu, operation %llu: %s",
                 (unsigned long long)result.key, (unsigned long long)result.operation,
                 result.verdict == HISTORY_LINEARIZABLE ? "the claimed indexes are no witness"
                                                        : result.reason);
    }
    sim->counts->histories_proved++;
    if (sim->trace_hash % SEARCHED_ONE_IN == 0) {
        search(sim, &history);
    }
}
