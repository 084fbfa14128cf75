/* check_history.c -- judges a history of the fault runs.
 *
 *   check-history [--search] FILE
 *
 * FILE has an operation a line (support/history_text.h), its indexes versions of keys. Prints
 *   operations=N witness=yes|no states=N verdict=linearizable|violation|undecided
 * and, unless the indexes are the proof, why, and all operations of a key in question. Exit: 0
 * linearizable, 1 not, 2 undecided or not a history. --search: as if no index were known.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support/history.h"
#include "support/history_text.h"

static bool history_read(struct history *history, FILE *file)
{
    char line[HISTORY_LINE_SIZE];
    struct history_operation operation;

    while (fgets(line, sizeof(line), file) != NULL) {
        if (!history_parse(line, &operation)) {
            (void)fprintf(stderr, "check-history: not an operation: %s", line);
            return false;
        }
        history_add(history, &operation);
    }
    return ferror(file) == 0;
}

static void explain(const struct history *history, const struct history_result *result)
{
    char line[HISTORY_LINE_SIZE];

    (void)printf("key %" PRIu64 ": %s\n", result->key, result->reason);
    for (size_t i = 0; i < history->count; i++) {
        if (history->operations[i].key == result->key) {
            history_print(&history->operations[i], line);
            (void)printf("  %s%s\n", line, i == result->operation ? "   <--" : "");
        }
    }
}

static int judge(const struct history *history, bool is_search)
{
    static const char *const names[] = {"", "linearizable", "violation", "undecided"};
    const struct history_options options = {.order = HISTORY_BY_VERSION, .hide_indexes = is_search};
    const struct history_result result = history_check(history, &options);

    (void)printf("operations=%zu witness=%s states=%" PRIu64 " verdict=%s\n", history->count,
                 result.by_witness ? "yes" : "no", result.states, names[result.verdict]);
    if (result.verdict != HISTORY_LINEARIZABLE || !result.by_witness) {
        explain(history, &result);
    }
    if (result.verdict == HISTORY_LINEARIZABLE) {
        return 0;
    }
    return result.verdict == HISTORY_VIOLATION ? 1 : 2;
}

int main(int argc, char **argv)
{
    const bool is_search = argc == 3 && strcmp(argv[1], "--search") == 0;
    struct history history;
    FILE *file = argc == 2 || is_search ? fopen(argv[argc - 1], "r") : NULL;

    if (file == NULL) {
        (void)fprintf(stderr, "usage: check-history [--search] FILE\n");
        return 2;
    }
    history_open(&history);
    const int status = history_read(&history, file) ? judge(&history, is_search) : 2;
    history_close(&history);
    (void)fclose(file);
    return status;
}
