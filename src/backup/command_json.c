#include "backup/command_json.h"

#include "backup/data_look.h"
#include "statemachine/command.h"

static void bytes_member(struct rk_json *json, const char *name, struct rk_bytes bytes)
{
    struct rk_bytes shown = bytes;

    shown.size = shown.size > DATA_LOOK_VALUE_SIZE ? DATA_LOOK_VALUE_SIZE : shown.size;
    rk_json_name(json, name);
    rk_json_bytes(json, shown);
}

static void value_members(struct rk_json *json, struct rk_bytes value)
{
    bytes_member(json, "value", value);
    rk_json_member_u64(json, "value_size", value.size);
}

static void session_member(struct rk_json *json, const struct session_id *id)
{
    char text[SESSION_ID_TEXT_SIZE];

    session_id_format(id, text);
    rk_json_member_text(json, "session", text);
}

static const char *verb_name(enum sm_kv_verb verb)
{
    static const char *const names[] = {
        [SM_KV_SET] = "set",
        [SM_KV_CAS] = "cas",
        [SM_KV_LOCK] = "lock",
        [SM_KV_UNLOCK] = "unlock",
        [SM_KV_GET] = "get",
        [SM_KV_GET_OR_EMPTY] = "get-or-empty",
        [SM_KV_GET_TREE] = "get-tree",
        [SM_KV_CHECK_INDEX] = "check-index",
        [SM_KV_CHECK_SESSION] = "check-session",
        [SM_KV_CHECK_NOT_EXISTS] = "check-not-exists",
        [SM_KV_DELETE] = "delete",
        [SM_KV_DELETE_TREE] = "delete-tree",
        [SM_KV_DELETE_CAS] = "delete-cas",
    };

    return names[verb];
}

static void op_members(struct rk_json *json, const struct sm_kv_op *op)
{
    rk_json_member_text(json, "verb", verb_name(op->verb));
    bytes_member(json, "key", op->key);
    value_members(json, op->value);
    rk_json_member_u64(json, "flags", op->flags);
    rk_json_member_u64(json, "index", op->index);
    if (op->has_session) {
        session_member(json, &op->session);
    }
}

static void put_members(struct rk_json *json, const struct sm_command_put *put)
{
    bytes_member(json, "key", put->key);
    value_members(json, put->value);
    rk_json_member_u64(json, "flags", put->flags);
    if (put->has_cas) {
        rk_json_member_u64(json, "cas", put->cas);
    }
    if (put->ttl_ms > 0) {
        rk_json_member_u64(json, "ttl_ms", put->ttl_ms);
    }
}

static void txn_members(struct rk_json *json, const struct sm_command_txn *txn)
{
    struct rk_bytes rest = txn->ops;
    struct sm_kv_op op;

    rk_json_name(json, "operations");
    rk_json_array_begin(json);
    while (sm_kv_op_next(&rest, &op)) {
        rk_json_object_begin(json);
        op_members(json, &op);
        rk_json_object_end(json);
    }
    rk_json_array_end(json);
}

static void once_members(struct rk_json *json, const struct sm_command_once *once)
{
    bytes_member(json, "token", once->token);
    rk_json_member_u64(json, "window_ms", once->window_ms);
    rk_json_name(json, "command");
    command_json(once->command, json);
}

static void restore_members(struct rk_json *json, const struct sm_command *command)
{
    rk_json_name(json, "id");
    rk_json_hex64(json, command->restore.id);
    rk_json_member_u64(json, "number", command->restore.number);
    rk_json_member_u64(json, "record_type", command->restore.record_type);
    rk_json_member_u64(json, "record_size", command->restore.body.size);
}

static const char *type_name(enum sm_command_type type)
{
    switch (type) {
    case SM_COMMAND_KV_PUT:
    case SM_COMMAND_KV_PUT_TTL:
        return "put";
    case SM_COMMAND_KV_DELETE:
        return "delete";
    case SM_COMMAND_KV_DELETE_PREFIX:
        return "delete-prefix";
    case SM_COMMAND_KV_OP:
        return "operation";
    case SM_COMMAND_SESSION_CREATE:
        return "session-create";
    case SM_COMMAND_SESSION_DESTROY:
        return "session-destroy";
    case SM_COMMAND_SESSION_RENEW:
        return "session-renew";
    case SM_COMMAND_EXPIRE:
        return "expire";
    case SM_COMMAND_EXPIRE_KEYS:
        return "expire-keys";
    case SM_COMMAND_TXN:
        return "txn";
    case SM_COMMAND_ONCE:
        return "once";
    case SM_COMMAND_RESTORE_BEGIN:
        return "restore-begin";
    case SM_COMMAND_RESTORE_RECORD:
        return "restore-record";
    case SM_COMMAND_RESTORE_END:
        return "restore-end";
    case SM_COMMAND_FEATURE_LEVEL:
        return "feature-level";
    case SM_COMMAND_NODE_SET:
        return "node-set";
    case SM_COMMAND_NODE_CLEAR:
        return "node-clear";
    }
    return "other";
}

static void members(const struct sm_command *command, struct rk_json *json)
{
    switch (command->type) {
    case SM_COMMAND_KV_PUT:
    case SM_COMMAND_KV_PUT_TTL:
        put_members(json, &command->put);
        return;
    case SM_COMMAND_KV_DELETE:
        bytes_member(json, "key", command->delete.key);
        if (command->delete.has_cas) {
            rk_json_member_u64(json, "cas", command->delete.cas);
        }
        return;
    case SM_COMMAND_KV_DELETE_PREFIX:
        bytes_member(json, "prefix", command->delete_prefix.prefix);
        return;
    case SM_COMMAND_KV_OP:
        op_members(json, &command->op);
        return;
    case SM_COMMAND_SESSION_CREATE:
        bytes_member(json, "node", command->session.record.node);
        bytes_member(json, "name", command->session.record.name);
        rk_json_member_u64(json, "ttl_ms", command->session.record.ttl_ms);
        session_member(json, &command->session.id);
        return;
    case SM_COMMAND_SESSION_DESTROY:
    case SM_COMMAND_SESSION_RENEW:
        session_member(json, &command->session.id);
        return;
    case SM_COMMAND_EXPIRE:
    case SM_COMMAND_EXPIRE_KEYS:
        rk_json_member_u64(json, "term", command->expire.term);
        rk_json_member_u64(json, "count", command->expire.count);
        return;
    case SM_COMMAND_TXN:
        txn_members(json, &command->txn);
        return;
    case SM_COMMAND_ONCE:
        once_members(json, &command->once);
        return;
    case SM_COMMAND_RESTORE_BEGIN:
    case SM_COMMAND_RESTORE_RECORD:
    case SM_COMMAND_RESTORE_END:
        restore_members(json, command);
        return;
    case SM_COMMAND_FEATURE_LEVEL:
        rk_json_member_u64(json, "level", command->feature_level.level);
        return;
    case SM_COMMAND_NODE_SET:
    case SM_COMMAND_NODE_CLEAR:
        bytes_member(json, "name", command->node.name);
        bytes_member(json, "address", command->node.address);
        rk_json_member_u64(json, "term", command->node.term);
        return;
    }
}

void command_json(struct rk_bytes body, struct rk_json *json)
{
    struct sm_command command;

    rk_json_object_begin(json);
    if (sm_command_decode(body, &command) != RK_OK) {
        rk_json_member_text(json, "type", "not known to this version");
        rk_json_member_u64(json, "size", body.size);
    } else {
        rk_json_member_text(json, "type", type_name(command.type));
        members(&command, json);
    }
    rk_json_object_end(json);
}
