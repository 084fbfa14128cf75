/* run.c -- replays scenario transcripts.
 *
 * A transcript is blocks of commands, "----", and the trace that the commands must produce up to
 * the next blank line; '#' begins a comment. Differences are printed and fail; with --update the
 * files are rewritten with what happened, for review by eye.
 *
 *   tests/scenarios/run [--update] [FILE...]      without files: all of tests/scenarios
 *
 * Trace: time, node, what it did. "-> 2" is a message that left for node 2. Entries are written
 * index^term.
 */
#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/raft_cluster.h"

enum { LINE_SIZE_MAX = 512, WORDS_MAX = 16 };

struct scenario {
    const char *path;
    struct cluster *cluster;
    FILE *trace; /* of the block under way */
    uint32_t line;
};

struct words {
    uint32_t count;
    char *at[WORDS_MAX];
};

_Noreturn __attribute__((format(printf, 2, 3))) static void fail(const struct scenario *scenario,
                                                                 const char *format, ...)
{
    va_list arguments;
    (void)fprintf(stderr, "%s:%" PRIu32 ": ", scenario->path, scenario->line);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

/* ---- words ---- */

static uint64_t number(const struct scenario *scenario, const char *text)
{
    char *end = NULL;
    const uint64_t value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fail(scenario, "not a number: %s", text);
    }
    return value;
}

static uint64_t argument(const struct scenario *scenario, const struct words *words, uint32_t at)
{
    if (at >= words->count) {
        fail(scenario, "%s: an argument is missing", words->at[0]);
    }
    return number(scenario, words->at[at]);
}

/* The value of NAME=VALUE among the words, or NULL. */
static char *option(const struct words *words, const char *name)
{
    const size_t size = strlen(name);
    for (uint32_t i = 1; i < words->count; i++) {
        if (strncmp(words->at[i], name, size) == 0 && words->at[i][size] == '=') {
            return words->at[i] + size + 1;
        }
    }
    return NULL;
}

static uint64_t option_number(const struct scenario *scenario, const struct words *words,
                              const char *name, uint64_t otherwise)
{
    const char *value = option(words, name);
    return value == NULL ? otherwise : number(scenario, value);
}

static uint32_t option_ids(const struct scenario *scenario, const struct words *words,
                           const char *name, raft_node_id *ids, uint32_t ids_max)
{
    char *rest = option(words, name);
    uint32_t count = 0;
    for (char *id = rest; rest != NULL; id = rest) {
        char *comma = strchr(id, ',');
        rest = comma == NULL ? NULL : comma + 1;
        if (comma != NULL) {
            *comma = '\0';
        }
        if (count == ids_max) {
            fail(scenario, "%s: too many", name);
        }
        ids[count] = number(scenario, id);
        count++;
    }
    return count;
}

static enum raft_message_type message_type(const struct scenario *scenario, const char *name)
{
    static const struct {
        const char *name;
        enum raft_message_type type;
    } types[] = {
        {"vote_request", RAFT_VOTE_REQUEST},
        {"vote_response", RAFT_VOTE_RESPONSE},
        {"append_request", RAFT_APPEND_REQUEST},
        {"append_response", RAFT_APPEND_RESPONSE},
        {"heartbeat", RAFT_HEARTBEAT_REQUEST},
        {"heartbeat_response", RAFT_HEARTBEAT_RESPONSE},
        {"timeout_now", RAFT_TIMEOUT_NOW},
        {"snapshot_request", RAFT_SNAPSHOT_REQUEST},
        {"snapshot_response", RAFT_SNAPSHOT_RESPONSE},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, name) == 0) {
            return types[i].type;
        }
    }
    fail(scenario, "no such message: %s", name);
}

/* ---- commands ---- */

static void report(struct scenario *scenario, const char *what, enum rk_status status)
{
    if (status != RK_OK) {
        (void)fprintf(scenario->trace, "%s: %s\n", what, rk_status_text(status));
    }
}

static void do_nodes(struct scenario *scenario, const struct words *words)
{
    if (scenario->cluster != NULL) {
        fail(scenario, "a second cluster");
    }
    const uint32_t latency_ms = (uint32_t)option_number(scenario, words, "latency_ms", 5);
    const uint32_t persist_ms = (uint32_t)option_number(scenario, words, "persist_ms", 1);
    scenario->cluster = cluster_new(&(struct cluster_options){
        .nodes_count = (uint32_t)argument(scenario, words, 1),
        .spares_count = (uint32_t)option_number(scenario, words, "spares", 0),
        .seed = option_number(scenario, words, "seed", 1),
        .no_pre_vote = option_number(scenario, words, "pre_vote", 1) == 0,
        .no_check_quorum = option_number(scenario, words, "check_quorum", 1) == 0,
        .lease_ms = (uint32_t)option_number(scenario, words, "lease_ms", 0),
        .append_entries_max = (uint32_t)option_number(scenario, words, "append_entries_max", 0),
        .latency_ms_min = latency_ms,
        .latency_ms_max = latency_ms,
        .persist_ms_min = persist_ms,
        .persist_ms_max = persist_ms,
    });
    scenario->cluster->trace = scenario->trace;
}

static void do_log(struct scenario *scenario, const struct words *words)
{
    raft_term terms[WORDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 2; i < words->count && strchr(words->at[i], '=') == NULL; i++) {
        terms[count] = argument(scenario, words, i);
        count++;
    }
    const raft_node_id id = argument(scenario, words, 1);
    FILE *trace = scenario->cluster->trace;
    scenario->cluster->trace = NULL; /* a beginning, nothing that happens */
    cluster_set_log(scenario->cluster, id, terms, count);
    if (option(words, "term") != NULL) {
        cluster_crash(scenario->cluster, id);
        cluster_node(scenario->cluster, id)->disk_state.term =
            option_number(scenario, words, "term", 0);
        cluster_start(scenario->cluster, id);
    }
    scenario->cluster->trace = trace;
}

static void do_config(struct scenario *scenario, const struct words *words)
{
    struct raft_config config = {0};
    config.voters_count = option_ids(scenario, words, "voters", config.voters, RAFT_VOTERS_MAX);
    config.old_voters_count =
        option_ids(scenario, words, "old_voters", config.old_voters, RAFT_VOTERS_MAX);
    config.learners_count =
        option_ids(scenario, words, "learners", config.learners, RAFT_LEARNERS_MAX);
    report(scenario, "config",
           cluster_propose_config(scenario->cluster, argument(scenario, words, 1), &config));
}

static void do_show(struct scenario *scenario)
{
    for (uint32_t i = 0; i < scenario->cluster->nodes_count; i++) {
        struct cluster_node *node = &scenario->cluster->nodes[i];
        if (!node->is_up) {
            (void)fprintf(scenario->trace, "%" PRIu64 " down\n", node->id);
            continue;
        }
        const struct raft_view view = raft_view(node->raft);
        (void)fprintf(scenario->trace,
                      "%" PRIu64 " %s term=%" PRIu64 " leader=%" PRIu64 " commit=%" PRIu64 " log",
                      node->id, raft_role_name(view.role), view.hard_state.term, view.leader,
                      view.commit_index);
        if (node->log->base > 0) {
            (void)fprintf(scenario->trace, " ..%" PRIu64, node->log->base);
        }
        for (uint32_t at = (uint32_t)node->log->base; at < node->log->count; at++) {
            (void)fprintf(scenario->trace, " %" PRIu64 "^%" PRIu64, node->log->entries[at].id.index,
                          node->log->entries[at].id.term);
        }
        (void)fputc('\n', scenario->trace);
    }
}

/* May the node answer a read now without asking? */
static void do_lease(struct scenario *scenario, raft_node_id id)
{
    const struct cluster *cluster = scenario->cluster;
    const uint64_t end_ms = cluster_view(scenario->cluster, id).lease_end_ms;
    const uint64_t now_ms = cluster->now_ms + cluster->asleep_ms + 1;
    if (end_ms > now_ms) {
        (void)fprintf(scenario->trace, "%" PRIu64 " has a lease for %" PRIu64 " ms\n", id,
                      end_ms - now_ms);
    } else {
        (void)fprintf(scenario->trace, "%" PRIu64 " has no lease\n", id);
    }
}

static void do_message(struct scenario *scenario, const struct words *words)
{
    const enum raft_message_type type =
        message_type(scenario, words->count > 1 ? words->at[1] : "");
    const raft_node_id from = argument(scenario, words, 2);
    const raft_node_id to = argument(scenario, words, 3);
    if (strcmp(words->at[0], "drop") == 0) {
        if (cluster_drop(scenario->cluster, type, from, to) == 0) {
            fail(scenario, "there is nothing to drop");
        }
    } else if (!cluster_deliver(scenario->cluster, type, from, to)) {
        fail(scenario, "there is nothing to deliver");
    }
}

/* Commands with one or two numbers; false when it is none of them. */
static bool do_numbers(struct scenario *scenario, const struct words *words)
{
    struct cluster *cluster = scenario->cluster;
    const char *name = words->at[0];
    const uint64_t first = argument(scenario, words, 1);
    if (strcmp(name, "elapse") == 0) {
        cluster_elapse(cluster, first);
    } else if (strcmp(name, "timeout") == 0) {
        cluster_await_deadline(cluster, first);
    } else if (strcmp(name, "persist") == 0) {
        cluster_persist(cluster, first);
    } else if (strcmp(name, "isolate") == 0) {
        cluster_isolate(cluster, first);
    } else if (strcmp(name, "crash") == 0) {
        cluster_crash(cluster, first);
    } else if (strcmp(name, "start") == 0) {
        cluster_start(cluster, first);
    } else if (strcmp(name, "propose") == 0) {
        report(scenario, name, cluster_propose(cluster, first, argument(scenario, words, 2)));
    } else if (strcmp(name, "read") == 0) {
        report(scenario, name, cluster_read(cluster, first, argument(scenario, words, 2)));
    } else if (strcmp(name, "transfer") == 0) {
        report(scenario, name, cluster_transfer(cluster, first, argument(scenario, words, 2)));
    } else if (strcmp(name, "compact") == 0) {
        cluster_compact(cluster, first, argument(scenario, words, 2), argument(scenario, words, 3));
    } else if (strcmp(name, "install") == 0) {
        report(scenario, name, cluster_install(cluster, first));
    } else if (strcmp(name, "lease") == 0) {
        do_lease(scenario, first);
    } else if (strcmp(name, "cut") == 0) {
        cluster_cut(cluster, first, argument(scenario, words, 2));
    } else {
        return false;
    }
    return true;
}

static void do_manual(struct scenario *scenario, bool is_manual)
{
    scenario->cluster->options.is_network_manual = is_manual;
    scenario->cluster->options.is_disk_manual = is_manual;
}

static void do_command(struct scenario *scenario, const struct words *words)
{
    const char *name = words->at[0];
    if (strcmp(name, "nodes") == 0) {
        do_nodes(scenario, words);
        return;
    }
    if (scenario->cluster == NULL) {
        fail(scenario, "\"nodes\" comes first");
    }
    if (strcmp(name, "log") == 0) {
        do_log(scenario, words);
    } else if (strcmp(name, "config") == 0) {
        do_config(scenario, words);
    } else if (strcmp(name, "show") == 0) {
        do_show(scenario);
    } else if (strcmp(name, "heal") == 0) {
        cluster_heal(scenario->cluster);
    } else if (strcmp(name, "manual") == 0 || strcmp(name, "automatic") == 0) {
        do_manual(scenario, strcmp(name, "manual") == 0);
    } else if (strcmp(name, "heartbeats") == 0) {
        scenario->cluster->is_heartbeat_traced = true;
    } else if (strcmp(name, "deliver") == 0 || strcmp(name, "drop") == 0) {
        do_message(scenario, words);
    } else if (!do_numbers(scenario, words)) {
        fail(scenario, "no such command: %s", name);
    }
}

/* ---- files ---- */

static void run_line(struct scenario *scenario, const char *line)
{
    char copy[LINE_SIZE_MAX];
    struct words words = {0};
    char *rest = NULL;
    (void)snprintf(copy, sizeof copy, "%s", line);
    copy[strcspn(copy, "#\n")] = '\0';
    for (char *word = strtok_r(copy, " ", &rest); word != NULL && words.count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest)) {
        words.at[words.count] = word;
        words.count++;
    }
    if (words.count > 0) {
        do_command(scenario, &words);
    }
}

static void set_trace(struct scenario *scenario, FILE *trace)
{
    scenario->trace = trace;
    if (scenario->cluster != NULL) {
        scenario->cluster->trace = trace;
    }
}

/* Reads `in`, writes to `out` the same commands with the trace they produce now. */
static void replay(struct scenario *scenario, FILE *in, FILE *out)
{
    char line[LINE_SIZE_MAX];
    bool is_trace = false;
    char *text = NULL;
    size_t size = 0;
    set_trace(scenario, open_memstream(&text, &size));
    while (fgets(line, sizeof line, in) != NULL) {
        scenario->line++;
        if (strncmp(line, "----", 4) == 0) {
            (void)fputs(line, out);
            (void)fclose(scenario->trace);
            (void)fputs(text, out);
            free(text);
            set_trace(scenario, open_memstream(&text, &size));
            is_trace = true;
        } else if (line[0] == '\n') {
            (void)fputs(line, out);
            is_trace = false;
        } else if (!is_trace) {
            (void)fputs(line, out);
            run_line(scenario, line);
        }
    }
    if (scenario->cluster != NULL) {
        scenario->cluster->trace = NULL;
        cluster_free(scenario->cluster);
        scenario->cluster = NULL;
    }
    (void)fclose(scenario->trace);
    free(text);
}

/* Prints the first line that differs. */
static void print_difference(const char *path, const char *was, const char *is)
{
    uint32_t line = 1;
    while (*was != '\0' || *is != '\0') {
        const size_t was_size = strcspn(was, "\n");
        const size_t is_size = strcspn(is, "\n");
        if (was_size != is_size || memcmp(was, is, was_size) != 0) {
            (void)fprintf(stderr, "%s:%" PRIu32 ":\n  expected: %.*s\n  happened: %.*s\n", path,
                          line, (int)was_size, was, (int)is_size, is);
            return;
        }
        was += was_size + (was[was_size] != '\0');
        is += is_size + (is[is_size] != '\0');
        line++;
    }
}

static char *read_all(FILE *file)
{
    char *text = NULL;
    size_t size = 0;
    FILE *copy = open_memstream(&text, &size);
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        (void)fputc(c, copy);
    }
    (void)fclose(copy);
    return text;
}

static bool run_file(const char *path, bool is_update)
{
    struct scenario scenario = {.path = path};
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        fail(&scenario, "cannot be read");
    }
    char *was = read_all(in);
    rewind(in);
    char *is = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&is, &size);
    replay(&scenario, in, out);
    (void)fclose(in);
    (void)fclose(out);
    const bool is_same = strcmp(was, is) == 0;
    if (!is_same && is_update) {
        FILE *file = fopen(path, "w");
        if (file == NULL || fputs(is, file) == EOF || fclose(file) != 0) {
            fail(&scenario, "cannot be written");
        }
    } else if (!is_same) {
        print_difference(path, was, is);
    }
    (void)printf("%s %s\n", is_same ? "ok" : (is_update ? "updated" : "DIFFERS"), path);
    free(was);
    free(is);
    return is_same || is_update;
}

static bool run_all(bool is_update)
{
    const char *srcdir = getenv("srcdir");
    char pattern[LINE_SIZE_MAX];
    glob_t found;
    bool is_good = true;
    (void)snprintf(pattern, sizeof pattern, "%s/tests/scenarios/*.txt", srcdir ? srcdir : ".");
    if (glob(pattern, 0, NULL, &found) != 0) {
        (void)fprintf(stderr, "no scenarios: %s\n", pattern);
        return false;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        is_good = run_file(found.gl_pathv[i], is_update) && is_good;
    }
    globfree(&found);
    return is_good;
}

int main(int argc, char **argv)
{
    const bool is_update = argc > 1 && strcmp(argv[1], "--update") == 0;
    const int first = is_update ? 2 : 1;
    bool is_good = true;
    if (first == argc) {
        is_good = run_all(is_update);
    }
    for (int i = first; i < argc; i++) {
        is_good = run_file(argv[i], is_update) && is_good;
    }
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
