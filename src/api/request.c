#include "api/request.h"

#include <string.h>

#include "api/reserve.h"
#include "api/router.h"
#include "base/assert.h"
#include "base/parse.h"

static const char *skip_scheme(const char *target)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t n = 0;
        while (schemes[i][n] != '\0' && (target[n] | 0x20) == (schemes[i][n] | 0x20)) {
            n++;
        }
        if (schemes[i][n] == '\0') {
            return target + n;
        }
    }
    return NULL;
}

static struct rk_bytes bytes_of(const char *text, size_t size)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)size};
}

/* Absolute-form with nothing after the authority means the root. */
static struct rk_bytes path_of(const char *text, size_t size)
{
    return size == 0 ? bytes_of("/", 1) : bytes_of(text, size);
}

enum request_fault request_split(const char *target, struct request_target *ret)
{
    const char *path = target;

    if (*target != '/') {
        const char *authority = skip_scheme(target);
        if (authority == NULL) {
            return REQUEST_MALFORMED;
        }
        path = authority + strcspn(authority, "/?");
        if (path == authority) {
            return REQUEST_MALFORMED;
        }
    }
    const size_t path_size = strcspn(path, "?");
    const char *query = path[path_size] == '?' ? path + path_size + 1 : "";
    const size_t query_size = strlen(query);
    if (path_size > RK_TARGET_SIZE_MAX || query_size > RK_TARGET_SIZE_MAX) {
        return REQUEST_MALFORMED;
    }
    ret->path = path_of(path, path_size);
    ret->query = bytes_of(query, query_size);
    return REQUEST_OK;
}

static bool is_hex(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

bool request_escapes_are_whole(struct rk_bytes text)
{
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            continue;
        }
        if (text.size - i < 3 || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2])) {
            return false;
        }
    }
    return true;
}

static bool has_control_byte(struct rk_bytes bytes)
{
    for (uint32_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] < 0x20 || bytes.data[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

struct rk_bytes request_key(const struct api_call *call)
{
    struct rk_bytes key = rk_buf_bytes(&call->key);

    while (key.size > 0 && *key.data == '/') {
        key.data++;
        key.size--;
    }
    return key;
}

void request_session_id(struct rk_bytes text, struct session_id *ret)
{
    char copy[SESSION_ID_TEXT_SIZE];

    *ret = (struct session_id){.bytes = {0}};
    if (text.size != SESSION_ID_TEXT_SIZE - 1 || memchr(text.data, '\0', text.size) != NULL) {
        return;
    }
    rk_bytes_copy(copy, text);
    copy[text.size] = '\0';
    if (session_id_parse(copy, ret) != RK_OK) {
        *ret = (struct session_id){.bytes = {0}};
    }
}

enum request_fault request_decode_key(struct api_call *call, struct rk_bytes rest)
{
    if (rest.size == 0) {
        return REQUEST_OK;
    }
    buf_reserve(&call->key, rest.size);
    if (rk_percent_decode(rest, false, &call->key) != RK_OK) {
        return REQUEST_MALFORMED;
    }
    const struct rk_bytes key = request_key(call);
    if (key.size > call->options->key_size_max) {
        return REQUEST_KEY_TOO_LONG;
    }
    return has_control_byte(key) ? REQUEST_CONTROL_BYTE : REQUEST_OK;
}

/* Decodes `text` and its NUL behind what the buffer holds; *ret is where it stands. */
static enum request_fault decode_text(struct rk_buf *buf, struct rk_bytes text, const char **ret)
{
    const size_t offset = buf->size;

    if (rk_percent_decode(text, true, buf) != RK_OK) {
        return REQUEST_MALFORMED;
    }
    if (buf->size > offset && memchr(buf->data + offset, '\0', buf->size - offset) != NULL) {
        return REQUEST_CONTROL_BYTE;
    }
    rk_buf_append_byte(buf, '\0');
    RK_ASSERT(rk_buf_status(buf) == RK_OK);
    *ret = (const char *)buf->data + offset;
    return REQUEST_OK;
}

/* One `name=value`, `name=` or `name`. */
static enum request_fault parse_parameter(struct api_call *call, struct rk_bytes text)
{
    if (call->parameters_count == RK_QUERY_PARAMETERS_MAX) {
        return REQUEST_TOO_MANY_PARAMETERS;
    }
    struct http_field *field = &call->parameters[call->parameters_count];
    const uint8_t *equals = memchr(text.data, '=', text.size);
    const uint32_t name_size = equals == NULL ? text.size : (uint32_t)(equals - text.data);
    const struct rk_bytes name = {.data = text.data, .size = name_size};
    const enum request_fault fault = decode_text(&call->query, name, &field->name);

    if (fault != REQUEST_OK) {
        return fault;
    }
    field->value = "";
    call->parameters_count++;
    if (equals == NULL) {
        return REQUEST_OK;
    }
    const struct rk_bytes value = {.data = equals + 1, .size = text.size - name_size - 1};
    return decode_text(&call->query, value, &field->value);
}

enum request_fault request_parse_query(struct api_call *call, struct rk_bytes query)
{
    enum request_fault fault = REQUEST_OK;

    if (query.size == 0) {
        return REQUEST_OK;
    }
    if (memchr(query.data, ';', query.size) != NULL) {
        return REQUEST_MALFORMED; /* some parsers split there, some do not */
    }
    buf_reserve(&call->query, (size_t)query.size + 1); /* each NUL takes the place of a = or & */
    const uint8_t *held = call->query.data;
    while (query.size > 0 && fault == REQUEST_OK) {
        const uint8_t *end = memchr(query.data, '&', query.size);
        const uint32_t size = end == NULL ? query.size : (uint32_t)(end - query.data);
        if (size > 0) {
            fault = parse_parameter(call, (struct rk_bytes){.data = query.data, .size = size});
        }
        const uint32_t used = end == NULL ? size : size + 1;
        query.data += used;
        query.size -= used;
    }
    RK_ASSERT(call->query.data == held); /* the parameters point in there */
    return fault;
}

const char *request_parameter(const struct api_call *call, const char *name)
{
    RK_ASSERT_DEEP(route_declares(call->route, name));
    for (uint32_t i = 0; i < call->parameters_count; i++) {
        const char *found = call->parameters[i].name;
        if (*found == *name && strcmp(found, name) == 0) {
            return call->parameters[i].value;
        }
    }
    return NULL;
}

bool request_has(const struct api_call *call, const char *name)
{
    return request_parameter(call, name) != NULL;
}

static void encode_text(const char *text, struct rk_buf *buf)
{
    while (*text != '\0') {
        const size_t size = strcspn(text, " ");
        rk_percent_encode(bytes_of(text, size), "", buf);
        text += size;
        if (*text == ' ') {
            rk_buf_append_byte(buf, '+');
            text++;
        }
    }
}

/* Insertion sort, stable: values of one name keep their order. */
static void sort_by_name(struct http_field *fields, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct http_field field = fields[i];
        uint32_t at = i;
        while (at > 0 && strcmp(fields[at - 1].name, field.name) > 0) {
            fields[at] = fields[at - 1];
            at--;
        }
        fields[at] = field;
    }
}

void request_encode_query(const struct api_call *call, struct rk_buf *buf)
{
    struct http_field fields[RK_QUERY_PARAMETERS_MAX];

    RK_ASSERT(call->parameters_count <= RK_QUERY_PARAMETERS_MAX);
    memcpy(fields, call->parameters, call->parameters_count * sizeof(fields[0]));
    sort_by_name(fields, call->parameters_count);
    for (uint32_t i = 0; i < call->parameters_count; i++) {
        rk_buf_append_text(buf, i == 0 ? "" : "&");
        encode_text(fields[i].name, buf);
        rk_buf_append_byte(buf, '=');
        encode_text(fields[i].value, buf);
    }
}
