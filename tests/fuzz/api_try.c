#include "fuzz/api_try.h"

#include <string.h>

#include "api/api.h"
#include "api/request.h"
#include "base/assert.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/json_read.h"
#include "statemachine/command.h"
#include "statemachine/sm.h"

static const struct api_options options = {.key_size_max = 64,
                                           .value_size_max = 64,
                                           .session_ttl_min_ms = 1000,
                                           .txn_ops_max = 8,
                                           .election_timeout_ms = 400,
                                           .datacenter = "dc1"};

/* A few keys, so that reads find something; made once and kept. */
static struct sm *store;
static raft_index store_index;

static void store_put(const char *key, const char *value)
{
    const struct sm_command command = {
        .type = SM_COMMAND_KV_PUT,
        .put = {.key = {.data = (const uint8_t *)key, .size = (uint32_t)strlen(key)},
                .value = {.data = (const uint8_t *)value, .size = (uint32_t)strlen(value)}}};
    struct sm_result result;
    struct rk_buf buf;

    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
    sm_command_encode(&command, &buf);
    const struct sm_place place = {.term = 1, .index = ++store_index};
    RK_ASSERT(sm_apply(store, &place, rk_buf_bytes(&buf), &result) == RK_OK);
    sm_result_done(&result);
    rk_buf_done(&buf);
}

static void store_make(void)
{
    store = sm_new();
    store_put("a/x/1", "one");
    store_put("a/y", "");
    store_put("a\xff\xff", "<&>");
    store_put("b", "two");
}

static const char *header(const struct http_response *response, const char *name)
{
    for (uint32_t i = 0; i < response->headers_count; i++) {
        if (strcmp(response->headers[i].name, name) == 0) {
            return response->headers[i].value;
        }
    }
    return NULL;
}

/* What says that it is JSON is one document, whole. */
static void check_json(const struct http_response *response)
{
    const char *type = header(response, "Content-Type");
    struct rk_json_value value;
    struct rk_json_fault fault;

    if (type != NULL && strcmp(type, "application/json") == 0 && response->stream == NULL &&
        response->body.size > 0) {
        RK_ASSERT(rk_json_read(rk_buf_bytes(&response->body), &value, &fault) == RK_OK);
    }
}

static void check_answer(const struct http_request *request, const struct http_response *response)
{
    const bool reads = request->method == HTTP_GET || request->method == HTTP_HEAD ||
                       request->method == HTTP_OPTIONS;

    RK_ASSERT(response->status >= 200 && response->status <= 503);
    RK_ASSERT(rk_buf_status(&response->body) == RK_OK);
    RK_ASSERT(header(response, "Vary") != NULL);
    RK_ASSERT(header(response, "X-Consul-Default-Acl-Policy") != NULL);
    RK_ASSERT((header(response, "X-Raftkv-Outcome") != NULL) ==
              (response->status >= 400 && !reads));
    if (request->method == HTTP_HEAD) {
        RK_ASSERT(response->body.size == 0);
    }
    check_json(response);
}

static void check_key(struct rk_bytes key)
{
    RK_ASSERT(key.size <= options.key_size_max);
    for (uint32_t i = 0; i < key.size; i++) {
        RK_ASSERT(key.data[i] >= 0x20 && key.data[i] != 0x7f);
    }
    RK_ASSERT(key.size == 0 || key.data[0] != '/');
}

static void check_txn(const struct sm_command_txn *txn)
{
    struct rk_bytes rest = txn->ops;
    struct sm_kv_op op;
    uint32_t count = 0;

    while (sm_kv_op_next(&rest, &op)) {
        RK_ASSERT(op.key.size <= options.key_size_max && op.value.size <= options.value_size_max);
        count++;
    }
    RK_ASSERT(count == txn->count && count <= options.txn_ops_max);
}

static void check_command(const struct sm_command *command)
{
    switch (command->type) {
    case SM_COMMAND_KV_PUT:
    case SM_COMMAND_KV_PUT_TTL:
        check_key(command->put.key);
        RK_ASSERT(command->put.key.size > 0);
        RK_ASSERT(command->put.value.size <= options.value_size_max);
        break;
    case SM_COMMAND_KV_DELETE:
        check_key(command->delete.key);
        RK_ASSERT(command->delete.key.size > 0);
        break;
    case SM_COMMAND_KV_DELETE_PREFIX:
        check_key(command->delete_prefix.prefix);
        break;
    case SM_COMMAND_KV_OP:
        check_key(command->op.key);
        RK_ASSERT(command->op.key.size > 0);
        RK_ASSERT(command->op.value.size <= options.value_size_max);
        break;
    case SM_COMMAND_SESSION_CREATE:
        RK_ASSERT(command->session.record.node.size > 0);
        break;
    case SM_COMMAND_SESSION_DESTROY:
    case SM_COMMAND_SESSION_RENEW:
        break;
    case SM_COMMAND_ONCE:
        RK_ASSERT(false); /* no request here has a token */
        break;
    case SM_COMMAND_TXN:
        check_txn(&command->txn);
        break;
    case SM_COMMAND_NODE_SET:
    case SM_COMMAND_NODE_CLEAR:
    case SM_COMMAND_EXPIRE:
    case SM_COMMAND_EXPIRE_KEYS:
    case SM_COMMAND_RESTORE_BEGIN:
    case SM_COMMAND_RESTORE_RECORD:
    case SM_COMMAND_RESTORE_END:
    case SM_COMMAND_FEATURE_LEVEL:
        RK_ASSERT(false); /* nobody but the leader itself */
        break;
    }
}

static void finish_write(struct api_call *call, const struct node_view *node,
                         struct http_response *response)
{
    struct sm_result result;
    struct sm_command command;
    struct rk_frame frame;
    uint32_t size = 0;

    RK_ASSERT(rk_frame_seal(call->frame.data, (uint32_t)call->frame.size,
                            &(struct rk_frame_place){.term = 1, .index = 9}) != 0);
    RK_ASSERT(rk_frame_read(rk_buf_bytes(&call->frame), &frame, &size) == RK_OK);
    RK_ASSERT(size == call->frame.size);
    RK_ASSERT(sm_command_decode(frame.body, &command) == RK_OK);
    check_command(&command);
    struct sm *fresh = sm_new();
    RK_ASSERT(sm_apply(fresh, &(struct sm_place){.term = 1, .index = 9}, frame.body, &result) ==
              RK_OK);
    api_finish_write(call, RK_OK, &result, node, response);
    RK_ASSERT(response->status == 200 || !result.accepted);
    sm_result_done(&result);
    sm_free(fresh);
}

static void finish_read(struct api_call *call, const struct node_view *node,
                        struct http_response *response)
{
    const struct sm_root root = sm_publish(store);
    bool streams = true;

    check_key(request_key(call));
    api_finish_read(call, &root, node, response, &streams);
    RK_ASSERT(!streams); /* the store is small */
    RK_ASSERT(response->status == 200 || response->status == 404 || response->status == 409);
    RK_ASSERT((header(response, "X-Consul-Index") != NULL) == (call->request->method == HTTP_GET));
    RK_ASSERT(header(response, "X-Consul-Knownleader") != NULL);
    RK_ASSERT(header(response, "X-Consul-Lastcontact") != NULL);
}

static void try_request(const struct http_request *request)
{
    static struct node_view node = {.node_name = "n1", .role = "leader", .has_leader = true};
    struct http_response response;
    struct api_call call;

    if (node.meters == NULL) {
        node.meters = rk_meters_new(1, 0);
    }
    switch (api_begin(&call, &options, request, &node, &response)) {
    case API_PROPOSE:
        finish_write(&call, &node, &response);
        break;
    case API_READ:
        finish_read(&call, &node, &response);
        break;
    case API_RESTORE:
        RK_ASSERT(false); /* no request here has a sink */
        break;
    case API_ADMIN:
        RK_ASSERT(call.admin != NULL);
        api_finish_admin(&call, &(struct admin_outcome){.status = RK_OK}, &node, &response);
        break;
    case API_RESPOND:
        break;
    }
    check_answer(request, &response);
    api_end(&call);
    http_response_done(&response);
}

void api_try(enum http_method method, const char *target, struct rk_bytes body)
{
    static const char *const names[] = {"GET",  "PUT",     "DELETE", "POST",
                                        "HEAD", "OPTIONS", "PATCH",  "PROPFIND"};
    const size_t size = strlen(target) + 1;
    char *copy = rk_heap_alloc(size);

    if (store == NULL) {
        store_make();
    }
    memcpy(copy, target, size);
    try_request(&(struct http_request){
        .method = method, .method_name = names[method], .target = copy, .body = body});
    rk_heap_free(copy);
}
