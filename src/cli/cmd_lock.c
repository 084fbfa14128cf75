/* raftkv lock: runs a command while it holds a lock, and stops it when the lock is lost.
 *
 * The lock is a key held by a session with a time to live (contract 4.1); the session is renewed three
 * times in that. It counts as lost when the cluster says so, or when no renewal came through for as
 * long as it would live: nobody else can hold it sooner, whatever this side can see. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/change.h"
#include "cli/reply.h"

enum {
    TTL_DEFAULT_MS = 15000,
    RENEWALS = 3,   /* in one TTL */
    LOOK_MS = 100,  /* between two looks at the command */
    RETRY_MS = 500, /* between two tries to take the lock */
    KILL_MS = 5000, /* from SIGTERM to SIGKILL */
    TEXT_SIZE = 64,
    STATUS_OK = 200,
    STATUS_NOT_FOUND = 404,
};

/* That of the stock clients' locks, so that they know it for one. */
static const char flags[] = "3304740253564472344";

struct lock {
    const struct cli *cli;
    const char *name;
    uint64_t ttl_ms;
    char session[TEXT_SIZE];
    uint64_t fence;
    uint64_t renewed_ms; /* when the last renewal that came through was sent */
};

/* One call; what = NULL: failure is not told. */
static uint32_t call(const struct lock *lock, const char *method, struct rk_buf *url,
                     struct rk_bytes body, struct client_response *response)
{
    rk_buf_append_byte(url, '\0');
    if (rk_buf_status(url) == RK_OK) {
        const struct client_request request = {
            .method = method,
            .url = (const char *)url->data,
            .body = body,
            .timeout_ms = (uint32_t)(lock->ttl_ms / RENEWALS) + LOOK_MS,
        };
        client_call(&request, response);
    }
    rk_buf_done(url);
    return response->status;
}

static void url_begin(const struct lock *lock, struct rk_buf *url, const char *path,
                      const char *rest)
{
    rk_buf_init(url, CLIENT_URL_SIZE_MAX);
    rk_buf_append_text(url, lock->cli->base);
    rk_buf_append_text(url, path);
    client_append_key(url, rest);
}

static bool session_create(struct lock *lock)
{
    struct client_response response;
    struct rk_buf url;
    char body[256];
    const uint64_t sent_ms = rk_monotonic_ms();
    const int size = snprintf(body, sizeof(body),
                              "{\"Name\":\"raftkv lock\",\"TTL\":\"%llums\",\"LockDelay\":\"1s\","
                              "\"Checks\":[]}",
                              (unsigned long long)lock->ttl_ms);

    client_response_init(&response);
    url_begin(lock, &url, "/v1/session/create", "");
    (void)call(lock, "PUT", &url,
               (struct rk_bytes){.data = (const uint8_t *)body, .size = (uint32_t)size}, &response);
    json_t *answer = reply_parse(&response);
    reply_take_text(answer, "ID", lock->session, sizeof(lock->session));
    json_decref(answer);
    if (lock->session[0] == '\0') {
        (void)cli_refused(lock->cli, "lock", &response);
    }
    lock->renewed_ms = sent_ms;
    client_response_done(&response);
    return lock->session[0] != '\0';
}

static void session_destroy(const struct lock *lock)
{
    struct client_response response;
    struct rk_buf url;

    client_response_init(&response);
    url_begin(lock, &url, "/v1/session/destroy/", lock->session);
    (void)call(lock, "PUT", &url, (struct rk_bytes){.size = 0}, &response);
    client_response_done(&response);
}

/* False: the session is over, or may be. */
static bool session_renew(struct lock *lock)
{
    struct client_response response;
    struct rk_buf url;
    const uint64_t now_ms = rk_monotonic_ms();

    if (now_ms - lock->renewed_ms < lock->ttl_ms / RENEWALS) {
        return true;
    }
    client_response_init(&response);
    url_begin(lock, &url, "/v1/session/renew/", lock->session);
    const uint32_t status = call(lock, "PUT", &url, (struct rk_bytes){.size = 0}, &response);
    client_response_done(&response);
    if (status == STATUS_OK) {
        lock->renewed_ms = now_ms;
    }
    return status != STATUS_NOT_FOUND && rk_monotonic_ms() - lock->renewed_ms < lock->ttl_ms;
}

/* A write of the key with ?acquire= or ?release=; true: the answer is `true`. */
static bool key_write(struct lock *lock, const char *what, struct client_response *response)
{
    struct rk_buf url;

    url_begin(lock, &url, "/v1/kv/", lock->name);
    rk_buf_append_text(&url, "?flags=");
    rk_buf_append_text(&url, flags);
    rk_buf_append_text(&url, what);
    rk_buf_append_text(&url, lock->session);
    return call(lock, "PUT", &url, (struct rk_bytes){.size = 0}, response) == STATUS_OK &&
           response->body.size >= 4 && memcmp(response->body.data, "true", 4) == 0;
}

/* Until it is held; false: it cannot be, and why is said. */
static bool acquire(struct lock *lock)
{
    for (;;) {
        struct client_response response;
        client_response_init(&response);
        const bool is_held = key_write(lock, "&acquire=", &response);
        const bool is_answered = response.status == STATUS_OK;
        lock->fence = response.fence;
        if (!is_answered) {
            (void)cli_refused(lock->cli, "lock", &response);
        }
        client_response_done(&response);
        if (is_held || !is_answered) {
            return is_held;
        }
        client_pause(RETRY_MS);
        if (!session_renew(lock)) {
            fputs("raftkv: lock: the session ended while it waited\n", lock->cli->err);
            return false;
        }
    }
}

static void release(struct lock *lock)
{
    struct client_response response;

    client_response_init(&response);
    (void)key_write(lock, "&release=", &response);
    client_response_done(&response);
    session_destroy(lock);
}

/* In the child. It dies with this program: nothing may run on without the lock. */
static void command_exec(const struct lock *lock, const char *variable, char **argv)
{
    char fence[TEXT_SIZE];

    (void)snprintf(fence, sizeof(fence), "%llu", (unsigned long long)lock->fence);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)setenv(variable, fence, 1);
    (void)execvp(argv[0], argv);
    fprintf(stderr, "raftkv: lock: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* The command's exit status, as a shell would say it. */
static int status_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int command_stop(pid_t pid)
{
    const uint64_t until_ms = rk_monotonic_ms() + KILL_MS;
    int status = 0;

    (void)kill(pid, SIGTERM);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (rk_monotonic_ms() >= until_ms) {
            (void)kill(pid, SIGKILL);
        }
        client_pause(LOOK_MS);
    }
    return status;
}

static int command_run(struct lock *lock, const char *variable, char **argv)
{
    int status = 0;
    const pid_t pid = fork();

    if (pid < 0) {
        fprintf(lock->cli->err, "raftkv: lock: %s\n", strerror(errno));
        return CLI_REFUSED;
    }
    if (pid == 0) {
        command_exec(lock, variable, argv);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (!session_renew(lock)) {
            (void)command_stop(pid);
            fprintf(lock->cli->err, "raftkv: lock: %s was lost; the command was stopped\n",
                    lock->name);
            return CLI_REFUSED;
        }
        client_pause(LOOK_MS);
    }
    return status_of(status);
}

enum cli_exit cmd_lock(struct cli *cli, const struct args *args)
{
    char *argv[ARGS_WORDS_MAX + 1] = {NULL};
    struct lock lock = {
        .cli = cli,
        .name = args->words[1],
        .ttl_ms = (args->given & ARGS_TTL) != 0 ? args->ttl_ms : TTL_DEFAULT_MS,
    };
    const char *variable = (args->given & ARGS_FENCE_ENV) != 0 ? args->fence_env : "RAFTKV_FENCE";

    if (lock.name[0] == '\0' || args->words_count < 3) {
        fputs("raftkv: lock: usage: lock NAME [--ttl TIME] -- COMMAND [ARGUMENT]...\n", cli->err);
        return CLI_USAGE;
    }
    for (uint32_t i = 2; i < args->words_count; i++) {
        argv[i - 2] = (char *)(uintptr_t)args->words[i]; /* execvp() changes nothing */
    }
    if (!session_create(&lock)) {
        return CLI_REFUSED;
    }
    int result = CLI_REFUSED;
    if (acquire(&lock)) {
        (void)fflush(cli->out);
        result = command_run(&lock, variable, argv);
        release(&lock);
    } else {
        session_destroy(&lock);
    }
    return (enum cli_exit)result;
}
