#include <string.h>

#include "network/wire_line.h"

void wire_encode_identity(const struct wire_identity *identity, struct rk_buf *buf)
{
    struct rk_json json;

    wire_line_begin(&json, buf, "identity");
    wire_put_envelope(&json, &identity->envelope);
    rk_json_member_text(&json, "name", identity->node_name);
    rk_json_member_text(&json, "peer_address", identity->peer_address);
    rk_json_member_text(&json, "client_address", identity->client_address);
    rk_json_member_bool(&json, "is_forming", identity->is_forming);
    wire_put_hex(&json, "formation", identity->formation);
    wire_put_number(&json, "term", identity->term);
    wire_put_number(&json, "leader", identity->leader);
    rk_json_member_bool(&json, "asked_is_member", identity->asked_is_member);
    wire_put_hex(&json, "asked_incarnation", identity->asked_incarnation);
    wire_put_number(&json, "asked_id", identity->asked_id);
    rk_json_member_text(&json, "leader_address", identity->leader_address);
    if (identity->cluster_level > 0) {
        wire_put_number(&json, "cluster_level", identity->cluster_level);
    }
    wire_line_end(&json);
}

static bool is_node_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";

    return name[0] != '\0' && name[strspn(name, allowed)] == '\0';
}

enum rk_status wire_decode_identity(struct rk_bytes body, struct wire_identity *ret,
                                    const char **reason)
{
    struct wire_line line;

    wire_line_open(&line, body, &ret->envelope);
    wire_line_expect(&line, "identity");
    WIRE_TEXT(&line, "name", ret->node_name, RK_NODE_NAME_SIZE_MAX);
    WIRE_TEXT(&line, "peer_address", ret->peer_address, RK_ADDRESS_SIZE_MAX);
    WIRE_TEXT(&line, "client_address", ret->client_address, RK_ADDRESS_SIZE_MAX);
    ret->is_forming = WIRE_BOOL(&line, "is_forming");
    ret->formation = WIRE_HEX(&line, "formation");
    ret->term = WIRE_NUMBER(&line, "term");
    ret->leader = WIRE_NUMBER(&line, "leader");
    ret->asked_is_member = WIRE_BOOL(&line, "asked_is_member");
    ret->asked_incarnation = WIRE_HEX(&line, "asked_incarnation");
    ret->asked_id = WIRE_NUMBER(&line, "asked_id");
    WIRE_TEXT(&line, "leader_address", ret->leader_address, RK_ADDRESS_SIZE_MAX);
    ret->cluster_level = (uint32_t)WIRE_OPTIONAL(&line, "cluster_level", UINT32_MAX);
    if (!is_node_name(ret->node_name)) {
        wire_line_refuse(&line, "member name is not a node's name");
    }
    wire_line_expect_end(&line);
    *reason = line.reason;
    return line.reason == NULL ? RK_OK : RK_INVALID;
}
