#include "cli/reply.h"

#include <string.h>

#include "base/buf.h"
#include "cli/output.h"

enum { STATUS_OK = 200 };

/* Indexes go to 2^64 - 1 and jansson's integers do not, so that all numbers are read as reals. */
json_t *reply_parse(const struct client_response *response)
{
    const struct rk_bytes body = rk_buf_bytes(&response->body);

    if (response->status != STATUS_OK || body.size == 0) {
        return NULL;
    }
    return json_loadb((const char *)body.data, body.size, JSON_DECODE_INT_AS_REAL, NULL);
}

void reply_take_text(const json_t *object, const char *name, char *ret, size_t ret_size)
{
    const char *text = json_string_value(json_object_get(object, name));
    struct rk_buf buf;

    rk_buf_init(&buf, ret_size - 1);
    if (text != NULL && strlen(text) < ret_size) {
        output_append_safe(
            &buf, (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)});
    }
    if (buf.size > 0) {
        memcpy(ret, buf.data, buf.size);
    }
    ret[buf.size] = '\0';
    rk_buf_done(&buf);
}

uint64_t reply_take_number(const json_t *object, const char *name)
{
    const double number = json_number_value(json_object_get(object, name));

    return number >= 0 && number <= 9007199254740992.0 ? (uint64_t)number : 0;
}
