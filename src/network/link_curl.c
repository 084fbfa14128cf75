/* A multi handle for each class: it owns its connections, so the classes cannot share one. All put
 * their sockets into one epoll descriptor, where an event's data is class and socket.
 *
 * Nothing is ever sent twice. When a kept-alive connection dies before the first byte of an answer,
 * curl sends the request again on a new connection, up to five times, also a POST, and has no
 * option against it. A peer may have acted on the first copy and died after, and a forwarded write
 * is not to be done twice. But curl calls PREREQFUNCTION before each sending: before_sending() lets
 * the first one pass, and a second one only as long as not a byte of the first has left (then the
 * connection was found dead in time). The count of bytes sent also tells RK_NOT_FOUND from
 * RK_UNKNOWN afterwards, whatever the error was. */
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/limits.h"
#include "network/link.h"

enum {
    EVENTS_MAX = 64, /* per epoll_wait */
    WATCHED_STEP = 64,
    ROUNDS_MAX = 4, /* of one link_run(): what callbacks post starts in the same run */
    ANSWER_HEADERS_SIZE_MAX = 16 * 1024,
    ANSWER_READ_SIZE =
        1024, /* at a time; each handle under way has such a buffer, made anew for each
                                request, and nearly every answer is shorter */
    PATH_SIZE_MAX = 256,
    URL_SIZE_MAX = sizeof "http://" + RK_ADDRESS_SIZE_MAX + PATH_SIZE_MAX,
};

/* To one peer, and kept in all. A leader has at most max-inflight (64) appends under way to each
 * peer; votes, heartbeats and reads are few, and of a snapshot one piece is on its way. */
static const struct {
    long host_connections_max;
    long connections_max;
} class_limits[LINK_CLASSES] = {
    [LINK_CONTROL] = {.host_connections_max = 8, .connections_max = 128},
    [LINK_BULK] = {.host_connections_max = 64, .connections_max = 512},
    [LINK_SNAPSHOT] = {.host_connections_max = 1, .connections_max = 16},
};

struct request {
    struct request *next; /* among the idle or among those under way */
    struct request *previous;
    struct link *link;
    CURL *easy;
    enum link_class class;
    struct rk_buf body;
    struct rk_buf answer;
    uint32_t headers_size;
    uint64_t cookie;
    uint64_t posted_at_us;
};

struct channel {
    struct link *link;
    CURLM *multi;
    uint64_t timer_at_ms; /* UINT64_MAX: none; 0: at once */
};

/* What the epoll set knows of a descriptor. */
struct watched {
    uint32_t events;    /* 0: it is not in the set */
    bool is_connection; /* else it is the resolver's, and closed without a word */
    bool is_idle;       /* curl does not ask for it: it is kept for another request */
};

struct link {
    struct link_options options;
    int epoll_fd;
    struct watched *watched; /* by descriptor */
    size_t watched_count;
    struct channel channels[LINK_CLASSES];
    struct curl_slist *headers;
    struct request *idle;
    struct request *under_way;
    uint32_t under_way_count;
};

static enum link_class class_of(const struct channel *channel)
{
    return (enum link_class)(channel - channel->link->channels);
}

/* ---- What curl calls ---- */

static struct watched *watched_at(struct link *link, curl_socket_t socket)
{
    const size_t at = (size_t)socket;

    if (at >= link->watched_count) {
        const size_t count = at + WATCHED_STEP;
        link->watched = rk_heap_realloc(link->watched, count * sizeof *link->watched);
        memset(link->watched + link->watched_count, 0,
               (count - link->watched_count) * sizeof *link->watched);
        link->watched_count = count;
    }
    return &link->watched[at];
}

static void unwatch(struct link *link, curl_socket_t socket)
{
    struct watched *watched = watched_at(link, socket);

    if (watched->events != 0) {
        /* A socket that is closed already has left the set by itself. */
        (void)epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, socket, NULL);
        watched->events = 0;
    }
}

/* A kept connection stays in the set between its requests, for taking it out and putting it back is
 * two system calls a request; should it stir meanwhile, it is taken out then. */
static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context,
                     void *socket_context)
{
    (void)easy;
    (void)socket_context;
    const struct channel *channel = context;
    struct watched *watched = watched_at(channel->link, socket);
    struct epoll_event event = {.data.u64 = (uint64_t)class_of(channel) << 32 | (uint32_t)socket};

    watched->is_idle = what == CURL_POLL_REMOVE;
    if (watched->is_idle) {
        if (!watched->is_connection) {
            unwatch(channel->link, socket);
        }
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                   (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    if (watched->events == event.events) {
        return 0;
    }
    const int operation = watched->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    watched->events = event.events;
    return epoll_ctl(channel->link->epoll_fd, operation, socket, &event);
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    const int opened = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    if (opened < 0) {
        return CURL_SOCKET_BAD;
    }
    *watched_at(context, opened) = (struct watched){.is_connection = true};
    return opened;
}

/* Its number may be anybody's next. */
static int on_close(void *context, curl_socket_t socket)
{
    unwatch(context, socket);
    *watched_at(context, socket) = (struct watched){0};
    return close(socket);
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct channel *channel = context;

    if (timeout_ms < 0) {
        channel->timer_at_ms = UINT64_MAX;
    } else if (timeout_ms == 0) {
        channel->timer_at_ms = 0;
    } else {
        channel->timer_at_ms = rk_monotonic_ms() + (uint64_t)timeout_ms;
    }
    return 0;
}

static size_t on_answer(char *data, size_t size, size_t count, void *context)
{
    struct request *request = context;

    rk_buf_append(&request->answer, data, size * count);
    return rk_buf_status(&request->answer) == RK_OK ? size * count : 0;
}

static size_t on_answer_header(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    struct request *request = context;

    request->headers_size += (uint32_t)(size * count);
    return request->headers_size <= ANSWER_HEADERS_SIZE_MAX ? size * count : 0;
}

static bool has_sent(CURL *easy)
{
    long sent = 0;
    const CURLcode code = curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent);

    return code != CURLE_OK || sent > 0;
}

static int before_sending(void *context, char *remote_address, char *local_address, int remote_port,
                          int local_port)
{
    (void)remote_address;
    (void)local_address;
    (void)remote_port;
    (void)local_port;
    const struct request *request = context;

    return has_sent(request->easy) ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* ---- Requests ---- */

static void set_number(CURL *easy, CURLoption option, long value)
{
    const CURLcode code = curl_easy_setopt(easy, option, value);

    RK_ASSERT(code == CURLE_OK);
}

static void set_pointer(CURL *easy, CURLoption option, const void *value)
{
    const CURLcode code = curl_easy_setopt(easy, option, value);

    RK_ASSERT(code == CURLE_OK);
}

/* The options that are the same for every request: the handle keeps them from use to use. */
static void set_up(struct request *request)
{
    const struct link *link = request->link;
    CURL *easy = request->easy;

    set_number(easy, CURLOPT_NOSIGNAL, 1);
    set_number(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    set_number(easy, CURLOPT_FOLLOWLOCATION, 0);
    set_number(easy, CURLOPT_TCP_NODELAY, 1);
    set_number(easy, CURLOPT_BUFFERSIZE, ANSWER_READ_SIZE);
    set_number(easy, CURLOPT_HTTP_CONTENT_DECODING, 0);
    set_number(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)link->options.connect_timeout_ms);
    set_pointer(easy, CURLOPT_PROXY, "");
    set_pointer(easy, CURLOPT_NOPROXY, "*");
    set_pointer(easy, CURLOPT_PROTOCOLS_STR, "http");
    set_pointer(easy, CURLOPT_HTTPHEADER, link->headers);
    set_pointer(easy, CURLOPT_PRIVATE, request);
    set_pointer(easy, CURLOPT_WRITEDATA, request);
    set_pointer(easy, CURLOPT_HEADERDATA, request);
    set_pointer(easy, CURLOPT_PREREQDATA, request);
    set_pointer(easy, CURLOPT_OPENSOCKETDATA, link);
    set_pointer(easy, CURLOPT_CLOSESOCKETDATA, link);
    /* Function pointers are no data pointers, so these go without set_pointer(). */
    CURLcode code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    RK_ASSERT(code == CURLE_OK);
    code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_answer_header);
    RK_ASSERT(code == CURLE_OK);
    code = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_sending);
    RK_ASSERT(code == CURLE_OK);
    code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    RK_ASSERT(code == CURLE_OK);
    code = curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    RK_ASSERT(code == CURLE_OK);
}

static struct request *request_new(struct link *link)
{
    struct request *request = rk_heap_zalloc(1, sizeof *request);

    request->link = link;
    request->easy = curl_easy_init();
    RK_ASSERT(request->easy != NULL);
    rk_buf_init(&request->answer, link->options.answer_size_max);
    set_up(request);
    return request;
}

static void request_free(struct request *request)
{
    curl_easy_cleanup(request->easy);
    rk_buf_done(&request->body);
    rk_buf_done(&request->answer);
    rk_heap_free(request);
}

static struct request *take_idle(struct link *link)
{
    struct request *request = link->idle;

    if (request == NULL) {
        return request_new(link);
    }
    link->idle = request->next;
    return request;
}

static void push_under_way(struct link *link, struct request *request)
{
    request->previous = NULL;
    request->next = link->under_way;
    if (link->under_way != NULL) {
        link->under_way->previous = request;
    }
    link->under_way = request;
    link->under_way_count++;
}

static void remove_under_way(struct link *link, struct request *request)
{
    RK_ASSERT(link->under_way_count > 0);
    if (request->previous == NULL) {
        link->under_way = request->next;
    } else {
        request->previous->next = request->next;
    }
    if (request->next != NULL) {
        request->next->previous = request->previous;
    }
    link->under_way_count--;
}

static bool is_plain(const char *text, size_t size_max, const char *refused)
{
    for (size_t i = 0; i <= size_max; i++) {
        if (text[i] == '\0') {
            return i > 0;
        }
        if (text[i] <= ' ' || text[i] > '~' || strchr(refused, text[i]) != NULL) {
            return false;
        }
    }
    return false;
}

/* "host:port" and "/path": what would make the address anything else in a URL is refused. */
static bool make_url(const char *address, const char *path, char url[URL_SIZE_MAX])
{
    if (!is_plain(address, RK_ADDRESS_SIZE_MAX, "/?#@\\%\"<>{}|^`") || path[0] != '/' ||
        !is_plain(path, PATH_SIZE_MAX - 1, "#\\")) {
        return false;
    }
    const size_t address_size = strlen(address);
    memcpy(url, "http://", 7);
    memcpy(url + 7, address, address_size);
    memcpy(url + 7 + address_size, path, strlen(path) + 1);
    return true;
}

static void set_request(struct request *request, const char *url, bool is_post, uint32_t timeout_ms)
{
    CURL *easy = request->easy;

    set_pointer(easy, CURLOPT_URL, url);
    set_number(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    if (is_post) {
        const CURLcode code =
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
        RK_ASSERT(code == CURLE_OK);
        set_pointer(easy, CURLOPT_POSTFIELDS,
                    request->body.data == NULL ? (const void *)"" : request->body.data);
    } else {
        set_number(easy, CURLOPT_HTTPGET, 1);
    }
}

/* The buffer's bytes move to *ret; the buffer stays usable, and empty. */
static void take_body(struct rk_buf *body, struct rk_buf *ret)
{
    if (body == NULL) {
        rk_buf_init(ret, 0);
        return;
    }
    *ret = *body;
    rk_buf_init(body, ret->size_max);
}

static void start(struct link *link, struct request *request)
{
    push_under_way(link, request);
    const CURLMcode code =
        curl_multi_add_handle(link->channels[request->class].multi, request->easy);
    RK_ASSERT(code == CURLM_OK);
}

enum rk_status link_post(struct link *link, enum link_class class, const char *address,
                         const char *path, struct rk_buf *body, uint32_t timeout_ms,
                         uint64_t cookie)
{
    char url[URL_SIZE_MAX];
    struct rk_buf taken;

    RK_ASSERT(class < LINK_CLASSES);
    take_body(body, &taken);
    const bool is_url = make_url(address, path, url);
    if (!is_url || link->under_way_count >= link->options.requests_max) {
        rk_buf_done(&taken);
        return is_url ? RK_BUSY : RK_INVALID;
    }
    struct request *request = take_idle(link);
    request->class = class;
    request->cookie = cookie;
    request->posted_at_us = rk_monotonic_us();
    request->headers_size = 0;
    request->body = taken;
    rk_buf_reset(&request->answer);
    set_request(request, url, body != NULL, timeout_ms);
    start(link, request);
    return RK_OK;
}

/* ---- Results ---- */

/* Without a length, or the marks of chunks, an answer ends where its connection does, and one that
 * was cut short looks whole. Peers always send a length. */
static bool is_whole(const struct request *request)
{
    curl_off_t size = -1;
    const CURLcode code =
        curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);

    return request->answer.size == 0 ||
           (code == CURLE_OK && size == (curl_off_t)request->answer.size);
}

static struct link_result result_of(const struct request *request, CURLcode code)
{
    struct link_result result = {.cookie = request->cookie};
    long http_status = 0;

    result.round_trip_us = rk_monotonic_us() - request->posted_at_us;
    if (code != CURLE_OK) {
        result.status = has_sent(request->easy) ? RK_UNKNOWN : RK_NOT_FOUND;
        return result;
    }
    if (!is_whole(request)) {
        result.status = RK_UNKNOWN;
        return result;
    }
    code = curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &http_status);
    RK_ASSERT(code == CURLE_OK);
    result.status = RK_OK;
    result.http_status = (uint32_t)http_status;
    result.body = rk_buf_bytes(&request->answer);
    return result;
}

/* The callback may post: so this one is no longer counted, but not yet up for reuse. */
static void finish(struct link *link, struct request *request, CURLcode code)
{
    const struct link_result result = result_of(request, code);
    const CURLMcode removed =
        curl_multi_remove_handle(link->channels[request->class].multi, request->easy);

    RK_ASSERT(removed == CURLM_OK);
    remove_under_way(link, request);
    rk_buf_done(&request->body);
    link->options.on_result(link->options.context, &result);
    request->next = link->idle;
    link->idle = request;
}

/* Each round takes a message away, and only a transfer under way can have one. */
static void deliver(struct link *link, struct channel *channel)
{
    int left;

    for (uint32_t i = 0; i <= link->options.requests_max; i++) {
        const CURLMsg *message = curl_multi_info_read(channel->multi, &left);
        if (message == NULL) {
            return;
        }
        /* The message dies with curl_multi_remove_handle(). */
        const CURLcode code = message->data.result;
        struct request *request = NULL;
        RK_ASSERT(message->msg == CURLMSG_DONE);
        const CURLcode found = curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        RK_ASSERT(found == CURLE_OK && request != NULL);
        finish(link, request, code);
    }
}

/* ---- The loop's side ---- */

static void act(struct channel *channel, curl_socket_t socket, int events)
{
    int running;
    const CURLMcode code = curl_multi_socket_action(channel->multi, socket, events, &running);

    RK_ASSERT(code == CURLM_OK);
}

static void run_sockets(struct link *link)
{
    struct epoll_event events[EVENTS_MAX];
    const int count = epoll_wait(link->epoll_fd, events, EVENTS_MAX, 0);

    for (int i = 0; i < count; i++) {
        struct channel *channel = &link->channels[events[i].data.u64 >> 32];
        const curl_socket_t socket = (curl_socket_t)(events[i].data.u64 & UINT32_MAX);
        const uint32_t what = events[i].events;
        if (watched_at(link, socket)->is_idle) {
            unwatch(link, socket);
            continue;
        }
        act(channel, socket,
            (what & EPOLLIN ? CURL_CSELECT_IN : 0) | (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                (what & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
    }
}

/* curl tells a deadline once. Should it have come up a fraction of a millisecond early, nothing
 * happens and it is not told again: so it is asked for. */
static void run_timer(struct channel *channel)
{
    long timeout_ms;

    channel->timer_at_ms = UINT64_MAX;
    act(channel, CURL_SOCKET_TIMEOUT, 0);
    if (channel->timer_at_ms == UINT64_MAX) {
        const CURLMcode code = curl_multi_timeout(channel->multi, &timeout_ms);
        RK_ASSERT(code == CURLM_OK);
        (void)on_timer(channel->multi, timeout_ms, channel);
    }
}

uint64_t link_deadline_ms(const struct link *link)
{
    uint64_t deadline_ms = UINT64_MAX;

    for (int class = 0; class < LINK_CLASSES; class ++) {
        if (link->channels[class].timer_at_ms < deadline_ms) {
            deadline_ms = link->channels[class].timer_at_ms;
        }
    }
    return deadline_ms;
}

static void run_channels(struct link *link, uint64_t now_ms)
{
    for (int class = 0; class < LINK_CLASSES; class ++) {
        struct channel *channel = &link->channels[class];
        if (channel->timer_at_ms <= now_ms) {
            run_timer(channel);
        }
        deliver(link, channel);
    }
}

/* What is left after the last round is due at once, as link_deadline_ms() says. */
void link_run(struct link *link, uint64_t now_ms)
{
    run_sockets(link);
    run_channels(link, now_ms);
    for (int round = 1; round < ROUNDS_MAX && link_deadline_ms(link) <= now_ms; round++) {
        run_channels(link, now_ms);
    }
}

int link_fd(const struct link *link)
{
    return link->epoll_fd;
}

/* ---- Making and freeing ---- */

static void channel_open(struct link *link, enum link_class class)
{
    struct channel *channel = &link->channels[class];

    channel->link = link;
    channel->timer_at_ms = UINT64_MAX;
    channel->multi = curl_multi_init();
    RK_ASSERT(channel->multi != NULL);
    CURLM *multi = channel->multi;
    const CURLMcode codes[] = {
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket),
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, channel),
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer),
        curl_multi_setopt(multi, CURLMOPT_TIMERDATA, channel),
        curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING),
        curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                          class_limits[class].host_connections_max),
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, class_limits[class].connections_max),
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        RK_ASSERT(codes[i] == CURLM_OK);
    }
}

/* An empty value takes a header out. "Expect: 100-continue" would cost a round trip. */
static struct curl_slist *make_headers(void)
{
    static const char *const lines[] = {"Expect:", "Accept:", "Content-Type:"};
    struct curl_slist *headers = NULL;

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        headers = curl_slist_append(headers, lines[i]);
        RK_ASSERT(headers != NULL);
    }
    return headers;
}

struct link *link_new(const struct link_options *options)
{
    RK_ASSERT(options->on_result != NULL);
    RK_ASSERT(options->requests_max > 0);
    const CURLcode code = curl_global_init(CURL_GLOBAL_NOTHING);
    RK_ASSERT(code == CURLE_OK);
    struct link *link = rk_heap_zalloc(1, sizeof *link);
    link->options = *options;
    link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    RK_ASSERT(link->epoll_fd >= 0);
    link->headers = make_headers();
    for (int class = 0; class < LINK_CLASSES; class ++) {
        channel_open(link, (enum link_class) class);
    }
    return link;
}

static void free_all(struct request *request)
{
    while (request != NULL) {
        struct request *next = request->next;
        request_free(request);
        request = next;
    }
}

void link_free(struct link *link)
{
    if (link == NULL) {
        return;
    }
    for (const struct request *request = link->under_way; request != NULL;
         request = request->next) {
        (void)curl_multi_remove_handle(link->channels[request->class].multi, request->easy);
    }
    free_all(link->under_way);
    free_all(link->idle);
    for (int class = 0; class < LINK_CLASSES; class ++) {
        (void)curl_multi_cleanup(link->channels[class].multi);
    }
    curl_slist_free_all(link->headers);
    rk_heap_free(link->watched);
    (void)close(link->epoll_fd);
    curl_global_cleanup();
    rk_heap_free(link);
}
