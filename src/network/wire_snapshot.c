/* Behind the line of a question: the configuration, config_size bytes, and the piece of the file. */
#include "base/assert.h"
#include "network/wire_line.h"

void wire_encode_snapshot(const struct wire_snapshot *snapshot, struct rk_buf *buf)
{
    struct rk_json json;

    RK_ASSERT(snapshot->config.size <= WIRE_SNAPSHOT_CONFIG_SIZE_MAX);
    RK_ASSERT(snapshot->offset + snapshot->piece.size <= snapshot->size);
    wire_line_begin(&json, buf, "snapshot");
    wire_put_envelope(&json, &snapshot->envelope);
    wire_put_number(&json, "term", snapshot->term);
    wire_put_number(&json, "last_term", snapshot->last.term);
    wire_put_number(&json, "last_index", snapshot->last.index);
    wire_put_number(&json, "config_index", snapshot->config_index);
    wire_put_number(&json, "sequence", snapshot->sequence);
    wire_put_number(&json, "size", snapshot->size);
    wire_put_hex(&json, "digest", snapshot->digest);
    wire_put_number(&json, "offset", snapshot->offset);
    wire_put_number(&json, "config_size", snapshot->config.size);
    wire_line_end(&json);
    rk_buf_append(buf, snapshot->config.data, snapshot->config.size);
    rk_buf_append(buf, snapshot->piece.data, snapshot->piece.size);
}

static void check_snapshot(struct wire_line *line, const struct wire_snapshot *snapshot)
{
    if (snapshot->term == 0) {
        wire_line_refuse(line, "a request of term 0");
    }
    if (snapshot->last.term == 0 || snapshot->last.index == 0 ||
        snapshot->last.term > snapshot->term) {
        wire_line_refuse(line, "the last entry cannot be of that term");
    }
    if (snapshot->config_index > snapshot->last.index) {
        wire_line_refuse(line, "config_index is beyond last_index");
    }
    if (snapshot->size == 0) {
        wire_line_refuse(line, "a file of no bytes");
    }
}

enum rk_status wire_decode_snapshot(struct rk_bytes body, struct wire_snapshot *ret,
                                    const char **reason)
{
    struct wire_line line;

    wire_line_open(&line, body, &ret->envelope);
    wire_line_expect(&line, "snapshot");
    ret->term = WIRE_NUMBER(&line, "term");
    ret->last.term = WIRE_NUMBER(&line, "last_term");
    ret->last.index = WIRE_NUMBER(&line, "last_index");
    ret->config_index = WIRE_NUMBER(&line, "config_index");
    ret->sequence = WIRE_NUMBER(&line, "sequence");
    ret->size = WIRE_NUMBER(&line, "size");
    ret->digest = WIRE_HEX(&line, "digest");
    ret->offset = WIRE_NUMBER(&line, "offset");
    const uint32_t config_size =
        (uint32_t)WIRE_NUMBER_UP_TO(&line, "config_size", WIRE_SNAPSHOT_CONFIG_SIZE_MAX);
    wire_line_expect_nodes(&line, &ret->envelope);
    check_snapshot(&line, ret);
    if (line.reason == NULL && config_size > line.rest.size) {
        wire_line_refuse(&line, "the configuration is cut short");
    }
    if (line.reason == NULL &&
        (ret->offset > ret->size || line.rest.size - config_size > ret->size - ret->offset)) {
        wire_line_refuse(&line, "the piece reaches past the end of the file");
    }
    *reason = line.reason;
    if (line.reason != NULL) {
        return RK_INVALID;
    }
    ret->config = (struct rk_bytes){.data = line.rest.data, .size = config_size};
    ret->piece = (struct rk_bytes){.data = line.rest.data + config_size,
                                   .size = line.rest.size - config_size};
    return RK_OK;
}

void wire_encode_snapshot_answer(const struct wire_snapshot_answer *answer, struct rk_buf *buf)
{
    struct rk_json json;

    wire_line_begin(&json, buf, "snapshot_answer");
    wire_put_envelope(&json, &answer->envelope);
    wire_put_number(&json, "term", answer->term);
    wire_put_number(&json, "sequence", answer->sequence);
    rk_json_member_bool(&json, "is_over", answer->is_over);
    rk_json_member_bool(&json, "accepted", answer->accepted);
    wire_put_number(&json, "match", answer->match);
    wire_put_number(&json, "offset", answer->offset);
    wire_line_end(&json);
}

enum rk_status wire_decode_snapshot_answer(struct rk_bytes body, struct wire_snapshot_answer *ret,
                                           const char **reason)
{
    struct wire_line line;

    wire_line_open(&line, body, &ret->envelope);
    wire_line_expect(&line, "snapshot_answer");
    ret->term = WIRE_NUMBER(&line, "term");
    ret->sequence = WIRE_NUMBER(&line, "sequence");
    ret->is_over = WIRE_BOOL(&line, "is_over");
    ret->accepted = WIRE_BOOL(&line, "accepted");
    ret->match = WIRE_NUMBER(&line, "match");
    ret->offset = WIRE_NUMBER(&line, "offset");
    wire_line_expect_nodes(&line, &ret->envelope);
    wire_line_expect_end(&line);
    *reason = line.reason;
    return line.reason == NULL ? RK_OK : RK_INVALID;
}
