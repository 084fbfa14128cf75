/* kvload.c -- writes unique keys through every node of a cluster, notes what became of each, and
 * later looks whether that was the truth.
 *
 *   kvload write  --nodes URL,URL,... --seconds S --clients N --prefix P --out FILE
 *   kvload mixed  the same, but each key is read back, rewritten and deleted: a load of a fixed size
 *   kvload churn  the same, but each client writes the same keys over and over: as a fixed state
 *   kvload verify --node URL --in FILE [--stale] [--clients N]
 *
 * write: every client repeats PUT of a key never used before, on the next node in turn, and appends
 * a line "KEY VALUE FATE" to FILE: `acknowledged` only once the answer was 200 `true`; `refused`
 * where the node said that the write was not done, or could not be reached; `unknown` for the rest.
 * Prints one line:
 *   acknowledged=N refused=N unknown=N unlabelled=N gap_ms=N
 * unlabelled: answers that refuse a write without saying what became of it, which also makes the
 * exit 1; gap_ms: the longest time in which no client got an acknowledgement.
 *
 * mixed: prints the same line; an answer that is not what was written counts as `wrong` and makes
 * the exit 1. FILE is made, and stays empty.
 *
 * churn: before every eighth write its key is read, and at the end all keys are: a value that is neither
 * the last acknowledged one of its key nor one whose outcome is open counts as `wrong` and makes the
 * exit 1. Prints `checked=N wrong=N` besides. FILE is made, and stays empty.
 *
 * verify: what was acknowledged is there with its value; what was refused is not; what is unknown is
 * there whole or not at all. Exit 1, and the first that are wrong, otherwise.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "requester.h"

enum {
    NODES_MAX = 9,
    CLIENTS_MAX = 256,
    TEXT_SIZE = 512,
    KEY_SIZE = 256,
    VALUE_SIZE = 64,
    FATE_SIZE = 16,
    WRONG_SHOWN_MAX = 10,
    WRITE_TIMEOUT_MS = 5000,
    READ_TIMEOUT_MS = 10000,
    MIXED_KEYS = 64, /* of each client */
    CHURN_KEYS = 500,
    CHURN_VALUE_SIZE = 256,
    CHURN_OPEN_MAX = 8,
    CHURN_READ_EVERY = 8,
    CHURN_READ_TRIES = 20,
};

enum fate { FATE_ACKNOWLEDGED, FATE_REFUSED, FATE_UNKNOWN, FATE_COUNT };

static const char *const fate_names[] = {"acknowledged", "refused", "unknown"};

struct arguments {
    const char *nodes[NODES_MAX];
    uint32_t nodes_count;
    uint32_t seconds;
    uint32_t clients;
    const char *prefix;
    const char *file;
    bool is_stale;
};

/* What all clients share. */
struct run {
    const struct arguments *arguments;
    FILE *file;
    pthread_mutex_t file_lock;
    uint64_t until_ms;
    _Atomic uint64_t fates[FATE_COUNT];
    _Atomic uint64_t unlabelled;
    _Atomic uint64_t wrong;
    _Atomic uint64_t checked;
    _Atomic uint64_t last_ms;
    _Atomic uint64_t gap_ms;
};

struct client {
    struct run *run;
    uint32_t number;
    struct requester requester;
    pthread_t thread;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        abort();
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- writing -- */

static void note_acknowledged(struct run *run)
{
    const uint64_t at_ms = now_ms();
    const uint64_t before_ms = atomic_exchange(&run->last_ms, at_ms);
    uint64_t gap_ms = atomic_load(&run->gap_ms);

    while (at_ms > before_ms && at_ms - before_ms > gap_ms &&
           !atomic_compare_exchange_weak(&run->gap_ms, &gap_ms, at_ms - before_ms)) {
    }
}

static enum fate fate_of(struct client *client)
{
    const struct answer *answer = &client->requester.answer;
    enum fate fate = FATE_UNKNOWN;

    if (answer->code == 200 && strcmp(answer->body, "true") == 0) {
        note_acknowledged(client->run);
        fate = FATE_ACKNOWLEDGED;
    } else if (!answer->was_sent || answer->says_not_done) {
        fate = FATE_REFUSED;
        requester_back_off();
    } else if (answer->code != 0 && !answer->says_unknown) {
        if (atomic_fetch_add(&client->run->unlabelled, 1) == 0) {
            (void)fprintf(stderr, "status %ld without an outcome: %.100s\n", answer->code,
                          answer->body);
        }
    }
    atomic_fetch_add(&client->run->fates[fate], 1);
    return fate;
}

static const char *node_for(const struct client *client, uint64_t number)
{
    const struct arguments *arguments = client->run->arguments;

    return arguments->nodes[(number + client->number) % arguments->nodes_count];
}

static void write_one(struct client *client, uint64_t number)
{
    struct run *run = client->run;
    char url[TEXT_SIZE];
    char key[KEY_SIZE];
    char value[VALUE_SIZE];

    (void)snprintf(key, sizeof(key), "%s/%u/%llu", run->arguments->prefix, client->number,
                   (unsigned long long)number);
    (void)snprintf(value, sizeof(value), "value-%u-%llu", client->number,
                   (unsigned long long)(number * 2654435761U));
    (void)snprintf(url, sizeof(url), "%s/v1/kv/%s", node_for(client, number), key);
    requester_ask(&client->requester, "PUT", url, value);
    const enum fate fate = fate_of(client);
    (void)pthread_mutex_lock(&run->file_lock);
    (void)fprintf(run->file, "%s %s %s\n", key, value, fate_names[fate]);
    (void)fflush(run->file);
    (void)pthread_mutex_unlock(&run->file_lock);
}

static void *write_main(void *context)
{
    struct client *client = context;

    requester_open(&client->requester, WRITE_TIMEOUT_MS);
    for (uint64_t number = 0; now_ms() < client->run->until_ms; number++) {
        write_one(client, number);
    }
    requester_close(&client->requester);
    return NULL;
}

/* Put, get and delete over a few keys that only this client uses, at any node: what an answer says
 * is what was written, as long as no outcome is open. */
static void mixed_one(struct client *client, uint64_t number)
{
    char url[TEXT_SIZE];
    char value[VALUE_SIZE];

    (void)snprintf(value, sizeof(value), "value-%llu", (unsigned long long)number);
    (void)snprintf(url, sizeof(url), "%s/v1/kv/%s/%u/%llu?raw", node_for(client, number),
                   client->run->arguments->prefix, client->number,
                   (unsigned long long)(number % MIXED_KEYS));
    requester_ask(&client->requester, "PUT", url, value);
    if (fate_of(client) != FATE_ACKNOWLEDGED) {
        return;
    }
    requester_ask(&client->requester, "GET", url, NULL);
    if (client->requester.answer.code == 200 && strcmp(client->requester.answer.body, value) != 0) {
        atomic_fetch_add(&client->run->wrong, 1);
        (void)fprintf(stderr, "%s: %.100s, not %s\n", url, client->requester.answer.body, value);
    }
    if (number % 4 == 0) {
        requester_ask(&client->requester, "DELETE", url, NULL);
        (void)fate_of(client);
    }
}

static void *mixed_main(void *context)
{
    struct client *client = context;

    requester_open(&client->requester, WRITE_TIMEOUT_MS);
    for (uint64_t number = 0; now_ms() < client->run->until_ms; number++) {
        mixed_one(client, number);
    }
    requester_close(&client->requester);
    return NULL;
}

/* -- writing the same keys over and over -- */

/* What a key may hold, as the numbers of its writes. */
struct churn_key {
    uint64_t acknowledged;         /* the last one; 0: none */
    uint64_t open[CHURN_OPEN_MAX]; /* of unknown outcome: they may be there, even later than that */
    uint32_t open_count;
};

static bool may_hold(const struct churn_key *key, const struct answer *answer)
{
    const uint64_t number = answer->code == 200 ? strtoull(answer->body, NULL, 10) : 0;
    const uint32_t count = key->open_count < CHURN_OPEN_MAX ? key->open_count : CHURN_OPEN_MAX;

    for (uint32_t i = 0; i < count; i++) {
        if (key->open[i] == number) {
            return true;
        }
    }
    return key->acknowledged == number;
}

static void churn_url(const struct client *client, uint64_t number, uint64_t key,
                      char url[TEXT_SIZE])
{
    (void)snprintf(url, TEXT_SIZE, "%s/v1/kv/%s/%u/%llu?raw", node_for(client, number),
                   client->run->arguments->prefix, client->number, (unsigned long long)key);
}

/* A node that is down, or has no leader, is asked again, another one next. */
static void churn_read(struct client *client, struct churn_key *keys, uint64_t key)
{
    struct run *run = client->run;
    const struct answer *answer = &client->requester.answer;
    char url[TEXT_SIZE];

    for (uint64_t tried = 0; tried < CHURN_READ_TRIES; tried++) {
        churn_url(client, tried, key, url);
        requester_ask(&client->requester, "GET", url, NULL);
        if (answer->code == 200 || answer->code == 404) {
            break;
        }
        requester_back_off();
    }
    if (answer->code != 200 && answer->code != 404) {
        return;
    }
    atomic_fetch_add(&run->checked, 1);
    if (!may_hold(&keys[key], answer) && atomic_fetch_add(&run->wrong, 1) < WRONG_SHOWN_MAX) {
        (void)fprintf(stderr, "%s: the answer is %ld %.24s, %llu was acknowledged\n", url,
                      answer->code, answer->body, (unsigned long long)keys[key].acknowledged);
    }
}

static void churn_write(struct client *client, struct churn_key *keys, uint64_t number)
{
    struct churn_key *key = &keys[number % CHURN_KEYS];
    char url[TEXT_SIZE];
    char value[CHURN_VALUE_SIZE];

    churn_url(client, number, number % CHURN_KEYS, url);
    (void)snprintf(value, sizeof(value), "%-*llu", CHURN_VALUE_SIZE - 1,
                   (unsigned long long)number);
    requester_ask(&client->requester, "PUT", url, value);
    switch (fate_of(client)) {
    case FATE_ACKNOWLEDGED:
        key->acknowledged = number;
        break;
    case FATE_UNKNOWN:
        key->open[key->open_count % CHURN_OPEN_MAX] = number;
        key->open_count++;
        break;
    case FATE_REFUSED:
    case FATE_COUNT:
        break;
    }
}

static void *churn_main(void *context)
{
    struct client *client = context;
    struct churn_key *keys = calloc(CHURN_KEYS, sizeof(*keys));

    if (keys == NULL) {
        abort();
    }
    requester_open(&client->requester, WRITE_TIMEOUT_MS);
    for (uint64_t number = 1; now_ms() < client->run->until_ms; number++) {
        if (number % CHURN_READ_EVERY == 0) {
            churn_read(client, keys, number % CHURN_KEYS);
        }
        churn_write(client, keys, number);
    }
    for (uint64_t key = 0; key < CHURN_KEYS; key++) {
        churn_read(client, keys, key);
    }
    requester_close(&client->requester);
    free(keys);
    return NULL;
}

/* -- verifying -- */

static bool next_line(struct run *run, char *key, char *value, char *fate)
{
    (void)pthread_mutex_lock(&run->file_lock);
    const bool is_there = fscanf(run->file, "%255s %63s %15s", key, value, fate) == 3;
    (void)pthread_mutex_unlock(&run->file_lock);
    return is_there;
}

/* Is what the node answers about a key of this fate the truth? */
static bool is_true(const struct answer *answer, const char *value, const char *fate)
{
    const bool is_there = answer->code == 200 && strcmp(answer->body, value) == 0;
    const bool is_absent = answer->code == 404;

    if (strcmp(fate, fate_names[FATE_ACKNOWLEDGED]) == 0) {
        return is_there;
    }
    return is_absent || (is_there && strcmp(fate, fate_names[FATE_UNKNOWN]) == 0);
}

static void *verify_main(void *context)
{
    struct client *client = context;
    struct run *run = client->run;
    char url[TEXT_SIZE];
    char key[KEY_SIZE];
    char value[VALUE_SIZE];
    char fate[FATE_SIZE];

    requester_open(&client->requester, READ_TIMEOUT_MS);
    while (next_line(run, key, value, fate)) {
        (void)snprintf(url, sizeof(url), "%s/v1/kv/%s?raw%s", run->arguments->nodes[0], key,
                       run->arguments->is_stale ? "&stale" : "");
        requester_ask(&client->requester, "GET", url, NULL);
        atomic_fetch_add(&run->fates[FATE_ACKNOWLEDGED], 1);
        if (!is_true(&client->requester.answer, value, fate) &&
            atomic_fetch_add(&run->wrong, 1) < WRONG_SHOWN_MAX) {
            (void)fprintf(stderr, "%s, %s: the answer is %ld %.80s\n", key, fate,
                          client->requester.answer.code, client->requester.answer.body);
        }
    }
    requester_close(&client->requester);
    return NULL;
}

/* -- all clients -- */

static void run_clients(struct run *run, void *(*client_main)(void *))
{
    static struct client clients[CLIENTS_MAX];
    const uint32_t count = run->arguments->clients;

    atomic_store(&run->last_ms, now_ms());
    run->until_ms = now_ms() + (uint64_t)run->arguments->seconds * 1000;
    for (uint32_t i = 0; i < count; i++) {
        clients[i] = (struct client){.run = run, .number = i};
        if (pthread_create(&clients[i].thread, NULL, client_main, &clients[i]) != 0) {
            abort();
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(clients[i].thread, NULL);
    }
}

static unsigned long long count_of(_Atomic uint64_t *count)
{
    return (unsigned long long)atomic_load(count);
}

static bool report_load(struct run *run)
{
    (void)printf("acknowledged=%llu refused=%llu unknown=%llu unlabelled=%llu gap_ms=%llu\n",
                 count_of(&run->fates[FATE_ACKNOWLEDGED]), count_of(&run->fates[FATE_REFUSED]),
                 count_of(&run->fates[FATE_UNKNOWN]), count_of(&run->unlabelled),
                 count_of(&run->gap_ms));
    return count_of(&run->unlabelled) == 0 && count_of(&run->wrong) == 0;
}

static bool report_churn(struct run *run)
{
    const bool is_good = report_load(run);

    (void)printf("checked=%llu wrong=%llu\n", count_of(&run->checked), count_of(&run->wrong));
    return is_good;
}

static bool report_verify(struct run *run)
{
    (void)printf("checked=%llu wrong=%llu\n", count_of(&run->fates[FATE_ACKNOWLEDGED]),
                 count_of(&run->wrong));
    return count_of(&run->wrong) == 0;
}

/* -- arguments -- */

static void split_nodes(char *text, struct arguments *arguments)
{
    char *rest = text;

    while (rest != NULL && arguments->nodes_count < NODES_MAX) {
        char *comma = strchr(rest, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        arguments->nodes[arguments->nodes_count] = rest;
        arguments->nodes_count++;
        rest = comma != NULL ? comma + 1 : NULL;
    }
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 2; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--stale") == 0) {
            arguments->is_stale = true;
        } else if (!has_value) {
            return false;
        } else if (strcmp(argv[i], "--nodes") == 0 || strcmp(argv[i], "--node") == 0) {
            split_nodes(argv[++i], arguments);
        } else if (strcmp(argv[i], "--seconds") == 0) {
            arguments->seconds = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--clients") == 0) {
            arguments->clients = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--prefix") == 0) {
            arguments->prefix = argv[++i];
        } else if (strcmp(argv[i], "--out") == 0 || strcmp(argv[i], "--in") == 0) {
            arguments->file = argv[++i];
        } else {
            return false;
        }
    }
    return arguments->nodes_count > 0 && arguments->file != NULL && arguments->clients > 0 &&
           arguments->clients <= CLIENTS_MAX;
}

struct command {
    const char *name;
    const char *mode; /* of the file */
    void *(*client_main)(void *);
    bool (*report)(struct run *);
};

static const struct command commands[] = {
    {"write", "w", write_main, report_load},
    {"mixed", "w", mixed_main, report_load},
    {"churn", "w", churn_main, report_churn},
    {"verify", "r", verify_main, report_verify},
};

static int run_command(const struct command *command, const struct arguments *arguments)
{
    static struct run run;

    run.arguments = arguments;
    run.file = fopen(arguments->file, command->mode);
    if (run.file == NULL) {
        perror(arguments->file);
        return EXIT_FAILURE;
    }
    (void)pthread_mutex_init(&run.file_lock, NULL);
    run_clients(&run, command->client_main);
    const bool is_good = command->report(&run);
    if (fclose(run.file) != 0) {
        perror(arguments->file);
        return EXIT_FAILURE;
    }
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.seconds = 5, .clients = 8, .prefix = "load"};

    if (argc >= 2 && parse(argc, argv, &arguments)) {
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
            if (strcmp(argv[1], commands[i].name) == 0) {
                return run_command(&commands[i], &arguments);
            }
        }
    }
    (void)fprintf(stderr,
                  "usage: kvload write|mixed|churn|verify ... (see the head of kvload.c)\n");
    return 2;
}
