#include "network/wire_line.h"

#include "base/assert.h"

static void hex_digits(uint64_t value, char *text)
{
    for (int i = 15; i >= 0; i--) {
        text[i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

void wire_line_begin(struct rk_json *json, struct rk_buf *buf, const char *type)
{
    rk_json_init(json, buf, false);
    rk_json_object_begin(json);
    rk_json_member_text(json, "type", type);
}

void wire_put_envelope(struct rk_json *json, const struct wire_envelope *envelope)
{
    char cluster[33];

    hex_digits(envelope->cluster_high, cluster);
    hex_digits(envelope->cluster_low, cluster + 16);
    cluster[32] = '\0';
    wire_put_number(json, "protocol", RK_PROTOCOL_VERSION);
    rk_json_member_text(json, "cluster", cluster);
    wire_put_number(json, "from", envelope->from);
    wire_put_number(json, "to", envelope->to);
    wire_put_hex(json, "incarnation", envelope->from_incarnation);
    wire_put_number(json, "election_timeout_ms", envelope->election_timeout_ms);
    if (envelope->feature_level > 0) {
        wire_put_number(json, "feature_level", envelope->feature_level);
    }
}

void wire_put_number(struct rk_json *json, const char *name, uint64_t value)
{
    RK_ASSERT(value <= WIRE_NUMBER_MAX);
    rk_json_name(json, name);
    rk_json_u64(json, value);
}

void wire_put_hex(struct rk_json *json, const char *name, uint64_t value)
{
    rk_json_name(json, name);
    rk_json_hex64(json, value);
}

void wire_line_end(struct rk_json *json)
{
    rk_json_object_end(json);
    rk_buf_append_byte(json->buf, '\n');
}

/* Never renumber: nodes of two versions talk to each other during an upgrade. */
static const uint8_t status_codes[] = {
    [RK_OK] = 0,        [RK_INVALID] = 1,   [RK_NOT_FOUND] = 2,  [RK_CONFLICT] = 3,
    [RK_COMPACTED] = 4, [RK_TOO_LARGE] = 5, [RK_BUSY] = 6,       [RK_NOT_LEADER] = 7,
    [RK_NO_LEADER] = 8, [RK_UNKNOWN] = 9,   [RK_FULL] = 10,      [RK_IO] = 11,
    [RK_CORRUPT] = 12,  [RK_BEHIND] = 13,   [RK_RESTORING] = 14, [RK_DIFFERS] = 15,
};
_Static_assert(sizeof status_codes == RK_STATUS_COUNT && RK_STATUS_COUNT == 16,
               "a new status needs a number of its own here");

uint8_t wire_status_code(enum rk_status status)
{
    RK_ASSERT(status < RK_STATUS_COUNT);
    return status_codes[status];
}

bool wire_status_of(uint64_t code, enum rk_status *ret)
{
    for (unsigned status = 0; status < RK_STATUS_COUNT; status++) {
        if (status_codes[status] == code) {
            *ret = (enum rk_status)status;
            return true;
        }
    }
    return false;
}
