/* The reading half of wire_line.h. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/parse.h"
#include "network/wire_line.h"

/* jansson goes down one C frame a level, up to 2048 of them. Ours is one level and no text of ours
 * holds a bracket but an IPv6 address; the rest is room for members of later versions. */
enum { BRACKETS_MAX = 32 };

static bool is_shallow(const char *line, size_t size)
{
    uint32_t brackets = 0;

    for (size_t i = 0; i < size; i++) {
        brackets += (line[i] == '{' || line[i] == '[');
    }
    return brackets <= BRACKETS_MAX;
}

static void parse(struct wire_line *line, struct rk_bytes body)
{
    const size_t reach = body.size < WIRE_LINE_SIZE_MAX ? body.size : WIRE_LINE_SIZE_MAX;
    const uint8_t *end = reach == 0 ? NULL : memchr(body.data, '\n', reach);
    if (end == NULL) {
        wire_line_refuse(line, "no line of JSON at the start, or too long a line");
        return;
    }
    const size_t size = (size_t)(end - body.data);
    const char *text = (const char *)body.data;
    json_t *object =
        is_shallow(text, size) ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_object(object)) {
        json_decref(object);
        wire_line_refuse(line, "the first line is not one JSON object");
        return;
    }
    line->object = object;
    line->rest = (struct rk_bytes){.data = end + 1, .size = body.size - (uint32_t)size - 1};
}

/* The numbers are what an operator needs in the middle of an upgrade, so the text is made. */
static void check_protocol(struct wire_line *line, uint32_t protocol)
{
    static _Thread_local char reason[64];

    if (line->reason == NULL && protocol != RK_PROTOCOL_VERSION) {
        (void)snprintf(reason, sizeof reason, "protocol version %u there, %d here",
                       (unsigned)protocol, RK_PROTOCOL_VERSION);
        wire_line_refuse(line, reason);
    }
}

static uint64_t hex_half(const char *digits, bool *is_good)
{
    char half[17];
    uint64_t value = 0;

    memcpy(half, digits, 16);
    half[16] = '\0';
    *is_good = strlen(half) == 16 && rk_parse_hex64(half, &value) == RK_OK && *is_good;
    return value;
}

static void get_cluster(struct wire_line *line, struct wire_envelope *envelope)
{
    const json_t *cluster = json_object_get(line->object, "cluster");
    bool is_good = json_is_string(cluster) && json_string_length(cluster) == 32;

    if (is_good) {
        envelope->cluster_high = hex_half(json_string_value(cluster), &is_good);
        envelope->cluster_low = hex_half(json_string_value(cluster) + 16, &is_good);
    }
    if (!is_good) {
        wire_line_refuse(line, "member cluster is not 32 hexadecimal digits");
    }
}

void wire_line_open(struct wire_line *line, struct rk_bytes body, struct wire_envelope *envelope)
{
    *line = (struct wire_line){.object = NULL};
    *envelope = (struct wire_envelope){.protocol = 0};
    if (body.size <= RK_PEER_BODY_SIZE_MAX) {
        parse(line, body);
    } else {
        wire_line_refuse(line, "the body is too large");
    }
    envelope->protocol = (uint32_t)WIRE_NUMBER_UP_TO(line, "protocol", UINT32_MAX);
    check_protocol(line, envelope->protocol);
    get_cluster(line, envelope);
    envelope->from = WIRE_NUMBER(line, "from");
    envelope->to = WIRE_NUMBER(line, "to");
    envelope->from_incarnation = WIRE_HEX(line, "incarnation");
    envelope->election_timeout_ms =
        (uint32_t)WIRE_NUMBER_UP_TO(line, "election_timeout_ms", UINT32_MAX);
}

void wire_line_close(struct wire_line *line)
{
    json_decref(line->object);
    line->object = NULL;
}

void wire_line_refuse(struct wire_line *line, const char *reason)
{
    if (line->reason == NULL) {
        line->reason = reason;
    }
}

const char *wire_line_type(const struct wire_line *line)
{
    const char *type = json_string_value(json_object_get(line->object, "type"));

    return type == NULL ? "" : type;
}

void wire_line_expect(struct wire_line *line, const char *type)
{
    if (strcmp(wire_line_type(line), type) != 0) {
        wire_line_refuse(line, "a message of another type is expected here");
    }
}

void wire_line_expect_nodes(struct wire_line *line, const struct wire_envelope *envelope)
{
    if (envelope->from == 0 || envelope->to == 0) {
        wire_line_refuse(line, "from and to must name a node");
    }
}

void wire_line_expect_end(struct wire_line *line)
{
    if (line->rest.size > 0) {
        wire_line_refuse(line, "bytes after the end of the message");
    }
}

uint64_t wire_get_number(struct wire_line *line, const char *name, uint64_t max, const char *reason)
{
    RK_ASSERT(max <= WIRE_NUMBER_MAX);
    const json_t *member = json_object_get(line->object, name);
    const json_int_t value = json_integer_value(member);

    if (!json_is_integer(member) || value < 0 || (uint64_t)value > max) {
        wire_line_refuse(line, reason);
        return 0;
    }
    return (uint64_t)value;
}

uint64_t wire_get_hex(struct wire_line *line, const char *name, const char *reason)
{
    const json_t *member = json_object_get(line->object, name);
    bool is_good = json_is_string(member) && json_string_length(member) == 16;
    const uint64_t value = is_good ? hex_half(json_string_value(member), &is_good) : 0;

    if (!is_good) {
        wire_line_refuse(line, reason);
        return 0;
    }
    return value;
}

bool wire_get_bool(struct wire_line *line, const char *name, const char *reason)
{
    const json_t *member = json_object_get(line->object, name);

    if (!json_is_boolean(member)) {
        wire_line_refuse(line, reason);
    }
    return json_is_true(member);
}

static bool is_plain(const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return true;
}

void wire_get_text(struct wire_line *line, const char *name, char *ret, size_t size_max,
                   const char *reason)
{
    const json_t *member = json_object_get(line->object, name);
    const char *text = json_string_value(member);

    ret[0] = '\0';
    if (text == NULL || json_string_length(member) > size_max || !is_plain(text)) {
        wire_line_refuse(line, reason);
        return;
    }
    memcpy(ret, text, json_string_length(member) + 1);
}
