#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "requester.h"

enum { BACKOFF_MS = 2, HEADER_NUMBER_SIZE = 24 };

static const char index_header[] = "X-Consul-Index: ";

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

static uint64_t number_after(const char *data, size_t size, size_t from)
{
    char number[HEADER_NUMBER_SIZE] = "";
    const size_t rest = size - from;

    memcpy(number, data + from, rest < sizeof(number) - 1 ? rest : sizeof(number) - 1);
    return strtoull(number, NULL, 10);
}

static size_t take_header(char *data, size_t one, size_t size, void *context)
{
    struct answer *answer = context;

    (void)one;
    answer->says_not_done =
        answer->says_not_done || begins(data, size, "X-Raftkv-Outcome: not-done");
    answer->says_unknown = answer->says_unknown || begins(data, size, "X-Raftkv-Outcome: unknown");
    if (begins(data, size, index_header)) {
        answer->index = number_after(data, size, strlen(index_header));
    }
    return size;
}

/* curl repeats a request by itself where a kept-alive connection died under it: whether the first
 * try went out is seen only here ... */
static int take_trace(CURL *easy, curl_infotype type, char *data, size_t size, void *context)
{
    struct answer *answer = context;

    (void)easy;
    (void)data;
    (void)size;
    answer->was_sent = answer->was_sent || type == CURLINFO_HEADER_OUT;
    return 0;
}

/* ... and a second one, which would write twice, is stopped here. */
static int before_request(void *context, char *to, char *from, int to_port, int from_port)
{
    const struct requester *requester = context;

    (void)to;
    (void)from;
    (void)to_port;
    (void)from_port;
    return requester->only_once && requester->answer.was_sent ? CURL_PREREQFUNC_ABORT
                                                              : CURL_PREREQFUNC_OK;
}

void requester_open(struct requester *requester, long timeout_ms)
{
    requester->easy = curl_easy_init();
    if (requester->easy == NULL) {
        abort();
    }
    curl_easy_setopt(requester->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(requester->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(requester->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(requester->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(requester->easy, CURLOPT_WRITEDATA, &requester->answer);
    curl_easy_setopt(requester->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(requester->easy, CURLOPT_HEADERDATA, &requester->answer);
    curl_easy_setopt(requester->easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(requester->easy, CURLOPT_DEBUGFUNCTION, take_trace);
    curl_easy_setopt(requester->easy, CURLOPT_DEBUGDATA, &requester->answer);
    curl_easy_setopt(requester->easy, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(requester->easy, CURLOPT_PREREQDATA, requester);
}

void requester_close(struct requester *requester)
{
    curl_easy_cleanup(requester->easy);
}

void requester_ask(struct requester *requester, const char *method, const char *url,
                   const char *value)
{
    struct answer *answer = &requester->answer;

    *answer = (struct answer){.size = 0};
    curl_easy_setopt(requester->easy, CURLOPT_URL, url);
    curl_easy_setopt(requester->easy, CURLOPT_HTTPGET, 1L);
    if (value != NULL) {
        curl_easy_setopt(requester->easy, CURLOPT_POSTFIELDS, value);
    }
    curl_easy_setopt(requester->easy, CURLOPT_CUSTOMREQUEST, method);
    const CURLcode result = curl_easy_perform(requester->easy);
    if (result == CURLE_OK) {
        curl_easy_getinfo(requester->easy, CURLINFO_RESPONSE_CODE, &answer->code);
    }
}

void requester_back_off(void)
{
    const struct timespec wanted = {.tv_nsec = BACKOFF_MS * 1000000L};

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, NULL);
}
