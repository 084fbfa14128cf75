#include "api/api_members.h"

#include <jansson.h>
#include <string.h>

#include "api/answer.h"
#include "api/read_options.h"
#include "api/request.h"
#include "base/assert.h"
#include "base/heap.h"
#include "base/parse.h"
#include "statemachine/membership.h"

enum { BODY_SIZE_MAX = 64 * 1024 };

/* -- requests -- */

enum api_action admin_begin(struct api_call *call, enum admin_type type,
                            struct http_response *response)
{
    if (!datacenter_check(call, response)) {
        return API_RESPOND;
    }
    /* Also where none is looked at: it would be passed on to the leader. */
    if (call->request->body.size > BODY_SIZE_MAX) {
        return answer_text(response, 413, "Request body too large");
    }
    call->admin = rk_heap_zalloc(1, sizeof(*call->admin));
    call->admin->type = type;
    return API_ADMIN;
}

enum api_action admin_look(struct api_call *call, struct http_response *response)
{
    return admin_begin(call, ADMIN_LOOK, response);
}

static enum api_action change_begin(struct api_call *call, enum admin_type type,
                                    struct http_response *response)
{
    const char *cas = request_parameter(call, "cas");
    const enum api_action action = admin_begin(call, type, response);

    if (action == API_ADMIN && cas != NULL) {
        call->admin->has_cas = true;
        if (rk_parse_u64(cas, &call->admin->cas) != RK_OK) {
            return answer_text(response, 400, "cas must be the index of the configuration");
        }
    }
    return action;
}

/* NULL: the response says what is wrong with the body. */
static json_t *body_parse(const struct api_call *call, struct http_response *response)
{
    const struct rk_bytes body = call->request->body;
    json_error_t error;

    json_t *json = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        answer_text_begin(response, 400);
        rk_buf_append_text(&response->body, "Request decode failed: ");
        rk_buf_append_text(&response->body, error.text);
    }
    return json;
}

/* Every member of the object is one of `names`, which a NULL ends. */
static bool names_check(const json_t *object, const char *const *names,
                        struct http_response *response)
{
    const char *name = NULL;
    json_t *value = NULL;

    if (!json_is_object(object)) {
        answer_text(response, 400, "the body must be a JSON object");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        uint32_t i = 0;
        while (names[i] != NULL && strcmp(names[i], name) != 0) {
            i++;
        }
        if (names[i] == NULL) {
            answer_text_begin(response, 400);
            rk_buf_append_text(&response->body, "unknown member ");
            answer_append_quoted(&response->body, name);
            return false;
        }
    }
    return true;
}

static bool text_take(const json_t *object, const char *name, char *ret, size_t size_max,
                      struct http_response *response)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (text != NULL && *text != '\0' && strlen(text) <= size_max) {
        memcpy(ret, text, strlen(text) + 1);
        return true;
    }
    answer_text_begin(response, 400);
    answer_append_quoted(&response->body, name);
    rk_buf_append_text(&response->body, " must be a text of 1 to ");
    rk_buf_append_u64(&response->body, size_max);
    rk_buf_append_text(&response->body, " bytes");
    return false;
}

/* host:port, with nothing in the host that an URL would read differently. */
static bool is_address(const char *text)
{
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789.-_[]:";
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;

    return colon != NULL && colon != text && strspn(text, legal) == strlen(text) &&
           rk_parse_u64(colon + 1, &port) == RK_OK && port > 0 && port <= UINT16_MAX;
}

/* The name and the address of a new member. */
static bool new_take(const json_t *object, struct admin_item *item, struct http_response *response)
{
    struct member member = {.id = 1};

    if (!text_take(object, "name", item->name, RK_NODE_NAME_SIZE_MAX, response) ||
        !text_take(object, "peer_address", item->peer_address, RK_ADDRESS_SIZE_MAX, response)) {
        return false;
    }
    memcpy(member.name, item->name, sizeof(member.name));
    memcpy(member.peer_address, "-", 2);
    if (!member_texts_are_legal(&member)) {
        answer_text(response, 400, "\"name\" may have letters, digits and . _ - only");
        return false;
    }
    if (!is_address(item->peer_address)) {
        answer_text(response, 400, "\"peer_address\" must be host:port");
        return false;
    }
    return true;
}

static bool add_take(const json_t *object, struct admin_item *item, struct http_response *response)
{
    static const char *const names[] = {"name", "peer_address", "learner", NULL};
    const json_t *learner = json_object_get(object, "learner");

    if (!names_check(object, names, response) || !new_take(object, item, response)) {
        return false;
    }
    if (learner != NULL && !json_is_boolean(learner)) {
        answer_text(response, 400, "\"learner\" must be true or false");
        return false;
    }
    item->stays_learner = json_is_true(learner);
    return true;
}

enum api_action members_add_begin(struct api_call *call, const struct node_view *node,
                                  struct http_response *response)
{
    const enum api_action action = change_begin(call, ADMIN_ADD, response);

    (void)node;
    if (action == API_RESPOND) {
        return action;
    }
    json_t *body = body_parse(call, response);
    call->admin->items_count = 1;
    const bool is_good = body != NULL && add_take(body, &call->admin->items[0], response);
    json_decref(body);
    return is_good ? API_ADMIN : API_RESPOND;
}

static bool replace_take(const json_t *object, struct admin_item *item,
                         struct http_response *response)
{
    static const char *const names[] = {"old", "name", "peer_address", NULL};

    return names_check(object, names, response) &&
           text_take(object, "old", item->who, RK_ADDRESS_SIZE_MAX, response) &&
           new_take(object, item, response);
}

static bool replacements_take(const json_t *body, struct admin_request *admin,
                              struct http_response *response)
{
    if (!json_is_array(body)) {
        admin->items_count = 1;
        return replace_take(body, &admin->items[0], response);
    }
    const size_t count = json_array_size(body);
    if (count == 0 || count > RAFT_VOTERS_MAX) {
        answer_text(response, 400, "the array must have 1 to 9 replacements");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!replace_take(json_array_get(body, i), &admin->items[i], response)) {
            return false;
        }
    }
    admin->items_count = (uint32_t)count;
    return true;
}

enum api_action members_replace_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response)
{
    const enum api_action action = change_begin(call, ADMIN_REPLACE, response);

    (void)node;
    if (action == API_RESPOND) {
        return action;
    }
    json_t *body = body_parse(call, response);
    const bool is_good = body != NULL && replacements_take(body, call->admin, response);
    json_decref(body);
    return is_good ? API_ADMIN : API_RESPOND;
}

/* The member that the path names. */
static enum api_action named_begin(struct api_call *call, enum admin_type type,
                                   struct http_response *response)
{
    const struct rk_bytes name = request_key(call);
    const enum api_action action = change_begin(call, type, response);

    if (action == API_RESPOND) {
        return action;
    }
    if (name.size == 0 || name.size > RK_ADDRESS_SIZE_MAX) {
        return answer_text(response, 400, "the path must end with a member's name or id");
    }
    rk_bytes_copy(call->admin->items[0].who, name);
    call->admin->items_count = 1;
    return API_ADMIN;
}

enum api_action members_repair_begin(struct api_call *call, const struct node_view *node,
                                     struct http_response *response)
{
    static const char *const names[] = {"name", NULL};
    const enum api_action action = admin_begin(call, ADMIN_REPAIR, response);

    (void)node;
    if (action == API_RESPOND) {
        return action;
    }
    json_t *body = body_parse(call, response);
    call->admin->items_count = 1;
    const bool is_good =
        body != NULL && names_check(body, names, response) &&
        text_take(body, "name", call->admin->items[0].who, RK_ADDRESS_SIZE_MAX, response);
    json_decref(body);
    return is_good ? API_ADMIN : API_RESPOND;
}

enum api_action members_promote_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response)
{
    static const char *const names[] = {"role", NULL};
    const enum api_action action = named_begin(call, ADMIN_PROMOTE, response);

    (void)node;
    if (action == API_RESPOND) {
        return action;
    }
    json_t *body = body_parse(call, response);
    bool is_good = body != NULL && names_check(body, names, response);
    if (is_good) {
        const char *role = json_string_value(json_object_get(body, "role"));
        is_good = role != NULL && strcmp(role, "voter") == 0;
        if (!is_good) {
            answer_text(response, 400, "\"role\" must be \"voter\"");
        }
    }
    json_decref(body);
    return is_good ? API_ADMIN : API_RESPOND;
}

enum api_action members_remove_begin(struct api_call *call, const struct node_view *node,
                                     struct http_response *response)
{
    (void)node;
    return named_begin(call, ADMIN_REMOVE, response);
}

/* -- answers -- */

static void append_quorum(const struct admin_outcome *outcome, struct rk_buf *text)
{
    rk_buf_append_text(text, "would lose quorum: of the ");
    rk_buf_append_u64(text, outcome->numbers[1]);
    rk_buf_append_text(text, " voters afterwards only ");
    rk_buf_append_u64(text, outcome->numbers[0]);
    rk_buf_append_text(text, " would answer, and ");
    rk_buf_append_u64(text, outcome->numbers[2]);
    rk_buf_append_text(text, " are needed");
}

static void append_not_caught_up(const struct admin_outcome *outcome, struct rk_buf *text)
{
    rk_buf_append_text(text, "not caught up: ");
    answer_append_quoted(text, outcome->who);
    rk_buf_append_text(text, " is matching ");
    answer_append_grouped(text, outcome->numbers[0]);
    rk_buf_append_text(text, " of ");
    answer_append_grouped(text, outcome->numbers[1]);
}

static void append_in_flight(const struct admin_outcome *outcome, struct rk_buf *text)
{
    rk_buf_append_text(text, "a change is already in flight");
    if (outcome->who[0] != '\0') {
        rk_buf_append_text(text, ": ");
        answer_append_quoted(text, outcome->who);
        rk_buf_append_text(text, " is catching up or being replaced; removing the newcomer gives "
                                 "the change up");
    }
}

/* Text, with `who` behind it in quotes. */
static void append_about(const char *what, const struct admin_outcome *outcome, struct rk_buf *text)
{
    rk_buf_append_text(text, what);
    answer_append_quoted(text, outcome->who);
}

static void append_refusal(const struct admin_outcome *outcome, struct rk_buf *text)
{
    switch (outcome->refusal) {
    case ADMIN_IN_FLIGHT:
        append_in_flight(outcome, text);
        return;
    case ADMIN_INDEX_DIFFERS:
        rk_buf_append_text(text, "the configuration has another index: ");
        rk_buf_append_u64(text, outcome->numbers[0]);
        return;
    case ADMIN_UNKNOWN_NODE:
        append_about("unknown node: ", outcome, text);
        return;
    case ADMIN_NAME_TAKEN:
        append_about("a member has this name already: ", outcome, text);
        return;
    case ADMIN_ADDRESS_TAKEN:
        append_about("a member has this peer address already: ", outcome, text);
        return;
    case ADMIN_ALREADY_VOTER:
        append_about("a voter already: ", outcome, text);
        return;
    case ADMIN_STILL_ANSWERS:
        append_about("the member still answers at this address; stop it and empty its data "
                     "directory first: ",
                     outcome, text);
        return;
    case ADMIN_NOT_CAUGHT_UP:
        append_not_caught_up(outcome, text);
        return;
    case ADMIN_LAST_VOTER:
        rk_buf_append_text(text, "last voter: nobody would be left to vote");
        return;
    case ADMIN_TOO_MANY_VOTERS:
        rk_buf_append_text(text, "a cluster has at most 9 voters");
        return;
    case ADMIN_TOO_MANY_LEARNERS:
        rk_buf_append_text(text, "a cluster has at most 9 learners");
        return;
    case ADMIN_QUORUM_LOST:
        append_quorum(outcome, text);
        return;
    case ADMIN_NOT_TRANSFERABLE:
        rk_buf_append_text(text, "leadership cannot go there: not another voter that answers");
        return;
    case ADMIN_DOES_NOT_DIFFER:
        append_about("nothing to repair: no difference is known of ", outcome, text);
        return;
    case ADMIN_TRANSFER_FAILED:
        rk_buf_append_text(text, "leadership was not taken over within an election timeout");
        return;
    case ADMIN_ALLOWED:
        break;
    }
    RK_ASSERT(outcome->refusal != ADMIN_ALLOWED);
}

void admin_refuse(const struct admin_outcome *outcome, uint32_t http_status,
                  struct http_response *response)
{
    answer_text_begin(response, http_status);
    append_refusal(outcome, &response->body);
}

static void done_render(const struct api_call *call, const struct admin_outcome *outcome,
                        struct http_response *response)
{
    struct rk_json json;

    answer_json_begin(call, response, &json);
    rk_json_object_begin(&json);
    rk_json_name(&json, "index");
    rk_json_u64(&json, outcome->index);
    rk_json_name(&json, "members");
    rk_json_array_begin(&json);
    for (uint32_t i = 0; i < call->admin->items_count; i++) {
        const struct admin_item *item = &call->admin->items[i];
        rk_json_object_begin(&json);
        rk_json_name(&json, "id");
        rk_json_u64(&json, item->id);
        rk_json_name(&json, "name");
        rk_json_text(&json, item->name);
        rk_json_name(&json, "peer_address");
        rk_json_text(&json, item->peer_address);
        rk_json_object_end(&json);
    }
    rk_json_array_end(&json);
    rk_json_object_end(&json);
}

void members_finish(struct api_call *call, const struct admin_outcome *outcome,
                    const struct node_view *node, struct http_response *response)
{
    (void)node;
    if (outcome->refusal == ADMIN_ALLOWED) {
        done_render(call, outcome, response);
    } else {
        admin_refuse(outcome, outcome->refusal == ADMIN_UNKNOWN_NODE ? 404 : 409, response);
    }
}
