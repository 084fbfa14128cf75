#include "network/wire_line.h"

void wire_encode_read_index(const struct wire_read_index *read_index, struct rk_buf *buf)
{
    struct rk_json json;

    wire_line_begin(&json, buf, "read_index");
    wire_put_envelope(&json, &read_index->envelope);
    wire_put_number(&json, "term", read_index->term);
    wire_put_number(&json, "status", wire_status_code(read_index->status));
    wire_put_number(&json, "read_index", read_index->read_index);
    wire_line_end(&json);
}

enum rk_status wire_decode_read_index(struct rk_bytes body, struct wire_read_index *ret,
                                      const char **reason)
{
    struct wire_line line;

    wire_line_open(&line, body, &ret->envelope);
    wire_line_expect(&line, "read_index");
    ret->term = WIRE_NUMBER(&line, "term");
    const uint64_t code = WIRE_NUMBER(&line, "status");
    ret->read_index = WIRE_NUMBER(&line, "read_index");
    if (!wire_status_of(code, &ret->status)) {
        wire_line_refuse(&line, "unknown status");
    }
    wire_line_expect_nodes(&line, &ret->envelope);
    wire_line_expect_end(&line);
    *reason = line.reason;
    return line.reason == NULL ? RK_OK : RK_INVALID;
}
