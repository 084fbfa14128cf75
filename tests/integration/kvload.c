/* kvload.c -- writes unique keys through every node of a cluster, notes what was acknowledged, and
 * later looks for it.
 *
 *   kvload write  --nodes URL,URL,... --seconds S --clients N --prefix P --out FILE
 *   kvload verify --node URL --in FILE [--stale]
 *
 * write: every client repeats PUT of a key never used before, on the next node in turn, and appends
 * a line "key value" to FILE only once the answer was 200 `true`. Prints one line:
 *   acknowledged=N refused=N unknown=N gap_ms=N
 * refused: an answer that says the write was not done; unknown: no answer, or one that says so;
 * gap_ms: the longest time in which no client got an acknowledgement.
 *
 * verify: reads each key of FILE back; exit 1 and the first missing keys when one is not there.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

enum { NODES_MAX = 9, CLIENTS_MAX = 256, TEXT_SIZE = 512, MISSING_SHOWN_MAX = 10 };

struct arguments {
    const char *nodes[NODES_MAX];
    uint32_t nodes_count;
    uint32_t seconds;
    uint32_t clients;
    const char *prefix;
    const char *file;
    bool is_stale;
};

struct counts {
    _Atomic uint64_t acknowledged;
    _Atomic uint64_t refused;
    _Atomic uint64_t unknown;
    _Atomic uint64_t last_ms;
    _Atomic uint64_t gap_ms;
};

struct client {
    const struct arguments *arguments;
    struct counts *counts;
    uint32_t number;
    FILE *out;
    pthread_mutex_t *out_lock;
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

/* Keeps the first bytes of an answer. */
struct answer {
    char body[TEXT_SIZE];
    size_t size;
    bool says_unknown;
};

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

static size_t take_header(char *data, size_t one, size_t size, void *context)
{
    static const char unknown[] = "X-Raftkv-Outcome: unknown";
    struct answer *answer = context;

    (void)one;
    if (size >= sizeof(unknown) - 1 && strncasecmp(data, unknown, sizeof(unknown) - 1) == 0) {
        answer->says_unknown = true;
    }
    return size;
}

static CURL *easy_new(struct answer *answer, long timeout_ms)
{
    CURL *easy = curl_easy_init();

    if (easy == NULL) {
        abort();
    }
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, answer);
    return easy;
}

static void note_acknowledged(struct counts *counts)
{
    const uint64_t at_ms = now_ms();
    const uint64_t before_ms = atomic_exchange(&counts->last_ms, at_ms);
    uint64_t gap_ms = atomic_load(&counts->gap_ms);

    atomic_fetch_add(&counts->acknowledged, 1);
    while (at_ms > before_ms && at_ms - before_ms > gap_ms &&
           !atomic_compare_exchange_weak(&counts->gap_ms, &gap_ms, at_ms - before_ms)) {
    }
}

static void write_one(struct client *client, CURL *easy, struct answer *answer, uint64_t number)
{
    const struct arguments *arguments = client->arguments;
    const char *node = arguments->nodes[(number + client->number) % arguments->nodes_count];
    char url[TEXT_SIZE];
    char key[TEXT_SIZE / 2];
    char value[64];
    long code = 0;

    (void)snprintf(key, sizeof(key), "%s/%u/%llu", arguments->prefix, client->number,
                   (unsigned long long)number);
    (void)snprintf(value, sizeof(value), "value-%u-%llu", client->number,
                   (unsigned long long)(number * 2654435761u));
    (void)snprintf(url, sizeof(url), "%s/v1/kv/%s", node, key);
    *answer = (struct answer){.size = 0};
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PUT");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, value);
    const CURLcode result = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    if (result == CURLE_OK && code == 200 && strcmp(answer->body, "true") == 0) {
        (void)pthread_mutex_lock(client->out_lock);
        (void)fprintf(client->out, "%s %s\n", key, value);
        (void)pthread_mutex_unlock(client->out_lock);
        note_acknowledged(client->counts);
    } else if (result == CURLE_COULDNT_CONNECT || (result == CURLE_OK && !answer->says_unknown)) {
        atomic_fetch_add(&client->counts->refused, 1);
    } else {
        atomic_fetch_add(&client->counts->unknown, 1);
    }
}

static void *client_main(void *context)
{
    struct client *client = context;
    const uint64_t until_ms = now_ms() + (uint64_t)client->arguments->seconds * 1000;
    struct answer answer = {.size = 0};
    CURL *easy = easy_new(&answer, 5000);

    for (uint64_t number = 0; now_ms() < until_ms; number++) {
        write_one(client, easy, &answer, number);
    }
    curl_easy_cleanup(easy);
    return NULL;
}

static int run_write(const struct arguments *arguments)
{
    static struct client clients[CLIENTS_MAX];
    static struct counts counts;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    FILE *out = fopen(arguments->file, "w");

    if (out == NULL) {
        perror(arguments->file);
        return EXIT_FAILURE;
    }
    atomic_store(&counts.last_ms, now_ms());
    for (uint32_t i = 0; i < arguments->clients; i++) {
        clients[i] = (struct client){
            .arguments = arguments,
            .counts = &counts,
            .number = i,
            .out = out,
            .out_lock = &lock,
        };
        if (pthread_create(&clients[i].thread, NULL, client_main, &clients[i]) != 0) {
            abort();
        }
    }
    for (uint32_t i = 0; i < arguments->clients; i++) {
        (void)pthread_join(clients[i].thread, NULL);
    }
    if (fclose(out) != 0) {
        perror(arguments->file);
        return EXIT_FAILURE;
    }
    (void)printf("acknowledged=%llu refused=%llu unknown=%llu gap_ms=%llu\n",
                 (unsigned long long)atomic_load(&counts.acknowledged),
                 (unsigned long long)atomic_load(&counts.refused),
                 (unsigned long long)atomic_load(&counts.unknown),
                 (unsigned long long)atomic_load(&counts.gap_ms));
    return EXIT_SUCCESS;
}

/* True when `key` has `value` at the node. */
static bool is_there(const struct arguments *arguments, CURL *easy, struct answer *answer,
                     const char *key, const char *value)
{
    char url[TEXT_SIZE];
    long code = 0;

    (void)snprintf(url, sizeof(url), "%s/v1/kv/%s?raw%s", arguments->nodes[0], key,
                   arguments->is_stale ? "&stale" : "");
    *answer = (struct answer){.size = 0};
    curl_easy_setopt(easy, CURLOPT_URL, url);
    const CURLcode result = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    return result == CURLE_OK && code == 200 && strcmp(answer->body, value) == 0;
}

static int run_verify(const struct arguments *arguments)
{
    struct answer answer = {.size = 0};
    CURL *easy = easy_new(&answer, 10000);
    FILE *in = fopen(arguments->file, "r");
    char key[TEXT_SIZE / 2];
    char value[64];
    uint64_t found = 0;
    uint64_t missing = 0;

    if (in == NULL) {
        perror(arguments->file);
        return EXIT_FAILURE;
    }
    while (fscanf(in, "%255s %63s", key, value) == 2) {
        if (is_there(arguments, easy, &answer, key, value)) {
            found++;
            continue;
        }
        missing++;
        if (missing <= MISSING_SHOWN_MAX) {
            (void)fprintf(stderr, "missing: %s (got: %.80s)\n", key, answer.body);
        }
    }
    (void)fclose(in);
    curl_easy_cleanup(easy);
    (void)printf("found=%llu missing=%llu\n", (unsigned long long)found,
                 (unsigned long long)missing);
    return missing == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

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
    return arguments->nodes_count > 0 && arguments->file != NULL &&
           arguments->clients <= CLIENTS_MAX;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.seconds = 5, .clients = 8, .prefix = "load"};

    if (argc < 2 || !parse(argc, argv, &arguments)) {
        (void)fprintf(stderr, "usage: kvload write|verify ... (see the head of kvload.c)\n");
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return strcmp(argv[1], "verify") == 0 ? run_verify(&arguments) : run_write(&arguments);
}
