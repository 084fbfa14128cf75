#include <string.h>

#include "api/api_txn.h"
#include "api/request.h"
#include "base/assert.h"
#include "base/parse.h"

enum { TEXTS_SIZE_MAX = 64 * 1024, FAULT_SIZE_MAX = 64 * 1024 };

static const struct {
    const char *name;
    enum sm_kv_verb verb;
} verbs[] = {
    {"set", SM_KV_SET},
    {"cas", SM_KV_CAS},
    {"lock", SM_KV_LOCK},
    {"unlock", SM_KV_UNLOCK},
    {"get", SM_KV_GET},
    {"get-or-empty", SM_KV_GET_OR_EMPTY},
    {"get-tree", SM_KV_GET_TREE},
    {"check-index", SM_KV_CHECK_INDEX},
    {"check-session", SM_KV_CHECK_SESSION},
    {"check-not-exists", SM_KV_CHECK_NOT_EXISTS},
    {"delete", SM_KV_DELETE},
    {"delete-tree", SM_KV_DELETE_TREE},
    {"delete-cas", SM_KV_DELETE_CAS},
};

void txn_parser_init(struct txn_parser *parser, const struct api_options *options)
{
    *parser = (struct txn_parser){.options = options};
    rk_buf_init(&parser->texts, TEXTS_SIZE_MAX);
    rk_buf_init(&parser->value, RK_REQUEST_SIZE_MAX);
    rk_buf_init(&parser->fault, FAULT_SIZE_MAX);
}

void txn_parser_done(struct txn_parser *parser)
{
    rk_buf_done(&parser->texts);
    rk_buf_done(&parser->value);
    rk_buf_done(&parser->fault);
}

/* Returns false. */
static bool fault_begin(struct txn_parser *parser)
{
    parser->fault_status = 400;
    rk_buf_append_text(&parser->fault, "Failed to parse body: ");
    return false;
}

static bool op_fault(struct txn_parser *parser, const char *what)
{
    (void)fault_begin(parser);
    rk_buf_append_text(&parser->fault, "operation ");
    rk_buf_append_u64(&parser->fault, parser->op);
    rk_buf_append_text(&parser->fault, ": ");
    rk_buf_append_text(&parser->fault, what);
    return false;
}

bool txn_parser_begin(struct txn_parser *parser, struct rk_bytes body)
{
    struct rk_json_value value;
    struct rk_json_fault fault;

    if (rk_json_read(body, &value, &fault) != RK_OK) {
        (void)fault_begin(parser);
        rk_buf_append_text(&parser->fault, fault.reason);
        return false;
    }
    if (value.kind != RK_JSON_ARRAY) {
        (void)fault_begin(parser);
        rk_buf_append_text(&parser->fault, "it is no array");
        return false;
    }
    rk_json_walk_begin(&parser->walk, &value);
    return true;
}

/* -- members -- */

static bool text_take(struct txn_parser *parser, const struct rk_json_value *value,
                      const char *what, struct rk_bytes *ret)
{
    const size_t begin = parser->texts.size;

    if (value->kind == RK_JSON_NULL) {
        return true;
    }
    if (rk_json_read_text(value, &parser->texts) != RK_OK) {
        return op_fault(parser, what);
    }
    *ret = (struct rk_bytes){.data = parser->texts.data + begin,
                             .size = (uint32_t)(parser->texts.size - begin)};
    return true;
}

static bool number_take(struct txn_parser *parser, const struct rk_json_value *value,
                        const char *what, uint64_t *ret)
{
    return value->kind == RK_JSON_NULL || rk_json_read_u64(value, ret) == RK_OK ||
           op_fault(parser, what);
}

static bool value_too_large(struct txn_parser *parser, struct rk_bytes key)
{
    parser->fault_status = 413;
    rk_buf_append_text(&parser->fault, "Value for key \"");
    rk_buf_append(&parser->fault, key.data, key.size);
    rk_buf_append_text(&parser->fault, "\" is too large (");
    rk_buf_append_u64(&parser->fault, parser->value.size);
    rk_buf_append_text(&parser->fault, " > ");
    rk_buf_append_u64(&parser->fault, parser->options->value_size_max);
    rk_buf_append_text(&parser->fault, " bytes)");
    return false;
}

static bool value_take(struct txn_parser *parser, const struct rk_json_value *value)
{
    struct rk_buf text;

    rk_buf_reset(&parser->value);
    if (value->kind == RK_JSON_NULL) {
        return true;
    }
    rk_buf_init(&text, value->text.size + 1);
    const bool is_good = rk_json_read_text(value, &text) == RK_OK &&
                         rk_base64_decode(rk_buf_bytes(&text), &parser->value) == RK_OK;
    rk_buf_done(&text);
    return is_good || op_fault(parser, "Value is not base64, or too large");
}

static bool member_take(struct txn_parser *parser, struct rk_bytes name,
                        const struct rk_json_value *value, struct txn_op *op)
{
    if (rk_json_name_is(name, "Verb")) {
        return text_take(parser, value, "Verb is not a text", &op->verb);
    }
    if (rk_json_name_is(name, "Key")) {
        return text_take(parser, value, "Key is not a text, or too long", &op->op.key);
    }
    if (rk_json_name_is(name, "Value")) {
        return value_take(parser, value);
    }
    if (rk_json_name_is(name, "Flags")) {
        return number_take(parser, value, "Flags is not an unsigned integer", &op->op.flags);
    }
    if (rk_json_name_is(name, "Index")) {
        return number_take(parser, value, "Index is not an unsigned integer", &op->op.index);
    }
    if (rk_json_name_is(name, "Session")) {
        return text_take(parser, value, "Session is not a text", &op->session);
    }
    /* What the caller counts on may not be left out in silence; other names are nobody's. */
    if (rk_json_name_is(name, "TTL") && value->kind != RK_JSON_NULL) {
        return op_fault(parser, "TTL is not taken in a transaction");
    }
    return true;
}

static bool members_take(struct txn_parser *parser, const struct rk_json_value *object,
                         struct txn_op *op)
{
    struct rk_json_walk walk;
    struct rk_json_value value;
    struct rk_bytes name;

    rk_json_walk_begin(&walk, object);
    while (rk_json_walk_member(&walk, &name, &value)) {
        if (!member_take(parser, name, &value, op)) {
            return false;
        }
    }
    return true;
}

/* -- what an operation must have -- */

static bool verb_find(struct txn_op *op)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (op->verb.size == strlen(verbs[i].name) &&
            memcmp(op->verb.data, verbs[i].name, op->verb.size) == 0) {
            op->op.verb = verbs[i].verb;
            return true;
        }
    }
    return false;
}

static bool is_legal_key(const struct txn_parser *parser, struct rk_bytes key)
{
    for (uint32_t i = 0; i < key.size; i++) {
        if (key.data[i] < 0x20 || key.data[i] == 0x7f) {
            return false;
        }
    }
    return key.size <= parser->options->key_size_max;
}

static bool op_finish(struct txn_parser *parser, struct txn_op *op)
{
    parser->is_unknown_verb = !verb_find(op);
    const bool is_tree = op->op.verb == SM_KV_GET_TREE || op->op.verb == SM_KV_DELETE_TREE;
    if (op->op.key.size == 0 && !is_tree && !parser->is_unknown_verb) {
        return op_fault(parser, "Key is missing");
    }
    if (!is_legal_key(parser, op->op.key)) {
        return op_fault(parser, "Key is too long, or has control bytes");
    }
    if (parser->value.size > parser->options->value_size_max) {
        return value_too_large(parser, op->op.key);
    }
    op->op.value = rk_buf_bytes(&parser->value);
    op->op.has_session = op->session.size > 0;
    if (op->op.has_session) {
        request_session_id(op->session, &op->op.session);
    }
    return true;
}

bool txn_parser_next(struct txn_parser *parser, struct txn_op *ret)
{
    struct rk_json_value element;
    struct rk_json_walk walk;
    struct rk_json_value inner;
    struct rk_bytes name;

    *ret = (struct txn_op){.op = {.verb = SM_KV_GET}};
    rk_buf_reset(&parser->texts);
    rk_buf_reset(&parser->value);
    if (parser->texts.data == NULL) { /* slices into it must not move */
        (void)rk_buf_extend(&parser->texts, TEXTS_SIZE_MAX);
        rk_buf_reset(&parser->texts);
    }
    if (!rk_json_walk_element(&parser->walk, &element)) {
        return false;
    }
    if (element.kind != RK_JSON_OBJECT) {
        return op_fault(parser, "it is no object");
    }
    rk_json_walk_begin(&walk, &element);
    if (!rk_json_walk_member(&walk, &name, &inner) || !rk_json_name_is(name, "KV") ||
        inner.kind != RK_JSON_OBJECT) {
        return op_fault(parser, "only KV operations are supported");
    }
    if (!members_take(parser, &inner, ret) || !op_finish(parser, ret)) {
        return false;
    }
    parser->op++;
    return true;
}
