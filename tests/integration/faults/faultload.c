/* faultload.c -- clients whose answers are judged: puts, check-and-sets, deletes and gets of a few
 * registers, which all clients share, and puts of keys that nobody writes again.
 *
 *   faultload --nodes URL,URL,... --seconds S --clients N --seed N --out FILE --stale-out FILE
 *             [--stale-as-linearizable]
 *
 * FILE gets every operation, as support/history_text.h says, its indexes versions of keys; the
 * other file the gets with ?stale, which promise less. With --stale-as-linearizable these go to
 * FILE too: a judge that then finds nothing would find nothing ever. Register R of generation G is
 * the key `r/R/G`, its number 8 G + R; a generation ends after GENERATION_WRITES writes, so that
 * the judge's search stays small. A key written once is `u/NUMBER`. Every value is a number that
 * is written once. Prints one line: ok=N not_done=N unknown=N stale=N.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/prng.h"
#include "requester.h"
#include "support/history_text.h"

enum {
    NODES_MAX = 9,
    CLIENTS_MAX = 64,
    URL_SIZE = 256,
    REGISTERS = 5,
    REGISTERS_STRIDE = 8,
    GENERATION_WRITES = 120,
    PACE_US_MAX = 30000,        /* between two operations of one client: 0 to this */
    CONSISTENT_PER_MILLE = 200, /* reads that ask not to be served under a lease */
    HOME_PER_MILLE = 500,       /* how often a client stays with its node */
    READERS_EVERY = 3,
    CLIENT_STRIDE = 1000000,
    ONCE_BASE = 1000000000,
};

/* What a client does, in a thousand. */
enum { DO_PUT = 200, DO_CAS = 260, DO_DELETE = 40, DO_ONCE = 80, DO_STALE = 80 };

static const long timeouts_ms[] = {200, 500, 1000, 2000};
enum { TIMEOUTS_COUNT = sizeof(timeouts_ms) / sizeof(timeouts_ms[0]) };

struct arguments {
    const char *nodes[NODES_MAX];
    uint32_t nodes_count;
    uint32_t seconds;
    uint32_t clients;
    uint64_t seed;
    const char *out;
    const char *stale_out;
    bool stale_as_linearizable;
};

struct run {
    struct arguments arguments;
    FILE *file;
    FILE *stale_file;
    pthread_mutex_t lock; /* of the files */
    uint64_t until_us;
    _Atomic uint64_t writes[REGISTERS]; /* begun, of each register */
    _Atomic uint64_t outcomes[HISTORY_UNKNOWN + 1];
    _Atomic uint64_t stale;
};

/* What a client saw last of a register. */
struct sight {
    uint64_t key;
    uint64_t value;
    uint64_t index; /* 0: it was not there */
};

struct client {
    struct run *run;
    uint32_t number;
    uint64_t values_count;
    uint32_t home;
    struct rk_prng prng;
    struct requester requester;
    struct sight seen[REGISTERS];
    pthread_t thread;
};

static uint64_t now_us(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        abort();
    }
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void pace(struct client *client)
{
    const struct timespec wanted = {.tv_nsec =
                                        (long)rk_prng_below(&client->prng, PACE_US_MAX) * 1000};

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, NULL);
}

/* -- one operation -- */

static uint64_t value_new(struct client *client)
{
    client->values_count++;
    return (uint64_t)(client->number + 1) * CLIENT_STRIDE + client->values_count;
}

static uint64_t register_key(struct client *client, uint32_t number, bool is_write)
{
    _Atomic uint64_t *writes = &client->run->writes[number];
    const uint64_t begun = is_write ? atomic_fetch_add(writes, 1) : atomic_load(writes);

    return begun / GENERATION_WRITES * REGISTERS_STRIDE + number;
}

static const char *node_choose(struct client *client)
{
    const struct arguments *arguments = &client->run->arguments;

    if (!rk_prng_chance(&client->prng, HOME_PER_MILLE)) {
        client->home = (uint32_t)rk_prng_below(&client->prng, arguments->nodes_count);
    }
    return arguments->nodes[client->home];
}

/* Before it is asked: the URL of its key, at a node, with `query`. */
static void url_make(struct client *client, uint64_t key, const char *query, char *url)
{
    const char *node = node_choose(client);

    if (key >= ONCE_BASE) {
        (void)snprintf(url, URL_SIZE, "%s/v1/kv/u/%" PRIu64 "%s", node, key, query);
    } else {
        (void)snprintf(url, URL_SIZE, "%s/v1/kv/r/%" PRIu64 "/%" PRIu64 "%s", node,
                       key % REGISTERS_STRIDE, key / REGISTERS_STRIDE, query);
    }
}

static enum history_outcome write_outcome(const struct answer *answer)
{
    if (answer->code == 200 &&
        (strcmp(answer->body, "true") == 0 || strcmp(answer->body, "false") == 0)) {
        return HISTORY_OK;
    }
    return !answer->was_sent || answer->says_not_done ? HISTORY_NOT_DONE : HISTORY_UNKNOWN;
}

static void record(struct run *run, FILE *file, const struct history_operation *operation)
{
    char line[HISTORY_LINE_SIZE];

    history_print(operation, line);
    (void)pthread_mutex_lock(&run->lock);
    (void)fprintf(file, "%s\n", line);
    (void)pthread_mutex_unlock(&run->lock);
    atomic_fetch_add(&run->outcomes[operation->outcome], 1);
}

/* Asks, and fills in when, and what became of it. */
static void ask(struct client *client, struct history_operation *operation, const char *method,
                const char *query, const char *body)
{
    char url[URL_SIZE];

    url_make(client, operation->key, query, url);
    operation->client = client->number;
    operation->invoked = now_us();
    requester_ask(&client->requester, method, url, body);
    operation->returned = now_us();
    operation->index = client->requester.answer.index;
    operation->outcome = write_outcome(&client->requester.answer);
}

static void see(struct client *client, const struct history_operation *operation)
{
    struct sight *sight = &client->seen[operation->key % REGISTERS_STRIDE];

    *sight = (struct sight){.key = operation->key,
                            .value = operation->value,
                            .index = operation->value != 0 ? operation->index : 0};
}

static void do_write(struct client *client, struct history_operation *operation, const char *query)
{
    struct answer *answer = &client->requester.answer;
    char body[24];

    (void)snprintf(body, sizeof(body), "%" PRIu64, operation->value);
    ask(client, operation, operation->kind == HISTORY_DELETE ? "DELETE" : "PUT", query,
        operation->kind == HISTORY_DELETE ? NULL : body);
    operation->did = strcmp(answer->body, "true") == 0;
    if (operation->outcome == HISTORY_OK && operation->did && operation->key < ONCE_BASE) {
        see(client, operation);
    }
    record(client->run, client->run->file, operation);
    if (operation->outcome == HISTORY_NOT_DONE) {
        requester_back_off();
    }
}

/* By what this client saw last; now and then that is right. */
static void do_cas(struct client *client, uint32_t number)
{
    const uint64_t key = register_key(client, number, true);
    const struct sight *sight = &client->seen[number];
    const bool is_known = sight->key == key;
    struct history_operation operation = {.kind = HISTORY_CAS,
                                          .key = key,
                                          .expected = is_known ? sight->value : 0,
                                          .value = value_new(client)};
    char query[48];

    (void)snprintf(query, sizeof(query), "?cas=%" PRIu64, is_known ? sight->index : 0);
    do_write(client, &operation, query);
}

static void do_read(struct client *client, uint32_t number, bool is_stale)
{
    struct run *run = client->run;
    const struct answer *answer = &client->requester.answer;
    struct history_operation operation = {.kind = HISTORY_GET,
                                          .key = register_key(client, number, false)};

    const bool is_consistent = rk_prng_chance(&client->prng, CONSISTENT_PER_MILLE);
    ask(client, &operation, "GET",
        is_stale        ? "?raw&stale"
        : is_consistent ? "?raw&consistent"
                        : "?raw",
        NULL);
    operation.outcome = HISTORY_UNKNOWN;
    if (answer->code == 200 || (answer->code == 404 && answer->index != 0)) {
        operation.outcome = HISTORY_OK;
        operation.value = answer->code == 200 ? strtoull(answer->body, NULL, 10) : 0;
        see(client, &operation);
    } else {
        requester_back_off();
    }
    const bool is_apart = is_stale && !run->arguments.stale_as_linearizable;
    atomic_fetch_add(&run->stale, is_apart ? 1 : 0);
    record(run, is_apart ? run->stale_file : run->file, &operation);
}

/* Some clients only read: a write that a leader without followers holds up would keep all others
 * from seeing what that leader says now. */
static bool only_reads(const struct client *client)
{
    return client->number % READERS_EVERY == 0;
}

static void operate(struct client *client)
{
    const uint32_t number = (uint32_t)rk_prng_below(&client->prng, REGISTERS);
    struct history_operation operation = {.kind = HISTORY_PUT};
    uint32_t drawn = (uint32_t)rk_prng_below(&client->prng, 1000);

    if (only_reads(client)) {
        do_read(client, number, drawn < DO_STALE);
        return;
    }

    if (drawn < DO_PUT + DO_DELETE) {
        operation.kind = drawn < DO_PUT ? HISTORY_PUT : HISTORY_DELETE;
        operation.key = register_key(client, number, true);
        operation.value = drawn < DO_PUT ? value_new(client) : 0;
        do_write(client, &operation, "");
        return;
    }
    drawn -= DO_PUT + DO_DELETE;
    if (drawn < DO_CAS) {
        do_cas(client, number);
    } else if (drawn < DO_CAS + DO_ONCE) {
        operation.value = value_new(client);
        operation.key = ONCE_BASE + operation.value;
        do_write(client, &operation, "");
    } else {
        do_read(client, number, drawn < DO_CAS + DO_ONCE + DO_STALE);
    }
}

static void *client_main(void *context)
{
    struct client *client = context;
    const uint64_t timeout = rk_prng_below(&client->prng, TIMEOUTS_COUNT);

    client->requester.only_once = true;
    requester_open(&client->requester, timeouts_ms[timeout]);
    while (now_us() < client->run->until_us) {
        operate(client);
        pace(client);
    }
    requester_close(&client->requester);
    return NULL;
}

/* -- all clients -- */

static void clients_run(struct run *run)
{
    static struct client clients[CLIENTS_MAX];
    const uint32_t count = run->arguments.clients;

    run->until_us = now_us() + (uint64_t)run->arguments.seconds * 1000000;
    for (uint32_t i = 0; i < count; i++) {
        clients[i] = (struct client){.run = run, .number = i};
        rk_prng_seed(&clients[i].prng, run->arguments.seed * CLIENTS_MAX + i);
        if (pthread_create(&clients[i].thread, NULL, client_main, &clients[i]) != 0) {
            abort();
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(clients[i].thread, NULL);
    }
}

/* -- arguments -- */

static void split_nodes(char *text, struct arguments *arguments)
{
    char *rest = NULL;

    for (char *node = strtok_r(text, ",", &rest);
         node != NULL && arguments->nodes_count < NODES_MAX; node = strtok_r(NULL, ",", &rest)) {
        arguments->nodes[arguments->nodes_count] = node;
        arguments->nodes_count++;
    }
}

static bool take_argument(struct arguments *arguments, const char *name, char *value)
{
    if (strcmp(name, "--nodes") == 0) {
        split_nodes(value, arguments);
    } else if (strcmp(name, "--seconds") == 0) {
        arguments->seconds = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--clients") == 0) {
        arguments->clients = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--seed") == 0) {
        arguments->seed = strtoull(value, NULL, 10);
    } else if (strcmp(name, "--out") == 0) {
        arguments->out = value;
    } else if (strcmp(name, "--stale-out") == 0) {
        arguments->stale_out = value;
    } else {
        return false;
    }
    return true;
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
    int i = 1;

    while (i < argc) {
        if (strcmp(argv[i], "--stale-as-linearizable") == 0) {
            arguments->stale_as_linearizable = true;
            i++;
        } else if (i + 1 < argc && take_argument(arguments, argv[i], argv[i + 1])) {
            i += 2;
        } else {
            return false;
        }
    }
    return arguments->nodes_count > 0 && arguments->out != NULL && arguments->stale_out != NULL &&
           arguments->clients > 0 && arguments->clients <= CLIENTS_MAX;
}

int main(int argc, char **argv)
{
    static struct run run;

    if (!parse(argc, argv, &run.arguments)) {
        (void)fprintf(stderr, "usage: see the head of faultload.c\n");
        return 2;
    }
    run.file = fopen(run.arguments.out, "w");
    run.stale_file = fopen(run.arguments.stale_out, "w");
    if (run.file == NULL || run.stale_file == NULL ||
        curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        pthread_mutex_init(&run.lock, NULL) != 0) {
        (void)fprintf(stderr, "faultload: cannot write, or no curl\n");
        return 2;
    }
    clients_run(&run);
    (void)printf("ok=%" PRIu64 " not_done=%" PRIu64 " unknown=%" PRIu64 " stale=%" PRIu64 "\n",
                 atomic_load(&run.outcomes[HISTORY_OK]),
                 atomic_load(&run.outcomes[HISTORY_NOT_DONE]),
                 atomic_load(&run.outcomes[HISTORY_UNKNOWN]), atomic_load(&run.stale));
    const int failed = fclose(run.file) | fclose(run.stale_file);
    return failed == 0 ? 0 : 2;
}
