/* kvload.c -- writes unique keys through every node of a cluster, notes what became of each, and
 * later looks whether that was the truth.
 *
 *   kvload write  --nodes URL,URL,... --seconds S --clients N --prefix P --out FILE
 *   kvload mixed  the same, but each key is read back, rewritten and deleted: a load of a fixed size
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
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

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
    BACKOFF_MS = 2,
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
    _Atomic uint64_t last_ms;
    _Atomic uint64_t gap_ms;
};

struct answer {
    char body[TEXT_SIZE];
    size_t size;
    long code; /* 0: none came */
    bool says_not_done;
    bool says_unknown;
    bool was_sent;
};

struct client {
    struct run *run;
    uint32_t number;
    CURL *easy;
    struct answer answer;
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

/* -- one request -- */

/* Keeps the first bytes of an answer. */
static size_t take_body(char *data, size_t one, size_t size, void *context)
{
    struct answer *answer = context;
    size_t room = sizeof(answer->body) - 1 - answer->size;

    (void)one;
    room = room < size ? room : size;
    memcpy(answer->body + answer->size, data, room);
    answer->size += room;
    answer->body[answer->size] = '\0';
    return size;
}

static bool begins(const char *data, size_t size, const char *with)
{
    return size >= strlen(with) && strncasecmp(data, with, strlen(with)) == 0;
}

static size_t take_header(char *data, size_t one, size_t size, void *context)
{
    struct answer *answer = context;

    (void)one;
    answer->says_not_done =
        answer->says_not_done || begins(data, size, "X-Raftkv-Outcome: not-done");
    answer->says_unknown = answer->says_unknown || begins(data, size, "X-Raftkv-Outcome: unknown");
    return size;
}

/* curl repeats a request by itself where a kept-alive connection died under it: whether the first
 * try went out is seen only here. */
static int take_trace(CURL *easy, curl_infotype type, char *data, size_t size, void *context)
{
    struct answer *answer = context;

    (void)easy;
    (void)data;
    (void)size;
    answer->was_sent = answer->was_sent || type == CURLINFO_HEADER_OUT;
    return 0;
}

static void client_open(struct client *client, long timeout_ms)
{
    client->easy = curl_easy_init();
    if (client->easy == NULL) {
        abort();
    }
    curl_easy_setopt(client->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(client->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(client->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(client->easy, CURLOPT_WRITEDATA, &client->answer);
    curl_easy_setopt(client->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(client->easy, CURLOPT_HEADERDATA, &client->answer);
    curl_easy_setopt(client->easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(client->easy, CURLOPT_DEBUGFUNCTION, take_trace);
    curl_easy_setopt(client->easy, CURLOPT_DEBUGDATA, &client->answer);
}

/* `value` NULL: no body. The answer is the client's. */
static void request(struct client *client, const char *method, const char *url, const char *value)
{
    struct answer *answer = &client->answer;

    *answer = (struct answer){.size = 0};
    curl_easy_setopt(client->easy, CURLOPT_URL, url);
    curl_easy_setopt(client->easy, CURLOPT_HTTPGET, 1L);
    if (value != NULL) {
        curl_easy_setopt(client->easy, CURLOPT_POSTFIELDS, value);
    }
    curl_easy_setopt(client->easy, CURLOPT_CUSTOMREQUEST, method);
    const CURLcode result = curl_easy_perform(client->easy);
    if (result == CURLE_OK) {
        curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &answer->code);
    }
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

/* A node that is down refuses at once: without a pause one client would fill the file with that. */
static void back_off(void)
{
    const struct timespec wanted = {.tv_nsec = BACKOFF_MS * 1000000L};

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, NULL);
}

static enum fate fate_of(struct client *client)
{
    const struct answer *answer = &client->answer;
    enum fate fate = FATE_UNKNOWN;

    if (answer->code == 200 && strcmp(answer->body, "true") == 0) {
        note_acknowledged(client->run);
        fate = FATE_ACKNOWLEDGED;
    } else if (!answer->was_sent || answer->says_not_done) {
        fate = FATE_REFUSED;
        back_off();
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
    request(client, "PUT", url, value);
    const enum fate fate = fate_of(client);
    (void)pthread_mutex_lock(&run->file_lock);
    (void)fprintf(run->file, "%s %s %s\n", key, value, fate_names[fate]);
    (void)fflush(run->file);
    (void)pthread_mutex_unlock(&run->file_lock);
}

static void *write_main(void *context)
{
    struct client *client = context;

    client_open(client, WRITE_TIMEOUT_MS);
    for (uint64_t number = 0; now_ms() < client->run->until_ms; number++) {
        write_one(client, number);
    }
    curl_easy_cleanup(client->easy);
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
    request(client, "PUT", url, value);
    if (fate_of(client) != FATE_ACKNOWLEDGED) {
        return;
    }
    request(client, "GET", url, NULL);
    if (client->answer.code == 200 && strcmp(client->answer.body, value) != 0) {
        atomic_fetch_add(&client->run->wrong, 1);
        (void)fprintf(stderr, "%s: %.100s, not %s\n", url, client->answer.body, value);
    }
    if (number % 4 == 0) {
        request(client, "DELETE", url, NULL);
        (void)fate_of(client);
    }
}

static void *mixed_main(void *context)
{
    struct client *client = context;

    client_open(client, WRITE_TIMEOUT_MS);
    for (uint64_t number = 0; now_ms() < client->run->until_ms; number++) {
        mixed_one(client, number);
    }
    curl_easy_cleanup(client->easy);
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

    client_open(client, READ_TIMEOUT_MS);
    while (next_line(run, key, value, fate)) {
        (void)snprintf(url, sizeof(url), "%s/v1/kv/%s?raw%s", run->arguments->nodes[0], key,
                       run->arguments->is_stale ? "&stale" : "");
        request(client, "GET", url, NULL);
        atomic_fetch_add(&run->fates[FATE_ACKNOWLEDGED], 1);
        if (!is_true(&client->answer, value, fate) &&
            atomic_fetch_add(&run->wrong, 1) < WRONG_SHOWN_MAX) {
            (void)fprintf(stderr, "%s, %s: the answer is %ld %.80s\n", key, fate,
                          client->answer.code, client->answer.body);
        }
    }
    curl_easy_cleanup(client->easy);
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
    (void)fprintf(stderr, "usage: kvload write|mixed|verify ... (see the head of kvload.c)\n");
    return 2;
}
