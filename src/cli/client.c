#include "cli/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/assert.h"
#include "base/parse.h"

enum { CONNECT_TIMEOUT_MS = 5000, STATUS_NO_ANSWER = 0, STATUS_OK = 200 };

/* What the callbacks of one transfer fill in. */
struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    struct client_response *response;
    bool is_write;
};

void client_response_init(struct client_response *response)
{
    memset(response, 0, sizeof(*response));
    rk_buf_init(&response->body, CLIENT_BODY_SIZE_MAX);
}

void client_response_done(struct client_response *response)
{
    rk_buf_done(&response->body);
}

static size_t body_take(char *data, size_t size, size_t count, void *context)
{
    struct rk_buf *body = context;

    rk_buf_append(body, data, size * count);
    return rk_buf_status(body) == RK_OK ? size * count : 0;
}

/* The value of the header line, when it is that header's; NULL: another one. */
static const char *header_value(const char *data, size_t size, const char *name)
{
    const size_t name_size = strlen(name);

    if (size < name_size || strncasecmp(data, name, name_size) != 0) {
        return NULL;
    }
    return data + name_size + strspn(data + name_size, " ");
}

static size_t header_take(char *data, size_t size, size_t count, void *context)
{
    struct client_response *response = context;
    const size_t header_size = size * count;
    const char *outcome = header_value(data, header_size, "X-Raftkv-Outcome:");
    const char *fence = header_value(data, header_size, "X-Raftkv-Fence:");

    if (outcome != NULL) {
        response->outcome =
            strncmp(outcome, "not-done", 8) == 0 ? CLIENT_OUTCOME_NOT_DONE : CLIENT_OUTCOME_UNKNOWN;
    }
    if (header_value(data, header_size, "X-Raftkv-Continue-After:") != NULL) {
        response->has_more = true;
    }
    if (fence != NULL) {
        response->fence = strtoull(fence, NULL, 10);
    }
    return header_size;
}

static void transfer_begin(struct transfer *transfer, const struct client_request *request,
                           struct client_response *response)
{
    CURL *easy = curl_easy_init();
    RK_ASSERT(easy != NULL);

    transfer->easy = easy;
    transfer->response = response;
    transfer->is_write = strcmp(request->method, "GET") != 0;
    transfer->headers = curl_slist_append(NULL, "Expect:");
    transfer->headers =
        curl_slist_append(transfer->headers, "Content-Type: application/octet-stream");
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "raftkv/" PACKAGE_VERSION);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, response->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &response->body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_take);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, response);
    if (transfer->is_write) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
    if (transfer->is_write && strcmp(request->method, "DELETE") != 0) {
        const void *body = request->body.size > 0 ? (const void *)request->body.data : "";
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    }
}

/* A write that may have reached a node before the line went dead may still happen. */
static enum client_outcome outcome_of(CURLcode code)
{
    switch ((int)code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return CLIENT_OUTCOME_NOT_DONE;
    default:
        return CLIENT_OUTCOME_UNKNOWN;
    }
}

static void transfer_end(struct transfer *transfer, CURLcode code)
{
    struct client_response *response = transfer->response;
    long status = 0;

    if (code == CURLE_OK) {
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        response->status = (uint32_t)status;
        response->error[0] = '\0';
    } else {
        response->status = STATUS_NO_ANSWER;
        if (response->error[0] == '\0') {
            snprintf(response->error, sizeof(response->error), "%s", curl_easy_strerror(code));
        }
        if (transfer->is_write) {
            response->outcome = outcome_of(code);
        }
    }
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
}

void client_call(const struct client_request *request, struct client_response *response)
{
    struct transfer transfer;

    transfer_begin(&transfer, request, response);
    transfer_end(&transfer, curl_easy_perform(transfer.easy));
}

/* ---- bodies that are read while they are sent ---- */

static size_t upload_give(char *data, size_t size, size_t count, void *context)
{
    const struct client_upload *upload = context;
    const size_t given = upload->read(upload->context, (uint8_t *)data, size * count);

    return given > 0 ? given : CURL_READFUNC_ABORT;
}

void client_send(const struct client_upload *upload, struct client_response *response)
{
    const struct client_request request = {
        .method = "PUT", .url = upload->url, .timeout_ms = upload->timeout_ms};
    struct transfer transfer;

    transfer_begin(&transfer, &request, response);
    CURL *easy = transfer.easy;
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)upload->size);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, upload_give);
    curl_easy_setopt(easy, CURLOPT_READDATA, upload);
    transfer_end(&transfer, curl_easy_perform(easy));
}

/* ---- streams ---- */

struct stream_transfer {
    struct transfer transfer;
    const struct client_stream *stream;
};

static long status_of(CURL *easy)
{
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t stream_take(char *data, size_t size, size_t count, void *context)
{
    const struct stream_transfer *transfer = context;
    const struct client_stream *stream = transfer->stream;

    if (status_of(transfer->transfer.easy) != STATUS_OK) {
        return body_take(data, size, count, &transfer->transfer.response->body);
    }
    const struct rk_bytes bytes = {.data = (const uint8_t *)data, .size = (uint32_t)(size * count)};
    return stream->on_bytes(stream->context, bytes) ? size * count : 0;
}

void client_stream(const struct client_stream *stream, struct client_response *response)
{
    const struct client_request request = {.method = "GET", .url = stream->url};
    struct stream_transfer transfer = {.stream = stream};
    char last_id[128];

    transfer_begin(&transfer.transfer, &request, response);
    CURL *easy = transfer.transfer.easy;
    if (stream->last_event_id[0] != '\0') {
        (void)snprintf(last_id, sizeof(last_id), "Last-Event-ID: %s", stream->last_event_id);
        transfer.transfer.headers = curl_slist_append(transfer.transfer.headers, last_id);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.transfer.headers);
    }
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)stream->silence_s);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, stream_take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
    const CURLcode code = curl_easy_perform(easy);
    const long status = status_of(easy);
    transfer_end(&transfer.transfer, code);
    response->status = (uint32_t)status; /* also of a stream that broke off */
}

/* Turns the transfers of `multi` until none is under way; each has its own timeout. */
static void multi_run(CURLM *multi)
{
    int running = 1;

    while (running > 0) {
        CURLMcode code = curl_multi_perform(multi, &running);
        if (code == CURLM_OK && running > 0) {
            code = curl_multi_poll(multi, NULL, 0, 1000, NULL);
        }
        if (code != CURLM_OK) {
            return;
        }
    }
}

/* The result of each transfer; one that reports none was cut off. */
static void multi_results(CURLM *multi, const struct transfer *transfers, uint32_t count,
                          CURLcode *results)
{
    int left = 0;

    for (CURLMsg *done = curl_multi_info_read(multi, &left); done != NULL;
         done = curl_multi_info_read(multi, &left)) {
        for (uint32_t i = 0; i < count; i++) {
            if (done->msg == CURLMSG_DONE && transfers[i].easy == done->easy_handle) {
                results[i] = done->data.result;
            }
        }
    }
}

void client_fetch(const char *const *urls, uint32_t count, uint32_t timeout_ms,
                  struct client_response *responses)
{
    struct transfer transfers[CLIENT_FETCHES_MAX] = {{.easy = NULL}};
    CURLcode results[CLIENT_FETCHES_MAX];
    CURLM *multi = curl_multi_init();

    RK_ASSERT(multi != NULL && count <= CLIENT_FETCHES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        results[i] = CURLE_ABORTED_BY_CALLBACK;
        if (urls[i][0] != '\0') {
            const struct client_request request = {
                .method = "GET", .url = urls[i], .timeout_ms = timeout_ms};
            transfer_begin(&transfers[i], &request, &responses[i]);
            curl_multi_add_handle(multi, transfers[i].easy);
        }
    }
    multi_run(multi);
    multi_results(multi, transfers, count, results);
    for (uint32_t i = 0; i < count; i++) {
        if (transfers[i].easy != NULL) {
            curl_multi_remove_handle(multi, transfers[i].easy);
            transfer_end(&transfers[i], results[i]);
        }
    }
    curl_multi_cleanup(multi);
}

void client_pause(uint32_t pause_ms)
{
    const struct timespec pause = {.tv_sec = pause_ms / 1000,
                                   .tv_nsec = (long)(pause_ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

enum rk_status client_base_parse(const char *addr, char *ret, size_t ret_size)
{
    const bool has_scheme = strncmp(addr, "http://", 7) == 0 || strncmp(addr, "https://", 8) == 0;
    const char *host = has_scheme ? strstr(addr, "//") + 2 : addr;
    size_t size = strlen(host);

    while (size > 0 && host[size - 1] == '/') {
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        if (host[i] <= ' ' || host[i] >= 0x7f || strchr("/?#@\\", host[i]) != NULL) {
            return RK_INVALID;
        }
    }
    if (size == 0) {
        return RK_INVALID;
    }
    const int used = snprintf(ret, ret_size, "%.*s%.*s", has_scheme ? (int)(host - addr) : 7,
                              has_scheme ? addr : "http://", (int)size, host);
    return used > 0 && (size_t)used < ret_size ? RK_OK : RK_TOO_LARGE;
}

void client_append_key(struct rk_buf *buf, const char *key)
{
    const struct rk_bytes bytes = {.data = (const uint8_t *)key, .size = (uint32_t)strlen(key)};

    rk_percent_encode(bytes, "/", buf);
}
