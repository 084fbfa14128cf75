#include "api/error.h"

#include "base/assert.h"

#define HTTP_STATUS(name, http, text) [name] = (http),
static const uint16_t http_status[] = {RK_STATUS_TABLE(HTTP_STATUS)};
#undef HTTP_STATUS

uint32_t error_http_status(enum rk_status status)
{
    RK_ASSERT(status < RK_STATUS_COUNT);
    return http_status[status];
}

const char *error_write_text(enum rk_status status)
{
    if (status == RK_NOT_LEADER) {
        return rk_status_text(RK_NO_LEADER); /* clients know this one, and it is as good */
    }
    return rk_status_text(status);
}

const char *error_read_text(enum rk_status status)
{
    if (status == RK_NOT_LEADER || status == RK_UNKNOWN) {
        return rk_status_text(RK_NO_LEADER);
    }
    return rk_status_text(status);
}

const char *error_outcome(enum rk_status status)
{
    switch (status) {
    case RK_INVALID:
    case RK_NOT_FOUND:
    case RK_CONFLICT:
    case RK_COMPACTED:
    case RK_TOO_LARGE:
    case RK_BUSY:
    case RK_NOT_LEADER:
    case RK_NO_LEADER:
    case RK_FULL:
    case RK_BEHIND:
    case RK_RESTORING:
    case RK_DIFFERS:
        return "not-done";
    case RK_UNKNOWN:
    case RK_IO:
    case RK_CORRUPT:
        return "unknown";
    case RK_OK:
    case RK_STATUS_COUNT:
        break;
    }
    RK_ASSERT(status != RK_OK && status < RK_STATUS_COUNT);
    return "unknown";
}
