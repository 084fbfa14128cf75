/* node_members.c -- what an administrator asks for: on the leader done, elsewhere passed on whole.
 *
 * Which configuration follows is member_change.c's to say; here are its facts (who answers, who has
 * caught up, by rounds as in 4.2.1), its proposals, and those who wait for them. All that must
 * outlive this leader is in the configuration itself. */
#include "server/node_internal.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "raft/quorum.h"

enum {
    ADMINS_IN_FLIGHT_MAX = 4,
    CATCH_UP_LAG_MAX = 4096, /* entries that a new voter may be behind */
    ID_BITS = 53,
};

/* One request at the leader: an own client's, or another node's. */
struct admin_job {
    struct client_request *request; /* NULL: another node's, below */
    struct http_exchange *exchange;
    raft_node_id from;
    struct http_request http;
    struct rk_buf target; /* with its NUL */
    struct api_call *call;
    struct admin_outcome outcome;
    raft_index index; /* of the configuration that was proposed */
    raft_term term;   /* in which it was */
    raft_node_id heir;
    uint64_t deadline_ms;
};

/* -- who answers, who has caught up -- */

static bool answers(const struct node *node, raft_node_id id, struct raft_peer_view *progress)
{
    return raft_peer_view(node->raft, id, progress) == RK_OK && progress->contact_ms != 0 &&
           node->now_ms - progress->contact_ms < node->options->election_timeout_ms;
}

bool node_member_answers(const struct node *node, raft_node_id id)
{
    struct raft_peer_view progress;

    return node_is_leader(node) && (id == node->id || answers(node, id, &progress));
}

uint32_t node_failure_tolerance(const struct node *node)
{
    uint32_t voters = 0;
    uint32_t alive = 0;

    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        const struct member *member = &node->membership.members[i];
        voters += member->is_voter ? 1 : 0;
        alive += member->is_voter && node_member_answers(node, member->id) ? 1 : 0;
    }
    return alive > quorum_size(voters) ? alive - quorum_size(voters) : 0;
}

static void round_begin(struct node *node, struct peer *peer)
{
    peer->round_target = node->view.last.index;
    peer->round_began_ms = node->now_ms;
}

/* 4.2.1: each round is the log as it was when the round began; a learner whose last one was
 * shorter than an election timeout would hold commits up no longer than an election does. */
static void round_turn(struct node *node, struct peer *peer)
{
    struct raft_peer_view progress;
    const bool is_alive = answers(node, peer->id, &progress);

    if (is_alive != peer->was_alive) {
        peer->was_alive = is_alive;
        peer->stable_since_ms = rk_wall_ms();
    }
    if (!is_alive || peer->round_term != node->view.hard_state.term) {
        peer->round_term = node->view.hard_state.term;
        peer->is_caught_up = false;
        peer->rounds = 0;
        round_begin(node, peer);
        return;
    }
    if (progress.match_index >= peer->round_target) {
        peer->is_caught_up =
            node->now_ms - peer->round_began_ms < node->options->election_timeout_ms;
        peer->rounds = peer->is_caught_up ? 0 : peer->rounds + 1;
        round_begin(node, peer);
    }
}

static void facts_make(struct node *node, struct member_facts *facts)
{
    *facts = (struct member_facts){
        .config_index = node->membership_index,
        .is_config_committed = node->view.is_config_committed,
        .last_index = node->view.last.index,
    };
    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        const struct member *member = &node->membership.members[i];
        const struct peer *peer = node_peer(node, member->id);
        struct raft_peer_view progress = {.match_index = 0};
        const bool is_alive = answers(node, member->id, &progress);
        facts->members[i].is_alive = is_alive || member->id == node->id;
        facts->members[i].is_there =
            facts->members[i].is_alive && (peer == NULL || node_peer_is_itself(peer));
        facts->members[i].match_index = progress.match_index;
        facts->members[i].is_caught_up =
            is_alive && peer != NULL && peer->is_caught_up && member->incarnation != 0 &&
            facts->last_index - progress.match_index <= CATCH_UP_LAG_MAX;
    }
}

/* -- answers -- */

static void job_free(struct admin_job *job)
{
    if (job->request == NULL) {
        api_end(job->call);
        rk_heap_free(job->call);
        rk_buf_done(&job->target);
    }
    rk_heap_free(job);
}

/* To the node that passed it on: the answer whole, made here. */
static void answer_remote(struct node *node, struct http_exchange *exchange, raft_node_id to,
                          const struct http_response *response, enum rk_status status)
{
    struct wire_admin_answer answer = {
        .envelope = node_envelope(node, to),
        .status = status,
    };
    struct rk_buf body;

    if (response != NULL) {
        answer.http_status = response->status;
        answer.body = rk_buf_bytes(&response->body);
        for (uint32_t i = 0; i < response->headers_count; i++) {
            const struct http_field *header = &response->headers[i];
            answer.is_json = answer.is_json || strcmp(header->value, "application/json") == 0;
            answer.is_unknown =
                answer.is_unknown || (strcmp(header->name, "X-Raftkv-Outcome") == 0 &&
                                      strcmp(header->value, "unknown") == 0);
        }
    }
    rk_buf_init(&body, RK_PEER_BODY_SIZE_MAX);
    wire_encode_admin_answer(&answer, &body);
    node_answer_buf(node, exchange, &body);
}

static void render_remote(struct node *node, struct admin_job *job)
{
    struct node_view *view = rk_heap_alloc(sizeof(*view));
    struct http_response response;

    node_view_update(node);
    node_view_copy(node, view);
    http_response_init(&response, RK_REQUEST_SIZE_MAX);
    api_finish_admin(job->call, &job->outcome, view, &response);
    answer_remote(node, job->exchange, job->from, &response, RK_OK);
    http_response_done(&response);
    rk_heap_free(view);
}

static void job_finish(struct node *node, struct admin_job *job, enum rk_status status)
{
    job->outcome.status = status;
    if (job->request == NULL) {
        render_remote(node, job);
    } else {
        job->request->admin->outcome = job->outcome;
        node_complete(node, job->request, status);
    }
    job_free(job);
}

static void job_refuse(struct node *node, struct admin_job *job, enum admin_refusal refusal)
{
    job->outcome.refusal = refusal;
    job_finish(node, job, RK_OK);
}

/* -- at the leader -- */

static raft_node_id draw_id(const struct node *node)
{
    raft_node_id id = 0;

    while (id == 0 || membership_by_id(&node->membership, id) != NULL) {
        id = rk_random_u64() & ((UINT64_C(1) << ID_BITS) - 1);
    }
    return id;
}

static void transfer(struct node *node, struct admin_job *job)
{
    const struct admin_request *request = job->call->admin;
    const struct member *heir = NULL;

    if (request->items_count > 0) {
        heir = member_change_find(&node->membership, &request->items[0]);
        if (heir == NULL) {
            memcpy(job->outcome.who, request->items[0].who, sizeof(job->outcome.who));
            job_refuse(node, job, ADMIN_UNKNOWN_NODE);
            return;
        }
        job->heir = heir->id;
    }
    const struct raft_event event = {
        .type = RAFT_EVENT_TRANSFER,
        .now_ms = node->now_ms,
        .peer = job->heir,
    };
    const bool may = (heir == NULL || node_member_answers(node, heir->id)) && job->heir != node->id;
    const enum rk_status status = may ? node_step(node, &event) : RK_INVALID;
    if (status != RK_OK) {
        job_refuse(node, job, status == RK_INVALID ? ADMIN_NOT_TRANSFERABLE : ADMIN_IN_FLIGHT);
        return;
    }
    job->deadline_ms = node->now_ms + 2 * (uint64_t)node->options->election_timeout_ms;
    node->transfer_job = job;
}

/* It is told with the next heartbeat, and with each until it does not differ any more. */
static void repair(struct node *node, struct admin_job *job)
{
    struct admin_item *item = &job->call->admin->items[0];
    const struct member *member = member_change_find(&node->membership, item);
    struct peer *peer = member != NULL ? node_peer(node, member->id) : NULL;

    memcpy(job->outcome.who, item->who, sizeof(job->outcome.who));
    if (member == NULL) {
        job_refuse(node, job, ADMIN_UNKNOWN_NODE);
        return;
    }
    if (peer == NULL || peer->differs == 0 || !node_member_answers(node, peer->id)) {
        job_refuse(node, job, ADMIN_DOES_NOT_DIFFER);
        return;
    }
    peer->is_repair_wanted = true;
    item->id = member->id;
    memcpy(item->name, member->name, sizeof(item->name));
    memcpy(item->peer_address, member->peer_address, sizeof(item->peer_address));
    job->outcome.index = node->membership_index;
    rk_log(RK_LOG_INFO, "members", "repair", RK_TEXT("member", member->name), RK_END);
    job_finish(node, job, RK_OK);
}

static void change(struct node *node, struct admin_job *job)
{
    struct admin_request *request = job->call->admin;
    struct member_facts facts;
    struct membership next;

    for (uint32_t i = 0; i < request->items_count; i++) {
        request->items[i].id = draw_id(node);
    }
    facts_make(node, &facts);
    if (!member_change_plan(&node->membership, &facts, request, &next, &job->outcome)) {
        job_finish(node, job, RK_OK);
        return;
    }
    const enum rk_status status = node_propose_membership(node, &next);
    if (status != RK_OK) { /* leadership is being handed over */
        job_refuse(node, job, ADMIN_IN_FLIGHT);
        return;
    }
    RK_ASSERT(node->change_job == NULL); /* else one would have been in flight */
    job->index = node->membership_index;
    job->term = node->view.hard_state.term;
    node->change_job = job;
    rk_log(RK_LOG_INFO, "members", "change", RK_U64("type", request->type),
           RK_TEXT("member", request->items[0].name), RK_U64("index", job->index), RK_END);
}

static void job_begin(struct node *node, struct admin_job *job)
{
    switch (job->call->admin->type) {
    case ADMIN_LOOK:
        job_finish(node, job, RK_OK);
        return;
    case ADMIN_REPAIR:
        repair(node, job);
        return;
    case ADMIN_TRANSFER:
        if (node->transfer_job != NULL) {
            job_refuse(node, job, ADMIN_IN_FLIGHT);
        } else {
            transfer(node, job);
        }
        return;
    case ADMIN_ADD:
    case ADMIN_PROMOTE:
    case ADMIN_REMOVE:
    case ADMIN_REPLACE:
        if (node->change_job != NULL) {
            job_refuse(node, job, ADMIN_IN_FLIGHT);
        } else {
            change(node, job);
        }
        return;
    }
}

/* A change is over when it is committed and no old half is left. A leader that it removed has
 * stepped down by then, but is still in its term: in a later one another leader's configuration
 * may stand at that index or past it. */
static void change_turn(struct node *node)
{
    struct admin_job *job = node->change_job;

    if (job == NULL) {
        return;
    }
    const bool is_own = node->view.hard_state.term == job->term;
    if (is_own && node->membership_index >= job->index && node->view.is_config_committed &&
        !node->membership.is_joint) {
        node->change_job = NULL;
        job->outcome.index = node->membership_index;
        job_finish(node, job, RK_OK);
    } else if (!is_own || !node_is_leader(node)) {
        node->change_job = NULL;
        job_finish(node, job, RK_UNKNOWN);
    }
}

static void transfer_turn(struct node *node)
{
    struct admin_job *job = node->transfer_job;

    if (job == NULL) {
        return;
    }
    if (node_has_leader(node) && (job->heir == 0 || node->view.leader == job->heir)) {
        node->transfer_job = NULL;
        job_finish(node, job, RK_OK);
    } else if (node->now_ms >= job->deadline_ms) {
        node->transfer_job = NULL;
        job_refuse(node, job, ADMIN_TRANSFER_FAILED);
    }
}

static void due_turn(struct node *node)
{
    struct member_facts facts;
    struct membership next;

    if (!node->membership.is_joint && node->learners_count == 0) {
        return;
    }
    facts_make(node, &facts);
    if (!member_change_due(&node->membership, &facts, &next)) {
        return;
    }
    if (node_propose_membership(node, &next) == RK_OK) {
        rk_log(RK_LOG_INFO, "members", next.is_joint ? "joint_entered" : "joint_left",
               RK_U64("index", node->membership_index), RK_END);
    } /* else leadership is being handed over: the next leader does it */
}

static bool leads_for_sure(const struct node *node)
{
    return node_is_leader(node) && node->view.is_term_committed;
}

static void forward_turn(struct node *node);

static void requests_turn(struct node *node)
{
    while (node->admins.first != NULL && node->admins.first->give_up_ms <= node->now_ms) {
        node_complete(node, client_list_pop(&node->admins), RK_NO_LEADER);
    }
    if (!leads_for_sure(node)) {
        forward_turn(node);
        return;
    }
    for (struct client_request *request = client_list_pop(&node->admins); request != NULL;
         request = client_list_pop(&node->admins)) {
        struct admin_job *job = rk_heap_zalloc(1, sizeof(*job));
        job->request = request;
        job->call = request->admin->call;
        job_begin(node, job);
    }
}

void node_members_turn(struct node *node)
{
    if (leads_for_sure(node)) {
        for (uint32_t i = 0; i < node->peers_count; i++) {
            round_turn(node, &node->peers[i]);
        }
        due_turn(node);
    }
    change_turn(node);
    transfer_turn(node);
    requests_turn(node);
}

bool node_members_are_idle(const struct node *node)
{
    return node->admins.count == 0 && node->change_job == NULL && node->transfer_job == NULL &&
           node->admins_in_flight == 0;
}

uint64_t node_members_deadline_ms(const struct node *node)
{
    uint64_t deadline_ms =
        node->transfer_job != NULL ? node->transfer_job->deadline_ms : UINT64_MAX;

    if (node->admins.first != NULL) {
        const uint64_t give_up_ms = node->admins.first->give_up_ms;
        deadline_ms = give_up_ms < deadline_ms ? give_up_ms : deadline_ms;
        if (node->retry_at_ms > node->now_ms && node->retry_at_ms < deadline_ms) {
            deadline_ms = node->retry_at_ms;
        }
    }
    return deadline_ms;
}

void node_members_stop(struct node *node)
{
    struct client_request *request = NULL;

    if (node->change_job != NULL) {
        job_finish(node, node->change_job, RK_UNKNOWN);
        node->change_job = NULL;
    }
    if (node->transfer_job != NULL) {
        job_finish(node, node->transfer_job, RK_UNKNOWN);
        node->transfer_job = NULL;
    }
    while ((request = client_list_pop(&node->admins)) != NULL) {
        node_complete(node, request, RK_NO_LEADER);
    }
}

/* -- on another node: to the leader -- */

/* Waits for a leader again, in its old place: who gives up first is first. */
static void wait_again(struct node *node, struct client_request *request)
{
    struct client_list later = node->admins;

    node->admins = (struct client_list){0};
    while (later.first != NULL && later.first->give_up_ms <= request->give_up_ms) {
        client_list_push(&node->admins, client_list_pop(&later));
    }
    client_list_push(&node->admins, request);
    client_list_move(&node->admins, &later);
    node->retry_at_ms = node->now_ms + NODE_RETRY_MS;
}

static void forward_one(struct node *node)
{
    struct outgoing *outgoing = node_outgoing_new(node, OUTGOING_ADMIN, node->view.leader);
    struct client_request *request = client_list_pop(&node->admins);
    const struct http_request *http = request->admin->call->request;
    struct wire_admin admin = {
        .envelope = node_envelope(node, node->view.leader),
        .target = {.data = (const uint8_t *)http->target, .size = (uint32_t)strlen(http->target)},
        .body = http->body,
    };
    struct rk_buf body;

    RK_ASSERT(strlen(http->method_name) <= WIRE_METHOD_SIZE_MAX);
    memcpy(admin.method, http->method_name, strlen(http->method_name) + 1);
    rk_buf_init(&body, RK_PEER_BODY_SIZE_MAX);
    wire_encode_admin(&admin, &body);
    client_list_push(&outgoing->items, request);
    node->admins_in_flight++;
    if (node_post(node, LINK_BULK, "/raft/admin", &body, NODE_FORWARD_TIMEOUT_MS, outgoing) !=
        RK_OK) {
        node->admins_in_flight--;
        wait_again(node, client_list_pop(&outgoing->items));
        node_outgoing_free(node, outgoing);
    }
}

static void forward_turn(struct node *node)
{
    for (uint32_t i = node->admins.count;
         i > 0 && node_has_leader(node) && node->now_ms >= node->retry_at_ms &&
         node->admins_in_flight < ADMINS_IN_FLIGHT_MAX;
         i--) {
        forward_one(node);
    }
}

static bool relay(struct client_request *request, const struct wire_admin_answer *answer)
{
    struct client_admin *admin = request->admin;

    if (answer->status != RK_OK) {
        return false;
    }
    admin->is_relayed = true;
    admin->http_status = answer->http_status;
    admin->is_json = answer->is_json;
    admin->is_unknown = answer->is_unknown;
    rk_buf_append(&admin->body, answer->body.data, answer->body.size);
    return true;
}

void node_admin_result(struct node *node, struct outgoing *outgoing,
                       const struct link_result *result)
{
    struct client_request *request = client_list_pop(&outgoing->items);
    struct wire_admin_answer answer;
    const char *reason = NULL;

    if (request == NULL) {
        return; /* answered when this node was told to stop */
    }
    const bool is_answer = result->status == RK_OK && result->http_status == 200 &&
                           wire_decode_admin_answer(result->body, &answer, &reason) == RK_OK;
    const bool is_refused = is_answer ? answer.status == RK_NOT_LEADER
                                      : result->status == RK_NOT_FOUND ||
                                            (result->status == RK_OK && result->http_status != 200);

    node->admins_in_flight--;
    if (is_answer && relay(request, &answer)) {
        node_complete(node, request, RK_OK);
    } else if (is_refused || request->admin->call->admin->type == ADMIN_LOOK) {
        wait_again(node, request);
    } else {
        request->admin->outcome.status = RK_UNKNOWN;
        node_complete(node, request, RK_UNKNOWN);
    }
}

/* -- another node's, at the leader -- */

static enum http_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {
        {"GET", HTTP_GET}, {"POST", HTTP_POST}, {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE}};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].name, name) == 0) {
            return methods[i].method;
        }
    }
    return HTTP_METHOD_OTHER;
}

static void serve_remote(struct node *node, struct http_exchange *exchange,
                         const struct wire_admin *admin)
{
    struct admin_job *job = rk_heap_zalloc(1, sizeof(*job));
    struct node_view *view = rk_heap_alloc(sizeof(*view));
    struct http_response response;

    job->exchange = exchange;
    job->from = admin->envelope.from;
    job->call = rk_heap_alloc(sizeof(*job->call));
    rk_buf_init(&job->target, RK_TARGET_SIZE_MAX + 1);
    rk_buf_append(&job->target, admin->target.data, admin->target.size);
    rk_buf_append_byte(&job->target, '\0');
    job->http = (struct http_request){
        .method = method_of(admin->method),
        .method_name = "",
        .target = (const char *)job->target.data,
        .body = admin->body, /* the exchange's; looked at here and not later */
    };
    node_view_copy(node, view);
    switch (api_begin(job->call, &node->api_options, &job->http, view, &response)) {
    case API_ADMIN:
        job_begin(node, job);
        break;
    case API_RESPOND:
        answer_remote(node, exchange, job->from, &response, RK_OK);
        job_free(job);
        break;
    case API_PROPOSE:
    case API_RESTORE:
    case API_READ: /* not done here, so not to be answered like what is */
        node_refuse(node, exchange, 400, "no request of an administrator");
        job_free(job);
        break;
    }
    http_response_done(&response);
    rk_heap_free(view);
}

void node_admin_received(struct node *node, struct http_exchange *exchange)
{
    struct wire_admin admin;
    const char *reason = NULL;

    if (wire_decode_admin(http_exchange_request(exchange)->body, &admin, &reason) != RK_OK) {
        node_refuse(node, exchange, 400, reason);
    } else if ((reason = node_envelope_refusal(node, &admin.envelope)) != NULL) {
        node_refuse(node, exchange, 403, reason);
    } else if (!leads_for_sure(node)) {
        answer_remote(node, exchange, admin.envelope.from, NULL, RK_NOT_LEADER);
    } else {
        serve_remote(node, exchange, &admin);
    }
}
