#include "api/api_txn.h"

#include <string.h>

#include "api/answer.h"
#include "api/api_kv.h"
#include "api/propose.h"
#include "api/read_options.h"
#include "api/request.h"
#include "base/assert.h"
#include "statemachine/txn.h"

enum {
    HEAD_SIZE_MAX = 256,       /* of the command, beside its operations */
    ANSWER_SIZE_MAX = 8 << 20, /* twice what the entries of an answer may cost */
    ERRORS_SIZE_MAX = 4 << 20, /* what is said of failed operations; past it they are not listed */
    WHAT_SIZE_MAX = 64 * 1024,
};

/* -- the request -- */

struct txn_reading {
    struct txn_parser parser;
    struct rk_buf ops;
    uint32_t count;
    uint32_t trees;
    bool is_read_only;
    uint32_t unknown_count; /* verbs that nobody knows */
};

static enum api_action too_many(struct http_response *response, const char *what, uint64_t count,
                                uint64_t count_max)
{
    answer_text_begin(response, 413);
    rk_buf_append_text(&response->body, "Transaction contains too many ");
    rk_buf_append_text(&response->body, what);
    rk_buf_append_text(&response->body, " (");
    rk_buf_append_u64(&response->body, count);
    rk_buf_append_text(&response->body, " > ");
    rk_buf_append_u64(&response->body, count_max);
    rk_buf_append_text(&response->body, ")");
    return API_RESPOND;
}

static bool is_tree(enum sm_kv_verb verb)
{
    return verb == SM_KV_GET_TREE || verb == SM_KV_DELETE_TREE;
}

static void op_take(struct txn_reading *reading, const struct txn_op *op)
{
    reading->count++;
    if (reading->parser.is_unknown_verb) {
        reading->unknown_count++;
        return;
    }
    reading->trees += is_tree(op->op.verb) ? 1 : 0;
    reading->is_read_only = reading->is_read_only && sm_kv_verb_reads(op->op.verb);
    sm_kv_op_append(&op->op, &reading->ops);
}

/* What nobody knows is an operation that failed: nothing is done. */
static enum api_action unknown_verbs(struct api_call *call, struct http_response *response)
{
    struct txn_parser parser;
    struct txn_op op;
    struct rk_json json;
    struct rk_buf what;

    rk_buf_init(&what, WHAT_SIZE_MAX);
    txn_parser_init(&parser, call->options);
    answer_json_begin(call, response, &json);
    response->status = 409;
    rk_json_object_begin(&json);
    rk_json_name(&json, "Results");
    rk_json_null(&json);
    rk_json_name(&json, "Errors");
    rk_json_array_begin(&json);
    bool goes_on = txn_parser_begin(&parser, call->request->body);
    while (goes_on && txn_parser_next(&parser, &op) && response->body.size < WHAT_SIZE_MAX) {
        if (!parser.is_unknown_verb) {
            continue;
        }
        rk_buf_reset(&what);
        rk_buf_append_text(&what, "unknown KV verb \"");
        rk_buf_append(&what, op.verb.data, op.verb.size);
        rk_buf_append_text(&what, "\"");
        rk_json_object_begin(&json);
        rk_json_name(&json, "OpIndex");
        rk_json_u64(&json, parser.op - 1);
        rk_json_name(&json, "What");
        rk_json_bytes(&json, rk_buf_bytes(&what));
        rk_json_object_end(&json);
    }
    rk_json_array_end(&json);
    rk_json_object_end(&json);
    txn_parser_done(&parser);
    rk_buf_done(&what);
    return API_RESPOND;
}

static enum api_action txn_take(struct api_call *call, struct txn_reading *reading,
                                struct http_response *response)
{
    struct txn_op op;

    if (txn_parser_begin(&reading->parser, call->request->body)) {
        while (txn_parser_next(&reading->parser, &op)) {
            op_take(reading, &op);
        }
    }
    if (reading->parser.fault.size > 0) {
        answer_text_begin(response, reading->parser.fault_status);
        rk_buf_append(&response->body, reading->parser.fault.data, reading->parser.fault.size);
        return API_RESPOND;
    }
    if (reading->count > call->options->txn_ops_max) {
        return too_many(response, "operations", reading->count, call->options->txn_ops_max);
    }
    if (reading->trees > SM_TXN_TREES_MAX) {
        return too_many(response, "trees", reading->trees, SM_TXN_TREES_MAX);
    }
    if (reading->ops.overflowed) {
        answer_text_begin(response, 413);
        rk_buf_append_text(&response->body, "Request body too large, max size: ");
        rk_buf_append_u64(&response->body, reading->ops.size_max);
        rk_buf_append_text(&response->body, " bytes");
        return API_RESPOND;
    }
    return reading->unknown_count > 0 ? unknown_verbs(call, response) : API_PROPOSE;
}

static enum api_action command_make(struct api_call *call, const struct txn_reading *reading)
{
    const struct sm_command command = {
        .type = SM_COMMAND_TXN,
        .txn = {.count = reading->count, .ops = rk_buf_bytes(&reading->ops)},
    };

    if (!reading->is_read_only) {
        return propose(call, &command, reading->ops.size);
    }
    sm_command_encode(&command, &call->frame); /* kept for the read */
    return API_READ;
}

enum api_action txn_begin(struct api_call *call, const struct node_view *node,
                          struct http_response *response)
{
    struct txn_reading reading = {.is_read_only = true};

    if (!read_options_parse(call, node, response) || !datacenter_check(call, response) ||
        !namespace_check(call, response)) {
        return API_RESPOND;
    }
    txn_parser_init(&reading.parser, call->options);
    rk_buf_init(&reading.ops, RK_COMMAND_SIZE_MAX - HEAD_SIZE_MAX);
    enum api_action action = txn_take(call, &reading, response);
    if (action == API_PROPOSE) {
        action = command_make(call, &reading);
    }
    txn_parser_done(&reading.parser);
    rk_buf_done(&reading.ops);
    return action;
}

/* -- the answer -- */

static void key_append(struct rk_buf *what, const char *before, struct rk_bytes key,
                       const char *after)
{
    rk_buf_append_text(what, before);
    rk_buf_append_text(what, "key \"");
    rk_buf_append(what, key.data, key.size);
    rk_buf_append_text(what, "\"");
    rk_buf_append_text(what, after);
}

static void missing_key_append(struct rk_buf *what, const struct txn_op *op)
{
    const char *before = "";

    if (op->op.verb == SM_KV_CHECK_INDEX) {
        before = "failed to check index, ";
    } else if (op->op.verb == SM_KV_CHECK_SESSION) {
        before = "failed to check session, ";
    }
    key_append(what, before, op->op.key, " doesn't exist");
}

static void index_append(struct rk_buf *what, const struct txn_op *op,
                         const struct sm_txn_error *error)
{
    key_append(what, "failed index check for ", op->op.key, ", current modify index ");
    rk_buf_append_u64(what, error->modify_index);
    rk_buf_append_text(what, " != ");
    rk_buf_append_u64(what, op->op.index);
}

static void session_append(struct rk_buf *what, const struct txn_op *op,
                           const struct sm_txn_error *error)
{
    const struct session_id nobody = {.bytes = {0}};
    char holder[SESSION_ID_TEXT_SIZE] = "";

    if (!session_id_equal(&error->session, &nobody)) {
        session_id_format(&error->session, holder);
    }
    key_append(what, "failed session check for ", op->op.key, ", current session \"");
    rk_buf_append_text(what, holder);
    rk_buf_append_text(what, "\" != \"");
    rk_buf_append(what, op->session.data, op->session.size);
    rk_buf_append_text(what, "\"");
}

static void what_make(struct rk_buf *what, const struct txn_op *op,
                      const struct sm_txn_error *error)
{
    switch (error->reason) {
    case SM_STALE_INDEX:
        key_append(what, op->op.verb == SM_KV_DELETE_CAS ? "failed to delete " : "failed to set ",
                   op->op.key, ", index is stale");
        break;
    case SM_LOCK_HELD:
        key_append(what, "failed to lock ", op->op.key, ", lock is already held");
        break;
    case SM_LOCK_DELAYED:
        key_append(what, "failed to lock ", op->op.key, " due to lock delay");
        break;
    case SM_TOO_MANY_LOCKS:
        key_append(what, "failed to lock ", op->op.key, ", the session holds too many keys");
        break;
    case SM_SESSION_UNKNOWN:
        rk_buf_append_text(what, "invalid session \"");
        rk_buf_append(what, op->session.data, op->session.size);
        rk_buf_append_text(what, "\"");
        break;
    case SM_SESSION_MISSING:
        rk_buf_append_text(what, "missing session");
        break;
    case SM_NOT_HOLDER:
        key_append(what, "failed to unlock ", op->op.key,
                   ", lock isn't held, or is held by another session");
        break;
    case SM_KEY_MISSING:
        missing_key_append(what, op);
        break;
    case SM_INDEX_DIFFERS:
        index_append(what, op, error);
        break;
    case SM_SESSION_DIFFERS:
        session_append(what, op, error);
        break;
    case SM_KEY_EXISTS:
        key_append(what, "", op->op.key, " exists");
        break;
    case SM_RESULT_TOO_LARGE:
        rk_buf_append_text(what, "the answer would be too large");
        break;
    case SM_DONE:
    case SM_TOO_MANY_SESSIONS:
    case SM_CHECK_IS_CRITICAL:
    case SM_ROLLED_BACK:
    case SM_TOKEN_REUSED:
    case SM_TOO_MANY_TOKENS:
    case SM_RESTORE_BROKEN:
    case SM_REASONS_COUNT:
        rk_buf_append_text(what, "failed"); /* said by a node of another version */
        break;
    }
}

static void error_render(struct rk_json *json, const struct txn_op *op,
                         const struct sm_txn_error *error)
{
    struct rk_buf what;

    rk_buf_init(&what, WHAT_SIZE_MAX + RK_TARGET_SIZE_MAX);
    what_make(&what, op, error);
    rk_json_object_begin(json);
    rk_json_name(json, "OpIndex");
    rk_json_u64(json, error->op);
    rk_json_name(json, "What");
    rk_json_bytes(json, rk_buf_bytes(&what));
    rk_json_object_end(json);
    rk_buf_done(&what);
}

/* Key and session stand in the request, which is read again: errors come in the order of the
 * operations. */
static void errors_render(struct api_call *call, struct rk_json *json, struct rk_bytes rest)
{
    struct txn_parser parser;
    struct txn_op op;
    struct sm_txn_error error;
    bool has_op = false;

    txn_parser_init(&parser, call->options);
    bool goes_on = txn_parser_begin(&parser, call->request->body);
    while (goes_on && sm_txn_error_next(&rest, &error) && json->buf->size < ERRORS_SIZE_MAX) {
        while (goes_on && (!has_op || parser.op <= error.op)) {
            has_op = true;
            goes_on = txn_parser_next(&parser, &op);
        }
        if (goes_on) {
            error_render(json, &op, &error);
        }
    }
    txn_parser_done(&parser);
}

static void results_render(struct rk_json *json, struct rk_bytes rest)
{
    struct sm_kv_entry entry;
    bool has_value = false;

    while (sm_txn_entry_next(&rest, &entry, &has_value)) {
        rk_json_object_begin(json);
        rk_json_name(json, "KV");
        kv_entry_render(json, &entry);
        rk_json_object_end(json);
    }
}

static void txn_render(struct api_call *call, const struct sm_result *result,
                       struct http_response *response)
{
    struct rk_json json;

    response->body.size_max = ANSWER_SIZE_MAX;
    answer_json_begin(call, response, &json);
    rk_json_object_begin(&json);
    rk_json_name(&json, "Results");
    if (result->accepted) {
        rk_json_array_begin(&json);
        results_render(&json, rk_buf_bytes(&result->body));
        rk_json_array_end(&json);
        rk_json_name(&json, "Errors");
        rk_json_null(&json);
    } else {
        response->status = 409;
        rk_json_null(&json);
        rk_json_name(&json, "Errors");
        rk_json_array_begin(&json);
        errors_render(call, &json, rk_buf_bytes(&result->body));
        rk_json_array_end(&json);
    }
    rk_json_object_end(&json);
}

void txn_write_finish(struct api_call *call, const struct sm_result *result,
                      struct http_response *response)
{
    if (result->accepted) {
        http_response_header_u64(response, "X-Consul-Index", result->index);
    }
    txn_render(call, result, response);
}

void txn_read_finish(struct api_call *call, const struct sm_root *root,
                     const struct node_view *node, struct http_response *response,
                     bool *ret_streams)
{
    struct sm_command command;
    struct sm_result result;
    const enum rk_status status = sm_command_decode(rk_buf_bytes(&call->frame), &command);

    (void)ret_streams;
    RK_ASSERT(status == RK_OK && command.type == SM_COMMAND_TXN);
    sm_result_init(&result);
    sm_txn_read(root, &command.txn, &result);
    answer_standing_headers(response, node);
    txn_render(call, &result, response);
    sm_result_done(&result);
}
