/* log.h -- structured log lines on stderr: level, subsystem, event, then key=value pairs.
 *
 *   rk_log(RK_LOG_INFO, "raft", "became_leader", RK_U64("term", 7), RK_TEXT("leader", "n1"), RK_END);
 *   -> time=2026-01-02T03:04:05.678Z level=info sub=raft event=became_leader term=7 leader=n1
 *
 * With a node name set up, self=<name> follows the level. Event names are snake_case words; what
 * a reader greps for never contains prose. Values are escaped (quotes and control bytes) and cut
 * at 256 bytes. Never log keys or values of clients above debug. error: an operator must act;
 * warn: degraded but going on; info: role, membership, lifecycle; debug: per message. A line is
 * written with one write(2), ends at 4096 bytes (a field that does not fit is left out whole), and
 * is lost when the write fails.
 *
 * Thread: any.
 */
#ifndef RK_BASE_LOG_H
#define RK_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum rk_log_level { RK_LOG_DEBUG, RK_LOG_INFO, RK_LOG_WARN, RK_LOG_ERROR };
enum rk_log_format { RK_LOG_LOGFMT, RK_LOG_JSON };
enum rk_log_kind { RK_LOG_KIND_END, RK_LOG_KIND_TEXT, RK_LOG_KIND_U64, RK_LOG_KIND_I64 };

struct rk_log_field {
    enum rk_log_kind kind;
    const char *name;
    const char *text;
    uint64_t u64;
    int64_t i64;
};

#define RK_TEXT(name_, value_) \
    ((struct rk_log_field){.kind = RK_LOG_KIND_TEXT, .name = (name_), .text = (value_)})
#define RK_U64(name_, value_) \
    ((struct rk_log_field){.kind = RK_LOG_KIND_U64, .name = (name_), .u64 = (value_)})
#define RK_I64(name_, value_) \
    ((struct rk_log_field){.kind = RK_LOG_KIND_I64, .name = (name_), .i64 = (value_)})

/* Set once at start, before other threads; level may change later (SIGHUP). */
void rk_log_setup(enum rk_log_level level, enum rk_log_format format, const char *node_name);
void rk_log_set_level(enum rk_log_level level);
bool rk_log_wants(enum rk_log_level level);

/* `fields` ends with a field of kind RK_LOG_KIND_END; use the macro. */
void rk_log_write(enum rk_log_level level, const char *subsystem, const char *event,
                  const struct rk_log_field *fields);

#define RK_END ((struct rk_log_field){.kind = RK_LOG_KIND_END})

/* The last argument is RK_END. */
#define rk_log(level, subsystem, event, ...)                          \
    do {                                                              \
        if (rk_log_wants(level)) {                                    \
            rk_log_write((level), (subsystem), (event),               \
                         (const struct rk_log_field[]){__VA_ARGS__}); \
        }                                                             \
    } while (0)

#endif
